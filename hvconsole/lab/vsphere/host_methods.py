"""Methods of hosts. Any thread; the work runs in tasks of the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvconsole.lab import hosts, power
from hvconsole.lab.objects import Host
from hvconsole.lab.tasks import Task
from hvconsole.lab.vsphere.faults import SoapFault
from hvconsole.lab.vsphere.soap import Call
from hvconsole.lab.vsphere.state import Session

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service

_LONGEST_WAIT_S = 3600.0


def _host(service: Service, call: Call) -> Host:
    service.require(call.this, "HostSystem")
    return service.world.host(call.this.id)


def _enter(service: Service, call: Call, session: Session) -> str:
    """Waits until no VM runs there any more, as servers without DRS do, then enters."""
    host = _host(service, call)
    if host.maintenance:
        raise SoapFault("InvalidState", "The host is in maintenance mode already.")
    timeout = float(call.text("timeout", "0") or 0) or _LONGEST_WAIT_S
    world = service.world

    def work(task: Task) -> None:
        hosts.set_enabled(world, host.id, enabled=False)
        try:
            for vm in world.vms_on(host.id):
                if "managed_by" in vm.extra:
                    power.power_off(world, vm.id)  # the agent manager takes its own away
            waited = 0.0
            while world.vms_on(host.id):
                world.work(task, 0.05)
                waited += 0.05
                if waited > timeout:
                    raise SoapFault("Timedout", "The operation timed out.")
        except BaseException:
            hosts.set_enabled(world, host.id, enabled=True)
            raise
        hosts.enter_maintenance(world, host.id, task=task)

    return service.task(call, host.id, work)


def _exit(service: Service, call: Call, session: Session) -> str:
    host = _host(service, call)
    if not host.maintenance:
        raise SoapFault("InvalidState", "The host is not in maintenance mode.")
    return service.task(call, host.id, lambda task: hosts.leave_maintenance(service.world, host.id))


def _down(*, reboot: bool) -> Method:
    def method(service: Service, call: Call, session: Session) -> str:
        host = _host(service, call)
        world = service.world
        if not call.flag("force") and not host.maintenance:
            raise SoapFault("InvalidState", "The host is not in maintenance mode.")

        def work(task: Task) -> None:
            for vm in world.vms_on(host.id):
                power.power_off(world, vm.id)
            if reboot:
                hosts.reboot(world, host.id, task=task)
            else:
                hosts.shutdown(world, host.id, task=task)

        return service.task(call, host.id, work)

    return method


HOST_METHODS: dict[str, Method] = {
    "EnterMaintenanceMode_Task": _enter,
    "ExitMaintenanceMode_Task": _exit,
    "RebootHost_Task": _down(reboot=True),
    "ShutdownHost_Task": _down(reboot=False),
}
