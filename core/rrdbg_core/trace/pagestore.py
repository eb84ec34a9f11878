"""The pages of a trace: which version each page has at a snapshot, and what it contains."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rrdbg_core.arrays import distinct
from rrdbg_core.frozen import Frozen
from rrdbg_core.trace import pagepack
from rrdbg_core.trace.frame import Chunk
from rrdbg_core.trace.pagepack import (
    LINE,
    LINE_BYTES,
    LINES,
    MAX_CHAIN,
    MAX_ENTRIES,
    PAGE_BYTES,
    Directory,
    bits,
    line_numbers,
)
from rrdbg_core.trace.scan import ChunkFile
from rrdbg_core.trace.varint import Malformed

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]

KEYFRAME_BYTES = 32 << 20
"""Memory for tables of page versions; the newest used stays in any case."""
SPAN_BYTES = 64 << 10
"""A stretch of a pack that is read at once, even if little of it is wanted."""
GLANCE_BYTES = 1 << 10
"""What is read of a pack first: all that stands in front of the groups of most."""
DIRECTORY_BYTES = 16 << 20
"""Memory for directories of page packs."""


class _Pack(Frozen):
    first: int
    pages: U32
    zeros: U32


class PageStore:
    """What the page packs of a file hold.

    Packs are added in file order. The directory of one is read when a position behind it is asked for, and what its
    pages contain when that is asked for: opening a trace has no use for either.

    Raises of `versions` and `load`:
        BadTrace: A pack contradicts itself or what came before, or is not there any more.
    """

    def __init__(self, ram_pages: int, file: ChunkFile) -> None:
        self.ram_pages = ram_pages
        self._file = file
        self._chunks: list[Chunk] = []
        self._firsts: list[int] = []
        self.total = 0
        """Page versions so far."""
        # of the packs whose directory was read
        self._packs: list[_Pack] = []
        # for each version the one it is a delta to, 0 if it stands alone; grown by doubling
        self._previous = np.zeros(1024, np.uint32)
        self._current = np.zeros(ram_pages, np.uint32)
        self._depth = np.zeros(ram_pages, np.uint8)
        self._tables: OrderedDict[int, U32] = OrderedDict()
        self._directories: OrderedDict[int, Directory] = OrderedDict()
        self._directory_bytes = 0

    def add(self, chunk: Chunk, payload: bytes) -> None:
        """Take in the next pack.

        Raises:
            Malformed: It makes no sense, or a pack before it is missing.
        """
        if chunk.compressed:
            raise Malformed("its pages are compressed once more")
        head = pagepack.head(payload)
        if head.first != self.total + 1:
            raise Malformed(f"page version {self.total + 1} is missing")
        self._chunks.append(chunk)
        self._firsts.append(head.first)
        self.total += head.entries

    def _learn(self, packs: int) -> None:
        """Read the directories of the first `packs` packs."""
        for number in range(len(self._packs), packs):
            directory = self._read_directory(number)
            try:
                self._apply(directory)
            except Malformed as error:
                raise self._file.bad(self._chunks[number], error) from error

    def _apply(self, directory: Directory) -> None:
        pages, deltas = directory.pages, directory.deltas
        old = self._current[pages]
        if (old[deltas] == 0).any():
            raise Malformed("it changes a page that is not there")
        depth = np.where(deltas, self._depth[pages], 0).astype(np.uint8) + np.uint8(1)
        if len(depth) and int(depth.max()) > MAX_CHAIN:
            raise Malformed(f"a page is made of more than {MAX_CHAIN} versions")
        first, end = directory.first, directory.first + len(pages)
        while end > len(self._previous):
            self._previous = np.concatenate((self._previous, np.zeros_like(self._previous)))
        self._previous[first:end] = np.where(deltas, old, np.uint32(0))
        self._current[pages] = np.arange(first, end, dtype=np.uint32)
        self._current[directory.zeros] = 0
        self._depth[pages] = depth
        self._keep(len(self._packs), directory)
        self._packs.append(_Pack(first, pages, directory.zeros))

    @property
    def packs(self) -> int:
        """Packs so far."""
        return len(self._chunks)

    def versions(self, packs: int) -> U32:
        """Return the version of every page once the first `packs` packs are applied.

        Shapes: result u32[ram_pages], the caller's to keep.
        """
        self._learn(packs)
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
        """
        page_array, version = np.asarray(pages, np.int64), np.array(versions, np.int64)
        newest = int(version.max(initial=0))
        if page_array.shape != version.shape or newest > self.total:
            raise ValueError("no such page version")
        self._learn(bisect_right(self._firsts, newest) if newest else 0)
        content = np.zeros((len(version), PAGE_BYTES), np.uint8)
        # every version that a page is made of, the newest of all pages first
        rows, wanted = [], []
        row = np.flatnonzero(version)
        while row.size:
            rows.append(row)
            wanted.append(version[row])
            version[row] = self._previous[version[row]]
            row = row[version[row] != 0]
        if rows:
            self._fill(content, page_array, rows, np.concatenate(wanted))
        return content

    def _fill(self, content: U8, pages: I64, rows: list[I64], versions: I64) -> None:
        """Copy the lines of versions into rows of `content`: each line from the newest version that has it.

        Shapes: content u8[n, 4096], pages i64[n]; rows and versions: one generation behind the other, newest first.
        """
        row = np.concatenate(rows)
        masks = np.zeros(len(versions), np.uint64)
        starts, groups = np.zeros(len(versions), np.int64), np.zeros(len(versions), np.int64)
        for number, place in self._by_pack(versions):
            directory = self._directory(number)
            entries = versions[place] - directory.first
            if (directory.pages[entries] != pages[row[place]]).any():
                raise ValueError("no such version of a page")
            masks[place] = directory.masks[entries]
            group = directory.group[entries]
            starts[place] = directory.starts[entries] - directory.group_starts[group]
            groups[place] = number * MAX_ENTRIES + group
        wanted = masks.copy()
        covered = np.zeros(len(content), np.uint64)
        begin = 0
        for part in rows:
            wanted[begin : begin + len(part)] &= ~covered[part]
            covered[part] |= masks[begin : begin + len(part)]
            begin += len(part)
        used = wanted != 0
        row, masks, wanted, starts = row[used], masks[used], wanted[used], starts[used]
        keys = distinct(groups[used])
        group = np.searchsorted(keys, groups[used])
        parts = self._groups(keys)
        sizes = np.array([len(part) // LINE_BYTES for part in parts], np.int64)
        starts += (np.cumsum(sizes) - sizes)[group]
        # all lines of those versions, then those of them that are wanted
        lines = line_numbers(masks)
        counts = np.bitwise_count(masks).astype(np.int64)
        source = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(len(lines))
        target = lines + np.repeat((row - np.arange(len(row))) * LINES, counts)
        if (wanted != masks).any():
            keep = bits(wanted)[lines]
            source, target = source[keep], target[keep]
        content.reshape(-1).view(LINE)[target] = np.frombuffer(b"".join(parts), LINE)[source]

    def _by_pack(self, versions: I64) -> Iterator[tuple[int, I64]]:
        """Return the number of each pack that versions are in, and the places of those versions."""
        order = np.argsort(versions, kind="stable")
        packs = np.searchsorted(np.asarray(self._firsts), versions[order], side="right") - 1
        edges = np.append(np.flatnonzero(np.diff(packs, prepend=-1)), len(packs))
        for start, stop, number in zip(
            edges[:-1].tolist(), edges[1:].tolist(), packs[edges[:-1]].tolist(), strict=True
        ):
            yield number, order[start:stop]

    def _groups(self, keys: I64) -> list[bytes | memoryview]:
        """Return the lines of groups, given as pack number * MAX_ENTRIES + group, ascending."""
        parts: list[bytes | memoryview] = []
        packs = keys // MAX_ENTRIES
        edges = np.append(np.flatnonzero(np.diff(packs, prepend=-1)), len(packs))
        for start, stop, number in zip(
            edges[:-1].tolist(), edges[1:].tolist(), packs[edges[:-1]].tolist(), strict=True
        ):
            chunk, directory = self._chunks[number], self._directory(number)
            wanted = keys[start:stop] % MAX_ENTRIES
            offsets, ends = directory.group_offsets[wanted], directory.group_offsets[wanted + 1]
            lines = (directory.group_starts[wanted + 1] - directory.group_starts[wanted]).tolist()
            low, high = int(offsets[0]), int(ends[-1])
            if high - low <= SPAN_BYTES or high - low <= 2 * int((ends - offsets).sum()):
                span = memoryview(self._file.read_exactly(high - low, chunk.payload_offset + low))
                stored = [span[a:b] for a, b in zip((offsets - low).tolist(), (ends - low).tolist(), strict=True)]
            else:
                places = zip(offsets.tolist(), (ends - offsets).tolist(), strict=True)
                stored = [memoryview(self._file.read_exactly(size, chunk.payload_offset + a)) for a, size in places]
            try:
                parts += [pagepack.decode_group(part, size) for part, size in zip(stored, lines, strict=True)]
            except Malformed as error:
                raise self._file.bad(chunk, error) from error
        return parts

    def _directory(self, number: int) -> Directory:
        found = self._directories.get(number)
        if found is None:
            found = self._read_directory(number)
            self._keep(number, found)
        else:
            self._directories.move_to_end(number)
        return found

    def _read_directory(self, number: int) -> Directory:
        chunk = self._chunks[number]
        try:
            payload = self._file.read_exactly(min(chunk.stored, GLANCE_BYTES), chunk.payload_offset)
            size = min(chunk.stored, pagepack.head(payload).bytes)
            if size > len(payload):
                payload = self._file.read_exactly(size, chunk.payload_offset)
            return pagepack.decode(payload, chunk.stored, self.ram_pages)
        except Malformed as error:
            raise self._file.bad(chunk, error) from error

    def _keep(self, number: int, directory: Directory) -> None:
        """Keep a directory; let go of those used least recently."""
        self._directories[number] = directory
        self._directory_bytes += directory.nbytes
        while self._directory_bytes > DIRECTORY_BYTES and len(self._directories) > 1:
            self._directory_bytes -= self._directories.popitem(last=False)[1].nbytes
