"""The virtual network: one UDP socket on loopback that carries ICMP echo messages to the lab's guests.

A datagram to it is 16 bytes of destination address (IPv6, or IPv4 mapped into IPv6) followed by an ICMP or ICMPv6
echo request exactly as it would follow the IP header. If the addressed guest runs, its cable is plugged and its host
lives, the answer is 16 bytes of source address and the echo reply with the same identifier, sequence and payload;
otherwise silence. One thread, ended by ``stop`` within a moment.
"""

from __future__ import annotations

import contextlib
import heapq
import ipaddress
import random
import selectors
import socket
import struct
import threading
import time
from functools import lru_cache

from hvconsole.lab.world import World

ECHO_REQUEST, ECHO_REPLY = 8, 0
ECHO_REQUEST_V6, ECHO_REPLY_V6 = 128, 129
_HEADER = struct.Struct("!BBHHH")
_MAX_DATAGRAM = 65_535
_DRAIN = 256
"""Datagrams read in one go before due replies are looked at."""


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=1 << 15)
def _destination(packed: bytes) -> tuple[Address, str]:
    """The address at the head of a datagram, and how the world spells it."""
    wide = ipaddress.IPv6Address(packed)
    address = wide.ipv4_mapped or wide
    return address, str(address)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of ``data``."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF


def _pseudo_header(source: bytes, destination: bytes, length: int) -> bytes:
    return source + destination + struct.pack("!I3xB", length, socket.IPPROTO_ICMPV6)


def echo_reply(destination: Address, request: bytes) -> bytes | None:
    """The reply of ``destination`` to an echo request, or None if the message is none.

    An ICMPv4 request with a wrong checksum is dropped, as a real stack does. The ICMPv6 checksum covers addresses;
    the sender's is not known here, so the unspecified address stands for it and requests are not verified.
    """
    if len(request) < _HEADER.size:
        return None
    kind, code, _, identifier, sequence = _HEADER.unpack_from(request)
    payload = request[_HEADER.size :]
    if destination.version == 4:
        if kind != ECHO_REQUEST or code != 0 or checksum(request) != 0:
            return None
        blank = _HEADER.pack(ECHO_REPLY, 0, 0, identifier, sequence) + payload
        return blank[:2] + struct.pack("!H", checksum(blank)) + blank[4:]
    if kind != ECHO_REQUEST_V6 or code != 0:
        return None
    blank = _HEADER.pack(ECHO_REPLY_V6, 0, 0, identifier, sequence) + payload
    covered = _pseudo_header(destination.packed, bytes(16), len(blank)) + blank
    return blank[:2] + struct.pack("!H", checksum(covered)) + blank[4:]


class VirtualNetwork:
    """Answers for a world's guests. ``address`` is (host, port) once started."""

    def __init__(self, world: World, host: str = "127.0.0.1") -> None:
        self._world = world
        self._host = host
        self._socket: socket.socket | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._random = random.Random(2)
        self._pending: list[tuple[float, int, bytes, tuple[str, int]]] = []
        self._count = 0
        self.address: tuple[str, int] = ("", 0)

    def start(self) -> None:
        """Bind the socket and begin to answer."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((self._host, 0))
        sock.setblocking(False)
        self._socket = sock
        self._wake = socket.socketpair()
        self.address = (self._host, int(sock.getsockname()[1]))
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="lab-network", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and close the socket."""
        self._stopping = True
        if self._wake is not None:
            self._wake[1].send(b"x")
        if self._thread is not None:
            self._thread.join(2)
        for sock in (self._socket, *(self._wake or ())):
            if sock is not None:
                sock.close()
        self._socket = self._wake = self._thread = None

    def _run(self) -> None:
        sock, wake = self._socket, self._wake
        if sock is None or wake is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            selector.register(wake[0], selectors.EVENT_READ)
            while not self._stopping:
                left = self._pending[0][0] - time.monotonic() if self._pending else None
                if left is None or left > 0:
                    selector.select(left)
                self._drain(sock)
                self._send_due(sock)

    def _drain(self, sock: socket.socket) -> None:
        for _ in range(_DRAIN):
            try:
                datagram, sender = sock.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:  # a sender that is gone (ECONNREFUSED shows up here)
                continue
            reply = self._answer(datagram)
            if reply is None:
                continue
            latency = self._world.timing.latency
            if latency <= 0:
                self._send(sock, reply, sender)
            else:
                due = time.monotonic() + latency * (0.75 + self._random.random() / 2)
                self._count += 1
                heapq.heappush(self._pending, (due, self._count, reply, sender))

    def _answer(self, datagram: bytes) -> bytes | None:
        if len(datagram) < 16 + _HEADER.size:
            return None
        destination, spelled = _destination(datagram[:16])
        if not self._world.answers(spelled):
            return None
        reply = echo_reply(destination, datagram[16:])
        return None if reply is None else datagram[:16] + reply

    def _send_due(self, sock: socket.socket) -> None:
        now = time.monotonic()
        while self._pending and self._pending[0][0] <= now:
            _, _, reply, sender = heapq.heappop(self._pending)
            self._send(sock, reply, sender)

    @staticmethod
    def _send(sock: socket.socket, reply: bytes, receiver: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # as on a real network: what cannot be sent is lost
            sock.sendto(reply, receiver)
