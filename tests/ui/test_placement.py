"""Where the window comes back."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterator

import pytest

from hvconsole.model import ObjectId, PowerState, ServerId
from hvconsole.settings import SettingsStore
from hvconsole.ui.dispatcher import Dispatcher
from hvconsole.ui.filters import Filter
from hvconsole.ui.placement import Placement, place_on_screen
from hvconsole.ui.theme import Theme
from tests.ui.shell_stage import Stand, close_stand, open_stand

Until = Callable[..., None]


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        ("1000x700+50+60", "1000x700+50+60"),
        ("", "1280x800+160+66"),
        ("nonsense; exec rm", "1280x800+160+66"),
        ("5000x4000+0+0", "1600x1000+0+0"),
        ("1000x700+9000+9000", "1000x700+1520+920"),
        ("1000x700+-900+-50", "1000x700-900+0"),
        ("1000x700-3000+10", "1000x700-920+10"),
    ],
)
def test_the_window_comes_back_where_it_can_be_seen(saved: str, expected: str) -> None:
    assert place_on_screen(saved, (1280, 800), 1600, 1000) == expected


@pytest.fixture
def stand(root: tk.Tk, theme: Theme, dispatcher: Dispatcher, until: Until) -> Iterator[Stand]:
    made = open_stand(root, theme, dispatcher, until)
    yield made
    close_stand(made, until)


@pytest.mark.display
def test_the_task_panel_keeps_its_height_when_the_window_changes(stand: Stand, until: Until) -> None:
    window, root = stand.window, stand.window.root
    tasks = window.rows.pane("tasks")
    until(lambda: abs(tasks.winfo_height() - 186) < 8)
    root.geometry("1280x700+0+0")
    until(lambda: root.winfo_height() == 700 and abs(tasks.winfo_height() - 186) < 8)
    window.banner.show("x", "A notice", "warning")
    until(lambda: window.banner.widget.winfo_height() > 20 and abs(tasks.winfo_height() - 186) < 8)


@pytest.mark.display
def test_the_task_panel_folds_away_and_comes_back(stand: Stand, until: Until) -> None:
    window = stand.window
    tasks = window.rows.pane("tasks")
    until(lambda: abs(tasks.winfo_height() - 186) < 8)
    window.toggle_tasks()
    until(lambda: tasks.winfo_height() < 5)
    assert not window.tasks_shown()
    window.placement.save()
    assert window.services.settings.current.window.sashes["tasks"] == 0
    window.toggle_tasks()
    until(lambda: abs(tasks.winfo_height() - 186) < 8)


@pytest.mark.display
def test_a_moved_sash_is_remembered(stand: Stand, until: Until) -> None:
    window = stand.window
    tree = window.columns.pane("tree")
    until(lambda: abs(tree.winfo_width() - 350) < 8)
    window.columns.configurepane("tree", size=500)
    until(lambda: abs(tree.winfo_width() - 500) < 8)
    window.placement.save()
    assert abs(window.services.settings.current.window.sashes["tree"] - 500) < 8


@pytest.mark.display
def test_the_filter_is_written_and_read_back(root: tk.Tk, theme: Theme) -> None:
    settings = SettingsStore()
    placement = Placement(root, theme, settings)
    wanted = Filter(
        "web 01",
        frozenset({(ServerId("s1"), ObjectId("host/with/slashes")), (ServerId("s2"), ObjectId("h"))}),
        frozenset({PowerState.HALTED}),
        templates=True,
    )
    placement.save_filter(wanted)
    assert placement.saved_filter() == wanted
    placement.save_filter(Filter())
    assert placement.saved_filter() == Filter()


@pytest.mark.display
def test_a_first_start_leaves_room_for_the_frame(root: tk.Tk, theme: Theme, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tk.Tk, "winfo_screenwidth", lambda self: 1280)
    monkeypatch.setattr(tk.Tk, "winfo_screenheight", lambda self: 800)
    Placement(root, theme, SettingsStore())
    root.update()
    assert root.winfo_height() <= 760
    assert root.winfo_y() + root.winfo_height() <= 780
