"""The places that a replay can start from: recorded snapshots, and rungs, which are snapshots kept in memory.

A rung is the machine's state and the pages that differ from a recorded snapshot, its base. Rungs share copies of pages.
Under the byte budget those go that are missed least: they stand dense around the cursor, and evenly elsewhere.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt

from rrdbg_core.frozen import Frozen
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.objects import roots
from rrdbg_core.machine.source import ReplaySource
from rrdbg_core.replay.pages import Ids, PageIds
from rrdbg_core.trace.reader import Trace

Words = npt.NDArray[np.uint64]
Names = list[bytes]

NEAR, FAR = 1 << 20, 1 << 25
"""Steps from the cursor up to which rungs are as dense as they come, and from which on they are evenly far apart."""


class Rung(Frozen):
    """A snapshot in memory."""

    icount: int
    """Position."""
    events: int
    """Journal events applied up to and with this position."""
    state: dict[str, Words]
    """`Machine.save()`."""
    base: int
    """Number of the recorded snapshot below; -1: RAM that is all zero."""
    pages: npt.NDArray[np.int64]
    """Pages that differ from it."""
    ids: Ids
    """What they hold."""

    @property
    def bytes(self) -> int:
        """Memory it takes, without the copies of pages."""
        return 16 * len(self.pages) + sum(words.nbytes for words in self.state.values()) + 1024


class Ladder:
    """Snapshots and rungs of a trace, and which of them the machine's RAM is nearest to.

    Args:
        trace: The trace.
        machine: The machine that replays it, at power-on.
        source: Its source of events.
        budget: Bytes for rungs.
    """

    def __init__(self, trace: Trace, machine: Machine, source: ReplaySource, budget: int) -> None:
        self._trace, self._machine, self._source = trace, machine, source
        self._budget = budget
        self._pages = PageIds(trace, machine.core)
        self._rungs: dict[int, Rung] = {}
        self._order: list[int] = []
        self._rung_bytes = 0
        self._pinned: int | None = None
        self._base = -1
        self._base_ids: Ids = np.zeros(machine.memory.pages, np.int64)
        self.snapshot_icounts: list[int] = []
        """Positions of the recorded snapshots."""
        self.refresh()

    def refresh(self) -> None:
        """Take in what the trace has got."""
        self.snapshot_icounts = list(self._trace.snapshot_icounts)

    @property
    def bytes(self) -> int:
        """Memory that the rungs take."""
        return self._pages.bytes + self._rung_bytes

    def positions(self, lo: int, hi: int) -> list[int]:
        """Return the positions lo <= p < hi of snapshots and rungs, ascending."""
        found: set[int] = set()
        for icounts in (self.snapshot_icounts, self._order):
            found.update(icounts[bisect_left(icounts, lo) : bisect_left(icounts, hi)])
        return sorted(found)

    def below(self, icount: int) -> int | None:
        """Return the last position at or before `icount` that can be restored."""
        found = [
            icounts[index - 1]
            for icounts in (self.snapshot_icounts, self._order)
            if (index := bisect_right(icounts, icount))
        ]
        return max(found, default=None)

    def restore(self, position: int, between: Callable[[], None] = lambda: None) -> None:
        """Put the machine back to a rung or snapshot.

        Args:
            position: Where it lies.
            between: Called now and then if it takes long; may raise, and then the machine is in no state at all.
        """
        self._pages.look()
        rung = self._rungs.get(position)
        if rung is None:
            number = bisect_left(self.snapshot_icounts, position)
            snapshot = self._trace.snapshots[number]
            self._rebase(number)
            self._pages.load(self._base_ids, between)
            state, events = snapshot.state, snapshot.events
        else:
            self._rebase(rung.base)
            want = self._base_ids.copy()
            want[rung.pages] = rung.ids
            self._pages.load(want, between)
            state, events = rung.state, rung.events
        self._machine.restore(state)
        self._source.seek(events)

    def _rebase(self, number: int) -> None:
        if number != self._base:
            self._base = number
            if number < 0:
                self._base_ids = np.zeros_like(self._base_ids)
            else:
                self._base_ids = self._trace.versions(number).astype(np.int64)

    def passed(self, position: int) -> None:
        """Note that the machine, running forward, stands at a position: a snapshot there says what RAM holds."""
        number = bisect_left(self.snapshot_icounts, position)
        if number < len(self.snapshot_icounts) and self.snapshot_icounts[number] == position:
            self._rebase(number)
            self._pages.declare(self._base_ids)

    def keep(self, between: Callable[[], None] = lambda: None) -> None:
        """Make a rung of where the machine stands, if there is none.

        Args:
            between: Called now and then if it takes long; may raise, and then there is no rung.
        """
        icount = self._machine.icount
        if icount in self._rungs or icount in self.snapshot_icounts[bisect_left(self.snapshot_icounts, icount) :][:1]:
            return
        self._pages.look()
        pages = np.flatnonzero(self._pages.have != self._base_ids)
        ids = self._pages.hold(pages, between)
        rung = Rung(icount, self._source.position, self._machine.save(), self._base, pages, ids)
        self._rungs[icount] = rung
        insort(self._order, icount)
        self._rung_bytes += rung.bytes
        self._thin(icount)

    def pin(self, icount: int | None) -> None:
        """Keep the rung from which a position is reached, however far the cursor goes; forget about the one before."""
        index = bisect_right(self._order, icount) if icount is not None else 0
        self._pinned = self._order[index - 1] if index else None

    def _thin(self, cursor: int) -> None:
        """Drop rungs until the budget is kept, and by the objects they need."""
        kept = {cursor, self._pinned} & self._rungs.keys()
        while self.bytes > self._budget and len(self._order) > len(kept):
            for icount in self._least_missed(cursor, kept, 1 + len(self._order) // 256):
                self.drop(icount)
        objects = self._machine.objects
        objects.sweep(self._needed)
        while objects.bytes > self._budget and len(self._order) > len(kept):
            for icount in self._least_missed(cursor, kept, 1 + len(self._order) // 4):
                self.drop(icount)
            objects.sweep(self._needed, at_once=True)

    def _least_missed(self, cursor: int, kept: Collection[int | None], most: int) -> list[int]:
        """Return at least one rung, and at most so many, no two of them neighbours.

        They are those without which the stretch that no rung or snapshot divides is shortest, for how far away it is.
        """
        order = np.array(self._order)
        places = np.array(sorted({*self._order, *self.snapshot_icounts, -1, self._trace.end_icount + 1}))
        stretch = places[np.searchsorted(places, order, "right")] - places[np.searchsorted(places, order) - 1]
        missed = stretch / (NEAR + np.minimum(abs(order - cursor), FAR))
        found: set[int] = set()
        for index in np.argsort(missed, kind="stable").tolist():
            if len(found) == most:
                break
            if self._order[index] not in kept and not {index - 1, index + 1} & found:
                found.add(index)
        return [self._order[index] for index in found]

    def _needed(self) -> Names:
        """Return the names of the objects that rungs, and the machine now, refer to."""
        devices = self._machine.devices
        states = [self._machine.save(), *(rung.state for rung in self._rungs.values())]
        return [name for state in states for name in roots(state, devices)]

    def drop(self, icount: int) -> None:
        """Forget a rung."""
        rung = self._rungs.pop(icount)
        del self._order[bisect_left(self._order, icount)]
        self._rung_bytes -= rung.bytes
        self._pages.release(rung.ids)

    def clear(self) -> None:
        """Forget all rungs."""
        for icount in list(self._order):
            self.drop(icount)
