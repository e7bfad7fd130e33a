"""One server's life: log in, watch, back off, reconnect, the last inventory, and the way to ask it for things.

``Connection`` is used from the Tk thread and others: every public method returns at once. Its thread
``watch-<server>`` owns logging in and watching; verbs run on ``job-<server>-n``, automatic snapshots on
``auto-<server>-n``, reads for the window on ``ask-<server>-n``, those for the monitor on ``look-<server>-n``.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Capability, Hypervisor, Secret, Target, TaskContext, Trust
from hvconsole.clock import Clock
from hvconsole.errors import (
    AuthError,
    CertificateError,
    HvError,
    InvalidInput,
    LocalError,
    Refused,
    SessionLost,
    Unreachable,
)
from hvconsole.events import ConnectionChanged, ConnectionState, Hub, InventoryChanged
from hvconsole.jobs import Job, JobRunner
from hvconsole.model import Emergency, Inventory, ObjectId, ServerId, Verb
from hvconsole.operations import operation, subject_name, why_not
from hvconsole.profiles import Address, ServerProfile, parse_address

log = logging.getLogger(__name__)

WATCH_S = 30.0
"""How long one ``watch`` call waits for changes."""
FIRST_BACK_OFF_S = 1.0
LAST_BACK_OFF_S = 60.0
MOST_MEMBERS = 64
"""Hosts of a pool that are remembered; XenServer allows no more."""
ASK_WORKERS = 2
"""Threads for reads, so that looking at a VM never queues behind an export."""

MONITOR = "monitor"
"""Who asks for automatic snapshots. They have threads of their own: an outage must not wait for four long exports."""
MONITOR_WORKERS = 4
"""Three snapshots at once (``monitor.desk.AT_ONCE``), and one old one that is being removed meanwhile."""
LOOK_WORKERS = 3
"""Threads for the monitor's looks, one per snapshot: reads of the window may hang for long."""

T = TypeVar("T")
Opener = Callable[[Target, Secret, Trust, Clock], Hypervisor]


