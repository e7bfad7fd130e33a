"""What the server has measured and recorded: performance samples and its event log. Question threads."""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from hvconsole.backends.vsphere_api import vim
from hvconsole.backends.vsphere_devices import read_one
from hvconsole.backends.vsphere_records import NS, Reader, child_text, moment, number_or, read_child
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_soap import WHOLE
from hvconsole.errors import BadReply
from hvconsole.model import Metrics, ObjectId, Series, ServerEvent

STEP_S = 20
"""The real-time interval of every vSphere server."""
MOST_EVENTS = 500

_WANTED: tuple[tuple[str, str, str, str, float], ...] = (
    # group, name, roll-up, our name and unit, factor
    ("cpu", "usage", "average", "CPU|fraction", 0.0001),
    ("mem", "usage", "average", "Memory|fraction", 0.0001),
    ("disk", "usage", "average", "Disk|bytes/s", 1024.0),
    ("net", "received", "average", "Network in|bytes/s", 1024.0),
    ("net", "transmitted", "average", "Network out|bytes/s", 1024.0),
)


def counters(element: ET.Element) -> Mapping[tuple[str, str, str], int]:
    """``perfCounter``: (group, name, roll-up) → key."""
    found: dict[tuple[str, str, str], int] = {}
    for one in element:
        group, name = one.find(NS + "groupInfo"), one.find(NS + "nameInfo")
        if group is not None and name is not None:
            key = (child_text(group, "key"), child_text(name, "key"), child_text(one, "rollupType"))
            found[key] = number_or(one, "key", -1)
    return found


_COUNTERS: Mapping[str, Mapping[str, Reader]] = {"PerformanceManager": {"perfCounter": counters}}


class Meter:
    """Asks for samples; the server's long list of counters is read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._keys: Mapping[tuple[str, str, str], int] | None = None

    def metrics(self, object_id: ObjectId, seconds: int, now: dt.datetime, *, is_host: bool) -> Metrics:
        """The last ``seconds`` of a VM or host."""
        session = self._session
        manager = session.content.perfManager
        if self._keys is None:
            record = read_one(session, "PerformanceManager", manager._moId, _COUNTERS)
            self._keys = record.get("perfCounter", {})
        wanted = [(self._keys[row[:3]], row) for row in _WANTED if row[:3] in self._keys]
        kind = vim.HostSystem if is_host else vim.VirtualMachine
        spec = vim.PerformanceManager.QuerySpec(
            entity=session.object(kind, object_id),
            intervalId=STEP_S,
            maxSample=max(1, min(180, seconds // STEP_S)),
            metricId=[vim.PerformanceManager.MetricId(counterId=key, instance="") for key, _row in wanted],
            format="normal",
        )
        # inside the call, where numbers and dates that can't be become an error of ours
        return session.read(lambda: _metrics(manager.QueryPerf([spec]), {key: row for key, row in wanted}, now))


def _metrics(answer: Any, wanted: Mapping[int, tuple[str, str, str, str, float]], now: dt.datetime) -> Metrics:
    series: list[Series] = []
    end = now
    for entity in answer or ():
        samples = getattr(entity, "sampleInfo", None) or ()
        if samples:
            end = samples[-1].timestamp.astimezone(dt.UTC)
        for one in getattr(entity, "value", None) or ():
            row = wanted.get(one.id.counterId)
            if row is None or one.id.instance:
                continue
            name, unit = row[3].split("|")
            # negative: the server has no sample for that moment; larger than a long: no number of a server
            values = tuple(_scaled(value, unit, row[4]) if 0 <= value < 1 << 63 else None for value in one.value or ())
            series.append(Series(name=name, unit=unit, values=values))
    order = [row[3].partition("|")[0] for row in _WANTED]
    series.sort(key=lambda one: order.index(one.name))
    return Metrics(step_s=float(STEP_S), end=end, series=tuple(series))


def _scaled(value: int, unit: str, factor: float) -> float:
    # hosts that overcommit report more than everything now and then
    return min(1.0, value * factor) if unit == "fraction" else value * factor


def events(session: Session, since: dt.datetime | None) -> tuple[ServerEvent, ...]:
    """The newest events, newest first. Works on ESXi too, where the direct query doesn't."""
    manager = session.content.eventManager
    spec = vim.event.EventFilterSpec()
    if since is not None:
        spec.time = vim.event.EventFilterSpec.ByTime(beginTime=since)
    collector = session.read(lambda: manager.CreateCollectorForEvents(spec))
    try:
        session.read(collector.ResetCollector)
        # Event types are many and grow with every version, so they are read as text, not as objects.
        body = session.read(lambda: session.raw(session.stub, collector, "ReadPrev", [MOST_EVENTS], WHOLE))
    finally:
        session.read(collector.DestroyCollector)
    try:
        root = ET.fromstring(body)
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise BadReply("The server's answer can't be read.", str(exc)[:200]) from exc
    found = [_event(one) for one in root.iter(NS + "returnval")]
    listed = [event for event in found if event is not None and (since is None or event.when >= since)]
    return tuple(sorted(listed, key=lambda event: event.when, reverse=True)[:MOST_EVENTS])


def _event(element: ET.Element) -> ServerEvent | None:
    when = read_child(element, "createdTime", moment)
    if when is None:
        return None
    kind = (element.get("{http://www.w3.org/2001/XMLSchema-instance}type") or "Event").rpartition(":")[2]
    subject = ""
    for name in ("vm", "host", "computeResource", "datacenter"):
        entity = element.find(NS + name)
        subject = child_text(entity, "name") if entity is not None else ""
        if subject:
            break
    return ServerEvent(when=when, name=kind, text=child_text(element, "fullFormattedMessage") or kind, subject=subject)
