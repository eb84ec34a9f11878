"""Source lines: the DWARF line tables of an image as sorted arrays."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from rrdbg.symbols.escape import describe, harmless

Row = tuple[int, str, int, bool]
"""Address, file, line (0 ends a sequence), and whether a statement starts there."""


@dataclass(frozen=True, slots=True)
class Line:
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


class LineTable:
    """Address to source line and back, for one ELF image. No debug information: an empty table."""

    def __init__(self, image: bytes) -> None:
        self._starts: list[int] = []
        self._rows: list[tuple[str, int, bool]] = []  # file, line, statement; line 0 ends a sequence
        self._repeated: set[int] = set()
        self.directories: dict[str, str] = {}
        """The source files, each with the directory it was compiled in, which may be empty."""
        self.problem = ""
        """Why there are no lines, or fewer than there were, in half a sentence; empty when all is well."""
        rows = sorted(self._read_rows(image), key=lambda row: (row[0], row[2] != 0))
        for address, file, line, statement in rows:
            if self._starts and self._starts[-1] == address:
                before_file, before_line, before_statement = self._rows[-1]
                if line and before_line and file == before_file:
                    self._repeated.add(address)
                # the last row counts, but one where a statement starts goes before one where none does, as in gdb
                if line and (statement or not before_statement or not before_line):
                    self._rows[-1] = (file, line, statement)
                continue
            self._starts.append(address)
            self._rows.append((file, line, statement))

    def _read_rows(self, image: bytes) -> list[Row]:
        if image[:4] != b"\x7fELF":
            self.problem = "it is not an ELF file, which could have source lines"
            return []
        from elftools.elf.elffile import ELFFile

        rows: list[Row] = []
        self.problem = "it was built without debug information (-g)"
        try:
            elf = ELFFile(io.BytesIO(image))
            if not elf.has_dwarf_info():
                return []
            dwarf = elf.get_dwarf_info()
            for unit in dwarf.iter_CUs():
                program = dwarf.line_program_for_CU(unit)
                if program is not None:
                    top = unit.get_top_DIE().attributes
                    names = _read_program(program, _text(top.get("DW_AT_name")), rows)
                    directory = harmless(_text(top.get("DW_AT_comp_dir")))
                    self.directories.update((name, directory) for name in names if name not in self.directories)
                    self.problem = ""
        except Exception as error:  # whatever the parser stumbles over costs lines, never the trace
            self.problem = f"its debug information is damaged ({describe(error)})"
        return rows

    def at(self, address: int) -> Line | None:
        """Return the row that covers an address."""
        index = bisect_right(self._starts, address) - 1
        return self._line(index) if index >= 0 and self._rows[index][1] else None

    def _line(self, index: int) -> Line:
        file, line, statement = self._rows[index]
        stop = self._starts[index + 1] if index + 1 < len(self._starts) else self._starts[index]
        return Line(self._starts[index], file, line, stop, statement, self._starts[index] in self._repeated)

    def between(self, lo: int, hi: int) -> list[Line]:
        """Return the rows of addresses lo <= a < hi."""
        first = max(bisect_right(self._starts, lo) - 1, 0)
        last = bisect_right(self._starts, hi - 1)
        return [self._line(index) for index in range(first, last) if self._rows[index][1]]

    def addresses(self, file: str, line: int) -> list[int]:
        """Return the first address of a line in each place it was compiled to, ascending.

        `file` may be a base name or the end of a path. A line without code means the next one that has some, as in gdb.
        """

        def matches(name: str) -> bool:
            return name == file or name.endswith("/" + file) or os.path.basename(name) == file

        names = {name for name in {row[0] for row in self._rows} if matches(name)}
        lines = {row[1] for row in self._rows if row[0] in names and row[1] >= line and row[2]}
        if not lines:
            return []
        best = min(lines)
        found: list[int] = []
        previous: tuple[str, int] = ("", 0)
        for start, (name, number, statement) in zip(self._starts, self._rows, strict=True):
            if name in names and number == best and statement and previous != (name, number):
                found.append(start)
            previous = name, number
        return found

    def numbers(self, file: str) -> set[int]:
        """Return the numbers of a file's lines that have code; `file` is a whole name."""
        return {line for name, line, _ in self._rows if name == file and line}

    def knows(self, file: str) -> bool:
        """Return whether any row is of a file."""
        return any(name == file or os.path.basename(name) == file for name in {row[0] for row in self._rows})


def _read_program(program: Any, unit_name: str, rows: list[Row]) -> set[str]:
    """Add the rows of a unit, and return the names of the files in them."""
    names = _file_names(program, unit_name)
    used = set()
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if not (state.line or state.end_sequence):
            continue  # what belongs to no line belongs to the one before, as in gdb
        line = 0 if state.end_sequence else state.line
        name = names.get(state.file, "")
        rows.append((state.address, name, line, bool(state.is_stmt)))
        used.add(name)
    return used - {""}


def _file_names(program: Any, unit_name: str) -> dict[int, str]:
    header = program.header
    version = header["version"]
    directories = (
        [_decode(d) for d in header["include_directory"]]
        if version < 5
        else [_decode(d["DW_LNCT_path"]) for d in header["directories"]]
    )
    names: dict[int, str] = {}
    entries = header["file_entry"] if version < 5 else header["file_names"]
    for index, entry in enumerate(entries):
        if version < 5:
            name, directory = _decode(entry.name), entry.dir_index - 1
        else:
            name, directory = _decode(entry["DW_LNCT_path"]), entry["DW_LNCT_directory_index"] or -1
        if 0 <= directory < len(directories) and not name.startswith("/"):
            name = f"{directories[directory]}/{name}"
        names[index if version >= 5 else index + 1] = harmless(name)
    if unit_name and version < 5:
        names.setdefault(0, harmless(unit_name))
    return names


def _text(attribute: Any) -> str:
    return _decode(attribute.value) if attribute is not None else ""


def _decode(value: bytes | str) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
