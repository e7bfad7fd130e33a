"""The Lab menu of the demo: pull cables, fail hosts, fail the master. Only there when a lab is. Tk thread only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hvconsole.text import safe_text
from hvconsole.ui.commands import Command
from hvconsole.ui.interfaces import LabController, Subject
from hvconsole.ui.menus import MenuEntry, Submenu

_NO_VM = "Select a VM of the lab first."


class LabMenu:
    """Entries for menu bar and context menu."""

    def __init__(
        self, lab: LabController, subjects: Callable[[], Sequence[Subject]], status: Callable[[str], None]
    ) -> None:
        """``subjects``: what is selected, asked whenever it matters."""
        self._lab = lab
        self._subjects = subjects
        self._status = status

    def _vms(self) -> list[tuple[str, str]]:
        """(uuid, name) of the selected VMs that the lab owns."""
        return [
            (s.vm.uuid, s.vm.name)
            for s in self._subjects()
            if s.vm is not None and s.snapshot is None and self._lab.knows_vm(s.vm.uuid)
        ]

    def _cables(self, plugged: bool) -> str | None:
        """Why no cable of the selection can be put into this state, or None."""
        vms = self._vms()
        if not vms:
            return _NO_VM
        if all(self._lab.cable_plugged(uuid) == plugged for uuid, _ in vms):
            return "The cable is plugged already." if plugged else "The cable is pulled already."
        return None

    def _set_cables(self, plugged: bool) -> None:
        vms = self._vms()
        for uuid, _ in vms:
            self._lab.set_cable(uuid, plugged)
        names = safe_text(vms[0][1], 60) if len(vms) == 1 else f"{len(vms)} VMs"
        self._status(f"Network cable {'plugged' if plugged else 'pulled'}: {names}")

    def cable_entries(self) -> list[MenuEntry]:
        """Pull and plug, for the selection."""
        return [
            Command(
                "lab-pull",
                "Pull network cable",
                lambda: self._set_cables(False),
                lambda: self._cables(False),
                shortcut="Control-Shift-P",
            ),
            Command("lab-plug", "Plug network cable", lambda: self._set_cables(True), lambda: self._cables(True)),
        ]

    def entries(self) -> list[MenuEntry]:
        """The whole menu."""
        return [
            *self.cable_entries(),
            None,
            Submenu("Fail host", lambda: self._host_entries(alive=True)),
            Submenu("Bring host back", lambda: self._host_entries(alive=False)),
            None,
            Command("lab-master", "Fail the pool master", self._fail_masters, self._why_no_master),
        ]

    def _host_entries(self, *, alive: bool) -> list[MenuEntry]:
        masters = set(self._lab.masters())

        def entry(uuid: str, name: str) -> Command:
            label = safe_text(name, 60) + (" (master)" if uuid in masters else "")
            return Command("lab-host", label, lambda: self._set_host(uuid, name, not alive))

        found: list[MenuEntry] = [entry(uuid, name) for uuid, name, lives in self._lab.hosts() if lives == alive]
        if not found:
            reason = "No host is up." if alive else "All hosts are up."
            return [Command("none", reason.rstrip("."), lambda: None, lambda: reason)]
        return found

    def _set_host(self, uuid: str, name: str, alive: bool) -> None:
        self._lab.set_host(uuid, alive)
        self._status(f"Host {safe_text(name, 60)} {'is back' if alive else 'has failed'}")

    def _living_masters(self) -> list[tuple[str, str]]:
        masters = set(self._lab.masters())
        return [(uuid, name) for uuid, name, alive in self._lab.hosts() if alive and uuid in masters]

    def _why_no_master(self) -> str | None:
        return None if self._living_masters() else "No pool master is up."

    def _fail_masters(self) -> None:
        for uuid, name in self._living_masters():
            self._set_host(uuid, name, False)
