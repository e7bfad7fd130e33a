"""What goes through the pipe between the console and the engine's child process. Pure; any thread.

A frame is one byte of kind, four bytes of length, and the body. Both ends are the same program of the same version.
Imports nothing heavy on purpose.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

FRAME = struct.Struct("<BI")

# console → engine
ADD, REMOVE = 1, 2
TARGET = struct.Struct("<IBBdddB16s")
"""slot, witness (0/1), pings, interval_s, gap_s, timeout_s, family (4/6), packed address (padded)."""
SLOT = struct.Struct("<I")

# engine → console
HELLO, ROUNDS = 1, 2
HELLO_BODY = struct.Struct("<BBHH")
"""mode for IPv4, mode for IPv6 (``NO_SOCKET`` …), the errno of each where there is no socket."""
NO_SOCKET, DATAGRAM, RAW, LAB = 0, 1, 2, 3

ROW = struct.Struct("<IBBHIdd4f")
"""One finished round: slot, result, note kind, note value, number of the round, monotonic start, monotonic time at
which another target last proved us online (0 = no other is known to answer; given with lost rounds only), and the
round-trip times in ms: ``LOST_RTT`` = no reply, ``NO_RTT`` = no such request."""
LOST_RTT, NO_RTT = -1.0, -2.0

OK, DEGRADED, LOST, UNKNOWN = 0, 1, 2, 3

NOTE_NONE, NOTE_ICMP4, NOTE_ICMP6, NOTE_ERRNO, NOTE_STALLED, NOTE_DROPPED, NOTE_NO_SOCKET = range(7)
"""Kind of note: an ICMP error (value = type × 256 + code), a failed send (errno), this computer was late, its receive
buffer overflowed, there is no socket for this address family."""


def frame(kind: int, body: bytes) -> bytes:
    """``body`` as a frame."""
    return FRAME.pack(kind, len(body)) + body


def read_frame(read: Callable[[int], bytes]) -> tuple[int, bytes] | None:
    """The next frame from a blocking ``read(n)``; None at the end of the stream, also in the middle of a frame."""
    head = _exactly(read, FRAME.size)
    if head is None:
        return None
    kind, length = FRAME.unpack(head)
    body = _exactly(read, length)
    return None if body is None else (kind, body)


def _exactly(read: Callable[[int], bytes], count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        more = read(count - len(data))
        if not more:
            return None
        data += more
    return data
