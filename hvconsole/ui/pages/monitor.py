"""Monitor: every ticked VM with its last rounds, state and reason; settings, test, and one VM large. Tk thread only.

With thousands of VMs news come hundreds of times a second: they are collected and drawn once a second, sparklines only
for rows that can be seen.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from tkinter import ttk

from PIL import ImageTk

from hvconsole.errors import HvError
from hvconsole.events import ConnectionChanged, InventoryChanged, MonitorChanged
from hvconsole.monitor.status import MonitorState, MonitorStatus, Round, RoundResult, VmKey
from hvconsole.text import safe_lines, safe_text
from hvconsole.ui.cards import MARGIN, Empty, wrap_to_width
from hvconsole.ui.charts import format_ms, sparkline
from hvconsole.ui.columns import natural_key
from hvconsole.ui.interfaces import Item, ItemKind, Selection, Shell, Subject
from hvconsole.ui.listing import ListColumn, Listing
from hvconsole.ui.pages.base import BasePage
from hvconsole.ui.pages.rounds import (
    STATE_WORDS,
    beats,
    chart_colours,
    fired_words,
    rtt_words,
    setting_words,
    state_words,
)
from hvconsole.ui.pages.rounds_chart import RoundsChart
from hvconsole.ui.wording import count, near_time, percent, uptime

BEAT_MS = 1000
LEAST_FOR_CHART = 330
"""Design pixels of height from which on the page shows the chart of the chosen VM below the list."""
SPARK = (150, 18)
"""Size of a sparkline in design pixels."""
_SEVERITY = {
    MonitorState.DOWN: 0,
    MonitorState.SUSPECT: 1,
    MonitorState.RECOVERING: 2,
    MonitorState.LEARNING: 4,
    MonitorState.PAUSED: 5,
    MonitorState.UP: 3,
    MonitorState.OFF: 6,
}
_TAGS = {
    MonitorState.DOWN: ("bad",),
    MonitorState.SUSPECT: ("warn",),
    MonitorState.RECOVERING: ("warn",),
    MonitorState.PAUSED: ("muted",),
    MonitorState.LEARNING: ("muted",),
}


def summary(statuses: tuple[MonitorStatus, ...]) -> str:
    """ "7 monitored, 1 down, 2 paused"."""
    if not statuses:
        return ""
    parts = [f"{len(statuses):,} monitored"]
    for state in (MonitorState.DOWN, MonitorState.SUSPECT, MonitorState.LEARNING, MonitorState.PAUSED):
        number = sum(1 for s in statuses if s.state is state)
        if number:
            parts.append(f"{number:,} {STATE_WORDS[state].lower()}")
    return ", ".join(parts)


def order_key(status: MonitorStatus) -> tuple[object, ...]:
    """What needs attention first, then by name."""
    return (_SEVERITY[status.state], natural_key(status.vm_name), status.key)


def test_words(name: str, answer: Round | HvError) -> str:
    """The outcome of "Test now" in one sentence."""
    shown = safe_text(name, 60)
    if isinstance(answer, HvError):
        return f"Test of {shown}: {safe_text(answer.user_text, 300)}"
    rtts = [format_ms(rtt) for rtt in answer.rtts_ms if rtt is not None]
    if answer.result is RoundResult.LOST:
        words = f"none of {count(len(answer.rtts_ms), 'ping')} came back"
    elif answer.result is RoundResult.UNKNOWN:
        words = "says nothing"
    else:
        words = f"{len(rtts)} of {count(len(answer.rtts_ms), 'ping')} came back in {' and '.join(rtts)}"
    note = f" ({safe_text(answer.note, 200)})" if answer.note else ""
    return f"Test of {shown}: {words}{note}."


class MonitorPage(BasePage):
    """The table of ticked VMs; the chosen one is drawn large below it."""

    title = "Monitor"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        super().__init__(shell, parent)
        self._iids: dict[VmKey, str] = {}
        self._keys: dict[str, VmKey] = {}
        self._cells: dict[VmKey, tuple[str, ...]] = {}
        self._order: list[str] = []
        self._drawn_rounds: dict[VmKey, tuple[Round | None, str]] = {}
        self._photos: dict[VmKey, ImageTk.PhotoImage] = {}
        self._statuses: dict[VmKey, MonitorStatus] = {}
        self._made = 0
        self._large_key: VmKey | None = None
        self._build_bar()
        self._build_large()
        self._build_table()
        self._empty = Empty(
            self.theme,
            self.widget,
            "activity",
            "No VM is monitored. Tick VMs in the tree: hvconsole pings them every five seconds and takes a snapshot "
            "when one stops answering.",
            "Monitor the selected VM",
            self._tick_selected,
        )
        self.theme.follow(self.widget, lambda _theme: self._forget_pictures())

    @staticmethod
    def applies(selection: Selection) -> bool:
        """Always: it is about all ticked VMs."""
        return True

    # ---- building ------------------------------------------------------------------------------------------

    def _build_bar(self) -> None:
        px = self.theme.px
        bar = self._bar = ttk.Frame(self.widget, style="Surface.TFrame")
        bar.pack(fill="x", padx=px(MARGIN), pady=(px(10), px(6)))
        self.settings = self._button(bar, "Settings…", self._open_settings)
        self.test = self._button(bar, "Test now", self._test)
        self.stop = self._button(bar, "Stop monitoring", self._untick)
        self.add = self._button(bar, "", self._tick_selected)
        self.summary = ttk.Label(bar, style="Surface.Small.TLabel")
        self.summary.pack(side="right")
        self.outcome = ttk.Label(self.widget, style="Surface.Small.TLabel", justify="left", anchor="w")
        wrap_to_width(self.outcome)

    def _button(self, bar: ttk.Frame, text: str, command: Callable[[], None]) -> ttk.Button:
        button = ttk.Button(bar, text=text, style="Surface.TButton", command=command)
        button.pack(side="left", padx=(0, self.theme.px(6)))
        return button

    def _build_large(self) -> None:
        px = self.theme.px
        self._large = ttk.Frame(self.widget, style="Surface.TFrame")
        self.theme.line(self._large).pack(fill="x")
        head = ttk.Frame(self._large, style="Surface.TFrame")
        head.pack(fill="x", padx=px(MARGIN), pady=(px(8), 0))
        self.large_name = ttk.Label(head, style="Surface.Bold.TLabel")
        self.large_name.pack(side="left")
        self.large_state = ttk.Label(head, style="Surface.Small.TLabel")
        self.large_state.pack(side="left", padx=px(10))
        self.large_setting = ttk.Label(head, style="Surface.Small.TLabel")
        self.large_setting.pack(side="right")
        self.chart = RoundsChart(self.theme, self._large, height=120)
        self.chart.canvas.pack(fill="x", padx=px(8))
        self.widget.bind("<Configure>", lambda _event: self._fit_chart(), add=True)
        self.large_words = ttk.Label(self._large, style="Surface.Small.TLabel", justify="left", anchor="w")
        wrap_to_width(self.large_words)
        self.large_words.pack(fill="x", padx=px(MARGIN), pady=(0, px(8)))

    def _build_table(self) -> None:
        self.listing = Listing(
            self.theme,
            self.widget,
            (
                ListColumn("spark", "Last 60 rounds", 164),
                ListColumn("vm", "VM", 118),
                ListColumn("address", "Address", 88),
                ListColumn("rtt", "Last", 68, numeric=True),
                ListColumn("average", "Average", 70, numeric=True),
                ListColumn("loss", "Loss", 56, numeric=True),
                ListColumn("state", "State", 150),
                ListColumn("last", "Last snapshot", 104),
                ListColumn("setting", "Setting", 94, stretch=True),
            ),
            multiple=True,
        )
        self.tree = self.listing.tree
        self.tree.bind("<<TreeviewSelect>>", lambda _event: self._chosen())
        self.tree.bind("<Double-Button-1>", self._double)
        self.tree.bind("<Return>", lambda _event: self._reveal())
        self.tree.bind("<Button-3>", self._popup)
        for sequence in ("<FocusIn>", "<FocusOut>"):
            self.tree.bind(sequence, lambda _event: self._draw_sparks(), add=True)
        for sequence in ("<Configure>", "<MouseWheel>", "<Button-4>", "<Button-5>", "<KeyRelease>", "<B1-Motion>"):
            self.tree.bind(sequence, lambda _event: self.widget.after_idle(self._draw_sparks), add=True)

    # ---- showing -------------------------------------------------------------------------------------------

    def update(self, fresh: bool) -> None:
        """Draw what differs; an own tick keeps the ages moving."""
        self._offer()
        if fresh:
            self.outcome.pack_forget()
            self._draw()
            self._choose_selected()
        if self._timer is None:
            self.start_timer(BEAT_MS)

    def on_event(self, event: object) -> None:
        """News of monitors are drawn with the next beat; of inventories only what the buttons say."""
        if isinstance(event, MonitorChanged):
            if self._timer is None:
                self.start_timer(BEAT_MS)
        elif isinstance(event, (InventoryChanged, ConnectionChanged)):
            self._offer()

    def tick(self) -> None:
        """A beat."""
        self._draw()
        self.start_timer(BEAT_MS)

    def _draw(self) -> None:
        statuses = self.shell.services.watcher.statuses()
        self.summary.configure(text=summary(statuses))
        if not statuses:
            self.listing.frame.pack_forget()
            self._large.pack_forget()
            self._empty.frame.pack(fill="both", expand=True)
        elif not self.listing.frame.winfo_manager():
            self._empty.frame.pack_forget()
            self.listing.frame.pack(fill="both", expand=True)
        known = {status.key: status for status in statuses}
        self._drop([key for key in self._iids if key not in known])
        now = self.shell.services.clock.now()
        for status in statuses:
            self._row(status, near_time(status.last_snapshot_when, now))
        order = [self._iids[s.key] for s in sorted(statuses, key=order_key)]
        if order != self._order:
            self.tree.set_children("", *order)
            self._order = order
        self._statuses = known
        self._draw_sparks()
        self._show_large()
        self._enable()

    def _drop(self, keys: Sequence[VmKey]) -> None:
        for key in keys:
            iid = self._iids.pop(key)
            del self._keys[iid]
            self.tree.delete(iid)
            self._cells.pop(key, None)
            self._drawn_rounds.pop(key, None)
            self._photos.pop(key, None)

    def _row(self, status: MonitorStatus, last: str) -> None:
        cells = (
            safe_text(status.vm_name, 80),
            safe_text(status.address, 60) or "—",
            rtt_words(status),
            format_ms(status.average_rtt_ms),
            percent(status.loss_fraction),
            state_words(status),
            last,
            setting_words(status.settings),
        )
        before = self._cells.get(status.key)
        if before == cells:
            return
        if before is None:
            self._made += 1
            iid = f"m{self._made}"
            self._iids[status.key], self._keys[iid] = iid, status.key
            blank = self.theme.images.blank(*SPARK)
            self.listing.insert(iid, "", cells, image=blank, tags=_TAGS.get(status.state, ()))
        else:
            iid = self._iids[status.key]
            for number, (old, new) in enumerate(zip(before, cells, strict=True)):
                if old != new:
                    self.listing.set(iid, number, new)
            if before[5] != cells[5]:
                self.tree.item(iid, tags=_TAGS.get(status.state, ()))
        self._cells[status.key] = cells

    def _visible(self) -> list[VmKey]:
        """VMs whose rows can be seen now."""
        first = self.tree.identify_row(self.theme.px(30))
        if not first or first not in self._order:
            return []
        begin = self._order.index(first)
        rows = self.tree.winfo_height() // max(1, self.theme.px(26)) + 2
        return [self._keys[iid] for iid in self._order[begin : begin + rows]]

    def _draw_sparks(self) -> None:
        if not self.visible or not self._order or not self.tree.winfo_exists():
            return
        theme = self.theme
        width, height = theme.px(SPARK[0]), theme.px(SPARK[1])
        # pictures are opaque: on a chosen row they need the ground that the row has then
        chosen = set(self.chosen())
        ground = "selection" if self.widget.focus_displayof() is self.tree else "selection_idle"
        for key in self._visible():
            status = self._statuses.get(key)
            below = ground if key in chosen else "surface"
            if status is None:
                continue
            state = (status.rounds[-1] if status.rounds else None, below)
            if self._drawn_rounds.get(key) == state:
                continue
            picture = sparkline(beats(status.rounds), width, height, chart_colours(theme, below), scale=theme.scale)
            photo = self._photos.get(key)
            if photo is None:
                self._photos[key] = photo = theme.images.own(picture)
                self.tree.item(self._iids[key], image=photo)
            else:
                photo.paste(picture)
            self._drawn_rounds[key] = state

    def _forget_pictures(self) -> None:
        self._drawn_rounds.clear()
        if self.visible:
            self._draw_sparks()

    # ---- the chosen one ------------------------------------------------------------------------------------

    def chosen(self) -> list[VmKey]:
        """VMs chosen in the table."""
        return [self._keys[iid] for iid in self.tree.selection() if iid in self._keys]

    def _choose_selected(self) -> None:
        """Choose the row of the VM that is selected in the tree."""
        primary = self.selection.primary
        if primary is None or primary.kind is not ItemKind.VM or primary.id is None:
            return
        iid = self._iids.get(VmKey(primary.server_id, primary.id))
        if iid is not None:
            self.tree.selection_set(iid)
            self.tree.focus(iid)
            self.tree.see(iid)

    def _chosen(self) -> None:
        self._draw_sparks()
        self._show_large()
        self._enable()

    def _show_large(self) -> None:
        chosen = self.chosen()
        status = self._statuses.get(chosen[0]) if len(chosen) == 1 else None
        if status is None:
            self._large.pack_forget()
            return
        if not self._large.winfo_manager():
            self._large.pack(side="bottom", fill="x", before=self.listing.frame)
        self._fit_chart()
        now = self.shell.services.clock.now()
        self.large_name.configure(text=safe_text(status.vm_name, 60))
        lasts = uptime(status.state_since, now)
        self.large_state.configure(text=f"{state_words(status)}, for {lasts}")
        self.large_setting.configure(text=setting_words(status.settings))
        self.chart.show(status.rounds, status.settings.interval_s)
        words = [fired_words(status)]
        if status.reason:
            words.insert(0, safe_lines(status.reason, 400))
        if status.outage is not None and status.outage.detail:
            words.append(safe_lines(status.outage.detail, 400).split("\n")[0])
        if status.last_snapshot_name:
            name = safe_text(status.last_snapshot_name, 120)
            words.append(f"Last automatic snapshot: {name}, {near_time(status.last_snapshot_when, now)}.")
        self.large_words.configure(text="\n".join(words))

    def _fit_chart(self) -> None:
        """Where the page is low, the list is more important than the chart of one VM."""
        if not self._large.winfo_manager():
            return
        wanted = self.widget.winfo_height() >= self.theme.px(LEAST_FOR_CHART)
        if wanted and not self.chart.canvas.winfo_manager():
            self.chart.canvas.pack(fill="x", padx=self.theme.px(8), before=self.large_words)
        elif not wanted:
            self.chart.canvas.pack_forget()

    def _enable(self) -> None:
        chosen = self.chosen()
        for button in (self.settings, self.stop):
            button.state(["!disabled"] if chosen else ["disabled"])
        self.test.state(["!disabled"] if len(chosen) == 1 and not self.asker.waiting("test") else ["disabled"])

    def _offer(self) -> None:
        """A button to monitor the selected VM, where it isn't yet."""
        missing = self._unticked()
        if not missing:
            self.add.pack_forget()
            self._empty.button.pack_forget()
            return
        what = f"“{safe_text(missing[0].name, 28)}”" if len(missing) == 1 else count(len(missing), "VM")
        self.add.configure(text=f"Monitor {what}")
        self.add.pack(side="left", padx=(0, self.theme.px(6)))
        self._empty.button.configure(text=f"Monitor {what}")
        self._empty.button.pack(pady=(self.theme.px(14), 0))

    def _unticked(self) -> list[Subject]:
        if self.selection.kind is not ItemKind.VM:
            return []
        ticked = self.shell.services.watcher.ticked()
        subjects = self.selection.subjects(self.shell.services.connections)
        return [s for s in subjects if s.vm is not None and VmKey(s.connection.id, s.vm.id) not in ticked]

    # ---- doing ---------------------------------------------------------------------------------------------

    def _subjects(self) -> tuple[Subject, ...]:
        items = tuple(Item(ItemKind.VM, key.server_id, key.vm_id) for key in self.chosen())
        return Selection(items).subjects(self.shell.services.connections)

    def _open_settings(self) -> None:
        subjects = self._subjects()
        if subjects:
            self.shell.dialogs.monitor_settings(subjects)
            self._draw()

    def _untick(self) -> None:
        self.shell.set_monitored(self._subjects(), False)
        self._draw()

    def _tick_selected(self) -> None:
        self.shell.set_monitored(self._unticked(), True)
        self._offer()
        self._draw()

    def _test(self) -> None:
        chosen = self.chosen()
        if len(chosen) != 1:
            return
        key = chosen[0]
        name = self._statuses[key].vm_name
        self._say(f"Testing {safe_text(name, 60)}…")
        done: Callable[[Round | HvError], None] = self.asker.expect("test", lambda answer: self._tested(name, answer))
        self.shell.services.watcher.test_now(key, done)
        self._enable()

    def _tested(self, name: str, answer: Round | HvError) -> None:
        self._say(test_words(name, answer))
        self._enable()

    def _say(self, text: str) -> None:
        self.outcome.configure(text=text)
        self.outcome.pack(fill="x", padx=self.theme.px(MARGIN), pady=(0, self.theme.px(6)), after=self._bar)

    def _double(self, event: tk.Event[tk.Misc]) -> None:
        if self.tree.identify_row(event.y):
            self._open_settings()

    def _reveal(self) -> None:
        subjects = self._subjects()
        if subjects:
            self.shell.select(Selection(tuple(s.item for s in subjects)))

    def _popup(self, event: tk.Event[tk.Misc]) -> None:
        row = self.tree.identify_row(event.y)
        if row and row not in self.tree.selection():
            self.tree.selection_set(row)
            self.tree.focus(row)
        subjects = self._subjects()
        if subjects:
            self.shell.popup(Selection(tuple(s.item for s in subjects)), event.x_root, event.y_root)
