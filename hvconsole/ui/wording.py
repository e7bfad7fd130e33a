"""Times, states and small phrases as people read them. Pure; any thread."""

from __future__ import annotations

import datetime as dt

from hvconsole.text import format_duration, safe_text


def _here(when: dt.datetime) -> dt.datetime:
    """In this computer's time zone; at the ends of the calendar, which zones can cross, as it is. Certificates without
    an end say 9999-12-31T23:59:59Z."""
    try:
        return when.astimezone()
    except (OverflowError, ValueError, OSError):
        return when


def local_time(when: dt.datetime | None, *, seconds: bool = False) -> str:
    """A moment in this computer's time zone: "2026-11-21 23:10"; empty for None."""
    if when is None:
        return ""
    return _here(when).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def near_time(when: dt.datetime | None, now: dt.datetime) -> str:
    """A moment, short when it is near: "today 10:41", "yesterday 23:10", else the date; an em dash for None."""
    if when is None:
        return "—"
    there, here = _here(when), _here(now)
    days = (here.date() - there.date()).days
    if days == 0:
        return f"today {there:%H:%M}"
    if days == 1:
        return f"yesterday {there:%H:%M}"
    return f"{there:%Y-%m-%d %H:%M}"


def ago(when: dt.datetime | None, now: dt.datetime) -> str:
    """How long ago: "12 s ago"; empty for None."""
    if when is None:
        return ""
    return f"{format_duration(max(0.0, (now - when).total_seconds()))} ago"


def uptime(started: dt.datetime | None, now: dt.datetime) -> str:
    """How long something has been up: "41 days"; an em dash where not known."""
    if started is None:
        return "—"
    return format_duration(max(0.0, (now - started).total_seconds()))


def operation_words(name: str, limit: int = 40) -> str:
    """What a server calls an operation in progress, as words that are safe to show: "clean_reboot" → "clean reboot"."""
    return safe_text(name.replace("_", " "), limit)


def count(number: int, one: str, many: str = "") -> str:
    """ "1 VM", "3 VMs"; ``many`` for irregular plurals."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(fraction: float | None) -> str:
    """ "37 %"; one decimal below ten per cent unless it is zero."""
    if fraction is None:
        return "—"
    value = fraction * 100
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.1f} %"


def listed(names: list[str], limit: int = 6) -> str:
    """ "a, b and c"; "a, b, c and 12 more" for long lists."""
    if len(names) > limit:
        return ", ".join(names[:limit]) + f" and {len(names) - limit} more"
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + " and " + names[-1]
