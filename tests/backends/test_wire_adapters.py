"""The client libraries of the other platforms over the wire: the same bounds hold, their own ways round are shut."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pyVmomi import SoapStubAdapter, vim

from hvconsole.backends.wire import Wire
from hvconsole.backends.wire_adapters import WireAdapter, http_client_class
from hvconsole.backends.wire_calls import CallLimits
from hvconsole.errors import BadReply, CertificateError, HvError, OutcomeUnknown, SessionLost, Unreachable

from .hostile import HostileServer, Pins, Script, identity, raw, reply, serving

QUICK = CallLimits(total_s=1.5, stall_s=0.7, reply_bytes=1 << 20, elements=1000)
SECRET = "cAnArY-password"
SOAP = (
    b'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
    b'<soapenv:Body><CurrentTimeResponse xmlns="urn:vim25"><returnval>2026-11-23T08:00:00Z</returnval>'
    b"</CurrentTimeResponse></soapenv:Body></soapenv:Envelope>"
)


def wire_to(server: HostileServer) -> Wire:
    return Wire(Pins((server.host, server.port, server.identity.sha256 if server.identity else "")))


def by_requests(wire: Wire, server: HostileServer, *, write: bool = False) -> bytes:
    with requests.Session() as session:
        session.trust_env = False
        adapter = WireAdapter(wire)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        with wire.call(QUICK, write=write):
            return session.post(f"https://{server.host}:{server.port}/wsman", data=SECRET).content


def by_pyvmomi(wire: Wire, server: HostileServer, *, write: bool = False) -> Any:
    stub = SoapStubAdapter(server.host, server.port, version="vim.version.version9")
    stub.scheme = http_client_class(wire)
    service = vim.ServiceInstance("ServiceInstance", stub)
    try:
        with wire.call(QUICK, write=write):
            return service.CurrentTime()
    finally:
        stub.DropConnections()


CLIENTS = pytest.mark.parametrize("ask", [by_requests, by_pyvmomi])


@CLIENTS
def test_works(ask: Any) -> None:
    with serving(reply(SOAP), identity=identity("one")) as server:
        assert ask(wire_to(server), server)


@CLIENTS
def test_packed_reply(ask: Any) -> None:
    with serving(reply(gzip.compress(SOAP), "Content-Encoding: gzip"), identity=identity("one")) as server:
        assert ask(wire_to(server), server)


@CLIENTS
@pytest.mark.parametrize(
    ("script", "error"),
    [
        pytest.param(reply(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), BadReply, id="doctype"),
        pytest.param(reply(b"<!DOCTYPE a><a/>", content_type="image/jpeg"), BadReply, id="doctype as picture"),
        pytest.param(reply("<!DOCTYPE a><a/>".encode("utf-16")), BadReply, id="utf-16"),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", endless=b"x" * 4096),
            BadReply,
            id="chunk of minus one byte",
        ),
        pytest.param(reply(b"<a>" * 5000), BadReply, id="deep"),
        pytest.param(reply(b"<a>" + b"x" * (2 << 20) + b"</a>"), BadReply, id="long"),
        pytest.param(reply(gzip.compress(b"\0" * (32 << 20)), "Content-Encoding: gzip"), BadReply, id="bomb"),
        pytest.param(reply(b"", "Location: https://127.0.0.9/", status="307 Temporary Redirect"), BadReply, id="307"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nx"), BadReply, id="huge length"),
        pytest.param(raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), HvError, id="interim flood"),
        pytest.param(raw(), Unreachable, id="silence"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\nX-", endless=b"a", pause=0.2), Unreachable, id="header drip"),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", endless=b"a", pause=0.2), HvError, id="body drip"
        ),
        pytest.param(lambda sock, server: None, Unreachable, id="cut"),
    ],
)
def test_bad_servers_are_refused_in_time(ask: Any, script: Script, error: type[HvError]) -> None:
    with serving(script, identity=identity("one")) as server:
        started = time.monotonic()
        with pytest.raises(error):
            ask(wire_to(server), server)
        assert time.monotonic() - started < QUICK.total_s + 1
        # pyVmomi connects first and asks later: a connection that was cut in between is made anew, unused
        assert server.connections <= 2
        assert server.received.count(b"HTTP/1.1\r\n") <= 1


@CLIENTS
@pytest.mark.parametrize("host", ["127.0.0.2", "127.0.0.1", "localhost"])
def test_impostor_gets_nothing(ask: Any, host: str) -> None:
    bind = "127.0.0.1" if host == "localhost" else host
    with serving(reply(SOAP), identity=identity("impostor"), host=bind) as server:
        server.host = host
        wire = Wire(Pins((host, server.port, identity("one").sha256)))
        for _ in range(2):
            with pytest.raises(CertificateError):
                ask(wire, server)
        assert bytes(server.received) == b""


@CLIENTS
def test_lost_reply_is_sent_once(ask: Any) -> None:
    requests_read: list[bytes] = []

    def cut(sock: socket.socket, server: HostileServer) -> None:
        requests_read.append(server.read_request(sock))

    with serving(cut, identity=identity("one")) as server:
        with pytest.raises(OutcomeUnknown):
            ask(wire_to(server), server, write=True)
    assert len(requests_read) == 1


@CLIENTS
def test_closed_wire_refuses(ask: Any) -> None:
    with serving(reply(SOAP), identity=identity("one")) as server:
        wire = wire_to(server)
        wire.close()
        with pytest.raises(SessionLost):
            ask(wire, server)
        assert server.connections == 0


@pytest.fixture
def hostile_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    (tmp_path / "netrc").write_text("machine 127.0.0.2 login evil password evil\n")
    for name, value in {
        "HTTPS_PROXY": "http://127.0.0.9:1",
        "HTTP_PROXY": "http://127.0.0.9:1",
        "ALL_PROXY": "http://127.0.0.9:1",
        "REQUESTS_CA_BUNDLE": "/nonexistent",
        "CURL_CA_BUNDLE": "/nonexistent",
        "SSL_CERT_FILE": "/nonexistent",
        "NETRC": str(tmp_path / "netrc"),
        "SSLKEYLOGFILE": str(tmp_path / "keys"),
    }.items():
        monkeypatch.setenv(name, value)
    yield
    assert not (tmp_path / "keys").exists()


@CLIENTS
@pytest.mark.usefixtures("hostile_environment")
def test_environment_has_no_say(ask: Any) -> None:
    with serving(reply(SOAP), identity=identity("one")) as server:
        assert ask(wire_to(server), server)
        assert b"Authorization" not in bytes(server.received)


def test_connection_is_kept_for_authentication_that_belongs_to_it() -> None:
    with serving(reply(SOAP), identity=identity("one")) as server, requests.Session() as session:
        wire = wire_to(server)
        session.trust_env = False
        session.mount("https://", WireAdapter(wire))
        for _ in range(3):
            with wire.call(QUICK):
                response = session.post(f"https://{server.host}:{server.port}/wsman", data="x")
        assert server.connections == 1
        # where requests_ntlm looks for the certificate of the channel
        assert response.raw._fp.fp.raw._sock.getpeercert(True)
