"""Ctrl-C, SIGTERM and a closed terminal as an event, so that commands and the window end in order. Main thread."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def until_signalled(then: Callable[[], object] = lambda: None) -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set; a second one of them has its usual effect. Restored afterwards.

    ``then`` is called as well, between any two steps of the main thread: it must only leave a message.
    """
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # ignored: under nohup
        before[hangup] = signal.getsignal(hangup)

    def handler(number: int, _frame: object) -> None:
        stop.set()
        then()
        for each, old in before.items():
            signal.signal(each, old)

    for number in before:
        signal.signal(number, handler)
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)
