"""Singletons of the API and objects of sessions: content, task list, counters, licences, events, views, leases."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Any

from hvconsole.lab.vsphere import host_more
from hvconsole.lab.vsphere import host_properties as hosts
from hvconsole.lab.vsphere.access import descriptions
from hvconsole.lab.vsphere.history_methods import Reader, reader_properties
from hvconsole.lab.vsphere.soap import Call
from hvconsole.lab.vsphere.state import ListedView, Session, View
from hvconsole.lab.vsphere.values import Data, Ref, Word, array, long, when
from hvconsole.lab.vsphere.vm_properties import Properties, escaped

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Service

SINGLETONS = {
    "propertyCollector": "PropertyCollector",
    "viewManager": "ViewManager",
    "about": "",
    "setting": "OptionManager",
    "sessionManager": "SessionManager",
    "authorizationManager": "AuthorizationManager",
    "perfManager": "PerformanceManager",
    "scheduledTaskManager": "ScheduledTaskManager",
    "alarmManager": "AlarmManager",
    "eventManager": "EventManager",
    "taskManager": "TaskManager",
    "extensionManager": "ExtensionManager",
    "customizationSpecManager": "CustomizationSpecManager",
    "customFieldsManager": "CustomFieldsManager",
    "licenseManager": "LicenseManager",
    "searchIndex": "SearchIndex",
    "virtualDiskManager": "VirtualDiskManager",
    "ovfManager": "OvfManager",
}
"""Fields of ``ServiceContent`` in the order of the schema → class."""
_VCENTER_ONLY = frozenset(
    {"scheduledTaskManager", "alarmManager", "extensionManager", "customFieldsManager", "customizationSpecManager"}
)
COUNTERS = (
    (2, "cpu", "usage", "average", "percent"),
    (24, "mem", "usage", "average", "percent"),
    (125, "disk", "usage", "average", "kiloBytesPerSecond"),
    (146, "net", "transmitted", "average", "kiloBytesPerSecond"),
    (147, "net", "received", "average", "kiloBytesPerSecond"),
)
_EVENTS_KEPT = 1_000
_EVENT_KINDS = {
    "PowerOnVM_Task": "VmPoweredOnEvent",
    "PowerOffVM_Task": "VmPoweredOffEvent",
    "SuspendVM_Task": "VmSuspendedEvent",
    "Rename_Task": "VmRenamedEvent",
    "CreateVM_Task": "VmCreatedEvent",
    "CloneVM_Task": "VmClonedEvent",
    "Destroy_Task": "VmRemovedEvent",
    "ReconfigVM_Task": "VmReconfiguredEvent",
    "RelocateVM_Task": "VmRelocatedEvent",
    "ShutdownGuest": "VmGuestShutdownEvent",
    "RebootGuest": "VmGuestRebootEvent",
    "EnterMaintenanceMode_Task": "EnteredMaintenanceModeEvent",
}


def singleton_id(kind: str) -> str:
    """The id of a singleton; the collector's is the one that clients hard-code on ESXi."""
    return {"PropertyCollector": "propertyCollector", "OptionManager": "VpxSettings"}.get(kind, kind)


