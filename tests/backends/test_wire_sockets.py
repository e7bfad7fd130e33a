"""The steps of getting connected, each with its limit and its own sentence: what the connection doctor shows."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import warnings
from typing import Any

import pytest

from hvconsole.backends.wire import Wire
from hvconsole.backends.wire_calls import ACTION
from hvconsole.backends.wire_sockets import fetch_certificate, resolve, tcp_connect, tls_handshake
from hvconsole.errors import NotAHypervisor, SessionLost, Unreachable

from .hostile import HostileServer, Identity, Pins, reply, serving


def closed_port(host: str = "127.0.0.2") -> int:
    with socket.create_server((host, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def silent(sock: socket.socket, server: HostileServer) -> None:
    server.stopping.wait(30)


class TestResolve:
    @pytest.mark.parametrize("host", ["127.0.0.2", "::1", "localhost"])
    def test_addresses(self, host: str) -> None:
        assert resolve(host, 443)

    def test_name_that_does_not_exist(self) -> None:
        with pytest.raises(Unreachable, match="not known"):
            resolve("no-such-host.invalid", 443)

    @pytest.mark.parametrize("host", ["", "a" * 300, "\ud800", "a..b", "xn--\x00"])
    def test_what_is_no_name(self, host: str) -> None:
        with pytest.raises(Unreachable):
            resolve(host, 443)

    def test_lookup_that_hangs_is_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        release = threading.Event()
        real = socket.getaddrinfo

        def hang(host: str, *args: Any, flags: int = 0, **kwargs: Any) -> Any:
            if flags & socket.AI_NUMERICHOST:
                return real(host, *args, flags=flags, **kwargs)
            release.wait(20)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", hang)
        started = time.monotonic()
        with pytest.raises(Unreachable, match="looked up"):
            resolve("slow.example", 443, timeout_s=0.3)
        with pytest.raises(SessionLost):
            resolve("slow.example", 443, wanted=lambda: False)
        assert time.monotonic() - started < 3
        release.set()
        for thread in threading.enumerate():
            if thread.name.startswith("resolve-"):
                thread.join(5)


class TestConnect:
    def test_refused(self) -> None:
        with pytest.raises(Unreachable, match="refused"):
            tcp_connect("x", 1, resolve("127.0.0.2", closed_port()))

    def test_dead_first_address_leaves_time_for_the_second(self) -> None:
        with serving(silent) as server:
            addresses = resolve("127.0.0.3", closed_port("127.0.0.3")) + resolve(server.host, server.port)
            tcp_connect("x", server.port, addresses).close()

    def test_a_name_with_hundreds_of_addresses_is_not_tried_through(self) -> None:
        with serving(silent) as server:
            dead = resolve("127.0.0.2", closed_port())
            with pytest.raises(Unreachable):
                tcp_connect("x", server.port, dead * 300 + resolve(server.host, server.port))

    def test_nobody_answers(self) -> None:
        # a listener whose queue is full drops what comes after
        with socket.create_server(("127.0.0.2", 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            waiting = []
            for _ in range(4):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.2", port))
                waiting.append(sock)
            started = time.monotonic()
            with pytest.raises(Unreachable, match="doesn't answer"):
                tcp_connect("x", port, resolve("127.0.0.2", port), timeout_s=0.6)
            assert time.monotonic() - started < 2
            with pytest.raises(SessionLost):
                tcp_connect("x", port, resolve("127.0.0.2", port), wanted=lambda: False)
            for sock in waiting:
                sock.close()

    def test_keepalive_is_on(self) -> None:
        with serving(silent) as server:
            with tcp_connect("x", server.port, resolve(server.host, server.port)) as sock:
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


class TestHandshake:
    def test_stall_is_named(self) -> None:
        with serving(silent) as server:
            sock = tcp_connect("x", server.port, resolve(server.host, server.port))
            with pytest.raises(Unreachable, match="TLS handshake"):
                tls_handshake(sock, server.host, server.port, timeout_s=0.3)

    def test_something_else_answers(self) -> None:
        def ssh(sock: socket.socket, server: HostileServer) -> None:
            sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            server.stopping.wait(30)

        with serving(ssh) as server, pytest.raises(NotAHypervisor, match="TLS"):
            fetch_certificate(server.host, server.port, 2)

    def test_cut(self) -> None:
        with serving(lambda sock, server: None) as server, pytest.raises(Unreachable):
            fetch_certificate(server.host, server.port, 2)

    def test_certificate_is_described(self) -> None:
        one = Identity("a name")
        with serving(reply(b""), identity=one) as server:
            shown = fetch_certificate(server.host, server.port)
        assert (shown.sha256, shown.subject, shown.issuer) == (one.sha256, "CN=a name", "CN=a name")
        assert shown.not_before is not None
        assert shown.not_after is not None
        assert shown.not_before < shown.not_after


class Outdated(Identity):
    """A server as old as XenServer 6.5: TLS 1.0 and nothing else."""

    def context(self) -> ssl.SSLContext:
        context = super().context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context


@pytest.mark.parametrize("legacy", [False, True])
def test_outdated_tls_only_where_the_user_allowed_it(legacy: bool) -> None:
    old = Outdated("old")
    with serving(reply(b"<a/>"), identity=old) as server:
        wire = Wire(Pins((server.host, server.port, old.sha256)), legacy_tls=legacy)
        connection = wire.connection(server.host, server.port)
        if legacy:
            with wire.call(ACTION):
                assert connection.exchange("GET", "/").body == b"<a/>"
        else:
            with pytest.raises(NotAHypervisor, match="outdated"), wire.call(ACTION):
                connection.exchange("GET", "/")
        connection.close()
