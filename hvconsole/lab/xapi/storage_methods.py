"""VBD, VDI, VIF, SR, PBD and network messages: the devices of VMs and where they live."""

from __future__ import annotations

from typing import Any

from hvconsole.lab import lifecycle as life
from hvconsole.lab import snapshots
from hvconsole.lab.objects import Disk, Drive, Network, Nic, Power, Snapshot, Storage, Vm
from hvconsole.lab.xapi import refs, schema
from hvconsole.lab.xapi.dispatch import Call, convert, message
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.values import NULL

_WORDS = {"s": "s", "i": "i", "f": "f", "b": "b", "d": "d", "ref": "s", "set": "[]", "map": "{}"}


def typed(class_name: str, record: dict[str, Any], mandatory: tuple[str, ...] = ()) -> dict[str, Any]:
    """A record from a client, converted by the schema; unknown members are dropped. Raises FIELD_TYPE_ERROR."""
    fields = schema.CLASSES[class_name].fields
    result: dict[str, Any] = {}
    for name, value in record.items():
        if name not in fields:
            continue
        converted = convert(_WORDS[fields[name].type.kind], value)
        if converted is None:
            raise Failure("FIELD_TYPE_ERROR", name)
        result[name] = converted
    for name in mandatory:
        if name not in result:
            raise Failure("FIELD_TYPE_ERROR", name)
    return result


def keep_rest(call: Call, class_name: str, ref: str, record: dict[str, Any], names: tuple[str, ...]) -> None:
    """Write fields that the world does not know into the row."""
    call.pool.db.update(class_name, ref, {name: record[name] for name in names if name in record})


# ---- VBD -------------------------------------------------------------------------------------------------


@message("VBD.create", "{}")
def vbd_create(call: Call, given: dict[str, Any]) -> str:
    """Attach a disk or a CD drive to a VM."""
    record = typed("VBD", given, ("VM", "VDI", "userdevice", "mode", "type", "empty"))
    world = call.pool.world
    with world.lock:
        vm = _vm(call, record["VM"])
        disk_id = None
        if record["VDI"] not in (NULL, ""):
            disk_id = call.pool.obj(world.disks, "VDI", record["VDI"]).id
        elif not record["empty"]:
            raise Failure("HANDLE_INVALID", "VDI", record["VDI"])
        device = record["userdevice"]
        used = {drive.device for drive in vm.drives}
        if device == "autodetect":
            device = next(str(number) for number in range(256) if str(number) not in used)
        if device in used:
            raise Failure("DEVICE_ALREADY_EXISTS", device)
        if not device.isdigit():
            raise Failure("INVALID_DEVICE", device)
        if record["type"] not in ("CD", "Disk", "Floppy"):
            raise Failure("INVALID_VALUE", "type", record["type"])
        drive = Drive(
            id=world.new_id(),
            device=device,
            disk_id=disk_id,
            is_cd=record["type"] == "CD",
            read_only=record["mode"] == "RO",
            bootable=record.get("bootable", False),
        )
        vm.drives.append(drive)
        world.changed(vm)
        ref = refs.ref(drive)
        keep_rest(call, "VBD", ref, record, ("other_config", "unpluggable", "qos_algorithm_type"))
        return ref


def _vm(call: Call, ref: str) -> Vm | Snapshot:
    return call.pool.vm_or_snapshot(ref)


def _drive(call: Call, ref: str) -> tuple[Vm | Snapshot, Drive]:
    owner = call.pool.projector.owner(ref) or ""
    vm = call.pool.world.vms.get(owner) or call.pool.world.snapshots.get(owner)
    for drive in vm.drives if vm is not None else ():
        if refs.ref(drive) == ref and vm is not None:
            return vm, drive
    raise Failure("HANDLE_INVALID", "VBD", ref)


@message("VBD.destroy", "VBD")
def vbd_destroy(call: Call, ref: str) -> None:
    """Detach a drive for good."""
    with call.pool.world.lock:
        vm, drive = _drive(call, ref)
        if call.pool.db.get("VBD", ref, "currently_attached") and drive.disk_id is not None:
            raise Failure("OPERATION_NOT_ALLOWED", "VBD is still attached")
        vm.drives = [other for other in vm.drives if other is not drive]
        call.pool.world.changed(vm)


