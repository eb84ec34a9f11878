"""Decoding into slots, a page at a time, and the breakpoints that slots hold."""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import bytes_at, load1, load2, load4, quotient, sar, store1, u32_at, words_at
from rrdbg_core.cpu.native.blocks import begin, counted, find_begins, is_armed, make_block
from rrdbg_core.cpu.native.caches import flush_decoded, list_entry, tlb_entry
from rrdbg_core.cpu.native.gates import break_stops, first_break
from rrdbg_core.cpu.native.names import (
    BANK,
    BLOCK_CODE,
    BLOCK_HEAD,
    BREAKS,
    CODE,
    CROSSING,
    DEC,
    DECODE,
    DMAP,
    DONE,
    DREV,
    EXEC,
    EXEC_FAULT,
    EXIT_BREAK,
    EXITED,
    FLAGS,
    FMT_AMO,
    FMT_B,
    FMT_CSR,
    FMT_CSRI,
    FMT_I,
    FMT_J,
    FMT_RF,
    FMT_S,
    FMT_SH5,
    FMT_SH6,
    FMT_U,
    HART,
    LINES,
    MACH,
    NO_TAG,
    NOWHERE,
    OFFSET,
    OP_BLOCK,
    OP_BREAK,
    OP_FETCH,
    OP_ILLEGAL,
    OP_UNDECODED,
    PAGE,
    PAGE_MASK,
    RAM,
    RUN,
    RVC,
    STRIDE,
    TLB,
    TRAPPED,
    VARIANTS,
    WATCHED_TLB,
    WRITE_TLB,
    X_BANKS,
    XGEN,
    XTLB,
    U,
)
from rrdbg_core.cpu.native.paging import (
    code_offset,
    forget_writes,
    instruction_at,
    not_found,
    translates,
    walk,
)
from rrdbg_core.cpu.native.pmp import exec_bank, in_ram, pmp
from rrdbg_core.cpu.native.traps import fault
from rrdbg_core.cpu.pipeline import njit


@njit
def decode(c, word):
    """Return the slot of a 32-bit instruction: op | rd << 8 | rs1 << 16 | rs2 << 24 | imm << 32."""
    table = words_at(c, DECODE)
    if word & U(3) != U(3):
        return OP_ILLEGAL
    bucket = ((word >> U(2)) & U(31)) << U(3) | (word >> U(12)) & U(7)
    row = table[bucket]
    while row < table[bucket + U(1)]:
        if word & (table[row] >> U(32)) == table[row] & U(0xFFFFFFFF):
            break
        row += U(2)
    if row >= table[bucket + U(1)]:
        return OP_ILLEGAL
    op = table[row + U(1)] & U(0xFF)
    fmt = table[row + U(1)] >> U(8)
    rd = (word >> U(7)) & U(31)
    if rd == U(0):
        rd = U(L.XD)
    rs1 = (word >> U(15)) & U(31)
    rs2 = (word >> U(20)) & U(31)
    imm = U(0)
    if fmt == FMT_I:
        imm = (word >> U(20) ^ U(0x800)) - U(0x800)
    elif fmt == FMT_SH6:
        imm = (word >> U(20)) & U(63)
    elif fmt == FMT_SH5:
        imm = rs2
    elif fmt == FMT_S:
        imm = (word >> U(25)) << U(5) | (word >> U(7)) & U(31)
        imm = (imm ^ U(0x800)) - U(0x800)
    elif fmt == FMT_B:
        imm = (word >> U(31)) << U(12) | ((word >> U(7)) & U(1)) << U(11)
        imm |= ((word >> U(25)) & U(63)) << U(5) | ((word >> U(8)) & U(15)) << U(1)
        imm = (imm ^ U(0x1000)) - U(0x1000)
    elif fmt == FMT_U:
        imm = word & U(0xFFFFF000)
    elif fmt == FMT_J:
        imm = (word >> U(31)) << U(20) | ((word >> U(12)) & U(255)) << U(12)
        imm |= ((word >> U(20)) & U(1)) << U(11) | ((word >> U(21)) & U(1023)) << U(1)
        imm = (imm ^ U(0x100000)) - U(0x100000)
    elif fmt == FMT_CSR or fmt == FMT_CSRI:  # noqa: SIM109  (numba has no tuples here)
        imm = word >> U(20) | (word >> U(12) & U(7)) << U(12)
    elif fmt == FMT_AMO:
        imm = (word >> U(27)) << U(3) | (word >> U(12)) & U(7)
    elif fmt >= FMT_RF:
        if fmt != FMT_RF and (word & U(0x7000) == U(0x5000) or word & U(0x7000) == U(0x6000)):
            return OP_ILLEGAL  # a reserved rounding mode
        imm = word
    return op | rd << U(8) | rs1 << U(16) | rs2 << U(24) | imm << U(32)


