"""Notices above the panes: what the user should know or do now, until it is over or dismissed. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from tkinter import ttk

from hvconsole.text import safe_text
from hvconsole.ui.theme import Theme

_LOOKS = {
    "info": ("info", "info", "info_soft"),
    "warning": ("triangle-alert", "warn", "warn_soft"),
    "error": ("circle-alert", "bad", "bad_soft"),
}
Action = tuple[str, Callable[[], object]]


@dataclass(slots=True)
class _Shown:
    frame: tk.Frame
    text: str
    severity: str
    labels: tuple[str, ...]


class Banner:
    """A stack of notices; one per key. ``widget`` takes no room while there are none."""

    def __init__(self, parent: tk.Misc, theme: Theme) -> None:
        self._theme = theme
        self._shown: dict[str, _Shown] = {}
        self._dismissed: dict[str, str] = {}
        self.widget = ttk.Frame(parent)

    @property
    def texts(self) -> dict[str, str]:
        """What is shown now, by key."""
        return {key: shown.text for key, shown in self._shown.items()}

    def show(self, key: str, text: str, severity: str = "warning", actions: Sequence[Action] = ()) -> None:
        """Show or replace the notice of this key; an empty text takes it away. A dismissed text stays away."""
        known = self._shown.get(key)
        labels = tuple(label for label, _ in actions)
        if known is not None and (known.text, known.severity, known.labels) == (text, severity, labels):
            return
        self.hide(key)
        if not text or self._dismissed.get(key) == text:
            return
        self._dismissed.pop(key, None)
        self._shown[key] = _Shown(self._build(key, text, severity, actions), text, severity, labels)

    def hide(self, key: str) -> None:
        """Take a notice away."""
        known = self._shown.pop(key, None)
        if known is not None:
            known.frame.destroy()
            if not self._shown:  # an empty frame keeps the size that its last child gave it
                self.widget.configure(height=1)

    def dismiss(self, key: str) -> None:
        """The user has read it: it stays away until it says something else."""
        if key in self._shown:
            self._dismissed[key] = self._shown[key].text
            self.hide(key)

    def _build(self, key: str, text: str, severity: str, actions: Sequence[Action]) -> tk.Frame:
        theme, px = self._theme, self._theme.px
        icon, color, ground = _LOOKS.get(severity, _LOOKS["warning"])
        frame = tk.Frame(self.widget)
        theme.paint(frame, background=ground)
        frame.pack(fill="x")
        picture = tk.Label(frame, image=str(theme.icon(icon, 16, color)))
        theme.paint(picture, background=ground)
        picture.pack(side="left", padx=(px(12), px(8)), pady=px(6))
        close = tk.Label(frame, image=str(theme.icon("x", 14)), cursor="hand2", takefocus=True, name="close")
        theme.paint(close, background=ground, highlightColor="accent", highlightBackground=ground)
        close.configure(highlightthickness=px(2))
        close.pack(side="right", padx=(px(4), px(10)))
        for sequence in ("<Button-1>", "<Return>", "<space>"):
            close.bind(sequence, lambda _event: self.dismiss(key))
        for label, command in reversed(actions):
            ttk.Button(frame, text=label, command=command).pack(side="right", padx=px(4), pady=px(4))
        words = tk.Label(frame, text=safe_text(text, 400), anchor="w", justify="left")
        theme.paint(words, background=ground, foreground="text")
        words.pack(side="left", fill="x", expand=True)
        words.bind("<Configure>", lambda event: words.configure(wraplength=max(px(200), event.width)))
        return frame
