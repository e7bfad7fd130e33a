"""Life of VMs: create, clone, copy, delete, rename, reconfigure, migrate. Same rules as ``power``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hvconsole.lab import errors, power, snapshots
from hvconsole.lab.objects import GIB, Disk, Drive, Guest, Host, Nic, Power, Snapshot, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.world import World

_OF_ONE_ONLY = frozenset({"refs", "loose_addresses"})
"""Keys of ``extra`` that are the identity of one VM."""


def create(
    world: World,
    site_id: str,
    name: str,
    *,
    description: str = "",
    vcpus: int = 1,
    memory_bytes: int = GIB,
    disk_bytes: int = 0,
    storage_id: str | None = None,
    network_ids: tuple[str, ...] = (),
    home_host_id: str | None = None,
    guest: Guest | None = None,
    task: Task | None = None,
) -> str:
    """Make a halted VM (with one disk if ``disk_bytes``) and return its id."""
    job = task or world.new_task(site_id, "create", recorded=False)
    world.work(job, world.timing.create)
    with world.lock:
        vm = Vm(
            id=world.new_vm_id(site_id),
            site_id=site_id,
            name=name,
            description=description,
            vcpus=vcpus,
            memory_bytes=memory_bytes,
            home_host_id=home_host_id,
            created=world.now(),
            guest=guest or Guest(tools=False),
        )
        if disk_bytes:
            disk = new_disk(world, site_id, storage_id, f"{name} disk 0", disk_bytes)
            vm.drives.append(Drive(id=world.new_id(), device="0", disk_id=disk.id, bootable=True))
        for position, network_id in enumerate(network_ids):
            vm.nics.append(Nic(id=world.new_id(), device=str(position), mac=world.new_mac(), network_id=network_id))
        world.add(vm)
        return vm.id


def new_disk(
    world: World, site_id: str, storage_id: str | None, name: str, size_bytes: int, *, description: str = ""
) -> Disk:
    """Make an empty thin disk. The lock is held by the caller."""
    storage = world.storages.get(storage_id or world.sites[site_id].default_storage_id or "")
    if storage is None:
        raise errors.NotFound("storage", storage_id or "")
    free = storage.size_bytes - storage.used_bytes
    if storage.size_bytes and size_bytes > free:
        raise errors.NoSpace(storage.id, size_bytes, max(0, free))
    disk = Disk(
        id=world.new_id(),
        site_id=site_id,
        storage_id=storage.id,
        name=name,
        description=description,
        size_bytes=size_bytes,
        used_bytes=min(size_bytes, 1 << 20),
    )
    world.add(disk)
    snapshots.use_space(world, storage.id, disk.used_bytes)
    return disk


def clone(
    world: World,
    source_id: str,
    name: str,
    *,
    full: bool = False,
    storage_id: str | None = None,
    task: Task | None = None,
) -> str:
    """Copy a VM, template or snapshot into a new halted VM with new identity; returns its id.

    ``full``: disks of its own on ``storage_id`` (or where the source's are) instead of copy-on-write.
    """
    verb = "copy" if full else "clone"
    duration = world.timing.copy if full else world.timing.clone
    with world.lock:
        snapshot = world.snapshots.get(source_id)
    if snapshot is None:
        with power.begun(world, source_id, verb, task) as (vm, job):
            world.work(job, duration)
            with world.lock:
                return _copied(world, vm, name, full=full, storage_id=storage_id).id
    with world.operation(snapshot, verb, task) as job:
        world.misbehave(job, snapshot, verb)
        world.work(job, duration)
        with world.lock:
            return _copied(world, snapshot, name, full=full, storage_id=storage_id).id


def _copied(world: World, source: Vm | Snapshot, name: str, *, full: bool, storage_id: str | None) -> Vm:
    storage = world.find("storage", storage_id) if storage_id else None
    copy = Vm(
        id=world.new_vm_id(source.site_id),
        site_id=source.site_id,
        name=name,
        description=source.description,
        home_host_id=source.home_host_id if isinstance(source, Vm) else None,
        created=world.now(),
        folder_id=source.folder_id if isinstance(source, Vm) else None,
        resource_pool_id=source.resource_pool_id if isinstance(source, Vm) else None,
        is_template=isinstance(source, Vm) and source.is_template,
        tags=list(source.tags),
        guest=replace(source.guest, tools_running=False),
        vcpus=source.vcpus,
        memory_bytes=source.memory_bytes,
        drives=[snapshots.frozen_drive(world, drive, full=full, storage=storage) for drive in source.drives],
        nics=[
            Nic(id=world.new_id(), device=nic.device, mac=world.new_mac(), network_id=nic.network_id)
            for nic in source.nics
        ],
    )
    if isinstance(source, Vm):
        copy.extra = {key: value for key, value in source.extra.items() if key not in _OF_ONE_ONLY}
    for drive in copy.drives:
        disk = world.disks.get(drive.disk_id or "")
        if disk is not None and not disk.is_iso:
            disk.snapshot_of = None
            disk.taken = 0.0
    world.add(copy)
    return copy


def delete(
    world: World, vm_id: str, *, with_disks: bool = True, with_snapshots: bool = True, task: Task | None = None
) -> None:
    """Delete a halted or suspended VM. What is not deleted with it stays as an orphan."""
    with power.begun(world, vm_id, "delete", task) as (vm, job):
        if vm.is_default_template:
            raise errors.IsTemplate("default templates cannot be deleted", vm.id)
        world.work(job, world.timing.delete)
        with world.lock:
            world.remove(vm)
            if with_snapshots:
                for snapshot in world.snapshots_of(vm.id):
                    snapshots.forget(world, snapshot, with_disks=with_disks)
            if with_disks:
                for drive in vm.drives:
                    snapshots.drop_disk(world, drive.disk_id)


def rename(world: World, vm_id: str, name: str, *, description: str | None = None) -> None:
    """Give a VM another name (and description). Immediate."""
    with world.lock:
        vm = world.vm(vm_id)
        vm.name = name
        if description is not None:
            vm.description = description
        world.changed(vm)


def reconfigure(world: World, vm_id: str, change: Callable[[Vm], None], *, task: Task | None = None) -> None:
    """Let ``change`` alter the VM under the lock (vCPUs, memory, notes), as one operation."""
    with power.begun(world, vm_id, "reconfigure", task) as (vm, _job), world.lock:
        change(vm)
        world.changed(vm)


def migrate(world: World, vm_id: str, host_id: str, *, task: Task | None = None) -> None:
    """Move a VM to another host of its site; a running one stays up."""
    with power.begun(world, vm_id, "migrate", task) as (vm, job):
        with world.lock:
            host = world.host(host_id)
            refusal = power.host_refusal(world, vm, host)
            if refusal is not None:
                raise refusal
        world.work(job, world.timing.migrate)
        with world.lock:
            arrive(world, vm, host)


def arrive(world: World, vm: Vm, host: Host) -> None:
    """The VM is on ``host`` from now on; raises why it cannot be. The lock is held by the caller."""
    refusal = power.host_refusal(world, vm, host)
    if refusal is not None:
        raise refusal
    if vm.power in (Power.RUNNING, Power.PAUSED):
        vm.host_id = host.id
    else:
        vm.home_host_id = host.id
    world.changed(vm)
