"""Everything that stops and asks: one file each. Tk thread only."""
