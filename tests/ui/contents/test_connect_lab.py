"""The Connect dialog on the built-in lab: real TLS, real logins, real certificates, modal as the user meets it."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterator
from dataclasses import replace
from tkinter import ttk

import pytest

from hvconsole.backends import open_hypervisor
from hvconsole.connection import Connections
from hvconsole.demo import DemoLab, DemoServer
from hvconsole.errors import EmergencyMode
from hvconsole.events import JobState
from hvconsole.lab import Lab
from hvconsole.model import ObjectId, Verb
from hvconsole.ui.dialogs.connect import CHECK, ConnectDialog
from hvconsole.ui.dialogs.window_dialogs import WindowDialogs
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.theme import Theme
from tests.ui.contents.conftest import Driver, press_when_open, texts
from tests.ui.stage import MemoryHypervisor, StageShell, make_services, sample_inventory

Until = Callable[..., None]


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[DemoServer, ...]]:
    lab = DemoLab.default()
    yield lab.start()
    lab._lab.stop()


@pytest.fixture
def shell(root: tk.Tk, theme: Theme, dispatcher: Dispatcher) -> Iterator[StageShell]:
    """A shell without any server, whose connections are real."""
    services = make_services(MemoryHypervisor(sample_inventory()))
    services.connections.close()
    connections = Connections(services.pins, services.hub, services.clock, opener=open_hypervisor)
    services = replace(services, connections=connections)
    made = StageShell(root, theme, dispatcher, services)
    made.dialogs = WindowDialogs(made)
    yield made
    connections.close()


@pytest.fixture
def own() -> Iterator[tuple[Lab, DemoServer]]:
    """A lab whose master may die."""
    lab = DemoLab.default()
    servers = lab.start()
    yield lab._lab, of(servers, "xenserver")
    lab._lab.stop()


def filled(shell: StageShell, server: DemoServer, until: Until) -> ConnectDialog:
    dialog = ConnectDialog(shell)
    dialog.open()
    until(lambda: bool(dialog.top.winfo_viewable()))
    until(lambda: not dialog._asker.waiting("keyring"), "the keyring's answer")
    profile = server.profile
    dialog.platform.set(profile.platform)
    dialog._platform_chosen()
    if profile.options.get("scheme"):
        dialog.scheme.set(profile.options["scheme"])
        dialog._scheme_chosen()
    dialog.address.set("; ".join(f"{host}:{port}" for host, port in profile.addresses))
    dialog.user.set(profile.user)
    dialog.password.set(server.secret.password)
    return dialog


def of(servers: tuple[DemoServer, ...], platform: str) -> DemoServer:
    return next(s for s in servers if s.profile.platform == platform)


@pytest.mark.parametrize("platform", ["xenserver", "vsphere", "hyperv"])
def test_from_the_first_certificate_to_the_inventory(
    platform: str, servers: tuple[DemoServer, ...], shell: StageShell, driver: Driver, until: Until
) -> None:
    server = of(servers, platform)
    dialog = filled(shell, server, until)
    press_when_open(shell.root, "Accept and connect")
    driver.click(dialog.button("Connect"))
    until(lambda: dialog.closed, "the login", 40)
    assert len(shell.services.pins.all()) == 1
    connection = shell.services.connections.all()[0]
    until(lambda: connection.inventory is not None or connection.error is not None, "the inventory", 30)
    assert connection.error is None
    assert connection.inventory is not None
    assert connection.inventory.vms


def test_a_wrong_password_is_refused_by_the_server_and_said(
    servers: tuple[DemoServer, ...], shell: StageShell, driver: Driver, until: Until
) -> None:
    server = of(servers, "xenserver")
    for certificate in server.certificates:
        shell.services.pins.accept(certificate)
    dialog = filled(shell, server, until)
    dialog.password.set("wrong")
    driver.click(dialog.button("Connect"))
    until(lambda: not dialog._asker.waiting("login"), "the answer", 30)
    assert any("password" in text.lower() for text in texts(dialog._trouble.frame))
    assert not dialog.closed
    dialog.destroy()


def test_the_check_stops_at_the_certificate_asks_and_goes_on_to_the_end(
    servers: tuple[DemoServer, ...], shell: StageShell, driver: Driver, until: Until
) -> None:
    dialog = filled(shell, of(servers, "xenserver"), until)
    press_when_open(shell.root, "Accept and connect")
    driver.click(dialog.button(CHECK))
    until(lambda: "permission" in [s.name for s in dialog._steps.shown], "all steps", 40)
    assert all(step.ok for step in dialog._steps.shown)
    until(lambda: not dialog.button(CHECK).instate(["disabled"]))
    dialog.destroy()


def test_an_emergency_login_to_a_host_that_is_fine_names_the_master_and_keeps_nothing(
    servers: tuple[DemoServer, ...], shell: StageShell, driver: Driver, until: Until
) -> None:
    server = of(servers, "xenserver")
    for certificate in server.certificates:
        shell.services.pins.accept(certificate)
    dialog = filled(shell, server, until)
    master = server.profile.addresses[0][0]
    dialog.address.set(next(m for m in server.profile.known_members if not m.startswith(master)))
    dialog.emergency.set(True)
    driver.click(dialog.button("Connect"))
    until(lambda: bool(texts(dialog._trouble.frame)), "the local login", 30)
    assert f"Its pool's master is {master}" in " ".join(texts(dialog._trouble.frame))
    assert not dialog.emergency.get()
    assert not dialog.closed
    assert shell.services.connections.all() == ()
    dialog.destroy()


def test_from_a_dead_master_to_a_new_one(
    own: tuple[Lab, DemoServer], shell: StageShell, driver: Driver, until: Until
) -> None:
    """The whole way out: the pool is lost, a member is logged in to, becomes master, and the pool is there again."""
    lab, server = own
    services = shell.services
    for certificate in server.certificates:
        services.pins.accept(certificate)
    services.credentials.remember(server.profile.id, server.secret)
    connection = services.connections.add(server.profile, server.secret)
    until(lambda: connection.connected, "the pool", 20)
    before = connection.inventory
    assert before is not None
    assert lab.fail_master() is not None
    until(lambda: isinstance(connection.error, EmergencyMode), "word of the emergency", 30)

    dialog = ConnectDialog(shell, connection.id, connection.error)
    dialog.open()
    until(lambda: bool(dialog.member.widget.winfo_ismapped()))
    until(lambda: not dialog._asker.waiting("keyring"), "the keyring, whose answer moves the buttons")
    assert dialog.emergency.get()
    master = next(host for host in before.hosts.values() if host.is_master)
    member = next(host for host in before.hosts.values() if not host.is_master)
    choices = dialog.member.widget.cget("values")
    assert f"Emergency login to {member.name} ({member.address})" in choices
    assert any(master.name in text and "the master so far" in text for text in choices)
    dialog.member.set(member.address)
    driver.click(dialog.button("Connect"))
    until(lambda: dialog.closed, "the emergency login", 30)

    connection = services.connections.all()[0]
    until(lambda: connection.emergency is not None, "the emergency", 20)
    assert connection.emergency is not None
    assert connection.emergency.host_address == member.address
    assert connection.inventory is before, "the last known inventory stays"
    assert not connection.connected
    assert connection.why_not(Verb.BECOME_MASTER, ObjectId("")) is None
    some_vm = next(iter(before.vms))
    assert connection.why_not(Verb.START, some_vm) == "In an emergency login only the recoveries work."
    (saved,) = services.settings.servers()
    assert "emergency" not in saved.options
    assert saved.addresses == server.profile.addresses

    job = connection.submit(Verb.BECOME_MASTER, ObjectId(""))
    until(lambda: job.view.state is JobState.DONE, "the new master", 30)
    until(lambda: connection.connected, "the pool again", 30)
    assert connection.inventory is not None
    leading = next(host for host in connection.inventory.hosts.values() if host.is_master)
    assert leading.address == member.address
    assert connection.inventory.emergency is None
    assert "emergency" not in services.settings.servers()[0].options


def test_an_emergency_ends_by_itself_when_the_master_comes_back(
    own: tuple[Lab, DemoServer], shell: StageShell, until: Until
) -> None:
    lab, server = own
    services = shell.services
    for certificate in server.certificates:
        services.pins.accept(certificate)
    lab.fail_master()
    member = next(m for m in server.profile.known_members if not m.startswith(server.profile.addresses[0][0]))
    host, _, port = member.rpartition(":")
    profile = replace(server.profile, known_members=())
    connection = services.connections.add(profile)
    connection.connect(server.secret, emergency_at=(host, int(port)))
    until(lambda: connection.emergency is not None, "the emergency", 20)
    lab.repair_master()
    until(lambda: connection.connected, "the pool", 30)
    assert connection.inventory is not None
    assert connection.inventory.vms


@pytest.mark.parametrize("met", [False, True])
def test_a_master_that_was_met_is_no_stranger(
    met: bool, servers: tuple[DemoServer, ...], shell: StageShell, driver: Driver, until: Until
) -> None:
    server = of(servers, "xenserver")
    master = server.profile.addresses[0]
    for certificate in server.certificates:
        if met or certificate.host != master[0]:
            shell.services.pins.accept(certificate)
    dialog = filled(shell, server, until)
    dialog.address.set(next(m for m in server.profile.known_members if not m.startswith(master[0])))
    seen: list[str] = []

    def read() -> None:
        """Note what the question says, and answer no."""
        for widget in below(shell.root):
            if isinstance(widget, tk.Toplevel) and widget is not dialog.top and widget.winfo_viewable():
                words = [text for text in texts(widget) if "seen that host" in text]
                if words:
                    seen.extend(words)
                    next(b for b in below(widget) if isinstance(b, ttk.Button) and b.cget("text") == "Cancel").invoke()
                    return
        shell.root.after(50, read)

    shell.root.after(50, read)
    driver.click(dialog.button("Connect"))
    until(lambda: any("seen that host" in text for text in seen), "the question", 30)
    assert ("hasn't seen" in seen[0]) is not met
    dialog.destroy()


def below(widget: tk.Misc) -> Iterator[tk.Misc]:
    for child in widget.winfo_children():
        yield child
        yield from below(child)
