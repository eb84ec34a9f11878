"""Page packs: pages of RAM as masks of 64-byte lines, and the lines, in groups that decompress on their own.

Every entry of a pack makes a new version of one page. Versions are numbered from 1 through the whole file, in order;
version 0 of any page is all zero. An entry lists some lines of its page. The others are those of the page's version
before, if the entry is a delta, and zero otherwise.

    first version u32, entries u32, zeros u32, groups u32, directory stored u32, directory raw u32
    directory, an LZ4 block:
        page numbers of the entries, ascending      (varints, see `Cursor.ascending`)
        page numbers that become all zero           (likewise)
        bit map of deltas                           (entries + 7) / 8 bytes, low bit first
        masks                                       u64 x entries; bit k: bytes 64 k to 64 k + 63
        entries of each group, stored bytes of each (varint x groups, twice)
    groups: the lines of their entries, one behind the other, as an LZ4 block; as they are if that is no smaller
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import Any, NamedTuple

import lz4.block
import numpy as np
import numpy.typing as npt

from rrdbg_core.frozen import Frozen
from rrdbg_core.trace import varint
from rrdbg_core.trace.cursor import FEW, Cursor, ascending
from rrdbg_core.trace.frame import Parts, decompress
from rrdbg_core.trace.varint import Malformed

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

PAGE_BYTES, LINE_BYTES, LINES = 4096, 64, 64
LINE = np.dtype("V64")
ALL_LINES = np.uint64((1 << 64) - 1)
MAX_ENTRIES = 4096
"""Entries of a pack, and all-zero pages of a pack: 16 MiB."""
MAX_CHAIN = 8
"""Versions that a page is made of at most: one that stands alone, and deltas."""
GROUP_LINES = 128
"""Lines after which a group ends: 8 KiB. Smaller groups load single pages faster, larger ones compress better."""
DELTA_LINES = 40
"""A page of which more lines changed is written whole."""

_HEAD = struct.Struct("<IIIIII")
HEAD_BYTES = _HEAD.size


def masks_of(content: U8) -> U64:
    """Return which lines of pages are not all zero.

    Shapes: content u8[n, 4096], contiguous; result u64[n].
    """
    words = content.view(np.uint64).reshape(-1, LINES, 8)
    used = words[:, :, 0] | words[:, :, 1]
    for k in range(2, 8):
        used |= words[:, :, k]
    return np.packbits(used != 0, axis=1, bitorder="little").view("<u8").ravel().astype(np.uint64, copy=False)


def bits(masks: U64) -> npt.NDArray[np.bool_]:
    """Return the bits of masks: element 64 i + k for bit k of mask i."""
    return np.unpackbits(masks.astype("<u8", copy=False).view(np.uint8), bitorder="little").view(np.bool_)


def line_numbers(masks: U64) -> I64:
    """Return the numbers of the lines in masks, ascending: 64 i + k for bit k of mask i."""
    return np.flatnonzero(bits(masks))


def encode(first: int, pages: U32, deltas: npt.NDArray[np.bool_], masks: U64, content: U8, zeros: U32) -> Parts:
    """Encode a pack, in parts that stand one behind the other.

    Args:
        first: Version number of the first entry.
        pages: Page numbers, ascending.
        deltas: Which entries are deltas.
        masks: Their lines.
        content: Their pages, u8[n, 4096].
        zeros: Numbers of other pages, which became all zero, ascending.
    """
    counts = np.bitwise_count(masks)
    total = int(counts.sum())
    every = content.reshape(-1).view(LINE)
    picked = every if total == len(every) else every[line_numbers(masks)]
    lines = picked.view(np.uint8).data
    sizes, starts, stops = _grouped(counts, total)
    groups = []
    for start, stop in zip(starts, stops, strict=True):
        packed = lz4.block.compress(lines[start:stop], store_size=False)
        groups.append(packed if len(packed) < stop - start else bytes(lines[start:stop]))
    directory = b"".join(
        (
            ascending(pages),
            ascending(zeros),
            np.packbits(deltas, bitorder="little").tobytes(),
            masks.astype("<u8", copy=False).tobytes(),
            _numbers(sizes),
            _numbers([len(group) for group in groups]),
        )
    )
    packed = lz4.block.compress(directory, store_size=False)
    head = _HEAD.pack(first, len(pages), len(zeros), len(groups), len(packed), len(directory))
    return (head + packed, *groups)


def _grouped(counts: npt.NDArray[np.uint8], total: int) -> tuple[list[int], list[int], list[int]]:
    """Return of each group how many entries it has, and at which byte of the lines it starts and stops.

    Args:
        counts: Lines of each entry, at least one.
        total: Lines of all entries.
    """
    if total <= GROUP_LINES:
        return ([len(counts)], [0], [total * LINE_BYTES]) if total else ([], [], [])
    ends = np.cumsum(counts, dtype=np.int64)
    # an entry belongs to the group in which its first line falls
    edges = np.flatnonzero(np.diff((ends - counts) // GROUP_LINES, prepend=-1))
    starts = ((ends - counts)[edges] * LINE_BYTES).tolist()
    return np.diff(edges, append=len(counts)).tolist(), starts, [*starts[1:], total * LINE_BYTES]


def _numbers(values: list[int]) -> bytes:
    return b"".join(map(varint.encode_one, values)) if len(values) <= FEW else varint.encode(values)


class Directory(Frozen):
    """What a pack holds and where."""

    first: int
    """Version number of the first entry."""
    pages: U32
    """u32[entries]: page numbers."""
    zeros: U32
    """u32[z]: numbers of pages that became all zero."""
    deltas: npt.NDArray[np.bool_]
    """bool[entries]: which are deltas."""
    masks: U64
    """u64[entries]: lines of each."""
    sizes: I64
    """i64[groups]: entries of each."""
    group_offsets: I64
    """i64[groups + 1]: where each group begins in the content of the chunk, and where the last ends."""

    @cached_property
    def counts(self) -> I64:
        """i64[entries]: number of lines of each."""
        return np.bitwise_count(self.masks).astype(np.int64)

    @cached_property
    def starts(self) -> I64:
        """i64[entries]: first line of each, counted through the pack."""
        return _running(self.counts)[:-1]

    @cached_property
    def group(self) -> I64:
        """i64[entries]: group of each."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def group_starts(self) -> I64:
        """i64[groups + 1]: first line of each group, and the number of all lines."""
        lines: I64 = _running(self.counts)[_running(self.sizes)]
        return lines

    @property
    def nbytes(self) -> int:
        """Memory it takes, with what is found out later."""
        return 40 * len(self.pages) + 4 * len(self.zeros) + 24 * len(self.sizes)


