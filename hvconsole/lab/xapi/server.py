"""The pool's network side: one TLS listener per member, a thread per connection.

``serve`` makes the ``SiteServer`` of a XenServer site. All members use one port on loopback addresses of their own
(127.0.0.1, .2, …), because HOST_IS_SLAVE names an address only. A host that is not up has no listener and no
connections. Where only 127.0.0.1 exists, members get ports of their own.
"""

from __future__ import annotations

import contextlib
import http.server
import logging
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from hvconsole.lab.objects import HostState, Site
from hvconsole.lab.sites import Identity, ServerDescription
from hvconsole.lab.world import Change, World
from hvconsole.lab.xapi import handlers, jsonrpc, xmlrpc
from hvconsole.lab.xapi.dispatch import Dispatcher, Dropped, Verbatim, all_methods
from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.pool import Member, Pool

_log = logging.getLogger(__name__)

_HANDSHAKE_S = 10.0
_GOODBYE_S = 2.0
_IDLE_S = 3_600.0
_MAX_BODY = 32 << 20
_PORT_TRIES = 20
_LINGER_S = 0.5
_RETRY_S = 0.5
_LINGER_BYTES = 64 << 20


def _nothing() -> None:
    """Before there is anything to stop."""


class XapiSite:
    """A pool that serves. ``start`` and ``stop`` from one thread at a time."""

    def __init__(self, world: World, site: Site, identity: Identity) -> None:
        self._world = world
        self._site = site
        self._identity = identity
        self.pool = Pool(world, site)
        self.pool.certificate_pem = identity.certificate_pem.decode()
        self.dispatcher = Dispatcher(self.pool)
        self._listeners: dict[str, socket.socket] = {}
        self._connections: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self._adjusted = threading.Condition(self._lock)
        self._selector = selectors.DefaultSelector()
        self._wake = socket.socketpair()
        self._threads: set[threading.Thread] = set()
        self._acceptor: threading.Thread | None = None
        self._stopping = False
        self._retry = False
        self._unlisten: Callable[[], None] = _nothing

    # ---- life --------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bind every member, fill the database, begin to accept."""
        hosts = self._world.of_site(self._world.hosts.values(), self._site.id)
        hosts.sort(key=lambda host: host.id != self._site.master_id)
        bound = self._bind(len(hosts))
        with self._world.lock:
            for host, listener in zip(hosts, bound, strict=True):
                address, port = listener.getsockname()[:2]
                self.pool.members[host.id] = Member(host.id, address, port, self._site.master_id or host.id)
                self._listeners[host.id] = listener
                host.extra.setdefault("address_before", host.address)
                host.address = address
                self._world.changed(host)
            self._site.extra["port"] = bound[0].getsockname()[1]
            self.pool.open()
            self._unlisten = self._world.listen(self._follow)
        self._selector.register(self._wake[0], selectors.EVENT_READ, None)
        for host_id, listener in self._listeners.items():
            self._selector.register(listener, selectors.EVENT_READ, host_id)
        self._acceptor = threading.Thread(target=self._accept, name=f"lab-xapi-{self._site.name}", daemon=True)
        self._acceptor.start()

    @staticmethod
    def _bind(number: int) -> list[socket.socket]:
        for _ in range(_PORT_TRIES):
            bound: list[socket.socket] = []
            port = 0
            try:
                for position in range(number):
                    bound.append(_listener(f"127.0.0.{position + 1}", port))
                    port = bound[0].getsockname()[1]
            except OSError:
                for listener in bound:
                    listener.close()
                continue
            return bound
        return [_listener("127.0.0.1", 0) for _ in range(number)]

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self._stopping = True
        self._unlisten()
        self.pool.close()
        self._wake[1].send(b"x")
        if self._acceptor is not None:
            self._acceptor.join(2)
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            _cut(connection)
        for thread in threads:
            thread.join(2)
        for listener in self._listeners.values():
            listener.close()
        self._selector.close()
        for end in self._wake:
            end.close()

    def describe(self) -> ServerDescription:
        """How clients reach the master."""
        master = self.pool.master_member() or next(iter(self.pool.members.values()))
        ordered = sorted(self.pool.members.values(), key=lambda member: member is not master)
        return ServerDescription(
            platform="xenserver",
            name=self._site.name,
            user=self._site.user,
            password=self._site.password,
            url=f"xenserver://{self._site.user}@{master.address}:{master.port}",
            sha256=self._identity.sha256,
            members=tuple(f"{member.address}:{member.port}" for member in ordered),
        )

    @property
    def stopping(self) -> bool:
        """True once ``stop`` was called."""
        return self._stopping

    # ---- hosts that come and go --------------------------------------------------------------------------

    def _follow(self, change: Change) -> None:
        if change.kind == "host" and change.site_id == self._site.id:
            with contextlib.suppress(OSError):
                self._wake[1].send(b"h")

    def _adjust_listeners(self) -> None:
        """Close listeners of dead hosts, open those of hosts that are back. Acceptor thread."""
        self._retry = False
        with self._world.lock:
            states = {member.host_id: self.pool.member_host(member).state for member in self.pool.members.values()}
        for host_id, member in self.pool.members.items():
            up = states[host_id] is HostState.UP
            listener = self._listeners.get(host_id)
            if not up and listener is not None:
                self._selector.unregister(listener)
                listener.close()
                del self._listeners[host_id]
                self._drop_connections(host_id)
            elif up and listener is None:
                try:
                    listener = _listener(member.address, member.port)
                except OSError:  # somebody took the port meanwhile: tried again soon
                    self._retry = True
                    continue
                self._listeners[host_id] = listener
                self._selector.register(listener, selectors.EVENT_READ, host_id)

        with self._adjusted:
            self._adjusted.notify_all()

    def wait_listening(self, host_id: str, *, listening: bool, timeout_s: float) -> bool:
        """Wait until a host that died is silent, or one that came back is heard; False at the time limit."""
        with self._adjusted:
            return self._adjusted.wait_for(lambda: (host_id in self._listeners) is listening, timeout_s)

    def _drop_connections(self, host_id: str) -> None:
        with self._lock:
            doomed = [connection for connection, owner in self._connections.items() if owner == host_id]
        for connection in doomed:
            _cut(connection)

    # ---- connections -------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self._stopping:
            if self._retry:
                self._adjust_listeners()
            for key, _ in self._selector.select(_RETRY_S if self._retry else None):
                if key.data is None:
                    self._wake[0].recv(4096)
                    self._adjust_listeners()
                    continue
                try:
                    connection, peer = key.fileobj.accept()  # type: ignore[union-attr]  # only listeners have data
                except OSError:
                    continue
                self._begin(connection, peer, key.data)

    def _begin(self, connection: socket.socket, peer: Any, host_id: str) -> None:
        member = self.pool.members[host_id]
        thread = threading.Thread(
            target=self._converse,
            args=(connection, peer, member),
            daemon=True,
            name=f"lab-xapi-{member.address}-{peer[1]}",
        )
        with self._lock:
            self._threads.add(thread)
            self._connections[connection] = host_id
        thread.start()

    def _converse(self, connection: socket.socket, peer: Any, member: Member) -> None:
        secured: ssl.SSLSocket | None = None
        try:
            connection.settimeout(_HANDSHAKE_S)
            secured = self._identity.context.wrap_socket(connection, server_side=True)
            with self._lock:
                host_id = self._connections.pop(connection, member.host_id)
                self._connections[secured] = host_id
            if not self._stopping:
                secured.settimeout(_IDLE_S)
                secured.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Conversation(secured, peer, self, member)
                _say_goodbye(secured)
        except (OSError, ssl.SSLError, ValueError):
            _log.debug("connection from %s ended", peer)
        finally:
            with self._lock:
                self._connections.pop(connection, None)
                if secured is not None:
                    self._connections.pop(secured, None)
                self._threads.discard(threading.current_thread())
            for sock in (secured, connection):
                if sock is not None:
                    sock.close()


