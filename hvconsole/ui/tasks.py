"""The task panel: jobs with progress, cancel and error details, and what the monitor saw. Tk thread only."""

from __future__ import annotations

import datetime as dt
import itertools
import tkinter as tk
from collections.abc import Callable
from dataclasses import dataclass
from tkinter import ttk

from hvconsole.connection import Connections
from hvconsole.events import Happened, JobState
from hvconsole.jobs import Job, JobId, JobView
from hvconsole.text import format_took, safe_text
from hvconsole.ui.extending import Extending
from hvconsole.ui.interfaces import Dialogs
from hvconsole.ui.theme import Theme

KEPT = 500
"""Rows kept; the oldest finished ones go first."""

NOTHING_YET = "What you do and what the monitor sees is listed here."
_COLUMNS = (
    ("#0", "  Progress", 190),
    ("what", "Task", 190),
    ("on", "Target", 200),
    ("started", "Started", 80),
    ("by", "By", 90),
    ("details", "Details", 380),
)

_FINISHED = {
    JobState.DONE: ("circle-check", "ok", "Done"),
    JobState.FAILED: ("circle-alert", "bad", "Failed"),
    JobState.CANCELLED: ("circle-stop", "off", "Cancelled"),
    JobState.UNKNOWN: ("circle-help", "warn", "Unknown"),
}

_SEEN = {
    "outage": ("circle-alert", "bad", "Lost", "Network lost"),
    "held": ("triangle-alert", "warn", "Held", "Snapshot held back"),
    "recovered": ("circle-check", "ok", "Back", "Network back"),
    "station-back": ("circle-check", "ok", "Back", "Computer online again"),
    "snapshot-failed": ("circle-alert", "bad", "Failed", "Automatic snapshot"),
}
"""Monitor event → icon, colour, word, task. Automatic snapshots show up as jobs of their own."""


@dataclass(slots=True)
class _Row:
    iid: str
    job: JobView | None
    event: Happened | None = None


