"""How a row of the inventory tree looks: text, picture, round-trip time, tags. Pure: model and monitor state in.

Texts of servers go through ``safe_text`` here, on their way to the screen.
"""

from __future__ import annotations

from dataclasses import dataclass

from hvconsole.connection import Connection
from hvconsole.events import ConnectionState
from hvconsole.model import Host, Inventory, Pool, PoolKind, PowerState, Snapshot, Vm, VmKind
from hvconsole.monitor.status import MonitorState, MonitorStatus
from hvconsole.text import safe_text, shown_name
from hvconsole.ui.interfaces import Subject
from hvconsole.ui.wording import operation_words

_SHOWN_NAME = 120
"""Characters of a name in the tree."""

_POOL_ICONS = {
    PoolKind.POOL: "boxes",
    PoolKind.DATACENTER: "boxes",
    PoolKind.CLUSTER: "layers",
    PoolKind.FOLDER: "folder",
    PoolKind.RESOURCE_POOL: "cpu",
}

HOST_AWAY = "host away"
PLATFORM_NAMES = {"xenserver": "XenServer", "hyperv": "Hyper-V", "vsphere": "vSphere"}


@dataclass(frozen=True, slots=True)
class Look:
    """One row as it is drawn. ``sign`` and ``badge`` are as ``images.Images.row`` takes them."""

    text: str
    sign: str
    tick: bool | None = None
    badge: str = ""
    stale: bool = False
    rtt: str = ""
    tags: tuple[str, ...] = ()


def server_look(connection: Connection) -> Look:
    """A server: its name and product; how old its rows are when it is away."""
    name = safe_text(connection.name, _SHOWN_NAME)
    product = PLATFORM_NAMES.get(connection.profile.platform, connection.profile.platform)
    text = f"{name}  ·  {product}"
    state = connection.state
    badge = seen = ""
    inventory = connection.inventory
    if state is ConnectionState.CONNECTING:
        text = f"{name}  ·  connecting…"
    elif state is not ConnectionState.CONNECTED:
        age = connection.inventory_age_s
        seen = f"{short_age(age)} ago " if age is not None and inventory is not None else ""
        word = {
            ConnectionState.FAILED: "needs you",
            ConnectionState.RECONNECTING: "away",
            ConnectionState.CLOSED: "disconnected",
            ConnectionState.EMERGENCY: "emergency mode",
        }[state]
        text = f"{name}  ·  {word}"
        badge = "warn" if state is ConnectionState.CLOSED else "bad"
    return Look(text, "boxes", badge=badge, stale=not connection.connected, rtt=seen, tags=("server",))


def short_age(seconds: float) -> str:
    """How long ago, in few characters: "9 s", "3 min", "5 h", "41 d"."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds // 86_400)} d"


def pool_look(pool: Pool, stale: bool) -> Look:
    """A datacenter, cluster, folder or resource pool."""
    return Look(safe_text(pool.name, _SHOWN_NAME), _POOL_ICONS[pool.kind], stale=stale, tags=_tags(stale))


def host_look(host: Host, stale: bool) -> Look:
    """A host, with a sign when it does not answer or is in maintenance."""
    text = shown_name(host.name, host.uuid, _SHOWN_NAME)
    badge = ""
    if host.live is False:
        badge, text = "bad", f"{text}  ·  not answering"
    elif host.in_maintenance or not host.enabled:
        badge, text = "warn", f"{text}  ·  maintenance"
    return Look(text, "server", badge=badge, stale=stale, tags=_tags(stale))


def vm_look(vm: Vm, monitored: bool, status: MonitorStatus | None, stale: bool, host_away: bool = False) -> Look:
    """A VM with its tick box, state sign and round-trip time; a template without. ``host_away``: what the server says
    of the VM is as old as the last word of its host."""
    text = shown_name(vm.name, vm.uuid, _SHOWN_NAME)
    if vm.kind is not VmKind.VM:
        return Look(text, "copy", stale=stale, tags=_tags(stale, "dim"))
    sign = f"state:{vm.power}"
    tags = _tags(stale)
    rtt = ""
    if host_away:
        return Look(f"{text}  ·  {HOST_AWAY}", "state:unknown", tick=monitored, stale=stale, tags=_tags(stale, "dim"))
    if vm.operations:
        sign = "state:busy"
    if status is not None and monitored and vm.power is PowerState.RUNNING:
        rtt = rtt_text(status)
        if status.state in (MonitorState.DOWN, MonitorState.SUSPECT):
            lost = status.state is MonitorState.DOWN
            if lost and not vm.operations:
                sign = "state:error"
            tags = _tags(stale, "bad" if lost else "warn")
    if not tags and (vm.power is PowerState.HALTED or not vm.name.strip()):
        tags = ("dim",)
    return Look(text, sign, tick=monitored, stale=stale, rtt=rtt, tags=tags)


def runs(vm: Vm) -> bool:
    """Whether it is on a host's CPUs and memory."""
    return vm.power in (PowerState.RUNNING, PowerState.PAUSED)


def on_silent_host(inventory: Inventory, vm: Vm) -> bool:
    """Whether the VM would run on a host that does not answer: its state is the last that was heard of."""
    if not runs(vm) or vm.host_id is None:
        return False
    host = inventory.hosts.get(vm.host_id)
    return host is not None and host.live is False


def subject_name(subject: Subject, limit: int) -> str:
    """Name of what is selected, safe to show; never empty."""
    found = subject.snapshot or subject.vm or subject.host or subject.pool
    return shown_name(subject.name, str(getattr(found, "uuid", "") or subject.item.id or ""), limit)


def snapshot_look(snapshot: Snapshot, current: bool, stale: bool) -> Look:
    """A snapshot; the one that the present state descends from says so."""
    sign = "activity" if snapshot.automatic else "camera"
    text = shown_name(snapshot.name, snapshot.id, _SHOWN_NAME) + ("  ·  you are here" if current else "")
    return Look(text, sign, stale=stale, tags=_tags(stale, "dim"))


def rtt_text(status: MonitorStatus) -> str:
    """What the RTT column says about a monitored VM; ends with a blank that keeps it off the scroll bar."""
    if status.state is MonitorState.PAUSED:
        return "paused " if status.address else "no address "
    if status.state is MonitorState.LEARNING:
        return "waiting "
    if status.state in (MonitorState.DOWN, MonitorState.SUSPECT) or status.last_rtt_ms is None:
        return "no reply "
    rtt = status.last_rtt_ms
    return f"{rtt:.1f} ms " if rtt < 10 else f"{rtt:.0f} ms "


def vm_tip(vm: Vm, status: MonitorStatus | None) -> str:
    """What the tip over a VM's row says: what the row has no room for."""
    lines = [shown_name(vm.name, vm.uuid)]
    if vm.addresses:
        lines.append(", ".join(safe_text(address, 45) for address in vm.addresses[:3]))
    if vm.operations:
        lines.append("In progress: " + ", ".join(operation_words(name) for name in vm.operations[:3]))
    if status is not None and status.reason:
        lines.append(status.reason)
    return "\n".join(lines)


def _tags(stale: bool, *others: str) -> tuple[str, ...]:
    return ("stale",) if stale else others
