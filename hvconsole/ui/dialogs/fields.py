"""Fields of forms: text, several lines, one of several, yes or no. Each knows what is wrong with it. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from tkinter import ttk
from typing import Protocol

from hvconsole.ui.megawidgets import OK, PARTIAL, entry_field, scrolled_text
from hvconsole.ui.tclvar import TclVar
from hvconsole.ui.theme import Theme


class Field(Protocol):
    """What a form asks of its fields."""

    note: ttk.Label

    def problem(self) -> str | None:
        """What is wrong with the present value, or None."""

    def show_problem(self) -> None:
        """Say under the field what is wrong."""


class _Noted:
    """A field with a line of small text below it, for a hint or for what is wrong."""

    def __init__(self, parent: tk.Misc, theme: Theme) -> None:
        self.theme = theme
        self.note = ttk.Label(parent, style="Small.TLabel", wraplength=theme.px(330))
        self._hint = ""

    def set_hint(self, text: str) -> None:
        """A line that helps; empty takes it away."""
        self._hint = text
        self._say(text, bad=False)

    def _say(self, text: str, *, bad: bool) -> None:
        if not text:
            self.note.grid_remove()
            return
        self.note.configure(text=text, foreground=self.theme.color("bad" if bad else "muted"))
        self.note.grid()

    def problem(self) -> str | None:
        """What is wrong with the present value, or None."""
        return None

    def show_problem(self) -> None:
        """Say under the field what is wrong; the hint comes back when nothing is."""
        trouble = self.problem()
        self._say(trouble or self._hint, bad=trouble is not None)


class TextField(_Noted):
    """One line of text in a ``Pmw.EntryField``; a wrong value gets a red edge and a sentence."""

    def __init__(
        self,
        parent: tk.Misc,
        theme: Theme,
        value: str,
        *,
        check: Callable[[str], str | None] | None,
        width: int,
        secret: bool,
        changed: Callable[[], None],
    ) -> None:
        super().__init__(parent, theme)
        self._check = check
        self._changed = changed
        self.widget = entry_field(
            theme, parent, entry_width=width, value=value, validate=self._validate, modifiedcommand=self._modified
        )
        self.entry: ttk.Entry = self.widget.component("entry")
        if secret:
            self.entry.configure(show="•")

    def _validate(self, text: str) -> int:
        good = self._check is None or self._check(text) is None
        return int(OK if good else PARTIAL)

    def _modified(self) -> None:
        self.show_problem()
        self._changed()

    def get(self) -> str:
        """The text as it stands."""
        return str(self.widget.getvalue())

    def set(self, text: str) -> None:
        """Replace the text."""
        self.widget.setvalue(text)

    def problem(self) -> str | None:
        """What is wrong with the text, or None."""
        return self._check(self.get()) if self._check is not None else None

    def show_problem(self) -> None:
        """Red edge and a sentence, or neither."""
        super().show_problem()
        self.entry.state(["invalid"] if self.problem() else ["!invalid"])

    def enable(self, enabled: bool) -> None:
        """Allow typing, or not."""
        self.entry.state(["!disabled"] if enabled else ["disabled"])


class Lines(_Noted):
    """Several lines of text in a ``Pmw.ScrolledText``; Tab leaves the field, Return makes a new line."""

    def __init__(self, parent: tk.Misc, theme: Theme, value: str, *, height: int, changed: Callable[[], None]) -> None:
        super().__init__(parent, theme)
        self._changed = changed
        self.widget = scrolled_text(
            theme,
            parent,
            text_wrap="word",
            text_height=height,
            text_width=40,
            text_font="TkDefaultFont",
            text_highlightthickness=max(1, theme.px(1)),
            text_undo=True,
        )
        self.text: tk.Text = self.widget.component("text")
        theme.paint(self.text, highlightBackground="control", highlightColor="accent")
        theme.paint(self.widget.component("hull"), background="chrome")
        self.text.insert("1.0", value)
        self.text.bind("<Tab>", self._leave)
        self.text.bind("<Shift-Tab>", self._leave_back)
        # the dialog's own Return would press its button
        self.text.bind("<Return>", self._new_line)
        self.text.bind("<KeyRelease>", lambda _event: changed())

    def _leave(self, event: tk.Event[tk.Misc]) -> str:
        following = self.text.tk_focusNext()
        if following is not None:
            following.focus_set()
        return "break"

    def _leave_back(self, event: tk.Event[tk.Misc]) -> str:
        before = self.text.tk_focusPrev()
        if before is not None:
            before.focus_set()
        return "break"

    def _new_line(self, event: tk.Event[tk.Misc]) -> str:
        self.text.insert("insert", "\n")
        self.text.see("insert")
        return "break"

    def get(self) -> str:
        """The text without the line feed that Tk adds."""
        return self.text.get("1.0", "end-1c")


class Choice(_Noted):
    """One of several in a drop-down list. Keys are ours, texts are shown; two equal texts stay two options."""

    def __init__(
        self,
        parent: tk.Misc,
        theme: Theme,
        options: Sequence[tuple[str, str]],
        value: str,
        *,
        width: int,
        changed: Callable[[], None],
    ) -> None:
        super().__init__(parent, theme)
        self._options: list[tuple[str, str]] = []
        self._changed = changed
        self.widget = ttk.Combobox(parent, state="readonly", width=width)
        self.widget.bind("<<ComboboxSelected>>", lambda _event: changed())
        self.fill(options, value)

    def fill(self, options: Sequence[tuple[str, str]], value: str | None = None) -> None:
        """Other options; the chosen key stays if it is among them and ``value`` is None."""
        keep = self.get() if value is None else value
        self._options = list(options)
        self.widget.configure(values=tuple(text for _, text in self._options))
        self.set(keep)

    def set(self, key: str) -> None:
        """Choose by key; the first option if there is no such key."""
        index = next((n for n, (k, _) in enumerate(self._options) if k == key), 0)
        if self._options:
            self.widget.current(index)
        else:
            self.widget.set("")

    def get(self) -> str:
        """The chosen key; empty where there is nothing to choose."""
        index = self.widget.current()
        return self._options[index][0] if 0 <= index < len(self._options) else ""

    def enable(self, enabled: bool) -> None:
        """Allow choosing, or not."""
        self.widget.state(["!disabled", "readonly"] if enabled else ["disabled"])


class Tick(_Noted):
    """Yes or no; with ``why_not`` it is off and cannot be ticked."""

    def __init__(
        self,
        parent: tk.Misc,
        theme: Theme,
        text: str,
        value: bool,
        *,
        why_not: str | None,
        changed: Callable[[], None],
    ) -> None:
        super().__init__(parent, theme)
        self.widget = ttk.Checkbutton(parent, text=f" {text}", command=changed)
        self._value = TclVar(self.widget, "1" if value and why_not is None else "0")
        self._value.attach(self.widget)
        if why_not is not None:
            self.widget.state(["disabled"])

    def get(self) -> bool:
        """Whether it is ticked."""
        return self._value.on

    def set(self, value: bool) -> None:
        """Tick it or not."""
        self._value.set("1" if value else "0")

    def enable(self, enabled: bool) -> None:
        """Allow ticking, or not."""
        self.widget.state(["!disabled"] if enabled else ["disabled"])
