"""Cloning, renaming, deleting VMs and templates. Blocks; any worker thread."""

from __future__ import annotations

import logging

from hvconsole.backends import xen_fields as f
from hvconsole.backends.base import TaskContext
from hvconsole.backends.xen_fields import NULL
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_refusals import to_vm_refusal
from hvconsole.backends.xen_rows import kind_of
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xen_snapshots import Snapshots
from hvconsole.backends.xen_tables import Tables
from hvconsole.backends.xen_tasks import LONG_TASK_LIMIT_S, Tasks
from hvconsole.errors import BadPowerState, InvalidInput, NotFound, OutcomeUnknown, Refused
from hvconsole.model import ObjectId, VmKind
from hvconsole.text import unsendable

log = logging.getLogger(__name__)


class Life:
    """Verbs that make and remove VMs."""

    def __init__(
        self,
        session: XenSession,
        objects: Objects,
        tasks: Tasks,
        tables: Tables,
        snapshots: Snapshots,
    ) -> None:
        self._session = session
        self._objects = objects
        self._tasks = tasks
        self._tables = tables
        self._snapshots = snapshots

    # ---- names ---------------------------------------------------------------------------------------------

    def rename(self, vm_id: ObjectId, name: str, ctx: TaskContext, description: str | None) -> None:
        check_name(name)
        if description is not None and unsendable(description):
            raise InvalidInput(unsendable(description) or "")
        vm = self._objects.vm(vm_id)
        ctx.raise_if_cancelled()
        self._session.call("VM.set_name_label", vm, name, write=True)
        if description is not None:
            self._session.call("VM.set_name_description", vm, description, write=True)

    def to_template(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        vm = self._objects.vm(vm_id)
        if f.power(self._objects.record("VM", vm)).value != "halted":
            raise BadPowerState("Only a VM that is shut down can become a template.")
        ctx.raise_if_cancelled()
        self._session.call("VM.set_is_a_template", vm, True, write=True)

    def to_vm(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        vm = self._objects.vm(vm_id)
        kind = kind_of(self._objects.record("VM", vm))
        if kind is not VmKind.TEMPLATE:
            raise Refused(to_vm_refusal(kind, ()) or "", code="no-template")
        ctx.raise_if_cancelled()
        self._session.call("VM.set_is_a_template", vm, False, write=True)

    # ---- copies --------------------------------------------------------------------------------------------

    def clone(
        self,
        vm_id: ObjectId,
        name: str,
        ctx: TaskContext,
        *,
        full: bool,
        storage_id: ObjectId | None,
        snapshot_id: ObjectId | None,
    ) -> ObjectId:
        check_name(name)
        if storage_id is not None and not full:
            raise InvalidInput("A quick clone stays on its storage; choose a full copy to put it elsewhere.")
        source = self._objects.vm(snapshot_id or vm_id)
        if full:
            storage = NULL if storage_id is None else self._objects.ref("SR", storage_id)
            result = self._tasks.run(ctx, "VM.copy", source, name, storage, limit_s=LONG_TASK_LIMIT_S)
        else:
            result = self._tasks.run(ctx, "VM.clone", source, name)
        ref = made(result)
        if snapshot_id is not None:
            # what comes out of a snapshot is a template until told otherwise
            self._session.call("VM.set_is_a_template", ref, False, write=True)
        return self._objects.id("VM", ref)

    # ---- deleting ------------------------------------------------------------------------------------------

    def delete(self, vm_id: ObjectId, ctx: TaskContext, keep_disks: frozenset[ObjectId]) -> None:
        """The VM first, then its snapshots, then disks: a failure half way must not leave a VM without its disks."""
        vm = self._objects.vm(vm_id)
        record = self._objects.record("VM", vm)
        snapshots = [ref for ref in f.refs(record, "snapshots")]
        disks = self._without(self._objects.disks_of(record), keep_disks)
        snapshot_disks: dict[str, str] = {}
        for ref in snapshots:
            try:
                snapshot_disks |= self._objects.disks_of(self._objects.record("VM", ref))
            except NotFound:
                continue
        ctx.progress(None, "Deleting the VM")
        self._tasks.run(ctx, "VM.destroy", vm)
        # From here on nothing stops it: half a deletion helps nobody.
        rest = TaskContext()
        for ref in snapshots:
            ctx.progress(None, "Deleting its snapshots")
            try:
                self._tasks.run(rest, "VM.destroy", ref)
            except NotFound:
                continue
        ctx.progress(None, "Deleting its disks")
        snapshot_disks = self._without(snapshot_disks, keep_disks)
        self._snapshots.destroy_disks({**disks, **snapshot_disks}, [vm, *snapshots], ctx)

    def _without(self, disks: dict[str, str], keep: frozenset[ObjectId]) -> dict[str, str]:
        if not keep:
            return disks
        return {vdi: vbd for vdi, vbd in disks.items() if self._disk_id(vdi) not in keep}

    def _disk_id(self, vdi: str) -> ObjectId:
        row = self._tables.vdi.get(vdi)
        if row is not None:
            return ObjectId(row.uuid or vdi)
        try:
            return self._objects.id("VDI", vdi)
        except NotFound:
            return ObjectId(vdi)


def check_name(name: str) -> None:
    """Raise ``InvalidInput`` for a name that cannot be sent or is empty."""
    if not name.strip():
        raise InvalidInput("Enter a name.")
    problem = unsendable(name)
    if problem:
        raise InvalidInput(problem)


def made(result: object) -> str:
    """The reference that a task made; ``OutcomeUnknown`` if it is none."""
    if not isinstance(result, str) or not result:
        raise OutcomeUnknown("It was done, but the server didn't say what it made.")
    return result
