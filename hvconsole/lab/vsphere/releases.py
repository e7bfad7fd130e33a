"""Since which version of the API a field exists: servers leave out what a client's version does not know.

A client says its version with every request (``SOAPAction: "urn:vim25/6.5"``); strict ones stop at a field that they
have never heard of. Data, and the rule that goes with it; any thread.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import re
from collections.abc import Iterator

Version = tuple[int, ...]

_ACTION = re.compile(r'"?urn:vim25/(\d+(?:\.\d+)*)"?')
_SPOKEN: contextvars.ContextVar[Version | None] = contextvars.ContextVar("spoken", default=None)
_TEXT = """
AboutInfo.patchLevel:7.0.2.0 ClusterConfigInfoEx.spbmEnabled:5.0 ClusterConfigInfoEx.defaultHardwareVersionKey:5.1
ClusterConfigInfoEx.vsanConfigInfo:5.5 ComputeResourceConfigInfo.spbmEnabled:5.0
ComputeResourceConfigInfo.defaultHardwareVersionKey:5.1 ConfigTarget.smcPresent:5.0
ConfigTarget.supportedMaxMemMB:7.0.0.0 DatacenterConfigInfo.defaultHardwareVersionKey:5.1
DatastoreCapability.nativeSnapshotSupported:5.1 DatastoreCapability.topLevelDirectoryCreateSupported:5.5
DatastoreSummary.maintenanceMode:5.0 EntityPrivilege.entity:5.5 EntityPrivilege.privAvailability:5.5
GuestInfo.toolsVersionStatus2:5.0 GuestInfo.guestOperationsReady:5.0 GuestOsDescriptor.numSupportedPhysicalSockets:5.0
GuestOsDescriptor.numSupportedCoresPerSocket:5.0 GuestOsDescriptor.recommendedCdromController:5.5
GuestOsDescriptor.diskUuidEnabled:6.0 HostBIOSInfo.vendor:6.5 HostCapability.nestedHVSupported:5.1
HostCapability.vPMCSupported:5.1 HostConfigInfo.certificate:5.0 HostConfigInfo.lockdownMode:6.0
HostConfigInfo.cpuScheduler:8.0.3.0 HostCpuPackage.family:8.0.3.0 HostCpuPackage.model:8.0.3.0
HostDateTimeInfo.enabled:7.0.3.0 HostHardwareInfo.smcPresent:5.0 HostHardwareSummary.family:9.0.0.0
HostLicensableResourceInfo.resource:5.0 HostMountInfo.mounted:5.0 HostNtpConfig.configFile:6.0
HostNumaNode.memorySize:8.0.0.0 HostScsiDisk.ssd:5.0 HostScsiDisk.localDisk:6.0 HostSystemInfo.serialNumber:6.7
HostSystemInfo.family:9.0.0.0 HostVirtualNic.owner:9.0.0.0 HostVmfsVolume.ssd:5.0 HostVmfsVolume.local:5.5
HostVmfsVolume.blockSize:6.5 ManagedByInfo.extensionKey:5.0 ManagedByInfo.type:5.0
NasDatastoreInfo.maxVirtualDiskCapacity:5.5 NasDatastoreInfo.maxMemoryFileSize:6.0
OpaqueNetworkSummary.opaqueNetworkId:5.5 OpaqueNetworkSummary.opaqueNetworkType:5.5
ParaVirtualSCSIController.numaNode:8.0.0.1 PrivilegeAvailability.privId:5.5 PrivilegeAvailability.isGranted:5.5
SessionManagerGenericServiceTicket.id:5.0 SessionManagerGenericServiceTicket.hostName:5.1
SessionManagerGenericServiceTicket.sslThumbprint:5.1 ToolsConfigInfo.lastInstallInfo:5.0
ToolsConfigInfoToolsLastInstallInfo.counter:5.0 ToolsConfigInfoToolsLastInstallInfo.fault:5.0
UserPrivilegeResult.entity:6.5 UserPrivilegeResult.privileges:6.5 UserSession.extensionSession:5.0
UserSession.ipAddress:5.1 UserSession.userAgent:5.1 UserSession.callCount:5.1 VirtualAHCIController.numaNode:8.0.0.1
VirtualCdrom.numaNode:8.0.0.1 VirtualDevice.numaNode:8.0.0.1 VirtualDeviceConfigSpec.backing:6.5
VirtualDisk.capacityInBytes:5.5 VirtualDisk.numaNode:8.0.0.1 VirtualE1000.numaNode:8.0.0.1
VirtualE1000e.numaNode:8.0.0.1 VirtualEthernetCard.numaNode:8.0.0.1
VirtualEthernetCardOpaqueNetworkBackingInfo.opaqueNetworkId:5.5
VirtualEthernetCardOpaqueNetworkBackingInfo.opaqueNetworkType:5.5 VirtualHardware.numCoresPerSocket:5.0
VirtualIDEController.numaNode:8.0.0.1 VirtualLsiLogicSASController.numaNode:8.0.0.1
VirtualMachineCapability.multipleCoresPerSocketSupported:5.0
VirtualMachineCapability.hostBasedReplicationSupported:5.0 VirtualMachineCapability.guestAutoLockSupported:5.0
VirtualMachineCapability.memoryReservationLockSupported:5.0 VirtualMachineCapability.featureRequirementSupported:5.1
VirtualMachineCapability.poweredOnMonitorTypeChangeSupported:5.1 VirtualMachineCapability.seSparseDiskSupported:5.1
VirtualMachineCapability.nestedHVSupported:5.1 VirtualMachineCapability.vPMCSupported:5.1
VirtualMachineCapability.secureBootSupported:6.5 VirtualMachineCapability.perVmEvcSupported:6.7
VirtualMachineConfigInfo.firmware:5.0 VirtualMachineConfigInfo.managedBy:5.0 VirtualMachineConfigInfo.numaInfo:8.0.0.1
VirtualMachineConfigOptionDescriptor.runSupported:5.1 VirtualMachineConfigOptionDescriptor.upgradeSupported:5.1
VirtualMachineConfigSpec.numCoresPerSocket:5.0 VirtualMachineConfigSpec.firmware:5.0
VirtualMachineConfigSpec.managedBy:5.0 VirtualMachineConfigSummary.managedBy:5.0
VirtualMachineDatastoreInfo.maxVirtualDiskCapacity:5.5 VirtualMachineDatastoreInfo.maxPhysicalRDMFileSize:6.0
VirtualMachineDatastoreInfo.maxVirtualRDMFileSize:6.0 VirtualMachineFileLayoutExFileInfo.uniqueSize:5.1
VirtualMachineFileLayoutExFileInfo.accessible:6.0 VirtualMachineGuestSummary.toolsVersionStatus2:5.0
VirtualMachineNetworkInfo.vswitch:6.5 VirtualMachineRuntimeInfo.consolidationNeeded:5.0
VirtualMachineRuntimeInfo.onlineStandby:5.1 VirtualMachineTicket.url:7.0.0.0 VirtualVmxnet.numaNode:8.0.0.1
VirtualVmxnet3.numaNode:8.0.0.1 VmfsDatastoreInfo.maxPhysicalRDMFileSize:5.1
VmfsDatastoreInfo.maxVirtualRDMFileSize:5.1 VmfsDatastoreInfo.maxVirtualDiskCapacity:5.5
VmfsDatastoreInfo.maxMemoryFileSize:6.0 VsanClusterConfigInfo.enabled:5.5
"""


def read(text: str) -> Version:
    """A version like 7.0.3.0; 7.0 is 7.0.0.0."""
    parts = [int(part) for part in text.split(".")]
    return tuple(parts + [0] * (4 - len(parts)))


def _table() -> dict[str, dict[str, Version]]:
    found: dict[str, dict[str, Version]] = {}
    for row in _TEXT.split():
        name, _, version = row.partition(":")
        kind, _, field = name.partition(".")
        found.setdefault(kind, {})[field] = read(version)
    return found


_NEWER = _table()
_NONE: frozenset[str] = frozenset()


def asked(action: str) -> Version | None:
    """The version that a request's ``SOAPAction`` names; None for one that says nothing, or a build of our own."""
    match = _ACTION.fullmatch(action.strip())
    return read(match[1]) if match else None


@contextlib.contextmanager
def speaking(*versions: Version | None) -> Iterator[None]:
    """Write answers in the oldest of these versions within the block."""
    known = [version for version in versions if version is not None]
    token = _SPOKEN.set(min(known) if known else None)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def unknown(kind: str) -> frozenset[str]:
    """The fields of a class that are newer than what is spoken now."""
    version = _SPOKEN.get()
    return _NONE if version is None or kind not in _NEWER else _newer(kind, version)


@functools.lru_cache(4096)
def _newer(kind: str, version: Version) -> frozenset[str]:
    return frozenset(name for name, since in _NEWER[kind].items() if since > version)
