"""What the connection doctor can ask only a vSphere server: version, licence, rights, clock. Worker threads only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from hvconsole.backends.base import Step
from hvconsole.backends.vsphere_api import vim
from hvconsole.backends.vsphere_host import licence_names
from hvconsole.backends.vsphere_places import HOSTS, list_kind
from hvconsole.backends.vsphere_session import Session
from hvconsole.clock import Clock
from hvconsole.errors import OperationError

SKEW_LIMIT_S = 60.0
"""A larger difference of clocks makes snapshot names, history and events hard to match."""

_RIGHTS = (
    ("VirtualMachine.Interact.PowerOn", "start VMs"),
    ("VirtualMachine.State.CreateSnapshot", "take snapshots, which the monitor needs"),
)
"""(privilege, what it is for)."""


def checks(session: Session, clock: Clock) -> Iterator[Step]:
    """All checks. A question that the server doesn't answer is passed over."""
    about = session.content.about
    yield Step(name="version", ok=True, text=f"{about.fullName}; the API is spoken as version {session.api_version}.")
    for check in (_licence, _rights, _managed):
        try:
            yield from check(session)
        except OperationError as exc:
            yield Step(name=check.__name__.strip("_"), ok=True, text="The server doesn't tell.", detail=exc.detail)
    try:
        yield from _clock(session, clock)
    except OperationError:
        return


def _licence(session: Session) -> Iterator[Step]:
    names = licence_names(session)
    if not names:
        return
    # Whether a free licence forbids changes differs between versions; only a refused change proves it.
    yield Step(
        name="licence",
        ok=True,
        text=f"Licence: {names}.",
        remedy="A free licence may allow reading only; the first change that is refused for it will say so.",
    )


def _rights(session: Session) -> Iterator[Step]:
    manager = session.content.authorizationManager
    me = session.session_key
    if manager is None or not me:
        return
    wanted = [privilege for privilege, _purpose in _RIGHTS]
    root = session.content.rootFolder
    answer = list(session.read(lambda: manager.HasPrivilegeOnEntity(root, me, wanted)) or ())
    missing = [purpose for (_privilege, purpose), held in zip(_RIGHTS, answer, strict=False) if not held]
    if missing:
        yield Step(
            name="rights",
            ok=False,
            text=f"On the inventory as a whole the user may not {' and not '.join(missing)}.",
            remedy="Give the user a role with these rights, or use only the objects on which he has one.",
        )
    else:
        yield Step(name="rights", ok=True, text="The user may start VMs and take snapshots.")


def _managed(session: Session) -> Iterator[Step]:
    if session.is_vcenter:
        return
    for host in list_kind(session, "HostSystem", HOSTS):
        manager = host.get("summary.managementServerIp", "")
        if manager:
            yield Step(
                name="managed",
                ok=True,
                text=f"This host is managed by the vCenter at {manager}.",
                remedy="Connect to the vCenter instead: changes made at the host bypass it.",
            )


def _clock(session: Session, clock: Clock) -> Iterator[Step]:
    begun = clock.monotonic()
    theirs = session.read(vim.ServiceInstance("ServiceInstance", session.stub).CurrentTime)
    # the answer was made about half-way through the round trip
    ours = clock.now() - dt.timedelta(seconds=(clock.monotonic() - begun) / 2)
    skew_s = (theirs.astimezone(dt.UTC) - ours).total_seconds()
    if abs(skew_s) > SKEW_LIMIT_S:
        yield Step(
            name="clock",
            ok=False,
            text=f"The server's clock is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this computer's.",
            remedy="Set the clocks of both by NTP (ESXi: Manage, System, Time & date).",
        )
    else:
        yield Step(name="clock", ok=True, text="The server's clock agrees with this computer's.")
