"""What every dialog is made of: one modal Pmw window with heading, fields, an error line and buttons that carry verbs.

Tk thread only. ``open`` shows a dialog and returns; ``run`` shows it and returns when it is answered, while timers and
the dispatcher go on working. A subclass builds its fields in its constructor, says what is wrong in ``problem`` and
takes the answer in ``accept``.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from tkinter import ttk
from typing import Any

from hvconsole.ui.dialogs.fields import Choice, Field, Lines, TextField, Tick
from hvconsole.ui.interfaces import Shell
from hvconsole.ui.megawidgets import centre, dialog, run_dialog, take_keyboard
from hvconsole.ui.theme import Theme

CANCEL = "Cancel"
CLOSE = "Close"
EDGE = 16
"""Design pixels between the dialog's edge and its contents."""
NARROW = 16
"""Fields of at most so many characters keep their width; others fill the line."""
LEAST_WIDTH = 380
"""Design pixels; a narrower question looks lost over a large window."""


class FormDialog:
    """One dialog. ``answer`` is the text of the button that ended it, or None while open or when cancelled."""

    width = 460
    """Design pixels at which text wraps."""

    def __init__(
        self,
        shell: Shell,
        title: str,
        heading: str,
        text: str = "",
        *,
        verb: str = "",
        cancel: str = CANCEL,
        more: Sequence[str] = (),
        danger: bool = False,
        icon: str = "",
        icon_color: str = "muted",
    ) -> None:
        """``verb``: text of the button that does it; empty = the dialog only informs. ``more``: further buttons that
        stand left of it. ``danger``: the button is red and Return does not press it by itself."""
        self.shell = shell
        self.theme: Theme = shell.theme
        self.verb = verb
        self.answer: str | None = None
        self.given: dict[str, Any] = {}
        """What ``arguments`` said when the dialog was answered."""
        self.closed = False
        self.fields: list[Field] = []
        self._captions: dict[str, ttk.Label] = {}
        self._cancel = cancel
        self._danger = danger
        self._row = 0
        self._focus: tk.Misc | None = None
        px = self.theme.px
        names = ((verb,) if verb else ()) + tuple(more) + (cancel,)
        self.window = dialog(
            self.theme,
            shell.root,
            f"{title} – hvconsole",
            names,
            danger=danger,
            default=None if danger else 0,
            command=self._pressed,
        )
        self.top: tk.Toplevel = self.window.component("hull")
        self.top.resizable(False, False)
        self.body = ttk.Frame(self.window.interior())
        self.body.pack(fill="both", expand=True, padx=px(EDGE), pady=(px(18), px(4)))
        self.body.columnconfigure(1, weight=1)
        self._buttons = self._find_buttons(names)
        self._make_head(heading, text, icon, icon_color)
        self._trouble = _Trouble(self)
        self._row += 1

    # ---- building ------------------------------------------------------------------------------------------

    def _find_buttons(self, names: Sequence[str]) -> dict[str, ttk.Button]:
        box = self.window.component("buttonbox")
        return {name: box.button(index) for index, name in enumerate(names)}

    def _make_head(self, heading: str, text: str, icon: str, icon_color: str) -> None:
        px = self.theme.px
        ttk.Frame(self.body, width=px(LEAST_WIDTH), height=1).grid(row=99, column=0, columnspan=2)
        head = ttk.Frame(self.body)
        head.grid(row=self._row, column=0, columnspan=2, sticky="ew", pady=(0, px(12)))
        self._row += 1
        wrap = px(self.width)
        if icon:
            sign = ttk.Label(head, image=self.theme.icon(icon, 28, icon_color))
            sign.pack(side="left", anchor="n", padx=(0, px(14)))
            wrap -= px(42)
        words = ttk.Frame(head)
        words.pack(side="left", fill="x", expand=True)
        self.heading = ttk.Label(words, text=heading, style="Bold.TLabel", wraplength=wrap)
        self.heading.pack(anchor="w")
        self.subtext = ttk.Label(words, text=text, style="Muted.TLabel", wraplength=wrap)
        if text:
            self.subtext.pack(anchor="w", pady=(px(4), 0))

    def add_row(self, label: str, control: tk.Misc, *, note: ttk.Label | None = None) -> None:
        """A line of the form: ``label`` left, ``control`` right, ``note`` below it."""
        px = self.theme.px
        if label:
            caption = ttk.Label(self.body, text=label)
            caption.grid(row=self._row, column=0, sticky="w", padx=(0, px(14)), pady=(px(4), px(4)))
            self._captions[str(control)] = caption
        control.grid(row=self._row, column=1, sticky="ew", pady=px(4))  # type: ignore[attr-defined]
        self._row += 1
        if note is not None:
            note.grid(row=self._row, column=1, sticky="w", pady=(0, px(4)))
            note.grid_remove()
            self._row += 1

    def show_row(self, field: TextField | Choice | Tick | Lines, shown: bool) -> None:
        """Take a field's line out of the form, or put it back; what is hidden cannot be wrong."""
        parts: list[Any] = [field.widget]
        if str(field.widget) in self._captions:
            parts.append(self._captions[str(field.widget)])
        for part in parts:
            part.grid() if shown else part.grid_remove()
        if not shown:
            field.note.grid_remove()
            self.fields = [other for other in self.fields if other is not field]
        elif field not in self.fields:
            self.fields.append(field)
            field.show_problem()

    def add_wide(self, control: tk.Misc, *, gap: int = 4) -> None:
        """A line that takes the whole width."""
        control.grid(  # type: ignore[attr-defined]
            row=self._row, column=0, columnspan=2, sticky="ew", pady=self.theme.px(gap)
        )
        self._row += 1

    def text_field(
        self,
        label: str,
        value: str = "",
        *,
        check: Callable[[str], str | None] | None = None,
        hint: str = "",
        width: int = 40,
        secret: bool = False,
    ) -> TextField:
        """A line of text. ``check`` answers one sentence that says what is wrong, or None."""
        field = TextField(self.body, self.theme, value, check=check, width=width, secret=secret, changed=self.refresh)
        self.add_row(label, field.widget, note=field.note)
        if width <= NARROW:
            field.widget.grid_configure(sticky="w")
        field.set_hint(hint)
        self.fields.append(field)
        self._focus = self._focus or field.entry
        return field

    def lines_field(self, label: str, value: str = "", *, height: int = 3) -> Lines:
        """Several lines of text."""
        field = Lines(self.body, self.theme, value, height=height, changed=self.refresh)
        self.add_row(label, field.widget, note=field.note)
        self.fields.append(field)
        return field

    def choice_field(
        self, label: str, options: Sequence[tuple[str, str]], value: str = "", *, hint: str = "", width: int = 38
    ) -> Choice:
        """One of several: ``options`` are (key, text) pairs."""
        field = Choice(self.body, self.theme, options, value, width=width, changed=self.refresh)
        self.add_row(label, field.widget, note=field.note)
        field.set_hint(hint)
        self.fields.append(field)
        self._focus = self._focus or field.widget
        return field

    def tick_field(self, text: str, value: bool = False, *, why_not: str | None = None, hint: str = "") -> Tick:
        """Yes or no. With ``why_not`` it cannot be ticked, and the reason stands below it."""
        field = Tick(self.body, self.theme, text, value, why_not=why_not, changed=self.refresh)
        self.add_row("", field.widget, note=field.note)
        field.set_hint(why_not or hint)
        self.fields.append(field)
        return field

    def add_text(self, text: str, style: str = "Muted.TLabel") -> ttk.Label:
        """A paragraph of the full width."""
        label = ttk.Label(self.body, text=text, style=style, wraplength=self.theme.px(self.width))
        self.add_wide(label)
        return label

    # ---- life ----------------------------------------------------------------------------------------------

    def button(self, name: str) -> ttk.Button:
        """The button with that text."""
        return self._buttons[name]

    def focus_first(self, widget: tk.Misc) -> None:
        """Give this widget the keyboard when the dialog opens."""
        self._focus = widget

    def refresh(self) -> None:
        """Look again whether the button may be pressed; called after every change of a field."""
        if not self.verb or self.closed:
            return
        good = all(field.problem() is None for field in self.fields) and self.problem() is None
        self._buttons[self.verb].state(["!disabled"] if good else ["disabled"])

    def problem(self) -> str | None:
        """What is wrong with the form as a whole, or None; overridden."""
        return None

    def accept(self, name: str) -> bool:
        """A button other than cancel was pressed; False keeps the dialog open. Overridden."""
        return True

    def arguments(self) -> dict[str, Any]:
        """What was entered, for ``Operation.run``; overridden."""
        return {}

    def fail(self, text: str, detail: str = "") -> None:
        """Show in the dialog that something went wrong; empty takes it away. ``text`` is safe to show."""
        self._trouble.show(text, detail)

    def open(self) -> None:
        """Show the dialog without waiting for its end."""
        self.refresh()
        self.window.show()
        self.top.geometry(centre(self.top, self.shell.root))
        self._ready()

    def run(self) -> str | None:
        """Show the dialog, wait until it is answered, and give the text of the button; None = cancelled."""
        self.refresh()
        try:
            run_dialog(self.window, self.shell.root, self._first())
        finally:
            self.closed = True
            self.window = None
            self.ended()
        return self.answer

    def cancel(self) -> None:
        """As if the cancel button were pressed."""
        self._end(None)

    def destroy(self) -> None:
        """End the dialog if it is still there."""
        self.closed = True
        if self.window is not None:
            window, self.window = self.window, None
            self.ended()
            window.destroy()

    def ended(self) -> None:
        """The dialog is going away: stop timers, drop questions. Overridden."""

    def _first(self) -> tk.Misc:
        return self._focus or self._buttons[self._cancel if self._danger or not self.verb else self.verb]

    def _ready(self) -> None:
        if not self.closed:
            take_keyboard(self._first())

    def _pressed(self, name: str | None) -> None:
        if name is None or name == self._cancel:
            self._end(None)
            return
        if name == self.verb and self._buttons[name].instate(["disabled"]):
            for field in self.fields:
                field.show_problem()
            return
        if self.accept(name) and not self.closed:
            self._end(name)

    def _end(self, answer: str | None) -> None:
        if self.closed:
            return
        if answer is not None:
            self.given = self.arguments()  # now, for the fields are gone once the window is
        self.answer = answer
        self.closed = True
        if self.window.active():
            self.window.deactivate(answer)
        else:
            self.destroy()


