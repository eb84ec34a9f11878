"""Recorders in processes of their own, for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rrdbg_core.trace.reader import Trace

from rrdbg.cli.live import COMMAND
from rrdbg.cli.main import build_parser
from rrdbg.session.live import LiveRecorder, Printed, Report, State

PATIENCE_S = 120.0
BEGINNING = State(0, 0, 0, 0, 0.0, False, 0, False)
"""Nothing was reported yet."""


def options(*args: str | Path) -> dict[str, object]:
    """Return the options of a `record` command line."""
    parsed = vars(build_parser().parse_args(["record", "--tui", *map(str, args)]))
    return {name: value for name, value in parsed.items() if not callable(value)}


class Watched:
    """A recorder and everything that it reported."""

    def __init__(self, *args: str | Path) -> None:
        self.recorder = LiveRecorder(COMMAND, options(*args))
        self.path = Path(self.recorder.started())
        self.reports: list[Report] = []
        self._changed = threading.Condition()
        self.recorder.watch(self._take)

    def _take(self, report: Report) -> None:
        with self._changed:
            self.reports.append(report)
            self._changed.notify_all()

    @property
    def text(self) -> bytes:
        """What the guest has printed."""
        return b"".join(
            chunk.data for report in list(self.reports) if isinstance(report, Printed) for chunk in report.chunks
        )

    @property
    def state(self) -> State:
        """The last state."""
        return next((report for report in reversed(self.reports) if isinstance(report, State)), BEGINNING)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is true of what was reported."""
        end = time.monotonic() + PATIENCE_S
        with self._changed:
            while not condition():
                assert self._changed.wait(end - time.monotonic()), self.reports[-3:]

    def pause(self) -> State:
        """Pause, and return where it stands."""
        self.recorder.pause()
        self.until(lambda: self.state.paused)
        return self.state


@contextmanager
def watched(*args: str | Path) -> Iterator[Watched]:
    """Watch a recording, and end it."""
    watch = Watched(*args)
    try:
        yield watch
    finally:
        watch.recorder.close()


def await_end(path: Path) -> str:
    """Wait until nobody records into a file, and return why the recording ended, or ""."""
    end = time.monotonic() + PATIENCE_S
    while True:
        with Trace.open(path) as trace:
            if not trace.recording:
                trace.refresh()  # it may have ended behind what was read
                return trace.ending.reason if trace.ending is not None else ""
        assert time.monotonic() < end
        time.sleep(0.01)
