"""What is asked for when somebody looks: a VM's facts, the server's messages, consoles. Blocks; any worker thread."""

from __future__ import annotations

import datetime as dt
import xmlrpc.client
from collections.abc import Mapping
from typing import Any

from hvconsole.backends import xen_fields as f
from hvconsole.backends.wire_calls import READ
from hvconsole.backends.xen_cache import Cache
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_session import XenSession
from hvconsole.clock import Clock
from hvconsole.errors import BadPowerState, BadReply, NotFound, OperationError
from hvconsole.model import ConsoleAddress, ObjectId, ServerEvent, VmDetails

MAX_EVENTS = 500
DEFAULT_PERIOD = dt.timedelta(days=7)


class Details:
    """Questions about single objects."""

    def __init__(self, session: XenSession, objects: Objects, cache: Cache, clock: Clock) -> None:
        self._session = session
        self._objects = objects
        self._cache = cache
        self._tables = cache.tables
        self._clock = clock

    def vm(self, vm_id: ObjectId) -> VmDetails:
        ref = self._objects.vm(vm_id)
        record = self._objects.record("VM", ref)
        shown = self._cache.latest
        vm = None if shown is None else shown.vms.get(vm_id)
        guest = self._guest(record)
        return VmDetails(
            vm_id=vm_id,
            nics=vm.nics if vm is not None else (),
            disks=vm.disks if vm is not None else (),
            facts=_facts(record, guest),
        )

    def _guest(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        ref = f.ref(record, "guest_metrics")
        if not ref:
            return {}
        try:
            return self._objects.record("VM_guest_metrics", ref)
        except NotFound:
            return {}

    def events(self, since: dt.datetime | None) -> tuple[ServerEvent, ...]:
        start = since or self._clock.now() - DEFAULT_PERIOD
        when = xmlrpc.client.DateTime(start.astimezone(dt.UTC).strftime("%Y%m%dT%H:%M:%SZ"))
        records = self._session.call("message.get_since", when, limits=READ)
        if not isinstance(records, dict):
            raise BadReply("The server's messages can't be read.")
        names = self._names()
        found = []
        for record in records.values():
            if not isinstance(record, dict):
                continue
            moment = f.date(record, "timestamp")
            if moment is not None and moment >= start.replace(microsecond=0):
                subject = names.get(f.text(record, "obj_uuid"), "")
                found.append(
                    ServerEvent(when=moment, name=f.text(record, "name"), text=f.text(record, "body"), subject=subject)
                )
        found.sort(key=lambda event: event.when, reverse=True)
        return tuple(found[:MAX_EVENTS])

    def _names(self) -> dict[str, str]:
        tables = self._tables
        names = {row.uuid: row.name for row in list(tables.vm.values())}
        names |= {row.uuid: row.name for row in list(tables.host.values())}
        names |= {row.uuid: row.name for row in list(tables.sr.values())}
        return names

    def console(self, vm_id: ObjectId) -> ConsoleAddress:
        """Console records are made anew at each start and migration, so they are read afresh."""
        record = self._objects.record("VM", self._objects.vm(vm_id))
        best: ConsoleAddress | None = None
        for ref in f.refs(record, "consoles"):
            try:
                console = self._objects.record("console", ref)
            except NotFound:
                continue
            protocol = f.text(console, "protocol").lower()
            if best is None or protocol == "rfb":
                best = ConsoleAddress(
                    protocol=protocol,
                    location=f.text(console, "location"),
                    note="Needs a viewer that logs in to XenServer, such as XenCenter or Xen Orchestra.",
                )
        if best is None:
            if f.power(record).value != "running":
                raise BadPowerState("The VM has a console only while it runs.")
            raise NotFound("The VM has no console.")
        return best

    def start_of(self, host: str, seconds: int) -> int:
        """``seconds`` ago by the host's own clock, since 1970; relative (negative) if it doesn't tell the time."""
        if host:
            try:
                answer = self._session.call("host.get_servertime", host)
                now = f.date({"now": answer}, "now")
                if now is not None:
                    return int(now.timestamp()) - seconds
            except OperationError:
                pass
        return -seconds

    def whereabouts(self, vm_or_host: ObjectId) -> tuple[str, str, str]:
        """(kind, uuid, reference of the host concerned or "") of a VM or host, for HTTP requests."""
        host = self._tables.ref_of("host", vm_or_host)
        if host is not None:
            return "host", str(vm_or_host), host
        record = self._objects.record("VM", self._objects.vm(vm_or_host))
        return "vm", f.text(record, "uuid"), f.ref(record, "resident_on")


def _facts(record: Mapping[str, Any], guest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    boot = f.text(record, "HVM_boot_policy")
    domain = f.text(record, "domain_type").replace("unspecified", "") or ("hvm" if boot else "pv")
    os = f.texts(guest, "os_version")
    params = f.texts(record, "HVM_boot_params")
    rows = [
        ("Virtualisation", {"hvm": "HVM", "pv": "PV", "pvh": "PVH", "pv_in_pvh": "PV in PVH"}.get(domain, domain)),
        ("Boot order", params.get("order", "")),
        ("Firmware", params.get("firmware", "")),
        ("Kernel in the guest", os.get("uname", "")),
        ("Priority of start", f.text(record, "ha_restart_priority")),
        ("Created from", f.texts(record, "other_config").get("base_template_name", "")),
        ("Domain", str(f.number(record, "domid")) if (f.number(record, "domid") or -1) >= 0 else ""),
    ]
    return tuple((label, value) for label, value in rows if value)
