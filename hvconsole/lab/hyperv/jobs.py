"""Jobs of the simulated host: a class, a task of the world, the elements affected; gone five minutes after their end.

Any thread; own lock, except that rendering reads the task under ``world.lock`` held by the caller.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hvconsole.lab import errors
from hvconsole.lab.hyperv import naming
from hvconsole.lab.hyperv.instance import Inst, Interval, Ref, make
from hvconsole.lab.tasks import Task, TaskStatus
from hvconsole.lab.world import World

KEPT_S = 300.0


@dataclass(slots=True)
class Job:
    """One job. ``affected`` grows when the work has made something."""

    id: str
    class_name: str
    job_type: int
    name: str
    task: Task
    affected: list[Ref] = field(default_factory=list)

    @property
    def ref(self) -> Ref:
        """The reference that a method returns."""
        return naming.settings_ref(self.class_name, self.id)


class Jobs:
    """The jobs of one host."""

    def __init__(self, world: World, site_id: str) -> None:
        self._world = world
        self._site_id = site_id
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self.kept_s = KEPT_S

    def start(
        self,
        name: str,
        work: Callable[[Task], Any],
        *,
        target_id: str = "",
        job_type: int = 0,
        class_name: str = "Msvm_ConcreteJob",
        affected: tuple[Ref, ...] = (),
    ) -> Job:
        """Run ``work`` as a job."""
        task = self._world.new_task(self._site_id, name, target_id, recorded=True)
        job = Job(naming.guid(self._world.new_id()), class_name, job_type, name, task, list(affected))
        with self._lock:
            self._jobs[job.id] = job

        def run(task: Task) -> Any:
            result = work(task)
            job.affected.extend(
                item for item in (result if isinstance(result, list) else [result]) if isinstance(item, Ref)
            )
            return result

        self._world.spawn(self._site_id, name, run, task=task)
        return job

    def all(self) -> list[Job]:
        """Jobs that have not been forgotten yet."""
        now = self._world.now()
        with self._lock:
            gone = [
                job.id
                for job in self._jobs.values()
                if job.task.done.is_set() and now - job.task.finished > self.kept_s
            ]
            for job_id in gone:
                del self._jobs[job_id]
            return list(self._jobs.values())

    def find(self, job_id: str) -> Job | None:
        """The job with that InstanceID, or None."""
        return next((job for job in self.all() if job.id == job_id.upper()), None)

    def instances(self, class_name: str) -> list[Inst]:
        """All jobs of one class."""
        return [self.render(job) for job in self.all() if job.class_name == class_name]

    def render(self, job: Job) -> Inst:
        """A job as WMI shows it."""
        task = job.task
        code, text = error_of(task.error)
        state = {TaskStatus.PENDING: 4, TaskStatus.SUCCESS: 7, TaskStatus.FAILURE: 10, TaskStatus.CANCELLED: 8}
        pending = task.status is TaskStatus.PENDING
        now = self._world.now()
        extra: dict[str, Any] = {"JobCompletionStatusCode": 0} if job.class_name == "Msvm_StorageJob" else {}
        return make(
            job.class_name,
            InstanceID=job.id,
            Caption=job.name,
            Description=job.name,
            ElementName=job.name,
            Name="Msvm_ConcreteJob",
            OperationalStatus=[2] if code == 0 else [6],
            HealthState=5,
            JobStatus="Job is running" if pending else "Job is completed",
            TimeSubmitted=task.created,
            StartTime=task.created,
            ElapsedTime=Interval((task.finished or now) - task.created),
            Notify="",
            Owner="Administrator",
            LocalOrUtcTime=2,
            PercentComplete=round(task.progress * 100),
            DeleteOnCompletion=False,
            ErrorCode=code,
            ErrorDescription=text or None,
            ErrorSummaryDescription=text or None,
            JobState=6 if pending and task.cancel_requested else state[task.status],
            TimeOfLastStateChange=task.finished or task.created,
            TimeBeforeRemoval=Interval(self.kept_s),
            Cancellable=pending and task.cancellable,
            JobType=job.job_type,
            **extra,
        )

    def errors(self, job: Job) -> list[str]:
        """GetErrorEx: CIM-XML texts of Msvm_Error."""
        code, text = error_of(job.task.error)
        if code == 0:
            return []
        return [
            make(
                "Msvm_Error",
                ErrorType=4,
                OwningEntity="Microsoft:Hyper-V",
                MessageID=str(code),
                Message=text,
                ErrorSource=job.ref.class_name,
                ErrorSourceFormat=2,
                CIMStatusCode=1,
            ).cim_xml()
        ]


def error_of(error: Exception | None) -> tuple[int, str]:
    """(error code, text) of a failed task."""
    if error is None:
        return 0, ""
    code, text = 32768, str(error)
    if isinstance(error, errors.Injected):
        code = int(error.code, 0) if error.code else 32768
        text = " ".join(error.params) or "The operation failed."
    elif isinstance(error, errors.Cancelled):
        code, text = 32768, "The operation was cancelled."
    elif isinstance(error, errors.NoMemory):
        code, text = 32778, "Not enough memory in the system to start the virtual machine."
    elif isinstance(error, errors.NoSpace):
        code, text = 32768, "There is not enough space on the disk. (0x80070070)"
    elif isinstance(error, errors.BadState | errors.Busy):
        code, text = 32775, "The operation cannot be performed while the object is in its current state."
    elif isinstance(error, errors.NotFound):
        code, text = 32779, "The system cannot find the file specified. (0x80070002)"
    elif isinstance(error, errors.InUse):
        code, text = 32774, "The process cannot access the file because it is being used by another process."
    elif isinstance(error, errors.NoTools):
        code, text = 32777, "The guest's integration services do not answer."
    return code, text
