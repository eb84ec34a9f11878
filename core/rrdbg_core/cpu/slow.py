"""What is long or rare in the guest CPU: traps, CSRs, PMP, slow memory paths, atomics, decoding.

Each function is compiled by numba into the kernel and called out of line. All values are u64. `c` is the table of
pointers described in cpu/core.py; `left` is the number of steps left, this one excluded, so that the icount of the step
is INNER_LIMIT - left - 1.

A function that can end a step in an unusual way returns how the step ended:

    DONE       as usual: go on behind the instruction
    DONE_OUT   done, but leave the inner loop (a watch was hit, or interrupts must be looked at)
    JUMPED     done, NEXT_PC holds where to go on
    TRAPPED    an exception: TRAP_CAUSE and TRAP_TVAL are set, nothing else changed
    EXITED     not done: EXIT says what the machine has to do first

Shapes: see `Core`. Mutates: everything that the table points to.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import (
    bytes_at,
    load1,
    load2,
    load4,
    load8,
    lts,
    ltu,
    raw_divs,
    raw_divu,
    raw_rems,
    raw_remu,
    sext8,
    sext16,
    sext32,
    store1,
    store2,
    store4,
    store8,
    u32_at,
    words_at,
)
from rrdbg_core.isa.csr import MISA

U = np.uint64

# the table of pointers
HART, MACH, RAM, DEC, DMAP, DREV, TLB, XTLB, FLAGS, GEN, RGEN, XGEN = (U(i) for i in range(12))
LINES, RVC, DECODE, CHECKS, TRAPS, LOG, DIRTY = (U(i) for i in range(12, 19))

# how a step ended
DONE, DONE_OUT, JUMPED, TRAPPED, EXITED = (U(i) for i in range(5))

# why the kernel came back
(
    EXIT_LIMIT,
    EXIT_MMIO_READ,
    EXIT_MMIO_WRITE,
    EXIT_WFI,
    EXIT_BREAK,
    EXIT_WATCH,
    EXIT_SEMIHOST,
    EXIT_TRACKED,
    EXIT_DRAIN,
) = (U(i) for i in range(9))

PAGE = U(4096)
OFFSET = U(4095)
PAGE_MASK = U(0xFFFF_FFFF_FFFF_F000)
STRIDE = U(2056)  # words of a decoded page: 2048 slots and a tail of OP_FETCH
BANK = U(512)  # words of one TLB bank: 256 entries of tag and addend
WRITE_TLB = U(1024)  # the read TLB has two banks (U and M) in front of it
NO_TAG = U(0x800)  # equals no masked address: a tag keeps the page and the bits that alignment forbids

OP_UNDECODED, OP_FETCH, OP_BREAK, OP_ILLEGAL = (U(i) for i in range(4))
FIRST_OP = 4
FETCH_PAGE = STRIDE  # decoded page 1: OP_FETCH only; page 0 is the scratch page

CODE, WATCHED_R, WATCHED_W = U(1), U(2), U(4)  # flags of a RAM page

READ, WRITE, EXEC = U(1), U(2), U(4)  # kinds of access, as in pmpcfg
READ_FAULT, WRITE_FAULT, EXEC_FAULT = U(5), U(7), U(1)
READ_MISALIGNED, WRITE_MISALIGNED = U(4), U(6)

MIE_BIT, MPIE_BIT, MPP, MPRV, TW = U(1 << 3), U(1 << 7), U(3 << 11), U(1 << 17), U(1 << 21)
MSTATUS_WRITABLE = MIE_BIT | MPIE_BIT | MPP | MPRV | TW
UXL = U(2 << 32)
INTERRUPTS = U(0x888)
TIMEBASE_NS = U(100)

FMT_R, FMT_I, FMT_SH6, FMT_SH5, FMT_S, FMT_B, FMT_U, FMT_J, FMT_CSR, FMT_CSRI, FMT_AMO, FMT_N, FMT_F = (
    U(i) for i in range(13)
)


# ---- division, unprivileged spec table "Semantics for division by zero and division overflow" ------------------------
@njit
def divu(a, b):
    if b == U(0):
        return ~U(0)
    return raw_divu(a, b)


@njit
def remu(a, b):
    if b == U(0):
        return a
    return raw_remu(a, b)


@njit
def divs(a, b):
    if b == U(0):
        return ~U(0)
    if b == ~U(0):
        return U(0) - a
    return raw_divs(a, b)


@njit
def rems(a, b):
    if b == U(0):
        return a
    if b == ~U(0):
        return U(0)
    return raw_rems(a, b)


@njit
def orcb(a):
    any_bit = a | (a >> U(4)) & U(0x0F0F0F0F0F0F0F0F)
    any_bit |= (any_bit >> U(2)) & U(0x3333333333333333)
    any_bit |= (any_bit >> U(1)) & U(0x5555555555555555)
    return (any_bit & U(0x0101010101010101)) * U(255)


# ---- caches ----------------------------------------------------------------------------------------------------------
@njit
def flush_tlb(c):
    """Forget every translation; decoded code stays."""
    tlb = words_at(c, TLB)
    i = U(0)
    while i < U(2) * WRITE_TLB:
        tlb[i] = NO_TAG
        i += U(2)
    xtlb = words_at(c, XTLB)
    i = U(0)
    while i < U(2) * BANK:
        xtlb[i] = NO_TAG
        i += U(2)


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
    i = U(2)
    while i < used:
        page = U(drev[i])
        dmap[page] = np.uint32(0)
        flags[page] = np.uint8(U(flags[page]) & ~CODE)
        lines[page] = U(0)
        i += U(1)
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
    slot = offset >> U(1)
    if slot > U(0):
        slot -= U(1)
    while slot <= (offset + size - U(1)) >> U(1):
        dec[base + slot] = OP_UNDECODED
        slot += U(1)


# ---- PMP, privileged spec 3.7 ----------------------------------------------------------------------------------------
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
def tlb_bank(h):
    """Return the first word of the TLB bank of loads and stores."""
    return BANK if data_priv(h) == U(L.PRIV_M) else U(0)


@njit
def in_ram(m, address, size):
    """Return True if all `size` bytes are RAM."""
    offset = address - m[L.RAM_BASE]
    return offset < m[L.RAM_PAGES] << U(12) and offset + size <= m[L.RAM_PAGES] << U(12)


# ---- traps and interrupts, privileged spec 3.1 -----------------------------------------------------------------------
@njit
def fault(c, cause, tval):
    """Say which exception the step ends in."""
    m = words_at(c, MACH)
    m[L.TRAP_CAUSE] = cause
    m[L.TRAP_TVAL] = tval
    return TRAPPED


@njit
def enter_trap(c, pc, icount):
    """Take the trap TRAP_CAUSE at `pc`: this is one step, which retires nothing."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    cause = m[L.TRAP_CAUSE]
    h[L.MEPC] = pc
    h[L.MCAUSE] = cause
    h[L.MTVAL] = m[L.TRAP_TVAL]
    status = h[L.MSTATUS]
    h[L.MSTATUS] = (status & ~(MIE_BIT | MPIE_BIT | MPP)) | ((status & MIE_BIT) << U(4)) | (h[L.PRIV] << U(11))
    h[L.PRIV] = U(L.PRIV_M)
    target = h[L.MTVEC] & ~U(3)
    if h[L.MTVEC] & U(1) != U(0) and cause >> U(63) != U(0):
        target += (cause & U(0xFF)) << U(2)
    h[L.PC] = target
    if h[L.MCOUNTINHIBIT] & U(4) == U(0):
        h[L.MINSTRET] -= U(1)
    rows = m[L.TRAPS]
    log = words_at(c, TRAPS)
    log[rows * U(2)] = icount
    log[rows * U(2) + U(1)] = cause
    m[L.TRAPS] = rows + U(1)


