"""Rows → model objects. Pure functions over ``Tables``; called by the thread that watches."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable

from hvconsole.backends.xen_refusals import host_refusals, pool_refusals, vm_refusals
from hvconsole.backends.xen_rows import GuestRow, VbdRow, VmRow
from hvconsole.backends.xen_tables import Tables
from hvconsole.model import (
    Disk,
    Host,
    Network,
    Nic,
    ObjectId,
    Pool,
    PoolKind,
    PowerState,
    Snapshot,
    Storage,
    ToolsState,
    Vm,
    VmKind,
)

TOOLS_GRACE = dt.timedelta(minutes=2)
"""How long after a start the absence of guest metrics says nothing about the tools."""

IMPORTING = "import"
"""The operation under way on a VM that has come over in part: nothing can be done with it, and it may vanish again."""

_UP = (PowerState.RUNNING, PowerState.PAUSED)


def pool_id(tables: Tables) -> ObjectId | None:
    """The id of the pool; there is always exactly one."""
    return next((ObjectId(row.uuid or ref) for ref, row in tables.pool.items()), None)


def build_vm(tables: Tables, ref: str, now: dt.datetime) -> Vm | None:
    """The VM or template behind ``ref``; None for snapshots, for what is gone and for what is still being imported."""
    row = tables.vm.get(ref)
    if row is None or row.is_snapshot or IMPORTING in row.operations:
        return None
    running = row.power in _UP
    metrics = tables.vm_metrics.get(row.metrics)
    guest = tables.guest.get(row.guest_metrics)
    # xapi keeps the guest's last words after a shutdown
    shown = dict(guest.addresses) if guest is not None and row.power is PowerState.RUNNING else {}
    nics = _nics(tables, ref, shown) if ref in tables.vifs_of else ()
    started = metrics.started if metrics is not None and running else None
    tools = tools_state(row, guest, started, now)
    snapshots = _snapshots(tables, ref) if tables.snapshots_of.get(ref) else ()
    host_id = tables.id_of(tables.host, row.resident_on) if running and row.resident_on else None
    parent_id = ObjectId(tables.vm[row.parent].uuid or row.parent) if row.parent in tables.vm else None
    return Vm(
        id=ObjectId(row.uuid or ref),
        uuid=row.uuid,
        name=row.name,
        description=row.description,
        kind=row.kind,
        power=row.power,
        host_id=host_id,
        home_id=host_id or (tables.id_of(tables.host, row.affinity) if row.affinity else None),
        pool_id=pool_id(tables),
        tags=row.tags,
        addresses=_addresses(nics, shown) if shown else (),
        nics=nics,
        disks=_disks(tables, ref) if ref in tables.vbds_of else (),
        os=guest.os if guest is not None else None,
        tools=tools,
        tools_text=_tools_text(guest) if guest is not None else "",
        vcpus=(metrics.vcpus if metrics is not None and running else None) or row.vcpus,
        memory_bytes=(metrics.memory if metrics is not None and running else None) or row.memory,
        started=started,
        snapshots=snapshots,
        current_snapshot_id=parent_id if any(s.id == parent_id for s in snapshots) else None,
        operations=row.operations,
        refusals=vm_refusals(row.kind, row.power, row.allowed, row.operations, row.blocked, tools, bool(snapshots)),
    )


def tools_state(row: VmRow, guest: GuestRow | None, started: dt.datetime | None, now: dt.datetime) -> ToolsState:
    """What the guest's tools are known to be."""
    if row.kind is not VmKind.VM:
        return ToolsState.UNKNOWN
    if row.power is not PowerState.RUNNING:
        return ToolsState.INSTALLED if guest is not None and guest.drivers else ToolsState.UNKNOWN
    if guest is None:
        return ToolsState.UNKNOWN if is_young(started, now) else ToolsState.MISSING
    if guest.agent:
        return ToolsState.RUNNING
    return ToolsState.INSTALLED if guest.drivers else ToolsState.MISSING


