"""An impostor gets nothing: not at the first connection, not at a later one, whatever the host is called."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hvconsole.backends.base import Secret, Target, TaskContext
from hvconsole.backends.vsphere import open_vsphere
from hvconsole.clock import SystemClock
from hvconsole.errors import CertificateError, HvError, NotAHypervisor
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.identity import make_identity
from hvconsole.lab.sites import Identity
from hvconsole.trust import PinStore

from .hostile import Identity as HostileIdentity
from .hostile import Pins, reply, serving
from .vsphere_lab import VsphereLab, first, named, vsphere_lab

HOSTS = ["127.0.0.1", "127.0.0.2", "localhost", "::1"]


@pytest.fixture(scope="module")
def other() -> Identity:
    return make_identity("somebody else")


@pytest.fixture(params=HOSTS)
def lab(request: pytest.FixtureRequest, lab_identity: Identity) -> Iterator[VsphereLab]:
    address = "127.0.0.1" if request.param == "localhost" else request.param
    with vsphere_lab(lab_identity, address=address) as running:
        running.host = request.param  # type: ignore[attr-defined]
        yield running


def host(lab: VsphereLab) -> str:
    return str(lab.host)  # type: ignore[attr-defined]


def count_everything(lab: VsphereLab) -> FaultRule:
    """A rule that changes nothing and counts every request that arrives."""
    return lab.world.faults.add(FaultRule(method="*", effect=Effect.DELAY))


def swap(lab: VsphereLab, other: Identity) -> FaultRule:
    """From now on another certificate is presented, and kept connections are gone."""
    lab.server.context = other.context
    assert lab.server._server is not None
    lab.server._server.cut_all()
    return count_everything(lab)


class OutdatedIdentity(HostileIdentity):
    """Like an ESXi host of 2013: it knows no TLS newer than 1.0."""

    def context(self) -> ssl.SSLContext:
        context = super().context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context


@pytest.mark.parametrize(
    ("options", "words"), [({}, "outdated version of TLS"), ({"legacy_tls": "yes"}, "not as a vCenter")]
)
def test_outdated_tls_is_spoken_where_the_user_allows_it(options: dict[str, str], words: str) -> None:
    with serving(reply(b"", status="404 Not Found"), identity=OutdatedIdentity("old")) as server:
        assert server.identity is not None
        target = Target(platform="vsphere", addresses=((server.host, server.port),), user="root", options=options)
        pins = Pins((server.host, server.port, server.identity.sha256))
        with pytest.raises(NotAHypervisor, match=words):
            open_vsphere(target, Secret(password="x"), pins, SystemClock())


def test_first_use_asks_and_sends_nothing(lab: VsphereLab) -> None:
    seen = count_everything(lab)
    with pytest.raises(CertificateError) as caught:
        lab.log_in(trust=PinStore(), host=host(lab))
    assert caught.value.reason == "unknown"
    assert caught.value.presented is not None
    assert caught.value.presented.sha256 == lab.identity.sha256
    assert seen.seen == 0


def test_an_impostor_at_first_use(lab: VsphereLab, other: Identity) -> None:
    seen = swap(lab, other)
    with pytest.raises(CertificateError) as caught:
        lab.log_in(host=host(lab))
    assert caught.value.reason == "changed"
    assert caught.value.pinned is not None
    assert caught.value.presented is not None
    assert (caught.value.pinned.sha256, caught.value.presented.sha256) == (lab.identity.sha256, other.sha256)
    assert seen.seen == 0


def test_an_impostor_when_a_connection_is_made_anew(lab: VsphereLab, other: Identity) -> None:
    hv = lab.log_in(host=host(lab))
    vm = named(first(hv), "shop-01")
    seen = swap(lab, other)
    for ask in (lambda: hv.details(vm.id), lambda: hv.host_info(vm.host_id), hv.events, lambda: hv.watch(1)):
        with pytest.raises(CertificateError):
            ask()
    assert seen.seen == 0


def test_an_impostor_in_the_middle_of_a_session_that_has_to_log_in_again(lab: VsphereLab, other: Identity) -> None:
    hv = lab.log_in(host=host(lab))
    vm = named(first(hv), "shop-01")
    lab.server.sessions.expire_all()
    seen = swap(lab, other)
    with pytest.raises(HvError):
        hv.details(vm.id)
    assert seen.seen == 0
    assert lab.server.sessions.count() == 0


def test_transfers_check_the_pin_too(lab: VsphereLab, other: Identity, tmp_path: Path) -> None:
    """The certificate changes between the lease and the download of its disk."""
    hv = lab.log_in(host=host(lab))
    vm = named(first(hv), "sandbox-zh")
    leases: Any = lab.server.service.leases
    new, open_file = leases.new, leases.open_file
    asked: list[str] = []

    def lease_and_swap(entity: str) -> Any:
        lab.server.context = other.context
        return new(entity)

    def note(lease_id: str, name: str) -> Any:
        asked.append(name)
        return open_file(lease_id, name)

    leases.new, leases.open_file = lease_and_swap, note
    with pytest.raises(CertificateError):
        hv.export_vm(vm.id, tmp_path / "x.ova", TaskContext())
    assert asked == []
    assert list(tmp_path.iterdir()) == []


def test_no_secret_in_plain_http(lab_identity: Identity) -> None:
    """A server that speaks no TLS is recognised, and gets a TLS greeting and nothing else."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port = listener.getsockname()[1]
        heard: list[bytes] = []

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                connection.settimeout(5)
                try:
                    heard.append(connection.recv(65536))
                except OSError:
                    return

        thread = threading.Thread(target=answer)
        thread.start()
        target = Target(platform="vsphere", addresses=(("127.0.0.2", port),), user="root")
        with pytest.raises(NotAHypervisor):
            open_vsphere(target, Secret(password="cAnArY"), PinStore(), SystemClock())
        thread.join(10)
        assert b"cAnArY" not in b"".join(heard)
