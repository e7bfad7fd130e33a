"""The real main window on a pool that answers from memory; dialogs record what they are asked and answer as told."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hvconsole.errors import CertificateError, HvError
from hvconsole.model import Inventory, ObjectId, ServerId
from hvconsole.monitor.status import MonitorSettings, MonitorState, MonitorStatus, VmKey
from hvconsole.operation import Operation, Question
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.interfaces import ItemKind, LabController, Selection, Shell, Subject
from hvconsole.ui.theme import Theme
from hvconsole.ui.window import MainWindow
from tests.ui.stage import NOW, SERVER, MemoryHypervisor, item, make_services, sample_inventory


class RecordingDialogs:
    """Answers every question from ``answers``; a missing answer is yes."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.answers: dict[str, Any] = {}

    def names(self) -> list[str]:
        return [entry[0] for entry in self.asked]

    def confirm(self, question: Question, operation: Operation, subjects: Sequence[Subject]) -> bool:
        self.asked.append(("confirm", operation.verb, [s.name for s in subjects]))
        return bool(self.answers.get("confirm", True))

    def ask_arguments(self, operation: Operation, subjects: Sequence[Subject]) -> dict[str, object] | None:
        self.asked.append(("arguments", operation.verb, [s.name for s in subjects]))
        answer = self.answers.get("arguments", {})
        return dict(answer) if answer is not None else None

    def error(self, title: str, error: HvError, hard: Operation | None = None) -> bool:
        self.asked.append(("error", title, error, hard.verb if hard else None))
        return bool(self.answers.get("hard", False))

    def several_refused(
        self, operation: Operation, able: Sequence[Subject], refused: Sequence[tuple[str, str]]
    ) -> bool:
        self.asked.append(("refused", operation.verb, [s.name for s in able], list(refused)))
        return bool(self.answers.get("refused", True)) and bool(able)

    def message(self, title: str, text: str, detail: str = "") -> None:
        self.asked.append(("message", title, text, detail))

    def connect(
        self,
        server_id: ServerId | None = None,
        error: HvError | None = None,
        *,
        emergency_at: tuple[str, int] | None = None,
    ) -> None:
        self.asked.append(("connect", server_id, error, *([emergency_at] if emergency_at else [])))

    def certificate(self, name: str, error: CertificateError) -> bool:
        self.asked.append(("certificate", name, error))
        return bool(self.answers.get("certificate", True))

    def preferences(self) -> None:
        self.asked.append(("preferences",))

    def monitor_settings(self, subjects: Sequence[Subject]) -> None:
        self.asked.append(("monitor settings", [s.name for s in subjects]))

    def about(self) -> None:
        self.asked.append(("about",))

    def help(self) -> None:
        self.asked.append(("help",))


class MemoryWatcher:
    """Remembers ticks; states are what a test sets."""

    def __init__(self) -> None:
        self._ticked: frozenset[VmKey] = frozenset()
        self.states: dict[VmKey, MonitorState] = {}

    def tick(self, key: VmKey) -> None:
        self._ticked |= {key}

    def untick(self, key: VmKey) -> None:
        self._ticked -= {key}

    def ticked(self) -> frozenset[VmKey]:
        return self._ticked

    def status(self, key: VmKey) -> MonitorStatus | None:
        if key not in self._ticked:
            return None
        state = self.states.get(key, MonitorState.UP)
        return MonitorStatus(
            key=key,
            vm_name="x",
            settings=MonitorSettings(),
            state=state,
            state_since=NOW,
            last_rtt_ms=12.4 if state is MonitorState.UP else None,
            would_have_fired={},
        )

    def statuses(self) -> tuple[MonitorStatus, ...]:
        return tuple(s for key in self._ticked if (s := self.status(key)) is not None)


class RecordingPage:
    """A tab that writes down what it is told."""

    title = "General"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        self.widget = tk.Frame(parent)
        self.entry = tk.Entry(self.widget)
        self.entry.pack()
        self.shown: list[Selection] = []
        self.events: list[object] = []
        self.hidden = 0

    @staticmethod
    def applies(selection: Selection) -> bool:
        return bool(selection.items)

    def show(self, selection: Selection) -> None:
        self.shown.append(selection)

    def on_event(self, event: object) -> None:
        self.events.append(event)

    def hide(self) -> None:
        self.hidden += 1


class SnapshotsPage(RecordingPage):
    title = "Snapshots"

    @staticmethod
    def applies(selection: Selection) -> bool:
        return selection.kind is ItemKind.VM


class MonitorPage(SnapshotsPage):
    title = "Monitor"


