"""General tab of a host: what it is, what it does, its cards and storages, who runs there. Tk thread only."""

from __future__ import annotations

import tkinter as tk

from hvconsole.backends.base import Capability
from hvconsole.errors import HvError
from hvconsole.events import ConnectionState
from hvconsole.model import Host, HostDetails, HostNic, Inventory, Metrics, PowerState, Storage, Vm, VmKind
from hvconsole.text import format_bytes, safe_lines, safe_text, shown_name
from hvconsole.ui.asking import Asker
from hvconsole.ui.cards import GAP, MARGIN, Card, Facts, Meter, MiniTable, ScrollArea, stack_when_narrow
from hvconsole.ui.columns import natural_key
from hvconsole.ui.interfaces import Selection, Shell, Subject
from hvconsole.ui.pages.measures import cpu_fraction
from hvconsole.ui.pages.network_layout import speed_text
from hvconsole.ui.wording import count, local_time, percent

METRICS_S = 300


def host_state(host: Host) -> str:
    """What a host is up to, in words."""
    if host.live is False:
        return "Not answering"
    if host.in_maintenance:
        return "In maintenance mode"
    if not host.enabled:
        return "Disabled: takes no new VMs"
    return "Pool master" if host.is_master else "Up"


def host_facts(host: Host, details: HostDetails | None) -> list[tuple[str, str]]:
    """Label and value of what a host is, safe to show."""
    version = " ".join(p for p in (safe_text(host.product, 60), safe_text(host.version, 60)) if p)
    shape = [
        count(host.sockets, "socket") if host.sockets else "",
        count(host.cores, "core") if host.cores else "",
        count(host.cpus, "thread") if host.cpus else "",
    ]
    rows = [
        ("State", host_state(host)),
        ("Address", safe_text(host.address, 80)),
        ("System", version),
        ("CPU", safe_text(host.cpu_model, 120)),
        ("CPUs", ", ".join(p for p in shape if p)),
        ("Memory", format_bytes(host.memory_bytes) if host.memory_bytes else ""),
        ("Up since", local_time(host.started)),
        ("UUID", safe_text(host.uuid, 64)),
    ]
    if details is not None and details.licence:
        rows.insert(3, ("Licence", safe_text(details.licence, 120)))
    if host.description.strip():
        rows.append(("Description", safe_lines(host.description.strip(), 600)))
    return rows


def nic_row(nic: HostNic) -> tuple[str, ...]:
    """One line of the table of physical cards."""
    link = {True: "up", False: "down", None: ""}[nic.link_up]
    state = ", ".join(p for p in (link, speed_text(nic.speed_mbps), "management" if nic.management else "") if p)
    vlan = f"VLAN {nic.vlan}" if nic.vlan is not None and nic.vlan >= 0 else ""
    network = " · ".join(p for p in (safe_text(nic.network, 60), vlan) if p)
    return (safe_text(nic.name, 30), network, safe_text(nic.address, 60), safe_text(nic.mac, 40), state)


def storage_row(storage: Storage) -> tuple[str, ...]:
    """One line of the table of storages."""
    size = f"{format_bytes(storage.used_bytes)} of {format_bytes(storage.size_bytes)}" if storage.size_bytes else ""
    kind = ", ".join(p for p in (safe_text(storage.kind, 20), "shared" if storage.shared else "") if p)
    return (safe_text(storage.name, 60), kind, format_bytes(storage.free_bytes), size)


def storages_of(inventory: Inventory, host: Host, details: HostDetails | None) -> list[Storage]:
    """Storages that a host sees, by name."""
    listed = set(details.storages) if details is not None else set()
    found = [
        s
        for s in inventory.storages.values()
        if s.id in listed or host.id in s.host_ids or (s.shared and not s.host_ids)
    ]
    return sorted(found, key=lambda s: natural_key(s.name))


def vms_on(inventory: Inventory, host: Host) -> list[Vm]:
    """VMs that run on a host, by name."""
    found = [
        v
        for v in inventory.vms.values()
        if v.host_id == host.id and v.kind is VmKind.VM and v.power in (PowerState.RUNNING, PowerState.PAUSED)
    ]
    return sorted(found, key=lambda v: natural_key(v.name))


def _narrow(row: tuple[str, ...]) -> tuple[str, ...]:
    """A storage's line for a card of half the width: without its kind, with a shorter name."""
    name, _kind, free, used = row
    return (name if len(name) <= 30 else name[:29] + "…", free, used)