def is_young(started: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether a VM started so recently that its tools may not have reported yet."""
    # The clocks of server and client differ by a little either way.
    return started is not None and abs(now - started) < TOOLS_GRACE


def _tools_text(guest: GuestRow) -> str:
    if not guest.version:
        return "I/O drivers only" if guest.drivers else ""
    if guest.up_to_date is None:
        return guest.version
    return f"{guest.version}, {'up to date' if guest.up_to_date else 'out of date'}"


def _nics(tables: Tables, vm: str, shown: dict[str, tuple[str, ...]]) -> tuple[Nic, ...]:
    nics = []
    for ref in tables.vifs_of[vm]:
        row = tables.vif[ref]
        network = tables.network.get(row.network)
        nics.append(
            Nic(
                id=ObjectId(row.uuid or ref),
                device=row.device,
                mac=row.mac,
                network_id=None if network is None else ObjectId(network.uuid or row.network),
                network="" if network is None else network.name,
                connected=row.connected,
                addresses=shown.get(row.device, ()),
            )
        )
    if len(nics) > 1:
        nics.sort(key=lambda nic: (len(nic.device), nic.device, nic.id))
    return tuple(nics)


def _addresses(nics: Iterable[Nic], shown: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """All guest addresses: IPv4, then IPv6, then link-local; each in the order of the cards."""
    by_card = [address for nic in nics for address in nic.addresses]
    # cards that the server does not list, but whose addresses the guest reports
    by_card += [address for addresses in shown.values() for address in addresses]

    def rank(address: str) -> int:
        return 0 if ":" not in address else 2 if address.startswith("fe80") else 1

    return tuple(dict.fromkeys(sorted(by_card, key=rank)))


def _disks(tables: Tables, vm: str) -> tuple[Disk, ...]:
    disks = []
    for ref in tables.vbds_of[vm]:
        row = tables.vbd[ref]
        vdi = tables.vdi.get(row.vdi)
        sr = None if vdi is None else tables.sr.get(vdi.sr)
        if vdi is None and not row.is_cd:
            continue
        disks.append(
            (
                _device_order(row),
                Disk(
                    # the disk's own id where there is one, so that "keep" names the disk and not its attachment
                    id=ObjectId((vdi.uuid if vdi is not None else row.uuid) or row.vdi or ref),
                    name="" if vdi is None else vdi.name,
                    device=row.device or row.userdevice,
                    is_cd=row.is_cd,
                    size_bytes=None if vdi is None else vdi.size,
                    used_bytes=None if vdi is None else vdi.used,
                    storage_id=None if vdi is None or sr is None else ObjectId(sr.uuid or vdi.sr),
                    storage="" if sr is None else sr.name,
                    read_only=row.read_only,
                    shared_with=_shared_with(tables, row, vm),
                ),
            )
        )
    if len(disks) > 1:
        disks.sort(key=lambda pair: (pair[0], pair[1].id))
    return tuple(disk for _order, disk in disks)


def _device_order(row: VbdRow) -> tuple[int, str]:
    return len(row.userdevice), row.userdevice


MOST_SHARERS = 1_000
"""VMs named as users of a disk. Each of them names the others, so the work grows with the square."""


def _shared_with(tables: Tables, row: VbdRow, vm: str) -> tuple[str, ...]:
    users = tables.vbds_of_vdi.get(row.vdi) if row.vdi else None
    if users is None or len(users) < 2 or row.is_cd:
        return ()
    names = []
    for other in itertools.islice(users, MOST_SHARERS):
        user = tables.vm.get(tables.vbd[other].vm)
        if user is not None and tables.vbd[other].vm != vm and user.kind is not VmKind.CONTROL_DOMAIN:
            names.append(user.name)
    return tuple(sorted(names))


def _snapshots(tables: Tables, vm: str) -> tuple[Snapshot, ...]:
    rows = {ref: tables.vm[ref] for ref in tables.snapshots_of[vm] if ref in tables.vm}
    cut = _cycles(rows)
    snapshots = [
        build_snapshot(ref, row, rows[row.parent].uuid or row.parent if row.parent in rows and ref not in cut else None)
        for ref, row in rows.items()
    ]
    oldest = dt.datetime.min.replace(tzinfo=dt.UTC)
    snapshots.sort(key=lambda snapshot: (snapshot.created or oldest, snapshot.id))
    return tuple(snapshots)


def build_snapshot(ref: str, row: VmRow, parent: str | None) -> Snapshot:
    """One snapshot out of its VM record."""
    return Snapshot(
        id=ObjectId(row.uuid or ref),
        name=row.name,
        description=row.description,
        created=row.snapshot_time,
        parent_id=None if parent is None else ObjectId(parent),
        with_memory=row.power is PowerState.SUSPENDED,
        quiesced=row.quiesced,
    )


def _cycles(rows: dict[str, VmRow]) -> set[str]:
    """References at which a chain of parents comes back to itself; cutting there leaves a forest."""
    cut: set[str] = set()
    done: set[str] = set()
    for first in rows:
        path: set[str] = set()
        ref = first
        while ref in rows and ref not in done:
            path.add(ref)
            parent = rows[ref].parent
            if parent in path:
                cut.add(ref)
                break
            ref = parent
        done |= path
    return cut


def build_pools(tables: Tables, user: str) -> dict[ObjectId, Pool]:
    """The pool; a nameless one (a single host) shows its master's name."""
    pools = {}
    for ref, row in tables.pool.items():
        master = tables.host.get(row.master)
        pool = Pool(
            id=ObjectId(row.uuid or ref),
            uuid=row.uuid,
            name=row.name or ("" if master is None else master.name),
            description=row.description,
            kind=PoolKind.POOL,
            master_id=tables.id_of(tables.host, row.master),
            default_storage_id=tables.id_of(tables.sr, row.default_sr),
            refusals=pool_refusals(user),
        )
        pools[pool.id] = pool
    return pools


def build_hosts(tables: Tables) -> dict[ObjectId, Host]:
    """All hosts."""
    masters = {row.master for row in tables.pool.values()}
    hosts = {}
    for ref, row in tables.host.items():
        metrics = tables.host_metrics.get(row.metrics)
        live = None if metrics is None else metrics.live
        host = Host(
            id=ObjectId(row.uuid or ref),
            uuid=row.uuid,
            name=row.name,
            description=row.description,
            address=row.address,
            pool_id=pool_id(tables),
            is_master=ref in masters,
            live=live,
            enabled=row.enabled,
            in_maintenance=not row.enabled,
            product=row.product,
            version=row.version,
            cpu_model=row.cpu_model,
            cpus=row.cpus,
            cores=row.cores,
            sockets=row.sockets,
            memory_bytes=None if metrics is None else metrics.memory_total,
            memory_free_bytes=None if metrics is None else metrics.memory_free,
            started=row.started,
            operations=row.operations,
            refusals=host_refusals(live, row.enabled, row.operations),
        )
        hosts[host.id] = host
    return hosts


def build_networks(tables: Tables) -> dict[ObjectId, Network]:
    """All networks with the hosts that have a card in them."""
    hosts: dict[str, dict[ObjectId, None]] = {}
    for pif in tables.pif.values():
        host_id = tables.id_of(tables.host, pif.host)
        if host_id is not None:
            hosts.setdefault(pif.network, {})[host_id] = None
    return {
        (key := ObjectId(row.uuid or ref)): Network(
            id=key,
            uuid=row.uuid,
            name=row.name,
            description=row.description,
            bridge=row.bridge,
            host_ids=tuple(hosts.get(ref, ())),
        )
        for ref, row in tables.network.items()
    }


def build_storages(tables: Tables) -> dict[ObjectId, Storage]:
    """All storage repositories with the hosts that they are attached to."""
    hosts: dict[str, dict[ObjectId, None]] = {}
    for pbd in tables.pbd.values():
        host_id = tables.id_of(tables.host, pbd.host)
        if host_id is not None and pbd.attached:
            hosts.setdefault(pbd.sr, {})[host_id] = None
    return {
        (key := ObjectId(row.uuid or ref)): Storage(
            id=key,
            uuid=row.uuid,
            name=row.name,
            kind=row.kind,
            shared=row.shared,
            holds_iso=row.iso,
            size_bytes=row.size,
            used_bytes=row.used,
            host_ids=tuple(hosts.get(ref, ())),
        )
        for ref, row in tables.sr.items()
    }
