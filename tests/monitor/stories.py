"""The words in which stories of ticked VMs are told: tick, let it answer, lose it, ask how it stands."""

from __future__ import annotations

import datetime as dt

from hvconsole.model import AUTOMATIC_MARK, ObjectId
from hvconsole.monitor import frames
from hvconsole.monitor.status import MonitorState
from hvconsole.outages import CaptureState, Outage
from tests.monitor.conftest import Stage
from tests.monitor.stage import CLOCK, SERVER, key

WEB = "10.20.4.31"
OK, DEGRADED, LOST, UNKNOWN = frames.OK, frames.DEGRADED, frames.LOST, frames.UNKNOWN


def watched(stage: Stage, name: str = "web", address: str = WEB) -> None:
    """Tick a VM and let it answer once."""
    assert stage.watcher is not None
    stage.watcher.tick(key(name))
    stage.until(lambda: stage.engine is not None and address in stage.engine.addresses(), "the VM to be pinged")
    feed(stage, OK, address=address)
    stage.until(lambda: state(stage, name) is MonitorState.UP, "the VM to be up")


def feed(stage: Stage, *results: int, address: str = WEB, heard: float = 0.0) -> None:
    assert stage.engine is not None
    for result in results:
        stage.engine.round(address, result, heard=heard)


def state(stage: Stage, name: str = "web") -> MonitorState:
    assert stage.watcher is not None
    status = stage.watcher.status(key(name))
    return status.state if status is not None else MonitorState.OFF


def settled(stage: Stage, name: str = "web") -> CaptureState | None:
    assert stage.watcher is not None
    status = stage.watcher.status(key(name))
    return status.outage.state if status is not None and status.outage is not None else None


def results(stage: Stage, name: str = "web") -> list[str]:
    assert stage.watcher is not None
    status = stage.watcher.status(key(name))
    return [str(one.result) for one in status.rounds] if status is not None else []


def asked(stage: Stage) -> int:
    return len(stage.server.hypervisor.asked)


def left_open(stage: Stage, capture_state: CaptureState, age_s: float = 5.0) -> Outage:
    outage = Outage(
        id="earlier",
        server_id=SERVER,
        vm_id=ObjectId("web"),
        vm_name="web",
        opened=CLOCK.now() - dt.timedelta(seconds=age_s),
        snapshot_name="Network_Down 2026-11-23 07:00:00Z",
        state=capture_state,
        detail=f"{AUTOMATIC_MARK}\nevidence of the earlier run",
    )
    stage.journal.record(outage)
    return outage
