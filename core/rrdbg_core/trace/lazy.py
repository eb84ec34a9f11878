"""Sequences whose items are decoded when they are asked for, a few kept."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, overload

from rrdbg_core.machine.events import Event

T = TypeVar("T")


class Cache(Generic[T]):
    """The newest few results of a function of a number."""

    def __init__(self, make: Callable[[int], T], size: int) -> None:
        self._make = make
        self._size = size
        self._items: OrderedDict[int, T] = OrderedDict()

    def __getitem__(self, number: int) -> T:
        if number in self._items:
            self._items.move_to_end(number)
            return self._items[number]
        item = self._items[number] = self._make(number)
        if len(self._items) > self._size:
            self._items.popitem(last=False)
        return item

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()


class LazySequence(Sequence[T]):
    """Items made by a function, `length` of them; the newest few are kept.

    Args:
        length: Returns how many there are now.
        make: Returns one.
        keep: How many made ones are kept.
    """

    def __init__(self, length: Callable[[], int], make: Callable[[int], T], keep: int) -> None:
        self._length = length
        self._cache = Cache(make, keep)

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
        self._blocks = Cache(decode, 8)
        self._starts: list[int] = []
        self._spans: list[tuple[int, int]] = []
        self.total = 0
        """Events of all blocks, those beyond the end included."""
        self._length = 0
        # the block read last, since events are mostly read in order
        self._low = self._high = 0
        self._block: list[Event] = []

    def add(self, count: int, first: int, last: int) -> None:
        """Take in the next block: `count` events at icounts from `first` to `last`."""
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
