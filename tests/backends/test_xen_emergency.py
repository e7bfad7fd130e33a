"""The master is dead: local login to a member, what it says, and the two ways out."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest

from hvconsole.backends import open_hypervisor
from hvconsole.backends.base import Capability, Hypervisor, Secret, Target, TaskContext
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    AuthError,
    BadPowerState,
    EmergencyMode,
    HostIsSlave,
    HvError,
    InvalidInput,
    OutcomeUnknown,
    SessionLost,
    Unreachable,
)
from hvconsole.lab import Lab
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.model import Inventory, ObjectId, Verb
from hvconsole.trust import FixedPins, PinStore


class Rescuer:
    """Somebody with the addresses and the password of the lab's pool."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.server = lab.servers[0]
        self.members = [(member.rpartition(":")[0], int(member.rpartition(":")[2])) for member in self.server.members]
        self.trust = FixedPins(dict.fromkeys(self.members, self.server.sha256), PinStore())
        self.opened: list[Hypervisor] = []

    def log_in(self, member: int, *, emergency: bool = True, password: str = "") -> Hypervisor:
        hv = open_hypervisor(
            Target(
                platform="xenserver",
                addresses=(self.members[member],),
                user="root",
                options={"emergency": "yes"} if emergency else {},
                known_members=tuple(host for host, _port in self.members) if emergency else (),
            ),
            Secret(password=password or self.server.password),
            self.trust,
            SystemClock(),
        )
        self.opened.append(hv)
        return hv


@pytest.fixture
def rescuer(lab: Lab) -> Iterator[Rescuer]:
    rescuer = Rescuer(lab)
    yield rescuer
    for hv in rescuer.opened:
        hv.close()


def test_member_names_its_master(rescuer: Rescuer) -> None:
    with pytest.raises(HostIsSlave) as caught:
        rescuer.log_in(1, emergency=False)
    assert caught.value.master_address == rescuer.members[0][0]


def test_host_that_is_fine_says_so(rescuer: Rescuer) -> None:
    hv = rescuer.log_in(1)
    inventory = hv.watch(5)
    assert inventory is not None
    assert inventory.emergency is not None
    assert not inventory.emergency.in_emergency_mode
    assert inventory.emergency.host_address == rescuer.members[1][0]
    assert inventory.emergency.master_address == rescuer.members[0][0]
    pool = next(iter(inventory.pools.values()))
    assert "emergency" in pool.refusals[Verb.BECOME_MASTER]
    with pytest.raises(BadPowerState):
        hv.become_master(TaskContext())
    with pytest.raises(BadPowerState):
        hv.point_to_master(rescuer.members[0][0], TaskContext())
    assert hv.watch(0.1) is None


