"""Everything that stops and asks: one file each. ``WindowDialogs`` opens them. Tk thread only."""

from hvconsole.ui.dialogs.window_dialogs import WindowDialogs

__all__ = ["WindowDialogs"]
