"""Composition root of the window: builds every part, wires them, owns the order of start and of shutdown.

Nobody imports this but the command line. It runs on the Tk thread and never waits there.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hvconsole import __version__
from hvconsole.backends.base import Secret
from hvconsole.clock import SystemClock
from hvconsole.connection import Connection, Connections
from hvconsole.credentials import PASSWORD_VARIABLE, Credentials
from hvconsole.errors import HvError, InvalidInput, LocalError
from hvconsole.events import ConnectionState, Hub, Notice
from hvconsole.history import History, OutageStore
from hvconsole.inventory_cache import CacheKeeper, InventoryCache
from hvconsole.monitor.icmp import IcmpEngine, Sink
from hvconsole.monitor.watcher import Engine, Watcher
from hvconsole.profiles import ServerProfile
from hvconsole.settings import SettingsStore, cache_folder, history_path, pins_path, settings_path
from hvconsole.signals import until_signalled
from hvconsole.trust import PinStore
from hvconsole.ui.interfaces import AppServices
from hvconsole.ui.window import MainWindow
from hvconsole.ui.window import open_window as make_window

if TYPE_CHECKING:
    from hvconsole.demo import DemoLab, DemoServer

log = logging.getLogger(__name__)

_What = TypeVar("_What")


def open_window(servers: Sequence[str] = (), *, demo: bool = False) -> int:
    """Open the console and stay until it is closed; the exit code. ``servers``: URLs and names of saved servers.

    ``demo`` starts the built-in lab instead and keeps nothing: settings, pins and history end with the window.
    """
    if demo:
        from hvconsole.demo import DemoLab  # the lab is large, and only the demo needs it

        with tempfile.TemporaryDirectory(prefix="hvconsole-demo-") as folder:
            return _run(Console(home=Path(folder), lab=DemoLab.default()), ())
    try:
        console = Console()
        chosen = [console.settings.resolve(text) for text in servers]
    except HvError as exc:
        _complain(exc)
        return 2 if isinstance(exc, InvalidInput) else 1
    return _run(console, chosen)


class Console:
    """Every part but the window, wired. Implements ``ui.interfaces.Shutdown``.

    ``home``: keep nothing outside this folder, and settings and pins in memory only. Raises ``LocalError`` when files
    that must not be lost cannot be read.
    """

    def __init__(self, home: Path | None = None, lab: DemoLab | None = None) -> None:
        self.clock = SystemClock()
        self.hub = Hub()
        self.settings = SettingsStore(None if home else settings_path(), self.clock)
        self.pins = PinStore(None if home else pins_path())
        self.credentials = Credentials()
        self.history = History(home / "history.sqlite3" if home else history_path(), self.hub, self.clock)
        self.connections = Connections(self.pins, self.hub, self.clock, on_members=self.settings.learn_members)
        self.lab = lab
        self._demo_servers: tuple[DemoServer, ...] = lab.start() if lab is not None else ()
        self.watcher = Watcher(
            self.connections, self._ping_engine, OutageStore(self.history), self.settings, self.hub, self.clock
        )
        self.cache = InventoryCache(cache_folder())
        self._keeper = None if home else CacheKeeper(self.cache, self.connections, self.hub, self.clock)
        self._helpers: list[threading.Thread] = []
        self._began_to_stop = False

    # ---- start -----------------------------------------------------------------------------------------------

    def services(self) -> AppServices:
        """What the window gets."""
        return AppServices(
            hub=self.hub,
            clock=self.clock,
            connections=self.connections,
            watcher=self.watcher,
            settings=self.settings,
            credentials=self.credentials,
            history=self.history,
            pins=self.pins,
            shutdown=self,
            version=__version__,
            lab=self.lab,
        )

    def start(self, chosen: Sequence[ServerProfile] = ()) -> None:
        """Start history, monitor and connections; returns at once. Called when the window stands."""
        self.history.start()
        self.history.subscribe(self.hub, self._server_name)
        self.history.keep(lambda: dt.timedelta(days=self.settings.current.history_days))
        self.watcher.start()
        if self._keeper is not None:
            self._keeper.start()
        self.settings.on_problem = lambda error: self.hub.emit(Notice("settings", error.user_text, "error"))
        if self.settings.problem:
            self.hub.emit(Notice("settings", self.settings.problem, "warning"))
        for server in self._demo_servers:
            for certificate in server.certificates:
                self.pins.accept(certificate)
            self.credentials.remember(server.profile.id, server.secret)
            self.connections.add(server.profile, server.secret)
        if self.lab is None:
            self._connect_saved(chosen)

    def _ping_engine(
        self, on_trouble: Callable[[LocalError | None], None], on_batch: Callable[[Sequence[Sink]], None]
    ) -> Engine:
        network = self.lab.network if self.lab is not None else None
        return IcmpEngine(self.clock, lab_network=network, on_trouble=on_trouble, on_batch=on_batch)

    def _server_name(self, server_id: str) -> str:
        return next((c.name for c in self.connections.all() if c.id == server_id), server_id)

    def _connect_saved(self, chosen: Sequence[ServerProfile]) -> None:
        profiles = {profile.id: profile for profile in self.settings.servers()}
        at_once = {profile.id for profile in profiles.values() if profile.connect_at_start}
        for profile in chosen:
            profiles.setdefault(profile.id, profile)
            at_once.add(profile.id)
        given = os.environ.get(PASSWORD_VARIABLE)
        for profile in profiles.values():
            connection = self.connections.add(profile)
            if profile.id not in at_once:
                continue
            if given is not None and profile in chosen:
                secret = Secret(password=given)
                self.credentials.remember(profile.id, secret)
                connection.connect(secret)
            elif profile.remember_password:
                self._help(f"keyring-{profile.name[:24]}", self._connect_with_saved_password, connection)
            else:
                self._miss_password(connection)
        self._help("remembered", self._show_remembered, self.connections.all())

    def _show_remembered(self, connections: Sequence[Connection]) -> None:
        """Read the inventories of the last run: with thousands of VMs that takes longer than the Tk thread may."""
        for connection in connections:
            if self._began_to_stop:
                return
            inventory = self.cache.load(connection.id)
            if inventory is not None:
                connection.show_remembered(inventory)

    def _help(self, name: str, work: Callable[[_What], None], what: _What) -> None:
        thread = threading.Thread(target=work, args=(what,), name=name, daemon=True)
        self._helpers.append(thread)
        thread.start()

    def _miss_password(self, connection: Connection) -> None:
        watched = len(self.settings.ticked(connection.id))
        vms = "One ticked VM is" if watched == 1 else f"{watched} ticked VMs are"
        unwatched = f" {vms} not watched until then." if watched else ""
        connection.ask_for_password(f"Sign in to connect; its password isn't saved.{unwatched}")

    def _connect_with_saved_password(self, connection: Connection) -> None:
        try:
            secret = self.credentials.load(connection.id)
        except HvError as exc:
            self.hub.emit(Notice(f"keyring-{connection.id}", exc.user_text))
            secret = None
        current = self.connections.get(connection.id) is connection and connection.state is ConnectionState.CLOSED
        if self._began_to_stop or not current:
            return  # a keyring may take long: the user has signed in meanwhile, or removed the server
        if secret is None:
            self._miss_password(connection)
            return
        self.credentials.remember(connection.id, secret)
        connection.connect(secret)

    # ---- shutdown --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Ask every thread to end; returns at once. The history goes last: it records what the others still do."""
        if self._began_to_stop:
            return
        self._began_to_stop = True
        self.watcher.stop()
        if self._keeper is not None:
            self._keeper.stop()
        self.connections.close()

    def pending(self) -> tuple[str, ...]:
        """Names of threads that have not ended yet; stops the history once the others are gone."""
        keeping = self._keeper.alive() if self._keeper is not None else ()
        helpers = tuple(thread.name for thread in self._helpers if thread.is_alive())
        others = self.watcher.alive() + self.connections.alive() + keeping + helpers
        if self._began_to_stop and not others:
            self.history.stop()
            if self.lab is not None:
                self.lab.stop()
        lab = self.lab.alive() if self.lab is not None else ()
        return others + self.history.alive() + lab


