"""Debugging information entries and their attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, text, uleb
from rrdbg.symbols.dwarf.forms import (
    ADDRX,
    BLOCKS,
    INTEGERS,
    LOCAL_REFS,
    OFFSET_CLASSES,
    STRX,
    Abbreviation,
    RawValue,
    read,
)

if TYPE_CHECKING:
    from rrdbg.symbols.dwarf.units import Unit


class Die:
    """A debugging information entry."""

    __slots__ = ("_at", "_raw", "abbreviation", "number", "offset", "unit")

    def __init__(self, unit: Unit, number: int, offset: int, at: int, abbreviation: Abbreviation) -> None:
        self.unit = unit
        """The unit it is in."""
        self.number = number
        """Its number in the unit."""
        self.offset = offset
        """Where it starts in the section."""
        self.abbreviation = abbreviation
        """Its shape."""
        self._at = at
        self._raw: dict[int, tuple[int, RawValue]] | None = None

    @property
    def tag(self) -> int:
        """What it describes."""
        return self.abbreviation.tag

    def has(self, name: int) -> bool:
        """Return whether it has an attribute."""
        return name in self.abbreviation.names

    def raw(self, name: int) -> tuple[int, RawValue] | None:
        """Return an attribute's form and value as they stand."""
        if name not in self.abbreviation.names:
            return None
        if self._raw is None:
            self._raw = self._decode()
        return self._raw.get(name)

    def _decode(self) -> dict[int, tuple[int, RawValue]]:
        unit, data, at = self.unit, self.unit.data, self._at
        found: dict[int, tuple[int, RawValue]] = {}
        for name, form, constant in self.abbreviation.attributes:
            if form == D.FORM_IMPLICIT_CONST:
                found.setdefault(name, (form, constant))
                continue
            if form == D.FORM_INDIRECT:
                form, at = uleb(data, at)
                if form in (D.FORM_INDIRECT, D.FORM_IMPLICIT_CONST):
                    raise DwarfError("a form is damaged")
            value, at = read(data, at, form, unit)
            found.setdefault(name, (form, value))
        return found

    # attributes by class

    def text(self, name: int) -> str:
        """Return a text; empty when there is none."""
        raw = self.raw(name)
        if raw is None:
            return ""
        form, value = raw
        dwarf = self.unit.dwarf
        if isinstance(value, bytes):
            return text(value + b"\0", 0) if form == D.FORM_STRING else ""
        if form == D.FORM_STRP:
            return text(dwarf.section(".debug_str"), value)
        if form == D.FORM_LINE_STRP:
            return text(dwarf.section(".debug_line_str"), value)
        if form in STRX:
            return self.unit.indexed_text(value)
        if form in (D.FORM_STRP_SUP, D.FORM_GNU_STRP_ALT):
            raise DwarfError("it refers to a supplementary file (dwz), which is not supported")
        return ""

    def integer(self, name: int) -> int | None:
        """Return a constant, signed where its form says so; None: there is none, or it is not a constant."""
        raw = self.raw(name)
        if raw is None or raw[0] not in INTEGERS or not isinstance(raw[1], int):
            return None
        return raw[1]

    def number_of(self, name: int, default: int = 0) -> int:
        """Return a constant that cannot be negative."""
        value = self.integer(name)
        return default if value is None or value < 0 else value

    def flag(self, name: int) -> bool:
        """Return a flag."""
        raw = self.raw(name)
        return raw is not None and bool(raw[1])

    def block(self, name: int) -> bytes | None:
        """Return a block or expression; None: there is none."""
        raw = self.raw(name)
        return raw[1] if raw is not None and raw[0] in BLOCKS and isinstance(raw[1], bytes) else None

    def address(self, name: int) -> int | None:
        """Return an address; None: there is none."""
        raw = self.raw(name)
        if raw is None or not isinstance(raw[1], int):
            return None
        if raw[0] == D.FORM_ADDR:
            return raw[1]
        return self.unit.indexed_address(raw[1]) if raw[0] in ADDRX else None

    def list_offset(self, name: int) -> tuple[bool, int] | None:
        """Return whether a location or range list is given by its index, and the index or section offset."""
        raw = self.raw(name)
        if raw is None or not isinstance(value := raw[1], int):
            return None
        form = raw[0]
        if form in OFFSET_CLASSES:
            return form != D.FORM_SEC_OFFSET, value
        if form in (D.FORM_DATA4, D.FORM_DATA8) and self.unit.version < 4:
            return False, value
        return None

    def reference(self, name: int) -> Die | None:
        """Return the entry that an attribute refers to; None: there is no such attribute.

        Raises:
            DwarfError: The reference leads nowhere.
        """
        raw = self.raw(name)
        if raw is None or not isinstance(value := raw[1], int):
            return None
        form = raw[0]
        if form in LOCAL_REFS:
            offset = self.unit.offset + value
            if offset == self.offset:
                raise DwarfError("an entry refers to itself")
            return self.unit.at(offset)
        if form == D.FORM_REF_ADDR:
            return self.unit.dwarf.die_at(value)
        if form == D.FORM_REF_SIG8:
            return self.unit.dwarf.signed_type(value)
        if form in (D.FORM_REF_SUP4, D.FORM_REF_SUP8, D.FORM_GNU_REF_ALT):
            raise DwarfError("it refers to a supplementary file (dwz), which is not supported")
        return None

    # the tree

    @property
    def parent(self) -> Die | None:
        """The entry that encloses it."""
        parent = self.unit.layout.parents[self.number]
        return self.unit.die(parent) if parent >= 0 else None

    def children(self) -> Iterator[Die]:
        """Yield its children in their order."""
        if not self.abbreviation.children:
            return
        layout = self.unit.layout
        number, end = self.number + 1, layout.ends[self.number]
        while number < end:
            yield self.unit.die(number)
            number = layout.ends[number]
