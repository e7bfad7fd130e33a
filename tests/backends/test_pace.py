"""Servers that answer the question for changes at once, every time, do not keep this computer busy."""

from __future__ import annotations

import threading

from hvconsole.backends.pace import Pace
from hvconsole.clock import SystemClock


class Standing(SystemClock):
    """Time passes only by waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.at += seconds
        return stop.is_set()


def test_a_burst_passes_and_then_so_many_a_second() -> None:
    clock = Standing()
    pace = Pace(clock, burst=10, per_s=5.0)
    began, asked = clock.at, 0
    while clock.at - began < 20:
        clock.wait(threading.Event(), pace.pause_s())
        asked += 1
    assert 10 + 20 * 5 <= asked <= 10 + 20 * 5 + 2


def test_after_a_quiet_time_everything_passes_again() -> None:
    clock = Standing()
    pace = Pace(clock, burst=10, per_s=5.0)
    for _ in range(50):
        pace.pause_s()
    clock.at += 60
    assert [pace.pause_s() for _ in range(10)] == [0.0] * 10


def test_waits_that_others_ended_early_do_not_add_up() -> None:
    pace = Pace(Standing(), burst=1, per_s=5.0)
    assert max(pace.pause_s() for _ in range(1000)) == 0.2
