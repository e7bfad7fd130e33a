"""OVF descriptors: one made of a VM, and what one that is handed in describes. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

_ENVELOPE = "http://schemas.dmtf.org/ovf/envelope/1"
_RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
_VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
_FORMAT = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"


@dataclass(slots=True)
class Machine:
    """What an OVF package describes. ``disks``: (file name or "", capacity in bytes, file size)."""

    name: str = ""
    cpus: int = 1
    memory_mib: int = 512
    guest: str = ""
    disks: list[tuple[str, int, int]] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)


def describe(machine: Machine) -> str:
    """A descriptor."""
    files = "".join(
        f'<File ovf:href={quoteattr(name)} ovf:id="file{at}" ovf:size="{size}"/>'
        for at, (name, _capacity, size) in enumerate(machine.disks, 1)
        if name
    )
    disks = "".join(
        f'<Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk{at}" '
        f'ovf:fileRef="file{at}" ovf:format="{_FORMAT}"/>'
        for at, (_name, capacity, _size) in enumerate(machine.disks, 1)
    )
    nets = "".join(
        f"<Network ovf:name={quoteattr(name)}><Description>{escape(name)}</Description></Network>"
        for name in machine.networks
    )
    items = [
        _item(1, 3, "virtual CPUs", f"<rasd:VirtualQuantity>{machine.cpus}</rasd:VirtualQuantity>"),
        _item(
            2,
            4,
            "memory",
            f"<rasd:VirtualQuantity>{machine.memory_mib}</rasd:VirtualQuantity>",
            "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>",
        ),
        _item(3, 6, "SCSI controller 0", "<rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>"),
    ]
    items += [
        _item(
            10 + at,
            17,
            f"Hard disk {at}",
            f"<rasd:HostResource>ovf:/disk/vmdisk{at}</rasd:HostResource><rasd:Parent>3</rasd:Parent>",
        )
        for at in range(1, len(machine.disks) + 1)
    ]
    items += [
        _item(100 + at, 10, f"Network adapter {at}", f"<rasd:Connection>{escape(name)}</rasd:Connection>")
        for at, name in enumerate(machine.cards, 1)
    ]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Envelope xmlns="{_ENVELOPE}" xmlns:ovf="{_ENVELOPE}" '
        f'xmlns:rasd="{_RASD}" xmlns:vssd="{_VSSD}">\n<References>{files}</References>\n'
        f"<DiskSection><Info>Virtual disks</Info>{disks}</DiskSection>\n"
        f"<NetworkSection><Info>Networks</Info>{nets}</NetworkSection>\n"
        f'<VirtualSystem ovf:id="vm"><Info>A virtual machine</Info><Name>{escape(machine.name)}</Name>'
        f'<OperatingSystemSection ovf:id="1"><Info>Guest</Info><Description>{escape(machine.guest)}</Description>'
        "</OperatingSystemSection><VirtualHardwareSection><Info>Hardware</Info><System>"
        "<vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>"
        "<vssd:VirtualSystemType>vmx-19</vssd:VirtualSystemType></System>\n"
        f"{''.join(items)}</VirtualHardwareSection></VirtualSystem></Envelope>\n"
    )


def _item(number: int, kind: int, name: str, *more: str) -> str:
    return (
        f"<Item><rasd:ElementName>{escape(name)}</rasd:ElementName><rasd:InstanceID>{number}</rasd:InstanceID>"
        f"<rasd:ResourceType>{kind}</rasd:ResourceType>{''.join(more)}</Item>\n"
    )


def understand(text: str) -> Machine:
    """What a descriptor describes. Raises ``ValueError``."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as exc:
        raise ValueError(f"The descriptor can't be parsed: {exc}") from exc
    if _local(root.tag) != "Envelope":
        raise ValueError("The descriptor has no Envelope.")
    files: dict[str, tuple[str, int]] = {}
    disks: dict[str, tuple[str, int, int]] = {}
    machine = Machine()
    for element in root.iter():
        tag = _local(element.tag)
        if tag == "File":
            files[_get(element, "id")] = (_get(element, "href"), int(_get(element, "size") or 0))
        elif tag == "Disk":
            name, size = files.get(_get(element, "fileRef"), ("", 0))
            disks[_get(element, "diskId")] = (name, _capacity(element), size)
        elif tag == "Network":
            machine.networks.append(_get(element, "name"))
        elif tag == "VirtualSystem":
            own = next((child.text for child in element if _local(child.tag) == "Name"), None)
            machine.name = own or _get(element, "id")
        elif tag in ("Item", "EthernetPortItem", "StorageItem"):
            _take(machine, element, disks)
    return machine


def _take(machine: Machine, element: ET.Element, disks: dict[str, tuple[str, int, int]]) -> None:
    values = {_local(child.tag): child.text or "" for child in element}
    kind, quantity = values.get("ResourceType"), values.get("VirtualQuantity", "")
    if kind == "3" and quantity.isdigit():
        machine.cpus = int(quantity)
    elif kind == "4" and quantity.isdigit():
        machine.memory_mib = int(quantity) * _units(values.get("AllocationUnits", "byte * 2^20")) >> 20
    elif kind == "10":
        machine.cards.append(values.get("Connection", ""))
    elif kind == "17":
        disk = disks.get(values.get("HostResource", "").rpartition("/")[2])
        if disk is None:
            raise ValueError("A disk of the hardware is not in the disk section.")
        machine.disks.append(disk)


def _capacity(element: ET.Element) -> int:
    return int(_get(element, "capacity") or 0) * _units(_get(element, "capacityAllocationUnits") or "byte")


def _units(text: str) -> int:
    _byte, _, power = text.replace(" ", "").partition("*")
    base, _, exponent = power.partition("^")
    return int(base) ** int(exponent) if base.isdigit() and exponent.isdigit() else 1


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _get(element: ET.Element, name: str) -> str:
    return next((value for key, value in element.attrib.items() if _local(key) == name), "")
