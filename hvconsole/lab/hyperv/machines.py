"""VMs as the virtualization namespace shows them: systems, settings, checkpoints, summaries, integration components.

Reads a ``World`` with its lock held by the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hvconsole.lab.hyperv import naming, schema
from hvconsole.lab.hyperv.instance import Inst, Interval, Ref, make
from hvconsole.lab.objects import MIB, Host, HostState, Power, Snapshot, Vm
from hvconsole.lab.world import World

REALIZED = "Microsoft:Hyper-V:System:Realized"
PLANNED = "Microsoft:Hyper-V:System:Planned"
CHECKPOINT = "Microsoft:Hyper-V:Snapshot:Realized"

ENABLED_STATE = {Power.RUNNING: 2, Power.HALTED: 3, Power.SUSPENDED: 6, Power.PAUSED: 9}
_BUSY_STATE = {
    "start": 10,
    "shutdown": 4,
    "power_off": 4,
    "suspend": 32773,
    "pause": 32776,
    "unpause": 32777,
    "resume": 10,
    "reset": 11,
    "reboot": 11,
}
_BUSY_STATUS = {
    "snapshot": 32768,
    "snapshot_memory": 32768,
    "revert": 32769,
    "delete_snapshot": 32770,
    "export": 32773,
    "migrate": 32774,
    "reconfigure": 32777,
}
_OK, _NO_CONTACT = 2, 12


class Machines:
    """The VMs of one site. ``planned`` VMs are kept in ``vm.extra["planned"]``."""

    def __init__(self, world: World, site_id: str, host: Host) -> None:
        self._world = world
        self._site_id = site_id
        self._host = host
        self.server = naming.server_name(host)

    def vms(self, *, planned: bool = False) -> list[Vm]:
        """The site's VMs, without templates."""
        return [
            vm
            for vm in self._world.vms.values()
            if vm.site_id == self._site_id and not vm.is_template and bool(vm.extra.get("planned")) == planned
        ]

    def snapshots(self) -> Iterator[tuple[Vm, Snapshot]]:
        """Checkpoints with their VMs."""
        for snapshot in self._world.snapshots.values():
            vm = self._world.vms.get(snapshot.vm_id)
            if snapshot.site_id == self._site_id and vm is not None:
                yield vm, snapshot

    # ---- systems -----------------------------------------------------------------------------------------

    def computer_systems(self) -> Iterator[Inst]:
        """The host itself, then its VMs."""
        world, host = self._world, self._host
        yield make(
            "Msvm_ComputerSystem",
            CreationClassName="Msvm_ComputerSystem",
            Name=self.server,
            ElementName=self.server,
            Caption=self._word("Hosting Computer System"),
            Description=self._word("Microsoft Hosting Computer System"),
            EnabledState=2,
            RequestedState=12,
            EnabledDefault=2,
            HealthState=5,
            OperationalStatus=[2],
            Status="OK",
            InstallDate=host.booted,
            Roles=[],
            Dedicated=[],
            ResetCapability=1,
            NumberOfNumaNodes=2,
            AvailableRequestedStates=[],
            TimeOfLastStateChange=host.booted,
        )
        for vm in self.vms():
            yield self._system(vm, "Msvm_ComputerSystem", world.now())

    def planned_systems(self) -> Iterator[Inst]:
        """VMs that were imported and not yet realized."""
        for vm in self.vms(planned=True):
            name = naming.guid(vm.id)
            yield make(
                "Msvm_PlannedComputerSystem",
                CreationClassName="Msvm_PlannedComputerSystem",
                Name=name,
                ElementName=vm.name,
                EnabledState=3,
                RequestedState=12,
                HealthState=5,
                OperationalStatus=[2],
                InstallDate=vm.created or None,
            )

    def _system(self, vm: Vm, class_name: str, now: float) -> Inst:
        running = vm.power in (Power.RUNNING, Power.PAUSED)
        return make(
            class_name,
            CreationClassName=class_name,
            Name=naming.guid(vm.id),
            ElementName=vm.name,
            Caption=self._word("Virtual Machine"),
            Description=self._word("Microsoft Virtual Machine"),
            EnabledState=self.enabled_state(vm),
            RequestedState=12,
            EnabledDefault=3,
            HealthState=5,
            OperationalStatus=self.operational_status(vm),
            StatusDescriptions=[self._word("Operating normally")],
            Status="OK",
            OnTimeInMilliseconds=int((now - vm.started) * 1000) if running else 0,
            ProcessID=4000 + int(vm.id[:3], 16) if running else None,
            InstallDate=vm.created or None,
            TimeOfLastStateChange=vm.started or vm.created or now,
            ReplicationState=0,
            ReplicationHealth=0,
            ReplicationMode=0,
            NumberOfNumaNodes=1,
            EnhancedSessionModeState=3,
            ResetCapability=1,
            TimeOfLastConfigurationChange=vm.extra.get("configured") or vm.created or now,
            AvailableRequestedStates=[2, 3] if running else [2],
            FailedOverReplicationType=0,
            LastReplicationType=0,
        )

    def enabled_state(self, vm: Vm) -> int:
        """EnabledState: what it is, or what it is turning into."""
        odd = vm.extra.get("enabled_state")
        if odd is not None:
            return int(odd)
        for verb in vm.operations.values():
            if verb in _BUSY_STATE:
                return _BUSY_STATE[verb]
        return ENABLED_STATE[vm.power]

    def operational_status(self, vm: Vm) -> list[int]:
        """OperationalStatus: ok, and what is going on."""
        for verb in vm.operations.values():
            if verb in _BUSY_STATUS:
                return [11, _BUSY_STATUS[verb]]
        if self._world.running:
            for snapshot in self._world.snapshots_of(vm.id):
                if snapshot.operations:
                    return [11, 32770]
        return [2]

    def _word(self, text: str) -> str:
        """Captions are in the host's language: a client that decides by them fails on the German host."""
        words: dict[str, str] = self._world.sites[self._site_id].extra.get("words", {})
        return words.get(text, text)

    # ---- settings ----------------------------------------------------------------------------------------

    def settings(self) -> Iterator[Inst]:
        """Present settings of every VM, then every checkpoint."""
        for planned in (False, True):
            for vm in self.vms(planned=planned):
                yield self._vm_settings(vm, PLANNED if planned else REALIZED)
        for vm, snapshot in self.snapshots():
            kind = str(snapshot.extra.get("kind", CHECKPOINT))
            yield self._settings(
                vm, snapshot, kind, snapshot.name, snapshot.description, snapshot.created, snapshot.parent_id
            )

    def _vm_settings(self, vm: Vm, kind: str) -> Inst:
        return self._settings(vm, vm, kind, vm.name, vm.description, vm.created, vm.current_snapshot_id)

    def settings_of(self, vm: Vm) -> Inst:
        """Present settings of one VM."""
        return self._vm_settings(vm, PLANNED if vm.extra.get("planned") else REALIZED)

    def _settings(
        self, vm: Vm, owner: Vm | Snapshot, kind: str, name: str, notes: str, created: float, parent_id: str | None
    ) -> Inst:
        parent = self._world.snapshots.get(parent_id or "")
        path = None
        if parent is not None:
            reference = naming.settings_ref("Msvm_VirtualSystemSettingData", naming.settings_id(parent))
            path = reference.path(self.server)
        number = naming.generation(vm)
        version = str(vm.extra.get("version", "9.0"))
        checkpoint = isinstance(owner, Snapshot)
        return make(
            "Msvm_VirtualSystemSettingData",
            InstanceID=naming.settings_id(owner),
            ElementName=name,
            Caption=self._word("Virtual Machine Settings"),
            Description=self._word("Active settings for the virtual machine."),
            VirtualSystemIdentifier=naming.guid(vm.id),
            VirtualSystemType=kind,
            Notes=[notes] if notes else [],
            CreationTime=created or None,
            ConfigurationID=naming.guid(owner.id),
            ConfigurationDataRoot="D:\\Hyper-V",
            ConfigurationFile=f"Virtual Machines\\{naming.guid(owner.id)}.vmcx",
            SnapshotDataRoot="D:\\Hyper-V",
            SuspendDataRoot="D:\\Hyper-V",
            SwapFileDataRoot="D:\\Hyper-V",
            AutomaticStartupAction=3,
            AutomaticStartupActionDelay=Interval(0),
            AutomaticShutdownAction=3,
            AutomaticRecoveryAction=3,
            BIOSGUID="{" + naming.derived("bios", vm.id) + "}",
            BIOSNumLock=False,
            BootOrder=[3, 1, 2, 0],
            BIOSSerialNumber=vm.extra.get("serial", "7613-0448-5560-2276-8132-6540-31"),
            Parent=path,
            UserSnapshotType=vm.extra.get("snapshot_type", 3),
            IsSaved=self._is_saved(owner),
            Version=version,
            VirtualNumaEnabled=True,
            VirtualSystemSubType=f"Microsoft:Hyper-V:SubType:{number}",
            IncrementalBackupEnabled=False,
            NetworkBootPreferredProtocol=4096,
            GuestControlledCacheTypes=False,
            AutomaticSnapshotsEnabled=False,
            IsAutomaticSnapshot=False if checkpoint else None,
            LockOnDisconnect=False,
            ConsoleMode=0,
            SecureBootEnabled=number == 2,
            LowMmioGapSize=128,
            HighMmioGapSize=512,
            EnhancedSessionTransportType=0,
            AutomaticCriticalErrorAction=1,
            AutomaticCriticalErrorActionTimeout=Interval(1800),
        )

    @staticmethod
    def _is_saved(owner: Vm | Snapshot) -> bool:
        return owner.with_memory if isinstance(owner, Snapshot) else owner.power is Power.SUSPENDED

    # ---- summaries ---------------------------------------------------------------------------------------

    def summary(self, vm: Vm, codes: frozenset[int]) -> Inst:
        """Msvm_SummaryInformation with the properties asked for; the others stay nil."""
        running = vm.power in (Power.RUNNING, Power.PAUSED)
        tools = vm.guest.tools and running
        now = self._world.now()
        by_code: dict[int, tuple[str, Any]] = {
            0: ("Name", naming.guid(vm.id)),
            1: ("ElementName", vm.name),
            2: ("CreationTime", vm.created or None),
            3: ("Notes", vm.description or None),
            4: ("NumberOfProcessors", vm.vcpus),
            9: ("VirtualSwitchNames", self._switch_names(vm)),
            10: ("Version", str(vm.extra.get("version", "9.0"))),
            11: ("Shielded", False),
            100: ("EnabledState", self.enabled_state(vm)),
            101: ("ProcessorLoad", int(vm.id[-2:], 16) % 37 if vm.power is Power.RUNNING else 0),
            103: ("MemoryUsage", vm.memory_bytes // MIB if running else 0),
            104: ("Heartbeat", self.heartbeat(vm)),
            105: ("UpTime", int((now - vm.started) * 1000) if running else 0),
            106: ("GuestOperatingSystem", vm.guest.os or None if tools and vm.guest.tools_running else None),
            109: ("HealthState", 5),
            110: ("OperationalStatus", self.operational_status(vm)),
            111: ("StatusDescriptions", [self._word("Operating normally")]),
            112: ("MemoryAvailable", 20 if running else None),
            113: ("AvailableMemoryBuffer", None),
            114: ("ReplicationMode", 0),
            115: ("ReplicationState", 0),
            116: ("ReplicationHealth", 0),
            120: ("SwapFilesInUse", False),
            121: ("IntegrationServicesVersionState", 1 if tools else 0),
            132: ("OtherEnabledState", None),
        }
        values = dict(by_code[code] for code in codes if code in by_code)
        return make("Msvm_SummaryInformation", InstanceID=naming.settings_id(vm), **values)

    def _switch_names(self, vm: Vm) -> list[str]:
        networks = (self._world.networks.get(nic.network_id or "") for nic in vm.nics)
        return [network.name for network in networks if network is not None]

    def heartbeat(self, vm: Vm) -> int | None:
        """2 ok, 12 no contact; None while the VM does not run."""
        if vm.power is not Power.RUNNING:
            return None
        return _OK if vm.guest.tools_running and self._host.state is HostState.UP else _NO_CONTACT

    # ---- integration components --------------------------------------------------------------------------

    def component(self, class_name: str) -> Iterator[Inst]:
        """One kind of integration component: there only while its VM runs."""
        short = class_name.removeprefix("Msvm_").removesuffix("Component")
        definition = schema.find(schema.V2, class_name)
        assert definition is not None
        for vm in self.vms():
            if vm.power is not Power.RUNNING:
                continue
            values: dict[str, Any] = {}
            if class_name == "Msvm_KvpExchangeComponent":
                values = {"GuestExchangeItems": [], "GuestIntrinsicExchangeItems": self._kvp(vm)}
            values |= {
                "SystemCreationClassName": "Msvm_ComputerSystem",
                "SystemName": naming.guid(vm.id),
                "CreationClassName": class_name,
                "Name": self._word(short),
                "Caption": self._word(short),
                "DeviceID": f"{naming.settings_id(vm)}\\{naming.derived(short, vm.id)}",
                "ElementName": self._word(short),
                "EnabledState": 2,
                "RequestedState": 12,
                "EnabledDefault": 2,
                "HealthState": 5,
                "OperationalStatus": [self.heartbeat(vm) or 12],
                "StatusDescriptions": ["OK"],
            }
            # The documents give one of these classes fewer properties than its siblings.
            yield make(class_name, **{name: value for name, value in values.items() if name in definition.properties})

    def _kvp(self, vm: Vm) -> list[str]:
        if not vm.guest.tools_running:
            return []
        guest = vm.guest
        addresses = [address for nic in vm.nics for address in nic.addresses]
        facts = {
            "FullyQualifiedDomainName": guest.hostname or vm.name,
            "OSName": guest.os,
            "OSVersion": guest.kernel,
            "OSMajorVersion": guest.major,
            "OSMinorVersion": guest.minor,
            "OSBuildNumber": guest.kernel,
            "OSPlatformId": "2",
            "IntegrationServicesVersion": guest.tools_version,
            "ProcessorArchitecture": "9",
            "NetworkAddressIPv4": ";".join(a for a in addresses if ":" not in a),
            "NetworkAddressIPv6": ";".join(a for a in addresses if ":" in a),
        }
        return [
            make("Msvm_KvpExchangeDataItem", Name=name, Data=data, Source=2).cim_xml()
            for name, data in facts.items()
            if data
        ]

    def reference(self, vm: Vm) -> Ref:
        """A reference to a VM."""
        return naming.system_ref(naming.guid(vm.id))
