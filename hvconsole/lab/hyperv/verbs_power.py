"""Power methods: RequestStateChange of VMs and jobs, guest shutdown and reboot through the integration component."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hvconsole.lab import errors, power
from hvconsole.lab.hyperv import naming
from hvconsole.lab.hyperv.jobs import error_of
from hvconsole.lab.hyperv.methods import (
    INVALID_STATE,
    NOT_READY,
    UNSUPPORTED,
    Call,
    Method,
    NoSuchInstance,
    Output,
    ReturnValue,
)
from hvconsole.lab.objects import Power, Vm
from hvconsole.lab.tasks import Task
from hvconsole.lab.world import World

log = logging.getLogger(__name__)

_ON = {
    Power.HALTED: ("start", power.start),
    Power.SUSPENDED: ("resume", power.resume),
    Power.PAUSED: ("unpause", power.unpause),
}
_STATES: dict[int, tuple[str, Callable[..., None]]] = {
    3: ("power_off", power.power_off),
    4: ("shutdown", power.shutdown),
    6: ("suspend", power.suspend),
    9: ("pause", power.pause),
    10: ("reset", power.reset),
    11: ("reset", power.reset),
    32769: ("suspend", power.suspend),
    32768: ("pause", power.pause),
}
_JOB_TYPES = {
    "start": 1,
    "power_off": 2,
    "shutdown": 16,
    "suspend": 4,
    "resume": 1,
    "pause": 3,
    "unpause": 1,
    "reset": 5,
}


def request_state_change(call: Call) -> Output:
    """Msvm_ComputerSystem.RequestStateChange."""
    wanted = call.parameters.number("RequestedState")
    world = call.picture.world
    if str(call.target.get("Name")).upper() == call.picture.server:
        raise ReturnValue(UNSUPPORTED)
    with world.lock:
        vm = call.vm_named(str(call.target.get("Name")))
        if wanted == 2:
            if vm.power not in _ON:
                raise ReturnValue(INVALID_STATE)
            name, verb = _ON[vm.power]
        elif wanted in _STATES:
            name, verb = _STATES[wanted]
        else:
            raise ReturnValue(32773)
        power.check(world, vm, name)
        if name == "start" and vm.extra.get("planned"):
            raise ReturnValue(INVALID_STATE)

    def work(task: Task) -> None:
        verb(world, vm.id, task=task)

    return call.job(name, work, vm.id, naming.system_ref(naming.guid(vm.id)), job_type=_JOB_TYPES[name])


def _component_vm(call: Call) -> Vm:
    vm = call.vm_named(str(call.target.get("SystemName")))
    if vm.power is not Power.RUNNING:
        raise NoSuchInstance(vm.id)
    if not vm.guest.tools_running:
        raise ReturnValue(NOT_READY)
    return vm


def _in_background(world: World, vm: Vm, name: str, verb: Callable[..., None]) -> None:
    def work(task: Task) -> None:
        try:
            verb(world, vm.id, task=task)
        except errors.WorldError as exc:
            log.debug("a guest did not %s: %s", name, error_of(exc))

    world.spawn(vm.site_id, name, work, task=world.new_task(vm.site_id, name, vm.id, recorded=False))


def initiate_shutdown(call: Call) -> Output:
    """Msvm_ShutdownComponent.InitiateShutdown: 0 means that the guest was asked, no more."""
    world = call.picture.world
    with world.lock:
        vm = _component_vm(call)
        power.check(world, vm, "shutdown")
    _in_background(world, vm, "shutdown", power.shutdown)
    return {}


def initiate_reboot(call: Call) -> Output:
    """Msvm_ShutdownComponent.InitiateReboot: Windows 10 / Server 2016 and newer."""
    world = call.picture.world
    if call.picture.site.extra.get("old"):
        raise ReturnValue(UNSUPPORTED)
    with world.lock:
        vm = _component_vm(call)
        power.check(world, vm, "reboot")
    _in_background(world, vm, "reboot", power.reboot)
    return {}


def job_state_change(call: Call) -> Output:
    """CIM_ConcreteJob.RequestStateChange: 4 terminate, 5 kill. Its return values differ from those of VMs."""
    job = call.picture.jobs.find(str(call.target.get("InstanceID")))
    if job is None:
        raise NoSuchInstance("job")
    if call.parameters.number("RequestedState") not in (4, 5):
        raise ReturnValue(5)
    if not job.task.cancellable or job.task.done.is_set():
        raise ReturnValue(32775)
    call.picture.world.cancel(job.task)
    return {}


def get_error_ex(call: Call) -> Output:
    """CIM_ConcreteJob.GetErrorEx."""
    job = call.picture.jobs.find(str(call.target.get("InstanceID")))
    if job is None:
        raise NoSuchInstance("job")
    return {"Errors": call.picture.jobs.errors(job)}


METHODS = {
    "Msvm_ComputerSystem": {
        "RequestStateChange": Method(request_state_change, ("RequestedState", "TimeoutPeriod"), ("Job",))
    },
    "Msvm_ShutdownComponent": {
        "InitiateShutdown": Method(initiate_shutdown, ("Force", "Reason")),
        "InitiateReboot": Method(initiate_reboot, ("Force", "Reason")),
    },
    "CIM_ConcreteJob": {
        "RequestStateChange": Method(job_state_change, ("RequestedState", "TimeoutPeriod")),
        "GetErrorEx": Method(get_error_ex, (), ("Errors",)),
        "GetError": Method(get_error_ex, (), ("Errors",)),
    },
}
