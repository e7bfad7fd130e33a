"""One ticked VM's monitor: a thread that waits for something that matters, judges it, and asks for the snapshot.

The thread ``net-<vm>`` owns everything that changes in here; others leave it messages (``post``) and read attributes,
which are replaced as a whole. It never calls a hypervisor: a snapshot takes minutes, and pings go on.
"""

from __future__ import annotations

import datetime as dt
import logging
import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from hvconsole.clock import Clock
from hvconsole.errors import HvError, LocalError
from hvconsole.events import Happened, Hub, MonitorChanged
from hvconsole.model import Vm
from hvconsole.monitor import addresses, evidence, policy, situation
from hvconsole.monitor.icmp import PingEngine
from hvconsole.monitor.oneoff import is_address, resolve
from hvconsole.monitor.pinger import CODES, STATION_SENTENCE, Pinger, Sample
from hvconsole.monitor.policy import Act, Context, Decision, PolicyState
from hvconsole.monitor.servers import Server
from hvconsole.monitor.situation import NEVER, Situation
from hvconsole.monitor.status import (
    HOLD_SENTENCES,
    Hold,
    MonitorSettings,
    MonitorState,
    MonitorStatus,
    RoundResult,
    VmKey,
)
from hvconsole.outages import CaptureState, Outage
from hvconsole.text import format_took, safe_text

log = logging.getLogger(__name__)

RESOLVE_RETRY_S = 30.0
"""Pause before a name that could not be resolved is tried again."""


class Surroundings(Protocol):
    """What a VM's monitor asks of the ``Watcher``. Called in the VM's thread."""

    clock: Clock
    hub: Hub
    station_name: str

    @property
    def engine(self) -> PingEngine:
        """The shared engine."""

    @property
    def station_offline(self) -> bool:
        """Whether this computer is known to be offline now."""

    @property
    def trouble(self) -> LocalError | None:
        """Why nothing can be pinged at all, or None."""

    def server(self, key: VmKey) -> Server | None:
        """The VM's server."""

    def judge_station(self, sample: Sample) -> bool:
        """Whether this computer was offline during a lost round. May block for a second."""

    def disturbed(self, key: VmKey) -> bool:
        """Whether a snapshot of ours is being taken or removed, or just was."""

    def common_cause(self, key: VmKey) -> bool:
        """Note that the VM was lost; whether many were at the same time."""

    def take_from_budget(self, key: VmKey, settings: MonitorSettings) -> bool:
        """Whether one more automatic snapshot may be taken this minute."""

    def capture(self, outage: Outage, description: str, settings: MonitorSettings) -> None:
        """Put the outage on disk and have its snapshot taken. Raises ``LocalError`` if it cannot be written."""

    def give_back(self, key: VmKey) -> None:
        """The snapshot that was taken from the budget is not asked for after all."""

    def close_outage(self, outage: Outage) -> None:
        """The outage is over, also one that was held and perhaps never written."""

    def armed(self, key: VmKey, up: bool) -> None:
        """The VM came up (old snapshots may be removed), or no longer is."""


