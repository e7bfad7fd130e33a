"""What the property collector says, as compact values: the XML of a page or an update set → ``Record`` changes.

pyVmomi's own deserialiser needs most of a millisecond per VM and trips over types it does not know; this reads only
the properties that are asked for, each with a reader of its own. Pure; any thread.
"""

from __future__ import annotations

import datetime as dt
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hvconsole.backends.vsphere_names import shown_snapshot_name
from hvconsole.errors import BadReply
from hvconsole.model import ObjectId, Snapshot

NS = "{urn:vim25}"
_FEED_BYTES = 1 << 17
OBJECT_ELEMENTS = 500_000
"""Most elements of one object: they are in memory together. The largest VMs have some thousands."""
_AT_ONCE_BYTES = 2 << 20
"""Answers up to this size are parsed at once, which is faster; larger ones in pieces that are dropped again."""
_MOST_SNAPSHOTS = 2_000
"""Per VM; servers allow 32 in a row. What comes beyond is cut."""

Value = Any
"""str, int, bool, tuple, frozenset or None: hashable or at least comparable, never an XML element."""
Reader = Callable[[ET.Element], Value]


@dataclass(frozen=True, slots=True)
class GuestNic:
    """A card as the guest's tools report it. ``key`` is the device's number, -1 for one inside the guest only."""

    key: int
    mac: str
    network: str
    connected: bool | None
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SnapshotTree:
    """A VM's snapshots, roots first, and the one that the present state descends from."""

    current: str
    snapshots: tuple[Snapshot, ...]


@dataclass(slots=True)
class Record:
    """One object of the server: its WSDL kind, its id, and the properties that are known."""

    kind: str
    id: str
    values: dict[str, Value] = field(default_factory=dict)

    def get(self, path: str, default: Value = None) -> Value:
        """The value of a property path; ``default`` where it is unset or not known."""
        value = self.values.get(path)
        return default if value is None else value


@dataclass(frozen=True, slots=True)
class Update:
    """One object's change. ``op`` is "enter", "modify" or "leave"; ``values`` None means unset."""

    op: str
    kind: str
    id: str
    values: Mapping[str, Value]


@dataclass(slots=True)
class Page:
    """An answer of the collector: token or version to go on with, whether more is waiting, and what it holds."""

    updates: list[Update] = field(default_factory=list)
    token: str = ""
    version: str = ""
    truncated: bool = False


# ---- readers of values -------------------------------------------------------------------------------------


def text(element: ET.Element) -> str:
    """The element's text."""
    return element.text or ""


def word(element: ET.Element) -> str:
    """A text that occurs often (a state, an id): kept once."""
    return sys.intern(element.text or "")


def flag(element: ET.Element) -> bool:
    """A boolean."""
    return (element.text or "").strip() in ("true", "1")


def number(element: ET.Element) -> int | None:
    """An integer, None where it is none, or none of 64 bits: nothing could be calculated or shown with it."""
    try:
        value = int(element.text or "")
    except ValueError:
        return None
    return value if abs(value) < 1 << 63 else None


def moment(element: ET.Element) -> dt.datetime | None:
    """A point in time, aware, UTC; None where it cannot be read."""
    try:
        when = dt.datetime.fromisoformat((element.text or "").strip())
        return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def octets(element: ET.Element) -> bytes:
    """An array of bytes: signed numbers, one element each; empty where it can't be read."""
    try:
        return bytes(int(child.text or "") & 0xFF for child in element)
    except ValueError:
        return b""


def words(element: ET.Element) -> frozenset[str]:
    """An array of words."""
    return frozenset(sys.intern(child.text) for child in element if child.text)


def references(element: ET.Element) -> tuple[str, ...]:
    """An array of references: their ids."""
    return tuple(sys.intern(child.text) for child in element if child.text)


def typed(element: ET.Element) -> tuple[str, str]:
    """A reference as (kind, id)."""
    return (sys.intern(element.get("type") or ""), sys.intern(element.text or ""))


def typed_references(element: ET.Element) -> tuple[tuple[str, str], ...]:
    """An array of references as (kind, id)."""
    return tuple(typed(child) for child in element)


def child_text(element: ET.Element, name: str) -> str:
    """Text of a child, empty where there is none."""
    found = element.find(NS + name)
    return (found.text or "") if found is not None else ""


