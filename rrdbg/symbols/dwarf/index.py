"""Which unit an address or a name belongs to, found without reading the units.

Addresses: `.debug_aranges`, and for units that it leaves out the ranges of their first entry. Names: a name is one text
in `.debug_str`, so the places that mention it are found by looking for the text's offset in `.debug_info`. That takes
a search over bytes, some 100 MB in 50 ms, instead of an index over millions of entries. Linkers let a text be the tail
of any longer one; where many end in a name, all their offsets are looked for at once, 100 MB in 0.3 s.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Generic, TypeVar

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, unsigned
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.forms import STRX, Abbreviation, fixed_size
from rrdbg.symbols.dwarf.lists import ranges_of
from rrdbg.symbols.dwarf.units import Dwarf, Unit

T = TypeVar("T")

Wanted = Callable[[Abbreviation], bool]
"""Whether entries of a shape are wanted."""

MAX_TEXTS = 64
"""Places in `.debug_str` where one name is looked for."""

MAX_SEPARATE = 4
"""Numbers that are looked for one after the other."""

MAX_NAMES = 16
"""Names whose places are kept."""

SCANNED_BYTES = 1 << 22
"""Bytes that are looked at in one go, about what a cache holds."""


class RangeIndex(Generic[T]):
    """What lies at an address, where ranges may overlap."""

    def __init__(self, rows: Sequence[tuple[int, int, T]]) -> None:
        ordered = sorted(rows, key=lambda row: (row[0], -row[1]))
        self._starts = array("Q", (row[0] for row in ordered))
        self._ends = array("Q", (row[1] for row in ordered))
        self.items = [row[2] for row in ordered]
        """What there is, by its first address."""
        reach, highest = array("Q"), 0
        for end in self._ends:
            highest = max(highest, end)
            reach.append(highest)
        self._reach = reach

    def around(self, address: int) -> Iterator[T]:
        """Yield what contains an address, the range that starts last first."""
        index = bisect_right(self._starts, address) - 1
        while index >= 0 and self._reach[index] > address:
            if address < self._ends[index]:
                yield self.items[index]
            index -= 1

    def overlapping(self, lo: int, hi: int) -> Iterator[T]:
        """Yield what has addresses in lo <= a < hi, by its first address."""
        index = bisect_right(self._reach, lo)
        while index < len(self.items) and self._starts[index] < hi:
            if self._ends[index] > lo:
                yield self.items[index]
            index += 1

    def __len__(self) -> int:
        return len(self.items)


def units_by_address(dwarf: Dwarf) -> RangeIndex[Unit]:
    """Return the units by the addresses of their code."""
    rows: list[tuple[int, int, Unit]] = []
    covered: set[int] = set()
    try:
        by_offset = {unit.offset: unit for unit in dwarf.units}
        for offset, lo, hi in _aranges(dwarf):
            if (unit := by_offset.get(offset)) is not None:
                covered.add(offset)
                rows.append((lo, hi, unit))
    except DwarfError as error:
        dwarf.problems.append(f"section .debug_aranges: {error}")
    for unit in dwarf.units:
        if unit.offset in covered or unit.kind not in (D.UT_COMPILE, D.UT_SKELETON):
            continue
        try:
            rows += [(lo, hi, unit) for lo, hi in ranges_of(unit.root)]
        except DwarfError as error:
            unit.problem = unit.problem or str(error)
    return RangeIndex(rows)


def _aranges(dwarf: Dwarf) -> Iterator[tuple[int, int, int]]:
    data, zero, at = dwarf.section(".debug_aranges"), dwarf.has_code_at_zero, 0
    while at + 12 <= len(data):
        start, offset_size = at, 4
        length = unsigned(data, at, 4)
        at += 4
        if length == 0xFFFFFFFF:
            length, offset_size = unsigned(data, at, 8), 8
            at += 8
        end = min(at + length, len(data))
        version, offset = unsigned(data, at, 2), unsigned(data, at + 2, offset_size)
        address_size, segment_size = unsigned(data, at + 2 + offset_size, 1), unsigned(data, at + 3 + offset_size, 1)
        at += 4 + offset_size
        if version == 2 and address_size == 8 and segment_size == 0:
            at += -(at - start) % 16
            rows = data[at : at + (end - at) // 16 * 16] if at < end else b""
            for lo, size in struct.iter_unpack("<QQ", rows):
                if size and (lo > 1 or zero) and lo + size < 1 << 64:
                    yield offset, lo, lo + size
        at = max(end, start + 4)


class NameIndex:
    """Entries by name."""

    def __init__(self, dwarf: Dwarf) -> None:
        self._dwarf = dwarf
        self._linked: list[Unit] | None = None
        self._places: dict[bytes, Places] = {}

    def _places_of(self, needle: bytes) -> Places:
        """Return where a name may stand, in all units."""
        found = self._places.pop(needle, None) or Places(self._dwarf, needle)
        self._places[needle] = found  # the last one in order is the one that was asked for last
        if len(self._places) > MAX_NAMES:
            del self._places[next(iter(self._places))]
        return found

    def find(self, name: str, wanted: Wanted, first: Unit | None = None) -> Iterator[Die]:
        """Yield the entries that have a name or linkage name.

        Args:
            name: As the debug information writes it.
            wanted: Returns whether entries of a shape are wanted: what it leaves out costs nothing.
            first: The unit whose entries come first.
        """
        needle = name.encode("utf-8", "surrogateescape")
        if not needle or b"\0" in needle:
            return
        found = _Search(self._dwarf, self._places_of(needle), wanted)
        if first is not None:
            yield from found.in_unit(first)
        for unit in found.units():
            if unit is not first:
                yield from found.in_unit(unit)

    def in_unit(self, name: str, wanted: Wanted, unit: Unit) -> Iterator[Die]:
        """Yield the entries of one unit that have a name or linkage name."""
        needle = name.encode("utf-8", "surrogateescape")
        if needle and b"\0" not in needle:
            yield from _Search(self._dwarf, self._places_of(needle), wanted).in_unit(unit)

    def at_address(self, address: int) -> Iterator[Die]:
        """Yield the variables that lie at an address for ever, where their entries say it themselves."""
        dwarf = self._dwarf
        for at in islice(_occurrences(dwarf.info, b"\x03" + address.to_bytes(8, "little")), MAX_TEXTS):  # DW_OP_addr
            try:
                unit = dwarf.unit_at(at)
                number = bisect_right(unit.layout.starts, at) - 1
                if number >= 0 and unit.layout.abbreviations[number].tag == D.TAG_VARIABLE:
                    yield unit.die(number)
            except DwarfError:
                continue  # elsewhere the same bytes mean something else

    def referring(self, die: Die, wanted: Wanted) -> Iterator[Die]:
        """Yield entries of other units that refer to an entry: link-time optimisation completes those of others."""
        if self._linked is None:
            self._linked = [unit for unit in self._dwarf.units if _refers_to_others(unit)]
        for unit in self._linked:
            if unit is die.unit:
                continue
            try:
                pattern = die.offset.to_bytes(8 if unit.version == 2 else unit.offset_size, "little")
                lo, hi = unit.first - unit.base, unit.end - unit.base
                for at in islice(_occurrences(unit.data, pattern, lo, hi), MAX_TEXTS):
                    number = bisect_right(unit.layout.starts, at) - 1
                    if number >= 0 and wanted(unit.layout.abbreviations[number]):
                        yield unit.die(number)
            except (DwarfError, OverflowError) as error:
                unit.problem = unit.problem or str(error)


def _refers_to_others(unit: Unit) -> bool:
    """Return whether a unit has variables that are described in other units."""
    try:
        rows = unit.abbreviations.all().values()
    except DwarfError as error:
        unit.problem = unit.problem or str(error)
        return False
    return any(
        row.tag == D.TAG_VARIABLE
        and any(name in _ORIGINS and form == D.FORM_REF_ADDR for name, form, _ in row.attributes)
        for row in rows
    )


_ORIGINS = (D.AT_ABSTRACT_ORIGIN, D.AT_SPECIFICATION)


class Places:
    """Where units may mention a name.

    Args:
        dwarf: The debug information.
        needle: The name.
    """

    def __init__(self, dwarf: Dwarf, needle: bytes) -> None:
        self._dwarf = dwarf
        self.needle = needle
        """The name."""
        self._whole: dict[int, array[int]] = {}
        try:
            self.offsets = _texts(dwarf.section(".debug_str"), needle)
            """Where it stands in `.debug_str`."""
        except DwarfError:
            self.offsets = []

    def mentioned_in(self, unit: Unit) -> bool:
        """Return whether a unit's bytes mention the name. The first call looks at the bytes of all units."""
        lo, hi = unit.first - unit.base, unit.end - unit.base
        places = self._section(unit)
        index = bisect_left(places, lo)
        return index < len(places) and places[index] < hi

    def inside(self, unit: Unit) -> Iterator[int]:
        """Yield the places in a unit."""
        lo, hi = unit.first - unit.base, unit.end - unit.base
        if unit.base not in self._whole:
            return iter(_places(unit.data[lo:hi], self.needle, self.offsets, lo))
        places = self._whole[unit.base]
        return iter(places[bisect_left(places, lo) : bisect_left(places, hi)])

    def _section(self, unit: Unit) -> array[int]:
        found = self._whole.get(unit.base)
        if found is None:
            found = self._whole[unit.base] = _places(unit.data, self.needle, self.offsets, 0)
        return found


