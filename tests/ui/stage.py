"""A small pool that answers from memory, and a shell around one window, for tests of pages and dialogs."""

from __future__ import annotations

import datetime as dt
import io
import threading
import tkinter as tk
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from hvconsole.backends.base import (
    Capability,
    CreationChoices,
    Hypervisor,
    Secret,
    SnapshotSearch,
    Target,
    TaskContext,
    Trust,
)
from hvconsole.clock import Clock, SystemClock
from hvconsole.connection import Connections
from hvconsole.credentials import Credentials
from hvconsole.errors import SessionLost
from hvconsole.events import Hub
from hvconsole.history_rows import HistoryRow
from hvconsole.model import (
    AUTOMATIC_MARK,
    ConsoleAddress,
    Disk,
    Host,
    HostDetails,
    HostNic,
    Inventory,
    Metrics,
    Network,
    NetworkLink,
    NetworkMap,
    Nic,
    ObjectId,
    Pool,
    PowerState,
    Series,
    ServerEvent,
    ServerId,
    ServerInfo,
    Snapshot,
    Storage,
    ToolsState,
    Verb,
    Vm,
    VmDetails,
    VmKind,
)
from hvconsole.monitor.status import MonitorSettings, MonitorState, MonitorStatus, Round, RoundResult, VmKey
from hvconsole.outages import CaptureState, Outage
from hvconsole.profiles import ServerProfile
from hvconsole.settings import SettingsStore
from hvconsole.trust import PinStore
from hvconsole.ui.interfaces import AppServices, Item, ItemKind, Selection, Subject
from hvconsole.ui.theme import Theme

SERVER = ServerId("s1")
NOW = dt.datetime(2026, 11, 22, 10, 41, tzinfo=dt.UTC)
HOSTILE = "evil ‮ {x} $y [exec rm] \\ \x07 ünïcode " + "long" * 30
GIB = 1024**3


def oid(text: str) -> ObjectId:
    return ObjectId(text)


def snapshot(sid: str, name: str, days: int, parent: str | None = None, *, auto: bool = False) -> Snapshot:
    return Snapshot(
        id=oid(sid),
        name=name,
        description=f"{AUTOMATIC_MARK}\nlast rounds: lost, lost" if auto else "Manual – nginx 1.27",
        created=NOW - dt.timedelta(days=days),
        parent_id=oid(parent) if parent else None,
        size_bytes=days * GIB // 10,
    )


def vm(vid: str, name: str, power: PowerState = PowerState.RUNNING, host: str = "h1", **more: Any) -> Vm:
    running = power is PowerState.RUNNING
    number = sum(map(ord, vid)) % 200
    values: dict[str, Any] = {
        "id": oid(vid),
        "uuid": f"6f1c0a52-8a7e-4f7d-9d51-{number:012d}",
        "name": name,
        "power": power,
        "host_id": oid(host) if power in (PowerState.RUNNING, PowerState.PAUSED) else None,
        "home_id": oid(host),
        "pool_id": oid("p1"),
        "addresses": (f"10.20.4.{number}",) if running else (),
        "os": "Debian GNU/Linux 12 (bookworm)",
        "tools": ToolsState.RUNNING if running else ToolsState.INSTALLED,
        "tools_text": "8.4.0-1, up to date",
        "vcpus": 4,
        "memory_bytes": 8 * GIB,
        "started": NOW - dt.timedelta(days=41) if running else None,
        "nics": (
            Nic(
                id=oid(vid + "n"),
                device="0",
                mac="9a:3f:51:0c:7e:21",
                network_id=oid("n1"),
                network="Pool-wide network 0",
                connected=True,
            ),
        ),
        "disks": (
            Disk(
                id=oid(vid + "d0"),
                name="System",
                device="xvda",
                size_bytes=20 * GIB,
                used_bytes=9 * GIB,
                storage_id=oid("st1"),
                storage="Local storage",
            ),
            Disk(
                id=oid(vid + "d1"),
                name="Data",
                device="xvdb",
                size_bytes=60 * GIB,
                storage_id=oid("st2"),
                storage="NFS 1",
            ),
        ),
    }
    return Vm(**{**values, **more})


