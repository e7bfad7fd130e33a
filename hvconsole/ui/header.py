"""What is selected, above the tabs: icon, name, state, where it is, and the two things done most. Tk thread only."""

from __future__ import annotations

import datetime as dt
import tkinter as tk
from collections.abc import Callable, Sequence
from tkinter import font as tkfont
from tkinter import ttk

from hvconsole.events import ConnectionState
from hvconsole.model import Host, PowerState, Vm
from hvconsole.monitor.status import MonitorState, MonitorStatus
from hvconsole.text import safe_text
from hvconsole.ui.commands import Command
from hvconsole.ui.interfaces import ItemKind, Selection, Subject
from hvconsole.ui.looks import HOST_AWAY, PLATFORM_NAMES, on_silent_host, subject_name
from hvconsole.ui.theme import Theme
from hvconsole.ui.wording import ago, operation_words, uptime

_POWER = {
    PowerState.RUNNING: ("Running", "Ok"),
    PowerState.HALTED: ("Halted", "Off"),
    PowerState.SUSPENDED: ("Suspended", "Warn"),
    PowerState.PAUSED: ("Paused", "Warn"),
    PowerState.UNKNOWN: ("Unknown", "Off"),
}
_CONNECTION = {
    ConnectionState.CONNECTED: ("Connected", "Ok", "state:running"),
    ConnectionState.EMERGENCY: ("Emergency mode", "Bad", "state:error"),
    ConnectionState.CONNECTING: ("Connecting…", "Info", "state:busy"),
    ConnectionState.RECONNECTING: ("Away", "Bad", "state:error"),
    ConnectionState.FAILED: ("Needs you", "Bad", "state:error"),
    ConnectionState.CLOSED: ("Disconnected", "Off", "state:halted"),
}
_ICONS = {ItemKind.VM: "monitor", ItemKind.HOST: "server", ItemKind.SNAPSHOT: "camera"}
_NAMED = 6
"""How many names of a multiple selection are shown."""
_DOT = "   ·   "


def connection_word(state: ConnectionState) -> str:
    """How a connection stands, in one or two words."""
    return _CONNECTION[state][0]


class Header:
    """``widget`` is the frame to place. ``show`` may be called as often as wanted; it changes what differs."""

    def __init__(self, parent: tk.Misc, theme: Theme, invoke: Callable[[Command], None]) -> None:
        px = theme.px
        self._theme = theme
        self._invoke = invoke
        self.widget = ttk.Frame(parent, style="Surface.TFrame")
        self._icon = ttk.Label(self.widget, style="Surface.TLabel")
        self._icon.pack(side="left", padx=(px(16), px(12)), pady=(px(10), px(4)))
        self._buttons = ttk.Frame(self.widget, style="Surface.TFrame")
        self._buttons.pack(side="right", padx=(px(8), px(16)), pady=(px(10), px(4)))
        words = self._words = ttk.Frame(self.widget, style="Surface.TFrame")
        words.pack(side="left", fill="x", expand=True, pady=(px(10), px(4)))
        words.bind("<Configure>", lambda event: self._fit(event.width))
        top = ttk.Frame(words, style="Surface.TFrame")
        top.pack(fill="x")
        self.name = ttk.Label(top, style="Surface.Title.TLabel", name="name")
        self.name.pack(side="left")
        self.pill = ttk.Label(top, compound="left", name="pill")
        self.pill.pack(side="left", padx=px(10))
        self.where = ttk.Label(words, style="Surface.Small.TLabel", name="where")
        self.where.pack(fill="x")
        self._texts = ("", "")
        self._name_font = tkfont.Font(parent, name="HvTitle", exists=True)
        self._where_font = tkfont.Font(parent, name="HvSmall", exists=True)
        self._made: tuple[str, ...] = ()
        self._commands: list[tuple[ttk.Button, Command]] = []

    def show(
        self,
        selection: Selection,
        subjects: Sequence[Subject],
        status: MonitorStatus | None,
        commands: Sequence[Command],
        now: dt.datetime,
    ) -> None:
        """Show the selection: ``subjects`` are the first of it looked up; the last of ``commands`` gets the accent."""
        subject = subjects[0] if subjects else None
        if subject is None:
            if commands:  # the window offers to connect: there is nothing to select yet
                hint = "Connect to a XenServer pool, a Hyper-V host, an ESXi host or a vCenter."
                self._write("plug", "No servers yet", None, hint)
            else:
                self._write("boxes", "Nothing selected", None, "Select a server, host or VM in the tree.")
            self._set_commands(commands)
            return
        count = len(selection.items)
        icon = _ICONS.get(subject.item.kind, "boxes")
        name = subject_name(subject, 48)
        if count > 1:
            names = [subject_name(s, 40) for s in subjects[:_NAMED]]
            if count > len(names):
                names.append("…")
            kind = {ItemKind.VM: "VMs", ItemKind.HOST: "hosts", ItemKind.SNAPSHOT: "snapshots"}.get(selection.kind)
            self._write("list-checks", f"{count} {kind or 'objects'}", None, ", ".join(names))
        else:
            self._write(icon, name, _pill(subject, status), _where(subject, now))
        self._set_commands(commands)

    def _write(self, icon: str, name: str, pill: tuple[str, str, str] | None, where: str) -> None:
        self._icon.configure(image=self._theme.icon(icon, 28))
        self._texts = (name, where)
        if pill is None:
            self.pill.pack_forget()
        else:
            text, style, sign = pill
            state = self._theme.images.state(sign.removeprefix("state:"), 14)
            self.pill.configure(text=f" {text}", style=f"{style}.Pill.TLabel", image=state)
            self.pill.pack(side="left", padx=self._theme.px(10))
        self._fit(self._words.winfo_width())

    def _fit(self, width: int) -> None:
        """Shorten name and place to the room that there is: a label of ttk would cut them in mid-letter."""
        name, where = self._texts
        pill = self.pill.winfo_reqwidth() + self._theme.px(22) if self.pill.winfo_manager() else 0
        self.name.configure(text=elide(name, self._name_font, width - pill))
        self.where.configure(text=elide(where, self._where_font, width))

    def _set_commands(self, commands: Sequence[Command]) -> None:
        names = tuple(c.name for c in commands)
        if names != self._made:
            self._made = names
            for button, _ in self._commands:
                button.destroy()
            self._commands = []
            for position, command in enumerate(commands):
                accent = "Accent." if position == len(commands) - 1 else ""
                button = ttk.Button(
                    self._buttons,
                    text=command.label,
                    style=f"Surface.{accent}TButton",
                    command=lambda command=command: self._invoke(command),  # type: ignore[misc]
                    name=f"do-{command.name}",
                )
                button.pack(side="left", padx=(self._theme.px(8), 0))
                self._commands.append((button, command))
        for button, command in self._commands:
            button.state(["!disabled" if command.why_not() is None else "disabled"])


