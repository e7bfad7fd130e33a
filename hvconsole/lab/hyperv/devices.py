"""Virtual hardware as the virtualization namespace shows it: processors, memory, controllers, drives, cards.

Checkpoints own copies of everything under their own GUID, as on real hosts. Reads a ``World`` with its lock held by
the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hvconsole.lab.hyperv import naming
from hvconsole.lab.hyperv.instance import Inst, make
from hvconsole.lab.hyperv.machines import Machines
from hvconsole.lab.objects import MIB, Nic, Power, Snapshot, Vm
from hvconsole.lab.world import World

DISK_DRIVE = "Microsoft:Hyper-V:Synthetic Disk Drive"
DVD_DRIVE = "Microsoft:Hyper-V:Synthetic DVD Drive"
HARD_DISK = "Microsoft:Hyper-V:Virtual Hard Disk"
DVD_DISK = "Microsoft:Hyper-V:Virtual CD/DVD Disk"
SCSI = "Microsoft:Hyper-V:Synthetic SCSI Controller"
IDE = "Microsoft:Hyper-V:Emulated IDE Controller"
NIC = "Microsoft:Hyper-V:Synthetic Ethernet Port"
CONNECTION = "Microsoft:Hyper-V:Ethernet Connection"


class Devices:
    """The hardware of one site's VMs and checkpoints."""

    def __init__(self, world: World, machines: Machines) -> None:
        self._world = world
        self._machines = machines

    def _owners(self) -> Iterator[Vm | Snapshot]:
        yield from self._machines.vms()
        yield from self._machines.vms(planned=True)
        for _vm, snapshot in self._machines.snapshots():
            yield snapshot

    def every(self, build: Callable[[Vm | Snapshot], Iterator[Inst]]) -> Iterator[Inst]:
        """The instances that ``build`` makes for every VM and checkpoint."""
        for owner in self._owners():
            yield from build(owner)

    def definitions(self, class_name: str) -> Iterator[Inst]:
        """What the host allows of processors or memory; real hosts list it between the settings of VMs."""
        guid, sizes = (
            (naming.PROCESSOR, (1, 1, 240, 1))
            if class_name == "Msvm_ProcessorSettingData"
            else (naming.MEMORY, (1024, 32, 12 << 20, 2))
        )
        for name, size in zip(("Default", "Minimum", "Maximum", "Increment"), sizes, strict=True):
            yield make(
                class_name,
                InstanceID=f"Microsoft:Definition\\{guid}\\{name}",
                VirtualQuantity=size,
                ElementName="Processor" if guid == naming.PROCESSOR else "Memory",
                PoolID="",
                ResourceType=3 if guid == naming.PROCESSOR else 4,
                ConsumerVisibility=3,
                ResourceSubType=f"Microsoft:Hyper-V:{'Processor' if guid == naming.PROCESSOR else 'Memory'}",
                AllocationUnits="percent / 1000" if guid == naming.PROCESSOR else "byte * 2^20",
            )

    def processors(self, owner: Vm | Snapshot) -> Iterator[Inst]:
        """Msvm_ProcessorSettingData."""
        yield make(
            "Msvm_ProcessorSettingData",
            InstanceID=f"{naming.settings_id(owner)}\\{naming.PROCESSOR}\\0",
            ElementName="Processor",
            ResourceType=3,
            ResourceSubType="Microsoft:Hyper-V:Processor",
            PoolID="",
            ConsumerVisibility=3,
            AllocationUnits="percent / 1000",
            VirtualQuantity=owner.vcpus,
            Reservation=0,
            Limit=100000,
            Weight=100,
            AutomaticAllocation=True,
            AutomaticDeallocation=True,
            VirtualQuantityUnits="count",
            LimitCPUID=False,
            HwThreadsPerCore=0,
            LimitProcessorFeatures=False,
            MaxProcessorsPerNumaNode=32,
            MaxNumaNodesPerSocket=1,
            EnableHostResourceProtection=False,
            HideHypervisorPresent=False,
            ExposeVirtualizationExtensions=False,
        )

    def memory(self, owner: Vm | Snapshot) -> Iterator[Inst]:
        """Msvm_MemorySettingData."""
        size = owner.memory_bytes // MIB
        dynamic = bool(owner.extra.get("dynamic_memory"))
        yield make(
            "Msvm_MemorySettingData",
            InstanceID=f"{naming.settings_id(owner)}\\{naming.MEMORY}",
            ElementName="Memory",
            ResourceType=4,
            ResourceSubType="Microsoft:Hyper-V:Memory",
            PoolID="",
            ConsumerVisibility=3,
            AllocationUnits="byte * 2^20",
            VirtualQuantity=size,
            Reservation=max(32, size // 2) if dynamic else size,
            Limit=size * 2 if dynamic else size,
            Weight=5000,
            AutomaticAllocation=True,
            AutomaticDeallocation=True,
            VirtualQuantityUnits="byte * 2^20",
            DynamicMemoryEnabled=dynamic,
            TargetMemoryBuffer=20,
            IsVirtualized=True,
            SwapFilesInUse=False,
            MaxMemoryBlocksPerNumaNode=32000,
            HugePagesEnabled=False,
            SgxSize=0,
            SgxEnabled=False,
        )

    def allocations(self, owner: Vm | Snapshot) -> Iterator[Inst]:
        """Msvm_ResourceAllocationSettingData: controllers and drives."""
        if naming.generation(owner) == 1:
            for number in (0, 1):
                yield self._controller(owner, naming.IDE, number, IDE, 5, f"IDE Controller {number}")
        for controller in naming.scsi_controllers(owner):
            yield self._controller(owner, controller, 0, SCSI, 6, "SCSI Controller")
        for drive in owner.drives:
            controller, number, slot = naming.location(owner, drive)
            parent = naming.settings_ref(
                "Msvm_ResourceAllocationSettingData", naming.controller_id(owner, controller, number)
            )
            yield make(
                "Msvm_ResourceAllocationSettingData",
                InstanceID=naming.drive_id(owner, drive),
                ElementName="DVD Drive" if drive.is_cd else "Hard Drive",
                ResourceType=16 if drive.is_cd else 17,
                ResourceSubType=DVD_DRIVE if drive.is_cd else DISK_DRIVE,
                PoolID="",
                ConsumerVisibility=3,
                AllocationUnits="count",
                VirtualQuantity=1,
                Reservation=1,
                Limit=1,
                Weight=0,
                AutomaticAllocation=True,
                AutomaticDeallocation=True,
                Parent=parent.path(self._machines.server),
                AddressOnParent=str(slot),
                VirtualQuantityUnits="count",
            )

    @staticmethod
    def _controller(owner: Vm | Snapshot, guid: str, number: int, kind: str, type_: int, name: str) -> Inst:
        return make(
            "Msvm_ResourceAllocationSettingData",
            InstanceID=naming.controller_id(owner, guid, number),
            ElementName=name,
            ResourceType=type_,
            ResourceSubType=kind,
            PoolID="",
            ConsumerVisibility=3,
            AllocationUnits="count",
            VirtualQuantity=1,
            Reservation=1,
            Limit=1,
            Weight=0,
            AutomaticAllocation=True,
            AutomaticDeallocation=True,
            Address=str(number),
            VirtualQuantityUnits="count",
        )

    def storage(self, owner: Vm | Snapshot) -> Iterator[Inst]:
        """Msvm_StorageAllocationSettingData: what is in the drives."""
        for drive in owner.drives:
            disk = self._world.disks.get(drive.disk_id or "")
            if disk is None:
                continue
            parent = naming.settings_ref("Msvm_ResourceAllocationSettingData", naming.drive_id(owner, drive))
            yield make(
                "Msvm_StorageAllocationSettingData",
                InstanceID=naming.medium_id(owner, drive),
                ElementName="ISO Disk Image" if drive.is_cd else "Hard Disk Image",
                ResourceType=31,
                ResourceSubType=DVD_DISK if drive.is_cd else HARD_DISK,
                PoolID="",
                ConsumerVisibility=3,
                HostResource=[naming.disk_path(disk)],
                AllocationUnits="count",
                VirtualQuantity=1,
                Limit=1,
                Reservation=1,
                Weight=100,
                AutomaticAllocation=True,
                AutomaticDeallocation=True,
                Parent=parent.path(self._machines.server),
                Access=1 if drive.read_only else 3,
                VirtualQuantityUnits="count",
                IOPSLimit=0,
                IOPSReservation=0,
                IOPSAllocationUnits="count",
                PersistentReservationsSupported=bool(disk.extra.get("shared")),
                CachingMode=0,
                IgnoreFlushes=False,
                WriteHardeningMethod=1,
            )

    def nics(self, owner: Vm | Snapshot) -> Iterator[Inst]:
        """Msvm_SyntheticEthernetPortSettingData."""
        for nic in owner.nics:
            yield make(
                "Msvm_SyntheticEthernetPortSettingData",
                InstanceID=naming.nic_id(owner, nic),
                ElementName="Network Adapter",
                ResourceType=10,
                ResourceSubType=NIC,
                PoolID="",
                ConsumerVisibility=3,
                AllocationUnits="count",
                VirtualQuantity=1,
                Reservation=1,
                Limit=1,
                Weight=0,
                AutomaticAllocation=True,
                AutomaticDeallocation=True,
                Address=nic.mac.replace(":", "").upper(),
                VirtualQuantityUnits="count",
                VirtualSystemIdentifiers=["{" + naming.guid(nic.id) + "}"],
                StaticMacAddress=False,
                ClusterMonitored=True,
                DeviceNamingEnabled=False,
                AllowPacketDirect=False,
            )

    def connections(self, owner: Vm | Snapshot) -> Iterator[Inst]:
        """Msvm_EthernetPortAllocationSettingData of VMs' cards."""
        for nic in owner.nics:
            if nic.network_id is None:
                continue
            network = self._world.networks.get(nic.network_id)
            parent = naming.settings_ref("Msvm_SyntheticEthernetPortSettingData", naming.nic_id(owner, nic))
            switch = (
                []
                if network is None
                else [
                    naming.system_ref(naming.guid(network.id), "Msvm_VirtualEthernetSwitch").path(self._machines.server)
                ]
            )
            yield make(
                "Msvm_EthernetPortAllocationSettingData",
                InstanceID=naming.nic_id(owner, nic) + "\\C",
                ElementName="Network Adapter",
                ResourceType=33,
                ResourceSubType=CONNECTION,
                PoolID="",
                ConsumerVisibility=3,
                HostResource=switch,
                AllocationUnits="count",
                VirtualQuantity=1,
                Reservation=1,
                Limit=1,
                Weight=0,
                AutomaticAllocation=True,
                AutomaticDeallocation=True,
                Parent=parent.path(self._machines.server),
                VirtualQuantityUnits="count",
                EnabledState=2 if nic.plugged and network is not None else 3,
                LastKnownSwitchName=network.name if network is not None else None,
            )

    def ports(self) -> Iterator[Inst]:
        """Msvm_SyntheticEthernetPort: cards of running VMs."""
        for vm in self._machines.vms():
            for nic in vm.nics if vm.power is Power.RUNNING else ():
                yield make(
                    "Msvm_SyntheticEthernetPort",
                    SystemCreationClassName="Msvm_ComputerSystem",
                    SystemName=naming.guid(vm.id),
                    CreationClassName="Msvm_SyntheticEthernetPort",
                    DeviceID=naming.nic_id(vm, nic),
                    ElementName="Network Adapter",
                    Name="Network Adapter",
                    EnabledState=2,
                    RequestedState=12,
                    EnabledDefault=2,
                    HealthState=5,
                    OperationalStatus=[2],
                    PermanentAddress=nic.mac.replace(":", "").upper(),
                    Speed=10_000_000_000,
                    LinkTechnology=2,
                )

    def guest_networks(self, owner: Vm | Snapshot) -> Iterator[Inst]:
        """Msvm_GuestNetworkAdapterConfiguration: what the guest itself says about its cards."""
        if isinstance(owner, Snapshot):
            return
        for nic in owner.nics:
            yield self._guest_network(owner, nic)

    @staticmethod
    def _guest_network(vm: Vm, nic: Nic) -> Inst:
        # Older integration services tell addresses through the key-value exchange alone.
        known = vm.guest.tools_running and not vm.extra.get("old_services")
        addresses = list(nic.addresses) if known else []
        return make(
            "Msvm_GuestNetworkAdapterConfiguration",
            InstanceID=f"Microsoft:GuestNetwork\\{naming.guid(vm.id)}\\{naming.guid(nic.id)}",
            ProtocolIFType=4098 if addresses else 0,
            DHCPEnabled=False,
            IPAddresses=addresses,
            Subnets=["64" if ":" in address else "255.255.0.0" for address in addresses],
            DefaultGateways=[],
            DNSServers=[],
            IPAddressOrigins=[2 for _ in addresses],
        )
