"""A page or a dialog alone in the window, on a pool that answers from memory."""

from __future__ import annotations

import subprocess
import tkinter as tk
from collections.abc import Callable, Iterator
from tkinter import ttk
from typing import Any

import pytest

from hvconsole.ui.dialogs.window_dialogs import WindowDialogs
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.interfaces import AppServices
from hvconsole.ui.theme import Theme
from tests.ui.stage import (
    SERVER,
    MemoryHypervisor,
    StageHistory,
    StageShell,
    StageWatcher,
    make_services,
    sample_inventory,
    sample_rows,
    sample_statuses,
)


@pytest.fixture
def hv() -> MemoryHypervisor:
    return MemoryHypervisor(sample_inventory())


@pytest.fixture
def services(hv: MemoryHypervisor) -> Iterator[AppServices]:
    made = make_services(hv, watcher=StageWatcher(*sample_statuses()), history=StageHistory(sample_rows()))
    yield made
    made.connections.close()


@pytest.fixture
def shell(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, services: AppServices, until: Callable[..., None]
) -> StageShell:
    """A shell around the empty root window, connected."""
    made = StageShell(root, theme, dispatcher, services)
    made.dialogs = WindowDialogs(made)
    connection = services.connections.get(SERVER)
    assert connection is not None
    until(lambda: connection.connected and connection.inventory is not None, "the connection")
    return made


class Driver:
    """Real pointer and real keys, through the X server."""

    def __init__(self, root: tk.Tk, until: Callable[..., None]) -> None:
        self.root, self.until = root, until

    def _x(self, *words: object) -> None:
        subprocess.run(["xdotool", *map(str, words)], check=True, timeout=10)

    def click(
        self, widget: tk.Misc, x: int | None = None, y: int | None = None, *, button: int = 1, times: int = 1
    ) -> None:
        self.root.update()
        across = widget.winfo_rootx() + (widget.winfo_width() // 2 if x is None else x)
        down = widget.winfo_rooty() + (widget.winfo_height() // 2 if y is None else y)
        self._x("mousemove", across, down)
        self.root.update()
        self._x("click", "--repeat", times, "--delay", 30, button)
        self.root.update()

    def key(self, *names: str) -> None:
        self._x("key", *names)
        self.root.update()

    def type(self, text: str) -> None:
        self._x("type", "--delay", 12, text)
        self.root.update()


@pytest.fixture
def driver(root: tk.Tk, until: Callable[..., None]) -> Driver:
    return Driver(root, until)


def texts(widget: tk.Misc) -> list[str]:
    """Every text that can be read in a widget and its children, in no order."""
    found: list[str] = []
    for child in (widget, *_below(widget)):
        if isinstance(child, (ttk.Label, tk.Label, ttk.Button, ttk.Checkbutton, ttk.Radiobutton)):
            found.append(str(child.cget("text")))
        elif isinstance(child, tk.Text):
            found.append(child.get("1.0", "end-1c"))
    return [text for text in found if text]


def _below(widget: tk.Misc) -> Iterator[Any]:
    for child in widget.winfo_children():
        yield child
        yield from _below(child)


def press_when_open(root: tk.Tk, text: str) -> None:
    """Press the button with that text as soon as a dialog shows it; for dialogs that wait in a loop of their own."""

    def look(widget: tk.Misc) -> bool:
        if isinstance(widget, ttk.Button) and str(widget.cget("text")) == text and widget.winfo_viewable():
            widget.invoke()
            return True
        return any(look(child) for child in widget.winfo_children())

    def again() -> None:
        if not look(root):
            root.after(30, again)

    root.after(30, again)
