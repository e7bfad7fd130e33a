"""The bytes on the wire, and what the server does with damaged requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hvconsole.lab import Lab
from hvconsole.lab.xapi import schema, values, xmlrpc
from hvconsole.lab.xapi.values import I4, Date

Web = Callable[..., tuple[int, Any, bytes]]


def call_xml(web: Web, method: str, *params: str, path: str = "/") -> tuple[int, Any, str]:
    body = (
        f"<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>"
        + "".join(f"<param><value>{param}</value></param>" for param in params)
        + "</params></methodCall>"
    )
    status, headers, reply = web("POST", path, body.encode(), headers={"Content-Type": "text/xml"})
    return status, headers, reply.decode()


def call_json(web: Web, method: str, *params: Any, version: str | None = "2.0") -> dict[str, Any]:
    request: dict[str, Any] = {"method": method, "params": list(params), "id": 7}
    if version is not None:
        request["jsonrpc"] = version
    status, headers, reply = web("POST", "/jsonrpc", json.dumps(request).encode())
    assert status == 200
    assert headers["content-type"] == "application/json"
    answer: dict[str, Any] = json.loads(reply)
    assert answer["id"] == 7
    return answer


def login(lab: Lab, web: Web) -> str:
    return str(call_json(web, "session.login_with_password", "root", lab.servers[0].password)["result"])


def test_xml_is_compact_and_untagged() -> None:
    value = {"s": 'a <&> "b"', "i": 5, "b": True, "f": 0.5, "d": Date("20240102T03:04:05Z"), "l": ["x"], "m": {}}
    assert values.to_xml(value) == (
        "<value><struct><member><name>s</name><value>a &lt;&amp;&gt; &quot;b&quot;</value></member>"
        "<member><name>i</name><value>5</value></member><member><name>b</name><value><boolean>1</boolean></value>"
        "</member><member><name>f</name><value><double>0.5</double></value></member><member><name>d</name><value>"
        "<dateTime.iso8601>20240102T03:04:05Z</dateTime.iso8601></value></member><member><name>l</name><value><array>"
        "<data><value>x</value></data></array></value></member><member><name>m</name><value><struct></struct></value>"
        "</member></struct></value>"
    )
    assert values.to_xml(I4(3)) == "<value><i4>3</i4></value>"
    assert values.to_xml("a\x00b\ud800c\n") == "<value>abc\n</value>"
    assert values.to_xml(None) == "<value></value>"


def test_json_has_numbers_and_plain_dates() -> None:
    assert values.to_json({"i": 5, "f": 1.0, "b": False, "d": Date("20240102T03:04:05Z"), "v": None}) == (
        '{"i":5,"f":1.0,"b":false,"d":"20240102T03:04:05Z","v":""}'
    )


def test_success_and_failure_envelopes(web: Web) -> None:
    status, headers, reply = call_xml(web, "VM.get_all", "OpaqueRef:x", path="/RPC2")
    assert status == 200
    assert headers["content-type"] == "text/xml"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert reply == (
        '<?xml version="1.0"?><methodResponse><params><param><value><struct><member><name>Status</name>'
        "<value>Failure</value></member><member><name>ErrorDescription</name><value><array><data>"
        "<value>SESSION_INVALID</value><value>OpaqueRef:x</value></data></array></value></member></struct></value>"
        "</param></params></methodResponse>"
    )


def test_any_other_path_is_xmlrpc_too(web: Web) -> None:
    assert "SESSION_INVALID" in call_xml(web, "VM.get_all", "x", path="/xmlrpc")[2]


def test_list_methods_has_no_envelope(web: Web) -> None:
    _, _, reply = call_xml(web, "system.listMethods")
    assert "Status" not in reply
    assert "<value>VM.get_all_records</value>" in reply
    assert "<value>Async.VM.start</value>" in reply


def test_json_errors_in_both_versions(web: Web) -> None:
    assert call_json(web, "VM.get_all", "x")["error"] == {"code": 1, "message": "SESSION_INVALID", "data": ["x"]}
    assert call_json(web, "VM.get_all", "x", version=None)["error"] == ["SESSION_INVALID", "x"]


def test_json_and_xml_agree(lab: Lab, web: Web, api: Any) -> None:
    ref = login(lab, web)
    records = call_json(web, "VM.get_all_records", ref)["result"]
    theirs = api.VM.get_all_records()
    assert set(records) == set(theirs)
    vm = next(iter(records))
    assert records[vm]["memory_static_max"] == int(theirs[vm]["memory_static_max"])
    assert records[vm]["snapshot_time"] == theirs[vm]["snapshot_time"].value
    batch = call_json(web, "event.from", ref, ["vm"], "", 1.0)["result"]
    assert batch["valid_ref_counts"]["vm"] == len(records)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<methodCall/>",
        b"\xff\xfe",
        b"<methodCall><methodName>x</methodName><value><int>y</int></value></methodCall>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><methodCall><methodName>&b;</methodName></methodCall>',
        b"<?xml version='1.0' encoding='hex'?><methodCall/>",
        b"<methodCall><methodName>x</methodName>" + b"<array><data><value>" * 200 + b"</methodCall>",
    ],
)
def test_damaged_requests_are_a_http_error(web: Web, body: bytes) -> None:
    status, headers, reply = web("POST", "/", body)
    assert status == 500
    assert headers["content-type"] == "text/html"
    assert b"<html>" in reply


@pytest.mark.parametrize("body", [b"", b"[]", b'{"method":"VM.get_all"}', b'{"id":1,"method":3}', b"[" * 100_000])
def test_damaged_json_is_a_http_error(web: Web, body: bytes) -> None:
    assert web("POST", "/jsonrpc", body)[0] == 500


def test_requests_are_read_back_as_written() -> None:
    name, params = xmlrpc.read_call(
        b"<methodCall><methodName>VM.x</methodName><params><param><value>plain &lt;</value></param><param><value>"
        b"<string>s</string></value></param><param><value><struct><member><name>k</name><value><array><data><value>"
        b"<i4>1</i4></value><value><boolean>0</boolean></value></data></array></value></member></struct></value>"
        b"</param><param><value><double>1.5</double></value></param><param><value><nil/></value></param></params>"
        b"</methodCall>"
    )
    assert (name, params) == ("VM.x", ["plain <", "s", {"k": [1, False]}, 1.5, None])


def test_the_schema_knows_types_and_back_references() -> None:
    fields = schema.CLASSES["VM"].fields
    assert fields["memory_static_max"].type.kind == "i"
    assert fields["VIFs"].type == schema.Type("set", schema.Type("ref", "VIF"))
    assert fields["other_config"].writable
    assert not fields["power_state"].writable
    for (child, field), (parent, back) in schema.RELATIONS.items():
        assert schema.CLASSES[child].fields[field].type.kind == "ref"
        assert schema.CLASSES[parent].fields[back].type.kind == "set"
