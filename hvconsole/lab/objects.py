"""What a simulated data centre consists of: plain mutable records without behaviour.

They belong to a ``World`` and may be read or changed only while ``world.lock`` is held; whoever changes one says so
with ``world.changed(obj)``. Nothing here knows a protocol: each protocol server renders these in its own terms and
keeps what only it knows in ``extra``. Sizes are bytes, times are seconds since 1970 (float, UTC), ids are lower-case
UUIDs that never change and are unique in the whole world.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

GIB = 1 << 30
MIB = 1 << 20


class Power(enum.StrEnum):
    """Power state of a VM."""

    RUNNING = "running"
    HALTED = "halted"
    SUSPENDED = "suspended"
    PAUSED = "paused"


class HostState(enum.StrEnum):
    """State of a host. In every state but ``UP`` its server and its guests are silent."""

    UP = "up"
    FAILED = "failed"
    OFF = "off"
    REBOOTING = "rebooting"


@dataclass(slots=True, kw_only=True, eq=False)
class Site:
    """One thing that a client logs in to: a pool, a vCenter, a single host.

    ``kind`` is "xenserver", "vsphere" or "hyperv" and decides which protocol server serves it (``sites.py``);
    ``flavour`` is the kind's own sub-division ("vcenter" or "esxi"). ``master_id`` is the host that leads a pool.
    """

    id: str
    kind: str
    name: str
    flavour: str = ""
    description: str = ""
    product: str = ""
    version: str = ""
    user: str = "root"
    password: str = field(default="", repr=False)
    master_id: str | None = None
    default_storage_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Group:
    """A container: ``kind`` is "datacenter", "cluster", "folder" or "resource pool"."""

    id: str
    site_id: str
    kind: str
    name: str
    parent_id: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class HostNic:
    """A physical network card (or a VLAN on one) of a host. ``vlan`` -1 means untagged."""

    id: str
    device: str
    mac: str
    network_id: str
    address: str = ""
    netmask: str = ""
    gateway: str = ""
    management: bool = False
    link_up: bool = True
    speed_mbps: int = 10_000
    vlan: int = -1


@dataclass(slots=True, kw_only=True, eq=False)
class Host:
    """A physical host."""

    id: str
    site_id: str
    name: str
    address: str = ""
    description: str = ""
    state: HostState = HostState.UP
    enabled: bool = True
    """Takes new VMs."""
    maintenance: bool = False
    group_id: str | None = None
    product: str = ""
    version: str = ""
    vendor: str = "Dell Inc."
    hardware: str = "PowerEdge R650"
    serial: str = ""
    cpu_model: str = "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"
    cpu_mhz: int = 2000
    sockets: int = 2
    cores: int = 32
    cpus: int = 64
    memory_bytes: int = 256 * GIB
    booted: float = 0.0
    nics: list[HostNic] = field(default_factory=list)
    operations: dict[str, str] = field(default_factory=dict)
    """Task id → verb."""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Network:
    """A network VMs can be attached to."""

    id: str
    site_id: str
    name: str
    description: str = ""
    bridge: str = ""
    vlan: int = -1
    mtu: int = 1500
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Storage:
    """A place for disks. ``host_ids`` see it; ``kind`` is "nfs", "lvm", "ext", "iso", "vmfs", "ntfs"…"""

    id: str
    site_id: str
    name: str
    description: str = ""
    kind: str = "nfs"
    shared: bool = True
    holds_iso: bool = False
    size_bytes: int = 0
    used_bytes: int = 0
    host_ids: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Disk:
    """A virtual disk or CD image on a storage. ``snapshot_of`` is the disk it was taken from."""

    id: str
    site_id: str
    storage_id: str
    name: str = ""
    description: str = ""
    size_bytes: int = 0
    used_bytes: int = 0
    is_iso: bool = False
    read_only: bool = False
    snapshot_of: str | None = None
    taken: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Drive:
    """A drive of a VM: a disk attached at ``device``, or an empty CD drive (``disk_id`` None)."""

    id: str
    device: str
    disk_id: str | None = None
    is_cd: bool = False
    read_only: bool = False
    bootable: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Nic:
    """A VM's network card; ``addresses`` are the guest's own.

    ``plugged`` is the cable, which only the Lab menu moves; ``connected`` is the hypervisor's side of the card, which
    clients may disconnect and which every start connects again. A guest is reached only with both.
    """

    id: str
    device: str
    mac: str
    network_id: str | None
    plugged: bool = True
    connected: bool = True
    addresses: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Guest:
    """What runs inside a VM. ``tools_running`` follows power: it comes some time after the start."""

    os: str = ""
    """As the guest names itself: "Debian GNU/Linux 12 (bookworm)"; empty when nothing is installed."""
    family: str = "linux"
    """"linux", "windows" or "other"."""
    distro: str = ""
    major: str = ""
    minor: str = ""
    kernel: str = ""
    hostname: str = ""
    tools: bool = True
    """Guest tools are installed."""
    tools_version: str = ""
    tools_running: bool = False
    answers_ping: bool = True
    ignores_shutdown: bool = False
    """A guest that is asked to shut down and does not."""


@dataclass(slots=True, kw_only=True, eq=False)
class Vm:
    """A virtual machine, template or control domain."""

    id: str
    site_id: str
    name: str
    description: str = ""
    power: Power = Power.HALTED
    host_id: str | None = None
    """Where it runs (also while paused); None otherwise."""
    home_host_id: str | None = None
    folder_id: str | None = None
    resource_pool_id: str | None = None
    is_template: bool = False
    is_default_template: bool = False
    is_control_domain: bool = False
    tags: list[str] = field(default_factory=list)
    guest: Guest = field(default_factory=Guest)
    vcpus: int = 1
    memory_bytes: int = GIB
    drives: list[Drive] = field(default_factory=list)
    nics: list[Nic] = field(default_factory=list)
    started: float = 0.0
    """When it was last started (or resumed from nothing); for uptimes."""
    created: float = 0.0
    boots: int = 0
    """Counts starts: whoever waits for a guest to come up compares it."""
    stunned: bool = False
    """Frozen for a moment by a snapshot: answers nothing."""
    current_snapshot_id: str | None = None
    """The snapshot that the present state descends from."""
    operations: dict[str, str] = field(default_factory=dict)
    """Task id → verb, for everything under way."""
    blocked: dict[str, str] = field(default_factory=dict)
    """Verb → the administrator's reason."""
    suspended_on: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True, eq=False)
class Snapshot:
    """A point in time of a VM: what it was made of, so that it can be reverted to. ``vm_id`` may be gone."""

    id: str
    site_id: str
    vm_id: str
    name: str
    description: str = ""
    created: float = 0.0
    parent_id: str | None = None
    with_memory: bool = False
    quiesced: bool = False
    power: Power = Power.HALTED
    """Power state of the VM when it was taken."""
    vcpus: int = 1
    memory_bytes: int = GIB
    drives: list[Drive] = field(default_factory=list)
    nics: list[Nic] = field(default_factory=list)
    guest: Guest = field(default_factory=Guest)
    tags: list[str] = field(default_factory=list)
    operations: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


WorldObject = Site | Group | Host | Network | Storage | Disk | Vm | Snapshot

KINDS: dict[type, str] = {
    Site: "site",
    Group: "group",
    Host: "host",
    Network: "network",
    Storage: "storage",
    Disk: "disk",
    Vm: "vm",
    Snapshot: "snapshot",
}
"""Class → the word used in ``Change.kind`` and ``errors.NotFound``. Tasks have the word "task"."""
