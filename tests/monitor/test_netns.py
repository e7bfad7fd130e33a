"""Real packets over real (virtual) cables: a link is cut, the snapshot request comes in time, others stay untouched.

The pace is ten times that of the default, so that twenty cuts take seconds; ``benchmarks/monitor_cut.py`` does the
same at the real pace.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hvconsole.events import MonitorChanged
from hvconsole.model import ObjectId, Vm
from hvconsole.monitor import frames, situation, station
from hvconsole.monitor.icmp import IcmpEngine
from hvconsole.monitor.servers import MemoryOfThisRun
from hvconsole.monitor.status import MonitorSettings, MonitorState, RoundResult
from tests.monitor import netns
from tests.monitor.conftest import Stage
from tests.monitor.netns import Cables
from tests.monitor.stage import CLOCK, key, vm

pytestmark = pytest.mark.netns

PACE = MonitorSettings(interval_s=0.5, timeout_s=0.2)
BOUND_S = PACE.interval_s + PACE.timeout_s + 0.2
CROWD = 200


@pytest.fixture
def cables(request: pytest.FixtureRequest) -> Iterator[Cables]:
    reason = netns.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    made = Cables(*getattr(request, "param", (2, 0)))
    yield made
    made.close()


@pytest.fixture
def both_cpus_busy() -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    yield
    for process in busy:
        process.kill()
        process.wait()


def watch(stage: Stage, cables: Cables, vms: dict[str, str], *, nobody: bool = False) -> list[IcmpEngine]:
    """Tick these VMs (name → address) and wait until all have answered. ``nobody``: the engine has no rights."""
    engines: list[IcmpEngine] = []
    up: set[str] = set()

    def note(event: MonitorChanged) -> None:
        if event.vm_id not in up and stage.watcher is not None:
            status = stage.watcher.status(key(event.vm_id))
            if status is not None and status.state is MonitorState.UP:
                up.add(event.vm_id)

    stage.hub.subscribe(MonitorChanged, note)
    stage.memory = MemoryOfThisRun(PACE)

    def engine(on_trouble: Callable[..., None], on_batch: Callable[..., None]) -> IcmpEngine:
        command = cables.engine_command(nobody=nobody)
        engines.append(IcmpEngine(CLOCK, on_trouble=on_trouble, on_batch=on_batch, command=command))
        return engines[-1]

    machines: list[Vm] = [vm(name, address) for name, address in vms.items()]
    watcher = stage.start(*machines, engine=engine)
    for machine in machines:
        watcher.tick(key(machine.id))
    stage.until(lambda: up == set(vms), "all VMs to answer", 30)
    return engines


def asked(stage: Stage) -> list[str]:
    return [vm_id for vm_id, _ in stage.server.hypervisor.asked]


@pytest.mark.parametrize("cables", [(20, CROWD)], indirect=True)
def test_twenty_cut_cables_twenty_snapshots_in_time_and_no_other(
    stage: Stage, cables: Cables, both_cpus_busy: None
) -> None:
    vms = {f"cut{n}": address for n, address in enumerate(cables.addresses)}
    vms |= {f"crowd{n}": address for n, address in enumerate(cables.crowd)}
    watch(stage, cables, vms)
    delays = []
    for number in range(20):
        cut_at = CLOCK.monotonic()
        cables.cut(number)
        stage.until(lambda n=number: f"cut{n}" in asked(stage), "the snapshot request", 5)
        delays.append(stage.server.hypervisor.asked_at[f"cut{number}"] - cut_at)
    assert max(delays) <= BOUND_S, delays
    assert asked(stage) == [f"cut{n}" for n in range(20)]
    assert stage.watcher is not None
    for n in range(CROWD):
        status = stage.watcher.status(key(f"crowd{n}"))
        assert status is not None
        assert status.state is MonitorState.UP
        assert {one.result for one in status.rounds} <= {RoundResult.OK, RoundResult.UNKNOWN}


def test_mended_and_cut_again_is_another_outage(stage: Stage, cables: Cables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(situation, "AFTERMATH_S", 0.0)
    watch(stage, cables, {"web": cables.addresses[0], "db": cables.v6_addresses[1]})
    for count in (1, 2):
        cables.cut(0)
        stage.until(lambda c=count: asked(stage) == ["web"] * c, "the snapshot request")
        cables.mend(0)
        stage.until(lambda c=count: stage.what().count("recovered") == c, "it to recover")
    stage.until(lambda: stage.what().count("snapshot") == 2, "the second snapshot")


def test_ipv6_guests_are_missed_too(stage: Stage, cables: Cables) -> None:
    watch(stage, cables, {"web": cables.v6_addresses[0], "db": cables.addresses[1]})
    cables.cut(0)
    stage.until(lambda: asked(stage) == ["web"], "the snapshot request")


@pytest.mark.parametrize("cables", [(3, 20)], indirect=True)
@pytest.mark.parametrize("end", ["far", "own"])
def test_the_stations_own_outage_takes_no_snapshot(stage: Stage, cables: Cables, end: str) -> None:
    vms = {f"cut{n}": address for n, address in enumerate(cables.addresses)}
    vms |= {f"crowd{n}": address for n, address in enumerate(cables.crowd)}
    watch(stage, cables, vms)
    if end == "far":
        cables.cut_everything()
    else:
        cables.cut_own_end()

    def all_unknown() -> bool:
        assert stage.watcher is not None
        return all(
            [one.result for one in status.rounds[-3:]] == [RoundResult.UNKNOWN] * 3
            for status in stage.watcher.statuses()
        )

    stage.until(all_unknown, "three unknown rounds of everybody", 20)
    assert asked(stage) == []


@pytest.mark.parametrize("cables", [(3, 0)], indirect=True)
def test_a_gateway_that_answers_shows_that_we_are_online(
    stage: Stage, cables: Cables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ticked VMs, both lost at once; but the gateway is still there."""
    monkeypatch.setattr("hvconsole.monitor.watcher.own_gateways", lambda: (cables.addresses[2],))
    monkeypatch.setattr(station, "WITNESS_INTERVAL_S", 0.5)
    monkeypatch.setattr("hvconsole.monitor.desk.BEAT_S", 0.1)
    watch(stage, cables, {"web": cables.addresses[0], "db": cables.addresses[1]})
    opened: Any = stage.watcher
    stage.until(lambda: any(w.last_result == 0 for w in opened._station._witnesses.values()), "the gateway to answer")
    cables.cut(0)
    cables.cut(1)
    stage.until(lambda: sorted(asked(stage)) == ["db", "web"], "both requests")


