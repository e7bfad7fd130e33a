"""Work on the server: followed to its end, cancelled when asked, and honest when the end cannot be known."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from hvconsole.backends.base import TaskContext
from hvconsole.backends.xen_tasks import Tasks, task_result
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    AuthError,
    BadPowerState,
    HostIsSlave,
    HvError,
    NotAHypervisor,
    NotFound,
    NotSupported,
    OutcomeUnknown,
    Refused,
    SessionLost,
    TaskCancelled,
    TaskTimeout,
    Unreachable,
)


class FakeSession:
    """Hands out task records in turn; the last one stays."""

    def __init__(self, *records: Any) -> None:
        self.records = list(records)
        self.calls: list[str] = []
        self.on_cancel: Any = ""

    def call(self, method: str, *_params: Any, **_options: Any) -> Any:
        self.calls.append(method)
        if method == "task.get_record":
            record = self.records.pop(0) if len(self.records) > 1 else self.records[0]
            if isinstance(record, Exception):
                raise record
            return record
        if method == "task.cancel":
            if isinstance(self.on_cancel, Exception):
                raise self.on_cancel
            return self.on_cancel
        return "OpaqueRef:task"


def record(status: str, **fields: Any) -> dict[str, Any]:
    return {"status": status, "progress": 0.5, "allowed_operations": ["cancel"], **fields}


def run(session: FakeSession, ctx: TaskContext | None = None, **options: Any) -> Any:
    tasks = Tasks(session, SystemClock())  # type: ignore[arg-type]
    return tasks.run(ctx or TaskContext(), "VM.start", "vm", **options)


def test_result_comes_when_the_status_says_so_and_the_task_is_removed() -> None:
    session = FakeSession(record("pending"), record("pending", progress=1.0), record("success", result=""))
    assert run(session) is None
    assert session.calls[0] == "Async.VM.start"
    assert session.calls[-1] == "task.destroy"
    assert session.calls.count("Async.VM.start") == 1


def test_server_without_the_asynchronous_form() -> None:
    class Old(FakeSession):
        def call(self, method: str, *params: Any, **options: Any) -> Any:
            if method.startswith("Async."):
                self.calls.append(method)
                raise NotSupported("no", code="MESSAGE_METHOD_UNKNOWN")
            return super().call(method, *params, **options)

    session = Old()
    assert run(session) == "OpaqueRef:task"
    assert session.calls == ["Async.VM.start", "VM.start"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (None, None),
        ("<value>OpaqueRef:x</value>", "OpaqueRef:x"),
        ("OpaqueRef:x", "OpaqueRef:x"),
        ("<value><array><data><value>a</value><value>b</value></data></array></value>", ["a", "b"]),
        ("<value></value>", ""),
    ],
)
def test_results(text: object, value: object) -> None:
    assert task_result(text) == value


@pytest.mark.parametrize("text", ["<value>", "<!DOCTYPE a><value/>", "<b/>", "<"])
def test_unreadable_result_of_what_was_done(text: str) -> None:
    with pytest.raises(OutcomeUnknown):
        task_result(text)


def test_failure_is_translated_by_its_code() -> None:
    failed = record("failure", error_info=["VM_BAD_POWER_STATE", "ref", "halted", "running"])
    with pytest.raises(BadPowerState) as caught:
        run(FakeSession(failed))
    assert "running" in caught.value.user_text
    with pytest.raises(HvError):
        run(FakeSession(record("failure", error_info="junk")))


def test_cancel_is_sent_once_it_is_allowed_and_confirmed_by_the_status() -> None:
    session = FakeSession(
        record("pending", allowed_operations=[]), record("pending"), record("pending"), record("cancelled")
    )
    ctx = TaskContext()
    ctx.on_cancel(lambda: None)
    threading.Timer(0.02, ctx.cancel).start()
    with pytest.raises(TaskCancelled):
        run(session, ctx)
    assert session.calls.count("task.cancel") == 1


def test_cancelled_that_finishes_all_the_same_is_done() -> None:
    session = FakeSession(record("pending"), record("success", result="<value>x</value>"))
    ctx = TaskContext()
    threading.Timer(0.01, ctx.cancel).start()
    assert run(session, ctx) == "x"


def test_refused_cancel_is_asked_again() -> None:
    session = FakeSession(record("pending"), record("pending"), record("pending"), record("cancelled"))
    session.on_cancel = Refused("no", code="OPERATION_NOT_ALLOWED")
    ctx = TaskContext()
    threading.Timer(0.01, ctx.cancel).start()
    with pytest.raises(TaskCancelled):
        run(session, ctx)
    assert session.calls.count("task.cancel") >= 1


def test_cancelled_before_it_began_sends_nothing() -> None:
    session = FakeSession(record("pending"))
    ctx = TaskContext()
    ctx.cancel()
    with pytest.raises(TaskCancelled):
        run(session, ctx)
    assert session.calls == []


def test_cancelled_by_somebody_else() -> None:
    with pytest.raises(TaskCancelled, match="on the server"):
        run(FakeSession(record("cancelled")))


@pytest.mark.parametrize(
    "lost",
    [
        NotFound("gone", code="HANDLE_INVALID"),
        SessionLost("again"),
        "not a record",
        HostIsSlave("another is master now", master_address="10.0.0.2"),
        AuthError("the password was changed meanwhile"),
    ],
    ids=["gone", "session", "junk", "other-master", "login"],
)
def test_task_that_vanishes_leaves_the_outcome_unknown(lost: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        run(FakeSession(record("pending"), lost))


def test_server_that_is_away_for_a_moment() -> None:
    session = FakeSession(record("pending"), Unreachable("away"), Unreachable("away"), record("success", result=""))
    assert run(session) is None


def test_server_in_whose_place_something_else_answers_for_a_moment() -> None:
    session = FakeSession(record("pending"), NotAHypervisor("no XenServer", "HTTP 503"), record("success", result=""))
    assert run(session) is None


def test_server_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hvconsole.backends.xen_tasks.AWAY_LIMIT_S", 0.1)
    with pytest.raises(OutcomeUnknown):
        run(FakeSession(record("pending"), Unreachable("away")))


def test_waiting_has_a_limit() -> None:
    with pytest.raises(TaskTimeout):
        run(FakeSession(record("pending")), limit_s=0.2)


def test_close_ends_the_wait_for_a_server_that_is_away() -> None:
    session = FakeSession(record("pending"), Unreachable("away"), SessionLost("closed"))
    tasks = Tasks(session, SystemClock())  # type: ignore[arg-type]
    threading.Timer(0.1, tasks.close).start()
    started = time.monotonic()
    with pytest.raises(SessionLost):
        tasks.run(TaskContext(), "VM.start", "vm")
    assert time.monotonic() - started < 1


def test_progress_is_reported_within_its_limits() -> None:
    seen: list[float | None] = []
    session = FakeSession(
        record("pending", progress=0.25),
        record("pending", progress="junk"),
        record("pending", progress=7.0),
        record("success", result=""),
    )
    run(session, TaskContext(lambda fraction, _text: seen.append(fraction)))
    assert seen == [0.25, None, None, 1.0]