class Head(NamedTuple):
    """What stands in front of a directory."""

    first: int
    """Version number of the first entry."""
    entries: int
    """Page versions that the pack makes."""
    zeros: int
    """Pages that become all zero."""
    groups: int
    """Groups of lines."""
    stored: int
    """Bytes of the directory in the file."""
    raw: int
    """Bytes of the directory."""

    @property
    def bytes(self) -> int:
        """Bytes in front of the groups."""
        return HEAD_BYTES + self.stored


def head(payload: bytes) -> Head:
    """Decode the head of a pack, from at least `HEAD_BYTES` of its content. Raises Malformed if it makes no sense."""
    found = Head(*Cursor(payload).fixed(_HEAD))
    if max(found.entries, found.zeros, found.groups) > MAX_ENTRIES or found.first == 0:
        raise Malformed(f"it claims {found.entries} and {found.zeros} pages in {found.groups} groups")
    if not 0 < found.raw <= 32 * MAX_ENTRIES:
        raise Malformed(f"it claims a directory of {found.raw} bytes")
    return found


def decode(payload: bytes, size: int, ram_pages: int) -> Directory:
    """Decode the directory of a pack.

    Args:
        payload: At least what stands in front of the groups.
        size: Bytes of all its content.
        ram_pages: Pages of RAM.

    Raises:
        Malformed: It contradicts itself.
    """
    first, entries, zero_count, groups, stored, raw = head(payload)
    cursor = Cursor(payload)
    cursor.take(HEAD_BYTES)
    inner = Cursor(decompress(cursor.take(stored), raw))
    pages = inner.ascending(entries, ram_pages, "page")
    zeros = inner.ascending(zero_count, ram_pages, "page")
    if zero_count and len(np.intersect1d(pages, zeros, assume_unique=True)):
        raise Malformed("a page is both all zero and not")
    bits = np.frombuffer(inner.take((entries + 7) // 8), np.uint8)
    deltas = np.unpackbits(bits, count=entries, bitorder="little").astype(np.bool_)
    masks = inner.words(entries)
    sizes = inner.varints(groups)
    stored_sizes = inner.varints(groups)
    inner.end()
    if groups and (int(sizes.max()) > entries or int(sizes.min()) == 0 or int(stored_sizes.max()) > size):
        raise Malformed("its groups do not fit")
    offsets = _running(stored_sizes)
    offsets += cursor.offset
    if int(sizes.sum()) != entries or int(offsets[-1]) != size:
        raise Malformed("its groups do not fit")
    return Directory(first, pages, zeros, deltas, masks, sizes.astype(np.int64), offsets)


def _running(numbers: npt.NDArray[Any]) -> I64:
    """Return the sum of all numbers in front of each place, and of all: i64[n + 1]."""
    sums = np.zeros(len(numbers) + 1, np.int64)
    np.cumsum(numbers, out=sums[1:], dtype=np.int64)
    return sums


def decode_group(stored: memoryview, lines: int) -> bytes | memoryview:
    """Return the lines of a group."""
    size = lines * LINE_BYTES
    return stored if len(stored) == size else decompress(stored, size)
