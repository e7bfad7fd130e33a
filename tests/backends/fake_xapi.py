"""A xapi of a few lines on loopback, for what the lab would never do: each test says how calls are answered."""

from __future__ import annotations

import contextlib
import socket
import xmlrpc.client
from collections.abc import Callable, Iterator
from typing import Any

from hvconsole.backends.base import Secret, Target
from hvconsole.backends.wire import Wire
from hvconsole.backends.xen_session import XenSession

from .hostile import HostileServer, Pins, identity

PASSWORD = "cAnArY-password"


class Drop(Exception):
    """Raise it in a handler: the connection is cut without a reply."""


class Raw(Exception):
    """Raise it in a handler: these bytes are the whole reply body."""

    def __init__(self, body: bytes) -> None:
        self.body = body


class Refuse(Exception):
    """Raise it in a handler: a XenAPI failure."""

    def __init__(self, *details: Any) -> None:
        self.details = list(details)


class FakeXapi:
    """Methods by name; unknown ones are MESSAGE_METHOD_UNKNOWN. ``calls`` records (method, params) as they come."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.logins = 0
        self.methods: dict[str, Callable[..., Any]] = {
            "session.login_with_password": self._login,
            "session.logout": lambda session: "",
        }

    def _login(self, *params: Any) -> str:
        self.logins += 1
        return f"OpaqueRef:session{self.logins}"

    def count(self, method: str) -> int:
        return sum(name == method for name, _params in self.calls)

    def answer(self, body: bytes) -> bytes:
        params, method = xmlrpc.client.loads(body)
        assert method is not None
        self.calls.append((method, params))
        try:
            handler = self.methods.get(method)
            if handler is None:
                raise Refuse("MESSAGE_METHOD_UNKNOWN", method)
            result: dict[str, Any] = {"Status": "Success", "Value": handler(*params)}
        except Refuse as exc:
            result = {"Status": "Failure", "ErrorDescription": exc.details}
        except Raw as exc:
            return exc.body
        return xmlrpc.client.dumps((result,), methodresponse=True).encode()

    def serve(self, sock: socket.socket, server: HostileServer) -> None:
        while request := server.read_request(sock):
            head, _, body = request.partition(b"\r\n\r\n")
            if head.startswith(b"POST /jsonrpc"):
                sock.sendall(b"HTTP/1.1 500 Internal Error\r\nContent-Length: 0\r\n\r\n")
                return
            try:
                reply = self.answer(body)
            except Drop:
                return
            sock.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply
            )


@contextlib.contextmanager
def fake_xapi(*, host: str = "127.0.0.2") -> Iterator[tuple[FakeXapi, HostileServer]]:
    """A fake behind TLS."""
    xapi = FakeXapi()
    with HostileServer(xapi.serve, identity=identity("xapi"), host=host) as server:
        yield xapi, server


def pins(server: HostileServer) -> Pins:
    assert server.identity is not None
    return Pins((server.host, server.port, server.identity.sha256))


def target(server: HostileServer, **fields: Any) -> Target:
    return Target(platform="xenserver", addresses=((server.host, server.port),), user="root", **fields)


@contextlib.contextmanager
def session_to(server: HostileServer) -> Iterator[XenSession]:
    """Logged in at the fake."""
    wire = Wire(pins(server))
    session = XenSession(wire, (server.host, server.port), "root", Secret(password=PASSWORD))
    try:
        yield session
    finally:
        wire.close()
        session.log_out()
