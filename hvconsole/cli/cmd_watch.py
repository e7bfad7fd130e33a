"""``hvconsole watch``: the monitor without a window. Snapshots on network loss, events as lines, until Ctrl-C.

The main thread prints what the monitor's threads put into one queue. The outage journal is the same as the window's,
so a restart neither loses nor repeats a snapshot.
"""

from __future__ import annotations

import argparse
import datetime as dt
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hvconsole.backends.base import Secret
from hvconsole.cli.objects import find_vm
from hvconsole.cli.output import DONE, OutputError, Printer, UsageError, complaint, utc
from hvconsole.cli.recorded import recorded
from hvconsole.cli.session import Servers, add_server_options, resolve
from hvconsole.clock import Clock
from hvconsole.connection import Connection, Connections
from hvconsole.errors import EmergencyMode, InvalidInput, Unreachable
from hvconsole.events import ConnectionChanged, ConnectionState, Happened, Hub, MonitorChanged
from hvconsole.history import OutageStore
from hvconsole.model import ServerId
from hvconsole.monitor.icmp import IcmpEngine
from hvconsole.monitor.servers import MemoryOfThisRun
from hvconsole.monitor.status import PRESETS, MonitorSettings, MonitorState, MonitorStatus, Round, VmKey, with_preset
from hvconsole.monitor.watcher import Engine, Watcher
from hvconsole.profiles import parse_address
from hvconsole.signals import until_signalled
from hvconsole.text import format_took, safe_text

FIRST_INVENTORY_S = 90.0
END_LIMIT_S = 5.0
_PRESETS = {name.lower().replace(" ", "-"): name for name in PRESETS}


def parser() -> argparse.ArgumentParser:
    """Arguments of ``hvconsole watch``."""
    made = argparse.ArgumentParser(
        prog="hvconsole watch",
        description="Ping VMs and take a snapshot of each that loses its network. Runs until Ctrl-C; ends with exit "
        "code 3 or 4 when the server's certificate changes or its password is refused.",
    )
    made.add_argument("server", metavar="URL|PROFILE", help="xenserver://user@host, or a saved server")
    made.add_argument("vms", metavar="VM", nargs="+", help="VM by UUID or unique name")
    made.add_argument("--json", action="store_true", help="print one JSON object a line, every round too")
    made.add_argument("--interval", metavar="S", type=float, help="seconds from round to round")
    made.add_argument("--timeout", metavar="S", type=float, help="seconds that each ping may take")
    made.add_argument("--preset", choices=sorted(_PRESETS), help="how soon, and what holds a snapshot back")
    made.add_argument(
        "--lab-network", metavar="HOST:PORT", help="ping the guests of “hvconsole lab” at the address it printed"
    )
    add_server_options(made)
    return made


def run(arguments: argparse.Namespace) -> int:
    """Watch until SIGINT, SIGTERM or SIGHUP.

    Raises ``UsageError`` and ``HvError`` for what keeps it from beginning, and the error of a server that will not come
    back by itself.
    """
    servers = resolve([arguments.server], arguments)
    (profile,) = servers.profiles
    lab_network = _lab_network(arguments.lab_network)
    chosen = _Chosen(arguments)
    secret = servers.secret(profile)
    hub = Hub()
    connections = Connections(servers.trust, hub, servers.clock)
    with until_signalled() as stop:
        try:
            connection = _connected(connections, servers, hub, secret, stop, as_json=arguments.json)
            if connection is None:
                return DONE
            keys = _keys(connection, arguments.vms)
            memory = MemoryOfThisRun(chosen(servers.settings.monitor_defaults()))
            for key in keys:
                memory.set_monitor_settings(*key, chosen(servers.settings.monitor_settings(*key)))
            _watch(servers, connections, hub, memory, keys, lab_network, stop, as_json=arguments.json)
        finally:
            connections.close()
            _wait_for(connections.alive, servers)
    return DONE


