"""What an automatic snapshot is called and what its description says: why it was taken. Pure; any thread."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from hvconsole.model import AUTOMATIC_MARK
from hvconsole.monitor.status import MonitorSettings, Round
from hvconsole.outages import Outage
from hvconsole.text import safe_text

ROUNDS_TOLD = 12
"""How many of the last rounds the description lists."""


def snapshot_name(prefix: str, now: dt.datetime) -> str:
    """ "Network_Down 2026-11-23 07:30:15Z": prefix and UTC time."""
    return f"{prefix} {now.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}Z"


def describe(outage: Outage, settings: MonitorSettings, address: str, rounds: Iterable[Round], station: str) -> str:
    """The description: the mark on its first line, then the evidence. Only characters that can be sent."""
    held = ", ".join(str(hold) for hold in sorted(settings.holds)) or "nothing"
    lines = [
        AUTOMATIC_MARK,
        f"{safe_text(outage.vm_name)} lost its network at {_time(outage.opened)} UTC: no reply from "
        f"{safe_text(address)}.",
        f"Rule: {settings.lost_rounds} lost round(s) of {settings.pings} pings, every {settings.interval_s:g} s, "
        f"{settings.timeout_s:g} s each; held back by: {held}.",
        f"Watched by hvconsole on {safe_text(station)}. Outage {outage.id}.",
        "Last rounds, newest first:",
    ]
    for one in list(rounds)[-ROUNDS_TOLD:][::-1]:
        times = ", ".join("no reply" if rtt is None else f"{rtt:.1f} ms" for rtt in one.rtts_ms)
        lines.append(f"{_time(one.when)}  {one.result}  {times}  {safe_text(one.note)}".rstrip())
    return "\n".join(lines)


def _time(when: dt.datetime) -> str:
    return f"{when.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}"
