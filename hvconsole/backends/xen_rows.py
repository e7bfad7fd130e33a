"""XenAPI records → small typed rows with the fields that the inventory needs. Pure; any thread.

Rows are compared: an event that changed nothing we show rebuilds nothing. References are text, null is "".
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from hvconsole.backends import xen_fields as f
from hvconsole.backends.xen_fields import Record
from hvconsole.model import PowerState, VmKind


class PoolRow(NamedTuple):
    """The pool; there is exactly one."""

    uuid: str
    name: str
    description: str
    master: str
    default_sr: str


class HostRow(NamedTuple):
    """A host."""

    uuid: str
    name: str
    description: str
    address: str
    enabled: bool
    metrics: str
    product: str
    version: str
    cpu_model: str
    cpus: int | None
    sockets: int | None
    cores: int | None
    started: dt.datetime | None
    operations: tuple[str, ...]
    edition: str


class HostMetricsRow(NamedTuple):
    """What a host measures of itself."""

    live: bool | None
    memory_total: int | None
    memory_free: int | None


class VmRow(NamedTuple):
    """A VM, template, control domain or snapshot."""

    uuid: str
    name: str
    description: str
    kind: VmKind
    is_snapshot: bool
    power: PowerState
    resident_on: str
    affinity: str
    snapshot_of: str
    snapshot_time: dt.datetime | None
    quiesced: bool | None
    parent: str
    metrics: str
    guest_metrics: str
    vcpus: int | None
    memory: int | None
    tags: tuple[str, ...]
    allowed: frozenset[str] | None
    """None: the server does not say."""
    operations: tuple[str, ...]
    tasks: tuple[str, ...]
    blocked: tuple[tuple[str, str], ...]


class VmMetricsRow(NamedTuple):
    """What the hypervisor knows of a running VM."""

    memory: int | None
    vcpus: int | None
    started: dt.datetime | None


class GuestRow(NamedTuple):
    """What the tools in a guest report; it outlives a shutdown."""

    os: str | None
    version: str
    """Of the tools; empty where they do not run or report none."""
    drivers: bool
    """The guest's I/O drivers are there (Windows may have them without the agent)."""
    agent: bool
    up_to_date: bool | None
    addresses: tuple[tuple[str, tuple[str, ...]], ...]
    """(device, addresses) in the order of the devices."""


class VifRow(NamedTuple):
    """A VM's network card."""

    uuid: str
    vm: str
    device: str
    mac: str
    network: str
    connected: bool | None


class VbdRow(NamedTuple):
    """A drive of a VM: a disk attached to it, or a CD drive."""

    uuid: str
    vm: str
    vdi: str
    device: str
    userdevice: str
    is_cd: bool
    read_only: bool


class VdiRow(NamedTuple):
    """A virtual disk or CD image."""

    uuid: str
    name: str
    sr: str
    size: int | None
    used: int | None


class SrRow(NamedTuple):
    """A storage repository."""

    uuid: str
    name: str
    kind: str
    shared: bool
    iso: bool
    size: int | None
    used: int | None


class PbdRow(NamedTuple):
    """A host's connection to a storage."""

    host: str
    sr: str
    attached: bool


class NetworkRow(NamedTuple):
    """A network."""

    uuid: str
    name: str
    description: str
    bridge: str


class PifRow(NamedTuple):
    """A host's physical card in a network."""

    network: str
    host: str


Row = (
    PoolRow
    | HostRow
    | HostMetricsRow
    | VmRow
    | VmMetricsRow
    | GuestRow
    | VifRow
    | VbdRow
    | VdiRow
    | SrRow
    | PbdRow
    | NetworkRow
    | PifRow
)


@lru_cache(maxsize=4096)
def _operations(names: tuple[str, ...]) -> frozenset[str]:
    """Thousands of VMs allow the same operations: one set for all of them."""
    return frozenset(names)


def pool_row(record: Record) -> PoolRow:
    """A ``pool`` record."""
    return PoolRow(
        f.text(record, "uuid"),
        f.text(record, "name_label"),
        f.text(record, "name_description"),
        f.ref(record, "master"),
        f.ref(record, "default_SR"),
    )


