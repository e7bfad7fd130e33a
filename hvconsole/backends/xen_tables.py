"""What the server's objects said last, as rows by reference, and which VMs a change of one of them touches.

Owned by the thread that watches; verbs in other threads only look up single references (``ref_of``).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from hvconsole.backends.xen_rows import (
    PARSERS,
    GuestRow,
    HostMetricsRow,
    HostRow,
    NetworkRow,
    PbdRow,
    PifRow,
    PoolRow,
    Row,
    SrRow,
    VbdRow,
    VdiRow,
    VifRow,
    VmMetricsRow,
    VmRow,
)
from hvconsole.model import ObjectId

_CLASS_BY_EVENT = {name.lower(): name for name in PARSERS}


class Tables:
    """One dict of rows per class, the indexes between them, and the set of VMs to rebuild."""

    def __init__(self) -> None:
        self.pool: dict[str, PoolRow] = {}
        self.host: dict[str, HostRow] = {}
        self.host_metrics: dict[str, HostMetricsRow] = {}
        self.vm: dict[str, VmRow] = {}
        self.vm_metrics: dict[str, VmMetricsRow] = {}
        self.guest: dict[str, GuestRow] = {}
        self.vif: dict[str, VifRow] = {}
        self.vbd: dict[str, VbdRow] = {}
        self.vdi: dict[str, VdiRow] = {}
        self.sr: dict[str, SrRow] = {}
        self.pbd: dict[str, PbdRow] = {}
        self.network: dict[str, NetworkRow] = {}
        self.pif: dict[str, PifRow] = {}
        self._by_class: dict[str, dict[str, Any]] = {
            "pool": self.pool,
            "host": self.host,
            "host_metrics": self.host_metrics,
            "VM": self.vm,
            "VM_metrics": self.vm_metrics,
            "VM_guest_metrics": self.guest,
            "VIF": self.vif,
            "VBD": self.vbd,
            "VDI": self.vdi,
            "SR": self.sr,
            "PBD": self.pbd,
            "network": self.network,
            "PIF": self.pif,
        }
        self.snapshots_of: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.vifs_of: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.vbds_of: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.vbds_of_vdi: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._vm_of_metrics: dict[str, str] = {}
        self._vm_of_guest: dict[str, str] = {}
        self._refs: dict[tuple[str, ObjectId], str] = {}
        self.dirty_vms: dict[str, None] = {}
        """References of VMs to rebuild, also of ones that are gone, in the order in which they came up."""
        self._filling = False
        self.dirty_around = False
        """Whether a pool, host, storage or network changed."""

    # ---- reading -------------------------------------------------------------------------------------------

    def count(self, event_class: str) -> int | None:
        """How many objects of a class are known; None for classes we do not follow."""
        name = _CLASS_BY_EVENT.get(event_class)
        return None if name is None else len(self._by_class[name])

    def ref_of(self, class_name: str, object_id: ObjectId) -> str | None:
        """The reference behind an id; any thread."""
        return self._refs.get((class_name, object_id))

    @staticmethod
    def id_of(rows: Mapping[str, Any], ref: str) -> ObjectId | None:
        """The id of the object that ``ref`` points to; None for null and for what is gone."""
        row = rows.get(ref)
        return None if row is None else ObjectId(row.uuid or ref)

    # ---- writing -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """Around reading everything: the first time, nobody asks for each row which VMs it touches."""
        self._filling = not self.vm
        try:
            yield
        finally:
            if self._filling:
                self._filling = False
                self.dirty_vms = dict.fromkeys(self.vm)

    def replace_class(self, name: str, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Put a whole class in place of what was known; equal rows change nothing."""
        for ref in [ref for ref in self._by_class[name] if ref not in records]:
            self._put(name, ref, None)
        parse = PARSERS[name]
        for ref, record in records.items():
            self._put(name, ref, parse(record))

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take one event of ``event.from``; of another class or shape: ignored."""
        name = _CLASS_BY_EVENT.get(str(event.get("class")).lower())
        ref = event.get("ref")
        if name is None or not isinstance(ref, str):
            return
        if event.get("operation") == "del":
            self._put(name, ref, None)
            return
        record = event.get("snapshot")
        if isinstance(record, dict):
            self._put(name, ref, PARSERS[name](record))

    def touch(self, vm: str) -> None:
        """Have a VM rebuilt."""
        if self._filling:
            return
        row = self.vm.get(vm)
        if row is None or not row.is_snapshot:
            self.dirty_vms[vm] = None

    def _put(self, name: str, ref: str, row: Row | None) -> None:
        rows = self._by_class[name]
        old = rows.get(ref)
        if row == old:
            return
        if row is None:
            del rows[ref]
        else:
            rows[ref] = row
        self._remember_id(name, ref, old, row)
        match name:
            case "VM":
                self._vm_changed(ref, old, row)  # type: ignore[arg-type]
            case "VM_metrics":
                self.touch(self._vm_of_metrics.get(ref, ""))
            case "VM_guest_metrics":
                self.touch(self._vm_of_guest.get(ref, ""))
            case "VIF":
                self._child_changed(self.vifs_of, ref, old, row)
            case "VBD":
                self._vbd_changed(ref, old, row)  # type: ignore[arg-type]
            case "VDI":
                self._touch_users(ref)
            case _:
                self.dirty_around = True
                self._around_changed(name, ref, old, row)

    def _remember_id(self, name: str, ref: str, old: Any, row: Any) -> None:
        for candidate, known in ((old, False), (row, True)):
            uuid = getattr(candidate, "uuid", None)
            if uuid is None:
                continue
            key = (name, ObjectId(uuid or ref))
            if known:
                self._refs[key] = ref
            elif self._refs.get(key) == ref:
                del self._refs[key]

    def _vm_changed(self, ref: str, old: VmRow | None, row: VmRow | None) -> None:
        self.dirty_vms[ref] = None
        _move(self._vm_of_metrics, ref, old.metrics if old else "", row.metrics if row else "")
        _move(self._vm_of_guest, ref, old.guest_metrics if old else "", row.guest_metrics if row else "")
        for candidate in (old, row):
            if candidate is not None and candidate.is_snapshot and candidate.snapshot_of:
                if candidate is row:
                    self.snapshots_of[candidate.snapshot_of][ref] = None
                else:
                    self.snapshots_of[candidate.snapshot_of].pop(ref, None)
                self.touch(candidate.snapshot_of)
        if old is None or row is None or old.name != row.name:
            for vbd in self.vbds_of.get(ref, ()):
                self._touch_users(self.vbd[vbd].vdi)

    def _child_changed(self, index: defaultdict[str, dict[str, None]], ref: str, old: Any, row: Any) -> None:
        if old is not None:
            index[old.vm].pop(ref, None)
            self.touch(old.vm)
        if row is not None:
            index[row.vm][ref] = None
            self.touch(row.vm)

    def _vbd_changed(self, ref: str, old: VbdRow | None, row: VbdRow | None) -> None:
        self._child_changed(self.vbds_of, ref, old, row)
        if old is not None and old.vdi:
            self.vbds_of_vdi[old.vdi].pop(ref, None)
            self._touch_users(old.vdi)
        if row is not None and row.vdi:
            self.vbds_of_vdi[row.vdi][ref] = None
            self._touch_users(row.vdi)

    def _touch_users(self, vdi: str) -> None:
        if vdi and not self._filling:
            for vbd in self.vbds_of_vdi.get(vdi, ()):
                self.touch(self.vbd[vbd].vm)

    def _around_changed(self, name: str, ref: str, old: Any, row: Any) -> None:
        """VMs show names and ids of the things around them; those rarely change, so looking at all is good enough."""
        if self._filling or _label(old) == _label(row):
            return
        for vm in self._users(name, ref):
            self.touch(vm)

    def _users(self, name: str, ref: str) -> Iterator[str]:
        if name == "network":
            yield from [vif.vm for vif in self.vif.values() if vif.network == ref]
        elif name == "SR":
            disks = {vdi for vdi, row in self.vdi.items() if row.sr == ref}
            yield from [vbd.vm for vbd in self.vbd.values() if vbd.vdi in disks]
        elif name == "host":
            yield from [vm for vm, row in self.vm.items() if ref in (row.resident_on, row.affinity)]
        elif name == "pool":
            yield from list(self.vm)


def _move(index: dict[str, str], vm: str, old: str, new: str) -> None:
    """Keep ``index`` (part → VM) right when a VM's part is replaced."""
    if old and index.get(old) == vm:
        del index[old]
    if new:
        index[new] = vm


def _label(row: Any) -> tuple[str, str] | None:
    return None if row is None else (getattr(row, "uuid", ""), getattr(row, "name", ""))
