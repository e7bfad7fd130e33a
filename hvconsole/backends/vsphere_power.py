"""Power verbs: hard ones are tasks of the server, soft ones ask the guest through its tools. Verb threads."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from hvconsole import whynot
from hvconsole.backends.base import TaskContext
from hvconsole.backends.vsphere_api import vim
from hvconsole.backends.vsphere_model import tools_state
from hvconsole.backends.vsphere_records import Reader, Record, flag, moment, word
from hvconsole.backends.vsphere_refusals import LEGAL, TOOLS_NAME
from hvconsole.backends.vsphere_session import Session
from hvconsole.backends.vsphere_tasks import read_records, run_task, wait_for_guest
from hvconsole.errors import BadPowerState, NotFound, Refused, TaskTimeout, ToolsMissing
from hvconsole.model import ObjectId, PowerState, ToolsState, Verb

REACTION_S = 20.0
"""How long a sign of a guest's reboot or standby is waited for; the server has no word for its end."""

STATE: dict[str, dict[str, Reader]] = {
    "VirtualMachine": {
        "runtime.powerState": word,
        "runtime.bootTime": moment,
        "runtime.host": word,
        "config.template": flag,
        "guest.toolsRunningStatus": word,
        "guest.toolsVersionStatus2": word,
    }
}
_POWER = {"poweredOn": PowerState.RUNNING, "poweredOff": PowerState.HALTED, "suspended": PowerState.SUSPENDED}


@dataclass(frozen=True, slots=True)
class VmState:
    """What a verb must know about a VM, asked afresh."""

    power: PowerState
    tools: ToolsState
    template: bool
    host_id: str
    booted: dt.datetime | None


def vm_state(session: Session, vm_id: ObjectId) -> VmState:
    """Ask the server. Raises ``NotFound`` when the VM is gone."""
    records = read_records(session, [("VirtualMachine", vm_id)], STATE)
    if not records:
        raise NotFound("It no longer exists on the server.")
    return state_of(records[0])


def state_of(record: Record) -> VmState:
    """The state out of a record that has the properties of ``STATE``."""
    return VmState(
        power=_POWER.get(record.get("runtime.powerState", ""), PowerState.UNKNOWN),
        tools=tools_state(record),
        template=bool(record.get("config.template", False)),
        host_id=record.get("runtime.host", ""),
        booted=record.get("runtime.bootTime"),
    )


def machine(session: Session, vm_id: ObjectId) -> Any:
    """The VM as pyVmomi's object."""
    return session.object(vim.VirtualMachine, vm_id)


def require(state: VmState, verb: Verb) -> None:
    """Raise why ``verb`` can't be done in this state: template, power, tools."""
    if state.template:
        raise Refused(whynot.kind(verb, "a template"), code="template")
    if state.power not in LEGAL[verb]:
        raise BadPowerState(whynot.wrong_state(verb, state.power, LEGAL[verb]), code="power-state")


def _require_tools(state: VmState, verb: Verb) -> None:
    require(state, verb)
    if state.tools is not ToolsState.RUNNING:
        raise ToolsMissing(whynot.tools_missing(verb, TOOLS_NAME), code="tools")


def start(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Power on a VM that is off (the server would also resume a suspended one)."""
    require(vm_state(session, vm_id), Verb.START)
    run_task(session, ctx, machine(session, vm_id).PowerOnVM_Task)


def resume(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Continue a suspended VM."""
    require(vm_state(session, vm_id), Verb.RESUME)
    run_task(session, ctx, machine(session, vm_id).PowerOnVM_Task)


def power_off(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Pull the plug."""
    require(vm_state(session, vm_id), Verb.POWER_OFF)
    run_task(session, ctx, machine(session, vm_id).PowerOffVM_Task)


def reset(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Press the reset button."""
    require(vm_state(session, vm_id), Verb.RESET)
    run_task(session, ctx, machine(session, vm_id).ResetVM_Task)


def suspend(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Save memory to disk and stop."""
    require(vm_state(session, vm_id), Verb.SUSPEND)
    run_task(session, ctx, machine(session, vm_id).SuspendVM_Task)


def shutdown(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Ask the guest to shut down and wait until it is off."""
    _require_tools(vm_state(session, vm_id), Verb.SHUTDOWN)
    ctx.raise_if_cancelled()
    session.write(machine(session, vm_id).ShutdownGuest)
    done = wait_for_guest(
        ctx, lambda: vm_state(session, vm_id).power is PowerState.HALTED, "The guest is shutting down"
    )
    if not done:
        raise TaskTimeout("The guest was asked to shut down but is still running after five minutes.")


def reboot(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Ask the guest to restart; done once it shows that it does, or the server took the request without a sign."""
    before = vm_state(session, vm_id)
    _require_tools(before, Verb.REBOOT)
    ctx.raise_if_cancelled()
    session.write(machine(session, vm_id).RebootGuest)

    def restarting() -> bool:
        now = vm_state(session, vm_id)
        return now.tools is not ToolsState.RUNNING or now.booted != before.booted or now.power != before.power

    wait_for_guest(ctx, restarting, "The guest is restarting", REACTION_S)


def standby(session: Session, vm_id: ObjectId, ctx: TaskContext) -> None:
    """Ask the guest to go to standby; most servers then show the VM as suspended."""
    _require_tools(vm_state(session, vm_id), Verb.STANDBY)
    ctx.raise_if_cancelled()
    session.write(machine(session, vm_id).StandbyGuest)

    def asleep() -> bool:
        now = vm_state(session, vm_id)
        return now.power is not PowerState.RUNNING or now.tools is not ToolsState.RUNNING

    wait_for_guest(ctx, asleep, "The guest goes to standby", REACTION_S)