@njit
def pending_interrupt(h):
    """Return the cause of the interrupt to take now, or 0."""
    pending = h[L.MIP] & h[L.MIE]
    if pending == U(0):
        return U(0)
    if h[L.PRIV] == U(L.PRIV_M) and h[L.MSTATUS] & MIE_BIT == U(0):
        return U(0)
    if pending & U(1 << 11) != U(0):
        return U(1 << 63 | 11)
    if pending & U(1 << 3) != U(0):
        return U(1 << 63 | 3)
    return U(1 << 63 | 7)


# ---- decoding --------------------------------------------------------------------------------------------------------
@njit
def decode(c, word, length):
    """Return the slot of a 32-bit instruction: op | rd << 8 | rs1 << 16 | rs2 << 24 | halfwords << 30 | imm << 32."""
    table = words_at(c, DECODE)
    tail = length << U(30)
    if word & U(3) != U(3):
        return OP_ILLEGAL | tail
    bucket = ((word >> U(2)) & U(31)) << U(3) | (word >> U(12)) & U(7)
    row = table[bucket]
    while row < table[bucket + U(1)]:
        if word & (table[row] >> U(32)) == table[row] & U(0xFFFFFFFF):
            break
        row += U(2)
    if row >= table[bucket + U(1)]:
        return OP_ILLEGAL | tail
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
    elif fmt == FMT_CSR or fmt == FMT_CSRI:
        imm = word >> U(20) | (word >> U(12) & U(7)) << U(12)
    elif fmt == FMT_AMO:
        imm = (word >> U(27)) << U(3) | (word >> U(12)) & U(7)
    return op | rd << U(8) | rs1 << U(16) | rs2 << U(24) | tail | imm << U(32)


@njit
def decode_at(c, offset):
    """Return the slot of the instruction at RAM offset `offset`, which lies in RAM as a whole."""
    ram = bytes_at(c, RAM)
    half = load2(ram, offset)
    if half & U(3) != U(3):
        return decode(c, U(u32_at(c, RVC)[half]), U(1))
    return decode(c, load4(ram, offset), U(2))


@njit
def is_break(m, pc):
    """Return True if a breakpoint is set at `pc`."""
    i = U(0)
    while i < m[L.BREAKS]:
        if m[U(L.BREAKS + 1) + i] == pc:
            return True
        i += U(1)
    return False


