"""What happened, for good: every action and monitor event, and the journal of outages, in one SQLite file.

One thread, ``history``, owns the writing connection. ``record`` may be called from any thread and never blocks;
``OutageStore.record`` blocks until its row is on disk; ``search`` and ``export_csv`` read through a connection of their
own and are for worker threads. When the disk is full the rows wait in memory (bounded), a notice says so, and the
journal refuses, so that no automatic snapshot is taken that a crash could double.
"""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import itertools
import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvconsole.clock import Clock
from hvconsole.errors import HvError, LocalError
from hvconsole.events import Happened, Hub, JobChanged, Notice
from hvconsole.file_lock import FileLock
from hvconsole.history_rows import (
    HistoryRow,
    as_csv,
    as_rows,
    as_values,
    conditions,
    of_job,
    outage_json,
    outages_of,
    utc_text,
)
from hvconsole.model import ServerId
from hvconsole.outages import Outage
from hvconsole.user_files import part_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hvconsole.store import Database

log = logging.getLogger(__name__)

MEMORY_ROWS = 10_000
"""Rows kept while the disk refuses them; older ones are dropped and counted."""
BATCH_ROWS = 500
RETRY_S = 5.0
"""Pause before a refused write is tried again."""
PRUNE_EVERY_S = 86_400.0
LOOK_S = 3600.0
"""Longest sleep of the thread: after it, old rows are looked for."""
JOURNAL_LIMIT_S = 15.0
"""How long an outage waits to be written before the snapshot is refused."""
NOTICE_KEY = "history"


class _Ask:
    """Something that a thread waits for: done inside the writer's next transaction."""

    def __init__(self, action: Callable[[Connection], object]) -> None:
        self.action = action
        self.done = threading.Event()
        self.result: object = None
        self.error: HvError | None = None
        self.abandoned = False