def _run(console: Console, chosen: Sequence[ServerProfile]) -> int:
    window: MainWindow | None = None

    def end() -> None:
        # Whoever ends the session of the desktop waits for no answer: no question about running tasks.
        if window is not None:
            window.dispatcher.post(window.closing.begin)

    with until_signalled(end) as signalled:
        try:
            window = made = make_window(console.services())
        except LocalError as exc:  # no screen
            console.begin()
            _complain(exc)
            return 1
        if signalled.is_set():
            end()
        # the window is drawn first; whatever connects may take its time
        made.root.after_idle(lambda: _start(console, made, chosen))
        try:
            made.main_loop()
        finally:
            made.destroy()
            _flush(console.settings.flush)
    return 0


def _complain(exc: HvError) -> None:
    print(f"hvconsole: {exc.user_text}", file=sys.stderr)  # noqa: T201 - there is no window to say it in


def _start(console: Console, window: MainWindow, chosen: Sequence[ServerProfile]) -> None:
    console.start(chosen)
    for profile in chosen:
        connection = console.connections.get(profile.id)
        if connection is not None and connection.state is ConnectionState.FAILED:
            window.dialogs.connect(profile.id, connection.error)


def _flush(flush: Callable[[], None]) -> None:
    try:
        flush()
    except HvError as exc:
        log.error("%s (%s)", exc.user_text, exc.detail)
