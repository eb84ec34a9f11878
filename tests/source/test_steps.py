"""Steps of lines, against gdb's own stops and against a walk over the list of all steps."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rrdbg.session.api import StopReason
from rrdbg.session.session import TraceSession
from tests.gdb.driver import Gdb, needs_gdb

from .walks import Steps, build, needs_gcc, opened

pytestmark = needs_gcc

WALK = 400
"""Steps of lines at most; walk.c takes fewer."""


def end_of_main(session: TraceSession) -> int:
    """Return the position behind main."""
    body_of_main(session)
    return session.finish().when.icount


def stops(session: TraceSession, start: int, verb: str) -> list[int]:
    """Return where a verb stops, from a position on."""
    session.goto(start)
    found = []
    for _ in range(WALK):
        stop = getattr(session, verb)()
        if stop.reason is not StopReason.STEP:
            break
        found.append(stop.when.icount)
    return found


def body_of_main(session: TraceSession) -> int:
    """Return the position at which main's body begins."""
    session.goto(0)
    session.add_break("main", temporary=True)
    return session.continue_().when.icount


@needs_gdb
@pytest.mark.oracle
@pytest.mark.parametrize("verb", ["step", "next"])
def test_they_stop_where_gdb_stops(verb: str, walk: Path, session: TraceSession) -> None:
    start = body_of_main(session)
    ours = stops(session, start, "next_" if verb == "next" else verb)
    assert len(ours) > 20
    with Gdb(walk) as gdb:
        gdb.ask("delete", "monitor goto start", "tbreak main", "continue")
        assert gdb.icount == start
        answers = gdb.ask(*[command for _ in ours for command in (verb, 'printf "%lu", $icount')])
    assert [int(answer) for answer in answers[1::2]] == ours


@needs_gdb
@pytest.mark.oracle
@pytest.mark.parametrize("function", ["leaf", "fib", "bump", "indirect", "sum"])
def test_finish_ends_and_says_what_gdb_says(function: str, walk: Path, session: TraceSession) -> None:
    session.goto(0)
    session.add_break(function)
    positions = []
    while len(positions) < 4 and (stop := session.continue_()).points:
        positions.append(stop.when.icount)
    session.delete_point()
    with Gdb(walk) as gdb:
        for position in positions:
            told, icount = gdb.at(position, "finish", 'printf "%lu", $icount')
            session.goto(position)
            ended = session.finish()
            assert int(icount) == ended.when.icount
            assert ended.returned.partition(" = ")[2] == told.partition("Value returned is ")[2].partition(" = ")[2]


