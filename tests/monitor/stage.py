"""Stand-ins around the monitor: a server whose state the test decides, engines without packets, a journal in a file."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hvconsole.backends.base import SnapshotSearch, TaskContext
from hvconsole.clock import SystemClock
from hvconsole.errors import HvError, LocalError, Unreachable
from hvconsole.events import Hub, InventoryChanged
from hvconsole.jobs import Job, JobRunner
from hvconsole.model import Inventory, ObjectId, PowerState, ServerId, ServerInfo, Snapshot, Verb, Vm
from hvconsole.monitor import frames
from hvconsole.monitor.icmp import Ping, PingTarget, Sink
from hvconsole.monitor.status import VmKey
from hvconsole.outages import CaptureState, Outage

SERVER = ServerId("pool")
CLOCK = SystemClock()


def key(vm: str) -> VmKey:
    return VmKey(SERVER, ObjectId(vm))


class Waiter:
    """Waits for a condition without sleeping: whoever changes something calls ``changed``."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def changed(self, *_: object) -> None:
        with self._condition:
            self._condition.notify_all()

    def until(self, condition: Callable[[], object], what: str = "condition", limit_s: float = 10.0) -> None:
        end = CLOCK.monotonic() + limit_s
        with self._condition:
            while not condition():
                left = end - CLOCK.monotonic()
                assert left > 0, f"timed out waiting for {what}"
                # Some conditions (a process, a socket) have nobody who tells.
                self._condition.wait(min(left, 0.02))


