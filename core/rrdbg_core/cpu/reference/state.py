"""The words of the reference interpreter as lists of ints, and how a step can end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import build
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import Reader, reader
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.digest import Digester, PlainDigester
from rrdbg_core.cpu.marks import Touched
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.cpu.pmp import Region
from rrdbg_core.cpu.reference.trees import Step
from rrdbg_core.cpu.stops import Gate

if TYPE_CHECKING:
    from rrdbg_core.cpu.digest import Part

PAGE = 4096
READ, WRITE, EXEC = 1, 2, 4
FETCH_FAULT, ILLEGAL, BREAKPOINT, LOAD_MISALIGNED, LOAD_FAULT, STORE_MISALIGNED, STORE_FAULT, ECALL = range(1, 9)
FETCH_PAGE_FAULT, LOAD_PAGE_FAULT, STORE_PAGE_FAULT = 12, 13, 15
MIE, MPIE, MPP, MPRV, TW = 1 << 3, 1 << 7, 3 << 11, 1 << 17, 1 << 21
SIE, SPIE, SPP, SUM, MXR, TVM, TSR = 1 << 1, 1 << 5, 1 << 8, 1 << 18, 1 << 19, 1 << 20, 1 << 22
INTERRUPT = 1 << 63


Marks: TypeAlias = npt.NDArray[np.uint8]
Pages: TypeAlias = npt.NDArray[np.uint32]
Lines: TypeAlias = npt.NDArray[np.uint64]


def _taken(marks: Marks, chosen: npt.NDArray[np.bool_]) -> tuple[Pages, Marks]:
    """Return the numbers of the chosen pages and their marks, a row each, and clear these."""
    rows = marks.reshape(len(chosen), -1)
    taken = rows[chosen]
    rows[chosen] = 0
    return chosen.nonzero()[0].astype(np.uint32), taken


def _mask(lines: npt.NDArray[np.bool_]) -> Lines:
    """Return the lines of pages as bits: bool[n, 64] to u64[n]."""
    return np.packbits(lines, axis=1, bitorder="little").view("<u8").reshape(len(lines))


class Trap(Exception):
    """An exception; nothing of the step happened."""

    def __init__(self, cause: int, tval: int) -> None:
        super().__init__(cause, tval)
        self.cause = cause
        self.tval = tval


class Leave(Exception):
    """The machine has to do something before the step can complete."""

    def __init__(self, code: Exit) -> None:
        super().__init__(code)
        self.code = code


class Words(Core):
    """`Core` with its words as lists, and without caches."""

    def __init__(self, ram_bytes: int, *, hart_count: int = 1, progress: build.Progress | None = None) -> None:
        # While it runs, the words of the hart and of the machine are lists of ints: numpy scalars are slow and wrap.
        self._h: list[int] = [0] * L.HART_WORDS
        self._m: list[int] = [0] * L.MACH_WORDS
        self._regions: list[Region] = []
        self._bound: dict[int, tuple[Step, int]] = {}
        self._log_rows: list[list[int]] = []
        self._breaks: dict[int, list[int]] = {}  # gates by address
        self._readers: list[Reader | None] = [None]  # of the conditions, by gate
        self._memory_rows: list[list[int]] = []  # watched memory
        self._other_rows: list[list[int]] = []  # watched registers and traps
        self._aged: list[int] = []  # PTEs in which this step's fetch has set the bit A
        self._matched: dict[int, tuple[int, ...]] = {}  # gates that the step has come to, and what hit
        self._limit = 0  # of this run
        self._at = 0  # icount of the step
        self._word = 0  # the instruction
        self._fetched_at = 0  # its physical address
        self._cause = 0  # what the step log calls the trap it took: 0, an interrupt, or an exception + 1
        super().__init__(ram_bytes, hart_count=hart_count, progress=progress)

    # -- what the compiled core does with its caches -------------------------------------------------------------------

    def _prepare(self, progress: build.Progress | None) -> None:
        self._ram = self.memory.ram.data
        self.mach[L.RAM_BASE] = RAM_BASE
        self.mach[L.RAM_PAGES] = self.memory.pages
        self.mach[L.GENERATION] = 1
        self._unsaved = np.zeros(self.memory.pages, np.uint64)

    def _function(self, gate: Gate) -> int:
        return 0  # conditions have readers instead of machine code

    def set_gates(self, gates: Sequence[Gate]) -> None:
        """See `Core`."""
        super().set_gates(gates)
        self._readers = [None, *(reader(gate.condition) if gate.condition else None for gate in gates)]

    def set_breakpoints(self, addresses: Sequence[int], gates: Sequence[int] = ()) -> None:
        """See `Core`."""
        super().set_breakpoints(addresses, gates)
        self._breaks = {}
        for address, gate in self._break_rows[:-1, :2].tolist():
            self._breaks.setdefault(address, []).append(gate)

    def _apply_watches(self) -> None:
        super()._apply_watches()
        rows = self._watch_rows[:-1].tolist()
        self._memory_rows, self._other_rows = rows[: int(self.mach[L.WATCHES])], rows[int(self.mach[L.WATCHES]) :]

    def drop_caches(self) -> None:
        """Forget bound instructions, the only cache there is."""
        self._bound.clear()

    def flush_tlb(self) -> None:
        pass

    def _point(self) -> None:
        pass

    def digester(self, parts: Sequence[Part]) -> Digester:
        """See `Core`."""
        return PlainDigester(self.memory, parts)

    def dirty_pages(self, since: int) -> npt.NDArray[np.int64]:
        """See `Core`."""
        return (self.memory.written[: self.memory.pages] >= since).nonzero()[0]

    def _take_touched(self, since: int) -> Touched:
        memory = self.memory
        written, lines, words = self._take_written(since)
        run, run_lines, halves = self._take_run(since)
        read, executed = (gen[: memory.pages] >= since for gen in (memory.read_, memory.executed))
        executed_lines = np.zeros(memory.pages, np.uint64)
        executed_lines[run] = run_lines
        parts = np.concatenate((np.pad(words, (0, -len(words) % 4)).view(np.uint32), halves))
        pages = np.concatenate((written, read.nonzero()[0], executed.nonzero()[0])).astype(np.uint32)
        self.new_generation()
        counts = len(written), len(words), int(read.sum()), int(executed.sum()), len(halves)
        return Touched(pages, np.concatenate((lines, executed_lines[executed])), parts, counts)

    def _take_unsaved(self, since: int) -> tuple[Pages, Lines]:
        pages = self._unsaved.nonzero()[0]
        lines = self._unsaved[pages]
        self._unsaved[pages] = self.mach[L.UNSAVED_PAGES] = 0
        return pages.astype(np.uint32), lines

    def _take_run(self, since: int) -> tuple[Pages, Lines, Pages]:
        memory = self.memory
        pages, marks = _taken(memory.run, memory.executed[: memory.pages] >= since)
        halves = np.packbits(marks, axis=1, bitorder="little").view("<u4")
        lines = _mask(halves != 0)
        some = lines != 0
        return pages[some], lines[some], halves[halves != 0]

    def _take_written(self, since: int) -> tuple[Pages, Lines, npt.NDArray[np.uint8]]:
        memory = self.memory
        pages, marks = _taken(memory.dirty_words, memory.written[: memory.pages] >= since)
        words = np.packbits(marks, axis=1, bitorder="little")
        lines = _mask(words != 0)
        self._unsaved[pages] |= lines
        self.mach[L.UNSAVED_PAGES] = np.count_nonzero(self._unsaved)
        return pages, lines, words[words != 0]

    def _undecode(self, addresses: Iterable[int]) -> None:
        pass

    def _forget_code(self, numbers: npt.NDArray[np.int64]) -> None:
        pass

    def _in_ram(self, address: int, size: int) -> bool:
        base = self._m[L.RAM_BASE]
        return base <= address and address + size <= base + self._m[L.RAM_PAGES] * PAGE

    def _peek(self, address: int, size: int) -> int:
        at = address - self._m[L.RAM_BASE]
        return int.from_bytes(self._ram[at : at + size], "little")