@njit
def run_from_scratch(c, pc, slot):
    """Let the next step be `slot`, which is not cached, at `pc`."""
    m = words_at(c, MACH)
    words_at(c, DEC)[0] = slot
    h = words_at(c, HART)
    h[L.CUR_PAGE] = pc
    h[L.CUR_DB] = U(0)
    h[L.CUR_IP] = U(0)
    m[L.SLOT] = slot


@njit
def decode_uncached(c, pc):
    """Decode the instruction at `pc` for this step only: it crosses a page end, or PMP cuts its page."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    offset = pc - m[L.RAM_BASE]
    if not in_ram(m, pc, U(2)) or pmp(c, pc, U(2), EXEC, h[L.PRIV]) != U(1):
        return fault(c, EXEC_FAULT, pc)
    half = load2(bytes_at(c, RAM), offset)
    if half & U(3) == U(3) and (not in_ram(m, pc + U(2), U(2)) or pmp(c, pc + U(2), U(2), EXEC, h[L.PRIV]) != U(1)):
        return fault(c, EXEC_FAULT, pc + U(2))
    slot = decode_at(c, offset)
    executed = u32_at(c, XGEN)
    executed[offset >> U(12)] = np.uint32(m[L.GENERATION])
    if half & U(3) == U(3):
        executed[(offset + U(2)) >> U(12)] = np.uint32(m[L.GENERATION])
    if is_break(m, pc):
        slot = OP_BREAK | slot & ~U(0xFF)
    run_from_scratch(c, pc, slot)
    return DONE


@njit
def fetch(c, pc):
    """Find the decoded page of `pc` and set CUR_PAGE, CUR_DB and CUR_IP."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    offset = pc - m[L.RAM_BASE]
    page = offset >> U(12)
    if page >= m[L.RAM_PAGES]:
        return fault(c, EXEC_FAULT, pc)
    if pmp(c, pc & PAGE_MASK, PAGE, EXEC, h[L.PRIV]) != U(1):
        return decode_uncached(c, pc)
    dmap = u32_at(c, DMAP)
    if dmap[page] == np.uint32(0):
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
    bank = BANK if h[L.PRIV] == U(L.PRIV_M) else U(0)
    entry = bank + (((pc >> U(12)) & U(255)) << U(1))
    xtlb[entry] = pc & PAGE_MASK
    xtlb[entry + U(1)] = base
    h[L.CUR_PAGE] = pc & PAGE_MASK
    h[L.CUR_DB] = base
    h[L.CUR_IP] = base + ((pc & OFFSET) >> U(1))
    return DONE


@njit
def decode_slot(c, pc, ip):
    """Fill the slot of `pc`, the page of which is current."""
    m = words_at(c, MACH)
    offset = pc - m[L.RAM_BASE]
    half = load2(bytes_at(c, RAM), offset)
    if pc & OFFSET == U(4094) and half & U(3) == U(3):
        return decode_uncached(c, pc)
    slot = decode_at(c, offset)
    if is_break(m, pc):
        slot = OP_BREAK | slot & ~U(0xFF)
    words_at(c, DEC)[ip] = slot
    page = offset >> U(12)
    line = (offset & OFFSET) >> U(6)
    last = ((offset + ((slot >> U(30)) & U(3)) * U(2) - U(1)) & OFFSET) >> U(6)
    words_at(c, LINES)[page] |= U(1) << line | U(1) << last
    flags = bytes_at(c, FLAGS)
    if U(flags[page]) & CODE == U(0):
        # stores to the page must be seen from now on
        flags[page] = np.uint8(U(flags[page]) | CODE)
        tlb = words_at(c, TLB)
        entry = WRITE_TLB + (((pc >> U(12)) & U(255)) << U(1))
        tlb[entry] = NO_TAG
        tlb[entry + BANK] = NO_TAG
    h = words_at(c, HART)
    h[L.CUR_PAGE] = pc & PAGE_MASK
    h[L.CUR_DB] = U(u32_at(c, DMAP)[page]) * STRIDE
    h[L.CUR_IP] = ip
    return DONE


@njit
def at_break(c, pc, icount):
    """Stop before the instruction at `pc`, or pass over the breakpoint: skipped, or only searched for."""
    m = words_at(c, MACH)
    if m[L.SKIP_BREAK] != icount + U(1) and m[L.MMIO_STATE] < U(2) and m[L.SEMIHOSTED] == U(0):
        if m[L.SEARCH] == U(0):
            m[L.STATUS] = EXIT_BREAK
            return EXITED
        m[L.LAST_HIT] = icount
        m[L.LAST_HIT_INDEX] = U(0)
        m[L.HITS] += U(1)
    # the bytes were fetched before, hence lie in RAM as a whole
    run_from_scratch(c, pc, decode_at(c, pc - m[L.RAM_BASE]))
    return DONE


# ---- loads and stores ------------------------------------------------------------------------------------------------
@njit
def load_ram(ram, offset, size):
    """Return `size` bytes, zero-extended."""
    if size == U(1):
        return load1(ram, offset)
    if size == U(2):
        return load2(ram, offset)
    if size == U(4):
        return load4(ram, offset)
    return load8(ram, offset)


