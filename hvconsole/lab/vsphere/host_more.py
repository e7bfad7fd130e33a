"""What a host can do, its hardware in detail, its storage and services, and the managers behind ``configManager``.

The caller holds ``world.lock``.
"""

from __future__ import annotations

from typing import Any

from hvconsole.lab.objects import Host, Storage
from hvconsole.lab.vsphere.tree import Tree
from hvconsole.lab.vsphere.values import Array, Data, Number, Ref, Typed, Width, array, long, short, when
from hvconsole.lab.vsphere.vm_properties import Properties, allocation

_ON = tuple(
    """recursiveResourcePoolsSupported cpuMemoryResourceConfigurationSupported rebootSupported shutdownSupported
vmotionSupported""".split()
)
_REST = """datastorePrincipalSupported- sanSupported nfsSupported iscsiSupported vlanTaggingSupported
nicTeamingSupported highGuestMemSupported maintenanceModeSupported suspendedRelocateSupported
restrictedSnapshotRelocateSupported perVmSwapFiles localSwapDatastoreSupported unsharedSwapVMotionSupported
backgroundSnapshotsSupported- preAssignedPCIUnitNumbersSupported screenshotSupported scaledScreenshotSupported
storageVMotionSupported vmotionWithStorageVMotionSupported hbrNicSelectionSupported vrNfcNicSelectionSupported
recordReplaySupported- ftSupported- smpFtSupported- cloneFromSnapshotSupported deltaDiskBackingsSupported
perVMNetworkTrafficShapingSupported tpmSupported virtualExecUsageSupported storageIORMSupported vStorageCapable
snapshotRelayoutSupported vmfsDatastoreMountCapable eightPlusHostVmfsSharedAccessSupported nestedHVSupported
vPMCSupported interVMCommunicationThroughVMCISupported featureCapabilitiesSupported latencySensitivitySupported
accel3dSupported provisioningNicSelectionSupported""".split()
MANAGERS = {
    "cpuScheduler": "HostCpuSchedulerSystem",
    "datastoreSystem": "HostDatastoreSystem",
    "memoryManager": "HostMemorySystem",
    "storageSystem": "HostStorageSystem",
    "networkSystem": "HostNetworkSystem",
    "vmotionSystem": "HostVMotionSystem",
    "virtualNicManager": "HostVirtualNicManager",
    "serviceSystem": "HostServiceSystem",
    "firewallSystem": "HostFirewallSystem",
    "advancedOption": "OptionManager",
    "autoStartManager": "HostAutoStartManager",
    "dateTimeSystem": "HostDateTimeSystem",
    "healthStatusSystem": "HostHealthStatusSystem",
    "authenticationManager": "HostAuthenticationManager",
    "powerSystem": "HostPowerSystem",
}
"""Fields of ``configManager`` in the order of the schema → class."""
HOST_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("UserVars.SuppressShellWarning", long(0)),
    ("Syslog.global.logHost", ""),
    ("Net.TcpipHeapMax", long(1024)),
    ("Mem.ShareForceSalting", long(2)),
    ("VMkernel.Boot.hyperthreading", True),
)
_SERVICES = (
    ("TSM", "ESXi Shell", False, "off"),
    ("TSM-SSH", "SSH", False, "off"),
    ("ntpd", "NTP Daemon", True, "on"),
    ("vpxa", "VMware vCenter Agent", True, "on"),
    ("lbtd", "Load-Based Teaming Daemon", True, "on"),
)
STANDARD = {"vmfs": "VMFS", "nfs": "NFS", "iso": "NFS", "vsan": "vsan"}


def manager_id(name: str, host: Host) -> str:
    """The id of one of a host's managers."""
    return f"{name}-{host.id}"


def capability() -> Data:
    """``HostCapability``."""
    marks: dict[str, Any] = dict.fromkeys(_ON, True)
    marks.update(standbySupported=False, maxSupportedVMs=1024, maxRunningVMs=1024, maxSupportedVcpus=4096)
    marks.update({name.rstrip("-"): not name.endswith("-") for name in _REST})
    return Data("HostCapability", **marks)


