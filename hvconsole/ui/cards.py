"""Building blocks of pages: an area that scrolls, cards, tables of facts, meters, figures. Tk thread only.

Everything updates in place: a refresh that changes one word touches one label.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from tkinter import ttk

from PIL import ImageTk

from hvconsole.ui.clipboard import copy_text
from hvconsole.ui.drawing import flatten
from hvconsole.ui.theme import Theme

GAP = 12
"""Design pixels between cards."""
MARGIN = 16
"""Design pixels around the contents of a page."""
NARROW = 520
"""Design pixels of width below which a page has no room for two cards side by side."""


def wrap_to_width(label: ttk.Label) -> None:
    """Break a label's text where the label ends; for one that is packed with ``fill="x"``."""
    label.bind("<Configure>", lambda event: label.configure(wraplength=max(40, event.width)), add=True)


def stack_when_narrow(theme: Theme, body: tk.Misc, pairs: Sequence[tuple[ttk.Frame, ttk.Frame]]) -> None:
    """Put two cards that stand side by side one below the other while ``body`` is too narrow for both.

    They are gridded in even rows; the odd ones are left free for this.
    """
    wide = [(left.grid_info(), right.grid_info()) for left, right in pairs]
    margin = theme.px(MARGIN)
    stacked: list[bool] = [False]

    def arrange(event: tk.Event[tk.Misc]) -> None:
        narrow = event.width < theme.px(NARROW)
        if narrow == stacked[0]:
            return
        stacked[0] = narrow
        for (left, right), (at_left, at_right) in zip(pairs, wide, strict=True):
            if narrow:
                left.grid_configure(columnspan=2, padx=margin)
                right.grid_configure(row=at_right["row"] + 1, column=0, columnspan=2, padx=margin)
            else:
                left.grid_configure(columnspan=1, padx=at_left["padx"])
                right.grid_configure(row=at_right["row"], column=1, columnspan=1, padx=at_right["padx"])

    body.bind("<Configure>", arrange, add=True)


class ScrollArea:
    """``frame`` is to be placed by the owner, ``body`` to be filled. The bar appears when the body is too high."""

    def __init__(self, theme: Theme, parent: tk.Misc) -> None:
        self._theme = theme
        self.frame = ttk.Frame(parent, style="Surface.TFrame")
        ring = max(1, theme.px(2))
        self.canvas = tk.Canvas(
            self.frame, highlightthickness=ring, borderwidth=0, yscrollincrement=theme.px(20), takefocus=True
        )
        theme.paint(self.canvas, background="surface", highlightBackground="surface", highlightColor="accent")
        self._bar = ttk.Scrollbar(self.frame, command=self.canvas.yview)
        self.canvas.configure(yscrollcommand=self._scrolled)
        self.frame.rowconfigure(0, weight=1)
        self.frame.columnconfigure(0, weight=1)
        self.canvas.grid(row=0, column=0, sticky="nsew")
        self._bar.grid(row=0, column=1, sticky="ns")
        self._bar.grid_remove()
        self._barred = False
        self.body = ttk.Frame(self.canvas, style="Surface.TFrame")
        self._window = self.canvas.create_window(0, 0, anchor="nw", window=self.body)
        self.body.bind("<Configure>", self._resized)
        # a body that became shorter than it is scrolled is not resized but unmapped
        self.body.bind("<Unmap>", self._resized)
        self.canvas.bind("<Configure>", self._resized)
        self.frame.bind("<Enter>", lambda _event: self._wheel(True))
        self.frame.bind("<Leave>", lambda _event: self._wheel(False))
        self.frame.bind("<Destroy>", lambda _event: self._wheel(False))
        keys = (("Prior", "pages", -1), ("Next", "pages", 1), ("Up", "units", -2), ("Down", "units", 2))
        for key, what, much in keys:
            self.canvas.bind(
                f"<{key}>",
                lambda _event, much=much, what=what: self.canvas.yview_scroll(much, what),  # type: ignore[misc]
            )

    def _resized(self, _event: tk.Event[tk.Misc]) -> None:
        ring = 2 * int(self.canvas.cget("highlightthickness"))
        width, height = self.canvas.winfo_width() - ring, self.body.winfo_reqheight()
        self.canvas.itemconfigure(self._window, width=width)
        self.canvas.configure(scrollregion=(0, 0, width, height))
        if height <= self.canvas.winfo_height():
            self.canvas.yview_moveto(0)

    def _scrolled(self, first: float, last: float) -> None:
        self._bar.set(first, last)
        needed = self.body.winfo_reqheight() > self.canvas.winfo_height() > 1
        if needed != self._barred:
            self._barred = needed
            self._bar.grid() if needed else self._bar.grid_remove()

    def _wheel(self, on: bool) -> None:
        top = self.canvas
        for sequence in ("<MouseWheel>", "<Button-4>", "<Button-5>"):
            if on:
                top.bind_all(sequence, self._turn)
            else:
                top.unbind_all(sequence)

    def _turn(self, event: tk.Event[tk.Misc]) -> None:
        # a list inside the area scrolls itself
        if isinstance(event.widget, (ttk.Treeview, tk.Text)) or not self._barred:
            return
        up = event.num == 4 or event.delta > 0
        self.canvas.yview_scroll(-3 if up else 3, "units")

    def to_top(self) -> None:
        """Scroll to the beginning."""
        self.canvas.yview_moveto(0)


