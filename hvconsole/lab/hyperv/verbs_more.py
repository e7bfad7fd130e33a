"""Disks that are resized, compacted, converted and checked; switches that are made; what this host does not support.

Methods that exist on every host and that the lab does not model answer "not supported", which clients know, instead
of the fault for a method that doesn't exist.
"""

from __future__ import annotations

from hvconsole.lab import lifecycle
from hvconsole.lab.hyperv import naming
from hvconsole.lab.hyperv.methods import (
    IN_USE,
    INVALID_PARAMETER,
    UNSUPPORTED,
    Call,
    Method,
    NoSuchInstance,
    Output,
    ReturnValue,
    settings_ref,
)
from hvconsole.lab.hyperv.verbs_define import disk_at, file_at, volume_of
from hvconsole.lab.objects import Network, Power, Vm
from hvconsole.lab.tasks import Task

_JOB = ("Job",)
_STORAGE = "Msvm_StorageJob"
_NOT_HERE = {
    "Msvm_VirtualSystemManagementService": """AddBootSourceSettings AddFeatureSettings AddFibreChannelChap
        AddGuestServiceSettings AddKvpItems AddSystemComponentSettings DefinePlannedSystem DiagnoseNetworkConnection
        GenerateWwpn GetCurrentWwpnFromGenerator ImportSnapshotDefinitions ModifyDiskMergeSettings
        ModifyFeatureSettings ModifyGuestServiceSettings ModifyKvpItems ModifySystemComponentSettings
        RemoveBootSourceSettings RemoveFeatureSettings RemoveFibreChannelChap RemoveGuestServiceSettings RemoveKvpItems
        RemoveSystemComponentSettings RequestStateChange SetGuestNetworkAdapterConfiguration
        SetInitialMachineConfigurationData StartService StopService TestNetworkConnection""",
    "Msvm_VirtualSystemSnapshotService": """ConvertToReferencePoint RequestStateChange StartService StopService""",
    "Msvm_ImageManagementService": """AttachVirtualHardDisk ConvertVirtualHardDiskToVHDSet CreateVirtualFloppyDisk
        DeleteVHDSnapshot FindMountedStorageImageInstance GetVHDSetInformation GetVHDSnapshotInformation
        GetVirtualDiskChanges MergeVirtualHardDisk OptimizeVHDSet RequestStateChange SetParentVirtualHardDisk
        SetVHDSnapshotInformation SetVirtualHardDiskSettingData StartService StopService
        ValidatePersistentReservationSupport""",
    "Msvm_VirtualEthernetSwitchManagementService": """AddFeatureSettings AddResourceSettings ModifyFeatureSettings
        ModifyResourceSettings RemoveFeatureSettings RemoveResourceSettings RequestStateChange StartService
        StopService""",
    "Msvm_ComputerSystem": "InjectNonMaskableInterrupt RequestReplicationStateChange RequestReplicationStateChangeEx",
}


def _unsupported(call: Call) -> Output:
    raise ReturnValue(UNSUPPORTED)


# ---- disks -------------------------------------------------------------------------------------------------------


def resize_disk(call: Call) -> Output:
    """ResizeVirtualHardDisk: a disk only grows here."""
    size = call.parameters.number("MaxInternalSize") or 0
    world = call.picture.world
    with world.lock:
        disk = file_at(call, call.parameters.text("Path"))
        if size < disk.size_bytes:
            raise ReturnValue(INVALID_PARAMETER)

    def work(task: Task) -> None:
        with world.lock:
            disk.size_bytes = size
            world.changed(disk)

    return call.job("resize disk", work, "", class_name=_STORAGE)


def look_at_disk(call: Call) -> Output:
    """CompactVirtualHardDisk and ValidateVirtualHardDisk: nothing is found wrong, nothing can be made smaller."""
    with call.picture.world.lock:
        file_at(call, call.parameters.text("Path"))
    return call.job("look at disk", lambda task: None, "", class_name=_STORAGE)


def convert_disk(call: Call) -> Output:
    """ConvertVirtualHardDisk: a copy of another kind at another path."""
    settings = call.embedded("VirtualDiskSettingData")
    world, path = call.picture.world, settings.text("Path")
    with world.lock:
        source = file_at(call, call.parameters.text("SourcePath"))
        if disk_at(call, path) is not None:
            raise ReturnValue(IN_USE)
        storage = volume_of(call, path)

    def work(task: Task) -> None:
        world.work(task, world.timing.copy)
        with world.lock:
            made = lifecycle.new_disk(
                world, call.picture.site.id, storage.id, path.rpartition("\\")[2], source.size_bytes
            )
            made.extra.update(path=path, type=settings.number("Type"))
            world.changed(made)

    return call.job("convert disk", work, "", class_name=_STORAGE)


# ---- VMs ---------------------------------------------------------------------------------------------------------


def size_of_files(call: Call) -> Output:
    """GetSizeOfSystemFiles: of everything that belongs to some settings, in bytes."""
    world = call.picture.world
    with world.lock:
        owner = call.settings("Vssd")
        disks = [world.disks[drive.disk_id] for drive in owner.drives if drive.disk_id in world.disks]
        return {"Size": sum(disk.used_bytes for disk in disks if not disk.is_iso) + 50_000}


