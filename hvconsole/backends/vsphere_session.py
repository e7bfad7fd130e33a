"""One login to a vCenter or ESXi host: discovery with a time limit, log in, log in again, log out.

Any worker thread; several at once. A read that meets an expired session is repeated after one new login. A write is
repeated only then too, because the server refuses it before it does anything; never after a lost connection.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any, TypeVar

from hvconsole.backends.base import Secret, Target, Trust
from hvconsole.backends.vsphere_api import FAULTS, known_versions, version_id, vim
from hvconsole.backends.vsphere_errors import READ_ONLY_TEXT, translate
from hvconsole.backends.vsphere_soap import PAGE, Cookie, WireStub
from hvconsole.backends.wire import Wire
from hvconsole.backends.wire_calls import ACTION, CallLimits
from hvconsole.backends.xmlguard import check_xml
from hvconsole.clock import Clock
from hvconsole.errors import (
    BadReply,
    HvError,
    NotAHypervisor,
    PermissionDenied,
    ReadOnlyLicence,
    SessionLost,
    Unreachable,
)
from hvconsole.model import ServerInfo

log = logging.getLogger(__name__)

T = TypeVar("T")

OPENING = CallLimits(total_s=9.5, stall_s=9.0, reply_bytes=1 << 20, elements=30_000)
"""From the name lookup to the answer of the login: a silent or half-dead address is given up within ten seconds."""
FAREWELL = CallLimits(total_s=0.8, stall_s=0.8, reply_bytes=1 << 16, elements=1_000)
KEEP_ALIVE_S = 300.0
"""vCenter ends sessions that were idle for 30 minutes."""


class Session:
    """A logged-in session. ``content`` is the server's ``ServiceContent``; ``poll`` is the stub of the long poll."""

    def __init__(self, target: Target, secret: Secret, trust: Trust, clock: Clock, address: tuple[str, int]) -> None:
        self._target = target
        self._secret = secret
        self._clock = clock
        self.host, self.port = address
        self.trust = trust
        self.legacy_tls = target.options.get("legacy_tls", "") in ("yes", "true", "1")
        self.wire = Wire(trust, legacy_tls=self.legacy_tls)
        self.cookie = Cookie()
        self._lock = threading.Lock()
        self.logins = 0
        """Grows with every login: views, collectors and filters of an earlier one are gone."""
        self._used_at = clock.monotonic()
        self.closing = False
        self.read_only = ""
        self.session_key = ""
        """The server's name of the session: not the cookie, no secret."""
        self._stubs: list[WireStub] = []
        try:
            with self.wire.call(OPENING, faults=FAULTS):
                version = _discover(self.wire, self.host, self.port)
                self.stub = WireStub(self.wire, self.host, self.port, version, self.cookie)
                self.poll = WireStub(self.wire, self.host, self.port, version, self.cookie)
                self._stubs = [self.stub, self.poll]
                self.api_version: str = version_id[version]
                self.content: Any = vim.ServiceInstance("ServiceInstance", self.stub).RetrieveContent()
                if not _complete(self.content):
                    raise NotAHypervisor(f"{self.host} answers, but not as a vCenter or ESXi host does.")
                self._log_in()
        except FAULTS as fault:
            self._let_go()
            raise translate(fault) from fault
        except BadReply as exc:
            self._let_go()
            raise NotAHypervisor(f"{self.host} answers, but not as a vCenter or ESXi host does.", exc.detail) from exc
        except BaseException:
            self._let_go()
            raise

    # ---- who it is -------------------------------------------------------------------------------------------

    @property
    def is_vcenter(self) -> bool:
        """Whether it is a vCenter (else: one ESXi host)."""
        return str(self.content.about.apiType) == "VirtualCenter"

    @property
    def info(self) -> ServerInfo:
        """Who we are talking to; does not block."""
        about = self.content.about
        return ServerInfo(
            platform="vsphere",
            product=str(about.name or about.fullName or "vSphere"),
            version=f"{about.version or ''} build {about.build}" if about.build else str(about.version or ""),
            address=self.host,
            port=self.port,
            user=self._target.user,
            read_only=self.read_only,
        )

    # ---- calls -----------------------------------------------------------------------------------------------

    def read(self, work: Callable[[], T], limits: CallLimits = ACTION) -> T:
        """Ask the server something; asked once more after a new login if the session had ended."""
        return self._call(work, limits, write=False)

    def write(self, work: Callable[[], T], limits: CallLimits = ACTION) -> T:
        """Tell the server to do something: sent once. A lost reply raises ``OutcomeUnknown``."""
        return self._call(work, limits, write=True)

    def raw(self, stub: WireStub, mo: Any, method: str, args: list[Any], limits: CallLimits = PAGE) -> bytes:
        """A read whose answer's XML is wanted. Raises faults untranslated: collectors live on them."""
        self._used_at = self._clock.monotonic()
        return stub.raw(mo, method, args, limits)

    def _call(self, work: Callable[[], T], limits: CallLimits, *, write: bool) -> T:
        logins = self.logins
        try:
            return self._once(work, limits, write=write)
        except vim.fault.NotAuthenticated:
            self.log_in_again(logins)
        except FAULTS as fault:
            raise self._translated(fault) from fault
        try:
            return self._once(work, limits, write=write)
        except vim.fault.NotAuthenticated as fault:
            # Some servers say so to a user who lacks a right, so a second new login would change nothing.
            words = str(fault.msg or "")
            raise PermissionDenied("This user may not do that.", words, code="NotAuthenticated") from fault
        except FAULTS as fault:
            raise self._translated(fault) from fault

    def _once(self, work: Callable[[], T], limits: CallLimits, *, write: bool) -> T:
        self._used_at = self._clock.monotonic()
        with self.wire.call(limits, write=write, faults=FAULTS):
            return work()

    def _translated(self, fault: Exception) -> HvError:
        error = translate(fault)
        self.notice(error)
        return error

    def notice(self, error: HvError) -> None:
        """Remember that the licence allows reading only, the first time the server says so."""
        if isinstance(error, ReadOnlyLicence) and not self.read_only:
            self.read_only = READ_ONLY_TEXT
            log.info("%s has a read-only licence", self.host)

    # ---- session ---------------------------------------------------------------------------------------------

    def keep_alive(self) -> None:
        """Ask for the time if nothing was asked for a while. Raises as ``read``."""
        if self._clock.monotonic() - self._used_at >= KEEP_ALIVE_S:
            instance = vim.ServiceInstance("ServiceInstance", self.stub)
            self.read(instance.CurrentTime)

    def log_in_again(self, logins: int) -> None:
        """Log in once more unless another thread has done so since ``logins`` was read. Raises ``ConnectError``."""
        with self._lock:
            if self.closing:
                raise SessionLost("The connection was closed.")
            if self.logins != logins:
                return
            log.info("the session with %s ended, logging in again", self.host)
            try:
                with self.wire.call(ACTION, faults=FAULTS):
                    self._log_in()
            except FAULTS as fault:
                raise translate(fault) from fault

    def _log_in(self) -> None:
        # A login with the cookie of a session is refused.
        self.cookie.value = ""
        session = self.content.sessionManager.Login(self._target.user, self._secret.password, None)
        if session is None or not self.cookie.value:
            raise BadReply("The server's answer to the login can't be read.")
        self.session_key = str(session.key or "")
        self.logins += 1

    def close(self) -> None:
        """Log out if the server answers at once, then end every connection. Idempotent."""
        with self._lock:
            if self.closing:
                return
            self.closing = True
        with contextlib.suppress(HvError, *FAULTS), self.wire.call(FAREWELL, faults=FAULTS):
            self.content.sessionManager.Logout()
        self._let_go()

    def _let_go(self) -> None:
        self.wire.close()
        for stub in self._stubs:
            stub.close()

    def object(self, kind: Any, moid: str) -> Any:
        """A managed object of a pyVmomi class and id, on the stub of ordinary calls."""
        return kind(moid, self.stub)


