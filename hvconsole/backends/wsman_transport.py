"""pywinrm as the authenticated, sealed transport of one connection, with its defects fenced in.

What pywinrm 0.5.0 does by itself and this module prevents: it sends the SOAP body in clear text after a failed first
login; after a dropped keep-alive it replays a body sealed with the old connection's key; it accepts an unsealed answer
to a sealed question; it follows redirects and reads proxies, CA bundles and ``.netrc`` from the environment; it breaks
when two threads share it. One ``SealedTransport`` is therefore used by one thread at a time (``wsman.Sessions``).
"""

from __future__ import annotations

import datetime as dt
import email.utils
import logging
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
from winrm.exceptions import InvalidCredentialsError, WinRMError, WinRMTransportError
from winrm.transport import Transport

from hvconsole.backends.wire import Wire
from hvconsole.backends.wire_adapters import WireAdapter
from hvconsole.backends.wire_calls import current
from hvconsole.clock import Clock
from hvconsole.errors import AuthError, BadReply, HvError, InvalidInput, LocalError, NotAHypervisor, Unreachable

# At DEBUG it writes the tokens of the login into the log, from which a weak password can be found by trying.
logging.getLogger("spnego").setLevel(logging.WARNING)

SEALING = frozenset({"ntlm", "kerberos", "credssp"})
"""Ways to log in that can seal messages, and so may be used over plain http."""
AUTH_METHODS = frozenset({*SEALING, "basic", "certificate"})
SKEW_S = 300.0
"""Kerberos refuses logins when clocks differ by more."""
IDLE_S = 45.0
"""Connections idle for longer are made anew before something is written: http.sys drops them after 120 s or less."""
_EXTRA = {"kerberos": "hvconsole[kerberos]", "credssp": "hvconsole[credssp]"}


class Unauthorized(Exception):
    """HTTP 401 to a message: it was not carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where and how to log in. Raises ``InvalidInput`` for combinations that would send a password in clear."""

    scheme: str
    host: str
    port: int
    auth: str
    user: str
    password: str = field(repr=False)
    cert_pem: str = ""
    cert_key_pem: str = ""
    path: str = "/wsman"

    def __post_init__(self) -> None:
        if self.scheme not in ("https", "http"):
            raise InvalidInput("The scheme must be https or http.", self.scheme[:40])
        if self.auth not in AUTH_METHODS:
            raise InvalidInput(
                "The login method must be ntlm, kerberos, credssp, certificate or basic.", self.auth[:40]
            )
        if self.scheme == "http" and self.auth not in SEALING:
            raise InvalidInput(
                "Over http, only NTLM, Kerberos and CredSSP can seal what is sent; this login method needs https."
            )
        if self.auth == "certificate" and not (self.cert_pem and self.cert_key_pem):
            raise InvalidInput("A login with a client certificate needs its file and its key file.")

    @property
    def url(self) -> str:
        """The address as pywinrm takes it; IPv6 in brackets. Holds no user and no password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, opened if it was sealed."""

    status: int
    body: bytes = field(repr=False)


