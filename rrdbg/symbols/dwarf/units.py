"""Units and their entries (DWARF 5, sections 7.5 and 7.6).

A unit is laid out in one pass over its bytes: where each entry starts, what encloses it, where its children end. The
pass decodes no attribute, follows no reference and moves forward with each entry, so damaged bytes cannot make it long.
Offsets are those in `.debug_info`; `.debug_types` (DWARF 4) starts at `TYPES`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from functools import cached_property

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, text, uleb, unsigned
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.forms import Abbreviation, Abbreviations, skip
from rrdbg.symbols.dwarf.sections import Sections

TYPES = 1 << 48
"""Offset of `.debug_types`, behind any `.debug_info`."""

MAX_ENTRIES = 2_000_000
"""Entries of all units that stay laid out: about 16 bytes each."""


class Layout:
    """Where the entries of a unit are, by number; entry 0 is the unit's own."""

    __slots__ = ("abbreviations", "ends", "numbers", "parents", "problem", "starts")

    def __init__(self) -> None:
        self.starts = array("Q")
        """Where each entry's attributes start."""
        self.parents = array("i")
        """Which entry encloses it; -1: none."""
        self.ends = array("I")
        """Number behind its last descendant."""
        self.abbreviations: list[Abbreviation] = []
        """Its shape."""
        self.numbers = array("Q")
        """Where each entry starts, which is what references mean."""
        self.problem = ""
        """Why it ends too early."""