def host_row(record: Record) -> HostRow:
    """A ``host`` record."""
    software = f.texts(record, "software_version")
    cpu = f.mapping(record, "cpu_info")
    threads = f.number(cpu, "threads_per_core") or 0
    cpus = f.size(cpu, "cpu_count") or len(f.refs(record, "host_CPUs")) or None
    return HostRow(
        f.text(record, "uuid"),
        f.text(record, "name_label"),
        f.text(record, "name_description"),
        f.text(record, "address"),
        f.flag(record, "enabled", True),
        f.ref(record, "metrics"),
        software.get("product_brand", "") or "XenServer",
        software.get("product_version", "") or software.get("product_version_text", ""),
        " ".join(f.text(cpu, "modelname").split()),
        cpus,
        f.size(cpu, "socket_count") or None,
        cpus // threads if cpus and threads > 0 else None,
        f.epoch(f.texts(record, "other_config").get("boot_time", "")),
        tuple(sorted({v for v in f.mapping(record, "current_operations").values() if isinstance(v, str)})),
        f.text(record, "edition"),
    )


def host_metrics_row(record: Record) -> HostMetricsRow:
    """A ``host_metrics`` record."""
    live = record.get("live")
    return HostMetricsRow(
        live if isinstance(live, bool) else None, f.size(record, "memory_total"), f.size(record, "memory_free")
    )


def vm_row(record: Record) -> VmRow:
    """A ``VM`` record."""
    snapshot = f.flag(record, "is_a_snapshot")
    current = f.mapping(record, "current_operations")
    allowed = record.get("allowed_operations")
    listed = _operations(f.strings(record, "allowed_operations")) if isinstance(allowed, list) else None
    if not listed and not current:
        listed = None  # every VM allows something: such a server does not keep the list
    quiesce = f.mapping(record, "snapshot_info").get("disk-snapshot-type")
    return VmRow(
        f.text(record, "uuid"),
        f.text(record, "name_label"),
        f.text(record, "name_description"),
        kind_of(record),
        snapshot,
        f.power(record),
        f.ref(record, "resident_on"),
        f.ref(record, "affinity"),
        f.ref(record, "snapshot_of"),
        f.date(record, "snapshot_time") if snapshot else None,
        quiesce == "quiesced" if isinstance(quiesce, str) and quiesce else None,
        f.ref(record, "parent"),
        f.ref(record, "metrics"),
        f.ref(record, "guest_metrics"),
        f.size(record, "VCPUs_at_startup") or f.size(record, "VCPUs_max"),
        f.size(record, "memory_dynamic_max") or f.size(record, "memory_static_max"),
        f.strings(record, "tags"),
        listed,
        tuple(sorted({v for v in current.values() if isinstance(v, str)})) if current else (),
        tuple(sorted(k for k in current if isinstance(k, str))) if current else (),
        tuple(sorted(f.texts(record, "blocked_operations").items())) if record.get("blocked_operations") else (),
    )


def kind_of(record: Record) -> VmKind:
    """What a ``VM`` record is."""
    # In this order: snapshots are templates too, and a control domain is none of both.
    if f.flag(record, "is_control_domain"):
        return VmKind.CONTROL_DOMAIN
    if not f.flag(record, "is_a_template"):
        return VmKind.VM
    if f.flag(record, "is_default_template") or f.mapping(record, "other_config").get("default_template") == "true":
        return VmKind.DEFAULT_TEMPLATE
    return VmKind.TEMPLATE


def vm_metrics_row(record: Record) -> VmMetricsRow:
    """A ``VM_metrics`` record."""
    return VmMetricsRow(f.size(record, "memory_actual"), f.size(record, "VCPUs_number"), f.date(record, "start_time"))


def guest_row(record: Record) -> GuestRow:
    """A ``VM_guest_metrics`` record."""
    version = f.texts(record, "PV_drivers_version")
    os = f.texts(record, "os_version")
    # major and minor are what running tools always report; micro may be "-1"
    numbers = [version.get(part, "") for part in ("major", "minor", "micro")]
    reported = bool(numbers[0] and numbers[1])
    shown = ".".join(part for part in numbers if part and part != "-1") if reported else ""
    if shown and version.get("build"):
        shown += f"-{version['build']}"
    detected = record.get("PV_drivers_detected")
    drivers = reported or detected is True
    windows = "windows" in (os.get("distro", "") + os.get("name", "")).lower()
    other = f.texts(record, "other")
    feature = other.get("feature-static-ip-setting")
    has_agent = feature != "0" if feature is not None else bool(f.mapping(record, "networks"))
    up_to_date = record.get("PV_drivers_up_to_date")
    return GuestRow(
        os.get("name", "").split("|")[0].strip() or None,
        shown,
        drivers,
        # Windows from 7.0 on: drivers may come from Windows Update, without the agent that answers a shutdown
        has_agent if windows and isinstance(detected, bool) else reported,
        up_to_date if isinstance(up_to_date, bool) else None,
        guest_addresses(f.texts(record, "networks")),
    )