class History:
    """The history file of this user. Make it, ``start`` it, ``stop`` it; ``alive`` tells when its thread is gone."""

    def __init__(self, path: Path, hub: Hub, clock: Clock, *, at_step: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._hub = hub
        self._clock = clock
        self._at_step = at_step
        self._wake = threading.Condition()
        self._rows: collections.deque[dict[str, Any]] = collections.deque()
        self._asks: collections.deque[_Ask] = collections.deque()
        self._queued = 0
        self._settled = 0
        self._dropped = 0
        self._stopping = False
        self._read_only = False
        self._trouble: LocalError | None = None
        self._opened = threading.Event()
        self._db: Database | None = None
        self._owner = uuid.uuid4().hex
        self._owner_lock: FileLock | None = None
        self._how_long: Callable[[], dt.timedelta] | None = None
        self._prune_at = 0.0
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    # ---- life ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread; it opens the file. Does not block."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is queued, then end. Does not wait."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()

    def close(self, limit_s: float = 5.0) -> bool:
        """``stop`` and wait for the end, at most ``limit_s`` seconds; never from the Tk thread. True if it ended."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    def alive(self) -> tuple[str, ...]:
        """Names of threads that still run."""
        return (self._thread.name,) if self._thread.is_alive() else ()

    @property
    def trouble(self) -> LocalError | None:
        """Why nothing can be written at the moment, or None."""
        return self._trouble

    # ---- writing -------------------------------------------------------------------------------------------

    def subscribe(self, hub: Hub, server_name: Callable[[ServerId], str]) -> Callable[[], None]:
        """Record every ``Happened`` and every job that became final; returns the function that ends it."""

        def job_changed(event: JobChanged) -> None:
            happened = of_job(event, server_name)
            if happened is not None:
                self.record(happened)

        ends = (hub.subscribe(Happened, self.record), hub.subscribe(JobChanged, job_changed))

        def unsubscribe() -> None:
            for end in ends:
                end()

        return unsubscribe

    def listen(self, handler: Callable[[], None]) -> Callable[[], None]:
        """Call ``handler`` (in the history thread; it must not block) after new rows are on disk."""
        self._listeners = (*self._listeners, handler)

        def unlisten() -> None:
            self._listeners = tuple(h for h in self._listeners if h is not handler)

        return unlisten

    def record(self, event: Happened) -> None:
        """Queue one row; any thread, never blocks, never raises. It is on disk once a later ``flush`` says True."""
        row = as_values(event, self._clock.monotonic())
        with self._wake:
            self._queued += 1
            if self._stopping:
                log.warning("the history has ended; %s is not recorded", event.what)
                return
            self._rows.append(row)
            if len(self._rows) > MEMORY_ROWS:
                self._rows.popleft()
                self._dropped += 1
                self._settled += 1
            self._wake.notify_all()

    def flush(self, limit_s: float = 5.0) -> bool:
        """Wait until everything recorded so far is on disk; False if that did not happen within ``limit_s``."""
        with self._wake:
            target, dropped = self._queued, self._dropped
            done = self._wake.wait_for(lambda: self._settled >= target or self._ended(), limit_s)
            return done and self._settled >= target and self._dropped == dropped

    def keep(self, how_long: Callable[[], dt.timedelta]) -> None:
        """Delete what is older than ``how_long()`` says: now, and once a day as long as the history runs.

        Does not block; ``how_long`` is called in this thread and later in the history thread.
        """
        self._prune_at = self._clock.monotonic() + PRUNE_EVERY_S
        self.prune(how_long())
        self._how_long = how_long

    def prune(self, keep: dt.timedelta) -> None:
        """Delete rows and closed outages older than ``keep``, some time soon. Does not block."""
        before = utc_text(self._clock.now() - keep)

        def delete(connection: Connection) -> None:
            from hvconsole.store import events, outages

            connection.execute(events.delete().where(events.c.at < before))
            connection.execute(outages.delete().where(outages.c.closed.is_not(None), outages.c.closed < before))

        with self._wake:
            if not self._stopping:
                self._asks.append(_Ask(delete))
                self._wake.notify_all()

    def _perform(self, action: Callable[[Connection], object], limit_s: float) -> object:
        """Run ``action`` in a transaction of the history thread and wait until it is on disk. Raises ``LocalError``."""
        ask = _Ask(action)
        with self._wake:
            if self._stopping or not self._thread.is_alive():
                raise LocalError("The history has ended and can't be written.")
            self._asks.append(ask)
            self._wake.notify_all()
        if not ask.done.wait(limit_s):
            with self._wake:
                if ask in self._asks:
                    # Not begun: it will never be written, so refusing is truthful.
                    self._asks.remove(ask)
                    ask.abandoned = True
            if ask.abandoned:
                raise LocalError("The history did not accept the record in time.")
            # In the middle of its transaction, which SQLite's own limits bound.
            ask.done.wait(limit_s)
            if not ask.done.is_set():
                raise LocalError("The history did not accept the record in time.")
        if ask.error is not None:
            raise ask.error
        return ask.result

    # ---- the thread ----------------------------------------------------------------------------------------

    def _ended(self) -> bool:
        return self._thread.ident is not None and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._open()
            while self._turn():
                pass
        except Exception as exc:  # outer edge of the thread: the monitor must learn that nothing is recorded
            log.exception("the history thread failed")
            self._complain(LocalError("hvconsole's history failed; please report it.", type(exc).__name__))
        finally:
            self._finish()

    def _open(self) -> None:
        from hvconsole.store import Damaged, Database, NewerSchema

        self._db = Database(self.path, self._at_step)
        try:
            try:
                self._db.open()
            except Damaged as exc:
                self._start_afresh(exc)
            self._claim()
            self._trouble_over()
        except NewerSchema as exc:
            self._read_only = True
            self._complain(exc)
        except LocalError as exc:
            self._complain(exc)
        except OSError as exc:
            self._complain(LocalError(f"The history can't be written to {self.path.parent}.", str(exc)))
        finally:
            self._opened.set()

    def _claim(self) -> None:
        """Show other instances that this one lives, and clear away what dead ones left."""
        from hvconsole.store import BUSY_LIMIT_S

        if self._owner_lock is not None:
            return
        assert self._db is not None
        with self._db.gate.held(BUSY_LIMIT_S):
            for stale in self.path.parent.glob(f"{self.path.name}.owner-*"):
                lock = FileLock(stale)
                dead = lock.try_acquire()
                lock.close()  # before it is removed: Windows removes no open file
                if dead:
                    stale.unlink(missing_ok=True)
            self._owner_lock = FileLock(self._owner_path(self._owner))
            self._owner_lock.try_acquire()

    def _owner_path(self, owner: str) -> Path:
        return self.path.with_name(f"{self.path.name}.owner-{owner}")

    def _owned_by_other(self, owner: str) -> bool:
        """Whether another hvconsole, alive now, deals with an outage."""
        path = self._owner_path(owner)
        if owner == self._owner or not path.exists():
            return False
        lock = FileLock(path)
        try:
            return not lock.try_acquire()
        finally:
            lock.close()

    def _start_afresh(self, exc: LocalError) -> None:
        assert self._db is not None
        log.warning("%s (%s)", exc.user_text, exc.detail)
        kept = self._db.set_aside(self._clock.now())
        self._db.open()
        self._hub.emit(
            Notice("history-damaged", f"The history file was damaged. It is kept as {kept.name}; a new one was begun.")
        )

    def _turn(self) -> bool:
        """Wait for something to write and write it; False when it is time to end."""
        with self._wake:
            limit = RETRY_S if self._trouble else LOOK_S
            self._wake.wait_for(lambda: self._asks or self._stopping or (self._rows and not self._trouble), limit)
            stopping = self._stopping
            asks = list(self._asks)
            self._asks.clear()
            rows = list(itertools.islice(self._rows, BATCH_ROWS))
            dropped = self._dropped
        if self._how_long is not None and self._clock.monotonic() >= self._prune_at and not stopping:
            self.keep(self._how_long)
        if not self._ready():
            for ask in asks:
                self._refuse(ask, self._trouble or LocalError("The history isn't open."))
            return not stopping
        if asks:
            self._write_asks(asks)
        if rows:
            self._write_rows(rows, dropped)
        with self._wake:
            return not (self._stopping and not self._asks and (not self._rows or self._trouble is not None))

    def _ready(self) -> bool:
        if self._read_only or self._db is None:
            return False
        if not self._db.opened:
            self._open()
        return self._db.opened

    def _write_asks(self, asks: list[_Ask]) -> None:
        assert self._db is not None
        try:
            with self._db.write() as connection:
                for ask in asks:
                    try:
                        ask.result = ask.action(connection)
                    except LocalError as exc:
                        ask.error = exc
            self._trouble_over()
        except LocalError as exc:
            self._failed(exc)
            for ask in asks:
                ask.error = exc
        for ask in asks:
            ask.done.set()

    def _refuse(self, ask: _Ask, error: HvError) -> None:
        ask.error = error
        ask.done.set()

    def _write_rows(self, rows: list[dict[str, Any]], dropped: int) -> None:
        from hvconsole.store import events

        assert self._db is not None
        try:
            with self._db.write() as connection:
                connection.execute(events.insert(), rows)
        except LocalError as exc:
            self._failed(exc)
            return
        with self._wake:
            # Rows may have been dropped at the old end meanwhile; those are among the ones just written.
            gone = self._dropped - dropped
            for _ in range(max(0, len(rows) - gone)):
                self._rows.popleft()
            self._settled += max(0, len(rows) - gone)
            self._wake.notify_all()
        self._trouble_over()
        for listener in self._listeners:
            try:
                listener()
            except Exception:  # outer edge: a listener's defect must not end the history
                log.exception("a listener to the history failed")

    def _failed(self, exc: LocalError) -> None:
        from hvconsole.store import Damaged

        if isinstance(exc, Damaged):
            try:
                self._start_afresh(exc)
                return
            except LocalError as worse:
                exc = worse
        self._complain(exc)

    def _complain(self, exc: LocalError) -> None:
        if self._trouble is None or self._trouble.user_text != exc.user_text:
            log.warning("%s (%s)", exc.user_text, exc.detail)
            consequence = " Monitoring goes on, but no automatic snapshots are taken."
            self._hub.emit(Notice(NOTICE_KEY, exc.user_text + consequence, "error"))
        self._trouble = exc

    def _trouble_over(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            lost = f" {self._dropped} entries were lost." if self._dropped else ""
            log.warning("the history can be written again.%s", lost)
            self._hub.emit(Notice(NOTICE_KEY, ""))

    def _finish(self) -> None:
        with self._wake:
            self._stopping = True
            asks = list(self._asks)
            self._asks.clear()
            self._wake.notify_all()
        for ask in asks:
            self._refuse(ask, LocalError("The history has ended and can't be written."))
        self._opened.set()
        if self._db is not None:
            self._db.close()
        if self._owner_lock is not None:
            self._owner_lock.close()
            with contextlib.suppress(OSError):  # a folder that became read-only: the next console clears it away
                self._owner_lock.path.unlink(missing_ok=True)

    # ---- reading -------------------------------------------------------------------------------------------

    def search(
        self,
        text: str = "",
        *,
        what: str = "",
        outcome: str = "",
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
        subject_id: str = "",
        server_id: str = "",
        limit: int = 500,
        offset: int = 0,
    ) -> list[HistoryRow]:
        """Rows that match everything given, newest first. Worker threads only; raises ``LocalError``.

        ``text``: words that must all occur in who, what, server, subject, outcome or detail, in any case.
        ``since`` and ``until`` are aware; ``until`` itself is not included. A ``subject_id`` is unique on one server
        only, so it comes with its ``server_id``.
        """
        from sqlalchemy import select

        from hvconsole.store import events

        wanted = conditions(text, what, outcome, since, until, subject_id, server_id)
        query = select(events).where(*wanted).order_by(events.c.id.desc()).limit(limit).offset(offset)
        with self._reading() as connection:
            return as_rows(row._asdict() for row in connection.execute(query))

    def count(self, text: str = "", **filters: Any) -> int:
        """How many rows ``search`` would find without limit."""
        from sqlalchemy import func, select

        from hvconsole.store import events

        unset = {"what": "", "outcome": "", "since": None, "until": None, "subject_id": "", "server_id": ""}
        wanted = {**unset, **filters}
        query = select(func.count()).select_from(events).where(*conditions(text, **wanted))
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._opened.wait(JOURNAL_LIMIT_S)
        if self._db is None:
            raise self._trouble or LocalError("The history isn't open.")
        with self._db.read() as connection:
            yield connection

    def export_csv(self, path: Path, text: str = "", **filters: Any) -> int:
        """Write the rows that ``search`` finds to a CSV file, private and inert in spreadsheets; returns their number.

        Worker threads only. Raises ``LocalError``; nothing partial is left under the final name.
        """
        rows = self.search(text, **{"limit": 1_000_000, **filters})
        with part_file(path) as file:
            file.write(as_csv(rows).encode("utf-8"))
        return len(rows)


class OutageStore:
    """``outages.OutageJournal`` on the history file: rows are on disk before ``record`` returns. Any worker thread."""

    def __init__(self, history: History) -> None:
        self._history = history

    def record(self, outage: Outage) -> None:
        """Insert or replace by id. Raises ``LocalError`` when it cannot be written, or when another hvconsole on this
        computer already deals with an outage of the same VM: then no snapshot may be taken."""

        def put(connection: Connection) -> None:
            from sqlalchemy import select

            from hvconsole.store import outages

            vm = json.dumps([outage.server_id, outage.vm_id])
            key = json.dumps(outage.id)
            rivals = select(outages.c.owner).where(outages.c.closed.is_(None), outages.c.vm == vm, outages.c.id != key)
            for (owner,) in connection.execute(rivals):
                if self._history._owned_by_other(owner):
                    raise LocalError(
                        "Another hvconsole on this computer monitors the same VM and deals with this outage."
                    )
            values = {
                "id": key,
                "vm": vm,
                "opened": utc_text(outage.opened),
                "closed": None if outage.closed is None else utc_text(outage.closed),
                "owner": self._history._owner,
                "body": outage_json(outage),
            }
            connection.execute(outages.delete().where(outages.c.id == key))
            connection.execute(outages.insert().values(values))

        self._history._perform(put, JOURNAL_LIMIT_S)

    def open_outages(self) -> tuple[Outage, ...]:
        """Outages without ``closed``, oldest first, except those that another running hvconsole deals with."""
        from sqlalchemy import select

        from hvconsole.store import outages

        query = select(outages).where(outages.c.closed.is_(None)).order_by(outages.c.opened, outages.c.id)
        with self._history._reading() as connection:
            rows = connection.execute(query).all()
        return outages_of(row.body for row in rows if not self._history._owned_by_other(row.owner))
