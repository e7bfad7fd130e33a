"""The Connect dialog on the built-in lab: real TLS, real logins, real certificates, modal as the user meets it."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hvconsole.backends import open_hypervisor
from hvconsole.connection import Connections
from hvconsole.demo import DemoLab, DemoServer
from hvconsole.ui.dialogs import WindowDialogs
from hvconsole.ui.dialogs.connect import CHECK, ConnectDialog
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
    until(lambda: connection.inventory is not None, "the inventory", 30)
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
    until(lambda: [s.name for s in dialog._steps.shown][-1:] == ["permission"], "all steps", 40)
    assert all(step.ok for step in dialog._steps.shown)
    until(lambda: not dialog.button(CHECK).instate(["disabled"]))
    dialog.destroy()


def test_an_emergency_login_shows_how_the_host_stands(
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
    until(lambda: dialog.closed or bool(texts(dialog._trouble.frame)), "the local login", 30)
    assert dialog.closed
    connection = shell.services.connections.all()[0]
    until(lambda: connection.inventory is not None, "the inventory", 30)
    inventory: Any = connection.inventory
    assert inventory.emergency is not None
    assert not inventory.emergency.in_emergency_mode
