"""The monitor's judgement: a pure function of settings, state, one round, time and circumstances.

::

    LEARNING ──answer──▶ UP ──lost──▶ SUSPECT ──lost × lost_rounds──▶ DOWN ──answer──▶ RECOVERING ─┐
       ▲                 ▲ ▲──answer─────┘   (UP → DOWN at once when lost_rounds is 1)  ◀──lost──┘    │
       │                 └────────────────────────good × recover_rounds──────────────────────────────┘
       └── runs again ── PAUSED ◀── not running, from every state

An outage begins on entering DOWN and ends on leaving RECOVERING upwards (or when the VM stops). Within one outage
``CAPTURE`` is decided at most once. A held outage is looked at again with every further lost round, so that a
migration that took the network away for good still ends in a snapshot. ``UNKNOWN`` rounds change nothing, ever.
Nothing here has a thread, a clock or a lock.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from hvconsole.monitor.status import Hold, MonitorSettings, MonitorState, RoundResult


class Act(enum.Enum):
    """What is to be done after a round."""

    NOTHING = enum.auto()
    CAPTURE = enum.auto()
    """Take the snapshot of this outage, now."""
    HOLD = enum.auto()
    """It would be due, but ``Decision.hold`` keeps it back."""
    CLOSE = enum.auto()
    """The outage is over."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``hold`` is set with ``HOLD`` only."""

    act: Act = Act.NOTHING
    hold: Hold | None = None


NOTHING = Decision()
CAPTURE = Decision(Act.CAPTURE)
CLOSE = Decision(Act.CLOSE)

UNSWITCHABLE = frozenset({Hold.SERVER_AWAY, Hold.NO_JOURNAL})
"""Holds without a setting: no snapshot is possible, or none that a crash could not double."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances of one round. ``holds``: everything that applies now, whatever the settings say of it."""

    running: bool = True
    holds: frozenset[Hold] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """What the policy remembers of one VM. ``since`` is in seconds of the caller's monotonic clock."""

    state: MonitorState = MonitorState.LEARNING
    since: float = 0.0
    lost: int = 0
    """Lost rounds in a row."""
    good: int = 0
    """Good rounds since the outage."""
    asked: bool = False
    """The snapshot of the present outage was decided."""
    hold: Hold | None = None
    """What holds it back."""

    @property
    def in_outage(self) -> bool:
        """True from the decision that the network is gone until it is re-armed."""
        return self.state in (MonitorState.DOWN, MonitorState.RECOVERING)


def attend(settings: MonitorSettings, state: PolicyState, now: float, context: Context) -> tuple[PolicyState, Decision]:
    """The circumstances changed, without a round: pause a VM that does not run, let it learn when it runs again."""
    stopped = not context.running and Hold.NOT_RUNNING in settings.holds
    if stopped and state.state is not MonitorState.PAUSED:
        return PolicyState(state=MonitorState.PAUSED, since=now), CLOSE if state.in_outage else NOTHING
    if not stopped and state.state is MonitorState.PAUSED:
        return PolicyState(state=MonitorState.LEARNING, since=now), NOTHING
    return state, NOTHING


def observe(
    settings: MonitorSettings, state: PolicyState, sample: RoundResult, now: float, context: Context
) -> tuple[PolicyState, Decision]:
    """One finished round: the next state, and what is to be done."""
    state, decision = attend(settings, state, now, context)
    if decision is not NOTHING or state.state is MonitorState.PAUSED or sample is RoundResult.UNKNOWN:
        return state, decision
    if sample is RoundResult.LOST:
        return _lost(settings, state, now, context)
    return _answered(settings, state, sample, now)


def _answered(
    settings: MonitorSettings, state: PolicyState, sample: RoundResult, now: float
) -> tuple[PolicyState, Decision]:
    if not state.in_outage:
        if state.state is MonitorState.UP:
            return state, NOTHING
        return PolicyState(state=MonitorState.UP, since=now), NOTHING
    # A degraded round is an answer, but not a good one: it neither re-arms nor throws back.
    good = state.good + (sample is RoundResult.OK)
    if good >= settings.recover_rounds:
        return PolicyState(state=MonitorState.UP, since=now), CLOSE
    since = state.since if state.state is MonitorState.RECOVERING else now
    return replace(state, state=MonitorState.RECOVERING, since=since, lost=0, good=good), NOTHING


def _lost(settings: MonitorSettings, state: PolicyState, now: float, context: Context) -> tuple[PolicyState, Decision]:
    active = settings.holds | UNSWITCHABLE
    if Hold.STATION_OFFLINE in context.holds and Hold.STATION_OFFLINE in active:
        # Silence of everything says nothing about this VM: as if the round had never been.
        return state, NOTHING if state.asked else Decision(Act.HOLD, Hold.STATION_OFFLINE)
    lost = state.lost + 1
    if state.state is MonitorState.LEARNING and Hold.NEVER_ANSWERED in active:
        if lost < settings.lost_rounds or state.hold is Hold.NEVER_ANSWERED:
            return replace(state, lost=lost), NOTHING
        return replace(state, lost=lost, hold=Hold.NEVER_ANSWERED), Decision(Act.HOLD, Hold.NEVER_ANSWERED)
    if not state.in_outage and lost < settings.lost_rounds:
        if state.state is MonitorState.LEARNING:
            return replace(state, lost=lost), NOTHING
        since = state.since if state.state is MonitorState.SUSPECT else now
        return replace(state, state=MonitorState.SUSPECT, since=since, lost=lost), NOTHING
    since = state.since if state.state is MonitorState.DOWN else now
    down = replace(state, state=MonitorState.DOWN, since=since, lost=lost, good=0)
    if state.asked:
        return down, NOTHING
    hold = _first_hold(state, context, active)
    if hold is None:
        return replace(down, asked=True, hold=None), CAPTURE
    return replace(down, hold=hold), Decision(Act.HOLD, hold) if hold is not state.hold else NOTHING


def _first_hold(state: PolicyState, context: Context, active: frozenset[Hold]) -> Hold | None:
    if state.in_outage and state.hold is Hold.COMMON_CAUSE and Hold.COMMON_CAUSE in active:
        # Judged when they fell together; a minute later the same outage no longer looks common.
        return Hold.COMMON_CAUSE
    # Hold.NEVER_ANSWERED belongs to LEARNING alone, which has already been dealt with.
    return next((h for h in Hold if h in context.holds and h in active and h is not Hold.NEVER_ANSWERED), None)


def matters(state: PolicyState) -> frozenset[RoundResult]:
    """Rounds that can change ``state`` or lead to an act: the VM's thread need not wake for others."""
    return _MATTERS_ASKED if state.asked and state.state is MonitorState.DOWN else _MATTERS[state.state]


_ALL = frozenset({RoundResult.OK, RoundResult.DEGRADED, RoundResult.LOST})
_MATTERS_ASKED = _ALL - {RoundResult.LOST}
_MATTERS: dict[MonitorState, frozenset[RoundResult]] = {
    MonitorState.OFF: frozenset(),
    MonitorState.PAUSED: frozenset(),
    MonitorState.LEARNING: _ALL,
    MonitorState.UP: frozenset({RoundResult.LOST}),
    MonitorState.SUSPECT: _ALL,
    MonitorState.DOWN: _ALL,
    MonitorState.RECOVERING: _ALL,
}
