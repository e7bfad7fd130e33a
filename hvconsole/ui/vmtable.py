"""The table of VMs of a pool, host or server: sortable, choosable, remembered columns; 10,000 rows. Tk thread only.

Rows are inserted in portions, so that a large pool never holds up the window; afterwards only differences are drawn.
Item ids are the table's own counters: names and ids of servers are data, never Tcl.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterable, Sequence
from tkinter import ttk

from hvconsole.model import ObjectId, PowerState, Vm, VmKind
from hvconsole.settings import SettingsStore, Table
from hvconsole.text import shown_name
from hvconsole.ui.columns import BY_ID, COLUMNS, Column, Context, Key, chosen_columns, natural_key
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.extending import Extending
from hvconsole.ui.listing import AFTER_NUMBER
from hvconsole.ui.rowtips import RowTips, clipped_cells
from hvconsole.ui.tclvar import TclVar
from hvconsole.ui.theme import Theme

PORTION = 150
"""Rows that are inserted in one turn of the main loop."""
NAME = "name"
SAVE_MS = 600


class VmTable:
    """``frame`` is to be placed by the owner. ``show`` may be called as often as wanted."""

    def __init__(
        self,
        theme: Theme,
        parent: tk.Misc,
        dispatcher: Dispatcher,
        settings: SettingsStore,
        *,
        chosen: Callable[[], None],
        opened: Callable[[ObjectId], None],
        menu: Callable[[int, int], None],
    ) -> None:
        """``chosen``: other rows were chosen; ``opened``: double click or Return on a row; ``menu``: context menu."""
        self.theme = theme
        self._dispatcher = dispatcher
        self._settings = settings
        self._on_chosen, self._on_opened, self._on_menu = chosen, opened, menu
        self._vms: dict[ObjectId, Vm] = {}
        self._context = Context({}, {})
        self._iids: dict[ObjectId, str] = {}
        self._ids: dict[str, ObjectId] = {}
        self._cells: dict[ObjectId, tuple[str, ...]] = {}
        self._keys: dict[ObjectId, Key] = {}
        self._order: list[ObjectId] = []
        self._waiting: list[ObjectId] = []
        self._stale = False
        self._menu: tk.Menu | None = None
        self._made = 0
        self._generation = 0
        self._save_timer: str | None = None
        saved = settings.current.table
        self.columns: tuple[Column, ...] = tuple(BY_ID[c] for c in chosen_columns(saved.columns))
        self._widths: dict[str, int] = dict(saved.widths)
        self.sort_id, self.descending = _read_sort(saved.sort)
        self._build(parent)

    # ---- building ------------------------------------------------------------------------------------------

    def _build(self, parent: tk.Misc) -> None:
        self.frame = ttk.Frame(parent, style="Surface.TFrame")
        self.frame.rowconfigure(0, weight=1)
        self.frame.columnconfigure(0, weight=1)
        tree = self.tree = ttk.Treeview(
            self.frame,
            columns=tuple(c.id for c in COLUMNS),
            displaycolumns=tuple(c.id for c in self.columns),
            show="tree headings",
            style="List.Treeview",
            selectmode="extended",
        )
        tree.grid(row=0, column=0, sticky="nsew")
        down = ttk.Scrollbar(self.frame, command=tree.yview)
        across = ttk.Scrollbar(self.frame, command=tree.xview, orient="horizontal")
        down.grid(row=0, column=1, sticky="ns")
        across.grid(row=1, column=0, sticky="ew")
        tree.configure(yscrollcommand=_hiding(down), xscrollcommand=_hiding(across))
        self._arrange_columns()
        self.theme.follow(tree, self._color)
        tree.bind("<<TreeviewSelect>>", lambda _event: self._on_chosen())
        tree.bind("<Double-Button-1>", self._double)
        tree.bind("<Return>", self._returned)
        tree.bind("<Button-3>", self._popup)
        tree.bind("<ButtonRelease-1>", self._maybe_resized, add=True)
        self._tips = RowTips(tree, self.theme, lambda row: clipped_cells(tree, row, self.theme))
        tree.bind("<Control-a>", lambda _event: self._choose_all())
        self._extending = Extending(tree, lambda: list(tree.get_children()))

    def _color(self, theme: Theme) -> None:
        self.tree.tag_configure("off", foreground=theme.color("muted"))
        self.tree.tag_configure("stale", foreground=theme.color("faint"))

    def _arrange_columns(self) -> None:
        px, tree = self.theme.px, self.tree
        last = self.columns[-1].id if self.columns else ""
        self._head("#0", NAME, "Name", False)
        tree.column("#0", width=px(self._widths.get(NAME, 170)), minwidth=px(90), stretch=False)
        for column in COLUMNS:
            width = px(self._widths.get(column.id, column.width))
            self._head(column.id, column.id, column.title, column.numeric)
            if column.numeric:
                tree.column(column.id, width=width, minwidth=px(44), stretch=False, anchor="e")
            else:
                tree.column(column.id, width=width, minwidth=px(44), stretch=column.id == last, anchor="w")
        tree.configure(displaycolumns=tuple(c.id for c in self.columns))

    def _head(self, place: str, column_id: str, title: str, numeric: bool) -> None:
        arrow = "" if self.sort_id != column_id else "  ▾" if self.descending else "  ▴"
        lead = "  " if place == "#0" else ""

        def sort() -> None:
            self.sort_by(column_id)

        if numeric:
            self.tree.heading(place, text=lead + title + arrow + AFTER_NUMBER, anchor="e", command=sort)
        else:
            self.tree.heading(place, text=lead + title + arrow, anchor="w", command=sort)

    # ---- what it shows -------------------------------------------------------------------------------------

    def show(self, vms: Iterable[Vm], context: Context, *, stale: bool = False) -> None:
        """Show exactly these VMs. What is there already keeps its row, choice and place."""
        wanted = {vm.id: vm for vm in vms}
        before = self._context
        renamed = (context.host_names, context.pool_names, context.silent_hosts) != (
            before.host_names,
            before.pool_names,
            before.silent_hosts,
        )
        if stale != self._stale:
            self._stale = stale
            renamed = True
        self._context = context
        removed = [i for i in self._vms if i not in wanted]
        changed = [i for i, vm in wanted.items() if i in self._vms and (renamed or self._vms[i] is not vm)]
        added = [i for i in wanted if i not in self._vms]
        self._vms = wanted
        moved = self._remove(removed)
        for vm_id in changed:
            moved = self._refresh_row(vm_id) or moved
        for vm_id in added:
            self._keys[vm_id] = self._sort_key(wanted[vm_id])
            moved = True
        if moved:
            self._reorder()
        if added:
            self._generation += 1
            places = {vm_id: n for n, vm_id in enumerate(self._order)}
            self._waiting = sorted((i for i in wanted if i not in self._iids), key=lambda i: places[i])
            self._insert_some(self._generation)

    def refresh_live(self, vm_id: ObjectId) -> None:
        """The monitor has news of this VM."""
        if vm_id in self._iids and self._refresh_row(vm_id):
            self._reorder()

    @property
    def filling(self) -> bool:
        """Whether rows are still being inserted."""
        return bool(self._waiting)

    def _remove(self, ids: Sequence[ObjectId]) -> bool:
        gone = []
        for vm_id in ids:
            self._cells.pop(vm_id, None)
            self._keys.pop(vm_id, None)
            iid = self._iids.pop(vm_id, None)
            if iid is not None:
                del self._ids[iid]
                gone.append(iid)
        if gone:
            self.tree.delete(*gone)
        if ids:
            self._waiting = [i for i in self._waiting if i in self._vms]
        return bool(ids)

    def _row_cells(self, vm: Vm) -> tuple[str, ...]:
        texts = (c.text(vm, self._context) + (AFTER_NUMBER if c.numeric else "") for c in COLUMNS)
        return (shown_name(vm.name, vm.uuid, 120), self._sign(vm), *texts)

    def _sign(self, vm: Vm) -> str:
        if vm.kind is not VmKind.VM:
            return "layers"
        if self._context.host_away(vm):
            return "state:unknown"
        return "state:busy" if vm.operations else f"state:{vm.power.value}"

    def _tags(self, vm: Vm) -> tuple[str, ...]:
        if self._stale:
            return ("stale",)
        lively = vm.power is PowerState.RUNNING and bool(vm.name.strip()) and not self._context.host_away(vm)
        return () if lively else ("off",)

    def _refresh_row(self, vm_id: ObjectId) -> bool:
        """Draw the cells that differ; whether the row now sorts elsewhere."""
        vm = self._vms[vm_id]
        cells = self._row_cells(vm)
        before = self._cells.get(vm_id)
        iid = self._iids.get(vm_id)
        if iid is not None and before is not None:
            if before[:2] != cells[:2] or self._stale:
                self.tree.item(iid, text=cells[0], image=self.theme.images.row(cells[1], stale=self._stale))
            for column, old, new in zip(COLUMNS, before[2:], cells[2:], strict=True):
                if old != new:
                    self.tree.set(iid, column.id, new)
            self.tree.item(iid, tags=self._tags(vm))
            self._cells[vm_id] = cells
        key = self._sort_key(vm)
        if key == self._keys.get(vm_id):
            return False
        self._keys[vm_id] = key
        return True

    def _insert_some(self, generation: int) -> None:
        """Insert one portion and come back for the rest, unless something newer has begun."""
        if generation != self._generation or not self.tree.winfo_exists():
            return
        portion, self._waiting = self._waiting[:PORTION], self._waiting[PORTION:]
        places = {vm_id: n for n, vm_id in enumerate(self._order)} if len(portion) < len(self._order) else {}
        for vm_id in portion:
            vm = self._vms[vm_id]
            cells = self._row_cells(vm)
            self._made += 1
            iid = f"r{self._made}"
            self._iids[vm_id], self._ids[iid] = iid, vm_id
            self._cells[vm_id] = cells
            self.tree.insert(
                "",
                # rows come in sorted order; what is missing before this one leaves it at the end until all are there
                min(places.get(vm_id, self._made), len(self._iids) - 1),
                iid=iid,
                text=cells[0],
                image=self.theme.images.row(cells[1], stale=self._stale),
                values=cells[2:],
                tags=self._tags(vm),
            )
        if self._waiting:
            self._dispatcher.post(lambda: self._insert_some(generation))
        else:
            self._apply_order()

    # ---- sorting -------------------------------------------------------------------------------------------

    def sort_by(self, column_id: str) -> None:
        """Sort by this column; a second time turns the direction."""
        if self.sort_id == column_id:
            self.descending = not self.descending
        else:
            self.sort_id, self.descending = column_id, False
        self._keys = {vm_id: self._sort_key(vm) for vm_id, vm in self._vms.items()}
        self._arrange_columns()
        self._reorder()
        self._save_soon()

    def _sort_key(self, vm: Vm) -> Key:
        column = BY_ID.get(self.sort_id)
        return column.sort_key(vm, self._context) if column is not None else (natural_key(vm.name),)

    def _reorder(self) -> None:
        order = sorted(self._vms, key=self._keys.__getitem__, reverse=self.descending)
        if order != self._order:
            self._order = order
            if not self._waiting:
                self._apply_order()

    def _apply_order(self) -> None:
        wanted = tuple(self._iids[i] for i in self._order if i in self._iids)
        if wanted != self.tree.get_children():
            self.tree.set_children("", *wanted)

    # ---- columns -------------------------------------------------------------------------------------------

    def set_columns(self, ids: Sequence[str]) -> None:
        """Show these columns, in this order; remembered."""
        self.columns = tuple(BY_ID[i] for i in chosen_columns(tuple(ids)))
        self._arrange_columns()
        self._save_soon()

    def toggle_column(self, column_id: str) -> None:
        """Show a column at its usual place, or hide it."""
        shown = {c.id for c in self.columns} ^ {column_id}
        self.set_columns([c.id for c in COLUMNS if c.id in shown])

    def column_menu(self, x_root: int, y_root: int) -> tk.Menu:
        """A menu with a tick per column; opened at that place."""
        if self._menu is not None:
            self._menu.destroy()
        menu = self._menu = tk.Menu(self.tree, tearoff=False)
        shown = {c.id for c in self.columns}
        for column in COLUMNS:
            menu.add_checkbutton(
                label=column.title,
                command=lambda column_id=column.id: self.toggle_column(column_id),  # type: ignore[misc]
            )
            TclVar(menu, "1" if column.id in shown else "0").attach(menu, "entryconfigure", "end")
        menu.tk_popup(x_root, y_root)
        return menu

    def _maybe_resized(self, event: tk.Event[tk.Misc]) -> None:
        if self.tree.identify_region(event.x, event.y) not in ("separator", "heading"):
            return
        self.read_widths()

    def read_widths(self) -> None:
        """Remember the widths as they are now."""
        scale = self.theme.scale
        widths = {NAME: round(self.tree.column("#0", "width") / scale)}
        for column in self.columns[:-1]:
            widths[column.id] = round(self.tree.column(column.id, "width") / scale)
        if any(abs(self._widths.get(key, 0) - value) > 1 for key, value in widths.items()):
            self._widths.update(widths)
            self._save_soon()

    def _save_soon(self) -> None:
        if self._save_timer is None:
            self._save_timer = self.tree.after(SAVE_MS, self.save)

    def save_if_due(self) -> None:
        """Write at once what would be written a moment later."""
        if self._save_timer is not None:
            self.save()

    def save(self) -> None:
        """Write columns, widths and sorting into the settings."""
        if self._save_timer is not None:
            self.tree.after_cancel(self._save_timer)
            self._save_timer = None
        sort = f"-{self.sort_id}" if self.descending else self.sort_id
        self._settings.change(
            table=Table(columns=tuple(c.id for c in self.columns), widths=dict(self._widths), sort=sort)
        )

    # ---- choosing ------------------------------------------------------------------------------------------

    def chosen(self) -> tuple[ObjectId, ...]:
        """VMs that are chosen, in the order of the rows."""
        return tuple(self._ids[iid] for iid in self.tree.selection() if iid in self._ids)

    def rows(self) -> tuple[ObjectId, ...]:
        """VMs in the order of the rows."""
        return tuple(self._ids[iid] for iid in self.tree.get_children())

    def cell(self, vm_id: ObjectId, column_id: str) -> str:
        """What a cell shows."""
        return str(self.tree.set(self._iids[vm_id], column_id)).rstrip()

    def place_of(self, vm_id: ObjectId) -> tuple[int, int, int, int] | None:
        """Where a row is drawn, as ``Treeview.bbox`` gives it; None if it cannot be seen."""
        box = self.tree.bbox(self._iids[vm_id], "#0")
        return box or None

    def _choose_all(self) -> str:
        self.tree.selection_set(*self.tree.get_children())
        return "break"

    def _double(self, event: tk.Event[tk.Misc]) -> None:
        row = self.tree.identify_row(event.y)
        if row and self.tree.identify_region(event.x, event.y) in ("cell", "tree"):
            self._on_opened(self._ids[row])

    def _returned(self, _event: tk.Event[tk.Misc]) -> str:
        row = self.tree.focus()
        if row in self._ids:
            self._on_opened(self._ids[row])
        return "break"

    def _popup(self, event: tk.Event[tk.Misc]) -> None:
        if self.tree.identify_region(event.x, event.y) == "heading":
            self.column_menu(event.x_root, event.y_root)
            return
        row = self.tree.identify_row(event.y)
        if row and row not in self.tree.selection():
            self.tree.selection_set(row)
            self.tree.focus(row)
        if row:
            self._on_menu(event.x_root, event.y_root)


def _read_sort(saved: str) -> tuple[str, bool]:
    column = saved.removeprefix("-")
    return (column, saved.startswith("-")) if column in BY_ID or column == NAME else (NAME, False)


def _hiding(bar: ttk.Scrollbar) -> Callable[[float, float], None]:
    """A scroll command that shows the bar only when it is needed."""

    def scrolled(first: float, last: float) -> None:
        bar.set(first, last)
        if (float(first), float(last)) == (0.0, 1.0):
            bar.grid_remove()
        else:
            bar.grid()

    return scrolled
