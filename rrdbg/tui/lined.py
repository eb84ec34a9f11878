"""The base of what is made of lines: after a change only those lines are painted that come out differently.

A step changes few lines of a screen, and painting is dear: Textual borders, cuts and writes each line that it is told
of, and a slow connection has to carry it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Lined(Widget):
    """Lines that are drawn on demand and remembered until `redraw` finds that they changed."""

    PREFIX: ClassVar[str] = ""
    """What the names of the component classes begin with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._drawn: dict[int, Strip] = {}
        self._drawn_as: object = None
        self._drawn_styles: dict[str, Style] = {}
        self._drawn_ground: Style | None = None
        self._drawing_due = False

    # for subclasses

    def draw_line(self, y: int) -> Strip:
        """Draw the line at row `y` of the content."""
        return Strip([])

    def prepare(self) -> object:
        """Get ready to draw some lines, and return what all of them depend on beside what they show."""
        return self.content_size

    @property
    def palette(self) -> Widget:
        """The widget that has the component classes: this one, or what it is in if it declares none."""
        around = self.parent
        return around if isinstance(around, Widget) and not self.COMPONENT_CLASSES else self

    @property
    def ground(self) -> Style:
        """The style of the background."""
        if self._drawn_ground is None:
            self._drawn_ground = self.rich_style
        return self._drawn_ground

    def style(self, name: str) -> Style:
        """Return the style of one of the component classes."""
        found = self._drawn_styles.get(name)
        if found is None:
            found = self._drawn_styles[name] = self.palette.get_component_rich_style(f"{self.PREFIX}--{name}")
        return found

    def redraw(self) -> None:
        """Draw again after the content changed, once however often it is asked for."""
        if not self.display or not self.is_attached:
            self._drawn = {}
            self.refresh()
        elif not self._drawing_due:
            self._drawing_due = True
            self.call_next(self._redraw)

    # Textual

    def notify_style_update(self) -> None:
        """Forget the styles; colours may be others now."""
        self._drawn, self._drawn_styles, self._drawn_ground = {}, {}, None
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return lines with what surrounds them."""
        looks = self.prepare()
        if looks != self._drawn_as:
            self._drawn, self._drawn_as = {}, looks
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Return a line, drawn when it was asked for first."""
        strip = self._drawn.get(y)
        if strip is None:
            strip = self._drawn[y] = self.draw_line(y)
        return strip

    def _redraw(self) -> None:
        self._drawing_due = False
        looks = self.prepare()
        before = self._drawn if looks == self._drawn_as else {}
        self._drawn_as = looks
        width, height = self.content_size
        self._drawn = {y: self.draw_line(y) for y in range(height)}
        changed = [y for y, strip in self._drawn.items() if strip != before.get(y)]
        if changed:
            self.refresh(*(Region(0, start, width, stop - start) for start, stop in _stretches(changed)))


def _stretches(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of ascending numbers without a gap, as start and stop."""
    start = stop = -1
    for number in numbers:
        if number != stop:
            if stop > start:
                yield start, stop
            start = number
        stop = number + 1
    if stop > start:
        yield start, stop
