"""The network side of a vSphere site: one TLS listener, a thread per connection, SOAP and the disks of leases.

``start`` and ``stop`` from one thread at a time; ``stop`` ends every connection and thread within a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import logging
import re
import socket
import ssl
import threading
import urllib.parse
from typing import Any

from hvconsole.lab.faults import Effect, FaultRule
from hvconsole.lab.objects import Power, Site
from hvconsole.lab.screens import draw
from hvconsole.lab.sites import Identity, ServerDescription
from hvconsole.lab.vsphere import http_files, releases, wsdl
from hvconsole.lab.vsphere.faults import SoapFault
from hvconsole.lab.vsphere.leases import content
from hvconsole.lab.vsphere.service import Service
from hvconsole.lab.vsphere.soap import Call, parse, refusal, reply
from hvconsole.lab.vsphere.state import Session
from hvconsole.lab.world import World

_log = logging.getLogger(__name__)

_HANDSHAKE_S = 10.0
_IDLE_S = 3_600.0
_MAX_BODY = 32 << 20
_PIECE = 1 << 16
_COOKIE = re.compile(r'vmware_soap_session="?([0-9a-f]+)')
VERSIONS: dict[str, tuple[str, ...]] = {
    "6.5": ("6.5", "6.0", "5.5", "5.1", "5.0"),
    "7.0": ("7.0.3.0", "7.0.2.0", "7.0.1.0", "7.0", "6.7.3", "6.7.1", "6.7", "6.5", "6.0", "5.5"),
    "8.0": ("8.0.2.0", "8.0.1.0", "8.0.0.1", "7.0.3.2", "7.0.3.0", "7.0", "6.7", "6.5", "6.0", "5.5"),
}
"""Release → API versions that its servers offer, newest first."""


class Dropped(Exception):
    """A fault rule closes the connection."""


class VsphereSite:
    """A vCenter or an ESXi host that serves."""

    def __init__(self, world: World, site: Site, identity: Identity, address: str = "127.0.0.1") -> None:
        self._world = world
        self._site = site
        self._identity = identity
        self._address = address
        self.service = Service(world, site, identity)
        self.context = identity.context
        """What the next connection presents; tests swap it."""
        self._server: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def sessions(self) -> Any:
        """The server's sessions."""
        return self.service.sessions

    def start(self) -> None:
        """Bind and begin to accept."""
        self.service.ended.clear()
        self._server = _Listener((self._address, int(self._site.extra.get("listen_port", 0))), self)
        self._site.extra["port"] = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name=f"lab-vsphere-{self._site.name[:20]}",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.refuse()
        self.service.ended.set()
        self.service.sessions.expire_all()
        self._world.poke()
        server.cut_all()
        server.server_close()
        if self._thread is not None:
            self._thread.join(2)
        server.join_all()

    def describe(self) -> ServerDescription:
        """How clients reach it."""
        user = urllib.parse.quote(self._site.user, safe="")
        port = self._site.extra["port"]
        address = f"[{self._address}]" if ":" in self._address else self._address
        return ServerDescription(
            platform="vsphere",
            name=self._site.name,
            user=self._site.user,
            password=self._site.password,
            url=f"vsphere://{user}@{address}:{port}",
            sha256=self._identity.sha256,
            members=(),
        )


