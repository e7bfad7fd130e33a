"""Instances and references of the simulated WMI, and how WinRM writes them.

Three notations: WS-Man instance XML (with every property of the schema, nil where unset, empty arrays absent), the
``XmlFragment`` of a column query, and CIM-XML text (embedded instances in strings). Pure; any thread.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hvconsole.lab.hyperv import schema
from hvconsole.lab.hyperv.schema import ClassDef

WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/common"

_CIM_TYPES = {
    "s": "string",
    "b": "boolean",
    "d": "datetime",
    "ref": "string",
    "o": "string",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "i8": "sint8",
    "i16": "sint16",
    "i32": "sint32",
    "i64": "sint64",
    "r32": "real32",
    "r64": "real64",
}
_KEY = re.compile(r"\s*(\w+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|([^,]*))\s*(?:,|$)", re.DOTALL)


class Interval(float):
    """A duration in seconds, as a property value (plain floats are points in time)."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to an instance."""

    namespace: str
    class_name: str
    keys: tuple[tuple[str, str], ...]

    def value(self, name: str) -> str:
        """A key's value, or an empty string."""
        return next((value for key, value in self.keys if key.lower() == name.lower()), "")

    def path(self, host: str) -> str:
        """The object path."""
        keys = ",".join(f'{key}="{_in_path(value)}"' for key, value in self.keys)
        return f"\\\\{host.upper()}\\{self.namespace.replace('/', chr(92))}:{self.class_name}.{keys}"

    def same(self, other: Ref) -> bool:
        """Whether both mean the same instance."""
        mine = {(key.lower(), value.lower()) for key, value in self.keys}
        return mine == {(key.lower(), value.lower()) for key, value in other.keys}

    def epr(self) -> str:
        """The inside of an endpoint reference; ``a`` and ``w`` are bound by the envelope."""
        selectors = "".join(
            f"<w:Selector Name={quoteattr(key)}>{escape(value)}</w:Selector>" for key, value in self.keys
        )
        return (
            f"<a:Address>{ANONYMOUS}</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{WMI}/{self.namespace}/{self.class_name}</w:ResourceURI>"
            f'<w:SelectorSet><w:Selector Name="__cimnamespace">{self.namespace}</w:Selector>{selectors}'
            f"</w:SelectorSet></a:ReferenceParameters>"
        )


