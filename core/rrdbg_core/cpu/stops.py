"""What stops a core: breakpoints, watches, register watches, trap catches, and the gates that hits must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import Condition
from rrdbg_core.cpu.condition_code import address_of
from rrdbg_core.cpu.marks import Marks
from rrdbg_core.cpu.memory import LINE_BYTES, LINES_PER_PAGE, PAGE_BYTES, RAM_BASE, WATCHED_R, WATCHED_W

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]

ALL = (1 << 64) - 1
"""As many hits as there are, see `Gate`."""
REGISTER_HIT, TRAP_HIT = 1 << 32, 2 << 32
"""Indices of hits that are no watch of memory, see `Hit`."""


class WatchKind(IntEnum):
    """What a watch looks for."""

    READ = L.WATCH_READ
    """Any read."""
    WRITE = L.WATCH_WRITE
    """Any write."""
    ACCESS = L.WATCH_READ | L.WATCH_WRITE
    """Any access."""
    CHANGE = L.WATCH_CHANGE
    """A write that changes the value."""
    TRACKED = L.WATCH_TRACKED
    """A write, of interest to the machine, not to the debugger."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a hit must pass to stop the run."""

    condition: Condition | None = None
    """Must hold: before the step for a breakpoint, behind it for anything else."""
    ignore: int = 0
    """Hits under the condition that are passed over; in a search, how many, from the first on, `last` looks at."""


@dataclass(frozen=True, slots=True)
class GateCount:
    """What came to a gate since it was set."""

    passed: int
    """Hits that were passed over; in a search, hits that held."""
    last: int
    """In a search: step of the newest hit that held, of those that it looks at, if there is one."""
    doubts: int
    """In a search: hits that could not be judged; `Core.last_hit` is the newest of them or of the ungated ones."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A watched range of memory."""

    address: int
    """Physical address of the first byte."""
    size: int
    """Bytes."""
    kind: WatchKind
    """What counts as a hit."""
    gate: int = 0
    """Number of its gate, from 1 on; 0: none."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What a step did to a watch."""

    index: int
    """Index of the watch; `REGISTER_HIT` + register number; `TRAP_HIT`."""
    address: int
    """Physical address of the access."""
    size: int
    """Bytes of the access."""
    is_write: bool
    """True for a write."""
    old: int
    """Value before."""
    new: int
    """Value after."""


