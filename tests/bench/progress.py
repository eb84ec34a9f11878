"""How far a run of the benchmarks is: on stderr, with the time that is left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

QUIET_S = 15.0
"""Where stderr is no terminal, time between two lines."""


class Progress:
    """Counts work in seconds that it is expected to take.

    Args:
        total: All of the work.
        stream: Where to write.
    """

    def __init__(self, total: float = 0.0, stream: TextIO | None = None) -> None:
        self.total = total
        """All of the work, in expected seconds."""
        self.done = 0.0
        """Work that is behind us."""
        self._stream = stream if stream is not None else sys.stderr
        self._terminal = self._stream.isatty()
        self._started = time.monotonic()
        self._shown = -QUIET_S
        self._current = 0.0

    def begin(self, text: str, work: float) -> None:
        """Say what comes now; what came before is done."""
        self.done += self._current
        self._current = work
        now = time.monotonic() - self._started
        if self._terminal:
            self._stream.write(f"\r\x1b[K{self.line(text, now)}")
        elif now - self._shown >= QUIET_S:
            self._stream.write(self.line(text, now) + "\n")
            self._shown = now
        self._stream.flush()

    def line(self, text: str, elapsed: float) -> str:
        """Return the line that is shown after so many seconds."""
        share = min(self.done / self.total, 1) if self.total else 1.0
        left = f", {duration(elapsed / share - elapsed)} left" if share > 0.005 else ""
        return f"{share:4.0%} {duration(elapsed)}{left}: {text}"

    def clear(self) -> None:
        """Leave an empty line for what is printed next."""
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
