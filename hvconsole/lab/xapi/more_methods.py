"""Storage that is made and given up, measurements one at a time, and small objects that only the database knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hvconsole.lab.objects import Host, Storage, Vm
from hvconsole.lab.xapi import refs, rrd
from hvconsole.lab.xapi.dispatch import Call, message
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.storage_methods import typed
from hvconsole.lab.xapi.values import NULL

_DEVICE = {
    "nfs": ("server", "serverpath"),
    "iso": ("location",),
    "lvm": ("device",),
    "ext": ("device",),
    "lvmoiscsi": ("target", "targetIQN", "SCSIid"),
}
"""Kinds of storage → what their ``device_config`` has to say."""
_PLAIN = {"secret": ("value",), "VM_appliance": ("name_label",), "VMSS": ("name_label",), "subject": (), "blob": ()}
"""Classes whose objects are rows and nothing else → what a new one must bring."""


# ---- SR ----------------------------------------------------------------------------------------------------


def _made(call: Call, name: str, description: str, kind: str, size: int, shared: bool, hosts: list[Host]) -> str:
    world = call.pool.world
    storage = Storage(
        id=world.new_id(),
        site_id=call.pool.site.id,
        name=name,
        kind=kind,
        description=description,
        shared=shared,
        holds_iso=kind == "iso",
        size_bytes=size or 1 << 40,
        host_ids=[host.id for host in hosts],
    )
    world.add(storage)
    return refs.ref(storage)


@message("SR.create", "host?", "{}", "i", "s", "s", "s", "s", "b", "~{}")
def sr_create(
    call: Call,
    host: str,
    device: dict[str, Any],
    size: int,
    name: str,
    description: str,
    kind: str,
    _content: str,
    shared: bool,
    _sm_config: dict[str, Any] | None = None,
) -> str:
    """Make a storage and attach it: to one host, or to all when it is shared."""
    if kind not in _DEVICE:
        raise Failure("SR_UNKNOWN_DRIVER", kind)
    for wanted in _DEVICE[kind]:
        if not device.get(wanted):
            raise Failure("SR_BACKEND_FAILURE_90", "", f"The request is missing the {wanted} parameter", "")
    world = call.pool.world
    with world.lock:
        every = world.of_site(world.hosts.values(), call.pool.site.id)
        one = call.pool.host(host) if host != NULL else every[0]
        return _made(call, name, description, kind, size, shared, every if shared else [one])


@message("SR.introduce", "s", "s", "s", "s", "s", "b", "~{}")
def sr_introduce(
    call: Call,
    uuid: str,
    name: str,
    description: str,
    kind: str,
    _content: str,
    shared: bool,
    _sm_config: dict[str, Any] | None = None,
) -> str:
    """A storage that exists already; nothing is attached to it yet."""
    with call.pool.world.lock:
        if any(row.fields["uuid"] == uuid for row in call.pool.db.rows("SR")):
            raise Failure("SR_UUID_EXISTS", uuid)
        return _made(call, name, description, kind, 0, shared, [])


@message("SR.probe", "host?", "{}", "s", "~{}")
def sr_probe(
    _call: Call, _host: str, _device: dict[str, Any], kind: str, _sm_config: dict[str, Any] | None = None
) -> str:
    """What storages of a kind are there: none."""
    if kind not in _DEVICE:
        raise Failure("SR_UNKNOWN_DRIVER", kind)
    return '<?xml version="1.0" ?><SRlist/>'


@message("SR.forget", "SR")
def sr_forget(call: Call, ref: str) -> None:
    """Let go of a storage; what is on it stays."""
    _remove(call, ref, with_disks=True)


@message("SR.destroy", "SR")
def sr_destroy(call: Call, ref: str) -> None:
    """Wipe a storage that has no disks left."""
    _remove(call, ref, with_disks=False)


def _remove(call: Call, ref: str, *, with_disks: bool) -> None:
    world = call.pool.world
    with world.lock:
        storage: Storage = call.pool.obj(world.storages, "SR", ref)
        if storage.host_ids:
            raise Failure("SR_HAS_PBD", ref)
        own = [disk for disk in world.disks.values() if disk.storage_id == storage.id]
        if own and not with_disks:
            raise Failure("SR_NOT_EMPTY")
        for disk in own:
            world.remove(disk)
        world.remove(storage)


@message("PBD.create", "{}")
def pbd_create(call: Call, given: dict[str, Any]) -> str:
    """Let a host know of a storage."""
    record = typed("PBD", given, ("host", "SR"))
    with call.pool.world.lock:
        storage: Storage = call.pool.obj(call.pool.world.storages, "SR", record["SR"])
        host = call.pool.host(record["host"])
        if host.id in storage.host_ids:
            raise Failure("SR_DEVICE_IN_USE")
        storage.host_ids.append(host.id)
        call.pool.world.changed(storage)
        made = next(
            row.ref
            for row in call.pool.db.rows("PBD")
            if (row.fields["SR"], row.fields["host"]) == (record["SR"], record["host"])
        )
        call.pool.db.update(
            "PBD", made, {"currently_attached": False, "device_config": record.get("device_config", {})}
        )
        return made


@message("PBD.destroy", "PBD")
def pbd_destroy(call: Call, ref: str) -> None:
    """Let a host forget a storage that it is detached from."""
    with call.pool.world.lock:
        if call.pool.db.get("PBD", ref, "currently_attached"):
            raise Failure("OPERATION_NOT_ALLOWED", "The PBD is plugged in.")
        call.pool.db.delete("PBD", ref)


# ---- measurements -----------------------------------------------------------------------------------------------


def _sources(call: Call, class_name: str, ref: str) -> list[rrd.Source]:
    world = call.pool.world
    with world.lock:
        if class_name == "host":
            host = call.pool.host(ref)
            return rrd.host_sources(host, sum(vm.memory_bytes for vm in world.vms_on(host.id)))
        vm = call.pool.vm_or_snapshot(ref)
        return rrd.vm_sources(vm) if isinstance(vm, Vm) else []


def _named(call: Call, class_name: str, ref: str, name: str) -> rrd.Source:
    for source in _sources(call, class_name, ref):
        if source.legend.rpartition(":")[2] == name:
            return source
    raise Failure("INVALID_VALUE", "data_source", name)


def _measurements(class_name: str) -> None:
    @message(f"{class_name}.get_data_sources", class_name)
    def listed(call: Call, ref: str) -> list[dict[str, Any]]:
        """Everything that can be measured of an object, with its value now."""
        now = int(time.time())
        return [
            {
                "name_label": source.legend.rpartition(":")[2],
                "name_description": "",
                "enabled": True,
                "standard": True,
                "units": "",
                "min": 0.0,
                "max": 1e15,
                "value": source.value(now),
            }
            for source in _sources(call, class_name, ref)
        ]

    @message(f"{class_name}.query_data_source", class_name, "s")
    def value(call: Call, ref: str, name: str) -> float:
        """One measurement's value now."""
        return _named(call, class_name, ref, name).value(int(time.time()))

    for verb in ("record_data_source", "forget_data_source_archives"):

        @message(f"{class_name}.{verb}", class_name, "s")
        def kept(call: Call, ref: str, name: str) -> None:
            """Everything is always recorded."""
            _named(call, class_name, ref, name)


