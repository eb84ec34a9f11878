"""One step of the guest and everything that belongs to it, as exports show it."""

from __future__ import annotations

from dataclasses import dataclass

from rrdbg.session.values import Bookmark, EventRow, Location, Note


@dataclass(frozen=True, slots=True)
class MemoryAccess:
    """One access of a step to memory or a device."""

    kind: str
    """"read" or "write"."""
    address: int
    """Virtual address."""
    size: int
    """Bytes."""
    value: int
    """The value read or written, unsigned."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step, with everything that belongs to it."""

    icount: int
    """Number of the step."""
    virtual_ns: int
    """Virtual time before the step."""
    hart: int
    """The hart that made it."""
    priv: str
    """Its mode before the step."""
    pc: int
    """Its pc before the step."""
    insn: int
    """The instruction's word; 0 for a step that took an interrupt."""
    text: str
    """Disassembly."""
    location: Location
    """pc by name."""
    registers: tuple[tuple[str, int], ...] = ()
    """Registers written: name and new value."""
    accesses: tuple[MemoryAccess, ...] = ()
    """Memory accesses, in order."""
    trap: str = ""
    """Name of the trap that the step took, or empty."""
    events: tuple[EventRow, ...] = ()
    """Events applied before the step."""
    bookmarks: tuple[Bookmark, ...] = ()
    """Bookmarks at it."""
    notes: tuple[Note, ...] = ()
    """Notes at it."""
