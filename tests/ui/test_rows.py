"""What stands where in the tree, and how little happens for a small change. No screen needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvconsole.model import Inventory, Pool, PoolKind, PowerState, ServerId
from hvconsole.ui.filters import Filter
from hvconsole.ui.interfaces import Item, ItemKind
from hvconsole.ui.rows import Forest, Grouping, natural_key
from tests.ui.stage import SERVER, item, oid, sample_inventory, snapshot, vm

ROOT = Item(ItemKind.SERVER, SERVER)


def forest_of(inventory: Inventory) -> Forest:
    forest = Forest()
    forest.set_servers([SERVER])
    forest.update(SERVER, inventory)
    return forest


def names_under(forest: Forest, parent: Item | None) -> list[str]:
    found = []
    for child in forest.children(parent):
        shown = forest.nodes[child].found
        found.append(shown.name if shown is not None else "server")
    return found


def changed(inventory: Inventory, *vms: object) -> Inventory:
    return replace(inventory, vms={**inventory.vms, **{v.id: v for v in vms}})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("first", "second"),
    [("vm2", "vm10"), ("VM2", "vm10"), ("a", "b1"), ("web", "web-1"), ("", "a"), ("9" * 4000, "9" * 4001 + "a")],
)
def test_names_sort_as_people_count(first: str, second: str) -> None:
    assert natural_key(first) <= natural_key(second)


def test_hosts_hold_their_machines_in_natural_order() -> None:
    forest = forest_of(sample_inventory())
    assert names_under(forest, ROOT) == ["xs-node-01", "xs-node-02", "xs-node-03"]
    first = names_under(forest, item(ItemKind.HOST, "h1"))
    assert first == ["db-primary", "web-frontend-01", "web-frontend-02", "web-frontend-10"]
    assert "Debian 12 template" not in first


def test_snapshots_stand_below_their_machine_oldest_first() -> None:
    forest = forest_of(sample_inventory())
    assert names_under(forest, item(ItemKind.VM, "v1")) == [
        "base-install",
        "try-nginx",
        "before-upgrade",
        "Network_Down 2026-11-21T23:10:00Z",
    ]


def test_a_machine_without_a_home_stands_under_its_server() -> None:
    inventory = changed(sample_inventory(), vm("v5", "legacy-erp", PowerState.HALTED, home_id=None))
    forest = forest_of(inventory)
    assert names_under(forest, ROOT)[-1] == "legacy-erp"


def test_one_changed_machine_touches_one_row() -> None:
    inventory = sample_inventory()
    forest = forest_of(inventory)
    old = inventory.vms[oid("v1")]
    delta = forest.update(SERVER, changed(inventory, replace(old, power=PowerState.HALTED)))
    assert (delta.added, delta.removed, delta.moved) == ([], [], [])
    assert delta.changed == [item(ItemKind.VM, "v1")]


def test_a_hosts_free_memory_does_not_touch_its_machines() -> None:
    inventory = sample_inventory()
    forest = forest_of(inventory)
    host = replace(inventory.hosts[oid("h1")], memory_free_bytes=1)
    delta = forest.update(SERVER, replace(inventory, hosts={**inventory.hosts, host.id: host}))
    assert delta.changed == [item(ItemKind.HOST, "h1")]


def test_renaming_moves_a_row_among_its_siblings() -> None:
    inventory = sample_inventory()
    forest = forest_of(inventory)
    delta = forest.update(SERVER, changed(inventory, replace(inventory.vms[oid("v1")], name="zz")))
    assert delta.moved == [item(ItemKind.VM, "v1")]
    assert names_under(forest, item(ItemKind.HOST, "h1"))[-1] == "zz"


def test_a_migration_moves_a_row_with_its_snapshots() -> None:
    inventory = sample_inventory()
    forest = forest_of(inventory)
    delta = forest.update(SERVER, changed(inventory, replace(inventory.vms[oid("v1")], home_id=oid("h2"))))
    assert delta.moved == [item(ItemKind.VM, "v1")]
    assert item(ItemKind.VM, "v1") in forest.children(item(ItemKind.HOST, "h2"))
    assert len(forest.children(item(ItemKind.VM, "v1"))) == 4


def test_machines_and_snapshots_that_are_gone_leave_nothing_behind() -> None:
    inventory = sample_inventory()
    forest = forest_of(inventory)
    rest = {key: value for key, value in inventory.vms.items() if key != oid("v1")}
    delta = forest.update(SERVER, replace(inventory, vms=rest))
    assert delta.removed == [item(ItemKind.VM, "v1")]
    assert not [i for i in forest.nodes if i.vm_id == "v1" or i.id == "v1"]
    fewer = replace(inventory.vms[oid("v3")], snapshots=())
    delta = forest.update(SERVER, changed(replace(inventory, vms=rest), fewer))
    assert [i.kind for i in delta.removed] == [ItemKind.SNAPSHOT]


def test_a_lost_host_leaves_its_machines_to_the_server() -> None:
    inventory = sample_inventory()
    forest = forest_of(inventory)
    hosts = {key: value for key, value in inventory.hosts.items() if key != oid("h2")}
    forest.update(SERVER, replace(inventory, hosts=hosts))
    assert "mail-gw" in names_under(forest, ROOT)
    assert item(ItemKind.HOST, "h2") not in forest.nodes


def vsphere_inventory() -> Inventory:
    inventory = sample_inventory()
    pools = {
        oid(key): Pool(id=oid(key), uuid=key, name=name, kind=kind, parent_id=oid(parent) if parent else None)
        for key, name, kind, parent in (
            ("dc", "Datacenter", PoolKind.DATACENTER, ""),
            ("cl", "Cluster", PoolKind.CLUSTER, "dc"),
            ("f1", "Web", PoolKind.FOLDER, "dc"),
            ("f2", "Old", PoolKind.FOLDER, "f1"),
            ("rp", "Gold", PoolKind.RESOURCE_POOL, "cl"),
        )
    }
    hosts = {key: replace(host, pool_id=oid("cl")) for key, host in inventory.hosts.items()}
    vms = {
        key: replace(found, pool_id=oid("cl"), folder_id=oid("f2"), resource_pool_id=oid("rp"))
        for key, found in inventory.vms.items()
    }
    return replace(inventory, pools=pools, hosts=hosts, vms=vms)


def test_three_groupings_of_a_datacenter() -> None:
    forest = forest_of(vsphere_inventory())
    assert names_under(forest, ROOT) == ["Datacenter"]
    assert names_under(forest, item(ItemKind.POOL, "dc")) == ["Cluster"]
    assert "xs-node-01" in names_under(forest, item(ItemKind.POOL, "cl"))
    forest.regroup(Grouping.FOLDER, templates=False)
    assert names_under(forest, item(ItemKind.POOL, "dc")) == ["Web"]
    assert "web-frontend-01" in names_under(forest, item(ItemKind.POOL, "f2"))
    forest.regroup(Grouping.RESOURCE_POOL, templates=True)
    assert names_under(forest, item(ItemKind.POOL, "cl")) == ["Gold"]
    assert names_under(forest, item(ItemKind.POOL, "rp"))[-1] == "Debian 12 template"
    forest.regroup(Grouping.HOST, templates=False)
    assert names_under(forest, ROOT) == ["Datacenter"]
    assert item(ItemKind.POOL, "f1") not in forest.nodes


def test_containers_that_contain_each_other_are_cut_open() -> None:
    inventory = vsphere_inventory()
    pools = {**inventory.pools, oid("dc"): replace(inventory.pools[oid("dc")], parent_id=oid("cl"))}
    forest = forest_of(replace(inventory, pools=pools))
    reached: set[Item] = set()
    todo = forest.children(None)
    while todo:
        found = todo.pop()
        assert found not in reached
        reached.add(found)
        todo += forest.children(found)
    assert reached == set(forest.nodes), "every row can be reached from the top"


def test_a_search_keeps_what_leads_to_a_hit_and_what_is_below() -> None:
    forest = forest_of(sample_inventory())
    shown = forest.visible(Filter("web-frontend-01"))
    assert shown is not None
    assert item(ItemKind.HOST, "h1") in shown
    assert ROOT in shown
    assert item(ItemKind.SNAPSHOT, "s-a", "v1") in shown
    assert item(ItemKind.VM, "v2") not in shown
    assert item(ItemKind.HOST, "h2") not in shown


def test_searching_for_a_host_shows_all_of_it() -> None:
    forest = forest_of(sample_inventory())
    shown = forest.visible(Filter("xs-node-02"))
    assert shown is not None
    assert item(ItemKind.VM, "v6") in shown
    assert item(ItemKind.VM, "v1") not in shown
    assert forest.visible(Filter()) is None


def test_servers_come_and_go_in_the_given_order() -> None:
    forest = Forest()
    other = ServerId("s2")
    forest.set_servers([SERVER, other])
    forest.update(SERVER, sample_inventory())
    forest.update(other, sample_inventory())
    assert [i.server_id for i in forest.children(None)] == [SERVER, other]
    forest.set_servers([other])
    assert {i.server_id for i in forest.nodes} == {other}


def test_an_unchanged_inventory_changes_nothing() -> None:
    inventory = sample_inventory()
    forest = forest_of(inventory)
    assert not forest.update(SERVER, inventory)
    same = replace(inventory.vms[oid("v3")], snapshots=(snapshot("s-n", "nightly 2026-11-22", 1),))
    assert not forest.update(SERVER, changed(inventory, same))


@pytest.mark.parametrize("grouping", list(Grouping))
def test_a_shaft_of_thousands_of_containers_is_no_way_down(grouping: Grouping) -> None:
    deep = 5000
    pools = {
        oid(f"d{n}"): Pool(
            id=oid(f"d{n}"), uuid=f"d{n}", name=f"d{n}", kind=PoolKind.FOLDER, parent_id=oid(f"d{n + 1}")
        )
        for n in range(deep)
    }
    base = sample_inventory()
    inside = {v.id: replace(v, pool_id=oid("d0"), home_id=None, host_id=None) for v in base.vms.values()}
    forest = Forest()
    forest.set_servers([SERVER])
    forest.regroup(grouping, True)
    forest.update(SERVER, replace(base, pools=pools, vms=inside))
    assert len(forest.vms_below(ROOT)) == len(inside)
    assert forest.visible(Filter(text="web"))
    forest.update(SERVER, base)
    forest.update(SERVER, None)
    assert forest.vm_count() == 0
