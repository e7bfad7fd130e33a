"""What the monitor shows and what it can be told: frozen types shared with window, command line and settings.

Pure data; any thread may read.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hvconsole.errors import InvalidInput
from hvconsole.model import ObjectId, ServerId
from hvconsole.outages import Outage
from hvconsole.text import unsendable

ROUNDS_KEPT = 60
"""How many of the last rounds of a VM are kept for showing."""
MAX_PINGS = 4
"""Most echo requests in one round."""


class VmKey(NamedTuple):
    """One VM of one server, across restarts."""

    server_id: ServerId
    vm_id: ObjectId


class MonitorState(enum.StrEnum):
    """Where a ticked VM stands."""

    OFF = "off"
    """Not ticked."""
    PAUSED = "paused"
    """Cannot be judged now: not running, no address, no right to ping; ``MonitorStatus.reason`` says why."""
    LEARNING = "learning"
    """Has not answered yet since it was ticked or started."""
    UP = "up"
    SUSPECT = "suspect"
    """Rounds were lost, fewer than the setting asks for."""
    DOWN = "down"
    RECOVERING = "recovering"
    """Answers again after an outage; not yet often enough to be re-armed."""


class RoundResult(enum.StrEnum):
    """Outcome of one round. Only ``LOST`` can lead to a snapshot."""

    OK = "ok"
    DEGRADED = "degraded"
    """Some, not all, requests were lost."""
    LOST = "lost"
    UNKNOWN = "unknown"
    """Says nothing about the VM: could not send, this computer was offline, asleep or too busy."""


class Hold(enum.StrEnum):
    """Reasons for which an automatic snapshot is held back, in the order in which they are looked at."""

    STATION_OFFLINE = "station-offline"
    NOT_RUNNING = "not-running"
    NEVER_ANSWERED = "never-answered"
    MIGRATING = "migrating"
    REBOOTED = "rebooted"
    SNAPSHOTTING = "snapshotting"
    COMMON_CAUSE = "common-cause"
    STORM = "storm"
    SERVER_AWAY = "server-away"
    """The server cannot be asked; not a setting."""
    NO_JOURNAL = "no-journal"
    """The outage could not be written to disk; not a setting."""


HOLD_LABELS: Mapping[Hold, str] = {
    Hold.STATION_OFFLINE: "this computer is offline",
    Hold.NOT_RUNNING: "the VM isn't running",
    Hold.NEVER_ANSWERED: "the VM has never answered",
    Hold.MIGRATING: "the VM is migrating",
    Hold.REBOOTED: "the VM was just rebooted",
    Hold.SNAPSHOTTING: "a snapshot of the VM is being taken or removed",
    Hold.COMMON_CAUSE: "many VMs of the server were lost together",
    Hold.STORM: "too many automatic snapshots in a minute",
}
"""The holds that are settings, with what the Preferences dialog calls them ("Hold back while …")."""

HOLD_SENTENCES: Mapping[Hold, str] = {
    Hold.STATION_OFFLINE: "Nothing else answers either: this computer seems to be offline.",
    Hold.NOT_RUNNING: "The VM isn't running.",
    Hold.NEVER_ANSWERED: "It has never answered a ping since it was ticked or started. Does its firewall block ICMP?",
    Hold.MIGRATING: "The VM is migrating.",
    Hold.REBOOTED: "The VM was just started, rebooted or told to stop.",
    Hold.SNAPSHOTTING: "A snapshot of the VM is being taken or removed, which itself costs pings.",
    Hold.COMMON_CAUSE: "Many VMs of this server were lost at the same moment: probably one common cause.",
    Hold.STORM: "Too many automatic snapshots in the last minute; it waits for its turn.",
    Hold.SERVER_AWAY: "The server can't be reached, so no snapshot can be asked for.",
    Hold.NO_JOURNAL: "The outage can't be written to disk, so no automatic snapshot is taken.",
}
"""Hold → one sentence for people."""

DEFAULT_HOLDS = frozenset(HOLD_LABELS) - {Hold.COMMON_CAUSE}


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    """How one VM, or all, are watched. Raises ``InvalidInput`` when constructed with values that cannot work."""

    interval_s: float = 5.0
    """From the start of one round to the start of the next."""
    timeout_s: float = 1.0
    """How long each echo request may take."""
    pings: int = 2
    """Echo requests per round."""
    lost_rounds: int = 1
    """Lost rounds in a row that make an outage."""
    recover_rounds: int = 2
    """Good rounds in a row that end it and re-arm."""
    prefix: str = "Network_Down"
    """Beginning of the snapshot's name; the UTC time follows."""
    memory: bool = False
    """Snapshot with the VM's memory."""
    keep: int = 3
    """Newest automatic snapshots kept per VM; 0 = all."""
    holds: frozenset[Hold] = DEFAULT_HOLDS
    """What holds an automatic snapshot back."""
    reboot_grace_s: float = 120.0
    """How long after a start or reboot ``Hold.REBOOTED`` lasts."""
    storm_per_minute: int = 60
    """``Hold.STORM``: automatic snapshots per server and minute."""
    address: str = ""
    """Address or name to ping; empty = chosen from what the guest reports."""
    family: str = "any"
    """"any" (first IPv4, else IPv6), "ipv4" or "ipv6"."""

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise InvalidInput(problem)

    def _problem(self) -> str | None:
        if not 0.2 <= self.interval_s <= 3600:
            return "The interval must be between 0.2 and 3600 seconds."
        if not 0.05 <= self.timeout_s <= self.interval_s * 0.8:
            return "The time limit of a ping must be at least 0.05 s and at most four fifths of the interval."
        if not 1 <= self.pings <= MAX_PINGS:
            return f"A round has 1 to {MAX_PINGS} pings."
        if not 1 <= self.lost_rounds <= 1000 or not 1 <= self.recover_rounds <= 1000:
            return "The number of rounds must be between 1 and 1000."
        if not self.prefix.strip() or len(self.prefix) > 40:
            return "The name of automatic snapshots must begin with 1 to 40 characters."
        if not 0 <= self.keep <= 1000:
            return "The number of automatic snapshots to keep must be between 0 (all) and 1000."
        if not self.holds <= set(HOLD_LABELS):
            return "This hold can't be switched."
        if not 0 <= self.reboot_grace_s <= 86_400 or not 1 <= self.storm_per_minute <= 10_000:
            return "The grace time or the number of snapshots per minute is out of range."
        if self.family not in ("any", "ipv4", "ipv6"):
            return "The address family is any, ipv4 or ipv6."
        return unsendable(self.prefix) or unsendable(self.address) or self._address_problem()

    def _address_problem(self) -> str | None:
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return None  # a name, or none
        if address.version == 6 and (address.is_link_local or address.scope_id):
            return "A link-local address (fe80::…, or one with a zone after “%”) can't be monitored; choose another."
        return None

    @property
    def gap_s(self) -> float:
        """From one request of a round to the next, in seconds."""
        return min(0.5, self.interval_s / 10)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for a settings file."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["holds"] = sorted(str(hold) for hold in self.holds)
        return values

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> MonitorSettings:
        """Back from ``to_mapping``; unknown keys and unknown holds are ignored. Raises ``InvalidInput``."""
        given: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name not in values:
                continue
            value = values[field.name]
            if field.name == "holds":
                switchable = {str(hold): hold for hold in HOLD_LABELS}
                value = frozenset(switchable[name] for name in value if name in switchable)
            given[field.name] = value
        try:
            return cls(**given)
        except TypeError as exc:
            raise InvalidInput("The monitor's settings can't be read.", str(exc)) from exc


