"""The beat of the window while 50 servers send changes and 10 others hang: how late is an `after(10)`?

    python benchmarks/ui_beat.py [--servers 50] [--hanging 10] [--vms 100] [--seconds 15]

Prints median, p99 and worst delay beside the bounds of the design: p99 < 100 ms, never > 250 ms. Needs a screen.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from ui_tree import big_inventory

from hvconsole.app import Console
from hvconsole.backends.base import Capability, Hypervisor, Secret, Target, TaskContext, Trust
from hvconsole.clock import Clock
from hvconsole.connection import Connections
from hvconsole.errors import SessionLost
from hvconsole.model import HostDetails, Inventory, ObjectId, PowerState, ServerId, ServerInfo, VmDetails
from hvconsole.profiles import ServerProfile
from hvconsole.ui.window import open_window


class BusyServer(Hypervisor):
    """Changes a VM several times a second, or answers nothing at all."""

    def __init__(self, number: int, vms: int, hangs: bool) -> None:
        self._random = random.Random(number)
        self._inventory = big_inventory(vms, 4)
        self._first = True
        self._hangs = hangs
        self._closed = threading.Event()

    @property
    def info(self) -> ServerInfo:
        return self._inventory.server

    @property
    def capabilities(self) -> Capability:
        return Capability.SNAPSHOT

    def watch(self, timeout_s: float) -> Inventory | None:
        if self._hangs and not self._first:
            self._closed.wait()
        if self._closed.wait(0 if self._first else self._random.uniform(0.05, 0.3)):
            raise SessionLost("closed")
        if not self._first:
            vms = dict(self._inventory.vms)
            for key in self._random.sample(list(vms), 3):
                power = self._random.choice((PowerState.RUNNING, PowerState.HALTED, PowerState.SUSPENDED))
                vms[key] = dataclasses.replace(vms[key], power=power)
            self._inventory = dataclasses.replace(self._inventory, vms=vms)
        self._first = False
        return self._inventory

    def refresh(self) -> None: ...

    def close(self) -> None:
        self._closed.set()

    def details(self, vm_id: ObjectId) -> VmDetails:
        return VmDetails(vm_id=vm_id)

    def host_info(self, host_id: ObjectId) -> HostDetails:
        return HostDetails(host_id=host_id)

    def start(self, vm_id: ObjectId, ctx: TaskContext, *, host_id: ObjectId | None = None) -> None: ...

    def shutdown(self, vm_id: ObjectId, ctx: TaskContext) -> None: ...

    def power_off(self, vm_id: ObjectId, ctx: TaskContext) -> None: ...

    def reboot(self, vm_id: ObjectId, ctx: TaskContext) -> None: ...

    def reset(self, vm_id: ObjectId, ctx: TaskContext) -> None: ...

    def delete_vm(
        self, vm_id: ObjectId, ctx: TaskContext, *, keep_disks: frozenset[ObjectId] = frozenset()
    ) -> None: ...

    def rename(self, vm_id: ObjectId, name: str, ctx: TaskContext, *, description: str | None = None) -> None: ...


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=50)
    parser.add_argument("--hanging", type=int, default=10)
    parser.add_argument("--vms", type=int, default=100, help="per server")
    parser.add_argument("--seconds", type=float, default=15.0)
    options = parser.parse_args()
    total = options.servers + options.hanging
    made = iter(range(total))

    def opener(target: Target, secret: Secret, trust: Trust, clock: Clock) -> Hypervisor:
        number = int(target.user)
        return BusyServer(number, options.vms, hangs=number >= options.servers)

    with tempfile.TemporaryDirectory(prefix="hvconsole-beat-") as folder:
        console = Console(home=Path(folder))
        console.connections = Connections(console.pins, console.hub, console.clock, opener=opener)
        window = open_window(console.services())
        for number in made:
            name = f"server {number:02}"
            profile = ServerProfile(
                id=ServerId(name), name=name, platform="xenserver", addresses=(("x", 443),), user=str(number)
            )
            console.connections.add(profile, Secret(password=""))
        delays: list[float] = []
        due = 0.0
        end = time.perf_counter() + options.seconds + 3

        def beat() -> None:
            nonlocal due
            now = time.perf_counter()
            if due and now > end - options.seconds:
                delays.append((now - due) * 1000)
            if now > end:
                window.root.quit()
                return
            due = now + 0.010
            window.root.after(10, beat)

        beat()
        window.main_loop()
        delays.sort()
        p99 = delays[int(len(delays) * 0.99)]
        print(f"{options.servers} working, {options.hanging} hanging servers, {total * options.vms} VMs")
        print(f"{len(delays)} beats, late by: median {statistics.median(delays):.1f} ms, p99 {p99:.1f} ms (bound 100)")
        print(f"worst {delays[-1]:.1f} ms (bound 250)")
        console.connections.close()
        window.destroy()


if __name__ == "__main__":
    main()
