"""Why something is greyed: one sentence per verb, in the order in which the server itself would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from hvconsole.backends.xen_refusals import host_refusals, vm_refusals
from hvconsole.model import PowerState, Refusals, ToolsState, Verb, VmKind

RUNNING = frozenset({"pause", "hard_reboot", "hard_shutdown", "snapshot", "clean_shutdown", "clean_reboot", "suspend"})


def refusals(
    *,
    kind: VmKind = VmKind.VM,
    power: PowerState = PowerState.RUNNING,
    allowed: frozenset[str] | None = RUNNING,
    operations: tuple[str, ...] = (),
    blocked: tuple[tuple[str, str], ...] = (),
    tools: ToolsState = ToolsState.RUNNING,
    has_snapshots: bool = False,
) -> Refusals:
    return vm_refusals(kind, power, allowed, operations, blocked, tools, has_snapshots)


def test_what_the_server_allows_is_not_refused() -> None:
    found = refusals()
    assert not {Verb.SHUTDOWN, Verb.POWER_OFF, Verb.SNAPSHOT, Verb.RENAME} & set(found)
    assert found[Verb.START] == "The VM is running; starting needs it to be shut down."


@pytest.mark.parametrize("tools", [ToolsState.MISSING, ToolsState.INSTALLED, ToolsState.UNKNOWN])
def test_guest_that_cannot_be_asked(tools: ToolsState) -> None:
    allowed = RUNNING - {"clean_shutdown", "clean_reboot", "suspend"}
    found = refusals(allowed=allowed, tools=tools)
    for verb in (Verb.SHUTDOWN, Verb.REBOOT, Verb.SUSPEND):
        assert "XenServer VM Tools" in found[verb]
    assert Verb.POWER_OFF not in found


def test_busy_comes_before_tools_and_after_the_state() -> None:
    found = refusals(allowed=frozenset(), operations=("snapshot",), tools=ToolsState.MISSING)
    assert "in progress: snapshot" in found[Verb.SHUTDOWN]
    assert "shut down" in found[Verb.START]


def test_blocked_shows_the_administrators_reason() -> None:
    found = refusals(blocked=(("hard_shutdown", "ask Anna‮"),))
    assert "ask Anna" in found[Verb.POWER_OFF]
    assert "‮" not in found[Verb.POWER_OFF]


def test_without_a_list_only_the_state_decides() -> None:
    found = refusals(allowed=None)
    assert Verb.SHUTDOWN not in found
    assert Verb.START in found
    assert Verb.SHUTDOWN in refusals(allowed=None, tools=ToolsState.MISSING)


def test_unknown_state_refuses_nothing_by_state() -> None:
    assert Verb.START not in refusals(allowed=None, power=PowerState.UNKNOWN)


@pytest.mark.parametrize(
    ("kind", "open_verbs"),
    [
        (VmKind.TEMPLATE, {Verb.CLONE, Verb.COPY, Verb.EXPORT, Verb.DELETE, Verb.RENAME}),
        (VmKind.DEFAULT_TEMPLATE, {Verb.CLONE, Verb.COPY, Verb.EXPORT, Verb.RENAME}),
        (VmKind.CONTROL_DOMAIN, set[Verb]()),
    ],
)
def test_kinds(kind: VmKind, open_verbs: set[Verb]) -> None:
    found = refusals(kind=kind, power=PowerState.HALTED, allowed=frozenset({"clone", "copy", "export", "destroy"}))
    of_vms = {Verb.START, Verb.SHUTDOWN, Verb.SNAPSHOT, Verb.REVERT, Verb.MIGRATE, Verb.TO_TEMPLATE}
    assert of_vms <= set(found)
    assert not open_verbs & set(found)


def test_only_templates_of_ones_own_become_vms() -> None:
    assert refusals()[Verb.TO_VM] == "It is no template."
    template: dict[str, Any] = {"kind": VmKind.TEMPLATE, "power": PowerState.HALTED}
    assert Verb.TO_VM not in refusals(**template)
    assert "in progress" in refusals(**template, operations=("clone",))[Verb.TO_VM]
    assert "built-in" in refusals(kind=VmKind.DEFAULT_TEMPLATE)[Verb.TO_VM]
    assert "control domain" in refusals(kind=VmKind.CONTROL_DOMAIN)[Verb.TO_VM]


def test_revert_needs_a_snapshot() -> None:
    assert refusals()[Verb.REVERT] == "The VM has no snapshots."
    assert Verb.REVERT not in refusals(has_snapshots=True)
    assert "in progress" in refusals(has_snapshots=True, operations=("clone",))[Verb.REVERT]


def test_equal_answers_are_one_object() -> None:
    assert refusals() is refusals()


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        ({"live": True, "enabled": True}, {Verb.LEAVE_MAINTENANCE}),
        ({"live": True, "enabled": False}, {Verb.ENTER_MAINTENANCE}),
        (
            {"live": False, "enabled": True},
            {Verb.LEAVE_MAINTENANCE, Verb.ENTER_MAINTENANCE, Verb.HOST_REBOOT, Verb.HOST_SHUTDOWN},
        ),
    ],
)
def test_hosts(state: dict[str, Any], refused: set[Verb]) -> None:
    assert set(host_refusals(operations=(), **state)) == refused
