"""SOAP as WinRM speaks it: requests taken apart, responses and faults written. Pure; any thread."""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from hvconsole.lab.hyperv.parameters import split_uri

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
BINDING = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
IDENTITIES = (
    "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd",
    "http://schemas.dmtf.org/wbem/wsman/identify/1/wsmanidentity.xsd",
)
"""Namespaces of Identify: that of the standard and of Windows, and how [MS-WSMV] and clients made of it spell it."""
WMI_ERROR = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/interop/MSFT_WmiError"
ANONYMOUS = f"{ADDRESSING}/role/anonymous"

_DURATION = re.compile(r"PT?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")


class Malformed(Exception):
    """The request is not SOAP, or has no usable header."""


@dataclass(slots=True)
class Request:
    """A WS-Management request."""

    action: str
    uri: str = ""
    message_id: str = ""
    selectors: tuple[tuple[str, str], ...] = ()
    max_envelope: int = 500 * 1024
    timeout_s: float = 60.0
    strange: Fault | None = None
    """Why a header can't be understood that must be."""
    fragment: str = ""
    """The one property that Get is to answer with (WS-Management's fragment transfer)."""
    body: ET.Element = field(default_factory=lambda: ET.Element("none"))

    @property
    def namespace(self) -> str:
        """WMI namespace of the resource URI."""
        return split_uri(self.uri)[0]

    @property
    def class_name(self) -> str:
        """WMI class of the resource URI."""
        return split_uri(self.uri)[1]

    @property
    def identify(self) -> str:
        """The namespace in which this is Identify; empty where it is something else."""
        return next((one for one in IDENTITIES if self.body.find(f"{{{one}}}Identify") is not None), "")


def parse(raw: bytes) -> Request:
    """A request. Raises ``Malformed``."""
    try:
        root = ET.fromstring(raw)
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise Malformed(str(exc)) from exc
    body = root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None:
        raise Malformed("no SOAP 1.2 envelope")
    header = root.find(f"{{{SOAP}}}Header")
    request = Request("", body=body)
    if header is None:
        return request
    request.action = (header.findtext(f"{{{ADDRESSING}}}Action") or "").strip()
    request.uri = (header.findtext(f"{{{WSMAN}}}ResourceURI") or "").strip()
    request.message_id = (header.findtext(f"{{{ADDRESSING}}}MessageID") or "").strip()
    request.selectors = tuple(
        (item.get("Name", ""), item.text or "")
        for item in header.iterfind(f"{{{WSMAN}}}SelectorSet/{{{WSMAN}}}Selector")
        if item.get("Name", "").lower() != "__cimnamespace"
    )
    size = (header.findtext(f"{{{WSMAN}}}MaxEnvelopeSize") or "").strip()
    if size.isdigit():
        request.max_envelope = int(size)
    request.strange = _strange(header)
    request.fragment = (header.findtext(f"{{{WSMAN}}}FragmentTransfer") or "").strip()
    duration = _DURATION.fullmatch((header.findtext(f"{{{WSMAN}}}OperationTimeout") or "").strip())
    if duration and any(duration.groups()):
        request.timeout_s = int(duration[1] or 0) * 60 + float(duration[2] or 0)
    return request


_UNDERSTOOD = {
    ADDRESSING: frozenset({"To", "From", "ReplyTo", "FaultTo", "Action", "MessageID", "RelatesTo"}),
    WSMAN: frozenset(
        {
            "ResourceURI",
            "SelectorSet",
            "MaxEnvelopeSize",
            "OperationTimeout",
            "OptionSet",
            "Locale",
            "FragmentTransfer",
            "RequestTotalItemsCountEstimate",
            "RequestEPR",
        }
    ),
    BINDING: frozenset({"ShowExtensions"}),
    MICROSOFT: frozenset({"DataLocale", "SessionId", "OperationID", "SequenceId", "ActivityId", "CompressionType"}),
}