def guest_addresses(networks: Mapping[str, str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Addresses by card number out of the keys ``0/ip``, ``0/ipv4/1``, ``0/ipv6/0``; IPv4 first; each once."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    for key, value in networks.items():
        device, slash, rest = key.partition("/")
        if not slash or rest.partition("/")[0] not in ("ip", "ipv4", "ipv6"):
            continue
        index = rest.rpartition("/")[2]
        order = int(index) if index.isascii() and index.isdigit() and len(index) < 6 else -1
        # some agents put several addresses into one value
        for part in value.split()[:64]:
            address = _address(part)
            if address is not None:
                found.setdefault(device, []).append((address[0], order, address[1]))
    return tuple(
        (device, tuple(dict.fromkeys(item[2] for item in sorted(found[device]))))
        for device in sorted(found, key=_by_number)
    )


@lru_cache(maxsize=65536)
def _address(part: str) -> tuple[int, str] | None:
    """(rank, address as everybody writes it), or None for what no ping can reach."""
    try:
        address = ipaddress.ip_address(part.partition("%")[0])
    except ValueError:
        return None
    if address.is_unspecified or address.is_multicast or str(address) in ("127.0.0.1", "::1"):
        return None
    if address.version == 4:
        return 0, str(address)
    return 2 if address.is_link_local else 1, str(address)


def _by_number(device: str) -> tuple[int, str]:
    return (int(device), "") if device.isascii() and device.isdigit() and len(device) < 10 else (1 << 40, device)


def vif_row(record: Record) -> VifRow:
    """A ``VIF`` record."""
    attached = record.get("currently_attached")
    return VifRow(
        f.text(record, "uuid"),
        f.ref(record, "VM"),
        f.text(record, "device"),
        f.text(record, "MAC"),
        f.ref(record, "network"),
        attached if isinstance(attached, bool) else None,
    )


def vbd_row(record: Record) -> VbdRow:
    """A ``VBD`` record."""
    return VbdRow(
        f.text(record, "uuid"),
        f.ref(record, "VM"),
        "" if f.flag(record, "empty") else f.ref(record, "VDI"),
        f.text(record, "device"),
        f.text(record, "userdevice"),
        f.text(record, "type") == "CD",
        f.text(record, "mode") == "RO",
    )


def vdi_row(record: Record) -> VdiRow:
    """A ``VDI`` record."""
    return VdiRow(
        f.text(record, "uuid"),
        f.text(record, "name_label"),
        f.ref(record, "SR"),
        f.size(record, "virtual_size"),
        f.size(record, "physical_utilisation"),
    )


def sr_row(record: Record) -> SrRow:
    """A ``SR`` record."""
    total = f.size(record, "physical_size") or None  # 0 and -1: the storage cannot tell
    return SrRow(
        f.text(record, "uuid"),
        f.text(record, "name_label"),
        f.text(record, "type"),
        f.flag(record, "shared"),
        f.text(record, "content_type") == "iso",
        total,
        f.size(record, "physical_utilisation") if total is not None else None,
    )


def pbd_row(record: Record) -> PbdRow:
    """A ``PBD`` record."""
    return PbdRow(f.ref(record, "host"), f.ref(record, "SR"), f.flag(record, "currently_attached"))


def network_row(record: Record) -> NetworkRow:
    """A ``network`` record."""
    return NetworkRow(
        f.text(record, "uuid"),
        f.text(record, "name_label"),
        f.text(record, "name_description"),
        f.text(record, "bridge"),
    )


def pif_row(record: Record) -> PifRow:
    """A ``PIF`` record."""
    return PifRow(f.ref(record, "network"), f.ref(record, "host"))


PARSERS: Mapping[str, Callable[[Mapping[str, Any]], Row]] = {
    "pool": pool_row,
    "host": host_row,
    "host_metrics": host_metrics_row,
    "VM": vm_row,
    "VM_metrics": vm_metrics_row,
    "VM_guest_metrics": guest_row,
    "VIF": vif_row,
    "VBD": vbd_row,
    "VDI": vdi_row,
    "SR": sr_row,
    "PBD": pbd_row,
    "network": network_row,
    "PIF": pif_row,
}
"""Class → parser: exactly the classes that are read and watched."""
