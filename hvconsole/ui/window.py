"""The main window: assembles the parts, carries events to them, and is the ``Shell`` that pages and dialogs know.

Tk thread only. Events come from any thread and cross over in ``_listen``; nothing in here blocks.
"""

from __future__ import annotations

import contextlib
import logging
import tkinter as tk
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from PIL import ImageTk

from hvconsole.errors import LocalError
from hvconsole.events import (
    ConnectionChanged,
    Happened,
    InventoryChanged,
    JobChanged,
    MonitorChanged,
    Notice,
)
from hvconsole.model import ObjectId, ServerId, Verb
from hvconsole.monitor.status import MonitorStatus, VmKey
from hvconsole.operations import BY_VERB
from hvconsole.text import safe_text
from hvconsole.ui import drawing
from hvconsole.ui.banner import Banner
from hvconsole.ui.catalogue import Catalogue
from hvconsole.ui.closing import Closing
from hvconsole.ui.collecting import Collecting
from hvconsole.ui.commands import Command, Keyboard
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.filters import Filter
from hvconsole.ui.greeting import Greeting
from hvconsole.ui.header import Header
from hvconsole.ui.interfaces import (
    AppServices,
    Dialogs,
    Item,
    PageClass,
    Selection,
    Shell,
    Subject,
    Unsubscribe,
)
from hvconsole.ui.labmenu import LabMenu
from hvconsole.ui.lastheard import LastHeard
from hvconsole.ui.mainbars import fill_menubar, fill_toolbar
from hvconsole.ui.megawidgets import balloon, panes
from hvconsole.ui.menus import ContextMenu, MenuBar, MenuEntry, MenuFiller, Toolbar
from hvconsole.ui.placement import Placement
from hvconsole.ui.rows import Grouping
from hvconsole.ui.runner import Runner
from hvconsole.ui.searchbox import Hosts, SearchBox
from hvconsole.ui.servers import Servers
from hvconsole.ui.statusbar import StatusBar
from hvconsole.ui.summary import Summary
from hvconsole.ui.tabs import Tabs
from hvconsole.ui.tasks import TaskPanel
from hvconsole.ui.theme import Theme, prepare_screen, system_mode
from hvconsole.ui.tree import InventoryTree

log = logging.getLogger(__name__)

AGES_MS = 5000
"""How often the ages of servers that are away are drawn again."""
STATUS_MS = 8000
"""How long a word in the status bar stays."""


def open_window(services: AppServices) -> MainWindow:
    """Make Tk, its look and the window. Call once per process; ``main_loop`` runs it, ``destroy`` ends it.

    Raises ``LocalError`` where there is no screen.
    """
    prepare_screen()
    try:
        root = tk.Tk(className="Hvconsole")
    except tk.TclError as exc:
        text = "There is no screen to open a window on; “hvconsole --help” lists what works without one."
        raise LocalError(text, str(exc)) from exc
    root.withdraw()
    look = services.settings.current.appearance
    mode = system_mode(root) if look.mode == "system" else look.mode
    theme = Theme(root, mode, look.scale)
    window = MainWindow(root, theme, Dispatcher(root, services.clock), services)
    root.deiconify()
    return window


