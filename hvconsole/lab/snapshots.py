"""Snapshot verbs: take, revert, delete. Same rules as ``power``: blocking, any thread, no lock held by the caller."""

from __future__ import annotations

from dataclasses import replace

from hvconsole.lab import errors, power
from hvconsole.lab.objects import Disk, Drive, Power, Snapshot, Storage, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.world import World


def take(
    world: World,
    vm_id: str,
    name: str,
    *,
    description: str = "",
    memory: bool = False,
    quiesce: bool = False,
    ignore_disks: tuple[str, ...] = (),
    task: Task | None = None,
) -> str:
    """Take a snapshot and return its id. ``ignore_disks``: disk ids that are left out."""
    verb = "snapshot_memory" if memory else "snapshot"
    timing = world.timing
    with power.begun(world, vm_id, verb, task) as (vm, job):
        with world.lock:
            if quiesce and not vm.guest.tools_running:
                raise errors.NoTools("the guest has no running tools", vm.id)
            _need_space(world, vm, memory=memory)
        duration = timing.snapshot_memory if memory else timing.snapshot
        world.work(job, max(0.0, duration - timing.stun), end=0.9)
        if timing.stun:
            _set_stunned(world, vm, stunned=True)
        try:
            world.work(job, timing.stun, start=0.9)
        finally:
            if timing.stun:
                _set_stunned(world, vm, stunned=False)
        with world.lock:
            if vm.id not in world.vms:
                raise errors.NotFound("vm", vm.id)
            snapshot = _record(world, vm, name, description, memory=memory, quiesce=quiesce, ignore=ignore_disks)
            vm.current_snapshot_id = snapshot.id
            world.add(snapshot)
            world.changed(vm)
            return snapshot.id


def _set_stunned(world: World, vm: Vm, *, stunned: bool) -> None:
    with world.lock:
        vm.stunned = stunned
        world.changed(vm)


def _need_space(world: World, vm: Vm, *, memory: bool) -> None:
    needed = vm.memory_bytes if memory else 0
    for drive in vm.drives:
        disk = world.disks.get(drive.disk_id or "")
        storage = world.storages.get(disk.storage_id) if disk is not None and not disk.is_iso else None
        if storage is None:
            continue
        free = storage.size_bytes - storage.used_bytes
        if storage.size_bytes and free < needed + (1 << 20):
            raise errors.NoSpace(storage.id, needed + (1 << 20), max(0, free))


def _record(
    world: World, vm: Vm, name: str, description: str, *, memory: bool, quiesce: bool, ignore: tuple[str, ...]
) -> Snapshot:
    return Snapshot(
        id=world.new_id(),
        site_id=vm.site_id,
        vm_id=vm.id,
        name=name,
        description=description,
        created=world.now(),
        parent_id=vm.current_snapshot_id,
        with_memory=memory,
        quiesced=quiesce,
        power=vm.power,
        vcpus=vm.vcpus,
        memory_bytes=vm.memory_bytes,
        tags=list(vm.tags),
        drives=[frozen_drive(world, drive) for drive in vm.drives if drive.disk_id not in ignore],
        nics=[replace(nic, id=world.new_id(), addresses=list(nic.addresses), extra={}) for nic in vm.nics],
        guest=replace(vm.guest),
    )


def frozen_drive(
    world: World, drive: Drive, *, name: str = "", full: bool = False, storage: Storage | None = None
) -> Drive:
    """A copy of a drive on a copy of its disk (CD images are shared); ``full``: a disk of its own."""
    source = world.disks.get(drive.disk_id or "")
    if source is None or source.is_iso:
        return replace(drive, id=world.new_id(), extra={})
    used = source.used_bytes if full else min(source.used_bytes, 8 << 20)
    disk = Disk(
        id=world.new_id(),
        site_id=source.site_id,
        storage_id=storage.id if storage else source.storage_id,
        name=name or source.name,
        description=source.description,
        size_bytes=source.size_bytes,
        used_bytes=used,
        snapshot_of=None if full else source.id,
        taken=0.0 if full else world.now(),
    )
    world.add(disk)
    use_space(world, disk.storage_id, used)
    return replace(drive, id=world.new_id(), disk_id=disk.id, extra={})


def use_space(world: World, storage_id: str, number_of_bytes: int) -> None:
    """Book space on a storage (negative: give back). The lock is held by the caller."""
    storage = world.storages.get(storage_id)
    if storage is not None and number_of_bytes:
        storage.used_bytes = max(0, storage.used_bytes + number_of_bytes)
        world.changed(storage)


