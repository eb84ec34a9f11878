"""Physical memory protection, privileged spec 3.7, and which privilege and memory an access is for."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import words_at
from rrdbg_core.cpu.native.caches import flush_tlb
from rrdbg_core.cpu.native.names import BANK, HART, MPRV, S_BANKS, SUM, U
from rrdbg_core.cpu.pipeline import njit


@njit
def pmp(c, address, size, kind, priv):
    """Return 1 if `size` bytes may be accessed, 0 if not, 2 if only some of them may or entries differ.

    The lowest-numbered entry that matches any byte decides, and must match all of them.
    """
    h = words_at(c, HART)
    last = address + size - U(1)
    previous = U(0)
    i = U(0)
    while i < U(16):
        cfg = h[U(L.PMPCFG) + i]
        entry = h[U(L.PMPADDR) + i]
        mode = (cfg >> U(3)) & U(3)
        low = U(0)
        high = U(0)  # last byte
        if mode == U(1):
            low = previous << U(2)
            high = (entry << U(2)) - U(1)
            if entry <= previous:
                mode = U(0)
        elif mode == U(2):
            low = entry << U(2)
            high = low + U(3)
        elif mode == U(3):
            span = entry ^ (entry + U(1))  # ones up to and with the lowest zero
            low = (entry & ~span) << U(2)
            high = low + (span << U(2)) + U(3)
            if span >> U(61) != U(0):
                high = ~U(0)
        previous = entry
        if mode != U(0) and address <= high and last >= low:
            if address < low or last > high:
                return U(2)
            if priv == U(L.PRIV_M) and cfg & U(0x80) == U(0):
                return U(1)
            return U(1) if cfg & kind == kind else U(0)
        i += U(1)
    return U(1) if priv == U(L.PRIV_M) else U(0)


@njit
def data_priv(h):
    """Return the privilege of loads and stores: MPRV lends that of MPP."""
    if h[L.MSTATUS] & MPRV != U(0):
        return (h[L.MSTATUS] >> U(11)) & U(3)
    return h[L.PRIV]


@njit
def in_ram(m, address, size):
    """Return True if all `size` bytes are RAM."""
    offset = address - m[L.RAM_BASE]
    return offset < m[L.RAM_PAGES] << U(12) and offset + size <= m[L.RAM_PAGES] << U(12)


@njit
def pmp_write(c, number, value):
    """Write pmpcfg or pmpaddr; locked entries ignore it."""
    h = words_at(c, HART)
    if number >= U(0x3B0):
        entry = number & U(15)
        locked = h[U(L.PMPCFG) + entry] & U(0x80) != U(0)
        if entry < U(15):
            above = h[U(L.PMPCFG) + entry + U(1)]
            locked = locked or above & U(0x98) == U(0x88)  # the end of a locked TOR region
        if not locked:
            h[U(L.PMPADDR) + entry] = value & U((1 << 54) - 1)
    else:
        i = U(0)
        while i < U(8):
            entry = U(L.PMPCFG) + (number - U(0x3A0)) * U(4) + i
            if h[entry] & U(0x80) == U(0):
                cfg = (value >> (i << U(3))) & U(0x9F)
                if cfg & U(1) == U(0):
                    cfg &= ~U(2)  # W without R is reserved
                h[entry] = cfg
            i += U(1)
    flush_tlb(c)


@njit
def tlb_bank(h):
    """Return the first word of the TLB bank of loads and stores."""
    priv = data_priv(h)
    if priv == U(L.PRIV_M):
        return BANK
    if priv == U(L.PRIV_U):
        return U(0)
    return S_BANKS if h[L.MSTATUS] & SUM == U(0) else S_BANKS + BANK


@njit
def exec_bank(h):
    """Return the first word of the exec TLB's bank."""
    priv = h[L.PRIV]
    if priv == U(L.PRIV_M):
        return BANK
    return U(0) if priv == U(L.PRIV_U) else U(2) * BANK
