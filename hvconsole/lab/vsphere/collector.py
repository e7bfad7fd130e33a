"""The property collector: what is asked for, page by page, and what has changed since.

A filter keeps a digest of every value that it has reported; when the world's counter moves, only objects that the
change log names are looked at again. Any thread; the world's lock is held while objects are read, never while waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from hvconsole.lab.vsphere.faults import SoapFault
from hvconsole.lab.vsphere.soap import NS, reference, text
from hvconsole.lab.vsphere.state import ListedView, Session, View
from hvconsole.lab.vsphere.values import Array, Ref, anything, resolve
from hvconsole.lab.vsphere.vm_properties import Properties
from hvconsole.lab.world import World

_BASES = {
    "ClusterComputeResource": ("ComputeResource", "ManagedEntity"),
    "ComputeResource": ("ManagedEntity",),
    "VirtualMachine": ("ManagedEntity",),
    "HostSystem": ("ManagedEntity",),
    "Folder": ("ManagedEntity",),
    "Datacenter": ("ManagedEntity",),
    "ResourcePool": ("ManagedEntity",),
    "Network": ("ManagedEntity",),
    "Datastore": ("ManagedEntity",),
    "OpaqueNetwork": ("Network", "ManagedEntity"),
    "DistributedVirtualPortgroup": ("Network", "ManagedEntity"),
    "VmwareDistributedVirtualSwitch": ("DistributedVirtualSwitch", "ManagedEntity"),
}
DEFAULT_PAGE = 100
"""Objects in a page when the client doesn't say; real servers page unasked too."""
_MOST_OBJECTS = 1_000_000


class Source(Protocol):
    """Who knows the objects."""

    world: World

    def properties(self, ref: Ref, session: Session) -> Properties | None:
        """Top-level properties of an object, None if it is not there."""

    def members(self, view: View | ListedView) -> Iterator[Ref]:
        """The objects of a view."""


def is_a(kind: str, wanted: str) -> bool:
    """Whether a class is, or is derived from, another."""
    return kind == wanted or wanted in _BASES.get(kind, ()) or wanted == "ManagedObject"


@dataclass(slots=True)
class Selection:
    """A traversal or a reference to a named one."""

    name: str
    kind: str = ""
    path: str = ""
    skip: bool = False
    then: list[Selection] = field(default_factory=list)


@dataclass(slots=True)
class Spec:
    """A filter's specification. ``paths``: class → property paths, None for all."""

    starts: list[tuple[Ref, bool, list[Selection]]]
    paths: list[tuple[str, list[str] | None]]

    def paths_of(self, kind: str) -> tuple[list[str], bool] | None:
        """Paths asked of a class and whether all are; None if nothing is."""
        found: dict[str, None] = {}
        everything = matched = False
        for wanted, paths in self.paths:
            if is_a(kind, wanted):
                matched = True
                everything = everything or paths is None
                found.update(dict.fromkeys(paths or ()))
        return (list(found), everything) if matched else None


def parse_spec(element: Element) -> Spec:
    """A ``PropertyFilterSpec``."""
    starts = []
    for one in element.findall(NS + "objectSet"):
        start = reference(one.find(NS + "obj"))
        if start is None:
            raise SoapFault("InvalidArgument", "no object", invalidProperty="obj")
        starts.append(
            (start, text(one, "skip") in ("true", "1"), [_selection(step) for step in one.findall(NS + "selectSet")])
        )
    paths: list[tuple[str, list[str] | None]] = []
    for one in element.findall(NS + "propSet"):
        everything = text(one, "all") in ("true", "1")
        paths.append(
            (text(one, "type"), None if everything else [path.text or "" for path in one.findall(NS + "pathSet")])
        )
    return Spec(starts, paths)


def _selection(element: Element) -> Selection:
    return Selection(
        text(element, "name"),
        text(element, "type"),
        text(element, "path"),
        text(element, "skip") in ("true", "1"),
        [_selection(step) for step in element.findall(NS + "selectSet")],
    )


