"""The desk of the automatic snapshots: what waits for whom, what an earlier run left, which old ones go."""

from __future__ import annotations

import datetime as dt

import pytest

from hvconsole.errors import Busy, OutcomeUnknown, PermissionDenied
from hvconsole.events import ConnectionChanged, ConnectionState
from hvconsole.model import AUTOMATIC_MARK, Disk, ObjectId, PowerState, ServerId, Snapshot, Verb
from hvconsole.monitor import desk
from hvconsole.monitor.desk import JOURNAL_NOTICE
from hvconsole.monitor.status import MonitorState, VmKey
from hvconsole.outages import CaptureState
from tests.monitor.conftest import Stage
from tests.monitor.stage import SERVER, FakeServer, key, vm
from tests.monitor.stories import LOST, OK, WEB, asked, feed, left_open, settled, state, watched

pytestmark = pytest.mark.usefixtures("brisk")

DB = "10.20.4.32"
YESTERDAY_S = 86_400.0


def old_snapshots(of: str, count: int = 5) -> tuple[Snapshot, ...]:
    return tuple(
        Snapshot(
            id=ObjectId(f"{of}{n}"),
            name=f"Network_Down {n}",
            description=AUTOMATIC_MARK,
            created=dt.datetime(2026, 1, n, tzinfo=dt.UTC),
        )
        for n in range(1, count + 1)
    )


def on(storage: str) -> tuple[Disk, ...]:
    return (Disk(id=ObjectId(f"disk on {storage}"), storage_id=ObjectId(storage)),)


# ---- removing old ones ---------------------------------------------------------------------------------------


def test_old_snapshots_of_a_server_go_one_at_a_time_and_keep_no_outage_waiting(stage: Stage) -> None:
    names = ("a", "b", "c")
    stage.start(
        *[vm(n, f"10.20.5.{i}", snapshots=old_snapshots(n), disks=on(f"sr {n}")) for i, n in enumerate(names)],
        vm("web", WEB),
    )
    stage.server.hypervisor.hang_deleting.clear()
    for number, name in enumerate(names):
        watched(stage, name, f"10.20.5.{number}")
    watched(stage)
    stage.until(lambda: stage.server.hypervisor.deleted, "the first removal")
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    assert len(stage.server.hypervisor.deleted) == 1
    stage.server.hypervisor.hang_deleting.set()
    stage.until(lambda: all(len(stage.server.vm(ObjectId(n)).snapshots) == 3 for n in names), "all to be thinned out")


def test_what_is_removed_on_one_server_is_nothing_to_another(stage: Stage) -> None:
    """Servers number their snapshots each for itself: "snapshot-1" of one is not that of the other."""
    other = FakeServer(stage.hub, stage.waiter, [vm("db", DB, snapshots=old_snapshots("s", 4))], ServerId("other"))
    watcher = stage.start(vm("web", WEB, snapshots=old_snapshots("s", 4)), beside=[other])
    try:
        watched(stage)
        stage.until(lambda: len(stage.server.vm(ObjectId("web")).snapshots) == 3, "the first server's")
        watcher.tick(VmKey(other.id, ObjectId("db")))
        stage.until(lambda: stage.engine is not None and DB in stage.engine.addresses(), "the VM to be pinged")
        feed(stage, OK, address=DB)
        stage.until(lambda: len(other.vm(ObjectId("db")).snapshots) == 3, "the second server's")
    finally:
        other.stop()


def test_a_removal_that_failed_for_now_is_tried_again_and_one_refused_is_not(stage: Stage) -> None:
    stage.start(vm("web", WEB, snapshots=old_snapshots("s")))
    stage.server.hypervisor.delete_trouble = [Busy("Another operation is in progress."), PermissionDenied("No.")]
    watched(stage)
    stage.until(lambda: len(stage.server.vm(ObjectId("web")).snapshots) == 4, "one to be removed")
    assert stage.server.hypervisor.deleted == ["s1", "s1", "s2"]


