"""What the host said, as small frozen facts: one per row of an answer, compared to find out what changed.

Also the numbers of Hyper-V (states, statuses, codes) in one place. Pure; any thread.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from dataclasses import dataclass

from hvconsole.backends import wmi_instance, wmi_path, wmi_query
from hvconsole.backends.wsman_envelope import V2, Epr, wmi_uri
from hvconsole.backends.wsman_reply import Record, integer
from hvconsole.errors import BadReply
from hvconsole.model import ObjectId, PowerState

log = logging.getLogger(__name__)

REALIZED = "microsoft:hyper-v:system:realized"
PLANNED = "microsoft:hyper-v:system:planned"
"""A VM that somebody is importing or moving here: there is nothing to start yet."""
CHECKPOINT_PREFIX = "microsoft:hyper-v:snapshot:"
OWN_CHECKPOINT = "microsoft:hyper-v:snapshot:realized"
FOREIGN_CHECKPOINTS = {
    "recovery": "Recovery checkpoint of a backup",
    "planned": "Checkpoint of a VM that is being imported or moved",
    "missing": "Checkpoint whose files are missing",
}
"""Kind of checkpoint that programs make for themselves → what it is, in words; of other kinds: a replica's."""

POWER: dict[int, PowerState] = {
    2: PowerState.RUNNING,
    3: PowerState.HALTED,
    6: PowerState.SUSPENDED,
    32769: PowerState.SUSPENDED,
    32779: PowerState.SUSPENDED,
    9: PowerState.PAUSED,
    32768: PowerState.PAUSED,
}
"""EnabledState → power state, for states that last. 32768 and 32769 are version 1's numbers, still in the documents."""

TRANSITION: dict[int, tuple[str, PowerState]] = {
    4: ("stopping", PowerState.RUNNING),
    32774: ("stopping", PowerState.RUNNING),
    10: ("starting", PowerState.HALTED),
    32770: ("starting", PowerState.HALTED),
    11: ("resetting", PowerState.RUNNING),
    32773: ("saving", PowerState.RUNNING),
    32780: ("saving", PowerState.RUNNING),
    32776: ("pausing", PowerState.RUNNING),
    32777: ("resuming", PowerState.PAUSED),
}
"""EnabledState → (what is going on, where it usually comes from)."""

OTHER_STATES = {
    "quiescing": "pausing",
    "resuming": "resuming",
    "saving": "saving",
    "fastsaving": "saving",
    "pausing": "pausing",
    "starting": "starting",
    "stopping": "stopping",
}
"""OtherEnabledState (an identifier, not translated) → what is going on."""

DOING: dict[int, str] = {
    32768: "creating checkpoint",
    32769: "applying checkpoint",
    32770: "deleting checkpoint",
    32771: "waiting to start",
    32772: "merging disks",
    32773: "exporting",
    32774: "migrating",
    32776: "backing up",
    32777: "modifying",
    32778: "migrating storage",
    32779: "migrating storage",
}
"""Second OperationalStatus → what is going on."""
CREATING_CHECKPOINT = 32768

HEARTBEAT_OK, NO_CONTACT = 2, 12
CHECKPOINTS_OFF, PRODUCTION_ONLY, STANDARD = 2, 4, 5


@dataclass(frozen=True, slots=True)
class StateFact:
    """A VM's state. None and empty where this kind of question does not tell."""

    guid: str
    name: str
    state: int
    other: str = ""
    doing: tuple[str, ...] = ()
    health: int | None = None


@dataclass(frozen=True, slots=True)
class GuestFact:
    """What the summary says about a VM beyond its state."""

    notes: str = ""
    vcpus: int | None = None
    memory_mb: int | None = None
    heartbeat: int | None = None
    services: int | None = None
    os: str = ""


@dataclass(frozen=True, slots=True)
class SettingsFact:
    """Present settings of a VM, or a checkpoint. ``guid`` is its own, ``vm_guid`` that of its VM."""

    guid: str
    vm_guid: str
    kind: str
    name: str
    notes: str = ""
    created: dt.datetime | None = None
    parent: str = ""
    generation: int | None = None
    snapshot_type: int | None = None
    saved: bool | None = None

    @property
    def is_checkpoint(self) -> bool:
        """A checkpoint of any kind."""
        return self.kind.lower().startswith(CHECKPOINT_PREFIX)

    @property
    def foreign(self) -> str:
        """What kind of checkpoint a program made for itself, in words; nothing for those that people take."""
        if not self.is_checkpoint or self.kind.lower() == OWN_CHECKPOINT:
            return ""
        return FOREIGN_CHECKPOINTS.get(self.kind.rpartition(":")[2].lower(), "Recovery point of a replica")

    @property
    def is_realized(self) -> bool:
        """Present settings of a VM that exists (not a planned one)."""
        return self.kind.lower() == REALIZED


