"""Methods of VMs, snapshots and the folders in which VMs are made. Any thread; the work runs in tasks of the world."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from hvconsole.lab import errors, lifecycle, power, snapshots
from hvconsole.lab.objects import GIB, Disk, Guest, Power, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.vsphere.devices import apply_devices
from hvconsole.lab.vsphere.faults import SoapFault, power_state
from hvconsole.lab.vsphere.soap import NS, Call, number, reference, text
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.vsphere.tree import POOL, VM_FOLDER
from hvconsole.lab.vsphere.values import Data, Ref, field
from hvconsole.lab.world import World

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service

MIB = 1 << 20
_NAME_CHARACTERS = 80


def unescaped(name: str) -> str:
    """A name of the inventory as people know it."""
    for code, char in (("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\"), ("%25", "%")):
        name = name.replace(code, char)
    return name


def _vm(service: Service, call: Call) -> Vm:
    service.require(call.this, "VirtualMachine")
    return service.world.vm(call.this.id)


def _check_name(service: Service, name: str, folder_id: str | None, but: str = "") -> str:
    """A new VM's name. Raises ``InvalidName`` and ``DuplicateName`` as servers do per folder."""
    shown = unescaped(name)
    if not shown.strip() or len(shown) > _NAME_CHARACTERS:
        raise SoapFault("InvalidName", "The name is not valid.", name=name)
    with service.world.lock:
        for vm in service.tree.vms():
            if vm.name == shown and vm.id != but and (vm.folder_id or None) == folder_id:
                raise SoapFault(
                    "DuplicateName",
                    f"The name '{name}' already exists.",
                    name=name,
                    object=Ref("VirtualMachine", vm.id),
                )
    return shown


# ---- power -----------------------------------------------------------------------------------------------------


def _power_on(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)
    target = call.ref("host")
    host_id = target.id if target is not None else None

    def work(task: Task) -> None:
        if vm.power is Power.SUSPENDED:
            power.resume(service.world, vm.id, host_id=host_id, task=task)
            return
        if vm.power is Power.RUNNING:
            raise power_state("poweredOff", vm.power)
        home = service.tree.registered_host(vm)
        power.start(service.world, vm.id, host_id=host_id or (home.id if home is not None else None), task=task)

    return service.task(call, vm.id, work)


def _power_off(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)

    def work(task: Task) -> None:
        home = service.tree.registered_host(vm)
        if vm.power is Power.HALTED:
            raise power_state("poweredOn", vm.power)
        power.power_off(service.world, vm.id, task=task)
        _stay(service, vm, home)

    return service.task(call, vm.id, work)


def _stay(service: Service, vm: Vm, home: Any) -> None:
    """A VM stays registered at the host on which it ran."""
    with service.world.lock:
        if home is not None and vm.id in service.world.vms and vm.home_host_id != home.id:
            vm.home_host_id = home.id
            service.world.changed(vm)


def _simple(verb: Any) -> Method:
    def method(service: Service, call: Call, session: Session) -> str:
        vm = _vm(service, call)
        return service.task(call, vm.id, lambda task: verb(service.world, vm.id, task=task))

    return method


def _guest(verb: Any) -> Method:
    """What the guest is asked to do: refused at once, or accepted and done in its own time."""

    def method(service: Service, call: Call, session: Session) -> str:
        vm = _vm(service, call)
        with service.world.lock:
            if vm.power is not Power.RUNNING:
                raise power_state("poweredOn", vm.power)
            if not vm.guest.tools_running:
                raise SoapFault(
                    "ToolsUnavailable",
                    "Cannot complete operation because VMware Tools is not running in this virtual machine.",
                )
            if vm.operations:
                task_id = next(iter(vm.operations))
                raise SoapFault("TaskInProgress", "Another task is already in progress.", task=Ref("Task", task_id))
            home = service.tree.registered_host(vm)

        def work(task: Task) -> None:
            verb(service.world, vm.id, task=task)
            _stay(service, vm, home)

        return service.background(call, vm.id, work)

    return method


# ---- snapshots -------------------------------------------------------------------------------------------------


def _create_snapshot(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)
    name, description = call.text("name"), call.text("description")
    memory = call.flag("memory")
    quiesce = call.flag("quiesce") or call.find("quiesceSpec") is not None

    def work(task: Task) -> str:
        if vm.is_template:
            raise SoapFault("InvalidState", "The operation is not allowed on a template.")
        # both are silently ignored where they can't be had
        with_memory = (memory and vm.power is not Power.HALTED) or vm.power is Power.SUSPENDED
        quiet = quiesce and vm.power is Power.RUNNING and vm.guest.tools_running and not with_memory
        return snapshots.take(
            service.world, vm.id, name, description=description, memory=with_memory, quiesce=quiet, task=task
        )

    return service.task(call, vm.id, work, result="VirtualMachineSnapshot")


