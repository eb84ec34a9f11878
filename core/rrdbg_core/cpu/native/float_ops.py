"""The instructions of F and D that are called out of line, unprivileged spec chapters "F" and "D"; mstatus.FS.

Their slots hold all of the instruction's bits as imm. FS is Dirty as soon as an instruction writes an f register or
raises an exception, as on Spike; QEMU 7.2 forgets the latter where nothing but fflags changes, which the privileged
spec, 3.1.6.6, does not allow.
"""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import words_at
from rrdbg_core.cpu.native.access import slow_load, slow_store
from rrdbg_core.cpu.native.floats import (
    canonical_nan,
    float_add,
    float_class,
    float_compare,
    float_div,
    float_extreme,
    float_fma,
    float_mul,
    float_of_integer,
    float_resized,
    float_sqrt,
    integer_of_float,
    sign_place,
)
from rrdbg_core.cpu.native.names import DONE, DONE_OUT, FS, HART, RMM, U
from rrdbg_core.cpu.native.traps import illegal
from rrdbg_core.cpu.pipeline import njit

BOX = U(0xFFFFFFFF00000000)


@njit
def float_ready(c, pc):
    """Make FS Dirty for an instruction that writes an f register, and nothing else; if FS is Off, it is illegal."""
    h = words_at(c, HART)
    if h[L.MSTATUS] & FS == U(0):
        return illegal(c, pc)
    h[L.MSTATUS] |= FS
    return DONE


@njit
def float_load(c, slot, address, size, pc, left):
    """Load into an f register."""
    h = words_at(c, HART)
    if h[L.MSTATUS] & FS == U(0):
        return illegal(c, pc)
    status = slow_load(c, slot & ~U(0xFF00) | U(L.XD << 8), address, size, U(0), left)
    if status == DONE or status == DONE_OUT:  # noqa: SIM109  (numba has no tuples here)
        value = h[L.XD]
        h[U(L.F) + ((slot >> U(8)) & U(31))] = value if size == U(8) else value | BOX
        h[L.MSTATUS] |= FS
    return status


@njit
def float_store(c, slot, address, size, pc, left):
    """Store an f register, or its low half."""
    h = words_at(c, HART)
    if h[L.MSTATUS] & FS == U(0):
        return illegal(c, pc)
    h[L.XD] = h[U(L.F) + ((slot >> U(24)) & U(31))]
    return slow_store(c, slot & ~U(0xFF000000) | U(L.XD << 24), address, size, left)


@njit
def unboxed(h, wide, register):
    """Return the value of an f register in a format; what is no single in its box is a NaN."""
    value = h[U(L.F) + (register & U(31))]
    if wide != U(0):
        return value
    return value & U(0xFFFFFFFF) if value & BOX == BOX else canonical_nan(wide)


@njit
def float_arithmetic(h, wide, rm, word):
    """Return what an instruction with a rounding mode computes; integers as they go into x registers."""
    a = unboxed(h, wide, word >> U(15))
    b = unboxed(h, wide, word >> U(20))
    funct5 = word >> U(27)
    opcode = word & U(0x7F)
    negative = U(1) << sign_place(wide)
    if opcode != U(0x53):
        # fmadd, fmsub, fnmsub, fnmadd
        third = unboxed(h, wide, funct5)
        if opcode >= U(0x4B):
            a ^= negative
        if opcode == U(0x47) or opcode == U(0x4F):
            third ^= negative
        return float_fma(h, wide, rm, a, b, third)
    if funct5 == U(0):
        return float_add(h, wide, rm, a, b)
    if funct5 == U(1):
        return float_add(h, wide, rm, a, b ^ negative)
    if funct5 == U(2):
        return float_mul(h, wide, rm, a, b)
    if funct5 == U(3):
        return float_div(h, wide, rm, a, b)
    if funct5 == U(0x0B):
        return float_sqrt(h, wide, rm, a)
    kind = (word >> U(20)) & U(3)
    if funct5 == U(0x08):
        return float_resized(h, wide, rm, unboxed(h, wide ^ U(1), word >> U(15)))
    if funct5 == U(0x18):
        return integer_of_float(h, wide, rm, a, kind)
    return float_of_integer(h, wide, rm, h[(word >> U(15)) & U(31)], kind)


@njit
def float_op(c, slot, pc):
    """Do an instruction that is not done in line."""
    h = words_at(c, HART)
    if h[L.MSTATUS] & FS == U(0):
        return illegal(c, pc)
    word = slot >> U(32)
    wide = (word >> U(25)) & U(1)
    rm = (word >> U(12)) & U(7)
    funct5 = word >> U(27)
    h[L.FLOAT_RAISED] = U(0)
    to_integer = False
    if word & U(0x7F) == U(0x53) and (funct5 == U(0x05) or funct5 == U(0x14) or funct5 == U(0x1C)):
        a = unboxed(h, wide, word >> U(15))
        b = unboxed(h, wide, word >> U(20))
        if funct5 == U(0x05):
            value = float_extreme(h, wide, a, b, rm)
        else:
            to_integer = True
            value = float_compare(h, wide, a, b, rm) if funct5 == U(0x14) else float_class(wide, a)
    else:
        if rm == U(7):
            rm = h[L.FCSR] >> U(5)
        if rm > RMM:
            return illegal(c, pc)
        value = float_arithmetic(h, wide, rm, word)
        to_integer = word & U(0x7F) == U(0x53) and funct5 == U(0x18)
    if to_integer:
        h[(slot >> U(8)) & U(63)] = value
    else:
        h[U(L.F) + ((slot >> U(8)) & U(31))] = value if wide != U(0) else value | BOX
        h[L.MSTATUS] |= FS
    if h[L.FLOAT_RAISED] != U(0):
        h[L.FCSR] |= h[L.FLOAT_RAISED]
        h[L.MSTATUS] |= FS
    return DONE
