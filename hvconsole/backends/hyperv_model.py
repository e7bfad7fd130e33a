"""Facts → model objects, with every reason why a verb would be refused. Pure; any thread.

No decision is made by a caption or description: those are in the host's language.
"""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hvconsole import whynot
from hvconsole.backends.hyperv_facts import (
    CHECKPOINTS_OFF,
    HEARTBEAT_OK,
    NO_CONTACT,
    OTHER_STATES,
    POWER,
    TRANSITION,
    GuestFact,
    HardwareFact,
    SettingsFact,
    StateFact,
    object_id,
    volume,
)
from hvconsole.model import (
    Disk,
    Host,
    Network,
    Nic,
    ObjectId,
    PowerState,
    Refusals,
    Snapshot,
    Storage,
    ToolsState,
    Verb,
    Vm,
)

MIB = 1 << 20
SERVICES = "guest tools (integration services)"

_R, _H, _S, _P = PowerState.RUNNING, PowerState.HALTED, PowerState.SUSPENDED, PowerState.PAUSED
LEGAL: Mapping[Verb, tuple[PowerState, ...]] = {
    Verb.START: (_H,),
    Verb.SHUTDOWN: (_R,),
    Verb.REBOOT: (_R,),
    Verb.POWER_OFF: (_R, _P, _S),
    Verb.RESET: (_R,),
    Verb.SUSPEND: (_R, _P),
    Verb.RESUME: (_S,),
    Verb.PAUSE: (_R,),
    Verb.UNPAUSE: (_P,),
    Verb.SNAPSHOT_MEMORY: (_R, _P, _S),
    Verb.SNAPSHOT_QUIESCE: (_R,),
    Verb.DELETE: (_H, _S),
}
"""Verb → states in which Hyper-V takes it; verbs that are absent work in all."""

_CHANGES = (*LEGAL, Verb.SNAPSHOT, Verb.REVERT, Verb.DELETE_SNAPSHOT, Verb.EXPORT, Verb.MIGRATE, Verb.RENAME)
_SERVICES = {1: "up to date", 2: "of another version than the host's"}
_BOOTING_S = 180.0
_SAME_START_S = 10.0


