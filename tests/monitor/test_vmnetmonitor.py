"""One ticked VM through all that may happen to it: names, clocks, restarts, unticking, removal of its server."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import replace

import pytest

from hvconsole.errors import InvalidInput, Unreachable
from hvconsole.events import ConnectionChanged, ConnectionState
from hvconsole.model import AUTOMATIC_MARK, ObjectId, PowerState, Snapshot
from hvconsole.monitor import vmnetmonitor
from hvconsole.monitor.status import DEFAULT, PRESETS, Hold, MonitorState
from hvconsole.outages import CaptureState
from tests.monitor.conftest import Stage
from tests.monitor.stage import CLOCK, SERVER, key, vm
from tests.monitor.stories import LOST, OK, WEB, asked, feed, left_open, results, settled, state, watched

pytestmark = pytest.mark.usefixtures("brisk")


def reason(stage: Stage) -> str:
    assert stage.watcher is not None
    return stage.watcher.statuses()[0].reason


def pinged(stage: Stage) -> set[str]:
    return stage.engine.addresses() if stage.engine is not None else set()


# ---- names ---------------------------------------------------------------------------------------------------


def test_a_name_is_looked_up_again_when_the_vm_runs_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["10.7.0.1", "10.7.0.2"]
    monkeypatch.setattr(vmnetmonitor, "resolve", lambda name, family: answers.pop(0))
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    watcher.choose_address(key("web"), "web.example")
    stage.until(lambda: pinged(stage) == {"10.7.0.1"}, "the name's address")
    stage.server.change(ObjectId("web"), power=PowerState.HALTED)
    stage.until(lambda: state(stage) is MonitorState.PAUSED and not pinged(stage), "the pause")
    stage.server.change(ObjectId("web"), power=PowerState.RUNNING)
    stage.until(lambda: pinged(stage) == {"10.7.0.2"}, "the name's new address")
    feed(stage, OK, address="10.7.0.2")
    stage.until(lambda: state(stage) is MonitorState.UP)


def test_a_name_that_is_unknown_for_now_is_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def resolve(name: str, family: str) -> str:
        tries.append(name)
        if len(tries) < 3:
            raise Unreachable("The name can't be resolved.")
        return "10.7.0.1"

    monkeypatch.setattr(vmnetmonitor, "resolve", resolve)
    monkeypatch.setattr(vmnetmonitor, "RESOLVE_RETRY_S", 0.05)
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    watcher.choose_address(key("web"), "web.example")
    stage.until(lambda: pinged(stage) == {"10.7.0.1"}, "the name's address")
    assert tries == ["web.example"] * 3


def test_a_name_that_is_found_too_late_is_not_pinged_any_more(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    late = threading.Event()
    looked_up: list[str] = []

    def resolve(name: str, family: str) -> str:
        if name == "slow.example":
            late.wait(10)
        looked_up.append(name)
        return {"slow.example": "10.7.0.1", "quick.example": "10.7.0.2"}[name]

    monkeypatch.setattr(vmnetmonitor, "resolve", resolve)
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    watcher.choose_address(key("web"), "slow.example")
    stage.until(lambda: not pinged(stage), "the name to be looked up")
    watcher.choose_address(key("web"), "quick.example")
    stage.until(lambda: pinged(stage) == {"10.7.0.2"}, "the other name's address")
    late.set()
    stage.until(lambda: "slow.example" in looked_up, "the late answer")
    feed(stage, OK, address="10.7.0.2")
    stage.until(lambda: state(stage) is MonitorState.UP)
    assert pinged(stage) == {"10.7.0.2"}


@pytest.mark.parametrize("address", ["fe80::1", "fe80::1%eth0", "fd00::1%3"])
def test_an_address_that_needs_a_zone_is_refused_with_the_reason(address: str) -> None:
    with pytest.raises(InvalidInput, match="link-local"):
        replace(DEFAULT, address=address)


# ---- times ---------------------------------------------------------------------------------------------------


def test_setting_the_clock_does_not_change_how_long_an_outage_lasted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    now = CLOCK.now
    monkeypatch.setattr(CLOCK, "now", lambda: now() + dt.timedelta(hours=5))
    feed(stage, OK, OK)
    stage.until(lambda: "recovered" in stage.what(), "the recovery")
    (recovered,) = [event for event in stage.happened if event.what == "recovered"]
    assert recovered.duration_s is not None
    assert recovered.duration_s < 60


def test_a_round_judged_long_after_it_was_lost_says_nothing(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    assert stage.engine is not None
    # We were stopped, or swamped: the VM may be long back.
    stage.engine.round(WEB, LOST, start=CLOCK.monotonic() - 60)
    stage.engine.round(WEB, LOST, start=CLOCK.monotonic() - 0.1)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    assert results(stage) == ["ok", "lost", "lost"]
    assert stage.watcher is not None
    outage = stage.watcher.statuses()[0].outage
    assert outage is not None
    assert (CLOCK.now() - outage.opened).total_seconds() < 30
    assert asked(stage) == 1


# ---- the budget ----------------------------------------------------------------------------------------------


def test_a_full_disk_uses_up_no_budget(stage: Stage) -> None:
    stage.memory = type(stage.memory)(replace(DEFAULT, storm_per_minute=1))
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    stage.journal.full = True
    for _ in range(3):
        feed(stage, LOST)
    stage.until(lambda: "held" in stage.what(), "the hold")
    stage.until(lambda: watcher.statuses()[0].hold is Hold.NO_JOURNAL)
    stage.journal.full = False
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")


# ---- restarts and ends -----------------------------------------------------------------------------------------


def test_an_outage_goes_on_over_an_orderly_restart_and_gets_no_second_snapshot(stage: Stage) -> None:
    stage.start(vm("web", WEB))
    watched(stage)
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    before = stage.server.vm(ObjectId("web"))
    stage.stop()
    (left,) = stage.journal.open_outages()
    stage.start(before)
    stage.until(lambda: pinged(stage) == {WEB}, "the VM to be pinged")
    assert state(stage) is MonitorState.DOWN
    feed(stage, LOST, OK, LOST, OK, OK)
    stage.until(lambda: state(stage) is MonitorState.UP)
    stage.until(lambda: not stage.journal.open_outages(), "the outage to be closed")
    assert asked(stage) == 0
    assert stage.journal.records[-1].id == left.id


def test_of_two_open_outages_of_one_vm_the_newest_goes_on(stage: Stage) -> None:
    older = left_open(stage, CaptureState.DONE, age_s=60)
    newer = replace(older, id="later", opened=CLOCK.now())
    stage.journal.record(newer)
    stage.memory.set_ticked(SERVER, ObjectId("web"), True)
    stage.start(vm("web", WEB))
    stage.until(lambda: pinged(stage) == {WEB}, "the VM to be pinged")
    stage.until(lambda: [o.id for o in stage.journal.open_outages()] == ["later"], "the older one to be closed")


def test_unticking_ends_the_outage_and_ticking_again_begins_afresh(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    watcher.untick(key("web"))
    stage.until(lambda: not stage.journal.open_outages() and not pinged(stage), "the end")
    watcher.tick(key("web"))
    stage.until(lambda: pinged(stage) == {WEB}, "the VM to be pinged again")
    feed(stage, LOST)
    stage.until(lambda: "never answered" in reason(stage), "the reason")
    assert asked(stage) == 1


def test_the_vms_of_a_removed_server_are_not_watched_and_those_of_one_added_again_are_not_ticked(
    stage: Stage,
) -> None:
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
    del stage.servers.servers[SERVER]
    stage.memory.set_ticked(SERVER, ObjectId("web"), False)
    stage.hub.emit(ConnectionChanged(SERVER, ConnectionState.CLOSED))
    stage.until(lambda: not pinged(stage) and not stage.journal.open_outages(), "the end")
    assert watcher.ticked() == frozenset()
    stage.servers.servers[SERVER] = stage.server
    stage.hub.emit(ConnectionChanged(SERVER, ConnectionState.CONNECTED))
    watcher.tick(key("web"))
    stage.until(lambda: pinged(stage) == {WEB}, "it to be ticked by hand")


def test_a_server_added_later_brings_its_ticks(stage: Stage) -> None:
    stage.memory.set_ticked(SERVER, ObjectId("web"), True)
    watcher = stage.start(present=False)
    stage.until(lambda: stage.engine is not None, "the monitor to stand")
    stage.server.add(vm("web", WEB))
    stage.servers.servers[SERVER] = stage.server
    stage.hub.emit(ConnectionChanged(SERVER, ConnectionState.CONNECTED))
    stage.until(lambda: pinged(stage) == {WEB}, "the VM to be pinged")
    assert watcher.ticked() == {key("web")}


# ---- settings ------------------------------------------------------------------------------------------------


def test_keeping_fewer_snapshots_from_now_on_removes_the_others_at_once(stage: Stage) -> None:
    old = tuple(
        Snapshot(
            id=ObjectId(f"s{n}"),
            name=f"Network_Down {n}",
            description=AUTOMATIC_MARK,
            created=dt.datetime(2026, 1, n, tzinfo=dt.UTC),
        )
        for n in (1, 2, 3)
    )
    watcher = stage.start(vm("web", WEB, snapshots=old))
    watched(stage)
    watcher.configure(key("web"), replace(DEFAULT, keep=1))
    stage.until(lambda: [s.id for s in stage.server.vm(ObjectId("web")).snapshots] == ["s3"], "two to be removed")


def test_other_defaults_hold_at_once_for_vms_without_settings_of_their_own(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB), vm("db", "10.20.4.32"))
    watched(stage)
    watched(stage, "db", "10.20.4.32")
    watcher.configure(key("db"), replace(DEFAULT, interval_s=60.0))
    stage.memory.defaults = replace(DEFAULT, interval_s=2.0)
    watcher.defaults_changed()
    assert stage.engine is not None
    stage.until(
        lambda: (
            stage.engine is not None
            and {p.target.address: p.target.interval_s for p in tuple(stage.engine.pings.values())}
            == {WEB: 2.0, "10.20.4.32": 60.0}
        ),
        "the new interval",
    )


def test_a_preset_chosen_in_the_middle_counts_from_then_on(stage: Stage) -> None:
    watcher = stage.start(vm("web", WEB))
    watched(stage)
    watcher.configure(key("web"), PRESETS["Balanced"])
    stage.until(lambda: watcher.statuses()[0].settings.lost_rounds == 3)
    feed(stage, LOST)
    stage.until(lambda: state(stage) is MonitorState.SUSPECT)
    feed(stage, LOST)
    assert asked(stage) == 0
    feed(stage, LOST)
    stage.until(lambda: settled(stage) is CaptureState.DONE, "the snapshot")
