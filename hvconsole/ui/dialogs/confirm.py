"""The question before a risky operation: object and verb in the button, the count typed for several. Tk thread only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hvconsole.model import ObjectId, PowerState, Verb, VmKind
from hvconsole.operation import Operation, Question
from hvconsole.text import safe_text
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.interfaces import ItemKind, Shell, Subject
from hvconsole.ui.wording import listed

SHORT_NAME = 28
"""Longest name inside a button, in characters."""
STOPS_VMS = frozenset({Verb.ENTER_MAINTENANCE, Verb.HOST_REBOOT, Verb.HOST_SHUTDOWN})
"""Operations on hosts before which the VMs running there are named."""

_NOUNS = {
    ItemKind.VM: ("VM", "VMs"),
    ItemKind.SNAPSHOT: ("snapshot", "snapshots"),
    ItemKind.HOST: ("host", "hosts"),
    ItemKind.POOL: ("pool", "pools"),
    ItemKind.SERVER: ("server", "servers"),
}


@dataclass(frozen=True, slots=True)
class Wording:
    """Everything the dialog says."""

    heading: str
    text: str
    button: str
    must_type: str = ""
    """What has to be typed before the button works, or empty."""
    type_what: str = ""
    """Label of the field for it."""


def short(name: str, limit: int = SHORT_NAME) -> str:
    """A hostile name, safe and short enough for a button."""
    return f"“{safe_text(name, limit)}”"


def nouns(subjects: Sequence[Subject]) -> tuple[str, str]:
    """ "VM", "VMs" and so on, for what is selected."""
    kinds = {subject.item.kind for subject in subjects}
    return _NOUNS.get(next(iter(kinds)), ("object", "objects")) if len(kinds) == 1 else ("object", "objects")


def wording(question: Question, operation: Operation, subjects: Sequence[Subject]) -> Wording:
    """The question for these subjects. Several objects of a destructive operation need their number typed; taking over
    a pool in an emergency needs the host's address typed."""
    if operation.verb is Verb.BECOME_MASTER and subjects:
        address = _emergency_address(subjects[0])
        return Wording(question.one, question.text, question.button, address, "Type the host's address")
    if len(subjects) == 1:
        name = subjects[0].name
        heading = question.one.format(name=safe_text(name, 80))
        return Wording(heading, question.text, question.button_for(short(name)))
    count = len(subjects)
    plural = nouns(subjects)[1]
    heading = question.many.format(count=count) if question.many else f"{question.button_for(f'{count} {plural}')}?"
    must_type = str(count) if operation.destructive else ""
    return Wording(
        heading, question.text, question.button_for(f"{count} {plural}"), must_type, f"Type the number of {plural}"
    )


def _emergency_address(subject: Subject) -> str:
    emergency = subject.connection.emergency
    if emergency is not None and emergency.host_address:
        return safe_text(emergency.host_address, 80)
    return safe_text(subject.connection.addresses[0], 80) if subject.connection.addresses else ""


def names_text(subjects: Sequence[Subject], limit: int = 12) -> str:
    """The names of several subjects in one sentence."""
    return listed([safe_text(s.name, 60) for s in subjects], limit)


def running_vms(subject: Subject) -> tuple[str, ...]:
    """Names of the VMs that run on a host, as shown."""
    inventory = subject.connection.inventory
    if inventory is None or subject.host is None:
        return ()
    host_id: ObjectId = subject.host.id
    found = (
        vm
        for vm in inventory.vms.values()
        if vm.host_id == host_id and vm.kind is VmKind.VM and vm.power in (PowerState.RUNNING, PowerState.PAUSED)
    )
    return tuple(sorted((safe_text(vm.name, 60) for vm in found), key=str.casefold))


def running_text(subjects: Sequence[Subject]) -> str:
    """ "4 VMs are running there: a, b, c and d." for hosts; empty for anything else."""
    if not any(subject.host is not None for subject in subjects):
        return ""
    names = [name for subject in subjects for name in running_vms(subject)]
    if not names:
        return "No VM is running there."
    verb = "VM is" if len(names) == 1 else "VMs are"
    return f"{len(names)} {verb} running there: {listed(names, 12)}."


class ConfirmDialog(FormDialog):
    """Yes, or no."""

    def __init__(self, shell: Shell, question: Question, operation: Operation, subjects: Sequence[Subject]) -> None:
        words = wording(question, operation, subjects)
        super().__init__(
            shell,
            operation.label,
            words.heading,
            words.text,
            verb=words.button,
            danger=operation.destructive,
            icon="triangle-alert" if operation.destructive else "circle-help",
            icon_color="bad" if operation.destructive else "info",
        )
        if len(subjects) > 1:
            self.add_text(names_text(subjects), "TLabel")
        if operation.verb in STOPS_VMS:
            self.add_text(running_text(subjects), "TLabel")
        self._must_type = words.must_type
        if words.must_type:
            self.typed = self.text_field(words.type_what, check=self._check_typed, width=24)
            self.typed.set_hint(f"Type {words.must_type} to go on.")

    def _check_typed(self, text: str) -> str | None:
        return None if text.strip() == self._must_type else f"Type {self._must_type} to go on."
