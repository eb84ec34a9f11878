"""The software TLBs and the decoded code: all of it may be forgotten at any step."""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import bytes_at, load1, store1, u32_at, words_at
from rrdbg_core.cpu.native.blocks import forget_block, forget_blocks
from rrdbg_core.cpu.native.names import (
    BANK_BITS,
    BLOCK_OF,
    CODE,
    DEC,
    DMAP,
    DREV,
    FLAGS,
    LINES,
    MACH,
    NO_TAG,
    NOWHERE,
    OP_FETCH,
    OP_UNDECODED,
    RAM,
    REGION_CODE,
    STRIDE,
    TLB,
    TLB_LISTED,
    TLB_LISTS,
    U,
)
from rrdbg_core.cpu.pipeline import njit


@njit
def tlb_entry(address):
    """Return the first word, in a bank of a TLB, of the entry that may know the page of `address`."""
    return ((address >> U(12)) & U((1 << L.TLB_BITS) - 1)) << U(1)


@njit
def list_entry(c, entry):
    """Note that an entry of the TLBs is in use, given as its first word; those of a bank that fit into its list."""
    bank = entry >> BANK_BITS
    listed = words_at(c, TLB_LISTS)
    row = bank << U(L.TLB_LIST_BITS)
    count = listed[row]
    if count < TLB_LISTED:
        listed[row + count + U(1)] = entry
    if count <= TLB_LISTED:
        listed[row] = count + U(1)
    words_at(c, MACH)[L.TLB_USED] |= U(1) << bank


@njit
def forget_in_bank(c, bank, page):
    """Forget what a bank of the TLB knows of a page of RAM, given by its number; NOWHERE: all that a bank holds."""
    tlb = words_at(c, TLB)
    listed = words_at(c, TLB_LISTS)
    row = bank << U(L.TLB_LIST_BITS)
    count = listed[row]
    i = U(0)
    if count > TLB_LISTED:
        count = U(1 << L.TLB_BITS)
    while i < count:
        entry = (bank << BANK_BITS) + (i << U(1)) if count > TLB_LISTED else listed[row + i + U(1)]
        if page == NOWHERE or (tlb[entry] + tlb[entry + U(1)]) >> U(12) == page:
            tlb[entry] = NO_TAG
        i += U(1)


@njit
def flush_banks(c, banks):
    """Forget what some banks of the TLBs hold; `banks` as TLB_USED in cpu/layout.py. Returns 0."""
    m = words_at(c, MACH)
    m[L.TRANSLATIONS] += U(1)
    banks &= m[L.TLB_USED]
    m[L.TLB_USED] ^= banks
    bank = U(0)
    while banks >> bank != U(0):
        if (banks >> bank) & U(1) != U(0):
            forget_in_bank(c, bank, NOWHERE)
            words_at(c, TLB_LISTS)[bank << U(L.TLB_LIST_BITS)] = U(0)
        bank += U(1)
    return U(0)


@njit
def flush_tlb(c):
    """Forget every translation; decoded code stays."""
    flush_banks(c, U(L.ALL_BANKS))


@njit
def flush_decoded(c):
    """Forget all decoded code."""
    m = words_at(c, MACH)
    dec = words_at(c, DEC)
    dmap = u32_at(c, DMAP)
    drev = u32_at(c, DREV)
    flags = bytes_at(c, FLAGS)
    lines = words_at(c, LINES)
    used = m[L.POOL_USED]
    m[L.FLUSHES] += U(1)
    i = U(2)
    while i < used:
        page = U(drev[i])
        dmap[page] = np.uint32(U(0))
        flags[page] = np.uint8(U(flags[page]) & ~CODE)
        lines[page] = U(0)
        i += U(1)
    forget_blocks(c, used)
    i = U(0)
    while i < U(2) * STRIDE:
        dec[i] = OP_FETCH
        i += U(1)
    m[L.POOL_USED] = U(2)
    flush_tlb(c)


@njit
def code_stored(c, page, offset, size):
    """Drop the decoded slots that a store to a page with code touches, the halfword before it included."""
    lines = words_at(c, LINES)
    first = offset >> U(6)
    last = (offset + size - U(1)) >> U(6)
    if ((lines[page] >> first) & U(1)) | ((lines[page] >> last) & U(1)) == U(0):
        return
    dec = words_at(c, DEC)
    base = U(u32_at(c, DMAP)[page]) * STRIDE
    regions = bytes_at(c, REGION_CODE)
    block_of = bytes_at(c, BLOCK_OF)
    slot = offset >> U(1)
    if slot > U(0) and load1(bytes_at(c, RAM), (page << U(12)) + (slot << U(1)) - U(2)) & U(3) == U(3):
        forget_block(c, base + slot - U(1))
        dec[base + slot - U(1)] = OP_UNDECODED  # four bytes long
    while slot <= (offset + size - U(1)) >> U(1):
        forget_block(c, base + slot)
        store1(block_of, base + slot, U(0))
        dec[base + slot] = OP_UNDECODED
        if load1(regions, (page << U(11)) + slot) != U(0):
            words_at(c, MACH)[L.STALE] = page + U(1)
        slot += U(1)
