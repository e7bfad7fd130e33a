"""The subset of WQL that management tools use: SELECT with columns and conditions, ASSOCIATORS OF, REFERENCES OF.

Keywords, names and string comparisons are case-insensitive, as in WMI. Pure; any thread. Raises ``QueryError``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hvconsole.lab.hyperv.instance import Inst

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?)
    |(?P<op><=|>=|<>|!=|=|<|>|\(|\)|,|\*)|(?P<word>[A-Za-z_][\w.]*))""",
    re.VERBOSE | re.DOTALL,
)
_ASSOCIATION = re.compile(
    r"\s*(associators|references)\s+of\s*\{(.*?)\}\s*(?:where\s+(.*))?\s*$", re.IGNORECASE | re.DOTALL
)

Condition = Callable[[Inst, str], bool]


class QueryError(Exception):
    """The query is not valid."""


@dataclass(frozen=True, slots=True)
class Select:
    """A parsed SELECT; ``columns`` None means "*"."""

    class_name: str
    columns: tuple[str, ...] | None
    where: Condition | None


@dataclass(frozen=True, slots=True)
class Association:
    """A parsed ASSOCIATORS OF or REFERENCES OF (``references``)."""

    path: str
    references: bool
    assoc_class: str = ""
    result_class: str = ""
    role: str = ""
    result_role: str = ""


def parse(text: str) -> Select | Association:
    """A query. Raises ``QueryError``."""
    association = _ASSOCIATION.match(text)
    if association:
        return _association(association)
    return _Parser(text).select()


def _association(match: re.Match[str]) -> Association:
    found = {key.lower(): value for key, value in re.findall(r"(\w+)\s*=\s*(\w+)", match[3] or "")}
    return Association(
        match[2].strip(),
        match[1].lower() == "references",
        found.get("assocclass", ""),
        found.get("resultclass", ""),
        found.get("role", ""),
        found.get("resultrole", ""),
    )


class _Parser:
    """Recursive descent over the tokens of one query."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise QueryError(f"unexpected {text[position : position + 20]!r}")
            self._tokens.append((match.lastgroup or "", match[match.lastgroup or 0]))
            position = match.end()
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at][1].lower() if self._at < len(self._tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise QueryError("the query ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, word: str) -> None:
        if self._next()[1].lower() != word:
            raise QueryError(f"{word.upper()} expected")

    def select(self) -> Select:
        self._expect("select")
        columns: list[str] | None = []
        if self._peek() == "*":
            self._next()
            columns = None
        else:
            assert columns is not None
            columns.append(self._word())
            while self._peek() == ",":
                self._next()
                columns.append(self._word())
        self._expect("from")
        class_name = self._word()
        where: Condition | None = None
        if self._peek() == "where":
            self._next()
            where = self._either()
        if self._at != len(self._tokens):
            raise QueryError("the query goes on after its end")
        return Select(class_name, None if columns is None else tuple(columns), where)

    def _word(self) -> str:
        kind, text = self._next()
        if kind != "word":
            raise QueryError("a name was expected")
        return text

    def _either(self) -> Condition:
        left = self._both()
        while self._peek() == "or":
            self._next()
            right = self._both()
            left = _or(left, right)
        return left

    def _both(self) -> Condition:
        left = self._one()
        while self._peek() == "and":
            self._next()
            right = self._one()
            left = _and(left, right)
        return left

    def _one(self) -> Condition:
        if self._peek() == "not":
            self._next()
            inner = self._one()
            return lambda inst, server: not inner(inst, server)
        if self._peek() == "(":
            self._next()
            inner = self._either()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._operand()
        op = self._next()[1].lower()
        if op == "is":
            negated = self._peek() == "not"
            if negated:
                self._next()
            self._expect("null")
            return lambda inst, server: (left(inst, server) is None) != negated
        if op not in ("=", "!=", "<>", "<", ">", "<=", ">=", "like", "isa"):
            raise QueryError(f"{op!r} is no comparison")
        right = self._operand()
        return lambda inst, server: _compare(op, left(inst, server), right(inst, server))

    def _operand(self) -> Callable[[Inst, str], Any]:
        kind, text = self._next()
        if kind == "string":
            value = re.sub(r"\\(.)", r"\1", text[1:-1])
            return lambda inst, server: value
        if kind == "number":
            number = float(text) if "." in text else int(text)
            return lambda inst, server: number
        if kind != "word":
            raise QueryError("a value was expected")
        name = text.lower()
        if name in ("true", "false"):
            return lambda inst, server: name == "true"
        if name == "null":
            return lambda inst, server: None
        if name == "__server":
            return lambda inst, server: server
        if name == "__class":
            return lambda inst, server: inst.definition.name
        if name == "__path":
            return lambda inst, server: inst.ref.path(server)
        if name == "__relpath":
            return lambda inst, server: inst.ref.path(server).partition(":")[2]
        if name == "__namespace":
            return lambda inst, server: inst.ref.namespace.replace("/", "\\")
        return lambda inst, server: _column(inst, text)


def _column(inst: Inst, name: str) -> Any:
    if inst.definition.property_named(name) is None:
        raise QueryError(f"no column {name}")
    return inst.get(name)


def _and(left: Condition, right: Condition) -> Condition:
    return lambda inst, server: left(inst, server) and right(inst, server)


def _or(left: Condition, right: Condition) -> Condition:
    return lambda inst, server: left(inst, server) or right(inst, server)


def _compare(op: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return (left is right) == (op == "=") if op in ("=", "!=", "<>") else False
    if op == "like":
        return _like(str(right)).fullmatch(str(left)) is not None
    if isinstance(left, list):
        raise QueryError("arrays cannot be compared")
    if isinstance(left, bool) or isinstance(right, bool):
        left, right = _truth(left), _truth(right)
    elif isinstance(left, int | float) or isinstance(right, int | float):
        try:
            left, right = float(left), float(right)
        except ValueError:
            raise QueryError("a number was expected") from None
    else:
        left, right = str(left).lower(), str(right).lower()
    return bool(
        {
            "=": left == right,
            "isa": left == right,
            "!=": left != right,
            "<>": left != right,
            "<": left < right,
            ">": left > right,
            "<=": left <= right,
            ">=": left >= right,
        }[op]
    )


def _truth(value: Any) -> bool:
    return value.lower() in ("true", "1") if isinstance(value, str) else bool(value)


def _like(pattern: str) -> re.Pattern[str]:
    parts = []
    for piece in re.findall(r"\[[^\]]*\]|.", pattern, re.DOTALL):
        if piece == "%":
            parts.append(".*")
        elif piece == "_":
            parts.append(".")
        elif piece.startswith("[") and len(piece) > 2:
            parts.append("[" + piece[1:-1].replace("\\", "\\\\") + "]")
        else:
            parts.append(re.escape(piece))
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
