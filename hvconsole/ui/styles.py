"""The ttk theme: shapes made of stretched pictures, and the styles that name them. Tk thread only.

Style prefixes: "" = on chrome (bars, dialogs), ``Surface.`` = on tree, tables and pages, ``Card.`` = inside cards.

==================  ==========================================================================================
frames              ``TFrame  Surface.TFrame  Card.TFrame`` (rounded box) ``CardIn.TFrame  Line.TFrame``
labels              ``[prefix]TLabel`` and ``[prefix]Muted. Small. Bold. Title. Big. Error.`` + ``TLabel``
pills               ``Ok. Warn. Bad. Off. Info.`` + ``Pill.TLabel`` (on surface)
buttons             ``[prefix]TButton  [prefix]Accent.TButton  [prefix]Danger.TButton  [prefix]Tool.TButton``
fields              ``[prefix]TEntry  TCombobox  TSpinbox``; state "invalid" gives a red edge
choices             ``[prefix]TCheckbutton  [prefix]TRadiobutton  Tab.TRadiobutton  Dialog.Tab.TRadiobutton``
lists               ``Treeview``; ``List.Treeview`` has no indicators and no indent; ``Active.`` before them comes and
                    goes by itself with the keyboard
==================  ==========================================================================================
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from tkinter import ttk
from typing import Any

from PIL import Image, ImageTk

from hvconsole.ui import drawing
from hvconsole.ui.images import Images
from hvconsole.ui.tokens import Tokens

GROUNDS = {"": "chrome", "Surface.": "surface", "Card.": "raised"}
"""Style prefix → token of the ground it is made for."""
TABS = {"": "surface", "Dialog.": "chrome"}
"""The same for tabs: those of the window lie on a page."""

ACTIVE = "Active."
"""Prefix of the styles that lists have while they have the keyboard: Tk itself marks one row only as focused."""
TREES = ("Treeview", "List.Treeview", f"{ACTIVE}Treeview", f"{ACTIVE}List.Treeview")
PILLS = ("ok", "warn", "bad", "off", "info")


def _part(element: str, *inside: Any, sticky: str = "nswe", side: str = "") -> Any:
    """One element of a ttk layout; the stubs know only half of what Tk takes."""
    options: dict[str, Any] = {"sticky": sticky}
    if side:
        options["side"] = side
    if inside:
        options["children"] = list(inside)
    return (element, options)


def _activate(event: tk.Event[Any]) -> None:
    style = str(event.widget.cget("style")) or "Treeview"
    if not style.startswith(ACTIVE):
        event.widget.configure(style=ACTIVE + style)


def _deactivate(event: tk.Event[Any]) -> None:
    style = str(event.widget.cget("style"))
    if style.startswith(ACTIVE):
        event.widget.configure(style=style.removeprefix(ACTIVE))


class Styles:
    """One ttk theme: shapes are made by the constructor, colours set by ``recolor`` as often as wanted."""

    _count = 0

    def __init__(self, root: tk.Misc, images: Images) -> None:
        self.style = ttk.Style(root)
        self.images = images
        self.px = images.px
        self.color = images.color
        self.icon = images.icon
        Styles._count += 1
        self._number = Styles._count
        self._make_shapes()
        root.bind_class("Treeview", "<FocusIn>", _activate)
        root.bind_class("Treeview", "<FocusOut>", _deactivate)

    # ---- shapes, made once ---------------------------------------------------------------------------------

    def _make_shapes(self) -> None:
        name = f"hvconsole-{self._number}"
        self.style.theme_create(name, parent="clam")
        self.style.theme_use(name)
        for prefix, ground in GROUNDS.items():
            self._make_buttons(prefix, ground)
            self._make_fields(prefix, ground)
            self._make_choices(prefix)
        self._make_tabs_and_cards()
        self._make_scrollbars()
        self._make_lists()
        self._make_progress()

    def _element(
        self,
        name: str,
        states: Sequence[tuple[str, dict[str, str | int]]],
        *,
        ground: str,
        size: tuple[int, int] = (24, 24),
        radius: int = 5,
        padding: Sequence[int] = (0,),
        border: int | None = None,
    ) -> None:
        """A stretchable box with one picture per state; ``states``: (ttk states, fill/edge/… tokens), default first."""
        pictures = []
        for state, look in states:
            draw = self._box(ground, size, radius, look)
            pictures.append((state, self.images.shared(("element", name, state, self._number), draw)))
        specs = [(*state.split(), picture) for state, picture in pictures[1:]]
        self._pictures(
            name,
            pictures[0][1],
            *specs,
            border=self.px(radius + 1 if border is None else border),
            padding=[self.px(p) for p in padding],
            sticky="nsew",
        )

    def _pictures(self, name: str, picture: ImageTk.PhotoImage, *states: Any, **options: Any) -> None:
        """A ttk element shown as one picture per state (the stubs do not know how Tk takes these)."""
        create: Any = self.style.element_create
        create(name, "image", picture, *states, **options)

    def _box(
        self, ground: str, size: tuple[int, int], radius: int, look: dict[str, str | int]
    ) -> Callable[[], Image.Image]:
        def token(key: str) -> str | None:
            return self.color(str(look[key])) if key in look else None

        def draw() -> Image.Image:
            box = drawing.rounded(
                self.px(size[0]),
                self.px(size[1]),
                self.px(radius),
                fill=token("fill"),
                edge=token("edge"),
                edge_width=max(1, self.px(int(look.get("width", 1)))),
                underline=token("underline"),
                underline_height=self.px(2),
            )
            return drawing.flatten(box, self.color(ground))

        return draw

    def _make_buttons(self, prefix: str, ground: str) -> None:
        rest: dict[str, str | int] = {"fill": "raised", "edge": "control"}
        self._element(
            f"hv.{ground}.button",
            [
                ("", rest),
                ("disabled", {"fill": ground, "edge": "border"}),
                ("pressed", {"fill": "press", "edge": "control"}),
                ("focus", {"fill": "raised", "edge": "accent", "width": 2}),
                ("active", {"fill": "hover", "edge": "control"}),
            ],
            ground=ground,
            padding=(12, 5),
        )
        for kind, fill in (("accent", "accent"), ("danger", "danger")):
            self._element(
                f"hv.{ground}.{kind}",
                [
                    ("", {"fill": fill, "edge": fill}),
                    ("disabled", {"fill": "press"}),
                    ("pressed", {"fill": f"{fill}_hover"}),
                    ("focus", {"fill": fill, "edge": "text", "width": 2}),
                    ("active", {"fill": f"{fill}_hover"}),
                ],
                ground=ground,
                padding=(14, 5),
            )
        self._element(
            f"hv.{ground}.tool",
            [
                ("", {}),
                ("disabled focus", {"edge": "accent", "width": 2}),
                ("disabled", {}),
                ("pressed", {"fill": "press"}),
                ("focus", {"edge": "accent", "width": 2}),
                ("active", {"fill": "hover"}),
            ],
            ground=ground,
            padding=(8, 5),
        )
        label = _part("Button.padding", _part("Button.label"))
        for kind, element in (("", "button"), ("Accent.", "accent"), ("Danger.", "danger"), ("Tool.", "tool")):
            self.style.layout(f"{prefix}{kind}TButton", [_part(f"hv.{ground}.{element}", label)])

    def _make_fields(self, prefix: str, ground: str) -> None:
        field = f"hv.{ground}.field"
        self._element(
            field,
            [
                ("", {"fill": "surface", "edge": "control"}),
                ("disabled", {"fill": ground, "edge": "border"}),
                ("invalid", {"fill": "surface", "edge": "bad", "width": 2}),
                ("focus", {"fill": "surface", "edge": "accent", "width": 2}),
            ],
            ground=ground,
            padding=(7, 4),
        )
        if not prefix:
            self._make_arrows()
        text = _part("Entry.padding", _part("Entry.textarea"))
        self.style.layout(f"{prefix}TEntry", [_part(field, text)])
        text = _part("Combobox.padding", _part("Combobox.textarea"))
        arrow = _part("hv.downarrow", side="right", sticky="ns")
        self.style.layout(f"{prefix}TCombobox", [_part(field, arrow, text)])
        # Tk's own file dialog has two of these
        text = _part("Menubutton.padding", _part("Menubutton.label", side="left"))
        self.style.layout(f"{prefix}TMenubutton", [_part(field, arrow, text)])
        text = _part("Spinbox.padding", _part("Spinbox.textarea"))
        up = _part("hv.spin.uparrow", side="top", sticky="e")
        down = _part("hv.spin.downarrow", side="bottom", sticky="e")
        self.style.layout(f"{prefix}TSpinbox", [_part(field, _part("null", up, down, side="right", sticky=""), text)])

    def _make_arrows(self) -> None:
        self._pictures(
            "hv.downarrow",
            self.icon("chevron-down", 14),
            ("disabled", self.icon("chevron-down", 14, "faint")),
            ("active", self.icon("chevron-down", 14, "text")),
            sticky="",
            width=self.px(20),
        )
        # the names must end like this: Tk's bindings of the spin box look for them
        for name, up in (("hv.spin.uparrow", True), ("hv.spin.downarrow", False)):
            self._pictures(
                name,
                self._small_chevron(up, "muted"),
                ("disabled", self._small_chevron(up, "border")),
                ("active", self._small_chevron(up, "text")),
                sticky="",
                width=self.px(18),
            )

    def _small_chevron(self, up: bool, color: str) -> ImageTk.PhotoImage:
        def draw() -> Image.Image:
            image = drawing.glyph("chevron-down", self.px(12), self.color(color))
            if up:
                image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
            trim = self.px(2)
            image = image.crop((0, trim, image.width, image.height - trim))
            return drawing.flatten(image, self.color("surface"))

        return self.images.shared(("spin", up, color), draw)

    def _make_choices(self, prefix: str) -> None:
        ground = GROUNDS[prefix]
        for widget, mark in (("Checkbutton", "check"), ("Radiobutton", "radio")):
            element = f"hv.{ground}.{mark}"
            specs = [
                (*state.split(), self._choice(mark, ground, state))
                for state in ("disabled selected", "disabled", "selected focus", "selected", "focus")
            ]
            self._pictures(element, self._choice(mark, ground, ""), *specs, sticky="w", width=self.px(24))
            mark_part = _part(element, side="left", sticky="")
            label = _part(f"{widget}.label", side="left")
            self.style.layout(f"{prefix}T{widget}", [_part(f"{widget}.padding", mark_part, label)])

    def _choice(self, mark: str, ground: str, state: str) -> ImageTk.PhotoImage:
        disabled, chosen, focus = ("disabled" in state), ("selected" in state), ("focus" in state)

        def draw() -> Image.Image:
            shape = drawing.check_box if mark == "check" else drawing.radio_button
            edge = "border" if disabled else "accent" if focus else "control"
            sign = shape(
                chosen,
                self.px(16),
                fill=self.color("thumb" if disabled else "accent_hover" if focus else "accent"),
                mark=self.color("accent_text"),
                ground=self.color("surface"),
                edge=self.color(edge),
            )
            size = self.px(20)
            if focus:  # the ring that says where the keyboard is
                radius = self.px(6 if mark == "check" else 10)
                canvas = drawing.rounded(size, size, radius, edge=self.color("accent"), edge_width=self.px(1.5))
            else:
                canvas = drawing.rounded(size, size, 0)
            offset = (size - self.px(16)) // 2
            canvas.alpha_composite(sign, (offset, offset))
            return drawing.flatten(canvas, self.color(ground))

        return self.images.shared(("choice", mark, ground, state), draw)

    def _make_tabs_and_cards(self) -> None:
        for prefix, ground in TABS.items():
            self._element(
                f"hv.{ground}.tab",
                [
                    ("", {}),
                    ("selected focus", {"fill": "hover", "underline": "accent"}),
                    ("selected", {"underline": "accent"}),
                    ("focus", {"fill": "hover"}),
                    ("active", {"underline": "control"}),
                ],
                ground=ground,
                size=(24, 34),
                radius=0,
                padding=(13, 9),
                border=3,
            )
            self.style.layout(f"{prefix}Tab.TRadiobutton", [_part(f"hv.{ground}.tab", _part("Radiobutton.label"))])
        self._element("hv.card", [("", {"fill": "raised", "edge": "border"})], ground="surface", radius=7, padding=(1,))
        self.style.layout("Card.TFrame", [_part("hv.card")])
        for kind in PILLS:
            self._element(
                f"hv.pill.{kind}",
                [("", {"fill": f"{kind}_soft"})],
                ground="surface",
                size=(24, 22),
                radius=11,
                padding=(7, 2, 9, 2),
                border=11,
            )
            self.style.layout(f"{kind.capitalize()}.Pill.TLabel", [_part(f"hv.pill.{kind}", _part("Label.label"))])

    def _make_scrollbars(self) -> None:
        for ground in ("surface", "console"):
            for orient, size in (("Vertical", (10, 24)), ("Horizontal", (24, 10))):
                self._element(
                    f"hv.{ground}.{orient}.thumb",
                    [
                        ("", {"fill": "thumb"}),
                        ("disabled", {}),
                        ("pressed", {"fill": "muted"}),
                        ("active", {"fill": "control"}),
                    ],
                    ground=ground,
                    size=size,
                    radius=3,
                    border=4,
                )
        for orient, sticky in (("Vertical", "ns"), ("Horizontal", "ew")):
            for prefix, ground in (("", "surface"), ("Console.", "console")):
                thumb = (f"hv.{ground}.{orient}.thumb", {"expand": "1", "sticky": "nswe"})
                trough = _part(f"{orient}.Scrollbar.trough", thumb, sticky=sticky)
                self.style.layout(f"{prefix}{orient}.TScrollbar", [trough])

    def _make_lists(self) -> None:
        self._pictures(
            "hv.indicator",
            self.icon("chevron-right", 14),
            ("user2", self.images.blank(14, 14)),  # user2 = leaf, user1 = open
            ("user1", self.icon("chevron-down", 14)),
            sticky="w",
            padding=0,
            width=self.px(20),
        )
        image = _part("Treeitem.image", side="left", sticky="")
        text = _part("Treeitem.text", side="left", sticky="")
        indicator = _part("hv.indicator", side="left", sticky="")
        heading = _part(
            "Treeheading.padding",
            _part("Treeheading.image", side="right", sticky=""),
            _part("Treeheading.text", sticky="we"),
        )
        for name in TREES:
            item = (image, text) if name.endswith("List.Treeview") else (indicator, image, text)
            self.style.layout(f"{name}.Item", [_part("Treeitem.padding", *item)])
            self.style.layout(name, [_part("Treeview.treearea")])
            self.style.layout(f"{name}.Heading", [_part("Treeheading.cell"), heading])

    def _make_progress(self) -> None:
        shape: dict[str, Any] = {"size": (12, 6), "radius": 3, "border": 3}
        self._element("hv.progress.trough", [("", {"fill": "press"})], ground="chrome", **shape)
        self._element("hv.progress.pbar", [("", {"fill": "accent"})], ground="press", **shape)
        # ttk finds the part that grows by the end of its name
        bar = _part("hv.progress.pbar", side="left", sticky="ns")
        self.style.layout("Horizontal.TProgressbar", [_part("hv.progress.trough", bar, sticky="we")])

    # ---- colours and paddings, at every change --------------------------------------------------------------

    def recolor(self, tokens: Tokens) -> None:
        """Set all colours; the pictures must have been redrawn already."""
        self.tokens = tokens
        c, px, configure, map_ = tokens, self.px, self.style.configure, self.style.map
        configure(
            ".",
            background=c.chrome,
            foreground=c.text,
            font="TkDefaultFont",
            borderwidth=0,
            relief="flat",
            focuscolor=c.accent,
            selectbackground=c.accent,
            selectforeground=c.accent_text,
            insertcolor=c.text,
            fieldbackground=c.surface,
            troughcolor=c.chrome,
            bordercolor=c.border,
            lightcolor=c.chrome,
            darkcolor=c.chrome,
        )
        map_(".", foreground=[("disabled", c.faint)], background=[])
        for prefix, token in GROUNDS.items():
            self._color_ground(prefix, self.color(token))
        configure("Line.TFrame", background=c.border)
        configure("CardIn.TFrame", background=c.raised)
        configure("Card.TFrame", background=c.surface, padding=px(1))
        configure("Console.TFrame", background=c.console)
        for kind in PILLS:
            configure(
                f"{kind.capitalize()}.Pill.TLabel",
                background=self.color(f"{kind}_soft"),
                foreground=c.text if kind == "off" else self.color(kind),
                font="HvSmall",
            )
        for prefix, ground in TABS.items():
            configure(f"{prefix}Tab.TRadiobutton", background=self.color(ground), foreground=c.muted, padding=0)
            map_(f"{prefix}Tab.TRadiobutton", foreground=[("selected", c.text), ("active", c.text)], background=[])
        for prefix, ground in (("", c.surface), ("Console.", c.console)):
            for orient in ("Vertical", "Horizontal"):
                configure(
                    f"{prefix}{orient}.TScrollbar",
                    troughcolor=ground,
                    background=ground,
                    bordercolor=ground,
                    lightcolor=ground,
                    darkcolor=ground,
                    arrowsize=px(10),
                    width=px(10),
                    gripcount=0,
                )
        self._color_lists()
        configure("TProgressbar", background=c.chrome, thickness=px(6))

    def _color_ground(self, prefix: str, ground: str) -> None:
        c, px, configure, map_ = self.tokens, self.px, self.style.configure, self.style.map
        if prefix != "Card.":
            configure(f"{prefix}TFrame", background=ground)
        labels = {
            "": ("TkDefaultFont", c.text),
            "Muted.": ("TkDefaultFont", c.muted),
            "Small.": ("HvSmall", c.muted),
            "Bold.": ("HvBold", c.text),
            "Title.": ("HvTitle", c.text),
            "Big.": ("HvBig", c.text),
            "Error.": ("TkDefaultFont", c.bad),
            "Section.": ("HvSmallBold", c.faint),
        }
        for kind, (font, color) in labels.items():
            configure(f"{prefix}{kind}TLabel", background=ground, foreground=color, font=font)
        configure(f"{prefix}TButton", background=ground, anchor="center", width=-9, padding=0)
        configure(f"{prefix}Tool.TButton", background=ground, width=0, padding=0)
        for kind, text in (("Accent.", c.accent_text), ("Danger.", c.danger_text)):
            configure(f"{prefix}{kind}TButton", background=ground, foreground=text, font="HvBold", width=-9, padding=0)
            map_(f"{prefix}{kind}TButton", foreground=[("disabled", c.faint)])
        for field in ("TEntry", "TCombobox", "TSpinbox"):
            configure(f"{prefix}{field}", background=ground, foreground=c.text, fieldbackground=c.surface, padding=0)
            map_(
                f"{prefix}{field}",
                foreground=[("disabled", c.faint)],
                fieldbackground=[("disabled", ground)],
                selectbackground=[("!focus", c.selection_idle)],
                selectforeground=[("!focus", c.text)],
            )
        configure(f"{prefix}TMenubutton", background=ground, foreground=c.text, padding=0)
        map_(f"{prefix}TMenubutton", foreground=[("disabled", c.faint)], background=[])
        for choice in ("TCheckbutton", "TRadiobutton"):
            configure(f"{prefix}{choice}", background=ground, foreground=c.text, padding=px(2))
            map_(f"{prefix}{choice}", foreground=[("disabled", c.faint)], background=[])

    def _color_lists(self) -> None:
        c, px, configure, map_ = self.tokens, self.px, self.style.configure, self.style.map
        for name in TREES:
            chosen, chosen_text = (
                (c.selection, c.selection_text) if name.startswith(ACTIVE) else (c.selection_idle, c.text)
            )
            flat = name.endswith("List.Treeview")
            configure(
                name,
                background=c.surface,
                fieldbackground=c.surface,
                foreground=c.text,
                rowheight=px(26),
                indent=0 if flat else px(18),
                borderwidth=0,
                padding=0,
            )
            map_(
                name,
                background=[("selected", chosen)],
                foreground=[("selected", chosen_text), ("disabled", c.faint)],
            )
            configure(f"{name}.Item", padding=(px(10 if flat else 4), 0, 0, 0))
            configure(
                f"{name}.Heading",
                background=c.surface,
                foreground=c.muted,
                font="HvSmall",
                padding=(px(6), px(6)),
                relief="flat",
                borderwidth=0,
                bordercolor=c.surface,
                lightcolor=c.surface,
                darkcolor=c.surface,
            )
            map_(f"{name}.Heading", background=[("active", c.hover)], foreground=[("active", c.text)])
