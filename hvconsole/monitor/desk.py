"""The desk that takes and removes the monitor's snapshots: a few at a time per server, each step through the journal.

One thread, ``net-desk``, owns everything in here; the public methods only leave it a message and never block. It
carries out the steps that ``capture`` decides and the deletions that ``retention`` names. Calls to a server go through
its jobs and come back as messages, so a server that hangs delays nobody else.

While a snapshot is not settled, the journal's row carries the snapshot's description as its detail, so that the next
run can take it with the same evidence.
"""

from __future__ import annotations

import datetime as dt
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hvconsole.backends.base import SnapshotSearch
from hvconsole.clock import Clock
from hvconsole.errors import HvError, LocalError, Unreachable
from hvconsole.events import Happened, Hub, JobState, Notice
from hvconsole.jobs import Job
from hvconsole.model import AUTOMATIC_MARK, ObjectId, PowerState, ServerId, Verb
from hvconsole.monitor import capture, retention
from hvconsole.monitor.capture import Do, Progress, Step
from hvconsole.monitor.servers import Server, Servers
from hvconsole.monitor.status import HOLD_SENTENCES, Hold, MonitorSettings, VmKey
from hvconsole.outages import CaptureState, Outage, OutageJournal
from hvconsole.text import safe_text

log = logging.getLogger(__name__)

AT_ONCE = 3
"""Automatic snapshots per server at the same time."""
LOOK_LIMIT_S = 120.0
"""An answer to "what is there?" that takes longer is no longer waited for."""
TOO_OLD_S = 3600.0
"""An outage found on disk that is older is not worth a snapshot any more: it would show a VM that is long back."""
BEAT_S = 5.0
"""How often the desk looks at what waits for a server or a storage."""
RETENTION_DELAY_S = 30.0
"""How long a VM has to be up before old snapshots are removed: removing one stuns it."""
REWRITE_S = 15.0
TOO_OLD_SENTENCE = "hvconsole wasn't running for too long after it was noticed."
JOURNAL_NOTICE = "monitor-journal"

FINAL = (CaptureState.DONE, CaptureState.FAILED, CaptureState.UNKNOWN, CaptureState.HELD)


@dataclass(slots=True)
class _Order:
    """One snapshot on its way."""

    outage: Outage
    description: str
    memory: bool
    progress: Progress
    begun: float
    due: float = 0.0
    waiting: str = "queue"
    """"queue" for a free place, "look" until ``due``, "answer" for a server."""
    too_old: bool = False
    """Left by an earlier run of long ago: its snapshot is looked for, but not asked for any more."""
    turn: int = 0
    """Counts the questions asked, so that an answer that comes after its limit is recognised."""
    key: VmKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = VmKey(self.outage.server_id, self.outage.vm_id)


