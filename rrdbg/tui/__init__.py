"""The terminal interface."""

import os

# Milliseconds until an Esc that nothing follows is a key of its own, for Textual as for curses; its 100 are felt.
os.environ.setdefault("ESCDELAY", "50")
