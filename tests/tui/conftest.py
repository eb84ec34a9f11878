"""Screens are asked for when a test looks at them: drawing sixty times a second costs more than all checks."""

from __future__ import annotations

import os

# Read when textual is imported, which a plugin (or another test) may have done already: then it is only slower.
os.environ.setdefault("TEXTUAL_FPS", "20")
