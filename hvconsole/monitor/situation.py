"""What the server says about a ticked VM, boiled down to what the policy's holds need. Pure; any thread.

``follow`` is called for every new ``Vm`` object of the inventory; ``holds`` and ``running`` are asked when a round is
judged.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from hvconsole.model import ObjectId, PowerState, Vm
from hvconsole.monitor.status import Hold, MonitorSettings

AFTERMATH_S = 10.0
"""How long pings may still suffer after a snapshot or migration ended; at most the time of re-arming."""
STILL_ANSWERS_S = 30.0
"""How long a guest may go on answering after it was told to reboot."""

# The server's own words for what it does with a VM: XenAPI vm_operations, vSphere task ids, WMI OperationalStatus.
# "merg", "consolid", "coalesc": removing a snapshot stuns a VM as taking one does.
_SNAPSHOT_WORDS = ("snapshot", "checkpoint", "revert", "merg", "consolid", "coalesc")
_MIGRATION_WORDS = ("migrat", "vmotion", "relocat", "evacuat")
_POWER_WORDS = (
    "reboot",
    "reset",
    "restart",
    "shutdown",
    "shut down",
    "shutting",
    "start",
    "poweron",
    "poweroff",
    "power on",
    "power off",
    "stop",
    "suspend",
    "resum",
    "pause",
    "standby",
    "power_state",
)

NEVER = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """``…_at`` are monotonic seconds at which that was last seen going on (``NEVER`` if not)."""

    known: bool = False
    """The inventory has it."""
    power: PowerState = PowerState.UNKNOWN
    host_id: ObjectId | None = None
    started: dt.datetime | None = None
    snapshots: frozenset[ObjectId] = frozenset()
    snapshotting: bool = False
    migrating: bool = False
    stopping: bool = False
    snapshot_at: float = NEVER
    migration_at: float = NEVER
    reboot_at: float = NEVER

    def running(self, connected: bool) -> bool:
        """Whether it is to be pinged. True while the server is away: nobody says that it stopped.

        A snapshot with memory and a migration show other power states on the way; they count as running.
        """
        if not self.known:
            return not connected
        if self.snapshotting or self.migrating:
            return True
        return self.power in (PowerState.RUNNING, PowerState.UNKNOWN)

    def pause_reason(self) -> str:
        """One sentence why it is not pinged."""
        if not self.known:
            return "The VM no longer exists on the server."
        return f"The VM is {self.power.value}."

    def holds(self, settings: MonitorSettings, now: float, armed_at: float, silent: bool) -> frozenset[Hold]:
        """Holds that follow from what the server does with the VM.

        ``armed_at``: monotonic time at which it last came up (again) in the monitor's eyes; ``silent``: it was
        already silent before the round that is being judged.
        """
        found = set()
        aftermath = aftermath_s(settings)
        if self.known and self.power not in (PowerState.RUNNING, PowerState.UNKNOWN):
            found.add(Hold.NOT_RUNNING)
        if self.snapshotting or now - self.snapshot_at < aftermath:
            found.add(Hold.SNAPSHOTTING)
        if self.migrating or now - self.migration_at < aftermath:
            found.add(Hold.MIGRATING)
        if self.stopping or self._rebooted(settings.reboot_grace_s, now, armed_at, silent):
            found.add(Hold.REBOOTED)
        return frozenset(found)

    def _rebooted(self, grace_s: float, now: float, armed_at: float, silent: bool) -> bool:
        if armed_at > self.reboot_at:
            return False  # went and came back
        # A guest that was asked to reboot goes on answering for a while. One that still answered long after has done
        # it between two rounds.
        return now - self.reboot_at < (grace_s if silent else min(grace_s, STILL_ANSWERS_S))


def aftermath_s(settings: MonitorSettings) -> float:
    """How long a snapshot or migration that has ended still excuses silence, in seconds."""
    return min(AFTERMATH_S, settings.interval_s * settings.recover_rounds)


def follow(before: Situation, vm: Vm | None, now: float) -> Situation:
    """The situation after the inventory showed ``vm`` (None = not there) at monotonic time ``now``."""
    if vm is None:
        return Situation(snapshot_at=before.snapshot_at, migration_at=before.migration_at, reboot_at=before.reboot_at)
    words = tuple(operation.lower() for operation in vm.operations)
    snapshotting = _any(words, _SNAPSHOT_WORDS)
    snapshots = frozenset(snapshot.id for snapshot in vm.snapshots)
    # A quick one is seen by its result only.
    another = before.known and snapshots != before.snapshots
    migrating = _any(words, _MIGRATION_WORDS)
    stopping = not snapshotting and not migrating and _any(words, _POWER_WORDS)
    moved = before.known and before.host_id is not None and vm.host_id is not None and vm.host_id != before.host_id
    booted = before.known and (
        _later_start(before.started, vm.started)
        or (before.power not in (PowerState.RUNNING, PowerState.UNKNOWN) and vm.power is PowerState.RUNNING)
    )
    return replace(
        before,
        known=True,
        power=vm.power,
        host_id=vm.host_id,
        started=vm.started,
        snapshots=snapshots,
        snapshotting=snapshotting,
        migrating=migrating,
        stopping=stopping,
        # What went on until now counts until now: its end is seen only as its absence.
        snapshot_at=now if snapshotting or before.snapshotting or another else before.snapshot_at,
        migration_at=now if migrating or before.migrating or moved else before.migration_at,
        reboot_at=now if stopping or before.stopping or booted else before.reboot_at,
    )


def told(before: Situation, now: float) -> Situation:
    """The situation after somebody told the VM to start, stop or reboot through this console."""
    return replace(before, reboot_at=now)


def _any(words: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return any(part in word for word in words for part in parts)


def _later_start(before: dt.datetime | None, now: dt.datetime | None) -> bool:
    # Some servers compute the start from an uptime: a few seconds of jitter are no reboot.
    return before is not None and now is not None and (now - before).total_seconds() > 30
