"""Answers of WS-Management: read liberally, because no two versions of Windows write them alike.

``Record`` is one instance (or one row of a column query, or the out-parameters of a method). Pure; any thread.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

from hvconsole.backends import wmi_xml, wsman_faults
from hvconsole.backends.wsman_envelope import ADDRESSING, SOAP, WSMAN, Epr
from hvconsole.errors import BadReply

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TYPED_TEXT = frozenset({"Datetime", "Interval", "Date", "Time", "CIM_DateTime"})
_CIM_TIME = re.compile(r"(\d{14})\.(\d{6})([+-]\d{3})")
_names: dict[str, str] = {}


def _name(tag: str) -> str:
    known = _names.get(tag)
    if known is None:
        known = wmi_xml.local_name(tag).lower()
        if len(_names) < 10_000:  # tags come from the server; do not let it fill the memory
            _names[tag] = known
    return known


class Record:
    """Properties by lower-case name. Missing, nil and empty read alike: None, or an empty list."""

    __slots__ = ("_values", "class_name", "epr")

    def __init__(self, element: ET.Element, epr: Epr | None = None) -> None:
        name = wmi_xml.local_name(element.tag)
        self.class_name = "" if name == "XmlFragment" else name
        self.epr = epr
        values: dict[str, list[ET.Element]] = {}
        for child in element:
            if isinstance(child.tag, str):
                values.setdefault(_name(child.tag), []).append(child)
        self._values = values

    def elements(self, name: str) -> list[ET.Element]:
        """The raw elements of a property, nil ones left out."""
        return [item for item in self._values.get(name.lower(), ()) if item.get(_NIL) not in ("true", "1")]

    def texts(self, name: str) -> list[str]:
        """All values of an array property."""
        return [_text(item) for item in self.elements(name)]

    def text(self, name: str) -> str:
        """A property's (first) value, or an empty string."""
        for item in self._values.get(name.lower(), ()):
            if item.get(_NIL) not in ("true", "1"):
                return _text(item)
        return ""

    def number(self, name: str) -> int | None:
        """An integer property, or None where it is missing or no number."""
        return integer(self.text(name))

    def numbers(self, name: str) -> list[int]:
        """All integers of an array property."""
        return [value for value in map(integer, self.texts(name)) if value is not None]

    def octets(self, name: str) -> bytes:
        """A property that is an array of bytes: Windows writes it as base64 in one element, others as numbers."""
        texts = self.texts(name)
        if len(texts) != 1:
            return bytes(value & 0xFF for value in map(integer, texts) if value is not None)
        try:
            return base64.b64decode(texts[0])
        except (binascii.Error, ValueError):
            return b""

    def flag(self, name: str) -> bool | None:
        """A boolean property."""
        value = self.text(name).strip().lower()
        return None if not value else value in ("true", "1")

    def time(self, name: str) -> dt.datetime | None:
        """A date property, aware, UTC."""
        return read_time(self.text(name))

    def reference(self, name: str) -> Epr | None:
        """A reference property as an endpoint reference."""
        for item in self.elements(name):
            found = read_epr(item)
            if found is not None:
                return found
        return None

    def references(self, name: str) -> list[Epr]:
        """All references of an array property."""
        return [epr for epr in map(read_epr, self.elements(name)) if epr is not None]

    def records(self, name: str) -> Iterator[Record]:
        """Embedded objects of a property."""
        return (Record(item) for item in self.elements(name))


def _text(item: ET.Element) -> str:
    if len(item):
        child = item[0]
        if isinstance(child.tag, str) and wmi_xml.local_name(child.tag) in _TYPED_TEXT:
            return (child.text or "").strip()
        return "".join(item.itertext())
    return item.text or ""


def integer(text: str) -> int | None:
    """The number that ``text`` is, None where it is none or none of WMI's."""
    try:
        value = int(text)
    except ValueError:
        return None
    # uint64 is the largest that WMI has; nothing could be calculated or shown with more
    return value if abs(value) < 1 << 64 else None


def read_time(text: str) -> dt.datetime | None:
    """ISO 8601 as WinRM writes it, or DMTF's own form; None for intervals and anything else. 1601 means "never"."""
    text = text.strip()
    dmtf = _CIM_TIME.fullmatch(text)
    try:
        if dmtf:
            local = dt.datetime.strptime(f"{dmtf[1]}.{dmtf[2]}+0000", "%Y%m%d%H%M%S.%f%z")
            when = local - dt.timedelta(minutes=int(dmtf[3]))
        elif text:
            when = dt.datetime.fromisoformat(text)
        else:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=dt.UTC)
        when = when.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return when if when.year > 1601 else None


