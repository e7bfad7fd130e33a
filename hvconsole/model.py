"""What a server looks like at one moment: frozen objects, shared between threads without locks.

A change makes a new ``Inventory`` that shares every object that did not change; ``diff`` therefore compares by
identity first. Any thread may read. All text in here is as the server sent it: hostile until it went through
``text.safe_text`` (window, terminal) or an encoder (wire, files).
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, NewType, TypeVar

ObjectId = NewType("ObjectId", str)
"""Stable id of an object within one server: XenAPI uuid, vSphere moid, Hyper-V GUID."""

ServerId = NewType("ServerId", str)
"""Id of a configured connection (``profiles.ServerProfile.id``)."""


class PowerState(enum.StrEnum):
    """Power state of a VM; the values are those of ``hvconsole list --json``."""

    RUNNING = "running"
    HALTED = "halted"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    UNKNOWN = "unknown"


class ToolsState(enum.StrEnum):
    """Guest tools / integration services."""

    RUNNING = "running"
    INSTALLED = "installed"
    MISSING = "missing"
    UNKNOWN = "unknown"


class VmKind(enum.StrEnum):
    """What a VM record is. Snapshots are never in ``Inventory.vms``; they hang on their VM."""

    VM = "vm"
    TEMPLATE = "template"
    DEFAULT_TEMPLATE = "default template"
    CONTROL_DOMAIN = "control domain"


class PoolKind(enum.StrEnum):
    """Kinds of container above hosts and VMs."""

    POOL = "pool"
    DATACENTER = "datacenter"
    CLUSTER = "cluster"
    FOLDER = "folder"
    RESOURCE_POOL = "resource pool"


class Verb(enum.StrEnum):
    """Everything that can be asked of a server; the values are the names of ``hvconsole run``."""

    START = "start"
    START_ON = "start-on"
    SHUTDOWN = "shutdown"
    POWER_OFF = "power-off"
    REBOOT = "reboot"
    RESET = "reset"
    SUSPEND = "suspend"
    STANDBY = "standby"
    RESUME = "resume"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SNAPSHOT = "snapshot"
    SNAPSHOT_MEMORY = "snapshot-memory"
    SNAPSHOT_QUIESCE = "snapshot-quiesce"
    REVERT = "revert"
    DELETE_SNAPSHOT = "delete-snapshot"
    CREATE = "create"
    CLONE = "clone"
    COPY = "copy"
    RENAME = "rename"
    DELETE = "delete"
    UNREGISTER = "unregister"
    MIGRATE = "migrate"
    TO_TEMPLATE = "to-template"
    TO_VM = "to-vm"
    EXPORT = "export"
    IMPORT = "import"
    ENTER_MAINTENANCE = "enter-maintenance"
    LEAVE_MAINTENANCE = "leave-maintenance"
    HOST_REBOOT = "host-reboot"
    HOST_SHUTDOWN = "host-shutdown"
    CHANGE_PASSWORD = "change-password"
    BECOME_MASTER = "become-master"
    POINT_TO_MASTER = "point-to-master"


Refusals = Mapping[Verb, str]
"""Verb → one sentence why the server would refuse it now. A verb that is absent may be tried."""

NO_REFUSALS: Refusals = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A server's TLS certificate as presented; ``sha256`` is 64 lower-case hex digits without colons."""

    host: str
    port: int
    sha256: str
    subject: str = ""
    issuer: str = ""
    not_before: dt.datetime | None = None
    not_after: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """Who we are talking to. ``platform`` is "xenserver", "hyperv" or "vsphere"; for showing, not for branching."""

    platform: str
    product: str
    version: str
    address: str
    port: int
    user: str
    read_only: str = ""
    """Why nothing can be written (a licence), or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A VM's virtual network card. ``device`` is the server's own number or name of it."""

    id: ObjectId
    device: str
    mac: str = ""
    network_id: ObjectId | None = None
    network: str = ""
    connected: bool | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A VM's virtual disk or CD drive. ``shared_with`` names other VMs that use the same disk."""

    id: ObjectId
    name: str = ""
    device: str = ""
    is_cd: bool = False
    size_bytes: int | None = None
    used_bytes: int | None = None
    storage_id: ObjectId | None = None
    storage: str = ""
    read_only: bool = False
    shared_with: tuple[str, ...] = ()


