"""Text grammar 1 of 4: XML. Every text that goes into a request passes ``text`` or ``attribute``.

Reading is liberal where hosts are known to be sloppy (control characters that a guest put into its own name), and
strict where attacks live: ``parse`` refuses document types, depth and size before expat sees the body. Any thread.
"""

from __future__ import annotations

import logging
import re
import xml.etree.ElementTree as ET

from hvconsole.backends import xmlguard
from hvconsole.errors import BadReply, InvalidInput
from hvconsole.text import unsendable

log = logging.getLogger(__name__)

_ILLEGAL_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CHAR_REFERENCE = re.compile(rb"&#(x[0-9A-Fa-f]{1,6}|[0-9]{1,7});")


def text(value: str) -> str:
    """``value`` as XML character data. Raises ``InvalidInput`` for characters that XML cannot carry."""
    reason = unsendable(value)
    if reason is not None:
        raise InvalidInput(reason)
    # A bare carriage return would arrive as a line feed; "]]>" must not occur in character data.
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def attribute(value: str) -> str:
    """``value`` as the inside of a double-quoted XML attribute. Raises as ``text``."""
    return text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def parse(body: bytes, elements: int) -> ET.Element:
    """The root element of ``body``, of which at most ``elements`` elements are accepted. Raises ``BadReply``."""
    xmlguard.check_xml(body, elements)
    try:
        return ET.fromstring(body)
    except (ET.ParseError, ValueError) as exc:
        cleaned = _without_illegal(body)
        if cleaned == body:
            raise BadReply("The server's answer isn't well-formed XML.", str(exc)) from exc
    log.warning("an answer carried characters that XML does not allow; they were replaced")
    # The first check ended where the XML did: at the character that is mended now.
    xmlguard.check_xml(cleaned, elements)
    try:
        return ET.fromstring(cleaned)
    except (ET.ParseError, ValueError) as exc:
        raise BadReply("The server's answer isn't well-formed XML.", str(exc)) from exc


def _without_illegal(body: bytes) -> bytes:
    """Guests can write any character into their own facts, and some hosts pass it on: show U+FFFD instead."""

    def replaced(match: re.Match[bytes]) -> bytes:
        digits = match.group(1)
        code = int(digits[1:], 16) if digits[:1] == b"x" else int(digits)
        return match.group(0) if code <= 0x10FFFF and unsendable(chr(code)) is None else b"&#xFFFD;"

    return _CHAR_REFERENCE.sub(replaced, _ILLEGAL_BYTES.sub(b"&#xFFFD;", body))


def local_name(tag: object) -> str:
    """Name of a tag without its namespace; empty for comments and processing instructions."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
