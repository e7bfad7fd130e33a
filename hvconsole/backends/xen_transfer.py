"""Exporting a VM into an XVA file and importing one. Blocks for as long as it takes; any worker thread.

The HTTP transfer says nothing about success: an export that breaks off looks complete. The task decides.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NoReturn

from hvconsole.backends import xen_fields as f
from hvconsole.backends.base import TaskContext
from hvconsole.backends.wire import Sink
from hvconsole.backends.xen_http import Http
from hvconsole.backends.xen_life import check_name
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xen_snapshots import Snapshots
from hvconsole.backends.xen_tasks import LONG_TASK_LIMIT_S, Tasks
from hvconsole.clock import Clock
from hvconsole.errors import (
    BadPowerState,
    HvError,
    InvalidInput,
    LocalError,
    OutcomeUnknown,
    Refused,
    SessionLost,
    TaskCancelled,
    TaskTimeout,
    Unreachable,
)
from hvconsole.model import ObjectId
from hvconsole.user_files import check_source, guarded, part_file

log = logging.getLogger(__name__)

_REPORT_S = 0.5
_END_S = 10.0
"""How long the server may take to end a task whose transfer is over."""


class Transfer:
    """Export and import."""

    def __init__(
        self, session: XenSession, objects: Objects, tasks: Tasks, http: Http, snapshots: Snapshots, clock: Clock
    ) -> None:
        self._session = session
        self._objects = objects
        self._tasks = tasks
        self._http = http
        self._snapshots = snapshots
        self._clock = clock

    def export(self, vm_id: ObjectId, path: Path, ctx: TaskContext, *, compress: bool) -> None:
        vm = self._objects.vm(vm_id)
        record = self._objects.record("VM", vm)
        if f.power(record).value not in ("halted", "suspended"):
            raise BadPowerState("Only a VM that is shut down or suspended can be exported.")
        ctx.raise_if_cancelled()
        with part_file(path) as file:
            task = self._tasks.create(f"Export of VM {f.text(record, 'uuid')}")
            query = {"ref": vm, "task_id": task}
            if compress:
                query["use_compression"] = "true"
            try:
                self._http.download("/export", query, self._reporting(guarded(file.write, path), task, ctx), ctx)
            except Exception as exc:  # noqa: BLE001 - raised again by _give_up
                self._give_up(task, exc)
            self._tasks.follow(ctx, task, limit_s=LONG_TASK_LIMIT_S)
            if file.tell() == 0:
                raise Refused("The server reported success but sent an empty file.")

    def import_file(
        self,
        path: Path,
        ctx: TaskContext,
        *,
        name: str,
        storage_id: ObjectId | None,
        host_id: ObjectId | None,
        network_id: ObjectId | None,
    ) -> ObjectId:
        """Returns the new VM's id; a VM that came over but could not be set up is removed again."""
        if name:
            check_name(name)
        storage = self._objects.ref("SR", storage_id) if storage_id else None
        host = self._objects.ref("host", host_id) if host_id else None
        network = self._objects.ref("network", network_id) if network_id else None
        check_source(path)
        try:
            source = path.open("rb")
        except OSError as exc:
            raise LocalError(f"The file {path} can't be read.", str(exc)) from exc
        with source:
            size = path.stat().st_size
            if size == 0:
                raise InvalidInput("The file is empty.")
            ctx.raise_if_cancelled()
            task = self._tasks.create(f"Import of {path.name[:100].encode('ascii', 'replace').decode()}")
            query = {"task_id": task}
            if storage is not None:
                query["sr_id"] = storage
            try:
                self._http.upload(
                    "/import", query, source, size, ctx, lambda done: ctx.progress(0.95 * done / size, "Sending"),
                    storage=storage or self._objects.default_storage(),
                )  # fmt: skip
            except Exception as exc:  # noqa: BLE001 - raised again by _give_up
                self._give_up(task, exc)
        made = self._tasks.follow(ctx, task, limit_s=LONG_TASK_LIMIT_S)
        refs = made if isinstance(made, list) else [made]
        if not refs or not isinstance(refs[0], str):
            raise OutcomeUnknown("The file was imported, but the server didn't say what it made.")
        vm: str = refs[0]
        try:
            self._set_up(vm, name, host, network)
            return self._objects.id("VM", vm)
        except HvError:
            self._remove(vm)
            raise

    def _set_up(self, vm: str, name: str, host: str | None, network: str | None) -> None:
        if name:
            self._session.call("VM.set_name_label", vm, name, write=True)
        if host is not None:
            self._session.call("VM.set_affinity", vm, host, write=True)
        if network is None:
            return
        for vif in f.refs(self._objects.record("VM", vm), "VIFs"):
            old = self._objects.record("VIF", vif)
            self._session.call("VIF.destroy", vif, write=True)
            self._session.call(
                "VIF.create",
                {
                    "device": f.text(old, "device"),
                    "network": network,
                    "VM": vm,
                    "MAC": f.text(old, "MAC"),
                    "MTU": str(f.size(old, "MTU") or 1500),
                    "other_config": {},
                    "qos_algorithm_type": "",
                    "qos_algorithm_params": {},
                },
                write=True,
            )

    def _remove(self, vm: str) -> None:
        try:
            self._snapshots.destroy_with_disks(vm, TaskContext())
        except HvError:
            log.warning("an imported VM could not be removed again", exc_info=True)

    def _give_up(self, task: str, exc: Exception) -> NoReturn:
        """The transfer broke or was cancelled: end its task, prefer the task's reason to a broken pipe, and raise."""
        self._tasks.cancel(task)
        try:
            self._tasks.follow(TaskContext(), task, limit_s=_END_S)
        except (TaskCancelled, TaskTimeout, OutcomeUnknown, Unreachable, SessionLost):
            raise exc from None
        except HvError as reason:
            if isinstance(exc, Unreachable | OutcomeUnknown):
                raise reason from exc
            raise exc from None
        raise OutcomeUnknown(
            "The transfer broke off, but the server says that it finished. Look before you try again."
        ) from exc

    def _reporting(self, write: Sink, task: str, ctx: TaskContext) -> Sink:
        """``write`` that also reports progress, which a download without length has only in its task."""
        next_look = self._clock.monotonic() + _REPORT_S

        def sink(piece: bytes) -> None:
            nonlocal next_look
            write(piece)
            if self._clock.monotonic() < next_look:
                return
            next_look = self._clock.monotonic() + _REPORT_S
            try:
                progress = self._session.call("task.get_progress", task)
            except HvError:
                return  # the transfer itself will say what is wrong
            if isinstance(progress, float):
                ctx.progress(progress, "Receiving")

        return sink
