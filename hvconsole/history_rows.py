"""The rows of the history and how they are kept: as SQLite stores them, as CSV shows them, as filters find them.

Pure: any thread.
"""

from __future__ import annotations

import csv
import datetime as dt
import getpass
import io
import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hvconsole.errors import InvalidInput
from hvconsole.events import Happened, JobChanged, JobState
from hvconsole.model import ObjectId, ServerId, Verb
from hvconsole.outages import CaptureState, Outage
from hvconsole.text import safe_lines

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

log = logging.getLogger(__name__)

LONGEST_TEXT = 20_000
"""Characters of one text that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One row as searched; all text as it was recorded (hostile)."""

    id: int
    when: dt.datetime
    who: str
    what: str
    server: str
    subject: str
    subject_id: str = ""
    outcome: str = ""
    duration_s: float | None = None
    detail: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


def of_job(event: JobChanged, server_name: Callable[[ServerId], str]) -> Happened | None:
    """The history row of a job that became final; None while it has not.

    The monitor's own snapshots are left out: the monitor tells of them itself, with the outage they belong to.
    """
    view = event.job
    told_by_monitor = view.by == "monitor" and view.verb in (Verb.SNAPSHOT, Verb.SNAPSHOT_MEMORY)
    if not view.state.final or told_by_monitor:
        return None
    outcome = {JobState.DONE: "done", JobState.FAILED: "failed", JobState.CANCELLED: "cancelled"}
    error = view.error
    detail = "" if error is None else "\n".join(part for part in (error.user_text, error.detail) if part)
    return Happened(
        when=view.finished or view.submitted,
        who=local_user() if view.by == "user" else view.by,
        what=view.verb,
        server=server_name(view.server_id),
        subject=view.subject,
        subject_id=view.subject_id or "",
        server_id=view.server_id,
        outcome=outcome.get(view.state, "unknown"),
        duration_s=view.duration_s,
        detail=detail,
    )


def local_user() -> str:
    """Name of the person at this computer, "user" where the system does not say."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "user"


CSV_COLUMNS = ("time_utc", "who", "what", "server", "subject", "subject_id", "outcome", "duration_s", "detail", "extra")


def as_csv(rows: list[HistoryRow]) -> str:
    """Rows as CSV text with a header line; no cell can be taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        cells = (
            row.when.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            row.who,
            row.what,
            row.server,
            row.subject,
            row.subject_id,
            row.outcome,
            "" if row.duration_s is None else f"{row.duration_s:.3f}",
            row.detail,
            json.dumps(dict(row.extra), ensure_ascii=False) if row.extra else "",
        )
        writer.writerow([inert(cell) for cell in cells])
    return out.getvalue()


_FORMULA = re.compile(r"^[\s'\"]*[=+\-@|%＝＋－＠]")
_FORMULA_LATER = re.compile(r"([;\n]\s*)([=+\-@＝＋－＠])")


def inert(cell: str) -> str:
    """``cell`` so that no spreadsheet program runs it: control characters visible, formula starts quoted by “'”.

    A start after “;” or a line feed counts too: some programs split there whatever the quotes say.
    """
    shown = _FORMULA_LATER.sub(r"\1'\2", safe_lines(cell, LONGEST_TEXT))
    return "'" + shown if _FORMULA.match(shown) else shown


def conditions(
    text: str,
    what: str,
    outcome: str,
    since: dt.datetime | None,
    until: dt.datetime | None,
    subject_id: str,
    server_id: str,
) -> list[ColumnElement[bool]]:
    from hvconsole.store import events

    found: list[ColumnElement[bool]] = [
        events.c.folded.contains(word, autoescape=True) for word in storable(text).casefold().split()
    ]
    if what:
        found.append(events.c.what == what)
    if outcome:
        found.append(events.c.outcome == outcome)
    if subject_id:
        found.append(events.c.subject_id == storable(subject_id))
    if server_id:
        found.append(events.c.server_id == storable(server_id))
    for moment in (since, until):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput("A time to search from or to needs its time zone.")
    if since is not None:
        found.append(events.c.at >= utc_text(since))
    if until is not None:
        found.append(events.c.at < utc_text(until))
    return found


def utc_text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def utc_time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def storable(text: str) -> str:
    """``text`` as SQLite can keep it: NUL and unpaired surrogates made visible, absurd lengths cut."""
    cut = text[:LONGEST_TEXT] + ("…" if len(text) > LONGEST_TEXT else "")
    if cut.isascii() and "\0" not in cut:
        return cut
    return "".join(f"⟨U+{ord(c):04X}⟩" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in cut)


_TEXTS = ("who", "what", "server", "subject", "subject_id", "outcome", "detail")


def as_values(event: Happened, boot_s: float) -> dict[str, Any]:
    texts = {name: storable(getattr(event, name)) for name in _TEXTS}
    return {
        "at": utc_text(event.when),
        "boot_s": boot_s,
        "duration_s": event.duration_s,
        "extra": json.dumps(dict(event.extra)) if event.extra else "",
        "server_id": storable(event.server_id),
        "folded": "\n".join(texts.values()).casefold(),
        **texts,
    }


def as_row(values: Mapping[str, Any]) -> HistoryRow:
    return HistoryRow(
        id=values["id"],
        when=utc_time(values["at"]),
        who=values["who"],
        what=values["what"],
        server=values["server"],
        subject=values["subject"],
        subject_id=values["subject_id"],
        outcome=values["outcome"],
        duration_s=values["duration_s"],
        detail=values["detail"],
        extra=json.loads(values["extra"]) if values["extra"] else {},
    )


_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What a row that was not written by this program, or not all of it, raises when it is taken apart."""


def as_rows(found: Iterable[Mapping[str, Any]]) -> list[HistoryRow]:
    """The rows that can be read: one that somebody or something spoilt must not cost the others."""
    rows = []
    spoilt = 0
    for values in found:
        try:
            if not all(isinstance(values[name], str) for name in _TEXTS):
                raise TypeError("no text")
            rows.append(as_row(values))
        except _UNREADABLE:
            spoilt += 1
    if spoilt:
        log.warning("%d rows of the history can't be read and are left out", spoilt)
    return rows


def outages_of(bodies: Iterable[str]) -> tuple[Outage, ...]:
    """The outages that can be read."""
    found = []
    for body in bodies:
        try:
            found.append(outage_of(body))
        except _UNREADABLE:
            log.error("an unfinished outage in the history can't be read; look at its VM's snapshots yourself")
    return tuple(found)


def outage_json(outage: Outage) -> str:
    # ASCII escapes carry any id exactly, unpaired surrogates too: a changed id would repeat a snapshot.
    return json.dumps(
        {
            "id": outage.id,
            "server_id": outage.server_id,
            "vm_id": outage.vm_id,
            "vm_name": outage.vm_name[:LONGEST_TEXT],
            "opened": utc_text(outage.opened),
            "closed": None if outage.closed is None else utc_text(outage.closed),
            "snapshot_name": outage.snapshot_name,
            "state": outage.state.value,
            "detail": outage.detail[:LONGEST_TEXT],
        }
    )


def outage_of(body: str) -> Outage:
    values = json.loads(body)
    return Outage(
        id=values["id"],
        server_id=ServerId(values["server_id"]),
        vm_id=ObjectId(values["vm_id"]),
        vm_name=values["vm_name"],
        opened=utc_time(values["opened"]),
        closed=None if values["closed"] is None else utc_time(values["closed"]),
        snapshot_name=values["snapshot_name"],
        state=CaptureState(values["state"]),
        detail=values["detail"],
    )
