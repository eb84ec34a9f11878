"""Console output of a stretch, in pieces, as few values: a guest may print byte by byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


class Printed(Sequence[tuple[int, bytes]]):
    """Pieces of console output: the first position at which each is visible, ascending, and its bytes.

    Args:
        at: i64[n]: the positions.
        ends: i64[n]: where each piece ends in `data`.
        data: What all of them hold.
    """

    __slots__ = ("at", "data", "ends")

    def __init__(self, at: Positions, ends: Positions, data: bytes) -> None:
        self.at, self.ends, self.data = at, ends, data

    @classmethod
    def of(cls, pieces: Sequence[tuple[int, bytes]]) -> Printed:
        """Return pieces, each with its position, as such."""
        if isinstance(pieces, Printed):
            return pieces
        at = np.fromiter((position for position, _ in pieces), np.int64, len(pieces))
        sizes = np.fromiter((len(data) for _, data in pieces), np.int64, len(pieces))
        return cls(at, sizes.cumsum(), b"".join([data for _, data in pieces]))

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, index: int) -> tuple[int, bytes]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[int, bytes]]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, bytes] | Sequence[tuple[int, bytes]]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(index)
        start = int(self.ends[number - 1]) if number else 0
        return int(self.at[number]), self.data[start : int(self.ends[number])]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(tuple.__eq__, self, other))

    def __hash__(self) -> int:
        return hash((self.at.tobytes(), self.ends.tobytes(), self.data))

    def __repr__(self) -> str:
        return f"Printed({len(self)} pieces, {len(self.data)} bytes)"

    @property
    def sizes(self) -> Positions:
        """i64[n]: bytes of each piece."""
        return np.diff(self.ends, prepend=0)

    def __add__(self, later: Printed) -> Printed:
        """Return both, one after the other."""
        ends = np.concatenate((self.ends, later.ends + len(self.data)))
        return Printed(np.concatenate((self.at, later.at)), ends, self.data + later.data)

    def cut(self, lo: int, hi: int) -> Printed:
        """Return what became visible at positions lo < p <= hi."""
        first, last = np.searchsorted(self.at, (lo, hi), "right").tolist()
        if last - first == len(self.at):
            return self
        start, stop = (int(self.ends[number - 1]) if number else 0 for number in (first, last))
        return Printed(self.at[first:last], self.ends[first:last] - start, self.data[start:stop])
