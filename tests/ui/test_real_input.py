"""A real pointer and real keys on the real window, sent by xdotool through the X server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tkinter as tk
from collections.abc import Callable, Iterator

import pytest

from hvconsole.model import Verb
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.interfaces import ItemKind
from hvconsole.ui.theme import Theme
from tests.ui.shell_stage import Stand, close_stand, key_of, open_stand

pytestmark = pytest.mark.display
Until = Callable[..., None]


@pytest.fixture(autouse=True)
def xdotool() -> None:
    if shutil.which("xdotool") is None:
        reason = "xdotool is not installed: real input is NOT tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def stand(root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until) -> Iterator[Stand]:
    made = open_stand(root, theme, dispatcher, until)
    root.lift()
    root.update()
    # without a window manager keys go to the window under the pointer
    send("mousemove", root.winfo_rootx() + 200, root.winfo_rooty() + 500)
    made.tree.focus_force()
    yield made
    send("keyup", "Control_L", "keyup", "Shift_L", "mousemove", root.winfo_screenwidth() - 2, 2)
    root.update()
    root.focus_force()  # the pointer took the focus away: see take_keyboard
    close_stand(made, until)


def send(*words: object) -> None:
    subprocess.run(["xdotool", *map(str, words)], check=True, timeout=20)


def place(stand: Stand, vm_id: str) -> tuple[int, int]:
    """The screen position of a row's sign."""
    tree = stand.tree
    row = stand.row(ItemKind.VM, vm_id)
    tree.see(row)
    stand.window.root.update()
    x, y, width, height = tree.bbox(row, "#0")
    middle = y + height // 2
    left = next(px for px in range(x, x + width) if str(tree.identify_element(px, middle)).endswith("image"))
    return tree.winfo_rootx() + left, tree.winfo_rooty() + middle


def test_a_click_beside_the_box_selects_and_one_on_it_ticks(stand: Stand, until: Until) -> None:
    x, y = place(stand, "v2")
    send("mousemove", x + 60, y, "click", 1)
    until(lambda: stand.window.selection.ids == ("v2",))
    send("mousemove", x + 8, y, "click", 1)
    until(lambda: stand.watcher.ticked() == {key_of("v2")})
    assert stand.window.selection.ids == ("v2",)


def test_keys_work_in_the_tree_from_the_start(stand: Stand, until: Until) -> None:
    """A window manager gives the keyboard to the window, not to anything in it."""
    root = stand.window.root
    other = tk.Toplevel(root)
    other.wait_visibility()
    other.focus_force()
    until(lambda: root.focus_get() is other)
    root.focus_force()
    until(lambda: root.focus_get() is stand.tree)
    other.destroy()
    root.update()
    chosen = stand.window.selection
    send("key", "Down")
    until(lambda: stand.window.selection != chosen)


def test_the_keyboards_way_past_the_window_takes_it_from_no_dialog(stand: Stand, until: Until) -> None:
    root = stand.window.root
    dialog = tk.Toplevel(root)
    entry = tk.Entry(dialog)
    entry.pack()
    dialog.wait_visibility()
    dialog.grab_set()
    entry.focus_force()
    until(lambda: root.focus_get() is entry)
    root.event_generate("<FocusIn>")
    root.update()
    assert root.focus_get() is entry
    dialog.grab_release()
    root.event_generate("<FocusIn>")
    root.update()
    assert root.focus_get() is entry
    root.focus_force()
    root.update()
    dialog.destroy()


def test_search_with_the_keyboard_and_back(stand: Stand, until: Until) -> None:
    everything = stand.vm_names()
    send("key", "ctrl+f")
    until(lambda: stand.window.root.focus_get() is stand.window.search.entry)
    send("type", "web")
    until(lambda: len(stand.vm_names()) == 3)
    send("key", "Escape")
    until(lambda: stand.vm_names() == everything)
    until(lambda: stand.window.root.focus_get() is stand.tree)


def test_shift_and_control_select_several_and_a_shortcut_asks_for_all(stand: Stand, until: Until) -> None:
    x, y = place(stand, "v1")
    send("mousemove", x + 60, y, "click", 1)
    until(lambda: stand.window.selection.ids == ("v1",))
    x, y = place(stand, "v10")
    send("mousemove", x + 60, y, "keydown", "Control_L", "click", 1, "keyup", "Control_L")
    until(lambda: set(stand.window.selection.ids) == {"v1", "v10"})
    send("key", "ctrl+r")
    until(lambda: bool(stand.dialogs.asked))
    assert stand.dialogs.asked[0][:2] == ("confirm", Verb.REBOOT)
    assert sorted(stand.dialogs.asked[0][2]) == ["web-frontend-01", "web-frontend-10"]