for _class_name in ("VM", "host"):
    _measurements(_class_name)


# ---- rows ------------------------------------------------------------------------------------------------------


def _rows(class_name: str, mandatory: tuple[str, ...]) -> None:
    def made(call: Call, given: dict[str, Any]) -> str:
        """A new row."""
        record = typed(class_name, given, mandatory)
        ref = call.pool.new_ref()
        with call.pool.world.lock:
            call.pool.db.insert(class_name, ref, {**record, "uuid": call.pool.world.new_id()})
        return ref

    def gone(call: Call, ref: str) -> None:
        """A row less."""
        with call.pool.world.lock:
            call.pool.db.delete(class_name, ref)

    registered: list[tuple[str, tuple[str, ...], Callable[..., Any]]] = [("destroy", (class_name,), gone)]
    if class_name != "blob":
        registered.append(("create", ("{}",), made))
    for verb, words, handler in registered:
        message(f"{class_name}.{verb}", *words)(handler)


for _class_name, _mandatory in _PLAIN.items():
    _rows(_class_name, _mandatory)


@message("blob.create", "s", "~b")
def blob_create(call: Call, mime_type: str, public: bool = False) -> str:
    """An empty blob."""
    ref = call.pool.new_ref()
    with call.pool.world.lock:
        call.pool.db.insert("blob", ref, {"uuid": call.pool.world.new_id(), "mime_type": mime_type, "public": public})
    return ref