@njit
def store_ram(ram, offset, size, value):
    """Store the low `size` bytes of `value`."""
    if size == U(1):
        store1(ram, offset, value)
    elif size == U(2):
        store2(ram, offset, value)
    elif size == U(4):
        store4(ram, offset, value)
    else:
        store8(ram, offset, value)


@njit
def extend(value, size, signed):
    """Sign-extend a loaded value if it is signed."""
    if signed == U(0) or size == U(8):
        return value
    if size == U(1):
        return sext8(value)
    if size == U(2):
        return sext16(value)
    return sext32(value)


@njit
def log_access(m, kind, address, size, value):
    """Remember one memory access of the step."""
    count = m[L.ACCESS_COUNT]
    if count < U(3):
        row = U(L.ACCESSES) + count * U(3)
        m[row] = kind | size << U(8)
        m[row + U(1)] = address
        m[row + U(2)] = value
        m[L.ACCESS_COUNT] = count + U(1)


@njit
def seen(c, kind, address, size, old, new, left):
    """Look whether an access to a watched page hits a watch, and stop behind the step or remember the hit."""
    m = words_at(c, MACH)
    i = U(0)
    while i < m[L.WATCHES]:
        row = U(L.WATCHES + 1) + i * U(L.WATCH_WORDS)
        start = m[row]
        end = start + m[row + U(1)]
        kinds = m[row + U(2)]
        if address < end and start < address + size:
            hit = False
            if kinds & U(L.WATCH_TRACKED) != U(0):
                if kind == WRITE:
                    m[L.TRACKED_HIT] = U(1)
            elif kind == READ:
                hit = kinds & U(L.WATCH_READ) != U(0)
            elif kinds & U(L.WATCH_WRITE) != U(0):
                hit = True
            elif kinds & U(L.WATCH_CHANGE) != U(0):
                # only bytes inside the watch count
                b = U(0)
                while b < size:
                    inside = address + b >= start and address + b < end
                    if inside and ((old ^ new) >> (b << U(3))) & U(0xFF) != U(0):
                        hit = True
                    b += U(1)
            if hit:
                if m[L.SEARCH] != U(0):
                    m[L.LAST_HIT] = m[L.INNER_LIMIT] - left - U(1)
                    m[L.LAST_HIT_INDEX] = i + U(1)
                    m[L.HITS] += U(1)
                elif m[L.HIT_INDEX] == U(0):
                    m[L.HIT_INDEX] = i + U(1)
                    m[L.HIT_ADDR] = address
                    m[L.HIT_SIZE] = size
                    m[L.HIT_KIND] = kind
                    m[L.HIT_OLD] = old
                    m[L.HIT_NEW] = new
        i += U(1)


@njit
def device_access(c, write, address, size, value):
    """Ask the machine for a device access, or take its answer: DONE, TRAPPED or EXITED."""
    m = words_at(c, MACH)
    state = m[L.MMIO_STATE]
    if state >= U(2):
        m[L.MMIO_STATE] = U(0)
        if state == U(2):
            return DONE
        return fault(c, WRITE_FAULT if write != U(0) else READ_FAULT, address)
    if address & (size - U(1)) != U(0):
        # devices take naturally aligned accesses only
        return fault(c, WRITE_FAULT if write != U(0) else READ_FAULT, address)
    m[L.MMIO_STATE] = U(1)
    m[L.MMIO_ADDR] = address
    m[L.MMIO_SIZE] = size
    m[L.MMIO_WRITE] = write
    m[L.MMIO_VALUE] = value
    m[L.STATUS] = EXIT_MMIO_WRITE if write != U(0) else EXIT_MMIO_READ
    return EXITED


@njit
def check_access(c, address, size, kind):
    """Return DONE if PMP allows the access and it lies in RAM, JUMPED if it may be a device's, else TRAPPED.

    An access that crosses a page is checked in two parts, and the fault names the part.
    """
    h = words_at(c, HART)
    m = words_at(c, MACH)
    cause = WRITE_FAULT if kind == WRITE else READ_FAULT
    priv = data_priv(h)
    first = PAGE - (address & OFFSET)
    if first > size:
        first = size
    if pmp(c, address, first, kind, priv) != U(1):
        return fault(c, cause, address)
    if not in_ram(m, address, first):
        if first < size:
            return fault(c, cause, address)
        return JUMPED
    if first < size:
        rest = address + first
        if pmp(c, rest, size - first, kind, priv) != U(1) or not in_ram(m, rest, size - first):
            return fault(c, cause, rest)
    return DONE


