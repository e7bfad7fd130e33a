"""The status bar: one sentence at the left, the state of the estate at the right. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk

from hvconsole.ui.megawidgets import message_bar
from hvconsole.ui.theme import Theme
from hvconsole.ui.wording import count


class StatusBar:
    """``widget`` is the frame to place."""

    def __init__(self, parent: tk.Misc, theme: Theme) -> None:
        px = theme.px
        self._theme = theme
        self._normal = "Ready"
        self._said = ""
        self.widget = ttk.Frame(parent)
        theme.line(self.widget).pack(fill="x")
        row = ttk.Frame(self.widget)
        row.pack(fill="x")
        self._labels: dict[str, ttk.Label] = {}
        for name, icon, color in (
            ("servers", "circle-check", "ok"),
            ("monitored", "eye", "info"),
            ("down", "triangle-alert", "bad"),
        ):
            label = ttk.Label(row, style="Small.TLabel", image=theme.icon(icon, 14, color), compound="left", name=name)
            self._labels[name] = label
        self._message = message_bar(theme, row)
        for name in ("down", "monitored", "servers"):
            self._labels[name].pack(side="right", padx=px(10))
        self._labels["down"].pack_forget()
        self._message.pack(side="left", fill="x", expand=True, padx=px(8), pady=px(3))
        self._message.message("state", self._normal)

    @property
    def text(self) -> str:
        """What the bar says now."""
        return self._said or self._normal

    def say(self, text: str) -> None:
        """Say something; empty = back to the normal sentence."""
        if text != self._said:
            self._said = text
            self._message.message("state", self.text)

    def show(self, *, servers: int, connected: int, monitored: int, down: int) -> None:
        """Show how many servers are there and connected, how many VMs are monitored and do not answer."""
        if servers == 0:
            self._normal = "Ready – no servers yet"
        elif connected == servers:
            self._normal = f"Ready – {count(servers, 'server')} connected"
        else:
            self._normal = f"{connected} of {count(servers, 'server')} connected"
        if not self._said:
            self._message.message("state", self._normal)
        whole = connected == servers
        icon, color = ("circle-check", "ok") if whole else ("triangle-alert", "warn")
        if not servers:
            icon, color = "server", "muted"
        text = count(servers, "server") if whole else f"{connected} of {count(servers, 'server')}"
        self._labels["servers"].configure(text=f" {text}", image=self._theme.icon(icon, 14, color))
        self._labels["monitored"].configure(text=f" {monitored} monitored")
        if down:
            self._labels["down"].configure(text=f" {down} without network")
            self._labels["down"].pack(side="right", padx=self._theme.px(10), before=self._labels["monitored"])
        else:
            self._labels["down"].pack_forget()
