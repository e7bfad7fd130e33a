"""Which VM operations a pool allows when, and how it refuses the others: xapi's table and order of checks.

Called with ``world.lock`` held.
"""

from __future__ import annotations

from hvconsole.lab.objects import Power, Snapshot, Vm
from hvconsole.lab.xapi.failures import Failure, braces

_H, _S, _R, _P = Power.HALTED, Power.SUSPENDED, Power.RUNNING, Power.PAUSED
_ALL = (_H, _P, _R, _S)

STATES: dict[str, tuple[Power, ...]] = {
    "start": (_H,),
    "start_on": (_H,),
    "provision": (_H,),
    "make_into_template": (_H,),
    "create_vtpm": (_H,),
    "clone": (_H,),
    "copy": (_H,),
    "destroy": (_H, _S),
    "export": (_H, _S),
    "unpause": (_P,),
    "resume": (_S,),
    "resume_on": (_S,),
    "pause": (_R,),
    "suspend": (_R,),
    "clean_shutdown": (_R,),
    "clean_reboot": (_R,),
    "pool_migrate": (_R,),
    "changing_VCPUs_live": (_R,),
    "send_sysrq": (_R,),
    "send_trigger": (_R,),
    "hard_reboot": (_P, _R),
    "shutdown": (_P, _S, _R),
    "hard_shutdown": (_P, _S, _R),
    "checkpoint": (_P, _S, _R),
    "migrate_send": (_H, _S, _R),
    "snapshot": _ALL,
    "snapshot_with_quiesce": (_R,),
    "revert": _ALL,
    "reverting": _ALL,
    "metadata_export": _ALL,
    "changing_dynamic_range": (_H, _R),
    "changing_static_range": (_H,),
    "changing_VCPUs": (_H,),
    "changing_memory_limits": (_H,),
    "changing_shadow_memory": (_H,),
    "data_source_op": _ALL,
    "update_allowed_operations": _ALL,
    "power_state_reset": _ALL,
    "import": _ALL,
    "awaiting_memory_live": (_R,),
    "query_services": (_R,),
    "get_boot_record": _ALL,
    "call_plugin": (_R,),
    "csvm": _ALL,
    "changing_NVRAM": (_H,),
}
"""Operation → power states in which it is legal."""

ADVERTISED = (
    "snapshot",
    "start_on",
    "start",
    "clone",
    "copy",
    "make_into_template",
    "export",
    "destroy",
    "resume",
    "resume_on",
    "pause",
    "unpause",
    "suspend",
    "clean_shutdown",
    "clean_reboot",
    "hard_shutdown",
    "hard_reboot",
    "checkpoint",
    "pool_migrate",
    "migrate_send",
    "provision",
    "revert",
    "changing_dynamic_range",
    "changing_static_range",
    "changing_memory_limits",
    "changing_VCPUs",
    "changing_VCPUs_live",
    "changing_shadow_memory",
    "metadata_export",
    "send_sysrq",
    "send_trigger",
    "data_source_op",
)
"""What ``allowed_operations`` may list."""

_ON_TEMPLATES = frozenset(
    {
        "clone",
        "copy",
        "export",
        "provision",
        "changing_dynamic_range",
        "changing_static_range",
        "changing_VCPUs",
        "changing_memory_limits",
        "changing_shadow_memory",
        "metadata_export",
        "destroy",
        "migrate_send",
        "update_allowed_operations",
        "changing_NVRAM",
    }
)
_NOT_ON_DEFAULTS = frozenset({"destroy", "migrate_send"})
_ON_SNAPSHOTS = frozenset(
    {"revert", "clone", "copy", "export", "destroy", "hard_shutdown", "metadata_export", "update_allowed_operations"}
)
_ON_CONTROL_DOMAINS = frozenset(
    {
        "changing_dynamic_range",
        "changing_memory_limits",
        "data_source_op",
        "update_allowed_operations",
        "metadata_export",
        "changing_VCPUs_live",
        "awaiting_memory_live",
    }
)
_NEED_TOOLS = frozenset({"clean_shutdown", "clean_reboot", "suspend", "checkpoint", "pool_migrate", "migrate_send"})
"""Refused to guests without the feature; xapi's code for each is the same."""
_STRICT_ONLY = frozenset({"clean_shutdown", "clean_reboot"})
_TOGETHER = (frozenset({"clone", "copy", "export"}), frozenset({"snapshot", "checkpoint"}))

WORDS: dict[str, str] = {
    "start": "start",
    "shutdown": "clean_shutdown",
    "power_off": "hard_shutdown",
    "reboot": "clean_reboot",
    "reset": "hard_reboot",
    "suspend": "suspend",
    "resume": "resume",
    "pause": "pause",
    "unpause": "unpause",
    "snapshot": "snapshot",
    "snapshot_memory": "checkpoint",
    "revert": "reverting",
    "delete_snapshot": "destroy",
    "clone": "clone",
    "copy": "copy",
    "export": "export",
    "import": "import",
    "delete": "destroy",
    "migrate": "pool_migrate",
    "reconfigure": "changing_VCPUs",
    "rename": "data_source_op",
    "create": "create",
}
"""The world's verb → xapi's word in ``current_operations``."""

