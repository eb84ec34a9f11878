"""The base of all panes: lines drawn on demand, however many there are, with an optional selected line."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from rrdbg.tui.drawing import spans

Parts = list[tuple[str, Style]]
"""A line as pieces of text with their styles."""


class Pane(ScrollView, can_focus=True, inherit_bindings=False):
    """A titled stack of lines, empty here. Subclasses say how many there are and what each one looks like."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
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
        )
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "line(-1)", "Up", show=False),
        Binding("down,j", "line(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("ctrl+home", "edge(-1)", "First line", show=False),
        Binding("ctrl+end", "edge(1)", "Last line", show=False),
        Binding("enter", "choose", "Choose", show=False),
    ]

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
        self.tabs: tuple[tuple[str, str], ...] = ()
        """Number keys and titles of the panes that share the slot, this one among them; set by the deck."""
        self._note = ""
        self._base = Style()
        self._width = 0

    # for subclasses

    def count(self) -> int:
        """Return the number of lines."""
        return 0

    def line(self, index: int, width: int) -> Parts:
        """Return one line, cut to `width` cells or not."""
        return []

    def style(self, name: str) -> Style:
        """Return the style of one of the `pane--` component classes."""
        return self.get_component_rich_style(f"pane--{name}")

    def update(self) -> None:
        """Draw again after the content changed."""
        self.virtual_size = Size(self.scrollable_content_region.width, self.count())
        self.selected = min(self.selected, max(self.count() - 1, 0))
        self.refresh()

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

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw lines; what they have in common is looked up once."""
        self._base = self.rich_style
        self._width = self.scrollable_content_region.width
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draw the line that scrolling brought to row `y`."""
        width, base = self._width, self._base
        index = y + self.scroll_offset.y
        if index >= self.count():
            text = f" {self.EMPTY}" if index == 0 and not self.count() else ""
            return spans([(text, base + self.style("dim"))], width, base)
        parts: Parts = [(text, base + style) for text, style in self.line(index, width)]
        if self.SELECTS and index == self.selected and self.has_focus:
            shade = Style(bgcolor=self.style("selected").bgcolor)
            parts = [(text, style + shade) for text, style in parts]
            base = base + shade
        return spans(parts, width, base)

    def on_resize(self) -> None:
        """Fit the lines to the new size; a pane that was hidden had none to scroll in."""
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
        self.refresh()

    def action_line(self, lines: int) -> None:
        """Move by lines."""
        if self.SELECTS:
            self.select(self.selected + lines)
        else:
            self.scroll_relative(y=lines, animate=False)

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
        parts: list[Content] = []
        for key, name in self.tabs or (("", self.NAME),):
            text = f" {key} {name} " if key else f" {name} "
            if name == self.NAME:
                parts.append(Content.styled(text, "bold reverse" if len(self.tabs) > 1 else "bold"))
            else:
                parts.append(Content.styled(text, f"dim @click=app.pane('{name.lower()}')"))
        if self._note:
            parts.append(Content.styled(f" {self._note} ", "not bold"))
        self.border_title = Content("").join(parts)
