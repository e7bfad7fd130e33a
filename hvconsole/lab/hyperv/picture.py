"""What exists on the simulated host: class → instances, single instances by reference, associations.

The lock of the world is taken by every public method; any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hvconsole.lab.hyperv import naming, schema
from hvconsole.lab.hyperv.devices import Devices
from hvconsole.lab.hyperv.host_objects import SERVICES, HostObjects
from hvconsole.lab.hyperv.instance import Inst, Ref, make
from hvconsole.lab.hyperv.jobs import Jobs
from hvconsole.lab.hyperv.machines import Machines
from hvconsole.lab.hyperv.periphery import Periphery
from hvconsole.lab.hyperv.schema import CIMV2, V2
from hvconsole.lab.objects import Host, Site
from hvconsole.lab.world import World

COMPONENTS = (
    "Msvm_ShutdownComponent",
    "Msvm_HeartbeatComponent",
    "Msvm_KvpExchangeComponent",
    "Msvm_TimeSyncComponent",
    "Msvm_VssComponent",
    "Msvm_GuestServiceInterfaceComponent",
)

Pairs = Iterable[tuple[Ref, Ref]]


class Picture:
    """The object manager of one host."""

    def __init__(self, world: World, site: Site, host: Host, jobs: Jobs) -> None:
        self.world = world
        self.site = site
        self.host = host
        self.jobs = jobs
        self.machines = Machines(world, site.id, host)
        self.devices = Devices(world, self.machines)
        self.objects = HostObjects(world, site, host)
        self.periphery = Periphery(world, self.machines)
        self._lists = self._build_lists()
        self._associations = self._build_associations()

    @property
    def server(self) -> str:
        """What ``__SERVER`` means."""
        return self.machines.server

    def _build_lists(self) -> dict[str, Callable[[], Iterable[Inst]]]:
        machines, devices, objects, periphery = self.machines, self.devices, self.objects, self.periphery
        lists: dict[str, Callable[[], Iterable[Inst]]] = {
            "Msvm_ComputerSystem": machines.computer_systems,
            "Msvm_PlannedComputerSystem": machines.planned_systems,
            "Msvm_VirtualSystemSettingData": machines.settings,
            "Msvm_SummaryInformation": self._summaries,
            "Msvm_ProcessorSettingData": lambda: [
                *devices.every(devices.processors),
                *devices.definitions("Msvm_ProcessorSettingData"),
            ],
            "Msvm_MemorySettingData": lambda: [
                *devices.every(devices.memory),
                *devices.definitions("Msvm_MemorySettingData"),
            ],
            "Msvm_ResourceAllocationSettingData": lambda: devices.every(devices.allocations),
            "Msvm_StorageAllocationSettingData": lambda: devices.every(devices.storage),
            "Msvm_SyntheticEthernetPortSettingData": lambda: devices.every(devices.nics),
            "Msvm_EthernetPortAllocationSettingData": lambda: [
                *devices.every(devices.connections),
                *objects.host_connections(),
            ],
            "Msvm_GuestNetworkAdapterConfiguration": lambda: devices.every(devices.guest_networks),
            "Msvm_SyntheticEthernetPort": devices.ports,
            "Msvm_SerialPortSettingData": lambda: devices.every(periphery.serial_ports),
            "Msvm_SyntheticDisplayController": periphery.displays,
            "Msvm_S3DisplayController": periphery.old_displays,
            "Msvm_VideoHead": periphery.heads,
            "Msvm_Keyboard": periphery.keyboards,
            "Win32_PerfRawData_HvStats_HyperVHypervisorVirtualProcessor": periphery.counters,
            "Msvm_VirtualEthernetSwitch": objects.switches,
            "Msvm_VirtualEthernetSwitchSettingData": objects.switch_settings,
            "Msvm_ExternalEthernetPort": objects.external_ports,
            "Msvm_InternalEthernetPort": objects.internal_ports,
            "Msvm_EthernetSwitchPort": objects.switch_ports,
            "Msvm_EthernetSwitchPortVlanSettingData": objects.vlans,
            "Msvm_VirtualSystemManagementServiceSettingData": objects.service_settings,
            "Msvm_VirtualSystemMigrationServiceSettingData": objects.migration_settings,
            "Msvm_VirtualSystemManagementCapabilities": objects.capabilities,
            "Win32_OperatingSystem": objects.operating_system,
            "Win32_ComputerSystem": objects.computer_system,
            "Win32_ComputerSystemProduct": objects.product,
            "Win32_Processor": objects.processors,
            "Win32_BIOS": objects.bios,
            "Win32_LogicalDisk": objects.logical_disks,
            "Win32_NetworkAdapter": objects.network_adapters,
            "Win32_NetworkAdapterConfiguration": objects.adapter_configurations,
            "Win32_Service": objects.services,
            "Win32_Directory": self._directories,
            "CIM_DataFile": lambda: [*objects.files(), *self._exported_files()],
        }
        for name in COMPONENTS:
            lists[name] = lambda name=name: machines.component(name)  # type: ignore[misc]
        for name in SERVICES:
            lists[name] = lambda name=name: objects.service(name)  # type: ignore[misc]
        for name in ("Msvm_ConcreteJob", "Msvm_StorageJob", "Msvm_MigrationJob"):
            lists[name] = lambda name=name: self.jobs.instances(name)  # type: ignore[misc]
        return lists

    def instances(self, namespace: str, class_name: str) -> list[Inst]:
        """All instances of a class and its subclasses; the class exists."""
        if self.site.extra.get("no_rights") and namespace == V2:
            return []
        found: list[Inst] = []
        with self.world.lock:
            for definition in schema.concrete(namespace, class_name):
                build = self._lists.get(definition.name)
                if build is not None:
                    found.extend(build())
                elif definition.name in self._associations:
                    first, second = self._roles(definition.name)
                    found.extend(
                        make(definition.name, namespace, **{first: one, second: other})
                        for one, other in self._associations[definition.name]()
                    )
        return found

    def get(self, ref: Ref) -> Inst | None:
        """The instance that a reference means, or None."""
        if schema.find(ref.namespace, ref.class_name) is None:
            return None
        return next((inst for inst in self.instances(ref.namespace, ref.class_name) if inst.ref.same(ref)), None)

    def singleton(self, namespace: str, class_name: str) -> Inst | None:
        """The only instance of a class, for requests without (all) selectors."""
        found = self.instances(namespace, class_name)
        return found[0] if len(found) == 1 else None

    def _summaries(self) -> list[Inst]:
        codes = frozenset(range(200))
        return [self.machines.summary(vm, codes) for vm in self.machines.vms()]

    # ---- exported files ------------------------------------------------------------------------------------

    def _directories(self) -> list[Inst]:
        names = {path.rpartition("\\")[0] for path in self.site.extra.get("exports", {})}
        return [
            make(
                "Win32_Directory",
                CIMV2,
                Name=name,
                Drive=name[:2],
                FileType="File Folder",
                CreationClassName="Win32_Directory",
                CSName=self.server,
            )
            for name in sorted(names)
        ]

    def _exported_files(self) -> list[Inst]:
        return [
            make(
                "CIM_DataFile",
                CIMV2,
                Name=path,
                Drive=path[:2],
                Extension="vmcx",
                FileSize=50_000,
                CreationClassName="CIM_DataFile",
                CSName=self.server,
            )
            for path in self.site.extra.get("exports", {})
        ]

    # ---- associations --------------------------------------------------------------------------------------

    def _build_associations(self) -> dict[str, Callable[[], Pairs]]:
        return {
            "Msvm_SettingsDefineState": self._settings_define_state,
            "Msvm_VirtualSystemSettingDataComponent": self._components_of_settings,
            "Msvm_SnapshotOfVirtualSystem": self._snapshots_of_systems,
            "Msvm_MostCurrentSnapshotInBranch": self._current_snapshots,
            "Msvm_LastAppliedSnapshot": self._current_snapshots,
            "Msvm_ParentChildSettingData": self._parents,
            "Msvm_SystemDevice": self._devices_of_systems,
            "Msvm_AffectedJobElement": self._affected,
            "Msvm_SettingDataComponent": self._guest_networks,
            "CIM_DirectoryContainsFile": self._directory_files,
            "Msvm_VideoHeadOnController": self.periphery.heads_on_controllers,
            "Win32_ComputerSystemProcessor": self._processors,
        }

    @staticmethod
    def _roles(association: str) -> tuple[str, str]:
        roles = {
            "Msvm_SettingsDefineState": ("ManagedElement", "SettingData"),
            "Msvm_AffectedJobElement": ("AffectedElement", "AffectingElement"),
        }
        if association in roles:
            return roles[association]
        if association in (
            "Msvm_VirtualSystemSettingDataComponent",
            "Msvm_SystemDevice",
            "Msvm_SettingDataComponent",
            "CIM_DirectoryContainsFile",
            "Win32_ComputerSystemProcessor",
        ):
            return ("GroupComponent", "PartComponent")
        return ("Antecedent", "Dependent")

    def associated(
        self, ref: Ref, assoc_class: str = "", result_class: str = "", role: str = "", result_role: str = ""
    ) -> list[Inst] | None:
        """Instances associated with ``ref``; None if a class name does not exist.

        ``role`` and ``result_role``: which ends of the association ``ref`` and the instances are to be.
        """
        for name in (assoc_class, result_class):
            if name and schema.find(ref.namespace, name) is None:
                return None
        found: dict[tuple[str, tuple[tuple[str, str], ...]], Inst] = {}
        with self.world.lock:
            for name, pairs in self._associations.items():
                if schema.find(ref.namespace, name) is None:
                    continue
                if assoc_class and not schema.descends(ref.namespace, name, assoc_class):
                    continue
                first, second = (each.lower() for each in self._roles(name))
                for one, other in pairs():
                    mine, theirs, target = (
                        (first, second, other)
                        if one.same(ref)
                        else (second, first, one)
                        if other.same(ref)
                        else ("", "", None)
                    )
                    if target is None or role.lower() not in ("", mine) or result_role.lower() not in ("", theirs):
                        continue
                    if result_class and not schema.descends(ref.namespace, target.class_name, result_class):
                        continue
                    inst = self.get(target)
                    if inst is not None:
                        found[(target.class_name, target.keys)] = inst
        return list(found.values())

    def references_to(self, ref: Ref, result_class: str = "", role: str = "") -> list[Inst] | None:
        """Association instances in which ``ref`` takes part (as ``role``); None if the class does not exist."""
        if result_class and schema.find(ref.namespace, result_class) is None:
            return None
        found = []
        with self.world.lock:
            for name, pairs in self._associations.items():
                if schema.find(ref.namespace, name) is None or (
                    result_class and not schema.descends(ref.namespace, name, result_class)
                ):
                    continue
                first, second = self._roles(name)
                found += [
                    make(name, ref.namespace, **{first: one, second: other})
                    for one, other in pairs()
                    if (one.same(ref) and role.lower() in ("", first.lower()))
                    or (other.same(ref) and role.lower() in ("", second.lower()))
                ]
        return found

    def _settings_define_state(self) -> Pairs:
        for vm in self.machines.vms():
            yield self.machines.reference(vm), _settings(naming.settings_id(vm))

    def _components_of_settings(self) -> Pairs:
        devices = self.devices
        for build in (
            devices.processors,
            devices.memory,
            devices.allocations,
            devices.storage,
            devices.nics,
            devices.connections,
            self.periphery.serial_ports,
        ):
            for inst in devices.every(build):
                owner = str(inst.get("InstanceID")).split("\\")[0]
                yield _settings(owner), inst.ref

    def _snapshots_of_systems(self) -> Pairs:
        for vm, snapshot in self.machines.snapshots():
            yield self.machines.reference(vm), _settings(naming.settings_id(snapshot))

    def _current_snapshots(self) -> Pairs:
        for vm in self.machines.vms():
            snapshot = self.world.snapshots.get(vm.current_snapshot_id or "")
            if snapshot is not None:
                yield self.machines.reference(vm), _settings(naming.settings_id(snapshot))

    def _parents(self) -> Pairs:
        for _vm, snapshot in self.machines.snapshots():
            parent = self.world.snapshots.get(snapshot.parent_id or "")
            if parent is not None:
                yield _settings(naming.settings_id(parent)), _settings(naming.settings_id(snapshot))

    def _devices_of_systems(self) -> Pairs:
        lists: list[Iterable[Inst]] = [self.machines.component(name) for name in COMPONENTS]
        around = self.periphery
        lists += [self.devices.ports(), around.displays(), around.old_displays(), around.heads(), around.keyboards()]
        for inst in (inst for items in lists for inst in items):
            yield naming.system_ref(str(inst.get("SystemName"))), inst.ref
        for port in self.objects.switch_ports():
            yield naming.system_ref(str(port.get("SystemName")), "Msvm_VirtualEthernetSwitch"), port.ref

    def _affected(self) -> Pairs:
        for job in self.jobs.all():
            for ref in job.affected:
                yield ref, job.ref

    def _guest_networks(self) -> Pairs:
        for inst in self.devices.every(self.devices.guest_networks):
            _, vm_guid, nic_guid = str(inst.get("InstanceID")).split("\\")
            card = naming.settings_ref("Msvm_SyntheticEthernetPortSettingData", f"Microsoft:{vm_guid}\\{nic_guid}")
            yield card, inst.ref

    def _processors(self) -> Pairs:
        for system in self.objects.computer_system():
            yield from ((system.ref, processor.ref) for processor in self.objects.processors())

    def _directory_files(self) -> Pairs:
        for path in self.site.extra.get("exports", {}):
            yield (
                Ref(CIMV2, "Win32_Directory", (("Name", path.rpartition("\\")[0]),)),
                Ref(CIMV2, "CIM_DataFile", (("Name", path),)),
            )


def _settings(instance_id: str) -> Ref:
    return naming.settings_ref("Msvm_VirtualSystemSettingData", instance_id)
