"""Why a VM or host of a XenServer pool cannot do something now: allowed, current and blocked operations → sentences.

Pure; any thread. Equal answers are one shared mapping: 10,000 VMs have a few dozen different ones.
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType

from hvconsole import whynot
from hvconsole.model import NO_REFUSALS, PowerState, Refusals, ToolsState, Verb, VmKind

TOOLS_NAME = "XenServer VM Tools"

_RUNNING = frozenset({PowerState.RUNNING})
_HALTED = frozenset({PowerState.HALTED})
_STOPPED = frozenset({PowerState.HALTED, PowerState.SUSPENDED})
_ANY = frozenset(PowerState)

_RULES: dict[Verb, tuple[str, frozenset[PowerState]]] = {
    Verb.START: ("start", _HALTED),
    Verb.START_ON: ("start_on", _HALTED),
    Verb.SHUTDOWN: ("clean_shutdown", _RUNNING),
    Verb.POWER_OFF: ("hard_shutdown", frozenset({PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED})),
    Verb.REBOOT: ("clean_reboot", _RUNNING),
    Verb.RESET: ("hard_reboot", frozenset({PowerState.RUNNING, PowerState.PAUSED})),
    Verb.SUSPEND: ("suspend", _RUNNING),
    Verb.RESUME: ("resume", frozenset({PowerState.SUSPENDED})),
    Verb.PAUSE: ("pause", _RUNNING),
    Verb.UNPAUSE: ("unpause", frozenset({PowerState.PAUSED})),
    Verb.SNAPSHOT: ("snapshot", _ANY),
    Verb.SNAPSHOT_MEMORY: (
        "checkpoint",
        frozenset({PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED}),
    ),
    Verb.SNAPSHOT_QUIESCE: ("snapshot_with_quiesce", _RUNNING),
    Verb.CLONE: ("clone", _STOPPED),
    Verb.COPY: ("copy", _STOPPED),
    Verb.DELETE: ("destroy", _STOPPED),
    Verb.MIGRATE: ("pool_migrate", _RUNNING),
    Verb.TO_TEMPLATE: ("make_into_template", _HALTED),
    Verb.EXPORT: ("export", _STOPPED),
}
"""Verb → (xapi's operation, power states in which it is legal)."""

_NEEDS_TOOLS = frozenset({Verb.SHUTDOWN, Verb.REBOOT, Verb.SUSPEND, Verb.SNAPSHOT_MEMORY, Verb.SNAPSHOT_QUIESCE})
_TEMPLATE_VERBS = frozenset({Verb.CLONE, Verb.COPY, Verb.EXPORT, Verb.DELETE})
_KIND_WORDS = {
    VmKind.TEMPLATE: "a template",
    VmKind.DEFAULT_TEMPLATE: "a built-in template",
    VmKind.CONTROL_DOMAIN: "a control domain",
}


@lru_cache(maxsize=4096)
def vm_refusals(
    kind: VmKind,
    power: PowerState,
    allowed: frozenset[str] | None,
    operations: tuple[str, ...],
    blocked: tuple[tuple[str, str], ...],
    tools: ToolsState,
    has_snapshots: bool,
) -> Refusals:
    """The refusals of a VM or template. ``allowed`` None: the server does not say, so only the state decides."""
    reasons = dict(blocked)
    found: dict[Verb, str] = {}
    for verb, (operation, legal) in _RULES.items():
        if kind is not VmKind.VM and not (
            (kind is VmKind.TEMPLATE and verb in _TEMPLATE_VERBS)
            or (kind is VmKind.DEFAULT_TEMPLATE and verb in _TEMPLATE_VERBS - {Verb.DELETE})
        ):
            found[verb] = whynot.kind(verb, _KIND_WORDS[kind])
        elif operation in reasons:
            found[verb] = whynot.blocked(reasons[operation])
        elif allowed is not None and operation in allowed:
            continue
        elif power not in legal and power is not PowerState.UNKNOWN:
            found[verb] = whynot.wrong_state(verb, power, legal)
        elif operations:
            found[verb] = whynot.busy(operations)
        elif verb in _NEEDS_TOOLS and (
            tools is ToolsState.MISSING or (allowed is not None and tools is not ToolsState.RUNNING)
        ):
            found[verb] = whynot.tools_missing(verb, TOOLS_NAME)
        elif allowed is not None:
            found[verb] = whynot.not_offered(verb)
    _snapshot_verbs(found, kind, operations, reasons, has_snapshots)
    if kind is VmKind.CONTROL_DOMAIN:
        found[Verb.RENAME] = whynot.kind(Verb.RENAME, _KIND_WORDS[kind])
    not_now = to_vm_refusal(kind, operations)
    if not_now is not None:
        found[Verb.TO_VM] = not_now
    found[Verb.STANDBY] = whynot.not_offered(Verb.STANDBY)
    return MappingProxyType(found)


def to_vm_refusal(kind: VmKind, operations: tuple[str, ...]) -> str | None:
    """Why it can't become a VM: xapi has no name for that among its allowed operations."""
    if kind is VmKind.VM:
        return whynot.NO_TEMPLATE
    if kind is not VmKind.TEMPLATE:
        return whynot.kind(Verb.TO_VM, _KIND_WORDS[kind])
    return whynot.busy(operations) if operations else None


def _snapshot_verbs(
    found: dict[Verb, str],
    kind: VmKind,
    operations: tuple[str, ...],
    reasons: dict[str, str],
    has_snapshots: bool,
) -> None:
    """Reverting and deleting are operations of the snapshot, not of the VM, so its own list says nothing."""
    for verb, operation in ((Verb.REVERT, "revert"), (Verb.DELETE_SNAPSHOT, "")):
        if kind is not VmKind.VM:
            found[verb] = whynot.kind(verb, _KIND_WORDS[kind])
        elif operation and operation in reasons:
            found[verb] = whynot.blocked(reasons[operation])
        elif not has_snapshots:
            found[verb] = "The VM has no snapshots."
        elif verb is Verb.REVERT and operations:
            found[verb] = whynot.busy(operations)


@lru_cache(maxsize=64)
def host_refusals(live: bool | None, enabled: bool, operations: tuple[str, ...]) -> Refusals:
    """The refusals of a host."""
    found: dict[Verb, str] = {}
    if live is False:
        away = "The host doesn't answer its pool."
        for verb in (Verb.ENTER_MAINTENANCE, Verb.LEAVE_MAINTENANCE, Verb.HOST_REBOOT, Verb.HOST_SHUTDOWN):
            found[verb] = away
        return MappingProxyType(found)
    if enabled:
        found[Verb.LEAVE_MAINTENANCE] = "The host isn't in maintenance."
    else:
        found[Verb.ENTER_MAINTENANCE] = "The host is in maintenance already."
    going = tuple(name for name in operations if name in ("evacuate", "reboot", "shutdown"))
    if going:
        for verb in (Verb.ENTER_MAINTENANCE, Verb.LEAVE_MAINTENANCE, Verb.HOST_REBOOT, Verb.HOST_SHUTDOWN):
            found[verb] = whynot.busy(going)
    return MappingProxyType(found) if found else NO_REFUSALS


_NOT_IN_EMERGENCY = MappingProxyType(
    {
        Verb.BECOME_MASTER: "The host isn't in emergency mode.",
        Verb.POINT_TO_MASTER: "The host isn't in emergency mode.",
    }
)


_NOT_ROOT = MappingProxyType({**_NOT_IN_EMERGENCY, Verb.CHANGE_PASSWORD: "Only root can change root's password."})


def pool_refusals(user: str) -> Refusals:
    """The refusals of a pool that works, for ``user``."""
    return _NOT_IN_EMERGENCY if user == "root" else _NOT_ROOT
