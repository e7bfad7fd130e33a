"""A VM's virtual hardware as compact values: cards, disks, CD drives; and which disks several VMs share. Pure."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass

from hvconsole.backends.vsphere_names import shown_name
from hvconsole.backends.vsphere_records import NS, child_text, flag, number, number_or, read_child, typed
from hvconsole.model import Disk, Nic, ObjectId

_CARDS = ("VirtualE1000", "VirtualVmxnet", "VirtualPCNet")
_LONGEST_CHAIN = 300
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
    network_kind: str = ""
    network_id: str = ""
    network: str = ""
    opaque_id: str = ""
    """Id of a network that another product manages (NSX); no reference of the server's."""
    connected: bool | None = None
    file: str = ""
    datastore_id: str = ""
    size_bytes: int | None = None
    thin: bool | None = None
    mode: str = ""
    uuid: str = ""
    parents: tuple[str, ...] = ()
    """Files that a disk builds on, nearest first: since snapshots, or as a linked clone."""

    @property
    def id(self) -> ObjectId:
        """Stable id: the disk's own, where it has one, else the device's number."""
        return ObjectId(self.uuid or str(self.key))


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
        (network_kind, network_id), network = _network(backing)
        connectable = element.find(NS + "connectable")
        return Device(
            "nic",
            key,
            label,
            kind,
            unit,
            mac=child_text(element, "macAddress"),
            network_kind=network_kind,
            network_id=network_id,
            network=network or summary,
            opaque_id="" if backing is None else sys.intern(child_text(backing, "opaqueNetworkId")),
            connected=None if connectable is None else read_child(connectable, "connected", flag),
        )
    if kind not in ("VirtualDisk", "VirtualCdrom"):
        return None
    size = read_child(element, "capacityInBytes", number)
    if size is None:
        kilobytes = read_child(element, "capacityInKB", number)
        size = None if kilobytes is None else kilobytes * 1024
    return Device(
        "disk" if kind == "VirtualDisk" else "cd",
        key,
        label,
        kind,
        unit,
        file="" if backing is None else child_text(backing, "fileName"),
        datastore_id="" if backing is None else sys.intern(child_text(backing, "datastore")),
        size_bytes=size if kind == "VirtualDisk" else None,
        thin=None if backing is None else read_child(backing, "thinProvisioned", flag),
        mode="" if backing is None else sys.intern(child_text(backing, "diskMode")),
        uuid="" if backing is None else child_text(backing, "uuid"),
        parents=_parents(backing),
    )


def _parents(backing: ET.Element | None) -> tuple[str, ...]:
    found: list[str] = []
    parent = None if backing is None else backing.find(NS + "parent")
    while parent is not None and len(found) < _LONGEST_CHAIN:
        found.append(sys.intern(child_text(parent, "fileName")))
        parent = parent.find(NS + "parent")
    return tuple(file for file in found if file)


def _network(backing: ET.Element | None) -> tuple[tuple[str, str], str]:
    """((kind, id), name) of the network behind a card; a distributed port group is named by its key, its id."""
    if backing is None:
        return ("", ""), ""
    port = backing.find(NS + "port")
    if port is not None:
        return ("DistributedVirtualPortgroup", child_text(port, "portgroupKey")), ""
    return read_child(backing, "network", typed) or ("", ""), child_text(backing, "deviceName")


def show_nic(card: Device, position: int, network_id: str, network: str, addresses: tuple[str, ...]) -> Nic:
    """A card for the model. ``network``: the name of its network if that is known."""
    return Nic(
        id=ObjectId(str(card.key)),
        device=str(position),
        mac=card.mac,
        network_id=ObjectId(network_id) if network_id else None,
        network=network or shown_name(card.network),
        connected=card.connected,
        addresses=addresses,
    )


def show_disk(drive: Device, storage: str, shared_with: tuple[str, ...]) -> Disk:
    """A disk or CD drive for the model."""
    is_cd = drive.kind == "cd"
    return Disk(
        id=drive.id,
        name=drive.label,
        device=drive.file,
        is_cd=is_cd,
        size_bytes=drive.size_bytes,
        storage_id=ObjectId(drive.datastore_id) if drive.datastore_id else None,
        storage=storage,
        read_only=is_cd,
        shared_with=shared_with,
    )


def disk_files(found: Iterable[Device]) -> tuple[str, ...]:
    """Files of a VM's disks, with those that they build on; each once."""
    disks = [one for one in found if one.kind == "disk" and one.file]
    return tuple(dict.fromkeys(file for one in disks for file in (one.file, *one.parents)))


class DiskIndex:
    """Which VMs use a disk file, themselves or as what their disks build on. Owned by the watching thread."""

    def __init__(self) -> None:
        self._users: dict[str, tuple[str, ...]] = {}
        self._files: dict[str, tuple[str, ...]] = {}

    def update(self, vm_id: str, found: Iterable[Device]) -> set[str]:
        """Note the disks of a VM (none: it is gone); returns other VMs whose sharing changed."""
        files = disk_files(found)
        before = self._files.get(vm_id, ())
        if files == before:
            return set()
        affected: set[str] = set()
        for file in before:
            rest = tuple(user for user in self._users.get(file, ()) if user != vm_id)
            if rest:
                self._users[file] = rest
            else:
                self._users.pop(file, None)
            affected.update(rest)
        for file in files:
            self._users[file] = (*self._users.get(file, ()), vm_id)
            affected.update(self._users[file])
        if files:
            self._files[vm_id] = files
        else:
            self._files.pop(vm_id, None)
        affected.discard(vm_id)
        return affected

    def others(self, vm_id: str, file: str) -> tuple[str, ...]:
        """Ids of other VMs that use a file."""
        users = self._users.get(file, ())
        return () if len(users) < 2 else tuple(user for user in users if user != vm_id)
