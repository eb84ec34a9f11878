"""A screen as a text file that people can read and compare: what it says, then how each cell is styled.

Pictures are independent of fonts, of the version of Textual's SVG export and of small changes in how colours are mixed.
"""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_letters, digits, punctuation

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from textual._context import visible_screen_stack
from textual.app import App
from textual.scrollbar import ScrollBar
from textual.strip import Strip

LETTERS = "." + ascii_letters + digits + punctuation.replace(".", "")


def strips(app: App[int]) -> list[Strip]:
    """Return the screen's lines as they are drawn: a modal screen lies over the one below it.

    Textual names the screens below only while it draws, and keeps what a screen drew without them.
    """
    visible_screen_stack.set(app._background_screens)
    return app.screen._compositor.render_strips()


def picture(app: App[int]) -> str:
    """Return the screen's text and its styles: one letter per cell, with a legend. Scroll bars are left out."""
    bars = [
        place.region
        for screen in app.screen_stack
        for widget, place in screen._compositor.full_map.items()
        if isinstance(widget, ScrollBar)
    ]
    words: list[str] = []
    shades: list[str] = []
    legend: dict[str, str] = {}
    for y, strip in enumerate(strips(app)):
        word, shade, x = "", "", 0
        for segment in strip:
            name = _name(segment.style or Style())
            for char in segment.text:
                bar = any(region.contains(x, y) for region in bars)
                word += " " if bar else char
                shade += (" " if bar else legend.setdefault(name, LETTERS[len(legend)])) * cell_len(char)
                x += cell_len(char)
        words.append(word.rstrip())
        shades.append(shade)
    return "\n".join([*words, "", *shades, "", *(f"{letter} {name}" for name, letter in legend.items())]) + "\n"


def _name(style: Style) -> str:
    attributes = ("bold", "dim", "italic", "underline", "reverse")
    return " ".join((*_on(style, attributes), f"{_colour(style.color)} on {_colour(style.bgcolor)}"))


def _on(style: Style, attributes: Iterable[str]) -> Iterable[str]:
    return (name for name in attributes if getattr(style, name))


def _colour(color: Color | None) -> str:
    # Four bits a channel: mixing colours may round otherwise in another version.
    if color is None or color.is_default:
        return "default"
    return "#" + "".join(f"{min(channel + 8, 255) >> 4:x}" for channel in color.get_truecolor())
