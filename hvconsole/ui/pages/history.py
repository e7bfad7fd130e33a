"""History: every action and monitor event, searchable, filtered, page by page; export as CSV. Tk thread only.

Searching runs on a thread of its own: a year of rows on a slow disk must not hold up the window.
"""

from __future__ import annotations

import datetime as dt
import tkinter as tk
from dataclasses import dataclass
from pathlib import Path
from tkinter import filedialog, ttk

from hvconsole.errors import HvError
from hvconsole.events import Happened, JobChanged
from hvconsole.history_rows import HistoryRow, local_user
from hvconsole.model import Verb
from hvconsole.operations import BY_VERB
from hvconsole.text import format_took, safe_lines, safe_text
from hvconsole.ui.asking import Asker
from hvconsole.ui.cards import MARGIN, Empty, wrap_to_width
from hvconsole.ui.flow import Flow
from hvconsole.ui.interfaces import ItemKind, Selection, Shell
from hvconsole.ui.listing import ListColumn, Listing
from hvconsole.ui.megawidgets import entry_field
from hvconsole.ui.pages.base import BasePage
from hvconsole.ui.tclvar import TclVar
from hvconsole.ui.wording import count, local_time

PAGE_ROWS = 200
DEBOUNCE_MS = 250
REFRESH_MS = 800
"""Rows are on disk a moment after their event; several events make one search."""

EVENTS = ("outage", "round", "held", "snapshot", "snapshot-failed", "recovered", "state")
EVENT_WORDS = {
    "outage": "Network lost",
    "round": "Round of pings",
    "held": "Snapshot held back",
    "snapshot-failed": "Automatic snapshot failed",
    "recovered": "Network back",
    "station-back": "Computer online again",
    "state": "Monitor's state",
    str(Verb.SNAPSHOT_MEMORY): "Take snapshot with memory",
    str(Verb.SNAPSHOT_QUIESCE): "Take quiesced snapshot",
}


def what_words(what: str) -> str:
    """What happened, in the words of menus and task panel; what is not known is shown as it is."""
    if what in EVENT_WORDS:
        return EVENT_WORDS[what]
    known = BY_VERB.get(what)  # type: ignore[call-overload]
    return known.label if known is not None else safe_text(what, 40)


def who_words(who: str) -> str:
    """Who did it: "you" as in the task panel, or the monitor, or another account of this computer."""
    return "you" if who == local_user() else safe_text(who, 40)


def outcome_words(outcome: str) -> str:
    """How it ended; events have no outcome."""
    return dict(OUTCOMES).get(outcome, safe_text(outcome, 20)) if outcome else ""


