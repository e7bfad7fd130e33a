"""General tab of a VM: facts, resources, network monitoring, disks, cards, recent events. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk

from PIL import ImageTk

from hvconsole.backends.base import Capability
from hvconsole.errors import HvError
from hvconsole.events import ConnectionState
from hvconsole.history_rows import HistoryRow
from hvconsole.model import Disk, Metrics, PowerState, Vm, VmDetails, VmKind
from hvconsole.monitor.status import Round, VmKey
from hvconsole.text import format_bytes, safe_lines, safe_text, shown_name
from hvconsole.ui.asking import Asker
from hvconsole.ui.cards import (
    GAP,
    MARGIN,
    Card,
    Facts,
    Figure,
    Meter,
    MiniTable,
    ScrollArea,
    stack_when_narrow,
    wrap_to_width,
)
from hvconsole.ui.charts import format_ms, sparkline
from hvconsole.ui.columns import POWER_WORDS, TOOLS_WORDS
from hvconsole.ui.interfaces import Selection, Shell, Subject
from hvconsole.ui.pages.history import outcome_words, what_words, who_words
from hvconsole.ui.pages.measures import cpu_fraction, memory_used
from hvconsole.ui.pages.rounds import STATE_WORDS, beats, chart_colours, rtt_words
from hvconsole.ui.wording import count, local_time, near_time, operation_words, percent

METRICS_S = 300
_TITLE = "Virtual machine"
RECENT = 6
BESIDE = 5
"""So many of the server's own facts fit beside the VM's; the others come last."""


def vm_facts(subject: Subject, details: VmDetails | None) -> list[tuple[str, str]]:
    """Label and value of what a VM is, safe to show."""
    vm = subject.vm
    assert vm is not None
    inventory = subject.connection.inventory
    host = None
    if inventory is not None:
        host = inventory.hosts.get(vm.host_id) if vm.host_id is not None else None
    state = POWER_WORDS[vm.power] if vm.kind is VmKind.VM else vm.kind.value.capitalize()
    if vm.operations:
        state += f" · {', '.join(operation_words(name) for name in vm.operations[:3])}"
    tools = TOOLS_WORDS[vm.tools]
    if vm.tools_text:
        tools = f"{tools}, {safe_text(vm.tools_text, 80)}" if tools != "—" else safe_text(vm.tools_text, 80)
    nics = details.nics if details is not None and details.nics else vm.nics
    rows = [
        ("State", state),
        ("Operating system", safe_text(vm.os or "", 120)),
        ("Guest tools", tools),
        ("Address", safe_text(", ".join(vm.addresses), 160)),
        ("MAC", safe_text(", ".join(n.mac for n in nics if n.mac), 120)),
        ("Host", safe_text(host.name, 80) if host is not None else ""),
        ("Up since", local_time(vm.started)),
        ("UUID", safe_text(vm.uuid, 64)),
    ]
    if vm.tags:
        rows.append(("Tags", safe_text(", ".join(vm.tags), 160)))
    if vm.description.strip():
        rows.append(("Description", safe_lines(vm.description.strip(), 600)))
    return rows


def disk_row(disk: Disk) -> tuple[str, ...]:
    """One line of the disk table."""
    name = safe_text(disk.name or disk.device or "disk", 26)
    if disk.is_cd:
        name = f"CD: {name}" if disk.name and disk.name != disk.device else "CD drive"
    notes = ["read only" if disk.read_only and not disk.is_cd else ""]
    if disk.shared_with:
        notes.append(f"shared with {count(len(disk.shared_with), 'VM')}")
    return (
        safe_text(disk.device, 20),
        name,
        format_bytes(disk.size_bytes) if not disk.is_cd else "",
        safe_text(disk.storage, 20),
        ", ".join(n for n in notes if n),
    )


def disks_used(disks: tuple[Disk, ...]) -> tuple[int | None, int | None]:
    """(used, size) of all disks together; None where the server does not say."""
    own = [d for d in disks if not d.is_cd and d.size_bytes is not None]
    if not own:
        return None, None
    size = sum(d.size_bytes or 0 for d in own)
    used = [d.used_bytes for d in own]
    return (sum(u or 0 for u in used) if all(u is not None for u in used) else None), size


class VmView:
    """Everything about one VM."""

    def __init__(self, shell: Shell, parent: tk.Misc, asker: Asker) -> None:
        self.shell, self.asker = shell, asker
        self.theme = shell.theme
        px = self.theme.px
        self._details: VmDetails | None = None
        self._vm: Vm | None = None
        self._photo: ImageTk.PhotoImage | None = None
        self._rounds: tuple[Round, ...] = ()
        self.area = ScrollArea(self.theme, parent)
        body = self.area.body
        for column in (0, 1):
            body.columnconfigure(column, weight=1, uniform="half")
        left, right = (px(MARGIN), px(GAP / 2)), (px(GAP / 2), px(MARGIN))
        below = (0, px(GAP))
        self._about = Card(self.theme, body, _TITLE, "info")
        self._about.frame.grid(row=0, column=0, sticky="nsew", padx=left, pady=(px(14), px(GAP)))
        self.facts = Facts(self.theme, self._about.body)
        self.facts.frame.pack(fill="x")
        self._resources = Card(self.theme, body, "Resources", "cpu")
        self._resources.frame.grid(row=0, column=1, sticky="nsew", padx=right, pady=(px(14), px(GAP)))
        self.cpu = Meter(self.theme, self._resources.body, "CPU")
        self.memory = Meter(self.theme, self._resources.body, "Memory")
        self.disk = Meter(self.theme, self._resources.body, "Disks")
        for meter in (self.cpu, self.memory, self.disk):
            meter.frame.pack(fill="x", pady=px(4))
        self.extra = Facts(self.theme, self._resources.body)
        self.extra.frame.pack(fill="x", pady=(px(6), 0))
        self._monitor_card(body, px(MARGIN), below)
        disks = Card(self.theme, body, "Disks", "hard-drive")
        disks.frame.grid(row=4, column=0, sticky="nsew", padx=left, pady=below)
        self.disks = MiniTable(self.theme, disks.body, ("", "Name", "Size", "Storage", ""), numeric=(2,))
        self.disks.frame.pack(fill="x")
        cards = Card(self.theme, body, "Network cards", "ethernet-port")
        cards.frame.grid(row=4, column=1, sticky="nsew", padx=right, pady=below)
        self._stack(disks, cards)
        self.cards = MiniTable(self.theme, cards.body, ("", "Network", "Address", "State"))
        self.cards.frame.pack(fill="x")
        recent = Card(self.theme, body, "Recent events", "history")
        recent.frame.grid(row=6, column=0, columnspan=2, sticky="nsew", padx=px(MARGIN), pady=below)
        self.recent = MiniTable(self.theme, recent.body, ("When", "What", "By", "Outcome", "Details"))
        self.recent.frame.pack(fill="x")
        self._more = Card(self.theme, body, "Details", "settings")
        self._more.frame.grid(row=8, column=0, columnspan=2, sticky="nsew", padx=px(MARGIN), pady=(0, px(MARGIN)))
        self.more = tuple(Facts(self.theme, self._more.body) for _side in range(2))
        for column, facts in enumerate(self.more):
            facts.frame.grid(row=0, column=column, sticky="new", padx=(0, px(GAP)))
            self._more.body.columnconfigure(column, weight=1, uniform="half")
        self.theme.follow(self.area.frame, lambda _theme: self._draw_spark())

    def _stack(self, disks: Card, cards: Card) -> None:
        pairs = [(self._about.frame, self._resources.frame), (disks.frame, cards.frame)]
        stack_when_narrow(self.theme, self.area.body, pairs)

    def _monitor_card(self, body: ttk.Frame, margin: int, below: tuple[int, int]) -> None:
        px = self.theme.px
        card = Card(self.theme, body, "Network monitoring", "activity")
        card.frame.grid(row=2, column=0, columnspan=2, sticky="nsew", padx=margin, pady=below)
        self._figures = ttk.Frame(card.body, style="CardIn.TFrame")
        self.rtt = Figure(self.theme, self._figures, "Round trip")
        self.average = Figure(self.theme, self._figures, "Average")
        self.loss = Figure(self.theme, self._figures, "Loss")
        self.last = Figure(self.theme, self._figures, "Last automatic snapshot", big=False)
        for figure in (self.rtt, self.average, self.loss, self.last):
            figure.frame.pack(side="left", padx=(0, px(30)))
        self._spark = ttk.Label(self._figures, style="Card.TLabel")
        self._spark.pack(side="right")
        self.monitor_words = ttk.Label(card.body, style="Card.Muted.TLabel", justify="left", anchor="w")
        wrap_to_width(self.monitor_words)
        self._tick = ttk.Button(card.body, text="Monitor this VM", style="Card.TButton", command=self._monitor)

    # ---- showing -------------------------------------------------------------------------------------------

    def show(self, subject: Subject, fresh: bool) -> None:
        """Draw what differs, ask for the rest."""
        vm = subject.vm
        assert vm is not None
        changed = vm is not self._vm
        several = len(self.shell.selection.items) > 1
        self._about.title.configure(text=f"The first: {shown_name(vm.name, vm.uuid, 40)}" if several else _TITLE)
        if fresh:
            self._details = None
            self.recent.show((), empty="…")
        if changed or fresh:
            self._vm = vm
            self._draw(subject)
            self._ask_details(subject)
            self._ask_events(subject)
        if fresh:
            self.measure(subject)
        self.show_monitor(subject)

    def _draw(self, subject: Subject) -> None:
        vm = subject.vm
        assert vm is not None
        details = self._details
        self.facts.show(vm_facts(subject, details))
        disks = details.disks if details is not None and details.disks else vm.disks
        used, size = disks_used(disks)
        if size is None:
            self.disk.show("—", None)
        elif used is None:
            self.disk.show(format_bytes(size), None)
        else:
            self.disk.show(f"{format_bytes(used)} of {format_bytes(size)}", used / size if size else None)
        if vm.power is not PowerState.RUNNING:
            self.cpu.show(count(vm.vcpus, "virtual CPU") if vm.vcpus else "—", None)
            self.memory.show(format_bytes(vm.memory_bytes), None)
        self.disks.show([disk_row(d) for d in disks])
        nics = details.nics if details is not None and details.nics else vm.nics
        words = {True: "plugged in", False: "unplugged", None: ""}
        self.cards.show(
            [
                (
                    safe_text(n.device, 20),
                    safe_text(n.network, 26),
                    safe_text(", ".join(n.addresses or (vm.addresses if len(nics) == 1 else ())), 26),
                    words[n.connected],
                )
                for n in nics
            ]
        )
        facts = details.facts if details is not None else ()
        shown = [(safe_text(k, 60), safe_text(v, 200)) for k, v in facts]
        self.extra.show(shown[:BESIDE])
        rest = shown[BESIDE:]
        half = (len(rest) + 1) // 2
        self.more[0].show(rest[:half])
        self.more[1].show(rest[half:])
        if rest:
            self._more.frame.grid()
        else:
            self._more.frame.grid_remove()

    def _ask_details(self, subject: Subject) -> None:
        vm = subject.vm
        if vm is None or subject.connection.state is not ConnectionState.CONNECTED:
            return
        vm_id = vm.id

        def answered(answer: VmDetails | HvError) -> None:
            if isinstance(answer, HvError) or self._vm is None or self._vm.id != vm_id:
                return
            self._details = answer
            now = subject.item
            fresh = Selection((now,)).subject(self.shell.services.connections)
            if fresh is not None:
                self._draw(fresh)

        self.asker.ask("details", subject.connection, lambda hv: hv.details(vm_id), answered)

    def _ask_events(self, subject: Subject) -> None:
        history = self.shell.services.history
        vm = subject.vm
        if history is None or vm is None:
            return
        vm_id, server_id = vm.id, subject.connection.id
        self.asker.run(
            "events",
            lambda: history.search(subject_id=vm_id, server_id=server_id, limit=RECENT),
            self._events_found,
        )

    def _events_found(self, answer: list[HistoryRow] | HvError) -> None:
        if isinstance(answer, HvError):
            self.recent.show((), empty=safe_text(answer.user_text, 200))
            return
        now = self.shell.services.clock.now()
        rows = [
            (
                near_time(row.when, now),
                what_words(row.what),
                who_words(row.who),
                outcome_words(row.outcome),
                safe_text(row.detail.split("\n")[0], 90),
            )
            for row in answer
        ]
        self.recent.show(rows, empty="Nothing has happened to it yet.")

    def measure(self, subject: Subject) -> None:
        """Ask for the last measurements of a running VM."""
        vm, connection = subject.vm, subject.connection
        if vm is None or vm.power is not PowerState.RUNNING or Capability.METRICS not in connection.capabilities:
            if vm is not None and vm.power is PowerState.RUNNING:
                self.cpu.show(count(vm.vcpus, "virtual CPU") if vm.vcpus else "—", None)
                self.memory.show(format_bytes(vm.memory_bytes), None)
            return
        vm_id = vm.id
        self.asker.ask("metrics", connection, lambda hv: hv.metrics(vm_id, METRICS_S), self._measured)

    def _measured(self, answer: Metrics | HvError) -> None:
        vm = self._vm
        if vm is None:
            return
        cpus = f"of {count(vm.vcpus, 'virtual CPU')}" if vm.vcpus else ""
        if isinstance(answer, HvError):
            self.cpu.show(cpus.removeprefix("of ") or "—", None)
            self.memory.show(format_bytes(vm.memory_bytes), None)
            return
        load = cpu_fraction(answer)
        self.cpu.show(f"{percent(load)}  {cpus}" if load is not None else cpus.removeprefix("of ") or "—", load)
        used, total = memory_used(answer, vm.memory_bytes)
        if used is None or not total:
            self.memory.show(format_bytes(vm.memory_bytes), None)
        else:
            # exactly all of it is what was given to the guest, not what the guest uses: nothing to warn of
            given = used >= total * 0.999
            words = f"{format_bytes(round(used))} of {format_bytes(round(total))}"
            self.memory.show(words, used / total, warn=not given)

    # ---- the monitor ---------------------------------------------------------------------------------------

    def show_monitor(self, subject: Subject) -> None:
        """How the VM's monitor stands."""
        vm = subject.vm
        assert vm is not None
        status = self.shell.services.watcher.status(VmKey(subject.connection.id, vm.id))
        px = self.theme.px
        if status is None:
            self._figures.pack_forget()
            self.monitor_words.configure(
                text="Not monitored. With the tick hvconsole pings the VM and takes a snapshot when it stops answering."
                if vm.kind is VmKind.VM
                else "Only virtual machines can be monitored."
            )
            self.monitor_words.pack(fill="x")
            if vm.kind is VmKind.VM:
                self._tick.pack(anchor="w", pady=(px(8), 0))
            else:
                self._tick.pack_forget()
            self._rounds = ()
            return
        self._tick.pack_forget()
        self.monitor_words.pack_forget()
        self._figures.pack(fill="x")
        now = self.shell.services.clock.now()
        self.rtt.show(rtt_words(status))
        self.average.show(format_ms(status.average_rtt_ms))
        self.loss.show(percent(status.loss_fraction))
        self.last.show(near_time(status.last_snapshot_when, now))
        words = [STATE_WORDS[status.state]]
        if status.address:
            words.append(safe_text(status.address, 60))
        if status.reason:
            words.append(safe_lines(status.reason, 300))
        self.monitor_words.configure(text=" · ".join(words))
        self.monitor_words.pack(fill="x", pady=(px(8), 0))
        self._rounds = tuple(status.rounds)
        self._draw_spark()

    def _draw_spark(self) -> None:
        theme = self.theme
        picture = sparkline(
            beats(self._rounds), theme.px(200), theme.px(40), chart_colours(theme, "raised"), scale=theme.scale
        )
        if self._photo is None:
            self._photo = theme.images.own(picture)
            self._spark.configure(image=self._photo)
        else:
            self._photo.paste(picture)

    def _monitor(self) -> None:
        subject = self.shell.selection.subject(self.shell.services.connections)
        if subject is not None:
            self.shell.set_monitored((subject,), True)
