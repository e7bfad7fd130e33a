"""Texts of a tree's first column that don't fit: the middle gives way, since names differ at both ends.

Only rows in view are measured, once Tk is idle: ten thousand rows cost no more than thirty. Tk thread only.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import font as tkfont
from tkinter import ttk

DOTS = "…"
STATE = "  ·  "
"""Between a name and a word about its state, which stays whole where it can."""
_EDGE = 3
"""Pixels a text keeps off the end of its cell."""
_LONGEST = 400
"""Characters that are ever measured."""


def shortened(text: str, room: int, measure: Callable[[str], int]) -> str:
    """``text`` if it fits into ``room``; else its beginning and end with dots between, and the state after the name."""
    if len(text) <= _LONGEST and measure(text) <= room:
        return text
    name, mark, state = text.rpartition(STATE)
    kept = mark + state
    if not mark or measure(DOTS + kept) * 3 > room * 2:
        if mark and measure(name[:_LONGEST] + DOTS) > room:
            return shortened(name, room, measure)  # its end tells it from its likes; the state has no room anyway
        name, kept = text, ""
    end = 0 if mark and not kept else 3

    def cut(count: int) -> str:
        tail = count // end if end else 0
        return name[: count - tail].rstrip() + DOTS + (name[-tail:].lstrip() if tail else "") + kept

    fits, over = 0, min(len(name), _LONGEST)
    while over - fits > 1:
        middle = (fits + over) // 2
        if measure(cut(middle)) <= room:
            fits = middle
        else:
            over = middle
    return cut(fits)


class Eliding:
    """Keeps the rows in view of ``tree`` short enough; ``text_of(row)`` gives the whole text, "" for none."""

    def __init__(self, tree: ttk.Treeview, text_of: Callable[[str], str], row_height: int) -> None:
        self._tree = tree
        self._text_of = text_of
        self._step = row_height
        self._job: str | None = None
        self._lead: int | None = None
        """From the left of a cell to the picture: padding and the sign to open it."""
        self._fonts = {name: tkfont.nametofont(name, root=tree) for name in ("TkDefaultFont", "HvBold")}
        for sequence in ("<Configure>", "<B1-Motion>", "<<TreeviewOpen>>", "<<TreeviewClose>>"):
            tree.bind(sequence, lambda _event: self.soon(), add=True)
        tree.bind("<Destroy>", lambda _event: self.stop(), add=True)

    def soon(self) -> None:
        """Rows in view may be others, or have other texts or room: look at them when Tk is idle."""
        if self._job is None:
            self._job = self._tree.after_idle(self._all_in_view)

    def stop(self) -> None:
        """Nothing more happens."""
        job, self._job = self._job, None
        if job is not None:
            self._tree.after_cancel(job)

    def _all_in_view(self) -> None:
        self._job = None
        tree = self._tree
        try:
            for y in range(0, tree.winfo_height(), self._step):
                row = tree.identify_row(y)
                if row:
                    self._one(row)
        except tk.TclError:
            if tree.winfo_exists():
                raise

    def _one(self, row: str) -> None:
        whole, box = self._text_of(row), self._tree.bbox(row, "#0")
        if not whole or not box:
            return
        image = "".join(str(part) for part in self._tree.item(row, "image") or ())
        picture = int(self._tree.tk.call("image", "width", image)) if image else 0
        if self._lead is None:
            left = self._text_left(box[0], box[1] + box[3] // 2, box[2])
            if left is None:
                return
            self._lead = left - picture
        font = self._fonts["HvBold" if "server" in self._tree.item(row, "tags") else "TkDefaultFont"]
        text = shortened(whole, box[2] - self._lead - picture - _EDGE, font.measure)
        if text != self._tree.item(row, "text"):
            self._tree.item(row, text=text)

    def _text_left(self, x: int, y: int, width: int) -> int | None:
        """How far from the left of a cell its text starts, as the theme lays it out; None where it has no room."""
        for offset in range(width):
            if str(self._tree.identify_element(x + offset, y)).endswith("text"):
                return offset
        return None
