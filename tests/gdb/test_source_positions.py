"""gdb's `step`, `next` and `finish` over the server end where those of `rrdbg replay` end, both ways.

The walks stay clear of two defects of gdb 13: going back, parts of a line's code that follow each other are lines of
their own to it (mended in gdb 14), and `reverse-finish` stops in the wrong activation of a recursive function. What the
first one means is said by `test_the_way_back`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rrdbg
from rrdbg.commands import Interpreter
from rrdbg.session.api import Session, Stop
from rrdbg.symbols.lines import Line
from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import compile_program, needs_gcc, record
from tests.session.guest_builds import NAMES, Build
from tests.session.guest_builds import recorded as guest_recorded

pytestmark = [needs_gdb, needs_gcc, pytest.mark.oracle]

Both = tuple[str, Gdb, Session]
BUILDS = [("calls", "-O0"), ("ticks", "-O0")]
VERBS: dict[str, Callable[[Session], Stop]] = {
    "step": lambda session: session.step(),
    "next": lambda session: session.next_(),
    "finish": lambda session: session.finish(),
    "reverse-step": lambda session: session.reverse_step(),
    "reverse-next": lambda session: session.reverse_next(),
}
WALKS = {
    "calls": [
        ("fib", 4, "next next step next finish step step finish next next reverse-next reverse-step reverse-step"),
        ("down", 6, "step step step step finish finish reverse-step reverse-next reverse-next reverse-next"),
        ("moved", 2, "next next next next step next reverse-next reverse-next reverse-next step next"),
        ("insert", 20, "next next step next finish next finish next step step step"),
        ("main", 1, "next next next next next next reverse-next reverse-next next step step"),
    ],
    "ticks": [
        ("work", 3, "next next next next next step step step reverse-next reverse-next reverse-step reverse-step"),
        ("work", 9, "finish next next next next next next step next"),
    ],
}


@pytest.fixture(scope="module", params=BUILDS, ids=lambda build: "".join(build))
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Gdb, Session]]:
    name, flags = request.param
    folder = tmp_path_factory.mktemp(name)
    trace: Path = record(compile_program(name, flags, folder), folder)
    with Gdb(trace) as gdb, rrdbg.open(trace) as session:
        yield name, gdb, session


def test_walks(both: Both) -> None:
    name, gdb, session = both
    for function, count, walk in WALKS[name]:
        session.goto(0)
        session.delete_point()
        session.add_break(function)
        session.continue_(count)
        session.delete_point()
        gdb.goto(session.icount)
        verbs = walk.split()
        answers = gdb.ask(*(text for verb in verbs for text in (verb, 'printf "%lu", $icount')))
        ours = []
        for verb in verbs:
            VERBS[verb](session)
            ours.append(session.icount)
        theirs = [int(answer) for answer in answers[1::2]]
        assert theirs == ours, (function, list(zip(verbs, theirs, ours, strict=True)))


LINES = {"fib": (20, 22, 24, 25), "insert": (52, 54, 58), "sum": (63, 64), "main": (70, 75)}


def test_until_a_line(both: Both) -> None:
    """Of a recursive function the activation counts in which one is, and its end."""
    name, gdb, session = both
    if name != "calls":
        return
    interpreter = Interpreter(session)
    for function, lines in LINES.items():
        for count in (1, 4):
            session.delete_point()
            session.goto(0)
            session.add_break(function)
            stop = session.continue_(count)
            session.delete_point()
            start = stop.when.icount
            for line in lines if stop.points else ():
                session.goto(start)
                interpreter.run(f"until {line}")
                theirs = gdb.at(start, f"until {line}", 'printf "%lu", $icount')[1]
                assert int(theirs) == session.icount, (function, count, line)


MANY = 60
"""Stops of gdb's in one line that are followed: a loop within a line has any number."""


def row_at(session: Session, position: int) -> Line | None:
    session.goto(position)
    return session._symbols.line(session.pc)  # type: ignore[attr-defined,no-any-return]


def is_inside(session: Session, position: int, goal: int) -> bool:
    """Return whether a position lies inside of a line.

    Its row goes on with the line, or the step before it was on the line, or it is the line of `goal`.
    """
    came_from, row, other = (row_at(session, at) for at in (position - 1, position, goal))
    assert row is not None
    before = session._symbols.line(row.address - 1)  # type: ignore[attr-defined]
    if before is not None and (before.file, before.line, before.stop) == (row.file, row.line, row.address):
        return True
    return any(one is not None and (one.file, one.line) == (row.file, row.line) for one in (came_from, other))


def is_one_instruction(session: Session, position: int) -> bool:
    """Return whether the row of a position is one instruction."""
    row = row_at(session, position)
    return row is not None and row.stop - row.address == len(session.disassemble(row.address, 1)[0].raw)


def compare_ways_back(trace: Path, count: int, seed: int) -> str:
    """Return where the ways back of gdb and rrdbg differ by more than gdb's defect, from starts of lines at random."""
    rng, found = random.Random(f"{trace.stem} {seed}"), []
    with Gdb(trace) as gdb, rrdbg.open(trace) as session:
        for _ in range(count):
            session.goto(rng.randrange(1, rng.choice((session.end, min(session.end, 20_000)))))
            if session.when().location.line == 0:
                continue  # code that the program wrote
            session.step()
            start = session.next_().when.icount
            for verb in ("reverse-step", "reverse-next") if start < session.end else ():
                session.goto(start)
                goal = VERBS[verb](session).when.icount
                gdb.goto(start)
                stops = [start]
                while stops[-1] > goal and len(stops) < MANY:
                    stops.append(int(gdb.ask(verb, 'printf "%lu", $icount')[1]))
                *between, last = stops[1:]
                agree = last == goal or len(stops) == MANY or is_one_instruction(session, goal)
                if not agree or not all(is_inside(session, stop, goal) for stop in between):
                    found.append(f"@{start} {verb}: rrdbg {goal}, gdb {stops[1:]}")
    return "\n".join(found)


@pytest.mark.parametrize("guest", ["heap", "shell"])
def test_the_way_back(guest: str, tmp_path: Path) -> None:
    """rrdbg goes back to where a line begins, gdb 13 to every row of it: it gets there by and by.

    Of rows of one instruction it takes no notice. Newer ones take the rows that follow each other for one (gdb 18.1
    does; but not behind a return into a line, and not in a loop within a line).
    """
    assert compare_ways_back(guest_recorded(guest, tmp_path, Build("-O0", 5)), 20, 1) == ""


def test_back_into_what_assembly_called(tmp_path: Path) -> None:
    """A step goes into it, so its way back does; `reverse-next` passes it."""
    trace = guest_recorded("hello", tmp_path, Build("-O0", 5))
    with Gdb(trace) as gdb, rrdbg.open(trace) as session:
        session.add_break("lib/start.S:23")  # the line before calls uart_init
        start = session.continue_().when.icount
        session.delete_point()
        for verb, function in (("reverse-step", "uart_init"), ("reverse-next", "_start")):
            session.goto(start)
            stop = VERBS[verb](session)
            assert stop.when.location.symbol == function
            assert int(gdb.at(start, verb, 'printf "%lu", $icount')[1]) == stop.when.icount


@pytest.mark.slow
@pytest.mark.parametrize("guest", NAMES)
def test_the_way_back_in_all_guests(guest: str, tmp_path: Path) -> None:
    assert compare_ways_back(guest_recorded(guest, tmp_path, Build("-O0", 5)), 30, 2) == ""