def sample_inventory() -> Inventory:
    web_snaps = (
        snapshot("s-a", "base-install", 80),
        snapshot("s-b", "before-upgrade", 2, "s-a"),
        snapshot("s-c", "Network_Down 2026-11-21T23:10:00Z", 1, "s-b", auto=True),
        snapshot("s-d", "try-nginx", 3, "s-a"),
    )
    vms = [
        vm("v1", "web-frontend-01", snapshots=web_snaps, current_snapshot_id=oid("s-c"), tags=("web", "prod")),
        vm(
            "v2",
            "web-frontend-02",
            refusals={
                Verb.SNAPSHOT_QUIESCE: "No working XenServer VM Tools in this guest; a quiesced snapshot needs them."
            },
        ),
        vm("v10", "web-frontend-10"),
        vm("v3", "db-primary", snapshots=(snapshot("s-n", "nightly 2026-11-22", 1),)),
        vm("v4", "build-agent-3", PowerState.SUSPENDED, "h2"),
        vm("v5", "legacy-erp", PowerState.HALTED, "h2"),
        vm("v6", "mail-gw", host="h2", tools=ToolsState.MISSING, tools_text=""),
        vm("v7", "paused-thing", PowerState.PAUSED, "h2"),
        vm("v8", HOSTILE, PowerState.HALTED, "h2", description=HOSTILE),
        vm(
            "v9",
            "cluster-a",
            host="h2",
            disks=(
                Disk(id=oid("v9d0"), name="System", device="xvda", size_bytes=20 * GIB, storage="Local storage"),
                Disk(
                    id=oid("shared"),
                    name="Quorum",
                    device="xvdb",
                    size_bytes=GIB,
                    storage="NFS 1",
                    shared_with=("cluster-b",),
                ),
                Disk(id=oid("cd"), name="debian.iso", device="xvdd", is_cd=True),
            ),
        ),
        vm("t1", "Debian 12 template", PowerState.HALTED, kind=VmKind.TEMPLATE),
    ]
    return Inventory(
        server=ServerInfo(
            platform="xenserver", product="XenServer", version="8.4.0", address="10.20.1.11", port=443, user="root"
        ),
        taken=NOW,
        pools={
            oid("p1"): Pool(
                id=oid("p1"), uuid="p1", name="Production pool", master_id=oid("h1"), default_storage_id=oid("st2")
            )
        },
        hosts={
            oid("h1"): Host(
                id=oid("h1"),
                uuid="h1",
                name="xs-node-01",
                address="10.20.1.11",
                pool_id=oid("p1"),
                is_master=True,
                live=True,
                product="XenServer",
                version="8.4.0",
                cpu_model="Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz",
                cpus=64,
                cores=32,
                sockets=2,
                memory_bytes=256 * GIB,
                memory_free_bytes=90 * GIB,
                started=NOW - dt.timedelta(days=120),
            ),
            oid("h2"): Host(
                id=oid("h2"),
                uuid="h2",
                name="xs-node-02",
                address="10.20.1.12",
                pool_id=oid("p1"),
                live=True,
                product="XenServer",
                version="8.4.0",
                memory_bytes=256 * GIB,
                memory_free_bytes=4 * GIB,
            ),
            oid("h3"): Host(
                id=oid("h3"),
                uuid="h3",
                name="xs-node-03",
                address="10.20.1.13",
                pool_id=oid("p1"),
                live=True,
                enabled=False,
                in_maintenance=True,
                memory_bytes=128 * GIB,
                memory_free_bytes=120 * GIB,
            ),
        },
        vms={v.id: v for v in vms},
        networks={
            oid("n1"): Network(id=oid("n1"), uuid="n1", name="Pool-wide network 0"),
            oid("n2"): Network(id=oid("n2"), uuid="n2", name="Storage"),
        },
        storages={
            oid("st1"): Storage(
                id=oid("st1"),
                uuid="st1",
                name="Local storage",
                kind="lvm",
                size_bytes=400 * GIB,
                used_bytes=220 * GIB,
                host_ids=(oid("h1"),),
            ),
            oid("st2"): Storage(
                id=oid("st2"),
                uuid="st2",
                name="NFS 1",
                kind="nfs",
                shared=True,
                size_bytes=4000 * GIB,
                used_bytes=1500 * GIB,
                host_ids=(oid("h1"), oid("h2"), oid("h3")),
            ),
            oid("st3"): Storage(id=oid("st3"), uuid="st3", name="ISO library", kind="iso", shared=True, holds_iso=True),
        },
    )


