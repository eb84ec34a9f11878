"""Gates: the condition and the count that stand between a hit and a stop.

A hit of a breakpoint is judged before its step. Any other hit is judged behind it, on the guest as it is at the next
position; where something is still to happen at that position (an event, a timer, a warp) the kernel cannot say, and
stops for those who can.
"""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.intrinsics import call_condition, words_at
from rrdbg_core.cpu.native.devices import timer_due
from rrdbg_core.cpu.native.names import BREAKS, GATES, HART, HOLDS, MACH, NO, UNJUDGED, U
from rrdbg_core.cpu.pipeline import njit


@njit
def remember(m, step, index):
    """Note the newest hit of a search."""
    m[L.LAST_HIT] = step
    m[L.LAST_HIT_INDEX] = index
    m[L.HITS] += U(1)


@njit
def verdict_of(c, gate, pc, icount):
    """Return whether a gate's condition holds."""
    function = words_at(c, GATES)[gate * U(L.GATE_WORDS) + U(L.GATE_CONDITION)]
    if function == U(0):
        return HOLDS
    return call_condition(function, c, pc, icount)


@njit
def found(c, gate, verdict, step, index):
    """Take in a hit of a search."""
    m = words_at(c, MACH)
    gates = words_at(c, GATES)
    row = gate * U(L.GATE_WORDS)
    if verdict == NO:
        return
    if gate == U(0) or verdict == UNJUDGED:
        gates[row + U(L.GATE_DOUBTS)] += U(1)
        remember(m, step, index)
        return
    if gates[row + U(L.GATE_PASSED)] < gates[row + U(L.GATE_IGNORE)]:
        gates[row + U(L.GATE_LAST)] = step
    gates[row + U(L.GATE_PASSED)] += U(1)


@njit
def stops(c, gate, verdict):
    """Return True if a hit stops the run, or may have to."""
    if verdict == UNJUDGED:
        return True
    return verdict == HOLDS and words_at(c, GATES)[gate * U(L.GATE_WORDS) + U(L.GATE_IGNORE)] == U(0)


@njit
def passed(c, gate):
    """Count a hit that is passed over."""
    gates = words_at(c, GATES)
    row = gate * U(L.GATE_WORDS)
    gates[row + U(L.GATE_IGNORE)] -= U(1)
    gates[row + U(L.GATE_PASSED)] += U(1)


@njit
def first_break(c, pc):
    """Return the first row of breakpoints whose address is not below `pc`."""
    rows = words_at(c, BREAKS)
    low = U(0)
    high = words_at(c, MACH)[L.BREAKS]
    while low < high:
        middle = (low + high) >> U(1)
        if rows[middle * U(L.BREAK_WORDS)] < pc:
            low = middle + U(1)
        else:
            high = middle
    return low


@njit
def break_stops(c, row, pc, icount):
    """Return True if a breakpoint from row `row` on stops before the instruction at `pc`; if none does, count them."""
    m = words_at(c, MACH)
    rows = words_at(c, BREAKS)
    gates = words_at(c, GATES)
    stop = False
    end = row
    while end < m[L.BREAKS] and rows[end * U(L.BREAK_WORDS)] == pc:
        gate = rows[end * U(L.BREAK_WORDS) + U(1)]
        verdict = verdict_of(c, gate, pc, icount)
        gates[gate * U(L.GATE_WORDS) + U(L.GATE_VERDICT)] = verdict
        if m[L.SEARCH] != U(0):
            found(c, gate, verdict, icount, U(0))
        elif stops(c, gate, verdict):
            stop = True
        end += U(1)
    if stop or m[L.SEARCH] != U(0):
        return stop
    while row < end:
        gate = rows[row * U(L.BREAK_WORDS) + U(1)]
        if gates[gate * U(L.GATE_WORDS) + U(L.GATE_VERDICT)] == HOLDS:
            passed(c, gate)
        row += U(1)
    return False


@njit
def came_to(c, gate, step, index, address, size, kind, old, new):
    """Take in that a step hits something: stop behind it at an open gate, look at others when the step is over."""
    m = words_at(c, MACH)
    if gate == U(0):
        if m[L.SEARCH] != U(0):
            remember(m, step, index)
        elif m[L.HIT_INDEX] == U(0):
            m[L.HIT_INDEX] = index
            m[L.HIT_ADDR] = address
            m[L.HIT_SIZE] = size
            m[L.HIT_KIND] = kind
            m[L.HIT_OLD] = old
            m[L.HIT_NEW] = new
        else:
            m[L.HIT_MORE] = U(1)
        return
    gates = words_at(c, GATES)
    row = gate * U(L.GATE_WORDS)
    if gates[row + U(L.GATE_STEP)] == step + U(1):
        m[L.HIT_MORE] = U(1)
        return
    gates[row + U(L.GATE_STEP)] = step + U(1)
    gates[row + U(L.GATE_NEXT)] = m[L.MATCHED]
    m[L.MATCHED] = gate
    row += U(L.GATE_HIT)
    gates[row] = address
    gates[row + U(1)] = size
    gates[row + U(2)] = kind
    gates[row + U(3)] = old
    gates[row + U(4)] = new
    gates[row + U(5)] = index


@njit
def judge_step(c, limit):
    """Judge the gates that the step has come to; if one stops the run, HIT_INDEX and what follows say what hit."""
    h = words_at(c, HART)
    m = words_at(c, MACH)
    gates = words_at(c, GATES)
    icount = m[L.ICOUNT]
    # nothing is due between this step and the next one
    due = m[L.DUE]
    if due == U(0):
        due = limit
    timer = timer_due(c)
    if timer < due:
        due = timer
    settled = icount < due and h[L.WFI] == U(0) and m[L.TRACKED_HIT] == U(0)
    stop = U(0)
    gate = m[L.MATCHED]
    while gate != U(0):
        row = gate * U(L.GATE_WORDS)
        verdict = verdict_of(c, gate, h[L.PC], icount) if settled else UNJUDGED
        gates[row + U(L.GATE_VERDICT)] = verdict
        if m[L.SEARCH] != U(0):
            found(c, gate, verdict, icount - U(1), gates[row + U(L.GATE_HIT + 5)])
        elif stops(c, gate, verdict):
            stop = gate  # the last one here was the first to be hit
        gate = gates[row + U(L.GATE_NEXT)]
    if m[L.SEARCH] != U(0):
        return
    if stop != U(0) and m[L.HIT_INDEX] == U(0):
        row = stop * U(L.GATE_WORDS) + U(L.GATE_HIT)
        m[L.HIT_ADDR] = gates[row]
        m[L.HIT_SIZE] = gates[row + U(1)]
        m[L.HIT_KIND] = gates[row + U(2)]
        m[L.HIT_OLD] = gates[row + U(3)]
        m[L.HIT_NEW] = gates[row + U(4)]
        m[L.HIT_INDEX] = gates[row + U(5)]
    if m[L.HIT_INDEX] != U(0):
        return  # whoever looks at the stop counts all of it
    gate = m[L.MATCHED]
    while gate != U(0):
        row = gate * U(L.GATE_WORDS)
        if gates[row + U(L.GATE_VERDICT)] == HOLDS:
            passed(c, gate)
        gate = gates[row + U(L.GATE_NEXT)]
