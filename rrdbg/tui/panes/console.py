"""The guest's console as it stood at the cursor; what came later is dim. A click goes to the moment that printed it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

from textual.geometry import Size

from rrdbg.session.values import ConsoleChunk
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import visible

TAB = 8


class ConsolePane(Pane):
    """Console output, wrapped to the pane. Control sequences of the guest are shown, not obeyed."""

    NAME = "Console"
    EMPTY = "the guest has printed nothing"
    SELECTS: ClassVar[bool] = True
    ANCHOR: ClassVar[float] = 1.0

    def __init__(self) -> None:
        super().__init__(id="console")
        self.data = b""
        """The output known so far, from the start of the run on."""
        self.positions: list[int] = []
        """Position at which each chunk is visible, ascending."""
        self.ends: list[int] = []
        """Offset in `data` at which each chunk ends, ascending."""
        self.complete = False
        """Whether `data` reaches the end of the run."""
        self.printed = 0
        """Bytes that are out at the cursor."""
        self._rows: list[tuple[int, int]] = []
        self._wrapped = 0

    def clear(self) -> None:
        """Forget the output."""
        self.data, self.positions, self.ends, self._rows, self.printed = b"", [], [], [], 0
        self.complete = False
        self.update()

    def extend(self, chunks: Sequence[ConsoleChunk], *, last: bool) -> None:
        """Take the output that follows what is known; `last`: there is no more."""
        end = len(self.data)
        for chunk in chunks:
            end += len(chunk.data)
            self.positions.append(chunk.icount)
            self.ends.append(end)
        self.data += b"".join(chunk.data for chunk in chunks)
        self.complete = last
        if self._wrapped:
            # Only what is new, and the row it continues, is wrapped.
            start = self._rows.pop()[0] if self._rows else 0
            self._rows += _wrap(self.data, self._wrapped, start)
        self.update()

    def show(self, position: int) -> None:
        """Move the cursor."""
        index = bisect_right(self.positions, position)
        self.printed = self.ends[index - 1] if index else 0
        if self._rows:
            row = self.row_of(max(self.printed - 1, 0))
            self.selected = row
            self.reveal(row)
        later = len(self.data) - self.printed
        more = "" if self.complete else " or more"
        self.retitle(f"{later:_}{more} bytes later" if later or more else "")
        self.update()

    def position_of(self, index: int) -> int | None:
        """Return the position right after the first byte of a row appeared."""
        start, end = self._rows[index]
        chunk = bisect_right(self.ends, start)
        return self.positions[chunk] if chunk < len(self.positions) and end > start else None

    def row_of(self, offset: int) -> int:
        """Return the row that shows a byte of the output."""
        return max(bisect_right(self._rows, (offset, len(self.data) + 1)) - 1, 0)

    def update(self) -> None:
        """Wrap again when the width changed, then draw."""
        width = self.scrollable_content_region.width
        if width != self._wrapped and width > 0:
            self._wrapped = width
            self._rows = _wrap(self.data, width, 0)
            self.virtual_size = Size(width, len(self._rows))
            self.selected = self.row_of(max(self.printed - 1, 0))
            self.reveal(self.selected)
        super().update()

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def line(self, index: int, width: int) -> Parts:
        """Return one row: bright up to the cursor, dim beyond."""
        start, end = self._rows[index]
        cut = min(max(self.printed, start), end)
        out, later = self.data[start:cut], self.data[cut:end]
        parts: Parts = [(_shown(out), self.style("text"))]
        if start < self.printed <= end and self.printed == cut and (later or index == self.row_of(self.printed - 1)):
            parts.append(("▏", self.style("accent")))
        parts.append((_shown(later), self.style("dim")))
        return parts


def _shown(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace")
    return visible(text.rstrip("\r\n").expandtabs(TAB))


def _wrap(data: bytes, width: int, start: int) -> list[tuple[int, int]]:
    """Return (start, end) offsets of the rows: lines end at LF, long ones are broken every `width` bytes."""
    rows = []
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        while end - start > width + 1:
            cut = start + width
            while cut > start and data[cut] & 0xC0 == 0x80:  # not inside a UTF-8 sequence
                cut -= 1
            cut = cut if cut > start else start + width
            rows.append((start, cut))
            start = cut
        rows.append((start, end))
        start = end
    return rows
