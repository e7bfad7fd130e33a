"""The monitor's state in words and pictures: what table, cards and charts have in common. Pure; any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hvconsole.monitor.status import (
    MonitorSettings,
    MonitorState,
    MonitorStatus,
    Round,
    RoundResult,
    preset_of,
)
from hvconsole.outages import CaptureState
from hvconsole.text import format_duration
from hvconsole.ui.charts import Beat, Colours, Dot, format_ms
from hvconsole.ui.theme import Theme
from hvconsole.ui.wording import count

STATE_WORDS: Mapping[MonitorState, str] = {
    MonitorState.OFF: "Off",
    MonitorState.PAUSED: "Paused",
    MonitorState.LEARNING: "No answer yet",
    MonitorState.UP: "Answers",
    MonitorState.SUSPECT: "Losing pings",
    MonitorState.DOWN: "Down",
    MonitorState.RECOVERING: "Recovering",
}
STATE_ICONS: Mapping[MonitorState, tuple[str, str]] = {
    MonitorState.OFF: ("circle-stop", "off"),
    MonitorState.PAUSED: ("circle-pause", "off"),
    MonitorState.LEARNING: ("loader", "info"),
    MonitorState.UP: ("circle-check", "ok"),
    MonitorState.SUSPECT: ("triangle-alert", "warn"),
    MonitorState.DOWN: ("circle-alert", "bad"),
    MonitorState.RECOVERING: ("activity", "warn"),
}
"""Icon and token of its colour."""
CAPTURE_WORDS: Mapping[CaptureState, str] = {
    CaptureState.INTENT: "snapshot decided",
    CaptureState.SENT: "snapshot being taken",
    CaptureState.DONE: "snapshot taken",
    CaptureState.FAILED: "snapshot failed",
    CaptureState.UNKNOWN: "snapshot not confirmed",
    CaptureState.HELD: "snapshot held back",
}


def beat(one: Round) -> Beat:
    """A round as a sparkline draws it."""
    known = [rtt for rtt in one.rtts_ms if rtt is not None]
    rtt = min(known) if known and one.result in (RoundResult.OK, RoundResult.DEGRADED) else None
    return Beat(Dot(one.result.value), rtt)


def beats(rounds: Sequence[Round]) -> list[Beat]:
    """Rounds as a sparkline draws them."""
    return [beat(one) for one in rounds]


def chart_colours(theme: Theme, ground: str = "surface") -> Colours:
    """The theme's colours for a chart on ``ground``."""
    return Colours(
        surface=theme.color(ground),
        grid=theme.color("grid"),
        line=theme.color("series1"),
        faint=theme.color("faint"),
        warn=theme.color("warn"),
        bad=theme.color("bad"),
    )


def rtt_words(status: MonitorStatus) -> str:
    """The last round-trip time; "no reply" after a lost round, an em dash where the last round says nothing."""
    if status.last_rtt_ms is not None:
        return format_ms(status.last_rtt_ms)
    if status.rounds and status.rounds[-1].result is RoundResult.LOST:
        return "no reply"
    return "—"


def state_words(status: MonitorStatus) -> str:
    """State, and for an outage what became of its snapshot."""
    words = STATE_WORDS[status.state]
    if status.outage is not None and status.state in (MonitorState.DOWN, MonitorState.RECOVERING):
        words = f"{words}, {CAPTURE_WORDS[status.outage.state]}"
    return words


def setting_words(settings: MonitorSettings) -> str:
    """ "At once · 5 s": the preset, or how many lost rounds; and how often a round begins."""
    preset = preset_of(settings)
    judgement = preset or f"after {count(settings.lost_rounds, 'lost round')}"
    return f"{judgement} · {settings.interval_s:g} s"


def fired_words(status: MonitorStatus) -> str:
    """How often the present setting, and the presets beside it, would have fired since the tick."""
    if not status.rounds_total:
        return "No rounds yet."
    span = format_duration(status.rounds_total * status.settings.interval_s)
    if status.average_rtt_ms is None and status.last_rtt_ms is None:
        # rounds without any answer would all count as lost, but none of them is judged
        return f"In {count(status.rounds_total, 'round')} ({span}) it has never answered: nothing fires before it does."
    present = status.settings.lost_rounds
    times = status.would_have_fired.get(present, 0)
    often = {0: "would never have fired", 1: "would have fired once"}.get(times, f"would have fired {times:,} times")
    text = f"In {count(status.rounds_total, 'round')} ({span}) this setting {often}"
    others = [
        f"{'never' if n == 0 else f'{n:,} ×'} with {count(rounds, 'lost round')}"
        for rounds, n in sorted(status.would_have_fired.items())
        if rounds != present
    ]
    return text + (f"; {', '.join(others)}." if others else ".")
