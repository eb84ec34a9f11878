"""What somebody types in the first hour, in gdb and at rrdbg's prompt: the same answers, at the same positions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import compile_program, needs_gcc, record
from tests.session.oracle import Ours

pytestmark = [needs_gdb, needs_gcc, pytest.mark.oracle]

LOOKS = (
    "info line main", "info line rich.c:45", "info line *$pc", "info args", "info locals", "info display", "frame",
    "frame 0", "frame function main", "frame 0", "list", "list -", "list main", "list 20", "list 10,15", "list fill,",
    "list ,20", "list rich.c:30", "list first,second", "whatis nodes", "whatis &nodes[0]", "whatis table",
    "whatis main", "whatis counters[0]", "whatis (char)1", "ptype nodes", "ptype struct node", "ptype operation",
    "ptype main", "ptype int*", "ptype unsigned long", "x/s message", "x/2s text", "x/4xw &counters",
    "x/4dw counters", "x/2xg &head", "x/8xb text", "x/8c text", "x/2o &corner", "x/a &table", "x/2a table",
    "output/x corner", "output/x nodes[0].color", "output counters[1]@3", "output *nodes@2", "output/x *counters@4",
    "output &nodes[1]", "output nodes[0].u", "output table", "output *table", "output table[0]", "output main",
    "output &main", "output *main", "output $pc", "output $sp", "output/x $a0", "output sizeof(nodes)",
    "output sizeof(struct node)", "output RED", "output (enum color)5", "output GREEN + 1", "output 5.0/2",
    "output 'a'", 'output "abc"', "output message", "output *message", "output text[0]@5", "output/c text[0]@5",
    "output/s text", "output/d text", "output !head", "output -5 % 3", "output 1 ? 2 : 3", "output/t 10",
    "output/a $pc", "output/f 1", "output/c 65", "output/x -1", "output/d 0xff", 'printf "%d %s\\n", 5, message',
    "info functions fir", "info variables corner",
)  # fmt: skip
WATCHED = ("corner", "counters", "nodes[1]", "nodes", "text", "table", "nodes[2].u", "nodes[3].name")


@pytest.fixture(scope="module", params=["-O0", "-O2"])
def trace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rich")
    return record(compile_program("rich", f"{request.param} -gdwarf-5", folder), folder)


@pytest.fixture(scope="module")
def both(trace: Path) -> Iterator[tuple[Gdb, Ours]]:
    with Gdb(trace) as gdb, Ours(trace) as ours:
        yield gdb, ours


def in_main(ours: Ours) -> tuple[int, int]:
    """Return the positions between which `main` runs."""
    session = ours.session
    session.goto(0)
    session.delete_point()
    session.add_break("main", temporary=True)
    return session.continue_().when.icount, session.info().end - 200


def test_looking(both: tuple[Gdb, Ours]) -> None:
    gdb, ours = both
    start, end = in_main(ours)
    different = []
    for position in (start, *random.Random(1).sample(range(start, end), 3)):
        session = ours.session
        session.goto(position)
        if gdb.at(position, "frame")[0] != ours.ask("frame"):
            session._hide(session._beginning())  # gdb may stand before inlined calls that begin here
        theirs = gdb.at(position, *LOOKS)
        different += [
            (position, command, expected, answer)
            for command, expected in zip(LOOKS, theirs, strict=True)
            if (answer := ours.ask(command)) != expected.rstrip("\n")
        ]
    assert not different, "\n".join(map(str, different))


def told(text: str) -> list[str]:
    """Return an answer's lines without those about the end of the recording, and gdb's about going on."""
    skipped = ("Continuing.", "No more reverse-execution", "End of the recording")
    return [line for line in text.splitlines() if line and not line.startswith(skipped)]


@pytest.mark.parametrize("what", WATCHED)
def test_whole_objects_are_watched(both: tuple[Gdb, Ours], what: str) -> None:
    gdb, ours = both
    words = [f"watch {what}", *["continue"] * 4, *["reverse-continue"] * 3, "continue", "delete"]
    start, _ = in_main(ours)
    gdb.ask("delete")
    gdb.goto(start)
    answers = gdb.ask(*(text for word in words for text in (word, 'printf "%lu", $icount')))
    for word, theirs, place in zip(words, answers[::2], answers[1::2], strict=True):
        mine = ours.ask(word)
        assert ours.session.icount == int(place), word
        if word.endswith("continue"):
            assert numberless(told(mine)) == numberless(told(theirs))


def numberless(lines: list[str]) -> list[str]:
    """Return lines without the numbers of watchpoints."""
    return [line.partition(": ")[2] if line.startswith("Hardware watchpoint") else line for line in lines]


def test_what_is_longer_than_a_debug_unit_can_watch(both: tuple[Gdb, Ours]) -> None:
    _, ours = both
    in_main(ours)
    session = ours.session
    session.add_watch("big")
    for index in range(3):
        stop = session.continue_()
        assert stop.address == session.lookup("big").address + 1000 * index
        assert (stop.old, stop.new) == (None, None)  # numbers of up to 8 bytes only
        assert "Old value = " in stop.text
    session.delete_point()
