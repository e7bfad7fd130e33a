"""The lab's Hyper-V hosts, spoken to in raw envelopes: schema, queries, lists, methods, faults, quotas."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole.lab import Lab
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.hyperv import HypervServer, schema, wql
from hvconsole.lab.hyperv.instance import Ref, make, parse_path
from hvconsole.lab.hyperv.service import Dropped
from hvconsole.lab.sites import Identity

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
N = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
X = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
V2 = f"{WMI}/root/virtualization/v2"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
FAULT = "{http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}WSManFault"


class Host:
    """The first host's service, without HTTP."""

    def __init__(self, server: HypervServer) -> None:
        self.server = server
        self.service = server.service

    def ask(
        self, action: str, uri: str, body: str = "", selectors: dict[str, str] | None = None, header: str = ""
    ) -> ET.Element:
        """The SOAP body of the answer."""
        chosen = "".join(f'<w:Selector Name="{name}">{value}</w:Selector>' for name, value in (selectors or {}).items())
        raw = (
            f'<s:Envelope xmlns:s="{S}" xmlns:a="{A}" xmlns:n="{N}" xmlns:w="{W}"><s:Header><a:Action>{action}'
            f"</a:Action><a:MessageID>uuid:1</a:MessageID><w:ResourceURI>{uri}</w:ResourceURI>{header}"
            f"<w:SelectorSet>{chosen}</w:SelectorSet></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
        answer = self.service.handle(raw.encode(), auth="ntlm", user="Administrator")
        root = ET.fromstring(answer.body)
        assert root.findtext(f"{{{S}}}Header/{{{A}}}RelatesTo") == "uuid:1"
        found = root.find(f"{{{S}}}Body")
        assert found is not None
        assert (answer.status == 500) == (found.find(f"{{{S}}}Fault") is not None)
        return found

    def code(self, body: ET.Element) -> int:
        """The code of a fault."""
        fault = body.find(f".//{FAULT}")
        assert fault is not None, ET.tostring(body)
        return int(fault.get("Code", ""))

    def query(self, text: str, namespace: str = "root/virtualization/v2", mode: str = "") -> list[ET.Element]:
        """All items of a WQL query."""
        uri = f"{WMI}/{namespace}/*"
        chosen = f"<w:EnumerationMode>{mode}</w:EnumerationMode>" if mode else ""
        dialect = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
        escaped = text.replace("&", "&amp;").replace("<", "&lt;")
        body = self.ask(
            f"{N}/Enumerate",
            uri,
            f'<n:Enumerate>{chosen}<w:Filter Dialect="{dialect}">{escaped}</w:Filter></n:Enumerate>',
        )
        context = body.findtext(f".//{{{N}}}EnumerationContext")
        if body.find(f"{{{S}}}Fault") is not None:
            raise LookupError(self.code(body))
        items: list[ET.Element] = []
        while True:
            body = self.ask(
                f"{N}/Pull",
                uri,
                f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext>"
                "<n:MaxElements>100</n:MaxElements></n:Pull>",
                header="<w:MaxEnvelopeSize>512000</w:MaxEnvelopeSize>",
            )
            items += body.find(f".//{{{N}}}Items") or []
            if body.find(f".//{{{N}}}EndOfSequence") is not None:
                return items


@pytest.fixture
def lab(lab_identity: Identity) -> Iterator[Lab]:
    with Lab(kinds=("hyperv",), identity=lab_identity) as running:
        yield running


@pytest.fixture
def server(lab: Lab) -> HypervServer:
    first = lab.site_servers[0]
    assert isinstance(first, HypervServer)
    return first


@pytest.fixture
def host(server: HypervServer) -> Host:
    return Host(server)


class TestSchema:
    @pytest.mark.parametrize("namespace", [schema.V2, schema.CIMV2])
    def test_every_instance_has_every_property(self, host: Host, namespace: str) -> None:
        seen = 0
        for definition in schema.NAMESPACES[namespace].values():
            if definition.abstract:
                continue
            assert definition.properties
            for item in host.query(f"SELECT * FROM {definition.name}", namespace)[:3]:
                uri = f"{WMI}/{namespace}/{definition.name}"
                assert item.tag == f"{{{uri}}}{definition.name}"
                given = {child.tag.rpartition("}")[2] for child in item}
                scalars = {name for name, kind in definition.properties.items() if not kind.endswith("[]")}
                assert scalars <= given <= set(definition.properties)
                seen += 1
        assert seen > 40 if namespace == schema.V2 else seen > 10

    def test_inheritance(self, host: Host) -> None:
        settings = host.query("SELECT * FROM CIM_ResourceAllocationSettingData")
        kinds = {item.tag.rpartition("}")[2] for item in settings}
        assert {
            "Msvm_ProcessorSettingData",
            "Msvm_MemorySettingData",
            "Msvm_StorageAllocationSettingData",
            "Msvm_EthernetPortAllocationSettingData",
        } <= kinds

    def test_empty_arrays_are_absent_and_null_is_nil(self, host: Host) -> None:
        item = host.query("SELECT * FROM Msvm_VirtualSystemSettingData WHERE ElementName = 'zrh-dc01'")[0]
        names = [child.tag.rpartition("}")[2] for child in item]
        assert "Notes" not in names
        parent = next(child for child in item if child.tag.endswith("}Parent"))
        assert parent.get(NIL) == "true"

    def test_dates_are_wrapped(self, host: Host) -> None:
        item = host.query("SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'zrh-dc01'")[0]
        date = next(child for child in item if child.tag.endswith("}InstallDate"))
        assert date[0].tag == "{http://schemas.dmtf.org/wbem/wscim/1/common}Datetime"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", date[0].text or "")

    def test_the_german_host(self, lab: Lab) -> None:
        other = lab.site_servers[1]
        assert isinstance(other, HypervServer)
        item = Host(other).query("SELECT * FROM Msvm_ComputerSystem WHERE Name <> __SERVER")[0]
        assert next(c for c in item if c.tag.endswith("}Caption")).text == "Virtueller Computer"


class TestPeriphery:
    """What libvirt's driver asks of a host before and after it shows a VM."""

    def test_screens_and_keyboards_belong_to_running_vms(self, host: Host, server: HypervServer) -> None:
        vm = server.world.vm_named("zrh-fw")
        own = f"SystemName = '{vm.id}'"
        (screen,) = host.query(f"SELECT * FROM Msvm_SyntheticDisplayController WHERE {own}")
        key = {child.tag.rpartition("}")[2]: child.text or "" for child in screen}
        # libvirt does not double the backslashes of the DeviceID
        (head,) = host.query(
            "ASSOCIATORS OF {Msvm_SyntheticDisplayController.CreationClassName='Msvm_SyntheticDisplayController',"
            f"DeviceID='{key['DeviceID']}',SystemCreationClassName='Msvm_ComputerSystem',SystemName='{vm.id}'}} "
            "WHERE AssocClass = Msvm_VideoHeadOnController ResultClass = Msvm_VideoHead"
        )
        assert head.findtext(f"{{{V2}/Msvm_VideoHead}}CurrentHorizontalResolution") == "1024"
        (keyboard,) = host.query(f"SELECT * FROM Msvm_Keyboard WHERE {own}")
        uri = f"{V2}/Msvm_Keyboard"
        chosen = {
            name: keyboard.findtext(f"{{{uri}}}{name}") or ""
            for name in ("SystemCreationClassName", "SystemName", "CreationClassName", "DeviceID")
        }
        typed = host.ask(
            f"{uri}/TypeText",
            uri,
            f'<k:TypeText_INPUT xmlns:k="{uri}"><k:asciiText>hello</k:asciiText></k:TypeText_INPUT>',
            chosen,
        )
        assert typed.findtext(f".//{{{uri}}}ReturnValue") == "0"
        assert vm.extra["typed"] == [{"asciiText": "hello"}]

    def test_processors_of_the_host_and_of_vms(self, host: Host) -> None:
        sockets = host.query(
            "ASSOCIATORS OF {Win32_ComputerSystem.Name='HV-ZRH-1'} WHERE AssocClass = "
            "Win32_ComputerSystemProcessor ResultClass = Win32_Processor",
            "root/cimv2",
        )
        assert len(sockets) == 2
        assert host.query(
            "SELECT * FROM Win32_PerfRawData_HvStats_HyperVHypervisorVirtualProcessor WHERE Name LIKE 'zrh-fw:Hv VP %'",
            "root/cimv2",
        )
        (most,) = host.query(
            "SELECT * FROM Msvm_ProcessorSettingData WHERE InstanceID LIKE 'Microsoft:Definition%Maximum'"
        )
        assert most.findtext(f"{{{V2}/Msvm_ProcessorSettingData}}VirtualQuantity") == "240"

    def test_serial_ports_are_settings_of_old_vms(self, host: Host, server: HypervServer) -> None:
        vm = server.world.vm_named("zrh-fw")
        found = host.query(
            f"ASSOCIATORS OF {{Msvm_VirtualSystemSettingData.InstanceID='Microsoft:{vm.id.upper()}'}} "
            "WHERE AssocClass = Msvm_VirtualSystemSettingDataComponent "
            "ResultClass = Msvm_SerialPortSettingData"
        )
        assert len(found) == 2

    def test_objects_by_path(self, host: Host, server: HypervServer) -> None:
        vm = server.world.vm_named("zrh-fw")
        ref = Ref(
            schema.V2, "Msvm_ComputerSystem", (("CreationClassName", "Msvm_ComputerSystem"), ("Name", vm.id.upper()))
        )
        path = ref.path("HV-ZRH-1").replace("\\", "\\\\")
        found = host.query(f"SELECT * FROM Msvm_ComputerSystem WHERE __PATH = '{path}'")
        assert [item.findtext(f"{{{V2}/Msvm_ComputerSystem}}ElementName") for item in found] == ["zrh-fw"]

    def test_one_property_alone(self, host: Host) -> None:
        """WS-Management's fragment transfer, as ``wsman get -F`` asks for it."""
        uri = f"{V2}/Msvm_ComputerSystem"
        key = {"CreationClassName": "Msvm_ComputerSystem", "Name": "HV-ZRH-1"}
        answer = host.ask(f"{X}/Get", uri, "", key, "<w:FragmentTransfer>ElementName</w:FragmentTransfer>")
        fragment = answer.find(f"{{{W}}}XmlFragment")
        assert fragment is not None
        assert [(child.tag, child.text) for child in fragment] == [("ElementName", "HV-ZRH-1")]
        refused = host.ask(f"{X}/Get", uri, "", key, "<w:FragmentTransfer>Nothing</w:FragmentTransfer>")
        assert host.code(refused) == 0x80338059


class TestQueries:
    @pytest.mark.parametrize(
        ("where", "count"),
        [
            ("name != __SERVER", 9),
            ("ENABLEDSTATE = 3", 2),
            ("EnabledState <> 2 AND Name <> __server", 4),
            ("ElementName LIKE 'zrh-test%'", 2),
            ("ElementName LIKE 'ZRH-TEST0_'", 2),
            ('elementname = "ZRH-DC01"', 1),
            ("NOT EnabledState = 2", 4),
            ("(EnabledState = 6 OR EnabledState = 9) and HealthState >= 5", 2),
            ("ProcessID IS NULL AND Name != __SERVER", 3),
            ("ElementName LIKE 'zrh-[ab]%'", 1),
        ],
    )
    def test_conditions(self, host: Host, where: str, count: int) -> None:
        assert len(host.query(f"select * from MSVM_computersystem where {where}")) == count

    def test_backslashes_in_literals(self, host: Host, server: HypervServer) -> None:
        vm = server.world.vm_named("zrh-dc01").id.upper()
        below = f"InstanceID LIKE 'Microsoft:{vm}\\\\%'"
        assert len(host.query(f"SELECT * FROM Msvm_ProcessorSettingData WHERE {below}")) == 1
        assert host.query(f"SELECT * FROM Msvm_VirtualSystemSettingData WHERE InstanceID = 'microsoft:{vm.lower()}'")

    @pytest.mark.parametrize(
        "text",
        [
            "SELECT",
            "SELECT * FROM",
            "DELETE FROM Msvm_ComputerSystem",
            "SELECT Nope FROM Msvm_ComputerSystem",
            "SELECT * FROM Msvm_ComputerSystem WHERE Nope = 1",
            "SELECT * FROM Nope",
            "SELECT * FROM Msvm_ComputerSystem WHERE Name = 'x' y",
        ],
    )
    def test_bad_queries(self, host: Host, text: str) -> None:
        with pytest.raises(LookupError) as caught:
            host.query(text)
        assert caught.value.args == (0x8033801A,)

    @given(st.text(max_size=40))
    def test_no_text_breaks_the_parser(self, text: str) -> None:
        for query in (text, f"SELECT * FROM a WHERE {text}", f"ASSOCIATORS OF {{{text}}}"):
            try:
                wql.parse(query)
            except wql.QueryError:
                continue

    def test_associations(self, host: Host, server: HypervServer) -> None:
        vm = server.world.vm_named("zrh-web01").id.upper()
        path = f"Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='{vm}'"
        assert (
            len(
                host.query(
                    f"ASSOCIATORS OF {{{path}}} WHERE AssocClass = Msvm_SettingsDefineState "
                    "ResultClass = Msvm_VirtualSystemSettingData"
                )
            )
            == 1
        )
        assert len(host.query(f"associators of {{{path}}} where AssocClass=Msvm_SnapshotOfVirtualSystem")) == 2
        settings = f'Msvm_VirtualSystemSettingData.InstanceID="Microsoft:{vm}"'
        found = host.query(f"ASSOCIATORS OF {{{settings}}} WHERE AssocClass = Msvm_VirtualSystemSettingDataComponent")
        assert len(found) >= 6
        assert host.query(f"REFERENCES OF {{{path}}}")

    def test_objects_with_references(self, host: Host) -> None:
        item = host.query("SELECT * FROM Msvm_VirtualSystemManagementService", mode="EnumerateObjectAndEPR")[0]
        assert item.tag == f"{{{W}}}Item"
        names = {selector.get("Name") for selector in item.iter(f"{{{W}}}Selector")}
        assert {"CreationClassName", "Name", "SystemCreationClassName", "SystemName"} <= names
        only = host.query("SELECT * FROM Msvm_ComputerSystem", mode="EnumerateEPR")
        assert {each.tag for each in only} == {f"{{{A}}}EndpointReference"}

    def test_paths(self) -> None:
        ref = Ref(schema.V2, "Msvm_X", (("InstanceID", 'a\\b"c'), ("Name", "n")))
        parsed = parse_path(ref.path("host"))
        assert parsed is not None
        assert parsed.keys == ref.keys
        assert parse_path("nonsense") is None

    def test_unknown_properties_are_a_mistake_of_ours(self) -> None:
        with pytest.raises(AssertionError):
            make("Msvm_ComputerSystem", Nope=1)


class TestOtherFilters:
    """What winrm, Get-WSManInstance and openwsman can ask with beside WQL."""

    BINDING = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding"

    def ask(self, host: Host, dialect: str, inside: str, uri: str = f"{V2}/*", mode: str = "") -> ET.Element:
        body = (
            f'<n:Enumerate><w:OptimizeEnumeration/>{mode}<w:Filter Dialect="{dialect}">{inside}</w:Filter>'
            "</n:Enumerate>"
        )
        return host.ask(f"{N}/Enumerate", uri, body)

    def test_selectors(self, host: Host) -> None:
        dialect = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"
        uri = f"{V2}/Msvm_ComputerSystem"
        chosen = '<w:SelectorSet><w:Selector Name="elementname">ZRH-FW</w:Selector></w:SelectorSet>'
        found = self.ask(host, dialect, chosen, uri)
        assert found.findtext(f".//{{{uri}}}ElementName") == "zrh-fw"
        assert host.code(self.ask(host, dialect, "<w:SelectorSet/>", uri)) == 0x8033801A
        assert host.code(self.ask(host, dialect, chosen, f"{V2}/Msvm_Nothing")) == 0x8033801A

    def test_unknown_dialects_and_modes(self, host: Host) -> None:
        assert host.code(self.ask(host, "http://www.w3.org/TR/1999/REC-xpath-19991116", "x")) == 0x80338019
        mode = "<w:EnumerationMode>Nonsense</w:EnumerationMode>"
        assert host.code(self.ask(host, "", "SELECT * FROM Msvm_ComputerSystem", mode=mode)) == 0x80338086

    def test_associations_and_the_ends_of_them(self, host: Host, server: HypervServer) -> None:
        vm = server.world.vm_named("zrh-dc01")
        thing = (
            f'<b:Object xmlns:a="{A}"><a:Address/><a:ReferenceParameters><w:ResourceURI>{V2}/Msvm_ComputerSystem'
            '</w:ResourceURI><w:SelectorSet><w:Selector Name="CreationClassName">Msvm_ComputerSystem</w:Selector>'
            f'<w:Selector Name="Name">{vm.id}</w:Selector></w:SelectorSet></a:ReferenceParameters></b:Object>'
        )

        def links(kind: str, more: str) -> ET.Element:
            return self.ask(
                host,
                f"{self.BINDING}/associationFilter",
                f'<b:{kind} xmlns:b="{self.BINDING}.xsd">{thing}{more}</b:{kind}>',
            )

        state = "<b:ResultClassName>Msvm_SettingsDefineState</b:ResultClassName>"
        found = links("AssociationInstances", state)
        assert found.find(f".//{{{V2}/Msvm_SettingsDefineState}}Msvm_SettingsDefineState") is not None
        own = links("AssociationInstances", state + "<b:Role>ManagedElement</b:Role>")
        assert own.find(f".//{{{V2}/Msvm_SettingsDefineState}}Msvm_SettingsDefineState") is not None
        other = links("AssociationInstances", state + "<b:Role>SettingData</b:Role>")
        assert other.find(f".//{{{V2}/Msvm_SettingsDefineState}}Msvm_SettingsDefineState") is None
        nothing = links("AssociationInstances", "<b:ResultClassName>Msvm_Nothing</b:ResultClassName>")
        assert host.code(nothing) == 0x8033801A
        assert host.code(links("Something", "")) == 0x8033801A
        path = f"{{Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='{vm.id}'}}"
        for where, count in (
            ("ResultClass = Msvm_SettingsDefineState", 1),
            ("ResultClass = Msvm_SettingsDefineState Role = SettingData", 0),
        ):
            assert len(host.query(f"REFERENCES OF {path} WHERE {where}")) == count
        for where, count in (("ResultRole = SettingData", 1), ("ResultRole = ManagedElement", 0)):
            of = f"ASSOCIATORS OF {path} WHERE AssocClass = Msvm_SettingsDefineState {where}"
            assert len(host.query(of)) == count

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ('<w:Locale s:mustUnderstand="true" xml:lang="de-DE"/>', 0x80338087),
            ('<x:New xmlns:x="urn:x" s:mustUnderstand="1"/>', 0x80338010),
            ('<w:Locale s:mustUnderstand="false" xml:lang="de-DE"/>', 0),
            ('<x:New xmlns:x="urn:x"/>', 0),
        ],
    )
    def test_headers_that_must_be_understood(self, host: Host, header: str, code: int) -> None:
        key = {"CreationClassName": "Msvm_ComputerSystem", "Name": "HV-ZRH-1"}
        answer = host.ask(f"{X}/Get", f"{V2}/Msvm_ComputerSystem", "", key, header)
        assert (host.code(answer) if code else 0) == code


