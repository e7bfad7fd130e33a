"""The window's pictures as Tk images: drawn once, shared, and redrawn in place when the colours change.

Because a picture keeps its identity when light turns to dark, no widget and no tree row has to be touched. Tk thread.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence

from PIL import Image, ImageTk

from hvconsole.ui import drawing
from hvconsole.ui.tokens import Tokens

Draw = Callable[[], Image.Image]
PROGRESS_STEPS = 20
"""Progress bars are drawn in steps of 5 %: 21 shared pictures instead of one per row."""


class Images:
    """Cache of Tk images. Sizes are design pixels (at scale 1); colours are names of tokens."""

    def __init__(self, root: tk.Misc, tokens: Tokens, scale: float) -> None:
        self._root = root
        self._tokens = tokens
        self._scale = scale
        self._photos: dict[tuple[object, ...], tuple[ImageTk.PhotoImage, Draw]] = {}

    def px(self, size: float) -> int:
        """Design pixels → screen pixels."""
        return round(size * self._scale)

    def recolor(self, tokens: Tokens) -> None:
        """Redraw every picture with other colours, in place."""
        self._tokens = tokens
        for photo, draw in self._photos.values():
            photo.paste(draw())

    def color(self, token: str) -> str:
        """The present #RRGGBB of a token."""
        return str(getattr(self._tokens, token))

    def shared(self, key: tuple[object, ...], draw: Draw) -> ImageTk.PhotoImage:
        """The picture known as ``key``; ``draw`` is kept for later redrawing and must give one size for ever."""
        known = self._photos.get(key)
        if known is None:
            known = (ImageTk.PhotoImage(draw(), master=self._root), draw)
            self._photos[key] = known
        return known[0]

    # ---- icons ---------------------------------------------------------------------------------------------

    def icon(self, name: str, size: int = 16, color: str = "muted") -> ImageTk.PhotoImage:
        """An icon of the icon font, or "funnel", on transparent ground."""
        if name == "funnel":
            return self.shared(("icon", name, size, color), lambda: drawing.funnel(self.px(size), self.color(color)))
        return self.shared(("icon", name, size, color), lambda: drawing.glyph(name, self.px(size), self.color(color)))

    def blank(self, width: int, height: int) -> ImageTk.PhotoImage:
        """An empty picture that only takes room."""
        size = (self.px(width), self.px(height))
        return self.shared(("blank", width, height), lambda: Image.new("RGBA", size, drawing.CLEAR))

    def menu_mark(self, on: bool, wide: bool) -> ImageTk.PhotoImage:
        """What stands before a menu entry: a tick if ``on``, else only room; it also gives the row its height.

        ``wide``: the menu has entries that can be ticked, so all leave room for it.
        """
        width, height = self.px(24 if wide else 6), self.px(24)

        def draw() -> Image.Image:
            image = Image.new("RGBA", (width, height), drawing.CLEAR)
            if on:
                tick = drawing.glyph("check", self.px(14), self.color("accent"))
                image.paste(tick, ((width - tick.width) // 2, (height - tick.height) // 2))
            return image

        return self.shared(("menu", on, wide), draw)

    def state(self, state: str, size: int = 16) -> ImageTk.PhotoImage:
        """Sign of a power state: a value of ``PowerState``, or "error" or "busy"."""
        return self.shared(("state", state, size), lambda: self._state(state, size, stale=False))

    def _state(self, state: str, size: int, *, stale: bool) -> Image.Image:
        def of(token: str) -> str:
            return self.color("faint" if stale else token)

        return drawing.state_sign(
            state,
            self.px(size),
            ok=of("ok"),
            warn=of("warn"),
            bad=of("bad"),
            off=of("off"),
            info=of("info"),
            hole=self.color("surface"),
        )

    def tick(self, checked: bool, size: int = 16) -> Image.Image:
        """A tick box, as a drawing."""
        return drawing.check_box(
            checked,
            self.px(size),
            fill=self.color("accent"),
            mark=self.color("accent_text"),
            ground=self.color("surface"),
            edge=self.color("control"),
        )

    def row(self, sign: str, *, tick: bool | None = None, stale: bool = False, badge: str = "") -> ImageTk.PhotoImage:
        """The one picture that a tree row may have: tick box (if ``tick`` is not None), gap, sign.

        ``sign``: "state:running" and so on, or the name of an icon. ``badge``: token of a warning triangle, or empty.
        ``stale``: everything in the colour of disabled things.
        """
        return self.shared(("row", sign, tick, stale, badge), lambda: self._row(sign, tick, stale, badge))

    def _row(self, sign: str, tick: bool | None, stale: bool, badge: str) -> Image.Image:
        if sign.startswith("state:"):
            picture = self._state(sign.removeprefix("state:"), 16, stale=stale)
        else:
            picture = drawing.glyph(sign, self.px(16), self.color("faint" if stale else "muted"))
        if badge:
            picture = drawing.badge(picture, self.color("faint" if stale else badge), self.color("surface"))
        if tick is None:
            return drawing.beside([picture], [], self.px(5))
        return drawing.beside([self.tick(tick), picture], [self.px(7)], self.px(5))

    @property
    def tick_width(self) -> int:
        """Screen pixels at the left of a row picture that belong to its tick box."""
        return self.px(16 + 4)

    # ---- measures ------------------------------------------------------------------------------------------

    def progress(
        self, fraction: float, width: int = 104, height: int = 6, *, color: str = "accent", ground: str = "surface"
    ) -> ImageTk.PhotoImage:
        """A progress bar for a list, in steps of 5 %, opaque on ``ground``."""
        step = round(min(1.0, max(0.0, fraction)) * PROGRESS_STEPS)

        def draw() -> Image.Image:
            bar = self.progress_drawing(step / PROGRESS_STEPS, width, height, color)
            return drawing.flatten(bar, self.color(ground))

        return self.shared(("progress", step, width, height, color, ground), draw)

    def progress_drawing(self, fraction: float, width: int, height: int, color: str = "accent") -> Image.Image:
        """A progress bar as a drawing, for pictures that their owner keeps."""
        return drawing.progress(
            fraction, self.px(width), self.px(height), fill=self.color(color), track=self.color("press")
        )

    def sparkline(
        self,
        values: Sequence[float | None],
        width: int = 150,
        height: int = 20,
        *,
        color: str = "series1",
        ground: str = "surface",
        limit: float | None = None,
        top: float | None = None,
        slots: int | None = None,
    ) -> Image.Image:
        """A sparkline as an opaque drawing; its owner keeps one ``PhotoImage`` per row and pastes into it."""
        drawn = drawing.sparkline(
            values,
            self.px(width),
            self.px(height),
            line=self.color(color),
            lost=self.color("bad"),
            limit_line=self.color("faint"),
            stroke=1.5 * self._scale,
            limit=limit,
            top=top,
            slots=slots,
        )
        return drawing.flatten(drawn, self.color(ground))

    def own(self, drawing_: Image.Image) -> ImageTk.PhotoImage:
        """A picture that its caller keeps, redraws (``paste``) and drops."""
        return ImageTk.PhotoImage(drawing_, master=self._root)
