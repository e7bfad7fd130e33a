"""Questions to the property collector: which kinds, which properties, page by page. Any worker thread.

Faults leave these functions untranslated: their callers live on them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from hvconsole.backends.vsphere_api import vim, vmodl
from hvconsole.backends.vsphere_hardware import devices
from hvconsole.backends.vsphere_model import DEVICES
from hvconsole.backends.vsphere_records import READERS, Readers, Record, Update, Value, read_page
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_soap import WireStub
from hvconsole.errors import NotSupported
from hvconsole.text import safe_text

log = logging.getLogger(__name__)

PAGE_OBJECTS = 500
"""Objects asked for at once, so that the interpreter is free between two pages."""

_KINDS: Mapping[str, Any] = {
    "VirtualMachine": vim.VirtualMachine,
    "HostSystem": vim.HostSystem,
    "Datacenter": vim.Datacenter,
    "Folder": vim.Folder,
    "ComputeResource": vim.ComputeResource,
    "ResourcePool": vim.ResourcePool,
    "Network": vim.Network,
    "Datastore": vim.Datastore,
    "Task": vim.Task,
}
"""Base kinds; what is asked of them is asked of their sub-kinds too."""


HARDWARE: Readers = {"VirtualMachine": {DEVICES: devices}}
"""The bulky part of a VM, read apart and only when its configuration changed."""


def view_kinds() -> list[Any]:
    """The kinds of the container view."""
    return [kind for name, kind in _KINDS.items() if name != "Task"]


def property_specs(readers: Readers = READERS) -> list[Any]:
    """One ``PropertySpec`` per base kind."""
    return [
        vmodl.query.PropertyCollector.PropertySpec(type=kind, pathSet=list(readers[name]), all=False)
        for name, kind in _KINDS.items()
        if name in readers
    ]


def _traversal(start: Any, kind: Any, path: str) -> Any:
    step = vmodl.query.PropertyCollector.TraversalSpec(name=path, type=kind, path=path, skip=False)
    return vmodl.query.PropertyCollector.ObjectSpec(obj=start, skip=True, selectSet=[step])


def filter_spec(view: Any, task_manager: Any) -> Any:
    """The filter of the live inventory: everything in the view, and the tasks of late."""
    starts = [_traversal(view, vim.view.ContainerView, "view")]
    if task_manager is not None:
        starts.append(_traversal(task_manager, vim.TaskManager, "recentTask"))
    return vmodl.query.PropertyCollector.FilterSpec(objectSet=starts, propSet=property_specs())


def retrieve(
    session: Session, objects: Iterable[tuple[str, str]], readers: Readers = READERS, stub: WireStub | None = None
) -> list[Record]:
    """Read properties of single objects, given as (kind, id), page by page. Raises faults untranslated.

    ``readers`` says which properties; an object that is gone raises ``ManagedObjectNotFound``.
    """
    wanted = list(objects)
    if not wanted:
        return []
    query = vmodl.query.PropertyCollector
    kinds = {kind for kind, _ in wanted}
    specs = [
        query.PropertySpec(type=managed_kind(kind), pathSet=list(readers[kind]), all=False) for kind in sorted(kinds)
    ]
    starts = [query.ObjectSpec(obj=managed_kind(kind)(moid, None), skip=False) for kind, moid in wanted]
    return retrieve_spec(session, query.FilterSpec(objectSet=starts, propSet=specs), readers, stub)


def retrieve_spec(session: Session, spec: Any, readers: Readers, stub: WireStub | None = None) -> list[Record]:
    """RetrievePropertiesEx with all its pages. Raises faults untranslated."""
    query = vmodl.query.PropertyCollector
    through = stub or session.stub
    collector = query(session.content.propertyCollector._moId, through)
    options = query.RetrieveOptions(maxObjects=PAGE_OBJECTS)
    while True:
        try:
            page = read_page(session.raw(through, collector, "RetrievePropertiesEx", [[spec], options]), readers)
            break
        except vmodl.query.InvalidProperty as fault:
            if not leave_out(spec, fault):
                raise
    updates = page.updates
    while page.token:
        page = read_page(session.raw(through, collector, "ContinueRetrievePropertiesEx", [page.token]), readers)
        updates.extend(page.updates)
    records: dict[str, Record] = {}
    merge(records, updates)
    return list(records.values())


def leave_out(spec: Any, fault: Any) -> bool:
    """Take the property that a server doesn't know out of a filter; False if the filter doesn't ask for it."""
    unknown = str(fault.name or "")
    found = False
    for one in spec.propSet:
        known = [path for path in one.pathSet if path != unknown]
        found |= len(known) < len(one.pathSet)
        one.pathSet = known
    if found:
        log.info("the server doesn't know the property %s", safe_text(unknown, 100))
    return found


def managed_kind(name: str) -> Any:
    """The pyVmomi class of a WSDL kind."""
    kind = _KINDS.get(name) or getattr(vim, name, None) or getattr(vim.dvs, name, None)
    if kind is None:
        raise NotSupported("The server names a kind of object that isn't known.", name[:100])
    return kind


def set_values(record: Record, values: Mapping[str, Value]) -> bool:
    """Apply a change to a record; None unsets. True if anything differs now."""
    changed = False
    for path, value in values.items():
        if record.values.get(path) != value:
            changed = True
            if value is None:
                del record.values[path]
            else:
                record.values[path] = value
    return changed


def merge(records: dict[str, Record], updates: Iterable[Update]) -> None:
    """Apply updates to a table of records."""
    for update in updates:
        if update.op == "leave":
            records.pop(update.id, None)
        else:
            set_values(records.setdefault(update.id, Record(update.kind, update.id)), update.values)
