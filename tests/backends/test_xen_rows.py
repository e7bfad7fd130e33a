"""Records of any age and any intent become rows; none can raise."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvconsole.backends import xen_fields as f
from hvconsole.backends.xen_rows import PARSERS, guest_addresses, guest_row, host_row, sr_row, vm_row
from hvconsole.model import PowerState, VmKind

HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["OpaqueRef:NULL", "Running", "20190113T19:40:34Z", "-1", "9" * 40, "\ud800", "nan", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    "uuid", "name_label", "power_state", "is_a_template", "is_a_snapshot", "is_control_domain", "snapshot_time",
    "current_operations", "allowed_operations", "blocked_operations", "other_config", "tags", "metrics", "networks",
    "guest_metrics", "VCPUs_at_startup", "memory_dynamic_max", "software_version", "cpu_info", "live", "os_version",
    "PV_drivers_version", "PV_drivers_detected", "physical_size", "virtual_size", "VM", "VDI", "SR", "start_time",
    "snapshot_info", "memory_total", "host_CPUs", "other", "device", "currently_attached", "type", "mode",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), HOSTILE))
def test_no_record_raises(record: dict[str, Any]) -> None:
    for parse in PARSERS.values():
        row = parse(record)
        assert row == parse(record)
        hash(row)


def test_an_empty_record_is_a_halted_nothing() -> None:
    row = vm_row({})
    assert (row.uuid, row.kind, row.power, row.allowed) == ("", VmKind.VM, PowerState.UNKNOWN, None)


@pytest.mark.parametrize(
    ("record", "kind", "snapshot"),
    [
        ({}, VmKind.VM, False),
        ({"is_control_domain": True, "is_a_template": True}, VmKind.CONTROL_DOMAIN, False),
        ({"is_a_template": True}, VmKind.TEMPLATE, False),
        ({"is_a_template": True, "is_default_template": True}, VmKind.DEFAULT_TEMPLATE, False),
        ({"is_a_template": True, "other_config": {"default_template": "true"}}, VmKind.DEFAULT_TEMPLATE, False),
        ({"is_a_template": True, "is_a_snapshot": True}, VmKind.TEMPLATE, True),
    ],
)
def test_kinds(record: dict[str, Any], kind: VmKind, snapshot: bool) -> None:
    row = vm_row(record)
    assert (row.kind, row.is_snapshot) == (kind, snapshot)


def test_a_server_that_keeps_no_list_of_operations_says_nothing() -> None:
    assert vm_row({"allowed_operations": []}).allowed is None
    assert vm_row({"allowed_operations": [], "current_operations": {"t": "start"}}).allowed == frozenset()
    assert vm_row({"allowed_operations": ["start"]}).allowed == {"start"}


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("20190113T19:40:34Z", dt.datetime(2019, 1, 13, 19, 40, 34, tzinfo=dt.UTC)),
        ("2019-01-13T19:40:34Z", dt.datetime(2019, 1, 13, 19, 40, 34, tzinfo=dt.UTC)),
        ("20190113T19:40:34", dt.datetime(2019, 1, 13, 19, 40, 34, tzinfo=dt.UTC)),
        ("20190113T19:40:34+01:00", dt.datetime(2019, 1, 13, 18, 40, 34, tzinfo=dt.UTC)),
        ("20190113T19:40:34-0130", dt.datetime(2019, 1, 13, 21, 10, 34, tzinfo=dt.UTC)),
        ("20190113T19:40:34.123Z", dt.datetime(2019, 1, 13, 19, 40, 34, tzinfo=dt.UTC)),
        ("19700101T00:00:00Z", None),
        ("20191399T00:00:00Z", None),
        ("00010101T00:00:00+23:00", None),
        ("1675817747.", None),
        ("", None),
    ],
)
def test_dates(value: str, moment: dt.datetime | None) -> None:
    assert f.parse_date(value) == moment


@pytest.mark.parametrize(
    ("value", "number"), [("2147483648", 2147483648), (7, 7), (7.9, 7), ("x", None), (True, None), ("9" * 30, None)]
)
def test_numbers_come_as_text_or_number(value: object, number: int | None) -> None:
    assert f.number({"n": value}, "n") == number


@pytest.mark.parametrize(
    ("networks", "found"),
    [
        ({"0/ip": "10.0.0.1"}, {"0": ("10.0.0.1",)}),
        ({"0/ip": "10.0.0.1", "0/ipv4/0": "10.0.0.1", "0/ipv4/1": "10.0.0.2"}, {"0": ("10.0.0.1", "10.0.0.2")}),
        ({"1/ip": "10.0.1.1", "0/ip": "10.0.0.1"}, {"0": ("10.0.0.1",), "1": ("10.0.1.1",)}),
        ({"10/ip": "10.0.1.1", "2/ip": "10.0.0.1"}, {"2": ("10.0.0.1",), "10": ("10.0.1.1",)}),
        (
            {"0/ipv6/0": "FE80:0:0:0:0:0:0:1", "0/ipv6/1": "2001:db8::0001", "0/ip": "10.0.0.1"},
            {"0": ("10.0.0.1", "2001:db8::1", "fe80::1")},
        ),
        ({"0/ip": "10.0.0.1 10.0.0.2\n10.0.0.3"}, {"0": ("10.0.0.1", "10.0.0.2", "10.0.0.3")}),
        ({"0/ip": "", "1/ip": "nonsense", "2/ip": "127.0.0.1", "3/ip": "0.0.0.0", "4": "10.0.0.1"}, {}),
        ({"0/mac": "10.0.0.1", "0/ipv4": "10.0.0.9"}, {"0": ("10.0.0.9",)}),
    ],
)
def test_addresses(networks: dict[str, str], found: dict[str, tuple[str, ...]]) -> None:
    assert dict(guest_addresses(networks)) == found
    assert list(dict(guest_addresses(networks))) == list(found)


def test_tools_of_a_linux_guest() -> None:
    row = guest_row({"PV_drivers_version": {"major": "8", "minor": "4", "micro": "-1", "build": "1"}})
    assert (row.version, row.drivers, row.agent) == ("8.4-1", True, True)
    assert not guest_row({"PV_drivers_version": {"major": "8"}}).agent


def test_windows_with_drivers_but_without_agent() -> None:
    record = {
        "os_version": {"distro": "windows", "name": "Windows Server 2022|C:\\Windows|"},
        "PV_drivers_detected": True,
        "PV_drivers_version": {"major": "9", "minor": "1", "micro": "0"},
        "other": {"feature-static-ip-setting": "0"},
    }
    row = guest_row(record)
    assert row.os == "Windows Server 2022"
    assert row.drivers
    assert not row.agent
    assert not guest_row({**record, "networks": {"0/ip": "10.0.0.1"}}).agent
    assert guest_row({**record, "other": {"feature-static-ip-setting": "1"}}).agent
    assert guest_row({**record, "other": {}, "networks": {"0/ip": "10.0.0.1"}}).agent


def test_host_and_storage_facts() -> None:
    host = host_row(
        {
            "cpu_info": {"cpu_count": "64", "socket_count": "2", "modelname": "Intel   Xeon "},
            "other_config": {"boot_time": "1675817747."},
            "software_version": {"product_version": "8.3.0", "product_brand": "XCP-ng"},
        }
    )
    assert (host.cpus, host.sockets, host.cpu_model, host.version) == (64, 2, "Intel Xeon", "8.3.0")
    assert host.started == dt.datetime(2023, 2, 8, 0, 55, 47, tzinfo=dt.UTC)
    assert sr_row({"physical_size": "-1", "physical_utilisation": "5"}).used is None
