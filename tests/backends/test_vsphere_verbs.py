"""What only vSphere's verbs do: hardware of new VMs, templates, clusters, hosts, snapshots with memory or quieted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from hvconsole.backends.base import CreateVm, Hypervisor, TaskContext
from hvconsole.errors import (
    BadPowerState,
    Busy,
    HostUnavailable,
    HvError,
    InvalidInput,
    NoSpace,
    NotSupported,
    OutcomeUnknown,
    PermissionDenied,
    Refused,
    ToolsMissing,
)
from hvconsole.lab import snapshots as lab_snapshots
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.objects import Power
from hvconsole.lab.sites import Identity
from hvconsole.model import Host, Inventory, ObjectId, PowerState, Storage, Verb, Vm, VmKind
from tests.peers.vcsim import Vcsim

from .vsphere_lab import VsphereLab, first, log_in_to_vcsim, named, until, vsphere_lab

GIB = 1 << 30


@pytest.fixture
def lab(lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity) as running:
        yield running


@pytest.fixture
def hv(lab: VsphereLab) -> Hypervisor:
    return lab.log_in()


@pytest.fixture
def inventory(hv: Hypervisor) -> Inventory:
    return first(hv)


@pytest.fixture
def ctx() -> TaskContext:
    return TaskContext()


def host(inventory: Inventory, name: str) -> Host:
    return next(one for one in inventory.hosts.values() if one.name == name)


def storage(inventory: Inventory, name: str) -> Storage:
    return next(one for one in inventory.storages.values() if one.name == name)


def storages(vm: Vm) -> set[str]:
    """Names of the datastores that hold the VM's disks."""
    return {disk.storage for disk in vm.disks if not disk.is_cd}


