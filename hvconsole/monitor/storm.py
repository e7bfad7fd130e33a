"""Limits on automatic snapshots of one server: how many in a minute, and whether many VMs fell together.

Plain state without a lock: its owner (``Watcher``) calls it under its own.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 60.0
COMMON_FRACTION = 0.3
"""More than this part of a server's ticked VMs lost within the window looks like one common cause …"""
COMMON_MINIMUM = 5
"""… if it is at least this many VMs."""


class StormBudget:
    """Snapshots taken and VMs lost in the last minute. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()
        self._lost: dict[object, float] = {}

    def try_take(self, now: float, per_minute: int) -> bool:
        """Use one of ``per_minute`` snapshots if there is one left."""
        while self._taken and now - self._taken[0] >= WINDOW_S:
            self._taken.popleft()
        if len(self._taken) >= per_minute:
            return False
        self._taken.append(now)
        return True

    def give_back(self) -> None:
        """The snapshot of the last ``try_take`` is not asked for after all."""
        if self._taken:
            self._taken.pop()

    def lost(self, vm: object, now: float) -> None:
        """``vm`` fell silent (again and again: the first time counts)."""
        self._forget(now)
        self._lost.setdefault(vm, now)

    def common_cause(self, now: float, ticked: int) -> bool:
        """Whether so many VMs fell within the window that it looks like one cause."""
        self._forget(now)
        fallen = len(self._lost)
        return fallen >= COMMON_MINIMUM and fallen > COMMON_FRACTION * ticked

    def _forget(self, now: float) -> None:
        # In the order of falling, so only the oldest have to be looked at.
        while self._lost:
            oldest, when = next(iter(self._lost.items()))
            if now - when < WINDOW_S:
                return
            del self._lost[oldest]
