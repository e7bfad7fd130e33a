"""General: what a VM, a host, a pool or a server is, in cards. Tk thread only."""

from __future__ import annotations

import tkinter as tk

from hvconsole.events import ConnectionState, MonitorChanged
from hvconsole.ui.interfaces import ItemKind, Selection, Shell
from hvconsole.ui.pages.base import BasePage
from hvconsole.ui.pages.general_host import HostView
from hvconsole.ui.pages.general_server import ServerView
from hvconsole.ui.pages.general_vm import VmView

METRICS_EVERY_MS = 10_000

View = VmView | HostView | ServerView


class GeneralPage(BasePage):
    """Chooses the view that fits the selection; each view updates in place."""

    title = "General"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        super().__init__(shell, parent)
        self._views: dict[type[View], View] = {}
        self._current: View | None = None

    @staticmethod
    def applies(selection: Selection) -> bool:
        """For everything that can be selected alone."""
        return selection.kind not in (ItemKind.NONE, ItemKind.MIXED)

    def update(self, fresh: bool) -> None:
        """Draw what differs; ask for details when the object is a new one or changed."""
        subject = self.subject
        if subject is None:
            return
        kind: type[View]
        if subject.vm is not None:
            kind = VmView
        elif subject.host is not None:
            kind = HostView
        else:
            kind = ServerView
        view = self._views.get(kind)
        if view is None:
            view = kind(self.shell, self.widget, self.asker)
            self._views[kind] = view
        if view is not self._current:
            if self._current is not None:
                self._current.area.frame.pack_forget()
            view.area.frame.pack(fill="both", expand=True)
            self._current = view
        if fresh:
            view.area.to_top()
        view.show(subject, fresh)
        if self._timer is None:
            self.start_timer(METRICS_EVERY_MS)

    def on_event(self, event: object) -> None:
        """Also follow the monitor of the VM that is shown."""
        if isinstance(event, MonitorChanged):
            primary = self.selection.primary
            view = self._current
            if primary is not None and isinstance(view, VmView) and event.server_id == primary.server_id:
                subject = self.subject
                if subject is not None and subject.vm is not None and subject.vm.id == event.vm_id:
                    view.show_monitor(subject)
            return
        super().on_event(event)

    def tick(self) -> None:
        """Measurements and ages move on."""
        subject = self.subject
        if subject is not None and self._current is not None:
            if subject.connection.state is ConnectionState.CONNECTED or isinstance(self._current, ServerView):
                self._current.measure(subject)
            self.start_timer(METRICS_EVERY_MS)
