"""A day with a pool of the lab: what is particular to XenServer and not in the contract."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hvconsole.backends.base import Capability, CreateVm, Secret, TaskContext
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xenserver import XenServer
from hvconsole.errors import AuthError, HostUnavailable, HvError, InvalidInput, NotSupported, OutcomeUnknown, Refused
from hvconsole.lab import Lab
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.model import AUTOMATIC_MARK, Inventory, ObjectId, PowerState, Verb, Vm, VmKind

from .test_xen_emergency import Rescuer


class PoolView:
    """Somebody who is logged in and watches."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.rescuer = Rescuer(lab)
        hv = self.rescuer.log_in(0, emergency=False)
        assert isinstance(hv, XenServer)
        self.hv = hv
        first = hv.watch(10)
        assert first is not None
        self.inventory: Inventory = first

    def vm(self, name: str) -> Vm:
        return next(vm for vm in self.inventory.vms.values() if vm.name == name)

    def until(self, vm_id: ObjectId, done: object) -> Vm:
        deadline = time.monotonic() + 15
        while True:
            vm = self.inventory.vms.get(vm_id)
            if vm is not None and done(vm):  # type: ignore[operator]
                return vm
            assert time.monotonic() < deadline
            self.inventory = self.hv.watch(0.5) or self.inventory


@pytest.fixture
def pool(lab: Lab) -> Iterator[PoolView]:
    view = PoolView(lab)
    yield view
    for hv in view.rescuer.opened:
        hv.close()


def test_password_of_the_pool(pool: PoolView) -> None:
    ctx = TaskContext()
    old = Secret(password=pool.rescuer.server.password)
    with pytest.raises(AuthError):
        pool.hv.change_password(Secret(password="wrong"), Secret(password="new"), ctx)
    with pytest.raises(InvalidInput):
        pool.hv.change_password(old, Secret(password=""), ctx)
    pool.hv.change_password(old, Secret(password="new-one"), ctx)
    with pytest.raises(AuthError):
        pool.rescuer.log_in(0, emergency=False)
    # the session goes on, and renews itself with the new password
    pool.lab.site_servers[0].pool.sessions.expire_all()  # type: ignore[attr-defined]
    assert pool.hv.details(pool.vm("web-02").id)


def test_where_no_host_can_run_a_vm_each_says_why(pool: PoolView) -> None:
    fax = pool.vm("legacy-fax")
    hosts = {host.name: host.id for host in pool.inventory.hosts.values()}
    if fax.power is not PowerState.HALTED:
        pool.hv.power_off(fax.id, TaskContext())
    with pool.lab.world.lock:
        pool.lab.world.host(hosts["xen-basel-1"]).enabled = False
    with pytest.raises(HostUnavailable) as caught:
        pool.hv.start(fax.id, TaskContext())
    words = caught.value.user_text
    assert words.startswith("No host can run this VM now.")
    assert "xen-basel-1: The host is disabled" in words
    assert "xen-basel-2: The host has no access to a storage" in words


def test_quiesced_snapshots_are_gone_from_8_1(pool: PoolView) -> None:
    assert Capability.SNAPSHOT_QUIESCE not in pool.hv.capabilities
    with pytest.raises(NotSupported):
        pool.hv.snapshot(pool.vm("web-02").id, "q", "", TaskContext(), quiesce=True)


def test_snapshot_without_a_description_does_not_inherit_the_vms(pool: PoolView) -> None:
    vm = pool.vm("web-02")
    pool.hv.rename(vm.id, vm.name, TaskContext(), description="of the VM")
    assert pool.hv.snapshot(vm.id, "s", "", TaskContext()).description == ""


def test_subtree_of_snapshots_is_deleted_with_its_disks(pool: PoolView) -> None:
    vm = pool.vm("erp-test")
    with pool.lab.world.lock:
        before = set(pool.lab.world.disks)
    ctx = TaskContext()
    first = pool.hv.snapshot(vm.id, "first", "", ctx)
    second = pool.hv.snapshot(vm.id, "second", "", ctx)
    third = pool.hv.snapshot(vm.id, "third", "", ctx, memory=False)
    pool.until(vm.id, lambda seen: len(seen.snapshots) == 3)
    pool.hv.delete_snapshot(vm.id, second.id, ctx, children=True)
    seen = pool.until(vm.id, lambda seen: len(seen.snapshots) == 1)
    assert [s.id for s in seen.snapshots] == [first.id]
    assert third.id not in {s.id for s in seen.snapshots}
    pool.hv.delete_snapshot(vm.id, first.id, ctx)
    with pool.lab.world.lock:
        assert set(pool.lab.world.disks) == before


def test_half_made_vm_is_removed(pool: PoolView) -> None:
    template = next(vm for vm in pool.inventory.vms.values() if vm.kind is VmKind.DEFAULT_TEMPLATE)
    pool.lab.world.faults.add(FaultRule(method="*VM.provision", effect=Effect.FAULT, code="SR_BACKEND_FAILURE_44"))
    with pool.lab.world.lock:
        before = set(pool.lab.world.vms), set(pool.lab.world.disks)
    with pytest.raises(HvError):
        pool.hv.create_vm(CreateVm(name="half", template_id=template.id), TaskContext())
    with pool.lab.world.lock:
        assert (set(pool.lab.world.vms), set(pool.lab.world.disks)) == before


