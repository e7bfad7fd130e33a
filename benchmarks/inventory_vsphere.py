"""Full vSphere inventory against bare pyVmomi, side by side on the same server; one change among many; verbs meanwhile.

    python benchmarks/inventory_vsphere.py [VMS] [lab|vcsim]

A server in a process of its own holds VMS (10,000) VMs: the lab's vCenter, or VMware's own simulator. Each measurement
runs in a fresh process, so that memory can be compared. hvconsole reads the tree's properties of everything (hosts,
folders, networks… too) and builds an Inventory; bare pyVmomi asks for the same properties of the VMs in one
RetrievePropertiesEx and does nothing with them. Bounds: within 1.2 × and 100 MiB of bare pyVmomi, one change among 500
VMs under 10 ms of CPU, verbs usable while everything is read again.
"""

from __future__ import annotations

import contextlib
import json
import resource
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Hypervisor, Secret, Target, TaskContext
from hvconsole.backends.vsphere_records import READERS
from hvconsole.clock import SystemClock
from hvconsole.model import PowerState
from hvconsole.trust import FixedPins, PinStore

ROUNDS = 3
CHANGES = 30
CHANGES_AMONG = 500
LAB = """
import json, sys
from hvconsole.lab.identity import make_identity
from hvconsole.lab.vsphere import VsphereSite, build_scaled
from hvconsole.lab.world import World
world = World()
site = build_scaled(world, int(sys.argv[1]))
identity = make_identity()
server = VsphereSite(world, site, identity)
server.start()
print(json.dumps({"port": site.extra["port"], "user": site.user, "password": site.password, "sha256": identity.sha256}),
      flush=True)
sys.stdin.read()
world.close()
server.stop()
"""

Server = dict[str, Any]


