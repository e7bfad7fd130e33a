"""Making and changing VMs: DefineSystem, resource settings, system settings, DestroySystem, virtual disks, files."""

from __future__ import annotations

from hvconsole.lab import errors, lifecycle, power, snapshots
from hvconsole.lab.hyperv import devices, naming
from hvconsole.lab.hyperv.instance import Ref, make, parse_path
from hvconsole.lab.hyperv.methods import (
    FILE_MISSING,
    IN_USE,
    INVALID_PARAMETER,
    INVALID_STATE,
    Call,
    Method,
    NoSuchInstance,
    Output,
    ReturnValue,
    settings_ref,
)
from hvconsole.lab.hyperv.parameters import Embedded
from hvconsole.lab.objects import GIB, MIB, Disk, Drive, Nic, Power, Snapshot, Storage, Vm
from hvconsole.lab.tasks import Task

_NAME_MAX = 100
_BLOCK = 2


def define_system(call: Call) -> Output:
    """DefineSystem: a halted VM with one processor, 1 GiB and nothing else."""
    settings = call.embedded("SystemSettings")
    world, site, host = call.picture.world, call.picture.site, call.picture.host
    name = settings.text("ElementName") or "New Virtual Machine"
    if len(name) > _NAME_MAX:
        raise ReturnValue(INVALID_PARAMETER)
    kind = settings.text("VirtualSystemSubType") or "Microsoft:Hyper-V:SubType:1"
    if kind not in ("Microsoft:Hyper-V:SubType:1", "Microsoft:Hyper-V:SubType:2"):
        raise ReturnValue(INVALID_PARAMETER)
    vm_id = lifecycle.create(
        world,
        site.id,
        name,
        description="\n".join(settings.values.get("notes", [])),
        vcpus=1,
        memory_bytes=GIB,
        home_host_id=host.id,
    )
    with world.lock:
        vm = world.vm(vm_id)
        vm.extra.update(generation=int(kind[-1]), scsi=[], snapshot_type=settings.number("UserSnapshotType") or 3)
        world.changed(vm)
    return {"ResultingSystem": naming.system_ref(naming.guid(vm_id))}


def add_resources(call: Call) -> Output:
    """AddResourceSettings."""
    world = call.picture.world
    with world.lock:
        vm = _vm_of(call)
        made = [_add(call, vm, settings) for settings in call.parameters.instances("ResourceSettings")]
        _touch(call, vm)
    return {"ResultingResourceSettings": made}


def _vm_of(call: Call) -> Vm:
    owner = call.settings("AffectedConfiguration")
    if not isinstance(owner, Vm):
        raise ReturnValue(INVALID_PARAMETER)
    return owner


def _touch(call: Call, vm: Vm) -> None:
    vm.extra["configured"] = call.picture.world.now()
    call.picture.world.changed(vm)


def _add(call: Call, vm: Vm, settings: Embedded) -> Ref:
    world = call.picture.world
    kind = settings.number("ResourceType")
    subtype = settings.text("ResourceSubType")
    if kind == 6 and subtype == devices.SCSI:
        controller = world.new_id().upper()
        vm.extra["scsi"] = [*naming.scsi_controllers(vm), controller]
        return _resource(naming.controller_id(vm, controller, 0))
    if kind in (16, 17) and subtype in (devices.DISK_DRIVE, devices.DVD_DRIVE):
        drive = Drive(id=world.new_id(), device=str(len(vm.drives)), is_cd=kind == 16, read_only=kind == 16)
        drive.extra["location"] = _place(vm, settings)
        vm.drives.append(drive)
        return _resource(naming.drive_id(vm, drive))
    if kind == 31:
        drive = _drive_at(vm, settings.text("Parent"))
        if drive.disk_id is not None:
            raise ReturnValue(INVALID_STATE)
        drive.disk_id = file_at(call, settings.text("HostResource")).id
        return naming.settings_ref("Msvm_StorageAllocationSettingData", naming.medium_id(vm, drive))
    if kind == 10 and subtype == devices.NIC:
        address = settings.text("Address") or world.new_mac().replace(":", "")
        nic = Nic(id=world.new_id(), device=str(len(vm.nics)), mac=_with_colons(address), network_id=None)
        vm.nics.append(nic)
        return naming.settings_ref("Msvm_SyntheticEthernetPortSettingData", naming.nic_id(vm, nic))
    if kind == 33:
        nic = _nic_at(vm, settings.text("Parent"))
        _connect(call, nic, settings)
        return naming.settings_ref("Msvm_EthernetPortAllocationSettingData", naming.nic_id(vm, nic) + "\\C")
    raise ReturnValue(INVALID_PARAMETER)


