"""Menus: letters, marks, reasons; toolbar and keyboard built from the same commands."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from dataclasses import replace

import pytest

from hvconsole.model import PowerState, Verb
from hvconsole.monitor.status import MonitorSettings, MonitorState, MonitorStatus
from hvconsole.operation import Scope
from hvconsole.operations import OPERATIONS
from hvconsole.ui.commands import Command, accelerator, operation_commands, verbs
from hvconsole.ui.looks import host_look, rtt_text, short_age, snapshot_look, vm_look, vm_tip
from hvconsole.ui.menus import ContextMenu, MenuFiller, Submenu, free_letter
from hvconsole.ui.theme import Theme
from tests.ui.shell_stage import key_of
from tests.ui.stage import HOSTILE, NOW, sample_inventory, snapshot, vm

Until = Callable[..., None]


def test_each_entry_of_a_menu_gets_a_letter_of_its_own() -> None:
    taken: set[str] = set()
    labels = ["Start", "Shut down", "Suspend", "Stop", "…", "Sss"]
    letters = [(label, free_letter(label, taken)) for label in labels]
    used = [label[i].casefold() for label, i in letters if i >= 0]
    assert len(used) == len(set(used))
    assert letters[0] == ("Start", 0)
    assert letters[1] == ("Shut down", 5), "the first letter of a word is preferred"
    assert letters[4][1] == letters[5][1] == -1


def test_shortcuts_are_written_as_people_write_them() -> None:
    assert accelerator("Control-Shift-S") == "Ctrl+Shift+S"
    assert accelerator("Control-b") == "Ctrl+B"
    assert accelerator("Control-comma") == "Ctrl+,"
    assert accelerator("Delete") == "Del"
    assert accelerator("") == ""


def test_operations_become_commands_without_exception() -> None:
    ran: list[Verb] = []
    commands = operation_commands(ran.append, lambda verb: f"no {verb}")
    assert list(commands) == [str(op.verb) for op in OPERATIONS]
    commands["start"].run()
    assert ran == [Verb.START]
    assert commands["delete"].label == "Delete…"
    assert commands["start"].why_not() == "no start"
    assert Verb.MIGRATE in verbs(Scope.VM, "life")


@pytest.mark.display
def test_grey_entries_explain_themselves_under_the_pointer(root: tk.Tk, theme: Theme, until: Until) -> None:
    said: list[str] = []
    ran: list[str] = []
    filler = MenuFiller(theme, said.append, lambda command: ran.append(command.name))
    context = ContextMenu(root, filler)
    entries = [
        Command("one", "One", lambda: None),
        None,
        None,
        Command("two", "Two", lambda: None, lambda: "Two needs one."),
        Command("on", "On", lambda: None, checked=lambda: True),
        Submenu("More", lambda: [Command("three", "Three", lambda: None)]),
        None,
    ]
    context.open(entries, 50, 50)
    until(lambda: bool(context.menu.winfo_ismapped()))
    menu = context.menu
    assert [menu.type(i) for i in range((menu.index("end") or 0) + 1)] == [
        "command",
        "separator",
        "command",
        "command",
        "cascade",
    ], "double and trailing lines are left out"
    assert menu.entrycget(2, "state") == "disabled"
    menu.event_generate("<Motion>", x=10, y=menu.yposition(2) + 5)
    until(lambda: "Two needs one." in said)
    tip = filler._tip
    assert tip is not None
    menu.event_generate("<Motion>", x=10, y=menu.yposition(0) + 5)
    until(lambda: filler._tip is None)
    menu.invoke(0)
    assert ran == ["one"]
    menu.unpost()


# ---- how rows look -----------------------------------------------------------------------------------------


def status(state: MonitorState, rtt_ms: float | None = None, reason: str = "") -> MonitorStatus:
    return MonitorStatus(
        key=key_of("v1"),
        vm_name="x",
        settings=MonitorSettings(),
        address="10.0.0.7",
        state=state,
        state_since=NOW,
        last_rtt_ms=rtt_ms,
        reason=reason,
        would_have_fired={},
    )


def test_a_machine_that_lost_its_network_looks_so_only_while_it_runs() -> None:
    down = status(MonitorState.DOWN)
    lost = vm_look(vm("v1", "a"), True, down, stale=False)
    assert (lost.sign, lost.rtt.strip(), lost.tags) == ("state:error", "no reply", ("bad",))
    halted = vm_look(vm("v1", "a", PowerState.HALTED), True, down, stale=False)
    assert (halted.sign, halted.rtt) == ("state:halted", "")
    unticked = vm_look(vm("v1", "a"), False, down, stale=False)
    assert unticked.sign == "state:running"


def test_a_busy_machine_shows_it_and_its_tip_says_with_what() -> None:
    busy = vm("v1", "a", operations=("pool_migrate",))
    assert vm_look(busy, False, None, stale=False).sign == "state:busy"
    tip = vm_tip(busy, status(MonitorState.PAUSED, reason="The VM is migrating."))
    assert "pool migrate" in tip
    assert "The VM is migrating." in tip


def test_hostile_names_are_made_safe_on_their_way_to_the_screen() -> None:
    look = vm_look(vm("v1", HOSTILE), False, None, stale=False)
    assert "\u202e" not in look.text
    assert len(look.text) < 200
    assert "\u202e" not in vm_tip(vm("v1", HOSTILE), None)


def test_hosts_say_what_is_wrong_with_them() -> None:
    host = sample_inventory().hosts["h3"]  # type: ignore[index]
    assert host_look(host, stale=False).text.endswith("maintenance")
    assert host_look(host, stale=False).badge == "warn"


def test_automatic_snapshots_and_the_present_one_are_marked() -> None:
    assert snapshot_look(snapshot("s", "x", 1, auto=True), False, False).sign == "activity"
    assert snapshot_look(snapshot("s", "x", 1), True, False).text == "x  ·  you are here"


@pytest.mark.parametrize(
    ("state", "rtt", "text"),
    [
        (MonitorState.UP, 0.44, "0.4 ms"),
        (MonitorState.UP, 12.6, "13 ms"),
        (MonitorState.UP, None, "no reply"),
        (MonitorState.SUSPECT, None, "no reply"),
        (MonitorState.LEARNING, None, "waiting"),
        (MonitorState.PAUSED, None, "paused"),
    ],
)
def test_the_round_trip_column(state: MonitorState, rtt: float | None, text: str) -> None:
    assert rtt_text(status(state, rtt)).strip() == text


def test_the_round_trip_column_of_a_vm_without_a_known_address() -> None:
    nowhere = replace(status(MonitorState.PAUSED, None), address="")
    assert rtt_text(nowhere).strip() == "no address"


@pytest.mark.parametrize(("seconds", "text"), [(9, "9 s"), (300, "5 min"), (7200, "2 h"), (400_000, "4 d")])
def test_ages_are_short(seconds: float, text: str) -> None:
    assert short_age(seconds) == text