class Unit:
    """A compilation unit, partial unit or type unit."""

    def __init__(
        self,
        dwarf: Dwarf,
        offset: int,
        first: int,
        end: int,
        version: int,
        kind: int,
        offset_size: int,
        abbrev_offset: int,
        signature: int = 0,
        type_offset: int = 0,
    ) -> None:
        self.dwarf = dwarf
        """The image's debug information."""
        self.offset = offset
        """Where its header starts."""
        self.first = first
        """Where its first entry starts."""
        self.end = end
        """Where it ends."""
        self.version = version
        """2 to 5."""
        self.kind = kind
        """UT_COMPILE, UT_TYPE, UT_PARTIAL or UT_SKELETON."""
        self.offset_size = offset_size
        """4, or 8 in 64-bit DWARF."""
        self.abbrev_offset = abbrev_offset
        """Where its abbreviations start."""
        self.signature = signature
        """For type units: what references to it say."""
        self.type_offset = type_offset
        """For type units: where the type is described, from the header."""
        self.problem = ""
        """What is damaged in it."""
        self._dies: dict[int, Die] = {}
        self._layout: Layout | None = None

    @property
    def data(self) -> bytes:
        """The section it lies in."""
        return self.dwarf.types if self.offset >= TYPES else self.dwarf.info

    @property
    def base(self) -> int:
        """Offset of its section."""
        return TYPES if self.offset >= TYPES else 0

    @cached_property
    def abbreviations(self) -> Abbreviations:
        """The shapes of its entries."""
        return self.dwarf.abbreviations(self.abbrev_offset, self.offset_size, 8 if self.version == 2 else 0)

    @cached_property
    def root(self) -> Die:
        """Its own entry."""
        at = self.first - self.base
        code, at = uleb(self.data, at)
        if code == 0 or at > self.end - self.base:
            raise DwarfError("a unit is empty")
        return Die(self, 0, self.first, at, self.abbreviations[code])

    @property
    def layout(self) -> Layout:
        """Where its entries are."""
        if self._layout is None:
            self._layout = self._lay_out()
            self.dwarf.laid_out(self, len(self._layout.starts))
        return self._layout

    def _lay_out(self) -> Layout:
        """Find its entries. Bytes that make no sense end it early."""
        layout = Layout()
        try:
            self._walk(layout)
        except (DwarfError, IndexError) as error:
            layout.problem = str(error) if isinstance(error, DwarfError) else "it is cut off"
        count = len(layout.starts)
        for number, end in enumerate(layout.ends):
            if end == 0:
                layout.ends[number] = count
        if layout.problem and not self.problem:
            self.problem = layout.problem
        return layout

    def _walk(self, layout: Layout) -> None:
        data, base = self.data, self.base
        at, end = self.first - base, self.end - base
        rows = self.abbreviations.all()
        add_start, add_parent, add_end = layout.starts.append, layout.parents.append, layout.ends.append
        add_number, add_row = layout.numbers.append, layout.abbreviations.append
        ends, parents = layout.ends, layout.parents
        parent, count = -1, 0
        while at < end:
            start = at
            code = data[at]
            at += 1
            if code >= 0x80:
                code, at = uleb(data, start)
            if code == 0:
                if parent < 0:
                    return
                ends[parent] = count
                parent = parents[parent]
                if parent < 0:
                    return
                continue
            row = rows.get(code)
            if row is None:
                raise DwarfError(f"abbreviation {code} is not in its table")
            add_number(start + base)
            add_start(at)
            add_parent(parent)
            add_row(row)
            if row.children:
                add_end(0)
                parent = count
                count += 1
            else:
                count += 1
                add_end(count)
            size = row.size
            if size >= 0:
                at += size
            else:
                at = skip(data, at, row.plan, self)
            if at > end:
                raise DwarfError("it is cut off")
            if parent < 0:
                return

    def die(self, number: int) -> Die:
        """Return an entry by number."""
        found = self._dies.get(number)
        if found is None:
            layout = self.layout
            if not 0 <= number < len(layout.starts):
                raise DwarfError("a reference leads nowhere")
            found = Die(self, number, layout.numbers[number], layout.starts[number], layout.abbreviations[number])
            self._dies[number] = found
        return found

    def at(self, offset: int) -> Die:
        """Return the entry that starts at an offset of the section.

        Raises:
            DwarfError: None starts there.
        """
        numbers = self.layout.numbers
        number = bisect_right(numbers, offset) - 1
        if number < 0 or numbers[number] != offset:
            raise DwarfError("a reference leads nowhere")
        return self.die(number)

    def tagged(self, *tags: int) -> Iterator[Die]:
        """Yield the entries that have one of the tags."""
        for number, row in enumerate(self.layout.abbreviations):
            if row.tag in tags:
                yield self.die(number)

    def forget(self) -> None:
        """Let go of the entries; they are read again when they are asked for."""
        self._dies.clear()
        self._layout = None

    # what its own entry says

    def _root_offset(self, name: int, default: int) -> int:
        raw = self.root.raw(name)
        return raw[1] if raw is not None and isinstance(raw[1], int) else default

    @cached_property
    def name(self) -> str:
        """Its source file as the compiler was given it."""
        return self.root.text(D.AT_NAME)

    @cached_property
    def directory(self) -> str:
        """Where the compiler ran."""
        return self.root.text(D.AT_COMP_DIR)

    @cached_property
    def safe_directory(self) -> str:
        """Where the compiler ran, empty when that is damaged."""
        try:
            return self.directory
        except DwarfError as error:
            self.problem = self.problem or str(error)
            return ""

    @cached_property
    def language(self) -> str:
        """ "c", "c++", "rust", "asm", or empty."""
        return D.LANGUAGES.get(self._root_offset(D.AT_LANGUAGE, 0), "")

    @cached_property
    def producer(self) -> str:
        """The compiler, as it calls itself."""
        return self.root.text(D.AT_PRODUCER)

    @cached_property
    def low_pc(self) -> int:
        """Base of its ranges and location lists."""
        return self.root.address(D.AT_LOW_PC) or 0

    @cached_property
    def addr_base(self) -> int:
        """Where its addresses start in `.debug_addr`."""
        default = 0 if self.version < 5 else 8 if self.offset_size == 4 else 16
        return self._root_offset(D.AT_ADDR_BASE, self._root_offset(D.AT_GNU_ADDR_BASE, default))

    @cached_property
    def str_offsets_base(self) -> int:
        """Where its strings start in `.debug_str_offsets`."""
        default = 0 if self.version < 5 else 8 if self.offset_size == 4 else 16
        return self._root_offset(D.AT_STR_OFFSETS_BASE, default)

    @cached_property
    def rnglists_base(self) -> int:
        """Where its offsets start in `.debug_rnglists`."""
        return self._root_offset(D.AT_RNGLISTS_BASE, 12 if self.offset_size == 4 else 20)

    @cached_property
    def loclists_base(self) -> int:
        """Where its offsets start in `.debug_loclists`."""
        return self._root_offset(D.AT_LOCLISTS_BASE, 12 if self.offset_size == 4 else 20)

    @cached_property
    def stmt_list(self) -> int | None:
        """Where its lines are in `.debug_line`."""
        raw = self.root.raw(D.AT_STMT_LIST)
        return raw[1] if raw is not None and isinstance(raw[1], int) else None

    def indexed_address(self, index: int) -> int:
        """Return an entry of `.debug_addr`."""
        return unsigned(self.dwarf.section(".debug_addr"), self.addr_base + index * 8, 8)

    def indexed_text(self, index: int) -> str:
        """Return a text through `.debug_str_offsets`."""
        size = self.offset_size
        offset = unsigned(self.dwarf.section(".debug_str_offsets"), self.str_offsets_base + index * size, size)
        return text(self.dwarf.section(".debug_str"), offset)


