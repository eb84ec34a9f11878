"""Stops in gdb's words."""

from __future__ import annotations

from collections.abc import Sequence

from rrdbg.session.api import PointKind, StopReason, When
from rrdbg.session.hunt import Hit

_WATCH = {
    PointKind.WATCH: "Hardware watchpoint",
    PointKind.RWATCH: "Hardware read watchpoint",
    PointKind.AWATCH: "Hardware access (read/write) watchpoint",
}


def frame_text(when: When) -> str:
    """Return where it stopped: `0x0000000080000010 in main () at main.c:12`."""
    where = when.location
    source = f" at {where.source}" if where.source else ""
    return f"{when.pc:#018x} in {where.symbol or '??'} (){source}"


def stop_text(reason: StopReason, where: str, hits: Sequence[Hit], *, reverse: bool, ended: str = "") -> str:
    """Return a whole stop, one line or more.

    Args:
        reason: Why it stopped.
        where: Where, in words.
        hits: What was hit.
        reverse: Going backwards the value before is the one that is new to the user, as in gdb.
        ended: What is known about the end of the recording.
    """
    lines: list[str] = []
    prefix = ""
    for hit in hits:
        point = hit.point
        if point.is_internal:
            continue
        if hit.problem:
            lines.append(f"Error in testing condition for breakpoint {point.number}:\n{hit.problem}")
        if point.is_break:
            prefix = f"{'Temporary breakpoint' if point.temporary else 'Breakpoint'} {point.number}, "
        elif point.kind is PointKind.CATCH:
            prefix = f"Catchpoint {point.number} ({hit.cause}), "
        else:
            lines.append(_watch_text(hit, reverse))
    if reason is StopReason.START:
        lines.append("No more reverse-execution history: this is the start of the recording.")
    if reason is StopReason.END:
        lines.append(f"End of the recording{': ' + ended if ended else ''}.")
    if lines and hits:
        lines.append("")
    return "\n".join([*lines, prefix + where])


def _watch_text(hit: Hit, reverse: bool) -> str:
    head = f"{_WATCH[hit.point.kind]} {hit.point.number}: {hit.point.what}\n"
    text = hit.point.shown or _number
    if hit.old is None or hit.new is None or (text is _number and hit.point.length > 8):
        return f"{head}\n{hit.access} at {hit.address or 0:#x}"
    if hit.old == hit.new:
        return f"{head}\nValue = {text(hit.new)}"
    old, new = (hit.new, hit.old) if reverse else (hit.old, hit.new)
    return f"{head}\nOld value = {text(old)}\nNew value = {text(new)}"


def _number(value: int) -> str:
    return f"{value} ({value:#x})" if value > 9 else str(value)
