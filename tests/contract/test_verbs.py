"""Every verb's happy path, seen again in a fresh inventory; and what it refuses, by type."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvconsole.backends.base import Capability, CreateVm, Hypervisor, TaskContext
from hvconsole.errors import BadPowerState, HvError, InvalidInput, NotFound, NotSupported, Refused, ToolsMissing
from hvconsole.model import AUTOMATIC_MARK, ObjectId, PowerState, ToolsState, Verb, Vm, VmKind

from .conftest import Site, Viewer
from .platforms import Platform

GONE = ObjectId("00000000-0000-4000-8000-000000000000")


class TestPower:
    def test_start_and_power_off(self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext) -> None:
        hv.start(halted_vm.id, ctx)
        on = viewer.until_vm(halted_vm.id, lambda vm: vm.power is PowerState.RUNNING)
        assert on.host_id in viewer.inventory.hosts
        hv.power_off(halted_vm.id, ctx)
        off = viewer.until_vm(halted_vm.id, lambda vm: vm.power is PowerState.HALTED)
        assert off.host_id is None

    @pytest.mark.requires(Capability.START_ON)
    def test_start_on_a_host(self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext) -> None:
        host_id = sorted(viewer.inventory.hosts)[-1]
        hv.start(halted_vm.id, ctx, host_id=host_id)
        viewer.until_vm(halted_vm.id, lambda vm: vm.host_id == host_id)

    def test_shutdown_through_the_guest(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        hv.shutdown(running_vm.id, ctx)
        off = viewer.until_vm(running_vm.id, lambda vm: vm.power is PowerState.HALTED)
        assert off.addresses == ()

    def test_reboot_and_reset_leave_it_running(
        self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext
    ) -> None:
        hv.reboot(running_vm.id, ctx)
        hv.reset(running_vm.id, ctx)
        viewer.until_vm(running_vm.id, lambda vm: vm.power is PowerState.RUNNING)

    @pytest.mark.requires(Capability.SUSPEND)
    def test_suspend_and_resume(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        hv.suspend(running_vm.id, ctx)
        viewer.until_vm(running_vm.id, lambda vm: vm.power is PowerState.SUSPENDED)
        hv.resume(running_vm.id, ctx)
        viewer.until_vm(running_vm.id, lambda vm: vm.power is PowerState.RUNNING)

    @pytest.mark.requires(Capability.PAUSE)
    def test_pause_and_unpause(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        hv.pause(running_vm.id, ctx)
        viewer.until_vm(running_vm.id, lambda vm: vm.power is PowerState.PAUSED)
        hv.unpause(running_vm.id, ctx)
        viewer.until_vm(running_vm.id, lambda vm: vm.power is PowerState.RUNNING)

    def test_wrong_state_is_refused_by_type(
        self, hv: Hypervisor, site: Site, halted_vm: Vm, running_vm: Vm, ctx: TaskContext
    ) -> None:
        with pytest.raises(BadPowerState):
            hv.reset(halted_vm.id, ctx)
        if site.platform.already_there_is_success:
            hv.power_off(halted_vm.id, ctx)
            hv.start(running_vm.id, ctx)
            return
        with pytest.raises(BadPowerState):
            hv.power_off(halted_vm.id, ctx)
        with pytest.raises(BadPowerState):
            hv.start(running_vm.id, ctx)

    def test_guest_without_tools_cannot_be_asked(self, hv: Hypervisor, toolless_vm: Vm, ctx: TaskContext) -> None:
        assert toolless_vm.tools is ToolsState.MISSING
        assert "tools" in toolless_vm.refusals[Verb.SHUTDOWN].lower()
        assert Verb.POWER_OFF not in toolless_vm.refusals
        with pytest.raises(ToolsMissing):
            hv.shutdown(toolless_vm.id, ctx)

    def test_vm_that_is_gone(self, hv: Hypervisor, ctx: TaskContext) -> None:
        for verb in (hv.start, hv.power_off, hv.shutdown):
            with pytest.raises(NotFound):
                verb(GONE, ctx)

    def test_refusals_follow_the_state(self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext) -> None:
        assert Verb.START not in halted_vm.refusals
        assert "shut down" in halted_vm.refusals[Verb.POWER_OFF]
        hv.start(halted_vm.id, ctx)
        on = viewer.until_vm(halted_vm.id, lambda vm: vm.power is PowerState.RUNNING and Verb.START in vm.refusals)
        assert Verb.POWER_OFF not in on.refusals


@pytest.mark.requires(Capability.SNAPSHOT)
class TestSnapshots:
    def test_take_find_delete(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        taken = hv.snapshot(running_vm.id, "before the change", "why\nand how", ctx)
        assert (taken.name, taken.description) == ("before the change", "why\nand how")
        seen = viewer.until_vm(running_vm.id, lambda vm: vm.snapshot(taken.id))
        shown = seen.snapshot(taken.id)
        assert shown is not None
        assert shown.name == "before the change"
        assert shown.description == "why\nand how"
        assert shown.created is not None
        assert seen.current_snapshot_id == taken.id
        found = hv.find_snapshots(running_vm.id, "before the change")
        assert [snapshot.id for snapshot in found.found] == [taken.id]
        assert not found.running
        hv.delete_snapshot(running_vm.id, taken.id, ctx)
        viewer.until_vm(running_vm.id, lambda vm: not vm.snapshots)
        assert hv.find_snapshots(running_vm.id, "before the change").found == ()

    def test_automatic_ones_are_known_as_such(self, hv: Hypervisor, running_vm: Vm, ctx: TaskContext) -> None:
        assert hv.snapshot(running_vm.id, "Network_Down 1", f"{AUTOMATIC_MARK}\nevidence", ctx).automatic
        assert not hv.snapshot(running_vm.id, "by hand", "", ctx).automatic

    def test_find_looks_at_this_vm_only(
        self, hv: Hypervisor, running_vm: Vm, toolless_vm: Vm, ctx: TaskContext
    ) -> None:
        hv.snapshot(running_vm.id, "same name", "", ctx)
        assert hv.find_snapshots(toolless_vm.id, "same name").found == ()

    @pytest.mark.requires(Capability.SNAPSHOT_MEMORY)
    def test_with_memory(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        taken = hv.snapshot(running_vm.id, "live", "", ctx, memory=True)
        seen = viewer.until_vm(running_vm.id, lambda vm: vm.snapshot(taken.id) and vm.power is PowerState.RUNNING)
        shown = seen.snapshot(taken.id)
        assert shown is not None
        assert shown.with_memory

    def test_tree_and_revert(self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext) -> None:
        first = hv.snapshot(halted_vm.id, "first", "", ctx)
        second = hv.snapshot(halted_vm.id, "second", "", ctx)
        seen = viewer.until_vm(halted_vm.id, lambda vm: len(vm.snapshots) == 2 and vm.current_snapshot_id == second.id)
        shown = seen.snapshot(second.id)
        assert shown is not None
        assert shown.parent_id == first.id
        hv.revert(halted_vm.id, first.id, ctx)
        viewer.until_vm(halted_vm.id, lambda vm: vm.current_snapshot_id == first.id)

    def test_snapshot_of_another_vm_is_not_touched(
        self, hv: Hypervisor, running_vm: Vm, toolless_vm: Vm, ctx: TaskContext
    ) -> None:
        taken = hv.snapshot(running_vm.id, "mine", "", ctx)
        for refused in (
            lambda: hv.delete_snapshot(toolless_vm.id, taken.id, ctx),
            lambda: hv.revert(toolless_vm.id, taken.id, ctx),
            lambda: hv.delete_snapshot(running_vm.id, toolless_vm.id, ctx),
        ):
            with pytest.raises(NotFound):
                refused()
        assert hv.find_snapshots(running_vm.id, "mine").found

    def test_control_characters_are_refused_before_anything_is_sent(
        self, hv: Hypervisor, running_vm: Vm, ctx: TaskContext
    ) -> None:
        for name in ("a\x00b", "a\x1bb", "a\ud800b"):
            with pytest.raises(InvalidInput):
                hv.snapshot(running_vm.id, name, "", ctx)
            with pytest.raises(InvalidInput):
                hv.snapshot(running_vm.id, "fine", name, ctx)

    @pytest.mark.parametrize(
        "name", ["</name>&<b>'\"", "$x [exec ls] {", "ÄÖÜ 漢字 \U0001f600", "‮txt.exe", " spaces ", "line\nfeed", "%s%n"]
    )
    def test_odd_names_come_back_exactly(self, hv: Hypervisor, running_vm: Vm, ctx: TaskContext, name: str) -> None:
        taken = hv.snapshot(running_vm.id, name, name, ctx)
        assert (taken.name, taken.description) == (name, name)
        assert [found.id for found in hv.find_snapshots(running_vm.id, name).found] == [taken.id]


class TestLife:
    def test_rename(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        hv.rename(running_vm.id, "new <name> & more", ctx, description="said so")
        seen = viewer.until_vm(running_vm.id, lambda vm: vm.name == "new <name> & more")
        viewer.until_vm(running_vm.id, lambda vm: vm.description == "said so")
        assert seen.uuid == running_vm.uuid

    def test_rename_refuses_bad_names(self, hv: Hypervisor, running_vm: Vm, ctx: TaskContext) -> None:
        for name in ("", "   ", "bell\x07", "\udfff"):
            with pytest.raises(InvalidInput):
                hv.rename(running_vm.id, name, ctx)

    def test_delete_takes_vm_snapshots_and_disks(
        self, hv: Hypervisor, site: Site, viewer: Viewer, halted_vm: Vm, ctx: TaskContext
    ) -> None:
        if Capability.SNAPSHOT in hv.capabilities:
            hv.snapshot(halted_vm.id, "goes along", "", ctx)
        disks = {disk.id for disk in halted_vm.disks if not disk.is_cd}
        before = len(site.world.disks)
        hv.delete_vm(halted_vm.id, ctx)
        viewer.until(lambda inventory: halted_vm.id not in inventory.vms)
        with site.world.lock:
            assert halted_vm.id not in site.world.vms
            assert not [s for s in site.world.snapshots.values() if s.vm_id == halted_vm.id]
            assert not disks & set(site.world.disks)
            assert len(site.world.disks) <= before - len(disks)

    def test_delete_keeps_the_disks_it_is_told_to(
        self, hv: Hypervisor, site: Site, halted_vm: Vm, ctx: TaskContext
    ) -> None:
        disk = next(disk for disk in halted_vm.disks if not disk.is_cd)
        with site.world.lock:
            used = {drive.disk_id for drive in site.world.vm_named(halted_vm.name).drives if not drive.is_cd}
        hv.delete_vm(halted_vm.id, ctx, keep_disks=frozenset({disk.id}))
        with site.world.lock:
            assert halted_vm.id not in site.world.vms
            assert used & set(site.world.disks)

    def test_running_vm_is_not_deleted(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        with pytest.raises(BadPowerState):
            hv.delete_vm(running_vm.id, ctx)
        assert running_vm.id in (hv.watch(0.2) or viewer.inventory).vms

    @pytest.mark.requires(Capability.CLONE)
    def test_clone(self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext) -> None:
        made = hv.clone_vm(halted_vm.id, "its clone", ctx)
        seen = viewer.until_vm(made, lambda vm: vm.name == "its clone")
        assert seen.kind is VmKind.VM
        assert seen.power is PowerState.HALTED
        assert len(seen.disks) == len(halted_vm.disks)

    @pytest.mark.requires(Capability.COPY)
    def test_full_copy_to_a_storage(self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext) -> None:
        fit = [s for s in viewer.inventory.storages.values() if not s.holds_iso and s.shared and s.free_bytes]
        if not fit:
            pytest.skip("there is no shared storage here")
        storage = fit[0]
        made = hv.clone_vm(halted_vm.id, "its copy", ctx, full=True, storage_id=storage.id)
        seen = viewer.until_vm(made, lambda vm: vm.disks)
        assert {disk.storage_id for disk in seen.disks if not disk.is_cd} == {storage.id}

    @pytest.mark.requires(Capability.CREATE_FROM_TEMPLATE)
    def test_create_from_a_template(self, hv: Hypervisor, viewer: Viewer, ctx: TaskContext) -> None:
        kinds = (VmKind.TEMPLATE, VmKind.DEFAULT_TEMPLATE)
        template = next((vm for vm in viewer.inventory.vms.values() if vm.kind in kinds), None)
        if template is None:
            pytest.skip("there is no template here")
        network = next(iter(viewer.inventory.networks.values()))
        spec = CreateVm(
            name="made here",
            description="by the contract",
            template_id=template.id,
            vcpus=2,
            memory_bytes=1 << 30,
            network_id=network.id,
            start=True,
        )
        made = hv.create_vm(spec, ctx)
        seen = viewer.until_vm(made, lambda vm: vm.power is PowerState.RUNNING and vm.nics)
        assert (seen.name, seen.description, seen.kind) == ("made here", "by the contract", VmKind.VM)
        assert (seen.vcpus, seen.memory_bytes) == (2, 1 << 30)
        assert seen.nics[0].network_id == network.id

    @pytest.mark.requires(Capability.MIGRATE)
    def test_migrate(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        other = next(host for host in viewer.inventory.hosts if host != running_vm.host_id)
        hv.migrate(running_vm.id, other, ctx)
        seen = viewer.until_vm(running_vm.id, lambda vm: vm.host_id == other)
        assert seen.power is PowerState.RUNNING

    @pytest.mark.requires(Capability.MIGRATE_STORAGE)
    def test_migrate_to_another_storage(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm, ctx: TaskContext) -> None:
        used = {disk.storage_id for disk in running_vm.disks if not disk.is_cd}
        fit = [
            s for s in viewer.inventory.storages.values()
            if running_vm.host_id in s.host_ids and not s.holds_iso and s.id not in used
        ]  # fmt: skip
        if not fit:
            pytest.skip("there is no other storage here")
        hv.migrate(running_vm.id, None, ctx, storage_id=fit[0].id)
        seen = viewer.until_vm(
            running_vm.id, lambda vm: {disk.storage_id for disk in vm.disks if not disk.is_cd} == {fit[0].id}
        )
        assert (seen.power, seen.host_id) == (PowerState.RUNNING, running_vm.host_id)

    @pytest.mark.requires(Capability.TO_TEMPLATE)
    def test_to_template(self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext) -> None:
        hv.to_template(halted_vm.id, ctx)
        seen = viewer.until_vm(halted_vm.id, lambda vm: vm.kind is VmKind.TEMPLATE)
        assert Verb.TO_TEMPLATE in seen.refusals

    @pytest.mark.requires(Capability.TO_TEMPLATE | Capability.TO_VM)
    def test_a_template_becomes_a_vm_again(
        self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext
    ) -> None:
        assert Verb.TO_VM in halted_vm.refusals
        with pytest.raises(Refused):
            hv.to_vm(halted_vm.id, ctx)
        hv.to_template(halted_vm.id, ctx)
        viewer.until_vm(halted_vm.id, lambda vm: vm.kind is VmKind.TEMPLATE and Verb.TO_VM not in vm.refusals)
        hv.to_vm(halted_vm.id, ctx)
        viewer.until_vm(halted_vm.id, lambda vm: vm.kind is VmKind.VM and Verb.START not in vm.refusals)
        hv.start(halted_vm.id, ctx)
        viewer.until_vm(halted_vm.id, lambda vm: vm.power is PowerState.RUNNING)

    @pytest.mark.requires(Capability.TO_TEMPLATE)
    def test_a_running_vm_is_made_no_template(self, hv: Hypervisor, running_vm: Vm, ctx: TaskContext) -> None:
        assert "running" in running_vm.refusals[Verb.TO_TEMPLATE]
        with pytest.raises(BadPowerState):
            hv.to_template(running_vm.id, ctx)

    @pytest.mark.requires(Capability.UNREGISTER)
    def test_a_vm_in_order_is_not_taken_off_the_inventory(
        self, hv: Hypervisor, viewer: Viewer, halted_vm: Vm, ctx: TaskContext
    ) -> None:
        assert "Delete" in halted_vm.refusals[Verb.UNREGISTER]
        with pytest.raises(Refused):
            hv.unregister(halted_vm.id, ctx)
        with pytest.raises(NotFound):
            hv.unregister(GONE, ctx)
        assert halted_vm.id in (hv.watch(0.2) or viewer.inventory).vms

    @pytest.mark.requires(Capability.EXPORT | Capability.IMPORT)
    def test_export_and_import(
        self, hv: Hypervisor, platform: Platform, viewer: Viewer, halted_vm: Vm, ctx: TaskContext, tmp_path: Path
    ) -> None:
        if platform.exports_to_host:
            pytest.skip("exports stay on the host")
        target = tmp_path / "exported.ova"
        hv.export_vm(halted_vm.id, target, ctx)
        assert target.exists()
        assert [path.name for path in tmp_path.iterdir()] == ["exported.ova"]
        made = hv.import_vm(target, ctx, name="came back")
        seen = viewer.until_vm(made, lambda vm: vm.name == "came back" and vm.disks)
        assert seen.power is PowerState.HALTED
        assert seen.vcpus == halted_vm.vcpus

    @pytest.mark.requires(Capability.EXPORT)
    def test_export_of_a_running_vm_leaves_no_file(
        self, hv: Hypervisor, running_vm: Vm, ctx: TaskContext, tmp_path: Path
    ) -> None:
        with pytest.raises(HvError):
            hv.export_vm(running_vm.id, tmp_path / "no.ova", ctx)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.requires(Capability.IMPORT)
    def test_import_of_junk_leaves_nothing(
        self, hv: Hypervisor, site: Site, viewer: Viewer, ctx: TaskContext, tmp_path: Path
    ) -> None:
        junk = tmp_path / "junk.ova"
        junk.write_bytes(b"this is no virtual machine" * 100)
        before = set(site.world.vms)
        with pytest.raises(HvError):
            hv.import_vm(junk, ctx, name="never")
        assert set(site.world.vms) == before


class TestHosts:
    def test_info(self, hv: Hypervisor, viewer: Viewer) -> None:
        host = next(iter(viewer.inventory.hosts.values()))
        info = hv.host_info(host.id)
        assert info.host_id == host.id
        assert info.nics
        assert host.cpus
        assert host.memory_bytes
        assert host.memory_bytes > 1 << 30

    @pytest.mark.requires(Capability.MAINTENANCE)
    def test_maintenance_moves_the_vms(self, hv: Hypervisor, viewer: Viewer, ctx: TaskContext) -> None:
        hosts = list(viewer.inventory.hosts.values())
        siblings = [h for h in hosts if not h.is_master and sum(o.pool_id == h.pool_id for o in hosts) > 1]
        if not siblings:
            pytest.skip("there is no other host to move to")
        host = siblings[0]
        hv.enter_maintenance(host.id, ctx)
        viewer.until(lambda inventory: inventory.hosts[host.id].in_maintenance)
        viewer.until(
            lambda inventory: (
                not [vm for vm in inventory.vms.values() if vm.host_id == host.id and vm.kind is VmKind.VM]
            )
        )
        hv.leave_maintenance(host.id, ctx)
        viewer.until(lambda inventory: inventory.hosts[host.id].enabled)

    @pytest.mark.requires(Capability.HOST_POWER)
    def test_host_with_vms_is_not_switched_off(self, hv: Hypervisor, running_vm: Vm, ctx: TaskContext) -> None:
        assert running_vm.host_id is not None
        with pytest.raises(HvError):
            hv.host_shutdown(running_vm.host_id, ctx)

    @pytest.mark.requires(Capability.HOST_POWER)
    def test_force_switches_it_off(self, hv: Hypervisor, site: Site, viewer: Viewer, ctx: TaskContext) -> None:
        host = next(host for host in viewer.inventory.hosts.values() if not host.is_master)
        hv.host_shutdown(host.id, ctx, force=True)
        with site.world.lock:
            assert next(each for each in site.world.hosts.values() if each.name == host.name).state.value == "off"

    @pytest.mark.requires(Capability.NETWORK_MAP)
    def test_network_map(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm) -> None:
        assert running_vm.host_id is not None
        links = hv.network_map(running_vm.host_id).links
        assert any(vm_id == running_vm.id for link in links for vm_id, _nic in link.vm_nics)
        assert any(link.host_nics for link in links)


class TestLooking:
    def test_details(self, hv: Hypervisor, running_vm: Vm) -> None:
        details = hv.details(running_vm.id)
        assert details.vm_id == running_vm.id
        assert [nic.mac for nic in details.nics] == [nic.mac for nic in running_vm.nics]
        assert details.disks

    @pytest.mark.requires(Capability.METRICS)
    def test_metrics_have_units(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm) -> None:
        assert running_vm.host_id is not None
        for object_id in (running_vm.id, running_vm.host_id):
            metrics = hv.metrics(object_id)
            assert metrics.step_s > 0
            assert {series.unit for series in metrics.series} <= {"fraction", "bytes", "bytes/s"}
            cpu = [series for series in metrics.series if series.unit == "fraction"]
            assert cpu
            assert all(value is None or 0 <= value <= 1 for series in cpu for value in series.values)

    @pytest.mark.requires(Capability.SCREENSHOT)
    def test_screenshot_is_a_picture(self, hv: Hypervisor, platform: Platform, running_vm: Vm, halted_vm: Vm) -> None:
        if not platform.has_screens:
            with pytest.raises(NotSupported):
                hv.screenshot(running_vm.id)
            return
        assert hv.screenshot(running_vm.id)[:4] in (b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb", b"\x89PNG")
        with pytest.raises(HvError):
            hv.screenshot(halted_vm.id)

    @pytest.mark.requires(Capability.EVENTS)
    def test_events_are_newest_first(self, hv: Hypervisor) -> None:
        events = hv.events()
        assert [event.when for event in events] == sorted((event.when for event in events), reverse=True)

    @pytest.mark.requires(Capability.CONSOLE)
    def test_console_has_an_address(self, hv: Hypervisor, running_vm: Vm) -> None:
        assert hv.console(running_vm.id).location

    @pytest.mark.requires(Capability.CREATE)
    def test_creation_choices(self, hv: Hypervisor) -> None:
        assert "name" in hv.creation_choices().fields
