"""The model: frozen, shared, and compared by what really changed."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvconsole import errors
from hvconsole.clock import SystemClock
from hvconsole.model import (
    AUTOMATIC_MARK,
    Changes,
    Host,
    Inventory,
    ObjectId,
    Pool,
    PowerState,
    ServerInfo,
    Snapshot,
    Storage,
    Verb,
    Vm,
    changes,
    diff,
)

INFO = ServerInfo(platform="xenserver", product="XCP-ng", version="8.3", address="pool", port=443, user="root")
NOW = SystemClock().now()


def vm(number, **values):
    return Vm(id=ObjectId(f"vm-{number}"), uuid=f"u-{number}", name=f"web{number}", **values)


def inventory(*vms, **values):
    return Inventory(server=INFO, taken=NOW, vms={v.id: v for v in vms}, **values)


def test_everything_is_new_at_first():
    host = Host(id=ObjectId("h"), uuid="h", name="node")
    pool = Pool(id=ObjectId("p"), uuid="p", name="prod")
    first = inventory(vm(1), vm(2), hosts={host.id: host}, pools={pool.id: pool})
    found = diff(None, first)
    assert found.vms.added == ("vm-1", "vm-2")
    assert found.hosts.added == ("h",)
    assert found.pools.added == ("p",)
    assert found
    assert not found.networks
    assert not diff(first, first)


def test_added_changed_and_removed_are_told_apart():
    old = inventory(vm(1), vm(2), vm(3))
    new = inventory(old.vms[ObjectId("vm-1")], vm(2, power=PowerState.RUNNING), vm(4))
    assert diff(old, new).vms == Changes(("vm-4",), ("vm-2",), ("vm-3",))


def test_an_equal_copy_is_no_change():
    assert not diff(inventory(vm(1)), inventory(vm(1)))


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 3)), st.dictionaries(st.integers(0, 9), st.integers(0, 3)))
def test_applying_the_changes_to_the_old_gives_the_new(old, new):
    found = changes(old, new)
    rebuilt = {k: v for k, v in old.items() if k not in found.removed}
    rebuilt |= {k: new[k] for k in (*found.added, *found.changed)}
    assert rebuilt == new
    assert set(found.removed) == set(old) - set(new)
    assert bool(found) == (old != new)


def test_a_vm_knows_its_snapshots():
    mine = Snapshot(id=ObjectId("s1"), name="before", description="by hand")
    auto = Snapshot(id=ObjectId("s2"), name="Network_Down", description=AUTOMATIC_MARK + "\nrounds …")
    web = vm(1, snapshots=(mine, auto))
    assert web.snapshot(ObjectId("s1")) is mine
    assert web.snapshot(ObjectId("s3")) is None
    assert (mine.automatic, auto.automatic) == (False, True)


def test_free_space_is_never_negative_and_unknown_stays_unknown():
    store = Storage(id=ObjectId("s"), uuid="s", name="local", size_bytes=10, used_bytes=4)
    assert store.free_bytes == 6
    assert dataclasses.replace(store, used_bytes=11).free_bytes == 0
    assert dataclasses.replace(store, size_bytes=None).free_bytes is None


def test_nothing_can_be_changed_behind_a_readers_back():
    web = vm(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        web.name = "other"
    with pytest.raises(TypeError):
        web.refusals[Verb.START] = "no"


def test_every_error_says_one_sentence_and_belongs_to_the_tree():
    for name in dir(errors):
        kind = getattr(errors, name)
        if isinstance(kind, type) and issubclass(kind, errors.HvError):
            extra = {"reason": "unknown"} if kind is errors.CertificateError else {}
            extra |= {"master_address": "10.0.0.1"} if kind is errors.HostIsSlave else {}
            error = kind("It did not work.", "CODE", **extra)
            assert (error.user_text, error.detail, str(error)) == ("It did not work.", "CODE", "It did not work.")
            assert isinstance(error.retryable, bool)
    assert errors.Refused("No.", code="X").code == "X"
