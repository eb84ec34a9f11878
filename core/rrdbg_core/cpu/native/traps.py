"""Traps, interrupts and the privileged instructions, privileged spec 3.1 to 3.3."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import words_at
from rrdbg_core.cpu.native.names import (
    DONE,
    DONE_OUT,
    EXIT_SBI,
    EXIT_SEMIHOST,
    EXITED,
    HART,
    JUMPED,
    MACH,
    MIE_BIT,
    MPIE_BIT,
    MPP,
    MPRV,
    SEI,
    SIE_BIT,
    SPIE_BIT,
    SPP,
    SSI,
    TRAPPED,
    TRAPS,
    TSR,
    TVM,
    TW,
    U,
)
from rrdbg_core.cpu.native.paging import code_word, instruction_at
from rrdbg_core.cpu.pipeline import njit


@njit
def fault(c, cause, tval):
    """Say which exception the step ends in."""
    m = words_at(c, MACH)
    m[L.TRAP_CAUSE] = cause
    m[L.TRAP_TVAL] = tval
    return TRAPPED


@njit
def illegal(c, pc):
    """Trap as illegal; mtval holds the instruction's bits."""
    return fault(c, U(2), instruction_at(c, pc))


@njit
def enter_trap(c, pc, icount):
    """Take the trap TRAP_CAUSE at `pc`: this is one step, which retires nothing."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    cause = m[L.TRAP_CAUSE]
    m[L.MMIO_STATE] = U(0)  # whatever a device has answered, nobody waits for it any more
    status = h[L.MSTATUS]
    delegated = h[L.MIDELEG] if cause >> U(63) != U(0) else h[L.MEDELEG]
    if h[L.PRIV] != U(L.PRIV_M) and (delegated >> (cause & U(63))) & U(1) != U(0):
        h[L.SEPC] = pc
        h[L.SCAUSE] = cause
        h[L.STVAL] = m[L.TRAP_TVAL]
        status = (status & ~(SIE_BIT | SPIE_BIT | SPP)) | ((status & SIE_BIT) << U(4)) | (h[L.PRIV] << U(8))
        h[L.PRIV] = U(L.PRIV_S)
        vector = h[L.STVEC]
    else:
        h[L.MEPC] = pc
        h[L.MCAUSE] = cause
        h[L.MTVAL] = m[L.TRAP_TVAL]
        status = (status & ~(MIE_BIT | MPIE_BIT | MPP)) | ((status & MIE_BIT) << U(4)) | (h[L.PRIV] << U(11))
        h[L.PRIV] = U(L.PRIV_M)
        vector = h[L.MTVEC]
    h[L.MSTATUS] = status
    target = vector & ~U(3)
    if vector & U(1) != U(0) and cause >> U(63) != U(0):
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
    priv = h[L.PRIV]
    enabled = U(0)
    if priv != U(L.PRIV_M) or h[L.MSTATUS] & MIE_BIT != U(0):
        enabled = pending & ~h[L.MIDELEG]
    if enabled == U(0) and (priv == U(L.PRIV_U) or (priv == U(L.PRIV_S) and h[L.MSTATUS] & SIE_BIT != U(0))):
        enabled = pending & h[L.MIDELEG]
    if enabled == U(0):
        return U(0)
    if enabled & U(1 << 11) != U(0):
        return U(1 << 63 | 11)
    if enabled & U(1 << 3) != U(0):
        return U(1 << 63 | 3)
    if enabled & U(1 << 7) != U(0):
        return U(1 << 63 | 7)
    if enabled & SEI != U(0):
        return U(1 << 63 | 9)
    return U(1 << 63 | 1) if enabled & SSI != U(0) else U(1 << 63 | 5)


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
def sret(c, pc):
    """Return from a supervisor trap."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    status = h[L.MSTATUS]
    trapped = h[L.PRIV] == U(L.PRIV_S) and status & TSR != U(0)
    if m[L.SUPERVISOR] == U(0) or h[L.PRIV] == U(L.PRIV_U) or trapped:
        return illegal(c, pc)
    h[L.PRIV] = (status >> U(8)) & U(1)
    h[L.MSTATUS] = (status & ~(SIE_BIT | SPP | MPRV)) | ((status >> U(4)) & SIE_BIT) | SPIE_BIT
    m[L.NEXT_PC] = h[L.SEPC]
    return JUMPED


@njit
def sfence(c, pc):
    """Do nothing: the TLBs keep up with the page tables by themselves, see native/paging.py."""
    h = words_at(c, HART)
    trapped = h[L.PRIV] == U(L.PRIV_S) and h[L.MSTATUS] & TVM != U(0)
    if words_at(c, MACH)[L.SUPERVISOR] == U(0) or h[L.PRIV] == U(L.PRIV_U) or trapped:
        return illegal(c, pc)
    return DONE


@njit
def wfi(c, pc):
    """Wait for an interrupt: retire, then stand still until one that is enabled is pending.

    In U mode the instruction is illegal, as on QEMU's harts, which have S mode (privileged spec 3.3.3 allows it).
    """
    h = words_at(c, HART)
    if h[L.PRIV] == U(L.PRIV_U) or (h[L.PRIV] == U(L.PRIV_S) and h[L.MSTATUS] & TW != U(0)):
        return illegal(c, pc)
    if h[L.MIP] & h[L.MIE] == U(0):
        h[L.WFI] = U(1)
    return DONE_OUT


@njit
def ecall(c):
    """Call the environment, which may be the host."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    if m[L.SBI] != U(0) and h[L.PRIV] == U(L.PRIV_S):
        if m[L.CALLED] != U(0):
            m[L.CALLED] = U(0)
            return DONE_OUT
        m[L.STATUS] = EXIT_SBI
        return EXITED
    return fault(c, U(8) + h[L.PRIV], U(0))


@njit
def ebreak(c, pc):
    """Trap into the debugger, or call the host.

    The semihosting sequence is slli x0, x0, 0x1f; ebreak; srai x0, x0, 7, uncompressed.
    """
    m = words_at(c, MACH)
    if m[L.CALLED] != U(0):
        m[L.CALLED] = U(0)
        return DONE_OUT
    if m[L.SEMIHOSTING] != U(0):
        before = code_word(c, pc - U(4))
        here = code_word(c, pc)
        behind = code_word(c, pc + U(4))
        if before == U(0x01F01013) and here == U(0x00100073) and behind == U(0x40705013):
            m[L.STATUS] = EXIT_SEMIHOST
            return EXITED
    return fault(c, U(3), pc)
