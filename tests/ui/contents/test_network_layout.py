"""ui/pages/network_layout.py: boxes that never overlap, wires that end at boxes and never hide each other."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hvconsole.model import HostNic, NetworkLink, NetworkMap, ObjectId, PowerState, Vm
from hvconsole.ui.pages.network_layout import (
    MOST_VMS_PER_NETWORK,
    NETWORK_X,
    VM_X,
    Box,
    Drawing,
    Health,
    lay_out,
    nic_note,
    speed_text,
)
from tests.ui.stage import HOSTILE, oid, vm


def a_map(*networks: tuple[list[HostNic], list[Vm]]) -> tuple[NetworkMap, dict[ObjectId, Vm]]:
    vms = {v.id: v for _, members in networks for v in members}
    links = tuple(
        NetworkLink(
            network_id=oid(f"n{n}"),
            network=f"network {n}",
            host_nics=tuple(nics),
            vm_nics=tuple((v.id, v.nics[0]) for v in members),
        )
        for n, (nics, members) in enumerate(networks)
    )
    return NetworkMap(host_id=oid("h1"), links=links), vms


def overlap(one: Box, other: Box) -> bool:
    apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
    apart_y = one.y + one.height <= other.y or other.y + other.height <= one.y
    return not (apart_x or apart_y)


def check(drawing: Drawing) -> None:
    for n, one in enumerate(drawing.boxes):
        assert one.y + one.height <= drawing.height
        assert not [o for o in drawing.boxes[n + 1 :] if overlap(one, o)]
    for wire in drawing.wires:
        for (x1, y1), (x2, y2) in pairwise(wire.points):
            assert x1 == x2 or y1 == y2, "wires are horizontal and vertical"


def test_one_card_one_network_one_vm_lie_on_a_straight_line() -> None:
    drawing = lay_out(*a_map(([HostNic(name="eth0", link_up=True)], [vm("a", "a")])))
    check(drawing)
    heights = {y for wire in drawing.wires for _, y in wire.points}
    assert len(heights) == 1


def test_a_dead_card_and_an_unplugged_vm_have_wires_of_their_own_kind() -> None:
    unplugged = vm("a", "a")
    unplugged = replace(unplugged, nics=(replace(unplugged.nics[0], connected=False),))
    drawing = lay_out(*a_map(([HostNic(name="eth0", link_up=False)], [unplugged, vm("b", "b", PowerState.HALTED)])))
    check(drawing)
    into_network = [w for w in drawing.wires if w.points[-1][0] == NETWORK_X]
    into_vms = {w.points[-1][1]: w.health for w in drawing.wires if w.points[-1][0] == VM_X}
    assert [w.health for w in into_network] == [Health.BAD]
    assert sorted(h.value for h in into_vms.values()) == ["bad", "idle"]
    notes = {b.title: b.note for b in drawing.boxes if b.kind == "vm"}
    assert notes == {"a": "unplugged", "b": "halted"}


def test_a_card_of_several_networks_has_one_box() -> None:
    nic = HostNic(name="bond0", link_up=True)
    drawing = lay_out(*a_map(([nic], [vm("a", "a")]), ([nic], [vm("b", "b")])))
    check(drawing)
    assert [b.title for b in drawing.boxes if b.kind == "nic"] == ["bond0"]
    lanes = {p[0] for w in drawing.wires for p in w.points if 230 < p[0] < NETWORK_X}
    assert len(lanes) == 2, "each network's wire turns in a lane of its own"


def test_hundreds_of_vms_are_folded_and_a_vm_that_is_gone_is_left_out() -> None:
    members = [vm(f"v{n}", f"vm-{n}") for n in range(200)]
    network_map, vms = a_map(([], members))
    del vms[oid("v7")]
    drawing = lay_out(network_map, vms)
    check(drawing)
    kinds = [b.kind for b in drawing.boxes]
    assert kinds.count("vm") == MOST_VMS_PER_NETWORK
    assert [b.title for b in drawing.boxes if b.kind == "more"] == [f"{199 - MOST_VMS_PER_NETWORK} more"]


def test_hostile_names_are_shown_safely() -> None:
    drawing = lay_out(*a_map(([HostNic(name=HOSTILE)], [vm("a", HOSTILE)])))
    assert all(b.title.isprintable() and "‮" not in b.title for b in drawing.boxes)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 9), st.booleans()),
        max_size=6,
    )
)
def test_whatever_hangs_together_nothing_overlaps(shape: list[tuple[int, int, bool]]) -> None:
    networks = []
    for n, (nics, members, shared) in enumerate(shape):
        cards = [HostNic(name=f"eth{0 if shared else n}-{i}", link_up=bool(i % 2)) for i in range(nics)]
        networks.append((cards, [vm(f"v{n}-{i}", f"vm {i}") for i in range(members)]))
    check(lay_out(*a_map(*networks)))


def test_speeds_and_states_of_cards_read_well() -> None:
    assert [speed_text(s) for s in (10000, 2500, 100)] == ["10 Gbit/s", "2.5 Gbit/s", "100 Mbit/s"]
    assert [speed_text(s) for s in (None, 0, -1)] == ["", "", ""]
    assert nic_note(HostNic(name="e", link_up=True, speed_mbps=1000, vlan=20)) == "1 Gbit/s · up"
    assert nic_note(HostNic(name="e", mac="00:11", vlan=-1)) == "00:11"
