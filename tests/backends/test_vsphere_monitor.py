"""With real packets: VMs of VMware's own simulator whose guests live in a network namespace. A cable is cut, and the
snapshot is on the server, with the evidence in its description.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hvconsole.backends.base import Secret
from hvconsole.clock import SystemClock
from hvconsole.connection import Connection, Connections
from hvconsole.events import Happened, Hub, InventoryChanged, MonitorChanged
from hvconsole.model import AUTOMATIC_MARK, ObjectId, Vm
from hvconsole.monitor.icmp import IcmpEngine
from hvconsole.monitor.servers import MemoryOfThisRun
from hvconsole.monitor.status import MonitorSettings, MonitorState, VmKey
from hvconsole.monitor.watcher import Watcher
from hvconsole.profiles import parse_url
from hvconsole.trust import FixedPins, PinStore
from tests.monitor import netns
from tests.monitor.netns import Cables
from tests.monitor.stage import FileJournal, Waiter
from tests.peers.vcsim import Vcsim

from .vsphere_lab import first, log_in_to_vcsim

pytestmark = pytest.mark.netns

CLOCK = SystemClock()
PACE = MonitorSettings(interval_s=0.5, timeout_s=0.2)


@pytest.fixture
def cables() -> Iterator[Cables]:
    reason = netns.why_not()
    if reason is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    made = Cables(2, 0)
    yield made
    made.close()


@pytest.fixture(params=["vpx", "esx"])
def peer(request: pytest.FixtureRequest) -> Iterator[Vcsim]:
    with Vcsim(request.param) as running:
        yield running


@pytest.fixture
def connection(peer: Vcsim) -> Iterator[Connection]:
    hub = Hub()
    pins = FixedPins({(peer.host, peer.port): peer.sha256}, PinStore())
    connections = Connections(pins, hub, CLOCK)
    profile = parse_url(f"vsphere://{peer.user}@{peer.host}:{peer.port}")
    made = connections.add(profile, Secret(password=peer.password))
    made.test_hub, made.test_all = hub, connections  # type: ignore[attr-defined]
    yield made
    connections.close()
    end = CLOCK.monotonic() + 5
    while connections.alive() and CLOCK.monotonic() < end:
        threading.Event().wait(0.02)
    assert not connections.alive()


def test_cable_cut_snapshot_on_the_server(peer: Vcsim, cables: Cables, connection: Connection, tmp_path: Path) -> None:
    hub: Hub = connection.test_hub  # type: ignore[attr-defined]
    waiter = Waiter()
    for kind in (Happened, MonitorChanged, InventoryChanged):
        hub.subscribe(kind, waiter.changed)
    waiter.until(lambda: connection.inventory is not None, "the first inventory", 20)
    assert connection.inventory is not None
    lost, well = sorted(connection.inventory.vms.values(), key=lambda vm: vm.name)[:2]
    for vm, address in zip((lost, well), cables.addresses, strict=True):
        peer.control(guest={vm.id: {"tools": "guestToolsRunning", "ip": address}})
    waiter.until(lambda: shown(connection, lost.id).addresses and shown(connection, well.id).addresses, "addresses", 20)

    def engine(on_trouble: Callable[..., None], on_batch: Callable[..., None]) -> IcmpEngine:
        return IcmpEngine(CLOCK, on_trouble=on_trouble, on_batch=on_batch, command=cables.engine_command())

    watcher = Watcher(
        connection.test_all,  # type: ignore[attr-defined]
        engine,
        FileJournal(tmp_path / "outages"),
        MemoryOfThisRun(PACE),
        hub,
        CLOCK,
    )
    watcher.start()
    try:
        keys = [VmKey(connection.id, vm.id) for vm in (lost, well)]
        for key in keys:
            watcher.tick(key)
        waiter.until(lambda: all(state(watcher, key) is MonitorState.UP for key in keys), "both to answer", 30)
        cables.cut(0)
        waiter.until(lambda: shown(connection, lost.id).snapshots, "the snapshot", 20)
        other = log_in_to_vcsim(peer)
        found = first(other)
        (snapshot,) = found.vms[lost.id].snapshots
        assert snapshot.name.startswith("Network_Down")
        assert snapshot.description.startswith(AUTOMATIC_MARK)
        assert cables.addresses[0] in snapshot.description
        assert found.vms[well.id].snapshots == ()
        other.close()
        assert peer.control()["CreateSnapshot_Task"] == 1
        assert state(watcher, keys[1]) is MonitorState.UP
    finally:
        watcher.stop()
        waiter.until(lambda: not watcher.alive(), "the watcher's threads to end", 15)


def shown(connection: Connection, vm_id: ObjectId) -> Vm:
    assert connection.inventory is not None
    return connection.inventory.vms[vm_id]


def state(watcher: Watcher, key: VmKey) -> MonitorState | None:
    status = watcher.status(key)
    return None if status is None else status.state
