"""Values with their parts, as trees: the frame's variables, and the watch expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rrdbg_core.frozen import Frozen

from rrdbg.session.program import Variable
from rrdbg.tui.model import Program
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip, visible

DEEPEST = 24
"""Levels of parts within parts that can be opened."""


class Row(Frozen):
    """One row of the tree."""

    variable: Variable
    """What it shows."""
    depth: int
    """How deep it lies; 0 for roots."""
    path: str
    """Its place in the tree, unlike that of any other row."""
    root: int
    """Number of its root."""
    state: str = ""
    """"open", "closed", or empty: it has no parts."""
    heading: str = ""
    """Set for a row that is a title of its own."""


class TreePane(Pane):
    """Rows of a tree whose parts are fetched when they are opened."""

    SELECTS: ClassVar[bool] = True

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.opened: set[str] = set()
        """Expressions whose parts are shown."""
        self._rows: list[Row] = []
        self._position = -1
        self._owner = ""
        self._texts: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._before_owner = ""

    # for subclasses

    def roots(self, program: Program) -> Sequence[Variable]:
        """Return the roots."""
        return ()

    def context(self, program: Program) -> str:
        """Return what the values belong to: only values of one context are compared with each other."""
        return ""

    # what the app tells and asks

    def show(self, program: Program) -> None:
        """Take the values of a position; those that are other than at the last one are marked."""
        if program.position != self._position:
            self._before, self._before_owner = self._texts, self._owner
            self._position = program.position
        self._owner = self.context(program)
        selected = self._rows[self.selected].path if self.selected < len(self._rows) else ""
        self._rows = []
        for number, variable in enumerate(self.roots(program)):
            self._add(variable, 0, "", number, program.parts)
        self._texts = {row.path: row.variable.text for row in self._rows}
        paths = [row.path for row in self._rows]
        if selected in paths:
            self.selected = paths.index(selected)
        self.update()

    def _add(
        self, variable: Variable, depth: int, above: str, root: int, parts: dict[str, tuple[Variable, ...]]
    ) -> None:
        path = f"{above}/{variable.name}" if above else f"{variable.kind} {variable.name} {variable.expression}"
        opened = variable.expression in self.opened
        state = ("open" if opened else "closed") if variable.expandable and depth < DEEPEST else ""
        self._rows.append(Row(variable, depth, path, root, state))
        if state == "open":
            for part in parts.get(variable.expression, ()):
                self._add(part, depth + 1, path, root, parts)

    def row(self, index: int | None = None) -> Row | None:
        """Return a row; None: the selected one."""
        index = self.selected if index is None else index
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def toggle(self, index: int) -> bool:
        """Open or close a row; return whether that changed anything."""
        row = self.row(index)
        if row is None or not row.state:
            return False
        self.opened ^= {row.variable.expression}
        return True

    # drawing

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def changed(self, row: Row) -> bool:
        """Return whether a value is another one than at the last stop."""
        if self._owner != self._before_owner:
            return False
        before = self._before.get(row.path)
        return before is not None and before != row.variable.text

    def line(self, index: int, width: int) -> Parts:
        """Return one row: the name, its value, and its type where there is room."""
        row = self._rows[index]
        variable = row.variable
        changed = self.changed(row)
        name = visible(variable.name)
        value = visible(" ".join(variable.text.split()))
        kind = visible(variable.type)
        parts: Parts = [
            ("▸" if changed else " ", self.style("changed")),
            ("  " * row.depth, self.style("dim")),
            ({"open": "▾ ", "closed": "▹ "}.get(row.state, "  "), self.style("accent")),
        ]
        room = width - sum(len(text) for text, _ in parts)
        name = clip(name, max(room // 2, 8))
        parts += [(name, self.style("symbol")), (" = ", self.style("dim"))]
        room -= len(name) + 3
        if variable.kind == "missing":
            return [*parts[:-1], (clip("   " + value, room + 3), self.style("dim"))]
        style = "changed" if changed else "dim" if value.startswith("<optimized") else "text"
        parts.append((clip(value, room), self.style(style)))
        room -= len(value)
        if kind and room >= len(kind) + 2:
            parts.append((f"{kind:>{room}}", self.style("dim")))
        return parts


class LocalsPane(TreePane):
    """Arguments and local variables of the selected frame."""

    NAME = "Locals"
    EMPTY = "no variables known here"

    def __init__(self) -> None:
        super().__init__(id="locals")

    def roots(self, program: Program) -> Sequence[Variable]:
        """Return the variables, or why there are none."""
        if not program.variables and program.trouble:
            return (Variable("", "", program.trouble, "", "missing"),)
        return program.variables

    def context(self, program: Program) -> str:
        """Return the frame that the variables belong to."""
        if program.frame < len(program.frames):
            frame = program.frames[program.frame]
            return f"{frame.function} {frame.cfa:x}"
        return ""


class WatchesPane(TreePane):
    """Expressions, evaluated again at each stop."""

    NAME = "Watch"
    EMPTY = "press a and type an expression: its value follows through time"

    def __init__(self) -> None:
        super().__init__(id="watches")

    def roots(self, program: Program) -> Sequence[Variable]:
        """Return the values."""
        return program.watches
