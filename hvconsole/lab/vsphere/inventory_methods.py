"""Folders, resource pools and datacenters made, moved, renamed and removed; notes that clients keep at objects.

Any thread. Only VMs can be moved: the world keeps hosts, networks and datastores where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvconsole.lab.objects import Group
from hvconsole.lab.tasks import Task
from hvconsole.lab.vsphere.custom_fields import definitions, keep
from hvconsole.lab.vsphere.faults import SoapFault, gone
from hvconsole.lab.vsphere.soap import Call, number, reference
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.vsphere.tree import HOST_FOLDER, NETWORK_FOLDER, POOL, STORE_FOLDER, VM_FOLDER
from hvconsole.lab.vsphere.values import Ref, field
from hvconsole.lab.vsphere.vm_methods import destroy_vm, rename_vm, unescaped

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service

_LONGEST = 80
_PLACES = (VM_FOLDER, HOST_FOLDER, STORE_FOLDER, NETWORK_FOLDER)


def _parent_of(service: Service, ref: Ref) -> str | None:
    """What the world calls the parent of something in a folder or pool: a datacenter, a cluster, a group."""
    for prefix in (VM_FOLDER, POOL):
        if ref.id.startswith(prefix):
            return ref.id[len(prefix) :]
    return ref.id


def _name(service: Service, name: str, among: list[Group], parent: str | None, but: str = "") -> str:
    shown = unescaped(name)
    if not shown.strip() or len(shown) > _LONGEST:
        raise SoapFault("InvalidName", "The name is not valid.", name=name)
    for one in among:
        if one.name == shown and one.parent_id == parent and one.id != but:
            raise SoapFault(
                "DuplicateName", f"The name '{name}' already exists.", name=name, object=service.tree.ref(one.id)
            )
    return shown


def _vm_folder(service: Service, ref: Ref) -> None:
    """Raise ``SoapFault`` unless VMs can be in a folder."""
    service.require(ref, "Folder")
    group = service.world.groups.get(ref.id)
    inside = group is not None and group.extra.get("place", VM_FOLDER) == VM_FOLDER
    if not service.tree.vcenter or not (ref.id.startswith(VM_FOLDER) or inside):
        raise SoapFault("NotSupported", "The operation is not supported on the object.")


def _make(service: Service, call: Call, kind: str, parent: str | None, **extra: str) -> str:
    world = service.world
    with world.lock:
        name = _name(service, call.text("name"), service.tree.groups(kind), parent)
        made = Group(
            id=world.new_id(), site_id=service.site.id, kind=kind, name=name, parent_id=parent, extra=dict(extra)
        )
        world.add(made)
        return field("returnval", service.tree.ref(made.id))


def _create_folder(service: Service, call: Call, session: Session) -> str:
    service.require(call.this, "Folder")
    if not service.tree.vcenter:
        raise SoapFault("NotSupported", "The operation is not supported on the object.")
    if call.this == service.tree.root:
        return _make(service, call, "folder", None, place="")
    place = next((prefix for prefix in _PLACES if call.this.id.startswith(prefix)), None)
    if place is None:  # inside a folder that was made: of the same kind
        place = str(service.world.groups[call.this.id].extra.get("place", VM_FOLDER))
    return _make(service, call, "folder", call.this.id.removeprefix(place), place=place)


def _create_cluster(service: Service, call: Call, session: Session) -> str:
    service.require(call.this, "Folder")
    if not service.tree.vcenter or not call.this.id.startswith(HOST_FOLDER):
        raise SoapFault("NotSupported", "The operation is not supported on the object.")
    return _make(service, call, "cluster", call.this.id[len(HOST_FOLDER) :])


def _create_datacenter(service: Service, call: Call, session: Session) -> str:
    if call.this != service.tree.root or not service.tree.vcenter:
        raise SoapFault("NotSupported", "The operation is not supported on the object.")
    return _make(service, call, "datacenter", None)


def _create_pool(service: Service, call: Call, session: Session) -> str:
    service.require(call.this, "ResourcePool")
    return _make(service, call, "resource pool", _parent_of(service, call.this))


def _move(service: Service, call: Call, session: Session) -> str:
    _vm_folder(service, call.this)
    refs = [ref for one in call.all("list") if (ref := reference(one)) is not None]
    for ref in refs:
        service.require(ref, "ManagedEntity")
        if ref.type not in ("VirtualMachine", "Folder"):
            raise SoapFault("NotSupported", "The operation is not supported on the object.")
    world, target = service.world, _parent_of(service, call.this)

    def work(task: Task) -> None:
        with world.lock:
            for ref in refs:
                group = world.groups.get(ref.id)
                if group is not None:
                    _name(service, group.name, service.tree.groups("folder"), target, group.id)
                    group.parent_id = target
                    world.changed(group)
                elif ref.id in world.vms:
                    vm = world.vms[ref.id]
                    vm.folder_id = call.this.id if call.this.id in world.groups else None
                    world.changed(vm)

    return service.task(call, call.this.id, work)


def _rename(service: Service, call: Call, session: Session) -> str:
    world = service.world
    group = world.groups.get(call.this.id)
    if group is None:
        return rename_vm(service, call, session)
    with world.lock:
        name = _name(service, call.text("newName"), service.tree.groups(group.kind), group.parent_id, group.id)

    def work(task: Task) -> None:
        with world.lock:
            group.name = name
            world.changed(group)

    return service.task(call, group.id, work)


def _destroy(service: Service, call: Call, session: Session) -> str:
    """A folder goes with the folders in it; one with VMs stays. VMs of a removed pool go to the one above."""
    world = service.world
    group = world.groups.get(call.this.id)
    if group is None:
        return destroy_vm(service, call, session)

    def work(task: Task) -> None:
        with world.lock:
            doomed = [group]
            for one in doomed:
                doomed += [other for other in service.tree.groups(one.kind) if other.parent_id == one.id]
            ids = {one.id for one in doomed}
            used = [vm for vm in service.tree.vms() if vm.folder_id in ids]
            first = group.id == service.tree.datacenter_id()
            inside = any(other.parent_id == group.id for other in world.groups.values())
            if (
                used
                or (group.kind == "cluster" and service.tree.compute_hosts(group.id))
                or (group.kind == "datacenter" and (first or inside))
            ):
                raise SoapFault("ResourceInUse", "The resource is in use.", type="Folder", name=group.name)
            for vm in service.tree.vms():
                if vm.resource_pool_id in ids:
                    vm.resource_pool_id = group.parent_id if group.parent_id in world.groups else None
                    world.changed(vm)
            for one in reversed(doomed):
                world.remove(one)

    return service.task(call, group.id, work)


# ---- custom attributes -------------------------------------------------------------------------------------------


def _add_field(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        known = service.site.extra.setdefault("custom_fields", {})
        name = call.text("name")
        if name in known.values():
            raise SoapFault(
                "DuplicateName",
                f"The name '{name}' already exists.",
                name=name,
                object=Ref("CustomFieldsManager", "CustomFieldsManager"),
            )
        key = max(known, default=100) + 1
        known[key] = name
        return field("returnval", next(one for one in definitions(service.site) if one.fields["key"] == key))


def _known_field(service: Service, call: Call) -> int:
    key = number(call.element, "key")
    if key not in service.site.extra.get("custom_fields", {}):
        raise SoapFault("InvalidArgument", "A specified parameter was not correct: key", invalidProperty="key")
    assert key is not None
    return key


def _rename_field(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        service.site.extra["custom_fields"][_known_field(service, call)] = call.text("name")
    return ""


def _remove_field(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        key = _known_field(service, call)
        del service.site.extra["custom_fields"][key]
        for values in service.site.extra.get("custom_values", {}).values():
            values.pop(key, None)
    return ""


def _set_field(service: Service, call: Call, session: Session) -> str:
    entity = call.ref("entity")
    with service.world.lock:
        if entity is None or service.properties(entity, session) is None:
            raise gone(entity or call.this)
        keep(service.tree, entity.id, _known_field(service, call), call.text("value"))
    return ""


def _set_custom_value(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        if service.properties(call.this, session) is None:
            raise gone(call.this)
        known = service.site.extra.get("custom_fields", {})
        key = next((key for key, name in known.items() if name == call.text("key")), None)
        if key is None:
            raise SoapFault("InvalidArgument", "A specified parameter was not correct: key", invalidProperty="key")
        keep(service.tree, call.this.id, key, call.text("value"))
    return ""


INVENTORY_METHODS: dict[str, Method] = {
    "CreateFolder": _create_folder,
    "CreateDatacenter": _create_datacenter,
    "CreateCluster": _create_cluster,
    "CreateClusterEx": _create_cluster,
    "CreateResourcePool": _create_pool,
    "MoveIntoFolder_Task": _move,
    "Rename_Task": _rename,
    "Destroy_Task": _destroy,
    "AddCustomFieldDef": _add_field,
    "RenameCustomFieldDef": _rename_field,
    "RemoveCustomFieldDef": _remove_field,
    "SetField": _set_field,
    "setCustomValue": _set_custom_value,
}
