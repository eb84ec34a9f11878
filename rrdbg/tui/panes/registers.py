"""Registers and CSRs, with what changed since the previous stop marked."""

from __future__ import annotations

from rrdbg.tui.model import Compared, View
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip, visible

CELL = 21
"""Cells of a register: name, mark, 16 digits, a gap."""

FIRST = ("pc", "ra", "sp", "s0", *(f"a{i}" for i in range(8)), "s1", *(f"t{i}" for i in range(7)))
"""What a small pane shows first; the others follow when it is scrolled."""


class ComparingPane(Pane):
    """Marks what is other than at the last stop, or than at the position that the user compares with."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._before: dict[str, int] = {}
        self._against: dict[str, int] | None = None

    def compare(self, compared: Compared | None) -> None:
        """Take what differs from the position compared with; None: the last stop is it."""
        self._against = None if compared is None else {name: old for name, old, _ in compared.registers}
        self.redraw()

    def changed(self, name: str, value: int) -> bool:
        """Return whether a value is to be marked."""
        return name in self._against if self._against is not None else self._before.get(name) != value


class RegistersPane(ComparingPane):
    """pc and the integer registers, in as many columns as fit."""

    NAME = "Registers"
    EMPTY = "no registers yet"

    def __init__(self) -> None:
        super().__init__(id="registers")
        self._values: tuple[tuple[str, int], ...] = ()
        self._rows: list[list[tuple[str, int]]] = []

    def show(self, view: View, before: View | None) -> None:
        """Take a new position and the one to compare with."""
        self._values = view.registers
        self._before = dict(before.registers) if before is not None else dict(view.registers)
        self.retitle(f"hart {view.hart}  {view.priv}" + (f"  frame {view.frame}" if view.frame else ""))
        self.update()

    def _columns(self) -> int:
        return max(self.scrollable_content_region.width + 1, CELL) // CELL

    def update(self) -> None:
        """Arrange the registers anew."""
        self._arrange()
        super().update()

    def _arrange(self) -> None:
        """Fill column after column; where the pane is too small for all, screen after screen, first things first."""
        values, columns = self._values, self._columns()
        rows = -(-len(values) // columns)
        height = max(self.scrollable_content_region.height, 1)
        if rows <= height:
            self._rows = [list(values[row::rows]) for row in range(rows)]
            return
        order = {name: number for number, name in enumerate(FIRST)}
        values = tuple(sorted(values, key=lambda register: order.get(register[0], len(order))))
        self._rows = []
        for start in range(0, len(values), height * columns):
            page = values[start : start + height * columns]
            rows = min(height, -(-len(page) // columns))
            self._rows += [list(page[row::rows]) for row in range(rows)]

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def line(self, index: int, width: int) -> Parts:
        """Return one row of registers."""
        parts: Parts = []
        for name, value in self._rows[index]:
            changed = self.changed(name, value)
            digits = f"{value:016x}"
            zeros = len(digits) - len(digits.lstrip("0")) if value else 15
            bright = self.style("changed") if changed else self.style("text")
            parts.append((f"{name:>3}", self.style("symbol")))
            parts.append(("▸" if changed else " ", self.style("changed")))
            parts.append((digits[:zeros], self.style("dim")))
            parts.append((digits[zeros:] + " ", bright))
        return parts


class CsrsPane(ComparingPane):
    """Control and status registers with their fields in words, then f registers with their numbers."""

    NAME = "CSRs"
    EMPTY = "no CSRs yet"

    def __init__(self) -> None:
        super().__init__(id="csrs")
        self._values: tuple[tuple[str, int, str], ...] = ()

    def show(self, view: View, before: View | None) -> None:
        """Take a new position and the one to compare with."""
        self._values = view.csrs
        self._before = {name: value for name, value, _ in (before or view).csrs}
        self.update()

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._values)

    def line(self, index: int, width: int) -> Parts:
        """Return one of them."""
        name, value, text = self._values[index]
        changed = self.changed(name, value)
        digits = f"{value:016x}"
        zeros = len(digits) - len(digits.lstrip("0")) if value else 15
        return [
            (f"{name:>10}", self.style("symbol")),
            ("▸" if changed else " ", self.style("changed")),
            (digits[:zeros], self.style("dim")),
            (digits[zeros:], self.style("changed") if changed else self.style("text")),
            (clip("  " + visible(text), width - 27), self.style("accent")),
        ]
