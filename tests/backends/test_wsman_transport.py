"""What leaves this computer and what does not: logins that fail, servers that lie, certificates that change."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import email.utils
import socket
import ssl
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hvconsole.backends.wsman import WsmanClient
from hvconsole.backends.wsman_envelope import V2
from hvconsole.backends.wsman_transport import Endpoint
from hvconsole.clock import SystemClock
from hvconsole.errors import (
    AuthError,
    BadReply,
    CertificateError,
    HvError,
    InvalidInput,
    LocalError,
    NotAHypervisor,
    OutcomeUnknown,
    SessionLost,
    Unreachable,
)
from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.hyperv import soap
from hvconsole.lab.identity import make_identity
from hvconsole.lab.sites import Identity
from hvconsole.model import Certificate

from .hyperv_lab import Accept, HypervLab, hyperv_lab

SYSTEMS = "SELECT Name, EnabledState FROM Msvm_ComputerSystem"
SEALED = b"Content-Type: application/octet-stream\r\n"
ONE_VM = "SELECT * FROM Msvm_ComputerSystem WHERE ElementName = 'zrh-test01'"


@pytest.fixture
def hosts(lab_identity: Identity) -> Iterator[HypervLab]:
    with hyperv_lab(lab_identity) as running:
        yield running


@dataclass
class Rogue:
    """A server on loopback that answers every request with what ``answer`` makes of it, and keeps what it got."""

    answer: Callable[[bytes], bytes]
    received: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Rogue:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def _accept(self) -> None:
        while True:
            try:
                sock, _peer = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as file:
            while line := file.readline():
                head = line
                while (line := file.readline()) not in (b"\r\n", b""):
                    head += line
                length = next(
                    (
                        int(part.partition(b":")[2])
                        for part in head.split(b"\r\n")
                        if part.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                request = head + b"\r\n" + file.read(length)
                self.received.append(request)
                said = self.answer(request)
                if not said:
                    sock.shutdown(socket.SHUT_RDWR)
                sock.sendall(said)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(2)

    def client(self, auth: str = "ntlm") -> WsmanClient:
        endpoint = Endpoint(
            scheme="http", host="127.0.0.1", port=self.port, auth=auth, user="Administrator", password="cAnArY-secret"
        )
        return WsmanClient(endpoint, Accept("0" * 64), SystemClock())

    @property
    def clear(self) -> list[bytes]:
        """Requests that carry anything readable."""
        return [request for request in self.received if b"Envelope" in request or b"cAnArY" in request]


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


UNAUTHORIZED = answer("401 Unauthorized", b"", "WWW-Authenticate: Negotiate", 'WWW-Authenticate: Basic realm="x"')


class TestNothingInClear:
    def test_after_a_failed_first_login(self, hosts: HypervLab) -> None:
        client = hosts.client("http", password="cAnArY-wrong")
        for _ in range(3):
            with pytest.raises(AuthError):
                client.query(V2, SYSTEMS)
        assert hosts.server.clear == []
        assert hosts.server.refused == 3

    def test_to_a_server_that_refuses_and_then_wants_no_login(self) -> None:
        with Rogue(lambda request: UNAUTHORIZED) as rogue:
            client = rogue.client()
            with pytest.raises(AuthError):
                client.identify()
            rogue.answer = lambda request: answer("200 OK")
            with pytest.raises(HvError):
                client.identify()
            client.close()
        assert rogue.received
        assert rogue.clear == []

    def test_to_a_server_that_wants_no_login_at_all(self) -> None:
        with Rogue(lambda request: answer("200 OK", b"<s:Envelope/>", "Content-Type: application/soap+xml")) as rogue:
            client = rogue.client()
            with pytest.raises(NotAHypervisor):
                client.identify()
            client.close()
        assert rogue.clear == []

    def test_basic_is_not_offered_over_http(self) -> None:
        for auth in ("basic", "certificate"):
            with pytest.raises(InvalidInput):
                Endpoint(
                    scheme="http",
                    host="h",
                    port=5985,
                    auth=auth,
                    user="u",
                    password="p",
                    cert_pem="a",
                    cert_key_pem="b",
                )

    def test_a_server_that_asks_for_basic_gets_nothing(self) -> None:
        only_basic = answer("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="WSMAN"')
        with Rogue(lambda request: only_basic) as rogue:
            client = rogue.client()
            with pytest.raises(AuthError):
                client.identify()
            client.close()
        assert rogue.clear == []
        assert not [request for request in rogue.received if b"Authorization: Basic" in request]

    @pytest.mark.parametrize(("hours", "words"), [(-2, "behind this one"), (3, "ahead of this one"), (0, "")])
    def test_a_wrong_clock_is_told_with_the_refusal(self, hours: int, words: str) -> None:
        date = email.utils.format_datetime(SystemClock().now() + dt.timedelta(hours=hours))
        refusal = UNAUTHORIZED.replace(b"\r\n", f"\r\nDate: {date}\r\n".encode(), 1)
        with Rogue(lambda _request: refusal) as server, pytest.raises(AuthError) as caught:
            server.client().identify()
        assert words in caught.value.detail
        assert ("clock" in caught.value.detail) is bool(words)

    def test_sealed_messages_are_not_readable_on_the_wire(self, hosts: HypervLab) -> None:
        with Relay(hosts.server.port("http")) as relay:
            endpoint = Endpoint(
                scheme="http",
                host="127.0.0.1",
                port=relay.port,
                auth="ntlm",
                user="Administrator",
                password=hosts.server.site.password,
            )
            client = WsmanClient(endpoint, hosts.trust, SystemClock())
            assert len(client.query(V2, SYSTEMS)) == 10
            client.close()
        seen = b"".join(relay.seen)
        assert b"multipart/encrypted" in seen
        for word in (b"Envelope", b"Msvm_", b"SELECT", hosts.server.site.password.encode()):
            assert word not in seen

    def test_neither_password_nor_tokens_are_logged(self, hosts: HypervLab, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        password = "cAnArY-42"
        with hosts.world.lock:
            hosts.server.site.password = password
        for scheme in ("https", "http"):
            assert len(hosts.client(scheme).query(V2, SYSTEMS)) == 10
            with pytest.raises(AuthError):
                hosts.client(scheme, password=password + "x").identify()
        encoded = [password, base64.b64encode(password.encode()).decode()[:8], password.encode("utf-16-le").hex()]
        for word in (*encoded, "TlRMTVNTU"):
            assert word not in caplog.text

    def test_password_is_in_no_repr(self, hosts: HypervLab) -> None:
        assert hosts.server.site.password not in repr(hosts.endpoint())
        assert hosts.server.site.password not in hosts.endpoint().url


class TestLiars:
    def test_an_unsealed_answer_to_a_sealed_question(self, hosts: HypervLab) -> None:
        forged = answer("200 OK", b'<s:Envelope xmlns:s="x"/>', "Content-Type: application/soap+xml;charset=UTF-8")
        with Relay(hosts.server.port("http"), replace=(b"multipart/encrypted", forged)) as relay:
            endpoint = Endpoint(
                scheme="http",
                host="127.0.0.1",
                port=relay.port,
                auth="ntlm",
                user="Administrator",
                password=hosts.server.site.password,
            )
            client = WsmanClient(endpoint, hosts.trust, SystemClock())
            with pytest.raises(BadReply, match="clear text"):
                client.query(V2, SYSTEMS)
            client.close()

    def test_a_sealed_answer_that_was_changed_on_its_way_is_no_refused_login(self, hosts: HypervLab) -> None:
        with Relay(hosts.server.port("http")) as relay:
            endpoint = Endpoint(
                scheme="http",
                host="127.0.0.1",
                port=relay.port,
                auth="ntlm",
                user="Administrator",
                password=hosts.server.site.password,
            )
            client = WsmanClient(endpoint, hosts.trust, SystemClock())
            epr = client.query(V2, ONE_VM, with_epr=True)[0].epr
            assert epr is not None
            relay.spoil = True
            with pytest.raises(BadReply, match="changed on its way"):
                client.query(V2, SYSTEMS)
            with pytest.raises(OutcomeUnknown):
                client.invoke(epr, "RequestStateChange", {"RequestedState": 2})
            relay.spoil = False
            assert len(client.query(V2, SYSTEMS)) == 10
            client.close()
        assert hosts.server.service.statistics.counts["Msvm_ComputerSystem.RequestStateChange"] == 1

    def test_a_forged_refusal_does_not_make_a_write_happen_twice(self, hosts: HypervLab) -> None:
        with Relay(hosts.server.port("http")) as relay:
            endpoint = Endpoint(
                scheme="http",
                host="127.0.0.1",
                port=relay.port,
                auth="ntlm",
                user="Administrator",
                password=hosts.server.site.password,
            )
            client = WsmanClient(endpoint, hosts.trust, SystemClock())
            epr = client.query(V2, ONE_VM, with_epr=True)[0].epr
            assert epr is not None
            relay.forge = UNAUTHORIZED
            with pytest.raises(OutcomeUnknown):
                client.invoke(epr, "RequestStateChange", {"RequestedState": 2})
            client.close()
        assert hosts.server.service.statistics.counts["Msvm_ComputerSystem.RequestStateChange"] == 1

    def test_a_redirect_is_not_followed(self) -> None:
        with Rogue(lambda request: answer("200 OK")) as other:
            moved = answer("307 Temporary Redirect", b"", f"Location: http://127.0.0.1:{other.port}/wsman")
            with Rogue(lambda request: moved) as rogue:
                client = rogue.client()
                with pytest.raises(BadReply):
                    client.identify()
                client.close()
            assert other.received == []

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\0\0\0\0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"SSH-2.0-OpenSSH_9\r\n",
            answer("404 Not Found"),
            answer("500 Internal Server Error"),
            answer("200 OK", b"\xff\xfe\xfa"),
            answer("401 Unauthorized", b"", "WWW-Authenticate: Negotiate !!!not-base64!!!"),
            answer("401 Unauthorized", b"", "WWW-Authenticate: Negotiate AAAA"),
            answer("503 Busy", b"<html>caf\xe9</html>", "Content-Type: text/html"),
        ],
    )
    def test_every_bad_answer_is_one_of_our_errors(self, raw: bytes) -> None:
        with Rogue(lambda request: raw) as rogue:
            client = rogue.client()
            with pytest.raises(HvError) as caught:
                client.identify()
            client.close()
        assert "cAnArY" not in f"{caught.value!r} {caught.value.detail}"
        assert rogue.clear == []

    @pytest.mark.parametrize(
        "raw",
        [
            b"<!DOCTYPE a [<!ENTITY a 'b'>]><a>&a;</a>",
            b"<a>" * 5000,
            b"junk",
            b"",
            b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body/></s:Envelope>',
            b"<x>" + b"<y/>" * 300_000 + b"</x>",
        ],
    )
    def test_bad_soap(self, hosts: HypervLab, raw: bytes) -> None:
        hosts.world.faults.add(FaultRule(method="Enumerate", effect=Effect.GARBAGE, body=raw))
        with pytest.raises(HvError):
            hosts.client("https").query(V2, SYSTEMS)


class TestEnvironment:
    def test_proxies_and_bundles_are_not_read(self, hosts: HypervLab, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
        for scheme in ("https", "http"):
            assert len(hosts.client(scheme).query(V2, SYSTEMS)) == 10

    def test_missing_libraries_are_named(self) -> None:
        with Rogue(lambda request: UNAUTHORIZED) as rogue:
            client = rogue.client("credssp")
            with pytest.raises((LocalError, AuthError)) as caught:
                client.identify()
            client.close()
        assert not isinstance(caught.value, LocalError) or "hvconsole[credssp]" in caught.value.user_text


class TestCertificates:
    def test_unknown_and_changed_before_any_byte(self, hosts: HypervLab) -> None:
        class Nobody:
            def pinned(self, host: str, port: int) -> Certificate | None:
                return None

        for trust, reason in ((Nobody(), "unknown"), (Accept("0" * 64), "changed")):
            client = WsmanClient(hosts.endpoint(), trust, SystemClock())
            with pytest.raises(CertificateError) as caught:
                client.identify()
            client.close()
            assert caught.value.reason == reason
        assert hosts.server.service.statistics.requests == 0

    def test_a_swap_in_mid_session_stops_hard(self, hosts: HypervLab) -> None:
        class Store:
            sha256 = hosts.identity.sha256

            def pinned(self, host: str, port: int) -> Certificate:
                return Certificate(host=host, port=port, sha256=self.sha256)

        store = Store()
        client = WsmanClient(hosts.endpoint(), store, SystemClock())
        assert len(client.query(V2, SYSTEMS)) == 10
        asked = hosts.server.service.statistics.requests
        store.sha256 = make_identity().sha256  # to this client the host now shows another certificate
        hosts.server.cut_connections()
        for _ in range(2):
            with pytest.raises(CertificateError) as caught:
                client.query(V2, SYSTEMS)
            assert caught.value.reason == "changed"
            assert caught.value.presented is not None
            assert caught.value.pinned is not None
        client.close()
        assert hosts.server.service.statistics.requests == asked


class TestConnections:
    @pytest.mark.parametrize("scheme", ["https", "http"])
    def test_a_read_survives_a_dropped_connection(self, hosts: HypervLab, scheme: str) -> None:
        client = hosts.client(scheme)
        for _ in range(5):
            assert len(client.query(V2, SYSTEMS)) == 10
            hosts.server.cut_connections()

    @pytest.mark.parametrize("scheme", ["https", "http"])
    def test_a_read_is_repeated_once_when_its_answer_is_lost(self, hosts: HypervLab, scheme: str) -> None:
        client = hosts.client(scheme)
        client.identify()
        for method in ("Enumerate", "Pull"):
            rule = hosts.world.faults.add(FaultRule(method=method, effect=Effect.DROP_AFTER, max_count=1))
            assert len(client.query(V2, SYSTEMS)) == 10
            assert rule.fired == 1
        hosts.world.faults.add(FaultRule(method="Enumerate", effect=Effect.DROP_AFTER))
        with pytest.raises((Unreachable, SessionLost)):
            client.query(V2, SYSTEMS)

    @pytest.mark.parametrize("scheme", ["https", "http"])
    @pytest.mark.parametrize("effect", [Effect.DROP_BEFORE, Effect.DROP_AFTER])
    def test_a_write_is_never_repeated(self, hosts: HypervLab, scheme: str, effect: Effect) -> None:
        client = hosts.client(scheme)
        epr = client.query(V2, ONE_VM, with_epr=True)[0].epr
        assert epr is not None
        rule = hosts.world.faults.add(FaultRule(method="Msvm_ComputerSystem.RequestStateChange", effect=effect))
        with pytest.raises(OutcomeUnknown):
            client.invoke(epr, "RequestStateChange", {"RequestedState": 2})
        assert rule.seen == 1

    @pytest.mark.parametrize("scheme", ["https", "http"])
    def test_a_write_after_the_host_hung_up_is_sent_once_on_a_new_login(self, hosts: HypervLab, scheme: str) -> None:
        client = hosts.client(scheme)
        epr = client.query(V2, ONE_VM, with_epr=True)[0].epr
        assert epr is not None
        hosts.server.cut_connections()
        value, _output = client.invoke(epr, "RequestStateChange", {"RequestedState": 2})
        assert value == 4096
        assert hosts.server.service.statistics.counts["Msvm_ComputerSystem.RequestStateChange"] == 1
        assert hosts.server.unreadable == 0

    @pytest.mark.parametrize("scheme", ["https", "http"])
    def test_eight_threads_at_once(self, hosts: HypervLab, scheme: str) -> None:
        client = hosts.client(scheme)
        failed: list[BaseException] = []
        gate = threading.Barrier(8)

        def work() -> None:
            try:
                gate.wait(10)
                for _ in range(15):
                    assert len(client.query(V2, SYSTEMS)) == 10
            except (HvError, AssertionError, threading.BrokenBarrierError) as exc:
                failed.append(exc)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failed == []
        assert client.counters.logins <= 8
        assert hosts.server.unreadable == 0

    def test_close_ends_a_call_that_waits(self, hosts: HypervLab) -> None:
        client = hosts.client("https")
        client.identify()
        hosts.world.faults.add(FaultRule(method="Enumerate", effect=Effect.DELAY, delay_s=2))
        ended = threading.Event()
        caught: list[HvError] = []

        def work() -> None:
            try:
                client.query(V2, SYSTEMS)
            except HvError as exc:
                caught.append(exc)
            ended.set()

        thread = threading.Thread(target=work)
        thread.start()
        threading.Event().wait(0.2)
        client.close()
        assert ended.wait(1.5)
        thread.join(5)
        assert isinstance(caught[0], SessionLost)
        with pytest.raises(SessionLost):
            client.identify()

    def test_basic_over_tls(self, hosts: HypervLab) -> None:
        assert len(hosts.client("https", auth="basic").query(V2, SYSTEMS)) == 10
        with pytest.raises(AuthError):
            hosts.client("https", auth="basic", password="wrong").identify()

    def test_logins_are_bound_to_their_tls_connection(self, hosts: HypervLab) -> None:
        hosts.server.cbt_strict = True
        assert hosts.client("https").identify().vendor == "Microsoft Corporation"

    def test_put(self, hosts: HypervLab) -> None:
        client = hosts.client("http")
        epr = client.instances("root/cimv2", "Win32_OperatingSystem", with_epr=True)[0].epr
        assert epr is not None
        client.put(epr, {"Description": "rack <3>"})
        assert client.get(epr).text("Description") == "rack <3>"
        assert hosts.server.host.description == "rack <3>"

    def test_client_certificate(self, tmp_path: Path) -> None:
        identity = make_identity("client")
        certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
        certificate.write_bytes(identity.certificate_pem)
        key.write_bytes(identity.key_pem)
        theirs = make_identity("host")
        context = theirs.context
        context.load_verify_locations(cadata=identity.certificate_pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        heads: list[bytes] = []

        def serve(listener: socket.socket) -> None:
            sock, _peer = listener.accept()
            with sock, context.wrap_socket(sock, server_side=True) as tls:
                request = tls.recv(65536)
                heads.append(request)
                body = soap.identify(soap.IDENTITIES[0], "Microsoft Corporation", "OS: 10.0.1 SP: 0.0 Stack: 3.0")
                tls.sendall(answer("200 OK", body, "Content-Type: application/soap+xml;charset=UTF-8"))
                tls.recv(65536)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, args=(listener,))
            thread.start()
            endpoint = Endpoint(
                scheme="https",
                host="127.0.0.1",
                port=listener.getsockname()[1],
                auth="certificate",
                user="",
                password="",
                cert_pem=str(certificate),
                cert_key_pem=str(key),
            )
            client = WsmanClient(endpoint, Accept(theirs.sha256), SystemClock())
            assert client.identify().product.startswith("OS: 10.0.1")
            client.close()
            thread.join(5)
        assert b"secprofile/https/mutual" in heads[0]
        assert b"Basic" not in heads[0]

    def test_client_certificate_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "junk.pem").write_text("junk")
        for name in ("missing.pem", "junk.pem"):
            endpoint = Endpoint(
                scheme="https",
                host="127.0.0.1",
                port=1,
                auth="certificate",
                user="",
                password="",
                cert_pem=str(tmp_path / name),
                cert_key_pem=str(tmp_path / name),
            )
            with pytest.raises(LocalError):
                WsmanClient(endpoint, Accept("0" * 64), SystemClock())

    def test_domain_spellings_of_the_user(self, hosts: HypervLab) -> None:
        for user in ("HV-ZRH-1\\Administrator", ".\\administrator", "ADMINISTRATOR"):
            assert hosts.client("https", user=user).identify().vendor == "Microsoft Corporation"


class TestLists:
    def test_an_abandoned_list_is_given_back(self, hosts: HypervLab) -> None:
        client = hosts.client("https")
        hosts.world.faults.add(FaultRule(method="Pull", effect=Effect.FAULT, code="0x80338029"))
        with pytest.raises(HvError):
            client.query(V2, SYSTEMS)
        assert hosts.server.service.open_enumerations == 0

    def test_pages_by_envelope_size(self, hosts: HypervLab) -> None:
        hosts.server.service.limits.max_envelope_bytes = 9_000
        client = hosts.client("https")
        assert len(client.instances(V2, "Msvm_ComputerSystem")) == 10
        assert hosts.server.service.statistics.counts["Pull"] >= 3

    def test_a_list_without_end(self, hosts: HypervLab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hvconsole.backends.wsman.MAX_LIST_BYTES", 3_000)
        client = hosts.client("https")
        hosts.server.service.limits.max_envelope_bytes = 4_000
        with pytest.raises(BadReply, match="without end"):
            client.instances(V2, "Msvm_ComputerSystem")
        assert hosts.server.service.open_enumerations == 0

    def test_a_list_of_nothing_without_end(self, hosts: HypervLab, monkeypatch: pytest.MonkeyPatch) -> None:
        client = hosts.client("https")
        asked: list[object] = []
        page = "<Body><PullResponse><EnumerationContext>x</EnumerationContext></PullResponse></Body>"

        def read(*_arguments: object, **_options: object) -> tuple[ET.Element, int]:
            asked.append(None)
            return ET.fromstring(page), len(page)

        monkeypatch.setattr(client, "_read_sized", read)
        with pytest.raises(BadReply, match="without end"):
            client.instances(V2, "Msvm_ComputerSystem")
        assert len(asked) < 30

    def test_too_many_operations(self, hosts: HypervLab) -> None:
        hosts.server.service.limits.max_operations = 0
        with pytest.raises(HvError, match="too many open operations"):
            hosts.client("https").query(V2, SYSTEMS)


@dataclass
class Relay:
    """Passes bytes on and keeps them; ``replace``: (pattern in a request, what is answered instead); ``spoil``: change
    what is sealed in answers."""

    target: int
    replace: tuple[bytes, bytes] | None = None
    spoil: bool = False
    forge: bytes = b""
    """Comes once in place of a sealed answer, after the host has done its work."""
    seen: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Relay:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def _accept(self) -> None:
        while True:
            try:
                near, _peer = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self._open += [near, far]
            for source, sink, outward in ((near, far, True), (far, near, False)):
                thread = threading.Thread(target=self._pump, args=(source, sink, outward))
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, outward: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.seen.append(data)
                if outward and self.replace is not None and self.replace[0] in data:
                    source.sendall(self.replace[1])
                    continue
                if not outward and self.spoil and SEALED in data:
                    at = data.index(SEALED) + len(SEALED) + 30
                    data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
                if not outward and self.forge and data.startswith(b"HTTP/1.1 200"):
                    sink.sendall(self.forge)
                    self.forge = b""
                    return  # what follows is the rest of the host's own answer
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(2)
        for sock in self._open:
            sock.close()


def test_ipv6_addresses_make_an_endpoint() -> None:
    endpoint = Endpoint(scheme="https", host="::1", port=5986, auth="ntlm", user="u", password="p")
    assert endpoint.url == "https://[::1]:5986/wsman"
