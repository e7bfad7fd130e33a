"""Records of the pool, its hosts and their network cards. Called with ``world.lock`` held."""

from __future__ import annotations

from typing import Any

from hvconsole.lab.objects import Host, HostState, Site
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.records import Context, Rows
from hvconsole.lab.xapi.values import NULL, date

API_VERSION = (2, 21)

_SOFTWARE = {
    "product_brand": "XCP-ng",
    "product_version": "8.3.0",
    "product_version_text": "8.3",
    "product_version_text_short": "8.3",
    "platform_name": "XCP",
    "platform_version": "3.4.0",
    "xapi": "24.19",
    "xapi_build": "24.19.2",
    "xen": "4.17.5-3",
    "linux": "4.19.0+1",
    "build_number": "cloud",
    "hostname": "localhost",
    "date": "20240910T12:00:00Z",
    "dbv": "0.0.1",
    "network_backend": "openvswitch",
    "xencenter_min": "2.21",
    "xencenter_max": "2.21",
    "git_id": "0",
}
_LICENCE = {
    "sku_type": "xcp-ng",
    "sku_marketing_name": "XCP-ng",
    "expiry": "never",
    "restrict_connection": "false",
    "restrict_pooling": "false",
    "restrict_checkpoint": "false",
    "restrict_export_resource_data": "false",
    "restrict_storage_xen_motion": "false",
    "restrict_vtpm": "false",
    "enable_xha": "true",
}


def pool_rows(context: Context, site: Site) -> Rows:
    """The pool: always exactly one."""
    master = context.world.hosts.get(site.master_id or "")
    default = context.ref(site.default_storage_id)
    fields: dict[str, Any] = {
        "uuid": refs.uuid(site),
        "name_label": site.name,
        "name_description": site.description,
        "master": refs.ref(master) if master is not None else NULL,
        "default_SR": default,
        "suspend_image_SR": default,
        "crash_dump_SR": default,
        "ha_enabled": False,
        "restrictions": _LICENCE,
        "allowed_operations": ["ha_enable", "cluster_create", "designate_new_master", "tls_verification_enable"],
        "tls_verification_enabled": True,
        "telemetry_frequency": "weekly",
        "update_sync_frequency": "weekly",
        "other_config": site.extra.get("other_config", {}),
        "cpu_info": {"vendor": "GenuineIntel", "cpu_count": "192", "socket_count": "6"},
    }
    return [("pool", context.pool_ref, fields)]


