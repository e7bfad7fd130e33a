"""The main window as a user meets it: select, tick, search, ask, watch things change, close."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hvconsole.events import Happened, JobChanged, JobState, MonitorChanged, Notice
from hvconsole.jobs import JobId, JobView
from hvconsole.model import PowerState, Verb
from hvconsole.monitor.status import MonitorState
from hvconsole.settings import Filter as SavedFilter
from hvconsole.ui.dialogs.about import WINDOW_KEYS, operation_keys
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.interfaces import ItemKind, Selection
from hvconsole.ui.tabs import Tabs
from hvconsole.ui.theme import Theme
from tests.ui.shell_stage import RecordingPage, Stand, close_stand, key_of, open_stand, with_refusals
from tests.ui.stage import NOW, SERVER, item, oid, sample_inventory, vm

pytestmark = pytest.mark.display
Until = Callable[..., None]


def key(stand: Stand, widget: Any, sequence: str, **options: Any) -> None:
    widget.focus_force()
    stand.window.root.update()
    widget.event_generate(sequence, **options)
    stand.window.root.update()


# ---- seeing ------------------------------------------------------------------------------------------------


def test_the_tree_shows_hosts_machines_and_states(stand: Stand) -> None:
    assert "web-frontend-01" in stand.vm_names()
    assert "legacy-erp" in stand.vm_names(), "halted machines are never hidden by default"
    row = stand.row(ItemKind.VM, "v5")
    assert "dim" in stand.tree.item(row, "tags")


def test_selecting_shows_name_state_and_place(stand: Stand, until: Until) -> None:
    stand.select("v1")
    until(lambda: stand.window.header.name.cget("text") == "web-frontend-01")
    assert stand.window.header.pill.cget("text").strip() == "Running"
    assert "xs-node-01" in stand.window.header.where.cget("text")
    until(lambda: stand.window.root.title() == "hvconsole – web-frontend-01 on xs-node-01")
    assert stand.pages["General"].shown[-1].ids == ("v1",)


def test_a_refresh_keeps_selection_scrolling_and_what_is_open(stand: Stand, until: Until) -> None:
    tree = stand.tree
    stand.window.tree.open(item(ItemKind.VM, "v1"))
    stand.select("v6")
    tree.yview_moveto(1.0)
    stand.window.root.update()
    place, closed = tree.yview(), stand.row(ItemKind.HOST, "h3")
    tree.item(closed, open=False)
    inventory = stand.hypervisor.inventory
    stand.hypervisor.change(
        v5=replace(inventory.vms[oid("v5")], power=PowerState.RUNNING),
        v99=vm("v99", "new-one", host="h2"),
    )
    until(lambda: "new-one" in stand.vm_names())
    assert stand.window.selection.ids == ("v6",)
    assert tree.item(stand.row(ItemKind.VM, "v1"), "open")
    assert not tree.item(closed, "open")
    assert abs(tree.yview()[0] - place[0]) < 0.1
    assert "dim" not in tree.item(stand.row(ItemKind.VM, "v5"), "tags")


def test_hostile_names_are_shown_and_never_become_row_ids(stand: Stand, until: Until) -> None:
    evil = '[exec touch /tmp/x] {a} $b "c" \\ \u202e\x00'
    stand.hypervisor.change(v1=replace(stand.hypervisor.inventory.vms[oid("v1")], name=evil))
    until(lambda: any("[exec" in name for name in stand.vm_names()))
    shown = next(name for name in stand.vm_names() if "[exec" in name)
    assert "⟨U+202E⟩" in shown
    stand.select("v1")
    until(lambda: "[exec" in stand.window.header.name.cget("text"))


def test_a_deleted_machine_is_no_longer_selected(stand: Stand, until: Until) -> None:
    stand.select("v1")
    stand.hypervisor.change(v1=None)
    until(lambda: "web-frontend-01" not in stand.vm_names())
    assert stand.window.selection == Selection()
    until(lambda: "Nothing selected" in stand.window.header.name.cget("text"))


def test_a_server_that_went_away_is_grey_and_says_since_when(stand: Stand, until: Until) -> None:
    connection = stand.window.services.connections.get(SERVER)
    assert connection is not None
    connection.disconnect()
    server = stand.row(ItemKind.SERVER)
    until(lambda: "disconnected" in stand.tree.item(server, "text"))
    until(lambda: stand.tree.set(server, "rtt").strip().endswith("s ago"))
    until(lambda: "stale" in stand.tree.item(stand.row(ItemKind.VM, "v1"), "tags"))
    assert "web-frontend-01" in stand.vm_names(), "the last known inventory stays"
    stand.select("v1")
    until(lambda: stand.window.header.pill.cget("text").strip() == "Out of date")
    assert "Not connected" in (stand.window.why_not(Verb.REBOOT) or "")


# ---- searching ---------------------------------------------------------------------------------------------


def test_typing_in_the_search_field_filters_and_escape_brings_all_back(stand: Stand, until: Until) -> None:
    everything = stand.vm_names()
    stand.window.find()
    stand.window.root.update()
    stand.window.search.entry.insert(0, "web")
    until(lambda: stand.vm_names() == ["web-frontend-01", "web-frontend-02", "web-frontend-10"])
    key(stand, stand.window.search.entry, "<Escape>")
    until(lambda: stand.vm_names() == everything)


def test_filtering_hides_the_selection_from_operations_and_gives_it_back(stand: Stand, until: Until) -> None:
    stand.select("v6")
    stand.window.search.entry.insert(0, "web")
    until(lambda: len(stand.vm_names()) == 3)
    assert stand.window.selection == Selection(), "what is not seen must not be deleted"
    stand.window.search.clear()
    until(lambda: stand.window.selection.ids == ("v6",))


def test_the_filter_menu_narrows_by_state_and_host(stand: Stand, until: Until) -> None:
    entries = {e.label: e for e in stand.window.filter_entries() if hasattr(e, "run")}  # type: ignore[union-attr]
    entries["Suspended"].run()  # type: ignore[union-attr]
    until(lambda: stand.vm_names() == ["build-agent-3"])
    entries["Clear filter"].run()  # type: ignore[union-attr]
    until(lambda: len(stand.vm_names()) == 10)
    entries["Show templates too"].run()  # type: ignore[union-attr]
    until(lambda: "Debian 12 template" in stand.vm_names())


def test_new_machines_respect_a_running_filter(stand: Stand, until: Until) -> None:
    stand.window.search.entry.insert(0, "web")
    until(lambda: len(stand.vm_names()) == 3)
    stand.hypervisor.change(v98=vm("v98", "web-new"), v97=vm("v97", "other"))
    until(lambda: "web-new" in stand.vm_names())
    assert "other" not in stand.vm_names()
    stand.window.search.clear()
    until(lambda: "other" in stand.vm_names())


def test_the_last_filter_is_remembered(root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until) -> None:
    def prepare(services: Any) -> None:
        services.settings.change(filter=SavedFilter(text="db", power=("running", "no such state")))

    stand = open_stand(root, theme, dispatcher, until, prepare=prepare)
    until(lambda: stand.vm_names() == ["db-primary"])
    assert stand.window.search.entry.get() == "db"
    stand.window.search.clear()
    assert stand.window.services.settings.current.filter.text == ""
    close_stand(stand, until)


# ---- ticking -----------------------------------------------------------------------------------------------


def box_of(stand: Stand, vm_id: str) -> tuple[int, int]:
    """A point inside the tick box of a row."""
    tree = stand.tree
    row = stand.row(ItemKind.VM, vm_id)
    tree.see(row)
    stand.window.root.update()
    x, y, width, height = tree.bbox(row, "#0")
    middle = y + height // 2
    left = next(px for px in range(x, x + width) if str(tree.identify_element(px, middle)).endswith("image"))
    return left + 6, middle


def test_a_click_on_the_box_ticks_and_a_click_beside_it_does_not(stand: Stand, until: Until) -> None:
    x, y = box_of(stand, "v1")
    stand.tree.event_generate("<Button-1>", x=x, y=y)
    until(lambda: key_of("v1") in stand.watcher.ticked())
    assert stand.window.selection.kind is ItemKind.SERVER, "ticking does not select"
    stand.tree.event_generate("<Button-1>", x=x + 30, y=y)
    stand.tree.event_generate("<ButtonRelease-1>", x=x + 30, y=y)
    until(lambda: stand.window.selection.ids == ("v1",))
    assert stand.watcher.ticked() == {key_of("v1")}


def test_space_ticks_all_selected_and_then_unticks_them(stand: Stand) -> None:
    stand.select("v1", "v2")
    key(stand, stand.tree, "<space>")
    assert stand.watcher.ticked() == {key_of("v1"), key_of("v2")}
    key(stand, stand.tree, "<space>")
    assert stand.watcher.ticked() == frozenset()


def test_a_lost_machine_turns_red_with_words(stand: Stand, until: Until) -> None:
    hub = stand.window.services.hub
    stand.watcher.tick(key_of("v6"))
    hub.emit(MonitorChanged(SERVER, oid("v6")))
    row = stand.row(ItemKind.VM, "v6")
    until(lambda: stand.tree.set(row, "rtt").strip() == "12 ms")
    stand.watcher.states[key_of("v6")] = MonitorState.DOWN
    hub.emit(MonitorChanged(SERVER, oid("v6")))
    until(lambda: stand.tree.set(row, "rtt").strip() == "no reply")
    stand.tree.see(row)
    stand.tree.update()
    left, _top, width, _height = stand.tree.bbox(row, "rtt")
    assert left + width <= stand.tree.winfo_width() + 1
    assert "bad" in stand.tree.item(row, "tags")
    until(lambda: "1 monitored" in str(stand.window.statusbar._labels["monitored"].cget("text")))
    until(lambda: "1 without" in str(stand.window.statusbar._labels["down"].cget("text")))


# ---- asking ------------------------------------------------------------------------------------------------


def jobs_done(stand: Stand) -> list[tuple[Any, ...]]:
    return [entry[:2] for entry in stand.hypervisor.done]


def test_an_operation_runs_on_those_able_and_names_the_reasons_of_the_rest(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until
) -> None:
    refusals = {"v1": {Verb.START: "It is running already."}, "v2": {Verb.START: "It is running already."}}
    stand = open_stand(root, theme, dispatcher, until, inventory=with_refusals(sample_inventory(), refusals))
    stand.select("v1", "v5", "v2")
    stand.window.run(Verb.START)
    assert stand.dialogs.asked == [
        (
            "refused",
            Verb.START,
            ["legacy-erp"],
            [("web-frontend-01", "It is running already."), ("web-frontend-02", "It is running already.")],
        )
    ]
    until(lambda: jobs_done(stand) == [("start", "v5")])
    close_stand(stand, until)


def test_a_shortcut_that_cannot_run_says_why_in_the_status_bar(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until
) -> None:
    refusals = {"v1": {Verb.START: "It is running already."}}
    stand = open_stand(root, theme, dispatcher, until, inventory=with_refusals(sample_inventory(), refusals))
    stand.select("v1")
    key(stand, stand.tree, "<Control-b>")
    assert stand.window.statusbar.text == "Start: It is running already."
    assert stand.hypervisor.done == []
    close_stand(stand, until)


def test_risky_operations_ask_first_and_no_means_no(stand: Stand, until: Until) -> None:
    stand.select("v1")
    stand.dialogs.answers["confirm"] = False
    key(stand, stand.tree, "<Control-e>")
    assert stand.dialogs.asked == [("confirm", Verb.SHUTDOWN, ["web-frontend-01"])]
    assert stand.hypervisor.done == []
    stand.dialogs.answers["confirm"] = True
    key(stand, stand.tree, "<Control-e>")
    until(lambda: jobs_done(stand) == [("shutdown", "v1")])


def test_missing_tools_lead_to_the_hard_variant_in_the_same_dialog(
    stand: Stand, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hvconsole.errors import ToolsMissing

    def refuse(vm_id: str, ctx: object) -> None:
        raise ToolsMissing("The guest has no working tools.", "VM_MISSING_PV_DRIVERS")

    monkeypatch.setattr(stand.hypervisor, "shutdown", refuse)
    stand.dialogs.answers["hard"] = True
    stand.select("v6")
    stand.window.run(Verb.SHUTDOWN)
    until(lambda: jobs_done(stand) == [("power_off", "v6")])
    error = next(entry for entry in stand.dialogs.asked if entry[0] == "error")
    assert error[3] is Verb.POWER_OFF


def test_the_help_names_every_key_of_the_menus(stand: Stand) -> None:
    known = " ".join(left for left, _ in (*WINDOW_KEYS, *operation_keys())).replace(",", " ").split()
    commands = [c for c in stand.window.catalogue.all() if c.accelerator and not c.name.startswith("tab-")]
    missing = {c.accelerator for c in commands} - {*known, "Ctrl+,", "Ctrl+Shift+Tab"}
    assert not missing


def test_keys_for_typing_are_left_alone_in_text_fields(stand: Stand) -> None:
    stand.select("v1")
    key(stand, stand.window.search.entry, "<Delete>")
    key(stand, stand.window.search.entry, "<Control-e>")
    assert stand.dialogs.asked == []
    key(stand, stand.window.search.entry, "<F1>")
    assert stand.dialogs.asked == [("help",)]


def test_delete_asks_its_own_dialog(stand: Stand, until: Until) -> None:
    stand.select("v5")
    key(stand, stand.tree, "<Delete>")
    assert stand.dialogs.names() == ["arguments"]
    until(lambda: stand.hypervisor.done[:1] == [("delete", "v5", frozenset())])


def test_the_toolbar_offers_resume_for_a_suspended_machine(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until
) -> None:
    refusals = {
        "v4": {Verb.START: "It is suspended."},
        "v1": {v: "It is running." for v in (Verb.START, Verb.RESUME, Verb.UNPAUSE)},
    }
    stand = open_stand(root, theme, dispatcher, until, inventory=with_refusals(sample_inventory(), refusals))
    button = stand.window.toolbar.widget.nametowidget("tool-start")
    stand.select("v4")
    until(lambda: str(button.cget("text")).strip() == "Resume")
    stand.select("v1")
    until(lambda: button.instate(["disabled"]))
    assert "It is running." in stand.window.toolbar._shown[button][1]
    close_stand(stand, until)


# ---- menus -------------------------------------------------------------------------------------------------


def test_every_operation_is_in_a_menu_and_grey_ones_are_disabled(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until
) -> None:
    from hvconsole.operations import OPERATIONS

    refusals = {"v1": {Verb.START: "It is running already."}}
    stand = open_stand(root, theme, dispatcher, until, inventory=with_refusals(sample_inventory(), refusals), lab=True)
    stand.select("v1")
    labels: dict[str, str] = {}
    for name in ("File", "View", "Server", "Host", "VM", "Monitor", "Lab", "Help"):
        menu = stand.window.menubar.bar.component(f"{name}-menu")
        menu.tk.call(*menu.tk.splitlist(menu.cget("postcommand")))
        for index in range((menu.index("end") or 0) + 1):
            if menu.type(index) == "command":
                labels[menu.entrycget(index, "label").rstrip("…")] = menu.entrycget(index, "state")
    assert {op.label for op in OPERATIONS} <= set(labels)
    assert labels["Start"] == "disabled"
    assert labels["Reboot"] == "normal"
    assert labels["Enter maintenance mode"] == "disabled", "no host is selected"
    assert "Pull network cable" in labels
    close_stand(stand, until)


def test_the_menu_key_opens_the_context_menu_at_the_row(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[int, int]] = []
    monkeypatch.setattr(stand.window.context.menu, "tk_popup", lambda x, y: opened.append((x, y)))
    stand.select("v1")
    key(stand, stand.tree, "<Shift-F10>")
    menu = stand.window.context.menu
    labels = [menu.entrycget(i, "label") for i in range((menu.index("end") or 0) + 1) if menu.type(i) == "command"]
    assert labels[0] == "Start"
    assert "Monitor network" in labels
    tree = stand.tree
    assert tree.winfo_rooty() < opened[0][1] < tree.winfo_rooty() + tree.winfo_height()


def test_the_lab_menu_pulls_the_cable_of_the_selection(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until
) -> None:
    stand = open_stand(root, theme, dispatcher, until, lab=True)
    assert stand.lab is not None
    stand.select("v1")
    entries = {e.label: e for e in stand.window.lab.entries() if e is not None}  # type: ignore[union-attr]
    pull, plug = entries["Pull network cable"], entries["Plug network cable"]
    assert plug.why_not() == "The cable is plugged already."  # type: ignore[union-attr]
    pull.run()  # type: ignore[union-attr]
    assert len(stand.lab.pulled) == 1
    assert pull.why_not() == "The cable is pulled already."  # type: ignore[union-attr]
    entries["Fail the pool master"].run()  # type: ignore[union-attr]
    assert stand.lab.dead == {"h1"}
    close_stand(stand, until)


# ---- tabs, panes, keys -------------------------------------------------------------------------------------


def test_tabs_turn_by_keys_and_the_choice_stays_when_it_applies(stand: Stand, until: Until) -> None:
    stand.select("v1")
    key(stand, stand.tree, "<Control-Tab>")
    assert stand.window.tabs.current == "Snapshots"
    key(stand, stand.tree, "<Control-Key-3>")
    assert stand.window.tabs.current == "Monitor"
    stand.window.select(Selection((item(ItemKind.HOST, "h1"),)))
    assert stand.window.tabs.current == "General"
    assert stand.window.tabs.titles == ("General",)
    stand.select("v2")
    assert stand.window.tabs.current == "Monitor"
    key(stand, stand.tree, "<Control-Shift-Tab>")
    assert stand.window.tabs.current == "Snapshots"


def test_tabs_without_room_are_in_a_menu(stand: Stand, until: Until) -> None:
    window = stand.window
    place = tk.Toplevel(window.root)
    place.geometry("700x300+0+0")
    titles = ("General", "Snapshots", "Network", "Performance", "Monitor", "Console", "History")
    classes = [type("Page", (RecordingPage,), {"title": title}) for title in titles]
    tabs = Tabs(place, window.theme, window, classes, open_menu=window.context.open)
    tabs.widget.pack(fill="both", expand=True)
    tabs.show(Selection((item(ItemKind.VM, "v1"),)))

    def in_view(title: str) -> bool:
        button = tabs.buttons[title]
        return bool(button.winfo_ismapped()) and button.winfo_width() >= button.winfo_reqwidth()

    until(lambda: all(in_view(title) for title in titles))
    assert not tabs.more.winfo_ismapped()

    place.geometry("500x300")
    until(lambda: bool(tabs.more.winfo_ismapped()) and tabs.more.winfo_width() >= tabs.more.winfo_reqwidth())
    assert tabs.titles == titles
    assert tabs.in_menu == titles[-len(tabs.in_menu) :]
    assert all(in_view(title) for title in titles if title not in tabs.in_menu)

    tabs.more.invoke()
    menu = window.context.menu
    until(lambda: bool(menu.winfo_ismapped()))
    assert menu.entrycget("end", "label") == "History"
    menu.unpost()
    menu.invoke("end")
    until(lambda: in_view("History"))
    assert tabs.current == "History"
    assert "History" not in tabs.in_menu, "the tab of the visible page is always in the strip"

    place.geometry("700x300")
    until(lambda: all(in_view(title) for title in titles) and not tabs.more.winfo_ismapped())
    tabs.leave()
    place.destroy()


def test_only_the_visible_page_hears_events(stand: Stand, until: Until) -> None:
    stand.select("v1")
    stand.window.show_page("Snapshots")
    stand.window.services.hub.emit(MonitorChanged(SERVER, oid("v1")))
    until(lambda: len(stand.pages["Snapshots"].events) > 0)
    assert stand.pages["General"].hidden == 1
    heard = len(stand.pages["General"].events)
    stand.window.services.hub.emit(MonitorChanged(SERVER, oid("v1")))
    until(lambda: len(stand.pages["Snapshots"].events) > 1)
    assert len(stand.pages["General"].events) == heard


def test_f6_goes_round_tree_tabs_and_tasks(stand: Stand) -> None:
    stand.select("v1")
    root = stand.window.root
    key(stand, stand.tree, "<F6>")
    assert stand.window.tabs.contains(str(root.focus_get()))
    root.focus_get().event_generate("<F6>")  # type: ignore[union-attr]
    root.update()
    assert root.focus_get() is stand.window.tasks.list
    stand.window.tasks.list.event_generate("<F6>")
    root.update()
    assert root.focus_get() is stand.tree


def test_letters_jump_to_the_next_name_and_slash_searches(stand: Stand, until: Until) -> None:
    stand.select("v3")
    key(stand, stand.tree, "<Key>", keysym="w")
    assert stand.window.selection.ids == ("v1",)
    key(stand, stand.tree, "<Key>", keysym="w")
    assert stand.window.selection.ids == ("v2",), "the same letter again goes on"
    key(stand, stand.tree, "<slash>")
    until(lambda: stand.window.root.focus_get() is stand.window.search.entry)


def test_colours_switch_while_running_and_are_remembered(stand: Stand) -> None:
    key(stand, stand.tree, "<Control-d>")
    assert stand.window.theme.mode == "dark"
    assert stand.window.services.settings.current.appearance.mode == "dark"
    assert str(stand.window.root.cget("background")) == "#1D2127"
    assert str(stand.tree.tag_configure("bad", "foreground")) == "#FF7B72"
    key(stand, stand.tree, "<Control-d>")
    assert stand.window.theme.mode == "light"


# ---- notices and tasks -------------------------------------------------------------------------------------


def test_notices_come_and_go_and_stay_dismissed_until_they_change(stand: Stand, until: Until) -> None:
    hub, banner = stand.window.services.hub, stand.window.banner
    hub.emit(Notice("disk", "The disk is full.", "error"))
    until(lambda: banner.texts == {"disk": "The disk is full."})
    banner.dismiss("disk")
    hub.emit(Notice("disk", "The disk is full.", "error"))
    hub.emit(Notice("other", "x"))
    until(lambda: banner.texts == {"other": "x"})
    hub.emit(Notice("disk", "The disk is still full.", "error"))
    hub.emit(Notice("other", ""))
    until(lambda: banner.texts == {"disk": "The disk is still full."})


def view(number: int, state: JobState, **more: Any) -> JobView:
    values: dict[str, Any] = {
        "id": JobId(number + 1_000_000),
        "server_id": SERVER,
        "verb": "snapshot",
        "title": "Take snapshot",
        "subject": "db-primary",
        "subject_id": oid("v3"),
        "by": "user",
        "state": state,
        "submitted": NOW,
    }
    return JobView(**{**values, **more})


def test_the_task_panel_follows_a_job_to_its_error(stand: Stand, until: Until) -> None:
    from hvconsole.errors import NoSpace

    hub, tasks = stand.window.services.hub, stand.window.tasks
    until(lambda: bool(tasks._nothing.winfo_ismapped()), "a word about what will be here")
    hub.emit(JobChanged(view(1, JobState.RUNNING, fraction=0.64, text="Copying disk 2 of 3")))
    until(lambda: len(tasks.list.get_children("")) == 1)
    until(lambda: not tasks._nothing.winfo_ismapped())
    row = tasks.list.get_children("")[0]
    assert tasks.list.item(row, "text").strip() == "64 %"
    assert tasks.running() == 1
    hub.emit(JobChanged(view(1, JobState.FAILED, error=NoSpace("The storage is full.", "SR_FULL"))))
    until(lambda: tasks.list.item(row, "text").strip() == "Failed")
    assert tasks.list.set(row, "details") == "The storage is full."
    tasks.list.selection_set(row)
    tasks.show_details()
    assert stand.dialogs.asked[-1][:2] == ("error", "Take snapshot: db-primary")
    tasks.clear_finished()
    assert tasks.list.get_children("") == ()
    until(lambda: bool(tasks._nothing.winfo_ismapped()))


def test_the_status_bar_does_not_say_that_something_goes_on_when_it_is_done(stand: Stand, until: Until) -> None:
    hub, bar = stand.window.services.hub, stand.window.statusbar
    stand.window.status("Taking a snapshot: db-primary")
    hub.emit(JobChanged(view(1, JobState.RUNNING, fraction=0.5)))
    until(lambda: stand.window.tasks.running() == 1)
    assert bar.text == "Taking a snapshot: db-primary"
    hub.emit(JobChanged(view(2, JobState.RUNNING)))
    hub.emit(JobChanged(view(1, JobState.DONE)))
    until(lambda: stand.window.tasks.running() == 1)
    assert bar.text == "Taking a snapshot: db-primary", "another one is going on"
    hub.emit(JobChanged(view(2, JobState.FAILED)))
    until(lambda: bar.text.startswith("Ready"))


def test_what_the_monitor_sees_is_an_event_row(stand: Stand, until: Until) -> None:
    hub, tasks = stand.window.services.hub, stand.window.tasks
    hub.emit(Happened(NOW, "monitor", "outage", "Production", "mail-gw", detail="2 of 2 pings lost"))
    hub.emit(Happened(NOW, "root", "suspend", "Production", "mail-gw", outcome="done"))
    until(lambda: len(tasks.list.get_children("")) == 1)
    row = tasks.list.get_children("")[0]
    assert tasks.list.set(row, "what") == "Network lost"
    assert tasks.list.set(row, "on") == "mail-gw"


def test_old_finished_tasks_make_room(stand: Stand, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvconsole.ui.tasks.KEPT", 5)
    tasks = stand.window.tasks
    tasks.job_changed(view(0, JobState.RUNNING))
    for number in range(1, 10):
        tasks.job_changed(view(number, JobState.DONE))
    assert len(tasks.list.get_children("")) == 5
    assert tasks.running() == 1


# ---- closing -----------------------------------------------------------------------------------------------


def test_closing_waits_for_threads_without_blocking_and_remembers_the_place(stand: Stand, until: Until) -> None:
    stand.shutdown.left = ("job-1",)
    quits: list[bool] = []
    stand.window.root.quit = lambda: quits.append(True)  # type: ignore[method-assign]
    try:
        stand.window.quit()
        until(lambda: stand.shutdown.begun)
        assert quits == []
        stand.shutdown.left = ()
        until(lambda: quits == [True])
    finally:
        del stand.window.root.quit
    assert "x" in stand.window.services.settings.current.window.geometry
    stand.window.dispatcher.start()
    stand.window.root.deiconify()


def test_quitting_with_running_tasks_asks_first(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_theme: object, _root: object, _title: str, heading: str, *rest: str) -> bool:
        asked.append(heading)
        asked.append(rest[1])
        return False

    monkeypatch.setattr("hvconsole.ui.closing.confirm", answer)
    stand.window.tasks.job_changed(view(1, JobState.RUNNING))
    stand.window.quit()
    assert asked == ["1 task is still running.", "Cancel it and quit"]
    assert not stand.shutdown.begun
    stand.window.tasks.job_changed(view(2, JobState.RUNNING))
    stand.window.quit()
    assert asked[2:] == ["2 tasks are still running.", "Cancel them and quit"]


# ---- what commands act on ----------------------------------------------------------------------------------


def test_a_popup_acts_on_what_was_clicked_and_leaves_the_selection(
    stand: Stand, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    menu = stand.window.context.menu
    monkeypatch.setattr(menu, "tk_popup", lambda x, y: None)
    stand.select("v1")
    stand.window.popup(Selection((item(ItemKind.VM, "v2"),)), 10, 10)
    index = next(i for i in range(20) if menu.type(i) == "command" and menu.entrycget(i, "label") == "Reboot")
    menu.invoke(index)
    assert stand.dialogs.asked == [("confirm", Verb.REBOOT, ["web-frontend-02"])]
    assert stand.window.selection.ids == ("v1",)


def test_keys_act_on_the_table_that_has_the_keyboard(stand: Stand, until: Until) -> None:
    stand.select("v1")
    page = stand.window.tabs.page
    page.chosen = lambda: Selection((item(ItemKind.VM, "v2"), item(ItemKind.VM, "v3")))  # type: ignore[union-attr]
    button = tk.Button(page.widget, text="table")  # type: ignore[union-attr]
    button.pack()
    key(stand, button, "<Control-r>")
    assert stand.dialogs.asked == [("confirm", Verb.REBOOT, ["web-frontend-02", "db-primary"])]
    key(stand, stand.tree, "<Control-r>")
    assert stand.dialogs.asked[-1] == ("confirm", Verb.REBOOT, ["web-frontend-01"])


def test_delete_in_another_list_does_not_mean_the_selected_machine(stand: Stand) -> None:
    stand.select("v1")
    tasks = stand.window.tasks
    tasks.job_changed(view(1, JobState.RUNNING))
    tasks.list.selection_set(tasks.list.get_children("")[0])
    key(stand, tasks.list, "<Delete>")
    other = tk.Button(stand.window.tabs.page.widget, text="a list of snapshots")  # type: ignore[union-attr]
    other.pack()
    key(stand, other, "<Delete>")
    key(stand, other, "<F2>")
    assert stand.dialogs.asked == []
    key(stand, stand.tree, "<Delete>")
    assert stand.dialogs.names() == ["arguments"]


# ---- room --------------------------------------------------------------------------------------------------


def clipped(widget: tk.Misc) -> list[str]:
    """Buttons and labels that are shown smaller than they need."""
    found = []
    for child in widget.winfo_children():
        if not child.winfo_ismapped():
            continue
        if child.winfo_class() in ("TButton", "TLabel", "Label", "TRadiobutton", "TCheckbutton", "Menubutton"):
            short = child.winfo_width() < child.winfo_reqwidth() or child.winfo_height() < child.winfo_reqheight()
            if short and str(child.cget("text")):
                found.append(f"{child}: {child.cget('text')}")
        found += clipped(child)
    return found


@pytest.mark.parametrize("size", ["1024x700", "1600x1000"])
@pytest.mark.parametrize("name", ["short", "a machine with a rather long name of nearly sixty characters"])
def test_nothing_in_the_window_is_clipped(stand: Stand, until: Until, size: str, name: str) -> None:
    stand.hypervisor.change(v1=replace(stand.hypervisor.inventory.vms[oid("v1")], name=name))
    root = stand.window.root
    root.geometry(f"{size}+0+0")
    until(lambda: name in stand.vm_names() and f"{root.winfo_width()}x{root.winfo_height()}" == size)
    stand.select("v1")
    stand.window.banner.show("x", "The certificate of Production has changed.", "error", [("Show certificate…", list)])
    until(lambda: stand.window.header.name.cget("text").startswith(name[:5]))
    until(lambda: clipped(root) == [])
