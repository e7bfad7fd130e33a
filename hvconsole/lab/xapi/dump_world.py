"""The objects of a world from the tables of a dump, so that a loaded pool can be worked like any other.

Every row is served as it was; the objects made here carry the references of their rows in ``extra["refs"]``, and only
what changes from now on is written back to the rows (see ``projector``). One thread, before anything serves.
"""

from __future__ import annotations

import re
from typing import Any

from hvconsole.lab.objects import (
    Disk,
    Drive,
    Guest,
    Host,
    HostNic,
    HostState,
    Network,
    Nic,
    Power,
    Site,
    Snapshot,
    Storage,
    Vm,
)
from hvconsole.lab.world import World
from hvconsole.lab.xapi.dump import BadDump, Tables
from hvconsole.lab.xapi.values import NULL, seconds

PASSWORD = "lab-xen-7"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_POWER = {"Running": Power.RUNNING, "Halted": Power.HALTED, "Suspended": Power.SUSPENDED, "Paused": Power.PAUSED}


def build(world: World, tables: Tables) -> None:
    """Add the pool to ``world``. Raises ``BadDump`` if there is no host."""
    _Loader(world, tables).build()


class _Loader:
    """One pass over the tables; ``ids`` maps references to world ids."""

    def __init__(self, world: World, tables: Tables) -> None:
        self.world = world
        self.tables = tables
        self.ids: dict[str, str] = {}
        self.used: set[str] = set()

    def table(self, name: str) -> dict[str, dict[str, Any]]:
        """Rows of a class."""
        return self.tables.get(name, {})

    def identify(self, ref: str, fields: dict[str, Any]) -> str:
        """The world id of an object: its uuid if that is one and nobody has it yet."""
        uuid = str(fields.get("uuid", "")).lower()
        if not _UUID.fullmatch(uuid) or uuid in self.used:
            uuid = self.world.new_id()
        self.used.add(uuid)
        self.ids[ref] = uuid
        return uuid

    def id_of(self, ref: Any) -> str | None:
        """The world id behind a reference, or None for NULL, dangling and foreign ones."""
        return self.ids.get(ref) if isinstance(ref, str) else None

    def build(self) -> None:
        """Make everything, in the order of dependence."""
        if not self.table("host"):
            raise BadDump("it has no host")
        site = self._site()
        for ref, fields in self.table("host").items():
            self._host(site, ref, fields)
        master = self.id_of(self._pool_fields.get("master"))
        site.master_id = master if master in self.world.hosts else next(iter(self.world.hosts))
        self.world.hosts[site.master_id].state = HostState.UP
        for ref, fields in self.table("network").items():
            self.world.add(
                Network(
                    id=self.identify(ref, fields),
                    site_id=site.id,
                    name=_text(fields, "name_label"),
                    description=_text(fields, "name_description"),
                    bridge=_text(fields, "bridge"),
                    extra=_refs(ref, fields),
                )
            )
        self._cards()
        for ref, fields in self.table("SR").items():
            self._storage(site, ref, fields)
        site.default_storage_id = self.id_of(self._pool_fields.get("default_SR"))
        self._disks(site)
        self._vms(site)
        site.extra["rows"] = [(name, ref, fields) for name, rows in self.tables.items() for ref, fields in rows.items()]
        site.extra["from_dump"] = True

    def _site(self) -> Site:
        ref, fields = next(iter(self.table("pool").items()), ("", {}))
        for other in list(self.table("pool"))[1:]:
            del self.table("pool")[other]  # there is always exactly one
        self._pool_fields = fields
        software = next(iter(self.table("host").values())).get("software_version", {})
        site = Site(
            id=self.identify(ref, fields),
            kind="xenserver",
            name=_text(fields, "name_label"),
            description=_text(fields, "name_description"),
            product=software.get("product_brand", "XenServer"),
            version=software.get("product_version", ""),
            user="root",
            password=PASSWORD,
        )
        if ref:
            site.extra |= {"pool_ref": ref, **_refs(ref, fields)}
        self.world.add(site)
        return site

    # ---- hosts -------------------------------------------------------------------------------------------

    def _host(self, site: Site, ref: str, fields: dict[str, Any]) -> None:
        metrics_ref = _text(fields, "metrics")
        metrics = self.table("host_metrics").get(metrics_ref, {})
        cpu, software = fields.get("cpu_info", {}), fields.get("software_version", {})
        other = fields.get("other_config", {})
        extra = _refs(ref, fields)
        extra["refs"]["metrics"] = (metrics_ref or NULL, _text(metrics, "uuid"))
        host = Host(
            id=self.identify(ref, fields),
            site_id=site.id,
            name=_text(fields, "name_label"),
            description=_text(fields, "name_description"),
            address=_text(fields, "address"),
            enabled=fields.get("enabled") is not False,
            state=HostState.FAILED if metrics.get("live") is False else HostState.UP,
            product=software.get("product_brand", ""),
            version=software.get("product_version", ""),
            cpu_model=cpu.get("modelname", ""),
            cpus=_int(cpu.get("cpu_count"), 1),
            sockets=_int(cpu.get("socket_count"), 1),
            cores=_int(cpu.get("cpu_count"), 1),
            memory_bytes=max(1 << 30, _int(metrics.get("memory_total"), 0)),
            booted=_float(other.get("boot_time")),
            extra=extra,
        )
        self.world.add(host)

    def _cards(self) -> None:
        for ref, fields in self.table("PIF").items():
            host = self.world.hosts.get(self.id_of(fields.get("host")) or "")
            if host is not None:
                host.nics.append(
                    HostNic(
                        id=self.identify(ref, fields),
                        device=_text(fields, "device"),
                        mac=_text(fields, "MAC"),
                        network_id=self.id_of(fields.get("network")) or "",
                        address=_text(fields, "IP"),
                        netmask=_text(fields, "netmask"),
                        gateway=_text(fields, "gateway"),
                        management=fields.get("management") is True,
                        vlan=_int(fields.get("VLAN"), -1),
                    )
                )
                self.world.changed(host)

    # ---- storage -----------------------------------------------------------------------------------------

    def _storage(self, site: Site, ref: str, fields: dict[str, Any]) -> None:
        hosts = [
            self.id_of(pbd.get("host"))
            for pbd in self.table("PBD").values()
            if pbd.get("SR") == ref and pbd.get("currently_attached") is not False
        ]
        self.world.add(
            Storage(
                id=self.identify(ref, fields),
                site_id=site.id,
                name=_text(fields, "name_label"),
                description=_text(fields, "name_description"),
                kind=_text(fields, "type"),
                shared=fields.get("shared") is True,
                holds_iso=fields.get("content_type") == "iso",
                size_bytes=max(0, _int(fields.get("physical_size"), 0)),
                used_bytes=max(0, _int(fields.get("physical_utilisation"), 0)),
                host_ids=[host for host in hosts if host is not None],
                extra=_refs(ref, fields),
            )
        )

    def _disks(self, site: Site) -> None:
        for ref, fields in self.table("VDI").items():
            self.identify(ref, fields)
        for ref, fields in self.table("VDI").items():
            storage = self.world.storages.get(self.id_of(fields.get("SR")) or "")
            extra = _refs(ref, fields) | {"type": _text(fields, "type")}
            origin = self.id_of(fields.get("snapshot_of"))
            self.world.add(
                Disk(
                    id=self.ids[ref],
                    site_id=site.id,
                    storage_id=storage.id if storage is not None else "",
                    name=_text(fields, "name_label"),
                    description=_text(fields, "name_description"),
                    size_bytes=_int(fields.get("virtual_size"), 0),
                    used_bytes=_int(fields.get("physical_utilisation"), 0),
                    is_iso=storage is not None and storage.holds_iso,
                    read_only=fields.get("read_only") is True,
                    snapshot_of=origin if fields.get("is_a_snapshot") is True else None,
                    taken=seconds(_text(fields, "snapshot_time")),
                    extra=extra,
                )
            )

    # ---- VMs ---------------------------------------------------------------------------------------------

    def _vms(self, site: Site) -> None:
        drives: dict[str, list[Drive]] = {}
        for ref, fields in self.table("VBD").items():
            drives.setdefault(_text(fields, "VM"), []).append(
                Drive(
                    id=self.identify(ref, fields),
                    device=_text(fields, "userdevice"),
                    disk_id=self.id_of(fields.get("VDI")),
                    is_cd=fields.get("type") == "CD",
                    read_only=fields.get("mode") == "RO",
                    bootable=fields.get("bootable") is True,
                    extra=_refs(ref, fields),
                )
            )
        nics: dict[str, list[Nic]] = {}
        for ref, fields in self.table("VIF").items():
            nics.setdefault(_text(fields, "VM"), []).append(
                Nic(
                    id=self.identify(ref, fields),
                    device=_text(fields, "device"),
                    mac=_text(fields, "MAC"),
                    network_id=self.id_of(fields.get("network")),
                    extra=_refs(ref, fields),
                )
            )
        consoles = {
            _text(fields, "VM"): (ref, _text(fields, "uuid"))
            for ref, fields in self.table("console").items()
            if fields.get("protocol") == "rfb"
        }
        for ref, fields in self.table("VM").items():
            self.identify(ref, fields)
        for ref, fields in self.table("VM").items():
            parts = {"metrics": _text(fields, "metrics"), "guest_metrics": _text(fields, "guest_metrics")}
            extra = _refs(ref, fields)
            for role, part in parts.items():
                row = self.table(f"VM_{role}").get(part)
                if row is not None:
                    extra["refs"][role] = (part, _text(row, "uuid"))
            if ref in consoles:
                extra["refs"]["console"] = consoles[ref]
            if fields.get("is_a_snapshot") is True and fields.get("is_control_domain") is not True:
                self._snapshot(site, ref, fields, extra, drives.get(ref, []), nics.get(ref, []))
            else:
                self._vm(site, ref, fields, extra, drives.get(ref, []), nics.get(ref, []))

    def _vm(
        self, site: Site, ref: str, fields: dict[str, Any], extra: dict[str, Any], drives: list[Drive], nics: list[Nic]
    ) -> None:
        power = _POWER.get(_text(fields, "power_state"), Power.HALTED)
        other = fields.get("other_config", {})
        metrics = self.table("VM_metrics").get(_text(fields, "metrics"), {})
        extra["other_config"] = other
        extra["blocked_operations"] = dict(fields.get("blocked_operations", {}))
        host = self.id_of(fields.get("resident_on"))
        control = fields.get("is_control_domain") is True
        vm = Vm(
            id=self.ids[ref],
            site_id=site.id,
            name=_text(fields, "name_label"),
            description=_text(fields, "name_description"),
            power=power,
            host_id=host if host in self.world.hosts and power in (Power.RUNNING, Power.PAUSED) else None,
            home_host_id=self._known_host(fields.get("affinity")),
            is_control_domain=control,
            is_template=fields.get("is_a_template") is True,
            is_default_template=fields.get("is_default_template") is True or other.get("default_template") == "true",
            tags=[str(tag) for tag in fields.get("tags", ())],
            vcpus=max(1, _int(fields.get("VCPUs_at_startup"), 1)),
            memory_bytes=max(1 << 20, _int(fields.get("memory_static_max"), 1 << 30)),
            drives=drives,
            nics=nics,
            started=seconds(_text(metrics, "start_time")),
            created=seconds(_text(metrics, "install_time")),
            current_snapshot_id=self.id_of(fields.get("parent")),
            extra=extra,
        )
        vm.guest = self._guest(fields, vm)
        self.world.add(vm)
        if control and vm.host_id is not None:
            self.world.hosts[vm.host_id].extra["control_domain_id"] = vm.id

    def _known_host(self, ref: Any) -> str | None:
        found = self.id_of(ref)
        return found if found in self.world.hosts else None

    def _guest(self, fields: dict[str, Any], vm: Vm) -> Guest:
        metrics = self.table("VM_guest_metrics").get(_text(fields, "guest_metrics"), {})
        system, drivers = metrics.get("os_version", {}), metrics.get("PV_drivers_version", {})
        name = system.get("name", "").partition("|")[0]
        version = ".".join(drivers.get(part, "0") for part in ("major", "minor", "micro")) if drivers else ""
        guest = Guest(
            os=name,
            family="windows" if "windows" in name.lower() else "linux",
            distro=system.get("distro", ""),
            major=system.get("major", ""),
            minor=system.get("minor", ""),
            kernel=system.get("uname", ""),
            tools=bool(drivers),
            tools_version=f"{version}-{drivers.get('build', '1')}" if drivers else "",
            tools_running=bool(drivers) and vm.power is Power.RUNNING,
        )
        self._addresses(metrics.get("networks", {}), vm)
        return guest

    @staticmethod
    def _addresses(networks: dict[str, str], vm: Vm) -> None:
        """Give each card the addresses reported for it; those of cards that do not exist stay with the VM."""
        by_device = {nic.device: nic for nic in vm.nics}
        for key, value in networks.items():
            nic = by_device.get(key.partition("/")[0])
            for address in value.split():
                if nic is None:
                    vm.extra.setdefault("loose_addresses", []).append(address)
                elif address not in nic.addresses:
                    nic.addresses.append(address)

    def _snapshot(
        self, site: Site, ref: str, fields: dict[str, Any], extra: dict[str, Any], drives: list[Drive], nics: list[Nic]
    ) -> None:
        of = _text(fields, "snapshot_of")
        extra["vm_ref"] = of or NULL
        info = fields.get("snapshot_info", {})
        snapshot = Snapshot(
            id=self.ids[ref],
            site_id=site.id,
            vm_id=self.id_of(of) or of or NULL,
            name=_text(fields, "name_label"),
            description=_text(fields, "name_description"),
            created=seconds(_text(fields, "snapshot_time")),
            parent_id=self.id_of(fields.get("parent")),
            with_memory=fields.get("power_state") == "Suspended",
            power=_POWER.get(info.get("power-state-at-snapshot", ""), Power.HALTED),
            vcpus=max(1, _int(fields.get("VCPUs_at_startup"), 1)),
            memory_bytes=max(1 << 20, _int(fields.get("memory_static_max"), 1 << 30)),
            drives=drives,
            nics=nics,
            tags=[str(tag) for tag in fields.get("tags", ())],
            extra=extra,
        )
        shell = Vm(id="", site_id=site.id, name="", nics=nics)
        snapshot.guest = self._guest(fields, shell)
        self.world.add(snapshot)


def _refs(ref: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"refs": {"self": (ref, _text(fields, "uuid"))}}


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, "")
    return value if isinstance(value, str) else ""


def _int(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
