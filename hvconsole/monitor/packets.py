"""ICMP echo messages of the engine: built and taken apart. Pure functions and one small builder; any thread.

Identifier and sequence are 16 bits, wrap within minutes, are rewritten by NAT and by the kernel's datagram sockets. So
a reply is recognised by its payload, which the other side has to send back unchanged::

    0      4        12    16     20     22      28
    │magic │ nonce   │slot │round │which │ zeros │

``nonce`` is random per engine process: replies to another process, or to an earlier engine, are nobody's.

This module runs in the engine's child process and imports nothing heavy on purpose.
"""

from __future__ import annotations

import struct

ECHO_REPLY, ECHO_REQUEST, UNREACHABLE, TIME_EXCEEDED = 0, 8, 3, 11
ECHO_REQUEST_V6, ECHO_REPLY_V6, UNREACHABLE_V6, TIME_EXCEEDED_V6 = 128, 129, 1, 3

MAGIC = b"hvc1"
NONCE_BYTES = 8
HEADER_BYTES = 8
PAYLOAD_BYTES = 28
HEADER = struct.Struct("!BBHHH")
TOKEN = struct.Struct("!IIH6x")
PREFIX_BYTES = len(MAGIC) + NONCE_BYTES


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of ``data`` of even length."""
    return fold(sum(struct.unpack(f"!{len(data) // 2}H", data)))


def fold(total: int) -> int:
    """The checksum that belongs to a sum of 16-bit words."""
    total = (total >> 16) + (total & 0xFFFF)
    total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


class EchoBuilder:
    """Builds the echo requests of one engine process."""

    def __init__(self, nonce: bytes, identifier: int) -> None:
        self.prefix = MAGIC + nonce
        self.identifier = identifier
        words = struct.unpack(f"!{PREFIX_BYTES // 2}H", self.prefix)
        self._constant = (ECHO_REQUEST << 8) + identifier + sum(words)

    def v4(self, sequence: int, slot: int, round_no: int, which: int) -> bytes:
        """An ICMPv4 echo request with its checksum."""
        total = (
            self._constant + sequence + (slot >> 16) + (slot & 0xFFFF) + (round_no >> 16) + (round_no & 0xFFFF) + which
        )
        header = HEADER.pack(ECHO_REQUEST, 0, fold(total), self.identifier, sequence)
        return header + self.prefix + TOKEN.pack(slot, round_no, which)

    def v6(self, sequence: int, slot: int, round_no: int, which: int) -> bytes:
        """An ICMPv6 echo request; its checksum covers addresses and is filled in by the kernel."""
        header = HEADER.pack(ECHO_REQUEST_V6, 0, 0, self.identifier, sequence)
        return header + self.prefix + TOKEN.pack(slot, round_no, which)

    def token(self, data: bytes, offset: int) -> tuple[int, int, int] | None:
        """(slot, round, which) of a payload that begins at ``offset``, or None if it is not ours or cut short."""
        start = offset + PREFIX_BYTES
        if data[offset:start] != self.prefix or len(data) < start + TOKEN.size:
            return None
        slot, round_no, which = TOKEN.unpack_from(data, start)
        return slot, round_no, which


def inner_v4(data: bytes, offset: int) -> tuple[bytes, int, int] | None:
    """Of the packet that an ICMPv4 error quotes at ``offset``: (destination, identifier, sequence) if it was an echo
    request, else None."""
    if len(data) < offset + 20 or data[offset] >> 4 != 4:
        return None
    start = offset + (data[offset] & 15) * 4
    if data[offset + 9] != 1 or len(data) < start + HEADER_BYTES:
        return None
    kind, _, _, identifier, sequence = HEADER.unpack_from(data, start)
    return (data[offset + 16 : offset + 20], identifier, sequence) if kind == ECHO_REQUEST else None


def inner_v6(data: bytes, offset: int) -> tuple[bytes, int, int] | None:
    """Like ``inner_v4`` for ICMPv6; packets with extension headers are not ours."""
    start = offset + 40
    if len(data) < start + HEADER_BYTES or data[offset] >> 4 != 6 or data[offset + 6] != 58:
        return None
    kind, _, _, identifier, sequence = HEADER.unpack_from(data, start)
    return (data[offset + 24 : offset + 40], identifier, sequence) if kind == ECHO_REQUEST_V6 else None