def _all_steps(steps: Iterable[Selection]) -> dict[str, Selection]:
    found: dict[str, Selection] = {}
    for step in steps:
        if step.kind:
            found.setdefault(step.name, step)
        found.update({name: one for name, one in _all_steps(step.then).items() if name not in found})
    return found


def selected(source: Source, spec: Spec, session: Session) -> dict[Ref, None]:
    """Every object that a specification picks, in order. The world's lock is held."""
    found: dict[Ref, None] = {}
    for start, skip, steps in spec.starts:
        named = _all_steps(steps)
        if not skip:
            if source.properties(start, session) is None:
                raise SoapFault("ManagedObjectNotFound", "The object has already been deleted.", obj=start)
            found[start] = None
        todo: list[tuple[Ref, list[Selection]]] = [(start, steps)]
        walked: set[tuple[Ref, int]] = set()
        while todo and len(found) < _MOST_OBJECTS:
            ref, ways = todo.pop()
            for way in ways:
                step = way if way.kind else named.get(way.name)
                if step is None or not is_a(ref.type, step.kind) or (ref, id(step)) in walked:
                    continue
                walked.add((ref, id(step)))
                for target in _follow(source, ref, step.path, session):
                    if not step.skip:
                        found[target] = None
                    if step.then:
                        todo.append((target, step.then))
    return found


def _follow(source: Source, ref: Ref, path: str, session: Session) -> Iterator[Ref]:
    view = session.objects.get(ref.id)
    if isinstance(view, View | ListedView) and path == "view":
        yield from source.members(view)
        return
    properties = source.properties(ref, session)
    if properties is None:
        return
    top, _, rest = path.partition(".")
    if top not in properties:
        return
    value = resolve(properties[top](), rest.split(".") if rest else [])
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Array):
        yield from (item for item in value.items if isinstance(item, Ref))


def values_of(source: Source, ref: Ref, spec: Spec, session: Session) -> tuple[dict[str, str], list[str]] | None:
    """(path → XML of its value, "" for unset; paths that don't exist). None if the object is gone or not asked of."""
    properties = source.properties(ref, session)
    if properties is None:
        return None
    asked = spec.paths_of(ref.type)
    if asked is None:
        return None
    paths, everything = asked
    found: dict[str, str] = {}
    missing: list[str] = []
    tops: dict[str, object] = {}
    for path in [*paths, *(properties if everything else ())]:
        top, _, rest = path.replace('["', ".").replace('"]', "").partition(".")
        if top not in properties:
            missing.append(path)
            continue
        if top not in tops:
            tops[top] = properties[top]()
        try:
            value = resolve(tops[top], rest.split(".") if rest else [])
        except KeyError:
            missing.append(path)
            continue
        found[path] = "" if value is None else anything("val", value)
    return found, missing


def content_xml(ref: Ref, values: dict[str, str], missing: list[str]) -> str:
    """An ``ObjectContent``."""
    sets = "".join(f"<propSet><name>{escape(path)}</name>{xml}</propSet>" for path, xml in values.items() if xml)
    lacks = "".join(
        f'<missingSet><path>{escape(path)}</path><fault><fault xsi:type="InvalidProperty"><name>'
        f"{escape(path)}</name></fault><localizedMessage></localizedMessage></fault></missingSet>"
        for path in missing
    )
    return f"<objects><obj type={quoteattr(ref.type)}>{escape(ref.id)}</obj>{sets}{lacks}</objects>"


# ---- filters ---------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Filter:
    """A filter of a collector, with what it has reported."""

    id: str
    spec: Spec
    partial: bool
    known: dict[Ref, dict[str, int]] = field(default_factory=dict)
    started: bool = False


@dataclass(slots=True, eq=False)
class Collector:
    """A property collector. ``waiting``: objects not yet reported because the client takes only some at a time."""

    filters: dict[str, Filter] = field(default_factory=dict)
    seen: int = -1
    number: int = 0
    pending: list[tuple[str, str]] = field(default_factory=list)
    """(filter id, XML of an object update)"""
    pages: dict[str, list[str]] = field(default_factory=dict)
    cancel: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)
    chosen: int = 0
    """The session's count of changes to its lists, as of the last look."""


