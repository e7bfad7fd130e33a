"""What the parts of the window know of each other: selection, services, pages, dialogs, the shell.

Shell (window, tree, menus, task panel) and contents (pages, tables, dialogs) are written against these and never
against each other. Everything in here belongs to the Tk thread.
"""

from __future__ import annotations

import enum
import tkinter as tk
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hvconsole.clock import Clock
from hvconsole.errors import CertificateError, HvError
from hvconsole.events import Hub
from hvconsole.model import Host, ObjectId, Pool, ServerId, Snapshot, Verb, Vm

if TYPE_CHECKING:
    from hvconsole.connection import Connection, Connections
    from hvconsole.credentials import Credentials
    from hvconsole.history import History
    from hvconsole.monitor.watcher import Watcher
    from hvconsole.operations import Operation, Question
    from hvconsole.settings import SettingsStore
    from hvconsole.trust import PinStore
    from hvconsole.ui.dispatcher import Dispatcher
    from hvconsole.ui.theme import Theme


class ItemKind(enum.StrEnum):
    """Kinds of things that can be selected."""

    NONE = "none"
    SERVER = "server"
    POOL = "pool"
    HOST = "host"
    VM = "vm"
    SNAPSHOT = "snapshot"
    MIXED = "mixed"
    """Several objects of different kinds."""

    __hash__ = str.__hash__  # an enum's own is Python code, and items are hashed by the ten thousand


class Item(NamedTuple):
    """One thing in the tree or a table, named by stable ids. ``id`` is None for a server itself."""

    kind: ItemKind
    server_id: ServerId
    id: ObjectId | None = None
    vm_id: ObjectId | None = None
    """The VM that a snapshot belongs to."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A selected item looked up in the present inventories. Exactly the fields that fit its kind are set."""

    item: Item
    connection: Connection
    pool: Pool | None = None
    host: Host | None = None
    vm: Vm | None = None
    """Also set for a snapshot: the VM it belongs to."""
    snapshot: Snapshot | None = None

    @property
    def name(self) -> str:
        """Name of the object as the server sent it (hostile: show through ``text.safe_text``)."""
        for found in (self.snapshot, self.vm, self.host, self.pool):
            if found is not None:
                return found.name
        return self.connection.name


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected, the first item being the one that pages show. Ids only: it outlives refreshes."""

    items: tuple[Item, ...] = ()

    @property
    def kind(self) -> ItemKind:
        """Kind of all items; ``MIXED`` if they differ, ``NONE`` if there are none."""
        kinds = {item.kind for item in self.items}
        if not kinds:
            return ItemKind.NONE
        return kinds.pop() if len(kinds) == 1 else ItemKind.MIXED

    @property
    def primary(self) -> Item | None:
        """The item that pages show, or None."""
        return self.items[0] if self.items else None

    @property
    def server_id(self) -> ServerId | None:
        """Server of the primary item."""
        return self.items[0].server_id if self.items else None

    @property
    def ids(self) -> tuple[ObjectId, ...]:
        """Ids of all items, servers left out."""
        return tuple(item.id for item in self.items if item.id is not None)

    def subjects(self, connections: Connections) -> tuple[Subject, ...]:
        """The items that still exist, looked up in the present inventories, in order."""
        return tuple(_resolve(self.items, connections))

    def each(self, connections: Connections) -> Iterator[Subject]:
        """Like ``subjects``, one by one: for questions that the first few may answer."""
        return _resolve(self.items, connections)

    def subject(self, connections: Connections) -> Subject | None:
        """The primary item, looked up; None if nothing is selected or it is gone."""
        return next(_resolve(self.items[:1], connections), None)


def _resolve(items: Sequence[Item], connections: Connections) -> Iterator[Subject]:
    for item in items:
        connection = connections.get(item.server_id)
        if connection is None:
            continue
        if item.kind is ItemKind.SERVER:
            yield Subject(item, connection)
            continue
        inventory = connection.inventory
        if inventory is None or item.id is None:
            continue
        if item.kind is ItemKind.POOL and item.id in inventory.pools:
            yield Subject(item, connection, pool=inventory.pools[item.id])
        elif item.kind is ItemKind.HOST and item.id in inventory.hosts:
            yield Subject(item, connection, host=inventory.hosts[item.id])
        elif item.kind is ItemKind.VM and item.id in inventory.vms:
            yield Subject(item, connection, vm=inventory.vms[item.id])
        elif item.kind is ItemKind.SNAPSHOT and item.vm_id is not None:
            vm = inventory.vms.get(item.vm_id)
            snapshot = vm.snapshot(item.id) if vm is not None else None
            if snapshot is not None:
                yield Subject(item, connection, vm=vm, snapshot=snapshot)


class LabController(Protocol):
    """What the Lab menu asks of the built-in lab. No call blocks. VMs and hosts are named by uuid."""

    def knows_vm(self, uuid: str) -> bool:
        """Whether the lab owns this VM."""

    def cable_plugged(self, uuid: str) -> bool:
        """Whether the VM's network cable is plugged."""

    def set_cable(self, uuid: str, plugged: bool) -> None:
        """Pull or plug the VM's network cable."""

    def hosts(self) -> tuple[tuple[str, str, bool], ...]:
        """(uuid, name, alive) of every host in the lab."""

    def set_host(self, uuid: str, alive: bool) -> None:
        """Make a host fail, or bring it back."""

    def masters(self) -> tuple[str, ...]:
        """Uuids of the hosts that are pool masters."""