@dataclass(frozen=True, slots=True)
class CardFact:
    """A network card: ``guid`` is the last part of its InstanceID."""

    guid: str
    name: str = ""
    mac: str = ""
    switch: str = ""
    connected: bool | None = None


@dataclass(frozen=True, slots=True)
class DiskFact:
    """A virtual disk or CD image. ``instance_id`` is what the host calls the place it hangs in."""

    instance_id: str
    path: str
    is_cd: bool


@dataclass(frozen=True, slots=True)
class HardwareFact:
    """What a VM is made of, as far as tree and table show it."""

    vcpus: int | None = None
    memory_mb: int | None = None
    cards: tuple[CardFact, ...] = ()
    disks: tuple[DiskFact, ...] = ()


HARD_DISK = "microsoft:hyper-v:virtual hard disk"
DVD_DISK = "microsoft:hyper-v:virtual cd/dvd disk"


_CLUSTER_VOLUME = re.compile(r"[A-Za-z]:\\ClusterStorage\\[^\\]+", re.IGNORECASE)
_SHARE = re.compile(r"\\\\[^\\]+\\[^\\]+")


def volume(path: str) -> tuple[ObjectId | None, str]:
    """(id, name) of the volume that a file is on; no id for a cluster's volumes and for shares."""
    elsewhere = _CLUSTER_VOLUME.match(path) or _SHARE.match(path)
    if elsewhere is not None:
        return None, elsewhere.group(0)
    return (ObjectId(path[:2].upper()), path[:2].upper()) if path[1:2] == ":" else (None, "")


def object_id(guid: str) -> ObjectId:
    """A GUID as an id of the model: lower case, like every other UUID in the program; Hyper-V writes upper case."""
    return ObjectId(guid.lower())


def vm_epr(guid: str) -> Epr:
    """The reference to a VM: both keys, as the host itself writes it."""
    return Epr(wmi_uri(V2, "Msvm_ComputerSystem"), (("CreationClassName", "Msvm_ComputerSystem"), ("Name", guid)))


def settings_epr(guid: str) -> Epr:
    """The reference to a VM's present settings or to a checkpoint."""
    return Epr(wmi_uri(V2, "Msvm_VirtualSystemSettingData"), (("InstanceID", f"Microsoft:{guid}"),))


def guid_in(instance_id: str) -> str:
    """The owner's GUID inside "Microsoft:GUID\\…", in upper case; empty where there is none."""
    head = instance_id.partition(":")[2].split("\\")
    found = next((part for part in head if wmi_query.is_guid(part)), "")
    return found.upper()


def parent_guid(path: str) -> str:
    """The GUID of the checkpoint that an object path names. The host part of the path varies and is ignored."""
    parsed = wmi_path.parse(path) if path else None
    return guid_in(parsed.keys.get("instanceid", "")) if parsed is not None else ""


def state_fact(record: Record) -> StateFact | None:
    """A row of Msvm_ComputerSystem or of a summary; None for the host's own row and for rows without sense."""
    guid = record.text("Name")
    state = record.number("EnabledState")
    if not wmi_query.is_guid(guid) or state is None:
        return None
    statuses = record.numbers("OperationalStatus")
    doing = tuple(DOING[status] for status in statuses[1:] if status in DOING)
    return StateFact(
        guid.upper(),
        record.text("ElementName"),
        state,
        record.text("OtherEnabledState"),
        doing,
        record.number("HealthState"),
    )


def guest_fact(record: Record) -> GuestFact:
    """The rest of a summary."""
    return GuestFact(
        record.text("Notes"),
        record.number("NumberOfProcessors"),
        record.number("MemoryUsage"),
        record.number("Heartbeat"),
        record.number("IntegrationServicesVersionState"),
        record.text("GuestOperatingSystem"),
    )


def settings_fact(record: Record) -> SettingsFact | None:
    """A row of Msvm_VirtualSystemSettingData; None for rows without sense."""
    guid = guid_in(record.text("InstanceID"))
    vm_guid = record.text("VirtualSystemIdentifier")
    if not guid or not wmi_query.is_guid(vm_guid):
        return None
    subtype = record.text("VirtualSystemSubType").rpartition(":")[2]
    return SettingsFact(
        guid,
        vm_guid.upper(),
        record.text("VirtualSystemType"),
        record.text("ElementName"),
        "\n".join(record.texts("Notes")),
        record.time("CreationTime"),
        parent_guid(record.text("Parent")),
        integer(subtype),
        record.number("UserSnapshotType"),
        record.flag("IsSaved"),
    )


def guest_addresses(record: Record) -> tuple[str, str, tuple[str, ...]] | None:
    """(VM, card, addresses) of a Msvm_GuestNetworkAdapterConfiguration; None for rows without sense."""
    parts = record.text("InstanceID").partition(":")[2].split("\\")
    guids = [part.upper() for part in parts if wmi_query.is_guid(part)]
    if len(guids) != 2:
        return None
    return guids[0], guids[1], tuple(text.strip() for text in record.texts("IPAddresses") if text.strip())


