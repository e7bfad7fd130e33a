"""Pulls real (virtual) cables at the real pace and measures how long it takes until the snapshot is asked for.

    python benchmarks/monitor_cut.py [--cuts 20] [--others 200] [--interval 5] [--timeout 1] [--idle]

Needs Linux, root and the ip command. Every guest that is cut has a veth cable of its own in network namespaces; the
others share one. All CPUs are kept busy by other processes unless ``--idle``. Passes if every request comes within
interval + timeout + 0.2 s of the cut and nobody else was ever missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from hvconsole.events import Happened, Hub, MonitorChanged
from hvconsole.history import History, OutageStore
from hvconsole.model import ObjectId
from hvconsole.monitor.icmp import IcmpEngine
from hvconsole.monitor.servers import MemoryOfThisRun
from hvconsole.monitor.status import DEFAULT, MonitorSettings, MonitorState, RoundResult
from hvconsole.monitor.watcher import Watcher
from tests.monitor.netns import Cables, why_not
from tests.monitor.stage import CLOCK, FakeServer, FakeServers, Waiter, key, vm


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--others", type=int, default=200)
    parser.add_argument("--interval", type=float, default=DEFAULT.interval_s)
    parser.add_argument("--timeout", type=float, default=DEFAULT.timeout_s)
    parser.add_argument("--idle", action="store_true", help="leave the CPUs alone")
    options = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"cannot be measured here: {reason}", file=sys.stderr)
        return 2
    busy: list[subprocess.Popen[bytes]] = []
    if not options.idle:
        spin = [sys.executable, "-S", "-c", "while True: pass"]
        busy = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]
    cables = Cables(options.cuts, options.others)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return run(cables, MonitorSettings(interval_s=options.interval, timeout_s=options.timeout), Path(folder))
    finally:
        cables.close()
        for process in busy:
            process.kill()
            process.wait()


def run(cables: Cables, pace: MonitorSettings, folder: Path) -> int:
    hub, waiter = Hub(), Waiter()
    for kind in (Happened, MonitorChanged):
        hub.subscribe(kind, waiter.changed)
    vms = {f"cut{n}": address for n, address in enumerate(cables.addresses)}
    vms |= {f"other{n}": address for n, address in enumerate(cables.crowd)}
    server = FakeServer(hub, waiter, [vm(name, address) for name, address in vms.items()])
    history = History(folder / "history.db", hub, CLOCK)
    history.start()

    def engine(on_trouble: Callable[..., None], on_batch: Callable[..., None]) -> IcmpEngine:
        return IcmpEngine(CLOCK, on_trouble=on_trouble, on_batch=on_batch, command=cables.engine_command())

    watcher = Watcher(FakeServers(server), engine, OutageStore(history), MemoryOfThisRun(pace), hub, CLOCK)
    watcher.start()
    up: set[str] = set()

    def note(event: Any) -> None:
        status = watcher.status(key(event.vm_id)) if event.vm_id not in up else None
        if status is not None and status.state is MonitorState.UP:
            up.add(event.vm_id)

    hub.subscribe(MonitorChanged, note)
    for name in vms:
        watcher.tick(key(name))
    patience_s = 3 * pace.interval_s + 20
    waiter.until(lambda: up == set(vms), "all to answer", patience_s)
    bound_s = pace.interval_s + pace.timeout_s + 0.2
    asked = server.hypervisor.asked_at
    delays = []
    for number in range(len(cables.addresses)):
        cut_at = CLOCK.monotonic()
        cables.cut(number)
        waiter.until(lambda n=number: ObjectId(f"cut{n}") in asked, "the request", patience_s)  # type: ignore[misc]
        delays.append(asked[f"cut{number}"] - cut_at)
        print(f"cut {number + 1:2d}: asked after {delays[-1]:.3f} s", flush=True)
    others = [status for status in watcher.statuses() if status.vm_name.startswith("other")]
    results = Counter(str(one.result) for status in others for one in status.rounds)
    untouched = all(status.state is MonitorState.UP for status in others) and not results[RoundResult.LOST]
    late = sum(delay > bound_s for delay in delays)
    print(
        f"bound {bound_s:.2f} s; longest {max(delays):.3f} s, late {late} of {len(delays)}; "
        f"others: {dict(results)}, {'untouched' if untouched else 'TOUCHED'}; requests: {len(server.hypervisor.asked)}"
    )
    watcher.stop()
    server.stop()
    history.close()
    return 0 if not late and untouched and len(server.hypervisor.asked) == len(delays) else 1


if __name__ == "__main__":
    sys.exit(main())
