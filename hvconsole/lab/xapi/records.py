"""Records of networks, storages, disks and tasks as xapi would show them. Called with ``world.lock`` held.

A function gives the rows that an object of the world stands for: class, reference, the fields that the world decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hvconsole.lab import errors
from hvconsole.lab.objects import Disk, Network, Site, Storage
from hvconsole.lab.tasks import Task, TaskStatus
from hvconsole.lab.world import World
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.failures import Failure, from_world
from hvconsole.lab.xapi.values import EPOCH, NULL, date

Rows = list[tuple[str, str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Context:
    """What a projection needs to know beyond the object."""

    world: World
    site: Site
    pool_ref: str

    def ref(self, world_id: str | None) -> str:
        """The reference of a world object by id; NULL for None."""
        if not world_id:
            return NULL
        world = self.world
        for table in (world.vms, world.disks, world.snapshots, world.hosts, world.storages, world.networks):
            obj = table.get(world_id)
            if obj is not None:
                return refs.ref(obj)
        return refs.ref_of_id(world_id)


def network_rows(_context: Context, network: Network) -> Rows:
    """A network."""
    return [
        (
            "network",
            refs.ref(network),
            {
                "uuid": refs.uuid(network),
                "name_label": network.name,
                "name_description": network.description,
                "allowed_operations": [],
                "bridge": network.bridge,
                "managed": True,
                "MTU": network.mtu,
                "default_locking_mode": "unlocked",
                "purpose": [],
                "other_config": {},
                "tags": [],
            },
        )
    ]


_STORAGE_TYPES = {"nfs": "nfs", "iso": "iso", "ext": "ext", "lvm": "lvm", "lvmoiscsi": "lvmoiscsi", "zfs": "zfs"}


def storage_rows(context: Context, storage: Storage) -> Rows:
    """A storage with its plugs to hosts."""
    ref = refs.ref(storage)
    rows: Rows = [
        (
            "SR",
            ref,
            {
                "uuid": refs.uuid(storage),
                "name_label": storage.name,
                "name_description": storage.description,
                "allowed_operations": [
                    "vdi_create",
                    "vdi_destroy",
                    "vdi_clone",
                    "vdi_snapshot",
                    "scan",
                    "update",
                    "plug",
                    "unplug",
                ],
                "type": _STORAGE_TYPES.get(storage.kind, storage.kind),
                "content_type": "iso" if storage.holds_iso else "user",
                "shared": storage.shared,
                "physical_size": storage.size_bytes,
                "physical_utilisation": storage.used_bytes,
                "virtual_allocation": storage.used_bytes,
                "is_tools_sr": False,
            },
        )
    ]
    if "refs" in storage.extra:
        return rows
    known = set(storage.extra.setdefault("plugged_once", [])) | set(storage.host_ids)
    storage.extra["plugged_once"] = sorted(known)
    for host_id in storage.extra["plugged_once"]:
        host = context.world.hosts.get(host_id)
        if host is None:
            continue
        mixed = f"{storage.id[:18]}{host_id[18:]}"
        rows.append(
            (
                "PBD",
                refs.ref_of_id(mixed),
                {
                    "uuid": mixed,
                    "host": refs.ref(host),
                    "SR": ref,
                    "currently_attached": host_id in storage.host_ids,
                    "device_config": {"server": "filer-1", "serverpath": "/vol/xen"} if storage.kind == "nfs" else {},
                },
            )
        )
    return rows


def disk_rows(context: Context, disk: Disk) -> Rows:
    """A virtual disk or CD image."""
    operations = ["clone", "copy", "snapshot", "resize", "update", "forget"]
    if disk.is_iso:
        operations = ["clone", "copy"]
    else:
        operations.append("destroy")
    return [
        (
            "VDI",
            refs.ref(disk),
            {
                "uuid": refs.uuid(disk),
                "name_label": disk.name,
                "name_description": disk.description,
                "allowed_operations": operations,
                "SR": context.ref(disk.storage_id),
                "virtual_size": disk.size_bytes,
                "physical_utilisation": disk.used_bytes,
                "type": disk.extra.get("type", "user"),
                "sharable": False,
                "read_only": disk.read_only,
                "storage_lock": False,
                "location": refs.uuid(disk),
                "managed": True,
                "missing": False,
                "parent": NULL,
                "is_a_snapshot": disk.snapshot_of is not None,
                "snapshot_of": context.ref(disk.snapshot_of),
                "snapshot_time": date(disk.taken) if disk.taken else EPOCH,
                "allow_caching": False,
                "on_boot": "persist",
                "is_tools_iso": False,
            },
        )
    ]


_STATUS = {
    TaskStatus.PENDING: "pending",
    TaskStatus.SUCCESS: "success",
    TaskStatus.FAILURE: "failure",
    TaskStatus.CANCELLED: "cancelled",
}


def task_rows(context: Context, task: Task) -> Rows:
    """A task; ``extra["result"]`` is the result as XML text, ``extra["error_info"]`` a failure of HTTP transfers."""
    master = context.world.hosts.get(context.site.master_id or "")
    return [
        (
            "task",
            refs.ref_of_id(task.id),
            {
                "uuid": task.id,
                "name_label": task.name,
                "name_description": task.description,
                "allowed_operations": ["cancel"] if task.cancellable and task.status is TaskStatus.PENDING else [],
                "current_operations": {"DummyRef:|cancel": "cancel"}
                if task.cancel_requested and not task.done.is_set()
                else {},
                "created": date(task.created),
                "finished": date(task.finished) if task.finished else EPOCH,
                "resident_on": refs.ref(master) if master is not None else NULL,
                "progress": float(task.progress),
                "type": "<none/>",
                "result": task.extra.get("result", ""),
                "error_info": error_info(context, task),
                "status": _STATUS[task.status],
                "subtask_of": NULL,
                "backtrace": "()",
            },
        )
    ]


def error_info(context: Context, task: Task) -> list[str]:
    """``error_info`` for what ended a task."""
    error = task.error
    if error is None:
        return []
    if isinstance(error, errors.Cancelled):
        return ["TASK_CANCELLED", refs.ref_of_id(task.id)]
    if isinstance(error, Failure):
        return error.description
    if isinstance(error, errors.WorldError):
        return from_world(error, context.ref).description
    return ["INTERNAL_ERROR", type(error).__name__]
