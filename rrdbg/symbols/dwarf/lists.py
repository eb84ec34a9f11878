"""Address ranges and location lists (DWARF 5, sections 2.17.3 and 2.6.2; DWARF 4, sections 7.24 and 7.7.3).

Both are lists of address ranges; in a location list each has an expression.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, block, uleb, unsigned
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.units import Unit

MAX_ROWS = 100_000
"""Rows of a list."""

_MAX = (1 << 64) - 1
_TOMBSTONES = (_MAX, _MAX - 1)
"""Where linkers put what they threw away; they use 0 and 1 too."""

Ranges = tuple[tuple[int, int], ...]


class _Row(Enum):
    """What a row of a list of DWARF 5 is."""

    END = auto()
    BASE_INDEX = auto()
    INDEX_INDEX = auto()
    INDEX_LENGTH = auto()
    OFFSETS = auto()
    DEFAULT = auto()
    BASE = auto()
    START_END = auto()
    START_LENGTH = auto()
    VIEWS = auto()
    """GNU's: numbers of the line table's rows at one address."""


class _Kind(Frozen):
    """What tells the two kinds of lists apart."""

    section: str
    """Where they are, since DWARF 5."""
    old: str
    """Where they were before."""
    rows: tuple[_Row, ...]
    """What the rows are, by their codes."""
    located: bool
    """Whether rows have expressions."""


_FIRST = (_Row.END, _Row.BASE_INDEX, _Row.INDEX_INDEX, _Row.INDEX_LENGTH, _Row.OFFSETS)
_LAST = (_Row.BASE, _Row.START_END, _Row.START_LENGTH)
_RANGES = _Kind(".debug_rnglists", ".debug_ranges", (*_FIRST, *_LAST), False)
_LOCATIONS = _Kind(".debug_loclists", ".debug_loc", (*_FIRST, _Row.DEFAULT, *_LAST, _Row.VIEWS), True)


# ranges


def ranges_of(die: Die) -> Ranges:
    """Return the address ranges of an entry, ascending; none for code that the linker threw away."""
    return tuple(sorted(written_ranges(die)))


def written_ranges(die: Die) -> Ranges:
    """Return the address ranges of an entry in the order in which they were written."""
    if die.has(D.AT_RANGES):
        where = die.list_offset(D.AT_RANGES)
        rows = [row[:2] for row in _rows(_RANGES, die.unit, *where)] if where is not None else []
    else:
        low = die.address(D.AT_LOW_PC)
        if low is None:
            return ()
        high = die.address(D.AT_HIGH_PC)
        if high is None:
            high = low + die.number_of(D.AT_HIGH_PC)
        rows = [(low, high)]
    zero = die.unit.dwarf.has_code_at_zero
    return tuple((lo, hi) for lo, hi in rows if lo < hi <= _MAX and (lo > 1 or zero) and lo not in _TOMBSTONES)


# locations


def location_at(die: Die, name: int, pc: int) -> bytes | None:
    """Return the expression that an attribute has at an address; None: it has none there."""
    expression = die.block(name)
    if expression is not None:
        return expression
    where = die.list_offset(name)
    if where is None:
        return None
    default = None
    for lo, hi, expression in locations(die.unit, *where):
        if hi < 0:
            default = expression
        elif lo <= pc < hi or (lo == hi == pc and _is_entry(die, pc)):
            return expression
    return default


def locations(unit: Unit, indexed: bool, offset: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield the rows of a location list: addresses and expression; the default row ends at -1."""
    return _rows(_LOCATIONS, unit, indexed, offset)


def _is_entry(die: Die, pc: int) -> bool:
    """Return whether a function around an entry begins at an address: there rows of no length count, as in gdb.

    They say where arguments come in that the function's first instruction has elsewhere already.
    """
    around: Die | None = die
    while around is not None and around.tag != D.TAG_SUBPROGRAM:
        around = around.parent
    return around is not None and [lo for lo, _ in written_ranges(around)[:1]] == [pc]


# both


def _rows(kind: _Kind, unit: Unit, indexed: bool, offset: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield the rows of a list: lo <= address < hi, and the expression."""
    if unit.version < 5:
        yield from _old_rows(kind, unit, offset)
        return
    data, base = unit.dwarf.section(kind.section), unit.low_pc
    at = _start(data, unit, unit.loclists_base if kind.located else unit.rnglists_base, indexed, offset)
    for _ in range(MAX_ROWS):
        code, at = unsigned(data, at, 1), at + 1
        if code >= len(kind.rows):
            raise DwarfError(f"a row of kind {code:#x} in a list is unknown")
        match kind.rows[code]:
            case _Row.END:
                return
            case _Row.BASE_INDEX:
                index, at = uleb(data, at)
                base = unit.indexed_address(index)
                continue
            case _Row.BASE:
                base, at = unsigned(data, at, 8), at + 8
                continue
            case _Row.VIEWS:
                at = uleb(data, uleb(data, at)[1])[1]
                continue
            case _Row.DEFAULT:
                lo, hi = 0, -1
            case row:
                lo, hi, at = _addresses(data, at, row, base, unit)
        expression = b""
        if kind.located:
            size, at = uleb(data, at)
            expression, at = block(data, at, size), at + size
        yield lo, hi, expression
    raise DwarfError("a list has no end")


def _addresses(data: bytes, at: int, row: _Row, base: int, unit: Unit) -> tuple[int, int, int]:
    """Return the addresses of a row and where they end."""
    if row is _Row.START_END:
        return unsigned(data, at, 8), unsigned(data, at + 8, 8), at + 16
    if row is _Row.START_LENGTH:
        lo = unsigned(data, at, 8)
        length, at = uleb(data, at + 8)
        return lo, lo + length, at
    first, at = uleb(data, at)
    second, at = uleb(data, at)
    if row is _Row.OFFSETS:
        return base + first & _MAX, base + second & _MAX, at
    lo = unit.indexed_address(first)
    return lo, unit.indexed_address(second) if row is _Row.INDEX_INDEX else lo + second, at


def _start(data: bytes, unit: Unit, base: int, indexed: bool, offset: int) -> int:
    if not indexed:
        return offset
    return base + unsigned(data, base + offset * unit.offset_size, unit.offset_size)


def _old_rows(kind: _Kind, unit: Unit, at: int) -> Iterator[tuple[int, int, bytes]]:
    data, base = unit.dwarf.section(kind.old), unit.low_pc
    for _ in range(MAX_ROWS):
        lo, hi = unsigned(data, at, 8), unsigned(data, at + 8, 8)
        at += 16
        if lo == hi == 0:
            return
        if lo == _MAX:
            base = hi
            continue
        expression = b""
        if kind.located:
            size = unsigned(data, at, 2)
            expression, at = block(data, at + 2, size), at + 2 + size
        yield lo + base & _MAX, hi + base & _MAX, expression
    raise DwarfError("a list has no end")