def _vm_of_snapshot(service: Service, call: Call) -> str:
    service.require(call.this, "VirtualMachineSnapshot")
    return service.world.snapshot(call.this.id).vm_id


def _revert(service: Service, call: Call, session: Session) -> str:
    vm_id = _vm_of_snapshot(service, call)
    snapshot_id = call.this.id
    return service.task(call, vm_id, lambda task: _do_revert(service, vm_id, snapshot_id, task))


def _revert_to_current(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)
    if vm.current_snapshot_id is None:
        raise SoapFault("NotFound", "The virtual machine has no snapshots.")
    snapshot_id = vm.current_snapshot_id
    return service.task(call, vm.id, lambda task: _do_revert(service, vm.id, snapshot_id, task))


def _do_revert(service: Service, vm_id: str, snapshot_id: str, task: Task) -> None:
    world = service.world
    with world.lock:
        vm = world.vm(vm_id)
        home = service.tree.registered_host(vm)
        was_running = world.snapshot(snapshot_id).power is Power.RUNNING
    snapshots.revert(world, snapshot_id, task=task)
    _stay(service, vm, home)
    if vm.power is Power.SUSPENDED and was_running:
        power.resume(world, vm_id)


def _remove_snapshot(service: Service, call: Call, session: Session) -> str:
    vm_id = _vm_of_snapshot(service, call)
    snapshot_id, children = call.this.id, call.flag("removeChildren")
    return service.task(
        call, vm_id, lambda task: snapshots.delete(service.world, snapshot_id, with_children=children, task=task)
    )


def _remove_all(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)

    def work(task: Task) -> None:
        for snapshot in reversed(service.world.snapshots_of(vm.id)):
            snapshots.delete(service.world, snapshot.id)

    return service.task(call, vm.id, work)


def _rename_snapshot(service: Service, call: Call, session: Session) -> str:
    _vm_of_snapshot(service, call)
    world = service.world
    with world.lock:
        snapshot = world.snapshot(call.this.id)
        if call.find("name") is not None:
            snapshot.name = call.text("name")
        if call.find("description") is not None:
            snapshot.description = call.text("description")
        world.changed(snapshot)
        world.changed(world.vm(snapshot.vm_id))
    return ""


# ---- life ------------------------------------------------------------------------------------------------------


def _folder_id(service: Service, ref: Ref | None) -> str | None:
    """The world's folder of a folder reference; None for the root VM folder."""
    if ref is None or ref.id.startswith(VM_FOLDER):
        return None
    return ref.id if ref.id in service.world.groups else None


def _host_of_pool(service: Service, pool_id: str) -> str | None:
    hosts = service.tree.compute_hosts(service.tree.compute_of_pool(pool_id))
    with service.world.lock:
        return max(hosts, key=lambda host: power.memory_free(service.world, host)).id if hosts else None


def _clone(service: Service, call: Call, session: Session) -> str:
    if not service.tree.vcenter:
        raise SoapFault("NotSupported", "The operation is not supported on the object.")
    vm = _vm(service, call)
    folder = _folder_id(service, call.ref("folder"))
    name = _check_name(service, call.text("name"), folder)
    spec = call.find("spec")
    location = None if spec is None else spec.find(NS + "location")
    store = _child_ref(location, "datastore")
    pool, host = _child_ref(location, "pool"), _child_ref(location, "host")
    source = _child_ref(spec, "snapshot") or vm.id
    template, start = text(spec, "template") == "true", text(spec, "powerOn") == "true"
    if pool is None and vm.is_template and not template:
        raise SoapFault(
            "InvalidArgument", "A resource pool is required to deploy a template.", invalidProperty="spec.location.pool"
        )
    config = None if spec is None else spec.find(NS + "config")

    def work(task: Task) -> str:
        world = service.world
        made_id = lifecycle.clone(world, source, name, full=True, storage_id=store, task=task)
        with world.lock:
            made = world.vm(made_id)
            made.is_template = template
            made.folder_id = folder
            made.resource_pool_id = pool if pool in world.groups else None
            target = host or (_host_of_pool(service, pool) if pool else None)
            if target is not None:
                made.home_host_id = target
            if config is not None:
                _configure(service, made, config)
            world.changed(made)
        if start:
            power.start(world, made_id)
        return made_id

    return service.task(call, vm.id, work, result="VirtualMachine")


def _child_ref(element: Element | None, name: str) -> str | None:
    found = None if element is None else reference(element.find(NS + name))
    return None if found is None else found.id


