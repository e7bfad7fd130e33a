"""What the server would refuse now, and why: power state, tools, ``disabledMethod``, kind of server. Pure; any thread.

VMs in the same situation share one mapping; ten thousand of them need a dozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from hvconsole import whynot
from hvconsole.model import NO_REFUSALS, PowerState, Refusals, ToolsState, Verb

TOOLS_NAME = "VMware Tools"
NO_CLONE = (
    "An ESXi host can't clone or make templates by itself. Connect to the vCenter that manages it, "
    "or export the VM and import it again."
)
NO_MIGRATE = "Moving a VM needs a vCenter; this is a single ESXi host."
ORPHANED = {
    "disconnected": "Its host is not connected to the vCenter.",
    "orphaned": "The VM is orphaned: its host doesn't know it any more.",
    "inaccessible": "The VM's files can't be reached by its host.",
    "invalid": "The server can't read the VM's configuration.",
}
"""Connection state of a VM → why nothing can be done with it."""
_LOST = frozenset({"orphaned", "inaccessible", "invalid"})
"""States in which all that is left is to take the VM off the inventory."""
_NOT_LOST = "The server has this VM and its files. Delete takes it away together with them."

_ON = frozenset({PowerState.RUNNING})
_OFF = frozenset({PowerState.HALTED})
_PARKED = frozenset({PowerState.HALTED, PowerState.SUSPENDED})
_UP = frozenset({PowerState.RUNNING, PowerState.SUSPENDED})
_ANY = frozenset({PowerState.RUNNING, PowerState.HALTED, PowerState.SUSPENDED})

LEGAL: Mapping[Verb, frozenset[PowerState]] = MappingProxyType(
    {
        Verb.START: _OFF,
        Verb.START_ON: _OFF,
        Verb.RESUME: frozenset({PowerState.SUSPENDED}),
        Verb.SHUTDOWN: _ON,
        Verb.REBOOT: _ON,
        Verb.STANDBY: _ON,
        Verb.POWER_OFF: _UP,
        Verb.RESET: _ON,
        Verb.SUSPEND: _ON,
        Verb.SNAPSHOT: _ANY,
        Verb.SNAPSHOT_MEMORY: _UP,
        Verb.SNAPSHOT_QUIESCE: _ON,
        Verb.REVERT: _ANY,
        Verb.DELETE_SNAPSHOT: _ANY,
        Verb.CLONE: _ANY,
        Verb.COPY: _ANY,
        Verb.RENAME: _ANY,
        Verb.DELETE: _PARKED,
        Verb.UNREGISTER: _ANY,
        Verb.MIGRATE: _ANY,
        Verb.TO_TEMPLATE: _OFF,
        Verb.TO_VM: _OFF,
        Verb.EXPORT: _OFF,
    }
)
"""Verb → power states in which the server accepts it."""

METHODS: Mapping[Verb, str] = MappingProxyType(
    {
        Verb.START: "PowerOnVM_Task",
        Verb.START_ON: "PowerOnVM_Task",
        Verb.RESUME: "PowerOnVM_Task",
        Verb.SHUTDOWN: "ShutdownGuest",
        Verb.REBOOT: "RebootGuest",
        Verb.STANDBY: "StandbyGuest",
        Verb.POWER_OFF: "PowerOffVM_Task",
        Verb.RESET: "ResetVM_Task",
        Verb.SUSPEND: "SuspendVM_Task",
        Verb.SNAPSHOT: "CreateSnapshot_Task",
        Verb.SNAPSHOT_MEMORY: "CreateSnapshot_Task",
        Verb.SNAPSHOT_QUIESCE: "CreateSnapshot_Task",
        Verb.CLONE: "CloneVM_Task",
        Verb.COPY: "CloneVM_Task",
        Verb.RENAME: "Rename_Task",
        Verb.DELETE: "Destroy_Task",
        Verb.UNREGISTER: "UnregisterVM",
        Verb.MIGRATE: "RelocateVM_Task",
        Verb.TO_TEMPLATE: "MarkAsTemplate",
        Verb.TO_VM: "MarkAsVirtualMachine",
        Verb.EXPORT: "ExportVm",
    }
)
"""Verb → the method that ``disabledMethod`` would name."""

ASKS_GUEST = frozenset({Verb.SHUTDOWN, Verb.REBOOT, Verb.STANDBY, Verb.SNAPSHOT_QUIESCE})
"""Verbs that need running tools."""
NOT_WITH_TEMPLATES = frozenset(LEGAL) - {
    Verb.CLONE, Verb.COPY, Verb.RENAME, Verb.DELETE, Verb.EXPORT, Verb.TO_VM
}  # fmt: skip
VCENTER_ONLY: Mapping[Verb, str] = MappingProxyType(
    {
        Verb.CLONE: NO_CLONE,
        Verb.COPY: NO_CLONE,
        Verb.TO_TEMPLATE: NO_CLONE,
        Verb.TO_VM: NO_CLONE,
        Verb.MIGRATE: NO_MIGRATE,
        Verb.START_ON: NO_MIGRATE,
    }
)
_HOST_METHODS = {
    Verb.ENTER_MAINTENANCE: "EnterMaintenanceMode_Task",
    Verb.LEAVE_MAINTENANCE: "ExitMaintenanceMode_Task",
    Verb.HOST_REBOOT: "RebootHost_Task",
    Verb.HOST_SHUTDOWN: "ShutdownHost_Task",
}


@dataclass(frozen=True, slots=True)
class VmFacts:
    """What decides about a VM's verbs."""

    power: PowerState
    tools: ToolsState
    template: bool
    connection: str
    disabled: frozenset[str]
    vcenter: bool
    busy: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def vm_refusals(facts: VmFacts) -> Refusals:
    """Verb → one sentence, for a VM."""
    found: dict[Verb, str] = {}
    for verb, legal in LEGAL.items():
        reason = _vm_reason(verb, legal, facts)
        if reason is not None:
            found[verb] = reason
    return MappingProxyType(found) if found else NO_REFUSALS