def host_rows(context: Context, host: Host) -> Rows:
    """A host with its metrics and cards."""
    ref, metrics = refs.ref(host), refs.ref(host, "metrics")
    live = host.state is HostState.UP
    dom0 = context.world.vms.get(host.extra.get("control_domain_id", ""))
    used = sum(vm.memory_bytes for vm in context.world.vms.values() if vm.host_id == host.id)
    cpu = {
        "cpu_count": str(host.cpus),
        "socket_count": str(host.sockets),
        "vendor": "GenuineIntel",
        "speed": f"{host.cpu_mhz}.000",
        "modelname": host.cpu_model,
        "family": "6",
        "model": "106",
        "stepping": "6",
        "threads_per_core": str(max(1, host.cpus // max(1, host.cores))),
    }
    rows: Rows = [
        (
            "host",
            ref,
            {
                "uuid": refs.uuid(host),
                "name_label": host.name,
                "name_description": host.description,
                "hostname": host.name,
                "address": host.address,
                "enabled": host.enabled and live,
                "metrics": metrics,
                "API_version_major": API_VERSION[0],
                "API_version_minor": API_VERSION[1],
                "API_version_vendor": "XenSource",
                "API_version_vendor_implementation": {},
                "software_version": _SOFTWARE
                | {
                    "product_brand": host.product or "XCP-ng",
                    "product_version": host.version or "8.3.0",
                    "hostname": host.name,
                },
                "other_config": {
                    "boot_time": f"{host.booted:.0f}.",
                    "agent_start_time": f"{host.booted + 90:.0f}.",
                    "iscsi_iqn": f"iqn.2024-01.example:{host.id[:8]}",
                }
                | ({"MAINTENANCE_MODE": "true"} if host.maintenance else {}),
                "cpu_info": cpu,
                "license_params": _LICENCE,
                "edition": "xcp-ng",
                "power_on_mode": "",
                "capabilities": ["xen-3.0-x86_64", "hvm-3.0-x86_64"],
                "sched_policy": "credit",
                "supported_bootloaders": ["pygrub", "eliloader"],
                "allowed_operations": _host_operations(host, live=live),
                "current_operations": {
                    refs.ref_of_id(task): _HOST_WORDS.get(verb, verb) for task, verb in host.operations.items()
                },
                "control_domain": refs.ref(dom0) if dom0 is not None else NULL,
                "memory_overhead": 1 << 30,
                "bios_strings": {
                    "system-manufacturer": host.vendor,
                    "system-product-name": host.hardware,
                    "system-serial-number": host.serial,
                },
                "suspend_image_sr": context.ref(context.site.default_storage_id),
                "crash_dump_sr": context.ref(context.site.default_storage_id),
                "https_only": True,
                "display": "enabled",
                "tls_verification_enabled": True,
                "virtual_hardware_platform_versions": [0, 1, 2],
                "numa_affinity_policy": "default_policy",
                "latest_synced_updates_applied": "unknown",
                "editions": ["xcp-ng"],
            },
        ),
        (
            "host_metrics",
            metrics,
            {
                "uuid": refs.uuid(host, "metrics"),
                "live": live,
                "memory_total": host.memory_bytes,
                "memory_free": max(0, host.memory_bytes - used) if live else 0,
                "last_updated": date(host.booted),
            },
        ),
    ]
    if "refs" in host.extra:
        return rows
    for nic in host.nics:
        rows += _card_rows(context, host, nic)
    rows += _cpu_rows(host, ref)
    return rows


def _cpu_rows(host: Host, ref: str) -> Rows:
    identity = refs.uuid(host, "cpu")
    return [
        (
            "host_cpu",
            refs.ref(host, "cpu"),
            {
                "uuid": identity,
                "host": ref,
                "number": 0,
                "vendor": "GenuineIntel",
                "speed": host.cpu_mhz,
                "modelname": host.cpu_model,
                "family": 6,
                "model": 106,
                "stepping": "6",
            },
        )
    ]


def _card_rows(context: Context, host: Host, nic: Any) -> Rows:
    pif, metrics = refs.ref_of_id(nic.id), refs.ref_of_id(nic.id, "metrics")
    network = context.world.networks.get(nic.network_id)
    return [
        (
            "PIF",
            pif,
            {
                "uuid": nic.id,
                "device": nic.device,
                "network": refs.ref(network) if network is not None else NULL,
                "host": refs.ref(host),
                "MAC": nic.mac,
                "MTU": 1500,
                "VLAN": nic.vlan,
                "metrics": metrics,
                "physical": nic.vlan < 0,
                "currently_attached": True,
                "ip_configuration_mode": "Static" if nic.address else "None",
                "IP": nic.address,
                "netmask": nic.netmask,
                "gateway": nic.gateway,
                "DNS": nic.gateway,
                "management": nic.management,
                "ipv6_configuration_mode": "None",
                "primary_address_type": "IPv4",
                "managed": True,
                "bond_slave_of": NULL,
                "VLAN_master_of": NULL,
                "capabilities": [],
                "igmp_snooping_status": "unknown",
            },
        ),
        (
            "PIF_metrics",
            metrics,
            {
                "uuid": refs.ref_of_id(nic.id, "guest_metrics")[10:],
                "carrier": nic.link_up,
                "speed": nic.speed_mbps,
                "duplex": True,
                "vendor_name": "Intel Corporation",
                "device_name": "Ethernet Controller X710",
                "pci_bus_path": "0000:3b:00.0",
                "device_id": "1572",
                "vendor_id": "8086",
            },
        ),
    ]


_HOST_WORDS = {"evacuate": "evacuate", "host_reboot": "reboot", "host_shutdown": "shutdown"}


def _host_operations(host: Host, *, live: bool) -> list[str]:
    if not live:
        return ["power_on"]
    if host.operations:
        return []
    base = ["provision", "evacuate", "vm_start", "vm_resume", "vm_migrate"]
    if not host.enabled:
        return ["evacuate", "reboot", "shutdown", "vm_migrate"]
    return base
