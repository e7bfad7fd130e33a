"""From the server's events to inventories: first everything, then ``event.from``, with the counts checked.

One thread at a time calls ``watch``; ``wake`` may be called from any.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any
from xml.parsers.expat import ExpatError

from hvconsole.backends import collector
from hvconsole.backends.pace import Pace
from hvconsole.backends.wire_calls import EVERYTHING, READ, Call
from hvconsole.backends.xen_bulk import BulkReader
from hvconsole.backends.xen_cache import Cache
from hvconsole.backends.xen_rows import PARSERS
from hvconsole.backends.xen_session import XenSession
from hvconsole.clock import Clock
from hvconsole.errors import BadReply, OperationError, TaskCancelled
from hvconsole.model import Inventory

log = logging.getLogger(__name__)

CLASSES = tuple(PARSERS)
_LOWER = {name.lower(): name for name in CLASSES}
POLL_S = 10.0
"""How often everything is read where there is no ``event.from`` (XenServer before 6.0)."""
ANSWERS_AT_ONCE, ANSWERS_PER_S = 40, 5.0
"""How many answers of ``event.from`` are taken in a row, and then in a second."""
READS_AT_ONCE = 4
"""How often everything is read anew in a row because the server lost events; then as often as without events."""
RECOUNT_S = 60.0
"""How long a class whose count does not match is left alone after it was read again."""
_TOKEN_FAILURES = ("EVENT_FROM_TOKEN_PARSE_FAILURE", "EVENTS_LOST")


class Watch:
    """Keeps a ``Cache`` at the server's state."""

    def __init__(self, session: XenSession, bulk: BulkReader, cache: Cache, clock: Clock) -> None:
        self._session = session
        self._bulk = bulk
        self._cache = cache
        self._clock = clock
        self._token = ""
        self._generation = -1
        self._stale = True
        self._polling = False
        self._recounted: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._waiting: Call | None = None
        self._wake = threading.Event()
        self._answers = Pace(clock, burst=ANSWERS_AT_ONCE, per_s=ANSWERS_PER_S)
        self._readings = Pace(clock, burst=READS_AT_ONCE, per_s=1 / POLL_S)

    def wake(self, *, stale: bool) -> None:
        """End a wait now; ``stale``: and read everything again. Any thread, does not block."""
        with self._lock:
            self._stale = self._stale or stale
            waiting = self._waiting
        self._wake.set()
        if waiting is not None:
            waiting.abort()

    def watch(self, timeout_s: float) -> Inventory | None:
        """As ``Hypervisor.watch``."""
        end = self._clock.monotonic() + timeout_s
        while True:
            if self._stale or self._generation != self._session.generation:
                with collector.paused():
                    self._read_everything()
                    inventory = self._cache.inventory(self._clock.now())
            else:
                inventory = self._cache.inventory(self._clock.now())
            if inventory is not None:
                return inventory
            rest = end - self._clock.monotonic()
            if rest <= 0:
                return None
            self._wait(rest)

    # ---- everything ----------------------------------------------------------------------------------------

    def _read_everything(self) -> None:
        """The token first, then the classes: what changes in between comes again as an event."""
        self._wake.clear()
        with self._lock:
            self._stale = False
        generation = self._session.generation
        try:
            self._token = self._start_token()
            # In one thread: a second one only fights this one for the interpreter.
            with self._session.transport(EVERYTHING), self._cache.tables.filling():
                for name, following in zip(CLASSES, [*CLASSES[1:], ""], strict=True):
                    self._cache.tables.replace_class(name, self._read(name, following))
        except BaseException:
            self._stale = True
            self._bulk.close()
            raise
        self._recounted.clear()
        self._generation = generation

    def _read(self, name: str, following: str) -> Mapping[str, Mapping[str, Any]]:
        """All records; none of a class that an old server lacks or this user may not see.

        Without pool, hosts and VMs there is nothing to show.
        """
        try:
            return self._bulk.read(name, following)
        except OperationError as exc:
            if name in ("pool", "host", "VM"):
                raise
            log.warning("no %s objects: %s", name, exc.detail)
            return {}

    def _start_token(self) -> str:
        """A token of now, without having everything sent; an empty one where the server has no events."""
        try:
            pools = self._session.call("pool.get_all")
            if not isinstance(pools, list) or not pools:
                raise BadReply("The server has no pool.")
            token = self._session.call("event.inject", "pool", str(pools[0]), write=False)
            if isinstance(token, str) and token:
                self._polling = False
                return token
        except OperationError as exc:
            log.debug("event.inject: %s", exc.detail)
        try:
            batch = self._session.call("event.from", ["pool"], "", 0.1, limits=READ)
            token = batch.get("token") if isinstance(batch, dict) else None
            if isinstance(token, str) and token:
                self._polling = False
                return token
        except OperationError as exc:
            log.info("the server has no event.from, asking every %d s instead: %s", POLL_S, exc.detail)
        self._polling = True
        return ""

    # ---- changes -------------------------------------------------------------------------------------------

    def _wait(self, rest: float) -> None:
        if self._polling:
            if not self._clock.wait(self._wake, min(rest, POLL_S)) and rest <= POLL_S:
                return
            self._stale = True
            return
        self._hold(self._answers.pause_s(), rest)
        if self._stale:
            return
        try:
            batch = self._ask(rest)
        except TaskCancelled:
            return  # woken
        except OperationError as exc:
            if exc.code in _TOKEN_FAILURES:
                self._hold(self._readings.pause_s(), rest)
                self._stale = True
                return
            raise
        except BadReply as exc:
            if not isinstance(exc.__cause__, ExpatError):
                raise
            # xapi doesn't escape the keys of maps: as long as such an object changes, only reading tells
            log.warning("the server's events can't be read, reading everything instead: %s", exc.detail)
            self._clock.wait(self._wake, min(rest, POLL_S))
            self._stale = True
            return
        if self._session.generation != self._generation:
            self._stale = True  # tokens do not outlive the session they were given to
            return
        self._take(batch)

    def _hold(self, pause_s: float, rest: float) -> None:
        if pause_s:
            self._clock.wait(self._wake, min(rest, pause_s))
            self._wake.clear()

    def _ask(self, rest: float) -> Mapping[str, Any]:
        def entered(call: Call) -> None:
            with self._lock:
                self._waiting = call
                woken = self._stale
            if woken:
                call.abort()

        try:
            batch = self._session.call(
                "event.from",
                list(CLASSES),
                self._token,
                max(float(rest), 0.1),  # a limit of nothing means a day to xapi
                limits=READ.longer(rest),
                entered=entered,
            )
        finally:
            with self._lock:
                self._waiting = None
        if not isinstance(batch, dict) or not isinstance(batch.get("token"), str):
            raise BadReply("The server's events can't be read.")
        return batch

    def _take(self, batch: Mapping[str, Any]) -> None:
        events = batch.get("events")
        for event in events if isinstance(events, list) else []:
            if isinstance(event, dict):
                self._cache.tables.apply(event)
        self._token = str(batch["token"])
        counts = batch.get("valid_ref_counts")
        if isinstance(counts, dict):
            self._recount(counts)

    def _recount(self, counts: Mapping[str, Any]) -> None:
        """xapi forgets old deletions silently; the counts are the only way to notice."""
        now = self._clock.monotonic()
        for event_class, count in self._cache.mismatched(counts):
            before = self._recounted.get(event_class)
            if before is not None and before[0] == count and now - before[1] < RECOUNT_S:
                continue
            name = _LOWER[event_class]
            log.debug("%s objects were missed, reading the class again", name)
            self._cache.tables.replace_class(name, self._read(name, ""))
            self._recounted[event_class] = (count, now)
