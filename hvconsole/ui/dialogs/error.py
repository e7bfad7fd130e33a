"""Something went wrong, something to know, and why some of the selected can't. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence
from tkinter import ttk

from hvconsole.errors import HvError, LocalError
from hvconsole.operation import Operation
from hvconsole.text import safe_lines, safe_text
from hvconsole.ui.dialogs.confirm import nouns
from hvconsole.ui.dialogs.form import CLOSE, FormDialog
from hvconsole.ui.interfaces import Shell, Subject
from hvconsole.ui.listing import ListColumn, Listing
from hvconsole.ui.megawidgets import scrolled_text

SERVERS_WORDS = "The server's own words"


def add_detail(dialog: FormDialog, detail: str, caption: str) -> tk.Text:
    """The words of the server, selectable, below the text of a dialog."""
    dialog.add_wide(ttk.Label(dialog.body, text=caption, style="Small.TLabel"), gap=2)
    shown = safe_lines(detail.strip(), 8000)
    lines = min(8, max(2, sum(1 + len(line) // 62 for line in shown.split("\n"))))
    box = scrolled_text(dialog.theme, dialog.body, text_height=lines, text_width=62, text_wrap="word")
    text: tk.Text = box.component("text")
    text.configure(highlightthickness=max(1, dialog.theme.px(1)))
    dialog.theme.paint(text, highlightBackground="border", highlightColor="accent")
    dialog.theme.paint(box.component("hull"), background="chrome")
    text.insert("1.0", shown)
    text.configure(state="disabled")
    text.bind("<Button-1>", lambda _event: text.focus_set(), add=True)
    dialog.add_wide(box)
    return text


class ErrorDialog(FormDialog):
    """One sentence, the server's words, and the hard variant where there is one."""

    def __init__(self, shell: Shell, title: str, error: HvError, hard: Operation | None = None) -> None:
        super().__init__(
            shell,
            safe_text(title, 80),
            safe_text(title, 120),
            safe_lines(error.user_text, 2000),
            verb=f"{hard.label} instead" if hard is not None else "",
            cancel=CLOSE,
            danger=hard is not None and hard.destructive,
            icon="circle-alert",
            icon_color="bad",
        )
        if hard is not None and hard.question is not None:
            self.add_text(f"{hard.label}: {hard.question.text}", "TLabel")
        if error.detail.strip() and error.detail.strip() != error.user_text.strip():
            # what this computer says are no server's words
            caption = "Details" if isinstance(error, LocalError) else SERVERS_WORDS
            self.detail = add_detail(self, error.detail, caption)


class MessageDialog(FormDialog):
    """Something to know."""

    def __init__(self, shell: Shell, title: str, text: str, detail: str = "") -> None:
        super().__init__(
            shell,
            safe_text(title, 80),
            safe_text(title, 120),
            safe_lines(text, 4000),
            cancel=CLOSE,
            icon="info",
            icon_color="info",
        )
        if detail.strip():
            self.detail = add_detail(self, detail, "Details")


class ReasonsDialog(FormDialog):
    """A table of those that can't, with the reason of each; goes on with the others if there are any."""

    width = 560

    def __init__(
        self, shell: Shell, operation: Operation, able: Sequence[Subject], refused: Sequence[tuple[str, str]]
    ) -> None:
        total = len(able) + len(refused)
        one, many = nouns(able) if able else ("", "")
        verb = f"{operation.label} {len(able)} {one if len(able) == 1 else many}" if able else ""
        if able:
            heading = f"{operation.label} works for {len(able)} of the {total} selected"
            text = "The others can't, for these reasons:"
        elif total == 1:
            heading, text = f"{operation.label} isn't possible now", ""
        else:
            heading, text = f"{operation.label} isn't possible for any of the {total} selected", ""
        super().__init__(
            shell,
            operation.label,
            heading,
            text,
            verb=verb,
            cancel="Cancel" if able else CLOSE,
            icon="triangle-alert",
            icon_color="warn",
        )
        listing = Listing(
            self.theme,
            self.body,
            (ListColumn("name", "Name", 170), ListColumn("why", "Why not", 470, stretch=True)),
            rows=min(10, max(2, len(refused))),
            edge=True,
        )
        self.table = listing.tree
        for number, (name, reason) in enumerate(refused):
            self.table.insert("", "end", iid=str(number), text=safe_text(name, 120), values=(safe_text(reason, 400),))
        self.add_wide(listing.frame)
        # a long reason does not fit into a row: the chosen row's words stand below the table in full
        self.reason = self.add_text(" ", "Muted.TLabel")
        self.reason.configure(wraplength=self.theme.px(590))
        self._full = [safe_lines(reason, 1000) for _, reason in refused]
        self.table.bind("<<TreeviewSelect>>", self._chosen)
        if refused:
            self.table.selection_set("0")

    def _chosen(self, _event: tk.Event[tk.Misc]) -> None:
        chosen = self.table.selection()
        self.reason.configure(text=self._full[int(chosen[0])] if chosen else " ")
