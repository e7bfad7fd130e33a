"""The monitor as a whole: which VMs are ticked, their threads, the shared engine, the snapshot desk, the station.

Window and command line talk to ``Watcher`` only. Every public method may be called from any thread, the Tk thread too,
and returns at once; what takes time is left to the desk's thread. ``stop`` does not wait, ``alive`` tells what runs.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from hvconsole.clock import Clock
from hvconsole.errors import HvError, LocalError, Unreachable
from hvconsole.events import (
    ConnectionChanged,
    Happened,
    Hub,
    InventoryChanged,
    JobChanged,
    JobState,
    MonitorChanged,
    Notice,
)
from hvconsole.jobs import JobId
from hvconsole.model import ObjectId, ServerId, Verb, Vm
from hvconsole.monitor import frames, oneoff
from hvconsole.monitor.desk import JOURNAL_NOTICE, SnapshotDesk, too_old
from hvconsole.monitor.icmp import PingEngine, Sink
from hvconsole.monitor.pinger import STATION_SENTENCE, Pinger, Sample
from hvconsole.monitor.servers import MonitorMemory, Server, Servers
from hvconsole.monitor.situation import aftermath_s
from hvconsole.monitor.station import Station, Witness, own_gateways
from hvconsole.monitor.status import Hold, MonitorSettings, MonitorStatus, Round, VmKey
from hvconsole.monitor.storm import StormBudget
from hvconsole.monitor.vmnetmonitor import VMNetMonitor
from hvconsole.outages import Outage, OutageJournal

log = logging.getLogger(__name__)

ENGINE_NOTICE = "monitor-engine"
STATION_NOTICE = "monitor-station"
WITNESSES_THREAD = "net-witnesses"
HTTPS_PORT = 443
WITNESSES_EVERY_S = 60.0
"""How often gateways and hypervisor addresses are looked up again."""

_POWER_VERBS = frozenset(
    str(verb)
    for verb in (
        Verb.START,
        Verb.START_ON,
        Verb.SHUTDOWN,
        Verb.POWER_OFF,
        Verb.REBOOT,
        Verb.RESET,
        Verb.SUSPEND,
        Verb.STANDBY,
        Verb.RESUME,
        Verb.PAUSE,
        Verb.UNPAUSE,
    )
)
_DISTURBING_VERBS = frozenset(
    str(verb)
    for verb in (
        Verb.SNAPSHOT,
        Verb.SNAPSHOT_MEMORY,
        Verb.SNAPSHOT_QUIESCE,
        Verb.REVERT,
        Verb.DELETE_SNAPSHOT,
        Verb.MIGRATE,
    )
)


class Engine(PingEngine, Protocol):
    """The engine as its owner sees it; ``icmp.IcmpEngine`` is one."""

    trouble: LocalError | None
    lab_network: tuple[str, int] | None

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End; does not wait."""

    def alive(self) -> tuple[str, ...]:
        """Names of threads that still run."""

    def check(self) -> None:
        """Called now and then: replace what hangs."""


EngineFactory = Callable[[Callable[[LocalError | None], None], Callable[[Sequence[Sink]], None]], Engine]
"""(on_trouble, on_batch) → engine, not yet started; called once, in the desk's thread, where it may block."""


