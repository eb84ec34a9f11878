"""Page tables, privileged spec chapter 10, and how the TLBs keep up with them.

No TLB is guest state: what a page table says is true from the next access on, whether the guest executes sfence.vma or
not. So the lines of RAM that a walk has read PTEs from are marked. A store to one of them whose old PTE was valid
empties the TLBs (which hold nothing that an invalid PTE led to) and the marks with them, and leaves the dispatch loop,
so that the next instruction is fetched anew; sfence.vma itself has nothing left to do. Where a line is known to have
led to one page alone, only that page is forgotten: a kernel that patches its code maps it, page by page, by one PTE.

The bits A and D are set as on QEMU's `virt` (menvcfg.ADUE); entries of the TLBs are made only where they are set, and a
walk that sets them makes no entry wrong.
"""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import bytes_at, load2, load8, sar, store1, store8, u32_at, words_at
from rrdbg_core.cpu.native.caches import code_stored, flush_banks, forget_in_bank, tlb_entry
from rrdbg_core.cpu.native.names import (
    ADUE,
    BANK,
    BREAKS,
    CODE,
    DIRTY,
    DONE,
    EXEC,
    EXEC_FAULT,
    EXEC_PAGE_FAULT,
    EXIT_DRAIN,
    EXITED,
    FLAGS,
    GEN,
    HART,
    JUMPED,
    MACH,
    MXR,
    NO_TAG,
    NOT_M_MODES,
    NOWHERE,
    OFFSET,
    PAGE,
    PAGE_MASK,
    PPN,
    PTE,
    PTE_A,
    PTE_D,
    PTE_LINES,
    PTE_LIST,
    PTE_R,
    PTE_RESERVED,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    RAM,
    READ,
    READ_FAULT,
    READ_PAGE_FAULT,
    REGION_PAGES,
    REGION_PLACES,
    SUM,
    TLB,
    TRAPPED,
    WATCHED_W,
    WRITE,
    WRITE_BANKS,
    WRITE_FAULT,
    WRITE_PAGE_FAULT,
    U,
)
from rrdbg_core.cpu.native.pmp import in_ram, pmp
from rrdbg_core.cpu.native.seen import is_watched, seen
from rrdbg_core.cpu.pipeline import njit

SEVERAL = U(1)
"""Instead of a page, that a line of PTEs has led to: there may be more, or code of regions."""


@njit
def translates(h, priv):
    """Return True if accesses with privilege `priv` are translated."""
    return priv != U(L.PRIV_M) and h[L.SATP] >> U(60) != U(0)


@njit
def begin_translating(c):
    """Set PAGING, which stands for all that page tables have said so far, and DELTA where nothing is translated."""
    h = words_at(c, HART)
    if translates(h, h[L.PRIV]):
        h[L.PAGING] = words_at(c, MACH)[L.TRANSLATIONS] << U(1) | U(1)
    else:
        h[L.PAGING] = U(0)
        h[L.DELTA] = U(0)


# ---- what the TLBs hold ----------------------------------------------------------------------------------------------
@njit
def forget_writes(c, page):
    """Let no store to a page of RAM pass by the write TLB unseen, wherever the page is mapped."""
    used = words_at(c, MACH)[L.TLB_USED]
    bank = U(0)
    while used >> bank != U(0):
        if ((used & WRITE_BANKS) >> bank) & U(1) != U(0):
            forget_in_bank(c, bank, page)
        bank += U(1)


@njit
def owner_entry(offset):
    """Return the word of the machine that may hold the line at RAM offset `offset`."""
    return U(L.PTE_OWNERS) + (((offset >> U(6)) & U(63)) << U(1))


