"""Records of VMs and snapshots with their disks, cards, metrics and consoles. Called with ``world.lock`` held."""

from __future__ import annotations

from typing import Any

from hvconsole.lab.objects import Drive, Guest, Nic, Power, Snapshot, Vm
from hvconsole.lab.xapi import lifecycle, refs
from hvconsole.lab.xapi.records import Context, Rows
from hvconsole.lab.xapi.values import EPOCH, NULL, date

POWER = {Power.RUNNING: "Running", Power.HALTED: "Halted", Power.SUSPENDED: "Suspended", Power.PAUSED: "Paused"}

_HVM = {
    "HVM_boot_policy": "BIOS order",
    "HVM_boot_params": {"order": "cd", "firmware": "bios"},
    "HVM_shadow_multiplier": 1.0,
    "domain_type": "hvm",
}
_PLATFORM = {
    "apic": "true",
    "acpi": "1",
    "pae": "true",
    "nx": "true",
    "viridian": "false",
    "stdvga": "false",
    "videoram": "8",
    "device-model": "qemu-upstream-compat",
}


def vm_rows(context: Context, vm: Vm) -> Rows:
    """A VM and everything that hangs on it."""
    ref = refs.ref(vm)
    running = vm.power in (Power.RUNNING, Power.PAUSED)
    fields: dict[str, Any] = _hardware(vm) | {
        "name_label": vm.name,
        "name_description": vm.description,
        "power_state": POWER[vm.power],
        "is_a_template": vm.is_template,
        "is_default_template": vm.is_default_template,
        "is_control_domain": vm.is_control_domain,
        "is_a_snapshot": False,
        "resident_on": context.ref(vm.host_id),
        "affinity": context.ref(vm.home_host_id),
        "parent": context.ref(vm.current_snapshot_id),
        "tags": list(vm.tags),
        "domid": _domain_number(vm) if running else -1,
        "blocked_operations": lifecycle.blocked(vm),
        "allowed_operations": lifecycle.allowed(vm, ref),
        "current_operations": _current(context, vm),
        "guest_metrics": refs.ref(vm, "guest_metrics") if _has_guest_metrics(vm) else NULL,
        "snapshot_of": NULL,
        "snapshot_time": EPOCH,
    }
    other = _other_config(vm)
    if other:
        fields["other_config"] = other
    rows: Rows = [("VM", ref, fields), ("VM_metrics", refs.ref(vm, "metrics"), _metrics(vm))]
    if _has_guest_metrics(vm):
        rows.append(("VM_guest_metrics", refs.ref(vm, "guest_metrics"), _guest_metrics(vm)))
    rows += _device_rows(context, vm, ref, running=running)
    if running and not vm.is_control_domain:
        rows.append(_console(context, vm, ref))
    return rows


def snapshot_rows(context: Context, snapshot: Snapshot) -> Rows:
    """A snapshot: a VM record of its own that is also a template, with its own disks."""
    ref = refs.ref(snapshot)
    fields = _hardware(snapshot) | {
        "name_label": snapshot.name,
        "name_description": snapshot.description,
        "power_state": "Suspended" if snapshot.with_memory else "Halted",
        "is_a_template": True,
        "is_a_snapshot": True,
        "is_default_template": False,
        "is_control_domain": False,
        "snapshot_of": snapshot.extra.get("vm_ref") or context.ref(snapshot.vm_id),
        "snapshot_time": date(snapshot.created),
        "snapshot_info": {
            "power-state-at-snapshot": POWER[snapshot.power],
            "disk-snapshot-type": "crash_consistent" if not snapshot.quiesced else "quiesced",
        },
        "parent": context.ref(snapshot.parent_id),
        "tags": list(snapshot.tags),
        "domid": -1,
        "resident_on": NULL,
        "affinity": NULL,
        "blocked_operations": {},
        "allowed_operations": lifecycle.allowed(snapshot, ref),
        "current_operations": _current(context, snapshot),
        "guest_metrics": NULL,
    }
    rows: Rows = [
        ("VM", ref, fields),
        (
            "VM_metrics",
            refs.ref(snapshot, "metrics"),
            {
                "uuid": refs.uuid(snapshot, "metrics"),
                "memory_actual": snapshot.memory_bytes,
                "VCPUs_number": snapshot.vcpus,
            },
        ),
    ]
    return rows + _device_rows(context, snapshot, ref, running=False)


