"""Virtual machines of a server, pool or host, as a table; also the VMs that are selected together. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk

from hvconsole.events import MonitorChanged
from hvconsole.model import Inventory, ObjectId, ServerId, Vm, VmKind
from hvconsole.monitor.status import VmKey
from hvconsole.ui.cards import MARGIN
from hvconsole.ui.columns import Context, Watched
from hvconsole.ui.interfaces import Item, ItemKind, Selection, Shell, Subject
from hvconsole.ui.pages.base import BasePage
from hvconsole.ui.pages.general_server import power_words, vms_of
from hvconsole.ui.pages.rounds import rtt_words
from hvconsole.ui.vmtable import VmTable
from hvconsole.ui.wording import count

LIVE_MS = 500
"""Round-trip times are drawn this often at most."""


def vms_for(selection: Selection, subject: Subject) -> list[Vm]:
    """The VMs that the table shows for a selection: those below it, or those that are selected together."""
    inventory = subject.connection.inventory
    if inventory is None:
        return []
    if selection.kind in (ItemKind.VM, ItemKind.SNAPSHOT):
        ids = dict.fromkeys(i.id if i.kind is ItemKind.VM else i.vm_id for i in selection.items)
        return [inventory.vms[i] for i in ids if i is not None and i in inventory.vms]
    if subject.host is not None:
        host_id = subject.host.id
        return [v for v in inventory.vms.values() if v.kind is VmKind.VM and host_id in (v.host_id, v.home_id)]
    return vms_of(inventory, subject.pool)


class VmsPage(BasePage):
    """The table, how many there are, and the column chooser. Choosing rows here does not change the tree."""

    title = "Virtual machines"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        super().__init__(shell, parent)
        px = self.theme.px
        bar = ttk.Frame(self.widget, style="Surface.TFrame")
        bar.pack(fill="x", padx=px(MARGIN), pady=(px(10), px(6)))
        self.summary = ttk.Label(bar, style="Surface.Small.TLabel")
        self.summary.pack(side="left")
        self.columns_button = ttk.Button(bar, text="Columns…", style="Surface.TButton", command=self._columns)
        self.columns_button.pack(side="right")
        self.table = VmTable(
            self.theme,
            self.widget,
            shell.dispatcher,
            shell.services.settings,
            chosen=self._summarise,
            opened=self._opened,
            menu=self._menu,
        )
        self.table.frame.pack(fill="both", expand=True)
        self.table.tree.bind("<space>", self._tick_chosen)
        self._server: ServerId | None = None
        self._inventory: Inventory | None = None
        self._shown: list[Vm] = []
        self._news: set[ObjectId] = set()

    @staticmethod
    def applies(selection: Selection) -> bool:
        """For what holds VMs, and for several VMs of one server together."""
        kind = selection.kind
        if kind in (ItemKind.SERVER, ItemKind.POOL, ItemKind.HOST):
            return True
        return kind is ItemKind.VM and len(selection.items) > 1 and len({i.server_id for i in selection.items}) == 1

    def show(self, selection: Selection) -> None:
        """The table depends on all that is selected, not on the first alone."""
        self.visible, before = True, self.selection
        self.selection = selection
        self.update(before != selection)

    def update(self, fresh: bool) -> None:
        """Draw what differs."""
        subject = self.subject
        if subject is None:
            return
        connection = subject.connection
        inventory = connection.inventory
        self._server = connection.id
        self._inventory = inventory
        self._shown = vms_for(self.selection, subject)
        context = Context.of(inventory, self._watched) if inventory is not None else Context({}, {})
        self.table.show(self._shown, context, stale=not connection.connected)
        self._summarise()

    def on_event(self, event: object) -> None:
        """News of the monitor are collected for a moment."""
        if isinstance(event, MonitorChanged):
            if event.server_id == self._server:
                self._news.add(event.vm_id)
                if self._timer is None:
                    self.start_timer(LIVE_MS)
            return
        super().on_event(event)

    def tick(self) -> None:
        """Draw the monitor's news."""
        news, self._news = self._news, set()
        for vm_id in news:
            self.table.refresh_live(vm_id)

    def _watched(self, vm_id: ObjectId) -> Watched:
        if self._server is None:
            return Watched()
        status = self.shell.services.watcher.status(VmKey(self._server, vm_id))
        if status is None:
            return Watched()
        return Watched(True, status.last_rtt_ms, rtt_words(status) == "no reply")

    def _summarise(self) -> None:
        chosen = len(self.table.chosen())
        states = power_words(self._shown, self._inventory)
        words = f"{count(len(self._shown), 'VM')}: {states}" if self._shown else "No VMs here."
        if chosen > 1:
            words += f"   ·   {chosen:,} chosen"
        self.summary.configure(text=words)

    # ---- doing ---------------------------------------------------------------------------------------------

    def chosen(self) -> Selection:
        """The rows that are chosen, as a selection."""
        if self._server is None:
            return Selection()
        return Selection(tuple(Item(ItemKind.VM, self._server, vm_id) for vm_id in self.table.chosen()))

    def _opened(self, vm_id: ObjectId) -> None:
        if self._server is not None:
            self.shell.select(Selection((Item(ItemKind.VM, self._server, vm_id),)))

    def _tick_chosen(self, _event: object) -> str:
        """As in the tree: untick if all are ticked, else tick those that are not."""
        subjects = self.chosen().subjects(self.shell.services.connections)
        ticked = self.shell.services.watcher.ticked()
        if subjects:
            all_ticked = all(VmKey(s.connection.id, s.vm.id) in ticked for s in subjects if s.vm is not None)
            self.shell.set_monitored(subjects, not all_ticked)
        return "break"

    def _menu(self, x_root: int, y_root: int) -> None:
        self.shell.popup(self.chosen(), x_root, y_root)

    def _columns(self) -> None:
        button = self.columns_button
        self.table.column_menu(button.winfo_rootx(), button.winfo_rooty() + button.winfo_height())

    def hide(self) -> None:
        """Also write down what was changed about the columns."""
        self.table.save_if_due()
        super().hide()
