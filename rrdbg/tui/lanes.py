"""The lanes of the timeline, as counts per column of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from rrdbg_core.frozen import Frozen

from rrdbg.tui.scale import Window

LANES = ("traps", "irqs", "console", "input", "marks", "snaps")
"""The lanes, top to bottom."""

COUNTED = ("traps", "irqs", "console", "input", "snaps")
"""Lanes whose counts the engine supplies for a window; the other one is drawn from the list of marks."""


BUSY = ("traps", "irqs", "console")
"""Lanes that make the overview, and whose counts are worth a bar."""


class Lanes(Frozen):
    """What the lanes show: counts per column for one window."""

    window: Window
    """The window the counts belong to."""
    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Counts per column by lane name."""

    def rescaled(self, window: Window, lane: str) -> list[int]:
        """Return the lane's counts as another window would roughly show them, until the exact ones arrive."""
        counts = self.counts.get(lane, ())
        result = [0] * window.columns
        if window == self.window:
            return list(counts) or result
        for column in range(window.columns):
            first = self.window.column(window.first(column))
            last = self.window.column(max(window.first(column + 1) - 1, window.first(column)))
            result[column] = max(counts[max(first, 0) : last + 1], default=0) if last >= 0 else 0
        return result
