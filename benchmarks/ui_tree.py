"""The inventory tree with 10,000 VMs: first draw, filter per key, one change. Needs a screen (or Xvfb: see --help).

    python benchmarks/ui_tree.py [--vms 10000] [--hosts 64]

Prints the measured milliseconds beside the bounds of the design: first draw < 1000, filter < 50, one change < 10.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import time
import tkinter as tk
from collections.abc import Callable
from dataclasses import dataclass, replace

from hvconsole.backends.base import Capability
from hvconsole.events import ConnectionState
from hvconsole.model import (
    Host,
    Inventory,
    Nic,
    ObjectId,
    Pool,
    PowerState,
    ServerId,
    ServerInfo,
    Snapshot,
    Vm,
)
from hvconsole.monitor.status import MonitorStatus
from hvconsole.ui.filters import Filter
from hvconsole.ui.interfaces import Item, Selection
from hvconsole.ui.theme import Theme
from hvconsole.ui.tree import InventoryTree

NOW = dt.datetime(2026, 11, 22, 10, 0, tzinfo=dt.UTC)


@dataclass
class _Profile:
    platform: str = "xenserver"


class _Connection:
    """A connection that only has an inventory."""

    def __init__(self, server_id: str, inventory: Inventory) -> None:
        self.id = ServerId(server_id)
        self.name = "Big pool"
        self.profile = _Profile()
        self.state = ConnectionState.CONNECTED
        self.connected = True
        self.inventory: Inventory | None = inventory
        self.inventory_age_s: float | None = 0.0
        self.capabilities = Capability.NONE


class _Connections:
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[_Connection, ...]:
        return (self._connection,)

    def get(self, server_id: ServerId) -> _Connection | None:
        return self._connection if server_id == self._connection.id else None


class _Owner:
    def is_monitored(self, server_id: ServerId, vm_id: ObjectId) -> bool:
        return vm_id.endswith("7")

    def monitor_status(self, server_id: ServerId, vm_id: ObjectId) -> MonitorStatus | None:
        return None

    def tree_selected(self, selection: Selection) -> None: ...

    def tree_ticked(self, items: tuple[Item, ...], monitored: bool) -> None: ...

    def tree_popup(self, selection: Selection, x_root: int, y_root: int) -> None: ...

    def tree_activated(self, item: Item) -> None: ...


def big_inventory(vms: int, hosts: int) -> Inventory:
    """One pool with that many VMs, spread over the hosts, every tenth with a snapshot."""
    powers = (PowerState.RUNNING, PowerState.RUNNING, PowerState.RUNNING, PowerState.HALTED, PowerState.SUSPENDED)
    pool = Pool(id=ObjectId("p"), uuid="p", name="Big pool")
    made_hosts = {
        ObjectId(f"h{n}"): Host(id=ObjectId(f"h{n}"), uuid=f"h{n}", name=f"node-{n:03}", pool_id=pool.id, live=True)
        for n in range(hosts)
    }
    made = {}
    for n in range(vms):
        vm_id = ObjectId(f"v{n}")
        snapshots = (Snapshot(id=ObjectId(f"s{n}"), name="before-upgrade", created=NOW),) if n % 10 == 0 else ()
        made[vm_id] = Vm(
            id=vm_id,
            uuid=f"00000000-0000-4000-8000-{n:012}",
            name=f"{('web', 'db', 'mail', 'build', 'cache')[n % 5]}-{n:05}",
            description=f"machine number {n}",
            power=powers[n % len(powers)],
            home_id=ObjectId(f"h{n % hosts}"),
            pool_id=pool.id,
            addresses=(f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",),
            nics=(
                Nic(
                    id=ObjectId(f"n{n}"),
                    device="0",
                    mac=f"9a:00:00:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}",
                ),
            ),
            snapshots=snapshots,
        )
    info = ServerInfo(platform="xenserver", product="XenServer", version="8", address="x", port=443, user="root")
    return Inventory(server=info, taken=NOW, pools={pool.id: pool}, hosts=made_hosts, vms=made)


def timed(root: tk.Tk, work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of the work itself, and until the screen shows it."""
    begin = time.perf_counter()
    work()
    middle = time.perf_counter()
    root.update()
    return (middle - begin) * 1000, (time.perf_counter() - begin) * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=64)
    options = parser.parse_args()
    root = tk.Tk()
    root.geometry("500x800+0+0")
    theme = Theme(root)
    inventory = big_inventory(options.vms, options.hosts)
    connection = _Connection("big", inventory)
    tree = InventoryTree(root, theme, _Connections(connection), _Owner())  # type: ignore[arg-type]
    tree.widget.pack(fill="both", expand=True)
    root.update()

    def report(what: str, times: list[tuple[float, float]], bound: float) -> None:
        work = statistics.median(t[0] for t in times)
        shown = statistics.median(t[1] for t in times)
        worst = max(t[1] for t in times)
        print(
            f"{what:<34} work {work:7.1f} ms   on screen {shown:7.1f} ms   worst {worst:7.1f} ms   bound {bound:g} ms"
        )

    report(f"first draw, {options.vms} VMs", [timed(root, tree.refresh_servers)], 1000)

    def open_everything() -> None:
        for host in inventory.hosts.values():
            for item in [i for i in tree.rows.forest.nodes if i.id == host.id]:
                tree.open(item)

    report("open all hosts", [timed(root, open_everything)], 1000)
    keys = ["w", "we", "web", "web-0", "web-01", "web-012", "", "10.0.1", "", "machine number 99", ""]
    filtered = [timed(root, lambda k=key: tree.set_filter(Filter(k))) for key in keys]  # type: ignore[misc]
    report("filter, per key", filtered, 50)
    print("   ", "  ".join(f"{key!r}: {shown:.0f}" for key, (_, shown) in zip(keys, filtered, strict=True)))

    def change(number: int) -> Callable[[], None]:
        def apply() -> None:
            current = connection.inventory
            assert current is not None
            vm = current.vms[ObjectId(f"v{number}")]
            power = PowerState.HALTED if vm.power is PowerState.RUNNING else PowerState.RUNNING
            connection.inventory = replace(current, vms={**current.vms, vm.id: replace(vm, power=power)})
            tree.refresh(connection.id)

        return apply

    report("one VM changed", [timed(root, change(n)) for n in range(0, 4000, 200)], 10)
    connection.state, connection.connected = ConnectionState.RECONNECTING, False
    report("server goes away (first turn)", [timed(root, lambda: tree.restyle_server(connection.id))], 100)
    tree.destroy()
    root.destroy()


if __name__ == "__main__":
    main()