class _Trouble:
    """The error box under the heading: a sentence, and the server's own words below it."""

    def __init__(self, dialog: FormDialog) -> None:
        theme, px = dialog.theme, dialog.theme.px
        self._dialog = dialog
        self.frame = tk.Frame(dialog.body)
        theme.paint(self.frame, background="bad_soft")
        self._row = dialog._row
        sign = tk.Label(self.frame, image=theme.icon("circle-alert", 16, "bad"))
        theme.paint(sign, background="bad_soft")
        sign.pack(side="left", anchor="n", padx=(px(10), px(8)), pady=px(9))
        words = tk.Frame(self.frame)
        theme.paint(words, background="bad_soft")
        words.pack(side="left", fill="x", expand=True, padx=(0, px(12)), pady=px(8))
        wrap = px(dialog.width - 56)
        self.text = tk.Label(words, justify="left", anchor="w", wraplength=wrap)
        theme.paint(self.text, background="bad_soft", foreground="text")
        self.text.pack(anchor="w")
        self.detail = tk.Label(words, justify="left", anchor="w", wraplength=wrap, font="HvSmall")
        theme.paint(self.detail, background="bad_soft", foreground="muted")

    def show(self, text: str, detail: str) -> None:
        if not text:
            self.frame.grid_remove()
            return
        px = self._dialog.theme.px
        self.text.configure(text=text)
        self.detail.configure(text=detail)
        if detail:
            self.detail.pack(anchor="w", pady=(px(3), 0))
        else:
            self.detail.pack_forget()
        self.frame.grid(row=self._row, column=0, columnspan=2, sticky="ew", pady=(0, px(10)))