class Connection:
    """One configured server. Attributes are replaced as a whole, so any thread may read them without a lock."""

    def __init__(
        self,
        profile: ServerProfile,
        trust: Trust,
        hub: Hub,
        clock: Clock,
        *,
        opener: Opener = open_hypervisor,
        on_members: Callable[[ServerId, tuple[str, ...]], None] | None = None,
        cached: Inventory | None = None,
    ) -> None:
        self.profile = profile
        self.state = ConnectionState.CLOSED
        self.error: HvError | None = None
        self.inventory: Inventory | None = cached
        self._trust = trust
        self._hub = hub
        self._clock = clock
        self._opener = opener
        self._on_members = on_members
        self._secret: Secret | None = None
        self._hypervisor: Hypervisor | None = None
        self._lock = threading.Lock()
        self._state_lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._old_threads: list[threading.Thread] = []
        self._seen_at: float | None = None
        self._emergency: Inventory | None = None
        self._emergency_at: Address | None = None
        thread_name = profile.name[:24]
        self._jobs = JobRunner(profile.id, thread_name, hub, clock)
        self._monitor_jobs = JobRunner(profile.id, thread_name, hub, clock, MONITOR_WORKERS, prefix="auto")
        self._asks = JobRunner(profile.id, thread_name, Hub(), clock, ASK_WORKERS, prefix="ask")
        self._looks = JobRunner(profile.id, thread_name, Hub(), clock, LOOK_WORKERS, prefix="look")

    # ---- what it is ------------------------------------------------------------------------------------------

    @property
    def id(self) -> ServerId:
        """Stable id, that of the profile."""
        return self.profile.id

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.profile.name

    @property
    def connected(self) -> bool:
        """Whether the inventory is live."""
        return self.state is ConnectionState.CONNECTED

    @property
    def emergency(self) -> Emergency | None:
        """How the host of an emergency login stands, while there is one."""
        told = self._emergency
        return told.emergency if told is not None and self.state is ConnectionState.EMERGENCY else None

    @property
    def capabilities(self) -> Capability:
        """What the server can do; nothing while it is away."""
        hypervisor = self._hypervisor
        there = self.connected or self.state is ConnectionState.EMERGENCY
        return hypervisor.capabilities if hypervisor is not None and there else Capability.NONE

    @property
    def endpoints(self) -> tuple[Address, ...]:
        """Host and port of each configured address."""
        return self.profile.addresses

    @property
    def addresses(self) -> tuple[str, ...]:
        """Host parts of the configured addresses."""
        return tuple(host for host, _ in self.profile.addresses)

    @property
    def inventory_age_s(self) -> float | None:
        """Seconds since the server last confirmed the inventory (one of an earlier run: since it was taken); None
        without an inventory."""
        if self._seen_at is not None:
            return max(0.0, self._clock.monotonic() - self._seen_at)
        inventory = self.inventory
        return None if inventory is None else max(0.0, (self._clock.now() - inventory.taken).total_seconds())

    def why_not(self, verb: Verb, object_id: ObjectId) -> str | None:
        """One sentence why ``verb`` can't be done to the object now, or None."""
        op = operation(verb)
        if self.state is ConnectionState.EMERGENCY:
            if Capability.EMERGENCY not in op.needs:
                return "In an emergency login only the recoveries work."
            return why_not(op, self._emergency, object_id, self.capabilities)
        if not self.connected:
            return f"Not connected to {self.name}."
        return why_not(op, self.inventory, object_id, self.capabilities)

    def show_remembered(self, inventory: Inventory) -> None:
        """Show what an earlier run knew, unless the server has answered already."""
        with self._state_lock:
            if self.inventory is not None:
                return
            self.inventory = inventory
        self._hub.emit(InventoryChanged(self.id))

    # ---- its life --------------------------------------------------------------------------------------------

    def connect(
        self,
        secret: Secret | None = None,
        options: Mapping[str, str] | None = None,
        *,
        emergency_at: Address | None = None,
    ) -> None:
        """(Re)connect with a new secret, or with the one in memory. ``options`` replace the profile's for good.

        ``emergency_at``: log in locally to this pool member, once. When that session ends, for whatever reason, the
        pool is connected to as usual.
        """
        with self._lock:
            if secret is not None:
                self._secret = secret
            if options is not None:
                self.profile = replace(self.profile, options=dict(options))
            if self._secret is None:
                raise LocalError(f"The password for {self.name} isn't known.")
            self._emergency_at = emergency_at
            self._end_session()
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._run,
                args=(self._stop, self._secret),
                name=f"watch-{self.profile.name[:24]}",
                daemon=True,
            )
            self._set_state(ConnectionState.CONNECTING, None)
            self._thread.start()

    def ask_for_password(self, sentence: str) -> None:
        """It should be connected but nobody gave the password: shown like every failure that needs the user."""
        self._set_state(ConnectionState.FAILED, LocalError(sentence))

    def disconnect(self) -> None:
        """Log out, keep the last inventory (it ages); ``connect`` starts again."""
        with self._lock:
            self._end_session()
        self._set_state(ConnectionState.CLOSED, None)

    def close(self) -> None:
        """Log out, cancel all jobs, for good. Returns at once; ``alive`` tells what still runs."""
        self.disconnect()
        self._jobs.stop()
        self._monitor_jobs.stop()
        self._asks.stop()
        self._looks.stop()

    def alive(self) -> tuple[str, ...]:
        """Names of this connection's threads that still run."""
        threads = [*self._old_threads, *([self._thread] if self._thread else [])]
        watching = tuple(t.name for t in threads if t.is_alive())
        runners = (self._jobs, self._monitor_jobs, self._asks, self._looks)
        return watching + tuple(name for runner in runners for name in runner.alive())

    def refresh(self) -> None:
        """Read everything again (F5)."""
        hypervisor = self._hypervisor
        if hypervisor is not None:
            hypervisor.refresh()

    def _end_session(self) -> None:
        self._stop.set()
        hypervisor, self._hypervisor = self._hypervisor, None
        if self._thread is not None:
            self._old_threads = [t for t in self._old_threads if t.is_alive()] + [self._thread]
            self._thread = None
        if hypervisor is not None:
            # logging out is a network call, and this may be the Tk thread
            closer = threading.Thread(
                target=_close_quietly, args=(hypervisor,), name=f"close-{self.profile.name[:24]}", daemon=True
            )
            self._old_threads.append(closer)
            closer.start()

    # ---- asking ----------------------------------------------------------------------------------------------

    def submit(
        self,
        verb: Verb,
        object_id: ObjectId,
        arguments: Mapping[str, Any] | None = None,
        by: str = "user",
        *,
        insist: bool = False,
    ) -> Job:
        """Queue an operation; returns its job at once. It is checked again against the inventory when it begins.

        ``insist``: ask the server even where the inventory says it will refuse (the monitor does, and the hard
        variant after a refusal).
        """
        op = operation(verb)
        given = dict(arguments or {})
        inventory = self._told
        subject = subject_name(inventory, op, object_id, given) if inventory is not None else self.name

        def work(ctx: TaskContext) -> object:
            hypervisor = self._require(op.needs)
            reason = None if insist else why_not(op, self._told, object_id, hypervisor.capabilities)
            if reason is not None:
                raise Refused(reason, code="not-now")
            try:
                result = op.run(hypervisor, object_id, given, ctx)
            finally:
                hypervisor.nudge()
            if verb is Verb.CHANGE_PASSWORD:
                self._secret = given["new"]
            return result

        return self._runner(by).submit(str(verb), op.label, subject, object_id or None, work, by=by)

    def open_jobs(self) -> tuple[Job, ...]:
        """Jobs that are not final yet, the monitor's included."""
        return self._jobs.open_jobs() + self._monitor_jobs.open_jobs()

    def _runner(self, by: str) -> JobRunner:
        return self._monitor_jobs if by == MONITOR else self._jobs

    def ask(self, work: Callable[[Hypervisor], T], done: Callable[[T | HvError], None], by: str = "user") -> None:
        """Run a read on a thread of its own; ``done`` is called there with the answer or the error.

        The window hands in a ``done`` that posts to its dispatcher.
        """

        def run(_ctx: TaskContext) -> T:
            return work(self._require())

        def finished(job: Job) -> None:
            error = job.view.error
            if error is not None:
                done(error)
            elif job.view.state.final and job.ran:
                done(job.result)  # type: ignore[arg-type]

        asks = self._looks if by == MONITOR else self._asks
        asks.submit("read", "Read", self.name, None, run).when_finished(finished)

    def call(self, work: Callable[[Hypervisor, TaskContext], object], title: str, by: str = "user") -> Job:
        """Run any other work against the server as a visible job."""

        def run(ctx: TaskContext) -> object:
            hypervisor = self._require()
            try:
                return work(hypervisor, ctx)
            finally:
                hypervisor.nudge()

        return self._runner(by).submit("other", title, self.name, None, run, by=by)

    @property
    def _told(self) -> Inventory | None:
        """What decides on operations: in an emergency login what that host says, else the inventory."""
        return self._emergency if self.state is ConnectionState.EMERGENCY else self.inventory

    def _require(self, needs: Capability = Capability.NONE) -> Hypervisor:
        hypervisor = self._hypervisor
        usable = self.connected or (self.state is ConnectionState.EMERGENCY and Capability.EMERGENCY in needs)
        if hypervisor is None or not usable:
            raise Unreachable(f"Not connected to {self.name}.")
        return hypervisor

    # ---- the watch thread ------------------------------------------------------------------------------------

    def _run(self, stop: threading.Event, secret: Secret) -> None:
        back_off_s = FIRST_BACK_OFF_S
        while not stop.is_set():
            try:
                self._session(stop, secret)
                back_off_s = FIRST_BACK_OFF_S
            except HvError as exc:
                if stop.is_set():
                    return
                if self.connected:
                    back_off_s = FIRST_BACK_OFF_S
                    self._note_loss()
                elif self.state is ConnectionState.EMERGENCY:
                    back_off_s = FIRST_BACK_OFF_S
                self._drop(stop)
                if self._needs_the_user(exc):
                    log.info("%s needs the user: %s", self.name, type(exc).__name__)
                    self._set_state(ConnectionState.FAILED, exc, stop)
                    return
                self._set_state(ConnectionState.RECONNECTING, exc, stop)
            except Exception as exc:  # outer edge of the thread: a defect of ours must be seen, not end silently
                log.exception("watching %s failed unexpectedly", self.name)
                self._drop(stop)
                trouble = LocalError("hvconsole itself failed here; please report it.", type(exc).__name__)
                self._set_state(ConnectionState.RECONNECTING, trouble, stop)
            # jitter: stations that lost the same server must not come back in step
            if self._clock.wait(stop, back_off_s * random.uniform(0.8, 1.2)):
                return
            back_off_s = min(LAST_BACK_OFF_S, back_off_s * 2)

    def _needs_the_user(self, exc: HvError) -> bool:
        """Whether trying again is pointless. A server that was there before may answer strangely while it restarts or
        its pool changes masters, so then only a certificate or a password stops for good."""
        if isinstance(exc, (CertificateError, AuthError)):
            return True
        return not exc.retryable and self._seen_at is None

    def _note_loss(self) -> None:
        """A connection that breaks in the middle of a wait was alive until now; one that went silent was not."""
        now = self._clock.monotonic()
        if self._seen_at is not None and now - self._seen_at < WATCH_S:
            self._seen_at = now

    def _target(self) -> Target:
        """Where to log in. An emergency login is never repeated: it is taken back as soon as it is given out."""
        target = self.profile.target()
        options = {key: value for key, value in target.options.items() if key != "emergency"}
        at, self._emergency_at = self._emergency_at, None
        if at is None:
            return replace(target, options=options)
        return replace(target, addresses=(at,), options={**options, "emergency": "yes"})

    def _session(self, stop: threading.Event, secret: Secret) -> None:
        hypervisor = self._opener(self._target(), secret, self._trust, self._clock)
        with self._lock:
            if stop.is_set():
                _close_quietly(hypervisor)
                return
            self._hypervisor = hypervisor
        while not stop.is_set():
            inventory = hypervisor.watch(WATCH_S)
            if stop.is_set():
                return
            if inventory is not None and inventory.emergency is not None:
                self._show_emergency(inventory, inventory.emergency, stop)
                continue
            if inventory is None and self.state is ConnectionState.EMERGENCY:
                continue
            self._seen_at = self._clock.monotonic()
            if inventory is not None:
                self._learn_members(inventory)
                with self._state_lock:
                    self.inventory = inventory
            if not self.connected:
                self._set_state(ConnectionState.CONNECTED, None, stop)
            if inventory is not None:
                self._hub.emit(InventoryChanged(self.id))

    def _show_emergency(self, told: Inventory, emergency: Emergency, stop: threading.Event) -> None:
        """The inventory stays as it was. Raises ``SessionLost`` once the host is out of its emergency."""
        if not emergency.in_emergency_mode:
            raise SessionLost(f"{emergency.host_address} isn't in emergency mode; logging in to its pool as usual.")
        self._emergency = told
        self._set_state(ConnectionState.EMERGENCY, None, stop)

    def _drop(self, stop: threading.Event) -> None:
        with self._lock:
            if stop is not self._stop:
                return  # what is there by now belongs to a newer session
            hypervisor, self._hypervisor = self._hypervisor, None
        if hypervisor is not None:
            _close_quietly(hypervisor)

    def _learn_members(self, inventory: Inventory) -> None:
        members = tuple(sorted(filter(_is_address, {host.address for host in inventory.hosts.values()})))[:MOST_MEMBERS]
        if members and members != self.profile.known_members:
            self.profile = replace(self.profile, known_members=members)
            if self._on_members is not None:
                self._on_members(self.id, members)

    def _set_state(self, state: ConnectionState, error: HvError | None, stop: threading.Event | None = None) -> None:
        with self._state_lock:
            if stop is not None and (stop is not self._stop or stop.is_set()):
                return  # a newer session has taken over, or the user disconnected
            self.state, self.error = state, error
        self._hub.emit(ConnectionChanged(self.id, state, error))


