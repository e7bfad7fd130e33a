"""VM.create and VM.provision, and the setters of size that take several values."""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from hvconsole.lab import lifecycle as life
from hvconsole.lab.objects import Drive, Guest, Vm
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.dispatch import Call, message
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.storage_methods import keep_rest, typed
from hvconsole.lab.xapi.values import NULL
from hvconsole.lab.xapi.vm_methods import checked
from hvconsole.lab.xapi.world_fields import write_field

_MANDATORY = (
    "user_version",
    "is_a_template",
    "affinity",
    "memory_static_max",
    "memory_dynamic_max",
    "memory_dynamic_min",
    "memory_static_min",
    "VCPUs_params",
    "VCPUs_max",
    "VCPUs_at_startup",
    "actions_after_shutdown",
    "actions_after_reboot",
    "actions_after_crash",
    "PV_bootloader",
    "PV_kernel",
    "PV_ramdisk",
    "PV_args",
    "PV_bootloader_args",
    "PV_legacy_args",
    "HVM_boot_policy",
    "HVM_boot_params",
    "platform",
    "PCI_bus",
    "other_config",
    "recommendations",
)
_KEPT = (
    "user_version",
    "VCPUs_params",
    "actions_after_shutdown",
    "actions_after_reboot",
    "actions_after_crash",
    "PV_bootloader",
    "PV_kernel",
    "PV_ramdisk",
    "PV_args",
    "PV_bootloader_args",
    "PV_legacy_args",
    "HVM_boot_policy",
    "HVM_boot_params",
    "HVM_shadow_multiplier",
    "platform",
    "PCI_bus",
    "other_config",
    "recommendations",
    "xenstore_data",
    "ha_restart_priority",
    "ha_always_run",
    "order",
    "start_delay",
    "shutdown_delay",
    "domain_type",
    "NVRAM",
    "has_vendor_device",
    "hardware_platform_version",
    "reference_label",
    "bios_strings",
    "generation_id",
    "version",
)


@message("VM.create", "{}")
def create(call: Call, given: dict[str, Any]) -> str:
    """Make a halted VM from a complete record."""
    record = typed("VM", given, _MANDATORY)
    return made_from(call, record, name=record.get("name_label", ""))


def made_from(call: Call, record: dict[str, Any], *, name: str) -> str:
    """A halted VM with what ``record`` says (fields of the right types); its reference."""
    world = call.pool.world
    with world.lock:
        affinity = record.get("affinity", NULL)
        home = call.pool.host(affinity).id if affinity not in (NULL, "") else None
        vm = Vm(
            id=world.new_id(),
            site_id=call.pool.site.id,
            name=name,
            description=record.get("name_description", ""),
            is_template=record.get("is_a_template", False),
            vcpus=max(1, record.get("VCPUs_at_startup", 1)),
            memory_bytes=record.get("memory_static_max", 1 << 30),
            home_host_id=home,
            tags=[str(tag) for tag in record.get("tags", ())],
            guest=Guest(tools=False),
            created=world.now(),
        )
        vm.extra["fields"] = {
            field: record[field]
            for field in ("memory_dynamic_max", "memory_dynamic_min", "memory_static_min", "VCPUs_max")
            if field in record
        }
        world.add(vm)
        ref = refs.ref(vm)
        keep_rest(call, "VM", ref, record, _KEPT)
        return ref


@message("VM.provision", "VM")
def provision(call: Call, ref: str) -> None:
    """Make the disks that other_config asks for; the template becomes a VM."""
    vm = checked(call, ref, "provision")
    world = call.pool.world
    if not isinstance(vm, Vm):
        raise Failure("VM_IS_SNAPSHOT", ref, "provision")
    with world.operation(vm, "create", call.task) as job:
        world.misbehave(job, vm, "create")
        world.work(job, world.timing.create)
        with world.lock:
            config = call.pool.db.get("VM", ref, "other_config")
            for wanted in _wanted_disks(config.get("disks", "")):
                _provision_disk(call, vm, wanted)
            vm.is_template = vm.is_default_template = False
            world.changed(vm)
            rest = {key: value for key, value in config.items() if key not in ("disks", "default_template")}
            call.pool.db.update("VM", ref, {"other_config": rest})


