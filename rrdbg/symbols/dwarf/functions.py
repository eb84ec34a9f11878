"""The functions of a unit, the calls inlined into them, and their lexical blocks, by address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.index import RangeIndex
from rrdbg.symbols.dwarf.lists import Ranges, ranges_of, written_ranges
from rrdbg.symbols.dwarf.names import chain
from rrdbg.symbols.dwarf.units import Unit

BLOCKS = (D.TAG_LEXICAL_BLOCK, D.TAG_TRY_BLOCK, D.TAG_CATCH_BLOCK, D.TAG_WITH_STMT)
"""Tags of lexical blocks."""


@dataclass(slots=True)
class Node:
    """A function, an inlined call or a block, with those inside of it."""

    die: Die
    """Where it is described."""
    ranges: Ranges
    """Where its code lies."""
    children: list[Node] = field(default_factory=list)
    """What it encloses."""

    @property
    def is_scope(self) -> bool:
        """Whether it is a function or an inlined call; else a block."""
        return self.die.tag not in BLOCKS

    def contains(self, pc: int) -> bool:
        """Return whether an address is in its code."""
        return any(lo <= pc < hi for lo, hi in self.ranges)

    def path(self, pc: int) -> list[Node]:
        """Return the nodes around an address, itself first."""
        found = [self]
        node: Node | None = self
        while node is not None:
            node = next((child for child in node.children if child.contains(pc)), None)
            if node is not None:
                found.append(node)
        return found

    def walk(self) -> Iterator[Node]:
        """Yield itself and all nodes inside of it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


class Functions:
    """The functions of a unit that have code."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._nodes: dict[int, Node] = {}
        rows: list[tuple[int, int, int]] = []
        for number, row in enumerate(unit.layout.abbreviations):
            if row.tag == D.TAG_SUBPROGRAM and (D.AT_LOW_PC in row.names or D.AT_RANGES in row.names):
                try:
                    rows += [(lo, hi, number) for lo, hi in ranges_of(unit.die(number))]
                except DwarfError as error:
                    unit.problem = unit.problem or str(error)
        self._index = RangeIndex(rows)

    def around(self, pc: int) -> Node | None:
        """Return the function around an address, the innermost one of nested functions."""
        number = next(self._index.around(pc), None)
        return None if number is None else self.node(number)

    def node(self, number: int) -> Node:
        """Return the function that an entry describes."""
        found = self._nodes.get(number)
        if found is None:
            found = self._nodes[number] = _read(self._unit.die(number))
        return found

    @cached_property
    def _by_origin(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for number in dict.fromkeys(self._index.items):
            try:
                for entry in chain(self._unit.die(number)):
                    found.setdefault(entry.offset, []).append(number)
            except DwarfError as error:
                self._unit.problem = self._unit.problem or str(error)
        return found

    def instances(self, origin: Die) -> list[Node]:
        """Return the functions that an entry describes, or that are instances or definitions of it."""
        return [self.node(number) for number in self._by_origin.get(origin.offset, ())]

    def all(self) -> Iterator[Node]:
        """Yield all functions."""
        for number in dict.fromkeys(self._index.items):
            yield self.node(number)


def _read(die: Die) -> Node:
    """Return a function with what is inside of it, in one pass over its entries."""
    unit, layout = die.unit, die.unit.layout
    top = Node(die, ranges_of(die))
    number, end = die.number + 1, layout.ends[die.number]
    stack: list[tuple[Node, int]] = []
    node, node_end = top, end
    while number < end:
        while number >= node_end and stack:
            node, node_end = stack.pop()
        tag = layout.abbreviations[number].tag
        if tag not in BLOCKS and tag != D.TAG_INLINED_SUBROUTINE:
            number = layout.ends[number]
            continue
        entry = unit.die(number)
        try:
            ranges = ranges_of(entry)
        except DwarfError as error:
            unit.problem = unit.problem or str(error)
            number = layout.ends[number]
            continue
        if ranges:
            inner = Node(entry, ranges)
            node.children.append(inner)
            stack.append((node, node_end))
            node, node_end = inner, layout.ends[number]
        elif tag == D.TAG_INLINED_SUBROUTINE or entry.has(D.AT_LOW_PC) or entry.has(D.AT_RANGES):
            number = layout.ends[number]  # optimised away
            continue
        number += 1  # a block without addresses stands for what it holds
    return top


def entry_of(node: Node) -> int:
    """Return where a function or inlined call is entered."""
    for name in (D.AT_ENTRY_PC, D.AT_LOW_PC):
        address = node.die.address(name)
        if address is None and name == D.AT_ENTRY_PC and node.ranges:
            offset = node.die.integer(name)  # DWARF 5: or an offset from the first range
            address = None if offset is None else (node.die.address(D.AT_LOW_PC) or node.ranges[0][0]) + offset
        if address is not None and node.contains(address):
            return address
    rows = written_ranges(node.die)  # the first one as it was written is the entry's, not the cold part's
    return rows[0][0] if rows else 0
