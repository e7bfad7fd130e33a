"""The last rounds of one VM as a chart with axes: round-trip times, lost and half-lost rounds. Tk thread only."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Sequence

from PIL import ImageTk

from hvconsole.monitor.status import ROUNDS_KEPT, Round, RoundResult
from hvconsole.ui.charts import Line, chart_top, format_ms, line_chart, time_labels
from hvconsole.ui.pages.rounds import beats, chart_colours
from hvconsole.ui.theme import Theme


class RoundsChart:
    """``canvas`` is to be placed by the owner. Draws only when rounds, size or colours differ."""

    def __init__(self, theme: Theme, parent: tk.Misc, *, height: int) -> None:
        self._theme = theme
        self.canvas = tk.Canvas(parent, highlightthickness=0, height=theme.px(height))
        theme.paint(self.canvas, background="surface")
        self._rounds: tuple[Round, ...] = ()
        self._interval_s = 5.0
        self._drawn: tuple[object, ...] = ()
        self._photo: ImageTk.PhotoImage | None = None
        self.canvas.bind("<Configure>", lambda _event: self._draw())
        theme.follow(self.canvas, lambda _theme: self._draw())

    def show(self, rounds: Sequence[Round], interval_s: float) -> None:
        """Other rounds."""
        self._rounds, self._interval_s = tuple(rounds), interval_s
        self._draw()

    def _draw(self) -> None:
        theme, canvas = self._theme, self.canvas
        px = theme.px
        left, top = px(56), px(8)
        wide, high = canvas.winfo_width() - left - px(10), canvas.winfo_height() - top - px(24)
        if wide < 60 or high < 30:
            return
        state = (self._rounds, wide, high, theme.mode)
        if state == self._drawn:
            return
        self._drawn = state
        missing = max(0, ROUNDS_KEPT - len(self._rounds))
        values = [None] * missing + [beat.rtt_ms for beat in beats(self._rounds)]
        limit = chart_top("ms", values)
        picture = line_chart(
            [Line(values, theme.color("series1"))],
            wide,
            high,
            limit,
            chart_colours(theme),
            rows=2,
            scale=theme.scale,
            lost=[missing + n for n, r in enumerate(self._rounds) if r.result is RoundResult.LOST],
            half_lost=[missing + n for n, r in enumerate(self._rounds) if r.result is RoundResult.DEGRADED],
        )
        if self._photo is None or (self._photo.width(), self._photo.height()) != (wide, high):
            self._photo = theme.images.own(picture)
        else:
            self._photo.paste(picture)
        canvas.delete("all")
        canvas.create_image(left, top, anchor="nw", image=self._photo)
        muted = theme.color("muted")
        for row in range(3):
            text = format_ms(limit * (2 - row) / 2) if row < 2 else "0 ms"
            canvas.create_text(left - px(8), top + high * row / 2, anchor="e", text=text, fill=muted, font="HvSmall")
        labels = time_labels(self._interval_s * ROUNDS_KEPT)
        ends = len(labels) - 1
        for number, text in enumerate(labels):
            x = left + wide * number / ends
            place = canvas.create_text(x, top + high + px(6), text=text, fill=muted, font="HvSmall")
            canvas.itemconfigure(place, anchor="n" if 0 < number < ends else "nw" if number == 0 else "ne")
