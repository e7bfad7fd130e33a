"""Sorting a server's measurements into charts: CPU, memory, network, disk. Pure; any thread.

Backends name their series freely; only a few parts of the names mean something here. What fits nowhere gets a chart of
its own unit, so that nothing a server measures is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hvconsole.model import Metrics, Series
from hvconsole.text import safe_text

MOST_LINES = 8
"""Lines in one chart; more are summed up."""
FEW_CPUS = 4
"""Up to so many CPUs each get a line of their own."""
_TOTAL = ("total", "limit", "size")


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: lines of one unit. ``top`` is the upper end of the axis, or None to let the values decide."""

    title: str
    unit: str
    lines: tuple[Series, ...]
    top: float | None = None


def _is_cpu(series: Series) -> bool:
    return series.unit == "fraction" and "cpu" in series.name.lower()


def _is_memory(series: Series) -> bool:
    return series.unit == "bytes" and "mem" in series.name.lower()


def _is_total(series: Series) -> bool:
    return any(word in series.name.lower() for word in _TOTAL)


_NETWORK_WORDS = ("vif", "pif", "net", "nic", "eth", "rx", "tx", "received", "sent")


def _is_network(series: Series) -> bool:
    name = series.name.lower()
    return series.unit == "bytes/s" and any(word in name for word in _NETWORK_WORDS)


def last(series: Series) -> float | None:
    """The newest known value among the last three; older ones are no longer "now"."""
    return next((v for v in reversed(series.values[-3:]) if v is not None), None)


def summed(name: str, found: list[Series], *, mean: bool = False) -> Series:
    """One series out of several of the same length; unknown values are left out, all unknown stays unknown."""
    length = max(len(s.values) for s in found)
    values: list[float | None] = []
    for n in range(length):
        # aligned at the end: the newest samples belong together
        present = [v for s in found if (i := len(s.values) - length + n) >= 0 and (v := s.values[i]) is not None]
        values.append((sum(present) / (len(present) if mean else 1)) if present else None)
    return Series(name=name, unit=found[0].unit, values=tuple(values))


def _overall(cpus: list[Series]) -> Series | None:
    """The series for all CPUs together, where the server has one: the only one without a number."""
    found = [s for s in cpus if not any(c.isdigit() for c in s.name)]
    return found[0] if len(found) == 1 else None


def cpu_fraction(metrics: Metrics) -> float | None:
    """Load of all CPUs together now, 0..1."""
    cpus = [s for s in metrics.series if _is_cpu(s)]
    overall = _overall(cpus)
    loads = [last(s) for s in ([overall] if overall is not None else cpus)]
    known = [v for v in loads if v is not None]
    return min(1.0, max(0.0, sum(known) / len(known))) if known else None


def memory_used(metrics: Metrics, size_bytes: int | None) -> tuple[float | None, float | None]:
    """(used, size) of memory now, in bytes; used is None where it is not measured."""
    memory = [s for s in metrics.series if _is_memory(s)]
    total = next((last(s) for s in memory if _is_total(s)), None) or size_bytes
    free = next((last(s) for s in memory if "free" in s.name.lower()), None)
    plain = next((last(s) for s in memory if not _is_total(s) and "free" not in s.name.lower()), None)
    if free is None:
        return plain, total
    # where the free part is measured, the plain series is what was given to the guest, not what it uses
    given = total or plain
    return (max(0.0, given - free) if given else None), given


def busiest(cpus: list[Series]) -> Series:
    """At every moment the highest of several loads."""
    length = max(len(s.values) for s in cpus)
    columns = zip(*((None,) * (length - len(s.values)) + s.values for s in cpus), strict=True)
    known = ([v for v in column if v is not None] for column in columns)
    return replace(cpus[0], name=f"Busiest of {len(cpus)}", values=tuple(max(c) if c else None for c in known))


def _tidy(series: Series) -> Series:
    return replace(series, name=safe_text(series.name.replace("_", " "), 40))


def _limited(lines: list[Series]) -> tuple[Series, ...]:
    if len(lines) <= MOST_LINES:
        return tuple(_tidy(s) for s in lines)
    shown = lines[: MOST_LINES - 1]
    rest = summed(f"{len(lines) - len(shown)} more", lines[len(shown) :], mean=lines[0].unit == "fraction")
    return (*(_tidy(s) for s in shown), rest)


def charts(metrics: Metrics) -> tuple[Chart, ...]:
    """The charts to draw, in order; empty ones are left out."""
    cpu = [s for s in metrics.series if _is_cpu(s)]
    memory = [s for s in metrics.series if _is_memory(s)]
    network = [s for s in metrics.series if _is_network(s)]
    seen = {id(s) for s in (*cpu, *memory, *network)}
    disk = [s for s in metrics.series if id(s) not in seen and s.unit == "bytes/s"]
    seen |= {id(s) for s in disk}
    rest = [s for s in metrics.series if id(s) not in seen]
    found: list[Chart] = []
    if cpu:
        overall = _overall(cpu)
        single = [s for s in cpu if s is not overall]
        if overall is None and len(cpu) > 1:
            overall = summed("All CPUs", cpu, mean=True)
        # dozens of lines say nothing: the busiest one is what is looked for
        lines = (busiest(single),) if len(single) > FEW_CPUS else tuple(_tidy(s) for s in single)
        found.append(Chart("CPU", "fraction", (*((_tidy(overall),) if overall is not None else ()), *lines), 1.0))
    if memory:
        totals = [last(s) for s in memory if _is_total(s)]
        top = max((t for t in totals if t is not None), default=None)
        lines = tuple(_tidy(s) for s in memory if not (_is_total(s) and top)) or _limited(memory)
        found.append(Chart("Memory", "bytes", lines, top))
    if network:
        found.append(Chart("Network", "bytes/s", _limited(network)))
    if disk:
        found.append(Chart("Disks", "bytes/s", _limited(disk)))
    for unit in dict.fromkeys(s.unit for s in rest):
        same = [s for s in rest if s.unit == unit]
        found.append(Chart("Other", unit, _limited(same)))
    return tuple(found)
