"""CPU, memory and false losses of the monitor, a thread per VM, against fping at the same pace in the same run.

    python benchmarks/monitor_cpu.py [--targets 100 1000 2000 10000] [--seconds 20]

Needs Linux, the right to open ICMP sockets, and fping (Debian package of that name; without it the ratio is left out).
Targets are 127.x.y.z, which all answer; two echo requests each every 5 s, starts spread over the interval. CPU is
on-CPU time of all threads (schedstat), engine and console together; memory is the resident set of both. The second
line of each size has a thread beside it in the console's process that parses without a pause.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hvconsole.clock import SystemClock
from hvconsole.events import Hub, Notice
from hvconsole.model import Inventory, ObjectId, PowerState, ServerId, ServerInfo, Vm
from hvconsole.monitor.icmp import IcmpEngine
from hvconsole.monitor.servers import MemoryOfThisRun
from hvconsole.monitor.status import VmKey
from hvconsole.monitor.watcher import Watcher
from hvconsole.outages import Outage

CLOCK = SystemClock()
SERVER = ServerId("benchmark")
WARM_UP_S = 12.0


def cpu_s(pid: int) -> float:
    """On-CPU seconds of all threads of a process."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def address(number: int) -> str:
    return f"127.{number // 62_500 + 1}.{number // 250 % 250 + 1}.{number % 250 + 1}"


class NoServer:
    """A server that is connected and has VMs, and is never asked for anything unless a loss is false."""

    def __init__(self, count: int) -> None:
        self.id = SERVER
        self.name = "benchmark"
        self.connected = True
        self.endpoints: tuple[tuple[str, int], ...] = ()
        self.asked = 0
        vms = {}
        for number in range(count):
            name = ObjectId(f"vm-{number}")
            vms[name] = Vm(id=name, uuid=name, name=name, power=PowerState.RUNNING, addresses=(address(number),))
        info = ServerInfo(platform="", product="", version="", address="", port=0, user="")
        self.inventory: Inventory | None = Inventory(server=info, taken=CLOCK.now(), vms=vms)

    def submit(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("looking comes first")

    def ask(self, work: Callable[..., Any], done: Callable[..., Any], by: str = "user") -> None:
        self.asked += 1


class OneServer:
    def __init__(self, server: NoServer) -> None:
        self._server = server

    def get(self, server_id: ServerId) -> NoServer | None:
        return self._server if server_id == SERVER else None

    def all(self) -> tuple[NoServer, ...]:
        return (self._server,)


class NoJournal:
    def record(self, outage: Outage) -> None:
        """Nothing is kept: a benchmark has no outages to survive."""

    def open_outages(self) -> tuple[Outage, ...]:
        return ()


def measure(count: int, seconds: float, busy: bool) -> dict[str, Any]:
    """One size, in this process."""
    hub = Hub()
    hub.subscribe(Notice, lambda notice: print(notice.text, file=sys.stderr) if notice.text else None)
    server = NoServer(count)
    engines: list[IcmpEngine] = []

    def engine(on_trouble: Any, on_batch: Any) -> IcmpEngine:
        engines.append(IcmpEngine(CLOCK, on_trouble=on_trouble, on_batch=on_batch))
        return engines[0]

    watcher = Watcher(OneServer(server), engine, NoJournal(), MemoryOfThisRun(), hub, CLOCK)
    watcher.start()
    for number in range(count):
        watcher.tick(VmKey(SERVER, ObjectId(f"vm-{number}")))
    pause = threading.Event()
    stop = threading.Event()

    def parse() -> None:
        text = json.dumps([{"number": n, "name": f"vm-{n}"} for n in range(2_000)])
        while not stop.is_set():
            json.loads(text)
            sum(n * n for n in range(20_000))

    parser = threading.Thread(target=parse, daemon=True)
    if busy:
        parser.start()
    pause.wait(WARM_UP_S + count / 250)
    child = engines[0].pid
    if child is None:
        raise SystemExit("the engine does not run")
    rounds_before, rounds_at = sum(s.rounds_total for s in watcher.statuses()), CLOCK.monotonic()
    before = (cpu_s(child), cpu_s(os.getpid()), CLOCK.monotonic())
    pause.wait(seconds)
    child_s, console_s = cpu_s(child) - before[0], cpu_s(os.getpid()) - before[1]
    lasted = CLOCK.monotonic() - before[2]
    statuses = watcher.statuses()
    results = Counter(str(one.result) for status in statuses for one in status.rounds)
    states = Counter(str(status.state) for status in statuses)
    found = {
        "targets": count,
        "busy": busy,
        "engine_cpu_pct": 100 * child_s / lasted,
        "console_cpu_pct": None if busy else 100 * console_s / lasted,
        "engine_mb": rss_mb(child),
        "console_mb": rss_mb(os.getpid()),
        "threads": threading.active_count(),
        "rounds_per_s": (sum(s.rounds_total for s in statuses) - rounds_before) / (CLOCK.monotonic() - rounds_at),
        "results": dict(results),
        "states": dict(states),
        "snapshots_asked": server.asked,
    }
    stop.set()
    watcher.stop()
    return found


def fping(count: int, seconds: float) -> float | None:
    """fping's CPU in per cent for the same number of requests per second, evenly spread."""
    program = shutil.which("fping")
    if program is None:
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as targets:
        targets.write("".join(f"{address(number)}\n" for number in range(count)))
        targets.flush()
        pace = ["-p", "2500", "-i", f"{2500 / count:.4f}", "-t", "1000"]
        process = subprocess.Popen(
            [program, "-l", "-q", *pace, "-f", targets.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        pause = threading.Event()
        pause.wait(WARM_UP_S / 2)
        before, begun = cpu_s(process.pid), CLOCK.monotonic()
        pause.wait(seconds)
        used = 100 * (cpu_s(process.pid) - before) / (CLOCK.monotonic() - begun)
        process.terminate()
        process.wait()
    return used


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, nargs="+", default=[100, 1000, 2000, 10_000])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--one", choices=("quiet", "busy"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.targets[0], options.seconds, options.one == "busy")))
        return 0
    print("targets  engine  console   sum    fping  ratio   memory (engine+console)  rounds/s  results")
    for count in options.targets:
        theirs = fping(count, options.seconds)
        for kind in ("quiet", "busy"):
            command = [sys.executable, __file__, "--one", kind, "--targets", str(count)]
            outcome = subprocess.run(
                [*command, "--seconds", str(options.seconds)], stdout=subprocess.PIPE, text=True, check=True
            )
            one = json.loads(outcome.stdout)
            console = one["console_cpu_pct"]
            ours = one["engine_cpu_pct"] + (console or 0)
            ratio = f"{ours / theirs:5.2f}" if theirs else "    –"
            shown = f"{console:6.2f} %" if console is not None else "  busy  "
            print(
                f"{count:7d} {one['engine_cpu_pct']:6.2f} % {shown} {ours:6.2f} % "
                f"{theirs or 0:6.2f} % {ratio}   {one['engine_mb']:5.0f} + {one['console_mb']:3.0f} MB"
                f"             {one['rounds_per_s']:7.1f}  {one['results']} {one['states']}"
                f" asked: {one['snapshots_asked']}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