def _in_path(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def parse_path(path: str) -> Ref | None:
    """A reference from an object path; relative ones are in the virtualization namespace."""
    namespace = schema.V2
    rest = path.strip()
    if rest.startswith("\\\\"):
        head, colon, rest = rest.partition(":")
        if not colon:
            return None
        namespace = "/".join(head.strip("\\").split("\\")[1:]).lower()
    class_name, dot, keys = rest.partition(".")
    if not dot:
        return None
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(keys):
        match = _KEY.match(keys, position)
        if match is None or match.end() == position:
            return None
        raw = next((group for group in match.groups()[1:] if group is not None), "")
        # libvirt writes the backslashes of an InstanceID single, others double them
        found.append((match[1], re.sub(r"""\\([\\"'])""", r"\1", raw)))
        position = match.end()
    return Ref(namespace, class_name, tuple(found)) if found else None


@dataclass(slots=True)
class Inst:
    """An instance: only the properties that are set; the schema knows the others."""

    definition: ClassDef
    namespace: str
    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.values if name not in self.definition.properties]
        assert not unknown, f"{self.definition.name} has no {unknown}"

    @property
    def ref(self) -> Ref:
        """The reference to this instance."""
        keys = tuple((key, _scalar(self.values.get(key))) for key in self.definition.keys)
        return Ref(self.namespace, self.definition.name, keys)

    def get(self, name: str) -> Any:
        """A property's value by case-insensitive name; None when unset."""
        spelled = self.definition.property_named(name)
        return self.values.get(spelled) if spelled else None

    # ---- notations ---------------------------------------------------------------------------------------

    def xml(self, *, tag: str = "", prefix: str = "p") -> str:
        """WS-Man instance XML; ``tag`` replaces the class name (embedded objects of a method's output)."""
        name = self.definition.name
        uri = f"{WMI}/{self.namespace}/{name}"
        parts = [
            f'<{prefix}:{tag or name} xmlns:{prefix}="{uri}" xmlns:xsi="{XSI}" xmlns:cim="{CIM}" '
            f'xsi:type="{prefix}:{name}_Type">'
        ]
        values = self.values
        for prop, kind in self.definition.properties.items():
            parts.append(_element(f"{prefix}:{prop}", kind, values.get(prop), "cim:", self.namespace))
        parts.append(f"</{prefix}:{tag or name}>")
        return "".join(parts)

    def embedded(self, tag: str) -> str:
        """An embedded object in a method's output: outer element in the method's namespace (``p``)."""
        name = self.definition.name
        uri = f"{WMI}/{self.namespace}/{name}"
        parts = [f'<p:{tag} xmlns:q="{uri}" xmlns:xsi="{XSI}" xmlns:cim="{CIM}" xsi:type="q:{name}_Type">']
        for prop, kind in self.definition.properties.items():
            parts.append(_element(f"q:{prop}", kind, self.values.get(prop), "cim:", self.namespace))
        parts.append(f"</p:{tag}>")
        return "".join(parts)

    def fragment(self, columns: tuple[str, ...]) -> str:
        """The row of a column query: no namespace, no class name."""
        parts = [f'<w:XmlFragment xmlns:xsi="{XSI}">']
        for prop in columns:
            parts.append(_element(prop, self.definition.properties[prop], self.values.get(prop), "", self.namespace))
        parts.append("</w:XmlFragment>")
        return "".join(parts)

    def cim_xml(self) -> str:
        """CIM-XML text as ``GetText`` makes it."""
        parts = [f'<INSTANCE CLASSNAME="{self.definition.name}">']
        for prop, kind in self.definition.properties.items():
            value = self.values.get(prop)
            array = kind.endswith("[]")
            cim_type = _CIM_TYPES[kind.removesuffix("[]")]
            if array:
                items = "".join(f"<VALUE>{escape(_scalar(item))}</VALUE>" for item in value or ())
                inside = f"<VALUE.ARRAY>{items}</VALUE.ARRAY>" if value is not None else ""
                parts.append(f'<PROPERTY.ARRAY NAME="{prop}" TYPE="{cim_type}">{inside}</PROPERTY.ARRAY>')
            else:
                inside = f"<VALUE>{escape(_scalar(value))}</VALUE>" if value is not None else ""
                parts.append(f'<PROPERTY NAME="{prop}" TYPE="{cim_type}">{inside}</PROPERTY>')
        parts.append("</INSTANCE>")
        return "".join(parts)


def _element(tag: str, kind: str, value: Any, cim: str, namespace: str) -> str:
    if kind.endswith("[]"):
        return "".join(_element(tag, kind[:-2], item, cim, namespace) for item in value or ())
    if value is None:
        return f'<{tag} xsi:nil="true"/>'
    if isinstance(value, Ref):
        return f"<{tag}>{value.epr()}</{tag}>"
    if isinstance(value, Inst):
        return value.embedded(tag.partition(":")[2])
    if kind == "d":
        name = f"{cim}Interval" if isinstance(value, Interval) else f"{cim}Datetime"
        return f"<{tag}><{name}>{_scalar(value)}</{name}></{tag}>"
    return f"<{tag}>{escape(_scalar(value))}</{tag}>"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Interval):
        days, rest = divmod(int(value), 86_400)
        hours, rest = divmod(rest, 3600)
        return f"P{days}DT{hours}H{rest // 60}M{rest % 60}S"
    if isinstance(value, float):
        moment = dt.datetime.fromtimestamp(value, dt.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
    return "" if value is None else str(value)


def make(class_name: str, /, namespace: str = schema.V2, **values: Any) -> Inst:
    """An instance of a class; unset and None properties are nil."""
    definition = schema.find(namespace, class_name)
    assert definition is not None, class_name
    return Inst(definition, namespace, {name: value for name, value in values.items() if value is not None})
