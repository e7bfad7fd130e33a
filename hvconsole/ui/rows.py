"""What stands where in the inventory tree: servers → pools → hosts → VMs → snapshots. Pure: inventories in, rows out.

``Forest`` is the tree without a widget. A change of one VM costs work for that VM only; what changed is returned as a
``Delta`` that the widget replays. Used by the Tk thread.
"""

from __future__ import annotations

import bisect
import enum
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from hvconsole.model import (
    Host,
    Inventory,
    InventoryDiff,
    ObjectId,
    Pool,
    PoolKind,
    ServerId,
    Snapshot,
    Vm,
    VmKind,
    diff,
)
from hvconsole.ui.filters import Filter, Searcher, container_matches, listed, permits
from hvconsole.ui.interfaces import Item, ItemKind

_DIGITS = re.compile(r"(\d{1,18})")
_SORTED_CHARS = 120
"""Characters of a name that count for sorting; names may have 100,000."""

SortKey = tuple[object, ...]


class Grouping(enum.StrEnum):
    """Under what the tree shows VMs."""

    HOST = "host"
    FOLDER = "folder"
    RESOURCE_POOL = "resource pool"


_LEFT_OUT = {
    Grouping.HOST: frozenset({PoolKind.FOLDER, PoolKind.RESOURCE_POOL, PoolKind.POOL}),
    Grouping.FOLDER: frozenset({PoolKind.CLUSTER, PoolKind.RESOURCE_POOL, PoolKind.POOL}),
    Grouping.RESOURCE_POOL: frozenset({PoolKind.FOLDER, PoolKind.POOL}),
}
"""Containers that a grouping has no rows for. A pool is its server's own row."""

DEEPEST = 100
"""Containers in containers that are shown so; real servers have a dozen. What is deeper hangs at the top."""

_RANKS = {ItemKind.SERVER: 0, ItemKind.POOL: 1, ItemKind.HOST: 2, ItemKind.VM: 3, ItemKind.SNAPSHOT: 4}


def natural_key(name: str) -> SortKey:
    """Sorts "vm2" before "vm10" and does not care about case."""
    parts = _DIGITS.split(name[:_SORTED_CHARS].casefold())
    return tuple((0, int(p), "") if p.isdecimal() and p.isascii() else (1, 0, p) for p in parts if p)


@dataclass(slots=True)
class Node:
    """One row of the tree. ``found`` is the model's object, None for a server."""

    item: Item
    parent: Item | None
    sort: SortKey
    found: Pool | Host | Vm | Snapshot | None


