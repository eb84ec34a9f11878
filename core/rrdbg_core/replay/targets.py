"""What a run through a recording can stop at, and what ended it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryWatch:
    """A watched stretch of memory."""

    address: int
    """First byte."""
    length: int
    """Bytes."""
    reads: bool
    """Whether reads count."""
    writes: bool
    """Whether writes count that change nothing."""
    changes: bool
    """Whether writes count that change something."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Everything that can stop a run."""

    breaks: tuple[int, ...] = ()
    """Virtual addresses of instructions."""
    watches: tuple[MemoryWatch, ...] = ()
    """Stretches of memory."""
    registers: int = 0
    """Bit r: changes of x[r]."""
    exceptions: bool = False
    """Whether taken exceptions count."""
    interrupts: bool = False
    """Whether taken interrupts count."""

    @property
    def any(self) -> bool:
        """Whether anything can hit."""
        return bool(self.breaks or self.watches or self.registers or self.exceptions or self.interrupts)


@dataclass(frozen=True, slots=True)
class Found:
    """What ended a run."""

    is_break: bool
    """Whether it is a break before the next step; else something in the last step."""
    address: int = 0
    """Address of the access, for a watch."""
    size: int = 0
    """Its bytes."""
    is_write: bool = False
    """Whether it wrote."""
    old: int = 0
    """The accessed bytes before, or the register."""
    new: int = 0
    """The accessed bytes after, or the register."""
