"""Loads and stores that miss the TLB: PMP, devices, page ends, dirty pages and lines, stale code."""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import (
    bytes_at,
    load1,
    load2,
    load4,
    load8,
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
from rrdbg_core.cpu.native.caches import code_stored, list_entry, tlb_entry
from rrdbg_core.cpu.native.devices import load_device, store_device
from rrdbg_core.cpu.native.names import (
    ALIGNED,
    CODE,
    DIRTY,
    DONE,
    DONE_OUT,
    EXIT_MMIO_READ,
    EXIT_MMIO_WRITE,
    EXITED,
    FLAGS,
    FOR_READ,
    FOR_WRITE,
    GEN,
    HART,
    JUMPED,
    LINES,
    MACH,
    NOWHERE,
    OFFSET,
    PAGE,
    PAGE_MASK,
    PTE,
    RAM,
    READ,
    READ_FAULT,
    RGEN,
    SIZE_BITS,
    TLB,
    TRAPPED,
    WATCHED_R,
    WATCHED_TLB,
    WATCHED_W,
    WRITE,
    WRITE_FAULT,
    WRITE_TLB,
    U,
)
from rrdbg_core.cpu.native.paging import forget_pte, holds_pte, not_found, translates, walk
from rrdbg_core.cpu.native.pmp import data_priv, in_ram, pmp, tlb_bank
from rrdbg_core.cpu.native.seen import is_unseen, is_watched, log_access, seen
from rrdbg_core.cpu.native.traps import fault
from rrdbg_core.cpu.pipeline import njit


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
def load_some(ram, offset, size):
    """Return any number of bytes up to eight, zero-extended."""
    if size & (size - U(1)) == U(0):
        return load_ram(ram, offset, size)
    value = U(0)
    i = U(0)
    while i < size:
        value |= load1(ram, offset + i) << (i << U(3))
        i += U(1)
    return value


@njit
def store_some(ram, offset, size, value):
    """Store any number of low bytes of `value`."""
    if size & (size - U(1)) == U(0):
        store_ram(ram, offset, size, value)
    else:
        i = U(0)
        while i < size:
            store1(ram, offset + i, value >> (i << U(3)))
            i += U(1)


@njit
def device_access(c, write, address, place, size, value):
    """Ask the machine for a device access at physical address `place`, or take its answer: DONE, TRAPPED or EXITED."""
    m = words_at(c, MACH)
    state = m[L.MMIO_STATE]
    if state >= U(2):
        m[L.MMIO_STATE] = U(0)
        if state == U(2):
            return DONE
        return fault(c, WRITE_FAULT if write != U(0) else READ_FAULT, address)
    if place & (size - U(1)) != U(0):
        # devices take naturally aligned accesses only
        return fault(c, WRITE_FAULT if write != U(0) else READ_FAULT, address)
    m[L.MMIO_STATE] = U(1)
    m[L.MMIO_ADDR] = place
    m[L.MMIO_SIZE] = size
    m[L.MMIO_WRITE] = write
    m[L.MMIO_VALUE] = value
    m[L.STATUS] = EXIT_MMIO_WRITE if write != U(0) else EXIT_MMIO_READ
    return EXITED


@njit
def check_access(c, address, size, kind):
    """Return DONE if an access is allowed and lies in RAM, JUMPED if it may be a device's, else TRAPPED or EXITED.

    PLACE is the physical address. An access that crosses a page is checked in two parts, and the fault names the part;
    if they are not neighbours in RAM, FIRST_BYTES of the access lie at PLACE and the rest at OTHER_PLACE.
    """
    h = words_at(c, HART)
    m = words_at(c, MACH)
    m[L.FIRST_BYTES] = size
    if m[L.MMIO_STATE] >= U(2):
        m[L.PLACE] = m[L.MMIO_ADDR]  # it was translated when the device was asked
        return JUMPED
    cause = WRITE_FAULT if kind == WRITE else READ_FAULT
    priv = data_priv(h)
    paged = translates(h, priv)
    first = PAGE - (address & OFFSET)
    if first > size:
        first = size
    place = address
    if paged:
        place = walk(c, address, kind, priv, U(0))
        if place == NOWHERE:
            return not_found(c, kind, address)
    m[L.PLACE] = place
    if pmp(c, place, first, kind, priv) != U(1):
        return fault(c, cause, address)
    if not in_ram(m, place, first):
        if first < size:
            return fault(c, cause, address)
        return JUMPED
    if first < size:
        rest = address + first
        other = rest
        if paged:
            other = walk(c, rest, kind, priv, U(0))
            if other == NOWHERE:
                return not_found(c, kind, rest)
        if pmp(c, other, size - first, kind, priv) != U(1) or not in_ram(m, other, size - first):
            return fault(c, cause, rest)
        if other != place + first:
            m[L.FIRST_BYTES] = first
            m[L.OTHER_PLACE] = other
    return DONE


@njit
def watched_tlb_offset(c, address, size, kind):
    """Return where in RAM an access goes that is in order and lies in one page, of which some lines are watched.

    NOWHERE, if it is not known to be one. `kind` is 0 or WRITE_TLB.
    """
    tlb = words_at(c, TLB)
    entry = WATCHED_TLB + kind + tlb_bank(words_at(c, HART)) + tlb_entry(address)
    if tlb[entry] != address & (PAGE_MASK | (size - U(1))):
        return NOWHERE
    return address + tlb[entry + U(1)]


@njit
def write_tlb_offset(c, address):
    """Return where in RAM `address` is, if stores to its page may pass by the TLB; else NOWHERE."""
    tlb = words_at(c, TLB)
    entry = WRITE_TLB + tlb_bank(words_at(c, HART)) + tlb_entry(address)
    return address + tlb[entry + U(1)] if tlb[entry] == address & PAGE_MASK else NOWHERE


@njit
def holds_code(c, offset, size):
    """Return True if a store, which lies in one page, meets a line with decoded code."""
    page = offset >> U(12)
    if U(bytes_at(c, FLAGS)[page]) & CODE == U(0):
        return False
    lines = words_at(c, LINES)[page]
    last = offset + size - U(1)
    return (lines >> ((offset >> U(6)) & U(63)) | lines >> ((last >> U(6)) & U(63))) & U(1) != U(0)


@njit
def mark_dirty(c, offset, size):
    """Note which words of RAM a store changes."""
    dirty = bytes_at(c, DIRTY)
    store1(dirty, offset >> U(3), U(1))
    store1(dirty, (offset + size - U(1)) >> U(3), U(1))


@njit
def fill_tlb(c, address, place, kind, partly):
    """Let the next access to the page of `address`, which is at `place`, pass by the TLB.

    Args:
        kind: READ or WRITE.
        partly: The flags of pages some lines of which need a look at every access.
    """
    h = words_at(c, HART)
    m = words_at(c, MACH)
    if m[L.STEPPING] != U(0) or pmp(c, place & PAGE_MASK, PAGE, kind, data_priv(h)) != U(1):
        return
    tlb = words_at(c, TLB)
    entry = tlb_bank(h) + tlb_entry(address)
    if kind == WRITE:
        entry += WRITE_TLB
    if U(bytes_at(c, FLAGS)[(place - m[L.RAM_BASE]) >> U(12)]) & partly != U(0):
        entry += WATCHED_TLB
    tlb[entry] = address & PAGE_MASK
    tlb[entry + U(1)] = place - m[L.RAM_BASE] - address
    list_entry(c, entry)


@njit
def read_ram(c, place, size, left):
    """Return bytes of RAM and do what follows from it: page read, watches."""
    m = words_at(c, MACH)
    offset = place - m[L.RAM_BASE]
    value = load_some(bytes_at(c, RAM), offset, size)
    page = offset >> U(12)
    rgen = u32_at(c, RGEN)
    rgen[page] = np.uint32(m[L.GENERATION])
    last = (offset + size - U(1)) >> U(12)
    rgen[last] = np.uint32(m[L.GENERATION])
    flags = bytes_at(c, FLAGS)
    if (U(flags[page]) | U(flags[last])) & WATCHED_R != U(0):
        seen(c, READ, place, size, value, value, left)
    return value


@njit
def slow_load(c, slot, address, size, signed, left):
    """Do a load that missed the TLB."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    rd = (slot >> U(8)) & U(63)
    m[L.TLB_MISSES] += U(1)
    offset = watched_tlb_offset(c, address, size, U(0))
    if offset != NOWHERE:
        value = load_ram(bytes_at(c, RAM), offset, size)
        h[rd] = extend(value, size, signed)
        place = offset + m[L.RAM_BASE]
        if not is_watched(c, place, size):
            return DONE
        seen(c, READ, place, size, value, value, left)
        return DONE_OUT if m[L.HIT_INDEX] | m[L.MATCHED] != U(0) else DONE
    status = check_access(c, address, size, READ)
    if status == TRAPPED or status == EXITED:  # noqa: SIM109  (numba has no tuples here)
        return status
    place = m[L.PLACE]
    if status == JUMPED:
        status = load_device(c, place, size, m[L.INNER_LIMIT] - left - U(1))
        if status == EXITED:
            status = device_access(c, U(0), address, place, size, U(0))
            if status != DONE:
                return status
            status = DONE_OUT  # the device may have changed an interrupt line
        value = m[L.MMIO_VALUE]
        if m[L.STEPPING] != U(0):
            log_access(m, READ, address, size, value)
        h[rd] = extend(value, size, signed)
        return status
    first = m[L.FIRST_BYTES]
    value = read_ram(c, place, first, left)
    if first < size:
        value |= read_ram(c, m[L.OTHER_PLACE], size - first, left) << (first << U(3))
    h[rd] = extend(value, size, signed)
    if m[L.STEPPING] != U(0):
        log_access(m, READ, address, size, value)
    fill_tlb(c, address, place, READ, WATCHED_R)
    return DONE_OUT if m[L.HIT_INDEX] | m[L.MATCHED] != U(0) else DONE


@njit
def write_piece(c, place, size, value, left):
    """Store to RAM and do what follows from it: dirty page, stale code, stale translations, watches.

    Returns 1 if something in the TLBs was forgotten.
    """
    m = words_at(c, MACH)
    ram = bytes_at(c, RAM)
    offset = place - m[L.RAM_BASE]
    page = offset >> U(12)
    last = (offset + size - U(1)) >> U(12)
    first = size
    if last != page:
        first = PAGE - (offset & OFFSET)
    stale = holds_pte(c, offset, first)
    if last != page and holds_pte(c, last << U(12), size - first):
        stale = True
    old = load_some(ram, offset, size)
    store_some(ram, offset, size, value)
    mark_dirty(c, offset, size)
    flags = bytes_at(c, FLAGS)
    written = u32_at(c, GEN)
    written[page] = np.uint32(m[L.GENERATION])
    both = U(flags[page])
    if last != page:
        written[last] = np.uint32(m[L.GENERATION])
        both |= U(flags[last])
        if U(flags[last]) & CODE != U(0):
            code_stored(c, last, U(0), size - first)
    if U(flags[page]) & CODE != U(0):
        code_stored(c, page, offset & OFFSET, first)
    if both & WATCHED_W != U(0):
        seen(c, WRITE, place, size, old, load_some(ram, offset, size), left)
    if stale:
        forget_pte(c, offset, size)
        return U(1)
    return U(0)


@njit
def write_ram(c, address, place, size, value, left):
    """Store all of an access in one piece. Return DONE or DONE_OUT."""
    m = words_at(c, MACH)
    stale = write_piece(c, place, size, value, left)
    if m[L.STEPPING] != U(0):
        log_access(m, WRITE, address, size, load_ram(bytes_at(c, RAM), place - m[L.RAM_BASE], size))
    return DONE_OUT if m[L.HIT_INDEX] | m[L.TRACKED_HIT] | m[L.MATCHED] | m[L.STALE] | stale != U(0) else DONE


@njit
def write_pieces(c, address, size, value, left):
    """Store an access that lies in two pages which are no neighbours in RAM. Return DONE or DONE_OUT."""
    m = words_at(c, MACH)
    first = m[L.FIRST_BYTES]
    stale = write_piece(c, m[L.PLACE], first, value, left)
    stale |= write_piece(c, m[L.OTHER_PLACE], size - first, value >> (first << U(3)), left)
    if m[L.STEPPING] != U(0):
        log_access(m, WRITE, address, size, value)
    return DONE_OUT if m[L.HIT_INDEX] | m[L.TRACKED_HIT] | m[L.MATCHED] | m[L.STALE] | stale != U(0) else DONE


@njit
def slow_store(c, slot, address, size, left):
    """Do a store that missed the TLB."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    value = h[(slot >> U(24)) & U(63)]
    if size < U(8):
        value &= (U(1) << (size << U(3))) - U(1)
    m[L.TLB_MISSES] += U(1)
    offset = watched_tlb_offset(c, address, size, WRITE_TLB)
    if offset != NOWHERE:
        place = offset + m[L.RAM_BASE]
        if is_watched(c, place, size) or holds_code(c, offset, size) or holds_pte(c, offset, size):
            return write_ram(c, address, place, size, value, left)
        store_ram(bytes_at(c, RAM), offset, size, value)
        store1(bytes_at(c, DIRTY), offset >> U(3), U(1))
        return DONE
    status = check_access(c, address, size, WRITE)
    if status == TRAPPED or status == EXITED:  # noqa: SIM109  (numba has no tuples here)
        return status
    place = m[L.PLACE]
    if status == JUMPED:
        status = store_device(c, place, size, value, m[L.INNER_LIMIT] - left - U(1))
        if status == EXITED:
            status = device_access(c, U(1), address, place, size, value)
            if status != DONE:
                return status
            status = DONE_OUT
        if m[L.STEPPING] != U(0):
            log_access(m, WRITE, address, size, value)
        return status
    if m[L.FIRST_BYTES] < size:
        return write_pieces(c, address, size, value, left)
    status = write_ram(c, address, place, size, value, left)
    if status == DONE:
        fill_tlb(c, address, place, WRITE, WATCHED_W | CODE | PTE)
    return status


@njit
def resolve(c, address, what):
    """Return the offset in RAM of an access that missed the TLB, for a compiled region, which then makes it.

    All that the access does beside moving bytes is done here. If it is more than a plain access to one page (a device,
    a fault, something that a watch has to see or that is looked at, a store to code), nothing is done: NOWHERE.
    """
    h = words_at(c, HART)
    m = words_at(c, MACH)
    size = what & SIZE_BITS
    if (address & OFFSET) + size > PAGE or m[L.STEPPING] != U(0):
        return NOWHERE
    if what & ALIGNED != U(0) and address & (size - U(1)) != U(0):
        return NOWHERE
    reads = what & FOR_READ != U(0)
    writes = what & FOR_WRITE != U(0)
    if writes and not reads:
        offset = write_tlb_offset(c, address)
        if offset != NOWHERE:
            # it is misaligned: a region passes only such stores that change one word
            mark_dirty(c, offset, size)
            return offset
    offset = watched_tlb_offset(c, address, size, WRITE_TLB if writes else U(0))
    known = offset != NOWHERE and (not (reads and writes) or watched_tlb_offset(c, address, size, U(0)) != NOWHERE)
    if not known:
        if writes and check_access(c, address, size, WRITE) != DONE:
            return NOWHERE
        if reads and check_access(c, address, size, READ) != DONE:
            return NOWHERE
        offset = m[L.PLACE] - m[L.RAM_BASE]
    place = offset + m[L.RAM_BASE]
    if is_watched(c, place, size):
        old = load_ram(bytes_at(c, RAM), offset, size)
        if not is_unseen(c, reads, writes, place, size, old, h[L.STORED]):
            return NOWHERE
    if writes:
        if holds_code(c, offset, size) or holds_pte(c, offset, size):
            return NOWHERE
        mark_dirty(c, offset, size)
    m[L.TLB_MISSES] += U(1)
    m[L.RESOLVED] += U(1)
    if known:
        return offset
    page = offset >> U(12)
    if writes:
        u32_at(c, GEN)[page] = np.uint32(m[L.GENERATION])
        fill_tlb(c, address, place, WRITE, WATCHED_W | CODE | PTE)
    if reads:
        u32_at(c, RGEN)[page] = np.uint32(m[L.GENERATION])
        fill_tlb(c, address, place, READ, WATCHED_R)
    return offset