@dataclass(slots=True)
class Delta:
    """What a new inventory did to the tree. ``added`` has parents first, ``removed`` the roots of what went."""

    added: list[Item] = field(default_factory=list)
    removed: list[Item] = field(default_factory=list)
    moved: list[Item] = field(default_factory=list)
    """Other parent or other place among its siblings."""
    changed: list[Item] = field(default_factory=list)
    """Same place, other look; includes what was moved."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved or self.changed)


class Forest:
    """All servers' rows, and who is under whom in which order."""

    def __init__(self) -> None:
        self.nodes: dict[Item, Node] = {}
        self._vms: dict[Item, Node] = {}
        self._containers: dict[Item, Node] = {}
        self._children: dict[Item | None, list[tuple[SortKey, Item]]] = {None: []}
        self._drawn: dict[ServerId, Inventory | None] = {}
        self._servers: dict[ServerId, int] = {}
        self.grouping = Grouping.HOST
        self.templates = False
        self.searcher = Searcher()

    # ---- reading -------------------------------------------------------------------------------------------

    def children(self, parent: Item | None) -> list[Item]:
        """Items directly under ``parent``, in order."""
        return [item for _, item in self._children.get(parent, ())]

    def has_children(self, parent: Item) -> bool:
        """Whether anything is under it."""
        return bool(self._children.get(parent))

    def parents(self) -> list[Item]:
        """Items that have anything under them."""
        return [item for item, below in self._children.items() if item is not None and below]

    def index(self, item: Item) -> int:
        """Place of an item among all its siblings."""
        node = self.nodes[item]
        siblings = self._children[node.parent]
        position = bisect.bisect_left(siblings, node.sort, key=_by_sort)
        while siblings[position][1] != item:
            position += 1
        return position

    def ancestors(self, item: Item) -> Iterator[Item]:
        """Parent, grandparent, … up to the server."""
        node = self.nodes.get(item)
        while node is not None and node.parent is not None:
            yield node.parent
            node = self.nodes.get(node.parent)

    def inventory(self, server_id: ServerId) -> Inventory | None:
        """The inventory that the rows of this server show."""
        return self._drawn.get(server_id)

    def vm_count(self) -> int:
        """How many rows are VMs or templates."""
        return len(self._vms)

    def vms_below(self, item: Item) -> list[Item]:
        """The VMs under a server, pool or host."""
        found: list[Item] = []
        for child in self.children(item):
            if child.kind is ItemKind.VM:
                found.append(child)
            else:
                found.extend(self.vms_below(child))
        return found

    def visible(self, wanted: Filter) -> set[Item] | None:
        """What a filter leaves, ancestors and snapshots included; None = everything."""
        if not wanted.narrows:
            return None
        words = wanted.words
        limited = bool(wanted.hosts or wanted.powers)
        has = self.searcher.has
        keep: set[Item] = set()
        whole: dict[Item | None, bool] = {None: False}
        children = self._children
        for item, node in self._vms.items():
            vm = node.found
            assert isinstance(vm, Vm)
            hit = not words or has(item, vm, words) or self._under_match(node.parent, words, whole)
            if not hit or (limited and not permits(item.server_id, vm, wanted)):
                continue
            keep.add(item)
            if item in children:
                keep.update(self.children(item))
            parent = node.parent
            while parent is not None and parent not in keep:
                keep.add(parent)
                parent = self.nodes[parent].parent
        for item, node in self._containers.items():
            if self._own_match(node, words):
                keep.add(item)
                keep.update(self.ancestors(item))
        return keep

    def _own_match(self, node: Node, words: tuple[str, ...]) -> bool:
        return isinstance(node.found, Host | Pool) and container_matches(node.found, words)

    def _under_match(self, parent: Item | None, words: tuple[str, ...], known: dict[Item | None, bool]) -> bool:
        if parent not in known:
            node = self.nodes[parent] if parent is not None else None
            known[parent] = node is not None and (
                self._own_match(node, words) or self._under_match(node.parent, words, known)
            )
        return known[parent]

    # ---- changing ------------------------------------------------------------------------------------------

    def set_servers(self, server_ids: list[ServerId]) -> Delta:
        """Have exactly these servers, in this order."""
        delta = Delta()
        order = {server_id: position for position, server_id in enumerate(server_ids)}
        for server_id in [s for s in self._servers if s not in order]:
            self._remove(Item(ItemKind.SERVER, server_id), delta)
            del self._servers[server_id]
            self._drawn.pop(server_id, None)
        for server_id, position in order.items():
            item = Item(ItemKind.SERVER, server_id)
            self._put(Node(item, None, (0, position), None), delta)
        self._servers = order
        return delta

    def regroup(self, grouping: Grouping, templates: bool) -> Delta:
        """Show under something else, with or without templates."""
        self.grouping, self.templates = grouping, templates
        delta = Delta()
        for server_id, inventory in self._drawn.items():
            if inventory is not None:
                self._rebuild(server_id, inventory, delta)
        return delta

    def update(self, server_id: ServerId, inventory: Inventory | None) -> Delta:
        """Show this inventory of a server (None: nothing is known)."""
        delta = Delta()
        if server_id not in self._servers:
            return delta
        old = self._drawn.get(server_id)
        self._drawn[server_id] = inventory
        if inventory is None:
            for child in self.children(Item(ItemKind.SERVER, server_id)):
                self._remove(child, delta)
            return delta
        changes = diff(old, inventory)
        if old is None or _structure_changed(old, inventory, changes):
            self._rebuild(server_id, inventory, delta)
            return delta
        for pool_id in changes.pools.changed:
            self._put_pool(server_id, inventory, inventory.pools[pool_id], delta)
        for host_id in changes.hosts.changed:
            self._put_host(server_id, inventory, inventory.hosts[host_id], delta)
        for vm_id in changes.vms.removed:
            self._remove(Item(ItemKind.VM, server_id, vm_id), delta)
        for vm_id in (*changes.vms.added, *changes.vms.changed):
            self._put_vm(server_id, inventory, inventory.vms[vm_id], delta)
        return delta

    def _rebuild(self, server_id: ServerId, inventory: Inventory, delta: Delta) -> None:
        before = {item for item in self.nodes if item.server_id == server_id and item.kind is not ItemKind.SNAPSHOT}
        before.discard(Item(ItemKind.SERVER, server_id))
        for pool in _parents_first(inventory):
            before.discard(self._put_pool(server_id, inventory, pool, delta))
        if self.grouping is Grouping.HOST:
            for host in inventory.hosts.values():
                before.discard(self._put_host(server_id, inventory, host, delta))
        for vm in inventory.vms.values():
            if self._put_vm(server_id, inventory, vm, delta):
                before.discard(Item(ItemKind.VM, server_id, vm.id))
        for item in before:
            self._remove(item, delta)

    def _put_pool(self, server_id: ServerId, inventory: Inventory, pool: Pool, delta: Delta) -> Item:
        item = Item(ItemKind.POOL, server_id, pool.id)
        if pool.kind not in _LEFT_OUT[self.grouping]:
            parent = self._container(server_id, inventory, pool.parent_id)
            above = list(itertools.islice(self.ancestors(parent), DEEPEST))
            if parent == item or item in above or len(above) == DEEPEST:  # a server that claims a cycle, or a shaft
                parent = Item(ItemKind.SERVER, server_id)
            self._put(Node(item, parent, self._sort(ItemKind.POOL, pool.name, pool.id), pool), delta)
            return item
        return Item(ItemKind.NONE, server_id)

    def _put_host(self, server_id: ServerId, inventory: Inventory, host: Host, delta: Delta) -> Item:
        item = Item(ItemKind.HOST, server_id, host.id)
        if self.grouping is Grouping.HOST:
            parent = self._container(server_id, inventory, host.pool_id)
            self._put(Node(item, parent, self._sort(ItemKind.HOST, host.name, host.id), host), delta)
        return item

    def _put_vm(self, server_id: ServerId, inventory: Inventory, vm: Vm, delta: Delta) -> bool:
        item = Item(ItemKind.VM, server_id, vm.id)
        if not listed(vm, Filter(templates=self.templates)):
            self._remove(item, delta)
            return False
        if self.grouping is Grouping.HOST and vm.home_id in inventory.hosts:
            parent = Item(ItemKind.HOST, server_id, vm.home_id)
        else:
            inside = {
                Grouping.HOST: vm.pool_id,
                Grouping.FOLDER: vm.folder_id,
                Grouping.RESOURCE_POOL: vm.resource_pool_id,
            }[self.grouping]
            parent = self._container(server_id, inventory, inside or vm.pool_id)
        template = 1 if vm.kind is not VmKind.VM else 0
        self._put(Node(item, parent, (_RANKS[ItemKind.VM], template, natural_key(vm.name), vm.id), vm), delta)
        kept = set()
        for position, snapshot in enumerate(sorted(vm.snapshots, key=_snapshot_age)):
            child = Item(ItemKind.SNAPSHOT, server_id, snapshot.id, vm.id)
            kept.add(child)
            self._put(Node(child, item, (4, position), snapshot), delta)
        for child in self.children(item):
            if child not in kept:
                self._remove(child, delta)
        return True

    def _container(self, server_id: ServerId, inventory: Inventory, pool_id: ObjectId | None) -> Item:
        """The row that stands for a container: itself, or the nearest one above it that has a row."""
        left_out = _LEFT_OUT[self.grouping]
        seen: set[ObjectId] = set()
        while pool_id is not None and pool_id not in seen:
            seen.add(pool_id)
            pool = inventory.pools.get(pool_id)
            if pool is None:
                break
            if pool.kind not in left_out:
                return Item(ItemKind.POOL, server_id, pool.id)
            pool_id = pool.parent_id
        return Item(ItemKind.SERVER, server_id)

    def _sort(self, kind: ItemKind, name: str, object_id: ObjectId) -> SortKey:
        return (_RANKS[kind], 0, natural_key(name), object_id)

    def _put(self, node: Node, delta: Delta) -> None:
        old = self.nodes.get(node.item)
        if old is None:
            self._remember(node)
            bisect.insort(self._children.setdefault(node.parent, []), (node.sort, node.item), key=_by_sort)
            delta.added.append(node.item)
            return
        if old.parent != node.parent or old.sort != node.sort:
            self._take_out(old)
            bisect.insort(self._children.setdefault(node.parent, []), (node.sort, node.item), key=_by_sort)
            delta.moved.append(node.item)
            delta.changed.append(node.item)
        elif old.found is not node.found and old.found != node.found:
            delta.changed.append(node.item)
        self._remember(node)

    def _remember(self, node: Node) -> None:
        self.nodes[node.item] = node
        if node.item.kind is ItemKind.VM:
            self._vms[node.item] = node
            if isinstance(node.found, Vm):
                self.searcher.remember(node.item, node.found)
        elif node.item.kind is not ItemKind.SNAPSHOT:
            self._containers[node.item] = node

    def _forget(self, item: Item) -> Node | None:
        self._vms.pop(item, None)
        self.searcher.texts.pop(item, None)
        self._containers.pop(item, None)
        return self.nodes.pop(item, None)

    def _take_out(self, node: Node) -> None:
        siblings = self._children[node.parent]
        position = bisect.bisect_left(siblings, node.sort, key=_by_sort)
        while siblings[position][1] != node.item:  # equal keys: snapshots may have one time
            position += 1
        del siblings[position]

    def _remove(self, item: Item, delta: Delta) -> None:
        node = self._forget(item)
        if node is None:
            return
        self._take_out(node)
        delta.removed.append(item)
        self._drop_below(item)

    def _drop_below(self, item: Item) -> None:
        for _, child in self._children.pop(item, ()):
            self._forget(child)
            self._drop_below(child)