class MainWindow:
    """The one window of the program. Make it, then ``main_loop``."""

    def __init__(
        self,
        root: tk.Tk,
        theme: Theme,
        dispatcher: Dispatcher,
        services: AppServices,
        *,
        make_dialogs: Callable[[Shell], Dialogs] | None = None,
        page_classes: Sequence[PageClass] | None = None,
    ) -> None:
        self.root = root
        self.theme = theme
        self.dispatcher = dispatcher
        self.services = services
        self._selection = Selection()
        self._heard = LastHeard()
        self.greeting = Greeting(services.connections, lambda: self._selection, self.select)
        self._listening: list[Unsubscribe] = []
        self._timers: dict[str, str] = {}
        if page_classes is None:
            from hvconsole.ui.pages import PAGES

            page_classes = PAGES
        self._make_dialogs = make_dialogs
        self._dialogs: Dialogs | None = None
        self._runner = Runner(services.connections, lambda: self.dialogs, dispatcher, self.status)
        self.keyboard = Keyboard(root, self.status, self._on_list)
        self.catalogue = Catalogue(self, lambda: self.target)
        self._collecting = Collecting(root)
        self._icons: list[ImageTk.PhotoImage] = []
        self._build(page_classes)
        self.closing = Closing(
            root,
            theme,
            services.clock,
            services.shutdown,
            running=self.tasks.running,
            save=self.placement.save,
            stop=self.stop,
        )
        self._listen()
        self.tree.refresh_servers()
        self._restore_filter()
        self.greeting.greet()
        self.servers.show_failures()
        self.summary.now()
        self._tick_ages()

    def main_loop(self) -> None:
        """Handle events until the window is closed."""
        self._collecting.start()
        self.dispatcher.start()
        self.root.mainloop()

    def destroy(self) -> None:
        """Stop what runs and take the window away."""
        self.stop()
        with contextlib.suppress(tk.TclError):  # Pmw may have deleted a command of the window's already
            self.root.destroy()

    # ---- construction ----------------------------------------------------------------------------------------

    def _build(self, page_classes: Sequence[PageClass]) -> None:
        root, theme, px = self.root, self.theme, self.theme.px
        root.report_callback_exception = self._report_defect
        root.title("hvconsole")
        self._icons = [ImageTk.PhotoImage(drawing.app_icon(size), master=root) for size in (16, 32, 48, 128)]
        root.iconphoto(True, *[str(icon) for icon in self._icons])
        root.minsize(px(820), px(520))
        self.placement = Placement(root, theme, self.services.settings)
        self.balloon = balloon(theme, root, self._hint)
        filler = MenuFiller(theme, self._hint, self.keyboard.invoke)
        self.context = ContextMenu(root, filler)
        self.lab = LabMenu(self.services.lab, self.subjects, self.status) if self.services.lab is not None else None
        self._build_menus(filler)
        self.toolbar = Toolbar(root, theme, self.balloon, self.keyboard.invoke)
        self.toolbar.widget.pack(fill="x", padx=px(8), pady=(px(1), px(6)))
        theme.line(root).pack(fill="x")
        self.banner = Banner(root, theme)
        self.banner.widget.pack(fill="x")
        self.servers = Servers(self, self.banner)
        self.statusbar = StatusBar(root, theme)
        self.statusbar.widget.pack(side="bottom", fill="x")
        self._build_panes(page_classes)
        fill_toolbar(self.toolbar, self.catalogue, self.why_not)
        header_catalogue = Catalogue(self, lambda: self._selection)
        self.summary = Summary(
            root, self.services, header_catalogue, self.header, self.toolbar, self.statusbar, self._heard
        )
        self.keyboard.bind(self.catalogue.all())
        if self.lab is not None:
            self.keyboard.bind([e for e in self.lab.cable_entries() if isinstance(e, Command)])
        root.bind("<slash>", self._on_slash)
        root.bind("<Shift-F10>", lambda _event: "break")  # Tk takes it for F10; lists have bound it before
        for sequence in ("<<TreeviewSelect>>", "<FocusIn>"):  # of any list in the window: the toolbar's target moves
            root.bind(sequence, lambda _event: self.summary.soon(), add=True)
        root.bind("<FocusIn>", self._on_keyboard, add=True)
        root.protocol("WM_DELETE_WINDOW", self.quit)

    def _build_menus(self, filler: MenuFiller) -> None:
        menus = self.menubar = MenuBar(self.root, self.theme, filler)
        menus.widget.pack(fill="x", padx=self.theme.px(4), pady=(self.theme.px(2), 0))
        fill_menubar(menus, self.catalogue, self.lab)

    def _build_panes(self, page_classes: Sequence[PageClass]) -> None:
        theme, px = self.theme, self.theme.px
        self.rows = panes(theme, self.root, "vertical")
        self.rows.component("hull").pack(fill="both", expand=True)
        top = self.rows.add("top", min=px(240), size=px(520))
        bottom = self.rows.add("tasks", min=px(0), size=px(180))
        self.columns = panes(theme, top, "horizontal")
        self.columns.component("hull").pack(fill="both", expand=True)
        left = self.columns.add("tree", min=px(220), size=px(350))
        right = self.columns.add("page", min=px(320))
        for pane in (left, right, bottom):
            theme.paint(pane, background="surface")
        self.search = SearchBox(
            left,
            theme,
            self.balloon,
            changed=self._filter_changed,
            hosts=self._hosts,
            open_menu=self.context.open,
            leave=lambda: self.tree.focus(),
            go=lambda: self.tree.focus_hit(),
        )
        self.search.widget.pack(fill="x")
        self.tree = InventoryTree(left, theme, self.services.connections, self)
        self.tree.widget.pack(fill="both", expand=True)
        self.header = Header(right, theme, self.keyboard.invoke)
        self.header.widget.pack(fill="x")
        self.tabs = Tabs(right, theme, self, page_classes, self._tab_turned, self.context.open)
        self.tabs.widget.pack(fill="both", expand=True)
        self.tabs.wish(str(self.services.settings.pref("tab", "")))
        self.tasks = TaskPanel(bottom, theme, self.services.connections, lambda: self.dialogs, self._open_small_menu)
        self.tasks.widget.pack(fill="both", expand=True)
        self.placement.manage(self.columns, "tree", 350)
        self.placement.manage(self.rows, "tasks", 186)
        self.placement.restore()

    # ---- events ----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Subscribe; every handler only posts, in whatever thread it is called."""
        hub, post, latest = self.services.hub, self.dispatcher.post, self.dispatcher.post_latest

        def on(kind: type, cross: Callable[[Any], None]) -> None:
            self._listening.append(hub.subscribe(kind, cross))

        on(InventoryChanged, lambda e: latest(("inventory", e.server_id), lambda: self._inventory_changed(e)))
        on(ConnectionChanged, lambda e: post(lambda: self._connection_changed(e)))
        on(MonitorChanged, lambda e: latest(("monitor", e.server_id, e.vm_id), lambda: self._monitor_changed(e)))
        on(JobChanged, lambda e: latest(("job", e.job.id), lambda: self._job_changed(e)))
        on(Happened, lambda e: post(lambda: self._happened(e)))
        on(Notice, lambda e: post(lambda: self.banner.show(e.key, e.text, e.severity)))

    def _inventory_changed(self, event: InventoryChanged) -> None:
        self.tree.refresh(event.server_id)
        self.greeting.greet()
        self.tabs.on_event(event)
        self.summary.soon()

    def _connection_changed(self, event: ConnectionChanged) -> None:
        self.tree.refresh_servers()
        self.greeting.greet()
        self.greeting.select_new()
        self.servers.show_failures()
        self.tabs.on_event(event)
        self.summary.soon()

    def _monitor_changed(self, event: MonitorChanged) -> None:
        key = VmKey(event.server_id, event.vm_id)
        self._heard.hear(key, self.services.watcher.status(key))
        self.tree.refresh_vm(event.server_id, event.vm_id)
        self.tabs.on_event(event)
        self.summary.soon()

    def _job_changed(self, event: JobChanged) -> None:
        self.tasks.job_changed(event.job)
        verb = event.job.verb
        row = BY_VERB.get(Verb(verb)) if verb in set(Verb) else None
        if row is not None and self.statusbar.text.startswith(f"{row.doing}: ") and not self.tasks.running(verb):
            self.status("")  # it is not going on any more
        self.tabs.on_event(event)

    def _happened(self, event: Happened) -> None:
        self.tasks.happened(event)
        self.tabs.on_event(event)

    def _tick_ages(self) -> None:
        self._timers["ages"] = self.root.after(AGES_MS, self._tick_ages)
        self.tree.refresh_ages()
        if not all(c.connected for c in self.services.connections.all()):
            self.summary.soon()

    def _cancel_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            self.root.after_cancel(timer)

    # ---- Shell -------------------------------------------------------------------------------------------------

    @property
    def dialogs(self) -> Dialogs:
        """What stops and asks. Loaded when first needed: the window is there sooner."""
        if self._dialogs is None:
            if self._make_dialogs is None:
                from hvconsole.ui.dialogs.window_dialogs import WindowDialogs

                self._make_dialogs = WindowDialogs
            self._dialogs = self._make_dialogs(self)
        return self._dialogs

    @property
    def selection(self) -> Selection:
        """What is selected in the tree."""
        return self._selection

    @property
    def target(self) -> Selection:
        """What keys and toolbar act on: the rows chosen in the table that has the keyboard, else the tree's."""
        return self._chosen_in_page() or self._selection

    def _chosen_in_page(self) -> Selection | None:
        """The rows chosen in the visible page's table, if that has the keyboard."""
        if not self.tabs.contains(str(self.root.tk.call("focus"))):
            return None
        chosen = getattr(self.tabs.page, "chosen", None)
        found = chosen() if chosen is not None else None
        return found if isinstance(found, Selection) and found.items else None

    def _on_list(self) -> bool:
        """Whether a plain key means what is selected: in the tree, or in a table of VMs."""
        return str(self.root.tk.call("focus")) == str(self.tree.tree) or self._chosen_in_page() is not None

    def subjects(self) -> tuple[Subject, ...]:
        """What keys and toolbar act on, looked up."""
        return self.target.subjects(self.services.connections)

    def select(self, selection: Selection) -> None:
        """Select and reveal."""
        self.tree.select(selection)

    def run(
        self, verb: Verb, selection: Selection | None = None, arguments: Mapping[str, object] | None = None
    ) -> None:
        """Ask for an operation."""
        self._runner.run(verb, selection if selection is not None else self.target, arguments)

    def why_not(self, verb: Verb, selection: Selection | None = None) -> str | None:
        """Why ``run`` would refuse, or None."""
        return self._runner.why_not(verb, selection if selection is not None else self.target)

    def popup(self, selection: Selection, x_root: int, y_root: int) -> None:
        """The context menu, for exactly these items, selected or not."""
        catalogue = Catalogue(self, lambda: selection)
        extra: Sequence[MenuEntry] = ()
        if self.services.lab is not None:
            extra = LabMenu(self.services.lab, catalogue.subjects, self.status).cable_entries()
        self.context.open(catalogue.context_menu(extra), x_root, y_root)

    def set_monitored(self, subjects: Sequence[Subject], monitored: bool) -> None:
        """Tick or untick VMs."""
        vms = [s.item for s in subjects if s.vm is not None and s.snapshot is None]
        self.tree_ticked(tuple(vms), monitored)
        for item in vms:
            if item.id is not None:
                self.tree.refresh_vm(item.server_id, item.id)

    def show_page(self, title: str) -> None:
        """Bring a tab to the front."""
        self.tabs.turn_to(title)

    def status(self, text: str) -> None:
        """A word in the status bar; it goes after some seconds."""
        self._cancel_timer("status")
        self.statusbar.say(text)
        if text:
            self._timers["status"] = self.root.after(STATUS_MS, lambda: self.status(""))

    def _hint(self, text: str) -> None:
        """What is pointed at; in the status bar as long as it is pointed at."""
        self._cancel_timer("status")
        self.statusbar.say(text.replace("\n", "  –  "))

    # ---- TreeOwner ---------------------------------------------------------------------------------------------

    def is_monitored(self, server_id: ServerId, vm_id: ObjectId) -> bool:
        """Whether this VM is ticked."""
        return VmKey(server_id, vm_id) in self.services.watcher.ticked()

    def monitor_status(self, server_id: ServerId, vm_id: ObjectId) -> MonitorStatus | None:
        """How its monitor stands."""
        return self._heard.status(VmKey(server_id, vm_id))

    def tree_selected(self, selection: Selection) -> None:
        """Show what was selected."""
        self._selection = selection
        self.tabs.show(selection)
        self.summary.show(selection)

    def tree_ticked(self, items: tuple[Item, ...], monitored: bool) -> None:
        """Begin or end monitoring."""
        watcher = self.services.watcher
        for item in items:
            if item.id is not None:
                (watcher.tick if monitored else watcher.untick)(VmKey(item.server_id, item.id))
        self.summary.soon()
        word = "on" if monitored else "off"
        names = Selection(items[:1]).subject(self.services.connections)
        what = safe_text(names.name, 60) if len(items) == 1 and names is not None else f"{len(items)} VMs"
        self.status(f"Monitoring {word}: {what}")

    def tree_popup(self, selection: Selection, x_root: int, y_root: int) -> None:
        """Open the context menu."""
        self.popup(selection, x_root, y_root)

    def tree_activated(self, item: Item) -> None:
        """Return or double click: to the pages."""
        self.tabs.focus()

    # ---- CatalogueOwner ----------------------------------------------------------------------------------------

    def quit(self) -> None:
        """Close the program."""
        self.closing.ask()

    def refresh(self, subjects: Sequence[Subject]) -> None:
        """Read again from the servers of these, or from all."""
        chosen = {s.connection.id: s.connection for s in subjects}
        for connection in chosen.values() or self.services.connections.all():
            connection.refresh()
        self.status("Refreshing…")

    def find(self) -> None:
        """Go to the search field."""
        self.search.focus()

    def switch_mode(self) -> None:
        """Light to dark and back, and remember it."""
        mode = "light" if self.theme.mode == "dark" else "dark"
        self.theme.set_mode(mode)
        settings = self.services.settings
        settings.change(appearance=settings.current.appearance.model_copy(update={"mode": mode}))

    def cycle(self, step: int) -> None:
        """Tree → tabs → tasks, or back."""
        path = str(self.root.tk.call("focus"))
        here = 0
        if self.tabs.contains(path):
            here = 1
        elif path.startswith(f"{self.tasks.widget}."):
            here = 2
        stations: list[Callable[[], object]] = [self.tree.focus, self.tabs.focus]
        if self.placement.shown("tasks"):
            stations.append(self.tasks.focus)
        stations[(here + step) % len(stations)]()

    def turn_tab(self, step: int) -> None:
        """The next or previous tab."""
        self.tabs.turn(step)

    def nth_tab(self, number: int) -> None:
        """The tab at this place."""
        if number <= len(self.tabs.titles):
            self.tabs.turn_to(self.tabs.titles[number - 1])

    def reconnect(self, subjects: Sequence[Subject]) -> None:
        """Connect to these servers again."""
        self.servers.reconnect(subjects)

    def disconnect(self, subjects: Sequence[Subject]) -> None:
        """Log out of these servers."""
        self.servers.disconnect(subjects)

    def edit_server(self, subjects: Sequence[Subject]) -> None:
        """Change how the first of these servers is connected to."""
        self.servers.edit(subjects)

    def remove_servers(self, subjects: Sequence[Subject]) -> None:
        """Forget these servers."""
        self.servers.remove(subjects)

    def toggle_monitored(self, subjects: Sequence[Subject]) -> None:
        """Tick or untick these VMs."""
        monitored = all(self.is_monitored(s.item.server_id, s.vm.id) for s in subjects if s.vm is not None)
        self.set_monitored(subjects, not monitored)

    def grouping(self) -> Grouping:
        """Under what the tree shows VMs."""
        return self.tree.rows.forest.grouping

    def set_grouping(self, grouping: Grouping) -> None:
        """Show VMs under something else, and remember it."""
        self.tree.set_grouping(grouping)
        self.services.settings.set_pref("grouping", str(grouping))

    def tasks_shown(self) -> bool:
        """Whether the task panel is visible."""
        return self.placement.shown("tasks")

    def toggle_tasks(self) -> None:
        """Show or hide the task panel."""
        self.placement.toggle("tasks")

    def filter_entries(self) -> list[MenuEntry]:
        """The filter menu."""
        return self.search.menu_entries()

    # ---- smaller things ----------------------------------------------------------------------------------------

    def _on_keyboard(self, event: tk.Event[tk.Misc]) -> None:
        """The window itself can do nothing with keys. It gets them at the start, and when where they went is gone."""
        # X tells of the keyboard's way past the window too, and behind a dialog it must stay where it is
        has_it = str(self.root.tk.call("focus")) == str(self.root) and not self.root.tk.call("grab", "current")
        if event.widget is self.root and has_it:
            self.tree.tree.focus_set()

    def _on_slash(self, _event: object) -> str | None:
        if self.keyboard.typing():
            return None
        self.find()
        return "break"

    def _tab_turned(self, title: str) -> None:
        self.services.settings.set_pref("tab", title)

    def _filter_changed(self, wanted: Filter) -> int:
        hits = self.tree.set_filter(wanted)
        self.placement.save_filter(wanted)
        return hits

    def _restore_filter(self) -> None:
        grouping = self.services.settings.pref("grouping", "")
        if grouping in {str(g) for g in Grouping}:
            self.tree.set_grouping(Grouping(grouping))
        self.search.set_filter(self.placement.saved_filter())

    def _hosts(self) -> Hosts:
        return [
            (connection.id, host.id, host.name)
            for connection in self.services.connections.all()
            if connection.inventory is not None
            for host in connection.inventory.hosts.values()
        ]

    def _open_small_menu(self, entries: list[tuple[str, Callable[[], object], bool]], x: int, y: int) -> None:
        def command(label: str, run: Callable[[], object], able: bool) -> Command:
            return Command(label, label, run, lambda: None if able else "It is finished already.")

        self.context.open([command(*entry) for entry in entries], x, y)

    def _report_defect(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        log.error("the window failed unexpectedly", exc_info=(kind, value, trace))
        text = f"hvconsole itself failed here ({kind.__name__}); please report it. The log has the details."
        self.banner.show("defect", text, "error")

    def stop(self) -> None:
        """Stop timers and listening; the widgets still stand."""
        for unsubscribe in self._listening:
            unsubscribe()
        self._listening.clear()
        for name in list(self._timers):
            self._cancel_timer(name)
        self.summary.stop()
        self.tabs.leave()
        self.search.destroy()
        self.tree.destroy()
        self.dispatcher.stop()
        self._collecting.stop()