class Shutdown(Protocol):
    """How the program ends without the Tk thread ever waiting."""

    def begin(self) -> None:
        """Ask every thread to end. Does not wait; may be called again."""

    def pending(self) -> tuple[str, ...]:
        """Names of threads that have not ended yet; empty = the window may go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppServices:
    """Everything the window gets from the composition root."""

    hub: Hub
    clock: Clock
    connections: Connections
    watcher: Watcher
    settings: SettingsStore
    credentials: Credentials
    history: History
    pins: PinStore
    shutdown: Shutdown
    version: str
    lab: LabController | None = None


class Page(Protocol):
    """One tab. Made on first use as ``PageClass(shell, parent)``; ``pages.PAGES`` lists the classes in tab order.

    ``show`` and ``hide`` bracket the time in which the page is visible; only a visible page gets events. Nothing in a
    page blocks: details are asked for with ``connection.ask`` and arrive through the dispatcher.
    """

    title: str
    """Text of the tab; a class attribute."""

    widget: tk.Widget
    """The frame that the shell packs into the notebook page."""

    @staticmethod
    def applies(selection: Selection) -> bool:
        """Whether the tab is offered for this selection; asked before the page exists."""

    def show(self, selection: Selection) -> None:
        """Show this selection; called again whenever the selection changes while visible."""

    def on_event(self, event: object) -> None:
        """An event of ``hvconsole.events``, in the Tk thread: inventory and monitor events are coalesced."""

    def hide(self) -> None:
        """No longer visible: stop timers, drop what costs."""


class PageClass(Protocol):
    """How the shell sees the class of a page."""

    title: str

    @staticmethod
    def applies(selection: Selection) -> bool: ...

    def __call__(self, shell: Shell, parent: tk.Widget) -> Page: ...


class Dialogs(Protocol):
    """Everything that stops and asks. All modal, all on the Tk thread; tests use one that records and answers."""

    def confirm(self, question: Question, operation: Operation, subjects: Sequence[Subject]) -> bool:
        """Ask before a risky operation; object and verb stand in the button. For destructive operations on several
        objects the count must be typed; where the question asks for a typed name, that."""

    def ask_arguments(self, operation: Operation, subjects: Sequence[Subject]) -> dict[str, object] | None:
        """The arguments that ``operation`` needs (snapshot name, target host, file, …), or None if cancelled.

        The snapshot, delete, create, migrate, import, export and password dialogs stand behind this.
        """

    def error(self, title: str, error: HvError, hard: Operation | None = None) -> bool:
        """Show an error with its detail. With ``hard`` the dialog offers that variant; True if it was chosen."""

    def several_refused(
        self, operation: Operation, able: Sequence[Subject], refused: Sequence[tuple[str, str]]
    ) -> bool:
        """Some of the selected can't: a table of (name, reason). True to go on with those able; with none able it
        only informs and answers False."""

    def message(self, title: str, text: str, detail: str = "") -> None:
        """Something to know."""

    def connect(
        self,
        server_id: ServerId | None = None,
        error: HvError | None = None,
        *,
        emergency_at: tuple[str, int] | None = None,
    ) -> None:
        """Connect to a new server, or edit and retry a known one (``error`` says why it failed). ``emergency_at``
        offers an emergency login to that member of the pool."""

    def certificate(self, name: str, error: CertificateError) -> bool:
        """First use: ask. Changed: show old beside new. True if the user accepts (the caller pins)."""

    def preferences(self) -> None:
        """The Preferences dialog."""

    def monitor_settings(self, subjects: Sequence[Subject]) -> None:
        """Monitoring settings of these VMs."""

    def about(self) -> None:
        """The About dialog."""

    def help(self) -> None:
        """Keys and where to read more."""


class Shell(Protocol):
    """What pages and dialogs may ask of the window."""

    root: tk.Tk
    theme: Theme
    dispatcher: Dispatcher
    services: AppServices

    @property
    def dialogs(self) -> Dialogs:
        """What stops and asks."""

    @property
    def selection(self) -> Selection:
        """What is selected now."""

    def select(self, selection: Selection) -> None:
        """Select (and reveal) these items in the tree."""

    def run(
        self, verb: Verb, selection: Selection | None = None, arguments: Mapping[str, object] | None = None
    ) -> None:
        """Ask for an operation on ``selection`` (default: the present one): reasons, question and arguments dialogs,
        then jobs. ``arguments`` given = they are not asked for again."""

    def why_not(self, verb: Verb, selection: Selection | None = None) -> str | None:
        """One sentence why ``run`` would refuse all of the selection now; None if some of it may be tried."""

    def popup(self, selection: Selection, x_root: int, y_root: int) -> None:
        """Open the context menu for ``selection`` at a place on the screen."""

    def set_monitored(self, subjects: Sequence[Subject], monitored: bool) -> None:
        """Tick or untick VMs for automatic snapshots."""

    def show_page(self, title: str) -> None:
        """Bring a tab to the front if it applies."""

    def status(self, text: str) -> None:
        """A word in the status bar; empty = back to normal."""


Unsubscribe = Callable[[], None]
