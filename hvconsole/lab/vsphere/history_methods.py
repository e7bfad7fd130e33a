"""Readers of the event log and of the list of tasks: filters, pages, the newest. Any thread.

A reader stands between two entries. Events come oldest first from ``ReadNextEvents``; ``latestPage`` shows the newest
first, whatever has been read.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from hvconsole.lab.vsphere import host_properties
from hvconsole.lab.vsphere.faults import SoapFault, gone
from hvconsole.lab.vsphere.soap import NS, Call, number, reference, text
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.vsphere.values import Array, Data, Ref, array, when
from hvconsole.lab.vsphere.values import field as xml_field
from hvconsole.lab.vsphere.vm_properties import Properties

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service

_PAGE = 10


@dataclass(slots=True)
class Filter:
    """What a reader shows. ``entity`` and everything below it if ``below``."""

    entity: Ref | None = None
    below: bool = True
    itself: bool = True
    begin: dt.datetime | None = None
    end: dt.datetime | None = None
    kinds: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    chain: int | None = None
    users: frozenset[str] = frozenset()


@dataclass(slots=True)
class Reader:
    """A place in a history; ``position`` counts from the oldest. ``tasks``: of tasks, else of events."""

    tasks: bool
    filter: Filter = field(default_factory=Filter)
    position: int = 0
    page: int = _PAGE


def read_filter(element: Element | None) -> Filter:
    """An ``EventFilterSpec`` or ``TaskFilterSpec``. Raises ``SoapFault``."""
    if element is None:
        return Filter()
    entity, time, user = (element.find(NS + name) for name in ("entity", "time", "userName"))
    how = text(entity, "recursion", "all")
    try:
        begin, end = (
            dt.datetime.fromisoformat(value) if value else None
            for value in (text(time, "beginTime"), text(time, "endTime"))
        )
    except ValueError as exc:
        raise SoapFault("InvalidArgument", "A time can't be read.", invalidProperty="filter.time") from exc
    named = element.findall(NS + "type") + element.findall(NS + "eventTypeId")
    return Filter(
        reference(entity.find(NS + "entity")) if entity is not None else None,
        how != "self",
        how != "children",
        begin and begin.astimezone(dt.UTC),
        end and end.astimezone(dt.UTC),
        frozenset((one.text or "").rpartition(".")[2] for one in named),
        frozenset(one.text or "" for one in element.findall(NS + "state")),
        number(element, "eventChainId"),
        frozenset(one.text or "" for one in (user.findall(NS + "userList") if user is not None else ())),
    )


def _concerned(service: Service, wanted: Filter, subject: str) -> bool:
    """Whether something happened to the filter's entity or below it. The world's lock is held."""
    if wanted.entity is None or (wanted.itself and subject == wanted.entity.id):
        return True
    if not wanted.below:
        return False
    if wanted.entity.id == service.tree.root.id:
        return True
    above = service.tree.parent(subject) if service.tree.kind(subject) else None
    for _ in range(50):
        if above is None:
            return False
        if above.id == wanted.entity.id:
            return True
        above = service.tree.parent(above.id)
    return False


def _timely(wanted: Filter, moment: dt.datetime) -> bool:
    return (wanted.begin is None or moment >= wanted.begin) and (wanted.end is None or moment <= wanted.end)


def events(service: Service, wanted: Filter) -> list[Data]:
    """The events that a filter lets through, oldest first."""
    found = []
    with service.world.lock:
        for event in service.managers.events():
            argument = event.get("vm") or event.get("host")
            subject = argument.get("vm") or argument.get("host") if isinstance(argument, Data) else None
            if (
                _timely(wanted, event.get("createdTime"))
                and (
                    not wanted.kinds
                    or not wanted.kinds.isdisjoint(
                        (event.type, "Event", "VmEvent" if event.get("vm") is not None else "HostEvent")
                    )
                )
                and (wanted.chain is None or wanted.chain == event.get("chainId"))
                and (not wanted.users or event.get("userName") in wanted.users)
                and _concerned(service, wanted, subject.id if isinstance(subject, Ref) else "")
            ):
                found.append(event)
    return found


def tasks(service: Service, wanted: Filter) -> list[Data]:
    """The tasks that a filter lets through, oldest first."""
    found = []
    with service.world.lock:
        for task in service.world.tasks.values():
            if task.site_id != service.site.id:
                continue
            info = host_properties.task_info(service.tree, task)
            state = str(info.get("state").text)
            if (
                _timely(wanted, when(task.created))
                and (not wanted.states or state in wanted.states)
                and _concerned(service, wanted, str(task.extra.get("entity") or task.target_id))
            ):
                found.append(info)
    return found


def _all(service: Service, reader: Reader) -> list[Data]:
    return (tasks if reader.tasks else events)(service, reader.filter)


def reader_properties(service: Service, reader: Reader) -> Properties:
    """The properties of a reader."""
    kind = "TaskInfo" if reader.tasks else "Event"

    def latest() -> Array:
        return array(kind, _all(service, reader)[: -reader.page - 1 : -1])

    return {"latestPage": latest}


def _open(*, of_tasks: bool) -> Method:
    def method(service: Service, call: Call, session: Session) -> str:
        kind = "TaskHistoryCollector" if of_tasks else "EventHistoryCollector"
        name = f"{service.sessions.name('history')}"
        reader = Reader(of_tasks, read_filter(call.find("filter")))
        reader.position = len(_all(service, reader))
        session.objects[name] = reader
        return xml_field("returnval", Ref(kind, name))

    return method


def _reader(call: Call, session: Session) -> Reader:
    found = session.objects.get(call.this.id)
    if not isinstance(found, Reader):
        raise gone(call.this)
    return found


def _previous(service: Service, call: Call, session: Session) -> str:
    reader = _reader(call, session)
    known = _all(service, reader)
    end = min(reader.position, len(known))
    begin = max(0, end - (number(call.element, "maxCount") or 100))
    reader.position = begin
    return _page(reader, known[begin:end][::-1])


def _next(service: Service, call: Call, session: Session) -> str:
    reader = _reader(call, session)
    found = _all(service, reader)[reader.position :][: number(call.element, "maxCount") or 100]
    reader.position += len(found)
    return _page(reader, found)


def _page(reader: Reader, found: list[Data]) -> str:
    return xml_field("returnval", array("TaskInfo" if reader.tasks else "Event", found))


def _place(service: Service, call: Call, session: Session) -> str:
    # "reset" puts the reader behind the newest entry, "rewind" before the oldest
    reader = _reader(call, session)
    reader.position = len(_all(service, reader)) if call.method == "ResetCollector" else 0
    return ""


def _page_size(service: Service, call: Call, session: Session) -> str:
    _reader(call, session).page = max(1, min(1000, number(call.element, "maxCount") or _PAGE))
    return ""


def _destroy(service: Service, call: Call, session: Session) -> str:
    _reader(call, session)
    del session.objects[call.this.id]
    return ""


def _query_events(service: Service, call: Call, session: Session) -> str:
    if not service.tree.vcenter:
        raise SoapFault("NotImplemented", "Use an event collector.")
    return xml_field("returnval", array("Event", events(service, read_filter(call.find("filter")))))


def _log_user_event(service: Service, call: Call, session: Session) -> str:
    entity = call.ref("entity")
    with service.world.lock:
        if entity is None or service.properties(entity, session) is None:
            raise gone(entity or call.this)
    said: Any = call.text("msg")
    service.managers.say("GeneralUserEvent", entity.id, said, message=said)
    return ""


HISTORY_METHODS: dict[str, Method] = {
    "CreateCollectorForEvents": _open(of_tasks=False),
    "CreateCollectorForTasks": _open(of_tasks=True),
    "ReadPreviousEvents": _previous,
    "ReadPreviousTasks": _previous,
    "ReadNextEvents": _next,
    "ReadNextTasks": _next,
    "ResetCollector": _place,
    "RewindCollector": _place,
    "SetCollectorPageSize": _page_size,
    "DestroyCollector": _destroy,
    "QueryEvents": _query_events,
    "LogUserEvent": _log_user_event,
}
