"""Pmw's widgets in the window's clothes: the only module beside ``theme`` that imports Pmw. Tk thread only.

Pmw has no type stubs: its widgets are ``Any`` here, and callers use the few documented methods named below.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterable, Mapping, Sequence
from tkinter import ttk
from typing import Any

import Pmw

from hvconsole.ui.theme import Theme

FOCUS_MS = 60
"""Between two windows of one program the keyboard is nowhere for a moment."""


class PmwButton(ttk.Button):
    """A ttk button that Pmw's button box can own: it ignores the classic options that the box flashes at it."""

    def configure(self, cnf: Any = None, **options: Any) -> Any:
        options.pop("relief", None)
        if options.get("state") == "active":
            options.pop("state")
        if not cnf and not options:
            return super().configure()
        return super().configure(cnf, **options)

    config = configure

    def cget(self, key: str) -> Any:
        return "flat" if key == "relief" else super().cget(key)

    __getitem__ = cget


def dialog(
    theme: Theme,
    parent: tk.Misc,
    title: str,
    buttons: Sequence[str],
    *,
    danger: bool = False,
    default: int | None = 0,
    command: Callable[[str | None], object] | None = None,
) -> Any:
    """A ``Pmw.Dialog``: flat, buttons at the right, the first one in accent (``danger``: red), the last one cancels.

    ``command`` is called with the button's text, None when the window was closed or Escape pressed; without it the
    dialog ends with that result. Fill ``interior()``, then ``run_dialog``. ``default``: the button that Return presses.
    """
    made = Pmw.Dialog(
        parent,
        title=title,
        buttons=tuple(buttons),
        defaultbutton=default,
        buttonbox_Button_pyclass=PmwButton,
        buttonbox_padx=theme.px(4),
        buttonbox_pady=theme.px(12),
        dialogchildsite_relief="flat",
        dialogchildsite_borderwidth=0,
        buttonbox_hull_relief="flat",
        buttonbox_hull_borderwidth=0,
        separatorwidth=0,
        **({"command": command} if command else {}),
    )
    made.withdraw()
    box = made.component("buttonbox")
    box.button(0).configure(style="Danger.TButton" if danger else "Accent.TButton")
    hull = box.component("hull")
    columns = hull.grid_size()[0]
    for number in range(box.numbuttons()):
        box.button(number).grid_configure(sticky="e", padx=theme.px(4))

    def align(_event: object = None) -> None:
        if not hull.winfo_exists():
            return
        for column in range(columns):
            last = column == columns - 1
            minimum = theme.px(12) if last else 0
            hull.grid_columnconfigure(column, minsize=minimum, weight=1 if column == 0 else 0, pad=0)

    # Pmw spreads the buttons evenly in an idle callback of its own; put them right after every layout
    hull.bind("<Configure>", align, add=True)
    hull.bind("<Map>", align, add=True)
    align()
    window = made.component("hull")
    window.bind("<Configure>", lambda event: _stay_on_screen(event.widget) if event.widget is window else None)
    window.bind("<Escape>", lambda _event: made.invoke(box.numbuttons() - 1) and None)
    window.bind("<Control-w>", lambda _event: made.invoke(box.numbuttons() - 1) and None)
    return made


_open_dialogs: list[Any] = []
"""Dialogs that wait for an answer; the innermost is the last."""


def run_dialog(made: Any, parent: tk.Misc, focus: tk.Misc | None = None) -> Any:
    """Show modally over ``parent``, wait in a nested event loop, destroy; returns what it was deactivated with.

    ``focus`` gets the keyboard, else the dialog's first control; afterwards whatever had it below this dialog.
    """
    window = made.component("hull")
    main = parent.winfo_toplevel()
    opener = _modal_window(window) or main
    # not "focus": while another program has the keyboard nobody here has it, and yet it is to come back to its place
    before = str(window.tk.call("focus", "-lastfor", opener))
    # not before: Pmw gives the keyboard to the window itself when it takes the grab
    made.configure(activatecommand=lambda: _take_focus(window, focus))
    _guard_focus(window, {opener, main})
    _open_dialogs.append(made)
    try:
        return made.activate(geometry="first" + centre(window, parent))
    finally:
        _open_dialogs.remove(made)
        if window.winfo_exists() and opener.winfo_exists():
            # Tk keeps the last focus of a window that goes and may crash over it: take it away first
            window.tk.call("focus", window)
            place = _widget(opener, before)
            take_keyboard(place if place is not None and place.winfo_viewable() else opener)
        made.destroy()


def dismiss_dialogs(root: tk.Misc) -> None:
    """End every nested event loop, as Cancel would: the main loop can't end below them."""
    for made in reversed(_open_dialogs):
        made.deactivate(None)
    # What Tk's own file dialog waits for.
    root.tk.call("set", "::tk::Priv(selectFilePath)", "")


