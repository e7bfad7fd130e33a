"""The one road from any thread to the Tk thread: a queue that the Tk thread empties in small portions.

``post`` and ``post_latest`` may be called from every thread, at any time, also before the main loop runs and after it
has ended; nothing else in here may.
"""

from __future__ import annotations

import queue
import sys
import threading
import tkinter as tk
from collections.abc import Callable, Hashable

from hvconsole.clock import Clock

Thunk = Callable[[], object]

BUDGET_S = 0.008
"""Longest time that messages may take of one turn of the main loop."""
BUSY_MS = 10
"""Pause to the next turn while messages flow."""
IDLE_MS = 33
"""Pause to the next turn else; below what people notice, 1 % of a core."""


class Dispatcher:
    """Carries work from any thread to the Tk thread."""

    def __init__(self, root: tk.Tk, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._thread = threading.get_ident()
        self._queue: queue.SimpleQueue[Thunk] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._latest: dict[Hashable, Thunk] = {}
        self._after_id: str | None = None
        self._stopped = False
        self.longest_s = 0.0
        """Longest single message so far, for the beat benchmark."""

    def start(self) -> None:
        """Begin to empty the queue."""
        self._stopped = False
        self._tick()

    def stop(self) -> None:
        """Stop; what is still queued is dropped. Must come before the root is destroyed."""
        self._stopped = True
        if self._after_id is not None:
            self._root.after_cancel(self._after_id)
            self._after_id = None

    # ---- any thread ----------------------------------------------------------------------------------------

    def post(self, thunk: Thunk) -> None:
        """Run ``thunk`` in the Tk thread, in the order of posting. Any thread; never blocks."""
        self._queue.put(thunk)

    def post_latest(self, key: Hashable, thunk: Thunk) -> None:
        """Like ``post``, but a newer thunk for the same key replaces one that has not run yet.

        Only for what says how things stand now, never for what happened.
        """
        with self._lock:
            waiting = key in self._latest
            self._latest[key] = thunk
        if not waiting:
            self._queue.put(lambda: self._run_latest(key))

    # ---- Tk thread -----------------------------------------------------------------------------------------

    def check_thread(self) -> None:
        """Raise ``RuntimeError`` outside of the Tk thread."""
        if threading.get_ident() != self._thread:
            raise RuntimeError(f"Tk was touched by the thread {threading.current_thread().name}")

    def run_pending(self, wait_s: float = 0.0) -> bool:
        """Run queued thunks for at most the budget; True if some are left. ``wait_s``: wait for a first one (tests)."""
        self.check_thread()
        began = self._clock.monotonic()
        try:
            thunk = self._queue.get(timeout=wait_s) if wait_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return False
        if wait_s > 0:
            began = self._clock.monotonic()
        while True:
            before = self._clock.monotonic()
            self._run(thunk)
            now = self._clock.monotonic()
            self.longest_s = max(self.longest_s, now - before)
            if now - began >= BUDGET_S:
                return not self._queue.empty()
            try:
                thunk = self._queue.get_nowait()
            except queue.Empty:
                return False

    def _run_latest(self, key: Hashable) -> None:
        with self._lock:
            thunk = self._latest.pop(key)
        thunk()

    def _run(self, thunk: Thunk) -> None:
        try:
            thunk()
        except Exception:  # noqa: BLE001 - outer edge: one bad message must not stop the others; the root reports it
            self._root.report_callback_exception(*sys.exc_info())

    def _tick(self) -> None:
        if self._stopped:
            return
        # Armed before the work: a message that opens a dialog waits in an event loop of its own, and the queue must
        # be emptied there too.
        pause = IDLE_MS if self._queue.empty() else BUSY_MS
        self._after_id = self._root.after(pause, self._tick)
        self.run_pending()