class _Listener(http.server.ThreadingHTTPServer):
    daemon_workers = True
    block_on_close = False
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], site: VsphereSite) -> None:
        self.site = site
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._open: set[socket.socket] = set()
        self._workers: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._stopping = False
        super().__init__(address, _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        thread = threading.current_thread()
        with self._lock:
            self._workers.add(thread)
            self._open.add(request)
        wrapped: Any = request
        try:
            request.settimeout(_HANDSHAKE_S)
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # the TLS socket takes over the descriptor: register it before the handshake, or nobody could cut that
            wrapped = self.site.context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            with self._lock:
                self._open.discard(request)
                self._open.add(wrapped)
                stopping = self._stopping
            if stopping:
                return
            wrapped.do_handshake()
            wrapped.settimeout(_IDLE_S)
            self.finish_request(wrapped, client_address)
        except (OSError, ssl.SSLError, ValueError):
            pass  # clients come and go
        except Exception:  # noqa: BLE001 - outer edge of the connection's thread
            _log.exception("a connection of the lab failed")
        finally:
            with self._lock:
                self._open.discard(wrapped)
                self._open.discard(request)
                self._workers.discard(thread)
            with contextlib.suppress(OSError):
                wrapped.close()

    def refuse(self) -> None:
        """Serve nobody from now on, not even those who are being accepted."""
        with self._lock:
            self._stopping = True

    def cut_all(self) -> None:
        """End all connections."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def join_all(self) -> None:
        """Wait for the connections' threads."""
        with self._lock:
            threads = list(self._workers)
        for thread in threads:
            thread.join(2)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "VMware"
    wbufsize = -1
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on standard error."""

    @property
    def _service(self) -> Service:
        return self.server.site.service

    def do_GET(self) -> None:
        """Versions, pictures of screens, files of datastores, and the disks of exports."""
        if self._gone():
            return
        path = urllib.parse.urlsplit(self.path).path
        if path in ("/sdk/vimServiceVersions.xml", "/sdk/vimServiceVersions.xml/"):
            self._send(200, _versions(self._service).encode(), "text/xml; charset=utf-8")
        elif path == "/sdk/vimService.wsdl" or (path.rstrip("/") == "/sdk" and self.path.endswith("?wsdl")):
            self._send(200, wsdl.service(), "text/xml; charset=utf-8")
        elif path in ("/sdk/vim.wsdl", "/vim.wsdl"):
            self._send(
                200, wsdl.interface(str(self._service.site.extra.get("api", "8.0.2.0"))), "text/xml; charset=utf-8"
            )
        elif path == "/screen":
            self._screen()
        elif path.startswith("/nfc/"):
            self._download(path)
        elif path == "/folder" or path.startswith("/folder/"):
            self._file()
        else:
            self._send(404, b"not found", "text/plain")

    do_HEAD = do_GET

    def _file(self) -> None:
        if self._allowed():
            status, kind, body = http_files.answer(self._service, self.path)
            self._send(status, body, kind)

    def _allowed(self) -> bool:
        """Whether somebody who is logged in asks, or brings name and password; a refusal is sent."""
        if self._session() is not None or http_files.password_given(
            self._service, self.headers.get("Authorization", "")
        ):
            return True
        self._send(401, b"", "text/plain", {"WWW-Authenticate": 'Basic realm="VMware HTTP server"'})
        return False

    def do_POST(self) -> None:
        """SOAP, and the disks of imports."""
        if self._gone():
            return
        path = urllib.parse.urlsplit(self.path).path
        if path.startswith("/nfc/"):
            self._upload(path)
            return
        body = self._read()
        if body is None:
            return
        if path.rstrip("/") not in ("/sdk", "/sdk/vimService"):
            self._send(404, b"not found", "text/plain")
            return
        spoken = releases.asked(self.headers.get("SOAPAction", ""))
        own = releases.read(VERSIONS[str(self._service.site.extra.get("release", "8.0"))][0])
        try:
            with releases.speaking(spoken, own):
                self._soap(body)
        except Dropped:
            self.close_connection = True

    def do_PUT(self) -> None:
        """The disks of imports."""
        if not self._gone():
            self._upload(urllib.parse.urlsplit(self.path).path)

    def _gone(self) -> bool:
        """An ESXi host that is down answers nothing."""
        if self._service.away:
            self.close_connection = True
            return True
        return False

    def _session(self) -> Session | None:
        """The session whose cookie came along."""
        found = _COOKIE.search(self.headers.get("Cookie", ""))
        return self._service.sessions.get(found.group(1)) if found else None

    # ---- screens -----------------------------------------------------------------------------------------

    def _screen(self) -> None:
        """A PNG of the VM ``id``, for those who are logged in."""
        if not self._allowed():
            return
        wanted = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("id", [""])[0]
        world = self.server.site._world
        with world.lock:
            vm = world.vms.get(wanted) if self._service.tree.kind(wanted) == "VirtualMachine" else None
            picture = draw(vm, "PNG") if vm is not None and vm.power is Power.RUNNING else None
        if picture is None:
            self._send(404, b"no such screen", "text/plain")
        else:
            self._send(200, picture, "image/png")

    # ---- SOAP --------------------------------------------------------------------------------------------

    def _soap(self, body: bytes) -> None:
        try:
            call = parse(body)
        except ValueError as exc:
            fault = SoapFault("InvalidRequest", f"The request can't be read: {exc}")
            self._send(500, refusal(fault.envelope()), "text/xml; charset=utf-8")
            return
        service = self._service
        session = self._session()
        rule = self.server.site._world.faults.decide(service.site.id, call.method, service.concerned(call))
        if rule is not None:
            service.ended.wait(rule.delay_s)
            if rule.effect is Effect.DROP_BEFORE:
                raise Dropped
            if rule.effect is Effect.GARBAGE:
                self._send(200, rule.body, "text/xml; charset=utf-8")
                return
        status, answer = self._answer(call, session, rule)
        if rule is not None and rule.effect is Effect.DROP_AFTER:
            raise Dropped
        cookie = call.element.get("session")
        headers = {"Set-Cookie": f'vmware_soap_session="{cookie}"; Path=/; HttpOnly; Secure;'} if cookie else {}
        self._send(status, answer, "text/xml; charset=utf-8", headers)

    def _answer(self, call: Call, session: Session | None, rule: FaultRule | None) -> tuple[int, bytes]:
        try:
            if rule is not None and rule.effect is Effect.FAULT:
                raise SoapFault(rule.code or "SystemError", ", ".join(rule.params))
            return 200, reply(call.method, self._service.call(call, session))
        except SoapFault as fault:
            return 500, refusal(fault.envelope())
        except Exception as exc:  # noqa: BLE001 - a defect of the lab must be an answer, not a lost connection
            _log.exception("%s failed", call.method)
            return 500, refusal(SoapFault("SystemError", type(exc).__name__, reason="").envelope())

    # ---- disks -------------------------------------------------------------------------------------------

    def _download(self, path: str) -> None:
        file = self._service.leases.open_file(*_lease_path(path))
        if file is None:
            self._send(404, b"no such lease", "text/plain")
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-vnd.vmware-streamVmdk")
        # as servers do: the length is not known before the disk was packed
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        pause = float(self.server.site._site.extra.get("transfer_pause_s", 0.0))
        for piece in content(file):
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            if pause:
                self.wfile.flush()
                self._service.ended.wait(pause)
        self.wfile.write(b"0\r\n\r\n")

    def _upload(self, path: str) -> None:
        file = self._service.leases.open_file(*_lease_path(path))
        length = self.headers.get("Content-Length", "")
        if file is None or not length.isdigit():
            self.close_connection = True
            self._send(404, b"no such lease", "text/plain")
            return
        digest = hashlib.sha256()
        left = int(length)
        pause = float(self.server.site._site.extra.get("transfer_pause_s", 0.0))
        while left:
            piece = self.rfile.read(min(_PIECE, left))
            if not piece:
                self.close_connection = True
                return
            digest.update(piece)
            left -= len(piece)
            if pause:
                self._service.ended.wait(pause)
        file.received, file.received_bytes = digest.hexdigest(), int(length)
        self._send(200, b"", "text/plain")

    # ---- bytes -------------------------------------------------------------------------------------------

    def _read(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MAX_BODY:
            self.close_connection = True
            self._send(413, b"", "text/plain")
            return None
        return self.rfile.read(int(length))

    def _read_chunks(self) -> bytes | None:
        body = b""
        while True:
            try:
                size = int(self.rfile.readline(100).split(b";")[0].strip() or b"0", 16)
            except ValueError:
                size = -1
            if not 0 <= size <= _MAX_BODY - len(body):
                self.close_connection = True
                return None
            if not size:
                self.rfile.readline(100)
                return body
            body += self.rfile.read(size)
            self.rfile.readline(100)

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _lease_path(path: str) -> tuple[str, str]:
    parts = urllib.parse.unquote(path).split("/")
    return (parts[2], parts[3]) if len(parts) == 4 else ("", "")


def _versions(service: Service) -> str:
    release = str(service.site.extra.get("release", "8.0"))
    newest, *older = VERSIONS[release]
    # newer servers name an opaque build first, and the dotted ones only as earlier versions
    first = f"9.{service.site.id[:8]}.build" if release == "8.0" else newest
    listed = [newest, *older] if release == "8.0" else older
    prior = "".join(f"<version>{version}</version>" for version in listed)
    return (
        '<?xml version="1.0" encoding="UTF-8" ?>\n<namespaces version="1.0"><namespace><name>urn:vim25</name>'
        f"<version>{first}</version><priorVersions>{prior}</priorVersions></namespace>"
        "<namespace><name>urn:vim2</name><version>2.0</version></namespace></namespaces>"
    )