WHATS = (
    ("", "Everything"),
    *((str(v), what_words(str(v))) for v in Verb),
    *((e, what_words(e)) for e in EVENTS if e not in set(Verb)),
)
OUTCOMES = (
    ("", "Any outcome"),
    ("done", "Done"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
    ("unknown", "Not known"),
)
TIMES = (("", "Any time"), ("1", "Last hour"), ("24", "Last 24 hours"), ("168", "Last 7 days"), ("720", "Last 30 days"))
TAGS = {"failed": ("bad",), "unknown": ("warn",), "cancelled": ("muted",)}
ICONS = {
    "done": ("circle-check", "ok"),
    "failed": ("circle-alert", "bad"),
    "unknown": ("circle-help", "warn"),
    "cancelled": ("circle-stop", "off"),
}


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for."""

    text: str = ""
    what: str = ""
    outcome: str = ""
    since: dt.datetime | None = None
    subject_id: str = ""
    server_id: str = ""

    def filters(self) -> dict[str, object]:
        """As keyword arguments of ``History.search``."""
        return {
            "what": self.what,
            "outcome": self.outcome,
            "since": self.since,
            "subject_id": self.subject_id,
            "server_id": self.server_id,
        }


def since(hours: str, now: dt.datetime) -> dt.datetime | None:
    """The beginning of the chosen time; None for any."""
    return now - dt.timedelta(hours=float(hours)) if hours else None


def cells(row: HistoryRow) -> tuple[str, ...]:
    """The columns of one row after the time, safe to show."""
    return (
        what_words(row.what),
        safe_text(row.subject, 120),
        safe_text(row.server, 60),
        who_words(row.who),
        outcome_words(row.outcome),
        format_took(row.duration_s) if row.duration_s is not None else "",
        safe_text(row.detail.split("\n")[0], 200),
    )


def full_text(row: HistoryRow) -> str:
    """All of a row, for the area below the list."""
    lines = [f"{local_time(row.when, seconds=True)}  {what_words(row.what)}  {safe_text(row.subject, 200)}"]
    if row.detail.strip():
        lines.append(safe_lines(row.detail.strip(), 4000))
    lines += [f"{safe_text(key, 40)}: {safe_text(value, 400)}" for key, value in row.extra.items()]
    return "\n".join(lines)


class HistoryPage(BasePage):
    """Search box, three filters, the list, and pages of it."""

    title = "History"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        super().__init__(shell, parent)
        self._offset = 0
        self._total = 0
        self._rows: dict[str, HistoryRow] = {}
        self._typing: str | None = None
        # an export goes on when another tab is looked at
        self._exporting = Asker(shell.dispatcher)
        self._build_filters()
        self._build_foot()
        self._empty = Empty(self.theme, self.widget, "history", "")
        self.listing = Listing(
            self.theme,
            self.widget,
            (
                ListColumn("when", "Time", 164),
                ListColumn("what", "What", 138),
                ListColumn("subject", "Object", 136),
                ListColumn("server", "Server", 90),
                ListColumn("who", "By", 62),
                ListColumn("outcome", "Outcome", 74),
                ListColumn("took", "Took", 64, numeric=True),
                ListColumn("detail", "Details", 150, stretch=True),
            ),
        )
        self.listing.frame.pack(fill="both", expand=True)
        self.tree = self.listing.tree
        self.tree.bind("<<TreeviewSelect>>", lambda _event: self._chosen())
        self.tree.bind("<Double-Button-1>", lambda _event: self._open())
        self.tree.bind("<Return>", lambda _event: self._open())

    @staticmethod
    def applies(selection: Selection) -> bool:
        """Always: for a VM or host its own history can be chosen."""
        return True

    # ---- building ------------------------------------------------------------------------------------------

    def _build_filters(self) -> None:
        px = self.theme.px
        flow = Flow(self.theme, self.widget)
        bar = flow.frame
        bar.pack(fill="x", padx=px(MARGIN), pady=(px(10), px(6)))
        self.text = entry_field(
            self.theme, bar, "Search", ground="surface", entry_width=16, modifiedcommand=self._typed
        )
        flow.add(self.text)
        self.text.component("entry").bind("<Escape>", lambda _event: self._clear_text())
        self.what = self._choice(flow, WHATS, 14)
        self.outcome = self._choice(flow, OUTCOMES, 11)
        self.time = self._choice(flow, TIMES, 12)
        self._only_this = TclVar(bar, "0")
        self.only = ttk.Checkbutton(
            bar,
            text=" Selected only",
            style="Surface.TCheckbutton",
            command=self._search_afresh,
        )
        self._only_this.attach(self.only)
        flow.add(self.only)
        self.export_button = ttk.Button(bar, text="Export CSV…", style="Surface.TButton", command=self._export)
        flow.add(self.export_button, right=True)

    def _choice(self, flow: Flow, options: tuple[tuple[str, str], ...], width: int) -> ttk.Combobox:
        box = ttk.Combobox(flow.frame, values=tuple(text for _, text in options), state="readonly", width=width)
        box.configure(style="Surface.TCombobox")
        box.current(0)
        box.bind("<<ComboboxSelected>>", lambda _event: self._search_afresh())
        flow.add(box)
        return box

    def _build_foot(self) -> None:
        px = self.theme.px
        foot = ttk.Frame(self.widget, style="Surface.TFrame")
        foot.pack(side="bottom", fill="x", padx=px(MARGIN), pady=px(6))
        self.older = ttk.Button(foot, text="Older", style="Surface.TButton", command=lambda: self._turn(1))
        self.newer = ttk.Button(foot, text="Newer", style="Surface.TButton", command=lambda: self._turn(-1))
        self.older.pack(side="right")
        self.newer.pack(side="right", padx=px(6))
        self.summary = ttk.Label(foot, style="Surface.Small.TLabel")
        self.summary.pack(side="right", padx=px(8))
        self.detail = ttk.Label(foot, style="Surface.Muted.TLabel", justify="left", anchor="w")
        wrap_to_width(self.detail)
        self.detail.pack(side="left", fill="x", expand=True)

    # ---- searching -----------------------------------------------------------------------------------------

    def query(self) -> Query:
        """What the fields ask for."""
        subject = self.subject
        found = (subject.vm or subject.host) if subject is not None else None
        only = self._only_this.on and found is not None
        return Query(
            text=str(self.text.getvalue()).strip(),
            what=WHATS[max(0, self.what.current())][0],
            outcome=OUTCOMES[max(0, self.outcome.current())][0],
            since=since(TIMES[max(0, self.time.current())][0], self.shell.services.clock.now()),
            subject_id=found.id if only and found is not None else "",
            server_id=subject.connection.id if only and subject is not None else "",
        )

    def update(self, fresh: bool) -> None:
        """Search when the page is opened, or when another object is selected and only it is wanted."""
        single = self.selection.kind in (ItemKind.VM, ItemKind.HOST, ItemKind.SNAPSHOT)
        self.only.state(["!disabled"] if single else ["disabled"])
        if fresh:
            self._search_afresh()

    def on_event(self, event: object) -> None:
        """Something happened: look again in a moment, unless an older page is being read."""
        finished = isinstance(event, JobChanged) and event.job.state.final
        if (isinstance(event, Happened) or finished) and self._offset == 0 and self._timer is None:
            self.start_timer(REFRESH_MS)

    def tick(self) -> None:
        """New rows are on disk by now."""
        self._search()

    def hide(self) -> None:
        """Also forget what was being typed."""
        if self._typing is not None:
            self.widget.after_cancel(self._typing)
            self._typing = None
        super().hide()

    def _typed(self) -> None:
        if self._typing is not None:
            self.widget.after_cancel(self._typing)
        self._typing = self.widget.after(DEBOUNCE_MS, self._typed_enough)

    def _typed_enough(self) -> None:
        self._typing = None
        self._search_afresh()

    def _clear_text(self) -> None:
        self.text.setvalue("")
        self._search_afresh()

    def _search_afresh(self) -> None:
        self._offset = 0
        self._search()

    def _search(self) -> None:
        self.stop_timer()
        query, offset = self.query(), self._offset
        history = self.shell.services.history

        def work() -> tuple[list[HistoryRow], int]:
            filters = query.filters()
            rows = history.search(query.text, limit=PAGE_ROWS, offset=offset, **filters)  # type: ignore[arg-type]
            return rows, history.count(query.text, **filters)

        self.asker.run("history", work, self._found)

    def _found(self, answer: tuple[list[HistoryRow], int] | HvError) -> None:
        if isinstance(answer, HvError):
            self._fill([], 0)
            self._say(safe_text(answer.user_text, 300))
            return
        rows, total = answer
        self._fill(rows, total)
        if not rows:
            nothing = "Nothing has happened yet." if self.query() == Query() else "Nothing matches."
            self._say(nothing)

    def _fill(self, rows: list[HistoryRow], total: int) -> None:
        self._total = total
        self._empty.frame.pack_forget()
        if not self.listing.frame.winfo_manager():
            self.listing.frame.pack(fill="both", expand=True)
        wanted = {str(row.id): row for row in rows}
        # rows never change: those that are known stay, with the choice and the place
        gone = [iid for iid in self._rows if iid not in wanted]
        if gone:
            self.tree.delete(*gone)
        for place, row in enumerate(rows):
            iid = str(row.id)
            if iid in self._rows:
                continue
            icon, token = ICONS.get(row.outcome, ("activity" if row.who == "monitor" else "info", "muted"))
            self.listing.insert(
                iid,
                " " + local_time(row.when, seconds=True),
                cells(row),
                place=place,
                image=self.theme.icon(icon, 16, token),
                tags=TAGS.get(row.outcome, ()),
            )
        self._rows = wanted
        first, end = self._offset + 1, self._offset + len(rows)
        self.summary.configure(text=f"{first:,} to {end:,} of {total:,}" if rows else "")
        self.newer.state(["!disabled"] if self._offset else ["disabled"])
        self.older.state(["!disabled"] if end < total else ["disabled"])
        self.export_button.state(["!disabled"] if total else ["disabled"])
        self._chosen()

    def _say(self, text: str) -> None:
        self.listing.frame.pack_forget()
        self._empty.text.configure(text=text)
        self._empty.frame.pack(fill="both", expand=True)

    def _turn(self, pages: int) -> None:
        self._offset = max(0, self._offset + pages * PAGE_ROWS)
        self.tree.yview_moveto(0)
        self._search()

    # ---- one row -------------------------------------------------------------------------------------------

    def _chosen(self) -> None:
        chosen = self.tree.selection()
        row = self._rows.get(chosen[0]) if chosen else None
        text = full_text(row) if row is not None else ""
        self.detail.configure(text="\n".join(text.split("\n")[:4]))

    def _open(self) -> None:
        chosen = self.tree.selection()
        row = self._rows.get(chosen[0]) if chosen else None
        if row is not None:
            self.shell.dialogs.message(f"{what_words(row.what)}: {safe_text(row.subject, 60)}", full_text(row))

    # ---- export --------------------------------------------------------------------------------------------

    def _export(self) -> None:
        chosen = filedialog.asksaveasfilename(
            parent=self.shell.root,
            title="Export the history",
            defaultextension=".csv",
            initialfile="hvconsole-history.csv",
            filetypes=[("CSV files", "*.csv"), ("All files", "*")],
        )
        if chosen:
            self.export_to(Path(str(chosen)))

    def export_to(self, path: Path) -> None:
        """Write what the fields ask for to a file, all pages of it."""
        query, history = self.query(), self.shell.services.history
        self.export_button.state(["disabled"])

        def work() -> int:
            return history.export_csv(path, query.text, **query.filters())

        self._exporting.run("export", work, lambda answer: self._exported(path, answer))

    def _exported(self, path: Path, answer: int | HvError) -> None:
        self.export_button.state(["!disabled"])
        if isinstance(answer, HvError):
            self.shell.dialogs.error("Export the history", answer)
        else:
            self.shell.status(f"{count(answer, 'row')} written to {safe_text(path.name, 80)}")
