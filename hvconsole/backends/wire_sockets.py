"""Sockets that keep the limits of the call they serve, and the steps by which one is made.

Every receive and send asks ``wire_calls.current()`` how long it may take, so a server that drips one byte a second
cannot outlast its call. The steps (``resolve``, ``tcp_connect``, ``tls_handshake``) are public for the connection
doctor. Worker threads only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from hvconsole.backends.certificates import PinnedContext, describe
from hvconsole.backends.wire_calls import CONNECT_S, current, now_s
from hvconsole.errors import NotAHypervisor, SessionLost, Unreachable
from hvconsole.model import Certificate

Address = tuple[int, tuple[Any, ...]]
"""Address family and socket address, as ``getaddrinfo`` gives them."""

MOST_ADDRESSES = 8
"""Addresses of one name that are tried: each gets half a second at least, and a name may have hundreds."""
_SLICE_S = 0.2
"""How often a wait that no socket can interrupt looks whether it is still wanted."""


class BoundedSocket(socket.socket):
    """A plain TCP socket under the limits of the current call."""

    def _arm(self) -> None:
        call = current()
        if call is not None:
            call.use(self)
            self.settimeout(call.left())

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        return super().recv_into(*args, **kwargs)

    def sendall(self, data: Any, *args: Any) -> None:
        with memoryview(data) as view, view.cast("B") as octets:
            sent = 0
            while sent < len(octets):
                self._arm()
                _mark_sent()
                sent += super().send(octets[sent : sent + 65536], *args)


class BoundedTlsSocket(ssl.SSLSocket):
    """A TLS socket under the limits of the current call."""

    def _arm(self) -> None:
        call = current()
        if call is not None:
            call.use(self)
            self.settimeout(call.left())

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self._arm()
        try:
            return super().recv_into(*args, **kwargs)
        except ssl.SSLEOFError as exc:
            # the same event as a reset connection, so that nobody needs to know two
            raise ConnectionResetError(errno.ECONNRESET, "the connection was cut without a goodbye") from exc

    def sendall(self, data: Any, flags: int = 0) -> None:
        with memoryview(data) as view, view.cast("B") as octets:
            sent = 0
            while sent < len(octets):
                self._arm()
                _mark_sent()
                sent += super().send(octets[sent : sent + 65536], flags)


def _mark_sent() -> None:
    call = current()
    if call is not None:
        call.sent = True


def resolve(
    host: str, port: int, timeout_s: float = CONNECT_S, wanted: Callable[[], bool] = lambda: True
) -> list[Address]:
    """Addresses of ``host``, best first. ``wanted`` is asked now and then; False ends the wait with ``SessionLost``.

    Raises ``Unreachable``. A name lookup cannot be interrupted, so it runs in a thread of its own that is left behind
    when it hangs; numeric addresses need none.
    """
    with contextlib.suppress(socket.gaierror, UnicodeError):
        return _addresses(host, port, socket.AI_NUMERICHOST)
    found: list[Address] = []
    failed: list[Exception] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            found.extend(_addresses(host, port, 0))
        except (OSError, UnicodeError) as exc:
            failed.append(exc)
        finally:
            done.set()

    threading.Thread(target=look_up, name=f"resolve-{host[:40]}", daemon=True).start()
    end = now_s() + timeout_s
    while not done.wait(_SLICE_S):
        if not wanted():
            raise SessionLost("The connection was closed.")
        if now_s() > end:
            raise Unreachable(f"The name {host} could not be looked up within {timeout_s:.0f} seconds.")
    if failed or not found:
        raise Unreachable(f"The name {host} is not known.", str(failed[0]) if failed else "")
    return found


def _addresses(host: str, port: int, flags: int) -> list[Address]:
    rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _type, _proto, _name, address in rows]


def tcp_connect(
    host: str,
    port: int,
    addresses: list[Address],
    timeout_s: float = CONNECT_S,
    wanted: Callable[[], bool] = lambda: True,
) -> BoundedSocket:
    """A connected TCP socket to the first address that answers. ``host`` and ``port`` are for the message.

    Raises ``Unreachable``; ``SessionLost`` when ``wanted`` turns False meanwhile.
    """
    end = now_s() + timeout_s
    last = ""
    addresses = addresses[:MOST_ADDRESSES]
    for index, (family, address) in enumerate(addresses):
        # A dead first address must leave time for the others.
        share = max(0.5, (end - now_s()) / (len(addresses) - index))
        try:
            return _tcp_connect_one(family, address, share, wanted)
        except OSError as exc:
            last = exc.strerror or str(exc) or type(exc).__name__
            refused = isinstance(exc, ConnectionRefusedError)
    if last and refused:
        raise Unreachable(f"{host} refused the connection on port {port}. Is the service running there?", last)
    raise Unreachable(f"{host} doesn't answer on port {port}.", last)


def _tcp_connect_one(
    family: int, address: tuple[Any, ...], timeout_s: float, wanted: Callable[[], bool]
) -> BoundedSocket:
    sock = BoundedSocket(family, socket.SOCK_STREAM)
    try:
        _set_options(sock)
        sock.setblocking(False)
        code = sock.connect_ex(address)
        end = now_s() + timeout_s
        while code in (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY):
            rest = end - now_s()
            if rest <= 0:
                raise TimeoutError(errno.ETIMEDOUT, "timed out")
            with selectors.DefaultSelector() as selector:
                selector.register(sock, selectors.EVENT_WRITE)
                ready = selector.select(min(rest, _SLICE_S))
            if not wanted():
                raise SessionLost("The connection was closed.")
            if ready:
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                break
        if code:
            raise OSError(code, os.strerror(code))
        sock.setblocking(True)
    except BaseException:
        sock.close()
        raise
    return sock


def _set_options(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Half-open connections: the default of two hours is no use to anybody who waits for an answer.
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def tls_wrap(
    sock: socket.socket, context: ssl.SSLContext, host: str, port: int, timeout_s: float = CONNECT_S
) -> BoundedTlsSocket:
    """Do the TLS handshake on ``sock``, which the result takes over; the certificate is NOT checked here.

    Raises ``Unreachable`` (stalled, cut) and ``NotAHypervisor`` (no TLS, no common version). ``host`` is also the
    server name sent.
    """
    context.sslsocket_class = BoundedTlsSocket
    try:
        sock.settimeout(timeout_s)
        wrapped = context.wrap_socket(
            sock,
            server_hostname=host.partition("%")[0],
            do_handshake_on_connect=False,
            # Anybody on the way can end a TCP connection; only the server can say that its answer is complete.
            suppress_ragged_eofs=False,
        )
    except (ValueError, UnicodeError) as exc:
        sock.close()
        raise Unreachable(f"“{host[:80]}” can't be used as a server name.", str(exc)) from exc
    assert isinstance(wrapped, BoundedTlsSocket)
    try:
        wrapped.do_handshake()
    except TimeoutError as exc:
        wrapped.close()
        raise Unreachable(
            f"{host} accepted the connection on port {port} but didn't answer the TLS handshake.", str(exc)
        ) from exc
    except ssl.SSLError as exc:
        wrapped.close()
        raise _handshake_error(host, port, exc) from exc
    except OSError as exc:
        wrapped.close()
        raise Unreachable(f"{host} cut the connection on port {port} during the TLS handshake.", str(exc)) from exc
    except BaseException:
        wrapped.close()
        raise
    return wrapped


def _handshake_error(host: str, port: int, exc: ssl.SSLError) -> Unreachable | NotAHypervisor:
    reason = exc.reason or ""
    if reason in ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "DH_KEY_TOO_SMALL"):
        return NotAHypervisor(
            f"{host} offers only an outdated version of TLS. It can be allowed for this server in its settings.",
            str(exc),
        )
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"):
        return NotAHypervisor(f"What answers at {host} on port {port} doesn't speak TLS.", str(exc))
    return Unreachable(f"The TLS handshake with {host} on port {port} failed.", str(exc))


def tls_handshake(
    sock: socket.socket, host: str, port: int, timeout_s: float = CONNECT_S, *, legacy: bool = False
) -> Certificate:
    """Handshake on a socket of ``tcp_connect``, read the certificate, close. Nothing else is sent.

    Raises as ``tls_wrap``.
    """
    with tls_wrap(sock, PinnedContext(legacy=legacy), host, port, timeout_s) as wrapped:
        return describe(host, port, wrapped.getpeercert(binary_form=True) or b"")


def fetch_certificate(host: str, port: int, timeout_s: float = CONNECT_S, *, legacy: bool = False) -> Certificate:
    """The certificate that ``host``:``port`` presents now, unverified: for asking the user. Blocks up to 3 × limit.

    Raises ``Unreachable`` or ``NotAHypervisor``.
    """
    addresses = resolve(host, port, timeout_s)
    return tls_handshake(tcp_connect(host, port, addresses, timeout_s), host, port, timeout_s, legacy=legacy)
