"""ELF files made by the tests: one segment, and a symbol table."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

BASE = 0x8000_0000
FUNC, OBJECT, NOTYPE = 2, 1, 0


@dataclass(frozen=True)
class Sym:
    """A row of the symbol table."""

    name: str
    address: int
    size: int
    kind: int = FUNC
    local: bool = False


def make_elf(code: bytes, symbols: Sequence[Sym] = (), *, base: int = BASE, entry: int | None = None) -> bytes:
    """Return an ELF with `code` at `base`, in a section `.text`; without symbols it is stripped."""
    names = b"\0"
    rows = bytes(24)
    for symbol in sorted(symbols, key=lambda item: not item.local):
        bind = 0 if symbol.local else 1
        rows += struct.pack("<IBBHQQ", len(names), bind << 4 | symbol.kind, 0, 1, symbol.address, symbol.size)
        names += symbol.name.encode("utf-8", "surrogateescape") + b"\0"
    section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    offset = 120
    symtab = offset + len(code)
    strtab = symtab + len(rows)
    shstrtab = strtab + len(names)
    table = shstrtab + len(section_names)
    first_global = 1 + sum(symbol.local for symbol in symbols)
    sections = [
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (1, 1, 6, base, offset, len(code), 0, 0, 4, 0),
        (7, 2, 0, 0, symtab, len(rows), 3, first_global, 8, 24),
        (15, 3, 0, 0, strtab, len(names), 0, 0, 1, 0),
        (23, 3, 0, 0, shstrtab, len(section_names), 0, 0, 1, 0),
    ]
    if not symbols:
        sections = [sections[0], sections[1], sections[4]]
    header = (
        b"\x7fELF\x02\x01\x01" + bytes(9)
        + struct.pack("<HHIQQQI", 2, 243, 1, base if entry is None else entry, 64, table, 0)
        + struct.pack("<HHHHHH", 64, 56, 1, 64, len(sections), len(sections) - 1)
    )  # fmt: skip
    segment = struct.pack("<IIQQQQQQ", 1, 7, offset, base, base, len(code), len(code), 4096)
    packed = b"".join(struct.pack("<IIQQQQIIQQ", *section) for section in sections)
    return header + segment + code + rows + names + section_names + packed
