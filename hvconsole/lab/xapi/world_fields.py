"""Setting a field: those that the world owns change the world (and come back as rows), the others the row alone.

Called with ``world.lock`` held.
"""

from __future__ import annotations

from typing import Any

from hvconsole.lab.objects import Power, Snapshot, Vm
from hvconsole.lab.xapi import schema
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.pool import Pool
from hvconsole.lab.xapi.values import NULL

_SIMPLE = {"name_label": "name", "name_description": "description"}


def write_field(pool: Pool, class_name: str, ref: str, field: str, value: Any) -> None:
    """Set ``field`` of the object to ``value``."""
    if class_name == "VM" and _write_vm(pool, ref, field, value):
        return
    if class_name in _TABLES and field in _SIMPLE:
        obj = _owner(pool, class_name, ref)
        if obj is not None:
            setattr(obj, _SIMPLE[field], value)
            pool.world.changed(obj)
            return
    if class_name == "pool" and field == "default_SR":
        pool.site.default_storage_id = pool.projector.owner(value) if value != NULL else None
        pool.world.changed(pool.site)
        return
    declared = schema.CLASSES[class_name].fields[field].type
    if declared.kind == "ref" and value not in (NULL, "") and pool.db.find(declared.of, value) is None:
        raise Failure("HANDLE_INVALID", declared.of, value)
    pool.db.update(class_name, ref, {field: value})


_TABLES = ("host", "network", "SR", "VDI", "pool")


def _owner(pool: Pool, class_name: str, ref: str) -> Any:
    world = pool.world
    if class_name == "pool":
        return pool.site
    tables: dict[str, dict[str, Any]] = {
        "host": world.hosts,
        "network": world.networks,
        "SR": world.storages,
        "VDI": world.disks,
    }
    return tables[class_name].get(pool.projector.owner(ref) or "")


def _write_vm(pool: Pool, ref: str, field: str, value: Any) -> bool:
    vm = pool.vm_or_snapshot(ref)
    if field in _SIMPLE:
        setattr(vm, _SIMPLE[field], value)
    elif field == "tags":
        vm.tags = [str(tag) for tag in value]
    elif field.startswith("memory_") or (field.startswith("VCPUs_") and field != "VCPUs_params"):
        return _write_size(pool, vm, ref, field, value)
    elif isinstance(vm, Snapshot):
        return False
    elif field == "affinity":
        if value not in (NULL, ""):
            vm.home_host_id = pool.host(value).id
        else:
            vm.home_host_id = None
    elif field == "is_a_template":
        if vm.power is not Power.HALTED and value:
            raise Failure("VM_BAD_POWER_STATE", ref, "halted", vm.power.value)
        vm.is_template = value
        if not value:
            vm.is_default_template = False
    elif field == "blocked_operations":
        vm.blocked = {}
        vm.extra["blocked_operations"] = dict(value)
    else:
        return False
    pool.world.changed(vm)
    return True


def _write_size(pool: Pool, vm: Vm | Snapshot, ref: str, field: str, value: int) -> bool:
    running = isinstance(vm, Vm) and vm.power is not Power.HALTED
    if running and field in ("memory_static_max", "memory_static_min", "VCPUs_max", "VCPUs_at_startup"):
        state = vm.power.value
        raise Failure("VM_BAD_POWER_STATE", ref, "halted", state)
    if value < 0 or (field.startswith("VCPUs") and value < 1):
        raise Failure("INVALID_VALUE", field, str(value))
    if field == "memory_static_max":
        vm.memory_bytes = value
    elif field == "VCPUs_at_startup":
        if value > pool.db.get("VM", ref, "VCPUs_max"):
            raise Failure("INVALID_VALUE", "VCPUs_at_startup", str(value))
        vm.vcpus = value
    else:
        vm.extra["fields"] = {**vm.extra.get("fields", {}), field: value}
        if field == "VCPUs_max":
            vm.vcpus = min(vm.vcpus, value)
    pool.world.changed(vm)
    return True
