"""How the window looks: fonts, colours of classic Tk widgets, ttk styles (``styles``) and Pmw on top. Tk thread only.

Light turns to dark while running: pictures are redrawn in place, ttk styles are configured again, classic widgets are
walked. A classic widget with other colours than its class's default says so once with ``paint``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tkinter as tk
from collections.abc import Callable
from tkinter import font as tkfont
from tkinter import ttk

import Pmw
from PIL import ImageTk

from hvconsole.ui.images import Images
from hvconsole.ui.styles import Styles
from hvconsole.ui.tokens import DARK, LIGHT, Tokens

MODES = {"light": LIGHT, "dark": DARK}
_SANS = {
    "win32": ("Segoe UI",),
    "aqua": (),
    "x11": ("Inter", "Noto Sans", "Cantarell", "Ubuntu", "Open Sans", "DejaVu Sans"),
}
_MONO = ("Cascadia Mono", "Menlo", "Noto Sans Mono", "DejaVu Sans Mono", "Consolas")
_TK_FONTS = (
    "TkDefaultFont",
    "TkTextFont",
    "TkMenuFont",
    "TkHeadingFont",
    "TkCaptionFont",
    "TkSmallCaptionFont",
    "TkTooltipFont",
    "TkIconFont",
)
_OWN_FONTS = (
    ("HvSmall", 12, "normal"),
    ("HvSmallBold", 12, "bold"),
    ("HvBold", 13, "bold"),
    ("HvTitle", 19, "bold"),
    ("HvBig", 22, "bold"),
)

# Classic Tk widgets: class → option (as the option database spells it) → token. "" stands for every class.
_BUTTON_COLORS = {
    "background": "raised",
    "foreground": "text",
    "activeBackground": "hover",
    "activeForeground": "text",
    "disabledForeground": "faint",
    "highlightBackground": "control",
    "highlightColor": "accent",
}
_FIELD_COLORS = {
    "background": "surface",
    "foreground": "text",
    "insertBackground": "text",
    "selectBackground": "accent",
    "selectForeground": "accent_text",
    "highlightBackground": "control",
    "highlightColor": "accent",
}
CLASSIC: dict[str, dict[str, str]] = {
    "": {"background": "chrome"},
    "Toplevel": {"background": "chrome", "highlightBackground": "chrome"},
    "Frame": {"background": "chrome", "highlightBackground": "chrome"},
    "Label": {"background": "chrome", "foreground": "text", "disabledForeground": "faint"},
    "Message": {"background": "chrome", "foreground": "text"},
    "Canvas": {"background": "surface", "highlightBackground": "chrome"},
    "Button": _BUTTON_COLORS,
    "Checkbutton": _BUTTON_COLORS | {"background": "chrome", "selectColor": "surface"},
    "Radiobutton": _BUTTON_COLORS | {"background": "chrome", "selectColor": "surface"},
    "Menubutton": {
        "background": "chrome",
        "foreground": "text",
        "activeBackground": "hover",
        "activeForeground": "text",
        "disabledForeground": "faint",
    },
    "Menu": {
        "background": "menu",
        "foreground": "text",
        "activeBackground": "selection",
        "activeForeground": "selection_text",
        "disabledForeground": "faint",
        "selectColor": "accent",
    },
    "Entry": _FIELD_COLORS | {"disabledBackground": "chrome", "readonlyBackground": "chrome"},
    "Spinbox": _FIELD_COLORS | {"disabledBackground": "chrome", "readonlyBackground": "chrome"},
    "Text": {**_FIELD_COLORS, "highlightBackground": "surface"},
    "Listbox": {key: value for key, value in _FIELD_COLORS.items() if key != "insertBackground"},
    "Scrollbar": {"background": "thumb", "troughColor": "surface"},
}
_PMW_HULLS = (
    "Balloon",
    "ButtonBox",
    "Dialog",
    "EntryField",
    "MenuBar",
    "MessageBar",
    "NoteBook",
    "PanedWidget",
    "ScrolledFrame",
    "ScrolledText",
)
"""Classes of the frames and windows that hold Pmw's widgets together."""

# The same for things that are not colours; numbers are design pixels.
_CLASSIC_SHAPE: dict[str, dict[str, str | int]] = {
    "Toplevel": {"borderWidth": 0, "highlightThickness": 0},
    "Frame": {"borderWidth": 0, "highlightThickness": 0},
    "Label": {"borderWidth": 0, "highlightThickness": 0},
    "Canvas": {"borderWidth": 0, "highlightThickness": 0},
    "Button": {
        "relief": "flat",
        "overRelief": "flat",
        "borderWidth": 0,
        "highlightThickness": 1,
        "padX": 14,
        "padY": 5,
    },
    "Entry": {"relief": "flat", "borderWidth": 0, "highlightThickness": 1},
    "Text": {
        "relief": "flat",
        "borderWidth": 0,
        "highlightThickness": 0,
        "padX": 8,
        "padY": 6,
        "font": "TkFixedFont",
    },
    "Listbox": {"relief": "flat", "borderWidth": 0, "highlightThickness": 1, "activeStyle": "none"},
    "Menu": {"relief": "raised", "borderWidth": 1, "activeBorderWidth": 0, "tearOff": 0, "font": "TkMenuFont"},
    "Menubutton": {"relief": "flat", "borderWidth": 0, "highlightThickness": 0, "padX": 9, "padY": 5},
}


