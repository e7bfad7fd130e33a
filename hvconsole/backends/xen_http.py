"""xapi's plain HTTP handlers: measurements, screenshots, export and import of VMs. Blocks; any worker thread.

Measurements and pictures are at the host that runs the VM, and exports may be redirected to one. We go only to hosts of
this pool whose certificate the user accepted or the master vouches for (``xen_trust``), and follow one redirect. URLs
carry the session and are never logged.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from typing import IO
from urllib.parse import urlencode, urlsplit

from hvconsole.backends.base import TaskContext
from hvconsole.backends.wire import Reply, Sink, Wire
from hvconsole.backends.wire_calls import READ, CallLimits
from hvconsole.backends.wire_errors import Redirected
from hvconsole.backends.xen_session import ORIGINATOR, XenSession
from hvconsole.backends.xen_tables import Tables
from hvconsole.backends.xen_trust import PoolTrust
from hvconsole.errors import NotFound, PermissionDenied, Refused

TRANSFER = CallLimits(total_s=7 * 86_400, stall_s=900, reply_bytes=1 << 50, elements=1)
"""With compression the first byte of an export may take minutes; keepalive finds dead peers meanwhile."""
PICTURE = CallLimits(total_s=40, stall_s=35, reply_bytes=8 << 20, elements=1)
"""The server itself allows 30 s for a screenshot."""
_UPLOAD_PIECE = 1 << 18


class Http:
    """HTTP requests of one session."""

    def __init__(self, wire: Wire, session: XenSession, trust: PoolTrust, tables: Tables) -> None:
        self._wire = wire
        self._session = session
        self._trust = trust
        self._tables = tables

    def get(self, path: str, query: dict[str, str], *, host: str = "", limits: CallLimits = READ) -> bytes:
        """The body of a small GET. ``host``: reference of the host concerned, which is asked itself."""
        return self._follow(host, lambda at: self._get(at, path, query, limits)).body

    def _get(self, address: tuple[str, int], path: str, query: dict[str, str], limits: CallLimits) -> Reply:
        with self._wire.call(limits):
            connection = self._wire.connection(*address)
            try:
                headers = {"User-Agent": ORIGINATOR, "Accept": "text/xml, image/jpeg"}
                return _ok(connection.exchange("GET", self._path(path, query), None, headers))
            finally:
                connection.close()

    def download(self, path: str, query: dict[str, str], sink: Sink, ctx: TaskContext) -> None:
        """Stream a GET into ``sink``; cancelling ``ctx`` cuts it."""

        def transfer(address: tuple[str, int]) -> Reply:
            with self._wire.call(TRANSFER) as call:
                ctx.on_cancel(call.abort)
                connection = self._wire.connection(*address)
                try:
                    headers = {"User-Agent": ORIGINATOR, "Accept-Encoding": "identity"}
                    return _ok(connection.exchange("GET", self._path(path, query), None, headers, sink=sink))
                finally:
                    connection.close()

        self._follow("", transfer)

    def upload(
        self,
        path: str,
        query: dict[str, str],
        source: IO[bytes],
        size: int,
        ctx: TaskContext,
        sent: Callable[[int], None],
        *,
        storage: str = "",
    ) -> None:
        """Stream ``source`` as a PUT of ``size`` bytes; ``sent`` learns how far it is. Never redirected half way.

        ``storage``: reference of the one that it is for; a host that it is attached to is asked.
        """
        address = self._address_of(self._host_at(storage))

        def pieces() -> Iterator[bytes]:
            total = 0
            while piece := source.read(_UPLOAD_PIECE):
                yield piece
                total += len(piece)
                sent(total)

        with self._wire.call(TRANSFER) as call:
            ctx.on_cancel(call.abort)
            connection = self._wire.connection(*address)
            try:
                # xapi takes no chunked bodies
                headers = {"User-Agent": ORIGINATOR, "Content-Length": str(size)}
                _ok(connection.exchange("PUT", self._path(path, query), pieces(), headers))
            finally:
                connection.close()

    def _host_at(self, storage: str) -> str:
        """A live host that a storage is attached to; nothing for the master, and where that is not known.

        The master would redirect us in the middle of what we send, and not every socket survives that.
        """
        tables = self._tables
        masters = {pool.master for pool in list(tables.pool.values())}
        hosts = {row.host for row in list(tables.pbd.values()) if row.sr == storage and row.attached}
        if hosts & masters:
            return ""
        for ref in sorted(hosts):
            row = tables.host.get(ref)
            metrics = None if row is None else tables.host_metrics.get(row.metrics)
            if row is not None and (metrics is None or metrics.live is not False):
                return ref
        return ""

    def _path(self, path: str, query: dict[str, str]) -> str:
        return f"{path}?{urlencode({**query, 'session_id': self._session.handle})}"

    def _follow(self, host: str, ask: Callable[[tuple[str, int]], Reply]) -> Reply:
        try:
            return ask(self._address_of(host))
        except Redirected as exc:
            return ask(self._redirect_target(exc))

    def _redirect_target(self, exc: Redirected) -> tuple[str, int]:
        try:
            parts = urlsplit(exc.location)
            host, port = parts.hostname or "", parts.port or 443
        except ValueError:
            raise exc from None
        member = next((ref for ref, row in list(self._tables.host.items()) if row.address == host and host), None)
        if parts.scheme != "https" or port != self._session.address[1] or member is None:
            raise exc
        if not self._trust.learn(self._session, member, host):
            raise exc
        return host, port

    def _address_of(self, host: str) -> tuple[str, int]:
        """Where a host of the pool is asked; we are logged in at the master, whatever name the user typed for it."""
        row = self._tables.host.get(host)
        masters = {pool.master for pool in list(self._tables.pool.values())}
        if row is None or host in masters or row.address in ("", self._session.address[0]):
            return self._session.address
        # Where nobody knows its certificate, the connection says so and shows it.
        self._trust.learn(self._session, host, row.address)
        return row.address, self._session.address[1]


def _ok(reply: Reply) -> Reply:
    if reply.status == http.client.OK:
        return reply
    words = f"HTTP {reply.status} {reply.reason}"[:200]
    if reply.status in (401, 403):
        raise PermissionDenied("The server refused access to that.", words)
    if reply.status == 404:
        raise NotFound("The server doesn't have that.", words)
    raise Refused("The server could not deliver that.", words)
