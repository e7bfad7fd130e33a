"""Snapshots of a VM as a tree, with "you are here"; take, revert, delete, make a VM of one. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from dataclasses import dataclass
from tkinter import ttk

from hvconsole.backends.base import Capability
from hvconsole.model import ObjectId, Snapshot, Verb, Vm, VmKind
from hvconsole.operations import operation
from hvconsole.text import format_bytes, safe_lines, safe_text
from hvconsole.ui.cards import MARGIN, Empty, wrap_to_width
from hvconsole.ui.dialogs.names import CloneDialog
from hvconsole.ui.flow import Flow
from hvconsole.ui.interfaces import Item, ItemKind, Selection, Shell
from hvconsole.ui.listing import ListColumn, Listing
from hvconsole.ui.pages.base import BasePage
from hvconsole.ui.wording import count, local_time

HERE = "here"


@dataclass(frozen=True, slots=True)
class Node:
    """One row of the tree; ``snapshot`` is None for "you are here"."""

    iid: str
    parent: str
    snapshot: Snapshot | None
    text: str
    values: tuple[str, ...]
    icon: str


def kind_words(snapshot: Snapshot) -> str:
    """What a snapshot holds, in words."""
    parts = ["automatic" if snapshot.automatic else "", "with memory" if snapshot.with_memory else ""]
    if snapshot.quiesced:
        parts.append("quiesced")
    return ", ".join(p for p in parts if p) or "disks"


def first_line(text: str) -> str:
    """The first line of a description that says something; the mark of automatic snapshots is not one."""
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("[hvconsole")]
    return safe_text(lines[0], 160) if lines else ""


def nodes(vm: Vm) -> list[Node]:
    """Rows in drawing order: parents before children, older before newer; orphans and circles hang at the root.

    "You are here" hangs below the snapshot that the present state descends from.
    """
    known = {s.id: s for s in vm.snapshots}
    children: dict[ObjectId | None, list[Snapshot]] = {}
    for snapshot in vm.snapshots:
        parent = snapshot.parent_id if snapshot.parent_id in known and snapshot.parent_id != snapshot.id else None
        children.setdefault(parent, []).append(snapshot)
    for family in children.values():
        family.sort(key=lambda s: (s.created.timestamp() if s.created else 0.0, s.name))
    rows: list[Node] = []
    drawn: set[ObjectId] = set()

    def add(snapshot: Snapshot, parent: str) -> None:
        # a loop instead of recursion: some servers have chains of hundreds
        waiting = [(snapshot, parent)]
        while waiting:
            current, below = waiting.pop()
            if current.id in drawn:
                continue
            drawn.add(current.id)
            rows.append(
                Node(
                    f"s{current.id}",
                    below,
                    current,
                    safe_text(current.name, 120) or "—",
                    (
                        local_time(current.created),
                        kind_words(current),
                        format_bytes(current.size_bytes) if current.size_bytes is not None else "",
                        first_line(current.description),
                    ),
                    "activity" if current.automatic else "camera",
                )
            )
            waiting += [(child, f"s{current.id}") for child in reversed(children.get(current.id, []))]

    for root in children.get(None, []):
        add(root, "")
    for snapshot in vm.snapshots:
        add(snapshot, "")
    if vm.snapshots:
        here = vm.current_snapshot_id
        below = f"s{here}" if here in known else ""
        rows.append(Node(HERE, below, None, "You are here", ("now", "", "", ""), "here"))
    return rows


class SnapshotsPage(BasePage):
    """The tree, a bar of buttons above it, and the whole description of the chosen one below it."""

    title = "Snapshots"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        super().__init__(shell, parent)
        px = self.theme.px
        self._vm: Vm | None = None
        self._nodes: dict[str, Node] = {}
        self._flow = Flow(self.theme, self.widget)
        self._bar = self._flow.frame
        self._bar.pack(fill="x", padx=px(MARGIN), pady=px(10))
        self.take = self._button("Take snapshot…", lambda: self._run(Verb.SNAPSHOT), "Surface.Accent.TButton")
        self.revert = self._button("Revert…", lambda: self._run(Verb.REVERT))
        self.delete = self._button("Delete…", lambda: self._run(Verb.DELETE_SNAPSHOT))
        self.clone = self._button("New VM from it…", self._clone)
        self.summary = ttk.Label(self._bar, style="Surface.Small.TLabel")
        self._flow.add(self.summary, right=True)
        self.reason = ttk.Label(self.widget, style="Surface.Small.TLabel", justify="left", anchor="w")
        wrap_to_width(self.reason)
        self.listing = Listing(
            self.theme,
            self.widget,
            (
                ListColumn("name", "Snapshot", 330),
                ListColumn("when", "Created", 130),
                ListColumn("kind", "Holds", 110),
                ListColumn("size", "Size", 80, numeric=True),
                ListColumn("text", "Description", 200, stretch=True),
            ),
            indent=True,
            multiple=True,
        )
        self.tree = self.listing.tree
        self.tree.bind("<<TreeviewSelect>>", lambda _event: self._chosen())
        self.tree.bind("<Delete>", lambda _event: self._run(Verb.DELETE_SNAPSHOT))
        self.tree.bind("<Double-Button-1>", self._double)
        self.tree.bind("<Button-3>", self._popup)
        self.detail = ttk.Label(self.widget, style="Surface.Muted.TLabel", justify="left", anchor="w")
        wrap_to_width(self.detail)
        self._empty = Empty(
            self.theme,
            self.widget,
            "camera",
            "This VM has no snapshots.",
            "Take snapshot…",
            lambda: self._run(Verb.SNAPSHOT),
        )

    @staticmethod
    def applies(selection: Selection) -> bool:
        """For one VM, or snapshots of one."""
        return selection.kind in (ItemKind.VM, ItemKind.SNAPSHOT)

    def _button(self, text: str, command: Callable[[], None], style: str = "Surface.TButton") -> ttk.Button:
        button = ttk.Button(self._bar, text=text, command=command, style=style)
        self._flow.add(button)
        return button

    def update(self, fresh: bool) -> None:
        """Draw what differs: rows that stay keep their place, choice and fold."""
        subject = self.subject
        if subject is None or subject.vm is None:
            return
        vm = subject.vm
        if vm is not self._vm or fresh:
            other = self._vm is None or self._vm.id != vm.id or fresh
            self._vm = vm
            self._draw(nodes(vm), other)
        if fresh and subject.snapshot is not None and self.tree.exists(f"s{subject.snapshot.id}"):
            iid = f"s{subject.snapshot.id}"
            self.tree.selection_set(iid)
            self.tree.focus(iid)
            self.tree.see(iid)
        self._enable()

    def _draw(self, rows: list[Node], other: bool) -> None:
        wanted = {row.iid: row for row in rows}
        if other:
            self.tree.delete(*self.tree.get_children())
            self._nodes = {}
        for iid in [iid for iid in self._nodes if iid not in wanted]:
            if self.tree.exists(iid):
                # children of a deleted snapshot live on under its parent
                for child in self.tree.get_children(iid):
                    self.tree.move(child, "", "end")
                self.tree.delete(iid)
        for row in rows:
            before = self._nodes.get(row.iid)
            if before == row:
                continue
            image = self.theme.images.row(self._sign(row))
            if before is None:
                tags = ("bold",) if row.snapshot is None else ()
                self.listing.insert(row.iid, row.text, row.values, parent=row.parent, image=image, tags=tags)
            else:
                self.tree.item(row.iid, text=row.text, image=image)
                for number, (old, new) in enumerate(zip(before.values, row.values, strict=True)):
                    if old != new:
                        self.listing.set(row.iid, number, new)
                if before.parent != row.parent:
                    self.tree.move(row.iid, row.parent, "end")
        self._nodes = wanted
        own = sum(1 for row in rows if row.snapshot is not None and row.snapshot.automatic)
        total = sum(1 for row in rows if row.snapshot is not None)
        words = count(total, "snapshot") + (f", {own} automatic" if own else "")
        self.summary.configure(text=words if total else "")
        self.detail.pack_forget()
        self.listing.frame.pack_forget()
        self._empty.frame.pack_forget()
        if total:
            px = self.theme.px
            self.detail.pack(side="bottom", fill="x", padx=px(MARGIN), pady=px(8))
            self.listing.frame.pack(fill="both", expand=True, padx=(px(8), 0))
        else:
            self._empty.frame.pack(fill="both", expand=True)

    def _sign(self, row: Node) -> str:
        if row.snapshot is None and self._vm is not None:
            return f"state:{self._vm.power.value}"
        return row.icon

    # ---- choosing and doing --------------------------------------------------------------------------------

    def chosen(self) -> list[Snapshot]:
        """Snapshots that are chosen in the tree."""
        rows = (self._nodes.get(iid) for iid in self.tree.selection())
        return [row.snapshot for row in rows if row is not None and row.snapshot is not None]

    def _selection(self) -> Selection:
        server_id = self.selection.server_id
        assert server_id is not None
        assert self._vm is not None
        vm_id = self._vm.id
        return Selection(tuple(Item(ItemKind.SNAPSHOT, server_id, s.id, vm_id) for s in self.chosen()))

    def _vm_selection(self) -> Selection:
        server_id = self.selection.server_id
        assert server_id is not None
        assert self._vm is not None
        return Selection((Item(ItemKind.VM, server_id, self._vm.id),))

    def _chosen(self) -> None:
        found = self.chosen()
        text = safe_lines(found[0].description.strip(), 1200) if len(found) == 1 else ""
        self.detail.configure(text="\n".join(text.split("\n")[:8]))
        self._enable()

    def _enable(self) -> None:
        """Grey what cannot be done, and say why below the buttons."""
        vm = self._vm
        if vm is None:
            return
        found = self.chosen()
        whole = self._vm_selection()
        take = self.shell.why_not(Verb.SNAPSHOT, whole) if vm.kind is VmKind.VM else "This is a template."
        subject = self.subject
        # what the server says about cloning is about the VM as it runs; a snapshot of it is at rest
        able = subject is not None and Capability.CLONE in subject.connection.capabilities
        clone = None if able else self.shell.why_not(Verb.CLONE, whole)
        need_one = "Choose one snapshot." if len(found) != 1 else None
        need_some = None if found else "Choose a snapshot."
        selected = self._selection() if found else whole
        reasons = {
            self.take: take,
            self.revert: need_one or self.shell.why_not(Verb.REVERT, selected),
            self.delete: need_some or self.shell.why_not(Verb.DELETE_SNAPSHOT, selected),
            self.clone: need_one or clone,
        }
        for button, reason in reasons.items():
            button.state(["disabled"] if reason else ["!disabled"])
        shown = dict.fromkeys(r for r in reasons.values() if r and not r.startswith("Choose"))
        if shown:
            self.reason.configure(text=safe_lines("\n".join(shown), 600))
            self.reason.pack(fill="x", padx=self.theme.px(MARGIN), pady=(0, self.theme.px(6)), after=self._bar)
        else:
            self.reason.pack_forget()

    def _run(self, verb: Verb) -> None:
        if self._vm is None:
            return
        self.shell.run(verb, self._vm_selection() if verb is Verb.SNAPSHOT or not self.chosen() else self._selection())

    def _clone(self) -> None:
        found = self.chosen()
        subject = self.subject
        if len(found) != 1 or subject is None or subject.vm is None:
            return
        dialog = CloneDialog(self.shell, operation(Verb.CLONE), subject, found[0].id)
        if dialog.run() is not None:
            subject.connection.submit(Verb.CLONE, subject.vm.id, dialog.given, insist=True)

    def _double(self, event: tk.Event[tk.Misc]) -> None:
        if self.tree.identify_row(event.y) and self.revert.instate(["!disabled"]):
            self._run(Verb.REVERT)

    def _popup(self, event: tk.Event[tk.Misc]) -> None:
        row = self.tree.identify_row(event.y)
        if row and row not in self.tree.selection():
            self.tree.selection_set(row)
            self.tree.focus(row)
        if self.chosen():
            self.shell.popup(self._selection(), event.x_root, event.y_root)
