"""Clone, delete, unregister, rename, template and back, migrate. Verb threads; each request is sent once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hvconsole import whynot
from hvconsole.backends.base import TaskContext
from hvconsole.backends.vsphere_api import vim
from hvconsole.backends.vsphere_devices import disk_users, read_one, vm_devices
from hvconsole.backends.vsphere_hardware import Device, disk_files
from hvconsole.backends.vsphere_names import sent_name
from hvconsole.backends.vsphere_outcome import looked_for, vm_exists
from hvconsole.backends.vsphere_places import (
    Compute,
    best_store,
    compute_of,
    free_memory,
    host_record,
    takes_vms,
    vm_folder,
)
from hvconsole.backends.vsphere_power import machine, power_off, require, start, vm_state
from hvconsole.backends.vsphere_query import managed_kind
from hvconsole.backends.vsphere_records import Reader, references, typed, word
from hvconsole.backends.vsphere_refusals import NO_CLONE, NO_MIGRATE, unregister_refusal
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_snapshots import tree, under_way
from hvconsole.backends.vsphere_tasks import run_task
from hvconsole.errors import HostUnavailable, InvalidInput, NotFound, NotSupported, Refused
from hvconsole.model import ObjectId, PowerState, Verb
from hvconsole.text import safe_text

_PLACE: Mapping[str, Mapping[str, Reader]] = {
    "VirtualMachine": {"parent": typed, "resourcePool": typed, "runtime.host": word}
}
_STORES: Mapping[str, Mapping[str, Reader]] = {"VirtualMachine": {"datastore": references}}
CONNECTION = "runtime.connectionState"
_CONNECTION: Mapping[str, Mapping[str, Reader]] = {"VirtualMachine": {CONNECTION: word}}
NAME_CHARACTERS = 80
"""Longest name that every version accepts."""


def check_name(name: str) -> str:
    """The name as it is sent. Raises ``InvalidInput``."""
    if not name.strip():
        raise InvalidInput("Enter a name.")
    if len(name) > NAME_CHARACTERS:
        raise InvalidInput(f"A name can have {NAME_CHARACTERS} characters at most on this server.")
    return sent_name(name)


def clone(
    session: Session,
    vm_id: ObjectId,
    name: str,
    ctx: TaskContext,
    *,
    storage_id: ObjectId | None = None,
    snapshot_id: ObjectId | None = None,
    host_id: ObjectId | None = None,
    changes: Any = None,
) -> ObjectId:
    """Copy a VM or template (or one of its snapshots) with all its disks; returns the new VM's id.

    ``changes``: a ``ConfigSpec`` for the copy. On ESXi ``NotSupported``: single hosts have no such operation.
    """
    if not session.is_vcenter:
        raise NotSupported(NO_CLONE)
    sent = check_name(name)
    place = read_one(session, "VirtualMachine", vm_id, _PLACE)
    pool_kind, pool_id = place.get("resourcePool", ("", ""))  # a vApp is a pool too
    if not pool_id or host_id is not None:
        # templates have no pool
        pool_kind, pool_id = "ResourcePool", compute_of(session, host_id or place.get("runtime.host", "")).pool_id
    kind, folder_id = place.get("parent", ("", ""))
    if kind == "Folder":
        folder = session.object(vim.Folder, folder_id)
    else:
        folder = vm_folder(session, host_id or place.get("runtime.host", ""))
    location = vim.vm.RelocateSpec(pool=session.object(managed_kind(pool_kind), pool_id))
    if host_id is not None:
        location.host = session.object(vim.HostSystem, host_id)
    if storage_id is not None:
        location.datastore = session.object(vim.Datastore, storage_id)
    spec = vim.vm.CloneSpec(location=location, powerOn=False, template=False, config=changes)
    if snapshot_id is not None:
        if all(snapshot.id != snapshot_id for snapshot in tree(session, vm_id).snapshots):
            raise NotFound("The snapshot no longer exists on the server.")
        spec.snapshot = session.object(vim.vm.Snapshot, snapshot_id)
    vm = machine(session, vm_id)

    def look() -> bool | None:
        if under_way(session, vm_id, "clone"):
            return None
        return vm_exists(session, name)

    with looked_for(name, "VM", look):
        return ObjectId(run_task(session, ctx, lambda: vm.CloneVM_Task(folder, sent, spec)))


def delete(session: Session, vm_id: ObjectId, ctx: TaskContext, keep_disks: frozenset[ObjectId]) -> None:
    """Delete a VM with its snapshots and disks, except ``keep_disks`` and disks that other VMs use too."""
    state = vm_state(session, vm_id)
    if not state.template:
        require(state, Verb.DELETE)
    disks = [device for device in vm_devices(session, vm_id) if device.kind == "disk"]
    shared = disk_users(session, vm_id, set(disk_files(disks)))
    kept = [disk for disk in disks if disk.id in keep_disks or disk.file in shared]
    snapshots = bool(kept) and bool(tree(session, vm_id).snapshots)
    if snapshots and any(disk.id in keep_disks for disk in kept):
        raise InvalidInput("Disks can be kept only when the VM has no snapshots: delete those first.")
    _refuse_if_linked(session, disks, shared, merging=snapshots)
    vm = machine(session, vm_id)
    if state.power is PowerState.SUSPENDED:
        # servers refuse to delete a suspended VM; its memory image goes with it anyway
        power_off(session, vm_id, ctx)
    if snapshots:
        # as long as there are any, the disks of others can't be taken out
        run_task(session, ctx, lambda: vm.RemoveAllSnapshots_Task(None), cancellable=False)
    if kept:
        edits = [
            vim.vm.device.VirtualDeviceSpec(operation="remove", device=vim.vm.device.VirtualDisk(key=disk.key))
            for disk in kept
        ]
        run_task(session, ctx, lambda: vm.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=edits)), cancellable=False)
    run_task(session, ctx, vm.Destroy_Task)


def _refuse_if_linked(
    session: Session, disks: Iterable[Device], shared: Mapping[str, tuple[str, ...]], *, merging: bool
) -> None:
    """Raise where deleting would destroy what disks of other VMs build on.

    A vCenter keeps files that linked clones share; an ESXi host deletes a disk with all that it builds on. Neither
    looks when snapshots are merged into such a file.
    """
    below = {file for disk in disks for file in disk.parents}
    users = sorted({name for file in below for name in shared.get(file, ())})
    if users and (merging or not session.is_vcenter):
        named = ", ".join(f"“{safe_text(name, 60)}”" for name in users[:5])
        raise Refused(
            f"Its disks and those of {named} build on the same files (linked clones); deleting it here would destroy "
            "them. Delete it through the vCenter that made the clones.",
            ", ".join(sorted(below)),
            code="linked-clone",
        )


def unregister(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Take a VM off the inventory whose host or files are lost."""
    reason = unregister_refusal(read_one(session, "VirtualMachine", vm_id, _CONNECTION).get(CONNECTION, ""))
    if reason is not None:
        raise Refused(reason, code="not-lost")
    ctx.raise_if_cancelled()
    session.write(machine(session, vm_id).UnregisterVM)


