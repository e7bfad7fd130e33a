"""The window. tkinter and Pmw are imported only below this package."""