ALL = Capability(0)
for _flag in Capability:
    ALL |= _flag


class MemoryHypervisor(Hypervisor):
    """Answers from one inventory; remembers what was asked of it."""

    def __init__(self, inventory: Inventory, capabilities: Capability = ALL & ~Capability.EMERGENCY) -> None:
        self.inventory = inventory
        self._capabilities = capabilities
        self.changed = threading.Event()
        self.changed.set()
        self.closed = threading.Event()
        self.done: list[tuple[Any, ...]] = []
        self.gate = threading.Event()
        self.gate.set()
        """Cleared, details wait: for tests of stale answers."""
        out = io.BytesIO()
        Image.new("RGB", (320, 200), "#204080").save(out, "PNG")
        self.screen = out.getvalue()

    @property
    def info(self) -> ServerInfo:
        return self.inventory.server

    @property
    def capabilities(self) -> Capability:
        return self._capabilities

    def watch(self, timeout_s: float) -> Inventory | None:
        self.changed.wait(timeout_s)
        if self.closed.is_set():
            raise SessionLost("closed")
        self.changed.clear()
        return self.inventory

    def refresh(self) -> None:
        self.changed.set()

    def close(self) -> None:
        self.closed.set()
        self.gate.set()
        self.changed.set()

    def details(self, vm_id: ObjectId) -> VmDetails:
        self.gate.wait(10)
        found = self.inventory.vms[vm_id]
        return VmDetails(
            vm_id=vm_id, nics=found.nics, disks=found.disks, facts=(("Boot mode", "UEFI"), ("HA priority", "—"))
        )

    def metrics(self, object_id: ObjectId, seconds: int = 600) -> Metrics:
        count = 60
        wave = [0.3 + 0.2 * ((n * 7 + sum(map(ord, object_id))) % 11) / 11 for n in range(count)]
        return Metrics(
            step_s=seconds / count,
            end=NOW,
            series=(
                Series(name="cpu0", unit="fraction", values=tuple(wave)),
                Series(name="cpu1", unit="fraction", values=tuple(v * 0.7 for v in wave)),
                Series(name="memory", unit="bytes", values=tuple(6.2 * GIB for _ in wave)),
                Series(name="memory_total", unit="bytes", values=tuple(8.0 * GIB for _ in wave)),
                Series(name="vif_0_rx", unit="bytes/s", values=tuple(v * 2_000_000 for v in wave)),
                Series(name="vif_0_tx", unit="bytes/s", values=tuple(v * 900_000 for v in wave)),
                Series(name="vbd_xvda_read", unit="bytes/s", values=tuple(v * 9_000_000 for v in wave)),
                Series(
                    name="vbd_xvda_write",
                    unit="bytes/s",
                    values=(*(v * 4_000_000 for v in wave[:-5]), None, None, 0.0, 0.0, 0.0),
                ),
            ),
        )

    def network_map(self, host_id: ObjectId) -> NetworkMap:
        there = [v for v in self.inventory.vms.values() if v.home_id == host_id and v.kind is VmKind.VM]
        return NetworkMap(
            host_id=host_id,
            links=(
                NetworkLink(
                    network_id=oid("n1"),
                    network="Pool-wide network 0",
                    host_nics=(
                        HostNic(name="eth0", link_up=True, speed_mbps=10000, management=True),
                        HostNic(name="eth1", link_up=False, speed_mbps=10000),
                    ),
                    vm_nics=tuple((v.id, v.nics[0]) for v in there[:4]),
                ),
                NetworkLink(
                    network_id=oid("n2"),
                    network="Storage",
                    host_nics=(HostNic(name="eth2", link_up=True, speed_mbps=1000, vlan=20),),
                    vm_nics=tuple((v.id, replace(v.nics[0], connected=False)) for v in there[2:3]),
                ),
            ),
        )

    def host_info(self, host_id: ObjectId) -> HostDetails:
        return HostDetails(
            host_id=host_id,
            nics=(
                HostNic(
                    name="eth0",
                    mac="00:1b:21:aa:00:01",
                    network="Pool-wide network 0",
                    address="10.20.1.11",
                    netmask="255.255.0.0",
                    gateway="10.20.0.1",
                    management=True,
                    link_up=True,
                    speed_mbps=10000,
                ),
                HostNic(name="eth1", mac="00:1b:21:aa:00:02", link_up=False, speed_mbps=10000),
            ),
            storages=(oid("st1"), oid("st2")),
            licence="Premium, until 2027-01-01",
            facts=(("BIOS", "Dell Inc. 2.19.1"), ("iSCSI name", "iqn.2026-11.example:xs-node-01")),
        )

    def screenshot(self, vm_id: ObjectId) -> bytes:
        return self.screen

    def console(self, vm_id: ObjectId) -> ConsoleAddress:
        return ConsoleAddress(
            protocol="rfb", location=f"https://10.20.1.11/console?uuid={vm_id}", note="Needs a viewer."
        )

    def events(self, since: dt.datetime | None = None) -> tuple[ServerEvent, ...]:
        return (ServerEvent(when=NOW, name="VM_STARTED", text=HOSTILE, subject="web-frontend-01"),)

    def creation_choices(self, host_id: ObjectId | None = None) -> CreationChoices:
        return CreationChoices(
            fields=frozenset(
                {
                    "name",
                    "description",
                    "template_id",
                    "vcpus",
                    "memory_bytes",
                    "disk_bytes",
                    "storage_id",
                    "network_id",
                    "iso",
                    "start",
                }
            ),
            isos=(("iso1", "debian-12.iso"),),
            max_vcpus=32,
        )

    def find_snapshots(self, vm_id: ObjectId, name: str) -> SnapshotSearch:
        return SnapshotSearch()

    def _did(self, *what: Any) -> None:
        self.done.append(what)

    def start(self, vm_id: ObjectId, ctx: TaskContext, *, host_id: ObjectId | None = None) -> None:
        self._did("start", vm_id, host_id)

    def shutdown(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._did("shutdown", vm_id)

    def power_off(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._did("power_off", vm_id)

    def reboot(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._did("reboot", vm_id)

    def reset(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._did("reset", vm_id)

    def delete_vm(self, vm_id: ObjectId, ctx: TaskContext, *, keep_disks: frozenset[ObjectId] = frozenset()) -> None:
        self._did("delete", vm_id, keep_disks)

    def rename(self, vm_id: ObjectId, name: str, ctx: TaskContext, *, description: str | None = None) -> None:
        self._did("rename", vm_id, name, description)

    def change(self, **vms: Any) -> None:
        """Swap VMs by id (None removes) and let the window know."""
        new = dict(self.inventory.vms)
        for key, value in vms.items():
            if value is None:
                new.pop(oid(key), None)
            else:
                new[oid(key)] = value
        self.inventory = replace(self.inventory, vms=new)
        self.changed.set()


class StageWatcher:
    """A monitor whose state tests set; remembers what it was told."""

    def __init__(self, *statuses: MonitorStatus) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.known = {status.key: status for status in statuses}

    def status(self, key: VmKey) -> MonitorStatus | None:
        return self.known.get(key)

    def statuses(self) -> tuple[MonitorStatus, ...]:
        return tuple(self.known.values())

    def ticked(self) -> frozenset[VmKey]:
        return frozenset(self.known)

    def settings(self, key: VmKey) -> MonitorSettings:
        status = self.known.get(key)
        return status.settings if status is not None else MonitorSettings()

    def settings_changed(self, server_id: ServerId, vm_id: ObjectId) -> None:
        self.told.append(("settings", server_id, vm_id))

    def defaults_changed(self) -> None:
        self.told.append(("defaults",))

    def test_now(self, key: VmKey, done: Callable[[Any], None]) -> None:
        self.told.append(("test", key))
        done(Round(NOW, RoundResult.OK, (11.0, 12.0)))


def status(
    vid: str, name: str, state: MonitorState = MonitorState.UP, *, lost: int = 0, base: float = 12.0, **more: Any
) -> MonitorStatus:
    """A VM's monitor with 60 rounds, the last ``lost`` of them lost."""
    rounds = []
    for n in range(60):
        when = NOW - dt.timedelta(seconds=5 * (59 - n))
        wobble = base + (n * 7 % 11) / 4 + (base if n == 17 else 0)
        if n >= 60 - lost:
            rounds.append(Round(when, RoundResult.LOST, (None, None)))
        elif n == 25:
            rounds.append(Round(when, RoundResult.DEGRADED, (None, wobble)))
        elif n == 8 and lost:
            rounds.append(Round(when, RoundResult.UNKNOWN, (None, None), "offline"))
        else:
            rounds.append(Round(when, RoundResult.OK, (wobble, wobble + 0.3)))
    values: dict[str, Any] = {
        "key": VmKey(SERVER, oid(vid)),
        "vm_name": name,
        "settings": MonitorSettings(),
        "address": "10.20.4.31",
        "addresses": ("10.20.4.31", "fe80::1"),
        "state": state,
        "state_since": NOW - dt.timedelta(minutes=7),
        "rounds": tuple(rounds),
        "last_rtt_ms": None if lost else base + 0.8,
        "average_rtt_ms": base + 1.2,
        "loss_fraction": lost / 60 + 0.004,
        "rounds_total": 720,
        "would_have_fired": {1: 2 if lost else 0, 3: 1 if lost else 0, 6: 0},
    }
    return MonitorStatus(**{**values, **more})


def sample_statuses() -> tuple[MonitorStatus, ...]:
    outage = Outage(
        id="o1",
        server_id=SERVER,
        vm_id=oid("v6"),
        vm_name="mail-gw",
        opened=NOW,
        snapshot_name="Network_Down x",
        state=CaptureState.DONE,
    )
    return (
        status(
            "v1",
            "web-frontend-01",
            last_snapshot_when=NOW - dt.timedelta(hours=11),
            last_snapshot_name="Network_Down x",
        ),
        status("v2", "web-frontend-02", base=14),
        status("v3", "db-primary", base=0.4),
        status("v6", "mail-gw", MonitorState.DOWN, lost=22, base=30, outage=outage, last_snapshot_when=NOW),
        status(
            "v4",
            "build-agent-3",
            MonitorState.PAUSED,
            rounds=(),
            last_rtt_ms=None,
            average_rtt_ms=None,
            loss_fraction=None,
            rounds_total=0,
            reason="The VM isn't running.",
        ),
        status(
            "v9",
            "cluster-a",
            MonitorState.LEARNING,
            rounds=(),
            last_rtt_ms=None,
            average_rtt_ms=None,
            loss_fraction=None,
            rounds_total=0,
            reason="It has never answered a ping since it was ticked or started. Does its firewall block ICMP?",
        ),
    )


class StageHistory:
    """Rows in memory, newest first."""

    def __init__(self, rows: Sequence[HistoryRow] = ()) -> None:
        self.rows = list(rows)
        self.asked: list[dict[str, Any]] = []
        self.exported: list[Any] = []
        self.listeners: list[Callable[[], None]] = []

    def listen(self, handler: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(handler)
        return lambda: self.listeners.remove(handler)

    def _found(self, text: str, filters: Mapping[str, Any]) -> list[HistoryRow]:
        words = text.casefold().split()
        return [
            r
            for r in self.rows
            if all(w in f"{r.who} {r.what} {r.subject} {r.detail}".casefold() for w in words)
            and (not filters.get("what") or r.what == filters["what"])
            and (not filters.get("outcome") or r.outcome == filters["outcome"])
            and (not filters.get("since") or r.when >= filters["since"])
            and (not filters.get("subject_id") or r.subject_id == filters["subject_id"])
        ]

    def search(self, text: str = "", *, limit: int = 500, offset: int = 0, **filters: Any) -> list[HistoryRow]:
        self.asked.append({"text": text, "limit": limit, "offset": offset, **filters})
        return self._found(text, filters)[offset : offset + limit]

    def count(self, text: str = "", **filters: Any) -> int:
        return len(self._found(text, filters))

    def export_csv(self, path: Any, text: str = "", **filters: Any) -> int:
        self.exported.append((path, text, filters))
        return self.count(text, **filters)


def sample_rows(count: int = 30) -> list[HistoryRow]:
    kinds = [
        ("suspend", "done", "admin", ""),
        ("outage", "", "monitor", "both of 2 pings lost"),
        ("snapshot", "done", "monitor", "Network_Down 2026-11-22T10:41:00Z"),
        ("shutdown", "failed", "admin", "No working tools in this guest.\nVM_LACKS_FEATURE"),
        ("recovered", "", "monitor", "after 3 min"),
    ]
    return [
        HistoryRow(
            id=count - n,
            when=NOW - dt.timedelta(minutes=9 * n),
            who=kinds[n % 5][2],
            what=kinds[n % 5][0],
            server="Production",
            subject="web-frontend-01" if n % 2 else HOSTILE,
            subject_id="v1" if n % 2 else "v8",
            outcome=kinds[n % 5][1],
            duration_s=1.25 * (n % 7) if kinds[n % 5][1] else None,
            detail=kinds[n % 5][3],
        )
        for n in range(count)
    ]


class NoShutdown:
    def begin(self) -> None: ...

    def pending(self) -> tuple[str, ...]:
        return ()


class StageShell:
    """A ``Shell`` that remembers what it was asked for."""

    def __init__(self, root: tk.Tk, theme: Theme, dispatcher: Any, services: AppServices) -> None:
        self.root = root
        self.theme = theme
        self.dispatcher = dispatcher
        self.services = services
        self.dialogs: Any = None
        self.selection = Selection()
        self.asked: list[tuple[Any, ...]] = []
        self.refusals: dict[Verb, str] = {}

    def select(self, selection: Selection) -> None:
        self.selection = selection
        self.asked.append(("select", selection))

    def run(
        self, verb: Verb, selection: Selection | None = None, arguments: Mapping[str, object] | None = None
    ) -> None:
        self.asked.append(
            ("run", verb, selection or self.selection, dict(arguments) if arguments is not None else None)
        )

    def why_not(self, verb: Verb, selection: Selection | None = None) -> str | None:
        return self.refusals.get(verb)

    def popup(self, selection: Selection, x_root: int, y_root: int) -> None:
        self.asked.append(("popup", selection))

    def set_monitored(self, subjects: Sequence[Subject], monitored: bool) -> None:
        self.asked.append(("monitor", tuple(s.item.id for s in subjects), monitored))

    def show_page(self, title: str) -> None:
        self.asked.append(("page", title))

    def status(self, text: str) -> None:
        self.asked.append(("status", text))


def make_services(
    hypervisor: Hypervisor, *, watcher: Any = None, history: Any = None, clock: Clock | None = None
) -> AppServices:
    clock = clock or SystemClock()
    hub = Hub()
    pins = PinStore()

    def opener(target: Target, secret: Secret, trust: Trust, clock: Clock) -> Hypervisor:
        return hypervisor

    connections = Connections(pins, hub, clock, opener=opener)
    profile = ServerProfile(
        id=SERVER, name="Production", platform="xenserver", addresses=(("10.20.1.11", 443),), user="root"
    )
    connections.add(profile, Secret(password="x"))
    return AppServices(
        hub=hub,
        clock=clock,
        connections=connections,
        watcher=watcher if watcher is not None else StageWatcher(),
        settings=SettingsStore(),
        credentials=Credentials(),
        history=history,
        pins=pins,
        shutdown=NoShutdown(),
        version="1.0",
    )


def item(kind: ItemKind, id_: str | None = None, vm_id: str | None = None) -> Item:
    return Item(kind, SERVER, oid(id_) if id_ is not None else None, oid(vm_id) if vm_id else None)


def select_vms(*ids: str) -> Selection:
    return Selection(tuple(item(ItemKind.VM, i) for i in ids))


def subjects(services: AppServices, selection: Selection) -> tuple[Subject, ...]:
    return selection.subjects(services.connections)


Poster = Callable[[Callable[[], None]], None]
