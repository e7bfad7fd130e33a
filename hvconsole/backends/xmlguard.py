"""What no reply of any server needs is refused before a client library's parser sees it.

A document type declaration is the door to every known attack on expat, and expat 2.5 crashes the process on a long
chain of entities. So it is looked for in the bytes, in an encoding that can hide nothing, and never by expat itself.
Pure functions; any thread.
"""

from __future__ import annotations

import re
from xml.parsers import expat

from hvconsole.errors import BadReply

DEPTH = 200
"""Deepest nesting of elements; real replies stay under 40."""
TOKEN_BYTES = 1 << 20
"""Largest start tag, comment or processing instruction."""
FEED_BYTES = 1 << 18
"""Piece size for expat: it rescans an unfinished token with every piece, so pieces must not be small."""

_DOCTYPE = b"<!DOCTYPE"
_ENCODINGS = {b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin-1", b"latin1", b"windows-1252"}
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?\bencoding\s*=\s*["']([^"']*)["']""")


def check_start(head: bytes) -> None:
    """Refuse encodings in which a byte search could miss something. ``head``: the first 256 bytes or more.

    Raises ``BadReply``.
    """
    if b"\0" in head[:256] or head[:2] in (b"\xfe\xff", b"\xff\xfe") or head[:4] == b"\x4c\x6f\xa7\x94":
        raise BadReply("The server's answer is in an encoding that isn't accepted.")
    head = head.removeprefix(b"\xef\xbb\xbf")
    declared = _DECLARED.match(head[:1024])
    if declared and declared.group(1).strip().lower() not in _ENCODINGS:
        raise BadReply("The server's answer is in an encoding that isn't accepted.", _shown(declared.group(1)))
    if head[:5].upper() == b"<?XML" and b"?>" not in head[:1024]:
        raise BadReply("The server's answer begins with an XML declaration that has no end.")


def check_piece(piece: bytes, before: bytes = b"") -> None:
    """Refuse a document type declaration in ``piece``; ``before`` is the end of the piece before it.

    Raises ``BadReply``.
    """
    if _DOCTYPE in piece or (before and _DOCTYPE in before[-len(_DOCTYPE) + 1 :] + piece[: len(_DOCTYPE)]):
        raise BadReply("The server's answer carries a document type declaration, which is never accepted.")


def check_xml(body: bytes, elements: int) -> None:
    """Refuse a body that no parser should see: DOCTYPE, odd encoding, depth, oversize tokens, too many elements.

    ``elements``: most elements allowed. Malformed XML passes; the parser that comes next says it better. Raises
    ``BadReply``. Costs about 15 ms per MiB.
    """
    check_start(body)
    check_piece(body)
    # Every element needs a start tag, and a text can hold no bare "<": counting at C speed is enough.
    if body.count(b"<") - body.count(b"</") > elements:
        raise BadReply("The server's answer has too many elements.")
    if len(body) < DEPTH * 4 and b"<!--" not in body:
        return
    _check_tokens(body)


def _check_tokens(body: bytes) -> None:
    parser = expat.ParserCreate()
    depth = 0

    def start(_name: str, attributes: list[str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH:
            raise BadReply("The server's answer nests too deeply.")
        if attributes and sum(map(len, attributes)) > TOKEN_BYTES:
            raise BadReply("The server's answer has an oversize attribute.")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def comment(text: str) -> None:
        if len(text) > TOKEN_BYTES:
            raise BadReply("The server's answer has an oversize comment.")

    parser.ordered_attributes = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CommentHandler = comment
    view = memoryview(body)
    try:
        for begin in range(0, len(body), FEED_BYTES):
            stop = min(begin + FEED_BYTES, len(body))
            parser.Parse(view[begin:stop], stop == len(body))
            if stop - parser.CurrentByteIndex > TOKEN_BYTES + FEED_BYTES:
                raise BadReply("The server's answer has an oversize tag or comment.")
    except expat.ExpatError:
        return


def _shown(raw: bytes) -> str:
    return raw[:60].decode("ascii", "replace")
