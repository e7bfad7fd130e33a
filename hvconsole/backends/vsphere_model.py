"""Records of the property collector → the model. Pure: no server, no clock; any thread.

Tree: datacenter → cluster or host → VM. Folders and resource pools are containers too, named by ``Vm.folder_id`` and
``Vm.resource_pool_id``. The roots that every server has ("vm", "Resources", ESXi's "ha-datacenter") are not shown.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from hvconsole.backends.vsphere_hardware import Device, DiskIndex, show_disk, show_nic
from hvconsole.backends.vsphere_names import shown_name
from hvconsole.backends.vsphere_records import GuestNic, Record, SnapshotTree
from hvconsole.backends.vsphere_refusals import VmFacts, host_refusals, vm_refusals
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

MIB = 1 << 20
DEVICES = "config.hardware.device"
_POWER = {
    "poweredOn": PowerState.RUNNING,
    "poweredOff": PowerState.HALTED,
    "suspended": PowerState.SUSPENDED,
}
_TOOLS_WORDS = {
    "guestToolsNotInstalled": "not installed",
    "guestToolsNeedUpgrade": "update available",
    "guestToolsCurrent": "up to date",
    "guestToolsUnmanaged": "managed by the guest",
    "guestToolsTooOld": "too old",
    "guestToolsSupportedOld": "update available",
    "guestToolsSupportedNew": "newer than the host's",
    "guestToolsTooNew": "too new",
    "guestToolsBlacklisted": "known to be faulty, update",
}
_CONTAINERS = {"ComputeResource", "ClusterComputeResource"}
_NETWORKS = {"Network", "DistributedVirtualPortgroup", "OpaqueNetwork"}
NONE_OPAQUE: Mapping[str, str] = MappingProxyType({})
_DEEPEST = 100
"""Levels that are followed upwards; more is a cycle made by a hostile server."""

UPLINKS = "SYSTEM/DVS.UPLINKPG"
"""Tag of the port group by which hosts, and no VMs, are attached to a distributed switch."""

Records = Mapping[str, Record]


def is_network(kind: str) -> bool:
    """Whether a record's kind is one of the kinds of network."""
    return kind in _NETWORKS


# ---- places --------------------------------------------------------------------------------------------------


def _ancestors(records: Records, start: str) -> list[Record]:
    """The records above (and including) ``start``, nearest first."""
    found: list[Record] = []
    current = records.get(start)
    while current is not None and len(found) < _DEEPEST:
        found.append(current)
        current = records.get(current.get("parent", ""))
    return found


def _nearest(records: Records, start: str, kinds: set[str]) -> Record | None:
    return next((record for record in _ancestors(records, start) if record.kind in kinds), None)


def place_of_host(records: Records, host_id: str, *, vcenter: bool) -> ObjectId | None:
    """The cluster or datacenter under which a host is shown."""
    if not vcenter:
        return None
    record = records.get(host_id)
    if record is None:
        return None
    place = _nearest(records, record.get("parent", ""), {"ClusterComputeResource", "Datacenter"})
    return None if place is None else ObjectId(place.id)


def _place_of_vm(records: Records, vm: Record, *, vcenter: bool) -> ObjectId | None:
    if not vcenter:
        return None
    host = vm.get("runtime.host", "")
    if host in records:
        return place_of_host(records, host, vcenter=True)
    datacenter = _nearest(records, vm.get("parent", ""), {"Datacenter"})
    return None if datacenter is None else ObjectId(datacenter.id)


def _shown_folder(records: Records, folder_id: str) -> bool:
    record = records.get(folder_id)
    if record is None or record.kind != "Folder" or "VirtualMachine" not in record.get("childType", frozenset()):
        return False
    above = records.get(record.get("parent", ""))
    return above is not None and above.kind == "Folder"


def _shown_resource_pool(records: Records, pool_id: str) -> bool:
    record = records.get(pool_id)
    if record is None or record.kind not in ("ResourcePool", "VirtualApp"):
        return False
    above = records.get(record.get("parent", ""))
    return above is not None and above.kind in ("ResourcePool", "VirtualApp")


