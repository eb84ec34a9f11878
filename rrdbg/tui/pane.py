"""The base of all panes: lines drawn on demand, however many there are, with an optional selected line."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from rrdbg.tui.drawing import spans
from rrdbg.tui.keys import KEYS
from rrdbg.tui.lined import Lined
from rrdbg.tui.text import clip

LEGIBLE = 6
"""Cells without which a note in a title says nothing."""

Parts = list[tuple[str, Style]]
"""A line as pieces of text with their styles."""

STYLES = {
    f"pane--{name}"
    for name in (
        "text",
        "dim",
        "address",
        "symbol",
        "changed",
        "current",
        "selected",
        "error",
        "accent",
        "string",
        "number",
        "comment",
        "keyword",
        "directive",
        "call",
        "match",
        "past",
        "past1",
        "past2",
        "past3",
        "future",
        "future1",
        "future2",
        "future3",
    )
}
"""The component classes of panes. What panes are in declares them: Textual takes its time for each of each widget."""


def bindings(scope: str) -> list[BindingType]:
    """Return the bindings of the key table that apply in a pane."""
    return [Binding(key.keys, key.action, key.title, show=False, id=key.id) for key in KEYS if key.scope == scope]


class Pane(ScrollView, Lined, can_focus=True, inherit_bindings=False):
    """A titled stack of lines, empty here. Subclasses say how many there are and what each one looks like."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("pane")

    PREFIX: ClassVar[str] = "pane"
    NAME: ClassVar[str] = ""
    """Title of the pane."""
    EMPTY: ClassVar[str] = ""
    """What stands there when there are no lines."""
    SELECTS: ClassVar[bool] = False
    """Whether Up and Down move a selected line rather than scroll."""

    ANCHOR: ClassVar[float] = 0.5
    """Where the selected line stands in a pane that was resized: 0 at the top, 1 at the bottom."""

    class Chosen(Message):
        """A line was clicked or Enter was pressed on it."""

        def __init__(self, pane: Pane, index: int, column: int | None = None) -> None:
            self.pane = pane
            """The pane it happened in."""
            self.index = index
            """Number of the line."""
            self.column = column
            """Cell of the line that was clicked; None: a key."""
            super().__init__()

        @property
        def control(self) -> Pane:
            """The pane, for `@on` selectors."""
            return self.pane

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.selected = 0
        """Number of the selected line, where the pane selects."""
        self.tabs: tuple[tuple[str, str, str], ...] = ()
        """Keys, titles and ids of the panes that share the slot, this one among them; set by the deck."""
        self._note = ""
        self._titled: object = None
        self._width = 0

    # for subclasses

    def count(self) -> int:
        """Return the number of lines."""
        return 0

    def line(self, index: int, width: int) -> Parts:
        """Return one line, cut to `width` cells or not."""
        return []

    def empty(self) -> str:
        """Return what stands there when there are no lines."""
        return self.EMPTY

    def update(self) -> None:
        """Draw again after the content changed."""
        self.virtual_size = Size(self.scrollable_content_region.width, self.count())
        self.selected = min(self.selected, max(self.count() - 1, 0))
        self.redraw()

    def scroll_to_row(self, row: int) -> None:
        """Scroll so that a row is the first one, at once: also before the layout has found that a scroll bar is due."""
        self.scroll_to(y=max(row, 0), animate=False, force=True)

    def reveal(self, index: int, *, centre: bool = False) -> None:
        """Scroll the least that shows a line; or put it in the middle when it was not visible."""
        height = self.scrollable_content_region.height
        top = self.scroll_offset.y
        if not height or top <= index < top + height:  # no height yet: on_resize will be here again
            return
        if centre:
            self.scroll_to_row(index - height // 2)
        else:
            self.scroll_to_row(index if index < top else index - height + 1)

    # Textual

    def prepare(self) -> object:
        """Measure, and return what all lines depend on beside what they show."""
        region = self.scrollable_content_region
        self._width = region.width
        return region.size, self.scroll_offset.y, self.has_focus

    def draw_line(self, y: int) -> Strip:
        """Draw the line that scrolling brought to row `y`."""
        width, base = self._width, self.ground
        index = y + self.scroll_offset.y
        if index >= self.count():
            text = f" {self.empty()}" if index == 0 and not self.count() else ""
            return spans([(text, base + self.style("dim"))], width, base)
        parts: Parts = [(text, base + style) for text, style in self.line(index, width)]
        if self.SELECTS and index == self.selected and self.has_focus:
            shade = Style(bgcolor=self.style("selected").bgcolor)
            # what is marked stays marked
            plain = base.bgcolor
            parts = [(text, style + shade if style.bgcolor == plain else style) for text, style in parts]
            base = base + shade
        return spans(parts, width, base)

    def on_resize(self) -> None:
        """Fit the lines to the new size; a pane that was hidden had none to scroll in."""
        self.retitle()
        self.update()
        if self.SELECTS:
            self.call_after_refresh(self._anchor)

    def _anchor(self) -> None:
        # Not where it happens to be visible: sizes come one after another while a screen is laid out.
        height = self.scrollable_content_region.height
        self.scroll_to_row(self.selected - int((height - 1) * self.ANCHOR))

    def on_focus(self) -> None:
        """Show the selected line."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the selected line."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Select, and choose with a click of its own."""
        index = int(event.y) - self.gutter.top + self.scroll_offset.y
        if 0 <= index < self.count() and event.y >= self.gutter.top:
            self.select(index)
            self.post_message(self.Chosen(self, index, int(event.x) - self.gutter.left))

    def select(self, index: int) -> None:
        """Move the selection to a line."""
        self.selected = min(max(index, 0), max(self.count() - 1, 0))
        self.reveal(self.selected)
        self.redraw()

    def action_line(self, lines: int) -> None:
        """Move by lines."""
        if self.SELECTS:
            self.select(self.selected + lines)
        else:
            # at once: the next key goes on from there
            self.scroll_to(y=self.scroll_offset.y + lines, animate=False, force=True, immediate=True)

    def action_page(self, pages: int) -> None:
        """Move by screens."""
        height = max(self.scrollable_content_region.height - 1, 1)
        self.action_line(pages * height)

    def action_edge(self, direction: int) -> None:
        """Move to the first or the last line."""
        self.action_line(direction * self.count())

    def action_choose(self) -> None:
        """Choose the selected line."""
        if self.count():
            self.post_message(self.Chosen(self, self.selected))

    def retitle(self, note: str | None = None) -> None:
        """Write the title: the panes of this slot with this one bright, then a note about the content."""
        if note is not None:
            self._note = note
        tabs = self.tabs or (("", self.NAME, ""),)
        # Textual leaves a cell of the line at each end; corners and their blanks take two more.
        space = self.size.width - (6 if self.gutter.left else 2)
        looks = tabs, self._note, space
        if looks == self._titled:  # a new title paints the whole pane
            return
        self._titled = looks
        room = space - sum(len(key) + 3 for key, _, _ in tabs) - min(len(self._note), 16)
        length = max(len(name) for _, name, _ in tabs)
        others = [len(name) for _, name, _ in tabs if name != self.NAME]
        # Where the tabs have no room, those that are not shown are cut alike.
        while length > 2 and len(self.NAME) + sum(min(other, length) for other in others) > room:
            length -= 1
        parts: list[Content] = []
        for key, name, pane in tabs:
            if name == self.NAME:
                style, shown = "bold reverse" if len(tabs) > 1 else "bold", name
            else:
                style, shown = f"dim @click=app.pane('{pane}')", name[:length]
            parts.append(Content.styled(f" {key} {shown} " if key else f" {shown} ", style))
        left = space - 2 - sum(len(part.plain) for part in parts)
        if self._note and left >= min(len(self._note), LEGIBLE):
            parts.append(Content.styled(f" {clip(self._note, left)} ", "not bold"))
        self.border_title = Content("").join(parts)
