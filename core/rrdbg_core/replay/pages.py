"""What each page of a replayed machine's RAM holds, by name: so that going back loads only the pages that differ.

The content of a page has an id. Below 2^32 it is a version of the trace file (0: all zero); from there on it is a copy
in memory, whose place is free again when nobody holds it any more. `UNKNOWN` is what the guest has written since it was
last looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
CHUNK_ROWS = 1 << 11
"""Copies for which memory is taken at a time."""


class PageIds:
    """Ids of all pages of a core's RAM, and the copies in memory.

    Shapes: have i64[ram_pages].
    """

    def __init__(self, trace: Trace, core: Core) -> None:
        self._trace, self._core = trace, core
        self.have: Ids = np.zeros(core.memory.pages, np.int64)
        """What RAM holds; a new core's is all zero."""
        self._chunks: list[U8] = []
        self._holders = np.zeros(0, np.int32)  # of each copy
        self._free = np.zeros(0, np.int64)  # copies that nobody holds

    @property
    def bytes(self) -> int:
        """Memory taken by copies that somebody holds."""
        return (len(self._holders) - len(self._free)) * PAGE_BYTES

    def look(self) -> None:
        """Learn which pages were written since the last look."""
        self.have[self._core.take_pages()] = UNKNOWN

    def declare(self, ids: Ids) -> None:
        """Say what RAM holds now."""
        self._core.take_pages()
        self.have[:] = ids

    def hold(self, pages: npt.NDArray[np.int64], between: Callable[[], None] = lambda: None) -> Ids:
        """Return ids of what some pages hold, for good: until they are released. Those that were written are copied.

        `have` names all of them afterwards.
        """
        targets = pages[self.have[pages] == UNKNOWN]
        if len(targets) > len(self._free):
            self._grow(len(targets))
        rows, left = self._free[: len(targets)], self._free[len(targets) :]
        for start in range(0, len(targets), BATCH):
            if start:
                between()
            some = slice(start, start + BATCH)
            content = self._core.memory.rows()[targets[some]]
            for chunk, chosen in _by_chunk(rows[some]):
                self._chunks[chunk][rows[some][chosen] % CHUNK_ROWS] = content[chosen]
        self._free = left
        self.have[targets] = _MEMORY + rows
        ids = self.have[pages]
        self._holders[ids[ids >= _MEMORY] - _MEMORY] += 1
        return ids

    def _grow(self, rows: int) -> None:
        """Make room for so many copies."""
        count = -(-rows // CHUNK_ROWS)
        first = len(self._holders)
        self._chunks += [np.empty((CHUNK_ROWS, PAGE_BYTES), np.uint8) for _ in range(count)]
        self._holders = np.concatenate([self._holders, np.zeros(count * CHUNK_ROWS, np.int32)])
        self._free = np.concatenate([self._free, np.arange(first, len(self._holders))])

    def release(self, ids: Ids) -> None:
        """Give back what `hold` has returned."""
        rows = ids[ids >= _MEMORY] - _MEMORY
        self._holders[rows] -= 1
        free = rows[self._holders[rows] == 0]
        if len(free):
            self._free = np.concatenate([free, self._free])
            copied = np.flatnonzero(self.have >= _MEMORY)
            self.have[copied[self._holders[self.have[copied] - _MEMORY] == 0]] = UNKNOWN

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
        copies = np.flatnonzero(in_memory)
        rows = ids[copies] - _MEMORY
        for chunk, chosen in _by_chunk(rows):
            content[copies[chosen]] = self._chunks[chunk][rows[chosen] % CHUNK_ROWS]
        return content


def _by_chunk(rows: Ids) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """Yield the chunks that some copies lie in, and which of them do."""
    chunks = rows // CHUNK_ROWS
    for chunk in distinct(chunks).tolist():
        yield chunk, chunks == chunk
