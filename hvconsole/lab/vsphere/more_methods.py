"""What tools ask of VMs and hosts beside their lives: upgrades, screens, keys, connections, networks. Any thread."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from hvconsole.lab.objects import Power
from hvconsole.lab.tasks import Task
from hvconsole.lab.vsphere import host_properties
from hvconsole.lab.vsphere.faults import SoapFault, power_state
from hvconsole.lab.vsphere.soap import NS, Call, text
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.vsphere.values import Data, array, field
from hvconsole.lab.vsphere.vm_properties import vm_file

if TYPE_CHECKING:
    from hvconsole.lab.vsphere.service import Method, Service


def _vm_task(*powers: Power) -> Method:
    """A task on a VM that changes nothing that the lab keeps. ``powers``: in which states it is allowed; empty: any."""

    def method(service: Service, call: Call, session: Session) -> str:
        vm = service.world.vm(service.require(call.this, "VirtualMachine"))

        def work(task: Task) -> None:
            if powers and vm.power not in powers:
                raise power_state("poweredOn" if Power.RUNNING in powers else "poweredOff", vm.power)

        return service.task(call, vm.id, work)

    return method


def _screenshot(service: Service, call: Call, session: Session) -> str:
    vm = service.world.vm(service.require(call.this, "VirtualMachine"))

    def work(task: Task) -> None:
        with service.world.lock:
            if vm.power is not Power.RUNNING:
                raise power_state("poweredOn", vm.power)
            task.extra["answer"] = vm_file(service.tree, vm).removesuffix(".vmx") + f"-{secrets.randbelow(1000)}.png"

    return service.task(call, vm.id, work)


def _running_vm(service: Service, call: Call, session: Session) -> str:
    vm = service.world.vm(service.require(call.this, "VirtualMachine"))
    if vm.power is not Power.RUNNING:
        raise power_state("poweredOn", vm.power)
    return ""


def _type(service: Service, call: Call, session: Session) -> str:
    _running_vm(service, call, session)
    spec = call.find("spec")
    return field("returnval", 0 if spec is None else len(spec.findall(NS + "keyEvents")))


def _connection(*, connected: bool) -> Method:
    def method(service: Service, call: Call, session: Session) -> str:
        host = service.world.hosts[service.require(call.this, "HostSystem")]
        if not service.tree.vcenter:
            raise SoapFault("NotSupported", "The operation is not supported on the object.")

        def work(task: Task) -> None:
            with service.world.lock:
                host.extra["disconnected"] = not connected
                service.world.changed(host)

        return service.task(call, host.id, work)

    return method


def _net_config(service: Service, call: Call, session: Session) -> str:
    """The host's own cards, all of which serve every purpose."""
    host = service.world.hosts.get(call.this.id.partition("-")[2])
    if host is None:
        raise SoapFault("ManagedObjectNotFound", "The object is not there.", obj=call.this)
    with service.world.lock:
        cards = host_properties.host_network(service.tree, host).get("vnic")
    return field(
        "returnval",
        Data(
            "VirtualNicManagerNetConfig",
            nicType=call.text("nicType"),
            multiSelectAllowed=True,
            candidateVnic=cards,
            selectedVnic=array("string", (card.get("key") for card in cards.items))
            if call.text("nicType") in ("management", "vmotion")
            else None,
        ),
    )


def _service_ticket(service: Service, call: Call, session: Session) -> str:
    return field("returnval", Data("SessionManagerGenericServiceTicket", id=secrets.token_hex(20)))


def _reconfigure_compute(service: Service, call: Call, session: Session) -> str:
    return service.task(call, service.require(call.this, "ComputeResource"), lambda task: None)


def _counters(service: Service, call: Call, session: Session) -> str:
    """QueryPerfCounter (some, by number) and QueryPerfCounterByLevel (all: they are of level 1)."""
    wanted = {one.text for one in call.all("counterId")}
    with service.world.lock:
        known = service.managers.counters()
    return field(
        "returnval", array("PerfCounterInfo", (one for one in known if not wanted or str(one.fields["key"]) in wanted))
    )


def _no_customization(service: Service, call: Call, session: Session) -> str:
    return field("returnval", False)


def _no_such_customization(service: Service, call: Call, session: Session) -> str:
    raise SoapFault("NotFound", f"The specification {text(call.element, 'name')} is not there.")


MORE_METHODS: dict[str, Method] = {
    "UpgradeVM_Task": _vm_task(Power.HALTED),
    "UpgradeTools_Task": _vm_task(Power.RUNNING),
    "ConsolidateVMDisks_Task": _vm_task(),
    "CreateScreenshot_Task": _screenshot,
    "PutUsbScanCodes": _type,
    "MountToolsInstaller": _running_vm,
    "UnmountToolsInstaller": _running_vm,
    "ResetGuestInformation": _running_vm,
    "DisconnectHost_Task": _connection(connected=False),
    "ReconnectHost_Task": _connection(connected=True),
    "QueryNetConfig": _net_config,
    "AcquireGenericServiceTicket": _service_ticket,
    "ReconfigureComputeResource_Task": _reconfigure_compute,
    "ReconfigureCluster_Task": _reconfigure_compute,
    "QueryPerfCounter": _counters,
    "QueryPerfCounterByLevel": _counters,
    "DoesCustomizationSpecExist": _no_customization,
    "GetCustomizationSpec": _no_such_customization,
}
