"""Python's cycle collector, run by the Tk thread alone while the window stands.

Pictures, fonts and variables of Tk call Tk when they are collected. Left to itself the collector runs in whichever
thread allocates next: a worker would then wait for the Tk thread in the middle of anything, locks in its hands, and
the Tk thread may be waiting for just that lock.
"""

from __future__ import annotations

import gc
import tkinter as tk

LOOK_MS = 500
"""How often to look whether there is enough to collect."""
YOUNG = 2_000
"""New objects from which on the youngest generation is collected."""
OLDER_EVERY = 10
"""Collections of a generation after which the next older one is collected too."""
OLDEST_MS = 60_000
"""Shortest time between two collections of everything: with a large inventory one takes a tenth of a second."""


class Collecting:
    """Takes the collector over on ``start`` and gives it back on ``stop``. Tk thread only."""

    def __init__(self, root: tk.Misc) -> None:
        self._root = root
        self._thresholds: tuple[int, int, int] | None = None
        self._timer: str | None = None
        self._young = 0
        self._middle = 0
        self._since_oldest_ms = 0

    def start(self) -> None:
        """No collection in other threads from now on. (A threshold of 0, because others use ``gc.enable``.)"""
        if self._thresholds is None:
            self._thresholds = gc.get_threshold()
            gc.set_threshold(0)
            self._timer = self._root.after(LOOK_MS, self._look)

    def stop(self) -> None:
        """Collect once more and let Python do it again."""
        if self._timer is not None:
            self._root.after_cancel(self._timer)
            self._timer = None
        if self._thresholds is not None:
            gc.collect()
            gc.set_threshold(*self._thresholds)
            self._thresholds = None

    def _look(self) -> None:
        self._timer = self._root.after(LOOK_MS, self._look)
        self._since_oldest_ms += LOOK_MS
        if not gc.isenabled() or gc.get_count()[0] < YOUNG:  # someone builds a large inventory, or too little to do
            return
        gc.collect(self._generation())

    def _generation(self) -> int:
        """Which generation is due."""
        self._young += 1
        if self._young < OLDER_EVERY:
            return 0
        self._young = 0
        self._middle += 1
        if self._middle < OLDER_EVERY or self._since_oldest_ms < OLDEST_MS:
            return 1
        self._middle = self._since_oldest_ms = 0
        return 2
