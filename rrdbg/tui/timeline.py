"""The timeline: the whole run in one row, a window of it below with a lane for each kind of thing that happens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from rrdbg.tui import drawing
from rrdbg.tui.lanes import BUSY, COUNTED, LANES, Lanes
from rrdbg.tui.lined import Lined
from rrdbg.tui.model import Peek
from rrdbg.tui.scale import TimeMap, Window, bin_points, tick_step, ticks, whole_run
from rrdbg.tui.text import clip, exact_count, grouped, short_count, short_ns, trimmed, visible

GUTTER = 9
"""Cells at the left for the names of the lanes."""

NOUNS = {"traps": "trap", "irqs": "interrupt", "console": "console byte", "input": "input", "snaps": "snapshot"}


class Timeline(Lined, can_focus=False):
    """The run as a picture to scrub through. Posts what the user asked for and draws what it is told."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"timeline--{name}"
        for name in (*LANES, "label", "axis", "title", "window", "handle", "outside", "cursor", "hover", "run", "error")
    }

    PREFIX: ClassVar[str] = "timeline"

    class Seek(Message):
        """The user clicked on a position, or dragged the cursor there."""

        def __init__(self, position: int, glide: str) -> None:
            self.position = position
            """Where to go."""
            self.glide = glide
            """Name of the drag: all of it is one jump."""
            super().__init__()

    class Pointed(Message):
        """The mouse is over another position."""

        def __init__(self, position: int | None) -> None:
            self.position = position
            """The position, or None: over none."""
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
        """Column under the mouse."""
        self.peek: Peek | None = None
        """What was looked up about the position under the mouse."""
        self.trouble = ""
        """Why the lanes are not known, or empty."""
        self._hovered = ""
        self._dragging = ""
        self._drags = 0
        self._grip = 0
        self._held = self.window
        self._dragged = False

    # what the app tells

    def open(self, total: int, time: TimeMap) -> None:
        """Take a run: its last position and its virtual time. Keeps the window when the run has only grown."""
        grown = not self.window.whole and self.total
        self.total, self.time = total, time
        self.look(replace(self.window, total=total) if grown else whole_run(total, self.columns))

    def show(self, cursor: int) -> None:
        """Move the cursor; the window follows it."""
        self.cursor = cursor
        window = self.window.follow(cursor) if not self._dragging else self.window
        if window != self.window:
            self.look(window)
        self.redraw()

    def set_marks(self, labels: dict[int, str]) -> None:
        """Take bookmarks and notes: their names by position."""
        self.labels, self.marks = labels, sorted(labels)
        self.redraw()

    def set_lanes(self, lanes: Lanes) -> None:
        """Take counts. Those of the whole run also make the overview."""
        if lanes.window.whole:
            self.overview = [sum(column) for column in zip(*(lanes.counts[lane] for lane in BUSY), strict=True)]
        if lanes.window == self.window:
            self.lanes = lanes
            self.trouble = ""
        self.redraw()

    def set_peek(self, peek: Peek | None) -> None:
        """Take what was looked up about the position under the mouse."""
        if peek != self.peek:
            self.peek = peek
            self.redraw()

    def fail(self, trouble: str) -> None:
        """Say why there are no counts."""
        self.trouble = trouble
        self.redraw()

    def look(self, window: Window) -> None:
        """Show a window."""
        self.window = replace(window, columns=self.columns)
        self.post_message(self.Looked(self.window))
        self.redraw()

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

    def draw_line(self, y: int) -> Strip:
        """Draw one row."""
        style = self.ground
        if y >= len(self.rows):
            return Strip.blank(self.size.width, style)
        name = self.rows[y]
        if name == "title":
            return self._title()
        row = drawing.Row(self.size.width, style)
        label = {"axis": "icount", "time": "virtual", "traps+irqs": "trap irq", "console+input": "out in"}.get(
            name, name
        )
        row.write(0, label.replace("marks+snaps", "mrk snap"), self.style("label"))
        if name == "run":
            self._overview(row)
        elif name in ("axis", "time"):
            self._axis(row, time=name == "time")
        else:
            self._lane(row, name.split("+"))
        return row.strip()

    def _lane(self, row: drawing.Row, names: list[str]) -> None:
        styles = [self.style(name) for name in names]
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
        if self.trouble and names[0] == "traps":
            row.write(GUTTER, f"⚠ not known: {visible(self.trouble)}", self.style("error"))
        if self._dragging == "zoom" and self.hover is not None:
            first, last = sorted((self._grip, self.hover))
            row.tint(GUTTER + first, self._shade("window"), last - first + 1)
        elif self.hover is not None and self._hovered != "run":
            row.tint(GUTTER + self.hover, self._shade("hover"))
        if self.window.contains(self.cursor):
            column = GUTTER + self.window.column(self.cursor)
            row.tint(column, self._shade("cursor"))

    def _overview(self, row: drawing.Row) -> None:
        whole = whole_run(self.total, self.columns)
        drawing.bars(row, GUTTER, Lanes(whole, {"": self._fit(self.overview)}).rescaled(whole, ""), self.style("run"))
        if not self.window.whole:
            first, last = self._band(whole)
            row.tint(GUTTER + first, self._shade("window"), last - first + 1)
            for column in (first, last):
                row.tint(GUTTER + column, self._shade("handle"))
        if self.hover is not None and self._hovered == "run":
            row.tint(GUTTER + self.hover, self._shade("hover"))
        column = GUTTER + whole.column(self.cursor)
        row.write(column, "┃", self.style("cursor"))

    def _axis(self, row: drawing.Row, *, time: bool) -> None:
        style = self.style("axis")
        step = tick_step(self.window.span, self.columns)
        end = 0
        for position in ticks(self.window, step):
            column = GUTTER + self.window.column(position)
            label = trimmed(short_ns(self.time.ns(position), 6)) if time else exact_count(position, step)
            if column >= end:
                row.write(column, "╷" if not time else "╵", style)
                if column + len(label) < self.size.width:
                    row.write(column + 1, label, style)
                elif column - len(label) >= end:  # half a number would be another one
                    row.write(column - len(label), label, style)
                end = column + len(label) + 2
        if self.window.contains(self.cursor):
            row.write(GUTTER + self.window.column(self.cursor), "▲" if time else "▼", self.style("cursor"))

    def _title(self) -> Strip:
        title, label = self.style("title"), self.style("label")
        left = clip(self.caption, max(self.size.width // 2, 20))
        if self.hover is not None:
            right, style = self.readout(self.hover), self.style("hover")
            left = clip(left, max(self.size.width - len(right) - 3, 8))
        else:
            right, style = self._window_text(), label
        right = clip(right, max(self.size.width - len(left) - 3, 0))
        gap = max(self.size.width - len(left) - len(right) - 2, 1)
        base = self.ground
        return drawing.spans([(" " + left, title), (" " * gap, base), (right + " ", style)], self.size.width, base)

    def _window_text(self) -> str:
        if self.window.whole:
            return f"whole run · {short_count(self.total)} steps · {short_ns(self.time.ns(self.total))}"
        start, stop = self.window.start, self.window.stop
        span = f"{short_count(self.window.span)} of {short_count(self.total)} steps"
        return f"{grouped(start)} – {grouped(stop - 1)} · {span}"

    def readout(self, column: int) -> str:
        """Return what is known about a column."""
        window = self._window_under(self._hovered)
        position = window.position(column)
        peek = self.peek if self.peek is not None and self.peek.position == position else None
        parts = [grouped(position), short_ns(self.time.ns(position) if peek is None else peek.virtual_ns, 6)]
        if peek is not None:
            parts.append(peek.where)
        for lane, noun in NOUNS.items() if window is self.window else ():
            count = self._counts(lane)[column]
            if count:
                parts.append(f"{short_count(count)} {noun}{'s' if count != 1 else ''}")
        if peek is not None:
            parts.append(peek.what)
        first, last = window.first(column), window.first(column + 1)
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

    def _shade(self, name: str) -> Style:
        return Style(bgcolor=self.style(name).bgcolor)

    # the mouse

    def on_resize(self) -> None:
        """Ask for counts that fit the new width."""
        if self.total:
            self.look(self.window if not self.window.whole else whole_run(self.total, self.columns))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Jump and start scrubbing; or take hold of the zoom window, or of one of its ends."""
        event.stop()
        column = self._column(event)
        row = self._row(event)
        self._drags += 1
        self._grip, self._held, self._dragged = column, self.window, False
        if event.button == 3 and row != "run":
            self._dragging = "zoom"
        elif row == "run" and (grip := self._gripped(column)):
            self._dragging = grip
        else:
            self._dragging = "run" if row == "run" else "lanes"
            self._seek(column)
        self.capture_mouse()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let go. A window that was clicked and not moved: go there."""
        if not self._dragging:
            return
        dragging, self._dragging = self._dragging, ""
        self.release_mouse()
        column = self._column(event)
        if dragging == "zoom":
            if self._dragged:
                self.look(self.window.between(self.window.position(self._grip), self.window.position(column)))
        elif dragging in ("run", "lanes"):
            self.show(self.cursor)
        elif not self._dragged:
            self._dragging = "run"
            self._seek(column)
            self._dragging = ""

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag while a button is down, else read out."""
        column = self._column(event)
        if self._dragging:
            self._dragged = self._dragged or column != self._grip
        if self._dragging in ("run", "lanes"):
            self._seek(column)
        elif self._dragging and self._dragging != "zoom" and self._dragged:
            self._drag_window(column)
        inside = 0 <= int(event.x) - GUTTER < self.columns
        row = self._row(event)
        if not self._dragging:
            self._hovered = row
        self._hover(column if inside and (self._dragging or row not in ("title", "")) else None)

    def _gripped(self, column: int) -> str:
        """Return what of the zoom window a column of the run's row holds: "start", "stop", "window" or nothing."""
        if self.window.whole:
            return ""
        first, last = self._band(whole_run(self.total, self.columns))
        if last - first < 2:  # too narrow to have ends inside
            return {first - 1: "start", last + 1: "stop"}.get(column, "window" if first <= column <= last else "")
        return {first: "start", last: "stop"}.get(column, "window" if first <= column <= last else "")

    def _band(self, whole: Window) -> tuple[int, int]:
        first = whole.column(self.window.start)
        return first, max(whole.column(self.window.stop - 1), first)

    def _drag_window(self, column: int) -> None:
        whole, held = whole_run(self.total, self.columns), self._held
        if self._dragging == "window":
            self.look(held.moved(whole.first(column) - whole.first(self._grip)))
        elif self._dragging == "start":
            self.look(held.between(min(whole.first(column), held.stop - 2), held.stop - 1))
        else:
            self.look(held.between(held.start, max(whole.first(column + 1) - 1, held.start + 1)))

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

    def _column(self, event: events.MouseEvent) -> int:
        return min(max(int(event.x) - GUTTER, 0), self.columns - 1)

    def _window_under(self, row: str) -> Window:
        return whole_run(self.total, self.columns) if row == "run" else self.window

    def _seek(self, column: int) -> None:
        window = self._window_under(self._dragging)
        self.post_message(self.Seek(window.position(column), f"drag {self._drags}"))

    def _hover(self, column: int | None) -> None:
        if column != self.hover or column is not None:
            self.hover = column
            position = None if column is None else self._window_under(self._hovered).position(column)
            if self.peek is not None and self.peek.position != position:
                self.peek = None
            self.post_message(self.Pointed(None if self._dragging else position))
            self.redraw()
