"""The columns of the VM table: what each one shows and how it sorts. No widgets; Tk thread or any other.

A row is computed once per changed VM, as plain strings that are safe to show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hvconsole.model import Inventory, ObjectId, PowerState, ToolsState, Vm, VmKind
from hvconsole.text import format_bytes, safe_text
from hvconsole.ui.charts import format_ms
from hvconsole.ui.wording import local_time, operation_words

_DIGITS = re.compile(r"(\d+)")

NaturalKey = tuple[tuple[int, int, str], ...]


def natural_key(text: str) -> NaturalKey:
    """Sort key that puts web-2 before web-10 and ignores case."""
    parts = _DIGITS.split(text.casefold()[:256])
    # digits outside ASCII (²) match \d? they don't, but isdecimal decides what int() takes
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p)


POWER_WORDS = {
    PowerState.RUNNING: "Running",
    PowerState.HALTED: "Halted",
    PowerState.SUSPENDED: "Suspended",
    PowerState.PAUSED: "Paused",
    PowerState.UNKNOWN: "Unknown",
}
_POWER_ORDER = {state: n for n, state in enumerate(POWER_WORDS)}

TOOLS_WORDS = {
    ToolsState.RUNNING: "Running",
    ToolsState.INSTALLED: "Installed",
    ToolsState.MISSING: "Missing",
    ToolsState.UNKNOWN: "—",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """What the monitor says about one VM, as far as the table shows it."""

    monitored: bool = False
    rtt_ms: float | None = None
    lost: bool = False
    """Nothing came back in the last round."""


NOT_WATCHED = Watched()


@dataclass(frozen=True, slots=True)
class Context:
    """What a row needs besides the VM: names of the objects that it refers to."""

    host_names: Mapping[ObjectId, str]
    pool_names: Mapping[ObjectId, str]
    watched: Callable[[ObjectId], Watched] = lambda _id: NOT_WATCHED
    silent_hosts: frozenset[ObjectId] = frozenset()
    """Hosts that do not answer: what their VMs do is not known."""

    @classmethod
    def of(cls, inventory: Inventory, watched: Callable[[ObjectId], Watched] | None = None) -> Context:
        """Names out of an inventory."""
        return cls(
            host_names={i: safe_text(h.name) for i, h in inventory.hosts.items()},
            pool_names={i: safe_text(p.name) for i, p in inventory.pools.items()},
            watched=watched or (lambda _id: NOT_WATCHED),
            silent_hosts=frozenset(h.id for h in inventory.hosts.values() if h.live is False),
        )

    def host_away(self, vm: Vm) -> bool:
        """Whether the VM would run on a host that does not answer."""
        return vm.host_id in self.silent_hosts and vm.power in (PowerState.RUNNING, PowerState.PAUSED)


Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``width`` in pixels at scale 1; ``key`` sorts, unknown values last when ascending."""

    id: str
    title: str
    width: int
    text: Callable[[Vm, Context], str]
    key: Callable[[Vm, Context], Key] | None = None
    numeric: bool = False
    shown: bool = True
    live: bool = False
    """Changes with every round of the monitor."""

    def sort_key(self, vm: Vm, context: Context) -> Key:
        """Key to sort by this column; rows that are equal in it sort by name."""
        key = self.key(vm, context) if self.key is not None else natural_key(self.text(vm, context))
        return (key, natural_key(vm.name))


def _number(value: float | None) -> Key:
    return (0, value) if value is not None else (1, 0)


def _memory(vm: Vm, context: Context) -> str:
    return format_bytes(vm.memory_bytes)


def _host(vm: Vm, context: Context) -> str:
    host = vm.host_id or vm.home_id
    return context.host_names.get(host, "") if host is not None else ""


def _pool(vm: Vm, context: Context) -> str:
    return context.pool_names.get(vm.pool_id, "") if vm.pool_id is not None else ""


