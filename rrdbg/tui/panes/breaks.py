"""Breakpoints, watchpoints and catchpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rrdbg.session.values import Point
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip, visible


class BreaksPane(Pane):
    """The points, by number. Enter shows the place; a click on the mark disables or enables."""

    NAME = "Breaks"
    EMPTY = "no breakpoints: b sets one at the selected line, :watch and :catch others"
    SELECTS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(id="breaks")
        self.points: Sequence[Point] = ()
        """What is listed."""
        self.stopped: Sequence[int] = ()
        """Numbers of the points at which the program stands."""

    def set_points(self, points: Sequence[Point]) -> None:
        """Take the points."""
        self.points = points
        self.retitle(str(len(points)) if points else "")
        self.update()

    def row(self, index: int | None = None) -> Point | None:
        """Return a point; None: the selected one."""
        index = self.selected if index is None else index
        return self.points[index] if 0 <= index < len(self.points) else None

    def count(self) -> int:
        """Return the number of points."""
        return len(self.points)

    def line(self, index: int, width: int) -> Parts:
        """Return one point."""
        point = self.points[index]
        where = ""
        if point.location is not None and point.location.text:
            where = point.location.text
            if point.location.line:
                where += f" {point.location.file.rsplit('/', 1)[-1]}:{point.location.line}"
        elif point.address is not None:
            where = f"{point.address:x}"
        if point.more:
            where = f"{1 + len(point.more)} places: {where}"
        extra = "".join(
            (
                f" if {point.condition}" if point.condition else "",
                " once" if point.temporary else "",
                f" skips {point.ignore}" if point.ignore else "",
            )
        )
        hits = f" hit {point.hits}" if point.hits else ""
        bright = "text" if point.enabled else "dim"
        parts: Parts = [
            (" ● " if point.enabled else " ○ ", self.style("error")),
            (f"{point.number:<2} ", self.style("address")),
            (f"{point.kind.value:<6} ", self.style("symbol" if point.enabled else "dim")),
        ]
        room = width - 13 - len(hits)
        rest: Parts = [(visible(point.what), self.style(bright))]
        if extra:
            rest.append((visible(extra), self.style("accent" if point.enabled else "dim")))
        if where and where != point.what:
            rest.append((f"  {visible(where)}", self.style("dim")))
        for text, style in rest:
            parts.append((clip(text, room), style))
            room = max(room - len(text), 0)
        return [*parts, (" " * room + hits, self.style("dim"))]
