"""Requests of WS-Management as text, in the shapes that winrm.exe and libvirt send to real Windows.

One writer for everything that leaves; pure functions, any thread. Reading answers is ``wsman_reply``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hvconsole.backends import wmi_xml
from hvconsole.backends.wmi_instance import Instance

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
BINDING = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
ASSOCIATION = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter"
ANONYMOUS = f"{ADDRESSING}/role/anonymous"

V2 = "root/virtualization/v2"
CIMV2 = "root/cimv2"

MAX_ENVELOPE_BYTES = 512_000
"""Largest answer we ask for: what Windows Server 2012 R2 and newer allow unless configured otherwise."""
MAX_ELEMENTS = 32_000
"""Items per Pull; the envelope size is what really limits a page."""


def wmi_uri(namespace: str, class_name: str) -> str:
    """Resource URI of a WMI class ("*" for queries); ``namespace`` with forward slashes."""
    return f"{WMI}/{namespace}/{class_name}"


@dataclass(frozen=True, slots=True)
class Epr:
    """An endpoint reference: which instance of which class. Taken from the host wherever possible."""

    uri: str
    selectors: tuple[tuple[str, str], ...] = ()

    @property
    def class_name(self) -> str:
        """Last part of the resource URI."""
        return self.uri.rpartition("/")[2]

    @property
    def keys(self) -> dict[str, str]:
        """Selectors by name."""
        return dict(self.selectors)


Parameter = str | int | bool | Epr | Instance | Sequence["Parameter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One message: ``body`` is XML text already escaped."""

    action: str
    uri: str
    body: str = ""
    selectors: tuple[tuple[str, str], ...] = ()
    timeout_s: int = 15
    options: Mapping[str, str] = field(default_factory=dict)


def identify() -> bytes:
    """The question who is there; has no header and no message id."""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:wsmid="{IDENTITY}"><s:Header/>'
        "<s:Body><wsmid:Identify/></s:Body></s:Envelope>"
    ).encode()


def write(request: Request, endpoint: str) -> tuple[str, bytes]:
    """(message id, envelope in UTF-8) of a request to ``endpoint``."""
    message_id = f"uuid:{str(uuid.uuid4()).upper()}"
    selectors = ""
    if request.selectors:
        selectors = f"<w:SelectorSet>{_selectors(request.selectors)}</w:SelectorSet>"
    envelope = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:n="{ENUMERATION}" xmlns:x="{TRANSFER}" '
        f'xmlns:w="{WSMAN}" xmlns:m="{MICROSOFT}">'
        f"<s:Header><a:To>{wmi_xml.text(endpoint)}</a:To>"
        f'<a:ReplyTo><a:Address s:mustUnderstand="true">{ANONYMOUS}</a:Address></a:ReplyTo>'
        f'<a:Action s:mustUnderstand="true">{wmi_xml.text(request.action)}</a:Action>'
        f"<a:MessageID>{message_id}</a:MessageID>"
        f'<w:ResourceURI s:mustUnderstand="true">{wmi_xml.text(request.uri)}</w:ResourceURI>'
        f"{selectors}"
        f'<w:MaxEnvelopeSize s:mustUnderstand="true">{MAX_ENVELOPE_BYTES}</w:MaxEnvelopeSize>'
        f"<w:OperationTimeout>PT{request.timeout_s}S</w:OperationTimeout>"
        '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>'
        '<m:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>'
        f"</s:Header><s:Body>{request.body}</s:Body></s:Envelope>"
    )
    return message_id, envelope.encode("utf-8")


def enumerate_request(uri: str, wql: str = "", *, with_epr: bool = False, timeout_s: int = 15) -> Request:
    """Begin an enumeration of a class, or of a query (then ``uri`` ends in "*")."""
    mode = "<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>" if with_epr else ""
    query = f'<w:Filter Dialect="{WQL}">{wmi_xml.text(wql)}</w:Filter>' if wql else ""
    body = (
        f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{MAX_ELEMENTS}</w:MaxElements>{mode}{query}</n:Enumerate>"
    )
    return Request(action=f"{ENUMERATION}/Enumerate", uri=uri, body=body, timeout_s=timeout_s)


