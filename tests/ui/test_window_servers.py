"""Servers in the window: new ones, those away, and those that need the user."""

from __future__ import annotations

import datetime as dt
import tkinter as tk
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hvconsole.errors import Unreachable
from hvconsole.events import ConnectionState, MonitorChanged
from hvconsole.model import ServerId
from hvconsole.profiles import ServerProfile
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.interfaces import Item, ItemKind, Subject
from hvconsole.ui.theme import Theme
from tests.ui.shell_stage import Stand, close_stand, key_of, open_stand
from tests.ui.stage import SERVER, oid, sample_inventory

pytestmark = pytest.mark.display
Until = Callable[..., None]

# ---- servers that need the user ----------------------------------------------------------------------------


def test_an_unknown_certificate_is_shown_accepted_and_pinned(stand: Stand, until: Until) -> None:
    from hvconsole.errors import CertificateError
    from hvconsole.events import ConnectionChanged, ConnectionState
    from hvconsole.model import Certificate

    services = stand.window.services
    connection = services.connections.get(SERVER)
    assert connection is not None
    presented = Certificate(host="10.20.1.11", port=443, sha256="a" * 64)
    connection.disconnect()
    until(lambda: not connection.alive() or not connection.connected)
    connection.state = ConnectionState.FAILED
    connection.error = CertificateError(
        "Nobody has accepted this certificate yet.", reason="unknown", presented=presented
    )
    services.hub.emit(ConnectionChanged(SERVER, connection.state, connection.error))
    until(lambda: any("certificate" in text for text in stand.window.banner.texts.values()))
    stand.hypervisor.changed.set()
    stand.window.servers._ask_certificate(SERVER)
    assert stand.dialogs.names() == ["certificate"]
    assert services.pins.pinned("10.20.1.11", 443) == presented
    until(lambda: stand.window.banner.texts == {})


def test_without_a_server_the_window_says_how_to_begin(stand: Stand, until: Until) -> None:
    window = stand.window
    assert not window.tabs._nothing.frame.winfo_ismapped()
    window.services.connections.remove(SERVER)
    until(lambda: str(window.header.name.cget("text")) == "No servers yet")
    until(lambda: bool(window.tabs._nothing.frame.winfo_ismapped()))
    assert "hvconsole --demo" in str(window.tabs._nothing.text.cget("text"))


def test_a_server_that_does_not_answer_at_the_start_is_shown_with_its_reason(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until
) -> None:
    def unreachable(services: Any) -> None:
        connection = services.connections.get(SERVER)
        connection.disconnect()
        until(lambda: not connection.alive())
        connection.inventory = None
        connection.state = ConnectionState.RECONNECTING
        connection.error = Unreachable("10.20.1.11 doesn't answer.")

    stand = open_stand(root, theme, dispatcher, until, prepare=unreachable, answering=False)
    assert stand.window.selection.items == (Item(ItemKind.SERVER, SERVER),)
    assert not stand.window.tabs._nothing.frame.winfo_ismapped()
    close_stand(stand, until)


def test_a_host_in_emergency_offers_the_recoveries(stand: Stand, until: Until) -> None:
    from hvconsole.model import Emergency

    emergency = Emergency(host_address="10.20.1.12", in_emergency_mode=True, cause="No heartbeat.")
    stand.hypervisor.inventory = replace(stand.hypervisor.inventory, emergency=emergency)
    stand.hypervisor.changed.set()
    until(lambda: any("emergency mode" in text for text in stand.window.banner.texts.values()))
    names = stand.vm_names()
    assert "web-frontend-01" in names
    (connection,) = stand.window.services.connections.all()
    assert not connection.connected
    stand.hypervisor.inventory = replace(stand.hypervisor.inventory, emergency=None)
    stand.hypervisor.changed.set()
    until(lambda: [*stand.window.banner.texts] == [f"recovered-{SERVER}"])
    assert "connected again; its master is xs-node-01" in stand.window.banner.texts[f"recovered-{SERVER}"]
    connection._set_state(ConnectionState.RECONNECTING, None)
    until(lambda: stand.window.banner.texts == {})


def test_a_dead_master_leads_to_an_emergency_login_at_each_other_member(stand: Stand, until: Until) -> None:
    from hvconsole.errors import EmergencyMode

    (connection,) = stand.window.services.connections.all()
    hosts = {host.name: host.address for host in stand.hypervisor.inventory.hosts.values()}
    error = EmergencyMode("The host is in emergency mode.", address=hosts["xs-node-02"])
    connection._set_state(ConnectionState.RECONNECTING, error)
    until(lambda: f"connection-{SERVER}" in stand.window.banner.texts)
    buttons = {
        str(w.cget("text")): w for w in stand.window.banner.widget.winfo_children()[0].winfo_children()
        if w.winfo_class() == "TButton"
    }  # fmt: skip
    assert not any("xs-node-01" in text for text in buttons), "that is the dead master"
    buttons["Emergency login to xs-node-02…"].invoke()
    assert stand.dialogs.asked[-1] == ("connect", SERVER, error, (hosts["xs-node-02"], 443))


# ---- other servers -----------------------------------------------------------------------------------------


def other_profile(name: str = "Other") -> ServerProfile:
    return ServerProfile(
        id=ServerId("s2"), name=name, platform="xenserver", addresses=(("10.20.9.9", 443),), user="root"
    )


