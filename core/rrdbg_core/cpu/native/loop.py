"""The kernel's outer loop: what is due between stretches of dispatched instructions."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import dispatch, words_at
from rrdbg_core.cpu.native.devices import end_timers, mix, timer_due, warp_to_timer
from rrdbg_core.cpu.native.gates import judge_step
from rrdbg_core.cpu.native.names import (
    CHECK_BUFFER,
    CHECKS,
    EXIT_BREAK,
    EXIT_DRAIN,
    EXIT_LIMIT,
    EXIT_SERVED,
    EXIT_TRACKED,
    EXIT_WATCH,
    EXIT_WFI,
    EXITED,
    HART,
    JUMPED,
    MACH,
    NOWHERE,
    OUTPUT_BUFFER,
    SAMPLES,
    SERVED_MAX,
    TRAP_BUFFER,
    TRAPPED,
    U,
)
from rrdbg_core.cpu.native.paging import begin_translating, code_offset, grow_young
from rrdbg_core.cpu.native.pmp import exec_bank, tlb_bank
from rrdbg_core.cpu.native.traps import enter_trap, fault, pending_interrupt
from rrdbg_core.cpu.native.watch import after_step, before_step, caught
from rrdbg_core.cpu.pipeline import njit


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
    a = mix(a, h[L.MSCRATCH])
    if m[L.FLOAT] != U(0):
        i = U(0)
        while i < U(32):
            a = mix(a, h[U(L.F) + i])
            i += U(1)
        a = mix(a, h[L.FCSR])
    if m[L.SUPERVISOR] != U(0):
        a = mix(a, h[L.SATP])
        a = mix(a, h[L.SEPC])
        a = mix(a, h[L.SCAUSE])
        a = mix(a, h[L.SSCRATCH])
    return a


@njit
def buffers_full(m):
    """Return True if there is something for `Core` to do before the next step."""
    if m[L.STALE] != U(0) or m[L.NEWS] != U(0):
        return True
    if m[L.CHECKS] >= CHECK_BUFFER or m[L.TRAPS] >= TRAP_BUFFER or m[L.OUTPUT_ROWS] >= OUTPUT_BUFFER:
        return True
    return m[L.LOG_LIMIT] != U(0) and m[L.LOG_ROWS] >= m[L.LOG_LIMIT]


@njit
def next_stretch(c, icount, inner):
    """Return up to where the dispatch loop may run: to a window of samples, or for a step of it, or to `inner`."""
    m = words_at(c, MACH)
    period = m[L.WINDOW_PERIOD]
    start = m[L.WINDOW_AT]
    if icount < start:
        if start - icount <= period << U(1):
            return start if start < inner else inner
        start = icount  # the guest was put back
        m[L.WINDOW_AT] = start
    rows = m[L.SAMPLES]
    if icount - start >= U(L.WINDOW_STEPS) or rows + U(2) > U(L.SAMPLE_BUFFER):
        # a pseudo-random distance, so that the windows do not fall into step with the guest
        distance = (icount * U(0x9E3779B97F4A7C15)) >> U(32)
        m[L.WINDOW_AT] = icount + (period >> U(1)) + (distance * period >> U(32))
        return inner
    samples = words_at(c, SAMPLES)
    pc = words_at(c, HART)[L.PC]
    place = code_offset(c, pc) + m[L.RAM_BASE]
    if icount == start or pc - place != m[L.SAMPLE_DELTA]:
        # regions are made for code that lies in one piece, wherever that is mapped
        m[L.SAMPLE_DELTA] = pc - place
        samples[rows] = U(0)
        rows += U(1)
    if m[L.MMIO_STATE] < U(2):  # else the step was noted when it was begun
        samples[rows] = place
        rows += U(1)
    m[L.SAMPLES] = rows
    return icount + U(1)


@njit
def kernel(c, limit):
    """Run until icount is `limit`, or until the machine or the debugger has to do something; return why."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    while True:
        icount = m[L.ICOUNT]
        if icount >= limit:
            return EXIT_LIMIT
        if buffers_full(m):
            return EXIT_DRAIN
        if m[L.SERVED] >= SERVED_MAX:
            return EXIT_SERVED
        due = timer_due(c)
        while due <= icount or (due != NOWHERE and warp_to_timer(c, icount)):
            end_timers(c, icount)
            due = timer_due(c)
        begin_translating(c)
        if m[L.MMIO_STATE] < U(2) and m[L.CALLED] == U(0):  # else the step has been begun: its PTEs are written
            m[L.HIT_INDEX] = U(0)
            m[L.HIT_MORE] = U(0)
            m[L.MATCHED] = U(0)
        m[L.TRACKED_HIT] = U(0)
        m[L.ACCESS_COUNT] = U(0)
        m[L.AGED] = U(0)
        if m[L.ALONE] != U(0):
            m[L.ALONE] = U(2)
        stepping = m[L.STEPPING]
        if stepping != U(0):
            before_step(c)
        cause = U(0)
        if m[L.MMIO_STATE] < U(2) and m[L.CALLED] == U(0):
            cause = pending_interrupt(h)
            if cause == U(0) and h[L.WFI] != U(0):
                if h[L.MIP] & h[L.MIE] == U(0):
                    return EXIT_WFI
                h[L.WFI] = U(0)
        if cause != U(0):
            h[L.WFI] = U(0)
            fault(c, cause, U(0))
            enter_trap(c, h[L.PC], icount)
            icount += U(1)
        else:
            inner = (icount | U(0xFFFF)) + U(1)
            if stepping != U(0) or m[L.ALONE] != U(0):
                inner = icount + U(1)
            elif m[L.WINDOW_PERIOD] != U(0):
                inner = next_stretch(c, icount, inner)
            if inner > limit:
                inner = limit
            if inner > due:
                inner = due
            m[L.INNER_LIMIT] = inner
            s = dispatch(c, inner - icount, tlb_bank(h), exec_bank(h))
            icount = inner - h[L.LEFT]
            if m[L.ALONE] == U(2):
                m[L.ALONE] = U(0)
            if s == TRAPPED:
                cause = m[L.TRAP_CAUSE] + U(1)
                enter_trap(c, h[L.STOP_PC], icount - U(1))
            elif s == JUMPED:
                h[L.PC] = m[L.NEXT_PC]
            else:
                h[L.PC] = h[L.STOP_PC]
                if s == EXITED:
                    m[L.ICOUNT] = icount - U(1)
                    if m[L.ALONE] == U(3):
                        m[L.SKIP_BREAK] = icount
                    if m[L.STATUS] == EXIT_BREAK:
                        grow_young(c)
                    return m[L.STATUS]
        m[L.ICOUNT] = icount
        if icount & U(0xFFFF) == U(0):
            words_at(c, CHECKS)[m[L.CHECKS]] = check_word(c)
            m[L.CHECKS] += U(1)
        if stepping != U(0):
            after_step(c, cause)
        if m[L.CATCH] != U(0) and cause != U(0):
            caught(c, cause)
        if m[L.MATCHED] != U(0):
            judge_step(c, limit)
        if m[L.HIT_INDEX] != U(0):
            return EXIT_WATCH
        if m[L.TRACKED_HIT] != U(0):
            return EXIT_TRACKED