def _strange(header: ET.Element) -> Fault | None:
    """The fault for a header that must be understood and is not; None if every one is."""
    for one in header:
        namespace, _, name = one.tag.removeprefix("{").partition("}")
        if one.get(f"{{{SOAP}}}mustUnderstand") not in ("true", "1"):
            continue
        if name in ("Locale", "DataLocale"):
            return LOCALE_IS_A_HINT
        if name not in _UNDERSTOOD.get(namespace, ()):
            return NOT_UNDERSTOOD
    return None


def respond(action: str, relates_to: str, body: str) -> bytes:
    """A response envelope."""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:n="{ENUMERATION}" '
        f'xmlns:x="{TRANSFER}" xmlns:w="{WSMAN}" xmlns:p="{MICROSOFT}"><s:Header>'
        f"<a:Action>{escape(action)}</a:Action><a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        f"<a:To>{ANONYMOUS}</a:To><a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode("utf-8", "surrogatepass")


def identify(namespace: str, vendor: str, version: str) -> bytes:
    """The answer to Identify, in the namespace that was asked in."""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{SOAP}"><s:Header/><s:Body>'
        f'<wsmid:IdentifyResponse xmlns:wsmid="{namespace}">'
        f"<wsmid:ProtocolVersion>{WSMAN}</wsmid:ProtocolVersion><wsmid:ProductVendor>{escape(vendor)}"
        f"</wsmid:ProductVendor><wsmid:ProductVersion>{escape(version)}</wsmid:ProductVersion>"
        f"</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to send: WSMan's code, the SOAP subcode (with prefix), the text."""

    code: int
    subcode: str
    text: str
    sender: bool = True

    def envelope(self, relates_to: str, machine: str, *, wmi_form: bool = False) -> bytes:
        """The fault as an envelope, in one of the two forms that Windows versions use."""
        side = "s:Sender" if self.sender else "s:Receiver"
        if wmi_form:
            detail = (
                f'<p:MSFT_WmiError xmlns:p="{WMI_ERROR}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
                f'xsi:type="p:MSFT_WmiError_Type"><p:CIMStatusCode xsi:nil="true"/>'
                f"<p:error_Code>{self.code}</p:error_Code><p:error_Type>HRESULT</p:error_Type>"
                f"<p:Message>{escape(self.text)}</p:Message>"
                f"<p:MessageID>HRESULT 0x{self.code:08x}</p:MessageID></p:MSFT_WmiError>"
            )
        else:
            detail = (
                f'<f:WSManFault xmlns:f="{FAULT}" Code="{self.code}" Machine={quoteattr(machine)}>'
                '<f:Message><f:ProviderFault provider="WMI Provider" '
                'path="%systemroot%\\system32\\WsmWmiPl.dll">'
                f'<f:WSManFault xmlns:f="{FAULT}" Code="{self.code}" Machine={quoteattr(machine)}>'
                f"<f:Message>{escape(self.text)} </f:Message></f:WSManFault></f:ProviderFault></f:Message>"
                f"</f:WSManFault>"
            )
        code = f"<s:Value>{side}</s:Value><s:Subcode><s:Value>{self.subcode}</s:Value></s:Subcode>"
        if not self.subcode:
            code = "<s:Value>s:MustUnderstand</s:Value>"
        body = (
            f'<s:Fault><s:Code>{code}</s:Code><s:Reason><s:Text xml:lang="en-US">{escape(self.text)} </s:Text>'
            f"</s:Reason><s:Detail>{detail}</s:Detail></s:Fault>"
        )
        action = f"{ADDRESSING}/fault" if self.subcode.startswith("a:") else f"{WSMAN[:-4]}/fault"
        return respond(action, relates_to, body)


