"""From any thread to the Tk thread: order, coalescing, budget, errors, and being called too early or too late."""

from __future__ import annotations

import threading
import tkinter as tk
from collections.abc import Callable
from typing import Any

import pytest

from hvconsole.clock import SystemClock
from hvconsole.ui.dispatcher import BUDGET_S, Dispatcher


class StepClock(SystemClock):
    """Every look at the clock costs a fixed time."""

    def __init__(self, step_s: float) -> None:
        super().__init__()
        self.now_s = 0.0
        self.step_s = step_s

    def monotonic(self) -> float:
        self.now_s += self.step_s
        return self.now_s


def test_messages_from_a_thread_run_in_the_tk_thread_in_order(
    dispatcher: Dispatcher, until: Callable[..., None]
) -> None:
    seen: list[tuple[int, int]] = []

    def work() -> None:
        for n in range(100):
            dispatcher.post(lambda n=n: seen.append((n, threading.get_ident())))  # type: ignore[misc]

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: len(seen) == 100)
    thread.join()
    assert seen == [(n, threading.get_ident()) for n in range(100)]


def test_only_the_newest_of_one_key_runs(root: tk.Tk) -> None:
    dispatcher = Dispatcher(root, SystemClock())
    seen: list[str] = []
    for n in range(1000):
        dispatcher.post_latest("vm", lambda n=n: seen.append(f"vm {n}"))  # type: ignore[misc]
        dispatcher.post_latest("host", lambda n=n: seen.append(f"host {n}"))  # type: ignore[misc]
    while dispatcher.run_pending():
        pass
    assert seen == ["vm 999", "host 999"]
    dispatcher.post_latest("vm", lambda: seen.append("again"))
    dispatcher.run_pending()
    assert seen[-1] == "again"


def test_a_flood_is_taken_in_portions_of_the_budget(root: tk.Tk) -> None:
    dispatcher = Dispatcher(root, StepClock(BUDGET_S / 10))
    done: list[int] = []
    for n in range(100):
        dispatcher.post(lambda n=n: done.append(n))  # type: ignore[misc]
    assert dispatcher.run_pending() is True
    assert 0 < len(done) < 20
    while dispatcher.run_pending():
        pass
    assert done == list(range(100))


def test_an_error_in_one_message_is_reported_and_does_not_stop_the_next(
    root: tk.Tk, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = Dispatcher(root, SystemClock())
    reported: list[BaseException] = []
    seen: list[str] = []

    def report(_self: tk.Tk, _kind: Any, value: BaseException, _trace: Any) -> None:
        reported.append(value)

    monkeypatch.setattr(tk.Tk, "report_callback_exception", report)
    dispatcher.post(lambda: 1 / 0)
    dispatcher.post(lambda: seen.append("next"))
    dispatcher.run_pending()
    assert [type(e) for e in reported] == [ZeroDivisionError]
    assert seen == ["next"]


def test_messages_flow_on_while_one_of_them_waits_in_a_dialog(
    root: tk.Tk, dispatcher: Dispatcher, until: Callable[..., None]
) -> None:
    window = tk.Toplevel(root)
    seen: list[str] = []

    def open_dialog() -> None:
        dispatcher.post(lambda: seen.append("inside"))
        dispatcher.post(window.destroy)
        root.wait_window(window)
        seen.append("after")

    dispatcher.post(open_dialog)
    until(lambda: "after" in seen)
    assert seen == ["inside", "after"]


def test_other_threads_may_not_empty_the_queue(root: tk.Tk) -> None:
    dispatcher = Dispatcher(root, SystemClock())
    errors: list[BaseException] = []

    def work() -> None:
        try:
            dispatcher.run_pending()
        except RuntimeError as exc:
            errors.append(exc)

    thread = threading.Thread(target=work, name="intruder")
    thread.start()
    thread.join()
    assert "intruder" in str(errors[0])


def test_posting_after_the_end_hurts_nobody(root: tk.Tk) -> None:
    dispatcher = Dispatcher(root, SystemClock())
    dispatcher.start()
    dispatcher.stop()
    dispatcher.post(lambda: pytest.fail("must not run"))
    dispatcher.post_latest("x", lambda: pytest.fail("must not run"))
    root.update()
