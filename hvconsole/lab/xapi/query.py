"""The filter expressions of get_all_records_where: ``field "power_state" = "Running" and not (…)``. Pure.

Values are compared as the database writes them: true/false for booleans, digits for integers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hvconsole.lab.xapi.failures import Failure

Filter = Callable[[dict[str, Any]], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<word>[a-z]+)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<sign>[=()]))""")
_DEEPEST = 50


def parse(text: str) -> Filter:
    """The filter that ``text`` describes; raises INVALID_VALUE."""
    tokens = _tokens(text)
    found, rest = _either(tokens, 0)
    if rest:
        raise _bad(text)
    return found


def _bad(text: str) -> Failure:
    return Failure("INVALID_VALUE", "expr", text)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _bad(text)
        kind = found.lastgroup or ""
        tokens.append(("string" if kind in ("double", "single") else kind, found[kind]))
        position = found.end()
    return tokens


_Tokens = list[tuple[str, str]]


def _either(tokens: _Tokens, depth: int) -> tuple[Filter, _Tokens]:
    left, rest = _both(tokens, depth)
    while rest and rest[0] == ("word", "or"):
        right, rest = _both(rest[1:], depth)
        left = _or(left, right)
    return left, rest


def _both(tokens: _Tokens, depth: int) -> tuple[Filter, _Tokens]:
    left, rest = _one(tokens, depth)
    while rest and rest[0] == ("word", "and"):
        right, rest = _one(rest[1:], depth)
        left = _and(left, right)
    return left, rest


def _one(tokens: _Tokens, depth: int) -> tuple[Filter, _Tokens]:
    if not tokens or depth > _DEEPEST:
        raise _bad("")
    match tokens[0]:
        case ("word", "true"):
            return lambda _: True, tokens[1:]
        case ("word", "false"):
            return lambda _: False, tokens[1:]
        case ("word", "not"):
            inner, rest = _one(tokens[1:], depth + 1)
            return lambda record: not inner(record), rest
        case ("sign", "("):
            inner, rest = _either(tokens[1:], depth + 1)
            if not rest or rest[0] != ("sign", ")"):
                raise _bad("(")
            return inner, rest[1:]
        case _:
            return _comparison(tokens)


def _comparison(tokens: _Tokens) -> tuple[Filter, _Tokens]:
    left, rest = _operand(tokens)
    if not rest or rest[0] != ("sign", "="):
        raise _bad("=")
    right, rest = _operand(rest[1:])
    return lambda record: left(record) == right(record), rest


def _operand(tokens: _Tokens) -> tuple[Callable[[dict[str, Any]], str], _Tokens]:
    if len(tokens) > 1 and tokens[0] == ("word", "field") and tokens[1][0] == "string":
        name = tokens[1][1]
        return lambda record: _written(record.get(name, "")), tokens[2:]
    if tokens and tokens[0][0] == "string":
        value = tokens[0][1]
        return lambda _: value, tokens[1:]
    raise _bad("a value is missing")


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _or(left: Filter, right: Filter) -> Filter:
    return lambda record: left(record) or right(record)


def _and(left: Filter, right: Filter) -> Filter:
    return lambda record: left(record) and right(record)
