"""From "the user asked for it" to jobs: who can, who can't and why, the questions, the arguments, the hard way out.

Used by menus, toolbar, keyboard and pages alike. Tk thread; nothing blocks but the modal dialogs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hvconsole.connection import Connection, Connections
from hvconsole.errors import HvError, ToolsMissing
from hvconsole.events import JobState
from hvconsole.jobs import Job
from hvconsole.model import ObjectId, Verb
from hvconsole.operation import Operation, Scope
from hvconsole.operations import SERVER_OBJECT, operation
from hvconsole.text import safe_text
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.interfaces import Dialogs, Item, ItemKind, Selection, Subject

ASKED_FIRST = 500
"""How many selected objects are asked whether an entry is grey."""
_SELECT_FIRST = {
    Scope.VM: "Select a VM first.",
    Scope.SNAPSHOT: "Select a VM or a snapshot first.",
    Scope.HOST: "Select a host first.",
    Scope.SERVER: "Select a server first.",
}


@dataclass(frozen=True, slots=True)
class Target:
    """One object that an operation would be done to."""

    subject: Subject
    object_id: ObjectId

    @property
    def connection(self) -> Connection:
        """The server that is asked."""
        return self.subject.connection


def targets(op: Operation, subjects: Iterable[Subject]) -> Iterator[Target]:
    """What ``op`` would be done to, out of what is selected; objects of the wrong kind are left out."""
    servers: set[object] = set()
    for subject in subjects:
        item = subject.item
        if op.scope is Scope.SERVER:
            if item.server_id not in servers:
                servers.add(item.server_id)
                server = Subject(Item(ItemKind.SERVER, item.server_id), subject.connection)
                yield Target(server, SERVER_OBJECT)
        elif op.scope is Scope.HOST and subject.host is not None:
            yield Target(subject, subject.host.id)
        elif op.scope is Scope.VM and subject.vm is not None and subject.snapshot is None:
            yield Target(subject, subject.vm.id)
        elif op.scope is Scope.SNAPSHOT and subject.vm is not None:
            yield Target(subject, subject.vm.id)


class Runner:
    """Runs operations on selections."""

    def __init__(
        self,
        connections: Connections,
        dialogs: Callable[[], Dialogs],
        dispatcher: Dispatcher,
        status: Callable[[str], None],
    ) -> None:
        self._connections = connections
        self._dialogs = dialogs
        self._dispatcher = dispatcher
        self._status = status

    def why_not(self, verb: Verb, selection: Selection) -> str | None:
        """One sentence why nothing of the selection can do it now, or None if some of it may be tried."""
        op = operation(verb)
        reason: str | None = None
        for number, target in enumerate(targets(op, selection.each(self._connections))):
            if number == ASKED_FIRST:
                return None  # too many to ask at every turn: it may be tried, and tells then
            found = target.connection.why_not(verb, target.object_id)
            if found is None:
                return None
            reason = reason or found
        return reason or _SELECT_FIRST[op.scope]

    def run(self, verb: Verb, selection: Selection, arguments: Mapping[str, object] | None = None) -> None:
        """Ask what must be asked, then submit one job for each of those able."""
        op = operation(verb)
        chosen = list(targets(op, selection.each(self._connections)))
        if not chosen:
            self._status(f"{op.label}: {_SELECT_FIRST[op.scope]}")
            return
        able: list[Target] = []
        refused: list[tuple[str, str]] = []
        for target in chosen:
            reason = target.connection.why_not(verb, target.object_id)
            if reason is None:
                able.append(target)
            else:
                refused.append((target.subject.name, reason))
        if refused and len(chosen) == 1:
            self._status(f"{op.label}: {refused[0][1]}")
            return
        subjects = [target.subject for target in able]
        if refused and not self._dialogs().several_refused(op, subjects, refused):
            return
        if not able:
            return
        given = arguments
        if given is None and op.asks:
            given = self._dialogs().ask_arguments(op, subjects)
            if given is None:
                return
        elif op.question is not None and not self._dialogs().confirm(op.question, op, subjects):
            return
        self.submit(op, able, given or {})

    def submit(
        self, op: Operation, able: Sequence[Target], arguments: Mapping[str, object], *, insist: bool = False
    ) -> None:
        """Submit without asking; offers the hard variant if guests turn out to have no tools."""
        batch = _Batch(len(able), lambda failed: self._dispatcher.post(lambda: self._offer_hard(op, failed)))
        for target in able:
            job = target.connection.submit(
                op.verb, target.object_id, self._own_arguments(op, target, arguments), insist=insist
            )
            job.when_finished(batch.watcher(target))
        name = safe_text(able[0].subject.name, 60)
        self._status(f"{op.doing}: {name}" if len(able) == 1 else f"{op.doing}: {len(able)} selected")

    def _own_arguments(self, op: Operation, target: Target, arguments: Mapping[str, object]) -> dict[str, object]:
        """With several selected snapshots each job gets its own one."""
        own = dict(arguments)
        if op.scope is Scope.SNAPSHOT and target.subject.snapshot is not None:
            own["snapshot"] = target.subject.snapshot.id
        return own

    def _offer_hard(self, op: Operation, failed: Sequence[tuple[Target, HvError]]) -> None:
        if op.hard is None or not failed:
            return
        hard = operation(op.hard)
        usable = [t for t, _ in failed if hard.needs in t.connection.capabilities]
        error = failed[0][1]
        if len(failed) > 1:
            names = "\n".join(f"{safe_text(t.subject.name, 80)}: {e.user_text}" for t, e in failed)
            error = ToolsMissing(f"{len(failed)} guests can't be asked: their tools don't work.", names)
        title = f"{op.label}: {safe_text(failed[0][0].subject.name, 60)}" if len(failed) == 1 else op.label
        if self._dialogs().error(title, error, hard if usable else None) and usable:
            self.submit(hard, usable, {}, insist=True)


class _Batch:
    """Waits for several jobs and tells once which of them failed for missing tools. Called in job threads."""

    def __init__(self, count: int, finished: Callable[[list[tuple[Target, HvError]]], None]) -> None:
        self._lock = threading.Lock()
        self._left = count
        self._failed: list[tuple[Target, HvError]] = []
        self._finished = finished

    def watcher(self, target: Target) -> Callable[[Job], None]:
        """The listener for one target's job."""

        def heard(job: Job) -> None:
            error = job.view.error
            with self._lock:
                if job.view.state is JobState.FAILED and isinstance(error, ToolsMissing):
                    self._failed.append((target, error))
                self._left -= 1
                done = self._left == 0 and bool(self._failed)
            if done:
                self._finished(self._failed)

        return heard
