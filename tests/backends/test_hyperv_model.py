"""From facts to model objects: numbers of every version, trees of every shape, texts of every kind."""

from __future__ import annotations

import datetime as dt
import time
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hvconsole.backends import hyperv_facts as facts
from hvconsole.backends import hyperv_model as model
from hvconsole.backends.hyperv_facts import CardFact, GuestFact, HardwareFact, SettingsFact, StateFact
from hvconsole.backends.hyperv_model import VmFacts
from hvconsole.backends.wsman_reply import Record
from hvconsole.model import ObjectId, PowerState, ToolsState, Verb

VM = "A648A7DD-0683-4EB9-A5B6-E6E307D4BEDC"
NOW = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)


def guid(number: int) -> str:
    return f"{number:08X}-0000-4000-8000-000000000000"


def vm_facts(state: int = 2, **changes: object) -> VmFacts:
    fact = StateFact(VM, "vm", state)
    values: dict[str, object] = {
        "state": fact,
        "power": model.power_of(fact, None),
        "guest": GuestFact(heartbeat=2),
        "settings": None,
        "checkpoints": (),
        "hardware": None,
        "addresses": (),
        "started": None,
        "booting": False,
        "host_id": ObjectId("HV"),
        "no_migration": "",
        **changes,
    }
    return VmFacts(**values)  # type: ignore[arg-type]


def record(**values: object) -> Record:
    root = ET.Element("XmlFragment")
    for name, value in values.items():
        for item in value if isinstance(value, list) else [value]:
            ET.SubElement(root, name).text = str(item)
    return Record(root)


class TestStates:
    @pytest.mark.parametrize(
        ("number", "power"),
        [
            (2, PowerState.RUNNING),
            (3, PowerState.HALTED),
            (6, PowerState.SUSPENDED),
            (9, PowerState.PAUSED),
            (32768, PowerState.PAUSED),
            (32769, PowerState.SUSPENDED),
            (0, PowerState.UNKNOWN),
            (77, PowerState.UNKNOWN),
            (32783, PowerState.UNKNOWN),
        ],
    )
    def test_of_both_versions(self, number: int, power: PowerState) -> None:
        assert model.power_of(StateFact(VM, "x", number), None) is power

    def test_while_it_changes_the_one_before_stays(self) -> None:
        saving = StateFact(VM, "x", 32773)
        assert model.power_of(saving, PowerState.PAUSED) is PowerState.PAUSED
        assert model.power_of(saving, None) is PowerState.RUNNING
        assert model.operations_of(saving) == ("saving",)
        other = StateFact(VM, "x", 1, other="FastSaving")
        assert model.power_of(other, PowerState.RUNNING) is PowerState.RUNNING
        assert model.operations_of(other) == ("saving",)

    def test_what_the_status_says(self) -> None:
        fact = facts.state_fact(record(Name=VM.lower(), ElementName="x", EnabledState=2, OperationalStatus=[11, 32768]))
        assert fact is not None
        assert fact.guid == VM
        assert fact.doing == ("creating checkpoint",)

    def test_the_hosts_own_row_is_no_vm(self) -> None:
        assert facts.state_fact(record(Name="HV-1", EnabledState=2)) is None
        assert facts.state_fact(record(Name=VM)) is None

    def test_uptime_does_not_flicker(self) -> None:
        first = model.started_at(60_000, NOW, None)
        assert first == NOW - dt.timedelta(minutes=1)
        assert model.started_at(61_300, NOW + dt.timedelta(seconds=1), first) is first
        assert model.started_at(1_000, NOW, first) != first
        assert model.started_at(0, NOW, None) is None
        assert model.started_at(1 << 62, NOW, None) is None


