"""Plain lists in dialogs and pages: a ttk tree view with columns, scroll bars when needed, and nothing else.

Tk thread only.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from dataclasses import dataclass
from tkinter import ttk

from PIL import ImageTk

from hvconsole.ui.extending import Extending
from hvconsole.ui.rowtips import RowTips, clipped_cells
from hvconsole.ui.theme import Theme

AFTER_NUMBER = "   "
"""Keeps a number at the right of its column apart from the text of the next one; Tk has no padding for that."""
LEAST_WIDTH = 44
"""Design pixels to which a column can be narrowed."""


@dataclass(frozen=True, slots=True)
class ListColumn:
    """One column; ``width`` in design pixels. The first one of a list is the tree column, which carries pictures."""

    id: str
    title: str
    width: int
    numeric: bool = False
    stretch: bool = False


class Listing:
    """``frame`` is to be placed by the owner, ``tree`` is the list itself. Give ``tree`` tuples of safe text only."""

    def __init__(
        self,
        theme: Theme,
        parent: tk.Misc,
        columns: Sequence[ListColumn],
        *,
        rows: int = 8,
        edge: bool = False,
        indent: bool = False,
        multiple: bool = False,
        nothing: str = "",
    ) -> None:
        """``edge``: a thin frame around it, for dialogs. ``indent``: rows have children. ``nothing``: what stands in
        the list while it is empty."""
        self.theme = theme
        self._columns = tuple(columns[1:])
        px = theme.px
        self.frame = ttk.Frame(
            parent, style="Line.TFrame" if edge else "Surface.TFrame", padding=max(1, px(1)) if edge else 0
        )
        self.tree = ttk.Treeview(
            self.frame,
            columns=tuple(c.id for c in columns[1:]),
            show="tree headings",
            style="Treeview" if indent else "List.Treeview",
            height=rows,
            selectmode="extended" if multiple else "browse",
        )
        self._bar = ttk.Scrollbar(self.frame, command=self.tree.yview)
        self._across = ttk.Scrollbar(self.frame, orient="horizontal", command=self.tree.xview)
        self._shown = False
        self.tree.configure(yscrollcommand=self._scrolled, xscrollcommand=self._scrolled_across)
        self.frame.rowconfigure(0, weight=1)
        self.frame.columnconfigure(0, weight=1)
        self.tree.grid(row=0, column=0, sticky="nsew")
        for number, column in enumerate(columns):
            place = column.id if number else "#0"
            lead = "  " if not number else ""
            if column.numeric:
                self.tree.heading(place, text=lead + column.title + AFTER_NUMBER, anchor="e")
                self.tree.column(place, width=px(column.width), stretch=column.stretch, anchor="e")
            else:
                self.tree.heading(place, text=lead + column.title, anchor="w")
                self.tree.column(place, width=px(column.width), stretch=column.stretch, anchor="w")
            if not edge:  # dialogs are made as wide as their lists
                self.tree.column(place, minwidth=px(column.width if column.stretch else LEAST_WIDTH))
        theme.follow(self.tree, self._color)
        self._nothing = ttk.Label(self.tree, text=nothing, style="Surface.Muted.TLabel") if nothing else None
        self._say_if_empty()
        self._extending = Extending(self.tree)
        self._tips = RowTips(self.tree, theme, lambda row: clipped_cells(self.tree, row, theme))

    def _color(self, theme: Theme) -> None:
        for tag, token in (("faint", "faint"), ("muted", "muted"), ("bad", "bad"), ("warn", "warn"), ("ok", "ok")):
            self.tree.tag_configure(tag, foreground=theme.color(token))
        self.tree.tag_configure("bold", font="HvBold")

    def _scrolled(self, first: float, last: float) -> None:
        self._bar.set(first, last)
        needed = (float(first), float(last)) != (0.0, 1.0)
        # once shown it stays until the list is short again at a whole row: hiding in between flickers
        if needed and not self._shown:
            self._bar.grid(row=0, column=1, sticky="ns")
        elif not needed and self._shown:
            self._bar.grid_remove()
        self._shown = needed

    def _scrolled_across(self, first: float, last: float) -> None:
        self._across.set(first, last)
        if (float(first), float(last)) == (0.0, 1.0):
            self._across.grid_remove()
        else:
            self._across.grid(row=1, column=0, sticky="ew")

    def insert(
        self,
        iid: str,
        text: str,
        values: Sequence[str],
        *,
        parent: str = "",
        place: int | None = None,
        image: ImageTk.PhotoImage | str = "",
        tags: tuple[str, ...] = (),
    ) -> None:
        """Add a row of safe text; ``values`` are the cells after the first column. It is unfolded."""
        padded = tuple(v + AFTER_NUMBER if c.numeric else v for c, v in zip(self._columns, values, strict=True))
        where = "end" if place is None else place
        if self._nothing is not None:
            self._nothing.place_forget()
        self.tree.insert(parent, where, iid=iid, text=text, values=padded, image=image, tags=tags, open=True)  # type: ignore[arg-type]

    def set(self, iid: str, number: int, text: str) -> None:
        """Another text in the ``number``-th cell after the first column."""
        column = self._columns[number]
        self.tree.set(iid, column.id, text + AFTER_NUMBER if column.numeric else text)

    def clear(self) -> None:
        """Remove all rows."""
        self.tree.delete(*self.tree.get_children())
        self._say_if_empty()

    def _say_if_empty(self) -> None:
        if self._nothing is not None and not self.tree.get_children():
            self._nothing.place(relx=0.5, rely=0.5, anchor="center")
