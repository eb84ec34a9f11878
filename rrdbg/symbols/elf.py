"""The symbols of an ELF image as sorted arrays, read straight from `.symtab`.

A kernel has 200,000 symbols: names stay in the string table until one is asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.demangle import answers_to, demangle, is_mangled, last_identifier
from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.sections import SHT_SYMTAB, Sections
from rrdbg.symbols.escape import harmless

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STT_NOTYPE, STT_OBJECT, STT_FUNC = 0, 1, 2
_KINDS = {STT_NOTYPE: "label", STT_OBJECT: "object", STT_FUNC: "function"}
_KEPT_TYPES = (STT_NOTYPE, STT_OBJECT, STT_FUNC)
_SHN_UNDEF, _SHN_ABS = 0, 0xFFF1


class Symbol(Frozen):
    """A named address of an image."""

    name: str
    """Its name, demangled, with control characters escaped."""
    address: int
    """Its virtual address."""
    size: int
    """Bytes; 0 when the image does not say."""
    kind: str
    """"function", "object" or "label"."""
    linkage_name: str = ""
    """Its mangled name; empty when it has none."""


class ElfSymbols:
    """The symbols of one ELF image.

    Anything that is not an ELF, or has no symbol table, has no symbols; a damaged one has those that can be read.
    """

    def __init__(self, image: bytes | Sections) -> None:
        import numpy as np

        self.problem = ""
        """Why there are no symbols, or fewer than there were, in half a sentence; empty when all is well."""
        self._sections = image if isinstance(image, Sections) else Sections(image)
        table, self._strings = self._read_tables(self._sections)
        info = table["info"] & 15
        keep = np.isin(info, _KEPT_TYPES) & (table["shndx"] != _SHN_UNDEF) & (table["name"] != 0)
        # an absolute symbol without a type is a constant of the linker script (a size, a count), not a place
        keep &= ~((table["shndx"] == _SHN_ABS) & (info == STT_NOTYPE))
        table = table[keep]
        # most names start with a letter: only the others are looked at one by one
        first = np.frombuffer(self._strings, "u1")[table["name"]] if len(table) else np.zeros(0, "u1")
        for index in np.flatnonzero((first == ord(".")) | (first == ord("$")) | (first == ord("_"))):
            if not self._is_place(int(table["name"][index])):
                first[index] = 0
        table = table[first != 0]
        # at one address: functions and objects before labels, the largest first, global before local
        rank = np.where((table["info"] & 15) == STT_NOTYPE, 1, 0)
        local = (table["info"] >> 4) == 0
        order = np.lexsort((table["name"], local, -table["size"].astype(np.int64), rank, table["value"]))
        self._table = table[order]
        self._addresses: NDArray[np.uint64] = np.ascontiguousarray(self._table["value"])

    def _read_tables(self, elf: Sections) -> tuple[Any, bytes]:
        """Return the symbol rows and the string table."""
        import numpy as np

        dtype = np.dtype(
            [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("shndx", "<u2"), ("value", "<u8"), ("size", "<u8")]
        )
        empty = np.zeros(0, dtype)
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
        rows = np.frombuffer(data, dtype, count=len(data) // dtype.itemsize)
        return rows[rows["name"] < len(strings)], strings

    def __len__(self) -> int:
        return len(self._table)

    def _is_place(self, offset: int) -> bool:
        start = self._strings[int(offset) : int(offset) + 17]
        # $x, $d and the like mark code and data within a section; the global pointer lies anywhere in the data
        return not start.startswith((b".L", b"$", b"__global_pointer$"))

    def _raw_name(self, index: int) -> str:
        start = int(self._table["name"][index])
        end = self._strings.find(b"\0", start)
        return harmless(self._strings[start : end if end >= 0 else None].decode("utf-8", "backslashreplace"))

    def _symbol(self, index: int) -> Symbol:
        row = self._table[index]
        raw = self._raw_name(index)
        name = demangle(raw)
        kind = _KINDS[int(row["info"]) & 15]
        return Symbol(name, int(row["value"]), int(row["size"]), kind, raw if name != raw else "")

    def around(self, address: int) -> Symbol | None:
        """Return the symbol that contains an address, or the nearest one before it in the same part of the image.

        A symbol with a size ends there; one without goes on to the next symbol.
        """
        import numpy as np

        index = int(np.searchsorted(self._addresses, np.uint64(address), side="right")) - 1
        fallback: Symbol | None = None
        for step in range(8):  # nested and zero-sized symbols: look a few back for one that really contains it
            at = self._first_at(index) if index >= 0 else -1
            if at < 0:
                break
            symbol = self._symbol(at)
            if symbol.address <= address < symbol.address + symbol.size or symbol.address == address:
                return symbol
            if step == 0 and symbol.size == 0:
                fallback = symbol
            index = at - 1
        if fallback is not None and self._same_section(fallback.address, address):
            return fallback
        return None

    def _first_at(self, index: int) -> int:
        import numpy as np

        return int(np.searchsorted(self._addresses, self._addresses[index], side="left"))

    def _same_section(self, first: int, second: int) -> bool:
        return any(lo <= first < hi and lo <= second < hi for lo, hi in self._sections.allocated)

    def _indices(self, name: str) -> list[int]:
        """Return the symbols of a name: as the image has it, or else demangled, with or without parameters."""
        import numpy as np

        needle = name.encode("utf-8", "surrogateescape")
        if not needle or b"\0" in needle:
            return []
        # linkers let names share their tails, so a name may stand at the end of another one
        offsets, at = [], self._strings.find(needle + b"\0")
        while at >= 0:
            offsets.append(at)
            at = self._strings.find(needle + b"\0", at + 1)
        found = [int(index) for index in np.flatnonzero(np.isin(self._table["name"], offsets))] if offsets else []
        if found or not len(self._mangled):
            return found
        part = last_identifier(name)
        return [
            int(index)
            for index in self._mangled
            if part in (raw := self._raw_name(int(index))) and answers_to(demangle(raw), name)
        ]

    @cached_property
    def _mangled(self) -> NDArray[np.int64]:
        """Which symbols have mangled names."""
        import numpy as np

        if not len(self._table):
            return np.zeros(0, np.int64)
        first = np.frombuffer(self._strings, "u1")[self._table["name"]]
        likely = np.flatnonzero(first == ord("_"))
        return np.array([index for index in likely if is_mangled(self._raw_name(int(index)))], np.int64)

    @cached_property
    def _by_name(self) -> tuple[list[str], list[int]]:
        pairs = sorted((demangle(self._raw_name(i)), i) for i in range(len(self._table)))
        return [name for name, _ in pairs], [index for _, index in pairs]

    def named(self, name: str) -> Symbol | None:
        """Return the symbol of a name; a global or typed one before others.

        The name may be mangled, or demangled with or without parameters.
        """
        best: tuple[int, int] | None = None
        for index in self._indices(name):
            info = int(self._table["info"][index])
            score = (info >> 4 != 0) * 2 + (info & 15 != STT_NOTYPE)
            if best is None or score > best[0]:
                best = score, index
        return self._symbol(best[1]) if best else None

    def addresses(self, name: str) -> list[int]:
        """Return the addresses of all symbols of a name, ascending; named as for `named`."""
        return sorted({int(self._table["value"][index]) for index in self._indices(name)})

    def starting_with(self, prefix: str, limit: int) -> list[Symbol]:
        """Return up to `limit` symbols whose names start with `prefix`, by name."""
        names, indices = self._by_name
        at = bisect_left(names, prefix)
        found: list[Symbol] = []
        while at < len(names) and names[at].startswith(prefix) and len(found) < limit:
            found.append(self._symbol(indices[at]))
            at += 1
        return found
