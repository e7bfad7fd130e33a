"""What a running vSphere server remembers beyond the world: sessions, views, collectors, leases, event readers.

Each object belongs to the session that made it and is gone with it. Any thread; one lock, that of the world.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from hvconsole.lab.vsphere.values import Ref


@dataclass(slots=True, eq=False)
class Session:
    """One login. ``objects``: what the client made in it (views, collectors, filters…), by id."""

    key: str
    user: str
    objects: dict[str, Any] = field(default_factory=dict)
    since: float = field(default_factory=time.time)
    """When it was opened; ``last`` when it was used last, ``calls`` how often."""
    last: float = field(default_factory=time.time)
    calls: int = 0
    chosen: int = 0
    """How often the contents of its list views were changed."""
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def shown(self) -> str:
        """The key under which clients see it; whoever knows it can't use the session."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.key))


@dataclass(slots=True, eq=False)
class View:
    """A container view."""

    top: Ref
    kinds: frozenset[str]
    recursive: bool


@dataclass(slots=True, eq=False)
class ListedView:
    """A view of chosen objects."""

    refs: dict[Ref, None]


class Sessions:
    """The sessions of one server, by cookie."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}
        self._numbers = itertools.count(1)
        self.tickets: dict[str, str] = {}
        """Tickets for a second session, by text → user."""

    def new(self, user: str) -> Session:
        """Log somebody in."""
        session = Session(secrets.token_hex(20), user)
        with self._lock:
            self._open[session.key] = session
        return session

    def shown(self, key: str) -> Session | None:
        """The session that clients see under a key, which is not its cookie."""
        with self._lock:
            return next((one for one in self._open.values() if one.shown == key), None)

    def all(self) -> list[Session]:
        """Everybody who is logged in."""
        with self._lock:
            return list(self._open.values())

    def get(self, key: str) -> Session | None:
        """The session of a cookie."""
        with self._lock:
            return self._open.get(key)

    def end(self, session: Session) -> None:
        """Log somebody out; calls of theirs that wait return."""
        with self._lock:
            self._open.pop(session.key, None)
        session.closed.set()

    def expire_all(self) -> None:
        """Forget all sessions, as after a long pause or a restart of the service."""
        with self._lock:
            sessions, self._open = list(self._open.values()), {}
        for session in sessions:
            session.closed.set()

    def count(self) -> int:
        """How many are logged in."""
        with self._lock:
            return len(self._open)

    def name(self, kind: str) -> str:
        """A new id for an object of a session."""
        return f"session[{secrets.token_hex(4)}]{kind}-{next(self._numbers)}"