class HostView:
    """Everything about one host."""

    def __init__(self, shell: Shell, parent: tk.Misc, asker: Asker) -> None:
        self.shell, self.asker = shell, asker
        self.theme = shell.theme
        px = self.theme.px
        self._details: HostDetails | None = None
        self._drawn: tuple[Inventory | None, Host | None] = (None, None)
        self.area = ScrollArea(self.theme, parent)
        body = self.area.body
        for column in (0, 1):
            body.columnconfigure(column, weight=1, uniform="half")
        left, right = (px(MARGIN), px(GAP / 2)), (px(GAP / 2), px(MARGIN))
        about = Card(self.theme, body, "Host", "server")
        about.frame.grid(row=0, column=0, sticky="nsew", padx=left, pady=(px(14), px(GAP)))
        self.facts = Facts(self.theme, about.body)
        self.facts.frame.pack(fill="x")
        resources = Card(self.theme, body, "Resources", "cpu")
        resources.frame.grid(row=0, column=1, sticky="nsew", padx=right, pady=(px(14), px(GAP)))
        self.cpu = Meter(self.theme, resources.body, "CPU")
        self.memory = Meter(self.theme, resources.body, "Memory")
        for meter in (self.cpu, self.memory):
            meter.frame.pack(fill="x", pady=px(4))
        self.extra = Facts(self.theme, resources.body)
        self.extra.frame.pack(fill="x", pady=(px(6), 0))
        wide = {"columnspan": 2, "sticky": "nsew", "padx": px(MARGIN), "pady": (0, px(GAP))}
        nics = Card(self.theme, body, "Network cards", "ethernet-port")
        nics.frame.grid(row=2, column=0, **wide)  # type: ignore[arg-type]
        self.nics = MiniTable(self.theme, nics.body, ("Card", "Network", "Address", "MAC", "State"))
        self.nics.frame.pack(fill="x")
        storages = Card(self.theme, body, "Storage", "database")
        storages.frame.grid(row=4, column=0, sticky="nsew", padx=left, pady=(0, px(MARGIN)))
        self.storages = MiniTable(self.theme, storages.body, ("Name", "Free", "Used"), numeric=(1,))
        self.storages.frame.pack(fill="x")
        running = Card(self.theme, body, "Running here", "monitor")
        running.frame.grid(row=4, column=1, sticky="nsew", padx=right, pady=(0, px(MARGIN)))
        self.running_title = running.title
        self.running = MiniTable(self.theme, running.body, ("VM", "Memory", "Address"), numeric=(1,))
        self.running.frame.pack(fill="x")
        stack_when_narrow(self.theme, body, [(about.frame, resources.frame), (storages.frame, running.frame)])

    def show(self, subject: Subject, fresh: bool) -> None:
        """Draw what differs, ask for the rest."""
        host, inventory = subject.host, subject.connection.inventory
        assert host is not None
        assert inventory is not None
        if fresh:
            self._details = None
        changed = self._drawn != (inventory, host)
        if fresh or changed:
            new_host = self._drawn[1] is not host
            self._drawn = (inventory, host)
            self._draw(inventory, host)
            if fresh or new_host:
                self._ask(subject, host)
        if fresh and host.live is not False:
            self.cpu.show(count(host.cpus, "thread") if host.cpus else "—", None)
            self.measure(subject)

    def _ask(self, subject: Subject, host: Host) -> None:
        if subject.connection.state is not ConnectionState.CONNECTED:
            return
        host_id, item = host.id, subject.item

        def answered(answer: HostDetails | HvError) -> None:
            now = Selection((item,)).subject(self.shell.services.connections)
            if isinstance(answer, HvError) or now is None or now.host is None or now.connection.inventory is None:
                return
            self._details = answer
            self._draw(now.connection.inventory, now.host)

        self.asker.ask("details", subject.connection, lambda hv: hv.host_info(host_id), answered)

    def _draw(self, inventory: Inventory, host: Host) -> None:
        details = self._details
        self.facts.show(host_facts(host, details))
        shown = {value for _, value in host_facts(host, details)}
        facts = [(safe_text(k, 60), safe_text(v, 200)) for k, v in (details.facts if details else ())]
        # servers repeat in their details what stands beside them already
        self.extra.show([(k, v) for k, v in facts if v not in shown][:16])
        if host.live is False:
            self.memory.show("—", None)
            self.cpu.show("—", None)
        elif host.memory_bytes and host.memory_free_bytes is not None:
            used = max(0, host.memory_bytes - host.memory_free_bytes)
            self.memory.show(f"{format_bytes(used)} of {format_bytes(host.memory_bytes)}", used / host.memory_bytes)
        else:
            self.memory.show(format_bytes(host.memory_bytes) if host.memory_bytes else "—", None)
        self.nics.show([nic_row(n) for n in details.nics] if details else (), empty="None known" if details else "…")
        self.storages.show([_narrow(storage_row(s)) for s in storages_of(inventory, host, details)])
        vms = vms_on(inventory, host)
        title = "Last seen running here" if host.live is False else "Running here"
        self.running_title.configure(text=f"{title}: {count(len(vms), 'VM')}")
        self.running.show(
            [
                (shown_name(v.name, v.uuid, 30), format_bytes(v.memory_bytes), safe_text("".join(v.addresses[:1]), 40))
                for v in vms
            ],
            empty="No VM runs on this host.",
        )

    def measure(self, subject: Subject) -> None:
        """Ask for the last measurements."""
        host, connection = subject.host, subject.connection
        if host is None or host.live is False or Capability.METRICS not in connection.capabilities:
            return
        host_id = host.id
        self.asker.ask("metrics", connection, lambda hv: hv.metrics(host_id, METRICS_S), self._measured)

    def _measured(self, answer: Metrics | HvError) -> None:
        host = self._drawn[1]
        if host is not None and host.live is False:
            return
        load = None if isinstance(answer, HvError) else cpu_fraction(answer)
        threads = count(host.cpus, "thread") if host is not None and host.cpus else ""
        if load is None:
            self.cpu.show(threads or "—", None)
        else:
            self.cpu.show(f"{percent(load)}  of {threads}" if threads else percent(load), load)