def rename(session: Session, vm_id: ObjectId, name: str, ctx: TaskContext, description: str | None) -> None:
    """Change the name, and the notes if given."""
    sent = check_name(name)
    vm = machine(session, vm_id)
    run_task(session, ctx, lambda: vm.Rename_Task(sent))
    if description is not None:
        run_task(session, ctx, lambda: vm.ReconfigVM_Task(vim.vm.ConfigSpec(annotation=description)))


def to_template(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Turn a VM that is off into a template."""
    if not session.is_vcenter:
        raise NotSupported(NO_CLONE)
    require(vm_state(session, vm_id), Verb.TO_TEMPLATE)
    ctx.raise_if_cancelled()
    session.write(machine(session, vm_id).MarkAsTemplate)


def to_vm(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Turn a template into a VM: in the root pool of its host's compute resource, on its host if that takes VMs."""
    if not session.is_vcenter:
        raise NotSupported(NO_CLONE)
    state = vm_state(session, vm_id)
    if not state.template:
        raise Refused(whynot.NO_TEMPLATE, code="no-template")
    compute = compute_of(session, state.host_id)
    host_id = state.host_id
    if not takes_vms(host_record(session, host_id)):
        host_id = _other_host(session, vm_id, compute)
    pool, host = session.object(vim.ResourcePool, compute.pool_id), session.object(vim.HostSystem, host_id)
    ctx.raise_if_cancelled()
    session.write(lambda: machine(session, vm_id).MarkAsVirtualMachine(pool, host))


def _other_host(session: Session, vm_id: ObjectId, compute: Compute) -> str:
    """A host of the same compute resource that takes VMs and sees the datastores of this one."""
    used = set(read_one(session, "VirtualMachine", vm_id, _STORES).get("datastore", ()))
    hosts = [host_record(session, one) for one in compute.host_ids]
    fit = [host for host in hosts if takes_vms(host) and used <= set(host.get("datastore", ()))]
    if not fit:
        raise HostUnavailable("Its host isn't connected or is in maintenance mode, and no other can take it.")
    return max(fit, key=free_memory).id


def migrate(
    session: Session,
    vm_id: ObjectId,
    host_id: ObjectId | None,
    ctx: TaskContext,
    *,
    storage_id: ObjectId | None = None,
) -> None:
    """Move a VM to another host, its disks and files to another datastore, or both; running if it runs."""
    if not session.is_vcenter:
        raise NotSupported(NO_MIGRATE)
    if host_id is None and storage_id is None:
        raise InvalidInput("Choose a host or a datastore.")
    state = vm_state(session, vm_id)
    require(state, Verb.MIGRATE)
    spec = vim.vm.RelocateSpec()
    if host_id is not None and host_id != state.host_id:
        if not takes_vms(host_record(session, host_id)):
            raise HostUnavailable("That host isn't connected or is in maintenance mode.")
        spec.host = session.object(vim.HostSystem, host_id)
        here, there = compute_of(session, state.host_id), compute_of(session, host_id)
        if here.id != there.id:
            spec.pool = session.object(vim.ResourcePool, there.pool_id)
    elif storage_id is None:
        raise InvalidInput("The VM is on that host already.")
    if storage_id is not None:
        host = host_record(session, host_id or state.host_id)
        used = read_one(session, "VirtualMachine", vm_id, _STORES).get("datastore", ())
        if spec.host is None and used == (storage_id,):
            raise InvalidInput("The VM is on that datastore already.")
        spec.datastore = session.object(vim.Datastore, best_store(session, host, storage_id).id)
    vm = machine(session, vm_id)
    run_task(session, ctx, lambda: vm.RelocateVM_Task(spec))


def start_on(session: Session, vm_id: ObjectId, host_id: ObjectId, ctx: TaskContext) -> None:
    """Power on on a host: moved there first, because the host given to a power-on is a mere hint."""
    state = vm_state(session, vm_id)
    require(state, Verb.START_ON)
    if state.host_id != host_id:
        if not session.is_vcenter:
            raise NotSupported(NO_MIGRATE)
        migrate(session, vm_id, host_id, ctx)
    start(session, vm_id, ctx)
