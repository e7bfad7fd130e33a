"""The transport under all three backends: pinned, bounded, cancellable, and never repeating a request by itself.

One ``Wire`` belongs to one logged-in server (or one that is being logged in to). It makes every connection, knows them
all, and ends them all on ``close``. Around each exchange stands ``Wire.call``, which sets the limits and turns every
exception of every library below into our error tree. All methods may be called from any worker thread; ``close`` and
``Call.abort`` from any thread. A connection is used by one thread at a time.

What it never does: follow redirects, ask a proxy, read ``.netrc`` or any variable of the environment, resend.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hvconsole.backends.base import Trust
from hvconsole.backends.certificates import PinnedContext, check_pin
from hvconsole.backends.wire_calls import CONNECT_S, READ, Call, CallLimits, current, entered, shut
from hvconsole.backends.wire_errors import Redirected, translate
from hvconsole.backends.wire_sockets import BoundedSocket, BoundedTlsSocket, resolve, tcp_connect, tls_wrap
from hvconsole.backends.xmlguard import check_xml
from hvconsole.errors import BadReply, SessionLost, Unreachable
from hvconsole.text import safe_text

PIECE_BYTES = 1 << 16
MAX_INTERIM_REPLIES = 8
"""Most "100 Continue" replies before the real one."""


class Wire:
    """All connections of one backend. ``trust`` is asked for the pin of every new connection.

    ``legacy_tls`` allows TLS 1.0; ``client_certificate`` is (certificate file, key file).
    """

    def __init__(
        self, trust: Trust, *, legacy_tls: bool = False, client_certificate: tuple[str, str] | None = None
    ) -> None:
        self._trust = trust
        self._legacy_tls = legacy_tls
        self._client_certificate = client_certificate
        self._context = PinnedContext(legacy=legacy_tls, client_certificate=client_certificate)
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._closed = False

    @property
    def closed(self) -> bool:
        """True once ``close`` was called."""
        return self._closed

    def sibling(self) -> Wire:
        """A new wire with the same trust and settings: for saying goodbye after this one is closed."""
        return Wire(self._trust, legacy_tls=self._legacy_tls, client_certificate=self._client_certificate)

    @contextlib.contextmanager
    def call(
        self, limits: CallLimits = READ, *, write: bool = False, faults: tuple[type[Exception], ...] = ()
    ) -> Iterator[Call]:
        """Run the body as one call under ``limits``; only ``HvError`` and ``faults`` leave it.

        ``write``: once a byte of the request left, a lost or unreadable reply is ``OutcomeUnknown``.
        ``faults``: exceptions by which the client library reports what the server said (XenAPI.Failure and the like).
        """
        with entered(limits) as call:
            try:
                if self._closed:
                    raise SessionLost("The connection was closed.")
                yield call
            except faults:
                raise
            except Exception as exc:
                mapped = translate(exc, call, write=write, closed=self._closed)
                if mapped is exc:
                    raise
                raise mapped from exc

    def connect(self, host: str, port: int, *, tls: bool = True) -> BoundedSocket | BoundedTlsSocket:
        """A connected socket. With ``tls`` the certificate was compared with its pin; nothing was sent yet.

        Raises ``Unreachable``, ``NotAHypervisor``, ``CertificateError``; ``SessionLost`` after ``close``.
        """
        call = current()

        def limit() -> float:
            return CONNECT_S if call is None else call.left(CONNECT_S)

        def wanted() -> bool:
            return not self._closed and not (call is not None and call.aborted)

        plain = tcp_connect(host, port, resolve(host, port, limit(), wanted), limit(), wanted)
        self._keep(plain)
        if not tls:
            return plain
        # The registered socket hands its descriptor over to the TLS one, so for close() register again at once.
        with self._waking(plain):
            wrapped = tls_wrap(plain, self._context, host, port, limit())
        self._keep(wrapped)
        try:
            check_pin(self._trust, host, port, wrapped.getpeercert(binary_form=True))
        except BaseException:
            wrapped.close()
            raise
        return wrapped

    def connection(self, host: str, port: int, *, tls: bool = True) -> WireConnection:
        """An HTTP connection, not yet connected; for one thread at a time. Raises ``Unreachable`` for no address."""
        return WireConnection(self, host, port, tls=tls)

    def close(self) -> None:
        """End every connection; calls blocked in other threads fail at once with ``SessionLost``. Idempotent."""
        with self._lock:
            self._closed = True
            sockets = list(self._sockets)
        for sock in sockets:
            shut(sock)

    def _keep(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)
            closed = self._closed
        if closed:
            sock.close()
            raise SessionLost("The connection was closed.")

    @contextlib.contextmanager
    def _waking(self, plain: socket.socket) -> Iterator[None]:
        """While TLS takes over ``plain``, keep a duplicate by which ``close`` can still wake the handshake."""
        twin = plain.dup()
        self._keep(twin)
        call = current()
        if call is not None:
            call.use(twin)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(twin)
            if call is not None:
                call.release(twin)
            twin.close()


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply. ``body`` is inflated and within the limits; empty where it went into a sink."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


Sink = Callable[[bytes], object]


class BoundedResponse(http.client.HTTPResponse):
    """http.client's response that reads neither interim replies for ever nor a chunk of "-1" bytes to the end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._interim = 0

    def _read_status(self) -> tuple[str, int, str]:
        self._interim += 1
        if self._interim > MAX_INTERIM_REPLIES:
            raise BadReply("The server sends interim replies without end.")
        return super()._read_status()  # type: ignore[misc, no-any-return]

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise BadReply("The server's answer comes in pieces of a size that can't be.", f"a chunk of {size} bytes")
        return size