@message("VBD.plug", "VBD")
def vbd_plug(call: Call, ref: str) -> None:
    """Hot-plug into a running VM."""
    _assert_running(call, _drive(call, ref)[0])
    with call.pool.world.lock:
        call.pool.db.update("VBD", ref, {"currently_attached": True})


@message("VBD.unplug", "VBD")
def vbd_unplug(call: Call, ref: str) -> None:
    """Unplug from a running VM."""
    _assert_running(call, _drive(call, ref)[0])
    with call.pool.world.lock:
        call.pool.db.update("VBD", ref, {"currently_attached": False})


@message("VBD.unplug_force", "VBD")
def vbd_unplug_force(call: Call, ref: str) -> None:
    """Unplug without asking the guest."""
    vbd_unplug(call, ref)


def _assert_running(call: Call, vm: Vm | Snapshot) -> None:
    state = vm.power if isinstance(vm, Vm) else Power.HALTED
    if state is not Power.RUNNING:
        raise Failure("VM_BAD_POWER_STATE", refs.ref(vm), "running", state.value)


@message("VBD.insert", "VBD", "VDI")
def vbd_insert(call: Call, ref: str, vdi: str) -> None:
    """Put a CD in."""
    with call.pool.world.lock:
        vm, drive = _drive(call, ref)
        if not drive.is_cd:
            raise Failure("VBD_NOT_REMOVABLE_MEDIA", ref)
        if drive.disk_id is not None:
            raise Failure("VBD_NOT_EMPTY", ref)
        drive.disk_id = call.pool.obj(call.pool.world.disks, "VDI", vdi).id
        call.pool.world.changed(vm)


@message("VBD.eject", "VBD")
def vbd_eject(call: Call, ref: str) -> None:
    """Take the CD out."""
    with call.pool.world.lock:
        vm, drive = _drive(call, ref)
        if not drive.is_cd:
            raise Failure("VBD_NOT_REMOVABLE_MEDIA", ref)
        if drive.disk_id is None:
            raise Failure("VBD_IS_EMPTY", ref)
        drive.disk_id = None
        call.pool.world.changed(vm)


# ---- VDI -------------------------------------------------------------------------------------------------


def _disk(call: Call, ref: str) -> Disk:
    disk: Disk = call.pool.obj(call.pool.world.disks, "VDI", ref)
    return disk


@message("VDI.create", "{}")
def vdi_create(call: Call, given: dict[str, Any]) -> str:
    """Make an empty disk."""
    record = typed("VDI", given, ("SR", "virtual_size"))
    world = call.pool.world
    with world.lock:
        storage: Storage = call.pool.obj(world.storages, "SR", record["SR"])
        if storage.holds_iso:
            raise Failure("SR_OPERATION_NOT_SUPPORTED", record["SR"])
        if record["virtual_size"] <= 0:
            raise Failure("INVALID_VALUE", "virtual_size", str(record["virtual_size"]))
        disk = life.new_disk(
            world,
            call.pool.site.id,
            storage.id,
            record.get("name_label", ""),
            record["virtual_size"],
            description=record.get("name_description", ""),
        )
        disk.extra["type"] = record.get("type", "user")
        world.changed(disk)
        ref = refs.ref(disk)
        keep_rest(call, "VDI", ref, record, ("other_config", "sharable", "sm_config", "tags", "xenstore_data"))
        return ref


@message("VDI.destroy", "VDI")
def vdi_destroy(call: Call, ref: str) -> None:
    """Delete a disk that no running VM uses."""
    world = call.pool.world
    with world.lock:
        disk = _disk(call, ref)
        if disk.is_iso:
            raise Failure("VDI_IS_A_PHYSICAL_DEVICE", ref)
        for vm in world.vms.values():
            if vm.power is not Power.HALTED and any(drive.disk_id == disk.id for drive in vm.drives):
                raise Failure("VDI_IN_USE", ref, "destroy")
        owners: list[Vm | Snapshot] = [*world.vms.values(), *world.snapshots.values()]
        for owner in owners:
            if any(drive.disk_id == disk.id for drive in owner.drives):
                owner.drives = [drive for drive in owner.drives if drive.disk_id != disk.id]
                world.changed(owner)
        snapshots.drop_disk(world, disk.id)


