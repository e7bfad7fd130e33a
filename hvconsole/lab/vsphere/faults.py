"""Refusals of the world → faults of the vSphere API. Pure."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from hvconsole.lab import errors
from hvconsole.lab.objects import Power
from hvconsole.lab.vsphere.values import Data, Ref, Word, body

STATES = {
    Power.RUNNING: "poweredOn",
    Power.HALTED: "poweredOff",
    Power.SUSPENDED: "suspended",
    Power.PAUSED: "poweredOn",
}


class SoapFault(Exception):
    """What a call is refused with: a fault's class, fields and the server's words."""

    def __init__(self, kind: str, text: str = "", **fields: Any) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text or f"A general error: {kind}"
        self.fields = fields

    def data(self) -> Data:
        """The fault as a data object, with its default fields."""
        return Data(self.kind, **self.fields)

    def localized(self) -> Data:
        """As a task carries it."""
        return Data("LocalizedMethodFault", fault=self.data(), localizedMessage=self.text)

    def envelope(self) -> str:
        """As the body of an HTTP 500."""
        return (
            f"<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{escape(self.text)}</faultstring>"
            f'<detail><{self.kind}Fault xmlns="urn:vim25" xsi:type="{self.kind}">{body(self.data())}'
            f"</{self.kind}Fault></detail></soapenv:Fault>"
        )


def gone(reference: Ref) -> SoapFault:
    """The object is not there."""
    return SoapFault(
        "ManagedObjectNotFound",
        f"The object '{reference.type}:{reference.id}' has already been deleted or has not been completely created",
        obj=reference,
    )


def power_state(requested: str, existing: Power) -> SoapFault:
    """Not in this power state."""
    return SoapFault(
        "InvalidPowerState",
        f"The attempted operation cannot be performed in the current state ({STATES[existing]}).",
        requestedState=Word("VirtualMachinePowerState", requested),
        existingState=Word("VirtualMachinePowerState", STATES[existing]),
    )


def translate(error: Exception) -> SoapFault:
    """What the world refused, in vSphere's words."""
    if isinstance(error, SoapFault):
        return error
    if isinstance(error, errors.BadState):
        expected = STATES[Power(error.expected[0])] if error.expected else "poweredOn"
        return power_state(expected, Power(error.actual))
    if isinstance(error, errors.Injected):
        return SoapFault(error.code, ", ".join(error.params))
    for kind, build in _TABLE:
        if isinstance(error, kind):
            made: SoapFault = build(error)
            return made
    return SoapFault("SystemError", str(error), reason=str(error))


def _busy(error: Any) -> SoapFault:
    task = next(iter(error.operations), None)
    return SoapFault(
        "TaskInProgress",
        "The operation is not allowed because another task is already in progress.",
        task=Ref("Task", task) if task else None,
    )


_TABLE: tuple[tuple[type[Exception], Any], ...] = (
    (
        errors.NotFound,
        lambda e: SoapFault(
            "ManagedObjectNotFound",
            "The object has already been deleted.",
            obj=Ref(
                {"vm": "VirtualMachine", "snapshot": "VirtualMachineSnapshot", "host": "HostSystem"}.get(
                    e.kind, "Datastore"
                ),
                e.object_id,
            ),
        ),
    ),
    (errors.Busy, _busy),
    (
        errors.Blocked,
        lambda e: SoapFault("MethodDisabled", f"The method is disabled: {e.reason}", source="hvconsole.lab"),
    ),
    (errors.IsTemplate, lambda e: SoapFault("InvalidState", "The operation is not allowed on a template.")),
    (
        errors.NoTools,
        lambda e: SoapFault(
            "ToolsUnavailable", "Cannot complete operation because VMware Tools is not running in this virtual machine."
        ),
    ),
    (errors.NoHost, lambda e: SoapFault("NoHost", "No host can run the virtual machine.", name="")),
    (errors.HostDisabled, lambda e: SoapFault("InvalidState", "The host is in maintenance mode.")),
    (errors.HostDown, lambda e: SoapFault("HostNotReachable", "Unable to communicate with the remote host.")),
    (
        errors.NoMemory,
        lambda e: SoapFault(
            "InsufficientMemoryResourcesFault",
            "Insufficient memory resources.",
            unreserved=Word("xsd:long", str(e.available_bytes)),
            requested=Word("xsd:long", str(e.needed_bytes)),
        ),
    ),
    (
        errors.NoSpace,
        lambda e: SoapFault("NoDiskSpace", "Insufficient disk space on datastore.", file="", datastore=e.object_id),
    ),
    (errors.NotReachable, lambda e: SoapFault("CannotAccessVmDisk", "Unable to access the virtual disk.")),
    (errors.InUse, lambda e: SoapFault("ResourceInUse", "The resource is in use.", type="", name=e.user_id)),
    (errors.Invalid, lambda e: SoapFault("InvalidArgument", str(e), invalidProperty="")),
    (errors.Cancelled, lambda e: SoapFault("RequestCanceled", "The task was canceled by a user.")),
)
