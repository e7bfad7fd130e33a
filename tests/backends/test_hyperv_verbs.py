"""Verbs that only Hyper-V has, or has in its own way: what the user gets, and what the host is left with."""

from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from hvconsole.backends.base import Capability, CreateVm, TaskContext
from hvconsole.backends.hyperv import HypervHost
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.hyperv_move import MoveVerbs
from hvconsole.backends.hyperv_read import Reader
from hvconsole.backends.wsman_envelope import Epr
from hvconsole.backends.wsman_reply import Record
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    BadPowerState,
    Busy,
    HvError,
    InvalidInput,
    NoSpace,
    NotFound,
    NotSupported,
    OutcomeUnknown,
    PermissionDenied,
    Refused,
    TaskCancelled,
    TaskTimeout,
    ToolsMissing,
)
from hvconsole.lab import power as lab_power
from hvconsole.lab import snapshots as lab_snapshots
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.hyperv import naming
from hvconsole.lab.sites import Identity
from hvconsole.model import Inventory, ObjectId, PowerState, Verb, Vm

from .hyperv_lab import HypervLab, first, hyperv_lab


@pytest.fixture
def hosts(lab_identity: Identity) -> Iterator[HypervLab]:
    with hyperv_lab(lab_identity) as running:
        yield running


@pytest.fixture
def hv(hosts: HypervLab) -> HypervHost:
    return hosts.log_in()


@pytest.fixture
def inventory(hv: HypervHost) -> Inventory:
    return first(hv)


@pytest.fixture
def ctx() -> TaskContext:
    return TaskContext()


def named(inventory: Inventory, name: str) -> Vm:
    return next(vm for vm in inventory.vms.values() if vm.name == name)


def seen(hv: HypervHost, vm_id: ObjectId) -> Vm:
    hv.refresh()
    shown = hv.watch(5)
    assert shown is not None
    return shown.vms[vm_id]