def _modal_window(window: tk.Misc) -> tk.Misc | None:
    """The dialog that is open already, below the one that is about to be."""
    held = _widget(window, str(window.tk.call("grab", "current", window)))
    top = held.winfo_toplevel() if held is not None else None
    return top if isinstance(top, tk.Toplevel) else None


def _widget(near: tk.Misc, path: str) -> tk.Misc | None:
    """The widget of that path; None if it is gone, or if Tk made it without Python, as the list of a combo box."""
    try:
        found = near.nametowidget(path) if path else None
    except KeyError:
        return None
    return found if found is not None and found.winfo_exists() else None


def _take_focus(window: tk.Misc, focus: tk.Misc | None) -> None:
    target = focus if focus is not None and focus.winfo_exists() else None
    if target is None and window.winfo_exists():
        target = window.tk_focusNext()
    if target is not None:
        take_keyboard(target)


def take_keyboard(widget: tk.Misc) -> None:
    """Give ``widget`` the keyboard; while another program has it, give it when the window gets it back.

    ``focus -force`` is never used without the focus: where the focus follows the pointer, Tk 8.6 keeps the address of
    the widget that had it after the pointer left (``TkFocusFilterEvent`` on Leave), and ``-force`` reads what is there
    even if that widget is gone. ``tests/ui/test_focus.py`` shows the crash.
    """
    if widget.tk.call("focus"):
        widget.focus_force()
    else:
        widget.focus_set()


def _guard_focus(window: tk.Misc, behind: Iterable[tk.Misc]) -> None:
    """Bring the dialog back when a window behind it is clicked: that one has X's focus then, and the grab mutes it.

    Another program that is clicked or switched to keeps the keyboard.
    """

    def back() -> None:
        if window.winfo_exists() and str(window.tk.call("grab", "current", window)) == str(window):
            window.lift()
            window.tk.call("focus", "-force", window.tk.call("focus", "-lastfor", window))

    def clicked(event: tk.Event[tk.Misc]) -> None:
        left, top = window.winfo_rootx(), window.winfo_rooty()
        inside = 0 <= event.x_root - left < window.winfo_width() and 0 <= event.y_root - top < window.winfo_height()
        if not inside:  # the grab sends clicks on other windows of the program here
            window.after(FOCUS_MS, back)

    def lost() -> None:
        if not window.winfo_exists() or window.tk.call("focus"):
            return
        x, y = window.winfo_pointerxy()
        # a click on the title belongs to the window manager: nothing tells of it but the lost focus
        for below in behind:
            if below.winfo_y() <= y < below.winfo_rooty() and below.winfo_containing(x, below.winfo_rooty() + 1):
                back()

    window.bind("<Button>", clicked, add=True)
    window.bind("<FocusOut>", lambda _event: window.after(FOCUS_MS, lost), add=True)


def centre(window: tk.Misc, parent: tk.Misc) -> str:
    """Geometry "+x+y" that puts ``window`` over the upper third of ``parent``, inside the screen."""
    window.update_idletasks()
    width, height = window.winfo_reqwidth(), window.winfo_reqheight()
    top = parent.winfo_toplevel()
    x = top.winfo_rootx() + (top.winfo_width() - width) // 2
    y = top.winfo_rooty() + (top.winfo_height() - height) // 3
    x = max(0, min(x, window.winfo_screenwidth() - width))
    y = max(0, min(y, window.winfo_screenheight() - height))
    return f"+{x}+{y}"


def _stay_on_screen(window: Any) -> None:
    """Move a dialog that grew after it was placed, so that its buttons can be reached."""
    if not window.winfo_viewable():
        return
    x, y = window.winfo_rootx(), window.winfo_rooty()
    left = max(0, min(x, window.winfo_screenwidth() - window.winfo_width()))
    upper = max(0, min(y, window.winfo_screenheight() - window.winfo_height()))
    if (left, upper) != (x, y):
        # not here: while a change of size is being told Tk drops the new place
        window.after_idle(lambda: window.winfo_exists() and window.geometry(f"+{left}+{upper}"))


def balloon(theme: Theme, root: tk.Misc, status: Callable[[str], None] | None = None) -> Any:
    """A ``Pmw.Balloon``: ``bind(widget, text)``; ``status`` also gets the text. It sits under its widget."""
    made = Pmw.Balloon(
        root,
        initwait=500,
        relmouse="none",
        xoffset=theme.px(6),
        yoffset=theme.px(4),
        hull_borderwidth=0,
        label_padx=theme.px(8),
        label_pady=theme.px(4),
        label_font="HvSmall",
        label_wraplength=theme.px(420),
        label_justify="left",
        **({"statuscommand": lambda text: status(text or "")} if status else {}),
    )
    theme.paint(made.component("label"), background="tip", foreground="tip_text")
    theme.paint(made.component("hull"), background="tip")
    return made


