"""/vm_rrd and /host_rrd: the whole archive of one VM or host, as RRDtool's XML or as JSON. Connection threads.

The layout is that of xapi's ``rrd`` library: version 0003, a step of 5 s, one archive per step size with the oldest row
first.
"""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from hvconsole.lab.xapi import refs
from hvconsole.lab.xapi.requests import HttpRefusal, Request
from hvconsole.lab.xapi.rrd import STEPS, Source, as_json_wanted, host_sources, send, vm_sources

_STEP_S = STEPS[0][0]
_HEARTBEAT_S = 300


def of_vm(request: Request) -> None:
    """The archive of the VM ``uuid``; 404 unless it runs on this host."""
    world, wanted = request.pool.world, request.parameters.get("uuid")
    with world.lock:
        sources = next(
            (
                vm_sources(vm)
                for vm in world.vms.values()
                if refs.uuid(vm) == wanted and vm.host_id == request.member.host_id
            ),
            None,
        )
    if sources is None:
        raise HttpRefusal(404)
    _answer(request, sources)


def of_host(request: Request) -> None:
    """The archive of the host that was asked."""
    world = request.pool.world
    with world.lock:
        host = world.hosts[request.member.host_id]
        sources = host_sources(host, sum(vm.memory_bytes for vm in world.vms_on(host.id)))
    _answer(request, sources)


def _answer(request: Request, sources: list[Source]) -> None:
    now = int(request.pool.world.now())
    if as_json_wanted(request):
        send(request, json.dumps(_tree(sources, now)).encode(), "application/json")
    else:
        send(request, _xml(sources, now), "text/xml")


def _name(source: Source) -> str:
    return source.legend.split(":", 3)[3]


def _rows(sources: list[Source], now: int, step: int, kept: int) -> list[list[str]]:
    last = now - now % step
    return [
        [f"{source.value(second):.4f}" for source in sources]
        for second in range(last - step * (kept - 1), last + 1, step)
    ]


def _xml(sources: list[Source], now: int) -> bytes:
    parts = [f"<rrd><version>0003</version><step>{_STEP_S}</step><lastupdate>{now}</lastupdate>"]
    for source in sources:
        value = f"{source.value(now):.4f}"
        parts.append(
            f"<ds><name>{escape(_name(source))}</name><type>GAUGE</type>"
            f"<minimal_heartbeat>{_HEARTBEAT_S}.0000</minimal_heartbeat><min>0.0000</min><max>Infinity</max>"
            f"<last_ds>{value}</last_ds><value>0.0</value><unknown_sec>0</unknown_sec></ds>"
        )
    prepared = (
        "<ds><primary_value>0.0</primary_value><secondary_value>0.0</secondary_value><value>0.0</value>"
        "<unknown_datapoints>0</unknown_datapoints></ds>"
    ) * len(sources)
    for step, kept in STEPS:
        rows = "".join(
            "<row>" + "".join(f"<v>{value}</v>" for value in row) + "</row>" for row in _rows(sources, now, step, kept)
        )
        parts.append(
            f"<rra><cf>AVERAGE</cf><pdp_per_row>{step // _STEP_S}</pdp_per_row><params><xff>0.5000</xff></params>"
            f"<cdp_prep>{prepared}</cdp_prep><database>{rows}</database></rra>"
        )
    return "".join([*parts, "</rrd>"]).encode()


def _tree(sources: list[Source], now: int) -> dict[str, Any]:
    return {
        "version": "0003",
        "step": str(_STEP_S),
        "lastupdate": str(now),
        "ds": [
            {
                "name": _name(source),
                "type": "GAUGE",
                "minimal_heartbeat": f"{_HEARTBEAT_S}.0000",
                "min": "0.0000",
                "max": "Infinity",
                "last_ds": f"{source.value(now):.4f}",
                "value": "0.0",
                "unknown_sec": "0",
            }
            for source in sources
        ],
        "rra": [
            {
                "cf": "AVERAGE",
                "pdp_per_row": str(step // _STEP_S),
                "params": {"xff": "0.5000"},
                "database": _rows(sources, now, step, kept),
            }
            for step, kept in STEPS
        ],
    }
