"""Closing the window: ask if work is going on, then end everything without ever waiting. Tk thread only."""

from __future__ import annotations

import logging
import tkinter as tk
from collections.abc import Callable
from tkinter import ttk

from hvconsole.clock import Clock
from hvconsole.ui.interfaces import Shutdown
from hvconsole.ui.megawidgets import dialog, dismiss_dialogs, run_dialog
from hvconsole.ui.theme import Theme
from hvconsole.ui.wording import count

log = logging.getLogger(__name__)

LOOK_MS = 50
"""How often to look whether the threads have ended."""
LIMIT_S = 5.0
"""After that the program ends anyway and says which threads hung."""


def confirm(
    theme: Theme, root: tk.Misc, title: str, heading: str, text: str, button: str, keep: str = "Cancel"
) -> bool:
    """A small question; True if ``button`` was pressed."""
    px = theme.px
    made = dialog(theme, root, title, (button, keep), default=0)
    inside = made.interior()
    ttk.Label(inside, text=heading, style="Bold.TLabel", wraplength=px(420)).pack(
        anchor="w", padx=px(18), pady=(px(16), px(4))
    )
    ttk.Label(inside, text=text, style="Muted.TLabel", wraplength=px(420), justify="left").pack(
        anchor="w", padx=px(18), pady=(0, px(10))
    )
    return bool(run_dialog(made, root, made.component("buttonbox").button(0)) == button)


class Closing:
    """The end of the program, in steps that each return at once."""

    def __init__(
        self,
        root: tk.Tk,
        theme: Theme,
        clock: Clock,
        shutdown: Shutdown,
        *,
        running: Callable[[], int],
        save: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self._root = root
        self._theme = theme
        self._clock = clock
        self._shutdown = shutdown
        self._running = running
        self._save = save
        self._stop = stop
        self._began: float | None = None

    def ask(self) -> None:
        """Close, after a question if tasks are running."""
        if self._began is not None:
            return
        running = self._running()
        whom, what = ("server", "it") if running == 1 else ("servers", "them")
        if running and not confirm(
            self._theme,
            self._root,
            "Quit hvconsole",
            f"{count(running, 'task is', 'tasks are')} still running.",
            f"Quitting asks the {whom} to cancel {what}. Monitoring and automatic snapshots end too.",
            f"Cancel {what} and quit",
            "Keep running",
        ):
            return
        self.begin()

    def begin(self) -> None:
        """Close without a question."""
        if self._began is not None:
            return
        self._began = self._clock.monotonic()
        self._save()
        self._root.withdraw()
        self._shutdown.begin()
        self._look()

    def _look(self) -> None:
        assert self._began is not None
        pending = self._shutdown.pending()
        late = self._clock.monotonic() - self._began > LIMIT_S
        if pending and not late:
            self._root.after(LOOK_MS, self._look)
            return
        if pending:
            log.warning("closing although these threads have not ended: %s", ", ".join(pending))
        self._stop()
        dismiss_dialogs(self._root)
        self._root.quit()
