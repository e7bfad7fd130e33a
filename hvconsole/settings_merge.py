"""Settings that two consoles changed: what each of them changed is kept. Pure: any thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ABSENT = object()


def merged(base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """``theirs`` with everything that differs between ``base`` and ``ours``; all three as in the settings file.

    Objects are merged key by key and saved servers by id; anything else is one value. What both changed is ours.
    """
    return _named(_merged(_by_id(base), _by_id(ours), _by_id(theirs)))


def _merged(base: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key in (*theirs, *(key for key in ours if key not in theirs)):
        before, mine, other = (values.get(key, _ABSENT) for values in (base, ours, theirs))
        if mine == before:
            kept = other
        elif isinstance(mine, Mapping) and isinstance(other, Mapping):
            kept = _merged(before if isinstance(before, Mapping) else {}, mine, other)
        elif mine is _ABSENT and isinstance(before, Mapping) and isinstance(other, Mapping):
            # all that we knew in it is gone; the other may have put something new there
            kept = _merged(before, {}, other) or _ABSENT
        else:
            kept = mine
        if kept is not _ABSENT:
            found[key] = kept
    return found


def _by_id(settings: Mapping[str, Any]) -> dict[str, Any]:
    servers = settings.get("servers")
    if not isinstance(servers, list):
        return dict(settings)
    rows = {str(row.get("id")): row for row in servers if isinstance(row, Mapping)}
    return {**settings, "servers": rows}


def _named(settings: dict[str, Any]) -> dict[str, Any]:
    servers = settings.get("servers")
    return {**settings, "servers": list(servers.values())} if isinstance(servers, Mapping) else settings
