"""Blocks: code that is run often enough is copied together out of stencils, see cpu/stencils.py.

A block is a run of instructions in one page that is entered at the first and left behind the last. OP_BLOCK stands in
its first slot, and BLOCK_OF says of each of its slots how far that is behind the first one, plus one. What the other
slots hold stays there: a jump into the middle finds it. No slot is in two blocks. A block can be entered as long as
all of its slots are what it was made of; who changes one calls `forget_block`. Slots that have to tell when they are
run (`arm` in collect.py) put it to sleep until all of them have.

In front of a block's code stand the slot of its first instruction and the number of its slots.
"""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import bytes_at, load1, load8, sar, store1, store4, store8, words_at
from rrdbg_core.cpu.native.names import (
    ABSOLUTE_8,
    ABSOLUTE_64,
    BEGINS,
    BLOCK_CODE,
    BLOCK_HEAD,
    BLOCK_OF,
    BLOCK_ROOM,
    BLOCK_SLOTS,
    DEC,
    ENDS,
    HOLE_BEHIND,
    HOLE_FRD,
    HOLE_FS1,
    HOLE_FS2,
    HOLE_HERE,
    HOLE_IMM,
    HOLE_LEFT,
    HOLE_RD,
    HOLE_RS1,
    HOLE_RS2,
    HOLE_SLOT,
    HOLE_TARGET,
    HOLE_WAY,
    MACH,
    MIDDLE,
    NEAR,
    OP_ARMED,
    OP_BLOCK,
    OP_COUNTED,
    OP_UNDECODED,
    RELATIVE,
    STENCIL_END,
    STENCIL_ENTER,
    STENCIL_OUT,
    STENCILS,
    STRIDE,
    TO_NOBODY,
    WAY_OUT,
    U,
)
from rrdbg_core.cpu.pipeline import njit


@njit
def is_armed(slot):
    """Return True if the instruction in a slot has to tell when it is run."""
    return (slot & U(0xFF)) - OP_ARMED < U(4)


@njit
def forget_block(c, at):
    """Let the block that slot number `at` belongs to, if there is one, not be entered any more."""
    block_of = bytes_at(c, BLOCK_OF)
    distance = load1(block_of, at)
    if distance == U(0) or distance == BEGINS:
        return
    at = at + U(1) - distance
    words_at(c, DEC)[at] = OP_UNDECODED
    store1(block_of, at, BEGINS)
    at += U(1)
    k = U(2)
    while load1(block_of, at) == k:
        store1(block_of, at, U(0))
        at += U(1)
        k += U(1)


@njit
def forget(c, at):
    """Do that for who calls from outside; return 0."""
    forget_block(c, at)
    return U(0)


@njit
def forget_blocks(c, pages):
    """Forget all blocks, and where some may begin, of the first `pages` decoded pages: of all that there are."""
    dec = words_at(c, DEC)
    block_of = bytes_at(c, BLOCK_OF)
    words_at(c, MACH)[L.BLOCK_USED] = U(0)
    at = U(0)
    while at < pages * STRIDE:
        eight = load8(block_of, at)
        if eight != U(0):
            store8(block_of, at, U(0))
            k = U(0)
            while k < U(8):
                if (eight >> (k << U(3))) & U(0xFF) == U(1):
                    dec[at + k] = OP_UNDECODED
                k += U(1)
        at += U(8)


@njit
def stencil_of(slot):
    """Return the number of the stencil of what is in a slot, whether there is one or not."""
    number = slot & U(0xFF)
    return number + TO_NOBODY if slot >> U(8) & U(0xFF) == U(L.XD) else number


@njit
def leads_on(c, slot, halves):
    """Return True if an instruction of so many halfwords stands in a slot, and the next one follows it in a block."""
    if slot & U(0xFF) == OP_COUNTED:
        return (slot >> U(16)) & U(0xFF) == halves and slot & ENDS == U(0)
    stencils = words_at(c, STENCILS)
    row = stencils[stencil_of(slot)]
    return row != U(0) and (stencils[row] >> U(32)) & U(0xFF) == halves and stencils[row] & ENDS == U(0)


@njit
def counted(c, at, slot):
    """Return what to put into slot number `at` for an instruction: it is counted where a block may begin."""
    stencils = words_at(c, STENCILS)
    row = stencils[stencil_of(slot)]
    if row == U(0) or load1(bytes_at(c, BLOCK_OF), at) != BEGINS:
        return slot
    return OP_COUNTED | (stencils[row] >> U(32) & U(0xFF)) << U(16) | stencils[row] & ENDS


