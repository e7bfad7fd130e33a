"""Why the simulated data centre refuses: platform-neutral, translated by each protocol server into its own codes.

Pure values; any thread.
"""

from __future__ import annotations


class WorldError(Exception):
    """Base of all refusals. ``object_id`` is the object concerned, or empty."""

    def __init__(self, text: str, object_id: str = "") -> None:
        super().__init__(text)
        self.object_id = object_id


class NotFound(WorldError):
    """No such object. ``kind`` is "vm", "snapshot", "host"…"""

    def __init__(self, kind: str, object_id: str) -> None:
        super().__init__(f"no {kind} {object_id}", object_id)
        self.kind = kind


class BadState(WorldError):
    """Not legal in the present power state. ``expected`` are ``objects.Power`` values."""

    def __init__(self, object_id: str, expected: tuple[str, ...], actual: str) -> None:
        super().__init__(f"needs {' or '.join(expected)}, is {actual}", object_id)
        self.expected = expected
        self.actual = actual


class Busy(WorldError):
    """Another operation is under way: ``operations`` maps task id to verb."""

    def __init__(self, object_id: str, operations: dict[str, str]) -> None:
        super().__init__(f"busy with {', '.join(operations.values())}", object_id)
        self.operations = operations


class Blocked(WorldError):
    """The administrator blocked this operation on this object."""

    def __init__(self, object_id: str, verb: str, reason: str) -> None:
        super().__init__(reason or "blocked", object_id)
        self.verb = verb
        self.reason = reason


class IsTemplate(WorldError):
    """Templates cannot do that."""


class IsControlDomain(WorldError):
    """Control domains cannot do that."""


class NoTools(WorldError):
    """The guest must co-operate, and has no running tools."""


class GuestIgnored(WorldError):
    """The guest was asked and did not do it in time."""


class NoHost(WorldError):
    """No host is alive, enabled, large enough and sees the disks. ``reasons`` maps host id to why not."""

    def __init__(self, object_id: str, reasons: dict[str, str]) -> None:
        super().__init__("no host can run it", object_id)
        self.reasons = reasons


class HostDown(WorldError):
    """The host that is needed does not answer."""


class HostDisabled(WorldError):
    """The host takes no new VMs (maintenance)."""


class NoMemory(WorldError):
    """The host has not enough free memory; both numbers in bytes."""

    def __init__(self, object_id: str, needed_bytes: int, available_bytes: int) -> None:
        super().__init__(f"needs {needed_bytes} bytes of memory, {available_bytes} are free", object_id)
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes


class NoSpace(WorldError):
    """The storage is full; both numbers in bytes."""

    def __init__(self, object_id: str, needed_bytes: int, available_bytes: int) -> None:
        super().__init__(f"needs {needed_bytes} bytes of storage, {available_bytes} are free", object_id)
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes


class NotReachable(WorldError):
    """The target host does not see a storage that the VM needs. ``storage_id`` names it."""

    def __init__(self, object_id: str, storage_id: str) -> None:
        super().__init__(f"storage {storage_id} cannot be seen", object_id)
        self.storage_id = storage_id


class InUse(WorldError):
    """Something still uses the object: guests on a host, VMs on a disk. ``user_id`` is the first of them."""

    def __init__(self, object_id: str, user_id: str) -> None:
        super().__init__(f"in use by {user_id}", object_id)
        self.user_id = user_id


class Invalid(WorldError):
    """An argument makes no sense (a name too long, a device that is taken)."""


class Cancelled(WorldError):
    """The task was cancelled, or the world is being closed."""


class Injected(WorldError):
    """A fault rule fired: ``code`` and ``params`` are in the words of the protocol that the rule was written for."""

    def __init__(self, code: str, params: tuple[str, ...] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.params = params