def read_epr(element: ET.Element) -> Epr | None:
    """The endpoint reference inside ``element``, wherever it is nested, or None."""
    uri, selectors = "", []
    for item in element.iter():
        name = wmi_xml.local_name(item.tag)
        if name == "ResourceURI" and not uri:
            uri = (item.text or "").strip()
        elif name == "Selector" and item.get("Name") and item.get("Name") != "__cimnamespace":
            selectors.append((item.get("Name", ""), item.text or ""))
    return Epr(uri, tuple(selectors)) if uri else None


@dataclass(slots=True)
class Page:
    """A piece of an enumeration. ``context`` is empty once everything was sent."""

    records: list[Record] = field(default_factory=list)
    context: str = ""


def read_body(raw: bytes, message_id: str | None, elements: int) -> ET.Element:
    """The SOAP body of an answer to ``message_id`` (None: Identify, which has none). Faults are not raised here.

    Raises ``BadReply`` for anything that is not the answer to this very request.
    """
    root = wmi_xml.parse(raw, elements)
    if root.tag != f"{{{SOAP}}}Envelope":
        raise BadReply("The answer isn't one of a Windows management service.", wmi_xml.local_name(root.tag)[:80])
    body = root.find(f"{{{SOAP}}}Body")
    if body is None:
        raise BadReply("The answer of the host has no body.")
    if message_id is None:
        return body
    related = root.find(f"{{{SOAP}}}Header/{{{ADDRESSING}}}RelatesTo")
    answered = (related.text or "").strip() if related is not None else ""
    if answered.lower() == message_id.lower():
        return body
    # A host that cannot even read the header answers with a fault that relates to nothing.
    if not answered and wsman_faults.read(body) is not None:
        return body
    raise BadReply("The host answered another question than the one asked.", answered[:100])


def read_page(body: ET.Element) -> Page:
    """Items of an EnumerateResponse or PullResponse. Raises ``BadReply``."""
    response = next((child for child in body if wmi_xml.local_name(child.tag).endswith("Response")), None)
    if response is None:
        raise BadReply("The host's answer isn't a list.")
    page = Page()
    ended = False
    for part in response:
        name = wmi_xml.local_name(part.tag)
        if name == "EnumerationContext":
            page.context = (part.text or "").strip()
        elif name == "EndOfSequence":
            ended = True
        elif name == "Items":
            page.records.extend(_items(part))
    if ended:
        page.context = ""
    return page


def _items(items: ET.Element) -> Iterator[Record]:
    for item in items:
        name = wmi_xml.local_name(item.tag)
        if not name:
            continue
        if name == "Item":
            parts = [part for part in item if isinstance(part.tag, str)]
            epr = next((read_epr(part) for part in parts if part.tag == f"{{{ADDRESSING}}}EndpointReference"), None)
            thing = next((part for part in parts if part.tag != f"{{{ADDRESSING}}}EndpointReference"), None)
            if thing is not None:
                yield Record(thing, epr)
        elif item.tag == f"{{{ADDRESSING}}}EndpointReference":
            yield Record(item, read_epr(item))
        else:
            yield Record(item)


def read_instance(body: ET.Element) -> Record:
    """The instance in the answer to a Get. Raises ``BadReply``."""
    first = next((child for child in body if isinstance(child.tag, str)), None)
    if first is None:
        raise BadReply("The host's answer is empty.")
    if first.tag == f"{{{WSMAN}}}XmlFragment" and len(first) == 1 and len(first[0]):
        first = first[0]
    return Record(first)


def read_output(body: ET.Element, method: str) -> tuple[int, Record]:
    """(return value, out-parameters) of a method call. Raises ``BadReply``."""
    output = next((child for child in body if wmi_xml.local_name(child.tag) == f"{method}_OUTPUT"), None)
    if output is None:
        raise BadReply(f"The host's answer to {method} has an unknown form.")
    record = Record(output)
    value = record.number("ReturnValue")
    if value is None:
        raise BadReply(f"The host's answer to {method} has no return value.")
    return value, record
