"""The live inventory: one container view, one filter, ``WaitForUpdatesEx`` deltas, and a slow full re-read.

``Collector.next`` is called by one thread at a time (``watch``); ``refresh`` and ``touch`` from any thread. Records
belong to the watching thread; what other threads may read is the finished ``Inventory``.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hvconsole.backends.pace import Pace
from hvconsole.backends.vsphere_api import FAULTS, vim, vmodl
from hvconsole.backends.vsphere_errors import translate
from hvconsole.backends.vsphere_hardware import DiskIndex
from hvconsole.backends.vsphere_model import (
    DEVICES,
    build_host,
    build_network,
    build_pool,
    build_storage,
    build_vm,
    is_network,
    opaque_networks,
)
from hvconsole.backends.vsphere_names import shown_name
from hvconsole.backends.vsphere_query import (
    HARDWARE,
    PAGE_OBJECTS,
    filter_spec,
    leave_out,
    merge,
    retrieve,
    set_values,
    view_kinds,
)
from hvconsole.backends.vsphere_records import Page, Record, Update, read_page
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_soap import PAGE
from hvconsole.backends.wire_calls import EVERYTHING, Call
from hvconsole.clock import Clock
from hvconsole.errors import (
    BadReply,
    HvError,
    NotSupported,
    OperationError,
    PermissionDenied,
    SessionLost,
    TaskCancelled,
    Unreachable,
)
from hvconsole.model import Inventory, ObjectId

log = logging.getLogger(__name__)

HEAL_S = 300.0
"""How often everything is read again, for what the server forgot to announce."""
WAIT_S = 30.0
"""Longest single wait."""
ANSWERS_AT_ONCE, ANSWERS_PER_S = 40, 5.0
"""How many answers of the long poll are taken in a row, and then in a second."""
MOST_OBJECTS = 500_000
"""All kinds together: several times what the largest vCenter may have."""
MAX_PAGES = 20_000
"""Most pages of one answer; a server that never says that it is done is cut off here."""
HARDWARE_AT_ONCE = 500
"""VMs whose devices are read before an inventory is shown; those of larger servers follow in batches."""
REBUILDS = 3
"""Times that a collector which the server forgot is made anew before the error is passed on."""

_STRUCTURE = {"Datacenter", "Folder", "ComputeResource", "ClusterComputeResource", "ResourcePool", "VirtualApp"}
_LIVE_TASKS = ("running", "queued")


class Collector:
    """Watches one server. The first ``next`` gives everything."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._records: dict[str, Record] = {}
        self._removed: dict[str, str] = {}
        self._changed: set[str] = set()
        """What was noted and is in no inventory yet; an error on the way must not lose it."""
        self._inventory: Inventory | None = None
        self._collector: Any = None
        self._view: Any = None
        self._version = ""
        self._logins = 0
        self._read_at = 0.0
        self._lock = threading.Lock()
        self._stale = True
        self._touched: set[tuple[str, str]] = set()
        self._unread: dict[str, None] = {}
        self._shares = DiskIndex()
        self._poll: Call | None = None
        self._waiting = False
        self._answers = Pace(clock, burst=ANSWERS_AT_ONCE, per_s=ANSWERS_PER_S)

    # ---- any thread ------------------------------------------------------------------------------------------

    @property
    def inventory(self) -> Inventory | None:
        """The latest inventory, None before the first."""
        return self._inventory

    def refresh(self) -> None:
        """Read everything again next; does not block, wakes a waiting ``next``."""
        with self._lock:
            self._stale = True
            poll = self._poll
        if poll is not None:
            poll.abort()

    def touch(self, kind: str, object_id: str) -> None:
        """Read one object again soon: something was just done to it, and not every server announces all changes."""
        with self._lock:
            self._touched.add((kind, object_id))
            waiting, collector = self._waiting, self._collector
        if not waiting or collector is None:
            return
        with contextlib.suppress(HvError):
            self._session.read(self._session.object(type(collector), collector._moId).CancelWaitForUpdates)

    # ---- the watching thread ---------------------------------------------------------------------------------

    def next(self, timeout_s: float) -> Inventory | None:
        """The next inventory, or None when nothing changed in time. Raises ``SessionLost``, ``ConnectError``."""
        end = self._clock.monotonic() + timeout_s
        failures = 0
        while True:
            if self._session.closing:
                raise SessionLost("The connection was closed.")
            try:
                found = self._step(end)
            except (
                vmodl.fault.ManagedObjectNotFound,
                vim.fault.NotAuthenticated,
                vmodl.query.InvalidCollectorVersion,
                vmodl.fault.InvalidArgument,
            ) as fault:
                failures += 1
                if failures > REBUILDS:
                    raise translate(fault) from fault
                if isinstance(fault, vim.fault.NotAuthenticated):
                    self._session.log_in_again(self._logins)
                self._stale = True
                continue
            except vmodl.fault.RequestCanceled:
                continue  # touch() woke us
            except Unreachable as exc:
                failures += 1
                if failures > 1 or not isinstance(exc.__cause__, ConnectionError):
                    raise
                self._stale = True  # cut, by a proxy perhaps, not silent: a server that is there answers at once
                continue
            except FAULTS as fault:
                raise _watch_error(fault) from fault
            except TaskCancelled:
                if self._session.closing:
                    raise SessionLost("The connection was closed.") from None
                continue  # refresh() woke us
            if found is not None:
                return found
            if self._clock.monotonic() >= end:
                return None

    def _step(self, end: float) -> Inventory | None:
        self._session.keep_alive()
        before = self._inventory
        heal = self._read_at and self._clock.monotonic() - self._read_at >= HEAL_S
        if self._stale or heal or self._logins != self._session.logins:
            return self._read_everything()
        self._apply(self._touched_updates())
        if self._unread:
            self._apply(self._hardware_updates(self._unread))
        if not self._changed or self._unread:
            self._wait(end, at_once=bool(self._unread))
        if self._changed and 0 < len(self._unread) <= HARDWARE_AT_ONCE:
            self._apply(self._hardware_updates(self._unread))
        if self._changed or (before is not None and before.server != self._session.info):
            return self._publish()
        return None

    # ---- talking to the server -------------------------------------------------------------------------------

    def _read_everything(self) -> Inventory | None:
        self._forget_collector()
        with self._lock:
            asked, self._stale = self._stale, False
            self._touched.clear()
        self._logins = self._session.logins
        stub = self._session.poll
        content = self._session.content

        def prepare() -> tuple[Any, Any]:
            collector = vmodl.query.PropertyCollector(content.propertyCollector._moId, stub).CreatePropertyCollector()
            manager = vim.view.ViewManager(content.viewManager._moId, stub)
            root = vim.Folder(content.rootFolder._moId, stub)
            view = manager.CreateContainerView(root, view_kinds(), True)
            spec = filter_spec(view, content.taskManager)
            while True:
                try:
                    collector.CreateFilter(spec, False)
                    return collector, view
                except vmodl.query.InvalidProperty as fault:
                    if not leave_out(spec, fault):
                        raise

        self._collector, self._view = self._session.read(prepare)
        self._version = ""
        fresh: dict[str, Record] = {}
        with self._session.wire.call(EVERYTHING, faults=FAULTS):
            for page in self._pages(WAIT_S):
                merge(fresh, page.updates)
                if len(fresh) > MOST_OBJECTS:
                    raise BadReply("The server lists more objects than are accepted.")
        self._replace_records(fresh)
        if len(self._unread) <= HARDWARE_AT_ONCE:
            self._apply(self._hardware_updates(self._unread))
        self._read_at = self._clock.monotonic()
        published = self._publish() if self._inventory is None or self._changed else None
        if published is None and asked and self._inventory is not None:
            # whoever pressed F5 sees that the server was asked
            published = self._inventory = replace(self._inventory, taken=self._clock.now())
        return published

    def _pages(self, wait_s: float) -> Iterable[Page]:
        for _ in range(MAX_PAGES):
            page = self._wait_for_updates(wait_s)
            if page.version:
                self._version = page.version
            yield page
            if not page.truncated:
                return
        raise BadReply("The server sends a list without end.")

    def _wait_for_updates(self, wait_s: float) -> Page:
        options = vmodl.query.PropertyCollector.WaitOptions(
            maxWaitSeconds=max(0, round(wait_s)), maxObjectUpdates=PAGE_OBJECTS
        )
        limits = PAGE.longer(wait_s)
        with self._session.wire.call(limits, faults=FAULTS) as call:
            with self._lock:
                self._poll, self._waiting = call, True
                stale = self._stale
            try:
                if stale:
                    raise TaskCancelled("Cancelled.")
                body = self._session.raw(
                    self._session.poll, self._collector, "WaitForUpdatesEx", [self._version, options], limits
                )
            finally:
                with self._lock:
                    self._poll, self._waiting = None, False
        return read_page(body)

    def _wait(self, end: float, *, at_once: bool = False) -> None:
        pause_s = self._answers.pause_s()
        if pause_s:
            self._clock.wait(threading.Event(), pause_s)
        # Each page is noted at once: the server doesn't send it again when the next one is cancelled.
        for page in self._pages(0.0 if at_once else min(WAIT_S, max(0.0, end - self._clock.monotonic()))):
            self._apply(page.updates)

    def _touched_updates(self) -> list[Update]:
        with self._lock:
            touched, self._touched = self._touched, set()
        updates: list[Update] = []
        for kind, object_id in touched:
            try:
                records = retrieve(self._session, [(kind, object_id)])
            except vmodl.fault.ManagedObjectNotFound:
                if object_id in self._records:
                    updates.append(Update("leave", kind, object_id, {}))
                continue
            if kind == "VirtualMachine":
                self._unread[object_id] = None
            for record in records:
                known = self._records.get(record.id)
                stays = {*record.values, DEVICES}
                gone = {} if known is None else {path: None for path in known.values if path not in stays}
                op = "enter" if known is None else "modify"
                updates.append(Update(op, record.kind, record.id, {**gone, **record.values}))
        return updates

    def _hardware_updates(self, unread: dict[str, None]) -> list[Update]:
        """Devices of the next VMs that wait for it; one that is gone is passed over."""
        batch = list(unread)[:HARDWARE_AT_ONCE]
        for vm_id in batch:
            del unread[vm_id]
        records: list[Record] = []
        try:
            records = retrieve(self._session, [("VirtualMachine", one) for one in batch], HARDWARE, self._session.poll)
        except vmodl.fault.ManagedObjectNotFound:
            for vm_id in batch:
                with contextlib.suppress(vmodl.fault.ManagedObjectNotFound):
                    records += retrieve(self._session, [("VirtualMachine", vm_id)], HARDWARE, self._session.poll)
        return [Update("modify", record.kind, record.id, record.values) for record in records]

    def _forget_collector(self) -> None:
        collector, view = self._collector, self._view
        self._collector = self._view = None
        if collector is None or self._logins != self._session.logins:
            return

        def destroy() -> None:
            collector.DestroyPropertyCollector()
            view.DestroyView()

        with contextlib.suppress(HvError):
            self._session.read(destroy)

    # ---- records → model -------------------------------------------------------------------------------------

    def _replace_records(self, fresh: dict[str, Record]) -> None:
        old = self._records
        self._unread = {}
        for key, record in fresh.items():
            if record.kind == "VirtualMachine":
                known = old.get(key)
                if known is not None and DEVICES in known.values:
                    record.values[DEVICES] = known.values[DEVICES]
                self._unread[key] = None
        for key, record in fresh.items():
            known = old.get(key)
            if known is not None and known.values == record.values:
                fresh[key] = known
            else:
                self._changed.add(key)
        gone = {key: record.kind for key, record in old.items() if key not in fresh}
        self._changed.update(gone)
        self._removed = {key: kind for key, kind in self._removed.items() if key not in fresh} | gone
        self._records = fresh

    def _apply(self, updates: list[Update]) -> None:
        entered: set[str] = set()
        for update in updates:
            record = self._records.get(update.id)
            if update.op == "leave":
                if update.id in entered:
                    # moved by removing and adding it: the order in which a server tells that says nothing
                    with self._lock:
                        self._touched.add((update.kind, update.id))
                elif record is not None:
                    del self._records[update.id]
                    self._unread.pop(update.id, None)
                    self._removed[update.id] = record.kind
                    self._changed.add(update.id)
                    self._changed.update(_task_subject(record))
                continue
            if record is None:
                if DEVICES in update.values:
                    continue  # left while its devices were read
                record = self._records[update.id] = Record(update.kind, update.id)
                self._changed.add(update.id)
            self._removed.pop(update.id, None)
            if update.op == "enter":
                entered.add(update.id)
            if update.kind == "VirtualMachine" and (update.op == "enter" or "config.changeVersion" in update.values):
                self._unread[update.id] = None
            if set_values(record, update.values):
                self._changed.add(update.id)
                self._changed.update(_task_subject(record))

    def _publish(self) -> Inventory | None:
        """Build what changed; None if nothing that is shown differs."""
        old, changed = self._inventory, self._changed
        records, vcenter = self._records, self._session.is_vcenter
        kinds = {records[key].kind if key in records else self._removed.get(key, "") for key in changed}
        everything = (
            old is None or bool(kinds & _STRUCTURE) or self._host_moved(changed) or self._around_renamed(old, changed)
        )
        for key in list(changed):
            record = records.get(key)
            if record is None or record.kind == "VirtualMachine":
                changed |= self._shares.update(key, () if record is None else record.get(DEVICES, ()))
        operations, opaque = self._operations(), opaque_networks(records.values())
        wanted: Iterable[str] = list(records) if everything else changed
        before: dict[str, Mapping[ObjectId, Any]] = {
            "pools": old.pools if old else {},
            "hosts": old.hosts if old else {},
            "vms": old.vms if old else {},
            "networks": old.networks if old else {},
            "storages": old.storages if old else {},
        }
        after: dict[str, dict[ObjectId, Any]] = {}

        def put(table: str, key: str, value: Any) -> None:
            known = before[table].get(ObjectId(key))
            if known is value or (known is not None and known == value):
                return
            target = after.setdefault(table, dict(before[table]))
            if value is None:
                target.pop(ObjectId(key), None)
            else:
                target[ObjectId(key)] = value

        for key in wanted:
            record = records.get(key)
            if record is None:
                continue
            if record.kind == "VirtualMachine":
                doing = operations.get(key, ())
                put("vms", key, build_vm(record, records, doing, self._shares, vcenter=vcenter, opaque=opaque))
            elif record.kind == "HostSystem":
                put("hosts", key, build_host(record, records, vcenter=vcenter, address=self._session.host))
            elif record.kind in _STRUCTURE:
                put("pools", key, build_pool(record, records, vcenter=vcenter))
            elif is_network(record.kind):
                put("networks", key, build_network(record))
            elif record.kind == "Datastore":
                put("storages", key, build_storage(record))
        for key in self._removed:
            for table in before:
                if ObjectId(key) in before[table]:
                    after.setdefault(table, dict(before[table])).pop(ObjectId(key), None)
        self._changed, self._removed = set(), {}
        info = self._session.info
        if old is not None and not after and old.server == info:
            return None
        tables = {name: after.get(name, before[name]) for name in before}
        self._inventory = Inventory(
            server=info,
            taken=self._clock.now(),
            pools=tables["pools"],
            hosts=tables["hosts"],
            vms=tables["vms"],
            networks=tables["networks"],
            storages=tables["storages"],
        )
        return self._inventory

    def _host_moved(self, changed: set[str]) -> bool:
        """Whether a host stands somewhere else now, so that its VMs must be placed anew."""
        old = self._inventory
        if old is None:
            return True
        for key in changed:
            record = self._records.get(key)
            if record is not None and record.kind == "HostSystem":
                shown = old.hosts.get(ObjectId(key))
                now = build_host(record, self._records, vcenter=self._session.is_vcenter, address=self._session.host)
                if shown is None or shown.pool_id != now.pool_id:
                    return True
        return False

    def _around_renamed(self, old: Inventory, changed: set[str]) -> bool:
        """Whether a network or datastore has another name now, which its VMs show too."""
        for key in changed:
            shown = old.networks.get(ObjectId(key)) or old.storages.get(ObjectId(key))
            record = self._records.get(key)
            if shown is not None and record is not None and shown.name != shown_name(record.get("name", "")):
                return True
        return False

    def _operations(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for record in self._records.values():
            if record.kind == "Task" and record.get("info.state") in _LIVE_TASKS:
                subject = record.get("info.entity", "")
                doing = record.get("info.descriptionId", "").rpartition(".")[2] or "task"
                found[subject] = (*found.get(subject, ()), doing)
        return found


def _watch_error(fault: Exception) -> HvError:
    """What a fault in the middle of watching means: a server's inner trouble is a reason to come back later."""
    error = translate(fault)
    if isinstance(error, OperationError) and not isinstance(error, PermissionDenied | NotSupported):
        return SessionLost("The server could not go on reporting changes.", error.detail)
    return error


def _task_subject(record: Record) -> set[str]:
    return {record.get("info.entity")} if record.kind == "Task" and record.get("info.entity") else set()
