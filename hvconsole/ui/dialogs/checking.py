"""The steps of the connection doctor as they come in, below the fields of a dialog. Tk thread only."""

from __future__ import annotations

from tkinter import ttk

from hvconsole.backends.base import Step
from hvconsole.text import safe_lines, safe_text
from hvconsole.ui.dialogs.form import FormDialog

NAMES = {
    "dns": "Name",
    "tcp": "Port",
    "tls": "Certificate",
    "login": "Login",
    "permission": "Permission",
}


class Steps:
    """One line per step: done or failed, what was seen, and the remedy below it."""

    def __init__(self, dialog: FormDialog) -> None:
        self._dialog = dialog
        self._frame = ttk.Frame(dialog.body)
        self._frame.columnconfigure(2, weight=1)
        dialog.add_wide(self._frame, gap=6)
        self._frame.grid_remove()
        self._waiting = ttk.Label(self._frame, style="Muted.TLabel")
        self._row = 0
        self.shown: list[Step] = []

    def clear(self) -> None:
        """Forget earlier steps."""
        for child in self._frame.winfo_children():
            if child is not self._waiting:
                child.destroy()
        self.shown.clear()
        self._row = 0
        self.say("")

    def say(self, text: str) -> None:
        """What is going on now; empty takes it away."""
        self._waiting.configure(text=text)
        if text:
            self._frame.grid()
            self._waiting.grid(row=99, column=0, columnspan=3, sticky="w", pady=self._dialog.theme.px(2))
        else:
            self._waiting.grid_remove()
            if not self.shown:
                self._frame.grid_remove()

    def add(self, step: Step) -> None:
        """Another step is done."""
        theme, px = self._dialog.theme, self._dialog.theme.px
        self._frame.grid()
        self.shown.append(step)
        sign = theme.icon("circle-check", 16, "ok") if step.ok else theme.icon("circle-alert", 16, "bad")
        ttk.Label(self._frame, image=sign).grid(row=self._row, column=0, sticky="nw", pady=px(3))
        name = NAMES.get(step.name, step.name.capitalize())
        ttk.Label(self._frame, text=safe_text(name, 30), style="Muted.TLabel").grid(
            row=self._row, column=1, sticky="nw", padx=px(8), pady=px(2)
        )
        wrap = px(self._dialog.width - 130)
        ttk.Label(self._frame, text=safe_lines(step.text, 400), wraplength=wrap).grid(
            row=self._row, column=2, sticky="w", pady=px(2)
        )
        self._row += 1
        if step.remedy:
            ttk.Label(self._frame, text=safe_lines(step.remedy, 1500), wraplength=wrap, style="Small.TLabel").grid(
                row=self._row, column=2, sticky="w", pady=(0, px(3))
            )
            self._row += 1