@njit
def slow_load(c, slot, address, size, signed, left):
    """Do a load that missed the TLB."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    rd = (slot >> U(8)) & U(63)
    status = check_access(c, address, size, READ)
    if status == TRAPPED:
        return status
    if status == JUMPED:
        status = device_access(c, U(0), address, size, U(0))
        if status == DONE:
            value = m[L.MMIO_VALUE]
            if m[L.STEPPING] != U(0):
                log_access(m, READ, address, size, value)
            h[rd] = extend(value, size, signed)
            return DONE_OUT  # the device may have changed an interrupt line
        return status
    offset = address - m[L.RAM_BASE]
    value = load_ram(bytes_at(c, RAM), offset, size)
    page = offset >> U(12)
    rgen = u32_at(c, RGEN)
    rgen[page] = np.uint32(m[L.GENERATION])
    last = (offset + size - U(1)) >> U(12)
    rgen[last] = np.uint32(m[L.GENERATION])
    h[rd] = extend(value, size, signed)
    if m[L.STEPPING] != U(0):
        log_access(m, READ, address, size, value)
    flags = bytes_at(c, FLAGS)
    if (U(flags[page]) | U(flags[last])) & WATCHED_R != U(0):
        seen(c, READ, address, size, value, value, left)
        return DONE_OUT if m[L.HIT_INDEX] != U(0) else DONE
    if m[L.STEPPING] == U(0) and pmp(c, address & PAGE_MASK, PAGE, READ, data_priv(h)) == U(1):
        tlb = words_at(c, TLB)
        entry = tlb_bank(h) + (((address >> U(12)) & U(255)) << U(1))
        if U(flags[page]) & WATCHED_R == U(0):
            tlb[entry] = address & PAGE_MASK
            tlb[entry + U(1)] = U(0) - m[L.RAM_BASE]
    return DONE


@njit
def write_ram(c, address, size, value, left):
    """Store to RAM and do what follows from it: dirty page, stale code, watches. Return DONE or DONE_OUT."""
    m = words_at(c, MACH)
    ram = bytes_at(c, RAM)
    offset = address - m[L.RAM_BASE]
    page = offset >> U(12)
    last = (offset + size - U(1)) >> U(12)
    old = load_ram(ram, offset, size)
    store_ram(ram, offset, size, value)
    flags = bytes_at(c, FLAGS)
    written = u32_at(c, GEN)
    dirty = bytes_at(c, DIRTY)
    written[page] = np.uint32(m[L.GENERATION])
    store1(dirty, offset >> U(6), U(1))
    store1(dirty, (offset + size - U(1)) >> U(6), U(1))
    both = U(flags[page])
    first = size
    if last != page:
        written[last] = np.uint32(m[L.GENERATION])
        first = PAGE - (offset & OFFSET)
        both |= U(flags[last])
        if U(flags[last]) & CODE != U(0):
            code_stored(c, last, U(0), size - first)
    if U(flags[page]) & CODE != U(0):
        code_stored(c, page, offset & OFFSET, first)
    if m[L.STEPPING] != U(0):
        log_access(m, WRITE, address, size, load_ram(ram, offset, size))
    if both & WATCHED_W != U(0):
        seen(c, WRITE, address, size, old, load_ram(ram, offset, size), left)
        if m[L.HIT_INDEX] | m[L.TRACKED_HIT] != U(0):
            return DONE_OUT
    return DONE


@njit
def slow_store(c, slot, address, size, left):
    """Do a store that missed the TLB."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    value = h[(slot >> U(24)) & U(63)]
    if size < U(8):
        value &= (U(1) << (size << U(3))) - U(1)
    status = check_access(c, address, size, WRITE)
    if status == TRAPPED:
        return status
    if status == JUMPED:
        status = device_access(c, U(1), address, size, value)
        if status == DONE:
            if m[L.STEPPING] != U(0):
                log_access(m, WRITE, address, size, value)
            return DONE_OUT
        return status
    status = write_ram(c, address, size, value, left)
    page = (address - m[L.RAM_BASE]) >> U(12)
    plain = U(bytes_at(c, FLAGS)[page]) & (CODE | WATCHED_W) == U(0)
    if plain and m[L.STEPPING] == U(0) and pmp(c, address & PAGE_MASK, PAGE, WRITE, data_priv(h)) == U(1):
        tlb = words_at(c, TLB)
        entry = WRITE_TLB + tlb_bank(h) + (((address >> U(12)) & U(255)) << U(1))
        tlb[entry] = address & PAGE_MASK
        tlb[entry + U(1)] = U(0) - m[L.RAM_BASE]
    return status


# ---- atomics, unprivileged spec "A" ----------------------------------------------------------------------------------
@njit
def amo_result(funct5, old, operand):
    """Return what an AMO writes; `old` and `operand` are sign-extended words."""
    if funct5 == U(0b00001):
        return operand
    if funct5 == U(0b00000):
        return old + operand
    if funct5 == U(0b00100):
        return old ^ operand
    if funct5 == U(0b01100):
        return old & operand
    if funct5 == U(0b01000):
        return old | operand
    if funct5 == U(0b10000):
        return operand if lts(operand, old) != U(0) else old
    if funct5 == U(0b10100):
        return operand if lts(old, operand) != U(0) else old
    # sign extension keeps the unsigned order of words
    if funct5 == U(0b11000):
        return operand if ltu(operand, old) != U(0) else old
    return operand if ltu(old, operand) != U(0) else old