@njit
def decode_word(c, word):
    """Return the slot of an instruction of two bytes or of four; what stands behind one of two does not matter."""
    if word & U(3) == U(3):
        return decode(c, word)
    slot = decode(c, U(u32_at(c, RVC)[word & U(0xFFFF)]))
    return slot & ~U(0xFF) | load1(bytes_at(c, VARIANTS), (slot & U(0xFF)) << U(1))


@njit
def decode_at(c, offset):
    """Return the slot of the instruction at RAM offset `offset`, which lies in RAM as a whole."""
    return decode_word(c, load4(bytes_at(c, RAM), offset))


@njit
def slot_at(c, offset):
    """Return the same, where a jump to within the page is one."""
    slot = decode_at(c, offset)
    if (offset & OFFSET) + sar(slot, U(32)) < PAGE:
        slot = slot & ~U(0xFF) | load1(bytes_at(c, VARIANTS), (slot & U(0xFF)) << U(1) | U(1))
    return slot


@njit
def is_break(c, pc):
    """Return True if a breakpoint is set at `pc`."""
    row = first_break(c, pc)
    return row < words_at(c, MACH)[L.BREAKS] and words_at(c, BREAKS)[row * U(L.BREAK_WORDS)] == pc


@njit
def may_break(c, pc):
    """Return True if the slot of `pc` has to stop for a breakpoint, at this address or at another one of the page."""
    m = words_at(c, MACH)
    if m[L.SUPERVISOR] == U(0):
        return is_break(c, pc)
    rows = words_at(c, BREAKS)
    i = U(0)
    while i < m[L.BREAKS]:
        if (rows[i * U(L.BREAK_WORDS)] ^ pc) & OFFSET == U(0):
            return True
        i += U(1)
    return False


@njit
def offset_of_slot(c, pc, ip):
    """Return the offset in RAM of `pc`, whose decoded slot is number `ip`."""
    return U(u32_at(c, DREV)[quotient(ip, STRIDE)]) << U(12) | pc & OFFSET


