"""The inventory tree: rows of ``rows.Forest`` in a ttk Treeview, with state signs, tick boxes and round-trip times.

Rows are made when their parent is opened, changed one by one, and never cleared and filled again: selection, scrolling
and what is open survive every refresh. Row ids are counters of our own; no name from a server ever becomes one. Tk
thread only.
"""

from __future__ import annotations

import itertools
import tkinter as tk
from collections import deque
from collections.abc import Iterable, Iterator
from tkinter import ttk
from typing import Protocol

from hvconsole.connection import Connections
from hvconsole.model import Host, Inventory, ObjectId, Pool, ServerId, Snapshot, Vm, VmKind
from hvconsole.monitor.status import MonitorStatus
from hvconsole.text import safe_text
from hvconsole.ui import looks
from hvconsole.ui.eliding import Eliding
from hvconsole.ui.extending import Extending
from hvconsole.ui.filters import Filter
from hvconsole.ui.interfaces import Item, ItemKind, Selection
from hvconsole.ui.looks import Look
from hvconsole.ui.rows import Delta, Forest, Grouping
from hvconsole.ui.rowtips import RowTips
from hvconsole.ui.theme import Theme
from hvconsole.ui.typeahead import TypeAhead

LAZY_ABOVE = 5000
"""With more VMs than this, hosts start closed: their rows are made when they are opened."""
OPEN_HITS = 300
"""A search opens what is closed if it leaves at most this many VMs."""
_MENU_KEYS = {"x11": ("<Key-Menu>",), "win32": ("<Key-App>",)}
_CHUNK = 200
"""Rows restyled in one turn when a whole server changes its look."""
_CHUNK_PAUSE_MS = 10


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
        self.forest = Forest()
        self._connections = connections
        self._owner = owner
        self._numbers = itertools.count(1)
        self._iids: dict[Item, str] = {}
        self._items: dict[str, Item] = {}
        self._looks: dict[Item, Look] = {}
        self._unfilled: dict[Item, str] = {}
        """Items whose children have no rows yet → id of the stand-in that makes them look like parents."""
        self._filter = Filter()
        self._visible: set[Item] | None = None
        self._live: dict[ServerId, bool] = {}
        """Whether each server's rows were last drawn as live ones."""
        self._silent: dict[ServerId, frozenset[ObjectId]] = {}
        """Hosts of each server that do not answer."""
        self._with_rtt: set[Item] = set()
        """Rows with a round-trip time or an age; without any the column gives its room to the names."""
        self._pending: deque[Item] = deque()
        self._pending_id: str | None = None
        self._last_selection = Selection()
        self._few = True
        self.widget = ttk.Frame(parent, style="Surface.TFrame")
        self.tree = ttk.Treeview(
            self.widget, columns=("rtt",), selectmode="extended", show="tree headings", name="inventory"
        )
        self._eliding = Eliding(self.tree, self.whole_text, theme.px(26))
        self._build()
        self._tips = RowTips(self.tree, theme, self._tip)
        self._type_ahead = TypeAhead(self.tree, lambda: list(self._rows_in_view(None)))
        self._extending = Extending(self.tree, lambda: list(self._rows_in_view(None)))

    # ---- what the window says --------------------------------------------------------------------------------

    @property
    def selection(self) -> Selection:
        """What is selected; the focused row comes first."""
        chosen = [self._items[iid] for iid in self.tree.selection() if iid in self._items]
        focused = self._items.get(self.tree.focus())
        if focused in chosen and focused is not None:
            chosen.remove(focused)
            chosen.insert(0, focused)
        return Selection(tuple(chosen))

    def select(self, selection: Selection) -> None:
        """Select these items, open what they are in and scroll to the first; unknown ones are left out."""
        iids = [iid for iid in (self._reveal(item) for item in selection.items) if iid]
        if not iids:
            return
        self.tree.selection_set(*iids)
        self.tree.focus(iids[0])
        self.tree.see(iids[0])
        self._on_select()

    def focus(self) -> None:
        """Give the tree the keyboard."""
        self.tree.focus_set()
        focused = self._items.get(self.tree.focus())
        if focused is None or not self._is_shown(focused):
            top = self.tree.get_children("")
            if top:
                self.tree.focus(top[0])
                if not self.tree.selection():
                    self.tree.selection_set(top[0])

    def focus_hit(self) -> None:
        """Give the tree the keyboard; if something is searched for and not chosen yet, choose the first VM found."""
        chosen = self.selection.primary
        at_hit = chosen is not None and chosen.kind is ItemKind.VM and self._is_shown(chosen)
        if self._visible is not None and not at_hit:
            hit = self._first_shown_vm(None)
            if hit is not None:
                self.select(Selection((hit,)))
        self.focus()

    def _first_shown_vm(self, parent: Item | None) -> Item | None:
        for child in self._shown_children(parent):
            found = child if child.kind is ItemKind.VM else self._first_shown_vm(child)
            if found is not None:
                return found
        return None

    def refresh_servers(self) -> None:
        """Connections were added, removed or changed state."""
        connections = self._connections.all()
        self._apply(self.forest.set_servers([c.id for c in connections]))
        for connection in connections:
            if self.forest.inventory(connection.id) is not connection.inventory:
                self.refresh(connection.id)
            if self._live.get(connection.id) == connection.connected:
                self._restyle(Item(ItemKind.SERVER, connection.id))
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
        self._apply(self.forest.update(server_id, inventory))
        self._restyle(Item(ItemKind.SERVER, server_id))
        if turned and inventory is not None:
            there = (Item(ItemKind.VM, server_id, vm.id) for vm in inventory.vms.values() if vm.host_id in turned)
            self._restyle_soon(item for item in there if item in self._iids)

    def refresh_vm(self, server_id: ServerId, vm_id: ObjectId) -> None:
        """The monitor of a VM has something new."""
        self._restyle(Item(ItemKind.VM, server_id, vm_id))

    def restyle_server(self, server_id: ServerId) -> None:
        """Draw all rows of a server again, in small portions: it came or went."""
        self._restyle(Item(ItemKind.SERVER, server_id))
        self._restyle_soon(item for item in self._iids if item.server_id == server_id)

    def _restyle_soon(self, items: Iterable[Item]) -> None:
        self._pending.extend(items)
        if self._pending_id is None and self._pending:
            self._pending_id = self.tree.after(_CHUNK_PAUSE_MS, self._restyle_some)

    def refresh_ages(self) -> None:
        """Servers that are away say for how long; call every few seconds."""
        for connection in self._connections.all():
            if not connection.connected:
                self._restyle(Item(ItemKind.SERVER, connection.id))

    def set_filter(self, wanted: Filter) -> int:
        """Show only what matches; returns how many VMs that are."""
        templates_changed = wanted.templates != self._filter.templates
        self._filter = wanted
        if templates_changed:
            self._apply(self.forest.regroup(self.forest.grouping, wanted.templates))
        self._refilter()
        if self._visible is None:
            return self.forest.vm_count()
        hits = [item for item in self._visible if item.kind is ItemKind.VM]
        if wanted.words and len(hits) <= OPEN_HITS:
            for hit in hits:
                self._open_above(hit)
        return len(hits)

    def open(self, item: Item) -> None:
        """Open a row and all above it."""
        self._open_above(item)
        if item in self._iids:
            self._fill(item)
            self.tree.item(self._iids[item], open=True)

    def set_grouping(self, grouping: Grouping) -> None:
        """Show VMs under hosts, folders or resource pools."""
        if grouping is not self.forest.grouping:
            chosen = self.selection
            self._apply(self.forest.regroup(grouping, self._filter.templates))
            self.select(chosen)

    def destroy(self) -> None:
        """Stop what still runs; the widgets go with their parent."""
        self._tips.hide()
        self._eliding.stop()
        if self._pending_id is not None:
            self.tree.after_cancel(self._pending_id)
            self._pending_id = None

    # ---- construction ----------------------------------------------------------------------------------------

    def _build(self) -> None:
        tree, px = self.tree, self.theme.px
        bar = ttk.Scrollbar(self.widget, command=tree.yview)

        def scrolled(first: float, last: float) -> None:
            bar.set(first, last)
            self._eliding.soon()

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
        for sequence in ("<Shift-F10>", *_MENU_KEYS.get(system, ())):
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
        node = self.forest.nodes[item]
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
            above = self.forest.nodes[node.parent].found if node.parent else None
            current = isinstance(above, Vm) and above.current_snapshot_id == found.id
            return looks.snapshot_look(found, current, stale)
        assert isinstance(found, Vm)
        monitored = self._owner.is_monitored(item.server_id, found.id)
        status = self._owner.monitor_status(item.server_id, found.id) if monitored else None
        away = found.host_id in self._silent.get(item.server_id, ()) and looks.runs(found)
        return looks.vm_look(found, monitored, status, stale, away)

    def whole_text(self, iid: str) -> str:
        """What a row says, however little of it has room."""
        item = self._items.get(iid)
        return self._looks[item].text if item is not None else ""

    def _tip(self, iid: str) -> str:
        item = self._items.get(iid)
        if item is None:
            return ""
        found = self.forest.nodes[item].found
        if isinstance(found, Vm):
            return looks.vm_tip(found, self._owner.monitor_status(item.server_id, found.id))
        connection = self._connections.get(item.server_id)
        if item.kind is ItemKind.SERVER and connection is not None and connection.error is not None:
            return connection.error.user_text
        return safe_text(found.name) if found is not None else ""

    def _picture(self, look: Look) -> str:
        return str(self.theme.images.row(look.sign, tick=look.tick, stale=look.stale, badge=look.badge))

    def _is_shown(self, item: Item) -> bool:
        return self._visible is None or item in self._visible

    def _shown_children(self, parent: Item | None) -> list[Item]:
        children = self.forest.children(parent)
        return children if self._visible is None else [c for c in children if c in self._visible]

    def _opens_at_first(self, item: Item) -> bool:
        if item.kind in (ItemKind.SERVER, ItemKind.POOL):
            return True
        return item.kind is ItemKind.HOST and self._few

    def _new_row(self, item: Item, parent_iid: str, index: int | str) -> None:
        look = self._look(item)
        iid = f"n{next(self._numbers)}"
        self._iids[item] = iid
        self._items[iid] = item
        self._looks[item] = look
        if look.rtt:
            self._rtt_changed(item, look)
        opened = self._opens_at_first(item)
        # straight to Tk: tkinter's own way of writing options costs more than the insertion itself
        self.tree.tk.call(
            (
                *(str(self.tree), "insert", parent_iid, index, "-id", iid, "-text", look.text),
                *("-image", self._picture(look), "-values", (look.rtt,), "-tags", look.tags, "-open", opened),
            )
        )
        if self.forest.has_children(item):
            self._add_stand_in(item)
            if opened:
                self._fill(item)

    def _add_stand_in(self, item: Item) -> None:
        if item not in self._unfilled and self._shown_children(item):
            self._unfilled[item] = self.tree.insert(self._iids[item], "end", iid=f"n{next(self._numbers)}")

    def _is_filled(self, parent: Item | None) -> bool:
        """Whether rows for this parent's children exist (as far as there are children)."""
        if parent is None:
            return True
        return parent in self._iids and parent not in self._unfilled

    def _fill(self, parent: Item) -> None:
        stand_in = self._unfilled.pop(parent, None)
        if stand_in is None:
            return
        self.tree.delete(stand_in)
        iid = self._iids[parent]
        for child in self._shown_children(parent):
            if child not in self._iids:
                self._new_row(child, iid, "end")

    def _drop_row(self, item: Item) -> None:
        """Forget a row and all below it, then delete it."""
        iid = self._iids.get(item)
        if iid is not None:
            self._forget_below(iid)
            self._forget(item)
            self.tree.delete(iid)

    def _forget_below(self, iid: str) -> None:
        for child in self.tree.get_children(iid):
            self._forget_below(child)
            item = self._items.get(child)
            if item is not None:
                self._forget(item)

    def _forget(self, item: Item) -> None:
        iid = self._iids.pop(item, None)
        if iid is not None:
            self._items.pop(iid, None)
        self._looks.pop(item, None)
        if item in self._with_rtt:
            self._rtt_changed(item, None)
        self._unfilled.pop(item, None)

    def _apply(self, delta: Delta) -> None:
        if not delta:
            return
        self._few = self.forest.vm_count() <= LAZY_ABOVE
        if self._filter.narrows:
            self._visible = self.forest.visible(self._filter)
        self._rearrange(delta)
        for item in delta.removed:
            self._drop_row(item)
        # rows that a filter had detached are found by no parent any more
        for item in [i for i in self._iids if i not in self.forest.nodes] if delta.removed else ():
            self._drop_row(item)
        for item in [i for i in self._unfilled if not self.forest.has_children(i)] if delta.removed else ():
            self.tree.delete(self._unfilled.pop(item))
        for item in delta.changed:
            self._restyle(item)
        if self._filter.narrows:
            self._arrange_all()
        self._eliding.soon()
        self._on_select()

    def _rearrange(self, delta: Delta) -> None:
        """Put what was added or moved into its place."""
        by_parent: dict[Item | None, list[Item]] = {}
        for item in itertools.chain(delta.added, delta.moved):
            node = self.forest.nodes.get(item)
            if node is not None:
                by_parent.setdefault(node.parent, []).append(item)
        for parent, items in by_parent.items():
            if parent is not None and parent not in self._iids:
                continue  # its own row does not exist yet, or was just made with all that is in it
            if parent is not None and (parent in self._unfilled or not self.tree.get_children(self._iids[parent])):
                for item in items:
                    self._drop_row(item)  # moved to where no rows are yet
                self._add_stand_in(parent)
                if self.tree.item(self._iids[parent], "open"):
                    self._fill(parent)
                continue
            self._place(parent, items)

    def _place(self, parent: Item | None, items: list[Item]) -> None:
        parent_iid = self._iids[parent] if parent is not None else ""
        single = len(items) == 1 and self._visible is None
        for item in items:
            if item not in self._iids and self._is_shown(item):
                index = self.forest.index(item) if single else "end"
                self._new_row(item, parent_iid, index)
            elif single:
                self.tree.move(self._iids[item], parent_iid, self.forest.index(item))
        if not single:
            self._arrange(parent)

    def _arrange(self, parent: Item | None) -> None:
        """Give a filled parent exactly the rows that are shown, in order."""
        parent_iid = self._iids[parent] if parent is not None else ""
        wanted = self._shown_children(parent)
        for item in wanted:
            if item not in self._iids:
                self._new_row(item, parent_iid, "end")
        self.tree.set_children(parent_iid, *[self._iids[item] for item in wanted])

    def _arrange_all(self) -> None:
        """After a change of the filter: every parent that has rows, and stand-ins for the others."""
        for parent in (None, *self.forest.parents()):
            if parent is not None and (parent not in self._iids or not self._is_shown(parent)):
                continue
            if self._is_filled(parent):
                self._arrange(parent)
            elif parent is not None and not self._shown_children(parent):
                self.tree.delete(self._unfilled.pop(parent))
            elif parent is not None:
                self._add_stand_in(parent)

    def _refilter(self) -> None:
        before = self._visible
        self._visible = self.forest.visible(self._filter)
        if before is None and self._visible is None:
            return
        self._arrange_all()
        self._eliding.soon()
        self._on_select()

    def _restyle(self, item: Item) -> None:
        """Draw a row again if it looks different; touches only what differs."""
        iid = self._iids.get(item)
        if iid is None or item not in self.forest.nodes:
            return
        old, new = self._looks[item], self._look(item)
        if new == old:
            return
        self._looks[item] = new
        self._eliding.soon()
        if new.rtt != old.rtt:
            self.tree.set(iid, "rtt", new.rtt)
            self._rtt_changed(item, new)
        if new.text != old.text:
            self.tree.item(iid, text=new.text)
        if new.tags != old.tags:
            self.tree.item(iid, tags=new.tags)
        if (new.sign, new.tick, new.stale, new.badge) != (old.sign, old.tick, old.stale, old.badge):
            # searched linearly by Tk among the rows with the same picture: only when it really changed
            self.tree.item(iid, image=self._picture(new))

    def _rtt_changed(self, item: Item, look: Look | None) -> None:
        before = bool(self._with_rtt)
        if look is not None and look.rtt:
            self._with_rtt.add(item)
        else:
            self._with_rtt.discard(item)
        shown = bool(self._with_rtt)
        if before != shown:
            # Tk gives columns their width again only when the widget itself changes its size
            others = self.tree.column("rtt", "width") if shown else 0
            self.tree.configure(displaycolumns=("rtt",) if shown else ())
            self._eliding.soon()
            self.tree.column("#0", width=max(self.tree.winfo_width() - others, self.tree.column("#0", "minwidth")))

    def _restyle_some(self) -> None:
        self._pending_id = None
        for _ in range(min(_CHUNK, len(self._pending))):
            self._restyle(self._pending.popleft())
        if self._pending:
            self._pending_id = self.tree.after(_CHUNK_PAUSE_MS, self._restyle_some)

    # ---- opening -----------------------------------------------------------------------------------------------

    def _open_above(self, item: Item) -> None:
        for ancestor in reversed(tuple(self.forest.ancestors(item))):
            self._fill(ancestor)
            iid = self._iids.get(ancestor)
            if iid is not None and not self.tree.item(iid, "open"):
                self.tree.item(iid, open=True)

    def _reveal(self, item: Item) -> str | None:
        """The row of an item, made visible if the filter lets it."""
        if item not in self.forest.nodes or not self._is_shown(item):
            return None
        self._open_above(item)
        return self._iids.get(item)

    def _on_open(self, _event: tk.Event[tk.Misc]) -> None:
        item = self._items.get(self.tree.focus())
        if item is not None:
            self._fill(item)

    # ---- what the user does ------------------------------------------------------------------------------------

    def _on_select(self, _event: object = None) -> None:
        selection = self.selection
        if selection != self._last_selection:
            self._last_selection = selection
            self._owner.tree_selected(selection)

    def _can_tick(self, item: Item | None) -> bool:
        node = self.forest.nodes.get(item) if item is not None else None
        return node is not None and isinstance(node.found, Vm) and node.found.kind is VmKind.VM

    def _box_at(self, x: int, y: int) -> Item | None:
        """The VM whose tick box is at this place."""
        item = self._items.get(self.tree.identify_row(y))
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
            self._restyle(item)

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
        item = self._items.get(self.tree.identify_row(event.y))
        over = str(self.tree.identify_element(event.x, event.y))
        if item is None or item.kind not in (ItemKind.VM, ItemKind.SNAPSHOT) or over.endswith("indicator"):
            return None
        self._owner.tree_activated(item)
        return "break"

    def _on_space(self, _event: object) -> str:
        self._tick(self.selection.items)
        return "break"

    def _on_return(self, _event: object) -> str | None:
        item = self._items.get(self.tree.focus())
        if item is None or item.kind not in (ItemKind.VM, ItemKind.SNAPSHOT):
            return None
        self._owner.tree_activated(item)
        return "break"

    def _on_select_all(self, _event: object) -> str:
        """All VMs in view below the same server as the focused row."""
        focused = self._items.get(self.tree.focus())
        if focused is not None:
            below = self.forest.vms_below(Item(ItemKind.SERVER, focused.server_id))
            rows = [self._iids[i] for i in below if i in self._iids and self._is_shown(i)]
            if rows:
                self.tree.selection_set(*rows)
        return "break"

    def _on_menu_click(self, event: tk.Event[tk.Misc]) -> str:
        iid = self.tree.identify_row(event.y)
        self.tree.focus_set()
        if iid in self._items:
            if iid not in self.tree.selection():
                self.tree.selection_set(iid)
            self.tree.focus(iid)
            self._on_select()
            self._owner.tree_popup(self.selection, event.x_root, event.y_root)
        return "break"

    def _on_menu_key(self, _event: object) -> str:
        iid = self.tree.focus()
        if iid in self._items:
            self.tree.see(iid)
            if iid not in self.tree.selection():
                self.tree.selection_set(iid)
                self._on_select()
            box = self.tree.bbox(iid, "#0")
            x, y, height = (int(box[0]), int(box[1]), int(box[3])) if box else (0, 0, 0)
            x_root = self.tree.winfo_rootx() + x + self.theme.px(40)
            self._owner.tree_popup(self.selection, x_root, self.tree.winfo_rooty() + y + height)
        return "break"

    def _rows_in_view(self, parent: Item | None) -> Iterator[str]:
        for item in self._shown_children(parent):
            iid = self._iids.get(item)
            if iid is not None:
                yield iid
                if item not in self._unfilled and self.forest.has_children(item) and self.tree.item(iid, "open"):
                    yield from self._rows_in_view(item)

    def _on_key(self, event: tk.Event[tk.Misc]) -> str | None:
        iid = self._type_ahead.key(event, self.whole_text)
        if iid is None:
            return None
        self.tree.selection_set(iid)
        self.tree.focus(iid)
        self.tree.see(iid)
        return "break"
