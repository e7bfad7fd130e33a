"""The search field above the tree, its filter menu, and the line that says what is filtered. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from dataclasses import replace
from tkinter import ttk
from typing import Any

from hvconsole.model import ObjectId, PowerState, ServerId
from hvconsole.text import safe_text
from hvconsole.ui.commands import Command
from hvconsole.ui.filters import Filter
from hvconsole.ui.menus import MenuEntry, Submenu
from hvconsole.ui.theme import Theme

DEBOUNCE_MS = 120
"""Pause after the last key before the tree is filtered."""

POWER_WORDS = {
    PowerState.RUNNING: "Running",
    PowerState.HALTED: "Halted",
    PowerState.SUSPENDED: "Suspended",
    PowerState.PAUSED: "Paused",
    PowerState.UNKNOWN: "Unknown",
}
Hosts = Sequence[tuple[ServerId, ObjectId, str]]


class SearchBox:
    """``widget`` is the frame to place; ``changed`` is called with the new filter and answers how many VMs it shows."""

    def __init__(
        self,
        parent: tk.Misc,
        theme: Theme,
        balloon: Any,
        *,
        changed: Callable[[Filter], int],
        hosts: Callable[[], Hosts],
        open_menu: Callable[[Sequence[MenuEntry], int, int], None],
        leave: Callable[[], None],
        go: Callable[[], None],
    ) -> None:
        """``leave``: back to the tree; ``go``: there, to what was found."""
        self._theme = theme
        self._changed = changed
        self._hosts = hosts
        self._open_menu = open_menu
        self._leave = leave
        self._go = go
        self._timer: str | None = None
        self.filter = Filter()
        px = theme.px
        self.widget = ttk.Frame(parent, style="Surface.TFrame")
        row = ttk.Frame(self.widget, style="Surface.TFrame")
        row.pack(fill="x", padx=(px(8), px(4)), pady=(px(8), px(4)))
        self.button = ttk.Button(
            row,
            style="Surface.Tool.TButton",
            image=theme.icon("funnel", 16),
            command=self._open_filter_menu,
            name="filter",
        )
        self.button.pack(side="right", padx=(px(2), 0))
        balloon.bind(self.button, "Filter by power state and host")
        self._text = tk.StringVar(row)
        theme.styles.style.layout("Search.TEntry", theme.styles.style.layout("Surface.TEntry"))
        theme.follow(row, lambda t: t.styles.style.configure("Search.TEntry", padding=(t.px(22), 0, t.px(20), 0)))
        self.entry = ttk.Entry(row, textvariable=self._text, style="Search.TEntry", name="search")
        self.entry.pack(side="left", fill="x", expand=True, ipady=px(1))
        self._decorate()
        self._line = ttk.Frame(self.widget, style="Surface.TFrame")
        self._words = ttk.Label(self._line, style="Surface.Small.TLabel")
        self._words.pack(side="left", fill="x", expand=True, padx=(px(10), 0))
        clear = ttk.Button(self._line, text="Clear", style="Surface.Tool.TButton", command=self.clear, name="clear")
        clear.pack(side="right", padx=px(4))
        self._text.trace_add("write", lambda *_: self._typed())
        self.entry.bind("<Escape>", self._on_escape)
        self.entry.bind("<Down>", self._on_go)
        self.entry.bind("<Return>", self._on_go)

    def _decorate(self) -> None:
        theme, px = self._theme, self._theme.px
        glass = tk.Label(self.entry, image=str(theme.icon("search", 14)), cursor="xterm")
        self._hint = tk.Label(self.entry, text="Search   Ctrl+F", cursor="xterm")
        self._erase = tk.Label(self.entry, image=str(theme.icon("x", 14)), cursor="hand2", name="erase")
        theme.paint(glass, background="surface")
        theme.paint(self._hint, background="surface", foreground="faint")
        theme.paint(self._erase, background="surface")
        glass.place(x=px(9), rely=0.5, anchor="w")
        self._hint.place(x=px(30), rely=0.5, anchor="w")
        for label in (glass, self._hint):
            label.bind("<Button-1>", lambda _event: self.focus())
        self._erase.bind("<Button-1>", lambda _event: self._text.set(""))

    # ---- for the window --------------------------------------------------------------------------------------

    def focus(self) -> None:
        """Give the field the keyboard, its text selected."""
        self.entry.focus_set()
        self.entry.selection_range(0, "end")

    def set_filter(self, wanted: Filter) -> None:
        """Show and apply this filter."""
        self.filter = wanted
        if self._text.get() != wanted.text:
            self._text.set(wanted.text)
        self._apply()

    def clear(self) -> None:
        """Show everything again."""
        self.set_filter(Filter(templates=self.filter.templates))

    def destroy(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self.entry.after_cancel(self._timer)
            self._timer = None

    # ---- what the user does ----------------------------------------------------------------------------------

    def _typed(self) -> None:
        if self._text.get():
            self._hint.place_forget()
            self._erase.place(relx=1.0, x=-self._theme.px(8), rely=0.5, anchor="e")
        else:
            self._hint.place(x=self._theme.px(30), rely=0.5, anchor="w")
            self._erase.place_forget()
        self.destroy()
        self._timer = self.entry.after(DEBOUNCE_MS, self._apply)

    def _apply(self) -> None:
        self.destroy()
        self.filter = replace(self.filter, text=self._text.get())
        hits = self._changed(self.filter)
        self._say(hits)

    def _say(self, hits: int) -> None:
        parts = []
        if self.filter.powers:
            parts.append(", ".join(POWER_WORDS[p] for p in POWER_WORDS if p in self.filter.powers))
        if self.filter.hosts:
            names = {(server, host): name for server, host, name in self._hosts()}
            known = [safe_text(names[key], 24) for key in sorted(self.filter.hosts) if key in names]
            parts.append(", ".join(known) or f"{len(self.filter.hosts)} hosts")
        if not self.filter.narrows:
            self._line.pack_forget()
            return
        found = "1 VM" if hits == 1 else f"{hits:,} VMs"
        self._words.configure(text="  ·  ".join([found, *parts]) if hits else "  ·  ".join(["Nothing found", *parts]))
        self._line.pack(fill="x")

    def _on_escape(self, _event: object) -> str:
        self._text.set("")
        self._apply()
        self._leave()
        return "break"

    def _on_go(self, _event: object) -> str:
        if self._timer is not None:
            self._apply()
        self._go()
        return "break"

    def _open_filter_menu(self) -> None:
        x = self.button.winfo_rootx()
        y = self.button.winfo_rooty() + self.button.winfo_height()
        self._open_menu(self.menu_entries(), x, y)

    def menu_entries(self) -> list[MenuEntry]:
        """What can be filtered by, for the button's menu and the View menu."""
        entries: list[MenuEntry] = [
            Command(
                name=f"filter-{power}",
                label=word,
                run=lambda power=power: self._toggle_power(power),  # type: ignore[misc]
                checked=lambda power=power: power in self.filter.powers,  # type: ignore[misc]
            )
            for power, word in POWER_WORDS.items()
        ]
        entries += [None, Submenu("On host", self._host_entries), None]
        entries.append(
            Command(
                name="filter-templates",
                label="Show templates too",
                run=self._toggle_templates,
                checked=lambda: self.filter.templates,
            )
        )
        entries.append(
            Command(
                name="filter-clear",
                label="Clear filter",
                run=self.clear,
                why_not=lambda: None if self.filter.narrows else "Nothing is filtered.",
            )
        )
        return entries

    def _host_entries(self) -> list[MenuEntry]:
        def entry(key: tuple[ServerId, ObjectId], name: str) -> Command:
            return Command(
                name="filter-host",
                label=safe_text(name, 60),
                run=lambda: self._toggle_host(key),
                checked=lambda: key in self.filter.hosts,
            )

        found: list[MenuEntry] = [entry((server, host), name) for server, host, name in self._hosts()]
        return found or [Command("none", "No hosts known", lambda: None, lambda: "No server is connected.")]

    def _toggle_power(self, power: PowerState) -> None:
        self.set_filter(replace(self.filter, powers=self.filter.powers ^ {power}))

    def _toggle_host(self, key: tuple[ServerId, ObjectId]) -> None:
        self.set_filter(replace(self.filter, hosts=self.filter.hosts ^ {key}))

    def _toggle_templates(self) -> None:
        self.set_filter(replace(self.filter, templates=not self.filter.templates))
