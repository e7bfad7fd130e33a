"""Servers that need the user: failures and emergencies in the banner, and commands on connections. Tk thread only."""

from __future__ import annotations

from collections.abc import Sequence

from hvconsole.errors import CertificateError, LocalError
from hvconsole.events import ConnectionState
from hvconsole.model import ServerId, Verb
from hvconsole.text import safe_text
from hvconsole.ui.banner import Action, Banner
from hvconsole.ui.closing import confirm
from hvconsole.ui.interfaces import Item, ItemKind, Selection, Shell, Subject


class Servers:
    """Shows what is wrong with connections and offers the way out."""

    def __init__(self, shell: Shell, banner: Banner) -> None:
        self._shell = shell
        self._services = shell.services
        self._banner = banner

    # ---- notices ---------------------------------------------------------------------------------------------

    def show_failures(self) -> None:
        """One notice for each connection that will not come back by itself."""
        known = set()
        for connection in self._services.connections.all():
            key = f"connection-{connection.id}"
            known.add(key)
            error = connection.error
            if connection.state is ConnectionState.FAILED and error is not None:
                text = f"{safe_text(connection.name, 60)}: {error.user_text}"
                self._banner.show(key, text, "error", [self._way_out(connection.id)])
            else:
                self._banner.hide(key)
        for key in self._banner.texts:
            if key.startswith("connection-") and key not in known:
                self._banner.hide(key)

    def _way_out(self, server_id: ServerId) -> Action:
        connection = self._services.connections.get(server_id)
        error = connection.error if connection is not None else None
        if isinstance(error, CertificateError):
            return ("Show certificate…", lambda: self._ask_certificate(server_id))
        return ("Sign in…", lambda: self._shell.dialogs.connect(server_id, error))

    def _ask_certificate(self, server_id: ServerId) -> None:
        connection = self._services.connections.get(server_id)
        if connection is None or not isinstance(connection.error, CertificateError):
            return
        presented = connection.error.presented
        if self._shell.dialogs.certificate(connection.name, connection.error) and presented is not None:
            self._services.pins.accept(presented)
            self._connect_again(server_id)

    def show_emergency(self, server_id: ServerId) -> None:
        """A notice with the recoveries for a host that lost its pool master."""
        connection = self._services.connections.get(server_id)
        inventory = connection.inventory if connection is not None else None
        key = f"emergency-{server_id}"
        if connection is None or inventory is None or inventory.emergency is None or not connection.connected:
            self._banner.hide(key)
            return
        emergency = inventory.emergency
        host = safe_text(emergency.host_address, 60)
        if not emergency.in_emergency_mode:
            self._banner.show(key, f"{host} isn't in emergency mode: log in to its pool as usual.", "warning")
            return
        cause = f" {safe_text(emergency.cause, 120)}" if emergency.cause else ""
        text = f"{host} is in emergency mode: its pool master is away.{cause} Only the recoveries work here."
        server = Selection((Item(ItemKind.SERVER, server_id),))
        actions: list[Action] = [
            ("Point to another master…", lambda: self._shell.run(Verb.POINT_TO_MASTER, server)),
            ("Make this host master…", lambda: self._shell.run(Verb.BECOME_MASTER, server)),
        ]
        self._banner.show(key, text, "error", actions)

    # ---- commands --------------------------------------------------------------------------------------------

    def reconnect(self, subjects: Sequence[Subject]) -> None:
        """Connect to these servers again."""
        for subject in _one_per_server(subjects):
            if not subject.connection.connected:
                self._connect_again(subject.connection.id)

    def _connect_again(self, server_id: ServerId) -> None:
        """Connect with the password in memory, or ask for it."""
        connection = self._services.connections.get(server_id)
        if connection is None:
            return
        try:
            connection.connect()
        except LocalError:  # the password isn't in memory
            self._shell.dialogs.connect(server_id, connection.error)

    def disconnect(self, subjects: Sequence[Subject]) -> None:
        """Log out of these servers."""
        for subject in _one_per_server(subjects):
            subject.connection.disconnect()

    def edit(self, subjects: Sequence[Subject]) -> None:
        """Change how the first of these servers is connected to."""
        for subject in _one_per_server(subjects)[:1]:
            self._shell.dialogs.connect(subject.connection.id, subject.connection.error)

    def remove(self, subjects: Sequence[Subject]) -> None:
        """Forget these servers, after a question."""
        chosen = _one_per_server(subjects)
        names = ", ".join(safe_text(s.connection.name, 60) for s in chosen)
        text = "Monitored VMs there are no longer watched. Nothing changes on the server."
        heading = f"Remove {names} from the list?"
        if not confirm(self._shell.theme, self._shell.root, "Remove from list", heading, text, "Remove from list"):
            return
        for subject in chosen:
            self._services.settings.remove_server(subject.connection.id)
            self._services.connections.remove(subject.connection.id)


def _one_per_server(subjects: Sequence[Subject]) -> list[Subject]:
    return list({subject.connection.id: subject for subject in subjects}.values())