@njit
def atomic(c, slot, left):
    """Do LR, SC or an AMO. Devices take none of them."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    rd = (slot >> U(8)) & U(63)
    address = h[(slot >> U(16)) & U(63)]
    operand = h[(slot >> U(24)) & U(63)]
    funct5 = (slot >> U(35)) & U(31)
    size = U(8) if (slot >> U(32)) & U(7) == U(3) else U(4)
    is_lr = funct5 == U(0b00010)
    if address & (size - U(1)) != U(0):
        return fault(c, READ_MISALIGNED if is_lr else WRITE_MISALIGNED, address)
    if is_lr:
        status = check_access(c, address, size, READ)
        if status == JUMPED:
            return fault(c, READ_FAULT, address)
    else:
        status = check_access(c, address, size, WRITE)
        if status == JUMPED:
            return fault(c, WRITE_FAULT, address)
        if status == DONE and funct5 != U(0b00011):
            status = check_access(c, address, size, READ)
            m[L.TRAP_CAUSE] = WRITE_FAULT
    if status == TRAPPED:
        return status
    offset = address - m[L.RAM_BASE]
    page = offset >> U(12)
    old = extend(load_ram(bytes_at(c, RAM), offset, size), size, U(1))
    if funct5 == U(0b00011):
        matches = h[L.RES_VALID] != U(0) and h[L.RES_ADDR] == address
        h[L.RES_VALID] = U(0)
        h[L.RES_ADDR] = U(0)
        h[rd] = U(0) if matches else U(1)
        if not matches:
            return DONE
        return write_ram(c, address, size, operand, left)
    u32_at(c, RGEN)[page] = np.uint32(m[L.GENERATION])
    if m[L.STEPPING] != U(0):
        log_access(m, READ, address, size, old)
    if U(bytes_at(c, FLAGS)[page]) & WATCHED_R != U(0):
        seen(c, READ, address, size, old, old, left)
    status = DONE
    if is_lr:
        h[L.RES_VALID] = U(1)
        h[L.RES_ADDR] = address
    else:
        if size == U(4):
            operand = sext32(operand)
        status = write_ram(c, address, size, amo_result(funct5, old, operand), left)
    h[rd] = old
    return DONE_OUT if m[L.HIT_INDEX] != U(0) else status


# ---- CSRs, privileged spec chapters 2 and 3 --------------------------------------------------------------------------
@njit
def counter(h, offset, inhibit, icount):
    """Return mcycle or minstret as seen by step `icount`."""
    if h[L.MCOUNTINHIBIT] & inhibit != U(0):
        return h[offset]
    return h[offset] + icount


@njit
def set_counter(h, offset, inhibit, value, icount):
    """Set mcycle or minstret: the next step sees `value`."""
    if h[L.MCOUNTINHIBIT] & inhibit != U(0):
        h[offset] = value
    else:
        h[offset] = value - icount - U(1)


@njit
def csr_exists(h, number):
    """Return True if the hart may name the register at all at its privilege."""
    priv = h[L.PRIV]
    if (number >> U(8)) & U(3) > priv:
        return False
    if number >= U(0xC00) and number <= U(0xC1F):
        return priv == U(L.PRIV_M) or (h[L.MCOUNTEREN] >> (number & U(31))) & U(1) != U(0)
    if number >= U(0xB00) and number <= U(0xB1F):
        return number != U(0xB01)
    if number >= U(0x323) and number <= U(0x33F):
        return True
    if number >= U(0x3B0) and number <= U(0x3BF):
        return True
    if number >= U(0x300) and number <= U(0x306):
        return number != U(0x302) and number != U(0x303)
    if number >= U(0x340) and number <= U(0x344):
        return True
    if number >= U(0xF11) and number <= U(0xF15):
        return True
    if number >= U(0x7A0) and number <= U(0x7A3):
        return True
    return number == U(0x30A) or number == U(0x320) or number == U(0x3A0) or number == U(0x3A2)


@njit
def csr_read(c, number, icount):
    """Return the value of a register that exists."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    if number == U(0xC00) or number == U(0xB00):
        return counter(h, L.MCYCLE, U(1), icount)
    if number == U(0xC02) or number == U(0xB02):
        return counter(h, L.MINSTRET, U(4), icount)
    if number == U(0xC01):
        return raw_divu((icount << m[L.SHIFT]) + m[L.WARP_NS], TIMEBASE_NS)
    if number == U(0x300):
        return h[L.MSTATUS] | UXL
    if number == U(0x301):
        return U(MISA)
    if number == U(0x304):
        return h[L.MIE]
    if number == U(0x305):
        return h[L.MTVEC]
    if number == U(0x306):
        return h[L.MCOUNTEREN]
    if number == U(0x30A):
        return h[L.MENVCFG]
    if number == U(0x320):
        return h[L.MCOUNTINHIBIT]
    if number == U(0x340):
        return h[L.MSCRATCH]
    if number == U(0x341):
        return h[L.MEPC]
    if number == U(0x342):
        return h[L.MCAUSE]
    if number == U(0x343):
        return h[L.MTVAL]
    if number == U(0x344):
        return h[L.MIP]
    if number == U(0xF14):
        return h[L.MHARTID]
    if number == U(0x3A0) or number == U(0x3A2):
        value = U(0)
        i = U(0)
        while i < U(8):
            value |= h[U(L.PMPCFG) + (number - U(0x3A0)) * U(4) + i] << (i << U(3))
            i += U(1)
        return value
    if number >= U(0x3B0) and number <= U(0x3BF):
        return h[U(L.PMPADDR) + (number & U(15))]
    return U(0)


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
def csr_write(c, number, value, icount):
    """Write a register that exists; what it does not hold is ignored (WARL)."""
    h = words_at(c, HART)
    if number == U(0x300):
        if (value >> U(11)) & U(3) != U(3):
            value &= ~MPP  # only U and M exist
        h[L.MSTATUS] = value & MSTATUS_WRITABLE
    elif number == U(0x304):
        h[L.MIE] = value & INTERRUPTS
    elif number == U(0x305):
        h[L.MTVEC] = value & ~U(2)
    elif number == U(0x306):
        h[L.MCOUNTEREN] = value & U(0xFFFFFFFF)
    elif number == U(0x30A):
        h[L.MENVCFG] = value & U(1)
    elif number == U(0x320):
        # takes effect at once: this step counts if counting is on after it
        cycle = counter(h, L.MCYCLE, U(1), icount)
        instret = counter(h, L.MINSTRET, U(4), icount)
        h[L.MCOUNTINHIBIT] = value & U(5)
        h[L.MCYCLE] = cycle if value & U(1) != U(0) else cycle - icount
        h[L.MINSTRET] = instret if value & U(4) != U(0) else instret - icount
    elif number == U(0x340):
        h[L.MSCRATCH] = value
    elif number == U(0x341):
        h[L.MEPC] = value & ~U(1)
    elif number == U(0x342):
        h[L.MCAUSE] = value
    elif number == U(0x343):
        h[L.MTVAL] = value
    elif number == U(0xB00):
        set_counter(h, L.MCYCLE, U(1), value, icount)
    elif number == U(0xB02):
        set_counter(h, L.MINSTRET, U(4), value, icount)
    elif number == U(0x3A0) or number == U(0x3A2) or (number >= U(0x3B0) and number <= U(0x3BF)):
        pmp_write(c, number, value)