@message("VDI.snapshot", "VDI", "~{}")
def vdi_snapshot(call: Call, ref: str, _parameters: dict[str, Any] | None = None) -> str:
    """A read-only copy."""
    return _copied(call, _disk(call, ref), snapshot=True)


@message("VDI.clone", "VDI", "~{}")
def vdi_clone(call: Call, ref: str, _parameters: dict[str, Any] | None = None) -> str:
    """A copy on write."""
    return _copied(call, _disk(call, ref), snapshot=False)


@message("VDI.copy", "VDI", "SR?", "~VDI?", "~VDI?")
def vdi_copy(call: Call, ref: str, sr: str, _base: str = NULL, _into: str = NULL) -> str:
    """A full copy, on another storage perhaps."""
    world = call.pool.world
    storage = call.pool.obj(world.storages, "SR", sr) if sr != NULL else None
    return _copied(call, _disk(call, ref), snapshot=False, full=True, storage=storage)


def _copied(call: Call, disk: Disk, *, snapshot: bool, full: bool = False, storage: Storage | None = None) -> str:
    world = call.pool.world
    with world.lock:
        drive = snapshots.frozen_drive(world, Drive(id="", device="", disk_id=disk.id), full=full, storage=storage)
        made = world.disks[drive.disk_id or ""]
        if not snapshot:
            made.snapshot_of, made.taken = None, 0.0
            world.changed(made)
        return refs.ref(made)


@message("VDI.resize", "VDI", "i")
def vdi_resize(call: Call, ref: str, size: int) -> None:
    """Make it larger."""
    with call.pool.world.lock:
        disk = _disk(call, ref)
        if size < disk.size_bytes:
            raise Failure("INVALID_VALUE", "size", str(size))
        disk.size_bytes = size
        call.pool.world.changed(disk)


@message("VDI.forget", "VDI")
def vdi_forget(call: Call, ref: str) -> None:
    """Remove the record, keep the data."""
    with call.pool.world.lock:
        call.pool.world.remove(_disk(call, ref))


@message("VDI.update", "VDI")
def vdi_update(_call: Call, _ref: str) -> None:
    """Nothing to refresh."""


# ---- VIF and network -------------------------------------------------------------------------------------


@message("VIF.create", "{}")
def vif_create(call: Call, given: dict[str, Any]) -> str:
    """Give a VM a card."""
    record = typed("VIF", given, ("VM", "network", "device"))
    world = call.pool.world
    with world.lock:
        vm = _vm(call, record["VM"])
        network: Network = call.pool.obj(world.networks, "network", record["network"])
        if not record["device"].isdigit():
            raise Failure("INVALID_DEVICE", record["device"])
        if any(nic.device == record["device"] for nic in vm.nics):
            raise Failure("DEVICE_ALREADY_EXISTS", record["device"])
        nic = Nic(
            id=world.new_id(), device=record["device"], mac=record.get("MAC") or world.new_mac(), network_id=network.id
        )
        vm.nics.append(nic)
        world.changed(vm)
        ref = refs.ref(nic)
        keep_rest(call, "VIF", ref, record, ("other_config", "qos_algorithm_type", "qos_algorithm_params"))
        return ref


def _nic(call: Call, ref: str) -> tuple[Vm | Snapshot, Nic]:
    owner = call.pool.projector.owner(ref) or ""
    vm = call.pool.world.vms.get(owner) or call.pool.world.snapshots.get(owner)
    for nic in vm.nics if vm is not None else ():
        if refs.ref(nic) == ref and vm is not None:
            return vm, nic
    raise Failure("HANDLE_INVALID", "VIF", ref)


@message("VIF.destroy", "VIF")
def vif_destroy(call: Call, ref: str) -> None:
    """Take a card out of a halted VM."""
    with call.pool.world.lock:
        vm, nic = _nic(call, ref)
        if isinstance(vm, Vm) and vm.power is not Power.HALTED:
            raise Failure("OPERATION_NOT_ALLOWED", "VIF is still attached")
        vm.nics = [other for other in vm.nics if other is not nic]
        call.pool.world.changed(vm)


