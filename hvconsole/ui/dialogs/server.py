"""Dialogs about a whole server: change password, emergency recoveries, restart or switch off a host. Tk thread only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hvconsole.backends.base import Secret
from hvconsole.errors import InvalidInput
from hvconsole.model import Emergency
from hvconsole.operation import Operation
from hvconsole.profiles import parse_address
from hvconsole.text import safe_text, unsendable
from hvconsole.ui.dialogs.confirm import nouns, running_text, running_vms, short
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.interfaces import Shell, Subject

WORKS_IN_EMERGENCY = (
    "In emergency mode the host cannot read the pool's database: VMs keep running but cannot be listed or managed "
    "from here. Two recoveries work: make this host the master, or point it to the pool's new master."
)


def password_problem(new: str, again: str) -> str | None:
    """What is wrong with a new password, or None."""
    if not new:
        return "Enter the new password."
    if "\n" in new or "\r" in new:
        return "A password can't have line breaks."
    problem = unsendable(new)
    if problem:
        return "The password has a character that can't be sent."
    if again and new != again:
        return "The two don't match."
    return None


class PasswordDialog(FormDialog):
    """Old password, new password, once more."""

    def __init__(self, shell: Shell, operation: Operation, subject: Subject) -> None:
        connection = subject.connection
        user = safe_text(connection.profile.user, 60)
        hosts = len(connection.inventory.hosts) if connection.inventory is not None else 1
        scope = f"It changes on all {hosts} hosts of the pool." if hosts > 1 else ""
        super().__init__(
            shell,
            operation.label,
            f"Change the password of {user} on “{safe_text(connection.name, 60)}”",
            scope,
            verb="Change password",
        )
        self.old = self.text_field("Current password", secret=True, check=lambda t: None if t else "Enter it.")
        self.new = self.text_field("New password", secret=True, check=lambda t: password_problem(t, ""))
        self.again = self.text_field("New password again", secret=True, check=self._check_again)

    def _check_again(self, text: str) -> str | None:
        return None if text and text == self.new.get() else "The two don't match."

    def problem(self) -> str | None:
        """The two must match even when the first was changed last."""
        return password_problem(self.new.get(), self.again.get() or "\0")

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``; secrets travel wrapped, so that nothing prints them."""
        return {"old": Secret(password=self.old.get()), "new": Secret(password=self.new.get())}


def emergency_text(emergency: Emergency) -> str:
    """What the emergency is, in words."""
    host = safe_text(emergency.host_address, 80)
    if not emergency.in_emergency_mode:
        return f"{host} isn't in emergency mode.{master_text(emergency)}"
    cause = f" ({safe_text(emergency.cause, 160)})" if emergency.cause else ""
    return f"{host} has lost its pool's master{cause}."


def master_text(emergency: Emergency) -> str:
    """Where the master of a host is that is not in emergency mode, as a sentence with a space before it."""
    master = safe_text(emergency.master_address, 80)
    if not master:
        return " Log in to its pool as usual."
    if emergency.master_address == emergency.host_address:
        return " It is its pool's master: log in to it as usual."
    return f" Its pool's master is {master}: log in there as usual."


class PointToMasterDialog(FormDialog):
    """Which address the host shall take for its master; the address is typed, and typed again."""

    def __init__(self, shell: Shell, operation: Operation, subject: Subject) -> None:
        emergency = subject.connection.emergency
        super().__init__(
            shell,
            operation.label,
            "Point this host to another master?",
            (emergency_text(emergency) + " " if emergency is not None else "")
            + "It joins the master at the address you give. A wrong address leaves it in emergency mode.",
            verb="Point to master",
            danger=True,
            icon="triangle-alert",
            icon_color="bad",
        )
        members = [safe_text(m, 80) for m in emergency.known_members] if emergency is not None else []
        self.address = self.text_field("Address of the new master", check=_check_address, width=32)
        if members:
            self.address.set_hint("Known members of the pool: " + ", ".join(members[:8]))
        self.again = self.text_field("Type it again", check=self._check_again, width=32)

    def _check_again(self, text: str) -> str | None:
        return None if text.strip() and text.strip() == self.address.get().strip() else "The two don't match."

    def problem(self) -> str | None:
        """Both must match even when the first was changed last."""
        return self._check_again(self.again.get())

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``."""
        return {"address": self.address.get().strip()}


def _check_address(text: str) -> str | None:
    try:
        parse_address(text, 443)
    except InvalidInput as exc:
        return exc.user_text if text.strip() else "Enter an address."
    return None


class HostPowerDialog(FormDialog):
    """Restart a host or switch it off: names the VMs that run there, and whether they are shut down hard."""

    def __init__(self, shell: Shell, operation: Operation, subjects: Sequence[Subject]) -> None:
        assert operation.question is not None
        question = operation.question
        one, several = subjects[0].name, len(subjects) > 1
        super().__init__(
            shell,
            operation.label,
            question.many.format(count=len(subjects)) if several else question.one.format(name=safe_text(one, 80)),
            question.text,
            verb=question.button_for(f"{len(subjects)} {nouns(subjects)[1]}" if several else short(one)),
            danger=True,
            icon="triangle-alert",
            icon_color="bad",
        )
        self.running = tuple(name for subject in subjects for name in running_vms(subject))
        self.add_text(running_text(subjects), "TLabel")
        self.force = None
        if self.running:
            self.force = self.tick_field(
                "Shut the running VMs down hard",
                hint="Without the tick the server refuses while VMs run. Unsaved data in them is lost.",
            )
        self.typed = None
        if several:
            number = str(len(subjects))
            sentence = f"Type {number} to go on."
            self.typed = self.text_field(
                "Type the number of hosts", check=lambda t: None if t.strip() == number else sentence, width=24
            )
            self.typed.set_hint(sentence)
        else:
            self.focus_first(self.button("Cancel"))

    def arguments(self) -> dict[str, Any]:
        """For ``Operation.run``."""
        return {"force": self.force.get() if self.force is not None else False}
