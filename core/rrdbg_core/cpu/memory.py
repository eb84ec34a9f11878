"""Guest RAM with what the kernel knows about each page, and the one write path of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the process that compiles regions starts without numpy
    import numpy as np
    import numpy.typing as npt

PAGE_BYTES = 4096
RAM_BASE = 0x8000_0000
LINE_BYTES = 64
LINES_PER_PAGE = PAGE_BYTES // LINE_BYTES
WORD_BYTES = 8
WORDS_PER_PAGE = PAGE_BYTES // WORD_BYTES
HALVES_PER_PAGE = PAGE_BYTES // 2

CODE, WATCHED_R, WATCHED_W, PTE = 1, 2, 4, 8
"""Flags of a page."""


class Memory:
    """RAM from `RAM_BASE` on, in pages of 4 KiB.

    Shapes: ram u8[bytes]; flags u8[pages + 1]; written, read_, executed u32[pages + 1], the generation in which a page
    was last written, read or executed (page `pages` stands for an access's second page at the end of RAM);
    dirty_words u8[512 * pages], 1 for each aligned 8-byte word that was written since `Core.take_written`; run
    u8[2048 * pages], 1 for each aligned halfword at which an instruction was started since `Core.take_run`.
    """

    def __init__(self, size_bytes: int) -> None:
        import numpy as np

        pages = size_bytes // PAGE_BYTES
        self.size = pages * PAGE_BYTES
        """Bytes of RAM."""
        self.pages = pages
        """Pages of RAM."""
        # eight bytes more: the kernel may look at a whole word at the very end
        self._block = np.zeros(self.size + 64, np.uint8)
        self.ram = self._block[: self.size]
        self.flags = np.zeros(pages + 1, np.uint8)
        self.written = np.zeros(pages + 1, np.uint32)
        self.read_ = np.zeros(pages + 1, np.uint32)
        self.executed = np.zeros(pages + 1, np.uint32)
        self.dirty_words = np.zeros(pages * WORDS_PER_PAGE, np.uint8)
        self.run = np.zeros(pages * HALVES_PER_PAGE, np.uint8)

    def contains(self, address: int, size: int) -> bool:
        """Return True if all `size` bytes from physical `address` on are RAM."""
        return address >= RAM_BASE and address + size <= RAM_BASE + self.size

    def read(self, address: int, size: int) -> bytes:
        """Return RAM content; the caller has asked `contains`."""
        start = address - RAM_BASE
        return self.ram[start : start + size].tobytes()

    def page(self, number: int) -> memoryview:
        """Return the content of one page."""
        return self.ram[number * PAGE_BYTES : (number + 1) * PAGE_BYTES].data

    def rows(self) -> npt.NDArray[np.uint8]:
        """Return RAM as u8[pages, 4096], a view."""
        return self.ram.reshape(self.pages, PAGE_BYTES)
