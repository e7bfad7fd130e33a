"""The inventory tree: state signs, tick boxes and round-trip times, and what mouse and keys do in it.

The rows themselves are kept by ``treerows.TreeRows``. Tk thread only.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Iterable
from tkinter import ttk
from typing import Protocol

from hvconsole.connection import Connections
from hvconsole.model import Host, Inventory, ObjectId, Pool, ServerId, Snapshot, Vm, VmKind
from hvconsole.monitor.status import MonitorStatus
from hvconsole.text import safe_text
from hvconsole.ui import looks
from hvconsole.ui.extending import MENU_KEYS, Extending
from hvconsole.ui.filters import Filter
from hvconsole.ui.interfaces import Item, ItemKind, Selection
from hvconsole.ui.looks import Look
from hvconsole.ui.rows import Grouping
from hvconsole.ui.rowtips import RowTips
from hvconsole.ui.theme import Theme
from hvconsole.ui.treerows import TreeRows
from hvconsole.ui.typeahead import TypeAhead


class TreeOwner(Protocol):
    """What the tree asks of the window, and tells it."""

    def is_monitored(self, server_id: ServerId, vm_id: ObjectId) -> bool:
        """Whether this VM is ticked."""

    def monitor_status(self, server_id: ServerId, vm_id: ObjectId) -> MonitorStatus | None:
        """How its monitor stands, if it has one."""

    def tree_selected(self, selection: Selection) -> None:
        """The selection is another one now."""

    def tree_ticked(self, items: tuple[Item, ...], monitored: bool) -> None:
        """The user ticked or unticked these VMs."""

    def tree_popup(self, selection: Selection, x_root: int, y_root: int) -> None:
        """The user wants the context menu at this place of the screen."""

    def tree_activated(self, item: Item) -> None:
        """The user pressed Return on a row or double clicked a VM."""


class InventoryTree:
    """The widget. ``widget`` is the frame to place; everything else goes through the methods."""

    def __init__(self, parent: tk.Misc, theme: Theme, connections: Connections, owner: TreeOwner) -> None:
        self.theme = theme
        self._connections = connections
        self._owner = owner
        self._live: dict[ServerId, bool] = {}
        """Whether each server's rows were last drawn as live ones."""
        self._silent: dict[ServerId, frozenset[ObjectId]] = {}
        """Hosts of each server that do not answer."""
        self._last_selection = Selection()
        self.widget = ttk.Frame(parent, style="Surface.TFrame")
        self.tree = ttk.Treeview(
            self.widget, columns=("rtt",), selectmode="extended", show="tree headings", name="inventory"
        )
        self.rows = TreeRows(self.tree, theme, self._look, self._on_select)
        self._build()
        self._tips = RowTips(self.tree, theme, self._tip)
        self._type_ahead = TypeAhead(self.tree, lambda: list(self.rows.in_view()))
        self._extending = Extending(self.tree, lambda: list(self.rows.in_view()))

    # ---- what the window says --------------------------------------------------------------------------------

    @property
    def selection(self) -> Selection:
        """What is selected; the focused row comes first."""
        chosen = [self.rows.items[iid] for iid in self.tree.selection() if iid in self.rows.items]
        focused = self.rows.items.get(self.tree.focus())
        if focused in chosen and focused is not None:
            chosen.remove(focused)
            chosen.insert(0, focused)
        return Selection(tuple(chosen))

    def select(self, selection: Selection) -> None:
        """Select these items, open what they are in and scroll to the first; unknown ones are left out."""
        iids = [iid for iid in (self.rows.reveal(item) for item in selection.items) if iid]
        if not iids:
            return
        self.tree.selection_set(*iids)
        self.tree.focus(iids[0])
        self.tree.see(iids[0])
        self._on_select()

    def focus(self) -> None:
        """Give the tree the keyboard."""
        self.tree.focus_set()
        focused = self.rows.items.get(self.tree.focus())
        if focused is None or not self.rows.is_shown(focused):
            top = self.tree.get_children("")
            if top:
                self.tree.focus(top[0])
                if not self.tree.selection():
                    self.tree.selection_set(top[0])

    def focus_hit(self) -> None:
        """Give the tree the keyboard; if something is searched for and not chosen yet, choose the first VM found."""
        chosen = self.selection.primary
        at_hit = chosen is not None and chosen.kind is ItemKind.VM and self.rows.is_shown(chosen)
        if self.rows.searching and not at_hit:
            hit = self.rows.first_shown_vm()
            if hit is not None:
                self.select(Selection((hit,)))
        self.focus()

    def refresh_servers(self) -> None:
        """Connections were added, removed or changed state."""
        connections = self._connections.all()
        self.rows.apply(self.rows.forest.set_servers([c.id for c in connections]))
        for connection in connections:
            if self.rows.forest.inventory(connection.id) is not connection.inventory:
                self.refresh(connection.id)
            if self._live.get(connection.id) == connection.connected:
                self.rows.restyle(Item(ItemKind.SERVER, connection.id))
            else:
                self._live[connection.id] = connection.connected
                self.restyle_server(connection.id)
        for gone in self._live.keys() - {c.id for c in connections}:
            del self._live[gone]
            self._silent.pop(gone, None)

    def refresh(self, server_id: ServerId) -> None:
        """A server has a new inventory: draw what differs."""
        connection = self._connections.get(server_id)
        inventory: Inventory | None = connection.inventory if connection is not None else None
        silent = frozenset(h.id for h in inventory.hosts.values() if h.live is False) if inventory is not None else None
        turned = (silent or frozenset()) ^ self._silent.get(server_id, frozenset())
        self._silent[server_id] = silent or frozenset()
        self.rows.apply(self.rows.forest.update(server_id, inventory))
        self.rows.restyle(Item(ItemKind.SERVER, server_id))
        if turned and inventory is not None:
            there = (Item(ItemKind.VM, server_id, vm.id) for vm in inventory.vms.values() if vm.host_id in turned)
            self.rows.restyle_soon(item for item in there if item in self.rows.iids)

    def refresh_vm(self, server_id: ServerId, vm_id: ObjectId) -> None:
        """The monitor of a VM has something new."""
        self.rows.restyle(Item(ItemKind.VM, server_id, vm_id))

    def restyle_server(self, server_id: ServerId) -> None:
        """Draw all rows of a server again, in small portions: it came or went."""
        self.rows.restyle(Item(ItemKind.SERVER, server_id))
        self.rows.restyle_soon(item for item in self.rows.iids if item.server_id == server_id)

    def refresh_ages(self) -> None:
        """Servers that are away say for how long; call every few seconds."""
        for connection in self._connections.all():
            if not connection.connected:
                self.rows.restyle(Item(ItemKind.SERVER, connection.id))

    def set_filter(self, wanted: Filter) -> int:
        """Show only what matches; returns how many VMs that are."""
        return self.rows.set_filter(wanted)

    def open(self, item: Item) -> None:
        """Open a row and all above it."""
        self.rows.open_above(item)
        if item in self.rows.iids:
            self.rows.fill(item)
            self.tree.item(self.rows.iids[item], open=True)

    def set_grouping(self, grouping: Grouping) -> None:
        """Show VMs under hosts, folders or resource pools."""
        if grouping is not self.rows.forest.grouping:
            chosen = self.selection
            self.rows.regroup(grouping)
            self.select(chosen)

    def destroy(self) -> None:
        """Stop what still runs; the widgets go with their parent."""
        self._tips.hide()
        self.rows.destroy()

    # ---- construction ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        tree, px = self.tree, self.theme.px
        bar = ttk.Scrollbar(self.widget, command=tree.yview)

        def scrolled(first: float, last: float) -> None:
            bar.set(first, last)
            self.rows.scrolled()

        tree.configure(yscrollcommand=scrolled)
        bar.pack(side="right", fill="y")
        tree.pack(side="left", fill="both", expand=True)
        tree.heading("#0", text="  Name   (box = monitor)", anchor="w")
        tree.heading("rtt", text="RTT ", anchor="e")
        tree.column("#0", width=px(190), minwidth=px(130), stretch=True)
        tree.column("rtt", width=px(92), stretch=False, anchor="e")
        tree.configure(displaycolumns=())
        self.theme.follow(tree, self._color_tags)
        tree.bind("<<TreeviewSelect>>", self._on_select)
        tree.bind("<<TreeviewOpen>>", self._on_open)
        tree.bind("<Button-1>", self._on_click)
        tree.bind("<Double-Button-1>", self._on_double_click)
        tree.bind("<space>", self._on_space)
        tree.bind("<Return>", self._on_return)
        tree.bind("<Control-a>", self._on_select_all)
        system = str(tree.tk.call("tk", "windowingsystem"))
        for sequence in ("<Button-2>", "<Control-Button-1>") if system == "aqua" else ("<Button-3>",):
            tree.bind(sequence, self._on_menu_click)
        for sequence in ("<Shift-F10>", *MENU_KEYS.get(system, ())):
            tree.bind(sequence, self._on_menu_key)
        tree.bind("<Key>", self._on_key)

    def _color_tags(self, theme: Theme) -> None:
        configure = self.tree.tag_configure
        configure("dim", foreground=theme.color("muted"))
        configure("stale", foreground=theme.color("faint"))
        configure("bad", foreground=theme.color("bad"))
        configure("warn", foreground=theme.color("warn"))
        configure("server", font="HvBold")

    # ---- rows ------------------------------------------------------------------------------------------------

    def _look(self, item: Item) -> Look:
        connection = self._connections.get(item.server_id)
        node = self.rows.forest.nodes[item]
        if connection is None:
            return Look("", "boxes")
        if item.kind is ItemKind.SERVER:
            return looks.server_look(connection)
        stale = not connection.connected
        found = node.found
        if isinstance(found, Pool):
            return looks.pool_look(found, stale)
        if isinstance(found, Host):
            return looks.host_look(found, stale)
        if isinstance(found, Snapshot):
            above = self.rows.forest.nodes[node.parent].found if node.parent else None
            current = isinstance(above, Vm) and above.current_snapshot_id == found.id
            return looks.snapshot_look(found, current, stale)
        assert isinstance(found, Vm)
        monitored = self._owner.is_monitored(item.server_id, found.id)
        status = self._owner.monitor_status(item.server_id, found.id) if monitored else None
        away = found.host_id in self._silent.get(item.server_id, ()) and looks.runs(found)
        return looks.vm_look(found, monitored, status, stale, away)

    def _tip(self, iid: str) -> str:
        item = self.rows.items.get(iid)
        if item is None:
            return ""
        found = self.rows.forest.nodes[item].found
        if isinstance(found, Vm):
            return looks.vm_tip(found, self._owner.monitor_status(item.server_id, found.id))
        connection = self._connections.get(item.server_id)
        if item.kind is ItemKind.SERVER and connection is not None and connection.error is not None:
            return connection.error.user_text
        return safe_text(found.name) if found is not None else ""

    # ---- opening -----------------------------------------------------------------------------------------------

    def _on_open(self, _event: tk.Event[tk.Misc]) -> None:
        item = self.rows.items.get(self.tree.focus())
        if item is not None:
            self.rows.fill(item)

    # ---- what the user does ------------------------------------------------------------------------------------

    def _on_select(self, _event: object = None) -> None:
        selection = self.selection
        if selection != self._last_selection:
            self._last_selection = selection
            self._owner.tree_selected(selection)

    def _can_tick(self, item: Item | None) -> bool:
        node = self.rows.forest.nodes.get(item) if item is not None else None
        return node is not None and isinstance(node.found, Vm) and node.found.kind is VmKind.VM

    def _box_at(self, x: int, y: int) -> Item | None:
        """The VM whose tick box is at this place."""
        item = self.rows.items.get(self.tree.identify_row(y))
        if not self._can_tick(item):
            return None
        at = str(self.tree.identify_element(x, y))
        left = str(self.tree.identify_element(x - self.theme.images.tick_width, y))
        return item if at.endswith("image") and not left.endswith("image") else None

    def _tick(self, items: Iterable[Item]) -> None:
        vms = tuple(item for item in items if self._can_tick(item) and item.id is not None)
        if not vms:
            return
        monitored = not all(self._owner.is_monitored(i.server_id, i.id) for i in vms if i.id is not None)
        self._owner.tree_ticked(vms, monitored)
        for item in vms:
            self.rows.restyle(item)

    def _on_click(self, event: tk.Event[tk.Misc]) -> str | None:
        box = self._box_at(event.x, event.y)
        if box is None:
            return None
        self.tree.focus_set()
        self._tick([box])
        return "break"

    def _on_double_click(self, event: tk.Event[tk.Misc]) -> str | None:
        if self._box_at(event.x, event.y) is not None:
            return self._on_click(event)
        item = self.rows.items.get(self.tree.identify_row(event.y))
        over = str(self.tree.identify_element(event.x, event.y))
        if item is None or item.kind not in (ItemKind.VM, ItemKind.SNAPSHOT) or over.endswith("indicator"):
            return None
        self._owner.tree_activated(item)
        return "break"

    def _on_space(self, _event: object) -> str:
        self._tick(self.selection.items)
        return "break"

    def _on_return(self, _event: object) -> str | None:
        item = self.rows.items.get(self.tree.focus())
        if item is None or item.kind not in (ItemKind.VM, ItemKind.SNAPSHOT):
            return None
        self._owner.tree_activated(item)
        return "break"

    def _on_select_all(self, _event: object) -> str:
        """All VMs in view below the same server as the focused row."""
        focused = self.rows.items.get(self.tree.focus())
        if focused is not None:
            below = self.rows.forest.vms_below(Item(ItemKind.SERVER, focused.server_id))
            rows = [self.rows.iids[i] for i in below if i in self.rows.iids and self.rows.is_shown(i)]
            if rows:
                self.tree.selection_set(*rows)
        return "break"

    def _on_menu_click(self, event: tk.Event[tk.Misc]) -> str:
        iid = self.tree.identify_row(event.y)
        self.tree.focus_set()
        if iid in self.rows.items:
            if iid not in self.tree.selection():
                self.tree.selection_set(iid)
            self.tree.focus(iid)
            self._on_select()
            self._owner.tree_popup(self.selection, event.x_root, event.y_root)
        return "break"

    def _on_menu_key(self, _event: object) -> str:
        iid = self.tree.focus()
        if iid in self.rows.items:
            self.tree.see(iid)
            if iid not in self.tree.selection():
                self.tree.selection_set(iid)
                self._on_select()
            box = self.tree.bbox(iid, "#0")
            x, y, height = (int(box[0]), int(box[1]), int(box[3])) if box else (0, 0, 0)
            x_root = self.tree.winfo_rootx() + x + self.theme.px(40)
            self._owner.tree_popup(self.selection, x_root, self.tree.winfo_rooty() + y + height)
        return "break"

    def _on_key(self, event: tk.Event[tk.Misc]) -> str | None:
        iid = self._type_ahead.key(event, self.rows.whole_text)
        if iid is None:
            return None
        self.tree.selection_set(iid)
        self.tree.focus(iid)
        self.tree.see(iid)
        return "break"
