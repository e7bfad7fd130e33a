"""The host: who it is at login, restarting it, switching it off with the running VMs named first. Any worker thread."""

from __future__ import annotations

import logging
from dataclasses import replace

from hvconsole.backends import hyperv_facts as facts
from hvconsole.backends import hyperv_model as model
from hvconsole.backends.base import TaskContext
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.hyperv_model import HostFacts
from hvconsole.backends.hyperv_read import MANAGEMENT, Reader
from hvconsole.backends.wsman_envelope import CIMV2
from hvconsole.backends.wsman_faults import FaultError
from hvconsole.errors import (
    HvError,
    NotAHypervisor,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    Refused,
    TaskTimeout,
    Unreachable,
)
from hvconsole.model import PowerState
from hvconsole.text import safe_text

log = logging.getLogger(__name__)

_REBOOT, _POWER_OFF, _FORCED = 2, 8, 4
_NAMED = 10
_DENIED, _NO_PRIVILEGE = 5, 1314
_DOWN_TRIES, _DOWN_PAUSE_S = 240, 0.5


def no_role(exc: HvError) -> NotAHypervisor:
    """What a missing namespace or class means at login."""
    return NotAHypervisor(
        "This Windows machine has no Hyper-V, or one older than Windows Server 2012 R2. "
        "Add the role there with: Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart",
        exc.detail,
    )


def learn(reader: Reader, address: str) -> HostFacts:
    """Who the host is. Raises ``PermissionDenied`` without Hyper-V rights, ``NotAHypervisor`` without the role.

    What root/cimv2 does not show to this user stays empty.
    """
    try:
        reader.service(MANAGEMENT)
    except NotFound as exc:
        raise no_role(exc) from exc
    except FaultError as exc:
        if exc.fault.missing:
            raise no_role(exc) from exc
        raise
    server = reader.server_name or address
    facts = HostFacts(server=server, name=server, uuid="", address=address)
    for row in reader.optional("Win32_ComputerSystem"):
        facts = replace(
            facts,
            name=row.text("DNSHostName") or row.text("Name") or server,
            cpus=row.number("NumberOfLogicalProcessors"),
            sockets=row.number("NumberOfProcessors"),
            memory_bytes=row.number("TotalPhysicalMemory"),
        )
    for row in reader.optional("Win32_OperatingSystem"):
        facts = replace(facts, product=row.text("Caption").strip(), version=row.text("Version"))
    processors = reader.optional("Win32_Processor")
    if processors:
        facts = replace(
            facts,
            cpu_model=" ".join(processors[0].text("Name").split()),
            cores=sum(row.number("NumberOfCores") or 0 for row in processors) or None,
        )
    for row in reader.optional("Win32_ComputerSystemProduct"):
        facts = replace(facts, uuid=row.text("UUID").lower())
    return facts


class HostVerbs:
    """Restarting and switching off."""

    def __init__(self, reader: Reader, jobs: Jobs) -> None:
        self._reader = reader
        self._client = reader.client
        self._jobs = jobs

    def go_down(self, ctx: TaskContext, *, restart: bool, force: bool) -> None:
        """Restart or switch off; refused while VMs run there, unless ``force``.

        Windows then does with them what each one's setting for that case says (save, shut down, turn off).
        """
        busy = [] if force else self._running()
        if busy:
            named = ", ".join(safe_text(name, 60) for name in busy[:_NAMED])
            more = f" and {len(busy) - _NAMED} more" if len(busy) > _NAMED else ""
            raise Refused(f"VMs are running on this host: {named}{more}.", ", ".join(busy) if more else "")
        rows = self._client.instances(CIMV2, "Win32_OperatingSystem", with_epr=True)
        if not rows or rows[0].epr is None:
            raise PermissionDenied("The host doesn't let this user restart it.")
        flags = (_REBOOT if restart else _POWER_OFF) | (_FORCED if force else 0)
        try:
            value, _output = self._client.invoke(rows[0].epr, "Win32Shutdown", {"Flags": flags, "Reserved": 0}, ctx)
        except OutcomeUnknown:
            # Going down cuts connections; what became of it shows below.
            value = 0
        if value in (_DENIED, _NO_PRIVILEGE):
            raise PermissionDenied("This user may not restart the host.", f"code {value}")
        if value:
            raise Refused("Windows refused to go down.", f"Win32Shutdown returned {value}", code=str(value))
        self._wait_until_down(rows[0].text("LastBootUpTime"), ctx)

    def _running(self) -> list[str]:
        """Names of the VMs that would be hit, as the host has them now."""
        states = filter(None, map(facts.state_fact, self._reader.systems()))
        return sorted(
            state.name for state in states if model.power_of(state, None) in (PowerState.RUNNING, PowerState.PAUSED)
        )

    def _wait_until_down(self, booted: str, ctx: TaskContext) -> None:
        """Until the host is silent, or has started anew meanwhile. Raises ``TaskTimeout``."""
        ctx.progress(None, "Waiting for Windows to go down")
        with self._jobs.waking(ctx) as wake:
            for _attempt in range(_DOWN_TRIES):
                try:
                    rows = self._client.instances(CIMV2, "Win32_OperatingSystem")
                except (Unreachable, OutcomeUnknown):
                    return
                if rows and rows[0].text("LastBootUpTime") != booted:
                    return
                if ctx.cancelled:
                    break
                self._jobs.pause(wake, _DOWN_PAUSE_S)
        raise TaskTimeout("Windows was asked to go down and hasn't done so yet; it may still be at it.")
