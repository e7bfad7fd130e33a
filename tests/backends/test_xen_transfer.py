"""Export and import where the transfer breaks, is cancelled, is redirected, or lies."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hvconsole.backends.base import Secret, TaskContext
from hvconsole.backends.wire import Wire
from hvconsole.backends.wire_errors import Redirected
from hvconsole.backends.xen_http import Http
from hvconsole.backends.xen_session import XenSession
from hvconsole.backends.xen_tables import Tables
from hvconsole.backends.xen_trust import PoolTrust
from hvconsole.backends.xenserver import XenServer
from hvconsole.errors import (
    CertificateError,
    HvError,
    InvalidInput,
    LocalError,
    NotFound,
    PermissionDenied,
    Refused,
    TaskCancelled,
)
from hvconsole.lab import Lab
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.model import ObjectId, PowerState, Vm, VmKind
from hvconsole.trust import FixedPins, PinStore

from .fake_xapi import PASSWORD, FakeXapi
from .hostile import HostileServer, Pins, identity
from .test_xen_emergency import Rescuer


class Answering(FakeXapi):
    """A fake whose GETs are answered by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.gets: list[bytes] = []
        self.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"

    def serve(self, sock: socket.socket, server: HostileServer) -> None:
        request = server.read_request(sock)
        if not request:
            return
        if request.startswith(b"GET"):
            self.gets.append(request.split(b"\r\n")[0])
            sock.sendall(self.reply)
            return
        reply = self.answer(request.partition(b"\r\n\r\n")[2])
        sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply)


class TwoHosts:
    """A master and a member on the same port, and an ``Http`` that is logged in at the master."""

    def __init__(self) -> None:
        self.at_master, self.at_member = Answering(), Answering()
        self.master = HostileServer(self.at_master.serve, identity=identity("master"), host="127.0.0.2")
        self.member = HostileServer(self.at_member.serve, identity=identity("member"), host="127.0.0.3")
        self.member._listener.close()
        self.member._listener = socket.create_server(("127.0.0.3", self.master.port))
        self.port = self.member.port = self.master.port
        self.trust = Pins(("127.0.0.2", self.port, identity("master").sha256))
        self.tables = Tables()

    def pin_member(self) -> None:
        self.trust.pins[("127.0.0.3", self.port)] = identity("member").sha256

    def know_member(self) -> None:
        self.tables.replace_class("host", {"host2": {"uuid": "u2", "address": "127.0.0.3"}})

    def redirect(self, location: str) -> None:
        self.at_master.reply = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.fixture
def hosts() -> Iterator[tuple[TwoHosts, Http]]:
    two = TwoHosts()
    trust = PoolTrust(two.trust)
    wire = Wire(trust)
    with two.master, two.member:
        session = XenSession(wire, ("127.0.0.2", two.port), "root", Secret(password=PASSWORD))
        yield two, Http(wire, session, trust, two.tables)
        wire.close()
        session.log_out()


