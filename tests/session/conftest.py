"""One small guest, over the list of its states and over its trace."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from rrdbg_core.replay.console_input import BytesInput

import rrdbg
from rrdbg.session.api import Session

from .history import History, record
from .model import session_over
from .programs import Guest, guest
from .traces import make_trace

COUNTER = """
_start:
    la sp, stack_top
    la t0, handler
    csrw mtvec, t0
    la s0, counter
    li s2, 3
again:
    jal ra, bump
    addi s2, s2, -1
    bnez s2, again
    ecall
    li t0, 0x10000000
    li t1, 0x3e
    sb t1, 0(t0)
poll:
    lbu t1, 5(t0)
    andi t1, t1, 1
    beqz t1, poll
    lbu t1, 0(t0)
    sb t1, 0(t0)
    li t0, 0x100000
    li t1, 0x73333
    sw t1, 0(t0)
stay:
    j stay
handler:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
bump:
    ld a0, 0(s0)
    addi a0, a0, 5
    sd a0, 0(s0)
    jalr zero, 0(ra)
counter:
    .dword 0
text:
    .dword 0x6f6c6c6548
stack:
    .dword 0, 0, 0, 0
stack_top:
    .dword 0
"""
"""Adds 5 to a counter three times, makes an ecall, prints ">", echoes a byte, and exits with code 7."""


@cache
def counter_guest() -> Guest:
    return guest(
        COUNTER, functions=("_start", "handler", "bump"), objects={"counter": 8, "text": 8, "stack": 32}
    )  # fmt: skip


@pytest.fixture
def counter() -> Guest:
    return counter_guest()


@pytest.fixture(scope="session")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trace of the counting guest; tests that write bookmarks copy it."""
    path = tmp_path_factory.mktemp("counter") / "counter.rrt"
    recording = make_trace(counter_guest().elf, path, console=BytesInput(b"x"))
    assert recording.ending.exit_code == 7
    return path


@pytest.fixture(scope="session")
def history(trace: Path) -> History:
    """All states of the counting guest."""
    from rrdbg_core.trace import Trace

    file = Trace.open(trace)
    events = list(file.events)
    file.close()
    return record(counter_guest().elf, events)


@pytest.fixture(params=["states", "trace"])
def session(request: pytest.FixtureRequest, trace: Path, history: History, tmp_path: Path) -> Iterator[Session]:
    """A session over the counting guest."""
    if request.param == "states":
        yield session_over(history, tmp_path)  # type: ignore[misc]
        return
    copy = tmp_path / "counter.rrt"
    copy.write_bytes(trace.read_bytes())
    with rrdbg.open(copy) as opened:
        yield opened
