"""Work the user can see: it runs, can be cancelled, ends once, and its outcome never changes again."""

import threading

import pytest

from hvconsole.clock import SystemClock
from hvconsole.errors import Busy, LocalError, OutcomeUnknown, TaskCancelled, TaskTimeout
from hvconsole.events import Hub, JobChanged, JobState
from hvconsole.jobs import WORKERS_PER_SERVER, JobRunner
from hvconsole.model import ObjectId, ServerId

LIMIT_S = 10


class Desk:
    def __init__(self):
        self.hub = Hub()
        self.seen = []
        self.hub.subscribe(JobChanged, lambda event: self.seen.append(event.job))
        self.runner = JobRunner(ServerId("s1"), "pool", self.hub, SystemClock())

    def submit(self, work, name="web"):
        return self.runner.submit("suspend", "Suspend", name, ObjectId("vm-1"), work)

    def run(self, work):
        job = self.submit(work)
        assert job.finished.wait(LIMIT_S)
        return job

    def states(self, job):
        return [view.state for view in self.seen if view.id == job.view.id]


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.runner.stop()
    for thread in desk.runner._threads:
        thread.join(LIMIT_S)
    assert not desk.runner.alive()


def test_a_job_runs_reports_and_ends_done(desk):
    def work(ctx):
        ctx.progress(0.5, "half way")
        ctx.progress(None)
        return 42

    job = desk.run(work)
    assert desk.states(job) == [JobState.QUEUED, JobState.RUNNING, JobState.RUNNING, JobState.RUNNING, JobState.DONE]
    assert (job.ran, job.result, job.view.fraction, job.view.text) == (True, 42, 1.0, "half way")
    assert job.view.submitted <= job.view.started <= job.view.finished
    assert job.view.duration_s >= 0
    assert desk.runner.open_jobs() == () or desk.runner.open_jobs() == (job,)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (TaskCancelled("Cancelled."), JobState.CANCELLED),
        (OutcomeUnknown("Lost."), JobState.UNKNOWN),
        (TaskTimeout("Still at it."), JobState.UNKNOWN),
        (Busy("Busy."), JobState.FAILED),
    ],
)
def test_the_outcome_follows_the_error(desk, error, state):
    def work(ctx):
        raise error

    job = desk.run(work)
    assert job.view.state is state
    assert job.view.error is error
    assert not job.ran


def test_a_defect_of_ours_is_a_failed_job_that_tells_no_secrets(desk, caplog):
    def work(ctx):
        raise KeyError("hunter2")

    job = desk.run(work)
    assert job.view.state is JobState.FAILED
    assert isinstance(job.view.error, LocalError)
    assert "hunter2" not in job.view.error.user_text + job.view.error.detail
    assert "unexpectedly" in caplog.text


def test_a_running_job_can_be_cancelled(desk):
    started = threading.Event()

    def work(ctx):
        started.set()
        assert ctx.wait(LIMIT_S)
        ctx.raise_if_cancelled()

    job = desk.submit(work)
    assert started.wait(LIMIT_S)
    job.cancel()
    assert job.finished.wait(LIMIT_S)
    assert desk.states(job)[-2:] == [JobState.CANCELLING, JobState.CANCELLED]
    job.cancel()
    assert job.view.state is JobState.CANCELLED


def test_work_that_finishes_in_spite_of_the_cancel_is_done(desk):
    started = threading.Event()

    def work(ctx):
        started.set()
        ctx.wait(LIMIT_S)
        return "too late to stop"

    job = desk.submit(work)
    assert started.wait(LIMIT_S)
    job.cancel()
    assert job.finished.wait(LIMIT_S)
    assert job.view.state is JobState.DONE


def test_queued_work_that_was_cancelled_never_starts(desk):
    go = threading.Event()
    blockers = [desk.submit(lambda ctx: go.wait(LIMIT_S)) for _ in range(WORKERS_PER_SERVER)]
    ran = []
    waiting = desk.submit(lambda ctx: ran.append(1))
    waiting.cancel()
    assert waiting.view.state is JobState.CANCELLING
    go.set()
    assert waiting.finished.wait(LIMIT_S)
    assert waiting.view.state is JobState.CANCELLED
    assert not ran
    assert all(job.finished.wait(LIMIT_S) for job in blockers)


def test_at_most_four_at_once_on_named_threads(desk):
    lock, now, most, names = threading.Lock(), [0], [0], set()
    all_four = threading.Barrier(WORKERS_PER_SERVER)

    def work(ctx):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            names.add(threading.current_thread().name)
        all_four.wait(LIMIT_S)
        with lock:
            now[0] -= 1

    jobs = [desk.submit(work) for _ in range(WORKERS_PER_SERVER * 3)]
    assert all(job.finished.wait(LIMIT_S) for job in jobs)
    assert most[0] == WORKERS_PER_SERVER
    assert names == {f"job-pool-{n}" for n in range(1, WORKERS_PER_SERVER + 1)}


def test_final_states_are_final(desk):
    kept = []

    def work(ctx):
        kept.append(ctx)

    job = desk.run(work)
    kept[0].progress(0.1, "late")
    job.settle(JobState.FAILED, None, SystemClock(), 0.0)
    assert job.view.state is JobState.DONE
    assert job.view.text == ""


def test_callbacks_come_once_early_late_and_in_spite_of_each_other(desk, caplog):
    go, called = threading.Event(), []
    job = desk.submit(lambda ctx: go.wait(LIMIT_S))
    job.when_finished(lambda j: 1 / 0)
    done = threading.Event()
    job.when_finished(lambda j: (called.append(j.view.state), done.set()))
    go.set()
    assert done.wait(LIMIT_S)
    job.when_finished(lambda j: called.append("late"))
    assert called == [JobState.DONE, "late"]
    assert "listener" in caplog.text


def test_after_stop_everything_is_cancelled(desk):
    started = threading.Event()

    def work(ctx):
        started.set()
        ctx.wait(LIMIT_S)
        ctx.raise_if_cancelled()

    running = desk.submit(work)
    assert started.wait(LIMIT_S)
    queued = [desk.submit(work) for _ in range(8)]
    desk.runner.stop()
    late = desk.submit(work)
    assert late.finished.is_set()
    for job in (running, *queued, late):
        assert job.finished.wait(LIMIT_S)
        assert job.view.state is JobState.CANCELLED


def test_stopping_while_others_submit_leaves_no_job_behind(desk):
    jobs, begin = [], threading.Barrier(3)

    def submit_many():
        begin.wait(LIMIT_S)
        for _ in range(200):
            jobs.append(desk.submit(lambda ctx: None))

    threads = [threading.Thread(target=submit_many) for _ in range(2)]
    for thread in threads:
        thread.start()
    begin.wait(LIMIT_S)
    desk.runner.stop()
    for thread in threads:
        thread.join(LIMIT_S)
    assert all(job.finished.wait(LIMIT_S) for job in jobs)