VERBS: dict[str, str] = {
    "start": "start",
    "start_on": "start",
    "clean_shutdown": "shutdown",
    "hard_shutdown": "power_off",
    "clean_reboot": "reboot",
    "hard_reboot": "reset",
    "suspend": "suspend",
    "resume": "resume",
    "resume_on": "resume",
    "pause": "pause",
    "unpause": "unpause",
    "snapshot": "snapshot",
    "checkpoint": "snapshot_memory",
    "clone": "clone",
    "copy": "copy",
    "export": "export",
    "destroy": "delete",
    "pool_migrate": "migrate",
    "revert": "revert",
}
"""xapi's operation → the world's verb, for ``Vm.blocked``."""


def blocked(vm: Vm) -> dict[str, str]:
    """``blocked_operations`` of a VM: what the world blocks and what only XenAPI clients know."""
    found: dict[str, str] = dict(vm.extra.get("blocked_operations", {}))
    for verb, reason in vm.blocked.items():
        for operation, other in VERBS.items():
            if other == verb and operation not in found:
                found[operation] = reason
    return found


def refusal(vm: Vm | Snapshot, ref: str, operation: str, *, strict: bool, task_refs: list[str]) -> Failure | None:
    """The first reason why ``operation`` is refused, or None. ``strict``: also what the call itself lets through.

    ``task_refs`` are those of ``vm.operations``, in order.
    """
    reasons = blocked(vm) if isinstance(vm, Vm) else {}
    if operation in reasons:
        return Failure("OPERATION_BLOCKED", ref, reasons[operation])
    state = _state(vm)
    legal = STATES.get(operation, _ALL)
    if isinstance(vm, Snapshot) and operation in ("clone", "copy"):
        legal = (_H, _S)
    if state not in legal:
        return Failure("VM_BAD_POWER_STATE", ref, ", ".join(one.value for one in legal), state.value)
    busy = _busy(vm, ref, operation, task_refs=task_refs)
    if busy is not None:
        return busy
    if isinstance(vm, Snapshot):
        return None if operation in _ON_SNAPSHOTS else Failure("VM_IS_SNAPSHOT", ref, operation)
    return _by_kind(vm, ref, operation, strict=strict)


def _state(vm: Vm | Snapshot) -> Power:
    if isinstance(vm, Snapshot):
        return Power.SUSPENDED if vm.with_memory else Power.HALTED
    return vm.power


def _busy(vm: Vm | Snapshot, ref: str, operation: str, *, task_refs: list[str]) -> Failure | None:
    if not vm.operations:
        return None
    words = [WORDS.get(verb, verb) for verb in vm.operations.values()]
    forced = {"hard_shutdown", "hard_reboot"}
    if operation == "hard_shutdown" or (operation == "hard_reboot" and not forced & set(words)):
        return None
    if any(operation in group and set(words) <= group for group in _TOGETHER):
        return None
    return Failure("OTHER_OPERATION_IN_PROGRESS", "VM", ref, braces(words), braces(task_refs))


def _by_kind(vm: Vm, ref: str, operation: str, *, strict: bool) -> Failure | None:
    if vm.is_template:
        if operation not in _ON_TEMPLATES or (vm.is_default_template and operation in _NOT_ON_DEFAULTS):
            return Failure("VM_IS_TEMPLATE", ref, operation)
    elif operation == "provision":
        return Failure("PROVISION_ONLY_ALLOWED_ON_TEMPLATE")
    if operation == "revert":
        return Failure("REVERT_ONLY_ALLOWED_ON_SNAPSHOT")
    if vm.is_control_domain and operation not in _ON_CONTROL_DOMAINS:
        return Failure("OPERATION_NOT_ALLOWED", "This operation is not allowed on a control domain")
    if operation == "snapshot_with_quiesce":
        return Failure("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", ref)
    lacks = operation in _NEED_TOOLS and not vm.guest.tools_running and vm.power is Power.RUNNING
    if lacks and (strict or operation not in _STRICT_ONLY):
        return Failure("VM_LACKS_FEATURE", ref)
    return None


def allowed(vm: Vm | Snapshot, ref: str) -> list[str]:
    """``allowed_operations``: advisory, and empty-ish while something is under way."""
    if isinstance(vm, Vm) and not vm.operations and not vm.blocked and not vm.extra.get("blocked_operations"):
        kind = (vm.power, vm.guest.tools_running, vm.is_template, vm.is_default_template, vm.is_control_domain)
        known = _ALLOWED.get(kind)
        if known is None:
            known = _ALLOWED[kind] = _allowed(vm, ref)
        return known
    return _allowed(vm, ref)


_ALLOWED: dict[tuple[Power, bool, bool, bool, bool], list[str]] = {}
"""All that undisturbed VMs of one kind are allowed; there are a few dozen kinds."""


def _allowed(vm: Vm | Snapshot, ref: str) -> list[str]:
    return [
        operation
        for operation in ADVERTISED
        if refusal(vm, ref, operation, strict=True, task_refs=list(vm.operations)) is None
    ]
