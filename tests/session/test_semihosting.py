"""A semihosting call changes a register behind the hart's back: the host answers in a0."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rrdbg
from rrdbg.session.api import Session, StopReason

from .history import History, record
from .model import session_over
from .programs import guest
from .traces import make_trace

PROGRAM = """
_start:
    nop
    li a0, 0x13
    li a1, 0
    slli zero, zero, 0x1f
    ebreak
    srai zero, zero, 7
    mv a2, a0
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
stay:
    j stay
"""
EBREAK = 4


@pytest.fixture(scope="module")
def history() -> History:
    found = record(guest(PROGRAM, functions=("_start",)).elf)
    assert found.steps[EBREAK].cause is None
    assert found.x(EBREAK, 10) == 0x13 != found.x(EBREAK + 1, 10)
    return found


@pytest.fixture(params=["states", "trace"])
def session(request: pytest.FixtureRequest, history: History, tmp_path: Path) -> Iterator[Session]:
    if request.param == "states":
        yield session_over(history, tmp_path)  # type: ignore[misc]
        return
    make_trace(guest(PROGRAM, functions=("_start",)).elf, tmp_path / "run.rrt")
    with rrdbg.open(tmp_path / "run.rrt") as opened:
        yield opened


def test_the_answer_is_a_register_write(session: Session, history: History) -> None:
    session.goto("end")
    row = session.step_rows(EBREAK, 1)[0]
    assert row.text == "ebreak"
    assert row.registers == (("a0", history.x(EBREAK + 1, 10)),)
    assert session.icount == history.end


def test_the_answer_is_watched(session: Session, history: History) -> None:
    values = 0x13, history.x(EBREAK + 1, 10)
    session.goto(2)
    session.add_watch("$a0")
    stop = session.continue_()
    assert (stop.reason, stop.when.icount) == (StopReason.WATCHPOINT, EBREAK + 1), stop.text
    assert (stop.old, stop.new) == values
    session.goto("end")
    stop = session.reverse_continue()
    assert stop.when.icount == EBREAK
    assert (stop.old, stop.new) == values
