"""Every error that hvconsole raises on purpose. Backends translate into this tree by code, never by words.

::

    HvError                    user_text (one sentence), detail (the server's own words), retryable
    ├─ ConnectError
    │  ├─ Unreachable          refused, no route, name unknown, timed out while connecting
    │  ├─ CertificateError     presented, pinned, reason: unknown | changed
    │  ├─ AuthError            wrong name or password, account locked, logon type not allowed
    │  ├─ HostIsSlave          the address is a pool member; master_address says who to ask
    │  ├─ EmergencyMode        the host lost its pool master and refuses all but a handful of calls
    │  └─ NotAHypervisor       something answered, but not what we expected
    ├─ SessionLost             was fine before; logging in again makes sense
    ├─ OperationError          operation, subject
    │  ├─ BadPowerState        ├─ NotFound          ├─ Busy            ├─ NoSpace
    │  ├─ PermissionDenied     ├─ NotSupported      ├─ ToolsMissing    ├─ Refused
    │  ├─ ReadOnlyLicence      ├─ InvalidInput      └─ HostUnavailable
    ├─ OutcomeUnknown          the request was sent, its outcome was lost: look before asking again
    ├─ TaskTimeout             we stopped waiting; the server may still be at it
    ├─ TaskCancelled
    ├─ BadReply                an answer we cannot read or will not accept
    └─ LocalError              this computer: no right to ping, disk full, no safe keyring, bad file
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hvconsole.model import Certificate


class HvError(Exception):
    """Base of all errors raised on purpose.

    ``user_text`` is one sentence that a user can act on; ``detail`` is the server's own text, kept verbatim
    (hostile: show it through ``text.safe_text``). Neither ever holds a secret.
    """

    retryable = False

    def __init__(self, user_text: str, detail: str = "") -> None:
        super().__init__(user_text)
        self.user_text = user_text
        self.detail = detail


class ConnectError(HvError):
    """A server could not be used at all."""


class Unreachable(ConnectError):
    """Nothing answered in time: refused, no route, unknown name, time limit while connecting."""

    retryable = True


class CertificateError(ConnectError):
    """The certificate is not the one the user accepted, or nobody has accepted one yet.

    Raised inside the handshake, before a single byte of the request is sent.
    """

    def __init__(
        self,
        user_text: str,
        detail: str = "",
        *,
        reason: str,
        presented: Certificate | None = None,
        pinned: Certificate | None = None,
    ) -> None:
        super().__init__(user_text, detail)
        self.reason = reason
        self.presented = presented
        self.pinned = pinned


class AuthError(ConnectError):
    """The server refused this name and password."""


class HostIsSlave(ConnectError):
    """The address belongs to a pool member. ``master_address`` is what the member says, unverified."""

    def __init__(self, user_text: str, detail: str = "", *, master_address: str) -> None:
        super().__init__(user_text, detail)
        self.master_address = master_address


class EmergencyMode(ConnectError):
    """The host is in emergency mode: only a local login and the recoveries work. It ends by itself when the pool's
    master comes back, so it is worth trying again. ``address`` is where that host answered, empty if not known."""

    retryable = True

    def __init__(self, user_text: str, detail: str = "", *, address: str = "") -> None:
        super().__init__(user_text, detail)
        self.address = address


class NotAHypervisor(ConnectError):
    """Something answered at the address, but not the expected kind of server."""


class SessionLost(HvError):
    """The session ended under us; one new login is reasonable."""

    retryable = True


class OperationError(HvError):
    """The server refused or failed what was asked.

    ``code`` is the server's code (XenAPI error code, vSphere fault class, WMI return value), for the log.
    """

    def __init__(self, user_text: str, detail: str = "", *, code: str = "") -> None:
        super().__init__(user_text, detail)
        self.code = code


class BadPowerState(OperationError):
    """Not possible in the VM's present power state."""


class NotFound(OperationError):
    """The object is gone."""


class Busy(OperationError):
    """Another operation is in progress on the object."""

    retryable = True


class NoSpace(OperationError):
    """Not enough storage or memory."""


class PermissionDenied(OperationError):
    """This user may not do that."""


class NotSupported(OperationError):
    """This server, or this object, cannot do that at all."""


class ToolsMissing(OperationError):
    """The guest has no working tools, so it cannot be asked to co-operate; the hard variant may work."""


class Refused(OperationError):
    """The server refused for another reason; ``detail`` has its words."""


class ReadOnlyLicence(OperationError):
    """The server's licence allows reading only (free ESXi)."""


class InvalidInput(OperationError):
    """What was entered cannot be sent or is not accepted; nothing was changed."""


class HostUnavailable(OperationError):
    """A host that is needed is off, disabled, not live, or has no room."""


class OutcomeUnknown(HvError):
    """The request left, its reply was lost. It may have happened: never repeat it blindly."""


class TaskTimeout(HvError):
    """We stopped waiting for a task; the server may still be working on it."""


class TaskCancelled(HvError):
    """Cancelled by the user, and the server confirmed it."""


class BadReply(HvError):
    """An answer that cannot be read, is too large or carries forbidden content."""


class LocalError(HvError):
    """A problem on this computer: no right to send ICMP, disk full, unreadable file, no safe keyring."""
