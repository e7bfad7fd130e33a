"""Create a VM: what the host offers (its own list of guests), and the request. Verb and question threads."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from hvconsole.backends.base import CreateVm, CreationChoices, TaskContext
from hvconsole.backends.vsphere_api import FAULTS, vim
from hvconsole.backends.vsphere_devices import distributed_switches, network_names, vm_devices
from hvconsole.backends.vsphere_errors import translate
from hvconsole.backends.vsphere_life import check_name, clone
from hvconsole.backends.vsphere_outcome import looked_for, vm_exists
from hvconsole.backends.vsphere_places import best_host, best_store, compute_of, host_record, vm_folder
from hvconsole.backends.vsphere_power import start, vm_state
from hvconsole.backends.vsphere_records import NS, child_text, number_or
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_soap import WHOLE
from hvconsole.backends.vsphere_tasks import run_task
from hvconsole.errors import BadReply, InvalidInput, NotSupported
from hvconsole.model import ObjectId

MIB = 1 << 20
DEFAULT_GUEST = "otherGuest64"
FIELDS = frozenset(
    {
        "name",
        "description",
        "template_id",
        "guest_os",
        "vcpus",
        "memory_bytes",
        "disk_bytes",
        "disk_thin",
        "storage_id",
        "network_id",
        "nic_type",
        "host_id",
        "iso",
        "start",
    }
)
NIC_TYPES = (("vmxnet3", "VMXNET 3"), ("e1000e", "E1000e"), ("e1000", "E1000"))
_CARDS = {
    "vmxnet3": vim.vm.device.VirtualVmxnet3,
    "e1000e": vim.vm.device.VirtualE1000e,
    "e1000": vim.vm.device.VirtualE1000,
}
_CONTROLLERS = {
    "ParaVirtualSCSIController": vim.vm.device.ParaVirtualSCSIController,
    "VirtualLsiLogicSASController": vim.vm.device.VirtualLsiLogicSASController,
}
Networks = tuple[tuple[str, str], ...]
"""(kind, id) of the networks of a host."""


def choices(session: Session, host_id: ObjectId | None) -> CreationChoices:
    """What can be chosen on a host (any fitting one if None)."""
    guests, most = _guest_list(session, host_id or best_host(session))
    return CreationChoices(
        guest_oses=tuple((guest_id, name) for guest_id, name, _controller in guests),
        nic_types=NIC_TYPES,
        max_vcpus=most,
        fields=FIELDS,
    )


def _guest_list(session: Session, host_id: str) -> tuple[list[tuple[str, str, str]], int | None]:
    """(id, name, recommended disk controller) of each guest that the host supports, and its most vCPUs per VM."""
    browser_id = compute_of(session, host_id).browser_id
    if not browser_id:
        return [(DEFAULT_GUEST, "Other (64-bit)", "")], None
    browser = session.object(vim.EnvironmentBrowser, browser_id)
    host = session.object(vim.HostSystem, host_id)
    try:
        try:
            wanted = vim.EnvironmentBrowser.ConfigOptionQuerySpec(host=host)
            body = session.raw(session.stub, browser, "QueryConfigOptionEx", [wanted], WHOLE)
        except NotSupported:  # before 6.0
            body = session.raw(session.stub, browser, "QueryConfigOption", [None, host], WHOLE)
        root = ET.fromstring(body)
    except FAULTS as fault:
        raise translate(fault) from fault
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise BadReply("The server's answer can't be read.", str(exc)[:200]) from exc
    most: int | None = None
    found: list[tuple[str, str, str]] = []
    for descriptor in root.iter(NS + "guestOSDescriptor"):
        guest_id = child_text(descriptor, "id")
        if guest_id:
            controller = child_text(descriptor, "recommendedDiskController")
            found.append((guest_id, child_text(descriptor, "fullName") or guest_id, controller))
            most = max(most or 0, number_or(descriptor, "supportedMaxCPUs", 0)) or None
    return sorted(found, key=lambda row: row[1].lower()), most


def create(session: Session, spec: CreateVm, ctx: TaskContext) -> ObjectId:
    """Create a VM, or clone one from a template; returns its id.

    When it was created but could not be started, the error of the start is raised and the VM stays.
    """
    _check(spec)
    made = _from_template(session, spec, ctx) if spec.template_id is not None else _new(session, spec, ctx)
    if spec.start:
        start(session, made, ctx)
    return made


def _check(spec: CreateVm) -> None:
    if spec.existing_disk or spec.generation is not None:
        raise InvalidInput("vSphere doesn't know generations, and existing disks are attached after creating.")
    if spec.vcpus is not None and spec.vcpus < 1:
        raise InvalidInput("A VM needs at least one CPU.")
    if spec.memory_bytes is not None and (spec.memory_bytes < 4 * MIB or spec.memory_bytes % (4 * MIB)):
        raise InvalidInput("Memory is given in steps of 4 MiB on this server.")
    if spec.disk_bytes is not None and spec.disk_bytes < MIB:
        raise InvalidInput("A disk needs at least 1 MiB.")
    if spec.nic_type and spec.nic_type not in _CARDS:
        raise InvalidInput("That type of network card isn't known.")
    if spec.iso and not (spec.iso.startswith("[") and "]" in spec.iso):
        raise InvalidInput("A CD image is named like “[datastore1] iso/name.iso”.")


def _from_template(session: Session, spec: CreateVm, ctx: TaskContext) -> ObjectId:
    assert spec.template_id is not None
    if spec.disk_bytes is not None or spec.iso or spec.guest_os:
        raise InvalidInput("Disk, CD and guest system come from the template: leave them out.")
    changes = vim.vm.ConfigSpec()
    if spec.vcpus is not None:
        changes.numCPUs = spec.vcpus
    if spec.memory_bytes is not None:
        changes.memoryMB = spec.memory_bytes // MIB
    if spec.description:
        changes.annotation = spec.description
    if spec.network_id is not None:
        changes.deviceChange = [_template_card(session, spec)]
    return clone(
        session,
        spec.template_id,
        spec.name,
        ctx,
        storage_id=spec.storage_id,
        host_id=spec.host_id,
        changes=changes,
    )


def _template_card(session: Session, spec: CreateVm) -> Any:
    """The edit that puts the copy's first card on the chosen network, or adds one."""
    assert spec.template_id is not None
    assert spec.network_id is not None
    card = next((one for one in vm_devices(session, spec.template_id) if one.kind == "nic"), None)
    kind = getattr(vim.vm.device, card.type, None) if card is not None else _CARDS[spec.nic_type or "vmxnet3"]
    device = (kind or vim.vm.device.VirtualEthernetCard)(key=card.key if card is not None else -3)
    host_id = spec.host_id or vm_state(session, spec.template_id).host_id
    networks = host_record(session, host_id).get("network", ())
    device.backing = _network_backing(session, spec.network_id, networks)
    connect = vim.vm.device.VirtualDevice.ConnectInfo(startConnected=True, allowGuestControl=True, connected=False)
    device.connectable = connect
    device.deviceInfo = vim.Description(label=card.label if card is not None else "", summary="")
    operation = "edit" if card is not None else "add"
    return vim.vm.device.VirtualDeviceSpec(operation=operation, device=device)


