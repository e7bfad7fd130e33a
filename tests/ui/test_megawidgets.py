"""Pmw in the window's clothes: dialogs answer, fields complain, options are spelt right."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tkinter as tk
from collections.abc import Callable
from tkinter import filedialog, ttk
from typing import Any

import pytest

from hvconsole.ui import megawidgets
from hvconsole.ui.megawidgets import dialog, dismiss_dialogs, run_dialog, scrolled_text
from hvconsole.ui.theme import Theme

pytestmark = pytest.mark.display
Until = Callable[..., None]


def press_soon(root: tk.Tk, act: Callable[[], object]) -> None:
    """Do something once the dialog that is opened next is visible; give up after a while."""
    tries = iter(range(200))

    def look() -> None:
        grabbed = root.tk.call("grab", "current")
        if grabbed:
            act()
        elif next(tries, None) is not None:
            root.after(20, look)

    root.after(20, look)


@pytest.mark.parametrize(("sequence", "answer"), [("<Return>", "Take snapshot"), ("<Escape>", "Cancel")])
def test_a_dialog_is_answered_with_the_keyboard(root: tk.Tk, theme: Theme, sequence: str, answer: str) -> None:
    made = megawidgets.dialog(theme, root, "Take snapshot", ("Take snapshot", "Cancel"))
    entry = ttk.Entry(made.interior())
    entry.pack()

    def act() -> None:
        entry.focus_force()
        root.update()
        entry.event_generate(sequence)

    press_soon(root, act)
    assert megawidgets.run_dialog(made, root, entry) == answer
    assert not root.tk.call("grab", "current")


def test_a_dialog_sits_on_its_parent_with_its_buttons_at_the_right(root: tk.Tk, theme: Theme, until: Until) -> None:
    made = megawidgets.dialog(theme, root, "Delete", ("Delete", "Cancel"), danger=True)
    ttk.Label(made.interior(), text="x" * 80).pack()
    window = made.component("hull")
    box = made.component("buttonbox")
    seen: list[Any] = []

    def act() -> None:
        root.update()
        seen.append((window.winfo_rootx(), window.winfo_width(), [box.button(i).winfo_x() for i in range(2)]))
        made.invoke(1)

    press_soon(root, lambda: root.after(100, act))
    assert megawidgets.run_dialog(made, root) == "Cancel"
    x, width, buttons = seen[0]
    assert root.winfo_rootx() <= x <= root.winfo_rootx() + root.winfo_width() - width
    assert buttons[0] > width / 2
    assert buttons[0] < buttons[1]


def test_a_dialog_that_grows_stays_on_the_screen(root: tk.Tk, theme: Theme, until: Until) -> None:
    root.geometry(f"400x300+100+{root.winfo_screenheight() - 320}")
    made = megawidgets.dialog(theme, root, "New VM", ("Create", "Cancel"))
    content = tk.Frame(made.interior(), width=200, height=40)
    content.pack()
    window = made.component("hull")
    height = window.winfo_screenheight() - 300
    seen: list[tuple[int, int]] = []

    def act() -> None:
        root.update()
        content.configure(height=height)
        with contextlib.suppress(pytest.fail.Exception):
            until(lambda: window.winfo_height() > height)
            until(lambda: window.winfo_rooty() + window.winfo_height() <= window.winfo_screenheight())
        seen.append((window.winfo_rooty(), window.winfo_rooty() + window.winfo_height()))
        made.invoke(1)

    press_soon(root, act)
    megawidgets.run_dialog(made, root)
    ((upper, lower),) = seen
    assert lower - upper > height
    assert 0 <= upper < lower <= root.winfo_screenheight()


def test_a_field_shows_wrong_input(root: tk.Tk, theme: Theme) -> None:
    changed: list[str] = []
    made = megawidgets.entry_field(
        theme,
        root,
        "Timeout",
        validate={"validator": "integer", "min": 1, "max": 60, "minstrict": 0, "maxstrict": 0},
        value="5",
        modifiedcommand=lambda: changed.append("x"),
    )
    made.pack()
    entry = made.component("entry")
    assert not entry.instate(["invalid"])
    made.setvalue("700")
    assert entry.instate(["invalid"])
    assert not made.valid()
    made.setvalue("7")
    assert not entry.instate(["invalid"])
    assert changed


@pytest.mark.parametrize("ground", ["chrome", "surface", "raised"])
def test_fields_line_up(root: tk.Tk, theme: Theme, ground: str) -> None:
    one = megawidgets.entry_field(theme, root, "Name", ground=ground)
    two = megawidgets.entry_field(theme, root, "A longer label", ground=ground)
    for field in (one, two):
        field.pack()
    megawidgets.align_labels([one, two])
    root.update()
    assert one.component("entry").winfo_x() == two.component("entry").winfo_x()


def test_every_other_widget_can_be_made_and_goes(root: tk.Tk, theme: Theme) -> None:
    frame = tk.Frame(root)
    frame.pack()
    said: list[str] = []
    tip = megawidgets.balloon(theme, root, said.append)
    button = ttk.Button(frame, text="x")
    tip.bind(button, "a tip")
    bar = megawidgets.message_bar(theme, frame)
    bar.pack()
    bar.message("state", "Ready")
    book = megawidgets.notebook(theme, frame)
    book.pack()
    book.add("General")
    panes = megawidgets.panes(theme, frame, "vertical")
    panes.pack()
    panes.add("top", min=10)
    text = megawidgets.scrolled_text(theme, frame, ground="console")
    text.pack()
    text.settext("login: ")
    menus = megawidgets.menu_bar(theme, frame)
    menus.pack()
    menus.addmenu("File", "", traverseSpec=0)
    root.update()
    theme.set_mode("dark")
    theme.set_mode("light")
    frame.destroy()
    root.update()


def test_a_click_behind_a_dialog_gives_the_keyboard_back_to_it(root: tk.Tk, theme: Theme) -> None:
    if shutil.which("xdotool") is None:
        pytest.skip("xdotool is not installed")
    other = ttk.Entry(root)
    other.pack()
    root.update()
    made = dialog(theme, root, "Ask", ("OK", "Cancel"))
    entry = ttk.Entry(made.interior())
    entry.pack()
    wrapper = int(root.wm_frame(), 16)
    seen: list[str] = []

    def click_behind() -> None:
        # what a window manager does with a click: the keyboard goes to the window that was clicked
        x, y = other.winfo_rootx() + 5, other.winfo_rooty() + 5
        subprocess.run(["xdotool", "windowfocus", str(wrapper), "mousemove", str(x), str(y), "click", "1"], check=True)
        root.after(400, type_into)

    def type_into() -> None:
        subprocess.run(["xdotool", "type", "abc"], check=True)
        root.after(200, finish)

    def finish() -> None:
        seen.append(entry.get())
        made.invoke(1)

    root.after(300, click_behind)
    run_dialog(made, root, entry)
    assert seen == ["abc"]


def test_a_short_text_has_no_scroll_bar_and_a_long_one_has(root: tk.Tk, theme: Theme, until: Until) -> None:
    made = scrolled_text(theme, root, text_height=3, text_width=30, text_wrap="word")
    made.component("hull").pack()
    bar, text = made.component("vertscrollbar"), made.component("text")
    text.insert("1.0", "one line")
    until(lambda: text.winfo_width() > 100 and not bar.winfo_ismapped())
    assert text.winfo_width() == made.component("hull").winfo_width()
    text.insert("end", "\nmore" * 9)
    until(lambda: bool(bar.winfo_ismapped()))


def test_the_keyboard_goes_back_to_where_it_was(root: tk.Tk, theme: Theme, until: Until) -> None:
    outside = ttk.Entry(root)
    outside.pack()
    outside.focus_force()
    until(lambda: root.focus_get() is outside)
    connect = megawidgets.dialog(theme, root, "Connect", ("Connect", "Cancel"))
    password = ttk.Entry(connect.interior())
    password.pack()
    kept: list[object] = []

    def look_at_the_certificate() -> None:
        until(lambda: root.focus_get() is password)
        certificate = megawidgets.dialog(theme, root, "Certificate", ("Accept", "Cancel"))
        root.after(60, lambda: certificate.invoke(1))
        megawidgets.run_dialog(certificate, root)
        root.update()
        kept.append(root.focus_get())
        connect.invoke(1)

    press_soon(root, look_at_the_certificate)
    megawidgets.run_dialog(connect, root, password)
    root.update()
    assert kept == [password], "the dialog below has the keyboard again"
    assert root.focus_get() is outside, "and so has the window"


def test_the_keyboard_goes_to_the_window_if_its_place_is_gone(root: tk.Tk, theme: Theme, until: Until) -> None:
    outside = ttk.Entry(root)
    outside.pack()
    outside.focus_force()
    until(lambda: root.focus_get() is outside)
    made = megawidgets.dialog(theme, root, "Delete", ("Delete", "Cancel"))

    def act() -> None:
        outside.destroy()
        made.invoke(1)

    press_soon(root, act)
    megawidgets.run_dialog(made, root)
    root.update()
    assert root.focus_get() is root


def test_all_questions_end_when_the_program_does(root: tk.Tk, theme: Theme) -> None:
    outer, inner = dialog(theme, root, "Outer", ("OK",)), dialog(theme, root, "Inner", ("OK",))
    answers: list[object] = []

    def ask_more() -> None:
        answers.append(run_dialog(inner, root))

    root.after(50, ask_more)
    root.after(300, lambda: dismiss_dialogs(root))
    answers.append(run_dialog(outer, root))
    assert answers == [None, None]


def test_the_file_window_ends_when_the_program_does(root: tk.Tk) -> None:
    root.after(300, lambda: dismiss_dialogs(root))
    assert not filedialog.asksaveasfilename(parent=root)
