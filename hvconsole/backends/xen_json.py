"""JSON of xapi → Python values, bounded before it is decoded: 64 MB of "[]," would become a gigabyte of lists.

Pure; any thread.
"""

from __future__ import annotations

import json

from hvconsole.errors import BadReply


def read_json(body: bytes | bytearray, values: int) -> object:
    """The value in ``body``, which may hold at most ``values`` values; two fifths of them lists and objects, which cost
    the most, and all the while the decoder lets no other thread run. xapi's own records have one in three at most.

    Raises ``BadReply`` for more and for deep nesting, ``ValueError`` for what is no JSON.
    """
    containers = body.count(b"[") + body.count(b"{")
    if containers > values * 2 // 5 or containers + body.count(b",") > values:
        raise BadReply("The server's answer has too many elements.")
    try:
        return json.loads(body)
    except RecursionError as exc:
        raise BadReply("The server's answer nests too deeply.") from exc