def guest_items(record: Record) -> dict[str, str]:
    """What a guest says about itself (Msvm_KvpExchangeComponent). Written by the guest: hostile."""
    found: dict[str, str] = {}
    for text in record.texts("GuestIntrinsicExchangeItems")[:100]:
        try:
            _class, values = wmi_instance.read(text)
        except BadReply as exc:
            log.info("a fact of the guest can't be read: %s", exc.detail)
            continue
        found[next(iter(values.get("name", ())), "")] = next(iter(values.get("data", ())), "")[:500]
    return found


def told_addresses(record: Record) -> tuple[str, ...]:
    """Addresses that a guest says it has, of whichever cards."""
    items = guest_items(record)
    listed = ";".join(items.get(name, "") for name in ("NetworkAddressIPv4", "NetworkAddressIPv6"))
    return tuple(part.strip() for part in listed.split(";") if part.strip())


def hardware_facts(records: list[Record]) -> dict[str, HardwareFact]:
    """Owner's GUID → hardware, from rows of processors (3), memory (4), cards (10), media (31), connections (33)."""
    disks: dict[str, list[DiskFact]] = {}
    vcpus: dict[str, int | None] = {}
    memory: dict[str, int | None] = {}
    cards: dict[str, dict[str, CardFact]] = {}
    links: dict[tuple[str, str], tuple[str, bool | None]] = {}
    for record in records:
        instance_id = record.text("InstanceID")
        owner = guid_in(instance_id)
        if not owner:
            continue
        kind = record.number("ResourceType")
        if kind == 3:
            vcpus[owner] = record.number("VirtualQuantity")
        elif kind == 4:
            memory[owner] = record.number("VirtualQuantity")
        elif kind == 10:
            card = _card_guid(instance_id)
            cards.setdefault(owner, {})[card] = CardFact(card, record.text("ElementName"), _mac(record.text("Address")))
        elif kind == 31:
            subtype, path = record.text("ResourceSubType").lower(), record.text("HostResource")
            if path and subtype in (HARD_DISK, DVD_DISK):
                disks.setdefault(owner, []).append(DiskFact(instance_id, path, subtype == DVD_DISK))
        elif kind == 33:
            parent = wmi_path.parse(record.text("Parent"))
            if parent is not None and "instanceid" in parent.keys:
                enabled = record.number("EnabledState")
                connected = None if enabled is None else enabled == 2
                key = (owner, _card_guid(parent.keys["instanceid"]))
                links[key] = (_switch(record.text("HostResource")), connected)
    found: dict[str, HardwareFact] = {}
    for owner in {*vcpus, *memory, *cards, *disks}:
        connected_cards = tuple(
            CardFact(card.guid, card.name, card.mac, *links.get((owner, card.guid), ("", None)))
            for card in cards.get(owner, {}).values()
        )
        media = tuple(sorted(disks.get(owner, ()), key=lambda disk: disk.instance_id))
        found[owner] = HardwareFact(vcpus.get(owner), memory.get(owner), connected_cards, media)
    return found


def switch_kinds(records: list[Record]) -> dict[str, str]:
    """Switch → "External", "Internal" or nothing for private, from connections whose owner is a switch's port."""
    found: dict[str, str] = {}
    for record in records:
        if record.number("ResourceType") != 33:
            continue
        owner = guid_in(record.text("InstanceID"))
        target = wmi_path.parse(record.text("HostResource"))
        if uplinks(record):
            found[owner] = "External"
        elif target is not None and target.class_name.lower() == "msvm_computersystem":
            found.setdefault(owner, "Internal")
    return found


UPLINK_CLASSES = ("Msvm_ExternalEthernetPort", "Msvm_WiFiPort")


def uplinks(record: Record) -> tuple[str, ...]:
    """DeviceIDs of the physical cards behind a connection: several where the switch makes a team of them."""
    classes = {name.lower() for name in UPLINK_CLASSES}
    targets = filter(None, map(wmi_path.parse, record.texts("HostResource")))
    return tuple(target.keys.get("deviceid", "") for target in targets if target.class_name.lower() in classes)


def _card_guid(instance_id: str) -> str:
    parts = instance_id.split("\\")
    return parts[1].upper() if len(parts) > 1 else ""


def _switch(path: str) -> str:
    parsed = wmi_path.parse(path) if path else None
    if parsed is None or parsed.class_name.lower() != "msvm_virtualethernetswitch":
        return ""
    return parsed.keys.get("name", "").upper()


def _mac(bare: str) -> str:
    digits = bare.replace("-", "").replace(":", "").lower()
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2)) if len(digits) == 12 else bare
