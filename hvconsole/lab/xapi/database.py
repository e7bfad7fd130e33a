"""The pool's database: rows by class and reference, generations, deletions, derived back references.

Belongs to one pool; every method is called with ``world.lock`` held (``Database`` has no lock of its own) except
``wait``, which takes it. Values in rows are replaced, never changed in place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from hvconsole.lab.xapi import schema
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.values import NULL, Fragment

_DELETIONS_MOST = 511
_DELETIONS_LEAST = 256
_LONG = 64
"""Back references beyond this number are appended in place."""


class Row:
    """An object of the database. ``created`` and ``modified`` are generations."""

    __slots__ = ("created", "fields", "fragment", "modified", "ref")

    def __init__(self, ref: str, fields: dict[str, Any], generation: int) -> None:
        self.ref = ref
        self.fields = fields
        self.created = generation
        self.modified = generation
        self.fragment: Fragment | None = None

    def record(self) -> Fragment:
        """The record as it goes over the wire, written once per change."""
        if self.fragment is None:
            self.fragment = Fragment(self.fields)
        return self.fragment


class Table:
    """The rows of a class: ``rows`` in order of creation, ``recent`` in order of the last change."""

    __slots__ = ("by_uuid", "deletions", "name", "recent", "rows")

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[str, Row] = {}
        self.recent: dict[str, Row] = {}
        self.by_uuid: dict[str, str] = {}
        self.deletions: list[tuple[int, int, str]] = []


class Database:
    """All tables of one pool."""

    def __init__(self, lock: threading.RLock) -> None:
        self.changed = threading.Condition(lock)
        self.tables = {name: Table(name) for name in schema.CLASSES}
        self.generation = 1
        self.filling = False
        """True while the pool is being loaded: nobody waits yet."""
        self._early: dict[tuple[str, str, str], list[str]] = {}
        """(class, set field, reference) → who pointed at an object that is not there (yet)."""

    def row(self, class_name: str, ref: str) -> Row:
        """The row; raises HANDLE_INVALID."""
        row = self.tables[class_name].rows.get(ref)
        if row is None:
            raise Failure("HANDLE_INVALID", class_name, ref)
        return row

    def find(self, class_name: str, ref: str) -> Row | None:
        """The row or None."""
        return self.tables[class_name].rows.get(ref)

    def get(self, class_name: str, ref: str, field: str) -> Any:
        """A field; raises HANDLE_INVALID, or MESSAGE_METHOD_UNKNOWN where an old pool does not have it."""
        try:
            return self.row(class_name, ref).fields[field]
        except KeyError:
            raise Failure("MESSAGE_METHOD_UNKNOWN", f"{class_name}.get_{field}") from None

    def rows(self, class_name: str) -> Iterable[Row]:
        """All rows of a class."""
        return self.tables[class_name].rows.values()

    def insert(self, class_name: str, ref: str, fields: dict[str, Any], *, complete: bool = True) -> Row:
        """Add an object: ``fields`` over the defaults (``complete`` False: just those, as an old pool has them)."""
        table = self.tables[class_name]
        row = Row(ref, schema.defaults(class_name) | fields if complete else fields, self._next())
        table.rows[ref] = row
        table.recent[ref] = row
        uuid = row.fields.get("uuid")
        if uuid:
            table.by_uuid[uuid] = ref
        for field in schema.REFERRED.get(class_name, ()):
            self._refer(class_name, field, row.fields.get(field, NULL), ref)
        for field in schema.DERIVED.get(class_name, ()):
            self._gather(class_name, field, row)
        self._notify()
        return row

    def _gather(self, class_name: str, field: str, row: Row) -> None:
        """Back references of objects that came before the object they point at (dumps)."""
        early = self._early.pop((class_name, field, row.ref), [])
        if early:
            row.fields[field] = [*row.fields[field], *early]

    def update(self, class_name: str, ref: str, fields: dict[str, Any]) -> bool:
        """Change fields; nothing happens where they have that value already. True if something changed."""
        row = self.row(class_name, ref)
        different = {name: value for name, value in fields.items() if row.fields.get(name) != value}
        if not different:
            return False
        referring = schema.REFERRED.get(class_name, ())
        for field in referring:
            if field in different:
                self._unrefer(class_name, field, row.fields.get(field, NULL), ref)
                self._refer(class_name, field, different[field], ref)
        row.fields = row.fields | different
        self._touch(class_name, row)
        return True

    def touch(self, class_name: str, ref: str) -> None:
        """Make an event for an unchanged object."""
        self._touch(class_name, self.row(class_name, ref))

    def _touch(self, class_name: str, row: Row) -> None:
        table = self.tables[class_name]
        row.modified = self._next()
        row.fragment = None
        if table.recent.pop(row.ref, None) is not None:
            table.recent[row.ref] = row
        self._notify()

    def delete(self, class_name: str, ref: str) -> None:
        """Remove an object; one that is gone is ignored."""
        table = self.tables[class_name]
        row = table.rows.pop(ref, None)
        if row is None:
            return
        table.recent.pop(ref, None)
        uuid = row.fields.get("uuid", "")
        if table.by_uuid.get(uuid) == ref:
            del table.by_uuid[uuid]
        table.deletions.append((self._next(), row.created, ref))
        if len(table.deletions) > _DELETIONS_MOST:
            del table.deletions[:-_DELETIONS_LEAST]
        for field in schema.REFERRED.get(class_name, ()):
            self._unrefer(class_name, field, row.fields.get(field, NULL), ref)
        self._notify()

    def _notify(self) -> None:
        if not self.filling:
            self.changed.notify_all()

    def _next(self) -> int:
        self.generation += 1
        return self.generation

    def _refer(self, class_name: str, field: str, target: str, ref: str) -> None:
        if target == NULL or not target:
            return
        parent, back = schema.RELATIONS[class_name, field]
        row = self.tables[parent].rows.get(target)
        if row is None:
            self._early.setdefault((parent, back, target), []).append(ref)
            return
        known = row.fields[back]
        if len(known) < _LONG:
            if ref in known:
                return
            row.fields = row.fields | {back: [*known, ref]}
        else:
            known.append(ref)  # such a list is ours; copying it for each of 10,000 disks would take seconds
        self._touch(parent, row)

    def _unrefer(self, class_name: str, field: str, target: str, ref: str) -> None:
        parent, back = schema.RELATIONS[class_name, field]
        row = self.tables[parent].rows.get(target)
        if row is not None and ref in row.fields[back]:
            row.fields = row.fields | {back: [other for other in row.fields[back] if other != ref]}
            self._touch(parent, row)
        elif row is None:
            waiting = self._early.get((parent, back, target), [])
            if ref in waiting:
                waiting.remove(ref)

    def wait(self, since: int, timeout_s: float) -> None:
        """Wait until the generation passes ``since`` (or somebody notifies, or the time is up)."""
        with self.changed:
            if self.generation <= since:
                self.changed.wait(timeout_s)