def upgrade(call: Call) -> Output:
    """UpgradeSystemVersion: the VM must be off; every VM of the lab is of the newest version."""
    vm = call.vm("ComputerSystem")
    if vm.power is not Power.HALTED:
        raise ReturnValue(32775)
    return call.job("upgrade", lambda task: None, vm.id, settings_ref(vm))


def clear_saved_state(call: Call) -> Output:
    """ClearSnapshotState: the memory of a checkpoint is thrown away."""
    found = call.settings("SnapshotSettingData")
    if isinstance(found, Vm):
        raise ReturnValue(INVALID_PARAMETER)

    def work(task: Task) -> None:
        with call.picture.world.lock:
            found.power = Power.HALTED
            call.picture.world.changed(found)

    return call.job("clear state", work, found.vm_id, settings_ref(found))


def format_error(call: Call) -> Output:
    """FormatError: the words of errors, one below the other."""
    words = [error.text("Message") for error in call.parameters.instances("Errors")]
    return {"ErrorMessage": "\n".join(words)}


def nothing_to_change(call: Call) -> Output:
    """ModifyServiceSettings: taken and forgotten."""
    return {}


# ---- switches ----------------------------------------------------------------------------------------------------


def define_switch(call: Call) -> Output:
    """DefineSystem of the switch service: a private switch."""
    name = call.embedded("SystemSettings").text("ElementName")
    if not name:
        raise ReturnValue(INVALID_PARAMETER)
    world, site = call.picture.world, call.picture.site
    with world.lock:
        made = Network(id=world.new_id(), site_id=site.id, name=name)
        world.add(made)
    return {"ResultingSystem": naming.system_ref(naming.guid(made.id), "Msvm_VirtualEthernetSwitch")}


def _switch(call: Call, guid: str) -> Network:
    found = call.picture.world.networks.get(guid.lower())
    if found is None or found.site_id != call.picture.site.id:
        raise NoSuchInstance(guid)
    return found


def destroy_switch(call: Call) -> Output:
    """DestroySystem of the switch service: cards that were on it are on none any more."""
    ref = call.parameters.reference("AffectedSystem")
    if ref is None:
        raise ReturnValue(INVALID_PARAMETER)
    world = call.picture.world
    with world.lock:
        network = _switch(call, ref.value("Name"))
        for vm in world.of_site(world.vms.values(), call.picture.site.id):
            for nic in vm.nics:
                if nic.network_id == network.id:
                    nic.network_id = None
                    world.changed(vm)
        for host in world.of_site(world.hosts.values(), call.picture.site.id):
            host.nics = [nic for nic in host.nics if nic.network_id != network.id]
        world.remove(network)
    return {}


def rename_switch(call: Call) -> Output:
    """ModifySystemSettings of the switch service: its name."""
    settings = call.embedded("SystemSettings")
    world = call.picture.world
    with world.lock:
        network = _switch(call, settings.text("InstanceID").removeprefix("Microsoft:"))
        network.name = settings.text("ElementName") or network.name
        world.changed(network)
    return {}


METHODS: dict[str, dict[str, Method]] = {
    class_name: {name: Method(_unsupported, ("*",)) for name in names.split()}
    for class_name, names in _NOT_HERE.items()
}
METHODS["Msvm_ImageManagementService"].update(
    {
        "ResizeVirtualHardDisk": Method(resize_disk, ("Path", "MaxInternalSize"), _JOB),
        "CompactVirtualHardDisk": Method(look_at_disk, ("Path", "Mode"), _JOB),
        "ValidateVirtualHardDisk": Method(look_at_disk, ("Path",), _JOB),
        "ConvertVirtualHardDisk": Method(convert_disk, ("SourcePath", "VirtualDiskSettingData"), _JOB),
    }
)
METHODS["Msvm_VirtualSystemManagementService"].update(
    {
        "GetSizeOfSystemFiles": Method(size_of_files, ("Vssd",), ("Size",)),
        "UpgradeSystemVersion": Method(upgrade, ("ComputerSystem", "UpgradeSettingData"), _JOB),
        "FormatError": Method(format_error, ("Errors",), ("ErrorMessage",)),
        "ModifyServiceSettings": Method(nothing_to_change, ("SettingData",), _JOB),
    }
)
METHODS["Msvm_VirtualSystemSnapshotService"]["ClearSnapshotState"] = Method(
    clear_saved_state, ("SnapshotSettingData",), _JOB
)
METHODS["Msvm_VirtualEthernetSwitchManagementService"].update(
    {
        "DefineSystem": Method(
            define_switch, ("SystemSettings", "ResourceSettings", "ReferenceConfiguration"), ("ResultingSystem", "Job")
        ),
        "DestroySystem": Method(destroy_switch, ("AffectedSystem",), _JOB),
        "ModifySystemSettings": Method(rename_switch, ("SystemSettings",), _JOB),
    }
)
