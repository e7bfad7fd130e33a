"""Reading classes in bulk: JSON-RPC where there is one, asked ahead, and XML-RPC for everything that goes wrong."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hvconsole.backends.base import Secret
from hvconsole.backends.wire import Wire
from hvconsole.backends.xen_bulk import BulkReader
from hvconsole.backends.xen_session import XenSession
from hvconsole.errors import BadReply, HvError, PermissionDenied

from .fake_xapi import PASSWORD, Drop, FakeXapi, Raw, Refuse, pins
from .hostile import HostileServer, identity

CLASSES = ["pool", "host", "VM"]


class JsonXapi(FakeXapi):
    """Also speaks JSON-RPC; ``answers`` may replace the reply to a class's n-th request."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.answers: dict[tuple[str, int], Callable[[], bytes]] = {}
        self.content_type = "application/json"
        self.valid = "OpaqueRef:session1"

    def json(self, body: bytes) -> bytes:
        request = json.loads(body)
        name = request["method"].partition(".")[0]
        self.asked.append(name)
        special = self.answers.get((name, self.asked.count(name)))
        if special is not None:
            return special()
        if request["params"][0] != self.valid:
            return failure("SESSION_INVALID", request["params"][0])
        return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {f"ref-{name}": {"uuid": name}}}).encode()

    def serve(self, sock: socket.socket, server: HostileServer) -> None:
        while request := server.read_request(sock):
            head, _, body = request.partition(b"\r\n\r\n")
            try:
                if head.startswith(b"POST /jsonrpc"):
                    reply, kind = self.json(body), self.content_type
                else:
                    reply, kind = self.answer(body), "text/xml"
            except Drop:
                return
            sock.sendall(
                f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nContent-Length: {len(reply)}\r\n\r\n".encode() + reply
            )


def failure(*words: str) -> bytes:
    error = {"code": 1, "message": words[0], "data": list(words[1:])}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()


@pytest.fixture
def reading() -> Iterator[tuple[JsonXapi, BulkReader]]:
    xapi = JsonXapi()
    for name in CLASSES:
        xapi.methods[f"{name}.get_all_records"] = lambda _session, name=name: {f"ref-{name}": {"uuid": "by xml"}}
    with HostileServer(xapi.serve, identity=identity("xapi")) as server:
        wire = Wire(pins(server))
        session = XenSession(wire, (server.host, server.port), "root", Secret(password=PASSWORD))
        bulk = BulkReader(session)
        yield xapi, bulk
        bulk.close()
        wire.close()
        session.log_out()


def read_all(bulk: BulkReader) -> dict[str, Any]:
    return {name: bulk.read(name, then) for name, then in zip(CLASSES, [*CLASSES[1:], ""], strict=True)}


def good(how: Callable[[str], str] = lambda name: name) -> dict[str, Any]:
    return {name: {f"ref-{name}": {"uuid": how(name)}} for name in CLASSES}


