"""Hosts and the pool: facts, maintenance, restart, password. Blocks; any worker thread."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from hvconsole.backends import xen_fields as f
from hvconsole.backends.base import Secret, TaskContext
from hvconsole.backends.wire_calls import READ
from hvconsole.backends.xen_errors import translate_failure
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xen_tables import Tables
from hvconsole.backends.xen_tasks import LONG_TASK_LIMIT_S, Tasks
from hvconsole.errors import (
    AuthError,
    BadPowerState,
    BadReply,
    HvError,
    InvalidInput,
    NotFound,
    OperationError,
    OutcomeUnknown,
    Refused,
)
from hvconsole.model import HostDetails, HostNic, NetworkLink, NetworkMap, Nic, ObjectId
from hvconsole.text import format_bytes, safe_text, unsendable

log = logging.getLogger(__name__)


class Hosts:
    """Host verbs and questions of one server."""

    def __init__(self, session: XenSession, objects: Objects, tasks: Tasks, tables: Tables) -> None:
        self._session = session
        self._objects = objects
        self._tasks = tasks
        self._tables = tables

    # ---- facts ---------------------------------------------------------------------------------------------

    def info(self, host_id: ObjectId) -> HostDetails:
        host = self._objects.ref("host", host_id)
        record = self._objects.record("host", host)
        storages = [
            Tables.id_of(self._tables.sr, row.sr)
            for row in list(self._tables.pbd.values())
            if row.host == host and row.attached
        ]
        return HostDetails(
            host_id=host_id,
            nics=tuple(nic for _network, nic in self._nics(host)),
            storages=tuple(sorted({sr for sr in storages if sr is not None})),
            licence=_licence(record),
            facts=_facts(record, self._tables.host_metrics.get(f.ref(record, "metrics"))),
        )

    def network_map(self, host_id: ObjectId) -> NetworkMap:
        host = self._objects.ref("host", host_id)
        cards: dict[str, list[HostNic]] = {}
        for network, nic in self._nics(host):
            cards.setdefault(network, []).append(nic)
        guests: dict[str, list[tuple[ObjectId, Nic]]] = {}
        tables = self._tables
        for vm_ref, vm in list(tables.vm.items()):
            if vm.resident_on != host or vm.is_snapshot:
                continue
            vm_id = ObjectId(vm.uuid or vm_ref)
            for vif_ref in list(tables.vifs_of.get(vm_ref, ())):
                vif = tables.vif.get(vif_ref)
                if vif is not None:
                    guest = Nic(
                        id=ObjectId(vif.uuid or vif_ref), device=vif.device, mac=vif.mac, connected=vif.connected
                    )
                    guests.setdefault(vif.network, []).append((vm_id, guest))
        links = []
        for ref, row in sorted(list(tables.network.items()), key=lambda item: item[1].name):
            if ref in cards or ref in guests:
                links.append(
                    NetworkLink(
                        network_id=ObjectId(row.uuid or ref),
                        network=row.name,
                        host_nics=tuple(cards.get(ref, ())),
                        vm_nics=tuple(guests.get(ref, ())),
                    )
                )
        return NetworkMap(host_id=host_id, links=tuple(links))

    def _nics(self, host: str) -> list[tuple[str, HostNic]]:
        """(network, card) pairs of a host, in the order of their names."""
        pifs = self._session.call("PIF.get_all_records", limits=READ)
        try:
            metrics = self._session.call("PIF_metrics.get_all_records", limits=READ)
        except (OperationError, BadReply) as exc:
            log.info("no speed and link of network cards: %s", exc.detail)
            metrics = {}
        found = []
        for record in pifs.values() if isinstance(pifs, dict) else ():
            if isinstance(record, dict) and f.ref(record, "host") == host:
                measured = metrics.get(f.ref(record, "metrics")) if isinstance(metrics, dict) else None
                network = self._tables.network.get(f.ref(record, "network"))
                nic = _host_nic(record, measured if isinstance(measured, dict) else {})
                found.append((f.ref(record, "network"), _named(nic, "" if network is None else network.name)))
        found.sort(key=lambda pair: (pair[1].name, pair[1].vlan or 0))
        return found

    # ---- maintenance and power -----------------------------------------------------------------------------

    def enter_maintenance(self, host_id: ObjectId, ctx: TaskContext) -> None:
        """Disable, then evacuate; if the VMs cannot go, the host is enabled again."""
        host = self._objects.ref("host", host_id)
        self._refuse_if_stuck(host)
        self._tasks.run(ctx, "host.disable", host)
        try:
            ctx.progress(None, "Moving the VMs away")
            self._tasks.run(ctx, "host.evacuate", host, limit_s=LONG_TASK_LIMIT_S)
        except OutcomeUnknown:
            raise
        except HvError:
            self._enable_again(host)
            raise

    def leave_maintenance(self, host_id: ObjectId, ctx: TaskContext) -> None:
        self._tasks.run(ctx, "host.enable", self._objects.ref("host", host_id))

    def power(self, operation: str, host_id: ObjectId, ctx: TaskContext, *, force: bool) -> None:
        """``operation``: reboot or shutdown. VMs still running: refused, or shut down hard with ``force``."""
        host = self._objects.ref("host", host_id)
        record = self._objects.record("host", host)
        running = self._running_vms(record)
        if running and not force:
            names = ", ".join(safe_text(name, 40) for name in list(running.values())[:5])
            raise Refused(f"{len(running)} VMs still run on the host: {names}{'…' if len(running) > 5 else '.'}")
        was_enabled = f.flag(record, "enabled", True)
        if was_enabled:
            self._tasks.run(ctx, "host.disable", host)
        try:
            for vm in running:
                ctx.raise_if_cancelled()
                self._stop(vm, ctx)
            self._tasks.run(ctx, f"host.{operation}", host)
        except OutcomeUnknown:
            # A master that goes down takes its tasks along; that is how it looks when it worked.
            if self._is_master(host):
                return
            raise
        except HvError:
            if was_enabled:
                self._enable_again(host)
            raise

    def _stop(self, vm: str, ctx: TaskContext) -> None:
        try:
            self._tasks.run(ctx, "VM.hard_shutdown", vm)
        except (NotFound, BadPowerState):
            return  # it stopped by itself meanwhile

    def _running_vms(self, record: Mapping[str, Any]) -> dict[str, str]:
        running = {}
        for ref in f.refs(record, "resident_VMs"):
            try:
                vm = self._objects.record("VM", ref)
            except NotFound:
                continue
            if not f.flag(vm, "is_control_domain"):
                running[ref] = f.text(vm, "name_label")
        return running

    def _refuse_if_stuck(self, host: str) -> None:
        """Ask first which VMs cannot move, and name them."""
        try:
            stuck = self._session.call("host.get_vms_which_prevent_evacuation", host)
        except HvError:
            return  # older servers don't know the question; evacuate itself will tell
        if not isinstance(stuck, dict) or not stuck:
            return
        reasons, codes = [], []
        for ref, why in list(stuck.items())[:5]:
            row = self._tables.vm.get(str(ref))
            reason = translate_failure(why)
            reasons.append(f"{safe_text(row.name if row else str(ref), 40)} ({reason.user_text.rstrip('.')})")
            codes.append(reason.detail)
        count = "1 VM" if len(stuck) == 1 else f"{len(stuck)} VMs"
        raise Refused(f"{count} can't be moved away: {', '.join(reasons)}.", "\n".join(codes))

    def _enable_again(self, host: str) -> None:
        try:
            self._tasks.run(TaskContext(), "host.enable", host)
        except HvError:
            log.warning("the host could not be enabled again", exc_info=True)

    def _is_master(self, host: str) -> bool:
        return any(row.master == host for row in list(self._tables.pool.values()))

    # ---- pool ----------------------------------------------------------------------------------------------

    def change_password(self, old: Secret, new: Secret, ctx: TaskContext) -> None:
        if not new.password:
            raise InvalidInput("The new password is empty.")
        if unsendable(new.password) or unsendable(old.password):
            raise InvalidInput("The password holds a character that can't be sent.")
        ctx.raise_if_cancelled()
        if old.password != self._session.secret.password:
            raise AuthError("The present password is not right.")
        self._session.call("session.change_password", old.password, new.password, write=True)
        self._session.replace_secret(new)


def _host_nic(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> HostNic:
    carrier = metrics.get("carrier")
    speed = f.size(metrics, "speed")
    vlan = f.number(record, "VLAN")
    ipv6 = f.strings(record, "IPv6")
    return HostNic(
        name=f.text(record, "device"),
        mac=f.text(record, "MAC"),
        address=f.text(record, "IP") or (ipv6[0] if ipv6 else ""),
        netmask=f.text(record, "netmask"),
        gateway=f.text(record, "gateway"),
        management=f.flag(record, "management"),
        link_up=carrier if isinstance(carrier, bool) else None,
        speed_mbps=speed or None,
        vlan=vlan if vlan is not None and vlan >= 0 else None,
    )


def _named(nic: HostNic, network: str) -> HostNic:
    return HostNic(
        name=nic.name,
        mac=nic.mac,
        network=network,
        address=nic.address,
        netmask=nic.netmask,
        gateway=nic.gateway,
        management=nic.management,
        link_up=nic.link_up,
        speed_mbps=nic.speed_mbps,
        vlan=nic.vlan,
    )


def _licence(record: Mapping[str, Any]) -> str:
    edition = f.text(record, "edition")
    expiry = f.parse_date(f.texts(record, "license_params").get("expiry", ""))
    if expiry is None or expiry.year >= 2100:
        return edition
    return f"{edition}, until {expiry:%Y-%m-%d}" if edition else f"until {expiry:%Y-%m-%d}"


def _facts(record: Mapping[str, Any], metrics: object) -> tuple[tuple[str, str], ...]:
    software = f.texts(record, "software_version")
    cpu = f.mapping(record, "cpu_info")
    bios = f.texts(record, "bios_strings")
    total = getattr(metrics, "memory_total", None)
    free = getattr(metrics, "memory_free", None)
    rows = [
        ("Host name", f.text(record, "hostname")),
        ("Management address", f.text(record, "address")),
        ("Manufacturer", bios.get("system-manufacturer", "")),
        ("Model", bios.get("system-product-name", "")),
        ("Serial number", bios.get("system-serial-number", "")),
        ("CPU", " ".join(f.text(cpu, "modelname").split())),
        ("CPU speed", f"{f.text(cpu, 'speed').split('.')[0]} MHz" if f.text(cpu, "speed") else ""),
        ("Memory", format_bytes(total) if total else ""),
        ("Free memory", format_bytes(free) if free else ""),
        ("Xen version", software.get("xen", "")),
        ("Platform version", software.get("platform_version", "")),
        ("Build", software.get("build_number", "")),
        ("Kernel", software.get("linux", "")),
        ("iSCSI name", f.text(record, "iscsi_iqn") or f.texts(record, "other_config").get("iscsi_iqn", "")),
    ]
    return tuple((label, value) for label, value in rows if value)
