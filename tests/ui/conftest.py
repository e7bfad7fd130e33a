"""One Tk for the whole session, a screen to show it on, and no error that goes unnoticed."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import queue
import select
import shutil
import subprocess
import threading
import time
import tkinter as tk
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hvconsole.clock import SystemClock
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.theme import Theme
from tests.ui.shell_stage import Stand, close_stand, open_stand

SCREEN = "1600x1000x24"
Until = Callable[..., None]


def _start_xvfb() -> tuple[subprocess.Popen[bytes], str] | None:
    """A screen of our own; None where there is no Xvfb."""
    program = shutil.which("Xvfb")
    if program is None:
        return None
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", SCREEN, "-dpi", "96", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        ready, _, _ = select.select([answer], [], [], 20)
        number = answer.readline().strip().decode() if ready else ""
    if not number:
        server.kill()
        server.wait()
        return None
    return server, f":{number}"


@pytest.fixture
def own_display() -> Iterator[str]:
    """A screen that no other window is on; without Xvfb the test skips, but not in CI."""
    started = _start_xvfb()
    if started is None:
        reason = "Xvfb is not installed: what the pointer does to the keyboard is NOT tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    server, name = started
    yield name
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of an X display. Without DISPLAY an Xvfb is started; without that tests skip, but not in CI."""
    given = os.environ.get("DISPLAY")
    if given:
        yield given
        return
    started = _start_xvfb()
    if started is None:
        reason = "no screen: neither DISPLAY nor Xvfb is there, the window is NOT tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    server, name = started
    os.environ["DISPLAY"] = name
    yield name
    os.environ.pop("DISPLAY", None)
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="session")
def tk_root(display: str) -> Iterator[tk.Tk]:
    """The only Tk of this process: a second one, or a dropped one, ends in a crash sooner or later."""
    root = tk.Tk(className="Hvconsole")
    root.geometry("1280x800+0+0")
    yield root
    for ident in root.tk.splitlist(root.tk.call("after", "info")):
        root.tk.call("after", "cancel", ident)
    root.update_idletasks()
    with contextlib.suppress(tk.TclError):  # Pmw may have deleted a command of the window's already
        root.destroy()


@pytest.fixture(scope="session")
def session_theme(tk_root: tk.Tk) -> Theme:
    return Theme(tk_root, "light", 1.0)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_for_others() -> Iterator[None]:
    """What the tests of a module leave is collected here, not by a thread of some later test."""
    yield
    gc.collect()


@pytest.fixture
def theme(session_theme: Theme) -> Iterator[Theme]:
    """The theme, light at the beginning of each test."""
    session_theme.set_mode("light")
    yield session_theme
    session_theme.set_mode("light")


@pytest.fixture
def root(tk_root: tk.Tk, theme: Theme) -> Iterator[tk.Tk]:
    """The root window, shown and empty; what a test puts in goes with it."""
    for ident in tk_root.tk.splitlist(tk_root.tk.call("after", "info")):
        tk_root.tk.call("after", "cancel", ident)  # after_cancel would delete a command that its widget still owns
    tk_root.deiconify()
    tk_root.minsize(1, 1)
    tk_root.geometry("1280x800+0+0")
    tk_root.update()
    before = set(tk_root.winfo_children())
    yield tk_root
    for ident in tk_root.tk.splitlist(tk_root.tk.call("after", "info")):
        tk_root.tk.call("after", "cancel", ident)  # after_cancel would delete a command that its widget still owns
    # Tk 8.6 may keep the focus of widgets that go, and crash over it at the next focus_force: see take_keyboard
    tk_root.focus_force()
    tk_root.update()
    for child in set(tk_root.winfo_children()) - before:
        if child.winfo_exists():
            child.destroy()
    for sequence in tk_root.bind():
        tk_root.unbind(sequence)
    tk_root.update()


@pytest.fixture
def dispatcher(root: tk.Tk) -> Iterator[Dispatcher]:
    """A running dispatcher."""
    made = Dispatcher(root, SystemClock())
    made.start()
    yield made
    made.stop()


@pytest.fixture
def until(root: tk.Tk, dispatcher: Dispatcher) -> Until:
    """``until(condition)`` pumps the window until the condition is true; fails after a time limit."""

    def until(condition: Callable[[], bool], what: str = "the condition", timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while True:
            root.update()
            answer = condition()
            assert isinstance(answer, bool), "a condition must answer True or False"
            if answer:
                return
            left = end - time.monotonic()
            if left <= 0:
                pytest.fail(f"waited {timeout_s:g} s for {what}")
            dispatcher.run_pending(wait_s=min(0.02, left))  # waits at the queue, not by the clock

    return until


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.put(record)


@pytest.fixture(autouse=True)
def nothing_swallowed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Errors in Tk callbacks, in threads and in the log fail the test; so do threads left behind."""
    errors: list[BaseException | None] = []

    def in_callback(_self: tk.Tk, _kind: Any, value: BaseException, _trace: Any) -> None:
        errors.append(value)

    monkeypatch.setattr(tk.Tk, "report_callback_exception", in_callback)
    monkeypatch.setattr(threading, "excepthook", lambda args: errors.append(args.exc_value))
    handler = _Errors()
    logging.getLogger().addHandler(handler)
    before = set(threading.enumerate())
    thresholds = gc.get_threshold()
    gc.set_threshold(0)  # no thread but this one may collect what belongs to Tk
    yield
    gc.collect(1)
    gc.set_threshold(*thresholds)
    logging.getLogger().removeHandler(handler)
    late = [thread for thread in threading.enumerate() if thread not in before]
    for thread in late:
        thread.join(3)
    for error in errors:
        if error is not None:
            raise error
    if "expects_errors" not in request.keywords:
        logged = []
        while not handler.records.empty():
            logged.append(handler.records.get().getMessage())
        assert not logged, f"errors were logged: {logged}"
    left = [thread.name for thread in late if thread.is_alive()]
    assert not left, f"threads left running: {left}"


@pytest.fixture
def stand(root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until) -> Iterator[Stand]:
    """The whole window on a server in memory."""
    made = open_stand(root, theme, dispatcher, until)
    yield made
    close_stand(made, until)
