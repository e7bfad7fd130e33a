"""Answers in every form that Windows has been seen to use, and in forms that nobody should accept."""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET

import pytest

from hvconsole import errors
from hvconsole.backends import wsman_envelope, wsman_faults, wsman_reply
from hvconsole.backends.wsman_envelope import ADDRESSING, ENUMERATION, SOAP, V2, WSMAN, Epr
from hvconsole.backends.wsman_faults import Fault
from hvconsole.backends.wsman_reply import Record
from hvconsole.errors import BadReply

XSI = "http://www.w3.org/2001/XMLSchema-instance"
ID = "uuid:11111111-2222-3333-4444-555555555555"


def test_identify_asks_in_the_namespace_that_windows_answers_in() -> None:
    """As ``Test-WSMan`` shows it; [MS-WSMV] has a misspelt one that Windows does not know."""
    assert b'"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"' in wsman_envelope.identify()


@pytest.mark.parametrize(
    ("inside", "read"),
    [
        ("<I>AP+AfwE=</I>", b"\x00\xff\x80\x7f\x01"),
        ("<I>0</I><I>255</I><I>128</I>", b"\x00\xff\x80"),
        ("<I>%%%</I>", b""),
        ("", b""),
    ],
)
def test_bytes_come_as_base64_or_as_numbers(inside: str, read: bytes) -> None:
    assert wsman_reply.Record(ET.fromstring(f"<x>{inside}</x>")).octets("I") == read


def envelope(body: str, relates_to: str = ID) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:n="{ENUMERATION}" xmlns:w="{WSMAN}" '
        f'xmlns:xsi="{XSI}"><s:Header><a:RelatesTo>{relates_to}</a:RelatesTo></s:Header>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def body(content: str) -> ET.Element:
    return wsman_reply.read_body(envelope(content), ID, 1000)


class TestEnvelope:
    def test_relates_to_is_checked_whatever_its_case(self) -> None:
        assert wsman_reply.read_body(envelope("", ID.upper().replace("UUID", "uuid")), ID, 100) is not None
        with pytest.raises(BadReply):
            wsman_reply.read_body(envelope("", "uuid:other"), ID, 100)
        with pytest.raises(BadReply):
            wsman_reply.read_body(envelope("", ""), ID, 100)

    @pytest.mark.parametrize("raw", [b"", b"<html/>", b"{}", b"\xff\xfe<", envelope("")[:-20]])
    def test_what_is_no_soap(self, raw: bytes) -> None:
        with pytest.raises(BadReply):
            wsman_reply.read_body(raw, ID, 100)

    def test_requests_are_well_formed_and_carry_what_is_needed(self) -> None:
        epr = Epr(wsman_envelope.wmi_uri(V2, "Msvm_ComputerSystem"), (("Name", 'a<b>&"c'),))
        message_id, raw = wsman_envelope.write(
            wsman_envelope.invoke_request(
                epr, "RequestStateChange", {"RequestedState": 2, "Ref": epr, "Flag": True, "Many": ["x", "y"]}
            ),
            "https://h:5986/wsman",
        )
        root = ET.fromstring(raw)
        header = root.find(f"{{{SOAP}}}Header")
        assert header is not None
        assert header.findtext(f"{{{ADDRESSING}}}MessageID") == message_id
        assert header.findtext(f"{{{ADDRESSING}}}Action") == f"{epr.uri}/RequestStateChange"
        assert header.findtext(f"{{{WSMAN}}}SelectorSet/{{{WSMAN}}}Selector") == 'a<b>&"c'
        given = root[1][0]
        assert given.tag == f"{{{epr.uri}}}RequestStateChange_INPUT"
        assert [child.text for child in given if child.tag.endswith("Many")] == ["x", "y"]
        assert given.findtext(f"{{{epr.uri}}}Flag") == "true"


