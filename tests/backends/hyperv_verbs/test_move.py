"""Moving, exporting and importing Hyper-V VMs, and what can be done to the host itself."""

from __future__ import annotations

import threading
from pathlib import Path, PurePosixPath

import pytest

from hvconsole.backends.base import Capability, TaskContext
from hvconsole.backends.hyperv import HypervHost
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.hyperv_move import MoveVerbs
from hvconsole.backends.hyperv_read import Reader
from hvconsole.backends.wsman_reply import Record
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    InvalidInput,
    NotFound,
    NotSupported,
    PermissionDenied,
    Refused,
)
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.hyperv import naming
from hvconsole.model import Inventory, ObjectId, PowerState, Verb
from tests.backends.hyperv_lab import HypervLab, first
from tests.backends.hyperv_verbs.looking import named, seen


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
