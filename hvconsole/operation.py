"""What a row of the operations table is, and how its run functions read their arguments.

Pure; any thread. The table itself is ``operations.OPERATIONS``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hvconsole.backends.base import Capability, CreateVm, Hypervisor, Secret, TaskContext
from hvconsole.errors import InvalidInput
from hvconsole.model import ObjectId, Verb
from hvconsole.text import unsendable

MOST_AT_ONCE = 50
"""VMs that can be created together."""


class Scope(enum.StrEnum):
    """What an operation is done to."""

    VM = "vm"
    SNAPSHOT = "snapshot"
    HOST = "host"
    SERVER = "server"


class ArgumentKind(enum.StrEnum):
    """How an argument is asked for in a dialog and parsed from the command line."""

    TEXT = "text"
    LINES = "lines"
    PASSWORD = "password"
    FLAG = "flag"
    HOST = "host"
    SNAPSHOT = "snapshot"
    STORAGE = "storage"
    NETWORK = "network"
    DISKS = "disks"
    OPEN_FILE = "open file"
    SAVE_FILE = "save file"
    SPEC = "spec"


@dataclass(frozen=True, slots=True)
class Argument:
    """One thing an operation needs to know. ``name`` is also the command line's ``--name`` (``_`` as ``-``)."""

    name: str
    label: str
    kind: ArgumentKind
    required: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked first. ``{name}`` and ``{count}`` are filled in; ``button`` carries the verb, and may say with
    ``{what}`` where the object stands in it."""

    one: str
    many: str
    text: str
    button: str

    def button_for(self, what: str) -> str:
        """The button's text with its object: "Shut down “web-01”", "Put 3 hosts into maintenance"."""
        return self.button.format(what=what) if "{what}" in self.button else f"{self.button} {what}"


Arguments = Mapping[str, Any]
Run = Callable[[Hypervisor, ObjectId, Arguments, TaskContext], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the table."""

    verb: Verb
    label: str
    """"Shut down"; dialogs that follow are announced by the window with "…"."""
    doing: str
    """"Shutting down"."""
    scope: Scope
    group: str
    """Menu section: "power", "snapshot", "life", "host", "server"."""
    run: Run
    icon: str = ""
    shortcut: str = ""
    needs: Capability = Capability.NONE
    question: Question | None = None
    arguments: tuple[Argument, ...] = ()
    one_of: tuple[str, ...] = ()
    """Names of arguments of which at least one has to be given."""
    destructive: bool = False
    """Data or running state is lost: asked with weight, and the count is typed for several."""
    hard: Verb | None = None
    """What to offer when the guest cannot be asked (``ToolsMissing``)."""

    @property
    def asks(self) -> bool:
        """Whether a dialog for arguments opens."""
        return bool(self.arguments)


def text_argument(arguments: Arguments, name: str, default: str = "") -> str:
    """The text given for ``name``. Raises ``InvalidInput`` for characters that no server can be sent."""
    value = arguments.get(name, default)
    text = str(value) if value is not None else default
    problem = unsendable(text)
    if problem:
        raise InvalidInput(problem)
    return text


def name_argument(arguments: Arguments) -> str:
    """The new name, trimmed. Raises ``InvalidInput`` when empty or unsendable."""
    name = text_argument(arguments, "name").strip()
    if not name:
        raise InvalidInput("Enter a name.")
    return name


def id_argument(arguments: Arguments, name: str, what: str) -> ObjectId:
    """A required object id; ``what`` completes "Choose …". Raises ``InvalidInput``."""
    value = arguments.get(name)
    if not value:
        raise InvalidInput(f"Choose {what}.")
    return ObjectId(str(value))


def optional_id_argument(arguments: Arguments, name: str) -> ObjectId | None:
    """An object id, or None where none was given."""
    value = arguments.get(name)
    return ObjectId(str(value)) if value else None


def path_argument(arguments: Arguments, name: str) -> Path:
    """A required local path, ``~`` expanded. Raises ``InvalidInput``."""
    value = arguments.get(name)
    if not value:
        raise InvalidInput("Choose a file.")
    return Path(str(value)).expanduser()


def secret_argument(arguments: Arguments, name: str) -> Secret:
    """A required password, already wrapped as ``Secret``. Raises ``InvalidInput``."""
    value = arguments.get(name)
    if isinstance(value, Secret):
        return value
    raise InvalidInput("Enter the password.")


def numbered(spec: CreateVm, how_many: int) -> tuple[CreateVm, ...]:
    """One spec per VM: "web-#" or "web" → web-01, web-02 …; a single VM keeps its name ("#" becomes 1)."""
    if how_many == 1:
        return (replace(spec, name=spec.name.replace("#", "1")),)
    digits = max(2, len(str(how_many)))
    pattern = spec.name if "#" in spec.name else f"{spec.name}-#"
    return tuple(replace(spec, name=pattern.replace("#", f"{n:0{digits}}")) for n in range(1, how_many + 1))
