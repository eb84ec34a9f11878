"""Interrupts at the worst moments: motions from every position around them, against the list of all states."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from rrdbg.session.api import NotFound, Stop

from .history import History, record
from .model import session_over
from .naive import Ended, Naive, NaivePoint
from .programs import Guest, guest

PROGRAM = """
_start:
    la sp, stack_top
    la t0, handler
    csrw mtvec, t0
    la s0, data
    li t0, 0x200BFF8
    ld t1, 0(t0)
    addi t1, t1, 1
    li t0, 0x2004000
    sd t1, 0(t0)
    li t1, 0x80
    csrs mie, t1
    li t1, 8
    csrs mstatus, t1
{nops}
call:
    jal ra, outer
after:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
stay:
    j stay
outer:
    addi sp, sp, -16
    sd ra, 8(sp)
    li a0, 2
inner_call:
    jal ra, leaf
    addi a0, a0, -1
again:
    bnez a0, inner_call
trap:
    ecall
back:
    ld ra, 8(sp)
    addi sp, sp, 16
out:
    jalr zero, 0(ra)
leaf:
    ld a1, 0(s0)
    addi a1, a1, 1
store:
    sd a1, 0(s0)
leave:
    jalr zero, 0(ra)
never:
    jal ra, leaf
handler:
    addi sp, sp, -16
    sd t0, 8(sp)
    csrr t0, mcause
    blt t0, zero, interrupt
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    j done
interrupt:
    li t0, 0x2004000
    sd t0, 0(t0)
    jal t0, nested
    addi sp, sp, 16
done:
    ld t0, 8(sp)
    addi sp, sp, 16
    mret
nested:
    addi sp, sp, -16
    jalr zero, 0(t0)
data:
    .dword 0
stack:
    .dword 0, 0, 0, 0, 0, 0, 0, 0
stack_top:
    .dword 0
"""
FUNCTIONS = ("_start", "outer", "leaf", "handler", "nested")
PLACES = ("call", "outer", "leaf", "store", "leave", "inner_call", "again", "trap", "back", "out", "after")


def build(nops: int) -> Guest:
    return guest(PROGRAM.format(nops="    nop\n" * nops), functions=FUNCTIONS, objects={"data": 8, "stack": 64})


@cache
def interrupted_at(place: str) -> tuple[Guest, History]:
    """Return the program in which the timer interrupt comes just before the instruction at a label."""
    waiting = record(build(300).elf, limit=400)
    due = next(n for n in range(waiting.end) if waiting.interrupt(n))
    quick = build(0)
    undisturbed = record(quick.elf)
    assert undisturbed.end < due
    reached = next(n for n in range(undisturbed.end) if undisturbed.pc(n) == quick.symbols[place])
    found = build(due - reached)
    history = record(found.elf)
    assert history.interrupt(due)
    assert history.pc(due) == found.symbols[place]
    return found, history


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_from_every_position(place: str, watched: bool, tmp_path: Path) -> None:
    found, history = interrupted_at(place)
    due = next(n for n in range(history.end) if history.interrupt(n))
    session = session_over(history, tmp_path)
    points = []
    if watched:
        session.add_watch("data")
        points.append(NaivePoint(1, "watch", found.symbols["data"], 8))
    motions = {
        "nexti": (session.nexti, Naive.nexti),
        "reverse-nexti": (session.reverse_nexti, Naive.reverse_nexti),
        "finish": (session.finish, Naive.finish),
        "reverse-finish": (session.reverse_finish, Naive.reverse_finish),
    }
    for position in (0, *range(due - 6, min(due + 45, history.end + 1)), history.end):
        for name, (real, expected) in motions.items():
            session.goto(position)
            naive = Naive(history, points, position)
            wanted = expected(naive)
            try:
                stop: Stop | None = real()
            except NotFound:
                stop = None
            reason = "hit" if stop and stop.points else stop.reason.value if stop else ""
            got = Ended(stop.when.icount, frozenset(stop.points), reason) if stop else None
            assert got == wanted, f"{name} from {position} in {session.locate(history.pc(position)).text}"