class TestTools:
    @pytest.mark.parametrize(
        ("heartbeat", "services", "booting", "tools"),
        [
            (2, 1, False, ToolsState.RUNNING),
            (13, 1, False, ToolsState.INSTALLED),
            (6, None, False, ToolsState.INSTALLED),
            (12, 1, False, ToolsState.INSTALLED),
            (12, 0, False, ToolsState.MISSING),
            (12, 0, True, ToolsState.UNKNOWN),
            (None, None, False, ToolsState.UNKNOWN),
        ],
    )
    def test_from_the_heartbeat(
        self, heartbeat: int | None, services: int | None, booting: bool, tools: ToolsState
    ) -> None:
        vm = model.build_vm(vm_facts(guest=GuestFact(heartbeat=heartbeat, services=services), booting=booting))
        assert vm.tools is tools
        assert (Verb.SHUTDOWN in vm.refusals) == (tools is ToolsState.MISSING)

    def test_of_a_vm_that_does_not_run(self) -> None:
        assert model.build_vm(vm_facts(3)).tools is ToolsState.UNKNOWN


class TestRefusals:
    def test_every_state_allows_something(self) -> None:
        for state, allowed in ((2, Verb.SUSPEND), (3, Verb.START), (6, Verb.RESUME), (9, Verb.UNPAUSE)):
            assert allowed not in model.build_vm(vm_facts(state)).refusals

    def test_are_shared_between_vms(self) -> None:
        assert model.build_vm(vm_facts(2)).refusals is model.build_vm(vm_facts(2, no_migration="")).refusals

    def test_while_busy_only_turning_off_is_left(self) -> None:
        vm = model.build_vm(replace(vm_facts(2), state=StateFact(VM, "x", 2, doing=("exporting",))))
        assert vm.operations == ("exporting",)
        assert "exporting" in vm.refusals[Verb.SNAPSHOT]
        assert Verb.POWER_OFF not in vm.refusals

    @pytest.mark.parametrize("number", [32781, 32783, 32785, 32791])
    def test_a_critical_vm_says_so_and_leaves_the_verbs_to_the_host(self, number: int) -> None:
        vm = model.build_vm(vm_facts(number))
        assert vm.operations == ("in a critical state",)
        assert vm.power is PowerState.UNKNOWN
        assert not {Verb.START, Verb.POWER_OFF, Verb.DELETE, Verb.RESUME} & set(vm.refusals)

    @pytest.mark.parametrize(
        ("health", "words"),
        [(5, ()), (None, ()), (10, ()), (20, ("in a critical state",)), (25, ("in a critical state",))],
    )
    def test_a_vm_whose_storage_is_lost_says_so(self, health: int | None, words: tuple[str, ...]) -> None:
        off = StateFact(VM, "vm", 3, health=health)
        vm = model.build_vm(replace(vm_facts(3), state=off))
        assert vm.operations == words
        assert vm.power is PowerState.HALTED
        assert Verb.START not in vm.refusals

    def test_unknown_states_are_left_to_the_host(self) -> None:
        assert Verb.START not in model.build_vm(vm_facts(77)).refusals


class TestCheckpoints:
    def test_strangers_and_cycles_are_cut(self) -> None:
        made = [
            SettingsFact(guid(n), VM, "Microsoft:Hyper-V:Snapshot:Realized", f"s{n}", parent=guid(parent))
            for n, parent in ((1, 2), (2, 1), (3, 99), (4, 3), (5, 5))
        ]
        parents = {snapshot.name: snapshot.parent_id for snapshot in model.build_snapshots(tuple(made))}
        assert parents == {"s1": None, "s2": None, "s3": None, "s4": guid(3).lower(), "s5": None}

    def test_a_chain_as_long_as_no_host_allows_costs_no_minutes(self) -> None:
        began = time.process_time()
        made = tuple(
            SettingsFact(guid(n), VM, "Microsoft:Hyper-V:Snapshot:Realized", "s", parent=guid(n + 1))
            for n in range(20_000)
        )
        assert sum(snapshot.parent_id is not None for snapshot in model.build_snapshots(made)) == 19_999
        assert time.process_time() - began < 5

    def test_where_the_vm_stands(self) -> None:
        one = SettingsFact(guid(1), VM, "Microsoft:Hyper-V:Snapshot:Realized", "s", created=NOW, saved=True)
        now = SettingsFact(VM, VM, "Microsoft:Hyper-V:System:Realized", "vm", notes="n", parent=guid(1))
        vm = model.build_vm(vm_facts(settings=now, checkpoints=(one,)))
        assert vm.current_snapshot_id == guid(1).lower()
        assert vm.snapshots[0].with_memory
        assert vm.description == "n"
        lost = model.build_vm(vm_facts(settings=now, checkpoints=()))
        assert lost.current_snapshot_id is None

    def test_row_of_settings(self) -> None:
        fact = facts.settings_fact(
            record(
                InstanceID=f"Microsoft:{guid(7)}",
                VirtualSystemIdentifier=VM,
                ElementName="n",
                VirtualSystemType="Microsoft:Hyper-V:Snapshot:Recovery",
                Notes=["a", "b"],
                UserSnapshotType=5,
                VirtualSystemSubType="Microsoft:Hyper-V:SubType:2",
                CreationTime="20260101000000.000000-000",
                Parent=f'\\\\OTHER\\root\\virtualization\\v2:Msvm_VirtualSystemSettingData.InstanceID="Microsoft:{guid(6)}"',
            )
        )
        assert fact is not None
        assert (fact.guid, fact.parent, fact.generation, fact.notes) == (guid(7), guid(6), 2, "a\nb")
        assert fact.is_checkpoint
        assert not fact.is_realized


