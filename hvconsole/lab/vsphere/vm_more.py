"""What a VM can do, which files it has and what it may use. The caller holds ``world.lock``."""

from __future__ import annotations

from typing import Any

from hvconsole.lab.objects import Vm
from hvconsole.lab.vsphere.tree import Tree
from hvconsole.lab.vsphere.values import Array, Data, Ref, array, long, when
from hvconsole.lab.vsphere.vm_properties import Properties, disk_file, first_store, vm_allocations

_ABILITIES = {
    "snapshotOperationsSupported": True,
    "multipleSnapshotsSupported": True,
    "snapshotConfigSupported": True,
    "poweredOffSnapshotsSupported": True,
    "memorySnapshotsSupported": True,
    "revertToSnapshotSupported": True,
    "quiescedSnapshotsSupported": True,
    "disableSnapshotsSupported": False,
    "lockSnapshotsSupported": False,
    "consolePreferencesSupported": False,
    "cpuFeatureMaskSupported": True,
    "s1AcpiManagementSupported": True,
    "settingScreenResolutionSupported": False,
    "toolsAutoUpdateSupported": False,
    "vmNpivWwnSupported": True,
    "npivWwnOnNonRdmVmSupported": True,
    "vmNpivWwnDisableSupported": True,
    "vmNpivWwnUpdateSupported": True,
    "swapPlacementSupported": True,
    "toolsSyncTimeSupported": True,
    "virtualMmuUsageSupported": True,
    "diskSharesSupported": True,
    "bootOptionsSupported": True,
    "bootRetryOptionsSupported": True,
    "settingVideoRamSizeSupported": True,
    "settingDisplayTopologySupported": True,
    "recordReplaySupported": False,
    "changeTrackingSupported": True,
    "multipleCoresPerSocketSupported": True,
    "hostBasedReplicationSupported": True,
    "guestAutoLockSupported": True,
    "memoryReservationLockSupported": True,
    "featureRequirementSupported": True,
    "poweredOnMonitorTypeChangeSupported": True,
    "seSparseDiskSupported": False,
    "nestedHVSupported": True,
    "vPMCSupported": True,
    "secureBootSupported": True,
    "perVmEvcSupported": True,
}


def more_properties(tree: Tree, vm: Vm) -> Properties:
    """Properties beside those that a list of VMs shows."""
    return {
        "capability": lambda: Data("VirtualMachineCapability", **_ABILITIES),
        "layout": lambda: _layout(tree, vm),
        "layoutEx": lambda: _files(tree, vm),
        "storage": lambda: _storage(tree, vm),
        "resourceConfig": lambda: Data("ResourceConfigSpec", entity=Ref("VirtualMachine", vm.id), **vm_allocations(vm)),
    }


def _home(tree: Tree, vm: Vm) -> str:
    return f"[{first_store(tree, vm)}] {vm.id}/"


def _own_disks(tree: Tree, vm: Vm) -> list[Any]:
    return [
        tree.world.disks[drive.disk_id] for drive in vm.drives if drive.disk_id in tree.world.disks and not drive.is_cd
    ]


def _layout(tree: Tree, vm: Vm) -> Data:
    disks = _own_disks(tree, vm)
    return Data(
        "VirtualMachineFileLayout",
        configFile=array("string", (f"{vm.id}.vmx", f"{vm.id}.vmsd")),
        logFile=array("string", ("vmware.log",)),
        disk=array(
            "VirtualMachineFileLayoutDiskLayout",
            (
                Data(
                    "VirtualMachineFileLayoutDiskLayout",
                    key=2000 + at,
                    diskFile=array("string", (disk_file(tree, disk.id),)),
                )
                for at, disk in enumerate(disks)
            ),
        ),
    )


def _files(tree: Tree, vm: Vm) -> Data:
    home = _home(tree, vm)
    listed: list[tuple[str, str, int]] = [
        (f"{home}{vm.id}.vmx", "config", 3_200),
        (f"{home}{vm.id}.nvram", "nvram", 264_000),
    ]
    listed += [(f"{home}{vm.id}.vmsd", "snapshotList", 600), (f"{home}vmware.log", "log", 240_000)]
    layouts = []
    for at, disk in enumerate(_own_disks(tree, vm)):
        name = disk_file(tree, disk.id)
        first = len(listed)
        listed += [(name, "diskDescriptor", 560), (name.replace(".vmdk", "-flat.vmdk"), "diskExtent", disk.used_bytes)]
        layouts.append(
            Data(
                "VirtualMachineFileLayoutExDiskLayout",
                key=2000 + at,
                chain=array(
                    "VirtualMachineFileLayoutExDiskUnit",
                    (Data("VirtualMachineFileLayoutExDiskUnit", fileKey=array("int", (first, first + 1))),),
                ),
            )
        )
    return Data(
        "VirtualMachineFileLayoutEx",
        file=array(
            "VirtualMachineFileLayoutExFileInfo",
            (
                Data(
                    "VirtualMachineFileLayoutExFileInfo",
                    key=key,
                    name=name,
                    type=kind,
                    size=long(size),
                    uniqueSize=long(size),
                    accessible=True,
                )
                for key, (name, kind, size) in enumerate(listed)
            ),
        ),
        disk=array("VirtualMachineFileLayoutExDiskLayout", layouts),
        timestamp=when(tree.world.now()),
    )


def _storage(tree: Tree, vm: Vm) -> Data:
    used: dict[str, list[int]] = {}
    for disk in _own_disks(tree, vm):
        sums = used.setdefault(disk.storage_id, [0, 0])
        sums[0] += disk.used_bytes
        sums[1] += max(0, disk.size_bytes - disk.used_bytes)
    usage: Array = array(
        "VirtualMachineUsageOnDatastore",
        (
            Data(
                "VirtualMachineUsageOnDatastore",
                datastore=Ref("Datastore", store),
                committed=long(taken),
                uncommitted=long(free),
                unshared=long(taken),
            )
            for store, (taken, free) in used.items()
        ),
    )
    return Data("VirtualMachineStorageInfo", perDatastoreUsage=usage, timestamp=when(tree.world.now()))
