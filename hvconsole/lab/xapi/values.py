"""Values of the XenAPI wire that Python has no type for, and the two ways they are written. Pure; any thread.

Both writers give exactly the bytes of xapi: XML without white space, strings and API integers untagged, the only
``<i4>`` being ``I4``; struct member names are not escaped. ``Fragment`` carries a value that was written before.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

NULL = "OpaqueRef:NULL"

_SHORT = 64
"""Arrays of fewer strings than this are written once and remembered."""

_DROPPED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = re.compile(r"[&<>\"\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


class Date(str):
    """A date in basic ISO form, as xapi writes it: "20190113T19:40:34Z"."""

    __slots__ = ()


EPOCH = Date("19700101T00:00:00Z")
"""What xapi writes for "never"."""


def date(seconds: float) -> Date:
    """The date for seconds since 1970 (0: never)."""
    return Date(dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y%m%dT%H:%M:%SZ"))


def seconds(text: str) -> float:
    """Seconds since 1970 of a date on the wire; 0 if it cannot be read."""
    digits = text.replace("-", "").rstrip("Z")
    for form in ("%Y%m%dT%H:%M:%S", "%Y%m%dT%H:%M:%S.%f"):
        try:
            return dt.datetime.strptime(digits, form).replace(tzinfo=dt.UTC).timestamp()
        except ValueError:
            continue
    return 0.0


class I4(int):
    """An integer that goes tagged over XML-RPC."""

    __slots__ = ()


class Fragment:
    """A value already written in both forms (lazily)."""

    __slots__ = ("_json", "_xml", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._xml: str | None = None
        self._json: str | None = None

    def xml(self) -> str:
        """The ``<value>`` element."""
        if self._xml is None:
            parts: list[str] = []
            _write_xml(self.value, parts)
            self._xml = "".join(parts)
        return self._xml

    def json(self) -> str:
        """The JSON text."""
        if self._json is None:
            self._json = _write_json(self.value)
        return self._json


def escape(text: str) -> str:
    """Text as XML character data: control characters dropped, the four special ones escaped."""
    if _SPECIAL.search(text):
        return _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], ""), text)
    return text


@lru_cache(maxsize=1 << 14)
def _member(name: str) -> str:
    """The beginning of a struct's member; names are not escaped, as xapi does not."""
    return f"<member><name>{_DROPPED.sub('', name)}</name>"


@lru_cache(maxsize=1 << 12)
def _strings_xml(strings: tuple[str, ...]) -> str:
    """An array of strings. The same few lists (allowed operations) are in thousands of records."""
    inside = "".join([f"<value>{escape(text)}</value>" for text in strings])
    return f"<value><array><data>{inside}</data></array></value>"


@lru_cache(maxsize=1 << 12)
def _strings_json(strings: tuple[str, ...]) -> str:
    return "[" + ",".join([_quote(text) for text in strings]) + "]"


@lru_cache(maxsize=1 << 14)
def _key(name: str) -> str:
    return f"{_quote(name)}:"


def _all_strings(value: Sequence[Any]) -> bool:
    return all(type(item) is str for item in value)


def to_xml(value: Any) -> str:
    """A ``<value>`` element."""
    parts: list[str] = []
    _write_xml(value, parts)
    return "".join(parts)


def _write_xml(value: Any, out: list[str]) -> None:
    kind = type(value)
    if kind is str:
        out.append(f"<value>{escape(value)}</value>")
    elif kind is bool:
        out.append(f"<value><boolean>{int(value)}</boolean></value>")
    elif kind is int:
        out.append(f"<value>{value}</value>")
    elif kind is float:
        out.append(f"<value><double>{_double(value)}</double></value>")
    elif kind is list or kind is tuple:
        if len(value) < _SHORT and _all_strings(value):
            out.append(_strings_xml(tuple(value)))
            return
        out.append("<value><array><data>")
        for item in value:
            _write_xml(item, out)
        out.append("</data></array></value>")
    elif kind is dict:
        out.append("<value><struct>")
        for name, item in value.items():
            out.append(_member(str(name)))
            _write_xml(item, out)
            out.append("</member>")
        out.append("</struct></value>")
    elif kind is Fragment:
        out.append(value.xml())
    elif kind is Date:
        out.append(f"<value><dateTime.iso8601>{value}</dateTime.iso8601></value>")
    elif kind is I4:
        out.append(f"<value><i4>{int(value)}</i4></value>")
    elif value is None:
        out.append("<value></value>")
    else:
        raise TypeError(f"cannot write {kind.__name__}")


def _double(value: float) -> str:
    return format(value, ".16g")


def to_json(value: Any) -> str:
    """JSON text; integers are numbers, dates strings, nothing is ""."""
    return _write_json(value)


def _write_json(value: Any) -> str:
    kind = type(value)
    if kind is str or kind is Date:
        return _quote(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is I4:
        return str(int(value))
    if kind is float:
        return _json_float(value)
    if kind is list or kind is tuple:
        if len(value) < _SHORT and _all_strings(value):
            return _strings_json(tuple(value))
        return "[" + ",".join([_write_json(item) for item in value]) + "]"
    if kind is dict:
        return "{" + ",".join([_key(str(name)) + _write_json(item) for name, item in value.items()]) + "}"
    if kind is Fragment:
        text: str = value.json()
        return text
    if value is None:
        return '""'
    raise TypeError(f"cannot write {kind.__name__}")


def _json_float(value: float) -> str:
    """As the server's JSON library writes it: always with a point or exponent, and bare NaN and Infinity."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = format(value, ".16g")
    return text if any(letter in text for letter in ".e") else f"{text}.0"


def _quote(text: str) -> str:
    return encode_basestring(text)