class Naive:
    """Steps of lines over the list of all steps; of inlined calls it knows nothing."""

    def __init__(self, session: TraceSession) -> None:
        self.session = session
        self.steps = Steps(session)
        self.end = len(self.steps.pcs)
        self._keys: dict[int, object] = {}

    def executes(self, position: int) -> bool:
        """Return whether the instruction at a position is executed: no interrupt comes first."""
        return not self.steps.interrupts[position]

    def line(self, position: int):  # type: ignore[no-untyped-def]
        return self.session._symbols.line(self.steps.pcs[position])

    def key(self, position: int) -> object:
        """Return the line of a position; a prologue is one of its own."""
        pc = self.steps.pcs[position]
        if pc not in self._keys:
            row, symbol = self.session._symbols.line(pc), self.session._symbols.around(pc)
            assert symbol is not None
            body = self.session._body(symbol.address, symbol.address + symbol.size)
            prologue = symbol.address <= pc < body
            self._keys[pc] = None if row is None else ("prologue", symbol.address) if prologue else (row.file, row.line)
        return self._keys[pc]

    def next(self, start: int) -> int | None:
        """Return where `next` ends; None: at the end of the recording."""
        steps = self.steps
        depth, row = len(steps.stacks[start]), self.line(start)
        line = (row.file, row.line)
        activation, stretch = steps.activation(start), range(row.address, row.stop)
        for position in range(start + 1, self.end):
            if len(steps.stacks[position]) > depth or not self.executes(position):
                continue
            if steps.activation(position) == activation and steps.pcs[position] in stretch:
                continue  # a row is left before anything is looked at, as in gdb
            row = self.line(position)
            if row is None:
                return position
            here: tuple[str, int] | None = (row.file, row.line)
            changed = steps.activation(position) != activation
            if row.address == steps.pcs[position] and here != line:
                if row.statement:
                    return position
                here = None if changed else line
            depth, line, activation = len(steps.stacks[position]), here, steps.activation(position)
            stretch = range(row.address, row.stop)
        return None

    def back(self, start: int, into: bool) -> int | None:
        """Return where `reverse-next` or `reverse-step` ends; None: there is no line before."""
        steps = self.steps
        stack = steps.stacks[start]
        seen, position = self.key(start), start
        later = start  # the position in this activation that comes behind `position`
        while position > 0:
            position -= 1
            inner = steps.stacks[position]
            if not self.executes(position) and len(inner) >= len(stack):
                continue
            if len(inner) > len(stack):
                deeper = inner[len(stack) :]
                if not into or any(frame.trap for frame in deeper) or self.key(position) is None:
                    continue
                # back into a callee, at its end; what comes behind the call may begin a line
                if self._begins(later, start) and self.key(self._call_before(later)) != seen:
                    return later
                stack, seen, later = inner, self.key(position), position
                continue
            entered = len(inner) < len(stack)
            if (entered or self.key(position) != seen) and self._begins(later, start):
                return later
            if entered:
                stack = inner
                if self.key(position) is None:
                    return position
            seen, later = self.key(position), position
        return None

    def _call_before(self, position: int) -> int:
        """Return the position of the call that returned to a position."""
        depth = len(self.steps.stacks[position])
        return next(at for at in range(position - 1, -1, -1) if len(self.steps.stacks[at]) <= depth)

    def _begins(self, position: int, start: int) -> bool:
        """Return whether a step back may end at a position where another line ends before."""
        if position >= start:
            return False
        row, pc = self.line(position), self.steps.pcs[position]
        if row is None or row.address != pc or not row.statement:
            return False
        key = self.key(position)
        return not (isinstance(key, tuple) and key[0] == "prologue")


PLAIN = [("-O0",), ("-Og",), ("-O2",)]


@pytest.fixture(scope="module", params=PLAIN, ids="".join)
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """walk.c without inlining."""
    flags = (*request.param, "-fno-inline", "-DPLAIN", "-DPERIOD=60", "-fno-optimize-sibling-calls")
    return build("walk", tmp_path_factory.mktemp("plain"), "-g", *flags)


def test_next_is_what_the_list_of_steps_says(plain: Path) -> None:
    with opened(plain) as session:
        naive = Naive(session)
        first, last = body_of_main(session), end_of_main(session)
        for start in random.Random(5).sample(range(first, last), 120):
            if not naive.executes(start) or naive.line(start) is None:
                continue
            session.goto(start)
            expected = naive.next(start)
            stop = session.next_()
            assert stop.when.icount == (expected if expected is not None else session.end), start


@pytest.mark.parametrize("into", [False, True])
def test_the_ways_back_are_what_the_list_of_steps_says(into: bool, plain: Path) -> None:
    with opened(plain) as session:
        naive = Naive(session)
        first, last = body_of_main(session), end_of_main(session)
        wrong = []
        for start in random.Random(6).sample(range(first, last), 120):
            if not naive.executes(start) or naive.line(start) is None:
                continue
            session.goto(start)
            stop = session.reverse_step() if into else session.reverse_next()
            if stop.when.icount != (expected := naive.back(start, into) or 0):
                wrong.append((start, stop.when.icount, expected))
        assert not wrong, wrong


def test_back_and_forth(session: TraceSession) -> None:
    """From where `reverse-step` ends, `step` does not end before the place it started from."""
    first, last = body_of_main(session), end_of_main(session)
    for start in random.Random(7).sample(range(first + 20, last), 60):
        session.goto(start)
        if session.reverse_step().reason is StopReason.STEP:
            before = session.icount
            assert before < start
            assert session.step().when.icount > before


def test_a_range_in_which_the_recording_ends(session: TraceSession) -> None:
    session.goto("end")
    pc = session.pc
    session.goto(session.icount - 1)
    assert session.step_range(0, 1 << 62).reason is StopReason.END
    assert session.pc == pc
    assert session.step_range(0, 1 << 62, reverse=True).reason is StopReason.START
