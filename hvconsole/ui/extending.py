"""Shift with Up, Down, Home or End extends the choice in a ttk Treeview, which only moves it. Tk thread."""

from __future__ import annotations

from collections.abc import Callable
from tkinter import ttk


class Extending:
    """Remembers from which row the choice is extended. One per tree."""

    def __init__(self, tree: ttk.Treeview, rows: Callable[[], list[str]]) -> None:
        """``rows``: the row ids in the order in which they are seen."""
        self._tree = tree
        self._rows = rows
        self._anchor = ""
        self._made: tuple[str, ...] = ()
        """The selection as it was made here; another one has another anchor."""
        for key, step in (("Up", -1), ("Down", 1)):
            tree.bind(f"<Shift-{key}>", lambda _event, step=step: self._move(step))  # type: ignore[misc]
        for key, end in (("Home", 0), ("End", -1)):
            tree.bind(f"<Shift-{key}>", lambda _event, end=end: self._to(self._rows(), end))  # type: ignore[misc]

    def _move(self, step: int) -> str:
        rows = self._rows()
        focused = self._tree.focus()
        if focused not in rows:
            return "break"
        return self._to(rows, min(len(rows) - 1, max(0, rows.index(focused) + step)))

    def _to(self, rows: list[str], position: int) -> str:
        if not rows:
            return "break"
        tree = self._tree
        if tree.selection() != self._made or self._anchor not in rows:
            self._anchor = tree.focus() if tree.focus() in rows else rows[0]
        here = rows[position]
        first, last = sorted((rows.index(self._anchor), rows.index(here)))
        tree.selection_set(*rows[first : last + 1])
        tree.focus(here)
        tree.see(here)
        self._made = tree.selection()
        return "break"