class TestRedirect:
    def test_to_a_known_and_accepted_member_is_followed_once(self, hosts: tuple[TwoHosts, Http]) -> None:
        two, http = hosts
        two.pin_member()
        two.know_member()
        two.redirect(f"https://127.0.0.3:{two.port}/export?x=1")
        assert http.get("/export", {"ref": "r"}) == b"body"
        assert two.at_member.gets[0].startswith(b"GET /export?ref=r")

    @pytest.mark.parametrize(
        "location",
        [
            "https://127.0.0.9:{port}/export",
            "http://127.0.0.3:{port}/export",
            "https://127.0.0.3:1/export",
            "https://user@127.0.0.3.evil:{port}/",
            "//127.0.0.3/",
            "https://[::1/",
            "",
        ],
    )
    def test_to_anything_else_is_not(self, hosts: tuple[TwoHosts, Http], location: str) -> None:
        two, http = hosts
        two.pin_member()
        two.know_member()
        two.redirect(location.format(port=two.port))
        with pytest.raises(Redirected):
            http.get("/export", {})
        assert two.at_member.gets == []

    @pytest.mark.parametrize("missing", ["pin", "knowledge"])
    def test_to_a_stranger_is_not(self, hosts: tuple[TwoHosts, Http], missing: str) -> None:
        two, http = hosts
        if missing != "pin":
            two.pin_member()
        if missing != "knowledge":
            two.know_member()
        two.redirect(f"https://127.0.0.3:{two.port}/export")
        with pytest.raises(Redirected):
            http.get("/export", {})
        assert two.member.connections == 0

    def test_to_a_member_that_the_master_vouches_for(self, hosts: tuple[TwoHosts, Http]) -> None:
        two, http = hosts
        two.know_member()
        two.redirect(f"https://127.0.0.3:{two.port}/export")
        pem = identity("member").pem()
        two.at_master.methods["host.get_server_certificate"] = lambda _session, host: pem if host == "host2" else ""
        assert http.get("/export", {}) == b"body"

    def test_to_a_member_that_presents_another_certificate_than_the_master_says(
        self, hosts: tuple[TwoHosts, Http]
    ) -> None:
        two, http = hosts
        two.know_member()
        two.redirect(f"https://127.0.0.3:{two.port}/export")
        pem = identity("somebody else").pem()
        two.at_master.methods["host.get_server_certificate"] = lambda _session, _host: pem
        with pytest.raises(CertificateError):
            http.get("/export", {})
        assert two.at_member.gets == []

    def test_twice_is_not(self, hosts: tuple[TwoHosts, Http]) -> None:
        two, http = hosts
        two.pin_member()
        two.know_member()
        two.redirect(f"https://127.0.0.3:{two.port}/export")
        two.at_member.reply = two.at_master.reply
        with pytest.raises(Redirected):
            http.get("/export", {})
        assert len(two.at_member.gets) == 1

    @pytest.mark.parametrize(
        ("status", "error"), [(401, PermissionDenied), (403, PermissionDenied), (404, NotFound), (500, Refused)]
    )
    def test_other_statuses(self, hosts: tuple[TwoHosts, Http], status: int, error: type[HvError]) -> None:
        two, http = hosts
        two.at_master.reply = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nno" % status
        with pytest.raises(error) as caught:
            http.get("/vncsnapshot", {})
        assert "session" not in caught.value.detail


@pytest.fixture
def pool(lab: Lab) -> Iterator[XenServer]:
    rescuer = Rescuer(lab)
    hv = rescuer.log_in(0, emergency=False)
    assert isinstance(hv, XenServer)
    yield hv
    hv.close()


def halted(pool: XenServer) -> Vm:
    inventory = pool.watch(10)
    assert inventory is not None
    return next(vm for vm in inventory.vms.values() if vm.name == "erp-test")


def tasks_of(lab: Lab) -> list[Any]:
    with lab.world.lock:
        return [task for task in lab.world.tasks.values() if not task.done.is_set()]


