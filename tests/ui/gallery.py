"""Opens every tab and every dialog of the real program on the built-in lab, photographs them, and measures texts.

Run by ``test_gallery.py`` in a process of its own, because one process has one Tk and one scale:
``python -m tests.ui.gallery --scale 1.5 --out FOLDER``. Prints one line of JSON: what was clipped, what was drawn.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import logging
import os
import sys
import tempfile
import time
import tkinter as tk
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from tkinter import ttk
from typing import Any

from PIL import Image, ImageGrab

SIZE = (1280, 800)


def clipped(top: tk.Misc) -> Iterator[str]:
    """Labels and buttons that are smaller than their text wants, or stick out of their window."""
    left, right = top.winfo_rootx(), top.winfo_rootx() + top.winfo_width()
    upper, lower = top.winfo_rooty(), top.winfo_rooty() + top.winfo_height()
    for widget, scrolled in _walk(top, False):
        if not isinstance(widget, (ttk.Label, tk.Label, ttk.Button, ttk.Checkbutton, ttk.Radiobutton)):
            continue
        if not widget.winfo_ismapped() or not str(widget.cget("text")).strip():
            continue
        what = f"{widget} “{str(widget.cget('text'))[:40]}”"
        if widget.winfo_width() + 1 < widget.winfo_reqwidth() or widget.winfo_height() + 1 < widget.winfo_reqheight():
            size = f"{widget.winfo_width()}×{widget.winfo_height()}"
            yield f"{what}: {size} instead of {widget.winfo_reqwidth()}×{widget.winfo_reqheight()}"
        x, y = widget.winfo_rootx(), widget.winfo_rooty()
        if x < left - 1 or x + widget.winfo_width() > right + 1:
            yield f"{what}: outside of its window"
        if not scrolled and (y < upper - 1 or y + widget.winfo_height() > lower + 1):
            yield f"{what}: above or below its window"


def _walk(widget: tk.Misc, scrolled: bool) -> Iterator[tuple[Any, bool]]:
    for child in widget.winfo_children():
        if isinstance(child, tk.Toplevel):
            continue
        inside = scrolled or isinstance(widget, tk.Canvas)
        yield child, inside
        yield from _walk(child, inside)


class Gallery:
    """The program on the lab, and a camera."""

    def __init__(self, scale: float, out: Path) -> None:
        os.environ["HVCONSOLE_SCALE"] = str(scale)
        from hvconsole.app import Console
        from hvconsole.demo import DemoLab
        from hvconsole.monitor.status import MonitorSettings
        from hvconsole.settings import WindowPlace
        from hvconsole.ui.window import open_window

        self.scale, self.out = scale, out
        self.problems: list[str] = []
        self.pictures: list[str] = []
        self.width, self.height = (round(side * scale) for side in SIZE)
        self.home = tempfile.TemporaryDirectory(prefix="hvconsole-gallery-")
        self.console = Console(home=Path(self.home.name), lab=DemoLab.default())
        settings = self.console.settings
        settings.change(window=WindowPlace(geometry=f"{self.width}x{self.height}+0+0"))
        settings.set_monitor_defaults(MonitorSettings(interval_s=0.3, timeout_s=0.2))
        self.window = open_window(self.console.services())
        self.root = self.window.root
        self.root.report_callback_exception = self._failed  # type: ignore[method-assign]
        self.window.dispatcher.start()
        self.console.start()

    def _failed(self, kind: type[BaseException], value: BaseException, trace: Any) -> None:
        self.problems.append("error: " + "".join(traceback.format_exception(kind, value, trace)))

    def until(self, condition: Callable[[], object], what: str, limit_s: float = 40.0) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            self.root.update()
            self.window.dispatcher.run_pending(wait_s=0.01)
            if time.monotonic() > end:
                self.problems.append(f"waited in vain for {what}")
                return

    def settle(self, turns_s: float = 0.15) -> None:
        end = time.monotonic() + turns_s
        self.until(lambda: time.monotonic() > end, "time")

    def photograph(self, name: str, top: tk.Misc, *, measure: bool = True) -> None:
        """Measure and save what can be seen of a window."""
        self.settle()
        x, y = top.winfo_rootx(), top.winfo_rooty()
        box = (x, y, x + top.winfo_width(), y + top.winfo_height())
        picture = ImageGrab.grab(bbox=box, xdisplay=os.environ["DISPLAY"])
        mode = self.window.theme.mode
        file = f"{name}-{mode}-{self.scale:g}x.png"
        picture.save(self.out / file, compress_level=3)
        self.pictures.append(file)
        if len(set(picture.resize((160, 100), Image.Resampling.NEAREST).convert("RGB").tobytes())) < 8:
            self.problems.append(f"{file}: nothing can be seen")
        if measure:
            top.update_idletasks()  # a value that changed in the last turn may not have been given its room yet
            self.problems += [f"{file}: {problem}" for problem in clipped(top)]

    # ---- what there is to see ------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Connect, tick VMs, pull a cable, take a snapshot."""
        from hvconsole.model import PowerState, Verb, VmKind
        from hvconsole.ui.interfaces import Item, ItemKind, Selection

        connections = self.console.connections
        self.until(lambda: connections.all() and all(c.inventory for c in connections.all()), "the servers")
        self.settle(1.0)
        xen = next(c for c in connections.all() if c.profile.platform == "xenserver")
        inventory = xen.inventory
        assert inventory is not None
        self.server = Selection((Item(ItemKind.SERVER, xen.id),))
        self.host = Selection((Item(ItemKind.HOST, xen.id, next(iter(inventory.hosts))),))
        vms = [v for v in inventory.vms.values() if v.kind is VmKind.VM]
        running = [v for v in vms if v.power is PowerState.RUNNING and v.addresses]
        halted = [v for v in vms if v.power is PowerState.HALTED]
        best = max(running, key=lambda v: len(v.snapshots))
        self.vm = Selection((Item(ItemKind.VM, xen.id, best.id),))
        self.halted = Selection((Item(ItemKind.VM, xen.id, halted[0].id),))
        self.several = Selection(tuple(Item(ItemKind.VM, xen.id, v.id) for v in (best, halted[0], running[1])))
        ticked = [best, *[v for v in running if v is not best][:9]]
        watched = Selection(tuple(Item(ItemKind.VM, xen.id, v.id) for v in ticked))
        self.window.set_monitored(watched.subjects(connections), True)
        self.window.run(Verb.SNAPSHOT, self.vm, {"name": "before upgrade", "description": "nginx 1.27"})
        self.others = []
        for connection in connections.all():
            found = connection.inventory
            if connection is xen or found is None:
                continue
            there = [v for v in found.vms.values() if v.kind is VmKind.VM and v.power is PowerState.RUNNING]
            if there:
                item = Item(ItemKind.VM, connection.id, there[0].id)
                self.others.append((f"{connection.profile.platform}-{len(self.others)}", Selection((item,))))
        self.settle(3.0)
        lab = self.console.lab
        assert lab is not None
        lab.set_cable(ticked[3].uuid, False)
        self.window.run(Verb.START, self.halted)

    def tabs(self) -> None:
        """Every tab for everything that can be selected."""
        kinds = (("vm", self.vm), ("halted", self.halted), ("host", self.host), ("server", self.server))
        for name, selection in kinds:
            self.window.select(selection)
            for page in self.window.tabs.titles:
                self.window.show_page(page)
                self.settle(0.8 if page in ("Performance", "Network", "Monitor") else 0.3)
                self.photograph(f"tab-{page.lower().replace(' ', '-')}-{name}", self.root)
        self.window.select(self.several)
        self.photograph("tab-several", self.root)
        for platform, selection in self.others:
            self.window.select(selection)
            for page in ("General", "Performance", "Network"):
                self.window.show_page(page)
                self.settle(0.8)
                self.photograph(f"tab-{page.lower()}-{platform}", self.root)

    def dialogs(self) -> None:
        """Every dialog, over the main window."""
        self.window.select(self.vm)
        self.window.show_page("General")
        for name, make in self._dialogs():
            dialog = make()
            dialog.open()
            self.until(dialog.top.winfo_viewable, f"the dialog {name}")
            if hasattr(dialog, "waiting"):
                self.until(lambda dialog=dialog: not dialog.waiting.winfo_ismapped(), "the choices")
            self.photograph(f"dialog-{name}", dialog.top)
            if (dialog.top.winfo_width(), dialog.top.winfo_height()) > (self.width, self.height):
                self.problems.append(f"dialog-{name} is larger than the window")
            dialog.destroy()

    def _dialogs(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        from hvconsole.errors import AuthError, CertificateError, HostIsSlave, ToolsMissing
        from hvconsole.model import Certificate, Verb
        from hvconsole.operations import operation
        from hvconsole.ui.dialogs import (
            about,
            certificate,
            confirm,
            connect,
            create,
            delete,
            error,
            files,
            hosts,
            monitoring,
            names,
            preferences,
            server,
            snapshot,
        )

        shell: Any = self.window
        connections = self.console.connections
        one, host = self.vm.subjects(connections), self.host.subjects(connections)
        pool, off = self.server.subjects(connections)[0], self.halted.subjects(connections)
        several = self.several.subjects(connections)
        op = operation
        now = self.console.clock.now()
        new, old = (
            Certificate(
                host="xen-basel-1.lab.example",
                port=443,
                sha256=digits * 16,
                subject="CN=xen-basel-1.lab.example",
                issuer="CN=xen-basel-1.lab.example",
                not_before=now - dt.timedelta(days=age),
                not_after=now + dt.timedelta(days=3650 - age),
            )
            for digits, age in (("ab12", 1), ("cd34", 900))
        )
        tools = ToolsMissing("No working guest tools in this guest.", "VM_LACKS_FEATURE [OpaqueRef:…]")
        reasons = [(v.name, "No working XenServer VM Tools in this guest; suspending needs them.") for v in one]
        yield "confirm", lambda: confirm.ConfirmDialog(shell, op(Verb.SHUTDOWN).question, op(Verb.SHUTDOWN), one)  # type: ignore[arg-type]
        yield "confirm-several", lambda: confirm.ConfirmDialog(shell, op(Verb.RESET).question, op(Verb.RESET), several)  # type: ignore[arg-type]
        yield (
            "maintenance",
            lambda: confirm.ConfirmDialog(
                shell,
                op(Verb.ENTER_MAINTENANCE).question,
                op(Verb.ENTER_MAINTENANCE),
                host,  # type: ignore[arg-type]
            ),
        )
        yield "error", lambda: error.ErrorDialog(shell, "Shut down web-01", tools, op(Verb.POWER_OFF))
        yield "message", lambda: error.MessageDialog(shell, "Password not saved", "It is kept until you quit.", "x")
        yield "reasons", lambda: error.ReasonsDialog(shell, op(Verb.SUSPEND), several, reasons)
        yield (
            "certificate-new",
            lambda: certificate.CertificateDialog(
                shell, "Aurora", CertificateError("?", reason="unknown", presented=new)
            ),
        )
        yield (
            "certificate-changed",
            lambda: certificate.CertificateDialog(
                shell, "Aurora", CertificateError("!", reason="changed", presented=new, pinned=old)
            ),
        )
        yield "snapshot", lambda: snapshot.SnapshotDialog(shell, one)
        yield "revert", lambda: snapshot.ChooseSnapshotDialog(shell, op(Verb.REVERT), one)
        yield "delete-snapshot", lambda: snapshot.ChooseSnapshotDialog(shell, op(Verb.DELETE_SNAPSHOT), one)
        yield "delete", lambda: delete.DeleteDialog(shell, one)
        yield "delete-several", lambda: delete.DeleteDialog(shell, several)
        yield "migrate", lambda: hosts.HostDialog(shell, op(Verb.MIGRATE), one)
        yield "start-on", lambda: hosts.HostDialog(shell, op(Verb.START_ON), off)
        yield "host-restart", lambda: server.HostPowerDialog(shell, op(Verb.HOST_REBOOT), host)
        yield "rename", lambda: names.RenameDialog(shell, one[0])
        yield "clone", lambda: names.CloneDialog(shell, op(Verb.CLONE), off[0])
        yield "copy", lambda: names.CloneDialog(shell, op(Verb.COPY), off[0])
        yield "export", lambda: files.ExportDialog(shell, op(Verb.EXPORT), off[0])
        yield "import", lambda: files.ImportDialog(shell, op(Verb.IMPORT), pool)
        yield "password", lambda: server.PasswordDialog(shell, op(Verb.CHANGE_PASSWORD), pool)
        yield "point-to-master", lambda: server.PointToMasterDialog(shell, op(Verb.POINT_TO_MASTER), pool)
        yield "create", lambda: create.CreateDialog(shell, pool)
        yield "connect", lambda: connect.ConnectDialog(shell)
        yield (
            "connect-again",
            lambda: connect.ConnectDialog(
                shell, pool.connection.id, AuthError("The server refused this name and password.", "SESSION_AUTH…")
            ),
        )
        yield (
            "member",
            lambda: connect.MasterDialog(shell, pool.connection.profile, HostIsSlave("x", master_address="10.20.1.12")),
        )
        yield "monitoring", lambda: monitoring.MonitorSettingsDialog(shell, one)
        for tab in preferences.TABS:
            yield f"preferences-{tab.lower()}", lambda tab=tab: _preferences(preferences.PreferencesDialog(shell), tab)  # type: ignore[misc]
        yield "about", lambda: about.AboutDialog(shell)
        yield "help", lambda: about.HelpDialog(shell)

    def close(self) -> None:
        """End every thread, then the window."""
        self.console.begin()
        self.until(lambda: not self.console.pending(), "the threads to end", 10)
        self.window.destroy()
        self.home.cleanup()


def _preferences(dialog: Any, tab: str) -> Any:
    dialog.select(tab)
    return dialog


def main() -> int:
    """Everything in light, then in dark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--modes", default="light,dark")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    gallery = Gallery(given.scale, given.out)
    gallery.prepare()
    for mode in given.modes.split(","):
        gallery.window.theme.set_mode(mode)
        gallery.dialogs()
        gallery.tabs()
    gallery.close()
    sys.stdout.write(json.dumps({"problems": gallery.problems, "pictures": gallery.pictures}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
