"""A pool member that lost its master: local login, what is still known, the two recoveries.

In emergency mode a host answers a handful of calls and refuses the rest, the list of its own pool included; so the
members that we show are those of earlier sessions. Any worker thread.
"""

from __future__ import annotations

import logging
import re
import threading

from hvconsole.backends.base import Capability, Hypervisor, Secret, TaskContext
from hvconsole.backends.wire import Wire
from hvconsole.backends.xen_session import XenSession
from hvconsole.clock import Clock
from hvconsole.errors import (
    AuthError,
    BadPowerState,
    CertificateError,
    EmergencyMode,
    HostIsSlave,
    HvError,
    InvalidInput,
    OutcomeUnknown,
    SessionLost,
    Unreachable,
)
from hvconsole.model import (
    Emergency,
    HostDetails,
    Inventory,
    ObjectId,
    Pool,
    ServerInfo,
    Verb,
    VmDetails,
)
from hvconsole.text import safe_text

log = logging.getLogger(__name__)

POLL_S = 5.0
RECOVERY_LIMIT_S = 120.0
"""How long a new master may take until it accepts normal logins."""
_ADDRESS = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:-]{0,252}")
_POOL = ObjectId("emergency")


class EmergencyXenServer(Hypervisor):
    """The host behind a local login. ``watch`` says whether it is in emergency mode; all else is refused."""

    def __init__(
        self, wire: Wire, session: XenSession, secret: Secret, known_members: tuple[str, ...], clock: Clock
    ) -> None:
        self._wire = wire
        self._session = session
        self._secret = secret
        self._known = known_members
        self._clock = clock
        self._wake = threading.Event()
        self._again = True
        self._last: Emergency | None = None
        self._recovering = False
        host, port = session.address
        self._info = ServerInfo(
            platform="xenserver", product="XenServer", version="", address=host, port=port, user=session.user
        )

    @property
    def info(self) -> ServerInfo:
        return self._info

    @property
    def capabilities(self) -> Capability:
        return Capability.EMERGENCY

    def watch(self, timeout_s: float) -> Inventory | None:
        end = self._clock.monotonic() + timeout_s
        while True:
            self._wake.clear()
            state = self._look()
            if self._again or state != self._last:
                self._again = False
                self._last = state
                return self._inventory(state)
            rest = end - self._clock.monotonic()
            if rest <= 0:
                return None
            self._clock.wait(self._wake, min(rest, POLL_S))
            if self._wire.closed:
                raise SessionLost("The connection was closed.")

    def _look(self) -> Emergency:
        """How the host stands. A recovery restarts the toolstack and ends this session; that is no lost connection."""
        if not self._recovering or self._last is None:
            try:
                return self._state()
            except HvError:
                if not self._recovering or self._last is None:
                    raise
        return self._last

    def _state(self) -> Emergency:
        in_emergency = self._session.call("host.is_in_emergency_mode") is True
        cause = ""
        master = ""
        if in_emergency:
            try:
                self._session.call("host.get_all")
            except SessionLost:
                raise
            except HvError as exc:
                # Every refused call names the cause, HOST_STILL_BOOTING among them; a broken connection names none.
                if isinstance(exc, Unreachable) and not exc.detail.startswith("HOST_"):
                    raise
                cause = exc.detail
        else:
            master = self._master()
        return Emergency(
            host_address=self._session.address[0],
            in_emergency_mode=in_emergency,
            cause=cause,
            known_members=self._known,
            master_address=master,
        )

    def _master(self) -> str:
        """Where the pool's master is: a member tells at a normal login, the master lets us in."""
        try:
            session = XenSession(self._wire, self._session.address, self._session.user, self._secret)
        except HostIsSlave as exc:
            return exc.master_address
        except HvError as exc:
            log.debug("%s doesn't say where its master is: %s", self._session.address[0], exc.detail)
            return ""
        session.log_out()
        return self._session.address[0]

    def _inventory(self, state: Emergency) -> Inventory:
        refusals = {}
        if not state.in_emergency_mode:
            leads = "it is its pool's master" if state.master_address == state.host_address else ""
            if state.master_address and not leads:
                leads = f"its pool's master is {safe_text(state.master_address, 80)}"
            for verb in (Verb.BECOME_MASTER, Verb.POINT_TO_MASTER):
                refusals[verb] = f"The host isn't in emergency mode{'; ' if leads else ''}{leads}."
        pool = Pool(id=_POOL, uuid="", name=state.host_address, refusals=refusals)
        return Inventory(server=self._info, taken=self._clock.now(), pools={_POOL: pool}, emergency=state)

    def refresh(self) -> None:
        self._again = True
        self._wake.set()

    def nudge(self) -> None:
        self._wake.set()

    def close(self) -> None:
        if not self._wire.closed:
            self._wire.close()
            self._wake.set()
            self._session.log_out()

    # ---- recoveries ----------------------------------------------------------------------------------------

    def become_master(self, ctx: TaskContext) -> None:
        """Make this host the master, then tell the members that can be reached."""
        self._refuse_unless_in_emergency()
        ctx.raise_if_cancelled()
        self._recovering = True
        try:
            self._transition(ctx)
        finally:
            self._recovering = False
            self.nudge()

    def _transition(self, ctx: TaskContext) -> None:
        try:
            self._session.call("pool.emergency_transition_to_master", write=True)
        except OutcomeUnknown:
            # The toolstack restarts, and often takes the reply along; whether it worked shows below.
            log.info("no answer to the transition; looking whether it happened")
        ctx.progress(None, "Waiting for the new master")
        session = self._wait_for_master(ctx)
        ctx.progress(None, "Recovering the other members")
        try:
            session.call("pool.recover_slaves", write=True)
        finally:
            session.log_out()

    def _wait_for_master(self, ctx: TaskContext) -> XenSession:
        end = self._clock.monotonic() + RECOVERY_LIMIT_S
        while True:
            try:
                return XenSession(self._wire, self._session.address, self._session.user, self._secret)
            except (AuthError, CertificateError, SessionLost):
                raise
            except HvError as exc:
                if self._clock.monotonic() > end or ctx.cancelled:
                    raise OutcomeUnknown(
                        "The host was told to become master, but doesn't accept normal logins yet.", exc.detail
                    ) from exc
            ctx.wait(1.0)

    def point_to_master(self, address: str, ctx: TaskContext) -> None:
        address = address.strip()
        if not _ADDRESS.fullmatch(address):
            raise InvalidInput("Enter the host name or IP address of the master, without a port.")
        self._refuse_unless_in_emergency()
        ctx.raise_if_cancelled()
        self._session.call("pool.emergency_reset_master", address, write=True)
        self.nudge()

    def _refuse_unless_in_emergency(self) -> None:
        if self._session.call("host.is_in_emergency_mode") is not True:
            raise BadPowerState("The host isn't in emergency mode.")

    # ---- what does not work now ----------------------------------------------------------------------------

    def _refused(self) -> HvError:
        return EmergencyMode("This is a local login to one host: only the emergency recoveries work here.")

    def details(self, vm_id: ObjectId) -> VmDetails:
        raise self._refused()

    def host_info(self, host_id: ObjectId) -> HostDetails:
        raise self._refused()

    def start(self, vm_id: ObjectId, ctx: TaskContext, *, host_id: ObjectId | None = None) -> None:
        raise self._refused()

    def shutdown(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        raise self._refused()

    def power_off(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        raise self._refused()

    def reboot(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        raise self._refused()

    def reset(self, vm_id: ObjectId, ctx: TaskContext) -> None:
        raise self._refused()

    def delete_vm(self, vm_id: ObjectId, ctx: TaskContext, *, keep_disks: frozenset[ObjectId] = frozenset()) -> None:
        raise self._refused()

    def rename(self, vm_id: ObjectId, name: str, ctx: TaskContext, *, description: str | None = None) -> None:
        raise self._refused()
