"""ELF files made by the tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence


def elf(
    segments: Sequence[tuple[int, bytes, int]],
    *,
    entry: int = 0x8000_0000,
    symbols: Mapping[str, int] | None = None,
    machine: int = 243,
    bits: int = 2,
    endian: int = 1,
    kind: int = 2,
) -> bytes:
    """Return an ELF file.

    Args:
        segments: Physical address, content, and bytes in memory.
        entry: Entry point.
        symbols: A symbol table.
        machine: e_machine.
        bits: EI_CLASS.
        endian: EI_DATA.
        kind: e_type.
    """
    header, programs, body = 64, 56 * len(segments), b""
    table = b""
    for address, data, size in segments:
        offset = header + programs + len(body)
        table += struct.pack("<IIQQQQQQ", 1, 7, offset, address, address, len(data), size, 1)
        body += data
    sections, shoff, shnum = b"", 0, 0
    if symbols:
        strings = b"\0" + b"".join(name.encode() + b"\0" for name in symbols)
        entries, at = bytes(24), 1
        for name, value in symbols.items():
            entries += struct.pack("<IBBHQQ", at, 0x11, 0, 0xFFF1, value, 8)
            at += len(name) + 1
        strings_at = header + programs + len(body)
        body += strings
        entries_at = header + programs + len(body)
        body += entries
        shoff, shnum = header + programs + len(body), 3
        sections = bytes(64)
        sections += struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, entries_at, len(entries), 2, 1, 8, 24)
        sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, strings_at, len(strings), 0, 0, 1, 0)
    ident = b"\x7fELF" + bytes([bits, endian, 1]) + bytes(9)
    fields = (kind, machine, 1, entry, header, shoff, 0, 64, 56, len(segments), 64, shnum, 0)
    return ident + struct.pack("<HHIQQQIHHHHHH", *fields) + table + body + sections
