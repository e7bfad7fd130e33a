"""Records of the property collector become the model: places, names, addresses, tools, refusals."""

from __future__ import annotations

import datetime as dt

import pytest

from hvconsole.backends.vsphere_hardware import DiskIndex
from hvconsole.backends.vsphere_model import build_host, build_pool, build_vm, guest_addresses
from hvconsole.backends.vsphere_names import sent_name, shown_name
from hvconsole.backends.vsphere_records import GuestNic, Record, read_page
from hvconsole.errors import BadReply
from hvconsole.model import PoolKind, PowerState, ToolsState, Verb, VmKind

HEAD = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
)


def page(inner: str, method: str = "RetrievePropertiesEx") -> bytes:
    body = f'<{method}Response xmlns="urn:vim25"><returnval>{inner}</returnval></{method}Response>'
    return f"{HEAD}{body}</soapenv:Body></soapenv:Envelope>".encode()


def tree(*more: Record) -> dict[str, Record]:
    records = [
        Record("Datacenter", "dc", {"name": "Zurich", "parent": "root"}),
        Record("Folder", "root", {"name": "Datacenters", "childType": frozenset({"Datacenter"})}),
        Record("Folder", "vmf", {"name": "vm", "parent": "dc", "childType": frozenset({"VirtualMachine", "Folder"})}),
        Record("Folder", "f1", {"name": "a%2fb", "parent": "vmf", "childType": frozenset({"VirtualMachine"})}),
        Record("Folder", "hf", {"name": "host", "parent": "dc", "childType": frozenset({"ComputeResource"})}),
        Record("ClusterComputeResource", "cl", {"name": "North", "parent": "hf"}),
        Record("ResourcePool", "rp0", {"name": "Resources", "parent": "cl", "owner": "cl"}),
        Record("ResourcePool", "rp1", {"name": "Gold", "parent": "rp0", "owner": "cl"}),
        Record("HostSystem", "h1", {"name": "esx1", "parent": "cl", "runtime.connectionState": "connected"}),
        *more,
    ]
    return {record.id: record for record in records}


def vm(**values: object) -> Record:
    base: dict[str, object] = {
        "name": "web",
        "parent": "f1",
        "resourcePool": "rp1",
        "runtime.host": "h1",
        "runtime.powerState": "poweredOn",
        "runtime.connectionState": "connected",
        "config.hardware.memoryMB": 1024,
    }
    return Record("VirtualMachine", "vm-1", {**base, **{key.replace("__", "."): v for key, v in values.items()}})


def built(record: Record, *, vcenter: bool = True, doing: tuple[str, ...] = ()) -> object:
    return build_vm(record, tree(record), doing, DiskIndex(), vcenter=vcenter)


class TestPlaces:
    def test_a_vm_stands_under_its_host_in_its_cluster(self) -> None:
        shown = build_vm(vm(), tree(vm()), (), DiskIndex(), vcenter=True)
        assert (shown.host_id, shown.home_id, shown.pool_id) == ("h1", "h1", "cl")
        assert (shown.folder_id, shown.resource_pool_id) == ("f1", "rp1")

    def test_roots_that_every_server_has_are_not_shown(self) -> None:
        records = tree()
        pools = {key: build_pool(record, records, vcenter=True) for key, record in records.items()}
        shown = {key: pool for key, pool in pools.items() if pool is not None}
        assert {key: (pool.kind, pool.parent_id) for key, pool in shown.items()} == {
            "dc": (PoolKind.DATACENTER, None),
            "cl": (PoolKind.CLUSTER, "dc"),
            "f1": (PoolKind.FOLDER, "dc"),
            "rp1": (PoolKind.RESOURCE_POOL, "cl"),
        }
        assert shown["f1"].name == "a/b"

    def test_esxi_has_neither_datacenter_nor_cluster(self) -> None:
        record = vm(parent="vmf", resourcePool="rp0")
        shown = build_vm(record, tree(record), (), DiskIndex(), vcenter=False)
        assert (shown.pool_id, shown.folder_id, shown.resource_pool_id) == (None, None, None)
        assert build_pool(tree()["dc"], tree(), vcenter=False) is None

    def test_a_circle_of_parents_ends(self) -> None:
        records = tree()
        records["f1"].values["parent"] = "f2"
        records["f2"] = Record(
            "Folder", "f2", {"name": "x", "parent": "f1", "childType": frozenset({"VirtualMachine"})}
        )
        assert build_vm(vm(), records, (), DiskIndex(), vcenter=True).folder_id == "f1"
        assert build_pool(records["f1"], records, vcenter=True) is not None


