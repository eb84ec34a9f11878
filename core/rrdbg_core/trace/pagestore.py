"""The pages of a trace: which version each page has at a snapshot, and what it contains."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rrdbg_core.trace import pagepack
from rrdbg_core.trace.frame import BadTrace, Chunk
from rrdbg_core.trace.pagepack import LINE, LINES, MAX_CHAIN, PAGE_BYTES, Directory, line_numbers
from rrdbg_core.trace.varint import Malformed

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]

KEYFRAME_BYTES = 32 << 20
"""Memory for tables of page versions; the newest used stays in any case."""
DIRECTORY_BYTES = 16 << 20
"""Memory for directories of page packs."""

ReadAt = Callable[[int, int], bytes]
"""Reads `size` bytes at `offset` of the file, all of them."""


@dataclass(frozen=True, slots=True)
class _Pack:
    chunk: Chunk
    first: int
    pages: U32
    zeros: U32


class PageStore:
    """What the page packs of a file hold. Packs are added in file order; content is read when it is asked for."""

    def __init__(self, ram_pages: int, read_at: ReadAt) -> None:
        self.ram_pages = ram_pages
        self._read_at = read_at
        self._packs: list[_Pack] = []
        self._firsts: list[int] = []
        self.total = 0
        """Page versions so far."""
        # for each version the one it is a delta to, 0 if it stands alone; grown by doubling
        self._previous = np.zeros(1024, np.uint32)
        self._current = np.zeros(ram_pages, np.uint32)
        self._depth = np.zeros(ram_pages, np.uint8)
        self._tables: OrderedDict[int, U32] = OrderedDict()
        self._directories: OrderedDict[int, Directory] = OrderedDict()

    def add(self, chunk: Chunk, payload: bytes) -> None:
        """Take in the next pack.

        Raises:
            Malformed: It contradicts itself or what came before.
        """
        directory = pagepack.decode(payload, len(payload), self.ram_pages)
        pages, deltas = directory.pages, directory.deltas
        if directory.first != self.total + 1:
            raise Malformed(f"page version {self.total + 1} is missing")
        old = self._current[pages]
        if (old[deltas] == 0).any():
            raise Malformed("it changes a page that is not there")
        depth = np.where(deltas, self._depth[pages], 0).astype(np.uint8) + np.uint8(1)
        if len(depth) and int(depth.max()) > MAX_CHAIN:
            raise Malformed(f"a page is made of more than {MAX_CHAIN} versions")
        end = self.total + 1 + len(pages)
        while end > len(self._previous):
            self._previous = np.concatenate((self._previous, np.zeros_like(self._previous)))
        self._previous[self.total + 1 : end] = np.where(deltas, old, np.uint32(0))
        self._current[pages] = np.arange(self.total + 1, end, dtype=np.uint32)
        self._current[directory.zeros] = 0
        self._depth[pages] = depth
        self._packs.append(_Pack(chunk, directory.first, pages, directory.zeros))
        self._firsts.append(directory.first)
        self.total = end - 1

    @property
    def packs(self) -> int:
        """Packs so far."""
        return len(self._packs)

    def versions(self, packs: int) -> U32:
        """Return the version of every page once the first `packs` packs are applied.

        Shapes: result u32[ram_pages], the caller's to keep.
        """
        nearest = max((key for key in self._tables if key <= packs), default=0)
        table = self._tables[nearest].copy() if nearest else np.zeros(self.ram_pages, np.uint32)
        for number in range(nearest, packs):
            pack = self._packs[number]
            table[pack.pages] = np.arange(pack.first, pack.first + len(pack.pages), dtype=np.uint32)
            table[pack.zeros] = 0
        if packs not in self._tables:
            self._tables[packs] = table.copy()
        self._tables.move_to_end(packs)
        while len(self._tables) > 1 and len(self._tables) * table.nbytes > KEYFRAME_BYTES:
            self._tables.popitem(last=False)
        return table

    def load(self, pages: npt.ArrayLike, versions: npt.ArrayLike) -> U8:
        """Return the content of pages at given versions.

        Shapes: pages u32[n], versions u32[n]; result u8[n, 4096].

        Raises:
            ValueError: A page has no such version.
            BadTrace: The content of a pack is broken.
        """
        page_array, version = np.asarray(pages, np.int64), np.asarray(versions, np.int64)
        if page_array.shape != version.shape or (version.size and int(version.max()) > self.total):
            raise ValueError("no such page version")
        content = np.zeros((len(version), PAGE_BYTES), np.uint8)
        rows, wanted = [], []
        row = np.flatnonzero(version)
        while row.size:
            rows.append(row)
            wanted.append(version[row])
            older = self._previous[version[row]].astype(np.int64)
            version = version.copy()
            version[row] = older
            row = row[older != 0]
        if not rows:
            return content
        row, every = np.concatenate(rows), np.concatenate(wanted)
        # oldest first: a version's lines go over those of the versions before it
        order = np.argsort(every, kind="stable")
        row, every = row[order], every[order]
        numbers = np.searchsorted(np.asarray(self._firsts), every, side="right") - 1
        edges = np.append(np.flatnonzero(np.diff(numbers, prepend=-1)), len(numbers))
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            pack = self._packs[int(numbers[start])]
            entries = every[start:stop] - pack.first
            if (pack.pages[entries] != page_array[row[start:stop]]).any():
                raise ValueError("no such version of a page")
            try:
                self._apply(int(numbers[start]), entries, row[start:stop], content)
            except Malformed as error:
                raise BadTrace(f"{pack.chunk.where}: {error}") from error
        return content

    def _apply(self, number: int, entries: I64, rows: I64, content: U8) -> None:
        """Put the lines of some entries of a pack over rows of `content`."""
        directory = self._directory(number)
        offset = self._packs[number].chunk.payload_offset
        groups = np.unique(directory.group[entries])
        parts = []
        for group in groups.tolist():
            start, stop = directory.group_offsets[group : group + 2].tolist()
            lines = int(directory.group_starts[group + 1] - directory.group_starts[group])
            parts.append(pagepack.decode_group(self._read_at(stop - start, offset + start), lines))
        source = np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), LINE)
        # where the lines of each group begin in `source`
        sizes = directory.group_starts[groups + 1] - directory.group_starts[groups]
        bases = np.cumsum(sizes) - sizes
        place = np.searchsorted(groups, directory.group[entries])
        starts = directory.starts[entries] - directory.group_starts[groups[place]] + bases[place]
        counts = directory.counts[entries]
        target = line_numbers(directory.masks[entries])
        target += np.repeat((rows - np.arange(len(rows))) * LINES, counts)
        picked = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(len(target))
        content.reshape(-1).view(LINE)[target] = source[picked]

    def _directory(self, number: int) -> Directory:
        found = self._directories.get(number)
        if found is None:
            chunk = self._packs[number].chunk
            head = self._read_at(min(chunk.stored, 64), chunk.payload_offset)
            payload = self._read_at(pagepack.head_bytes(head), chunk.payload_offset)
            found = self._directories[number] = pagepack.decode(payload, chunk.stored, self.ram_pages)
            while len(self._directories) > 1 and sum(d.nbytes for d in self._directories.values()) > DIRECTORY_BYTES:
                self._directories.popitem(last=False)
        else:
            self._directories.move_to_end(number)
        return found
