"""Logging in, staying in, being thrown out, and ending: the same on every platform."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hvconsole.backends.base import Capability, Hypervisor, TaskContext
from hvconsole.errors import (
    AuthError,
    BadReply,
    CertificateError,
    HvError,
    NotSupported,
    OutcomeUnknown,
    SessionLost,
    TaskCancelled,
    Unreachable,
)
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.model import Inventory, PowerState, ServerInfo, Vm
from hvconsole.trust import PinStore

from .conftest import Site, Viewer
from .platforms import Platform


class TestLogin:
    def test_says_who_it_is(self, hv: Hypervisor, platform: Platform) -> None:
        info = hv.info
        assert isinstance(info, ServerInfo)
        assert info.platform == platform.name
        assert info.product
        assert info.version

    def test_wrong_password(self, site: Site) -> None:
        with pytest.raises(AuthError):
            site.log_in(password="cAnArY-wrong")

    def test_unknown_certificate(self, site: Site) -> None:
        with pytest.raises(CertificateError) as caught:
            site.log_in(trust=PinStore())
        assert caught.value.reason == "unknown"
        assert caught.value.presented is not None
        assert caught.value.presented.sha256 == site.server.sha256

    def test_changed_certificate(self, site: Site) -> None:
        with pytest.raises(CertificateError) as caught:
            site.log_in(trust=site.trust("0" * 64))
        assert caught.value.reason == "changed"

    def test_nobody_there(self, site: Site) -> None:
        target = site.target()
        site.lab.stop()
        with pytest.raises(Unreachable):
            site.log_in(target=target)

    def test_password_is_in_no_error(self, site: Site) -> None:
        for password in ("cAnArY-password", "cAnArY\x00"):
            with pytest.raises(HvError) as caught:
                site.log_in(password=password)
            assert "cAnArY" not in f"{caught.value!r} {caught.value} {caught.value.detail}"

    def test_junk_instead_of_a_server(self, site: Site, platform: Platform) -> None:
        site.world.faults.add(
            FaultRule(method=platform.login_request, effect=Effect.GARBAGE, body=b"<html>hello</html>")
        )
        with pytest.raises(HvError) as caught:
            site.log_in()
        assert not isinstance(caught.value, AuthError)


class TestWatch:
    def test_first_gives_everything_then_only_changes(
        self, hv: Hypervisor, site: Site, viewer: Viewer, halted_vm: Vm, ctx: TaskContext
    ) -> None:
        first = viewer.inventory
        with site.world.lock:
            ours = {each.id for each in site.world.sites.values() if each.name == site.server.name}
            names = {vm.name for vm in site.world.vms.values() if not vm.is_control_domain and vm.site_id in ours}
        assert {vm.name for vm in first.vms.values()} >= names
        hv.start(halted_vm.id, ctx)
        viewer.until_vm(halted_vm.id, lambda vm: vm.power is PowerState.RUNNING)
        untouched = [key for key in first.vms if key != halted_vm.id]
        assert all(viewer.inventory.vms[key] is first.vms[key] for key in untouched)
        assert viewer.inventory.networks is first.networks

    def test_nothing_happens(self, hv: Hypervisor, viewer: Viewer) -> None:
        while hv.watch(0.3) is not None:
            pass
        started = time.monotonic()
        assert hv.watch(0.3) is None
        assert time.monotonic() - started < 3

    def test_refresh_wakes_and_keeps_what_is_equal(self, hv: Hypervisor, viewer: Viewer) -> None:
        before = viewer.inventory
        woken = threading.Timer(0.2, hv.refresh)
        woken.start()
        after = hv.watch(1.5) or before
        woken.join()
        assert {key: vm for key, vm in after.vms.items() if before.vms.get(key) is not vm} == {}

    def test_changes_made_by_others_show(self, hv: Hypervisor, site: Site, viewer: Viewer, running_vm: Vm) -> None:
        other = site.log_in()
        other.watch(10)
        other.rename(running_vm.id, "renamed elsewhere", TaskContext())
        viewer.until_vm(running_vm.id, lambda vm: vm.name == "renamed elsewhere")


class TestLosing:
    def test_expired_session_is_renewed_for_reads_and_writes(
        self, hv: Hypervisor, site: Site, viewer: Viewer, running_vm: Vm, ctx: TaskContext
    ) -> None:
        site.expire_sessions()
        assert hv.details(running_vm.id).vm_id == running_vm.id
        site.expire_sessions()
        taken = hv.snapshot(running_vm.id, "after expiry", "", ctx)
        assert len(hv.find_snapshots(running_vm.id, "after expiry").found) == 1
        viewer.until_vm(running_vm.id, lambda vm: vm.snapshot(taken.id))

    def test_expired_session_while_watching(self, hv: Hypervisor, site: Site, viewer: Viewer, running_vm: Vm) -> None:
        site.expire_sessions()
        other = site.log_in()
        other.watch(10)
        other.rename(running_vm.id, "still seen", TaskContext())
        viewer.until_vm(running_vm.id, lambda vm: vm.name == "still seen")

    @pytest.mark.requires(Capability.SNAPSHOT)
    def test_snapshot_whose_reply_is_lost_is_asked_for_once(
        self, hv: Hypervisor, site: Site, platform: Platform, running_vm: Vm, ctx: TaskContext
    ) -> None:
        rule = site.world.faults.add(FaultRule(method=platform.snapshot_request, effect=Effect.DROP_AFTER, max_count=1))
        with pytest.raises(OutcomeUnknown):
            hv.snapshot(running_vm.id, "once", "", ctx)
        assert rule.seen == 1
        deadline = time.monotonic() + 5
        while hv.find_snapshots(running_vm.id, "once").running and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        with site.world.lock:
            assert len([s for s in site.world.snapshots.values() if s.name == "once"]) == 1
        assert len(hv.find_snapshots(running_vm.id, "once").found) == 1

    @pytest.mark.requires(Capability.SNAPSHOT)
    def test_garbage_for_a_write_leaves_the_outcome_unknown(
        self, hv: Hypervisor, site: Site, platform: Platform, running_vm: Vm, ctx: TaskContext
    ) -> None:
        site.world.faults.add(
            FaultRule(method=platform.snapshot_request, effect=Effect.GARBAGE, body=b"<<<", max_count=1)
        )
        with pytest.raises((OutcomeUnknown, BadReply)):
            hv.snapshot(running_vm.id, "x", "", ctx)

    def test_server_away_for_a_moment(
        self, hv: Hypervisor, site: Site, viewer: Viewer, running_vm: Vm, ctx: TaskContext
    ) -> None:
        rule = site.world.faults.add(FaultRule(method="*", effect=Effect.DROP_BEFORE))
        with pytest.raises((Unreachable, SessionLost)):
            hv.details(running_vm.id)
        with pytest.raises(HvError):
            hv.rename(running_vm.id, "not while it is away", ctx)
        site.world.faults.remove(rule)
        assert hv.details(running_vm.id).vm_id == running_vm.id
        hv.rename(running_vm.id, "it is back", ctx)
        viewer.until_vm(running_vm.id, lambda vm: vm.name == "it is back")

    def test_server_gone(self, hv: Hypervisor, site: Site, viewer: Viewer, running_vm: Vm) -> None:
        site.lab.stop()
        for ask in (lambda: hv.details(running_vm.id), lambda: hv.watch(1)):
            with pytest.raises((Unreachable, SessionLost)):
                ask()


class TestThreads:
    def test_eight_at_once(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm) -> None:
        errors: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(10):
                    assert hv.details(running_vm.id).vm_id == running_vm.id
            except (HvError, AssertionError) as exc:
                errors.append(exc)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []

    def test_close_ends_a_watch(self, hv: Hypervisor, viewer: Viewer) -> None:
        caught: list[object] = []
        begun = threading.Event()

        def work() -> None:
            try:
                while True:
                    begun.set()
                    caught.append(hv.watch(60))
            except HvError as exc:
                caught.append(exc)

        thread = threading.Thread(target=work)
        thread.start()
        assert begun.wait(5)
        threading.Event().wait(0.3)
        started = time.monotonic()
        hv.close()
        thread.join(5)
        assert time.monotonic() - started < 1.5
        assert isinstance(caught[-1], SessionLost)

    def test_close_twice_and_nothing_after(self, hv: Hypervisor, viewer: Viewer, running_vm: Vm) -> None:
        hv.close()
        hv.close()
        with pytest.raises(SessionLost):
            hv.details(running_vm.id)
        with pytest.raises(SessionLost):
            hv.watch(1)

    @pytest.mark.requires(Capability.CANCEL_TASK | Capability.SNAPSHOT)
    def test_slow_task_is_cancelled_on_the_server(
        self, hv: Hypervisor, site: Site, viewer: Viewer, running_vm: Vm
    ) -> None:
        site.world.timing.snapshot = 30.0
        ctx = TaskContext()
        timer = threading.Timer(0.5, ctx.cancel)
        timer.start()
        started = time.monotonic()
        with pytest.raises(TaskCancelled):
            hv.snapshot(running_vm.id, "never finished", "", ctx)
        timer.join()
        assert time.monotonic() - started < 5
        with site.world.lock:
            assert not [s for s in site.world.snapshots.values() if s.name == "never finished"]
            assert not site.world.vms[running_vm.id].operations

    @pytest.mark.requires(Capability.SNAPSHOT)
    def test_running_snapshot_is_found_before_it_is_finished(
        self, hv: Hypervisor, site: Site, viewer: Viewer, running_vm: Vm
    ) -> None:
        site.world.timing.snapshot = 1.5
        thread = threading.Thread(target=lambda: hv.snapshot(running_vm.id, "slow", "", TaskContext()))
        thread.start()
        deadline = time.monotonic() + 10
        seen_running = False
        while not seen_running and time.monotonic() < deadline:
            search = hv.find_snapshots(running_vm.id, "slow")
            seen_running = search.running
            assert search.found == () or seen_running
        thread.join(10)
        assert seen_running
        assert len(hv.find_snapshots(running_vm.id, "slow").found) == 1

    @pytest.mark.requires(Capability.SNAPSHOT)
    def test_progress_is_reported(self, hv: Hypervisor, site: Site, viewer: Viewer, running_vm: Vm) -> None:
        site.world.timing.snapshot = 0.6
        seen: list[float] = []
        ctx = TaskContext(lambda fraction, text: seen.append(fraction) if fraction is not None else None)
        hv.snapshot(running_vm.id, "watched", "", ctx)
        assert seen
        assert all(0 <= fraction <= 1 for fraction in seen)


def test_what_is_not_declared_is_not_supported(
    hv: Hypervisor, viewer: Viewer, running_vm: Vm, halted_vm: Vm, ctx: TaskContext
) -> None:
    host_id = next(iter(viewer.inventory.hosts))
    storage_id = next(iter(viewer.inventory.storages))
    calls: dict[Capability, Callable[[], object]] = {
        Capability.SUSPEND: lambda: hv.suspend(running_vm.id, ctx),
        Capability.PAUSE: lambda: hv.pause(running_vm.id, ctx),
        Capability.STANDBY: lambda: hv.standby(running_vm.id, ctx),
        Capability.SNAPSHOT_QUIESCE: lambda: hv.snapshot(running_vm.id, "q", "", ctx, quiesce=True),
        Capability.SNAPSHOT_MEMORY: lambda: hv.snapshot(running_vm.id, "m", "", ctx, memory=True),
        Capability.MIGRATE: lambda: hv.migrate(running_vm.id, host_id, ctx),
        Capability.MIGRATE_STORAGE: lambda: hv.migrate(running_vm.id, None, ctx, storage_id=storage_id),
        Capability.TO_TEMPLATE: lambda: hv.to_template(halted_vm.id, ctx),
        Capability.TO_VM: lambda: hv.to_vm(halted_vm.id, ctx),
        Capability.UNREGISTER: lambda: hv.unregister(halted_vm.id, ctx),
        Capability.MAINTENANCE: lambda: hv.enter_maintenance(host_id, ctx),
        Capability.METRICS: lambda: hv.metrics(running_vm.id),
        Capability.NETWORK_MAP: lambda: hv.network_map(host_id),
        Capability.EVENTS: lambda: hv.events(),
        Capability.SCREENSHOT: lambda: hv.screenshot(running_vm.id),
        Capability.CONSOLE: lambda: hv.console(running_vm.id),
        Capability.EMERGENCY: lambda: hv.become_master(ctx),
    }
    for capability, call in calls.items():
        if capability not in hv.capabilities:
            with pytest.raises(NotSupported):
                call()


def test_units_and_types(viewer: Viewer) -> None:
    inventory: Inventory = viewer.inventory
    for vm in inventory.vms.values():
        assert vm.memory_bytes is None or vm.memory_bytes >= 1 << 24
        assert vm.vcpus is None or 1 <= vm.vcpus <= 512
        assert vm.started is None or vm.started.tzinfo is not None
        assert vm.addresses == () or vm.power is PowerState.RUNNING
        assert [a for a in vm.addresses if ":" not in a] == list(vm.addresses)[
            : sum(":" not in a for a in vm.addresses)
        ]
        for snapshot in vm.snapshots:
            assert snapshot.created is None or snapshot.created.tzinfo is not None
            assert snapshot.parent_id is None or vm.snapshot(snapshot.parent_id)
    for host in inventory.hosts.values():
        assert host.memory_bytes is None or host.memory_bytes > 1 << 28
    for storage in inventory.storages.values():
        assert storage.free_bytes is None or storage.free_bytes >= 0
