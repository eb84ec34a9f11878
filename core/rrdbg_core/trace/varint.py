"""LEB128 numbers, whole columns of them at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
MAX_BYTES = 10
"""Bytes of the longest one: 64 bits in groups of seven."""


class Malformed(Exception):
    """The content of a chunk makes no sense. Readers turn it into a `BadTrace`, or into the `damage` of a trace."""


def encode(values: npt.ArrayLike) -> bytes:
    """Encode unsigned numbers, low groups of seven bits first; bit 7 says that more follow.

    Shapes: values u64[n].
    """
    numbers = np.asarray(values, np.uint64)
    if numbers.size == 0:
        return b""
    if int(numbers.max()) < 0x80:
        return numbers.astype(np.uint8).tobytes()
    shifts = np.arange(0, 7 * MAX_BYTES, 7, dtype=np.uint64)
    groups = numbers[:, None] >> shifts
    # a group is written if it or a higher one has a bit set; the first is always written
    more = groups[:, 1:] != 0
    octets = (groups & np.uint64(0x7F)).astype(np.uint8)
    octets[:, :-1] |= more.astype(np.uint8) << 7
    used = np.ones(octets.shape, np.bool_)
    used[:, 1:] = more
    return octets[used].tobytes()


def encode_one(value: int) -> bytes:
    """Encode one unsigned number."""
    octets = []
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*octets, value))


def decode(data: npt.NDArray[np.uint8], offset: int, count: int) -> tuple[U64, int]:
    """Decode `count` numbers from `offset` on; return them and the offset behind them.

    Shapes: data u8[n]; result u64[count].

    Raises:
        Malformed: They do not lie in the data, or one is longer than 64 bits.
    """
    if count == 0:
        return np.zeros(0, np.uint64), offset
    part = data[offset : offset + count]
    if len(part) == count and int(part.max()) < 0x80:  # most columns are of small numbers
        return part.astype(np.uint64), offset + count
    part = data[offset : offset + MAX_BYTES * count]
    last = np.flatnonzero(part < 0x80)[:count]
    if len(last) < count:
        raise Malformed(f"{count} numbers do not fit in {len(part)} bytes")
    size = int(last[-1]) + 1
    starts = np.concatenate((np.zeros(1, np.int64), last[:-1] + 1))
    lengths = last - starts + 1
    if int(lengths.max()) > MAX_BYTES or (part[last[lengths == MAX_BYTES]] > 1).any():
        raise Malformed("a number is longer than 64 bits")
    place = np.arange(size, dtype=np.int64) - np.repeat(starts, lengths)
    groups = (part[:size] & 0x7F).astype(np.uint64) << (place * 7).astype(np.uint64)
    return np.bitwise_or.reduceat(groups, starts), offset + size


def zigzag(values: npt.NDArray[np.int64]) -> U64:
    """Map signed numbers to unsigned ones, small to small: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def unzigzag(values: U64) -> npt.NDArray[np.int64]:
    """Undo `zigzag`."""
    return (values >> np.uint64(1)).view(np.int64) ^ -(values & np.uint64(1)).view(np.int64)
