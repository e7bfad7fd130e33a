"""How echo requests leave this computer and replies come back: real ICMP sockets, or the lab's virtual network.

Used by the engine's one thread, in the child process. Nothing here blocks. The sockets are our own and not icmplib's:
icmplib's ``ICMPSocket.receive`` waits on its socket for one reply at a time, opens a socket per call of ``ping`` (and
every raw socket receives every reply, so N targets cost N² work), and has no way to ask for kernel timestamps, drop
counters or the error queue. icmplib does the rest: names, one-off checks, the words for errors (``oneoff``).

A reply's arrival time is the kernel's, so a reply that lay in the buffer while we were busy still counts as in time.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Protocol

from hvconsole.monitor import frames
from hvconsole.monitor.packets import (
    ECHO_REPLY,
    ECHO_REPLY_V6,
    HEADER_BYTES,
    TIME_EXCEEDED,
    TIME_EXCEEDED_V6,
    UNREACHABLE,
    UNREACHABLE_V6,
    EchoBuilder,
    inner_v4,
    inner_v6,
)

Reply = Callable[[int, int, int, str, "float | None"], None]
"""(slot, round, which, source address, arrival on the wall clock in seconds or None) of a reply."""
Problem = Callable[[int, str, int, int], None]
"""(sequence, destination address, note kind, note value) of an ICMP error about a request of ours."""
Dropped = Callable[[int], None]
"""The number of messages that a socket's full receive buffer has cost so far."""

RECEIVE_BUFFER_BYTES = 4 << 20
"""The kernel counts about 1 KiB per small message; the largest tick (a burst of 1,000 targets) needs 1 MiB."""
_DRAIN_LIMIT = 20_000
"""Messages read in one go, lest a flood keep us from everything else; more than the buffer can hold."""
_ERROR_LIMIT = 50
"""Errors met in one go, likewise: reading one off the socket also takes it away."""
_LONGEST = 576
_ANCILLARY = 256

_LINUX = sys.platform.startswith("linux")
_MACOS = sys.platform == "darwin"
# Linux numbers that the socket module does not name.
_SO_TIMESTAMPNS, _SO_RXQ_OVFL, _SO_RCVBUFFORCE = 35, 40, 33
_IP_RECVERR, _IPV6_RECVERR, _MSG_ERRQUEUE = 11, 25, 0x2000
_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1
# macOS: the same as a timeval. Not tried out; without it arrival is taken when the message is read.
_MAC_SO_TIMESTAMP, _MAC_SCM_TIMESTAMP, _MAC_TIMEVAL = 0x0400, 0x02, struct.Struct("=qi4x")
_TIMESPEC = struct.Struct("@qq") if struct.calcsize("@l") == 8 else struct.Struct("@ll")
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_FROM_ICMP, _FROM_ICMP6 = 2, 3

_NOT_ALLOWED = (errno.EACCES, errno.EPERM)


class Transport(Protocol):
    """One way to send echo requests. One thread."""

    @property
    def hello(self) -> tuple[int, int, int, int]:
        """(mode for IPv4, for IPv6, errno of each where there is no socket), as in ``frames.HELLO_BODY``."""

    def send(self, v6: bool, address: str, packed: bytes, sequence: int, token: tuple[int, int, int]) -> int:
        """Send one request now; 0, or the errno why it could not be sent."""

    def drain(self, reply: Reply, problem: Problem, dropped: Dropped) -> None:
        """Hand over everything that has arrived."""

    def close(self) -> None:
        """Close the sockets."""


def _receive(sock: socket.socket, dropped: Dropped) -> tuple[bytes, str, float | None] | None:
    """One message as (data, source, arrival); None when nothing is there."""
    if not _HAS_RECVMSG:
        try:
            data, address = sock.recvfrom(_LONGEST)
        except (BlockingIOError, InterruptedError):
            return None
        return data, address[0], None
    try:
        data, ancillary, _, address = sock.recvmsg(_LONGEST, _ANCILLARY)
    except (BlockingIOError, InterruptedError):
        return None
    arrival = None
    for level, kind, value in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if _LINUX and kind == _SO_TIMESTAMPNS and len(value) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(value)
            arrival = seconds + nanoseconds * 1e-9
        elif _MACOS and kind == _MAC_SCM_TIMESTAMP and len(value) == _MAC_TIMEVAL.size:
            seconds, microseconds = _MAC_TIMEVAL.unpack(value)
            arrival = seconds + microseconds * 1e-6
        elif _LINUX and kind == _SO_RXQ_OVFL:
            dropped(int.from_bytes(value[:4], _NATIVE))
    return data, address[0], arrival


