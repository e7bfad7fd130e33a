"""Databases of real pools, where they are present beside the repository: shown rightly, to the last snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Secret
from hvconsole.clock import SystemClock
from hvconsole.lab import Lab
from hvconsole.lab.sites import Identity
from hvconsole.model import Inventory, PowerState, ToolsState, Verb, Vm, VmKind
from hvconsole.profiles import parse_url
from hvconsole.trust import FixedPins, PinStore

DUMPS = Path(__file__).parents[3] / "shared" / "data" / "xapi-db"


@pytest.fixture
def inventory(request: pytest.FixtureRequest, lab_identity: Identity) -> Iterator[Inventory]:
    path = DUMPS / request.param
    if not path.exists():
        pytest.skip("the database is not here")
    with Lab.from_xapi_db(path, identity=lab_identity) as lab:
        server = lab.servers[0]
        profile = parse_url(server.url)
        trust = FixedPins({profile.addresses[0]: server.sha256}, PinStore())
        hv = open_hypervisor(profile.target(), Secret(password=server.password), trust, SystemClock())
        shown = hv.watch(20)
        assert shown is not None
        yield shown
        hv.close()


def named(inventory: Inventory, name: str) -> Vm:
    return next(vm for vm in inventory.vms.values() if vm.name == name)


def kinds(inventory: Inventory) -> dict[VmKind, int]:
    return dict(Counter(vm.kind for vm in inventory.vms.values()))


@pytest.mark.parametrize("inventory", ["pool.xml"], indirect=True)
def test_pool_of_2010(inventory: Inventory) -> None:
    assert kinds(inventory) == {
        VmKind.VM: 4,
        VmKind.TEMPLATE: 3,
        VmKind.DEFAULT_TEMPLATE: 84,
        VmKind.CONTROL_DOMAIN: 2,
    }
    assert sorted(host.name for host in inventory.hosts.values()) == ["chester", "grimsby"]
    assert [pool.name for pool in inventory.pools.values()] == ["Grimsby Pool"]
    appliance = named(inventory, "DVS-Controller-build2750")
    assert (appliance.power, appliance.addresses, appliance.os) == (
        PowerState.RUNNING,
        ("10.80.237.38",),
        "Debian 5.0.4",
    )
    assert appliance.tools is ToolsState.RUNNING
    windows = named(inventory, "Windows Vista JA")
    assert windows.tools is ToolsState.MISSING
    assert "Tools" in windows.refusals[Verb.SHUTDOWN]
    assert [s.name for s in named(inventory, "Demo Linux VM (1)").snapshots] == ["DLV1"]


@pytest.mark.parametrize("inventory", ["pool-with-snapshots.xml"], indirect=True)
def test_snapshot_trees_of_2013(inventory: Inventory) -> None:
    assert kinds(inventory) == {VmKind.VM: 2, VmKind.DEFAULT_TEMPLATE: 61, VmKind.CONTROL_DOMAIN: 2}
    shared = named(inventory, "dlvm_shared")
    by_id = {s.id: s for s in shared.snapshots}
    assert [(s.name, s.with_memory) for s in shared.snapshots] == [
        ("snap1", False),
        ("snap2", False),
        ("fullsnap1", True),
    ]
    parents = [by_id[s.parent_id].name if s.parent_id else None for s in shared.snapshots]
    assert parents == [None, "snap1", "snap2"]
    assert shared.current_snapshot_id is not None
    assert by_id[shared.current_snapshot_id].name == "fullsnap1"
    assert shared.addresses == ("10.80.238.146", "fe80::ac37:99ff:fed3:8c09")
    assert shared.os == "CentOS release 5.7 (Final)"
