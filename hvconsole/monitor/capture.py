"""How one automatic snapshot is taken so that it is neither lost nor doubled: a pure state machine.

::

    LOOK ──found──▶ DONE            every way to ASK leads through LOOK; the outage is on disk as SENT before ASK
     │ ▲
     │ └── after a pause: one is running, the server was away, a try failed for now, the outcome was lost
     └──absent──▶ ASK ──▶ DONE | FAILED for good | FAILED for now | outcome UNKNOWN

After a lost outcome (or a crash with the request perhaps on its way) "absent" has to be seen twice, some seconds
apart, before the snapshot is asked for once more; then never again, not even by a later run. ``desk`` carries the
steps out.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from hvconsole.backends.base import SnapshotSearch
from hvconsole.errors import HvError, SessionLost, Unreachable
from hvconsole.events import JobState
from hvconsole.outages import CaptureState

MAX_TRIES = 3
"""Requests that may fail for now (server busy) before we give up; each looks first."""
MAX_LOOKS = 360
"""Looks altogether: half an hour of a snapshot that runs and runs."""
RETRY_S = (5.0, 15.0)
RUNNING_S = 5.0
SETTLE_S = 5.0
"""From one "absent" to the next after a lost outcome: longer than a server needs to make a task of a request."""
AWAY_S = 5.0
AFTERMATH_S = 12.0
"""After a snapshot by somebody else: about the time in which a VM that was only stunned by it comes back."""


class Do(enum.Enum):
    """What is to be done next."""

    LOOK = enum.auto()
    ASK = enum.auto()
    FINISH = enum.auto()


@dataclass(frozen=True, slots=True)
class Step:
    """``after_s``: seconds to wait before a LOOK; ``state`` and ``detail`` belong to FINISH."""

    do: Do
    after_s: float = 0.0
    state: CaptureState = CaptureState.INTENT
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one capture is."""

    uncertain: bool = False
    """A request may be on its way or have been carried out without our knowing."""
    absent: int = 0
    """Times in a row that nothing was found or running since it became uncertain."""
    asked: int = 0
    lost: int = 0
    """Requests whose outcome was lost, one of an earlier run included."""
    looks: int = 0
    stunned: bool = False
    """Before we asked for anything, somebody else's snapshot was being taken: that may be why it fell silent."""


def begin(state: CaptureState) -> tuple[Progress, Step]:
    """The first step of an outage that stands at ``state`` in the journal; for a new one that is ``INTENT``."""
    if state in (CaptureState.SENT, CaptureState.UNKNOWN):
        # "Unknown" was the last word of a run that had asked as often as is right.
        return Progress(uncertain=True, lost=1 if state is CaptureState.SENT else 2), Step(Do.LOOK)
    return Progress(), Step(Do.LOOK)


def looked(progress: Progress, search: SnapshotSearch) -> tuple[Progress, Step]:
    """The server was asked what exists under the outage's name."""
    progress = replace(progress, looks=progress.looks + 1)
    if search.found:
        return progress, Step(Do.FINISH, state=CaptureState.DONE)
    if search.running:
        if progress.looks >= MAX_LOOKS:
            return progress, Step(
                Do.FINISH, state=CaptureState.UNKNOWN, detail="A snapshot of the VM was still being taken."
            )
        stunned = progress.stunned or not (progress.uncertain or progress.asked)
        return replace(progress, absent=0, stunned=stunned), Step(Do.LOOK, RUNNING_S)
    if progress.stunned:
        return replace(progress, stunned=False), Step(Do.LOOK, AFTERMATH_S)
    if not progress.uncertain:
        return progress, Step(Do.ASK)
    progress = replace(progress, absent=progress.absent + 1)
    if progress.absent < 2:
        return progress, Step(Do.LOOK, SETTLE_S)
    if progress.lost > 1:
        return progress, Step(
            Do.FINISH,
            state=CaptureState.UNKNOWN,
            detail="The server's answer was lost and no snapshot is there; it isn't asked once more.",
        )
    return replace(progress, uncertain=False, absent=0), Step(Do.ASK)


def look_failed(progress: Progress, error: HvError) -> tuple[Progress, Step]:
    """Looking failed. It changes nothing on the server, so it is simply done again while that makes sense."""
    progress = replace(progress, looks=progress.looks + 1, absent=0)
    if error.retryable and progress.looks < MAX_LOOKS:
        return progress, Step(Do.LOOK, AWAY_S)
    state = CaptureState.UNKNOWN if progress.uncertain else CaptureState.FAILED
    return progress, Step(Do.FINISH, state=state, detail=error.user_text)


def answered(progress: Progress, state: JobState, error: HvError | None) -> tuple[Progress, Step]:
    """The job that asked for the snapshot is final."""
    progress = replace(progress, asked=progress.asked + 1)
    detail = error.user_text if error is not None else ""
    if state is JobState.DONE:
        return progress, Step(Do.FINISH, state=CaptureState.DONE)
    if state is JobState.CANCELLED:
        return progress, Step(Do.FINISH, state=CaptureState.FAILED, detail="It was cancelled.")
    if state is JobState.UNKNOWN:
        return replace(progress, uncertain=True, absent=0, lost=progress.lost + 1), Step(Do.LOOK, 1.0)
    if error is not None and error.retryable and progress.asked < MAX_TRIES:
        pause = RETRY_S[min(progress.asked, len(RETRY_S)) - 1]
        if isinstance(error, Unreachable | SessionLost):
            # Refused before it was sent, says the backend; looking twice costs nothing.
            return replace(progress, uncertain=True, absent=0), Step(Do.LOOK, pause)
        return progress, Step(Do.LOOK, pause)
    return progress, Step(Do.FINISH, state=CaptureState.FAILED, detail=detail)
