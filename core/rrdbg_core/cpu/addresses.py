"""Virtual addresses as a debugger reads them, privileged spec chapter 10: in place, and without a trace of its looking.

An *address space* is what chooses page tables: the mode and the root in satp. ASIDs are no part of it: kernels give the
same process another one when they run out of them. Nothing here asks who may access what, or sets the bits A and D;
`is_fetchable` alone asks as the hart does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.cpu.pmp import LOCKED, pmp_allows, pmp_regions
from rrdbg_core.isa.csr import MENVCFG_ADUE

SPACE = (0xF << 60) | (1 << 44) - 1
"""Bits of satp that are the address space."""
PHYSICAL = 0
"""The space in which addresses are physical."""
LEVELS = {8: 3, 9: 4, 10: 5}
"""Levels of Sv39, Sv48 and Sv57, by satp.MODE."""
_PPN = (1 << 44) - 1
_V, _R, _W, _X, _U, _, _A, _D = (1 << bit for bit in range(8))
_RESERVED = 54
"""Bits of a PTE from here on must be 0."""
_READ, _WRITE, _EXEC = 1, 2, 4

Read = Callable[[int, int], bytes]
"""Reads physical memory, given address and bytes; fewer where there is no RAM."""


class Words(Protocol):
    """Words of a hart, see cpu/layout.py."""

    def __getitem__(self, index: Any, /) -> Any:
        """Return a word, or several."""


class Leaf(NamedTuple):
    """A page-table entry that maps something."""

    at: int
    """Its physical address."""
    pte: int
    """Its content."""
    start: int
    """Physical address of what it maps."""
    size: int
    """Bytes of it: a page, or a superpage."""

    @property
    def is_user(self) -> bool:
        """Whether it maps a page of U mode."""
        return bool(self.pte & _U)


def space_of(hart: Words) -> int:
    """Return the address space in which a hart executes."""
    satp = int(hart[L.SATP])
    return PHYSICAL if int(hart[L.PRIV]) == L.PRIV_M or not satp >> 60 else satp & SPACE


def leaf_of(space: int, address: int, read: Read) -> Leaf | None:
    """Return the entry that maps an address in a space that is not `PHYSICAL`; None where nothing is mapped."""
    found = list(_path(space, address, read))
    if not found:
        return None
    *_, (level, at, pte) = found
    size = PAGE_BYTES << 9 * level
    start = (pte >> 10 & _PPN) * PAGE_BYTES
    return Leaf(at, pte, start, size) if pte & (_R | _X) and not start % size else None


def _path(space: int, address: int, read: Read) -> Iterator[tuple[int, int, int]]:
    """Yield level, physical address and content of the entries that lead to an address; the last one may be a leaf."""
    levels = LEVELS[space >> 60]
    top = 12 + 9 * levels - 1
    if address >> top not in (0, (1 << 64 - top) - 1):
        return
    table = (space & _PPN) * PAGE_BYTES
    for level in reversed(range(levels)):
        at = table + 8 * (address >> 12 + 9 * level & 511)
        data = read(at, 8)
        pte = int.from_bytes(data, "little")
        if len(data) < 8 or not pte & _V or pte & (_R | _W) == _W or pte >> _RESERVED:
            return
        if not pte & (_R | _X) and pte & (_U | _A | _D):
            return
        yield level, at, pte
        if pte & (_R | _X):
            return
        table = (pte >> 10 & _PPN) * PAGE_BYTES


def translate(space: int, address: int, read: Read) -> int | None:
    """Return the physical address of a virtual one; None where nothing is mapped."""
    if space == PHYSICAL:
        return address
    leaf = leaf_of(space, address, read)
    return None if leaf is None else leaf.start + address % leaf.size


def places_of(space: int, address: int, length: int, read: Read) -> list[tuple[int, int]]:
    """Return where bytes lie: physical addresses and lengths, in their order, neighbours joined.

    What follows a byte that is not mapped is left out.
    """
    if space == PHYSICAL:
        return [(address, length)] if length else []
    found: list[tuple[int, int]] = []
    while length > 0 and address < 1 << 64:
        leaf = leaf_of(space, address, read)
        if leaf is None:
            break
        inside = address % leaf.size
        part = min(length, leaf.size - inside)
        place = leaf.start + inside
        if found and sum(found[-1]) == place:
            found[-1] = found[-1][0], found[-1][1] + part
        else:
            found.append((place, part))
        address, length = address + part, length - part
    return found


def read_virtual(space: int, address: int, length: int, read: Read) -> bytes:
    """Read memory of an address space, as far as it is mapped to RAM."""
    parts = []
    for place, size in places_of(space, address, length, read):
        parts.append(read(place, size))
        if len(parts[-1]) < size:
            break
    return b"".join(parts)


def is_fetchable(hart: Words, address: int, read: Read) -> bool:
    """Return whether a hart could fetch the instruction at an address, where `read` reads nothing but RAM."""
    low = _fetched(hart, address, read)
    if low is None or low & 3 != 3:
        return low is not None
    return _fetched(hart, address + 2 & (1 << 64) - 1, read) is not None


def _fetched(hart: Words, address: int, read: Read) -> int | None:
    """Return a halfword as the hart fetches it; None where that traps."""
    priv, space = int(hart[L.PRIV]), space_of(hart)
    if priv == L.PRIV_M and max(hart[L.PMPCFG : L.PMPCFG + 16]) < LOCKED:
        data = read(address, 2)
        return int.from_bytes(data, "little") if len(data) == 2 else None
    regions = pmp_regions([int(hart[index]) for index in range(L.PMPADDR + 16)])
    place = address
    if space != PHYSICAL:
        leaf = leaf_of(space, address, read)
        if leaf is None or not leaf.pte & _X or leaf.is_user != (priv == L.PRIV_U):
            return None
        if not all(pmp_allows(regions, at, 8, _READ, L.PRIV_S) for _, at, _ in _path(space, address, read)):
            return None
        sets_a = not leaf.pte & _A
        if sets_a and not (int(hart[L.MENVCFG]) & MENVCFG_ADUE and pmp_allows(regions, leaf.at, 8, _WRITE, L.PRIV_S)):
            return None
        place = leaf.start + address % leaf.size
    data = read(place, 2)
    if len(data) < 2 or not pmp_allows(regions, place, 2, _EXEC, priv):
        return None
    return int.from_bytes(data, "little")
