"""Where the user came from: back and forward over every jump, whatever made it."""

from __future__ import annotations

REMEMBERED = 1000
"""Jumps that can be undone."""


class Jumps:
    """Positions that were left by a jump. A glide (scrubbing, dragging, playing) is one jump, however long it takes."""

    def __init__(self) -> None:
        self._past: list[int] = []
        self._future: list[int] = []
        self._glide = ""

    def leave(self, position: int, glide: str = "") -> None:
        """Remember a position that is left now; `glide` names a movement that goes on as long as its name is told."""
        if glide and glide == self._glide:
            return
        self._glide = glide
        if not self._past or self._past[-1] != position:
            self._past = [*self._past, position][-REMEMBERED:]
        self._future = []

    def settle(self) -> None:
        """End a glide."""
        self._glide = ""

    def back(self, here: int) -> int | None:
        """Return where to go back to from here, or None."""
        return self._travel(self._past, self._future, here)

    def forward(self, here: int) -> int | None:
        """Return where `back` came from, or None."""
        return self._travel(self._future, self._past, here)

    def _travel(self, source: list[int], other: list[int], here: int) -> int | None:
        self.settle()
        while source:
            position = source.pop()
            if position != here:  # a jump that was cancelled led nowhere
                other.append(here)
                return position
        return None
