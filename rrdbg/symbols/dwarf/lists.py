"""Address ranges and location lists (DWARF 5, sections 2.17.3 and 2.6.2; DWARF 4, sections 7.24 and 7.7.3)."""

from __future__ import annotations

from collections.abc import Iterator

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


def ranges_of(die: Die) -> Ranges:
    """Return the address ranges of an entry, ascending; none for code that the linker threw away."""
    return tuple(sorted(written_ranges(die)))


def written_ranges(die: Die) -> Ranges:
    """Return the address ranges of an entry in the order in which they were written."""
    if die.has(D.AT_RANGES):
        where = die.list_offset(D.AT_RANGES)
        rows = list(_ranges(die.unit, *where)) if where is not None else []
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


def _ranges(unit: Unit, indexed: bool, offset: int) -> Iterator[tuple[int, int]]:
    if unit.version < 5:
        yield from _old_ranges(unit, offset)
        return
    data = unit.dwarf.section(".debug_rnglists")
    at = _list_start(data, unit, unit.rnglists_base, indexed, offset)
    base = unit.low_pc
    for _ in range(MAX_ROWS):
        kind = unsigned(data, at, 1)
        at += 1
        if kind == 0:  # end_of_list
            return
        if kind == 1:  # base_addressx
            index, at = uleb(data, at)
            base = unit.indexed_address(index)
            continue
        if kind == 5:  # base_address
            base, at = unsigned(data, at, 8), at + 8
            continue
        lo, hi, at = _pair(data, at, kind, base, unit, _RANGE_KINDS)
        yield lo, hi
    raise DwarfError("a range list has no end")


def _old_ranges(unit: Unit, offset: int) -> Iterator[tuple[int, int]]:
    data, base = unit.dwarf.section(".debug_ranges"), unit.low_pc
    for at in range(offset, offset + 16 * MAX_ROWS, 16):
        lo, hi = unsigned(data, at, 8), unsigned(data, at + 8, 8)
        if lo == hi == 0:
            return
        if lo == _MAX:
            base = hi
        else:
            yield lo + base & _MAX, hi + base & _MAX
    raise DwarfError("a range list has no end")


_STARTX_END, _STARTX_LENGTH, _OFFSETS, _START_END, _START_LENGTH = range(5)
_RANGE_KINDS = {2: _STARTX_END, 3: _STARTX_LENGTH, 4: _OFFSETS, 6: _START_END, 7: _START_LENGTH}
_LOCATION_KINDS = {2: _STARTX_END, 3: _STARTX_LENGTH, 4: _OFFSETS, 7: _START_END, 8: _START_LENGTH}


def _pair(data: bytes, at: int, kind: int, base: int, unit: Unit, kinds: dict[int, int]) -> tuple[int, int, int]:
    """Return the addresses of a row and where it ends."""
    form = kinds.get(kind)
    if form is None:
        raise DwarfError(f"a row of kind {kind:#x} in a list is unknown")
    if form == _START_END:
        return unsigned(data, at, 8), unsigned(data, at + 8, 8), at + 16
    if form == _START_LENGTH:
        lo = unsigned(data, at, 8)
        length, at = uleb(data, at + 8)
        return lo, lo + length, at
    first, at = uleb(data, at)
    second, at = uleb(data, at)
    if form == _OFFSETS:
        return base + first & _MAX, base + second & _MAX, at
    lo = unit.indexed_address(first)
    return lo, unit.indexed_address(second) if form == _STARTX_END else lo + second, at


def _list_start(data: bytes, unit: Unit, base: int, indexed: bool, offset: int) -> int:
    if not indexed:
        return offset
    return base + unsigned(data, base + offset * unit.offset_size, unit.offset_size)


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
        elif lo <= pc < hi:
            return expression
    return default


def locations(unit: Unit, indexed: bool, offset: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield the rows of a location list: addresses and expression; the default row ends at -1."""
    if unit.version < 5:
        yield from _old_locations(unit, offset)
        return
    data = unit.dwarf.section(".debug_loclists")
    at = _list_start(data, unit, unit.loclists_base, indexed, offset)
    base = unit.low_pc
    for _ in range(MAX_ROWS):
        kind = unsigned(data, at, 1)
        at += 1
        if kind == 0:  # end_of_list
            return
        if kind == 1:  # base_addressx
            index, at = uleb(data, at)
            base = unit.indexed_address(index)
            continue
        if kind == 6:  # base_address
            base, at = unsigned(data, at, 8), at + 8
            continue
        if kind == 9:  # GNU_view_pair: numbers of is_stmt rows at one address
            _, at = uleb(data, at)
            _, at = uleb(data, at)
            continue
        lo, hi = 0, -1
        if kind != 5:  # default_location
            lo, hi, at = _pair(data, at, kind, base, unit, _LOCATION_KINDS)
        size, at = uleb(data, at)
        yield lo, hi, block(data, at, size)
        at += size
    raise DwarfError("a location list has no end")


def _old_locations(unit: Unit, offset: int) -> Iterator[tuple[int, int, bytes]]:
    data, base, at = unit.dwarf.section(".debug_loc"), unit.low_pc, offset
    for _ in range(MAX_ROWS):
        lo, hi = unsigned(data, at, 8), unsigned(data, at + 8, 8)
        at += 16
        if lo == hi == 0:
            return
        if lo == _MAX:
            base = hi
            continue
        size = unsigned(data, at, 2)
        yield lo + base & _MAX, hi + base & _MAX, block(data, at + 2, size)
        at += 2 + size
    raise DwarfError("a location list has no end")
