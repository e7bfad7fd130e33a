"""The history: what was acknowledged stays, whatever dies; what cannot be written is said; nothing else stops."""

import csv
import dataclasses
import datetime as dt
import io
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from hvconsole.clock import SystemClock
from hvconsole.errors import InvalidInput, LocalError, Refused
from hvconsole.events import Happened, Hub, JobChanged, JobState, Notice
from hvconsole.history import MEMORY_ROWS, History, OutageStore
from hvconsole.history_rows import inert, local_user
from hvconsole.jobs import JobId, JobView
from hvconsole.model import ObjectId, ServerId
from hvconsole.outages import CaptureState, Outage

NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


def happened(subject="web01", what="suspend", when=NOON, **values):
    return Happened(when, "anna", what, "Production", subject, "id-1", **values)


def outage(number=1, **values):
    base = {
        "id": f"outage-{number}",
        "server_id": ServerId("s1"),
        "vm_id": ObjectId(f"vm-{number}"),
        "vm_name": "web",
        "opened": NOON + dt.timedelta(seconds=number),
        "snapshot_name": f"Network_Down {number}",
        "state": CaptureState.INTENT,
    }
    return Outage(**{**base, **values})


class Desk:
    """A history with the notices it raised."""

    def __init__(self, path):
        self.path = path
        self.hub = Hub()
        self.notices = []
        self.noticed = threading.Condition()
        self.hub.subscribe(Notice, self._notice)
        self.open = []

    def _notice(self, notice):
        with self.noticed:
            self.notices.append(notice)
            self.noticed.notify_all()

    def wait_notice(self, predicate):
        with self.noticed:
            assert self.noticed.wait_for(lambda: any(predicate(n) for n in self.notices), 15), self.notices

    def history(self, **options):
        history = History(self.path, self.hub, SystemClock(), **options)
        self.open.append(history)
        history.start()
        return history


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "data" / "history.db")
    yield desk
    for history in desk.open:
        assert history.close()
        assert not history.alive()


def subjects(rows):
    return [row.subject for row in rows]


def test_what_happened_is_found_after_a_restart(desk):
    first = desk.history()
    first.record(happened(outcome="failed", duration_s=1.5, detail="no space", extra={"rtt": "1.2"}))
    assert first.flush()
    assert first.close()
    (row,) = desk.history().search("SPACE web")
    assert (row.when, row.who, row.what, row.server, row.subject) == (NOON, "anna", "suspend", "Production", "web01")
    assert (row.outcome, row.duration_s, row.detail, row.extra) == ("failed", 1.5, "no space", {"rtt": "1.2"})


