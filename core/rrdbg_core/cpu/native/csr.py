"""Control and status registers, privileged spec chapters 2 and 3."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import words_at
from rrdbg_core.cpu.native.devices import mtime, start_stimer
from rrdbg_core.cpu.native.names import (
    ADUE,
    DONE,
    DONE_OUT,
    FIOM,
    FS,
    HART,
    INTERRUPTS,
    MACH,
    MIE_BIT,
    MPIE_BIT,
    MPP,
    MPRV,
    MSTATUS_WRITABLE,
    MXR,
    S_EXCEPTIONS,
    S_INTERRUPTS,
    SD,
    SEI,
    SIE_BIT,
    SPIE_BIT,
    SPP,
    SSI,
    SSTATUS_WRITABLE,
    STCE,
    STI,
    SXL,
    TSR,
    TVM,
    UXL,
    U,
)
from rrdbg_core.cpu.native.paging import flush_translations
from rrdbg_core.cpu.native.pmp import pmp_write
from rrdbg_core.cpu.native.traps import illegal
from rrdbg_core.cpu.pipeline import njit
from rrdbg_core.isa.csr import MISA, MISA_FD, MISA_S

HARMLESS = MIE_BIT | MPIE_BIT | MPP | SIE_BIT | SPIE_BIT | SPP | FS
"""Bits of mstatus that no translation depends on, without MPRV."""


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
def supervisor_csr_exists(h, number):
    """Return True if a machine with S mode has the register, one without has not, and nothing else forbids it."""
    s_mode = h[L.PRIV] == U(L.PRIV_S)
    if number == U(0x180):
        return not s_mode or h[L.MSTATUS] & TVM == U(0)
    if number == U(0x14D):
        return not s_mode or (h[L.MCOUNTEREN] & U(2) != U(0) and h[L.MENVCFG] & STCE != U(0))
    if number >= U(0x104) and number <= U(0x106):
        return True
    return number == U(0x144) or number == U(0x100) or number == U(0x10A) or number == U(0x302) or number == U(0x303)


@njit
def counter_enabled(h, m, bit):
    """Return True if the present privilege may read one of the counters that all may have."""
    if h[L.PRIV] == U(L.PRIV_M):
        return True
    enabled = h[L.MCOUNTEREN]
    if h[L.PRIV] == U(L.PRIV_U) and m[L.SUPERVISOR] != U(0):
        enabled &= h[L.SCOUNTEREN]
    return (enabled >> bit) & U(1) != U(0)


@njit
def csr_exists(c, number):
    """Return True if the hart may name the register at all at its privilege."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    priv = h[L.PRIV]
    if number <= U(3):
        return number != U(0) and h[L.MSTATUS] & FS != U(0)
    if (number >> U(8)) & U(3) > priv:
        return False
    if number >= U(0xC00) and number <= U(0xC1F):
        return counter_enabled(h, m, number & U(31))
    if m[L.SUPERVISOR] != U(0) and supervisor_csr_exists(h, number):
        return True
    if number >= U(0xB00) and number <= U(0xB1F):
        return number != U(0xB01)
    if number >= U(0x323) and number <= U(0x33F):
        return True
    if number >= U(0x3B0) and number <= U(0x3BF):
        return True
    if number >= U(0x300) and number <= U(0x306):
        return number != U(0x302) and number != U(0x303)
    if number >= U(0xF11) and number <= U(0xF15):
        return True
    if number >= U(0x7A0) and number <= U(0x7A3):
        return True
    return number == U(0x344) or number == U(0x30A) or number == U(0x320) or number == U(0x3A0) or number == U(0x3A2)


