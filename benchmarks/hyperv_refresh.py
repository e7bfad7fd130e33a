"""What watching a Hyper-V host costs: requests and client CPU of a full refresh of 500 VMs, the delay until a state
change is seen, and the time from a verdict to the checkpoint request.

    python benchmarks/hyperv_refresh.py [--vms 500]

The lab runs in a process of its own, so that only the client's CPU is counted. Bounds: at most 6 requests and 0.5 s of
CPU per refresh; a change seen within 2 s; a checkpoint request out within 50 ms.

A full refresh is names, states, memory, processors, uptime, guest systems, integration services, addresses and the tree
of checkpoints of every VM. Disks, cards, switches and volumes are read right afterwards, and counted apart: as rows
they alone fill more than three envelopes of the size that Windows allows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from hvconsole.backends.base import Secret, Target, TaskContext
from hvconsole.backends.hyperv import HypervHost, open_hyperv
from hvconsole.backends.wsman import WsmanClient
from hvconsole.backends.wsman_envelope import Request
from hvconsole.clock import SystemClock
from hvconsole.model import Certificate, PowerState

REFRESHES = 10


@dataclass(frozen=True)
class Accept:
    """Trusts the one certificate of the lab."""

    sha256: str

    def pinned(self, host: str, port: int) -> Certificate:
        return Certificate(host=host, port=port, sha256=self.sha256)


def serve(vms: int) -> None:
    """The lab, until standard input closes."""
    from hvconsole.lab import Lab
    from hvconsole.lab.hyperv import build_scaled
    from hvconsole.lab.world import World

    world = World()
    build_scaled(world, vms)
    world.seal()
    with Lab(world) as lab:
        description = lab.servers[0].as_dict()
        server = lab.site_servers[0]
        print(json.dumps({**description, "http": server.port("http")}), flush=True)  # type: ignore[attr-defined]
        sys.stdin.read()


def log_in(lab: dict[str, str], scheme: str) -> HypervHost:
    port = int(lab["http"]) if scheme == "http" else int(lab["url"].rpartition(":")[2])
    target = Target(platform="hyperv", addresses=(("127.0.0.1", port),), user=lab["user"], options={"scheme": scheme})
    return open_hyperv(target, Secret(password=lab["password"]), Accept(lab["sha256"]), SystemClock())


def measure(lab: dict[str, str], scheme: str) -> bool:
    hv = log_in(lab, scheme)
    try:
        begun, cpu, asked = time.monotonic(), time.process_time(), hv.requests
        first = hv.watch(60)
        assert first is not None
        print(
            f"{scheme}: first inventory of {len(first.vms)} VMs: {hv.requests - asked} requests, "
            f"{time.process_time() - cpu:.3f} s CPU, {time.monotonic() - begun:.3f} s"
        )
        print(f"{scheme}: then disks, cards, switches, volumes: {finish(hv)} requests")
        requests, cpus, later = [], [], []
        for _ in range(REFRESHES):
            hv.refresh()
            asked, cpu = hv.requests, time.process_time()
            shown = hv.watch(60)
            assert shown is not None
            assert all(vm.vcpus for vm in shown.vms.values())
            requests.append(hv.requests - asked)
            cpus.append(time.process_time() - cpu)
            later.append(finish(hv))
        print(
            f"{scheme}: full refresh: {max(requests)} requests (bound 6), "
            f"{sorted(cpus)[len(cpus) // 2]:.3f} s CPU median, {max(cpus):.3f} s worst (bound 0.5); "
            f"slow parts afterwards: {max(later)} requests"
        )
        seen = change_seen(lab, hv, scheme)
        print(f"{scheme}: state change seen {seen:.3f} s after the action (bound 2)")
        sent = checkpoint_sent(hv)
        print(f"{scheme}: checkpoint request left after {sent * 1000:.1f} ms (bound 50)")
        return max(requests) <= 6 and max(cpus) < 0.5 and seen <= 2 and sent < 0.05
    finally:
        hv.close()


def finish(hv: HypervHost) -> int:
    """Let the deferred parts be read; how many requests they took."""
    asked = hv.requests
    while hv.watch(0.1) is not None:
        pass
    return hv.requests - asked


def change_seen(lab: dict[str, str], hv: HypervHost, scheme: str) -> float:
    """Seconds from the end of an action of another client until this one's watch shows it."""
    other = log_in(lab, scheme)
    try:
        known = other.watch(60)
        assert known is not None
        halted = next(vm for vm in known.vms.values() if vm.power is PowerState.HALTED)
        done: list[float] = []

        def act() -> None:
            other.start(halted.id, TaskContext())
            done.append(time.monotonic())

        thread = threading.Thread(target=act)
        thread.start()
        while True:
            shown = hv.watch(10)
            if shown is not None and shown.vms[halted.id].power is PowerState.RUNNING:
                break
        now = time.monotonic()
        thread.join()
        return max(0.0, now - done[0])
    finally:
        other.close()


def checkpoint_sent(hv: HypervHost) -> float:
    """Seconds from the call until CreateSnapshot is handed to the transport, while the host is being watched."""
    inventory = hv.watch(30)
    while inventory is None:
        hv.refresh()
        inventory = hv.watch(30)
    vm = next(vm for vm in inventory.vms.values() if vm.power is PowerState.RUNNING)
    sent: list[float] = []
    original = WsmanClient._write

    def spy(self: WsmanClient, request: Request, doing: str) -> object:
        if doing == "CreateSnapshot":
            sent.append(time.monotonic())
        return original(self, request, doing)

    WsmanClient._write = spy  # type: ignore[method-assign, assignment]
    try:
        begun = time.monotonic()
        hv.snapshot(vm.id, "benchmark", "", TaskContext())
    finally:
        WsmanClient._write = original  # type: ignore[method-assign]
    return sent[0] - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vms", type=int, default=500)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.vms)
        return 0
    command = [sys.executable, __file__, "--serve", "--vms", str(options.vms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        lab = json.loads(process.stdout.readline())
        try:
            results = [measure(lab, scheme) for scheme in ("https", "http")]
        finally:
            process.stdin.close()
    print("within bounds" if all(results) else "OUT OF BOUNDS")
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
