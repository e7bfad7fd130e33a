"""Events in, inventories out: only what changed is made anew, and no order of events can break it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvconsole.backends.xen_cache import Cache
from hvconsole.model import Inventory, ObjectId, PowerState, ServerInfo, ToolsState, Verb, Vm

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SERVER = ServerInfo(platform="xenserver", product="XCP-ng", version="8.3", address="h", port=443, user="root")


def vm(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "uuid": f"u-{name}",
        "name_label": name,
        "power_state": "Running",
        "metrics": f"m-{name}",
        "guest_metrics": f"g-{name}",
        "resident_on": "host1",
        "allowed_operations": ["snapshot"],
        **fields,
    }


def snapshot(name: str, of: str, **fields: Any) -> dict[str, Any]:
    return vm(name, is_a_snapshot=True, is_a_template=True, snapshot_of=of, power_state="Halted", **fields)


class Pool:
    """A cache with a small pool in it."""

    def __init__(self) -> None:
        self.cache = Cache(SERVER)
        tables = self.cache.tables
        with tables.filling():
            tables.replace_class("pool", {"pool1": {"uuid": "u-pool", "name_label": "", "master": "host1"}})
            tables.replace_class("host", {"host1": {"uuid": "u-host", "name_label": "alpha", "enabled": True}})
            tables.replace_class("VM", {"vm1": vm("one"), "vm2": vm("two"), "s1": snapshot("snap", "vm1")})
            tables.replace_class("VM_metrics", {"m-one": {"start_time": "20261101T00:00:00Z"}})
            tables.replace_class(
                "VM_guest_metrics",
                {"g-one": {"networks": {"0/ip": "10.0.0.1"}, "PV_drivers_version": {"major": "8", "minor": "1"}}},
            )
            tables.replace_class("VIF", {"vif1": {"uuid": "u-vif", "VM": "vm1", "device": "0", "network": "net1"}})
            tables.replace_class("network", {"net1": {"uuid": "u-net", "name_label": "LAN"}})
            tables.replace_class("SR", {"sr1": {"uuid": "u-sr", "name_label": "NFS"}})
            tables.replace_class("VDI", {"vdi1": {"uuid": "u-vdi", "name_label": "root", "SR": "sr1"}})
            tables.replace_class("VBD", {"vbd1": {"uuid": "u-vbd", "VM": "vm1", "VDI": "vdi1", "type": "Disk"}})
        first = self.cache.inventory(NOW)
        assert first is not None
        self.inventory: Inventory = first

    def event(self, class_name: str, operation: str, ref: str, record: dict[str, Any] | None = None) -> None:
        self.cache.tables.apply({"class": class_name.lower(), "operation": operation, "ref": ref, "snapshot": record})

    def next(self, now: dt.datetime = NOW) -> Inventory | None:
        after = self.cache.inventory(now)
        self.inventory = after or self.inventory
        return after

    def vm(self, name: str) -> Vm:
        return self.inventory.vms[ObjectId(f"u-{name}")]


@pytest.fixture
def pool() -> Pool:
    return Pool()


def test_first_inventory(pool: Pool) -> None:
    one = pool.vm("one")
    assert one.addresses == ("10.0.0.1",)
    assert one.nics[0].network == "LAN"
    assert one.disks[0].storage == "NFS"
    assert one.tools is ToolsState.RUNNING
    assert [s.name for s in one.snapshots] == ["snap"]
    assert one.host_id == "u-host"
    assert set(pool.inventory.vms) == {"u-one", "u-two"}
    assert next(iter(pool.inventory.pools.values())).name == "alpha"


def test_only_the_changed_vm_is_new(pool: Pool) -> None:
    before = pool.inventory
    pool.event("VM", "mod", "vm1", vm("one", name_label="renamed"))
    after = pool.next()
    assert after is not None
    assert after.vms[ObjectId("u-one")].name == "renamed"
    assert after.vms[ObjectId("u-two")] is before.vms[ObjectId("u-two")]
    assert after.hosts is before.hosts
    assert after.networks is before.networks


def test_an_event_that_changes_nothing_shown_is_no_news(pool: Pool) -> None:
    pool.event("VM", "mod", "vm1", vm("one", xenstore_data={"a": "b"}))
    pool.event("host", "mod", "host1", {"uuid": "u-host", "name_label": "alpha", "enabled": True, "logging": {}})
    assert pool.next() is None


@pytest.mark.parametrize(
    ("class_name", "ref", "record"),
    [
        ("VM_metrics", "m-one", {"start_time": "20261102T00:00:00Z"}),
        ("VM_guest_metrics", "g-one", {"networks": {"0/ip": "10.0.0.9"}}),
        ("VIF", "vif1", {"uuid": "u-vif", "VM": "vm1", "device": "0", "network": "net1", "MAC": "aa"}),
        ("VBD", "vbd1", {"uuid": "u-vbd", "VM": "vm1", "VDI": "vdi1", "type": "Disk", "mode": "RO"}),
        ("VDI", "vdi1", {"uuid": "u-vdi", "name_label": "other", "SR": "sr1"}),
        ("SR", "sr1", {"uuid": "u-sr", "name_label": "renamed"}),
        ("network", "net1", {"uuid": "u-net", "name_label": "renamed"}),
        ("VM", "s1", snapshot("snap", "vm1", name_label="renamed")),
    ],
)
def test_parts_rebuild_their_vm_and_no_other(pool: Pool, class_name: str, ref: str, record: dict[str, Any]) -> None:
    one, two = pool.vm("one"), pool.vm("two")
    pool.event(class_name, "mod", ref, record)
    assert pool.next() is not None
    assert pool.vm("one") != one
    assert pool.vm("two") is two


@pytest.mark.parametrize(("class_name", "ref"), [("VIF", "vif1"), ("VBD", "vbd1"), ("VDI", "vdi1"), ("VM", "s1")])
def test_parts_that_go(pool: Pool, class_name: str, ref: str) -> None:
    one = pool.vm("one")
    pool.event(class_name, "del", ref)
    assert pool.next() is not None
    assert pool.vm("one") != one


def test_vm_that_goes(pool: Pool) -> None:
    pool.event("VM", "del", "vm1")
    after = pool.next()
    assert after is not None
    assert set(after.vms) == {"u-two"}
    pool.event("VM", "del", "s1")
    pool.event("VBD", "del", "vbd1")
    pool.event("VM", "del", "unknown")
    assert pool.next() is None


def test_parts_that_come_before_their_vm(pool: Pool) -> None:
    pool.event("VIF", "add", "vif3", {"uuid": "u3", "VM": "vm3", "device": "0", "network": "net1"})
    pool.event("VM", "add", "s3", snapshot("early", "vm3"))
    pool.next()
    pool.event("VM", "add", "vm3", vm("three"))
    pool.next()
    assert [s.name for s in pool.vm("three").snapshots] == ["early"]
    assert pool.vm("three").nics[0].network == "LAN"


def test_tools_are_unknown_for_two_minutes_after_a_start(pool: Pool) -> None:
    started = NOW.strftime("%Y%m%dT%H:%M:%SZ")
    pool.event("VM_metrics", "add", "m-two", {"start_time": started})
    pool.next()
    assert pool.vm("two").tools is ToolsState.UNKNOWN
    assert pool.next(NOW + dt.timedelta(seconds=119)) is None
    assert pool.next(NOW + dt.timedelta(seconds=121)) is not None
    assert pool.vm("two").tools is ToolsState.MISSING


@pytest.mark.parametrize("ahead_s", [-30, 0, 90])
def test_tools_of_a_vm_that_just_started_though_the_clocks_differ(pool: Pool, ahead_s: int) -> None:
    """The server's clock says when it started; a minute's difference to ours is common."""
    started = NOW + dt.timedelta(seconds=ahead_s)
    pool.event("VM_metrics", "mod", "m-two", {"start_time": started.strftime("%Y%m%dT%H:%M:%SZ")})
    pool.next()
    assert pool.vm("two").tools is ToolsState.UNKNOWN
    pool.next(NOW + dt.timedelta(minutes=4))
    assert pool.vm("two").tools is ToolsState.MISSING


def test_a_vm_shows_up_when_its_import_is_done(pool: Pool) -> None:
    pool.event("VM", "add", "vm3", vm("half", power_state="Halted", current_operations={"t1": "import"}))
    assert pool.next() is None
    pool.event("VM", "mod", "vm3", vm("half", power_state="Halted", current_operations={}))
    assert pool.next() is not None
    assert pool.vm("half").power is PowerState.HALTED


def test_addresses_of_a_vm_that_is_off_are_not_shown(pool: Pool) -> None:
    pool.event("VM", "mod", "vm1", vm("one", power_state="Halted", resident_on="OpaqueRef:NULL"))
    pool.next()
    one = pool.vm("one")
    assert (one.power, one.addresses, one.host_id) == (PowerState.HALTED, (), None)
    assert one.tools is ToolsState.INSTALLED


def test_snapshots_that_are_their_own_ancestors_become_a_forest(pool: Pool) -> None:
    pool.event("VM", "mod", "s1", snapshot("snap", "vm1", parent="s2"))
    pool.event("VM", "add", "s2", snapshot("b", "vm1", parent="s3"))
    pool.event("VM", "add", "s3", snapshot("c", "vm1", parent="s1"))
    pool.event("VM", "add", "s4", snapshot("d", "vm1", parent="s4"))
    pool.event("VM", "add", "s5", snapshot("e", "vm1", parent="vm2"))
    pool.event("VM", "add", "s6", snapshot("f", "s6"))
    pool.next()
    one = pool.vm("one")
    parents = {s.id: s.parent_id for s in one.snapshots}
    assert len(parents) == 5
    for start in parents:
        seen = set()
        at: ObjectId | None = start
        while at is not None:
            assert at not in seen
            seen.add(at)
            at = parents[at]


def test_shared_disk_names_the_other_vm(pool: Pool) -> None:
    pool.event("VBD", "add", "vbd2", {"uuid": "u-vbd2", "VM": "vm2", "VDI": "vdi1", "type": "Disk"})
    pool.next()
    assert pool.vm("one").disks[0].shared_with == ("two",)
    pool.event("VM", "mod", "vm2", vm("two", name_label="renamed"))
    pool.next()
    assert pool.vm("one").disks[0].shared_with == ("renamed",)


def test_missed_deletions_are_noticed(pool: Pool) -> None:
    assert pool.cache.mismatched({"vm": 3, "vif": 1, "task": 9, "host": "1"}) == []
    assert pool.cache.mismatched({"vm": 2, "vif": "7"}) == [("vm", 2), ("vif", 7)]
    before = pool.vm("two")
    pool.cache.tables.replace_class("VM", {"vm2": vm("two")})
    after = pool.next()
    assert after is not None
    assert set(after.vms) == {"u-two"}
    assert after.vms[ObjectId("u-two")] is before


def test_refusals_are_shared(pool: Pool) -> None:
    pool.event("VM", "add", "vm3", vm("three"))
    pool.event("VM", "add", "vm4", vm("four"))
    pool.next()
    assert pool.vm("three").refusals is pool.vm("four").refusals
    assert Verb.SNAPSHOT not in pool.vm("three").refusals


EVENTS = st.tuples(
    st.sampled_from(["VM", "VM_metrics", "VM_guest_metrics", "VIF", "VBD", "VDI", "SR", "network", "host", "pool"]),
    st.sampled_from(["add", "mod", "del", "future"]),
    st.sampled_from(["vm1", "vm2", "s1", "m-one", "g-one", "vif1", "vbd1", "vdi1", "sr1", "net1", "host1", "pool1"]),
    st.fixed_dictionaries(
        {},
        optional={
            "uuid": st.sampled_from(["", "u-one", "x", 7]),
            "name_label": st.text(max_size=3),
            "VM": st.sampled_from(["vm1", "vm2", "s1", "gone", "", None]),
            "VDI": st.sampled_from(["vdi1", "gone", "OpaqueRef:NULL"]),
            "SR": st.sampled_from(["sr1", "gone"]),
            "network": st.sampled_from(["net1", "gone"]),
            "is_a_snapshot": st.booleans(),
            "snapshot_of": st.sampled_from(["vm1", "vm2", "s1", "gone"]),
            "parent": st.sampled_from(["vm1", "s1", "gone"]),
            "metrics": st.sampled_from(["m-one", "gone"]),
            "guest_metrics": st.sampled_from(["g-one", "gone"]),
            "resident_on": st.sampled_from(["host1", "gone"]),
            "power_state": st.sampled_from(["Running", "Halted", "?"]),
            "master": st.sampled_from(["host1", "vm1"]),
        },
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=30))
def test_any_order_of_events_ends_where_a_fresh_read_ends(events: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    pool = Pool()
    for class_name, operation, ref, record in events:
        if ref != "vm1":  # metrics belong to one VM
            record = {key: value for key, value in record.items() if key not in ("metrics", "guest_metrics")}
        pool.event(class_name, operation, ref, record)
        pool.next()
    rows = pool.cache.tables
    fresh = Cache(SERVER)
    for name in ("pool", "host", "vm", "vm_metrics", "guest", "vif", "vbd", "vdi", "sr", "network", "pif", "pbd"):
        source, copy = getattr(rows, name), getattr(fresh.tables, name)
        class_name = next(key for key, value in rows._by_class.items() if value is source)
        for ref, row in source.items():
            fresh.tables._put(class_name, ref, row)
        assert copy == source
    expected = fresh.inventory(NOW)
    assert expected is not None
    uuids = [row.uuid for row in rows.vm.values()]
    if len(set(uuids)) == len(uuids):
        assert dict(pool.inventory.vms) == dict(expected.vms)
    assert dict(pool.inventory.networks) == dict(expected.networks)
