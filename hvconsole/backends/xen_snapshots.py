"""Taking, finding, reverting to and deleting snapshots. Blocks; any worker thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from hvconsole.backends import xen_fields as f
from hvconsole.backends.base import SnapshotSearch, TaskContext
from hvconsole.backends.wire_calls import READ
from hvconsole.backends.xen_build import build_snapshot
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_rows import vm_row
from hvconsole.backends.xen_session import ORIGINATOR, XenSession
from hvconsole.backends.xen_tables import Tables
from hvconsole.backends.xen_tasks import TaskForgotten, Tasks
from hvconsole.errors import (
    BadReply,
    HvError,
    InvalidInput,
    NotFound,
    OperationError,
    OutcomeUnknown,
    Refused,
    TaskCancelled,
    Unreachable,
)
from hvconsole.model import AUTOMATIC_MARK, ObjectId, Snapshot
from hvconsole.text import unsendable

log = logging.getLogger(__name__)

MARK_KEY = "hvconsole_automatic"
"""Key in other_config of snapshots that the monitor took; the description carries the mark too."""

SETTLE_S = 0.1
"""How long a task that was just accepted may need until its VM shows it."""

_TAKING = frozenset({"snapshot", "checkpoint", "snapshot_with_quiesce"})
_TAKING_TASKS = frozenset(f"{prefix}VM.{name}" for prefix in ("Async.", "") for name in _TAKING)


class Snapshots:
    """Snapshot verbs of one server."""

    def __init__(self, session: XenSession, objects: Objects, tasks: Tasks, tables: Tables) -> None:
        self._session = session
        self._objects = objects
        self._tasks = tasks
        self._tables = tables
        self._pause = threading.Event()  # never set: a wait with a limit

    def take(
        self, vm_id: ObjectId, name: str, description: str, ctx: TaskContext, *, memory: bool, quiesce: bool
    ) -> Snapshot:
        """Sent once. Raises what the server refuses; ``OutcomeUnknown`` where the reply was lost."""
        problem = unsendable(name) or unsendable(description)
        if problem:
            raise InvalidInput(problem)
        if memory and quiesce:
            raise InvalidInput("A snapshot either holds the memory or is quiesced, not both.")
        vm = self._objects.vm(vm_id)
        operation = "checkpoint" if memory else "snapshot_with_quiesce" if quiesce else "snapshot"
        before = frozenset(self._tables.snapshots_of.get(vm, ()))
        try:
            made = self._tasks.run(ctx, f"VM.{operation}", vm, name)
        except TaskForgotten as exc:
            made = self._made_since(before, vm, name)
            if made is None:
                raise
            log.info("the task of a finished snapshot was forgotten: %s", exc.detail)
        if not isinstance(made, str):
            raise OutcomeUnknown("The snapshot was taken, but the server didn't say which one it is.")
        # without it, xapi leaves the VM's own description on the snapshot
        automatic = description.startswith(AUTOMATIC_MARK)
        try:
            self._describe(made, description)
        except OperationError as exc:
            if not automatic:
                sentence = "The snapshot was taken, but the server refused to set its description."
                raise Refused(sentence, exc.detail or exc.user_text) from exc
            log.warning("the automatic snapshot was taken but could not be described: %s", exc.detail or exc.user_text)
        if automatic:
            self._mark(made)
        return self._snapshot(made, vm)

    def _made_since(self, before: frozenset[str], vm: str, name: str) -> str | None:
        """The one snapshot of that name that was not there before; None if there is not exactly one."""
        try:
            new = [ref for ref, _record in self._records_named(vm, name) if ref not in before]
        except HvError:
            log.debug("the snapshot can't be looked for", exc_info=True)
            return None
        return new[0] if len(new) == 1 else None

    def describe(self, vm_id: ObjectId, snapshot_id: ObjectId, description: str) -> None:
        """Set description and, on an automatic snapshot, the mark."""
        snapshot = self._snapshot_ref(vm_id, snapshot_id)
        self._describe(snapshot, description)
        if description.startswith(AUTOMATIC_MARK):
            self._mark(snapshot)

    def revert(self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext) -> None:
        snapshot = self._snapshot_ref(vm_id, snapshot_id)
        self._tasks.run(ctx, "VM.revert", snapshot)

    def delete(self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext, *, children: bool) -> None:
        """Delete leaves first, so that a failure half way leaves a tree."""
        snapshot = self._snapshot_ref(vm_id, snapshot_id)
        going = [snapshot, *(self._descendants(vm_id, snapshot) if children else [])]
        for done, ref in enumerate(reversed(going)):
            ctx.raise_if_cancelled()
            ctx.progress(done / len(going))
            self.destroy_with_disks(ref, ctx)

    def destroy_with_disks(self, ref: str, ctx: TaskContext) -> None:
        """Destroy a snapshot and those of its disks that nobody else uses; one that is gone is fine."""
        try:
            disks = self._objects.disks_of(self._objects.record("VM", ref))
        except NotFound:
            return
        self._tasks.run(ctx, "VM.destroy", ref)
        self.destroy_disks(disks, [ref], ctx)

    def destroy_disks(self, disks: Mapping[str, str], going: list[str], ctx: TaskContext) -> None:
        """Destroy disks whose VMs (``going``) were just deleted, except those that others use.

        All are tried; raises ``Refused`` at the end if the server kept some.
        """
        kept: list[str] = []
        for vdi in disks:
            if self._objects.used_by_others(vdi, going):
                continue
            try:
                self._tasks.run(TaskContext(), "VDI.destroy", vdi)
            except NotFound:
                continue
            except TaskCancelled:
                kept.append("cancelled on the server")
            except HvError as exc:
                if isinstance(exc, OutcomeUnknown | Unreachable):
                    raise
                kept.append(exc.detail or exc.user_text)
        ctx.progress(1.0)
        if kept:
            raise Refused(f"It was deleted, but {len(kept)} of its disks stay on the storage.", "; ".join(kept)[:1000])

    def find(self, vm_id: ObjectId, name: str) -> SnapshotSearch:
        """Finished ones, then running ones, then finished ones again: one that ends meanwhile is seen either way."""
        vm = self._objects.vm(vm_id)
        first = self._named(vm, name)
        running = self._is_running(vm)
        found = first or self._named(vm, name)
        return SnapshotSearch(found=tuple(found), running=running)

    # ---- details -------------------------------------------------------------------------------------------

    def _named(self, vm: str, name: str) -> list[Snapshot]:
        return [
            build_snapshot(ref, vm_row(record), self._parent(record)) for ref, record in self._records_named(vm, name)
        ]

    def _records_named(self, vm: str, name: str) -> list[tuple[str, Mapping[str, Any]]]:
        if unsendable(name):
            raise InvalidInput(unsendable(name) or "")
        refs = self._session.call("VM.get_by_name_label", name)
        if not isinstance(refs, list):
            raise BadReply("The server's list of VMs can't be read.")
        found = []
        for ref in refs:
            try:
                record = self._objects.record("VM", str(ref))
            except NotFound:
                continue
            if f.flag(record, "is_a_snapshot") and f.ref(record, "snapshot_of") == vm:
                found.append((str(ref), record))
        return found

    def _is_running(self, vm: str) -> bool:
        """Whether a snapshot of ``vm`` is under way, or was asked for and has not come to any VM yet."""
        record = self._objects.record("VM", vm)
        current = f.texts(record, "current_operations")
        if _TAKING & set(current.values()):
            return True
        try:
            tasks = self._session.call("task.get_all_records", limits=READ)
        except HvError:
            log.debug("tasks can't be listed", exc_info=True)
            return False
        if not isinstance(tasks, dict):
            return False
        waiting = [
            ref
            for ref, task in tasks.items()
            if isinstance(task, dict)
            and f.text(task, "name_label") in _TAKING_TASKS
            and f.text(task, "status").lower() == "pending"
        ]
        if not waiting:
            return False
        # A task names no VM; but once it works on one, that VM's current_operations name the task. One that nobody
        # works on yet can be ours: it has just come, or it waits because our VM is busy with something else.
        taken = {task for other, row in list(self._tables.vm.items()) if other != vm for task in row.tasks}
        taken |= {task for task, other in self._tasks.subjects().items() if other != vm}
        if all(ref in taken for ref in waiting):
            return False
        if current:
            return True
        self._pause.wait(SETTLE_S)
        return bool(_TAKING & set(f.texts(self._objects.record("VM", vm), "current_operations").values()))

    def _describe(self, snapshot: str, description: str) -> None:
        for attempt in (1, 2):
            try:
                self._session.call("VM.set_name_description", snapshot, description, write=True)
                return
            except (OutcomeUnknown, Unreachable) as exc:
                # Setting the same text twice is harmless.
                if attempt == 2:
                    raise OutcomeUnknown(
                        "The snapshot was taken, but its description may be missing.", exc.detail
                    ) from exc

    def _mark(self, snapshot: str) -> None:
        try:
            self._session.call("VM.add_to_other_config", snapshot, MARK_KEY, ORIGINATOR, write=True)
        except HvError:
            log.warning("the automatic snapshot could not be marked; its description says it", exc_info=True)

    def _snapshot(self, ref: str, vm: str) -> Snapshot:
        record = self._objects.record("VM", ref)
        if f.ref(record, "snapshot_of") != vm:
            log.warning("the server returned a snapshot that belongs to another VM")
        return build_snapshot(ref, vm_row(record), self._parent(record))

    def _parent(self, record: Mapping[str, Any]) -> str | None:
        row = self._tables.vm.get(f.ref(record, "parent"))
        return row.uuid if row is not None and row.is_snapshot else None

    def _snapshot_ref(self, vm_id: ObjectId, snapshot_id: ObjectId) -> str:
        """The snapshot's reference, if it is one of that VM: its ids come from people and may be mixed up."""
        ref = self._objects.vm(snapshot_id)
        record = self._objects.record("VM", ref)
        if not f.flag(record, "is_a_snapshot"):
            raise NotFound("This is not a snapshot.")
        if f.ref(record, "snapshot_of") != self._objects.vm(vm_id):
            raise NotFound("This VM has no such snapshot.")
        return ref

    def _descendants(self, vm_id: ObjectId, snapshot: str) -> list[str]:
        """Snapshots of the VM below ``snapshot``, parents before children."""
        records = self._session.call("VM.get_snapshots", self._objects.vm(vm_id))
        parents = {}
        for ref in records if isinstance(records, list) else []:
            try:
                parents[str(ref)] = f.ref(self._objects.record("VM", str(ref)), "parent")
            except NotFound:
                continue
        found = [snapshot]
        for ref in found:
            found += [child for child, parent in parents.items() if parent == ref and child not in found]
        return found[1:]
