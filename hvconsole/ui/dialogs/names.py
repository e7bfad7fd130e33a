"""Names: rename, clone, full copy. Tk thread only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hvconsole.model import ObjectId, Storage, Verb
from hvconsole.operation import Operation
from hvconsole.text import format_bytes, safe_text
from hvconsole.ui.columns import natural_key
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.dialogs.snapshot import check_name, check_text
from hvconsole.ui.interfaces import Shell, Subject


def copy_name(name: str, taken: Iterable[str]) -> str:
    """ "web-01" → "web-01 copy", "web-01 copy 2" and so on: the first that nobody has."""
    known = set(taken)
    base = safe_text(name, 160)
    candidate, number = f"{base} copy", 2
    while candidate in known:
        candidate, number = f"{base} copy {number}", number + 1
    return candidate


def storage_options(storages: Iterable[Storage], first: tuple[str, str] | None = None) -> list[tuple[str, str]]:
    """Those that hold disks, with their free space, most free first; ``first`` is an entry before them."""
    disks = [s for s in storages if not s.holds_iso]
    disks.sort(key=lambda s: (-(s.free_bytes or 0), natural_key(s.name)))
    options = [
        (
            str(s.id),
            f"{safe_text(s.name, 60)} · {format_bytes(s.free_bytes)} free"
            if s.free_bytes is not None
            else safe_text(s.name, 60),
        )
        for s in disks
    ]
    return [first, *options] if first is not None else options


class RenameDialog(FormDialog):
    """Another name and description."""

    def __init__(self, shell: Shell, subject: Subject) -> None:
        assert subject.vm is not None
        vm = subject.vm
        super().__init__(shell, "Rename", f"Rename “{safe_text(vm.name, 60)}”", verb="Rename")
        self._old = (vm.name, vm.description)
        shown = vm.name if check_name(vm.name) is None else safe_text(vm.name)
        self.name = self.text_field("Name", shown, check=check_name)
        description = vm.description if check_text(vm.description) is None else safe_text(vm.description, 4000)
        self.description = self.lines_field("Description", description)
        self._shown_description = description
        self.name.entry.selection_range(0, "end")

    def problem(self) -> str | None:
        """Something has to differ, and be sendable."""
        if self.name.get() == self._old[0] and self.description.get() == self._shown_description:
            return "Nothing was changed."
        return check_text(self.description.get())

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``; the description only if it was changed."""
        given: dict[str, Any] = {"name": self.name.get().strip()}
        if self.description.get() != self._shown_description:
            given["description"] = self.description.get()
        return given


class CloneDialog(FormDialog):
    """A clone that shares what it can, or a full copy on a storage of choice; of the VM or of one of its snapshots."""

    def __init__(
        self, shell: Shell, operation: Operation, subject: Subject, snapshot_id: ObjectId | None = None
    ) -> None:
        assert subject.vm is not None
        vm = subject.vm
        full = operation.verb is Verb.COPY
        snapshot = subject.snapshot or (vm.snapshot(snapshot_id) if snapshot_id is not None else None)
        inventory = subject.connection.inventory
        taken = [v.name for v in inventory.vms.values()] if inventory is not None else []
        of = f"“{safe_text(vm.name, 60)}”"
        heading = f"{'Copy' if full else 'Clone'} {of}"
        if snapshot is not None:
            heading = f"New VM from the snapshot “{safe_text(snapshot.name, 60)}” of {of}"
        text = (
            "Every disk is copied in full; that takes time and space."
            if full
            else "Fast: the new VM shares unchanged data with the old one where the storage can do that."
        )
        super().__init__(shell, operation.label, heading, text, verb="Copy" if full else "Clone")
        self._snapshot_id = snapshot.id if snapshot is not None else None
        self.name = self.text_field("Name", copy_name(vm.name, taken), check=check_name)
        self.name.entry.selection_range(0, "end")
        self.storage = None
        if full and inventory is not None:
            self.storage = self.choice_field(
                "Storage", storage_options(inventory.storages.values(), ("", "Where the disks are now")), hint=""
            )

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``."""
        given: dict[str, Any] = {"name": self.name.get().strip()}
        if self.storage is not None and self.storage.get():
            given["storage"] = self.storage.get()
        if self._snapshot_id is not None:
            given["snapshot"] = self._snapshot_id
        return given
