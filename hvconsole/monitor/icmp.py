"""The console's end of the ICMP engine: starts the child process, gives it targets, hands out the rounds.

``IcmpEngine.open`` and ``Ping.close`` may be called from any thread and never block. Rounds are delivered in the thread
``icmp-engine``, which reads the pipe; ``icmp-commands`` writes to it. When the child dies it is started again and gets
all targets anew; until then every target has an ``UNKNOWN`` round and the user is told.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import hvconsole
from hvconsole.clock import Clock
from hvconsole.errors import LocalError
from hvconsole.monitor import frames
from hvconsole.monitor.status import MAX_PINGS

log = logging.getLogger(__name__)

RESTART_S = (0.2, 1.0, 5.0, 15.0, 30.0)
"""Pauses before the engine is started again; the last one stays. It counts from anew once rounds came."""
SILENT_S = 15.0
"""An engine that delivered nothing for three intervals and this long is taken for hung and replaced."""
_EXIT_LIMIT_S = 1.0
RESTARTING = "The ping engine stopped and is being started again; nothing is judged meanwhile."

Row = tuple[int, int, int, int, int, float, float, float, float, float, float]
"""One ``frames.ROW``."""


class Sink(Protocol):
    """Where the rounds of one target go. Called in the engine's reading thread; must not block."""

    def deliver(self, row: Row) -> None:
        """One finished round."""

    def interrupted(self, now: float, sentence: str) -> None:
        """The round in flight was lost with the engine: it says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PingTarget:
    """What to ping and how. ``address`` is an IPv4 or IPv6 address; times are in seconds."""

    address: str
    interval_s: float
    gap_s: float
    timeout_s: float
    pings: int
    witness: bool = False


class PingEngine(Protocol):
    """What Pingers need of an engine."""

    def open(self, target: PingTarget, sink: Sink) -> Ping:
        """Begin to ping ``target``. Any thread; does not block. Raises ``LocalError`` for what is no address."""

    def close_slot(self, slot: int) -> None:
        """End it."""


class Ping:
    """The ping object of one Pinger: its slot in the shared engine."""

    __slots__ = ("_engine", "sink", "slot", "target")

    def __init__(self, engine: PingEngine, slot: int, target: PingTarget, sink: Sink) -> None:
        self._engine = engine
        self.slot = slot
        self.target = target
        self.sink = sink

    def close(self) -> None:
        """Stop pinging. Rounds already on their way may still be delivered."""
        self._engine.close_slot(self.slot)


class IcmpEngine:
    """The shared engine of all Pingers. ``trouble`` tells why nothing can be sent, or None."""

    def __init__(
        self,
        clock: Clock,
        *,
        lab_network: tuple[str, int] | None = None,
        on_trouble: Callable[[LocalError | None], None] = lambda _: None,
        on_batch: Callable[[Sequence[Sink]], None] = lambda _: None,
        command: Sequence[str] | None = None,
    ) -> None:
        """``lab_network``: ping the lab's guests through this UDP address instead of with real ICMP. ``on_trouble`` and
        ``on_batch`` (the sinks that just got rounds) are called in the reading thread. ``command`` replaces the
        program that is started (tests)."""
        self.lab_network = lab_network
        self.trouble: LocalError | None = None
        self.modes: tuple[int, int] = (frames.NO_SOCKET, frames.NO_SOCKET)
        self._clock = clock
        self._on_trouble = on_trouble
        self._on_batch = on_batch
        self._command = tuple(command or engine_command(lab_network))
        self._lock = threading.Lock()
        self._pings: dict[int, Ping] = {}
        self._next_slot = 1
        self._commands: queue.SimpleQueue[bytes | None] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="icmp-engine", daemon=True)
        self._writers: list[threading.Thread] = []
        self._row_at = self._checked_at = clock.monotonic()

    # ---- life ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the child process. Does not block."""
        self._thread.start()

    def stop(self) -> None:
        """End it. Does not block; ``alive`` tells when it is gone."""
        with self._lock:
            self._stop.set()
            if self._commands is not None:
                self._commands.put(None)

    def alive(self) -> tuple[str, ...]:
        """Names of threads that still run."""
        return tuple(t.name for t in (self._thread, *self._writers) if t.is_alive())

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def check(self) -> None:
        """Replace a child that hangs. Called now and then from any thread."""
        with self._lock:
            process, pings = self._process, tuple(self._pings.values())
            now = self._clock.monotonic()
            # After a suspend of this computer the engine, too, has only just woken up.
            slept = now - self._checked_at > SILENT_S
            self._checked_at = now
            if process is None or not pings or slept:
                self._row_at = now
                return
            patience = 3 * max(ping.target.interval_s for ping in pings) + SILENT_S
            if now - self._row_at < patience:
                return
            self._row_at = now
        log.warning("the ICMP engine delivered nothing for %.0f s: replacing it", patience)
        process.kill()

    # ---- targets -------------------------------------------------------------------------------------------

    def open(self, target: PingTarget, sink: Sink) -> Ping:
        """Begin to ping ``target``. Any thread; does not block. Raises ``LocalError`` for what is no address."""
        _packed(target)
        with self._lock:
            ping = Ping(self, self._next_slot, target, sink)
            self._next_slot += 1
            if not self._pings:
                self._row_at = self._clock.monotonic()
            self._pings[ping.slot] = ping
            if self._commands is not None:
                self._commands.put(_add(ping))
        return ping

    def close_slot(self, slot: int) -> None:
        """End one target."""
        with self._lock:
            if self._pings.pop(slot, None) is not None and self._commands is not None:
                self._commands.put(frames.frame(frames.REMOVE, frames.SLOT.pack(slot)))

    # ---- the reading thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                worked = self._one_life()
            except OSError as exc:
                log.warning("the ICMP engine could not be started: %s", exc)
                worked = False
                self._tell(LocalError(f"The ping engine can't be started on this computer: {exc}.", str(exc)))
            if self._stop.is_set():
                break
            failures = 0 if worked else failures + 1
            if worked or self.trouble is None:
                self._tell(LocalError(RESTARTING))
            self._interrupt()
            self._clock.wait(self._stop, RESTART_S[min(failures, len(RESTART_S) - 1)])

    def _one_life(self) -> bool:
        """Start the child and read until it ends. True if it delivered rounds."""
        root = str(Path(hvconsole.__file__).parent.parent)
        # A password that was given to us in the environment is none of the child's business.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HVCONSOLE_")}
        environment = {**kept, "PYTHONPATH": root}
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        commands: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        writer = threading.Thread(target=_write, args=(process, commands), name="icmp-commands", daemon=True)
        with self._lock:
            self._process, self._commands = process, commands
            self._row_at = self._clock.monotonic()
            for ping in self._pings.values():
                commands.put(_add(ping))
            if self._stop.is_set():
                commands.put(None)
        writer.start()
        self._writers = [t for t in self._writers if t.is_alive()] + [writer]
        worked = False
        try:
            worked = self._read(process)
        finally:
            with self._lock:
                self._process = self._commands = None
            commands.put(None)
            self._bury(process)
            writer.join(_EXIT_LIMIT_S)
        return worked

    def _read(self, process: subprocess.Popen[bytes]) -> bool:
        stream = process.stdout
        assert stream is not None
        worked = False
        while True:
            got = frames.read_frame(stream.read)
            if got is None:
                return worked
            kind, body = got
            if kind == frames.HELLO:
                mode4, mode6, errno4, errno6 = frames.HELLO_BODY.unpack(body)
                self.modes = (mode4, mode6)
                usable = mode4 != frames.NO_SOCKET or mode6 != frames.NO_SOCKET
                self._tell(None if usable else no_right_to_ping(errno4 or errno6))
            elif kind == frames.ROUNDS:
                worked = True
                self._row_at = self._clock.monotonic()
                self._hand_out(body)

    def _hand_out(self, body: bytes) -> None:
        pings = self._pings
        sinks = []
        for row in frames.ROW.iter_unpack(body):
            ping = pings.get(row[0])
            if ping is not None:
                ping.sink.deliver(row)
                sinks.append(ping.sink)
        self._on_batch(sinks)

    def _interrupt(self) -> None:
        sentence = self.trouble.user_text if self.trouble is not None else ""
        with self._lock:
            sinks = [ping.sink for ping in self._pings.values()]
        now = self._clock.monotonic()
        for sink in sinks:
            sink.interrupted(now, sentence)
        self._on_batch(sinks)

    def _tell(self, trouble: LocalError | None) -> None:
        before, self.trouble = self.trouble, trouble
        if (before and before.user_text) != (trouble and trouble.user_text):
            self._on_trouble(trouble)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(_EXIT_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        words = b""
        if process.stderr is not None:
            words = process.stderr.read(4000) or b""
            process.stderr.close()
        if process.stdout is not None:
            process.stdout.close()
        if words and not self._stop.is_set():
            log.warning("the ICMP engine ended with code %s: %s", process.returncode, words.decode(errors="replace"))


def _write(process: subprocess.Popen[bytes], commands: queue.SimpleQueue[bytes | None]) -> None:
    stream = process.stdin
    assert stream is not None
    try:
        while True:
            data = commands.get()
            if data is None:
                break
            view = memoryview(data)
            while view:
                view = view[stream.write(view) or 0 :]
    except OSError:
        pass  # the child has gone: the reading thread sees it and starts another one
    finally:
        try:
            stream.close()
        except OSError:
            log.debug("the ICMP engine's pipe was already broken")


def engine_command(lab_network: tuple[str, int] | None) -> tuple[str, ...]:
    """How the child is started: isolated from the current folder and from everything in site-packages."""
    lab = () if lab_network is None else (f"{lab_network[0]}:{lab_network[1]}",)
    return (sys.executable, "-P", "-S", "-m", "hvconsole.monitor.icmp_engine", *lab)


def no_right_to_ping(code: int) -> LocalError:
    """Why no ICMP socket could be opened, with this platform's remedy."""
    detail = f"{errno.errorcode.get(code, code)}: {os.strerror(code)}"
    if code not in (errno.EACCES, errno.EPERM):
        return LocalError("This computer can't send pings: it offers no ICMP socket.", detail)
    if sys.platform.startswith("linux"):
        remedy = (
            "as root, run “sysctl -w net.ipv4.ping_group_range='0 2147483647'”, or for a service set "
            "AmbientCapabilities=CAP_NET_RAW in its systemd unit"
        )
    elif sys.platform == "win32":
        remedy = "start hvconsole as Administrator"
    elif sys.platform == "darwin":
        remedy = "check the privacy and firewall settings of this Mac, or start hvconsole with sudo"
    else:
        remedy = "give hvconsole the right to open raw sockets"
    return LocalError(f"This computer doesn't let hvconsole send pings, so nothing is monitored: {remedy}.", detail)


def _packed(target: PingTarget) -> tuple[int, bytes]:
    try:
        address = ipaddress.ip_address(target.address)
    except ValueError as exc:
        raise LocalError(f"“{target.address[:100]}” is no address that can be pinged.", str(exc)) from exc
    return address.version, address.packed


def _add(ping: Ping) -> bytes:
    target = ping.target
    family, packed = _packed(target)
    return frames.frame(
        frames.ADD,
        frames.TARGET.pack(
            ping.slot,
            target.witness,
            min(target.pings, MAX_PINGS),
            target.interval_s,
            target.gap_s,
            target.timeout_s,
            family,
            packed,
        ),
    )
