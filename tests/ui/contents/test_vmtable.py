"""ui/vmtable.py and ui/pages/vms.py: the table keeps its place, draws differences, sorts, remembers its columns."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from hvconsole.events import MonitorChanged
from hvconsole.model import ObjectId, PowerState, Verb
from hvconsole.monitor.status import VmKey
from hvconsole.settings import SettingsStore
from hvconsole.ui.columns import Context
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.interfaces import ItemKind, Selection
from hvconsole.ui.pages.vms import VmsPage
from hvconsole.ui.theme import Theme
from hvconsole.ui.vmtable import VmTable
from tests.ui.contents.conftest import Driver
from tests.ui.stage import (
    HOSTILE,
    SERVER,
    MemoryHypervisor,
    StageShell,
    item,
    oid,
    sample_inventory,
    select_vms,
    status,
    vm,
)

Until = Callable[..., None]
INVENTORY = sample_inventory()
CONTEXT = Context.of(INVENTORY)


class Opened:
    def __init__(self) -> None:
        self.ids: list[ObjectId] = []
        self.menus = 0


@pytest.fixture
def settings() -> SettingsStore:
    return SettingsStore()


@pytest.fixture
def opened() -> Opened:
    return Opened()


@pytest.fixture
def table(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, settings: SettingsStore, opened: Opened, until: Until
) -> VmTable:
    def menu(_x: int, _y: int) -> None:
        opened.menus += 1

    made = VmTable(theme, root, dispatcher, settings, chosen=lambda: None, opened=opened.ids.append, menu=menu)
    made.frame.pack(fill="both", expand=True)
    made.show(list(INVENTORY.vms.values()), CONTEXT)
    until(lambda: not made.filling and len(made.rows()) == len(INVENTORY.vms), "all rows")
    return made


def names(table: VmTable) -> list[str]:
    return [table.tree.item(iid, "text") for iid in table.tree.get_children()]


def test_rows_are_sorted_naturally_by_name(table: VmTable) -> None:
    shown = [name for name in names(table) if name.startswith("web")]
    assert shown == ["web-frontend-01", "web-frontend-02", "web-frontend-10"]


def test_a_click_on_a_heading_sorts_and_a_second_one_turns_it(table: VmTable, driver: Driver, until: Until) -> None:
    x = sum(table.tree.column(c, "width") for c in ("#0", "state")) // 1 - 30
    driver.click(table.tree, x, 12)
    until(lambda: table.sort_id == "state", "sorting by state")
    first = [INVENTORY.vms[i].power for i in table.rows()]
    assert first == sorted(first, key=list(PowerState).index)
    driver.click(table.tree, x, 12)
    until(lambda: table.descending, "the other direction")
    assert table.rows()[0] != oid("v1")


def test_a_change_draws_one_row_and_keeps_choice_and_place(table: VmTable, until: Until) -> None:
    chosen = table._iids[oid("v3")]
    table.tree.selection_set(chosen)
    before = dict(table._iids)
    changed = dict(INVENTORY.vms)
    changed[oid("v3")] = replace(changed[oid("v3")], power=PowerState.SUSPENDED, host_id=None, addresses=())
    table.show(list(changed.values()), CONTEXT)
    assert table._iids == before, "rows keep their identity"
    assert table.chosen() == (oid("v3"),)
    assert table.cell(oid("v3"), "state") == "Suspended"


def test_rows_come_and_go_with_the_vms(table: VmTable, until: Until) -> None:
    vms = {i: v for i, v in INVENTORY.vms.items() if i != oid("v1")}
    vms[oid("new")] = vm("new", "aaa-first")
    table.show(list(vms.values()), CONTEXT)
    until(lambda: not table.filling)
    assert names(table)[0] == "aaa-first"
    assert oid("v1") not in table.rows()
    assert len(table.rows()) == len(vms)


def test_a_renamed_vm_moves_to_its_new_place(table: VmTable) -> None:
    vms = dict(INVENTORY.vms)
    vms[oid("v1")] = replace(vms[oid("v1")], name="zzz")
    table.show(list(vms.values()), CONTEXT)
    assert names(table)[-1] == "zzz"


def test_a_renamed_host_changes_the_cells_of_its_vms(table: VmTable) -> None:
    hosts = dict(INVENTORY.hosts)
    hosts[oid("h1")] = replace(hosts[oid("h1")], name="renamed")
    table.show(list(INVENTORY.vms.values()), Context.of(replace(INVENTORY, hosts=hosts)))
    assert table.cell(oid("v1"), "host") == "renamed"


def test_hostile_names_are_data(table: VmTable) -> None:
    shown = [name for name in names(table) if name.startswith("evil")]
    assert len(shown) == 1
    assert "⟨U+202E⟩" in shown[0]
    assert "[exec rm]" in shown[0]


def test_columns_are_chosen_and_remembered(
    table: VmTable, settings: SettingsStore, root: tk.Tk, theme: Theme, dispatcher: Dispatcher
) -> None:
    table.toggle_column("uuid")
    table.toggle_column("state")
    table.sort_by("memory")
    table.sort_by("memory")
    table.tree.column("#0", width=333)
    table.read_widths()
    table.save_if_due()
    saved = settings.current.table
    assert "uuid" in saved.columns
    assert "state" not in saved.columns
    assert (saved.sort, saved.widths["name"]) == ("-memory", 333)
    again = VmTable(
        theme, root, dispatcher, settings, chosen=lambda: None, opened=lambda _i: None, menu=lambda _x, _y: None
    )
    assert again.columns == table.columns
    assert (again.sort_id, again.descending) == ("memory", True)
    assert again.tree.column("#0", "width") == 333


def test_a_double_click_opens_and_a_right_click_chooses_and_asks_for_the_menu(
    table: VmTable, opened: Opened, driver: Driver, until: Until
) -> None:
    box = table.place_of(oid("v3"))
    assert box is not None
    driver.click(table.tree, box[0] + 60, box[1] + 13, times=2)
    until(lambda: opened.ids == [oid("v3")], "the row")
    box = table.place_of(oid("v2"))
    assert box is not None
    driver.click(table.tree, box[0] + 60, box[1] + 13, button=3)
    until(lambda: opened.menus == 1, "the menu")
    assert table.chosen() == (oid("v2"),)


def test_ten_thousand_rows_come_in_portions_and_in_order(table: VmTable, until: Until) -> None:
    many = {oid(f"m{n}"): vm(f"m{n}", f"vm-{n}") for n in range(10_000)}
    table.show(list(many.values()), CONTEXT)
    assert table.filling, "the window is not held up by 10,000 rows at once"
    until(lambda: not table.filling, "all rows", 60)
    assert names(table)[:3] == ["vm-0", "vm-1", "vm-2"]
    assert len(table.rows()) == 10_000


def test_a_new_selection_while_rows_are_still_coming_wins(table: VmTable, until: Until) -> None:
    table.show([vm(f"m{n}", f"vm-{n}") for n in range(2_000)], CONTEXT)
    table.show([vm("only", "only")], CONTEXT)
    until(lambda: not table.filling)
    assert names(table) == ["only"]


# ---- the page -----------------------------------------------------------------------------------------------


@pytest.fixture
def page(shell: StageShell, root: tk.Tk) -> Iterator[VmsPage]:
    made = VmsPage(shell, root)
    made.widget.pack(fill="both", expand=True)
    yield made
    made.hide()


def test_a_host_shows_its_own_vms_and_a_server_all_but_templates(page: VmsPage, until: Until) -> None:
    page.show(Selection((item(ItemKind.HOST, "h2"),)))
    until(lambda: not page.table.filling and len(page.table.rows()) == 6)
    page.show(Selection((item(ItemKind.SERVER),)))
    until(lambda: not page.table.filling and len(page.table.rows()) == 10)
    assert oid("t1") not in page.table.rows()
    assert str(page.summary.cget("text")) == "10 VMs: 6 running, 2 halted, 1 suspended, 1 paused"


def test_several_selected_vms_are_shown_together(page: VmsPage, until: Until) -> None:
    assert VmsPage.applies(select_vms("v1", "v2"))
    assert not VmsPage.applies(select_vms("v1"))
    page.show(select_vms("v1", "v2"))
    until(lambda: not page.table.filling and len(page.table.rows()) == 2)


def test_an_inventory_event_draws_the_difference(
    page: VmsPage, shell: StageShell, hv: MemoryHypervisor, until: Until
) -> None:
    from hvconsole.events import InventoryChanged

    page.show(Selection((item(ItemKind.SERVER),)))
    until(lambda: not page.table.filling and len(page.table.rows()) == 10)
    hv.change(v1=None, extra=vm("extra", HOSTILE))
    connection = shell.services.connections.get(SERVER)
    assert connection is not None
    until(lambda: connection.inventory is hv.inventory)
    page.on_event(InventoryChanged(SERVER))
    until(lambda: not page.table.filling and oid("extra") in page.table.rows())
    assert oid("v1") not in page.table.rows()


def test_round_trip_times_follow_the_monitor(page: VmsPage, shell: StageShell, until: Until) -> None:
    page.show(Selection((item(ItemKind.SERVER),)))
    until(lambda: not page.table.filling)
    assert page.table.cell(oid("v1"), "rtt") == "13 ms"
    watcher = shell.services.watcher
    watcher.known[VmKey(SERVER, oid("v1"))] = status("v1", "web-frontend-01", lost=3)  # type: ignore[attr-defined]
    page.on_event(MonitorChanged(SERVER, oid("v1")))
    until(lambda: page.table.cell(oid("v1"), "rtt") == "no reply", "the new state")


def test_chosen_rows_are_what_the_context_menu_is_about(
    page: VmsPage, shell: StageShell, driver: Driver, until: Until
) -> None:
    page.show(Selection((item(ItemKind.SERVER),)))
    until(lambda: not page.table.filling)
    for vm_id, button in (("v3", 1), ("v3", 3)):
        box = page.table.place_of(oid(vm_id))
        assert box is not None
        driver.click(page.table.tree, box[0] + 60, box[1] + 13, button=button)
    until(lambda: ("popup", select_vms("v3")) in shell.asked, "the menu")
    assert page.chosen() == select_vms("v3")
    assert shell.why_not(Verb.START) is None


def test_space_ticks_the_chosen_rows_as_the_menu_says(
    page: VmsPage, shell: StageShell, driver: Driver, until: Until
) -> None:
    page.show(Selection((item(ItemKind.SERVER),)))
    until(lambda: not page.table.filling and len(page.table.rows()) == 10)
    tree = page.table.tree
    tree.selection_set(tree.get_children()[0])
    tree.focus(tree.get_children()[0])
    tree.focus_force()
    chosen = page.chosen().ids
    driver.key("space")
    until(lambda: shell.asked[-1:] != [] and shell.asked[-1][0] == "monitor")
    ticked = {key.vm_id for key in shell.services.watcher.ticked()}
    assert shell.asked[-1] == ("monitor", chosen, not set(chosen) <= ticked)
