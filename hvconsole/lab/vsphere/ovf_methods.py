"""Export and import: leases, descriptors, import specifications. Any thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvconsole.lab import errors, lifecycle
from hvconsole.lab.objects import Power
from hvconsole.lab.tasks import Task
from hvconsole.lab.vsphere import ovf
from hvconsole.lab.vsphere.faults import SoapFault, gone, power_state
from hvconsole.lab.vsphere.leases import MOST_BYTES, File, Lease
from hvconsole.lab.vsphere.soap import NS, Call, number, reference, text
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.vsphere.values import Data, Ref, Word, array, field, long
from hvconsole.lab.vsphere.vm_methods import _check_name, _folder_id, _host_of_pool, _vm, make_vm
from hvconsole.lab.vsphere.vm_properties import DISK, _position, guest_id

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service


def _export(service: Service, call: Call, session: Session) -> str:
    vm = _vm(service, call)
    world = service.world
    with world.lock:
        if vm.power is not Power.HALTED:
            raise power_state("poweredOff", vm.power)
        if vm.operations:
            raise SoapFault("TaskInProgress", task=Ref("Task", next(iter(vm.operations))))
        lease = service.leases.new(vm.id)
        for at, drive in enumerate(vm.drives):
            disk = world.disks.get(drive.disk_id or "")
            if disk is None or drive.is_cd:
                continue
            lease.files.append(
                File(
                    name=f"disk-{len(lease.files)}.vmdk",
                    disk_id=disk.id,
                    key=f"/{vm.id}/ParaVirtualSCSIController0:{_position(drive.device, at)}",
                    size=min(MOST_BYTES, disk.used_bytes or 1 << 20),
                )
            )
    _get_ready(service, lease)
    service.managers.note(call, vm.id)
    return field("returnval", Ref("HttpNfcLease", lease.id))


def _get_ready(service: Service, lease: Lease) -> None:
    def ready() -> None:
        if lease.state == "initializing":
            lease.state = "ready"

    service.world.later(min(0.3, service.world.timing.create), ready)


def _lease(service: Service, call: Call) -> Lease:
    lease = service.leases.get(call.this.id)
    if lease is None:
        raise gone(call.this)
    return lease


def _progress(service: Service, call: Call, session: Session) -> str:
    lease = _lease(service, call)
    if lease.state != "ready":
        raise SoapFault("InvalidState", "The lease is not ready.")
    service.leases.touch(lease, number(call.element, "percent") or 0)
    return ""


def _complete(service: Service, call: Call, session: Session) -> str:
    lease = _lease(service, call)
    if lease.state != "ready":
        raise SoapFault("InvalidState", "The lease is not ready.")
    world = service.world
    with world.lock:
        for file in lease.files:
            disk = world.disks.get(file.disk_id)
            if disk is not None and file.received_bytes:
                disk.used_bytes = max(disk.used_bytes, min(disk.size_bytes, file.received_bytes))
                disk.extra["received"] = file.received
        lease.state = "done"
    return ""


def _abort(service: Service, call: Call, session: Session) -> str:
    lease = _lease(service, call)
    lease.state = "error"
    lease.error = Data("LocalizedMethodFault", fault=Data("RequestCanceled"), localizedMessage="The lease was aborted.")
    for vm_id in lease.on_abort:
        if vm_id in service.world.vms:
            lifecycle.delete(service.world, vm_id)
    return ""


def _create_descriptor(service: Service, call: Call, session: Session) -> str:
    ref = call.ref("obj")
    service.require(ref, "VirtualMachine")
    assert ref is not None
    world = service.world
    params = call.find("cdp")
    listed = [] if params is None else params.findall(NS + "ovfFiles")
    with world.lock:
        vm = world.vm(ref.id)
        machine = ovf.Machine(
            name=text(params, "name") or vm.name,
            cpus=vm.vcpus,
            memory_mib=vm.memory_bytes >> 20,
            guest=guest_id(vm.guest),
        )
        for one in listed:
            position = text(one, "deviceId").rpartition(":")[2]
            drive = next(
                (d for at, d in enumerate(vm.drives) if not d.is_cd and str(_position(d.device, at)) == position), None
            )
            disk = world.disks.get(drive.disk_id or "") if drive is not None else None
            if disk is None:
                raise SoapFault("InvalidArgument", "No such device.", invalidProperty="ovfFiles")
            machine.disks.append((text(one, "path"), disk.size_bytes, number(one, "size") or 0))
        names = [world.networks[nic.network_id].name if nic.network_id in world.networks else "none" for nic in vm.nics]
        machine.cards = names
        machine.networks = list(dict.fromkeys(names))
    return field("returnval", Data("OvfCreateDescriptorResult", ovfDescriptor=ovf.describe(machine)))


def _problem(words: str) -> Data:
    return Data("LocalizedMethodFault", fault=Data("OvfInvalidPackage", lineNumber=0), localizedMessage=words)


def _parse_descriptor(service: Service, call: Call, session: Session) -> str:
    try:
        machine = ovf.understand(call.text("ovfDescriptor"))
    except ValueError as exc:
        return field(
            "returnval",
            Data(
                "OvfParseDescriptorResult",
                approximateDownloadSize=long(0),
                approximateFlatDeploymentSize=long(0),
                approximateSparseDeploymentSize=long(0),
                defaultEntityName="",
                virtualApp=False,
                error=_problem(str(exc)),
            ),
        )
    size = sum(disk[2] for disk in machine.disks)
    nets = [Data("OvfNetworkInfo", name=name, description=name) for name in machine.networks]
    return field(
        "returnval",
        Data(
            "OvfParseDescriptorResult",
            network=array("OvfNetworkInfo", nets),
            approximateDownloadSize=long(size),
            approximateFlatDeploymentSize=long(sum(disk[1] for disk in machine.disks)),
            approximateSparseDeploymentSize=long(size),
            defaultEntityName=machine.name,
            virtualApp=False,
        ),
    )


def _import_spec(service: Service, call: Call, session: Session) -> str:
    service.require(call.ref("resourcePool"), "ResourcePool")
    store = service.require(call.ref("datastore"), "Datastore")
    params = call.find("cisp")
    try:
        machine = ovf.understand(call.text("ovfDescriptor"))
    except ValueError as exc:
        return field("returnval", Data("OvfCreateImportSpecResult", error=_problem(str(exc))))
    name = text(params, "entityName") or machine.name
    mapped = {
        text(one, "name"): ref.id
        for one in ([] if params is None else params.findall(NS + "networkMapping"))
        if (ref := reference(one.find(NS + "network"))) is not None
    }
    thin = text(params, "diskProvisioning", "thin") != "thick"
    with service.world.lock:
        store_name = service.world.storages[store].name
        first = next(iter(service.tree.networks()), None)
        changes: list[Data] = [
            _add(
                Data(
                    "ParaVirtualSCSIController", key=-1, busNumber=0, sharedBus=Word("VirtualSCSISharing", "noSharing")
                )
            )
        ]
        items: list[Data] = []
        for at, (path, capacity, size) in enumerate(machine.disks):
            backing = Data(
                "VirtualDiskFlatVer2BackingInfo",
                fileName=f"[{store_name}]",
                datastore=Ref("Datastore", store),
                diskMode="persistent",
                thinProvisioned=thin,
            )
            changes.append(
                _add(
                    Data(
                        "VirtualDisk",
                        key=-100 - at,
                        backing=backing,
                        controllerKey=-1,
                        unitNumber=at,
                        capacityInKB=long(max(1024, capacity) // 1024),
                    ),
                    create=True,
                )
            )
            if path:
                items.append(
                    Data(
                        "OvfFileItem",
                        deviceId=device_id(name, at),
                        path=path,
                        size=long(size),
                        cimType=17,
                        create=False,
                    )
                )
        for at, card in enumerate(machine.cards):
            network = service.world.networks.get(mapped.get(card, "")) or first
            if network is not None:
                changes.append(
                    _add(
                        Data(
                            "VirtualVmxnet3",
                            key=-200 - at,
                            backing=Data("VirtualEthernetCardNetworkBackingInfo", deviceName=network.name),
                            addressType="generated",
                        )
                    )
                )
    config = Data(
        "VirtualMachineConfigSpec",
        name=name,
        guestId=machine.guest or "otherGuest64",
        files=Data("VirtualMachineFileInfo", vmPathName=f"[{store_name}]"),
        numCPUs=machine.cpus,
        memoryMB=long(machine.memory_mib),
        deviceChange=array("VirtualDeviceConfigSpec", changes),
    )
    spec = Data("VirtualMachineImportSpec", configSpec=config)
    return field("returnval", Data("OvfCreateImportSpecResult", importSpec=spec, fileItem=array("OvfFileItem", items)))


def device_id(name: str, at: int) -> str:
    """How a disk of an import is named in the specification and in the lease."""
    return f"/{name}/ParaVirtualSCSIController0:{at}"


def _add(device: Data, *, create: bool = False) -> Data:
    return Data(
        "VirtualDeviceConfigSpec",
        operation=Word("VirtualDeviceConfigSpecOperation", "add"),
        fileOperation=Word("VirtualDeviceConfigSpecFileOperation", "create") if create else None,
        device=device,
    )


def _import(service: Service, call: Call, session: Session) -> str:
    service.require(call.this, "ResourcePool")
    spec = call.find("spec")
    config = None if spec is None else spec.find(NS + "configSpec")
    if config is None:
        raise SoapFault("InvalidArgument", "Only single machines are imported.", invalidProperty="spec")
    folder = _folder_id(service, call.ref("folder"))
    sent = text(config, "name")
    name = _check_name(service, sent, folder)
    target = call.ref("host")
    host_id = target.id if target is not None else _host_of_pool(service, call.this.id)
    lease = service.leases.new("")

    def work(task: Task) -> None:
        try:
            made = make_vm(service, name, config, pool_id=call.this.id, host_id=host_id, folder_id=folder, task=task)
        except (SoapFault, errors.WorldError) as exc:
            from hvconsole.lab.vsphere.faults import translate

            lease.error = translate(exc).localized()
            lease.state = "error"
            raise
        world = service.world
        with world.lock:
            lease.entity = made
            lease.on_abort.append(made)
            disks = [drive for drive in world.vm(made).drives if not drive.is_cd]
            for at, drive in enumerate(disks):
                lease.files.append(
                    File(
                        name=f"disk-{at}.vmdk",
                        key=f"/{made}/{DISK + at}",
                        import_key=device_id(sent, at),
                        disk_id=drive.disk_id or "",
                    )
                )
            lease.state = "ready"

    task = service.world.new_task(service.site.id, "importVApp", "", recorded=False)
    service.world.spawn(service.site.id, "importVApp", work, "", task)
    return field("returnval", Ref("HttpNfcLease", lease.id))


OVF_METHODS: dict[str, Method] = {
    "ExportVm": _export,
    "ImportVApp": _import,
    "HttpNfcLeaseProgress": _progress,
    "HttpNfcLeaseComplete": _complete,
    "HttpNfcLeaseAbort": _abort,
    "CreateDescriptor": _create_descriptor,
    "ParseDescriptor": _parse_descriptor,
    "CreateImportSpec": _import_spec,
}
