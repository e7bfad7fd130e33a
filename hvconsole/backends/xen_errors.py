"""XenAPI error codes → our errors, by code, with one sentence each. Pure; any thread.

Codes and their parameters are those of xapi's datamodel; codes that only old or only new servers know are welcome.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hvconsole import errors
from hvconsole.errors import HvError
from hvconsole.text import format_bytes, safe_text

_OPERATION: dict[str, tuple[type[errors.OperationError], str]] = {
    # power state, concurrency
    "VM_BAD_POWER_STATE": (errors.BadPowerState, "The VM is {2} now; that needs it to be {1}."),
    "OTHER_OPERATION_IN_PROGRESS": (errors.Busy, "Another operation is in progress on it. Try again when it is done."),
    "TOO_MANY_PENDING_TASKS": (errors.Busy, "The server has too many tasks waiting. Try again later."),
    "TOO_BUSY": (errors.Busy, "The server is too busy. Try again later."),
    "VDI_IN_USE": (errors.Busy, "A disk of it is in use by something else."),
    "TOO_MANY_STORAGE_MIGRATES": (errors.Busy, "Too many disks are being moved. Try again later."),
    "APPLY_UPDATES_IN_PROGRESS": (errors.Busy, "The host is installing updates."),
    "HOST_EVACUATE_IN_PROGRESS": (errors.Busy, "The host is being evacuated."),
    "OTHER_OPERATION_IN_PROGRESS_ON_HOST": (errors.Busy, "Another operation is in progress on the host."),
    # gone
    "HANDLE_INVALID": (errors.NotFound, "It doesn't exist any more."),
    "UUID_INVALID": (errors.NotFound, "It doesn't exist any more."),
    "OBJECT_NOLONGER_EXISTS": (errors.NotFound, "It doesn't exist any more."),
    "VDI_MISSING": (errors.NotFound, "A disk of it is missing on its storage."),
    "SUSPEND_IMAGE_NOT_ACCESSIBLE": (errors.NotFound, "The memory of the suspended VM can't be reached."),
    "VM_HAS_NO_SUSPEND_VDI": (errors.NotFound, "The memory of the suspended VM is missing."),
    "VDI_NOT_AVAILABLE": (errors.NotFound, "A disk of it can't be found on its storage."),
    # room
    "SR_FULL": (errors.NoSpace, "The storage is full."),
    "SR_BACKEND_FAILURE_44": (errors.NoSpace, "The storage is full."),
    "SR_BACKEND_FAILURE_109": (
        errors.NoSpace,
        "A disk's chain of snapshots is as long as its storage allows: delete snapshots of the VM and give the storage "
        "time to merge them.",
    ),
    "HOST_NOT_ENOUGH_FREE_MEMORY": (errors.NoSpace, "The host has too little free memory: {0:b} needed, {1:b} free."),
    "OUT_OF_SPACE": (errors.NoSpace, "The host has no space left for that."),
    "PROVISION_FAILED_OUT_OF_SPACE": (errors.NoSpace, "The storage has no space left for the VM's disks."),
    "SR_SUSPEND_SPACE_INSUFFICIENT": (errors.NoSpace, "The storage has no space left to suspend the VM to."),
    "SR_SOURCE_SPACE_INSUFFICIENT": (errors.NoSpace, "The storage has no space left for the temporary copy."),
    "VM_NO_SUSPEND_SR": (errors.NoSpace, "There is no storage to suspend the VM to; set one for the pool or host."),
    "DEFAULT_SR_NOT_FOUND": (errors.InvalidInput, "The pool has no default storage; choose one."),
    # hosts
    "NO_HOSTS_AVAILABLE": (errors.HostUnavailable, "No host can run this VM now."),
    "HOST_DISABLED": (errors.HostUnavailable, "The host is disabled (in maintenance)."),
    "HOST_OFFLINE": (errors.HostUnavailable, "The host is offline."),
    "HOST_NOT_LIVE": (errors.HostUnavailable, "The host doesn't answer the pool."),
    "CANNOT_CONTACT_HOST": (errors.HostUnavailable, "The pool can't reach the host."),
    "VM_INCOMPATIBLE_WITH_THIS_HOST": (errors.HostUnavailable, "The VM can't run on that host."),
    "VM_REQUIRES_SR": (errors.HostUnavailable, "The host has no access to a storage that the VM's disks are on."),
    "VM_REQUIRES_NETWORK": (errors.HostUnavailable, "The host has no access to a network that the VM uses."),
    "HOST_CANNOT_ATTACH_NETWORK": (errors.HostUnavailable, "The host has no access to a network that the VM uses."),
    "HOST_CANNOT_SEE_SR": (errors.HostUnavailable, "The host has no access to a storage that is needed."),
    "SR_NOT_ATTACHED": (errors.HostUnavailable, "The host is not connected to a storage that is needed."),
    "SR_HAS_NO_PBDS": (errors.HostUnavailable, "No host is connected to the storage."),
    "HOST_NOT_ENOUGH_PCPUS": (errors.HostUnavailable, "The host has fewer CPUs than the VM: {1} against {0}."),
    "HOST_DISABLED_UNTIL_REBOOT": (errors.HostUnavailable, "The host takes no VMs until it is restarted."),
    "HOST_DISABLED_INDEFINITELY": (errors.HostUnavailable, "The host is disabled until somebody enables it again."),
    "VM_HOST_INCOMPATIBLE_VERSION": (errors.HostUnavailable, "The host is still of an older version."),
    "VM_HOST_INCOMPATIBLE_VERSION_MIGRATE": (errors.HostUnavailable, "VMs can't move to a host of an older version."),
    "VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION": (
        errors.HostUnavailable,
        "The host is too old for the VM's virtual hardware.",
    ),
    "VGPU_DESTINATION_INCOMPATIBLE": (errors.HostUnavailable, "The VM's graphics card can't move to that host."),
    "VM_REQUIRES_GPU": (errors.HostUnavailable, "The host has no graphics card that the VM needs."),
    "HOST_NOT_DISABLED": (errors.Refused, "The host must be in maintenance first."),
    "HOST_IN_USE": (errors.Refused, "VMs still run on the host."),
    "CANNOT_EVACUATE_HOST": (errors.Refused, "Not every VM can be moved away from the host."),
    "HOST_IN_EMERGENCY_MODE": (errors.HostUnavailable, "The host is in emergency mode."),
    # rights
    "PERMISSION_DENIED": (errors.PermissionDenied, "This user may not do that."),
    "RBAC_PERMISSION_DENIED": (errors.PermissionDenied, "This user's role doesn't allow that."),
    "USER_IS_NOT_LOCAL_SUPERUSER": (errors.PermissionDenied, "Only root may do that."),
    "CHANGE_PASSWORD_REJECTED": (errors.Refused, "The server rejected the new password."),
    "LICENCE_RESTRICTION": (errors.Refused, "The server's licence doesn't include that."),
    "LICENSE_RESTRICTION": (errors.Refused, "The server's licence doesn't include that."),
    "FEATURE_RESTRICTED": (errors.Refused, "The server's licence doesn't include that."),
    "LICENSE_EXPIRED": (errors.Refused, "The server's licence has expired."),
    # not offered
    "MESSAGE_METHOD_UNKNOWN": (errors.NotSupported, "This version of the server doesn't know that."),
    "MESSAGE_REMOVED": (errors.NotSupported, "This version of the server doesn't offer that any more."),
    "MESSAGE_DEPRECATED": (errors.NotSupported, "This version of the server doesn't offer that any more."),
    "MESSAGE_PARAMETER_COUNT_MISMATCH": (errors.NotSupported, "This version of the server expects something else."),
    "NOT_IMPLEMENTED": (errors.NotSupported, "The server doesn't offer that."),
    "NOT_SUPPORTED_DURING_UPGRADE": (errors.NotSupported, "Not possible while the pool is being upgraded."),
    "VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED": (errors.NotSupported, "This VM can't be quiesced for a snapshot."),
    # guests
    "VM_MISSING_PV_DRIVERS": (errors.ToolsMissing, "No XenServer VM Tools in this guest, so it can't be asked."),
    "VM_OLD_PV_DRIVERS": (errors.ToolsMissing, "The XenServer VM Tools in this guest are too old."),
    "VM_LACKS_FEATURE": (errors.ToolsMissing, "The guest can't be asked: no working XenServer VM Tools in it."),
    "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT": (errors.ToolsMissing, "The guest didn't react to the request."),
    "VM_FAILED_SUSPEND_ACKNOWLEDGMENT": (errors.ToolsMissing, "The guest didn't react to the request."),
    "VM_NON_SUSPENDABLE": (errors.Refused, "This VM can't be suspended."),
    "VM_SHUTDOWN_TIMEOUT": (errors.Refused, "The guest didn't shut down in time."),
    "VM_SUSPEND_TIMEOUT": (errors.Refused, "The guest didn't suspend in time."),
    # input
    "VALUE_NOT_SUPPORTED": (errors.InvalidInput, "The server doesn't accept this value for {0}."),
    "INVALID_VALUE": (errors.InvalidInput, "The server doesn't accept this value for {0}."),
    "FIELD_TYPE_ERROR": (errors.InvalidInput, "The server doesn't accept this kind of value for {0}."),
    "MAP_DUPLICATE_KEY": (errors.InvalidInput, "The server has that entry already."),
    "MEMORY_CONSTRAINT_VIOLATION": (errors.InvalidInput, "The server doesn't accept this amount of memory."),
    "VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE": (
        errors.InvalidInput,
        "The number of vCPUs doesn't fit the VM's cores per socket: {0} is no multiple of {1}.",
    ),
    "VM_MEMORY_SIZE_TOO_LOW": (errors.InvalidInput, "The VM has too little memory to start."),
    "VM_TOO_MANY_VCPUS": (errors.InvalidInput, "The VM has too many vCPUs."),
    "DUPLICATE_VM": (errors.InvalidInput, "The pool has that VM already."),
    "IMPORT_ERROR": (errors.InvalidInput, "The server can't read this file as an exported VM."),
    # kinds and rules
    "OPERATION_BLOCKED": (errors.Refused, "An administrator has blocked this operation on it."),
    "OPERATION_NOT_ALLOWED": (errors.Refused, "The server doesn't allow that."),
    "VM_IS_TEMPLATE": (errors.Refused, "This is a template; that isn't possible with it."),
    "VM_IS_SNAPSHOT": (errors.Refused, "This is a snapshot; that isn't possible with it."),
    "VM_IS_PROTECTED": (errors.Refused, "The VM is protected by high availability."),
    "VM_IS_IMMOBILE": (errors.Refused, "This VM can't be moved."),
    "VM_CANNOT_DELETE_DEFAULT_TEMPLATE": (errors.Refused, "Built-in templates can't be deleted."),
    "PROVISION_ONLY_ALLOWED_ON_TEMPLATE": (errors.Refused, "That is only possible with a template."),
    "REVERT_ONLY_ALLOWED_ON_SNAPSHOT": (errors.Refused, "That is only possible with a snapshot."),
    "VM_HAS_PCI_ATTACHED": (errors.Refused, "Not possible while a PCI device is passed through to the VM."),
    "VM_HAS_VGPU": (errors.Refused, "Not possible while the VM has a virtual graphics card."),
    "VM_HAS_VUSBS": (errors.Refused, "Not possible while the VM has a USB device."),
    "VM_HAS_SRIOV_VIF": (errors.Refused, "Not possible while the VM has an SR-IOV network card."),
    "VM_IS_USING_NESTED_VIRT": (errors.Refused, "Not possible while the VM runs VMs itself."),
    "VM_IS_PART_OF_AN_APPLIANCE": (errors.Refused, "The VM is part of an appliance (vApp), which has to be asked."),
    "VM_HAS_CHECKPOINT": (errors.Refused, "A VM that has a snapshot with memory can't move to another storage."),
    "VGPU_SUSPENSION_NOT_SUPPORTED": (errors.Refused, "The VM's virtual graphics card doesn't allow that."),
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": (
        errors.Refused,
        "Not possible with a disk that is reset at each start.",
    ),
    "VM_CHECKPOINT_SUSPEND_FAILED": (errors.Refused, "The snapshot failed: the VM's memory couldn't be saved."),
    "VM_CHECKPOINT_RESUME_FAILED": (errors.Refused, "The VM couldn't go on after its snapshot was taken."),
    "VM_CRASHED": (errors.Refused, "The VM crashed meanwhile."),
    "VM_REBOOTED": (errors.Refused, "The VM restarted meanwhile."),
    "VM_HALTED": (errors.Refused, "The VM shut down meanwhile."),
    "VM_HAS_TOO_MANY_SNAPSHOTS": (errors.Refused, "The VM has too many snapshots."),
    "VM_REVERT_FAILED": (errors.Refused, "The VM couldn't be reverted."),
    "BOOTLOADER_FAILED": (errors.Refused, "The VM's boot loader failed."),
    "INTERNAL_ERROR": (errors.Refused, "The server reports an internal error."),
    "XENAPI_PLUGIN_FAILURE": (errors.Refused, "A plug-in of the server failed."),
}

_PREFIXES: tuple[tuple[str, type[errors.OperationError], str], ...] = (
    ("VM_LACKS_FEATURE", errors.ToolsMissing, "The guest can't be asked: no working XenServer VM Tools in it."),
    ("VM_SNAPSHOT_WITH_QUIESCE", errors.Refused, "The guest couldn't be quiesced for the snapshot."),
    ("XEN_VSS_REQ_ERROR", errors.Refused, "The guest couldn't be quiesced for the snapshot."),
    ("HA_", errors.Refused, "The pool's high availability doesn't allow that now."),
    ("SR_BACKEND_FAILURE", errors.Refused, "The storage reports an error."),
    ("IMPORT_ERROR", errors.InvalidInput, "The server can't read this file as an exported VM."),
    ("VM_REQUIRES", errors.HostUnavailable, "No host has everything that this VM needs."),
    ("LICENCE", errors.Refused, "The server's licence doesn't include that."),
)

EMERGENCY_CODES = frozenset(
    {
        "HOST_HAS_NO_MANAGEMENT_IP",
        "HOST_ITS_OWN_SLAVE",
        "HOST_UNKNOWN_TO_MASTER",
        "HOST_MASTER_CANNOT_TALK_BACK",
        "HOST_IN_EMERGENCY_MODE",
        "HOST_BROKEN",
    }
)
"""What a host that lost its master answers to a normal login."""


class StillBooting(errors.Unreachable):
    """What a host says while its toolstack starts, and also as long as it waits for a master that is dead."""


_HOST = re.compile(r"[0-9A-Za-z._:%-]{1,253}")


def code_of(details: object) -> str:
    """The error code in ``XenAPI.Failure.details``, or an empty string."""
    if isinstance(details, Sequence) and not isinstance(details, str) and details and isinstance(details[0], str):
        return details[0]
    return ""


def is_expired(details: object) -> bool:
    """Whether the failure says that the session is no longer known: refused before anything was done."""
    code = code_of(details)
    if code == "SESSION_INVALID":
        return True
    # some simulators say it this way
    return code == "HANDLE_INVALID" and isinstance(details, Sequence) and list(details[1:2]) == ["session"]


def translate_failure(details: object) -> HvError:
    """The error for a failure's description, as the server sent it (hostile: any shape)."""
    code = code_of(details)
    if not code or not isinstance(details, Sequence):
        return errors.BadReply("The server reported an error in a form that can't be read.", repr(details)[:200])
    params = [item if isinstance(item, str) else repr(item)[:200] for item in details[1:8]]
    words = ": ".join(part for part in (code[:100], ", ".join(text[:400] for text in params)) if part)
    special = _connection_error(code, params, words)
    if special is not None:
        return special
    known = _OPERATION.get(code)
    if known is None:
        known = next(((kind, text) for prefix, kind, text in _PREFIXES if code.startswith(prefix)), None)
    if known is None:
        shown = safe_text(code.replace("_", " ").lower(), 80)
        return errors.Refused(f"The server refused: {shown}.", words, code=code)
    kind, text = known
    return kind(_sentence(text, params), words, code=code)


