"""Where the boxes and wires of a host's network map go. Pure arithmetic in pixels at scale 1; any thread."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from hvconsole.model import HostNic, NetworkMap, Nic, ObjectId, PowerState, Vm
from hvconsole.text import safe_text

NIC_X, NIC_WIDTH = 24, 204
NETWORK_X, NETWORK_WIDTH = 310, 200
VM_X, VM_WIDTH = 600, 224
NIC_HEIGHT, NETWORK_HEIGHT, VM_HEIGHT = 50, 50, 50
GAP, BLOCK_GAP, TOP = 10, 20, 44
MOST_VMS_PER_NETWORK = 60
"""More boxes than that under one network are folded into one that says how many."""


class Health(enum.Enum):
    """How a wire is drawn: solid green, dashed red, solid grey."""

    GOOD = "good"
    BAD = "bad"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Box:
    """A box with two lines of text. ``vm_id`` is set for VMs, so that a click can select them."""

    kind: str
    """"nic", "network", "vm" or "more"."""
    x: float
    y: float
    width: float
    height: float
    title: str
    note: str
    vm_id: ObjectId | None = None
    power: PowerState | None = None
    chosen: bool = False
    """The VM that the map is about."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A line of horizontal and vertical pieces."""

    points: tuple[tuple[float, float], ...]
    health: Health


@dataclass(slots=True)
class Drawing:
    """Everything to draw, and how large it is."""

    boxes: list[Box] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    width: float = VM_X + VM_WIDTH + 24
    height: float = TOP


def speed_text(mbps: int | None) -> str:
    """ "10 Gbit/s", "100 Mbit/s"; empty where not known."""
    if not mbps or mbps < 0:
        return ""
    return f"{mbps / 1000:g} Gbit/s" if mbps >= 1000 else f"{mbps} Mbit/s"


def nic_note(nic: HostNic) -> str:
    """Second line of a physical card's box."""
    state = {True: "up", False: "down", None: ""}[nic.link_up]
    parts = [speed_text(nic.speed_mbps), state, "management" if nic.management else ""]
    return " · ".join(p for p in parts if p) or safe_text(nic.mac, 40)


def _vm_box(vm: Vm, nic: Nic, y: float, chosen: bool) -> Box:
    addresses = nic.addresses or (() if len(vm.nics) > 1 else vm.addresses)
    if nic.connected is False:
        note = "unplugged"
    elif vm.power is not PowerState.RUNNING:
        note = {PowerState.HALTED: "halted"}.get(vm.power, vm.power.value)
    else:
        note = safe_text(addresses[0], 60) if addresses else "no address known"
    label = f"card {safe_text(nic.device, 20)} · " if len(vm.nics) > 1 and nic.device else ""
    note = label + note if addresses or not label else label.removesuffix(" · ")
    return Box("vm", VM_X, y, VM_WIDTH, VM_HEIGHT, safe_text(vm.name), note, vm.id, vm.power, chosen)


def _vm_health(vm: Vm, nic: Nic) -> Health:
    if vm.power is not PowerState.RUNNING:
        return Health.IDLE
    return Health.BAD if nic.connected is False else Health.GOOD


