"""Everything that can be asked of the window: the operations table and the window's own commands, one list for menu
bar, toolbar, context menu and keyboard. Pure bookkeeping but for ``bind_keys``; Tk thread.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hvconsole.model import Verb
from hvconsole.operation import Operation, Scope
from hvconsole.operations import OPERATIONS

TYPING_CLASSES = frozenset({"Entry", "TEntry", "Text", "Spinbox", "TSpinbox", "TCombobox"})
"""Widgets in which keys are for typing: no operation may fire there."""

_SHIFT = 0x1
_MODIFIER_WORDS = {"Control": "Ctrl", "Command": "⌘", "Shift": "Shift", "Alt": "Alt"}
_KEY_WORDS = {"comma": ",", "slash": "/", "Delete": "Del", "space": "Space", "Return": "Enter"}


def never_refused() -> str | None:
    """The reason of a command that is always possible."""
    return None


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that can be asked for. ``name`` is a verb of the operations table, or a word of the window's."""

    name: str
    label: str
    run: Callable[[], object]
    why_not: Callable[[], str | None] = never_refused
    icon: str = ""
    shortcut: str = ""
    """Tk's notation without brackets: "Control-b"."""
    help: str = ""
    checked: Callable[[], bool] | None = None
    """For entries that are on or off."""
    while_typing: bool = False
    """Whether its shortcut also works in a text field."""
    on_list_only: bool = False
    """Its shortcut is a plain key (Del): it works only in the list that shows what it would act on."""
    bound_elsewhere: bool = False
    """The shortcut is only shown: the widget that it belongs to binds it itself."""

    @property
    def accelerator(self) -> str:
        """The shortcut for people: "Ctrl+Shift+S"."""
        return accelerator(self.shortcut)


def accelerator(shortcut: str) -> str:
    """Tk's notation as people write it."""
    if not shortcut:
        return ""
    *modifiers, key = shortcut.split("-")
    words = [_MODIFIER_WORDS.get(m, m) for m in modifiers]
    shown = _KEY_WORDS.get(key, key.upper() if len(key) == 1 else key)
    return "+".join([*words, shown])


def operation_commands(run: Callable[[Verb], None], why_not: Callable[[Verb], str | None]) -> dict[str, Command]:
    """One command per row of the operations table, by verb, in the table's order."""
    return {str(op.verb): _operation_command(op, run, why_not) for op in OPERATIONS}


def _operation_command(op: Operation, run: Callable[[Verb], None], why_not: Callable[[Verb], str | None]) -> Command:
    return Command(
        name=str(op.verb),
        label=f"{op.label}…" if op.asks else op.label,
        run=lambda: run(op.verb),
        why_not=lambda: why_not(op.verb),
        icon=op.icon,
        shortcut=op.shortcut,
        on_list_only="-" not in op.shortcut,
        help=op.label,
    )


def verbs(scope: Scope, *groups: str) -> list[Verb]:
    """Verbs of one scope (in these groups), in the table's order."""
    return [op.verb for op in OPERATIONS if op.scope is scope and (not groups or op.group in groups)]


class Keyboard:
    """Binds shortcuts on the main window. A shortcut whose command can't run says why in the status bar."""

    def __init__(self, root: tk.Tk, status: Callable[[str], None], on_list: Callable[[], bool]) -> None:
        """``on_list``: whether the list that commands act on has the keyboard."""
        self._root = root
        self._status = status
        self._on_list = on_list
        self._system = str(root.tk.call("tk", "windowingsystem"))

    def bind(self, commands: Sequence[Command]) -> None:
        """Bind all shortcuts of these commands."""
        for command in commands:
            if command.shortcut and not command.bound_elsewhere:
                for sequence in sequences(command.shortcut, self._system):
                    self._root.bind(f"<{sequence}>", self._handler(command, sequence))

    def _handler(self, command: Command, sequence: str) -> Callable[[tk.Event[tk.Misc]], str | None]:
        shifted = "Shift" in sequence or "ISO_Left_Tab" in sequence

        def pressed(event: tk.Event[tk.Misc]) -> str | None:
            if not shifted and "Control" in sequence and int(event.state) & _SHIFT:
                return None  # Ctrl+Shift+letter arrives as the capital letter of Caps Lock
            if not command.while_typing and self.typing():
                return None
            if command.on_list_only and not self._on_list():
                return None
            self.invoke(command)
            return "break"

        return pressed

    def typing(self) -> bool:
        """Whether the keyboard is in a field for text."""
        path = str(self._root.tk.call("focus"))
        return bool(path) and str(self._root.tk.call("winfo", "class", path)) in TYPING_CLASSES

    def invoke(self, command: Command) -> None:
        """Run a command, or say why not."""
        reason = command.why_not()
        if reason is not None:
            self._status(f"{command.label.rstrip('…')}: {reason}")
            return
        command.run()


def sequences(shortcut: str, system: str) -> list[str]:
    """The Tk sequences of a shortcut: with Caps Lock on, Tk names the capital letter; X11 has a key of its own for
    Shift+Tab."""
    *modifiers, key = shortcut.split("-")
    if len(key) == 1 and key.isalpha() and "Control" in modifiers:
        return ["-".join([*modifiers, key.lower()]), "-".join([*modifiers, key.upper()])]
    if key == "Tab" and "Shift" in modifiers and system == "x11":
        return [shortcut, "-".join([*(m for m in modifiers if m != "Shift"), "ISO_Left_Tab"])]
    return [shortcut]