def revert(world: World, snapshot_id: str, *, task: Task | None = None) -> str:
    """Put the VM back to a snapshot; returns the VM's id. Without memory it ends halted, with memory suspended.

    Its disks are replaced by new ones, as hypervisors with copy-on-write storage do.
    """
    with world.lock:
        snapshot = world.snapshot(snapshot_id)
        vm_id = snapshot.vm_id
        world.vm(vm_id)
    with power.begun(world, vm_id, "revert", task) as (vm, job):
        world.work(job, world.timing.revert)
        with world.lock:
            world.snapshot(snapshot_id)
            for drive in vm.drives:
                drop_disk(world, drive.disk_id, unless_used_by_others_than=vm.id)
            vm.drives = [_thawed_drive(world, drive) for drive in snapshot.drives]
            plugged = {nic.device: nic.plugged for nic in vm.nics}
            vm.nics = [
                replace(
                    nic,
                    id=world.new_id(),
                    addresses=list(nic.addresses),
                    extra={},
                    plugged=plugged.get(nic.device, True),
                )
                for nic in snapshot.nics
            ]
            vm.vcpus, vm.memory_bytes, vm.guest = snapshot.vcpus, snapshot.memory_bytes, replace(snapshot.guest)
            vm.guest.tools_running = False
            vm.host_id = None
            vm.suspended_on = None
            vm.power = Power.SUSPENDED if snapshot.with_memory else Power.HALTED
            vm.current_snapshot_id = snapshot.id
            world.changed(vm)
    return vm_id


def _thawed_drive(world: World, drive: Drive) -> Drive:
    thawed = frozen_drive(world, drive)
    disk = world.disks.get(thawed.disk_id or "")
    if disk is not None and thawed.disk_id != drive.disk_id:
        disk.snapshot_of = None
        disk.taken = 0.0
        world.changed(disk)
    return thawed


def drop_disk(world: World, disk_id: str | None, *, unless_used_by_others_than: str = "") -> None:
    """Delete a disk (never a CD image) unless another VM or snapshot uses it. The lock is held by the caller."""
    disk = world.disks.get(disk_id or "")
    if disk is None or disk.is_iso:
        return
    if disk_users(world, disk.id, but=unless_used_by_others_than):
        return
    world.remove(disk)
    use_space(world, disk.storage_id, -disk.used_bytes)


def disk_users(world: World, disk_id: str, *, but: str = "") -> list[str]:
    """Ids of VMs and snapshots that use a disk, without ``but``. The lock is held by the caller."""
    owners: list[Vm | Snapshot] = [*world.vms.values(), *world.snapshots.values()]
    return [owner.id for owner in owners if owner.id != but and any(drive.disk_id == disk_id for drive in owner.drives)]


def delete(
    world: World, snapshot_id: str, *, with_disks: bool = True, with_children: bool = False, task: Task | None = None
) -> None:
    """Delete a snapshot; its children move up to its parent (or go too)."""
    with world.lock:
        snapshot = world.snapshot(snapshot_id)
        job = task or world.new_task(snapshot.site_id, "delete_snapshot", snapshot.id, recorded=False)
        if snapshot.operations:
            raise errors.Busy(snapshot.id, dict(snapshot.operations))
    with world.operation(snapshot, "delete_snapshot", job):
        world.misbehave(job, snapshot, "delete_snapshot")
        world.work(job, world.timing.delete)
        with world.lock:
            doomed = [snapshot, *(_descendants(world, snapshot) if with_children else [])]
            for one in doomed:
                forget(world, one, with_disks=with_disks)


def _descendants(world: World, snapshot: Snapshot) -> list[Snapshot]:
    found: list[Snapshot] = []
    todo = [snapshot.id]
    while todo:
        parent = todo.pop()
        for other in world.snapshots.values():
            if other.parent_id == parent and other is not snapshot and other not in found:
                found.append(other)
                todo.append(other.id)
    return found


def forget(world: World, snapshot: Snapshot, *, with_disks: bool) -> None:
    """Take a snapshot out of its tree at once. The lock is held by the caller."""
    world.remove(snapshot)
    for other in world.snapshots.values():
        if other.parent_id == snapshot.id:
            other.parent_id = snapshot.parent_id
            world.changed(other)
    vm = world.vms.get(snapshot.vm_id)
    if vm is not None:
        if vm.current_snapshot_id == snapshot.id:
            vm.current_snapshot_id = snapshot.parent_id
        world.changed(vm)
    if with_disks:
        for drive in snapshot.drives:
            drop_disk(world, drive.disk_id)
