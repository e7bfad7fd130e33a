"""Export to a file and import from one. Tk thread only; disks are looked at by a worker."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from tkinter import filedialog, ttk
from typing import Any

from hvconsole.errors import HvError
from hvconsole.operation import Operation
from hvconsole.text import safe_text
from hvconsole.ui.asking import Asker
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.dialogs.names import storage_options
from hvconsole.ui.dialogs.snapshot import check_name, check_text
from hvconsole.ui.interfaces import Shell, Subject

SUFFIXES = {"xenserver": ".xva", "vsphere": ".ova"}
"""What each platform exports to; one without writes and reads folders of the host itself."""
FILE_TYPES = {
    "xenserver": [("XVA files", "*.xva *.xva.gz"), ("All files", "*")],
    "vsphere": [("OVA and OVF packages", "*.ova *.ovf"), ("All files", "*")],
}
HOST_FOLDER = "export folder on the host"
ON_THE_HOST = "A path on the host, such as D:\\Exports, or a share, such as \\\\server\\exports."


def file_name(name: str, suffix: str) -> str:
    """A file name out of a hostile VM name: letters, digits and a few signs, never a path or a device name."""
    plain = re.sub(r"[^\w.()+ -]", "_", safe_text(name, 80)).strip(" .") or "vm"
    if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", plain):
        plain = f"_{plain}"
    return plain + suffix


def check_path(text: str) -> str | None:
    """What is wrong with a path as typed, or None. Says nothing about what is on the disk."""
    if not text.strip():
        return "Choose a file."
    if "\0" in text or not Path(text).name:
        return "That isn't a file name."
    return None


def check_host_path(text: str) -> str | None:
    """What is wrong with a path of a Windows host, or None."""
    found = re.fullmatch(r"([A-Za-z]:\\|\\\\[^\\]+\\)[^\0]+", text.strip())
    return None if found else ON_THE_HOST


class _PathRow:
    """A path of this computer with a Browse button, or one of the host."""

    def __init__(self, dialog: FormDialog, label: str, value: str, browse: Callable[[str], str] | None) -> None:
        check = check_path if browse is not None else check_host_path
        self.field = dialog.text_field(label, value, check=check, width=44)
        if browse is None:
            return
        row = self.field.widget.grid_info()["row"]
        button = ttk.Button(dialog.body, text="Browse…", command=self._browse)
        button.grid(row=row, column=2, padx=(dialog.theme.px(8), 0))
        self._ask = browse

    def _browse(self) -> None:
        chosen = self._ask(self.field.get())
        if chosen:
            self.field.set(str(chosen))


class ExportDialog(FormDialog):
    """Where to, and whether compressed."""

    def __init__(self, shell: Shell, operation: Operation, subject: Subject) -> None:
        assert subject.vm is not None
        platform = subject.connection.profile.platform
        self._suffix = SUFFIXES.get(platform, "")
        self._types = FILE_TYPES.get(platform, [("All files", "*")])
        super().__init__(
            shell,
            operation.label,
            f"Export “{safe_text(subject.vm.name, 60)}”",
            "Until it is complete the file carries another name, so a broken export is never taken for a good one."
            if self._suffix
            else "The host itself writes: in the folder that you name the VM gets one of its own.",
            verb="Export",
        )
        settings = shell.services.settings
        folder = Path(str(settings.pref("export folder") or Path.home()))
        self._suggested = folder / file_name(subject.vm.name, self._suffix)
        if self._suffix:
            self.path = _PathRow(self, "File", str(self._suggested), self._choose)
        else:
            self.path = _PathRow(self, "Folder", str(settings.pref(HOST_FOLDER) or ""), None)
            self.path.field.set_hint(ON_THE_HOST)
        self.compress = self.tick_field("Compress", hint="Smaller, but slower.") if self._suffix else None
        self._asker = Asker(shell.dispatcher)
        self._confirmed = ""

    def _choose(self, now: str) -> str:
        start = Path(now or str(self._suggested))
        chosen = filedialog.asksaveasfilename(
            parent=self.top,
            title="Export",
            initialdir=str(start.parent),
            initialfile=start.name,
            defaultextension=self._suffix,
            filetypes=self._types,
        )
        if not chosen:  # Tk answers () as well as ""
            return ""
        self._confirmed = str(chosen)
        return self._confirmed

    def accept(self, name: str) -> bool:
        """A file that is there already is asked about, unless the file window already did."""
        path = Path(self.path.field.get()).expanduser()
        if not self._suffix or str(path) == self._confirmed:
            return True
        self.button(self.verb).state(["disabled"])
        # a network drive that hangs must not hang the window
        self._asker.run("path", lambda: _look(path), lambda answer: self._looked(path, answer))
        return False

    def _looked(self, path: Path, answer: tuple[bool, bool] | HvError) -> None:
        if self.closed:
            return
        if isinstance(answer, HvError):
            self.fail(answer.user_text, answer.detail)
        elif not answer[0]:
            self.fail(f"The folder {safe_text(str(path.parent), 200)} doesn't exist.")
        elif answer[1]:
            self.fail(f"{safe_text(path.name, 120)} exists already. Press Export again to replace it.")
            self._confirmed = str(path)
        else:
            self._end(self.verb)
            return
        self.refresh()

    def ended(self) -> None:
        """No answer is wanted any more."""
        self._asker.drop()

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``."""
        if not self._suffix:
            folder = self.path.field.get().strip()
            self.shell.services.settings.set_pref(HOST_FOLDER, folder)
            return {"to": folder, "compress": False}
        path = Path(self.path.field.get()).expanduser()
        self.shell.services.settings.set_pref("export folder", str(path.parent))
        return {"to": str(path), "compress": self.compress.get() if self.compress is not None else False}


