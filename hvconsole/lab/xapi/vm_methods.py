"""VM.*: power, snapshots, life, placement. Handlers block for as long as the work takes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hvconsole.lab import errors, power, snapshots
from hvconsole.lab import lifecycle as life
from hvconsole.lab.objects import Guest, Power, Snapshot, Vm
from hvconsole.lab.xapi import lifecycle, refs
from hvconsole.lab.xapi.dispatch import Call, message
from hvconsole.lab.xapi.failures import Failure, from_world
from hvconsole.lab.xapi.values import NULL


def checked(call: Call, ref: str, operation: str) -> Vm | Snapshot:
    """The VM or snapshot, after xapi's checks for ``operation``; raises the first refusal."""
    with call.pool.world.lock:
        vm = call.pool.vm_or_snapshot(ref)
        refused = refusal(call, vm, ref, operation, strict=False)
        if refused is not None:
            raise refused
        return vm


def refusal(call: Call, vm: Vm | Snapshot, ref: str, operation: str, *, strict: bool) -> Failure | None:
    """Why the operation is refused now, or None."""
    return lifecycle.refusal(
        vm, ref, operation, strict=strict, task_refs=[call.pool.ref_of(task) for task in vm.operations]
    )


def _vm(call: Call, ref: str, operation: str) -> Vm:
    vm = checked(call, ref, operation)
    if isinstance(vm, Snapshot):
        raise Failure("VM_IS_SNAPSHOT", ref, operation)
    return vm


@message("VM.start", "VM", "b", "b")
def start(call: Call, ref: str, start_paused: bool, _force: bool) -> None:
    """Start on the best host."""
    vm = _vm(call, ref, "start")
    power.start(call.pool.world, vm.id, paused=start_paused, task=call.task)


@message("VM.start_on", "VM", "host", "b", "b")
def start_on(call: Call, ref: str, host: str, start_paused: bool, _force: bool) -> None:
    """Start on one host."""
    vm = _vm(call, ref, "start_on")
    power.start(call.pool.world, vm.id, host_id=call.pool.host(host).id, paused=start_paused, task=call.task)


@message("VM.clean_shutdown", "VM")
def clean_shutdown(call: Call, ref: str) -> None:
    """Ask the guest to shut down."""
    power.shutdown(call.pool.world, _vm(call, ref, "clean_shutdown").id, task=call.task)


@message("VM.clean_reboot", "VM")
def clean_reboot(call: Call, ref: str) -> None:
    """Ask the guest to reboot."""
    power.reboot(call.pool.world, _vm(call, ref, "clean_reboot").id, task=call.task)


@message("VM.shutdown", "VM")
def shutdown(call: Call, ref: str) -> None:
    """Cleanly, and hard if that fails."""
    vm = _vm(call, ref, "shutdown")
    if vm.power is Power.RUNNING:
        with suppress(errors.NoTools, errors.GuestIgnored):
            power.shutdown(call.pool.world, vm.id, task=call.task)
            return
    power.power_off(call.pool.world, vm.id, task=call.task)


@message("VM.hard_shutdown", "VM")
def hard_shutdown(call: Call, ref: str) -> None:
    """Cut the power."""
    power.power_off(call.pool.world, _vm(call, ref, "hard_shutdown").id, task=call.task)


@message("VM.hard_reboot", "VM")
def hard_reboot(call: Call, ref: str) -> None:
    """Reset."""
    power.reset(call.pool.world, _vm(call, ref, "hard_reboot").id, task=call.task)


@message("VM.suspend", "VM")
def suspend(call: Call, ref: str) -> None:
    """Save to storage."""
    vm = _vm(call, ref, "suspend")
    if call.pool.site.default_storage_id is None:
        raise Failure("VM_NO_SUSPEND_SR", ref)
    power.suspend(call.pool.world, vm.id, task=call.task)


@message("VM.resume", "VM", "b", "b")
def resume(call: Call, ref: str, start_paused: bool, _force: bool) -> None:
    """Go on from the saved state."""
    power.resume(call.pool.world, _vm(call, ref, "resume").id, paused=start_paused, task=call.task)


@message("VM.resume_on", "VM", "host", "b", "b")
def resume_on(call: Call, ref: str, host: str, start_paused: bool, _force: bool) -> None:
    """Go on from the saved state on one host."""
    vm = _vm(call, ref, "resume_on")
    power.resume(call.pool.world, vm.id, host_id=call.pool.host(host).id, paused=start_paused, task=call.task)


@message("VM.pause", "VM")
def pause(call: Call, ref: str) -> None:
    """Freeze."""
    power.pause(call.pool.world, _vm(call, ref, "pause").id, task=call.task)


