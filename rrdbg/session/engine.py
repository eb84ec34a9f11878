"""What the session needs of whatever replays a trace. `rrdbg.session.replay` says it over the replayer; tests say it
over a bare core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rrdbg_core.replay.targets import Found, Gated, MemoryWatch, Targets, merged

__all__ = ["Engine", "Found", "Gated", "MemoryWatch", "Targets", "Words", "merged"]

Words = npt.NDArray[np.uint64]


class Engine(Protocol):
    """The guest at some position of the trace.

    Long methods call `poll` at least every 10 ms or so of host time, with the position they have reached; it raises to
    end them. The guest then stands anywhere.
    """

    poll: Callable[[int], None]
    """Called with the current position while something runs."""

    home: int | None
    """The position that the caller may want to come back to at once: where something long has started."""

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
        """Return the number of the last step in lo <= n < hi that hits; the guest then stands anywhere.

        What gates ignore are the newest hits.
        """

    @property
    def passed(self) -> Sequence[int]:
        """For each of the gated targets of the last `run` or `last_hit`, the hits that were passed over."""

    def executed(self, lo: int, hi: int, places: Sequence[int]) -> bool:
        """Run the steps lo <= n < hi and return whether an instruction at one of some physical addresses was started.

        The guest then stands anywhere.
        """

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