def prepare_screen() -> None:
    """On Windows: real pixels instead of a stretched picture. Must come before the first window."""
    if sys.platform == "win32":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):  # older than Windows 8.1, or set already
            ctypes.OleDLL("shcore").SetProcessDpiAwareness(1)


def system_mode(root: tk.Misc) -> str:
    """ "dark" if the desktop says so, else "light"."""
    system = str(root.tk.call("tk", "windowingsystem"))
    if system == "aqua":
        with contextlib.suppress(tk.TclError):
            return "dark" if root.tk.call("::tk::unsupported::MacWindowStyle", "isdark", ".") else "light"
    if sys.platform == "win32":
        import winreg

        path = r"Software\Microsoft\Windows\CurrentVersion\Themes\Personalize"
        with contextlib.suppress(OSError), winreg.OpenKey(winreg.HKEY_CURRENT_USER, path) as key:
            return "light" if winreg.QueryValueEx(key, "AppsUseLightTheme")[0] else "dark"
    return "dark" if "dark" in os.environ.get("GTK_THEME", "").lower() else "light"


def screen_scale(root: tk.Misc) -> float:
    """Scale of the screen: ``HVCONSOLE_SCALE`` (0.5 to 4) if set, else from its resolution, in quarters."""
    wish = os.environ.get("HVCONSOLE_SCALE", "")
    try:
        wanted = float(wish) if wish else 0.0
    except ValueError:
        wanted = 0.0
    if 0.5 <= wanted <= 4:
        return wanted
    if root.tk.call("tk", "windowingsystem") == "aqua":
        return 1.0  # Tk counts in points there
    return min(4.0, max(1.0, round(root.winfo_fpixels("1i") / 96 * 4) / 4))


