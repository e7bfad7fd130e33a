"""Where the window and its panes were, and what was filtered: read at the start, written at the end. Tk thread only."""

from __future__ import annotations

import re
import tkinter as tk
from dataclasses import dataclass
from typing import Any

from hvconsole import settings as stored
from hvconsole.model import ObjectId, PowerState, ServerId
from hvconsole.settings import SettingsStore
from hvconsole.ui.filters import Filter
from hvconsole.ui.theme import Theme

_GEOMETRY = re.compile(r"(\d{2,5})x(\d{2,5})([+-]-?\d{1,5})([+-]-?\d{1,5})")
DEFAULT_SIZE = (1280, 800)
"""Design pixels of a first start; never more than the screen has."""
_FRAME = 60
"""Design pixels of the screen's height that a first start leaves to the window's frame and a panel."""
_LAID_OUT = 100
"""Panes shorter than these design pixels are not laid out yet."""
_VISIBLE = 80
"""At least this many pixels of the window's upper edge must be on the screen."""


@dataclass(slots=True)
class _Sash:
    """A pane whose size is remembered, and kept when the window changes its own.

    ``size`` in screen pixels; ``hidden``: folded away by the user; ``whole``: length of all panes together for which
    they were laid out last, None while that is going on.
    """

    panes: Any
    size: int
    hidden: bool = False
    whole: int | None = None


class Placement:
    """Remembers the main window's place."""

    def __init__(self, root: tk.Tk, theme: Theme, settings: SettingsStore) -> None:
        self._root = root
        self._theme = theme
        self._settings = settings
        self._sashes: dict[str, _Sash] = {}
        self._restored = False
        place = settings.current.window
        root.geometry(
            place_on_screen(place.geometry, self._default_size(), root.winfo_screenwidth(), root.winfo_screenheight())
        )
        if place.maximised:
            self._maximise()

    def _default_size(self) -> tuple[int, int]:
        width, height = (self._theme.px(n) for n in DEFAULT_SIZE)
        room = self._root.winfo_screenheight() - self._theme.px(_FRAME)
        return min(width, self._root.winfo_screenwidth()), min(height, room)

    def manage(self, panes: Any, name: str, size: int) -> None:
        """Remember this pane; ``size``: design pixels at the first start. Call ``restore`` after the last."""
        saved = self._settings.current.window.sashes.get(name)
        self._sashes[name] = _Sash(panes, self._theme.px(size) if saved is None or saved <= 0 else saved, saved == 0)
        panes.component("hull").bind("<Configure>", lambda _event: self._whole_changed(name), add=True)
        panes.pane(name).bind("<Configure>", lambda _event: self._pane_changed(name), add=True)

    def _whole_changed(self, name: str) -> None:
        """The window was resized, or a notice came or went: this pane keeps its size, the other gives way."""
        sash = self._sashes[name]
        whole = self._whole(sash)
        if self._restored and whole != sash.whole and whole >= self._theme.px(_LAID_OUT):
            sash.whole = None
            self._resize(name, 0 if sash.hidden else sash.size)
            sash.whole = whole

    def _pane_changed(self, name: str) -> None:
        """If the whole is as it was, the user has moved the sash."""
        sash = self._sashes[name]
        if self._restored and not sash.hidden and sash.whole is not None and sash.whole == self._whole(sash):
            sash.size = self._size(name)

    @staticmethod
    def _whole(sash: _Sash) -> int:
        hull = sash.panes.component("hull")
        vertical = str(sash.panes.cget("orient")) == "vertical"
        return int(hull.winfo_height() if vertical else hull.winfo_width())

    def restore(self) -> None:
        """Give the panes their sizes; Pmw only takes them once the window is laid out."""
        self._restored = True
        self._root.update_idletasks()
        for name in self._sashes:
            self._whole_changed(name)

    def shown(self, name: str) -> bool:
        """Whether a pane is not folded away."""
        return not self._sashes[name].hidden

    def toggle(self, name: str) -> None:
        """Fold a pane away, or bring it back in its old size."""
        sash = self._sashes[name]
        sash.hidden = not sash.hidden
        self._resize(name, 0 if sash.hidden else sash.size)

    def _size(self, name: str) -> int:
        sash = self._sashes[name]
        pane = sash.panes.pane(name)
        vertical = str(sash.panes.cget("orient")) == "vertical"
        return int(pane.winfo_height() if vertical else pane.winfo_width())

    def _resize(self, name: str, size: int) -> None:
        panes = self._sashes[name].panes
        gutter = self._theme.px(5) * (len(panes.panes()) - 1)
        rest = max(0, self._whole(self._sashes[name]) - gutter - size)
        first = panes.panes()[0]
        if first == name:
            panes.configurepane(name, size=size)
        else:  # Pmw gives what is left to the last pane
            panes.configurepane(first, size=rest)

    # ---- at the end ------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Remember how things are now."""
        sashes = {name: 0 if sash.hidden else sash.size for name, sash in self._sashes.items()}
        maximised = self._is_maximised()
        now = self._settings.current.window
        geometry = now.geometry if maximised else self._root.geometry()
        self._settings.change(
            window=now.model_copy(update={"geometry": geometry, "maximised": maximised, "sashes": sashes})
        )

    def _is_maximised(self) -> bool:
        if self._root.tk.call("tk", "windowingsystem") == "x11":
            return bool(self._root.attributes("-zoomed"))
        return self._root.state() == "zoomed"

    def _maximise(self) -> None:
        if self._root.tk.call("tk", "windowingsystem") == "x11":
            self._root.attributes("-zoomed", True)
        else:
            self._root.state("zoomed")

    # ---- the filter ------------------------------------------------------------------------------------------

    def saved_filter(self) -> Filter:
        """What was filtered last time."""
        saved = self._settings.current.filter
        hosts = set()
        for entry in saved.host.split("\n") if saved.host else ():
            server, _, host = entry.partition("/")
            if server and host:
                hosts.add((ServerId(server), ObjectId(host)))
        known = {str(power) for power in PowerState}
        powers = frozenset(PowerState(power) for power in saved.power if power in known)
        return Filter(saved.text, frozenset(hosts), powers, bool(self._settings.pref("templates", False)))

    def save_filter(self, wanted: Filter) -> None:
        """Remember what is filtered."""
        if wanted == self.saved_filter():
            return
        hosts = "\n".join(f"{server}/{host}" for server, host in sorted(wanted.hosts))
        power = tuple(sorted(str(p) for p in wanted.powers))
        self._settings.change(filter=stored.Filter(text=wanted.text, host=hosts, power=power))
        self._settings.set_pref("templates", True if wanted.templates else None)


def place_on_screen(saved: str, default: tuple[int, int], screen_width: int, screen_height: int) -> str:
    """A geometry that can be seen: the saved one if its upper edge is on the screen, else the default in the middle."""
    match = _GEOMETRY.fullmatch(saved)
    if match is None:
        width, height = default
        return f"{width}x{height}+{(screen_width - width) // 2}+{max(0, (screen_height - height) // 3)}"
    width, height = min(int(match[1]), screen_width), min(int(match[2]), screen_height)
    x, y = int(match[3].replace("+-", "-")), int(match[4].replace("+-", "-"))
    x = max(_VISIBLE - width, min(x, screen_width - _VISIBLE))
    y = max(0, min(y, screen_height - _VISIBLE))
    return f"{width}x{height}{x:+d}{y:+d}"