def _lab_network(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    try:
        host, port = parse_address(text, 0)
    except InvalidInput as exc:
        raise UsageError(exc.user_text) from exc
    if not port:
        raise UsageError("--lab-network takes HOST:PORT.")
    return host, port


class _Chosen:
    """Applies the options of the command line to monitor settings."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._preset = _PRESETS.get(arguments.preset or "")
        self._values = {
            name: value
            for name, value in (("interval_s", arguments.interval), ("timeout_s", arguments.timeout))
            if value is not None
        }
        self(MonitorSettings())

    def __call__(self, settings: MonitorSettings) -> MonitorSettings:
        """``settings`` with the options. Raises ``UsageError``."""
        try:
            changed = replace(settings, **self._values)
        except InvalidInput as exc:
            raise UsageError(exc.user_text) from exc
        return with_preset(changed, self._preset) if self._preset else changed


def _connected(
    connections: Connections, servers: Servers, hub: Hub, secret: Secret, stop: threading.Event, *, as_json: bool
) -> Connection | None:
    """The connection once its inventory is there; None when told to stop first. Raises what the first try met, but
    waits for a pool whose master is away."""
    (profile,) = servers.profiles
    lines = _ServerLines(Printer(), servers.clock, as_json=as_json)
    news: queue.SimpleQueue[ConnectionChanged] = queue.SimpleQueue()
    unsubscribe = hub.subscribe(ConnectionChanged, news.put)
    try:
        connection = connections.add(profile, secret)
        begun = servers.clock.monotonic()
        while not stop.is_set():
            if servers.clock.monotonic() - begun > FIRST_INVENTORY_S:
                raise Unreachable(f"{safe_text(profile.name)} didn't send its inventory in time.")
            try:
                event = news.get(timeout=0.2)
            except queue.Empty:
                continue
            if event.state is ConnectionState.CONNECTED:
                return connection
            if isinstance(event.error, EmergencyMode):
                # it ends when a master is back, and a monitor that gave up would watch nothing then
                lines.tell_server(profile.name, event)
                begun = servers.clock.monotonic()
            elif event.state in (ConnectionState.FAILED, ConnectionState.RECONNECTING) and event.error is not None:
                raise event.error
        return None
    finally:
        unsubscribe()


def _keys(connection: Connection, texts: list[str]) -> dict[VmKey, str]:
    """VM → how the user named it. Raises ``NotFound``, ``UsageError``."""
    inventory = connection.inventory
    assert inventory is not None  # connected
    found: dict[VmKey, str] = {}
    for text in texts:
        found.setdefault(VmKey(connection.id, find_vm(inventory, text).id), text)
    return found


def _watch(
    servers: Servers,
    connections: Connections,
    hub: Hub,
    memory: MemoryOfThisRun,
    keys: Mapping[VmKey, str],
    lab_network: tuple[str, int] | None,
    stop: threading.Event,
    *,
    as_json: bool,
) -> None:
    news: queue.SimpleQueue[object] = queue.SimpleQueue()
    for kind in (MonitorChanged, Happened, ConnectionChanged):
        hub.subscribe(kind, news.put)

    def engine(on_trouble: Any, on_batch: Any) -> Engine:
        return IcmpEngine(servers.clock, lab_network=lab_network, on_trouble=on_trouble, on_batch=on_batch)

    def server_name(server_id: ServerId) -> str:
        found = connections.get(server_id)
        return found.name if found is not None else str(server_id)

    with recorded(hub, servers.clock, server_name) as history:
        history.keep(lambda: dt.timedelta(days=servers.settings.current.history_days))
        watcher = Watcher(connections, engine, OutageStore(history), memory, hub, servers.clock)
        lines = _Lines(Printer(), connections, watcher, keys, as_json=as_json)
        watcher.start()
        try:
            for key in keys:
                watcher.tick(key)
            told = False
            while not stop.is_set():
                try:
                    event = news.get(timeout=0.2)
                except queue.Empty:
                    continue
                if isinstance(event, ConnectionChanged) and event.state is ConnectionState.FAILED and event.error:
                    # A monitor that can take no snapshot any more must not look alive to whoever started it.
                    raise event.error
                try:
                    lines.tell(event)
                except OutputError as exc:
                    if not told:
                        told = True
                        Printer().error(f"{complaint(exc)}\nMonitoring goes on.")
        finally:
            watcher.stop()
            _wait_for(watcher.alive, servers)


class _ServerLines:
    """Tells how the server stands: what is wrong on stderr, and an emergency and its end as events too."""

    def __init__(self, printer: Printer, clock: Clock, *, as_json: bool) -> None:
        self._printer = printer
        self._clock = clock
        self._as_json = as_json
        self._waiting = False

    def tell_server(self, name: str, event: ConnectionChanged) -> None:
        """Print what is new in ``event``; each retry of the same is told once."""
        if isinstance(event.error, EmergencyMode):
            if not self._waiting:
                self._waiting = True
                where = safe_text(event.error.address, 80) or safe_text(name, 60)
                self._line(name, "emergency", f"{where} has lost its pool's master; trying again until it is back")
        elif event.error is not None:
            self._printer.error(complaint(event.error))
        elif self._waiting and event.state is ConnectionState.CONNECTED:
            self._waiting = False
            self._line(name, "reconnected", "the pool has a master again")

    def _line(self, name: str, what: str, why: str) -> None:
        when = utc(self._clock.now())
        if self._as_json:
            self._printer.json(
                {"time": when, "vm": None, "event": what, "uuid": None, "name": None, "server": name, "detail": why}
            )
        else:
            self._printer.line(f"{when} {safe_text(name, 60)} {what}: {why}")


class _Lines:
    """Turns events into lines. Main thread."""

    def __init__(
        self, printer: Printer, connections: Connections, watcher: Watcher, keys: Mapping[VmKey, str], *, as_json: bool
    ) -> None:
        self._printer = printer
        self._connections = connections
        self._watcher = watcher
        self._keys = keys
        self._as_json = as_json
        self._states: dict[VmKey, tuple[MonitorState, str]] = {}
        self._rounds: dict[VmKey, int] = {}
        self._servers = _ServerLines(printer, watcher.clock, as_json=as_json)

    def tell(self, event: object) -> None:
        """Print what is new in ``event``."""
        if isinstance(event, MonitorChanged):
            key = VmKey(event.server_id, event.vm_id)
            status = self._watcher.status(key)
            if status is not None and key in self._keys:
                self._tell_rounds(status)
                self._tell_state(status)
        elif isinstance(event, Happened) and event.who == "monitor":
            self._tell_happened(event)
        elif isinstance(event, ConnectionChanged):
            connection = self._connections.get(event.server_id)
            self._servers.tell_server(connection.name if connection is not None else "", event)

    def _tell_rounds(self, status: MonitorStatus) -> None:
        before = self._rounds.get(status.key, 0)
        self._rounds[status.key] = status.rounds_total
        fresh = status.rounds_total - before
        if self._as_json and fresh > 0:
            for each in status.rounds[-fresh:]:
                self._json(status.key, "round", utc(each.when), **_round_values(each), address=status.address or None)

    def _tell_state(self, status: MonitorStatus) -> None:
        now = (status.state, status.reason)
        if self._states.get(status.key) == now:
            return
        self._states[status.key] = now
        when = utc(self._watcher.clock.now())
        if self._as_json:
            self._json(
                status.key, "state", when, state=status.state.value, reason=status.reason or None,
                address=status.address or None, hold=status.hold.value if status.hold is not None else None,
            )  # fmt: skip
        else:
            where = f" ({safe_text(status.address, 60)})" if status.address else ""
            self._line(when, self._keys[status.key], f"{status.state.value}{where}", status.reason)

    def _tell_happened(self, event: Happened) -> None:
        key = next((key for key in self._keys if key.vm_id == event.subject_id), None)
        when = utc(event.when)
        if not self._as_json:
            name = self._keys[key] if key is not None else event.subject
            took = f" after {format_took(event.duration_s)}" if event.duration_s is not None else ""
            named = f" {event.extra['snapshot']}" if "snapshot" in event.extra else ""
            self._line(when, name, f"{event.what.upper()}{safe_text(named, 80)}{took}", event.detail)
            return
        values: dict[str, Any] = {"detail": event.detail or None, **event.extra}
        if event.duration_s is not None:
            values["seconds"] = round(event.duration_s, 3)
        if event.outcome:
            values["outcome"] = event.outcome
        if event.what == "snapshot-failed":
            values["error"] = event.detail
        self._json(key, event.what, when, **values)

    def _json(self, key: VmKey | None, event: str, when: str | None, **values: Any) -> None:
        connection = self._connections.get(key.server_id) if key is not None else None
        inventory = connection.inventory if connection is not None else None
        vm = inventory.vms.get(key.vm_id) if inventory is not None and key is not None else None
        self._printer.json(
            {
                "time": when,
                "vm": self._keys[key] if key is not None else None,
                "event": event,
                "uuid": vm.uuid if vm is not None else None,
                "name": vm.name if vm is not None else None,
                **values,
            }
        )

    def _line(self, when: str | None, name: str, what: str, why: str) -> None:
        reason = f": {safe_text(why, 400)}" if why else ""
        self._printer.line(f"{when} {safe_text(name, 60)} {what}{reason}")


def _round_values(each: Round) -> dict[str, Any]:
    rtts = [None if rtt is None else round(rtt, 3) for rtt in each.rtts_ms]
    return {"result": each.result.value, "rtts_ms": rtts, "note": each.note or None}


def _wait_for(alive: Callable[[], tuple[str, ...]], servers: Servers) -> None:
    """Give threads a moment to end (logging out takes one); they are daemons, so none can keep us."""
    pause = threading.Event()
    begun = servers.clock.monotonic()
    while alive() and servers.clock.monotonic() - begun < END_LIMIT_S:
        servers.clock.wait(pause, 0.02)