@njit
def illegal(c, pc):
    """Trap as illegal; mtval holds the instruction's bits."""
    m = words_at(c, MACH)
    offset = pc - m[L.RAM_BASE]
    ram = bytes_at(c, RAM)
    word = load2(ram, offset)
    if word & U(3) == U(3):
        word |= load2(ram, offset + U(2)) << U(16)
    return fault(c, U(2), word)


@njit
def csr(c, slot, pc, left):
    """Do one of the six CSR instructions."""
    h = words_at(c, HART)
    icount = words_at(c, MACH)[L.INNER_LIMIT] - left - U(1)
    number = (slot >> U(32)) & U(0xFFF)
    funct3 = (slot >> U(44)) & U(7)
    rs1 = (slot >> U(16)) & U(63)
    operand = rs1 if funct3 & U(4) != U(0) else h[rs1]
    writes = funct3 & U(3) == U(1) or rs1 != U(0)
    if not csr_exists(h, number) or (writes and number >> U(10) == U(3)):
        return illegal(c, pc)
    old = csr_read(c, number, icount)
    if writes:
        value = operand
        if funct3 & U(3) == U(2):
            value = old | operand
        elif funct3 & U(3) == U(3):
            value = old & ~operand
        csr_write(c, number, value, icount)
    h[(slot >> U(8)) & U(63)] = old
    return DONE_OUT if writes else DONE


@njit
def mret(c, pc):
    """Return from a machine trap."""
    h = words_at(c, HART)
    if h[L.PRIV] != U(L.PRIV_M):
        return illegal(c, pc)
    status = h[L.MSTATUS]
    previous = (status >> U(11)) & U(3)
    h[L.PRIV] = previous
    status = (status & ~(MIE_BIT | MPP)) | ((status >> U(4)) & MIE_BIT) | MPIE_BIT
    if previous != U(L.PRIV_M):
        status &= ~MPRV
    h[L.MSTATUS] = status
    words_at(c, MACH)[L.NEXT_PC] = h[L.MEPC]
    return JUMPED


@njit
def wfi(c, pc):
    """Wait for an interrupt: retire, then stand still until one that is enabled is pending.

    In U mode the instruction is illegal, as on QEMU's harts, which have S mode (privileged spec 3.3.3 allows it).
    """
    h = words_at(c, HART)
    if h[L.PRIV] == U(L.PRIV_U):
        return illegal(c, pc)
    if h[L.MIP] & h[L.MIE] == U(0):
        h[L.WFI] = U(1)
    return DONE_OUT


@njit
def ecall(c):
    """Call the environment."""
    return fault(c, U(8) + words_at(c, HART)[L.PRIV], U(0))


@njit
def ebreak(c, slot, pc):
    """Trap into the debugger, or call the host: the semihosting sequence is slli x0, x0, 0x1f; ebreak; srai x0, x0, 7."""
    m = words_at(c, MACH)
    if m[L.SEMIHOSTED] != U(0):
        m[L.SEMIHOSTED] = U(0)
        return DONE_OUT
    if m[L.SEMIHOSTING] != U(0) and (slot >> U(30)) & U(3) == U(2) and in_ram(m, pc - U(4), U(12)):
        ram = bytes_at(c, RAM)
        offset = pc - m[L.RAM_BASE]
        if load4(ram, offset - U(4)) == U(0x01F01013) and load4(ram, offset + U(4)) == U(0x40705013):
            m[L.STATUS] = EXIT_SEMIHOST
            return EXITED
    return fault(c, U(3), pc)


