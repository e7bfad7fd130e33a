"""The ICMP engine: sends on schedule, matches replies, gives each round its verdict. Runs as a child process.

``python -m hvconsole.monitor.icmp_engine [HOST:PORT of the lab's network]``: commands come in on standard input,
results go out on standard output (``frames``). It has a process of its own because a parsing or drawing thread beside
it would make rounds seconds late; so it imports neither window, backends nor anything else large.

Threads: the engine itself is one, the main thread; ``commands`` and ``results`` only move bytes between the pipes and
it, so that neither a full nor an empty pipe ever keeps it waiting.

What keeps it honest:

- everything that arrived is read before any verdict, and counts by its time of arrival, not of reading;
- if we were late by more than a quarter of the interval (suspend, SIGSTOP, overload), or our receive buffer overflowed,
  silent rounds of that time are ``UNKNOWN``, not ``LOST`` (a quarter of a short interval is an ordinary wait for a CPU:
  see ``_patience``);
- what could not be sent is ``UNKNOWN``;
- when a first request stays unanswered, other targets that recently answered are asked at once, so that the verdict
  can say whether others answered requests that left at the same time as the lost ones (``station`` judges it);
- when only the last request of a round was lost, the schedule moves one gap forward: a cable that is pulled between the
  requests of a round is then known within interval + timeout, too.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import itertools
import math
import os
import queue
import signal
import socket
import sys
import threading
from collections import OrderedDict

from hvconsole.clock import SystemClock
from hvconsole.monitor import frames
from hvconsole.monitor.packets import NONCE_BYTES, EchoBuilder
from hvconsole.monitor.transport import IcmpTransport, LabTransport, Transport

TICK_S = 0.020
"""The socket is looked at, and due work done, at most this often; thousands of targets then share one wake-up. Waking
is what costs: 10 ms are 1.6 times the CPU at 1,000 targets, and a verdict comes at most three ticks late."""
GRID_S = 0.100
"""Rounds begin on multiples of this, and after sending replies are collected on the next one. With the usual intervals
second requests fall on it, too, so that 50 targets need 10 wake-ups a second and 10,000 no more."""
POLL_S, POLLED_S = 0.010, 0.2
"""Where the system doesn't note arrivals, replies are looked for this often, this long after sending."""
EARLY_S = 0.001
"""What is due this soon is due now: the system may wake us a hair too early."""
FLUSH_S = 0.5
"""Results wait at most this long for company; lost rounds do not wait."""
DRAIN_EVERY = 64
"""Requests sent in a row before the socket is emptied, lest a burst overflow its buffer."""
SUSPEND_S = 0.5
STALL_S = 0.05
"""Lateness below this is ordinary scheduling."""
WITNESSES_ASKED = 8
PROOFS_PER_S = 200
"""Resolution at which it is remembered when requests left that were answered."""
PROOFS_KEPT_S = 30.0
KNOWN_S = 2.0
"""Another target is known to answer if its last answer is younger than the silent one's, by interval + this."""
MAX_BACKLOG = 2_000
"""Batches kept for a console that does not read."""
NO_SOCKET_EXIT = 3

_GOLDEN = 0.6180339887498949
_VERDICT, _DOUBT = 100, 101
_PROBE_ROUND = 0xFFFFFFFF
"""In place of a round's number: it shows life and belongs to no round."""
_SEVERAL = -1


