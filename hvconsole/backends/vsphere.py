"""vCenter and ESXi behind the contract: puts the parts together, one method per verb.

Every method may be called from any worker thread, ``watch`` from one at a time. See ``base.Hypervisor`` for what each
promises. After each verb the object concerned is read again, because not every server announces every change.

No options of ``Target`` are known.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from hvconsole.backends import vsphere_create as making
from hvconsole.backends import vsphere_devices as devices
from hvconsole.backends import vsphere_diagnosis as diagnosis
from hvconsole.backends import vsphere_history as history
from hvconsole.backends import vsphere_host as hosts
from hvconsole.backends import vsphere_life as life
from hvconsole.backends import vsphere_ovf as ovf
from hvconsole.backends import vsphere_power as powering
from hvconsole.backends import vsphere_screen as screen
from hvconsole.backends import vsphere_snapshots as snapshots
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
from hvconsole.backends.vsphere_collector import Collector
from hvconsole.backends.vsphere_session import Session, open_session
from hvconsole.clock import Clock
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

_EVERYWHERE = (
    Capability.SUSPEND
    | Capability.STANDBY
    | Capability.SNAPSHOT
    | Capability.SNAPSHOT_MEMORY
    | Capability.SNAPSHOT_QUIESCE
    | Capability.SNAPSHOT_SUBTREE
    | Capability.CREATE
    | Capability.UNREGISTER
    | Capability.EXPORT
    | Capability.IMPORT
    | Capability.MAINTENANCE
    | Capability.HOST_POWER
    | Capability.METRICS
    | Capability.NETWORK_MAP
    | Capability.EVENTS
    | Capability.SCREENSHOT
    | Capability.CONSOLE
    | Capability.CANCEL_TASK
)
_VCENTER = (
    Capability.CREATE_FROM_TEMPLATE
    | Capability.CLONE
    | Capability.COPY
    | Capability.TO_TEMPLATE
    | Capability.TO_VM
    | Capability.MIGRATE
    | Capability.MIGRATE_STORAGE
    | Capability.START_ON
)
_READING = Capability.METRICS | Capability.NETWORK_MAP | Capability.EVENTS | Capability.SCREENSHOT | Capability.CONSOLE


def open_vsphere(target: Target, secret: Secret, trust: Trust, clock: Clock) -> Hypervisor:
    """Log in to a vCenter or ESXi host. Blocks at most 10 s per address. Raises ``ConnectError``."""
    return VSphere(open_session(target, secret, trust, clock), clock)


class VSphere(Hypervisor):
    """One logged-in vCenter or ESXi host."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._collector = Collector(session, clock)
        self._meter = history.Meter(session)

    @property
    def info(self) -> ServerInfo:
        return self._session.info

    @property
    def capabilities(self) -> Capability:
        if self._session.read_only:
            return _READING
        return _EVERYWHERE | _VCENTER if self._session.is_vcenter else _EVERYWHERE

    def watch(self, timeout_s: float) -> Inventory | None:
        return self._collector.next(timeout_s)

    def refresh(self) -> None:
        self._collector.refresh()

    def close(self) -> None:
        self._session.close()

    @contextlib.contextmanager
    def _changing(self, *vms: ObjectId, hosts: tuple[ObjectId, ...] = ()) -> Iterator[None]:
        """Around each verb: whatever comes of it, the objects concerned are looked at again."""
        try:
            yield
        finally:
            if not self._session.closing:
                for vm_id in vms:
                    self._collector.touch("VirtualMachine", vm_id)
                for host_id in hosts:
                    self._collector.touch("HostSystem", host_id)

    def diagnose(self) -> Iterator[Step]:
        return diagnosis.checks(self._session, self._clock)

    # ---- details when looked at ------------------------------------------------------------------------------

    def details(self, vm_id: ObjectId) -> VmDetails:
        return devices.details(self._session, vm_id)

    def metrics(self, object_id: ObjectId, seconds: int = 600) -> Metrics:
        inventory = self._collector.inventory
        is_host = object_id in inventory.hosts if inventory is not None else "host" in object_id
        return self._meter.metrics(object_id, seconds, self._clock.now(), is_host=is_host)

    def network_map(self, host_id: ObjectId) -> NetworkMap:
        return hosts.network_map(self._session, host_id)

    def events(self, since: dt.datetime | None = None) -> tuple[ServerEvent, ...]:
        return history.events(self._session, since)

    def screenshot(self, vm_id: ObjectId) -> bytes:
        return screen.screenshot(self._session, vm_id)

    def console(self, vm_id: ObjectId) -> ConsoleAddress:
        powering.vm_state(self._session, vm_id)
        host = f"[{self._session.host}]" if ":" in self._session.host else self._session.host
        # A ticket would be a secret in a place that is shown; without one the viewer asks for the password itself.
        return ConsoleAddress(
            protocol="vmrc",
            location=f"vmrc://{host}:{self._session.port}/?moid={vm_id}",
            note="Opens in VMware Remote Console, which asks for the password itself.",
        )

    # ---- power -----------------------------------------------------------------------------------------------

    def start(self, vm_id: ObjectId, ctx: TaskContext, *, host_id: ObjectId | None = None) -> None:
        with self._changing(vm_id):
            if host_id is not None:
                if not self._session.is_vcenter:
                    raise self._unsupported("starting on a chosen host")
                life.start_on(self._session, vm_id, host_id, ctx)
            else:
                powering.start(self._session, vm_id, ctx)

    def shutdown(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            powering.shutdown(self._session, vm_id, ctx)

    def power_off(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            powering.power_off(self._session, vm_id, ctx)

    def reboot(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            powering.reboot(self._session, vm_id, ctx)

    def reset(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            powering.reset(self._session, vm_id, ctx)

    def suspend(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            powering.suspend(self._session, vm_id, ctx)

    def resume(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            powering.resume(self._session, vm_id, ctx)

    def standby(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            powering.standby(self._session, vm_id, ctx)

    # ---- snapshots -------------------------------------------------------------------------------------------

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
        with self._changing(vm_id):
            return snapshots.take(self._session, vm_id, name, description, ctx, memory=memory, quiesce=quiesce)

    def revert(self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            snapshots.revert(self._session, vm_id, snapshot_id, ctx)

    def delete_snapshot(
        self, vm_id: ObjectId, snapshot_id: ObjectId, ctx: TaskContext, *, children: bool = False
    ) -> None:
        with self._changing(vm_id):
            snapshots.delete(self._session, vm_id, snapshot_id, ctx, children=children)

    def find_snapshots(self, vm_id: ObjectId, name: str) -> SnapshotSearch:
        return snapshots.find(self._session, vm_id, name)

    # ---- life ------------------------------------------------------------------------------------------------

    def creation_choices(self, host_id: ObjectId | None = None) -> CreationChoices:
        return making.choices(self._session, host_id)

    def create_vm(self, spec: CreateVm, ctx: TaskContext) -> ObjectId:
        if spec.template_id is not None and not self._session.is_vcenter:
            raise self._unsupported("making VMs from templates")
        made = making.create(self._session, spec, ctx)
        self._collector.touch("VirtualMachine", made)
        return made

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
        # Clones are always full here; ``storage_id`` says where the disks go.
        made = life.clone(self._session, vm_id, name, ctx, storage_id=storage_id, snapshot_id=snapshot_id)
        self._collector.touch("VirtualMachine", made)
        return made

    def to_template(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            life.to_template(self._session, vm_id, ctx)

    def to_vm(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            life.to_vm(self._session, vm_id, ctx)

    def delete_vm(self, vm_id: ObjectId, ctx: TaskContext, *, keep_disks: frozenset[ObjectId] = frozenset()) -> None:
        with self._changing(vm_id):
            life.delete(self._session, vm_id, ctx, keep_disks)

    def unregister(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(vm_id):
            life.unregister(self._session, vm_id, ctx)

    def rename(self, vm_id: ObjectId, name: str, ctx: TaskContext, *, description: str | None = None) -> None:
        with self._changing(vm_id):
            life.rename(self._session, vm_id, name, ctx, description)

    def migrate(
        self, vm_id: ObjectId, host_id: ObjectId | None, ctx: TaskContext, *, storage_id: ObjectId | None = None
    ) -> None:
        with self._changing(vm_id):
            life.migrate(self._session, vm_id, host_id, ctx, storage_id=storage_id)

    def export_vm(self, vm_id: ObjectId, path: Path, ctx: TaskContext, *, compress: bool = False) -> None:
        # ``compress`` changes nothing: servers hand out disks compressed already.
        with self._changing(vm_id):
            ovf.export_vm(self._session, vm_id, path, ctx)

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
        made = ovf.import_vm(
            self._session, path, ctx, name=name, storage_id=storage_id, host_id=host_id, network_id=network_id
        )
        self._collector.touch("VirtualMachine", made)
        return made

    # ---- hosts -----------------------------------------------------------------------------------------------

    def host_info(self, host_id: ObjectId) -> HostDetails:
        return hosts.host_info(self._session, host_id, self._clock.now())

    def enter_maintenance(self, host_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(hosts=(host_id,)):
            hosts.enter_maintenance(self._session, host_id, ctx)

    def leave_maintenance(self, host_id: ObjectId, ctx: TaskContext) -> None:
        with self._changing(hosts=(host_id,)):
            hosts.leave_maintenance(self._session, host_id, ctx)

    def host_reboot(self, host_id: ObjectId, ctx: TaskContext, *, force: bool = False) -> None:
        with self._changing(hosts=(host_id,)):
            hosts.power(self._session, host_id, ctx, reboot=True, force=force)

    def host_shutdown(self, host_id: ObjectId, ctx: TaskContext, *, force: bool = False) -> None:
        with self._changing(hosts=(host_id,)):
            hosts.power(self._session, host_id, ctx, reboot=False, force=force)
