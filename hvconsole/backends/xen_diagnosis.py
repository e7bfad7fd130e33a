"""What the connection doctor can ask only a XenServer: the user's role and the host's clock. Worker threads only."""

from __future__ import annotations

from collections.abc import Iterator

from hvconsole.backends import xen_fields as f
from hvconsole.backends.base import Step
from hvconsole.backends.xen_session import XenSession
from hvconsole.clock import Clock
from hvconsole.errors import OperationError

SKEW_LIMIT_S = 60.0
"""A larger difference of clocks makes snapshot names, history and events hard to match."""

_ROLES = (
    ("vm.start", "start and stop VMs"),
    ("vm.snapshot", "take snapshots, which the monitor needs"),
)
"""(permission, what it is for), as ``session.rbac_permissions`` lists them."""


def checks(session: XenSession, clock: Clock) -> Iterator[Step]:
    """Role and clock. Blocks; a server too old to tell is passed over."""
    try:
        yield from _role(session)
    except OperationError as exc:
        yield Step(name="role", ok=True, text="The server doesn't tell the user's role.", detail=exc.detail)
    try:
        yield from _clock(session, clock)
    except OperationError:
        return


def _role(session: XenSession) -> Iterator[Step]:
    if session.call("session.get_is_local_superuser", session.handle) is True:
        yield Step(name="role", ok=True, text="The user may do everything (local root).")
        return
    answer = session.call("session.get_rbac_permissions", session.handle)
    permissions = {str(each).lower() for each in answer} if isinstance(answer, list) else set()
    if not permissions:
        return
    missing = [purpose for permission, purpose in _ROLES if permission not in permissions]
    if missing:
        yield Step(
            name="role",
            ok=False,
            text=f"The user's role doesn't allow to {' or to '.join(missing)}.",
            remedy="Give the user the role vm-power-admin or higher (XenCenter: pool, tab Users).",
        )
    else:
        yield Step(name="role", ok=True, text="The user's role allows to work VMs and take snapshots.")


def _clock(session: XenSession, clock: Clock) -> Iterator[Step]:
    host = session.call("session.get_this_host", session.handle)
    begun = clock.monotonic()
    theirs = f.date({"time": session.call("host.get_servertime", host)}, "time")
    ours = clock.now()
    if theirs is None:
        return
    # The server answered somewhere between asking and now, and tells whole seconds.
    slack_s = clock.monotonic() - begun + 1
    skew_s = abs((ours - theirs).total_seconds())
    if skew_s <= SKEW_LIMIT_S + slack_s:
        yield Step(name="clock", ok=True, text="The clocks of server and this computer agree.")
        return
    yield Step(
        name="clock",
        ok=True,
        text=f"The clocks of server and this computer differ by {skew_s:.0f} s.",
        remedy="Set up NTP on both; until then times of snapshots and history don't match.",
    )
