"""Backtraces in handlers that were trapped themselves: what has returned since is no frame any more."""

from __future__ import annotations

from pathlib import Path

import pytest

import rrdbg
from rrdbg.session.api import Session

from .programs import guest
from .traces import make_trace

PROGRAM = """
_start:
    la sp, stack
    la t0, handler
    csrw mtvec, t0
    jal ra, work
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
stay:
    j stay
work:
    addi sp, sp, -16
    sd ra, 8(sp)
asks:
    ecall
    ld ra, 8(sp)
    addi sp, sp, 16
    jalr zero, 0(ra)
handler:
    csrr t5, mscratch
    bnez t5, inner
    csrr s5, mepc
    li t5, 1
    csrw mscratch, t5
    ecall
between:
    nop
    li t5, 1
    csrw mscratch, t5
    ebreak
again:
    nop
    addi s5, s5, 4
    csrw mepc, s5
    li t5, 0x1800
    csrs mstatus, t5
    mret
inner:
    csrw mscratch, zero
    csrr t5, mepc
    addi t5, t5, 4
    csrw mepc, t5
    mret
data:
    .dword 0, 0, 0, 0, 0, 0, 0, 0
stack:
    .dword 0
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = guest(PROGRAM, functions=("_start", "work", "handler", "inner"), objects={"data": 64})
    make_trace(made.elf, tmp_path / "run.rrt")
    return rrdbg.open(tmp_path / "run.rrt")


def stack(session: Session) -> list[tuple[str, str]]:
    """Return the backtrace as functions, and in front of those that a trap interrupted, the trap."""
    return [(frame.location.symbol, frame.trap) for frame in session.backtrace()]


def test_what_returned_is_gone_and_what_did_not_is_there(session: Session) -> None:
    call, stop = "exception ecall-m", "exception breakpoint"
    outer = [("handler", ""), ("work", call), ("_start", "")]
    with session:
        seen = []
        for row in list(session.iter_steps(0, session.info().end)):
            session.goto(row.icount)
            seen.append((row.text, stack(session)))
    inside = seen.index(("ecall", [("work", ""), ("_start", "")])) + 1
    outside = next(n for n in range(inside, len(seen)) if seen[n][1][0][0] == "work")
    handled = seen[inside:outside]
    nested = [there for _, there in handled if there != outer]
    # in `inner`, and in front of the branch to it: once for the ecall, once for the ebreak
    assert [there[1:] for there in nested] == [
        [("handler", trap), *outer[1:]] for trap in (call, stop) for _ in range(7)
    ]
    assert [there[0][0] for there in nested] == 2 * ["handler", "handler", *5 * ["inner"]]
    assert [text for text, there in handled if there == outer].count("nop") == 2
