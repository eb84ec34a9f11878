"""Single steps of a program that is interrupted all the time: as if it were not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rrdbg
from rrdbg.gdb.interrupts import Here, Stepper
from rrdbg.session.api import Session, StopReason
from tests.gdb.recordings import compile_program, needs_gcc, record

pytestmark = needs_gcc
Walk = list[tuple[int, int]]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ticks")
    return record(compile_program("ticks", "-Og", folder), folder)


@pytest.fixture
def session(trace: Path) -> Iterator[Session]:
    with rrdbg.open(trace) as opened:
        yield opened


def program_of(session: Session, lo: int, hi: int) -> Walk:
    """Return the instructions of the program without its interrupt handlers: position and pc, by every single step."""
    found: Walk = []
    depth = 0
    traps: list[bool] = []
    for row in session.iter_steps(lo, hi):
        if (depth == 0 and not row.trap) or (depth == 0 and "interrupt" not in row.trap):
            found.append((row.icount, row.pc))
        if row.trap:
            traps.append("interrupt" in row.trap)
        elif row.text == "mret" and traps:
            traps.pop()
        depth = sum(traps)
    return found


def test_forwards_and_back(session: Session) -> None:
    main = session.add_break("work")
    session.continue_()
    session.delete_point(main.number)
    start = session.icount
    wanted = program_of(session, start, start + 2500)
    assert len(wanted) < 2000  # interrupts took the rest
    stepper = Stepper(session, Here(session))
    there: Walk = []
    while session.icount < wanted[-1][0]:
        there.append((session.icount, session.pc))
        assert stepper.step().reason is StopReason.STEP
    passed = {(icount, pc) for icount, pc in wanted}
    # a step ends where the next instruction is due, before an interrupt that may come first
    assert [pc for _, pc in there] == [pc for _, pc in wanted[: len(there)]]
    back: Walk = []
    for _ in there:
        assert stepper.step_back().reason is StopReason.STEP
        back.append((session.icount, session.pc))
    assert [pc for _, pc in reversed(back)] == [pc for _, pc in there]
    assert set(back) <= passed | set(there)
    assert session.icount >= start
    assert not session.points()


def test_ranges(session: Session) -> None:
    session.goto("40%")
    stepper = Stepper(session, Here(session))
    for _ in range(12):
        start = session.icount
        lo, hi = session.pc - 12, session.pc + 12
        wanted = next(pc for _, pc in program_of(session, start + 1, start + 4000) if not lo <= pc < hi)
        assert stepper.step_range(lo, hi).when.pc == wanted
        assert session.icount > start


def test_a_breakpoint_in_the_handler_stops(session: Session) -> None:
    session.goto("50%")
    session.add_break("handler")
    stepper = Stepper(session, Here(session))
    stops = [stepper.step() for _ in range(400)]
    hits = [stop for stop in stops if stop.reason is StopReason.BREAKPOINT]
    assert hits
    assert {stop.when.location.symbol for stop in hits} == {"handler"}
    while (stop := stepper.step_back()).reason is StopReason.STEP:
        pass
    assert stop.reason is StopReason.BREAKPOINT


def test_into_interrupts_when_told(session: Session) -> None:
    session.goto("50%")
    stepper = Stepper(session, Here(session))
    stepper.over_interrupts = False
    start = session.icount
    for _ in range(300):
        stepper.step()
    assert session.icount == start + 300
    for _ in range(300):
        stepper.step_back()
    assert session.icount == start
