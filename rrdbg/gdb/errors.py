"""What a packet can be answered with when it is not done."""

from __future__ import annotations

from rrdbg_core.errors import RrdbgError

EFAULT, EINVAL = 14, 22


class Refused(RrdbgError):
    """A packet that is understood and not done."""

    def __init__(self, message: str, *, number: int = EINVAL, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.number = number


class Malformed(Refused):
    """A packet that is not well formed."""


READ_ONLY = "the trace is read-only: nothing can be written into a recording"
"""What every attempt to change the guest is told."""
