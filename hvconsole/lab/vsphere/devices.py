"""Changes of a VM's devices as a ``VirtualMachineConfigSpec`` asks for them. The caller holds the world's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from hvconsole.lab import lifecycle, snapshots
from hvconsole.lab.objects import Drive, Nic, Vm
from hvconsole.lab.vsphere.faults import SoapFault
from hvconsole.lab.vsphere.soap import NS, kind_of, number, reference, text
from hvconsole.lab.vsphere.vm_properties import CARD, CDROM, DISK

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Service

_CARDS = ("VirtualVmxnet", "VirtualE1000", "VirtualPCNet", "VirtualSriov", "VirtualEthernetCard")


def apply_devices(service: Service, vm: Vm, config: Element) -> None:
    """Add, edit and remove devices. Raises ``SoapFault`` or ``WorldError``; what came before stays."""
    for change in config.findall(NS + "deviceChange"):
        device = change.find(NS + "device")
        if device is None:
            continue
        kind = kind_of(device)
        operation = text(change, "operation")
        if kind == "VirtualDisk":
            _disk(
                service,
                vm,
                device,
                operation,
                text(change, "fileOperation"),
                text(config.find(NS + "files"), "vmPathName"),
            )
        elif kind == "VirtualCdrom":
            _cdrom(service, vm, device, operation)
        elif kind.startswith(_CARDS):
            _card(service, vm, device, operation, kind)


def _free(vm: Vm) -> str:
    used = {drive.device for drive in vm.drives}
    return next(str(one) for one in range(64) if str(one) not in used)


def _disk(service: Service, vm: Vm, device: Element, operation: str, file_operation: str, path: str) -> None:
    world = service.world
    if operation == "remove":
        device_number = str((number(device, "key") or 0) - DISK)
        drive = next((one for one in vm.drives if not one.is_cd and one.device == device_number), None)
        if drive is None:
            raise SoapFault("InvalidDeviceSpec", "No such disk.", property="deviceChange", deviceIndex=0)
        vm.drives.remove(drive)
        if file_operation == "destroy":
            snapshots.drop_disk(world, drive.disk_id)
        return
    if operation != "add":
        return
    size = number(device, "capacityInBytes") or (number(device, "capacityInKB") or 0) * 1024
    if size <= 0:
        raise SoapFault("InvalidDeviceSpec", "A disk needs a size.", property="deviceChange", deviceIndex=0)
    backing = device.find(NS + "backing")
    store = _store(service, text(backing, "fileName") or path, backing)
    disk = lifecycle.new_disk(world, service.site.id, store, f"{vm.name} disk {len(vm.drives)}", size)
    disk.extra["thin"] = text(backing, "thinProvisioned") == "true"
    if not disk.extra["thin"]:
        snapshots.use_space(world, disk.storage_id, disk.size_bytes - disk.used_bytes)
        disk.used_bytes = disk.size_bytes
    vm.drives.append(Drive(id=world.new_id(), device=_free(vm), disk_id=disk.id, bootable=True))


def _store(service: Service, file_name: str, backing: Element | None) -> str | None:
    """The datastore of "[name] path" or of the backing's reference; None for the site's default."""
    named = None if backing is None else reference(backing.find(NS + "datastore"))
    if named is not None:
        return named.id
    if file_name.startswith("["):
        name = file_name[1:].partition("]")[0]
        found = next((one for one in service.tree.storages() if one.name == name), None)
        if found is None:
            raise SoapFault("InvalidDatastore", f"There is no datastore {name}.", name=name)
        return found.id
    return None


def _cdrom(service: Service, vm: Vm, device: Element, operation: str) -> None:
    backing = device.find(NS + "backing")
    iso = None
    if backing is not None and kind_of(backing) == "VirtualCdromIsoBackingInfo":
        file_name = text(backing, "fileName").rpartition("/")[2].rpartition("] ")[2]
        iso = next((disk for disk in service.world.disks.values() if disk.is_iso and disk.name == file_name), None)
        if iso is None:
            raise SoapFault(
                "FileNotFound", f"File {text(backing, 'fileName')} was not found", file=text(backing, "fileName")
            )
    if operation == "edit":
        wanted = str((number(device, "key") or 0) - CDROM)
        for drive in vm.drives:
            if drive.is_cd and drive.device == wanted:
                drive.disk_id = iso.id if iso is not None else None
        return
    if operation == "add":
        vm.drives.append(
            Drive(
                id=service.world.new_id(),
                device=_free(vm),
                is_cd=True,
                read_only=True,
                disk_id=iso.id if iso is not None else None,
            )
        )


def _card(service: Service, vm: Vm, device: Element, operation: str, kind: str) -> None:
    world = service.world
    key = str((number(device, "key") or 0) - CARD)
    if operation == "remove":
        vm.nics = [nic for nic in vm.nics if nic.device != key]
        return
    network = _network(service, device.find(NS + "backing"))
    if operation == "edit":
        for nic in vm.nics:
            if nic.device == key:
                nic.network_id = network
        return
    made = Nic(
        id=world.new_id(),
        device=str(len(vm.nics)),
        mac=text(device, "macAddress") or world.new_mac(),
        network_id=network,
    )
    made.extra["model"] = kind
    vm.nics.append(made)


def _network(service: Service, backing: Element | None) -> str | None:
    named = None if backing is None else reference(backing.find(NS + "network"))
    if named is not None and named.id in service.world.networks:
        return named.id
    port = None if backing is None else backing.find(NS + "port")
    if port is not None:
        group = text(port, "portgroupKey")
        if text(port, "switchUuid") != service.tree.switch_uuid or group not in service.world.networks:
            raise SoapFault("InvalidDeviceSpec", "There is no such port group.", property="deviceChange", deviceIndex=0)
        return group
    name, opaque = text(backing, "deviceName"), text(backing, "opaqueNetworkId")
    found = next(
        (
            one
            for one in service.tree.networks()
            if (opaque and one.extra.get("opaque_id") == opaque) or (not opaque and one.name == name)
        ),
        None,
    )
    if found is None:
        raise SoapFault("InvalidDeviceSpec", f"There is no network {name}.", property="deviceChange", deviceIndex=0)
    return found.id
