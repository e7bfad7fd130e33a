"""Names of inventory objects: the server escapes slash, backslash and percent in them. Pure."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"%(2f|5c|25)", re.IGNORECASE)


def shown_name(name: str) -> str:
    """A name as people know it: the server escapes slash, backslash and percent in the names of inventory objects."""
    if "%" not in name:
        return name
    return _ESCAPED.sub(lambda found: chr(int(found.group(1), 16)), name)


def shown_snapshot_name(name: str) -> str:
    """A snapshot's name as people know it.

    VMware's client escapes the slashes of the dates in its own default names, and some servers escape that once more.
    """
    return shown_name(shown_name(name))


def sent_name(name: str) -> str:
    """The reverse of ``shown_name``."""
    return name.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")
