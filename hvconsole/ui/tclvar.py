"""Tcl variables for ticks and radio buttons, without ``tkinter.Variable``. Tk thread only.

A ``Variable`` calls Tk when it is collected, and what sits in a cycle (every dialog does) may be collected by any
thread that happens to allocate: Tk would then be called from a worker. These hold a name and nothing to collect.
"""

from __future__ import annotations

import itertools
import tkinter as tk

_numbers = itertools.count(1)


class TclVar:
    """One Tcl variable; ``attach`` it to ticks or radio buttons. It ends with ``owner``."""

    def __init__(self, owner: tk.Misc, value: str) -> None:
        self.name = f"hvconsole_var_{next(_numbers)}"
        self._tk = owner.tk
        self.set(value)
        tkapp, name = owner.tk, self.name

        def forget(event: tk.Event[tk.Misc]) -> None:
            if str(event.widget) == path:
                tkapp.call("unset", "-nocomplain", f"::{name}")

        path = str(owner)
        owner.bind("<Destroy>", forget, add=True)

    def attach(self, *widget_or_entry: object) -> None:
        """Tie a tick or radio button to it; for an entry of a menu: the menu, "entryconfigure", the index."""
        widget, *rest = widget_or_entry
        self._tk.call(str(widget), *(rest or ["configure"]), "-variable", self.name)

    def get(self) -> str:
        """The value; empty once the owner is gone."""
        try:
            return str(self._tk.call("set", f"::{self.name}"))
        except tk.TclError:
            return ""

    def set(self, value: str) -> None:
        """Another value; widgets follow."""
        self._tk.call("set", f"::{self.name}", value)

    @property
    def on(self) -> bool:
        """For ticks: whether it is set."""
        return self.get() in ("1", "true")