def test_search_combines_words_kinds_times_and_pages(desk):
    history = desk.history()
    for i in range(10):
        history.record(
            happened(f"vm{i}", "start" if i % 2 else "suspend", NOON + dt.timedelta(minutes=i), outcome="done")
        )
    history.record(happened("100%_sure", "start", outcome="failed"))
    assert history.flush()
    assert subjects(history.search("VM", limit=2)) == ["vm9", "vm8"]
    assert subjects(history.search("VM", limit=2, offset=2)) == ["vm7", "vm6"]
    assert subjects(history.search(what="start", outcome="done", limit=1)) == ["vm9"]
    since, until = NOON + dt.timedelta(minutes=3), NOON + dt.timedelta(minutes=5)
    assert subjects(history.search(since=since, until=until)) == ["vm4", "vm3"]
    assert subjects(history.search("0%_s")) == ["100%_sure"]
    assert history.search("0x_s") == []
    assert history.count(what="start") == 6
    assert history.count("vm", since=since.astimezone(dt.timezone(dt.timedelta(hours=5)))) == 7
    assert len(history.search(subject_id="id-1")) == 11
    with pytest.raises(InvalidInput, match="time zone"):
        history.search(since=dt.datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test


@pytest.mark.parametrize("name", ["[exec rm]", "a\0b", "\ud800x", "‮txt", "x" * 100_000, "' OR 1=1 --", "%"])
def test_hostile_names_are_recorded_and_found(desk, name):
    history = desk.history()
    history.record(happened(name))
    assert history.flush()
    (row,) = history.search(name[:50])
    assert row.subject[0] == name[0] or name[0] == "\ud800"
    assert len(row.subject) < 30_000


def test_final_jobs_and_events_become_rows_by_themselves(desk):
    history = desk.history()
    end = history.subscribe(desk.hub, lambda server_id: f"name of {server_id}")
    added = threading.Event()
    unlisten = history.listen(added.set)
    view = JobView(
        id=JobId(1), server_id=ServerId("s1"), verb="start", title="Start", subject="web", subject_id=ObjectId("vm-1"),
        by="user", state=JobState.RUNNING, submitted=NOON, started=NOON,
    )  # fmt: skip
    desk.hub.emit(JobChanged(view))
    ends = {"state": JobState.FAILED, "finished": NOON, "duration_s": 2.0}
    desk.hub.emit(JobChanged(dataclasses.replace(view, **ends, error=Refused("It said no.", "HOST_FULL"))))
    desk.hub.emit(JobChanged(dataclasses.replace(view, by="monitor", state=JobState.UNKNOWN)))
    desk.hub.emit(JobChanged(dataclasses.replace(view, by="monitor", verb="snapshot", state=JobState.DONE)))
    desk.hub.emit(happened(what="outage"))
    assert history.flush()
    assert added.is_set()
    event, unknown, failed = history.search()
    assert event.what == "outage"
    assert (unknown.who, unknown.outcome) == ("monitor", "unknown")
    assert (failed.who, failed.what, failed.server, failed.outcome) == (
        local_user(), "start", "name of s1", "failed",
    )  # fmt: skip
    assert failed.detail == "It said no.\nHOST_FULL"
    end()
    unlisten()
    desk.hub.emit(happened())
    assert history.flush()
    assert history.count() == 3


def test_an_id_means_another_vm_on_another_server(desk):
    """Every ESXi host has a VM "1": what happened to the one is not told of the other."""
    history = desk.history()
    for server in ("basel", "bern"):
        history.record(happened(server, server_id=ServerId(server)))
    job = JobView(
        id=JobId(1), server_id=ServerId("bern"), verb="start", title="Start", subject="job",
        subject_id=ObjectId("id-1"), by="user", state=JobState.DONE, submitted=NOON,
    )  # fmt: skip
    history.subscribe(desk.hub, lambda _id: "Production")
    desk.hub.emit(JobChanged(job))
    assert history.flush()
    assert subjects(history.search(server_id=ServerId("bern"), subject_id="id-1")) == ["job", "bern"]
    assert history.count(server_id=ServerId("basel"), subject_id="id-1") == 1
    assert history.count(subject_id="id-1") == 3


def test_a_history_of_the_first_version_is_kept_and_goes_on(desk):
    first = desk.history()
    first.record(happened("before"))
    assert first.flush()
    assert first.close()
    with sqlite3.connect(desk.path) as raw:
        raw.execute("ALTER TABLE events DROP COLUMN server_id")
        raw.execute("PRAGMA user_version=1")
    raw.close()
    history = desk.history()
    history.record(happened("after", server_id=ServerId("bern")))
    assert history.flush()
    assert subjects(history.search()) == ["after", "before"]
    assert subjects(history.search(server_id=ServerId("bern"))) == ["after"]


def test_spoilt_rows_cost_only_themselves(desk):
    first = desk.history()
    journal = OutageStore(first)
    for name in ("date", "bytes", "deep", "fine"):
        first.record(happened(name))
    journal.record(outage(1))
    journal.record(outage(2))
    assert first.close()
    with sqlite3.connect(desk.path) as raw:
        raw.execute("UPDATE events SET at='1e308' WHERE subject='date'")
        raw.execute("UPDATE events SET who=x'ff00' WHERE subject='bytes'")
        raw.execute("UPDATE events SET extra=? WHERE subject='deep'", ("[" * 100_000,))
        raw.execute("UPDATE outages SET body='{}' WHERE id LIKE '%-1%'")
    raw.close()
    history = desk.history()
    assert subjects(history.search()) == ["fine"]
    assert OutageStore(history).open_outages() == (outage(2),)


def test_a_broken_listener_hurts_nobody(desk, caplog):
    history = desk.history()
    history.listen(lambda: 1 / 0)
    history.record(happened())
    assert history.flush()
    history.record(happened())
    assert history.flush()
    assert "listener" in caplog.text


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_every_file_belongs_to_the_user_alone(desk, umask):
    before = os.umask(umask)
    try:
        history = desk.history()
        history.record(happened())
        assert history.flush()
        files = list(desk.path.parent.iterdir())
        assert {p.name for p in files} >= {"history.db", "history.db-wal", "history.db-shm"}
        assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o600}
        assert stat.S_IMODE(desk.path.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_the_export_is_inert_private_and_utc(desk, tmp_path):
    history = desk.history()
    local = dt.datetime(2026, 11, 23, 14, 0, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "a;=1+1", "a\n=1", "＝1"]
    names.append("plain, “x”")
    for name in names:
        history.record(happened(name, when=local))
    assert history.flush()
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o775)
    target = shared / "out.csv"
    assert history.export_csv(target, what="suspend") == len(names)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o775, "the folder is the user's"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    rows = list(csv.DictReader(io.StringIO(target.read_text("utf-8"))))
    assert {row["time_utc"] for row in rows} == {"2026-11-23T12:00:00.000000Z"}
    assert rows[0]["subject"] == "plain, “x”"
    for row in rows:
        for cell in row.values():
            for part in cell.replace("\n", ";").split(";"):
                assert not part.strip().startswith(("=", "+", "-", "@", "\t", "\r", "＝")), cell