class MemoryLab:
    """Cables and hosts of a lab that is not there."""

    def __init__(self) -> None:
        self.pulled: set[str] = set()
        self.dead: set[str] = set()

    def knows_vm(self, uuid: str) -> bool:
        return True

    def cable_plugged(self, uuid: str) -> bool:
        return uuid not in self.pulled

    def set_cable(self, uuid: str, plugged: bool) -> None:
        (self.pulled.discard if plugged else self.pulled.add)(uuid)

    def hosts(self) -> tuple[tuple[str, str, bool], ...]:
        return tuple((h, f"xs-{h}", h not in self.dead) for h in ("h1", "h2"))

    def set_host(self, uuid: str, alive: bool) -> None:
        (self.dead.discard if alive else self.dead.add)(uuid)

    def masters(self) -> tuple[str, ...]:
        return ("h1",)


class EndedShutdown:
    """Everything has ended, or ends when the test says so."""

    def __init__(self) -> None:
        self.begun = False
        self.left: tuple[str, ...] = ()

    def begin(self) -> None:
        self.begun = True

    def pending(self) -> tuple[str, ...]:
        return self.left


@dataclass
class Stand:
    """A main window, and what stands around it."""

    window: MainWindow
    hypervisor: MemoryHypervisor
    dialogs: RecordingDialogs
    watcher: MemoryWatcher
    shutdown: EndedShutdown
    lab: MemoryLab | None = None
    pages: dict[str, RecordingPage] = field(default_factory=dict)

    @property
    def tree(self) -> Any:
        return self.window.tree.tree

    def row(self, kind: ItemKind, id_: str | None = None, vm_id: str | None = None) -> str:
        """The row id of an item that has a row."""
        return self.window.tree.rows.iids[item(kind, id_, vm_id)]

    def vm_names(self) -> list[str]:
        """Names of the VMs that the tree shows, from the top."""
        found: list[str] = []

        def walk(parent: str) -> None:
            for row in self.tree.get_children(parent):
                if self.window.tree.rows.items.get(row) and self.window.tree.rows.items[row].kind is ItemKind.VM:
                    found.append(self.window.tree.rows.whole_text(row))
                walk(row)

        walk("")
        return found

    def select(self, *vms: str) -> None:
        self.window.select(Selection(tuple(item(ItemKind.VM, v) for v in vms)))


def open_stand(
    root: tk.Tk,
    theme: Theme,
    dispatcher: Dispatcher,
    until: Callable[..., None],
    *,
    inventory: Inventory | None = None,
    lab: bool = False,
    prepare: Callable[[Any], None] | None = None,
    answering: bool = True,
) -> Stand:
    """The window, connected and drawn. ``prepare`` gets the services before the window is made; a server that is not
    ``answering`` is still to be waited for."""
    hypervisor = MemoryHypervisor(inventory or sample_inventory())
    if not answering:
        hypervisor.changed.clear()
    watcher, dialogs, shutdown = MemoryWatcher(), RecordingDialogs(), EndedShutdown()
    memory_lab: MemoryLab | None = MemoryLab() if lab else None
    controller: LabController | None = memory_lab
    services = replace(make_services(hypervisor, watcher=watcher), shutdown=shutdown, lab=controller)
    if prepare is not None:
        prepare(services)
    window = MainWindow(
        root,
        theme,
        dispatcher,
        services,
        make_dialogs=lambda shell: dialogs,
        page_classes=(RecordingPage, SnapshotsPage, MonitorPage),
    )
    stand = Stand(window, hypervisor, dialogs, watcher, shutdown, memory_lab)
    stand.pages = window.tabs._pages  # type: ignore[assignment]
    connection = services.connections.get(SERVER)
    assert connection is not None
    if answering:
        until(lambda: connection.connected and bool(window.tree.rows.forest.vm_count()), "the first inventory")
    until(lambda: window.greeting.done, "the first selection")
    return stand


def close_stand(stand: Stand, until: Callable[..., None]) -> None:
    """Close the connection and stop the window; the widgets go with the root's children."""
    services = stand.window.services
    services.connections.close()
    until(lambda: not services.connections.alive(), "the connection's threads")
    stand.window.stop()
    del stand.window.root.report_callback_exception


def with_refusals(inventory: Inventory, refusals: Mapping[str, Mapping[Any, str]]) -> Inventory:
    """The inventory with these VMs refusing some verbs."""
    vms = {
        key: replace(vm, refusals=dict(refusals[vm.id])) if vm.id in refusals else vm
        for key, vm in inventory.vms.items()
    }
    return replace(inventory, vms=vms)


def key_of(vm: str) -> VmKey:
    return VmKey(SERVER, ObjectId(vm))