def gather(source: Source, collector: Collector, session: Session) -> None:
    """Put what has changed since the last time into ``pending``. The world's lock is held."""
    world = source.world
    version = world.version
    changes = None if collector.seen < 0 else world.changes_since(collector.seen)
    touched = None if changes is None else {change.id for change in changes}
    chosen, collector.chosen = collector.chosen != session.chosen, session.chosen
    structural = changes is None or chosen or any(change.op != "mod" for change in changes)
    if changes is not None:
        assert touched is not None
        for change in changes:
            touched.update(_concerned(world, change.kind, change.id))
    for one in collector.filters.values():
        if not one.started:
            _report(source, one, session, collector, None, all_objects=True)
            one.started = True
        elif touched is None or touched or chosen:
            _report(source, one, session, collector, touched, all_objects=structural)
    collector.seen = version


def _concerned(world: World, kind: str, moid: str) -> set[str]:
    """Other objects whose properties follow from a change of this one."""
    if kind == "snapshot":
        snapshot = world.snapshots.get(moid)
        return {snapshot.vm_id} if snapshot is not None else set()
    if kind == "task":
        task = world.tasks.get(moid)
        return {"TaskManager"} if task is None else {"TaskManager", str(task.extra.get("entity") or task.target_id)}
    if kind == "host":
        return {vm.id for vm in world.vms.values() if moid in (vm.host_id, vm.home_host_id)}
    return set()


def _report(
    source: Source, one: Filter, session: Session, collector: Collector, touched: set[str] | None, *, all_objects: bool
) -> None:
    objects = selected(source, one.spec, session) if all_objects else one.known
    if all_objects:
        for ref in [ref for ref in one.known if ref not in objects]:
            del one.known[ref]
            collector.pending.append((one.id, _update("leave", ref, "")))
    for ref in list(objects):
        known = one.known.get(ref)
        if known is not None and touched is not None and ref.id not in touched:
            continue
        read = values_of(source, ref, one.spec, session)
        if read is None:
            if known is not None:
                del one.known[ref]
                collector.pending.append((one.id, _update("leave", ref, "")))
            continue
        values, missing = read
        digests = {path: hash(xml) for path, xml in values.items()}
        if known is None:
            changed = {path: xml for path, xml in values.items() if xml}
            op = "enter"
        else:
            changed = {path: xml for path, xml in values.items() if known.get(path) != digests[path]}
            op = "modify"
        one.known[ref] = digests
        if known is None or changed:
            sets = "".join(
                f"<changeSet><name>{escape(path)}</name><op>assign</op>{xml}</changeSet>"
                for path, xml in changed.items()
            )
            if op == "enter":
                sets += "".join(
                    f'<missingSet><path>{escape(path)}</path><fault><fault xsi:type="InvalidProperty">'
                    f"<name>{escape(path)}</name></fault><localizedMessage></localizedMessage></fault>"
                    "</missingSet>"
                    for path in missing
                )
            collector.pending.append((one.id, _update(op, ref, sets)))


def _update(op: str, ref: Ref, sets: str) -> str:
    return f"<objectSet><kind>{op}</kind><obj type={quoteattr(ref.type)}>{escape(ref.id)}</obj>{sets}</objectSet>"


def update_set(collector: Collector, most: int | None) -> str:
    """The next update set out of ``pending``."""
    count = most or len(collector.pending)
    taken, collector.pending = collector.pending[:count], collector.pending[count:]
    collector.number += 1
    by_filter: dict[str, list[str]] = {}
    for filter_id, xml in taken:
        by_filter.setdefault(filter_id, []).append(xml)
    sets = "".join(
        f'<filterSet><filter type="PropertyFilter">{escape(key)}</filter>{"".join(updates)}</filterSet>'
        for key, updates in by_filter.items()
    )
    more = "<truncated>true</truncated>" if collector.pending else ""
    return f"<returnval><version>{collector.number}</version>{sets}{more}</returnval>"
