"""Programs of U mode, and the address spaces that hold their code."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import NamedTuple

import numpy as np
from rrdbg_core.cpu.addresses import LEVELS, Read, leaf_of
from rrdbg_core.cpu.memory import PAGE_BYTES

from rrdbg.symbols.dwarf.data import DwarfError
from rrdbg.symbols.dwarf.sections import SHF_EXECINSTR, SHT_NOBITS
from rrdbg.symbols.table import Part

MAX_PAGES = 1 << 14
"""Pages of code of an address space that are looked at."""
MIN_BYTES = 8
"""Bytes of code that have to be the same; less may be so by accident."""
_V, _R, _X, _U = 1, 2, 8, 16
_PPN = (1 << 44) - 1
_ET_DYN = b"\3\0"


class UserPage(NamedTuple):
    """A page of code that U mode may execute."""

    address: int
    """Its virtual address."""
    place: int
    """Its physical address; of a superpage that of its first page."""


def user_pages(space: int, read: Read) -> list[UserPage]:
    """Return the pages of code of U mode in an address space, ascending; of each superpage the first."""
    found: list[UserPage] = []

    def walk(table: int, level: int, start: int) -> None:
        words = np.frombuffer(read(table, PAGE_BYTES), "<u8")
        words = words[: 256 if level == LEVELS[space >> 60] - 1 else 512]  # programs live in the lower half
        for index in np.flatnonzero(words & np.uint64(_V)).tolist():
            if len(found) >= MAX_PAGES:
                return
            pte, address = int(words[index]), start + (index << 12 + 9 * level)
            place = (pte >> 10 & _PPN) * PAGE_BYTES
            if pte & (_R | _X):
                if pte & (_X | _U) == _X | _U:
                    found.append(UserPage(address, place))
            elif level:
                walk(place, level - 1, address)

    walk((space & _PPN) * PAGE_BYTES, LEVELS[space >> 60] - 1, 0)
    return found


class Program:
    """A program that a kernel loads.

    Args:
        part: Its file, where it says itself that it belongs.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._is_movable = not part.bias and part.sections.image[16:18] == _ET_DYN
        self._known: dict[int, tuple[int, int]] = {}  # by space: a page in which its code was found, and the bias

    @cached_property
    def code(self) -> list[tuple[int, bytes]]:
        """Its sections of code: address and bytes. Files of symbols alone have none."""
        found = []
        for section in self._part.sections.headers:
            if section.flags & SHF_EXECINSTR and section.type != SHT_NOBITS:
                try:
                    data = self._part.sections.data(section)
                except DwarfError:
                    continue
                found.append((section.address + self._part.bias, data))
        return found

    def still_at(self, space: int, read: Read) -> int | None:
        """Return how far it was loaded from its own addresses, if that is where it was found before."""
        page, bias = self._known.get(space, (0, 0))
        leaf = leaf_of(space, page, read) if page else None
        if leaf is None or not leaf.is_user:
            return None
        place = leaf.start + page % leaf.size
        return bias if self._is_in(UserPage(page, place), bias, read) else None

    def find(self, space: int, pages: list[UserPage], read: Read) -> int | None:
        """Return how far it was loaded from its own addresses; None: its code is not in an address space."""
        self._known.pop(space, None)
        for page in pages:
            for shift in self._shifts(page, read) if self._is_movable else (0,):
                if self._is_in(page, self._part.bias + shift, read):
                    self._known[space] = page.address, self._part.bias + shift
                    return self._part.bias + shift
        return None

    def _shifts(self, page: UserPage, read: Read) -> list[int]:
        """Return how far a program that can be moved may have been, by what a page holds."""
        data = read(page.place, PAGE_BYTES)
        return [
            page.address - own
            for (lo, hi), by_code in self._pages.items()
            for own in by_code.get(data[lo:hi], ())
            if page.address >= own
        ]

    @cached_property
    def _pages(self) -> dict[tuple[int, int], dict[bytes, list[int]]]:
        """Where code lies in pages: by first offset and the one behind it, and by the bytes: addresses of the pages."""
        found: dict[tuple[int, int], dict[bytes, list[int]]] = defaultdict(lambda: defaultdict(list))
        for address, data in self.code:
            for own in range(address & -PAGE_BYTES, address + len(data), PAGE_BYTES):
                lo, hi = max(address - own, 0), min(address + len(data) - own, PAGE_BYTES)
                found[lo, hi][data[own + lo - address : own + hi - address]].append(own)
        return found

    def _is_in(self, page: UserPage, bias: int, read: Read) -> bool:
        """Return whether a page holds the code that is there if the program was loaded so far from its addresses."""
        own = page.address - (bias - self._part.bias)
        for address, data in self.code:
            lo, hi = max(address, own), min(address + len(data), own + PAGE_BYTES)
            if hi - lo >= min(MIN_BYTES, len(data)) > 0:
                there = data[lo - address : hi - address]
                if any(there) and read(page.place + lo - own, hi - lo) == there:
                    return True
        return False