@njit
def begin(c, at):
    """Let a block begin at slot number `at`."""
    block_of = bytes_at(c, BLOCK_OF)
    if load1(block_of, at) != U(1) and load1(block_of, at) != BEGINS:
        forget_block(c, at)
        store1(block_of, at, BEGINS)
        dec = words_at(c, DEC)
        dec[at] = counted(c, at, dec[at])


@njit
def find_begins(c, at, slot):
    """Note where blocks may begin, now that slot number `at` is decoded.

    That is where a jump leads to, and where no instruction leads on to. What else blocks come to is seen when they do.
    """
    if words_at(c, MACH)[L.BLOCK_BYTES] == U(0):
        return
    dec = words_at(c, DEC)
    block_of = bytes_at(c, BLOCK_OF)
    stencils = words_at(c, STENCILS)
    if not leads_on(c, dec[at - U(1)], U(1)) and not leads_on(c, dec[at - U(2)], U(2)):
        forget_block(c, at)  # of which it is in the middle of an instruction
        store1(block_of, at, BEGINS)
    row = stencils[stencil_of(slot)]
    if row != U(0) and stencils[row] & NEAR != U(0):
        begin(c, at + sar(slot, U(33)))


@njit
def value_of(hole, slot, here, size, left):
    """Return what goes into a hole of the stencil of an instruction.

    Args:
        hole: Its number.
        slot: The instruction.
        here: Bytes from the first slot of the block to this one.
        size: Bytes from this slot to the next one.
        left: Steps of the block behind this one; where it is entered, all but the first.
    """
    if hole == HOLE_RD:
        return ((slot >> U(8) & U(0xFF)) - MIDDLE) << U(3)
    if hole == HOLE_RS1:
        return ((slot >> U(16) & U(0xFF)) - MIDDLE) << U(3)
    if hole == HOLE_RS2:
        return ((slot >> U(24) & U(0xFF)) - MIDDLE) << U(3)
    if hole == HOLE_IMM:
        return sar(slot, U(32))
    if hole == HOLE_HERE:
        return here
    if hole == HOLE_BEHIND:
        return here + size
    if hole == HOLE_TARGET:
        return here + (sar(slot, U(32)) << U(2))
    if hole == HOLE_LEFT:
        return left
    if hole == HOLE_SLOT:
        return slot
    if hole == HOLE_FRD:
        return (U(L.F) - MIDDLE + (slot >> U(8) & U(31))) << U(3)
    if hole == HOLE_FS1:
        return (U(L.F) - MIDDLE + (slot >> U(16) & U(31))) << U(3)
    if hole == HOLE_FS2:
        return (U(L.F) - MIDDLE + (slot >> U(24) & U(31))) << U(3)
    return (U(L.F) - MIDDLE + (slot >> U(59))) << U(3)


@njit
def put_stencil(c, number, place, slot, here, left, way):
    """Put a stencil at `place` in the code of blocks, with all of its values; return the place behind it.

    Args:
        number: Its row.
        place: A place.
        slot: See `value_of`, as for `here` and `left`.
        here: The same.
        left: The same.
        way: What goes into HOLE_WAY.
    """
    stencils = words_at(c, STENCILS)
    code = bytes_at(c, BLOCK_CODE)
    row = stencils[number]
    size = stencils[row] & U(0xFFFF)
    words = row + U(1) + (stencils[row] >> U(16) & U(0xFFFF))
    at = U(0)
    while at < size:
        store8(code, place + at, stencils[words + (at >> U(3))])
        at += U(8)
    while row + U(1) < words:
        row += U(1)
        entry = stencils[row]
        kind = entry >> U(16) & U(15)
        if kind != RELATIVE:
            hole = entry >> U(20) & U(0xFFF)
            length = (stencils[stencils[number]] >> U(32) & U(0xFF)) << U(3)
            value = way if hole == HOLE_WAY else value_of(hole, slot, here, length, left)
            value += sar(entry, U(32))
            if kind == ABSOLUTE_64:
                store8(code, place + (entry & U(0xFFFF)), value)
            elif kind == ABSOLUTE_8:
                store1(code, place + (entry & U(0xFFFF)), value)
            else:
                store4(code, place + (entry & U(0xFFFF)), value)
    return place + size