class TestLists:
    def test_pull_is_found_by_its_context_alone(self, host: Host) -> None:
        """libvirt pulls with another class than it asked for, virt-who with another namespace."""
        body = host.ask(f"{N}/Enumerate", f"{V2}/Msvm_ComputerSystem", "<n:Enumerate/>")
        context = body.findtext(f".//{{{N}}}EnumerationContext")
        pull = f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext></n:Pull>"
        first = host.ask(f"{N}/Pull", f"{V2.removesuffix('/v2')}/*", pull)
        assert len(first.find(f".//{{{N}}}Items") or ()) == 1
        first = host.ask(f"{N}/Pull", f"{V2}/*", pull)
        assert len(first.find(f".//{{{N}}}Items") or ()) == 1
        first = host.ask(f"{N}/Pull", f"{V2}/Msvm_ComputerSystem", pull)
        assert len(first.find(f".//{{{N}}}Items") or ()) == 1

    def test_release_and_unknown_contexts(self, host: Host) -> None:
        body = host.ask(f"{N}/Enumerate", f"{V2}/Msvm_ComputerSystem", "<n:Enumerate/>")
        context = body.findtext(f".//{{{N}}}EnumerationContext")
        release = f"<n:Release><n:EnumerationContext>{context}</n:EnumerationContext></n:Release>"
        assert host.service.open_enumerations == 1
        host.ask(f"{N}/Release", f"{V2}/Msvm_ComputerSystem", release)
        assert host.service.open_enumerations == 0
        assert host.code(host.ask(f"{N}/Release", f"{V2}/Msvm_ComputerSystem", release)) == 0x8033801B

    def test_contexts_die_when_idle(self, host: Host) -> None:
        host.service.limits.enumeration_s = 0
        body = host.ask(f"{N}/Enumerate", f"{V2}/Msvm_ComputerSystem", "<n:Enumerate/>")
        context = body.findtext(f".//{{{N}}}EnumerationContext")
        pull = f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext></n:Pull>"
        assert host.code(host.ask(f"{N}/Pull", f"{V2}/Msvm_ComputerSystem", pull)) == 0x8033801B

    def test_too_large_for_an_envelope(self, host: Host) -> None:
        selectors = {"CreationClassName": "Msvm_VirtualSystemManagementService"}
        uri = f"{V2}/Msvm_VirtualSystemManagementService"
        body = host.ask(
            f"{uri}/GetSummaryInformation",
            uri,
            selectors=selectors,
            header="<w:MaxEnvelopeSize>4000</w:MaxEnvelopeSize>",
        )
        assert host.code(body) == 0x80338048

    def test_wrong_namespaces_and_uris(self, host: Host) -> None:
        assert host.code(host.ask(f"{N}/Enumerate", f"{WMI}/root/nope/Msvm_X", "<n:Enumerate/>")) == 0x8033801A
        assert host.code(host.ask(f"{N}/Enumerate", f"{V2}/*", "<n:Enumerate/>")) == 0x8033803B
        assert host.code(host.ask("urn:nonsense", f"{V2}/Msvm_ComputerSystem")) == 0x80338013


