"""Power verbs. Being already in the wanted state is success; a guest that is asked is waited for.

Any worker thread; every function blocks until the host says that it is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from hvconsole import whynot
from hvconsole.backends import hyperv_facts as facts
from hvconsole.backends import hyperv_model as model
from hvconsole.backends.base import TaskContext
from hvconsole.backends.hyperv_facts import vm_epr
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.hyperv_read import Reader
from hvconsole.backends.wsman_faults import INVALID_STATE, FaultError, check_return
from hvconsole.backends.wsman_reply import Record
from hvconsole.clock import Clock
from hvconsole.errors import (
    BadPowerState,
    BadReply,
    Busy,
    HvError,
    NotFound,
    OutcomeUnknown,
    TaskTimeout,
    ToolsMissing,
)
from hvconsole.model import PowerState, Verb

log = logging.getLogger(__name__)

GUEST_SHUTDOWN_S = 600.0
"""How long a guest may take to shut down: Windows installs its updates on the way."""
GUEST_REBOOT_S = 180.0
"""How long a guest may take until it has visibly begun to restart."""
_POLL_S, _LONGEST_POLL_S = 0.15, 2.0

_REQUESTED = {
    Verb.START: 2,
    Verb.RESUME: 2,
    Verb.UNPAUSE: 2,
    Verb.POWER_OFF: 3,
    Verb.SUSPEND: 6,
    Verb.PAUSE: 9,
    Verb.RESET: 11,
}
_RESULT = {
    Verb.START: PowerState.RUNNING,
    Verb.RESUME: PowerState.RUNNING,
    Verb.UNPAUSE: PowerState.RUNNING,
    Verb.POWER_OFF: PowerState.HALTED,
    Verb.SHUTDOWN: PowerState.HALTED,
    Verb.SUSPEND: PowerState.SUSPENDED,
    Verb.PAUSE: PowerState.PAUSED,
}
_DOING = {
    Verb.START: "starting",
    Verb.RESUME: "resuming",
    Verb.UNPAUSE: "resuming",
    Verb.POWER_OFF: "turning off",
    Verb.SUSPEND: "saving",
    Verb.PAUSE: "pausing",
    Verb.RESET: "resetting",
}
_SHUTDOWN = "Msvm_ShutdownComponent"
_LOCKED = 32781


class PowerVerbs:
    """Power verbs of one host."""

    def __init__(self, reader: Reader, jobs: Jobs, clock: Clock) -> None:
        self._reader = reader
        self._client = reader.client
        self._jobs = jobs
        self._clock = clock

    def state(self, guid: str) -> tuple[PowerState, bool]:
        """(power state now, whether it is changing). Raises ``NotFound``."""
        fact = facts.state_fact(self._reader.system(guid))
        if fact is None:
            raise BadReply("The host's answer about the VM has no state.")
        return model.power_of(fact, None), bool(model.operations_of(fact))

    def change(self, guid: str, verb: Verb, ctx: TaskContext) -> None:
        """Any verb that is a requested state: start, resume, unpause, power off, suspend, pause, reset."""
        power, _changing = self.state(guid)
        if self._reached(verb, power):
            return
        self._check(verb, power)
        self.request(guid, verb, ctx)

    def request(self, guid: str, verb: Verb, ctx: TaskContext) -> None:
        """Ask for the state; the host may refuse."""
        doing = f"{_DOING[verb]} the VM"
        refused = BadPowerState("refused", code=str(INVALID_STATE))
        try:
            self._jobs.run(
                vm_epr(guid),
                "RequestStateChange",
                {"RequestedState": _REQUESTED[verb]},
                ctx,
                doing,
                special={INVALID_STATE: refused},
            )
        except BadPowerState as exc:
            # "Invalid state" is also what the host says when the VM is already there, or on its way.
            power, changing = self.state(guid)
            if self._reached(verb, power) and not changing:
                return
            if changing:
                raise Busy("The VM is busy with something else.", exc.detail, code=exc.code) from exc
            self._check(verb, power)
            raise BadPowerState(whynot.not_offered(verb), exc.detail, code=exc.code) from exc
        except OutcomeUnknown as exc:
            self._look_again(guid, exc)
            raise
        if verb in _RESULT:
            self._settled(guid, _RESULT[verb], ctx)

    def _look_again(self, guid: str, unknown: OutcomeUnknown) -> None:
        """Add how the VM is now to an outcome that is not known."""
        try:
            power, changing = self.state(guid)
        except HvError as exc:
            log.info("a VM could not be looked at again: %s", exc.detail or exc.user_text)
            return
        more = " and changing" if changing else ""
        unknown.user_text = f"{unknown.user_text} The VM is {whynot.STATE_WORDS[power]}{more} now."

    @staticmethod
    def _reached(verb: Verb, power: PowerState) -> bool:
        return verb in _RESULT and _RESULT[verb] is power

    @staticmethod
    def _check(verb: Verb, power: PowerState) -> None:
        legal = model.LEGAL[verb]
        if power not in legal and power is not PowerState.UNKNOWN:
            raise BadPowerState(whynot.wrong_state(verb, power, legal))

    def _settled(self, guid: str, wanted: PowerState, ctx: TaskContext) -> None:
        """Jobs end a moment before the state says so."""
        self._wait(guid, lambda record: _power(record) is wanted, 10.0, ctx)

    # ---- through the guest ---------------------------------------------------------------------------------

    def shutdown(self, guid: str, ctx: TaskContext) -> None:
        """Ask the guest to shut down and wait until it has. ``ToolsMissing``, ``TaskTimeout``."""
        power, _changing = self.state(guid)
        if power is PowerState.HALTED:
            return
        self._check(Verb.SHUTDOWN, power)
        self._ask_guest(guid, "InitiateShutdown", Verb.SHUTDOWN, ctx)
        ctx.progress(None, "Waiting for the guest to shut down")
        done = self._wait(guid, lambda record: _power(record) is PowerState.HALTED, GUEST_SHUTDOWN_S, ctx)
        if not done:
            raise TaskTimeout("The guest was asked to shut down and hasn't done so yet; it may still be at it.")

    def reboot(self, guid: str, ctx: TaskContext) -> None:
        """Ask the guest to restart and wait until it visibly does. ``ToolsMissing``, ``TaskTimeout``."""
        before = self._reader.system(guid)
        self._check(Verb.REBOOT, _power(before))
        marks = _life(before)
        self._ask_guest(guid, "InitiateReboot", Verb.REBOOT, ctx)
        ctx.progress(None, "Waiting for the guest to restart")

        def restarted(record: Record) -> bool:
            return _power(record) is PowerState.RUNNING and _newer(_life(record), marks)

        if not self._wait(guid, restarted, GUEST_REBOOT_S, ctx):
            raise TaskTimeout("The guest was asked to restart; no sign of a restart was seen yet.")

    def _ask_guest(self, guid: str, method: str, verb: Verb, ctx: TaskContext) -> None:
        missing = ToolsMissing(whynot.tools_missing(verb, model.SERVICES))
        component = self._reader.component(_SHUTDOWN, guid)
        if component is None or component.epr is None:
            raise missing
        status = component.numbers("OperationalStatus")
        if status[:1] == [facts.NO_CONTACT]:
            raise missing
        try:
            value, _output = self._client.invoke(
                component.epr, method, {"Force": False, "Reason": "Planned through hvconsole"}, ctx
            )
        except (FaultError, NotFound) as exc:
            # While a guest boots, or on a host older than the method, the call itself fails.
            raise ToolsMissing(whynot.not_offered(verb), exc.detail, code=exc.code) from exc
        locked = Busy(
            "Somebody is logged in to the guest and it is locked; it can't be shut down without force.",
            code=str(_LOCKED),
        )
        refused = {
            INVALID_STATE: ToolsMissing(whynot.not_offered(verb), code=str(INVALID_STATE)),
            32770: missing,
            32780: missing,
            32777: missing,
            1: missing,
            _LOCKED: locked,
        }
        check_return(value, special=refused)

    def _wait(self, guid: str, reached: Callable[[Record], bool], limit_s: float, ctx: TaskContext) -> bool:
        """Look at the VM until ``reached``; False at the limit, or when the user no longer wants to wait."""
        end = self._clock.monotonic() + limit_s
        pause = _POLL_S
        with self._jobs.waking(ctx) as wake:
            while not reached(self._reader.system(guid)):
                if self._clock.monotonic() > end or ctx.cancelled:
                    return False
                self._jobs.pause(wake, pause)
                pause = min(_LONGEST_POLL_S, pause * 1.3)
        return True


def _power(record: Record) -> PowerState:
    fact = facts.state_fact(record)
    return PowerState.UNKNOWN if fact is None else facts.POWER.get(fact.state, PowerState.UNKNOWN)


def _life(record: Record) -> tuple[int | None, str]:
    return record.number("OnTimeInMilliseconds"), record.text("TimeOfLastStateChange")


def _newer(now: tuple[int | None, str], before: tuple[int | None, str]) -> bool:
    """Whether the VM has begun a new life since: its uptime fell, or it changed its state."""
    fell = now[0] is not None and before[0] is not None and now[0] < before[0]
    return fell or (bool(before[1]) and now[1] != before[1])
