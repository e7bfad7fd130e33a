"""References and UUIDs of the XenAPI objects that stand for objects of the world. Pure; any thread.

A world object is often several XenAPI objects (a VM has metrics, a console…). Each gets an identity of its own,
derived from the world id, so that a client which mixes up references and UUIDs is found out. Objects that came from
a database dump keep theirs in ``extra["refs"]``: role → (reference, uuid).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_ROLES = ("self", "metrics", "guest_metrics", "console", "cpu")


@lru_cache(maxsize=1 << 17)
def _turned(world_id: str, places: int) -> str:
    digits = world_id.replace("-", "")
    digits = digits[places:] + digits[:places]
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def ref_of_id(world_id: str, role: str = "self") -> str:
    """The reference of an object that was born in the lab."""
    return "OpaqueRef:" + _turned(world_id, 3 + 5 * _ROLES.index(role))


def ref(obj: Any, role: str = "self") -> str:
    """The reference of a world object, or of one of its parts."""
    kept = getattr(obj, "extra", {}).get("refs")
    if kept and role in kept:
        found: str = kept[role][0]
        return found
    return ref_of_id(obj.id, role)


def uuid(obj: Any, role: str = "self") -> str:
    """The uuid of the same."""
    kept = getattr(obj, "extra", {}).get("refs")
    if kept and role in kept:
        found: str = kept[role][1]
        return found
    if role == "self":
        world_id: str = obj.id
        return world_id
    return _turned(obj.id, 4 + 5 * _ROLES.index(role))
