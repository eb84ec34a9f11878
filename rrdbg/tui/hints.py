"""The row of keys at the foot of the screen."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from rrdbg.tui.keys import APP, KEYS


class Hints(Widget):
    """As many keys with a word for each as there is room for; what leads to everything else comes first."""

    def render(self) -> Content:
        """Draw the row."""
        room = self.size.width
        parts: list[Content] = []
        for key in sorted((key for key in KEYS if key.footer), key=lambda key: key.group != APP):
            name = f" {key.shown.split()[0]}"
            word = f" {key.footer} "
            room -= len(name) + len(word)
            if room < 0:
                break
            parts.append(Content.assemble((name, "bold $accent"), (word, "$text-muted")))
        return Content("").join(parts)
