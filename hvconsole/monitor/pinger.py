"""One VM's pings: its slot in the shared engine, and its last rounds, kept small.

``deliver`` and ``interrupted`` run in the engine's reading thread, ``aim`` and ``stop`` in the VM's own thread; reading
(``rounds``, ``figures``) is allowed from every thread. Rounds are kept packed and become ``Round`` objects only
when somebody looks: 10,000 VMs keep 60 rounds each.
"""

from __future__ import annotations

import datetime as dt
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import overload

from hvconsole.clock import Clock
from hvconsole.events import MonitorChanged
from hvconsole.monitor import frames
from hvconsole.monitor.icmp import Ping, PingEngine, PingTarget, Row
from hvconsole.monitor.oneoff import icmp_sentence
from hvconsole.monitor.station import silent
from hvconsole.monitor.status import ROUNDS_KEPT, MonitorSettings, Round, RoundResult, VmKey

RESULTS = (RoundResult.OK, RoundResult.DEGRADED, RoundResult.LOST, RoundResult.UNKNOWN)
"""``frames.OK`` … ``frames.UNKNOWN`` → result."""
CODES = {result: code for code, result in enumerate(RESULTS)}

_KEPT = struct.Struct("<dBBH4f")
_RESULT_AT, _NOTE_AT = 8, 9
_NOTE_ENGINE, _NOTE_STATION = 200, 201
STATION_SENTENCE = "Nothing else answered either: this computer seems to be offline."
ENGINE_SENTENCE = "The ping engine stopped."


@dataclass(frozen=True, slots=True)
class Sample:
    """One round that matters. ``start`` and ``heard`` are monotonic seconds; ``heard`` 0 = no other target is known to
    answer."""

    result: RoundResult
    start: float
    heard: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers over the kept rounds; None where there is nothing to compute from."""

    last_rtt_ms: float | None
    average_rtt_ms: float | None
    loss_fraction: float | None


class Pinger:
    """Pings one VM through the shared engine and remembers the last rounds."""

    def __init__(self, key: VmKey, engine: PingEngine, clock: Clock, wake: Callable[[Sample], None]) -> None:
        """``wake`` gets every round whose result is in ``interest``, in the engine's reading thread."""
        self.interest: frozenset[int] = frozenset()
        """Codes of the results that matter to the VM's thread just now."""
        self.key = key
        self.changed = MonitorChanged(*key)
        """What is emitted for every round."""
        self.address = ""
        self.last_result = frames.UNKNOWN
        self.rounds_total = 0
        self.last_start = clock.monotonic()
        """Monotonic start of the last round."""
        self._engine = engine
        self._clock = clock
        self._wake = wake
        self._ping: Ping | None = None
        self._ring = bytearray()
        self._next = 0
        self._streak = 0
        self._fired: dict[int, int] = {}
        self._engine_note = ENGINE_SENTENCE

    # ---- the VM's thread -----------------------------------------------------------------------------------

    def aim(self, address: str, settings: MonitorSettings) -> None:
        """Ping ``address`` from now on, under these settings. Raises ``LocalError`` if it is no address."""
        target = PingTarget(
            address=address,
            interval_s=settings.interval_s,
            gap_s=settings.gap_s,
            timeout_s=settings.timeout_s,
            pings=settings.pings,
        )
        for count in (1, 3, 6, settings.lost_rounds):
            self._fired.setdefault(count, 0)
        if self._ping is not None and self._ping.target == target:
            return
        self.stop()
        self._ping = self._engine.open(target, self)
        self.address = address

    def stop(self) -> None:
        """Stop pinging; what is known stays."""
        ping, self._ping = self._ping, None
        if ping is not None:
            ping.close()

    @property
    def aimed(self) -> bool:
        """Whether it pings."""
        return self._ping is not None

    def void(self, start: float) -> None:
        """The round that began at ``start`` says nothing: this computer was offline."""
        for position in range(0, len(self._ring), _KEPT.size):
            if _KEPT.unpack_from(self._ring, position)[0] == start:
                self._ring[position + _RESULT_AT] = frames.UNKNOWN
                self._ring[position + _NOTE_AT] = _NOTE_STATION

    # ---- the engine's reading thread -----------------------------------------------------------------------

    def deliver(self, row: Row) -> None:
        """Keep a finished round and wake the VM's thread if it matters."""
        slot, result, note, value, _, start, heard, *rtts = row
        ping = self._ping
        if ping is None or ping.slot != slot:
            return  # of an address that is no longer pinged
        self._keep(start, result, note, value, rtts)
        if result == frames.LOST:
            if not silent(start, heard):
                self._streak += 1
                if self._streak in self._fired:
                    self._fired[self._streak] += 1
        elif result != frames.UNKNOWN:
            self._streak = 0
        if result in self.interest:
            self._wake(Sample(RESULTS[result], start, heard))

    def interrupted(self, now: float, sentence: str) -> None:
        """The engine ended: the round in flight says nothing."""
        if self._ping is not None:
            self._engine_note = sentence or ENGINE_SENTENCE
            self._keep(now, frames.UNKNOWN, _NOTE_ENGINE, 0, [frames.LOST_RTT] + [frames.NO_RTT] * 3)

    def _keep(self, start: float, result: int, note: int, value: int, rtts: Iterable[float]) -> None:
        packed = _KEPT.pack(start, result, note, value, *rtts)
        if len(self._ring) < ROUNDS_KEPT * _KEPT.size:
            self._ring += packed
        else:
            self._ring[self._next : self._next + _KEPT.size] = packed
            self._next = (self._next + _KEPT.size) % len(self._ring)
        self.rounds_total += 1
        self.last_start = start
        self.last_result = result

    # ---- every thread --------------------------------------------------------------------------------------

    @property
    def would_have_fired(self) -> dict[int, int]:
        """Lost rounds in a row → how often that many came."""
        return dict(self._fired)

    def rounds(self) -> Rounds:
        """The last rounds, oldest first, as they are now."""
        ring, start = bytes(self._ring), self._next
        boot = self._clock.now() - dt.timedelta(seconds=self._clock.monotonic())
        return Rounds(ring[start:] + ring[:start], boot, self._engine_note)

    def figures(self) -> Figures:
        """Last and mean round-trip time, and the loss."""
        last: float | None = None
        total, count, lost = 0.0, 0, 0
        for _, result, _, _, *rtts in _KEPT.iter_unpack(bytes(self._ring)):
            for rtt in rtts:
                if rtt >= 0:
                    total += rtt
                    count += 1
                elif rtt == frames.LOST_RTT and result != frames.UNKNOWN:
                    lost += 1
        if self._ring:
            newest = (self._next or len(self._ring)) - _KEPT.size
            last = min((rtt for rtt in _KEPT.unpack_from(self._ring, newest)[4:] if rtt >= 0), default=None)
        sent = count + lost
        return Figures(last, total / count if count else None, lost / sent if sent else None)