def test_nothing_is_removed_while_a_user_takes_a_snapshot_of_the_vm(stage: Stage) -> None:
    stage.start(
        vm("a", WEB, snapshots=old_snapshots("a", 4)),
        vm("b", DB, snapshots=old_snapshots("b", 4)),
    )
    assert stage.watcher is not None
    stage.watcher.tick(key("a"))
    stage.until(lambda: stage.engine is not None and WEB in stage.engine.addresses(), "the VM to be pinged")
    stage.server.hypervisor.hang.clear()
    taken = stage.server.submit(Verb.SNAPSHOT, ObjectId("a"), {"name": "by hand", "description": ""})
    stage.until(lambda: asked(stage) == 1, "the request")
    feed(stage, OK)
    stage.until(lambda: state(stage, "a") is MonitorState.UP)
    watched(stage, "b", DB)
    stage.until(lambda: len(stage.server.vm(ObjectId("b")).snapshots) == 3, "the other's to be removed")
    assert stage.server.hypervisor.deleted == ["b1"]
    stage.server.hypervisor.hang.set()
    assert taken.finished.wait(5)
    stage.until(lambda: stage.server.hypervisor.deleted == ["b1", "a1"], "its own to be removed")
    assert [s.name for s in stage.server.vm(ObjectId("a")).snapshots][-1] == "by hand"


def test_nothing_is_removed_of_a_vm_that_is_down(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "RETENTION_DELAY_S", 0.3)
    stage.start(
        vm("web", WEB, snapshots=old_snapshots("web", 4)),
        vm("db", DB, snapshots=old_snapshots("db", 4)),
    )
    watched(stage)
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    watched(stage, "db", DB)  # its turn comes later than the other's would have
    stage.until(lambda: len(stage.server.vm(ObjectId("db")).snapshots) == 3, "the other's to be removed")
    assert stage.server.hypervisor.deleted == ["db1"]
    assert len(stage.server.vm(ObjectId("web")).snapshots) == 5


# ---- what an earlier run left --------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [CaptureState.INTENT, CaptureState.SENT, CaptureState.UNKNOWN])
def test_an_outage_of_yesterday_gets_no_snapshot_today(stage: Stage, left: CaptureState) -> None:
    left_open(stage, left, age_s=YESTERDAY_S)
    stage.start(vm("web", WEB))
    stage.until(lambda: not stage.journal.open_outages(), "the outage to be closed")
    watcher = stage.watcher
    assert watcher is not None
    watcher.tick(key("web"))
    stage.until(lambda: stage.engine is not None and WEB in stage.engine.addresses(), "the VM to be pinged")
    # It has not answered today, so its silence today is none of an outage.
    feed(stage, LOST)
    stage.until(lambda: "never answered" in watcher.statuses()[0].reason, "the reason")
    assert asked(stage) == 0


def test_a_snapshot_of_yesterday_whose_outcome_was_lost_is_found_today(stage: Stage) -> None:
    outage = left_open(stage, CaptureState.SENT, age_s=YESTERDAY_S)
    there = Snapshot(id=ObjectId("s"), name=outage.snapshot_name, description=AUTOMATIC_MARK)
    stage.start(vm("web", WEB, snapshots=(there,)))
    stage.until(lambda: stage.journal.records[-1].closed is not None, "the outage to be closed")
    assert stage.journal.records[-1].state is CaptureState.DONE
    assert asked(stage) == 0


def test_an_outcome_that_stayed_unknown_is_looked_for_and_never_asked_again(stage: Stage) -> None:
    left_open(stage, CaptureState.UNKNOWN)
    stage.memory.set_ticked(SERVER, ObjectId("web"), True)
    stage.start(vm("web", WEB))
    stage.until(lambda: "snapshot-failed" in stage.what(), "it to be said")
    assert settled(stage) is CaptureState.UNKNOWN
    assert stage.server.hypervisor.looks == 2
    assert asked(stage) == 0


# ---- what happens meanwhile ----------------------------------------------------------------------------------


