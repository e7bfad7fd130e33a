"""What others do on the server shows by itself: on VMware's own simulator and on the lab."""

from __future__ import annotations

import contextlib
import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vim

from hvconsole.backends.base import CreateVm, Hypervisor, TaskContext
from hvconsole.backends.vsphere_collector import HEAL_S, Collector
from hvconsole.backends.vsphere_records import Page, Update
from hvconsole.clock import SystemClock
from hvconsole.errors import SessionLost, Unreachable
from hvconsole.lab import hosts, lifecycle
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.sites import Identity
from hvconsole.lab.tasks import Timing
from hvconsole.model import ObjectId, PowerState, Verb
from tests.peers.vcsim import Vcsim

from .vsphere_lab import VsphereLab, first, log_in_to_vcsim, named, until, vsphere_lab


@pytest.fixture
def ctx() -> TaskContext:
    return TaskContext()


@pytest.fixture
def peer() -> Iterator[Vcsim]:
    with Vcsim("vpx", vm=2) as running:
        yield running


@pytest.fixture
def pair(peer: Vcsim) -> Iterator[tuple[Hypervisor, Hypervisor]]:
    """One that watches, and somebody else."""
    hv, other = log_in_to_vcsim(peer), log_in_to_vcsim(peer)
    yield hv, other
    hv.close()
    other.close()


@contextlib.contextmanager
def other_client(peer: Vcsim) -> Iterator[Any]:
    """The content of vcsim as stock pyVmomi sees it, for what hvconsole has no verb for."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    instance = SmartConnect(host=peer.host, port=peer.port, user=peer.user, pwd=peer.password, sslContext=context)
    yield instance.RetrieveContent()
    Disconnect(instance)


class ShiftedClock(SystemClock):
    """The real clock, which a test can put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def now(self) -> dt.datetime:
        return super().now() + dt.timedelta(seconds=self.ahead)


