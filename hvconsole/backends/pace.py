"""How often a server may be asked for changes that answers at once every time. One thread.

Long polls are paced by the server: it answers when something happened. One that is very busy, broken or hostile answers
thousands of times a second, and would take a whole core and the window's breath.
"""

from __future__ import annotations

from hvconsole.clock import Clock


class Pace:
    """Lets ``burst`` questions pass at once, and ``per_s`` a second after that."""

    def __init__(self, clock: Clock, *, burst: int, per_s: float) -> None:
        self._clock = clock
        self._burst = float(burst)
        self._per_s = per_s
        self._left = self._burst
        self._at = clock.monotonic()

    def pause_s(self) -> float:
        """Seconds to wait before the question that is about to be asked; it is counted."""
        now = self._clock.monotonic()
        self._left = max(-1.0, min(self._burst, self._left + (now - self._at) * self._per_s) - 1)
        self._at = now
        return max(0.0, -self._left / self._per_s)
