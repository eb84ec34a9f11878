"""Backtraces, against the calls, returns and traps of the whole run, against gdb, and where there is no CFI."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

import rrdbg
from rrdbg.session.decoding import instruction
from rrdbg.session.session import TraceSession
from tests.gdb.driver import Gdb, needs_gdb

from .walks import Steps, build, needs_gcc, opened

pytestmark = needs_gcc


def shown(session: TraceSession) -> list[tuple[str, bool]]:
    """Return the functions on the stack without inlined calls, and which of them a trap interrupted."""
    found = []
    interrupted = False
    for frame in session.backtrace(200):
        interrupted = interrupted or bool(frame.trap)  # told of the innermost of inlined calls
        if not frame.inlined and not frame.tail_call:
            found.append((frame.location.symbol, interrupted))
            interrupted = False
    return found


def test_it_shows_the_calls_that_have_not_returned(session: TraceSession) -> None:
    steps = Steps(session)
    wrong = []
    for position in range(len(steps.pcs)):
        if steps.interrupts[position]:
            continue
        session.goto(position)
        if (got := shown(session)) != (expected := steps.names(position)):
            wrong.append((position, session.when().location.text, got, expected))
    assert not wrong, wrong[:3]
    assert any(trap for position in range(len(steps.pcs)) for _, trap in steps.names(position)) or not any(
        row.trap for row in steps.rows
    )


def test_registers_of_what_a_trap_interrupted(session: TraceSession) -> None:
    steps = Steps(session)
    taken = [row.icount for row in steps.rows if row.trap]
    for step in taken[:5]:
        session.goto(step)
        before = {row.name: row.value for row in session.registers()}
        session.goto(step + 12)
        number = next(frame.number for frame in session.backtrace() if frame.trap)
        frame = session.select_frame(number)
        assert frame.icount == step
        assert frame.pc == before["pc"]
        assert {row.name: row.value for row in session.registers()} == before
        session.stepi()
        assert session.frame == 0


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",)], ids="".join)
def test_without_debug_information(flags: tuple[str, ...], tmp_path: Path) -> None:
    """Neither CFI nor lines: the stack is read from code, and from the trace."""
    trace = build("walk", tmp_path, *flags, "-DPERIOD=60", "-fno-asynchronous-unwind-tables")
    with opened(trace) as session:
        steps = Steps(session)
        for position in random.Random(1).sample(range(len(steps.pcs)), 150):
            if steps.interrupts[position]:
                continue
            session.goto(position)
            assert shown(session)[:2] == steps.names(position)[:2], position


def test_a_stripped_program_has_frames_too(tmp_path: Path) -> None:
    trace = build("walk", tmp_path, "-O2", "-DPERIOD=60")
    elf = trace.with_suffix(".elf")
    stripped = tmp_path / "stripped.elf"
    subprocess.run(["riscv64-unknown-elf-strip", "-o", str(stripped), str(elf)], check=True)
    from tests.session.traces import make_trace

    make_trace(stripped.read_bytes(), tmp_path / "stripped.rrt")
    with opened(trace) as session:
        steps = Steps(session)
    lengths = {row.pc: instruction(row.insn, row.pc).length for row in steps.rows if row.insn}
    met = set()
    with rrdbg.open(tmp_path / "stripped.rrt") as session:
        for position in random.Random(2).sample(range(8, len(steps.pcs)), 60):
            if steps.interrupts[position]:
                continue
            session.goto(position)
            calls = [frame.at for frame in reversed(steps.stacks[position])]
            callers = [frame.pc for frame in session.backtrace()[1:]]
            assert len(callers) >= min(len(calls), 1)
            for call, caller in zip(calls, callers, strict=False):
                assert caller in (call, call + lengths[call])  # what a trap interrupted, what waits for a call
                met.add(caller - call)
    assert {2, 4} <= met


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize(("handler", "mode"), [("stuck", 0), ("entries", 0), ("entries", 1)])
def test_a_handler_that_does_not_return(handler: str, mode: int, pad: int, tmp_path: Path) -> None:
    """It has call frame information, which knows of no trap: that `mtvec` leads there says that one was taken."""
    flags = ("-Os", "-g", "-fno-optimize-sibling-calls", f"-DHANDLER={handler!r}".replace("'", '"'))
    with opened(build("stuck", tmp_path, *flags, f"-DPAD={pad}", f"-DMODE={mode}", until=400)) as session:
        assert session.lookup(handler).address % 8 == 4 * pad
        session.goto("end")
        shown = [(frame.function, frame.trap) for frame in session.backtrace()]
    assert shown == [("stuck", ""), ("deep", "exception breakpoint"), *2 * [("deep", "")], ("main", "")]


@needs_gdb
@pytest.mark.oracle
def test_gdb_shows_the_same(walk: Path, session: TraceSession) -> None:
    steps = Steps(session)
    positions = random.Random(3).sample(range(6, len(steps.pcs)), 40)
    with Gdb(walk) as gdb:
        for position in positions:
            if steps.interrupts[position] or any(frame.trap for frame in steps.stacks[position]):
                continue  # gdb knows nothing of traps
            session.goto(position)
            theirs = gdb.at(position, "bt")[0].splitlines()
            theirs = [line for line in theirs if not line.startswith("Backtrace stopped")]
            ours = [frame.text for frame in session.backtrace()]
            if ours != theirs:
                session._hide(session._beginning())  # gdb may stand before inlined calls that begin here
                ours = [frame.text for frame in session.backtrace()]
            assert ours == theirs, position
