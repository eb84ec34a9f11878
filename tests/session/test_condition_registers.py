"""What a condition and a look at a register say is what the guest itself reads there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rrdbg_core.cpu.condition import Condition, reader, register
from rrdbg_core.isa.csr import NUMBERS

import rrdbg

from .programs import guest
from .traces import make_trace

CSRS = sorted(name for name in NUMBERS if register(name) is not None)
START = """
_start:
    la t0, handler
    csrw mtvec, t0
    li t0, {inhibited}
    csrw mcountinhibit, t0
    li t0, 0x123456789
    csrw mcycle, t0
    li t0, 0x987654321
    csrw minstret, t0
    li t0, 0x880
    csrw mie, t0
    li t0, 0x2000000
    li t1, 1
    sw t1, 0(t0)
    csrw mscratch, t0
    csrw pmpaddr3, t0
    ecall
    li t0, 0x27880
    csrw mstatus, t0
"""
END = """
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
stay:
    j stay
handler:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
"""


def _number(word: str) -> str:
    return hex(NUMBERS[word]) if word in NUMBERS else word


@pytest.mark.parametrize("inhibited", [0, 1, 4, 5])
def test_a_register_is_what_the_guest_reads(inhibited: int, tmp_path: Path) -> None:
    reads = "".join(f"    csrr a0, {name}\n" for name in CSRS)
    text = START.format(inhibited=inhibited) + reads + END
    # the assembler knows few of them by name
    text = re.sub(r"(csr[rw] .*)", lambda line: re.sub(r"\w+", lambda word: _number(word[0]), line[0]), text)
    made = guest(text, functions=("_start", "handler"))
    make_trace(made.elf, tmp_path / "run.rrt", isa="rv64gc")
    wrong, seen = [], set()
    with rrdbg.open(tmp_path / "run.rrt") as session:
        engine = session._engine  # type: ignore[attr-defined]
        for row in list(session.iter_steps(0, session.info().end)):
            found = re.fullmatch(r"csrr a0,(\w+)|rd(\w+) a0|fr(\w+) a0", row.text)
            if found is None:
                continue
            name = found[1] or found[2] or f"f{found[3]}"
            session.goto(row.icount)
            tree = register(name)
            assert tree is not None
            hart, mach = engine.hart.tolist(), engine.mach.tolist()
            judged = reader(Condition(tree))(hart, mach, session.pc, row.icount, lambda address, size: None)
            told = session.evaluate(f"${name}")
            session.stepi()
            read = session.evaluate("$a0")
            if not judged == told % (1 << 64) == read % (1 << 64):
                wrong.append((name, hex(judged), hex(told), hex(read)))
            seen.add(name)
    assert not wrong
    assert seen == set(CSRS)