def _connection_error(code: str, params: list[str], words: str) -> HvError | None:
    if code in ("SESSION_AUTHENTICATION_FAILED", "SESSION_AUTHORIZATION_FAILED"):
        return errors.AuthError("The server refused this user name and password.", words)
    if code == "SESSION_INVALID":
        return errors.SessionLost("The server ended our session.", words)
    if code == "HOST_IS_SLAVE":
        address = params[0].strip() if params else ""
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        if not _HOST.fullmatch(address):
            return errors.BadReply("The host names its pool master in a way that can't be an address.", words)
        return errors.HostIsSlave(
            f"This host is a member of a pool. The pool's master is {address}.", words, master_address=address
        )
    if code in EMERGENCY_CODES:
        return errors.EmergencyMode(
            "The host is in emergency mode: it can't find its pool master. An emergency login is possible.", words
        )
    if code == "HOST_STILL_BOOTING":
        return StillBooting("The host is still starting its management services.", words)
    if code == "TASK_CANCELLED":
        return errors.TaskCancelled("Cancelled.", words)
    return None


def _sentence(text: str, params: list[str]) -> str:
    if "{" not in text:
        return text
    shown: list[_Shown] = [_Shown(safe_text(param, 80)) for param in params]
    try:
        return text.format(*shown)
    except (IndexError, ValueError):
        # older servers send fewer parameters
        return text.split(":")[0].split(";")[0].split("{")[0].strip().rstrip(".") + "."


class _Shown(str):
    """A parameter in a sentence; format code "b" shows it as a size."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        if spec != "b":
            return str(self)
        return format_bytes(int(self)) if self.isascii() and self.isdigit() and len(self) < 20 else str(self)
