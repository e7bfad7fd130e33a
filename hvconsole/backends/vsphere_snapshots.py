"""Snapshots: take, revert, delete, look for. Verb threads.

A snapshot is asked for once. Names need not be unique on the server, so everything but the look-up goes by id.
"""

from __future__ import annotations

from hvconsole import whynot
from hvconsole.backends.base import SnapshotSearch, TaskContext
from hvconsole.backends.vsphere_api import vim, vmodl
from hvconsole.backends.vsphere_devices import read_one
from hvconsole.backends.vsphere_names import shown_snapshot_name
from hvconsole.backends.vsphere_outcome import looked_for
from hvconsole.backends.vsphere_power import STATE, machine, state_of, vm_state
from hvconsole.backends.vsphere_records import Readers, Record, SnapshotTree, snapshot_tree, word
from hvconsole.backends.vsphere_refusals import TOOLS_NAME
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_tasks import read_records, read_spec, run_task
from hvconsole.errors import BadPowerState, BadReply, NotFound, Refused, ToolsMissing
from hvconsole.model import ObjectId, PowerState, Snapshot, ToolsState, Verb

_TREE: Readers = {"VirtualMachine": {"snapshot": snapshot_tree}}
_BEFORE: Readers = {"VirtualMachine": {**STATE["VirtualMachine"], **_TREE["VirtualMachine"]}}
_TASKS: Readers = {"Task": {"info.entity": word, "info.state": word, "info.descriptionId": word}}


def take(
    session: Session, vm_id: ObjectId, name: str, description: str, ctx: TaskContext, *, memory: bool, quiesce: bool
) -> Snapshot:
    """Take a snapshot.

    The server silently ignores ``memory`` of a VM that is off and ``quiesce`` without running tools; here both are
    refused instead, so that nobody believes in a snapshot that was not made.
    """
    record = read_one(session, "VirtualMachine", vm_id, _BEFORE)
    state = state_of(record)
    before = _ids(record.get("snapshot"))
    if state.template:
        raise Refused(whynot.kind(Verb.SNAPSHOT, "a template"), code="template")
    if memory and state.power is PowerState.HALTED:
        raise BadPowerState("The VM is shut down, so there is no memory to keep: take a snapshot without memory.")
    if quiesce and state.power is not PowerState.RUNNING:
        raise BadPowerState("The VM isn't running, so the server would ignore quiescing: take a plain snapshot.")
    if quiesce and state.tools is not ToolsState.RUNNING:
        raise ToolsMissing(whynot.tools_missing(Verb.SNAPSHOT_QUIESCE, TOOLS_NAME), code="tools")
    if memory and quiesce:
        # with both set the server keeps the memory and skips the quiescing
        raise Refused("A snapshot holds either the memory or quieted file systems, not both: choose one.")
    vm = machine(session, vm_id)

    def look() -> bool | None:
        search = find(session, vm_id, name)
        if any(snapshot.id not in before for snapshot in search.found):
            return True
        return None if search.running else False

    with looked_for(name, "snapshot", look):
        made = run_task(session, ctx, lambda: vm.CreateSnapshot_Task(name, description, memory, quiesce))
    for snapshot in tree(session, vm_id).snapshots:
        if snapshot.id == made:
            if quiesce and snapshot.quiesced is False:
                ctx.progress(1.0, "Taken, but the server did not quiesce the guest.")
            return snapshot
    raise BadReply("The snapshot was taken, but the server doesn't list it.", made)


def _ids(found: SnapshotTree | None) -> frozenset[str]:
    return frozenset() if found is None else frozenset(snapshot.id for snapshot in found.snapshots)


def tree(session: Session, vm_id: ObjectId) -> SnapshotTree:
    """All snapshots of a VM, asked afresh. Raises ``NotFound``."""
    records = read_records(session, [("VirtualMachine", vm_id)], _TREE)
    if not records:
        raise NotFound("It no longer exists on the server.")
    found: SnapshotTree | None = records[0].get("snapshot")
    return found or SnapshotTree("", ())


def find(session: Session, vm_id: ObjectId, name: str) -> SnapshotSearch:
    """Finished snapshots of that name, and whether one is being taken on the VM right now.

    The tasks are looked at before the tree, so one that ends meanwhile is found in one or the other.
    """
    vm_state(session, vm_id)
    running = under_way(session, vm_id, "createsnapshot")
    names = (name, shown_snapshot_name(name))
    found = tuple(snapshot for snapshot in tree(session, vm_id).snapshots if snapshot.name in names)
    return SnapshotSearch(found=found, running=running)


def under_way(session: Session, vm_id: ObjectId, word: str) -> bool:
    """Whether a task whose kind has ``word`` in its name waits or runs on a VM."""
    return any(
        task.get("info.entity") == vm_id
        and task.get("info.state") in ("running", "queued")
        and word in task.get("info.descriptionId", "").lower()
        for task in _recent_tasks(session, vm_id)
    )


def _recent_tasks(session: Session, vm_id: ObjectId) -> list[Record]:
    """Tasks that the VM and the server as a whole list; a task may be forgotten at any moment, so in one question."""
    query = vmodl.query.PropertyCollector
    starts = []
    for start, kind in ((machine(session, vm_id), vim.VirtualMachine), (session.content.taskManager, vim.TaskManager)):
        if start is not None:
            step = query.TraversalSpec(name="tasks", type=kind, path="recentTask", skip=False)
            starts.append(query.ObjectSpec(obj=start, skip=True, selectSet=[step]))
    paths = query.PropertySpec(type=vim.Task, pathSet=list(_TASKS["Task"]), all=False)
    return read_spec(session, query.FilterSpec(objectSet=starts, propSet=[paths]), _TASKS)


def revert(session: Session, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext) -> None:
    """Put the VM back to the snapshot's state; one with memory runs again afterwards."""
    _require(session, vm_id, snapshot_id)
    snapshot = session.object(vim.vm.Snapshot, snapshot_id)
    run_task(session, ctx, lambda: snapshot.RevertToSnapshot_Task(None, None))


def delete(session: Session, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext, *, children: bool) -> None:
    """Delete a snapshot; its changes are merged into what is left."""
    _require(session, vm_id, snapshot_id)
    snapshot = session.object(vim.vm.Snapshot, snapshot_id)
    run_task(session, ctx, lambda: snapshot.RemoveSnapshot_Task(children, None))


def _require(session: Session, vm_id: ObjectId, snapshot_id: ObjectId) -> None:
    if all(snapshot.id != snapshot_id for snapshot in tree(session, vm_id).snapshots):
        raise NotFound("The snapshot no longer exists on the server.")