DEFAULT = MonitorSettings()

PRESETS: Mapping[str, MonitorSettings] = {
    "At once": DEFAULT,
    "Balanced": replace(DEFAULT, lost_rounds=3),
    "Cautious": replace(DEFAULT, lost_rounds=6, holds=frozenset(HOLD_LABELS)),
    "Classic 2012": replace(DEFAULT, holds=frozenset(), keep=0),
}
"""Name → settings; "At once" is the default. "Classic 2012" holds nothing back, as the program of 2012 did."""


def preset_of(settings: MonitorSettings) -> str | None:
    """The preset whose judgement (rounds and holds) the settings have, or None."""
    for name, preset in PRESETS.items():
        if (settings.lost_rounds, settings.recover_rounds, settings.holds) == (
            preset.lost_rounds,
            preset.recover_rounds,
            preset.holds,
        ):
            return name
    return None


def with_preset(settings: MonitorSettings, name: str) -> MonitorSettings:
    """``settings`` with the judgement of a preset; address, times and snapshot options stay."""
    preset = PRESETS[name]
    return replace(settings, lost_rounds=preset.lost_rounds, recover_rounds=preset.recover_rounds, holds=preset.holds)


@dataclass(frozen=True, slots=True)
class Round:
    """One finished round. ``rtts_ms`` has one entry per request, None where no reply came in time."""

    when: dt.datetime
    result: RoundResult
    rtts_ms: tuple[float | None, ...] = ()
    note: str = ""
    """Why a request was lost or the round says nothing: an ICMP error, a reason of this computer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorStatus:
    """How one ticked VM stands at one moment."""

    key: VmKey
    vm_name: str
    """Hostile."""
    settings: MonitorSettings
    address: str = ""
    """Address that is pinged; empty = none known."""
    addresses: tuple[str, ...] = ()
    """All addresses to choose from."""
    state: MonitorState = MonitorState.LEARNING
    state_since: dt.datetime
    reason: str = ""
    """One sentence why it is paused, learning or held; empty otherwise."""
    hold: Hold | None = None
    """What holds the snapshot of the present outage back."""
    rounds: Sequence[Round] = ()
    """The last ``ROUNDS_KEPT`` rounds, oldest first; never changes, made when looked at."""
    last_rtt_ms: float | None = None
    """Best round-trip time of the last round; None if it was lost or there is none yet."""
    average_rtt_ms: float | None = None
    """Mean over the kept rounds."""
    loss_fraction: float | None = None
    """Lost requests / sent requests of the kept rounds that say something; None while there are none."""
    rounds_total: int = 0
    """Rounds since it was ticked in this run."""
    would_have_fired: Mapping[int, int]
    """Lost rounds in a row (1, 3, 6, and the present setting) → how often that many came since it was ticked."""
    outage: Outage | None = None
    """The present outage and what became of its snapshot; None while there is none."""
    last_snapshot_name: str = ""
    last_snapshot_when: dt.datetime | None = None
    """Newest automatic snapshot of this VM."""