def _places(data: bytes, needle: bytes, offsets: Sequence[int], base: int) -> array[int]:
    """Return where a text, or one of its offsets in `.debug_str`, stands in some bytes, in order; `base` is added.

    Offsets take 4 bytes, or 8 of which the upper 4 are mostly 0: what is found is looked at again.
    """
    found = list(_occurrences(data, needle + b"\0"))
    numbers = [offset & 0xFFFF_FFFF for offset in offsets]
    if len(numbers) <= MAX_SEPARATE:
        for number in numbers:
            found += _occurrences(data, number.to_bytes(4, "little"))
    else:
        found += _numbers(data, numbers)
    return array("Q", (at + base for at in sorted(found)))


def _numbers(data: bytes, numbers: Sequence[int]) -> Iterator[int]:
    """Yield where numbers of 32 bits stand, at any byte; in no order."""
    import numpy as np

    lower = np.zeros(1 << 16, bool)
    lower[[number & 0xFFFF for number in numbers]] = True
    wanted = np.array(numbers, np.uint32)
    for start in range(0, len(data), SCANNED_BYTES):
        for first in (start, start + 1):
            # what ends behind the last byte is no number
            count = min(SCANNED_BYTES // 2, (len(data) - 2 - first) // 2)
            if count <= 0:
                continue
            halves = np.frombuffer(data, "<u2", count + 1, first)
            at = np.flatnonzero(lower[halves[:-1]])
            # the half above stands 2 bytes on
            whole = halves[at].astype(np.uint32) | halves[at + 1].astype(np.uint32) << np.uint32(16)
            yield from (at[np.isin(whole, wanted)] * 2 + first).tolist()


class _Search:
    """One search for a name."""

    def __init__(self, dwarf: Dwarf, places: Places, wanted: Wanted) -> None:
        self._dwarf = dwarf
        self._places = places
        self._needle = places.needle
        self._wanted = wanted
        self._offsets = places.offsets

    def units(self) -> Iterator[Unit]:
        """Yield the units whose bytes mention the name, in their order."""
        indexed = self._indexed_units
        for unit in self._dwarf.units:
            if unit.offset in indexed or self._places.mentioned_in(unit):
                yield unit

    @cached_property
    def _indexed_units(self) -> set[int]:
        """Offsets of units that may have the name through `.debug_str_offsets`."""
        if not self._dwarf.has(".debug_str_offsets"):
            return set()
        try:
            data = self._dwarf.section(".debug_str_offsets")
        except DwarfError:
            return set()
        bases = _str_offsets_bases(self._dwarf)
        starts = [base for base, _ in bases]
        found: set[int] = set()
        for offset in self._offsets:
            for size in (4, 8):
                for at in _occurrences(data, offset.to_bytes(size, "little")):
                    index = bisect_right(starts, at) - 1
                    base = starts[index] if index >= 0 else -1
                    while index >= 0 and starts[index] == base:
                        found.add(bases[index][1])
                        index -= 1
        return found

    def in_unit(self, unit: Unit) -> Iterator[Die]:
        """Yield the entries of a unit."""
        try:
            if unit.offset in self._indexed_units:
                yield from self._scan(unit)
                return
            numbers: set[int] = set()
            check = _filter(unit, self._wanted)
            for at in self._places.inside(unit):
                if not check(at):
                    continue
                number = bisect_right(unit.layout.starts, at) - 1
                if number >= 0 and number not in numbers and self._named(unit, number):
                    numbers.add(number)
            for number in sorted(numbers):
                yield unit.die(number)
        except DwarfError as error:
            unit.problem = unit.problem or str(error)

    def _scan(self, unit: Unit) -> Iterator[Die]:
        for number, row in enumerate(unit.layout.abbreviations):
            if self._wanted(row) and self._named(unit, number):
                yield unit.die(number)

    def _named(self, unit: Unit, number: int) -> bool:
        if not self._wanted(unit.layout.abbreviations[number]):
            return False
        die = unit.die(number)
        wanted = self._needle.decode("utf-8", "backslashreplace")
        return wanted in (die.text(D.AT_NAME), die.text(D.AT_LINKAGE_NAME), die.text(D.AT_MIPS_LINKAGE_NAME))


def _occurrences(data: bytes, pattern: bytes, lo: int = 0, hi: int | None = None) -> Iterator[int]:
    end = len(data) if hi is None else hi
    at = data.find(pattern, lo, end)
    while at >= 0:
        yield at
        at = data.find(pattern, at + 1, end)


def _texts(data: bytes, needle: bytes) -> list[int]:
    """Return where a text stands: as texts of its own, or else as tails of longer ones, which linkers share."""
    ended = needle + b"\0"
    whole = [0] if data.startswith(ended) else []
    for at in _occurrences(data, b"\0" + ended):
        whole.append(at + 1)
        if len(whole) >= MAX_TEXTS:
            break
    if whole:
        return whole
    tails: list[int] = []
    for at in _occurrences(data, ended):
        tails.append(at)
        if len(tails) >= MAX_TEXTS:
            break
    return tails


def _str_offsets_bases(dwarf: Dwarf) -> list[tuple[int, int]]:
    bases: list[tuple[int, int]] = []
    for unit in dwarf.units:
        try:
            if any(form in STRX for row in unit.abbreviations.all().values() for _, form, _ in row.attributes):
                bases.append((unit.str_offsets_base, unit.offset))
        except DwarfError as error:
            unit.problem = unit.problem or str(error)
    return sorted(bases)


_NAMES = (D.AT_NAME, D.AT_LINKAGE_NAME, D.AT_MIPS_LINKAGE_NAME)


def _filter(unit: Unit, wanted: Wanted) -> Callable[[int], bool]:
    """Return what tells whether a name at a place may belong to an entry that is wanted.

    In front of it stands the entry's number of abbreviation; mostly at a fixed distance.
    """
    data, lo = unit.data, unit.first - unit.base
    prefixes: list[tuple[int, bytes]] = []
    for code, row in unit.abbreviations.all().items():
        if not wanted(row):
            continue
        distances = _distances(row, unit.offset_size)
        if distances is None:
            return lambda at: True
        prefix = _uleb_bytes(code)
        prefixes += [(distance + len(prefix), prefix) for distance in distances]

    def check(at: int) -> bool:
        return any(at - back >= lo and data.startswith(prefix, at - back) for back, prefix in prefixes)

    return check


def _distances(row: Abbreviation, offset_size: int) -> list[int] | None:
    """Return how far behind an entry's number its names stand; None: it differs."""
    found: list[int] = []
    at: int | None = 0
    for name, form, _ in row.attributes:
        if name in _NAMES:
            if at is None:
                return None
            found.append(at)
        size = fixed_size(form, offset_size)
        at = None if at is None or size is None else at + size
    return found


def _uleb_bytes(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)
