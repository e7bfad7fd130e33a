"""Everything that stops and asks: one file each. ``window_dialogs.WindowDialogs`` opens them. Tk thread only."""
