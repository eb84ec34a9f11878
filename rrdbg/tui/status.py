"""The status line: where the cursor is and why, or how far the work has come."""

from __future__ import annotations

from typing import ClassVar

from rrdbg_core.frozen import Frozen
from textual.strip import Strip

from rrdbg.tui.drawing import spans
from rrdbg.tui.lined import Lined
from rrdbg.tui.model import View
from rrdbg.tui.pane import Parts
from rrdbg.tui.text import clip, grouped, short_count, short_ns, short_seconds, visible

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Work(Frozen):
    """Something the engine is busy with."""

    title: str
    """What it is."""
    share: float | None = None
    """Part that is done, 0 to 1, where that is known."""
    rate: float | None = None
    """Steps per second."""
    eta: float | None = None
    """Seconds left."""


class Status(Lined):
    """One row: position, virtual time, hart, privilege, pc, then the stop reason, a message or progress."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"status--{name}" for name in ("position", "dim", "reason", "work", "error", "ok", "symbol")
    }

    PREFIX: ClassVar[str] = "status"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.view: View | None = None
        """Where the cursor is."""
        self.total = 0
        """Last position of the run."""
        self.work: Work | None = None
        """What the engine does now."""
        self.message: tuple[str, str] | None = None
        """(severity, text) shown instead of the stop reason: severity is reason, ok or error."""
        self.verified = ""
        """Outcome of the last verification, in a word or two."""
        self.playing = ""
        """Speed and direction while playing."""
        self._tick = 0

    def on_mount(self) -> None:
        """Turn the spinner."""
        self.set_interval(0.1, self._spin)

    def _spin(self) -> None:
        if self.work is not None:
            self._tick += 1
            self.redraw()

    def put(self, **values: object) -> None:
        """Change attributes and draw."""
        for name, value in values.items():
            setattr(self, name, value)
        self.redraw()

    def draw_line(self, y: int) -> Strip:
        """Draw the row: what is said now at the right, and as much of where we are as there is room for."""
        width, base = self.size.width, self.ground
        right = self._right(width)
        size = sum(len(text) for text, _ in right)
        left = self._left()
        while len(left) > 1 and sum(len(text) for text, _ in left) + size > width:
            left.pop()
        used = sum(len(text) for text, _ in left)
        if size > width - used and right:
            first, style = right[0]
            size -= len(first)
            first = clip(first, max(width - used - size, 0))
            right, size = [(first, style), *right[1:]], size + len(first)
        gap = max(width - used - size, 0)
        return spans([*left, (" " * gap, base), *right], width, base)

    def _left(self) -> Parts:
        # The most important part first.
        view = self.view
        if view is None:
            return []
        dim = self.style("dim")
        share = f"{view.position / self.total:.1%}" if self.total else ""
        where = visible(view.symbol) or f"{view.pc:x}"
        return [
            (f" {grouped(view.position)} ", self.style("position")),
            (f" {share}", dim),
            (f"  {short_ns(view.virtual_ns, 6)}", dim),
            (f"  h{view.hart} {view.priv}", dim),
            ("  " + clip(where, max(self.size.width // 4, 12)), self.style("symbol")),
        ]

    def _right(self, width: int) -> Parts:
        # The first part is cut where there is no room for all.
        parts: Parts = []
        if self.playing and self.message is None:
            turning = f" {SPINNER[self._tick % len(SPINNER)]}" if self.work is not None else ""
            return [(f"{turning} {self.playing} ", self.style("work"))]
        if self.work is not None:
            return [(self._progress(self.work, width), self.style("work"))]
        if self.message is not None:
            severity, text = self.message
            parts.append((f" {visible(text.expandtabs(1))} ", self.style(severity)))
        elif self.view is not None and self.view.reason:
            parts.append((f" {visible(self.view.reason)} ", self.style("reason")))
        if self.verified:
            parts.append((f" {self.verified} ", self.style("ok" if self.verified.startswith("✔") else "error")))
        return parts

    def _progress(self, work: Work, width: int) -> str:
        parts = [f" {SPINNER[self._tick % len(SPINNER)]} {visible(work.title)}"]
        if work.share is not None:
            cells = 10 if width >= 100 else 6
            full = round(min(max(work.share, 0.0), 1.0) * cells)
            parts.append(f"{'━' * full}{'╌' * (cells - full)} {work.share:4.0%}")
        if work.rate:
            parts.append(f"{short_count(round(work.rate))}/s" if work.rate < 1e6 else f"{work.rate / 1e6:.0f}M/s")
        if work.eta is not None:
            parts.append(f"{short_seconds(work.eta)} left")
        parts.append("Esc cancels " if self.view is not None else "q quits ")
        return " ".join(parts)