class Watcher:
    """Watches the ticked VMs. ``start`` it, ``tick`` VMs, ``stop`` it."""

    def __init__(
        self,
        servers: Servers,
        engine_factory: EngineFactory,
        journal: OutageJournal,
        memory: MonitorMemory,
        hub: Hub,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self.hub = hub
        self.station_name = socket.gethostname()
        self._servers = servers
        self._engine_factory = engine_factory
        self._journal = journal
        self._memory = memory
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._engine: Engine | None = None
        self._ticked: set[VmKey] = set()
        self._ticked_view: frozenset[VmKey] | None = frozenset()
        self._monitors: dict[ServerId, dict[ObjectId, VMNetMonitor]] = {}
        self._ended: list[VMNetMonitor] = []
        self._seen: dict[VmKey, tuple[Vm | None, bool]] = {}
        self._loaded: set[ServerId] = set()
        self._left_open: dict[VmKey, Outage] = {}
        self._budgets: dict[ServerId, StormBudget] = {}
        self._jobs: dict[JobId, VmKey] = {}
        self._helpers: list[threading.Thread] = []
        self._unsubscribe: list[Callable[[], None]] = []
        self._witnesses_at = float("-inf")
        self._stopping = False
        self._journal_trouble = False
        self._resumed = False
        self._station = Station(clock, self._station_changed)
        self._desk = SnapshotDesk(
            servers, journal, hub, clock, on_outage=self._outage_changed, on_beat=self._beat, settings=self.settings
        )

    # ---- life ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start watching what was ticked in earlier runs, and go on with their open outages."""
        self._unsubscribe = [
            self.hub.subscribe(InventoryChanged, lambda event: self._look_at(event.server_id)),
            self.hub.subscribe(ConnectionChanged, self._connection_changed),
            self.hub.subscribe(JobChanged, self._job_changed),
        ]
        self._desk.start()
        self._desk.post(self._begin)

    def stop(self) -> None:
        """End everything; does not wait. Ticks and open outages are for the next run."""
        with self._lock:
            self._stopping = True
            engine = self._engine
        monitors = self._all_monitors()
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        for monitor in monitors:
            monitor.post_stop(close=False)
        if engine is not None:
            engine.stop()
        self._desk.stop()

    def alive(self) -> tuple[str, ...]:
        """Names of threads that still run."""
        threads: list[threading.Thread] = [*self._all_monitors(), *self._ended, *self._helpers]
        engine = self._engine.alive() if self._engine is not None else ()
        return (*self._desk.alive(), *engine, *(thread.name for thread in threads if thread.is_alive()))

    # ---- ticking and asking --------------------------------------------------------------------------------

    def tick(self, key: VmKey) -> None:
        """Watch this VM from now on, also after a restart."""
        self._set_ticked(key, True)

    def untick(self, key: VmKey) -> None:
        """No longer watch it."""
        self._set_ticked(key, False)

    def ticked(self) -> frozenset[VmKey]:
        """All ticked VMs of the servers known in this run."""
        with self._lock:
            if self._ticked_view is None:
                self._ticked_view = frozenset(self._ticked)
            return self._ticked_view

    def status(self, key: VmKey) -> MonitorStatus | None:
        """How a ticked VM stands, or None if it is not ticked (or was only just)."""
        monitor = self._monitor(key)
        return monitor.status() if monitor is not None else None

    def statuses(self) -> tuple[MonitorStatus, ...]:
        """How all ticked VMs stand."""
        return tuple(monitor.status() for monitor in self._all_monitors())

    def settings(self, key: VmKey) -> MonitorSettings:
        """How a VM is, or would be, watched."""
        return self._memory.monitor_settings(key.server_id, key.vm_id)

    def configure(self, key: VmKey, settings: MonitorSettings | None) -> None:
        """Give a VM settings of its own; None = the defaults again."""
        self._memory.set_monitor_settings(key.server_id, key.vm_id, settings)
        self.settings_changed(key.server_id, key.vm_id)

    def choose_address(self, key: VmKey, address: str) -> None:
        """Ping this address or name of the VM; empty = choose by itself. Raises ``InvalidInput``."""
        self.configure(key, replace(self.settings(key), address=address))

    def settings_changed(self, server_id: ServerId, vm_id: ObjectId) -> None:
        """The VM's settings were changed in the memory handed to the constructor."""
        key = VmKey(server_id, vm_id)
        monitor = self._monitor(key)
        if monitor is not None:
            monitor.post_settings(self.settings(key))

    def defaults_changed(self) -> None:
        """The defaults were changed in the memory handed to the constructor."""
        for monitor in self._all_monitors():
            monitor.post_settings(self.settings(monitor.key))

    def test_now(self, key: VmKey, done: Callable[[Round | HvError], None]) -> None:
        """Ping the VM once, now, apart from its rounds; ``done`` gets the outcome in a thread of its own."""
        monitor, engine = self._monitor(key), self._engine
        settings = self.settings(key)
        address = "" if monitor is None else (monitor.pinger.address if monitor.pinger.aimed else "")
        lab = engine.lab_network if engine is not None else None

        def work() -> None:
            try:
                if not address:
                    raise Unreachable("No address of this VM is known.")
                answer: Round | HvError = oneoff.check(address, settings, self.clock, lab)
            except HvError as exc:
                answer = exc
            done(answer)

        self._help("net-test", work)

    # ---- Surroundings: what the VMs' threads ask -----------------------------------------------------------

    @property
    def engine(self) -> PingEngine:
        """The shared engine."""
        assert self._engine is not None
        return self._engine

    @property
    def station_offline(self) -> bool:
        """Whether this computer is known to be offline now."""
        return self._station.offline_since is not None

    @property
    def trouble(self) -> LocalError | None:
        """Why nothing can be pinged at all, or None."""
        return self._engine.trouble if self._engine is not None else None

    def server(self, key: VmKey) -> Server | None:
        """The VM's server."""
        return self._servers.get(key.server_id)

    def judge_station(self, sample: Sample) -> bool:
        """Whether this computer was offline during a lost round. May block for a second."""
        in_lab = self._engine is not None and self._engine.lab_network is not None
        return self._station.offline(sample.start, sample.heard, ask_tcp=not in_lab)

    def disturbed(self, key: VmKey) -> bool:
        """Whether a snapshot is being taken or removed through this console, or just was."""
        return self._desk.disturbs(key, self.clock.monotonic(), aftermath_s(self.settings(key)))

    def common_cause(self, key: VmKey) -> bool:
        """Note that the VM was lost; whether many were at the same time."""
        now = self.clock.monotonic()
        ticked = len(self._monitors.get(key.server_id, ()))
        with self._lock:
            budget = self._budgets.setdefault(key.server_id, StormBudget())
            budget.lost(key, now)
            return budget.common_cause(now, ticked)

    def take_from_budget(self, key: VmKey, settings: MonitorSettings) -> bool:
        """Whether one more automatic snapshot may be taken this minute."""
        with self._lock:
            budget = self._budgets.setdefault(key.server_id, StormBudget())
            return budget.try_take(self.clock.monotonic(), settings.storm_per_minute)

    def give_back(self, key: VmKey) -> None:
        """The snapshot that was taken from the budget is not asked for after all."""
        with self._lock:
            self._budgets[key.server_id].give_back()

    def capture(self, outage: Outage, description: str, settings: MonitorSettings) -> None:
        """Put the outage on disk and have its snapshot taken. Raises ``LocalError`` if it cannot be written."""
        try:
            self._journal.record(replace(outage, detail=description))
        except LocalError as exc:
            self._journal_trouble = True
            self.hub.emit(Notice(key=JOURNAL_NOTICE, text=exc.user_text, severity="error"))
            raise
        if self._journal_trouble:
            self._journal_trouble = False
            self.hub.emit(Notice(key=JOURNAL_NOTICE, text=""))
        self._desk.take(outage, description, settings.memory)

    def close_outage(self, outage: Outage) -> None:
        """The outage is over."""
        self._desk.close(outage.id, self.clock.now())
        self._take_back_notice()

    def _take_back_notice(self) -> None:
        """What could not be written may have ended by itself; then nothing is left to write that would tell."""
        waiting = any(monitor.state.hold is Hold.NO_JOURNAL for monitor in self._all_monitors())
        if self._journal_trouble and not waiting:
            self._journal_trouble = False
            self.hub.emit(Notice(key=JOURNAL_NOTICE, text=""))

    def armed(self, key: VmKey, up: bool) -> None:
        """The VM came up (old snapshots may be removed), or no longer is."""
        if up:
            self._desk.thin_out(key)
        else:
            self._desk.keep_all(key)

    # ---- the desk's thread ---------------------------------------------------------------------------------

    def _begin(self) -> None:
        engine = self._engine_factory(self._engine_trouble, self._batch)
        with self._lock:
            if self._stopping:
                return
            self._engine = engine
        engine.start()
        self._resume()
        for server in tuple(self._servers.all()):
            self._load(server.id)
        for key in self.ticked():
            self._ensure(key)

    def _resume(self) -> None:
        """Go on with the open outages of earlier runs; tried again by and by while they can't be read."""
        try:
            outages = self._journal.open_outages()
        except LocalError as exc:
            self._journal_trouble = True
            self.hub.emit(Notice(key=JOURNAL_NOTICE, text=exc.user_text, severity="error"))
            return
        self._resumed = True
        self._take_back_notice()
        for outage in outages:
            key = VmKey(outage.server_id, outage.vm_id)
            if too_old(outage, self.clock.now()):
                # Nobody was here to see when it ended.
                self._desk.resume(outage)
                self._desk.close(outage.id, self.clock.now())
                continue
            earlier = self._left_open.get(key)
            self._desk.resume(outage)
            if earlier is not None:
                self._desk.close(earlier.id, self.clock.now())
            monitor = self._monitor(key)
            if monitor is not None:
                monitor.post_resume(outage)
            else:
                self._left_open[key] = outage

    def _load(self, server_id: ServerId) -> None:
        if server_id in self._loaded:
            return
        self._loaded.add(server_id)
        for vm_id in self._memory.ticked(server_id):
            key = VmKey(server_id, vm_id)
            self._note_tick(key, True)
            self._ensure(key)

    def _ensure(self, key: VmKey) -> None:
        """Make the VM's monitor if it is ticked and has none, end it if it is not ticked any more."""
        wanted = key in self._ticked and self._engine is not None
        monitor = self._monitor(key)
        if wanted and monitor is None:
            vm, connected = self._vm(key)
            monitor = VMNetMonitor(key, vm.name if vm is not None else str(key.vm_id), self.settings(key), self)
            outage = self._left_open.pop(key, None)
            if outage is not None:
                monitor.resume(outage)
            monitor.prepare(vm, connected)
            with self._lock:
                if self._stopping:
                    return
                self._monitors.setdefault(key.server_id, {})[key.vm_id] = monitor
                self._seen[key] = (vm, connected)
            monitor.start()
            self._look_again(monitor)
            self._witnesses_at = float("-inf")
        elif not wanted and monitor is not None:
            with self._lock:
                self._monitors[key.server_id].pop(key.vm_id, None)
                self._seen.pop(key, None)
                self._ended = [m for m in self._ended if m.is_alive()] + [monitor]
            monitor.post_stop(close=True)
        self.hub.emit(MonitorChanged(*key))

    def _beat(self) -> None:
        if self._engine is None:
            return
        self._engine.check()
        if not self._resumed:
            self._resume()
        self._helpers = [thread for thread in self._helpers if thread.is_alive()]
        now = self.clock.monotonic()
        looking = any(thread.name == WITNESSES_THREAD for thread in self._helpers)  # for long, without name servers
        if self._all_monitors() and now - self._witnesses_at >= WITNESSES_EVERY_S and not looking:
            self._witnesses_at = now
            self._help(WITNESSES_THREAD, self._find_witnesses)

    def _find_witnesses(self) -> None:
        """Look up who else usually answers: in a thread of its own, for names may take long."""
        engine = self._engine
        if engine is None or self._stopping:
            return
        hypervisors: list[tuple[str, int]] = []
        in_lab = engine.lab_network is not None
        for server_id in {monitor.key.server_id for monitor in self._all_monitors()}:
            server = self._servers.get(server_id)
            if server is None:
                continue
            if not in_lab:
                hypervisors += _resolved(server.endpoints)
            if server.inventory is not None:
                port = next((port for _, port in server.endpoints), HTTPS_PORT)  # members listen where their pool does
                hosts = [host.address for host in server.inventory.hosts.values()]
                hypervisors += [(address, port) for address in hosts if oneoff.is_address(address)]
        self._station.set_witnesses(engine, () if in_lab else own_gateways(), hypervisors, virtual=in_lab)

    # ---- events --------------------------------------------------------------------------------------------

    def _look_at(self, server_id: ServerId) -> None:
        """Tell the monitors of a server what changed for them. In the thread that emits; does not block."""
        with self._lock:
            monitors = tuple(self._monitors.get(server_id, {}).values())
        for monitor in monitors:
            self._look_again(monitor)

    def _look_again(self, monitor: VMNetMonitor) -> None:
        with self._looking:  # two threads that look at once must not leave the older view behind
            vm, connected = self._vm(monitor.key)
            before = self._seen.get(monitor.key)
            if before is None or before[0] is not vm or before[1] != connected:
                self._seen[monitor.key] = (vm, connected)
                monitor.post_vm(vm, connected)

    def _connection_changed(self, event: ConnectionChanged) -> None:
        server_id = event.server_id
        if self._servers.get(server_id) is None:
            self._desk.post(lambda: self._forget(server_id))
        elif server_id not in self._loaded:
            self._desk.post(lambda: self._load(server_id))
        self._look_at(server_id)
        self._witnesses_at = float("-inf")
        self._desk.poke()

    def _forget(self, server_id: ServerId) -> None:
        """The server was removed: its VMs are not watched in this run any more."""
        self._loaded.discard(server_id)
        for key in self.ticked():
            if key.server_id == server_id:
                self._note_tick(key, False)
                self._ensure(key)

    def _job_changed(self, event: JobChanged) -> None:
        job = event.job
        if job.subject_id is None or job.by == "monitor":
            return
        key = VmKey(job.server_id, job.subject_id)
        monitor = self._monitor(key)
        if job.verb in _POWER_VERBS and monitor is not None and job.state in (JobState.RUNNING, JobState.DONE):
            monitor.post_told()
        elif job.verb in _DISTURBING_VERBS:
            with self._lock:
                began = job.state is JobState.RUNNING and job.id not in self._jobs
                if began:
                    self._jobs[job.id] = key
                ended = job.state.final and self._jobs.pop(job.id, None) is not None
            if began:
                self._desk.disturb(key, True)
            elif ended:
                self._desk.disturb(key, False)

    def _outage_changed(self, outage: Outage) -> None:
        key = VmKey(outage.server_id, outage.vm_id)
        if key in self._left_open and self._left_open[key].id == outage.id:
            self._left_open[key] = outage
        monitor = self._monitor(key)
        if monitor is not None:
            monitor.post_outage(outage)

    def _batch(self, sinks: Sequence[Sink]) -> None:
        """Rounds came: in the engine's reading thread."""
        offline = self._station.offline_since is not None
        for sink in sinks:
            if isinstance(sink, Pinger):
                self.hub.emit(sink.changed)
            if offline and isinstance(sink, Pinger | Witness) and sink.last_result in (frames.OK, frames.DEGRADED):
                self._station.answered(sink.last_start)

    def _engine_trouble(self, trouble: LocalError | None) -> None:
        if trouble is not None:
            log.warning("%s (%s)", trouble.user_text, trouble.detail)
        self.hub.emit(Notice(key=ENGINE_NOTICE, text=trouble.user_text if trouble else "", severity="error"))
        for monitor in self._all_monitors():
            self.hub.emit(MonitorChanged(*monitor.key))

    def _station_changed(self, offline: bool) -> None:
        self.hub.emit(Notice(key=STATION_NOTICE, text=STATION_SENTENCE if offline else ""))
        self.hub.emit(
            Happened(
                when=self.clock.now(),
                who="monitor",
                what="held" if offline else "station-back",
                server="",
                subject=self.station_name,
                detail=STATION_SENTENCE if offline else "This computer hears others again.",
            )
        )

    # ---- small parts ---------------------------------------------------------------------------------------

    def _set_ticked(self, key: VmKey, ticked: bool) -> None:
        self._note_tick(key, ticked)
        self._memory.set_ticked(key.server_id, key.vm_id, ticked)
        self._desk.post(lambda: self._ensure(key))

    def _note_tick(self, key: VmKey, ticked: bool) -> None:
        with self._lock:
            if ticked:
                self._ticked.add(key)
            else:
                self._ticked.discard(key)
            self._ticked_view = None

    def _monitor(self, key: VmKey) -> VMNetMonitor | None:
        return self._monitors.get(key.server_id, {}).get(key.vm_id)

    def _all_monitors(self) -> list[VMNetMonitor]:
        with self._lock:
            return [monitor for monitors in self._monitors.values() for monitor in monitors.values()]

    def _vm(self, key: VmKey) -> tuple[Vm | None, bool]:
        server = self._servers.get(key.server_id)
        if server is None:
            return None, False
        inventory = server.inventory
        return inventory.vms.get(key.vm_id) if inventory is not None else None, server.connected and (
            inventory is not None
        )

    def _help(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._helpers.append(thread)
        thread.start()


def _resolved(places: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    found = []
    for name, port in places:
        try:
            found.append((oneoff.resolve(name), port))
        except HvError as exc:
            log.debug("no witness: %s", exc.user_text)
    return found