@njit
def mark_pte(c, offset, owner):
    """Note that a translation depends on the PTE at RAM offset `offset`: that of a page, or of SEVERAL."""
    lines = words_at(c, PTE_LINES)
    page = offset >> U(12)
    bit = U(1) << ((offset >> U(6)) & U(63))
    m = words_at(c, MACH)
    entry = owner_entry(offset)
    if lines[page] & bit != U(0):
        if m[entry] == offset & ~U(63) | U(1) and m[entry + U(1)] != owner:
            m[entry + U(1)] = SEVERAL
        return
    m[entry] = offset & ~U(63) | U(1)
    m[entry + U(1)] = owner
    lines[page] |= bit
    flags = bytes_at(c, FLAGS)
    if U(flags[page]) & PTE == U(0):
        flags[page] = np.uint8(U(flags[page]) | PTE)
        u32_at(c, PTE_LIST)[m[L.PTE_PAGES]] = np.uint32(page)
        m[L.PTE_PAGES] += U(1)
        forget_writes(c, page)


@njit
def flush_translations(c):
    """Forget all that page tables said, of which M mode knows nothing, and the marks of their PTEs."""
    m = words_at(c, MACH)
    flush_banks(c, NOT_M_MODES)
    flags = bytes_at(c, FLAGS)
    lines = words_at(c, PTE_LINES)
    pages = u32_at(c, PTE_LIST)
    i = U(0)
    while i < m[L.PTE_PAGES]:
        page = U(pages[i])
        flags[page] = np.uint8(U(flags[page]) & ~PTE)
        lines[page] = U(0)
        i += U(1)
    m[L.PTE_PAGES] = U(0)
    i = U(L.PTE_OWNERS)
    while i < U(L.PTE_OWNERS_END):
        m[i] = U(0)
        i += U(2)


@njit
def forget_page(c, page):
    """Forget what the TLBs know of one page, in whatever mode."""
    tlb = words_at(c, TLB)
    i = tlb_entry(page)
    while i < U(L.TLB_BANKS + L.XTLB_BANKS) * BANK:
        if tlb[i] == page:
            tlb[i] = NO_TAG
        i += BANK


@njit
def forget_pte(c, offset, size):
    """Forget what a PTE has led to that was valid and is stored to: `size` bytes at RAM offset `offset` are."""
    m = words_at(c, MACH)
    m[L.PTE_FLUSHES] += U(1)
    entry = owner_entry(offset)
    one_line = (offset + size - U(1)) & ~U(63) == offset & ~U(63)
    if one_line and m[entry] == offset & ~U(63) | U(1) and m[entry + U(1)] != SEVERAL:
        forget_page(c, m[entry + U(1)])
    else:
        flush_translations(c)


@njit
def holds_pte(c, offset, size):
    """Return True if a store, which lies in one page, changes a valid PTE that the TLBs may know."""
    page = offset >> U(12)
    if U(bytes_at(c, FLAGS)[page]) & PTE == U(0):
        return False
    lines = words_at(c, PTE_LINES)[page]
    last = offset + size - U(1)
    if (lines >> ((offset >> U(6)) & U(63)) | lines >> ((last >> U(6)) & U(63))) & U(1) == U(0):
        return False
    ram = bytes_at(c, RAM)
    return (load8(ram, offset & ~U(7)) | load8(ram, last & ~U(7))) & PTE_V != U(0)


# ---- walking ---------------------------------------------------------------------------------------------------------
@njit
def permits(h, pte, kind, priv):
    """Return True if a leaf allows an access."""
    status = h[L.MSTATUS]
    if priv == U(L.PRIV_U):
        if pte & PTE_U == U(0):
            return False
    elif pte & PTE_U != U(0) and (kind == EXEC or status & SUM == U(0)):
        return False
    if kind == READ:
        return pte & PTE_R != U(0) or (pte & PTE_X != U(0) and status & MXR != U(0))
    if kind == WRITE:
        return pte & PTE_W != U(0)
    return pte & PTE_X != U(0)


@njit
def wants_alone(c, offset, kind):
    """Return True if a step in which the hart writes to the PTE at RAM offset `offset` has to be made by itself.

    So it is where the debugger has to see the write, where the PTE may be code as well, even a region's, and where a
    fetch may lead to a breakpoint: a stop there comes before the step, and the bit A is taken back, see `grow_young`.
    """
    m = words_at(c, MACH)
    if m[L.ALONE] == U(2) or m[L.STEPPING] != U(0):
        return False
    flags = U(bytes_at(c, FLAGS)[offset >> U(12)])
    watched = flags & WATCHED_W != U(0) and is_watched(c, offset + m[L.RAM_BASE], U(8))
    if not watched and flags & CODE == U(0) and (kind != EXEC or m[L.BREAKS] == U(0)):
        return False
    m[L.ALONE] = U(1)
    return True