def _create(service: Service, call: Call, session: Session) -> str:
    config = call.find("config")
    pool = call.ref("pool")
    service.require(pool, "ResourcePool")
    assert pool is not None
    folder = _folder_id(service, call.this)
    name = _check_name(service, text(config, "name"), folder)
    target = call.ref("host")
    host_id = target.id if target is not None else _host_of_pool(service, pool.id)

    def work(task: Task) -> str:
        return make_vm(service, name, config, pool_id=pool.id, host_id=host_id, folder_id=folder, task=task)

    return service.task(call, call.this.id, work, result="VirtualMachine")


def make_vm(
    service: Service,
    name: str,
    config: Element | None,
    *,
    pool_id: str,
    host_id: str | None,
    folder_id: str | None,
    task: Task,
) -> str:
    """A VM out of a ``VirtualMachineConfigSpec``; removed again when a part of it is refused."""
    world = service.world
    made_id = lifecycle.create(
        world, service.site.id, name, home_host_id=host_id, memory_bytes=GIB, guest=Guest(tools=False), task=task
    )
    try:
        with world.lock:
            made = world.vm(made_id)
            made.folder_id = folder_id
            made.resource_pool_id = pool_id if not pool_id.startswith(POOL) and pool_id in world.groups else None
            if config is not None:
                _configure(service, made, config)
            world.changed(made)
    except BaseException:
        lifecycle.delete(world, made_id)
        raise
    return made_id


def _configure(service: Service, vm: Vm, config: Element) -> None:
    """Apply a ``VirtualMachineConfigSpec``. The world's lock is held."""
    cpus, memory = number(config, "numCPUs"), number(config, "memoryMB")
    if cpus is not None:
        if not 1 <= cpus <= 768:
            raise SoapFault("InvalidArgument", "numCPUs", invalidProperty="configSpec.numCPUs")
        vm.vcpus = cpus
    if memory is not None:
        if memory <= 0 or memory % 4:
            raise SoapFault("InvalidArgument", "memoryMB", invalidProperty="configSpec.memoryMB")
        vm.memory_bytes = memory * MIB
    if config.find(NS + "annotation") is not None:
        vm.description = text(config, "annotation")
    if text(config, "guestId"):
        vm.extra["guest_id"] = text(config, "guestId")
    given = vm.extra.setdefault("extra_config", {})
    for option in config.findall(NS + "extraConfig"):
        given[text(option, "key")] = text(option, "value")
        if not given[text(option, "key")]:
            del given[text(option, "key")]
    apply_devices(service, vm, config)


def _reconfigure(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)
    spec = call.find("spec")
    if spec is None:
        raise SoapFault("InvalidArgument", "spec", invalidProperty="spec")
    new_name = text(spec, "name")

    def work(task: Task) -> None:
        lifecycle.reconfigure(service.world, vm.id, lambda one: _configure(service, one, spec), task=task)
        if new_name:
            lifecycle.rename(service.world, vm.id, unescaped(new_name))

    return service.task(call, vm.id, work)


def destroy_vm(service: Service, call: Call, session: Session) -> str:
    """Destroy_Task of a VM."""
    vm = _vm(service, call)

    def work(task: Task) -> None:
        if vm.power is not Power.HALTED:
            raise power_state("poweredOff", vm.power)
        lifecycle.delete(service.world, vm.id, task=task)

    return service.task(call, vm.id, work)


def _unregister(service: Service, call: Call, session: Session) -> str:
    """The VM is forgotten, its disks stay. ``vm.extra["connection"]`` is how tests lose one."""
    vm, world = _vm(service, call), service.world
    with world.lock:
        if vm.power is Power.RUNNING and vm.extra.get("connection", "connected") == "connected":
            raise power_state("poweredOff", vm.power)
        for snapshot in world.snapshots_of(vm.id):
            snapshots.forget(world, snapshot, with_disks=False)
        world.remove(vm)
    return ""


def rename_vm(service: Service, call: Call, session: Session) -> str:
    """Rename_Task of a VM."""
    vm = _vm(service, call)
    name = _check_name(service, call.text("newName"), vm.folder_id, vm.id)
    return service.task(call, vm.id, lambda task: lifecycle.rename(service.world, vm.id, name))


def _mark_as_template(service: Service, call: Call, session: Session) -> str:
    if not service.tree.vcenter:
        raise SoapFault("NotSupported", "The operation is not supported on the object.")
    vm = _vm(service, call)
    world = service.world
    with world.lock:
        if vm.power is not Power.HALTED:
            raise power_state("poweredOff", vm.power)
        if vm.operations:
            raise SoapFault("TaskInProgress", task=Ref("Task", next(iter(vm.operations))))
        home = service.tree.registered_host(vm)
        vm.home_host_id = home.id if home is not None else vm.home_host_id
        vm.is_template = True
        world.changed(vm)
    return ""