AUTOMATIC_MARK = "[hvconsole automatic snapshot]"
"""First line of the description of every snapshot that the monitor took; retention touches only those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One snapshot of a VM. ``parent_id`` is None for a root; cycles and strangers are cut by the backend."""

    id: ObjectId
    name: str
    description: str = ""
    created: dt.datetime | None = None
    parent_id: ObjectId | None = None
    with_memory: bool = False
    quiesced: bool | None = None
    size_bytes: int | None = None

    @property
    def automatic(self) -> bool:
        """True if the monitor took it."""
        return self.description.startswith(AUTOMATIC_MARK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """A VM or template: what the tree, the table and the monitor need. More is in ``VmDetails``."""

    id: ObjectId
    uuid: str
    name: str
    description: str = ""
    kind: VmKind = VmKind.VM
    power: PowerState = PowerState.UNKNOWN
    host_id: ObjectId | None = None
    """Where it runs now; None when it does not run."""
    home_id: ObjectId | None = None
    """Host under which the tree shows it; None = directly under its pool."""
    pool_id: ObjectId | None = None
    folder_id: ObjectId | None = None
    resource_pool_id: ObjectId | None = None
    tags: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Guest addresses, IPv4 before IPv6, in the order of the cards; empty unless running."""
    nics: tuple[Nic, ...] = ()
    disks: tuple[Disk, ...] = ()
    os: str | None = None
    tools: ToolsState = ToolsState.UNKNOWN
    tools_text: str = ""
    """What the tools report about themselves, e.g. "8.4.0-1, up to date"."""
    vcpus: int | None = None
    memory_bytes: int | None = None
    started: dt.datetime | None = None
    snapshots: tuple[Snapshot, ...] = ()
    current_snapshot_id: ObjectId | None = None
    """The snapshot that the present state descends from ("you are here")."""
    operations: tuple[str, ...] = ()
    """What the server is doing with it now, in the server's words ("snapshot", "pool_migrate")."""
    refusals: Refusals = field(default_factory=lambda: NO_REFUSALS)

    def snapshot(self, snapshot_id: ObjectId) -> Snapshot | None:
        """The snapshot with that id, or None."""
        return next((s for s in self.snapshots if s.id == snapshot_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A physical host."""

    id: ObjectId
    uuid: str
    name: str
    description: str = ""
    address: str = ""
    pool_id: ObjectId | None = None
    is_master: bool = False
    live: bool | None = None
    """Whether the server says that the host answers; None = not known."""
    enabled: bool = True
    """Accepts new VMs; False while in maintenance or being shut down."""
    in_maintenance: bool = False
    product: str = ""
    version: str = ""
    cpu_model: str = ""
    cpus: int | None = None
    cores: int | None = None
    sockets: int | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    started: dt.datetime | None = None
    operations: tuple[str, ...] = ()
    refusals: Refusals = field(default_factory=lambda: NO_REFUSALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool, datacenter, cluster, folder or resource pool. ``parent_id`` nests them."""

    id: ObjectId
    uuid: str
    name: str
    description: str = ""
    kind: PoolKind = PoolKind.POOL
    parent_id: ObjectId | None = None
    master_id: ObjectId | None = None
    default_storage_id: ObjectId | None = None
    refusals: Refusals = field(default_factory=lambda: NO_REFUSALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network that VMs can be attached to."""

    id: ObjectId
    uuid: str
    name: str
    description: str = ""
    bridge: str = ""
    host_ids: tuple[ObjectId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A storage repository, datastore or volume. ``holds_iso``: it holds CD images, not disks."""

    id: ObjectId
    uuid: str
    name: str
    kind: str = ""
    shared: bool = False
    holds_iso: bool = False
    size_bytes: int | None = None
    used_bytes: int | None = None
    host_ids: tuple[ObjectId, ...] = ()

    @property
    def free_bytes(self) -> int | None:
        """Free space in bytes, or None where the server does not say."""
        if self.size_bytes is None or self.used_bytes is None:
            return None
        return max(0, self.size_bytes - self.used_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """A pool member that was logged in to locally because its master is away."""

    host_address: str
    in_emergency_mode: bool
    cause: str = ""
    known_members: tuple[str, ...] = ()
    master_address: str = ""
    """Where the host says that its pool's master is (unverified); empty in an emergency, or where it isn't known."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything known about one server at one moment. Mappings are never modified after construction."""

    server: ServerInfo
    taken: dt.datetime
    pools: Mapping[ObjectId, Pool] = field(default_factory=dict)
    hosts: Mapping[ObjectId, Host] = field(default_factory=dict)
    vms: Mapping[ObjectId, Vm] = field(default_factory=dict)
    networks: Mapping[ObjectId, Network] = field(default_factory=dict)
    storages: Mapping[ObjectId, Storage] = field(default_factory=dict)
    emergency: Emergency | None = None


@dataclass(frozen=True, slots=True)
class Changes(Generic[T]):
    """What happened to one kind of object between two inventories; ids only."""

    added: tuple[ObjectId, ...] = ()
    changed: tuple[ObjectId, ...] = ()
    removed: tuple[ObjectId, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True)
class InventoryDiff:
    """What happened between two inventories of the same server."""

    pools: Changes[Pool]
    hosts: Changes[Host]
    vms: Changes[Vm]
    networks: Changes[Network]
    storages: Changes[Storage]

    def __bool__(self) -> bool:
        return any((self.pools, self.hosts, self.vms, self.networks, self.storages))


def changes(old: Mapping[ObjectId, T], new: Mapping[ObjectId, T]) -> Changes[T]:
    """Ids added, changed and removed between two mappings; unchanged objects are recognised by identity."""
    if old is new:
        return Changes()
    added: list[ObjectId] = []
    changed: list[ObjectId] = []
    for key, value in new.items():
        before = old.get(key)
        if before is value:
            continue
        if before is None:
            added.append(key)
        elif before != value:
            changed.append(key)
    removed = tuple(key for key in old if key not in new) if len(old) + len(added) != len(new) else ()
    return Changes(tuple(added), tuple(changed), removed)


def diff(old: Inventory | None, new: Inventory) -> InventoryDiff:
    """What changed from ``old`` to ``new``; with ``old`` None everything in ``new`` is added."""
    if old is None:
        old = Inventory(server=new.server, taken=new.taken)
    return InventoryDiff(
        pools=changes(old.pools, new.pools),
        hosts=changes(old.hosts, new.hosts),
        vms=changes(old.vms, new.vms),
        networks=changes(old.networks, new.networks),
        storages=changes(old.storages, new.storages),
    )


# ---- details that are asked for when looked at -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VmDetails:
    """What the General tab shows beyond ``Vm``. ``facts`` are extra label/value pairs in the order to show."""

    vm_id: ObjectId
    nics: tuple[Nic, ...] = ()
    disks: tuple[Disk, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNic:
    """A physical network card of a host."""

    name: str
    mac: str = ""
    network: str = ""
    address: str = ""
    netmask: str = ""
    gateway: str = ""
    management: bool = False
    link_up: bool | None = None
    speed_mbps: int | None = None
    vlan: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDetails:
    """Answer of ``host_info``."""

    host_id: ObjectId
    nics: tuple[HostNic, ...] = ()
    storages: tuple[ObjectId, ...] = ()
    licence: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One measured quantity: ``unit`` is "fraction", "bytes" or "bytes/s"; None where there is no sample."""

    name: str
    unit: str
    values: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Equally spaced samples, oldest first; ``end`` is the time of the last one."""

    step_s: float
    end: dt.datetime
    series: tuple[Series, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLink:
    """One line of a host's network map: physical card → network → VM card."""

    network_id: ObjectId | None
    network: str
    host_nics: tuple[HostNic, ...] = ()
    vm_nics: tuple[tuple[ObjectId, Nic], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkMap:
    """Answer of ``network_map``."""

    host_id: ObjectId
    links: tuple[NetworkLink, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """A message or event that the server recorded itself."""

    when: dt.datetime
    name: str
    text: str
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleAddress:
    """Where an external viewer can reach a VM's console. ``protocol`` is "rfb", "rdp", "vmrc", "https"."""

    protocol: str
    location: str
    note: str = ""