def read_child(element: ET.Element, name: str, reader: Reader) -> Value:
    """A child through a reader, None where there is none."""
    found = element.find(NS + name)
    return None if found is None else reader(found)


def tag_keys(element: ET.Element) -> frozenset[str]:
    """``tag``: keys that the server itself marks an object with."""
    return frozenset(child_text(tag, "key") for tag in element)


def opaque_network(element: ET.Element) -> tuple[str, str] | None:
    """``summary`` of a network: (id, type) of one that another product (NSX) manages, None for all others."""
    found = child_text(element, "opaqueNetworkId")
    return (found, child_text(element, "opaqueNetworkType")) if found else None


def mounting_hosts(element: ET.Element) -> tuple[str, ...]:
    """Hosts that mount a datastore."""
    return tuple(sys.intern(child_text(mount, "key")) for mount in element)


def guest_nics(element: ET.Element) -> tuple[GuestNic, ...]:
    """``guest.net``."""
    return tuple(
        GuestNic(
            key=number_or(nic, "deviceConfigId", -1),
            mac=child_text(nic, "macAddress"),
            network=child_text(nic, "network"),
            connected=read_child(nic, "connected", flag),
            addresses=tuple(address.text for address in nic.findall(NS + "ipAddress") if address.text),
        )
        for nic in element
    )


def number_or(element: ET.Element, name: str, default: int) -> int:
    """An integer child, ``default`` where it is missing or none."""
    value = read_child(element, name, number)
    return default if value is None else int(value)


def snapshot_tree(element: ET.Element) -> SnapshotTree:
    """``snapshot``: the tree flattened, parents before children."""
    found: list[Snapshot] = []
    todo: list[tuple[ET.Element, ObjectId | None]] = [
        (node, None) for node in reversed(element.findall(NS + "rootSnapshotList"))
    ]
    while todo and len(found) < _MOST_SNAPSHOTS:
        node, parent = todo.pop()
        snapshot = _snapshot(node, parent)
        found.append(snapshot)
        todo.extend((child, snapshot.id) for child in reversed(node.findall(NS + "childSnapshotList")))
    return SnapshotTree(child_text(element, "currentSnapshot"), tuple(found))


def _snapshot(node: ET.Element, parent: ObjectId | None) -> Snapshot:
    return Snapshot(
        id=ObjectId(child_text(node, "snapshot")),
        name=shown_snapshot_name(child_text(node, "name")),
        description=child_text(node, "description"),
        created=read_child(node, "createTime", moment),
        parent_id=parent,
        # the state in which it was taken; without memory it is recorded as powered off
        with_memory=child_text(node, "state") in ("poweredOn", "suspended"),
        quiesced=read_child(node, "quiesced", flag),
    )


def question(element: ET.Element) -> str:
    """``runtime.question``: what the host wants to know before the VM goes on."""
    return child_text(element, "text") or child_text(element, "id")


Readers = Mapping[str, Mapping[str, Reader]]
"""Kind → property path → reader."""

_NETWORK: Mapping[str, Reader] = {
    "name": text, "host": references, "tag": tag_keys, "summary": opaque_network
}  # fmt: skip
READERS: Readers = {
    "VirtualMachine": {
        "name": text,
        "parent": word,
        "resourcePool": word,
        "runtime.powerState": word,
        "runtime.connectionState": word,
        "runtime.host": word,
        "runtime.bootTime": moment,
        "runtime.question": question,
        "config.template": flag,
        "config.uuid": text,
        "config.annotation": text,
        "config.guestFullName": word,
        "config.changeVersion": text,
        "config.hardware.numCPU": number,
        "config.hardware.memoryMB": number,
        "guest.toolsRunningStatus": word,
        "guest.toolsVersionStatus2": word,
        "guest.toolsVersion": word,
        "guest.guestFullName": word,
        "guest.ipAddress": text,
        "guest.net": guest_nics,
        "snapshot": snapshot_tree,
        "disabledMethod": words,
    },
    "HostSystem": {
        "name": text,
        "parent": word,
        "summary.hardware.uuid": text,
        "summary.hardware.vendor": text,
        "summary.hardware.model": text,
        "summary.hardware.cpuModel": text,
        "summary.hardware.numCpuPkgs": number,
        "summary.hardware.numCpuCores": number,
        "summary.hardware.numCpuThreads": number,
        "summary.hardware.memorySize": number,
        "summary.quickStats.overallMemoryUsage": number,
        "summary.config.product.fullName": text,
        "summary.config.product.name": text,
        "summary.config.product.version": text,
        "runtime.connectionState": word,
        "runtime.powerState": word,
        "runtime.inMaintenanceMode": flag,
        "runtime.bootTime": moment,
        "disabledMethod": words,
    },
    "Datacenter": {"name": text, "parent": word},
    "Folder": {"name": text, "parent": word, "childType": words},
    "ComputeResource": {"name": text, "parent": word, "resourcePool": word},
    "ClusterComputeResource": {"name": text, "parent": word, "resourcePool": word},
    "ResourcePool": {"name": text, "parent": word, "owner": word},
    "VirtualApp": {"name": text, "parent": word, "owner": word},
    "Network": _NETWORK,
    "DistributedVirtualPortgroup": _NETWORK,
    "OpaqueNetwork": _NETWORK,
    "Datastore": {
        "name": text,
        "summary.type": word,
        "summary.url": text,
        "summary.capacity": number,
        "summary.freeSpace": number,
        "summary.multipleHostAccess": flag,
        "host": mounting_hosts,
    },
    "Task": {"info.entity": word, "info.state": word, "info.descriptionId": word},
}
"""Everything that the inventory is made of. The collector asks for exactly these."""