class Rounds(Sequence[Round]):
    """The last rounds of a VM at one moment: packed bytes that become ``Round`` objects when looked at.

    A window keeps one of these for every VM it shows, and draws few of them.
    """

    __slots__ = ("_boot", "_engine_note", "_packed")

    def __init__(self, packed: bytes, boot: dt.datetime, engine_note: str) -> None:
        self._packed = packed
        self._boot = boot
        self._engine_note = engine_note

    def __len__(self) -> int:
        return len(self._packed) // _KEPT.size

    @overload
    def __getitem__(self, index: int) -> Round: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Round, ...]: ...

    def __getitem__(self, index: int | slice) -> Round | tuple[Round, ...]:
        if isinstance(index, slice):
            return tuple(self._round(number) for number in range(*index.indices(len(self))))
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(index)
        return self._round(number)

    def _round(self, number: int) -> Round:
        start, result, note, value, *rtts = _KEPT.unpack_from(self._packed, number * _KEPT.size)
        return Round(
            when=self._boot + dt.timedelta(seconds=start),
            result=RESULTS[result],
            rtts_ms=tuple(None if rtt < 0 else round(rtt, 3) for rtt in rtts if rtt != frames.NO_RTT),
            note=self._sentence(note, value) if note else "",
        )

    def _sentence(self, note: int, value: int) -> str:
        if note in (frames.NOTE_ICMP4, frames.NOTE_ICMP6):
            return icmp_sentence(value >> 8, value & 0xFF, v6=note == frames.NOTE_ICMP6)
        return {
            frames.NOTE_ERRNO: f"It could not be sent: {os.strerror(value)}.",
            frames.NOTE_STALLED: "This computer was busy or asleep.",
            frames.NOTE_DROPPED: "This computer's receive buffer overflowed.",
            frames.NOTE_NO_SOCKET: "This computer can't ping addresses of this family.",
            _NOTE_ENGINE: self._engine_note,
            _NOTE_STATION: STATION_SENTENCE,
        }.get(note, "")
