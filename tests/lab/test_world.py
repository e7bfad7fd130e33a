"""The world: legal transitions, tasks that take time, changes that can be followed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hvconsole.lab import errors, hosts, lifecycle, power, sites, snapshots
from hvconsole.lab.faults import FaultRule
from hvconsole.lab.objects import GIB, HostState, Power
from hvconsole.lab.tasks import TaskStatus, Timing
from hvconsole.lab.world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    sites.build(made, ("xenserver",))
    made.seal()
    yield made
    made.close()


def test_the_estate_is_the_same_in_every_run(world: World) -> None:
    again = World()
    sites.build(again, ("xenserver",))
    assert list(again.vms) == list(world.vms)
    vms = [vm for vm in world.vms.values() if not vm.is_template and not vm.is_control_domain]
    assert len(vms) == 40
    assert {vm.power for vm in vms} == set(Power)
    assert any(not vm.guest.tools for vm in vms)
    assert len({vm.name for vm in vms}) == 40


def test_start_and_shutdown_follow_the_guest(world: World) -> None:
    vm = world.vm_named("web-01")
    home = vm.host_id
    power.shutdown(world, vm.id)
    assert (vm.power, vm.host_id, vm.guest.tools_running) == (Power.HALTED, None, False)
    power.start(world, vm.id)
    assert (vm.power, vm.host_id, vm.guest.tools_running) == (Power.RUNNING, home, True)


def test_refusals_say_why(world: World) -> None:
    running, silent = world.vm_named("web-01"), world.vm_named("telephony")
    with pytest.raises(errors.BadState) as state:
        power.start(world, running.id)
    assert state.value.actual == "running"
    with pytest.raises(errors.NoTools):
        power.shutdown(world, silent.id)
    with pytest.raises(errors.Blocked, match="backup team"):
        power.power_off(world, world.vm_named("backup-proxy").id)
    with pytest.raises(errors.IsTemplate):
        power.start(world, world.vm_named("Debian Bookworm 12").id)
    with pytest.raises(errors.NotFound):
        power.start(world, "nobody")


def test_a_vm_on_local_storage_starts_only_where_its_disk_is(world: World) -> None:
    vm = world.vm_named("legacy-fax")
    home = vm.host_id or ""
    power.power_off(world, vm.id)
    other = next(host for host in world.hosts.values() if host.id != home)
    with pytest.raises(errors.NotReachable):
        power.start(world, vm.id, host_id=other.id)
    hosts.set_enabled(world, home, enabled=False)
    with pytest.raises(errors.NoHost) as nowhere:
        power.start(world, vm.id)
    assert len(nowhere.value.reasons) == 3


def test_two_operations_do_not_overlap_and_a_power_off_cancels() -> None:
    world = World(timing=Timing(suspend=30.0))
    sites.build(world, ("xenserver",))
    vm = world.vm_named("web-01")
    task = world.spawn(vm.site_id, "suspend", lambda job: power.suspend(world, vm.id, task=job), vm.id)
    since = 0
    while "suspend" not in vm.operations.values():
        since = world.wait_for_change(since, 5)
    with pytest.raises(errors.Busy) as busy:
        power.pause(world, vm.id)
    assert list(busy.value.operations.values()) == ["suspend"]
    power.power_off(world, vm.id)
    assert task.wait(5)
    assert task.status is TaskStatus.CANCELLED
    assert vm.power is Power.HALTED
    assert not vm.operations
    world.close()


def test_a_task_reports_progress_and_can_be_cancelled() -> None:
    world = World(timing=Timing(snapshot=20.0))
    sites.build(world, ("xenserver",))
    vm = world.vm_named("web-02")
    task = world.spawn(vm.site_id, "snapshot", lambda job: snapshots.take(world, vm.id, "x", task=job), vm.id)
    since = world.version
    while not task.progress:
        since = world.wait_for_change(since, 5)
    world.cancel(task)
    assert task.wait(5)
    assert (task.status, world.snapshots_of(vm.id)) == (TaskStatus.CANCELLED, [])
    world.close()


def test_snapshots_form_a_tree_and_revert_brings_the_machine_back(world: World) -> None:
    vm = world.vm_named("web-03")
    first = snapshots.take(world, vm.id, "first")
    second = snapshots.take(world, vm.id, "second", memory=True)
    lifecycle.reconfigure(world, vm.id, lambda changed: setattr(changed, "vcpus", 8))
    disks = [drive.disk_id for drive in vm.drives]
    assert world.snapshot(second).parent_id == first
    snapshots.revert(world, first)
    assert (vm.power, vm.vcpus, vm.current_snapshot_id) == (Power.HALTED, 2, first)
    assert disks[0] not in [drive.disk_id for drive in vm.drives]
    snapshots.revert(world, second)
    assert vm.power is Power.SUSPENDED
    third = snapshots.take(world, vm.id, "third")
    snapshots.delete(world, second)
    assert world.snapshot(third).parent_id == first
    snapshots.delete(world, first, with_children=True)
    assert world.snapshots_of(vm.id) == []


def test_deleting_gives_the_space_back(world: World) -> None:
    vm = world.vm_named("web-old")
    storage = world.storages[world.disks[vm.drives[0].disk_id or ""].storage_id]
    before = storage.used_bytes
    lifecycle.delete(world, vm.id)
    assert storage.used_bytes < before
    assert vm.id not in world.vms
    assert not [snapshot for snapshot in world.snapshots.values() if snapshot.vm_id == vm.id]


def test_clones_are_machines_of_their_own(world: World) -> None:
    source = world.vm_named("sandbox")
    made = world.vm(lifecycle.clone(world, source.id, "sandbox 2"))
    assert {nic.mac for nic in made.nics}.isdisjoint(nic.mac for nic in source.nics)
    power.start(world, made.id)
    address = made.nics[0].addresses[0]
    assert world.answers(address)
    lifecycle.delete(world, lifecycle.create(world, source.site_id, "empty", disk_bytes=GIB))


def test_maintenance_moves_the_guests_or_nothing(world: World) -> None:
    third = next(host for host in world.hosts.values() if host.name == "xen-basel-3")
    with pytest.raises(errors.NotReachable):  # kernel-debug sits on local storage
        hosts.enter_maintenance(world, third.id)
    assert third.enabled
    power.power_off(world, world.vm_named("kernel-debug").id)
    hosts.enter_maintenance(world, third.id)
    assert (world.vms_on(third.id), third.maintenance, third.enabled) == ([], True, False)
    assert world.vm_named("wiki").power is Power.RUNNING
    hosts.leave_maintenance(world, third.id)
    assert third.enabled


def test_a_dead_host_takes_its_guests_along(world: World) -> None:
    vm = world.vm_named("web-02")
    address = vm.nics[0].addresses[0]
    host = world.host(vm.host_id or "")
    hosts.fail(world, host.id)
    assert not world.answers(address)
    assert vm.power is Power.RUNNING  # nobody has told the database
    hosts.repair(world, host.id)
    assert (host.state, vm.power) == (HostState.UP, Power.HALTED)


def test_changes_are_merged_per_object(world: World) -> None:
    since = world.version
    site = next(iter(world.sites))
    made = lifecycle.create(world, site, "short-lived")
    lifecycle.rename(world, made, "renamed")
    seen = world.changes_since(since, site)
    assert seen is not None
    assert [(change.op, change.kind, change.id) for change in seen] == [("add", "vm", made)]
    lifecycle.delete(world, made)
    assert world.changes_since(since, site) == []


def test_waiting_ends_with_a_change_or_with_the_world(world: World) -> None:
    vm = world.vm_named("web-01")
    since = world.version
    waiter: list[int] = []
    thread = threading.Thread(target=lambda: waiter.append(world.wait_for_change(since, 10)))
    thread.start()
    lifecycle.rename(world, vm.id, "web-01b")
    thread.join(5)
    assert waiter
    assert waiter[0] > since
    thread = threading.Thread(target=world.wait_for_change, args=(world.version, 30))
    thread.start()
    world.close()
    thread.join(5)
    assert not thread.is_alive()


def test_fault_rules_count_and_skip(world: World) -> None:
    vm = world.vm_named("web-01")
    rule = world.faults.add(FaultRule(method="pause", object="web-*", code="SOMETHING", skip=1, max_count=1))
    power.pause(world, vm.id)
    power.unpause(world, vm.id)
    with pytest.raises(errors.Injected, match="SOMETHING"):
        power.pause(world, vm.id)
    power.pause(world, vm.id)
    assert (rule.seen, rule.fired) == (3, 1)
    assert not vm.operations


def test_ten_thousand_machines_are_quick() -> None:
    world = World.scaled(10_000)
    machines = [vm for vm in world.vms.values() if not vm.is_control_domain]
    assert len(machines) == 10_000
    assert len({vm.nics[0].addresses[0] for vm in machines}) == 10_000