def test_cancelled_export_leaves_neither_file_nor_task(pool: XenServer, lab: Lab, tmp_path: Path) -> None:
    vm = halted(pool)
    lab.world.timing.copy = 20.0
    ctx = TaskContext()
    timer = threading.Timer(0.5, ctx.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises((TaskCancelled, HvError)):
        pool.export_vm(vm.id, tmp_path / "vm.xva", ctx)
    timer.join()
    if time.monotonic() - started < 0.4:
        pytest.skip("the lab exports at once")
    assert time.monotonic() - started < 12
    assert list(tmp_path.iterdir()) == []
    assert tasks_of(lab) == []


def test_refused_export_leaves_no_file(pool: XenServer, lab: Lab, tmp_path: Path) -> None:
    vm = halted(pool)
    lab.world.faults.add(FaultRule(method="*export*", effect=Effect.FAULT, code="SR_BACKEND_FAILURE_46"))
    try:
        pool.export_vm(vm.id, tmp_path / "vm.xva", TaskContext())
    except HvError:
        assert list(tmp_path.iterdir()) == []


def test_export_to_where_nothing_can_be_written_asks_the_server_for_nothing(
    pool: XenServer, lab: Lab, tmp_path: Path
) -> None:
    vm = halted(pool)
    for place in (tmp_path, tmp_path / "none" / "vm.xva"):
        with pytest.raises((InvalidInput, LocalError)):
            pool.export_vm(vm.id, place, TaskContext())
    assert tasks_of(lab) == []


def test_import_of_an_exported_vm_into_another_network(pool: XenServer, tmp_path: Path) -> None:
    vm = halted(pool)
    file = tmp_path / "vm.xva"
    pool.export_vm(vm.id, file, TaskContext())
    inventory = pool.watch(1) or pool._watch._cache.latest
    assert inventory is not None
    network = sorted(inventory.networks)[0]
    seen: list[float | None] = []
    made = pool.import_vm(
        file, TaskContext(lambda fraction, _text: seen.append(fraction)), name="elsewhere", network_id=network
    )
    deadline = time.monotonic() + 10
    while made not in inventory.vms or inventory.vms[made].name != "elsewhere":
        assert time.monotonic() < deadline
        inventory = pool.watch(1) or inventory
    new = inventory.vms[made]
    assert (new.power, new.kind) == (PowerState.HALTED, VmKind.VM)
    assert {nic.network_id for nic in new.nics} == {network}
    assert any(fraction is not None and fraction > 0 for fraction in seen)


def test_import_onto_the_local_storage_of_another_member(pool: XenServer, lab: Lab, tmp_path: Path) -> None:
    vm = halted(pool)
    file = tmp_path / "vm.xva"
    pool.export_vm(vm.id, file, TaskContext())
    inventory = pool.watch(1) or pool._watch._cache.latest
    assert inventory is not None
    master = next(iter(inventory.pools.values())).master_id
    far = (sr for sr in inventory.storages.values() if sr.host_ids and master not in sr.host_ids)
    local = next(sr for sr in far if not sr.shared)
    made = pool.import_vm(file, TaskContext(), storage_id=local.id)
    with lab.world.lock:
        drives = lab.world.vms[made].drives
        assert {lab.world.disks[drive.disk_id or ""].storage_id for drive in drives if not drive.is_cd} == {local.id}
    assert tasks_of(lab) == []


def test_import_of_what_is_no_file(pool: XenServer, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path in (tmp_path / "none", tmp_path / "empty", tmp_path):
        with pytest.raises(HvError):
            pool.import_vm(path, TaskContext())


def test_export_of_a_vm_that_is_gone(pool: XenServer, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        pool.export_vm(ObjectId("00000000-0000-4000-8000-000000000000"), tmp_path / "x", TaskContext())
    assert list(tmp_path.iterdir()) == []


def test_measurements_and_pictures_of_every_host_with_the_master_alone_accepted(lab: Lab) -> None:
    rescuer = Rescuer(lab)
    rescuer.trust = FixedPins({rescuer.members[0]: rescuer.server.sha256}, PinStore())
    hv = rescuer.log_in(0, emergency=False)
    try:
        inventory = hv.watch(10)
        assert inventory is not None
        for host_id in inventory.hosts:
            vm = next(vm for vm in inventory.vms.values() if vm.host_id == host_id and vm.kind is VmKind.VM)
            assert hv.metrics(host_id).series
            assert hv.metrics(vm.id).series
            assert hv.screenshot(vm.id)
    finally:
        hv.close()


def test_imported_vm_that_cannot_be_set_up_is_removed_again(pool: XenServer, lab: Lab, tmp_path: Path) -> None:
    vm = halted(pool)
    file = tmp_path / "vm.xva"
    pool.export_vm(vm.id, file, TaskContext())
    with lab.world.lock:
        before = set(lab.world.vms), set(lab.world.disks)
    lab.world.faults.add(FaultRule(method="VM.set_name_label", effect=Effect.FAULT, code="INTERNAL_ERROR"))
    with pytest.raises(HvError):
        pool.import_vm(file, TaskContext(), name="never")
    with lab.world.lock:
        assert (set(lab.world.vms), set(lab.world.disks)) == before
    assert tasks_of(lab) == []


def test_task_cancelled_by_somebody_else_leaves_no_file(pool: XenServer, lab: Lab, tmp_path: Path) -> None:
    vm = halted(pool)
    lab.world.timing.copy = 20.0

    def cancel_all() -> None:
        for task in tasks_of(lab):
            lab.world.cancel(task)

    timer = threading.Timer(0.5, cancel_all)
    timer.start()
    with pytest.raises(HvError):
        pool.export_vm(vm.id, tmp_path / "vm.xva", TaskContext())
    timer.join()
    assert list(tmp_path.iterdir()) == []


def test_disk_full_while_exporting(pool: XenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(write: Any, path: Path) -> Any:
        def sink(_piece: bytes) -> None:
            raise LocalError(f"The file {path} can't be written.", "No space left on device")

        return sink

    monkeypatch.setattr("hvconsole.backends.xen_transfer.guarded", full)
    with pytest.raises(LocalError):
        pool.export_vm(halted(pool).id, tmp_path / "vm.xva", TaskContext())
    assert list(tmp_path.iterdir()) == []


def test_compressed_export(pool: XenServer, tmp_path: Path) -> None:
    file = tmp_path / "vm.xva"
    pool.export_vm(halted(pool).id, file, TaskContext(), compress=True)
    assert file.read_bytes()[:2] == b"\x1f\x8b"
    assert pool.import_vm(file, TaskContext(), name="from gzip")
