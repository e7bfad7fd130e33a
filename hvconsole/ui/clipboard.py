"""Putting text of servers on the clipboard. Tk thread only."""

from __future__ import annotations

import tkinter as tk


def copy_text(widget: tk.Misc, text: str) -> None:
    """Replace what is on the clipboard. Names are copied as they are, but for what no program could paste: unpaired
    surrogates and NUL."""
    usable = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    widget.clipboard_clear()
    widget.clipboard_append(usable)