class TestMasterDead:
    @pytest.fixture(autouse=True)
    def master_dies(self, lab: Lab) -> None:
        assert lab.fail_master() is not None

    def test_normal_login_is_refused_with_the_reason(self, rescuer: Rescuer) -> None:
        with pytest.raises(Unreachable):
            rescuer.log_in(0, emergency=False)
        with pytest.raises(EmergencyMode) as caught:
            rescuer.log_in(1, emergency=False)
        assert caught.value.address == rescuer.members[1][0]

    def test_a_member_that_waits_says_more_than_its_silent_master(self, rescuer: Rescuer) -> None:
        target = Target(
            platform="xenserver",
            addresses=(rescuer.members[0],),
            user="root",
            known_members=tuple(host for host, _port in rescuer.members),
        )
        with pytest.raises(EmergencyMode) as caught:
            open_hypervisor(target, Secret(password=rescuer.server.password), rescuer.trust, SystemClock())
        assert caught.value.address == rescuer.members[1][0]

    def test_who_watches_during_the_recovery_sees_it_end(self, rescuer: Rescuer) -> None:
        hv = rescuer.log_in(1)
        assert hv.watch(5) is not None
        told: queue.Queue[object] = queue.Queue()

        def watch() -> None:
            try:
                told.put(hv.watch(20))
            except HvError as exc:
                told.put(exc)

        watcher = threading.Thread(target=watch)
        watcher.start()
        hv.become_master(TaskContext())
        answer = told.get(timeout=20)
        watcher.join(5)
        # the restart of the toolstack ends local sessions of real hosts; here it may outlive it
        if not isinstance(answer, SessionLost):
            assert isinstance(answer, Inventory)
            assert answer.emergency is not None
            assert not answer.emergency.in_emergency_mode
            assert answer.emergency.master_address == rescuer.members[1][0]

    def test_wrong_password(self, rescuer: Rescuer) -> None:
        with pytest.raises(AuthError):
            rescuer.log_in(1, password="wrong")

    def test_says_that_it_is_in_emergency_mode(self, rescuer: Rescuer) -> None:
        hv = rescuer.log_in(1)
        assert hv.capabilities == Capability.EMERGENCY
        inventory = hv.watch(5)
        assert inventory is not None
        assert inventory.emergency is not None
        assert inventory.emergency.in_emergency_mode
        assert inventory.emergency.cause
        assert set(inventory.emergency.known_members) == {host for host, _port in rescuer.members}
        pool = next(iter(inventory.pools.values()))
        assert Verb.BECOME_MASTER not in pool.refusals

    def test_everything_else_is_refused(self, rescuer: Rescuer) -> None:
        hv = rescuer.log_in(1)
        ctx = TaskContext()
        nothing = ObjectId("x")
        for ask in (
            lambda: hv.start(nothing, ctx),
            lambda: hv.shutdown(nothing, ctx),
            lambda: hv.power_off(nothing, ctx),
            lambda: hv.reboot(nothing, ctx),
            lambda: hv.reset(nothing, ctx),
            lambda: hv.rename(nothing, "n", ctx),
            lambda: hv.delete_vm(nothing, ctx),
            lambda: hv.details(nothing),
            lambda: hv.host_info(nothing),
            lambda: hv.snapshot(nothing, "n", "", ctx),
        ):
            with pytest.raises(HvError):
                ask()

    def test_become_master(self, rescuer: Rescuer) -> None:
        hv = rescuer.log_in(1)
        hv.watch(5)
        hv.become_master(TaskContext())
        pool = rescuer.log_in(1, emergency=False)
        inventory = pool.watch(5)
        assert inventory is not None
        master = next(host for host in inventory.hosts.values() if host.is_master)
        assert master.address == rescuer.members[1][0]
        # the other members follow
        with pytest.raises(HostIsSlave) as caught:
            rescuer.log_in(2, emergency=False)
        assert caught.value.master_address == rescuer.members[1][0]

    def test_point_to_another_master(self, rescuer: Rescuer, lab: Lab) -> None:
        rescuer.log_in(1).become_master(TaskContext())
        hv = rescuer.log_in(2)
        inventory = hv.watch(5)
        assert inventory is not None
        for bad in ("", "a b", "https://x", "host/../x", "x" * 400):
            with pytest.raises(HvError):
                hv.point_to_master(bad, TaskContext())

    def test_point_to_master_by_hand(self, rescuer: Rescuer, lab: Lab) -> None:
        hv = rescuer.log_in(2)
        with pytest.raises(InvalidInput):
            hv.point_to_master("https://10.0.0.1", TaskContext())
        lab.repair_master()
        inventory = hv.watch(5)
        assert inventory is not None
        if inventory.emergency is not None and inventory.emergency.in_emergency_mode:
            hv.point_to_master(rescuer.members[0][0], TaskContext())
            with pytest.raises(HostIsSlave):
                rescuer.log_in(2, emergency=False)

    def test_close_ends_it(self, rescuer: Rescuer) -> None:
        hv = rescuer.log_in(1)
        hv.close()
        hv.close()
        with pytest.raises(SessionLost):
            hv.watch(1)


def test_after_a_fail_over_the_known_members_are_asked_in_turn(rescuer: Rescuer, lab: Lab) -> None:
    lab.fail_master()
    rescuer.log_in(2).become_master(TaskContext())
    # the typed address is dead; members 2 and 3 are known from before
    hv = open_hypervisor(
        Target(
            platform="xenserver",
            addresses=(rescuer.members[0],),
            user="root",
            known_members=tuple(host for host, _port in rescuer.members),
        ),
        Secret(password=rescuer.server.password),
        rescuer.trust,
        SystemClock(),
    )
    rescuer.opened.append(hv)
    assert hv.info.address == rescuer.members[2][0]


def test_transition_whose_answer_is_lost_is_looked_after(rescuer: Rescuer, lab: Lab) -> None:
    lab.fail_master()
    hv = rescuer.log_in(1)
    rule = lab.world.faults.add(
        FaultRule(method="pool.emergency_transition_to_master", effect=Effect.DROP_AFTER, max_count=1)
    )
    hv.become_master(TaskContext())
    assert rule.seen == 1
    pool = rescuer.log_in(1, emergency=False)
    assert pool.watch(5) is not None


def test_waiting_for_the_new_master_can_be_cancelled(rescuer: Rescuer, lab: Lab) -> None:
    lab.fail_master()
    hv = rescuer.log_in(1)
    lab.world.faults.add(
        FaultRule(method="session.login_with_password", effect=Effect.FAULT, code="HOST_STILL_BOOTING")
    )
    ctx = TaskContext()
    timer = threading.Timer(0.3, ctx.cancel)
    timer.start()
    with pytest.raises(OutcomeUnknown):
        hv.become_master(ctx)
    timer.join()


def test_the_end_of_the_emergency_is_seen(rescuer: Rescuer, lab: Lab) -> None:
    lab.fail_master()
    hv = rescuer.log_in(1)
    first = hv.watch(5)
    assert first is not None
    assert first.emergency is not None
    assert first.emergency.in_emergency_mode
    lab.repair_master()
    deadline = time.monotonic() + 20
    while True:
        hv.nudge()
        after = hv.watch(0.5)
        if after is not None and after.emergency is not None and not after.emergency.in_emergency_mode:
            break
        assert time.monotonic() < deadline
    hv.refresh()
    assert hv.watch(1) is not None
