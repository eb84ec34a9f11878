"""Playing: how fast the cursor walks by itself. Arithmetic only."""

from __future__ import annotations

from bisect import bisect_right

from rrdbg.tui.text import short_count

SPEEDS: tuple[int, ...] = tuple(factor * 10**power for power in range(9) for factor in (1, 3))
"""Steps per second, slowest first."""

CROSSING = 20
"""Seconds that a window takes from edge to edge, unless the user wants it otherwise."""

LONGEST = 0.5
"""Seconds of play that are made up for at once when the engine was slower than that."""


class Player:
    """Direction and speed, and how far the cursor has to go by now."""

    def __init__(self) -> None:
        self.direction = 0
        """1 forward, -1 backward, 0 not playing."""
        self._speed = 0
        self._span = 0
        self._last = 0.0
        self._owed = 0.0

    @property
    def steps_per_second(self) -> int:
        """The speed."""
        return SPEEDS[self._speed]

    @property
    def text(self) -> str:
        """The speed as the status line shows it."""
        return f"{'◀' if self.direction < 0 else '▶'} {short_count(self.steps_per_second)} steps/s"

    def _fit(self, span: int) -> None:
        # A speed is chosen for what one sees: another zoom wants another one.
        if span != self._span:
            self._span = span
            self._speed = max(bisect_right(SPEEDS, span // CROSSING) - 1, 0)

    def start(self, direction: int, span: int, now: float) -> None:
        """Play from here on, over a window of `span` steps; `now`: host time in seconds."""
        self._fit(span)
        self.direction, self._last, self._owed = direction, now, 0.0

    def change(self, faster: int, span: int) -> None:
        """Take a higher (1) or lower (-1) speed."""
        self._fit(span)
        self._speed = min(max(self._speed + faster, 0), len(SPEEDS) - 1)

    def stop(self) -> None:
        """Pause."""
        self.direction = 0

    def due(self, now: float) -> int:
        """Return the steps to move by, negative backwards; what was returned is taken as done."""
        self._owed += min(now - self._last, LONGEST) * self.steps_per_second
        self._last = now
        steps = int(self._owed)
        self._owed -= steps
        return self.direction * steps
