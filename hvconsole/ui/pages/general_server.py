"""General tab of a server or pool: what it is, its hosts, totals, storages, and the emergency card. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Iterable
from tkinter import ttk

from hvconsole.backends.base import Capability
from hvconsole.errors import HvError
from hvconsole.model import (
    Host,
    Inventory,
    ObjectId,
    Pool,
    PoolKind,
    PowerState,
    ServerEvent,
    Storage,
    Verb,
    Vm,
    VmKind,
)
from hvconsole.text import format_bytes, format_duration, safe_text, shown_name
from hvconsole.ui.asking import Asker
from hvconsole.ui.cards import GAP, MARGIN, Card, Facts, Meter, MiniTable, ScrollArea, stack_when_narrow, wrap_to_width
from hvconsole.ui.columns import natural_key
from hvconsole.ui.dialogs.server import WORKS_IN_EMERGENCY, emergency_text
from hvconsole.ui.header import connection_word
from hvconsole.ui.interfaces import Item, ItemKind, Selection, Shell, Subject
from hvconsole.ui.looks import PLATFORM_NAMES, on_silent_host, runs
from hvconsole.ui.pages.general_host import host_state, storage_row
from hvconsole.ui.wording import local_time, near_time


def pools_below(inventory: Inventory, pool: Pool) -> frozenset[ObjectId]:
    """A pool and everything nested in it."""
    found = {pool.id}
    grown = True
    while grown:
        more = {p.id for p in inventory.pools.values() if p.parent_id in found} - found
        grown = bool(more)
        found |= more
    return frozenset(found)


def hosts_of(inventory: Inventory, pool: Pool | None) -> list[Host]:
    """Hosts of a pool (or of the whole server), by name."""
    if pool is None:
        hosts: Iterable[Host] = inventory.hosts.values()
    else:
        inside = pools_below(inventory, pool)
        hosts = (h for h in inventory.hosts.values() if h.pool_id in inside)
    return sorted(hosts, key=lambda h: natural_key(h.name))


def vms_of(inventory: Inventory, pool: Pool | None) -> list[Vm]:
    """The plain VMs of a pool, folder or resource pool, or of the whole server."""
    vms = [v for v in inventory.vms.values() if v.kind is VmKind.VM]
    if pool is None:
        return vms
    inside = pools_below(inventory, pool)
    return [v for v in vms if v.pool_id in inside or v.folder_id in inside or v.resource_pool_id in inside]


def running_cpus(vms: Iterable[Vm], inventory: Inventory) -> int:
    """Virtual CPUs of the VMs that are known to run."""
    running = (v for v in vms if v.power is PowerState.RUNNING and not on_silent_host(inventory, v))
    return sum(v.vcpus or 0 for v in running)


def power_words(vms: Iterable[Vm], inventory: Inventory | None = None) -> str:
    """ "12 running, 3 halted": how many VMs are in which state; those on hosts that do not answer apart."""
    all_vms = list(vms)
    silent = {h.id for h in inventory.hosts.values() if h.live is False} if inventory is not None else set()
    vms = [v for v in all_vms if v.host_id not in silent or not runs(v)] if silent else all_vms
    words = {
        PowerState.RUNNING: "running",
        PowerState.HALTED: "halted",
        PowerState.SUSPENDED: "suspended",
        PowerState.PAUSED: "paused",
        PowerState.UNKNOWN: "unknown",
    }
    parts = [f"{n:,} {word}" for state, word in words.items() if (n := sum(1 for v in vms if v.power is state))]
    if len(vms) < len(all_vms):
        parts.append(f"{len(all_vms) - len(vms):,} on hosts that don't answer")
    return ", ".join(parts) or "none"


def host_row(host: Host, running: int) -> tuple[str, ...]:
    """One line of the table of hosts."""
    free = format_bytes(host.memory_free_bytes) if host.memory_free_bytes is not None else ""
    there = f"{running:,}"
    if host.live is False:  # what was heard last is not what is
        free = there = "—"
    return (shown_name(host.name, host.uuid, 60), host_state(host), there, free, safe_text(host.address, 60))


class ServerView:
    """Everything about one server, pool, cluster or folder."""

    def __init__(self, shell: Shell, parent: tk.Misc, asker: Asker) -> None:
        self.shell, self.asker = shell, asker
        self.theme = shell.theme
        px = self.theme.px
        self._drawn: object = None
        self.area = ScrollArea(self.theme, parent)
        body = self.area.body
        for column in (0, 1):
            body.columnconfigure(column, weight=1, uniform="half")
        left, right = (px(MARGIN), px(GAP / 2)), (px(GAP / 2), px(MARGIN))
        wide_pad = px(MARGIN)
        self._emergency = Card(self.theme, body, "Emergency mode", "triangle-alert")
        self._emergency.frame.grid(row=0, column=0, columnspan=2, sticky="ew", padx=wide_pad, pady=(px(14), 0))
        self._emergency.frame.grid_remove()
        self._build_emergency()
        about = Card(self.theme, body, "Server", "boxes")
        about.frame.grid(row=2, column=0, sticky="nsew", padx=left, pady=(px(14), px(GAP)))
        self._title = about.title
        self.facts = Facts(self.theme, about.body)
        self.facts.frame.pack(fill="x")
        resources = Card(self.theme, body, "Resources", "cpu")
        resources.frame.grid(row=2, column=1, sticky="nsew", padx=right, pady=(px(14), px(GAP)))
        self.memory = Meter(self.theme, resources.body, "Memory of the hosts")
        self.storage = Meter(self.theme, resources.body, "Storage")
        for meter in (self.memory, self.storage):
            meter.frame.pack(fill="x", pady=px(4))
        self.totals = Facts(self.theme, resources.body)
        self.totals.frame.pack(fill="x", pady=(px(6), 0))
        hosts = self._hosts_card = Card(self.theme, body, "Hosts", "server")
        hosts.frame.grid(row=4, column=0, columnspan=2, sticky="nsew", padx=wide_pad, pady=(0, px(GAP)))
        self.hosts = MiniTable(
            self.theme, hosts.body, ("Host", "State", "Running VMs", "Free memory", "Address"), numeric=(2, 3)
        )
        self.hosts.frame.pack(fill="x")
        storages = self._storages_card = Card(self.theme, body, "Storage", "database")
        storages.frame.grid(row=6, column=0, columnspan=2, sticky="nsew", padx=wide_pad, pady=(0, px(GAP)))
        self.storages = MiniTable(self.theme, storages.body, ("Name", "Kind", "Free", "Used"), numeric=(2,))
        self.storages.frame.pack(fill="x")
        self._messages = Card(self.theme, body, "Messages of the server", "bell")
        self._messages.frame.grid(row=8, column=0, columnspan=2, sticky="nsew", padx=wide_pad, pady=(0, px(MARGIN)))
        self.messages = MiniTable(self.theme, self._messages.body, ("When", "What", "About", "Message"))
        self.messages.frame.pack(fill="x")
        stack_when_narrow(self.theme, body, [(about.frame, resources.frame)])

    def _build_emergency(self) -> None:
        px = self.theme.px
        body = self._emergency.body
        self.emergency_words = ttk.Label(body, style="Card.TLabel", justify="left", anchor="w")
        self.emergency_words.pack(fill="x")
        works = ttk.Label(body, text=WORKS_IN_EMERGENCY, style="Card.Muted.TLabel", justify="left", anchor="w")
        works.pack(fill="x", pady=(px(4), px(8)))
        for words in (self.emergency_words, works):
            wrap_to_width(words)
        buttons = ttk.Frame(body, style="CardIn.TFrame")
        buttons.pack(anchor="w")
        self.become = ttk.Button(
            buttons,
            text="Make this host master",
            style="Card.Danger.TButton",
            command=lambda: self._run(Verb.BECOME_MASTER),
        )
        self.point = ttk.Button(
            buttons,
            text="Point to another master…",
            style="Card.TButton",
            command=lambda: self._run(Verb.POINT_TO_MASTER),
        )
        self.become.pack(side="left", padx=(0, px(8)))
        self.point.pack(side="left")

    def _run(self, verb: Verb) -> None:
        server_id = self.shell.selection.server_id
        if server_id is not None:
            self.shell.run(verb, Selection((Item(ItemKind.SERVER, server_id),)))

    def show(self, subject: Subject, fresh: bool) -> None:
        """Draw what differs."""
        connection = subject.connection
        state = (connection.inventory, connection.state, connection.error, connection.emergency, subject.pool)
        if not fresh and state == self._drawn:
            return
        self._drawn = state
        if fresh:
            self._ask_messages(subject)
        inventory, pool = connection.inventory, subject.pool
        self._title.configure(text=pool.kind.value.capitalize() if pool is not None else "Server")
        self.facts.show(self._facts(subject))
        self._show_emergency(subject)
        if inventory is None:
            self.totals.show([(title, "—") for title in ("VMs", "Virtual CPUs", "Snapshots")])
            self._show_memory([])
            self._show_storage([])
            for card in (self._hosts_card, self._storages_card):
                card.frame.grid_remove()
            return
        for card in (self._hosts_card, self._storages_card):
            card.frame.grid()
        hosts, vms = hosts_of(inventory, pool), vms_of(inventory, pool)
        running: dict[ObjectId | None, int] = {}
        for vm in vms:
            if vm.power is PowerState.RUNNING:
                running[vm.host_id] = running.get(vm.host_id, 0) + 1
        self.hosts.show([host_row(h, running.get(h.id, 0)) for h in hosts], most=40)
        self._show_memory(hosts)
        storages = sorted(inventory.storages.values(), key=lambda s: natural_key(s.name))
        self._show_storage(storages)
        self.storages.show([storage_row(s) for s in storages], most=40)
        self.totals.show(
            [
                ("VMs", f"{len(vms):,}: {power_words(vms, inventory)}" if vms else "none"),
                ("Virtual CPUs", f"{running_cpus(vms, inventory):,} running"),
                ("Snapshots", f"{sum(len(v.snapshots) for v in vms):,}"),
            ]
        )

    def _ask_messages(self, subject: Subject) -> None:
        connection = subject.connection
        self.messages.show((), empty="…")
        if not connection.connected or Capability.EVENTS not in connection.capabilities:
            self._messages.frame.grid_remove()
            return
        self._messages.frame.grid()
        self.asker.ask("messages", connection, lambda hv: hv.events(), self._messages_found)

    def _messages_found(self, answer: tuple[ServerEvent, ...] | HvError) -> None:
        if isinstance(answer, HvError):
            self.messages.show((), empty=safe_text(answer.user_text, 200))
            return
        now = self.shell.services.clock.now()
        rows = [
            (
                near_time(event.when, now),
                safe_text(event.name, 40),
                safe_text(event.subject, 40),
                safe_text(" ".join(event.text.split()), 70),
            )
            for event in answer
        ]
        self.messages.show(rows, most=10, empty="The server has no messages.")

    def _facts(self, subject: Subject) -> list[tuple[str, str]]:
        connection, pool = subject.connection, subject.pool
        inventory = connection.inventory
        rows: list[tuple[str, str]] = []
        state = connection_word(connection.state)
        if connection.error is not None and not connection.connected:
            state += f": {safe_text(connection.error.user_text, 200)}"
        age = connection.inventory_age_s
        rows.append(("Connection", state))
        if not connection.connected and inventory is not None:
            seen = f"{format_duration(age)} ago" if age is not None else local_time(inventory.taken)
            rows.append(("Last seen", seen))
        if inventory is not None:
            product = f"{safe_text(inventory.server.product, 60)} {safe_text(inventory.server.version, 40)}"
            rows.append(("Product", product.strip()))
            if inventory.server.read_only:
                rows.append(("Read only", safe_text(inventory.server.read_only, 200)))
        else:
            rows.append(("Product", PLATFORM_NAMES.get(connection.profile.platform, connection.profile.platform)))
        rows.append(("Address", safe_text(connection.profile.address_text, 120)))
        rows.append(("User", safe_text(connection.profile.user, 80)))
        if pool is not None:
            rows.append(("Name", safe_text(pool.name, 120)))
            if inventory is not None and pool.master_id is not None and pool.master_id in inventory.hosts:
                rows.append(("Master", safe_text(inventory.hosts[pool.master_id].name, 80)))
            if pool.description.strip():
                rows.append(("Description", safe_text(pool.description, 300)))
            rows.append(("UUID", safe_text(pool.uuid, 64)))
        elif inventory is not None:
            pools = [p for p in inventory.pools.values() if p.kind is PoolKind.POOL and p.name.strip()]
            if len(pools) == 1 and pools[0].name != connection.name:
                rows.append(("Pool", safe_text(pools[0].name, 120)))
            masters = [safe_text(h.name, 60) for h in inventory.hosts.values() if h.is_master]
            if len(inventory.hosts) > 1 and masters:
                rows.append(("Master", ", ".join(masters)))
        return rows

    def _show_emergency(self, subject: Subject) -> None:
        emergency = subject.connection.emergency
        if emergency is None:
            self._emergency.frame.grid_remove()
            return
        self._emergency.frame.grid()
        self.emergency_words.configure(text=emergency_text(emergency))
        usable = emergency.in_emergency_mode and Capability.EMERGENCY in subject.connection.capabilities
        for button in (self.become, self.point):
            button.state(["!disabled"] if usable else ["disabled"])

    def _show_memory(self, hosts: list[Host]) -> None:
        known = [h for h in hosts if h.memory_bytes and h.memory_free_bytes is not None and h.live is not False]
        size = sum(h.memory_bytes or 0 for h in known)
        if not size:
            self.memory.show("—", None)
            return
        used = max(0, size - sum(h.memory_free_bytes or 0 for h in known))
        self.memory.show(f"{format_bytes(used)} of {format_bytes(size)}", used / size)

    def _show_storage(self, storages: list[Storage]) -> None:
        known = [s for s in storages if s.size_bytes and s.used_bytes is not None and not s.holds_iso]
        size = sum(s.size_bytes or 0 for s in known)
        if not size:
            self.storage.show("—", None)
            return
        used = sum(s.used_bytes or 0 for s in known)
        self.storage.show(f"{format_bytes(used)} of {format_bytes(size)}", used / size)

    def measure(self, subject: Subject) -> None:
        """The age of a server that is away moves on."""
        if not subject.connection.connected:
            self.facts.show(self._facts(subject))