class _Recorder:
    """Stands where the adapter expects the wire, and remembers the connection that was made."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.sock: socket.socket | None = None
        self.made = 0

    def connect(self, host: str, port: int, *, tls: bool = True) -> socket.socket:
        self.sock = self._wire.connect(host, port, tls=tls)
        self.made += 1
        return self.sock


class _Adapter(WireAdapter):
    """Looks at the clock of whoever answers, also where the login libraries give up in the middle."""

    def __init__(self, wire: Wire, compare_clocks: Callable[[str], None]) -> None:
        self._compare_clocks = compare_clocks
        super().__init__(wire)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().send(request, *args, **kwargs)
        self._compare_clocks(response.headers.get("Date", ""))
        return response


class SealedTransport(Transport):  # type: ignore[misc, unused-ignore]  # pywinrm may be seen as untyped
    """One authenticated connection. Every use is inside ``Wire.call``; one thread at a time."""

    def __init__(self, endpoint: Endpoint, wire: Wire, clock: Clock) -> None:
        self._target = endpoint
        self._recorder = _Recorder(wire)
        self._clock = clock
        self._last_used = clock.monotonic()
        self._proven = False
        self._skew_s = 0.0
        try:
            super().__init__(
                endpoint=endpoint.url,
                username=endpoint.user,
                password=endpoint.password,
                service="HTTP",
                ca_trust_path=None,  # type: ignore[arg-type, unused-ignore]
                cert_pem=endpoint.cert_pem or None,
                cert_key_pem=endpoint.cert_key_pem or None,
                read_timeout_sec=60,
                server_cert_validation="ignore",  # the wire compares the pin inside every handshake
                auth_method=endpoint.auth,  # type: ignore[arg-type, unused-ignore]
                message_encryption="auto",
                proxy=None,
            )
        except InvalidCredentialsError as exc:
            raise AuthError("A user name and a password are needed.", str(exc)) from exc

    @property
    def sealed(self) -> bool:
        """Whether messages are sealed by us (http); over https TLS does it."""
        return self._target.scheme == "http"

    @property
    def proven(self) -> bool:
        """Whether this connection has had an answer, so that its login is known to work."""
        return self._proven

    @property
    def skew_note(self) -> str:
        """That the host's clock is wrong, or nothing; known even where it lets nobody log in."""
        if abs(self._skew_s) <= SKEW_S:
            return ""
        return f"the host's clock is {abs(self._skew_s):.0f} s {'ahead of' if self._skew_s > 0 else 'behind'} this one"

    # ---- pywinrm's hooks -----------------------------------------------------------------------------------

    def build_session(self) -> requests.Session:
        """The session, hardened before its first byte; after any failure there is none left to send in clear with."""
        if self.session is not None:
            return self.session
        self.encryption = None
        try:
            session = super().build_session()
            self._harden(session)
            if self.sealed and self.encryption is None:
                raise AuthError("The login didn't make a key to seal messages with; nothing was sent.")
        except BaseException:
            self.close_session()
            raise
        return session

    def setup_encryption(self, session: requests.Session) -> None:
        """Log in with an empty message, over the pinned wire."""
        self._harden(session)
        super().setup_encryption(session)
        security = getattr(session.auth, "session_security", True)
        if security is None:
            # A host that lets the empty message through without a login has agreed on no key.
            raise NotAHypervisor("What answers there accepts requests without a login; that is no Windows host.")

    def close_session(self) -> None:
        """Forget connection, login and keys."""
        self.encryption = None
        self._proven = False
        self._recorder.sock = None
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def _harden(self, session: requests.Session) -> None:
        session.trust_env = False
        session.max_redirects = 0
        session.proxies = {}
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers["Accept-Encoding"] = "identity"
        if not isinstance(session.adapters.get("https://"), WireAdapter):
            adapter = _Adapter(cast(Wire, self._recorder), self._compare_clocks)
            session.mount("https://", adapter)
            session.mount("http://", adapter)

    def _compare_clocks(self, date: str) -> None:
        try:
            theirs = email.utils.parsedate_to_datetime(date)
            self._skew_s = (theirs.replace(tzinfo=theirs.tzinfo or dt.UTC) - self._clock.now()).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return

    # ---- our own way to send -------------------------------------------------------------------------------

    def prepare(self, *, write: bool) -> None:
        """Make sure that the next message goes out on a connection that is logged in and alive.

        Before something is written, a connection that was idle for long is made anew, because its loss half-way
        would leave the outcome unknown.
        """
        idle = self._clock.monotonic() - self._last_used
        if self.session is not None and (not self._alive() or (write and idle > IDLE_S)):
            self.close_session()
        self.build_session()

    def _alive(self) -> bool:
        sock = self._recorder.sock
        if sock is None:
            return not self.sealed
        # A server that speaks unasked is hanging up (over TLS possibly not: then only the login is repeated).
        return not _readable(sock)

    def exchange(self, message: bytes) -> Reply:
        """Send one message and return the opened answer. Call ``prepare`` first.

        Raises ``Unauthorized`` (not carried out), ``BadReply``, and whatever the wire raises.
        """
        session = self.build_session()
        made = self._recorder.made
        call = current()
        if call is not None:
            call.sent = False
        request = self._request(session, message)
        if self.sealed and self._target.auth == "ntlm":
            # Logging in again inside this request would replay a body sealed with the old connection's key.
            request.hooks = {"response": []}
        try:
            response = session.send(request, timeout=self.read_timeout_sec, allow_redirects=False)
            if response.status_code == 401:
                raise Unauthorized
            if self.sealed and self._recorder.made != made:
                raise Unauthorized
            body = self._opened(response)
        except BaseException:
            self.close_session()
            raise
        self._last_used = self._clock.monotonic()
        self._proven = True
        return Reply(response.status_code, body)

    def _request(self, session: requests.Session, message: bytes) -> requests.PreparedRequest:
        if not self.sealed:
            return session.prepare_request(requests.Request("POST", self._target.url, data=message))
        if self.encryption is None:
            raise AuthError("There is no key to seal the message with; nothing was sent.")
        return self.encryption.prepare_encrypted_request(session, self._target.url, message)

    def _opened(self, response: requests.Response) -> bytes:
        content = response.content or b""
        if not self.sealed or self.encryption is None:
            return content
        kind = response.headers.get("Content-Type", "").lower()
        if kind.startswith(("multipart/encrypted", "multipart/x-multi-encrypted")):
            try:
                opened: bytes = self.encryption.parse_encrypted_response(response)
            except Exception as exc:
                # Not a refused login, whatever the library calls it: the message may have been carried out.
                raise BadReply(
                    "The host's sealed answer can't be opened; it may have been changed on its way.", type(exc).__name__
                ) from exc
            return opened
        if content:
            raise BadReply("The host answered a sealed message in clear text; that isn't accepted.")
        return b""