def elide(text: str, font: tkfont.Font, width: int) -> str:
    """``text``, or as much of its beginning as fits ``width`` pixels with an ellipsis behind it."""
    if width < 50 or font.measure(text) <= width:  # not laid out yet, or it fits
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.measure(text[:middle].rstrip() + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def _pill(subject: Subject, status: MonitorStatus | None) -> tuple[str, str, str] | None:
    connection = subject.connection
    if subject.item.kind is ItemKind.SERVER:
        return _CONNECTION[connection.state]
    if not connection.connected:
        return ("Out of date", "Warn", "state:unknown")
    if subject.snapshot is not None or subject.pool is not None:
        return None
    if isinstance(subject.host, Host):
        if subject.host.live is False:
            return ("Not answering", "Bad", "state:error")
        if subject.host.in_maintenance or not subject.host.enabled:
            return ("Maintenance", "Warn", "state:paused")
        return ("Running", "Ok", "state:running")
    vm = subject.vm
    if vm is None:
        return None
    if connection.inventory is not None and on_silent_host(connection.inventory, vm):
        return (HOST_AWAY.capitalize(), "Bad", "state:unknown")
    if vm.operations:
        return (operation_words(vm.operations[0], 24).capitalize(), "Info", "state:busy")
    if status is not None and status.state is MonitorState.DOWN:
        return ("No network", "Bad", "state:error")
    word, style = _POWER[vm.power]
    return (word, style, f"state:{vm.power}")


def _where(subject: Subject, now: dt.datetime) -> str:
    connection = subject.connection
    inventory = connection.inventory
    parts = [safe_text(connection.name, 60)]
    if subject.item.kind is ItemKind.SERVER:
        product = PLATFORM_NAMES.get(connection.profile.platform, "")
        if inventory is not None:
            product = f"{inventory.server.product} {inventory.server.version}".strip()
        parts = [safe_text(product, 60), safe_text(connection.profile.address_text, 60)]
        if inventory is not None:
            parts.append(f"as {safe_text(inventory.server.user, 40)}")
    vm = subject.vm
    if subject.snapshot is not None and vm is not None:
        parts.append(safe_text(vm.name, 60))
        return "   ›   ".join(parts)
    if isinstance(vm, Vm):
        host_id = vm.host_id or vm.home_id
        host = inventory.hosts.get(host_id) if inventory is not None and host_id is not None else None
        if host is not None:
            parts[0] += f"   ›   {safe_text(host.name, 60)}"
        if vm.os:
            parts.append(safe_text(vm.os, 48))
        if vm.addresses:
            parts.append(safe_text(vm.addresses[0], 45))
        if vm.started is not None and vm.power is PowerState.RUNNING:
            parts.append(f"up {uptime(vm.started, now)}")
    if subject.host is not None:
        host = subject.host
        if host.is_master:
            parts.append("master")
        parts.append(safe_text(f"{host.product} {host.version}".strip(), 60))
        parts.append(safe_text(host.address, 60))
        if host.started is not None:
            parts.append(f"up {uptime(host.started, now)}")
    if not connection.connected and connection.inventory_age_s is not None:
        seen = now - dt.timedelta(seconds=connection.inventory_age_s)
        parts.append(f"as of {ago(seen, now)}")
    return _DOT.join(part for part in parts if part)
