"""What each page of a replayed machine's RAM holds, by name: so that going back loads only the pages that differ.

The content of a page has an id. Below 2^32 it is a version of the trace file (0: all zero); from there on it is a copy
in memory, block << 32 | row. `UNKNOWN` is what the guest has written since it was last looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rrdbg_core.arrays import distinct
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.trace.reader import Trace

Ids = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

UNKNOWN = -1
_MEMORY = 1 << 32
BATCH = 2048
"""Pages that are loaded at once."""


class PageIds:
    """Ids of all pages of a core's RAM, and the copies in memory.

    Shapes: have i64[ram_pages].
    """

    def __init__(self, trace: Trace, core: Core) -> None:
        self._trace, self._core = trace, core
        self.have: Ids = np.zeros(core.memory.pages, np.int64)
        """What RAM holds; a new core's is all zero."""
        self._blocks: dict[int, U8] = {}
        self._next_block = 1
        self.bytes = 0
        """Memory taken by copies."""

    def look(self) -> None:
        """Learn which pages were written since the last look."""
        self.have[self._core.take_pages()] = UNKNOWN

    def declare(self, ids: Ids) -> None:
        """Say what RAM holds now."""
        self._core.take_pages()
        self.have[:] = ids

    def copy(self, pages: npt.NDArray[np.int64], between: Callable[[], None] = lambda: None) -> int | None:
        """Copy those of `pages` that are written or whose copy was dropped; return the new block, if there is one.

        `have` names all of them afterwards.
        """
        ids = self.have[pages]
        in_memory = ids >= _MEMORY
        stale = ids == UNKNOWN
        if in_memory.any():
            blocks = ids[in_memory] // _MEMORY
            dead = [block for block in distinct(blocks).tolist() if block not in self._blocks]
            stale[in_memory] |= np.isin(blocks, dead)
        targets = pages[stale]
        if not len(targets):
            return None
        content = np.empty((len(targets), PAGE_BYTES), np.uint8)
        for start in range(0, len(targets), BATCH):
            if start:
                between()
            content[start : start + BATCH] = self._core.memory.rows()[targets[start : start + BATCH]]
        block = self._next_block
        self._next_block += 1
        self._blocks[block] = content
        self.bytes += len(targets) * PAGE_BYTES
        self.have[targets] = block * _MEMORY + np.arange(len(targets))
        return block

    def drop(self, block: int) -> None:
        """Forget a block of copies."""
        self.bytes -= len(self._blocks.pop(block)) * PAGE_BYTES

    def load(self, want: Ids, between: Callable[[], None] = lambda: None) -> None:
        """Make RAM hold other content. `look` comes first.

        Args:
            want: What RAM is to hold.
            between: Called between two batches of pages; may raise, and then RAM holds some of either.
        """
        pages = np.flatnonzero(self.have != want)
        for start in range(0, len(pages), BATCH):
            if start:
                between()
            some = pages[start : start + BATCH]
            self._core.load_pages(some, self._content(some, want[some]))
        self._core.take_pages()
        self.have[pages] = want[pages]

    def _content(self, pages: npt.NDArray[np.int64], ids: Ids) -> U8:
        in_memory = ids >= _MEMORY
        if not in_memory.any():
            return self._trace.load_pages(pages.astype(np.uint32), ids.astype(np.uint32))
        content = np.empty((len(pages), PAGE_BYTES), np.uint8)
        on_file = ~in_memory
        if on_file.any():
            content[on_file] = self._trace.load_pages(pages[on_file].astype(np.uint32), ids[on_file].astype(np.uint32))
        blocks, rows = np.divmod(ids, _MEMORY)
        for block in distinct(blocks[in_memory]).tolist():
            chosen = blocks == block
            content[chosen] = self._blocks[block][rows[chosen]]
        return content


def blocks_of(ids: Ids) -> list[int]:
    """Return the blocks that some ids lie in."""
    return [int(block) for block in distinct(ids[ids >= _MEMORY] // _MEMORY)]
