"""Bounded reading of a chunk's content: what does not fit raises `Malformed`, nothing else."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rrdbg_core.trace import varint
from rrdbg_core.trace.varint import Malformed

U64 = npt.NDArray[np.uint64]

FEW = 16
"""Numbers that are encoded more quickly one by one."""


class Cursor:
    """A place in the content of a chunk."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = memoryview(data)
        self.array = np.frombuffer(data, np.uint8)
        self.offset = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.offset

    def take(self, size: int) -> memoryview:
        """Read `size` bytes."""
        if not 0 <= size <= self.left:
            raise Malformed(f"{size} bytes wanted where {self.left} are left")
        self.offset += size
        return self.data[self.offset - size : self.offset]

    def fixed(self, layout: struct.Struct) -> tuple[int, ...]:
        """Read fixed-size numbers."""
        return layout.unpack(self.take(layout.size))

    def varints(self, count: int) -> U64:
        """Read `count` LEB128 numbers."""
        if count > self.left:
            raise Malformed(f"{count} numbers wanted where {self.left} bytes are left")
        values, self.offset = varint.decode(self.array, self.offset, count)
        return values

    def varint(self) -> int:
        """Read one LEB128 number."""
        value = 0
        for number in range(varint.MAX_BYTES):
            octet = self.take(1)[0]
            value |= (octet & 0x7F) << 7 * number
            if octet < 0x80:
                if value >> 64:
                    break
                return value
        raise Malformed("a number is longer than 64 bits")

    def words(self, count: int) -> U64:
        """Read `count` u64, little endian."""
        return np.frombuffer(self.take(8 * count), "<u8").astype(np.uint64, copy=False)

    def text(self) -> str:
        """Read a string: one byte of length, UTF-8."""
        size = self.take(1)[0]
        try:
            return str(self.take(size), "utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"a name is not UTF-8: {error.reason}") from error

    def ascending(self, count: int, bound: int, what: str) -> npt.NDArray[np.uint32]:
        """Read `count` strictly ascending numbers below `bound` (at most 2^32), written as differences.

        The first is written as it is, each other as its distance to the one before, minus one.
        """
        steps = self.varints(count)
        if count == 0:
            return np.zeros(0, np.uint32)
        if int(steps.max()) >= bound:
            raise Malformed(f"a {what} lies beyond the {bound} there are")
        numbers = np.cumsum(steps + np.uint64(1), dtype=np.uint64) - np.uint64(1)
        if int(numbers[-1]) >= bound:
            raise Malformed(f"a {what} lies beyond the {bound} there are")
        return numbers.astype(np.uint32)

    def end(self) -> None:
        """Check that nothing is left."""
        if self.left:
            raise Malformed(f"{self.left} bytes too many")


def text(value: str) -> bytes:
    """Encode a string as `Cursor.text` reads it."""
    data = value.encode()
    if len(data) > 255:
        raise ValueError(f"a name of {len(data)} bytes is too long: {value[:40]!r}...")
    return bytes([len(data)]) + data


def ascending(numbers: npt.NDArray[np.uint32]) -> bytes:
    """Encode strictly ascending numbers as `Cursor.ascending` reads them."""
    if len(numbers) <= FEW:
        values = numbers.tolist()
        few = [value - before - 1 for before, value in pairwise((-1, *values))]
        if min(few, default=0) < 0:
            raise ValueError("page numbers must ascend")
        return b"".join(map(varint.encode_one, few))
    distances = numbers[1:] - numbers[:-1]
    distances -= np.uint32(1)
    if int(distances.max()) < 0x80:  # numbers that do not ascend are at a distance near 2^32
        return varint.encode_one(int(numbers[0])) + distances.astype(np.uint8).tobytes()
    if not (numbers[1:] > numbers[:-1]).all():
        raise ValueError("page numbers must ascend")
    return varint.encode_one(int(numbers[0])) + varint.encode(distances)
