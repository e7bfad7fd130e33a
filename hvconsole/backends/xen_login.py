"""Getting in: addresses in turn, a member's word about its master, the local login of an emergency.

Blocks at most about 20 s per address; worker threads only.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from hvconsole.backends import xen_fields as f
from hvconsole.backends.base import Secret, Target, Trust
from hvconsole.backends.wire import Wire
from hvconsole.backends.xen_errors import StillBooting
from hvconsole.backends.xen_session import XenSession
from hvconsole.errors import BadReply, EmergencyMode, HostIsSlave, HvError, InvalidInput, OperationError, Unreachable
from hvconsole.model import ServerInfo

log = logging.getLogger(__name__)

MAX_CANDIDATES = 8
"""Most addresses that are tried for one login."""


def log_in(wire: Wire, target: Target, secret: Secret, trust: Trust) -> XenSession:
    """A session at the first address that answers, or at a known member when none does.

    A member that names its master is followed by itself only if the address was seen in this pool before, its
    certificate is accepted, and only once; else ``HostIsSlave`` leaves the question to the user.
    """
    local = is_emergency(target)
    if not target.addresses:
        raise InvalidInput("Enter the address of a server.")
    port = target.addresses[0][1]
    known = [(host, port) for host in target.known_members if trust.pinned(host, port) is not None]
    candidates = list(dict.fromkeys([*target.addresses, *([] if local else known)]))[:MAX_CANDIDATES]
    first: Unreachable | EmergencyMode | None = None
    waiting: EmergencyMode | None = None
    for address in candidates:
        try:
            return _log_in_at(wire, address, target, secret, trust)
        except (Unreachable, EmergencyMode) as exc:
            # A member that waits for the dead master knows nothing of the new one; the next may be it.
            log.info("no login at %s: %s", address[0], exc.detail)
            first = first or exc
            if isinstance(exc, EmergencyMode):
                exc.address = exc.address or address[0]
                waiting = waiting or exc
    assert first is not None
    # a member that waits says more than the silence of its master: it can be logged in to
    raise waiting or first


def _log_in_at(wire: Wire, address: tuple[str, int], target: Target, secret: Secret, trust: Trust) -> XenSession:
    try:
        return XenSession(wire, address, target.user, secret, local=is_emergency(target))
    except StillBooting as exc:
        _raise_if_in_emergency(wire, address, target.user, secret, exc)
        raise
    except HostIsSlave as exc:
        master = (exc.master_address, address[1])
        known = exc.master_address in target.known_members and trust.pinned(*master) is not None
        if exc.master_address == address[0] or not known:
            raise
        log.info("%s is a member of a pool, going to its master %s", address[0], exc.master_address)
    return XenSession(wire, master, target.user, secret)


def _raise_if_in_emergency(wire: Wire, address: tuple[str, int], user: str, secret: Secret, said: StillBooting) -> None:
    """A local login tells a host that boots from one that waits for a dead master. Raises ``EmergencyMode``."""
    try:
        session = XenSession(wire, address, user, secret, local=True)
    except HvError as exc:
        log.debug("no local login at %s: %s", address[0], exc.detail)
        return
    try:
        in_emergency = session.call("host.is_in_emergency_mode") is True
    except HvError:
        in_emergency = False
    finally:
        session.log_out()
    if in_emergency:
        raise EmergencyMode(
            "The host is in emergency mode: it can't find its pool master. An emergency login is possible.",
            said.detail,
        ) from said


def is_emergency(target: Target) -> bool:
    """Whether the user asked for a local login to a pool member."""
    return target.options.get("emergency", "") in ("yes", "true", "1")


def identify(session: XenSession) -> tuple[ServerInfo, tuple[int, int] | None]:
    """Product, version and API version of the server, as far as it tells; never fails for what it does not tell."""
    record: Mapping[str, Any] = {}
    try:
        host = session.call("session.get_this_host", session.handle)
        answer = session.call("host.get_record", host)
        record = answer if isinstance(answer, dict) else {}
    except (OperationError, BadReply) as exc:
        log.info("the server doesn't say which version it is: %s", exc.detail)
    software = f.texts(record, "software_version")
    major, minor = f.number(record, "API_version_major"), f.number(record, "API_version_minor")
    info = ServerInfo(
        platform="xenserver",
        product=software.get("product_brand", "") or "XenServer",
        version=software.get("product_version", "") or software.get("product_version_text", ""),
        address=session.address[0],
        port=session.address[1],
        user=session.user,
    )
    return info, (major, minor) if major is not None and minor is not None else None
