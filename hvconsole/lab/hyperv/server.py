"""The HTTP side of a simulated Hyper-V host: listeners for https and http, one thread per connection.

``HypervServer.start`` and ``stop`` may be called from any thread; ``stop`` ends every connection and thread within a
second. Attributes set before or after ``start``: ``service.limits`` (quotas), ``idle_s`` (when idle connections are
cut), ``allow_unencrypted``.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import socket
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hvconsole.lab.hyperv import login
from hvconsole.lab.hyperv.jobs import Jobs
from hvconsole.lab.hyperv.picture import Picture
from hvconsole.lab.hyperv.service import Dropped, Service
from hvconsole.lab.objects import Host, HostState, Site
from hvconsole.lab.sites import Identity, ServerDescription
from hvconsole.lab.world import World

log = logging.getLogger(__name__)

_MAX_BODY = 4 << 20
_SOAP = "application/soap+xml;charset=UTF-8"


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.owner.idle_s)
        owner = self.server.owner
        self.login = login.Login(
            owner.site.user, owner.site.password, owner.binding if self.server.tls else None, strict=owner.cbt_strict
        )

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def do_POST(self) -> None:
        owner = self.server.owner
        body = self._body()
        if body is None:
            self._reply(413)
            self.close_connection = True
            return
        if owner.host.state is not HostState.UP:
            self.close_connection = True
            return
        if self.path.partition("?")[0].lower() != "/wsman":
            self._reply(404)
            return
        if (self.headers.get("WSMANIDENTIFY") or "").lower() == "unauthenticated":
            answer = owner.service.handle(body, auth="", user="")
            self._reply(answer.status, answer.body, _SOAP)
            return
        if self._logged_in():
            self._message(body)

    do_GET = do_POST

    def _body(self) -> bytes | None:
        """The request's body, whole or in chunks; None for one that is too long or not to be read."""
        try:
            if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
                length = int(self.headers.get("Content-Length") or 0)
                return self.rfile.read(length) if 0 <= length <= _MAX_BODY else None
            body = b""
            while size := int(self.rfile.readline(100).partition(b";")[0], 16):
                if not 0 < size <= _MAX_BODY - len(body):
                    return None
                body += self.rfile.read(size)
                self.rfile.readline(100)
            while self.rfile.readline(1000).strip():
                pass  # fields behind the body
        except ValueError:
            return None
        return body

    # ---- login -------------------------------------------------------------------------------------------

    def _logged_in(self) -> bool:
        owner = self.server.owner
        scheme, _, value = (self.headers.get("Authorization") or "").partition(" ")
        scheme = scheme.lower()
        self._basic = False
        if not scheme:
            if self.login.accepted:
                return True
            self._challenge()
            return False
        if scheme == "basic" and (self.server.tls or owner.allow_unencrypted):
            if self.login.basic(value):
                self._basic = True
                return True
            owner.count_refused()
            owner.world_pause()
            self._challenge()
            return False
        if scheme not in ("negotiate", "ntlm"):
            self._challenge()
            return False
        try:
            token = self.login.step(base64.b64decode(value))
        except (login.Refused, binascii.Error):
            owner.count_refused()
            owner.world_pause()
            self._challenge()
            return False
        name = "NTLM" if scheme == "ntlm" else "Negotiate"
        encoded = "" if token is None else " " + base64.b64encode(token).decode()
        if not self.login.accepted:
            self._reply(401, headers=(("WWW-Authenticate", f"{name}{encoded}"),))
            return False
        if encoded:
            # SPNEGO's last word travels with the answer to the request.
            self._last_word = ("WWW-Authenticate", f"{name}{encoded}")
        return True

    _last_word: tuple[str, str] | None = None
    _basic = False

    def _challenge(self) -> None:
        headers = [("WWW-Authenticate", "Negotiate")]
        if self.server.tls or self.server.owner.allow_unencrypted:
            headers.append(("WWW-Authenticate", 'Basic realm="WSMAN"'))
        self._reply(401, headers=tuple(headers))

    # ---- messages ----------------------------------------------------------------------------------------

    def _message(self, body: bytes) -> None:
        owner = self.server.owner
        kind = (self.headers.get("Content-Type") or "").lower()
        sealed = kind.startswith("multipart/encrypted")
        if not body:
            self._reply(200)
            return
        if sealed:
            try:
                body = self.login.open(body)
            except login.Unreadable:
                owner.count_unreadable()
                self._reply(400)
                self.close_connection = True
                return
        elif not self.server.tls and not owner.allow_unencrypted:
            # What a Windows host with default settings says to a message in clear text.
            owner.count_clear(body)
            self._reply(500)
            return
        try:
            answer = owner.service.handle(body, auth="basic" if self._basic else "ntlm", user=owner.site.user)
        except Dropped:
            self.close_connection = True
            return
        if owner.host.state is not HostState.UP:
            self.close_connection = True
            return
        if sealed:
            content_type, payload = self.login.seal(answer.body)
            self._reply(answer.status, payload, content_type)
        else:
            self._reply(answer.status, answer.body, _SOAP)

    def _reply(
        self, status: int, body: bytes = b"", content_type: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self._last_word is not None:
            self.send_header(*self._last_word)
            self._last_word = None
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Listener(ThreadingHTTPServer):
    """A listening socket; knows its connections so that they can be cut."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, owner: HypervServer, address: tuple[str, int], context: ssl.SSLContext | None) -> None:
        self.owner = owner
        self.tls = context is not None
        self._context = context
        self._open: set[socket.socket] = set()
        self._workers: set[threading.Thread] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        sock = request
        with self._lock:
            self._workers.add(threading.current_thread())
        try:
            if self._context is not None:
                sock.settimeout(10)
                sock = self._context.wrap_socket(sock, server_side=True)
            with self._lock:
                self._open.add(sock)
            super().process_request_thread(sock, client_address)
        except OSError:
            self.shutdown_request(sock)
        finally:
            with self._lock:
                self._open.discard(sock)
                self._workers.discard(threading.current_thread())

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a connection of the lab ended: %s", sys.exc_info()[1])

    def cut(self) -> None:
        """End every connection."""
        with self._lock:
            open_now = list(self._open)
        for sock in open_now:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def join(self, timeout_s: float) -> None:
        """Wait for the threads of the connections."""
        with self._lock:
            workers = list(self._workers)
        for worker in workers:
            worker.join(timeout_s)


class HypervServer:
    """The server of one site (= one Hyper-V host)."""

    def __init__(self, world: World, site: Site, identity: Identity, address: str = "127.0.0.1") -> None:
        self.world = world
        self.site = site
        self.host = _host_of(world, site)
        self.binding = login.channel_binding(identity.certificate_pem)
        self.jobs = Jobs(world, site.id)
        self.service = Service(Picture(world, site, self.host, self.jobs))
        self.idle_s = 120.0
        self.allow_unencrypted = False
        self.cbt_strict = False
        """Logins over TLS must be bound to this very TLS connection."""
        self.refused = 0
        """Logins refused so far."""
        self.unreadable = 0
        """Sealed messages that did not open."""
        self.clear: list[bytes] = []
        """Bodies that came over http in clear text; a good client sends none."""
        self._identity = identity
        self._address = address
        self._lock = threading.Lock()
        self._listeners: dict[str, _Listener] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Listen on two free ports of loopback and serve."""
        for scheme, context in (("https", self._identity.context), ("http", None)):
            listener = _Listener(self, (self._address, 0), context)
            self._listeners[scheme] = listener
            thread = threading.Thread(
                target=listener.serve_forever, args=(0.05,), daemon=True, name=f"lab-hyperv-{scheme}"
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End everything; may be called again."""
        for listener in self._listeners.values():
            listener.shutdown()
            listener.server_close()
            listener.cut()
        for thread in self._threads:
            thread.join(1.0)
        for listener in self._listeners.values():
            listener.join(1.0)
        self._threads.clear()

    def cut_connections(self) -> None:
        """Hang up on everybody, as http.sys does with idle connections."""
        for listener in self._listeners.values():
            listener.cut()

    def port(self, scheme: str = "https") -> int:
        """The port of a listener; valid after ``start``."""
        return int(self._listeners[scheme].server_address[1])

    def describe(self) -> ServerDescription:
        """How clients reach it."""
        port = self.port()
        return ServerDescription(
            platform="hyperv",
            name=self.site.name,
            user=self.site.user,
            url=f"hyperv://{self.site.user}@{self._address}:{port}",
            password=self.site.password,
            sha256=self._identity.sha256,
            other_urls=(f"hyperv+http://{self.site.user}@{self._address}:{self.port('http')}",),
        )

    # ---- what the connections report -----------------------------------------------------------------------

    def count_refused(self) -> None:
        """A login was refused."""
        with self._lock:
            self.refused += 1

    def count_unreadable(self) -> None:
        """A sealed message did not open."""
        with self._lock:
            self.unreadable += 1

    def count_clear(self, body: bytes) -> None:
        """A body came in clear text."""
        with self._lock:
            self.clear.append(body)

    def world_pause(self) -> None:
        """How long a wrong password takes."""
        if self.world.timing.login_refused:
            threading.Event().wait(self.world.timing.login_refused)


def _host_of(world: World, site: Site) -> Host:
    return next(host for host in world.hosts.values() if host.site_id == site.id)
