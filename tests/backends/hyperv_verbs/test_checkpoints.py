"""Checkpoints of Hyper-V: taken, named, applied, deleted, and whose they are."""

from __future__ import annotations

import pytest

from hvconsole.backends.base import Capability, TaskContext
from hvconsole.backends.hyperv import HypervHost
from hvconsole.errors import (
    Busy,
    InvalidInput,
    NoSpace,
    NotSupported,
    OutcomeUnknown,
    Refused,
    ToolsMissing,
)
from hvconsole.lab import snapshots as lab_snapshots
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.model import Inventory, PowerState, Verb
from tests.backends.hyperv_lab import HypervLab, first
from tests.backends.hyperv_verbs.looking import named, seen


class TestCheckpoints:
    def test_a_running_vm_is_turned_off_before_one_is_applied(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-web01")
        hv.revert(vm.id, vm.snapshots[0].id, ctx)
        after = seen(hv, vm.id)
        assert after.power is PowerState.HALTED
        assert after.current_snapshot_id == vm.snapshots[0].id

    def test_one_with_memory_comes_back_saved(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-dc01")
        taken = hv.snapshot(vm.id, "live", "", ctx, memory=True)
        assert taken.with_memory
        hv.revert(vm.id, taken.id, ctx)
        assert seen(hv, vm.id).power is PowerState.SUSPENDED

    def test_a_subtree_goes_at_once(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-web01")
        hv.delete_snapshot(vm.id, vm.snapshots[0].id, ctx, children=True)
        assert seen(hv, vm.id).snapshots == ()

    def test_quiesced_needs_the_guest(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        assert not hv.snapshot(named(inventory, "zrh-dc01").id, "production", "", ctx, quiesce=True).with_memory
        with pytest.raises(ToolsMissing):
            hv.snapshot(named(inventory, "zrh-fw").id, "x", "", ctx, quiesce=True)
        with pytest.raises(InvalidInput):
            hv.snapshot(named(inventory, "zrh-dc01").id, "x", "", ctx, quiesce=True, memory=True)

    def test_the_vms_own_kind_is_put_back(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-dc01")
        assert hv.snapshot(vm.id, "standard", "", ctx, memory=True).with_memory
        assert hosts.vm("zrh-dc01").extra.get("snapshot_type", 3) == 3
        hosts.world.faults.add(FaultRule(method="*.CreateSnapshot", effect=Effect.FAULT, code="32768"))
        with pytest.raises(Refused):
            hv.snapshot(vm.id, "x", "", ctx, quiesce=True)
        assert hosts.vm("zrh-dc01").extra.get("snapshot_type", 3) == 3

    def test_2012_r2_knows_no_kinds(self, hosts: HypervLab, ctx: TaskContext) -> None:
        hosts.server.site.extra["old"] = True
        hv = hosts.log_in()
        vm = named(first(hv), "zrh-dc01")
        assert Capability.SNAPSHOT_QUIESCE not in hv.capabilities
        with pytest.raises(NotSupported):
            hv.snapshot(vm.id, "x", "", ctx, quiesce=True)
        assert hv.snapshot(vm.id, "y", "", ctx).name == "y"

    def test_switched_off_for_the_vm(self, hosts: HypervLab, hv: HypervHost, ctx: TaskContext) -> None:
        with hosts.world.lock:
            hosts.vm("zrh-dc01").extra["snapshot_type"] = 2
        vm = named(first(hv), "zrh-dc01")
        assert "switched off" in vm.refusals[Verb.SNAPSHOT]
        with pytest.raises(Busy):
            hv.snapshot(vm.id, "x", "", ctx)

    def test_one_question_before_the_request_leaves(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        asked = dict(hosts.server.service.statistics.counts)
        rule = hosts.world.faults.add(
            FaultRule(method="Msvm_VirtualSystemSnapshotService.CreateSnapshot", effect=Effect.FAULT, code="32775")
        )
        with pytest.raises(Busy):
            hv.snapshot(named(inventory, "zrh-dc01").id, "x", "", ctx)
        now = hosts.server.service.statistics.counts
        assert rule.seen == 1
        assert {name: now[name] - asked.get(name, 0) for name in now if now[name] != asked.get(name, 0)} == {
            "Msvm_VirtualSystemSnapshotService.CreateSnapshot": 1
        }

    def test_without_help_from_the_job_it_is_the_new_one(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-web01")
        hosts.world.faults.add(FaultRule(method="Enumerate", effect=Effect.FAULT, code="0x80041055", max_count=1))
        taken = hv.snapshot(vm.id, "third", "", ctx)
        assert taken.name == "third"
        assert {snapshot.name for snapshot in seen(hv, vm.id).snapshots} == {"before upgrade", "after upgrade", "third"}

    def test_after_a_lost_answer_it_is_named_but_not_asked_for_again(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hosts.world.timing.snapshot = 0.6
        rule = hosts.world.faults.add(FaultRule(method="*.CreateSnapshot", effect=Effect.DROP_AFTER))
        vm = named(inventory, "zrh-dc01")
        with pytest.raises(OutcomeUnknown):
            hv.snapshot(vm.id, "lost", "why", ctx)
        assert rule.seen == 1
        assert [(s.name, s.description) for s in hosts.world.snapshots_of(vm.id)] == [("lost", "why")]

    def test_a_busy_service_gets_the_name_a_moment_later(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hosts.world.faults.add(
            FaultRule(method="*.ModifySystemSettings", effect=Effect.FAULT, code="32775", max_count=1)
        )
        assert hv.snapshot(named(inventory, "zrh-dc01").id, "named late", "", ctx).name == "named late"

    def test_one_that_is_not_named_yet_counts_as_running(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory
    ) -> None:
        vm = named(inventory, "zrh-dc01")
        lab_snapshots.take(hosts.world, vm.id, "zrh-dc01 - (11/23/2026 - 08:00:00 AM)")
        search = hv.find_snapshots(vm.id, "Network_Down x")
        assert search.running
        assert search.found == ()
        lab_snapshots.take(hosts.world, vm.id, "Network_Down x")
        assert len(hv.find_snapshots(vm.id, "Network_Down x").found) == 1

    def test_those_of_backups_and_replicas_are_only_shown(
        self, hosts: HypervLab, hv: HypervHost, ctx: TaskContext
    ) -> None:
        vm_id = hosts.vm("zrh-dc01").id
        made = lab_snapshots.take(hosts.world, vm_id, "zrh-dc01 - Backup - (11/23/2026 - 08:00:00 AM)")
        with hosts.world.lock:
            hosts.world.snapshot(made).extra["kind"] = "Microsoft:Hyper-V:Snapshot:Recovery"
            hosts.world.snapshot(made).description = "[hvconsole automatic snapshot] not really"
        vm = named(first(hv), "zrh-dc01")
        shown = next(snapshot for snapshot in vm.snapshots if "Backup" in snapshot.name)
        assert shown.description.startswith("Recovery checkpoint of a backup")
        assert not shown.automatic
        with pytest.raises(Refused, match="backup"):
            hv.delete_snapshot(vm.id, shown.id, ctx)
        with pytest.raises(Refused, match="backup"):
            hv.revert(vm.id, shown.id, ctx)
        assert vm.power is PowerState.RUNNING
        assert seen(hv, vm.id).power is PowerState.RUNNING

    def test_a_backup_at_the_same_moment_keeps_its_checkpoint(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-dc01")
        made = lab_snapshots.take(hosts.world, vm.id, "zrh-dc01 - Backup - (11/23/2026 - 08:00:00 AM)")
        with hosts.world.lock:
            hosts.world.snapshot(made).extra["kind"] = "Microsoft:Hyper-V:Snapshot:Recovery"
        hosts.world.faults.add(FaultRule(method="*.CreateSnapshot", effect=Effect.DROP_BEFORE))
        with pytest.raises(OutcomeUnknown):
            hv.snapshot(vm.id, "lost", "why", ctx)
        assert [snapshot.name for snapshot in hosts.world.snapshots_of(vm.id)] == [
            "zrh-dc01 - Backup - (11/23/2026 - 08:00:00 AM)"
        ]

    def test_full_volume(self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext) -> None:
        hosts.world.faults.add(
            FaultRule(
                method="snapshot",
                effect=Effect.FAULT,
                code="32768",
                params=("Nicht genügend Speicherplatz. (0x80070070)",),
            )
        )
        with pytest.raises(NoSpace) as caught:
            hv.snapshot(named(inventory, "zrh-dc01").id, "x", "", ctx)
        assert "0x80070070" in caught.value.detail