@njit
def set_pte(c, offset, old, pte):
    """Write back a PTE with new bits A or D."""
    m = words_at(c, MACH)
    store8(bytes_at(c, RAM), offset, pte)
    if U(bytes_at(c, FLAGS)[offset >> U(12)]) & WATCHED_W != U(0):
        # the step is made by itself
        seen(c, WRITE, offset + m[L.RAM_BASE], U(8), old, pte, U(0))
    store1(bytes_at(c, DIRTY), offset >> U(3), U(1))
    page = offset >> U(12)
    u32_at(c, GEN)[page] = np.uint32(words_at(c, MACH)[L.GENERATION])
    if U(bytes_at(c, FLAGS)[page]) & CODE != U(0):
        code_stored(c, page, offset & OFFSET, U(8))


@njit
def grow_young(c):
    """Take back the bits A that a fetch has set: a breakpoint came before its step."""
    m = words_at(c, MACH)
    ram = bytes_at(c, RAM)
    i = U(0)
    while i < m[L.AGED]:
        offset = m[U(L.AGED_AT) + i]
        store8(ram, offset, load8(ram, offset) & ~PTE_A)
        if U(bytes_at(c, FLAGS)[offset >> U(12)]) & CODE != U(0):
            code_stored(c, offset >> U(12), offset & OFFSET, U(8))
        i += U(1)
    if m[L.AGED] != U(0):
        m[L.AGED] = U(0)
        flush_translations(c)


@njit
def walk(c, address, kind, priv, peek):
    """Return the physical address that the page tables give, or NOWHERE: then `not_found` says why.

    Args:
        peek: 1: leave the bits A and D alone, and mark nothing; 2: leave them alone, but mark the PTEs.
    """
    h = words_at(c, HART)
    m = words_at(c, MACH)
    ram = bytes_at(c, RAM)
    m[L.WALKS] += U(1)
    m[L.WALK_FAULT] = U(0)
    satp = h[L.SATP]
    level = (satp >> U(60)) - U(5)  # Sv39 is mode 8 and has three
    unused = U(52) - U(9) * level
    if sar(address << unused, unused) != address:
        return NOWHERE
    table = (satp & PPN) << U(12)
    pte = U(0)
    at = U(0)
    while pte & (PTE_R | PTE_X) == U(0):
        if level == U(0):
            return NOWHERE
        level -= U(1)
        at = table + (((address >> (U(12) + U(9) * level)) & U(511)) << U(3))
        if not in_ram(m, at, U(8)) or pmp(c, at, U(8), READ, U(L.PRIV_S)) != U(1):
            m[L.WALK_FAULT] = U(1)
            return NOWHERE
        at -= m[L.RAM_BASE]
        pte = load8(ram, at)
        if pte & PTE_V == U(0) or pte & (PTE_R | PTE_W) == PTE_W or pte & PTE_RESERVED != U(0):
            return NOWHERE
        if pte & (PTE_R | PTE_X) == U(0) and pte & (PTE_U | PTE_A | PTE_D) != U(0):
            return NOWHERE
        if peek != U(1):
            # regions remember what they have found as long as nothing is forgotten that they depend on
            mark_pte(c, at, address & PAGE_MASK if peek == U(0) else SEVERAL)
        table = ((pte >> U(10)) & PPN) << U(12)
    inside = (U(1) << (U(12) + U(9) * level)) - U(1)  # bytes of a superpage
    if not permits(h, pte, kind, priv) or (table & inside) != U(0):
        return NOWHERE
    wanted = PTE_A | PTE_D if kind == WRITE else PTE_A
    if pte & wanted != wanted:
        if h[L.MENVCFG] & ADUE == U(0):
            return NOWHERE
        if peek == U(0):
            if pmp(c, at + m[L.RAM_BASE], U(8), WRITE, U(L.PRIV_S)) != U(1):
                m[L.WALK_FAULT] = U(1)
                return NOWHERE
            if wants_alone(c, at, kind):
                return NOWHERE
            if kind == EXEC and m[L.AGED] < U(2):
                m[U(L.AGED_AT) + m[L.AGED]] = at
                m[L.AGED] += U(1)
            set_pte(c, at, pte, pte | wanted)
    return table | (address & inside)


