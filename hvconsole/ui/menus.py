"""Menu bar, context menu and toolbar, all built from commands. Greyed entries say why. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from tkinter import ttk
from typing import Any

from hvconsole.ui.commands import Command
from hvconsole.ui.megawidgets import menu_bar
from hvconsole.ui.theme import Theme

SEPARATOR = None


@dataclass(frozen=True, slots=True)
class Submenu:
    """A menu inside a menu. ``entries`` is asked each time it opens."""

    label: str
    entries: Callable[[], Sequence[MenuEntry]]


MenuEntry = Command | Submenu | None
"""What a menu consists of; None is a separator."""


def free_letter(label: str, taken: set[str]) -> int:
    """Position of the letter that opens an entry from the keyboard: the first one that no other entry has; -1: none."""
    starts: list[int] = [i for i, char in enumerate(label) if char.isalpha() and (i == 0 or not label[i - 1].isalpha())]
    for position in starts + list(range(len(label))):
        char = label[position].casefold()
        if char.isalpha() and char not in taken:
            taken.add(char)
            return position
    return -1


class MenuFiller:
    """Fills Tk menus from entries and explains greyed ones: in the status bar, and in a small tip beside the menu."""

    def __init__(self, theme: Theme, status: Callable[[str], None], invoke: Callable[[Command], None]) -> None:
        self._theme = theme
        self._status = status
        self._invoke = invoke
        self._tip: tk.Toplevel | None = None
        self._tip_for: tuple[str, int] | None = None

    def fill(self, menu: tk.Menu, entries: Sequence[MenuEntry]) -> None:
        """Replace what is in ``menu``."""
        menu.delete(0, "end")
        for child in menu.winfo_children():
            child.destroy()
        reasons: dict[int, str] = {}
        last_was_line = True
        letters: set[str] = set()
        wide = any(isinstance(entry, Command) and entry.checked is not None for entry in entries)
        for entry in entries:
            if entry is None:
                if not last_was_line:
                    menu.add_separator()
                last_was_line = True
                continue
            last_was_line = False
            if isinstance(entry, Submenu):
                self._add_submenu(menu, entry, letters, wide)
                continue
            reason = self._add_command(menu, entry, letters, wide)
            if reason is not None:
                reasons[int(menu.index("end") or 0)] = reason
        if last_was_line and menu.index("end") is not None:
            menu.delete("end")
        menu.bind("<Motion>", lambda event: self._explain(menu, reasons, event))
        menu.bind("<<MenuSelect>>", lambda _event: self._selected(menu, reasons))
        menu.bind("<Unmap>", lambda _event: self.hide_tip())

    def _add_submenu(self, menu: tk.Menu, entry: Submenu, letters: set[str], wide: bool) -> None:
        below = tk.Menu(menu, tearoff=False)
        below.configure(postcommand=lambda: self.fill(below, entry.entries()))
        underline = free_letter(entry.label, letters)
        mark = self._theme.images.menu_mark(False, wide)
        menu.add_cascade(label=entry.label, menu=below, image=mark, compound="left", underline=underline)

    def _add_command(self, menu: tk.Menu, command: Command, letters: set[str], wide: bool) -> str | None:
        reason = command.why_not()
        options: dict[str, Any] = {
            "label": command.label,
            "accelerator": f"{command.accelerator}  " if command.accelerator else "",
            "underline": free_letter(command.label, letters),
            "state": "normal" if reason is None else "disabled",
            "command": lambda: self._invoke(command),
        }
        # Tk 8.6 has no padding for menu rows and an old-fashioned check mark: one picture does both
        mark = self._theme.images.menu_mark(command.checked is not None and command.checked(), wide)
        menu.add_command(**options, image=mark, compound="left")
        return reason

    def _selected(self, menu: tk.Menu, reasons: Mapping[int, str]) -> None:
        active = menu.index("active")
        if active is None or active not in reasons:
            self._status("")

    def _explain(self, menu: tk.Menu, reasons: Mapping[int, str], event: tk.Event[tk.Misc]) -> None:
        index = menu.index(f"@{event.y}")
        reason = reasons.get(index) if index is not None else None
        if index is None or reason is None:
            self.hide_tip()
            return
        self._status(reason)
        if self._tip_for != (str(menu), index):
            self.hide_tip()
            self._show_tip(menu, index, reason)

    def _show_tip(self, menu: tk.Menu, index: int, reason: str) -> None:
        theme = self._theme
        tip = tk.Toplevel(menu)
        tip.wm_overrideredirect(True)
        theme.paint(tip, background="tip")
        label = tk.Label(
            tip,
            text=reason,
            font="HvSmall",
            wraplength=theme.px(320),
            justify="left",
            padx=theme.px(8),
            pady=theme.px(4),
        )
        theme.paint(label, background="tip", foreground="tip_text")
        label.pack()
        tip.update_idletasks()
        x = menu.winfo_rootx() + menu.winfo_width() + theme.px(4)
        if x + tip.winfo_reqwidth() > menu.winfo_screenwidth():
            x = max(0, menu.winfo_rootx() - tip.winfo_reqwidth() - theme.px(4))
        tip.wm_geometry(f"+{x}+{menu.winfo_rooty() + int(menu.yposition(index))}")
        self._tip, self._tip_for = tip, (str(menu), index)

    def hide_tip(self) -> None:
        """Take the explanation away."""
        tip, self._tip, self._tip_for = self._tip, None, None
        if tip is not None and tip.winfo_exists():
            tip.destroy()


class MenuBar:
    """The bar of menus; each is filled anew when it opens, so that greyed and ticked entries are always right."""

    def __init__(self, parent: tk.Misc, theme: Theme, filler: MenuFiller) -> None:
        self.bar = menu_bar(theme, parent)
        self.widget: tk.Widget = self.bar.component("hull")
        self._filler = filler

    def add(self, name: str, underline: int, entries: Callable[[], Sequence[MenuEntry]]) -> tk.Menu:
        """A menu at the right end of the bar; Alt and the underlined letter open it."""
        self.bar.addmenu(name, "", tearoff=0, traverseSpec=underline)
        menu: tk.Menu = self.bar.component(f"{name}-menu")
        menu.configure(postcommand=lambda: self._filler.fill(menu, entries()))
        return menu


class ContextMenu:
    """One menu that is filled for what was clicked and opened there."""

    def __init__(self, root: tk.Tk, filler: MenuFiller) -> None:
        self.menu = tk.Menu(root, tearoff=False, name="context")
        self._filler = filler

    def open(self, entries: Sequence[MenuEntry], x_root: int, y_root: int) -> None:
        """Fill and post at a place on the screen."""
        self._filler.fill(self.menu, entries)
        if self.menu.index("end") is not None:
            self.menu.tk_popup(x_root, y_root)


class Toolbar:
    """Flat buttons with icon and word. ``refresh`` greys them; the tip of a greyed one says why."""

    def __init__(self, parent: tk.Misc, theme: Theme, balloon: Any, invoke: Callable[[Command], None]) -> None:
        self.widget = ttk.Frame(parent)
        self._theme = theme
        self._balloon = balloon
        self._invoke = invoke
        self._buttons: list[tuple[ttk.Button, Callable[[], Command], bool]] = []
        self._shown: dict[ttk.Button, tuple[str, str, str]] = {}

    def add(
        self, command: Command | Callable[[], Command], *, color: str = "text", text: bool = True, right: bool = False
    ) -> ttk.Button:
        """A button; a function instead of a command chooses anew at every refresh."""
        choose = command if not isinstance(command, Command) else lambda: command
        button = ttk.Button(
            self.widget,
            style="Tool.TButton",
            compound="left" if text else "image",
            takefocus=True,
            command=lambda: self._invoke(choose()),
            name=f"tool-{choose().name}",
        )
        button.pack(side="right" if right else "left", padx=self._theme.px(1))
        self._buttons.append((button, choose, text))
        icon = choose().icon
        normal = self._theme.icon(icon, 18, color)
        pictures: Any = (str(normal), "disabled", str(self._theme.icon(icon, 18, "faint")))
        button.configure(image=pictures)
        self._refresh_one(button, choose(), text)
        return button

    def add_line(self) -> None:
        """A dividing line."""
        px = self._theme.px
        self._theme.line(self.widget, vertical=True).pack(side="left", fill="y", padx=px(7), pady=px(7))

    def refresh(self) -> None:
        """Grey what can't be done now, and say why in the tip."""
        for button, choose, text in self._buttons:
            self._refresh_one(button, choose(), text)

    def _refresh_one(self, button: ttk.Button, command: Command, text: bool) -> None:
        reason = command.why_not()
        label = command.label.rstrip("…")
        tip = command.help or label
        if command.accelerator:
            tip += f"  ({command.accelerator})"
        if reason is not None:
            tip = f"{tip}\n{reason}"
        shown = (label, tip, "disabled" if reason is not None else "normal")
        if self._shown.get(button) == shown:
            return
        self._shown[button] = shown
        if text:
            button.configure(text=f" {label}")
        button.state(["disabled" if reason is not None else "!disabled"])
        self._balloon.bind(button, tip)
