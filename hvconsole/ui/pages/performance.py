"""Performance: CPU, memory, network and disk charts from the server's own measurements. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk

from PIL import ImageTk

from hvconsole.backends.base import Capability
from hvconsole.errors import HvError
from hvconsole.events import ConnectionState
from hvconsole.model import Metrics, PowerState, Series
from hvconsole.text import format_duration, safe_text
from hvconsole.ui.cards import MARGIN, Empty, ScrollArea
from hvconsole.ui.charts import Line, chart_top, format_value, line_chart, time_labels
from hvconsole.ui.interfaces import ItemKind, Selection, Shell, Subject
from hvconsole.ui.pages.base import BasePage
from hvconsole.ui.pages.measures import MOST_LINES, Chart, charts, last
from hvconsole.ui.pages.rounds import chart_colours
from hvconsole.ui.tclvar import TclVar

SPANS = ((600, "10 min"), (3600, "1 h"), (86400, "1 day"), (604800, "1 week"))
EVERY_MS = {600: 5_000, 3600: 30_000, 86400: 120_000, 604800: 600_000}
LINE_TOKENS = tuple(f"series{number}" for number in range(1, MOST_LINES + 1))
CHART_HEIGHT = 190
LEGEND_COLUMNS = 4


class PerformancePage(BasePage):
    """One chart under the other; the span is chosen above them."""

    title = "Performance"

    def __init__(self, shell: Shell, parent: tk.Misc) -> None:
        super().__init__(shell, parent)
        px = self.theme.px
        head = ttk.Frame(self.widget, style="Surface.TFrame")
        head.pack(fill="x", padx=px(MARGIN), pady=(px(10), px(2)))
        self.caption = ttk.Label(head, style="Surface.Bold.TLabel")
        self.caption.pack(side="left")
        self._span = TclVar(head, str(SPANS[0][0]))
        for seconds, text in reversed(SPANS):
            choice = ttk.Radiobutton(
                head, text=text, value=seconds, style="Surface.TRadiobutton", command=self._ask_again
            )
            self._span.attach(choice)
            choice.pack(side="right", padx=(px(10), 0))
        self.area = ScrollArea(self.theme, self.widget)
        self.area.body.columnconfigure(0, weight=1)
        self.charts: list[ChartView] = []
        self._metrics: Metrics | None = None
        self._empty = Empty(self.theme, self.widget, "chart-line", "")

    @staticmethod
    def applies(selection: Selection) -> bool:
        """For a host or a VM."""
        return selection.kind in (ItemKind.HOST, ItemKind.VM)

    @property
    def seconds(self) -> int:
        """The chosen span."""
        return int(self._span.get() or SPANS[0][0])

    def update(self, fresh: bool) -> None:
        """Ask when the object is a new one; the timer does the rest."""
        if fresh:
            self._metrics = None
            self._ask_again()

    def _ask_again(self) -> None:
        self.stop_timer()
        self.asker.drop("metrics")
        subject = self.subject
        if subject is None:
            return
        reason = self._why_not(subject)
        if reason:
            self._say(reason)
            self.start_timer(EVERY_MS[self.seconds])
            return
        if self._metrics is None:
            self._say("Asking the server…")
        found = subject.vm or subject.host
        assert found is not None
        object_id, seconds = found.id, self.seconds
        self.asker.ask("metrics", subject.connection, lambda hv: hv.metrics(object_id, seconds), self._measured)

    def _why_not(self, subject: Subject) -> str:
        if subject.connection.state is not ConnectionState.CONNECTED:
            return "The server is away: there is nothing to measure."
        if Capability.METRICS not in subject.connection.capabilities:
            return "This server doesn't offer performance data."
        if subject.vm is not None and subject.vm.power is not PowerState.RUNNING:
            return "The VM isn't running: there is nothing to measure."
        if subject.host is not None and subject.host.live is False:
            return "The host doesn't answer."
        return ""

    def tick(self) -> None:
        """Measure again."""
        self._ask_again()

    def _measured(self, answer: Metrics | HvError) -> None:
        self.start_timer(EVERY_MS[self.seconds])
        if isinstance(answer, HvError):
            self._say(safe_text(answer.user_text, 300))
            return
        found = charts(answer)
        if not found:
            self._say("The server has measured nothing yet.")
            return
        self._metrics = answer
        self._empty.frame.pack_forget()
        if not self.area.frame.winfo_manager():
            self.area.frame.pack(fill="both", expand=True)
        length = max(len(line.values) for chart in found for line in chart.lines)
        self.caption.configure(text=f"Last {format_duration(answer.step_s * max(1, length))}")
        while len(self.charts) < len(found):
            view = ChartView(self)
            view.frame.grid(row=len(self.charts), column=0, sticky="ew", padx=self.theme.px(MARGIN))
            self.charts.append(view)
        for number, view in enumerate(self.charts):
            if number < len(found):
                view.frame.grid()
                view.show(found[number], answer.step_s)
            else:
                view.frame.grid_remove()

    def _say(self, text: str) -> None:
        self.caption.configure(text="")
        self._empty.text.configure(text=text)
        self.area.frame.pack_forget()
        if not self._empty.frame.winfo_manager():
            self._empty.frame.pack(fill="both", expand=True)


class ChartView:
    """One chart: title and legend, picture, axis texts, and values under the pointer."""

    def __init__(self, page: PerformancePage) -> None:
        self._page = page
        theme = self._theme = page.theme
        px = theme.px
        self.frame = ttk.Frame(page.area.body, style="Surface.TFrame")
        head = ttk.Frame(self.frame, style="Surface.TFrame")
        head.pack(fill="x", pady=(px(8), 0))
        self.title = ttk.Label(head, style="Surface.Bold.TLabel")
        self.title.pack(side="left", anchor="n")
        self._legend = ttk.Frame(head, style="Surface.TFrame")
        self._legend.pack(side="right")
        self._entries: list[tuple[ttk.Label, ttk.Label]] = []
        self.canvas = tk.Canvas(self.frame, highlightthickness=0, height=px(CHART_HEIGHT))
        theme.paint(self.canvas, background="surface")
        self.canvas.pack(fill="x", expand=True)
        self.canvas.bind("<Configure>", lambda _event: self._draw())
        self.canvas.bind("<Motion>", self._pointed)
        self.canvas.bind("<Leave>", lambda _event: self._unpoint())
        self._chart: Chart | None = None
        self._step_s = 1.0
        self._top = 1.0
        self._photo: ImageTk.PhotoImage | None = None
        self._size = (0, 0)
        self._swatches: dict[str, ImageTk.PhotoImage] = {}
        theme.follow(self.frame, lambda _theme: self._recolor())

    def show(self, chart: Chart, step_s: float) -> None:
        """Other values."""
        self._chart, self._step_s = chart, step_s
        self.title.configure(text=chart.title)
        known = [v for line in chart.lines for v in line.values]
        self._top = chart.top or chart_top(chart.unit, known)
        if chart.top is not None and chart.unit != "fraction":
            self._top = max(chart.top, max((v for v in known if v is not None), default=0.0))
        self._show_legend([last(line) for line in chart.lines])
        self._draw()

    def _show_legend(self, values: list[float | None]) -> None:
        chart, px = self._chart, self._theme.px
        assert chart is not None
        while len(self._entries) < len(chart.lines):
            swatch = ttk.Label(self._legend, style="Surface.TLabel")
            text = ttk.Label(self._legend, style="Surface.Small.TLabel")
            row, place = divmod(len(self._entries), LEGEND_COLUMNS)
            swatch.grid(row=row, column=2 * place, padx=(px(14), px(5)))
            text.grid(row=row, column=2 * place + 1, sticky="w")
            self._entries.append((swatch, text))
        while len(self._entries) > len(chart.lines):
            for part in self._entries.pop():
                part.destroy()
        for number, line in enumerate(chart.lines):
            swatch, text = self._entries[number]
            swatch.configure(image=self._swatch(LINE_TOKENS[number % len(LINE_TOKENS)]))
            text.configure(text=f"{line.name}  {format_value(values[number], chart.unit)}")

    def _swatch(self, token: str) -> ImageTk.PhotoImage:
        return self._theme.images.progress(1.0, 16, 3, color=token)

    def _recolor(self) -> None:
        self._draw()

    def _area(self) -> tuple[int, int, int, int]:
        px = self._theme.px
        left, top = px(64), px(10)
        wide = self.canvas.winfo_width() - left - px(10)
        high = self.canvas.winfo_height() - top - px(26)
        return left, top, wide, high

    def _draw(self) -> None:
        chart, theme, canvas = self._chart, self._theme, self.canvas
        if chart is None:
            return
        left, top, wide, high = self._area()
        if wide < 60 or high < 30:
            return
        lines = [
            Line(line.values, theme.color(LINE_TOKENS[n % len(LINE_TOKENS)]), fill=len(chart.lines) <= 3)
            for n, line in enumerate(chart.lines)
        ]
        picture = line_chart(lines, wide, high, self._top, chart_colours(theme), scale=theme.scale)
        if self._photo is None or self._size != (wide, high):
            self._photo = theme.images.own(picture)
            self._size = (wide, high)
        else:
            self._photo.paste(picture)
        canvas.delete("all")
        canvas.create_image(left, top, anchor="nw", image=self._photo)
        muted = theme.color("muted")
        for row in range(5):
            text = format_value(self._top * (4 - row) / 4, chart.unit)
            y = top + high * row / 4
            canvas.create_text(left - theme.px(8), y, anchor="e", text=text, fill=muted, font="HvSmall")
        count = max(len(line.values) for line in chart.lines)
        labels = time_labels(self._step_s * count)
        ends = len(labels) - 1
        for number, text in enumerate(labels):
            x = left + wide * number / ends
            place = canvas.create_text(x, top + high + theme.px(8), text=text, fill=muted, font="HvSmall")
            canvas.itemconfigure(place, anchor="n" if 0 < number < ends else "nw" if number == 0 else "ne")

    def _pointed(self, event: tk.Event[tk.Misc]) -> None:
        chart = self._chart
        if chart is None:
            return
        left, top, wide, high = self._area()
        count = max(len(line.values) for line in chart.lines)
        if not left <= event.x <= left + wide or count < 2:
            self._unpoint()
            return
        index = round((event.x - left) / wide * (count - 1))
        x = left + wide * index / (count - 1)
        self.canvas.delete("pointer")
        self.canvas.create_line(x, top, x, top + high, fill=self._theme.color("control"), tags=("pointer",))
        self._show_legend([_at(line, index - count) for line in chart.lines])

    def _unpoint(self) -> None:
        self.canvas.delete("pointer")
        if self._chart is not None:
            self._show_legend([last(line) for line in self._chart.lines])


def _at(line: Series, from_end: int) -> float | None:
    return line.values[from_end] if -len(line.values) <= from_end < 0 else None
