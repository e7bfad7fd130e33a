"""What the window says about the selection and about everything: header, toolbar, title and the status bar's counts.

Cheap, and only what differs is drawn; many changes in a row redraw once. Tk thread only.
"""

from __future__ import annotations

import tkinter as tk

from hvconsole.model import Verb
from hvconsole.monitor.status import VmKey
from hvconsole.text import safe_text
from hvconsole.ui.catalogue import Catalogue
from hvconsole.ui.commands import Command
from hvconsole.ui.header import Header
from hvconsole.ui.interfaces import AppServices, ItemKind, Selection, Subject
from hvconsole.ui.lastheard import LastHeard
from hvconsole.ui.looks import subject_name
from hvconsole.ui.menus import Toolbar
from hvconsole.ui.statusbar import StatusBar

REFRESH_MS = 60
"""Changes within this time redraw once."""
_LOOKED_UP = 10
"""Items of a selection that the header looks up."""


class Summary:
    """Keeps the parts that it is given up to date; ``header_catalogue`` acts on the selection of the tree."""

    def __init__(
        self,
        root: tk.Tk,
        services: AppServices,
        header_catalogue: Catalogue,
        header: Header,
        toolbar: Toolbar,
        statusbar: StatusBar,
        heard: LastHeard,
    ) -> None:
        self._root = root
        self._services = services
        self._catalogue = header_catalogue
        self._header = header
        self._toolbar = toolbar
        self._statusbar = statusbar
        self._heard = heard
        self._selection = Selection()
        self._job: str | None = None

    def show(self, selection: Selection) -> None:
        """Something else is selected."""
        self._selection = selection
        self.soon()

    def soon(self) -> None:
        """Something changed that may show here."""
        if self._job is None:
            self._job = self._root.after(REFRESH_MS, self.now)

    def stop(self) -> None:
        """Draw nothing any more."""
        job, self._job = self._job, None
        if job is not None:
            self._root.after_cancel(job)

    def now(self) -> None:
        """Draw what differs."""
        self.stop()
        connections = self._services.connections
        first = Selection(self._selection.items[:_LOOKED_UP]).subjects(connections)
        subject = first[0] if first else None
        status = None
        if subject is not None and subject.vm is not None and subject.snapshot is None:
            status = self._services.watcher.status(VmKey(subject.item.server_id, subject.vm.id))
        commands = self._header_commands(subject)
        self._header.show(self._selection, first, status, commands, self._services.clock.now())
        self._toolbar.refresh()
        self._show_title(subject)
        self._show_counts()

    def _header_commands(self, subject: Subject | None) -> list[Command]:
        if subject is None:
            return [] if self._services.connections.all() else [self._catalogue["connect"]]
        if subject.snapshot is not None:
            return [self._catalogue[Verb.DELETE_SNAPSHOT], self._catalogue[Verb.REVERT]]
        if subject.vm is not None:
            return [self._catalogue[Verb.SNAPSHOT]]
        if subject.item.kind is ItemKind.SERVER and not subject.connection.connected:
            return [self._catalogue["edit-server"], self._catalogue["reconnect"]]
        return []

    def _show_title(self, subject: Subject | None) -> None:
        title = "hvconsole"
        if subject is not None:
            title = f"hvconsole – {subject_name(subject, 80)}"
            vm, inventory = subject.vm, subject.connection.inventory
            host_id = (vm.host_id or vm.home_id) if vm is not None else None
            if inventory is not None and host_id is not None and host_id in inventory.hosts:
                title += f" on {safe_text(inventory.hosts[host_id].name, 80)}"
        if title != self._root.title():
            self._root.title(title)

    def _show_counts(self) -> None:
        connections = self._services.connections.all()
        ticked = self._services.watcher.ticked()
        self._statusbar.show(
            servers=len(connections),
            connected=sum(1 for c in connections if c.connected),
            monitored=len(ticked),
            down=self._heard.down(ticked),
        )