class SnapshotDesk:
    """Takes automatic snapshots, resumes those of an earlier run, removes old ones."""

    def __init__(
        self,
        servers: Servers,
        journal: OutageJournal,
        hub: Hub,
        clock: Clock,
        *,
        on_outage: Callable[[Outage], None],
        on_beat: Callable[[], None] = lambda: None,
        settings: Callable[[VmKey], MonitorSettings],
    ) -> None:
        """``on_outage`` gets every new state of an outage, ``on_beat`` is called every ``BEAT_S``: in the desk's
        thread."""
        self._servers = servers
        self._journal = journal
        self._hub = hub
        self._clock = clock
        self._on_outage = on_outage
        self._on_beat = on_beat
        self._beat_at = 0.0
        self._settings = settings
        self._mail: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._orders: dict[str, _Order] = {}
        self._settled: dict[str, Outage] = {}
        self._unwritten: dict[str, Outage] = {}
        self._journal_trouble = False
        self._rewrite_at = 0.0
        self._busy_lock = threading.Lock()
        self._busy: dict[VmKey, int] = {}
        self._busy_until: dict[VmKey, float] = {}
        self._to_thin: dict[VmKey, float] = {}
        self._deleting: dict[ServerId, VmKey] = {}
        self._named: dict[ServerId, set[ObjectId]] = {}
        self._thread = threading.Thread(target=self._run, name="net-desk", daemon=True)

    # ---- any thread ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. What is on its way stays in the journal as it is and is resumed by the next run."""
        self._mail.put(None)

    def alive(self) -> tuple[str, ...]:
        """Names of threads that still run."""
        return (self._thread.name,) if self._thread.is_alive() else ()

    def take(self, outage: Outage, description: str, memory: bool) -> None:
        """Take the snapshot of ``outage``, which is in the journal as ``INTENT``."""
        key = VmKey(outage.server_id, outage.vm_id)
        self._count(key, 1)
        self._post(lambda: self._accept(outage, description, memory))

    def resume(self, outage: Outage) -> None:
        """Go on with an outage that an earlier run left open."""
        self._count(VmKey(outage.server_id, outage.vm_id), 1)
        self._post(lambda: self._take_up(outage))

    def close(self, outage_id: str, when: dt.datetime) -> None:
        """The outage is over."""
        self._post(lambda: self._close(outage_id, when))

    def thin_out(self, key: VmKey) -> None:
        """The VM is up: look in a while whether old automatic snapshots can go."""
        due = self._clock.monotonic() + RETENTION_DELAY_S
        self._post(lambda: self._to_thin.__setitem__(key, due))

    def keep_all(self, key: VmKey) -> None:
        """The VM is down, or unticked: remove nothing."""

        def forget() -> None:
            self._to_thin.pop(key, None)

        self._post(forget)

    def poke(self) -> None:
        """Something changed (a server is back, a VM stopped running): look at what waits."""
        self._post(lambda: None)

    def post(self, work: Callable[[], None]) -> None:
        """Run some other small piece of work in the desk's thread."""
        self._post(work)

    def disturb(self, key: VmKey, begins: bool) -> None:
        """Somebody else's snapshot or migration of the VM begins or ends."""
        self._count(key, 1 if begins else -1)

    def disturbs(self, key: VmKey, now: float, aftermath_s: float) -> bool:
        """Whether a snapshot of this VM is being taken or removed by us, or was less than ``aftermath_s`` ago."""
        return bool(self._busy.get(key)) or now - self._busy_until.get(key, float("-inf")) < aftermath_s

    def _count(self, key: VmKey, change: int) -> None:
        with self._busy_lock:
            left = self._busy.get(key, 0) + change
            if left:
                self._busy[key] = left
            else:
                self._busy.pop(key, None)
            if change < 0:
                self._busy_until[key] = self._clock.monotonic()

    def _post(self, work: Callable[[], None]) -> None:
        self._mail.put(work)

    # ---- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                work = self._mail.get(timeout=self._pause_s())
            except queue.Empty:
                work = _nothing
            if work is None:
                return
            try:
                work()
                self._move_on()
            except Exception:  # outer edge of the thread: one order's trouble must not end all others
                log.exception("the snapshot desk stumbled")

    def _pause_s(self) -> float:
        now = self._clock.monotonic()
        dues = [order.due for order in self._orders.values() if order.waiting != "queue"]
        return max(0.0, min([BEAT_S, *(due - now for due in dues)]))

    def _move_on(self) -> None:
        now = self._clock.monotonic()
        if now - self._beat_at >= BEAT_S:
            self._beat_at = now
            self._on_beat()
        for order in tuple(self._orders.values()):
            if order.waiting == "queue" and self._has_place(order.key.server_id):
                self._begin(order)
            elif order.waiting == "look" and order.due <= now:
                self._look(order)
            elif order.waiting == "answer" and order.due <= now:
                order.turn += 1
                self._follow(order, *capture.look_failed(order.progress, Unreachable("The server didn't answer.")))
        self._thin(now)
        if self._unwritten and now >= self._rewrite_at:
            self._rewrite_at = now + REWRITE_S
            for outage in tuple(self._unwritten.values()):
                self._write(outage)

    def _has_place(self, server_id: ServerId) -> bool:
        active = sum(1 for o in self._orders.values() if o.key.server_id == server_id and o.waiting != "queue")
        return active < AT_ONCE

    # ---- taking a snapshot ---------------------------------------------------------------------------------

    def _accept(self, outage: Outage, description: str, memory: bool) -> None:
        progress, _ = capture.begin(outage.state)
        self._orders[outage.id] = _Order(outage, description, memory, progress, self._clock.monotonic())

    def _take_up(self, outage: Outage) -> None:
        if outage.id in self._orders or outage.id in self._settled:
            self._count(VmKey(outage.server_id, outage.vm_id), -1)  # one of this run: the journal was read late
            return
        if outage.state in (CaptureState.DONE, CaptureState.FAILED, CaptureState.HELD):
            self._settled[outage.id] = outage
            self._count(VmKey(outage.server_id, outage.vm_id), -1)
            return
        order = self._resumed(outage)
        if outage.state is CaptureState.INTENT and order.too_old:
            self._finish(order, CaptureState.HELD, TOO_OLD_SENTENCE)
            return
        log.info("going on with the outage of %s", safe_text(outage.vm_name))
        self._orders[outage.id] = order

    def _resumed(self, outage: Outage) -> _Order:
        progress, _ = capture.begin(outage.state)
        key = VmKey(outage.server_id, outage.vm_id)
        plain = replace(outage, detail="")
        memory, begun = self._settings(key).memory, self._clock.monotonic()
        return _Order(plain, outage.detail, memory, progress, begun, too_old=too_old(outage, self._clock.now()))

    def _begin(self, order: _Order) -> None:
        if order.outage.closed is not None and order.outage.state is CaptureState.INTENT:
            self._finish(order, CaptureState.HELD, "The outage was over before its turn came.")
            return
        order.waiting, order.due = "look", self._clock.monotonic()
        self._look(order)

    def _look(self, order: _Order) -> None:
        server = self._server(order)
        if server is None:
            order.due = self._clock.monotonic() + BEAT_S
            return
        order.turn += 1
        turn = order.turn
        order.waiting, order.due = "answer", self._clock.monotonic() + LOOK_LIMIT_S
        vm_id, name = order.key.vm_id, order.outage.snapshot_name

        def done(answer: SnapshotSearch | HvError) -> None:
            self._post(lambda: self._looked(order, turn, answer))

        server.ask(lambda hypervisor: hypervisor.find_snapshots(vm_id, name), done, by="monitor")

    def _looked(self, order: _Order, turn: int, answer: SnapshotSearch | HvError) -> None:
        if turn != order.turn or order.outage.id not in self._orders:
            return
        if isinstance(answer, HvError):
            self._follow(order, *capture.look_failed(order.progress, answer))
        else:
            self._adopt(order, answer)
            self._follow(order, *capture.looked(order.progress, answer))

    def _adopt(self, order: _Order, search: SnapshotSearch) -> None:
        """A station that died between taking and describing left a snapshot without evidence and mark."""
        server = self._server(order)
        bare = next((s for s in search.found if not s.automatic), None)
        if server is None or bare is None or not order.description.startswith(AUTOMATIC_MARK):
            return

        def described(answer: HvError | None) -> None:
            if answer is not None:
                log.warning("a snapshot that was found could not be described: %s", answer.user_text)

        vm_id, description = order.key.vm_id, order.description
        server.ask(lambda hv: hv.describe_snapshot(vm_id, bare.id, description), described, by="monitor")

    def _follow(self, order: _Order, progress: Progress, step: Step) -> None:
        order.progress = progress
        if step.do is Do.LOOK:
            order.waiting, order.due = "look", self._clock.monotonic() + step.after_s
        elif step.do is Do.ASK:
            self._ask(order)
        else:
            self._finish(order, step.state, step.detail)

    def _ask(self, order: _Order) -> None:
        if order.too_old:
            self._finish(order, CaptureState.HELD, TOO_OLD_SENTENCE)
            return
        if order.outage.closed is not None and not order.progress.asked and not order.progress.lost:
            self._finish(order, CaptureState.HELD, "The outage was over before the snapshot could be asked for.")
            return
        server = self._server(order)
        if server is None:
            order.waiting, order.due = "look", self._clock.monotonic() + BEAT_S
            return
        if self._stopped_meanwhile(order, server):
            self._finish(order, CaptureState.HELD, HOLD_SENTENCES[Hold.NOT_RUNNING])
            return
        sent = replace(order.outage, state=CaptureState.SENT)
        if not self._write(replace(sent, detail=order.description)):
            # Were we to ask now and die, the next run would take it for never asked and ask again.
            order.waiting, order.due = "look", self._clock.monotonic() + REWRITE_S
            self._unwritten.pop(sent.id, None)
            return
        order.outage = sent
        self._on_outage(sent)
        order.turn += 1
        turn = order.turn
        order.waiting, order.due = "answer", float("inf")
        arguments = {
            "name": order.outage.snapshot_name,
            "description": order.description,
            "memory": order.memory,
        }
        job = server.submit(Verb.SNAPSHOT, order.key.vm_id, arguments, by="monitor", insist=True)
        job.when_finished(lambda finished: self._post(lambda: self._asked(order, turn, finished, server)))

    def _stopped_meanwhile(self, order: _Order, server: Server) -> bool:
        """Whether the silence turned out to be that of a VM that went down or to sleep."""
        vm = server.inventory.vms.get(order.key.vm_id) if server.inventory is not None else None
        if vm is None or Hold.NOT_RUNNING not in self._settings(order.key).holds:
            return False
        return vm.power in (PowerState.HALTED, PowerState.SUSPENDED) and not vm.operations

    def _asked(self, order: _Order, turn: int, job: Job, server: Server) -> None:
        if turn != order.turn:
            return
        state, error = job.view.state, job.view.error
        if state is JobState.CANCELLED and self._servers.get(server.id) not in (server, None):
            # Nobody cancelled the snapshot: a new connection to the server took the place of the old one.
            state, error = JobState.FAILED, Unreachable("The connection to the server was replaced.")
        self._follow(order, *capture.answered(order.progress, state, error))

    def _finish(self, order: _Order, state: CaptureState, detail: str) -> None:
        outage = replace(order.outage, state=state, detail=detail)
        self._orders.pop(outage.id, None)
        self._count(order.key, -1)
        self._write(outage)
        if outage.closed is None:
            self._settled[outage.id] = outage
        self._on_outage(outage)
        server = self._servers.get(outage.server_id)
        failed = state in (CaptureState.FAILED, CaptureState.UNKNOWN)
        notice = f"snapshot-failed-{outage.server_id}-{outage.vm_id}"
        outcomes = {CaptureState.DONE: "done", CaptureState.FAILED: "failed", CaptureState.UNKNOWN: "unknown"}
        self._hub.emit(
            Happened(
                when=self._clock.now(),
                who="monitor",
                what="snapshot-failed" if failed else "held" if state is CaptureState.HELD else "snapshot",
                server=server.name if server is not None else str(outage.server_id),
                subject=outage.vm_name,
                subject_id=outage.vm_id,
                server_id=outage.server_id,
                outcome=outcomes.get(state, ""),
                duration_s=self._clock.monotonic() - order.begun,
                detail=detail,
                extra={"snapshot": outage.snapshot_name, "outage": outage.id},
            )
        )
        if failed:
            happened = "failed" if state is CaptureState.FAILED else "has an unknown outcome"
            text = f"The automatic snapshot of {safe_text(outage.vm_name)} {happened}: {safe_text(detail)}"
            self._hub.emit(Notice(key=notice, text=text, severity="error"))
        elif state is CaptureState.DONE:
            self._hub.emit(Notice(key=notice, text=""))

    def _close(self, outage_id: str, when: dt.datetime) -> None:
        order = self._orders.get(outage_id)
        if order is not None:
            # Not closed on disk before its snapshot is settled: a crash in between must find it open.
            order.outage = replace(order.outage, closed=when)
            return
        outage = self._settled.pop(outage_id, None)
        if outage is not None:
            self._write(replace(outage, closed=when))

    def _server(self, order: _Order) -> Server | None:
        server = self._servers.get(order.key.server_id)
        return server if server is not None and server.connected else None

    def _write(self, outage: Outage) -> bool:
        """Put ``outage`` on disk; what cannot be written is tried again later. Open while its order is not final."""
        kept = outage if outage.state in FINAL else replace(outage, closed=None)
        try:
            self._journal.record(kept)
        except LocalError as exc:
            self._unwritten[outage.id] = kept
            self._journal_trouble = True
            self._hub.emit(Notice(key=JOURNAL_NOTICE, text=exc.user_text, severity="error"))
            return False
        self._unwritten.pop(outage.id, None)
        if self._journal_trouble and not self._unwritten:
            self._journal_trouble = False
            self._hub.emit(Notice(key=JOURNAL_NOTICE, text=""))
        return True

    # ---- removing old ones ---------------------------------------------------------------------------------

    def _thin(self, now: float) -> None:
        # Removing may take as long as taking: one at a time per server, and an outage goes first.
        occupied = {*self._deleting, *(order.key.server_id for order in self._orders.values())}
        for key, due in tuple(self._to_thin.items()):
            if due > now or key.server_id in occupied or self._busy.get(key):
                continue
            server = self._servers.get(key.server_id)
            if server is None or not server.connected or server.inventory is None:
                continue
            vm = server.inventory.vms.get(key.vm_id)
            named = self._named.get(key.server_id, ())
            old = retention.expendable(vm, self._settings(key).keep, named) if vm is not None else ()
            if vm is None or not old:
                del self._to_thin[key]
                continue
            if not retention.allowed_now(vm):
                continue
            self._deleting[key.server_id] = key
            occupied.add(key.server_id)
            self._count(key, 1)
            snapshot = old[0]
            job = server.submit(Verb.DELETE_SNAPSHOT, key.vm_id, {"snapshot": snapshot.id}, by="monitor")
            job.when_finished(self._then_deleted(key, snapshot.id))

    def _then_deleted(self, key: VmKey, snapshot_id: ObjectId) -> Callable[[Job], None]:
        return lambda job: self._post(lambda: self._deleted(key, snapshot_id, job))

    def _deleted(self, key: VmKey, snapshot_id: ObjectId, job: Job) -> None:
        self._deleting.pop(key.server_id, None)
        self._count(key, -1)
        error = job.view.error
        if job.view.state is not JobState.DONE:
            log.info("an old automatic snapshot could not be removed: %s", error)
        if error is not None and error.retryable:
            pause_s = RETENTION_DELAY_S
        else:
            # Also when it worked: until the inventory shows it gone it must not be asked for again.
            self._named.setdefault(key.server_id, set()).add(snapshot_id)
            pause_s = BEAT_S
        if key in self._to_thin:
            self._to_thin[key] = self._clock.monotonic() + pause_s


def too_old(outage: Outage, now: dt.datetime) -> bool:
    """Whether an outage that an earlier run left open is not worth a snapshot any more."""
    return (now - outage.opened).total_seconds() > TOO_OLD_S


def _nothing() -> None:
    """Nobody left a message; something may be due."""
