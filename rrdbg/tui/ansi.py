"""The guest's output as a terminal's text: colours are obeyed, all other control sequences are left out."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from rrdbg_core.frozen import Frozen

from rrdbg.tui.text import visible

SEQUENCE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erase
    rb"|\][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # OSC: titles, links
    rb"|[PX^_][^\x1b\n]*\x1b\\"  # DCS, SOS, PM, APC
    rb"|[ -/]*[0-OQ-WYZ\\`-~])"  # two bytes, charsets
)
"""A whole control sequence (ECMA-48), of one line."""

STARTED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b\n]{0,4096}|[PX^_][^\x1b\n]{0,4096}\x1b?|[ -/]*)\Z")
"""A sequence that the end of the data cuts off: the rest may be on its way."""

TAB = 8


class Look(Frozen):
    """How text looks: the state that SGR sequences change."""

    color: Color | None = None
    """Foreground; None: the pane's."""
    back: Color | None = None
    """Background; None: the pane's."""
    bold: bool = False
    """Bold."""
    dim: bool = False
    """Dim."""
    italic: bool = False
    """Italic."""
    underline: bool = False
    """Underlined."""
    reverse: bool = False
    """Foreground and background exchanged."""

    def style(self) -> Style:
        """Return it as a style to lay over the pane's."""
        return Style(
            color=self.color,
            bgcolor=self.back,
            bold=self.bold or None,
            dim=self.dim or None,
            italic=self.italic or None,
            underline=self.underline or None,
            reverse=self.reverse or None,
        )


PLAIN = Look()
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",)}


