"""Work the user can see: queued, running, cancellable, with a final outcome that never changes again.

A ``JobRunner`` has at most so many threads, ``job-<server>-<n>`` for what users ask of a server. Submitting and reading
are non-blocking and allowed from every thread; the work itself runs in the runner's threads and may block.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NewType

from hvconsole.backends.base import TaskContext
from hvconsole.clock import Clock
from hvconsole.errors import HvError, LocalError, OutcomeUnknown, TaskCancelled, TaskTimeout
from hvconsole.events import Hub, JobChanged, JobState
from hvconsole.model import ObjectId, ServerId

log = logging.getLogger(__name__)

JobId = NewType("JobId", int)
WORKERS_PER_SERVER = 4
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job at one moment."""

    id: JobId
    server_id: ServerId
    verb: str
    title: str
    """"Suspend"."""
    subject: str
    """Name of the VM, host or pool (hostile)."""
    subject_id: ObjectId | None
    by: str
    state: JobState
    fraction: float | None = None
    text: str = ""
    submitted: dt.datetime
    started: dt.datetime | None = None
    finished: dt.datetime | None = None
    duration_s: float | None = None
    error: HvError | None = None


Work = Callable[[TaskContext], object]


class Job:
    """A submitted piece of work. ``view`` may be read, ``cancel`` called from any thread.

    ``ran`` tells that the work ended without an error and ``result`` is its answer.
    """

    def __init__(self, view: JobView, work: Work, publish: Callable[[JobView], None]) -> None:
        self._work = work
        self._publish = publish
        self._lock = threading.Lock()
        self.view = view
        self.result: object = None
        self.ran = False
        self.finished = threading.Event()
        self.context = TaskContext(self._progress)
        self._callbacks: list[Callable[[Job], None]] = []

    def cancel(self) -> None:
        """Ask the work to stop. Queued work never starts; running work decides how to stop."""
        with self._lock:
            if self.view.state.final:
                return
            self.view = view = replace(self.view, state=JobState.CANCELLING)
        self.context.cancel()
        self._publish(view)

    def when_finished(self, callback: Callable[[Job], None]) -> None:
        """Call ``callback`` with this job once it is final: in the job's thread, or at once if it already is."""
        with self._lock:
            if not self.view.state.final:
                self._callbacks.append(callback)
                return
        callback(self)

    def _progress(self, fraction: float | None, text: str) -> None:
        with self._lock:
            if self.view.state.final:
                return
            self.view = replace(self.view, fraction=fraction, text=text or self.view.text)
            view = self.view
        self._publish(view)

    def _set(self, **values: object) -> None:
        with self._lock:
            if self.view.state.final:
                return
            self.view = replace(self.view, **values)  # type: ignore[arg-type]
            view = self.view
        self._publish(view)

    def run(self, clock: Clock) -> None:
        """Do the work in the calling thread and settle the outcome; called once, by the runner."""
        begun = clock.monotonic()
        state: JobState = JobState.DONE
        error: HvError | None = None
        if not self._begin(clock):
            state = JobState.CANCELLED
        else:
            try:
                self.result = self._work(self.context)
                self.ran = True
            except TaskCancelled as exc:
                state, error = JobState.CANCELLED, exc
            except (OutcomeUnknown, TaskTimeout) as exc:
                state, error = JobState.UNKNOWN, exc
            except HvError as exc:
                state, error = JobState.FAILED, exc
            except Exception as exc:  # outer edge of a job: a defect of ours must end as a failed job
                log.exception("job %s failed unexpectedly", self.view.title)
                state = JobState.FAILED
                error = LocalError("hvconsole itself failed here; please report it.", type(exc).__name__)
        self.settle(state, error, clock, begun)

    def _begin(self, clock: Clock) -> bool:
        """From queued to running; False if it was cancelled first."""
        with self._lock:
            if self.view.state is not JobState.QUEUED:
                return False
            self.view = view = replace(self.view, state=JobState.RUNNING, started=clock.now())
        self._publish(view)
        return True

    def settle(self, state: JobState, error: HvError | None, clock: Clock, begun: float) -> None:
        """Make the outcome final, tell everyone, run the callbacks."""
        self._set(
            state=state,
            error=error,
            fraction=1.0 if state is JobState.DONE else self.view.fraction,
            finished=clock.now(),
            duration_s=clock.monotonic() - begun,
        )
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        self.finished.set()
        for callback in callbacks:
            try:
                callback(self)
            except Exception:  # outer edge: a listener's defect must not end the worker thread
                log.exception("a listener to job %s failed", self.view.title)


class JobRunner:
    """Runs the jobs of one server on at most ``workers`` daemon threads, started when needed."""

    def __init__(
        self,
        server_id: ServerId,
        name: str,
        hub: Hub,
        clock: Clock,
        workers: int = WORKERS_PER_SERVER,
        prefix: str = "job",
    ) -> None:
        self._server_id = server_id
        self._name = f"{prefix}-{name}"
        self._hub = hub
        self._clock = clock
        self._workers = workers
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._open: dict[JobId, Job] = {}
        self._closed = False

    def submit(
        self, verb: str, title: str, subject: str, subject_id: ObjectId | None, work: Work, *, by: str = "user"
    ) -> Job:
        """Queue ``work``; returns at once. After ``stop`` the job is settled as cancelled immediately."""
        view = JobView(
            id=JobId(next(_ids)),
            server_id=self._server_id,
            verb=verb,
            title=title,
            subject=subject,
            subject_id=subject_id,
            by=by,
            state=JobState.QUEUED,
            submitted=self._clock.now(),
        )
        job = Job(view, work, lambda v: self._hub.emit(JobChanged(v)))
        self._hub.emit(JobChanged(view))
        with self._lock:
            closed = self._closed
            if not closed:
                self._open[view.id] = job
                # Under the lock, so that it stands before the thread-ending None of a ``stop`` at the same moment.
                self._queue.put(job)
                if self._idle < len(self._open) and len(self._threads) < self._workers:
                    thread = threading.Thread(
                        target=self._loop, name=f"{self._name}-{len(self._threads) + 1}", daemon=True
                    )
                    self._threads.append(thread)
                    thread.start()
        if closed:
            job.settle(JobState.CANCELLED, None, self._clock, self._clock.monotonic())
        return job

    def open_jobs(self) -> tuple[Job, ...]:
        """Jobs that are not final yet."""
        with self._lock:
            return tuple(self._open.values())

    def stop(self) -> None:
        """Cancel everything and let the threads end; does not wait. ``alive`` tells when they are gone."""
        with self._lock:
            self._closed = True
            jobs = tuple(self._open.values())
            threads = len(self._threads)
        for job in jobs:
            job.cancel()
        for _ in range(threads):
            self._queue.put(None)

    def alive(self) -> tuple[str, ...]:
        """Names of threads that still run."""
        return tuple(t.name for t in self._threads if t.is_alive())

    def _loop(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._queue.get()
            with self._lock:
                self._idle -= 1
            if job is None:
                return
            job.run(self._clock)
            with self._lock:
                self._open.pop(job.view.id, None)
