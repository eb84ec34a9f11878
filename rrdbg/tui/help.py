"""The help overlay: every key and every command, from the same tables that the keys and the prompt use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from rrdbg.tui.keys import KEYS, Key, groups
from rrdbg.tui.pane import STYLES, Pane, Parts
from rrdbg.tui.text import clip

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

    def on_mount(self) -> None:
        """Title the overlay."""
        self.retitle("Up and Down scroll, Esc closes")

    def count(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def line(self, index: int, width: int) -> Parts:
        """Return one line."""
        keys, text = self._lines[index]
        if not keys:
            return [(f"  {text}", self.style("accent"))]
        return [(f"  {keys:<18} ", self.style("symbol")), (clip(text, width - 22), self.style("text"))]


class HelpScreen(ModalScreen[None]):
    """Covers the panes until a key closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss", "Close", show=False),
    ]

    def __init__(self, keys: Sequence[Key] = KEYS, commands: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._keys, self._commands = keys, commands

    def compose(self) -> ComposeResult:
        """Mount the lines."""
        yield HelpPane(self._keys, self._commands)
