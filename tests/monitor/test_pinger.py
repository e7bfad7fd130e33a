"""One VM's pings: what is kept of its rounds, what they add up to, and which of them wake its thread."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvconsole.monitor import frames
from hvconsole.monitor.pinger import STATION_SENTENCE, Pinger, Sample
from hvconsole.monitor.status import DEFAULT, ROUNDS_KEPT, RoundResult
from tests.monitor.stage import CLOCK, HandEngine, key

ADDRESS = "10.0.0.5"


class Story:
    """A pinger on an engine without packets."""

    def __init__(self) -> None:
        self.engine = HandEngine(lambda trouble: None, lambda sinks: None)
        self.woken: list[Sample] = []
        self.pinger = Pinger(key("web"), self.engine, CLOCK, self.woken.append)
        self.begin = CLOCK.monotonic()
        self.count = 0
        self.pinger.aim(ADDRESS, DEFAULT)

    def rounds(self, results: str, heard: float = 0.0) -> None:
        """ "." ok, "-" degraded, "x" lost, "?" unknown: one every five seconds."""
        for symbol in results:
            self.engine.round(ADDRESS, ".-x?".index(symbol), start=self.begin + 5 * self.count, heard=heard)
            self.count += 1

    def kept(self) -> str:
        symbols = {"ok": ".", "degraded": "-", "lost": "x", "unknown": "?"}
        return "".join(symbols[one.result] for one in self.pinger.rounds())


@pytest.fixture
def story() -> Story:
    return Story()


def test_the_last_sixty_rounds_are_kept_in_order(story: Story) -> None:
    story.rounds("x" * 5 + "." * (ROUNDS_KEPT - 1) + "-")
    assert story.kept() == "." * (ROUNDS_KEPT - 1) + "-"
    assert story.pinger.rounds_total == ROUNDS_KEPT + 5
    times = [one.when for one in story.pinger.rounds()]
    assert times == sorted(times)
    assert round((times[-1] - times[0]).total_seconds()) == 5 * (ROUNDS_KEPT - 1)
    seen = story.pinger.rounds()
    assert seen[-1] == seen[ROUNDS_KEPT - 1] == seen[-2:][1]
    with pytest.raises(IndexError):
        seen[ROUNDS_KEPT]


def test_loss_and_times_are_of_rounds_that_say_something(story: Story) -> None:
    assert story.pinger.figures().loss_fraction is None
    story.rounds("..-x")
    figures = story.pinger.figures()
    assert figures.loss_fraction == pytest.approx(3 / 8)
    assert figures.last_rtt_ms is None
    assert figures.average_rtt_ms == pytest.approx((1.0 + 1.2 + 1.0 + 1.2 + 1.0) / 5)
    story.rounds("????.")
    figures = story.pinger.figures()
    assert figures.loss_fraction == pytest.approx(3 / 10)
    assert figures.last_rtt_ms == pytest.approx(1.0)


def test_how_often_each_setting_would_have_fired(story: Story) -> None:
    story.pinger.aim(ADDRESS, replace(DEFAULT, lost_rounds=2))
    story.rounds(".x.xx.xx?x.")
    assert story.pinger.would_have_fired == {1: 3, 2: 2, 3: 1, 6: 0}


def test_rounds_that_this_computer_lost_would_have_fired_nothing(story: Story) -> None:
    story.rounds("xxx", heard=story.begin - 30)
    assert story.pinger.would_have_fired[1] == 0


def test_a_void_round_says_whose_fault_it_was_and_counts_as_no_loss(story: Story) -> None:
    story.rounds(".x.")
    story.pinger.void(story.begin + 5)
    assert story.kept() == ".?."
    assert story.pinger.rounds()[1].note == STATION_SENTENCE
    assert story.pinger.figures().loss_fraction == 0.0


def test_only_rounds_of_interest_wake_the_vms_thread(story: Story) -> None:
    story.pinger.interest = frozenset({frames.LOST})
    story.rounds(".-?x.")
    assert [sample.result for sample in story.woken] == [RoundResult.LOST]


def test_a_late_round_of_an_address_that_was_left_is_not_the_new_ones(story: Story) -> None:
    (before,) = story.engine.pings.values()
    story.pinger.aim("10.0.0.6", DEFAULT)
    story.engine.pings[before.slot] = before
    story.rounds("x")
    assert story.kept() == ""
    assert story.pinger.address == "10.0.0.6"


def test_aiming_at_the_same_again_does_not_disturb_the_schedule(story: Story) -> None:
    (before,) = story.engine.pings
    story.pinger.aim(ADDRESS, replace(DEFAULT, keep=9, prefix="Down"))
    assert [*story.engine.pings] == [before]
    story.pinger.aim(ADDRESS, replace(DEFAULT, interval_s=9.0))
    assert [*story.engine.pings] != [before]


def test_an_engine_that_stops_makes_one_round_that_says_so(story: Story) -> None:
    story.rounds(".")
    story.pinger.interrupted(CLOCK.monotonic(), "The ping engine stopped.")
    assert story.kept() == ".?"
    assert story.pinger.rounds()[-1].note == "The ping engine stopped."
    story.pinger.stop()
    story.pinger.interrupted(CLOCK.monotonic(), "Again.")
    assert story.kept() == ".?"