def more_properties(tree: Tree, host: Host) -> Properties:
    """Properties beside those that a list of hosts shows."""
    return {
        "capability": capability,
        "configManager": lambda: Data(
            "HostConfigManager", **{name: Ref(kind, manager_id(name, host)) for name, kind in MANAGERS.items()}
        ),
        "datastoreBrowser": lambda: Ref("HostDatastoreBrowser", f"datastoreBrowser-{host.id}"),
        "licensableResource": lambda: Data(
            "HostLicensableResourceInfo",
            resource=array(
                "KeyAnyValue",
                (
                    Data("KeyAnyValue", key="numCpuPackages", value=Typed(host.sockets)),
                    Data("KeyAnyValue", key="numCpuCores", value=Typed(host.cores)),
                ),
            ),
        ),
        "systemResources": lambda: Data(
            "HostSystemResourceInfo",
            key="host",
            config=Data("ResourceConfigSpec", cpuAllocation=allocation(4000), memoryAllocation=allocation(4000)),
        ),
    }


def hardware(tree: Tree, host: Host) -> Data:
    """``HostHardwareInfo``."""
    threads = max(1, host.cpus // max(1, host.sockets))
    per_node = host.memory_bytes // max(1, host.sockets)
    features = array(
        "HostCpuIdInfo",
        (
            Data("HostCpuIdInfo", level=level, eax=bits, ebx=bits, ecx=bits, edx=bits)
            for level, bits in (
                (0, _bits(0x16)),
                (1, _bits(0x306A9)),
                (-2147483648, _bits(8)),
                (-2147483647, _bits(0x2C100800)),
            )
        ),
    )
    return Data(
        "HostHardwareInfo",
        systemInfo=Data(
            "HostSystemInfo", vendor=host.vendor, model=host.hardware, uuid=host.id, serialNumber=host.serial or None
        ),
        cpuInfo=Data(
            "HostCpuInfo",
            numCpuPackages=short(host.sockets),
            numCpuCores=short(host.cores),
            numCpuThreads=short(host.cpus),
            hz=long(host.cpu_mhz * 1_000_000),
        ),
        cpuPkg=array(
            "HostCpuPackage",
            (
                Data(
                    "HostCpuPackage",
                    index=short(at),
                    vendor="intel",
                    hz=long(host.cpu_mhz * 1_000_000),
                    busHz=long(100_000_000),
                    description=host.cpu_model,
                    threadId=array("short", (short(number) for number in range(at * threads, (at + 1) * threads))),
                    cpuFeature=features,
                )
                for at in range(host.sockets)
            ),
        ),
        memorySize=long(host.memory_bytes),
        numaInfo=Data(
            "HostNumaInfo",
            type="NUMA",
            numNodes=host.sockets,
            numaNode=array(
                "HostNumaNode",
                (
                    Data(
                        "HostNumaNode",
                        typeId=Number(at, Width.BYTE),
                        cpuID=array("short", (short(number) for number in range(at * threads, (at + 1) * threads))),
                        memoryRangeBegin=long(at * per_node),
                        memoryRangeLength=long(per_node),
                    )
                    for at in range(host.sockets)
                ),
            ),
        ),
        smcPresent=False,
        pciDevice=array("HostPciDevice", ()),
        cpuFeature=features,
        biosInfo=Data("HostBIOSInfo", biosVersion="2.19.1", releaseDate=when(1_680_000_000), vendor=host.vendor),
    )


def _bits(value: int) -> str:
    """A register as the API shows it: 32 digits in groups of four."""
    digits = f"{value:032b}"
    return ":".join(digits[at : at + 4] for at in range(0, 32, 4))


# ---- storage ---------------------------------------------------------------------------------------------------


def url(storage: Storage) -> str:
    """The URL of a datastore."""
    return f"ds:///vmfs/volumes/{storage.id}/"


def volume(storage: Storage) -> Data:
    """The file system that a datastore is on."""
    if STANDARD.get(storage.kind) == "NFS":
        return Data(
            "HostNasVolume",
            type="NFS",
            name=storage.name,
            capacity=long(storage.size_bytes),
            remoteHost="nas.meridian.example",
            remotePath=f"/export/{storage.id[:8]}",
        )
    return Data(
        "HostVmfsVolume",
        type="VMFS",
        name=storage.name,
        capacity=long(storage.size_bytes),
        blockSizeMb=1,
        maxBlocks=63_963_136,
        majorVersion=6,
        version="6.82",
        uuid=storage.id,
        extent=array(
            "HostScsiDiskPartition", (Data("HostScsiDiskPartition", diskName=_disk_name(storage), partition=1),)
        ),
        vmfsUpgradable=False,
        ssd=True,
        local=not storage.shared,
    )


def store_info(storage: Storage) -> Data:
    """``DatastoreInfo`` of a datastore's kind."""
    free = long(max(0, storage.size_bytes - storage.used_bytes))
    common = {
        "name": storage.name,
        "url": url(storage),
        "freeSpace": free,
        "maxFileSize": long(70_368_744_177_664),
        "maxVirtualDiskCapacity": long(68_169_720_922_112),
        "maxMemoryFileSize": long(70_368_744_177_664),
    }
    if STANDARD.get(storage.kind) == "NFS":
        return Data("NasDatastoreInfo", **common, nas=volume(storage))
    return Data(
        "VmfsDatastoreInfo",
        **common,
        maxPhysicalRDMFileSize=long(70_368_744_177_664),
        maxVirtualRDMFileSize=long(68_169_720_922_112),
        vmfs=volume(storage),
    )


def store_capability(storage: Storage) -> Data:
    """``DatastoreCapability``."""
    block = STANDARD.get(storage.kind) != "NFS"
    return Data(
        "DatastoreCapability",
        directoryHierarchySupported=True,
        rawDiskMappingsSupported=block,
        perFileThinProvisioningSupported=True,
        storageIORMSupported=True,
        nativeSnapshotSupported=False,
        topLevelDirectoryCreateSupported=True,
    )


def mount(storage: Storage) -> Data:
    """``HostMountInfo``."""
    return Data(
        "HostMountInfo", path=f"/vmfs/volumes/{storage.id}", accessMode="readWrite", mounted=True, accessible=True
    )


def _disk_name(storage: Storage) -> str:
    return f"naa.6000{storage.id.replace('-', '')[:28]}"


def _stores(tree: Tree, host: Host) -> list[Storage]:
    return [storage for storage in tree.storages() if host.id in storage.host_ids]


def file_systems(tree: Tree, host: Host) -> Data:
    """``HostFileSystemVolumeInfo``."""
    return Data(
        "HostFileSystemVolumeInfo",
        volumeTypeList=array("string", ("VMFS", "NFS", "NFS41")),
        mountInfo=array(
            "HostFileSystemMountInfo",
            (
                Data("HostFileSystemMountInfo", mountInfo=mount(storage), volume=volume(storage))
                for storage in _stores(tree, host)
            ),
        ),
    )


def devices(tree: Tree, host: Host) -> Data:
    """``HostStorageDeviceInfo``: one adapter with a LUN for every VMFS datastore."""
    stores = [storage for storage in _stores(tree, host) if STANDARD.get(storage.kind) != "NFS"]
    adapter = "key-vim.host.BlockHba-vmhba0"
    key = "key-vim.host.ScsiDisk-" + "{}"
    return Data(
        "HostStorageDeviceInfo",
        hostBusAdapter=array(
            "HostHostBusAdapter",
            (
                Data(
                    "HostBlockHba",
                    key=adapter,
                    device="vmhba0",
                    bus=0,
                    status="unknown",
                    model="Smart Storage",
                    driver="nhpsa",
                    pci="0000:00:1f.0",
                ),
            ),
        ),
        scsiLun=array(
            "ScsiLun",
            (
                Data(
                    "HostScsiDisk",
                    deviceName=f"/vmfs/devices/disks/{_disk_name(one)}",
                    deviceType="disk",
                    key=key.format(_disk_name(one)),
                    uuid=one.id.replace("-", ""),
                    canonicalName=_disk_name(one),
                    displayName=f"Disk ({_disk_name(one)})",
                    lunType="disk",
                    vendor=host.vendor,
                    model="SSD",
                    operationalState=array("string", ("ok",)),
                    capacity=Data("HostDiskDimensionsLba", blockSize=512, block=long(one.size_bytes // 512)),
                    devicePath=f"/vmfs/devices/disks/{_disk_name(one)}",
                    ssd=True,
                    localDisk=not one.shared,
                )
                for one in stores
            ),
        ),
        scsiTopology=Data(
            "HostScsiTopology",
            adapter=array(
                "HostScsiTopologyInterface",
                (
                    Data(
                        "HostScsiTopologyInterface",
                        key="key-vim.host.ScsiTopology.Interface-vmhba0",
                        adapter=adapter,
                        target=array(
                            "HostScsiTopologyTarget",
                            (
                                Data(
                                    "HostScsiTopologyTarget",
                                    key=f"key-vim.host.ScsiTopology.Target-vmhba0:0:{at}",
                                    target=at,
                                    lun=array(
                                        "HostScsiTopologyLun",
                                        (
                                            Data(
                                                "HostScsiTopologyLun",
                                                key=f"key-vim.host.ScsiTopology.Lun-{_disk_name(one)}",
                                                lun=0,
                                                scsiLun=key.format(_disk_name(one)),
                                            ),
                                        ),
                                    ),
                                )
                                for at, one in enumerate(stores)
                            ),
                        ),
                    ),
                ),
            ),
        ),
        multipathInfo=Data(
            "HostMultipathInfo",
            lun=array(
                "HostMultipathInfoLogicalUnit",
                (
                    Data(
                        "HostMultipathInfoLogicalUnit",
                        key=f"key-vim.host.MultipathInfo.LogicalUnit-{_disk_name(one)}",
                        id=one.id.replace("-", ""),
                        lun=key.format(_disk_name(one)),
                        path=array(
                            "HostMultipathInfoPath",
                            (
                                Data(
                                    "HostMultipathInfoPath",
                                    key=f"key-vim.host.MultipathInfo.Path-vmhba0:C0:T{at}:L0",
                                    name=f"vmhba0:C0:T{at}:L0",
                                    pathState="active",
                                    state="active",
                                    isWorkingPath=True,
                                    adapter=adapter,
                                    lun=f"key-vim.host.MultipathInfo.LogicalUnit-{_disk_name(one)}",
                                ),
                            ),
                        ),
                        policy=Data("HostMultipathInfoLogicalUnitPolicy", policy="VMW_PSP_RR"),
                    )
                    for at, one in enumerate(stores)
                ),
            ),
        ),
        softwareInternetScsiEnabled=False,
    )


# ---- configuration ---------------------------------------------------------------------------------------------


def services() -> Data:
    """``HostServiceInfo``."""
    return Data(
        "HostServiceInfo",
        service=array(
            "HostService",
            (
                Data(
                    "HostService",
                    key=key,
                    label=label,
                    required=False,
                    uninstallable=False,
                    running=running,
                    policy=policy,
                )
                for key, label, running, policy in _SERVICES
            ),
        ),
    )


def clock() -> Data:
    """``HostDateTimeInfo``."""
    return Data(
        "HostDateTimeInfo",
        timeZone=Data("HostDateTimeSystemTimeZone", key="UTC", name="UTC", description="UTC", gmtOffset=0),
        ntpConfig=Data("HostNtpConfig", server=array("string", ("pool.ntp.example",))),
    )


def options() -> Array:
    """The host's advanced settings."""
    return array("OptionValue", (Data("OptionValue", key=key, value=Typed(value)) for key, value in HOST_OPTIONS))


def automatic_start() -> Data:
    """``HostAutoStartManagerConfig``."""
    return Data(
        "HostAutoStartManagerConfig",
        defaults=Data(
            "AutoStartDefaults",
            enabled=False,
            startDelay=120,
            stopDelay=120,
            waitForHeartbeat=False,
            stopAction="PowerOff",
        ),
    )


def threads(host: Host) -> Data:
    """``HostHyperThreadScheduleInfo``."""
    twice = host.cpus > host.cores
    return Data("HostHyperThreadScheduleInfo", available=twice, active=twice, config=twice)


def firewall() -> Data:
    """``HostFirewallInfo``."""
    return Data(
        "HostFirewallInfo", defaultPolicy=Data("HostFirewallDefaultPolicy", incomingBlocked=True, outgoingBlocked=True)
    )


def dns(host: Host) -> Data:
    """``HostDnsConfig``."""
    short_name, _, domain = host.name.partition(".")
    return Data(
        "HostDnsConfig",
        dhcp=False,
        hostName=short_name,
        domainName=domain,
        address=array("string", ("192.0.2.53",)),
        searchDomain=array("string", (domain,) if domain else ()),
    )


def route(host: Host) -> Data:
    """``HostIpRouteConfig``."""
    return Data("HostIpRouteConfig", defaultGateway=next((nic.gateway for nic in host.nics if nic.gateway), None))


def _network_config(host: Host, info: Data) -> Data:
    cards: Array = info.get("pnic")
    return Data(
        "HostNetworkConfig",
        pnic=array(
            "PhysicalNicConfig",
            (
                Data("PhysicalNicConfig", device=card.get("device"), spec=Data("PhysicalNicSpec"))
                for card in cards.items
            ),
        ),
        dnsConfig=dns(host),
        ipRouteConfig=route(host),
    )


_POLICIES = (
    (1, "PowerPolicy.static.name", "static"),
    (2, "PowerPolicy.dynamic.name", "dynamic"),
    (3, "PowerPolicy.low.name", "low"),
)


def _power_policy(key: int, name: str, short_name: str) -> Data:
    return Data(
        "HostPowerPolicy", key=key, name=name, shortName=short_name, description=name.replace("name", "description")
    )


def manager(tree: Tree, name: str, host: Host, network: Any) -> Properties:
    """The properties of one of a host's managers. ``network``: builds ``HostNetworkInfo``."""
    known: dict[str, Properties] = {
        "powerSystem": {
            "info": lambda: Data("PowerSystemInfo", currentPolicy=_power_policy(*_POLICIES[1])),
            "capability": lambda: Data(
                "PowerSystemCapability",
                availablePolicy=array("HostPowerPolicy", (_power_policy(*one) for one in _POLICIES)),
            ),
        },
        "networkSystem": {
            "networkConfig": lambda: _network_config(host, network()),
            "networkInfo": network,
            "dnsConfig": lambda: dns(host),
            "ipRouteConfig": lambda: route(host),
        },
        "storageSystem": {
            "storageDeviceInfo": lambda: devices(tree, host),
            "fileSystemVolumeInfo": lambda: file_systems(tree, host),
        },
        "datastoreSystem": {
            "datastore": lambda: array(
                "ManagedObjectReference", (Ref("Datastore", storage.id) for storage in _stores(tree, host))
            ),
            "capabilities": lambda: Data(
                "HostDatastoreSystemCapabilities",
                nfsMountCreationRequired=True,
                nfsMountCreationSupported=True,
                localDatastoreSupported=False,
                vmfsExtentExpansionSupported=True,
            ),
        },
        "serviceSystem": {"serviceInfo": services},
        "advancedOption": {"setting": options, "supportedOption": lambda: array("OptionDef", ())},
        "autoStartManager": {"config": automatic_start},
        "dateTimeSystem": {"dateTimeInfo": clock},
        "firewallSystem": {"firewallInfo": firewall},
        "cpuScheduler": {"hyperthreadInfo": lambda: threads(host)},
    }
    return known.get(name, {})