def _place(vm: Vm, settings: Embedded) -> tuple[str, int, int]:
    parent = parse_path(settings.text("Parent"))
    parts = parent.value("InstanceID").split("\\") if parent is not None else []
    if len(parts) != 3 or parts[0].upper() != naming.settings_id(vm).upper():
        raise ReturnValue(INVALID_PARAMETER)
    controller, number = parts[1], int(parts[2])
    known = [*naming.scsi_controllers(vm), *([naming.IDE] if naming.generation(vm) == 1 else [])]
    if controller.upper() not in [guid.upper() for guid in known]:
        raise ReturnValue(INVALID_PARAMETER)
    places = [naming.location(vm, drive) for drive in vm.drives]
    taken = {place[2] for place in places if place[:2] == (controller, number)}
    wanted = settings.number("AddressOnParent")
    slot = next(free for free in range(256) if free not in taken) if wanted is None else wanted
    if slot in taken:
        raise ReturnValue(IN_USE)
    return controller, number, slot


def _resource(instance_id: str) -> Ref:
    return naming.settings_ref("Msvm_ResourceAllocationSettingData", instance_id)


def _drive_at(vm: Vm, path: str) -> Drive:
    parent = parse_path(path)
    wanted = parent.value("InstanceID").upper() if parent is not None else ""
    for drive in vm.drives:
        if naming.drive_id(vm, drive).upper() == wanted:
            return drive
    raise ReturnValue(INVALID_PARAMETER)


def _nic_at(vm: Vm, path: str) -> Nic:
    parent = parse_path(path)
    wanted = parent.value("InstanceID").upper() if parent is not None else ""
    for nic in vm.nics:
        if naming.nic_id(vm, nic).upper() == wanted:
            return nic
    raise ReturnValue(INVALID_PARAMETER)


def _connect(call: Call, nic: Nic, settings: Embedded) -> None:
    switch = parse_path(settings.text("HostResource")) if settings.has("HostResource") else None
    if switch is None:
        nic.network_id = None
        return
    network = call.picture.world.networks.get(switch.value("Name").lower())
    if network is None:
        raise ReturnValue(INVALID_PARAMETER)
    nic.network_id = network.id
    nic.plugged = settings.number("EnabledState") != 3


def disk_at(call: Call, path: str) -> Disk | None:
    """The disk in a file of that name."""
    world = call.picture.world
    return next(
        (
            disk
            for disk in world.of_site(world.disks.values(), call.picture.site.id)
            if naming.disk_path(disk).lower() == path.lower()
        ),
        None,
    )


def file_at(call: Call, path: str) -> Disk:
    """The disk in a file; refused where there is none."""
    disk = disk_at(call, path)
    if disk is None:
        raise ReturnValue(FILE_MISSING)
    return disk


def _with_colons(mac: str) -> str:
    return ":".join(mac[i : i + 2] for i in range(0, 12, 2)).lower()


def modify_resources(call: Call) -> Output:
    """ModifyResourceSettings: memory, processors, media, cards, connections."""
    world = call.picture.world
    changed: list[Ref] = []
    with world.lock:
        for settings in call.parameters.instances("ResourceSettings"):
            instance_id = settings.text("InstanceID")
            owner = call.owner(instance_id)
            if not isinstance(owner, Vm):
                raise ReturnValue(INVALID_PARAMETER)
            _modify(call, owner, settings, instance_id)
            _touch(call, owner)
            changed.append(naming.settings_ref(settings.class_name, instance_id))
    return {"ResultingResourceSettings": changed}


