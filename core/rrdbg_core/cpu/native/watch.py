"""What the debugger sees of a step: the step log, registers that change, traps that were caught."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import words_at
from rrdbg_core.cpu.native.decode import decode_word
from rrdbg_core.cpu.native.gates import came_to
from rrdbg_core.cpu.native.names import (
    HART,
    LOG,
    MACH,
    NOWHERE,
    OLD,
    OP_ILLEGAL,
    REGISTER_HIT,
    STEP_INSN,
    STEP_PC,
    STEP_PRIV,
    STEP_RD,
    TRAP_HIT,
    WATCHES,
    U,
)
from rrdbg_core.cpu.native.paging import instruction_at
from rrdbg_core.cpu.pipeline import njit


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
    i = U(0)
    while i < U(6):
        log[row + U(L.LOG_PLACES) + i] = m[U(L.PLACES) + i] if i < m[L.ACCESS_COUNT] * U(2) else U(0)
        i += U(1)
    m[L.LOG_ROWS] += U(1)


@njit
def writes_float(word):
    """Return True if an instruction has an f register as its destination."""
    if word & U(3) != U(3):
        # c.fld, c.fldsp
        return word & U(0xE001) == U(0x2000)
    opcode = word & U(0x7F)
    if opcode == U(0x53):
        funct5 = word >> U(27)
        return funct5 != U(0x14) and funct5 != U(0x18) and funct5 != U(0x1C)
    return opcode == U(0x07) or (opcode >= U(0x43) and opcode <= U(0x4F) and opcode & U(3) == U(3))


@njit
def before_step(c):
    """Remember what `after_step` compares with."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    i = U(0)
    while i < U(32):
        h[OLD + i] = h[i]
        i += U(1)
    if m[L.FLOAT] != U(0) and m[L.REG_WATCH] >> U(32) != U(0):
        while i < U(64):
            h[OLD + i] = h[U(L.F - 32) + i]
            i += U(1)
    pc = h[L.PC]
    h[STEP_PC] = pc
    h[STEP_PRIV] = h[L.PRIV]
    h[STEP_INSN] = U(0)
    h[STEP_RD] = U(0)
    word = instruction_at(c, pc)
    if word != NOWHERE:
        h[STEP_INSN] = word
        slot = decode_word(c, word)
        h[STEP_RD] = (slot >> U(8)) & U(31)  # XD is x0
        if slot & U(0xFF) != OP_ILLEGAL and writes_float(word):
            h[STEP_RD] += U(L.F)


@njit
def after_step(c, cause):
    """Log the step, and look for changes of watched registers. `cause` is 0, an interrupt, or an exception + 1."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    icount = m[L.ICOUNT] - U(1)
    if m[L.LOG_LIMIT] != U(0):
        log_step(c, icount, h[STEP_PC], h[STEP_INSN], h[STEP_PRIV], cause, h[h[STEP_RD]])
    if m[L.REG_WATCH] != U(0):
        rows = words_at(c, WATCHES)
        i = m[L.WATCHES]
        while i < m[L.WATCH_ROWS]:
            row = i * U(L.WATCH_WORDS)
            if rows[row + U(2)] == U(L.WATCH_REGISTER):
                r = rows[row]
                old = h[OLD + r]
                new = h[rows[row + U(1)]]
                if new != old:
                    came_to(c, rows[row + U(3)], icount, REGISTER_HIT + r, U(0), U(0), U(0), old, new)
            i += U(1)


@njit
def caught(c, cause):
    """Look whether a trap is caught."""
    m = words_at(c, MACH)
    kind = U(2) if cause >> U(63) != U(0) else U(1)
    if m[L.CATCH] & kind == U(0):
        return
    rows = words_at(c, WATCHES)
    i = m[L.WATCHES]
    while i < m[L.WATCH_ROWS]:
        row = i * U(L.WATCH_WORDS)
        if rows[row + U(2)] == U(L.WATCH_TRAP) and rows[row] & kind != U(0):
            came_to(c, rows[row + U(3)], m[L.ICOUNT] - U(1), TRAP_HIT, U(0), U(0), U(0), U(0), U(0))
        i += U(1)
