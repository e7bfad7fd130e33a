"""Jobs and power of Hyper-V VMs: progress, refusals, lost answers."""

from __future__ import annotations

import threading

import pytest

from hvconsole.backends.base import CreateVm, TaskContext
from hvconsole.backends.hyperv import HypervHost
from hvconsole.errors import (
    BadPowerState,
    Busy,
    HvError,
    NoSpace,
    OutcomeUnknown,
    Refused,
    TaskCancelled,
    TaskTimeout,
    ToolsMissing,
)
from hvconsole.lab import power as lab_power
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.model import Inventory
from tests.backends.hyperv_lab import HypervLab
from tests.backends.hyperv_verbs.looking import named


class TestJobs:
    def test_a_job_that_is_gone_has_an_unknown_outcome(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hosts.server.jobs.kept_s = -1.0
        with pytest.raises(OutcomeUnknown, match="forgotten"):
            hv.start(named(inventory, "zrh-test01").id, ctx)

    def test_after_a_lost_answer_the_vm_is_looked_at_again(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        rule = hosts.world.faults.add(FaultRule(method="*.RequestStateChange", effect=Effect.DROP_AFTER))
        with pytest.raises(OutcomeUnknown) as caught:
            hv.pause(named(inventory, "zrh-web01").id, ctx)
        assert rule.seen == 1
        assert caught.value.user_text.endswith("The VM is paused now.")

    def test_a_host_that_is_away_for_a_moment(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hosts.world.timing.suspend = 0.5
        hosts.world.faults.add(FaultRule(method="Get", effect=Effect.DROP_BEFORE, max_count=3))
        hv.suspend(named(inventory, "zrh-dc01").id, ctx)
        assert hosts.vm("zrh-dc01").power == "suspended"

    def test_cancelled_on_the_host(self, hosts: HypervLab, hv: HypervHost, inventory: Inventory) -> None:
        hosts.world.timing.suspend = 30
        ctx = TaskContext()
        timer = threading.Timer(0.3, ctx.cancel)
        timer.start()
        with pytest.raises(TaskCancelled):
            hv.suspend(named(inventory, "zrh-dc01").id, ctx)
        timer.join()
        assert hosts.vm("zrh-dc01").power == "running"
        assert not hosts.vm("zrh-dc01").operations

    def test_cancelled_before_it_is_sent(self, hosts: HypervLab, hv: HypervHost, inventory: Inventory) -> None:
        ctx = TaskContext()
        ctx.cancel()
        with pytest.raises(TaskCancelled):
            hv.snapshot(named(inventory, "zrh-dc01").id, "x", "", ctx)
        assert "Msvm_VirtualSystemSnapshotService.CreateSnapshot" not in hosts.server.service.statistics.counts

    def test_storage_jobs_are_followed_by_their_own_reference(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hosts.world.timing.create = 0.3
        hv.create_vm(CreateVm(name="x", disk_bytes=1 << 30), ctx)
        assert [job.class_name for job in hosts.server.jobs.all() if job.name == "create disk"] == ["Msvm_StorageJob"]

    def test_close_ends_whoever_waits_for_a_job(self, hosts: HypervLab, hv: HypervHost, inventory: Inventory) -> None:
        hosts.world.timing.suspend = 30
        caught: list[HvError] = []

        def work() -> None:
            try:
                hv.suspend(named(inventory, "zrh-dc01").id, TaskContext())
            except HvError as exc:
                caught.append(exc)

        thread = threading.Thread(target=work)
        thread.start()
        threading.Event().wait(0.6)
        hv.close()
        thread.join(3)
        assert not thread.is_alive()
        assert caught


class TestPower:
    def test_already_there_is_success(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hv.start(named(inventory, "zrh-dc01").id, ctx)
        hv.power_off(named(inventory, "zrh-test01").id, ctx)
        hv.shutdown(named(inventory, "zrh-test01").id, ctx)
        hv.pause(named(inventory, "zrh-legacy").id, ctx)
        hv.suspend(named(inventory, "zrh-build").id, ctx)
        assert not [name for name in hosts.server.service.statistics.counts if "RequestStateChange" in name]

    def test_somebody_else_was_faster(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-test01")
        hosts.world.faults.add(
            FaultRule(method="Msvm_ComputerSystem.RequestStateChange", effect=Effect.FAULT, code="32775", delay_s=0.2)
        )
        timer = threading.Timer(0.1, lambda: lab_power.start(hosts.world, vm.id))
        timer.start()
        hv.start(vm.id, ctx)
        timer.join()
        with pytest.raises(BadPowerState):
            hv.suspend(vm.id, ctx)

    def test_a_guest_that_boots_cannot_be_asked_yet(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hosts.world.timing.boot = 60
        vm = named(inventory, "zrh-test01")
        hv.start(vm.id, ctx)
        with pytest.raises(ToolsMissing):
            hv.shutdown(vm.id, ctx)

    def test_a_guest_that_does_not_react(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hvconsole.backends.hyperv_power.GUEST_SHUTDOWN_S", 0.3)
        monkeypatch.setattr("hvconsole.backends.hyperv_power.GUEST_REBOOT_S", 0.3)
        with hosts.world.lock:
            hosts.vm("zrh-dc01").guest.ignores_shutdown = True
        vm = named(inventory, "zrh-dc01")
        for verb in (hv.shutdown, hv.reboot):
            with pytest.raises(TaskTimeout):
                verb(vm.id, ctx)
        assert hosts.vm("zrh-dc01").power == "running"

    def test_nobody_waits_for_a_guest_any_more(self, hosts: HypervLab, hv: HypervHost, inventory: Inventory) -> None:
        hosts.world.timing.shutdown = 30
        ctx = TaskContext()
        timer = threading.Timer(0.3, ctx.cancel)
        timer.start()
        with pytest.raises(TaskTimeout):
            hv.shutdown(named(inventory, "zrh-dc01").id, ctx)
        timer.join()

    def test_a_locked_guest(self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext) -> None:
        hosts.world.faults.add(FaultRule(method="Msvm_ShutdownComponent.*", effect=Effect.FAULT, code="32781"))
        with pytest.raises(Busy, match="locked"):
            hv.shutdown(named(inventory, "zrh-dc01").id, ctx)

    def test_not_enough_memory(self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext) -> None:
        with hosts.world.lock:
            hosts.vm("zrh-test01").memory_bytes = 1 << 50
        with pytest.raises((NoSpace, Refused)):
            hv.start(named(inventory, "zrh-test01").id, ctx)
