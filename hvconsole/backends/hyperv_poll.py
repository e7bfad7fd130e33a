"""Watching a host that pushes nothing: cheap questions often, dear ones rarely, nothing rebuilt that did not change.

One round asks for the states; what they reveal makes other parts due: settings and checkpoints, guests' addresses,
hardware. The pause follows the cost of a round and shortens after ``nudge``. ``watch`` is called by one thread;
``nudge``, ``refresh``, ``touch``, ``close`` by any.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from hvconsole.backends import hyperv_facts as facts
from hvconsole.backends import hyperv_model as model
from hvconsole.backends.hyperv_facts import GuestFact, HardwareFact, SettingsFact, StateFact
from hvconsole.backends.hyperv_model import HostFacts, VmFacts
from hvconsole.backends.hyperv_read import Reader
from hvconsole.backends.wire_calls import EVERYTHING
from hvconsole.backends.wsman_envelope import CIMV2, V2
from hvconsole.backends.wsman_reply import Record
from hvconsole.clock import Clock
from hvconsole.errors import InvalidInput, NotFound, NotSupported, OperationError, Refused, SessionLost
from hvconsole.model import Inventory, Network, ObjectId, PowerState, ServerInfo, Storage, Vm

log = logging.getLogger(__name__)

_T = TypeVar("_T")

IDLE_S, FAST_S = 1.2, 0.3
"""Shortest pauses between rounds, idle and after something was done."""
IDLE_COST, FAST_COST = 8.0, 3.0
"""A pause is at least so many times as long as asking for the states takes: the host must not feel us."""
LONGEST_S = 10.0
FRESH_S = 0.5
FAST_FOR_S = 10.0
SETTINGS_S, GUESTS_S, SLOW_S = 4.0, 5.0, 60.0
"""How old settings, addresses, and hardware with everything else may get without a sign of change."""
PART_COST = 40.0
"""They may get older, so many times as old as reading them takes."""
TOLD_S = 15.0
"""How often a guest is asked itself whose addresses the host doesn't tell."""
MANY_VMS = 250
"""More VMs than this do not fit into one summary: their states come as columns, their summaries in pieces."""
MOST_PIECES = 2
"""A full refresh asks for so many pieces at most: they cost what the columns would, and tell far more."""
FEW_UNKNOWN = 60
"""So many VMs' hardware is read within the round that finds them; more of them in the next."""
NAMED_AT_ONCE = 15
"""So many VMs are named in one query: WMI refuses those that it finds too complex."""
SAMPLES = 720
HOST = "host"

_REFUSED = (Refused, NotSupported, InvalidInput, NotFound)
"""A question that is too large for the host, or that it does not understand."""

Sample = tuple[dt.datetime, int | None, int | None]
"""(when, processor load in percent, memory in MiB)."""