class TestPages:
    def test_first_page_has_one_item_in_wsmans_own_items(self) -> None:
        page = wsman_reply.read_page(
            body(
                "<n:EnumerateResponse><n:EnumerationContext>uuid:1</n:EnumerationContext><w:Items>"
                '<p:X xmlns:p="urn:x"><p:Name>a</p:Name></p:X></w:Items></n:EnumerateResponse>'
            )
        )
        assert [record.text("name") for record in page.records] == ["a"]
        assert page.context == "uuid:1"

    def test_last_page_may_keep_a_context(self) -> None:
        page = wsman_reply.read_page(
            body(
                "<n:PullResponse><n:EnumerationContext>uuid:1</n:EnumerationContext><n:Items/><n:EndOfSequence/>"
                "</n:PullResponse>"
            )
        )
        assert page.context == ""

    def test_rows_of_columns(self) -> None:
        page = wsman_reply.read_page(
            body(
                "<n:PullResponse><n:Items><w:XmlFragment><Name>n</Name><When><Datetime>2013-03-09T02:57:32Z</Datetime>"
                '</When><Gone xsi:nil="true"/><IP>1</IP><IP>2</IP></w:XmlFragment></n:Items><n:EndOfSequence/>'
                "</n:PullResponse>"
            )
        )
        row = page.records[0]
        assert row.class_name == ""
        assert row.text("Name") == "n"
        assert row.time("when") == dt.datetime(2013, 3, 9, 2, 57, 32, tzinfo=dt.UTC)
        assert row.text("Gone") == ""
        assert row.texts("IP") == ["1", "2"]
        assert row.texts("Absent") == []

    def test_objects_with_their_references(self) -> None:
        page = wsman_reply.read_page(
            body(
                f'<n:PullResponse><n:Items><w:Item><p:X xmlns:p="urn:x"><p:A>1</p:A></p:X><a:EndpointReference>'
                f"<a:Address>{ADDRESSING}/role/anonymous</a:Address><a:ReferenceParameters><w:ResourceURI>urn:x/X"
                '</w:ResourceURI><w:SelectorSet><w:Selector Name="__cimnamespace">root/x</w:Selector>'
                '<w:Selector Name="K">v</w:Selector></w:SelectorSet></a:ReferenceParameters></a:EndpointReference>'
                "</w:Item></n:Items></n:PullResponse>"
            )
        )
        assert page.records[0].epr == Epr("urn:x/X", (("K", "v"),))
        assert page.records[0].number("a") == 1

    def test_what_is_no_list(self) -> None:
        with pytest.raises(BadReply):
            wsman_reply.read_page(body("<n:Nonsense/>"))


class TestOutputs:
    def test_return_value_and_job(self) -> None:
        value, output = wsman_reply.read_output(
            body(
                '<p:Do_OUTPUT xmlns:p="urn:s"><p:Job><a:ReferenceParameters><w:ResourceURI>urn:s/Msvm_StorageJob'
                '</w:ResourceURI><w:SelectorSet><w:Selector Name="InstanceID">J</w:Selector></w:SelectorSet>'
                "</a:ReferenceParameters></p:Job><p:ReturnValue>4096</p:ReturnValue></p:Do_OUTPUT>"
            ),
            "Do",
        )
        assert value == 4096
        assert output.reference("Job") == Epr("urn:s/Msvm_StorageJob", (("InstanceID", "J"),))

    @pytest.mark.parametrize(
        "content",
        ["", "<p:Do_OUTPUT xmlns:p='u'/>", "<Other_OUTPUT/>", "<Do_OUTPUT><ReturnValue>x</ReturnValue></Do_OUTPUT>"],
    )
    def test_outputs_without_sense(self, content: str) -> None:
        with pytest.raises(BadReply):
            wsman_reply.read_output(body(content), "Do")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T10:00:00.5+01:00", dt.datetime(2026, 11, 22, 9, 0, 0, 500_000, tzinfo=dt.UTC)),
        ("20261122100000.000000+060", dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC)),
        ("1601-01-01T00:00:00Z", None),
        ("P0DT1H0M0S", None),
        ("", None),
        ("99999999999999.000000+000", None),
        ("0001-01-01T00:00:00+23:00", None),
    ],
)
def test_times(text: str, expected: dt.datetime | None) -> None:
    assert wsman_reply.read_time(text) == expected


