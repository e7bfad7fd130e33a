"""The latest Inventory, kept up to date change by change: what did not change stays the same object.

Owned by the thread that watches.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeVar

from hvconsole.backends import xen_build
from hvconsole.backends import xen_fields as f
from hvconsole.backends.xen_tables import Tables
from hvconsole.model import (
    Host,
    Inventory,
    Network,
    ObjectId,
    Pool,
    ServerInfo,
    Storage,
    Vm,
)

T = TypeVar("T")


class Cache:
    """Rows in, inventories out."""

    def __init__(self, server: ServerInfo) -> None:
        self.tables = Tables()
        self._server = server
        self._latest: Inventory | None = None
        self._vm_ids: dict[str, ObjectId] = {}
        self._young: dict[str, dt.datetime] = {}

    @property
    def latest(self) -> Inventory | None:
        """The last inventory that ``inventory`` returned."""
        return self._latest

    def mismatched(self, counts: Mapping[str, Any]) -> list[tuple[str, int]]:
        """Event classes of which the server has another number of objects than we know: deletions were missed."""
        found = []
        for name in counts:
            known, count = self.tables.count(name), f.size(counts, name)
            if known is not None and count is not None and count != known:
                found.append((name, count))
        return found

    def inventory(self, now: dt.datetime) -> Inventory | None:
        """The next inventory, or None when nothing that we show has changed."""
        tables = self.tables
        for ref in [ref for ref, due in self._young.items() if due <= now]:
            del self._young[ref]
            tables.touch(ref)
        before = self._latest
        if before is not None and not tables.dirty_vms and not tables.dirty_around:
            return None
        vms = self._vms({} if before is None else before.vms, now)
        pools: Mapping[ObjectId, Pool]
        hosts: Mapping[ObjectId, Host]
        networks: Mapping[ObjectId, Network]
        storages: Mapping[ObjectId, Storage]
        if before is None or tables.dirty_around:
            old = before or Inventory(server=self._server, taken=now)
            pools = _sharing(old.pools, xen_build.build_pools(tables, self._server.user))
            hosts = _sharing(old.hosts, xen_build.build_hosts(tables))
            networks = _sharing(old.networks, xen_build.build_networks(tables))
            storages = _sharing(old.storages, xen_build.build_storages(tables))
        else:
            pools, hosts, networks, storages = before.pools, before.hosts, before.networks, before.storages
        tables.dirty_vms.clear()
        tables.dirty_around = False
        if before is not None and all(
            new is old
            for new, old in (
                (vms, before.vms),
                (pools, before.pools),
                (hosts, before.hosts),
                (networks, before.networks),
                (storages, before.storages),
            )
        ):
            return None
        self._latest = Inventory(
            server=self._server, taken=now, pools=pools, hosts=hosts, vms=vms, networks=networks, storages=storages
        )
        return self._latest

    def _vms(self, before: Mapping[ObjectId, Vm], now: dt.datetime) -> Mapping[ObjectId, Vm]:
        changed: dict[ObjectId, Vm | None] = {}
        for ref in self.tables.dirty_vms:
            vm = xen_build.build_vm(self.tables, ref, now)
            known = self._vm_ids.get(ref)
            if known is not None and (vm is None or vm.id != known):
                del self._vm_ids[ref]
                changed[known] = self._namesake(known, now)
            if vm is None:
                self._young.pop(ref, None)
                continue
            self._vm_ids[ref] = vm.id
            if vm.id in changed or before.get(vm.id) != vm:
                changed[vm.id] = vm
            if xen_build.is_young(vm.started, now) and vm.started is not None:
                self._young[ref] = vm.started + xen_build.TOOLS_GRACE
        if not changed:
            return before
        vms = dict(before)
        for vm_id, new in changed.items():
            if new is None:
                vms.pop(vm_id, None)
            else:
                vms[vm_id] = new
        return vms

    def _namesake(self, vm_id: ObjectId, now: dt.datetime) -> Vm | None:
        """Another VM with the same id, which no honest server has; it must not vanish with the one that goes."""
        other = next((ref for ref, known in self._vm_ids.items() if known == vm_id), None)
        return None if other is None else xen_build.build_vm(self.tables, other, now)


def _sharing(before: Mapping[ObjectId, T], after: dict[ObjectId, T]) -> Mapping[ObjectId, T]:
    """``after`` with every object that equals its predecessor replaced by it; ``before`` itself if all do."""
    same = len(before) == len(after)
    for key, value in after.items():
        old = before.get(key)
        if old == value and old is not None:
            after[key] = old
        else:
            same = False
    return before if same and list(before) == list(after) else after
