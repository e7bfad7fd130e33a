"""The four text grammars: whatever a name holds, it stays text; what a grammar cannot carry is refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole.backends import wmi_instance, wmi_path, wmi_query, wmi_xml
from hvconsole.backends.wmi_instance import Instance
from hvconsole.errors import BadReply, InvalidInput
from hvconsole.text import unsendable

GUID = "A648A7DD-0683-4EB9-A5B6-E6E307D4BEDC"
SENDABLE = st.text(max_size=60).filter(lambda text: unsendable(text) is None)
HOSTILE = [
    "</p:Name><evil/>",
    "a & b",
    "]]>",
    "\"'<>",
    "$(whoami)",
    "' OR Name LIKE '%",
    "\\",
    "\u202e",
    "日本",
    "\r\n",
]


class TestXml:
    @given(SENDABLE)
    def test_text_comes_back_as_it_was(self, value: str) -> None:
        parsed = ET.fromstring(f'<a b="{wmi_xml.attribute(value)}">{wmi_xml.text(value)}</a>')
        assert (parsed.text or "") == value
        assert parsed.get("b") == value

    @pytest.mark.parametrize("value", ["\0", "\x1b[2J", "\ud800", "\ufffe", "bell\x07"])
    def test_what_xml_cannot_carry_is_refused(self, value: str) -> None:
        for escape in (wmi_xml.text, wmi_xml.attribute):
            with pytest.raises(InvalidInput):
                escape(value)

    def test_a_document_type_never_reaches_the_parser(self) -> None:
        with pytest.raises(BadReply):
            wmi_xml.parse(b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', 10)

    def test_control_characters_of_a_guest_become_replacements(self) -> None:
        assert wmi_xml.parse(b"<a>x&#x1F;y&#11;\x02z</a>", 10).text == "x\ufffdy\ufffd\ufffdz"

    def test_a_control_character_does_not_hide_what_follows_it(self) -> None:
        with pytest.raises(BadReply, match="deeply"):
            wmi_xml.parse(b"<x>\x01" + b"<a>" * 5000 + b"</a>" * 5000 + b"</x>", 100_000)

    def test_too_many_elements(self) -> None:
        with pytest.raises(BadReply):
            wmi_xml.parse(b"<a>" + b"<b/>" * 50 + b"</a>", 10)


class TestQuery:
    def test_a_guid_becomes_a_literal(self) -> None:
        assert wmi_query.guid(GUID) == f"'{GUID}'"

    @pytest.mark.parametrize("value", ["", "x", f"{GUID}'", f"{GUID} OR 1=1", f"{{{GUID}}}", GUID + "\n", *HOSTILE])
    def test_anything_else_is_refused(self, value: str) -> None:
        for literal in (wmi_query.guid, wmi_query.instance_id):
            with pytest.raises(InvalidInput):
                literal(value)

    def test_instance_ids_have_their_backslashes_doubled(self) -> None:
        assert wmi_query.instance_id(f"Microsoft:{GUID}\\0\\L") == f"'Microsoft:{GUID}\\\\0\\\\L'"
        with pytest.raises(InvalidInput):
            wmi_query.instance_id(f"Microsoft:{GUID}\\0' OR '1'='1")

    def test_names_of_columns_and_classes_are_checked(self) -> None:
        with pytest.raises(InvalidInput):
            wmi_query.select("Msvm_ComputerSystem; --")
        with pytest.raises(InvalidInput):
            wmi_query.select("Msvm_ComputerSystem", ("Name, *",))

    def test_associators(self) -> None:
        path = wmi_path.relative("Msvm_ConcreteJob", {"InstanceID": GUID})
        query = wmi_query.associators(path, assoc_class="Msvm_AffectedJobElement")
        assert query == (
            f'ASSOCIATORS OF {{Msvm_ConcreteJob.InstanceID="{GUID}"}} WHERE AssocClass = Msvm_AffectedJobElement'
        )


class TestPath:
    @given(SENDABLE)
    def test_round_trip(self, value: str) -> None:
        path = wmi_path.absolute("HV-1", "root/virtualization/v2", "Msvm_X", {"InstanceID": value, "Name": "n"})
        parsed = wmi_path.parse(path)
        assert parsed is not None
        assert parsed.class_name == "Msvm_X"
        assert parsed.keys == {"instanceid": value, "name": "n"}
        assert parsed.namespace == "root/virtualization/v2"

    def test_a_path_as_windows_writes_it(self) -> None:
        parsed = wmi_path.parse(
            '\\\\HV\\root\\virtualization\\v2:Msvm_VirtualSystemSettingData.InstanceID="Microsoft:AB\\\\0"'
        )
        assert parsed is not None
        assert parsed.keys["instanceid"] == "Microsoft:AB\\0"

    @pytest.mark.parametrize("junk", ["", "x.y", "\\\\", 'a.b="c', "a.=1", "a..b=1", 'A.x="1"y="2"'])
    def test_junk_is_no_path(self, junk: str) -> None:
        parsed = wmi_path.parse(junk)
        assert parsed is None or not parsed.keys

    def test_host_names_are_checked(self) -> None:
        with pytest.raises(InvalidInput):
            wmi_path.absolute("h\\evil:x", "root/x", "C", {"K": "v"})


class TestInstance:
    @given(SENDABLE, SENDABLE)
    def test_names_and_notes_come_back(self, name: str, notes: str) -> None:
        text = Instance("Msvm_VirtualSystemSettingData", {"ElementName": name, "Notes": [notes, "x"]}).cim_xml()
        cls, values = wmi_instance.read(text)
        assert cls == "Msvm_VirtualSystemSettingData"
        assert values["elementname"] == [name]
        assert values["notes"] == [notes, "x"]

    def test_types_are_written(self) -> None:
        text = Instance("Msvm_MemorySettingData", {"VirtualQuantity": 1024, "DynamicMemoryEnabled": False}).cim_xml()
        assert '<PROPERTY NAME="VirtualQuantity" TYPE="uint64"><VALUE>1024</VALUE></PROPERTY>' in text
        assert '<PROPERTY NAME="DynamicMemoryEnabled" TYPE="boolean"><VALUE>false</VALUE></PROPERTY>' in text

    @pytest.mark.parametrize("text", ["", "<x/>", "<INSTANCE", "<!DOCTYPE x><INSTANCE/>", "<INSTANCE>" + "<A>" * 300])
    def test_hostile_instances_are_refused(self, text: str) -> None:
        with pytest.raises(BadReply):
            wmi_instance.read(text)

    def test_an_item_of_a_guest(self) -> None:
        _cls, values = wmi_instance.read(
            '<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Name" TYPE="string"><VALUE>OSName</VALUE>'
            '</PROPERTY><PROPERTY NAME="Data" TYPE="string"><VALUE>a &lt; b</VALUE></PROPERTY>'
            '<PROPERTY NAME="Caption" TYPE="string"></PROPERTY></INSTANCE>'
        )
        assert values == {"name": ["OSName"], "data": ["a < b"], "caption": []}
