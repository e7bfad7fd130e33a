"""What the General tab shows of one VM, and who else uses its disks: asked when looked at. Any worker thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hvconsole.backends.vsphere_hardware import Device, devices, disk_files, show_disk, show_nic
from hvconsole.backends.vsphere_names import shown_name
from hvconsole.backends.vsphere_records import (
    GuestNic,
    Reader,
    Record,
    child_text,
    guest_nics,
    number,
    opaque_network,
    question,
    references,
    text,
    typed,
    typed_references,
    word,
)
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_tasks import read_records
from hvconsole.errors import NotFound
from hvconsole.model import Nic, ObjectId, VmDetails
from hvconsole.text import format_bytes

_DETAILS: Mapping[str, Mapping[str, Reader]] = {
    "VirtualMachine": {
        "name": text,
        "config.hardware.device": devices,
        "network": typed_references,
        "config.version": word,
        "config.files.vmPathName": text,
        "config.firmware": word,
        "config.instanceUuid": text,
        "config.guestId": word,
        "config.managedBy": lambda element: child_text(element, "extensionKey"),
        "guest.hostName": text,
        "guest.net": guest_nics,
        "summary.storage.committed": number,
        "summary.quickStats.overallCpuUsage": number,
        "summary.quickStats.guestMemoryUsage": number,
        "runtime.question": question,
    }
}
_FILES: Mapping[str, Mapping[str, Reader]] = {
    "VirtualMachine": {"name": text, "config.hardware.device": devices, "datastore": references}
}
_STORES: Mapping[str, Mapping[str, Reader]] = {"Datastore": {"name": text, "vm": references}}
_NETWORKS: Mapping[str, Mapping[str, Reader]] = {
    kind: {"name": text, "summary": opaque_network}
    for kind in ("Network", "DistributedVirtualPortgroup", "OpaqueNetwork")
}


def read_one(session: Session, kind: str, moid: str, readers: Mapping[str, Mapping[str, Reader]]) -> Record:
    """One object's properties. Raises ``NotFound``."""
    records = read_records(session, [(kind, moid)], readers)
    if not records:
        raise NotFound("It no longer exists on the server.")
    found: Record = records[0]
    return found


def vm_devices(session: Session, vm_id: str) -> tuple[Device, ...]:
    """A VM's devices, asked afresh."""
    found: tuple[Device, ...] = read_one(session, "VirtualMachine", vm_id, _FILES).get("config.hardware.device", ())
    return found


def disk_users(session: Session, vm_id: str, files: set[str]) -> dict[str, tuple[str, ...]]:
    """File → names of other VMs that use it or build on it. Asks only the VMs on the datastores concerned."""
    if not files:
        return {}
    own = read_one(session, "VirtualMachine", vm_id, _FILES)
    neighbours: set[str] = set()
    for store in read_records(session, [("Datastore", store) for store in own.get("datastore", ())], _STORES):
        neighbours.update(store.get("vm", ()))
    neighbours.discard(vm_id)
    users: dict[str, tuple[str, ...]] = {}
    for other in read_records(session, [("VirtualMachine", one) for one in sorted(neighbours)], _FILES):
        for file in disk_files(other.get("config.hardware.device", ())):
            if file in files:
                users[file] = (*users.get(file, ()), shown_name(other.get("name", "")))
    return users


def details(session: Session, vm_id: ObjectId) -> VmDetails:
    """Cards, disks and facts of one VM."""
    record = read_one(session, "VirtualMachine", vm_id, _DETAILS)
    found: tuple[Device, ...] = record.get("config.hardware.device", ())
    users = disk_users(session, vm_id, {one.file for one in found if one.kind == "disk" and one.file})
    stores = {
        store.id: shown_name(store.get("name", ""))
        for store in read_records(
            session, [("Datastore", one) for one in sorted({d.datastore_id for d in found if d.datastore_id})], _STORES
        )
    }
    return VmDetails(
        vm_id=vm_id,
        nics=nics_of(session, found, record.get("guest.net", ()), record.get("network", ())),
        disks=tuple(
            show_disk(one, stores.get(one.datastore_id, ""), users.get(one.file, ()))
            for one in found
            if one.kind != "nic"
        ),
        facts=_facts(record),
    )


