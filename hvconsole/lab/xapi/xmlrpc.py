"""XML-RPC requests in, responses out: an own reader on expat that refuses DOCTYPEs and bounds depth and size."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.values import Date, to_xml

_MAX_DEPTH = 100
_HEAD = '<?xml version="1.0"?><methodResponse><params><param>'
_TAIL = "</param></params></methodResponse>"


class Malformed(Exception):
    """Not an XML-RPC document that we read."""


class _Frame:
    """A value under construction: ``kind`` is "value", "array", "struct" or the tag of a scalar."""

    __slots__ = ("items", "kind", "name", "result", "text", "typed")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.text: list[str] = []
        self.items: Any = [] if kind == "array" else {} if kind == "struct" else None
        self.name = ""
        self.typed = False
        self.result: Any = ""


class _Reader:
    """Handlers for expat. Finished values outside any container gather in ``values``."""

    def __init__(self) -> None:
        self.method: str | None = None
        self.values: list[Any] = []
        self._stack: list[_Frame] = []
        self._text: list[str] | None = None
        self.depth = 0

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Malformed("nested too deeply")
        if tag == "value":
            frame = _Frame("value")
            self._stack.append(frame)
            self._text = frame.text
        elif tag in ("array", "struct"):
            self._stack.append(_Frame(tag))
            self._text = None
        elif tag in ("name", "methodName"):
            self._text = []
        elif tag in _SCALARS:
            if not self._stack:
                raise Malformed(f"<{tag}> outside a value")
            self._stack[-1].typed = True
            self._text = []

    def data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "methodName":
            self.method = "".join(self._text or ())
            self._text = None
        elif tag == "name":
            self._top("struct").name = "".join(self._text or ())
            self._text = None
        elif tag in _SCALARS:
            self._top("value").result = _scalar(tag, "".join(self._text or ()))
            self._text = None
        elif tag in ("array", "struct"):
            done = self._stack.pop()
            frame = self._top("value")
            frame.result, frame.typed = done.items, True
            self._text = None
        elif tag == "value":
            frame = self._stack.pop()
            self._deliver(frame.result if frame.typed else "".join(frame.text))
            self._text = None

    def _top(self, kind: str) -> _Frame:
        if not self._stack or self._stack[-1].kind != kind:
            raise Malformed(f"no <{kind}> here")
        return self._stack[-1]

    def _deliver(self, value: Any) -> None:
        if not self._stack:
            self.values.append(value)
            return
        parent = self._stack[-1]
        if parent.kind == "array":
            parent.items.append(value)
        elif parent.kind == "struct":
            parent.items[parent.name] = value
        else:
            raise Malformed("a value in a value")


_SCALARS = frozenset({"string", "int", "i4", "i8", "boolean", "double", "dateTime.iso8601", "base64", "nil"})


def _scalar(tag: str, text: str) -> Any:
    try:
        match tag:
            case "int" | "i4" | "i8":
                return int(text)
            case "boolean":
                return {"1": True, "0": False}[text.strip()]
            case "double":
                return float(text)
            case "dateTime.iso8601":
                return Date(text.strip())
            case "nil":
                return None
            case _:
                return text
    except (ValueError, KeyError):
        raise Malformed(f"bad <{tag}>") from None


def _read(body: bytes) -> _Reader:
    parser = expat.ParserCreate()
    reader = _Reader()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data

    def refuse(*_: Any) -> None:
        raise Malformed("DOCTYPE is not accepted")

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: odd encodings, unbalanced values
        raise Malformed(str(error)) from None
    return reader


def read_call(body: bytes) -> tuple[str, list[Any]]:
    """Method and parameters of a request; raises ``Malformed``."""
    reader = _read(body)
    if reader.method is None:
        raise Malformed("no methodName")
    return reader.method, reader.values


def read_value(text: bytes) -> Any:
    """A lone ``<value>`` (task results, ova.xml); raises ``Malformed``."""
    values = _read(text).values
    if len(values) != 1:
        raise Malformed("one value expected")
    return values[0]


def success(value: Any, *, enveloped: bool = True) -> bytes:
    """The response that carries ``value``."""
    if not enveloped:
        return f"{_HEAD}{to_xml(value)}{_TAIL}".encode()
    return (
        f"{_HEAD}<value><struct><member><name>Status</name><value>Success</value></member>"
        f"<member><name>Value</name>{to_xml(value)}</member></struct></value>{_TAIL}"
    ).encode()


def failure(error: Failure) -> bytes:
    """The response that carries a failure."""
    return (
        f"{_HEAD}<value><struct><member><name>Status</name><value>Failure</value></member>"
        f"<member><name>ErrorDescription</name>{to_xml(error.description)}</member></struct></value>"
        f"{_TAIL}"
    ).encode()