def test_signing_in_again_while_a_snapshot_is_being_taken_does_not_lose_it(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.hang.clear()
    feed(stage, LOST)
    stage.until(lambda: asked(stage) == 1, "the request")
    before = stage.server
    # The Connect dialog puts a new connection in the place of the old one, which cancels its jobs.
    stage.server = FakeServer(stage.hub, stage.waiter, [before.vm(ObjectId("web"))])
    stage.servers.servers[SERVER] = stage.server
    before.stop()
    stage.hub.emit(ConnectionChanged(SERVER, ConnectionState.CONNECTED))
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    assert [s.automatic for s in stage.server.vm(ObjectId("web")).snapshots] == [True]


def test_a_snapshot_that_the_user_cancels_stays_cancelled(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.hang.clear()
    feed(stage, LOST)
    stage.until(lambda: asked(stage) == 1, "the request")
    for job in stage.server.open_jobs():
        job.cancel()
    stage.server.hypervisor.hang.set()
    stage.until(lambda: settled(stage) is CaptureState.FAILED, "the end")
    assert asked(stage) == 1


def test_an_outage_that_ended_before_its_turn_is_not_said_to_have_answered(stage: Stage) -> None:
    names = ("a", "b", "c", "d")
    stage.start(*[vm(name, f"10.20.5.{n}") for n, name in enumerate(names)])
    for n, name in enumerate(names):
        watched(stage, name, f"10.20.5.{n}")
    stage.server.hypervisor.hang.clear()
    for n in range(4):
        feed(stage, LOST, address=f"10.20.5.{n}")
        stage.until(lambda n=n: asked(stage) == min(3, n + 1), "the requests")
    assert stage.watcher is not None
    stage.watcher.untick(key("d"))
    stage.until(lambda: state(stage, "d") is MonitorState.OFF)
    stage.server.hypervisor.hang.set()
    stage.until(lambda: "held" in stage.what(), "the hold")
    (held,) = [event for event in stage.happened if event.what == "held"]
    assert held.detail.startswith("The outage was over before")


def test_a_vm_found_shut_down_leaves_no_outage_open(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.hang.clear()
    stage.server.change_quietly(ObjectId("web"), power=PowerState.HALTED)
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.HELD, "the hold")
    assert asked(stage) == 0
    stage.server.change(ObjectId("web"), addresses=())
    stage.until(lambda: not stage.journal.open_outages(), "the outage to be closed")


def test_a_look_that_takes_too_long_is_repeated_and_its_late_answer_is_not_used(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "LOOK_LIMIT_S", 0.1)
    monkeypatch.setattr("hvconsole.monitor.capture.AWAY_S", 0.05)
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.hang_looking.clear()
    feed(stage, LOST)
    stage.until(lambda: stage.server.hypervisor.looks >= 3, "several looks")
    stage.server.hypervisor.hang_looking.set()
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    assert asked(stage) == 1


def test_a_request_that_is_repeated_after_the_vm_is_back_stays_open_on_disk_until_it_is_settled(
    stage: Stage,
) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.server.hypervisor.trouble = [OutcomeUnknown("The reply was lost.")]
    stage.server.hypervisor.hang.clear()
    feed(stage, LOST)
    stage.until(lambda: asked(stage) == 1 and settled(stage) is CaptureState.SENT, "the first request")
    feed(stage, OK, OK)
    stage.until(lambda: state(stage) is MonitorState.UP)
    stage.until(lambda: asked(stage) == 2, "the second request")
    (left,) = stage.journal.open_outages()
    assert left.state is CaptureState.SENT
    stage.server.hypervisor.hang.set()
    stage.until(lambda: not stage.journal.open_outages(), "the outage to be closed")
    assert stage.journal.records[-1].state is CaptureState.DONE


# ---- the disk ------------------------------------------------------------------------------------------------


def banner(stage: Stage) -> str:
    """What the window's banner says of the journal now."""
    return next((notice.text for notice in reversed(stage.notices) if notice.key == JOURNAL_NOTICE), "")


def test_the_banner_goes_when_the_disk_has_room_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "REWRITE_S", 0.05)
    stage.start(vm("web", WEB))
    watched(stage)
    stage.journal.full_from = CaptureState.SENT
    feed(stage, LOST)
    stage.until(lambda: "disk full" in banner(stage), "the banner")
    assert asked(stage) == 0
    stage.journal.full_from = None
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    assert asked(stage) == 1
    stage.until(lambda: not banner(stage), "the banner to go")


def test_the_banner_goes_when_nothing_has_to_be_written_any_more(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    stage.journal.full = True
    feed(stage, LOST)
    stage.until(lambda: "disk full" in banner(stage) and "held" in stage.what(), "the banner")
    stage.until(lambda: state(stage) is MonitorState.DOWN)
    stage.journal.full = False
    feed(stage, OK, OK)
    stage.until(lambda: state(stage) is MonitorState.UP)
    stage.until(lambda: not banner(stage), "the banner to go")


def test_outages_that_could_not_be_read_at_first_are_gone_on_with_later(stage: Stage) -> None:
    left_open(stage, CaptureState.INTENT)
    stage.memory.set_ticked(SERVER, ObjectId("web"), True)
    stage.journal.unreadable = True
    stage.start(vm("web", WEB))
    stage.until(lambda: stage.engine is not None and WEB in stage.engine.addresses(), "the VM to be pinged")
    stage.until(lambda: "can't be read" in banner(stage), "the banner")
    assert state(stage) is MonitorState.LEARNING
    stage.journal.unreadable = False
    stage.until(lambda: asked(stage) == 1, "the snapshot")
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the outage to go on")
    assert state(stage) is MonitorState.DOWN
    assert not banner(stage)
    feed(stage, LOST, OK, OK)
    stage.until(lambda: not stage.journal.open_outages(), "the outage to be closed")
    assert asked(stage) == 1
