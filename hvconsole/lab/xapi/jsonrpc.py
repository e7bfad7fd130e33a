"""JSON-RPC 1.0 and 2.0 as xapi speaks them. Pure; any thread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hvconsole.lab.xapi.failures import Failure
from hvconsole.lab.xapi.values import to_json
from hvconsole.lab.xapi.xmlrpc import Malformed


@dataclass(frozen=True, slots=True)
class Call:
    """A request; ``version2`` if it says jsonrpc 2.0."""

    method: str
    params: list[Any]
    id: Any
    version2: bool


def read_call(body: bytes) -> Call:
    """Read a request; raises ``Malformed``. The id is mandatory."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if not isinstance(request, dict) or "id" not in request or not isinstance(request.get("method"), str):
        raise Malformed("method and id are mandatory")
    params = request.get("params", [])
    if not isinstance(params, list):
        raise Malformed("params must be an array")
    return Call(request["method"], params, request["id"], request.get("jsonrpc") == "2.0")


def success(call: Call, value: Any) -> bytes:
    """The response that carries ``value``."""
    identifier = json.dumps(call.id)
    if call.version2:
        return f'{{"jsonrpc":"2.0","result":{to_json(value)},"id":{identifier}}}'.encode(errors="replace")
    return f'{{"result":{to_json(value)},"error":null,"id":{identifier}}}'.encode(errors="replace")


def failure(call: Call, error: Failure) -> bytes:
    """The response that carries a failure."""
    identifier = json.dumps(call.id)
    if call.version2:
        told = to_json({"code": 1, "message": error.code, "data": list(error.params)})
        return f'{{"jsonrpc":"2.0","error":{told},"id":{identifier}}}'.encode(errors="replace")
    return f'{{"result":null,"error":{to_json(error.description)},"id":{identifier}}}'.encode(errors="replace")
