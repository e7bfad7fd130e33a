"""ui/pages: General, Snapshots, Network and Performance, on a pool that answers from memory."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hvconsole.backends.base import Capability
from hvconsole.events import ConnectionChanged, InventoryChanged, MonitorChanged
from hvconsole.model import (
    Disk,
    Emergency,
    HostNic,
    ObjectId,
    PoolKind,
    PowerState,
    ServerId,
    Snapshot,
    Verb,
    VmKind,
)
from hvconsole.monitor.status import VmKey
from hvconsole.profiles import ServerProfile
from hvconsole.ui.dialogs.server import emergency_text
from hvconsole.ui.interfaces import AppServices, Item, ItemKind, Selection
from hvconsole.ui.pages import PAGES
from hvconsole.ui.pages.console import ConsolePage
from hvconsole.ui.pages.general import GeneralPage
from hvconsole.ui.pages.general_host import HostView
from hvconsole.ui.pages.general_server import ServerView, host_row, power_words, running_cpus
from hvconsole.ui.pages.general_vm import VmView, disk_row
from hvconsole.ui.pages.network import NetworkPage
from hvconsole.ui.pages.performance import PerformancePage
from hvconsole.ui.pages.snapshots import HERE, SnapshotsPage, nodes
from tests.ui.contents.conftest import Driver, press_when_open, texts
from tests.ui.contents.test_network_layout import a_map
from tests.ui.stage import (
    HOSTILE,
    SERVER,
    MemoryHypervisor,
    StageShell,
    item,
    oid,
    sample_inventory,
    select_vms,
    snapshot,
    status,
    vm,
)

Until = Callable[..., None]
SERVER_SELECTED = Selection((item(ItemKind.SERVER),))
POOL_SELECTED = Selection((item(ItemKind.POOL, "p1"),))
HOST_SELECTED = Selection((item(ItemKind.HOST, "h1"),))


@pytest.fixture
def place(shell: StageShell, root: tk.Tk) -> Iterator[Callable[[Any, Selection], Any]]:
    """Make a page and show a selection in it."""
    made: list[Any] = []

    def show(cls: Any, selection: Selection) -> Any:
        page = cls(shell, root)
        page.widget.pack(fill="both", expand=True)
        shell.selection = selection
        page.show(selection)
        made.append(page)
        return page

    yield show
    for page in made:
        page.hide()


def renew(shell: StageShell, hv: MemoryHypervisor, until: Until, page: Any, **vms: Any) -> None:
    """Change VMs on the server and let the page hear of it."""
    hv.change(**vms)
    connection = shell.services.connections.get(SERVER)
    assert connection is not None
    until(lambda: connection.inventory is hv.inventory, "the new inventory")
    page.on_event(InventoryChanged(SERVER))


def test_tabs_fit_the_selection() -> None:
    def titles(selection: Selection) -> list[str]:
        return [page.title for page in PAGES if page.applies(selection)]

    assert titles(select_vms("v1")) == [
        "General",
        "Snapshots",
        "Network",
        "Performance",
        "Monitor",
        "Console",
        "History",
    ]
    assert titles(HOST_SELECTED) == ["General", "Virtual machines", "Network", "Performance", "Monitor", "History"]
    assert titles(SERVER_SELECTED) == ["General", "Virtual machines", "Monitor", "History"]
    assert titles(Selection()) == ["Monitor", "History"]


# ---- General ------------------------------------------------------------------------------------------------


def test_a_vm_shows_facts_details_resources_and_events(place: Any, until: Until) -> None:
    page = place(GeneralPage, select_vms("v1"))
    view = page._current
    assert isinstance(view, VmView)
    assert view.facts.value("Operating system") == "Debian GNU/Linux 12 (bookworm)"
    assert view.facts.value("Host") == "xs-node-01"
    until(lambda: view.extra.value("Boot mode") == "UEFI", "the details")
    until(lambda: "of 4 virtual CPUs" in str(view.cpu.value.cget("text")), "the measurements")
    until(lambda: "Network lost" in texts(view.recent.frame), "the history of the VM, in the words of the History tab")
    assert str(view.memory.value.cget("text")) == "6.2 GiB of 8.0 GiB"
    assert "System" in texts(view.disks.frame)
    assert "plugged in" in texts(view.cards.frame)


@pytest.mark.parametrize("selection", ["vm", "host", "server"])
def test_cards_stand_below_each_other_on_a_narrow_page(root: tk.Tk, place: Any, until: Until, selection: str) -> None:
    chosen = {"vm": select_vms("v1"), "host": HOST_SELECTED, "server": SERVER_SELECTED}[selection]
    page = place(GeneralPage, chosen)
    first, second = page._current.facts.frame, page._current.memory.frame
    until(lambda: 0 < abs(first.winfo_rooty() - second.winfo_rooty()) < 120, "side by side")
    root.geometry("440x700")
    until(lambda: second.winfo_rooty() >= first.winfo_rooty() + first.winfo_height(), "one below the other")
    area = page._current.area
    until(lambda: first.winfo_rootx() + first.winfo_width() <= area.frame.winfo_rootx() + area.frame.winfo_width())
    root.geometry("1280x800")
    until(lambda: second.winfo_rooty() < first.winfo_rooty() + first.winfo_height())


def test_a_cd_drive_is_not_called_by_its_device_twice() -> None:
    drive = Disk(id=oid("cd"), device="xvdd", name="xvdd", is_cd=True)
    assert disk_row(drive) == ("xvdd", "CD drive", "", "", "")
    assert disk_row(replace(drive, name="debian-12.iso", storage="ISOs"))[1:4] == ("CD: debian-12.iso", "", "ISOs")


def test_of_several_vms_the_first_is_named(place: Any) -> None:
    page = place(GeneralPage, select_vms("v2", "v1"))
    names = sample_inventory().vms
    assert f"The first: {names[oid('v2')].name}" in texts(page.widget)
    page.shell.selection = select_vms("v2")
    page.show(select_vms("v2"))
    assert "Virtual machine" in texts(page.widget)


def test_a_hostile_vm_is_shown_as_text(place: Any) -> None:
    page = place(GeneralPage, select_vms("v8"))
    shown = " ".join(texts(page.widget))
    assert "⟨U+202E⟩" in shown
    assert "‮" not in shown
    assert "\x07" not in shown


def test_the_card_follows_the_server(place: Any, shell: StageShell, hv: MemoryHypervisor, until: Until) -> None:
    page = place(GeneralPage, select_vms("v1"))
    halted = replace(hv.inventory.vms[oid("v1")], power=PowerState.HALTED, addresses=(), host_id=None)
    renew(shell, hv, until, page, v1=halted)
    assert page._current.facts.value("State") == "Halted"
    assert str(page._current.cpu.value.cget("text")) == "4 virtual CPUs"


def test_a_late_answer_about_another_vm_is_dropped(place: Any, hv: MemoryHypervisor, until: Until) -> None:
    hv.gate.clear()
    page = place(GeneralPage, select_vms("v1"))
    page.show(select_vms("v9"))
    hv.gate.set()
    view = page._current
    until(lambda: view._details is not None, "the details of the second VM")
    assert view._details.vm_id == "v9"
    assert "Quorum" in texts(view.disks.frame)


def test_a_vm_that_is_gone_leaves_the_page_quiet(
    place: Any, shell: StageShell, hv: MemoryHypervisor, until: Until
) -> None:
    page = place(GeneralPage, select_vms("v1"))
    renew(shell, hv, until, page, v1=None)
    page.tick()
    assert page.subject is None


def test_the_monitors_news_reach_the_card(place: Any, shell: StageShell) -> None:
    page = place(GeneralPage, select_vms("v1"))
    view = page._current
    assert str(view.rtt.value.cget("text")) == "13 ms"
    down = status("v1", "web-frontend-01", lost=4)
    shell.services.watcher.known[VmKey(SERVER, oid("v1"))] = down  # type: ignore[attr-defined]
    page.on_event(MonitorChanged(SERVER, oid("v1")))
    assert str(view.rtt.value.cget("text")) == "no reply"


def test_a_vm_that_is_not_monitored_offers_it(place: Any, shell: StageShell, driver: Driver, until: Until) -> None:
    page = place(GeneralPage, select_vms("v5"))
    view = page._current
    until(lambda: bool(view._tick.winfo_ismapped()))
    driver.click(view._tick)
    until(lambda: ("monitor", (oid("v5"),), True) in shell.asked)


def test_a_host_shows_cards_storages_and_who_runs_there(place: Any, until: Until) -> None:
    page = place(GeneralPage, HOST_SELECTED)
    view = page._current
    assert isinstance(view, HostView)
    until(lambda: "eth1" in texts(view.nics.frame), "the host's details")
    assert view.facts.value("Licence") == "Premium, until 2027-01-01"
    assert str(view.running_title.cget("text")) == "Running here: 4 VMs"
    assert "Local storage" in texts(view.storages.frame)
    assert str(view.memory.value.cget("text")) == "166 GiB of 256 GiB"


def test_a_server_shows_its_own_messages(place: Any, until: Until) -> None:
    page = place(GeneralPage, SERVER_SELECTED)
    until(lambda: "VM_STARTED" in texts(page._current.messages.frame), "the messages")
    assert not [text for text in texts(page.widget) if "‮" in text]


def test_a_pool_shows_hosts_and_totals(place: Any) -> None:
    page = place(GeneralPage, POOL_SELECTED)
    view = page._current
    assert isinstance(view, ServerView)
    assert view.facts.value("Master") == "xs-node-01"
    assert "In maintenance mode" in texts(view.hosts.frame)
    assert view.totals.value("VMs").startswith("10: 6 running")
    assert not view._emergency.frame.winfo_ismapped()


def test_a_server_that_is_called_by_its_address_tells_the_name_of_its_pool(
    place: Any, hv: MemoryHypervisor, until: Until
) -> None:
    name, pool = next(iter(hv.inventory.pools.items()))
    hv.inventory = replace(hv.inventory, pools={name: replace(pool, name="Aurora", kind=PoolKind.POOL)})
    hv.changed.set()
    page = place(GeneralPage, SERVER_SELECTED)
    until(lambda: page._current.facts.value("Pool") == "Aurora")


def test_an_emergency_is_shown_with_both_recoveries(
    place: Any, shell: StageShell, hv: MemoryHypervisor, driver: Driver, until: Until
) -> None:
    hv._capabilities |= Capability.EMERGENCY
    emergency = Emergency(host_address="10.20.1.12", in_emergency_mode=True, cause="master away")
    page = place(GeneralPage, SERVER_SELECTED)
    view = page._current
    totals = view.totals.value("VMs")
    hv.inventory = replace(hv.inventory, emergency=emergency, vms={})
    hv.changed.set()
    connection = shell.services.connections.all()[0]
    until(lambda: connection.emergency is emergency)
    page.on_event(ConnectionChanged(connection.id, connection.state))
    until(lambda: bool(view.become.winfo_ismapped()))
    assert "10.20.1.12 has lost its pool's master (master away)." in texts(page.widget)
    assert view.totals.value("VMs") == totals, "the last known VMs stay"
    driver.click(view.become)
    until(lambda: ("run", Verb.BECOME_MASTER, SERVER_SELECTED, None) in shell.asked)


def test_a_server_that_told_nothing_yet_has_no_numbers(place: Any, shell: StageShell) -> None:
    shell.services.connections.all()[0].inventory = None
    page = place(GeneralPage, SERVER_SELECTED)
    assert page._current.totals.value("VMs") == "—"
    assert page._current.totals.value("Snapshots") == "—"


@pytest.mark.parametrize(
    ("master", "words"),
    [("10.20.1.11", "Its pool's master is 10.20.1.11"), ("10.20.1.12", "It is its pool's master"), ("", "Log in")],
)
def test_a_host_that_is_not_in_emergency_mode_says_so_and_who_leads(master: str, words: str) -> None:
    told = emergency_text(Emergency(host_address="10.20.1.12", in_emergency_mode=False, master_address=master))
    assert told.startswith("10.20.1.12 isn't in emergency mode.")
    assert words in told


# ---- Snapshots ----------------------------------------------------------------------------------------------


def test_the_tree_shows_descent_and_where_the_vm_is() -> None:
    rows = {row.iid: row for row in nodes(sample_inventory().vms[oid("v1")])}
    assert {iid: row.parent for iid, row in rows.items()} == {
        "ss-a": "",
        "ss-b": "ss-a",
        "ss-c": "ss-b",
        "ss-d": "ss-a",
        HERE: "ss-c",
    }
    assert rows["ss-c"].values[1] == "automatic"
    assert rows["ss-c"].values[3] == "last rounds: lost, lost"


def test_orphans_and_circles_end_at_the_root() -> None:
    parents = {"1": "2", "2": "1", "3": "gone", "4": "4"}
    circle = tuple(snapshot(one, one, 1, parent) for one, parent in parents.items())
    rows = nodes(vm("x", "x", snapshots=circle))
    assert sorted(r.iid for r in rows) == [HERE, "s1", "s2", "s3", "s4"]
    seen: set[str] = {""}
    for row in rows:
        assert row.parent in seen, "parents come first"
        seen.add(row.iid)


def test_a_chain_of_a_thousand_is_no_problem() -> None:
    chain = tuple(snapshot(str(n), f"s{n}", 1, str(n - 1) if n else None) for n in range(1000))
    assert len(nodes(vm("x", "x", snapshots=chain))) == 1001


def test_revert_and_delete_need_a_choice_and_ask_the_shell(
    place: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    page = place(SnapshotsPage, select_vms("v1"))
    until(lambda: bool(page.tree.winfo_ismapped()))
    assert page.revert.instate(["disabled"])
    x, y, _w, h = page.tree.bbox("ss-b")
    driver.click(page.tree, x + 60, y + h // 2)
    until(lambda: not page.revert.instate(["disabled"]))
    assert "Manual" in str(page.detail.cget("text"))
    driver.click(page.revert)
    chosen = Selection((item(ItemKind.SNAPSHOT, "s-b", "v1"),))
    until(lambda: ("run", Verb.REVERT, chosen, None) in shell.asked)
    driver.click(page.take)
    until(lambda: ("run", Verb.SNAPSHOT, select_vms("v1"), None) in shell.asked)


def test_the_menu_key_opens_the_menu_of_the_chosen_snapshot(
    place: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    page = place(SnapshotsPage, select_vms("v1"))
    until(lambda: bool(page.tree.get_children()) and bool(page.tree.winfo_viewable()))
    first = page.tree.get_children()[0]
    page.tree.selection_set(first)
    page.tree.focus(first)
    page.tree.focus_force()
    driver.key("shift+F10")
    until(lambda: shell.asked[-1:] != [] and shell.asked[-1][0] == "popup")
    assert page.tree.selection() == (first,)


def test_you_are_here_is_no_snapshot(place: Any, driver: Driver, until: Until) -> None:
    page = place(SnapshotsPage, select_vms("v1"))
    until(lambda: bool(page.tree.winfo_ismapped()))
    page.tree.selection_set(HERE)
    until(lambda: page.chosen() == [])
    assert page.delete.instate(["disabled"])


def test_a_reason_stands_below_greyed_buttons(place: Any, shell: StageShell, until: Until) -> None:
    shell.refusals[Verb.SNAPSHOT] = "Another operation is in progress."
    page = place(SnapshotsPage, select_vms("v1"))
    assert page.take.instate(["disabled"])
    assert "Another operation is in progress." in texts(page.widget)


def test_a_vm_is_made_of_a_snapshot_even_while_it_runs(
    place: Any, shell: StageShell, hv: MemoryHypervisor, driver: Driver, until: Until, monkeypatch: Any
) -> None:
    cloned: list[Any] = []
    monkeypatch.setattr(hv, "clone_vm", lambda vm_id, name, ctx, **more: cloned.append((vm_id, name, more)))
    shell.refusals[Verb.CLONE] = "The VM is running; cloning needs it to be shut down."
    page = place(SnapshotsPage, select_vms("v1"))
    page.tree.selection_set("ss-b")
    until(lambda: not page.clone.instate(["disabled"]))
    press_when_open(shell.root, "Clone")
    driver.click(page.clone)
    until(lambda: bool(cloned), "the clone")
    assert cloned[0][:2] == ("v1", "web-frontend-01 copy")
    assert cloned[0][2]["snapshot_id"] == "s-b"


def test_a_new_snapshot_appears_and_the_choice_stays(
    place: Any, shell: StageShell, hv: MemoryHypervisor, until: Until
) -> None:
    page = place(SnapshotsPage, select_vms("v1"))
    page.tree.selection_set("ss-b")
    before = hv.inventory.vms[oid("v1")]
    new = snapshot("s-new", HOSTILE, 0, "s-c")
    renew(shell, hv, until, page, v1=replace(before, snapshots=(*before.snapshots, new), current_snapshot_id=new.id))
    assert page.tree.selection() == ("ss-b",)
    assert page.tree.parent(HERE) == "ss-new"
    assert "‮" not in page.tree.item("ss-new", "text")
    rest: tuple[Snapshot, ...] = tuple(s for s in before.snapshots if s.id != "s-b")
    renew(shell, hv, until, page, v1=replace(before, snapshots=rest))
    assert not page.tree.exists("ss-b")
    assert page.tree.exists("ss-c")


def test_a_vm_without_snapshots_offers_to_take_one(place: Any, shell: StageShell, driver: Driver, until: Until) -> None:
    page = place(SnapshotsPage, select_vms("v5"))
    until(lambda: bool(page._empty.button.winfo_ismapped()))
    driver.click(page._empty.button)
    until(lambda: ("run", Verb.SNAPSHOT, select_vms("v5"), None) in shell.asked)


# ---- Network ------------------------------------------------------------------------------------------------


def inside_box(page: Any, vm_id: ObjectId) -> tuple[int, int]:
    """A point of the canvas in the box of a VM."""
    box = next(box for box in page._map._drawing.boxes if box.vm_id == vm_id)
    return page.theme.px(box.x) + 30, page.theme.px(box.y) + 20


@pytest.mark.parametrize("evil", ["|", "a||!b", "(", "&&", "!", "all", "[exec rm] $x {", ""])
def test_an_id_that_tk_could_read_as_an_expression_is_only_an_id(
    place: Any, shell: StageShell, driver: Driver, until: Until, evil: str
) -> None:
    page = place(NetworkPage, HOST_SELECTED)
    until(lambda: bool(page._map.canvas.winfo_ismapped()) and page._map.has_boxes, "the map")
    network_map, vms = a_map(([HostNic(name="eth0")], [vm("fine", "fine"), vm(evil, "evil")]))
    page._map.show(network_map, replace(sample_inventory(), vms=vms), HOST_SELECTED.items[0])
    driver.click(page._map.canvas, *inside_box(page, oid(evil)))
    until(lambda: shell.asked[-1:] == [("select", select_vms(evil))])


def test_the_map_of_a_host_is_drawn_and_a_click_selects_the_vm(
    place: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    page = place(NetworkPage, HOST_SELECTED)
    canvas = page._map.canvas
    until(lambda: bool(canvas.winfo_ismapped()) and page._map.has_boxes, "the map")
    words = [canvas.itemcget(i, "text") for i in canvas.find_all() if canvas.type(i) == "text"]
    assert {"eth0", "Pool-wide network 0", "web-frontend-01", "PHYSICAL CARDS"} <= set(words)
    driver.click(canvas, *inside_box(page, oid("v1")))
    until(lambda: shell.asked[-1:] == [("select", select_vms("v1"))])


def test_the_cards_of_a_vm_are_listed(place: Any) -> None:
    page = place(NetworkPage, select_vms("v1"))
    tree = page._vm_table.listing.tree
    rows = [tree.item(i, "values") for i in tree.get_children()]
    assert [(row[0], row[3]) for row in rows] == [("Pool-wide network 0", "plugged in")]


def test_below_a_vms_cards_its_networks_are_drawn_with_the_vm_marked(
    place: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    page = place(NetworkPage, select_vms("v1"))
    canvas = page._map.canvas
    until(lambda: bool(canvas.winfo_ismapped()), "the map below the table")
    words = [canvas.itemcget(i, "text") for i in canvas.find_all() if canvas.type(i) == "text"]
    assert "Pool-wide network 0" in words
    assert "Storage" not in words, "a network that the VM is not on"
    boxes = {box.vm_id: box for box in page._map._drawing.boxes if box.kind == "vm"}
    assert [box.chosen for box in boxes.values()] == [True] + [False] * (len(boxes) - 1), "it comes first"
    assert boxes[oid("v1")].chosen
    assert page._vm_table.listing.tree.winfo_ismapped()
    network = next(box for box in page._map._drawing.boxes if box.kind == "network")
    assert network.y == boxes[oid("v1")].y, "beside it"
    other = next(vm_id for vm_id in boxes if vm_id != oid("v1"))
    driver.click(canvas, *inside_box(page, other))
    until(lambda: shell.asked[-1:] == [("select", select_vms(str(other)))])


def test_a_server_without_a_map_still_lists_a_vms_cards(place: Any, hv: MemoryHypervisor, until: Until) -> None:
    hv._capabilities &= ~Capability.NETWORK_MAP
    page = place(NetworkPage, select_vms("v1"))
    until(lambda: bool(page._vm_table.listing.tree.winfo_ismapped()))
    assert not page._map.frame.winfo_ismapped()


def test_a_server_without_a_map_says_so(place: Any, hv: MemoryHypervisor) -> None:
    hv._capabilities &= ~Capability.NETWORK_MAP
    page = place(NetworkPage, HOST_SELECTED)
    assert "This server doesn't offer a network map." in texts(page.widget)


# ---- Performance --------------------------------------------------------------------------------------------


def test_charts_are_drawn_with_legends_and_axes(place: Any, until: Until) -> None:
    page = place(PerformancePage, select_vms("v1"))
    until(lambda: len(page.charts) == 4, "the charts")
    assert [str(c.title.cget("text")) for c in page.charts] == ["CPU", "Memory", "Network", "Disks"]
    until(lambda: bool(page.charts[0].canvas.find_all()))
    canvas = page.charts[0].canvas
    words = [canvas.itemcget(i, "text") for i in canvas.find_all() if canvas.type(i) == "text"]
    assert "100 %" in words
    assert "now" in words
    assert any(text.startswith("All CPUs  ") for text in texts(page.widget))


def test_the_pointer_reads_values_off_the_chart(place: Any, driver: Driver, until: Until) -> None:
    page = place(PerformancePage, select_vms("v1"))
    until(lambda: len(page.charts) == 4 and bool(page.charts[0].canvas.find_all()))
    canvas = page.charts[0].canvas
    driver.click(canvas, 200, 60)
    until(lambda: bool(canvas.find_withtag("pointer")), "the line under the pointer")
    driver.click(page.charts[0].title)
    until(lambda: not canvas.find_withtag("pointer"), "the line to go")


def test_another_span_is_asked_for(place: Any, hv: MemoryHypervisor, until: Until, monkeypatch: Any) -> None:
    asked: list[int] = []
    metrics = hv.metrics
    monkeypatch.setattr(hv, "metrics", lambda i, s=600: (asked.append(s), metrics(i, s))[1])
    page = place(PerformancePage, select_vms("v1"))
    page._span.set(3600)
    page._ask_again()
    until(lambda: asked == [600, 3600])
    until(lambda: str(page.caption.cget("text")) == "Last 60 min")


def test_what_cannot_be_measured_says_why(place: Any, hv: MemoryHypervisor) -> None:
    page = place(PerformancePage, select_vms("v5"))
    assert "The VM isn't running: there is nothing to measure." in texts(page.widget)
    hv._capabilities &= ~Capability.METRICS
    page.show(HOST_SELECTED)
    assert "This server doesn't offer performance data." in texts(page.widget)


# ---- Console ------------------------------------------------------------------------------------------------


def test_the_screen_of_a_running_vm_is_shown_with_its_consoles_address(
    place: Any, shell: StageShell, driver: Driver, until: Until
) -> None:
    page = place(ConsolePage, select_vms("v1"))
    until(lambda: page._picture is not None, "the picture")
    assert page._picture.size == (320, 200)
    until(lambda: any("console?uuid=v1" in text for text in texts(page.widget)), "the address")
    driver.click(page.copy_button)
    until(lambda: shell.root.clipboard_get() == "https://10.20.1.11/console?uuid=v1")


def test_a_screen_that_is_no_picture_is_refused_in_words(place: Any, hv: MemoryHypervisor, until: Until) -> None:
    hv.screen = b"\x89PNG\r\n\x1a\n" + b"garbage" * 50
    page = place(ConsolePage, select_vms("v1"))
    until(lambda: page._says == "The server's picture can't be read.")
    page.show(select_vms("v5"))
    assert page._says == "The VM isn't running: its screen is dark."


# ---- all of them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", PAGES, ids=lambda cls: cls.title)
def test_dark_and_light_are_switched_while_a_page_is_open(cls: Any, place: Any, shell: StageShell) -> None:
    selection = next(s for s in (select_vms("v1"), SERVER_SELECTED) if cls.applies(s))
    page = place(cls, selection)
    shell.root.update()
    shell.theme.set_mode("dark")
    shell.root.update()
    shell.theme.set_mode("light")
    shell.root.update()
    page.hide()
    page.show(selection)


def test_a_server_that_was_never_seen_has_no_empty_cards(
    root: tk.Tk, shell: StageShell, services: AppServices, until: Callable[..., None]
) -> None:
    never = ServerProfile(
        id=ServerId("s9"), name="Never", platform="xenserver", addresses=(("10.9.9.9", 443),), user="root"
    )
    services.connections.add(never, None)
    page = GeneralPage(shell, root)
    page.widget.pack(fill="both", expand=True)
    page.show(Selection((Item(ItemKind.SERVER, ServerId("s9")),)))
    root.update()
    shown = [text for text in texts(page.widget)]
    view: Any = page._current
    assert view.facts.value("Connection") == "Disconnected"
    assert not view._hosts_card.frame.winfo_ismapped()
    assert not view._storages_card.frame.winfo_ismapped()
    page.show(Selection((item(ItemKind.SERVER),)))
    until(lambda: bool(view._hosts_card.frame.winfo_ismapped()), "the hosts")
    assert "Needs you" not in shown
    page.hide()


def test_a_host_that_does_not_answer_has_no_figures(services: AppServices, shell: StageShell) -> None:
    inventory = sample_inventory()
    host = inventory.hosts[oid("h1")]
    silent = replace(host, live=False)
    assert host_row(host, 3)[2:4] == ("3", "90.0 GiB")
    assert host_row(silent, 3)[2:4] == ("—", "—")
    there = replace(inventory, hosts={**inventory.hosts, host.id: silent})
    vms = [v for v in there.vms.values() if v.kind is VmKind.VM]
    assert "on hosts that don't answer" in power_words(vms, there)
    assert "on hosts" not in power_words(vms, inventory)
    assert 0 < running_cpus(vms, there) < running_cpus(vms, inventory)