class TestHosts:
    @pytest.mark.parametrize(
        ("connection", "power", "words"),
        [
            ("notResponding", "standBy", "standby"),  # DPM puts hosts to sleep that aren't needed
            ("notResponding", "unknown", "doesn't answer"),
            ("disconnected", "poweredOn", "doesn't answer"),
        ],
    )
    def test_one_that_is_away_says_why(self, connection: str, power: str, words: str) -> None:
        record = Record("HostSystem", "h1", {"name": "esx1", "runtime.connectionState": connection,
                                             "runtime.powerState": power})  # fmt: skip
        shown = build_host(record, tree(record), vcenter=True, address="")
        assert shown.live is False
        assert words in shown.refusals[Verb.ENTER_MAINTENANCE]


class TestStates:
    @pytest.mark.parametrize(
        ("raw", "power"),
        [
            ("poweredOn", PowerState.RUNNING),
            ("poweredOff", PowerState.HALTED),
            ("suspended", PowerState.SUSPENDED),
            ("", PowerState.UNKNOWN),
            ("somethingNew", PowerState.UNKNOWN),
        ],
    )
    def test_power(self, raw: str, power: PowerState) -> None:
        shown = build_vm(vm(runtime__powerState=raw), tree(), (), DiskIndex(), vcenter=True)
        assert shown.power is power
        assert (shown.host_id is None) == (power is not PowerState.RUNNING)

    def test_an_inaccessible_vm_says_why(self) -> None:
        shown = build_vm(vm(runtime__connectionState="inaccessible"), tree(), (), DiskIndex(), vcenter=True)
        assert shown.power is PowerState.UNKNOWN
        assert "files" in shown.refusals[Verb.START]

    @pytest.mark.parametrize("vcenter", [True, False])
    @pytest.mark.parametrize("template", [True, False])
    @pytest.mark.parametrize("connection", ["orphaned", "inaccessible", "invalid"])
    def test_what_is_lost_can_only_be_taken_off_the_inventory(
        self, connection: str, template: bool, vcenter: bool
    ) -> None:
        record = vm(runtime__connectionState=connection, config__template=template)
        shown = build_vm(record, tree(), (), DiskIndex(), vcenter=vcenter)
        assert Verb.UNREGISTER not in shown.refusals
        assert Verb.DELETE in shown.refusals
        busy = vm(runtime__connectionState=connection, disabledMethod=frozenset({"UnregisterVM"}))
        shown = build_vm(busy, tree(), (), DiskIndex(), vcenter=vcenter)
        assert "doesn't allow" in shown.refusals[Verb.UNREGISTER]

    @pytest.mark.parametrize(("connection", "word"), [("connected", "Delete"), ("disconnected", "not connected")])
    def test_what_is_not_lost_stays_on_the_inventory(self, connection: str, word: str) -> None:
        shown = build_vm(vm(runtime__connectionState=connection), tree(), (), DiskIndex(), vcenter=True)
        assert word in shown.refusals[Verb.UNREGISTER]

    @pytest.mark.parametrize(
        ("disabled", "offered"), [({"Destroy_Task"}, True), ({"Destroy_Task", "PowerOffVM_Task"}, False), (set(), True)]
    )
    def test_deleting_a_suspended_vm_powers_it_off_first(self, disabled: set[str], offered: bool) -> None:
        """Servers list Destroy_Task as disabled as long as it is suspended, which says nothing about that."""
        record = vm(runtime__powerState="suspended", disabledMethod=frozenset(disabled))
        shown = build_vm(record, tree(), (), DiskIndex(), vcenter=True)
        assert (Verb.DELETE not in shown.refusals) == offered
        off = vm(runtime__powerState="poweredOff", disabledMethod=frozenset({"Destroy_Task"}))
        assert Verb.DELETE in build_vm(off, tree(), (), DiskIndex(), vcenter=True).refusals

    @pytest.mark.parametrize(
        ("status", "version", "tools"),
        [
            ("guestToolsRunning", "guestToolsCurrent", ToolsState.RUNNING),
            ("guestToolsNotRunning", "guestToolsCurrent", ToolsState.INSTALLED),
            ("guestToolsExecutingScripts", "", ToolsState.INSTALLED),
            ("guestToolsNotRunning", "guestToolsNotInstalled", ToolsState.MISSING),
            ("guestToolsNotRunning", "", ToolsState.MISSING),
            ("", "", ToolsState.UNKNOWN),
        ],
    )
    def test_tools(self, status: str, version: str, tools: ToolsState) -> None:
        record = vm(guest__toolsRunningStatus=status, guest__toolsVersionStatus2=version)
        shown = build_vm(record, tree(), (), DiskIndex(), vcenter=True)
        assert shown.tools is tools
        assert (Verb.SHUTDOWN in shown.refusals) == (tools is not ToolsState.RUNNING)
        assert (Verb.SNAPSHOT_QUIESCE in shown.refusals) == (tools is not ToolsState.RUNNING)

    def test_disabled_methods_are_refused_with_what_is_going_on(self) -> None:
        record = vm(disabledMethod=frozenset({"CreateSnapshot_Task", "SuspendVM_Task"}))
        idle = build_vm(record, tree(), (), DiskIndex(), vcenter=True)
        assert idle.refusals[Verb.SNAPSHOT] == "The server doesn't allow taking a snapshot now."
        busy = build_vm(record, tree(), ("relocate",), DiskIndex(), vcenter=True)
        assert "relocate" in busy.refusals[Verb.SUSPEND]
        assert Verb.POWER_OFF not in busy.refusals

    def test_templates_can_be_cloned_and_deleted_only(self) -> None:
        record = vm(config__template=True, runtime__powerState="poweredOff")
        shown = build_vm(record, tree(), (), DiskIndex(), vcenter=True)
        assert shown.kind is VmKind.TEMPLATE
        assert "template" in shown.refusals[Verb.START]
        assert Verb.CLONE not in shown.refusals
        assert Verb.DELETE not in shown.refusals
        assert Verb.TO_VM not in shown.refusals

    def test_only_a_template_becomes_a_vm(self) -> None:
        for on in ("poweredOn", "poweredOff"):
            shown = build_vm(vm(runtime__powerState=on), tree(), (), DiskIndex(), vcenter=True)
            assert shown.refusals[Verb.TO_VM] == "It is no template."

    def test_esxi_says_why_it_cannot_clone(self) -> None:
        shown = build_vm(vm(), tree(), (), DiskIndex(), vcenter=False)
        assert "vCenter" in shown.refusals[Verb.CLONE]
        assert "vCenter" in shown.refusals[Verb.MIGRATE]

    def test_many_alike_share_one_mapping(self) -> None:
        one = build_vm(vm(), tree(), (), DiskIndex(), vcenter=True)
        other = build_vm(vm(name="db"), tree(), (), DiskIndex(), vcenter=True)
        assert one.refusals is other.refusals


