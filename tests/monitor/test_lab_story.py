"""The whole road in the lab: its XenServer over TLS, its virtual network, the real engine, the real journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hvconsole.backends.base import Secret
from hvconsole.connection import Connection, Connections
from hvconsole.events import ConnectionChanged, Happened, Hub, InventoryChanged
from hvconsole.history import History, OutageStore
from hvconsole.lab import Lab
from hvconsole.model import Certificate, Verb, Vm
from hvconsole.monitor import desk, station
from hvconsole.monitor.icmp import IcmpEngine
from hvconsole.monitor.servers import MemoryOfThisRun
from hvconsole.monitor.status import MonitorSettings, MonitorState, VmKey
from hvconsole.monitor.watcher import Watcher
from hvconsole.profiles import parse_url
from tests.monitor.stage import CLOCK, Waiter

PACE = MonitorSettings(interval_s=0.5, timeout_s=0.2)


class LabTrust:
    """Trusts what the lab says about itself."""

    def __init__(self, sha256: str) -> None:
        self._sha256 = sha256

    def pinned(self, host: str, port: int) -> Certificate | None:
        return Certificate(host=host, port=port, sha256=self._sha256)


class LabStage:
    """A console without a window, connected to the lab's pool."""

    def __init__(self, lab: Lab, hub: Hub, waiter: Waiter, folder: Path) -> None:
        self.lab, self.hub, self.waiter = lab, hub, waiter
        self.happened: list[Happened] = []
        hub.subscribe(Happened, self.happened.append)
        for kind in (InventoryChanged, ConnectionChanged):
            hub.subscribe(kind, waiter.changed)
        self.history = History(folder / "history.db", hub, CLOCK)
        self.history.start()
        server = next(s for s in lab.servers if s.platform == "xenserver")
        self.connections = Connections(LabTrust(server.sha256), hub, CLOCK)
        self.watcher = Watcher(
            self.connections, self._engine, OutageStore(self.history), MemoryOfThisRun(PACE), hub, CLOCK
        )
        self.watcher.start()
        self.connection: Connection = self.connections.add(parse_url(server.url), Secret(password=server.password))
        waiter.until(lambda: self.connection.connected and self.connection.inventory, "the connection")

    def _engine(self, on_trouble: Any, on_batch: Any) -> IcmpEngine:
        return IcmpEngine(CLOCK, lab_network=self.lab.network, on_trouble=on_trouble, on_batch=on_batch)

    def running(self, count: int) -> list[Vm]:
        inventory = self.connection.inventory
        assert inventory is not None
        found = [vm for vm in inventory.vms.values() if vm.power == "running" and vm.addresses and vm.kind == "vm"]
        return [vm for vm in found if self.lab.world.answers(vm.addresses[0])][:count]

    def watch(self, vms: list[Vm]) -> None:
        for vm in vms:
            self.watcher.tick(self.key(vm))
        self.until(lambda: all(self.state(vm) is MonitorState.UP for vm in vms), "all VMs to answer")

    def key(self, vm: Vm) -> VmKey:
        return VmKey(self.connection.id, vm.id)

    def state(self, vm: Vm) -> MonitorState:
        status = self.watcher.status(self.key(vm))
        return status.state if status is not None else MonitorState.OFF

    def taken(self, vm: Vm) -> list[str]:
        """Names of the automatic snapshots that the lab has of it."""
        return [s.name for s in self.lab.world.snapshots_of(vm.uuid) if s.name.startswith("Network_Down")]

    def until(self, condition: Any, what: str) -> None:
        self.waiter.until(condition, what, 15)

    def stop(self) -> None:
        self.watcher.stop()
        for connection in self.connections.all():
            connection.close()
        self.history.stop()
        self.until(
            lambda: (
                not (self.watcher.alive() or self.history.alive() or [c for c in self.connections.all() if c.alive()])
            ),
            "all threads to end",
        )


@pytest.fixture
def console(lab: Lab, hub: Hub, waiter: Waiter, tmp_path: Path) -> Iterator[LabStage]:
    stage = LabStage(lab, hub, waiter, tmp_path)
    yield stage
    stage.stop()


def test_a_pulled_cable_ends_in_a_snapshot_in_the_pool_and_in_the_tree(console: LabStage) -> None:
    web, *others = console.running(6)
    console.watch([web, *others])
    pulled = CLOCK.monotonic()
    console.lab.pull_cable(web.uuid)
    console.until(lambda: console.taken(web), "the snapshot in the lab")
    assert CLOCK.monotonic() - pulled < PACE.interval_s + PACE.timeout_s + 0.8
    console.until(lambda: "snapshot" in [h.what for h in console.happened], "the news of it")
    inventory = console.connection.inventory

    def in_tree() -> bool:
        inventory = console.connection.inventory
        return inventory is not None and any(s.automatic for s in inventory.vms[web.id].snapshots)

    console.until(in_tree, "the snapshot in the inventory")
    assert inventory is not None
    status = console.watcher.status(console.key(web))
    assert status is not None
    assert status.last_snapshot_name == console.taken(web)[0]
    console.lab.plug_cable(web.uuid)
    console.until(lambda: console.state(web) is MonitorState.UP, "it to be re-armed")
    assert all(not console.taken(vm) for vm in others)
    assert len(console.taken(web)) == 1


def test_no_snapshot_of_a_vm_that_somebody_halts(console: LabStage) -> None:
    web, other = console.running(2)
    console.watch([web, other])
    console.connection.submit(Verb.POWER_OFF, web.id)
    console.until(lambda: console.state(web) is MonitorState.PAUSED, "the pause")
    assert console.taken(web) == []


def test_no_snapshot_when_this_computer_is_offline(console: LabStage) -> None:
    vms = console.running(4)
    console.watch(vms)
    for _ in range(2):
        console.lab.set_station_online(False)
        console.until(lambda: all(console.state(vm) is MonitorState.PAUSED for vm in vms), "the pause")
        console.lab.set_station_online(True)
        console.until(lambda: all(console.state(vm) is MonitorState.UP for vm in vms), "all to be back")
    assert all(not console.taken(vm) for vm in vms)


def test_two_cables_at_once_are_two_outages_because_the_hosts_answer(
    monkeypatch: pytest.MonkeyPatch, console: LabStage
) -> None:
    """The only two ticked VMs fall together; but their hosts are heard, so it is not us."""
    monkeypatch.setattr(station, "WITNESS_INTERVAL_S", 0.5)
    monkeypatch.setattr(desk, "BEAT_S", 0.1)
    vms = console.running(2)
    console.watch(vms)
    witnesses = console.watcher._station._witnesses
    console.until(lambda: any(w.last_result == 0 for w in witnesses.values()), "a host to answer")
    for vm in vms:
        console.lab.pull_cable(vm.uuid)
    console.until(lambda: all(console.taken(vm) for vm in vms), "both snapshots")


def test_now_is_answered_through_the_lab(console: LabStage) -> None:
    (web,) = console.running(1)
    console.watch([web])
    answers: list[Any] = []
    console.watcher.test_now(console.key(web), lambda answer: (answers.append(answer), console.waiter.changed())[0])
    console.until(lambda: answers, "the answer")
    assert answers[0].result == "ok"
    assert len(answers[0].rtts_ms) == 2
