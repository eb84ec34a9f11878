"""What was written, read and run: the marks that stores and fetches leave, and writes from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE, WORD_BYTES, WORDS_PER_PAGE
from rrdbg_core.cpu.slots import Slots

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]
    Pages = npt.NDArray[np.uint32]


class Marks(Slots):
    """The part of a core that knows what was touched."""

    def dirty_pages(self, since: int) -> npt.NDArray[np.int64]:
        """Return the numbers of the pages written in generation `since` or later, ascending."""
        return self._taken_pages[: self._kernel.dirty(self._table, since)].astype(np.int64)

    def touched(self, since: int) -> tuple[Pages, Pages]:
        """Return the pages read and the pages executed in generation `since` or later, ascending: two u32[n]."""
        counts = self._kernel.touched(self._table, since)
        return self._taken_pages[: counts & 0xFFFF_FFFF].copy(), self._taken_parts[: counts >> 32].copy()

    def take_run(self, generation: int = 0) -> tuple[Pages, Words, Pages]:
        """Return where instructions were started since the last call, and start afresh.

        Args:
            generation: The present one if the caller has just started it; else one is started.

        Returns:
            The pages, ascending, u32[n]; for each of them, u64[n], bit i stands for its 64-byte line i; for each of
            those lines, in order, u32[k], bit h stands for an instruction at its halfword h.
        """
        self.regions.collect()
        taken = self._take_run(self._run_taken)
        # a page that the exec TLB lets pass would not be noticed again in this generation
        self._run_taken = generation or self.new_generation()
        return taken

    def _take_run(self, since: int) -> tuple[Pages, Words, Pages]:
        """Take the marks of the pages run in generation `since` or later, and have their decoded slots tell again."""
        pages, lines, count = self._taken_of(self._kernel.take_run(self._table, since))
        return pages, lines, self._taken_parts[:count].copy()

    def take_written(self, generation: int = 0) -> tuple[Pages, Words, npt.NDArray[np.uint8]]:
        """Return what was written since the last call, and start afresh.

        Stores, DMA and loaded pages count, whether they change a value or not.

        Args:
            generation: The present one if the caller has just started it; else one is started.

        Returns:
            The pages, ascending, u32[n]; for each of them, u64[n], bit i stands for its 64-byte line i; for each of
            those lines, in order, u8[k], bit w stands for its 8-byte word w.
        """
        taken = self._take_written(self._taken)
        # a page that a TLB lets pass would not be noticed again in this generation
        self._taken = generation or self.new_generation()
        return taken

    def _take_written(self, since: int) -> tuple[Pages, Words, npt.NDArray[np.uint8]]:
        """Take the words of the pages written in generation `since` or later."""
        pages, lines, count = self._taken_of(self._kernel.take_written(self._table, since))
        return pages, lines, self._taken_parts.view(np.uint8)[:count].copy()

    def _taken_of(self, counts: int) -> tuple[Pages, Words, int]:
        """Return pages, lines and the number of parts that the kernel has taken."""
        pages = counts & 0xFFFF_FFFF
        return self._taken_pages[:pages].copy(), self._taken_lines[:pages].copy(), counts >> 32

    def take_pages(self) -> Pages:
        """Return the pages written since the last call, or the last `take_written`, ascending: u32[n].

        It is quick, and leaves the words to the next `take_written`, which then tells those of before as well.
        """
        pages = self.dirty_pages(self._taken)
        self._taken = self.new_generation()
        return pages.astype(np.uint32)

    # ---- memory from outside -----------------------------------------------------------------------------------------
    def write(self, address: int, data: bytes) -> None:
        """Store into RAM as a device does: pages get dirty, stale code is dropped, reservations break."""
        memory = self.memory
        if not data:
            return
        start = address - RAM_BASE
        memory.ram[start : start + len(data)] = np.frombuffer(data, np.uint8)
        first, last = start // PAGE_BYTES, (start + len(data) - 1) // PAGE_BYTES
        memory.written[first : last + 1] = self.mach[L.GENERATION]
        memory.dirty_words[start // WORD_BYTES : (start + len(data) - 1) // WORD_BYTES + 1] = 1
        self._forget_code(np.arange(first, last + 1))
        for hart in self.harts:
            if (
                hart[L.RES_VALID]
                and address < int(hart[L.RES_ADDR]) + 8
                and int(hart[L.RES_ADDR]) < address + len(data)
            ):
                hart[L.RES_VALID] = hart[L.RES_ADDR] = 0

    def load_pages(self, numbers: npt.NDArray[np.int64], content: npt.NDArray[np.uint8]) -> None:
        """Put back pages of a snapshot: u8[n, 4096]. They count as written in this generation."""
        self.memory.rows()[numbers] = content
        self.memory.written[numbers] = self.mach[L.GENERATION]
        self.memory.dirty_words.reshape(self.memory.pages, WORDS_PER_PAGE)[numbers] = 1
        self._forget_code(numbers)
