"""The lab's vSphere server by itself: hostile names, hostile clients, a prompt end."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from hvconsole.errors import HvError
from hvconsole.lab import hosts, power
from hvconsole.lab.estate import HOSTILE_NAMES, add_hostile_vms
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.sites import Identity
from hvconsole.lab.vsphere import VsphereSite, build_scaled
from hvconsole.lab.world import World
from hvconsole.model import Inventory
from tests.backends.vsphere_lab import VsphereLab, first, until, vsphere_lab


@pytest.fixture
def lab(lab_identity: Identity) -> Iterator[VsphereLab]:
    with vsphere_lab(lab_identity) as running:
        yield running


def post(lab: VsphereLab, body: bytes, path: str = "/sdk") -> tuple[int, bytes]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(lab.address, lab.port, timeout=10, context=context)
    try:
        connection.request("POST", path, body, {"Content-Type": "text/xml"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def envelope(inner: str) -> bytes:
    return (
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<soapenv:Body>{inner}</soapenv:Body></soapenv:Envelope>"
    ).encode()


def test_hostile_names_come_through_exactly(lab: VsphereLab) -> None:
    add_hostile_vms(lab.world, lab.site.id)
    shown = {vm.name for vm in first(lab.log_in()).vms.values()}
    assert set(HOSTILE_NAMES) <= shown


def test_nothing_is_answered_without_a_login(lab: VsphereLab) -> None:
    for method, kind, moid in (
        ("CurrentTime", "ServiceInstance", "ServiceInstance"),
        ("RetrievePropertiesEx", "PropertyCollector", "propertyCollector"),
        ("PowerOnVM_Task", "VirtualMachine", lab.vm("sandbox-zh").id),
    ):
        call = f'<{method} xmlns="urn:vim25"><_this type="{kind}">{moid}</_this></{method}>'
        status, body = post(lab, envelope(call))
        assert status == 500
        assert b"NotAuthenticated" in body


@pytest.mark.parametrize(
    "body",
    [b"", b"<", b"<a/>", b"\0" * 100, envelope(""), envelope("<x/>"), envelope('<x><_this type="y">z</_this></x>')],
)
def test_what_is_no_call_is_refused(lab: VsphereLab, body: bytes) -> None:
    status, answer = post(lab, body)
    assert status == 500
    assert b"Fault" in answer


def test_unknown_methods_and_leases(lab: VsphereLab) -> None:
    assert post(lab, b"x", "/nfc/no-such-lease/disk-0.vmdk")[0] == 404
    assert post(lab, envelope("<x/>"), "/elsewhere")[0] == 404


def test_it_stops_within_a_second_while_clients_wait(lab_identity: Identity) -> None:
    before = set(threading.enumerate())
    lab = VsphereLab(lab_identity)
    hv = lab.log_in()
    first(hv)

    def wait() -> None:
        with contextlib.suppress(HvError):
            while True:
                hv.watch(30)

    waiting = threading.Thread(target=wait)
    waiting.start()
    silent = socket.create_connection((lab.address, lab.port))
    begun = time.monotonic()
    lab.world.close()
    lab.server.stop()
    assert time.monotonic() - begun < 1.5
    waiting.join(10)
    silent.close()
    hv.close()
    assert not [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("lab-")]


def test_it_stops_while_an_answer_takes_its_time(lab: VsphereLab) -> None:
    hv = lab.log_in()
    host_id = next(iter(first(hv).hosts))
    slow = lab.world.faults.add(FaultRule(method="RetrievePropertiesEx", effect=Effect.DELAY, delay_s=60.0))

    def ask() -> None:
        with contextlib.suppress(HvError):
            hv.host_info(host_id)

    asking = threading.Thread(target=ask)
    asking.start()
    while not slow.fired:
        threading.Event().wait(0.02)
    begun = time.monotonic()
    lab.server.stop()
    assert time.monotonic() - begun < 1.5
    asking.join(10)


def test_an_esxi_host_that_is_down_says_nothing(lab_identity: Identity) -> None:
    with vsphere_lab(lab_identity, esxi=True) as lab:
        host = next(iter(lab.world.hosts))
        hosts.fail(lab.world, host)
        with pytest.raises((OSError, http.client.HTTPException)):
            post(lab, envelope("<x/>"))
        hosts.repair(lab.world, host)
        assert post(lab, envelope("<x/>"))[0] == 500


def test_scaled(lab_identity: Identity) -> None:
    world = World()
    site = build_scaled(world, 300)
    server = VsphereSite(world, site, lab_identity)
    server.start()
    try:
        assert server.describe().url.startswith("vsphere://administrator%40vsphere.local@127.0.0.1:")
        assert len(world.vms) == 300
    finally:
        world.close()
        server.stop()


def test_a_cable_that_is_pulled_shows(lab: VsphereLab) -> None:
    hv = lab.log_in()
    vm = next(vm for vm in first(hv).vms.values() if vm.name == "shop-01")
    power.pull_cable(lab.world, vm.id)

    def pulled(inventory: Inventory) -> bool:
        return inventory.vms[vm.id].nics[0].connected is False

    until(hv, pulled)
