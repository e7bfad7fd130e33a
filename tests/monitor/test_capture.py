"""How a snapshot is asked for: each path by name, and the laws against any server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hvconsole.backends.base import SnapshotSearch
from hvconsole.errors import Busy, HvError, NoSpace, NotSupported, SessionLost, Unreachable
from hvconsole.events import JobState
from hvconsole.model import ObjectId, Snapshot
from hvconsole.monitor import capture
from hvconsole.monitor.capture import Do, answered, begin, look_failed, looked
from hvconsole.outages import CaptureState

FOUND = SnapshotSearch(found=(Snapshot(id=ObjectId("s"), name="n"),))
RUNNING = SnapshotSearch(running=True)
ABSENT = SnapshotSearch()


def test_it_looks_first_and_asks_once() -> None:
    progress, step = begin(CaptureState.INTENT)
    assert step.do is Do.LOOK
    progress, step = looked(progress, ABSENT)
    assert step.do is Do.ASK
    _, step = answered(progress, JobState.DONE, None)
    assert (step.do, step.state) == (Do.FINISH, CaptureState.DONE)


def test_one_that_exists_already_is_enough() -> None:
    _, step = looked(begin(CaptureState.INTENT)[0], FOUND)
    assert (step.do, step.state) == (Do.FINISH, CaptureState.DONE)


def test_one_that_is_running_is_waited_for() -> None:
    progress, step = looked(begin(CaptureState.INTENT)[0], RUNNING)
    assert (step.do, step.after_s) == (Do.LOOK, capture.RUNNING_S)
    assert looked(progress, FOUND)[1].state is CaptureState.DONE


def test_after_somebody_elses_snapshot_the_vm_gets_time_to_come_back() -> None:
    progress, _ = looked(begin(CaptureState.INTENT)[0], RUNNING)
    progress, step = looked(progress, ABSENT)
    assert (step.do, step.after_s) == (Do.LOOK, capture.AFTERMATH_S)
    assert looked(progress, ABSENT)[1].do is Do.ASK


def test_after_a_crash_absent_has_to_be_seen_twice() -> None:
    progress, _ = begin(CaptureState.SENT)
    progress, step = looked(progress, ABSENT)
    assert (step.do, step.after_s) == (Do.LOOK, capture.SETTLE_S)
    assert looked(progress, ABSENT)[1].do is Do.ASK
    assert looked(progress, FOUND)[1].state is CaptureState.DONE
    progress, step = looked(progress, RUNNING)
    assert step.do is Do.LOOK
    # The running one may have been another's: then "absent" counts from the beginning again.
    assert looked(progress, ABSENT)[1].do is Do.LOOK


def test_refusals_for_good_are_final() -> None:
    for error in (NoSpace("full"), NotSupported("no snapshots")):
        _, step = answered(begin(CaptureState.INTENT)[0], JobState.FAILED, error)
        assert (step.do, step.state, step.detail) == (Do.FINISH, CaptureState.FAILED, error.user_text)


def test_looking_is_repeated_while_the_server_is_away() -> None:
    progress, step = look_failed(begin(CaptureState.INTENT)[0], Unreachable("away"))
    assert (step.do, step.after_s) == (Do.LOOK, capture.AWAY_S)
    assert look_failed(progress, NotSupported("no"))[1].state is CaptureState.FAILED


def test_cancelled_by_the_user_is_not_repeated() -> None:
    _, step = answered(begin(CaptureState.INTENT)[0], JobState.CANCELLED, None)
    assert (step.do, step.state) == (Do.FINISH, CaptureState.FAILED)


looks = st.one_of(
    st.sampled_from([FOUND, RUNNING, ABSENT]),
    st.sampled_from([Unreachable("away"), SessionLost("gone"), NotSupported("no")]),
)
answers = st.sampled_from(
    [
        (JobState.DONE, None),
        (JobState.UNKNOWN, None),
        (JobState.CANCELLED, None),
        (JobState.FAILED, Busy("busy")),
        (JobState.FAILED, Unreachable("away")),
        (JobState.FAILED, NoSpace("full")),
    ]
)


@given(st.sampled_from([CaptureState.INTENT, CaptureState.SENT, CaptureState.UNKNOWN]), st.data())
def test_laws(state: CaptureState, data: st.DataObject) -> None:
    """It ends; asks only right after seeing nothing; after lost outcomes at most once more, in this run or another."""
    progress, step = begin(state)
    asked = lost = 0
    uncertain = state is not CaptureState.INTENT
    absent = 0
    for _ in range(2 * capture.MAX_LOOKS + 20):
        if step.do is Do.FINISH:
            break
        if step.do is Do.ASK:
            assert absent >= (2 if uncertain else 1)
            asked += 1
            job_state, error = data.draw(answers)
            lost += job_state is JobState.UNKNOWN
            uncertain = job_state is JobState.UNKNOWN or isinstance(error, Unreachable)
            absent = 0
            progress, step = answered(progress, job_state, error)
            continue
        answer = data.draw(looks)
        if isinstance(answer, HvError):
            absent = 0
            progress, step = look_failed(progress, answer)
        else:
            absent = absent + 1 if answer is ABSENT else 0
            progress, step = looked(progress, answer)
    else:
        raise AssertionError("it never ended")
    assert asked <= capture.MAX_TRIES + 2
    assert lost <= {CaptureState.INTENT: 2, CaptureState.SENT: 1, CaptureState.UNKNOWN: 0}[state]
    assert not (asked and state is CaptureState.UNKNOWN)


def test_a_snapshot_that_runs_and_runs_is_given_up_as_unknown() -> None:
    progress, step = begin(CaptureState.INTENT)
    looks = 0
    while step.do is Do.LOOK:
        progress, step = looked(progress, RUNNING)
        looks += 1
        assert looks <= capture.MAX_LOOKS
    assert (step.do, step.state, looks) == (Do.FINISH, CaptureState.UNKNOWN, capture.MAX_LOOKS)
