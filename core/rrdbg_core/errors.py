"""The one base of every error a user can meet, and the exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `rrdbg`, beside the guest's own, which `record` passes through."""

    OK = 0
    """The work was done."""
    FAILED = 1
    """The work was done and the answer is no (a script's assertion, an internal error)."""
    USAGE = 2
    """The command line makes no sense."""
    BAD_IMAGE = 64
    """The guest image cannot be loaded."""
    BAD_TRACE = 65
    """The trace cannot be read: corrupt, foreign, or of a newer version."""
    DIVERGED = 66
    """Replay differs from the recording."""
    NOT_FOUND = 67
    """An unknown symbol, position, bookmark, device or file."""
    HOST_IO = 68
    """The host failed: disk full, permission, no terminal."""
    LIMIT = 69
    """A limit given by the user ended the run (`--timeout`, `--max-size`)."""
    IDLE = 70
    """The guest sleeps for ever and no input is left."""
    DEVICE_BROKEN = 71
    """A device breaks the device contract."""
    INTERRUPTED = 130
    """Ctrl-C, SIGINT or SIGTERM."""


class RrdbgError(Exception):
    """An error that is told in one message: what, where, and what to try next.

    Attributes:
        message: What went wrong and where, without a trailing full stop.
        hint: What to try next, or None.
        exit_code: What the command line exits with.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str | None = None, exit_code: ExitCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  {self.hint}"
