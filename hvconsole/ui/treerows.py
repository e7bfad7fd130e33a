"""The rows of the inventory tree: ``rows.Forest`` replayed in a ttk Treeview.

Rows are made when their parent is opened, changed one by one, and never cleared and filled again: selection, scrolling
and what is open survive every refresh. Row ids are counters of our own; no name from a server ever becomes one. Tk
thread only.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from tkinter import ttk

from hvconsole.ui.eliding import Eliding
from hvconsole.ui.filters import Filter
from hvconsole.ui.interfaces import Item, ItemKind
from hvconsole.ui.looks import Look
from hvconsole.ui.rows import Delta, Forest, Grouping
from hvconsole.ui.theme import Theme

LAZY_ABOVE = 5000
"""With more VMs than this, hosts start closed: their rows are made when they are opened."""
OPEN_HITS = 300
"""A search opens what is closed if it leaves at most this many VMs."""
_CHUNK = 200
"""Rows restyled in one turn when a whole server changes its look."""
_CHUNK_PAUSE_MS = 10


class TreeRows:
    """Which item has which row in ``tree``, and how it looks there.

    ``look_of(item)`` says how an item in the forest looks now; ``changed()`` is called when rows came, went or moved.
    """

    def __init__(
        self, tree: ttk.Treeview, theme: Theme, look_of: Callable[[Item], Look], changed: Callable[[], None]
    ) -> None:
        self.forest = Forest()
        self.iids: dict[Item, str] = {}
        self.items: dict[str, Item] = {}
        self._tree = tree
        self._theme = theme
        self._look_of = look_of
        self._changed = changed
        self._numbers = itertools.count(1)
        self._looks: dict[Item, Look] = {}
        self._unfilled: dict[Item, str] = {}
        """Items whose children have no rows yet → id of the stand-in that makes them look like parents."""
        self._filter = Filter()
        self._visible: set[Item] | None = None
        self._with_rtt: set[Item] = set()
        """Rows with a round-trip time or an age; without any the column gives its room to the names."""
        self._pending: deque[Item] = deque()
        self._pending_id: str | None = None
        self._few = True
        self._eliding = Eliding(tree, self.whole_text, theme.px(26))

    def destroy(self) -> None:
        """Stop what still runs."""
        self._eliding.stop()
        if self._pending_id is not None:
            self._tree.after_cancel(self._pending_id)
            self._pending_id = None

    # ---- what is shown ---------------------------------------------------------------------------------------

    @property
    def searching(self) -> bool:
        """Whether a filter leaves something out."""
        return self._visible is not None

    def whole_text(self, iid: str) -> str:
        """What a row says, however little of it has room."""
        item = self.items.get(iid)
        return self._looks[item].text if item is not None else ""

    def is_shown(self, item: Item) -> bool:
        """Whether the filter lets this item be seen."""
        return self._visible is None or item in self._visible

    def shown_children(self, parent: Item | None) -> list[Item]:
        """What the filter leaves of what is directly below; None: the servers."""
        children = self.forest.children(parent)
        return children if self._visible is None else [c for c in children if c in self._visible]

    def first_shown_vm(self, parent: Item | None = None) -> Item | None:
        """The uppermost VM below, whether its row exists or not."""
        for child in self.shown_children(parent):
            found = child if child.kind is ItemKind.VM else self.first_shown_vm(child)
            if found is not None:
                return found
        return None

    def in_view(self, parent: Item | None = None) -> Iterator[str]:
        """Rows from top to bottom, without those in closed ones."""
        for item in self.shown_children(parent):
            iid = self.iids.get(item)
            if iid is not None:
                yield iid
                if item not in self._unfilled and self.forest.has_children(item) and self._tree.item(iid, "open"):
                    yield from self.in_view(item)

    # ---- what is told from outside -----------------------------------------------------------------------------

    def set_filter(self, wanted: Filter) -> int:
        """Show only what matches; returns how many VMs that are."""
        templates_changed = wanted.templates != self._filter.templates
        self._filter = wanted
        if templates_changed:
            self.apply(self.forest.regroup(self.forest.grouping, wanted.templates))
        self._refilter()
        if self._visible is None:
            return self.forest.vm_count()
        hits = [item for item in self._visible if item.kind is ItemKind.VM]
        if wanted.words and len(hits) <= OPEN_HITS:
            for hit in hits:
                self.open_above(hit)
        return len(hits)

    def regroup(self, grouping: Grouping) -> None:
        """Put VMs under something else."""
        self.apply(self.forest.regroup(grouping, self._filter.templates))

    def scrolled(self) -> None:
        """Other rows are in view."""
        self._eliding.soon()

    def apply(self, delta: Delta) -> None:
        """Replay a change of the forest."""
        if not delta:
            return
        self._few = self.forest.vm_count() <= LAZY_ABOVE
        if self._filter.narrows:
            self._visible = self.forest.visible(self._filter)
        self._rearrange(delta)
        for item in delta.removed:
            self._drop_row(item)
        # rows that a filter had detached are found by no parent any more
        for item in [i for i in self.iids if i not in self.forest.nodes] if delta.removed else ():
            self._drop_row(item)
        for item in [i for i in self._unfilled if not self.forest.has_children(i)] if delta.removed else ():
            self._tree.delete(self._unfilled.pop(item))
        for item in delta.changed:
            self.restyle(item)
        if self._filter.narrows:
            self._arrange_all()
        self._eliding.soon()
        self._changed()

    def restyle(self, item: Item) -> None:
        """Draw a row again if it looks different; touches only what differs."""
        iid = self.iids.get(item)
        if iid is None or item not in self.forest.nodes:
            return
        old, new = self._looks[item], self._look_of(item)
        if new == old:
            return
        self._looks[item] = new
        self._eliding.soon()
        if new.rtt != old.rtt:
            self._tree.set(iid, "rtt", new.rtt)
            self._rtt_changed(item, new)
        if new.text != old.text:
            self._tree.item(iid, text=new.text)
        if new.tags != old.tags:
            self._tree.item(iid, tags=new.tags)
        if (new.sign, new.tick, new.stale, new.badge) != (old.sign, old.tick, old.stale, old.badge):
            # searched linearly by Tk among the rows with the same picture: only when it really changed
            self._tree.item(iid, image=self._picture(new))

    def restyle_soon(self, items: Iterable[Item]) -> None:
        """Draw these rows again, in small portions."""
        self._pending.extend(items)
        if self._pending_id is None and self._pending:
            self._pending_id = self._tree.after(_CHUNK_PAUSE_MS, self._restyle_some)

    def fill(self, parent: Item) -> None:
        """Make the rows below this one, if they were never needed before."""
        stand_in = self._unfilled.pop(parent, None)
        if stand_in is None:
            return
        self._tree.delete(stand_in)
        iid = self.iids[parent]
        for child in self.shown_children(parent):
            if child not in self.iids:
                self._new_row(child, iid, "end")

    def open_above(self, item: Item) -> None:
        """Open all rows that this one is in."""
        for ancestor in reversed(tuple(self.forest.ancestors(item))):
            self.fill(ancestor)
            iid = self.iids.get(ancestor)
            if iid is not None and not self._tree.item(iid, "open"):
                self._tree.item(iid, open=True)

    def reveal(self, item: Item) -> str | None:
        """The row of an item, made visible if the filter lets it."""
        if item not in self.forest.nodes or not self.is_shown(item):
            return None
        self.open_above(item)
        return self.iids.get(item)

    # ---- inside ----------------------------------------------------------------------------------------------

    def _picture(self, look: Look) -> str:
        return str(self._theme.images.row(look.sign, tick=look.tick, stale=look.stale, badge=look.badge))

    def _opens_at_first(self, item: Item) -> bool:
        if item.kind in (ItemKind.SERVER, ItemKind.POOL):
            return True
        return item.kind is ItemKind.HOST and self._few

    def _new_row(self, item: Item, parent_iid: str, index: int | str) -> None:
        look = self._look_of(item)
        iid = f"n{next(self._numbers)}"
        self.iids[item] = iid
        self.items[iid] = item
        self._looks[item] = look
        if look.rtt:
            self._rtt_changed(item, look)
        opened = self._opens_at_first(item)
        # straight to Tk: tkinter's own way of writing options costs more than the insertion itself
        self._tree.tk.call(
            (
                *(str(self._tree), "insert", parent_iid, index, "-id", iid, "-text", look.text),
                *("-image", self._picture(look), "-values", (look.rtt,), "-tags", look.tags, "-open", opened),
            )
        )
        if self.forest.has_children(item):
            self._add_stand_in(item)
            if opened:
                self.fill(item)

    def _add_stand_in(self, item: Item) -> None:
        if item not in self._unfilled and self.shown_children(item):
            self._unfilled[item] = self._tree.insert(self.iids[item], "end", iid=f"n{next(self._numbers)}")

    def _is_filled(self, parent: Item | None) -> bool:
        """Whether rows for this parent's children exist (as far as there are children)."""
        if parent is None:
            return True
        return parent in self.iids and parent not in self._unfilled

    def _drop_row(self, item: Item) -> None:
        """Forget a row and all below it, then delete it."""
        iid = self.iids.get(item)
        if iid is not None:
            self._forget_below(iid)
            self._forget(item)
            self._tree.delete(iid)

    def _forget_below(self, iid: str) -> None:
        for child in self._tree.get_children(iid):
            self._forget_below(child)
            item = self.items.get(child)
            if item is not None:
                self._forget(item)

    def _forget(self, item: Item) -> None:
        iid = self.iids.pop(item, None)
        if iid is not None:
            self.items.pop(iid, None)
        self._looks.pop(item, None)
        if item in self._with_rtt:
            self._rtt_changed(item, None)
        self._unfilled.pop(item, None)

    def _rearrange(self, delta: Delta) -> None:
        """Put what was added or moved into its place."""
        by_parent: dict[Item | None, list[Item]] = {}
        for item in itertools.chain(delta.added, delta.moved):
            node = self.forest.nodes.get(item)
            if node is not None:
                by_parent.setdefault(node.parent, []).append(item)
        for parent, items in by_parent.items():
            if parent is not None and parent not in self.iids:
                continue  # its own row does not exist yet, or was just made with all that is in it
            if parent is not None and (parent in self._unfilled or not self._tree.get_children(self.iids[parent])):
                for item in items:
                    self._drop_row(item)  # moved to where no rows are yet
                self._add_stand_in(parent)
                if self._tree.item(self.iids[parent], "open"):
                    self.fill(parent)
                continue
            self._place(parent, items)

    def _place(self, parent: Item | None, items: list[Item]) -> None:
        parent_iid = self.iids[parent] if parent is not None else ""
        single = len(items) == 1 and self._visible is None
        for item in items:
            if item not in self.iids and self.is_shown(item):
                index = self.forest.index(item) if single else "end"
                self._new_row(item, parent_iid, index)
            elif single:
                self._tree.move(self.iids[item], parent_iid, self.forest.index(item))
        if not single:
            self._arrange(parent)

    def _arrange(self, parent: Item | None) -> None:
        """Give a filled parent exactly the rows that are shown, in order."""
        parent_iid = self.iids[parent] if parent is not None else ""
        wanted = self.shown_children(parent)
        for item in wanted:
            if item not in self.iids:
                self._new_row(item, parent_iid, "end")
        self._tree.set_children(parent_iid, *[self.iids[item] for item in wanted])

    def _arrange_all(self) -> None:
        """After a change of the filter: every parent that has rows, and stand-ins for the others."""
        for parent in (None, *self.forest.parents()):
            if parent is not None and (parent not in self.iids or not self.is_shown(parent)):
                continue
            if self._is_filled(parent):
                self._arrange(parent)
            elif parent is not None and not self.shown_children(parent):
                self._tree.delete(self._unfilled.pop(parent))
            elif parent is not None:
                self._add_stand_in(parent)

    def _refilter(self) -> None:
        before = self._visible
        self._visible = self.forest.visible(self._filter)
        if before is None and self._visible is None:
            return
        self._arrange_all()
        self._eliding.soon()
        self._changed()

    def _rtt_changed(self, item: Item, look: Look | None) -> None:
        before = bool(self._with_rtt)
        if look is not None and look.rtt:
            self._with_rtt.add(item)
        else:
            self._with_rtt.discard(item)
        shown = bool(self._with_rtt)
        if before != shown:
            # Tk gives columns their width again only when the widget itself changes its size
            others = self._tree.column("rtt", "width") if shown else 0
            self._tree.configure(displaycolumns=("rtt",) if shown else ())
            self._eliding.soon()
            self._tree.column("#0", width=max(self._tree.winfo_width() - others, self._tree.column("#0", "minwidth")))

    def _restyle_some(self) -> None:
        self._pending_id = None
        for _ in range(min(_CHUNK, len(self._pending))):
            self.restyle(self._pending.popleft())
        if self._pending:
            self._pending_id = self._tree.after(_CHUNK_PAUSE_MS, self._restyle_some)