class Dwarf:
    """The units of one image."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections
        self._tables: dict[tuple[int, int, int], Abbreviations] = {}
        self._laid_out: deque[tuple[Unit, int]] = deque()
        self._entries = 0
        self.problems: list[str] = []
        """What is damaged, in half sentences."""

    def section(self, name: str) -> bytes:
        """Return a section's bytes. Raises DwarfError when it cannot be unpacked."""
        return self._sections.get(name)

    def has(self, name: str) -> bool:
        """Return whether there is a section."""
        return name in self._sections

    @cached_property
    def has_code_at_zero(self) -> bool:
        """Whether address 0 can be meant; else it is where the linker put what it threw away."""
        return any(lo <= 1 < hi for lo, hi in self._sections.allocated)

    def is_code(self, address: int) -> bool:
        """Return whether an address can be meant; else it is where the linker put what it threw away."""
        return address > 1 or self.has_code_at_zero

    @cached_property
    def info(self) -> bytes:
        """`.debug_info`."""
        return self.section(".debug_info")

    @cached_property
    def types(self) -> bytes:
        """`.debug_types`."""
        return self.section(".debug_types")

    @cached_property
    def units(self) -> list[Unit]:
        """All units in their order, from their headers alone."""
        units = list(self._headers(self.info, 0))
        if ".debug_types" in self._sections:
            units += self._headers(self.types, TYPES)
        return units

    def _headers(self, data: bytes, base: int) -> Iterator[Unit]:
        at = 0
        while at + 11 <= len(data):
            offset = at
            length, offset_size = int.from_bytes(data[at : at + 4], "little"), 4
            at += 4
            if length == 0xFFFFFFFF:
                length, offset_size = unsigned(data, at, 8), 8
                at += 8
            end = at + length
            if end > len(data):
                self.problems.append(f"the unit at {offset:#x} is cut off")
                end = len(data)
            try:
                unit = self._header(data, base, offset, at, end, offset_size)
            except DwarfError as error:
                self.problems.append(f"the unit at {offset:#x}: {error}")
            else:
                if unit is not None:
                    yield unit
            at = max(end, at)

    def _header(self, data: bytes, base: int, offset: int, at: int, end: int, offset_size: int) -> Unit | None:
        if at == end:
            return None  # padding
        version = unsigned(data, at, 2)
        at += 2
        if not 2 <= version <= 5:
            raise DwarfError(f"DWARF version {version} is not supported")
        kind = D.UT_TYPE if base else D.UT_COMPILE
        if version >= 5:
            kind, address_size = unsigned(data, at, 1), unsigned(data, at + 1, 1)
            abbrev_offset = unsigned(data, at + 2, offset_size)
            at += 2 + offset_size
        else:
            abbrev_offset, address_size = unsigned(data, at, offset_size), unsigned(data, at + offset_size, 1)
            at += offset_size + 1
        if address_size != 8:
            raise DwarfError(f"its addresses have {address_size} bytes")
        signature = type_offset = 0
        if kind in (D.UT_TYPE, D.UT_SPLIT_TYPE):
            signature, type_offset = unsigned(data, at, 8), unsigned(data, at + 8, offset_size)
            at += 8 + offset_size
        elif kind in (D.UT_SKELETON, D.UT_SPLIT_COMPILE):
            at += 8
        bounds = base + offset, base + at, base + end
        return Unit(self, *bounds, version, kind, offset_size, abbrev_offset, signature, type_offset)

    @cached_property
    def _starts(self) -> list[int]:
        return [unit.offset for unit in self.units]

    def unit_at(self, offset: int) -> Unit:
        """Return the unit around an offset.

        Raises:
            DwarfError: There is none.
        """
        index = bisect_right(self._starts, offset) - 1
        if index < 0 or offset >= self.units[index].end:
            raise DwarfError("a reference leads nowhere")
        return self.units[index]

    def die_at(self, offset: int) -> Die:
        """Return the entry at an offset. Raises DwarfError."""
        return self.unit_at(offset).at(offset)

    @cached_property
    def _signatures(self) -> dict[int, Unit]:
        return {unit.signature: unit for unit in reversed(self.units) if unit.kind == D.UT_TYPE}

    def signed_type(self, signature: int) -> Die:
        """Return the type of a type unit. Raises DwarfError."""
        unit = self._signatures.get(signature)
        if unit is None:
            raise DwarfError("a type unit is missing")
        return unit.at(unit.offset + unit.type_offset)

    def abbreviations(self, offset: int, offset_size: int, ref_addr: int) -> Abbreviations:
        """Return the abbreviations that start at an offset."""
        key = offset, offset_size, ref_addr
        table = self._tables.get(key)
        if table is None:
            data = self.section(".debug_abbrev")
            if offset > len(data):
                raise DwarfError("its abbreviations are missing")
            table = self._tables[key] = Abbreviations(data, offset, offset_size, ref_addr or offset_size)
        return table

    def laid_out(self, unit: Unit, entries: int) -> None:
        """Take note of a unit that was laid out, and let go of the first ones when there are too many."""
        self._laid_out.append((unit, entries))
        self._entries += entries
        while self._entries > MAX_ENTRIES and len(self._laid_out) > 1:
            oldest, count = self._laid_out.popleft()
            self._entries -= count
            oldest.forget()