@njit
def not_found(c, kind, address):
    """Return how a walk ended that gave nothing: TRAPPED, and the fault is set, or EXITED, to come back alone."""
    m = words_at(c, MACH)
    if m[L.ALONE] == U(1):
        if kind != EXEC:
            m[L.ALONE] = U(3)  # breakpoints at the instruction have been looked at
        m[L.STATUS] = EXIT_DRAIN
        return EXITED
    cause = EXEC_PAGE_FAULT
    if m[L.WALK_FAULT] != U(0):
        cause = EXEC_FAULT
        if kind == READ:
            cause = READ_FAULT
        elif kind == WRITE:
            cause = WRITE_FAULT
    elif kind == READ:
        cause = READ_PAGE_FAULT
    elif kind == WRITE:
        cause = WRITE_PAGE_FAULT
    m[L.TRAP_CAUSE] = cause
    m[L.TRAP_TVAL] = address
    return TRAPPED


# ---- regions ---------------------------------------------------------------------------------------------------------
@njit
def lies_at(c, region, delta):
    """Return True if all pages of a region are mapped `delta` above their places, and its lines hold no breakpoint."""
    m = words_at(c, MACH)
    priv = words_at(c, HART)[L.PRIV]
    pages = words_at(c, REGION_PAGES)
    rows = words_at(c, BREAKS)
    at = region * U(L.REGION_PAGE_WORDS)
    count = pages[at]
    i = U(0)
    while i < count:
        page = pages[at + U(1) + i * U(2)]
        lines = pages[at + U(2) + i * U(2)]
        place = m[L.RAM_BASE] + (page << U(12))
        if walk(c, place + delta, EXEC, priv, U(2)) != place:
            return False
        row = U(0)
        while row < m[L.BREAKS]:
            at_break = rows[row * U(L.BREAK_WORDS)] - delta - place
            if at_break < PAGE and (lines >> (at_break >> U(6))) & U(1) != U(0):
                return False
            row += U(1)
        i += U(1)
    return count != U(0)


@njit
def region_fits(c, region, delta):
    """Return DONE if a region may be entered in paging; remember the answer until translations are forgotten.

    That its pages may be executed is seen by the exec TLB, one by one, as it enters them. That they are mapped as its
    code is made, each as far from its place as the others, does not change as long as their PTEs do not.
    """
    fits = lies_at(c, region, delta)
    places = words_at(c, REGION_PLACES)
    places[region * U(2)] = words_at(c, HART)[L.PAGING]
    places[region * U(2) + U(1)] = delta if fits else delta | U(1)
    return DONE if fits else JUMPED


# ---- code, as the hart sees it: nothing happens to the guest ---------------------------------------------------------
@njit
def code_offset(c, pc):
    """Return the offset in RAM of a halfword of code at the present privilege; NOWHERE if there is none."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    place = pc
    if translates(h, h[L.PRIV]):
        place = walk(c, pc, EXEC, h[L.PRIV], U(1))
    return place - m[L.RAM_BASE] if in_ram(m, place, U(2)) else NOWHERE


@njit
def code_half(c, pc):
    """Return that halfword, or NOWHERE."""
    offset = code_offset(c, pc)
    return load2(bytes_at(c, RAM), offset) if offset != NOWHERE else NOWHERE


@njit
def code_word(c, pc):
    """Return a word of code, or NOWHERE."""
    low = code_half(c, pc)
    high = code_half(c, pc + U(2))
    return NOWHERE if low == NOWHERE or high == NOWHERE else low | high << U(16)


@njit
def instruction_at(c, pc):
    """Return the instruction at `pc`, of two bytes or of four, or NOWHERE."""
    half = code_half(c, pc)
    return half if half & U(3) != U(3) else code_word(c, pc)