@message("VM.unpause", "VM")
def unpause(call: Call, ref: str) -> None:
    """Thaw."""
    power.unpause(call.pool.world, _vm(call, ref, "unpause").id, task=call.task)


@message("VM.power_state_reset", "VM")
def power_state_reset(call: Call, ref: str) -> None:
    """Write "halted" into the database, for VMs of a dead host."""
    with call.pool.world.lock:
        power.halt(call.pool.world, _vm(call, ref, "power_state_reset"))


@message("VM.snapshot", "VM", "s", "~[]")
def snapshot(call: Call, ref: str, name: str, ignore: list[Any] | None = None) -> str:
    """Take a snapshot of the disks."""
    vm = _vm(call, ref, "snapshot")
    ignored = tuple(call.pool.projector.owner(str(vdi)) or "" for vdi in ignore or ())
    return _taken(call, snapshots.take(call.pool.world, vm.id, name, ignore_disks=ignored, task=call.task))


@message("VM.checkpoint", "VM", "s")
def checkpoint(call: Call, ref: str, name: str) -> str:
    """Take a snapshot with memory."""
    vm = _vm(call, ref, "checkpoint")
    return _taken(call, snapshots.take(call.pool.world, vm.id, name, memory=True, task=call.task))


@message("VM.snapshot_with_quiesce", "VM", "s")
def snapshot_with_quiesce(call: Call, ref: str, _name: str) -> None:
    """Gone since 8.1."""
    call.pool.vm_or_snapshot(ref)
    raise Failure("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", ref)


def _taken(call: Call, snapshot_id: str) -> str:
    with call.pool.world.lock:
        made = call.pool.world.snapshot(snapshot_id)
        vm = call.pool.world.vms.get(made.vm_id)
        if vm is not None:
            made.extra["vm_ref"] = refs.ref(vm)
        return refs.ref(made)


@message("VM.revert", "VM")
def revert(call: Call, ref: str) -> None:
    """Put the VM back to the snapshot ``ref``."""
    found = checked(call, ref, "revert")
    if not isinstance(found, Snapshot):
        raise Failure("REVERT_ONLY_ALLOWED_ON_SNAPSHOT")
    world = call.pool.world
    with world.lock:
        if found.vm_id not in world.vms:
            _reborn(call, found)
    with world.operation(found, "revert", call.task):
        snapshots.revert(world, found.id, task=call.task)


def _reborn(call: Call, snapshot: Snapshot) -> None:
    """The snapshot's VM is gone: it is made again."""
    world = call.pool.world
    vm = Vm(id=world.new_id(), site_id=snapshot.site_id, name=snapshot.name, guest=Guest(), created=world.now())
    world.add(vm)
    snapshot.vm_id = vm.id
    snapshot.extra["vm_ref"] = refs.ref(vm)
    world.changed(snapshot)


@message("VM.clone", "VM", "s")
def clone(call: Call, ref: str, name: str) -> str:
    """Copy on write."""
    found = checked(call, ref, "clone")
    made = life.clone(call.pool.world, found.id, name, task=call.task)
    _adopt_config(call, ref, made)
    return call.pool.ref_of(made)


@message("VM.copy", "VM", "s", "SR?")
def copy(call: Call, ref: str, name: str, sr: str) -> str:
    """Full copy, to ``sr`` or the same storages."""
    found = checked(call, ref, "copy")
    world = call.pool.world
    storage_id = None
    if sr != NULL:
        storage = call.pool.obj(world.storages, "SR", sr)
        if storage.holds_iso:
            raise Failure("OPERATION_NOT_ALLOWED", "An ISO storage cannot hold disks")
        storage_id = storage.id
    made = life.clone(world, found.id, name, full=True, storage_id=storage_id, task=call.task)
    _adopt_config(call, ref, made)
    return call.pool.ref_of(made)


_INHERITED = (
    "other_config",
    "platform",
    "HVM_boot_policy",
    "HVM_boot_params",
    "domain_type",
    "PV_bootloader",
    "PV_args",
    "PV_kernel",
    "PV_bootloader_args",
    "recommendations",
    "affinity",
    "NVRAM",
    "has_vendor_device",
    "bios_strings",
    "xenstore_data",
    "VCPUs_params",
)


def _adopt_config(call: Call, source: str, made: str) -> None:
    """A copy keeps what only XenAPI knows of its source."""
    db = call.pool.db
    with call.pool.world.lock:
        row, ref = db.find("VM", source), call.pool.ref_of(made)
        if row is None or db.find("VM", ref) is None:
            return
        fields = {name: row.fields[name] for name in _INHERITED if name in row.fields}
        other = {key: value for key, value in row.fields["other_config"].items() if key != "default_template"}
        db.update("VM", ref, fields | {"other_config": other})


