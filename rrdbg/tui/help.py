"""The help overlay: every key and every command, from the same tables that the keys and the prompt use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from rrdbg.tui.keys import groups
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip

MOUSE = (
    ("click, drag", "Timeline: go there, scrub"),
    ("wheel", "Timeline: zoom at the mouse; with Shift, pan"),
    ("click", "Code: select; in the gutter: breakpoint. Lists and console: go to that moment"),
)


class HelpPane(Pane):
    """The lines of the help."""

    NAME = "Help"

    def __init__(self, commands: Sequence[tuple[str, str]]) -> None:
        super().__init__(id="help")
        self._lines: list[tuple[str, str]] = []
        for group, keys in (*groups(), ("Mouse", MOUSE), ("Commands", commands)):
            self._lines += [("", ""), ("", group), *keys]

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

    def __init__(self, commands: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._commands = commands

    def compose(self) -> ComposeResult:
        """Mount the lines."""
        yield HelpPane(self._commands)
