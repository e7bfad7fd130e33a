"""Creating and deleting VMs of Hyper-V: what the user gets, and what the host is left with."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from hvconsole.backends.base import CreateVm, TaskContext
from hvconsole.backends.hyperv import HypervHost
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.wsman_envelope import Epr
from hvconsole.backends.wsman_reply import Record
from hvconsole.errors import (
    HvError,
    InvalidInput,
    OutcomeUnknown,
    Refused,
)
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.hyperv import naming
from hvconsole.model import Inventory, ObjectId, PowerState
from tests.backends.hyperv_lab import HypervLab, first
from tests.backends.hyperv_verbs.looking import named, seen


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
