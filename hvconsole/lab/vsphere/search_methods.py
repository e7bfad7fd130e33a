"""Finding things by path, address, name or file, and views of chosen objects. Any thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hvconsole.lab.objects import Host, Vm
from hvconsole.lab.vsphere.faults import gone
from hvconsole.lab.vsphere.soap import Call, reference
from hvconsole.lab.vsphere.state import ListedView, Session, View
from hvconsole.lab.vsphere.values import Ref, array, field
from hvconsole.lab.vsphere.vm_properties import escaped, vm_file, vm_uuid

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service


def _answer(found: list[Ref], *, every: bool) -> str:
    if every:
        return field("returnval", array("ManagedObjectReference", found))
    return field("returnval", found[0]) if found else ""


def name_of(service: Service, ref: Ref, session: Session) -> str:
    """An entity's name as the inventory has it. The world's lock is held."""
    properties = service.properties(ref, session)
    return "" if properties is None else str(properties["name"]())


def children(service: Service, moid: str) -> Iterator[Ref]:
    """The entities directly below one. The world's lock is held."""
    for entity in service.tree.entities():
        above = service.tree.parent(entity.id)
        if above is not None and above.id == moid:
            yield entity


def _child(service: Service, moid: str, name: str, session: Session) -> Ref | None:
    wanted = (name, escaped(name))
    return next((one for one in children(service, moid) if name_of(service, one, session) in wanted), None)


def _by_path(service: Service, call: Call, session: Session) -> str:
    with service.world.lock:
        at: Ref | None = service.tree.root
        for part in call.text("inventoryPath").strip("/").split("/"):
            at = None if at is None or not part else _child(service, at.id, part, session)
    return field("returnval", at) if at is not None else ""


def _find_child(service: Service, call: Call, session: Session) -> str:
    entity = call.ref("entity")
    with service.world.lock:
        if entity is None or service.properties(entity, session) is None:
            raise gone(entity or call.this)
        found = _child(service, entity.id, call.text("name"), session)
    return field("returnval", found) if found is not None else ""


def _inside(service: Service, call: Call, moid: str) -> bool:
    """Whether an entity is in the datacenter that the call names, if it names one."""
    wanted = call.ref("datacenter")
    above = service.tree.parent(moid) if wanted is not None else None
    for _ in range(50):
        if wanted is None or above is None:
            break
        if above.id == wanted.id:
            return True
        above = service.tree.parent(above.id)
    return wanted is None


def _finder(fits: Callable[[Vm | Host, str], bool], argument: str, *, every: bool = False) -> Method:
    def method(service: Service, call: Call, session: Session) -> str:
        wanted = call.text(argument).lower()
        machines = call.flag("vmSearch")
        with service.world.lock:
            table: list[Vm] | list[Host] = service.tree.vms() if machines else service.tree.hosts()
            found = [
                Ref("VirtualMachine" if machines else "HostSystem", one.id)
                for one in table
                if fits(one, wanted) and _inside(service, call, one.id)
            ]
        return _answer(found, every=every)

    return method


def _has_uuid(one: Vm | Host, wanted: str) -> bool:
    return (vm_uuid(one) if isinstance(one, Vm) else one.id) == wanted


def _has_address(one: Vm | Host, wanted: str) -> bool:
    if isinstance(one, Vm):
        return one.guest.tools_running and any(wanted == each.lower() for nic in one.nics for each in nic.addresses)
    return wanted in {nic.address.lower() for nic in one.nics if nic.address}


def _has_dns_name(one: Vm | Host, wanted: str) -> bool:
    return wanted == (one.guest.hostname if isinstance(one, Vm) else one.name).lower()


def _by_file(service: Service, call: Call, session: Session) -> str:
    path = call.text("path")
    with service.world.lock:
        found = [
            Ref("VirtualMachine", vm.id)
            for vm in service.tree.vms()
            if vm_file(service.tree, vm) == path and _inside(service, call, vm.id)
        ]
    return _answer(found, every=False)


# ---- views -----------------------------------------------------------------------------------------------------


def _references(call: Call, name: str) -> list[Ref]:
    return [ref for one in call.all(name) if (ref := reference(one)) is not None]


def _open_view(service: Service, session: Session, refs: list[Ref]) -> str:
    name = service.sessions.name("list")
    session.objects[name] = ListedView(dict.fromkeys(refs))
    return field("returnval", Ref("ListView", name))


def _create_list(service: Service, call: Call, session: Session) -> str:
    return _open_view(service, session, _references(call, "obj"))


def _list_from_view(service: Service, call: Call, session: Session) -> str:
    source = call.ref("view")
    view = session.objects.get(source.id) if source is not None else None
    if not isinstance(view, View | ListedView):
        raise gone(source or call.this)
    with service.world.lock:
        return _open_view(service, session, list(service.members(view)))


def _listed(call: Call, session: Session) -> ListedView:
    view = session.objects.get(call.this.id)
    if not isinstance(view, ListedView):
        raise gone(call.this)
    return view


def _unresolved(service: Service, session: Session, refs: list[Ref]) -> str:
    with service.world.lock:
        lost = [ref for ref in refs if service.properties(ref, session) is None]
    return field("returnval", array("ManagedObjectReference", lost))


def _look_again(service: Service, session: Session) -> None:
    """Let filters on lists of the session be looked at again."""
    session.chosen += 1
    service.world.poke()


def _modify_list(service: Service, call: Call, session: Session) -> str:
    view = _listed(call, session)
    added = _references(call, "add")
    for ref in _references(call, "remove"):
        view.refs.pop(ref, None)
    view.refs.update(dict.fromkeys(added))
    _look_again(service, session)
    return _unresolved(service, session, added)


def _reset_list(service: Service, call: Call, session: Session) -> str:
    view = _listed(call, session)
    given = _references(call, "obj")
    view.refs = dict.fromkeys(given)
    _look_again(service, session)
    return _unresolved(service, session, given)


def _reset_from_view(service: Service, call: Call, session: Session) -> str:
    view = _listed(call, session)
    source = call.ref("view")
    other = session.objects.get(source.id) if source is not None else None
    if not isinstance(other, View | ListedView):
        raise gone(source or call.this)
    with service.world.lock:
        view.refs = dict.fromkeys(service.members(other))
    _look_again(service, session)
    return ""


SEARCH_METHODS: dict[str, Method] = {
    "FindByInventoryPath": _by_path,
    "FindChild": _find_child,
    "FindByUuid": _finder(_has_uuid, "uuid"),
    "FindAllByUuid": _finder(_has_uuid, "uuid", every=True),
    "FindByIp": _finder(_has_address, "ip"),
    "FindAllByIp": _finder(_has_address, "ip", every=True),
    "FindByDnsName": _finder(_has_dns_name, "dnsName"),
    "FindAllByDnsName": _finder(_has_dns_name, "dnsName", every=True),
    "FindByDatastorePath": _by_file,
    "CreateListView": _create_list,
    "CreateListViewFromView": _list_from_view,
    "ModifyListView": _modify_list,
    "ResetListView": _reset_list,
    "ResetListViewFromView": _reset_from_view,
}