@message("VM.destroy", "VM")
def destroy(call: Call, ref: str) -> None:
    """Remove the record with its VBDs and VIFs; never disks, nor snapshots."""
    with call.pool.world.lock:
        found = call.pool.vm_or_snapshot(ref)
        if isinstance(found, Vm) and found.is_default_template:
            raise Failure("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", ref)
    checked(call, ref, "destroy")
    if isinstance(found, Snapshot):
        snapshots.delete(call.pool.world, found.id, with_disks=False, task=call.task)
    else:
        life.delete(call.pool.world, found.id, with_disks=False, with_snapshots=False, task=call.task)


@message("VM.pool_migrate", "VM", "host", "{}")
def pool_migrate(call: Call, ref: str, host: str, options: dict[str, Any]) -> None:
    """Move a running VM to another member."""
    vm = _vm(call, ref, "pool_migrate")
    if any(not isinstance(value, str) for value in options.values()):
        raise Failure("FIELD_TYPE_ERROR", "options")
    life.migrate(call.pool.world, vm.id, call.pool.host(host).id, task=call.task)


@message("VM.assert_operation_valid", "VM", "s")
def assert_operation_valid(call: Call, ref: str, operation: str) -> None:
    """Raise what the operation would."""
    if operation not in lifecycle.STATES:
        raise Failure("INVALID_VALUE", "op", operation)
    with call.pool.world.lock:
        found = refusal(call, call.pool.vm_or_snapshot(ref), ref, operation, strict=True)
    if found is not None:
        raise found


@message("VM.update_allowed_operations", "VM")
def update_allowed_operations(_call: Call, _ref: str) -> None:
    """They are always up to date here."""


@message("VM.assert_can_boot_here", "VM", "host")
def assert_can_boot_here(call: Call, ref: str, host: str) -> None:
    """Raise why the VM could not start on the host."""
    world = call.pool.world
    with world.lock:
        vm = _as_vm(call, ref)
        found = power.host_refusal(world, vm, call.pool.host(host))
    if found is not None:
        raise from_world(found, call.pool.ref_of)


@message("VM.assert_agile", "VM")
def assert_agile(call: Call, ref: str) -> None:
    """Raise if the VM depends on one host's storage."""
    world = call.pool.world
    with world.lock:
        for drive in _as_vm(call, ref).drives:
            disk = world.disks.get(drive.disk_id or "")
            storage = world.storages.get(disk.storage_id) if disk is not None else None
            if storage is not None and not storage.shared:
                raise Failure("VM_REQUIRES_SR", ref, refs.ref(storage))


def _as_vm(call: Call, ref: str) -> Vm:
    found = call.pool.vm_or_snapshot(ref)
    if isinstance(found, Snapshot):
        raise Failure("VM_IS_SNAPSHOT", ref, "start")
    return found


@message("VM.get_possible_hosts", "VM")
def get_possible_hosts(call: Call, ref: str) -> list[str]:
    """Hosts on which the VM could start."""
    with call.pool.world.lock:
        return [refs.ref(host) for host in power.possible_hosts(call.pool.world, _as_vm(call, ref).id)]


@message("VM.get_allowed_VBD_devices", "VM")
def get_allowed_vbd_devices(call: Call, ref: str) -> list[str]:
    """Free drive numbers."""
    with call.pool.world.lock:
        used = {drive.device for drive in call.pool.vm_or_snapshot(ref).drives}
    return [str(number) for number in range(16) if str(number) not in used]


@message("VM.get_allowed_VIF_devices", "VM")
def get_allowed_vif_devices(call: Call, ref: str) -> list[str]:
    """Free card numbers."""
    with call.pool.world.lock:
        used = {nic.device for nic in call.pool.vm_or_snapshot(ref).nics}
    return [str(number) for number in range(7) if str(number) not in used]


@message("VM.get_cooperative", "VM")
def get_cooperative(_call: Call, _ref: str) -> bool:
    """Guests here give memory back when asked."""
    return True


@message("VM.compute_memory_overhead", "VM")
def compute_memory_overhead(call: Call, ref: str) -> int:
    """Bytes beyond the guest's own."""
    overhead: int = call.pool.db.get("VM", ref, "memory_overhead")
    return overhead


@message("VM.get_boot_record", "VM")
def get_boot_record(call: Call, ref: str) -> Any:
    """The record of the last boot: the present one."""
    with call.pool.world.lock:
        return call.pool.db.row("VM", ref).record()