class Theme:
    """The look of one Tk application. Make one, before any other widget than the root."""

    def __init__(self, root: tk.Tk, mode: str = "light", scale: float | None = None) -> None:
        self.root = root
        self.tokens: Tokens = MODES.get(mode, LIGHT)
        self.scale = screen_scale(root) if scale is None else scale
        root.tk.call("tk", "scaling", self.scale * 96 / 72)
        self.images = Images(root, self.tokens, self.scale)
        self._painted: dict[str, dict[str, str]] = {}
        self._followers: dict[int, tuple[tk.Misc, Callable[[Theme], object]]] = {}
        self._next_follower = 0
        self._fonts: list[tkfont.Font] = []
        self._set_fonts()
        self.styles = Styles(root, self.images)
        self.styles.recolor(self.tokens)
        self._fill_option_database()
        _select_all_with_control_a(root)
        _press_with_return(root)
        _initialise_pmw(root)

    # ---- for everybody -------------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """ "light" or "dark"."""
        return self.tokens.name

    def px(self, size: float) -> int:
        """Design pixels → screen pixels."""
        return round(size * self.scale)

    def color(self, token: str) -> str:
        """The present #RRGGBB of a token of ``tokens.Tokens``."""
        return str(getattr(self.tokens, token))

    def icon(self, name: str, size: int = 16, color: str = "muted") -> ImageTk.PhotoImage:
        """An icon; follows the colours by itself."""
        return self.images.icon(name, size, color)

    def paint(self, widget: tk.Misc, **roles: str) -> None:
        """Give a classic widget colours by token (``background="surface"``), now and after every change of colours.

        Raises ``tk.TclError`` for an option that the widget lacks.
        """
        path = str(widget)
        self._painted.setdefault(path, {}).update(roles)
        self.root.tk.call(path, "configure", *self._as_options(roles))

    def follow(self, widget: tk.Misc, redraw: Callable[[Theme], object]) -> None:
        """Call ``redraw(theme)`` now and after every change of colours, until ``widget`` is destroyed."""
        number = self._next_follower
        self._next_follower += 1
        self._followers[number] = (widget, redraw)

        def forget(event: tk.Event[tk.Misc]) -> None:
            if event.widget is widget:
                self._followers.pop(number, None)

        widget.bind("<Destroy>", forget, add=True)
        redraw(self)

    def set_mode(self, mode: str) -> None:
        """Switch to "light" or "dark" while running."""
        tokens = MODES.get(mode, LIGHT)
        if tokens is self.tokens:
            return
        self.tokens = tokens
        self.images.recolor(tokens)
        self.styles.recolor(tokens)
        self._fill_option_database()
        self._repaint(".")
        for widget, redraw in tuple(self._followers.values()):
            if widget.winfo_exists():
                redraw(self)

    def line(self, parent: tk.Misc, *, vertical: bool = False) -> ttk.Frame:
        """A thin dividing line."""
        thickness = max(1, self.px(1))
        if vertical:
            return ttk.Frame(parent, style="Line.TFrame", width=thickness)
        return ttk.Frame(parent, style="Line.TFrame", height=thickness)

    # ---- fonts ---------------------------------------------------------------------------------------------

    def _set_fonts(self) -> None:
        have = set(tkfont.families(self.root))
        system = str(self.root.tk.call("tk", "windowingsystem"))
        default = tkfont.nametofont("TkDefaultFont", root=self.root).actual("family")
        sans = next((f for f in _SANS.get(system, ()) if f in have), default)
        mono = next((f for f in _MONO if f in have), "Courier")
        self.family = sans
        for name in _TK_FONTS:
            known = tkfont.nametofont(name, root=self.root)
            # negative sizes are pixels: one number then drives text, rows and paddings
            known.configure(family=sans, size=-self.px(13), weight="normal", slant="roman")
        tkfont.nametofont("TkFixedFont", root=self.root).configure(family=mono, size=-self.px(12))
        existing = tkfont.names(self.root)
        for name, size, weight in _OWN_FONTS:
            font = tkfont.Font(self.root, name=name, exists=name in existing)
            font.configure(family=sans, size=-self.px(size), weight="bold" if weight == "bold" else "normal")
            self._fonts.append(font)  # tkfont.Font.__del__ deletes the named font: keep it as long as the theme

    # ---- classic Tk ----------------------------------------------------------------------------------------

    def _fill_option_database(self) -> None:
        """For widgets made from now on, Pmw's parts included."""
        root = self.root
        root.configure(background=self.tokens.chrome)
        root.option_clear()

        def add(pattern: str, value: str | int) -> None:
            root.option_add(pattern, value, "interactive")

        # Never "*Font" or "*Background": ttk labels have options of these names, which would win over their styles.
        for cls in _PMW_HULLS:
            add(f"*{cls}.background", self.tokens.chrome)
        for cls, colors in CLASSIC.items():
            for option, token in colors.items():
                if cls:
                    add(f"*{cls}.{option}", self.color(token))
        for cls, shape in _CLASSIC_SHAPE.items():
            for option, value in shape.items():
                if isinstance(value, int) and value:
                    value = max(1, self.px(value))
                add(f"*{cls}.{option}", value)

    def _as_options(self, roles: dict[str, str]) -> list[str]:
        options: list[str] = []
        for option, token in roles.items():
            options += [f"-{option.lower()}", self.color(token)]
        return options

    def _repaint(self, path: str) -> None:
        # Over Tcl's names: children that Tcl made itself (a combobox's list) are unknown to tkinter.
        call = self.root.tk.call
        cls = str(call("winfo", "class", path))
        is_ttk = cls == "Treeview" or (len(cls) > 1 and cls[0] == "T" and cls[1].isupper())
        if not is_ttk:
            roles = CLASSIC["Toplevel"] if path == "." else CLASSIC.get(cls, CLASSIC[""])
            try:
                call(path, "configure", *self._as_options(roles))
            except tk.TclError:
                call(path, "configure", *self._as_options(CLASSIC[""]))
            if path in self._painted:
                call(path, "configure", *self._as_options(self._painted[path]))
        for child in self.root.tk.splitlist(call("winfo", "children", path)):
            self._repaint(str(child))
        if path == ".":
            for gone in [p for p in self._painted if not call("winfo", "exists", p)]:
                del self._painted[gone]


def _press_with_return(root: tk.Tk) -> None:
    """Return presses the button that has the keyboard, and in a dialog not the default one as well."""

    def press(event: tk.Event[tk.Misc]) -> str:
        if isinstance(event.widget, ttk.Button):
            event.widget.invoke()
        return "break"

    for key in ("<Return>", "<KP_Enter>"):
        root.bind_class("TButton", key, press)


def _select_all_with_control_a(root: tk.Tk) -> None:
    """On X11 Tk would go to the beginning of the line, as Emacs does."""
    if root.tk.call("tk", "windowingsystem") == "x11":
        for key in ("<Control-a>", "<Control-Lock-A>"):
            root.event_delete("<<LineStart>>", key)
            root.event_add("<<SelectAll>>", key)


def _initialise_pmw(root: tk.Tk) -> None:
    """Pmw, without its fonts and without its error window."""
    wrapper = tk.CallWrapper
    Pmw.initialise(root, fontScheme=None, size=None, useTkOptionDb=0, noBltBusy=1)
    # Pmw puts its own CallWrapper in, which never calls root.report_callback_exception.
    setattr(tk, "CallWrapper", wrapper)  # noqa: B010 - an assignment to a class, which mypy forbids
