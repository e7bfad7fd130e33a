"""Reading single fields of XenAPI records, whatever a server of any age or intent put there. Pure; any thread.

Missing, of another type, out of range: the default. XML-RPC sends API ints as text, JSON-RPC as numbers.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hvconsole.model import PowerState

Record = Mapping[str, Any]

NULL = "OpaqueRef:NULL"
_NULLS = frozenset({NULL, "", "Ref:NULL", "NULL"})
MAX_NAME = 100_000

_POWER = {
    "running": PowerState.RUNNING,
    "halted": PowerState.HALTED,
    "suspended": PowerState.SUSPENDED,
    "paused": PowerState.PAUSED,
}
_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})T(\d{2}):?(\d{2}):?(\d{2})(?:[.,]\d+)?\s*(Z|[+-]\d{2}:?\d{2}|)")


def text(record: Record, name: str) -> str:
    """A string field; empty where missing."""
    value = record.get(name)
    return value if isinstance(value, str) else ""


def flag(record: Record, name: str, default: bool = False) -> bool:
    """A bool field; "true" and "1" count, since maps carry text."""
    value = record.get(name)
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value:
        return value.lower() in ("true", "1")
    return default


def number(record: Record, name: str) -> int | None:
    """An int field, sent as text or number; None where missing or not a number that fits 64 bits."""
    value = record.get(name)
    if type(value) is int:  # not bool; what JSON-RPC sends
        return value if abs(value) < 2**63 else None
    if isinstance(value, str):
        if len(value) > 20:
            return None
        try:
            value = int(value)
        except ValueError:
            return None
    elif isinstance(value, float):
        if not abs(value) < 2**63:  # also NaN
            return None
        value = int(value)
    else:
        return None
    return value if abs(value) < 2**63 else None


def size(record: Record, name: str) -> int | None:
    """A byte count or count of things: a number that is not negative, else None."""
    value = number(record, name)
    return value if value is not None and value >= 0 else None


def ref(record: Record, name: str) -> str:
    """A reference; empty for null in any of its spellings."""
    value = record.get(name)
    return "" if not isinstance(value, str) or value in _NULLS else value


def strings(record: Record, name: str) -> tuple[str, ...]:
    """A set of strings, empty ones dropped."""
    value = record.get(name)
    if not isinstance(value, list) or not value:
        return ()
    return tuple([item for item in value if isinstance(item, str) and item])


def refs(record: Record, name: str) -> tuple[str, ...]:
    """A set of references, null ones dropped."""
    return tuple(item for item in strings(record, name) if item not in _NULLS)


def mapping(record: Record, name: str) -> Mapping[str, Any]:
    """A map field; empty where missing."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def texts(record: Record, name: str) -> dict[str, str]:
    """A map of strings to strings."""
    value = record.get(name)
    if not isinstance(value, dict) or not value:
        return {}
    return {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, str)}


def power(record: Record) -> PowerState:
    """``power_state``; what a future server invents is unknown."""
    return _POWER.get(text(record, "power_state").lower(), PowerState.UNKNOWN)


def date(record: Record, name: str) -> dt.datetime | None:
    """A date field, aware, UTC; None for "never" (1970) and for what is no date."""
    value = record.get(name)
    if not isinstance(value, str):
        value = getattr(value, "value", None)  # xmlrpc.client.DateTime
    return parse_date(value) if isinstance(value, str) and len(value) < 40 else None


@lru_cache(maxsize=4096)
def parse_date(value: str) -> dt.datetime | None:
    """20190113T19:40:34Z, with dashes, with an offset, or without any zone (then UTC) → aware UTC."""
    match = _DATE.fullmatch(value.strip())
    if match is None:
        return None
    zone = match[7].replace(":", "")
    try:
        moment = dt.datetime(*(int(part) for part in match.groups()[:6]), tzinfo=dt.UTC)  # type: ignore[misc, arg-type]
        if zone not in ("", "Z"):
            offset = dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
            moment = moment - offset if zone[0] == "+" else moment + offset
    except (ValueError, OverflowError):
        return None
    return moment if moment.year > 1970 else None


def epoch(value: str) -> dt.datetime | None:
    """Seconds since 1970 as other_config keeps them ("1675817747.") → aware UTC, or None."""
    try:
        seconds = float(value)
    except ValueError:
        return None
    if not 0 < seconds < 4e9:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
