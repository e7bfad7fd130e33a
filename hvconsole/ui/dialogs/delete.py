"""Delete VMs: which disks go, which stay, and that the snapshots go too. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hvconsole.model import Disk, ObjectId, Vm
from hvconsole.text import format_bytes, safe_text
from hvconsole.ui.dialogs.confirm import names_text, short
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.interfaces import Shell, Subject
from hvconsole.ui.listing import ListColumn, Listing
from hvconsole.ui.wording import count, listed


@dataclass(frozen=True, slots=True)
class DiskRow:
    """One disk of a VM that is to be deleted. ``why_kept``: it cannot go, and why."""

    vm: Vm
    disk: Disk
    why_kept: str = ""


def disk_rows(vms: Sequence[Vm]) -> tuple[DiskRow, ...]:
    """The disks of these VMs; CD drives are left out, a disk that several of them share is named once."""
    doomed = {vm.name for vm in vms}
    rows: dict[ObjectId, DiskRow] = {}
    for vm in vms:
        for disk in vm.disks:
            if disk.is_cd or disk.id in rows:
                continue
            others = [name for name in disk.shared_with if name not in doomed]
            why = f"stays: also used by {listed([safe_text(n, 40) for n in others], 3)}" if others else ""
            rows[disk.id] = DiskRow(vm, disk, why)
    return tuple(rows.values())


def path_end(name: str, limit: int) -> str:
    """The end of a long path: that is where the files of one folder differ."""
    text = safe_text(name, 400)
    return text if len(text) <= limit or not any(c in text for c in "/\\") else f"…{text[1 - limit :]}"


def what_goes(vms: Sequence[Vm], rows: Sequence[DiskRow], kept: frozenset[ObjectId]) -> str:
    """ "2 disks (80 GiB) and 4 snapshots go for good." for the present ticks."""
    going = [row.disk for row in rows if not row.why_kept and row.disk.id not in kept]
    size = sum(disk.size_bytes or 0 for disk in going)
    snapshots = sum(len(vm.snapshots) for vm in vms)
    parts = []
    if going:
        parts.append(count(len(going), "disk") + (f" ({format_bytes(size)})" if size else ""))
    if snapshots:
        parts.append(count(snapshots, "snapshot"))
    if not parts:
        return "No disks and no snapshots are deleted with it."
    many = len(going) + snapshots > 1
    return f"{' and '.join(parts)} {'go' if many else 'goes'} for good."


class DeleteDialog(FormDialog):
    """Tick = the disk is deleted. Click a row or press Space to keep it; disks in use elsewhere stay anyway."""

    width = 520

    def __init__(self, shell: Shell, subjects: Sequence[Subject]) -> None:
        self.vms = [s.vm for s in subjects if s.vm is not None]
        several = len(self.vms) > 1
        one = self.vms[0].name
        verb = f"Delete {len(self.vms)} VMs" if several else f"Delete {short(one)}"
        super().__init__(
            shell,
            "Delete",
            f"Delete {len(self.vms)} VMs?" if several else f"Delete “{safe_text(one, 80)}”?",
            names_text(subjects) if several else "The VM is gone for good. There is no undo.",
            verb=verb,
            danger=True,
            icon="trash-2",
            icon_color="bad",
        )
        self.rows = disk_rows(self.vms)
        self._keep: set[ObjectId] = set()
        if self.rows:
            self._add_table(several)
        self.summary = self.add_text("", "TLabel")
        self.typed = None
        if several:
            number = str(len(self.vms))
            sentence = f"Type {number} to go on."
            self.typed = self.text_field(
                "Type the number of VMs", check=lambda text: None if text.strip() == number else sentence, width=24
            )
            self.typed.set_hint(sentence)
        else:
            self.focus_first(self.button("Cancel"))
        self._say()

    def _add_table(self, several: bool) -> None:
        self.add_text("Disks to delete. Untick those to keep." if len(self.rows) > 1 else "Untick it to keep the disk.")
        # Columns that nothing is known for would only take room from the names of files.
        columns = [
            (ListColumn("vm", "VM", 130), [safe_text(row.vm.name, 60) if several else "" for row in self.rows]),
            (ListColumn("size", "Size", 74, numeric=True),
             [format_bytes(row.disk.size_bytes) if row.disk.size_bytes else "" for row in self.rows]),
            (ListColumn("storage", "Storage", 120), [safe_text(row.disk.storage, 60) for row in self.rows]),
            (ListColumn("note", "", 190, stretch=True), [row.why_kept for row in self.rows]),
        ]  # fmt: skip
        shown = [(column, cells) for column, cells in columns if any(cells)]
        room = 470 - sum(column.width for column, _cells in shown)
        disk = ListColumn("disk", "Disk", max(210, room), stretch=not any(column.stretch for column, _cells in shown))
        listing = Listing(
            self.theme, self.body, (disk, *(column for column, _cells in shown)), rows=min(8, len(self.rows)), edge=True
        )
        self.table = listing.tree
        for number, row in enumerate(self.rows):
            name = path_end(row.disk.name or row.disk.device or "disk", disk.width // 9)
            listing.insert(str(number), name, [cells[number] for _column, cells in shown], image=self._image(row))
        self.table.bind("<Button-1>", self._clicked)
        self.table.bind("<space>", self._spaced)
        self.add_wide(listing.frame)

    def _image(self, row: DiskRow) -> Any:
        going = not row.why_kept and row.disk.id not in self._keep
        return self.theme.images.row("hard-drive", tick=going, stale=bool(row.why_kept))

    def _clicked(self, event: tk.Event[tk.Misc]) -> None:
        row = self.table.identify_row(event.y)
        if row:
            self.toggle(int(row))

    def _spaced(self, _event: tk.Event[tk.Misc]) -> str:
        row = self.table.focus()
        if row:
            self.toggle(int(row))
        return "break"

    def toggle(self, number: int) -> None:
        """Keep the disk of that row, or delete it after all."""
        row = self.rows[number]
        if row.why_kept:
            return
        self._keep.symmetric_difference_update({row.disk.id})
        self.table.item(str(number), image=self._image(row))
        self._say()

    def _say(self) -> None:
        self.summary.configure(text=what_goes(self.vms, self.rows, frozenset(self._keep)))

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``."""
        return {"keep_disks": tuple(sorted(self._keep))}