def changed(look: Look, sequence: bytes) -> Look:
    """Return the look after a sequence; only SGR sequences (`ESC [ ... m`) change it."""
    if not (sequence.startswith(b"\x1b[") and sequence.endswith(b"m")) or sequence[2:3] in (b"<", b"=", b">", b"?"):
        return look
    codes = [int(code) if code.isdigit() else 0 for code in sequence[2:-1].replace(b":", b";").split(b";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            look = PLAIN
        elif code in _ON:
            look = replace(look, **{_ON[code]: True})  # type: ignore[arg-type]
        elif code in _OFF:
            look = replace(look, **dict.fromkeys(_OFF[code], False))  # type: ignore[arg-type]
        elif code in (38, 48):
            color = _extended(codes)
            if color is not None:
                look = replace(look, color=color) if code == 38 else replace(look, back=color)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            look = replace(look, color=Color.from_ansi(code - 30 if code < 90 else code - 82))
        elif 40 <= code <= 47 or 100 <= code <= 107:
            look = replace(look, back=Color.from_ansi(code - 40 if code < 100 else code - 92))
        elif code == 39:
            look = replace(look, color=None)
        elif code == 49:
            look = replace(look, back=None)
    return look


def _extended(codes: list[int]) -> Color | None:
    """Take a colour of 256 or of 16 million from the codes."""
    kind = codes.pop(0) if codes else 0
    if kind == 5 and codes:
        return Color.from_ansi(min(codes.pop(0), 255))
    if kind == 2 and len(codes) >= 3:
        red, green, blue = (min(codes.pop(0), 255) for _ in range(3))
        return Color.from_rgb(red, green, blue)
    return None


class Cell(Frozen):
    """A character of the output."""

    text: str
    """What is drawn: harmless, one character or an escape such as `\\xff`."""
    offset: int
    """Offset of its first byte in the output."""
    look: Look
    """How the guest wanted it."""

    @property
    def width(self) -> int:
        """Cells of the screen that it takes."""
        return cell_len(self.text)


def cells(data: bytes, start: int, end: int, look: Look) -> Iterator[Cell]:
    """Yield the characters of a stretch of one row; `look` is that of its start. Line ends are left out."""
    column = 0
    at = start
    while at < end:
        if data[at] == 0x1B:
            match = SEQUENCE.match(data, at, end) or STARTED.match(data, at, end)
            if match is not None:
                look = changed(look, match[0])
                at = match.end()
                continue
        size = 1
        byte = data[at]
        if byte in (0x0A, 0x0D):
            at += 1
            continue
        if byte == 0x09:
            text = " " * (TAB - column % TAB)
        elif byte < 0x80:
            text = visible(chr(byte))
        else:
            text, size = _character(data, at, end)
        cell = Cell(text, at, look)
        yield cell
        column += cell.width
        at += size


def _character(data: bytes, at: int, end: int) -> tuple[str, int]:
    lead = data[at]
    size = 2 if 0xC2 <= lead < 0xE0 else 3 if 0xE0 <= lead < 0xF0 else 4 if 0xF0 <= lead < 0xF5 else 1
    try:
        text = data[at : min(at + size, end)].decode("utf-8")
    except UnicodeDecodeError:
        return f"\\x{lead:02x}", 1
    return visible(text), size


def rows(data: bytes, width: int, start: int, stop: int | None = None) -> list[tuple[int, int]]:
    """Return (start, end) offsets of the rows of a stretch that starts a row.

    Lines end at LF, and at a CR within a line, so that nothing is written over. Long lines are broken.
    """
    result: list[tuple[int, int]] = []
    stop = len(data) if stop is None else stop
    while start < stop:
        end = data.find(b"\n", start, stop) + 1 or stop
        turn = data.find(b"\r", start, end)
        while 0 <= turn < end and data[turn : turn + 1] == b"\r":
            following = data[turn + 1 : turn + 2]
            if following not in (b"\r", b"\n", b"") and turn > start:
                end = turn + 1
                break
            turn = data.find(b"\r", turn + 1, end)
        line = data[start:end]
        if not line.isascii() or b"\t" in line or (b"\x1b" in line and end - start > width):
            _measure(data, start, end, width, result)
        else:
            text = start + len(line.rstrip(b"\r\n"))
            while text - start > width:
                result.append((start, start + width))
                start += width
            result.append((start, end))
        start = end
    return result


def _measure(data: bytes, start: int, end: int, width: int, result: list[tuple[int, int]]) -> None:
    column = 0
    for cell in cells(data, start, end, PLAIN):
        column += cell.width
        if column > width and cell.offset > start:
            result.append((start, cell.offset))
            start, column = cell.offset, cell.width
    result.append((start, end))


class Transcript:
    """The output without its control sequences, for searching, and the look at each place. Grows at its end."""

    def __init__(self) -> None:
        self.plain = bytearray()
        """The text."""
        self._scanned = 0
        self._cuts: list[tuple[int, int]] = [(0, 0)]
        self._looks: list[tuple[int, Look]] = []

    def extend(self, data: bytes) -> None:
        """Take the output so far, of which all but the end is known."""
        while self._scanned < len(data):
            at = data.find(b"\x1b", self._scanned)
            at = len(data) if at < 0 else at
            self.plain += data[self._scanned : at]
            self._scanned = at
            if at == len(data):
                return
            match = SEQUENCE.match(data, at)
            if match is None:
                if STARTED.match(data, at):
                    return
                self.plain += data[at : at + 1]  # ESC with nothing sensible behind it is shown
                self._scanned = at + 1
                continue
            before = self._looks[-1][1] if self._looks else PLAIN
            look = changed(before, match[0])
            if look != before:
                self._looks.append((match.end(), look))
            self._scanned = match.end()
            self._cuts.append((len(self.plain), match.end()))

    def look(self, offset: int) -> Look:
        """Return how text at an offset of the output looks."""
        number = bisect_right(self._looks, offset, key=lambda pair: pair[0])
        return self._looks[number - 1][1] if number else PLAIN

    def find(self, pattern: str) -> list[tuple[int, int]]:
        """Return where a text stands: (start, end) offsets in the output. Without capitals, capitals do not matter."""
        wanted, text = pattern.encode(), self.plain
        if not wanted:
            return []
        if not any(char.isupper() for char in pattern):
            wanted, text = wanted.lower(), text.lower()
        found: list[tuple[int, int]] = []
        size, direct = len(wanted), len(self._cuts) == 1
        at = text.find(wanted)
        while at >= 0:
            end = at + size
            found.append((at, end) if direct else (self._offset(at), self._offset(end - 1) + 1))
            at = text.find(wanted, end)
        return found

    def _offset(self, plain: int) -> int:
        text, output = self._cuts[bisect_right(self._cuts, (plain, sys.maxsize)) - 1]
        return output + plain - text