class TestOnVcsim:
    def test_born_renamed_moved_switched_and_gone(self, pair: tuple[Hypervisor, Hypervisor], ctx: TaskContext) -> None:
        hv, other = pair
        inventory = first(hv)
        first(other)
        one = named(inventory, "DC0_C0_RP0_VM0")
        made = other.create_vm(CreateVm(name="born elsewhere", memory_bytes=1 << 28), ctx)
        assert until(hv, lambda i: i.vms.get(made)).name == "born elsewhere"
        other.rename(one.id, "renamed elsewhere", ctx)
        until(hv, lambda i: i.vms[one.id].name == "renamed elsewhere")
        target = next(h for h in inventory.hosts if h != one.host_id and inventory.hosts[h].pool_id == one.pool_id)
        other.migrate(one.id, target, ctx)
        until(hv, lambda i: i.vms[one.id].host_id == target)
        other.power_off(one.id, ctx)
        until(hv, lambda i: i.vms[one.id].power is PowerState.HALTED)
        other.snapshot(one.id, "by somebody", "", ctx)
        until(hv, lambda i: [s.name for s in i.vms[one.id].snapshots] == ["by somebody"])
        other.delete_vm(made, ctx)
        until(hv, lambda i: made not in i.vms)

    def test_tools_and_addresses_come_and_go(self, peer: Vcsim, pair: tuple[Hypervisor, Hypervisor]) -> None:
        hv, _ = pair
        vm = named(first(hv), "DC0_H0_VM0")
        assert Verb.SHUTDOWN in vm.refusals
        peer.control(guest={vm.id: {"tools": "guestToolsRunning", "ip": "10.3.4.5,fd00::5"}})
        shown = until(hv, lambda i: i.vms[vm.id] if i.vms[vm.id].addresses else None)
        assert shown.addresses == ("10.3.4.5", "fd00::5")
        assert Verb.SHUTDOWN not in shown.refusals

    def test_disabled_methods(self, peer: Vcsim, pair: tuple[Hypervisor, Hypervisor]) -> None:
        hv, _ = pair
        vm = named(first(hv), "DC0_H0_VM0")
        peer.control(disabled={vm.id: ["SuspendVM_Task"]})
        until(hv, lambda i: Verb.SUSPEND in i.vms[vm.id].refusals)

    def test_own_changes_show_at_once_though_the_server_announces_none(
        self, pair: tuple[Hypervisor, Hypervisor], ctx: TaskContext
    ) -> None:
        """vcsim never announces nested snapshots and reconfigurations."""
        hv, _ = pair
        vm = named(first(hv), "DC0_H0_VM0")
        for name in ("one", "two", "three"):
            hv.snapshot(vm.id, name, "", ctx)
        until(hv, lambda i: len(i.vms[vm.id].snapshots) == 3, tries=6)
        hv.rename(vm.id, "x", ctx, description="new notes")
        until(hv, lambda i: i.vms[vm.id].description == "new notes", tries=6)

    def test_full_reread_heals_what_was_not_announced(self, peer: Vcsim, ctx: TaskContext) -> None:
        clock = ShiftedClock()
        hv, other = log_in_to_vcsim(peer, clock=clock), log_in_to_vcsim(peer)
        before = first(hv)
        vm = named(before, "DC0_H0_VM0")
        other.rename(vm.id, "renamed", ctx, description="quietly")
        until(hv, lambda i: i.vms[vm.id].name == "renamed")
        while hv.watch(0.3) is not None:
            pass
        clock.ahead += HEAL_S + 1
        healed = until(hv, lambda i: i if i.vms[vm.id].description == "quietly" else None, tries=4)
        untouched = [key for key in before.vms if key != vm.id]
        assert all(healed.vms[key] is before.vms[key] for key in untouched)
        hv.close()
        other.close()

    def test_one_goes_while_another_comes(self, pair: tuple[Hypervisor, Hypervisor], ctx: TaskContext) -> None:
        hv, other = pair
        gone = named(first(hv), "DC0_H0_VM0")
        other.power_off(gone.id, ctx)
        until(hv, lambda i: i.vms[gone.id].power is PowerState.HALTED)
        other.delete_vm(gone.id, ctx)
        made = other.create_vm(CreateVm(name="in its place", memory_bytes=1 << 28), ctx)
        shown = until(hv, lambda i: i if made in i.vms else None)
        assert gone.id not in shown.vms

    def test_a_connection_that_is_cut_is_made_anew(self, pair: tuple[Hypervisor, Hypervisor], ctx: TaskContext) -> None:
        """vcsim cuts it when a VM was changed and deleted between two questions."""
        hv, other = pair
        gone = named(first(hv), "DC0_H0_VM0")
        other.power_off(gone.id, ctx)
        other.delete_vm(gone.id, ctx)
        shown = until(hv, lambda i: i if gone.id not in i.vms else None)
        assert len(shown.vms) == 3

    def test_moved_to_another_folder_by_another_client(self, peer: Vcsim, pair: tuple[Hypervisor, Hypervisor]) -> None:
        hv, _ = pair
        vm = named(first(hv), "DC0_H0_VM0")
        with other_client(peer) as content:
            datacenter = content.rootFolder.childEntity[0]
            outer = datacenter.vmFolder.CreateFolder("outer")
            inner = outer.CreateFolder("inner")
            inner.MoveIntoFolder_Task([vim.VirtualMachine(vm.id, inner._stub)])
            shown = until(hv, lambda i: i if i.vms[vm.id].folder_id == inner._moId else None)
            assert shown.pools[inner._moId].parent_id == outer._moId
            assert len(shown.vms) == 4

    def test_an_error_on_the_way_loses_no_change(
        self, pair: tuple[Hypervisor, Hypervisor], ctx: TaskContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hv, other = pair
        gone = named(first(hv), "DC0_H0_VM0")
        read = Collector._hardware_updates
        failed: list[str] = []

        def fails_once(self: Collector, unread: dict[str, None]) -> list[Update]:
            if failed:
                return read(self, unread)
            failed.append("once")
            raise vim.fault.NotAuthenticated

        monkeypatch.setattr(Collector, "_hardware_updates", fails_once)
        other.power_off(gone.id, ctx)
        until(hv, lambda i: i.vms[gone.id].power is PowerState.HALTED)
        other.delete_vm(gone.id, ctx)
        made = other.create_vm(CreateVm(name="in its place", memory_bytes=1 << 28), ctx)
        shown = until(hv, lambda i: i if made in i.vms else None)
        assert failed
        assert gone.id not in shown.vms

    def test_the_server_is_killed(self, peer: Vcsim) -> None:
        hv = log_in_to_vcsim(peer)
        first(hv)
        threading.Timer(0.3, peer._process.kill).start()
        with pytest.raises((Unreachable, SessionLost)):
            until(hv, lambda inventory: False)
        hv.close()


@pytest.fixture
def lab(lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity, timing=Timing(migrate=0.8, snapshot=0.5)) as running:
        yield running


class TestOnTheLab:
    def test_one_change_rebuilds_one_vm(self, lab: VsphereLab) -> None:
        hv = lab.log_in()
        before = first(hv)
        vm = lab.vm("shop-01")
        lifecycle.rename(lab.world, vm.id, "shop-one")
        after = until(hv, lambda i: i if named_or_none(i, "shop-one") else None)
        assert [key for key in before.vms if after.vms[key] is not before.vms[key]] == [vm.id]
        assert after.hosts is before.hosts
        assert after.networks is before.networks

    def test_a_renamed_network_or_datastore_is_renamed_at_its_vms(self, lab: VsphereLab) -> None:
        hv = lab.log_in()
        vm = named(first(hv), "shop-01")
        with lab.world.lock:
            network = lab.world.networks[vm.nics[0].network_id or ""]
            storage = lab.world.storages[vm.disks[0].storage_id or ""]
            network.name, storage.name = "Office 2nd floor", "nvme-2"
            lab.world.changed(network)
            lab.world.changed(storage)
        after = until(hv, lambda i: i.vms[vm.id] if i.vms[vm.id].disks[0].storage == "nvme-2" else None)
        assert after.nics[0].network == "Office 2nd floor"

    def test_a_network_with_a_slash_in_its_name_has_its_cards(self, lab: VsphereLab) -> None:
        hv = lab.log_in()
        vm = named(first(hv), "shop-01")
        assert vm.host_id is not None
        with lab.world.lock:
            network = lab.world.networks[vm.nics[0].network_id or ""]
            network.name = "10.21.0.0/16 50%"
        link = next(one for one in hv.network_map(vm.host_id).links if one.network_id == network.id)
        assert link.network == "10.21.0.0/16 50%"
        assert [card.name for card in link.host_nics] == ["vmnic0", "vmk0"]
        assert vm.id in {vm_id for vm_id, _nic in link.vm_nics}

    def test_segments_of_nsx_are_called_by_their_names(self, lab: VsphereLab, ctx: TaskContext) -> None:
        nsx = "5f2f9c1e-7f4a-4d3e-9c55-0a2b6f6b1c11"
        with lab.world.lock:
            network = lab.world.networks[lab.vm("shop-01").nics[0].network_id or ""]
            network.name = "seg/web"
            network.extra.update(kind="OpaqueNetwork", opaque_id=nsx)
        hv = lab.log_in()
        inventory = first(hv)
        card = named(inventory, "shop-01").nics[0]
        assert (card.network, card.network_id) == ("seg/web", network.id)
        assert hv.details(named(inventory, "shop-01").id).nics[0] == card
        host = named(inventory, "shop-01").host_id
        assert host is not None
        link = next(link for link in hv.network_map(host).links if link.network_id == network.id)
        assert named(inventory, "shop-01").id in {vm_id for vm_id, _nic in link.vm_nics}
        made = hv.create_vm(CreateVm(name="on nsx", network_id=ObjectId(network.id)), ctx)
        assert lab.world.vms[made].nics[0].network_id == network.id

    def test_port_groups_of_a_distributed_switch(self, lab: VsphereLab, ctx: TaskContext) -> None:
        with lab.world.lock:
            network = lab.world.networks[lab.vm("shop-01").nics[0].network_id or ""]
            network.name = "dv/web"
            network.extra["kind"] = "DistributedVirtualPortgroup"
        hv = lab.log_in()
        vm = named(first(hv), "shop-01")
        assert (vm.nics[0].network, vm.nics[0].network_id) == ("dv/web", network.id)
        assert vm.host_id is not None
        link = next(one for one in hv.network_map(vm.host_id).links if one.network_id == network.id)
        assert [card.name for card in link.host_nics if card.name.startswith("vmnic")] == ["vmnic0"]
        assert vm.id in {vm_id for vm_id, _nic in link.vm_nics}
        made = hv.create_vm(CreateVm(name="on dvs", network_id=ObjectId(network.id)), ctx)
        assert lab.world.vms[made].nics[0].network_id == network.id

    def test_uplinks_of_a_distributed_switch_are_no_networks_for_vms(self, lab: VsphereLab) -> None:
        with lab.world.lock:
            network = lab.world.networks[lab.vm("shop-01").nics[0].network_id or ""]
            network.extra.update(kind="DistributedVirtualPortgroup", tags=("SYSTEM/DVS.UPLINKPG",))
        shown = first(lab.log_in()).networks
        assert shown
        assert network.id not in shown

    def test_a_vm_that_waits_for_an_answer_says_so(self, lab: VsphereLab) -> None:
        hv = lab.log_in()
        vm = named(first(hv), "shop-01")
        words = "There is no more space for virtual disk 'shop-01.vmdk'."
        with lab.world.lock:
            lab.vm("shop-01").extra["question"] = words
            lab.world.changed(lab.vm("shop-01"))
        stuck = until(hv, lambda i: i.vms[vm.id] if i.vms[vm.id].operations else None)
        assert stuck.operations == ("waiting for an answer",)
        assert stuck.refusals == vm.refusals
        assert ("Waiting for an answer", words) in hv.details(vm.id).facts

    def test_work_under_way_is_shown(self, lab: VsphereLab, ctx: TaskContext) -> None:
        hv = lab.log_in()
        vm = named(first(hv), "shop-01")
        thread = threading.Thread(target=lambda: hv.snapshot(vm.id, "slow", "", ctx))
        thread.start()
        busy = until(hv, lambda i: i.vms[vm.id] if Verb.SUSPEND in i.vms[vm.id].refusals else None)
        assert busy.operations == ("createSnapshot",)
        assert "createSnapshot" in busy.refusals[Verb.SUSPEND]
        thread.join(10)
        until(hv, lambda i: not i.vms[vm.id].operations)

    def test_a_host_dies_and_comes_back(self, lab: VsphereLab) -> None:
        hv = lab.log_in()
        host = next(h for h in first(hv).hosts.values() if h.name == "esx-edge.lab")
        hosts.fail(lab.world, host.id)
        dead = until(hv, lambda i: i.hosts[host.id] if i.hosts[host.id].live is False else None)
        assert "doesn't answer" in dead.refusals[Verb.HOST_REBOOT]
        hosts.repair(lab.world, host.id)
        until(hv, lambda i: i.hosts[host.id].live)

    def test_disks_that_two_vms_share_are_named_and_kept(self, lab: VsphereLab, ctx: TaskContext) -> None:
        hv = lab.log_in()
        with lab.world.lock:
            one, two = lab.vm("sandbox-zh"), lab.vm("shop-old")
            two.drives[0].disk_id = one.drives[0].disk_id
            for snapshot in lab.world.snapshots_of(two.id):
                lab.world.remove(snapshot)
            two.current_snapshot_id = None
            lab.world.changed(two)
        inventory = first(hv)
        assert inventory.vms[two.id].disks[0].shared_with == ("sandbox-zh",)
        assert hv.details(one.id).disks[0].shared_with == ("shop-old",)  # type: ignore[arg-type]
        hv.delete_vm(two.id, ctx)  # type: ignore[arg-type]
        with lab.world.lock:
            assert one.drives[0].disk_id in lab.world.disks
            assert two.id not in lab.world.vms

    def test_all_verbs_work_while_everything_is_read_again(self, lab: VsphereLab, ctx: TaskContext) -> None:
        hv = lab.log_in()
        vm = named(first(hv), "sandbox-zh")
        slow = lab.world.faults.add(FaultRule(method="WaitForUpdatesEx", effect=Effect.DELAY, delay_s=2.0, max_count=1))
        watcher = threading.Thread(target=hv.watch, args=(5,))
        hv.refresh()
        watcher.start()
        while not slow.fired:
            threading.Event().wait(0.02)
        begun = SystemClock().monotonic()
        hv.start(vm.id, ctx)
        hv.snapshot(vm.id, "meanwhile", "", ctx)
        assert hv.details(vm.id).disks
        assert SystemClock().monotonic() - begun < 1.9
        watcher.join(10)
        hv.refresh()
        until(hv, lambda i: i.vms[vm.id].power is PowerState.RUNNING)

    def test_vms_of_large_servers_get_their_hardware_later(
        self, lab: VsphereLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("hvconsole.backends.vsphere_collector.HARDWARE_AT_ONCE", 7)
        hv = lab.log_in()
        inventory = first(hv)
        assert not any(vm.disks for vm in inventory.vms.values())
        full = until(hv, lambda i: i if all(vm.disks for vm in i.vms.values()) else None)
        assert all(nic.mac for vm in full.vms.values() for nic in vm.nics)

    def test_keep_alive(self, lab: VsphereLab) -> None:
        clock = ShiftedClock()
        hv = lab.log_in(clock=clock)
        first(hv)
        asked = lab.world.faults.add(FaultRule(method="CurrentTime", effect=Effect.DELAY))
        hv.watch(0.2)
        assert asked.seen == 0
        clock.ahead += 600
        hv.watch(0.2)
        assert asked.seen == 1


def named_or_none(inventory: object, name: str) -> object:
    return next((vm for vm in inventory.vms.values() if vm.name == name), None)  # type: ignore[attr-defined]


def test_nothing_is_read_attribute_by_attribute(lab: VsphereLab, ctx: TaskContext) -> None:
    """Every screen and verb once: not one Fetch."""
    fetched = lab.world.faults.add(FaultRule(method="Fetch", effect=Effect.DELAY))
    hv = lab.log_in()
    inventory = first(hv)
    vm = named(inventory, "sandbox-zh")
    host = next(iter(inventory.hosts))
    hv.details(vm.id)
    hv.host_info(host)
    hv.network_map(host)
    hv.events()
    hv.metrics(host)
    hv.creation_choices()
    hv.start(vm.id, ctx)
    hv.snapshot(vm.id, "s", "", ctx)
    hv.power_off(vm.id, ctx)
    hv.clone_vm(vm.id, "c", ctx)
    list(hv.diagnose())
    assert fetched.seen == 0


def test_a_server_that_answers_at_once_every_time_is_not_asked_without_end(
    lab: VsphereLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    hv = lab.log_in()
    assert hv.watch(10) is not None
    asked: list[float] = []

    def at_once(self: Collector, wait_s: float) -> Page:
        asked.append(wait_s)
        return Page(version="7")

    monkeypatch.setattr(Collector, "_wait_for_updates", at_once)
    assert hv.watch(0.5) is None
    hv.close()
    assert 10 < len(asked) < 60
