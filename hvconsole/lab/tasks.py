"""Work under way in the world: duration, progress, cancel, outcome.

A verb (``power.start`` …) runs in the thread that calls it and takes as long as the timing says, reporting to a
``Task``. Servers that answer at once and work on use ``World.spawn``. A task is shared: its fields are changed only
under ``world.lock``; ``wait`` and ``cancel`` may be called from any thread.
"""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass, field
from typing import Any


class TaskStatus(enum.StrEnum):
    """State of a task; the last three are final."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """One piece of work. ``recorded`` tasks are in ``world.tasks`` and make changes of kind "task"."""

    id: str
    site_id: str
    name: str
    description: str = ""
    target_id: str = ""
    status: TaskStatus = TaskStatus.PENDING
    progress: float = 0.0
    created: float = 0.0
    finished: float = 0.0
    result: Any = None
    """What the work returned: an object id, a list of ids, or None."""
    error: Exception | None = None
    cancellable: bool = True
    recorded: bool = True
    cancel_requested: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    """What a protocol server keeps; ``"destroy"`` true: forget the task as soon as it is final."""
    wake: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when the worker must look up from its waiting: cancelled, or the world closes."""
    done: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set once the status is final."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until the task is final; False at the time limit."""
        return self.done.wait(timeout_s)


@dataclass(slots=True, kw_only=True)
class Timing:
    """How long things take, in seconds. ``Timing()`` suits tests: everything is immediate."""

    start: float = 0.0
    boot: float = 0.0
    """From power on until the guest answers and its tools report."""
    shutdown: float = 0.0
    """A guest shutting itself down."""
    power_off: float = 0.0
    suspend: float = 0.0
    resume: float = 0.0
    snapshot: float = 0.0
    snapshot_memory: float = 0.0
    stun: float = 0.0
    """Part of a snapshot during which the guest is frozen."""
    revert: float = 0.0
    delete: float = 0.0
    clone: float = 0.0
    copy: float = 0.0
    create: float = 0.0
    migrate: float = 0.0
    host_reboot: float = 0.0
    latency: float = 0.0
    """Round trip of the virtual network."""
    login_refused: float = 0.0
    """How long a wrong password takes."""

    @classmethod
    def demo(cls) -> Timing:
        """What looks real to somebody who watches."""
        return cls(
            start=1.5,
            boot=4.0,
            shutdown=4.0,
            power_off=0.6,
            suspend=3.0,
            resume=2.5,
            snapshot=2.5,
            snapshot_memory=4.0,
            stun=0.4,
            revert=2.5,
            delete=1.5,
            clone=3.0,
            copy=6.0,
            create=2.5,
            migrate=5.0,
            host_reboot=15.0,
            latency=0.0008,
            login_refused=1.0,
        )
