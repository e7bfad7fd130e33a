"""The history for the time of one command: what happens in it is recorded as if the window had done it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from hvconsole.cli.output import Printer
from hvconsole.clock import Clock
from hvconsole.events import Hub, Notice
from hvconsole.history import History
from hvconsole.model import ServerId
from hvconsole.settings import history_path
from hvconsole.text import safe_lines

CLOSE_LIMIT_S = 10.0


@contextlib.contextmanager
def recorded(hub: Hub, clock: Clock, server_name: Callable[[ServerId], str]) -> Iterator[History]:
    """A running history that listens to ``hub``; trouble with it is said on stderr, once, and stops nothing."""
    printer = Printer()
    lock = threading.Lock()
    said: dict[str, str] = {}

    def say(notice: Notice) -> None:
        with lock:
            news = notice.text and said.get(notice.key) != notice.text
            said[notice.key] = notice.text
        if news:
            printer.error(safe_lines(notice.text))

    history = History(history_path(), hub, clock)
    end_saying, end_recording = hub.subscribe(Notice, say), history.subscribe(hub, server_name)
    history.start()
    try:
        yield history
    finally:
        end_recording()
        history.close(CLOSE_LIMIT_S)  # a quick command ends before the file is open: trouble comes up here
        end_saying()
