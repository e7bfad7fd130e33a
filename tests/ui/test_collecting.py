"""No worker ever finalises what belongs to Tk."""

from __future__ import annotations

import gc
import threading
import tkinter as tk
from collections.abc import Callable, Iterator

import pytest

from hvconsole.ui.collecting import LOOK_MS, OLDER_EVERY, OLDEST_MS, Collecting

pytestmark = pytest.mark.display


class Cycle:
    """Garbage that only the collector finds, and that says which thread found it."""

    found_in: list[int] = []  # noqa: RUF012 - shared on purpose

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Cycle.found_in.append(threading.get_ident())


@pytest.fixture
def collecting(root: tk.Tk) -> Iterator[Collecting]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    made = Collecting(root)
    made.start()
    yield made
    made.stop()
    assert gc.get_threshold() == (700, 10, 10)
    gc.set_threshold(*before)


def test_a_busy_worker_does_not_collect_but_the_tk_thread_does(
    collecting: Collecting, until: Callable[..., None]
) -> None:
    Cycle.found_in.clear()
    Cycle()

    def work() -> None:
        gc.enable()  # as code that paused the collector does
        for _ in range(200):
            [[] for _ in range(1000)]

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert Cycle.found_in == []
    kept = [[] for _ in range(5000)]  # type: ignore[var-annotated]
    until(lambda: Cycle.found_in == [threading.get_ident()])
    del kept


def test_everything_is_collected_now_and_then_but_not_often(collecting: Collecting) -> None:
    collecting._since_oldest_ms = OLDEST_MS
    due = [collecting._generation() for _ in range(2 * OLDER_EVERY * OLDER_EVERY)]
    assert due.count(2) == 1, "the second time it is too early"
    assert due.count(1) == 2 * OLDER_EVERY - 1
    assert LOOK_MS < OLDEST_MS
