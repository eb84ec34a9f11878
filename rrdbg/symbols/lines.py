"""Source lines of an image: address to line and back, read unit by unit when asked for."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.dwarf.image import ImageDebug
from rrdbg.symbols.dwarf.lineprogram import LineProgram
from rrdbg.symbols.dwarf.units import Unit

_STATEMENT, _END = 1, 2


class Line(Frozen):
    """A row of the line table."""

    address: int
    """First address of the row."""
    file: str
    """Source file as the compiler was given it."""
    line: int
    """Line, from 1."""
    stop: int = 0
    """Address behind the row: where the next one begins."""
    statement: bool = True
    """Whether a statement starts there: a place to stop at."""
    repeated: bool = False
    """Whether the table has another row of the file in front of it, at the same address."""


class UnitLines:
    """The rows of one unit, ascending; one row for each address, as gdb picks it."""

    def __init__(self, program: LineProgram) -> None:
        self._program = program
        self._starts, self._lines, self._files, self._marks = array("Q"), array("I"), array("I"), bytearray()
        self._repeated: set[int] = set()
        rows = program.rows
        for n in sorted(range(len(rows.addresses)), key=lambda n: (rows.addresses[n], rows.statements[n] != _END)):
            address, line, file, mark = rows.addresses[n], rows.lines[n], rows.files[n], rows.statements[n]
            if not line and mark != _END:
                continue  # what belongs to no line belongs to the one before, as in gdb
            if self._starts and self._starts[-1] == address:
                if line and self._lines[-1] and program.file(file) == program.file(self._files[-1]):
                    self._repeated.add(address)
                # the last row counts, but one where a statement starts goes before one where none does, as in gdb
                if line and (mark == _STATEMENT or self._marks[-1] != _STATEMENT):
                    self._lines[-1], self._files[-1], self._marks[-1] = line, file, mark
                continue
            self._starts.append(address)
            self._lines.append(line)
            self._files.append(file)
            self._marks.append(mark)

    def at(self, address: int) -> Line | None:
        """Return the row that covers an address."""
        index = bisect_right(self._starts, address) - 1
        return self._line(index) if index >= 0 and self._lines[index] else None

    def _line(self, index: int) -> Line:
        start = self._starts[index]
        stop = self._starts[index + 1] if index + 1 < len(self._starts) else start
        file = self._program.file(self._files[index])
        return Line(start, file, self._lines[index], stop, self._marks[index] == _STATEMENT, start in self._repeated)

    def between(self, lo: int, hi: int) -> Iterator[Line]:
        """Yield the rows of addresses lo <= a < hi."""
        first = max(bisect_right(self._starts, lo) - 1, 0)
        last = bisect_right(self._starts, hi - 1)
        for index in range(first, last):
            if self._lines[index] and (self._starts[index] >= lo or index + 1 >= last or self._starts[index + 1] > lo):
                yield self._line(index)


class LineTable:
    """Address to source line and back, for one ELF image. No debug information: an empty table."""

    def __init__(self, image: bytes | ImageDebug) -> None:
        self._debug = image if isinstance(image, ImageDebug) else ImageDebug(image)
        self._units: dict[int, UnitLines | None] = {}

    @property
    def problem(self) -> str:
        """Why there are no lines, or fewer than there were, in half a sentence; empty when all is well."""
        return self._debug.problem

    def _unit(self, unit: Unit) -> UnitLines | None:
        if unit.offset not in self._units:
            program = self._debug.program(unit)
            self._units[unit.offset] = UnitLines(program) if program is not None else None
        return self._units[unit.offset]

    def at(self, address: int) -> Line | None:
        """Return the row that covers an address."""
        for unit in self._debug.by_address.around(address):
            lines = self._unit(unit)
            if lines is not None and (found := lines.at(address)) is not None:
                return found
        return None

    def between(self, lo: int, hi: int) -> list[Line]:
        """Return the rows of addresses lo <= a < hi, ascending."""
        found: dict[int, Line] = {}
        for unit in dict.fromkeys(self._debug.by_address.overlapping(lo, hi)):
            lines = self._unit(unit)
            if lines is not None:
                for line in lines.between(lo, hi):
                    found.setdefault(line.address, line)
        return [found[address] for address in sorted(found)]

    @cached_property
    def _by_file(self) -> dict[str, list[LineProgram]]:
        """The programs that name a file, from their headers alone."""
        found: dict[str, list[LineProgram]] = {}
        for _, program in self._programs:
            for name in dict.fromkeys(program.files):
                found.setdefault(name, []).append(program)
        return found

    @cached_property
    def _programs(self) -> list[tuple[Unit, LineProgram]]:
        if not self._debug.usable:
            return []
        found: dict[int, tuple[Unit, LineProgram]] = {}
        for unit in self._debug.dwarf.units:
            program = self._debug.program(unit)
            if program is not None and program.offset is not None:
                found.setdefault(program.offset, (unit, program))
        return list(found.values())

    @cached_property
    def directories(self) -> dict[str, str]:
        """The source files that the headers name, each with the directory it was compiled in, which may be empty."""
        found: dict[str, str] = {}
        for unit, program in self._programs:
            for name in program.files:
                if name:
                    found.setdefault(name, unit.safe_directory)
        return found

    def addresses(self, file: str, line: int) -> list[int]:
        """Return the addresses at which statements of a line start, ascending.

        `file` may be a base name or the end of a path. A line without code means the next one that has some, as in gdb.
        """
        names = {name for name in self._by_file if _matches(name, file)}
        best: int | None = None
        found: set[int] = set()
        for program in {id(p): p for name in names for p in self._by_file[name]}.values():
            rows = program.rows
            numbers = {number for number, name in enumerate(program.files) if name in names}
            for address, number, row, mark in zip(rows.addresses, rows.files, rows.lines, rows.statements, strict=True):
                if row < line or mark != _STATEMENT or number not in numbers:
                    continue
                if not self._debug.dwarf.is_code(address):
                    continue
                if best is None or row < best:
                    best, found = row, set()
                if row == best:
                    found.add(address)
        return sorted(found)

    def numbers(self, file: str) -> set[int]:
        """Return the numbers of a file's lines that have code; `file` is a whole name."""
        found: set[int] = set()
        for program in self._by_file.get(file, ()):
            rows = program.rows
            numbers = {number for number, name in enumerate(program.files) if name == file}
            found.update(
                line for line, number in zip(rows.lines, rows.files, strict=True) if line and number in numbers
            )
        return found

    def knows(self, file: str) -> bool:
        """Return whether the line tables name a file; it may be a base name."""
        return any(_matches(name, file) for name in self._by_file)


def _matches(name: str, file: str) -> bool:
    return name == file or name.endswith("/" + file) or os.path.basename(name) == file
