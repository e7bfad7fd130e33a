"""Text grammar 4 of 4: CIM-XML instances, the strings in which WMI methods take and give embedded objects.

Written for a handful of classes whose property types are in ``TYPES`` (WS-Man itself carries no types); read from
hosts and, through them, from guests, which are hostile. Any thread.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hvconsole.backends import wmi_xml
from hvconsole.errors import BadReply

Value = str | int | bool | Sequence[str] | Sequence[int]

TYPES: Mapping[str, Mapping[str, str]] = {
    "Msvm_VirtualSystemSettingData": {
        "InstanceID": "string",
        "ElementName": "string",
        "Notes": "string[]",
        "VirtualSystemSubType": "string",
        "ConfigurationDataRoot": "string",
        "UserSnapshotType": "uint16",
    },
    "Msvm_MemorySettingData": {
        "InstanceID": "string",
        "VirtualQuantity": "uint64",
        "Reservation": "uint64",
        "Limit": "uint64",
        "DynamicMemoryEnabled": "boolean",
    },
    "Msvm_ProcessorSettingData": {"InstanceID": "string", "VirtualQuantity": "uint64"},
    "Msvm_ResourceAllocationSettingData": {
        "InstanceID": "string",
        "ElementName": "string",
        "ResourceType": "uint16",
        "ResourceSubType": "string",
        "Parent": "string",
        "AddressOnParent": "string",
        "VirtualQuantity": "uint64",
    },
    "Msvm_StorageAllocationSettingData": {
        "InstanceID": "string",
        "ElementName": "string",
        "ResourceType": "uint16",
        "ResourceSubType": "string",
        "Parent": "string",
        "HostResource": "string[]",
        "Access": "uint16",
    },
    "Msvm_SyntheticEthernetPortSettingData": {
        "InstanceID": "string",
        "ElementName": "string",
        "ResourceType": "uint16",
        "ResourceSubType": "string",
        "VirtualSystemIdentifiers": "string[]",
        "StaticMacAddress": "boolean",
        "Address": "string",
    },
    "Msvm_EthernetPortAllocationSettingData": {
        "InstanceID": "string",
        "ElementName": "string",
        "ResourceType": "uint16",
        "ResourceSubType": "string",
        "Parent": "string",
        "HostResource": "string[]",
        "EnabledState": "uint16",
    },
    "Msvm_VirtualHardDiskSettingData": {
        "Type": "uint16",
        "Format": "uint16",
        "Path": "string",
        "MaxInternalSize": "uint64",
        "ParentPath": "string",
        "BlockSize": "uint32",
        "LogicalSectorSize": "uint32",
        "PhysicalSectorSize": "uint32",
    },
    "Msvm_VirtualSystemExportSettingData": {
        "InstanceID": "string",
        "CopySnapshotConfiguration": "uint8",
        "CopyVmRuntimeInformation": "boolean",
        "CopyVmStorage": "boolean",
        "CreateVmExportSubdirectory": "boolean",
        "CaptureLiveState": "uint8",
    },
    "Msvm_VirtualSystemSnapshotSettingData": {
        "ConsistencyLevel": "uint8",
        "IgnoreNonSnapshottableDisks": "boolean",
        "GuestBackupType": "uint8",
    },
    "Msvm_VirtualSystemMigrationSettingData": {
        "InstanceID": "string",
        "MigrationType": "uint16",
        "DestinationIPAddressList": "string[]",
        "RetainVhdCopiesOnSource": "boolean",
    },
}
"""Class → property → CIM type, for what hvconsole writes (HyperV_v2 reference, "Syntax" blocks)."""

_MAX_ELEMENTS = 20_000
_MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance to send: only the properties to set."""

    class_name: str
    values: Mapping[str, Value] = field(default_factory=dict)

    def cim_xml(self) -> str:
        """The instance as DMTF DSP0201 text. Raises ``InvalidInput`` for text that XML cannot carry."""
        types = TYPES[self.class_name]
        parts = [f'<INSTANCE CLASSNAME="{self.class_name}">']
        for name, value in self.values.items():
            parts.append(_property(name, types[name], value))
        parts.append("</INSTANCE>")
        return "".join(parts)


def _property(name: str, cim_type: str, value: Value) -> str:
    if cim_type.endswith("[]"):
        assert isinstance(value, Sequence)
        assert not isinstance(value, str)
        items = "".join(f"<VALUE>{_scalar(item)}</VALUE>" for item in value)
        return (
            f'<PROPERTY.ARRAY NAME="{name}" TYPE="{cim_type[:-2]}"><VALUE.ARRAY>{items}</VALUE.ARRAY></PROPERTY.ARRAY>'
        )
    assert isinstance(value, str | int)
    return f'<PROPERTY NAME="{name}" TYPE="{cim_type}"><VALUE>{_scalar(value)}</VALUE></PROPERTY>'


def _scalar(value: str | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return wmi_xml.text(value) if isinstance(value, str) else str(value)


def read(text: str) -> tuple[str, dict[str, list[str]]]:
    """Class and properties of a CIM-XML instance; every value as a list of texts, names in lower case.

    Raises ``BadReply``: the text may come from a guest.
    """
    body = text.encode("utf-8", "surrogatepass")
    if len(body) > _MAX_BYTES:
        raise BadReply("An object inside the server's answer is too large.")
    root = wmi_xml.parse(body, _MAX_ELEMENTS)
    if root.tag != "INSTANCE":
        found = root.find(".//INSTANCE")
        if found is None:
            raise BadReply("An object inside the server's answer has an unknown form.", str(root.tag)[:80])
        root = found
    values: dict[str, list[str]] = {}
    for item in root:
        name = item.get("NAME", "").lower()
        if item.tag == "PROPERTY":
            values[name] = [value.text or "" for value in item.iterfind("VALUE")]
        elif item.tag == "PROPERTY.ARRAY":
            values[name] = [value.text or "" for value in item.iterfind("VALUE.ARRAY/VALUE")]
        elif item.tag == "PROPERTY.REFERENCE":
            values[name] = ["".join(_all_text(item)).strip()]
    return root.get("CLASSNAME", ""), values


def _all_text(element: ET.Element) -> list[str]:
    return [piece for piece in element.itertext() if piece]