@njit
def fetched_from(c, pc):
    """Return the offset in RAM of a halfword to be fetched; NOWHERE if it may not be, see `not_fetched`."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    place = pc
    if translates(h, h[L.PRIV]):
        place = walk(c, pc, EXEC, h[L.PRIV], U(0))
        if place == NOWHERE:
            not_found(c, EXEC, pc)
            return NOWHERE
    if not in_ram(m, place, U(2)) or pmp(c, place, U(2), EXEC, h[L.PRIV]) != U(1):
        fault(c, EXEC_FAULT, pc)
        return NOWHERE
    return place - m[L.RAM_BASE]


@njit
def not_fetched(c):
    """Return how a step ends whose instruction could not be fetched."""
    return EXITED if words_at(c, MACH)[L.ALONE] == U(1) else TRAPPED


@njit
def run_from_scratch(c, pc, slot, offset):
    """Let the next step be `slot`, which is not cached, at `pc`, RAM offset `offset`."""
    if is_break(c, pc):
        slot = OP_BREAK | slot & ~U(0xFF)
    else:
        store1(bytes_at(c, RUN), offset >> U(1), U(1))
    h = words_at(c, HART)
    words_at(c, DEC)[U(0)] = slot
    h[L.CUR_PAGE] = pc
    h[L.CUR_DB] = U(0)
    h[L.CUR_IP] = U(0)


@njit
def decode_uncached(c, pc):
    """Decode the instruction at `pc` for this step only: it crosses a page end, or its page may not be cached."""
    generation = words_at(c, MACH)[L.GENERATION]
    executed = u32_at(c, XGEN)
    ram = bytes_at(c, RAM)
    offset = fetched_from(c, pc)
    if offset == NOWHERE:
        return not_fetched(c)
    word = load2(ram, offset)
    if word & U(3) == U(3):
        other = fetched_from(c, pc + U(2))
        if other == NOWHERE:
            return not_fetched(c)
        word |= load2(ram, other) << U(16)
        executed[other >> U(12)] = np.uint32(generation)
    executed[offset >> U(12)] = np.uint32(generation)
    run_from_scratch(c, pc, decode_word(c, word), offset)
    return DONE


@njit
def known_code(c, pc):
    """Return the first slot of the page that `pc` is executed in, if the exec TLB knows it; else 0."""
    xtlb = words_at(c, XTLB)
    entry = exec_bank(words_at(c, HART)) + tlb_entry(pc)
    return (xtlb[entry + U(1)] - c[DEC]) >> U(3) if xtlb[entry] == pc & PAGE_MASK else U(0)


@njit
def decode_crossing(c, pc):
    """Decode the instruction at `pc`, which crosses a page end, for this step only.

    Both halves are read each time; what they make is kept behind the page's slots.
    """
    here = known_code(c, pc)
    there = known_code(c, pc + U(2))
    if here == U(0) or there == U(0):
        return decode_uncached(c, pc)
    ram = bytes_at(c, RAM)
    offset = offset_of_slot(c, pc, here)
    word = load2(ram, offset) | load2(ram, offset_of_slot(c, pc + U(2), there)) << U(16)
    dec = words_at(c, DEC)
    kept = here + CROSSING
    if dec[kept] != OP_FETCH | word << U(8):
        dec[kept] = OP_FETCH | word << U(8)
        dec[kept + U(1)] = decode_word(c, word)
    run_from_scratch(c, pc, dec[kept + U(1)], offset)
    return DONE


@njit
def fetch(c, pc):
    """Find the decoded page of `pc` and set CUR_PAGE, CUR_DB and CUR_IP."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    m[L.FETCHES] += U(1)
    place = pc
    if translates(h, h[L.PRIV]):
        place = walk(c, pc, EXEC, h[L.PRIV], U(0))
        if place == NOWHERE:
            return not_found(c, EXEC, pc)
    page = (place - m[L.RAM_BASE]) >> U(12)
    if page >= m[L.RAM_PAGES]:
        return fault(c, EXEC_FAULT, pc)
    if pmp(c, place & PAGE_MASK, PAGE, EXEC, h[L.PRIV]) != U(1):
        return decode_uncached(c, pc)
    dmap = u32_at(c, DMAP)
    if U(dmap[page]) == U(0):
        if m[L.POOL_USED] == m[L.POOL_PAGES]:
            flush_decoded(c)
        number = m[L.POOL_USED]
        m[L.POOL_USED] = number + U(1)
        dmap[page] = np.uint32(number)
        u32_at(c, DREV)[number] = np.uint32(page)
        dec = words_at(c, DEC)
        i = U(0)
        while i < STRIDE:
            dec[number * STRIDE + i] = OP_UNDECODED if i < U(2048) else OP_FETCH
            i += U(1)
    u32_at(c, XGEN)[page] = np.uint32(m[L.GENERATION])
    base = U(dmap[page]) * STRIDE
    xtlb = words_at(c, XTLB)
    entry = exec_bank(h) + tlb_entry(pc)
    list_entry(c, X_BANKS + entry)
    xtlb[entry] = pc & PAGE_MASK
    xtlb[entry + U(1)] = c[DEC] + base * U(8)
    h[L.CUR_PAGE] = pc & PAGE_MASK
    h[L.CUR_DB] = base
    h[L.CUR_IP] = base + ((pc & OFFSET) >> U(1))
    return DONE


@njit
def decode_slot(c, pc, ip):
    """Fill the slot of `pc`, the page of which is current."""
    m = words_at(c, MACH)
    m[L.DECODED] += U(1)
    offset = offset_of_slot(c, pc, ip)
    half = load2(bytes_at(c, RAM), offset)
    if pc & OFFSET == U(4094) and half & U(3) == U(3):
        return decode_crossing(c, pc)
    slot = slot_at(c, offset)
    if may_break(c, pc):
        slot = OP_BREAK | slot & ~U(0xFF)
    else:
        store1(bytes_at(c, RUN), offset >> U(1), U(1))
        find_begins(c, ip, slot)
        slot = counted(c, ip, slot)
    words_at(c, DEC)[ip] = slot
    page = offset >> U(12)
    line = (offset & OFFSET) >> U(6)
    size = U(4) if half & U(3) == U(3) else U(2)
    last = ((offset + size - U(1)) & OFFSET) >> U(6)
    words_at(c, LINES)[page] |= U(1) << line | U(1) << last
    flags = bytes_at(c, FLAGS)
    if U(flags[page]) & CODE == U(0):
        # stores to the page must be seen from now on
        flags[page] = np.uint8(U(flags[page]) | CODE)
        if m[L.SUPERVISOR] != U(0):
            forget_writes(c, page)
        tlb = words_at(c, TLB)
        entry = WRITE_TLB + tlb_entry(pc)
        tlb[entry] = NO_TAG
        tlb[entry + BANK] = NO_TAG
        tlb[entry + WATCHED_TLB] = NO_TAG
        tlb[entry + WATCHED_TLB + BANK] = NO_TAG
    h = words_at(c, HART)
    h[L.CUR_PAGE] = pc & PAGE_MASK
    h[L.CUR_DB] = U(u32_at(c, DMAP)[page]) * STRIDE
    h[L.CUR_IP] = ip
    return DONE