class VMNetMonitor(threading.Thread):
    """Watches one VM. ``start`` it; ``post_stop`` ends it within a moment."""

    def __init__(self, key: VmKey, vm_name: str, settings: MonitorSettings, around: Surroundings) -> None:
        super().__init__(name=f"net-{safe_text(vm_name, 40)}", daemon=True)
        self.key = key
        self.vm_name = vm_name
        self.settings = settings
        self.outage: Outage | None = None
        self.state = PolicyState(since=around.clock.monotonic())
        self.since = around.clock.now()
        self.situation = Situation()
        self.reported: tuple[str, ...] = ()
        """Addresses as the guest reports them now."""
        self._known: tuple[str, ...] = ()
        self._chosen = ""
        self._problem = ""
        self._journal_problem = ""
        self._armed_at = NEVER
        self._connected = False
        self._around = around
        self._clock = around.clock
        self._mail: queue.SimpleQueue[Callable[[], None] | Sample | None] = queue.SimpleQueue()
        self._retry_at: float | None = None
        self._opened_at = 0.0
        """Monotonic begin of the present outage: the wall clock may be set meanwhile."""
        self.pinger = Pinger(key, around.engine, around.clock, self._mail.put)
        self._last_name = ""
        self._last_snapshot: tuple[str, dt.datetime] | None = None

    # ---- from other threads --------------------------------------------------------------------------------

    def post_vm(self, vm: Vm | None, connected: bool) -> None:
        """The inventory has another ``Vm`` (None = it is not there), or the server went or came."""
        self._mail.put(lambda: self._see(vm, connected))

    def post_settings(self, settings: MonitorSettings) -> None:
        """Watch it differently from now on."""
        self._mail.put(lambda: self._configure(settings))

    def post_outage(self, outage: Outage) -> None:
        """The desk has news of this VM's outage."""
        self._mail.put(lambda: self._hear(outage))

    def post_told(self) -> None:
        """Somebody told the VM to start, stop or reboot through this console."""
        self._mail.put(self._tell)

    def post_stop(self, *, close: bool) -> None:
        """End the thread; ``close``: the VM is no longer to be watched, so its outage is over, too."""
        if close:
            self._mail.put(self._abandon)
        self._mail.put(None)

    def post_resume(self, outage: Outage) -> None:
        """The journal, read late, has an open outage of this VM."""
        self._mail.put(lambda: self._resume_late(outage))

    def resume(self, outage: Outage) -> None:
        """Go on inside an outage of an earlier run. Before ``start``, or in the VM's thread."""
        self.outage = outage
        self.state = replace(
            self.state,
            state=MonitorState.DOWN,
            asked=outage.state is not CaptureState.HELD,
        )
        self.since = outage.opened
        age_s = (self._clock.now() - outage.opened).total_seconds()
        self._opened_at = self._clock.monotonic() - max(0.0, age_s)

    def prepare(self, vm: Vm | None, connected: bool) -> None:
        """Take in what the inventory has of it and begin to ping. Before ``start`` only."""
        self._see(vm, connected)

    # ---- the thread ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Wait, judge, go on."""
        try:
            while True:
                try:
                    message = self._mail.get(timeout=self._pause_s())
                except queue.Empty:
                    message = self._try_again
                if message is None:
                    return
                try:
                    if isinstance(message, Sample):
                        self._judge(message)
                    else:
                        message()
                except Exception:  # outer edge of the thread: a defect of ours must be seen, and not end the watch
                    log.exception("watching %s stumbled", safe_text(self.vm_name))
        finally:
            self.pinger.stop()

    def _pause_s(self) -> float | None:
        return None if self._retry_at is None else max(0.0, self._retry_at - self._clock.monotonic())

    def _judge(self, sample: Sample) -> None:
        now = self._clock.monotonic()
        settings = self.settings
        context = Context()
        if sample.result is RoundResult.LOST:
            if self._stale(sample, now):
                return
            context = self._circumstances(sample, now)
        before = self.state
        after, decision = policy.observe(settings, before, sample.result, now, context)
        if decision.act is Act.CAPTURE:
            hold = self._capture(sample)
            if hold is not None:
                context = replace(context, holds=context.holds | {hold})
                after, decision = policy.observe(settings, before, sample.result, now, context)
        self._become(after, decision, sample)

    def _stale(self, sample: Sample, now: float) -> bool:
        """Whether a lost round comes so late that it says nothing about the present: we were stopped, or swamped."""
        settings = self.settings
        finished = sample.start + settings.gap_s * (settings.pings - 1) + settings.timeout_s
        return now - finished > max(settings.interval_s, 2.0)

    def _circumstances(self, sample: Sample, now: float) -> Context:
        settings = self.settings
        silent = self.state.state not in (MonitorState.UP, MonitorState.SUSPECT)
        holds = set(self.situation.holds(settings, now, self._armed_at, silent))
        if self._around.disturbed(self.key):
            holds.add(Hold.SNAPSHOTTING)
        server = self._around.server(self.key)
        if server is None or not server.connected:
            holds.add(Hold.SERVER_AWAY)
        if not self.state.asked:
            if Hold.STATION_OFFLINE in settings.holds and self._around.judge_station(sample):
                holds.add(Hold.STATION_OFFLINE)
                self.pinger.void(sample.start)
            elif self._around.common_cause(self.key):
                holds.add(Hold.COMMON_CAUSE)
        return Context(running=self.situation.running(self._connected), holds=frozenset(holds))

    def _capture(self, sample: Sample) -> Hold | None:
        """Have the snapshot taken; what holds it back after all, or None."""
        settings = self.settings
        if Hold.STORM in settings.holds and not self._around.take_from_budget(self.key, settings):
            return Hold.STORM
        outage = replace(self._outage_of(sample), state=CaptureState.INTENT, detail="")
        text = evidence.describe(outage, settings, self.pinger.address, self.pinger.rounds(), self._around.station_name)
        try:
            self._around.capture(outage, text, settings)
        except LocalError as exc:
            log.warning("no automatic snapshot of %s: %s", safe_text(self.vm_name), exc.user_text)
            self._journal_problem = exc.user_text
            self._around.give_back(self.key)
            return Hold.NO_JOURNAL
        self.outage = outage
        self._last_name = outage.snapshot_name
        return None

    def _outage_of(self, sample: Sample) -> Outage:
        """The present outage, or a new one that begins with this round."""
        name = evidence.snapshot_name(self.settings.prefix, self._clock.now())
        if name == self._last_name:
            name += " (2)"  # the name is how a snapshot is found again: two outages never share one
        if self.outage is not None:
            return replace(self.outage, snapshot_name=name)
        age = dt.timedelta(seconds=max(0.0, self._clock.monotonic() - sample.start))
        self._opened_at = sample.start
        return Outage(
            id=uuid.uuid4().hex,
            server_id=self.key.server_id,
            vm_id=self.key.vm_id,
            vm_name=self.vm_name,
            opened=self._clock.now() - age,
            snapshot_name=name,
            state=CaptureState.HELD,
        )

    def _become(self, after: PolicyState, decision: Decision, sample: Sample | None) -> None:
        before, self.state = self.state, after
        moved = after.state is not before.state
        fell = after.in_outage and not before.in_outage
        if moved:
            self.since = self._clock.now()
            if after.state is MonitorState.UP:
                self._armed_at = after.since
        if sample is not None and decision.act is Act.HOLD and after.in_outage and decision.hold is not None:
            detail = self._sentence(decision.hold)
            self.outage = replace(self._outage_of(sample), state=CaptureState.HELD, detail=detail)
        if fell:
            self._happened("outage", self._shown(decision))
            self._around.armed(self.key, False)
        if decision.act is Act.HOLD and decision.hold is not Hold.STATION_OFFLINE and decision.hold is not None:
            self._happened("held", self._sentence(decision.hold), hold=str(decision.hold))
        if decision.act is Act.CLOSE:
            self._over()
        if moved and after.state is MonitorState.UP:
            self._around.armed(self.key, True)
        self.pinger.interest = frozenset(CODES[result] for result in policy.matters(after))
        if moved or decision.act is not Act.NOTHING:
            self._around.hub.emit(MonitorChanged(*self.key))

    def _sentence(self, hold: Hold) -> str:
        if hold is Hold.NO_JOURNAL and self._journal_problem:
            return f"{self._journal_problem} No automatic snapshot is taken."
        return HOLD_SENTENCES[hold]

    def _shown(self, decision: Decision) -> str:
        settings = self.settings
        rounds = "one round" if settings.lost_rounds == 1 else f"{settings.lost_rounds} rounds in a row"
        asked = "" if decision.act is Act.HOLD else "; a snapshot is being taken"
        return f"No reply from {self.pinger.address} in {rounds} of {settings.pings} pings{asked}."

    def _over(self) -> None:
        outage, self.outage = self.outage, None
        if outage is None:
            return
        lasted = max(0.0, self._clock.monotonic() - self._opened_at)
        self._around.close_outage(outage)
        if self.state.state is MonitorState.UP:
            self._happened("recovered", f"It answers again after {format_took(lasted)}.", lasted)
        else:
            self._happened("recovered", "The outage ended because the VM no longer runs.", lasted)

    def _abandon(self) -> None:
        self._around.armed(self.key, False)
        outage, self.outage = self.outage, None
        if outage is not None:
            self._around.close_outage(outage)

    def _happened(self, what: str, detail: str, duration_s: float | None = None, **extra: str) -> None:
        server = self._around.server(self.key)
        if self.outage is not None:
            extra["outage"] = self.outage.id
        self._around.hub.emit(
            Happened(
                when=self._clock.now(),
                who="monitor",
                what=what,
                server=server.name if server is not None else str(self.key.server_id),
                subject=self.vm_name,
                subject_id=self.key.vm_id,
                server_id=self.key.server_id,
                duration_s=duration_s,
                detail=detail,
                extra=extra,
            )
        )

    # ---- what the server and the user say --------------------------------------------------------------------

    def _see(self, vm: Vm | None, connected: bool) -> None:
        now = self._clock.monotonic()
        self._connected = connected
        if vm is not None:
            self.vm_name = vm.name
            if vm.addresses != self.reported:
                self.reported = vm.addresses
        if vm is not None or connected:
            self.situation = situation.follow(self.situation, vm, now)
        self._attend()

    def _configure(self, settings: MonitorSettings) -> None:
        chosen_anew = (settings.address, settings.family) != (self.settings.address, self.settings.family)
        self.settings = settings
        if chosen_anew and self.state.state is not MonitorState.PAUSED:
            self._choose(addresses.choose(settings, self.reported))
        self._attend()
        if self.state.state is MonitorState.UP:
            self._around.armed(self.key, True)  # perhaps fewer snapshots are to be kept
        self._around.hub.emit(MonitorChanged(*self.key))

    def _hear(self, outage: Outage) -> None:
        if outage.state is CaptureState.DONE:
            self._last_snapshot = (outage.snapshot_name, self._clock.now())
        if self.outage is not None and self.outage.id == outage.id:
            self.outage = replace(outage, closed=None)
        self._around.hub.emit(MonitorChanged(*self.key))

    def _resume_late(self, outage: Outage) -> None:
        if self.outage is not None and self.outage.id == outage.id:
            return
        if self.outage is None and self.state.state is MonitorState.LEARNING:
            self.resume(outage)
            self._become(self.state, policy.NOTHING, None)
            self._around.hub.emit(MonitorChanged(*self.key))
        else:
            self._around.close_outage(outage)  # it has answered since, or stopped

    def _tell(self) -> None:
        self.situation = situation.told(self.situation, self._clock.monotonic())

    def _attend(self) -> None:
        """Adapt to circumstances: pause, go on, aim at another address."""
        now = self._clock.monotonic()
        context = Context(running=self.situation.running(self._connected))
        after, decision = policy.attend(self.settings, self.state, now, context)
        self._become(after, decision, None)
        if after.state is MonitorState.PAUSED:
            self.pinger.stop()
            if not is_address(self._chosen):
                self._chosen = ""  # a name may mean another address when the VM runs again
            return
        wanted = addresses.follow(self.settings, self._chosen, self._known, self.reported)
        if wanted != self._chosen:
            self._choose(wanted)
        elif wanted and is_address(wanted):
            self.pinger.aim(wanted, self.settings)
        elif wanted and self.pinger.aimed:
            self.pinger.aim(self.pinger.address, self.settings)

    def _choose(self, wanted: str) -> None:
        """Ping another address: whether that one answers is yet to be learnt."""
        self._known = addresses.usable(self.reported)
        if wanted == self._chosen:
            return
        if self._chosen and self.state.state is not MonitorState.LEARNING:
            decision = policy.CLOSE if self.state.in_outage else policy.NOTHING
            self._become(PolicyState(since=self._clock.monotonic()), decision, None)
        self._chosen, self._problem = wanted, ""
        if not wanted:
            self.pinger.stop()
        elif is_address(wanted):
            self.pinger.aim(wanted, self.settings)
        else:
            self.pinger.stop()
            self._look_up(wanted)

    def _look_up(self, name: str) -> None:
        """Resolve a name on a thread of its own: the resolver may hang for long, this thread may not."""
        family = self.settings.family

        def work() -> None:
            try:
                answer: str | HvError = resolve(name, family)
            except HvError as exc:
                answer = exc
            self._mail.put(lambda: self._resolved(name, answer))

        threading.Thread(target=work, name=f"net-resolve-{safe_text(name, 40)}", daemon=True).start()

    def _resolved(self, name: str, answer: str | HvError) -> None:
        if name != self._chosen:
            return
        if isinstance(answer, HvError):
            self._problem = answer.user_text
            self._retry_at = self._clock.monotonic() + RESOLVE_RETRY_S
        else:
            self._problem = ""
            self.pinger.aim(answer, self.settings)
        self._around.hub.emit(MonitorChanged(*self.key))

    def _try_again(self) -> None:
        self._retry_at = None
        if self._chosen and not is_address(self._chosen) and not self.pinger.aimed:
            self._look_up(self._chosen)

    # ---- every thread ----------------------------------------------------------------------------------------

    def status(self) -> MonitorStatus:
        """How it stands now."""
        state, reason = self._overlay()
        figures = self.pinger.figures()
        name, when = self._newest_snapshot()
        return MonitorStatus(
            key=self.key,
            vm_name=self.vm_name,
            settings=self.settings,
            address=self.pinger.address if self.pinger.aimed else self._chosen,
            addresses=addresses.usable(self.reported),
            state=state,
            state_since=self.since,
            reason=reason,
            hold=self.state.hold,
            rounds=self.pinger.rounds(),
            last_rtt_ms=figures.last_rtt_ms,
            average_rtt_ms=figures.average_rtt_ms,
            loss_fraction=figures.loss_fraction,
            rounds_total=self.pinger.rounds_total,
            would_have_fired=self.pinger.would_have_fired,
            outage=self.outage,
            last_snapshot_name=name,
            last_snapshot_when=when,
        )

    def _overlay(self) -> tuple[MonitorState, str]:
        """State and reason as shown: what keeps us from judging comes before what was judged last."""
        judged = self.state
        if judged.state is MonitorState.PAUSED:
            return MonitorState.PAUSED, self.situation.pause_reason()
        trouble = self._around.trouble
        if trouble is not None:
            return MonitorState.PAUSED, trouble.user_text
        if not self.pinger.aimed:
            return MonitorState.PAUSED, self._why_not_aimed()
        if self._around.station_offline and Hold.STATION_OFFLINE in self.settings.holds and not judged.in_outage:
            return MonitorState.PAUSED, STATION_SENTENCE
        if judged.hold is not None:
            return judged.state, self._sentence(judged.hold)
        if judged.state is MonitorState.LEARNING:
            return judged.state, "It has not answered yet."
        return judged.state, ""

    def _why_not_aimed(self) -> str:
        if self._problem:
            return self._problem
        if not self.situation.known and not self._connected:
            return "The server isn't connected yet."
        if self._chosen:
            return f"The name {safe_text(self._chosen)} is being looked up."
        return "No address is known: the guest reports none. Are its tools running?"

    def _newest_snapshot(self) -> tuple[str, dt.datetime | None]:
        server = self._around.server(self.key)
        vm = server.inventory.vms.get(self.key.vm_id) if server is not None and server.inventory is not None else None
        newest = self._last_snapshot
        for snapshot in vm.snapshots if vm is not None else ():
            if snapshot.automatic and snapshot.created and (newest is None or snapshot.created > newest[1]):
                newest = (snapshot.name, snapshot.created)
        return newest if newest is not None else ("", None)
