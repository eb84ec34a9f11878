"""What differs between the cursor and the last stop, or a bookmark: registers, then memory."""

from __future__ import annotations

from typing import ClassVar

from rrdbg.session.program import Change
from rrdbg.tui.model import Compared
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip, grouped, visible

SHOWN_BYTES = 8
"""Bytes of a run of changes that are shown on each side."""


class DiffPane(Pane):
    """One row for each register and each run of bytes. Enter on memory shows it in the memory pane."""

    NAME = "Diff"
    EMPTY = "nothing to compare with yet: take a step, or press y and name a bookmark"
    SELECTS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(id="diff")
        self.compared: Compared | None = None
        """What is shown."""
        self.base = ""
        """What the user compares with, as it was written; empty: the last stop."""

    def show(self, compared: Compared | None) -> None:
        """Take a comparison; None: one is on its way."""
        self.compared = compared
        if compared is None:
            self.retitle("comparing…")
        else:
            name = visible(self.base) or "last stop"
            self.retitle(f"{name}: {len(compared.registers)} registers, {grouped(compared.bytes)} bytes")
        self.update()

    def change(self, index: int) -> Change | None:
        """Return the run of bytes in a row, if it is one."""
        if self.compared is None:
            return None
        at = index - 1 - len(self.compared.registers)
        return self.compared.memory[at] if 0 <= at < len(self.compared.memory) else None

    def count(self) -> int:
        """Return the number of rows."""
        return 1 + len(self.compared.registers) + len(self.compared.memory) if self.compared is not None else 0

    def line(self, index: int, width: int) -> Parts:
        """Return one row."""
        compared = self.compared
        assert compared is not None
        if index == 0:
            name = f"{visible(self.base) or 'the last stop'} at {grouped(compared.base)}"
            same = "" if compared.registers or compared.bytes else ": no difference"
            return [(clip(f" {name} → here, {grouped(compared.position)}{same}", width), self.style("dim"))]
        if index <= len(compared.registers):
            register, old, new = compared.registers[index - 1]
            return [
                (f"{register:>10} ", self.style("symbol")),
                (f"{old:016x}", self.style("dim")),
                (" → ", self.style("accent")),
                (clip(f"{new:016x}", width - 30), self.style("changed")),
            ]
        change = compared.memory[index - 1 - len(compared.registers)]
        head = f"  {change.address:08x} "
        before, after = change.old[:SHOWN_BYTES].hex(" "), change.new[:SHOWN_BYTES].hex(" ")
        more = len(change.new) - SHOWN_BYTES
        parts: Parts = [
            (head, self.style("address")),
            (before, self.style("dim")),
            (" → ", self.style("accent")),
            (after, self.style("changed")),
        ]
        rest = f" +{grouped(more)}" if more > 0 else ""
        rest += f"  {visible(change.location.text)}" if change.location.text else ""
        return [*parts, (clip(rest, max(width - sum(len(t) for t, _ in parts), 0)), self.style("symbol"))]