@message("VIF.plug", "VIF")
def vif_plug(call: Call, ref: str) -> None:
    """Connect a card of a running VM."""
    _connect(call, ref, connected=True)


@message("VIF.unplug", "VIF")
def vif_unplug(call: Call, ref: str) -> None:
    """Disconnect a card of a running VM."""
    _connect(call, ref, connected=False)


def _connect(call: Call, ref: str, *, connected: bool) -> None:
    with call.pool.world.lock:
        vm, nic = _nic(call, ref)
        _assert_running(call, vm)
        nic.connected = connected
        call.pool.world.changed(vm)


@message("VIF.unplug_force", "VIF")
def vif_unplug_force(call: Call, ref: str) -> None:
    """Disconnect without asking the guest."""
    vif_unplug(call, ref)


@message("VIF.move", "VIF", "network")
def vif_move(call: Call, ref: str, network: str) -> None:
    """Connect a card to another network."""
    with call.pool.world.lock:
        vm, nic = _nic(call, ref)
        nic.network_id = call.pool.obj(call.pool.world.networks, "network", network).id
        call.pool.world.changed(vm)


@message("network.create", "{}")
def network_create(call: Call, given: dict[str, Any]) -> str:
    """Make an internal network."""
    record = typed("network", given)
    world = call.pool.world
    with world.lock:
        network = Network(
            id=world.new_id(),
            site_id=call.pool.site.id,
            name=record.get("name_label", ""),
            description=record.get("name_description", ""),
            bridge=record.get("bridge") or f"xapi{len(world.networks) + 1}",
        )
        world.add(network)
        ref = refs.ref(network)
        keep_rest(call, "network", ref, record, ("other_config", "tags"))
        return ref


@message("network.destroy", "network")
def network_destroy(call: Call, ref: str) -> None:
    """Remove a network that nothing is attached to."""
    with call.pool.world.lock:
        fields = call.pool.db.row("network", ref).fields
        if fields["VIFs"] or fields["PIFs"]:
            raise Failure(
                "NETWORK_CONTAINS_VIF" if fields["VIFs"] else "NETWORK_CONTAINS_PIF",
                (fields["VIFs"] or fields["PIFs"])[0],
            )
        call.pool.world.remove(call.pool.obj(call.pool.world.networks, "network", ref))


# ---- SR and PBD ------------------------------------------------------------------------------------------


@message("SR.scan", "SR")
def sr_scan(_call: Call, _ref: str) -> None:
    """Nothing appears behind the lab's back."""


@message("SR.update", "SR")
def sr_update(_call: Call, _ref: str) -> None:
    """Sizes are always up to date."""


@message("SR.get_supported_types")
def sr_get_supported_types(_call: Call) -> list[str]:
    """Kinds of storage."""
    return ["nfs", "lvm", "lvmoiscsi", "ext", "iso"]


@message("PBD.plug", "PBD")
def pbd_plug(call: Call, ref: str) -> None:
    """Attach a storage to a host."""
    _attach(call, ref, attached=True)


@message("PBD.unplug", "PBD")
def pbd_unplug(call: Call, ref: str) -> None:
    """Detach a storage from a host."""
    _attach(call, ref, attached=False)


def _attach(call: Call, ref: str, *, attached: bool) -> None:
    world = call.pool.world
    with world.lock:
        fields = call.pool.db.row("PBD", ref).fields
        storage: Storage = call.pool.obj(world.storages, "SR", fields["SR"])
        host = call.pool.host(fields["host"])
        if attached and host.id not in storage.host_ids:
            storage.host_ids.append(host.id)
        if not attached:
            used = {drive.disk_id for vm in world.vms_on(host.id) for drive in vm.drives}
            if any(disk.storage_id == storage.id and disk.id in used for disk in world.disks.values()):
                raise Failure("VDI_IN_USE", fields["SR"], "unplug")
            storage.host_ids = [other for other in storage.host_ids if other != host.id]
        call.pool.db.update("PBD", ref, {"currently_attached": attached})