def _hardware(vm: Vm | Snapshot) -> dict[str, Any]:
    memory = vm.memory_bytes
    chosen: dict[str, Any] = vm.extra.get("fields", {})
    return (
        {
            "uuid": refs.uuid(vm),
            "metrics": refs.ref(vm, "metrics"),
            "user_version": 1,
            "VCPUs_max": vm.vcpus,
            "VCPUs_at_startup": vm.vcpus,
            "memory_static_max": memory,
            "memory_dynamic_max": memory,
            "memory_dynamic_min": memory,
            "memory_static_min": min(memory, 1 << 29),
            "memory_target": memory,
            "memory_overhead": 11 << 20,
            "actions_after_shutdown": "destroy",
            "actions_after_softreboot": "soft_reboot",
            "actions_after_reboot": "restart",
            "actions_after_crash": "restart",
            "platform": _PLATFORM,
            "reference_label": vm.guest.distro,
            "hardware_platform_version": 0,
            "domarch": "",
        }
        | _HVM
        | chosen
    )


def _domain_number(vm: Vm) -> int:
    if vm.is_control_domain:
        return 0
    return 1 + (int(vm.id[:6], 16) + vm.boots) % 30_000


def _current(context: Context, vm: Vm | Snapshot) -> dict[str, str]:
    words = lifecycle.WORDS
    if isinstance(vm, Snapshot):
        words = words | {"revert": "revert"}
    return {refs.ref_of_id(task): words.get(verb, verb) for task, verb in vm.operations.items()}


def _other_config(vm: Vm) -> dict[str, str]:
    if "other_config" in vm.extra:
        return dict(vm.extra["other_config"])
    if vm.is_default_template:
        size = vm.extra.get("disk_bytes", 0)
        disks = f'<provision><disk device="0" size="{size}" sr="" bootable="true" type="system"/></provision>'
        return {
            "default_template": "true",
            "disks": disks,
            "install-methods": "cdrom,nfs,http,ftp",
            "linux_template": "true",
            "mac_seed": refs.uuid(vm, "metrics"),
        }
    if vm.is_control_domain:
        return {"is_system_domain": "true", "storage_driver_domain": refs.ref(vm)}
    return {"mac_seed": refs.uuid(vm, "metrics"), "base_template_name": "Other"}


def _metrics(vm: Vm) -> dict[str, Any]:
    return {
        "uuid": refs.uuid(vm, "metrics"),
        "memory_actual": vm.memory_bytes,
        "VCPUs_number": vm.vcpus,
        "start_time": date(vm.started),
        "install_time": date(vm.created),
        "last_updated": date(vm.started),
        "state": [],
        "hvm": not vm.is_control_domain,
        "nested_virt": False,
        "nomigrate": False,
        "current_domain_type": "hvm" if not vm.is_control_domain else "pv",
    }


def _has_guest_metrics(vm: Vm) -> bool:
    """They appear when the tools report first and stay after a shutdown."""
    if vm.is_control_domain or vm.is_template:
        return False
    return vm.guest.tools_running or (vm.guest.tools and vm.power is not Power.RUNNING and vm.started > 0)


def _guest_metrics(vm: Vm) -> dict[str, Any]:
    guest = vm.guest
    fields: dict[str, Any] = {
        "uuid": refs.uuid(vm, "guest_metrics"),
        "os_version": _os_version(guest),
        "netbios_name": {"host_name": guest.hostname} if guest.family == "windows" else {},
        "PV_drivers_version": _drivers(guest),
        "PV_drivers_up_to_date": True,
        "PV_drivers_detected": True,
        "networks": _networks(vm.nics),
        "memory": {},
        "disks": {},
        "live": guest.tools_running,
        "other": {
            "feature-suspend": "1",
            "feature-poweroff": "1",
            "feature-reboot": "1",
            "feature-vcpu-hotplug": "1",
            "feature-static-ip-setting": "1",
            "feature-balloon": "1",
            "has-vendor-device": "0",
            "platform-feature-multiprocessor-suspend": "1",
            "data-updated": "1",
        },
        "can_use_hotplug_vbd": "yes",
        "can_use_hotplug_vif": "yes",
    }
    if guest.tools_running:
        fields["last_updated"] = date(vm.started)
    return fields


