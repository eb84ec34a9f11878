"""LR, SC and AMOs, unprivileged spec "A"."""

from __future__ import annotations

import numpy as np

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import bytes_at, lts, sext32, u32_at, words_at
from rrdbg_core.cpu.native.access import check_access, extend, fill_tlb, load_ram, write_ram
from rrdbg_core.cpu.native.names import (
    CODE,
    DONE,
    DONE_OUT,
    EXITED,
    FLAGS,
    HART,
    JUMPED,
    MACH,
    PTE,
    RAM,
    READ,
    READ_FAULT,
    READ_MISALIGNED,
    RGEN,
    TRAPPED,
    WATCHED_R,
    WATCHED_W,
    WRITE,
    WRITE_FAULT,
    WRITE_MISALIGNED,
    U,
)
from rrdbg_core.cpu.native.pmp import data_priv, pmp
from rrdbg_core.cpu.native.seen import log_access, seen
from rrdbg_core.cpu.native.traps import fault
from rrdbg_core.cpu.pipeline import njit


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
        return operand if operand < old else old
    return operand if old < operand else old


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
        # a page that can be written can be read, but PMP may forbid it
        if status == DONE and funct5 != U(0b00011) and pmp(c, m[L.PLACE], size, READ, data_priv(h)) != U(1):
            return fault(c, WRITE_FAULT, address)
    if status == TRAPPED or status == EXITED:  # noqa: SIM109  (numba has no tuples here)
        return status
    place = m[L.PLACE]
    offset = place - m[L.RAM_BASE]
    page = offset >> U(12)
    old = extend(load_ram(bytes_at(c, RAM), offset, size), size, U(1))
    if funct5 == U(0b00011):
        matches = h[L.RES_VALID] != U(0) and h[L.RES_ADDR] == place
        h[L.RES_VALID] = U(0)
        h[L.RES_ADDR] = U(0)
        h[rd] = U(0) if matches else U(1)
        if not matches:
            return DONE
        status = write_ram(c, address, place, size, operand, left)
        if status == DONE:
            # regions leave an sc to the interpreter as long as the TLB does not know its page
            fill_tlb(c, address, place, WRITE, WATCHED_W | CODE | PTE)
        return status
    u32_at(c, RGEN)[page] = np.uint32(m[L.GENERATION])
    if m[L.STEPPING] != U(0):
        log_access(m, READ, address, size, old)
    if U(bytes_at(c, FLAGS)[page]) & WATCHED_R != U(0):
        seen(c, READ, place, size, old, old, left)
    status = DONE
    if is_lr:
        h[L.RES_VALID] = U(1)
        h[L.RES_ADDR] = place
    else:
        if size == U(4):
            operand = sext32(operand)
        status = write_ram(c, address, place, size, amo_result(funct5, old, operand), left)
    h[rd] = old
    return DONE_OUT if m[L.HIT_INDEX] | m[L.MATCHED] != U(0) else status
