"""In-parameters of a method call, and CIM-XML texts inside them, as the simulated host reads them. Pure; any thread."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from hvconsole.lab.hyperv import schema
from hvconsole.lab.hyperv.instance import Ref

_WSMAN = "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class BadParameter(Exception):
    """A parameter has a form that the host does not understand."""


@dataclass(slots=True)
class Embedded:
    """An embedded instance: class and properties as texts, names in lower case."""

    class_name: str
    values: dict[str, list[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A property's first value, or an empty string."""
        found = self.values.get(name.lower())
        return found[0] if found else ""

    def number(self, name: str) -> int | None:
        """An integer property, or None."""
        text = self.text(name)
        return int(text) if text.lstrip("-").isdigit() else None

    def has(self, name: str) -> bool:
        """Whether the property is given and not null."""
        return bool(self.values.get(name.lower()))


def embedded(text: str) -> Embedded:
    """An instance from CIM-XML text. Raises ``BadParameter``."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as exc:
        raise BadParameter(f"no CIM-XML: {exc}") from exc
    if root.tag != "INSTANCE":
        raise BadParameter("INSTANCE expected")
    definition = schema.find(schema.V2, root.get("CLASSNAME", ""))
    if definition is None:
        raise BadParameter(f"no class {root.get('CLASSNAME')}")
    values: dict[str, list[str]] = {}
    for item in root:
        name = item.get("NAME", "")
        if definition.property_named(name) is None:
            raise BadParameter(f"{definition.name} has no property {name}")
        if not item.get("TYPE"):
            raise BadParameter(f"property {name} has no type")
        found = item.findall("VALUE.ARRAY/VALUE") if item.tag == "PROPERTY.ARRAY" else item.findall("VALUE")
        if found:
            values[name.lower()] = [value.text or "" for value in found]
    return Embedded(definition.name, values)


class Parameters:
    """The children of a ``Method_INPUT`` element. Names are case-sensitive, as on Windows."""

    def __init__(self, element: ET.Element | None) -> None:
        self._values: dict[str, list[ET.Element]] = {}
        for child in element if element is not None else ():
            if isinstance(child.tag, str) and child.get(_NIL) not in ("true", "1"):
                self._values.setdefault(child.tag.rpartition("}")[2], []).append(child)

    @property
    def names(self) -> list[str]:
        """What was given."""
        return list(self._values)

    def texts(self, name: str) -> list[str]:
        """All values of an array parameter."""
        return ["".join(item.itertext()) for item in self._values.get(name, ())]

    def text(self, name: str) -> str:
        """A text parameter, or an empty string."""
        return next(iter(self.texts(name)), "")

    def number(self, name: str) -> int | None:
        """An integer parameter; None when absent. Raises ``BadParameter``."""
        text = self.text(name).strip()
        if not text:
            return None
        if not text.lstrip("-").isdigit():
            raise BadParameter(f"{name} is no number")
        return int(text)

    def numbers(self, name: str) -> list[int]:
        """An integer array parameter."""
        return [int(text) for text in self.texts(name) if text.strip().isdigit()]

    def flag(self, name: str) -> bool:
        """A boolean parameter."""
        return self.text(name).strip().lower() in ("true", "1")

    def reference(self, name: str) -> Ref | None:
        """A reference parameter."""
        return next(iter(self.references(name)), None)

    def references(self, name: str) -> list[Ref]:
        """All references of an array parameter. Raises ``BadParameter``."""
        return [read_reference(item) for item in self._values.get(name, ())]

    def instances(self, name: str) -> list[Embedded]:
        """Embedded instances. Raises ``BadParameter``."""
        return [embedded(text) for text in self.texts(name)]


def read_reference(element: ET.Element) -> Ref:
    """An endpoint reference. Raises ``BadParameter``."""
    uri = element.find(f".//{_WSMAN}ResourceURI")
    selectors = [(item.get("Name", ""), item.text or "") for item in element.iter(f"{_WSMAN}Selector")]
    if uri is None or not uri.text:
        raise BadParameter("an endpoint reference was expected")
    namespace, class_name = split_uri(uri.text.strip())
    return Ref(namespace, class_name, tuple(s for s in selectors if s[0].lower() != "__cimnamespace"))


def split_uri(uri: str) -> tuple[str, str]:
    """(namespace, class) of a WMI resource URI; empty for others."""
    marker = "/wsman/1/wmi/"
    position = uri.lower().find(marker)
    if position < 0:
        return "", ""
    namespace, _, class_name = uri[position + len(marker) :].rpartition("/")
    return namespace.lower(), class_name
