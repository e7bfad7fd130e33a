"""Text grammar 2 of 4: WQL. Literals come only from GUIDs and InstanceIDs of a strict pattern, never from names.

User text has no way into a query: what does not match is refused, so nothing needs to be quoted. Any thread.
"""

from __future__ import annotations

import re

from hvconsole.errors import InvalidInput

_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_INSTANCE_ID = re.compile(
    r"Microsoft:[A-Za-z]*\\?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"(?:\\[A-Za-z0-9{}.:-]{1,80}){0,8}"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,80}")


def is_guid(value: str) -> bool:
    """Whether ``value`` is a GUID as Hyper-V writes them: no braces, any case."""
    return _GUID.fullmatch(value) is not None


def guid(value: str) -> str:
    """``value`` as a WQL string literal. Raises ``InvalidInput`` if it is not a GUID."""
    if not is_guid(value):
        raise InvalidInput("That isn't the id of a virtual machine.", value[:100])
    return f"'{value}'"


def instance_id(value: str) -> str:
    """An InstanceID ("Microsoft:GUID\\…") as a WQL string literal. Raises ``InvalidInput`` for anything else."""
    if _INSTANCE_ID.fullmatch(value) is None:
        raise InvalidInput("That isn't the id of a checkpoint or device.", value[:100])
    return "'" + value.replace("\\", "\\\\") + "'"


def belongs_to(column: str, owner_guid: str) -> str:
    """The condition that ``column`` is an InstanceID below ``owner_guid`` (a VM or a checkpoint)."""
    # Neither a GUID nor the fixed text holds a LIKE wildcard.
    return f"{_identifier(column)} LIKE 'Microsoft:{guid(owner_guid)[1:-1]}\\\\%'"


def select(class_name: str, columns: tuple[str, ...] = (), where: str = "") -> str:
    """A SELECT; ``where`` is made of the functions above and constants."""
    listed = ", ".join(_identifier(column) for column in columns) or "*"
    query = f"SELECT {listed} FROM {_identifier(class_name)}"
    return f"{query} WHERE {where}" if where else query


def associators(path: str, *, assoc_class: str = "", result_class: str = "") -> str:
    """An association query; ``path`` is a relative object path made by ``wmi_path``."""
    query = f"ASSOCIATORS OF {{{path}}}"
    conditions = [f"AssocClass = {_identifier(assoc_class)}"] if assoc_class else []
    conditions += [f"ResultClass = {_identifier(result_class)}"] if result_class else []
    return f"{query} WHERE {' '.join(conditions)}" if conditions else query


def _identifier(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise InvalidInput("That isn't a class or property name.", name[:100])
    return name
