"""What the session needs of whatever replays a trace. `rrdbg.session.replay` says it over the replayer; tests say it
over a bare core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]


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


class Engine(Protocol):
    """The guest at some position of the trace.

    Long methods call `poll` at least every 10 ms or so of host time, with the position they have reached; it raises to
    end them. The guest then stands anywhere.
    """

    poll: Callable[[int], None]
    """Called with the current position while something runs."""

    @property
    def icount(self) -> int:
        """The current position."""

    @property
    def end(self) -> int:
        """The last position."""

    @property
    def hart(self) -> Words:
        """State words of the selected hart (cpu/layout.py), a view."""

    @property
    def mach(self) -> Words:
        """State words of the machine, a view."""

    def seek(self, icount: int) -> None:
        """Go to a position."""

    def run(self, limit: int, targets: Targets) -> Found | None:
        """Run forwards to the first hit and return it, or to position `limit` and return None.

        A break that stands at the current position is passed over. A break hit stops before its instruction, any other
        hit after its step. A break at `limit` itself is not looked at.
        """

    def last_hit(self, lo: int, hi: int, targets: Targets) -> int | None:
        """Return the number of the last step in lo <= n < hi that hits; the guest then stands anywhere."""

    def rungs(self, lo: int, hi: int) -> Sequence[int]:
        """Return positions lo <= p < hi that are quick to reach, ascending, the first one being lo."""

    def log(self, lo: int, hi: int, sink: Callable[[Words], None]) -> None:
        """Run the steps lo <= n < hi and hand over their rows (cpu/layout.py LOG_WORDS), in blocks."""

    def traps(self, lo: int, hi: int) -> Words:
        """Run the steps lo <= n < hi and return the traps they took: u64[n, 2] of icount and mcause."""

    def console(self, lo: int, hi: int) -> Sequence[tuple[int, bytes]]:
        """Run the steps lo <= n < hi and return what they printed: first position at which it is visible, and bytes."""

    def read(self, address: int, length: int, physical: bool) -> bytes:
        """Read memory without side effects, as far as it can be read."""