def test_record_numbers_are_liberal() -> None:
    record = Record(ET.fromstring("<x><A>7</A><A>seven</A><B>TRUE</B><C>false</C><D/></x>"))
    assert record.numbers("a") == [7]
    assert (record.flag("b"), record.flag("c"), record.flag("d")) == (True, False, None)
    assert record.number("d") is None


WSMAN_FAULT = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:AccessDenied</s:Value></s:Subcode></s:Code>"
    '<s:Reason><s:Text xml:lang="en-US">Outer words.</s:Text></s:Reason><s:Detail>'
    '<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="{code}" Machine="h"><f:Message>'
    '<f:ProviderFault provider="WMI"><f:WSManFault Code="{code}"><f:Message>Inner   words. </f:Message></f:WSManFault>'
    "</f:ProviderFault></f:Message></f:WSManFault></s:Detail></s:Fault>"
)
WMI_FAULT = (
    "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode></s:Code>"
    "<s:Reason><s:Text>Outer</s:Text></s:Reason><s:Detail>"
    '<p:MSFT_WmiError xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wmi/root/interop/MSFT_WmiError">'
    "<p:CIMStatusCode>27</p:CIMStatusCode><p:error_Code>{code}</p:error_Code><p:Message>Wörter</p:Message>"
    "<p:MessageID>HRESULT 0x{code:08x}</p:MessageID></p:MSFT_WmiError></s:Detail></s:Fault>"
)


class TestFaults:
    def test_both_forms(self) -> None:
        fault = wsman_faults.read(body(WSMAN_FAULT.format(code=0x8033801A)))
        assert fault == Fault(0x8033801A, "AccessDenied", "Inner words.")
        fault = wsman_faults.read(body(WMI_FAULT.format(code=0x80041010)))
        assert fault == Fault(0x80041010, "InternalError", "Wörter")
        assert fault is not None
        assert fault.missing

    def test_an_answer_is_no_fault(self) -> None:
        assert wsman_faults.read(body("<x/>")) is None

    def test_codes_that_are_no_numbers(self) -> None:
        fault = wsman_faults.read(body(WSMAN_FAULT.format(code="twelve")))
        assert fault is not None
        assert fault.code == 0

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (5, errors.PermissionDenied),
            (0x80070005, errors.PermissionDenied),
            (0x80338000, errors.NotFound),
            (0x803381A6, errors.Busy),
            (0x80338029, errors.OutcomeUnknown),
            (0x8033801A, wsman_faults.FaultError),
            (12345, errors.Refused),
        ],
    )
    def test_translated_by_code(self, code: int, kind: type[errors.HvError]) -> None:
        error = wsman_faults.translate(Fault(code, "", "hostile words"), "doing")
        assert isinstance(error, kind)
        assert error.detail == "hostile words"

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (32769, errors.PermissionDenied),
            (32770, errors.NotSupported),
            (32773, errors.InvalidInput),
            (32774, errors.Busy),
            (32775, errors.BadPowerState),
            (32778, errors.NoSpace),
            (77, errors.Refused),
        ],
    )
    def test_return_values(self, value: int, kind: type[errors.OperationError]) -> None:
        with pytest.raises(kind) as caught:
            wsman_faults.check_return(value)
        assert caught.value.code == str(value)
        wsman_faults.check_return(0)
        wsman_faults.check_return(4096)


@pytest.mark.parametrize("text", ["", "²", "1.5", "x", "9" * 400, "9" * 5000, str(1 << 64)])
def test_what_is_no_number_of_wmi_is_none(text: str) -> None:
    assert wsman_reply.integer(text) is None


def test_the_numbers_of_wmi_are_read() -> None:
    assert [wsman_reply.integer(text) for text in ("0", "-1", str((1 << 64) - 1))] == [0, -1, (1 << 64) - 1]
