"""Text grammar 3 of 4: WMI object paths, ``\\\\HOST\\root\\virtualization\\v2:Class.Key="value"``.

Settings refer to each other by such paths (a disk to its drive, a card to its switch). Any thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hvconsole.errors import InvalidInput
from hvconsole.text import unsendable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")
_HOST = re.compile(r"[^\s\\/:*?\"<>|,=]{1,255}")
_PATH = re.compile(r"(?:\\\\[^\\]+\\(?P<namespace>[^:\"]+):)?(?P<class>[A-Za-z_]\w*)(?:\.(?P<keys>.+)|=@)?", re.DOTALL)
_KEY = re.compile(
    r"\s*(?P<name>\w+)\s*=\s*"
    r"(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^,\"']*))\s*(?:,|$)",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A parsed path; key names are in lower case, because WMI compares them so."""

    class_name: str
    keys: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""


def relative(class_name: str, keys: Mapping[str, str]) -> str:
    """``Class.Key="value",…``. Raises ``InvalidInput`` for names and values that a path cannot carry."""
    if _NAME.fullmatch(class_name) is None or not keys or not all(_NAME.fullmatch(key) for key in keys):
        raise InvalidInput("That isn't a class or property name.", class_name[:100])
    parts = [f'{key}="{_escape(value)}"' for key, value in keys.items()]
    return f"{class_name}.{','.join(parts)}"


def absolute(host: str, namespace: str, class_name: str, keys: Mapping[str, str]) -> str:
    """The full path on ``host``; ``namespace`` with forward slashes. Raises ``InvalidInput``."""
    if _HOST.fullmatch(host) is None:
        raise InvalidInput("That isn't a host name.", host[:100])
    return f"\\\\{host}\\{namespace.replace('/', chr(92))}:{relative(class_name, keys)}"


def parse(path: str) -> ObjectPath | None:
    """What a path from the host says, or None where it is none. Both quotes and missing host parts are accepted."""
    match = _PATH.fullmatch(path.strip())
    if match is None:
        return None
    keys: dict[str, str] = {}
    rest = match["keys"] or ""
    position = 0
    while position < len(rest):
        key = _KEY.match(rest, position)
        if key is None or key.end() == position:
            return None
        quoted = key["double"] if key["double"] is not None else key["single"]
        keys[key["name"].lower()] = _ESCAPED.sub(r"\1", quoted) if quoted is not None else key["bare"].strip()
        position = key.end()
    return ObjectPath(match["class"], keys, (match["namespace"] or "").replace("\\", "/").lower())


def _escape(value: str) -> str:
    reason = unsendable(value)
    if reason is not None:
        raise InvalidInput(reason)
    return value.replace("\\", "\\\\").replace('"', '\\"')
