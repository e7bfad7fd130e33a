"""One call to a server: its time limit, its size limits, its cancel. Every socket of the wire looks here.

A call belongs to the thread that makes it (``current``); ``abort`` may be called from any thread. Network deadlines
run on the real clock even where a test steers the program's time, because the other side does not know of it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from hvconsole.clock import SystemClock

CONNECT_S = 5.0
"""Limit for name lookup, for the TCP handshake and for the TLS handshake, each, in seconds."""

_clock = SystemClock()
_local = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How long a call may take and how much may come back."""

    total_s: float
    """From the first byte sent to the last byte read."""
    stall_s: float
    """Longest silence."""
    reply_bytes: int
    """Largest body, counted after inflation."""
    elements: int
    """Most XML elements in a body: parsing time, which no network limit bounds."""

    def longer(self, seconds: float) -> CallLimits:
        """The same limits for a call in which the server may keep silent for ``seconds`` on purpose (long polls)."""
        return CallLimits(
            total_s=self.total_s + seconds,
            stall_s=self.stall_s + seconds,
            reply_bytes=self.reply_bytes,
            elements=self.elements,
        )


ACTION = CallLimits(total_s=20, stall_s=10, reply_bytes=1 << 20, elements=30_000)
"""Logins, verbs, questions about one object."""
READ = CallLimits(total_s=60, stall_s=20, reply_bytes=16 << 20, elements=1_000_000)
"""A page of an inventory, an event batch, a set of measurements."""
INVENTORY = CallLimits(total_s=120, stall_s=30, reply_bytes=96 << 20, elements=6_000_000)
"""Everything of one kind at once: room for 10,000 VMs in XML-RPC, decoded while it comes in."""

EVERYTHING = CallLimits(total_s=900, stall_s=60, reply_bytes=96 << 20, elements=6_000_000)
"""All of an inventory, kind after kind and page after page: each has its own limits, all of them together this one, so
that a server that drips is given up some day."""


class Call:
    """The call under way in a thread. ``sent`` is true once a byte of a request left."""

    def __init__(self, limits: CallLimits) -> None:
        self.limits = limits
        self.sent = False
        self.aborted = False
        self.expired = False
        self._end = _clock.monotonic() + limits.total_s
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()

    def left(self, most: float | None = None) -> float:
        """Seconds until the next socket operation must have ended. Raises ``TimeoutError`` when none are left."""
        rest = self._end - _clock.monotonic()
        if rest <= 0 or self.aborted:
            self.expired = not self.aborted
            raise TimeoutError("time limit of the call")
        return min(rest, self.limits.stall_s if most is None else most)

    def use(self, sock: socket.socket) -> None:
        """Remember that this call waits on ``sock``, for ``abort``."""
        if sock in self._sockets:
            return
        with self._lock:
            self._sockets.add(sock)
            aborted = self.aborted
        if aborted:
            shut(sock)

    def release(self, sock: socket.socket) -> None:
        """Forget ``sock``, which is about to be closed."""
        with self._lock:
            self._sockets.discard(sock)

    def abort(self) -> None:
        """End the call now: whatever its thread waits for fails at once. Any thread, does not block."""
        with self._lock:
            self.aborted = True
            sockets = list(self._sockets)
        for sock in sockets:
            shut(sock)


def current() -> Call | None:
    """The call of this thread, or None outside of one."""
    return getattr(_local, "call", None)


@contextlib.contextmanager
def entered(limits: CallLimits) -> Iterator[Call]:
    """Run the body as one call. Calls nest: an inner one has its own size limits, and ends with the outer one."""
    outer = current()
    call = Call(limits)
    if outer is not None:
        call._end = min(call._end, outer._end)
    _local.call = call
    try:
        yield call
    finally:
        _local.call = outer
        if outer is not None:
            outer.sent = outer.sent or call.sent


def shut(sock: socket.socket) -> None:
    """Wake whoever waits on ``sock``. Not ``SSLSocket.shutdown``, which pulls the TLS layer from under a reader."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def now_s() -> float:
    """Seconds of the clock that the limits run on."""
    return _clock.monotonic()