class Card:
    """A rounded box with a heading. ``frame`` is to be placed, ``body`` to be filled."""

    def __init__(self, theme: Theme, parent: tk.Misc, title: str, icon: str = "") -> None:
        px = theme.px
        self.frame = ttk.Frame(parent, style="Card.TFrame", padding=px(14))
        self.head = ttk.Frame(self.frame, style="CardIn.TFrame")
        self.head.pack(fill="x", pady=(0, px(8)))
        if icon:
            ttk.Label(self.head, image=theme.icon(icon, 16), style="Card.TLabel").pack(side="left", padx=(0, px(7)))
        self.title = ttk.Label(self.head, text=title, style="Card.Bold.TLabel")
        self.title.pack(side="left")
        self.body = ttk.Frame(self.frame, style="CardIn.TFrame")
        self.body.pack(fill="both", expand=True)


class Facts:
    """Label and value, row by row. ``show`` may be called as often as wanted."""

    def __init__(self, theme: Theme, parent: tk.Misc, *, label_width: int = 112) -> None:
        self._theme = theme
        self.frame = ttk.Frame(parent, style="CardIn.TFrame")
        self.frame.columnconfigure(1, weight=1)
        self.frame.columnconfigure(0, minsize=theme.px(label_width))
        self._rows: list[tuple[ttk.Label, ttk.Label]] = []
        self._shown: list[tuple[str, str]] = []
        self._menu: tk.Menu | None = None
        self.frame.bind("<Configure>", lambda _event: self._rewrap())

    def show(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show these rows of safe text; an em dash stands for an empty value."""
        if list(rows) == self._shown:
            return
        px = self._theme.px
        while len(self._rows) < len(rows):
            row = len(self._rows)
            label = ttk.Label(self.frame, style="Card.Muted.TLabel")
            value = ttk.Label(self.frame, style="Card.TLabel")
            value.bind("<Button-3>", self._copy)
            label.grid(row=row, column=0, sticky="nw", pady=px(3))
            value.grid(row=row, column=1, sticky="w", padx=(px(8), 0), pady=px(3))
            self._rows.append((label, value))
        while len(self._rows) > len(rows):
            for part in self._rows.pop():
                part.destroy()
            self._shown = self._shown[: len(rows)]
        for number, row_text in enumerate(rows):
            if number < len(self._shown) and self._shown[number] == row_text:
                continue
            label, value = self._rows[number]
            label.configure(text=row_text[0])
            value.configure(text=row_text[1] or "—")
        self._shown = list(rows)
        # new rows don't resize the frame when others went: nothing else would tell them where to break
        self.frame.after_idle(self._rewrap)

    def _copy(self, event: tk.Event[tk.Misc]) -> None:
        """A right click on a value offers to copy it."""
        text = str(event.widget.cget("text"))
        if self._menu is not None:
            self._menu.destroy()
        self._menu = tk.Menu(self.frame, tearoff=False)
        self._menu.add_command(label="Copy", command=lambda: copy_text(self.frame, text))
        self._menu.tk_popup(event.x_root, event.y_root)

    def value(self, label: str) -> str:
        """The value shown beside a label; for tests and copying."""
        return next((text for name, text in self._shown if name == label), "")

    def _rewrap(self) -> None:
        """Let long values break where the card ends."""
        if not self.frame.winfo_exists():
            return
        column = self.frame.grid_bbox(0, 0)
        left = column[2] if column else 0
        room = max(self._theme.px(80), self.frame.winfo_width() - left - self._theme.px(10))
        for _, value in self._rows:
            value.configure(wraplength=room)


class Meter:
    """Label, value, and a bar below them that is as wide as there is room."""

    def __init__(self, theme: Theme, parent: tk.Misc, label: str) -> None:
        px = theme.px
        self._theme = theme
        self._fraction: float | None = None
        self._token = "accent"
        self._drawn: tuple[object, ...] = ()
        self._photo: ImageTk.PhotoImage | None = None
        self.frame = ttk.Frame(parent, style="CardIn.TFrame")
        words = ttk.Frame(self.frame, style="CardIn.TFrame")
        words.pack(fill="x")
        ttk.Label(words, text=label, style="Card.Muted.TLabel").pack(side="left")
        self.value = ttk.Label(words, text="—", style="Card.TLabel")
        self.value.pack(side="right")
        # a fixed frame around the picture: its width must not decide the width of the card
        holder = ttk.Frame(self.frame, style="CardIn.TFrame", height=px(10))
        holder.pack(fill="x", pady=(px(2), 0))
        holder.pack_propagate(False)
        self._bar = ttk.Label(holder, style="Card.TLabel")
        self._bar.place(x=0, y=0, relwidth=1)
        self._width = 0
        holder.bind("<Configure>", self._resized)
        theme.follow(self.frame, lambda _theme: self._draw())

    def show(self, text: str, fraction: float | None, *, warn: bool = True) -> None:
        """``fraction`` 0..1, or None where it is not known. With ``warn`` the bar changes colour from 90 % on."""
        self.value.configure(text=text)
        self._fraction = fraction
        self._token = "warn" if warn and fraction is not None and fraction >= 0.9 else "accent"
        self._draw()

    def _resized(self, event: tk.Event[tk.Misc]) -> None:
        self._width = event.width
        self._draw()

    def _draw(self) -> None:
        if self._width < 8:
            return
        theme = self._theme
        wanted = (self._width, self._fraction, self._token, theme.mode)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        if self._fraction is None:  # an empty bar would say "nothing"
            self._photo = None
            self._bar.configure(image="")
            return
        images = theme.images
        bar = images.progress_drawing(self._fraction, round(self._width / theme.scale), 6, self._token)
        self._photo = images.own(flatten(bar, theme.color("raised")))
        self._bar.configure(image=self._photo)


class Figure:
    """A small caption over a large value."""

    def __init__(self, theme: Theme, parent: tk.Misc, caption: str, *, big: bool = True) -> None:
        self.frame = ttk.Frame(parent, style="CardIn.TFrame")
        ttk.Label(self.frame, text=caption, style="Card.Small.TLabel").pack(anchor="w")
        self.value = ttk.Label(self.frame, text="—", style="Card.Title.TLabel" if big else "Card.Bold.TLabel")
        self.value.pack(anchor="w", pady=(0 if big else theme.px(4), 0))

    def show(self, text: str) -> None:
        """Another value."""
        if str(self.value.cget("text")) != text:
            self.value.configure(text=text)


class Empty:
    """A word in the middle of a page that has nothing to show, with a button where something can be done about it."""

    def __init__(
        self,
        theme: Theme,
        parent: tk.Misc,
        icon: str,
        text: str,
        button: str = "",
        command: Callable[[], None] | None = None,
    ) -> None:
        px = theme.px
        self.frame = ttk.Frame(parent, style="Surface.TFrame")
        inner = ttk.Frame(self.frame, style="Surface.TFrame")
        inner.place(relx=0.5, rely=0.42, anchor="center")
        ttk.Label(inner, image=theme.icon(icon, 28, "faint"), style="Surface.TLabel").pack()
        self.text = ttk.Label(
            inner, text=text, style="Surface.Muted.TLabel", wraplength=px(420), justify="center", anchor="center"
        )
        self.text.pack(pady=(px(10), 0))
        self.button = ttk.Button(inner, text=button, style="Surface.TButton")
        if command is not None:
            self.button.configure(command=command)
            self.button.pack(pady=(px(14), 0))


class MiniTable:
    """A few rows with a small heading inside a card; for long lists use ``Listing``."""

    def __init__(self, theme: Theme, parent: tk.Misc, titles: Sequence[str], *, numeric: Sequence[int] = ()) -> None:
        """``numeric``: numbers of the columns that are aligned at the right; the last column takes the room left."""
        self._theme = theme
        self._numeric = frozenset(numeric)
        self._columns = len(titles)
        self.frame = ttk.Frame(parent, style="CardIn.TFrame")
        self.frame.columnconfigure(len(titles) - 1, weight=1)
        for column, title in enumerate(titles):
            self._place(ttk.Label(self.frame, text=title, style="Card.Small.TLabel"), 0, column)
        self._rows: list[list[ttk.Label]] = []
        self._shown: list[tuple[str, ...]] = []
        self._more = ttk.Label(self.frame, style="Card.Small.TLabel")

    def _place(self, label: ttk.Label, row: int, column: int) -> None:
        gap = 0 if column == self._columns - 1 else self._theme.px(18)
        side = "e" if column in self._numeric else "w"
        label.grid(row=row, column=column, sticky=side, padx=(0, gap), pady=self._theme.px(2))

    def show(self, rows: Sequence[tuple[str, ...]], *, most: int = 12, empty: str = "None") -> None:
        """Show at most ``most`` rows of safe text, and how many there are beyond; ``empty`` where there are none."""
        shown = [row for row in rows[:most]]
        while len(self._rows) < len(shown):
            number = len(self._rows) + 1
            labels = []
            for column in range(self._columns):
                label = ttk.Label(self.frame, style="Card.TLabel")
                self._place(label, number, column)
                labels.append(label)
            self._rows.append(labels)
        while len(self._rows) > len(shown):
            for label in self._rows.pop():
                label.destroy()
        self._shown = self._shown[: len(shown)]
        for number, row in enumerate(shown):
            if number < len(self._shown) and self._shown[number] == row:
                continue
            for label, text in zip(self._rows[number], row, strict=True):
                label.configure(text=text)
        self._shown = shown
        hidden = len(rows) - len(shown)
        note = f"and {hidden} more" if hidden > 0 else "" if rows else empty
        if note:
            self._more.configure(text=note)
            self._more.grid(row=len(shown) + 1, column=0, columnspan=self._columns, sticky="w", pady=self._theme.px(2))
        else:
            self._more.grid_remove()
