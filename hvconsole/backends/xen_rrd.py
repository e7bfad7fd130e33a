"""Round-robin data of xapi → ``Metrics``. Pure; any thread.

The XML form is the one that every version speaks; newer ones may answer JSON whatever was asked, so both are read.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import xml.etree.ElementTree as ET

from hvconsole.backends.xen_json import read_json
from hvconsole.backends.xmlguard import check_xml
from hvconsole.errors import BadReply
from hvconsole.model import Metrics, Series

MAX_ROWS = 1000
MAX_COLUMNS = 20_000
MAX_VALUES = 2_000_000
LONGEST_STEP_S = 366 * 86_400.0
LARGEST = 1e24
"""Values beyond it are noise: no memory, disk or network comes near, and charts could not calculate with them."""
KIB = 1024.0

_RULES: tuple[tuple[re.Pattern[str], str, str, float], ...] = (
    # name at the server, name that we show, unit, factor
    (re.compile(r"cpu_avg|cpu_usage"), "CPU", "fraction", 1.0),
    (re.compile(r"cpu(\d+)"), r"CPU \1", "fraction", 1.0),
    (re.compile(r"memory"), "Memory", "bytes", 1.0),
    (re.compile(r"memory_total_kib"), "Memory", "bytes", KIB),
    (re.compile(r"memory_free_kib"), "Memory free", "bytes", KIB),
    (re.compile(r"memory_internal_free"), "Memory free in the guest", "bytes", KIB),
    (re.compile(r"vif_(\d+)_rx"), r"Network \1 in", "bytes/s", 1.0),
    (re.compile(r"vif_(\d+)_tx"), r"Network \1 out", "bytes/s", 1.0),
    (re.compile(r"vbd_([a-z0-9]+)_read"), r"Disk \1 read", "bytes/s", 1.0),
    (re.compile(r"vbd_([a-z0-9]+)_write"), r"Disk \1 write", "bytes/s", 1.0),
    (re.compile(r"pif_(eth\d+)_rx"), r"Network \1 in", "bytes/s", 1.0),
    (re.compile(r"pif_(eth\d+)_tx"), r"Network \1 out", "bytes/s", 1.0),
)

Table = tuple[list[str], list[tuple[float, list[float]]], float]
"""(legend, rows of (epoch seconds, values), step)."""


def parse_updates(body: bytes, kind: str, uuid: str) -> Metrics:
    """The samples of one object (``kind`` "vm" or "host") out of an ``rrd_updates`` reply.

    Raises ``BadReply``; names that we do not know are left out.
    """
    try:
        legend, rows, step = _from_json(body) if body.lstrip()[:1] == b"{" else _from_xml(body)
        if not 0 < step <= LONGEST_STEP_S:
            raise ValueError(f"a step of {step} s")
        rows.sort(key=lambda row: row[0])
        end = dt.datetime.fromtimestamp(rows[-1][0] if rows else 0, dt.UTC)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, OSError, ET.ParseError) as exc:
        raise BadReply("The server's measurements can't be read.", str(exc)[:200]) from exc
    series = []
    for column, entry in enumerate(legend):
        parts = entry.split(":")
        if len(parts) != 4 or parts[0] != "AVERAGE" or parts[1] != kind or parts[2] != uuid:
            continue
        known = _series(parts[3])
        if known is None:
            continue
        name, unit, factor = known
        series.append(Series(name=name, unit=unit, values=tuple(_value(row, column, factor) for _t, row in rows)))
    series.sort(key=lambda one: one.name)
    return Metrics(step_s=step, end=end, series=tuple(series))


def _series(name: str) -> tuple[str, str, float] | None:
    for pattern, shown, unit, factor in _RULES:
        match = pattern.fullmatch(name)
        if match:
            return match.expand(shown), unit, factor
    return None


def _value(row: list[float], column: int, factor: float) -> float | None:
    # also false for a value that is no number
    return row[column] * factor if column < len(row) and abs(row[column]) < LARGEST else None


def _from_xml(body: bytes) -> Table:
    check_xml(body, MAX_VALUES)
    root = ET.fromstring(body)
    meta = _child(root, "meta")
    legend = [(entry.text or "").strip() for entry in _child(meta, "legend")][:MAX_COLUMNS]
    rows = []
    for row in list(_child(root, "data"))[:MAX_ROWS]:
        time = float(_child(row, "t").text or "nan")
        rows.append((time, [_float(value.text) for value in row.findall("v")]))
    return legend, rows, float(_child(meta, "step").text or 5)


def _child(element: ET.Element, name: str) -> ET.Element:
    found = element.find(name)
    if found is None:
        raise ValueError(f"no {name}")
    return found


_UNQUOTED = re.compile(rb"([{,]\s*)([A-Za-z_]\w*)(\s*:)")


def _from_json(body: bytes) -> Table:
    try:
        answer = read_json(body, MAX_VALUES)
    except ValueError:
        answer = read_json(_UNQUOTED.sub(rb'\1"\2"\3', body), MAX_VALUES)  # before 23.31 the keys had no quotes
    if not isinstance(answer, dict):
        raise ValueError("not an object")
    meta = answer["meta"]
    legend = [str(entry) for entry in meta["legend"]][:MAX_COLUMNS]
    rows = [(float(row["t"]), [_float(value) for value in row["values"]]) for row in answer["data"][:MAX_ROWS]]
    return legend, rows, float(meta["step"])


def _float(value: object) -> float:
    """Numbers come bare, as text, as "NaN", or as null."""
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(str(value))
    except ValueError:
        return math.nan