class WireConnection(http.client.HTTPConnection):
    """``http.client`` connection over the wire: pinned on every (re)connect, bounded replies, redirects refused.

    Libraries that drive an ``http.client`` connection themselves get the whole, inflated, checked body from
    ``getresponse``; our own code uses ``exchange``.
    """

    response_class = BoundedResponse

    def __init__(self, wire: Wire, host: str, port: int, *, tls: bool = True) -> None:
        try:
            super().__init__(host.strip("[]"), port)
        except http.client.InvalidURL as exc:
            raise Unreachable(f"“{safe_text(host, 80)}” isn't an address of a server.", str(exc)[:200]) from exc
        if tls:
            # http.client leaves the default port out of the Host header
            self.default_port = http.client.HTTPS_PORT
        self._wire = wire
        self._tls = tls

    def connect(self) -> None:
        """Connect and compare the certificate; raises as ``Wire.connect``."""
        self.sock = self._wire.connect(self.host, self.port, tls=self._tls)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, on a new connection if the server has closed the kept one meanwhile."""
        if self.sock is not None and not _alive(self.sock):
            self.close()
        super().request(*args, **kwargs)

    def getresponse(self) -> http.client.HTTPResponse:
        """The reply with its whole body read, inflated, capped and, if it is XML, checked."""
        try:
            response = self._begin()
            with _closed_on_error(response):
                _hand_over(response, self._take_all(response))
        except BaseException:
            self.close()
            raise
        return response

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        sink: Sink | None = None,
    ) -> Reply:
        """One request and its reply, inside ``Wire.call``. A ``sink`` gets the inflated body of a 200 in pieces.

        Any exception leaves the connection closed. Bodies of other statuses are returned, cut at 64 KiB.
        """
        try:
            self.request(method, path, body, dict(headers or {}))
        except BaseException:
            self.close()
            raise
        return self.receive(sink=sink)

    def receive(self, *, sink: Sink | None = None) -> Reply:
        """The reply to a request that was sent before with ``request``, inside ``Wire.call``; as ``exchange``."""
        try:
            response = self._begin()
            received = b""
            with _closed_on_error(response):
                if response.status != http.client.OK:
                    received = response.read(PIECE_BYTES)
                elif sink is not None:
                    for piece in _pieces(response):
                        sink(piece)
                else:
                    received = b"".join(_pieces(response))
            if response.will_close or response.status != http.client.OK:
                response.close()
                self.close()
        except BaseException:
            self.close()
            raise
        return Reply(response.status, response.reason, dict(response.getheaders()), received)

    def _begin(self) -> http.client.HTTPResponse:
        response = super().getresponse()
        with _closed_on_error(response):
            self._check_head(response)
        return response

    def _check_head(self, response: http.client.HTTPResponse) -> None:
        if 300 <= response.status < 400:
            location = response.getheader("Location") or ""
            raise Redirected(location)
        call = current()
        if call is not None and (response.length or 0) > call.limits.reply_bytes:
            raise BadReply("The server announced an answer larger than is accepted.", f"{response.length} bytes")

    def _take_all(self, response: http.client.HTTPResponse) -> bytes:
        body = b"".join(_pieces(response))
        call = current()
        if body:
            # Whatever the server calls it: the library that asked parses it as XML.
            check_xml(body, call.limits.elements if call is not None else READ.elements)
        return body


@contextlib.contextmanager
def _closed_on_error(response: http.client.HTTPResponse) -> Iterator[None]:
    """A reply that ends with its connection holds the socket; closing the connection alone would leave it open."""
    try:
        yield
    except BaseException:
        response.close()
        raise


def _alive(sock: socket.socket) -> bool:
    """Whether a kept connection can be used: an HTTP server that says something unasked is saying goodbye."""
    try:
        sock.settimeout(0)
        # For TLS this also takes in session tickets, which are no goodbye.
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return True
    except (OSError, ValueError):
        return False
    finally:
        sock.settimeout(READ.stall_s)
    return False


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    return bounded(inflated(_raw_pieces(response), response.getheader("Content-Encoding") or ""))


def bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces as long as they stay under the cap of the current call. Raises ``BadReply``."""
    call = current()
    cap = call.limits.reply_bytes if call is not None else READ.reply_bytes
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > cap:
            raise BadReply("The server's answer is larger than is accepted.", f"more than {cap} bytes")
        yield piece


