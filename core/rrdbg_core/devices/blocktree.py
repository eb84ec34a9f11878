"""Blocks that were written to a medium: a tree of objects, of which the device's state holds the name of the root.

Leaves are blocks; a node has up to 64 children, and stores which ones. A tree is never changed: writing makes new nodes
from the block up to the root, and shares all others with the tree before. So an old root still leads to what was there,
a snapshot costs what was written since the one before, and equal contents are stored once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Protocol

from rrdbg_core.devices.contract import Stored
from rrdbg_core.errors import ExitCode, RrdbgError

BLOCK_BYTES = 4096
FANOUT_BITS = 6
FANOUT = 1 << FANOUT_BITS
_MASK = struct.Struct("<Q")


class Storage(Protocol):
    """The part of a `Board` that holds objects."""

    def store(self, data: bytes, parts: Sequence[bytes] = ()) -> bytes:
        """Make an object and return its name."""
        ...

    def load(self, name: bytes) -> Stored:
        """Return an object."""
        ...


class BlockTree:
    """How trees of a medium's blocks are read and written. Roots are names of objects; b"" is a tree without blocks.

    Args:
        storage: Where objects are.
        blocks: Blocks of the medium.
    """

    def __init__(self, storage: Storage, blocks: int) -> None:
        self._storage = storage
        self._levels = max(1, -(-(blocks - 1).bit_length() // FANOUT_BITS))

    def read(self, root: bytes, first: int, count: int) -> dict[int, bytes]:
        """Return the blocks first <= n < first + count that were written, by number."""
        return dict(self._read(root, self._levels, 0, first, first + count)) if root else {}

    def write(self, root: bytes, blocks: Mapping[int, bytes]) -> bytes:
        """Return the root of the tree in which some blocks, `BLOCK_BYTES` each, hold something else."""
        return self._write(root, self._levels, 0, sorted(blocks.items())) if blocks else root

    def fill(self, root: bytes, first: int, count: int, block: bytes) -> bytes:
        """Return the root of the tree in which the blocks first <= n < first + count all hold `block`."""
        full = [self._storage.store(block)]
        for _ in range(self._levels):
            full.append(self._node(dict.fromkeys(range(FANOUT), full[-1])))
        return self._fill(root, self._levels, 0, first, first + count, full) if count else root

    def _read(self, name: bytes, level: int, start: int, lo: int, hi: int) -> Iterator[tuple[int, bytes]]:
        if not level:
            data = self._storage.load(name).data
            if len(data) != BLOCK_BYTES:
                raise _bad(name)
            yield start, data
            return
        span = 1 << FANOUT_BITS * (level - 1)
        for number, child in self._children(name).items():
            place = start + number * span
            if place < hi and place + span > lo:
                yield from self._read(child, level - 1, place, lo, hi)

    def _write(self, name: bytes, level: int, start: int, blocks: Sequence[tuple[int, bytes]]) -> bytes:
        if not level:
            return self._storage.store(blocks[0][1])
        shift = FANOUT_BITS * (level - 1)
        children = self._children(name)
        for number, some in groupby(blocks, lambda item: item[0] - start >> shift):
            place = start + (number << shift)
            children[number] = self._write(children.get(number, b""), level - 1, place, list(some))
        return self._node(children)

    def _fill(self, name: bytes, level: int, start: int, lo: int, hi: int, full: Sequence[bytes]) -> bytes:
        size = 1 << FANOUT_BITS * level
        if lo <= start and start + size <= hi:
            return full[level]
        shift = FANOUT_BITS * (level - 1)
        children = self._children(name)
        for number in range(max(lo - start, 0) >> shift, (min(hi - start, size) - 1 >> shift) + 1):
            place = start + (number << shift)
            children[number] = self._fill(children.get(number, b""), level - 1, place, lo, hi, full)
        return self._node(children)

    def _node(self, children: Mapping[int, bytes]) -> bytes:
        numbers = sorted(children)
        return self._storage.store(_MASK.pack(sum(1 << n for n in numbers)), [children[n] for n in numbers])

    def _children(self, name: bytes) -> dict[int, bytes]:
        """Return the names of a node's children by their numbers."""
        if not name:
            return {}
        node = self._storage.load(name)
        if len(node.data) != _MASK.size:
            raise _bad(name)
        (mask,) = _MASK.unpack(node.data)
        numbers = [number for number in range(FANOUT) if mask >> number & 1]
        if len(numbers) != len(node.parts):
            raise _bad(name)
        return dict(zip(numbers, node.parts, strict=True))


def _bad(name: bytes) -> RrdbgError:
    return RrdbgError(f"object {name.hex()} is no part of a disk, where one should be", exit_code=ExitCode.BAD_TRACE)
