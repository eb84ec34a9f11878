"""What the kernel does of devices by itself, as they would: timer and software interrupts, and console output.

Guests poll the timer, set the next tick, poll the UART and print, and to leave the kernel costs as much as thousands of
steps. The state stays the devices' own, see devices/clint.py and devices/uart.py. What is not done here is left to
`device_access` in native/access.py, which asks the machine for it; with CLINT_AT and UART_AT at 0, everything is.
"""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import quotient, words_at
from rrdbg_core.cpu.native.names import (
    CLINT,
    CLINT_LINES,
    DONE,
    DONE_OUT,
    EXITED,
    HART,
    LAST_TICK,
    MACH,
    MTIME,
    MTIMECMP,
    NOWHERE,
    OUTPUT,
    OUTPUT_BUFFER,
    SERVED_MAX,
    STCE,
    STI,
    TIMEBASE_NS,
    TIMER_LINE,
    UART,
    U,
)
from rrdbg_core.cpu.pipeline import njit


@njit
def mix(a, b):
    """Fold `b` into the hash `a`: multiply and xor-shift, as in splitmix64."""
    a = (a ^ b) * U(0x9E3779B97F4A7C15)
    return a ^ (a >> U(29))


# ---- CLINT -----------------------------------------------------------------------------------------------------------
@njit
def clock_ticks(m, icount):
    """Return the virtual clock in ticks, at the begin of step `icount`."""
    return quotient((icount << m[L.SHIFT]) + m[L.WARP_NS], TIMEBASE_NS)


@njit
def mtime(m, icount):
    """Return the timer of the CLINT, at the begin of step `icount`."""
    return clock_ticks(m, icount) + m[L.TIME_OFFSET]


@njit
def first_deadline(c):
    """Return the deadline that comes first, of the CLINT's timer and S mode's, virtual ns plus one; 0 for none."""
    deadline = U(0)
    if words_at(c, MACH)[L.CLINT_AT] != U(0):
        deadline = words_at(c, CLINT)[L.CLINT_DEADLINE]
    other = words_at(c, HART)[L.STIMER]
    return other if other != U(0) and (deadline == U(0) or other < deadline) else deadline


@njit
def timer_due(c):
    """Return the first icount at which a timer's deadline has come; NOWHERE if there is none."""
    m = words_at(c, MACH)
    deadline = first_deadline(c)
    if deadline == U(0):
        return NOWHERE
    deadline -= U(1)
    if deadline <= m[L.WARP_NS]:
        return U(0)
    shift = m[L.SHIFT]
    return (deadline - m[L.WARP_NS] + (U(1) << shift) - U(1)) >> shift


@njit
def drive_lines(c, icount):
    """Set the CLINT's bits of mip; what changes tells in the check words."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    clint = words_at(c, CLINT)
    old = h[L.MIP]
    new = (old & ~CLINT_LINES) | clint[L.CLINT_MSIP] << U(3) | clint[L.CLINT_MTIP] << U(7)
    if new != old:
        h[L.MIP] = new
        m[L.ACC] = mix(mix(m[L.ACC], icount), new)


@njit
def end_timers(c, icount):
    """Raise the interrupts of the timers whose deadlines have come."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    first = first_deadline(c)
    if h[L.STIMER] == first:
        h[L.STIMER] = U(0)
        h[L.MIP] |= STI
    clint = words_at(c, CLINT)
    if m[L.CLINT_AT] != U(0) and clint[L.CLINT_DEADLINE] == first:
        clint[L.CLINT_MTIP] = U(1)
        clint[L.CLINT_DEADLINE] = U(0)
        m[L.CLINT_DEADLINES] += U(1)
        drive_lines(c, icount)


@njit
def warp_to_timer(c, icount):
    """Let an idle hart jump to the first deadline, if that wakes it and nothing else may happen; return whether."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    if icount >= m[L.IDLE_UNTIL] or h[L.WFI] == U(0) or m[L.CLINT_AT] == U(0):
        return False
    first = first_deadline(c)
    line = TIMER_LINE if words_at(c, CLINT)[L.CLINT_DEADLINE] == first else U(0)
    if h[L.STIMER] == first:
        line |= STI
    if h[L.MIP] & h[L.MIE] != U(0) or h[L.MIE] & line == U(0):
        return False
    m[L.WARP_NS] = first - U(1) - (icount << m[L.SHIFT])
    m[L.WARPS] += U(1)
    return True


@njit
def set_timer(c, compare, icount):
    """Set mtimecmp in step `icount`: raise or lower the timer interrupt, and start the timer."""
    m = words_at(c, MACH)
    clint = words_at(c, CLINT)
    clint[L.CLINT_MTIMECMP] = compare
    clint[L.CLINT_MTIP] = U(1)
    clint[L.CLINT_DEADLINE] = U(0)
    now = mtime(m, icount)
    if compare > now:
        clint[L.CLINT_MTIP] = U(0)
        ticks = compare - now
        if ticks <= LAST_TICK:
            ticks += clock_ticks(m, icount)
            if ticks <= LAST_TICK:
                clint[L.CLINT_DEADLINE] = ticks * TIMEBASE_NS + U(1)
    drive_lines(c, icount)


@njit
def start_stimer(c, icount):
    """Compare time and stimecmp in step `icount`: raise or lower S mode's timer interrupt, and start the timer."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    if h[L.MENVCFG] & STCE == U(0):
        return
    h[L.STIMER] = U(0)
    h[L.MIP] |= STI
    now = mtime(m, icount)
    compare = h[L.STIMECMP]
    if compare > now:
        h[L.MIP] &= ~STI
        ticks = compare - now
        if ticks <= LAST_TICK:
            ticks += clock_ticks(m, icount)
            if ticks <= LAST_TICK:
                h[L.STIMER] = ticks * TIMEBASE_NS + U(1)


