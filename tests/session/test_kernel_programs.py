"""Programs at the same addresses, each with its own symbols: which ones hold is what the page tables say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rrdbg_core.cpu import layout as L

import rrdbg
from rrdbg.session.api import Session, StopReason
from tests.guests.manifest import elf

from .elf import Sym, make_elf
from .history import History
from .paged import CODE, PAGE, RAM, USER_CODE, paged, root_of
from .traces import make_trace

CODE_AT = 120
"""Where the segment begins in a file of `make_elf`."""
_ET_DYN = b"\3\0"


@dataclass(frozen=True)
class Run:
    trace: Path
    history: History
    files: list[Path]
    """Program of process A, of process B, and of none."""
    movable: list[Path]
    """The same, linked for address 0, to be loaded anywhere."""

    def process(self, position: int) -> int | None:
        """Return whose address space is chosen at a position, None: none."""
        satp = int(self.history.harts[position][L.SATP])
        return next((p for p in (0, 1) if satp >> 60 and root_of(p) >> 12 == satp & (1 << 44) - 1), None)


@pytest.fixture(scope="module", params=[1, 5])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("programs")
    program = paged(request.param)
    history = program.record(folder / "run.rrt")
    image = program.elf[CODE_AT:]
    files: list[Path] = []
    movable: list[Path] = []
    codes = [image[CODE + PAGE * p - RAM :][:PAGE].rstrip(b"\0") for p in (0, 1)]
    codes.append(codes[0][:-4] + b"\x13\0\0\0")
    for name, code in zip("abc", codes, strict=True):
        code += bytes(-len(code) % 4)
        for into, base in ((files, USER_CODE), (movable, 0)):
            data = make_elf(
                code, [Sym(f"{name}_main", base, 8), Sym(f"{name}_rest", base + 8, len(code) - 8)], base=base
            )
            if not base:
                data = data[:16] + _ET_DYN + data[18:]
            into.append(folder / f"{name}-{base:x}.elf")
            into[-1].write_bytes(data)
    return Run(folder / "run.rrt", history, files, movable)


@pytest.fixture(params=["fixed", "movable"])
def session(run: Run, request: pytest.FixtureRequest) -> Iterator[Session]:
    files = run.files if request.param == "fixed" else run.movable
    with rrdbg.open(run.trace, symbols=files) as opened:
        yield opened


def test_names_are_those_of_the_process_at_hand(run: Run, session: Session) -> None:
    seen = set()
    for position in range(0, session.end + 1, 3):
        session.goto(position)
        process = run.process(position)
        name = session.locate(USER_CODE + 8).symbol
        seen.add(process)
        if process is not None:
            assert name == f"{'ab'[process]}_rest", position
            if int(run.history.harts[position][L.PRIV]) == L.PRIV_U:
                assert session.when().location.symbol[:2] == f"{'ab'[process]}_", position
                assert session.backtrace(1)[0].function[:2] == f"{'ab'[process]}_"
    assert {0, 1} <= seen


def test_steps_are_named_by_the_process_that_made_them(run: Run, session: Session) -> None:
    seen = set()
    for row in session.iter_steps(0, session.end):
        process = run.process(row.icount)
        if row.priv == "U" and process is not None:
            assert row.location.symbol[:2] == f"{'ab'[process]}_", row
            seen.add(process)
    assert seen == {0, 1}


def visits(run: Run, process: int) -> list[int]:
    """Return the positions at which a process is about to execute its first instruction."""
    found = []
    for position in range(len(run.history.harts) - 1):
        hart, behind = run.history.harts[position], run.history.harts[position + 1]
        at_start = int(hart[L.PRIV]) == L.PRIV_U and int(hart[L.PC]) == USER_CODE
        if at_start and run.process(position) == process and int(behind[L.PC]) == USER_CODE + 4:
            found.append(position)
    return found


@pytest.mark.parametrize("process", [0, 1])
def test_a_breakpoint_in_a_program_that_is_not_at_hand(run: Run, process: int) -> None:
    expected = visits(run, process)
    assert expected
    with rrdbg.open(run.trace, symbols=run.files) as session:
        other = next(p for p in range(session.end) if run.process(p) == 1 - process)
        session.goto(other)
        session.add_break(f"{'ab'[process]}_main")
        stops = []
        session.goto(0)
        while session.continue_().reason is StopReason.BREAKPOINT:
            stops.append(session.icount)
        assert stops == [position for position in expected if position]
        back = []
        while session.reverse_continue().reason is StopReason.BREAKPOINT:
            back.append(session.icount)
        assert back == expected[::-1]


def test_a_program_of_no_process_has_names_but_no_addresses(run: Run) -> None:
    with rrdbg.open(run.trace, symbols=[run.files[2]]) as session:
        at_user = next(p for p in range(session.end) if int(run.history.harts[p][L.PRIV]) == L.PRIV_U)
        session.goto(at_user)
        assert session.locate(USER_CODE).symbol == ""
        assert session.lookup("c_main").address == USER_CODE
        session.add_break("c_main")
        session.goto(0)
        assert session.continue_().reason is StopReason.END


def test_the_stack_ends_where_a_program_begins(run: Run, session: Session) -> None:
    for process in (0, 1):
        for position in visits(run, process):
            session.goto(position)
            assert [frame.function for frame in session.backtrace()] == [f"{'ab'[process]}_main"]


def test_an_unknown_caller_is_not_looked_for_in_another_program(tmp_path: Path) -> None:
    """Without symbols the trace is asked how code was entered. The other process has made a call in the meantime."""
    path = tmp_path / "paging.rrt"
    make_trace(elf("tiny/paging").read_bytes(), path, privilege="msu", isa="rv64gc", ram_bytes=1 << 20)
    with rrdbg.open(path) as session:
        start = 0x4000_0000 + session.lookup("user_main").address - session.lookup("__start_user_text").address
        session.add_break(start)
        for process in (0, 1):
            session.continue_()
            assert session.pc == start
            assert session.evaluate("$a0") == process
            assert [frame.pc for frame in session.backtrace()] == [start, 0]  # ra is 0 there
