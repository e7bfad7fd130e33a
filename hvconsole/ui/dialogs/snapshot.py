"""Take a snapshot; choose one to revert to or delete. Tk thread only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from hvconsole.backends.base import Capability
from hvconsole.model import Snapshot, ToolsState, Verb, Vm
from hvconsole.operation import Operation
from hvconsole.text import safe_text, unsendable
from hvconsole.ui.dialogs.confirm import short
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.interfaces import Shell, Subject
from hvconsole.ui.wording import count, listed, local_time

LONGEST_NAME = 200


def check_name(text: str) -> str | None:
    """What is wrong with a name that is to be sent, or None."""
    if not text.strip():
        return "Enter a name."
    if len(text) > LONGEST_NAME:
        return f"At most {LONGEST_NAME} characters."
    return unsendable(text)


def check_text(text: str) -> str | None:
    """What is wrong with a text that may be empty, or None."""
    return unsendable(text)


def preset_name(subjects: Sequence[Subject], now: dt.datetime) -> str:
    """A name that says when; for one VM also which."""
    moment = f"{now.astimezone():%Y-%m-%d %H:%M}"
    if len(subjects) != 1 or subjects[0].vm is None:
        return moment
    name = safe_text(subjects[0].vm.name, 60)
    return f"{name} {moment}"


def option_why_not(subjects: Sequence[Subject], verb: Verb, needs: Capability, what: str) -> str | None:
    """Why a variant of the snapshot cannot be had for all of these VMs, or None."""
    for subject in subjects:
        if needs not in subject.connection.capabilities:
            inventory = subject.connection.inventory
            product = safe_text(inventory.server.product, 40) if inventory is not None else "This server"
            return f"{product} doesn't offer {what} here."
    for subject in subjects:
        reason = subject.vm.refusals.get(verb) if subject.vm is not None else None
        if reason:
            return reason if len(subjects) == 1 else f"“{safe_text(subject.name, 40)}”: {reason}"
    return None


class SnapshotDialog(FormDialog):
    """Name, description, with memory, quiesced; what can't be had says why."""

    def __init__(self, shell: Shell, subjects: Sequence[Subject]) -> None:
        one = subjects[0].name
        whom = f"“{safe_text(one, 60)}”" if len(subjects) == 1 else f"{len(subjects)} VMs"
        subject_vms = [s.vm for s in subjects if s.vm is not None]
        super().__init__(
            shell,
            "Take snapshot",
            f"Take a snapshot of {whom}",
            "The VM keeps running. The state of its disks is saved; memory only if you tick the box."
            if len(subjects) == 1
            else "The VMs keep running. The state of their disks is saved; memory only if you tick the box.",
            verb="Take snapshot" if len(subjects) == 1 else f"Take {len(subjects)} snapshots",
        )
        self.name = self.text_field("Name", preset_name(subjects, shell.services.clock.now()), check=check_name)
        self.description = self.lines_field("Description")
        self.memory = self.tick_field(
            "Include memory",
            why_not=option_why_not(subjects, Verb.SNAPSHOT_MEMORY, Capability.SNAPSHOT_MEMORY, "snapshots with memory"),
        )
        self.quiesce = self.tick_field(
            "Quiesce the guest's file systems first",
            why_not=option_why_not(subjects, Verb.SNAPSHOT_QUIESCE, Capability.SNAPSHOT_QUIESCE, "quiesced snapshots"),
        )
        # a picture of memory needs no quiesced disks, and no platform does both
        self.memory.widget.configure(command=lambda: self._exclude(self.memory.get(), memory=True))
        self.quiesce.widget.configure(command=lambda: self._exclude(self.quiesce.get(), memory=False))
        missing = [vm for vm in subject_vms if vm.tools is ToolsState.MISSING]
        if missing and len(subjects) > 1:
            self.add_text(f"{count(len(missing), 'VM')} of these without guest tools: only disk snapshots work there.")

    def _exclude(self, on: bool, *, memory: bool) -> None:
        if on:
            (self.quiesce if memory else self.memory).set(False)
        self.refresh()

    def problem(self) -> str | None:
        """The description can hold what no server takes."""
        return check_text(self.description.get())

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``."""
        return {
            "name": self.name.get().strip(),
            "description": self.description.get().strip(),
            "memory": self.memory.get(),
            "quiesce": self.quiesce.get(),
        }


def ordered(vm: Vm) -> list[Snapshot]:
    """Snapshots of a VM, newest first; those without a date last."""
    never = dt.datetime.min.replace(tzinfo=dt.UTC)
    return sorted(vm.snapshots, key=lambda s: s.created or never, reverse=True)


def label(vm: Vm, snapshot: Snapshot) -> str:
    """One line for a snapshot in a list."""
    when = local_time(snapshot.created)
    parts = [safe_text(snapshot.name, 60), when, "you are here" if snapshot.id == vm.current_snapshot_id else ""]
    return " · ".join(p for p in parts if p)


class ChooseSnapshotDialog(FormDialog):
    """Which snapshot to revert to, or which to delete (with all that descend from it, where the server can).

    Selected snapshots are taken as they are; for a selected VM one is chosen from a list.
    """

    def __init__(self, shell: Shell, operation: Operation, subjects: Sequence[Subject]) -> None:
        vm = subjects[0].vm
        assert vm is not None
        given = [s.snapshot for s in subjects if s.snapshot is not None]
        several = len(subjects) > 1
        revert = operation.verb is Verb.REVERT
        question = operation.question
        super().__init__(
            shell,
            operation.label,
            _choose_heading(revert, vm, given, len(subjects)),
            question.text if question is not None else "",
            verb=_choose_verb(revert, vm, len(subjects)),
            danger=True,
            icon="triangle-alert",
            icon_color="bad",
        )
        self.choice = self.children = self.typed = None
        if not given:
            found = ordered(vm)
            options = [(s.id, label(vm, s)) for s in found]
            self.choice = self.choice_field("Snapshot", options, vm.current_snapshot_id or "", width=58)
        elif several:
            self.add_text(listed([safe_text(s.name, 60) for s in given], 8), "TLabel")
        if not revert:
            subtree = all(Capability.SNAPSHOT_SUBTREE in s.connection.capabilities for s in subjects)
            why = None if subtree else "This server deletes one at a time."
            self.children = self.tick_field("And all that descend from it", why_not=why)
        if several:
            number = str(len(subjects))
            sentence = f"Type {number} to go on."
            self.typed = self.text_field(
                "Type their number", check=lambda text: None if text.strip() == number else sentence, width=24
            )
            self.typed.set_hint(sentence)
        else:
            self.focus_first(self.button("Cancel"))

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``; the snapshot only where it was chosen here."""
        given: dict[str, Any] = {}
        if self.choice is not None:
            given["snapshot"] = self.choice.get()
        if self.children is not None:
            given["children"] = self.children.get()
        return given


def _choose_heading(revert: bool, vm: Vm, given: Sequence[Snapshot], how_many: int) -> str:
    of = f"“{safe_text(vm.name, 60)}”"
    if how_many > 1:
        return f"{'Revert' if revert else 'Delete'} {how_many} {'VMs to snapshots' if revert else 'snapshots'}?"
    if given:
        snapshot = f"“{safe_text(given[0].name, 60)}”"
        return f"Revert {of} to {snapshot}?" if revert else f"Delete the snapshot {snapshot} of {of}?"
    return f"Revert {of} to a snapshot" if revert else f"Delete a snapshot of {of}"


def _choose_verb(revert: bool, vm: Vm, how_many: int) -> str:
    if how_many > 1:
        return f"Revert {how_many} VMs" if revert else f"Delete {how_many} snapshots"
    return f"Revert {short(vm.name)}" if revert else "Delete snapshot"
