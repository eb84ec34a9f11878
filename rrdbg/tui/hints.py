"""The row of keys at the foot of the screen."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from rrdbg.tui.keys import APP, KEYS, Key


class Hints(Widget):
    """As many keys with a word for each as there is room for; what leads to everything else comes first."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.keys: tuple[Key, ...] = KEYS
        """The keys as they are bound now."""

    def render(self) -> Content:
        """Draw the row."""
        room = self.size.width
        parts: list[Content] = []
        for key in sorted((key for key in self.keys if key.footer and key.keys), key=lambda key: key.group != APP):
            name = f" {key.shown.split()[0]}"
            word = f" {key.footer} "
            room -= len(name) + len(word)
            if room < 0:
                break
            parts.append(Content.assemble((name, "bold $accent"), (word, "$text-muted")))
        return Content("").join(parts)