class Managers:
    """Properties of everything that is not in the inventory. The caller holds the world's lock."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._events: deque[Data] = deque(maxlen=_EVENTS_KEPT)
        self._numbers = itertools.count(1)
        self._descriptions = descriptions(service.site)

    def content(self) -> Data:
        """``ServiceContent``."""
        tree = self._service.tree
        fields: dict[str, Any] = {
            name: Ref(kind, singleton_id(kind))
            for name, kind in SINGLETONS.items()
            if tree.vcenter or name not in _VCENTER_ONLY
        }
        fields["about"] = hosts.about(tree)
        return Data("ServiceContent", rootFolder=tree.root, **fields)

    def properties(self, ref: Ref, session: Session) -> Properties | None:
        """Properties of a singleton or of an object of the session."""
        found = self._own(ref, session)
        return None if found is None else {**self._descriptions.get(ref.type, {}), **found}

    def _own(self, ref: Ref, session: Session) -> Properties | None:
        world, tree = self._service.world, self._service.tree
        mine = session.objects.get(ref.id)
        if isinstance(mine, View):
            return {
                "view": lambda: array("ManagedObjectReference", self._service.members(mine)),
                "container": lambda: mine.top,
                "type": lambda: array("string", sorted(mine.kinds)),
                "recursive": lambda: mine.recursive,
            }
        if isinstance(mine, ListedView):
            return {"view": lambda: array("ManagedObjectReference", self._service.members(mine))}
        if isinstance(mine, Reader):
            return reader_properties(self._service, mine)
        lease = self._service.leases.get(ref.id)
        if lease is not None:
            port = self._service.site.extra.get("port", 443)
            address = "*" if port == 443 else f"*:{port}"  # the star is the server that was asked
            return {
                "state": lease.state_word,
                "info": lambda: lease.info(address),
                "error": lambda: lease.error,
                "initializeProgress": lambda: 100,
                "transferProgress": lambda: lease.percent,
            }
        if ref.id == "ServiceInstance":
            return {"content": self.content, "serverClock": lambda: when(world.now())}
        if ref.id == "TaskManager":
            own = [task for task in world.tasks.values() if task.site_id == tree.site.id]
            return {
                "recentTask": lambda: array("ManagedObjectReference", (Ref("Task", one.id) for one in own[-50:])),
                "maxCollector": lambda: 32,
            }
        if ref.id == "PerformanceManager":
            return {"perfCounter": lambda: array("PerfCounterInfo", self.counters())}
        if ref.id == "LicenseManager":
            manager = Ref("LicenseAssignmentManager", "LicenseAssignmentManager") if tree.vcenter else None
            return {
                "licenses": lambda: array("LicenseManagerLicenseInfo", self.licences()),
                "licenseAssignmentManager": lambda: manager,
                "licensedEdition": lambda: "esx.enterprisePlus.cpuPackage",
            }
        if ref.id == "SessionManager":
            if not session.key:
                return {"defaultLocale": lambda: "en"}
            return {
                "currentSession": lambda: self.session(session),
                "message": lambda: str(world.sites[tree.site.id].extra.get("message", "")),
                "sessionList": lambda: array("UserSession", map(self.session, self._service.sessions.all())),
                "messageLocaleList": lambda: array("string", ("en",)),
                "supportedLocaleList": lambda: array("string", ("en",)),
                "defaultLocale": lambda: "en",
            }
        if ref.id == "EventManager":
            return {"latestEvent": lambda: self._events[-1] if self._events else None, "maxCollector": lambda: 32}
        of_host = self._of_host(ref.id)
        if of_host is not None:
            return of_host
        if ref.id == "LicenseAssignmentManager" or ref.id in map(singleton_id, SINGLETONS.values()):
            return {}
        if ref.id.startswith("envbrowser-"):
            return {}
        if mine is not None:
            return {}
        return None

    def _of_host(self, moid: str) -> Properties | None:
        """Properties of a host's managers and of browsers of files."""
        world, tree = self._service.world, self._service.tree
        name, _, owner = moid.partition("-")
        host = world.hosts.get(owner)
        if name == "datastoreBrowser" and (host is not None or owner in world.storages):
            stores = [one.id for one in tree.storages() if owner in (one.id, *one.host_ids)]
            return {
                "datastore": lambda: array("ManagedObjectReference", (Ref("Datastore", one) for one in stores)),
                "supportedType": lambda: array("FileQuery", ()),
            }
        if host is None or host.site_id != tree.site.id or name not in host_more.MANAGERS:
            return None
        return host_more.manager(tree, name, host, lambda: hosts.host_network(tree, host))

    def counters(self) -> list[Data]:
        """What can be measured."""
        return [_counter(row) for row in COUNTERS]

    def session(self, session: Session) -> Data:
        """``UserSession``."""
        return Data(
            "UserSession",
            key=session.shown,
            userName=session.user,
            fullName=session.user,
            loginTime=when(session.since),
            lastActiveTime=when(session.last),
            locale="en",
            messageLocale="en",
            extensionSession=False,
            ipAddress="127.0.0.1",
            userAgent="",
            callCount=long(session.calls),
        )

    def licences(self) -> tuple[Data, ...]:
        """What the server is licensed for: that of the hosts first, then a vCenter's own."""
        name = str(self._service.site.extra.get("licence", "VMware vSphere 8 Enterprise Plus"))
        hosts = Data(
            "LicenseManagerLicenseInfo",
            licenseKey="00000-00000-00000-00000-00000",
            editionKey="esx.enterprisePlus.cpuPackage",
            name=name,
            total=16,
            used=2,
            costUnit="cpuPackage",
        )
        own = Data(
            "LicenseManagerLicenseInfo",
            licenseKey="00000-00000-00000-00000-00001",
            editionKey="vc.standard.instance",
            name="VMware vCenter Server 8 Standard",
            total=1,
            used=1,
            costUnit="server",
        )
        return (hosts, own) if self._service.tree.vcenter else (hosts,)

    # ---- events ------------------------------------------------------------------------------------------

    def note(self, call: Call, entity: str) -> None:
        """Write what was asked for into the event log."""
        world = self._service.world
        with world.lock:
            thing: Any = world.vms.get(entity) or world.hosts.get(entity)
            name = escaped(thing.name) if thing is not None else entity
        self.say(
            _EVENT_KINDS.get(call.method, "TaskEvent"),
            entity,
            f"{call.method.removesuffix('_Task')} on {name} by {self._service.site.user}",
        )

    def say(self, kind: str, entity: str, text: str, **more: Any) -> None:
        """Write an event of a class into the log."""
        world = self._service.world
        with world.lock:
            vm, host = world.vms.get(entity), world.hosts.get(entity)
            user = self._service.site.user
            thing: Any = vm or host
            name = escaped(thing.name) if thing is not None else entity
            fields: dict[str, Any] = {}
            if host is not None:
                fields["host"] = Data("HostEventArgument", name=name, host=Ref("HostSystem", host.id))
            if vm is not None:
                fields["vm"] = Data("VmEventArgument", name=name, vm=Ref("VirtualMachine", vm.id))
            key = next(self._numbers)
            if kind.startswith("Vm"):
                more = {"template": vm.is_template if vm is not None else False, **more}
            self._events.append(
                Data(
                    kind,
                    key=key,
                    chainId=key,
                    createdTime=when(world.now()),
                    userName=user,
                    **fields,
                    fullFormattedMessage=text,
                    **more,
                )
            )

    def events(self) -> list[Data]:
        """Everything in the log, oldest first."""
        with self._service.world.lock:
            return list(self._events)


def _counter(row: tuple[int, str, str, str, str]) -> Data:
    key, group, name, rollup, unit = row

    def words(text: str) -> Data:
        return Data("ElementDescription", label=text, summary=text, key=text)

    return Data(
        "PerfCounterInfo",
        key=key,
        nameInfo=words(name),
        groupInfo=words(group),
        unitInfo=words(unit),
        rollupType=Word("PerfSummaryType", rollup),
        statsType=Word("PerfStatsType", "rate"),
        level=1,
        perDeviceLevel=3,
    )
