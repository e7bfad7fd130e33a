"""``kill -9`` at every step of an automatic snapshot, with the real journal: none is lost, none is taken twice.

The console runs in a child process that kills itself at a named step. Its server is a file that outlives it: each
request that arrives is a line, each finished snapshot another one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hvconsole
from hvconsole.backends.base import SnapshotSearch, TaskContext
from hvconsole.events import Happened, Hub
from hvconsole.history import History, OutageStore
from hvconsole.model import ObjectId, Snapshot
from hvconsole.monitor import capture, desk, frames
from hvconsole.monitor.servers import MemoryOfThisRun
from hvconsole.monitor.status import MonitorState
from hvconsole.monitor.watcher import Watcher
from hvconsole.outages import Outage
from tests.monitor.stage import CLOCK, SERVER, FakeHypervisor, FakeServer, FakeServers, HandEngine, Waiter, key, vm

WEB = "10.20.4.31"
STEPS = [
    "before intent",
    "after intent",
    "looked",
    "before sent",
    "after sent",
    "request leaves",
    "request arrived",
    "snapshot taken",
    "before done",
    "after done",
]


class SurvivingHypervisor(FakeHypervisor):
    """Its snapshots are lines in a file."""

    def __init__(self, server: FakeServer, file: Path, at_step) -> None:  # type: ignore[no-untyped-def]
        super().__init__(server)
        self.file = file
        self.at_step = at_step

    def _names(self, word: str) -> list[str]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(word)]

    def find_snapshots(self, vm_id: ObjectId, name: str) -> SnapshotSearch:
        found = tuple(Snapshot(id=ObjectId(n), name=n) for n in self._names("done") if n == name)
        # Requests that arrived are carried out by the server, whatever became of the console.
        arrived = set(self._names("asked")) - set(self._names("done"))
        for late in arrived:
            self._write("done", late)
        self.at_step("looked")
        return SnapshotSearch(found=found, running=bool(arrived))

    def snapshot(self, vm_id: ObjectId, name: str, description: str, ctx: TaskContext) -> Snapshot:
        self.at_step("request leaves")
        self._write("asked", name)
        self.at_step("request arrived")
        self._write("done", name)
        self.at_step("snapshot taken")
        return Snapshot(id=ObjectId(name), name=name)

    def _write(self, word: str, name: str) -> None:
        with self.file.open("a") as file:
            file.write(f"{word} {name}\n")


class SteppingJournal:
    def __init__(self, store: OutageStore, at_step) -> None:  # type: ignore[no-untyped-def]
        self._store = store
        self._at_step = at_step

    def record(self, outage: Outage) -> None:
        self._at_step(f"before {outage.state}")
        self._store.record(outage)
        self._at_step(f"after {outage.state}")

    def open_outages(self) -> tuple[Outage, ...]:
        return self._store.open_outages()


def run_console(folder: Path, die_at: str, lose: bool) -> None:
    """One run of the console: tick, answer, lose a round (or not), wait until the outage is settled."""
    capture.SETTLE_S = capture.RUNNING_S = 0.05
    desk.BEAT_S = 0.05

    def at_step(name: str) -> None:
        if name == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    hub, waiter = Hub(), Waiter()
    history = History(folder / "history.db", hub, CLOCK)
    history.start()
    happened: list[str] = []
    hub.subscribe(Happened, lambda event: (happened.append(event.what), waiter.changed())[0])
    server = FakeServer(hub, waiter, [vm("web", WEB)])
    server.hypervisor = SurvivingHypervisor(server, folder / "server", at_step)
    engines: list[HandEngine] = []

    def engine(*callbacks) -> HandEngine:  # type: ignore[no-untyped-def]
        engines.append(HandEngine(*callbacks))
        return engines[0]

    memory = MemoryOfThisRun()
    memory.set_ticked(SERVER, ObjectId("web"), True)
    journal = SteppingJournal(OutageStore(history), at_step)
    open_before = len(journal.open_outages()) if (folder / "history.db").exists() else 0
    watcher = Watcher(FakeServers(server), engine, journal, memory, hub, CLOCK)
    watcher.start()
    waiter.until(lambda: engines and engines[0].addresses() == {WEB}, "the VM to be pinged")
    if open_before:
        waiter.until(lambda: {"snapshot", "snapshot-failed", "held"} & set(happened) or not _unsettled(watcher), "it")
    if lose:
        engines[0].round(WEB, frames.OK)
        waiter.until(lambda: _state(watcher) is MonitorState.UP, "the VM to be up")
        engines[0].round(WEB, frames.LOST)
        waiter.until(lambda: "snapshot" in happened, "the snapshot")
    watcher.stop()
    server.stop()
    history.close()


def _state(watcher: Watcher) -> MonitorState | None:
    status = watcher.status(key("web"))
    return status.state if status is not None else None


def _unsettled(watcher: Watcher) -> bool:
    status = watcher.status(key("web"))
    return status is not None and status.outage is not None and status.outage.state in ("intent", "sent", "unknown")


def console(folder: Path, die_at: str, *, lose: bool) -> int:
    """``run_console`` in a process of its own; its exit code."""
    root = str(Path(hvconsole.__file__).parent.parent)
    code = f"from tests.monitor.test_crash import *; run_console(Path({str(folder)!r}), {die_at!r}, {lose!r})"
    outcome = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={**os.environ, "PYTHONPATH": root}, timeout=60, cwd=root
    )
    return outcome.returncode


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_there_is_exactly_one_snapshot(tmp_path: Path, step: str) -> None:
    assert console(tmp_path, step, lose=True) == -signal.SIGKILL
    # Two more runs: the first goes on with what was left, the second finds nothing to do.
    for _ in range(2):
        assert console(tmp_path, "never", lose=False) == 0
    lines = (tmp_path / "server").read_text().splitlines() if (tmp_path / "server").exists() else []
    asked = [line for line in lines if line.startswith("asked")]
    expected = 0 if step == "before intent" else 1
    assert len(asked) == expected, "before the outage is on disk nothing was promised; afterwards exactly one"
