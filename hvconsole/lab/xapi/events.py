"""event.from, the legacy event.next, and injection, as xapi behaves: tokens, merging, order, batching.

All functions run in the thread of the caller's connection; they hold ``world.lock`` only while they collect.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from hvconsole.lab.xapi import schema
from hvconsole.lab.xapi.database import Row
from hvconsole.lab.xapi.dispatch import Call, message
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.pool import Pool
from hvconsole.lab.xapi.sessions import Session
from hvconsole.lab.xapi.values import I4

BATCHING_S = 0.05
"""How long xapi collects further changes before it replies."""
_LONGEST_S = 86_400.0
_TOKEN = re.compile(r"(\d{1,20}),(\d{1,20})")
_ORDER = {"add": 1, "mod": 2, "del": 3}


def _token(generation: int) -> str:
    return f"{generation:020d},{generation:020d}"


def _parse_token(token: str) -> int:
    if token == "":
        return 0
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise Failure("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return int(found[1])


class _Subscription:
    """Which rows a list of classes asks for."""

    def __init__(self, words: list[Any]) -> None:
        self.all = False
        self.classes: set[str] = set()
        self.objects: set[tuple[str, str]] = set()
        for word in words:
            if not isinstance(word, str):
                raise Failure("EVENT_SUBSCRIPTION_PARSE_FAILURE", str(word))
            name, slash, ref = word.partition("/")
            if word == "*":
                self.all = True
            elif slash and (not name or not ref):
                raise Failure("EVENT_SUBSCRIPTION_PARSE_FAILURE", word)
            elif slash:
                self.objects.add((name.lower(), ref))
            else:
                self.classes.add(name.lower())
        named = self.classes | {name for name, _ in self.objects}
        self.tasks_only = not self.all and named <= {"task"}

    def tables(self) -> list[str]:
        """The classes that can be concerned at all."""
        if self.all:
            return [name for name in schema.CLASSES if name not in schema.SILENT]
        wanted = self.classes | {name for name, _ in self.objects}
        return [
            schema.LOWER[name] for name in wanted if name in schema.LOWER and schema.LOWER[name] not in schema.SILENT
        ]

    def wants(self, lower: str, ref: str) -> bool:
        """Whether this object is asked for."""
        return self.all or lower in self.classes or (lower, ref) in self.objects


def _collect(pool: Pool, subscription: _Subscription, since: int) -> list[tuple[str, str, str, int, Row | None]]:
    """(op, class, ref, generation, row) of everything that happened after ``since``. The lock is held."""
    found: list[tuple[str, str, str, int, Row | None]] = []
    for name in subscription.tables():
        table = pool.db.tables[name]
        lower = name.lower()
        for row in reversed(table.recent.values()):
            if row.modified <= since:
                break
            if subscription.wants(lower, row.ref):
                found.append(("add" if row.created > since else "mod", lower, row.ref, row.modified, row))
        for generation, created, ref in reversed(table.deletions):
            if generation <= since:
                break
            if created <= since and ref not in table.rows and subscription.wants(lower, ref):
                found.append(("del", lower, ref, generation, None))
    found.sort(key=lambda event: (0 if event[1] == "message" else _ORDER[event[0]], event[3]))
    return found


def _event(op: str, lower: str, ref: str, generation: int, row: Row | None) -> dict[str, Any]:
    event: dict[str, Any] = {"id": str(generation), "timestamp": "0.0", "class": lower, "operation": op, "ref": ref}
    if row is not None:
        event["snapshot"] = row.record()
    return event


@message("event.from", "[]", "s", "f")
def event_from(call: Call, classes: list[Any], token: str, timeout_s: float) -> dict[str, Any]:
    """Everything since ``token``; waits up to ``timeout_s`` for something to happen."""
    pool = call.pool
    since = _parse_token(token)
    subscription = _Subscription(classes)
    limit = timeout_s if 0.0 <= timeout_s < _LONGEST_S else _LONGEST_S
    deadline = time.monotonic() + limit
    pause = threading.Event()
    with pool.world.lock:
        while True:
            _alive(call)
            found = _collect(pool, subscription, since)
            left = deadline - time.monotonic()
            if found or left <= 0:
                break
            pool.db.changed.wait(left)
        if not found or subscription.tasks_only or not token:
            return _batch(pool, found)
    pause.wait(BATCHING_S)
    with pool.world.lock:
        _alive(call)
        return _batch(pool, _collect(pool, subscription, since))


def _batch(pool: Pool, found: list[tuple[str, str, str, int, Row | None]]) -> dict[str, Any]:
    counts = {name.lower(): I4(len(table.rows)) for name, table in pool.db.tables.items() if name != "session"}
    return {"events": [_event(*one) for one in found], "valid_ref_counts": counts, "token": _token(pool.db.generation)}


def _alive(call: Call) -> None:
    session = call.session
    if session is None or session.ended or call.pool.stopping:
        raise Failure("SESSION_INVALID", session.ref if session is not None else "")


@message("event.inject", "s", "s")
def inject(call: Call, class_name: str, ref: str) -> str:
    """Make an artificial mod event; the token from just before it."""
    name = schema.LOWER.get(class_name.lower())
    with call.pool.world.lock:
        if name is None or call.pool.db.find(name, ref) is None:
            raise Failure("HANDLE_INVALID", class_name, ref)
        token = _token(call.pool.db.generation)
        call.pool.db.touch(name, ref)
        return token


@message("event.get_current_id")
def get_current_id(call: Call) -> int:
    """The last event's id (legacy)."""
    with call.pool.world.lock:
        return call.pool.db.generation


@message("event.register", "[]")
def register(call: Call, classes: list[Any]) -> None:
    """Subscribe the session to classes (legacy)."""
    session = _session(call)
    _Subscription(classes)
    with call.pool.world.lock:
        if not session.event_classes:
            session.event_cursor = call.pool.db.generation
        session.event_classes |= {str(name) for name in classes}


@message("event.unregister", "[]")
def unregister(call: Call, classes: list[Any]) -> None:
    """Take classes out of the session's subscription (legacy)."""
    session = _session(call)
    gone = {str(name).lower() for name in classes}
    with call.pool.world.lock:
        session.event_classes = {name for name in session.event_classes if name.lower() not in gone}
        call.pool.db.changed.notify_all()


@message("event.next")
def event_next(call: Call) -> list[dict[str, Any]]:
    """Block until something happens that the session registered for (legacy; no time limit)."""
    session, pool = _session(call), call.pool
    with pool.world.lock:
        while True:
            _alive(call)
            if not session.event_classes:
                raise Failure("SESSION_NOT_REGISTERED", session.ref)
            subscription = _Subscription(list(session.event_classes))
            _assert_reachable(pool, subscription, session.event_cursor)
            found = _collect(pool, subscription, session.event_cursor)
            if found:
                break
            pool.db.changed.wait()
        session.event_cursor = pool.db.generation
        return [
            _event(*one) | {"obj_uuid": one[4].fields.get("uuid", "") if one[4] is not None else ""} for one in found
        ]


def _assert_reachable(pool: Pool, subscription: _Subscription, since: int) -> None:
    for name in subscription.tables():
        deletions = pool.db.tables[name].deletions
        if len(deletions) >= 500 and deletions[0][0] > since > 0:
            raise Failure("EVENTS_LOST")


def _session(call: Call) -> Session:
    if call.session is None:
        raise Failure("SESSION_INVALID", "")
    return call.session
