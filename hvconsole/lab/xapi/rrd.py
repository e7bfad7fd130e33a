"""/rrd_updates: made-up but steady statistics of a host and its guests, as JSON or XML. Connection threads."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass

from hvconsole.lab.objects import Host, Vm
from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.requests import HttpRefusal, Request

STEPS = ((5, 120), (60, 120), (3_600, 168), (86_400, 366))
"""(seconds, rows kept), finest first."""


@dataclass(frozen=True, slots=True)
class Source:
    """One column: values swing around ``middle`` by ``swing`` (a fraction of it)."""

    legend: str
    middle: float
    swing: float

    def value(self, second: int) -> float:
        """The value at a time; the same whenever it is asked for."""
        seed = int.from_bytes(hashlib.blake2b(self.legend.encode(), digest_size=4).digest(), "big")
        slow = math.sin(second / 613 + seed % 997)
        fast = math.sin(second / 17.3 + seed % 389) * 0.4
        return max(0.0, self.middle * (1 + self.swing * (slow + fast) / 1.4))


def updates(request: Request) -> None:
    """Rows since ``start`` for the host asked and the VMs that run on it."""
    parameters = request.parameters
    now = int(request.pool.world.now())
    start = _number(parameters.get("start", "0"))
    if start < 0:
        start += now
    interval = max(1, _number(parameters.get("interval", "5")))
    step, kept = next(
        ((size, rows) for size, rows in STEPS if size >= interval and now - start <= size * rows), STEPS[-1]
    )
    first = max(start, now - step * kept)
    times = list(range(now - now % step, first, -step))[:kept]
    sources = _sources(request)
    rows = [(second, [source.value(second) for source in sources]) for second in times]
    legend = [source.legend for source in sources]
    if as_json_wanted(request):
        send(request, _json(times, step, legend, rows), "application/json")
    else:
        send(request, _xml(times, step, legend, rows), "text/xml")


def as_json_wanted(request: Request) -> bool:
    """Whether the answer is to be JSON, not XML."""
    accept = request.conversation.headers.get("Accept", "")
    return request.parameters.get("json") == "true" or ("json" in accept and "xml" not in accept)


def _number(text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise HttpRefusal(400) from None


def _sources(request: Request) -> list[Source]:
    world, wanted = request.pool.world, request.parameters.get("vm_uuid")
    with world.lock:
        host = world.hosts[request.member.host_id]
        found: list[Source] = []
        if request.parameters.get("host") == "true":
            found += host_sources(host, sum(vm.memory_bytes for vm in world.vms_on(host.id)))
        for vm in world.vms.values():
            if vm.host_id == host.id and wanted in (None, refs.uuid(vm)):
                found += vm_sources(vm)
        consolidation = request.parameters.get("cf")
        if consolidation not in (None, "AVERAGE"):
            return []
        return found


def host_sources(host: Host, used: int) -> list[Source]:
    """Columns of a host with ``used`` bytes of memory taken. The world's lock is held."""
    prefix = f"AVERAGE:host:{refs.uuid(host)}:"
    found = [Source(f"{prefix}cpu{number}", 0.18, 0.8) for number in range(min(host.cpus, 8))]
    found += [
        Source(f"{prefix}cpu_avg", 0.18, 0.6),
        Source(f"{prefix}loadavg", 0.9, 0.5),
        Source(f"{prefix}memory_total_kib", host.memory_bytes / 1024, 0.0),
        Source(f"{prefix}memory_free_kib", max(0, host.memory_bytes - used) / 1024, 0.01),
        Source(f"{prefix}xapi_memory_usage_kib", 180_000, 0.05),
    ]
    for nic in host.nics:
        found += [
            Source(f"{prefix}pif_{nic.device}_rx", 2.4e6, 0.9),
            Source(f"{prefix}pif_{nic.device}_tx", 1.8e6, 0.9),
        ]
    return found


def vm_sources(vm: Vm) -> list[Source]:
    """Columns of a VM. The world's lock is held."""
    prefix = f"AVERAGE:vm:{refs.uuid(vm)}:"
    found = [Source(f"{prefix}cpu{number}", 0.12, 0.9) for number in range(vm.vcpus)]
    found += [
        Source(f"{prefix}cpu_usage", 0.12, 0.9),
        Source(f"{prefix}memory", float(vm.memory_bytes), 0.0),
        Source(f"{prefix}memory_target", float(vm.memory_bytes), 0.0),
    ]
    if vm.guest.tools_running:
        found.append(Source(f"{prefix}memory_internal_free", vm.memory_bytes / 1024 * 0.4, 0.3))
    for nic in vm.nics:
        middle = 90_000.0 if nic.plugged else 0.0
        found += [
            Source(f"{prefix}vif_{nic.device}_rx", middle, 0.9),
            Source(f"{prefix}vif_{nic.device}_tx", middle * 0.7, 0.9),
        ]
    for drive in vm.drives:
        if drive.is_cd or not drive.device.isdigit() or int(drive.device) > 25:
            continue
        name = f"vbd_xvd{chr(ord('a') + int(drive.device))}"
        found += [Source(f"{prefix}{name}_read", 40_000, 1.0), Source(f"{prefix}{name}_write", 70_000, 1.0)]
    return found


_Rows = list[tuple[int, list[float]]]


def _json(times: list[int], step: int, legend: list[str], rows: _Rows) -> bytes:
    meta = {
        "start": times[-1] if times else 0,
        "step": step,
        "end": times[0] if times else 0,
        "rows": len(rows),
        "columns": len(legend),
        "legend": legend,
    }
    data = [{"t": second, "values": [f"{value:.5g}" for value in values]} for second, values in rows]
    return json.dumps({"meta": meta, "data": data}).encode()


def _xml(times: list[int], step: int, legend: list[str], rows: _Rows) -> bytes:
    entries = "".join(f"<entry>{entry}</entry>" for entry in legend)
    data = "".join(
        f"<row><t>{second}</t>{''.join(f'<v>{value:.4f}</v>' for value in values)}</row>" for second, values in rows
    )
    return (
        f"<xport><meta><start>{times[-1] if times else 0}</start><step>{step}</step>"
        f"<end>{times[0] if times else 0}</end><rows>{len(rows)}</rows><columns>{len(legend)}</columns>"
        f"<legend>{entries}</legend></meta><data>{data}</data></xport>"
    ).encode()


def send(request: Request, body: bytes, content_type: str) -> None:
    """Answer with ``body`` and end the connection."""
    conversation = request.conversation
    conversation.send_response_only(200, "OK")
    for name, value in (
        ("connection", "close"),
        ("cache-control", "no-cache, no-store"),
        ("content-type", content_type),
        ("content-length", str(len(body))),
    ):
        conversation.send_header(name, value)
    conversation.end_headers()
    conversation.wfile.write(body)
    conversation.wfile.flush()
    conversation.close_connection = True
