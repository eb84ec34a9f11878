"""Source text around the selected frame, shaded by what was executed shortly before and what soon will be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style

from rrdbg.session.program import LineVisit, SourceFile
from rrdbg.session.values import Location, Point, PointKind
from rrdbg.tui.model import NEAR, Place, Program, Trail
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.syntax import Highlighter
from rrdbg.tui.text import visible, wrapped

TAB = 4
"""Cells of a tab stop: panes are narrow."""

TO_DO = "l shows the disassembly. A recording made with --embed-sources carries its sources."


def ranks(visits: Sequence[LineVisit], position: int) -> tuple[dict[tuple[str, int], int], dict[tuple[str, int], int]]:
    """Return how many lines ago, and in how many lines, each line was and will be executed; 0: the last, the next."""
    past: dict[tuple[str, int], int] = {}
    future: dict[tuple[str, int], int] = {}
    for visit in reversed(visits):
        if visit.icount + visit.steps <= position:
            past.setdefault((visit.file, visit.line), len(past))
    for visit in visits:
        if visit.icount > position:
            future.setdefault((visit.file, visit.line), len(future))
    return past, future


def shade(rank: int | None) -> int:
    """Return the strength of a shade from 3 (nearest) to 0 (none)."""
    if rank is None:
        return 0
    return next((3 - i for i, limit in enumerate(NEAR) if rank < limit), 0)


class SourcePane(Pane):
    """A source file with the current line, breakpoints and the trail of execution."""

    NAME = "Source"
    EMPTY = "no source yet"
    SELECTS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(id="source")
        self.file: SourceFile | None = None
        """What is shown."""
        self.current = 0
        """The line about to be executed, if it is in this file; else 0."""
        self.call = 0
        """The line of the selected frame's call, if a caller is selected and it is in this file; else 0."""
        self._text: list[str] = []
        self._colours: Highlighter | None = None
        self._code: frozenset[int] = frozenset()
        self._message: list[str] = []
        self._missing = ""
        self._points: dict[int, bool] = {}
        self._all_points: Sequence[Point] = ()
        self._trail = Trail(0)
        self._past: dict[tuple[str, int], int] = {}
        self._future: dict[tuple[str, int], int] = {}
        self._digits = 1

    # what the app tells

    def show(self, program: Program) -> None:
        """Take a new position or frame."""
        innermost = program.frames[0].location if program.frames else program.location
        self._take(program.source, program.missing)
        name = self.file.file if self.file is not None else ""
        self.current = innermost.line if innermost.file == name else 0
        self.call = program.location.line if program.frame and program.location.file == name else 0
        self._goto(program.location)

    def glance(self, file: str, line: int) -> bool:
        """Move the current line at once, if it stays in this file: the rest of what `show` takes arrives later."""
        if self.file is None or self.file.file != file:
            return False
        self.current, self.call = line, 0
        self._goto(Location(0, file=file, line=line))
        return True

    def open(self, source: SourceFile, line: int) -> None:
        """Take another file and the current line in it."""
        self._take(source, "")
        self.glance(source.file, line)

    def look(self, place: Place) -> None:
        """Show another place of the program; where it stands is marked only if it is in the same file."""
        if place.source is None or self.file is None or place.source.file != self.file.file:
            self.current = self.call = 0
        self._take(place.source, place.missing)
        self._goto(place.location)

    def set_points(self, points: Sequence[Point]) -> None:
        """Take the breakpoints."""
        self._all_points = points
        name = self.file.file if self.file is not None else ""
        self._points = {
            place.line: point.enabled
            for point in points
            if point.kind is PointKind.BREAK and point.location is not None
            for place in (point.location, *point.more)
            if place.file == name
        }
        self.redraw()

    def set_trail(self, trail: Trail) -> None:
        """Take the lines executed around the cursor."""
        self._trail = trail
        self._past, self._future = ranks(trail.visits, trail.position)
        self.redraw()

    def _take(self, source: SourceFile | None, missing: str) -> None:
        self._missing = missing if source is None else ""
        if source is not None and (self.file is None or source.lines is not self.file.lines):
            self._text = [visible(text.rstrip().expandtabs(TAB)) for text in source.lines]
            self._colours = Highlighter(source.file, self._text)
            self._code = frozenset(source.code)
            self._digits = len(str(len(self._text)))
        self.file = source
        self.set_points(self._all_points)

    def _goto(self, location: Location) -> None:
        if self.file is not None:
            self.selected = max(location.line - 1, 0)
        self.retitle(visible(f"{location.file.rsplit('/', 1)[-1]}:{location.line}") if location.line else "")
        self.update()
        if self.file is not None:
            height = self.scrollable_content_region.height
            self.reveal(self.selected, centre=True)
            # What comes next matters most: a few lines of it.
            self.reveal(min(self.selected + min(3, height // 3), max(self.count() - 1, 0)))

    # what the app asks

    def place(self, index: int | None = None) -> str:
        """Return a row as `file:line`; None: the selected one. Empty without source."""
        if self.file is None:
            return ""
        return f"{self.file.file}:{(self.selected if index is None else index) + 1}"

    # drawing

    def update(self) -> None:
        """Wrap the message to the width, then draw."""
        width = max(self.scrollable_content_region.width - 2, 10)
        self._message = []
        if self.file is None and self._missing:
            for text in (*self._missing.splitlines(), "", TO_DO):
                self._message += wrapped(visible(text), width)
        super().update()

    def count(self) -> int:
        """Return the number of lines, or of those of the message; a round number: each new one costs a layout."""
        return -(-len(self._text) // 64) * 64 if self.file is not None else len(self._message)

    def line(self, index: int, width: int) -> Parts:
        """Return one line."""
        if self.file is None:
            style = self.style("error") if index == 0 else self.style("text")
            return [(f" {self._message[index]}", style)]
        if index >= len(self._text):
            return []
        number = index + 1
        key = (self.file.file, number)
        past, future = shade(self._past.get(key)), shade(self._future.get(key))
        here, call = number == self.current, number == self.call
        back = self._back(past, future)
        if here and not self.call:
            back = Style(bgcolor=self.style("current").bgcolor)
        elif call:
            back = Style(bgcolor=self.style("call").bgcolor)
        stop = self._points.get(number)
        has_code = not self._code or number in self._code
        parts: Parts = [
            (" " if stop is None else "●" if stop else "○", self.style("error")),
            ("▶" if here else "▷" if call else " ", self.style("accent")),
            self._trail_part(past, future),
            (f"{number:>{self._digits}} ", self.style("address" if has_code else "dim") + back),
        ]
        room = width - self._digits - 4
        used = 0
        assert self._colours is not None
        cut = len(self._text[index]) > room
        for text, kind in self._colours.line(index):
            piece = text[: room - cut - used]
            used += len(piece)
            if cut and used == room - 1:
                piece, used = piece + "…", room
            style = self.style(kind) if kind else self.style("text")
            if here and not kind:
                style = style + Style(bold=True)
            parts.append((piece, style + back))
            if used >= room:
                break
        parts.append((" " * max(room - used, 0), back))
        return parts

    def _back(self, past: int, future: int) -> Style:
        # The nearer one shows; in a loop both are near, and what was wins: it is known to have happened to here.
        if past >= future and past:
            return Style(bgcolor=self.style(f"past{past}").bgcolor)
        return Style(bgcolor=self.style(f"future{future}").bgcolor) if future else Style()

    def _trail_part(self, past: int, future: int) -> tuple[str, Style]:
        """One cell: the left half says what was executed, the right half what will be. Read without colours too."""
        if past and future:
            return "█", Style(color=self.style("past").color, bgcolor=self.style("future").color)
        if past:
            return "▌", self.style("past") if past > 1 else self.style("past") + Style(dim=True)
        if future:
            return "▐", self.style("future") if future > 1 else self.style("future") + Style(dim=True)
        return " ", Style()