def _modify(call: Call, vm: Vm, settings: Embedded, instance_id: str) -> None:
    quantity = settings.number("VirtualQuantity")
    if settings.class_name == "Msvm_MemorySettingData":
        if settings.text("DynamicMemoryEnabled"):
            vm.extra["dynamic_memory"] = settings.text("DynamicMemoryEnabled").lower() in ("true", "1")
        if quantity is not None:
            if vm.power is not Power.HALTED:
                raise ReturnValue(INVALID_STATE)
            if quantity % _BLOCK or quantity < 32:
                raise ReturnValue(INVALID_PARAMETER)
            vm.memory_bytes = quantity * MIB
    elif settings.class_name == "Msvm_ProcessorSettingData" and quantity is not None:
        if vm.power is not Power.HALTED:
            raise ReturnValue(INVALID_STATE)
        if not 1 <= quantity <= call.picture.host.cpus:
            raise ReturnValue(INVALID_PARAMETER)
        vm.vcpus = quantity
    elif settings.class_name == "Msvm_StorageAllocationSettingData":
        for drive in vm.drives:
            if naming.medium_id(vm, drive).upper() == instance_id.upper():
                drive.disk_id = file_at(call, settings.text("HostResource")).id
    elif settings.class_name == "Msvm_EthernetPortAllocationSettingData":
        for nic in vm.nics:
            if (naming.nic_id(vm, nic) + "\\C").upper() == instance_id.upper():
                _connect(call, nic, settings)


def modify_system(call: Call) -> Output:
    """ModifySystemSettings: name and notes of a VM or a checkpoint."""
    settings = call.embedded("SystemSettings")
    world = call.picture.world
    with world.lock:
        owner = call.owner(settings.text("InstanceID"))
        if len(settings.text("ElementName")) > _NAME_MAX:
            raise ReturnValue(INVALID_PARAMETER)
        if isinstance(owner, Vm):
            power.check(world, owner, "rename")
        if settings.has("ElementName"):
            owner.name = settings.text("ElementName")
        if "notes" in settings.values:
            owner.description = "\n".join(settings.values["notes"])
        if isinstance(owner, Vm):
            if settings.number("UserSnapshotType"):
                owner.extra["snapshot_type"] = settings.number("UserSnapshotType")
            _touch(call, owner)
        else:
            world.changed(owner)
    if isinstance(owner, Snapshot):
        return {}
    return call.job("modify", lambda task: None, owner.id, settings_ref(owner))


def remove_resources(call: Call) -> Output:
    """RemoveResourceSettings: drives, media, cards."""
    world = call.picture.world
    with world.lock:
        for ref in call.parameters.references("ResourceSettings"):
            wanted = ref.value("InstanceID").upper()
            vm = call.owner(ref.value("InstanceID"))
            if not isinstance(vm, Vm):
                raise ReturnValue(INVALID_PARAMETER)
            for drive in list(vm.drives):
                if naming.medium_id(vm, drive).upper() == wanted:
                    drive.disk_id = None
                elif naming.drive_id(vm, drive).upper() == wanted:
                    vm.drives.remove(drive)
            vm.nics = [nic for nic in vm.nics if naming.nic_id(vm, nic).upper() != wanted]
            _touch(call, vm)
    return {}


def destroy_system(call: Call) -> Output:
    """DestroySystem: configuration and checkpoints go, disk files stay."""
    world = call.picture.world
    with world.lock:
        vm = call.vm("AffectedSystem")
        if vm.power not in (Power.HALTED, Power.SUSPENDED):
            raise ReturnValue(INVALID_STATE)
        power.check(world, vm, "delete")

    def work(task: Task) -> None:
        lifecycle.delete(world, vm.id, with_disks=False, with_snapshots=False, task=task)
        with world.lock:
            for snapshot in world.snapshots_of(vm.id):
                snapshots.forget(world, snapshot, with_disks=True)

    return call.job("delete", work, vm.id, job_type=80)


# ---- virtual disks and files -----------------------------------------------------------------------------


