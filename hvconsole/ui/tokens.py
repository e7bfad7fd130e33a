"""The colours of the window, light and dark: the only place where colours stand. Pure data, any thread.

Contrast was measured: text at least 4.5:1, edges of controls and state signs at least 3:1 on their ground.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One colour per role, as #RRGGBB."""

    name: str
    chrome: str
    """Ground of menu bar, tool bar, status bar, dialogs."""
    surface: str
    """Ground of tree, tables, pages."""
    raised: str
    """Ground of cards."""
    menu: str
    hover: str
    press: str
    border: str
    """Lines that only divide."""
    control: str
    """Edges of things that can be used."""
    text: str
    muted: str
    faint: str
    """Placeholders and disabled things."""
    thumb: str
    accent: str
    accent_hover: str
    accent_text: str
    selection: str
    selection_text: str
    selection_idle: str
    """Selected row of a list without focus."""
    ok: str
    warn: str
    bad: str
    off: str
    info: str
    ok_soft: str
    warn_soft: str
    bad_soft: str
    off_soft: str
    info_soft: str
    danger: str
    """Fill of a button that destroys."""
    danger_hover: str
    danger_text: str
    tip: str
    tip_text: str
    console: str
    console_text: str
    series1: str
    series2: str
    series3: str
    series4: str
    series5: str
    series6: str
    series7: str
    series8: str
    grid: str


LIGHT = Tokens(
    name="light",
    chrome="#F2F4F7",
    surface="#FFFFFF",
    raised="#FFFFFF",
    menu="#FBFCFD",
    hover="#E6EAF0",
    press="#D9DFE8",
    border="#D3D9E2",
    control="#8490A3",
    text="#1A2230",
    muted="#566173",
    faint="#758093",
    thumb="#B4BECB",
    accent="#1D5FD6",
    accent_hover="#174FB5",
    accent_text="#FFFFFF",
    selection="#DBE8FD",
    selection_text="#0B2A63",
    selection_idle="#E4E8EE",
    ok="#0B7A4B",
    warn="#A15C00",
    bad="#C0231C",
    off="#6B7686",
    info="#1D5FD6",
    ok_soft="#DDF3E8",
    warn_soft="#FDEFDC",
    bad_soft="#FBE0DE",
    off_soft="#E7EAEF",
    info_soft="#DFEAFC",
    danger="#C0231C",
    danger_hover="#9E1A15",
    danger_text="#FFFFFF",
    tip="#1F2733",
    tip_text="#F4F6F9",
    console="#10151C",
    console_text="#D6DEE8",
    series1="#1D5FD6",
    series2="#C65A00",
    series3="#0B7A4B",
    series4="#7A3FD1",
    series5="#00809A",
    series6="#B0236F",
    series7="#6B7686",
    series8="#7D6400",
    grid="#E6EAF0",
)

DARK = Tokens(
    name="dark",
    chrome="#1D2127",
    surface="#15181D",
    raised="#1A1E24",
    menu="#262B33",
    hover="#2C323B",
    press="#363E49",
    border="#333A45",
    control="#6A7689",
    text="#E6EAF0",
    muted="#A3AEBD",
    faint="#7F8B9E",
    thumb="#4C5665",
    accent="#4C8DFF",
    accent_hover="#6BA1FF",
    accent_text="#07152E",
    selection="#1F3D6B",
    selection_text="#EAF2FF",
    selection_idle="#2A303A",
    ok="#3FC98A",
    warn="#F0A94B",
    bad="#FF7B72",
    off="#8E99A9",
    info="#6BA1FF",
    ok_soft="#123526",
    warn_soft="#3B2A10",
    bad_soft="#431D1B",
    off_soft="#2A303A",
    info_soft="#172A4A",
    danger="#FF7B72",
    danger_hover="#FF968F",
    danger_text="#2B0B09",
    tip="#E6EAF0",
    tip_text="#15181D",
    console="#0D1014",
    console_text="#D6DEE8",
    series1="#6BA1FF",
    series2="#F0A94B",
    series3="#3FC98A",
    series4="#B794FF",
    series5="#45C8DC",
    series6="#FF7FBF",
    series7="#8E99A9",
    series8="#D3C24A",
    grid="#272D36",
)
