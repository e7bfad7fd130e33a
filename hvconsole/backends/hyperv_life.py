"""Life of VMs: create, delete with disks, rename. A half-made VM is taken away again.

Any worker thread; every function blocks until the host says that it is done.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping

from hvconsole import whynot
from hvconsole.backends import hyperv_facts as facts
from hvconsole.backends import hyperv_model as model
from hvconsole.backends import wmi_instance, wmi_path, wmi_query
from hvconsole.backends.base import CreateVm, CreationChoices, TaskContext
from hvconsole.backends.hyperv_facts import settings_epr, vm_epr
from hvconsole.backends.hyperv_jobs import Jobs
from hvconsole.backends.hyperv_power import PowerVerbs
from hvconsole.backends.hyperv_read import IMAGES, MANAGEMENT, SNAPSHOTS, Reader
from hvconsole.backends.wmi_instance import Instance, Value
from hvconsole.backends.wsman_envelope import CIMV2, V2, Epr, wmi_uri
from hvconsole.backends.wsman_faults import check_return
from hvconsole.backends.wsman_reply import Record
from hvconsole.errors import (
    BadPowerState,
    BadReply,
    HvError,
    InvalidInput,
    NotFound,
    OperationError,
    OutcomeUnknown,
    Refused,
)
from hvconsole.model import ObjectId, PowerState, Verb
from hvconsole.text import unsendable

log = logging.getLogger(__name__)

MIB = 1 << 20
DISK_DRIVE = "Microsoft:Hyper-V:Synthetic Disk Drive"
DVD_DRIVE = "Microsoft:Hyper-V:Synthetic DVD Drive"
HARD_DISK = "Microsoft:Hyper-V:Virtual Hard Disk"
DVD_DISK = "Microsoft:Hyper-V:Virtual CD/DVD Disk"
SCSI = "Microsoft:Hyper-V:Synthetic SCSI Controller"
NIC = "Microsoft:Hyper-V:Synthetic Ethernet Port"
CONNECTION = "Microsoft:Hyper-V:Ethernet Connection"
FIELDS = frozenset(
    {
        "name",
        "description",
        "vcpus",
        "memory_bytes",
        "disk_bytes",
        "disk_thin",
        "existing_disk",
        "storage_id",
        "network_id",
        "host_id",
        "generation",
        "iso",
        "start",
    }
)

_DYNAMIC, _FIXED, _VHDX = 3, 2, 3
_MOST_DISKS = 5_000
_MERGING = 32772
_MERGE_S = 3600.0
_WINDOWS_PATH = re.compile(r"(?:[A-Za-z]:\\|\\\\[^\\/:*?\"<>|]+\\[^\\/:*?\"<>|]+)[^/:*?\"<>|\x00-\x1f]*")
_NOT_IN_FILES = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_DOUBT = "kept: the host doesn't tell whether disks of other VMs build on it"
_BETWEEN_HOSTS = "kept: other hosts may use it, it is set up to be shared between VMs"
_ON_SHARE = "on a share, where Windows can't be asked to delete it"
_DELETE_RESULTS = {2: "access denied", 15: "in use", 17: "the right is missing"}


def windows_path(text: str, what: str) -> str:
    """A path on the host as typed, checked. Raises ``InvalidInput``."""
    path = text.strip().replace("/", "\\") if text[1:3] == ":/" else text.strip()
    if len(path) > 240 or unsendable(path) or _WINDOWS_PATH.fullmatch(path) is None:
        raise InvalidInput(f"{what} is a path on the Hyper-V host, such as D:\\VMs\\web01 or \\\\server\\share\\web01.")
    return path.rstrip("\\") if len(path) > 3 else path


def _is_between_hosts(row: Record) -> bool:
    """Whether a disk is one of a guest cluster, whose other VMs usually are on other hosts."""
    return bool(row.flag("PersistentReservationsSupported")) or row.text("HostResource").lower().endswith(".vhds")


class LifeVerbs:
    """Creating, deleting and renaming VMs of one host. ``server`` is its NetBIOS name."""

    def __init__(self, reader: Reader, jobs: Jobs, power: PowerVerbs, server: str) -> None:
        self._reader = reader
        self._client = reader.client
        self._jobs = jobs
        self._power = power
        self._server = server

    @property
    def _management(self) -> Epr:
        return self._reader.service(MANAGEMENT)

    def choices(self, cpus: int | None) -> CreationChoices:
        """What the Create dialog can offer."""
        return CreationChoices(generations=(2, 1), max_vcpus=cpus, fields=FIELDS)

    # ---- create --------------------------------------------------------------------------------------------

    def create(self, spec: CreateVm, ctx: TaskContext) -> ObjectId:
        """Create a VM as described; it and its new disk are taken away again when a step fails."""
        self._check(spec)
        ctx.progress(0.0, "Creating the VM")
        settings: dict[str, Value] = {
            "ElementName": spec.name,
            "VirtualSystemSubType": f"Microsoft:Hyper-V:SubType:{spec.generation or 2}",
        }
        if spec.description:
            settings["Notes"] = [spec.description]
        output = self._jobs.run(
            self._management,
            "DefineSystem",
            {"SystemSettings": Instance("Msvm_VirtualSystemSettingData", settings), "ResourceSettings": []},
            ctx,
            "creating the VM",
        )
        system = output.reference("ResultingSystem")
        guid = system.keys.get("Name", "").upper() if system is not None else ""
        if not wmi_query.is_guid(guid):
            raise OutcomeUnknown("The host created the VM but didn't say under which id.")
        made: list[str] = []
        try:
            self._equip(guid, spec, made, ctx)
            if spec.start:
                ctx.progress(0.9, "Starting the VM")
                self._power.change(guid, Verb.START, ctx)
        except BaseException:
            self._undo(guid, made)
            raise
        return facts.object_id(guid)

    @staticmethod
    def _check(spec: CreateVm) -> None:
        for text in (spec.name, spec.description, spec.existing_disk, spec.iso):
            problem = unsendable(text)
            if problem:
                raise InvalidInput(problem)
        if not spec.name.strip():
            raise InvalidInput("The VM needs a name.")
        for what, chosen in (
            ("A template", spec.template_id),
            ("A guest system", spec.guest_os),
            ("A kind of network card", spec.nic_type),
        ):
            if chosen:
                raise InvalidInput(f"{what} can't be chosen on Hyper-V.")
        if spec.generation not in (None, 1, 2):
            raise InvalidInput("Hyper-V knows the generations 1 and 2.")
        if spec.memory_bytes is not None and (spec.memory_bytes % (2 * MIB) or spec.memory_bytes < 32 * MIB):
            raise InvalidInput("Memory must be a multiple of 2 MiB, at least 32 MiB.")
        if spec.vcpus is not None and spec.vcpus < 1:
            raise InvalidInput("A VM needs at least one processor.")
        if spec.disk_bytes is not None and spec.disk_bytes < 3 * MIB:
            raise InvalidInput("A virtual disk has at least 3 MiB.")
        if spec.network_id is not None:
            wmi_query.guid(spec.network_id)

    def _equip(self, guid: str, spec: CreateVm, made: list[str], ctx: TaskContext) -> None:
        if spec.memory_bytes is not None:
            size = spec.memory_bytes // MIB
            self._modify(
                guid,
                "Msvm_MemorySettingData",
                {"VirtualQuantity": size, "Reservation": size, "Limit": size, "DynamicMemoryEnabled": False},
                ctx,
            )
        if spec.vcpus is not None:
            self._modify(guid, "Msvm_ProcessorSettingData", {"VirtualQuantity": spec.vcpus}, ctx)
        disk = windows_path(spec.existing_disk, "An existing disk") if spec.existing_disk else ""
        if not disk and spec.disk_bytes is not None:
            ctx.progress(0.3, "Creating the disk")
            disk = self._new_disk(guid, spec, made, ctx)
        slot = 0
        controller = self._controller(guid, spec.generation or 2, ctx) if disk or spec.iso else ""
        if disk:
            self._drive(guid, controller, slot, DISK_DRIVE, HARD_DISK, disk, ctx)
            slot += 1
        if spec.iso:
            self._drive(guid, controller, slot, DVD_DRIVE, DVD_DISK, windows_path(spec.iso, "A CD image"), ctx)
        if spec.network_id is not None:
            ctx.progress(0.7, "Adding the network card")
            self._card(guid, spec.network_id, ctx)

    def _modify(self, guid: str, class_name: str, values: Mapping[str, Value], ctx: TaskContext) -> None:
        rows = self._reader.devices(class_name, guid)
        if not rows:
            raise Refused("The host doesn't show the new VM's hardware.", class_name)
        instance = Instance(class_name, {"InstanceID": rows[0].text("InstanceID"), **values})
        self._jobs.run(
            self._management, "ModifyResourceSettings", {"ResourceSettings": [instance]}, ctx, "setting up the VM"
        )

    def _new_disk(self, guid: str, spec: CreateVm, made: list[str], ctx: TaskContext) -> str:
        folder = self._disk_folder(spec.storage_id)
        stem = _NOT_IN_FILES.sub("_", spec.name).strip(" .")[:60] or "disk"
        path = f"{folder}\\{stem}_{guid[:8]}.vhdx"
        kind = _DYNAMIC if spec.disk_thin else _FIXED
        settings = Instance(
            "Msvm_VirtualHardDiskSettingData",
            {"Type": kind, "Format": _VHDX, "Path": path, "MaxInternalSize": spec.disk_bytes or 0},
        )
        try:
            self._jobs.run(
                self._reader.service(IMAGES),
                "CreateVirtualHardDisk",
                {"VirtualDiskSettingData": settings},
                ctx,
                "creating the disk",
            )
        except OutcomeUnknown:
            # It may be there; the name is the new VM's own, so that nobody else's file can be meant.
            made.append(path)
            raise
        made.append(path)
        return path

    def _disk_folder(self, storage_id: ObjectId | None) -> str:
        rows = self._reader.all_of("Msvm_VirtualSystemManagementServiceSettingData", V2)
        folder = rows[0].text("DefaultVirtualHardDiskPath").rstrip("\\") if rows else ""
        if storage_id is None:
            return folder or "C:\\ProgramData\\Microsoft\\Windows\\Virtual Hard Disks"
        if re.fullmatch(r"[A-Za-z]:", storage_id) is None:
            raise InvalidInput("A volume of the host is named by its letter, such as D:.")
        if folder[:2].upper() == storage_id.upper():
            return folder
        # On other volumes the root is the only folder that is certain to be there.
        return storage_id.upper()

    def _controller(self, guid: str, generation: int, ctx: TaskContext) -> str:
        """InstanceID of the controller for the first disk: IDE 0, or SCSI, which may have to be added."""
        wanted = 5 if generation == 1 else 6
        rows = self._reader.devices("Msvm_ResourceAllocationSettingData", guid)
        found = sorted(row.text("InstanceID") for row in rows if row.number("ResourceType") == wanted)
        if found:
            return found[0]
        return self._add(
            guid,
            Instance(
                "Msvm_ResourceAllocationSettingData",
                {"ResourceType": 6, "ResourceSubType": SCSI, "ElementName": "SCSI Controller"},
            ),
            ctx,
        )

    def _drive(
        self, guid: str, controller: str, slot: int, drive: str, medium: str, path: str, ctx: TaskContext
    ) -> None:
        added = self._add(
            guid,
            Instance(
                "Msvm_ResourceAllocationSettingData",
                {
                    "ResourceType": 16 if drive == DVD_DRIVE else 17,
                    "ResourceSubType": drive,
                    "AddressOnParent": str(slot),
                    "Parent": self._path("Msvm_ResourceAllocationSettingData", controller),
                },
            ),
            ctx,
        )
        self._add(
            guid,
            Instance(
                "Msvm_StorageAllocationSettingData",
                {
                    "ResourceType": 31,
                    "ResourceSubType": medium,
                    "HostResource": [path],
                    "Parent": self._path("Msvm_ResourceAllocationSettingData", added),
                },
            ),
            ctx,
        )

    def _card(self, guid: str, switch: str, ctx: TaskContext) -> None:
        card = self._add(
            guid,
            Instance(
                "Msvm_SyntheticEthernetPortSettingData",
                {"ElementName": "Network Adapter", "ResourceType": 10, "ResourceSubType": NIC},
            ),
            ctx,
        )
        network = wmi_path.absolute(
            self._server,
            V2,
            "Msvm_VirtualEthernetSwitch",
            {"CreationClassName": "Msvm_VirtualEthernetSwitch", "Name": switch.upper()},
        )
        self._add(
            guid,
            Instance(
                "Msvm_EthernetPortAllocationSettingData",
                {
                    "ElementName": "Network Adapter",
                    "ResourceType": 33,
                    "ResourceSubType": CONNECTION,
                    "EnabledState": 2,
                    "HostResource": [network],
                    "Parent": self._path("Msvm_SyntheticEthernetPortSettingData", card),
                },
            ),
            ctx,
        )

    def _path(self, class_name: str, instance_id: str) -> str:
        return wmi_path.absolute(self._server, V2, class_name, {"InstanceID": instance_id})

    def _add(self, guid: str, instance: Instance, ctx: TaskContext) -> str:
        """Add one resource; its InstanceID."""
        before = {row.text("InstanceID") for row in self._reader.devices(instance.class_name, guid)}
        output = self._jobs.run(
            self._management,
            "AddResourceSettings",
            {"AffectedConfiguration": settings_epr(guid), "ResourceSettings": [instance]},
            ctx,
            "setting up the VM",
        )
        for reference in output.references("ResultingResourceSettings"):
            found = reference.keys.get("InstanceID", "")
            if found:
                return found
        # With a job, the answer names nothing: it is the one that was not there before.
        added = [row.text("InstanceID") for row in self._reader.devices(instance.class_name, guid)]
        new = [instance_id for instance_id in added if instance_id not in before]
        if len(new) != 1:
            raise OutcomeUnknown("The host added hardware to the VM but didn't say which.")
        return new[0]

    def _undo(self, guid: str, made: Iterable[str]) -> None:
        """Take a half-made VM away; what cannot be taken away is only logged, the first error counts."""
        try:
            self._jobs.run(
                self._management,
                "DestroySystem",
                {"AffectedSystem": vm_epr(guid)},
                TaskContext(),
                "removing the half-made VM",
            )
            for path in made:
                self._delete_file(path)
        except HvError as exc:
            log.warning("a half-made VM could not be removed from the host: %s %s", exc.user_text, exc.detail)

    # ---- delete --------------------------------------------------------------------------------------------

    def delete(self, guid: str, keep: frozenset[ObjectId], ctx: TaskContext) -> None:
        """Delete a VM with its checkpoints and disk files, except ``keep`` and files that other VMs use."""
        power, _changing = self._power.state(guid)
        legal = model.LEGAL[Verb.DELETE]
        if power not in legal and power is not PowerState.UNKNOWN:
            raise BadPowerState(whynot.wrong_state(Verb.DELETE, power, legal))
        self._delete_checkpoints(guid, ctx)
        rows = self._hard_disks(guid)
        disks = {ObjectId(row.text("InstanceID")): row.text("HostResource") for row in rows}
        between_hosts = {row.text("HostResource") for row in rows if _is_between_hosts(row)}
        shared, doubtful = self._used_elsewhere(guid, disks.values())
        ctx.progress(0.6, "Deleting the VM")
        self._jobs.run(self._management, "DestroySystem", {"AffectedSystem": vm_epr(guid)}, ctx, "deleting the VM")
        left: list[str] = []
        for disk_id, path in disks.items():
            if disk_id in keep or path.lower() in shared:
                continue
            if path in between_hosts:
                problem = _BETWEEN_HOSTS
            else:
                problem = self._delete_file(path) if not doubtful else _DOUBT
            if problem:
                left.append(f"{path} ({problem})")
        if left:
            raise Refused("The VM is deleted, but files of it remain on the host.", "\n".join(left))

    def _hard_disks(self, guid: str) -> list[Record]:
        """Virtual hard disks of a VM."""
        rows = self._reader.devices("Msvm_StorageAllocationSettingData", guid)
        return [
            row for row in rows if row.text("ResourceSubType").lower() == HARD_DISK.lower() and row.text("HostResource")
        ]

    def used_by(self, guid: str) -> dict[str, list[str]]:
        """File in lower case → GUIDs of other VMs and checkpoints that use it."""
        query = wmi_query.select("Msvm_StorageAllocationSettingData", ("InstanceID", "HostResource"))
        own = {guid.upper()} | {fact.guid for fact in self._checkpoints(guid)}
        found: dict[str, list[str]] = {}
        for row in self._client.query(V2, query):
            owner = facts.guid_in(row.text("InstanceID"))
            if owner and owner not in own:
                found.setdefault(row.text("HostResource").lower(), []).append(owner)
        return found

    def _used_elsewhere(self, guid: str, disks: Iterable[str]) -> tuple[frozenset[str], bool]:
        """(files in lower case that must stay, whether there may be more of them).

        Used by others, or the parent of a differencing disk of others; in doubt where the host doesn't tell about one.
        """
        used = set(self.used_by(guid))
        wanted = {path.lower() for path in disks} - used
        todo = [path for path in used if path.endswith((".vhdx", ".avhdx", ".vhd", ".avhd", ".vhds"))]
        asked = 0
        while todo and wanted - used:
            if asked == _MOST_DISKS:
                log.warning("too many disks on the host to see which of them need those of the VM; its files stay")
                return frozenset(used), True
            asked += 1
            parent = self._parent(todo.pop())
            if parent is None:
                return frozenset(used), True
            if parent and parent not in used:
                used.add(parent)
                todo.append(parent)
        return frozenset(used), False

    def _parent(self, path: str) -> str | None:
        """The file that a differencing disk builds on, in lower case; nothing for other disks and missing files.

        None where the host doesn't say.
        """
        try:
            value, output = self._client.call(
                self._reader.service(IMAGES), "GetVirtualHardDiskSettingData", {"Path": path}
            )
            check_return(value)
            _class, values = wmi_instance.read(output.text("SettingData"))
        except NotFound:
            return ""
        except (OperationError, BadReply) as exc:
            log.warning("the host doesn't tell about the disk %s: %s", path, exc.detail)
            return None
        return next(iter(values.get("parentpath", ())), "").lower()

    def _checkpoints(self, guid: str) -> list[facts.SettingsFact]:
        found = map(facts.settings_fact, self._reader.settings(guid))
        return [fact for fact in found if fact is not None and fact.is_checkpoint]

    def _delete_checkpoints(self, guid: str, ctx: TaskContext) -> None:
        """All checkpoints first, and their merges: only then do the disks have their final files."""
        checkpoints = self._checkpoints(guid)
        known = {fact.guid for fact in checkpoints}
        for root in [fact for fact in checkpoints if fact.parent not in known]:
            ctx.progress(0.2, "Deleting its checkpoints")
            self._jobs.run(
                self._reader.service(SNAPSHOTS),
                "DestroySnapshotTree",
                {"SnapshotSettingData": settings_epr(root.guid)},
                ctx,
                "deleting the checkpoints",
            )
        if checkpoints:
            ctx.progress(0.4, "Merging disks")
            with self._jobs.waking(ctx) as wake:
                waited = 0.0
                while _MERGING in self._reader.system(guid).numbers("OperationalStatus") and waited < _MERGE_S:
                    ctx.raise_if_cancelled()
                    self._jobs.pause(wake, 1.0)
                    waited += 1.0

    def _delete_file(self, path: str) -> str:
        """Delete a file on the host; why not, or nothing. The path goes as a key, never into a query."""
        if path.startswith("\\\\"):
            return _ON_SHARE  # the host would say that it has no such file
        epr = Epr(wmi_uri(CIMV2, "CIM_DataFile"), (("Name", path),))
        try:
            value, _output = self._client.invoke(epr, "Delete", {})
        except NotFound:
            return ""
        except HvError as exc:
            log.info("a disk file could not be deleted: %s", exc.detail or exc.user_text)
            return exc.user_text
        return "" if value == 0 else _DELETE_RESULTS.get(value, f"code {value}")

    # ---- rename --------------------------------------------------------------------------------------------

    def rename(self, guid: str, name: str, ctx: TaskContext, description: str | None) -> None:
        """Change name and notes."""
        for text in (name, description or ""):
            problem = unsendable(text)
            if problem:
                raise InvalidInput(problem)
        if not name.strip():
            raise InvalidInput("The VM needs a name.")
        values: dict[str, Value] = {"InstanceID": f"Microsoft:{guid}", "ElementName": name}
        if description is not None:
            values["Notes"] = [description]
        self._jobs.run(
            self._management,
            "ModifySystemSettings",
            {"SystemSettings": Instance("Msvm_VirtualSystemSettingData", values)},
            ctx,
            "renaming the VM",
        )
