"""Names of inventory objects: the server escapes slash, backslash and percent in them. Pure."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"%(2f|5c|25)", re.IGNORECASE)


def shown_name(name: str) -> str:
    """A name as people know it: the server escapes slash, backslash and percent in the names of inventory objects."""
    if "%" not in name:
        return name
    return _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), name)


def sent_name(name: str) -> str:
    """The reverse of ``shown_name``."""
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")
