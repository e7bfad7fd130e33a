"""Watching a host: what is seen, how soon, at what price, and on hosts that are old, German, huge or unwilling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from hvconsole.backends.base import TaskContext
from hvconsole.backends.hyperv import HypervHost
from hvconsole.backends.hyperv_read import Reader
from hvconsole.backends.wsman_reply import Record
from hvconsole.errors import AuthError, HvError, NotAHypervisor, NotFound, PermissionDenied
from hvconsole.lab import Lab, power, snapshots
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.hyperv import HypervServer, build_scaled
from hvconsole.lab.sites import Identity
from hvconsole.lab.world import World
from hvconsole.model import Inventory, PowerState, ToolsState, Verb, Vm

from .hyperv_lab import HypervLab, first, hyperv_lab


@pytest.fixture
def hosts(lab_identity: Identity) -> Iterator[HypervLab]:
    with hyperv_lab(lab_identity) as running:
        yield running


def named(inventory: Inventory, name: str) -> Vm:
    return next(vm for vm in inventory.vms.values() if vm.name == name)


def until(hv: HypervHost, inventory: Inventory, done: Callable[[Inventory], object], limit_s: float = 15) -> Inventory:
    end = time.monotonic() + limit_s
    while not done(inventory):
        assert time.monotonic() < end
        inventory = hv.watch(1) or inventory
    return inventory


class TestWhatIsSeen:
    def test_everything_of_a_small_host_at_once(self, hosts: HypervLab) -> None:
        inventory = first(hosts.log_in("http"))
        assert [host.name for host in inventory.hosts.values()] == ["HV-ZRH-1"]
        web = named(inventory, "zrh-web01")
        assert web.power is PowerState.RUNNING
        assert web.tools is ToolsState.RUNNING
        assert web.addresses[0].startswith("10.40.")
        assert ":" in web.addresses[1]
        assert web.os == "Debian GNU/Linux 12 (bookworm)"
        assert web.description == "Intranet"
        assert (web.vcpus, web.memory_bytes) == (2, 4 << 30)
        assert [snapshot.name for snapshot in web.snapshots] == ["before upgrade", "after upgrade"]
        assert web.snapshots[1].parent_id == web.snapshots[0].id
        assert web.current_snapshot_id == web.snapshots[1].id
        assert inventory.networks[web.nics[0].network_id or web.id].name == "Zurich LAN"
        assert named(inventory, "zrh-sql01").nics[1].addresses
        assert {n.name: n.description for n in inventory.networks.values()} == {
            "Zurich LAN": "External",
            "Cluster": "Private",
        }
        assert named(inventory, "zrh-build").power is PowerState.SUSPENDED
        assert named(inventory, "zrh-legacy").power is PowerState.PAUSED
        assert named(inventory, "zrh-fw").tools is ToolsState.MISSING
        assert {storage.id for storage in inventory.storages.values()} == {"C:", "D:"}

    def test_a_german_host_reads_the_same(self, hosts: HypervLab) -> None:
        inventory = first(hosts.log_in(server=hosts.other))
        assert {vm.name for vm in inventory.vms.values()} == {
            "zrh-app01",
            "zrh-app02",
            "zrh-print",
            "zrh-ldap",
            "zrh-archiv",
        }
        app = named(inventory, "zrh-app01")
        assert app.tools is ToolsState.RUNNING
        assert app.snapshots[0].name == "Stand vor Umbau äöü"
        assert app.snapshots[0].with_memory

    def test_windows_server_2012_r2(self, hosts: HypervLab) -> None:
        hosts.server.site.extra["old"] = True
        hv = hosts.log_in()
        inventory = first(hv)
        assert len(inventory.vms) == 9
        assert named(inventory, "zrh-web01").current_snapshot_id
        with pytest.raises(HvError):
            hv.reboot(named(inventory, "zrh-dc01").id, TaskContext())

    def test_planned_vms_are_left_out_where_a_host_lists_them(
        self, hosts: HypervLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Reader.settings

        def settings(reader: Reader, vm_guid: str = "") -> list[Record]:
            rows = asked(reader, vm_guid)
            for row in rows:
                if row.text("ElementName") == "zrh-test02":
                    row.elements("VirtualSystemType")[0].text = "Microsoft:Hyper-V:System:Planned"
            return rows

        monkeypatch.setattr(Reader, "settings", settings)
        names = {vm.name for vm in first(hosts.log_in()).vms.values()}
        assert "zrh-test01" in names
        assert "zrh-test02" not in names

    @pytest.mark.parametrize("name", ["zrh-dc01", "zrh-test01"])
    def test_vms_that_the_summary_leaves_out_or_tells_no_state_of(
        self, hosts: HypervLab, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        asked = Reader.summaries

        def summaries(reader: Reader, guids: Iterable[str] = ()) -> list[Record]:
            rows = asked(reader, guids)
            for row in rows:
                if row.text("ElementName") == name:
                    row.elements("EnabledState")[0].text = ""
            return [row for row in rows if row.text("ElementName") != "zrh-web01"]

        monkeypatch.setattr(Reader, "summaries", summaries)
        inventory = first(hosts.log_in())
        assert len(inventory.vms) == 9
        assert named(inventory, "zrh-web01").power is PowerState.RUNNING
        assert named(inventory, name).power in (PowerState.RUNNING, PowerState.HALTED)

    def test_transitions_keep_the_state_they_come_from(self, hosts: HypervLab) -> None:
        hv = hosts.log_in()
        inventory = first(hv)
        vm_id = named(inventory, "zrh-dc01").id
        for code, doing in ((32773, "saving"), (4, "stopping"), (32776, "pausing"), (32781, "in a critical state")):
            with hosts.world.lock:
                hosts.vm("zrh-dc01").extra["enabled_state"] = code
            inventory = until(hv, inventory, lambda i, doing=doing: doing in i.vms[vm_id].operations)  # type: ignore[misc]
            expected = PowerState.UNKNOWN if code == 32781 else PowerState.RUNNING
            assert inventory.vms[vm_id].power is expected
            refusal = inventory.vms[vm_id].refusals.get(Verb.SUSPEND, "")
            assert ("progress" in refusal) == (code != 32781)

    def test_addresses_of_guests_with_old_integration_services(self, hosts: HypervLab) -> None:
        with hosts.world.lock:
            for name in ("zrh-dc01", "zrh-sql01"):
                hosts.vm(name).extra["old_services"] = True
            told = [address for nic in hosts.vm("zrh-sql01").nics for address in nic.addresses]
        hv = hosts.log_in()
        inventory = first(hv)
        ids = [named(inventory, name).id for name in ("zrh-dc01", "zrh-sql01")]
        inventory = until(hv, inventory, lambda i: all(i.vms[vm_id].addresses for vm_id in ids))
        one, two = (inventory.vms[vm_id] for vm_id in ids)
        assert one.nics[0].addresses == one.addresses
        assert set(two.addresses) == set(told)
        # Which card has which isn't told, and no card is made up for them.
        assert len(two.nics) == 2
        assert not any(nic.addresses for nic in two.nics)
        power.power_off(hosts.world, ids[1])
        inventory = until(hv, inventory, lambda i: i.vms[ids[1]].power is PowerState.HALTED)
        assert inventory.vms[ids[1]].addresses == ()

    def test_a_host_that_hides_what_guests_tell_is_watched_all_the_same(
        self, hosts: HypervLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(_reader: Reader, _guids: Iterable[str]) -> list[Record]:
            raise PermissionDenied("This user may not do that on the host.")

        monkeypatch.setattr(Reader, "told", denied)
        with hosts.world.lock:
            hosts.vm("zrh-dc01").extra["old_services"] = True
        hv = hosts.log_in()
        inventory = first(hv)
        power.power_off(hosts.world, hosts.vm("zrh-web01").id)
        vm_id = named(inventory, "zrh-web01").id
        until(hv, inventory, lambda i: i.vms[vm_id].power is PowerState.HALTED)

    def test_hostile_names(self, hosts: HypervLab) -> None:
        names = ["</p:ElementName>", "[exec rm]", "\u202egnp.exe", "a" * 100_000, "\U0001f5a5 日本", " ", "'; DROP"]
        with hosts.world.lock:
            for vm, name in zip(
                hosts.world.of_site(hosts.world.vms.values(), hosts.server.site.id), names, strict=False
            ):
                vm.name = vm.description = name
        shown = {vm.name for vm in first(hosts.log_in()).vms.values()}
        assert set(names) <= shown


class TestHowItIsSeen:
    def test_changes_by_others(self, hosts: HypervLab) -> None:
        hv = hosts.log_in()
        inventory = first(hv)
        vm = named(inventory, "zrh-dc01")
        power.power_off(hosts.world, vm.id)
        inventory = until(hv, inventory, lambda i: i.vms[vm.id].power is PowerState.HALTED, 8)
        assert inventory.vms[vm.id].addresses == ()
        power.start(hosts.world, vm.id)
        inventory = until(hv, inventory, lambda i: i.vms[vm.id].addresses)
        snapshots.take(hosts.world, vm.id, "by somebody else")
        until(hv, inventory, lambda i: i.vms[vm.id].snapshots)

    def test_unchanged_vms_are_the_same_objects(self, hosts: HypervLab) -> None:
        hv = hosts.log_in()
        before = first(hv)
        vm_id = named(before, "zrh-dc01").id
        with hosts.world.lock:
            hosts.vm("zrh-dc01").name = "other name"
        after = until(hv, before, lambda i: i.vms[vm_id].name == "other name")
        assert [key for key in before.vms if after.vms[key] is not before.vms[key]] == [vm_id]
        assert after.networks is before.networks
        assert after.storages is before.storages

    def test_idle_rounds_cost_one_request(self, hosts: HypervLab, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("SETTINGS_S", "GUESTS_S"):
            monkeypatch.setattr(f"hvconsole.backends.hyperv_poll.{name}", 600.0)
        hv = hosts.log_in()
        first(hv)
        while hv.watch(0.1) is not None:
            pass
        asked = hv.requests
        assert hv.watch(1.5) is None
        assert hv.requests - asked <= 2

    def test_nudge_wakes_a_watch(self, hosts: HypervLab, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("IDLE_S", "LONGEST_S"):
            monkeypatch.setattr(f"hvconsole.backends.hyperv_poll.{name}", 600.0)
        hv = hosts.log_in()
        inventory = first(hv)
        vm = named(inventory, "zrh-dc01")
        while hv.watch(0.1) is not None:
            pass

        def act() -> None:
            power.pause(hosts.world, vm.id)
            hv.nudge()

        timer = threading.Timer(0.1, act)
        began = time.monotonic()
        timer.start()
        shown = hv.watch(60)
        timer.join()
        assert shown is not None
        assert shown.vms[vm.id].power is PowerState.PAUSED
        assert time.monotonic() - began < 10

    def test_a_host_that_is_gone_and_comes_back(self, hosts: HypervLab) -> None:
        hv = hosts.log_in()
        first(hv)
        rule = hosts.world.faults.add(FaultRule(method="*", effect=Effect.DROP_BEFORE))
        with pytest.raises(HvError):
            hv.watch(5)
        hosts.world.faults.remove(rule)
        hv.refresh()
        assert hv.watch(5) is not None


class TestManyVms:
    @pytest.fixture
    def big(self, lab_identity: Identity) -> Iterator[HypervLab]:
        world = World()
        build_scaled(world, 500)
        world.seal()
        running = HypervLab(Lab(world, identity=lab_identity).start(), lab_identity)
        yield running
        for each in running.opened:
            each.close()
        running.lab.stop()

    def test_six_requests_and_then_the_rest(self, big: HypervLab) -> None:
        hv = big.log_in()
        asked = hv.requests
        inventory = first(hv)
        assert hv.requests - asked <= 6
        assert len(inventory.vms) == 500
        assert sum(vm.power is PowerState.RUNNING for vm in inventory.vms.values()) == 400
        assert named(inventory, "vm00000").addresses
        assert named(inventory, "vm00000").snapshots
        assert all(vm.vcpus for vm in inventory.vms.values())
        assert all(vm.memory_bytes and vm.started for vm in inventory.vms.values() if vm.power is PowerState.RUNNING)
        assert named(inventory, "vm00498").os
        assert named(inventory, "vm00498").tools is ToolsState.RUNNING
        asked = hv.requests
        hv.refresh()
        first(hv)
        assert hv.requests - asked <= 6
        inventory = until(hv, inventory, lambda i: all(vm.memory_bytes and vm.vcpus for vm in i.vms.values()))
        until(hv, inventory, lambda i: named(i, "vm00499").os is None and named(i, "vm00498").os)

    def test_a_vm_that_is_deleted_meanwhile_costs_no_summaries_later(
        self, big: HypervLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hv = big.log_in()
        with monkeypatch.context() as patched:

            def summaries(_reader: Reader, _guids: Iterable[str] = ()) -> list[Record]:
                raise NotFound("Gone.")

            patched.setattr(Reader, "summaries", summaries)
            assert named(first(hv), "vm00498").os is None
        hv.refresh()
        inventory = first(hv)
        assert all(vm.vcpus for vm in inventory.vms.values())
        assert named(inventory, "vm00498").os

    def test_a_stricter_host(self, big: HypervLab) -> None:
        server = big.server
        assert isinstance(server, HypervServer)
        server.service.limits.max_envelope_bytes = 150 * 1024
        inventory = first(big.log_in())
        assert len(inventory.vms) == 500


class TestLogin:
    def test_no_rights_is_not_an_empty_host(self, hosts: HypervLab) -> None:
        hosts.server.site.extra["no_rights"] = True
        with pytest.raises(PermissionDenied, match="Hyper-V Administrators"):
            hosts.log_in()

    def test_access_denied(self, hosts: HypervLab) -> None:
        hosts.server.site.extra["access_denied"] = True
        with pytest.raises(PermissionDenied):
            hosts.log_in()

    def test_no_role(self, hosts: HypervLab) -> None:
        hosts.server.site.extra["no_role"] = True
        with pytest.raises(NotAHypervisor, match="Install-WindowsFeature"):
            hosts.log_in()

    def test_wrong_password(self, hosts: HypervLab) -> None:
        with pytest.raises(AuthError):
            hosts.log_in(password="wrong")

    def test_a_host_without_summaries_and_columns(self, hosts: HypervLab) -> None:
        for method in ("*.GetSummaryInformation",):
            hosts.world.faults.add(FaultRule(method=method, effect=Effect.FAULT, code="0x80041055"))
        inventory = first(hosts.log_in())
        assert len(inventory.vms) == 9
        assert named(inventory, "zrh-dc01").power is PowerState.RUNNING
        assert named(inventory, "zrh-dc01").addresses