def _mark_as_vm(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)
    pool = call.ref("pool")
    service.require(pool, "ResourcePool")
    assert pool is not None
    host = call.ref("host")
    target = host.id if host is not None else _host_of_pool(service, pool.id)
    with service.world.lock:
        if not vm.is_template:
            raise SoapFault("InvalidState", "It is no template.")
        refusal = power.host_refusal(service.world, vm, service.world.host(target)) if target is not None else None
        if refusal is not None:
            raise refusal
        vm.is_template = False
        vm.home_host_id = target or vm.home_host_id
        vm.resource_pool_id = pool.id if pool.id in service.world.groups else None
        service.world.changed(vm)
    return ""


def _relocate(service: Service, call: Call, session: Session) -> str:
    if not service.tree.vcenter:
        raise SoapFault("NotSupported", "The operation is not supported on the object.")
    vm = _vm(service, call)
    spec = call.find("spec") if call.method == "RelocateVM_Task" else call.element
    pool, host, store = (_child_ref(spec, name) for name in ("pool", "host", "datastore"))

    def work(task: Task) -> None:
        world = service.world
        if host is not None:
            service.require(Ref("HostSystem", host), "HostSystem")
        with power.begun(world, vm.id, "migrate", task) as (one, job):
            with world.lock:
                _check_move(service, one, host, store)
            world.work(job, world.timing.migrate)
            with world.lock:
                _check_move(service, one, host, store)
                for disk in _disks_elsewhere(world, one, store):
                    snapshots.use_space(world, disk.storage_id, -disk.used_bytes)
                    snapshots.use_space(world, store or "", disk.used_bytes)
                    disk.storage_id = store or disk.storage_id
                    world.changed(disk)
                if host is not None:
                    lifecycle.arrive(world, one, world.host(host))
                    _stay(service, one, world.host(host))
                if pool is not None:
                    one.resource_pool_id = pool if pool in world.groups else None
                world.changed(one)

    return service.task(call, vm.id, work)


def _check_move(service: Service, vm: Vm, host: str | None, store: str | None) -> None:
    """Raise why a VM can't be moved to a host, a datastore or both. The world's lock is held."""
    world = service.world
    target = world.host(host) if host is not None else service.tree.registered_host(vm)
    if store is not None:
        storage = world.storages.get(store)
        if storage is None:
            raise errors.NotFound("storage", store)
        if target is not None and target.id not in storage.host_ids:
            raise errors.NotReachable(vm.id, store)
        needed = sum(disk.used_bytes for disk in _disks_elsewhere(world, vm, store))
        free = max(0, storage.size_bytes - storage.used_bytes)
        if storage.size_bytes and needed > free:
            raise errors.NoSpace(store, needed, free)
    refusal = power.host_refusal(world, vm, target, store) if host is not None and target is not None else None
    if refusal is not None:
        raise refusal


def _disks_elsewhere(world: World, vm: Vm, store: str | None) -> list[Disk]:
    """Disks of a VM and of its snapshots that are not on ``store``; none without one."""
    drives = [*vm.drives, *(drive for snapshot in world.snapshots_of(vm.id) for drive in snapshot.drives)]
    found = {drive.disk_id: world.disks.get(drive.disk_id or "") for drive in drives}
    return [
        disk
        for disk in found.values()
        if disk is not None and not disk.is_iso and store is not None and disk.storage_id != store
    ]


def _acquire_ticket(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)
    if vm.power is not Power.RUNNING:
        raise power_state("poweredOn", vm.power)
    host = service.tree.registered_host(vm)
    ticket = Data(
        "VirtualMachineTicket",
        ticket=secrets.token_hex(8),
        cfgFile=f"/vmfs/volumes/{vm.id}.vmx",
        host=host.address if host is not None else None,
        port=443,
    )
    return field("returnval", ticket)


VM_METHODS: dict[str, Method] = {
    "PowerOnVM_Task": _power_on,
    "PowerOffVM_Task": _power_off,
    "SuspendVM_Task": _simple(power.suspend),
    "ResetVM_Task": _simple(power.reset),
    "ShutdownGuest": _guest(power.shutdown),
    "RebootGuest": _guest(power.reboot),
    "StandbyGuest": _guest(power.suspend),
    "CreateSnapshot_Task": _create_snapshot,
    "CreateSnapshotEx_Task": _create_snapshot,
    "RevertToSnapshot_Task": _revert,
    "RevertToCurrentSnapshot_Task": _revert_to_current,
    "RemoveSnapshot_Task": _remove_snapshot,
    "RemoveAllSnapshots_Task": _remove_all,
    "RenameSnapshot": _rename_snapshot,
    "CloneVM_Task": _clone,
    "CreateVM_Task": _create,
    "ReconfigVM_Task": _reconfigure,
    "UnregisterVM": _unregister,
    "MarkAsTemplate": _mark_as_template,
    "MarkAsVirtualMachine": _mark_as_vm,
    "RelocateVM_Task": _relocate,
    "MigrateVM_Task": _relocate,
    "AcquireTicket": _acquire_ticket,
}