@njit
def supervisor_csr(h, number):
    """Return the value of a register that only a machine with S mode has."""
    if number == U(0x104):
        return h[L.MIE] & h[L.MIDELEG]
    if number == U(0x105):
        return h[L.STVEC]
    if number == U(0x106):
        return h[L.SCOUNTEREN]
    if number == U(0x10A):
        return h[L.SENVCFG]
    if number == U(0x144):
        return h[L.MIP] & h[L.MIDELEG]
    if number == U(0x14D):
        return h[L.STIMECMP]
    if number == U(0x180):
        return h[L.SATP]
    return h[L.MEDELEG] if number == U(0x302) else h[L.MIDELEG]


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
        return mtime(m, icount)
    if number == U(0x300) or number == U(0x100):
        status = h[L.MSTATUS] | UXL | (SD if h[L.MSTATUS] & FS == FS else U(0))
        if number == U(0x100):
            return status & (SSTATUS_WRITABLE | FS | UXL | SD)
        return status | SXL if m[L.SUPERVISOR] != U(0) else status
    if number == U(0x301):
        isa = U(MISA) | (U(MISA_FD) if m[L.FLOAT] != U(0) else U(0))
        return isa | U(MISA_S) if m[L.SUPERVISOR] != U(0) else isa
    if number == U(1):
        return h[L.FCSR] & U(31)
    if number == U(2):
        return h[L.FCSR] >> U(5)
    if number == U(3):
        return h[L.FCSR]
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
    if number == U(0x344):
        return h[L.MIP]
    if number >= U(0x100) and number <= U(0x303):
        return supervisor_csr(h, number)
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
def set_status(c, value):
    """Set mstatus on a machine with S mode: what S mode may read is in the TLBs, SUM chooses one of them."""
    h = words_at(c, HART)
    changed = h[L.MSTATUS] ^ value
    h[L.MSTATUS] = value
    if changed & MXR != U(0):
        flush_translations(c)


@njit
def write_supervisor(c, number, value, icount):
    """Write a register that a machine with S mode has, or has otherwise; return True if it is one."""
    h = words_at(c, HART)
    floats = words_at(c, MACH)[L.FLOAT]
    if number == U(0x100):
        mask = SSTATUS_WRITABLE | floats
        set_status(c, (h[L.MSTATUS] & ~mask) | (value & mask))
    elif number == U(0x300):
        if value & MPP == U(2 << 11):
            value &= ~MPP  # there is no such mode
        set_status(c, value & (MSTATUS_WRITABLE | SSTATUS_WRITABLE | TVM | TSR | floats))
    elif number == U(0x104):
        h[L.MIE] = (h[L.MIE] & ~h[L.MIDELEG]) | (value & h[L.MIDELEG])
    elif number == U(0x304):
        h[L.MIE] = value & (INTERRUPTS | S_INTERRUPTS)
    elif number == U(0x144):
        mask = h[L.MIDELEG] & SSI
        h[L.MIP] = (h[L.MIP] & ~mask) | (value & mask)
    elif number == U(0x344):
        mask = SSI | SEI
        if h[L.MENVCFG] & STCE == U(0):
            mask |= STI
        h[L.MIP] = (h[L.MIP] & ~mask) | (value & mask) | h[L.SEIP_LINE]
        h[L.SEIP] = value & SEI
    elif number == U(0x105):
        h[L.STVEC] = value & ~U(2)
    elif number == U(0x106):
        h[L.SCOUNTEREN] = value & U(0xFFFFFFFF)
    elif number == U(0x10A):
        h[L.SENVCFG] = value & FIOM
    elif number == U(0x30A):
        started = value & ~h[L.MENVCFG] & STCE
        h[L.MENVCFG] = value & (FIOM | ADUE | STCE)
        if started != U(0):
            start_stimer(c, icount)
        elif value & STCE == U(0):
            h[L.STIMER] = U(0)
    elif number == U(0x14D):
        h[L.STIMECMP] = value
        start_stimer(c, icount)
    elif number == U(0x180):
        mode = value >> U(60)
        if mode == U(0) or (mode >= U(8) and mode <= U(10)):
            if h[L.SATP] != value:
                flush_translations(c)
            h[L.SATP] = value
    elif number == U(0x302):
        h[L.MEDELEG] = value & S_EXCEPTIONS
    elif number == U(0x303):
        h[L.MIDELEG] = value & S_INTERRUPTS
    else:
        return False
    return True


