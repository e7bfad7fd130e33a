"""What the monitor writes to disk before it acts, so that a crash neither loses nor repeats a snapshot.

Pure data and one protocol; ``history`` implements it on SQLite, ``monitor`` uses it.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Protocol

from hvconsole.model import ObjectId, ServerId


class CaptureState(enum.StrEnum):
    """What became of the snapshot that an outage asks for; the last four are final."""

    INTENT = "intent"
    """Decided and on disk, not yet asked for."""
    SENT = "sent"
    """Asked for; the answer is not known yet."""
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    HELD = "held"
    """Deliberately not taken; ``detail`` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One outage of one VM. ``closed`` is None while it lasts."""

    id: str
    server_id: ServerId
    vm_id: ObjectId
    vm_name: str
    opened: dt.datetime
    snapshot_name: str
    state: CaptureState
    closed: dt.datetime | None = None
    detail: str = ""


class OutageJournal(Protocol):
    """Durable record of outages. Thread-safe; blocks for a disk write."""

    def record(self, outage: Outage) -> None:
        """Insert or replace by id; on disk when this returns. Raises ``LocalError`` when it cannot be written:
        then no snapshot may be taken."""

    def open_outages(self) -> tuple[Outage, ...]:
        """Outages without ``closed``, oldest first."""
