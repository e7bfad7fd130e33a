"""About: versions of all that matters, with a warning where one is known to be dangerous; Help: the keyboard map.

Tk thread only.
"""

from __future__ import annotations

import platform
import pyexpat
import sqlite3
import ssl
from collections.abc import Sequence
from importlib import metadata
from tkinter import ttk

import PIL

from hvconsole.operations import OPERATIONS
from hvconsole.ui.dialogs.form import CLOSE, FormDialog
from hvconsole.ui.interfaces import Shell

SAFE_EXPAT = (2, 7, 2)
SAFE_SQLITE = (3, 51, 3)
PACKAGES = ("XenAPI", "pyvmomi", "pywinrm", "icmplib", "Pmw", "SQLAlchemy", "pydantic", "keyring", "cryptography")


def version_of(package: str) -> str:
    """Version of an installed package; "not installed" where it is missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def warnings() -> tuple[str, ...]:
    """Sentences about libraries of this Python that have known defects which touch hvconsole."""
    found = []
    expat = pyexpat.version_info
    if expat < SAFE_EXPAT:
        found.append(
            f"expat {'.'.join(map(str, expat))} can be crashed by crafted XML (fixed in 2.7.2); hvconsole refuses such "
            "replies before they reach it, but update Python anyway."
        )
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        found.append(
            f"SQLite {sqlite3.sqlite_version} can damage a file that two programs write at once (fixed in 3.51.3); "
            "hvconsole locks its history against that."
        )
    return tuple(found)


def versions(tk_patch: str) -> tuple[tuple[str, str], ...]:
    """What runs here, name by name."""
    return (
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("Tk", tk_patch),
        ("Pillow", PIL.__version__),
        ("OpenSSL", ssl.OPENSSL_VERSION.removeprefix("OpenSSL ")),
        ("expat", ".".join(map(str, pyexpat.version_info))),
        ("SQLite", sqlite3.sqlite_version),
        *((package, version_of(package)) for package in PACKAGES),
    )


WINDOW_KEYS: tuple[tuple[str, str], ...] = (
    ("F1", "This help"),
    ("F5", "Refresh the selected server"),
    ("Ctrl+F  or  /", "Search box; Down goes to the tree, Esc clears and returns"),
    ("Space", "Tick or untick monitoring"),
    ("Enter", "Open what is selected"),
    ("Left, Right", "Fold and unfold, go to the parent"),
    ("Home, End, Page keys", "First and last row, a page up, down"),
    ("letters", "Go to the next name that begins so"),
    ("Shift+F10, Menu", "Context menu at the selected row"),
    ("Alt+Enter", "Properties"),
    ("Ctrl+A, Ctrl+C", "All VMs of the server, copy names"),
    ("Ctrl+Tab, Ctrl+1 … 9", "Tabs"),
    ("F6, Shift+F6", "Tree, tabs, tasks"),
    ("F10, Alt+letter", "Menu bar"),
    ("Ctrl+Shift+N", "Connect"),
    ("Ctrl+T", "Show tasks"),
    ("Ctrl+D", "Dark colours"),
    ("Ctrl+,", "Preferences"),
    ("Ctrl+W, Esc", "Close a dialog"),
    ("Ctrl+Q", "Quit"),
)


def key_text(shortcut: str) -> str:
    """Tk's "Control-Shift-S" as people write it: "Ctrl+Shift+S"."""
    words = {"Control": "Ctrl", "Delete": "Del", "Key": ""}
    parts = [words.get(part, part) for part in shortcut.split("-")]
    return "+".join(part.upper() if len(part) == 1 else part for part in parts if part)


def operation_keys() -> tuple[tuple[str, str], ...]:
    """Keys of the operations, from their own table."""
    return tuple((key_text(op.shortcut), op.label) for op in OPERATIONS if op.shortcut)


class AboutDialog(FormDialog):
    """What this is, and what it runs on."""

    width = 520

    def __init__(self, shell: Shell) -> None:
        super().__init__(
            shell,
            "About",
            f"hvconsole {shell.services.version}",
            "One console for XenServer/XCP-ng, Hyper-V and VMware, with automatic snapshots on network loss.",
            cancel=CLOSE,
            icon="activity",
            icon_color="accent",
        )
        self.subtext.configure(wraplength=self.theme.px(self.width - 42))
        tk_patch = str(shell.root.tk.call("info", "patchlevel"))
        add_table(self, versions(tk_patch), columns=2)
        for sentence in warnings():
            self.add_text(sentence, "Muted.TLabel")
        self.add_text("Licence: Apache-2.0. Icons: Lucide (ISC). Widgets: Pmw (BSD).", "Small.TLabel")


class HelpDialog(FormDialog):
    """The keyboard map."""

    width = 620

    def __init__(self, shell: Shell) -> None:
        super().__init__(
            shell,
            "Help",
            "Keys",
            "Everything in the menus also works as a command: see hvconsole --help.",
            cancel=CLOSE,
            icon="keyboard",
            icon_color="accent",
        )
        add_table(self, (*WINDOW_KEYS, *operation_keys()), columns=2)


def add_table(dialog: FormDialog, rows: Sequence[tuple[str, str]], *, columns: int) -> None:
    """Pairs in several columns, read downwards."""
    px = dialog.theme.px
    table = ttk.Frame(dialog.body)
    height = -(-len(rows) // columns)
    for number, (left, right) in enumerate(rows):
        column, row = divmod(number, height)
        lead = px(28) if column else 0
        ttk.Label(table, text=left, style="Muted.TLabel", wraplength=px(150)).grid(
            row=row, column=column * 2, sticky="nw", padx=(lead, px(12)), pady=px(2)
        )
        ttk.Label(table, text=right, wraplength=px(240)).grid(row=row, column=column * 2 + 1, sticky="nw", pady=px(2))
    dialog.add_wide(table)
