"""References and UUIDs of the XenAPI objects that stand for objects of the world. Pure; any thread.

A world object is often several XenAPI objects (a VM has metrics, a console…). Each gets an identity of its own,
derived from the world id, so that a client which mixes up references and UUIDs is found out. Objects that came from
a database dump keep theirs in ``extra["refs"]``: role → (reference, uuid).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

_ROLES = ("self", "metrics", "guest_metrics", "console", "cpu")


_PER_BOOT = frozenset({"guest_metrics", "console"})
"""Parts that are made anew at each start, with new identities."""


@lru_cache(maxsize=1 << 17)
def _turned(world_id: str, places: int, generation: int = 0) -> str:
    digits = world_id.replace("-", "")
    digits = digits[places:] + digits[:places]
    if generation:
        digits = f"{(int(digits[:8], 16) + generation * 0x9E3779B1) % (1 << 32):08x}" + digits[8:]
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def ref_of_id(world_id: str, role: str = "self", generation: int = 0) -> str:
    """The reference of an object that was born in the lab."""
    return "OpaqueRef:" + _turned(world_id, 3 + 5 * _ROLES.index(role), generation)


def _generation(obj: Any, role: str) -> int:
    generation: int = getattr(obj, "boots", 0) if role in _PER_BOOT else 0
    return generation


def ref(obj: Any, role: str = "self") -> str:
    """The reference of a world object, or of one of its parts."""
    generation = _generation(obj, role)
    kept = getattr(obj, "extra", {}).get("refs")
    if kept and role in kept and not generation:
        found: str = kept[role][0]
        return found
    return ref_of_id(obj.id, role, generation)


def uuid(obj: Any, role: str = "self") -> str:
    """The uuid of the same."""
    generation = _generation(obj, role)
    kept = getattr(obj, "extra", {}).get("refs")
    if kept and role in kept and not generation:
        found: str = kept[role][1]
        return found
    if role == "self":
        world_id: str = obj.id
        return world_id
    return _turned(obj.id, 4 + 5 * _ROLES.index(role), generation)
