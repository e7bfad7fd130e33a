"""pyVmomi's stub over the wire: serialises with pyVmomi, sends through ``Wire`` exactly once, never reads attributes.

``WireStub`` may be used by several threads at once; each call takes a connection of its own from a small pool. Answers
that carry whole inventories are handed out as raw XML (``raw``), because pyVmomi's deserialiser is the slow part.
"""

from __future__ import annotations

import http.client
import io
import re
import threading
from typing import Any

from hvconsole.backends.vsphere_api import FAULTS, response_deserializer, stub_base, vmodl
from hvconsole.backends.wire import Wire, WireConnection
from hvconsole.backends.wire_calls import CallLimits
from hvconsole.errors import BadReply, InvalidInput, NotSupported, Unreachable
from hvconsole.text import unsendable

_COOKIE = re.compile(r'vmware_soap_session=("[\x21-\x7e]*?"|[^"\s;,]+)')
_AWAY = (502, 503, 504)
"""HTTP statuses of a proxy in front of a service that is starting."""
POOL_SIZE = 4
PAGE = CallLimits(total_s=180, stall_s=60, reply_bytes=128 << 20, elements=8_000_000)
"""One page of an inventory. Servers decide themselves how much they put into a page, some everything."""
WHOLE = CallLimits(total_s=180, stall_s=60, reply_bytes=16 << 20, elements=500_000)
"""An answer that is parsed at once, so that all of it is in memory as elements."""


class Cookie:
    """The session cookie, shared by all stubs of one login. Reading and replacing are atomic."""

    def __init__(self) -> None:
        self.value = ""

    def take(self, header: str | None) -> None:
        """Remember the cookie of a ``Set-Cookie`` header, if it is the session's; quotes stay as they came."""
        found = _COOKIE.search(header or "")
        if found:
            self.value = found.group()


class WireStub(stub_base):  # type: ignore[misc] # pyVmomi has no types
    """What pyVmomi calls to send something. ``version`` is pyVmomi's name of an API version."""

    def __init__(self, wire: Wire, host: str, port: int, version: str, cookie: Cookie) -> None:
        super().__init__(version=version)
        self._wire = wire
        self._host = host
        self._port = port
        self._cookie = cookie
        self._lock = threading.Lock()
        self._idle: list[WireConnection] = []
        self._closed = False
        self.requestContext = None

    def __deepcopy__(self, memo: object) -> WireStub:
        return self

    def InvokeAccessor(self, mo: Any, info: Any) -> Any:
        """Refuse to read a property by attribute: that would be one call per property and object."""
        raise AssertionError(f"{info.name} was read as an attribute; use the property collector")

    def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:
        """Send a call under the limits of the ``Wire.call`` around it; returns the answer or raises the fault."""
        status, body = self._post(mo, info, args)
        answer = response_deserializer(self).Deserialize(io.BytesIO(body), info.result)
        if status == http.client.OK:
            return answer
        if isinstance(answer, Exception):
            raise answer
        raise BadReply("The server reported a fault that can't be read.")

    def raw(self, mo: Any, method: str, args: list[Any], limits: CallLimits = PAGE) -> bytes:
        """Send a read and return the answer's XML (checked, not parsed). Raises faults and ``HvError``."""
        info = mo._GetMethodInfo(method)
        with self._wire.call(limits, faults=FAULTS):
            status, body = self._post(mo, info, args)
            if status == http.client.OK:
                return body
            fault = response_deserializer(self).Deserialize(io.BytesIO(body), info.result)
            if isinstance(fault, Exception):
                raise fault
            raise BadReply("The server reported a fault that can't be read.")

    def _post(self, mo: Any, info: Any, args: Any) -> tuple[int, bytes]:
        request = _serialised(self, mo, info, args)
        headers = {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": self.versionId,
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": "hvconsole",
        }
        if self._cookie.value:
            headers["Cookie"] = self._cookie.value
        status, body = self._exchange(request, headers)
        if status == http.client.OK and f"{info.wsdlName}Response".encode() not in body:
            # pyVmomi would take anything that is XML for an answer without a result
            raise BadReply("The server's answer isn't one to the question.")
        return status, body

    def _exchange(self, request: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """One request and its reply, checked by the wire; statuses other than 200 and 500 raise."""
        connection = self._take()
        try:
            connection.request("POST", "/sdk", request, headers)
            response = connection.getresponse()
            body = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        self._give_back(connection)
        self._cookie.take(response.getheader("Set-Cookie"))
        if response.status not in (http.client.OK, http.client.INTERNAL_SERVER_ERROR):
            words = f"{response.status} {response.reason}"[:200]
            if response.status in _AWAY:
                raise Unreachable("The server is there, but its management service doesn't answer yet.", words)
            raise BadReply("The server answered with an HTTP error.", words)
        return response.status, body

    def close(self) -> None:
        """Let go of the kept connections; those in use are closed when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> WireConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._wire.connection(self._host, self._port)

    def _give_back(self, connection: WireConnection) -> None:
        with self._lock:
            if len(self._idle) < POOL_SIZE and not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def _serialised(stub: WireStub, mo: Any, info: Any, args: Any) -> bytes:
    try:
        request = stub.SerializeRequest(mo, info, args)
    except vmodl.fault.MethodNotFound as exc:
        raise NotSupported("This server's version doesn't know this operation.", str(info.wsdlName)) from exc
    except (TypeError, UnicodeEncodeError) as exc:
        raise InvalidInput("This can't be sent to the server.", str(exc)[:200]) from exc
    octets = request if isinstance(request, bytes) else request.encode("utf-8")
    # The last gate: a control character makes XML that no server can read.
    problem = unsendable(octets.decode("utf-8"))
    if problem:
        raise InvalidInput(problem)
    return octets
