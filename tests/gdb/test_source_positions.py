"""gdb's `step`, `next` and `finish` over the server end where those of `rrdbg replay` end, both ways.

The walks stay clear of two defects of gdb 13: going back, parts of a line's code that follow each other are lines of
their own to it (mended in gdb 14), and `reverse-finish` stops in the wrong activation of a recursive function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rrdbg
from rrdbg.commands import Interpreter
from rrdbg.session.api import Session, Stop
from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import compile_program, needs_gcc, record

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