def build_pool(record: Record, records: Records, *, vcenter: bool) -> Pool | None:
    """The container that a record is shown as, or None."""
    name = shown_name(record.get("name", ""))
    parent: str | None = None
    if record.kind == "Datacenter":
        if not vcenter:
            return None
        kind = PoolKind.DATACENTER
    elif record.kind == "ClusterComputeResource":
        kind = PoolKind.CLUSTER
        above = _nearest(records, record.get("parent", ""), {"Datacenter"})
        parent = above.id if above is not None else None
    elif record.kind == "Folder":
        if not _shown_folder(records, record.id):
            return None
        kind = PoolKind.FOLDER
        over = record.get("parent", "")
        if _shown_folder(records, over):
            parent = over
        elif vcenter:
            above = _nearest(records, over, {"Datacenter"})
            parent = above.id if above is not None else None
    elif record.kind in ("ResourcePool", "VirtualApp"):
        if not _shown_resource_pool(records, record.id):
            return None
        kind = PoolKind.RESOURCE_POOL
        over = record.get("parent", "")
        if _shown_resource_pool(records, over):
            parent = over
        elif vcenter:
            above = _nearest(records, record.get("owner", ""), {"ClusterComputeResource", "Datacenter"})
            parent = above.id if above is not None else None
    else:
        return None
    return Pool(
        id=ObjectId(record.id),
        uuid=record.id,
        name=name,
        kind=kind,
        parent_id=None if parent is None else ObjectId(parent),
    )


# ---- VMs -----------------------------------------------------------------------------------------------------


def opaque_networks(records: Iterable[Record]) -> dict[str, str]:
    """Id that NSX gave a network → the network's id at the server."""
    return {
        found[0]: record.id
        for record in records
        if record.kind == "OpaqueNetwork" and (found := record.get("summary")) is not None
    }


def build_vm(
    record: Record,
    records: Records,
    operations: Sequence[str],
    shares: DiskIndex,
    *,
    vcenter: bool,
    opaque: Mapping[str, str] = NONE_OPAQUE,
) -> Vm:
    """One VM or template. ``operations``: what the server's running tasks do with it; ``opaque``: as above."""
    connection = record.get("runtime.connectionState", "connected")
    power = _POWER.get(record.get("runtime.powerState", ""), PowerState.UNKNOWN)
    if connection not in ("connected", ""):
        power = PowerState.UNKNOWN
    template = bool(record.get("config.template", False))
    tools = tools_state(record)
    running = power is PowerState.RUNNING
    host = record.get("runtime.host")
    host_id = None if host is None else ObjectId(host)
    reported: tuple[GuestNic, ...] = record.get("guest.net", ()) if running else ()
    tree: SnapshotTree | None = record.get("snapshot")
    snapshots: tuple[Snapshot, ...] = tree.snapshots if tree is not None else ()
    folder, resources = record.get("parent", ""), record.get("resourcePool", "")
    memory = record.get("config.hardware.memoryMB")
    doing = tuple(operations)
    facts = VmFacts(power, tools, template, connection, record.get("disabledMethod", frozenset()), vcenter, doing)
    return Vm(
        id=ObjectId(record.id),
        uuid=record.get("config.uuid", ""),
        name=shown_name(record.get("name", "")),
        description=record.get("config.annotation", ""),
        kind=VmKind.TEMPLATE if template else VmKind.VM,
        power=power,
        host_id=host_id if running else None,
        home_id=host_id,
        pool_id=_place_of_vm(records, record, vcenter=vcenter),
        folder_id=ObjectId(folder) if _shown_folder(records, folder) else None,
        resource_pool_id=ObjectId(resources) if _shown_resource_pool(records, resources) else None,
        addresses=guest_addresses(record.get("guest.ipAddress", "") if running else "", reported),
        nics=_nics(record.get(DEVICES), reported, records, opaque),
        disks=_disks(record.id, record.get(DEVICES, ()), records, shares),
        os=record.get("guest.guestFullName") or record.get("config.guestFullName"),
        tools=tools,
        tools_text=tools_text(record),
        vcpus=record.get("config.hardware.numCPU"),
        memory_bytes=None if memory is None else memory * MIB,
        started=record.get("runtime.bootTime") if running else None,
        snapshots=snapshots,
        current_snapshot_id=ObjectId(tree.current) if tree is not None and tree.current else None,
        # It stands still until somebody answers, with the server's own client; the server has the last word on verbs.
        operations=(*doing, "waiting for an answer") if record.get("runtime.question") else doing,
        refusals=vm_refusals(facts),
    )


def tools_state(record: Record) -> ToolsState:
    """State of the guest's tools; ``toolsStatus`` is deprecated and not looked at."""
    status = record.get("guest.toolsRunningStatus", "")
    version = record.get("guest.toolsVersionStatus2", "")
    if status == "guestToolsRunning":
        return ToolsState.RUNNING
    if version == "guestToolsNotInstalled":
        return ToolsState.MISSING
    if version or status == "guestToolsExecutingScripts":
        return ToolsState.INSTALLED
    return ToolsState.MISSING if status == "guestToolsNotRunning" else ToolsState.UNKNOWN


def tools_text(record: Record) -> str:
    """What the tools say about themselves: "12352, up to date"."""
    version = record.get("guest.toolsVersion", "")
    words = _TOOLS_WORDS.get(record.get("guest.toolsVersionStatus2", ""), "")
    return ", ".join(part for part in ("" if version == "0" else version, words) if part)


