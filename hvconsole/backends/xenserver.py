"""XenServer and XCP-ng behind the contract in ``base``: this file only hands out the work.

Options of ``Target``: ``emergency`` = "yes" logs in locally at a pool member that lost its master; ``legacy_tls`` =
"yes" allows TLS 1.0 (XenServer 6.5 and older). Any worker thread.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from pathlib import Path

from hvconsole.backends.base import (
    Capability,
    CreateVm,
    CreationChoices,
    Hypervisor,
    Secret,
    SnapshotSearch,
    Step,
    Target,
    TaskContext,
    Trust,
)
from hvconsole.backends.wire import Wire
from hvconsole.backends.xen_bulk import BulkReader
from hvconsole.backends.xen_cache import Cache
from hvconsole.backends.xen_create import Creation
from hvconsole.backends.xen_details import Details
from hvconsole.backends.xen_diagnosis import checks
from hvconsole.backends.xen_emergency import EmergencyXenServer
from hvconsole.backends.xen_hosts import Hosts
from hvconsole.backends.xen_http import PICTURE, Http
from hvconsole.backends.xen_life import Life
from hvconsole.backends.xen_login import identify, is_emergency, log_in
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_power import Power
from hvconsole.backends.xen_rrd import parse_updates
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xen_snapshots import Snapshots
from hvconsole.backends.xen_tasks import Tasks
from hvconsole.backends.xen_transfer import Transfer
from hvconsole.backends.xen_trust import PoolTrust
from hvconsole.backends.xen_watch import Watch
from hvconsole.clock import Clock
from hvconsole.errors import BadReply, InvalidInput, NotSupported
from hvconsole.model import (
    ConsoleAddress,
    HostDetails,
    Inventory,
    Metrics,
    NetworkMap,
    ObjectId,
    ServerEvent,
    ServerInfo,
    Snapshot,
    VmDetails,
)

log = logging.getLogger(__name__)

_ALL = (
    Capability.SUSPEND
    | Capability.PAUSE
    | Capability.SNAPSHOT
    | Capability.SNAPSHOT_MEMORY
    | Capability.SNAPSHOT_SUBTREE
    | Capability.CREATE
    | Capability.CREATE_FROM_TEMPLATE
    | Capability.CLONE
    | Capability.COPY
    | Capability.TO_TEMPLATE
    | Capability.TO_VM
    | Capability.MIGRATE
    | Capability.START_ON
    | Capability.EXPORT
    | Capability.IMPORT
    | Capability.MAINTENANCE
    | Capability.HOST_POWER
    | Capability.CHANGE_PASSWORD
    | Capability.METRICS
    | Capability.NETWORK_MAP
    | Capability.EVENTS
    | Capability.SCREENSHOT
    | Capability.CONSOLE
    | Capability.CANCEL_TASK
)
QUIESCE_REMOVED = (2, 14)
"""API version (8.1) from which there are no quiesced snapshots."""


def open_xenserver(target: Target, secret: Secret, trust: Trust, clock: Clock) -> Hypervisor:
    """Log in to a pool, a host, or locally to a member in an emergency. Blocks.

    Raises ``ConnectError`` of every kind and ``BadReply``.
    """
    pool_trust = PoolTrust(trust)
    wire = Wire(pool_trust, legacy_tls=target.options.get("legacy_tls", "") in ("yes", "true", "1"))
    session: XenSession | None = None
    try:
        session = log_in(wire, target, secret, trust)
        if is_emergency(target):
            return EmergencyXenServer(wire, session, secret, target.known_members, clock)
        return XenServer(wire, session, pool_trust, clock)
    except BaseException:
        wire.close()
        if session is not None:
            session.log_out()
        raise


class XenServer(Hypervisor):
    """A logged-in pool."""

    def __init__(self, wire: Wire, session: XenSession, trust: PoolTrust, clock: Clock) -> None:
        self._wire = wire
        self._session = session
        self._clock = clock
        self._info, api_version = identify(session)
        self._capabilities = _ALL
        if api_version is None or api_version < QUIESCE_REMOVED:
            self._capabilities |= Capability.SNAPSHOT_QUIESCE
        cache = Cache(self._info)
        tables = cache.tables
        self._watch = Watch(session, BulkReader(session), cache, clock)
        self._tasks = Tasks(session, clock)
        objects = Objects(session, tables)
        self._http = Http(wire, session, trust, tables)
        self._details = Details(session, objects, cache, clock)
        self._power = Power(session, objects, self._tasks, tables)
        self._snapshots = Snapshots(session, objects, self._tasks, tables)
        self._life = Life(session, objects, self._tasks, tables, self._snapshots)
        self._creation = Creation(session, objects, self._tasks, tables, self._snapshots, self._power)
        self._hosts = Hosts(session, objects, self._tasks, tables)
        self._transfer = Transfer(session, objects, self._tasks, self._http, self._snapshots, clock)

    @property
    def info(self) -> ServerInfo:
        return self._info

    @property
    def capabilities(self) -> Capability:
        return self._capabilities

    def watch(self, timeout_s: float) -> Inventory | None:
        return self._watch.watch(timeout_s)

    def refresh(self) -> None:
        self._watch.wake(stale=True)

    def close(self) -> None:
        if self._wire.closed:
            return
        self._wire.close()
        self._tasks.close()
        self._watch.wake(stale=False)
        self._session.log_out()

    def diagnose(self) -> Iterator[Step]:
        return checks(self._session, self._clock)

    # ---- details -------------------------------------------------------------------------------------------

    def details(self, vm_id: ObjectId) -> VmDetails:
        return self._details.vm(vm_id)

    def metrics(self, object_id: ObjectId, seconds: int = 600) -> Metrics:
        kind, uuid, host = self._details.whereabouts(object_id)
        start = self._details.start_of(host, max(5, seconds))
        query = {"start": str(start), "interval": "5" if seconds <= 600 else "60", "cf": "AVERAGE"}
        if kind == "host":
            query["host"] = "true"
        else:
            query["vm_uuid"] = uuid
        return parse_updates(self._http.get("/rrd_updates", query, host=host), kind, uuid)

    def network_map(self, host_id: ObjectId) -> NetworkMap:
        return self._hosts.network_map(host_id)

    def events(self, since: dt.datetime | None = None) -> tuple[ServerEvent, ...]:
        return self._details.events(since)

    def screenshot(self, vm_id: ObjectId) -> bytes:
        _kind, uuid, host = self._details.whereabouts(vm_id)
        picture = self._http.get("/vncsnapshot", {"uuid": uuid}, host=host, limits=PICTURE)
        if not picture.startswith((b"\xff\xd8", b"\x89PNG")):
            raise BadReply("The server's answer is not a picture.")
        return picture

    def console(self, vm_id: ObjectId) -> ConsoleAddress:
        return self._details.console(vm_id)

    # ---- power ---------------------------------------------------------------------------------------------

    def start(self, vm_id: ObjectId, ctx: TaskContext, *, host_id: ObjectId | None = None) -> None:
        self._power.start(vm_id, ctx, host_id)

    def shutdown(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._power.simple("clean_shutdown", vm_id, ctx)

    def power_off(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._power.simple("hard_shutdown", vm_id, ctx)

    def reboot(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._power.simple("clean_reboot", vm_id, ctx)

    def reset(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._power.simple("hard_reboot", vm_id, ctx)

    def suspend(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._power.simple("suspend", vm_id, ctx)

    def resume(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._power.resume(vm_id, ctx)

    def pause(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._power.simple("pause", vm_id, ctx)

    def unpause(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._power.simple("unpause", vm_id, ctx)

    def migrate(
        self, vm_id: ObjectId, host_id: ObjectId | None, ctx: TaskContext, *, storage_id: ObjectId | None = None
    ) -> None:
        if storage_id is not None:
            raise self._unsupported("moving disks while migrating")
        if host_id is None:
            raise InvalidInput("Choose a host.")
        self._power.migrate(vm_id, host_id, ctx)

    # ---- snapshots -----------------------------------------------------------------------------------------

    def snapshot(
        self,
        vm_id: ObjectId,
        name: str,
        description: str,
        ctx: TaskContext,
        *,
        memory: bool = False,
        quiesce: bool = False,
    ) -> Snapshot:
        if quiesce and Capability.SNAPSHOT_QUIESCE not in self._capabilities:
            raise self._unsupported("quiesced snapshots")
        try:
            return self._snapshots.take(vm_id, name, description, ctx, memory=memory, quiesce=quiesce)
        except NotSupported as exc:
            if quiesce and exc.code.startswith("MESSAGE_"):
                self._capabilities &= ~Capability.SNAPSHOT_QUIESCE
            raise

    def revert(self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext) -> None:
        self._snapshots.revert(vm_id, snapshot_id, ctx)

    def delete_snapshot(
        self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext, *, children: bool = False
    ) -> None:
        self._snapshots.delete(vm_id, snapshot_id, ctx, children=children)

    def describe_snapshot(self, vm_id: ObjectId, snapshot_id: ObjectId, description: str) -> None:
        self._snapshots.describe(vm_id, snapshot_id, description)

    def find_snapshots(self, vm_id: ObjectId, name: str) -> SnapshotSearch:
        return self._snapshots.find(vm_id, name)

    # ---- life ----------------------------------------------------------------------------------------------

    def creation_choices(self, host_id: ObjectId | None = None) -> CreationChoices:
        return self._creation.choices()

    def create_vm(self, spec: CreateVm, ctx: TaskContext) -> ObjectId:
        return self._creation.create(spec, ctx)

    def clone_vm(
        self,
        vm_id: ObjectId,
        name: str,
        ctx: TaskContext,
        *,
        full: bool = False,
        storage_id: ObjectId | None = None,
        snapshot_id: ObjectId | None = None,
    ) -> ObjectId:
        return self._life.clone(vm_id, name, ctx, full=full, storage_id=storage_id, snapshot_id=snapshot_id)

    def to_template(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._life.to_template(vm_id, ctx)

    def to_vm(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        self._life.to_vm(vm_id, ctx)

    def delete_vm(self, vm_id: ObjectId, ctx: TaskContext, *, keep_disks: frozenset[ObjectId] = frozenset()) -> None:
        self._life.delete(vm_id, ctx, keep_disks)

    def rename(self, vm_id: ObjectId, name: str, ctx: TaskContext, *, description: str | None = None) -> None:
        self._life.rename(vm_id, name, ctx, description)

    def export_vm(self, vm_id: ObjectId, path: Path, ctx: TaskContext, *, compress: bool = False) -> None:
        self._transfer.export(vm_id, path, ctx, compress=compress)

    def import_vm(
        self,
        path: Path,
        ctx: TaskContext,
        *,
        name: str = "",
        storage_id: ObjectId | None = None,
        host_id: ObjectId | None = None,
        network_id: ObjectId | None = None,
    ) -> ObjectId:
        return self._transfer.import_file(
            path, ctx, name=name, storage_id=storage_id, host_id=host_id, network_id=network_id
        )

    # ---- hosts and pool ------------------------------------------------------------------------------------

    def host_info(self, host_id: ObjectId) -> HostDetails:
        return self._hosts.info(host_id)

    def enter_maintenance(self, host_id: ObjectId, ctx: TaskContext) -> None:
        self._hosts.enter_maintenance(host_id, ctx)

    def leave_maintenance(self, host_id: ObjectId, ctx: TaskContext) -> None:
        self._hosts.leave_maintenance(host_id, ctx)

    def host_reboot(self, host_id: ObjectId, ctx: TaskContext, *, force: bool = False) -> None:
        self._hosts.power("reboot", host_id, ctx, force=force)

    def host_shutdown(self, host_id: ObjectId, ctx: TaskContext, *, force: bool = False) -> None:
        self._hosts.power("shutdown", host_id, ctx, force=force)

    def change_password(self, old: Secret, new: Secret, ctx: TaskContext) -> None:
        self._hosts.change_password(old, new, ctx)
