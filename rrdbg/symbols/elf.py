"""The symbols of an ELF image, read straight from `.symtab`."""

from __future__ import annotations

from typing import Any

from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.sections import SHT_SYMTAB, Sections
from rrdbg.symbols.rows import ROW, STT_FUNC, STT_NOTYPE, STT_OBJECT, NamedRows

_KEPT_TYPES = (STT_NOTYPE, STT_OBJECT, STT_FUNC)
_SHN_UNDEF, _SHN_ABS = 0, 0xFFF1
_GLOBAL_POINTER = b"__global_pointer$\0"


class ElfSymbols(NamedRows):
    """The symbols of one ELF image.

    Anything that is not an ELF, or has no symbol table, has no symbols; a damaged one has those that can be read.
    """

    def __init__(self, image: bytes | Sections) -> None:
        self._sections = image if isinstance(image, Sections) else Sections(image)
        table, strings = self._read_tables(self._sections)
        super().__init__(places_of(table, strings), strings)

    def _read_tables(self, elf: Sections) -> tuple[Any, bytes]:
        """Return the symbol rows and the string table."""
        import numpy as np

        empty = np.zeros(0, ROW)
        if elf.problem:
            damaged = "damaged" in elf.problem
            self.problem = elf.problem if damaged else f"{elf.problem}, which could have symbols"
            return empty, b""
        table = next((section for section in elf.headers if section.type == SHT_SYMTAB), None)
        if table is None or table.link >= len(elf.headers):
            self.problem = "it is stripped: there is no symbol table"
            return empty, b""
        try:
            strings = elf.data(elf.headers[table.link])
            data = elf.data(table)
        except DwarfError as error:
            self.problem = f"its symbol table is damaged ({error})"
            return empty, b""
        rows = np.frombuffer(data, ROW, count=len(data) // np.dtype(ROW).itemsize)
        return rows[rows["name"] < len(strings)], strings

    def _same_section(self, first: int, second: int) -> bool:
        """Return whether a symbol without a size goes on to an address."""
        return any(lo <= first < hi and lo <= second < hi for lo, hi in self._sections.allocated)


def places_of(table: Any, strings: bytes) -> Any:
    """Return the rows of a symbol table that are places in the program."""
    import numpy as np

    info = table["info"] & 15
    keep = np.isin(info, _KEPT_TYPES) & (table["shndx"] != _SHN_UNDEF) & (table["name"] != 0)
    # an absolute symbol without a type is a constant of the linker script (a size, a count), not a place
    keep &= ~((table["shndx"] == _SHN_ABS) & (info == STT_NOTYPE))
    table = table[keep]
    if not len(table):
        return table
    # $x, $d and the like mark code and data within a section, .L is the compiler's own
    letters = np.frombuffer(strings + b"\0", "u1")
    first, second = letters[table["name"]], letters[table["name"] + np.uint32(1)]
    keep = (first != 0) & (first != ord("$")) & ~((first == ord(".")) & (second == ord("L")))
    keep &= table["name"] != strings.find(_GLOBAL_POINTER)  # it lies anywhere in the data
    return table[keep]