@njit
def csr_write(c, number, value, icount):
    """Write a register that exists; what it does not hold is ignored (WARL)."""
    h = words_at(c, HART)
    if words_at(c, MACH)[L.SUPERVISOR] != U(0) and write_supervisor(c, number, value, icount):
        return
    if number == U(0x300):
        if (value >> U(11)) & U(3) != U(3):
            value &= ~MPP  # only U and M exist
        h[L.MSTATUS] = value & (MSTATUS_WRITABLE | words_at(c, MACH)[L.FLOAT])
    elif number <= U(3):
        if number == U(1):
            value = h[L.FCSR] & U(7 << 5) | value & U(31)
        elif number == U(2):
            value = h[L.FCSR] & U(31) | (value & U(7)) << U(5)
        h[L.FCSR] = value & U(0xFF)
        h[L.MSTATUS] |= FS
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
    elif number == U(0xB00):
        set_counter(h, L.MCYCLE, U(1), value, icount)
    elif number == U(0xB02):
        set_counter(h, L.MINSTRET, U(4), value, icount)
    elif number == U(0x3A0) or number == U(0x3A2) or (number >= U(0x3B0) and number <= U(0x3BF)):
        pmp_write(c, number, value)


@njit
def changed(funct3, held, operand):
    """Return what csrrw, csrrs or csrrc, by the low bits of its funct3, makes of a register."""
    if funct3 & U(3) == U(2):
        return held | operand
    return held & ~operand if funct3 & U(3) == U(3) else operand


@njit
def trap_word(c, number):
    """Return the word of a register that trap handlers use and nothing else depends on; 0: it is not one, or not here.

    These are xscratch, xepc, xcause and xtval: most accesses are to them.
    """
    h = words_at(c, HART)
    which = (number + U(3)) & U(3)
    if number & ~U(3) == U(0x340):
        return U(L.MEPC) + which if h[L.PRIV] == U(L.PRIV_M) else U(0)
    if number & ~U(3) == U(0x140) and h[L.PRIV] != U(L.PRIV_U) and words_at(c, MACH)[L.SUPERVISOR] != U(0):
        return U(L.SEPC) + which
    return U(0)


@njit
def goes_on(h, number, status):
    """Return True if what follows a write may follow at once: no interrupt is pending, nothing is translated anew.

    Args:
        h: The hart.
        number: The register that was written.
        status: mstatus before that.
    """
    if (number != U(0x100) and number != U(0x300)) or h[L.MIP] & h[L.MIE] != U(0):
        return False
    return ((status ^ h[L.MSTATUS]) & ~HARMLESS) | (h[L.MSTATUS] & MPRV) == U(0)


@njit
def csr(c, slot, pc, left):
    """Do one of the six CSR instructions."""
    h = words_at(c, HART)
    number = (slot >> U(32)) & U(0xFFF)
    funct3 = (slot >> U(44)) & U(7)
    rs1 = (slot >> U(16)) & U(63)
    operand = rs1 if funct3 & U(4) != U(0) else h[rs1]
    writes = funct3 & U(3) == U(1) or rs1 != U(0)
    place = trap_word(c, number)
    if place != U(0):
        old = h[place]
        if writes:
            value = changed(funct3, old, operand)
            h[place] = value & ~U(1) if number & U(3) == U(1) else value
        h[(slot >> U(8)) & U(63)] = old
        return DONE
    if not csr_exists(c, number) or (writes and number >> U(10) == U(3)):
        return illegal(c, pc)
    icount = words_at(c, MACH)[L.INNER_LIMIT] - left - U(1)
    old = csr_read(c, number, icount)
    status = h[L.MSTATUS]
    if writes:
        held = old
        if number == U(0x344):
            held = (old & ~SEI) | h[L.SEIP]  # of SEIP only what software wrote comes back, privileged spec 3.1.9
        csr_write(c, number, changed(funct3, held, operand), icount)
    h[(slot >> U(8)) & U(63)] = old
    return DONE_OUT if writes and not goes_on(h, number, status) else DONE
