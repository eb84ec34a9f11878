"""Stream the steps of a stretch of a trace, a line per step, to a text file."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from rrdbg.export import jsonl, text
from rrdbg.session.api import Position, Progress, Session, StepRow
from rrdbg.session.errors import UsageError

FORMATS: dict[str, Callable[[StepRow], str]] = {"text": text.line, "jsonl": jsonl.line}
"""By name: from a step to its lines, each with a newline."""

_BATCH_CHARS = 1 << 16
_PROGRESS_ROWS = 4096


def export(
    session: Session,
    out: TextIO,
    *,
    to: str = "text",
    start: Position | None = None,
    until: Position | None = None,
) -> int:
    """Write the steps from `start` up to, but without, `until` (default: the whole trace). Return how many.

    Memory use does not depend on how many there are. Reports progress through the session and can be cancelled; what
    was written stays. The session stands where it stood before.

    Raises:
        UsageError: An unknown format, or a stretch that ends before it starts.
        Cancelled: `session.cancel` was called.
    """
    if to not in FORMATS:
        raise UsageError(f"unknown export format {to!r}", hint=f"one of {', '.join(FORMATS)}")
    lo = session.position(start if start is not None else 0)
    hi = session.position(until if until is not None else "end")
    if lo > hi:
        raise UsageError(f"the stretch from {lo:_} to {hi:_} ends before it starts")
    line = FORMATS[to]
    started = time.monotonic()
    count = size = 0
    batch: list[str] = []
    for row in session.iter_steps(lo, hi):
        piece = line(row)
        batch.append(piece)
        size += len(piece)
        count += 1
        if size >= _BATCH_CHARS:
            out.write("".join(batch))
            batch, size = [], 0
        if count % _PROGRESS_ROWS == 0 and session.on_progress is not None:
            rate = count / max(time.monotonic() - started, 1e-9)
            session.on_progress(Progress("exporting", count, hi - lo, rate, (hi - lo - count) / rate))
    out.write("".join(batch))
    return count