def _raw_pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    expected = response.length
    total = 0
    while piece := response.read(PIECE_BYTES):
        total += len(piece)
        yield piece
    if expected is not None and total < expected:
        raise http.client.IncompleteRead(b"", expected - total)


def inflated(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Undo ``Content-Encoding`` piece by piece, so that a bomb costs no more memory than one piece.

    Raises ``BadReply`` for an encoding we did not offer.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BadReply("The server's answer is packed in a way that isn't accepted.", encoding[:60])
    decoder: Any = None
    held = b""
    for piece in pieces:
        if decoder is None:
            piece = held = held + piece
            if len(piece) < 2:
                continue
            # "deflate" comes with a zlib header (right) or bare (common); gzip is recognised by itself
            bare = encoding == "deflate" and (piece[0] & 0x0F != 8 or int.from_bytes(piece[:2], "big") % 31 != 0)
            decoder = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS | 32)
        data = piece
        while data:
            out = decoder.decompress(data, PIECE_BYTES)
            data = decoder.unconsumed_tail
            if out:
                yield out
            elif decoder.eof:
                break
    if decoder is not None:
        yield decoder.flush()
    if held and (decoder is None or not decoder.eof):
        raise BadReply("The server's answer ends in the middle.")


def _hand_over(response: http.client.HTTPResponse, body: bytes) -> None:
    """Make a read response readable once more, from memory, for the library that asked for it."""
    del response.headers["Content-Encoding"]
    response.fp = io.BufferedReader(io.BytesIO(body))
    response.length = len(body)
    response.chunked = False