@contextlib.contextmanager
def served(kind: str, vms: int) -> Iterator[Server]:
    """A server with that many VMs, in a process of its own."""
    if kind == "vcsim":
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from tests.peers.vcsim import Vcsim

        with Vcsim("vpx", standalone=0, vm=vms) as peer:
            yield {"port": peer.port, "user": peer.user, "password": peer.password, "sha256": peer.sha256}
        return
    process: Any = subprocess.Popen(
        [sys.executable, "-c", LAB, str(vms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(30)


def log_in(server: Server) -> Hypervisor:
    """hvconsole's own session."""
    address = ("127.0.0.1", int(server["port"]))
    target = Target(platform="vsphere", addresses=(address,), user=server["user"])
    pins = FixedPins({address: server["sha256"]}, PinStore())
    return open_hypervisor(target, Secret(password=server["password"]), pins, SystemClock())


def rss_mib() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(server: Server) -> dict[str, float]:
    """From the first watch to the Inventory."""
    hv = log_in(server)
    before, start = rss_mib(), time.perf_counter()
    inventory = hv.watch(120)
    result = {"seconds": time.perf_counter() - start, "mib": rss_mib() - before}
    assert inventory is not None
    assert inventory.vms
    hv.close()
    return result


def bare(server: Server) -> dict[str, float]:
    """The same properties of the VMs by pyVmomi alone."""
    from pyVmomi import SoapStubAdapter, vim, vmodl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    stub = SoapStubAdapter(
        host="127.0.0.1", port=int(server["port"]), version="vim.version.version11", sslContext=context
    )
    content = vim.ServiceInstance("ServiceInstance", stub).RetrieveContent()
    content.sessionManager.Login(server["user"], server["password"], None)
    query: Any = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
    step = query.TraversalSpec(name="view", type=vim.view.ContainerView, path="view", skip=False)
    spec = query.FilterSpec(
        objectSet=[query.ObjectSpec(obj=view, skip=True, selectSet=[step])],
        propSet=[query.PropertySpec(type=vim.VirtualMachine, pathSet=list(READERS["VirtualMachine"]), all=False)],
    )
    before, start = rss_mib(), time.perf_counter()
    answer = content.propertyCollector.RetrievePropertiesEx([spec], query.RetrieveOptions(maxObjects=1_000_000))
    result = {"seconds": time.perf_counter() - start, "mib": rss_mib() - before}
    assert answer.objects
    assert not answer.token
    stub.DropConnections()
    return result


def apart(what: str, server: Server) -> dict[str, float]:
    """One measurement in a fresh process."""
    command = [sys.executable, __file__, "--measure", what, json.dumps(server)]
    measured: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return measured


def compared(server: Server) -> tuple[dict[str, float], dict[str, float]]:
    """The best rounds of bare pyVmomi and of hvconsole, taken in turn."""
    rounds = [(apart("bare", server), apart("ours", server)) for _ in range(ROUNDS)]
    return (
        min((one for one, _ in rounds), key=lambda measured: measured["seconds"]),
        min((one for _, one in rounds), key=lambda measured: measured["seconds"]),
    )


def changes(server: Server) -> tuple[float, float]:
    """Median and worst CPU milliseconds of one change, from the wait for it to the new Inventory."""
    hv, other = log_in(server), log_in(server)
    inventory = hv.watch(60)
    assert inventory is not None
    while not all(vm.disks for vm in inventory.vms.values()):
        inventory = hv.watch(1) or inventory  # large servers: the hardware follows the tree in batches
    spent = []
    for vm in list(inventory.vms.values())[:CHANGES]:
        other.rename(vm.id, f"{vm.name} renamed", TaskContext())
        start = time.thread_time()
        after = None
        while after is None or not after.vms[vm.id].name.endswith("renamed"):
            after = hv.watch(10) or after
        spent.append((time.thread_time() - start) * 1000)
    other.close()
    hv.close()
    spent.sort()
    return spent[len(spent) // 2], spent[-1]


def verbs_meanwhile(server: Server) -> tuple[int, float, float]:
    """While everything is read again: how many verbs were done, the slowest of them, and how long the reading took."""
    hv = log_in(server)
    inventory = hv.watch(120)
    assert inventory is not None
    off = [vm.id for vm in inventory.vms.values() if vm.power is PowerState.HALTED][:200] or list(inventory.vms)[:200]
    reading = threading.Event()
    took = [0.0]

    def read() -> None:
        start = time.perf_counter()
        hv.watch(120)
        took[0] = time.perf_counter() - start
        reading.set()

    hv.refresh()
    thread = threading.Thread(target=read)
    thread.start()
    done, slowest = 0, 0.0
    while not reading.is_set() and done < len(off):
        start = time.perf_counter()
        hv.snapshot(off[done], "meanwhile", "", TaskContext())
        slowest = max(slowest, time.perf_counter() - start)
        done += 1
    thread.join()
    hv.close()
    return done, slowest, took[0]


def main() -> int:
    """Run everything; exit code 1 if a bound is missed."""
    if sys.argv[1:2] == ["--measure"]:
        measure = ours if sys.argv[2] == "ours" else bare
        print(json.dumps(measure(json.loads(sys.argv[3]))))
        return 0
    vms = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    kind = sys.argv[2] if len(sys.argv) > 2 else "lab"
    with served(kind, vms) as server:
        bare_one, our_one = compared(server)
        done, slowest, took = verbs_meanwhile(server)
    with served(kind, min(vms, CHANGES_AMONG)) as server:
        median, worst = changes(server)
    ratio, more = our_one["seconds"] / bare_one["seconds"], our_one["mib"] - bare_one["mib"]
    print(f"inventory of {vms} VMs from {kind}")
    print(f"  bare pyVmomi {bare_one['seconds']:7.2f} s  {bare_one['mib']:6.0f} MiB")
    print(f"  hvconsole    {our_one['seconds']:7.2f} s  {our_one['mib']:6.0f} MiB   {ratio:.2f} ×, {more:+.0f} MiB")
    print(f"one change among {min(vms, CHANGES_AMONG)}: {median:.1f} ms CPU median, {worst:.1f} ms worst")
    print(f"while everything was read again ({took:.1f} s): {done} snapshots, the slowest took {slowest:.2f} s")
    return 0 if ratio <= 1.2 and more < 100 and median < 10 and done else 1


if __name__ == "__main__":
    raise SystemExit(main())
