"""The wire against servers that answer badly: no crash, no hang, nothing sent twice or to a stranger."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
import time
import zlib

import pytest

from hvconsole.backends.wire import Wire
from hvconsole.backends.wire_calls import ACTION, CallLimits
from hvconsole.backends.wire_sockets import fetch_certificate
from hvconsole.errors import (
    BadReply,
    CertificateError,
    HvError,
    NotAHypervisor,
    OutcomeUnknown,
    SessionLost,
    TaskCancelled,
    Unreachable,
)

from .hostile import HostileServer, Pins, Script, identity, raw, reply, serving

QUICK = CallLimits(total_s=1.5, stall_s=0.7, reply_bytes=1 << 20, elements=1000)
SECRET = b"cAnArY-password"
XML = b"<?xml version='1.0'?><methodResponse><params/></methodResponse>"


def wire_to(server: HostileServer) -> Wire:
    pin = server.identity.sha256 if server.identity else ""
    return Wire(Pins((server.host, server.port, pin)))


def ask(wire: Wire, server: HostileServer, *, write: bool = False, limits: CallLimits = QUICK) -> bytes:
    with wire.call(limits, write=write):
        connection = wire.connection(server.host, server.port, tls=server.identity is not None)
        try:
            connection.request("POST", "/RPC2", SECRET)
            return connection.getresponse().read()
        finally:
            connection.close()


class TestBadReplies:
    @pytest.mark.parametrize(
        ("script", "error"),
        [
            pytest.param(reply(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), BadReply, id="doctype"),
            pytest.param(reply(b"<?xml version='1.0' encoding='cp037'?><a/>"), BadReply, id="odd encoding"),
            pytest.param(reply(b"<!DOCTYPE a><a/>", content_type="image/jpeg"), BadReply, id="doctype as picture"),
            pytest.param(
                reply(b"<!DOCTYPE a><a/>", content_type="multipart/encrypted"), BadReply, id="doctype as sealed"
            ),
            pytest.param(
                reply(b"\xef\xbb\xbf<?xml version='1.0'" + b" " * 2000 + b"encoding='cp037'?><a/>"),
                BadReply,
                id="odd encoding far away",
            ),
            pytest.param(reply("<!DOCTYPE a><a/>".encode("utf-16")), BadReply, id="utf-16 doctype"),
            pytest.param(reply("<!DOCTYPE a><a/>".encode("utf-16-le")), BadReply, id="utf-16 without mark"),
            pytest.param(reply(b"<a>" * 5000 + b"</a>" * 5000), BadReply, id="deep"),
            pytest.param(reply(b"<a>" + b"<b/>" * 2000 + b"</a>"), BadReply, id="many elements"),
            pytest.param(reply(b"<a>" + b"x" * (2 << 20) + b"</a>"), BadReply, id="too long"),
            pytest.param(reply(b"x", "Content-Encoding: br"), BadReply, id="unknown packing"),
            pytest.param(reply(b"not gzip", "Content-Encoding: gzip"), BadReply, id="broken gzip"),
            pytest.param(reply(gzip.compress(b"\0" * (64 << 20)), "Content-Encoding: gzip"), BadReply, id="gzip bomb"),
            pytest.param(reply(gzip.compress(XML)[:-12], "Content-Encoding: gzip"), BadReply, id="cut gzip"),
            pytest.param(reply(b"", "Location: http://169.254.169.254/", status="302 Found"), BadReply, id="302"),
            pytest.param(
                reply(b"", "Location: https://127.0.0.3/", status="307 Temporary Redirect"), BadReply, id="307"
            ),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nx"), BadReply, id="huge length"),
            pytest.param(raw(b"HTTP/1.1 500 X\r\nContent-Length: 1000000000000\r\n\r\nx"), BadReply, id="huge 500"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5000 + b"\r\n"), BadReply, id="5000 headers"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\n"), BadReply, id="long header"),
            pytest.param(raw(b"\x16\x03\x01 nonsense\r\n\r\n"), BadReply, id="nonsense"),
            pytest.param(raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 100), BadReply, id="interim flood"),
            pytest.param(
                raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n"), Unreachable, id="bad chunk"
            ),
            pytest.param(
                raw(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                    endless=b"1000\r\n" + b"x" * 4096 + b"\r\n",
                ),
                BadReply,
                id="endless chunks",
            ),
            pytest.param(
                raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", endless=b"x" * 4096),
                BadReply,
                id="chunk of minus one byte",
            ),
            pytest.param(raw(), Unreachable, id="silence"),
            pytest.param(raw(b"HTTP/1.1 200 OK\r\nX-", endless=b"a", pause=0.2), Unreachable, id="header drip"),
            pytest.param(
                raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", endless=b"a", pause=0.2),
                Unreachable,
                id="body drip",
            ),
            pytest.param(lambda sock, server: None, Unreachable, id="cut before"),
        ],
    )
    def test_is_refused_in_time(self, script: Script, error: type[HvError]) -> None:
        with serving(script) as server:
            started = time.monotonic()
            with pytest.raises(error):
                ask(wire_to(server), server)
            assert time.monotonic() - started < QUICK.total_s + 1
            assert server.connections == 1

    def test_short_body_behind_a_longer_announcement_is_a_lost_connection(self) -> None:
        def script(sock: socket.socket, server: HostileServer) -> None:
            server.read_request(sock)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<a/>")

        with serving(script) as server, pytest.raises(Unreachable):
            ask(wire_to(server), server)

    @pytest.mark.parametrize("complete", [True, False])
    def test_end_of_a_body_without_length_is_the_servers_word_not_that_of_the_network(self, complete: bool) -> None:
        def script(sock: socket.socket, server: HostileServer) -> None:
            server.read_request(sock)
            sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + XML)
            if complete:
                sock.unwrap()  # type: ignore[attr-defined]

        with serving(script, identity=identity("one")) as server:
            if complete:
                assert ask(wire_to(server), server) == XML
            else:
                with pytest.raises(Unreachable):
                    ask(wire_to(server), server)

    @pytest.mark.parametrize("goodbye", [True, False])
    @pytest.mark.parametrize("tls", [True, False])
    def test_a_cut_instead_of_an_answer_is_one_of_the_connection(self, goodbye: bool, tls: bool) -> None:
        def script(sock: socket.socket, server: HostileServer) -> None:
            server.read_request(sock)
            if goodbye and tls:
                sock.unwrap()  # type: ignore[attr-defined]

        with serving(script, identity=identity("one") if tls else None) as server, pytest.raises(Unreachable) as caught:
            ask(wire_to(server), server)
        assert isinstance(caught.value.__cause__, ConnectionError)

    def test_lost_reply_of_a_write_is_an_unknown_outcome(self) -> None:
        def script(sock: socket.socket, server: HostileServer) -> None:
            server.read_request(sock)

        with serving(script) as server:
            with pytest.raises(OutcomeUnknown):
                ask(wire_to(server), server, write=True)
            assert server.received.count(SECRET) == 1
            assert server.connections == 1

    def test_refused_connection_of_a_write_is_known_not_to_have_happened(self) -> None:
        with serving(raw()) as server:
            pass
        with pytest.raises(Unreachable):
            ask(wire_to(server), server, write=True)

    @pytest.mark.parametrize(
        ("encoding", "packed"),
        [
            ("gzip", gzip.compress(XML)),
            ("deflate", zlib.compress(XML)),
            ("deflate", zlib.compress(XML)[2:-4]),
            ("identity", XML),
        ],
    )
    def test_packed_replies_are_unpacked(self, encoding: str, packed: bytes) -> None:
        with serving(reply(packed, f"Content-Encoding: {encoding}")) as server:
            assert ask(wire_to(server), server) == XML


class TestConnection:
    def test_is_kept_and_used_again(self) -> None:
        with serving(reply(XML), identity=identity("one")) as server:
            wire = wire_to(server)
            connection = wire.connection(server.host, server.port)
            for _ in range(3):
                with wire.call(QUICK):
                    assert connection.exchange("POST", "/", b"x").body == XML
            connection.close()
            assert server.connections == 1

    def test_is_made_anew_when_the_server_closed_the_kept_one(self) -> None:
        def once(sock: socket.socket, server: HostileServer) -> None:
            server.read_request(sock)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<a/>")
            closed.set()

        closed = threading.Event()
        with serving(once, identity=identity("one")) as server:
            wire = wire_to(server)
            connection = wire.connection(server.host, server.port)
            for _ in range(2):
                closed.clear()
                with wire.call(QUICK, write=True):
                    assert connection.exchange("POST", "/", SECRET).body == b"<a/>"
                assert closed.wait(5)
                server.cut_all()
            connection.close()
            assert server.connections == 2
            assert server.received.count(SECRET) == 2

    def test_streams_into_a_sink(self) -> None:
        body = b"x" * 300_000
        with serving(reply(body, content_type="application/octet-stream")) as server:
            wire = wire_to(server)
            taken = bytearray()
            connection = wire.connection(server.host, server.port, tls=False)
            with wire.call(QUICK):
                connection.exchange("GET", "/", sink=taken.extend)
            connection.close()
            assert taken == body

    def test_environment_proxy_is_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.9:1")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.9:1")
        with serving(reply(XML)) as server:
            assert ask(wire_to(server), server) == XML

    def test_key_log_file_is_ignored(self, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
        monkeypatch.setenv("SSLKEYLOGFILE", f"{tmp_path}/keys")
        with serving(reply(XML), identity=identity("one")) as server:
            assert ask(wire_to(server), server) == XML
        assert not list(tmp_path.iterdir())  # type: ignore[attr-defined]

    def test_name_that_does_not_exist(self) -> None:
        wire = Wire(Pins())
        with pytest.raises(Unreachable), wire.call(QUICK):
            wire.connect("no-such-host.invalid", 443)

    @pytest.mark.parametrize("host", ["a b", "a\0b", "a\nHost: c", "x" * 300, "a..b"])
    def test_what_is_no_address(self, host: str) -> None:
        wire = Wire(Pins())

        def ask_there() -> None:
            connection = wire.connection(host, 443)
            with wire.call(QUICK):
                connection.exchange("GET", "/")

        with pytest.raises(Unreachable):
            ask_there()

    def test_plain_server_where_tls_is_expected(self) -> None:
        def script(sock: socket.socket, server: HostileServer) -> None:
            sock.recv(100)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        wire = Wire(Pins())
        with serving(script) as server, pytest.raises(NotAHypervisor), wire.call(ACTION):
            wire.connect(server.host, server.port)


class TestPin:
    @pytest.mark.parametrize("host", ["127.0.0.2", "127.0.0.1", "localhost", "::1"])
    def test_unknown_certificate_is_shown_and_nothing_is_sent(self, host: str) -> None:
        bind = "127.0.0.1" if host == "localhost" else host
        with serving(reply(XML), identity=identity("first"), host=bind) as server:
            server.host = host
            wire = Wire(Pins())
            with pytest.raises(CertificateError) as caught:
                ask(wire, server, limits=ACTION)
            assert caught.value.reason == "unknown"
            assert caught.value.presented is not None
            assert caught.value.presented.sha256 == identity("first").sha256
            assert caught.value.presented.subject == "CN=first"
            assert caught.value.presented.not_after is not None
            assert bytes(server.received) == b""

    @pytest.mark.parametrize("host", ["127.0.0.2", "127.0.0.1", "localhost", "::1"])
    def test_changed_certificate_is_refused_on_reconnect(self, host: str) -> None:
        bind = "127.0.0.1" if host == "localhost" else host
        with serving(reply(XML), identity=identity("first"), host=bind) as server:
            server.host = host
            wire = wire_to(server)
            connection = wire.connection(host, server.port)
            with wire.call(ACTION):
                connection.exchange("POST", "/", b"hello")
            server.received.clear()
            server.identity = identity("impostor")
            server.cut_all()
            with pytest.raises(CertificateError) as caught, wire.call(ACTION, write=True):
                connection.exchange("POST", "/", SECRET)
            connection.close()
            assert caught.value.reason == "changed"
            assert caught.value.pinned is not None
            assert caught.value.presented is not None
            assert caught.value.pinned.sha256 == identity("first").sha256
            assert caught.value.presented.sha256 == identity("impostor").sha256
            assert bytes(server.received) == b""

    def test_right_certificate_after_a_refused_one_is_welcome(self) -> None:
        with serving(reply(XML), identity=identity("impostor")) as server:
            wire = Wire(Pins((server.host, server.port, identity("first").sha256)))
            with pytest.raises(CertificateError):
                ask(wire, server, limits=ACTION)
            server.identity = identity("first")
            assert ask(wire, server, limits=ACTION) == XML

    def test_fetch_certificate_for_asking(self) -> None:
        with serving(reply(XML), identity=identity("first")) as server:
            shown = fetch_certificate(server.host, server.port)
            assert shown.sha256 == identity("first").sha256
            assert (shown.host, shown.port) == (server.host, server.port)


class TestEnding:
    def test_handshake_that_is_never_answered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def silent(sock: socket.socket, server: HostileServer) -> None:
            server.stopping.wait(30)

        monkeypatch.setattr("hvconsole.backends.wire.CONNECT_S", 0.5)
        wire = Wire(Pins())
        with serving(silent) as server, pytest.raises(Unreachable, match="TLS handshake"), wire.call(ACTION):
            wire.connect(server.host, server.port)

    @pytest.mark.parametrize("tls", [True, False])
    @pytest.mark.parametrize("how", ["close", "abort"])
    def test_from_another_thread_is_prompt(self, how: str, tls: bool) -> None:
        asked = threading.Event()

        def script(sock: socket.socket, server: HostileServer) -> None:
            server.read_request(sock)
            asked.set()
            server.stopping.wait(30)

        with serving(script, identity=identity("one") if tls else None) as server:
            wire = wire_to(server)
            calls = []
            caught: list[HvError] = []

            def work() -> None:
                try:
                    with wire.call(ACTION) as call:
                        calls.append(call)
                        wire.connection(server.host, server.port, tls=tls).exchange("GET", "/")
                except HvError as exc:
                    caught.append(exc)

            thread = threading.Thread(target=work)
            thread.start()
            assert asked.wait(10)
            started = time.monotonic()
            wire.close() if how == "close" else calls[0].abort()
            thread.join(5)
            assert time.monotonic() - started < 1
            assert isinstance(caught[0], SessionLost if how == "close" else TaskCancelled)

    def test_close_wakes_a_stalled_handshake(self) -> None:
        accepted = threading.Event()

        def silent(sock: socket.socket, server: HostileServer) -> None:
            accepted.set()
            server.stopping.wait(30)

        with serving(silent) as server:
            wire = Wire(Pins())
            caught: list[HvError] = []

            def work() -> None:
                try:
                    with wire.call(ACTION):
                        wire.connect(server.host, server.port)
                except HvError as exc:
                    caught.append(exc)

            thread = threading.Thread(target=work)
            thread.start()
            assert accepted.wait(10)
            started = time.monotonic()
            wire.close()
            thread.join(5)
            assert time.monotonic() - started < 1
            assert isinstance(caught[0], SessionLost)

    def test_nothing_works_after_close(self) -> None:
        with serving(reply(XML)) as server:
            wire = wire_to(server)
            wire.close()
            wire.close()
            with pytest.raises(SessionLost):
                ask(wire, server)


def test_every_exception_of_the_libraries_below_is_mapped() -> None:
    wire = Wire(Pins())
    families: list[Exception] = [
        OSError("x"),
        TimeoutError("x"),
        http.client.BadStatusLine("x"),
        http.client.IncompleteRead(b"x"),
        ValueError("x"),
        TypeError("x"),
        StopIteration("x"),
        KeyError("x"),
        AttributeError("x"),
        RecursionError("x"),
        MemoryError("x"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "x"),
        zlib.error("x"),
    ]
    for exc in families:
        with pytest.raises(HvError) as caught, wire.call(QUICK):
            raise exc
        assert caught.value.__cause__ is exc