class FakeHypervisor:
    """Takes snapshots in memory. ``trouble`` errors are raised by the next calls, one each."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.asked: list[tuple[str, str]] = []
        self.asked_at: dict[str, float] = {}
        self.looks = 0
        self.trouble: list[HvError] = []
        self.trouble_after: list[HvError] = []
        self.running: set[str] = set()
        self.hang = threading.Event()
        self.hang.set()
        self.deleted: list[ObjectId] = []
        self.delete_trouble: list[HvError] = []
        self.hang_deleting = threading.Event()
        self.hang_deleting.set()
        self.hang_looking = threading.Event()
        self.hang_looking.set()

    def find_snapshots(self, vm_id: ObjectId, name: str) -> SnapshotSearch:
        self.looks += 1
        self.server.waiter.changed()
        vm = self.server.vm(vm_id)
        found = tuple(s for s in vm.snapshots if s.name == name)
        self.hang_looking.wait(20)
        return SnapshotSearch(found=found, running=vm_id in self.running)

    def snapshot(self, vm_id: ObjectId, name: str, description: str, ctx: TaskContext) -> Snapshot:
        self.asked_at[vm_id] = CLOCK.monotonic()
        self.asked.append((vm_id, name))
        self.server.waiter.changed()
        if self.trouble:
            raise self.trouble.pop(0)
        self.hang.wait(20)
        ctx.raise_if_cancelled()
        snapshot = self.server.add_snapshot(vm_id, name, description)
        if self.trouble_after:
            raise self.trouble_after.pop(0)
        return snapshot

    def delete_snapshot(self, vm_id: ObjectId, snapshot_id: ObjectId) -> None:
        self.deleted.append(snapshot_id)
        self.server.waiter.changed()
        if self.delete_trouble:
            raise self.delete_trouble.pop(0)
        self.hang_deleting.wait(20)
        vm = self.server.vm(vm_id)
        self.server.change(vm_id, snapshots=tuple(s for s in vm.snapshots if s.id != snapshot_id))


class FakeServer:
    """``monitor.servers.Server`` with an inventory that the test edits and real job threads."""

    def __init__(self, hub: Hub, waiter: Waiter, vms: Iterable[Vm] = (), server_id: ServerId = SERVER) -> None:
        self.id = server_id
        self.name = "Test pool"
        self.connected = True
        self.endpoints: tuple[tuple[str, int], ...] = (("127.0.0.1", 443),)
        self.waiter = waiter
        self.hypervisor = FakeHypervisor(self)
        self.hub = hub
        self._lock = threading.Lock()
        self._jobs = JobRunner(server_id, "test", hub, CLOCK)
        self._asks = JobRunner(server_id, "test-ask", Hub(), CLOCK)
        info = ServerInfo(platform="xenserver", product="Test", version="1", address="", port=1, user="root")
        self.inventory: Inventory | None = Inventory(server=info, taken=CLOCK.now(), vms={vm.id: vm for vm in vms})

    def vm(self, vm_id: ObjectId) -> Vm:
        assert self.inventory is not None
        return self.inventory.vms[vm_id]

    def change(self, vm_id: ObjectId, **values: Any) -> None:
        self.change_quietly(vm_id, **values)
        self.hub.emit(InventoryChanged(self.id))
        self.waiter.changed()

    def change_quietly(self, vm_id: ObjectId, **values: Any) -> None:
        """A change that the server knows of and that nobody was told yet."""
        with self._lock:
            assert self.inventory is not None
            vm = dataclasses.replace(self.inventory.vms[vm_id], **values)
            self.inventory = dataclasses.replace(self.inventory, vms={**self.inventory.vms, vm_id: vm})

    def add(self, vm: Vm) -> None:
        with self._lock:
            assert self.inventory is not None
            self.inventory = dataclasses.replace(self.inventory, vms={**self.inventory.vms, vm.id: vm})
        self.hub.emit(InventoryChanged(self.id))

    def add_snapshot(self, vm_id: ObjectId, name: str, description: str) -> Snapshot:
        vm = self.vm(vm_id)
        snapshot = Snapshot(
            id=ObjectId(f"{vm_id}-s{len(vm.snapshots)}-{name}"), name=name, description=description, created=CLOCK.now()
        )
        self.change(vm_id, snapshots=(*vm.snapshots, snapshot))
        return snapshot

    def submit(
        self,
        verb: Verb,
        object_id: ObjectId,
        arguments: Mapping[str, Any] | None = None,
        by: str = "user",
        *,
        insist: bool = False,
    ) -> Job:
        given = dict(arguments or {})

        def work(ctx: TaskContext) -> object:
            if not self.connected:
                raise Unreachable("Not connected.")
            if verb is Verb.DELETE_SNAPSHOT:
                return self.hypervisor.delete_snapshot(object_id, given["snapshot"])
            return self.hypervisor.snapshot(object_id, given["name"], given["description"], ctx)

        return self._jobs.submit(str(verb), str(verb), "vm", object_id, work, by=by)

    def ask(self, work: Callable[[Any], Any], done: Callable[[Any], None], by: str = "user") -> None:
        assert by == "monitor"

        def finished(job: Job) -> None:
            done(job.view.error if job.view.error is not None else job.result)

        self._asks.submit("read", "Read", "", None, lambda _: work(self.hypervisor)).when_finished(finished)

    def open_jobs(self) -> tuple[Job, ...]:
        return self._jobs.open_jobs()

    def stop(self) -> None:
        self._jobs.stop()
        self._asks.stop()
        self.hypervisor.hang.set()
        self.hypervisor.hang_deleting.set()
        self.hypervisor.hang_looking.set()

    def alive(self) -> tuple[str, ...]:
        return self._jobs.alive() + self._asks.alive()


class FakeServers:
    def __init__(self, *servers: FakeServer) -> None:
        self.servers = {server.id: server for server in servers}

    def get(self, server_id: ServerId) -> FakeServer | None:
        return self.servers.get(server_id)

    def all(self) -> tuple[FakeServer, ...]:
        return tuple(self.servers.values())


class HandEngine:
    """An engine without packets: the test delivers the rounds by hand, by address."""

    def __init__(self, on_trouble: Callable[[LocalError | None], None], on_batch: Callable[[Sequence[Sink]], None]):
        self.trouble: LocalError | None = None
        self.lab_network = ("127.0.0.1", 9)
        self.on_trouble = on_trouble
        self.on_batch = on_batch
        self.pings: dict[int, Ping] = {}
        self._next = 1

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def alive(self) -> tuple[str, ...]:
        return ()

    def check(self) -> None:
        """Never hangs."""

    def open(self, target: PingTarget, sink: Sink) -> Ping:
        ping = Ping(self, self._next, target, sink)
        self.pings[self._next] = ping
        self._next += 1
        return ping

    def close_slot(self, slot: int) -> None:
        self.pings.pop(slot, None)

    def addresses(self) -> set[str]:
        return {ping.target.address for ping in tuple(self.pings.values())}

    def round(self, address: str, result: int, *, start: float | None = None, heard: float = 0.0) -> None:
        begun = CLOCK.monotonic() - 0.1 if start is None else start
        rtts = {
            frames.OK: (1.0, 1.2),
            frames.DEGRADED: (1.0, frames.LOST_RTT),
            frames.LOST: (frames.LOST_RTT,) * 2,
            frames.UNKNOWN: (frames.LOST_RTT,) * 2,
        }[result]
        sinks = []
        for slot, ping in tuple(self.pings.items()):
            if ping.target.address == address:
                ping.sink.deliver((slot, result, 0, 0, 0, begun, heard, *rtts, frames.NO_RTT, frames.NO_RTT))
                sinks.append(ping.sink)
        self.on_batch(sinks)


class FileJournal:
    """``outages.OutageJournal`` as lines in a file, on disk before ``record`` returns."""

    def __init__(self, path: Path, at_step: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self.full = False
        self.full_from: CaptureState | None = None
        self.unreadable = False
        self.records: list[Outage] = []
        self._lock = threading.Lock()
        self._at_step = at_step

    def record(self, outage: Outage) -> None:
        if self.full or outage.state is self.full_from:
            raise LocalError("The history can't be written: is the disk full?")
        values = dataclasses.asdict(outage)
        self._at_step(f"before {outage.state} {'closed' if outage.closed else 'open'}")
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, default=str) + "\n")
            file.flush()
            os.fsync(file.fileno())
            self.records.append(outage)
        self._at_step(f"after {outage.state} {'closed' if outage.closed else 'open'}")

    def open_outages(self) -> tuple[Outage, ...]:
        if self.unreadable:
            raise LocalError("The history can't be read.")
        found: dict[str, Outage] = {}
        with self._lock:
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        if text:
            for line in text.splitlines():
                values = json.loads(line)
                values["state"] = CaptureState(values["state"])
                for name in ("opened", "closed"):
                    values[name] = dt.datetime.fromisoformat(values[name]) if values[name] else None
                found[values["id"]] = Outage(**values)
        return tuple(outage for outage in found.values() if outage.closed is None)


def vm(name: str, address: str | None = None, **values: Any) -> Vm:
    given: dict[str, Any] = {"power": PowerState.RUNNING, "addresses": (address,) if address else (), **values}
    return Vm(id=ObjectId(name), uuid=name, name=name, **given)
