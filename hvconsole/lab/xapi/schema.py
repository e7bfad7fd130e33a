"""The XenAPI classes as data: field types, which can be set, defaults, back references. Any thread."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from hvconsole.lab.xapi.schema_table import TABLE
from hvconsole.lab.xapi.values import EPOCH, NULL

_MAP = re.compile(r"\{([^,]+),(.+)\}")


@dataclass(frozen=True, slots=True)
class Type:
    """``kind``: s, i, f, b, d, "ref", "set" or "map"; ``of`` the class or element type; ``key`` a map's key type."""

    kind: str
    of: Any = None
    key: Any = None

    def default(self) -> Any:
        """The default value."""
        match self.kind:
            case "s":
                return ""
            case "i":
                return 0
            case "f":
                return 0.0
            case "b":
                return False
            case "d":
                return EPOCH
            case "ref":
                return NULL
            case "set":
                return []
            case _:
                return {}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a class; ``writable`` fields have set_, add_to_, remove_from_ messages."""

    name: str
    type: Type
    writable: bool


@dataclass(frozen=True, slots=True)
class ClassSchema:
    """A class; ``fields`` in order."""

    name: str
    fields: dict[str, Field]


@cache
def parse_type(text: str) -> Type:
    """The type that a word of the table stands for."""
    if text in ("s", "i", "f", "b", "d"):
        return Type(text)
    if text.startswith("["):
        return Type("set", parse_type(text[1:-1]))
    found = _MAP.fullmatch(text)
    if found:
        return Type("map", parse_type(found[2]), parse_type(found[1]))
    return Type("ref", text)


def _parse() -> dict[str, ClassSchema]:
    joined = re.sub(r"\n\s+", " ", TABLE.strip())
    classes = {}
    for line in joined.splitlines():
        name, _, words = line.partition(" = ")
        fields = {}
        for word in words.split():
            field_name, _, type_text = word.partition(":")
            fields[field_name] = Field(field_name, parse_type(type_text.rstrip("!")), type_text.endswith("!"))
        classes[name] = ClassSchema(name, fields)
    return classes


CLASSES: dict[str, ClassSchema] = _parse()

LOWER: dict[str, str] = {name.lower(): name for name in CLASSES}
"""Lower-case name → name, as events and subscriptions use it."""

SILENT = frozenset({"session", "user", "secret", "role", "subject"})
"""Classes for which no events are delivered."""

RELATIONS: dict[tuple[str, str], tuple[str, str]] = {
    ("VBD", "VM"): ("VM", "VBDs"),
    ("VBD", "VDI"): ("VDI", "VBDs"),
    ("VIF", "VM"): ("VM", "VIFs"),
    ("VIF", "network"): ("network", "VIFs"),
    ("console", "VM"): ("VM", "consoles"),
    ("VM", "resident_on"): ("host", "resident_VMs"),
    ("VM", "snapshot_of"): ("VM", "snapshots"),
    ("VM", "parent"): ("VM", "children"),
    ("VM", "appliance"): ("VM_appliance", "VMs"),
    ("VDI", "SR"): ("SR", "VDIs"),
    ("VDI", "snapshot_of"): ("VDI", "snapshots"),
    ("PBD", "SR"): ("SR", "PBDs"),
    ("PBD", "host"): ("host", "PBDs"),
    ("PIF", "network"): ("network", "PIFs"),
    ("PIF", "host"): ("host", "PIFs"),
    ("PIF", "bond_slave_of"): ("Bond", "slaves"),
    ("host_cpu", "host"): ("host", "host_CPUs"),
    ("PCI", "host"): ("host", "PCIs"),
    ("PGPU", "host"): ("host", "PGPUs"),
    ("PGPU", "GPU_group"): ("GPU_group", "PGPUs"),
    ("VTPM", "VM"): ("VM", "VTPMs"),
    ("VGPU", "VM"): ("VM", "VGPUs"),
    ("task", "subtask_of"): ("task", "subtasks"),
}
"""(class, reference field) → (class, set field): the set is derived from the references, as xapi does."""

REFERRED: dict[str, tuple[str, ...]] = {
    child: tuple(field for (other, field) in RELATIONS if other == child) for child, _ in RELATIONS
}
"""Class → its reference fields that have a back reference."""

DERIVED: dict[str, frozenset[str]] = {
    parent: frozenset(field for other, field in RELATIONS.values() if other == parent)
    for parent, _ in RELATIONS.values()
}
"""Class → its set fields that are derived."""


_TEMPLATES: dict[str, dict[str, Any]] = {
    name: {field.name: field.type.default() for field in klass.fields.values()} for name, klass in CLASSES.items()
}


def defaults(class_name: str) -> dict[str, Any]:
    """A record of defaults. Lists and maps in it are shared: replace them, never change them in place."""
    return _TEMPLATES[class_name].copy()
