"""Servers that need the user: failures and emergencies in the banner, and commands on connections. Tk thread only."""

from __future__ import annotations

from collections.abc import Sequence

from hvconsole.connection import Connection
from hvconsole.errors import CertificateError, HostIsSlave, HvError, LocalError
from hvconsole.events import ConnectionState, Notice
from hvconsole.model import ServerId, Verb
from hvconsole.profiles import Address
from hvconsole.text import safe_text
from hvconsole.ui.asking import Asker
from hvconsole.ui.banner import Action, Banner
from hvconsole.ui.closing import confirm
from hvconsole.ui.interfaces import Item, ItemKind, Selection, Shell, Subject
from hvconsole.ui.members import offered

NAMED_MEMBERS = 2
"""Up to so many members have a button each; the dialog lists any number."""


class Servers:
    """Shows what is wrong with connections and offers the way out."""

    def __init__(self, shell: Shell, banner: Banner) -> None:
        self._shell = shell
        self._services = shell.services
        self._banner = banner
        self._asker = Asker(shell.dispatcher)
        self._in_emergency: set[ServerId] = set()
        """Connections whose emergency login has not led back to the pool yet."""

    # ---- notices ---------------------------------------------------------------------------------------------

    def show_failures(self) -> None:
        """One notice for each connection that will not come back by itself, or that a member can be asked about."""
        known = set()
        for connection in self._services.connections.all():
            key = f"connection-{connection.id}"
            known |= {key, f"emergency-{connection.id}", f"recovered-{connection.id}"}
            self._show_failure(key, connection)
            self._show_emergency(connection)
        for key in self._banner.texts:
            if key.startswith(("connection-", "emergency-", "recovered-")) and key not in known:
                self._banner.hide(key)

    def _show_failure(self, key: str, connection: Connection) -> None:
        error = connection.error
        if error is None or connection.state not in (ConnectionState.FAILED, ConnectionState.RECONNECTING):
            self._banner.hide(key)
            return
        text = f"{safe_text(connection.name, 60)}: {error.user_text}"
        actions = self._emergency_logins(connection)
        if connection.state is ConnectionState.FAILED:
            self._banner.show(key, text, "error", [*actions, self._way_out(connection.id)])
        elif actions:
            self._banner.show(key, f"{text} hvconsole keeps trying.", "warning", actions)
        elif connection.id in self._in_emergency:
            again = ("Log in to the pool", lambda: self._connect_again(connection.id))
            self._banner.show(key, text, "info", [again])
        else:
            self._banner.hide(key)

    def _emergency_logins(self, connection: Connection) -> list[Action]:
        found = offered(connection)
        if len(found) > NAMED_MEMBERS:
            return [("Emergency login…", lambda: self._emergency_login(connection.id, found[0].address))]
        return [
            (f"Emergency login to {m.short}…", lambda m=m: self._emergency_login(connection.id, m.address))  # type: ignore[misc]
            for m in found
        ]

    def _emergency_login(self, server_id: ServerId, at: Address) -> None:
        connection = self._services.connections.get(server_id)
        if connection is not None:
            self._shell.dialogs.connect(server_id, connection.error, emergency_at=at)

    def _way_out(self, server_id: ServerId) -> Action:
        connection = self._services.connections.get(server_id)
        error = connection.error if connection is not None else None
        if isinstance(error, CertificateError):
            return ("Show certificate…", lambda: self._ask_certificate(server_id))
        if isinstance(error, HostIsSlave):
            return ("Log in to the pool…", lambda: self._shell.dialogs.connect(server_id, error))
        return ("Sign in…", lambda: self._shell.dialogs.connect(server_id, error))

    def _ask_certificate(self, server_id: ServerId) -> None:
        connection = self._services.connections.get(server_id)
        if connection is None or not isinstance(connection.error, CertificateError):
            return
        presented = connection.error.presented
        if self._shell.dialogs.certificate(connection.name, connection.error) and presented is not None:
            self._services.pins.accept(presented)
            self._connect_again(server_id)

    def _show_emergency(self, connection: Connection) -> None:
        """A notice with the recoveries for a host that lost its pool master, and one when the pool is back."""
        key = f"emergency-{connection.id}"
        emergency = connection.emergency
        if emergency is None:
            self._banner.hide(key)
            if not connection.connected:
                self._banner.hide(f"recovered-{connection.id}")
            elif connection.id in self._in_emergency:
                self._in_emergency.discard(connection.id)
                self._banner.show(f"recovered-{connection.id}", _recovered(connection), "info")
            return
        self._in_emergency.add(connection.id)
        self._banner.hide(f"recovered-{connection.id}")
        host = safe_text(emergency.host_address, 60)
        cause = f" ({safe_text(emergency.cause, 120)})" if emergency.cause else ""
        text = f"{host} is in emergency mode: its pool master is away{cause}. Only the recoveries work here."
        server = Selection((Item(ItemKind.SERVER, connection.id),))
        actions: list[Action] = [
            ("Point to another master…", lambda: self._shell.run(Verb.POINT_TO_MASTER, server)),
            ("Make this host master", lambda: self._shell.run(Verb.BECOME_MASTER, server)),
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
            server_id = subject.connection.id
            self._services.settings.remove_server(server_id)
            self._services.connections.remove(server_id)
            self._forget_password(server_id)

    def _forget_password(self, server_id: ServerId) -> None:
        credentials, hub = self._services.credentials, self._services.hub

        def forgotten(answer: HvError | None) -> None:
            if isinstance(answer, HvError):
                hub.emit(Notice(f"keyring-{server_id}", f"A removed server's password stays: {answer.user_text}"))

        self._asker.run(f"forget-{server_id}", lambda: credentials.forget(server_id), forgotten)


def _recovered(connection: Connection) -> str:
    inventory = connection.inventory
    masters = [host for host in inventory.hosts.values() if host.is_master] if inventory is not None else []
    master = f"; its master is {safe_text(masters[0].name, 60)}" if masters else ""
    return f"{safe_text(connection.name, 60)} is connected again{master}."


def _one_per_server(subjects: Sequence[Subject]) -> list[Subject]:
    return list({subject.connection.id: subject for subject in subjects}.values())