@njit
def put_insn(c, number, place, slot, here, left):
    """Put a stencil that leads on at `place`, and its ways out at BLOCK_OUT; return the place behind it.

    Args: see `put_stencil`.
    """
    m = words_at(c, MACH)
    stencils = words_at(c, STENCILS)
    code = bytes_at(c, BLOCK_CODE)
    behind = put_stencil(c, number, place, slot, here, left, U(0))
    row = stencils[number]
    end = row + (stencils[row] >> U(16) & U(0xFFFF))
    while row < end:
        row += U(1)
        entry = stencils[row]
        hole = entry >> U(20) & U(0xFFF)
        if entry >> U(16) & U(15) == RELATIVE:
            at = place + (entry & U(0xFFFF))
            target = behind
            if hole >= WAY_OUT:
                target = m[L.BLOCK_OUT]
                way = here >> U(3) | left << U(8) | (hole - WAY_OUT) << U(16)
                m[L.BLOCK_OUT] = put_stencil(c, STENCIL_OUT, target, slot, here, left, way)
            store4(code, at, target + sar(entry, U(32)) - at)
    return behind


@njit
def make_block(c, first, slot):
    """Make a block of what begins at slot number `first`, which is not what stands there now: `slot`.

    Returns 0 if that is no whole instruction, else 1: it is done, or cannot be done yet.
    """
    m = words_at(c, MACH)
    if m[L.BLOCK_BYTES] == U(0):
        return U(0)
    dec = words_at(c, DEC)
    block_of = bytes_at(c, BLOCK_OF)
    stencils = words_at(c, STENCILS)
    if m[L.BLOCK_USED] + BLOCK_ROOM > m[L.BLOCK_BYTES]:
        forget_blocks(c, m[L.POOL_USED])
        return U(1)
    if load1(block_of, first) != U(0) and load1(block_of, first) != BEGINS:
        return U(0)  # it is the middle of an instruction of another one
    at = first
    steps = U(0)
    size = stencils[stencils[STENCIL_ENTER]] & U(0xFFFF)
    ends = U(0)
    insn = slot
    while at - first < BLOCK_SLOTS and ends == U(0):
        if steps != U(0):
            insn = dec[at]
            if is_armed(insn):
                return U(1)
        row = stencils[stencil_of(insn)]
        if row == U(0) or (steps != U(0) and load1(block_of, at) != U(0)):
            break
        behind = at + (stencils[row] >> U(32) & U(0xFF))
        if load1(block_of, behind - U(1)) != U(0) and behind - U(1) != first:
            break  # another one begins in the middle of this instruction
        size += stencils[row] & U(0xFFFF)
        ends = stencils[row] & ENDS
        at = behind
        steps += U(1)
    if steps == U(0):
        return U(0)
    if ends == U(0):
        size += stencils[stencils[STENCIL_END]] & U(0xFFFF)
    begin = m[L.BLOCK_USED] + BLOCK_HEAD
    words_at(c, BLOCK_CODE)[m[L.BLOCK_USED] >> U(3)] = slot
    words_at(c, BLOCK_CODE)[(m[L.BLOCK_USED] >> U(3)) + U(1)] = at - first
    m[L.BLOCK_OUT] = begin + size + U(7)  # whole words are copied
    left = steps - U(1)
    place = put_insn(c, STENCIL_ENTER, begin, slot, U(0), left)
    end = at
    at = first
    insn = slot
    while at < end:
        if at != first:
            insn = dec[at]
        place = put_insn(c, stencil_of(insn), place, insn, (at - first) << U(3), left)
        row = stencils[stencil_of(insn)]
        store1(block_of, at, at - first + U(1))
        at += U(1)
        if stencils[row] >> U(32) & U(0xFF) == U(2):
            store1(block_of, at, at - first + U(1))
            at += U(1)
        left -= U(1)
    if ends == U(0):
        put_stencil(c, STENCIL_END, place, U(0), (end - first) << U(3), U(0), U(0))
    dec[first] = OP_BLOCK | (c[BLOCK_CODE] + begin) << U(8)
    m[L.BLOCK_USED] = (m[L.BLOCK_OUT] + U(15)) & ~U(15)
    m[L.BLOCKS] += U(1)
    return U(1)