def unregister_refusal(connection: str) -> str | None:
    """Why a VM in this connection state isn't taken off the inventory."""
    return None if connection in _LOST else ORPHANED.get(connection, _NOT_LOST)


def _vm_reason(verb: Verb, legal: frozenset[PowerState], facts: VmFacts) -> str | None:
    if not facts.vcenter and verb in VCENTER_ONLY:
        return VCENTER_ONLY[verb]
    if verb is Verb.UNREGISTER and facts.connection in _LOST:
        return _disabled(verb, facts)
    if facts.connection in ORPHANED:
        return ORPHANED[facts.connection]
    if verb is Verb.UNREGISTER:
        return unregister_refusal(facts.connection)
    if facts.template:
        return whynot.kind(verb, "a template") if verb in NOT_WITH_TEMPLATES else None
    if verb is Verb.TO_VM:
        return whynot.NO_TEMPLATE
    if facts.power not in legal:
        return whynot.wrong_state(verb, facts.power, legal)
    if verb in ASKS_GUEST and facts.tools is not ToolsState.RUNNING:
        return whynot.tools_missing(verb, TOOLS_NAME)
    return _disabled(verb, facts)


def _disabled(verb: Verb, facts: VmFacts) -> str | None:
    method = METHODS.get(verb, "-")
    if verb is Verb.DELETE and facts.power is PowerState.SUSPENDED:
        method = "PowerOffVM_Task"  # which comes first then; as long as it is suspended, it can't be deleted
    if method in facts.disabled:
        return whynot.busy(facts.busy) if facts.busy else whynot.not_offered(verb)
    return None


@lru_cache(maxsize=256)
def host_refusals(connection: str, maintenance: bool, disabled: frozenset[str], power: str = "") -> Refusals:
    """Verb → one sentence, for a host. ``connection``: "connected", "disconnected" or "notResponding"."""
    asleep = "The host is in standby; the vCenter powers it on again."
    away = asleep if power == "standBy" else "The host doesn't answer."
    found: dict[Verb, str] = {}
    for verb, method in _HOST_METHODS.items():
        if connection and connection != "connected":
            found[verb] = away
        elif verb is Verb.ENTER_MAINTENANCE and maintenance:
            found[verb] = "The host is in maintenance mode already."
        elif verb is Verb.LEAVE_MAINTENANCE and not maintenance:
            found[verb] = "The host isn't in maintenance mode."
        elif method in disabled:
            found[verb] = whynot.not_offered(verb)
    return MappingProxyType(found) if found else NO_REFUSALS