class TestSwitches:
    @staticmethod
    def path(class_name: str, device: str) -> str:
        return f'\\\\HV\\root\\virtualization\\v2:{class_name}.DeviceID="Microsoft:{{{device}}}",SystemName="HV"'

    def test_a_team_inside_the_switch_has_all_its_cards(self) -> None:
        row = record(
            InstanceID=f"Microsoft:{guid(1)}\\{guid(2)}",
            ResourceType=33,
            HostResource=[
                self.path("Msvm_ExternalEthernetPort", guid(3)),
                self.path("Msvm_ExternalEthernetPort", guid(4)),
            ],
        )
        assert facts.uplinks(row) == (f"Microsoft:{{{guid(3)}}}", f"Microsoft:{{{guid(4)}}}")
        assert facts.switch_kinds([row]) == {guid(1): "External"}

    def test_the_wireless_card_of_a_laptop_is_an_uplink_too(self) -> None:
        row = record(
            InstanceID=f"Microsoft:{guid(1)}\\{guid(2)}",
            ResourceType=33,
            HostResource=self.path("Msvm_WiFiPort", guid(3)),
        )
        assert facts.uplinks(row) == (f"Microsoft:{{{guid(3)}}}",)
        assert facts.switch_kinds([row]) == {guid(1): "External"}

    def test_cards_of_vms_and_hosts_are_no_uplinks(self) -> None:
        host = record(
            InstanceID=f"Microsoft:{guid(1)}\\{guid(2)}",
            ResourceType=33,
            HostResource='\\\\HV\\root\\virtualization\\v2:Msvm_ComputerSystem.Name="HV"',
        )
        assert facts.uplinks(host) == ()
        assert facts.switch_kinds([host, record(InstanceID=f"Microsoft:{VM}\\x", ResourceType=33)]) == {
            guid(1): "Internal"
        }


