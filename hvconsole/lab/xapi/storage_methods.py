"""VBD, VDI, VIF, SR messages."""