def test_each_class_is_asked_for_once(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, bulk = reading
    assert read_all(bulk) == good()
    assert read_all(bulk) == good()
    assert xapi.asked == CLASSES * 2


@pytest.mark.parametrize("body", [b"", b"junk", b"[" * 100_000, b"[]", b'{"result": null}', b"{}"])
def test_junk_to_what_was_asked_ahead_is_asked_for_anew(reading: tuple[JsonXapi, BulkReader], body: bytes) -> None:
    xapi, bulk = reading
    xapi.answers[("VM", 1)] = lambda: body
    assert read_all(bulk) == good()
    assert xapi.asked == [*CLASSES, "VM"]


def test_cut_while_asked_ahead_is_asked_for_anew(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, bulk = reading

    def cut() -> bytes:
        raise Drop

    xapi.answers[("host", 1)] = cut
    assert read_all(bulk) == good()


def test_junk_again_is_an_error(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, bulk = reading
    xapi.answers = {("VM", n): lambda: b"junk" for n in range(1, 9)}
    with pytest.raises(BadReply):
        read_all(bulk)
    with pytest.raises(HvError):
        read_all(bulk)


def test_expired_session_is_renewed(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, bulk = reading
    read_all(bulk)
    xapi.valid = "OpaqueRef:session2"
    assert read_all(bulk) == good()
    assert xapi.logins == 2


def test_failure_is_translated(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, bulk = reading
    xapi.answers = {("host", n): lambda: failure("RBAC_PERMISSION_DENIED", "host", "no") for n in range(1, 9)}
    with pytest.raises(PermissionDenied):
        read_all(bulk)


def test_old_style_failure_is_an_array(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, bulk = reading

    def expired() -> bytes:
        xapi.valid = "OpaqueRef:session2"
        return json.dumps({"id": 1, "error": ["SESSION_INVALID", "x"], "result": ""}).encode()

    xapi.answers[("pool", 1)] = expired
    assert read_all(bulk) == good()
    assert xapi.logins == 2


def test_reply_wrapped_as_in_xml_is_unwrapped(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, bulk = reading

    def wrapped(name: str) -> bytes:
        result = {"Status": "Success", "Value": {f"ref-{name}": {"uuid": name}}}
        return json.dumps({"id": 1, "error": None, "result": result}).encode()

    def expired() -> bytes:
        xapi.valid = "OpaqueRef:session2"
        result = {"Status": "Failure", "ErrorDescription": ["SESSION_INVALID", "x"]}
        return json.dumps({"id": 1, "error": None, "result": result}).encode()

    xapi.answers = {(name, n): (lambda name=name: wrapped(name)) for name in CLASSES for n in (1, 2)}  # type: ignore[misc]
    xapi.answers[("pool", 1)] = expired
    assert read_all(bulk) == good()
    assert xapi.logins == 2


def unescaped(records: str) -> bytes:
    return (
        "<?xml version='1.0'?><methodResponse><params><param><value><struct><member><name>Status</name>"
        "<value>Success</value></member><member><name>Value</name><value><struct>"
        f"{records}</struct></value></member></struct></value></param></params></methodResponse>"
    ).encode()


def test_class_with_an_unreadable_object_is_read_one_by_one(reading: tuple[JsonXapi, BulkReader]) -> None:
    """xapi does not escape the keys of maps."""
    xapi, bulk = reading
    xapi.content_type = "text/xml"
    bad = unescaped("<member><name>a&b</name><value>x</value></member>")

    def record(_session: str, ref: str) -> dict[str, Any]:
        if ref == "bad":
            raise Raw(bad)
        if ref == "gone":
            raise Refuse("HANDLE_INVALID", "VM", ref)
        return {"uuid": ref}

    def all_records(_session: str) -> None:
        raise Raw(bad)

    xapi.methods |= {
        "VM.get_all_records": all_records,
        "VM.get_all": lambda _session: ["one", "bad", "gone", "two"],
        "VM.get_record": record,
    }
    assert read_all(bulk)["VM"] == {"one": {"uuid": "one"}, "two": {"uuid": "two"}}
    xapi.methods["VM.get_all"] = lambda _session: ["bad"]
    with pytest.raises(BadReply):
        bulk.read("VM")


@pytest.mark.parametrize(
    "how", ["xml answer", "junk", "cut", "unknown method"], ids=lambda text: text.replace(" ", "-")
)
def test_server_without_json_is_read_over_xml(reading: tuple[JsonXapi, BulkReader], how: str) -> None:
    xapi, bulk = reading

    def cut() -> bytes:
        raise Drop

    answers: dict[str, Callable[[], bytes]] = {
        "xml answer": lambda: b"<methodResponse/>",
        "junk": lambda: b"not json",
        "cut": cut,
        "unknown method": lambda: failure("MESSAGE_METHOD_UNKNOWN", "pool.get_all_records"),
    }
    if how == "xml answer":
        xapi.content_type = "text/xml"
    xapi.answers[("pool", 1)] = answers[how]
    assert read_all(bulk) == good(lambda _name: "by xml")
    assert xapi.asked == ["pool"]


def test_refusal_over_xml_is_translated(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, bulk = reading
    xapi.content_type = "text/html"

    def refuse(_session: str) -> None:
        raise Refuse("RBAC_PERMISSION_DENIED", "x")

    xapi.methods["host.get_all_records"] = refuse
    with pytest.raises(PermissionDenied):
        read_all(bulk)


def test_millions_of_empty_lists_are_not_decoded(reading: tuple[JsonXapi, BulkReader]) -> None:
    xapi, reader = reading
    reader.read("pool")
    xapi.answers["VM", 1] = lambda: b'{"result":[' + b"[]," * 4_000_000 + b"1]}"
    with pytest.raises(BadReply, match="too many"):
        reader.read("VM")


def test_more_objects_than_any_pool_has_are_refused(
    reading: tuple[JsonXapi, BulkReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    xapi, reader = reading
    monkeypatch.setattr("hvconsole.backends.xen_bulk.MOST_OBJECTS", 1000)
    reader.read("pool")
    xapi.answers["VM", 1] = lambda: json.dumps({"result": {str(n): {} for n in range(1001)}}).encode()
    with pytest.raises(BadReply, match="more VM objects"):
        reader.read("VM")
