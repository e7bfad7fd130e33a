"""The one place where exceptions of sockets, TLS, HTTP and parsers become errors of ours.

By type, never by words. Pure; any thread.
"""

from __future__ import annotations

import http.client
import ssl

from hvconsole.backends.wire_calls import Call
from hvconsole.errors import (
    BadReply,
    CertificateError,
    HvError,
    NotAHypervisor,
    OutcomeUnknown,
    SessionLost,
    TaskCancelled,
    Unreachable,
)


class Redirected(BadReply):
    """The server wants us to ask at ``location`` instead; nothing follows it by itself."""

    def __init__(self, location: str) -> None:
        super().__init__(
            "The server tried to send us to another address, which is not followed.",
            location.partition("?")[0][:500],  # what comes after may be a session
        )
        self.location = location


_LOST = (OSError, http.client.RemoteDisconnected, http.client.NotConnected, http.client.IncompleteRead, EOFError)
_CUT = (Unreachable, NotAHypervisor, BadReply)
"""What a connection that we cut ourselves looks like from inside."""


def translate(exc: Exception, call: Call, *, write: bool, closed: bool) -> HvError:
    """What ``exc``, raised during ``call``, means to the caller.

    ``write``: the request changes something, so once it left, a missing or unreadable reply leaves the outcome
    unknown. ``closed``: we ended the connections ourselves.
    """
    if isinstance(exc, HvError) and not (isinstance(exc, _CUT) and (closed or call.aborted)):
        mapped: HvError = exc
    elif closed:
        mapped = SessionLost("The connection was closed.")
    elif call.aborted:
        mapped = TaskCancelled("Cancelled.")
    elif isinstance(exc, _LOST):
        mapped = _lost(exc)
    else:
        # Parsers and client libraries raise ValueError, TypeError, KeyError, StopIteration, ExpatError … on bad input
        mapped = BadReply("The server's answer can't be read.", _words(exc))
    if write and call.sent and isinstance(mapped, BadReply | Unreachable | SessionLost | TaskCancelled):
        return OutcomeUnknown(
            "The request was sent, but its answer was lost. It may have happened.", mapped.detail or mapped.user_text
        )
    return mapped


def _lost(exc: Exception) -> HvError:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return CertificateError("The server's certificate was refused.", _words(exc), reason="changed")
    if isinstance(exc, TimeoutError):
        return Unreachable("The server didn't answer in time.", _words(exc))
    return Unreachable("The connection to the server was lost.", _words(exc))


def _words(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"[:500]