class TestMethods:
    URI = f"{V2}/Msvm_ComputerSystem"

    def change(self, host: Host, name: str, state: str, element: str = "RequestedState") -> ET.Element:
        vm = host.server.world.vm_named(name).id.upper()
        body = (
            f'<p:RequestStateChange_INPUT xmlns:p="{self.URI}"><p:{element}>{state}</p:{element}>'
            "</p:RequestStateChange_INPUT>"
        )
        return host.ask(
            f"{self.URI}/RequestStateChange", self.URI, body, {"CreationClassName": "Msvm_ComputerSystem", "Name": vm}
        )

    def value(self, body: ET.Element) -> str | None:
        return body.findtext(f".//{{{self.URI}}}ReturnValue")

    def test_refusals_are_return_values(self, host: Host) -> None:
        assert self.value(self.change(host, "zrh-dc01", "2")) == "32775"
        assert self.value(self.change(host, "zrh-dc01", "99")) == "32773"
        host.server.world.faults.add(FaultRule(method="Msvm_ComputerSystem.*", object="zrh-dc01", code="32774"))
        assert self.value(self.change(host, "zrh-dc01", "3")) == "32774"
        assert self.value(self.change(host, "zrh-test01", "2")) == "4096"

    def test_element_names_are_case_sensitive(self, host: Host) -> None:
        assert host.code(self.change(host, "zrh-dc01", "3", "requestedstate")) == 0x80338055

    def test_unknown_methods_and_instances(self, host: Host) -> None:
        gone = {"CreationClassName": "Msvm_ComputerSystem", "Name": "00000000-0000-0000-0000-000000000000"}
        body = f'<p:RequestStateChange_INPUT xmlns:p="{self.URI}"/>'
        assert host.code(host.ask(f"{self.URI}/RequestStateChange", self.URI, body, gone)) == 0x80338000
        assert host.code(host.ask(f"{X}/Get", self.URI, "", gone)) == 0x80338000
        assert host.code(host.ask(f"{X}/Get", self.URI, "", {"Nope": "x"})) == 0x8033805B
        vm = {"CreationClassName": "Msvm_ComputerSystem", "Name": host.server.world.vm_named("zrh-dc01").id.upper()}
        assert host.code(host.ask(f"{self.URI}/Explode", self.URI, "", vm)) == 0x80041055

    def test_jobs_run_fail_are_cancelled_and_vanish(self, host: Host) -> None:
        host.server.world.timing.start = 30
        self.change(host, "zrh-test01", "2")
        job = host.server.jobs.all()[0]
        uri = f"{V2}/Msvm_ConcreteJob"
        shown = host.ask(f"{X}/Get", uri, "", {"InstanceID": job.id})
        assert shown.findtext(f".//{{{uri}}}JobState") == "4"
        assert shown.findtext(f".//{{{uri}}}Cancellable") == "true"
        cancel = (
            f'<p:RequestStateChange_INPUT xmlns:p="{uri}"><p:RequestedState>4</p:RequestedState>'
            "</p:RequestStateChange_INPUT>"
        )
        host.ask(f"{uri}/RequestStateChange", uri, cancel, {"InstanceID": job.id})
        assert job.task.wait(5)
        shown = host.ask(f"{X}/Get", uri, "", {"InstanceID": job.id})
        assert shown.findtext(f".//{{{uri}}}JobState") == "8"
        errors = host.ask(f"{uri}/GetErrorEx", uri, "", {"InstanceID": job.id})
        assert "Msvm_Error" in (errors.findtext(f".//{{{uri}}}Errors") or "")
        host.server.jobs.kept_s = -1
        assert host.code(host.ask(f"{X}/Get", uri, "", {"InstanceID": job.id})) == 0x80338000