def _new(session: Session, spec: CreateVm, ctx: TaskContext) -> ObjectId:
    sent = check_name(spec.name)
    host_id = spec.host_id or best_host(session, spec.storage_id, spec.network_id)
    host = host_record(session, host_id)
    store = best_store(session, host, spec.storage_id, spec.disk_bytes or 0)
    compute = compute_of(session, host_id)
    guests, _most = _guest_list(session, host_id)
    guest = spec.guest_os or DEFAULT_GUEST
    controller = next((row[2] for row in guests if row[0] == guest), "")
    path = f"[{store.get('name', '')}]"
    config = vim.vm.ConfigSpec(
        name=sent,
        annotation=spec.description,
        guestId=guest,
        numCPUs=spec.vcpus or 1,
        memoryMB=(spec.memory_bytes or 1024 * MIB) // MIB,
        files=vim.vm.FileInfo(vmPathName=path),
        deviceChange=_devices(session, spec, path, controller, host.get("network", ())),
    )
    folder = vm_folder(session, host_id)
    pool = session.object(vim.ResourcePool, compute.pool_id)
    where = session.object(vim.HostSystem, host_id)
    with looked_for(spec.name, "VM", lambda: vm_exists(session, spec.name)):
        return ObjectId(run_task(session, ctx, lambda: folder.CreateVM_Task(config, pool, where)))


def _devices(session: Session, spec: CreateVm, path: str, controller: str, networks: Networks) -> list[Any]:
    device = vim.vm.device
    edits: list[Any] = []

    def add(one: Any, file_operation: str | None = None) -> None:
        edit = device.VirtualDeviceSpec(operation="add", device=one)
        if file_operation is not None:
            edit.fileOperation = file_operation
        edits.append(edit)

    # Negative keys are placeholders, by which devices of one request refer to each other.
    if spec.disk_bytes is not None:
        kind = _CONTROLLERS.get(controller, device.VirtualLsiLogicController)
        add(kind(key=-1, busNumber=0, sharedBus="noSharing"))
        backing = device.VirtualDisk.FlatVer2BackingInfo(
            fileName=path, diskMode="persistent", thinProvisioned=spec.disk_thin
        )
        add(
            device.VirtualDisk(
                key=-2, controllerKey=-1, unitNumber=0, capacityInKB=spec.disk_bytes // 1024, backing=backing
            ),
            "create",
        )
    if spec.network_id is not None:
        card = _CARDS[spec.nic_type or "vmxnet3"](key=-3, addressType="generated")
        card.backing = _network_backing(session, spec.network_id, networks)
        card.connectable = device.VirtualDevice.ConnectInfo(startConnected=True, allowGuestControl=True, connected=True)
        add(card)
    add(device.VirtualIDEController(key=-4, busNumber=0))
    drive = device.VirtualCdrom(key=-5, controllerKey=-4, unitNumber=0)
    if spec.iso:
        drive.backing = device.VirtualCdrom.IsoBackingInfo(fileName=spec.iso)
    else:
        drive.backing = device.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
    drive.connectable = device.VirtualDevice.ConnectInfo(
        startConnected=bool(spec.iso), allowGuestControl=True, connected=False
    )
    add(drive)
    return edits


def _network_backing(session: Session, network_id: ObjectId, networks: Networks) -> Any:
    kind = next((kind for kind, one in networks if one == network_id), None)
    if kind is None:
        raise InvalidInput("The chosen network isn't there on that host.")
    device = vim.vm.device.VirtualEthernetCard
    if kind != "DistributedVirtualPortgroup":
        (network,) = network_names(session, [(kind, network_id)])
        managed = network.get("summary")
        if managed is not None:
            return device.OpaqueNetworkBackingInfo(opaqueNetworkId=managed[0], opaqueNetworkType=managed[1])
        return device.NetworkBackingInfo(deviceName=network.get("name", ""))
    key, switch_uuid = distributed_switches(session, [network_id])[network_id]
    port = vim.dvs.PortConnection(portgroupKey=key, switchUuid=switch_uuid)
    return device.DistributedVirtualPortBackingInfo(port=port)