def _wanted_disks(text: str) -> list[dict[str, str]]:
    """The ``<disk …/>`` elements of a provisioning text."""
    if not text:
        return []
    found: list[dict[str, str]] = []
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "disk":
            found.append(attributes)

    def refuse(*_: Any) -> None:
        raise Failure("INTERNAL_ERROR", "DOCTYPE in other_config:disks")

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise Failure("INTERNAL_ERROR", f"other_config:disks cannot be read: {error}") from None
    return found


def _provision_disk(call: Call, vm: Vm, wanted: dict[str, str]) -> None:
    world, db = call.pool.world, call.pool.db
    sr = wanted.get("sr", "")
    sr_ref = db.tables["SR"].by_uuid.get(sr)
    if sr_ref is None:
        raise Failure("UUID_INVALID", "sr", sr)
    storage = call.pool.obj(world.storages, "SR", sr_ref)
    size = wanted.get("size", "0")
    if not size.isdigit() or int(size) <= 0:
        raise Failure("INVALID_VALUE", "size", size)
    disk = life.new_disk(
        world,
        call.pool.site.id,
        storage.id,
        f"{vm.name} {wanted.get('device', '0')}",
        int(size),
        description="Created by template provisioner",
    )
    vm.drives.append(
        Drive(
            id=world.new_id(),
            device=wanted.get("device", "0"),
            disk_id=disk.id,
            bootable=wanted.get("bootable") == "true",
        )
    )


@message("VM.set_memory_limits", "VM", "i", "i", "i", "i")
def set_memory_limits(
    call: Call, ref: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
) -> None:
    """All four limits at once; static ones need a halted VM."""
    checked(call, ref, "changing_memory_limits")
    if not 0 <= static_min <= dynamic_min <= dynamic_max <= static_max:
        raise Failure(
            "MEMORY_CONSTRAINT_VIOLATION",
            "Memory limits must satisfy: static_min <= dynamic_min <= dynamic_max <= static_max",
        )
    _sizes(
        call,
        ref,
        memory_static_max=static_max,
        memory_static_min=static_min,
        memory_dynamic_min=dynamic_min,
        memory_dynamic_max=dynamic_max,
    )


@message("VM.set_memory", "VM", "i")
def set_memory(call: Call, ref: str, value: int) -> None:
    """One number for all limits but the static minimum."""
    checked(call, ref, "changing_memory_limits")
    _sizes(call, ref, memory_static_max=value, memory_dynamic_min=value, memory_dynamic_max=value)


@message("VM.set_memory_static_range", "VM", "i", "i")
def set_memory_static_range(call: Call, ref: str, least: int, most: int) -> None:
    """Both static limits."""
    checked(call, ref, "changing_static_range")
    _sizes(call, ref, memory_static_min=least, memory_static_max=most)


@message("VM.set_memory_dynamic_range", "VM", "i", "i")
def set_memory_dynamic_range(call: Call, ref: str, least: int, most: int) -> None:
    """Both dynamic limits."""
    checked(call, ref, "changing_dynamic_range")
    _sizes(call, ref, memory_dynamic_min=least, memory_dynamic_max=most)


@message("VM.set_VCPUs_number_live", "VM", "i")
def set_vcpus_number_live(call: Call, ref: str, number: int) -> None:
    """More or fewer vCPUs in a running guest."""
    vm = checked(call, ref, "changing_VCPUs_live")
    if isinstance(vm, Vm):
        life.reconfigure(call.pool.world, vm.id, lambda changed: setattr(changed, "vcpus", number))


def _sizes(call: Call, ref: str, **limits: int) -> None:
    with call.pool.world.lock:
        for field, value in limits.items():
            write_field(call.pool, "VM", ref, field, value)