# ---- what the machine and the debugger see ---------------------------------------------------------------------------
@njit
def mix(a, b):
    """Fold `b` into the hash `a`: multiply and xor-shift, as in splitmix64."""
    a = (a ^ b) * U(0x9E3779B97F4A7C15)
    return a ^ (a >> U(29))


@njit
def check_word(c):
    """Hash pc, registers, privilege, key CSRs and the running hash of what came from devices."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    a = mix(m[L.ACC], m[L.ICOUNT])
    i = U(1)
    while i < U(32):
        a = mix(a, h[i])
        i += U(1)
    a = mix(a, h[L.PC])
    a = mix(a, h[L.PRIV] | h[L.WFI] << U(8))
    a = mix(a, h[L.MSTATUS])
    a = mix(a, h[L.MIP])
    a = mix(a, h[L.MIE])
    a = mix(a, h[L.MEPC])
    a = mix(a, h[L.MCAUSE])
    return mix(a, h[L.MSCRATCH])


@njit
def log_step(c, icount, pc, insn, priv, cause, value):
    """Append one row to the step log."""
    m = words_at(c, MACH)
    log = words_at(c, LOG)
    row = m[L.LOG_ROWS] * U(L.LOG_WORDS)
    log[row] = icount
    log[row + U(1)] = pc
    log[row + U(2)] = insn
    log[row + U(3)] = priv
    log[row + U(4)] = cause
    log[row + U(5)] = value
    log[row + U(6)] = m[L.ACCESS_COUNT]
    i = U(0)
    while i < U(9):
        log[row + U(7) + i] = m[U(L.ACCESSES) + i] if i < m[L.ACCESS_COUNT] * U(3) else U(0)
        i += U(1)
    m[L.LOG_ROWS] += U(1)


CHECK_BUFFER = U(4096)
TRAP_BUFFER = U(8192)
OLD_X = U(400)  # words of the hart array that hold the registers before a step that is looked at
STEP_PC, STEP_INSN, STEP_PRIV, STEP_RD = U(440), U(441), U(442), U(443)
REGISTER_HIT, TRAP_HIT = U(1000), U(2000)  # HIT_INDEX beyond the watches


@njit
def buffers_full(c):
    """Return True if the machine has to empty a buffer before the next step."""
    m = words_at(c, MACH)
    if m[L.CHECKS] >= CHECK_BUFFER or m[L.TRAPS] >= TRAP_BUFFER:
        return True
    return m[L.LOG_LIMIT] != U(0) and m[L.LOG_ROWS] >= m[L.LOG_LIMIT]


@njit
def before_step(c):
    """Remember what `after_step` compares with."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    i = U(0)
    while i < U(32):
        h[OLD_X + i] = h[i]
        i += U(1)
    pc = h[L.PC]
    h[STEP_PC] = pc
    h[STEP_PRIV] = h[L.PRIV]
    h[STEP_INSN] = U(0)
    h[STEP_RD] = U(0)
    if in_ram(m, pc, U(4)):
        offset = pc - m[L.RAM_BASE]
        word = load4(bytes_at(c, RAM), offset)
        h[STEP_INSN] = word if word & U(3) == U(3) else word & U(0xFFFF)
        h[STEP_RD] = (decode_at(c, offset) >> U(8)) & U(63)


@njit
def after_step(c, cause):
    """Log the step, and look for changes of watched registers. `cause` is 0, an interrupt, or an exception + 1."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    icount = m[L.ICOUNT] - U(1)
    if m[L.LOG_LIMIT] != U(0):
        log_step(c, icount, h[STEP_PC], h[STEP_INSN], h[STEP_PRIV], cause, h[h[STEP_RD]])
    mask = m[L.REG_WATCH]
    r = U(1)
    while r < U(32) and mask != U(0):
        if (mask >> r) & U(1) != U(0) and h[r] != h[OLD_X + r]:
            if m[L.SEARCH] != U(0):
                m[L.LAST_HIT] = icount
                m[L.LAST_HIT_INDEX] = REGISTER_HIT + r
                m[L.HITS] += U(1)
            elif m[L.HIT_INDEX] == U(0):
                m[L.HIT_INDEX] = REGISTER_HIT + r
                m[L.HIT_OLD] = h[OLD_X + r]
                m[L.HIT_NEW] = h[r]
        r += U(1)


@njit
def caught(c, cause):
    """Stop behind a trap, or remember it."""
    m = words_at(c, MACH)
    kind = U(2) if cause >> U(63) != U(0) else U(1)
    if m[L.CATCH] & kind == U(0):
        return
    if m[L.SEARCH] != U(0):
        m[L.LAST_HIT] = m[L.ICOUNT] - U(1)
        m[L.LAST_HIT_INDEX] = TRAP_HIT
        m[L.HITS] += U(1)
    elif m[L.HIT_INDEX] == U(0):
        m[L.HIT_INDEX] = TRAP_HIT
