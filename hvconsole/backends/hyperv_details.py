"""What is asked for when somebody looks: cards, disks and facts of a VM, its screen, the host's network map.

Any worker thread; every function blocks.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable, Mapping

from hvconsole.backends import hyperv_facts as facts
from hvconsole.backends import wmi_instance, wmi_query
from hvconsole.backends.hyperv_facts import settings_epr
from hvconsole.backends.hyperv_life import DVD_DISK, HARD_DISK, LifeVerbs
from hvconsole.backends.hyperv_poll import Sample
from hvconsole.backends.hyperv_read import IMAGES, MANAGEMENT, Reader
from hvconsole.backends.wsman_envelope import CIMV2, V2
from hvconsole.backends.wsman_faults import check_return
from hvconsole.backends.wsman_reply import Record, integer
from hvconsole.errors import HvError, NotFound, OperationError, Refused
from hvconsole.model import (
    Disk,
    HostDetails,
    HostNic,
    Inventory,
    Metrics,
    NetworkLink,
    NetworkMap,
    Nic,
    ObjectId,
    Series,
    Vm,
    VmDetails,
)

log = logging.getLogger(__name__)

PHYSICAL_DISK = "microsoft:hyper-v:physical disk drive"
_PICTURE = (96, 72)
"""Width and height: every byte of a picture is an XML element of about 30 bytes, and an envelope has 500 KiB."""
_CHECKPOINTS = {2: "off", 3: "production, else standard", 4: "production only", 5: "standard"}
_START_ACTIONS = {2: "nothing", 3: "start if it ran", 4: "start"}
_FACT_NAMES = (
    ("FullyQualifiedDomainName", "Guest name"),
    ("OSName", "Guest system"),
    ("OSVersion", "Guest version"),
    ("IntegrationServicesVersion", "Integration services"),
)


class Details:
    """Looking closer at one host. ``inventory`` gives what the tree shows now."""

    def __init__(self, reader: Reader, life: LifeVerbs, inventory: Callable[[], Inventory | None]) -> None:
        self._reader = reader
        self._client = reader.client
        self._life = life
        self._inventory = inventory

    def _names(self) -> Mapping[ObjectId, Vm]:
        inventory = self._inventory()
        return inventory.vms if inventory is not None else {}

    def vm(self, guid: str) -> VmDetails:
        """Cards, disks with their sizes, facts."""
        settings = next(
            (
                fact
                for fact in map(facts.settings_fact, self._reader.settings(guid))
                if fact is not None and fact.is_realized
            ),
            None,
        )
        if settings is None:
            raise NotFound("The VM doesn't exist on the host any more.")
        return VmDetails(
            vm_id=facts.object_id(guid),
            nics=self._nics(guid),
            disks=self._disks(guid),
            facts=tuple(self._facts(guid, settings)),
        )

    def _nics(self, guid: str) -> tuple[Nic, ...]:
        shown = self._names().get(facts.object_id(guid))
        # Whether a cable is plugged is not among the columns that all kinds of hardware share.
        rows = [*self._reader.hardware((guid,)), *self._reader.devices("Msvm_EthernetPortAllocationSettingData", guid)]
        hardware = facts.hardware_facts(rows).get(guid)
        inventory = self._inventory()
        networks = inventory.networks if inventory is not None else {}
        addresses = {nic.id: nic.addresses for nic in shown.nics} if shown is not None else {}
        found = []
        for number, card in enumerate(hardware.cards if hardware is not None else ()):
            network = networks.get(facts.object_id(card.switch))
            found.append(
                Nic(
                    id=facts.object_id(card.guid),
                    device=str(number),
                    mac=card.mac,
                    network_id=facts.object_id(card.switch) if card.switch else None,
                    network=network.name if network is not None else "",
                    connected=card.connected,
                    addresses=addresses.get(facts.object_id(card.guid), ()),
                )
            )
        return tuple(found)

    def _disks(self, guid: str) -> tuple[Disk, ...]:
        names = self._names()
        users = self._life.used_by(guid)
        found = []
        for row in self._reader.devices("Msvm_StorageAllocationSettingData", guid):
            kind, path = row.text("ResourceSubType"), row.text("HostResource")
            if kind not in (HARD_DISK, DVD_DISK):
                continue
            is_cd = kind == DVD_DISK
            size, used = (None, None) if is_cd or not path else self._sizes(path)
            shared = tuple(
                dict.fromkeys(
                    names[vm_id].name for vm_id in map(facts.object_id, users.get(path.lower(), ())) if vm_id in names
                )
            )
            storage_id, storage = facts.volume(path)
            found.append(
                Disk(
                    id=ObjectId(row.text("InstanceID")),
                    name=path,
                    device=_place(row),
                    is_cd=is_cd,
                    size_bytes=size,
                    used_bytes=used,
                    storage_id=storage_id,
                    storage=storage,
                    read_only=row.number("Access") == 1,
                    shared_with=() if is_cd else shared,
                )
            )
        return tuple(found)

    def _sizes(self, path: str) -> tuple[int | None, int | None]:
        """(size, size of the file) of a virtual disk; the host opens the file for that."""
        service = self._reader.service(IMAGES)
        found: list[int | None] = []
        for method, out, name in (
            ("GetVirtualHardDiskSettingData", "SettingData", "maxinternalsize"),
            ("GetVirtualHardDiskState", "State", "filesize"),
        ):
            try:
                value, output = self._client.call(service, method, {"Path": path})
                check_return(value)
                _class, values = wmi_instance.read(output.text(out))
                text = next(iter(values.get(name, ())), "")
                found.append(integer(text))
            except (HvError, ValueError) as exc:
                log.info("the host doesn't tell about a disk: %s", exc)
                found.append(None)
        return found[0], found[1]

    def _facts(self, guid: str, settings: facts.SettingsFact) -> list[tuple[str, str]]:
        rows = self._client.query(
            V2,
            wmi_query.select(
                "Msvm_VirtualSystemSettingData", (), f"InstanceID = {wmi_query.instance_id(f'Microsoft:{guid}')}"
            ),
        )
        found: list[tuple[str, str]] = []
        if settings.generation is not None:
            found.append(("Generation", str(settings.generation)))
        if rows:
            row = rows[0]
            found += [
                ("Configuration version", row.text("Version")),
                ("Configuration", _configuration(row)),
                ("Checkpoints", _CHECKPOINTS.get(row.number("UserSnapshotType") or 0, "")),
                ("When the host starts", _START_ACTIONS.get(row.number("AutomaticStartupAction") or 0, "")),
                ("Secure boot", {True: "on", False: "off", None: ""}[row.flag("SecureBootEnabled")]),
            ]
        for row in self._reader.devices("Msvm_MemorySettingData", guid):
            if row.flag("DynamicMemoryEnabled"):
                found.append(("Dynamic memory", f"{row.text('Reservation')} to {row.text('Limit')} MiB"))
        physical = sum(
            row.text("ResourceSubType").lower() == PHYSICAL_DISK
            for row in self._reader.devices("Msvm_ResourceAllocationSettingData", guid)
        )
        if physical:
            found.append(("Physical disks", f"{physical}, passed through; checkpoints and exports leave them out"))
        guest = self._kvp(guid)
        found += [(label, guest[name]) for name, label in _FACT_NAMES if guest.get(name)]
        return [(label, text) for label, text in found if text]

    def _kvp(self, guid: str) -> dict[str, str]:
        """What the guest says about itself. Written by the guest: hostile."""
        try:
            record = self._reader.component("Msvm_KvpExchangeComponent", guid)
        except OperationError as exc:
            log.info("the host doesn't tell what the guest says: %s", exc.detail)
            return {}
        return facts.guest_items(record) if record is not None else {}

    # ---- pictures and measurements -------------------------------------------------------------------------

    def screenshot(self, guid: str) -> bytes:
        """The VM's screen as PNG. Raises ``Refused`` when the host gives none."""
        width, height = _PICTURE
        value, output = self._client.call(
            self._reader.service(MANAGEMENT),
            "GetVirtualSystemThumbnailImage",
            {"TargetSystem": settings_epr(guid), "WidthPixels": width, "HeightPixels": height},
        )
        check_return(value)
        pixels = output.octets("ImageData")
        if len(pixels) != width * height * 2:
            raise Refused("The host has no picture of this VM's screen now.")
        return _png(width, height, pixels)

    @staticmethod
    def metrics(samples: tuple[Sample, ...], seconds: int) -> Metrics:
        """The measurements that watching has collected, put on an even grid. Raises ``Refused`` without any."""
        if not samples:
            raise Refused("Nothing has been measured of this VM yet.")
        end = samples[-1][0]
        step = 2.0
        count = max(1, min(1800, int(seconds / step)))
        load: list[float | None] = [None] * count
        memory: list[float | None] = [None] * count
        for when, percent, mib in samples:
            index = count - 1 - int((end - when).total_seconds() / step)
            if 0 <= index < count:
                load[index] = None if percent is None else percent / 100
                memory[index] = None if mib is None else float(mib * (1 << 20))
        return Metrics(
            step_s=step,
            end=end,
            series=(
                Series(name="CPU", unit="fraction", values=tuple(load)),
                Series(name="Memory", unit="bytes", values=tuple(memory)),
            ),
        )

    # ---- the host ------------------------------------------------------------------------------------------

    def host(self, host_id: ObjectId) -> HostDetails:
        """Cards, volumes, facts of the host."""
        inventory = self._inventory()
        nics = tuple(self._host_nics())
        extra: list[tuple[str, str]] = []
        for row in self._reader.optional("Win32_ComputerSystem", CIMV2):
            extra += [
                ("Manufacturer", row.text("Manufacturer")),
                ("Model", row.text("Model")),
                ("Domain" if row.flag("PartOfDomain") else "Workgroup", row.text("Domain")),
            ]
        for row in self._reader.optional("Win32_BIOS", CIMV2):
            extra += [("Serial number", row.text("SerialNumber")), ("BIOS", row.text("SMBIOSBIOSVersion"))]
        for row in self._reader.optional("Win32_OperatingSystem", CIMV2):
            extra += [("Windows", row.text("Caption")), ("Build", row.text("BuildNumber"))]
        for row in self._reader.optional("Msvm_VirtualSystemManagementServiceSettingData", V2):
            extra += [
                ("Virtual disks", row.text("DefaultVirtualHardDiskPath")),
                ("Virtual machines", row.text("DefaultExternalDataRoot")),
            ]
        return HostDetails(
            host_id=host_id,
            nics=nics,
            facts=tuple((label, text) for label, text in extra if text),
            storages=tuple(inventory.storages) if inventory is not None else (),
        )

    def _host_nics(self) -> list[HostNic]:
        setup = {row.number("Index"): row for row in self._reader.optional("Win32_NetworkAdapterConfiguration", CIMV2)}
        found = []
        for row in self._reader.optional("Win32_NetworkAdapter", CIMV2):
            address = setup.get(row.number("Index"))
            addresses = address.texts("IPAddress") if address is not None else []
            if row.flag("PhysicalAdapter") is False and not addresses:
                continue
            speed = row.number("Speed")
            first = next((text for text in addresses if ":" not in text), next(iter(addresses), ""))
            status = row.number("NetConnectionStatus")
            found.append(
                HostNic(
                    name=row.text("NetConnectionID") or row.text("Name"),
                    mac=row.text("MACAddress").lower(),
                    network=row.text("Name"),
                    address=first,
                    netmask=next(iter(address.texts("IPSubnet")), "") if address is not None else "",
                    gateway=next(iter(address.texts("DefaultIPGateway")), "") if address is not None else "",
                    management=bool(first),
                    link_up=None if status is None else status == 2,
                    speed_mbps=speed // 1_000_000 if speed is not None and speed < 1 << 50 else None,
                )
            )
        return found

    def network_map(self, host_id: ObjectId) -> NetworkMap:
        """Physical card → switch → VM card."""
        external = {
            row.text("DeviceID"): row for name in facts.UPLINK_CLASSES for row in self._reader.optional(name, V2)
        }
        uplinks: dict[str, list[HostNic]] = {}
        rows = self._client.query(V2, wmi_query.select("Msvm_EthernetPortAllocationSettingData"))
        for row in rows:
            for port in filter(None, map(external.get, facts.uplinks(row))):
                speed = port.number("Speed")
                uplinks.setdefault(facts.guid_in(row.text("InstanceID")), []).append(
                    HostNic(
                        name=port.text("ElementName"),
                        mac=_colons(port.text("PermanentAddress")),
                        link_up=port.number("EnabledState") == 2,
                        speed_mbps=speed // 1_000_000 if speed is not None else None,
                    )
                )
        inventory = self._inventory()
        links = []
        for network in inventory.networks.values() if inventory is not None else ():
            cards = tuple(
                (vm.id, nic)
                for vm in (inventory.vms.values() if inventory is not None else ())
                for nic in vm.nics
                if nic.network_id == network.id
            )
            links.append(
                NetworkLink(
                    network_id=network.id,
                    network=network.name,
                    host_nics=tuple(uplinks.get(network.id.upper(), ())),
                    vm_nics=cards,
                )
            )
        return NetworkMap(host_id=host_id, links=tuple(links))


def _place(row: Record) -> str:
    """Where a disk hangs: the controller's number and the slot out of "…\\0\\1\\L"."""
    parts = row.text("InstanceID").split("\\")
    return ":".join(parts[-3:-1]) if len(parts) >= 4 else ""


def _configuration(row: Record) -> str:
    root, file = row.text("ConfigurationDataRoot"), row.text("ConfigurationFile")
    return f"{root}\\{file}" if root and file else root


def _colons(mac: str) -> str:
    return ":".join(mac[i : i + 2] for i in range(0, 12, 2)).lower() if len(mac) == 12 else mac


def _png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG from 16-bit RGB565, low byte first."""
    rows = bytearray()
    for line in range(height):
        rows.append(0)
        start = line * width * 2
        for at in range(start, start + width * 2, 2):
            value = pixels[at] | pixels[at + 1] << 8
            red, green, blue = value >> 11, value >> 5 & 0x3F, value & 0x1F
            rows += bytes((red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")
    )
