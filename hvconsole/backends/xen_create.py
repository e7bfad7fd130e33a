"""Creating VMs from templates. Blocks; any worker thread.

xapi's own way: clone the template, change the clone, ``VM.provision``. Built-in templates carry a description of the
disks to make in other_config; others bring disks along.
"""

from __future__ import annotations

import logging
import re
from xml.sax.saxutils import quoteattr

from hvconsole.backends import xen_fields as f
from hvconsole.backends.base import CreateVm, CreationChoices, TaskContext
from hvconsole.backends.xen_life import check_name, made
from hvconsole.backends.xen_objects import Objects
from hvconsole.backends.xen_power import Power
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xen_snapshots import Snapshots
from hvconsole.backends.xen_tables import Tables
from hvconsole.backends.xen_tasks import LONG_TASK_LIMIT_S, Tasks
from hvconsole.errors import HvError, InvalidInput, Refused
from hvconsole.model import ObjectId, VmKind
from hvconsole.text import unsendable

log = logging.getLogger(__name__)

_FIELDS = frozenset(
    {
        "name",
        "description",
        "template_id",
        "vcpus",
        "memory_bytes",
        "disk_bytes",
        "storage_id",
        "network_id",
        "host_id",
        "iso",
        "start",
    }
)
_UNKNOWN_FIELDS = ("guest_os", "existing_disk", "nic_type", "generation")
MAX_VCPUS = 64
_DISK = re.compile(r"<disk\b[^>]*>")


