"""Conditions over a program's variables: the engine's answer is the evaluator's, wherever the program stands."""

from __future__ import annotations

import random
from pathlib import Path
from typing import cast

import pytest
from rrdbg_core.cpu.condition import CannotJudge, Condition, reader
from rrdbg_core.errors import RrdbgError

from rrdbg.session.api import Session
from rrdbg.session.expression import parse
from rrdbg.session.session import TraceSession
from tests.gdb.recordings import needs_gcc

from .oracle import Ours, recorded

pytestmark = needs_gcc

OPERATORS = ("+", "-", "*", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "<<", ">>", "/", "%")
GLOBALS = ("list.count", "list.f", "list.g", "list.state", "list.head", "list.head->v", "list.head->next->v", "sink",
           "pool[3].v", "pool[list.count & 7].name[2]", "&pool[2]", "pool", "RUN", "*&list.count", "sizeof(list)",
           "list.head == &pool[4]", "list.head - pool", "(long)list.head & 15", "acc", "push", "depth")  # fmt: skip
"""All but the float are judged by the engine."""


def judged(session: TraceSession, condition: Condition) -> bool | None:
    engine = session._engine

    def read(address: int, size: int) -> int | None:
        data = engine.read(address, size, False)
        return int.from_bytes(data, "little") if len(data) == size else None

    hart, mach = engine.hart.tolist(), engine.mach.tolist()
    try:
        return reader(condition)(hart, mach, session.pc, session.icount, read) != 0
    except CannotJudge:
        return None


def evaluated(session: TraceSession, text: str) -> bool | None:
    try:
        return parse(text).holds(session)
    except RrdbgError:
        return None


def texts_at(session: Session, chance: random.Random) -> list[str]:
    """Return expressions over what is visible where the session stands."""
    leaves = [row.expression for kind in ("local", "arg") for row in session.variables(kind)]
    leaves += [part.expression for leaf in list(leaves) for part in session.children(leaf)[:4] if "<" not in part.text]
    leaves += [*GLOBALS, "$a0", "$sp", "3", "0xffffffff"]
    found = list(leaves)
    for _ in range(30):
        a, b = chance.choice(leaves), chance.choice(leaves)
        found.append(f"({a}) {chance.choice(OPERATORS)} ({b})")
        found.append(
            f"{chance.choice('-~!')}({a}) {chance.choice(OPERATORS)} ({chance.choice(['char', 'short', 'u64'])})({b})"
        )
    return found


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_the_engine_says_what_the_evaluator_says(level: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    trace = recorded("story.c", level, tmp_path)
    lowered = asked = 0
    with Ours(trace) as ours:
        session = cast(TraceSession, ours.session)
        end = session.info().end
        for position in sorted(chance.sample(range(1, end), 25)):
            session.goto(position)
            for text in texts_at(ours.session, chance):
                asked += 1
                condition = session._lower(parse(text), session.pc)
                if condition is None:
                    continue
                lowered += 1
                answer, expected = judged(session, condition), evaluated(session, text)
                # what cannot be judged is evaluated instead
                assert answer is None or answer == expected, (position, text)
                assert expected is not None or answer is None, (position, text)
    assert lowered > asked / 2


def test_locals_are_judged_by_the_engine(tmp_path: Path) -> None:
    trace = recorded("story.c", "-O0", tmp_path)
    with Ours(trace) as ours:
        session = cast(TraceSession, ours.session)
        session.add_break("push", condition="v == 3 && l->count > 1 && name[0] == 'n'")
        stop = session.continue_()
        assert session._points[1].lowered is not None
        assert "v=3" in stop.text
        for text in GLOBALS:
            assert (session._lower(parse(text), session.pc) is None) == (text == "acc"), text
