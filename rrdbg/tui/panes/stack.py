"""The stack: frames, inlined ones too, and across traps what they interrupted."""

from __future__ import annotations

from typing import ClassVar

from rrdbg.session.program import FrameInfo
from rrdbg.tui.model import Program
from rrdbg.tui.pane import Pane, Parts
from rrdbg.tui.text import clip, grouped, visible


class StackPane(Pane):
    """The frames, innermost first. Enter or a click selects one; on a trap's row it goes to where it was taken."""

    NAME = "Stack"
    EMPTY = "no frames known"
    SELECTS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(id="stack")
        self.frame = 0
        """The selected frame."""
        self._rows: list[tuple[FrameInfo, bool]] = []
        self._trouble = ""

    def show(self, program: Program) -> None:
        """Take a new stack."""
        self.frame, self._trouble = program.frame, program.trouble if not program.frames else ""
        self._rows = []
        for frame in program.frames:
            if frame.trap:
                self._rows.append((frame, True))
            self._rows.append((frame, False))
        rows = [i for i, (frame, trap) in enumerate(self._rows) if frame.number == self.frame and not trap]
        self.selected = rows[0] if rows else 0
        self.retitle(f"{self.frame}/{len(program.frames)}" if len(program.frames) > 1 else "")
        self.update()
        self.reveal(self.selected)

    def chosen(self, index: int) -> int | FrameInfo | None:
        """Return what a row means: the position of a trap, or a frame."""
        if not 0 <= index < len(self._rows):
            return None
        frame, trap = self._rows[index]
        return frame.icount if trap else frame

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._rows) or bool(self._trouble)

    def line(self, index: int, width: int) -> Parts:
        """Return one row."""
        if not self._rows:
            return [(clip(f" {self._trouble}", width), self.style("dim"))]
        frame, trap = self._rows[index]
        if trap:
            taken = f", taken at {grouped(frame.icount)}" if frame.icount is not None else ""
            return [(clip(f"  ╌╌ {visible(frame.trap)}{taken} ╌╌", width), self.style("error"))]
        here = frame.number == self.frame
        name = visible(frame.function) or f"{frame.pc:x}"
        file = frame.location.file.rsplit("/", 1)[-1]
        where = visible(f"{file}:{frame.location.line}") if frame.location.line else f"{frame.pc:x}"
        if frame.inlined:
            where += " inlined"
        parts: Parts = [
            ("▶" if here else " ", self.style("accent")),
            (f"{frame.number:<2} ", self.style("dim")),
        ]
        room = width - 4
        where = clip(where, max(room // 2, 8))
        values = ", ".join(f"{visible(arg.name)}={visible(arg.text)}" for arg in frame.args)
        name = clip(name, max(room - len(where) - 1, 6))
        space = room - len(name) - len(where) - 1
        arguments = clip(f"({values})", space) if values and space > 6 else ""
        parts += [
            (name, self.style("current" if here else "symbol")),
            (arguments, self.style("dim")),
            (" " * max(space - len(arguments) + 1, 1), self.style("text")),
            (where, self.style("address")),
        ]
        return parts
