"""Power verbs of a VM. Blocks; any worker thread."""

from __future__ import annotations

from hvconsole.backends.base import TaskContext
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_tasks import LONG_TASK_LIMIT_S, Tasks
from hvconsole.model import ObjectId


class Power:
    """Each method returns when the server's task has ended well."""

    def __init__(self, objects: Objects, tasks: Tasks) -> None:
        self._objects = objects
        self._tasks = tasks

    def start(self, vm_id: ObjectId, ctx: TaskContext, host_id: ObjectId | None) -> None:
        vm = self._objects.vm(vm_id)
        if host_id is None:
            self._tasks.run(ctx, "VM.start", vm, False, False)
        else:
            self._tasks.run(ctx, "VM.start_on", vm, self._objects.ref("host", host_id), False, False)

    def resume(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._tasks.run(ctx, "VM.resume", self._objects.vm(vm_id), False, False)

    def simple(self, operation: str, vm_id: ObjectId, ctx: TaskContext) -> None:
        """An operation without further arguments: clean_shutdown, hard_shutdown, suspend, pause …"""
        self._tasks.run(ctx, f"VM.{operation}", self._objects.vm(vm_id))

    def migrate(self, vm_id: ObjectId, host_id: ObjectId, ctx: TaskContext) -> None:
        vm, host = self._objects.vm(vm_id), self._objects.ref("host", host_id)
        self._tasks.run(ctx, "VM.pool_migrate", vm, host, {"live": "true"}, limit_s=LONG_TASK_LIMIT_S)
