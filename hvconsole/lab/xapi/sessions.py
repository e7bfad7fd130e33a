"""Sessions of a pool: who is logged in, from which originator, until when. Own lock; any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PER_ORIGINATOR = 500
IDLE_LIMIT_S = 86_400.0


@dataclass(slots=True)
class Session:
    """A login. ``local_to``: id of the host that alone accepts it (emergency login), or None."""

    ref: str
    user: str
    originator: str
    local_to: str | None = None
    last_active: float = field(default_factory=time.monotonic)
    ended: bool = False
    event_classes: set[str] = field(default_factory=set)
    event_cursor: int = 0


class Sessions:
    """The pool's sessions. ``on_end`` is called (without the lock) after sessions ended, to wake their waiters."""

    def __init__(self, new_ref: Callable[[], str], on_end: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._new_ref = new_ref
        self._on_end = on_end
        self.idle_limit_s = IDLE_LIMIT_S

    def open(self, user: str, originator: str, local_to: str | None = None) -> Session:
        """A new session; the originator's oldest ones go when there are too many."""
        session = Session(self._new_ref(), user, originator, local_to)
        with self._lock:
            mine = [other for other in self._sessions.values() if other.originator == originator]
            surplus = sorted(mine, key=lambda other: other.last_active)[: max(0, len(mine) - PER_ORIGINATOR + 1)]
            for other in surplus:
                self._end(other)
            self._sessions[session.ref] = session
        if surplus:
            self._on_end()
        return session

    def _end(self, session: Session) -> None:
        session.ended = True
        self._sessions.pop(session.ref, None)

    def find(self, ref: str) -> Session | None:
        """The live session, now marked as used, or None."""
        with self._lock:
            session = self._sessions.get(ref)
            if session is None:
                return None
            now = time.monotonic()
            if now - session.last_active > self.idle_limit_s:
                self._end(session)
                return None
            session.last_active = now
            return session

    def close(self, ref: str) -> None:
        """End one session."""
        with self._lock:
            session = self._sessions.get(ref)
            if session is not None:
                self._end(session)
        self._on_end()

    def expire_all(self, *, local_too: bool = True) -> None:
        """End every session, as a toolstack restart does; ``local_too`` False spares emergency logins."""
        with self._lock:
            for session in list(self._sessions.values()):
                if local_too or session.local_to is None:
                    self._end(session)
        self._on_end()

    def all(self) -> list[Session]:
        """The live sessions."""
        with self._lock:
            return list(self._sessions.values())