class TestAddresses:
    def test_ipv4_first_and_no_link_local_ipv6(self) -> None:
        nics = [
            GuestNic(4000, "m", "lan", True, ("fe80::1", "fd00::5", "10.0.0.5")),
            GuestNic(4001, "m", "dmz", True, ("10.1.0.5",)),
        ]
        assert guest_addresses("10.0.0.5", nics) == ("10.0.0.5", "10.1.0.5", "fd00::5")

    def test_bridges_inside_the_guest_are_not_pinged(self) -> None:
        nics = [GuestNic(-1, "", "", True, ("172.17.0.1",)), GuestNic(4000, "m", "lan", True, ("10.0.0.5",))]
        assert guest_addresses("172.17.0.1", nics) == ("10.0.0.5",)

    def test_nonsense_is_passed_over(self) -> None:
        assert guest_addresses("not an address", [GuestNic(4000, "", "", None, ("", "%", "1.2.3.4.5"))]) == ()

    def test_the_only_address_known_is_used(self) -> None:
        assert guest_addresses("10.0.0.9", []) == ("10.0.0.9",)


class TestNames:
    @pytest.mark.parametrize("name", ["plain", "a/b", "back\\slash", "100%", "%2f", "%25", "ä/ö%5c"])
    def test_names_come_back(self, name: str) -> None:
        assert shown_name(sent_name(name)) == name

    def test_only_the_three_escapes_are_undone(self) -> None:
        assert shown_name("%41%2F%5C%zz") == "%41/\\%zz"


