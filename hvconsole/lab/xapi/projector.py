"""The world as rows of the database: follows every change of one site, at once and under ``world.lock``.

A row's fields that stem from the world are remembered as projected; a later projection writes only what differs from
that. So rows loaded from a dump keep everything that nobody changed, and fields only XenAPI knows stay untouched.
"""

from __future__ import annotations

from typing import Any

from hvconsole.lab.objects import Disk, Host, Network, Power, Site, Snapshot, Storage, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.world import Change, World
from hvconsole.lab.xapi import host_records, records, refs, vm_records
from hvconsole.lab.xapi.database import Database
from hvconsole.lab.xapi.records import Rows


class Projector:
    """Keeps ``database`` in step with ``site``."""

    def __init__(self, world: World, site: Site, database: Database, pool_ref: str) -> None:
        self._world = world
        self._site = site
        self._db = database
        self._context = records.Context(world, site, pool_ref)
        self._projected: dict[str, dict[str, Any]] = {}
        self._parts: dict[str, dict[str, str]] = {}
        """World id → reference → class, of everything made for it."""
        self._owners: dict[str, str] = {}
        """Reference → world id."""
        self._placed: dict[str, str | None] = {}
        """VM → the host it was on, to bring that host's free memory up to date."""

    def owner(self, ref: str) -> str | None:
        """The id of the world object for which the row ``ref`` was made."""
        return self._owners.get(ref)

    def load(self) -> None:
        """Project everything there is. Rows that exist already (a dump) are taken as they are."""
        world, site_id = self._world, self._site.id
        self._project(self._site)
        tables: tuple[dict[str, Any], ...] = (
            world.hosts,
            world.networks,
            world.storages,
            world.disks,
            world.vms,
            world.snapshots,
            world.tasks,
        )
        for table in tables:
            for obj in list(table.values()):
                if obj.site_id == site_id:
                    self._project(obj)
                    if isinstance(obj, Vm):
                        self._placed[obj.id] = obj.host_id

    def follow(self, change: Change) -> None:
        """Listener for ``World.listen``."""
        if change.site_id != self._site.id:
            return
        if change.op == "del":
            self._forget(change.id)
            self._placed.pop(change.id, None)
            return
        obj = self._find(change)
        if obj is None:
            return
        self._project(obj)
        if isinstance(obj, Vm) and obj.host_id != self._placed.get(obj.id):
            moved = {obj.host_id, self._placed.get(obj.id)}
            self._placed[obj.id] = obj.host_id
            for host_id in moved:
                host = self._world.hosts.get(host_id or "")
                if host is not None:
                    self._project(host)

    def _find(self, change: Change) -> Any:
        tables: dict[str, dict[str, Any]] = {
            "site": self._world.sites,
            "host": self._world.hosts,
            "network": self._world.networks,
            "storage": self._world.storages,
            "disk": self._world.disks,
            "vm": self._world.vms,
            "snapshot": self._world.snapshots,
            "task": self._world.tasks,
        }
        table = tables.get(change.kind)
        return None if table is None else table.get(change.id)

    def _project(self, obj: Any) -> None:
        made = self._rows(obj)
        before = self._parts.get(obj.id, {})
        for class_name, ref, fields in made:
            known = self._projected.get(ref)
            if known is None:
                if self._db.find(class_name, ref) is None:
                    self._db.insert(class_name, ref, fields)
            else:
                different = {name: value for name, value in fields.items() if known.get(name) != value}
                if different and self._db.find(class_name, ref) is not None:
                    self._db.update(class_name, ref, different)
            self._projected[ref] = fields
            self._owners[ref] = obj.id
        if isinstance(obj, Vm) and obj.power in (Power.HALTED, Power.SUSPENDED):
            self._drop_consoles(refs.ref(obj))
        parts = {ref: class_name for class_name, ref, _ in made}
        for ref, class_name in before.items():
            if ref not in parts:
                self._drop(class_name, ref)
        self._parts[obj.id] = parts

    def _drop_consoles(self, vm_ref: str) -> None:
        """Consoles (a dump may bring several) end with the VM."""
        row = self._db.find("VM", vm_ref)
        for console in row.fields.get("consoles", ()) if row is not None else ():
            self._drop("console", console)

    def _forget(self, world_id: str) -> None:
        for ref, class_name in self._parts.pop(world_id, {}).items():
            self._drop(class_name, ref)

    def _drop(self, class_name: str, ref: str) -> None:
        self._projected.pop(ref, None)
        self._owners.pop(ref, None)
        self._db.delete(class_name, ref)

    def _rows(self, obj: Any) -> Rows:
        match obj:
            case Vm():
                return vm_records.vm_rows(self._context, obj)
            case Snapshot():
                return vm_records.snapshot_rows(self._context, obj)
            case Host():
                return host_records.host_rows(self._context, obj)
            case Site():
                return host_records.pool_rows(self._context, obj)
            case Network():
                return records.network_rows(self._context, obj)
            case Storage():
                return records.storage_rows(self._context, obj)
            case Disk():
                return records.disk_rows(self._context, obj)
            case Task():
                return records.task_rows(self._context, obj)
            case _:
                return []
