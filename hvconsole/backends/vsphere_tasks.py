"""Tasks of the server: start one, follow its ``info.*`` by the property collector, cancel it, learn how it ended.

The thread of the verb waits here; several at once. ``task.info`` is never read as a whole: it can hold types that
the client does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hvconsole.backends.base import TaskContext
from hvconsole.backends.vsphere_api import FAULTS, vim, vmodl
from hvconsole.backends.vsphere_errors import translate
from hvconsole.backends.vsphere_query import retrieve, retrieve_spec
from hvconsole.backends.vsphere_records import Reader, Readers, Record, number, word
from hvconsole.backends.vsphere_session import Session
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    BadReply,
    HvError,
    NotFound,
    OutcomeUnknown,
    Refused,
    SessionLost,
    TaskCancelled,
    TaskTimeout,
    Unreachable,
)

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
LOST_S = 60.0
"""How long a task is looked for again after the connection broke, before its outcome is called unknown."""
TASK_S = 24 * 3600.0
"""Longest task that is waited for."""
GUEST_S = 300.0
"""How long a guest may take to do what it was asked."""

# What is waited for happens on the server, so the real time counts.
_clock = SystemClock()

_TASK: dict[str, dict[str, Reader]] = {
    "Task": {"info.state": word, "info.progress": number, "info.result": word, "info.descriptionId": word}
}


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task at one moment. ``result`` is the id of the object that it made, if any."""

    state: str
    progress: int | None
    result: str


def run_task(
    session: Session, ctx: TaskContext, start: Callable[[], Any], *, cancellable: bool = True, lost_s: float = LOST_S
) -> str:
    """Call ``start`` once (it returns a Task) and wait until the server says that it is done.

    Returns the id of the task's result, or "". Raises what the server reported, ``TaskCancelled`` when it was
    cancelled, ``OutcomeUnknown`` when neither can be learnt any more.
    """
    ctx.raise_if_cancelled()
    task = session.write(start)
    if task is None:
        raise BadReply("The server accepted it but named no task to follow.")
    return wait_task(session, ctx, task._moId, cancellable=cancellable, lost_s=lost_s)


def wait_task(
    session: Session, ctx: TaskContext, task_id: str, *, cancellable: bool = True, lost_s: float = LOST_S
) -> str:
    """Follow a task to its end. ``lost_s``: how long the server may be away meanwhile. Raises as ``run_task``."""
    begun = _clock.monotonic()
    answered = begun
    pause_s = FIRST_PAUSE_S
    asked_to_stop = not cancellable
    while True:
        try:
            state = task_state(session, task_id)
            answered = _clock.monotonic()
        except NotFound as exc:
            raise OutcomeUnknown("The server forgot the task before it said how it ended.", exc.detail) from exc
        except (Unreachable, SessionLost, BadReply) as exc:
            if session.closing or _clock.monotonic() - answered > lost_s:
                raise OutcomeUnknown(
                    "The connection was lost while the server was at it. It may have happened.", exc.user_text
                ) from exc
            state = None
        if state is not None:
            if state.state == "success":
                return state.result
            if state.state == "error":
                raise _ended_badly(session, task_id, cancelled=ctx.cancelled and cancellable)
            ctx.progress(None if state.progress is None else state.progress / 100)
        if ctx.cancelled and not asked_to_stop:
            asked_to_stop = True
            _cancel(session, task_id)
            pause_s = FIRST_PAUSE_S
        if _clock.monotonic() - begun > TASK_S:
            raise TaskTimeout("The server is still at it after a day; hvconsole no longer waits.")
        pause(ctx, pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)


def pause(ctx: TaskContext, seconds: float) -> None:
    """Wait a moment; a cancel shortens the first wait, not those after it (the end is still to be seen)."""
    if not ctx.cancelled:
        ctx.wait(seconds)
    else:
        TaskContext().wait(seconds)


def task_state(session: Session, task_id: str) -> TaskState:
    """How a task stands. Raises ``HvError``."""
    records = read_records(session, [("Task", task_id)], _TASK)
    if not records:
        raise NotFound("The server doesn't know the task any more.")
    record = records[0]
    return TaskState(record.get("info.state", ""), record.get("info.progress"), record.get("info.result", ""))


def read_records(session: Session, objects: list[tuple[str, str]], readers: Readers) -> list[Record]:
    """``vsphere_query.retrieve`` with one new login where needed and our errors."""
    return _read(session, lambda: retrieve(session, objects, readers))


def read_spec(session: Session, spec: Any, readers: Readers) -> list[Record]:
    """``vsphere_query.retrieve_spec`` with one new login where needed and our errors."""
    return _read(session, lambda: retrieve_spec(session, spec, readers))


def _read(session: Session, ask: Callable[[], list[Record]]) -> list[Record]:
    logins = session.logins
    try:
        try:
            return ask()
        except vim.fault.NotAuthenticated:
            session.log_in_again(logins)
            return ask()
    except FAULTS as fault:
        raise translate(fault) from fault


def _ended_badly(session: Session, task_id: str, *, cancelled: bool) -> HvError:
    error = fault_of(session, session.object(vim.Task, task_id), "info.error")
    if isinstance(error, TaskCancelled):
        return error if cancelled else TaskCancelled("Somebody else cancelled it on the server.", error.detail)
    return error


def fault_of(session: Session, subject: Any, path: str) -> HvError:
    """The fault that an object (a task, a lease) carries in a property, as our error."""
    collector = session.content.propertyCollector
    query = vmodl.query.PropertyCollector
    spec = query.FilterSpec(
        objectSet=[query.ObjectSpec(obj=subject, skip=False)],
        propSet=[query.PropertySpec(type=type(subject), pathSet=[path], all=False)],
    )
    try:
        found = session.read(lambda: collector.RetrievePropertiesEx([spec], query.RetrieveOptions()))
        fault = found.objects[0].propSet[0].val
    except (HvError, AttributeError, IndexError):
        log.warning("the fault of a failed task could not be read", exc_info=True)
        return Refused("The server failed to do it.")
    if not isinstance(fault, Exception):
        return Refused("The server failed to do it.", str(fault)[:200])
    error = translate(fault)
    session.notice(error)
    return error


def _cancel(session: Session, task_id: str) -> None:
    try:
        session.write(session.object(vim.Task, task_id).CancelTask)
    except HvError as exc:
        # Not every task can be cancelled; then it runs to its end and the verb with it.
        log.info("the server doesn't cancel the task: %s", exc.user_text)


def wait_for_guest(ctx: TaskContext, happened: Callable[[], bool], what: str, limit_s: float = GUEST_S) -> bool:
    """Wait until the guest did what it was asked; there is no task for it. False after ``limit_s``.

    Raises ``TaskCancelled`` when cancelled: the guest goes on, but nobody waits for it.
    """
    begun = _clock.monotonic()
    pause_s = FIRST_PAUSE_S
    ctx.progress(None, what)
    while not happened():
        if _clock.monotonic() - begun > limit_s:
            return False
        if ctx.wait(pause_s):
            raise TaskCancelled("No longer waited for; the guest has been asked and may still do it.")
        pause_s = min(LONGEST_PAUSE_S, pause_s * 1.5)
    return True