_HAS_RECVMSG = hasattr(socket.socket, "recvmsg")  # not on Windows
_NATIVE: Any = "little" if struct.pack("=H", 1)[0] else "big"


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    if _MACOS:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _MAC_SO_TIMESTAMP, 1)
    if not _LINUX:
        return
    for option, value in ((_SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES), (_SO_TIMESTAMPNS, 1), (_SO_RXQ_OVFL, 1)):
        # FORCE goes beyond net.core.rmem_max where we are allowed to
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, value)


class _IcmpSocket:
    """The socket of one address family: datagram where the system lets us, else raw, else none with its errno."""

    def __init__(self, v6: bool, builder: EchoBuilder) -> None:
        self.v6 = v6
        self.mode = frames.NO_SOCKET
        self.errno = 0
        self._builder = builder
        self._sock: socket.socket | None = None
        family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if v6 else (socket.AF_INET, socket.IPPROTO_ICMP)
        refused = 0
        for kind, mode in ((socket.SOCK_DGRAM, frames.DATAGRAM), (socket.SOCK_RAW, frames.RAW)):
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as exc:
                # "Not allowed" is the answer that has a remedy; keep it before "no such protocol".
                if not refused or exc.errno in _NOT_ALLOWED:
                    refused = exc.errno or errno.EIO
                continue
            _prepare(sock)
            self._sock, self.mode = sock, mode
            self._options(sock)
            break
        else:
            self.errno = refused

    def _options(self, sock: socket.socket) -> None:
        if sys.platform == "win32":
            sock.bind(("::" if self.v6 else "0.0.0.0", 0))  # Windows reads nothing from an unbound raw socket
        if not _LINUX:
            return
        with contextlib.suppress(OSError):  # refinements: without them we get more messages or fewer reasons
            if self.mode == frames.DATAGRAM:
                if self.v6:
                    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
                else:
                    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            elif self.v6:
                wanted = (UNREACHABLE_V6, TIME_EXCEEDED_V6, ECHO_REPLY_V6)
                blocked = [0xFFFFFFFF] * 8
                for kind in wanted:
                    blocked[kind >> 5] &= ~(1 << (kind & 31)) & 0xFFFFFFFF
                sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *blocked))
            else:
                passed = 1 << ECHO_REPLY | 1 << UNREACHABLE | 1 << TIME_EXCEEDED
                sock.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~passed & 0xFFFFFFFF))

    def send(self, address: str, message: bytes, problem: Problem) -> int:
        sock = self._sock
        if sock is None:
            return self.errno or errno.EAFNOSUPPORT
        try:
            sock.sendto(message, (address, 0))
            return 0
        except OSError as exc:
            if self.mode != frames.DATAGRAM:
                return exc.errno or errno.EIO
        # With the error queue on, the kernel also reports an earlier target's ICMP error here. Take it out, ask again.
        self._errors(sock, problem)
        try:
            sock.sendto(message, (address, 0))
            return 0
        except OSError as exc:
            return exc.errno or errno.EIO

    def drain(self, reply: Reply, problem: Problem, dropped: Dropped) -> None:
        sock = self._sock
        if sock is None:
            return
        take = self._take_v6 if self.v6 else self._take_v4
        errors = 0
        for _ in range(_DRAIN_LIMIT):
            try:
                got = _receive(sock, dropped)
            except OSError:
                self._errors(sock, problem)
                errors += 1
                if errors == _ERROR_LIMIT:
                    break
                continue
            if got is None:
                break
            take(got[0], got[1], got[2], reply, problem)
        if self.mode == frames.DATAGRAM:
            self._errors(sock, problem)

    def _take_v4(self, data: bytes, source: str, arrival: float | None, reply: Reply, problem: Problem) -> None:
        if not data:
            return
        # Raw sockets, and macOS's datagram sockets, deliver the IP header too; no ICMP type we want is 0x45..0x4f.
        start = (data[0] & 15) * 4 if data[0] >> 4 == 4 else 0
        if len(data) < start + HEADER_BYTES:
            return
        kind = data[start]
        if kind == ECHO_REPLY:
            token = self._builder.token(data, start + HEADER_BYTES)
            if token is not None:
                reply(*token, source, arrival)
        elif kind in (UNREACHABLE, TIME_EXCEEDED):
            inner = inner_v4(data, start + HEADER_BYTES)
            if inner is not None and inner[1] == self._builder.identifier:
                problem(inner[2], socket.inet_ntoa(inner[0]), frames.NOTE_ICMP4, kind << 8 | data[start + 1])

    def _take_v6(self, data: bytes, source: str, arrival: float | None, reply: Reply, problem: Problem) -> None:
        if len(data) < HEADER_BYTES:
            return
        kind = data[0]
        if kind == ECHO_REPLY_V6:
            token = self._builder.token(data, HEADER_BYTES)
            if token is not None:
                reply(*token, source.partition("%")[0], arrival)
        elif kind in (UNREACHABLE_V6, TIME_EXCEEDED_V6):
            inner = inner_v6(data, HEADER_BYTES)
            if inner is not None and inner[1] == self._builder.identifier:
                destination = socket.inet_ntop(socket.AF_INET6, inner[0])
                problem(inner[2], destination, frames.NOTE_ICMP6, kind << 8 | data[1])

    def _errors(self, sock: socket.socket, problem: Problem) -> None:
        """Empty the error queue of a datagram socket (Linux): ICMP errors with the head of our request."""
        if not _LINUX:
            return
        while True:
            try:
                data, ancillary, _, address = sock.recvmsg(_LONGEST, _ANCILLARY, _MSG_ERRQUEUE)
            except OSError:
                return
            for _level, kind, value in ancillary:
                if kind not in (_IP_RECVERR, _IPV6_RECVERR) or len(value) < _EXTENDED_ERROR.size:
                    continue
                _, origin, icmp_type, icmp_code, *_ = _EXTENDED_ERROR.unpack_from(value)
                note = {_FROM_ICMP: frames.NOTE_ICMP4, _FROM_ICMP6: frames.NOTE_ICMP6}.get(origin)
                if note is not None and len(data) >= HEADER_BYTES and address:
                    sequence = int.from_bytes(data[6:8], "big")
                    problem(sequence, str(address[0]).partition("%")[0], note, icmp_type << 8 | icmp_code)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()


