"""What the connection doctor asks a Hyper-V host that it is logged in to, with remedies as commands for Windows.

What keeps a login from succeeding is told by ``advice.HYPERV``. Worker threads only; changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from hvconsole.backends.advice import HYPERV
from hvconsole.backends.base import Step
from hvconsole.backends.hyperv_read import IMAGES, SNAPSHOTS, Reader
from hvconsole.backends.wsman_envelope import CIMV2
from hvconsole.backends.wsman_reply import integer
from hvconsole.clock import Clock
from hvconsole.errors import HvError, PermissionDenied

SKEW_LIMIT_S = 60.0
"""A larger difference of clocks makes checkpoint names hard to match; from 5 minutes on Kerberos fails."""
KERBEROS_LIMIT_S = 300.0
_OLDEST = (6, 3)
"""Windows Server 2012 R2 and Windows 8.1."""

RIGHTS = (
    'On the host, as administrator: Add-LocalGroupMember -Group "Hyper-V Administrators" -Member USER; '
    'Add-LocalGroupMember -Group "Remote Management Users" -Member USER. For a local user other than the built-in '
    "Administrator also: Set-ItemProperty HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System "
    "LocalAccountTokenFilterPolicy 1 -Type DWord. Then log in again."
)
CIM_RIGHTS = (
    "On the host, in wmimgmt.msc, give the user Remote Enable and Execute Methods on Root\\CIMV2 and "
    "Root\\virtualization\\v2."
)
CLOCK = "On the host: w32tm /resync (check with: w32tm /query /status)."
QUOTA = HYPERV["busy"]


def checks(reader: Reader, clock: Clock, no_migration: str) -> Iterator[Step]:
    """Version, rights, clock, services, migration. Blocks."""
    yield from _version_and_clock(reader, clock)
    yield from _rights(reader)
    yield from _management_service(reader)
    if no_migration:
        yield Step(name="migration", ok=True, text="VMs can't be migrated from here.", remedy=no_migration)


def _version_and_clock(reader: Reader, clock: Clock) -> Iterator[Step]:
    begun = clock.monotonic()
    try:
        rows = reader.all_of("Win32_OperatingSystem", CIMV2)
    except HvError as exc:
        yield Step(
            name="windows",
            ok=False,
            text="The host doesn't tell about its Windows.",
            remedy=CIM_RIGHTS,
            detail=exc.detail,
            error=exc,
        )
        return
    if not rows:
        yield Step(name="windows", ok=False, text="The host doesn't tell about its Windows.", remedy=CIM_RIGHTS)
        return
    version = rows[0].text("Version")
    numbers = tuple(number for part in version.split(".")[:2] if (number := integer(part)) is not None)
    if len(numbers) == 2 and numbers < _OLDEST:
        yield Step(
            name="windows",
            ok=False,
            text=f"Windows {version} is too old for what this program asks.",
            remedy="Use Windows Server 2012 R2 or newer, or Windows 10 or 11.",
        )
    else:
        yield Step(name="windows", ok=True, text=f"{rows[0].text('Caption').strip()}, version {version}.")
    theirs = rows[0].time("LocalDateTime")
    if theirs is None:
        return
    middle = (clock.monotonic() - begun) / 2
    skew = (theirs - clock.now()).total_seconds() + middle
    if abs(skew) > SKEW_LIMIT_S:
        ahead = "ahead of" if skew > 0 else "behind"
        note = " Kerberos logins fail with such a difference." if abs(skew) > KERBEROS_LIMIT_S else ""
        yield Step(
            name="clock",
            ok=False,
            remedy=CLOCK,
            text=f"The host's clock is {abs(skew):.0f} s {ahead} this computer's.{note}",
        )
    else:
        yield Step(name="clock", ok=True, text="The clocks of host and this computer agree.")


def _rights(reader: Reader) -> Iterator[Step]:
    for name, what in ((SNAPSHOTS, "checkpoints"), (IMAGES, "virtual disks")):
        try:
            reader.service(name)
        except PermissionDenied as exc:
            yield Step(
                name="rights",
                ok=False,
                text=f"The host doesn't let this user work with {what}.",
                remedy=RIGHTS,
                detail=exc.detail,
                error=exc,
            )
            return
        except HvError as exc:
            remedy = QUOTA if exc.retryable else CIM_RIGHTS
            yield Step(name="rights", ok=False, text=exc.user_text, remedy=remedy, detail=exc.detail, error=exc)
            return
    yield Step(name="rights", ok=True, text="The user may work with VMs, checkpoints and virtual disks.")


def _management_service(reader: Reader) -> Iterator[Step]:
    for row in reader.optional("Win32_Service", CIMV2):
        if row.text("Name").lower() == "vmms" and row.text("State").lower() != "running" and row.text("State"):
            yield Step(
                name="service",
                ok=False,
                text="The Virtual Machine Management service doesn't run.",
                remedy="On the host: Start-Service vmms",
            )
            return
