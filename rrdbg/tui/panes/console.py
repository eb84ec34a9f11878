"""The guest's console as it stood at the cursor; what came later is dim. A click goes to the step that printed it."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.geometry import Size

from rrdbg.session.values import ConsoleChunk, ConsoleOutput
from rrdbg.tui.ansi import PLAIN, Cell, Transcript, cells, rows
from rrdbg.tui.pane import Pane, Parts, bindings
from rrdbg.tui.text import grouped, visible


class ConsolePane(Pane):
    """Console output, wrapped to the pane. Colours of the guest are obeyed, other control sequences left out."""

    NAME = "Console"
    SELECTS: ClassVar[bool] = True
    ANCHOR: ClassVar[float] = 1.0
    BINDINGS: ClassVar[list[BindingType]] = bindings("console")

    def __init__(self) -> None:
        super().__init__(id="console")
        self.data = b""
        """The output known so far, from the start of the run on."""
        self.positions = array("q")
        """Position at which each chunk is visible, ascending."""
        self.ends = array("q")
        """Offset in `data` at which each chunk ends, ascending."""
        self.complete = False
        """Whether `data` reaches the end of the run."""
        self.printed = 0
        """Bytes that are out at the cursor."""
        self.pattern = ""
        """What is searched; empty: nothing."""
        self.matches: list[tuple[int, int]] = []
        """Where it was found: offsets in `data`."""
        self.match = -1
        """Number of the match that is looked at."""
        self.trouble = ""
        """Why there is no more output, if reading it failed."""
        self.reading = ""
        """How far the reading is."""
        self._searched_from = 0
        self._transcript = Transcript()
        self._rows: list[tuple[int, int]] = []
        self._wrapped = 0

    def clear(self) -> None:
        """Forget the output."""
        self.data, self.positions, self.ends, self._rows, self.printed = b"", array("q"), array("q"), [], 0
        self.complete, self.trouble, self.reading = False, "", ""
        self._transcript = Transcript()
        self.search("")

    @property
    def output(self) -> ConsoleOutput:
        """The output known so far."""
        return ConsoleOutput(self.positions.tobytes(), self.ends.tobytes(), self.data)

    def extend(self, chunks: Sequence[ConsoleChunk], *, last: bool) -> None:
        """Take the output that follows what is known; `last`: there is no more."""
        output = ConsoleOutput.of(chunks)
        self.positions.frombytes(output.positions)
        self.ends.extend(map(len(self.data).__add__, output.until))
        self.data += output.data
        self._transcript.extend(self.data)
        self.complete, self.trouble = last, ""
        if last:
            self.reading = ""
        if self._wrapped and chunks:
            # Only what is new, and the row it continues, is wrapped.
            start = self._rows.pop()[0] if self._rows else 0
            self._rows += rows(self.data, self._wrapped, start)
        if self.pattern and chunks:
            self.matches = self._transcript.find(self.pattern)
        self.update()

    def fail(self, trouble: str) -> None:
        """Say why there is no more output."""
        self.trouble, self.reading = trouble, ""
        self._tell()
        self.update()

    def progress(self, text: str) -> None:
        """Say how far the reading is."""
        self.reading = text
        self._tell()
        self.redraw()

    def show(self, position: int) -> None:
        """Move the cursor."""
        index = bisect_right(self.positions, position)
        self.printed = self.ends[index - 1] if index else 0
        if self._rows:
            row = self.row_of(max(self.printed - 1, 0))
            self.selected = row
            self.reveal(row)
        self._tell()
        self.update()

    def _tell(self) -> None:
        later = len(self.data) - self.printed
        note = f"{grouped(later)} bytes later" if later else ""
        if self.pattern:
            count = f"{self.match + 1}/{grouped(len(self.matches))}" if self.matches else "no match"
            note = f"/{visible(self.pattern)}  {count}"
        if self.trouble:
            note = "⚠ not all could be read"
        elif not self.complete:
            note = f"{note} and more to come {self.reading}".strip()
        self.retitle(note)

    def empty(self) -> str:
        """Return what stands there without output."""
        if self.trouble:
            return f"⚠ the output is not known: {visible(self.trouble)}"
        return "the guest has printed nothing" if self.complete else f"reading the output {self.reading}".rstrip()

    # searching

    def search(self, pattern: str) -> None:
        """Look for a text in the whole output, from the line on where the search began."""
        if not self.pattern and pattern:
            self._searched_from = self._rows[self.selected][0] if self.selected < len(self._rows) else 0
        self.pattern = pattern
        self.matches = self._transcript.find(pattern)
        self.match = -1
        if self.matches:
            first = bisect_left(self.matches, (self._searched_from, 0))
            self._look(first % len(self.matches))
        elif self._rows and pattern:
            self.select(self.row_of(self._searched_from))
        self._tell()
        self.redraw()

    def go_on(self, direction: int) -> bool:
        """Look at the next or the previous match, around the end; return whether there is one."""
        if not self.matches:
            return False
        self._look((self.match + direction) % len(self.matches))
        self._tell()
        return True

    def leave_search(self) -> None:
        """Forget the search and return to where it began."""
        start = self._searched_from
        self.search("")
        if self._rows:
            self.select(self.row_of(start))

    def _look(self, number: int) -> None:
        self.match = number
        row = self.row_of(self.matches[number][0])
        self.selected = row
        self.reveal(row, centre=True)
        self.redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the keys of a search to others while there is none."""
        return bool(self.pattern) if action == "match" else True

    def action_match(self, direction: int) -> None:
        """Look at another match."""
        self.go_on(direction)

    # places

    def position_of(self, index: int, column: int | None = None) -> int | None:
        """Return the position before the step that printed a character: that in a column, or the first of the row."""
        shown = self._cells(index)
        offset = self._rows[index][0]
        if shown:
            offset = shown[0].offset
            edge = 0
            for cell in shown if column is not None else ():
                offset = cell.offset
                edge += cell.width
                if column is not None and column < edge:
                    break
        chunk = bisect_right(self.ends, offset)
        return max(self.positions[chunk] - 1, 0) if chunk < len(self.positions) else None

    def row_of(self, offset: int) -> int:
        """Return the row that shows a byte of the output."""
        return max(bisect_right(self._rows, (offset, len(self.data) + 1)) - 1, 0)

    def update(self) -> None:
        """Wrap again when the width changed, then draw."""
        width = self.scrollable_content_region.width
        if width != self._wrapped and width > 0:
            self._wrapped = width
            self._rows = rows(self.data, width, 0)
            self.virtual_size = Size(width, len(self._rows))
            self.selected = self.row_of(max(self.printed - 1, 0))
            self.reveal(self.selected)
        super().update()

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def _cells(self, index: int) -> list[Cell]:
        start, end = self._rows[index]
        return list(cells(self.data, start, end, self._transcript.look(start)))

    def line(self, index: int, width: int) -> Parts:
        """Return one row: bright up to the cursor, dim beyond."""
        start, end = self._rows[index]
        text, dim = self.style("text"), self.style("dim")
        parts: Parts = []
        first = bisect_right(self.matches, (start, -1)) - 1 if self.matches else 0
        near = self.matches[max(first, 0) : bisect_left(self.matches, (end, 0))] if self.matches else []
        current = self.matches[self.match] if 0 <= self.match < len(self.matches) else None
        caret = False
        for cell in self._cells(index):
            if not caret and cell.offset >= self.printed:
                caret = True
                if start < self.printed:
                    parts.append(("▏", self.style("accent")))
            style = dim if caret else text if cell.look is PLAIN else text + cell.look.style()
            hit = next(((a, b) for a, b in near if a <= cell.offset < b), None)
            if hit is not None:
                style = self.style("match") if hit == current else style + self.style("call")
            if parts and parts[-1][1] is style:
                parts[-1] = (parts[-1][0] + cell.text, style)
            else:
                parts.append((cell.text, style))
        if not caret and self.printed <= end and index == self.row_of(max(self.printed - 1, 0)) and self.printed:
            parts.append(("▏", self.style("accent")))
        return parts