class TestAddresses:
    def test_in_the_order_of_the_cards_ipv4_first(self) -> None:
        cards = (CardFact(guid(1), mac="00:15:5d:00:00:01", switch=guid(9)), CardFact(guid(2)))
        vm = model.build_vm(
            vm_facts(
                hardware=HardwareFact(2, 1024, cards),
                addresses=(
                    (guid(2), ("10.0.0.2",)),
                    (guid(1), ("fe80::1%4", "fd00::1", "10.0.0.1", "junk", "0.0.0.0")),
                ),
            )
        )
        assert vm.addresses == ("10.0.0.1", "10.0.0.2", "fd00::1", "fe80::1")
        assert vm.nics[0].network_id == guid(9).lower()

    def test_what_a_guest_tells_about_itself_is_read_with_care(self) -> None:
        def item(name: str, data: str) -> str:
            told = "".join(
                f'<PROPERTY NAME="{key}" TYPE="string"><VALUE>{value}</VALUE></PROPERTY>'
                for key, value in (("Data", data), ("Name", name))
            )
            return f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">{told}</INSTANCE>'

        row = record(
            SystemName=VM,
            GuestIntrinsicExchangeItems=[
                item("NetworkAddressIPv4", "10.0.0.1;10.0.0.2;"),
                "<INSTANCE",
                "&lt;junk",
                item("OSName", "x" * 9_000),
                item("NetworkAddressIPv6", "fe80::1;nonsense;fd00::1"),
            ],
        )
        assert facts.told_addresses(row) == ("10.0.0.1", "10.0.0.2", "fe80::1", "nonsense", "fd00::1")
        assert len(facts.guest_items(row)["OSName"]) == 500
        vm = model.build_vm(vm_facts(told=facts.told_addresses(row)))
        assert vm.addresses == ("10.0.0.1", "10.0.0.2", "fd00::1", "fe80::1")
        assert model.build_vm(vm_facts(3, told=("10.0.0.1",))).addresses == ()

    def test_cards_that_only_the_guest_knows(self) -> None:
        vm = model.build_vm(vm_facts(addresses=((guid(5), ("10.0.0.5",)),)))
        assert vm.addresses == ("10.0.0.5",)
        assert model.build_vm(vm_facts(3, addresses=((guid(5), ("10.0.0.5",)),))).addresses == ()

    def test_row_of_a_guests_card(self) -> None:
        row = record(InstanceID=f"Microsoft:GuestNetwork\\{VM}\\{guid(3)}", IPAddresses=["10.0.0.3", " "])
        assert facts.guest_addresses(row) == (VM, guid(3), ("10.0.0.3",))
        assert facts.guest_addresses(record(InstanceID="Microsoft:Definition")) is None


class TestHardware:
    def test_rows_of_all_kinds(self) -> None:
        base = f"Microsoft:{VM}"
        card = f"{base}\\{guid(1)}"
        path = '\\\\H\\root\\virtualization\\v2:{}.InstanceID="{}"'
        found = facts.hardware_facts(
            [
                record(InstanceID=f"{base}\\p\\0", ResourceType=3, VirtualQuantity=4),
                record(InstanceID=f"{base}\\m", ResourceType=4, VirtualQuantity=2048),
                record(InstanceID=card, ResourceType=10, Address="00155D010203", ElementName="n"),
                record(
                    InstanceID=f"{card}\\C",
                    ResourceType=33,
                    EnabledState=2,
                    Parent=path.format("Msvm_SyntheticEthernetPortSettingData", card.replace("\\", "\\\\")),
                    HostResource=f'\\\\H\\root\\virtualization\\v2:Msvm_VirtualEthernetSwitch.Name="{guid(8)}"',
                ),
                record(
                    InstanceID=f"{base}\\x\\0\\0\\L",
                    ResourceType=31,
                    HostResource="D:\\a.vhdx",
                    ResourceSubType="Microsoft:Hyper-V:Virtual Hard Disk",
                ),
                record(InstanceID="Microsoft:Definition\\Default", ResourceType=3, VirtualQuantity=99),
                record(ResourceType=4),
            ]
        )[VM]
        assert (found.vcpus, found.memory_mb) == (4, 2048)
        assert found.cards == (CardFact(guid(1), "n", "00:15:5d:01:02:03", guid(8), True),)
        assert [disk.path for disk in found.disks] == ["D:\\a.vhdx"]


TEXT = st.text(max_size=30)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy computer is no fault of the readers
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "InstanceID",
                "Name",
                "EnabledState",
                "OperationalStatus",
                "Parent",
                "HostResource",
                "ResourceType",
                "Notes",
                "VirtualSystemIdentifier",
                "IPAddresses",
                "CreationTime",
                "VirtualQuantity",
            ]
        ),
        st.one_of(TEXT, st.lists(TEXT)),
    )
)
def test_no_row_breaks_the_readers(values: dict[str, object]) -> None:
    row = record(**values)
    facts.state_fact(row)
    facts.settings_fact(row)
    facts.guest_addresses(row)
    facts.guest_fact(row)
    facts.hardware_facts([row])
