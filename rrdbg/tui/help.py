"""The help overlay: every key and every command, from the same tables that the keys and the prompt use."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from rrdbg.tui.keys import KEYS, Key, groups
from rrdbg.tui.pane import STYLES, Pane, Parts

INDENT = 21
"""Cells before the texts."""

MOUSE = (
    ("hover", "Timeline: what happened there, and where the program was"),
    ("click, drag", "Timeline: go there, scrub"),
    ("drag", "Run row: move the zoom window, or its ends; right button on the lanes: zoom to that stretch"),
    ("wheel", "Timeline: zoom at the mouse; with Shift, pan"),
    ("click", "Source, code: select; in the gutter: breakpoint. Stack: select a frame. Values: open, close"),
    ("click", "Console: go to the step that printed that character. Lists: go to that moment"),
)


class HelpPane(Pane):
    """The lines of the help."""

    COMPONENT_CLASSES: ClassVar[set[str]] = STYLES
    NAME = "Help"

    def __init__(self, keys: Sequence[Key], commands: Sequence[tuple[str, str]]) -> None:
        super().__init__(id="help")
        self._lines: list[tuple[str, str]] = []
        for group, rows in (*groups(keys), ("Mouse", MOUSE), ("Commands", commands)):
            self._lines += [("", ""), ("", group), *rows]
        self._rows = self._lines

    def on_mount(self) -> None:
        """Title the overlay."""
        self.retitle("Up and Down scroll, Esc closes")

    def count(self) -> int:
        """Return the number of lines."""
        return len(self._rows)

    def update(self) -> None:
        """Break long texts where the pane ends."""
        room = max(self.scrollable_content_region.width - INDENT - 1, INDENT)
        self._rows = []
        for keys, text in self._lines:
            first, *rest = wrap(text, room) or [""]
            self._rows += [(keys, first), *((" ", more) for more in rest)]
        super().update()

    def line(self, index: int, width: int) -> Parts:
        """Return one line."""
        keys, text = self._rows[index]
        if not keys:
            return [(f"  {text}", self.style("accent"))]
        return [(f"  {keys:<{INDENT - 3}} ", self.style("symbol")), (text, self.style("text"))]


class HelpScreen(ModalScreen[None]):
    """Covers the panes until a key closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # as in a pager: elsewhere these move the cursor of the trace
        Binding("home", "edge(-1)", "First line", show=False),
        Binding("end", "edge(1)", "Last line", show=False),
        Binding("space", "page(1)", "A page down", show=False),
        Binding("escape,q,question_mark,f1,enter", "dismiss", "Close", show=False),
    ]

    def __init__(self, keys: Sequence[Key] = KEYS, commands: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._keys, self._commands = keys, commands

    def compose(self) -> ComposeResult:
        """Mount the lines."""
        yield HelpPane(self._keys, self._commands)

    def action_edge(self, direction: int) -> None:
        """Scroll to the first or the last line."""
        self.query_one(HelpPane).action_edge(direction)

    def action_page(self, pages: int) -> None:
        """Scroll by screens."""
        self.query_one(HelpPane).action_page(pages)
