"""Disassembly around pc: symbol headers, breakpoints, the current line and where its branch goes."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from rrdbg.tui.model import CodeLine, View
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip, visible


class CodePane(Pane):
    """The instructions around pc."""

    NAME = "Code"
    EMPTY = "no code to show yet"
    SELECTS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(id="code")
        self.pc = 0
        """Address of the current line."""
        self.breakpoints: Collection[int] = ()
        """Addresses with a breakpoint."""
        self._rows: list[CodeLine | str] = []
        self._index: dict[int, int] = {}
        self._arrow = range(0)
        self._up = False

    def show(self, view: View) -> None:
        """Take a new position."""
        self.pc = view.pc
        self.set_lines(view.code)
        current = self._index.get(view.pc)
        if current is not None:
            self.selected = current
            self.reveal(current, centre=True)
            height = self.scrollable_content_region.height
            # Two lines beyond the current one: what comes next matters most.
            self.reveal(min(current + min(2, height // 3), max(len(self._rows) - 1, 0)))
        self.retitle(visible("  ".join(filter(None, (view.symbol, view.source.rsplit("/", 1)[-1])))))
        self.update()

    def set_lines(self, lines: tuple[CodeLine, ...]) -> None:
        """Take other instructions, with a header row before each symbol."""
        self._rows = []
        self._index = {}
        for line in lines:
            if line.symbol:
                self._rows.append(visible(line.symbol))
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
        for row in self._rows[index : index + 2]:
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
        current = row.address == self.pc
        bright = self.style("current") if current else self.style("text")
        stop = row.address in self.breakpoints
        parts: Parts = [
            ("●" if stop else " ", self.style("error")),
            (self._arrow_part(index), self.style("accent")),
            ("▶" if current else self._head(index), self.style("accent")),
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

    def _head(self, index: int) -> str:
        ends = (self._arrow[0], self._arrow[-1]) if len(self._arrow) > 1 else ()
        return "▸" if index in ends else " "

    def _arrow_part(self, index: int) -> str:
        if index not in self._arrow or len(self._arrow) < 2:
            return " "
        if index == self._arrow[0]:
            return "╭"
        return "╰" if index == self._arrow[-1] else "│"
