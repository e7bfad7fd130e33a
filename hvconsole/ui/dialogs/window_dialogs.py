"""``interfaces.Dialogs`` for real: which dialog stands behind which question. Tk thread; every method is modal."""

from __future__ import annotations

from collections.abc import Sequence

from hvconsole.errors import CertificateError, HvError
from hvconsole.model import ServerId, Verb
from hvconsole.operation import Operation, Question
from hvconsole.text import safe_text
from hvconsole.ui.dialogs.about import AboutDialog, HelpDialog
from hvconsole.ui.dialogs.certificate import CertificateDialog
from hvconsole.ui.dialogs.confirm import ConfirmDialog
from hvconsole.ui.dialogs.connect import ConnectDialog
from hvconsole.ui.dialogs.create import CreateDialog
from hvconsole.ui.dialogs.delete import DeleteDialog
from hvconsole.ui.dialogs.error import ErrorDialog, MessageDialog, ReasonsDialog
from hvconsole.ui.dialogs.files import ExportDialog, ImportDialog
from hvconsole.ui.dialogs.form import FormDialog
from hvconsole.ui.dialogs.hosts import HostDialog
from hvconsole.ui.dialogs.monitoring import MonitorSettingsDialog
from hvconsole.ui.dialogs.names import CloneDialog, RenameDialog
from hvconsole.ui.dialogs.preferences import PreferencesDialog
from hvconsole.ui.dialogs.server import HostPowerDialog, PasswordDialog, PointToMasterDialog
from hvconsole.ui.dialogs.snapshot import ChooseSnapshotDialog, SnapshotDialog
from hvconsole.ui.interfaces import Selection, Shell, Subject

ONE_AT_A_TIME = frozenset(
    {
        Verb.RENAME,
        Verb.CLONE,
        Verb.COPY,
        Verb.EXPORT,
        Verb.IMPORT,
        Verb.CREATE,
        Verb.CHANGE_PASSWORD,
        Verb.POINT_TO_MASTER,
    }
)
"""Operations whose answers (a name, a file, a password) fit one object only."""


class WindowDialogs:
    """Opens the dialogs over one window."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def confirm(self, question: Question, operation: Operation, subjects: Sequence[Subject]) -> bool:
        """Ask before a risky operation."""
        return ConfirmDialog(self._shell, question, operation, subjects).run() is not None

    def ask_arguments(self, operation: Operation, subjects: Sequence[Subject]) -> dict[str, object] | None:
        """The arguments that ``operation`` needs, or None if cancelled. These dialogs are also the confirmation."""
        verb = operation.verb
        if verb in ONE_AT_A_TIME and len(subjects) > 1:
            text = f"{operation.label} asks for things that fit one object only; {len(subjects)} are selected."
            self.message(f"{operation.label}: one at a time", text)
            return None
        if verb is Verb.CREATE:
            return self._create(subjects[0])
        dialog = self._dialog(operation, subjects)
        if dialog is None:
            return {}
        return dialog.given if dialog.run() is not None else None

    def _dialog(self, operation: Operation, subjects: Sequence[Subject]) -> FormDialog | None:
        shell, verb, first = self._shell, operation.verb, subjects[0]
        if verb is Verb.SNAPSHOT:
            return SnapshotDialog(shell, subjects)
        if verb in (Verb.REVERT, Verb.DELETE_SNAPSHOT):
            return ChooseSnapshotDialog(shell, operation, subjects)
        if verb is Verb.DELETE:
            return DeleteDialog(shell, subjects)
        if verb in (Verb.MIGRATE, Verb.START_ON):
            return HostDialog(shell, operation, subjects)
        if verb is Verb.RENAME:
            return RenameDialog(shell, first)
        if verb in (Verb.CLONE, Verb.COPY):
            return CloneDialog(shell, operation, first)
        if verb is Verb.EXPORT:
            return ExportDialog(shell, operation, first)
        if verb is Verb.IMPORT:
            return ImportDialog(shell, operation, first)
        if verb is Verb.CHANGE_PASSWORD:
            return PasswordDialog(shell, operation, first)
        if verb is Verb.POINT_TO_MASTER:
            return PointToMasterDialog(shell, operation, first)
        if verb in (Verb.HOST_REBOOT, Verb.HOST_SHUTDOWN):
            return HostPowerDialog(shell, operation, subjects)
        return None

    def _create(self, subject: Subject) -> dict[str, object] | None:
        dialog = CreateDialog(self._shell, subject)
        if dialog.run() is None or not dialog.specs:
            return None
        for spec in dialog.specs[1:]:
            self._shell.run(Verb.CREATE, Selection((subject.item,)), {"spec": spec})
        return {"spec": dialog.specs[0]}

    def error(self, title: str, error: HvError, hard: Operation | None = None) -> bool:
        """Show an error with its detail; True if the hard variant was chosen."""
        return ErrorDialog(self._shell, title, error, hard).run() is not None

    def several_refused(
        self, operation: Operation, able: Sequence[Subject], refused: Sequence[tuple[str, str]]
    ) -> bool:
        """A table of (name, reason). True to go on with those able."""
        return ReasonsDialog(self._shell, operation, able, refused).run() is not None

    def message(self, title: str, text: str, detail: str = "") -> None:
        """Something to know."""
        MessageDialog(self._shell, title, text, detail).run()

    def connect(
        self,
        server_id: ServerId | None = None,
        error: HvError | None = None,
        *,
        emergency_at: tuple[str, int] | None = None,
    ) -> None:
        """Connect to a new server, or edit and retry a known one."""
        ConnectDialog(self._shell, server_id, error, emergency_at=emergency_at).run()

    def certificate(self, name: str, error: CertificateError) -> bool:
        """First use: ask. Changed: show old beside new. True if the user accepts (the caller pins).

        Only these two can be accepted: anything else about a certificate is an error like others.
        """
        if error.presented is None or error.reason not in ("unknown", "changed"):
            ErrorDialog(self._shell, f"Certificate of {safe_text(name, 60)}", error).run()
            return False
        return CertificateDialog(self._shell, name, error).run() is not None

    def preferences(self) -> None:
        """The Preferences dialog."""
        PreferencesDialog(self._shell).run()

    def monitor_settings(self, subjects: Sequence[Subject]) -> None:
        """Monitoring settings of these VMs."""
        if any(subject.vm is not None for subject in subjects):
            MonitorSettingsDialog(self._shell, subjects).run()

    def about(self) -> None:
        """The About dialog."""
        AboutDialog(self._shell).run()

    def help(self) -> None:
        """Keys and where to read more."""
        HelpDialog(self._shell).run()
