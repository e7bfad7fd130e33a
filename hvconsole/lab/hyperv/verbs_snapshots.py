"""Msvm_VirtualSystemSnapshotService: create, apply, destroy, destroy with everything below."""

from __future__ import annotations

import datetime as dt

from hvconsole.lab import errors, power, snapshots
from hvconsole.lab.hyperv.instance import Ref
from hvconsole.lab.hyperv.methods import (
    INVALID_PARAMETER,
    INVALID_STATE,
    Call,
    Method,
    Output,
    ReturnValue,
    settings_ref,
)
from hvconsole.lab.objects import Power, Snapshot, Vm
from hvconsole.lab.tasks import Task

_DISABLED, _PRODUCTION, _PRODUCTION_ONLY = 2, 3, 4
_APPLICATION_CONSISTENT, _CRASH_CONSISTENT = 1, 2


def create_snapshot(call: Call) -> Output:
    """CreateSnapshot: kind 2 is a full one. What it becomes depends on the settings given, or else on the VM's."""
    world = call.picture.world
    if call.parameters.number("SnapshotType") not in (2, 3):
        raise ReturnValue(INVALID_PARAMETER)
    settings = call.parameters.instances("SnapshotSettings") if call.parameters.text("SnapshotSettings") else []
    with world.lock:
        vm = call.vm("AffectedSystem")
        chosen = int(vm.extra.get("snapshot_type", _PRODUCTION))
        if chosen == _DISABLED:
            raise ReturnValue(INVALID_STATE)
        power.check(world, vm, "snapshot")
        memory, quiesce = _kind(vm, chosen, settings[0].number("ConsistencyLevel") if settings else None)
        stamp = dt.datetime.fromtimestamp(world.now(), dt.UTC)
        name = f"{vm.name} - ({stamp:%m/%d/%Y - %I:%M:%S %p})"

    def work(task: Task) -> Ref:
        made = snapshots.take(world, vm.id, name, memory=memory, quiesce=quiesce, task=task)
        with world.lock:
            return settings_ref(world.snapshot(made))

    return call.job("snapshot", work, vm.id, job_type=70, ResultingSnapshot=None)


def _kind(vm: Vm, chosen: int, level: int | None) -> tuple[bool, bool]:
    """(with memory, quiesced)."""
    able = vm.guest.tools_running
    if level == _APPLICATION_CONSISTENT or chosen == _PRODUCTION_ONLY:
        if vm.power is Power.RUNNING and not able:
            raise ReturnValue(32777)
        return False, vm.power is Power.RUNNING
    standard = level == _CRASH_CONSISTENT or chosen not in (_PRODUCTION, _PRODUCTION_ONLY) or not able
    if standard:
        return vm.power in (Power.RUNNING, Power.PAUSED, Power.SUSPENDED), False
    return False, vm.power is Power.RUNNING


def _snapshot(call: Call, name: str) -> Snapshot:
    found = call.settings(name)
    if not isinstance(found, Snapshot):
        raise ReturnValue(INVALID_PARAMETER)
    return found


def apply_snapshot(call: Call) -> Output:
    """ApplySnapshot: the VM must be off or saved."""
    world = call.picture.world
    with world.lock:
        snapshot = _snapshot(call, "Snapshot")
        vm = world.vm(snapshot.vm_id)
        if vm.power not in (Power.HALTED, Power.SUSPENDED):
            raise ReturnValue(INVALID_STATE)
        power.check(world, vm, "revert")

    def work(task: Task) -> None:
        snapshots.revert(world, snapshot.id, task=task)

    return call.job("revert", work, vm.id, settings_ref(snapshot), job_type=71)


def destroy_snapshot(call: Call) -> Output:
    """DestroySnapshot: its children move up."""
    return _destroy(call, _snapshot(call, "AffectedSnapshot"), tree=False)


def destroy_tree(call: Call) -> Output:
    """DestroySnapshotTree."""
    return _destroy(call, _snapshot(call, "SnapshotSettingData"), tree=True)


def _destroy(call: Call, snapshot: Snapshot, *, tree: bool) -> Output:
    world = call.picture.world
    if snapshot.operations:
        raise errors.Busy(snapshot.id, dict(snapshot.operations))

    def work(task: Task) -> None:
        snapshots.delete(world, snapshot.id, with_children=tree, task=task)

    return call.job("delete_snapshot", work, snapshot.vm_id, job_type=72)


METHODS = {
    "Msvm_VirtualSystemSnapshotService": {
        "CreateSnapshot": Method(
            create_snapshot,
            ("AffectedSystem", "SnapshotSettings", "SnapshotType", "ResultingSnapshot"),
            ("ResultingSnapshot", "Job"),
        ),
        "ApplySnapshot": Method(apply_snapshot, ("Snapshot",), ("Job",)),
        "DestroySnapshot": Method(destroy_snapshot, ("AffectedSnapshot",), ("Job",)),
        "DestroySnapshotTree": Method(destroy_tree, ("SnapshotSettingData",), ("Job",)),
    },
}
