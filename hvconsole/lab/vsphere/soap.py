"""SOAP messages: requests taken apart, replies put together. Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from hvconsole.lab.vsphere.values import Ref

NS = "{urn:vim25}"
_BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<soapenv:Envelope xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" '
    'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n<soapenv:Body>\n'
)
_TAIL = "\n</soapenv:Body>\n</soapenv:Envelope>"


@dataclass(frozen=True, slots=True)
class Call:
    """A request: the method's name, the object it is for, and the element that holds its arguments."""

    method: str
    this: Ref
    element: ET.Element

    def find(self, name: str) -> ET.Element | None:
        """An argument's element."""
        return self.element.find(NS + name)

    def all(self, name: str) -> list[ET.Element]:
        """All elements of a list argument."""
        return self.element.findall(NS + name)

    def text(self, name: str, default: str = "") -> str:
        """An argument's text."""
        return text(self.element, name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean argument."""
        found = self.find(name)
        return default if found is None else (found.text or "").strip() in ("true", "1")

    def ref(self, name: str) -> Ref | None:
        """An argument that is a reference."""
        return reference(self.find(name))


def text(element: ET.Element | None, name: str, default: str = "") -> str:
    """The text of a child."""
    found = None if element is None else element.find(NS + name)
    return default if found is None else found.text or ""


def number(element: ET.Element | None, name: str) -> int | None:
    """An integer child."""
    found = text(element, name)
    return int(found) if found.strip().lstrip("-").isdigit() else None


def reference(element: ET.Element | None) -> Ref | None:
    """A reference element."""
    return None if element is None else Ref(element.get("type") or "", element.text or "")


def kind_of(element: ET.Element) -> str:
    """The element's ``xsi:type`` without prefix."""
    return (element.get(XSI_TYPE) or "").rpartition(":")[2]


def parse(body: bytes) -> Call:
    """A request. Raises ``ValueError`` when it is none."""
    try:
        root = ET.fromstring(body)
    except ET.ParseError as exc:
        raise ValueError(str(exc)) from exc
    content = root.find(_BODY)
    if content is None or not len(content):
        raise ValueError("no body")
    element = content[0]
    this = reference(element.find(NS + "_this"))
    if this is None:
        raise ValueError("no _this")
    return Call(element.tag.rpartition("}")[2], this, element)


def reply(method: str, inner: str) -> bytes:
    """The answer of a method."""
    return f'{_HEAD}<{method}Response xmlns="urn:vim25">{inner}</{method}Response>{_TAIL}'.encode()


def refusal(inner: str) -> bytes:
    """The answer that carries a fault."""
    return f"{_HEAD}{inner}{_TAIL}".encode()
