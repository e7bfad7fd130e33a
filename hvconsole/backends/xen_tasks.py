"""``Async.*`` calls: start a task on the server, follow it to its end, cancel it when asked.

Blocks; worker threads, any number at once. What counts is the task's status alone: progress reaches 1 earlier.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from hvconsole.backends import xen_fields as f
from hvconsole.backends.base import TaskContext
from hvconsole.backends.wire_calls import ACTION, CallLimits
from hvconsole.backends.xen_decode import ReplyDecoder
from hvconsole.backends.xen_errors import translate_failure
from hvconsole.backends.xen_session import XenSession
from hvconsole.clock import Clock
from hvconsole.errors import (
    BadReply,
    Busy,
    ConnectError,
    HvError,
    NotAHypervisor,
    NotFound,
    NotSupported,
    OperationError,
    OutcomeUnknown,
    SessionLost,
    TaskCancelled,
    TaskTimeout,
    Unreachable,
)

log = logging.getLogger(__name__)

TASK_LIMIT_S = 3600.0
"""How long we wait for most verbs; a clean shutdown alone may take 20 minutes."""
LONG_TASK_LIMIT_S = 86_400.0
"""For migrations, copies, exports: xapi itself forgets tasks after a day."""
AWAY_LIMIT_S = 60.0
"""How long the server may be unreachable while we follow a task."""
_FIRST_PAUSE_S = 0.05
_LAST_PAUSE_S = 0.5


class TaskForgotten(OutcomeUnknown):
    """The task is gone: its server restarted its toolstack, or removed it after its end."""


class Tasks:
    """Runs asynchronous calls of one session."""

    def __init__(self, session: XenSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._closed = threading.Event()
        self._subjects: dict[str, str] = {}

    def subjects(self) -> dict[str, str]:
        """Tasks that we follow now → reference of what they work on. Any thread."""
        return dict(self._subjects)

    def close(self) -> None:
        """End the pauses of all who follow a task. Any thread."""
        self._closed.set()

    def run(self, ctx: TaskContext, method: str, *params: object, limit_s: float = TASK_LIMIT_S) -> Any:
        """Call ``Async.<method>`` once and return its result when the server says that it is done.

        Raises what the server refused, ``TaskCancelled``, ``TaskTimeout``, ``OutcomeUnknown``.
        """
        ctx.raise_if_cancelled()
        try:
            task = self._session.call(f"Async.{method}", *params, write=True)
        except NotSupported as exc:
            if exc.code != "MESSAGE_METHOD_UNKNOWN":
                raise
            # Nothing was done yet. Simulators know some calls only without a task; then there is no cancel.
            limits = CallLimits(total_s=limit_s, stall_s=limit_s, reply_bytes=1 << 20, elements=10_000)
            return self._session.call(method, *params, limits=limits, write=True)
        if not isinstance(task, str):
            raise OutcomeUnknown("The server started the work but didn't say which task it is.")
        self._subjects[task] = str(params[0]) if params else ""
        try:
            return self.follow(ctx, task, limit_s=limit_s)
        finally:
            self._subjects.pop(task, None)

    def follow(self, ctx: TaskContext, task: str, *, limit_s: float = TASK_LIMIT_S) -> Any:
        """Wait for the end of ``task``, report progress, and remove it from the server. Raises as ``run``."""
        end = self._clock.monotonic() + limit_s
        pause = _FIRST_PAUSE_S
        cancel_sent = False
        while True:
            record = self._read(ctx, task)
            status = f.text(record, "status").lower()
            if status in ("success", "failure", "cancelled"):
                break
            ctx.progress(_fraction(record))
            if ctx.cancelled and not cancel_sent:
                cancel_sent = self._cancel(task, record)
            if self._clock.monotonic() > end:
                raise TaskTimeout("We stopped waiting; the server may still be working on it.")
            # A cancelled context no longer waits.
            if self._closed.is_set() or not ctx.cancelled:
                ctx.wait(pause)
            else:
                self._closed.wait(pause)
            pause = min(_LAST_PAUSE_S, pause * 1.6)
        self.forget(task)
        if status == "success":
            ctx.progress(1.0)
            return task_result(record.get("result"))
        if status == "cancelled":
            raise TaskCancelled("Cancelled." if ctx.cancelled else "The task was cancelled on the server.")
        raise translate_failure(record.get("error_info"))

    def create(self, label: str) -> str:
        """A task of our own, for an HTTP transfer to report into. Remove it with ``forget``."""
        task = self._session.call("task.create", label, "", write=True)
        if not isinstance(task, str):
            raise BadReply("The server's answer is not a task.")
        return task

    def forget(self, task: str) -> None:
        """Remove a finished task from the server. Never raises for what the server says."""
        try:
            self._session.call("task.destroy", task, write=True)
        except HvError:
            log.debug("task could not be removed", exc_info=True)

    def cancel(self, task: str) -> None:
        """Ask the server to cancel ``task``, whatever it says. Never raises."""
        self._cancel(task, {"allowed_operations": ["cancel"]})

    def _read(self, ctx: TaskContext, task: str) -> Mapping[str, Any]:
        """The task's record, waiting while the server is away for a moment."""
        away_until: float | None = None
        while True:
            try:
                record = self._session.call("task.get_record", task)
            except (Unreachable, NotAHypervisor) as exc:
                # while a toolstack restarts, something else may answer in its place
                now = self._clock.monotonic()
                away_until = away_until or now + AWAY_LIMIT_S
                if now > away_until:
                    raise OutcomeUnknown(
                        "The server went away while it worked on it. It may have happened.", exc.detail
                    ) from exc
                self._closed.wait(_LAST_PAUSE_S)
                continue
            except BadReply as exc:
                raise OutcomeUnknown(
                    "The server's word about its task can't be read. It may have happened.", exc.detail
                ) from exc
            except NotFound as exc:
                raise TaskForgotten("The server forgot the task. It may have happened.", exc.detail) from exc
            except (SessionLost, ConnectError) as exc:
                if self._closed.is_set():
                    raise
                raise OutcomeUnknown(
                    "The connection ended while the server worked on it. It may have happened.", exc.detail
                ) from exc
            if not isinstance(record, dict):
                raise OutcomeUnknown("The server's task can't be read. It may have happened.")
            return record

    def _cancel(self, task: str, record: Mapping[str, Any]) -> bool:
        """Whether the server took the request; if not now, it is asked again later."""
        if "allowed_operations" in record and "cancel" not in f.strings(record, "allowed_operations"):
            return False
        try:
            self._session.call("task.cancel", task, limits=ACTION, write=True)
        except (OperationError, Busy):
            return False
        except HvError:
            log.debug("cancel was not confirmed", exc_info=True)
        return True


def task_result(result: object) -> Any:
    """What a task's ``result`` text holds: "" for nothing, XML for a value, or a bare reference (XenServer 6.5)."""
    if not isinstance(result, str) or not result:
        return None
    if not result.startswith("<"):
        return result
    decoder = ReplyDecoder(elements=10_000)
    try:
        decoder.feed(f"<params><param>{result}</param></params>".encode())
        return decoder.close()
    except Exception as exc:  # any junk in a result: the work itself succeeded
        raise OutcomeUnknown("It was done, but the server's result can't be read.", result[:200]) from exc


def _fraction(record: Mapping[str, Any]) -> float | None:
    progress = record.get("progress")
    if isinstance(progress, int | float) and not isinstance(progress, bool) and 0 <= progress <= 1:
        return float(progress)
    return None
