"""This computer's own absence, judged from rounds that may come late and out of order."""

from __future__ import annotations

import socket

import pytest

from hvconsole.clock import SystemClock
from hvconsole.monitor.station import Station
from tests.monitor.stage import HandEngine


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


def test_a_round_that_began_before_we_were_back_says_nothing_though_somebody_answered_since() -> None:
    station = Station(SystemClock(), lambda offline: None)
    station.offline(100.0, 90.0, ask_tcp=False)
    station.answered(110.0)
    assert station.offline(105.0, 111.0, ask_tcp=False)
    assert not station.offline(112.0, 113.0, ask_tcp=False)


def test_an_answer_of_before_the_absence_does_not_end_it() -> None:
    news: list[bool] = []
    station = Station(SystemClock(), news.append)
    station.offline(100.0, 90.0, ask_tcp=False)
    station.answered(95.0)
    assert news == [True]
    assert station.offline_since == 100.0


@pytest.mark.parametrize(
    ("answer", "offline"),
    [(None, False), (ConnectionRefusedError(111, "refused"), False), (TimeoutError("silent"), True)],
)
def test_a_hypervisor_that_answers_by_tcp_shows_that_we_are_online(
    monkeypatch: pytest.MonkeyPatch, answer: OSError | None, offline: bool
) -> None:
    """Many networks drop pings to the hypervisors, and all VMs may be behind the one switch that failed."""
    asked: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        if answer is not None:
            raise answer
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    station = Station(SystemClock(), lambda offline: None)
    engine = HandEngine(lambda trouble: None, lambda sinks: None)
    station.set_witnesses(engine, ["10.0.0.1"], [("127.0.0.1", 443), ("10.0.0.2", 5985)], virtual=False)
    assert engine.addresses() == {"10.0.0.1", "10.0.0.2"}, "this computer itself proves nothing"
    assert station.offline(100.0, 90.0, ask_tcp=True) is offline
    # where this server listens, not where most do: a Windows firewall drops everything else
    assert asked == [("10.0.0.2", 5985)]


class Later(SystemClock):
    """A clock that the test takes forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


def test_a_gateway_that_vanishes_with_our_own_network_is_still_missed() -> None:
    """Pull this computer's cable: its default route goes, and no name is found any more."""
    clock = Later()
    station = Station(clock, lambda offline: None)
    engine = HandEngine(lambda trouble: None, lambda sinks: None)
    station.set_witnesses(engine, ["10.0.0.1"], [("10.0.0.2", 443)], virtual=False)
    station.set_witnesses(engine, [], [], virtual=False)
    assert engine.addresses() == {"10.0.0.1", "10.0.0.2"}
    station.offline(100.0, 90.0, ask_tcp=False)
    clock.ahead_s = 86_400.0
    station.set_witnesses(engine, [], [], virtual=False)
    assert engine.addresses() == {"10.0.0.1", "10.0.0.2"}
    # Back in another network.
    station.set_witnesses(engine, ["192.168.7.1"], [("10.0.0.2", 443)], virtual=False)
    station.answered(110.0)
    station.set_witnesses(engine, ["192.168.7.1"], [("10.0.0.2", 443)], virtual=False)
    assert engine.addresses() == {"192.168.7.1", "10.0.0.2"}