def test_the_requests_name_the_right_vm(stage: Stage, cables: Cables) -> None:
    watch(stage, cables, {"web": cables.addresses[0], "db": cables.addresses[1]})
    cables.cut(1)
    stage.until(lambda: stage.what().count("snapshot") == 1, "the snapshot")
    (snapshot,) = stage.server.vm(ObjectId("db")).snapshots
    assert cables.addresses[1] in snapshot.description
    assert stage.server.vm(ObjectId("web")).snapshots == ()


@pytest.mark.parametrize("cables", [(2, 3)], indirect=True)
def test_without_root_over_datagram_sockets(stage: Stage, cables: Cables) -> None:
    """What most desktops allow everybody: ICMP datagram sockets. Other targets' errors disturb nobody."""
    cables.let_everybody_ping()
    vms = {"web": cables.addresses[0], "six": cables.v6_addresses[1]}
    vms |= {f"crowd{n}": address for n, address in enumerate(cables.crowd)}
    engines = watch(stage, cables, vms, nobody=True)
    assert engines[0].modes == (frames.DATAGRAM, frames.DATAGRAM)
    assert stage.watcher is not None
    # Nobody has this address: after a while the station's own kernel says so, for each request.
    stage.server.add(vm("nobody", "10.78.0.250"))
    stage.watcher.tick(key("nobody"))

    def reason() -> str:
        assert stage.watcher is not None
        status = stage.watcher.status(key("nobody"))
        return next((one.note for one in status.rounds if one.note), "") if status is not None else ""

    stage.until(lambda: "unreachable" in reason().lower(), "the reason", 20)
    cables.cut(0)
    stage.until(lambda: asked(stage) == ["web"], "the snapshot request")
    for name in ("six", "crowd0", "crowd1", "crowd2"):
        status = stage.watcher.status(key(name))
        assert status is not None
        assert {one.result for one in status.rounds} <= {RoundResult.OK, RoundResult.UNKNOWN}
        assert [one.note for one in status.rounds if one.result is RoundResult.UNKNOWN and "sent" in one.note] == []
