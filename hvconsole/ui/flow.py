"""Controls in a row that goes on in the next line where a narrow window has no room for them. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from tkinter import ttk

from hvconsole.ui.theme import Theme


def lines_of(widths: Sequence[int], room: int, gap: int) -> list[list[int]]:
    """Which of these widths stand in which line; one that is wider than ``room`` has a line of its own."""
    lines: list[list[int]] = []
    left = 0
    for number, width in enumerate(widths):
        if not lines or left + gap + width > room:
            lines.append([number])
            left = width
        else:
            lines[-1].append(number)
            left += gap + width
    return lines


class Flow:
    """``frame`` is to be placed by the owner and is the parent of what is added."""

    def __init__(self, theme: Theme, parent: tk.Misc, *, gap: int = 6) -> None:
        self.frame = ttk.Frame(parent, style="Surface.TFrame")
        self._gap = theme.px(gap)
        self._parts: list[tuple[tk.Widget, bool]] = []
        self.frame.bind("<Configure>", lambda _event: self._arrange())

    def add(self, part: tk.Widget, *, right: bool = False) -> None:
        """The next control; ``right``: at the right end of its line, where it comes last in it."""
        self._parts.append((part, right))
        part.bind("<Configure>", lambda _event: self._arrange(), add=True)
        self._arrange()

    def _arrange(self) -> None:
        width = self.frame.winfo_width()
        room = width if width > 1 else self.frame.winfo_screenwidth()
        widths = [part.winfo_reqwidth() for part, _ in self._parts]
        top = 0
        for line in lines_of(widths, room, self._gap):
            height = max(self._parts[number][0].winfo_reqheight() for number in line)
            left = 0
            for number in line:
                part, right = self._parts[number]
                at_end = right and number == line[-1] and width > 1
                x = room - widths[number] if at_end else left
                # controls of different heights share their middle
                part.place(x=x, y=top + (height - part.winfo_reqheight()) // 2)
                left += widths[number] + self._gap
            top += height + self._gap
        if top and self.frame.winfo_reqheight() != top - self._gap:
            self.frame.configure(height=top - self._gap)
