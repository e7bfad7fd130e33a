"""A login at one XenServer: the package XenAPI over the wire, one connection per call under way, one session for all.

``XenSession.call`` may be used from any worker thread, many at once. An expired session is renewed once per call; the
server refuses such a call before it does anything, so even a write may then be sent again. Nothing else is repeated.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import threading
import xmlrpc.client
from collections.abc import Callable, Iterator
from typing import Any

import XenAPI

from hvconsole import __version__
from hvconsole.backends.base import Secret
from hvconsole.backends.wire import Wire, WireConnection
from hvconsole.backends.wire_calls import ACTION, Call, CallLimits, current
from hvconsole.backends.xen_decode import ReplyDecoder
from hvconsole.backends.xen_errors import is_expired, translate_failure
from hvconsole.errors import BadReply, HvError, InvalidInput, NotAHypervisor, NotSupported, Refused, SessionLost
from hvconsole.text import unsendable

log = logging.getLogger(__name__)

ORIGINATOR = f"hvconsole/{__version__}"
"""Sessions are limited per originator; without one, other people's leaking scripts throw ours out."""

LOGOUT = CallLimits(total_s=2, stall_s=2, reply_bytes=1 << 16, elements=1000)
_FAULTS = (XenAPI.Failure, xmlrpc.client.Fault)
_HEADERS = {"Content-Type": "text/xml", "User-Agent": ORIGINATOR, "Accept-Encoding": "identity"}


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over one ``WireConnection``; unlike the standard transport it never sends a request twice."""

    def __init__(self, wire_connection: WireConnection) -> None:
        super().__init__()
        self._wire_connection = wire_connection

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        call = current()
        assert call is not None, "XenAPI is used inside Wire.call only"
        decoder = ReplyDecoder(call.limits.elements)
        reply = self._wire_connection.exchange("POST", handler, bytes(request_body), _HEADERS, sink=decoder.feed)
        if reply.status != http.client.OK:
            raise NotAHypervisor("The server answered, but not like a XenServer.", f"HTTP {reply.status}")
        try:
            return (decoder.close(),)
        except BaseException:
            self._wire_connection.close()
            raise

    def close(self) -> None:
        self._wire_connection.close()


class Line:
    """One kept connection with the package's session object on it."""

    def __init__(self, wire: Wire, host: str, port: int) -> None:
        self.connection = wire.connection(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.api = XenAPI.Session(f"https://{shown}:{port}/", transport=_Transport(self.connection))


class XenSession:
    """Logs in on construction. Blocks; raises ``ConnectError`` of every kind, ``BadReply``.

    ``local``: log in at a pool member itself, without its master; only root can, and little works.
    """

    def __init__(self, wire: Wire, address: tuple[str, int], user: str, secret: Secret, *, local: bool = False) -> None:
        self.address = address
        self.user = user
        self.local = local
        self._wire = wire
        self._secret = secret
        self._lock = threading.Lock()
        self._login_lock = threading.Lock()
        self._idle: list[Line] = []
        self._handle = ""
        self._login_extras = 2
        self.generation = 0
        """Counts logins: whoever sees it change must forget event tokens."""
        for text in (user, secret.password):
            if unsendable(text):
                raise InvalidInput("The user name or password holds a character that can't be sent.")
        try:
            self._log_in()
        except BaseException:
            self._close_lines()
            raise

    # ---- calls ---------------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        *params: object,
        limits: CallLimits = ACTION,
        write: bool = False,
        entered: Callable[[Call], None] | None = None,
    ) -> Any:
        """Call ``method`` with the session in front of ``params`` and return its value.

        ``write``: the call changes something; a lost reply is ``OutcomeUnknown``. ``entered`` gets the call before it
        is made, for aborting it from another thread. Raises ``HvError`` only.
        """
        return self.renewing(lambda: self._once(method, params, limits, write, entered))

    def renewing(self, ask: Callable[[], Any]) -> Any:
        """The result of ``ask``, which is called again after a new login if the session turns out to be expired."""
        generation = self.generation
        try:
            return ask()
        except _Expired:
            self._renew(generation)
        try:
            return ask()
        except _Expired as exc:
            raise SessionLost("The server ended our session, and again after a new login.") from exc

    def _once(
        self,
        method: str,
        params: tuple[object, ...],
        limits: CallLimits,
        write: bool,
        entered: Callable[[Call], None] | None,
    ) -> Any:
        for param in params:
            _check_sendable(param)
        with self.calling(limits, write) as line:
            call = current()
            if entered is not None and call is not None:
                entered(call)
            line.api._session = self._handle
            return line.api.xenapi_request(method, params)

    @contextlib.contextmanager
    def calling(self, limits: CallLimits, write: bool = False) -> Iterator[Line]:
        """One call on a connection of its own ; the server's failures become our errors.

        For use inside ``renewing``.
        """
        line = self.take_line()
        try:
            with self._wire.call(limits, write=write, faults=_FAULTS):
                yield line
        except XenAPI.Failure as exc:
            if is_expired(exc.details):
                raise _Expired from exc
            raise translate_failure(exc.details) from exc
        except xmlrpc.client.Fault as exc:
            if exc.faultCode == 401:
                # how the package says SESSION_INVALID when it may not log in by itself
                raise _Expired from exc
            raise Refused("The server refused the call.", str(exc.faultString)[:400]) from exc
        finally:
            self.give_back(line)

    @contextlib.contextmanager
    def transport(self, limits: CallLimits) -> Iterator[None]:
        """Limits and errors of the wire alone, for a request or a reply on a line that was taken."""
        with self._wire.call(limits):
            yield

    def take_line(self) -> Line:
        """A connection for one call; give it back with ``give_back``, or close it."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Line(self._wire, *self.address)

    def give_back(self, line: Line) -> None:
        """Keep a connection for the next call."""
        with self._lock:
            if not self._wire.closed and len(self._idle) < 8:
                self._idle.append(line)
                return
        line.connection.close()

    def _close_lines(self) -> None:
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            line.connection.close()

    # ---- login ---------------------------------------------------------------------------------------------

    @property
    def handle(self) -> str:
        """The session reference, for HTTP transfers. A secret: never log a URL that holds it."""
        return self._handle

    @property
    def secret(self) -> Secret:
        """The password that the session was opened with."""
        return self._secret

    def replace_secret(self, secret: Secret) -> None:
        """Use another password for later logins (it was just changed)."""
        with self._login_lock:
            self._secret = secret

    def _log_in(self) -> None:
        # Before 6.2 there is no originator, before 5.0 no version, and too many parameters are refused by their number.
        while True:
            try:
                self._log_in_with(("2.0", ORIGINATOR)[: self._login_extras])
                return
            except NotSupported as exc:
                if exc.code != "MESSAGE_PARAMETER_COUNT_MISMATCH" or self.local or not self._login_extras:
                    raise
                log.info("the server at %s takes fewer words at a login", self.address[0])
                self._login_extras -= 1

    def _log_in_with(self, extras: tuple[str, ...]) -> None:
        name = "slave_local_login_with_password" if self.local else "login_with_password"
        params = (self.user, self._secret.password, *(() if self.local else extras))
        try:
            with self.calling(ACTION, False) as line:
                # Not the package's own login: it would keep the password and log in again behind our back.
                result = getattr(line.api, f"session.{name}")(*params)
                handle = _login_value(result)
        except _Expired as exc:
            raise BadReply("The server answers a login as if we were logged in.") from exc
        except BadReply as exc:
            if exc.__cause__ is None or isinstance(exc.__cause__, XenAPI.Failure):
                raise
            raise NotAHypervisor("The server answered, but not like a XenServer.", exc.detail) from exc
        self._handle = handle
        self.generation += 1

    def _renew(self, generation: int) -> None:
        with self._login_lock:
            if self.generation != generation:
                return  # another thread was faster
            log.info("session at %s expired, logging in again", self.address[0])
            self._log_in()

    def log_out(self) -> None:
        """End the session on the server, within two seconds, on a connection of its own. Never raises."""
        handle, self._handle = self._handle, ""
        self._close_lines()
        if not handle:
            return
        wire = self._wire.sibling()
        line = Line(wire, *self.address)
        method = "session.local_logout" if self.local else "session.logout"
        try:
            with wire.call(LOGOUT, faults=_FAULTS):
                getattr(line.api, method)(handle)
        except (HvError, *_FAULTS):
            log.debug("logout at %s failed", self.address[0], exc_info=True)
        finally:
            line.connection.close()
            wire.close()


class _Expired(Exception):
    """The server does not know our session any more; never leaves this module."""


def _login_value(result: object) -> str:
    if not isinstance(result, dict):
        raise TypeError("a login is answered by a struct")
    if result.get("Status") == "Success":
        value = result["Value"]
        if not isinstance(value, str) or not value or len(value) > 1000:
            raise TypeError("a session is a reference")
        return value
    raise XenAPI.Failure(result["ErrorDescription"])


def _check_sendable(param: object) -> None:
    if isinstance(param, str):
        problem = unsendable(param)
        if problem:
            raise InvalidInput(problem)
    elif isinstance(param, dict):
        for key, value in param.items():
            _check_sendable(key)
            _check_sendable(value)
    elif isinstance(param, list | tuple):
        for value in param:
            _check_sendable(value)