def _addresses(vm: Vm, context: Context) -> str:
    if len(vm.addresses) > 1:
        return f"{safe_text(vm.addresses[0], 60)}  +{len(vm.addresses) - 1}"
    return safe_text(vm.addresses[0], 60) if vm.addresses else ""


def _disk_bytes(vm: Vm) -> int | None:
    sizes = [d.size_bytes for d in vm.disks if not d.is_cd and d.size_bytes is not None]
    return sum(sizes) if sizes else None


def _state(vm: Vm, context: Context) -> str:
    if context.host_away(vm):
        return "Host away"
    word = POWER_WORDS[vm.power] if vm.kind is VmKind.VM else vm.kind.value.capitalize()
    return f"{word} · {operation_words(vm.operations[0])}" if vm.operations else word


def _automatic(vm: Vm) -> int:
    return sum(1 for s in vm.snapshots if s.automatic)


def _snapshots(vm: Vm, context: Context) -> str:
    if not vm.snapshots:
        return ""
    own = _automatic(vm)
    return f"{len(vm.snapshots)} ({own} auto)" if own else str(len(vm.snapshots))


def _rtt(vm: Vm, context: Context) -> str:
    watched = context.watched(vm.id)
    if not watched.monitored:
        return ""
    return format_ms(watched.rtt_ms) if watched.rtt_ms is not None else "no reply" if watched.lost else "…"


def _rtt_key(vm: Vm, context: Context) -> Key:
    return _number(context.watched(vm.id).rtt_ms)


COLUMNS: tuple[Column, ...] = (
    Column("state", "State", 90, _state, lambda v, c: (_POWER_ORDER[v.power],)),
    Column("address", "Address", 96, _addresses),
    Column("rtt", "RTT", 74, _rtt, _rtt_key, numeric=True, live=True),
    Column("host", "Host", 100, _host),
    Column(
        "vcpus",
        "CPUs",
        52,
        lambda v, c: "" if v.vcpus is None else str(v.vcpus),
        lambda v, c: _number(v.vcpus),
        numeric=True,
    ),
    Column("memory", "Memory", 78, _memory, lambda v, c: _number(v.memory_bytes), numeric=True),
    Column(
        "disk",
        "Disk",
        84,
        lambda v, c: format_bytes(_disk_bytes(v)),
        lambda v, c: _number(_disk_bytes(v)),
        numeric=True,
        shown=False,
    ),
    Column("snapshots", "Snapshots", 84, _snapshots, lambda v, c: (-len(v.snapshots),), numeric=True),
    Column("os", "Operating system", 160, lambda v, c: safe_text(v.os or "", 120)),
    Column("tools", "Guest tools", 100, lambda v, c: TOOLS_WORDS[v.tools], shown=False),
    Column(
        "started",
        "Up since",
        130,
        lambda v, c: local_time(v.started),
        lambda v, c: _number(v.started.timestamp() if v.started else None),
        shown=False,
    ),
    Column("tags", "Tags", 120, lambda v, c: safe_text(", ".join(v.tags), 120), shown=False),
    Column("description", "Description", 220, lambda v, c: safe_text(v.description, 160), shown=False),
    Column("pool", "Pool", 120, _pool, shown=False),
    Column("uuid", "UUID", 260, lambda v, c: safe_text(v.uuid, 64), shown=False),
)
"""In the order of the column chooser. The name is the tree column and always shown."""

BY_ID = {column.id: column for column in COLUMNS}
DEFAULT_COLUMNS = tuple(column.id for column in COLUMNS if column.shown)


def chosen_columns(saved: object) -> tuple[str, ...]:
    """The columns to show out of what the settings remember; unknown ids are dropped."""
    if not isinstance(saved, (list, tuple)):
        return DEFAULT_COLUMNS
    known = tuple(dict.fromkeys(c for c in saved if isinstance(c, str) and c in BY_ID))
    return known or DEFAULT_COLUMNS
