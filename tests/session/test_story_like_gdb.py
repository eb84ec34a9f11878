"""Variables of frames while a program runs, held against stock gdb on the same trace, at all levels of optimisation."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import needs_gcc, record

from .oracle import Ours, recorded, same

pytestmark = [needs_gdb, needs_gcc]

GLOBALS = ("list", "*list.head", "list.head->next->name", "pool", "acc", "sink", "&pool[1]", "push", "stk[4000]@96")
REGISTERS = ("$sp", "$pc", "$ra", "$s0", "$a0", "$t0")


def questions(ours: Ours, extra: Sequence[str]) -> list[str]:
    """Return what is asked where the session stands: of all variables, in several formats."""
    names = [row.name for kind in ("local", "arg") for row in ours.session.variables(kind)]
    # gdb takes a function that was inlined for the place of the call
    inlined = ours.session.backtrace(1)[0].inlined
    found = [f"output{form} {text}" for text in extra if not (inlined and text == "push") for form in ("", "/x", "/d")]
    for name in dict.fromkeys(names):
        found += [f"{command} {name}" for command in ("output", "output/x", "output/c", "whatis", "ptype", "output &")]
        found += [f"output sizeof({name})", f"output {name} == {name}"]
    return found


def compare(trace: Path, positions: Sequence[int], extra: Sequence[str], frames: int = 2) -> str:
    """Return where the two differ."""
    found: list[str] = []
    with Gdb(trace) as gdb, Ours(trace) as ours:
        for position in positions:
            ours.session.goto(position)
            # in assembly within a C file gdb takes everything that the file defines for locals
            rows = ("info args", "info locals") if ours.session.when().location.line else ("info args",)
            commands = [*rows, *questions(ours, extra), *(f"output {name}" for name in REGISTERS)]
            # gdb's stack ends with the handler of a trap, rrdbg's goes on with what it interrupted
            stack = itertools.takewhile(lambda frame: not frame.trap, ours.session.backtrace(frames + 1)[1:])
            for number in range(1, 1 + len(list(stack))):
                commands += [f"frame {number}", "info args", "info locals", "output $sp", "output $pc"]
            theirs, answers = gdb.at(position, *commands), ours.at(position, *commands)
            for command, expected, answer in zip(commands, theirs, answers, strict=True):
                if command.startswith("frame") or same(expected, answer):
                    continue
                found.append(f"@{position} {command}\n  gdb:   {expected}\n  rrdbg: {answer}")
    return "\n".join(found)


def positions_of(trace: Path, count: int, seed: int) -> list[int]:
    with Ours(trace) as ours:
        end = ours.session.info().end
    return sorted(random.Random(seed).sample(range(1, end), min(count, end - 1)))


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_program_of_our_own(level: str, tmp_path: Path) -> None:
    trace = recorded("story.c", level, tmp_path)
    assert compare(trace, positions_of(trace, 8, 1), GLOBALS) == ""


@pytest.mark.slow
@pytest.mark.parametrize("level", ["-O0", "-Og", "-Os", "-O2"])
def test_a_program_of_our_own_at_many_places(level: str, tmp_path: Path) -> None:
    trace = recorded("story.c", level, tmp_path)
    assert compare(trace, positions_of(trace, 120, 2), GLOBALS) == ""


@pytest.mark.slow
@pytest.mark.parametrize("guest", ["hello", "heap", "shell", "usermode", "sort", "strings"])
def test_guests(guest: str, tmp_path: Path) -> None:
    trace = record(guest, tmp_path, until=3_000_000)
    assert compare(trace, positions_of(trace, 40, 3), ()) == ""