def test_inert_leaves_plain_text_alone():
    assert inert("web-01 (a=b)") == "web-01 (a=b)"
    assert inert("") == ""


def test_old_rows_and_closed_outages_are_pruned(desk):
    history = desk.history()
    journal = OutageStore(history)
    now = SystemClock().now()
    history.record(happened("old", when=now - dt.timedelta(days=40)))
    history.record(happened("new", when=now))
    journal.record(outage(1, closed=NOON - dt.timedelta(days=4000)))
    journal.record(outage(2, opened=NOON - dt.timedelta(days=4000)))
    assert history.flush()
    history.prune(dt.timedelta(days=30))
    journal.record(outage(3))
    assert subjects(history.search()) == ["new"]
    assert [o.id for o in journal.open_outages()] == ["outage-2", "outage-3"]


def test_a_history_that_runs_for_months_goes_on_forgetting(desk):
    clock = LaterClock()
    history = History(desk.path, desk.hub, clock)
    desk.open.append(history)
    history.start()
    history.keep(lambda: dt.timedelta(days=30))
    history.record(happened("then", when=clock.now()))
    assert history.flush()
    assert subjects(history.search()) == ["then"]
    clock.ahead_s = 31 * 86_400.0
    history.record(happened("now", when=clock.now()))
    assert history.flush()
    history.record(happened("soon after", when=clock.now()))
    assert history.flush()
    assert subjects(history.search()) == ["soon after", "now"]


class LaterClock(SystemClock):
    """The time as it will be in ``ahead_s`` seconds."""

    ahead_s = 0.0

    def monotonic(self):
        return super().monotonic() + self.ahead_s

    def now(self):
        return super().now() + dt.timedelta(seconds=self.ahead_s)


# ---- the journal ----------------------------------------------------------------------------------------------


def test_an_outage_is_on_disk_when_record_returns(desk):
    journal = OutageStore(desk.history())
    first = outage(1, vm_id=ObjectId("vm-\ud800"), vm_name="wéb", detail="3 rounds")
    journal.record(first)
    journal.record(outage(2))
    with sqlite3.connect(desk.path) as other:
        assert other.execute("select count(*) from outages").fetchone() == (2,)
    other.close()
    assert journal.open_outages() == (first, outage(2))
    journal.record(dataclasses.replace(first, state=CaptureState.DONE, closed=NOON))
    assert journal.open_outages() == (outage(2),)


