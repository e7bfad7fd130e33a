"""Tips over the rows of a Treeview, which has no room for long names and reasons. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import font as tkfont
from tkinter import ttk

from hvconsole.ui.theme import Theme

WAIT_MS = 700
_CELL_EDGE = 12
"""Design pixels of a cell that its text does not get."""


def clipped_cells(tree: ttk.Treeview, row: str, theme: Theme) -> str:
    """The whole texts of those cells of a row that are too narrow for them, one below the other."""
    font = tkfont.nametofont("TkDefaultFont", root=tree)
    shown = [str(column) for column in tree["displaycolumns"]]
    if shown == ["#all"]:
        shown = [str(column) for column in tree["columns"]]
    texts = []
    for column in ("#0", *shown):
        text = str(tree.item(row, "text") if column == "#0" else tree.set(row, column)).strip()
        edge = theme.px(_CELL_EDGE)
        if column == "#0":
            for image in tree.item(row, "image") or ():
                edge += int(tree.tk.call("image", "width", image))
        if text and font.measure(text) + edge > int(tree.column(column, "width")):
            texts.append(text)
    return "\n".join(texts)


class RowTips:
    """Shows ``text_of(row id)`` beside the pointer after it has rested on a row; an empty text shows nothing."""

    def __init__(self, tree: ttk.Treeview, theme: Theme, text_of: Callable[[str], str]) -> None:
        self._tree = tree
        self._theme = theme
        self._text_of = text_of
        self._row = ""
        self._timer: str | None = None
        self._tip: tk.Toplevel | None = None
        tree.bind("<Motion>", self._moved, add=True)
        for sequence in ("<Leave>", "<Button>", "<Key>", "<MouseWheel>", "<Destroy>"):
            tree.bind(sequence, lambda _event: self.hide(), add=True)

    def hide(self) -> None:
        """Take the tip away and forget where the pointer was."""
        self._row = ""
        timer, self._timer = self._timer, None
        if timer is not None:
            self._tree.after_cancel(timer)
        tip, self._tip = self._tip, None
        if tip is not None and tip.winfo_exists():
            tip.destroy()

    def _moved(self, event: tk.Event[tk.Misc]) -> None:
        row = self._tree.identify_row(event.y)
        if row == self._row:
            return
        self.hide()
        self._row = row
        if row:
            x, y = event.x_root, event.y_root
            self._timer = self._tree.after(WAIT_MS, lambda: self._show(row, x, y))

    def _show(self, row: str, x: int, y: int) -> None:
        self._timer = None
        text = self._text_of(row) if self._tree.exists(row) else ""
        if not text:
            return
        theme, px = self._theme, self._theme.px
        tip = tk.Toplevel(self._tree)
        tip.wm_overrideredirect(True)
        label = tk.Label(tip, text=text, font="HvSmall", justify="left", wraplength=px(420), padx=px(8), pady=px(4))
        theme.paint(label, background="tip", foreground="tip_text")
        label.pack()
        tip.update_idletasks()
        left = min(x + px(14), tip.winfo_screenwidth() - tip.winfo_reqwidth())
        tip.wm_geometry(f"+{max(0, left)}+{y + px(16)}")
        self._tip = tip
