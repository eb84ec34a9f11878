"""Tail calls between a call and the function that runs: functions that have left by a jump, and are on no stack.

A caller says which function it calls (DW_TAG_call_site), and each function which others it jumps to instead of
returning. If only one way leads from the call to the function that runs, each jump on it was made. If there are
several, those were made that all of them begin with, and those that all end with. What is not described, such as a jump
through a pointer, may lead anywhere: then nothing is certain. The rules are gdb's, so that frames have its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.context import Finder, Loaded, Resolver, call_origin, has_all_tail_calls
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.functions import entry_of
from rrdbg.symbols.dwarf.lists import written_ranges
from rrdbg.symbols.dwarf.names import linkage_name, qualified_name

MAX_JUMPS = 2_000
"""Jumps that are followed in search of all ways."""

Way = tuple[int, ...]
"""The addresses behind some jumps, in the order in which they were made."""


class Unknown(Exception):
    """A call or jump may lead anywhere."""


class TailCalls:
    """Finds the jumps between calls and functions.

    Args:
        find: Returns the function around an address.
        resolver: Knows the calls of functions.
        symbol: Returns the address of a symbol; None: there is none.
    """

    def __init__(self, find: Finder, resolver: Resolver, symbol: Callable[[str], int | None]) -> None:
        self._find = find
        self._resolver = resolver
        self._symbol = symbol

    def between(self, return_pc: int, start: int) -> Way:
        """Return the jumps that were made between the call that returns to an address and a function's start.

        Empty: none, or none that is certain.
        """
        call = self._resolver.call_at(return_pc - 1)
        if call is None or call[3] != return_pc:
            return ()
        certain: _Certain | None = None
        try:
            for way in self._ways(call[0], call[2], start):
                certain = _Certain(way) if certain is None else certain.also(way)
                if not certain.first and not certain.last:
                    return ()
        except Unknown:
            return ()
        return certain.jumps if certain is not None else ()

    def _ways(self, loaded: Loaded, call: Die, start: int) -> Iterator[Way]:
        """Yield the ways from a call to a function, none of which has a jump twice.

        Raises:
            Unknown: There may be others.
        """
        way: list[int] = []
        followed = 0
        waiting = [self._onwards(loaded, call, start)]
        if waiting[0] is None:
            yield ()
            return
        while waiting:
            jumps = waiting[-1]
            jump = next((row for row in jumps if row[0] not in way), None) if jumps is not None else None
            if jump is None:
                waiting.pop()
                if way:
                    way.pop()
                continue
            followed += 1
            if followed > MAX_JUMPS:
                raise Unknown
            behind, owner, die = jump
            way.append(behind)
            onwards = self._onwards(owner, die, start)
            if onwards is None:
                yield tuple(way)
            waiting.append(onwards)

    def _onwards(self, loaded: Loaded, call: Die, start: int) -> Iterator[tuple[int, Loaded, Die]] | None:
        """Return the jumps of the functions that a call may enter; None: it enters the one that starts there."""
        targets = self._targets(loaded, call)
        if start in targets:
            return None
        return iter([jump for target in targets for jump in self._jumps_of(target)])

    def _targets(self, loaded: Loaded, call: Die) -> Sequence[int]:
        """Return where a call leads to."""
        origin = None
        if not call.has(D.AT_CALL_TARGET) and not call.has(D.AT_GNU_CALL_SITE_TARGET):
            origin = call_origin(call)
        if origin is None:
            raise Unknown
        if origin.has(D.AT_DECLARATION) and not origin.has(D.AT_SPECIFICATION):
            address = self._symbol(linkage_name(origin) or qualified_name(origin))
            if address is None:
                raise Unknown
            return (address,)
        if not origin.has(D.AT_LOW_PC) and not origin.has(D.AT_RANGES):
            raise Unknown  # it was inlined elsewhere, too: it says nothing of its code
        ranges = written_ranges(origin)
        if not ranges:
            raise Unknown
        return [lo + loaded.bias for lo, _ in (ranges if origin.has(D.AT_RANGES) else ranges[:1])]

    def _jumps_of(self, start: int) -> Sequence[tuple[int, Loaded, Die]]:
        """Return the tail calls of the function that starts at an address: where they stand, and what they are."""
        found = self._find(start)
        if found is None or entry_of(found[2]) + found[0].bias != start:
            raise Unknown
        loaded, _, node = found
        if not has_all_tail_calls(node):
            return ()
        jumps = []
        for die in self._resolver.calls(node).tail:
            behind = die.address(D.AT_CALL_RETURN_PC)
            if behind is None:
                behind = die.address(D.AT_LOW_PC)
            if behind is None:
                raise Unknown  # clang says where it stands, which gdb makes nothing of
            jumps.append((behind + loaded.bias, loaded, die))
        return jumps


class _Certain:
    """What several ways have in common."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self.first = self.last = len(way)
        """How many jumps at its beginning, and at its end, are those of all ways."""
        self._only = True

    def also(self, way: Way) -> _Certain:
        """Take in another way."""
        self._only = False
        self.first = _common(self._way[: self.first], way)
        self.last = min(_common(self._way[::-1][: self.last], way[::-1]), len(self._way) - self.first)
        return self

    @property
    def jumps(self) -> Way:
        """The jumps that were made, whichever way it was."""
        if self._only:
            return self._way
        return self._way[: self.first] + self._way[len(self._way) - self.last :]


def _common(one: Way, other: Way) -> int:
    """Return how many jumps two ways begin with alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
