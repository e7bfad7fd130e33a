"""XenAPI failures: a code and parameters, and how refusals of the world become such. Pure; any thread."""

from __future__ import annotations

from collections.abc import Callable

from hvconsole.lab import errors


class Failure(Exception):
    """A call fails with ``ErrorDescription`` = [code, param…]."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = tuple(params)

    @property
    def description(self) -> list[str]:
        """The list as it goes over the wire."""
        return [self.code, *self.params]


def from_world(error: errors.WorldError, ref_of: Callable[[str], str]) -> Failure:
    """The failure a real pool would report; ``ref_of`` gives the reference of a world id."""
    ref = ref_of(error.object_id)
    match error:
        case errors.Injected():
            return Failure(error.code, *error.params)
        case errors.NotFound():
            return Failure("HANDLE_INVALID", "VM" if error.kind in ("vm", "snapshot") else error.kind, ref)
        case errors.BadState():
            return Failure("VM_BAD_POWER_STATE", ref, ", ".join(error.expected), error.actual)
        case errors.Busy():
            words = list(error.operations.values())
            tasks = [ref_of(task) for task in error.operations]
            return Failure("OTHER_OPERATION_IN_PROGRESS", "VM", ref, braces(words), braces(tasks))
        case errors.Blocked():
            return Failure("OPERATION_BLOCKED", ref, error.reason)
        case errors.IsTemplate():
            return Failure("VM_IS_TEMPLATE", ref)
        case errors.IsControlDomain():
            return Failure("OPERATION_NOT_ALLOWED", "This operation is not allowed on a control domain")
        case errors.NoTools():
            return Failure("VM_LACKS_FEATURE", ref)
        case errors.GuestIgnored():
            return Failure("VM_SHUTDOWN_TIMEOUT", ref, "1200.")
        case errors.NoHost():
            return Failure("NO_HOSTS_AVAILABLE")
        case errors.HostDown():
            return Failure("HOST_OFFLINE", ref)
        case errors.HostDisabled():
            return Failure("HOST_DISABLED", ref)
        case errors.NoMemory():
            return Failure("HOST_NOT_ENOUGH_FREE_MEMORY", str(error.needed_bytes), str(error.available_bytes))
        case errors.NoSpace():
            return Failure("SR_FULL", str(error.needed_bytes), str(error.available_bytes))
        case errors.NotReachable():
            return Failure("VM_REQUIRES_SR", ref, ref_of(error.storage_id))
        case errors.InUse():
            return Failure("HOST_IN_USE", ref, "vm", ref_of(error.user_id))
        case errors.Cancelled():
            return Failure("TASK_CANCELLED", ref)
        case _:
            return Failure("INTERNAL_ERROR", str(error))


def braces(words: list[str]) -> str:
    """One word bare, several as "{a,b}"."""
    return words[0] if len(words) == 1 else "{" + ",".join(words) + "}"