class TestCreate:
    def test_generation_2_with_disk_and_card(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        lan = next(network for network in inventory.networks.values() if network.name == "Zurich LAN")
        made = hv.create_vm(
            CreateVm(
                name="new <one>/..\\x",
                description="line 1\nline 2",
                vcpus=4,
                memory_bytes=6 << 30,
                disk_bytes=20 << 30,
                network_id=lan.id,
                start=True,
            ),
            ctx,
        )
        vm = seen(hv, made)
        assert (vm.name, vm.description) == ("new <one>/..\\x", "line 1\nline 2")
        assert (vm.vcpus, vm.memory_bytes, vm.power) == (4, 6 << 30, PowerState.RUNNING)
        assert [nic.network_id for nic in vm.nics] == [lan.id]
        assert len(vm.disks) == 1
        assert vm.disks[0].name.startswith("D:\\Hyper-V\\Virtual Hard Disks\\new _one_")
        details = hv.details(made)
        assert details.disks[0].size_bytes == 20 << 30
        assert ("Generation", "2") in details.facts

    def test_generation_1_on_an_existing_disk_with_a_cd(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        with hosts.world.lock:
            vm = hosts.vm("zrh-test01")
            disk = hosts.world.disks[vm.drives[0].disk_id or ""]
            path = naming.disk_path(disk)
            iso = next(naming.disk_path(d) for d in hosts.world.disks.values() if d.is_iso)
        made = hv.create_vm(CreateVm(name="old", generation=1, existing_disk=path, iso=iso), ctx)
        shown = seen(hv, made)
        assert [(d.name, d.is_cd) for d in shown.disks] == [(path, False), (iso, True)]
        assert hv.details(made).disks[0].shared_with == ("zrh-test01",)
        assert shown.disks[0].shared_with == ("zrh-test01",)
        assert seen(hv, ObjectId(vm.id)).disks[0].shared_with == ("old",)

    def test_a_half_made_vm_is_taken_away(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        with hosts.world.lock:
            before = set(hosts.world.vms), set(hosts.world.disks)
        with pytest.raises(HvError):
            hv.create_vm(
                CreateVm(name="x", disk_bytes=1 << 30, network_id=ObjectId("00000000-0000-4000-8000-000000000000")), ctx
            )
        with hosts.world.lock:
            assert (set(hosts.world.vms), set(hosts.world.disks)) == before

    def test_a_disk_whose_answer_was_lost_is_taken_away_too(
        self, hosts: HypervLab, hv: HypervHost, ctx: TaskContext
    ) -> None:
        with hosts.world.lock:
            before = set(hosts.world.vms), set(hosts.world.disks)
        rule = hosts.world.faults.add(FaultRule(method="*.CreateVirtualHardDisk", effect=Effect.DROP_AFTER))
        with pytest.raises(OutcomeUnknown):
            hv.create_vm(CreateVm(name="x", disk_bytes=1 << 30), ctx)
        assert rule.seen == 1
        with hosts.world.lock:
            assert (set(hosts.world.vms), set(hosts.world.disks)) == before

    @pytest.mark.parametrize(
        "spec",
        [
            CreateVm(name=" "),
            CreateVm(name="a\x07"),
            CreateVm(name="x", memory_bytes=(1 << 30) + 1),
            CreateVm(name="x", generation=3),
            CreateVm(name="x", template_id=ObjectId("t")),
            CreateVm(name="x", nic_type="e1000"),
            CreateVm(name="x", network_id=ObjectId("' OR 1=1")),
            CreateVm(name="x", vcpus=0),
        ],
    )
    def test_what_makes_no_sense_is_refused_before_anything_is_asked(
        self, hosts: HypervLab, hv: HypervHost, ctx: TaskContext, spec: CreateVm
    ) -> None:
        with pytest.raises(InvalidInput):
            hv.create_vm(spec, ctx)
        assert "Msvm_VirtualSystemManagementService.DefineSystem" not in hosts.server.service.statistics.counts

    def test_on_a_chosen_volume_and_fixed(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        made = hv.create_vm(CreateVm(name="c", disk_bytes=1 << 30, disk_thin=False, storage_id=ObjectId("C:")), ctx)
        assert seen(hv, made).disks[0].name.startswith("C:\\c_")
        with pytest.raises(InvalidInput):
            hv.create_vm(CreateVm(name="c", disk_bytes=1 << 30, storage_id=ObjectId("nas")), ctx)
        hosts.world.timing.create = 0.2

    def test_a_host_that_does_not_name_what_it_added(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = Jobs.run

        def nameless(jobs: Jobs, target: Epr, method: str, *rest: Any, **more: Any) -> Record:
            output = original(jobs, target, method, *rest, **more)
            return Record(ET.Element("x")) if method == "AddResourceSettings" else output

        monkeypatch.setattr(Jobs, "run", nameless)
        made = hv.create_vm(CreateVm(name="c", disk_bytes=1 << 30, network_id=next(iter(inventory.networks))), ctx)
        shown = seen(hv, made)
        assert len(shown.disks) == 1
        assert shown.nics[0].network_id

    def test_paths_must_be_windows_paths(self, hv: HypervHost, ctx: TaskContext) -> None:
        for path in ("/etc/passwd", "disk.vhdx", "D:\\a*b.vhdx", "http://x/y"):
            with pytest.raises(InvalidInput):
                hv.create_vm(CreateVm(name="x", existing_disk=path), ctx)


class TestDelete:
    def test_files_go_and_shared_ones_stay(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        path = named(inventory, "zrh-test01").disks[0].name
        made = hv.create_vm(CreateVm(name="second user", existing_disk=path, disk_bytes=None), ctx)
        hv.delete_vm(named(inventory, "zrh-test01").id, ctx)
        with hosts.world.lock:
            assert path in [naming.disk_path(disk) for disk in hosts.world.disks.values()]
        hv.delete_vm(made, ctx)
        with hosts.world.lock:
            assert path not in [naming.disk_path(disk) for disk in hosts.world.disks.values()]

    def test_the_parent_of_somebodys_differencing_disk_stays(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        path = named(inventory, "zrh-test01").disks[0].name
        with hosts.world.lock:
            child = hosts.world.disks[hosts.vm("zrh-dc01").drives[0].disk_id or ""]
            child.extra["parent"] = path
        hv.delete_vm(named(inventory, "zrh-test01").id, ctx)
        with hosts.world.lock:
            assert path in [naming.disk_path(disk) for disk in hosts.world.disks.values()]

    @pytest.mark.parametrize("code", ["0x80041001", "4096", "32769"])
    def test_in_doubt_about_the_disks_of_others_files_stay(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext, code: str
    ) -> None:
        hosts.world.faults.add(FaultRule(method="*.GetVirtualHardDiskSettingData", effect=Effect.FAULT, code=code))
        vm = named(inventory, "zrh-test01")
        with pytest.raises(Refused) as caught:
            hv.delete_vm(vm.id, ctx)
        assert f"{vm.disks[0].name} (kept" in caught.value.detail
        with hosts.world.lock:
            assert vm.disks[0].name in [naming.disk_path(disk) for disk in hosts.world.disks.values()]
        assert vm.id not in hosts.world.vms

    def test_a_missing_file_of_others_is_no_doubt(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hosts.world.faults.add(FaultRule(method="*.GetVirtualHardDiskSettingData", effect=Effect.FAULT, code="32779"))
        vm = named(inventory, "zrh-test01")
        hv.delete_vm(vm.id, ctx)
        with hosts.world.lock:
            assert vm.disks[0].name not in [naming.disk_path(disk) for disk in hosts.world.disks.values()]

    def test_files_that_cannot_go_are_named(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hosts.world.faults.add(FaultRule(method="CIM_DataFile.Delete", effect=Effect.FAULT, code="2"))
        vm = named(inventory, "zrh-test01")
        with pytest.raises(Refused) as caught:
            hv.delete_vm(vm.id, ctx)
        assert vm.disks[0].name in caught.value.detail
        assert "access denied" in caught.value.detail
        assert vm.id not in hosts.world.vms

    def test_what_other_hosts_may_use_stays_and_is_named(self, hosts: HypervLab, ctx: TaskContext) -> None:
        with hosts.world.lock:
            disk = hosts.world.disks[hosts.vm("zrh-test01").drives[0].disk_id or ""]
            disk.extra.update(shared=True, path="C:\\ClusterStorage\\Volume1\\guest-cluster.vhdx")
        hv = hosts.log_in()
        vm = named(first(hv), "zrh-test01")
        assert (vm.disks[0].storage, vm.disks[0].storage_id) == ("C:\\ClusterStorage\\Volume1", None)
        with pytest.raises(Refused) as caught:
            hv.delete_vm(vm.id, ctx)
        assert "guest-cluster.vhdx (kept: other hosts" in caught.value.detail
        with hosts.world.lock:
            assert disk.id in hosts.world.disks
            assert vm.id not in hosts.world.vms

    def test_a_disk_on_a_share_is_named(self, hosts: HypervLab, ctx: TaskContext) -> None:
        with hosts.world.lock:
            disk = hosts.world.disks[hosts.vm("zrh-test01").drives[0].disk_id or ""]
            disk.extra.update(path="\\\\filer\\vms\\test01.vhdx")
        hv = hosts.log_in()
        vm = named(first(hv), "zrh-test01")
        assert vm.disks[0].storage == "\\\\filer\\vms"
        with pytest.raises(Refused) as caught:
            hv.delete_vm(vm.id, ctx)
        assert "test01.vhdx (on a share" in caught.value.detail
        assert vm.id not in hosts.world.vms


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


class TestMove:
    def test_export_and_import_of_a_folder(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-test01")
        lan = next(iter(inventory.networks))
        hv.export_vm(vm.id, Path("D:\\Exports"), ctx)
        made = hv.import_vm(Path("D:\\Exports\\zrh-test01"), ctx, name="came back", network_id=lan)
        shown = seen(hv, made)
        assert (shown.name, shown.power, shown.vcpus) == ("came back", PowerState.HALTED, vm.vcpus)
        assert shown.id != vm.id
        assert len(shown.disks) == 1
        assert shown.nics[0].network_id == lan

    def test_import_of_a_file_that_is_not_there(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        before = set(hosts.world.vms)
        for path in ("D:\\nothing.vmcx", "D:\\nothing"):
            with pytest.raises((NotFound, InvalidInput)):
                hv.import_vm(Path(path), ctx)
        assert set(hosts.world.vms) == before

    def test_a_failed_import_leaves_nothing(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        hv.export_vm(named(inventory, "zrh-test01").id, Path("D:\\Exports"), ctx)
        before = set(hosts.world.vms)
        hosts.world.faults.add(FaultRule(method="*.RealizePlannedSystem", effect=Effect.FAULT, code="32768"))
        with pytest.raises(Refused):
            hv.import_vm(Path("D:\\Exports\\zrh-test01"), ctx)
        assert set(hosts.world.vms) == before

    def test_import_where_folders_are_not_shown(self, hosts: HypervLab, hv: HypervHost, ctx: TaskContext) -> None:
        hosts.world.faults.add(FaultRule(method="Enumerate", effect=Effect.FAULT, code="0x8033801A"))
        with pytest.raises(InvalidInput, match=r"path of its \.vmcx"):
            hv.import_vm(Path("D:\\Exports\\zrh-test01"), ctx)

    def test_local_paths_are_refused_with_a_word(self, hv: HypervHost, inventory: Inventory, ctx: TaskContext) -> None:
        for path in (PurePosixPath("/home/me/x"), Path("x")):
            with pytest.raises(InvalidInput, match="path on the Hyper-V host"):
                hv.export_vm(named(inventory, "zrh-test01").id, Path(str(path)), ctx)

    def test_a_share_needs_a_login_that_can_be_passed_on(
        self, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        with pytest.raises(PermissionDenied, match="CredSSP"):
            hv.export_vm(named(inventory, "zrh-test01").id, Path("\\\\nas\\exports"), ctx)

    def test_migration_says_why_not(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "zrh-dc01")
        assert Capability.MIGRATE not in hv.capabilities
        assert "switched off on this host" in vm.refusals[Verb.MIGRATE]
        with pytest.raises(NotSupported, match="Enable-VMMigration"):
            hv.migrate(vm.id, ObjectId("HV-ZRH-2"), ctx)
        hosts.server.site.extra["migration"] = True
        other = hosts.log_in()
        assert "CredSSP" in named(first(other), "zrh-dc01").refusals[Verb.MIGRATE]

    def test_migration_where_the_login_can_be_passed_on(self, hosts: HypervLab, ctx: TaskContext) -> None:
        for site in hosts.world.sites.values():
            site.extra.update(migration=True, migration_any_login=True)
        client = hosts.client("http")
        move = MoveVerbs(Reader(client), Jobs(client, SystemClock()), "HV-ZRH-1", "credssp")
        assert move.why_no_migration() == ""
        with pytest.raises(InvalidInput):
            move.migrate(naming.guid(hosts.vm("zrh-dc01").id), "hv-zrh-1.example.org", ctx)
        move.migrate(naming.guid(hosts.vm("zrh-dc01").id), "HV-ZRH-2", ctx)
        assert "zrh-dc01" in [vm.name for vm in first(hosts.log_in(server=hosts.other)).vms.values()]

    def test_destinations_are_hosts_to_choose(
        self, hosts: HypervLab, ctx: TaskContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hvconsole.backends.hyperv_move.DELEGATING", frozenset({"ntlm"}))
        for site in hosts.world.sites.values():
            site.extra.update(migration=True, migration_any_login=True)
        hv = hosts.log_in(destinations="HV-ZRH-2, HV-ZRH-3")
        shown = first(hv)
        assert Capability.MIGRATE in hv.capabilities
        assert [host for host in shown.hosts] == ["HV-ZRH-1", "HV-ZRH-2", "HV-ZRH-3"]
        hv.migrate(named(shown, "zrh-dc01").id, ObjectId("HV-ZRH-2"), ctx)
        assert "zrh-dc01" not in [vm.name for vm in (hv.watch(3) or shown).vms.values()]

    def test_migration_without_credentials_on_the_way(self, hosts: HypervLab, ctx: TaskContext) -> None:
        for site in hosts.world.sites.values():
            site.extra["migration"] = True
        client = hosts.client("http")
        move = MoveVerbs(Reader(client), Jobs(client, SystemClock()), "HV-ZRH-1", "credssp")
        with pytest.raises(PermissionDenied, match="delegation"):
            move.migrate(naming.guid(hosts.vm("zrh-dc01").id), "HV-ZRH-2", ctx)


class TestHost:
    def test_running_vms_are_named(self, hv: HypervHost, inventory: Inventory, ctx: TaskContext) -> None:
        host = next(iter(inventory.hosts))
        for verb in (hv.host_shutdown, hv.host_reboot):
            with pytest.raises(Refused) as caught:
                verb(host, ctx)
            assert "zrh-web01" in caught.value.user_text
            assert "zrh-test01" not in caught.value.user_text
            assert not caught.value.detail

    def test_running_vms_are_named_to_whoever_never_looked(self, hosts: HypervLab, ctx: TaskContext) -> None:
        fresh = hosts.log_in()
        with pytest.raises(Refused, match="zrh-web01"):
            fresh.host_shutdown(ObjectId("HV-ZRH-1"), ctx)

    def test_forced_restart(self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, ctx: TaskContext) -> None:
        booted = hosts.server.host.booted
        hv.host_reboot(next(iter(inventory.hosts)), ctx, force=True)
        deadline = threading.Event()
        for _ in range(100):
            if hosts.server.host.booted > booted:
                break
            deadline.wait(0.05)
        assert hosts.server.host.booted > booted
        assert hosts.vm("zrh-web01").power == "suspended"

    def test_another_host_is_not_found(self, hv: HypervHost, ctx: TaskContext) -> None:
        with pytest.raises(NotFound):
            hv.host_info(ObjectId("HV-ZRH-2"))

    def test_details_without_what_the_guest_says(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def component(_reader: Reader, _class_name: str, _guid: str) -> None:
            raise Refused("The provider failed.")

        monkeypatch.setattr(Reader, "component", component)
        details = hv.details(named(inventory, "zrh-web01").id)
        assert details.disks
        assert details.facts

    def test_physical_disks_that_a_vm_has_are_told(
        self, hosts: HypervLab, hv: HypervHost, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vm = named(inventory, "zrh-sql01")
        assert "Physical disks" not in dict(hv.details(vm.id).facts)
        real = Reader.devices

        def devices(reader: Reader, class_name: str, guid: str) -> list[Record]:
            rows = real(reader, class_name, guid)
            if class_name == "Msvm_ResourceAllocationSettingData":
                for row in rows:
                    if row.number("ResourceType") == 17:
                        row.elements("ResourceSubType")[0].text = "Microsoft:Hyper-V:Physical Disk Drive"
            return rows

        monkeypatch.setattr(Reader, "devices", devices)
        told = dict(hv.details(vm.id).facts)["Physical disks"]
        assert told.startswith("2")

    def test_screenshot_is_a_picture(self, hv: HypervHost, inventory: Inventory) -> None:
        assert hv.screenshot(named(inventory, "zrh-dc01").id).startswith(b"\x89PNG")
        with pytest.raises(Refused):
            hv.screenshot(named(inventory, "zrh-test01").id)

    def test_console_leads_to_the_host(self, hv: HypervHost, inventory: Inventory) -> None:
        console = hv.console(named(inventory, "zrh-dc01").id)
        assert console.protocol == "rdp"
        assert console.location == "127.0.0.1:2179"