class TestFaults:
    def test_dropped_and_garbage(self, host: Host, server: HypervServer) -> None:
        server.world.faults.add(FaultRule(method="Identify", effect=Effect.GARBAGE, body=b"junk", max_count=1))
        identify = (
            f'<s:Envelope xmlns:s="{S}"><s:Header/><s:Body><i:Identify xmlns:i="http://schemas.dmtf.org/wbem/'
            'wsman/identity/1/wsmanidentity.xsd"/></s:Body></s:Envelope>'
        ).encode()
        assert server.service.handle(identify, auth="", user="").body == b"junk"
        server.world.faults.add(FaultRule(method="Identify", effect=Effect.DROP_AFTER))
        with pytest.raises(Dropped):
            server.service.handle(identify, auth="", user="")

    @pytest.mark.parametrize("raw", [b"", b"<x/>", b"\xff", b"<s:Envelope xmlns:s='x'/>"])
    def test_what_is_no_soap(self, server: HypervServer, raw: bytes) -> None:
        assert server.service.handle(raw, auth="", user="").status == 500


class TestHttp:
    @pytest.mark.parametrize(
        ("chunks", "status"),
        [
            ([b"5;x=y\r\n<s:En\r\n", b"3\r\nvel\r\n", b"0\r\nField: 1\r\n\r\n"], b"401"),
            ([b"0\r\n\r\n"], b"401"),
            ([b"zz\r\n"], b"413"),
            ([b"-5\r\n"], b"413"),
            ([b"ffffffffff\r\n"], b"413"),
        ],
    )
    def test_bodies_in_chunks(self, server: HypervServer, chunks: list[bytes], status: bytes) -> None:
        with socket.create_connection(("127.0.0.1", server.port("http")), timeout=5) as sock:
            sock.sendall(b"POST /wsman HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks))
            answer = sock.recv(1000)
        assert answer.split()[1] == status

    @pytest.mark.parametrize("namespace", ["identity", "identify"])
    def test_identify_in_the_namespace_of_the_standard_and_in_the_misspelt_one(
        self, server: HypervServer, namespace: str
    ) -> None:
        """openwsman, Test-WSMan and the standard say identity, [MS-WSMV] and clients made of it identify."""
        uri = f"http://schemas.dmtf.org/wbem/wsman/{namespace}/1/wsmanidentity.xsd"
        question = f'<s:Envelope xmlns:s="{S}"><s:Body><i:Identify xmlns:i="{uri}"/></s:Body></s:Envelope>'
        answer = ET.fromstring(server.service.handle(question.encode(), auth="", user="").body)
        assert answer.findtext(f".//{{{uri}}}IdentifyResponse/{{{uri}}}ProductVendor") == "Microsoft Corporation"

    def test_identify_without_a_login(self, server: HypervServer) -> None:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port(), timeout=5, context=ssl._create_unverified_context()
        )
        body = (
            f'<s:Envelope xmlns:s="{S}"><s:Header/><s:Body><i:Identify xmlns:i="http://schemas.dmtf.org/wbem/wsman/'
            'identity/1/wsmanidentity.xsd"/></s:Body></s:Envelope>'
        )
        connection.request("POST", "/wsman", body, {"WSMANIDENTIFY": "unauthenticated"})
        response = connection.getresponse()
        assert response.status == 200
        assert b"Microsoft Corporation" in response.read()
        connection.request("POST", "/elsewhere", b"")
        assert connection.getresponse().status == 404
        connection.close()

    def test_idle_connections_are_cut(self, server: HypervServer) -> None:
        server.idle_s = 0.2
        with socket.create_connection(("127.0.0.1", server.port("http")), timeout=5) as sock:
            assert sock.recv(1) == b""

    def test_stop_leaves_no_thread(self, lab_identity: Identity) -> None:
        before = set(threading.enumerate())
        lab = Lab(kinds=("hyperv",), identity=lab_identity).start()
        server = lab.site_servers[0]
        assert isinstance(server, HypervServer)
        sockets = [socket.create_connection(("127.0.0.1", server.port("http"))) for _ in range(5)]
        lab.stop()
        for sock in sockets:
            sock.close()
        assert set(threading.enumerate()) <= before
