"""Moving VMs with their disks: host.migrate_receive and VM.migrate_send, within the pool only."""

from __future__ import annotations

from typing import Any

from hvconsole.lab import lifecycle as life
from hvconsole.lab import power
from hvconsole.lab.objects import Disk, Host, Snapshot, Storage, Vm
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.dispatch import Call, message
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.vm_methods import checked


@message("host.migrate_receive", "host", "network", "{}")
def migrate_receive(call: Call, ref: str, _network: str, _options: dict[str, Any]) -> dict[str, str]:
    """Where a VM can be sent to: the words that migrate_send takes."""
    host = call.pool.host(ref)
    member = call.pool.members[host.id]
    place = f"https://{member.address}:{member.port}"
    session = call.session.ref if call.session is not None else ""
    return {
        "host": ref,
        "xenops": f"{place}/services/xenops?session_id={session}",
        "SM": f"{place}/services/SM?session_id={session}",
        "master": place,
        "session_id": session,
    }


@message("VM.assert_can_migrate", "VM", "{}", "b", "{}", "{}", "{}", "~{}")
def assert_can_migrate(
    call: Call, ref: str, destination: dict[str, Any], _live: bool, disks: dict[str, Any], *_maps: dict[str, Any]
) -> None:
    """Raise why the VM could not be sent."""
    _planned(call, ref, destination, disks)


@message("VM.migrate_send", "VM", "{}", "b", "{}", "{}", "{}", "~{}")
def migrate_send(
    call: Call, ref: str, destination: dict[str, Any], _live: bool, disks: dict[str, Any], *_maps: dict[str, Any]
) -> str:
    """Send a VM to another host, its disks to other storages; the VM keeps its reference within a pool."""
    vm, host, moves = _planned(call, ref, destination, disks)
    world = call.pool.world
    with power.begun(world, vm.id, "migrate", call.task) as (_, job):
        world.work(job, world.timing.migrate + world.timing.copy * bool(moves))
        with world.lock:
            for disk, storage in moves:
                disk.storage_id = storage.id
                world.changed(disk)
            life.arrive(world, vm, host)
    return ref


def _planned(
    call: Call, ref: str, destination: dict[str, Any], disks: dict[str, Any]
) -> tuple[Vm, Host, list[tuple[Disk, Storage]]]:
    """Checked: the VM, its new host, and which disk moves where."""
    vm = checked(call, ref, "migrate_send")
    if isinstance(vm, Snapshot):
        raise Failure("VM_IS_SNAPSHOT", ref, "migrate_send")
    world, pool = call.pool.world, call.pool
    with world.lock:
        host = pool.host(str(destination.get("host", "")))
        moves = [
            (pool.obj(world.disks, "VDI", str(vdi)), pool.obj(world.storages, "SR", str(sr)))
            for vdi, sr in disks.items()
        ]
        goes_to = {disk.id: storage for disk, storage in moves}
        for drive in vm.drives:
            disk = world.disks.get(drive.disk_id or "")
            storage = goes_to.get(disk.id) or world.storages.get(disk.storage_id) if disk is not None else None
            if storage is not None and host.id not in storage.host_ids:
                raise Failure("VM_REQUIRES_SR", ref, refs.ref(storage))
    return vm, host, moves
