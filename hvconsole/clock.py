"""Time as an argument. Product code never calls ``time`` or ``datetime.now`` elsewhere.

``SystemClock`` may be used from every thread.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What code that needs time asks for."""

    def monotonic(self) -> float:
        """Seconds that never go back; for durations."""

    def now(self) -> dt.datetime:
        """The present moment, aware, UTC; for records."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until ``stop`` is set or ``seconds`` have passed; True if stopped."""


class SystemClock:
    """The real clock. Monotonic time includes suspend where the platform offers it (CLOCK_BOOTTIME)."""

    def __init__(self) -> None:
        self._clock_id = getattr(time, "CLOCK_BOOTTIME", None)

    def monotonic(self) -> float:
        if self._clock_id is not None:
            return time.clock_gettime(self._clock_id)
        return time.monotonic()

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        return stop.wait(max(0.0, seconds))
