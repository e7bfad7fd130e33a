"""The look: colours that can be read, sizes that follow the scale, light to dark while running."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from dataclasses import fields
from tkinter import ttk

import pytest

from hvconsole.ui import drawing
from hvconsole.ui.pages.measures import MOST_LINES
from hvconsole.ui.pages.performance import LINE_TOKENS
from hvconsole.ui.theme import CLASSIC, Theme, screen_scale, system_mode
from hvconsole.ui.tokens import DARK, LIGHT, Tokens

Until = Callable[..., None]


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_signs_can_be_read(tokens: Tokens) -> None:
    for ground in ("chrome", "surface", "raised", "menu"):
        for text in ("text", "muted"):
            assert contrast(getattr(tokens, text), getattr(tokens, ground)) >= 4.5, (text, ground)
    for sign in ("ok", "warn", "bad", "off", "info", "accent"):
        assert contrast(getattr(tokens, sign), tokens.surface) >= 3, sign
    for text, ground in (
        ("accent_text", "accent"),
        ("danger_text", "danger"),
        ("selection_text", "selection"),
        ("tip_text", "tip"),
        ("text", "selection_idle"),
        ("console_text", "console"),
        ("ok", "ok_soft"),
        ("warn", "warn_soft"),
        ("bad", "bad_soft"),
    ):
        assert contrast(getattr(tokens, text), getattr(tokens, ground)) >= 4.5, (text, ground)


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_every_line_of_a_chart_has_a_colour_of_its_own(tokens: Tokens) -> None:
    colours = [getattr(tokens, token) for token in LINE_TOKENS]
    assert len(set(colours)) == len(colours) == MOST_LINES
    for colour in colours:
        assert contrast(colour, tokens.surface) >= 3, colour


def test_both_sets_of_colours_are_colours() -> None:
    for tokens in (LIGHT, DARK):
        for one in fields(tokens):
            if one.name != "name":
                assert len(getattr(tokens, one.name)) == 7
    for roles in CLASSIC.values():
        assert all(hasattr(LIGHT, token) for token in roles.values())


def test_states_differ_by_shape_not_only_by_colour() -> None:
    shapes = set()
    for state in ("running", "halted", "suspended", "paused", "error", "busy", "unknown"):
        one = "#000000"
        sign = drawing.state_sign(state, 16, ok=one, warn=one, bad=one, off=one, info=one, hole="#FFFFFF")
        shapes.add(sign.tobytes())
    assert len(shapes) == 7


def test_a_lost_round_is_a_bar_of_full_height() -> None:
    black = drawing.sparkline([1.0, None, 1.0], 60, 20, line="#0000FF", lost="#FF0000", limit_line="#888888")
    column = [black.getpixel((30, y)) for y in range(2, 18)]
    assert all(isinstance(p, tuple) and p[0] > 200 and p[3] > 200 for p in column)
    drawing.sparkline([], 60, 20, line="#0000FF", lost="#FF0000", limit_line="#888888")
    drawing.sparkline([None], 60, 20, line="#0000FF", lost="#FF0000", limit_line="#888888", slots=60)


@pytest.mark.display
def test_light_turns_to_dark_everywhere_without_new_pictures(root: tk.Tk, theme: Theme) -> None:
    label = tk.Label(root, text="classic")
    painted = tk.Frame(root)
    theme.paint(painted, background="surface")
    ttk_label = ttk.Label(root, style="Surface.Title.TLabel", text="ttk")
    picture = theme.icon("play", 16, "ok")
    drawn: list[str] = []
    theme.follow(label, lambda t: drawn.append(t.mode))
    root.update()
    theme.set_mode("dark")
    root.update()
    assert str(label.cget("background")) == DARK.chrome
    assert str(label.cget("foreground")) == DARK.text
    assert str(painted.cget("background")) == DARK.surface
    assert theme.styles.style.lookup(ttk_label.cget("style"), "background") == DARK.surface
    assert theme.icon("play", 16, "ok") is picture, "pictures keep their identity, rows need no new ones"
    assert drawn == ["light", "dark"]
    label.destroy()
    theme.set_mode("light")
    assert drawn == ["light", "dark"], "who is gone is not asked to draw"
    assert str(painted.cget("background")) == LIGHT.surface
    assert str(tk.Label(root).cget("background")) == LIGHT.chrome, "new widgets get the new colours"


@pytest.mark.display
def test_titles_are_large_and_bold(root: tk.Tk, theme: Theme) -> None:
    title = ttk.Label(root, style="Surface.Title.TLabel", text="web")
    plain = ttk.Label(root, style="Surface.TLabel", text="web")
    assert title.winfo_reqheight() > plain.winfo_reqheight()
    assert title.winfo_reqwidth() > plain.winfo_reqwidth()


@pytest.mark.display
def test_the_scale_comes_from_the_screen_or_the_environment(root: tk.Tk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HVCONSOLE_SCALE", "1.5")
    assert screen_scale(root) == 1.5
    for nonsense in ("big", "0", "99", "nan"):
        monkeypatch.setenv("HVCONSOLE_SCALE", nonsense)
        assert screen_scale(root) in (1.0, 1.25), nonsense
    monkeypatch.delenv("HVCONSOLE_SCALE")
    assert screen_scale(root) in (1.0, 1.25)


@pytest.mark.display
def test_the_desktops_wish_for_dark_is_heard(root: tk.Tk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTK_THEME", "Adwaita:dark")
    assert system_mode(root) == "dark"
    monkeypatch.setenv("GTK_THEME", "Adwaita")
    assert system_mode(root) == "light"


@pytest.mark.display
def test_every_operation_has_an_icon_or_none(root: tk.Tk, theme: Theme) -> None:
    for name in ("play", "power", "pause", "rotate-cw", "camera", "plug", "refresh-cw", "bell", "sun-moon", "settings"):
        assert name in drawing.icon_names()
    with pytest.raises(KeyError):
        theme.icon("no-such-icon")


@pytest.mark.display
def test_errors_in_callbacks_reach_the_root(root: tk.Tk, theme: Theme, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[BaseException] = []
    monkeypatch.setattr(tk.Tk, "report_callback_exception", lambda _self, _kind, value, _trace: seen.append(value))
    button = ttk.Button(root, command=lambda: 1 / 0)
    button.invoke()
    root.after(1, lambda: {}["missing"])
    root.after(5, lambda: seen.append(StopIteration()))
    while not any(isinstance(e, StopIteration) for e in seen):
        root.update()
    assert [type(e) for e in seen] == [ZeroDivisionError, KeyError, StopIteration]
