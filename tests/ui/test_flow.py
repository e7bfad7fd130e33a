"""Rows of controls in a narrow window."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from tkinter import ttk

import pytest

from hvconsole.ui.flow import Flow, lines_of
from hvconsole.ui.theme import Theme

Until = Callable[..., None]


@pytest.mark.parametrize(
    ("widths", "room", "lines"),
    [
        ((), 100, []),
        ((40, 40), 100, [[0, 1]]),
        ((40, 40, 10), 100, [[0, 1], [2]]),
        ((40, 54, 10), 100, [[0, 1], [2]]),
        ((300, 40), 100, [[0], [1]]),
        ((40, 300, 40), 100, [[0], [1], [2]]),
    ],
)
def test_a_line_takes_what_it_has_room_for(widths: Sequence[int], room: int, lines: list[list[int]]) -> None:
    assert lines_of(widths, room, 6) == lines


@pytest.mark.display
def test_every_control_is_seen_whole_in_a_narrow_window_and_in_a_wide_one(
    root: tk.Tk, theme: Theme, until: Until
) -> None:
    root.geometry("300x200")
    flow = Flow(theme, root)
    flow.frame.pack(fill="x")
    parts: list[ttk.Widget] = [ttk.Button(flow.frame, text=f"Button {number}", width=12) for number in range(4)]
    summary = ttk.Label(flow.frame, text="1 snapshot")
    for part in parts:
        flow.add(part)
    flow.add(summary, right=True)
    below = ttk.Label(root, text="below")
    below.pack()

    def whole(part: ttk.Widget) -> bool:
        within = part.winfo_x() + part.winfo_reqwidth() <= flow.frame.winfo_width()
        lower = flow.frame.winfo_rooty() + flow.frame.winfo_height()
        return within and part.winfo_rooty() + part.winfo_height() <= lower <= below.winfo_rooty()

    until(lambda: root.winfo_width() == 300 and all(whole(part) for part in (*parts, summary)))
    assert parts[0].winfo_y() < parts[-1].winfo_y()
    root.geometry("1200x200")
    until(lambda: len({part.winfo_y() for part in parts}) == 1 and whole(summary))
    assert summary.winfo_x() + summary.winfo_width() == flow.frame.winfo_width()
    summary.configure(text="12 snapshots, 3 of them automatic")
    until(lambda: summary.winfo_x() + summary.winfo_reqwidth() == flow.frame.winfo_width())
