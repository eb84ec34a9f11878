"""The timeline: the whole run in one row, a window of it below with a lane for each kind of thing that happens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from rrdbg.tui import drawing
from rrdbg.tui.lanes import BUSY, COUNTED, LANES, Lanes
from rrdbg.tui.scale import TimeMap, Window, bin_points, tick_step, ticks, whole_run
from rrdbg.tui.text import clip, exact_count, grouped, short_count, short_ns, trimmed

GUTTER = 9
"""Cells at the left for the names of the lanes."""

NOUNS = {"traps": "trap", "irqs": "interrupt", "console": "console byte", "input": "input", "snaps": "snapshot"}


class Timeline(Widget, can_focus=False):
    """The run as a picture to scrub through. Posts what the user asked for and draws what it is told."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"timeline--{name}"
        for name in (*LANES, "label", "axis", "title", "window", "outside", "cursor", "hover", "run")
    }

    class Seek(Message):
        """The user pointed at a position."""

        def __init__(self, position: int) -> None:
            self.position = position
            """Where to go."""
            super().__init__()

    class Looked(Message):
        """The window or its width changed: new counts are wanted."""

        def __init__(self, window: Window) -> None:
            self.window = window
            """The window now shown."""
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.total = 0
        """Last position of the run."""
        self.cursor = 0
        """Position shown by the panes."""
        self.caption = ""
        """Left part of the title row: what is open."""
        self.time = TimeMap(0)
        """Virtual time of positions."""
        self.marks: Sequence[int] = ()
        """Ascending positions of bookmarks and notes."""
        self.labels: dict[int, str] = {}
        """Names of bookmarks by position, for the hover read-out."""
        self.window = whole_run(0, 1)
        """What the lanes show."""
        self.lanes = Lanes(self.window)
        """Latest counts."""
        self.overview: Sequence[int] = ()
        """Activity of the whole run, one count per column."""
        self.hover: int | None = None
        """Column of the lanes under the mouse."""
        self._dragging: str | None = None
        self._base = Style()

    # what the app tells

    def open(self, total: int, time: TimeMap) -> None:
        """Take a run: its last position and its virtual time. Keeps the window when the run has only grown."""
        grown = not self.window.whole and self.total
        self.total, self.time = total, time
        self.look(replace(self.window, total=total) if grown else whole_run(total, self.columns))

    def show(self, cursor: int) -> None:
        """Move the cursor; the window follows it."""
        self.cursor = cursor
        window = self.window.follow(cursor) if self._dragging != "lanes" else self.window
        if window != self.window:
            self.look(window)
        self.refresh()

    def set_marks(self, labels: dict[int, str]) -> None:
        """Take bookmarks and notes: their names by position."""
        self.labels, self.marks = labels, sorted(labels)
        self.refresh()

    def set_lanes(self, lanes: Lanes) -> None:
        """Take counts. Those of the whole run also make the overview."""
        if lanes.window.whole:
            self.overview = [sum(column) for column in zip(*(lanes.counts[lane] for lane in BUSY), strict=True)]
        if lanes.window == self.window:
            self.lanes = lanes
        self.refresh()

    def look(self, window: Window) -> None:
        """Show a window."""
        self.window = replace(window, columns=self.columns)
        self.post_message(self.Looked(self.window))
        self.refresh()

    def zoom(self, factor: float, around: int | None = None) -> None:
        """Zoom by `factor` around a position (the cursor unless told); 0 shows the whole run."""
        if factor == 0:
            self.look(whole_run(self.total, self.columns))
        else:
            self.look(self.window.zoom(factor, self.cursor if around is None else around))

    # geometry

    @property
    def columns(self) -> int:
        """Cells that stand for time."""
        return max(self.size.width - GUTTER - 1, 1)

    @property
    def compact(self) -> bool:
        """Whether two lanes share a row."""
        return self.size.height < 10

    @property
    def rows(self) -> tuple[str, ...]:
        """What each row shows, top to bottom."""
        if self.compact:
            return ("title", "run", "axis", "traps+irqs", "console+input", "marks+snaps")[: self.size.height]
        return ("title", "run", "axis", *LANES, "time")

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return ten rows where there is room, six on small screens, and next to nothing on tiny ones."""
        return next(rows for least, rows in ((36, 10), (18, 6), (12, 3), (0, 2)) if viewport.height >= least)

    # drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw rows; what they have in common is looked up once."""
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        style = self._base
        if y >= len(self.rows):
            return Strip.blank(self.size.width, style)
        name = self.rows[y]
        if name == "title":
            return self._title()
        row = drawing.Row(self.size.width, style)
        label = {"axis": "icount", "time": "virtual", "traps+irqs": "trap irq", "console+input": "out in"}.get(
            name, name
        )
        row.write(0, label.replace("marks+snaps", "mrk snap"), self.get_component_rich_style("timeline--label"))
        if name == "run":
            self._overview(row)
        elif name in ("axis", "time"):
            self._axis(row, time=name == "time")
        else:
            self._lane(row, name.split("+"))
        return row.strip()

    def _lane(self, row: drawing.Row, names: list[str]) -> None:
        styles = [self._style(name) for name in names]
        data = [self._counts(name) for name in names]
        if names[0] == "marks":
            for counts, style, glyph in zip(
                reversed(data), reversed(styles), "╵◆" if len(names) > 1 else "◆", strict=True
            ):
                drawing.marks(row, GUTTER, counts, glyph, style)
        elif len(names) > 1:
            drawing.halves(row, GUTTER, data[0], data[1], (styles[0], styles[1]))
        elif names[0] in BUSY:
            drawing.bars(row, GUTTER, data[0], styles[0])
        else:
            drawing.marks(row, GUTTER, data[0], "╵" if names[0] == "snaps" else "▼", styles[0])
        if self.hover is not None:
            row.tint(GUTTER + self.hover, self._shade("hover"))
        if self.window.contains(self.cursor):
            column = GUTTER + self.window.column(self.cursor)
            row.tint(column, self._shade("cursor"))

    def _overview(self, row: drawing.Row) -> None:
        whole = whole_run(self.total, self.columns)
        drawing.bars(row, GUTTER, Lanes(whole, {"": self._fit(self.overview)}).rescaled(whole, ""), self._style("run"))
        if not self.window.whole:
            first = whole.column(self.window.start)
            row.tint(GUTTER + first, self._shade("window"), max(whole.column(self.window.stop - 1) - first + 1, 1))
        column = GUTTER + whole.column(self.cursor)
        row.write(column, "┃", self._style("cursor"))

    def _axis(self, row: drawing.Row, *, time: bool) -> None:
        style = self._style("axis")
        step = tick_step(self.window.span, self.columns)
        end = 0
        for position in ticks(self.window, step):
            column = GUTTER + self.window.column(position)
            label = trimmed(short_ns(self.time.ns(position), 6)) if time else exact_count(position, step)
            if column >= end:
                row.write(column, "╷" if not time else "╵", style)
                row.write(column + 1, label, style)
                end = column + len(label) + 2
        if self.window.contains(self.cursor):
            row.write(GUTTER + self.window.column(self.cursor), "▲" if time else "▼", self._style("cursor"))

    def _title(self) -> Strip:
        title, label = self._style("title"), self._style("label")
        left = clip(self.caption, max(self.size.width // 2, 20))
        if self.hover is not None:
            right, style = self.readout(self.hover), self._style("hover")
        else:
            right, style = self._window_text(), label
        right = clip(right, max(self.size.width - len(left) - 3, 0))
        gap = max(self.size.width - len(left) - len(right) - 2, 1)
        base = self._base
        return drawing.spans([(" " + left, title), (" " * gap, base), (right + " ", style)], self.size.width, base)

    def _window_text(self) -> str:
        if self.window.whole:
            return f"whole run · {short_count(self.total)} steps · {short_ns(self.time.ns(self.total))}"
        start, stop = self.window.start, self.window.stop
        span = f"{short_count(self.window.span)} of {short_count(self.total)} steps"
        return f"{grouped(start)} – {grouped(stop - 1)} · {span}"

    def readout(self, column: int) -> str:
        """Return what is known about a column of the lanes."""
        position = self.window.position(column)
        parts = [grouped(position), short_ns(self.time.ns(position), 6)]
        for lane, noun in NOUNS.items():
            count = self._counts(lane)[column]
            if count:
                parts.append(f"{short_count(count)} {noun}{'s' if count != 1 else ''}")
        first, last = self.window.first(column), self.window.first(column + 1)
        names = [self.labels[p] for p in self.marks[bisect_left(self.marks, first) : bisect_left(self.marks, last)]]
        parts += [f"◆ {name}" for name in names[:3] if name]
        return " · ".join(parts)

    def _counts(self, lane: str) -> list[int]:
        if lane in COUNTED:
            return self.lanes.rescaled(self.window, lane)
        return bin_points(self.window, self.marks)

    def _fit(self, counts: Sequence[int]) -> list[int]:
        columns = self.columns
        return [counts[i * len(counts) // columns] for i in range(columns)] if counts else [0] * columns

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"timeline--{name}")

    def _shade(self, name: str) -> Style:
        return Style(bgcolor=self._style(name).bgcolor)

    # the mouse

    def on_resize(self) -> None:
        """Ask for counts that fit the new width."""
        if self.total:
            self.look(self.window if not self.window.whole else whole_run(self.total, self.columns))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Jump, and start scrubbing."""
        event.stop()
        self._dragging = "run" if self._row(event) == "run" else "lanes"
        self.capture_mouse()
        self._seek(event)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Stop scrubbing."""
        if self._dragging:
            self._dragging = None
            self.release_mouse()
            self.show(self.cursor)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Scrub while a button is down, else read out."""
        if self._dragging:
            self._seek(event)
        column = int(event.x) - GUTTER
        self._hover(column if 0 <= column < self.columns and self._row(event) not in ("title", "run") else None)

    def on_leave(self) -> None:
        """Forget the hovered column."""
        self._hover(None)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in at the mouse; with Shift, pan left."""
        self._wheel(event, -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out at the mouse; with Shift, pan right."""
        self._wheel(event, 1)

    def on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        """Pan left."""
        event.stop()
        self.look(self.window.pan(-0.1))

    def on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        """Pan right."""
        event.stop()
        self.look(self.window.pan(0.1))

    def _wheel(self, event: events.MouseEvent, direction: int) -> None:
        event.stop()
        if event.shift or event.ctrl:
            self.look(self.window.pan(direction / 8))
        else:
            around = self.window.position(min(max(int(event.x) - GUTTER, 0), self.columns - 1))
            self.zoom(1.5 if direction > 0 else 1 / 1.5, around)

    def _row(self, event: events.MouseEvent) -> str:
        y = int(event.y)
        return self.rows[y] if 0 <= y < len(self.rows) else ""

    def _seek(self, event: events.MouseEvent) -> None:
        column = min(max(int(event.x) - GUTTER, 0), self.columns - 1)
        window = whole_run(self.total, self.columns) if self._dragging == "run" else self.window
        self.post_message(self.Seek(window.position(column)))

    def _hover(self, column: int | None) -> None:
        if column != self.hover:
            self.hover = column
            self.refresh(Region(0, 0, self.size.width, self.size.height))
