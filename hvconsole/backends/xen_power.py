"""Power verbs of a VM. Blocks; any worker thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hvconsole.backends.base import TaskContext
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xen_tables import Tables
from hvconsole.backends.xen_tasks import LONG_TASK_LIMIT_S, Tasks
from hvconsole.errors import HostUnavailable, HvError, OperationError
from hvconsole.model import ObjectId
from hvconsole.text import safe_text

NO_HOST = "NO_HOSTS_AVAILABLE"
_ASKED, _NAMED = 16, 4
"""So many hosts are asked why a VM can't run on them, and so many answers fit into a sentence; the rest is detail."""


class Power:
    """Each method returns when the server's task has ended well."""

    def __init__(self, session: XenSession, objects: Objects, tasks: Tasks, tables: Tables) -> None:
        self._session = session
        self._objects = objects
        self._tasks = tasks
        self._tables = tables

    def start(self, vm_id: ObjectId, ctx: TaskContext, host_id: ObjectId | None) -> None:
        vm = self._objects.vm(vm_id)
        if host_id is None:
            with self._explaining(vm):
                self._tasks.run(ctx, "VM.start", vm, False, False)
        else:
            self._tasks.run(ctx, "VM.start_on", vm, self._objects.ref("host", host_id), False, False)

    def resume(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        vm = self._objects.vm(vm_id)
        with self._explaining(vm):
            self._tasks.run(ctx, "VM.resume", vm, False, False)

    @contextmanager
    def _explaining(self, vm: str) -> Iterator[None]:
        """That no host can run the VM is all that xapi says by itself; each host knows its own reason."""
        try:
            yield
        except HostUnavailable as exc:
            reasons = self._reasons(vm) if exc.code == NO_HOST else []
            if reasons:
                exc.user_text = " ".join([exc.user_text, *reasons[:_NAMED]])
                exc.detail = "\n".join([exc.detail, *reasons])
            raise

    def _reasons(self, vm: str) -> list[str]:
        """ "alpha: The host is disabled (in maintenance)." for every host that has a reason."""
        found = []
        hosts = sorted(list(self._tables.host.items()), key=lambda item: item[1].name)
        for ref, row in hosts[:_ASKED]:
            try:
                self._session.call("VM.assert_can_boot_here", vm, ref)
            except OperationError as exc:
                found.append(f"{safe_text(row.name, 60)}: {exc.user_text}")
            except HvError:
                break  # the connection is gone; what it was about is known already
        return found

    def simple(self, operation: str, vm_id: ObjectId, ctx: TaskContext) -> None:
        """An operation without further arguments: clean_shutdown, hard_shutdown, suspend, pause …"""
        self._tasks.run(ctx, f"VM.{operation}", self._objects.vm(vm_id))

    def migrate(self, vm_id: ObjectId, host_id: ObjectId, ctx: TaskContext) -> None:
        vm, host = self._objects.vm(vm_id), self._objects.ref("host", host_id)
        self._tasks.run(ctx, "VM.pool_migrate", vm, host, {"live": "true"}, limit_s=LONG_TASK_LIMIT_S)
