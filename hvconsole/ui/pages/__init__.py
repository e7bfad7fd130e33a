"""The tabs of the window: one file each. Tk thread only."""
