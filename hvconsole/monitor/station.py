"""Is it us? Whether this computer itself is offline, so that silence says nothing about the VMs.

The engine tells with every lost round when another target last proved us online: other VMs, and the witnesses that are
pinged for this purpose, the default gateways and the hypervisors. If all that used to answer were silent while the
round's requests left, and the hypervisors refuse TCP as well, this computer was offline. Where nothing else ever
answered nobody can tell, and nothing is held back.

``offline`` is called in the VMs' threads and may block for a second; the rest does not block. Any thread.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from hvconsole.clock import Clock
from hvconsole.monitor import frames
from hvconsole.monitor.icmp import Ping, PingEngine, PingTarget, Row

WITNESS_INTERVAL_S = 5.0
WITNESS_TIMEOUT_S = 1.0
MAX_WITNESSES = 16
UNWANTED_S = 600.0
"""How long a witness is still pinged that is no gateway or hypervisor any more, as far as we can tell."""
TCP_TIMEOUT_S = 0.7
SECOND_OPINION_S = 2.0
"""How long the answer to "do the hypervisors answer TCP?" is used for other VMs."""


def silent(start: float, heard: float) -> bool:
    """Whether everything that used to answer has been silent since ``start``; ``heard`` 0 = nobody can tell."""
    return 0 < heard < start


def default_gateways(route: str, route6: str) -> tuple[str, ...]:
    """Default gateways out of the texts of Linux's /proc/net/route and /proc/net/ipv6_route."""
    found = []
    for line in route.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == "00000000" and fields[7] == "00000000" and fields[2] != "00000000":
            found.append(str(ipaddress.IPv4Address(struct.pack("=I", int(fields[2], 16)))))
    for line in route6.splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[0] == "0" * 32 and fields[1] == "00" and fields[4] != "0" * 32:
            address = ipaddress.IPv6Address(int(fields[4], 16))
            if not address.is_link_local:  # needs a zone, which the engine has no place for
                found.append(str(address))
    return tuple(dict.fromkeys(found))


def own_gateways() -> tuple[str, ...]:
    """This computer's default gateways; none where the system has no /proc/net (witnesses are then the others)."""
    texts = []
    for name in ("route", "ipv6_route"):
        text = ""
        with contextlib.suppress(OSError):
            text = Path("/proc/net", name).read_text(encoding="ascii", errors="replace")
        texts.append(text)
    return default_gateways(texts[0], texts[1])


class Witness:
    """Somebody else who usually answers. ``icmp.Sink``."""

    __slots__ = ("last_result", "last_start", "ping", "wanted_at")

    def __init__(self) -> None:
        self.last_result = frames.UNKNOWN
        self.last_start = 0.0
        self.wanted_at = 0.0
        self.ping: Ping | None = None

    def deliver(self, row: Row) -> None:
        """Remember the last round."""
        self.last_result, self.last_start = row[1], row[5]

    def interrupted(self, now: float, sentence: str) -> None:
        """The engine ended; it says nothing."""


class Station:
    """Witnesses, and the judgement whether this computer is offline."""

    def __init__(self, clock: Clock, on_change: Callable[[bool], None]) -> None:
        """``on_change`` gets True when it goes offline and False when it is back, in the thread that found out."""
        self.offline_since: float | None = None
        self._back_at = float("-inf")
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._opinion_lock = threading.Lock()
        self._witnesses: dict[str, Witness] = {}
        self._hypervisors: tuple[tuple[str, int], ...] = ()
        self._opinion: tuple[float, bool] = (float("-inf"), False)

    def set_witnesses(
        self, engine: PingEngine, gateways: Iterable[str], hypervisors: Iterable[tuple[str, int]], *, virtual: bool
    ) -> None:
        """Ping these beside the VMs; ``hypervisors`` are addresses with the ports they listen on.

        Addresses of this computer itself prove nothing and are left out, unless the network is a ``virtual`` one, in
        which they are somebody else's. Those that are missing this time stay for a while: with our own network the
        default route and the name servers vanish too, and whoever is asked no more could not be missed.
        """
        others = tuple(dict.fromkeys(place for place in hypervisors if virtual or not _is_ourselves(place[0])))
        wanted = tuple(dict.fromkeys((*gateways, *(address for address, _ in others))))[:MAX_WITNESSES]
        now = self._clock.monotonic()
        with self._lock:
            if others:
                self._hypervisors = others[:MAX_WITNESSES]
            for address in wanted:
                if address not in self._witnesses:
                    witness = self._witnesses[address] = Witness()
                    target = PingTarget(
                        address=address,
                        interval_s=WITNESS_INTERVAL_S,
                        gap_s=WITNESS_INTERVAL_S / 10,
                        timeout_s=WITNESS_TIMEOUT_S,
                        pings=1,
                        witness=True,
                    )
                    witness.ping = engine.open(target, witness)
                self._witnesses[address].wanted_at = now
            if self.offline_since is None:
                self._drop_unwanted(now)

    def _drop_unwanted(self, now: float) -> None:
        for address, witness in tuple(self._witnesses.items()):
            if now - witness.wanted_at > UNWANTED_S:
                del self._witnesses[address]
                if witness.ping is not None:
                    witness.ping.close()

    def offline(self, start: float, heard: float, *, ask_tcp: bool) -> bool:
        """Whether this computer was offline during a round that began at ``start`` and was lost.

        ``heard``: when another target last answered (monotonic seconds, 0 = none is known to answer); ``ask_tcp``:
        ask the hypervisors by TCP before saying so.
        """
        if not silent(start, heard):
            self.answered(heard)
            # Begun before we were back: its first requests left into the void.
            return start < self._back_at
        if ask_tcp and self._hypervisors_answer():
            return False
        with self._lock:
            # A round judged late, begun before we were back, is void but no news of a second absence.
            fresh = self.offline_since is None and start >= self._back_at
            if fresh:
                self.offline_since = start
        if fresh:
            self._on_change(True)
        return True

    def answered(self, start: float) -> None:
        """Somebody answered a request that left at ``start``: not offline any more if it is newer."""
        with self._lock:
            back = self.offline_since is not None and start > self.offline_since
            if back:
                self.offline_since = None
                self._back_at = start
        if back:
            self._on_change(False)

    def _hypervisors_answer(self) -> bool:
        with self._opinion_lock:
            when, answer = self._opinion
            if self._clock.monotonic() - when > SECOND_OPINION_S:
                answer = any(_answers_tcp(place) for place in self._hypervisors[:2])
                self._opinion = (self._clock.monotonic(), answer)
            return answer


def _answers_tcp(place: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(place, TCP_TIMEOUT_S):
            return True
    except OSError as exc:
        return exc.errno == errno.ECONNREFUSED  # a refusal comes from there, too


def _is_ourselves(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True
    return parsed.is_loopback or parsed.is_unspecified
