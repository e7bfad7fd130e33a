"""Choosing where to migrate to or start on: a host, with the reason beside each one that can't, and where the server
can move disks too, a storage. Tk thread only.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hvconsole.backends.base import Capability
from hvconsole.model import Host, Inventory, PowerState, Storage, Verb, Vm
from hvconsole.operation import Operation
from hvconsole.text import format_bytes, safe_text
from hvconsole.ui.columns import natural_key
from hvconsole.ui.dialogs.confirm import short
from hvconsole.ui.dialogs.fields import Choice
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.dialogs.names import storage_options
from hvconsole.ui.interfaces import Shell, Subject
from hvconsole.ui.listing import ListColumn, Listing


@dataclass(frozen=True, slots=True)
class HostChoice:
    """One host. ``why_not``: it can't be chosen; ``note``: it can, but."""

    host: Host
    why_not: str = ""
    note: str = ""


def host_choices(inventory: Inventory, vms: Sequence[Vm], verb: Verb) -> tuple[HostChoice, ...]:
    """Every host of the VMs' pool, those that can take them first, most free memory first."""
    pools = {vm.pool_id for vm in vms}
    needed = sum(vm.memory_bytes or 0 for vm in vms)
    found = []
    for host in inventory.hosts.values():
        if pools != {None} and host.pool_id not in pools:
            continue
        why, note = "", ""
        running_there = [vm for vm in vms if vm.host_id == host.id]
        if host.live is False:
            why = "The host doesn't answer."
        elif host.in_maintenance:
            why = "The host is in maintenance mode."
        elif not host.enabled:
            why = "The host is disabled."
        elif verb is Verb.MIGRATE and len(running_there) == len(vms):
            why = "It runs there already." if len(vms) == 1 else "They run there already."
        elif running_there and verb is Verb.MIGRATE:
            note = f"{len(running_there)} of them run there already."
        if not why and host.memory_free_bytes is not None and needed > host.memory_free_bytes:
            lack = f"{format_bytes(needed)} needed"
            if all(vm.power is PowerState.RUNNING for vm in vms) or verb is Verb.START_ON:
                why = f"Not enough free memory: {lack}."
            else:
                note = f"Not enough free memory to start there: {lack}."
        found.append(HostChoice(host, why, note))
    return tuple(
        sorted(found, key=lambda c: (bool(c.why_not), -(c.host.memory_free_bytes or 0), natural_key(c.host.name)))
    )


STAY = "stay"
"""Row of the table: the VMs stay where they are, only their disks move."""


def storages_seen(inventory: Inventory, choices: Sequence[HostChoice]) -> tuple[Storage, ...]:
    """Storages that at least one of the hosts sees."""
    hosts = {choice.host.id for choice in choices}
    return tuple(storage for storage in inventory.storages.values() if hosts.intersection(storage.host_ids))


class HostDialog(FormDialog):
    """A table of hosts; one that can't take the VMs says why and can't be chosen. Disks may move along, or alone."""

    width = 560

    def __init__(self, shell: Shell, operation: Operation, subjects: Sequence[Subject]) -> None:
        vms = [s.vm for s in subjects if s.vm is not None]
        one = vms[0].name
        target = short(one) if len(vms) == 1 else f"{len(vms)} VMs"
        migrate = operation.verb is Verb.MIGRATE
        disks = migrate and all(Capability.MIGRATE_STORAGE in s.connection.capabilities for s in subjects)
        whom = f"“{safe_text(one, 60)}”" if len(vms) == 1 else f"{len(vms)} VMs"
        super().__init__(
            shell,
            operation.label,
            _heading(whom, migrate=migrate, disks=disks),
            "Running VMs keep running while they move." if migrate else "",
            verb=f"{'Migrate' if migrate else 'Start'} {target}",
        )
        inventory = subjects[0].connection.inventory
        self._vms = vms
        self.storage: Choice | None = None
        self._storages: tuple[Storage, ...] = ()
        self.choices = host_choices(inventory, vms, operation.verb) if inventory is not None else ()
        listing = Listing(
            self.theme,
            self.body,
            (
                ListColumn("host", "Host", 170),
                ListColumn("free", "Free memory", 100, numeric=True),
                ListColumn("note", "", 330, stretch=True),
            ),
            rows=min(10, max(3, len(self.choices) + disks)),
            edge=True,
        )
        self.table = listing.tree
        if disks:
            kept = "Same host" if len(vms) == 1 else "Same hosts"
            listing.insert(STAY, kept, ("", "Only the disks move."), image=self.theme.images.row("server"))
        for number, choice in enumerate(self.choices):
            listing.insert(
                str(number),
                safe_text(choice.host.name, 80),
                (format_bytes(choice.host.memory_free_bytes), choice.why_not or choice.note),
                image=self.theme.images.row("server", stale=bool(choice.why_not)),
                tags=("faint",) if choice.why_not else (),
            )
        self.add_wide(listing.frame)
        if disks and inventory is not None:
            self._storages = storages_seen(inventory, self.choices)
            options = storage_options(self._storages, ("", "Where the disks are now"))
            self.storage = self.choice_field("Storage", options)
        able = any(not c.why_not for c in self.choices)
        if not able and not disks:
            self.add_text("No host can take it now.", "Error.TLabel")
        elif self.choices:
            first = "0" if able else STAY
            self.table.selection_set(first)
            self.table.focus(first)
        self.table.bind("<<TreeviewSelect>>", lambda _event: self.refresh())
        self.table.bind("<Double-Button-1>", self._double)
        self.focus_first(self.table)

    def _double(self, event: tk.Event[tk.Misc]) -> None:
        if self.table.identify_row(event.y) and self.problem() is None:
            self.button(self.verb).invoke()

    @property
    def chosen(self) -> HostChoice | None:
        """The chosen host; None where the VMs stay or nothing is chosen."""
        selected = self.table.selection()
        return self.choices[int(selected[0])] if selected and selected[0] != STAY else None

    @property
    def storage_id(self) -> str:
        """The chosen storage; empty where the disks stay."""
        return self.storage.get() if self.storage is not None else ""

    def problem(self) -> str | None:
        """A host that can take it has to be chosen, or a storage that its host sees."""
        if not self.table.selection():
            return "Choose a host."
        choice = self.chosen
        storage = next((s for s in self._storages if s.id == self.storage_id), None)
        if choice is not None:
            if choice.why_not:
                return choice.why_not
            if storage is not None and choice.host.id not in storage.host_ids:
                return "That host can't reach the chosen storage."
            return None
        if storage is None:
            return "Choose another host or another storage."
        if any((vm.host_id or vm.home_id) not in storage.host_ids for vm in self._vms):
            return "The present host can't reach the chosen storage."
        return None

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``; what stays is not given."""
        given: dict[str, Any] = {}
        if self.chosen is not None:
            given["host"] = self.chosen.host.id
        if self.storage_id:
            given["storage"] = self.storage_id
        return given


def _heading(whom: str, *, migrate: bool, disks: bool) -> str:
    if not migrate:
        return f"Start {whom} on a host"
    return f"Migrate {whom} to another host or storage" if disks else f"Migrate {whom} to another host"
