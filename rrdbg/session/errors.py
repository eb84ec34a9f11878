"""Errors of the debugger."""

from __future__ import annotations

from rrdbg_core.errors import ExitCode, RrdbgError


class Cancelled(RrdbgError):
    """The call was cancelled; the session stands where it stood before."""

    exit_code = ExitCode.INTERRUPTED


class NotFound(RrdbgError):
    """An unknown symbol, register, position, bookmark, event or point."""

    exit_code = ExitCode.NOT_FOUND


class UsageError(RrdbgError):
    """An expression, position or command that cannot be understood."""

    exit_code = ExitCode.USAGE


class Unreadable(RrdbgError):
    """Guest memory that cannot be read without side effects: no RAM there."""


class EngineDied(RrdbgError):
    """The engine's process is gone, and the session with it; the trace is untouched."""


class DivisionByZero(UsageError):
    """An expression divides by zero."""