class Slot:
    """One target: its schedule and the round in flight."""

    __slots__ = (
        "address",
        "base",
        "done",
        "failed",
        "gap",
        "gone",
        "id",
        "interval",
        "last_reply",
        "note",
        "packed",
        "pings",
        "probe_at",
        "replies",
        "round",
        "rtts",
        "sent",
        "seqs",
        "start",
        "timeout",
        "v6",
        "witness",
    )

    def __init__(self, body: bytes, now: float, phase: float) -> None:
        slot, witness, pings, interval, gap, timeout, family, packed = frames.TARGET.unpack(body)
        self.id: int = slot
        self.pings: int = pings
        self.interval: float = interval
        self.gap: float = gap
        self.timeout: float = timeout
        self.witness = bool(witness)
        self.v6 = family == 6
        self.packed: bytes = packed if self.v6 else packed[:4]
        self.address = socket.inet_ntop(socket.AF_INET6 if self.v6 else socket.AF_INET, self.packed)
        self.base = math.ceil((now + phase * self.interval) / GRID_S) * GRID_S
        self.round = 0
        self.start = now
        self.sent: list[float] = []
        self.rtts: list[float] = []
        self.seqs: list[int] = []
        self.replies = 0
        self.failed = 0
        self.note = (frames.NOTE_NONE, 0)
        self.done = True
        self.last_reply = now
        self.probe_at = 0.0
        self.gone = False