class TestReading:
    def test_values_of_all_kinds(self) -> None:
        read = read_page(
            page(
                '<token>t1</token><objects><obj type="VirtualMachine">vm-7</obj>'
                '<propSet><name>name</name><val xsi:type="xsd:string">a &lt;b&gt;</val></propSet>'
                '<propSet><name>config.template</name><val xsi:type="xsd:boolean">true</val></propSet>'
                "<propSet><name>runtime.bootTime</name>"
                '<val xsi:type="xsd:dateTime">2026-01-02T03:04:05.123456789Z</val>'
                "</propSet>"
                '<propSet><name>disabledMethod</name><val xsi:type="ArrayOfString">'
                "<string>PowerOnVM_Task</string></val></propSet>"
                '<propSet><name>unheard.of</name><val xsi:type="xsd:int">1</val></propSet></objects>'
            )
        )
        assert read.token == "t1"
        (update,) = read.updates
        assert (update.kind, update.id, update.values["name"]) == ("VirtualMachine", "vm-7", "a <b>")
        assert update.values["config.template"] is True
        assert update.values["runtime.bootTime"] == dt.datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=dt.UTC)
        assert update.values["disabledMethod"] == {"PowerOnVM_Task"}
        assert "unheard.of" not in update.values

    def test_a_snapshot_tree(self) -> None:
        def node(moid: str, name: str, inner: str = "") -> str:
            return (
                f'<childSnapshotList><snapshot type="VirtualMachineSnapshot">{moid}</snapshot><name>{name}</name>'
                f"<createTime>2026-01-01T00:00:00+01:00</createTime><state>poweredOn</state>{inner}"
                "</childSnapshotList>"
            )

        root = node("s1", "root", node("s2", "left", node("s3", "leaf")) + node("s4", "right"))
        root = (
            "<rootSnapshotList>"
            + root[len("<childSnapshotList>") : -len("</childSnapshotList>")]
            + "</rootSnapshotList>"
        )
        read = read_page(
            page(
                '<objects><obj type="VirtualMachine">v</obj><propSet><name>snapshot</name>'
                f'<val xsi:type="VirtualMachineSnapshotInfo"><currentSnapshot type="x">s3</currentSnapshot>{root}</val>'
                "</propSet></objects>"
            )
        )
        snapshots = read.updates[0].values["snapshot"]
        assert snapshots.current == "s3"
        assert [(s.id, s.parent_id) for s in snapshots.snapshots] == [
            ("s1", None),
            ("s2", "s1"),
            ("s3", "s2"),
            ("s4", "s1"),
        ]
        assert snapshots.snapshots[0].created == dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC)
        assert snapshots.snapshots[0].with_memory

    def test_update_sets(self) -> None:
        read = read_page(
            page(
                "<version>7</version><filterSet><filter>f</filter>"
                '<objectSet><kind>modify</kind><obj type="VirtualMachine">v</obj>'
                "<changeSet><name>snapshot</name><op>assign</op></changeSet></objectSet>"
                '<objectSet><kind>leave</kind><obj type="HostSystem">h</obj></objectSet></filterSet>'
                "<truncated>true</truncated>",
                "WaitForUpdatesEx",
            )
        )
        assert (read.version, read.truncated) == ("7", True)
        assert [(u.op, u.id, dict(u.values)) for u in read.updates] == [
            ("modify", "v", {"snapshot": None}),
            ("leave", "h", {}),
        ]

    @pytest.mark.parametrize("body", [b"", b"<", b"<a><b></a>", b"\xff\xfe\x00"])
    def test_what_is_no_xml_is_a_bad_reply(self, body: bytes) -> None:
        with pytest.raises(BadReply):
            read_page(body)

    def test_an_object_without_a_name_is_a_bad_reply(self) -> None:
        with pytest.raises(BadReply):
            read_page(page("<objects><propSet/></objects>"))

    def test_an_object_of_millions_of_elements_is_refused_before_it_fills_the_memory(self) -> None:
        value = "<a/>" * 1_000_000
        body = page(f'<objects><obj type="VirtualMachine">vm-1</obj><propSet><val>{value}</val></propSet></objects>')
        with pytest.raises(BadReply, match="too many"):
            read_page(body)

    def test_wrong_numbers_and_times_are_unset(self) -> None:
        read = read_page(
            page(
                '<objects><obj type="VirtualMachine">v</obj>'
                "<propSet><name>config.hardware.numCPU</name><val>many</val></propSet>"
                f"<propSet><name>config.hardware.memoryMB</name><val>{'9' * 400}</val></propSet>"
                "<propSet><name>runtime.bootTime</name><val>yesterday</val></propSet></objects>"
            )
        )
        assert read.updates[0].values == {
            "config.hardware.numCPU": None,
            "config.hardware.memoryMB": None,
            "runtime.bootTime": None,
        }