def _listener(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _say_goodbye(secured: ssl.SSLSocket) -> None:
    """End TLS as stunnel in front of a real xapi does: it is what marks the end of an answer without length."""
    with contextlib.suppress(OSError, ValueError):
        secured.settimeout(_GOODBYE_S)
        secured.unwrap()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Conversation(http.server.BaseHTTPRequestHandler):
    """The requests of one connection. Runs to its end in the constructor, as its base class has it."""

    protocol_version = "HTTP/1.1"
    server_version = "xapi/24.19"
    sys_version = ""
    wbufsize = 1 << 16

    def __init__(self, connection: socket.socket, peer: Any, site: XapiSite, member: Member) -> None:
        self.site = site
        self.member = member
        super().__init__(connection, peer, site)  # type: ignore[arg-type]  # the base class only stores the server

    def log_message(self, format: str, *args: Any) -> None:
        """Request lines carry session references: they are not logged."""

    def do_POST(self) -> None:
        """Every path but /jsonrpc is XML-RPC, as xapi's longest-prefix match makes it."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MAX_BODY:
            self.error(411 if not length else 413)
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        try:
            if self.path.partition("?")[0].rstrip("/").endswith("/jsonrpc"):
                self._reply(self._json(body), "application/json")
            else:
                self._reply(self._xml(body), "text/xml")
        except xmlrpc.Malformed:
            self.error(500)
        except Verbatim as verbatim:
            self._reply(verbatim.body, "text/xml")
        except Dropped:
            self.close_connection = True

    def _xml(self, body: bytes) -> bytes:
        name, params = xmlrpc.read_call(body)
        if name == "system.listMethods":
            return xmlrpc.success(all_methods(), enveloped=False)
        try:
            return xmlrpc.success(self.site.dispatcher.call(self.member, name, params))
        except Failure as failure:
            return xmlrpc.failure(failure)

    def _json(self, body: bytes) -> bytes:
        call = jsonrpc.read_call(body)
        if call.method == "system.listMethods":
            return jsonrpc.success(call, all_methods())
        try:
            return jsonrpc.success(call, self.site.dispatcher.call(self.member, call.method, call.params))
        except Failure as failure:
            return jsonrpc.failure(call, failure)

    def _reply(self, body: bytes, content_type: str) -> None:
        self.send_response_only(200, "OK")
        self.send_header("connection", "close" if self.close_connection else "keep-alive")
        self.send_header("cache-control", "no-cache, no-store")
        self.send_header("content-type", content_type)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def page(self, status: int, html: str) -> None:
        """A page and the end of the connection."""
        body = html.encode()
        self.send_response_only(status, self.responses[status][0])
        for name, value in (
            ("connection", "close"),
            ("cache-control", "no-cache, no-store"),
            ("content-type", "text/html"),
            ("content-length", str(len(body))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True

    def error(self, status: int, extra: dict[str, str] | None = None) -> None:
        """An HTML page with a status, and the end of the connection."""
        reason = self.responses.get(status, ("Error", ""))[0]
        body = f"<html><body><h1>HTTP {status} {reason}</h1></body></html>".encode()
        self.send_response_only(status, reason)
        for name, value in {
            "connection": "close",
            "cache-control": "no-cache, no-store",
            "content-type": "text/html",
            "content-length": str(len(body)),
            **(extra or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True
        if self.command == "PUT":
            self._linger()

    def _linger(self) -> None:
        """Read on for a moment: a client that is still sending would see a reset instead of the answer."""
        self.connection.settimeout(_LINGER_S)
        left = _LINGER_BYTES
        with contextlib.suppress(OSError):
            while left > 0 and not self.site.stopping:
                data = self.connection.recv(1 << 16)
                if not data:
                    return
                left -= len(data)

    def do_GET(self) -> None:
        """Downloads, statistics, pictures."""
        handlers.get(self)

    def do_PUT(self) -> None:
        """Uploads."""
        handlers.put(self)

    def do_CONNECT(self) -> None:
        """Consoles."""
        handlers.console(self)


def serve(world: World, site: Site, identity: Identity) -> XapiSite:
    """The server of a XenServer site."""
    from hvconsole.lab.xapi import (  # noqa: F401 - importing registers the messages
        events,
        host_methods,
        migration,
        more_methods,
        session_methods,
        storage_methods,
        vm_making,
        vm_methods,
    )

    return XapiSite(world, site, identity)