# ---- answers of the collector ------------------------------------------------------------------------------


def read_page(body: bytes, readers: Readers = READERS) -> Page:
    """An answer of RetrievePropertiesEx, ContinueRetrievePropertiesEx or WaitForUpdatesEx.

    Raises ``BadReply``.
    """
    page = Page()
    try:
        if len(body) <= _AT_ONCE_BYTES:
            _read_whole(page, ET.fromstring(body), readers)
        else:
            _read_piecemeal(page, body, readers)
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise BadReply("The server's answer can't be read.", str(exc)[:200]) from exc
    return page


def _read_whole(page: Page, root: ET.Element, readers: Readers) -> None:
    for answer in root.iter(NS + "returnval"):
        _take_head(page, answer)
        for element in answer.findall(NS + "objects"):
            _take(page, "enter", element, "propSet", readers)
        for element in answer.findall(f"{NS}filterSet/{NS}objectSet"):
            _take(page, child_text(element, "kind"), element, "changeSet", readers)


def _read_piecemeal(page: Page, body: bytes, readers: Readers) -> None:
    held = 0
    for element in _ended(body):
        tag = element.tag
        held += 1
        if tag == NS + "objects":
            _take(page, "enter", element, "propSet", readers)
            element.clear()
            held = 0
        elif tag == NS + "objectSet":
            _take(page, child_text(element, "kind"), element, "changeSet", readers)
            element.clear()
            held = 0
        elif held > OBJECT_ELEMENTS:
            raise BadReply("The server's answer has too many elements in one object.")
        elif tag == NS + "returnval":
            _take_head(page, element)


def _take_head(page: Page, answer: ET.Element) -> None:
    page.token = child_text(answer, "token")
    page.version = child_text(answer, "version")
    page.truncated = child_text(answer, "truncated") in ("true", "1")


def _ended(body: bytes) -> Iterator[ET.Element]:
    parser: Any = ET.XMLPullParser(("end",))
    view = memoryview(body)
    for begin in range(0, len(body), _FEED_BYTES):
        parser.feed(bytes(view[begin : begin + _FEED_BYTES]))
        yield from _elements(parser)
    parser.close()
    yield from _elements(parser)


def _elements(parser: Any) -> Iterator[ET.Element]:
    for _event, element in parser.read_events():
        yield element


def _take(page: Page, op: str, element: ET.Element, sets: str, readers: Readers) -> None:
    reference = element.find(NS + "obj")
    if reference is None or not reference.text:
        raise BadReply("The server's answer names no object.")
    kind = reference.get("type") or ""
    known = readers.get(kind)
    if known is None:
        return
    values: dict[str, Value] = {}
    for change in element.findall(NS + sets):
        path = child_text(change, "name")
        reader = known.get(path)
        if reader is None:
            continue
        value = change.find(NS + "val")
        values[path] = None if value is None else reader(value)
    page.updates.append(Update(op, kind, sys.intern(reference.text), values))


def shared(value: Mapping[str, Value]) -> dict[str, Value]:
    """A record's values as they are kept: without those that are unset."""
    return {path: one for path, one in value.items() if one is not None}