class Stops(Marks):
    """The part of a core that debuggers stop it with."""

    def set_gates(self, gates: Sequence[Gate]) -> None:
        """Set the gates, to be named by their places from 1 on, and begin to count.

        Gates in use stay in number and order; what they ask for may change at any time.
        """
        if len(gates) != len(self._gates):
            self._gate_rows = np.zeros((len(gates) + 1, L.GATE_WORDS), np.uint64)
            self._point()
            self._gates = ()
        before = [gate.condition for gate in self._gates]
        self._gates = tuple(gates)
        self._gate_rows[:, L.GATE_IGNORE :] = 0
        self._gate_rows[1:, L.GATE_IGNORE] = [gate.ignore for gate in gates]
        if len(before) != len(gates) or any(a is not b.condition for a, b in zip(before, gates, strict=True)):
            self._gate_rows[1:, L.GATE_CONDITION] = [self._function(gate) for gate in gates]

    def _function(self, gate: Gate) -> int:
        return 0 if gate.condition is None else address_of(gate.condition)

    @property
    def gate_counts(self) -> list[GateCount]:
        """What came to each gate since `set_gates`, or since `search`."""
        rows = self._gate_rows[1:].tolist()
        return [GateCount(row[L.GATE_PASSED], row[L.GATE_LAST], row[L.GATE_DOUBTS]) for row in rows]

    def set_breakpoints(self, addresses: Sequence[int], gates: Sequence[int] = ()) -> None:
        """Stop before the instruction at each of these virtual addresses.

        Args:
            addresses: Where; the same address may be there several times.
            gates: Number of the gate of each; none by default.
        """
        rows = sorted(zip(addresses, gates or [0] * len(addresses), strict=True))
        changed = set(self._break_rows[:-1, 0].tolist()) ^ set(addresses)
        # one row more: the kernel may look behind the last one
        self._break_rows = np.zeros((len(rows) + 1, L.BREAK_WORDS), np.uint64)
        self._break_rows[:-1, :2] = np.array(rows, np.uint64).reshape(-1, 2)
        self.mach[L.BREAKS] = len(rows)
        self._point()
        self._undecode(changed)
        if changed:
            self.mach[L.TRANSLATIONS] += 1  # regions that may be entered where they are mapped have none of these
            self.regions.set_breaks(addresses)

    def set_watches(self, watches: Sequence[Watch]) -> None:
        """Stop behind the steps that hit these watches."""
        self._watches = tuple(watches)
        self._apply_watches()

    def track(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Leave the kernel behind each store to one of the ranges (address, bytes), for the machine's sake."""
        self._tracked = tuple(Watch(address, size, WatchKind.TRACKED) for address, size in ranges)
        self._apply_watches()

    def _apply_watches(self) -> None:
        memory = self.memory
        memory.flags &= 255 - WATCHED_R - WATCHED_W
        self._watched[:] = 0
        table = self._watches + self._tracked
        for watch in table:
            first = max(watch.address - RAM_BASE, 0)
            last = min(watch.address - RAM_BASE + watch.size, memory.size) - 1
            if first > last:
                continue
            flags = (WATCHED_R if watch.kind & L.WATCH_READ else 0) | (WATCHED_W if watch.kind & ~L.WATCH_READ else 0)
            memory.flags[first // PAGE_BYTES : last // PAGE_BYTES + 1] |= flags
            self._watched[first // PAGE_BYTES : last // PAGE_BYTES + 1] |= _lines(first, last)
        rows = [(watch.address, watch.size, int(watch.kind), watch.gate) for watch in table]
        rows += [(register, L.register_word(register), L.WATCH_REGISTER, gate) for register, gate in self._registers]
        rows += [(mask, 0, L.WATCH_TRAP, gate) for mask, gate in self._catches]
        self._watch_rows = np.array([*rows, (0, 0, 0, 0)], np.uint64)
        self.mach[L.WATCHES], self.mach[L.WATCH_ROWS] = len(table), len(rows)
        self.mach[L.WATCH_FIRST] = min((watch.address for watch in table), default=ALL)
        self.mach[L.WATCH_LAST] = min(max((watch.address + watch.size - 1 for watch in table), default=0), ALL)
        self._point()
        self.flush_tlb()

    def watch_registers(self, mask: int, gated: Sequence[tuple[int, int]] = ()) -> None:
        """Stop behind the steps that change a register.

        Args:
            mask: Bit r: any change of x[r], or, from 32 on, of f[r - 32].
            gated: Registers and numbers of their gates.
        """
        registers = [(register, 0) for register in range(1, 64) if mask >> register & 1] + list(gated)
        if registers != self._registers:
            self._registers = registers
            self._apply_watches()
        for register, _ in gated:
            mask |= 1 << register
        self.mach[L.REG_WATCH] = mask
        self._set_stepping()

    def catch_traps(self, *, exceptions: bool, interrupts: bool, gated: Sequence[tuple[int, int]] = ()) -> None:
        """Stop behind the steps that take a trap.

        Args:
            exceptions: Whether any exception counts.
            interrupts: Whether any interrupt counts.
            gated: Classes (1: exceptions, 2: interrupts, 3: both) and numbers of their gates.
        """
        mask = int(exceptions) | int(interrupts) << 1
        catches = [(mask, 0)] * (mask != 0) + list(gated)
        if catches != self._catches:
            self._catches = catches
            self._apply_watches()
        for kinds, _ in gated:
            mask |= kinds
        self.mach[L.CATCH] = mask

    def _set_stepping(self) -> None:
        stepping = int(bool(self.mach[L.REG_WATCH]) or bool(self.mach[L.LOG_LIMIT]))
        if stepping != int(self.mach[L.STEPPING]):
            self.mach[L.STEPPING] = stepping
            self.flush_tlb()

    def skip_break_once(self) -> None:
        """Let the next step leave a breakpoint that stands at pc."""
        self.mach[L.SKIP_BREAK] = self.icount + 1

    def search(self, on: bool) -> None:
        """While on, breakpoints and watches do not stop the run: the newest hit is remembered.

        Set gates before: they begin to count then, too.
        """
        self.mach[L.SEARCH] = int(on)
        self.mach[L.HITS] = self.mach[L.LAST_HIT] = self.mach[L.LAST_HIT_INDEX] = 0

    @property
    def last_hit(self) -> tuple[int, int] | None:
        """icount and index (0 = breakpoint, else index of the watch + 1) of the newest hit of a search.

        Hits at a gate count here only if they could not be judged.
        """
        if not self.mach[L.HITS]:
            return None
        return int(self.mach[L.LAST_HIT]), int(self.mach[L.LAST_HIT_INDEX])

    @property
    def hit(self) -> Hit:
        """What the last step did, after Exit.WATCH."""
        mach = [int(word) for word in self.mach[L.HIT_INDEX : L.HIT_NEW + 1]]
        index, address, size, kind, old, new = mach
        return Hit(index - 1 if index < REGISTER_HIT else index, address, size, kind == 2, old, new)

    @property
    def tracked_hit(self) -> bool:
        """True if the last step stored to a tracked range."""
        return bool(self.mach[L.TRACKED_HIT])


def _lines(first: int, last: int) -> Words:
    """Return the lines that bytes `first` to `last` of RAM touch, u64 for each page from the first one's on."""
    start = first // PAGE_BYTES * LINES_PER_PAGE
    bits = np.zeros((last // PAGE_BYTES + 1) * LINES_PER_PAGE - start, np.uint8)
    bits[first // LINE_BYTES - start : last // LINE_BYTES + 1 - start] = 1
    return np.packbits(bits, bitorder="little").view("<u8")
