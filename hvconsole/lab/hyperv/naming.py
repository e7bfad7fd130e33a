"""How the simulated host names things: GUIDs, InstanceIDs, object paths, files. Pure; any thread."""

from __future__ import annotations

import hashlib
import re

from hvconsole.lab.hyperv import schema
from hvconsole.lab.hyperv.instance import Ref
from hvconsole.lab.objects import Disk, Drive, Host, Nic, Snapshot, Vm

PROCESSOR = "b637f346-6a0e-4dec-af52-bd70cb80a21d"
MEMORY = "4764334d-e001-4176-82ee-5594ec9b530e"
IDE = "83F8638B-8DCA-4152-9EDA-2CA8B33039B4"
DISK_FOLDER = "D:\\Hyper-V\\Virtual Hard Disks"
_UNSAFE = re.compile(r"[^\w .()-]")


def guid(object_id: str) -> str:
    """A world's id as Hyper-V writes it."""
    return object_id.upper()


def settings_id(owner: Vm | Snapshot) -> str:
    """InstanceID of a VM's present settings or of a checkpoint."""
    return f"Microsoft:{guid(owner.id)}"


def scsi_controllers(vm: Vm | Snapshot) -> list[str]:
    """GUIDs of the VM's SCSI controllers."""
    found = vm.extra.get("scsi")
    if found is None:
        vm_id = vm.vm_id if isinstance(vm, Snapshot) else vm.id
        return [derived("scsi", vm_id)]
    return list(found)


def derived(kind: str, *parts: str) -> str:
    """A GUID that is always the same for the same parts."""
    digits = hashlib.sha256("/".join((kind, *parts)).encode()).hexdigest().upper()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def generation(vm: Vm | Snapshot) -> int:
    """1 or 2."""
    return int(vm.extra.get("generation", 2))


def location(vm: Vm | Snapshot, drive: Drive) -> tuple[str, int, int]:
    """(controller GUID, controller number, slot) of a drive; drives that were not placed get a place by order."""
    placed = drive.extra.get("location")
    if placed is not None:
        return (str(placed[0]), int(placed[1]), int(placed[2]))
    slot = int(drive.device) if drive.device.isdigit() else 0
    if generation(vm) == 1 and slot < 4:
        return (IDE, slot // 2, slot % 2)
    controllers = scsi_controllers(vm)
    return (controllers[0] if controllers else IDE, 0, slot)


def controller_id(vm: Vm | Snapshot, controller: str, number: int) -> str:
    """InstanceID of a controller."""
    return f"{settings_id(vm)}\\{controller}\\{number}"


def drive_id(vm: Vm | Snapshot, drive: Drive) -> str:
    """InstanceID of a drive."""
    controller, number, slot = location(vm, drive)
    return f"{settings_id(vm)}\\{controller}\\{number}\\{slot}\\D"


def medium_id(vm: Vm | Snapshot, drive: Drive) -> str:
    """InstanceID of what is in a drive."""
    return drive_id(vm, drive)[:-1] + "L"


def nic_id(vm: Vm | Snapshot, nic: Nic) -> str:
    """InstanceID of a network card's settings."""
    return f"{settings_id(vm)}\\{guid(nic.id)}"


def settings_ref(class_name: str, instance_id: str) -> Ref:
    """A reference to settings."""
    return Ref(schema.V2, class_name, (("InstanceID", instance_id),))


def system_ref(name: str, class_name: str = "Msvm_ComputerSystem") -> Ref:
    """A reference to a VM, the host or a switch."""
    return Ref(schema.V2, class_name, (("CreationClassName", class_name), ("Name", name)))


def disk_path(disk: Disk) -> str:
    """The file a disk is in."""
    path = disk.extra.get("path")
    if path:
        return str(path)
    stem = _UNSAFE.sub("_", disk.name)[:80] or "disk"
    if disk.is_iso:
        return f"D:\\ISO\\{stem}"
    suffix = ".avhdx" if disk.snapshot_of else ".vhdx"
    return f"{DISK_FOLDER}\\{stem}_{guid(disk.id)}{suffix}"


def server_name(host: Host) -> str:
    """The NetBIOS name of the host."""
    return host.name.partition(".")[0].upper()[:15]
