"""The tabs: a strip of flat buttons over a Pmw notebook. Pages are made when first shown. Tk thread only.

Tabs that a narrow window has no room for go into a menu at the end of the strip; the visible page's tab never does.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Mapping, Sequence
from tkinter import ttk

from hvconsole.ui.cards import Empty
from hvconsole.ui.commands import Command
from hvconsole.ui.interfaces import Page, PageClass, Selection, Shell
from hvconsole.ui.megawidgets import notebook
from hvconsole.ui.menus import MenuEntry
from hvconsole.ui.theme import Theme

FIRST_STEPS = (
    "Connect to a server, and its hosts and VMs are in the tree at the left. Tick a VM there, and it is snapshotted "
    "when it loses its network.\n\n"
    "No server at hand? “hvconsole --demo” opens the console on a built-in, simulated data centre."
)
OpenMenu = Callable[[Sequence[MenuEntry], int, int], object]
"""Opens a menu at a place of the screen."""


class Tabs:
    """``widget`` is the frame to place. Only the tabs that apply to the selection are offered."""

    def __init__(
        self,
        parent: tk.Misc,
        theme: Theme,
        shell: Shell,
        classes: Sequence[PageClass],
        turned: Callable[[str], None] = lambda title: None,
        open_menu: OpenMenu = lambda entries, x, y: None,
    ) -> None:
        self._shell = shell
        self._classes = {cls.title: cls for cls in classes}
        self._pages: dict[str, Page] = {}
        self._turned = turned
        self._open_menu = open_menu
        self._offered: tuple[str, ...] = ()
        self._shown: str | None = None
        self._wish = ""
        self._selection = Selection()
        self.widget = ttk.Frame(parent, style="Surface.TFrame")
        self._strip = ttk.Frame(self.widget, style="Surface.TFrame")
        self._strip.pack(fill="x", padx=theme.px(6))
        theme.line(self.widget).pack(fill="x")
        self._book = notebook(theme, self.widget)
        self._book.component("hull").pack(fill="both", expand=True)
        self._choice = tk.StringVar(self.widget)
        self.buttons: dict[str, ttk.Radiobutton] = {}
        for title in self._classes:
            button = ttk.Radiobutton(
                self._strip,
                style="Tab.TRadiobutton",
                text=title,
                value=title,
                variable=self._choice,
                command=lambda title=title: self.turn_to(title),  # type: ignore[misc]
            )
            button.bind("<Right>", lambda _event: self.turn(1, keep_focus=True))
            button.bind("<Left>", lambda _event: self.turn(-1, keep_focus=True))
            self.buttons[title] = button
        self.more = ttk.Button(
            self._strip,
            style="Surface.Tool.TButton",
            text="More",
            image=theme.icon("chevron-down", 14),
            compound="right",
            command=self._open_more,
            name="more",
        )
        self.in_menu: tuple[str, ...] = ()
        """Titles of the tabs that have no room."""
        self._placed: tuple[str, ...] = ()
        self._strip.bind("<Configure>", lambda _event: self._fit())
        self._nothing = Empty(theme, self.widget, "plug", FIRST_STEPS)
        self._welcome()

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles of the tabs that are offered now, in order."""
        return self._offered

    @property
    def current(self) -> str | None:
        """Title of the visible tab."""
        return self._shown

    @property
    def page(self) -> Page | None:
        """The visible page."""
        return self._pages.get(self._shown) if self._shown else None

    def show(self, selection: Selection) -> None:
        """Offer the tabs that apply, keep the one the user chose last if it does, and show the selection in it."""
        self._selection = selection
        offered = tuple(title for title, cls in self._classes.items() if cls.applies(selection))
        if offered != self._offered:
            self._offered = offered
        if not offered:
            self._fit()
            self._leave()
            self._welcome()
            return
        self._nothing.frame.place_forget()
        self._show_page(self._wish if self._wish in offered else offered[0])

    def _welcome(self) -> None:
        """Without any server the page says how to begin."""
        if self._shell.services.connections.all():
            self._nothing.frame.place_forget()
        else:
            self._nothing.frame.place(x=0, y=self._shell.theme.px(2), relwidth=1.0, relheight=1.0)

    def wish(self, title: str) -> None:
        """Prefer this tab wherever it applies."""
        self._wish = title

    def turn_to(self, title: str) -> None:
        """Bring a tab to the front, and remember it as the user's choice."""
        if title in self._offered:
            self._wish = title
            self._show_page(title)
            self._turned(title)

    def turn(self, step: int, *, keep_focus: bool = False) -> str:
        """Go to the next or previous tab."""
        if self._offered:
            here = self._offered.index(self._shown) if self._shown in self._offered else 0
            title = self._offered[(here + step) % len(self._offered)]
            self.turn_to(title)
            if keep_focus:
                self.buttons[title].focus_set()
        return "break"

    def focus(self) -> None:
        """Give the visible page the keyboard: its first control, else its tab."""
        page = self.page
        target: tk.Misc | None = None
        if page is not None:
            target = _first_control(page.widget, ("Treeview",)) or _first_control(page.widget, _CONTROLS)
        if target is None and self._shown in self.buttons:
            target = self.buttons[self._shown]
        if target is not None:
            target.focus_set()

    def contains(self, widget: str) -> bool:
        """Whether a widget, by its path, belongs to the tabs."""
        return widget.startswith(f"{self.widget}.")

    def on_event(self, event: object) -> None:
        """Hand an event to the visible page."""
        page = self.page
        if page is not None:
            page.on_event(event)
        else:
            self._welcome()

    def leave(self) -> None:
        """The window closes."""
        self._leave()

    def _leave(self) -> None:
        page = self.page
        self._shown = None
        self._choice.set("")
        if page is not None:
            page.hide()
            page.widget.pack_forget()

    def _show_page(self, title: str) -> None:
        if title != self._shown:
            self._leave()
            if title not in self._pages:
                parent = self._book.add(title)
                self._shell.theme.paint(parent, background="surface")
                self._pages[title] = self._classes[title](self._shell, parent)
            self._shown = title
            self._choice.set(title)
            one_stop(self.buttons, title)
            self._book.selectpage(title)
            self._pages[title].widget.pack(fill="both", expand=True)
        self._fit()
        self._pages[title].show(self._selection)

    # ---- room ----------------------------------------------------------------------------------------------

    def _fit(self) -> None:
        """Put into the strip what it has room for, the visible page's tab in any case; the rest goes into the menu."""
        room = self._strip.winfo_width()
        placed = self._offered
        if room > 1 and sum(self.buttons[title].winfo_reqwidth() for title in placed) > room:
            room -= self.more.winfo_reqwidth()
            if self._shown in self._offered:
                room -= self.buttons[self._shown].winfo_reqwidth()
            kept = set()
            for title in self._offered:
                if title != self._shown:
                    room -= self.buttons[title].winfo_reqwidth()
                    if room < 0:
                        break
                kept.add(title)
            placed = tuple(title for title in self._offered if title in kept or title == self._shown)
        self.in_menu = tuple(title for title in self._offered if title not in placed)
        if placed == self._placed and bool(self.in_menu) == bool(self.more.winfo_manager()):
            return
        self._placed = placed
        for button in (*self.buttons.values(), self.more):
            button.pack_forget()
        for title in placed:
            self.buttons[title].pack(side="left")
        if self.in_menu:
            self.more.pack(side="left")

    def _open_more(self) -> None:
        entries = [Command(title, title, lambda title=title: self.turn_to(title)) for title in self.in_menu]  # type: ignore[misc]
        self._open_menu(entries, self.more.winfo_rootx(), self.more.winfo_rooty() + self.more.winfo_height())


def one_stop(tabs: Mapping[str, ttk.Radiobutton], current: str) -> None:
    """The Tab key stops at the strip once, at the visible page's tab; arrow keys go on from there."""
    for title, button in tabs.items():
        button.configure(takefocus=title == current)


_CONTROLS = ("TEntry", "TButton", "TCombobox", "TCheckbutton", "TRadiobutton", "TSpinbox", "Text")


def _first_control(widget: tk.Misc, classes: tuple[str, ...]) -> tk.Misc | None:
    """The first widget below of these classes that takes the keyboard, in the order of the tab key."""
    for child in widget.winfo_children():
        if not child.winfo_ismapped():
            continue
        cls = child.winfo_class()
        if cls in classes and (cls in ("Treeview", "Text") or "disabled" not in str(child.cget("state"))):
            return child
        found = _first_control(child, classes)
        if found is not None:
            return found
    return None
