"""Hooks by which the client libraries run over the wire: ``http.client`` users (pyVmomi) and ``requests`` (pywinrm).

Any worker thread; exchanges happen inside ``Wire.call``.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import requests
import requests.adapters
import urllib3.connection
import urllib3.connectionpool

from hvconsole.backends.wire import BoundedResponse, Wire, WireConnection, bounded, inflated
from hvconsole.backends.wire_calls import READ, current
from hvconsole.backends.wire_errors import Redirected
from hvconsole.backends.xmlguard import check_xml
from hvconsole.errors import BadReply

PIECE_BYTES = 1 << 16


def http_client_class(wire: Wire, *, tls: bool = True) -> type[WireConnection]:
    """A connection class with the signature of ``http.client.HTTPSConnection``: ``SoapStubAdapter.scheme = …``.

    Time limits and TLS settings given by the library are ignored: those of the wire hold.
    """

    class Connection(WireConnection):
        def __init__(self, host: str, port: int | None = None, **_ignored: Any) -> None:
            super().__init__(wire, host, port or (443 if tls else 80), tls=tls)

    return Connection


class WireAdapter(requests.adapters.HTTPAdapter):
    """Mount it on both schemes of a ``requests.Session`` with ``trust_env = False``; one per session.

    Bodies are read, inflated, capped and checked here, so ``response.content`` is harmless; redirects are errors.
    Sealed WS-Man bodies (multipart/encrypted) are only capped: check them with ``check_xml`` once opened.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make pools whose connections come from the wire."""
        super().init_poolmanager(*args, **kwargs)
        wire = self._wire

        class Plain(urllib3.connection.HTTPConnection):
            response_class = BoundedResponse

            def connect(self) -> None:
                self.sock = wire.connect(self.host.strip("[]"), self.port or 80, tls=False)

        class Tls(urllib3.connection.HTTPSConnection):
            response_class = BoundedResponse

            def connect(self) -> None:
                self.sock = wire.connect(self.host.strip("[]"), self.port or 443)
                self.is_verified = True

        class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
            ConnectionCls = Plain

        class TlsPool(urllib3.connectionpool.HTTPSConnectionPool):
            ConnectionCls = Tls

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to set: pin and client certificate belong to the wire."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send once, read the whole reply. Any environment setting that the session added is dropped."""
        response = super().send(request, stream=True, timeout=None, verify=False, cert=None, proxies={})
        try:
            self._take(response)
        except BaseException:
            response.raw.close()
            raise
        return response

    def _take(self, response: requests.Response) -> None:
        raw = response.raw
        if 300 <= response.status_code < 400:
            raise Redirected(response.headers.get("location", ""))
        call = current()
        limits = call.limits if call is not None else READ
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limits.reply_bytes:
            raise BadReply("The server announced an answer larger than is accepted.", announced[:40])
        sock = getattr(getattr(raw, "connection", None), "sock", None)
        pieces = iter(lambda: raw.read(PIECE_BYTES, decode_content=False), b"")
        body = b"".join(bounded(inflated(pieces, response.headers.get("content-encoding", ""))))
        if body and not response.headers.get("content-type", "").lower().startswith("multipart/"):
            check_xml(body, limits.elements)
        raw.release_conn()
        if sock is not None:
            # requests_ntlm looks for the certificate (channel binding) where an unread reply has its socket
            raw._fp = SimpleNamespace(fp=SimpleNamespace(raw=SimpleNamespace(_sock=sock)), close=lambda: None)
        response.headers.pop("content-encoding", None)
        response._content = body
        response._content_consumed = True
