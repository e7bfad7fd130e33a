"""Reading a xapi database dump (the XML file of a real pool) into typed rows. One thread, before anything serves.

Dumps are untrusted: DOCTYPEs are refused, size and number of rows are bounded, unknown tables and fields are left
out or kept as text, rows without a reference are skipped. Fields that the dump does not have stay missing: an old
pool does not have them either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.parsers import expat

from hvconsole.lab.world import World
from hvconsole.lab.xapi import schema
from hvconsole.lab.xapi.values import EPOCH, NULL, Date

Tables = dict[str, dict[str, dict[str, Any]]]
"""Class → reference → fields."""

_LARGEST_BYTES = 256 << 20
_MOST_ROWS = 500_000
_DEEPEST = 8
_NOT_LOADED = frozenset({"session", "task", "secret"})
"""Classes that no restart of xapi keeps, and one that nobody should see."""
_SPACES = {".": " ", "_": "  ", "n": "\n", "t": "\t", "r": "\r", "%": "%"}
"""After a percent sign: xapi writes every blank as "%." since XenServer 7.3, and wrote two in a row as "%_" before."""


class BadDump(ValueError):
    """The file is not a xapi database that can be served; the text says why."""


def load_dump(world: World, path: Path) -> None:
    """Add the pool that the dump describes to ``world``. Raises ``BadDump``, ``OSError``."""
    from hvconsole.lab.xapi.dump_world import build  # it imports this module

    build(world, read_dump(path))


def read_dump(path: Path) -> Tables:
    """The tables of a dump. Raises ``BadDump``, ``OSError``."""
    if path.stat().st_size > _LARGEST_BYTES:
        raise BadDump(f"{path.name} is larger than {_LARGEST_BYTES >> 20} MiB")
    return parse_dump(path.read_bytes())


def parse_dump(text: bytes) -> Tables:
    """The tables of a dump given as bytes. Raises ``BadDump``."""
    tables: Tables = {}
    state: dict[str, Any] = {"depth": 0, "table": None, "rows": 0, "seen": False}
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        state["depth"] += 1
        if state["depth"] > _DEEPEST:
            raise BadDump("nested too deeply")
        if state["depth"] == 1:
            if tag != "database":
                raise BadDump(f"the root element is <{tag[:40]}>, not <database>")
            state["seen"] = True
        elif tag == "table":
            name = attributes.get("name", "")
            state["table"] = name if name in schema.CLASSES and name not in _NOT_LOADED else None
        elif tag == "row" and state["table"] is not None:
            state["rows"] += 1
            if state["rows"] > _MOST_ROWS:
                raise BadDump(f"more than {_MOST_ROWS} rows")
            ref = _unspaced(attributes.get("ref") or attributes.get("_ref") or "")
            rows = tables.setdefault(state["table"], {})
            if ref and ref != NULL and ref not in rows:
                rows[ref] = _fields(state["table"], attributes)

    def end(tag: str) -> None:
        state["depth"] -= 1
        if tag == "table":
            state["table"] = None

    def refuse(*_: Any) -> None:
        raise BadDump("it has a DOCTYPE")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except BadDump:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: encodings that Python cannot read
        raise BadDump(f"it is not well-formed XML: {error}") from None
    return tables


def _fields(class_name: str, attributes: dict[str, str]) -> dict[str, Any]:
    known = schema.CLASSES[class_name].fields
    derived = schema.DERIVED.get(class_name, frozenset())
    fields: dict[str, Any] = {}
    for written, raw in attributes.items():
        if written in ("ref", "_ref") or written.startswith("__"):
            continue
        name = written.replace("__", "_")
        field = known.get(name)
        if name in derived:
            continue
        value = _unspaced(raw)
        fields[name] = _typed(field.type, value) if field is not None else _guessed(value)
    for name in derived:
        fields[name] = []
    if "current_operations" in known:
        fields["current_operations"] = {}  # their tasks are gone
    return fields


def _unspaced(text: str) -> str:
    """Undo the protection of white space."""
    if "%" not in text:
        return text
    out: list[str] = []
    position = 0
    while position < len(text):
        letter = text[position]
        following = text[position + 1 : position + 2]
        if letter == "%" and following in _SPACES and following:
            out.append(_SPACES[following])
            position += 2
        else:
            out.append(letter)
            position += 1
    return "".join(out)


def _typed(kind: schema.Type, text: str) -> Any:
    """A value of the schema's type; what cannot be read becomes the default."""
    try:
        match kind.kind:
            case "i":
                return int(text)
            case "f":
                return float(text)
            case "b":
                return {"true": True, "false": False}[text]
            case "d":
                return Date(text) if text else EPOCH
            case "set":
                return [_typed(kind.of, item) for item in parse_expression(text) if isinstance(item, str)]
            case "map":
                return {
                    pair[0]: _typed(kind.of, pair[1])
                    for pair in parse_expression(text)
                    if isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)
                }
            case _:
                return text
    except (ValueError, KeyError):
        return kind.default()


def _guessed(text: str) -> Any:
    """A field that this lab does not know: a set or map if it looks like one."""
    if not text.startswith("("):
        return text
    try:
        items = parse_expression(text)
    except ValueError:
        return text
    if items and all(isinstance(item, list) and len(item) == 2 for item in items):
        return {str(item[0]): str(item[1]) for item in items}
    return [item for item in items if isinstance(item, str)]


def parse_expression(text: str) -> list[Any]:
    """An expression like ``('a' 'b')`` or ``(('k' 'v'))`` as (nested) lists. Raises ``ValueError``."""
    reader = _Expression(text)
    items = reader.read()
    if not isinstance(items, list):
        raise ValueError("not a list")
    return items


class _Expression:
    """A reader of quoted strings in parentheses; at most three levels deep, as in every dump."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def read(self) -> Any:
        """The expression at the present position."""
        value = self._value(0)
        self._skip_blanks()
        if self._position != len(self._text):
            raise ValueError("something follows")
        return value

    def _skip_blanks(self) -> None:
        while self._position < len(self._text) and self._text[self._position] in " \t\r\n":
            self._position += 1

    def _value(self, depth: int) -> Any:
        self._skip_blanks()
        letter = self._text[self._position : self._position + 1]
        if letter == "(" and depth < 3:
            self._position += 1
            items: list[Any] = []
            while True:
                self._skip_blanks()
                if self._text[self._position : self._position + 1] == ")":
                    self._position += 1
                    return items
                items.append(self._value(depth + 1))
        if letter == "'":
            return self._string()
        raise ValueError("a quote or parenthesis is missing")

    def _string(self) -> str:
        out: list[str] = []
        position = self._position + 1
        text = self._text
        while position < len(text):
            letter = text[position]
            if letter == "\\" and position + 1 < len(text):
                out.append(text[position + 1])
                position += 2
            elif letter == "'":
                self._position = position + 1
                return "".join(out)
            else:
                out.append(letter)
                position += 1
        raise ValueError("a string does not end")
