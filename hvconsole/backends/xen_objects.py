"""From ids to references and fresh records: what every verb starts with. Any worker thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hvconsole.backends import xen_fields as f
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xen_tables import Tables
from hvconsole.errors import BadReply, NotFound
from hvconsole.model import ObjectId

_WORDS = {"VM": "VM", "host": "host", "SR": "storage", "network": "network", "VDI": "disk", "pool": "pool"}


class Objects:
    """Looks things up by the ids of the latest inventory, at the server where the inventory does not know them."""

    def __init__(self, session: XenSession, tables: Tables) -> None:
        self._session = session
        self._tables = tables

    def ref(self, class_name: str, object_id: ObjectId) -> str:
        """The reference of an object. Raises ``NotFound``."""
        known = self._tables.ref_of(class_name, object_id)
        if known is not None:
            return known
        if str(object_id).startswith("OpaqueRef:"):
            return str(object_id)
        try:
            found = self._session.call(f"{class_name}.get_by_uuid", str(object_id))
        except NotFound as exc:
            raise NotFound(f"This {_WORDS[class_name]} doesn't exist any more.", exc.detail, code=exc.code) from exc
        if not isinstance(found, str):
            raise BadReply("The server's answer is not a reference.")
        return found

    def default_storage(self) -> str:
        """The reference of the pool's default storage; empty where there is none or it is not known yet."""
        return next((row.default_sr for row in list(self._tables.pool.values())), "")

    def vm(self, vm_id: ObjectId) -> str:
        """The reference of a VM or snapshot."""
        return self.ref("VM", vm_id)

    def record(self, class_name: str, ref: str) -> Mapping[str, Any]:
        """The object as it is now. Raises ``NotFound``."""
        record = self._session.call(f"{class_name}.get_record", ref)
        if not isinstance(record, dict):
            raise BadReply("The server's record of an object can't be read.")
        return record

    def id(self, class_name: str, ref: str) -> ObjectId:
        """The id of the object behind a reference that the server just gave us."""
        uuid = self._session.call(f"{class_name}.get_uuid", ref)
        return ObjectId(uuid if isinstance(uuid, str) and uuid else ref)

    def disks_of(self, record: Mapping[str, Any]) -> dict[str, str]:
        """VDI → VBD of a VM or snapshot record, without CDs; and the memory image of a suspended one."""
        disks: dict[str, str] = {}
        for vbd_ref in f.refs(record, "VBDs"):
            try:
                vbd = self.record("VBD", vbd_ref)
            except NotFound:
                continue
            vdi = f.ref(vbd, "VDI")
            if vdi and f.text(vbd, "type") != "CD" and not f.flag(vbd, "empty"):
                disks[vdi] = vbd_ref
        memory = f.ref(record, "suspend_VDI")
        if memory:
            disks[memory] = ""
        return disks

    def used_by_others(self, vdi: str, going: Iterable[str]) -> bool:
        """Whether a VM other than those ``going`` uses the disk; control domains do not count."""
        leaving = frozenset(going)
        try:
            record = self.record("VDI", vdi)
        except NotFound:
            return False
        for vbd_ref in f.refs(record, "VBDs"):
            try:
                vm = f.ref(self.record("VBD", vbd_ref), "VM")
                if vm and vm not in leaving and not f.flag(self.record("VM", vm), "is_control_domain"):
                    return True
            except NotFound:
                continue
        return False