def network_names(session: Session, networks: Iterable[tuple[str, str]]) -> list[Record]:
    """Names of networks given as (kind, id); kinds that are no networks are passed over. Raises ``NotFound``."""
    wanted = sorted({(kind, one) for kind, one in networks if kind in _NETWORKS and one})
    return read_records(session, wanted, _NETWORKS)


_GROUP: Mapping[str, Mapping[str, Reader]] = {
    "DistributedVirtualPortgroup": {"key": text, "config.distributedVirtualSwitch": typed}
}


def distributed_switches(session: Session, group_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Id of a distributed port group → (its key, UUID of its switch). Raises ``NotFound``."""
    groups = read_records(session, [("DistributedVirtualPortgroup", one) for one in sorted(set(group_ids))], _GROUP)
    # Asked for by the class that the server gives: vSphere's own switches are of a sub-class.
    switches = {group.get("config.distributedVirtualSwitch", ("", "")) for group in groups}
    uuids: dict[str, str] = {}
    for kind, one in sorted(switches):
        if one:
            uuids[one] = read_one(session, kind, one, {kind: {"uuid": text}}).get("uuid", "")
    return {
        group.id: (group.get("key", group.id), uuids.get(group.get("config.distributedVirtualSwitch", ("", ""))[1], ""))
        for group in groups
    }


def nics_of(
    session: Session, found: tuple[Device, ...], reported: tuple[GuestNic, ...], networks: Iterable[tuple[str, str]]
) -> tuple[Nic, ...]:
    """The virtual cards among ``found`` with the addresses that the guest reports for them.

    ``networks``: (kind, id) of those that the VM or its host has; a card on one of NSX doesn't name it so.
    """
    addresses = {nic.key: nic.addresses for nic in reported}
    cards = [one for one in found if one.kind == "nic"]
    wanted = [(one.network_kind, one.network_id) for one in cards]
    if any(one.opaque_id for one in cards):
        wanted += [(kind, one) for kind, one in networks if kind == "OpaqueNetwork"]
    names: dict[str, str] = {}
    opaque: dict[str, str] = {}
    try:
        for record in network_names(session, wanted):
            names[record.id] = shown_name(record.get("name", ""))
            managed = record.get("summary")
            if managed is not None:
                opaque[managed[0]] = record.id
    except NotFound:
        pass  # a card on a network that is gone keeps the name in its own record
    ids = [one.network_id or opaque.get(one.opaque_id, "") for one in cards]
    return tuple(
        show_nic(one, position, network_id, names.get(network_id, ""), addresses.get(one.key, ()))
        for position, (one, network_id) in enumerate(zip(cards, ids, strict=True))
    )


def _facts(record: Record) -> tuple[tuple[str, str], ...]:
    memory = record.get("summary.quickStats.guestMemoryUsage")
    cpu = record.get("summary.quickStats.overallCpuUsage")
    rows = (
        ("Waiting for an answer", record.get("runtime.question", "")),
        ("Guest host name", record.get("guest.hostName", "")),
        ("Managed by", record.get("config.managedBy", "")),
        ("Guest type", record.get("config.guestId", "")),
        ("Hardware version", record.get("config.version", "")),
        ("Firmware", record.get("config.firmware", "")),
        ("Configuration file", record.get("config.files.vmPathName", "")),
        ("Instance UUID", record.get("config.instanceUuid", "")),
        ("Used storage", format_bytes(record.get("summary.storage.committed"))),
        ("CPU usage", "" if cpu is None else f"{cpu} MHz"),
        ("Active guest memory", "" if memory is None else format_bytes(memory << 20)),
    )
    return tuple((label, value) for label, value in rows if value and value != "—")
