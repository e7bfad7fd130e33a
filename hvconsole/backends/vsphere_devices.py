"""A VM's virtual hardware, read when looked at: cards, disks, CD drives. Pure readers, and ``details`` for any worker.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

from hvconsole.backends.vsphere_model import shown_name
from hvconsole.backends.vsphere_records import (
    NS,
    GuestNic,
    Reader,
    Record,
    child_text,
    flag,
    guest_nics,
    number,
    number_or,
    read_child,
    references,
    text,
    word,
)
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_tasks import read_records
from hvconsole.errors import NotFound
from hvconsole.model import Disk, Nic, ObjectId, VmDetails
from hvconsole.text import format_bytes

_CARDS = ("VirtualE1000", "VirtualVmxnet", "VirtualPCNet")
_XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"


@dataclass(frozen=True, slots=True)
class Device:
    """One virtual device. ``kind``: "nic", "disk" or "cd"; fields that the kind doesn't have stay empty."""

    kind: str
    key: int
    label: str
    type: str
    unit: int | None = None
    mac: str = ""
    network_id: str = ""
    network: str = ""
    connected: bool | None = None
    file: str = ""
    datastore_id: str = ""
    size_bytes: int | None = None
    thin: bool | None = None
    mode: str = ""


def devices(element: ET.Element) -> tuple[Device, ...]:
    """``config.hardware.device``."""
    found = [_device(one) for one in element]
    return tuple(one for one in found if one is not None)


def _device(element: ET.Element) -> Device | None:
    kind = (element.get(_XSI_TYPE) or "").rpartition(":")[2]
    info = element.find(NS + "deviceInfo")
    label = child_text(info, "label") if info is not None else ""
    summary = child_text(info, "summary") if info is not None else ""
    backing = element.find(NS + "backing")
    key = number_or(element, "key", -1)
    unit = read_child(element, "unitNumber", number)
    if element.find(NS + "macAddress") is not None or kind.startswith(_CARDS):
        network_id, network = _network(backing)
        connectable = element.find(NS + "connectable")
        return Device(
            "nic", key, label, kind, unit,
            mac=child_text(element, "macAddress"),
            network_id=network_id,
            network=network or summary,
            connected=None if connectable is None else read_child(connectable, "connected", flag),
        )
    if kind not in ("VirtualDisk", "VirtualCdrom"):
        return None
    size = read_child(element, "capacityInBytes", number)
    if size is None:
        kilobytes = read_child(element, "capacityInKB", number)
        size = None if kilobytes is None else kilobytes * 1024
    return Device(
        "disk" if kind == "VirtualDisk" else "cd", key, label, kind, unit,
        file="" if backing is None else child_text(backing, "fileName"),
        datastore_id="" if backing is None else child_text(backing, "datastore"),
        size_bytes=size if kind == "VirtualDisk" else None,
        thin=None if backing is None else read_child(backing, "thinProvisioned", flag),
        mode="" if backing is None else child_text(backing, "diskMode"),
    )


def _network(backing: ET.Element | None) -> tuple[str, str]:
    """(id, name) of the network behind a card; a distributed port group is named by its key, which is its id."""
    if backing is None:
        return "", ""
    port = backing.find(NS + "port")
    if port is not None:
        return child_text(port, "portgroupKey"), ""
    return child_text(backing, "network"), child_text(backing, "deviceName")


_DETAILS: Mapping[str, Mapping[str, Reader]] = {
    "VirtualMachine": {
        "name": text,
        "config.hardware.device": devices,
        "config.version": word,
        "config.files.vmPathName": text,
        "config.firmware": word,
        "config.instanceUuid": text,
        "config.guestId": word,
        "guest.hostName": text,
        "guest.net": guest_nics,
        "summary.storage.committed": number,
        "summary.quickStats.overallCpuUsage": number,
        "summary.quickStats.guestMemoryUsage": number,
        "runtime.question": lambda element: child_text(element, "text"),
    }
}
_FILES: Mapping[str, Mapping[str, Reader]] = {
    "VirtualMachine": {"name": text, "config.hardware.device": devices, "datastore": references}
}
_STORES: Mapping[str, Mapping[str, Reader]] = {"Datastore": {"name": text, "vm": references}}
_NETWORKS: Mapping[str, Mapping[str, Reader]] = {
    kind: {"name": text} for kind in ("Network", "DistributedVirtualPortgroup")
}


def read_one(session: Session, kind: str, moid: str, readers: Mapping[str, Mapping[str, Reader]]) -> Record:
    """One object's properties. Raises ``NotFound``."""
    records = read_records(session, [(kind, moid)], readers)
    if not records:
        raise NotFound("It no longer exists on the server.")
    found: Record = records[0]
    return found