class Poller:
    """Turns answers into inventories. ``host`` is what was learnt at login.

    ``no_migration``: why VMs cannot leave, or nothing; ``destinations``: names of hosts that they can be moved to.
    """

    def __init__(
        self,
        reader: Reader,
        clock: Clock,
        server: ServerInfo,
        host: HostFacts,
        no_migration: str,
        destinations: tuple[str, ...] = (),
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._server = server
        self._host = host
        self._host_id = ObjectId(host.server)
        self._no_migration = no_migration
        self._destinations = {ObjectId(name): model.build_destination(name) for name in destinations}
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._fast_until = 0.0
        self._everything = True
        self._touched: set[str] = set()
        self._closed = False
        self._states: dict[str, StateFact] = {}
        self._uptimes: dict[str, int | None] = {}
        self._guests: dict[str, GuestFact] = {}
        self._settings: dict[str, SettingsFact] = {}
        self._planned: set[str] = set()
        self._checkpoints: dict[str, tuple[SettingsFact, ...]] = {}
        self._addresses: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {}
        self._told: dict[str, tuple[str, ...]] = {}
        self._asked_at: dict[str, float] = {}
        self._hardware: dict[str, HardwareFact] = {}
        self._switches: dict[str, tuple[str, str]] = {}
        self._volumes: dict[str, tuple[str, str, int | None, int | None]] = {}
        self._read_at: dict[str, float] = {}
        self._slow_due = True
        self._first = True
        self._state_costs: deque[float] = deque(maxlen=5)
        self._costs: dict[str, float] = {}
        self._next_round = 0.0
        self._last_round = 0.0
        self._next_piece = 0
        self._at_once = MANY_VMS
        self._built: dict[str, tuple[VmFacts, Vm]] = {}
        self._samples: dict[str, deque[Sample]] = {}
        self.inventory: Inventory | None = None
        """The last inventory; any thread may read it."""

    # ---- from any thread -----------------------------------------------------------------------------------

    def nudge(self) -> None:
        """Look soon, and often for a while."""
        with self._lock:
            self._fast_until = self._clock.monotonic() + FAST_FOR_S
        self._wake.set()

    def touch(self, vm_guid: str = "") -> None:
        """Something about this VM was changed by us: read its settings and hardware again."""
        with self._lock:
            self._touched.add(vm_guid.upper())
        self.nudge()

    def refresh(self) -> None:
        """Read everything again."""
        with self._lock:
            self._everything = True
        self._wake.set()

    def close(self) -> None:
        """End a waiting ``watch``."""
        self._closed = True
        self._wake.set()

    def samples(self, vm_guid: str) -> tuple[Sample, ...]:
        """What the rounds have measured of a VM, or (``HOST``) of all VMs together, oldest first."""
        with self._lock:
            return tuple(self._samples.get(vm_guid, ()))

    # ---- the watching thread -------------------------------------------------------------------------------

    def watch(self, timeout_s: float) -> Inventory | None:
        """The contract's ``watch``. Raises ``SessionLost`` after ``close``."""
        end = self._clock.monotonic() + timeout_s
        asked = False
        while True:
            if self._closed:
                raise SessionLost("The connection was closed.")
            now = self._clock.monotonic()
            rest = self._next_round - now
            if rest > 0 and not self._wake.is_set():
                if end > now:
                    self._clock.wait(self._wake, min(end - now, rest))
                    continue
                # Nobody shall wait for long and then hear "nothing new" of a host that was not even asked.
                if asked or now - self._last_round < FRESH_S:
                    return None
            self._wake.clear()
            asked = True
            changed = self._round()
            if changed is not None:
                return changed

    def _pause(self) -> float:
        fast = self._clock.monotonic() < self._fast_until
        shortest, cost = (FAST_S, FAST_COST) if fast else (IDLE_S, IDLE_COST)
        # The best of the last few: one slow answer says more about the moment than about the host.
        return min(LONGEST_S, max(shortest, cost * min(self._state_costs, default=0.0)))

    def _round(self) -> Inventory | None:
        with self._lock:
            everything, self._everything = self._everything, False
            touched, self._touched = self._touched, set()
        self._next_round = 0.0
        try:
            with self._reader.client.within(EVERYTHING):
                self._read(everything, touched)
        except BaseException:
            # What was due is still due, for whoever watches next.
            with self._lock:
                self._everything |= everything
                self._touched |= touched
            raise
        self._last_round = self._clock.monotonic()
        if not self._slow_due:
            self._next_round = self._clock.monotonic() + self._pause()
        return self._assemble(force=everything)

    def _read(self, everything: bool, touched: set[str]) -> None:
        slow_now = self._slow_due and not self._first and not everything
        if everything:
            self._read_at.clear()
            self._slow_due = True
        if self._first or touched or self._due("settings", SETTINGS_S):
            self._read_settings()
        before = self._states
        begun = self._clock.monotonic()
        if not slow_now or touched or begun - self._last_round >= FRESH_S:
            self._read_states(piecewise=not everything)
            self._state_costs.append(self._clock.monotonic() - begun)
        self._react(before, touched)
        if self._due("guests", GUESTS_S):
            self._read_guests()
        unknown = [guid for guid in self._states if guid not in self._hardware or guid in touched]
        if self._due("slow", SLOW_S) or slow_now:
            self._slow_due = True
        if self._slow_due and (slow_now or len(self._states) <= FEW_UNKNOWN):
            self._read_slow()
        elif unknown and len(unknown) <= FEW_UNKNOWN:
            for start in range(0, len(unknown), NAMED_AT_ONCE):
                some = unknown[start : start + NAMED_AT_ONCE]
                self._hardware.update(facts.hardware_facts(self._reader.hardware(some)))
        self._first = False

    def _due(self, part: str, after_s: float) -> bool:
        wanted = max(after_s, PART_COST * self._costs.get(part, 0.0))
        return self._clock.monotonic() - self._read_at.get(part, float("-inf")) >= wanted

    def _mark(self, part: str, begun: float) -> None:
        self._read_at[part] = self._clock.monotonic()
        self._costs[part] = self._read_at[part] - begun

    def _expire(self, part: str) -> None:
        self._read_at.pop(part, None)

    # ---- parts ---------------------------------------------------------------------------------------------

    def _read_settings(self) -> None:
        begun = self._clock.monotonic()
        settings: dict[str, SettingsFact] = {}
        checkpoints: dict[str, list[SettingsFact]] = {}
        self._planned = set()
        for fact in filter(None, map(facts.settings_fact, self._reader.settings())):
            if fact.is_realized:
                settings[fact.vm_guid] = fact
            elif fact.kind.lower() == facts.PLANNED:
                self._planned.add(fact.vm_guid)
            elif fact.is_checkpoint:
                checkpoints.setdefault(fact.vm_guid, []).append(fact)
        self._settings = settings
        self._checkpoints = {guid: tuple(found) for guid, found in checkpoints.items()}
        self._mark("settings", begun)

    def _read_states(self, *, piecewise: bool) -> None:
        guids = sorted(self._settings)
        pieces = -(-len(guids) // self._at_once) if self._at_once else len(guids)
        if pieces <= 1 or (pieces <= MOST_PIECES and not piecewise):
            try:
                self._take(self._completed(self._summaries(guids, pieces)), whole=True)
                return
            except _REFUSED as exc:
                log.info("the summary of %d VMs isn't to be had in %d pieces: %s", len(guids), pieces, exc.detail)
                if pieces <= 1 or not isinstance(exc, NotFound | InvalidInput):
                    # Where VMs are named, one that was deleted meanwhile says nothing about the size.
                    self._at_once = len(guids) // max(1, pieces) // 2
        self._take(self._reader.systems(), whole=True)
        if piecewise and not self._first:
            self._read_piece()

    def _summaries(self, guids: list[str], pieces: int) -> list[Record]:
        """Summaries of all VMs, in pieces of the same size."""
        if pieces <= 1:
            return self._reader.summaries()
        size = -(-len(guids) // pieces)
        return [
            record
            for start in range(0, len(guids), size)
            for record in self._reader.summaries(guids[start : start + size])
        ]

    def _completed(self, summaries: list[Record]) -> list[Record]:
        """The summaries, and plain states of the VMs that they leave out or say too little about."""
        told = {state.guid for state in filter(None, map(facts.state_fact, summaries))}
        if told.issuperset(self._settings):
            return summaries
        rows = [(facts.state_fact(record), record) for record in self._reader.systems()]
        return summaries + [record for state, record in rows if state is not None and state.guid not in told]

    def _read_piece(self) -> None:
        """Summaries of the next few VMs: those never read first, then round and round."""
        if self._at_once == 0:
            return
        guids = sorted(self._states)
        unread = [guid for guid in guids if guid not in self._guests]
        if not unread:
            self._next_piece %= max(1, len(guids))
            unread = guids[self._next_piece : self._next_piece + self._at_once]
            self._next_piece += self._at_once
        if not unread:
            return
        try:
            self._take(self._reader.summaries(unread[: self._at_once]), whole=False)
        except _REFUSED as exc:
            log.info("no summary of %d VMs: %s", self._at_once, exc.detail)
            self._at_once //= 2

    def _take(self, records: list[Record], *, whole: bool) -> None:
        states: dict[str, StateFact] = {}
        now = self._clock.now()
        load, memory = 0, 0
        for record in records:
            state = facts.state_fact(record)
            if state is None or (state.guid in self._planned and state.guid not in self._settings):
                continue
            states[state.guid] = state
            summary = record.class_name.startswith("SummaryInformation") or bool(record.text("NumberOfProcessors"))
            if summary:
                guest, known = facts.guest_fact(record), self._guests.get(state.guid)
                # A guest that is down says nothing; what it was is still of interest.
                system = guest.os or (known.os if known is not None else "")
                self._guests[state.guid] = replace(guest, os=system)
                percent, used = record.number("ProcessorLoad"), record.number("MemoryUsage")
                self._sample(state.guid, now, percent, used)
                load += (percent or 0) * (guest.vcpus or 1)
                memory += used or 0
            uptime = record.number("OnTimeInMilliseconds")
            self._uptimes[state.guid] = record.number("UpTime") if uptime is None else uptime
        if whole:
            self._states = states
            if records and self._guests:
                self._sample(HOST, now, load // max(1, self._host.cpus or 1), memory)
            for table in (self._uptimes, self._guests, self._hardware, self._addresses):
                for guid in [guid for guid in table if guid not in states]:
                    del table[guid]
            with self._lock:
                for guid in [guid for guid in self._samples if guid not in states and guid != HOST]:
                    del self._samples[guid]
        else:
            self._states = {**self._states, **{g: s for g, s in states.items() if g in self._states}}

    def _sample(self, guid: str, now: dt.datetime, percent: int | None, memory_mb: int | None) -> None:
        with self._lock:
            self._samples.setdefault(guid, deque(maxlen=SAMPLES)).append((now, percent, memory_mb))

    def _react(self, before: Mapping[str, StateFact], touched: set[str]) -> None:
        """What the states say about the rest."""
        if before is self._states:
            return
        settings_due = False
        for guid, state in self._states.items():
            old = before.get(guid)
            if old == state:
                continue
            if old is None or old.state != state.state:
                self._expire("guests")
            if guid not in self._settings or (old is not None and (old.doing != state.doing or old.name != state.name)):
                settings_due = True
        for guid, state in self._states.items():
            if self._is_silent(guid, state) and not self._told.get(guid) and self._due("guests", 3.0):
                self._expire("guests")
        if touched:
            self._expire("guests")
        if settings_due and not self._first:
            self._read_settings()

    def _read_guests(self) -> None:
        begun = self._clock.monotonic()
        found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        for row in filter(None, map(facts.guest_addresses, self._reader.guest_networks())):
            guid, card, addresses = row
            if addresses:
                found.setdefault(guid, []).append((card, addresses))
        self._addresses = {guid: tuple(rows) for guid, rows in found.items() if guid in self._states}
        self._mark("guests", begun)
        if not self._first:
            self._read_told()

    def _is_silent(self, guid: str, state: StateFact) -> bool:
        """Whether a guest is up whose addresses the host doesn't tell."""
        guest = self._guests.get(guid)
        if state.state != 2 or guest is None or guest.heartbeat != facts.HEARTBEAT_OK:
            return False
        return not any(addresses for _card, addresses in self._addresses.get(guid, ()))

    def _read_told(self) -> None:
        """Ask a few of the silent guests themselves: old integration services tell addresses in no other way."""
        silent = [guid for guid, state in self._states.items() if self._is_silent(guid, state)]
        self._told = {guid: self._told[guid] for guid in silent if guid in self._told}
        now = self._clock.monotonic()
        self._asked_at = {guid: self._asked_at[guid] for guid in silent if guid in self._asked_at}
        due = [guid for guid in silent if now - self._asked_at.get(guid, float("-inf")) >= TOLD_S]
        due = sorted(due, key=lambda guid: self._asked_at.get(guid, 0.0))[:NAMED_AT_ONCE]
        if not due:
            return
        self._asked_at.update(dict.fromkeys(due, now))
        try:
            records = self._reader.told(due)
        except OperationError as exc:
            log.info("the host doesn't tell what its guests say: %s", exc.detail or exc.user_text)
            return
        for record in records:
            guid = record.text("SystemName").upper()
            if guid in silent:
                self._told[guid] = facts.told_addresses(record)

    def _read_slow(self) -> None:
        begun = self._clock.monotonic()
        rows = self._reader.hardware()
        self._hardware = {guid: fact for guid, fact in facts.hardware_facts(rows).items() if guid in self._states}
        kinds = facts.switch_kinds(rows)
        self._switches = {
            record.text("Name").upper(): (record.text("ElementName"), kinds.get(record.text("Name").upper(), "Private"))
            for record in self._reader.optional("Msvm_VirtualEthernetSwitch", V2)
            if record.text("Name")
        }
        self._volumes = {
            record.text("DeviceID"): (
                record.text("VolumeName"),
                record.text("FileSystem"),
                record.number("Size"),
                record.number("FreeSpace"),
            )
            for record in self._reader.optional("Win32_LogicalDisk", CIMV2)
            if record.number("DriveType") == 3
        }
        for record in self._reader.optional("Win32_OperatingSystem", CIMV2):
            free = record.number("FreePhysicalMemory")
            # Rounded: free memory changes with every answer, and an inventory is not a meter.
            rounded = None if free is None else (free >> 18) << 28
            self._host = replace(self._host, memory_free_bytes=rounded, started=record.time("LastBootUpTime"))
        self._slow_due = False
        self._mark("slow", begun)

    # ---- putting it together -------------------------------------------------------------------------------

    def _assemble(self, *, force: bool) -> Inventory | None:
        before = self.inventory
        now = self._clock.now()
        vms: dict[ObjectId, Vm] = {}
        built: dict[str, tuple[VmFacts, Vm]] = {}
        changed = before is None
        shared: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        for path, users in model.shared_files(self._hardware).items():
            for guid in users:
                others = tuple(self._states[user].name for user in users if user != guid and user in self._states)
                shared.setdefault(guid, []).append((path, others))
        for guid, state in self._states.items():
            old = self._built.get(guid)
            wanted = self._facts(
                guid, state, old[0] if old is not None else None, now, tuple(sorted(shared.get(guid, ())))
            )
            if old is not None and old[0] == wanted:
                built[guid] = old
            else:
                built[guid] = (wanted, model.build_vm(wanted))
                changed = True
            vms[facts.object_id(guid)] = built[guid][1]
        if before is not None and len(before.vms) != len(vms):
            changed = True
        self._built = built
        host = model.build_host(self._host)
        networks: Mapping[ObjectId, Network] = model.build_networks(self._switches, self._host_id)
        storages: Mapping[ObjectId, Storage] = model.build_storages(self._volumes, self._host_id)
        if before is not None:
            host = _same(before.hosts.get(self._host_id), host)
            networks, storages = _same(before.networks, networks), _same(before.storages, storages)
            changed |= host is not before.hosts.get(self._host_id)
            changed |= networks is not before.networks or storages is not before.storages
        if not changed and not force:
            return None
        inventory = Inventory(
            server=self._server,
            taken=now,
            hosts={host.id: host, **self._destinations},
            vms=vms,
            networks=networks,
            storages=storages,
        )
        self.inventory = inventory
        return inventory

    def _facts(
        self,
        guid: str,
        state: StateFact,
        old: VmFacts | None,
        now: dt.datetime,
        shared: tuple[tuple[str, tuple[str, ...]], ...],
    ) -> VmFacts:
        power = model.power_of(state, old.power if old is not None else None)
        running = power in (PowerState.RUNNING, PowerState.PAUSED)
        uptime = self._uptimes.get(guid) if running else None
        guest, hardware = self._guests.get(guid, GuestFact()), self._hardware.get(guid)
        if hardware is not None and hardware.memory_mb:
            # Memory in use changes with every answer; it only stands in for a size that is not known.
            guest = replace(guest, memory_mb=None)
        return VmFacts(
            state=state,
            power=power,
            guest=guest,
            settings=self._settings.get(guid),
            checkpoints=self._checkpoints.get(guid, ()),
            hardware=hardware,
            addresses=self._addresses.get(guid, ()),
            told=self._told.get(guid, ()),
            started=model.started_at(uptime, now, old.started if old is not None else None),
            booting=model.is_booting(uptime),
            host_id=self._host_id,
            no_migration=self._no_migration,
            shared=shared,
        )


def _same(old: _T | None, new: _T) -> _T:
    """The old object where the new one is equal, so that nobody compares the two again."""
    return old if old is not None and old == new else new