@dataclass(frozen=True, slots=True)
class VmFacts:
    """Everything that a ``Vm`` is built from; equal facts make the same ``Vm``."""

    state: StateFact
    power: PowerState
    guest: GuestFact
    settings: SettingsFact | None
    checkpoints: tuple[SettingsFact, ...]
    hardware: HardwareFact | None
    addresses: tuple[tuple[str, tuple[str, ...]], ...]
    """(card, addresses) pairs in the order of the cards."""
    started: dt.datetime | None
    booting: bool
    host_id: ObjectId
    no_migration: str
    shared: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(file in lower case, names of other VMs that use it) of disks."""
    told: tuple[str, ...] = ()
    """Addresses that the guest says it has, where the host knows none of its cards."""


def power_of(state: StateFact, before: PowerState | None) -> PowerState:
    """The power state; while it changes, that from which it changes."""
    lasting = POWER.get(state.state)
    if lasting is not None:
        return lasting
    if state.state == 1 or state.state in TRANSITION:
        if before is not None and before is not PowerState.UNKNOWN:
            return before
        return TRANSITION[state.state][1] if state.state in TRANSITION else PowerState.RUNNING
    return PowerState.UNKNOWN


def operations_of(state: StateFact) -> tuple[str, ...]:
    """What the host is doing with the VM."""
    found = list(state.doing)
    if state.state in TRANSITION:
        found.append(TRANSITION[state.state][0])
    elif state.state == 1:
        found.append(OTHER_STATES.get(state.other.strip().lower(), "changing state"))
    return tuple(dict.fromkeys(found))


TRANSITION_MAX = 32780
_MAJOR_FAILURE = 20


def is_critical(state: StateFact) -> bool:
    """Whether the host has lost the VM's storage or worse.

    Versions of Windows disagree on the numbers of the states; all set the health, some only that.
    """
    return state.state > TRANSITION_MAX or (state.health or 0) >= _MAJOR_FAILURE


def started_at(uptime_ms: int | None, now: dt.datetime, before: dt.datetime | None) -> dt.datetime | None:
    """When the VM started; the earlier answer stays while it is about the same, so that nothing flickers."""
    if not uptime_ms or uptime_ms < 0:
        return None
    try:
        started = now - dt.timedelta(milliseconds=uptime_ms)
    except OverflowError:
        return None
    if before is not None and abs((started - before).total_seconds()) < _SAME_START_S:
        return before
    return started.replace(microsecond=0)


def is_booting(uptime_ms: int | None) -> bool:
    """Whether a guest that keeps silent may simply not be up yet."""
    return uptime_ms is not None and uptime_ms < _BOOTING_S * 1000


def tools_of(facts: VmFacts) -> ToolsState:
    """State of the integration services, as the heartbeat shows it."""
    if facts.power is not PowerState.RUNNING or facts.guest.heartbeat is None:
        return ToolsState.UNKNOWN
    if facts.guest.heartbeat == HEARTBEAT_OK:
        return ToolsState.RUNNING
    if facts.guest.heartbeat != NO_CONTACT or facts.guest.services:
        return ToolsState.INSTALLED
    return ToolsState.UNKNOWN if facts.booting else ToolsState.MISSING


def build_vm(facts: VmFacts) -> Vm:
    """A ``Vm``."""
    state, guest = facts.state, facts.guest
    running = facts.power in (PowerState.RUNNING, PowerState.PAUSED)
    tools = tools_of(facts)
    operations = operations_of(state)
    nics = _nics(facts, running)
    hardware = facts.hardware or HardwareFact()
    memory_mb = hardware.memory_mb or guest.memory_mb or None
    snapshots = build_snapshots(facts.checkpoints)
    parent = object_id(facts.settings.parent) if facts.settings is not None and facts.settings.parent else None
    known = {snapshot.id for snapshot in snapshots}
    return Vm(
        id=object_id(state.guid),
        uuid=state.guid.lower(),
        name=state.name,
        description=facts.settings.notes if facts.settings is not None else guest.notes,
        power=facts.power,
        host_id=facts.host_id if running else None,
        home_id=facts.host_id,
        addresses=(_in_order(nics) or _sorted(facts.told)) if running else (),
        nics=nics,
        disks=_disks(hardware, dict(facts.shared)),
        os=guest.os or None,
        tools=tools,
        tools_text=_SERVICES.get(guest.services or 0, "") if tools is ToolsState.RUNNING else "",
        vcpus=hardware.vcpus or guest.vcpus or None,
        memory_bytes=memory_mb * MIB if memory_mb else None,
        started=facts.started if running else None,
        snapshots=snapshots,
        current_snapshot_id=parent if parent in known else None,
        # It is nothing that the host is doing, so it is no reason to refuse anything: the host has the last word.
        operations=(*operations, "in a critical state") if is_critical(state) else operations,
        refusals=_refusals(facts.power, tools, operations, _checkpoints_off(facts), facts.no_migration),
    )


def _checkpoints_off(facts: VmFacts) -> bool:
    return facts.settings is not None and facts.settings.snapshot_type == CHECKPOINTS_OFF


@functools.lru_cache(maxsize=512)
def _refusals(
    power: PowerState, tools: ToolsState, operations: tuple[str, ...], checkpoints_off: bool, no_migration: str
) -> Refusals:
    """Shared by all VMs in the same situation."""
    found: dict[Verb, str] = {}
    if operations:
        found.update(dict.fromkeys(_CHANGES, whynot.busy(operations)))
        if power in LEGAL[Verb.POWER_OFF]:
            # A start or a guest that hangs is what turning off is for.
            found.pop(Verb.POWER_OFF)
    for verb, legal in LEGAL.items():
        if power not in legal and power is not PowerState.UNKNOWN:
            found[verb] = whynot.wrong_state(verb, power, legal)
    if power is PowerState.RUNNING and tools is ToolsState.MISSING:
        for verb in (Verb.SHUTDOWN, Verb.REBOOT, Verb.SNAPSHOT_QUIESCE):
            found.setdefault(verb, whynot.tools_missing(verb, SERVICES))
    if checkpoints_off:
        for verb in (Verb.SNAPSHOT, Verb.SNAPSHOT_MEMORY, Verb.SNAPSHOT_QUIESCE):
            found.setdefault(verb, "Checkpoints are switched off in this VM's settings.")
    if no_migration:
        found.setdefault(Verb.MIGRATE, no_migration)
    return MappingProxyType(found)


def _nics(facts: VmFacts, running: bool) -> tuple[Nic, ...]:
    addresses = dict(facts.addresses) if running else {}
    cards = facts.hardware.cards if facts.hardware is not None else ()
    if running and not addresses and len(cards) == 1:
        addresses = {cards[0].guid: facts.told}
    found = [
        Nic(
            id=object_id(card.guid),
            device=str(number),
            mac=card.mac,
            network_id=object_id(card.switch) if card.switch else None,
            connected=card.connected,
            addresses=_sorted(addresses.pop(card.guid, ())),
        )
        for number, card in enumerate(cards)
    ]
    # Cards whose hardware was not read yet, or that only the guest knows.
    found += [
        Nic(id=object_id(guid), device=str(len(found) + number), addresses=_sorted(rest))
        for number, (guid, rest) in enumerate(addresses.items())
    ]
    return tuple(found)


def _disks(hardware: HardwareFact, shared: Mapping[str, tuple[str, ...]]) -> tuple[Disk, ...]:
    volumes = [volume(disk.path) for disk in hardware.disks]
    return tuple(
        Disk(
            id=ObjectId(disk.instance_id),
            name=disk.path,
            is_cd=disk.is_cd,
            read_only=disk.is_cd,
            shared_with=() if disk.is_cd else shared.get(disk.path.lower(), ()),
            storage_id=storage_id,
            storage=storage,
        )
        for disk, (storage_id, storage) in zip(hardware.disks, volumes, strict=True)
    )


def shared_files(hardware: Mapping[str, HardwareFact]) -> dict[str, tuple[str, ...]]:
    """File in lower case → GUIDs of the VMs that use it, of virtual hard disks with more than one user."""
    users: dict[str, list[str]] = {}
    for guid, fact in hardware.items():
        for path in {disk.path.lower() for disk in fact.disks if not disk.is_cd}:
            users.setdefault(path, []).append(guid)
    return {path: tuple(guids) for path, guids in users.items() if len(guids) > 1}


def _sorted(addresses: tuple[str, ...]) -> tuple[str, ...]:
    valid = []
    for text in dict.fromkeys(addresses):
        try:
            parsed = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            continue
        if not parsed.is_unspecified:
            valid.append((parsed.version, parsed.is_link_local, text.partition("%")[0]))
    return tuple(text for _version, _local, text in sorted(valid, key=lambda item: item[:2]))


def _in_order(nics: tuple[Nic, ...]) -> tuple[str, ...]:
    every = [address for nic in nics for address in nic.addresses]
    return tuple([a for a in every if ":" not in a] + [a for a in every if ":" in a])


def build_snapshots(checkpoints: tuple[SettingsFact, ...]) -> tuple[Snapshot, ...]:
    """The tree of checkpoints, oldest first; strangers and cycles are cut."""
    rooted = _rooted({fact.guid: fact.parent for fact in checkpoints})
    return tuple(
        Snapshot(
            id=object_id(fact.guid),
            name=fact.name,
            description="\n".join(filter(None, (fact.foreign, fact.notes))),
            created=fact.created,
            parent_id=object_id(fact.parent) if fact.guid in rooted else None,
            with_memory=bool(fact.saved),
        )
        for fact in sorted(checkpoints, key=lambda fact: (fact.created or _LONG_AGO, fact.guid))
    )


_LONG_AGO = dt.datetime(1601, 1, 1, tzinfo=dt.UTC)


def _rooted(parents: Mapping[str, str]) -> set[str]:
    """Those that have a parent among them and from which the parents lead to a root: strangers and cycles are cut.

    Each is passed once, however long a hostile host makes its chains.
    """
    leads: dict[str, bool] = {}
    for guid in parents:
        path: dict[str, None] = {}
        while guid in parents and guid not in leads and guid not in path:
            path[guid] = None
            guid = parents[guid]
        # a stranger is where the chain's root was; what was passed on this way before is a cycle
        good = leads.get(guid, guid not in path)
        leads.update(dict.fromkeys(path, good))
    return {guid for guid, parent in parents.items() if parent in parents and leads[guid]}


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The host, from root/cimv2."""

    server: str
    """NetBIOS name, as ``__SERVER``."""
    name: str
    uuid: str
    address: str
    product: str = ""
    version: str = ""
    cpu_model: str = ""
    cpus: int | None = None
    cores: int | None = None
    sockets: int | None = None
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    started: dt.datetime | None = None


