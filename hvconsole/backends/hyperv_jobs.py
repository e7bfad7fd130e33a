"""Jobs: waiting for them by their own reference, progress, cancel, and why they failed.

Jobs are of several sibling classes; only the reference that the host returned finds them all. A job that is gone, or
whose host is away for too long, has an unknown outcome: nothing is asked for again. Any worker thread.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hvconsole import errors
from hvconsole.backends import wmi_instance
from hvconsole.backends.base import TaskContext
from hvconsole.backends.wsman import WsmanClient
from hvconsole.backends.wsman_envelope import Epr, Parameter
from hvconsole.backends.wsman_faults import JOB_STARTED, check_return
from hvconsole.backends.wsman_reply import Record
from hvconsole.clock import Clock
from hvconsole.errors import BadReply, HvError, NotFound, OutcomeUnknown, SessionLost, TaskCancelled, Unreachable

log = logging.getLogger(__name__)

FINAL = frozenset({7, 8, 9, 10, 32768})
SUCCESS = frozenset({7, 32768})
TERMINATED, KILLED = 8, 9
_TERMINATE, _KILL = 4, 5

FIRST_POLL_S, LONGEST_POLL_S = 0.1, 2.0
AWAY_S = 60.0
"""How long a host may be away in the middle of a job before its outcome counts as unknown."""

_HRESULT = re.compile(r"0x([0-9A-Fa-f]{8})")
_BY_HRESULT: Mapping[int, tuple[type[errors.OperationError], str]] = {
    0x80070005: (errors.PermissionDenied, "The host's own account may not do that, for instance with that folder."),
    0x8007000E: (errors.NoSpace, "The host has not enough memory."),
    0x80070020: (errors.Busy, "A file that is needed is in use by something else."),
    0x80070027: (errors.NoSpace, "The volume on the host is full."),
    0x80070070: (errors.NoSpace, "The volume on the host is full."),
    0x80070002: (errors.NotFound, "The host can't find a file that is needed."),
    0x80070003: (errors.NotFound, "The host can't find a folder that is needed."),
    0x8009030E: (
        errors.PermissionDenied,
        "The host may not log in to the other machine for you: that needs Kerberos with delegation, or CredSSP.",
    ),
}


class Jobs:
    """Calls methods and waits for the jobs they start."""

    def __init__(self, client: WsmanClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: set[threading.Event] = set()
        self._closed = False

    def close(self) -> None:
        """Wake everybody who waits; they end with ``SessionLost``."""
        with self._lock:
            self._closed = True
            waiting = list(self._waiting)
        for wake in waiting:
            wake.set()

    @contextmanager
    def waking(self, ctx: TaskContext) -> Iterator[threading.Event]:
        """An event that is set when the user cancels or the connection is closed."""
        wake = threading.Event()
        with self._lock:
            self._waiting.add(wake)
            closed = self._closed
        ctx.on_cancel(wake.set)
        if closed:
            wake.set()
        try:
            yield wake
        finally:
            with self._lock:
                self._waiting.discard(wake)

    def pause(self, wake: threading.Event, seconds: float) -> None:
        """Wait; raises ``SessionLost`` once closed."""
        self._clock.wait(wake, seconds)
        if self._closed:
            raise SessionLost("The connection was closed.")

    def run(
        self,
        target: Epr,
        method: str,
        parameters: Mapping[str, Parameter],
        ctx: TaskContext,
        doing: str,
        special: Mapping[int, errors.OperationError] | None = None,
    ) -> Record:
        """Call a method, wait for its job if it started one; the out-parameters.

        ``doing``: "deleting the checkpoint". ``special``: return values with a meaning of their own.
        """
        value, output = self._client.invoke(target, method, parameters, ctx)
        check_return(value, special=special)
        if value == JOB_STARTED:
            job = output.reference("Job")
            if job is None:
                raise OutcomeUnknown(f"The host started working ({doing}) but didn't say how to follow it.")
            self.wait(job, ctx, doing)
        return output

    def wait(self, job: Epr, ctx: TaskContext, doing: str) -> Record:
        """Follow a job to its end. Raises the error it failed with, ``TaskCancelled``, ``OutcomeUnknown``."""
        pause = FIRST_POLL_S
        away_since: float | None = None
        asked = False
        with self.waking(ctx) as wake:
            while True:
                try:
                    record = self._client.get(job)
                    away_since = None
                except NotFound as exc:
                    raise OutcomeUnknown(f"The host has forgotten how it went ({doing}).", exc.detail) from exc
                except (Unreachable, BadReply) as exc:
                    now = self._clock.monotonic()
                    away_since = now if away_since is None else away_since
                    if now - away_since > AWAY_S:
                        raise OutcomeUnknown(f"The host went away in the middle ({doing}).", exc.detail) from exc
                    record = None
                if record is not None:
                    state = record.number("JobState")
                    if state in FINAL:
                        return self._ended(record, job, state, doing, asked=asked)
                    percent = record.number("PercentComplete")
                    ctx.progress(None if percent is None else percent / 100, doing)
                    if ctx.cancelled and not asked and record.flag("Cancellable") is not False:
                        asked = self._cancel(job)
                if ctx.cancelled:
                    wake.clear()  # cancelled once is enough; from now on this only paces the questions
                self.pause(wake, pause)
                pause = min(LONGEST_POLL_S, pause * 1.5)

    def _cancel(self, job: Epr) -> bool:
        """Ask the host to end a job; True if it agreed to try."""
        for wanted in (_TERMINATE, _KILL):
            try:
                value, _output = self._client.invoke(job, "RequestStateChange", {"RequestedState": wanted})
            except (HvError, AssertionError) as exc:
                log.info("a job could not be cancelled: %s", exc)
                return False
            if value in (0, JOB_STARTED):
                return True
        return False

    def _ended(self, record: Record, job: Epr, state: int | None, doing: str, *, asked: bool) -> Record:
        code = record.number("ErrorCode") or 0
        if state in SUCCESS and code == 0:
            return record
        if asked or state in (TERMINATED, KILLED):
            raise TaskCancelled(f"Cancelled ({doing}).", record.text("ErrorDescription"))
        raise self._error(code, self._texts(record, job), doing)

    def _texts(self, record: Record, job: Epr) -> str:
        texts: list[str] = []
        try:
            _value, output = self._client.call(job, "GetErrorEx", {})
            for text in output.texts("Errors")[:10]:
                _name, values = wmi_instance.read(text)
                texts.append(" ".join(values.get("message", ())))
        except HvError as exc:
            log.info("the host doesn't tell more about a failed job: %s", exc)
        found = [text for text in texts if text]
        return "\n".join(found) or record.text("ErrorDescription") or record.text("ErrorSummaryDescription")

    @staticmethod
    def _error(code: int, detail: str, doing: str) -> HvError:
        for digits in _HRESULT.findall(detail):
            known = _BY_HRESULT.get(int(digits, 16))
            if known is not None:
                return known[0](known[1], detail, code=f"0x{digits}")
        try:
            check_return(code if code not in (0, JOB_STARTED) else 32768, detail)
        except errors.OperationError as exc:
            if code in (0, 32768):
                exc.user_text = f"The host reports that it failed ({doing})."
            return exc
        raise AssertionError