def _structure_changed(old: Inventory, new: Inventory, changes: InventoryDiff) -> bool:
    """Whether hosts or containers came, went or moved; a host's free memory changes all the time and is no reason."""
    if changes.pools.added or changes.pools.removed or changes.hosts.added or changes.hosts.removed:
        return True
    pools = ((old.pools[i], new.pools[i]) for i in changes.pools.changed)
    hosts = ((old.hosts[i], new.hosts[i]) for i in changes.hosts.changed)
    return any(a.parent_id != b.parent_id or a.kind != b.kind for a, b in pools) or any(
        a.pool_id != b.pool_id for a, b in hosts
    )


def _by_sort(entry: tuple[SortKey, Item]) -> SortKey:
    return entry[0]


def _snapshot_age(snapshot: Snapshot) -> tuple[float, str]:
    return (snapshot.created.timestamp() if snapshot.created else 0.0, snapshot.id)


def _parents_first(inventory: Inventory) -> list[Pool]:
    """Containers in an order in which each comes after the one it is in; strangers count as tops, cycles are cut."""
    done: dict[ObjectId, Pool] = {}
    for pool in inventory.pools.values():
        path: dict[ObjectId, Pool] = {}
        at: Pool | None = pool
        while at is not None and at.id not in done and at.id not in path:
            path[at.id] = at
            at = inventory.pools.get(at.parent_id) if at.parent_id else None
        done.update(reversed(path.items()))
    return list(done.values())