def build_destination(name: str) -> Host:
    """A host that is only known as somewhere to move VMs to."""
    return Host(id=ObjectId(name), uuid="", name=name, description="Destination for live migration")


def build_host(facts: HostFacts) -> Host:
    """The ``Host``; its id is the computer's name."""
    return Host(
        id=ObjectId(facts.server),
        uuid=facts.uuid,
        name=facts.name,
        address=facts.address,
        live=True,
        product=facts.product,
        version=facts.version,
        cpu_model=facts.cpu_model,
        cpus=facts.cpus,
        cores=facts.cores,
        sockets=facts.sockets,
        memory_bytes=facts.memory_bytes,
        memory_free_bytes=facts.memory_free_bytes,
        started=facts.started,
    )


def build_networks(switches: Mapping[str, tuple[str, str]], host_id: ObjectId) -> dict[ObjectId, Network]:
    """GUID → (name, kind) as ``Network`` objects."""
    return {
        object_id(guid): Network(
            id=object_id(guid), uuid=guid.lower(), name=name, description=kind, host_ids=(host_id,)
        )
        for guid, (name, kind) in switches.items()
    }


def build_storages(
    volumes: Mapping[str, tuple[str, str, int | None, int | None]], host_id: ObjectId
) -> dict[ObjectId, Storage]:
    """Drive letter → (label, file system, size, free) as ``Storage`` objects."""
    found: dict[ObjectId, Storage] = {}
    for letter, (label, system, size, free) in volumes.items():
        used = size - free if size is not None and free is not None else None
        found[ObjectId(letter)] = Storage(
            id=ObjectId(letter),
            uuid=letter,
            name=f"{letter} {label}".strip(),
            kind=system,
            size_bytes=size,
            used_bytes=used,
            host_ids=(host_id,),
        )
    return found
