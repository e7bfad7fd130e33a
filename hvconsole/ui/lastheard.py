"""How each monitor stands, as of its last event: thousands of rows must not ask thousands of monitors again.

Tk thread only.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from hvconsole.monitor.status import MonitorState, MonitorStatus, VmKey


class LastHeard:
    """Status by VM."""

    def __init__(self) -> None:
        self._statuses: dict[VmKey, MonitorStatus] = {}
        self._down: set[VmKey] = set()

    def hear(self, key: VmKey, status: MonitorStatus | None) -> None:
        """A monitor has something new; None: it is gone."""
        if status is None:
            self._statuses.pop(key, None)
        else:
            self._statuses[key] = status
        if status is not None and status.state is MonitorState.DOWN:
            self._down.add(key)
        else:
            self._down.discard(key)

    def status(self, key: VmKey) -> MonitorStatus | None:
        """How this one stood when it was last heard."""
        return self._statuses.get(key)

    def down(self, among: AbstractSet[VmKey]) -> int:
        """How many of these have lost their network."""
        return len(self._down & among)
