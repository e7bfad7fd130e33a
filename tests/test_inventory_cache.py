"""A server that is away is still shown as it was last seen."""

import datetime as dt
import stat
import threading
from dataclasses import replace

import pytest

from hvconsole.clock import SystemClock
from hvconsole.connection import Connections
from hvconsole.errors import LocalError
from hvconsole.events import Hub, InventoryChanged
from hvconsole.inventory_cache import CacheKeeper, InventoryCache
from hvconsole.model import (
    Host,
    Inventory,
    Nic,
    ObjectId,
    Pool,
    PowerState,
    ServerId,
    ServerInfo,
    Snapshot,
    Storage,
    Verb,
    Vm,
)
from hvconsole.profiles import new_profile
from hvconsole.trust import PinStore

SERVER = ServerId("a1b2")


@pytest.fixture
def inventory() -> Inventory:
    taken = dt.datetime(2026, 11, 23, 8, 0, tzinfo=dt.UTC)
    vm = Vm(
        id=ObjectId("v"),
        uuid="v",
        name="wéb \u202e[exec] $x {",
        power=PowerState.RUNNING,
        nics=(Nic(id=ObjectId("n"), device="0", addresses=("10.0.0.1",)),),
        snapshots=(Snapshot(id=ObjectId("s"), name="s", created=taken),),
        refusals={Verb.START: "The VM is running."},
    )
    return Inventory(
        server=ServerInfo(platform="xenserver", product="X", version="8", address="a", port=443, user="root"),
        taken=taken,
        pools={ObjectId("p"): Pool(id=ObjectId("p"), uuid="p", name="p")},
        hosts={ObjectId("h"): Host(id=ObjectId("h"), uuid="h", name="h")},
        vms={vm.id: vm},
        storages={ObjectId("st"): Storage(id=ObjectId("st"), uuid="st", name="st", size_bytes=1 << 40)},
    )


def test_an_inventory_comes_back_as_it_was(tmp_path, inventory):
    InventoryCache(tmp_path / "cache").save(SERVER, inventory)
    back = InventoryCache(tmp_path / "cache").load(SERVER)
    assert (back.server, back.taken, back.hosts, back.pools, back.storages) == (
        inventory.server,
        inventory.taken,
        inventory.hosts,
        inventory.pools,
        inventory.storages,
    )
    (vm,), (was,) = back.vms.values(), inventory.vms.values()
    assert vm == replace(was, refusals={})


def test_the_file_is_private(tmp_path, inventory):
    InventoryCache(tmp_path / "cache").save(SERVER, inventory)
    (file,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_or_nonsense_on_disk_means_nothing_known(tmp_path, inventory):
    cache = InventoryCache(tmp_path)
    assert cache.load(SERVER) is None
    cache.save(SERVER, inventory)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b'{"server": 5}')
    assert cache.load(SERVER) is None


def test_a_forgotten_server_leaves_no_file_and_ids_cannot_leave_the_folder(tmp_path, inventory):
    cache = InventoryCache(tmp_path / "cache")
    strange = ServerId("../../x")
    cache.save(strange, inventory)
    assert [p.parent.name for p in tmp_path.rglob("*.json")] == ["cache"]
    cache.forget(strange)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_name_without_a_written_form_is_an_error_not_a_crash(tmp_path, inventory):
    bad = Inventory(
        server=inventory.server,
        taken=inventory.taken,
        vms={ObjectId("v"): Vm(id=ObjectId("v"), uuid="v", name="\ud800")},
    )
    with pytest.raises(LocalError):
        InventoryCache(tmp_path).save(SERVER, bad)


def test_what_was_remembered_of_a_server_goes_with_it(tmp_path, inventory):
    hub = Hub()
    connections = Connections(PinStore(), hub, SystemClock())
    kept, gone = (connections.add(new_profile("xenserver", name), cached=inventory) for name in ("kept", "gone"))
    cache = InventoryCache(tmp_path)
    for connection in (kept, gone):
        cache.save(connection.id, inventory)
    keeper = CacheKeeper(cache, connections, hub, SystemClock())
    keeper.start()
    hub.emit(InventoryChanged(gone.id))
    connections.remove(gone.id)
    connections.add(kept.profile)  # signed in again, which replaces the connection
    keeper.stop()
    for thread in threading.enumerate():
        if thread.name == "cache":
            thread.join(5)
    assert cache.load(gone.id) is None
    assert cache.load(kept.id) is not None


def test_what_changed_is_saved_at_the_end(tmp_path, inventory):
    hub = Hub()
    connections = Connections(PinStore(), hub, SystemClock())
    seen = connections.add(new_profile("xenserver", "pool"), cached=inventory)
    unchanged = connections.add(new_profile("xenserver", "other"), cached=inventory)
    cache = InventoryCache(tmp_path)
    keeper = CacheKeeper(cache, connections, hub, SystemClock())
    keeper.start()
    hub.emit(InventoryChanged(seen.id))
    keeper.stop()
    for thread in threading.enumerate():
        if thread.name == "cache":
            thread.join(5)
    assert keeper.alive() == ()
    assert cache.load(seen.id) is not None
    assert cache.load(unchanged.id) is None
