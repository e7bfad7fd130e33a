"""Typed events between parts that do not know each other. Emit from any thread; subscribers run in the emitter's.

A subscriber must not block. The window subscribes with functions that only post to its dispatcher; history puts the
event into its queue. Events that say how things stand now (``InventoryChanged``, ``JobChanged``, ``MonitorChanged``)
may be coalesced by key; things that happened (``Happened``, ``Notice``) may not.
"""

from __future__ import annotations

import datetime as dt
import enum
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hvconsole.errors import HvError
from hvconsole.model import ObjectId, ServerId

log = logging.getLogger(__name__)


class ConnectionState(enum.StrEnum):
    """Where a connection stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    EMERGENCY = "emergency"
    """Logged in locally to a host that lost its pool's master: only the recoveries work, the inventory is the last
    known one."""
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    """Needs the user: certificate, password, permission."""
    CLOSED = "closed"


class JobState(enum.StrEnum):
    """Life of a job; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The request was sent and its outcome lost."""

    @property
    def final(self) -> bool:
        """True once it never changes again."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """A connection changed state; look at the connection for details."""

    server_id: ServerId
    state: ConnectionState
    error: HvError | None = None


@dataclass(frozen=True, slots=True)
class InventoryChanged:
    """``connection.inventory`` is a new one; compare it with the one you drew."""

    server_id: ServerId


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A job moved; ``jobs.JobRunner.job(job_id)`` or the carried snapshot of it tells how."""

    job: Any  # jobs.JobView; not imported, to keep events below jobs
    """Frozen ``jobs.JobView``."""


@dataclass(frozen=True, slots=True)
class MonitorChanged:
    """A ticked VM's monitor has something new to show: a round, a state."""

    server_id: ServerId
    vm_id: ObjectId


@dataclass(frozen=True, slots=True)
class Happened:
    """Something for the history: an action or a monitor event. All text as it came (hostile)."""

    when: dt.datetime
    who: str
    """User name, or "monitor"."""
    what: str
    """Verb or event: "suspend", "outage", "snapshot", "recovered", "held"."""
    server: str
    """Name of the server connection."""
    subject: str
    """Name of the VM, host or pool."""
    subject_id: str = ""
    """Its id, which is unique on that server only."""
    server_id: str = ""
    outcome: str = ""
    """"done", "failed", "cancelled", "unknown", or empty for plain events."""
    duration_s: float | None = None
    detail: str = ""
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should see in the window's banner; an empty text with the same key takes it back."""

    key: str
    text: str
    severity: str = "warning"
    """"info", "warning" or "error"."""


E = TypeVar("E")


class Hub:
    """Publishes events to subscribers. Thread-safe; a subscriber that raises is logged and hurts nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: dict[type, tuple[Callable[[Any], None], ...]] = {}

    def subscribe(self, kind: type[E], handler: Callable[[E], None]) -> Callable[[], None]:
        """Call ``handler`` for every event of exactly this type; returns the function that ends it."""
        with self._lock:
            self._subscribers[kind] = (*self._subscribers.get(kind, ()), handler)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers[kind] = tuple(h for h in self._subscribers.get(kind, ()) if h is not handler)

        return unsubscribe

    def emit(self, event: object) -> None:
        """Hand ``event`` to everyone who subscribed to its type, in this thread."""
        for handler in self._subscribers.get(type(event), ()):
            try:
                handler(event)
            except Exception:  # outer edge: one listener must not hurt the emitter or the others
                log.exception("a listener to %s failed", type(event).__name__)