def associated_request(uri: str, epr: Epr, assoc_class: str, result_class: str, *, timeout_s: int = 15) -> Request:
    """Begin an enumeration of what is associated with an instance, without any query text (DSP0227)."""
    body = (
        f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{MAX_ELEMENTS}</w:MaxElements>"
        f'<w:Filter Dialect="{ASSOCIATION}"><b:AssociatedInstances xmlns:b="{BINDING}">'
        f"<b:Object>{_value(epr)}</b:Object>"
        f"<b:AssociationClassName>{wmi_xml.text(assoc_class)}</b:AssociationClassName>"
        f"<b:ResultClassName>{wmi_xml.text(result_class)}</b:ResultClassName>"
        f"</b:AssociatedInstances></w:Filter></n:Enumerate>"
    )
    return Request(action=f"{ENUMERATION}/Enumerate", uri=uri, body=body, timeout_s=timeout_s)


def pull_request(uri: str, context: str, *, max_elements: int = MAX_ELEMENTS, timeout_s: int = 15) -> Request:
    """The next page of an enumeration; ``uri`` must be that of the Enumerate."""
    body = (
        f"<n:Pull><n:EnumerationContext>{wmi_xml.text(context)}</n:EnumerationContext>"
        f"<n:MaxElements>{max_elements}</n:MaxElements></n:Pull>"
    )
    return Request(action=f"{ENUMERATION}/Pull", uri=uri, body=body, timeout_s=timeout_s)


def release_request(uri: str, context: str) -> Request:
    """Give an enumeration back that was not read to its end: open ones count against the user's quota."""
    body = f"<n:Release><n:EnumerationContext>{wmi_xml.text(context)}</n:EnumerationContext></n:Release>"
    return Request(action=f"{ENUMERATION}/Release", uri=uri, body=body, timeout_s=10)


def get_request(epr: Epr, *, timeout_s: int = 15) -> Request:
    """Read one instance."""
    return Request(action=f"{TRANSFER}/Get", uri=epr.uri, selectors=epr.selectors, timeout_s=timeout_s)


def put_request(epr: Epr, values: Mapping[str, Parameter], *, timeout_s: int = 15) -> Request:
    """Change properties of one instance."""
    body = _element(f"p:{epr.class_name}", _parameters(values), f' xmlns:p="{wmi_xml.attribute(epr.uri)}"')
    return Request(action=f"{TRANSFER}/Put", uri=epr.uri, selectors=epr.selectors, body=body, timeout_s=timeout_s)


def invoke_request(epr: Epr, method: str, parameters: Mapping[str, Parameter], *, timeout_s: int = 50) -> Request:
    """Call a method of one instance. Sequences become repeated elements, empty ones are left out."""
    body = _element(f"p:{method}_INPUT", _parameters(parameters), f' xmlns:p="{wmi_xml.attribute(epr.uri)}"')
    return Request(action=f"{epr.uri}/{method}", uri=epr.uri, selectors=epr.selectors, body=body, timeout_s=timeout_s)


def _parameters(parameters: Mapping[str, Parameter]) -> str:
    parts: list[str] = []
    for name, value in parameters.items():
        many = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
        parts.extend(_element(f"p:{name}", _value(item)) for item in many)
    return "".join(parts)


def _value(value: Parameter) -> str:
    if isinstance(value, Epr):
        return (
            f"<a:Address>{ANONYMOUS}</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{wmi_xml.text(value.uri)}</w:ResourceURI>"
            f"<w:SelectorSet>{_selectors(value.selectors)}</w:SelectorSet></a:ReferenceParameters>"
        )
    if isinstance(value, Instance):
        return wmi_xml.text(value.cim_xml())
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return wmi_xml.text(value)
    assert isinstance(value, int)
    return str(value)


def _selectors(selectors: tuple[tuple[str, str], ...]) -> str:
    return "".join(
        f'<w:Selector Name="{wmi_xml.attribute(name)}">{wmi_xml.text(value)}</w:Selector>' for name, value in selectors
    )


def _element(tag: str, content: str, attributes: str = "") -> str:
    return f"<{tag}{attributes}>{content}</{tag}>" if content else f"<{tag}{attributes}/>"
