"""The WS-Management client: identify, enumerate, get, put, invoke, over a pool of connections.

Threads: every method of ``WsmanClient`` may be called from any worker thread, many at once; each call has a connection
of its own while it lasts. ``close`` and ``abort`` wake whoever waits. Reads are repeated once when a kept connection
turns out to be gone; writes never are: a lost reply is ``OutcomeUnknown``.
"""

from __future__ import annotations

import logging
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from hvconsole.backends import wsman_envelope as envelope
from hvconsole.backends import wsman_faults, wsman_reply
from hvconsole.backends.base import TaskContext, Trust
from hvconsole.backends.wire import Wire
from hvconsole.backends.wire_calls import Call, CallLimits
from hvconsole.backends.wmi_xml import local_name
from hvconsole.backends.wsman_envelope import Epr, Parameter, Request
from hvconsole.backends.wsman_reply import Record
from hvconsole.backends.wsman_trace import Trace
from hvconsole.backends.wsman_transport import (
    Endpoint,
    Reply,
    SealedTransport,
    Unauthorized,
    http_error,
    login_error,
)
from hvconsole.clock import Clock
from hvconsole.errors import AuthError, BadReply, HvError, LocalError, OutcomeUnknown, SessionLost, Unreachable

log = logging.getLogger(__name__)

LOGIN = CallLimits(total_s=20, stall_s=10, reply_bytes=1 << 20, elements=20_000)
READING = CallLimits(total_s=60, stall_s=20, reply_bytes=4 << 20, elements=200_000)
"""One page: an envelope is 500 KiB unless the host's administrator raised it. The host is told to give up earlier."""
INVOKING = CallLimits(total_s=65, stall_s=65, reply_bytes=4 << 20, elements=200_000)
LISTING = CallLimits(total_s=180, stall_s=20, reply_bytes=4 << 20, elements=200_000)
"""All pages of one enumeration."""
MAX_PAGES, MAX_LIST_BYTES, MAX_EMPTY_PAGES = 2_000, 64 << 20, 20
"""Most pages and bytes of one enumeration, and most pages in a row that bring nothing; a host that never says that it
is done is cut off here."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Answer of Identify."""

    vendor: str
    product: str


@dataclass(slots=True)
class Counters:
    """What this client has done, for benchmarks and the log."""

    requests: int = 0
    logins: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, *, requests: int = 0, logins: int = 0) -> None:
        """Add to the counters; any thread."""
        with self.lock:
            self.requests += requests
            self.logins += logins


