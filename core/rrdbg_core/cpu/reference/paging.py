"""Page tables of the reference interpreter, privileged spec chapter 10: a walk for every access, and no TLB.

What a page table says is true from the next access on, whether the guest executes sfence.vma or not.
"""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.cpu.pmp import pmp_allows
from rrdbg_core.cpu.reference.observe import Observed
from rrdbg_core.cpu.reference.state import (
    EXEC,
    FETCH_FAULT,
    FETCH_PAGE_FAULT,
    LOAD_FAULT,
    LOAD_PAGE_FAULT,
    MXR,
    PAGE,
    READ,
    STORE_FAULT,
    STORE_PAGE_FAULT,
    SUM,
    WRITE,
    Trap,
)
from rrdbg_core.isa.csr import MENVCFG_ADUE
from rrdbg_core.isa.plain import sext

LEVELS = {8: 3, 9: 4, 10: 5}
"""Levels of Sv39, Sv48 and Sv57, by satp.MODE."""
PPN = (1 << 44) - 1
V, R, W, X, U, _, A, D = (1 << bit for bit in range(8))
"""Bits of a PTE; the one that is not named, G, means nothing where there is no TLB."""
_RESERVED = 54
"""Bits of a PTE from here on must be 0: there is neither Svnapot nor Svpbmt."""
_PAGE_FAULTS = {READ: LOAD_PAGE_FAULT, WRITE: STORE_PAGE_FAULT, EXEC: FETCH_PAGE_FAULT}
_ACCESS_FAULTS = {READ: LOAD_FAULT, WRITE: STORE_FAULT, EXEC: FETCH_FAULT}


class Paging(Observed):
    """Adds address translation."""

    def _translate(self, address: int, kind: int, priv: int, *, peek: bool = False) -> int:
        """Return the physical address; `peek` leaves the bits A and D alone.

        Raises:
            Trap: A page fault, or an access fault of the walk itself.
        """
        h = self._h
        satp = h[L.SATP]
        if priv == L.PRIV_M or not satp >> 60:
            return address
        levels, page_fault, access_fault = LEVELS[satp >> 60], _PAGE_FAULTS[kind], _ACCESS_FAULTS[kind]
        if sext(address, 12 + 9 * levels) != address:
            raise Trap(page_fault, address)
        table = (satp & PPN) * PAGE
        for level in reversed(range(levels)):
            at = table + 8 * (address >> 12 + 9 * level & 511)
            if not self._in_ram(at, 8) or not pmp_allows(self._regions, at, 8, READ, L.PRIV_S):
                raise Trap(access_fault, address)
            pte = self._peek(at, 8)
            if not pte & V or pte & (R | W) == W or pte >> _RESERVED:
                raise Trap(page_fault, address)
            if pte & (R | X):
                break
            if pte & (U | A | D):
                raise Trap(page_fault, address)
            table = (pte >> 10 & PPN) * PAGE
        else:
            raise Trap(page_fault, address)
        inside = (1 << 9 * level) - 1  # pages of a superpage
        ppn = pte >> 10 & PPN
        if not self._permits(pte, kind, priv) or ppn & inside:
            raise Trap(page_fault, address)
        wanted = A | D if kind == WRITE else A
        if pte & wanted != wanted:
            if not h[L.MENVCFG] & MENVCFG_ADUE:
                raise Trap(page_fault, address)
            if not peek:
                if not pmp_allows(self._regions, at, 8, WRITE, L.PRIV_S):
                    raise Trap(access_fault, address)
                self._set_pte(at, pte, pte | wanted)
                if kind == EXEC:
                    self._aged.append(at)
        return (ppn | address >> 12 & inside) * PAGE + address % PAGE

    def _permits(self, pte: int, kind: int, priv: int) -> bool:
        """Return whether a leaf allows an access."""
        status = self._h[L.MSTATUS]
        if priv == L.PRIV_U and not pte & U:
            return False
        if priv == L.PRIV_S and pte & U and (kind == EXEC or not status & SUM):
            return False
        needed = {READ: R | X if status & MXR else R, WRITE: W, EXEC: X}[kind]
        return bool(pte & needed)

    def _set_pte(self, at: int, old: int, pte: int) -> None:
        """Write back a PTE with new bits A or D."""
        self._ram[at - RAM_BASE : at - RAM_BASE + 8] = pte.to_bytes(8, "little")
        self._accessed(WRITE, at, 8, old, pte)

    def _grow_young(self) -> None:
        """Take back the bits A that a fetch has set: a breakpoint came before its step."""
        for at in self._aged:
            pte = self._peek(at, 8) & ~A
            self._ram[at - RAM_BASE : at - RAM_BASE + 8] = pte.to_bytes(8, "little")

    # -- code, as the debugger and semihosting look at it: nothing happens to the guest --------------------------------

    def _code_half(self, address: int) -> int | None:
        """Return a halfword of code at the present privilege, or None if there is none."""
        try:
            place = self._translate(address, EXEC, self._h[L.PRIV], peek=True)
        except Trap:
            return None
        return self._peek(place, 2) if self._in_ram(place, 2) else None

    def _code_word(self, address: int) -> int | None:
        """Return a word of code, likewise."""
        low, high = self._code_half(address), self._code_half(address + 2)
        return None if low is None or high is None else low | high << 16
