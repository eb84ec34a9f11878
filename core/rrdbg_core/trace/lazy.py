"""Sequences whose items are decoded when they are asked for, a few kept."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

from rrdbg_core.machine.events import Event

T = TypeVar("T")
KEPT_BYTES = 16 << 20
"""Memory for decoded items of one kind, as a rule."""
EVENT_BYTES = 256
"""About what an event takes in memory, its payload aside."""


class Cache(Generic[T]):
    """The newest results of a function of a number.

    Args:
        make: The function.
        cost: Returns what keeping a result costs.
        budget: What all that are kept may cost; the newest one is kept in any case.
    """

    def __init__(self, make: Callable[[int], T], cost: Callable[[int], int], budget: int) -> None:
        self._make, self._cost = make, cost
        self._left = budget
        self._items: OrderedDict[int, T] = OrderedDict()

    def __getitem__(self, number: int) -> T:
        if number in self._items:
            self._items.move_to_end(number)
            return self._items[number]
        item = self._items[number] = self._make(number)
        self._left -= self._cost(number)
        while self._left < 0 and len(self._items) > 1:
            self._left += self._cost(self._items.popitem(last=False)[0])
        return item


class LazySequence(Sequence[T]):
    """Items made by a function; some are kept.

    Args:
        length: Returns how many there are now.
        make: Returns one.
        cost: Returns about how many bytes one takes.
        budget: Memory for those that are kept.
    """

    def __init__(
        self,
        length: Callable[[], int],
        make: Callable[[int], T],
        cost: Callable[[int], int],
        budget: int = KEPT_BYTES,
    ) -> None:
        self._length = length
        self._cache = Cache(make, cost, budget)

    def __len__(self) -> int:
        return self._length()

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self._cache[number] for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(index)
        return self._cache[number]


class EventSequence(Sequence[Event]):
    """The events of a journal, decoded block by block. Added blocks are seen once `promise` says so."""

    def __init__(self, decode: Callable[[int], list[Event]]) -> None:
        self._blocks = Cache(decode, lambda number: self._costs[number], KEPT_BYTES)
        self._costs: list[int] = []
        self._starts: list[int] = []
        self._spans: list[tuple[int, int]] = []
        self.total = 0
        """Events of all blocks, those beyond the end included."""
        self._length = 0
        # the block read last, since events are mostly read in order
        self._low = self._high = 0
        self._block: list[Event] = []

    def add(self, count: int, size: int, first: int, last: int) -> None:
        """Take in the next block: `count` events of `size` bytes at icounts from `first` to `last`."""
        self._costs.append(size + count * EVENT_BYTES)
        self._starts.append(self.total)
        self._spans.append((first, last))
        self.total += count

    @property
    def last_icount(self) -> int:
        """Position of the last event of all blocks, -1 if there is none."""
        return self._spans[-1][1] if self._spans else -1

    def promise(self) -> None:
        """Show everything that was added."""
        self._length = self.total

    def up_to(self, icount: int) -> int:
        """Return the number of events that are seen at or before a position."""
        block = bisect_right(self._spans, (icount, 1 << 63)) - 1
        if block < 0:
            return 0
        if self._spans[block][1] <= icount:
            count = self._starts[block + 1] if block + 1 < len(self._starts) else self.total
        else:
            count = self._starts[block] + bisect_right(self._blocks[block], icount, key=lambda event: event.icount)
        return min(count, self._length)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._length))]
        number = index + self._length if index < 0 else index
        if not 0 <= number < self._length:
            raise IndexError(index)
        if not self._low <= number < self._high:
            block = bisect_right(self._starts, number) - 1
            self._block = self._blocks[block]
            self._low = self._starts[block]
            self._high = self._low + len(self._block)
        return self._block[number - self._low]