def test_two_instances_do_not_take_the_same_outage(desk):
    first, second = desk.history(), desk.history()
    OutageStore(first).record(outage(1))
    second.record(happened())
    assert second.flush()
    assert OutageStore(second).open_outages() == ()
    with pytest.raises(LocalError, match="Another hvconsole"):
        OutageStore(second).record(dataclasses.replace(outage(1), id="rival"))
    OutageStore(second).record(outage(2))
    assert first.close()
    assert [o.id for o in OutageStore(second).open_outages()] == ["outage-1", "outage-2"]
    OutageStore(second).record(dataclasses.replace(outage(1), state=CaptureState.SENT))


def test_the_journal_refuses_when_the_history_has_ended(desk):
    history = desk.history()
    assert history.close()
    with pytest.raises(LocalError):
        OutageStore(history).record(outage())
    history.record(happened())
    assert not history.flush(0.1)


def test_while_another_program_locks_the_file_nothing_hangs_and_nothing_is_lost(desk, monkeypatch):
    monkeypatch.setattr("hvconsole.store.BUSY_LIMIT_S", 0.2)
    monkeypatch.setattr("hvconsole.history.RETRY_S", 0.1)
    history = desk.history()
    assert history.search() == []
    blocker = sqlite3.connect(desk.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(LocalError, match="in use"):
        OutageStore(history).record(outage())
    history.record(happened("waits"))
    desk.wait_notice(lambda n: n.key == "history" and "in use" in n.text and "snapshots" in n.text)
    assert history.trouble is not None
    assert history.search() == []
    blocker.execute("ROLLBACK")
    blocker.close()
    assert history.flush()
    assert subjects(history.search()) == ["waits"]
    desk.wait_notice(lambda n: n.key == "history" and n.text == "")
    OutageStore(history).record(outage())


def fill_disk(disk):
    """Every write fails while ``disk["full"]``."""

    def at_step(step):
        if step == "begun" and disk["full"]:
            raise OSError(28, "No space left on device")

    return at_step


def test_disk_full_holds_rows_in_memory_refuses_intents_and_recovers(desk, monkeypatch):
    monkeypatch.setattr("hvconsole.history.RETRY_S", 0.1)
    disk = {"full": True}
    history = desk.history(at_step=fill_disk(disk))
    for i in range(20):
        history.record(happened(f"vm{i}"))
    desk.wait_notice(lambda n: "disk full" in n.text and n.severity == "error")
    with pytest.raises(LocalError, match="disk full"):
        OutageStore(history).record(outage())
    assert OutageStore(history).open_outages() == ()
    disk["full"] = False
    assert history.flush(10)
    assert history.count() == 20
    OutageStore(history).record(outage())
    desk.wait_notice(lambda n: n.key == "history" and n.text == "")


def test_a_really_full_file_keeps_earlier_rows_readable(desk, monkeypatch):
    monkeypatch.setattr("hvconsole.history.RETRY_S", 0.1)
    history = desk.history()
    history.record(happened("early"))
    assert history.flush()
    raw = history._db._engine.raw_connection().dbapi_connection
    limit = raw.execute("PRAGMA page_count").fetchone()[0]
    raw.execute(f"PRAGMA max_page_count={limit}")
    history.record(happened("big" * 6000, detail="x" * 19_000))
    desk.wait_notice(lambda n: "disk full" in n.text)
    assert subjects(history.search()) == ["early"]
    raw.execute("PRAGMA max_page_count=100000")
    assert history.flush(10)
    assert history.count() == 2


def test_memory_stays_bounded_while_the_disk_is_full(desk, monkeypatch):
    monkeypatch.setattr("hvconsole.history.RETRY_S", 0.1)
    monkeypatch.setattr("hvconsole.history.MEMORY_ROWS", 100)
    disk = {"full": True}
    history = desk.history(at_step=fill_disk(disk))
    for i in range(350):
        history.record(happened(f"vm{i}"))
    assert len(history._rows) == 100
    disk["full"] = False
    history.flush(10)
    history.record(happened("after"))
    assert history.flush(10)
    rows = history.search(limit=1000)
    assert rows[0].subject == "after"
    assert len(rows) <= 201
    assert MEMORY_ROWS >= 1000


@pytest.mark.parametrize("data", [b"this is not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside_with_a_notice(desk, data):
    desk.path.parent.mkdir()
    desk.path.write_bytes(data)
    history = desk.history()
    history.record(happened())
    assert history.flush()
    (kept,) = desk.path.parent.glob("history.db.damaged-*")
    assert kept.read_bytes() == data
    desk.wait_notice(lambda n: kept.name in n.text)
    OutageStore(history).record(outage())


def test_a_history_of_a_newer_version_is_only_read(desk):
    first = desk.history()
    first.record(happened())
    assert first.flush()
    assert first.close()
    with sqlite3.connect(desk.path) as raw:
        raw.execute("PRAGMA user_version=99")
    raw.close()
    history = desk.history()
    assert subjects(history.search()) == ["web01"]
    desk.wait_notice(lambda n: "newer" in n.text)
    with pytest.raises(LocalError, match="newer"):
        OutageStore(history).record(outage())
    history.record(happened())
    assert not history.flush(0.1)
    assert history.count() == 1


def test_a_place_that_cannot_be_written_is_said(desk):
    desk.path.parent.write_text("not a folder")
    history = desk.history()
    history.record(happened())
    desk.wait_notice(lambda n: n.severity == "error")
    with pytest.raises(LocalError):
        OutageStore(history).record(outage())
    with pytest.raises(LocalError):
        history.search()


def test_a_commit_is_synced_before_it_is_acknowledged(desk):
    history = desk.history()
    history.record(happened())
    assert history.flush()
    raw = history._db._engine.raw_connection().dbapi_connection
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert raw.execute("PRAGMA synchronous").fetchone() == (2,)


# ---- kill -9 --------------------------------------------------------------------------------------------------

CHILD = textwrap.dedent(
    """
    import datetime as dt, itertools, os, signal, sys
    from pathlib import Path
    from hvconsole.clock import SystemClock
    from hvconsole.events import Happened, Hub
    from hvconsole.history import History, OutageStore
    from hvconsole.model import ObjectId, ServerId
    from hvconsole.outages import CaptureState, Outage

    path, step, nth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    passed = itertools.count(1)

    def at_step(name):
        if name == step and next(passed) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    history = History(path, Hub(), SystemClock(), at_step=at_step)
    history.start()
    journal = OutageStore(history)
    now = SystemClock().now()
    for i in itertools.count():
        history.record(Happened(now, "me", "start", "s", f"row-{i}"))
        if history.flush():
            os.write(1, f"row-{i}\\n".encode())
        journal.record(Outage(id=f"o-{i}", server_id=ServerId("s"), vm_id=ObjectId(f"vm-{i}"), vm_name="w", opened=now,
                              snapshot_name="n", state=CaptureState.INTENT))
        os.write(1, f"o-{i}\\n".encode())
    """
)


def check_acknowledged(desk, acknowledged):
    history = desk.history()
    rows = {row.subject for row in history.search(limit=100_000)}
    open_ids = {o.id for o in OutageStore(history).open_outages()}
    assert history.close()
    assert not desk.notices
    missing = [name for name in acknowledged if name not in rows and name not in open_ids]
    assert missing == []
    with sqlite3.connect(desk.path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


@pytest.mark.parametrize("step", ["begun", "written", "committed"])
def test_killed_at_a_named_step_no_acknowledged_row_is_lost(desk, step):
    acknowledged = []
    for round_number in range(3):
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(desk.path), step, str(3 + 4 * round_number)],
            stdout=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
        assert child.returncode == -signal.SIGKILL
        acknowledged = child.stdout.decode().split()
        check_acknowledged(desk, acknowledged)
    assert acknowledged


def test_killed_at_random_no_acknowledged_row_is_lost(desk):
    chance = random.Random(7)
    for _ in range(5):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(desk.path), "none", "0"], stdout=subprocess.PIPE)
        lines = [child.stdout.readline() for _ in range(chance.randrange(5, 80))]
        child.kill()
        lines += child.stdout.readlines()
        child.stdout.close()
        child.wait(30)
        acknowledged = [line.decode().strip() for line in lines if line.endswith(b"\n")]
        assert len(acknowledged) >= 5
        check_acknowledged(desk, acknowledged)


def test_a_snapshot_that_a_user_takes_is_recorded_and_the_monitors_own_only_by_the_monitor(desk):
    history = desk.history()
    history.subscribe(desk.hub, lambda _id: "Production")
    for number, by in enumerate(("user", "monitor"), 1):
        view = JobView(
            id=JobId(number), server_id=ServerId("s"), verb="snapshot", title="Take snapshot", subject=by,
            subject_id=ObjectId("id-1"), by=by, state=JobState.DONE, submitted=NOON,
        )  # fmt: skip
        desk.hub.emit(JobChanged(view))
    assert history.flush()
    assert subjects(history.search()) == ["user"]


def test_percent_and_underscore_are_looked_for_as_they_are(desk):
    history = desk.history()
    for name in ("100 sure", "100%_sure", "1x0"):
        history.record(happened(name))
    assert history.flush()
    assert subjects(history.search("0%")) == ["100%_sure"]
    assert subjects(history.search("1_0")) == []


def test_open_outages_come_oldest_first(desk):
    store = OutageStore(desk.history())
    for number, seconds in ((1, 30), (2, 10), (3, 20)):
        store.record(outage(number, opened=NOON + dt.timedelta(seconds=seconds)))
    assert [found.id for found in store.open_outages()] == ["outage-2", "outage-3", "outage-1"]


def test_rows_that_come_while_others_are_written_are_not_lost_with_those(desk, monkeypatch):
    monkeypatch.setattr("hvconsole.history.MEMORY_ROWS", 3)
    began = threading.Event()
    more = threading.Event()

    def at_step(step):
        if step == "written" and not began.is_set():
            began.set()
            assert more.wait(10)

    history = desk.history(at_step=at_step)
    history.record(happened("first"))
    assert began.wait(10)
    for number in range(3):
        history.record(happened(f"later {number}"))
    more.set()
    assert history.flush(10)
    assert subjects(history.search()) == ["later 2", "later 1", "later 0", "first"]


def test_rows_that_had_to_be_dropped_are_never_called_written(desk, monkeypatch):
    monkeypatch.setattr("hvconsole.history.MEMORY_ROWS", 3)
    monkeypatch.setattr("hvconsole.history.RETRY_S", 0.05)
    disk = {"full": True}
    history = desk.history(at_step=fill_disk(disk))
    history.record(happened("0"))
    desk.wait_notice(lambda n: "disk full" in n.text)
    flushed = []
    waiting = threading.Thread(target=lambda: flushed.append(history.flush(10)))
    waiting.start()
    for number in range(1, 6):
        history.record(happened(str(number)))
    disk["full"] = False
    waiting.join(10)
    assert flushed == [False]
    assert history.flush()
    assert subjects(history.search()) == ["5", "4", "3"]
    desk.wait_notice(lambda n: n.key == "history" and not n.text)  # said after the rows are written
    banners = [n.text for n in desk.notices if n.key == "history"]
    assert len(banners) == 2, "said once, and taken back once"


def test_what_dead_consoles_left_beside_the_file_is_cleared_away(desk):
    living = desk.history()
    assert living.search() == []
    dead = desk.path.with_name(desk.path.name + ".owner-dead")
    dead.write_text("")
    second = desk.history()
    assert second.search() == []
    left = {path.name for path in desk.path.parent.glob("*.owner-*")}
    assert dead.name not in left
    assert len(left) == 2
