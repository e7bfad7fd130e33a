"""The API's description, /sdk/vimService.wsdl and /sdk/vim.wsdl, for clients that make their calls out of it.

Written from what the pyVmomi package knows of the API's types, when somebody asks for it first. Any thread.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

_NS = "urn:vim25"
_SIMPLE = {
    "str": "xsd:string",
    "bool": "xsd:boolean",
    "byte": "xsd:byte",
    "short": "xsd:short",
    "int": "xsd:int",
    "long": "xsd:long",
    "float": "xsd:float",
    "double": "xsd:double",
    "binary": "xsd:base64Binary",
    "datetime": "xsd:dateTime",
    "URI": "xsd:anyURI",
    "object": "xsd:anyType",
    "type": "xsd:string",
    "ManagedMethod": "xsd:string",
    "PropertyPath": "xsd:string",
    "Link": "xsd:string",
}
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" '
    'xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:vim25="urn:vim25" '
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
)


@functools.lru_cache(1)
def service() -> bytes:
    """vimService.wsdl: where the service is."""
    return (
        f'{_HEAD}targetNamespace="urn:vim25Service" xmlns:interface="{_NS}">'
        f'<import location="vim.wsdl" namespace="{_NS}"/><service name="VimService">'
        '<port binding="interface:VimBinding" name="VimPort">'
        '<soap:address location="https://localhost/sdk/vimService"/></port></service></definitions>'
    ).encode()


@functools.lru_cache(4)
def interface(version: str) -> bytes:
    """vim.wsdl: types, messages and operations."""
    types, messages, operations, bindings = [], [], [], []
    for name, call in _methods():
        if not _described(call):
            continue
        types.append(_request(name, call))
        messages.append(
            f'<message name="{name}RequestMsg"><part element="vim25:{name}" name="parameters"/></message>'
            f'<message name="{name}ResponseMsg"><part element="vim25:{name}Response" name="parameters"/>'
            "</message>"
        )
        operations.append(
            f'<operation name="{name}"><input message="vim25:{name}RequestMsg"/>'
            f'<output message="vim25:{name}ResponseMsg"/></operation>'
        )
        bindings.append(
            f'<operation name="{name}"><soap:operation soapAction="{_NS}/{version}" style="document"/>'
            '<input><soap:body use="literal"/></input><output><soap:body use="literal"/></output>'
            "</operation>"
        )
    return (
        f'{_HEAD}targetNamespace="{_NS}"><types><xsd:schema elementFormDefault="qualified" '
        f'targetNamespace="{_NS}">{_basics()}{"".join(_data())}{"".join(_enums())}{"".join(types)}</xsd:schema>'
        f'</types>{"".join(messages)}<portType name="VimPortType">{"".join(operations)}</portType>'
        '<binding name="VimBinding" type="vim25:VimPortType"><soap:binding style="document" '
        f'transport="http://schemas.xmlsoap.org/soap/http"/>{"".join(bindings)}</binding></definitions>'
    ).encode()


def _support() -> Any:
    from pyVmomi import VmomiSupport, vim  # noqa: F401 - only who reads the description needs the types

    return VmomiSupport


def _basics() -> str:
    arrays = "".join(
        _array(name, f"xsd:{kind}")
        for name, kind in (
            ("Boolean", "boolean"),
            ("Byte", "byte"),
            ("Short", "short"),
            ("Int", "int"),
            ("Long", "long"),
            ("Float", "float"),
            ("Double", "double"),
            ("String", "string"),
            ("DateTime", "dateTime"),
            ("Base64Binary", "base64Binary"),
            ("AnyURI", "anyURI"),
            ("AnyType", "anyType"),
        )
    )
    return (
        '<xsd:complexType name="ManagedObjectReference"><xsd:simpleContent><xsd:extension base="xsd:string">'
        '<xsd:attribute name="type" type="xsd:string"/></xsd:extension></xsd:simpleContent></xsd:complexType>'
        f"{_array('ManagedObjectReference', 'vim25:ManagedObjectReference')}{arrays}"
    )


def _array(name: str, kind: str) -> str:
    element = name[0].lower() + name[1:] if kind.startswith("xsd:") else name
    return (
        f'<xsd:complexType name="ArrayOf{name}"><xsd:sequence><xsd:element maxOccurs="unbounded" minOccurs="0" '
        f'name="{element}" type="{kind}"/></xsd:sequence></xsd:complexType>'
    )


def _kind(support: Any, info: Any) -> tuple[str, str]:
    """(schema type, attributes of how often) of a field, parameter or result."""
    kind, often = info, ""
    if issubclass(kind, list):
        kind, often = kind.Item, ' maxOccurs="unbounded"'
    if issubclass(kind, support.ManagedObject):
        return "vim25:ManagedObjectReference", often
    simple = _SIMPLE.get(kind.__name__)
    if simple is not None and not issubclass(kind, support.DataObject | support.Enum):
        return simple, often
    return f"vim25:{support.GetWsdlName(kind)}", often


def _element(support: Any, name: str, info: Any, *, optional: bool) -> str:
    kind, often = _kind(support, info)
    least = ' minOccurs="0"' if optional or often else ""
    return f'<xsd:element{often}{least} name={quoteattr(name)} type="{kind}"/>'


def _data() -> Iterator[str]:
    support = _support()
    for definition in list(support._dataDefMap.values()):
        name, wsdl_name = definition[0], definition[1]
        if (_NS, wsdl_name) not in support._wsdlDefMap and wsdl_name not in ("DynamicData",):
            continue
        kind = support.GetVmodlType(name)
        base = kind.__bases__[0]
        own = [one for one in kind._GetPropertyList(False) if _known(support, one.type)]
        fields = "".join(
            _element(support, one.name, one.type, optional=bool(one.flags & support.F_OPTIONAL)) for one in own
        )
        inside = f"<xsd:sequence>{fields}</xsd:sequence>"
        if issubclass(base, support.DataObject) and base is not support.DataObject:
            above = support.GetWsdlName(base)
            inside = (
                f'<xsd:complexContent><xsd:extension base="vim25:{above}">{inside}</xsd:extension></xsd:complexContent>'
            )
        yield f'<xsd:complexType name="{wsdl_name}">{inside}</xsd:complexType>{_array(wsdl_name, "vim25:" + wsdl_name)}'


def _enums() -> Iterator[str]:
    support = _support()
    for definition in list(support._enumDefMap.values()):
        wsdl_name, values = definition[1], definition[3]
        if (_NS, wsdl_name) not in support._wsdlDefMap:
            continue
        words = "".join(f"<xsd:enumeration value={quoteattr(str(value))}/>" for value in values if value)
        yield (
            f'<xsd:simpleType name="{wsdl_name}"><xsd:restriction base="xsd:string">{words}</xsd:restriction>'
            f"</xsd:simpleType>{_array(wsdl_name, 'vim25:' + wsdl_name)}"
        )


def _methods() -> Iterable[tuple[str, Any]]:
    support = _support()
    found: dict[str, Any] = {}
    for definition in list(support._managedDefMap.values()):
        if (_NS, definition[1]) in support._wsdlDefMap:
            for call in support.GetVmodlType(definition[0])._methodInfo.values():
                found.setdefault(call.wsdlName, call)
    return found.items()


def _described(call: Any) -> bool:
    """Whether everything that a method takes and gives is of this API, and not of that of vSAN."""
    support = _support()
    kinds = [one.type for one in call.params] + ([] if call.result is type(None) else [call.result])
    return all(_known(support, kind) for kind in kinds)


def _known(support: Any, info: Any) -> bool:
    prefix, _, name = _kind(support, info)[0].partition(":")
    return prefix == "xsd" or (_NS, name) in support._wsdlDefMap or name in ("ManagedObjectReference", "DynamicData")


def _request(name: str, call: Any) -> str:
    support = _support()
    given = "".join(
        _element(support, one.name, one.type, optional=bool(one.flags & support.F_OPTIONAL)) for one in call.params
    )
    back = ""
    if call.result is not type(None):
        optional = bool(call.resultFlags & support.F_OPTIONAL)
        back = _element(support, "returnval", call.result, optional=optional)
    return (
        f'<xsd:complexType name="{name}RequestType"><xsd:sequence><xsd:element name="_this" '
        f'type="vim25:ManagedObjectReference"/>{given}</xsd:sequence></xsd:complexType>'
        f'<xsd:element name="{name}" type="vim25:{name}RequestType"/><xsd:element name="{name}Response">'
        f"<xsd:complexType><xsd:sequence>{back}</xsd:sequence></xsd:complexType></xsd:element>"
    )