def open_session(target: Target, secret: Secret, trust: Trust, clock: Clock) -> Session:
    """Log in at the first of the target's addresses that answers. Raises ``ConnectError``."""
    last: HvError = Unreachable("No address was given.")
    for address in target.addresses:
        try:
            return Session(target, secret, trust, clock, address)
        except Unreachable as exc:
            last = exc
    raise last


def _complete(content: Any) -> bool:
    """Whether a server named everything that the program can't do without."""
    needed = ("about", "rootFolder", "propertyCollector", "viewManager", "sessionManager")
    return isinstance(content, vim.ServiceInstanceContent) and all(getattr(content, name) for name in needed)


def _discover(wire: Wire, host: str, port: int) -> str:
    """The newest API version that both sides know; real servers list opaque ids beside the dotted ones."""
    connection = wire.connection(host, port)
    try:
        reply = connection.exchange("GET", "/sdk/vimServiceVersions.xml", headers={"User-Agent": "hvconsole"})
    finally:
        connection.close()
    if reply.status in (502, 503, 504):
        raise Unreachable(f"{host} is there, but its management service doesn't answer yet.", f"HTTP {reply.status}")
    if reply.status != 200:
        raise NotAHypervisor(f"{host} answers, but not as a vCenter or ESXi host does.", f"HTTP {reply.status}")
    check_xml(reply.body, OPENING.elements)
    try:
        root = ET.fromstring(reply.body)
    except (ET.ParseError, ValueError, LookupError) as exc:
        raise NotAHypervisor(f"{host} answers, but not as a vCenter or ESXi host does.", str(exc)[:200]) from exc
    offered = {
        element.text
        for space in root.iter("namespace")
        if space.findtext("name") == "urn:vim25"
        for element in space.iter("version")
    }
    if not offered:
        raise NotAHypervisor(f"{host} answers, but not as a vCenter or ESXi host does.")
    for version in known_versions("vim25"):
        if version_id[version] in offered:
            return str(version)
    newest = ", ".join(sorted(str(text) for text in offered)[-3:])
    raise NotAHypervisor(f"{host} speaks no version of the vSphere API that hvconsole knows.", newest)
