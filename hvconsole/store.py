"""The SQLite file behind the history: schema, private files, one writer at a time, damaged files set aside.

``Database`` belongs to one thread for writing (``history``); ``read`` may be called from any thread and opens a
read-only connection of its own. SQLAlchemy is imported here, so this module is imported by the history thread and not
at start-up.

Durability: WAL with synchronous=FULL, so a committed transaction survives a power cut. SQLite before 3.51.3 can damage
a file when two *processes* write or checkpoint at the same moment (facts: the WAL-reset bug), so every write happens
under a lock on a file beside the database.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool, StaticPool

from hvconsole.errors import LocalError
from hvconsole.file_lock import FileLock
from hvconsole.private_files import private_folder

log = logging.getLogger(__name__)

SCHEMA_VERSION = 2
BUSY_LIMIT_S = 5.0
"""How long a write waits for another process before it gives up."""

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", String, nullable=False),
    Column("boot_s", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    Column("server", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("server_id", String, nullable=False, server_default=""),
    Column("outcome", String, nullable=False),
    Column("duration_s", Float),
    Column("detail", String, nullable=False),
    Column("extra", String, nullable=False),
    Column("folded", String, nullable=False),
    Index("events_at", "at"),
    sqlite_autoincrement=True,
)
"""``at`` is UTC in ISO form with microseconds, which sorts as text; ``boot_s`` the monotonic clock at that moment, so
that the order is known even when the wall clock jumped; ``folded`` what the search box looks through."""

outages = Table(
    "outages",
    metadata,
    Column("id", String, primary_key=True),
    Column("vm", String, nullable=False),
    Column("opened", String, nullable=False),
    Column("closed", String),
    Column("owner", String, nullable=False),
    Column("body", String, nullable=False),
    Index("outages_open", "closed", "vm"),
)
"""``vm`` names server and VM; ``owner`` the running hvconsole that deals with the outage; ``body`` is JSON."""

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Damaged(LocalError):
    """The file is not a history, or no longer one."""


class NewerSchema(LocalError):
    """A newer hvconsole wrote this file; it is left alone."""


class Database:
    """One history file. ``at_step`` is told "begun", "written" and "committed" inside each write, for crash tests."""

    def __init__(self, path: Path, at_step: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._at_step = at_step or (lambda step: None)
        self._engine: Engine | None = None
        self.gate = FileLock(path.with_name(path.name + ".lock"), "The history")

    def open(self) -> None:
        """Create or check the file and keep a writing connection.

        Raises ``Damaged``, ``NewerSchema`` or another ``LocalError``.
        """
        private_folder(self.path.parent)
        try:
            _create_private(self.path)
            engine = create_engine(
                "sqlite://",
                creator=lambda: sqlite3.connect(
                    self.path, timeout=BUSY_LIMIT_S, isolation_level=None, check_same_thread=False
                ),
                poolclass=StaticPool,
            )
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
            self._engine = engine
            with self.gate.held(BUSY_LIMIT_S):
                self._prepare(engine)
        except (DBAPIError, sqlite3.Error, OSError) as exc:
            self.close()
            raise explain(exc, self.path) from exc
        except LocalError:
            self.close()
            raise

    def _prepare(self, engine: Engine) -> None:
        with engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            cursor = raw.cursor()
            # Statements outside any transaction: journal mode cannot change inside one.
            if cursor.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise Damaged(f"The history file {self.path} is damaged.")
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            version = cursor.execute("PRAGMA user_version").fetchone()[0]
            cursor.close()
        if version > SCHEMA_VERSION:
            raise NewerSchema("The history was written by a newer hvconsole; this one only reads it.")
        if version < SCHEMA_VERSION:
            with engine.begin() as connection:
                metadata.create_all(connection)
                if version == 1:
                    connection.exec_driver_sql("ALTER TABLE events ADD COLUMN server_id VARCHAR NOT NULL DEFAULT ''")
                connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA_VERSION}")

    @property
    def opened(self) -> bool:
        """Whether writes can be tried."""
        return self._engine is not None

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, on disk when the block ends without an exception. Raises ``LocalError`` (``Damaged``)."""
        if self._engine is None:
            raise LocalError("The history isn't open.")
        try:
            with self.gate.held(BUSY_LIMIT_S):
                with self._engine.begin() as connection:
                    self._at_step("begun")
                    yield connection
                    self._at_step("written")
                self._at_step("committed")
        except (DBAPIError, sqlite3.Error, OSError) as exc:
            raise explain(exc, self.path) from exc

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only connection for the calling thread. Raises ``LocalError``."""
        engine = create_engine("sqlite://", creator=self._connect_read_only, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                yield connection
        except (DBAPIError, sqlite3.Error) as exc:
            raise explain(exc, self.path) from exc
        finally:
            engine.dispose()

    def _connect_read_only(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_LIMIT_S)

    def close(self) -> None:
        """Close the writing connection. Idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            # The last connection to close folds the WAL into the file, which is a write like any other.
            with contextlib.suppress(LocalError), self.gate.held(BUSY_LIMIT_S):
                engine.dispose()
            engine.dispose()
        self.gate.close()

    def set_aside(self, now: dt.datetime) -> Path:
        """Close and move the file with its companions to ``….damaged-<time>``; returns the new place."""
        self.close()
        target = self.path.with_name(f"{self.path.name}.damaged-{now:%Y%m%dT%H%M%S%f}")
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self.path.with_name(self.path.name + suffix)
                if part.exists():
                    part.rename(target.with_name(target.name + suffix))
        except OSError as exc:
            raise LocalError(f"The damaged history file {self.path} can't be moved away.", str(exc)) from exc
        return target


def explain(exc: DBAPIError | sqlite3.Error | OSError, path: Path) -> LocalError:
    """What went wrong with the file, as one sentence; decided by SQLite's error code."""
    original = exc.orig if isinstance(exc, DBAPIError) else exc
    code = (getattr(original, "sqlite_errorcode", None) or 0) & 0xFF
    detail = str(original)
    if code in _DAMAGED:
        return Damaged(f"The history file {path} is damaged.", detail)
    if code in _FULL or isinstance(original, OSError):
        return LocalError(f"The history can't be written to {path.parent}: is the disk full?", detail)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LocalError("The history is in use by another program and can't be written.", detail)
    return LocalError(f"The history file {path} can't be used.", detail)


def _create_private(path: Path) -> None:
    # SQLite gives -wal and -shm the mode of the main file, so making that one private is enough. An existing file is
    # not opened: closing it again would drop the POSIX locks that other connections of this process hold on it.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if os.name == "posix":
            path.chmod(0o600)