@njit
def count_block(c, slot, pc, ip):
    """Make the block that begins at `pc` if it has been run often enough; REAL_SLOT is what stands there."""
    offset = offset_of_slot(c, pc, ip)
    insn = slot_at(c, offset)
    store1(bytes_at(c, RUN), offset >> U(1), U(1))
    words_at(c, HART)[L.REAL_SLOT] = insn
    dec = words_at(c, DEC)
    if slot >> U(8) & U(0xFF) < words_at(c, MACH)[L.BLOCK_AFTER]:
        dec[ip] = slot + U(1 << 8)
    elif make_block(c, ip, insn) == U(0):
        dec[ip] = insn
    return DONE


@njit
def arrive(c, slot, pc, ip):
    """Let a block begin at `pc`, which another one leads to; REAL_SLOT is what stands there."""
    words_at(c, HART)[L.REAL_SLOT] = slot
    begin(c, ip)
    return DONE


@njit
def wake_block(c, slot, pc, ip):
    """Let the block that begins at `pc` be entered again if all of it has been run; REAL_SLOT is what stands there."""
    store1(bytes_at(c, RUN), offset_of_slot(c, pc, ip) >> U(1), U(1))
    head = ((slot >> U(8)) - c[BLOCK_CODE] - BLOCK_HEAD) >> U(3)
    words_at(c, HART)[L.REAL_SLOT] = words_at(c, BLOCK_CODE)[head]
    end = ip + words_at(c, BLOCK_CODE)[head + U(1)]
    dec = words_at(c, DEC)
    at = ip + U(1)
    while at < end:
        if is_armed(dec[at]):
            return DONE
        at += U(1)
    dec[ip] = slot & ~U(0xFF) | OP_BLOCK
    return DONE


@njit
def at_break(c, pc, icount):
    """Stop before the instruction at `pc`, or pass over the breakpoint: REAL_SLOT is what stands there."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    row = first_break(c, pc)
    rows = words_at(c, BREAKS)
    here = row < m[L.BREAKS] and rows[row * U(L.BREAK_WORDS)] == pc
    looks = here and m[L.SKIP_BREAK] != icount + U(1) and m[L.MMIO_STATE] < U(2) and m[L.CALLED] == U(0)
    if looks and break_stops(c, row, pc, icount):
        m[L.STATUS] = EXIT_BREAK
        return EXITED
    # the instruction has been fetched, hence is there
    word = instruction_at(c, pc)
    if here:
        row = row * U(L.BREAK_WORDS)
        if rows[row + U(2)] != word | U(1 << 32):
            rows[row + U(2)] = word | U(1 << 32)
            rows[row + U(3)] = decode_word(c, word)
        h[L.REAL_SLOT] = rows[row + U(3)]
    else:
        h[L.REAL_SLOT] = decode_word(c, word)
    store1(bytes_at(c, RUN), code_offset(c, pc) >> U(1), U(1))
    return DONE


@njit
def beside_region(c, pc, ip):
    """Pass over the entry of a region, which cannot be used now: REAL_SLOT is what stands there."""
    slot = decode_word(c, instruction_at(c, pc))
    if may_break(c, pc):
        slot = OP_BREAK | slot & ~U(0xFF)
    else:
        store1(bytes_at(c, RUN), offset_of_slot(c, pc, ip) >> U(1), U(1))
    words_at(c, HART)[L.REAL_SLOT] = slot
    return DONE


@njit
def started(c, slot, pc, ip):
    """Note that the instruction at `pc`, in an armed slot, is run; REAL_SLOT is what stands there from now on."""
    op = (slot & U(3)) << U(6) | (slot >> U(30) & U(3)) << U(4) | (slot >> U(22) & U(3)) << U(2) | slot >> U(14) & U(3)
    slot = slot & ~U(0xC0C0C0FF) | op
    words_at(c, DEC)[ip] = counted(c, ip, slot)
    words_at(c, HART)[L.REAL_SLOT] = slot
    store1(bytes_at(c, RUN), offset_of_slot(c, pc, ip) >> U(1), U(1))
    return DONE
