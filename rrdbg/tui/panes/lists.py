"""The panes that are lists: journal events, bookmarks and notes, and the output of commands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import ClassVar

from rrdbg.session.values import EventRow
from rrdbg.tui.model import MarkRow
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip, grouped, visible, wrapped

KINDS = {"uart_input": "input", "bh_oneshot": "oneshot"}
"""Kinds of events whose names are too long for the list."""

LOG_LINES = 20_000
"""Lines of command output kept."""


class EventsPane(Pane):
    """The journal: all that reached the guest from outside. Enter or a click goes there."""

    NAME = "Events"
    EMPTY = "this run had no input: its journal is empty"
    SELECTS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(id="events")
        self.events: list[EventRow] = []
        """The events known so far, in order."""
        self.total = 0
        """Events of the journal."""
        self.position = 0
        """The cursor."""

    def clear(self) -> None:
        """Forget the journal."""
        self.events, self.total = [], 0
        self.update()

    def extend(self, events: Sequence[EventRow], total: int) -> None:
        """Take the events that follow those known."""
        self.events += events
        self.total = total
        self.update()

    def show(self, position: int) -> None:
        """Move the cursor: the next event to come is selected."""
        self.position = position
        following = bisect_left(self.events, position, key=lambda event: event.icount)
        if self.events:
            self.selected = min(following, len(self.events) - 1)
            self.reveal(self.selected, centre=True)
        self.retitle(f"{following:_}/{self.total:_}" if self.events else "")
        self.redraw()

    def count(self) -> int:
        """Return the number of events."""
        return len(self.events)

    def line(self, index: int, width: int) -> Parts:
        """Return one event; those still to come are dim."""
        event = self.events[index]
        past = event.icount < self.position
        here = event.icount == self.position
        last = self.events[-1]
        digits, count = len(grouped(last.icount)), len(str(last.number))
        parts: Parts = [
            ("▶" if here else " ", self.style("accent")),
            (f"{grouped(event.icount):>{digits}} ", self.style("address" if past or here else "dim")),
            (f"#{event.number:<{count}} ", self.style("dim")),
            (f"{KINDS.get(event.kind, event.kind):<7} ", self.style("symbol" if past or here else "dim")),
        ]
        room = width - sum(len(text) for text, _ in parts)
        return [*parts, (clip(visible(event.text), room), self.style("string" if past or here else "dim"))]


class MarksPane(Pane):
    """Bookmarks and notes. Enter or a click goes there."""

    NAME = "Marks"
    EMPTY = "press m to bookmark this position, M to write a note"
    SELECTS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(id="marks")
        self.marks: Sequence[MarkRow] = ()
        """All marks, by position."""
        self.position = 0
        """The cursor."""

    def set_marks(self, marks: Sequence[MarkRow]) -> None:
        """Take the bookmarks and notes."""
        self.marks = sorted(marks, key=lambda mark: (mark.position, mark.name))
        self.update()

    def show(self, position: int) -> None:
        """Move the cursor."""
        self.position = position
        self.redraw()

    def count(self) -> int:
        """Return the number of marks."""
        return len(self.marks)

    def line(self, index: int, width: int) -> Parts:
        """Return one mark."""
        mark = self.marks[index]
        parts: Parts = [
            ("▶" if mark.position == self.position else " ", self.style("accent")),
            (f"{grouped(mark.position):>13} ", self.style("address")),
            ("◆ " if mark.name else "✎ ", self.style("accent")),
            (visible(mark.name) + "  " if mark.name else "", self.style("symbol")),
        ]
        room = width - sum(len(text) for text, _ in parts)
        return [*parts, (clip(visible(mark.text), room), self.style("string"))]


class LogPane(Pane):
    """What commands answered. Long lines are wrapped."""

    NAME = "Log"
    EMPTY = "answers of commands appear here; press : and type one"

    def __init__(self) -> None:
        super().__init__(id="log")
        self._lines: list[tuple[str, str]] = []
        self._top = 0
        self._rows: list[tuple[str, str]] = []
        self._starts: list[int] = []
        self._wrapped = 0

    def echo(self, text: str) -> None:
        """Add a command line; its answer is read from there on, however long it is."""
        self._top = len(self._lines)
        self.write(f": {text}", "accent")

    def write(self, text: str, style: str = "text") -> None:
        """Add text, in one of the pane's styles, and scroll to where the answer starts."""
        lines = [(visible(line.expandtabs(8)), style) for line in text.rstrip("\n").split("\n")]
        self._lines += lines
        if len(self._lines) > LOG_LINES:
            cut = len(self._lines) - LOG_LINES
            del self._lines[:cut]
            self._top = max(self._top - cut, 0)
            self._wrapped = 0
        elif self._wrapped:
            self._wrap(lines)
        self.update()
        self.call_after_refresh(self._show_answer)

    def _wrap(self, lines: Sequence[tuple[str, str]]) -> None:
        for text, style in lines:
            self._starts.append(len(self._rows))
            self._rows += [(piece, style) for piece in wrapped(text, self._wrapped)]

    def update(self) -> None:
        """Wrap again when the width changed, then draw."""
        width = self.scrollable_content_region.width
        if width != self._wrapped and width > 0:
            self._wrapped, self._rows, self._starts = width, [], []
            self._wrap(self._lines)
        super().update()

    def on_resize(self) -> None:
        """Keep the answer in view."""
        super().on_resize()
        self._show_answer()

    def _show_answer(self) -> None:
        if self._top < len(self._starts):
            self.scroll_to_row(self._starts[self._top])

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def line(self, index: int, width: int) -> Parts:
        """Return one row."""
        text, style = self._rows[index]
        return [(text, self.style(style))]