def _os_version(guest: Guest) -> dict[str, str]:
    if not guest.os:
        return {}
    name = f"{guest.os}|C:\\Windows|\\Device\\Harddisk0\\Partition2" if guest.family == "windows" else guest.os
    return {"name": name, "distro": guest.distro, "major": guest.major, "minor": guest.minor, "uname": guest.kernel}


def _drivers(guest: Guest) -> dict[str, str]:
    if not guest.tools_version:
        return {}
    version, _, build = guest.tools_version.partition("-")
    major, minor, micro = [*version.split("."), "0", "0", "0"][:3]
    return {"major": major, "minor": minor, "micro": micro, "build": build or "1"}


def _networks(nics: list[Nic]) -> dict[str, str]:
    found: dict[str, str] = {}
    for nic in nics:
        four = [address for address in nic.addresses if ":" not in address]
        six = [address for address in nic.addresses if ":" in address]
        if four:
            found[f"{nic.device}/ip"] = four[0]
        for position, address in enumerate(four):
            found[f"{nic.device}/ipv4/{position}"] = address
        for position, address in enumerate(six):
            found[f"{nic.device}/ipv6/{position}"] = address
    return found


def _device_rows(context: Context, vm: Vm | Snapshot, ref: str, *, running: bool) -> Rows:
    rows: Rows = []
    for drive in vm.drives:
        rows += _drive_rows(context, drive, ref, running=running)
    for nic in vm.nics:
        rows.append(_nic_row(context, nic, ref, running=running))
    return rows


def _drive_rows(context: Context, drive: Drive, vm_ref: str, *, running: bool) -> Rows:
    ref = refs.ref(drive)
    letter = chr(ord("a") + int(drive.device)) if drive.device.isdigit() and int(drive.device) < 26 else ""
    attached = running and drive.disk_id is not None
    operations = ["attach"] if not attached else ["unplug", "unplug_force"]
    if drive.is_cd:
        operations = ["attach", "eject"] if drive.disk_id else ["attach", "insert"]
    return [
        (
            "VBD",
            ref,
            {
                "uuid": refs.uuid(drive),
                "VM": vm_ref,
                "VDI": context.ref(drive.disk_id),
                "device": f"xvd{letter}" if running and letter else "",
                "userdevice": drive.device,
                "bootable": drive.bootable,
                "mode": "RO" if drive.read_only else "RW",
                "type": "CD" if drive.is_cd else "Disk",
                "unpluggable": True,
                "empty": drive.disk_id is None,
                "currently_attached": attached or (running and drive.is_cd),
                "allowed_operations": operations,
                "metrics": NULL,
                "status_code": 0,
            },
        )
    ]


def _nic_row(context: Context, nic: Nic, vm_ref: str, *, running: bool) -> tuple[str, str, dict[str, Any]]:
    network = context.world.networks.get(nic.network_id or "")
    return (
        "VIF",
        refs.ref(nic),
        {
            "uuid": refs.uuid(nic),
            "VM": vm_ref,
            "network": refs.ref(network) if network is not None else NULL,
            "device": nic.device,
            "MAC": nic.mac,
            "MTU": network.mtu if network is not None else 1500,
            "MAC_autogenerated": True,
            "currently_attached": running and nic.connected,
            "locking_mode": "network_default",
            "allowed_operations": ["unplug"] if running and nic.connected else ["attach"],
            "metrics": NULL,
            "ipv4_configuration_mode": "None",
            "ipv6_configuration_mode": "None",
        },
    )


def _console(context: Context, vm: Vm, vm_ref: str) -> tuple[str, str, dict[str, Any]]:
    host = context.world.hosts.get(vm.host_id or "")
    identity = refs.uuid(vm, "console")
    address = host.address if host is not None else "127.0.0.1"
    port = context.site.extra.get("port")
    shown = f"[{address}]" if ":" in address else address
    if port:
        shown = f"{shown}:{port}"
    return (
        "console",
        refs.ref(vm, "console"),
        {"uuid": identity, "protocol": "rfb", "VM": vm_ref, "location": f"https://{shown}/console?uuid={identity}"},
    )