class Creation:
    """Makes VMs; a half-made one is removed again."""

    def __init__(
        self,
        session: XenSession,
        objects: Objects,
        tasks: Tasks,
        tables: Tables,
        snapshots: Snapshots,
        power: Power,
    ) -> None:
        self._session = session
        self._objects = objects
        self._tasks = tasks
        self._tables = tables
        self._snapshots = snapshots
        self._power = power

    def choices(self) -> CreationChoices:
        """ISO images in the pool's ISO storages; templates are in the inventory."""
        isos = []
        tables = self._tables
        storages = {ref for ref, row in list(tables.sr.items()) if row.iso}
        for ref, row in list(tables.vdi.items()):
            if row.sr in storages:
                isos.append((row.uuid or ref, row.name))
        isos.sort(key=lambda pair: pair[1].lower())
        return CreationChoices(isos=tuple(isos), max_vcpus=MAX_VCPUS, fields=_FIELDS)

    def create(self, spec: CreateVm, ctx: TaskContext) -> ObjectId:
        """Clone the template, set it up, provision; a half-made VM is removed with its disks."""
        self._check(spec)
        assert spec.template_id is not None
        template = self._objects.vm(spec.template_id)
        if spec.disk_bytes is not None and self._objects.disks_of(self._objects.record("VM", template)):
            raise InvalidInput("This template brings its own disks; leave the size of the disk empty.")
        storage = self._objects.ref("SR", spec.storage_id) if spec.storage_id else None
        if storage is not None and not self._is_default_template(template):
            result = self._tasks.run(ctx, "VM.copy", template, spec.name, storage, limit_s=LONG_TASK_LIMIT_S)
        else:
            result = self._tasks.run(ctx, "VM.clone", template, spec.name)
        ref = made(result)
        try:
            self._set_up(ref, spec, storage)
            ctx.raise_if_cancelled()
            self._tasks.run(ctx, "VM.provision", ref)
            vm_id = self._objects.id("VM", ref)
        except BaseException:
            self._remove_half_made(ref)
            raise
        if spec.start:
            self._power.start(vm_id, ctx, None)
        return vm_id

    def _check(self, spec: CreateVm) -> None:
        check_name(spec.name)
        if unsendable(spec.description):
            raise InvalidInput(unsendable(spec.description) or "")
        for name in _UNKNOWN_FIELDS:
            if getattr(spec, name):
                raise InvalidInput(f"XenServer doesn't know “{name.replace('_', ' ')}” when creating a VM.")
        if not spec.disk_thin:
            raise InvalidInput("On XenServer the storage decides how disks are allocated.")
        if spec.template_id is None:
            raise InvalidInput("Choose a template to create the VM from.")
        if spec.vcpus is not None and not 1 <= spec.vcpus <= MAX_VCPUS:
            raise InvalidInput(f"The number of vCPUs must be between 1 and {MAX_VCPUS}.")
        if spec.memory_bytes is not None and spec.memory_bytes < 16 << 20:
            raise InvalidInput("A VM needs at least 16 MiB of memory.")

    def _is_default_template(self, ref: str) -> bool:
        row = self._tables.vm.get(ref)
        return row is not None and row.kind is VmKind.DEFAULT_TEMPLATE

    def _set_up(self, ref: str, spec: CreateVm, storage: str | None) -> None:
        call = self._session.call
        if spec.description:
            call("VM.set_name_description", ref, spec.description, write=True)
        if spec.vcpus is not None:
            # never more at start than at most, whichever way it changes
            record = self._objects.record("VM", ref)
            if spec.vcpus > (f.size(record, "VCPUs_max") or 0):
                call("VM.set_VCPUs_max", ref, str(spec.vcpus), write=True)
                call("VM.set_VCPUs_at_startup", ref, str(spec.vcpus), write=True)
            else:
                call("VM.set_VCPUs_at_startup", ref, str(spec.vcpus), write=True)
                call("VM.set_VCPUs_max", ref, str(spec.vcpus), write=True)
        if spec.memory_bytes is not None:
            lowest = min(f.size(self._objects.record("VM", ref), "memory_static_min") or 0, spec.memory_bytes)
            size = str(spec.memory_bytes)
            call("VM.set_memory_limits", ref, str(lowest), size, size, size, write=True)
        self._set_disks(ref, spec, storage)
        if spec.host_id is not None:
            call("VM.set_affinity", ref, self._objects.ref("host", spec.host_id), write=True)
        if spec.network_id is not None:
            self._add_nic(ref, spec.network_id)
        if spec.iso:
            self._insert_iso(ref, spec.iso)

    def _set_disks(self, ref: str, spec: CreateVm, storage: str | None) -> None:
        """Built-in templates describe their disks in XML, without saying on which storage."""
        other = f.texts(self._objects.record("VM", ref), "other_config")
        xml = other.get("disks", "")
        if not _DISK.search(xml):
            if spec.disk_bytes is not None:
                self._add_disk(ref, spec.disk_bytes, storage or self._default_storage())
            return
        storage = storage or self._default_storage()
        uuid = str(self._objects.id("SR", storage))
        first = True

        def rewrite(match: re.Match[str]) -> str:
            nonlocal first
            tag = re.sub(r'\bsr="[^"]*"', f"sr={quoteattr(uuid)}", match.group(0))
            if first and spec.disk_bytes is not None:
                tag = re.sub(r'\bsize="[^"]*"', f'size="{spec.disk_bytes}"', tag)
            first = False
            return tag

        self._session.call("VM.remove_from_other_config", ref, "disks", write=True)
        self._session.call("VM.add_to_other_config", ref, "disks", _DISK.sub(rewrite, xml), write=True)

    def _default_storage(self) -> str:
        row = next(iter(self._tables.pool.values()), None)
        if row is None or row.default_sr not in self._tables.sr:
            raise InvalidInput("The pool has no default storage; choose one.")
        return row.default_sr

    def _add_disk(self, ref: str, size_bytes: int, storage: str) -> None:
        vdi = self._session.call(
            "VDI.create",
            {
                "name_label": "disk 0",
                "name_description": "",
                "SR": storage,
                "virtual_size": str(size_bytes),
                "type": "user",
                "sharable": False,
                "read_only": False,
                "other_config": {},
                "xenstore_data": {},
                "sm_config": {},
                "tags": [],
            },
            write=True,
        )
        try:
            self._attach(ref, str(vdi), "RW", "Disk", bootable=True)
        except HvError:
            # nothing but this knows of the disk yet
            self._snapshots.destroy_disks({str(vdi): ""}, [ref], TaskContext())
            raise

    def _attach(self, ref: str, vdi: str, mode: str, kind: str, *, bootable: bool) -> None:
        free = self._session.call("VM.get_allowed_VBD_devices", ref)
        if not isinstance(free, list) or not free:
            raise Refused("The VM has no free place for another disk.")
        # CD drives traditionally sit at 3
        device = "3" if kind == "CD" and "3" in free else str(free[0])
        self._session.call(
            "VBD.create",
            {
                "VM": ref,
                "VDI": vdi,
                "userdevice": device,
                "bootable": bootable,
                "mode": mode,
                "type": kind,
                "unpluggable": True,
                "empty": False,
                "other_config": {} if kind == "CD" else {"owner": ""},
                "qos_algorithm_type": "",
                "qos_algorithm_params": {},
            },
            write=True,
        )

    def _add_nic(self, ref: str, network_id: ObjectId) -> None:
        network = self._objects.ref("network", network_id)
        for vif in f.refs(self._objects.record("VM", ref), "VIFs"):
            # the template's own card goes: the user chose a network
            self._session.call("VIF.destroy", vif, write=True)
        free = self._session.call("VM.get_allowed_VIF_devices", ref)
        self._session.call(
            "VIF.create",
            {
                "device": str(free[0]) if isinstance(free, list) and free else "0",
                "network": network,
                "VM": ref,
                "MAC": "",
                "MTU": "1500",
                "other_config": {},
                "qos_algorithm_type": "",
                "qos_algorithm_params": {},
            },
            write=True,
        )

    def _insert_iso(self, ref: str, iso: str) -> None:
        vdi = self._objects.ref("VDI", ObjectId(iso))
        for vbd in f.refs(self._objects.record("VM", ref), "VBDs"):
            record = self._objects.record("VBD", vbd)
            if f.text(record, "type") == "CD":
                if not f.flag(record, "empty"):
                    self._session.call("VBD.eject", vbd, write=True)
                self._session.call("VBD.insert", vbd, vdi, write=True)
                return
        self._attach(ref, vdi, "RO", "CD", bootable=True)

    def _remove_half_made(self, ref: str) -> None:
        """Best effort in the background of an error that is already on its way to the user."""
        ctx = TaskContext()
        try:
            disks = self._objects.disks_of(self._objects.record("VM", ref))
            self._tasks.run(ctx, "VM.destroy", ref)
            self._snapshots.destroy_disks(disks, [ref], ctx)
        except HvError:
            log.warning("a half-made VM could not be removed", exc_info=True)
