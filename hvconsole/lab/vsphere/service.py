"""One site's API: who may call, which object is meant, which method answers. Any thread.

Methods live in ``session_methods``, ``collector_methods``, ``vm_methods``, ``host_methods``, ``ovf_methods`` and
``manager_methods``; each is registered under its WSDL name and returns the XML inside the response.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from hvconsole.lab import errors
from hvconsole.lab.objects import HostState, Site
from hvconsole.lab.sites import Identity
from hvconsole.lab.tasks import Task
from hvconsole.lab.vsphere import host_properties as hosts
from hvconsole.lab.vsphere import managers, vm_more
from hvconsole.lab.vsphere.collector import is_a
from hvconsole.lab.vsphere.defaults import complete
from hvconsole.lab.vsphere.faults import SoapFault, gone, translate
from hvconsole.lab.vsphere.leases import Leases
from hvconsole.lab.vsphere.soap import NS, Call
from hvconsole.lab.vsphere.state import ListedView, Session, Sessions, View
from hvconsole.lab.vsphere.tree import DISTRIBUTED_SWITCH, Tree
from hvconsole.lab.vsphere.values import Ref, field
from hvconsole.lab.vsphere.vm_properties import Properties, snapshot_properties, vm_properties
from hvconsole.lab.world import World

Method = Callable[["Service", Call, Session], str]
OPEN_METHODS = frozenset({"RetrieveServiceContent", "Login", "RetrieveInternalContent", "CloneSession"})
"""What is answered without a login."""
_OPEN_OBJECTS = frozenset({"ServiceInstance", "SessionManager"})


class Service:
    """The API of one site."""

    def __init__(self, world: World, site: Site, identity: Identity) -> None:
        from hvconsole.lab.vsphere.methods import METHODS  # the methods name this class

        self.world = world
        self.site = site
        self.tree = Tree(world, site)
        self.sessions = Sessions()
        self.leases = Leases()
        self.certificate = identity.certificate_pem
        self.managers = managers.Managers(self)
        self.ended = threading.Event()
        """Set while the server is stopped; answers that are to take their time wait for it."""
        self._methods: dict[str, Method] = METHODS

    # ---- calls -------------------------------------------------------------------------------------------

    def call(self, call: Call, session: Session | None) -> str:
        """Run a method; returns the XML inside its response. Raises ``SoapFault``."""
        method = self._methods.get(call.method)
        if session is None and call.method not in OPEN_METHODS and not _about_nobody(call):
            raise SoapFault(
                "NotAuthenticated",
                "The session is not authenticated.",
                object=Ref("Folder", self.tree.root.id),
                privilegeId="System.View",
            )
        if method is None:
            raise SoapFault(
                "MethodNotFound",
                f"{call.this.type}:{call.this.id} does not implement: {call.method}",
                receiver=call.this,
                method=call.method,
            )
        if session is not None:
            session.last, session.calls = time.time(), session.calls + 1
        try:
            return method(self, call, session or Session("", ""))
        except SoapFault:
            raise
        except (errors.WorldError, ValueError) as exc:
            raise translate(exc) from exc

    def concerned(self, call: Call) -> tuple[str, ...]:
        """Ids and names that a fault rule may name."""
        with self.world.lock:
            thing: Any = self.world.vms.get(call.this.id) or self.world.hosts.get(call.this.id)
            snapshot = self.world.snapshots.get(call.this.id)
            if snapshot is not None:
                thing = self.world.vms.get(snapshot.vm_id)
        return (call.this.id,) if thing is None else (call.this.id, thing.id, thing.name)

    @property
    def away(self) -> bool:
        """Whether the machine that this API runs on is down: a single ESXi host."""
        if self.tree.vcenter:
            return False
        with self.world.lock:
            own = self.tree.hosts()
        return bool(own) and all(host.state is not HostState.UP for host in own)

    # ---- objects -----------------------------------------------------------------------------------------

    def properties(self, ref: Ref, session: Session) -> Properties | None:
        """Top-level properties of an object; None if it isn't there. The world's lock is held."""
        tree = self.tree
        kind = tree.kind(ref.id)
        if kind is None:
            found = self.managers.properties(ref, session)
            return None if found is None else complete(tree, ref.type, ref.id, found)
        return complete(tree, kind, ref.id, self._entity(kind, ref))

    def _entity(self, kind: str, ref: Ref) -> Properties:
        world, tree = self.world, self.tree
        if kind == "VirtualMachine":
            vm = world.vms[ref.id]
            return {**vm_properties(tree, vm), **vm_more.more_properties(tree, vm)}
        if kind == "HostSystem":
            return hosts.host_properties(tree, world.hosts[ref.id], self.certificate)
        if is_a(kind, "Network"):
            return hosts.network_properties(tree, ref.id)
        if kind == DISTRIBUTED_SWITCH:
            return hosts.switch_properties(tree)
        if kind == "Datastore":
            return hosts.store_properties(tree, world.storages[ref.id])
        if kind == "VirtualMachineSnapshot":
            return snapshot_properties(tree, world.snapshots[ref.id])
        if kind == "Task":
            return hosts.task_properties(tree, world.tasks[ref.id])
        return hosts.container_properties(tree, kind, ref.id)

    def members(self, view: View | ListedView) -> Iterator[Ref]:
        """The objects of a view."""
        if isinstance(view, ListedView):
            yield from view.refs
            return
        for entity in self.tree.below(view.top):
            if not view.recursive and self.tree.parent(entity.id) != view.top:
                continue
            if not view.kinds or any(is_a(entity.type, kind) for kind in view.kinds):
                yield entity

    def require(self, ref: Ref | None, kind: str) -> str:
        """The id of an object of a class that exists. Raises ``SoapFault``."""
        if ref is None:
            raise SoapFault("InvalidArgument", f"A {kind} is required.", invalidProperty=kind)
        with self.world.lock:
            found = self.tree.kind(ref.id)
        if found is None or not is_a(found, kind):
            raise gone(ref)
        return ref.id

    # ---- tasks -------------------------------------------------------------------------------------------

    def task(self, call: Call, entity: str, work: Callable[[Task], Any], *, result: str = "") -> str:
        """Start ``work`` as a task of ``entity`` and answer with it. ``result``: class of what the work returns."""
        name = call.method.removesuffix("_Task")
        verb = name[0].lower() + name[1:]
        task = self.world.new_task(self.site.id, verb, entity)
        with self.world.lock:
            task.extra.update(
                entity=entity,
                method=call.method,
                result=result,
                description_id=f"{call.this.type}.{_description(verb)}",
            )
        self.managers.note(call, entity)
        self.world.spawn(self.site.id, verb, work, entity, task)
        return field("returnval", Ref("Task", task.id))

    def background(self, call: Call, entity: str, work: Callable[[Task], Any]) -> str:
        """Start something that has no task of its own (what guests are asked to do)."""
        task = self.world.new_task(self.site.id, call.method, entity, recorded=False)
        self.managers.note(call, entity)
        self.world.spawn(self.site.id, call.method, work, entity, task)
        return ""


def _about_nobody(call: Call) -> bool:
    """Whether a property is asked for that everybody may see: who one is, and what the server is."""
    if call.method == "Fetch":
        return call.this.type in _OPEN_OBJECTS
    if call.method not in ("RetrieveProperties", "RetrievePropertiesEx"):
        return False
    asked = [one.get("type") for one in call.element.iter(f"{NS}obj")]
    return bool(asked) and all(kind in _OPEN_OBJECTS for kind in asked)


def _description(verb: str) -> str:
    return {
        "powerOnVM": "powerOn",
        "powerOffVM": "powerOff",
        "suspendVM": "suspend",
        "resetVM": "reset",
        "cloneVM": "clone",
        "relocateVM": "relocate",
        "migrateVM": "migrate",
        "reconfigVM": "reconfigure",
        "createVM": "createVm",
        "removeAllSnapshots": "removeAllSnapshots",
    }.get(verb, verb)