@pytest.mark.parametrize(
    "spec",
    [
        CreateVm(name="x"),
        CreateVm(name="", template_id=ObjectId("t")),
        CreateVm(name="a\x00", template_id=ObjectId("t")),
        CreateVm(name="x", template_id=ObjectId("t"), vcpus=0),
        CreateVm(name="x", template_id=ObjectId("t"), memory_bytes=1),
        CreateVm(name="x", template_id=ObjectId("t"), generation=2),
        CreateVm(name="x", template_id=ObjectId("t"), guest_os="debian"),
        CreateVm(name="x", template_id=ObjectId("t"), disk_thin=False),
    ],
)
def test_what_cannot_be_created_is_refused_before_anything_is_sent(pool: PoolView, spec: CreateVm) -> None:
    with pytest.raises(InvalidInput):
        pool.hv.create_vm(spec, TaskContext())


def test_created_with_disk_cd_and_place(pool: PoolView) -> None:
    template = next(vm for vm in pool.inventory.vms.values() if vm.kind is VmKind.DEFAULT_TEMPLATE)
    storage = next(s for s in pool.inventory.storages.values() if s.shared and not s.holds_iso)
    iso, _label = pool.hv.creation_choices().isos[0]
    host_id = sorted(pool.inventory.hosts)[0]
    made = pool.hv.create_vm(
        CreateVm(
            name="full",
            template_id=template.id,
            disk_bytes=5 << 30,
            storage_id=storage.id,
            host_id=host_id,
            iso=iso,
        ),
        TaskContext(),
    )
    vm = pool.until(made, lambda seen: len(seen.disks) >= 2)
    disks = [disk for disk in vm.disks if not disk.is_cd]
    assert [(disk.size_bytes, disk.storage_id) for disk in disks] == [(5 << 30, storage.id)]
    assert [disk.id for disk in vm.disks if disk.is_cd] == [iso]
    assert vm.home_id == host_id
    assert vm.power is PowerState.HALTED


def test_template_with_disks_of_its_own(pool: PoolView) -> None:
    template = next(vm for vm in pool.inventory.vms.values() if vm.kind is VmKind.TEMPLATE)
    with pytest.raises(InvalidInput, match="own disks"):
        pool.hv.create_vm(CreateVm(name="x", template_id=template.id, disk_bytes=1 << 30), TaskContext())
    storage = next(s for s in pool.inventory.storages.values() if s.shared and not s.holds_iso)
    made = pool.hv.create_vm(CreateVm(name="own", template_id=template.id, storage_id=storage.id), TaskContext())
    vm = pool.until(made, lambda seen: seen.disks)
    assert vm.kind is VmKind.VM
    assert {disk.storage_id for disk in vm.disks if not disk.is_cd} == {storage.id}


def test_template_without_any_disk(pool: PoolView) -> None:
    template = next(vm for vm in pool.inventory.vms.values() if vm.name == "Other install media")
    iso, _label = pool.hv.creation_choices().isos[0]
    made = pool.hv.create_vm(
        CreateVm(name="bare", template_id=template.id, disk_bytes=1 << 30, vcpus=4, iso=iso), TaskContext()
    )
    vm = pool.until(made, lambda seen: len(seen.disks) == 2 and seen.vcpus == 4)
    assert sorted((disk.is_cd, disk.size_bytes) for disk in vm.disks if not disk.is_cd) == [(False, 1 << 30)]


def test_vm_started_right_after_its_creation(pool: PoolView) -> None:
    template = next(vm for vm in pool.inventory.vms.values() if vm.kind is VmKind.TEMPLATE)
    made = pool.hv.create_vm(CreateVm(name="now", template_id=template.id, start=True), TaskContext())
    pool.until(made, lambda seen: seen.power is PowerState.RUNNING)


def test_maintenance_that_cannot_move_every_vm_names_them_and_changes_nothing(pool: PoolView) -> None:
    host = next(host for host in pool.inventory.hosts.values() if not host.is_master)
    pool.lab.world.faults.add(
        FaultRule(method="*host.evacuate", effect=Effect.FAULT, code="CANNOT_EVACUATE_HOST", params=("VM_REQUIRES_SR",))
    )
    with pytest.raises(Refused):
        pool.hv.enter_maintenance(host.id, TaskContext())
    with pool.lab.world.lock:
        assert pool.lab.world.hosts[host.id].enabled


def test_names_of_a_hundred_thousand_characters(pool: PoolView) -> None:
    vm = pool.vm("web-02")
    name = "漢" * 100_000
    pool.hv.rename(vm.id, name, TaskContext())
    assert pool.until(vm.id, lambda seen: len(seen.name) == 100_000).name == name


