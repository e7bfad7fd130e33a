"""This computer's own absence, judged from rounds that may come late and out of order."""

from __future__ import annotations

from hvconsole.clock import SystemClock
from hvconsole.monitor.station import Station


def test_a_round_judged_late_does_not_announce_a_second_absence() -> None:
    news: list[bool] = []
    station = Station(SystemClock(), news.append)
    assert station.offline(100.0, 90.0, ask_tcp=False)
    station.answered(110.0)
    assert news == [True, False]
    # lost while we were away, waiting in its VM's queue until now
    assert station.offline(105.0, 90.0, ask_tcp=False)
    assert news == [True, False]
    assert station.offline_since is None
    # a loss that began after we were back is the VM's own
    assert not station.offline(111.0, 112.0, ask_tcp=False)


def test_an_absence_after_the_return_is_announced_again() -> None:
    news: list[bool] = []
    station = Station(SystemClock(), news.append)
    station.offline(100.0, 90.0, ask_tcp=False)
    station.answered(110.0)
    assert station.offline(120.0, 115.0, ask_tcp=False)
    assert news == [True, False, True]
