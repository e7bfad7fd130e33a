"""Keys that a ttk Treeview has not: Home, End and the page keys move the choice; with Shift they or arrows extend it.
The menu key opens the menu of the chosen row. Tk thread.
"""

from __future__ import annotations

from collections.abc import Callable
from tkinter import ttk

from hvconsole.ui.typeahead import rows_in_view

MENU_KEYS = {"x11": ("<Key-Menu>",), "win32": ("<Key-App>",)}


class Extending:
    """Remembers from which row the choice is extended. One per tree."""

    def __init__(self, tree: ttk.Treeview, rows: Callable[[], list[str]] | None = None) -> None:
        """``rows``: the row ids in the order in which they are seen (default: asked of the widget)."""
        self._tree = tree
        self._rows = rows or (lambda: list(rows_in_view(tree, "")))
        self._anchor = ""
        self._made: tuple[str, ...] = ()
        """The selection as it was made here; another one has another anchor."""
        moves: tuple[tuple[str, Callable[[int, int], int]], ...] = (
            ("Home", lambda here, count: 0),
            ("End", lambda here, count: count - 1),
            ("Prior", lambda here, count: here - self._page()),
            ("Next", lambda here, count: here + self._page()),
        )
        for key, where in moves:
            tree.bind(f"<{key}>", lambda _event, where=where: self._go(where, False))  # type: ignore[misc]
            tree.bind(f"<Shift-{key}>", lambda _event, where=where: self._go(where, True))  # type: ignore[misc]
        for key in ("Up", "Down"):
            tree.bind(f"<{key}>", self._begin, add=True)
        system = str(tree.tk.call("tk", "windowingsystem"))
        for sequence in ("<Shift-F10>", *MENU_KEYS.get(system, ())):
            if not tree.bind(sequence):  # a list may have a way of its own
                tree.bind(sequence, self._menu)
        for key, step in (("Up", -1), ("Down", 1)):
            tree.bind(
                f"<Shift-{key}>",
                lambda _event, step=step: self._go(lambda here, _count: here + step, True),  # type: ignore[misc]
            )

    def _page(self) -> int:
        """How many rows a page key goes: all that can be seen but one."""
        box = self._tree.bbox(self._tree.focus())
        height = int(box[3]) if box else self._tree.winfo_height()
        return max(1, self._tree.winfo_height() // max(1, height) - 2)

    def _go(self, where: Callable[[int, int], int], extend: bool) -> str:
        rows = self._rows()
        focused = self._tree.focus()
        if not rows:
            return "break"
        if focused in rows:
            self._tree.see(focused)
        wanted = where(rows.index(focused), len(rows)) if focused in rows else 0
        position = min(len(rows) - 1, max(0, wanted))
        if extend and str(self._tree.cget("selectmode")) == "extended":
            self._extend(rows, position)
        else:
            self._tree.selection_set(rows[position])
        self._tree.focus(rows[position])
        self._tree.see(rows[position])
        self._made = self._tree.selection()
        return "break"

    def _menu(self, _event: object) -> str:
        """As a click with the right button on the row that the keyboard is at."""
        tree, row = self._tree, self._tree.focus()
        if row:
            tree.see(row)
            box = tree.bbox(row, "#0")
            if box:
                x, y = int(box[0]) + int(box[3]) * 2, int(box[1]) + int(box[3]) - 2
                tree.event_generate("<Button-3>", x=x, y=y, rootx=tree.winfo_rootx() + x, rooty=tree.winfo_rooty() + y)
        return "break"  # or Tk opens the first menu of the window

    def _begin(self, _event: object) -> str | None:
        """Tk itself moves only from a row: without one, begin with the first."""
        return None if self._tree.focus() else self._go(lambda _here, _count: 0, False)

    def _extend(self, rows: list[str], position: int) -> None:
        tree = self._tree
        if tree.selection() != self._made or self._anchor not in rows:
            self._anchor = tree.focus() if tree.focus() in rows else rows[0]
        first, last = sorted((rows.index(self._anchor), position))
        tree.selection_set(*rows[first : last + 1])
