"""Stories of ticked VMs: rounds are fed by hand, everything behind them is real."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from hvconsole.errors import Busy, NoSpace, OutcomeUnknown
from hvconsole.events import ConnectionChanged, ConnectionState
from hvconsole.model import AUTOMATIC_MARK, ObjectId, PowerState, Snapshot, Verb
from hvconsole.monitor.status import DEFAULT, PRESETS, Hold, MonitorState
from hvconsole.outages import CaptureState
from tests.monitor.conftest import Stage
from tests.monitor.stage import CLOCK, SERVER, key, vm
from tests.monitor.stories import LOST, OK, UNKNOWN, WEB, asked, feed, left_open, results, settled, state, watched

pytestmark = pytest.mark.usefixtures("brisk")


def test_one_lost_round_takes_a_snapshot_at_once_and_only_one(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    feed(stage, LOST, LOST, UNKNOWN, OK, LOST, LOST)
    stage.until(lambda: state(stage) is MonitorState.DOWN)
    assert asked(stage) == 1
    (snapshot,) = stage.server.vm(ObjectId("web")).snapshots
    assert snapshot.name.startswith("Network_Down 20")
    assert snapshot.automatic
    assert WEB in snapshot.description
    assert "lost  no reply, no reply" in snapshot.description
    feed(stage, OK, OK)
    stage.until(lambda: state(stage) is MonitorState.UP)
    assert stage.what() == ["outage", "snapshot", "recovered"]
    stage.until(lambda: len(stage.journal.records) == 4, "the outage to be closed on disk")
    assert [(o.state, o.closed is None) for o in stage.journal.records] == [
        (CaptureState.INTENT, True),
        (CaptureState.SENT, True),
        (CaptureState.DONE, True),
        (CaptureState.DONE, False),
    ]


def test_it_is_armed_again_after_two_good_rounds(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    for number in (1, 2):
        feed(stage, LOST)
        stage.until(lambda n=number: asked(stage) == n and settled(stage) is CaptureState.DONE, "a snapshot")
        feed(stage, OK, OK)
        stage.until(lambda: state(stage) is MonitorState.UP)


def test_the_outage_is_on_disk_before_the_server_is_asked(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.hang.clear()
    feed(stage, LOST)
    stage.until(lambda: asked(stage) == 1, "the request")
    (outage,) = stage.journal.open_outages()
    assert outage.state is CaptureState.SENT
    assert outage.snapshot_name == stage.server.hypervisor.asked[0][1]


def test_no_journal_no_snapshot_until_the_disk_has_room(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.journal.full = True
    feed(stage, LOST)
    stage.until(lambda: "held" in stage.what(), "the hold")
    assert asked(stage) == 0
    assert stage.watcher is not None
    status = stage.watcher.status(key("web"))
    assert status is not None
    assert status.hold is Hold.NO_JOURNAL
    assert any("disk full" in notice.text for notice in stage.notices)
    stage.journal.full = False
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    assert asked(stage) == 1


def test_unknown_rounds_never_lead_to_a_snapshot(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    feed(stage, *[UNKNOWN] * 50, OK)
    assert stage.watcher is not None
    status = stage.watcher.status(key("web"))
    assert status is not None
    assert status.state is MonitorState.UP
    assert status.rounds_total == 52
    assert status.loss_fraction == 0.0
    assert asked(stage) == 0


def test_a_vm_that_never_answered_is_held_with_its_reason(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB))
    watcher.tick(key("web"))
    stage.until(lambda: stage.engine is not None and WEB in stage.engine.addresses())
    feed(stage, LOST, LOST, LOST)
    stage.until(lambda: "held" in stage.what(), "the hold")
    status = watcher.status(key("web"))
    assert status is not None
    assert status.state is MonitorState.LEARNING
    assert "never answered" in status.reason
    assert asked(stage) == 0
    assert stage.what() == ["held"]


def test_a_vm_that_does_not_run_is_paused_and_learns_again(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    stage.server.change(ObjectId("web"), power=PowerState.HALTED, addresses=())
    stage.until(lambda: state(stage) is MonitorState.PAUSED, "the pause")
    status = watcher.status(key("web"))
    assert status is not None
    assert status.reason == "The VM is halted."
    assert stage.engine is not None
    assert stage.engine.addresses() == set()
    stage.server.change(ObjectId("web"), power=PowerState.RUNNING, addresses=(WEB,))
    stage.until(lambda: stage.engine is not None and WEB in stage.engine.addresses(), "pings to go on")
    feed(stage, LOST)
    stage.until(lambda: "held" in stage.what())
    assert asked(stage) == 0


@pytest.mark.parametrize(
    ("operation", "hold"),
    [
        ("pool_migrate", Hold.MIGRATING),
        ("snapshot", Hold.SNAPSHOTTING),
        ("RemoveSnapshot_Task", Hold.SNAPSHOTTING),
        ("clean_reboot", Hold.REBOOTED),
    ],
)
def test_what_the_server_does_with_the_vm_holds_until_it_is_over(stage: Stage, operation: str, hold: Hold) -> None:
    watcher = stage.start(vm("web", WEB))
    stage.memory.set_monitor_settings(SERVER, ObjectId("web"), replace(DEFAULT, reboot_grace_s=0))
    watched(stage)
    stage.server.change(ObjectId("web"), operations=(operation,))
    feed(stage, LOST)
    stage.until(lambda: "held" in stage.what(), "the hold")
    status = watcher.status(key("web"))
    assert status is not None
    assert status.hold is hold
    assert asked(stage) == 0
    # … and when the network is still away afterwards, that is an outage after all.
    stage.server.change(ObjectId("web"), operations=())
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    assert asked(stage) == 1


def test_its_own_snapshot_does_not_count_as_the_next_outage(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.hang.clear()
    feed(stage, LOST)
    stage.until(lambda: asked(stage) == 1, "the request")
    feed(stage, OK, OK)
    stage.until(lambda: state(stage) is MonitorState.UP)
    feed(stage, LOST)
    stage.until(lambda: "held" in stage.what(), "the hold")
    assert stage.watcher is not None
    status = stage.watcher.status(key("web"))
    assert status is not None
    assert status.hold is Hold.SNAPSHOTTING
    assert asked(stage) == 1


def test_when_this_computer_is_offline_nothing_is_taken(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB), vm("db", "10.20.4.32"))
    watched(stage)
    watched(stage, "db", "10.20.4.32")
    before = CLOCK.monotonic() - 5
    for _ in range(3):
        feed(stage, LOST, heard=before)
        feed(stage, LOST, address="10.20.4.32", heard=before)
    stage.until(lambda: state(stage) is MonitorState.PAUSED, "the pause")
    status = watcher.status(key("web"))
    assert status is not None
    assert "this computer" in status.reason
    stage.until(lambda: results(stage) == ["ok", "unknown", "unknown", "unknown"], "the rounds to be void")
    assert asked(stage) == 0
    assert stage.what() == ["held"]
    # Somebody answers again: we are back, and a VM that is still away has an outage.
    feed(stage, OK, address="10.20.4.32")
    stage.until(lambda: state(stage) is MonitorState.UP)
    feed(stage, LOST, heard=CLOCK.monotonic())
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    assert asked(stage) == 1


def test_a_storm_is_rationed(stage: Stage) -> None:
    names = [f"vm{n}" for n in range(12)]
    stage.memory = type(stage.memory)(replace(DEFAULT, storm_per_minute=5))
    stage.start(*[vm(name, f"10.20.5.{n}") for n, name in enumerate(names)])
    for n, name in enumerate(names):
        watched(stage, name, f"10.20.5.{n}")
    for n in range(12):
        feed(stage, LOST, address=f"10.20.5.{n}")
    stage.until(lambda: stage.what().count("held") == 7 and stage.what().count("snapshot") == 5, "five and seven")
    assert asked(stage) == 5


def test_a_thousand_vms_lost_in_one_second_stay_within_the_budget(stage: Stage) -> None:
    machines = [vm(f"vm{n}", f"10.20.{n // 250}.{n % 250 + 1}") for n in range(1000)]
    watcher = stage.start(*machines)
    for machine in machines:
        watcher.tick(key(machine.id))
    stage.until(lambda: stage.engine is not None and len(stage.engine.addresses()) == 1000, "all to be pinged", 30)
    for machine in machines:
        feed(stage, OK, address=machine.addresses[0])
    stage.until(lambda: all(state(stage, m.id) is MonitorState.UP for m in machines), "all to be up", 30)
    for machine in machines:
        feed(stage, LOST, address=machine.addresses[0])
    stage.until(lambda: stage.what().count("held") == 940, "the rest to be held", 30)
    stage.until(lambda: stage.what().count("snapshot") == 60, "the budget's snapshots", 30)
    assert asked(stage) == 60


def test_at_most_three_at_once_per_server(stage: Stage) -> None:
    names = [f"vm{n}" for n in range(6)]
    stage.start(*[vm(name, f"10.20.5.{n}") for n, name in enumerate(names)])
    for n, name in enumerate(names):
        watched(stage, name, f"10.20.5.{n}")
    stage.server.hypervisor.hang.clear()
    for n in range(6):
        feed(stage, LOST, address=f"10.20.5.{n}")
    stage.until(lambda: asked(stage) == 3, "three requests")
    # Two of those that wait come back: their turn passes.
    waiting = [n for n in range(6) if (f"vm{n}") not in {vm_id for vm_id, _ in stage.server.hypervisor.asked}]
    for n in waiting[:2]:
        feed(stage, OK, OK, address=f"10.20.5.{n}")
        stage.until(lambda n=n: state(stage, f"vm{n}") is MonitorState.UP)
    stage.server.hypervisor.hang.set()
    stage.until(lambda: stage.what().count("snapshot") == 4, "four snapshots")
    stage.until(lambda: stage.what().count("held") == 2, "two that were no longer needed")
    assert asked(stage) == 4


def test_a_common_cause_is_held_where_the_setting_says_so(stage: Stage) -> None:
    names = [f"vm{n}" for n in range(8)]
    cautious = replace(PRESETS["Cautious"], lost_rounds=1)
    stage.memory = type(stage.memory)(cautious)
    stage.start(*[vm(name, f"10.20.5.{n}") for n, name in enumerate(names)])
    for n, name in enumerate(names):
        watched(stage, name, f"10.20.5.{n}")
    for n in range(8):
        feed(stage, LOST, address=f"10.20.5.{n}")
        stage.until(lambda n=n: state(stage, f"vm{n}") is MonitorState.DOWN)
    stage.until(lambda: stage.what().count("snapshot") == 4, "the first four, before it looked common")
    assert stage.what().count("held") == 4


def test_busy_is_tried_again_three_times_looking_first(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.trouble = [Busy("Another operation is in progress.") for _ in range(5)]
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.FAILED, "the failure")
    assert asked(stage) == 3
    assert stage.server.hypervisor.looks == 3
    assert stage.what() == ["outage", "snapshot-failed"]


def test_a_permanent_failure_is_not_repeated(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.trouble = [NoSpace("The storage is full.")]
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.FAILED, "the failure")
    feed(stage, LOST, LOST)
    assert asked(stage) == 1
    assert any("The storage is full." in notice.text for notice in stage.notices)


def test_a_lost_reply_is_looked_for_not_repeated(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.trouble_after = [OutcomeUnknown("The reply was lost.")]
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "it to be found")
    assert asked(stage) == 1


def test_a_lost_request_is_asked_once_more_and_never_again(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.trouble = [OutcomeUnknown("Lost.") for _ in range(5)]
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.UNKNOWN, "the end")
    assert asked(stage) == 2
    assert stage.server.hypervisor.looks >= 5


def test_a_server_that_is_away_is_waited_for(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.connected = False
    stage.hub.emit(ConnectionChanged(SERVER, ConnectionState.RECONNECTING))
    feed(stage, LOST)
    stage.until(lambda: "held" in stage.what(), "the hold")
    stage.server.connected = True
    stage.hub.emit(ConnectionChanged(SERVER, ConnectionState.CONNECTED))
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")


@pytest.mark.parametrize("capture_state", [CaptureState.INTENT, CaptureState.SENT])
def test_after_a_crash_the_open_outage_gets_its_one_snapshot(stage: Stage, capture_state: CaptureState) -> None:
    left_open(stage, capture_state)
    stage.memory.set_ticked(SERVER, ObjectId("web"), True)
    stage.start(vm("web", WEB))
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    stage.until(lambda: stage.engine is not None and WEB in stage.engine.addresses())
    feed(stage, LOST, LOST)
    assert asked(stage) == 1
    (snapshot,) = stage.server.vm(ObjectId("web")).snapshots
    assert snapshot.name == "Network_Down 2026-11-23 07:00:00Z"
    assert "evidence of the earlier run" in snapshot.description
    feed(stage, OK, OK)
    stage.until(lambda: not stage.journal.open_outages(), "the outage to be closed")
    feed(stage, LOST)
    stage.until(lambda: asked(stage) == 2, "the next outage's snapshot")


def test_after_a_crash_a_snapshot_that_exists_is_not_taken_twice(stage: Stage) -> None:
    outage = left_open(stage, CaptureState.SENT)
    snapshot = Snapshot(id=ObjectId("s"), name=outage.snapshot_name, description=AUTOMATIC_MARK)
    stage.memory.set_ticked(SERVER, ObjectId("web"), True)
    stage.start(vm("web", WEB, snapshots=(snapshot,)))
    stage.until(lambda: settled(stage) is CaptureState.DONE, "it to be found")
    assert asked(stage) == 0


def test_after_a_crash_a_snapshot_that_is_being_taken_is_waited_for(stage: Stage) -> None:
    outage = left_open(stage, CaptureState.SENT)
    stage.memory.set_ticked(SERVER, ObjectId("web"), True)
    stage.start(vm("web", WEB))
    stage.server.hypervisor.running.add("web")
    stage.until(lambda: stage.server.hypervisor.looks > 3, "several looks")
    stage.server.add_snapshot(ObjectId("web"), outage.snapshot_name, AUTOMATIC_MARK)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "it to be found")
    assert asked(stage) == 0


def test_an_intent_of_yesterday_is_not_carried_out_today(stage: Stage) -> None:
    left_open(stage, CaptureState.INTENT, age_s=86_400)
    stage.start(vm("web", WEB))
    stage.until(lambda: "held" in stage.what(), "the hold")
    assert asked(stage) == 0


def test_ticks_survive_a_restart(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.stop()
    watcher = stage.start(vm("web", WEB))
    stage.until(lambda: stage.engine is not None and WEB in stage.engine.addresses(), "the VM to be pinged")
    assert watcher.ticked() == {key("web")}
    watcher.untick(key("web"))
    stage.until(lambda: watcher.status(key("web")) is None)
    assert stage.engine is not None
    stage.until(lambda: stage.engine is not None and not stage.engine.addresses(), "pings to end")
    assert stage.memory.ticked(SERVER) == frozenset()


def test_only_the_newest_three_automatic_snapshots_stay(stage: Stage) -> None:
    old = [
        Snapshot(
            id=ObjectId(f"s{n}"),
            name=f"Network_Down {n}",
            description=AUTOMATIC_MARK if n != 2 else "by hand",
            created=dt.datetime(2026, 1, n, tzinfo=dt.UTC),
        )
        for n in range(1, 7)
    ]
    stage.start(vm("web", WEB, snapshots=tuple(old)))
    watched(stage)
    stage.until(lambda: len(stage.server.vm(ObjectId("web")).snapshots) == 4, "two to be removed")
    assert [s.id for s in stage.server.vm(ObjectId("web")).snapshots] == ["s2", "s4", "s5", "s6"]


def test_a_reboot_through_this_console_is_not_an_outage(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    job = stage.server.submit(Verb.REBOOT, ObjectId("web"), {"name": "x", "description": ""})
    job.finished.wait(5)
    feed(stage, LOST)
    stage.until(lambda: "held" in stage.what(), "the hold")
    status = watcher.status(key("web"))
    assert status is not None
    assert status.hold is Hold.REBOOTED


def test_a_new_address_is_learnt_and_a_vanished_one_still_pinged(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB, addresses=(WEB, "10.9.9.9")))
    watched(stage)
    # The cable is pulled: the tools report one address less. It is pinged all the same, and missed.
    stage.server.change(ObjectId("web"), addresses=("10.9.9.9",))
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    feed(stage, OK, OK)
    stage.until(lambda: state(stage) is MonitorState.UP)
    # DHCP gives it another one.
    stage.server.change(ObjectId("web"), addresses=("10.9.9.9", "10.20.4.99"))
    stage.until(lambda: stage.engine is not None and stage.engine.addresses() == {"10.9.9.9"}, "the new address")
    watcher.choose_address(key("web"), "10.20.4.99")
    stage.until(lambda: stage.engine is not None and stage.engine.addresses() == {"10.20.4.99"}, "the chosen address")
    status = watcher.status(key("web"))
    assert status is not None
    assert status.addresses == ("10.9.9.9", "10.20.4.99")
    assert status.state is MonitorState.LEARNING


def test_a_vm_that_turns_out_to_have_been_shut_down_gets_no_snapshot(stage: Stage) -> None:
    stage.start(*[vm(name, f"10.20.5.{n}") for n, name in enumerate(("a", "b", "c", "d"))])
    for n, name in enumerate(("a", "b", "c", "d")):
        watched(stage, name, f"10.20.5.{n}")
    stage.server.hypervisor.hang.clear()
    for n in range(4):
        feed(stage, LOST, address=f"10.20.5.{n}")
        stage.until(lambda n=n: asked(stage) == min(3, n + 1), "the requests")
    # "d" waits for its turn; meanwhile it is seen that it was shut down from within.
    stage.server.change(ObjectId("d"), power=PowerState.HALTED)
    stage.server.hypervisor.hang.set()
    stage.until(lambda: "held" in stage.what(), "the hold")
    assert asked(stage) == 3


def test_somebody_elses_snapshot_that_nobody_knew_of_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hvconsole.monitor.capture.AFTERMATH_S", 0.2)
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.running.add("web")
    feed(stage, LOST)
    stage.until(lambda: stage.server.hypervisor.looks >= 2, "looks")
    feed(stage, OK, OK)
    stage.until(lambda: state(stage) is MonitorState.UP)
    stage.server.hypervisor.running.clear()
    stage.until(lambda: "held" in stage.what(), "the hold")
    assert asked(stage) == 0


def test_an_outage_of_long_ago_is_closed_and_not_gone_on_with(stage: Stage) -> None:
    left_open(stage, CaptureState.DONE, age_s=86_400)
    stage.memory.set_ticked(SERVER, ObjectId("web"), True)
    stage.start(vm("web", WEB))
    stage.until(lambda: not stage.journal.open_outages(), "the outage to be closed")
    stage.until(lambda: state(stage) is MonitorState.LEARNING)


def test_a_chosen_address_has_to_answer_before_it_can_be_missed(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB, addresses=(WEB, "10.9.9.9")))
    watched(stage)
    watcher.choose_address(key("web"), "10.9.9.9")
    stage.until(lambda: stage.engine is not None and stage.engine.addresses() == {"10.9.9.9"}, "the chosen address")
    feed(stage, LOST, LOST, address="10.9.9.9")
    stage.until(lambda: "held" in stage.what(), "the hold")
    assert asked(stage) == 0
    watcher.choose_address(key("web"), "")
    stage.until(lambda: stage.engine is not None and stage.engine.addresses() == {WEB}, "the first address again")
    feed(stage, OK)
    stage.until(lambda: state(stage) is MonitorState.UP)


def test_a_name_is_looked_up_and_one_that_is_unknown_is_said(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    watcher.choose_address(key("web"), "localhost")
    stage.until(lambda: stage.engine is not None and stage.engine.addresses() == {"127.0.0.1"}, "the name's address")
    watcher.choose_address(key("web"), "no-such-host.invalid")
    stage.until(lambda: "can't be resolved" in watcher.statuses()[0].reason, "the reason", 30)
    assert state(stage) is MonitorState.PAUSED


def test_no_address_is_said(stage: Stage) -> None:
    watcher = stage.start(vm("web"))
    watcher.tick(key("web"))
    stage.until(lambda: state(stage) is MonitorState.PAUSED)
    stage.until(lambda: "No address" in (watcher.statuses()[0].reason), "the reason")
