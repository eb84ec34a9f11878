"""Line number programs (DWARF 5, section 6.2): one unit's files and rows."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, sleb, text, uleb, unsigned
from rrdbg.symbols.dwarf.forms import STRX, read
from rrdbg.symbols.dwarf.units import Unit
from rrdbg.symbols.escape import harmless

MAX_FILES = 100_000
"""Files and directories of a unit."""

_PATH, _DIRECTORY = 1, 2
_MASK = (1 << 64) - 1


class Rows(Frozen):
    """The rows of one or more programs in the order in which they were written: columns of equal length."""

    addresses: array[int]
    """First address of each row."""
    files: array[int]
    """File number."""
    lines: array[int]
    """Line; 0: no line, or the end of a sequence."""
    statements: bytearray
    """1 where a statement starts, 2 at the end of a sequence, else 0."""


@dataclass(slots=True)
class _Header:
    version: int
    offset_size: int
    minimum: int
    default_statement: bool
    line_base: int
    line_range: int
    opcode_base: int
    lengths: bytes
    files: list[str]
    start: int
    end: int


class LineProgram:
    """The line number program of a unit."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._data = unit.dwarf.section(".debug_line")
        self.offset = unit.stmt_list
        """Where it starts in `.debug_line`; units may share one. None: it has no lines."""
        self._header = self._read_header(self.offset) if self.offset is not None else None

    @property
    def files(self) -> list[str]:
        """Its files' names by number; relative ones start where the compiler ran."""
        return self._header.files if self._header else []

    def file(self, number: int) -> str:
        """Return a file's name, empty when there is no such file."""
        files = self.files
        return files[number] if 0 <= number < len(files) else ""

    def _read_header(self, at: int) -> _Header:
        data = self._data
        length, offset_size = unsigned(data, at, 4), 4
        at += 4
        if length == 0xFFFFFFFF:
            length, offset_size = unsigned(data, at, 8), 8
            at += 8
        end = min(at + length, len(data))
        version = unsigned(data, at, 2)
        at += 2
        if not 2 <= version <= 5:
            raise DwarfError(f"line table version {version} is not supported")
        if version >= 5:
            at += 2  # sizes of addresses and segment selectors
        start = at + offset_size + unsigned(data, at, offset_size)
        at += offset_size
        minimum = unsigned(data, at, 1)
        at += 1 if version < 4 else 2  # operations of a VLIW instruction
        default_statement = unsigned(data, at, 1) != 0
        line_base = (unsigned(data, at + 1, 1) ^ 0x80) - 0x80
        line_range, opcode_base = unsigned(data, at + 2, 1), unsigned(data, at + 3, 1)
        if line_range == 0 or opcode_base == 0:
            raise DwarfError("the header of a line table is damaged")
        at += 4
        lengths = b"\0" + data[at : at + opcode_base - 1]
        at += opcode_base - 1
        header = _Header(
            version,
            offset_size,
            minimum,
            default_statement,
            line_base,
            line_range,
            opcode_base,
            lengths,
            [],
            start,
            end,
        )
        header.files = self._new_files(header, at) if version >= 5 else self._old_files(at)
        return header

    def _old_files(self, at: int) -> list[str]:
        directories: list[str] = []
        files = [self._unit.name]
        data = self._data
        while unsigned(data, at, 1):
            directories.append(text(data, at))
            at = data.index(b"\0", at) + 1
            if len(directories) > MAX_FILES:
                raise DwarfError("a list of directories has no end")
        at += 1
        while unsigned(data, at, 1):
            name = text(data, at)
            at = data.index(b"\0", at) + 1
            directory, at = uleb(data, at)
            _, at = uleb(data, at)
            _, at = uleb(data, at)
            files.append(_join(directories, directory - 1, name))
            if len(files) > MAX_FILES:
                raise DwarfError("a list of files has no end")
        return files

    def _new_files(self, header: _Header, at: int) -> list[str]:
        rows, at = self._entries(header, at)
        directories = [name for name, _ in rows]
        rows, at = self._entries(header, at)
        return [_join(directories, directory or -1, name) for name, directory in rows]

    def _entries(self, header: _Header, at: int) -> tuple[list[tuple[str, int]], int]:
        data = self._data
        formats: list[tuple[int, int]] = []
        count = unsigned(data, at, 1)
        at += 1
        for _ in range(count):
            kind, at = uleb(data, at)
            form, at = uleb(data, at)
            formats.append((kind, form))
        count, at = uleb(data, at)
        if count > MAX_FILES or (count and not formats):
            raise DwarfError("a list of files has no end")
        rows: list[tuple[str, int]] = []
        for _ in range(count):
            name, directory = "", 0
            for kind, form in formats:
                value, at = read(data, at, form, header)
                if kind == _PATH:
                    name = self._text(form, value)
                elif kind == _DIRECTORY and isinstance(value, int):
                    directory = value
            rows.append((name, directory))
        return rows, at

    def _text(self, form: int, value: int | bytes) -> str:
        if isinstance(value, bytes):
            return harmless(value.decode("utf-8", "backslashreplace"))
        if form in STRX:
            return self._unit.indexed_text(value)
        section = ".debug_line_str" if form == D.FORM_LINE_STRP else ".debug_str"
        return text(self._unit.dwarf.section(section), value)

    @cached_property
    def rows(self) -> Rows:
        """Its rows. A damaged program ends early, and its unit says why."""
        rows = Rows(array("Q"), array("I"), array("I"), bytearray())
        if self._header is not None:
            try:
                self._run(self._header, rows)
            except (DwarfError, IndexError, OverflowError) as error:
                reason = str(error) if isinstance(error, DwarfError) else "its line table is cut off"
                self._unit.problem = self._unit.problem or reason
                count = len(rows.statements)  # the last row may be half there
                del rows.addresses[count:], rows.files[count:], rows.lines[count:]
                if count and rows.statements[-1] != 2:
                    rows.lines[-1], rows.statements[-1] = 0, 2
        return rows

    def _run(self, header: _Header, rows: Rows) -> None:
        data, at, end = self._data, header.start, header.end
        minimum, base, line_base, line_range = header.minimum, header.opcode_base, header.line_base, header.line_range
        add_address, add_file, add_line = rows.addresses.append, rows.files.append, rows.lines.append
        add_statement = rows.statements.append
        default = 1 if header.default_statement else 0
        address, file, line, statement = 0, 1, 1, default
        # a row that only tells blocks of the same line apart (by discriminators) is none, as in gdb
        last, told, apart = (0, 0), False, False
        while at < end:
            op = data[at]
            at += 1
            if op >= base:  # special: the most frequent one
                op -= base
                address += op // line_range * minimum
                delta = op % line_range + line_base
                if delta:
                    line += delta
                    apart = told
                if not apart or last != (file, line):
                    add_address(address & _MASK)
                    add_file(file)
                    add_line(line if line > 0 else 0)
                    add_statement(statement)
                last, told = (file, line), False
            elif op == 1:  # copy
                if not apart or last != (file, line):
                    add_address(address & _MASK)
                    add_file(file)
                    add_line(line if line > 0 else 0)
                    add_statement(statement)
                last, told = (file, line), False
            elif op == 2:  # advance_pc
                value, at = uleb(data, at)
                address += value * minimum
            elif op == 3:  # advance_line
                value, at = sleb(data, at)
                if value:
                    line += value
                    apart = told
            elif op == 4:  # set_file
                file, at = uleb(data, at)
            elif op == 6:  # negate_stmt
                statement ^= 1
            elif op == 8:  # const_add_pc
                address += (255 - base) // line_range * minimum
            elif op == 9:  # fixed_advance_pc
                address += unsigned(data, at, 2)
                at += 2
            elif op == 0:
                size, at = uleb(data, at)
                if size == 0:
                    continue
                kind = data[at]
                if kind == 1:  # end_sequence
                    add_address(address & _MASK)
                    add_file(file)
                    add_line(0)
                    add_statement(2)
                    address, file, line, statement = 0, 1, 1, default
                    last, told, apart = (0, 0), False, False
                elif kind == 2:  # set_address
                    address = unsigned(data, at + 1, size - 1)
                elif kind == 4:  # set_discriminator
                    told = uleb(data, at + 1)[0] != 0
                    apart = apart or told
                at += size
            else:  # a column, a mark, or an operation of later versions: by the number of its operands
                for _ in range(header.lengths[op]):
                    _, at = uleb(data, at)


def _join(directories: list[str], index: int, name: str) -> str:
    if 0 <= index < len(directories) and not name.startswith("/"):
        return f"{directories[index]}/{name}"
    return name
