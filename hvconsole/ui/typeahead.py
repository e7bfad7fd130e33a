"""Type-ahead for a ttk Treeview, which has none: typed letters go to the next row that begins with them. Tk thread."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterator
from tkinter import ttk

PAUSE_MS = 1000
"""A longer pause between two letters begins a new word."""

_CONTROL, _ALT, _COMMAND = 0x4, 0x8, 0x10
_WINDOWS_ALT = 0x20000


class TypeAhead:
    """Remembers what was typed last. One per tree."""

    def __init__(self, tree: ttk.Treeview, rows: Callable[[], list[str]] | None = None) -> None:
        """``rows``: the row ids in the order in which they are seen (default: asked of the widget)."""
        self._tree = tree
        self._rows = rows or (lambda: list(rows_in_view(tree, "")))
        self._typed = ""
        self._last_ms = 0
        system = str(tree.tk.call("tk", "windowingsystem"))
        self._modifiers = _CONTROL | {"x11": _ALT, "win32": _WINDOWS_ALT}.get(system, _COMMAND)

    def key(self, event: tk.Event[tk.Misc], text_of: Callable[[str], str]) -> str | None:
        """The row id to go to for this key event, or None if it means something else or nothing fits."""
        char = event.char
        if len(char) != 1 or not char.isprintable() or int(event.state) & self._modifiers:
            return None
        if char in " /":
            return None
        if event.time - self._last_ms > PAUSE_MS:
            self._typed = ""
        self._last_ms = event.time
        self._typed += char.casefold()
        rows = self._rows()
        if not rows:
            return None
        start = self._tree.focus()
        position = rows.index(start) if start in rows else -1
        # a second letter may still fit the row that the first one found; the same letter again goes on
        repeated = len(set(self._typed)) == 1
        wanted = self._typed[:1] if repeated else self._typed
        begin = position + 1 if len(self._typed) == 1 or repeated else max(0, position)
        for row in rows[begin:] + rows[:begin]:
            if text_of(row).casefold().startswith(wanted):
                return row
        return None


def rows_in_view(tree: ttk.Treeview, parent: str) -> Iterator[str]:
    """Row ids below ``parent`` that are not folded away, from top to bottom."""
    for row in tree.get_children(parent):
        yield row
        if tree.item(row, "open"):
            yield from rows_in_view(tree, row)