def _text_of(option: tuple[str, str]) -> str:
    return option[1]


def _look(path: Path) -> tuple[bool, bool]:
    """(folder exists, file exists). Worker thread."""
    return path.parent.is_dir(), os.path.lexists(path)


class ImportDialog(FormDialog):
    """Which file, and what becomes of it."""

    def __init__(self, shell: Shell, operation: Operation, subject: Subject) -> None:
        connection = subject.connection
        super().__init__(
            shell,
            operation.label,
            f"Import a VM to “{safe_text(connection.name, 60)}”",
            "Nothing is left on the server when it fails.",
            verb="Import",
        )
        self._types = FILE_TYPES.get(connection.profile.platform, [("All files", "*")])
        self._here = connection.profile.platform in SUFFIXES
        if self._here:
            self.path = _PathRow(self, "File", "", self._choose)
        else:
            self.path = _PathRow(self, "Folder", "", None)
            self.path.field.set_hint("On the host or a share: the folder of the exported VM, or the .vmcx file in it.")
        self.name = self.text_field("Name", "", check=lambda text: check_name(text) if text.strip() else None)
        self.name.set_hint("Empty = the name that is in the file.")
        inventory = connection.inventory
        self.storage = self.network = self.host = None
        if inventory is not None:
            options = storage_options(inventory.storages.values(), ("", "The server's default"))
            if self._here:  # a host that reads its own folders leaves the files where they are
                self.storage = self.choice_field("Storage", options)
            networks = sorted(((str(n.id), safe_text(n.name, 80)) for n in inventory.networks.values()), key=_text_of)
            if networks:
                self.network = self.choice_field("Network", [("", "As in the file"), *networks])
            hosts = [(str(h.id), safe_text(h.name, 80)) for h in inventory.hosts.values()]
            if len(hosts) > 1:
                self.host = self.choice_field("Host", [("", "Any"), *hosts])

    def _choose(self, now: str) -> str:
        folder = self.shell.services.settings.pref("export folder") or str(Path.home())
        chosen = filedialog.askopenfilename(
            parent=self.top, title="Import", initialdir=str(folder), filetypes=self._types
        )
        return str(chosen) if chosen else ""

    def problem(self) -> str | None:
        """The name can hold what no server takes."""
        return check_text(self.name.get())

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``; what was left open is not given."""
        path = self.path.field.get().strip()
        given: dict[str, Any] = {"from": str(Path(path).expanduser()) if self._here else path}
        if self.name.get().strip():
            given["name"] = self.name.get().strip()
        for key, choice in (("storage", self.storage), ("network", self.network), ("host", self.host)):
            if choice is not None and choice.get():
                given[key] = choice.get()
        return given
