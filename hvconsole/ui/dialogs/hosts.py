"""Choosing a host: where to migrate to or start on, with the reason beside each one that can't. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hvconsole.model import Host, Inventory, PowerState, Verb, Vm
from hvconsole.operation import Operation
from hvconsole.text import format_bytes, safe_text
from hvconsole.ui.columns import natural_key
from hvconsole.ui.dialogs.confirm import short
from hvconsole.ui.dialogs.form import FormDialog
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


class HostDialog(FormDialog):
    """A table of hosts; one that can't take the VMs says why and can't be chosen."""

    width = 560

    def __init__(self, shell: Shell, operation: Operation, subjects: Sequence[Subject]) -> None:
        vms = [s.vm for s in subjects if s.vm is not None]
        one = vms[0].name
        target = short(one) if len(vms) == 1 else f"{len(vms)} VMs"
        migrate = operation.verb is Verb.MIGRATE
        whom = f"“{safe_text(one, 60)}”" if len(vms) == 1 else f"{len(vms)} VMs"
        super().__init__(
            shell,
            operation.label,
            f"Migrate {whom} to another host" if migrate else f"Start {whom} on a host",
            "Running VMs keep running while they move." if migrate else "",
            verb=f"{'Migrate' if migrate else 'Start'} {target}",
        )
        inventory = subjects[0].connection.inventory
        self.choices = host_choices(inventory, vms, operation.verb) if inventory is not None else ()
        listing = Listing(
            self.theme,
            self.body,
            (
                ListColumn("host", "Host", 170),
                ListColumn("free", "Free memory", 100, numeric=True),
                ListColumn("note", "", 330, stretch=True),
            ),
            rows=min(10, max(3, len(self.choices))),
            edge=True,
        )
        self.table = listing.tree
        for number, choice in enumerate(self.choices):
            listing.insert(
                str(number),
                safe_text(choice.host.name, 80),
                (format_bytes(choice.host.memory_free_bytes), choice.why_not or choice.note),
                image=self.theme.images.row("server", stale=bool(choice.why_not)),
                tags=("faint",) if choice.why_not else (),
            )
        self.add_wide(listing.frame)
        if not any(not c.why_not for c in self.choices):
            self.add_text("No host can take it now.", "Error.TLabel")
        elif self.choices:
            self.table.selection_set("0")
            self.table.focus("0")
        self.table.bind("<<TreeviewSelect>>", lambda _event: self.refresh())
        self.table.bind("<Double-Button-1>", self._double)
        self.focus_first(self.table)

    def _double(self, event: tk.Event[tk.Misc]) -> None:
        if self.table.identify_row(event.y) and self.problem() is None:
            self.button(self.verb).invoke()

    @property
    def chosen(self) -> HostChoice | None:
        """The chosen row, or None."""
        selected = self.table.selection()
        return self.choices[int(selected[0])] if selected else None

    def problem(self) -> str | None:
        """A host that can take it has to be chosen."""
        choice = self.chosen
        if choice is None:
            return "Choose a host."
        return choice.why_not or None

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``."""
        choice = self.chosen
        return {"host": choice.host.id if choice is not None else ""}
