"""What was written, read and run: the marks that stores and fetches leave, and writes from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import PAGE_BYTES, PTE, RAM_BASE, WORD_BYTES, WORDS_PER_PAGE
from rrdbg_core.cpu.slots import Slots

if TYPE_CHECKING:
    Words = npt.NDArray[np.uint64]
    Pages = npt.NDArray[np.uint32]


class Touched(NamedTuple):
    """What was touched, as the kernel hands it out: three arrays, of which most things are parts."""

    pages: Pages
    """u32: pages written, read, and executed, each ascending."""
    lines: Words
    """u64: lines of the pages written, and of those executed."""
    parts: Pages
    """u32: a byte for each of the lines written, and, from a whole word on, a word for each of those executed."""
    counts: tuple[int, int, int, int, int]
    """Pages written, lines of them, pages read, pages executed, lines of them."""

    @property
    def written(self) -> Pages:
        """Pages written, ascending: u32[n]."""
        return self.pages[: self.counts[0]]

    @property
    def written_lines(self) -> Words:
        """u64[n]: for each of them, bit i stands for its 64-byte line i."""
        return self.lines[: self.counts[0]]

    @property
    def written_words(self) -> npt.NDArray[np.uint8]:
        """u8[k]: for each of those lines, in order, bit w stands for its 8-byte word w."""
        return self.parts.view(np.uint8)[: self.counts[1]]

    @property
    def read(self) -> Pages:
        """Pages read, ascending: u32[m]."""
        return self.pages[self.counts[0] : self.counts[0] + self.counts[2]]

    @property
    def executed(self) -> Pages:
        """Pages executed, ascending: u32[p]."""
        return self.pages[self.counts[0] + self.counts[2] :]

    @property
    def executed_lines(self) -> Words:
        """u64[p]: for each of them the lines in which instructions were started; none, if one reached into it only."""
        return self.lines[self.counts[0] :]

    @property
    def executed_halves(self) -> Pages:
        """u32[j]: for each of those lines, in order, bit h stands for an instruction at its halfword h."""
        return self.parts[len(self.parts) - self.counts[4] :]


class Marks(Slots):
    """The part of a core that knows what was touched."""

    def dirty_pages(self, since: int) -> npt.NDArray[np.int64]:
        """Return the numbers of the pages written in generation `since` or later, ascending."""
        return self._taken_pages[: self._kernel.dirty(self._table, since)].astype(np.int64)

    def take_touched(self) -> Touched:
        """Return all that was touched since the last call, and start afresh, with a new generation of dirty pages.

        `take_written` and `take_run` start afresh, too.
        """
        self.regions.collect()
        touched = self._take_touched(self._touched)
        self._touched = self._taken = self._run_taken = self.generation
        return touched

    def _take_touched(self, since: int) -> Touched:
        """Take what was touched in generation `since` or later, and start a new one."""
        self._kernel.take_touched(self._table, since)
        counts = self._taken_counts()
        written, words, read, executed, halves = counts
        return Touched(
            self._taken_pages[: written + read + executed].copy(),
            self._taken_lines[: written + executed].copy(),
            self._taken_parts[: (words + 3) // 4 + halves].copy(),
            counts,
        )

    def _taken_counts(self) -> tuple[int, int, int, int, int]:
        """Return how much the kernel has taken, see cpu/layout.py."""
        written, words, read, executed, halves = self._words[L.TAKEN_WRITTEN : L.TAKEN_HALVES + 1].tolist()
        return written, words, read, executed, halves

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
        self._kernel.take_run(self._table, since)
        _, _, _, pages, halves = self._taken_counts()
        lines = self._taken_lines[:pages]
        some = lines != 0
        return self._taken_pages[:pages][some], lines[some], self._taken_parts[:halves].copy()

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
        self._kernel.take_written(self._table, since)
        pages, words, _, _, _ = self._taken_counts()
        parts = self._taken_parts.view(np.uint8)
        return self._taken_pages[:pages].copy(), self._taken_lines[:pages].copy(), parts[:words].copy()

    @property
    def unsaved_pages(self) -> int:
        """How many pages `take_unsaved` would tell of."""
        return self._words[L.UNSAVED_PAGES]

    def take_unsaved(self) -> tuple[Pages, Words]:
        """Return all that `take_touched` and `take_written` have told since the last call, and start afresh.

        Returns:
            The pages, ascending, u32[n]; for each of them, u64[n], bit i stands for its 64-byte line i.
        """
        taken = self._take_unsaved(self._unsaved_since)
        self._unsaved_since = self._taken  # what they tell next was written then or later
        return taken

    def _take_unsaved(self, since: int) -> tuple[Pages, Words]:
        """Take the lines of the pages written in generation `since` or later."""
        count = self._kernel.take_unsaved(self._table, since)
        return self._taken_pages[:count].copy(), self._taken_lines[:count].copy()

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
        self._forget_translations(memory.flags[first : last + 1])
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
        self._forget_translations(self.memory.flags[numbers])

    def _forget_translations(self, flags: npt.NDArray[np.uint8]) -> None:
        """Forget what page tables said if pages with these flags hold some of them."""
        if np.bitwise_or.reduce(flags) & PTE:
            self.flush_tlb()
