"""The whole program without its window: start, the signature journey, restart, shutdown."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import XenAPI

from hvconsole.app import Console
from hvconsole.backends.base import Secret
from hvconsole.clock import SystemClock
from hvconsole.demo import DemoLab
from hvconsole.errors import LocalError
from hvconsole.events import ConnectionChanged, ConnectionState
from hvconsole.history import History, OutageStore
from hvconsole.lab import Lab
from hvconsole.model import AUTOMATIC_MARK, Certificate, Inventory, ObjectId, ServerInfo
from hvconsole.monitor.status import MonitorSettings, MonitorState, VmKey
from hvconsole.outages import CaptureState, Outage
from hvconsole.profiles import new_profile, parse_url
from hvconsole.settings import history_path

QUICK = MonitorSettings(interval_s=0.3, timeout_s=0.2)


def wait_until(condition, what: str, limit_s: float = 15.0) -> None:
    """Look again every few milliseconds; nothing here can be waited for on one event."""
    pause = threading.Event()
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"timed out waiting for {what}")
        pause.wait(0.02)


@pytest.fixture
def lab_console(tmp_path):
    """A console on a lab of one pool, started and ended as the window would do it."""
    console = Console(home=tmp_path, lab=DemoLab(Lab(kinds=("xenserver",))))
    console.settings.set_monitor_defaults(QUICK)
    console.start()
    yield console
    console.begin()
    wait_until(lambda: console.pending() == (), "every thread to end")


def the_vm(console: Console, name: str):
    (connection,) = console.connections.all()
    if connection.inventory is None:
        return connection, None
    return connection, next(vm for vm in connection.inventory.vms.values() if vm.name == name)


def test_a_pulled_cable_ends_as_a_snapshot_in_tree_and_history(lab_console):
    console = lab_console
    wait_until(lambda: the_vm(console, "web-02")[1] is not None, "the inventory")
    connection, vm = the_vm(console, "web-02")
    key = VmKey(connection.id, vm.id)
    console.watcher.tick(key)

    def state():
        status = console.watcher.status(key)
        return status.state if status is not None else None

    wait_until(lambda: state() is MonitorState.UP, "the VM to answer")
    console.lab.set_cable(vm.uuid, False)
    wait_until(lambda: the_vm(console, "web-02")[1].snapshots, "the snapshot")
    (snapshot,) = the_vm(console, "web-02")[1].snapshots
    assert snapshot.name.startswith("Network_Down ")
    assert snapshot.description.startswith(AUTOMATIC_MARK)
    assert snapshot.automatic
    console.lab.set_cable(vm.uuid, True)
    wait_until(lambda: state() is MonitorState.UP, "the VM to recover")
    wait_until(
        lambda: {"outage", "snapshot", "recovered"} <= {row.what for row in console.history.search("web-02")},
        "the history",
    )
    assert len(the_vm(console, "web-02")[1].snapshots) == 1


def test_the_lab_menu_moves_what_it_says(lab_console):
    console = lab_console
    wait_until(lambda: the_vm(console, "web-02")[1] is not None, "the inventory")
    _, vm = the_vm(console, "web-02")
    menu = console.lab
    assert menu.knows_vm(vm.uuid)
    assert not menu.knows_vm("stranger")
    menu.set_cable(vm.uuid, False)
    assert not menu.cable_plugged(vm.uuid)
    (master,) = menu.masters()
    assert {(uuid, alive) for uuid, _name, alive in menu.hosts()} >= {(master, True)}
    other = next(uuid for uuid, _name, _alive in menu.hosts() if uuid != master)
    menu.set_host(other, False)
    assert (other, False) in {(uuid, alive) for uuid, _name, alive in menu.hosts()}
    menu.set_host(other, True)


def test_a_saved_server_is_there_after_a_restart_and_files_are_private(tmp_path, monkeypatch):
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path))
    first = Console()
    first.settings.save_server(new_profile("xenserver", "127.0.0.9:1", name="Old pool"))
    first.start()
    first.begin()
    wait_until(lambda: first.pending() == (), "every thread to end")
    first.settings.flush()
    second = Console()
    second.start([new_profile("vsphere", "127.0.0.9:2")])
    assert [c.name for c in second.connections.all()] == ["Old pool", "127.0.0.9:2"]
    second.begin()
    wait_until(lambda: second.pending() == (), "every thread to end")
    if os.name == "posix":
        modes = {path.name: path.stat().st_mode & 0o077 for path in Path(tmp_path).rglob("*") if path.is_file()}
        assert modes
        assert not any(modes.values()), modes


def test_a_snapshot_that_a_killed_console_left_bare_gets_its_evidence(tmp_path, monkeypatch, lab):
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path))
    (server,) = lab.servers
    monkeypatch.setenv("HVCONSOLE_PASSWORD", server.password)
    ((host, port),) = parse_url(server.url).addresses
    session = XenAPI.Session(f"https://{host}:{port}", ignore_ssl=True)
    session.xenapi.login_with_password("root", server.password)
    (ref,) = session.xenapi.VM.get_by_name_label("web-02")
    bare = session.xenapi.VM.snapshot(ref, "Network_Down 2026-11-23 09:00:00Z")
    console = Console()
    profile = console.settings.resolve(server.url)
    console.pins.accept(Certificate(host=host, port=port, sha256=server.sha256))
    evidence = f"{AUTOMATIC_MARK}\nlost its network"
    outage = Outage(
        id="o1",
        server_id=profile.id,
        vm_id=ObjectId(session.xenapi.VM.get_uuid(ref)),
        vm_name="web-02",
        opened=console.clock.now(),
        snapshot_name="Network_Down 2026-11-23 09:00:00Z",
        state=CaptureState.SENT,
        detail=evidence,
    )
    earlier = History(history_path(), console.hub, console.clock)
    earlier.start()
    OutageStore(earlier).record(outage)
    assert earlier.close()
    console.start([profile])
    wait_until(lambda: session.xenapi.VM.get_name_description(bare) == evidence, "the description")
    wait_until(lambda: the_vm(console, "web-02")[1].snapshots[0].automatic, "the mark")
    assert len(session.xenapi.VM.get_snapshots(ref)) == 1
    session.xenapi.session.logout()
    session("close")()
    console.begin()
    wait_until(lambda: console.pending() == (), "every thread to end")


def test_a_saved_server_without_password_asks_to_sign_in_and_names_what_is_not_watched(tmp_path, monkeypatch):
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path))
    console = Console()
    saved = new_profile("xenserver", "127.0.0.9:1", name="Old pool")
    console.settings.save_server(saved)
    console.settings.set_ticked(saved.id, ObjectId("vm"), True)
    console.start()
    (connection,) = console.connections.all()
    assert connection.state is ConnectionState.FAILED
    assert connection.error.user_text == (
        "Sign in to connect; its password isn't saved. One ticked VM is not watched until then."
    )
    console.begin()
    wait_until(lambda: console.pending() == (), "every thread to end")


def test_what_an_earlier_run_knew_is_read_beside_the_window_and_never_over_a_servers_answer(tmp_path, monkeypatch, lab):
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path))
    (server,) = lab.servers
    monkeypatch.setenv("HVCONSOLE_PASSWORD", server.password)
    away, there = new_profile("xenserver", "127.0.0.9:1", name="Away"), parse_url(server.url)
    info = ServerInfo(platform="xenserver", product="X", version="8", address="a", port=443, user="root")
    old = Inventory(server=info, taken=SystemClock().now())
    console = Console()
    for profile in (away, there):
        console.cache.save(profile.id, old)
    ((host, port),) = there.addresses
    console.pins.accept(Certificate(host=host, port=port, sha256=server.sha256))
    console.settings.save_server(away)
    load, readers, answered = console.cache.load, [], threading.Event()

    def slow(server_id):
        readers.append(threading.current_thread())
        assert answered.wait(15)
        return load(server_id)

    monkeypatch.setattr(console.cache, "load", slow)
    console.start([there])
    connections = {c.id: c for c in console.connections.all()}
    wait_until(lambda: connections[there.id].connected, "the connection")
    assert connections[away.id].inventory is None
    answered.set()
    wait_until(lambda: connections[away.id].inventory is not None, "what was remembered")
    wait_until(lambda: len(readers) == 2 and not readers[0].is_alive(), "the end of reading")
    assert connections[away.id].inventory == old
    assert connections[there.id].inventory.vms
    assert threading.main_thread() not in readers
    console.begin()
    wait_until(lambda: console.pending() == (), "every thread to end")


class SlowKeyring:
    """A keyring that waits to be unlocked until the test lets it answer."""

    def __init__(self, answer):
        self.answer = answer
        self.asked, self.unlocked = threading.Event(), threading.Event()

    def load(self, _server_id):
        self.asked.set()
        self.unlocked.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def remember(self, _server_id, secret):
        raise AssertionError("the password that the user typed is the right one")


@pytest.mark.parametrize("answer", [Secret(password="old"), None, LocalError("It did not answer.")])
def test_a_keyring_that_answers_late_does_not_disturb_who_has_signed_in_meanwhile(tmp_path, monkeypatch, lab, answer):
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path))
    (server,) = lab.servers
    console = Console()
    keyring = console.credentials = SlowKeyring(answer)
    profile = replace(parse_url(server.url), remember_password=True)
    ((host, port),) = profile.addresses
    console.pins.accept(Certificate(host=host, port=port, sha256=server.sha256))
    console.settings.save_server(profile)
    console.start()
    assert keyring.asked.wait(10)
    # The user types the password into the Connect dialog, which puts a connection of its own in place.
    connection = console.connections.add(profile, Secret(password=server.password))
    wait_until(lambda: connection.connected, "the connection")
    states = []
    console.hub.subscribe(ConnectionChanged, lambda event: states.append(event.state))
    keyring.unlocked.set()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("keyring-")], "the keyring's thread")
    assert states == []
    console.begin()
    wait_until(lambda: console.pending() == (), "every thread to end")


def test_a_server_on_the_command_line_gets_the_password_of_the_environment(tmp_path, monkeypatch, lab):
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path))
    (server,) = lab.servers
    monkeypatch.setenv("HVCONSOLE_PASSWORD", server.password)
    console = Console()
    profile = parse_url(server.url)
    ((host, port),) = profile.addresses
    console.pins.accept(Certificate(host=host, port=port, sha256=server.sha256))
    console.start([profile])
    (connection,) = console.connections.all()
    wait_until(lambda: connection.connected, "the connection")
    console.begin()
    wait_until(lambda: console.pending() == (), "every thread to end")


def test_without_a_screen_the_program_says_so_and_ends():
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-m", "hvconsole", "--demo"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "screen" in done.stderr
    assert "Traceback" not in done.stderr