class TestCreate:
    def test_every_choice_is_kept(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        choices = hv.creation_choices()
        assert ("debian12_64Guest", "Debian GNU/Linux 12 (64-bit)") in choices.guest_oses
        assert choices.max_vcpus == 128
        edge = host(inventory, "esx-edge.lab")
        store = next(s for s in inventory.storages.values() if s.name == "esx-edge-local")
        dmz = next(n for n in inventory.networks.values() if n.name == "DMZ")
        made = hv.create_vm(
            CreateVm(
                name="new 100% / one", description="why & how", guest_os="debian12_64Guest", vcpus=4,
                memory_bytes=6 * GIB, disk_bytes=30 * GIB, disk_thin=False, storage_id=store.id, network_id=dmz.id,
                nic_type="e1000e", host_id=edge.id, iso="[iso-library] iso/debian-12.5.0-amd64-netinst.iso",
            ),
            ctx,
        )  # fmt: skip
        seen = until(hv, lambda i: i.vms.get(made) if i.vms[made].disks else None)
        assert (seen.name, seen.description, seen.vcpus) == ("new 100% / one", "why & how", 4)
        assert (seen.memory_bytes, seen.home_id, seen.os) == (6 * GIB, edge.id, "Debian GNU/Linux 12 (64-bit)")
        (disk,) = [one for one in seen.disks if not one.is_cd]
        assert (disk.size_bytes, disk.storage) == (30 * GIB, "esx-edge-local")
        assert [nic.network for nic in seen.nics] == ["DMZ"]
        with lab.world.lock:
            vm = lab.vm("new 100% / one")
            assert vm.nics[0].extra["model"] == "VirtualE1000e"
            stored = lab.world.disks[next(d.disk_id for d in vm.drives if not d.is_cd)]  # type: ignore[index]
            assert stored.extra["thin"] is False
            assert any(d.is_cd and d.disk_id for d in vm.drives)

    def test_several_at_once(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        made = [hv.create_vm(CreateVm(name=f"web-{n:02}", disk_bytes=GIB), ctx) for n in range(3)]
        until(hv, lambda i: set(made) <= set(i.vms))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""}, {"name": "x" * 81}, {"vcpus": 0}, {"memory_bytes": 5}, {"disk_bytes": 5},
            {"nic_type": "token ring"}, {"iso": "no brackets"}, {"generation": 2}, {"existing_disk": "x.vmdk"},
            {"network_id": "nowhere"}, {"storage_id": "nowhere"},
            {"iso": "[iso-library] iso/not-there.iso"},
        ],
    )  # fmt: skip
    def test_what_cannot_be_is_refused_and_nothing_is_left(
        self, lab: VsphereLab, hv: Hypervisor, ctx: TaskContext, wrong: dict[str, object]
    ) -> None:
        before = set(lab.world.vms)
        with pytest.raises(HvError):
            hv.create_vm(CreateVm(**{"name": "wrong", "disk_bytes": GIB, **wrong}), ctx)  # type: ignore[arg-type]
        with lab.world.lock:
            assert set(lab.world.vms) == before

    def test_the_host_is_one_that_sees_the_chosen_datastore(
        self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        store = next(s for s in inventory.storages.values() if s.name == "esx-edge-local")
        made = hv.create_vm(CreateVm(name="at the edge", storage_id=store.id), ctx)
        seen = until(hv, lambda i: i.vms.get(made))
        assert seen.home_id == host(inventory, "esx-edge.lab").id
        stranger = next(n for n in inventory.networks.values() if seen.home_id not in n.host_ids)
        with pytest.raises(HostUnavailable, match="datastore"):
            hv.create_vm(CreateVm(name="nowhere", storage_id=store.id, network_id=stranger.id), ctx)

    def test_a_name_that_is_taken(self, hv: Hypervisor, ctx: TaskContext) -> None:
        hv.create_vm(CreateVm(name="twice"), ctx)
        with pytest.raises(InvalidInput):
            hv.create_vm(CreateVm(name="twice"), ctx)

    def test_from_a_template(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        template = named(inventory, "tmpl-debian-12")
        assert template.kind is VmKind.TEMPLATE
        dmz = next(n for n in inventory.networks.values() if n.name == "DMZ")
        made = hv.create_vm(
            CreateVm(name="deployed", template_id=template.id, vcpus=3, network_id=dmz.id, start=True), ctx
        )
        seen = until(hv, lambda i: i.vms.get(made) if i.vms[made].power is PowerState.RUNNING else None)
        assert (seen.kind, seen.vcpus, seen.nics[0].network) == (VmKind.VM, 3, "DMZ")

    def test_a_template_whose_host_is_in_maintenance_comes_back_on_another(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        template = named(inventory, "tmpl-debian-12")
        assert template.home_id is not None
        with lab.world.lock:
            lab.world.host(template.home_id).maintenance = True
        hv.to_vm(template.id, ctx)
        seen = until(hv, lambda i: i.vms[template.id] if i.vms[template.id].kind is VmKind.VM else None)
        assert seen.home_id not in (None, template.home_id)
        hv.start(template.id, ctx)

    def test_esxi_has_no_templates(self, lab_identity: Identity, ctx: TaskContext) -> None:
        with vsphere_lab(lab_identity, esxi=True) as lab:
            hv = lab.log_in()
            vm = named(first(hv), "branch-spare")
            for ask in (
                lambda: hv.create_vm(CreateVm(name="x", template_id=vm.id), ctx),
                lambda: hv.clone_vm(vm.id, "x", ctx),
                lambda: hv.to_template(vm.id, ctx),
                lambda: hv.to_vm(vm.id, ctx),
                lambda: hv.migrate(vm.id, next(iter(first(lab.log_in()).hosts)), ctx),
                lambda: hv.migrate(vm.id, None, ctx, storage_id=next(iter(first(lab.log_in()).storages))),
            ):
                with pytest.raises(NotSupported):
                    ask()
            made = hv.create_vm(CreateVm(name="on ESXi", disk_bytes=GIB), ctx)
            hv.start(made, ctx)


class TestCopies:
    def test_a_clone_of_a_snapshot_on_another_datastore(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "shop-old")
        store = next(s for s in inventory.storages.values() if s.name == "san-01")
        made = hv.clone_vm(vm.id, "of a snapshot", ctx, storage_id=store.id, snapshot_id=vm.snapshots[0].id)
        seen = until(hv, lambda i: i.vms.get(made) if i.vms[made].disks else None)
        assert seen.folder_id == vm.folder_id
        assert {disk.storage for disk in seen.disks if not disk.is_cd} == {"san-01"}

    def test_a_running_vm_stays_running(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        vm = named(inventory, "shop-01")
        target = host(inventory, "esx-zh-3.lab")
        hv.migrate(vm.id, target.id, ctx)
        seen = until(hv, lambda i: i.vms[vm.id] if i.vms[vm.id].host_id == target.id else None)
        assert seen.power is PowerState.RUNNING
        with pytest.raises(InvalidInput):
            hv.migrate(vm.id, target.id, ctx)

    def test_to_another_datastore_where_it_is(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "shop-01")
        store = storage(inventory, "nfs-archive")
        hv.migrate(vm.id, None, ctx, storage_id=store.id)
        seen = until(hv, lambda i: i.vms[vm.id] if storages(i.vms[vm.id]) == {store.name} else None)
        assert (seen.power, seen.host_id) == (PowerState.RUNNING, vm.host_id)
        with pytest.raises(InvalidInput, match="already"):
            hv.migrate(vm.id, None, ctx, storage_id=store.id)

    def test_to_a_host_that_sees_only_the_other_datastore(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm, edge = named(inventory, "sandbox-zh"), host(inventory, "esx-edge.lab")
        store = storage(inventory, "esx-edge-local")
        with pytest.raises(InvalidInput, match="can't be seen"):
            hv.migrate(vm.id, None, ctx, storage_id=store.id)
        hv.migrate(vm.id, edge.id, ctx, storage_id=store.id)
        until(hv, lambda i: i.vms[vm.id].home_id == edge.id and storages(i.vms[vm.id]) == {store.name})

    def test_a_datastore_without_room(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "shop-01")
        store = storage(inventory, "nfs-archive")
        with lab.world.lock:
            lab.world.storages[store.id].used_bytes = lab.world.storages[store.id].size_bytes
        with pytest.raises(NoSpace):
            hv.migrate(vm.id, None, ctx, storage_id=store.id)
        with lab.world.lock:
            disks = [lab.world.disks[d.disk_id] for d in lab.vm("shop-01").drives if d.disk_id and not d.is_cd]
        assert {disk.storage_id for disk in disks} == {storage(inventory, "san-01").id}

    def test_neither_a_host_nor_a_datastore(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        with pytest.raises(InvalidInput):
            hv.migrate(named(inventory, "shop-01").id, None, ctx)

    def test_a_lost_answer_is_not_asked_again(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "shop-01")
        store = storage(inventory, "nfs-archive")
        rule = lab.world.faults.add(FaultRule(method="RelocateVM_Task", effect=Effect.DROP_AFTER, max_count=1))
        with pytest.raises(OutcomeUnknown):
            hv.migrate(vm.id, None, ctx, storage_id=store.id)
        assert rule.seen == 1

    def test_a_host_that_cannot_see_the_disks(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        with pytest.raises(HvError):
            hv.migrate(named(inventory, "edge-dns").id, host(inventory, "esx-zh-1.lab").id, ctx)


def linked(lab: VsphereLab, base: str, clone: str, *, snapshot: bool = False) -> None:
    """Let the clone's disk build on the base's; or on what the base's own disk builds on since its snapshot."""
    with lab.world.lock:
        one = lab.world.disks[lab.vm(base).drives[0].disk_id or ""]
        two = lab.world.disks[lab.vm(clone).drives[0].disk_id or ""]
        two.extra["parents"] = (one.id,)
        if snapshot:
            others = (disk for disk in lab.world.disks.values() if disk.id not in (one.id, two.id))
            root = next(disk for disk in others if disk.site_id == one.site_id and not disk.is_iso)
            one.extra["parents"] = two.extra["parents"] = (root.id,)


class TestLinkedClones:
    def test_the_base_goes_and_its_disk_stays(self, lab: VsphereLab, ctx: TaskContext) -> None:
        linked(lab, "sandbox-zh", "shop-02")
        hv = lab.log_in()
        base = named(first(hv), "sandbox-zh")
        assert base.disks[0].shared_with == ("shop-02",)
        assert hv.details(base.id).disks[0].shared_with == ("shop-02",)
        disk_id = lab.vm("sandbox-zh").drives[0].disk_id
        hv.delete_vm(base.id, ctx)
        with lab.world.lock:
            assert base.id not in lab.world.vms
            assert disk_id in lab.world.disks

    def test_a_vcenter_knows_what_clones_share(self, lab: VsphereLab, ctx: TaskContext) -> None:
        linked(lab, "shop-02", "sandbox-zh", snapshot=True)
        hv = lab.log_in()
        clone = named(first(hv), "sandbox-zh")
        assert clone.disks[0].shared_with == ()
        hv.delete_vm(clone.id, ctx)
        with lab.world.lock:
            assert clone.id not in lab.world.vms

    @pytest.mark.parametrize("snapshot", [False, True])
    def test_an_esxi_host_would_delete_the_base_too(
        self, lab_identity: Identity, ctx: TaskContext, snapshot: bool
    ) -> None:
        with vsphere_lab(lab_identity, esxi=True) as lab:
            linked(lab, "till-server", "branch-spare", snapshot=snapshot)
            hv = lab.log_in()
            clone = named(first(hv), "branch-spare")
            with pytest.raises(Refused, match="till-server"):
                hv.delete_vm(clone.id, ctx)
            assert clone.id in lab.world.vms


class TestCopiesOnVcsim:
    """Its clones use the disk files of what they were made of."""

    def test_a_vm_in_a_vapp(self, ctx: TaskContext) -> None:
        with Vcsim("vpx", vm=1, app=1) as peer, closing(log_in_to_vcsim(peer)) as hv:
            inventory = first(hv)
            vm = named(inventory, "DC0_C0_APP0_VM0")
            assert vm.resource_pool_id is not None
            made = hv.clone_vm(vm.id, "beside it", ctx)
            seen = until(hv, lambda i: i.vms.get(made))
            assert inventory.pools[vm.resource_pool_id].name == "DC0_C0_APP0"
            assert seen.resource_pool_id == vm.resource_pool_id

    def test_a_clone_with_snapshots_is_deleted_and_its_origin_keeps_its_disk(self, ctx: TaskContext) -> None:
        with Vcsim("vpx", vm=1) as peer, closing(log_in_to_vcsim(peer)) as hv:
            origin = named(first(hv), "DC0_H0_VM0")
            made = hv.clone_vm(origin.id, "a clone", ctx)
            hv.snapshot(made, "one", "", ctx)
            until(hv, lambda i: made in i.vms and i.vms[made].snapshots)
            hv.delete_vm(made, ctx)
            seen = until(hv, lambda i: i if made not in i.vms else None)
            assert seen.vms[origin.id].disks


class TestDatastoresOfVcsim:
    def test_a_vm_moves_to_another(self, ctx: TaskContext) -> None:
        with Vcsim("vpx", vm=1, datastore=2) as peer, closing(log_in_to_vcsim(peer)) as hv:
            inventory = first(hv)
            vm = named(inventory, "DC0_H0_VM0")
            here, there = (next(s for s in inventory.storages.values() if s.name == f"LocalDS_{n}") for n in (0, 1))
            with pytest.raises(InvalidInput, match="already"):
                hv.migrate(vm.id, None, ctx, storage_id=here.id)
            hv.migrate(vm.id, None, ctx, storage_id=there.id)
            with pytest.raises(InvalidInput, match="already"):
                hv.migrate(vm.id, None, ctx, storage_id=there.id)


class TestSnapshots:
    def test_quiescing_that_would_be_ignored_is_refused(
        self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        with pytest.raises(ToolsMissing):
            hv.snapshot(named(inventory, "badge-reader").id, "q", "", ctx, quiesce=True)
        with pytest.raises(BadPowerState):
            hv.snapshot(named(inventory, "sandbox-zh").id, "q", "", ctx, quiesce=True)
        with pytest.raises(BadPowerState):
            hv.snapshot(named(inventory, "sandbox-zh").id, "m", "", ctx, memory=True)
        assert hv.snapshot(named(inventory, "shop-01").id, "q", "", ctx, quiesce=True).quiesced

    def test_back_to_a_running_state(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        vm = named(inventory, "shop-01")
        taken = hv.snapshot(vm.id, "with memory", "", ctx, memory=True)
        hv.power_off(vm.id, ctx)
        hv.revert(vm.id, taken.id, ctx)
        until(hv, lambda i: i.vms[vm.id].power is PowerState.RUNNING)

    @pytest.mark.parametrize("slash", ["/", "%2f", "%2F", "%252f"])
    def test_names_that_the_vsphere_client_gave(self, lab: VsphereLab, hv: Hypervisor, slash: str) -> None:
        stored = f"VM Snapshot 11{slash}13{slash}2019, 9:59:56 AM"
        vm_id = ObjectId(lab.vm("shop-01").id)
        lab_snapshots.take(lab.world, vm_id, stored)
        name = "VM Snapshot 11/13/2019, 9:59:56 AM"
        assert name in [snapshot.name for snapshot in named(first(hv), "shop-01").snapshots]
        assert [snapshot.name for snapshot in hv.find_snapshots(vm_id, name).found] == [name]
        assert len(hv.find_snapshots(vm_id, stored).found) == 1

    def test_deleting_with_and_without_children(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        vm = named(inventory, "orders-db")
        by_name = {snapshot.name: snapshot for snapshot in vm.snapshots}
        hv.delete_snapshot(vm.id, by_name["before 8.1 upgrade"].id, ctx)
        left = until(hv, lambda i: i.vms[vm.id].snapshots if len(i.vms[vm.id].snapshots) == 3 else None)
        assert next(s for s in left if s.name == "after 8.1 upgrade").parent_id is None
        hv.delete_snapshot(vm.id, by_name["after 8.1 upgrade"].id, ctx, children=True)
        until(hv, lambda i: not i.vms[vm.id].snapshots)


class TestGuests:
    def test_standby(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        vm = named(inventory, "shop-01")
        hv.standby(vm.id, ctx)
        until(hv, lambda i: i.vms[vm.id].power is PowerState.SUSPENDED)
        hv.resume(vm.id, ctx)

    @pytest.mark.parametrize("verb", ["shutdown", "reboot", "standby"])
    def test_without_tools(self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext, verb: str) -> None:
        with pytest.raises(ToolsMissing):
            getattr(hv, verb)(named(inventory, "badge-reader").id, ctx)

    def test_starting_a_suspended_vm_is_resuming_it(
        self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "shop-staging")
        with pytest.raises(BadPowerState):
            hv.start(vm.id, ctx)
        hv.resume(vm.id, ctx)

    def test_a_suspended_vm_can_be_deleted(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "shop-staging")
        hv.delete_vm(vm.id, ctx)
        until(hv, lambda i: vm.id not in i.vms)


class TestLostVms:
    @pytest.mark.parametrize("esxi", [False, True])
    @pytest.mark.parametrize("connection", ["orphaned", "inaccessible", "invalid"])
    def test_one_is_taken_off_the_inventory_and_its_disks_stay(
        self, lab_identity: Identity, ctx: TaskContext, connection: str, esxi: bool
    ) -> None:
        with vsphere_lab(lab_identity, esxi=esxi) as lab:
            hv = lab.log_in()
            vm = named(first(hv), "branch-spare" if esxi else "sandbox-zh")
            with lab.world.lock:
                lost = lab.world.vms[vm.id]
                disks = {drive.disk_id for drive in lost.drives if drive.disk_id}
                lost.extra["connection"] = connection
                lab.world.changed(lost)
            until(hv, lambda i: Verb.UNREGISTER not in i.vms[vm.id].refusals)
            hv.unregister(vm.id, ctx)
            until(hv, lambda i: vm.id not in i.vms)
            with lab.world.lock:
                assert disks <= set(lab.world.disks)

    def test_one_that_is_found_again_meanwhile_stays(
        self, hv: Hypervisor, inventory: Inventory, lab: VsphereLab, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "sandbox-zh")
        for connection, word in (("disconnected", "not connected"), ("connected", "Delete")):
            with lab.world.lock:
                lab.world.vms[vm.id].extra["connection"] = connection
            with pytest.raises(Refused, match=word):
                hv.unregister(vm.id, ctx)

    def test_a_lost_answer_is_not_asked_again(
        self, hv: Hypervisor, inventory: Inventory, lab: VsphereLab, ctx: TaskContext
    ) -> None:
        vm = named(inventory, "sandbox-zh")
        with lab.world.lock:
            lab.world.vms[vm.id].extra["connection"] = "orphaned"
        rule = lab.world.faults.add(FaultRule(method="UnregisterVM", effect=Effect.DROP_AFTER, max_count=1))
        with pytest.raises(OutcomeUnknown):
            hv.unregister(vm.id, ctx)
        assert rule.seen == 1

    @pytest.mark.parametrize("kind", ["vpx", "esx"])
    def test_one_of_vcsim(self, ctx: TaskContext, kind: str) -> None:
        with Vcsim(kind, vm=2) as peer, closing(log_in_to_vcsim(peer)) as hv:
            vm = named(first(hv), "ha-host_VM0" if kind == "esx" else "DC0_H0_VM0")
            hv.power_off(vm.id, ctx)
            with pytest.raises(Refused):
                hv.unregister(vm.id, ctx)
            peer.control(guest={vm.id: {"connection": "inaccessible"}})
            until(hv, lambda i: Verb.UNREGISTER not in i.vms[vm.id].refusals)
            hv.unregister(vm.id, ctx)
            until(hv, lambda i: vm.id not in i.vms)


class TestHosts:
    def test_info(self, hv: Hypervisor, inventory: Inventory) -> None:
        info = hv.host_info(host(inventory, "esx-zh-1.lab").id)
        facts = dict(info.facts)
        assert facts["Model"] == "Dell Inc. PowerEdge R650"
        assert "Xeon" in facts["CPU model"]
        assert (facts["CPU cores"], facts["Memory"]) == ("32", "384 GiB")
        assert facts["Uptime"] == "120 days"
        assert info.licence == "VMware vSphere 8 Enterprise Plus"  # not the vCenter's own beside it
        assert any(card.management and card.address == "10.21.0.11" for card in info.nics)

    def test_maintenance_moves_the_vms_within_the_cluster(
        self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        one = host(inventory, "esx-zh-1.lab")
        hv.enter_maintenance(one.id, ctx)
        after = until(hv, lambda i: i if i.hosts[one.id].in_maintenance else None)
        moved = [vm for vm in inventory.vms.values() if vm.host_id == one.id]
        assert moved
        assert {after.hosts[after.vms[vm.id].host_id].pool_id for vm in moved} == {one.pool_id}  # type: ignore[index]
        with pytest.raises(HostUnavailable):
            hv.migrate(moved[0].id, one.id, ctx)
        hv.leave_maintenance(one.id, ctx)
        until(hv, lambda i: not i.hosts[one.id].in_maintenance)

    def test_a_single_host_names_the_vms_in_the_way(
        self, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        edge = host(inventory, "esx-edge.lab")
        with pytest.raises(HostUnavailable, match="edge-proxy"):
            hv.enter_maintenance(edge.id, ctx)
        for ask in (hv.host_reboot, hv.host_shutdown):
            with pytest.raises(Refused, match="edge-dns"):
                ask(edge.id, ctx)

    def test_the_servers_own_agents_are_not_in_the_way(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        edge = host(inventory, "esx-edge.lab")
        with lab.world.lock:
            for vm in lab.world.vms_on(edge.id):
                vm.name = f"vCLS-{vm.id}"
                vm.extra["managed_by"] = ("com.vmware.vim.eam", "cluster-agent")
                agent = ObjectId(vm.id)
        assert ("Managed by", "com.vmware.vim.eam") in hv.details(agent).facts
        hv.host_reboot(edge.id, ctx)
        until(hv, lambda i: i.hosts[edge.id].live)

    def test_agents_leave_a_host_by_themselves(
        self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
    ) -> None:
        edge = host(inventory, "esx-edge.lab")
        with lab.world.lock:
            for vm in lab.world.vms_on(edge.id):
                vm.extra["managed_by"] = ("com.vmware.vim.eam", "cluster-agent")
        hv.enter_maintenance(edge.id, ctx)
        assert lab.world.host(edge.id).maintenance

    def test_forced_reboot(self, lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
        edge = host(inventory, "esx-edge.lab")
        booted = lab.world.host(edge.id).booted
        hv.host_reboot(edge.id, ctx, force=True)
        until(hv, lambda i: lab.world.host(edge.id).booted > booted and i.hosts[edge.id].live)
        assert lab.vm("edge-proxy").power is Power.HALTED


def test_a_vm_that_waits_for_an_answer_says_so_when_it_is_asked_for_more(
    lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext
) -> None:
    lab.world.faults.add(FaultRule(method="SuspendVM_Task", code="QuestionPending"))
    with pytest.raises(Busy, match="waits for an answer"):
        hv.suspend(named(inventory, "shop-01").id, ctx)


def test_a_right_that_is_missing(lab: VsphereLab, hv: Hypervisor, inventory: Inventory, ctx: TaskContext) -> None:
    lab.site.extra["denied_privileges"] = ("VirtualMachine.State.CreateSnapshot",)
    rights = next(step for step in hv.diagnose() if step.name == "rights")
    assert not rights.ok
    assert "snapshots" in rights.text
    lab.world.faults.add(FaultRule(method="CreateSnapshot_Task", code="NoPermission"))
    with pytest.raises(PermissionDenied):
        hv.snapshot(named(inventory, "shop-01").id, "x", "", ctx)
