"""The policy, as tables of what happens and what is decided, and as laws that hold for every history."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole.monitor.policy import (
    CAPTURE,
    CLOSE,
    NOTHING,
    Act,
    Context,
    Decision,
    PolicyState,
    attend,
    matters,
    observe,
)
from hvconsole.monitor.status import DEFAULT, HOLD_LABELS, PRESETS, Hold, MonitorSettings, MonitorState, RoundResult

ROUNDS = {".": RoundResult.OK, "-": RoundResult.DEGRADED, "x": RoundResult.LOST, "?": RoundResult.UNKNOWN}
SHOWN = {Act.NOTHING: " ", Act.CAPTURE: "C", Act.CLOSE: "o", Act.HOLD: "h"}


def play(rounds: str, settings: MonitorSettings = DEFAULT, context: Context | None = None) -> tuple[str, PolicyState]:
    """The decisions to a string of rounds, one character each, and the last state."""
    state = PolicyState()
    said = ""
    for number, symbol in enumerate(rounds):
        state, decision = observe(settings, state, ROUNDS[symbol], float(number), context or Context())
        said += SHOWN[decision.act]
    return said, state


@pytest.mark.parametrize(
    ("rounds", "decisions", "last"),
    [
        ("....", "    ", MonitorState.UP),
        (".x", " C", MonitorState.DOWN),
        (".xxxx", " C   ", MonitorState.DOWN),
        (".-.-", "    ", MonitorState.UP),
        (".x.", " C ", MonitorState.RECOVERING),
        (".x..", " C o", MonitorState.UP),
        (".x.x..x", " C   oC", MonitorState.DOWN),
        (".x.-.", " C  o", MonitorState.UP),
        (".x--", " C  ", MonitorState.RECOVERING),
        (".x?.?.", " C   o", MonitorState.UP),
        (".????", "     ", MonitorState.UP),
        ("xxxx", "h   ", MonitorState.LEARNING),
        ("xx.x", "h  C", MonitorState.DOWN),
        ("-x", " C", MonitorState.DOWN),
        ("?x", " h", MonitorState.LEARNING),
    ],
)
def test_default_takes_one_snapshot_per_outage(rounds: str, decisions: str, last: MonitorState) -> None:
    said, state = play(rounds)
    assert (said, state.state) == (decisions, last)


@pytest.mark.parametrize(
    ("rounds", "decisions"),
    [
        (".xx.xx.", "       "),
        (".xxx", "   C"),
        (".xx?x", "    C"),
        (".xx-xx", "      "),
        (".xxx.x..xxx", "   C   o  C"),
        ("xxx", "  h"),
    ],
)
def test_balanced_waits_for_three_lost_rounds(rounds: str, decisions: str) -> None:
    assert play(rounds, PRESETS["Balanced"])[0] == decisions


def test_classic_holds_nothing_back() -> None:
    everything = Context(running=False, holds=frozenset(HOLD_LABELS))
    assert play("x", PRESETS["Classic 2012"], everything)[0] == "C"
    assert play("?", PRESETS["Classic 2012"], everything)[0] == " "


@pytest.mark.parametrize("hold", [h for h in Hold if h not in (Hold.NEVER_ANSWERED, Hold.STATION_OFFLINE)])
def test_a_hold_is_said_once_and_lifted_by_itself(hold: Hold) -> None:
    settings = replace(DEFAULT, holds=frozenset(HOLD_LABELS))
    held = Context(holds=frozenset({hold}))
    state, _ = observe(settings, PolicyState(), RoundResult.OK, 0, held)
    state, decision = observe(settings, state, RoundResult.LOST, 1, held)
    assert decision == Decision(Act.HOLD, hold)
    state, decision = observe(settings, state, RoundResult.LOST, 2, held)
    assert decision == NOTHING
    state, decision = observe(settings, state, RoundResult.LOST, 3, Context())
    # A common cause was judged when they fell together, and stays.
    assert decision == (NOTHING if hold is Hold.COMMON_CAUSE else CAPTURE)
    assert state.state is MonitorState.DOWN


def test_the_first_reason_in_order_is_named() -> None:
    both = Context(holds=frozenset({Hold.STORM, Hold.MIGRATING}))
    state, _ = observe(DEFAULT, PolicyState(), RoundResult.OK, 0, both)
    assert observe(DEFAULT, state, RoundResult.LOST, 1, both)[1].hold is Hold.MIGRATING


def test_an_offline_station_freezes_the_state() -> None:
    offline = Context(holds=frozenset({Hold.STATION_OFFLINE}))
    settings = replace(DEFAULT, lost_rounds=2)
    up, _ = observe(settings, PolicyState(), RoundResult.OK, 0, Context())
    suspect, _ = observe(settings, up, RoundResult.LOST, 1, Context())
    for now in range(2, 20):
        frozen, decision = observe(settings, suspect, RoundResult.LOST, now, offline)
        assert frozen == suspect
        assert decision == Decision(Act.HOLD, Hold.STATION_OFFLINE)
    assert observe(settings, suspect, RoundResult.LOST, 20, Context())[1] == CAPTURE


def test_a_vm_that_stops_ends_its_outage_and_learns_again() -> None:
    stopped = Context(running=False)
    state, _ = observe(DEFAULT, PolicyState(), RoundResult.OK, 0, Context())
    state, decision = observe(DEFAULT, state, RoundResult.LOST, 1, Context())
    assert decision == CAPTURE
    state, decision = attend(DEFAULT, state, 2, stopped)
    assert (state.state, decision) == (MonitorState.PAUSED, CLOSE)
    state, decision = observe(DEFAULT, state, RoundResult.LOST, 3, stopped)
    assert (state.state, decision) == (MonitorState.PAUSED, NOTHING)
    state, decision = attend(DEFAULT, state, 4, Context())
    assert state.state is MonitorState.LEARNING
    assert observe(DEFAULT, state, RoundResult.LOST, 5, Context())[1].act is Act.HOLD


def test_since_is_the_time_of_the_last_change() -> None:
    state = PolicyState(since=5)
    for now, result in ((10, RoundResult.OK), (15, RoundResult.OK), (20, RoundResult.LOST), (25, RoundResult.LOST)):
        state, _ = observe(DEFAULT, state, result, now, Context())
    assert state.since == 20


def test_since_tells_how_long_it_has_been_suspect_or_recovering() -> None:
    settings = replace(DEFAULT, lost_rounds=4, recover_rounds=3)
    state = PolicyState()
    seen = []
    for now, symbol in enumerate(".xxxx.-."):
        state, _ = observe(settings, state, ROUNDS[symbol], float(now), Context())
        seen.append((state.state, state.since))
    assert seen[1:4] == [(MonitorState.SUSPECT, 1.0)] * 3
    assert seen[4] == (MonitorState.DOWN, 4.0)
    assert seen[5:] == [(MonitorState.RECOVERING, 5.0)] * 3


def test_a_vm_that_stops_while_it_answers_ends_no_outage() -> None:
    up, _ = observe(DEFAULT, PolicyState(), RoundResult.OK, 0, Context())
    assert attend(DEFAULT, up, 1, Context(running=False))[1] == NOTHING


def test_an_offline_station_is_no_news_to_an_outage_that_has_its_snapshot() -> None:
    up, _ = observe(DEFAULT, PolicyState(), RoundResult.OK, 0, Context())
    down, decision = observe(DEFAULT, up, RoundResult.LOST, 1, Context())
    assert decision == CAPTURE
    offline = Context(holds=frozenset({Hold.STATION_OFFLINE}))
    assert observe(DEFAULT, down, RoundResult.LOST, 2, offline) == (down, NOTHING)


def test_a_hold_that_is_lifted_is_not_shown_beside_the_snapshot() -> None:
    migrating = Context(holds=frozenset({Hold.MIGRATING}))
    state, _ = observe(DEFAULT, PolicyState(), RoundResult.OK, 0, Context())
    state, _ = observe(DEFAULT, state, RoundResult.LOST, 1, migrating)
    assert state.hold is Hold.MIGRATING
    state, decision = observe(DEFAULT, state, RoundResult.LOST, 2, Context())
    assert (state.hold, decision) == (None, CAPTURE)


def test_a_long_outage_wakes_nobody_once_its_snapshot_is_decided() -> None:
    _, up = play(".")
    _, down = play(".x")
    assert RoundResult.LOST not in matters(down)
    assert RoundResult.OK not in matters(up)


# ---- laws ----------------------------------------------------------------------------------------------------

results = st.sampled_from(list(RoundResult))
contexts = st.builds(Context, running=st.booleans(), holds=st.frozensets(st.sampled_from(list(Hold))))
settings_ = st.builds(
    MonitorSettings,
    lost_rounds=st.integers(1, 4),
    recover_rounds=st.integers(1, 4),
    holds=st.frozensets(st.sampled_from(list(HOLD_LABELS))),
)
histories = st.lists(st.tuples(results, contexts), max_size=60)


@given(settings_, histories)
def test_laws(settings: MonitorSettings, history: list[tuple[RoundResult, Context]]) -> None:
    state = PolicyState()
    in_outage_captured = False
    answered = False
    lost_in_a_row = 0
    good_since_loss = 0
    for now, (result, context) in enumerate(history):
        before = state
        state, decision = observe(settings, state, result, float(now), context)
        paused = state.state is MonitorState.PAUSED
        if paused:
            answered = False
            lost_in_a_row = 0
        if result is RoundResult.UNKNOWN and not paused and before.state is not MonitorState.PAUSED:
            assert (state, decision) == (before, NOTHING)
        if result in (RoundResult.OK, RoundResult.DEGRADED) and not paused:
            answered = True
            lost_in_a_row = 0
            good_since_loss += result is RoundResult.OK
        offline = Hold.STATION_OFFLINE in context.holds & settings.holds
        if result is RoundResult.LOST and not paused and not offline:
            lost_in_a_row += 1
            good_since_loss = 0
        if decision.act is Act.CAPTURE:
            assert result is RoundResult.LOST
            assert not in_outage_captured, "two snapshots in one outage"
            assert answered or Hold.NEVER_ANSWERED not in settings.holds
            assert not context.holds & (settings.holds - {Hold.NEVER_ANSWERED})
            assert not context.holds & {Hold.SERVER_AWAY, Hold.NO_JOURNAL}
            assert context.running or Hold.NOT_RUNNING not in settings.holds
            in_outage_captured = True
        if decision.act is Act.CLOSE:
            assert paused or good_since_loss >= settings.recover_rounds
            in_outage_captured = False
        if decision.act is Act.HOLD:
            assert decision.hold is not None
        assert in_outage_captured == (state.asked and state.in_outage)


@given(settings_, histories)
def test_the_thread_may_sleep_through_rounds_that_do_not_matter(
    settings: MonitorSettings, history: list[tuple[RoundResult, Context]]
) -> None:
    state = PolicyState()
    for now, (result, context) in enumerate(history):
        state, _ = attend(settings, state, float(now), context)
        following, decision = observe(settings, state, result, float(now), context)
        if result not in matters(state):
            assert decision == NOTHING
            assert replace(following, lost=state.lost) == state
        state = following