class TaskPanel:
    """``widget`` is the frame to place; feed it with ``job_changed`` and ``happened``."""

    def __init__(
        self,
        parent: tk.Misc,
        theme: Theme,
        connections: Connections,
        dialogs: Callable[[], Dialogs],
        popup: Callable[[list[tuple[str, Callable[[], object], bool]], int, int], None],
    ) -> None:
        self._theme = theme
        self._connections = connections
        self._dialogs = dialogs
        self._popup = popup
        self._numbers = itertools.count(1)
        self._rows: dict[str, _Row] = {}
        self._by_job: dict[JobId, _Row] = {}
        self.widget = ttk.Frame(parent, style="Surface.TFrame")
        self._head()
        self.list = self._list()

    # ---- construction ----------------------------------------------------------------------------------------

    def _head(self) -> None:
        px = self._theme.px
        head = ttk.Frame(self.widget, style="Surface.TFrame")
        head.pack(fill="x", padx=px(10), pady=(px(5), 0))
        ttk.Label(head, text="Tasks and events", style="Surface.Bold.TLabel").pack(side="left")
        self._count = ttk.Label(head, style="Surface.Small.TLabel")
        self._count.pack(side="left", padx=px(8))
        self._clear = ttk.Button(
            head,
            text=" Clear finished",
            image=self._theme.icon("check-check", 14),
            compound="left",
            style="Surface.Tool.TButton",
            command=self.clear_finished,
            name="clear",
        )
        self._clear.pack(side="right")
        self._cancel = ttk.Button(
            head,
            text=" Cancel task",
            image=self._theme.icon("circle-stop", 14),
            compound="left",
            style="Surface.Tool.TButton",
            command=self.cancel_selected,
            name="cancel",
        )
        self._cancel.pack(side="right")
        for button in (self._cancel, self._clear):
            button.state(["disabled"])

    def _list(self) -> ttk.Treeview:
        px = self._theme.px
        frame = ttk.Frame(self.widget, style="Surface.TFrame")
        frame.pack(fill="both", expand=True)
        made = ttk.Treeview(
            frame,
            columns=[name for name, _, _ in _COLUMNS[1:]],
            show="tree headings",
            style="List.Treeview",
            selectmode="extended",
            name="tasks",
        )
        bar = ttk.Scrollbar(frame, command=made.yview)
        made.configure(yscrollcommand=bar.set)
        bar.pack(side="right", fill="y")
        made.pack(side="left", fill="both", expand=True)
        for name, title, width in _COLUMNS:
            made.heading(name, text=title, anchor="w")
            made.column(name, width=px(width), minwidth=px(60), anchor="w", stretch=name == "details")
        self._theme.follow(made, lambda theme: made.tag_configure("bad", foreground=theme.color("bad")))
        made.bind("<<TreeviewSelect>>", lambda _event: self._refresh_buttons())
        made.bind("<Double-Button-1>", self._on_double_click)
        made.bind("<Return>", lambda _event: self.show_details())
        made.bind("<Delete>", lambda _event: self.cancel_selected())
        made.bind("<Button-3>", self._on_menu)
        self._extending = Extending(made)
        self._nothing = ttk.Label(frame, text=NOTHING_YET, style="Surface.Muted.TLabel")
        self._nothing.place(relx=0.5, rely=0.5, anchor="center")
        return made

    # ---- what happened ---------------------------------------------------------------------------------------

    def job_changed(self, view: JobView) -> None:
        """Show how a job stands; it gets a row at the top when it is new."""
        row = self._by_job.get(view.id)
        if row is None:
            row = _Row(f"t{next(self._numbers)}", view)
            self.list.insert("", 0, iid=row.iid)
            self._rows[row.iid] = self._by_job[view.id] = row
            self._write(row, None, view)
            self._trim()
        else:
            old, row.job = row.job, view
            self._write(row, old, view)
        self._refresh_buttons()

    def happened(self, event: Happened) -> None:
        """Show what the monitor saw; user actions are jobs already."""
        if event.who != "monitor" or event.what not in _SEEN:
            return
        icon, color, word, task = _SEEN[event.what]
        row = _Row(f"t{next(self._numbers)}", None, event)
        values = (task, safe_text(event.subject, 120), _time(event.when), "monitor", safe_text(event.detail))
        picture = self._theme.icon(icon, 16, color)
        self.list.insert("", 0, iid=row.iid, image=picture, text=f"  {word}", values=values)
        if color == "bad":
            self.list.item(row.iid, tags=("bad",))
        self._rows[row.iid] = row
        self._trim()
        self._refresh_buttons()

    def _write(self, row: _Row, old: JobView | None, view: JobView) -> None:
        if old is None:
            by = "you" if view.by == "user" else view.by
            target = safe_text(view.subject, 120)
            self.list.item(row.iid, values=(view.title, target, _time(view.submitted), safe_text(by, 40), ""))
        if old is None or (old.state, old.fraction) != (view.state, view.fraction):
            image, text = self._progress(view)
            self.list.item(row.iid, image=image, text=text)
            self.list.item(row.iid, tags=("bad",) if view.state is JobState.FAILED else ())
        details = _details(view)
        if old is None or details != _details(old):
            self.list.set(row.iid, "details", details)

    def _progress(self, view: JobView) -> tuple[str, str]:
        if view.state in _FINISHED:
            icon, color, word = _FINISHED[view.state]
            return str(self._theme.icon(icon, 16, color)), f"  {word}"
        if view.state is JobState.QUEUED:
            return str(self._theme.icon("clock", 16)), "  Waiting"
        if view.state is JobState.CANCELLING:
            return str(self._theme.icon("circle-stop", 16, "warn")), "  Cancelling…"
        if view.fraction is None:
            return str(self._theme.images.state("busy", 16)), "  Running"
        return str(self._theme.images.progress(view.fraction)), f"  {view.fraction * 100:.0f} %"

    def _trim(self) -> None:
        children = self.list.get_children("")
        excess = len(children) - KEPT
        for iid in reversed(children):
            if excess <= 0:
                return
            job = self._rows[iid].job
            if job is None or job.state.final:
                self._drop(iid)
                excess -= 1

    def _drop(self, iid: str) -> None:
        row = self._rows.pop(iid)
        if row.job is not None:
            self._by_job.pop(row.job.id, None)
        self.list.delete(iid)

    # ---- what the user does ----------------------------------------------------------------------------------

    def running(self, verb: str = "") -> int:
        """How many jobs are not finished; with ``verb`` only those."""
        jobs = [row.job for row in self._by_job.values() if row.job is not None and not row.job.state.final]
        return sum(1 for job in jobs if not verb or job.verb == verb)

    def focus(self) -> None:
        """Give the list the keyboard."""
        rows = self.list.get_children("")
        if rows and not self.list.focus():
            self.list.focus(rows[0])
        self.list.focus_set()

    def clear_finished(self) -> None:
        """Take all finished rows away."""
        for iid, row in list(self._rows.items()):
            if row.job is None or row.job.state.final:
                self._drop(iid)
        self._refresh_buttons()

    def _open_jobs(self) -> list[Job]:
        """The selected jobs that can still be cancelled."""
        wanted = {row.job.id for iid in self.list.selection() if (row := self._rows.get(iid)) and row.job is not None}
        return [
            job
            for connection in self._connections.all()
            for job in connection.open_jobs()
            if job.view.id in wanted and not job.view.state.final
        ]

    def cancel_selected(self) -> None:
        """Cancel the selected jobs that still run or wait."""
        for job in self._open_jobs():
            job.cancel()

    def show_details(self) -> None:
        """Tell everything about the selected row."""
        selected = self.list.selection()
        row = self._rows.get(selected[0]) if selected else None
        if row is None:
            return
        if row.event is not None:
            event = row.event
            self._dialogs().message(f"{_SEEN[event.what][3]}: {safe_text(event.subject, 80)}", safe_text(event.detail))
            return
        view = row.job
        assert view is not None
        title = f"{view.title}: {safe_text(view.subject, 80)}"
        if view.error is not None:
            self._dialogs().error(title, view.error)
        else:
            self._dialogs().message(title, _story(view), "" if view.state is JobState.DONE else safe_text(view.text))

    def _refresh_buttons(self) -> None:
        running = self.running()
        self._count.configure(text=f"{running} running" if running else "")
        if self._rows:
            self._nothing.place_forget()
        else:
            self._nothing.place(relx=0.5, rely=0.5, anchor="center")
        selected = [self._rows[iid].job for iid in self.list.selection() if iid in self._rows]
        able = any(job is not None and not job.state.final for job in selected)
        self._cancel.state(["!disabled" if able else "disabled"])
        finished = any(row.job is None or row.job.state.final for row in self._rows.values())
        self._clear.state(["!disabled" if finished else "disabled"])

    def _on_double_click(self, event: tk.Event[tk.Misc]) -> str | None:
        if self.list.identify_row(event.y):
            self.show_details()
            return "break"
        return None

    def _on_menu(self, event: tk.Event[tk.Misc]) -> None:
        iid = self.list.identify_row(event.y)
        if not iid:
            return
        if iid not in self.list.selection():
            self.list.selection_set(iid)
        self.list.focus_set()
        entries: list[tuple[str, Callable[[], object], bool]] = [
            ("Details…", self.show_details, True),
            ("Cancel task", self.cancel_selected, bool(self._open_jobs())),
            ("Clear finished", self.clear_finished, True),
        ]
        self._popup(entries, event.x_root, event.y_root)


def _time(when: dt.datetime) -> str:
    return when.astimezone().strftime("%H:%M:%S")


def _details(view: JobView) -> str:
    if view.error is not None:
        return safe_text(view.error.user_text)
    if view.state is JobState.DONE:
        return _took(view)  # its last words of progress say nothing any more
    return safe_text(view.text)


def _took(view: JobView) -> str:
    return f"took {format_took(view.duration_s)}" if view.duration_s is not None else ""


def _story(view: JobView) -> str:
    """One sentence on how the job went."""
    if view.state is JobState.DONE:
        return f"Done, {_took(view)}." if view.duration_s is not None else "Done."
    if view.state is JobState.CANCELLED:
        return "Cancelled."
    if view.state is JobState.QUEUED:
        return "It waits for other tasks on this server."
    return "It is running." if view.fraction is None else f"{view.fraction * 100:.0f} % done."
