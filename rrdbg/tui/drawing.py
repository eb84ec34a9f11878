"""From cells to strips: rows of characters with styles, and the glyphs of the timeline's lanes."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log1p

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

BARS = " ▁▂▃▄▅▆▇█"
"""Eight heights; index 0 is nothing."""


class Row:
    """One row of the screen, written cell by cell. Text outside the row is cut off."""

    def __init__(self, width: int, style: Style) -> None:
        self.chars = [" "] * width
        """One character per cell."""
        self.styles = [style] * width
        """One style per cell."""

    def write(self, column: int, text: str, style: Style) -> None:
        """Put `text` at `column`. Every character takes one cell."""
        for i, char in enumerate(text, column):
            if 0 <= i < len(self.chars):
                self.chars[i] = char
                self.styles[i] = style

    def tint(self, column: int, style: Style, width: int = 1) -> None:
        """Lay `style` over cells without changing their characters."""
        for i in range(max(column, 0), min(column + width, len(self.chars))):
            self.styles[i] = self.styles[i] + style

    def strip(self) -> Strip:
        """Return the row as a strip, neighbours of one style in one segment."""
        segments = []
        start = 0
        for i in range(1, len(self.chars) + 1):
            if i == len(self.chars) or self.styles[i] is not self.styles[start]:
                segments.append(Segment("".join(self.chars[start:i]), self.styles[start]))
                start = i
        return Strip(segments, len(self.chars))


def levels(counts: Sequence[int], top: int = 8) -> list[int]:
    """Return a height of 0 to `top` for each count, on a logarithmic scale; anything counted is at least 1.

    The rare and the frequent must both be seen: one trap among thousands of empty columns, and the shape of a storm.
    """
    highest = log1p(max(counts, default=0))
    if not highest:
        return [0] * len(counts)
    return [ceil(top * log1p(count) / highest) if count else 0 for count in counts]


def bars(row: Row, start: int, counts: Sequence[int], style: Style) -> None:
    """Draw counts as bars of eight heights."""
    for column, level in enumerate(levels(counts), start):
        if level:
            row.write(column, BARS[level], style)


def halves(row: Row, start: int, upper: Sequence[int], lower: Sequence[int], styles: tuple[Style, Style]) -> None:
    """Draw two lanes in one row: the upper one in the upper half of the cells, the lower one in the lower half."""
    for column, (above, below) in enumerate(zip(upper, lower, strict=True), start):
        if above and below:
            row.write(column, "▀", styles[0] + Style(bgcolor=styles[1].color))
        elif above:
            row.write(column, "▀", styles[0])
        elif below:
            row.write(column, "▄", styles[1])


def marks(row: Row, start: int, counts: Sequence[int], glyph: str, style: Style) -> None:
    """Draw `glyph` where something is."""
    for column, count in enumerate(counts, start):
        if count:
            row.write(column, glyph, style)


def spans(parts: Sequence[tuple[str, Style]], width: int, fill: Style) -> Strip:
    """Return a strip of exactly `width` cells from styled pieces of text (wide characters allowed)."""
    return Strip([Segment(text, style) for text, style in parts if text]).adjust_cell_length(width, fill)