class Refused(Exception):
    """A request ends with this fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


NOT_FOUND = Fault(
    0x80338000,
    "w:InvalidSelectors",
    "The WS-Management service cannot process the request because the selectors do not name an existing instance.",
)
BAD_CLASS = Fault(
    0x8033801A,
    "n:CannotProcessFilter",
    "The WS-Management service cannot process the request. The class or namespace of the filter is not valid.",
)
BAD_NAMESPACE = Fault(
    0x8033801A,
    "a:DestinationUnreachable",
    "The WS-Management service cannot process the request. The CIM namespace is invalid.",
)
BAD_URI = Fault(
    0x8033803B,
    "a:DestinationUnreachable",
    "The WS-Management service cannot process the request. The resource URI is missing or it has an incorrect format.",
)
BAD_QUERY = Fault(
    0x8033801A,
    "n:CannotProcessFilter",
    "The WS-Management service cannot process the request because the WQL query is invalid.",
)
QUERY_NEEDS_STAR = Fault(2150859003, "n:CannotProcessFilter", "The resource URI of a query must end with '*'.")
BAD_CONTEXT = Fault(
    0x8033801B,
    "n:InvalidEnumerationContext",
    "The WS-Enumeration context in the enumeration is not valid. Start a new enumeration.",
    sender=False,
)
TOO_FEW_SELECTORS = Fault(
    0x8033805A,
    "w:InvalidSelectors",
    "The WS-Management service cannot process the request because the request did not contain all required selectors.",
)
ODD_SELECTORS = Fault(
    0x8033805B,
    "w:InvalidSelectors",
    "The WS-Management service cannot process the request because "
    "the request contained invalid selectors for the resource.",
)
BAD_DIALECT = Fault(
    0x80338019,
    "n:FilterDialectRequestedUnavailable",
    "The filter dialect (the type associated with the filter) was not supported for this resource.",
)
BAD_MODE = Fault(
    0x80338086, "w:UnsupportedFeature", "The WS-Management service does not support the specified enumeration mode."
)
LOCALE_IS_A_HINT = Fault(
    0x80338087,
    "w:UnsupportedFeature",
    "The WS-Management service cannot guarantee that all data is returned in the requested locale.",
)
NOT_UNDERSTOOD = Fault(
    0x80338010,
    "",
    "The WS-Management service cannot process a SOAP header in the request that is "
    "marked as mustUnderstand by the client.",
)
ACCESS_DENIED = Fault(5, "w:AccessDenied", "Access is denied.")
NO_ACTION = Fault(0x80338013, "a:ActionNotSupported", "The action is not supported by the service.")
NO_METHOD = Fault(
    0x80041055,
    "w:InternalError",
    "The WS-Management service cannot process the request. The WMI service returned an 'invalid method' error.",
)
READ_ONLY = Fault(0x80041023, "w:InternalError", "The WMI provider does not allow this to be written.")
BAD_BODY = Fault(0x80338041, "w:SchemaValidationError", "The SOAP packet did not match the schema.")
BAD_FRAGMENT = Fault(
    0x80338059,
    "w:InvalidParameter",
    "The WS-Management service cannot process the request. The fragment path names no property.",
)
BAD_PARAMETER_NAME = Fault(
    0x80338055,
    "w:InvalidParameter",
    "The WS-Management service cannot process the request. A parameter name is invalid.",
)
BAD_PARAMETER = Fault(
    0x8033803A,
    "w:InvalidParameter",
    "The WS-Management service cannot process the request. A parameter name or value is invalid.",
)
TOO_LARGE = Fault(
    0x80338048,
    "w:EncodingLimit",
    "The WS-Management service cannot process the request because the response is larger than MaxEnvelopeSize.",
)
QUOTA = Fault(
    0x803381A6,
    "w:QuotaLimit",
    "The WS-Management service cannot process the request. The maximum number of "
    "concurrent operations for this user has been exceeded.",
    sender=False,
)
TIMED_OUT = Fault(
    0x80338029,
    "w:TimedOut",
    "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
    sender=False,
)