class Engine:
    """Schedule and judgement over one transport. One thread; ``command`` may be called from another."""

    def __init__(self, transport: Transport, clock: SystemClock) -> None:
        self._transport = transport
        self._clock = clock
        self._now = clock.monotonic
        self._slots: dict[int, Slot] = {}
        self._due: list[tuple[float, int, int, int, Slot]] = []
        self._unanswered: list[Slot] = []
        self._tie = 0
        self._added = 0
        self._sequence = 0
        self._in_flight: dict[int, Slot] = {}
        self._heard: OrderedDict[int, float] = OrderedDict()
        self._asked_at = 0.0
        self._proofs: dict[int, int] = {}
        self._pruned_at = 0.0
        self._stamped = False
        self._offset = 0.0
        self._read_at = 0.0
        self._rows: list[bytes] = []
        self._urgent = False
        self._flushed_at = 0.0
        self._stall_end = 0.0
        self._stall_s = 0.0
        self._drops = 0
        self._dropped_at = 0.0
        self._sent_since_drain = 0
        self._commands: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()

    # ---- from the commands thread --------------------------------------------------------------------------

    def command(self, kind_body: tuple[int, bytes] | None) -> None:
        """Queue a command frame; None = end."""
        self._commands.put(kind_body)

    # ---- the loop ------------------------------------------------------------------------------------------

    def run(self, results: queue.SimpleQueue[bytes | None]) -> None:
        """Work until told to end. ``results`` gets batches of rows."""
        planned = sent_at = self._now()
        while True:
            try:
                command = self._commands.get(timeout=max(0.0, planned - self._now()))
                if command is None:
                    return
                self._obey(*command)
                if not self._commands.empty():
                    continue
            except queue.Empty:
                pass
            now = self._now()
            if now - planned > STALL_S:
                self._stalled(now, now - planned)
            self._sent_since_drain = 0
            self._drain()
            self._plan_verdicts()
            if now - self._pruned_at > PROOFS_KEPT_S:
                self._pruned_at = now
                oldest = int((now - PROOFS_KEPT_S) * PROOFS_PER_S)
                self._proofs = {moment: who for moment, who in self._proofs.items() if moment >= oldest}
            sent = self._work(now)
            if self._rows and (self._urgent or now - self._flushed_at >= FLUSH_S):
                if results.qsize() < MAX_BACKLOG:
                    results.put(b"".join(self._rows))
                self._rows.clear()
                self._urgent = False
                self._flushed_at = now
            planned = max(self._due[0][0], now + TICK_S) if self._due else now + 3600
            if sent:
                sent_at = now
            if not self._stamped and self._in_flight and now - sent_at < POLLED_S:
                planned = min(planned, now + POLL_S)
            elif sent:
                planned = min(planned, math.ceil((now + TICK_S) / GRID_S) * GRID_S)
            if self._rows:
                planned = min(planned, max(now + TICK_S, self._flushed_at + FLUSH_S))

    def _obey(self, kind: int, body: bytes) -> None:
        if kind == frames.ADD:
            now = self._now()
            self._added += 1
            slot = Slot(body, now, self._added * _GOLDEN % 1.0)
            self._slots[slot.id] = slot
            self._plan(slot.base, 0, 0, slot)
        elif kind == frames.REMOVE:
            old = self._slots.pop(frames.SLOT.unpack(body)[0], None)
            if old is not None:
                old.gone = True
                self._heard.pop(old.id, None)

    def _plan(self, due: float, step: int, round_no: int, slot: Slot) -> None:
        self._tie += 1
        heapq.heappush(self._due, (due, self._tie, step, round_no, slot))

    def _work(self, now: float) -> bool:
        """Everything due at ``now``, the moment at which the socket was emptied. True if something was sent."""
        sent = False
        due = self._due
        while due and due[0][0] <= now + EARLY_S:
            planned, _, step, round_no, slot = heapq.heappop(due)
            if slot.gone:
                continue
            if step == _VERDICT:
                if round_no == slot.round and not slot.done:
                    self._finish(slot)
                continue
            if step == _DOUBT:
                if round_no == slot.round and not slot.replies and not slot.done:
                    self._ask_witnesses(slot, now)
                continue
            if step == 0:
                self._begin(slot, round_no, now)
            elif round_no != slot.round or slot.done:
                continue
            elif step == 1 and not slot.replies:
                self._ask_witnesses(slot, now)
            self._send(slot, step)
            if step + 1 < slot.pings:
                # from the date, not from now, to stay on the grid; unless we are far behind it
                self._plan(max(planned, now - slot.gap / 2) + slot.gap, step + 1, slot.round, slot)
            else:
                self._unanswered.append(slot)
            sent = True
        return sent

    def _plan_verdicts(self) -> None:
        """Most rounds are complete when their last reply is read: only the others need a date for their verdict."""
        for slot in self._unanswered:
            if not slot.done and not slot.gone:
                self._plan(slot.sent[-1] + slot.timeout + 2 * EARLY_S, _VERDICT, slot.round, slot)
        self._unanswered.clear()

    def _begin(self, slot: Slot, round_no: int, now: float) -> None:
        # After a long pause (suspend, overload) rounds are skipped, not caught up with.
        scheduled = slot.base + round_no * slot.interval
        if now - scheduled > slot.interval:
            round_no += int((now - scheduled) / slot.interval)
        slot.round = round_no
        slot.start = now
        slot.sent = []
        slot.rtts = []
        slot.seqs = []
        slot.replies = slot.failed = 0
        slot.note = (frames.NOTE_NONE, 0)
        slot.done = False
        if slot.pings == 1:
            self._plan(now + slot.timeout / 2, _DOUBT, round_no, slot)

    def _send(self, slot: Slot, which: int) -> None:
        self._sent_since_drain += 1
        if self._sent_since_drain >= DRAIN_EVERY:
            self._sent_since_drain = 0
            self._drain()
        self._sequence = sequence = (self._sequence + 1) & 0xFFFF
        now = self._now()
        slot.sent.append(now)
        slot.rtts.append(frames.LOST_RTT)
        slot.seqs.append(sequence)
        self._in_flight[sequence] = slot
        failed = self._transport.send(slot.v6, slot.address, slot.packed, sequence, (slot.id, slot.round, which))
        if failed:
            slot.failed += 1
            kind = frames.NOTE_ERRNO
            if self._transport.hello[1 if slot.v6 else 0] == frames.NO_SOCKET:
                kind = frames.NOTE_NO_SOCKET
            slot.note = (kind, failed & 0xFFFF)

    # ---- what comes back -----------------------------------------------------------------------------------

    def _drain(self) -> None:
        # The kernel stamps arrivals with the wall clock, which may be set; ours may not.
        wall = self._clock.now().timestamp()
        self._read_at = now = self._now()
        self._offset = wall - now
        self._transport.drain(self._reply, self._problem, self._dropped)

    def _reply(self, slot_id: int, round_no: int, which: int, source: str, arrival: float | None) -> None:
        slot = self._slots.get(slot_id)
        if slot is None or source != slot.address:
            return
        self._stamped = arrival is not None
        read_at = self._read_at if arrival is None else min(arrival - self._offset, self._read_at)
        if read_at > slot.last_reply or slot_id not in self._heard:
            slot.last_reply = max(slot.last_reply, read_at)
            self._heard[slot_id] = slot.last_reply
            self._heard.move_to_end(slot_id)
        if round_no == slot.round and which < len(slot.sent):
            self._prove(slot_id, slot.sent[which])
        elif round_no == _PROBE_ROUND:
            self._prove(slot_id, slot.probe_at)
        # An answer to an earlier round, or to a question beside the rounds, shows life but belongs to no round.
        if slot.done or round_no != slot.round or which >= len(slot.sent) or slot.rtts[which] >= 0:
            return
        rtt = max(0.0, read_at - slot.sent[which])
        if rtt > slot.timeout:
            return
        slot.rtts[which] = rtt * 1000
        slot.replies += 1
        if slot.replies == slot.pings:
            self._finish(slot)

    def _problem(self, sequence: int, destination: str, kind: int, value: int) -> None:
        slot = self._in_flight.get(sequence)
        if slot is not None and slot.address == destination and not slot.done and not slot.failed:
            slot.note = (kind, value)

    def _dropped(self, count: int) -> None:
        if count != self._drops:
            self._drops = count
            self._dropped_at = self._read_at

    def _stalled(self, now: float, late: float) -> None:
        # A short stall after a long one must not hide the long one from the rounds that began before both.
        self._stall_s = max(late, self._stall_s) if now - self._stall_end < 10 * late + 10 else late
        self._stall_end = now

    # ---- judging -------------------------------------------------------------------------------------------

    def _finish(self, slot: Slot) -> None:
        slot.done = True
        for sequence in slot.seqs:
            if self._in_flight.get(sequence) is slot:
                del self._in_flight[sequence]
        result, (kind, value) = self._verdict(slot)
        rtts = slot.rtts + [frames.NO_RTT] * (4 - len(slot.rtts))
        heard = self._heard_other(slot) if result == frames.LOST else 0.0
        self._rows.append(
            frames.ROW.pack(slot.id, result, kind, value, slot.round & 0xFFFFFFFF, slot.start, heard, *rtts)
        )
        if result != frames.OK:
            self._urgent = True
        if result == frames.DEGRADED and slot.rtts[-1] < 0:
            slot.base -= slot.gap
        following = slot.round + 1
        self._plan(slot.base + following * slot.interval, 0, following, slot)

    def _verdict(self, slot: Slot) -> tuple[int, tuple[int, int]]:
        sent = len(slot.sent) - slot.failed
        if slot.replies and slot.replies >= sent:
            return frames.OK, slot.note
        if slot.replies:
            return frames.DEGRADED, slot.note
        if slot.failed or len(slot.sent) < slot.pings:
            return frames.UNKNOWN, slot.note
        if slot.start <= self._stall_end and self._stall_s > self._patience(slot):
            return frames.UNKNOWN, (frames.NOTE_STALLED, min(0xFFFF, int(self._stall_s * 10)))
        if slot.start <= self._dropped_at:
            return frames.UNKNOWN, (frames.NOTE_DROPPED, 0)
        return frames.LOST, slot.note

    def _prove(self, slot_id: int, sent: float) -> None:
        """A request that left at ``sent`` was answered: this computer was online then."""
        moment = int(sent * PROOFS_PER_S)
        known = self._proofs.get(moment)
        if known is None:
            self._proofs[moment] = slot_id
        elif known != slot_id:
            self._proofs[moment] = _SEVERAL

    def _patience(self, slot: Slot) -> float:
        """How late we may have been before silence says nothing. Where the kernel notes arrivals, only a suspend could
        have cost replies, and that takes longer than a moment without a CPU."""
        return max(slot.interval / 4, SUSPEND_S) if self._stamped else slot.interval / 4

    def _heard_other(self, slot: Slot) -> float:
        """When another target proved us online: while the lost requests of ``slot`` left, else before its round.

        0.0 if no other target is known to answer. Answers to requests that left later prove nothing about the lost
        ones: we may just have come back.
        """
        last = slot.sent[-1] if slot.pings > 1 else slot.start + slot.timeout / 2
        for moment in range(int(last * PROOFS_PER_S), int(slot.start * PROOFS_PER_S), -1):
            if self._proofs.get(moment, slot.id) != slot.id:
                return max(slot.start, moment / PROOFS_PER_S)
        for other_id, heard in reversed(self._heard.items()):
            if other_id == slot.id:
                continue
            other = self._slots[other_id]
            known = heard > slot.last_reply - max(slot.interval, other.interval) - KNOWN_S
            return min(heard, slot.start - 0.001) if known else 0.0
        return 0.0

    def _ask_witnesses(self, doubtful: Slot, now: float) -> None:
        # A question that left with the round's first request is no later than it, as ``_heard_other`` counts.
        if int(self._asked_at * PROOFS_PER_S) > int(doubtful.start * PROOFS_PER_S):
            return  # asked for somebody else while this round's requests were leaving
        self._asked_at = now
        # Whoever fell silent together with this one was heard a moment ago, too: gateways and hypervisors have places.
        standing = [slot for slot in self._witnesses() if slot is not doubtful][: WITNESSES_ASKED // 2]
        heard = (self._slots[other] for other in reversed(self._heard) if other != doubtful.id)
        others = itertools.islice((slot for slot in heard if slot not in standing), WITNESSES_ASKED - len(standing))
        for slot in (*standing, *others):
            self._sequence = (self._sequence + 1) & 0xFFFF
            slot.probe_at = now
            self._transport.send(slot.v6, slot.address, slot.packed, self._sequence, (slot.id, _PROBE_ROUND, 0))

    def _witnesses(self) -> list[Slot]:
        return [slot for slot in self._slots.values() if slot.witness] if len(self._slots) < 1_000 else []


# ---- the process ----------------------------------------------------------------------------------------------


def _pump_commands(engine: Engine, descriptor: int) -> None:
    while True:
        command = frames.read_frame(lambda count: os.read(descriptor, count))
        engine.command(command)
        if command is None:
            return


def _pump_results(results: queue.SimpleQueue[bytes | None], descriptor: int) -> None:
    while True:
        rows = results.get()
        if rows is None:
            return
        try:
            _write_all(descriptor, frames.frame(frames.ROUNDS, rows))
        except OSError:
            return  # the console has gone; the end of its commands ends us


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def main(arguments: list[str]) -> int:
    """Run until standard input ends. Exit code 3 if no socket could be opened (said in the hello)."""
    for name in ("SIGINT", "SIGTTOU", "SIGTSTP"):  # of the terminal; the console decides when we end
        with contextlib.suppress(AttributeError, ValueError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    builder = EchoBuilder(os.urandom(NONCE_BYTES), int.from_bytes(os.urandom(2), "big"))
    transport: Transport
    if arguments:
        host, _, port = arguments[0].rpartition(":")
        transport = LabTransport(builder, (host, int(port)))
    else:
        transport = IcmpTransport(builder)
    source, sink = sys.stdin.fileno(), sys.stdout.fileno()
    hello = transport.hello
    _write_all(sink, frames.frame(frames.HELLO, frames.HELLO_BODY.pack(*hello)))
    if hello[0] == hello[1] == frames.NO_SOCKET:
        return NO_SOCKET_EXIT
    # Nothing here makes cycles; a collection would only make rounds late.
    gc.disable()
    engine = Engine(transport, SystemClock())
    results: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_pump_commands, args=(engine, source), name="commands", daemon=True).start()
    threading.Thread(target=_pump_results, args=(results, sink), name="results", daemon=True).start()
    engine.run(results)
    transport.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