def guest_addresses(first: str, nics: Sequence[GuestNic]) -> tuple[str, ...]:
    """Addresses worth pinging, IPv4 first: of real cards (not of bridges inside the guest), no link-local IPv6."""
    real = [nic for nic in nics if nic.key >= 0]
    found = [address for nic in real or nics for address in nic.addresses]
    if first and (first in found or not found):
        found.insert(0, first)
    four: dict[str, None] = {}
    six: dict[str, None] = {}
    for address in found:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            continue
        if parsed.version == 4:
            four[str(parsed)] = None
        elif not parsed.is_link_local:
            six[str(parsed)] = None
    return (*four, *six)


def _nics(
    found: tuple[Device, ...] | None, reported: Sequence[GuestNic], records: Records, opaque: Mapping[str, str]
) -> tuple[Nic, ...]:
    if found is None:
        # the hardware has not been read yet; the guest's own word is the next best
        return tuple(_reported_nic(nic, position) for position, nic in enumerate(reported) if nic.key >= 0)
    addresses = {nic.key: nic.addresses for nic in reported}
    cards = [one for one in found if one.kind == "nic"]
    networks = [card.network_id or opaque.get(card.opaque_id, "") for card in cards]
    return tuple(
        show_nic(card, position, network, _name(records, network), addresses.get(card.key, ()))
        for position, (card, network) in enumerate(zip(cards, networks, strict=True))
    )


def _disks(vm_id: str, found: Sequence[Device], records: Records, shares: DiskIndex) -> tuple[Disk, ...]:
    return tuple(
        show_disk(
            drive,
            _name(records, drive.datastore_id),
            tuple(_name(records, other) for other in shares.others(vm_id, drive.file)) if drive.file else (),
        )
        for drive in found
        if drive.kind != "nic"
    )


def _name(records: Records, object_id: str) -> str:
    record = records.get(object_id)
    return "" if record is None else shown_name(record.get("name", ""))


def _reported_nic(nic: GuestNic, position: int) -> Nic:
    return Nic(
        id=ObjectId(str(nic.key)),
        device=str(position),
        mac=nic.mac,
        network=shown_name(nic.network),
        connected=nic.connected,
        addresses=nic.addresses,
    )


# ---- hosts, networks, storages -------------------------------------------------------------------------------


def build_host(record: Record, records: Records, *, vcenter: bool, address: str) -> Host:
    """One host. ``address``: where we are connected, which is the host's own address on ESXi."""
    connection = record.get("runtime.connectionState", "")
    maintenance = bool(record.get("runtime.inMaintenanceMode", False))
    memory = record.get("summary.hardware.memorySize")
    used = record.get("summary.quickStats.overallMemoryUsage")
    name = shown_name(record.get("name", ""))
    return Host(
        id=ObjectId(record.id),
        uuid=record.get("summary.hardware.uuid", ""),
        name=name,
        address=name if vcenter else address,
        pool_id=place_of_host(records, record.id, vcenter=vcenter),
        live=None if not connection else connection == "connected",
        enabled=not maintenance,
        in_maintenance=maintenance,
        product=record.get("summary.config.product.name", "") or "VMware ESXi",
        version=record.get("summary.config.product.version", ""),
        cpu_model=record.get("summary.hardware.cpuModel", ""),
        cpus=record.get("summary.hardware.numCpuThreads"),
        cores=record.get("summary.hardware.numCpuCores"),
        sockets=record.get("summary.hardware.numCpuPkgs"),
        memory_bytes=memory,
        memory_free_bytes=None if memory is None or used is None else max(0, memory - used * MIB),
        started=record.get("runtime.bootTime"),
        refusals=host_refusals(
            connection, maintenance, record.get("disabledMethod", frozenset()), record.get("runtime.powerState", "")
        ),
    )


def build_network(record: Record) -> Network | None:
    """One network or distributed port group; None for a switch's uplinks, to which no VM can be attached."""
    if UPLINKS in record.get("tag", ()):
        return None
    return Network(
        id=ObjectId(record.id),
        uuid=record.id,
        name=shown_name(record.get("name", "")),
        host_ids=tuple(ObjectId(host) for host in record.get("host", ())),
    )


def build_storage(record: Record) -> Storage:
    """One datastore."""
    size, free = record.get("summary.capacity"), record.get("summary.freeSpace")
    hosts = tuple(ObjectId(host) for host in record.get("host", ()))
    return Storage(
        id=ObjectId(record.id),
        uuid=record.get("summary.url", "") or record.id,
        name=shown_name(record.get("name", "")),
        kind=record.get("summary.type", "").lower(),
        shared=bool(record.get("summary.multipleHostAccess", len(hosts) > 1)),
        size_bytes=size,
        used_bytes=None if size is None or free is None else max(0, size - free),
        host_ids=hosts,
    )