def test_two_stations_at_once_one_is_told_to_wait(pool: PoolView) -> None:
    vm = pool.vm("web-02")
    pool.lab.world.timing.suspend = 1.0
    other = pool.rescuer.log_in(0, emergency=False)
    other.watch(10)
    suspending = threading.Thread(target=lambda: pool.hv.suspend(vm.id, TaskContext()))
    suspending.start()
    pool.until(vm.id, lambda seen: seen.operations)
    busy = pool.inventory.vms[vm.id]
    assert "in progress" in busy.refusals[Verb.SNAPSHOT]
    with pytest.raises(HvError):
        other.reboot(vm.id, TaskContext())
    suspending.join(15)
    pool.until(vm.id, lambda seen: seen.power is PowerState.SUSPENDED)


def test_forty_snapshots_from_eight_threads(pool: PoolView) -> None:
    vms = [vm for vm in pool.inventory.vms.values() if vm.kind is VmKind.VM and vm.power is PowerState.RUNNING][:24]
    pool.lab.world.timing.snapshot = 0.2
    errors: list[BaseException] = []
    queue = list(vms)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not queue:
                    return
                vm = queue.pop()
            try:
                search = pool.hv.find_snapshots(vm.id, "storm")
                assert not search.found
                assert not search.running
                pool.hv.snapshot(vm.id, "storm", "", TaskContext())
            except (HvError, AssertionError) as exc:
                errors.append(exc)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with pool.lab.world.lock:
        taken = [s.vm_id for s in pool.lab.world.snapshots.values() if s.name == "storm"]
    assert sorted(taken) == sorted(vm.id for vm in vms)


def test_cards_of_a_host_whose_server_measures_none(pool: PoolView, monkeypatch: pytest.MonkeyPatch) -> None:
    real = XenSession.call

    def call(session: XenSession, method: str, *params: Any, **options: Any) -> Any:
        if method.startswith("PIF_metrics."):
            raise NotSupported("no", code="MESSAGE_METHOD_UNKNOWN")
        return real(session, method, *params, **options)

    monkeypatch.setattr(XenSession, "call", call)
    host = next(iter(pool.inventory.hosts))
    assert pool.hv.host_info(host).nics
    assert pool.hv.network_map(host).links


@pytest.mark.parametrize("made", [True, False])
def test_snapshot_whose_task_was_collected_is_looked_for(
    pool: PoolView, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    """A busy pool removes finished tasks before everybody has read them."""
    vm = pool.vm("web-02")
    old = pool.hv.snapshot(vm.id, "twice", "", TaskContext())
    pool.until(vm.id, lambda vm: [s.name for s in vm.snapshots] == ["twice"])
    real = XenSession.call
    collected: list[str] = []

    def call(session: XenSession, method: str, *params: Any, **options: Any) -> Any:
        if method == "Async.VM.snapshot":
            collected.append("")
            if made:
                real(session, "VM.snapshot", *params, **options)
            return "OpaqueRef:collected"
        return real(session, method, *params, **options)

    monkeypatch.setattr(XenSession, "call", call)
    if made:
        new = pool.hv.snapshot(vm.id, "twice", "what for", TaskContext())
        assert (new.name, new.description) == ("twice", "what for")
        assert new.id != old.id
    else:
        with pytest.raises(OutcomeUnknown):
            pool.hv.snapshot(vm.id, "twice", "what for", TaskContext())
    assert len(collected) == 1


def test_who_cannot_be_moved_away_is_counted_right(pool: PoolView, monkeypatch: pytest.MonkeyPatch) -> None:
    real = XenSession.call

    def call(session: XenSession, method: str, *params: Any, **options: Any) -> Any:
        if method == "host.get_vms_which_prevent_evacuation":
            return {"OpaqueRef:x": ["VM_REQUIRES_SR", "OpaqueRef:vm", "OpaqueRef:sr"]}
        return real(session, method, *params, **options)

    monkeypatch.setattr(XenSession, "call", call)
    host = next(host for host in pool.inventory.hosts.values() if not host.is_master)
    with pytest.raises(Refused, match=r"^1 VM can't be moved away: ") as caught:
        pool.hv.enter_maintenance(host.id, TaskContext())
    assert "no access to a storage" in caught.value.user_text
    assert "VM_REQUIRES_SR" in caught.value.detail


@pytest.mark.parametrize("automatic", [True, False])
def test_a_snapshot_whose_description_is_refused_is_there_all_the_same(pool: PoolView, automatic: bool) -> None:
    vm = pool.vm("web-02")
    pool.lab.world.faults.add(
        FaultRule(method="*VM.set_name_description", effect=Effect.FAULT, code="RBAC_PERMISSION_DENIED")
    )
    if automatic:
        made = pool.hv.snapshot(vm.id, "Network_Down", f"{AUTOMATIC_MARK} lost", TaskContext())
        assert made.name == "Network_Down"
    else:
        with pytest.raises(Refused, match="The snapshot was taken, but"):
            pool.hv.snapshot(vm.id, "mine", "why", TaskContext())
    pool.until(vm.id, lambda vm: len(vm.snapshots) == 1)
