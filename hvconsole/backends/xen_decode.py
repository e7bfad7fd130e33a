"""XML-RPC replies → Python values, in one pass while the bytes come in.

The standard library's decoder takes any document; this one takes what xapi may send (bare strings, no fault inside a
value, no nesting of values), refuses the rest as ``xmlguard`` does, and is a third faster. Ints are Python ints, dates
stay text: xapi writes them in more ways than ``xmlrpc.client.DateTime`` reads. One decoder per reply; worker threads.
"""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Callable
from xml.parsers import expat

from hvconsole.backends.xmlguard import FEED_BYTES, TOKEN_BYTES, check_piece, check_start
from hvconsole.errors import BadReply

CONTAINER_DEPTH = 40
"""Deepest nesting of structs and arrays; xapi's own replies reach 5."""

TEXT_CHARS = 4 << 20
"""Longest single text; xapi's longest are task results and message bodies."""

Value = object
"""str, int, float, bool, None, or lists and dicts of them."""


def _integer(text: str) -> int:
    if len(text) > 24:
        raise ValueError("number of more than 24 digits")
    return int(text)


_SCALARS: dict[str, Callable[[str], Value]] = {
    "string": str,
    "i4": _integer,
    "int": _integer,
    "i8": _integer,
    "boolean": lambda text: text.strip() == "1",
    "double": float,
    "dateTime.iso8601": str.strip,
    "nil": lambda text: None,
    "base64": str,
}
_FRAME = frozenset({"methodResponse", "params", "param", "fault", "data", "member", "name", "value"})


class ReplyDecoder:
    """Feed it pieces, then ``close``. Raises ``BadReply`` for what is refused, ``ExpatError`` and the like for junk.

    ``elements``: most XML elements accepted.
    """

    def __init__(self, elements: int) -> None:
        self._tags_left = 2 * elements
        self._held = bytearray()
        self._tail = b""
        self._fed = 0
        self._started = False
        self._fault = False
        self._top: list[Value] = []
        self._parser = expat.ParserCreate("UTF-8")
        self._parser.buffer_text = True
        self._parser.buffer_size = FEED_BYTES
        self._connect_handlers()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes; decoded in larger steps."""
        self._held += piece
        if len(self._held) >= FEED_BYTES:
            self._parse(final=False)

    def close(self) -> Value:
        """The decoded value of the reply. Raises ``xmlrpc.client.Fault`` where the reply is one."""
        self._parse(final=True)
        if len(self._top) != 1:
            raise BadReply("The server's answer is not a reply to a call.")
        if self._fault:
            details = self._top[0]
            if not isinstance(details, dict):
                raise BadReply("The server's answer is not a reply to a call.")
            raise xmlrpc.client.Fault(int(details["faultCode"]), str(details["faultString"]))
        return self._top[0]

    def _parse(self, *, final: bool) -> None:
        data = bytes(self._held)
        self._held.clear()
        if not self._started:
            check_start(data)
            self._started = True
        check_piece(data, self._tail)
        self._tail = data[-16:]
        self._tags_left -= data.count(b"<")
        if self._tags_left < 0:
            raise BadReply("The server's answer has too many elements.")
        self._fed += len(data)
        self._parser.Parse(data, final)
        if self._fed - self._parser.CurrentByteIndex > TOKEN_BYTES + FEED_BYTES:
            raise BadReply("The server's answer has an oversize tag or comment.")

    def _connect_handlers(self) -> None:
        """Closures over locals: this runs once per tag, a million times in a large inventory."""
        containers: list[list[Value] | dict[str, Value]] = [self._top]
        names: list[str] = []
        text = ""
        value: Value = ""
        decided = False
        inside_value = False

        def start(tag: str, attributes: dict[str, str]) -> None:
            nonlocal text, decided, inside_value
            text = ""
            if tag == "value":
                if inside_value:
                    raise BadReply("The server's answer nests values in values.")
                inside_value = True
                decided = False
            elif tag in ("struct", "array"):
                inside_value = False
                containers.append({} if tag == "struct" else [])
                if len(containers) > CONTAINER_DEPTH:
                    raise BadReply("The server's answer nests too deeply.")
            elif tag == "fault":
                self._fault = True
            elif tag not in _FRAME and tag not in _SCALARS:
                raise BadReply("The server's answer is not XML-RPC.", tag[:60])

        def end(tag: str) -> None:
            nonlocal text, value, decided, inside_value
            if tag == "value":
                container = containers[-1]
                if type(container) is list:
                    container.append(value if decided else text)
                else:
                    container[names.pop()] = value if decided else text  # type: ignore[call-overload]
                inside_value = False
            elif tag == "name":
                names.append(text)
            elif tag == "struct" or tag == "array":
                value = containers.pop()
                decided = inside_value = True
            elif tag in _SCALARS:
                value = _SCALARS[tag](text)
                decided = True

        def characters(more: str) -> None:
            nonlocal text
            text = text + more if text else more
            if len(text) > TEXT_CHARS:
                raise BadReply("The server's answer holds an oversize text.")

        self._parser.StartElementHandler = start
        self._parser.EndElementHandler = end
        self._parser.CharacterDataHandler = characters
