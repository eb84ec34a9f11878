"""The session's progress on the command line's progress line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rrdbg.cli.terminal import ProgressLine, duration

if TYPE_CHECKING:
    from rrdbg.session.api import Progress


class SessionProgress:
    """A session's `on_progress` that shows what it works at, on stderr.

    Whoever writes to stdout calls `clear` before: both may be the same terminal.
    """

    def __init__(self) -> None:
        self._line: ProgressLine | None = None

    def __enter__(self) -> SessionProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, progress: Progress) -> None:
        if self._line is None:
            self._line = ProgressLine("")
        self._line.label = progress.title
        share = progress.share
        parts = [] if share is None else [f"{share:.1%}"]
        if progress.rate >= 1e6:
            parts.append(f"{progress.rate / 1e6:.0f} M steps/s")
        if progress.eta is not None:
            parts.append(f"{duration(progress.eta)} left at most")
        self._line.text(", ".join(parts) or "...")

    def clear(self) -> None:
        """Wipe the line: the work is done."""
        if self._line is not None:
            self._line.clear()
            self._line = None