def create_disk(call: Call) -> Output:
    """CreateVirtualHardDisk: a Msvm_StorageJob."""
    settings = call.embedded("VirtualDiskSettingData")
    world, site = call.picture.world, call.picture.site
    path, size = settings.text("Path"), settings.number("MaxInternalSize") or 0
    name = path.rpartition("\\")[2]
    if len(path) < 4 or path[1:3] != ":\\" or not name.lower().endswith((".vhdx", ".vhd")) or size < 1:
        raise ReturnValue(INVALID_PARAMETER)
    if settings.number("Type") not in (2, 3, 4) or settings.number("Format") not in (2, 3, 4):
        raise ReturnValue(INVALID_PARAMETER)
    with world.lock:
        if disk_at(call, path) is not None:
            raise ReturnValue(IN_USE)

    def work(task: Task) -> None:
        world.work(task, world.timing.create)
        with world.lock:
            storage = volume_of(call, path)
            disk = lifecycle.new_disk(world, site.id, storage.id, name, size)
            disk.extra.update(path=path, type=settings.number("Type"))
            world.changed(disk)

    return call.job("create disk", work, "", job_type=61, class_name="Msvm_StorageJob")


def volume_of(call: Call, path: str) -> Storage:
    """The storage that a path is on. Raises ``NotFound``."""
    world = call.picture.world
    for storage in world.of_site(world.storages.values(), call.picture.site.id):
        if str(storage.extra.get("letter", "")).lower() == path[:2].lower():
            return storage
    raise errors.NotFound("storage", path[:2])


def disk_settings(call: Call) -> Output:
    """GetVirtualHardDiskSettingData."""
    with call.picture.world.lock:
        disk = file_at(call, call.parameters.text("Path"))
        text = make(
            "Msvm_VirtualHardDiskSettingData",
            InstanceID=naming.guid(disk.id),
            ElementName=disk.name,
            Type=4 if disk.snapshot_of else disk.extra.get("type", 3),
            Format=3,
            Path=naming.disk_path(disk),
            ParentPath=disk.extra.get("parent"),
            MaxInternalSize=disk.size_bytes,
            BlockSize=33554432,
            LogicalSectorSize=512,
            PhysicalSectorSize=4096,
            VirtualDiskId=naming.guid(disk.id),
        ).cim_xml()
    return {"SettingData": text}


def disk_state(call: Call) -> Output:
    """GetVirtualHardDiskState."""
    with call.picture.world.lock:
        disk = file_at(call, call.parameters.text("Path"))
        text = make(
            "Msvm_VirtualHardDiskState", FileSize=disk.used_bytes, InUse=False, Alignment=0, PhysicalSectorSize=4096
        ).cim_xml()
    return {"State": text}


def delete_file(call: Call) -> Output:
    """CIM_DataFile.Delete: 2 access denied, 15 in use."""
    world = call.picture.world
    with world.lock:
        disk = disk_at(call, str(call.target.get("Name")))
        if disk is None:
            raise NoSuchInstance("file")
        if snapshots.disk_users(world, disk.id):
            raise ReturnValue(15)
        world.remove(disk)
        snapshots.use_space(world, disk.storage_id, -disk.used_bytes)
    return {}


_JOB = ("Job",)
METHODS = {
    "Msvm_VirtualSystemManagementService": {
        "DefineSystem": Method(
            define_system, ("SystemSettings", "ResourceSettings", "ReferenceConfiguration"), ("ResultingSystem", "Job")
        ),
        "AddResourceSettings": Method(
            add_resources, ("AffectedConfiguration", "ResourceSettings"), ("ResultingResourceSettings", "Job")
        ),
        "ModifyResourceSettings": Method(modify_resources, ("ResourceSettings",), ("ResultingResourceSettings", "Job")),
        "ModifySystemSettings": Method(modify_system, ("SystemSettings",), _JOB),
        "RemoveResourceSettings": Method(remove_resources, ("ResourceSettings",), _JOB),
        "DestroySystem": Method(destroy_system, ("AffectedSystem",), _JOB),
    },
    "Msvm_ImageManagementService": {
        "CreateVirtualHardDisk": Method(create_disk, ("VirtualDiskSettingData",), _JOB),
        "GetVirtualHardDiskSettingData": Method(disk_settings, ("Path",), ("SettingData", "Job")),
        "GetVirtualHardDiskState": Method(disk_state, ("Path",), ("State", "Job")),
    },
    "CIM_DataFile": {"Delete": Method(delete_file)},
}
