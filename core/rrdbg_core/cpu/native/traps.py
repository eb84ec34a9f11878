"""Traps, interrupts and the privileged instructions, privileged spec 3.1 to 3.3."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import bytes_at, load2, load4, words_at
from rrdbg_core.cpu.native.names import (
    DONE_OUT,
    EXIT_SEMIHOST,
    EXITED,
    HART,
    JUMPED,
    MACH,
    MIE_BIT,
    MPIE_BIT,
    MPP,
    MPRV,
    RAM,
    TRAPPED,
    TRAPS,
    U,
)
from rrdbg_core.cpu.native.pmp import in_ram
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
    m = words_at(c, MACH)
    offset = pc - m[L.RAM_BASE]
    ram = bytes_at(c, RAM)
    word = load2(ram, offset)
    if word & U(3) == U(3):
        word |= load2(ram, offset + U(2)) << U(16)
    return fault(c, U(2), word)


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
def ebreak(c, pc):
    """Trap into the debugger, or call the host.

    The semihosting sequence is slli x0, x0, 0x1f; ebreak; srai x0, x0, 7, uncompressed.
    """
    m = words_at(c, MACH)
    if m[L.SEMIHOSTED] != U(0):
        m[L.SEMIHOSTED] = U(0)
        return DONE_OUT
    if m[L.SEMIHOSTING] != U(0) and in_ram(m, pc - U(4), U(12)):
        ram = bytes_at(c, RAM)
        offset = pc - m[L.RAM_BASE]
        uncompressed = load4(ram, offset) == U(0x00100073)
        if uncompressed and load4(ram, offset - U(4)) == U(0x01F01013) and load4(ram, offset + U(4)) == U(0x40705013):
            m[L.STATUS] = EXIT_SEMIHOST
            return EXITED
    return fault(c, U(3), pc)
