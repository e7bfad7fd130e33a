"""vSphere faults → our errors, by class and never by words. Pure; any thread.

The order of the table matters: a subclass stands before its base (``NotAuthenticated`` is a ``NoPermission``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hvconsole.backends.vsphere_api import FAULTS, vim, vmodl
from hvconsole.errors import (
    AuthError,
    BadPowerState,
    Busy,
    HostUnavailable,
    HvError,
    InvalidInput,
    NoSpace,
    NotFound,
    NotSupported,
    OperationError,
    PermissionDenied,
    ReadOnlyLicence,
    Refused,
    SessionLost,
    TaskCancelled,
    ToolsMissing,
)

READ_ONLY_TEXT = "The licence of this server allows reading only (a free ESXi): changes through the API are refused."

_STATES = {"poweredOn": "running", "poweredOff": "shut down", "suspended": "suspended"}

_TABLE: tuple[tuple[str, type[OperationError], str], ...] = (
    ("vim.fault.RestrictedVersion", ReadOnlyLicence, READ_ONLY_TEXT),
    ("vim.fault.ToolsUnavailable", ToolsMissing, "VMware Tools isn't running in this guest."),
    (
        "vim.fault.QuestionPending",
        Busy,
        "The VM waits for an answer (General tab); give it with VMware's own client.",
    ),
    ("vim.fault.TaskInProgress", Busy, "Another operation is in progress on it."),
    ("vim.fault.NoDiskSpace", NoSpace, "The datastore is full."),
    ("vim.fault.FileLocked", Busy, "A file of it is locked by another operation or host."),
    ("vim.fault.FileNotFound", NotFound, "A file of it isn't there any more."),
    ("vim.fault.FileAlreadyExists", InvalidInput, "A file of that name exists already."),
    ("vim.fault.InsufficientStorageSpace", NoSpace, "The datastore is full."),
    ("vim.fault.InsufficientMemoryResourcesFault", HostUnavailable, "The host has not enough free memory."),
    ("vim.fault.InsufficientCpuResourcesFault", HostUnavailable, "The host has not enough free CPU capacity."),
    ("vim.fault.InsufficientResourcesFault", HostUnavailable, "There are not enough free resources for it."),
    ("vim.fault.NoHost", HostUnavailable, "No host can run it."),
    ("vim.fault.NoCompatibleHost", HostUnavailable, "No host can run it."),
    ("vmodl.fault.HostCommunication", HostUnavailable, "The host doesn't answer the vCenter."),
    ("vim.fault.HostConnectFault", HostUnavailable, "The host doesn't answer the vCenter."),
    ("vim.fault.InvalidHostState", HostUnavailable, "The host isn't in a state for that."),
    ("vim.fault.InvalidHostConnectionState", HostUnavailable, "The host isn't connected to the vCenter."),
    ("vim.fault.DuplicateName", InvalidInput, "That name is taken already."),
    ("vim.fault.AlreadyExists", InvalidInput, "That exists already."),
    ("vim.fault.InvalidName", InvalidInput, "That name isn't accepted by the server."),
    ("vim.fault.InvalidDatastore", InvalidInput, "That datastore can't be used for it."),
    ("vim.fault.ApplicationQuiesceFault", Refused, "Programs in the guest could not be quieted for the snapshot."),
    ("vim.fault.FilesystemQuiesceFault", Refused, "The guest's file systems could not be quieted in time."),
    (
        "vim.fault.MemorySnapshotOnIndependentDisk",
        Refused,
        "A snapshot with memory isn't possible: it has an independent disk.",
    ),
    ("vim.fault.TooManySnapshotLevels", Refused, "It has as many snapshots in a row as the server allows."),
    ("vim.fault.SnapshotNoChange", Refused, "Nothing has changed since its last snapshot."),
    ("vim.fault.MultipleSnapshotsNotSupported", Refused, "This server allows one snapshot per VM only."),
    ("vim.fault.SnapshotIncompatibleDeviceInVM", Refused, "One of its devices doesn't allow snapshots."),
    ("vim.fault.SnapshotFault", Refused, "The server could not take the snapshot."),
    ("vim.fault.ConcurrentAccess", Busy, "Somebody else changed it at the same moment."),
    ("vim.fault.VmConfigFault", InvalidInput, "The server doesn't accept this configuration."),
    ("vim.fault.OvfFault", InvalidInput, "The server doesn't accept this OVF package."),
    ("vim.fault.MigrationFault", HostUnavailable, "It can't move to that host."),
    ("vim.fault.MethodDisabled", Refused, "The server doesn't allow this on it now."),
    ("vmodl.fault.NotSupported", NotSupported, "The server can't do that."),
    ("vmodl.fault.NotImplemented", NotSupported, "The server can't do that."),
    ("vmodl.fault.MethodNotFound", NotSupported, "The server's version doesn't know this operation."),
    ("vmodl.fault.ManagedObjectNotFound", NotFound, "It no longer exists on the server."),
    ("vim.fault.NotFound", NotFound, "It no longer exists on the server."),
    ("vim.fault.NoPermission", PermissionDenied, "This user may not do that."),
    ("vim.fault.InvalidState", BadPowerState, "That isn't possible in its present state."),
    ("vim.fault.ResourceInUse", Busy, "It is in use."),
    ("vim.fault.Timedout", Refused, "The server gave up after its own time limit."),
    ("vmodl.fault.NotEnoughLicenses", Refused, "The server has no free licence for that."),
    ("vmodl.fault.InvalidArgument", InvalidInput, "The server doesn't accept one of the values."),
    ("vmodl.fault.InvalidRequest", InvalidInput, "The server doesn't accept the request."),
)


def _resolve(name: str) -> Any:
    space, _, rest = name.partition(".")
    found: Any = vim if space == "vim" else vmodl
    try:
        for part in rest.split("."):
            found = getattr(found, part)
    except AttributeError:  # another version of the bindings
        return None
    return found


def _table() -> list[tuple[Any, type[OperationError], str]]:
    rows = [(_resolve(name), kind, text) for name, kind, text in _TABLE]
    return [row for row in rows if row[0] is not None]


_rows: list[tuple[Any, type[OperationError], str]] = []


def translate(fault: Exception) -> HvError:
    """What a fault of the server means. Unknown classes become ``Refused`` with the server's words as detail."""
    detail = _words(fault)
    code = type(fault).__name__.rpartition(".")[2]
    if isinstance(fault, vim.fault.InvalidLogin):
        return AuthError("The server refused this user name or password.", detail)
    if isinstance(fault, vim.fault.NoPermission) and isinstance(fault, _resolve("vim.fault.NotAuthenticated")):
        return SessionLost("The server ended the session.", detail)
    if isinstance(fault, vmodl.fault.RequestCanceled):
        return TaskCancelled("Cancelled.", detail)
    if isinstance(fault, vim.fault.InvalidPowerState):
        return BadPowerState(_power_text(fault), detail, code=code)
    if not _rows:
        _rows.extend(_table())
    for kind, ours, text in _rows:
        if isinstance(fault, kind):
            return ours(text, detail, code=code)
    return Refused("The server refused it.", detail, code=code)


def _power_text(fault: Any) -> str:
    existing = _STATES.get(str(getattr(fault, "existingState", "") or ""))
    if existing is None:
        return "That isn't possible in its present power state."
    return f"That isn't possible: the VM is {existing}."


def _words(fault: Any) -> str:
    """The server's own text, with what the class carries beside it; bounded."""
    message = str(getattr(fault, "msg", "") or "")
    extra = [str(getattr(fault, name, "") or "") for name in ("privilegeId", "name", "file", "invalidProperty")]
    causes = [str(getattr(cause, "message", "") or "") for cause in getattr(fault, "faultMessage", None) or ()]
    parts = [part for part in (message, *causes, *extra) if part]
    return ("; ".join(parts) or type(fault).__name__)[:2000]


def guarded(work: Callable[[], Any]) -> Any:
    """Run ``work``; faults leave it as our errors."""
    try:
        return work()
    except FAULTS as fault:
        raise translate(fault) from fault