def test_a_right_click_opens_the_menu_and_keys_choose_from_it(stand: Stand, until: Until) -> None:
    x, y = place(stand, "v2")
    menu = stand.window.context.menu
    send("mousemove", x + 60, y, "click", 3)
    until(lambda: bool(menu.winfo_ismapped()))
    assert stand.window.selection.ids == ("v2",)
    send("key", "Down", "key", "Down", "key", "Return")
    until(lambda: bool(stand.dialogs.asked))
    assert stand.dialogs.asked[0][1] is Verb.START_ON, "the second entry"
    send("key", "Escape")


def test_alt_and_a_letter_open_a_menu(stand: Stand, until: Until) -> None:
    menu = stand.window.menubar.bar.component("View-menu")
    send("key", "alt+v")
    until(lambda: bool(menu.winfo_ismapped()))
    send("key", "Escape")
    until(lambda: not menu.winfo_ismapped())
    send("key", "Escape")


def test_a_grey_toolbar_button_says_why(stand: Stand, until: Until) -> None:
    stand.window.select(stand.window.selection)
    button = stand.window.toolbar.widget.nametowidget(f"tool-{Verb.SHUTDOWN}")
    until(lambda: button.instate(["disabled"]))
    send("mousemove", button.winfo_rootx() + 20, button.winfo_rooty() + 10)
    label = stand.window.balloon.component("label")
    until(lambda: bool(label.winfo_ismapped()), timeout_s=15)
    assert "Select a VM first." in str(label.cget("text"))


@pytest.mark.parametrize("key", ["Down", "Return"])
def test_down_or_return_goes_from_the_search_to_what_was_found(stand: Stand, until: Until, key: str) -> None:
    stand.select("v5")  # searching filters this one away
    send("key", "ctrl+f")
    until(lambda: stand.window.root.focus_get() is stand.window.search.entry)
    send("type", "mail")
    send("key", key)
    until(lambda: stand.window.selection.ids == ("v6",))
    assert stand.window.root.focus_get() is stand.tree


def test_shift_and_arrows_extend_the_choice_and_take_it_back(stand: Stand, until: Until) -> None:
    x, y = place(stand, "v1")
    send("mousemove", x + 60, y, "click", 1)
    until(lambda: stand.window.selection.ids == ("v1",))
    first = stand.tree.focus()
    below = stand.tree.next(first)
    send("key", "shift+Down", "shift+Down")
    until(lambda: set(stand.tree.selection()) == {first, below, stand.tree.next(below)})
    send("key", "shift+Up", "shift+Up", "shift+Up")
    until(lambda: set(stand.tree.selection()) == {first, stand.tree.prev(first) or stand.tree.parent(first)})
    send("key", "Down")
    until(lambda: stand.tree.selection() == (first,))


def test_down_begins_with_the_first_row_where_none_was_chosen(stand: Stand, until: Until) -> None:
    tree = stand.tree
    tree.selection_set()
    tree.focus("")
    tree.focus_force()
    send("key", "Down")
    until(lambda: tree.selection() == (tree.get_children("")[0],))


def test_home_end_and_page_keys_move_the_choice(stand: Stand, until: Until) -> None:
    tree = stand.tree
    stand.select("v1")
    tree.focus_force()
    rows = list(stand.window.tree.rows.in_view())
    send("key", "End")
    until(lambda: tree.selection() == (rows[-1],))
    send("key", "Home")
    until(lambda: tree.selection() == (rows[0],))
    assert tree.bbox(rows[0]), "the row can be seen"
    send("key", "Next")
    until(lambda: tree.selection() not in ((), (rows[0],)))
    assert tree.bbox(tree.focus())
    below = rows.index(tree.focus())
    send("key", "shift+Home")
    until(lambda: set(tree.selection()) == set(rows[: below + 1]))
    send("key", "Prior")
    until(lambda: tree.selection() == (rows[0],))


def test_control_a_selects_all_in_a_field(stand: Stand, until: Until) -> None:
    entry = stand.window.search.entry
    send("key", "ctrl+f")
    until(lambda: stand.window.root.focus_get() is entry)
    send("type", "web front")
    send("key", "ctrl+a")
    until(lambda: bool(entry.selection_present()))
    assert (entry.index("sel.first"), entry.index("sel.last")) == (0, 9)
    send("key", "Escape")
