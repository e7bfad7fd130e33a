"""Values of the vSphere type system, and how they look in XML: plain text out, no client library involved.

Pure. A property's value carries ``xsi:type``; a data object's fields carry none, except objects (whose class may be
a sub-class of the declared one). Fields may be functions: they are called only when somebody asks for them.
"""

from __future__ import annotations

import base64
import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hvconsole.lab.vsphere import releases


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to a managed object."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Word:
    """A value of an enumeration."""

    type: str
    text: str


class Width(enum.StrEnum):
    """Integer types."""

    BYTE = "xsd:byte"
    SHORT = "xsd:short"
    LONG = "xsd:long"


@dataclass(frozen=True, slots=True)
class Number:
    """An integer of another type than xsd:int."""

    value: int
    width: Width


def long(value: int) -> Number:
    """A 64-bit integer."""
    return Number(int(value), Width.LONG)


def short(value: int) -> Number:
    """A 16-bit integer."""
    return Number(int(value), Width.SHORT)


class Data:
    """A data object: a class name and fields in the order of the schema. None fields are left out."""

    __slots__ = ("fields", "type")

    def __init__(self, type_: str, **fields: Any) -> None:
        self.type = type_
        self.fields = fields

    def get(self, name: str) -> Any:
        """A field's value, functions called; None where there is none."""
        return force(self.fields.get(name))


@dataclass(frozen=True, slots=True)
class Typed:
    """A value in a field that may hold anything, so that its type must be said."""

    value: Any


@dataclass(frozen=True, slots=True)
class Array:
    """A list with the name of its element type ("string", "GuestNicInfo", "ManagedObjectReference")."""

    of: str
    items: tuple[Any, ...]


Lazy = Callable[[], Any]


def array(of: str, items: Any) -> Array:
    """An ``Array`` of any iterable."""
    return Array(of, tuple(items))


def force(value: Any) -> Any:
    """The value, or what the function returns."""
    return value() if callable(value) else value


def when(seconds: float) -> dt.datetime:
    """Seconds since 1970 as an aware time."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _scalar(value: Any) -> tuple[str, str]:
    """(xsi:type, text)."""
    if isinstance(value, bool):
        return "xsd:boolean", "true" if value else "false"
    if isinstance(value, int):
        return "xsd:int", str(value)
    if isinstance(value, str):
        return "xsd:string", escape(value)
    if isinstance(value, Word):
        return value.type, escape(value.text)
    if isinstance(value, Number):
        return str(value.width), str(value.value)
    if isinstance(value, float):
        return "xsd:double", repr(value)
    if isinstance(value, dt.datetime):
        return "xsd:dateTime", value.isoformat()
    if isinstance(value, bytes):
        return "xsd:base64Binary", base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} has no XML form")


def field(name: str, value: Any) -> str:
    """A value as a field of a data object or a method's result: lists are repeated elements."""
    value = force(value)
    if value is None:
        return ""
    if isinstance(value, Typed):
        return anything(name, value.value)
    if isinstance(value, Array):
        return "".join(field(name, item) for item in value.items)
    if isinstance(value, Ref):
        return f"<{name} type={quoteattr(value.type)}>{escape(value.id)}</{name}>"
    if isinstance(value, Data):
        return f'<{name} xsi:type="{value.type}">{body(value)}</{name}>'
    return f"<{name}>{_scalar(value)[1]}</{name}>"


def body(data: Data) -> str:
    """The fields of a data object, as far as the client's version knows them."""
    unknown = releases.unknown(data.type)
    return "".join(field(name, value) for name, value in data.fields.items() if name not in unknown)


def anything(name: str, value: Any) -> str:
    """A value of a property: with its type, lists as ``ArrayOf…``."""
    value = force(value)
    if isinstance(value, Typed):
        value = force(value.value)
    if isinstance(value, Array):
        inner = "".join(anything(value.of, item) for item in value.items)  # servers name every element's type too
        kind = value.of[0].upper() + value.of[1:]
        return f'<{name} xsi:type="ArrayOf{kind}">{inner}</{name}>'
    if isinstance(value, Ref):
        return f'<{name} type={quoteattr(value.type)} xsi:type="ManagedObjectReference">{escape(value.id)}</{name}>'
    if isinstance(value, Data):
        return field(name, value)
    kind, text = _scalar(value)
    return f'<{name} xsi:type="{kind}">{text}</{name}>'


def resolve(value: Any, path: list[str]) -> Any:
    """Follow a dotted path into data objects; None where it ends in nothing. Raises ``KeyError`` for wrong names."""
    for name in path:
        value = force(value)
        if value is None:
            return None
        if isinstance(value, Array):
            key = name
            value = next((item for item in value.items if isinstance(item, Data) and str(item.get("key")) == key), None)
            continue
        if not isinstance(value, Data):
            raise KeyError(name)
        value = value.fields.get(name)
    return force(value)