# ---- UART ------------------------------------------------------------------------------------------------------------
@njit
def transmit(c, byte, icount):
    """Print a byte in step `icount`: DONE, or EXITED if more may follow from it."""
    m = words_at(c, MACH)
    uart = words_at(c, UART)
    if m[L.UART_PRINTS] == U(0) or uart[L.UART_LCR] & U(0x80) | uart[L.UART_MCR] & U(0x10) != U(0):
        return EXITED  # somebody waits for it, or it is the divisor, or it loops back
    enabled = uart[L.UART_IER]
    if enabled & U(2) != U(0) or (enabled & U(4) != U(0) and uart[L.UART_OVERRUN] != U(0)):
        return EXITED
    if enabled & U(1) != U(0) and uart[L.UART_DATA_READY] | uart[L.UART_TIMED_OUT] != U(0):
        return EXITED
    output = words_at(c, OUTPUT)
    rows = m[L.OUTPUT_ROWS]
    output[rows << U(1)] = icount
    output[(rows << U(1)) + U(1)] = byte
    m[L.OUTPUT_ROWS] = rows + U(1)
    uart[L.UART_TRANSMITTED] = U(1)
    return DONE


# ---- accesses --------------------------------------------------------------------------------------------------------
@njit
def done(m):
    """Count an access and return DONE; after many of them DONE_OUT, so that the machine can look about."""
    m[L.SERVED] += U(1)
    return DONE if m[L.SERVED] < SERVED_MAX else DONE_OUT


@njit
def load_device(c, address, size, icount):
    """Do a load of step `icount`, if it can be done here: DONE or DONE_OUT, the value in MMIO_VALUE; or EXITED."""
    m = words_at(c, MACH)
    if m[L.MMIO_STATE] >= U(2) or address & (size - U(1)) != U(0):
        return EXITED
    at = m[L.CLINT_AT]
    offset = address - at
    if at != U(0) and size >= U(4) and offset < MTIME + U(8):
        if offset >= MTIME:
            value = mtime(m, icount)
        elif offset - MTIMECMP < U(8):
            value = words_at(c, CLINT)[L.CLINT_MTIMECMP]
        elif offset == U(0) and size == U(4):
            value = words_at(c, CLINT)[L.CLINT_MSIP]
        else:
            return EXITED
        value >>= (offset & U(7)) << U(3)
        if size == U(4):
            value &= U(0xFFFFFFFF)
        m[L.CLINT_SERVED] += U(1)
    else:
        at = m[L.UART_AT]
        if at == U(0) or address != at + U(5) or words_at(c, UART)[L.UART_OVERRUN] != U(0):
            return EXITED
        value = U(0x60) | words_at(c, UART)[L.UART_DATA_READY]
        m[L.UART_SERVED] += U(1)
    m[L.ACC] = mix(mix(m[L.ACC], address), value)
    m[L.MMIO_VALUE] = value
    return done(m)


@njit
def store_device(c, address, size, value, icount):
    """Do a store of step `icount`, if it can be done here: DONE, DONE_OUT, or EXITED."""
    m = words_at(c, MACH)
    if m[L.MMIO_STATE] >= U(2) or address & (size - U(1)) != U(0):
        return EXITED
    at = m[L.CLINT_AT]
    offset = address - at
    if at != U(0) and size >= U(4) and offset < MTIMECMP + U(8):
        if offset >= MTIMECMP:
            if size == U(4):
                shift = (offset & U(4)) << U(3)
                kept = words_at(c, CLINT)[L.CLINT_MTIMECMP] & ~(U(0xFFFFFFFF) << shift)
                value = kept | value << shift
            set_timer(c, value, icount)
        elif offset == U(0) and size == U(4):
            words_at(c, CLINT)[L.CLINT_MSIP] = value & U(1)
            drive_lines(c, icount)
        else:
            return EXITED
        m[L.CLINT_SERVED] += U(1)
        done(m)
        return DONE_OUT
    at = m[L.UART_AT]
    if at == U(0) or address != at:
        return EXITED
    if transmit(c, value & U(0xFF), icount) == EXITED:
        return EXITED
    m[L.UART_SERVED] += U(1)
    return done(m) if m[L.OUTPUT_ROWS] < OUTPUT_BUFFER else DONE_OUT
