"""Measurements in every dialect of xapi, and in none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole.backends.xen_rrd import parse_updates
from hvconsole.errors import BadReply, HvError

LEGEND = ["AVERAGE:vm:u1:cpu0", "AVERAGE:vm:u1:memory", "AVERAGE:vm:u2:cpu0", "AVERAGE:host:u3:memory_free_kib",
          "AVERAGE:vm:u1:vif_0_rx", "MAX:vm:u1:cpu0", "AVERAGE:vm:u1:a_name_of_tomorrow"]  # fmt: skip
ROWS = [(1700000010, [0.5, 1024, 9, 7, 100, 1, 1]), (1700000005, ["NaN", 512, 9, 7, 50, 1, 1])]


def xml() -> bytes:
    entries = "".join(f"<entry>{entry}</entry>" for entry in LEGEND)
    rows = "".join(f"<row><t>{t}</t>{''.join(f'<v>{v}</v>' for v in values)}</row>" for t, values in ROWS)
    return (
        f"<xport><meta><start>1</start><step>5</step><end>2</end><legend>{entries}</legend></meta>"
        f"<data>{rows}</data></xport>"
    ).encode()


def dialects() -> list[bytes]:
    strict = json.dumps(
        {"meta": {"step": 5, "legend": LEGEND}, "data": [{"t": t, "values": values} for t, values in ROWS]}
    )
    bare = strict.replace('"NaN"', "NaN")
    unquoted = bare.replace('"meta"', "meta").replace('"data"', "data").replace('"values"', "values")
    unquoted = unquoted.replace('"t"', "t").replace('"step"', "step").replace('"legend"', "legend")
    return [xml(), strict.encode(), bare.encode(), unquoted.encode()]


@pytest.mark.parametrize("body", dialects(), ids=["xml", "strict", "bare", "unquoted"])
def test_every_dialect(body: bytes) -> None:
    metrics = parse_updates(body, "vm", "u1")
    assert metrics.step_s == 5
    assert metrics.end.timestamp() == 1700000010
    series = {one.name: (one.unit, one.values) for one in metrics.series}
    assert series == {
        "CPU 0": ("fraction", (None, 0.5)),
        "Memory": ("bytes", (512.0, 1024.0)),
        "Network 0 in": ("bytes/s", (50.0, 100.0)),
    }


def test_other_measurements_of_a_disk_are_not_taken_for_its_throughput() -> None:
    names = ["vbd_xvda_read", "vbd_xvda_read_latency", "vbd_xvda_iops_read", "vbd_xvda_io_throughput_read",
             "vbd_xvda_iops_write", "vbd_hdd_write"]  # fmt: skip
    legend = [f"AVERAGE:vm:u1:{name}" for name in names]
    data = [{"t": 1700000010, "values": [1, 2, 3, 4, 5, 6]}]
    body = json.dumps({"meta": {"step": 5, "legend": legend}, "data": data})
    shown = [(one.name, one.values) for one in parse_updates(body.encode(), "vm", "u1").series]
    assert shown == [("Disk hdd write", (6.0,)), ("Disk xvda read", (1.0,))]


def test_host_memory_is_in_bytes() -> None:
    (free,) = parse_updates(xml(), "host", "u3").series
    assert (free.name, free.unit, free.values) == ("Memory free", "bytes", (7168.0, 7168.0))


def test_nobody_measured() -> None:
    assert parse_updates(b"<xport><meta><step>5</step><legend/></meta><data/></xport>", "vm", "u").series == ()


@pytest.mark.parametrize(
    "body",
    [b"", b"junk", b"{}", b"[]", b"<xport/>", b"<!DOCTYPE a><xport/>",
     b'{"meta": {"legend": 1, "step": 5}, "data": []}',
     b'{"meta": {"legend": ["x"], "step": 5}, "data": [{"t": 1e300, "values": []}]}', b"{" * 100_000],
)  # fmt: skip
def test_junk(body: bytes) -> None:
    with pytest.raises(BadReply):
        parse_updates(body, "vm", "u")


@given(st.binary(max_size=60))
def test_noise(noise: bytes) -> None:
    for body in (noise, xml()[:200] + noise, dialects()[1][:60] + noise):
        try:
            parse_updates(body, "vm", "u1")
        except HvError:
            pass


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":' + b"[" * 200_000, id="deep"),
        pytest.param(b'{"meta":[' + b"[]," * 3_000_000 + b"1]}", id="millions of lists"),
        *(pytest.param(xml().replace(b"<step>5", b"<step>" + step), id=f"step {step.decode()}")
          for step in (b"inf", b"nan", b"0", b"-5", b"1e308")),
    ],
)  # fmt: skip
def test_what_no_chart_could_draw_is_refused(body: bytes) -> None:
    with pytest.raises(BadReply):
        parse_updates(body, "vm", "u1")


def test_numbers_beyond_all_measure_are_gaps() -> None:
    body = xml().replace(b"<v>1024</v>", b"<v>1e308</v>")
    assert {one.name: one.values for one in parse_updates(body, "vm", "u1").series}["Memory"] == (512.0, None)