def vm_devices(session: Session, vm_id: str) -> tuple[Device, ...]:
    """A VM's devices, asked afresh."""
    found: tuple[Device, ...] = read_one(session, "VirtualMachine", vm_id, _FILES).get("config.hardware.device", ())
    return found


def disk_users(session: Session, vm_id: str, files: set[str]) -> dict[str, tuple[str, ...]]:
    """File → names of other VMs that use it. Asks only the VMs on the datastores concerned."""
    if not files:
        return {}
    own = read_one(session, "VirtualMachine", vm_id, _FILES)
    neighbours: set[str] = set()
    for store in read_records(session, [("Datastore", store) for store in own.get("datastore", ())], _STORES):
        neighbours.update(store.get("vm", ()))
    neighbours.discard(vm_id)
    users: dict[str, tuple[str, ...]] = {}
    for other in read_records(session, [("VirtualMachine", one) for one in sorted(neighbours)], _FILES):
        for device in other.get("config.hardware.device", ()):
            if device.kind == "disk" and device.file in files:
                users[device.file] = (*users.get(device.file, ()), shown_name(other.get("name", "")))
    return users


def details(session: Session, vm_id: ObjectId) -> VmDetails:
    """Cards, disks and facts of one VM."""
    record = read_one(session, "VirtualMachine", vm_id, _DETAILS)
    found: tuple[Device, ...] = record.get("config.hardware.device", ())
    users = disk_users(session, vm_id, {one.file for one in found if one.kind == "disk" and one.file})
    stores = {
        store.id: shown_name(store.get("name", ""))
        for store in read_records(
            session, [("Datastore", one) for one in sorted({d.datastore_id for d in found if d.datastore_id})], _STORES
        )
    }
    return VmDetails(
        vm_id=vm_id,
        nics=nics_of(session, found, record.get("guest.net", ())),
        disks=tuple(_disk(one, stores, users) for one in found if one.kind != "nic"),
        facts=_facts(record),
    )


def nics_of(session: Session, found: tuple[Device, ...], reported: tuple[GuestNic, ...]) -> tuple[Nic, ...]:
    """The virtual cards among ``found`` with the addresses that the guest reports for them."""
    addresses = {nic.key: nic.addresses for nic in reported}
    cards = [one for one in found if one.kind == "nic"]
    names: dict[str, str] = {}
    wanted = {one.network_id for one in cards if one.network_id}
    for kind, ids in (
        ("DistributedVirtualPortgroup", {one for one in wanted if one.startswith("dvportgroup")}),
        ("Network", {one for one in wanted if not one.startswith("dvportgroup")}),
    ):
        try:
            for record in read_records(session, [(kind, one) for one in sorted(ids)], _NETWORKS):
                names[record.id] = shown_name(record.get("name", ""))
        except NotFound:
            continue  # a card on a network that is gone keeps the name in its own record
    return tuple(
        Nic(
            id=ObjectId(str(one.key)),
            device=str(position),
            mac=one.mac,
            network_id=ObjectId(one.network_id) if one.network_id else None,
            network=names.get(one.network_id) or shown_name(one.network),
            connected=one.connected,
            addresses=addresses.get(one.key, ()),
        )
        for position, one in enumerate(cards)
    )


def _disk(device: Device, stores: Mapping[str, str], users: Mapping[str, tuple[str, ...]]) -> Disk:
    is_cd = device.kind == "cd"
    return Disk(
        id=ObjectId(str(device.key)),
        name=device.label,
        device=device.file,
        is_cd=is_cd,
        size_bytes=device.size_bytes,
        storage_id=ObjectId(device.datastore_id) if device.datastore_id else None,
        storage=stores.get(device.datastore_id, ""),
        read_only=is_cd,
        shared_with=users.get(device.file, ()),
    )


def _facts(record: Record) -> tuple[tuple[str, str], ...]:
    memory = record.get("summary.quickStats.guestMemoryUsage")
    cpu = record.get("summary.quickStats.overallCpuUsage")
    rows = (
        ("Waiting for an answer", record.get("runtime.question", "")),
        ("Guest host name", record.get("guest.hostName", "")),
        ("Guest type", record.get("config.guestId", "")),
        ("Hardware version", record.get("config.version", "")),
        ("Firmware", record.get("config.firmware", "")),
        ("Configuration file", record.get("config.files.vmPathName", "")),
        ("Instance UUID", record.get("config.instanceUuid", "")),
        ("Used storage", format_bytes(record.get("summary.storage.committed"))),
        ("CPU usage", "" if cpu is None else f"{cpu} MHz"),
        ("Active guest memory", "" if memory is None else format_bytes(memory << 20)),
    )
    return tuple((label, value) for label, value in rows if value and value != "—")
