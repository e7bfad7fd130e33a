"""The monitor on a stage: fake server, hand-fed or real engine, everything stopped and gone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from hvconsole.events import Happened, Hub, MonitorChanged, Notice
from hvconsole.model import Vm
from hvconsole.monitor import desk, situation
from hvconsole.monitor.servers import MemoryOfThisRun
from hvconsole.monitor.watcher import Engine, Watcher
from tests.monitor.stage import CLOCK, FakeServer, FakeServers, FileJournal, HandEngine, Waiter


@pytest.fixture
def waiter() -> Waiter:
    return Waiter()


@pytest.fixture
def hub(waiter: Waiter) -> Hub:
    """Wakes the waiter with every event."""
    hub = Hub()
    for kind in (Happened, MonitorChanged, Notice):
        hub.subscribe(kind, waiter.changed)
    return hub


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    late = set(threading.enumerate()) - before
    for thread in late:
        thread.join(5)
    assert not [thread.name for thread in late if thread.is_alive()], "threads left running"


class Stage:
    """A watcher with everything around it."""

    def __init__(self, hub: Hub, waiter: Waiter, journal: FileJournal) -> None:
        self.hub = hub
        self.waiter = waiter
        self.journal = journal
        self.memory = MemoryOfThisRun()
        self.happened: list[Happened] = []
        self.notices: list[Notice] = []
        hub.subscribe(Happened, self.happened.append)
        hub.subscribe(Notice, self.notices.append)
        self.engine: HandEngine | None = None
        self.server: FakeServer = FakeServer(hub, waiter)
        self.servers = FakeServers(self.server)
        self.watcher: Watcher | None = None

    def start(
        self,
        *vms: Vm,
        engine: Callable[..., Engine] | None = None,
        beside: Iterable[FakeServer] = (),
        present: bool = True,
    ) -> Watcher:
        self.server.stop()
        self.server = FakeServer(self.hub, self.waiter, vms)
        self.servers = FakeServers(*[self.server][: int(present)], *beside)

        def hand_engine(*callbacks: Callable[..., None]) -> HandEngine:
            self.engine = HandEngine(*callbacks)
            return self.engine

        self.watcher = Watcher(self.servers, engine or hand_engine, self.journal, self.memory, self.hub, CLOCK)
        self.watcher.start()
        return self.watcher

    def until(self, condition: Callable[[], object], what: str = "condition", limit_s: float = 10.0) -> None:
        self.waiter.until(condition, what, limit_s)

    def what(self) -> list[str]:
        return [happened.what for happened in self.happened]

    def stop(self) -> None:
        if self.watcher is not None:
            self.watcher.stop()
            self.waiter.until(lambda: not self.watcher or not self.watcher.alive(), "the watcher's threads to end")
        self.server.stop()


@pytest.fixture
def stage(hub: Hub, waiter: Waiter, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(hub, waiter, FileJournal(tmp_path / "outages"))
    yield stage
    stage.stop()


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a user would wait for are shortened."""
    monkeypatch.setattr(desk, "BEAT_S", 0.05)
    monkeypatch.setattr(desk, "RETENTION_DELAY_S", 0.0)
    monkeypatch.setattr("hvconsole.monitor.capture.SETTLE_S", 0.05)
    monkeypatch.setattr("hvconsole.monitor.capture.RUNNING_S", 0.05)
    monkeypatch.setattr("hvconsole.monitor.capture.RETRY_S", (0.05, 0.05))
    monkeypatch.setattr(situation, "AFTERMATH_S", 0.0)