class IcmpTransport:
    """Real ICMP: one socket per address family."""

    def __init__(self, builder: EchoBuilder) -> None:
        self._builder = builder
        self._problem: Problem = lambda *_: None
        self._v4 = _IcmpSocket(False, builder)
        self._v6 = _IcmpSocket(True, builder)
        self._used_v6 = False

    @property
    def hello(self) -> tuple[int, int, int, int]:
        return self._v4.mode, self._v6.mode, self._v4.errno, self._v6.errno

    def send(self, v6: bool, address: str, packed: bytes, sequence: int, token: tuple[int, int, int]) -> int:
        if v6:
            self._used_v6 = True
            return self._v6.send(address, self._builder.v6(sequence, *token), self._problem)
        return self._v4.send(address, self._builder.v4(sequence, *token), self._problem)

    def drain(self, reply: Reply, problem: Problem, dropped: Dropped) -> None:
        self._problem = problem
        self._v4.drain(reply, problem, dropped)
        if self._used_v6:
            self._v6.drain(reply, problem, dropped)

    def close(self) -> None:
        self._v4.close()
        self._v6.close()


class LabTransport:
    """The lab's virtual network: ICMP messages in UDP datagrams, 16 bytes of address before each."""

    def __init__(self, builder: EchoBuilder, network: tuple[str, int]) -> None:
        self._builder = builder
        family = socket.AF_INET6 if ":" in network[0] else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        _prepare(self._sock)
        self._sock.connect(network)
        self._refused = 0

    @property
    def hello(self) -> tuple[int, int, int, int]:
        return frames.LAB, frames.LAB, 0, 0

    def send(self, v6: bool, address: str, packed: bytes, sequence: int, token: tuple[int, int, int]) -> int:
        if v6:
            datagram = packed + self._builder.v6(sequence, *token)
        else:
            datagram = bytes(10) + b"\xff\xff" + packed + self._builder.v4(sequence, *token)
        try:
            self._sock.send(datagram)
        except OSError as exc:
            return exc.errno or errno.EIO
        return self._refused

    def drain(self, reply: Reply, problem: Problem, dropped: Dropped) -> None:
        errors = 0
        for _ in range(_DRAIN_LIMIT):
            try:
                got = _receive(self._sock, dropped)
            except OSError as exc:
                errors += 1
                if errors == _ERROR_LIMIT:
                    return
                # The lab has gone. The system says so once per request, here or when sending the next: until
                # something arrives again, nothing counts as sent.
                self._refused = exc.errno or errno.ECONNREFUSED
                continue
            if got is None:
                return
            self._refused = 0
            data, _, arrival = got
            if len(data) < 16 + HEADER_BYTES:
                continue
            kind = data[16]
            if kind not in (ECHO_REPLY, ECHO_REPLY_V6):
                continue
            token = self._builder.token(data, 16 + HEADER_BYTES)
            if token is None:
                continue
            if data[:12] == bytes(10) + b"\xff\xff":
                source = socket.inet_ntoa(data[12:16])
            else:
                source = socket.inet_ntop(socket.AF_INET6, data[:16])
            reply(*token, source, arrival)

    def close(self) -> None:
        self._sock.close()
