"""What the main window's menu bar and toolbar offer, in which order. Tk thread only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hvconsole.model import Verb
from hvconsole.ui.catalogue import Catalogue
from hvconsole.ui.commands import Command
from hvconsole.ui.labmenu import LabMenu
from hvconsole.ui.menus import MenuBar, Toolbar


def fill_menubar(menus: MenuBar, catalogue: Catalogue, lab: LabMenu | None) -> None:
    """The menus; ``lab`` only where the built-in lab runs."""
    menus.add("File", 0, catalogue.file_menu)
    menus.add("View", 0, catalogue.view_menu)
    menus.add("Server", 0, catalogue.server_menu)
    menus.add("Host", 0, catalogue.host_menu)
    menus.add("VM", 1, catalogue.vm_menu)
    menus.add("Monitor", 0, catalogue.monitor_menu)
    if lab is not None:
        menus.add("Lab", 0, lab.entries)
    menus.add("Help", 3, catalogue.help_menu)


def fill_toolbar(bar: Toolbar, catalogue: Catalogue, why_not: Callable[[Verb], str | None]) -> None:
    """The buttons; ``why_not(verb)`` tells whether a verb can be used on what is selected."""

    def start() -> Command:
        """Start, or what comes nearest for what is selected: resume, unpause."""
        for verb in (Verb.START, Verb.RESUME, Verb.UNPAUSE):
            if why_not(verb) is None:
                return catalogue[verb]
        return catalogue[Verb.START]

    bar.add(replace(catalogue["connect"], label="Connect"))
    bar.add_line()
    bar.add(start, color="ok")
    bar.add(catalogue[Verb.SHUTDOWN], color="bad")
    bar.add(catalogue[Verb.SUSPEND], color="warn")
    bar.add(catalogue[Verb.REBOOT])
    bar.add_line()
    bar.add(replace(catalogue[Verb.SNAPSHOT], label="Snapshot", help="Take a snapshot"))
    bar.add_line()
    bar.add(catalogue["refresh"], text=False)
    bar.add(catalogue["preferences"], text=False, right=True)
    bar.add(catalogue["mode"], text=False, right=True)
    bar.add(catalogue["tasks"], text=False, right=True)