def menu_bar(theme: Theme, parent: tk.Misc) -> Any:
    """A ``Pmw.MenuBar``: ``addmenu(name, help, traverseSpec=…)``, ``component(name + "-menu")``."""
    return Pmw.MenuBar(parent, hull_relief="flat", hull_borderwidth=0, hotkeys=True, padx=theme.px(3))


def message_bar(theme: Theme, parent: tk.Misc, types: Mapping[str, tuple[int, int, int, int]] | None = None) -> Any:
    """A ``Pmw.MessageBar``: ``message("state", text)`` stays, ``message("usererror", text)`` goes after seconds."""
    made = Pmw.MessageBar(
        parent,
        entry_relief="flat",
        entry_highlightthickness=0,
        entry_borderwidth=0,
        entry_font="HvSmall",
        entry_width=30,
        entry_takefocus=0,
        hull_borderwidth=0,
        silent=True,
        **({"messagetypes": dict(types)} if types else {}),
    )
    theme.paint(made.component("entry"), background="chrome", readonlyBackground="chrome", foreground="muted")
    return made


def notebook(theme: Theme, parent: tk.Misc) -> Any:
    """A ``Pmw.NoteBook`` without its own tabs: ``add(name)``, ``selectpage(name)``, ``delete(name)``."""
    made = Pmw.NoteBook(parent, tabpos=None, borderwidth=0, pagemargin=0)
    theme.paint(made.component("hull"), background="surface")
    made.component("hull").configure(highlightthickness=0)
    return made


def panes(theme: Theme, parent: tk.Misc, orient: str) -> Any:
    """A ``Pmw.PanedWidget``: ``add(name, min=, size=)``, ``configurepane(name, size=)``; a plain gutter divides."""
    return Pmw.PanedWidget(
        parent,
        orient=orient,
        handlesize=0,
        separatorthickness=theme.px(5),
        separatorrelief="flat",
        hull_borderwidth=0,
    )


def entry_field(theme: Theme, parent: tk.Misc, label: str = "", *, ground: str = "chrome", **options: Any) -> Any:
    """A ``Pmw.EntryField`` around a ttk entry: ``getvalue()``, ``setvalue(text)``, ``valid()``.

    ``options`` are Pmw's (validate=, value=, modifiedcommand=, entry_width=, …). Wrong input shows a red edge. Several
    fields are lined up with ``align_labels``.
    """
    prefix = {"chrome": "", "surface": "Surface.", "raised": "Card."}[ground]
    shown: dict[str, Any] = {"labelpos": "w", "label_text": label, "label_padx": theme.px(6)} if label else {}
    made: Any = None

    def valid() -> None:
        if made is not None:
            made.component("entry").state(["!invalid" if made.valid() else "invalid"])

    given = options.pop("modifiedcommand", None)

    def modified() -> None:
        valid()
        if given is not None:
            given()

    made = Pmw.EntryField(
        parent,
        entry_pyclass=ttk.Entry,
        errorbackground=None,
        modifiedcommand=modified,
        hull_borderwidth=0,
        **shown,
        **options,
    )
    made.component("entry").configure(style=f"{prefix}TEntry")
    theme.paint(made.component("hull"), background=ground)
    if label:
        theme.paint(made.component("label"), background=ground)
    return made


def align_labels(fields: Sequence[Any]) -> None:
    """Give several entry fields labels of one width."""
    Pmw.alignlabels(list(fields), sticky="w")


def scrolled_text(theme: Theme, parent: tk.Misc, *, ground: str = "surface", **options: Any) -> Any:
    """A ``Pmw.ScrolledText``: ``settext(text)``, ``component("text")``. ``ground`` "console" is dark in both modes."""
    console = ground == "console"
    made = Pmw.ScrolledText(
        parent,
        Scrollbar_pyclass=ttk.Scrollbar,
        borderframe=0,
        hscrollmode="dynamic",  # with "none" Pmw takes the vertical bar for needed always: it compares "0.0" with "0"
        vscrollmode="dynamic",
        scrollmargin=0,
        **options,
    )
    text = made.component("text")
    theme.paint(
        text,
        background=ground,
        foreground="console_text" if console else "text",
        insertBackground="console_text" if console else "text",
    )
    theme.paint(made.component("hull"), background=ground)
    if console:
        made.component("vertscrollbar").configure(style="Console.Vertical.TScrollbar")
    return made


PARTIAL = Pmw.PARTIAL
"""Answer of a validator: not finished, but may be typed."""
ERROR = Pmw.ERROR
OK = Pmw.OK
