"""The WMI schema that the simulated host serves: classes, keys, property types, and who inherits from whom.

Immutable after import; any thread. Names compare case-insensitively, as in WMI.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from hvconsole.lab.hyperv import schema_cimv2, schema_periphery, schema_v2

V2 = "root/virtualization/v2"
CIMV2 = "root/cimv2"

_BASES = """
CIM_ManagedSystemElement:CIM_ManagedElement CIM_LogicalElement:CIM_ManagedSystemElement CIM_Job:CIM_LogicalElement
CIM_ConcreteJob:CIM_Job CIM_EnabledLogicalElement:CIM_LogicalElement CIM_System:CIM_EnabledLogicalElement
CIM_ComputerSystem:CIM_System CIM_UnitaryComputerSystem:CIM_ComputerSystem CIM_Service:CIM_EnabledLogicalElement
CIM_LogicalDevice:CIM_EnabledLogicalElement CIM_LogicalPort:CIM_LogicalDevice CIM_NetworkPort:CIM_LogicalPort
CIM_EthernetPort:CIM_NetworkPort CIM_Processor:CIM_LogicalDevice CIM_NetworkAdapter:CIM_LogicalDevice
CIM_StorageExtent:CIM_LogicalDevice CIM_LogicalDisk:CIM_StorageExtent CIM_OperatingSystem:CIM_LogicalElement
CIM_LogicalFile:CIM_LogicalElement CIM_Directory:CIM_LogicalFile
CIM_SoftwareElement:CIM_LogicalElement CIM_BIOSElement:CIM_SoftwareElement
CIM_SettingData:CIM_ManagedElement CIM_VirtualSystemSettingData:CIM_SettingData
CIM_ResourceAllocationSettingData:CIM_SettingData
CIM_StorageAllocationSettingData:CIM_ResourceAllocationSettingData
CIM_EthernetPortAllocationSettingData:CIM_ResourceAllocationSettingData
CIM_VirtualEthernetSwitchSettingData:CIM_VirtualSystemSettingData
CIM_VirtualSystemMigrationSettingData:CIM_SettingData Msvm_FeatureSettingData:CIM_SettingData
Msvm_EthernetSwitchPortFeatureSettingData:Msvm_FeatureSettingData CIM_Capabilities:CIM_ManagedElement
CIM_EnabledLogicalElementCapabilities:CIM_Capabilities
CIM_VirtualSystemManagementCapabilities:CIM_EnabledLogicalElementCapabilities
CIM_VirtualSystemMigrationCapabilities:CIM_Capabilities CIM_VirtualSystemManagementService:CIM_Service
CIM_VirtualSystemMigrationService:CIM_Service CIM_VirtualSystemSnapshotService:CIM_Service
CIM_View:CIM_ManagedElement Msvm_SummaryInformationBase:CIM_View CIM_Dependency: CIM_Component:
CIM_SystemComponent:CIM_Component CIM_SystemDevice:CIM_SystemComponent
CIM_VirtualSystemSettingDataComponent:CIM_Component CIM_SnapshotOfVirtualSystem:CIM_Dependency
CIM_MostCurrentSnapshotInBranch:CIM_Dependency CIM_LastAppliedSnapshot:CIM_Dependency CIM_SettingsDefineState:
CIM_Controller:CIM_LogicalDevice CIM_VideoController:CIM_Controller CIM_DisplayController:CIM_VideoController
CIM_VideoHead:CIM_LogicalDevice CIM_UserDevice:CIM_LogicalDevice CIM_Keyboard:CIM_UserDevice
CIM_MediaAccessDevice:CIM_LogicalDevice CIM_DiskDrive:CIM_MediaAccessDevice CIM_ControlledBy:CIM_Dependency
Win32_Perf:CIM_StatisticalInformation Win32_PerfRawData:Win32_Perf CIM_StatisticalInformation:
CIM_AffectedJobElement: CIM_ElementSettingData: CIM_Error: CIM_Product: CIM_Setting: Win32_BaseService:CIM_Service
CIM_ManagedElement:
"""


_KEY_SETS = {
    "@service": ("SystemCreationClassName", "SystemName", "CreationClassName", "Name"),
    "@device": ("SystemCreationClassName", "SystemName", "CreationClassName", "DeviceID"),
}


@dataclass(frozen=True, slots=True)
class ClassDef:
    """One class. ``properties`` maps names to types (``schema_v2`` explains them), inherited ones included."""

    name: str
    base: str
    keys: tuple[str, ...]
    properties: dict[str, str] = field(hash=False)
    abstract: bool = False

    def property_named(self, name: str) -> str | None:
        """The property's name as the schema spells it, or None."""
        return _spelled(self).get(name.lower())


@functools.cache
def _spelled(definition: ClassDef) -> dict[str, str]:
    return {name.lower(): name for name in definition.properties}


def _parse(text: str) -> dict[str, ClassDef]:
    found: dict[str, ClassDef] = {}
    current: ClassDef | None = None
    for line in text.splitlines():
        if line.startswith("class "):
            head, _, keys = line[6:].partition("(")
            name, _, base = (part.strip() for part in head.partition(":"))
            listed = keys.rstrip(")")
            current = ClassDef(name, "" if base == "-" else base, _KEY_SETS.get(listed, tuple(listed.split())), {})
            found[name.lower()] = current
        elif current is not None:
            for word in line.split():
                name, _, kind = word.partition(":")
                current.properties[name] = kind
    return found


def _with_bases(classes: dict[str, ClassDef]) -> dict[str, ClassDef]:
    """Add the abstract classes; their properties are those that all their descendants share."""
    bases = dict(entry.split(":") for entry in _BASES.split())
    everything = dict(classes)
    for definition in classes.values():
        base = definition.base
        while base and base.lower() not in everything:
            everything[base.lower()] = ClassDef(base, bases.get(base, ""), (), {}, abstract=True)
            base = bases.get(base, "")
    for definition in everything.values():
        if not definition.abstract:
            continue
        children = [other for other in classes.values() if _descends(everything, other.name, definition.name)]
        shared = [name for name in children[0].properties if all(name in other.properties for other in children)]
        definition.properties.update({name: children[0].properties[name] for name in shared})
    return everything


def _descends(classes: dict[str, ClassDef], name: str, ancestor: str) -> bool:
    current = name.lower()
    while current:
        if current == ancestor.lower():
            return True
        definition = classes.get(current)
        current = definition.base.lower() if definition is not None else ""
    return False


NAMESPACES: dict[str, dict[str, ClassDef]] = {
    V2: _with_bases(_parse(schema_v2.TEXT + schema_periphery.V2_TEXT)),
    CIMV2: _with_bases(_parse(schema_cimv2.TEXT + schema_periphery.CIMV2_TEXT)),
}
"""Namespace in lower case with slashes → class name in lower case → definition."""


def find(namespace: str, class_name: str) -> ClassDef | None:
    """The class of that name, or None."""
    return NAMESPACES.get(namespace.lower(), {}).get(class_name.lower())


def descends(namespace: str, class_name: str, ancestor: str) -> bool:
    """Whether a class is ``ancestor`` or inherits from it."""
    return _descends(NAMESPACES[namespace.lower()], class_name, ancestor)


@functools.cache
def concrete(namespace: str, class_name: str) -> tuple[ClassDef, ...]:
    """The class itself and everything that inherits from it, without abstract ones."""
    classes = NAMESPACES[namespace.lower()]
    return tuple(
        other for other in classes.values() if not other.abstract and _descends(classes, other.name, class_name)
    )