class Sessions:
    """Connections not in use, newest first. A connection is with one thread at a time, or here."""

    def __init__(self, endpoint: Endpoint, wire: Wire, clock: Clock, counters: Counters) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._clock = clock
        self._counters = counters
        self._lock = threading.Lock()
        self._idle: list[SealedTransport] = []
        self._closed = False

    def take(self) -> SealedTransport:
        """A connection for the calling thread; it must come back through ``give``."""
        with self._lock:
            if self._closed:
                raise SessionLost("The connection was closed.")
            if self._idle:
                return self._idle.pop()
        self._counters.count(logins=1)
        return SealedTransport(self._endpoint, self._wire, self._clock)

    def give(self, transport: SealedTransport) -> None:
        """Give a connection back; one that is not logged in any more is dropped."""
        with self._lock:
            if not self._closed and transport.proven:
                self._idle.append(transport)
                return
        transport.close_session()

    def close(self) -> None:
        """Drop all connections; those in use are ended by the wire and dropped when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for transport in idle:
            transport.close_session()


class WsmanClient:
    """One host. See the module's docstring for threads. Raises only ``HvError``; the constructor ``LocalError``."""

    def __init__(self, endpoint: Endpoint, trust: Trust, clock: Clock, *, trace: Trace | None = None) -> None:
        self.endpoint = endpoint
        certificate = (endpoint.cert_pem, endpoint.cert_key_pem) if endpoint.auth == "certificate" else None
        try:
            self._wire = Wire(trust, client_certificate=certificate)
        except OSError as exc:  # ssl.SSLError is one too
            raise LocalError("The client certificate or its key can't be read.", str(exc)) from exc
        self.counters = Counters()
        self._sessions = Sessions(endpoint, self._wire, clock, self.counters)
        self._trace = trace

    @property
    def closed(self) -> bool:
        """True once ``close`` was called."""
        return self._wire.closed

    def close(self) -> None:
        """End all connections; calls in other threads fail at once with ``SessionLost``. Idempotent."""
        self._wire.close()
        self._sessions.close()
        if self._trace is not None:
            self._trace.close()

    # ---- operations ----------------------------------------------------------------------------------------

    def identify(self) -> Identity:
        """Who answers; also the cheapest way to find out whether the login works."""
        body, _size = self._send(envelope.identify(), None, LOGIN)
        fault = wsman_faults.read(body)
        if fault is not None:
            raise wsman_faults.translate(fault, "asking who is there")
        answer = next((child for child in body if local_name(child.tag) == "IdentifyResponse"), None)
        if answer is None:
            raise BadReply("The host's answer isn't one of Windows Remote Management.")
        record = Record(answer)
        return Identity(record.text("ProductVendor"), record.text("ProductVersion"))

    def query(self, namespace: str, wql: str, *, with_epr: bool = False) -> list[Record]:
        """All results of a WQL query; made by ``wmi_query``."""
        return self._enumerate(envelope.wmi_uri(namespace, "*"), wql, with_epr=with_epr)

    def instances(self, namespace: str, class_name: str, *, with_epr: bool = False) -> list[Record]:
        """All instances of a class and its subclasses."""
        return self._enumerate(envelope.wmi_uri(namespace, class_name), "", with_epr=with_epr)

    def associated(self, epr: Epr, *, assoc_class: str, result_class: str) -> list[Record]:
        """Instances associated with one whose keys cannot be put into WQL (files and folders)."""
        uri = f"{epr.uri.rpartition('/')[0]}/*"
        return self._pages(envelope.associated_request(uri, epr, assoc_class, result_class), uri)

    def get(self, epr: Epr) -> Record:
        """One instance. Raises ``NotFound`` when it is gone."""
        body = self._read(envelope.get_request(epr), f"reading {epr.class_name}")
        record = wsman_reply.read_instance(body)
        record.epr = epr
        return record

    def put(self, epr: Epr, values: Mapping[str, Parameter]) -> None:
        """Change properties of an instance; sent once."""
        self._write(envelope.put_request(epr, values), f"changing {epr.class_name}")

    def call(self, epr: Epr, method: str, parameters: Mapping[str, Parameter]) -> tuple[int, Record]:
        """Call a method that only reads (GetSummaryInformation …): (return value, out-parameters)."""
        body = self._read(envelope.invoke_request(epr, method, parameters, timeout_s=15), method)
        return wsman_reply.read_output(body, method)

    def invoke(
        self, epr: Epr, method: str, parameters: Mapping[str, Parameter], ctx: TaskContext | None = None
    ) -> tuple[int, Record]:
        """Call a method that changes something: (return value, out-parameters). Sent once, whatever happens.

        ``ctx``: cancelled before the request leaves, nothing is sent; after that the answer is waited for, because
        it names the job to cancel.
        """
        if ctx is not None:
            ctx.raise_if_cancelled()
        body = self._write(envelope.invoke_request(epr, method, parameters), method)
        try:
            return wsman_reply.read_output(body, method)
        except BadReply as exc:
            raise OutcomeUnknown(
                "The request was sent, but its answer can't be read. It may have happened.", exc.detail or exc.user_text
            ) from exc

    @contextmanager
    def within(self, limits: CallLimits) -> Iterator[None]:
        """What is asked in the body by this thread takes no longer than ``limits`` altogether."""
        with self._call(limits):
            yield

    # ---- how they are sent ---------------------------------------------------------------------------------

    def _enumerate(self, uri: str, wql: str, *, with_epr: bool) -> list[Record]:
        return self._pages(envelope.enumerate_request(uri, wql, with_epr=with_epr), uri)

    def _pages(self, request: Request, uri: str) -> list[Record]:
        """All records; a list whose connection was lost in the middle is read once more from its start."""
        begun = threading.Event()
        try:
            return self._pages_once(request, uri, begun)
        except Unreachable:
            if self.closed or not begun.is_set():
                raise
            log.debug("a list of %s broke off; reading it again", self.endpoint.host)
        return self._pages_once(request, uri, begun)

    def _pages_once(self, request: Request, uri: str, begun: threading.Event) -> list[Record]:
        doing = "listing objects"
        records: list[Record] = []
        context = ""
        pages = size = empty = 0
        try:
            with self._call(LISTING):
                while pages == 0 or context:
                    if pages >= MAX_PAGES or size > MAX_LIST_BYTES or empty > MAX_EMPTY_PAGES:
                        raise BadReply("The host sends a list without end.")
                    body, length = self._read_sized(
                        envelope.pull_request(uri, context) if pages else request, doing, READING, repeat=pages == 0
                    )
                    page = wsman_reply.read_page(body)
                    records.extend(page.records)
                    context = page.context
                    empty = 0 if page.records else empty + 1
                    begun.set()
                    pages += 1
                    size += length
        except HvError:
            # An enumeration left open counts against this user's quota for a minute.
            if context and not self.closed:
                with suppress(HvError):
                    self._read(envelope.release_request(uri, context), "releasing a list", LOGIN)
            raise
        return records

    def _read(self, request: Request, doing: str, limits: CallLimits = READING) -> ET.Element:
        return self._read_sized(request, doing, limits, repeat=True)[0]

    def _read_sized(self, request: Request, doing: str, limits: CallLimits, *, repeat: bool) -> tuple[ET.Element, int]:
        message_id, message = envelope.write(request, self.endpoint.url)
        body, size = self._send(message, message_id, limits, repeat=repeat)
        fault = wsman_faults.read(body)
        if fault is not None:
            error = wsman_faults.translate(fault, doing)
            if isinstance(error, OutcomeUnknown):
                raise Unreachable(f"The host gave no result in time ({doing}).", fault.text)
            raise error
        return body, size

    def _write(self, request: Request, doing: str) -> ET.Element:
        message_id, message = envelope.write(request, self.endpoint.url)
        body, _size = self._send(message, message_id, INVOKING, write=True)
        fault = wsman_faults.read(body)
        if fault is not None:
            raise wsman_faults.translate(fault, doing)
        return body

    def _send(
        self, message: bytes, message_id: str | None, limits: CallLimits, *, write: bool = False, repeat: bool = True
    ) -> tuple[ET.Element, int]:
        if self._trace is not None:
            self._trace.request(message)
        reply = self._exchange(message, limits, write=write, repeat=repeat)
        if self._trace is not None:
            self._trace.answer(reply.status, reply.body)
        try:
            if not reply.body.strip():
                raise http_error(reply.status, self.endpoint)
            return wsman_reply.read_body(reply.body, message_id, limits.elements), len(reply.body)
        except HvError as exc:
            if write:
                raise OutcomeUnknown(
                    "The request was sent, but its answer can't be read. It may have happened.",
                    exc.detail or exc.user_text,
                ) from exc
            if isinstance(exc, BadReply) and reply.status not in (200, 400, 500):
                raise http_error(reply.status, self.endpoint) from exc
            raise

    def _exchange(self, message: bytes, limits: CallLimits, *, write: bool, repeat: bool) -> Reply:
        """Send; once more on a fresh connection if the kept one was gone (reads) or its login forgotten (reads, and
        writes over https)."""
        transport = self._sessions.take()
        try:
            kept = transport.proven
            try:
                return self._once(transport, message, limits, write=write)
            except Unauthorized as exc:
                # Not carried out, so this is no repetition: the host has forgotten the login of this connection.
                if not kept:
                    raise login_error(exc, self.endpoint) from exc
                if write and transport.sealed:
                    # Over http, a 401 carries no seal: anybody on the way can say it after the host has done its work.
                    raise OutcomeUnknown(
                        "The request was sent, but the host's answer isn't a trustworthy one. It may have happened.",
                        f"HTTP 401, {self.endpoint.auth}",
                    ) from exc
            except (Unreachable, BadReply):
                if write or not kept or not repeat or self.closed:
                    raise
                log.debug("a kept connection to %s was gone; asking again", self.endpoint.host)
            try:
                return self._once(transport, message, limits, write=write)
            except Unauthorized as exc:
                raise login_error(exc, self.endpoint) from exc
        except AuthError as exc:
            exc.detail = "; ".join(filter(None, (exc.detail, transport.skew_note)))
            raise
        finally:
            self._sessions.give(transport)

    def _once(self, transport: SealedTransport, message: bytes, limits: CallLimits, *, write: bool) -> Reply:
        try:
            with self._call(LOGIN):
                transport.prepare(write=write)
            with self._call(limits, write=write):
                self.counters.count(requests=1)
                return transport.exchange(message)
        except BaseException:
            transport.close_session()
            raise

    @contextmanager
    def _call(self, limits: CallLimits, *, write: bool = False) -> Iterator[Call]:
        with self._wire.call(limits, write=write, faults=(Unauthorized,)) as call:
            try:
                yield call
            except (HvError, Unauthorized):
                raise
            except Exception as exc:
                mapped = login_error(exc, self.endpoint)
                if mapped is exc:
                    raise
                raise mapped from exc
