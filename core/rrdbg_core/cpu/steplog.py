"""The step log: what a step did, one row each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu.layout import LOG_PLACES

INTERRUPT = 1 << 63
"""Bit of mcause."""


@dataclass(frozen=True, slots=True)
class Access:
    """One memory access of a logged step."""

    is_write: bool
    """True for a write."""
    address: int
    """Virtual address."""
    size: int
    """Bytes."""
    value: int
    """What was read or written, zero-extended."""
    place: int
    """Physical address of its first byte."""
    last: int
    """And of its last one: in another page, maybe, that is no neighbour."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One step of the step log."""

    icount: int
    """Position before the step."""
    pc: int
    """Address of the instruction."""
    insn: int
    """Its bits; 0 if they could not be fetched."""
    priv: int
    """Privilege it ran at."""
    cause: int | None
    """mcause of the trap that the step took, or None."""
    rd_value: int
    """Value of the destination register after the step; 0 where that is x0."""
    accesses: tuple[Access, ...]
    """Memory accesses, in order."""


def parse_log_row(row: npt.NDArray[np.uint64]) -> LogRow:
    """Return one row of a step log as an object."""
    words = [int(word) for word in row]
    icount, pc, insn, priv, cause, value, count = words[:7]
    accesses = []
    for index in range(count):
        kind, address, data = words[7 + 3 * index : 10 + 3 * index]
        place, last = words[LOG_PLACES + 2 * index : LOG_PLACES + 2 * index + 2]
        accesses.append(Access(kind & 255 == 2, address, kind >> 8, data, place, last))
    taken = None if cause == 0 else cause if cause & INTERRUPT else cause - 1
    return LogRow(icount, pc, insn, priv, taken, value, tuple(accesses))
