"""The modules that a Linux kernel has loaded, and their symbols: read from its list `modules`, where the guest stands.

struct module (include/linux/module.h) begins with its state, its place in the list and its name. Where in it the
symbols are depends on how the kernel was configured: it is found by what is there, a pointer to a struct mod_kallsyms
(kernel/module/internal.h), which has a table of Elf64_Sym, their number, and the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from rrdbg_core.frozen import Frozen

from rrdbg.symbols.elf import places_of
from rrdbg.symbols.rows import ROW, NamedRows
from rrdbg.symbols.table import Part

Read = Callable[[int, int], bytes]
"""Reads virtual memory, given address and bytes; fewer where nothing is mapped."""
MAX_MODULES = 1024
MAX_SYMBOLS = 1 << 20
_LIST_AT, _NAME_AT, NAME_BYTES = 8, 24, 56
_STRUCT_BYTES = 2048
_UPPER_HALF = 1 << 63
_ROW_BYTES = 24
_LONGEST_NAME = 512
"""Of a symbol: KSYM_NAME_LEN of include/linux/kallsyms.h."""


class Module(Frozen):
    """A module that is loaded."""

    place: int
    """Address of its struct module."""
    name: bytes
    """Its name, filled up with zeros."""
    part: Part
    """Its symbols."""

    def is_loaded(self, read: Read) -> bool:
        """Return whether it is there."""
        return read(self.place + _NAME_AT, NAME_BYTES) == self.name


def modules_of(head: int, read: Read) -> Iterator[tuple[int, bytes]]:
    """Yield the modules in a list: addresses and names."""
    at = _word(read(head, 8))
    for _ in range(MAX_MODULES):
        if at == head or at < _UPPER_HALF:
            return
        name = read(at - _LIST_AT + _NAME_AT, NAME_BYTES)
        if not _is_name(name):
            return
        yield at - _LIST_AT, name
        at = _word(read(at, 8))


def symbols_of(place: int, read: Read) -> NamedRows | None:
    """Return the symbols of a module, given the address of its struct module; None: they are not found."""
    for word in np.frombuffer(read(place, _STRUCT_BYTES).ljust(_STRUCT_BYTES, b"\0"), "<u8").tolist():
        if word < _UPPER_HALF or word % 8:
            continue
        fields = read(word, 24)
        if len(fields) < 24:
            continue
        table, count, names = (int(field) for field in np.frombuffer(fields, "<u8"))
        if not 1 < count <= MAX_SYMBOLS or table < _UPPER_HALF or names < _UPPER_HALF or table % 8:
            continue
        found = _rows(read(table, count * _ROW_BYTES), count, names, read)
        if found is not None:
            return found
    return None


def _rows(data: bytes, count: int, names: int, read: Read) -> NamedRows | None:
    # the first row of a symbol table is empty, and so is the first name
    if len(data) < count * _ROW_BYTES or any(data[:_ROW_BYTES]) or read(names, 1) != b"\0":
        return None
    rows = np.frombuffer(data, ROW)
    strings = read(names, int(rows["name"].max()) + _LONGEST_NAME)
    places = places_of(rows[rows["name"] < len(strings)], strings)
    inside = places[places["value"] >= np.uint64(_UPPER_HALF)]
    return NamedRows(inside, strings) if len(inside) and len(inside) == len(places) else None


def _is_name(name: bytes) -> bool:
    text = name.rstrip(b"\0")
    return bool(text) and text.replace(b"_", b"").replace(b"-", b"").isalnum()


def _word(data: bytes) -> int:
    return int.from_bytes(data, "little") if len(data) == 8 else 0