def _readable(sock: socket.socket) -> bool:
    """Whether there is something to read now, or the connection is gone."""
    try:
        if hasattr(select, "poll"):
            watcher = select.poll()  # select() gives up on descriptors above 1023
            watcher.register(sock, select.POLLIN)
            return bool(watcher.poll(0))
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def login_error(exc: Exception, endpoint: Endpoint) -> Exception:
    """What an exception of pywinrm or the login libraries means; those of others come back as they are."""
    if isinstance(exc, InvalidCredentialsError | Unauthorized):
        return AuthError("The host refused this user name and password.", f"HTTP 401, {endpoint.auth}")
    if isinstance(exc, PermissionError):
        return AuthError("The host doesn't offer this login method.", f"{endpoint.auth}: {exc}")
    if isinstance(exc, WinRMTransportError):
        return http_error(_status(exc), endpoint)
    if isinstance(exc, WinRMError) and endpoint.auth in _EXTRA and "not installed" in str(exc):
        return LocalError(f"This login method needs more libraries: pip install '{_EXTRA[endpoint.auth]}'.", str(exc))
    if isinstance(exc, WinRMError):
        return BadReply("The login failed in an unexpected way.", str(exc))
    module = type(exc).__module__.partition(".")[0]
    if module in ("spnego", "gssapi", "krb5", "requests_credssp"):
        return AuthError("The login was not accepted.", f"{type(exc).__name__}: {exc}"[:500])
    if isinstance(exc, KeyError) and "authenticate" in str(exc).lower():
        return AuthError("The host broke off the login.", f"{endpoint.auth}")
    return exc


def _status(exc: Any) -> int:
    return exc.code if isinstance(exc.code, int) else 0


def http_error(status: int, endpoint: Endpoint) -> HvError:
    """The error for an answer that is no SOAP, by HTTP status."""
    if status == 401:
        return AuthError("The host refused this user name and password.", f"HTTP 401, {endpoint.auth}")
    if status == 404:
        return NotAHypervisor("Something else than Windows Remote Management answers on that port.", "HTTP 404")
    if status == 500:
        return NotAHypervisor(
            "The host refused the message without a word. Its WinRM service may not accept this "
            "login method, or unsealed messages.",
            "HTTP 500 without content",
        )
    if status in (502, 503, 504):
        return Unreachable("Windows Remote Management on the host isn't ready.", f"HTTP {status}")
    return BadReply("The host's answer isn't one of Windows Remote Management.", f"HTTP {status}")