def top_names(stand: Stand) -> list[str]:
    return [str(stand.tree.item(row, "text")).split("  ·  ")[0] for row in stand.tree.get_children("")]


def test_a_server_that_is_new_is_selected_and_one_signed_in_again_keeps_place_and_selection(
    stand: Stand, until: Until
) -> None:
    connections = stand.window.services.connections
    stand.select("v2")
    connections.add(other_profile(), None)
    until(lambda: stand.window.selection.items == (Item(ItemKind.SERVER, ServerId("s2")),))
    stand.select("v2")
    until(lambda: stand.window.selection.ids == ("v2",))
    first = connections.get(SERVER)
    assert first is not None
    connections.add(replace(first.profile, name="Renamed"), None, cached=first.inventory)
    until(lambda: top_names(stand) == ["Renamed", "Other"])
    assert stand.window.selection.ids == ("v2",)
    until(lambda: stand.window.header.name.cget("text") == "web-frontend-02")


def test_servers_that_come_together_leave_the_selection_alone(stand: Stand, until: Until) -> None:
    stand.select("v2")
    until(lambda: stand.window.selection.ids == ("v2",))
    for number in range(2):
        stand.window.services.connections.add(replace(other_profile(), id=ServerId(f"m{number}")), None)
    until(lambda: len(stand.tree.get_children("")) == 3)
    assert stand.window.selection.ids == ("v2",)


def test_what_is_known_from_an_earlier_run_says_how_old_it_is(stand: Stand, until: Until) -> None:
    connections = stand.window.services.connections
    taken = stand.window.services.clock.now() - dt.timedelta(hours=3)
    connections.add(other_profile(), None, cached=replace(sample_inventory(), taken=taken))
    row = stand.window.tree.rows.iids
    there = Item(ItemKind.SERVER, ServerId("s2"))
    until(lambda: there in row and stand.tree.set(row[there], "rtt").strip() == "3 h ago")
    until(lambda: "as of 3 h ago" in str(stand.window.header.where.cget("text")))


def test_a_machine_without_a_name_is_called_by_its_uuid(stand: Stand, until: Until) -> None:
    stand.hypervisor.change(v5=replace(stand.hypervisor.inventory.vms[oid("v5")], name=" ", uuid="6f1c0a52-8a7e"))
    row = stand.row(ItemKind.VM, "v5")
    until(lambda: str(stand.tree.item(row, "text")) == "(no name) 6f1c0a52")
    assert "dim" in stand.tree.item(row, "tags")
    stand.select("v5")
    until(lambda: stand.window.header.name.cget("text") == "(no name) 6f1c0a52")


def test_machines_on_a_host_that_does_not_answer_do_not_look_alive(stand: Stand, until: Until) -> None:
    stand.select("v1")
    row = stand.row(ItemKind.VM, "v1")
    before = stand.hypervisor.inventory
    host = before.hosts[oid("h1")]
    stand.hypervisor.inventory = replace(before, hosts={**before.hosts, host.id: replace(host, live=False)})
    stand.hypervisor.changed.set()
    until(lambda: stand.window.tree.rows.whole_text(row) == "web-frontend-01  ·  host away")
    until(lambda: stand.window.header.pill.cget("text").strip() == "Host away")
    stand.hypervisor.inventory = before
    stand.hypervisor.changed.set()
    until(lambda: stand.window.tree.rows.whole_text(row) == "web-frontend-01")
    until(lambda: stand.window.header.pill.cget("text").strip() == "Running")


def test_names_get_the_room_of_round_trip_times_where_nothing_is_watched(stand: Stand, until: Until) -> None:
    columns = lambda: stand.tree.tk.splitlist(stand.tree.cget("displaycolumns"))  # noqa: E731
    assert columns() == ()
    stand.watcher.tick(key_of("v1"))
    stand.window.services.hub.emit(MonitorChanged(SERVER, oid("v1")))
    until(lambda: columns() == ("rtt",))
    stand.watcher.untick(key_of("v1"))
    stand.window.services.hub.emit(MonitorChanged(SERVER, oid("v1")))
    until(lambda: columns() == ())


def test_the_uppermost_server_is_shown_first_even_if_another_answers_sooner(
    root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until
) -> None:
    def another(services: Any) -> None:
        services.connections.add(other_profile(), None, cached=sample_inventory())

    stand = open_stand(root, theme, dispatcher, until, prepare=another, answering=False)
    assert stand.window.selection.items == (Item(ItemKind.SERVER, SERVER),)
    close_stand(stand, until)


def test_a_server_removed_from_the_list_takes_its_password_out_of_the_keyring(
    stand: Stand, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hvconsole.errors import LocalError

    forgotten: list[ServerId] = []
    services = stand.window.services

    def forget(server_id: ServerId) -> None:
        forgotten.append(server_id)
        raise LocalError("The keyring can't be used; it may be locked.")

    monkeypatch.setattr(services.credentials, "forget", forget)
    monkeypatch.setattr("hvconsole.ui.servers.confirm", lambda *_: True)
    (connection,) = services.connections.all()
    stand.window.remove_servers([Subject(Item(ItemKind.SERVER, SERVER), connection)])
    assert services.connections.all() == ()
    until(lambda: forgotten == [SERVER])
    until(lambda: any("keyring" in text for text in stand.window.banner.texts.values()))
