"""Disassembly around pc: symbol headers, breakpoints, the current line and where its branch goes; source if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rrdbg_core.frozen import Frozen

from rrdbg.tui.model import CodeLine, Place, Program, View
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip, visible


class SourceRow(Frozen):
    """A source line above the instructions made from it."""

    file: str
    """Its file."""
    line: int
    """Its number."""


class CodePane(Pane):
    """The instructions around pc."""

    NAME = "Code"
    EMPTY = "no code to show yet"
    SELECTS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(id="code")
        self.pc = 0
        """Address of the current line."""
        self.frame_pc = 0
        """Address at which the selected frame stands."""
        self.breakpoints: Mapping[int, bool] = {}
        """Addresses with a breakpoint, and whether it is enabled."""
        self.mixed = False
        """Whether source lines stand between the instructions."""
        self._texts: Mapping[str, Sequence[str]] = {}
        self._lines: Sequence[CodeLine] = ()
        self._rows: list[CodeLine | SourceRow | str] = []
        self._index: dict[int, int] = {}
        self._arrow = range(0)
        self._up = False

    def show(self, view: View) -> None:
        """Take a new position."""
        self.pc, self.frame_pc = view.pc, view.frame_pc or view.pc
        self.set_lines(view.code)
        self._centre(self.frame_pc)
        self.retitle(visible("  ".join(filter(None, (view.symbol, view.source.rsplit("/", 1)[-1])))))
        self.update()

    def look(self, place: Place) -> None:
        """Show another piece of code."""
        self.set_lines(place.code)
        self._centre(place.location.address)
        self.retitle(visible(place.location.text))
        self.update()

    def mix(self, mixed: bool) -> None:
        """Put source lines between the instructions, or leave them out."""
        if mixed != self.mixed:
            self.mixed = mixed
            self._rebuild()

    def set_program(self, program: Program) -> None:
        """Take the text of the source lines."""
        if self.mixed and program.texts != self._texts:
            self._texts = program.texts
            self._rebuild()

    def _rebuild(self) -> None:
        address = self.address(self.selected)
        self.set_lines(self._lines)
        if address is not None:
            self._centre(address)

    def _centre(self, address: int) -> None:
        current = self._index.get(address)
        if current is not None:
            self.selected = current
            self.reveal(current, centre=True)
            height = self.scrollable_content_region.height
            # Two lines beyond the current one: what comes next matters most.
            self.reveal(min(current + min(2, height // 3), max(len(self._rows) - 1, 0)))

    def set_lines(self, lines: Sequence[CodeLine]) -> None:
        """Take other instructions, with a header row before each symbol."""
        self._lines = lines
        self._rows = []
        self._index = {}
        last = ("", 0)
        for line in lines:
            if line.symbol:
                self._rows.append(visible(line.symbol))
                last = ("", 0)
            if self.mixed and line.line and (line.file, line.line) != last:
                last = (line.file, line.line)
                self._rows.append(SourceRow(*last))
            self._index[line.address] = len(self._rows)
            self._rows.append(line)
        self._arrow = self._branch()
        self.update()

    def _branch(self) -> range:
        # Rows between the current instruction and the target of its branch, both included.
        row = self._index.get(self.pc)
        line = self._rows[row] if row is not None else None
        if row is None or not isinstance(line, CodeLine) or line.target is None:
            return range(0)
        target = self._index.get(line.target)
        self._up = target is not None and target < row
        if target is None or target == row:
            return range(0)
        return range(min(row, target), max(row, target) + 1)

    def count(self) -> int:
        """Return the number of rows, headers included; a round number, as each new one costs a layout of the screen."""
        return -(-len(self._rows) // 64) * 64

    def address(self, index: int) -> int | None:
        """Return the address shown in a row; for a header, that of the instruction below."""
        for row in self._rows[index : index + 3]:
            if isinstance(row, CodeLine):
                return row.address
        return None

    def line(self, index: int, width: int) -> Parts:
        """Return one row."""
        if index >= len(self._rows):
            return []
        row = self._rows[index]
        if isinstance(row, str):
            return [
                (self._arrow_part(index), self.style("accent")),
                (clip(f" {row}:", width - 2), self.style("symbol")),
            ]
        if isinstance(row, SourceRow):
            return self._source(row, index, width)
        call = row.address == self.frame_pc != self.pc
        current = row.address == self.pc
        bright = self.style("current") if current else self.style("call") if call else self.style("text")
        stop = self.breakpoints.get(row.address)
        parts: Parts = [
            (" " if stop is None else "●" if stop else "○", self.style("error")),
            (self._arrow_part(index), self.style("accent")),
            ("▶" if current else "▷" if call else self._head(index), self.style("accent")),
            (f"{row.address:08x} ", bright if current else self.style("address")),
        ]
        if width >= 64:
            parts.append((f"{row.raw[::-1].hex():<9}", bright if current else self.style("dim")))
        room = width - sum(len(text) for text, _ in parts)
        mnemonic, *rest_of_text = row.text.split(None, 1)
        mnemonic = visible(mnemonic)
        operands, found, symbol = visible("".join(rest_of_text).replace("\t", " ")).partition("<")
        parts.append((clip(f"{mnemonic:<7} ", room), bright))
        parts.append((clip(operands, max(room - 8, 0)), bright))
        rest = room - max(len(mnemonic), 7) - 1 - len(operands)
        if found and rest > 3:
            parts.append((clip("<" + symbol, rest), self.style("symbol") if not current else bright))
        if current:
            left = width - sum(len(text) for text, _ in parts)
            parts.append((" " * max(left, 0), bright))
        return parts

    def _source(self, row: SourceRow, index: int, width: int) -> Parts:
        lines = self._texts.get(row.file, ())
        text = visible(lines[row.line - 1].strip().expandtabs(4)) if row.line <= len(lines) else ""
        name = f"{row.line}" if text else f"{visible(row.file.rsplit('/', 1)[-1])}:{row.line}"
        return [
            (" ", self.style("text")),
            (self._arrow_part(index), self.style("accent")),
            (f" {name:>4} ", self.style("dim")),
            (clip(text, width - len(name) - 5), self.style("string")),
        ]

    def _head(self, index: int) -> str:
        ends = (self._arrow[0], self._arrow[-1]) if len(self._arrow) > 1 else ()
        return "▸" if index in ends else " "

    def _arrow_part(self, index: int) -> str:
        if index not in self._arrow or len(self._arrow) < 2:
            return " "
        if index == self._arrow[0]:
            return "╭"
        return "╰" if index == self._arrow[-1] else "│"