def _is_address(text: str) -> bool:
    """Whether a server's word for where a member is can be one; what is learned ends up in the settings file."""
    try:
        return parse_address(text, 0)[1] == 0
    except InvalidInput:
        return False


def _close_quietly(hypervisor: Hypervisor) -> None:
    try:
        hypervisor.close()
    except HvError as exc:
        log.info("logging out failed: %s", exc.user_text)


class Connections:
    """All connections of this run. Thread-safe; the order is that of adding."""

    def __init__(
        self,
        trust: Trust,
        hub: Hub,
        clock: Clock,
        *,
        opener: Opener = open_hypervisor,
        on_members: Callable[[ServerId, tuple[str, ...]], None] | None = None,
    ) -> None:
        self._trust = trust
        self._hub = hub
        self._clock = clock
        self._opener = opener
        self._on_members = on_members
        self._connections: dict[ServerId, Connection] = {}
        self._closing: list[Connection] = []

    def all(self) -> tuple[Connection, ...]:
        """Every connection, oldest first."""
        return tuple(self._connections.values())

    def get(self, server_id: ServerId) -> Connection | None:
        """One connection, or None."""
        return self._connections.get(server_id)

    def add(self, profile: ServerProfile, secret: Secret | None = None, cached: Inventory | None = None) -> Connection:
        """Add a server and, if a secret is given, connect to it. A profile with a known id replaces that one."""
        before = self._connections.get(profile.id)
        connection = Connection(
            profile,
            self._trust,
            self._hub,
            self._clock,
            opener=self._opener,
            on_members=self._on_members,
            cached=cached,
        )
        self._connections = {**self._connections, profile.id: connection}  # one that is replaced leaves its place
        if before is not None:
            self._retire(before)
        if secret is not None:
            connection.connect(secret)
        else:
            self._hub.emit(ConnectionChanged(profile.id, connection.state))
        return connection

    def remove(self, server_id: ServerId) -> None:
        """Close and forget a connection; its inventory is gone from the window."""
        connection = self._connections.get(server_id)
        if connection is None:
            return
        self._connections = {key: value for key, value in self._connections.items() if key != server_id}
        self._retire(connection)

    def _retire(self, connection: Connection) -> None:
        connection.close()
        self._closing.append(connection)
        self._hub.emit(ConnectionChanged(connection.id, ConnectionState.CLOSED))

    def close(self) -> None:
        """Close all; returns at once."""
        for connection in self.all():
            connection.close()

    def alive(self) -> tuple[str, ...]:
        """Names of threads that still run."""
        return tuple(name for connection in (*self.all(), *self._closing) for name in connection.alive())
