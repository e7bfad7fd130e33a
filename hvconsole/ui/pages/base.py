"""What the pages have in common: knowing the selection, and redrawing only what changed. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk

from hvconsole.events import ConnectionChanged, InventoryChanged
from hvconsole.ui.asking import Asker
from hvconsole.ui.interfaces import Selection, Shell, Subject
from hvconsole.ui.theme import Theme


class BasePage:
    """A page with a frame, a selection and questions to servers. Subclasses override ``update``."""

    title: str = ""

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        self.shell = shell
        self.theme: Theme = shell.theme
        self.widget: tk.Widget = ttk.Frame(parent, style="Surface.TFrame")
        self.asker = Asker(shell.dispatcher)
        self.selection = Selection()
        self.visible = False
        self._timer: str | None = None

    @property
    def subject(self) -> Subject | None:
        """What the page is about, looked up now; None if it is gone."""
        return self.selection.subject(self.shell.services.connections)

    def show(self, selection: Selection) -> None:
        """Show this selection."""
        fresh = selection.primary != self.selection.primary or not self.visible
        self.visible = True
        self.selection = selection
        if fresh:
            self.asker.drop()
        self.update(fresh)

    def on_event(self, event: object) -> None:
        """Redraw when the server that is shown has news; subclasses add other events."""
        if isinstance(event, (InventoryChanged, ConnectionChanged)) and event.server_id == self.selection.server_id:
            self.update(False)

    def hide(self) -> None:
        """No longer visible."""
        self.visible = False
        self.asker.drop()
        self.stop_timer()

    def update(self, fresh: bool) -> None:
        """Draw what differs. ``fresh``: another object than before, or the page was hidden."""

    def start_timer(self, milliseconds: int) -> None:
        """Call ``tick`` after a while, if the page is still visible; one timer at a time."""
        self.stop_timer()
        self._timer = self.widget.after(milliseconds, self._ring)

    def stop_timer(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self.widget.after_cancel(self._timer)
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self.visible and self.widget.winfo_exists():
            self.tick()

    def tick(self) -> None:
        """The timer rang. Overridden."""
