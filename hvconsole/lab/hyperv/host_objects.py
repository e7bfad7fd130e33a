"""The host itself: its services, switches and ports, and what root/cimv2 says about Windows, hardware and files.

Reads a ``World`` with its lock held by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hvconsole.lab.hyperv import naming, schema
from hvconsole.lab.hyperv.instance import Inst, make
from hvconsole.lab.objects import Disk, Host, HostNic, Network, Site
from hvconsole.lab.power import memory_free
from hvconsole.lab.world import World

SERVICES = {
    "Msvm_VirtualSystemManagementService": ("vmms", "Hyper-V Virtual System Management Service"),
    "Msvm_VirtualSystemSnapshotService": ("vssnapsvc", "Hyper-V Virtual System Snapshot Service"),
    "Msvm_VirtualSystemMigrationService": ("vmmigrate", "Hyper-V Virtual System Migration Service"),
    "Msvm_ImageManagementService": ("vhdsvc", "Hyper-V Image Management Service"),
    "Msvm_VirtualEthernetSwitchManagementService": ("nvspwmi", "Hyper-V Networking Management Service"),
}


class HostObjects:
    """Everything of the host that is not a VM."""

    def __init__(self, world: World, site: Site, host: Host) -> None:
        self._world = world
        self._site = site
        self._host = host
        self.server = naming.server_name(host)

    def service(self, class_name: str) -> Iterator[Inst]:
        """A service; nothing for users without a Hyper-V right (``site.extra["no_rights"]``)."""
        if self._site.extra.get("no_rights"):
            return
        name, title = SERVICES[class_name]
        extra: dict[str, Any] = {}
        if class_name == "Msvm_VirtualSystemMigrationService":
            extra = {
                "MigrationServiceListenerIPAddressList": [self._host.address] if self._host.address else [],
                "ActiveVirtualSystemMigrationCount": 0,
                "ActiveStorageMigrationCount": 0,
            }
        yield make(
            class_name,
            SystemCreationClassName="Msvm_ComputerSystem",
            SystemName=self.server,
            CreationClassName=class_name,
            Name=name,
            ElementName=title,
            Caption=title,
            EnabledState="2" if extra else 2,
            RequestedState=12,
            EnabledDefault=2,
            HealthState=5,
            OperationalStatus=[2],
            Status="OK",
            StartMode="Automatic",
            Started=True,
            **extra,
        )

    def service_settings(self) -> Iterator[Inst]:
        """Msvm_VirtualSystemManagementServiceSettingData."""
        yield make(
            "Msvm_VirtualSystemManagementServiceSettingData",
            InstanceID=f"Microsoft:{self.server}",
            ElementName="Hyper-V Virtual System Management Service",
            NumaSpanningEnabled=True,
            DefaultExternalDataRoot="D:\\Hyper-V",
            DefaultVirtualHardDiskPath=naming.DISK_FOLDER,
            MinimumMacAddress="00155D010000",
            MaximumMacAddress="00155D0100FF",
            HbaLunTimeout=20,
            EnhancedSessionModeEnabled=False,
            HypervisorRootSchedulerEnabled=False,
        )

    def migration_settings(self) -> Iterator[Inst]:
        """Msvm_VirtualSystemMigrationServiceSettingData."""
        yield make(
            "Msvm_VirtualSystemMigrationServiceSettingData",
            InstanceID=f"Microsoft:{self.server}\\Migration",
            ElementName="Hyper-V Virtual System Migration Service",
            EnableVirtualSystemMigration=bool(self._site.extra.get("migration", False)),
            MaximumActiveVirtualSystemMigration=2,
            MaximumActiveStorageMigration=2,
            AuthenticationType=0,
            EnableCompression=True,
            EnableSmbTransport=False,
        )

    def capabilities(self) -> Iterator[Inst]:
        """Msvm_VirtualSystemManagementCapabilities."""
        yield make(
            "Msvm_VirtualSystemManagementCapabilities",
            InstanceID=f"Microsoft:{self.server}\\Capabilities",
            ElementNameEditSupported=True,
            SynchronousMethodsSupported=[1, 2],
            AsynchronousMethodsSupported=[1, 2, 3, 4],
            VirtualSystemTypesSupported=["Microsoft:Hyper-V:SubType:1", "Microsoft:Hyper-V:SubType:2"],
        )

    # ---- networks ----------------------------------------------------------------------------------------

    def _networks(self) -> list[Network]:
        return self._world.of_site(self._world.networks.values(), self._site.id)

    def switches(self) -> Iterator[Inst]:
        """Msvm_VirtualEthernetSwitch."""
        for network in self._networks():
            yield make(
                "Msvm_VirtualEthernetSwitch",
                CreationClassName="Msvm_VirtualEthernetSwitch",
                Name=naming.guid(network.id),
                ElementName=network.name,
                EnabledState=5,
                RequestedState=12,
                HealthState=5,
                OperationalStatus=[2],
                Dedicated=[38],
                MaxVMQOffloads=0,
                MaxIOVOffloads=0,
            )

    def switch_settings(self) -> Iterator[Inst]:
        """Msvm_VirtualEthernetSwitchSettingData."""
        for network in self._networks():
            yield make(
                "Msvm_VirtualEthernetSwitchSettingData",
                InstanceID=f"Microsoft:{naming.guid(network.id)}",
                ElementName=network.name,
                VirtualSystemIdentifier=naming.guid(network.id),
                Notes=[network.description] if network.description else [],
            )

    def external_ports(self) -> Iterator[Inst]:
        """Msvm_ExternalEthernetPort: physical cards."""
        for nic in self._host.nics:
            yield make(
                "Msvm_ExternalEthernetPort",
                SystemCreationClassName="Msvm_ComputerSystem",
                SystemName=self.server,
                CreationClassName="Msvm_ExternalEthernetPort",
                DeviceID="Microsoft:{" + naming.guid(nic.id) + "}",
                ElementName=nic.device,
                Name=nic.device,
                EnabledState=2,
                HealthState=5,
                OperationalStatus=[2],
                PermanentAddress=_bare(nic.mac),
                Speed=nic.speed_mbps * 1_000_000,
                IsBound=True,
                LinkTechnology=2,
                FullDuplex=True,
            )

    def internal_ports(self) -> Iterator[Inst]:
        """Msvm_InternalEthernetPort: the host's own card on a switch."""
        for nic in self._management():
            yield make(
                "Msvm_InternalEthernetPort",
                SystemCreationClassName="Msvm_ComputerSystem",
                SystemName=self.server,
                CreationClassName="Msvm_InternalEthernetPort",
                DeviceID=f"Microsoft:{naming.derived('internal', nic.id)}",
                ElementName=self._switch(nic),
                Name=self._switch(nic),
                EnabledState=2,
                HealthState=5,
                OperationalStatus=[2],
                PermanentAddress=_bare(nic.mac),
            )

    def host_connections(self) -> Iterator[Inst]:
        """Msvm_EthernetPortAllocationSettingData of uplinks and of the host itself on its switches."""
        for nic in self._host.nics:
            network = self._world.networks.get(nic.network_id)
            if network is None:
                continue
            port = f"Microsoft:{naming.guid(network.id)}\\{naming.derived('uplink', nic.id)}"
            target = (
                "\\\\" + self.server + "\\root\\virtualization\\v2:Msvm_ExternalEthernetPort.CreationClassName="
                '"Msvm_ExternalEthernetPort",DeviceID="Microsoft:{' + naming.guid(nic.id) + '}",'
                f'SystemCreationClassName="Msvm_ComputerSystem",SystemName="{self.server}"'
            )
            yield self._connection(port, nic.device, target)
        for nic in self._management():
            network = self._world.networks.get(nic.network_id)
            if network is not None:
                port = f"Microsoft:{naming.guid(network.id)}\\{naming.derived('host', nic.id)}"
                yield self._connection(port, network.name, naming.system_ref(self.server).path(self.server))

    @staticmethod
    def _connection(instance_id: str, name: str, target: str) -> Inst:
        return make(
            "Msvm_EthernetPortAllocationSettingData",
            InstanceID=instance_id,
            ElementName=name,
            ResourceType=33,
            ResourceSubType="Microsoft:Hyper-V:Ethernet Connection",
            HostResource=[target],
            EnabledState=2,
            VirtualQuantity=1,
            Reservation=1,
            Limit=1,
            Weight=0,
            ConsumerVisibility=3,
        )

    def switch_ports(self) -> Iterator[Inst]:
        """Msvm_EthernetSwitchPort: one per connection on the host's side."""
        for connection in self.host_connections():
            switch, _, port = str(connection.get("InstanceID")).removeprefix("Microsoft:").partition("\\")
            yield make(
                "Msvm_EthernetSwitchPort",
                SystemCreationClassName="Msvm_VirtualEthernetSwitch",
                SystemName=switch,
                CreationClassName="Msvm_EthernetSwitchPort",
                DeviceID=f"Microsoft:{port}",
                ElementName=connection.get("ElementName"),
                Name=port,
                EnabledState=2,
                HealthState=5,
                OperationalStatus=[2],
            )

    def vlans(self) -> Iterator[Inst]:
        """Msvm_EthernetSwitchPortVlanSettingData."""
        for vm in self._world.of_site(self._world.vms.values(), self._site.id):
            for nic in vm.nics:
                network = self._world.networks.get(nic.network_id or "")
                if network is not None and network.vlan >= 0:
                    yield make(
                        "Msvm_EthernetSwitchPortVlanSettingData",
                        OperationMode=1,
                        AccessVlanId=network.vlan,
                        InstanceID=naming.nic_id(vm, nic) + "\\C\\952c5004-4465-451c-8cb8-fa9ab382b773",
                        ElementName="Ethernet Switch Port VLAN Settings",
                    )

    def _management(self) -> list[HostNic]:
        return [nic for nic in self._host.nics if nic.management]

    def _switch(self, nic: HostNic) -> str:
        network = self._world.networks.get(nic.network_id)
        return f"vEthernet ({network.name})" if network is not None else nic.device

    # ---- root/cimv2 --------------------------------------------------------------------------------------

    def operating_system(self) -> Iterator[Inst]:
        """Win32_OperatingSystem."""
        host, site = self._host, self._site
        build = site.version.split(".")[-1]
        yield make(
            "Win32_OperatingSystem",
            schema.CIMV2,
            Name=f"{site.product}|C:\\Windows|\\Device\\Harddisk0",
            Caption=site.product,
            Version=site.version,
            BuildNumber=build,
            CSName=self.server,
            Description=host.description,
            CreationClassName="Win32_OperatingSystem",
            CSCreationClassName="Win32_ComputerSystem",
            FreePhysicalMemory=memory_free(self._world, host) // 1024,
            TotalVisibleMemorySize=host.memory_bytes // 1024,
            LastBootUpTime=host.booted,
            LocalDateTime=self._world.now() + float(site.extra.get("clock_skew_s", 0)),
            OSArchitecture="64-bit",
            OSLanguage=site.extra.get("language", 1033),
            Locale=site.extra.get("locale", "0409"),
            MUILanguages=[site.extra.get("culture", "en-US")],
            ProductType=3,
            OSType=18,
            OperatingSystemSKU=8,
            Primary=True,
            Status="OK",
            Manufacturer="Microsoft Corporation",
            SystemDrive="C:",
            WindowsDirectory="C:\\Windows",
            SystemDirectory="C:\\Windows\\system32",
            SerialNumber="00454-40000-00001-AA596",
            RegisteredUser="Windows User",
            Organization="",
            NumberOfProcesses=112,
            NumberOfUsers=1,
            InstallDate=host.booted - 4e7,
            CurrentTimeZone=60,
        )

    def computer_system(self) -> Iterator[Inst]:
        """Win32_ComputerSystem."""
        host = self._host
        yield make(
            "Win32_ComputerSystem",
            schema.CIMV2,
            Name=self.server,
            DNSHostName=host.name.partition(".")[0],
            CreationClassName="Win32_ComputerSystem",
            Caption=self.server,
            Domain="WORKGROUP",
            Workgroup="WORKGROUP",
            PartOfDomain=False,
            DomainRole=2,
            Manufacturer=host.vendor,
            Model=host.hardware,
            NumberOfLogicalProcessors=host.cpus,
            NumberOfProcessors=host.sockets,
            TotalPhysicalMemory=host.memory_bytes,
            HypervisorPresent=True,
            SystemType="x64-based PC",
            Status="OK",
            PrimaryOwnerName="Windows User",
            PowerState=0,
            BootupState="Normal boot",
        )

    def product(self) -> Iterator[Inst]:
        """Win32_ComputerSystemProduct."""
        host = self._host
        yield make(
            "Win32_ComputerSystemProduct",
            schema.CIMV2,
            IdentifyingNumber=host.serial,
            Name=host.hardware,
            Vendor=host.vendor,
            UUID=naming.guid(host.id),
            Version="",
            Caption="Computer System Product",
        )

    def processors(self) -> Iterator[Inst]:
        """Win32_Processor: one per socket."""
        host = self._host
        for number in range(host.sockets):
            yield make(
                "Win32_Processor",
                schema.CIMV2,
                DeviceID=f"CPU{number}",
                Name=host.cpu_model,
                NumberOfCores=host.cores // host.sockets,
                NumberOfEnabledCore=host.cores // host.sockets,
                NumberOfLogicalProcessors=host.cpus // host.sockets,
                MaxClockSpeed=host.cpu_mhz,
                CurrentClockSpeed=host.cpu_mhz,
                LoadPercentage=7 + number,
                Manufacturer="GenuineIntel",
                SocketDesignation=f"CPU{number + 1}",
                AddressWidth=64,
                DataWidth=64,
                Architecture=9,
                CreationClassName="Win32_Processor",
                SystemName=self.server,
                Status="OK",
                SystemCreationClassName="Win32_ComputerSystem",
            )

    def bios(self) -> Iterator[Inst]:
        """Win32_BIOS."""
        yield make(
            "Win32_BIOS",
            schema.CIMV2,
            Name="2.19.1",
            SMBIOSBIOSVersion="2.19.1",
            Version="DELL - 1",
            SerialNumber=self._host.serial,
            Manufacturer=self._host.vendor,
            SoftwareElementID="2.19.1",
            SoftwareElementState=3,
            TargetOperatingSystem=0,
            PrimaryBIOS=True,
            Status="OK",
        )

    def logical_disks(self) -> Iterator[Inst]:
        """Win32_LogicalDisk: one per storage with a drive letter."""
        for storage in self._world.of_site(self._world.storages.values(), self._site.id):
            letter = storage.extra.get("letter")
            if letter:
                yield make(
                    "Win32_LogicalDisk",
                    schema.CIMV2,
                    DeviceID=letter,
                    Name=letter,
                    Caption=letter,
                    DriveType=3,
                    FileSystem="ReFS" if letter == "D:" else "NTFS",
                    Size=storage.size_bytes,
                    FreeSpace=max(0, storage.size_bytes - storage.used_bytes),
                    VolumeName=storage.name,
                    CreationClassName="Win32_LogicalDisk",
                    SystemName=self.server,
                    MediaType=12,
                    SystemCreationClassName="Win32_ComputerSystem",
                    VolumeSerialNumber=naming.derived("volume", storage.id)[:8],
                )

    def network_adapters(self) -> Iterator[Inst]:
        """Win32_NetworkAdapter."""
        for index, nic in enumerate(self._host.nics, 1):
            yield make(
                "Win32_NetworkAdapter",
                schema.CIMV2,
                DeviceID=str(index),
                Index=index,
                InterfaceIndex=index + 3,
                Name=f"Intel(R) Ethernet E810-C #{index}",
                NetConnectionID=nic.device,
                MACAddress=nic.mac.upper(),
                NetConnectionStatus=2 if nic.link_up else 7,
                NetEnabled=True,
                PhysicalAdapter=True,
                Speed=nic.speed_mbps * 1_000_000,
                GUID="{" + naming.guid(nic.id) + "}",
                AdapterTypeID=0,
                CreationClassName="Win32_NetworkAdapter",
                SystemName=self.server,
                SystemCreationClassName="Win32_ComputerSystem",
            )

    def adapter_configurations(self) -> Iterator[Inst]:
        """Win32_NetworkAdapterConfiguration."""
        for index, nic in enumerate(self._host.nics, 1):
            yield make(
                "Win32_NetworkAdapterConfiguration",
                schema.CIMV2,
                Index=index,
                InterfaceIndex=index + 3,
                Caption=f"[{index:08}] {nic.device}",
                Description=nic.device,
                MACAddress=nic.mac.upper(),
                IPEnabled=bool(nic.address),
                IPAddress=[nic.address] if nic.address else [],
                IPSubnet=[nic.netmask] if nic.netmask else [],
                DHCPEnabled=False,
                DefaultIPGateway=[nic.gateway] if nic.gateway else [],
                SettingID="{" + naming.guid(nic.id) + "}",
                DNSHostName=self.server,
            )

    def services(self) -> Iterator[Inst]:
        """Win32_Service: those that matter here."""
        for name, title in (
            ("vmms", "Hyper-V Virtual Machine Management"),
            ("WinRM", "Windows Remote Management"),
            ("vmcompute", "Hyper-V Host Compute Service"),
        ):
            yield make(
                "Win32_Service",
                schema.CIMV2,
                Name=name,
                DisplayName=title,
                Caption=title,
                State="Running",
                StartMode="Auto",
                Started=True,
                Status="OK",
                SystemName=self.server,
                AcceptStop=True,
                CreationClassName="Win32_Service",
                SystemCreationClassName="Win32_ComputerSystem",
                ProcessId=1200,
                ServiceType="Own Process",
                StartName="LocalSystem",
            )

    def files(self) -> Iterator[Inst]:
        """CIM_DataFile: disk files, and the service's own, by whose version some tell Hyper-V's."""
        yield make(
            "CIM_DataFile",
            schema.CIMV2,
            Name="c:\\windows\\system32\\vmms.exe",
            Drive="c:",
            Extension="exe",
            Path="\\windows\\system32\\",
            FileName="vmms",
            FileSize=16_000_000,
            FSName="NTFS",
            Version=f"{self._site.version}.1",
            Manufacturer="Microsoft Corporation",
            CSName=self.server,
            CreationClassName="CIM_DataFile",
            CSCreationClassName="Win32_ComputerSystem",
            Status="OK",
        )
        for disk in self._world.of_site(self._world.disks.values(), self._site.id):
            yield self.file(disk)

    def file(self, disk: Disk) -> Inst:
        """One disk file."""
        path = naming.disk_path(disk)
        folder, _, name = path.rpartition("\\")
        stem, _, extension = name.rpartition(".")
        return make(
            "CIM_DataFile",
            schema.CIMV2,
            Name=path.lower(),
            Caption=path,
            Drive=path[:2].lower(),
            Path=folder[2:].lower() + "\\",
            FileName=stem.lower(),
            Extension=extension.lower(),
            FileSize=disk.used_bytes,
            FSName="NTFS",
            CreationClassName="CIM_DataFile",
            CSName=self.server,
            CSCreationClassName="Win32_ComputerSystem",
            Readable=True,
            Writeable=True,
            Status="OK",
            LastModified=self._world.now(),
        )


def _bare(mac: str) -> str:
    return mac.replace(":", "").upper()
