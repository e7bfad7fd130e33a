"""Servers that answer badly on purpose, on loopback: one connection at a time, scripted by a function."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hvconsole.model import Certificate

Script = Callable[[socket.socket, "HostileServer"], None]


class Identity:
    """A self-signed certificate with its key, as files for ``ssl``."""

    def __init__(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + dt.timedelta(days=3650))
            .sign(key, hashes.SHA256())
        )
        self.sha256 = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
        self._pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def pem(self) -> str:
        """The certificate alone."""
        return self._pem.decode().partition("-----BEGIN PRIVATE")[0]

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "both.pem"
            file.write_bytes(self._pem)
            context.load_cert_chain(file)
        return context


@cache
def identity(name: str) -> Identity:
    """One certificate per name and test run."""
    return Identity(name)


class Pins:
    """A trust store for tests: pins by address."""

    def __init__(self, *pins: tuple[str, int, str]) -> None:
        self.pins = {(host, port): sha256 for host, port, sha256 in pins}

    def pinned(self, host: str, port: int) -> Certificate | None:
        sha256 = self.pins.get((host, port))
        return None if sha256 is None else Certificate(host=host, port=port, sha256=sha256)


class HostileServer:
    """Runs ``script`` for every connection, after the TLS handshake if it has an ``identity``.

    ``received`` collects every byte that clients sent inside TLS; ``connections`` counts accepted ones.
    """

    def __init__(self, script: Script, *, identity: Identity | None = None, host: str = "127.0.0.2") -> None:
        self.script = script
        self.identity = identity
        self.host = host
        self.received = bytearray()
        self.connections = 0
        self.stopping = threading.Event()
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __enter__(self) -> HostileServer:
        self._start(self._accept)
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in list(self._threads):
            thread.join(5)

    def cut_all(self) -> None:
        """Cut every connection that is open."""
        with self._lock:
            sockets = list(self._open)
        for sock in sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, name="hostile-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _peer = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with self._lock:
                self._open.add(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        raw = sock
        try:
            sock.settimeout(60)
            if self.identity is not None:
                sock = self.identity.context().wrap_socket(sock, server_side=True)
                with self._lock:
                    self._open.add(sock)
            self.script(sock, self)
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open -= {raw, sock}
            sock.close()
            raw.close()

    def read_request(self, sock: socket.socket) -> bytes:
        """One whole HTTP request; an empty result means that the client went away."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return b""
            self.received += piece
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            piece = sock.recv(65536)
            if not piece:
                return b""
            self.received += piece
            body += piece
        return head + b"\r\n\r\n" + body


def reply(body: bytes, *headers: str, status: str = "200 OK", content_type: str = "text/xml") -> Script:
    """Answer every request with the same reply."""
    head = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers]
    data = "\r\n".join([*head, "", ""]).encode() + body

    def script(sock: socket.socket, server: HostileServer) -> None:
        while server.read_request(sock):
            sock.sendall(data)

    return script


def raw(*pieces: bytes, pause: float = 0.0, endless: bytes = b"") -> Script:
    """After one request send ``pieces`` (``pause`` seconds apart), then ``endless`` for ever, then stay silent."""

    def script(sock: socket.socket, server: HostileServer) -> None:
        server.read_request(sock)
        for piece in pieces:
            sock.sendall(piece)
            if pause and server.stopping.wait(pause):
                return
        while endless and not server.stopping.wait(pause):
            sock.sendall(endless)
        server.stopping.wait(60)

    return script


@contextlib.contextmanager
def serving(script: Script, *, identity: Identity | None = None, host: str = "127.0.0.2") -> Iterator[HostileServer]:
    """A hostile server for the length of a test."""
    with HostileServer(script, identity=identity, host=host) as server:
        yield server