def lay_out(network_map: NetworkMap, vms: Mapping[ObjectId, Vm], chosen: ObjectId | None = None) -> Drawing:
    """Boxes and wires: physical cards left, networks in the middle, VM cards right. With ``chosen`` only the networks
    of that VM, and it comes first.

    A physical card that carries several networks (VLANs) has one box; every network's wires run in a lane of their own,
    so that no wire hides another. VMs that are gone from ``vms`` are left out.
    """
    drawing = Drawing()
    nic_at: dict[str, float] = {}
    nic_y = float(TOP)
    y = float(TOP)
    links = [k for k in network_map.links if chosen is None or any(vm_id == chosen for vm_id, _ in k.vm_nics)]
    lanes = max(1, len(links))
    for lane, link in enumerate(links):
        begin = y
        present = [(vms[vm_id], nic) for vm_id, nic in link.vm_nics if vm_id in vms]
        present.sort(
            key=lambda pair: (pair[0].id != chosen, pair[0].power is not PowerState.RUNNING, pair[0].name.casefold())
        )
        vm_boxes = [
            (_vm_box(vm, nic, begin + n * (VM_HEIGHT + GAP), vm.id == chosen), _vm_health(vm, nic))
            for n, (vm, nic) in enumerate(present[:MOST_VMS_PER_NETWORK])
        ]
        hidden = len(present) - len(vm_boxes)
        if hidden:
            last = begin + len(vm_boxes) * (VM_HEIGHT + GAP)
            more = Box("more", VM_X, last, VM_WIDTH, VM_HEIGHT, f"{hidden} more", "see the VM list")
            vm_boxes.append((more, Health.IDLE))
        drawing.boxes += [box for box, _ in vm_boxes]
        vm_end = begin + max(0, len(vm_boxes) * (VM_HEIGHT + GAP) - GAP)

        nic_y = max(nic_y, begin)
        for nic in link.host_nics:
            if nic.name not in nic_at:
                nic_at[nic.name] = nic_y + NIC_HEIGHT / 2
                note = nic_note(nic)
                drawing.boxes.append(Box("nic", NIC_X, nic_y, NIC_WIDTH, NIC_HEIGHT, safe_text(nic.name), note))
                nic_y += NIC_HEIGHT + GAP
        nic_end = nic_y - GAP if link.host_nics else begin

        middle = (begin + max(vm_end, begin + NETWORK_HEIGHT)) / 2
        # beside its VM, which is at the top, or in the middle of all
        network_y = begin if chosen is not None else max(begin, middle - NETWORK_HEIGHT / 2)
        centre = network_y + NETWORK_HEIGHT / 2
        vlans = sorted({nic.vlan for nic in link.host_nics if nic.vlan is not None and nic.vlan >= 0})
        count = f"{len(present)} VM {'card' if len(present) == 1 else 'cards'}" if present else "no VMs"
        note = " · ".join([*(f"VLAN {vlan}" for vlan in vlans[:3]), count])
        drawing.boxes.append(
            Box("network", NETWORK_X, network_y, NETWORK_WIDTH, NETWORK_HEIGHT, safe_text(link.network) or "—", note)
        )
        share = (lane + 1) / (lanes + 1)
        left_lane = NIC_X + NIC_WIDTH + share * (NETWORK_X - NIC_X - NIC_WIDTH)
        for n, nic in enumerate(link.host_nics):
            spread = (n - (len(link.host_nics) - 1) / 2) * 7
            health = {True: Health.GOOD, False: Health.BAD, None: Health.IDLE}[nic.link_up]
            source = nic_at[nic.name]
            # the lower of two cards above the network turns further left, so that wires never cross
            turn = left_lane - spread if source <= centre else left_lane + spread
            points = (
                (NIC_X + NIC_WIDTH, source),
                (turn, source),
                (turn, centre + spread),
                (NETWORK_X, centre + spread),
            )
            drawing.wires.append(Wire(points, health))
        drawing.wires += _trunk(vm_boxes, centre, share)
        y = max(vm_end, network_y + NETWORK_HEIGHT, nic_end) + BLOCK_GAP
        nic_y = max(nic_y, y)
        drawing.height = max(drawing.height, y)
    return drawing


def _trunk(vm_boxes: list[tuple[Box, Health]], centre: float, share: float) -> list[Wire]:
    """One trunk beside the network and a branch to every VM: only the branch has the VM's own colour."""
    if not vm_boxes:
        return []
    lane = NETWORK_X + NETWORK_WIDTH + share * (VM_X - NETWORK_X - NETWORK_WIDTH)
    healths = [health for _, health in vm_boxes]
    trunk = Health.GOOD if Health.GOOD in healths else Health.IDLE
    ends = [box.y + box.height / 2 for box, _ in vm_boxes]
    wires = [Wire(((NETWORK_X + NETWORK_WIDTH, centre), (lane, centre)), trunk)]
    top, bottom = min([*ends, centre]), max([*ends, centre])
    if bottom > top:
        wires.append(Wire(((lane, top), (lane, bottom)), trunk))
    wires += [Wire(((lane, end), (VM_X, end)), health) for end, (_, health) in zip(ends, vm_boxes, strict=True)]
    return wires
