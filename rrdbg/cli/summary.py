"""What `rrdbg record` says of a recording: progress, summary, exit code."""

from __future__ import annotations

import shlex

from rrdbg_core.errors import ExitCode
from rrdbg_core.replay.recorder import Progress, Recording

from rrdbg.cli import host
from rrdbg.cli.terminal import count, duration, size, virtual

_REASONS = {
    "idle": "the guest sleeps for ever and no input is left",
    "until": "the end given with --until is reached",
    "user": "you ended the recording",
    "interrupted": "interrupted",
    "timeout": "--timeout ended the recording",
    "max-size": "--max-size ended the recording",
    "stdout-closed": "nobody reads the guest's console any more",
}
_CODES = {
    "idle": ExitCode.IDLE,
    "until": ExitCode.OK,
    "user": ExitCode.OK,
    "interrupted": ExitCode.INTERRUPTED,
    "timeout": ExitCode.LIMIT,
    "max-size": ExitCode.LIMIT,
    "stdout-closed": host.BROKEN_PIPE,
}


def exit_code(reason: str, guest: int | None) -> int:
    """Return the process's exit code: the guest's if it ended the run.

    A guest's code may have 16 bits and a process's has 8: the low ones count, as in QEMU, but a failure that they would
    turn into success is 255.
    """
    if guest is None:
        return _CODES[reason]
    return guest & 0xFF or (255 if guest else 0)


def summary(result: Recording, reason: str, output: str, first_error: str) -> list[str]:
    """Return the summary for people, line by line."""
    code = result.ending.exit_code
    why = _REASONS[reason] if code is None else f"the guest ended with exit code {code}"
    lines = [
        f"{why}: {count(result.ending.icount)} steps, {virtual(result.virtual_ns)} virtual, "
        f"in {duration(result.host_seconds)}"
    ]
    if result.leftover:
        lines.append(result.leftover)
    if result.guest_errors:
        others = f" (and {count(result.guest_errors - 1)} more)" if result.guest_errors > 1 else ""
        lines.append(f"guest error: {first_error}{others}")
    return [*lines, f"{output}, {size(result.trace_bytes)}. Next: rrdbg tui {shlex.quote(output)}"]


def summary_fields(result: Recording, reason: str, output: str) -> dict[str, object]:
    """Return the summary for programs; docs/record.md has its fields."""
    return {
        "trace": output,
        "reason": reason,
        "exit_code": result.ending.exit_code,
        "icount": result.ending.icount,
        "virtual_ns": result.virtual_ns,
        "trace_bytes": result.trace_bytes,
        "events": result.events,
        "snapshots": result.snapshots,
        "guest_errors": result.guest_errors,
        "leftover": result.leftover,
        "host_s": round(result.host_seconds, 3),
    }


def progress_text(progress: Progress) -> str:
    """Return how far a recording is."""
    rate = progress.icount / progress.host_seconds / 1e6 if progress.host_seconds > 0 else 0.0
    doing = "waiting" if progress.idle else f"{rate:.0f} M steps/s"
    return (
        f"{count(progress.icount)} steps, {doing}, {virtual(progress.virtual_ns)} virtual, {size(progress.trace_bytes)}"
    )
