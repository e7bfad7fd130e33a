"""The history for the time of one command: what happens in it is recorded as if the window had done it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from hvconsole.clock import Clock
from hvconsole.events import Hub, Notice
from hvconsole.history import History
from hvconsole.model import ServerId
from hvconsole.settings import history_path

CLOSE_LIMIT_S = 10.0


@contextlib.contextmanager
def recorded(hub: Hub, clock: Clock, server_name: Callable[[ServerId], str]) -> Iterator[History]:
    """A running history that listens to ``hub``; trouble with it is said on stderr and stops nothing."""

    def say(notice: Notice) -> None:
        if notice.text:
            print(notice.text, file=sys.stderr)

    history = History(history_path(), hub, clock)
    ends = [hub.subscribe(Notice, say), history.subscribe(hub, server_name)]
    history.start()
    try:
        yield history
    finally:
        for end in ends:
            end()
        history.close(CLOSE_LIMIT_S)
