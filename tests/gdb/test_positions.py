"""Stock gdb's commands end where the same commands of `rrdbg replay` end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rrdbg
from rrdbg.commands import Interpreter
from rrdbg.session.api import Session
from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import compile_program, needs_gcc, record

pytestmark = [needs_gdb, needs_gcc, pytest.mark.oracle]

BUILDS = [
    pytest.param(("calls", "-O0"), marks=pytest.mark.slow, id="calls-O0"),
    pytest.param(("calls", "-O2"), marks=pytest.mark.slow, id="calls-O2"),
    pytest.param(("ticks", "-Og"), id="ticks-Og"),
    pytest.param(("ticks", "-O2"), marks=pytest.mark.slow, id="ticks-O2"),
]


@pytest.fixture(scope="module", params=BUILDS)
def trace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, flags = request.param
    folder = tmp_path_factory.mktemp(name)
    return record(compile_program(name, flags, folder), folder)


WATCHED = {"calls": ("deepest", "last", "nodes"), "ticks": ("ticks", "ring", "seen")}
FUNCTIONS = {"calls": ("fib", "insert", "many", "sum"), "ticks": ("handler", "work", "put", "ask")}


class Pair:
    """gdb and a session on the same trace, from the same position."""

    def __init__(self, gdb: Gdb, session: Session, trace: Path) -> None:
        self.gdb = gdb
        self.session = session
        self.name = trace.stem.split("-")[0]

    def run(self, start: int | str, commands: list[str | tuple[str, str]]) -> list[int]:
        """Run commands in both, a pair being gdb's words and rrdbg's, and return where each ended."""
        pairs = [(command, command) if isinstance(command, str) else command for command in commands]
        self.gdb.goto(start)
        asked = [text for mine, _ in pairs for text in (mine, 'printf "%lu", $icount')]
        answers = self.gdb.ask("delete", *asked)[1:]
        theirs = [int(answer) for answer in answers[1::2]]
        ours = []
        interpreter = Interpreter(self.session)
        for line in ("delete", f"goto {start}"):
            interpreter.run(line)
        for _, line in pairs:
            interpreter.run(line)
            ours.append(self.session.icount)
        assert theirs == ours, list(zip(pairs, theirs, ours, answers[::2], strict=True))
        return theirs

    def address_of(self, name: str) -> int:
        """Return a symbol's address."""
        return self.session.lookup(name).address


@pytest.fixture(scope="module")
def pair(trace: Path) -> Iterator[Pair]:
    with Gdb(trace) as gdb, rrdbg.open(trace) as session:
        yield Pair(gdb, session, trace)


CONTINUES = ["continue"] * 5 + ["reverse-continue"] * 3 + ["continue"] * 2 + ["reverse-continue"] * 5


def test_breakpoints(pair: Pair) -> None:
    places = [pair.address_of(name) for name in FUNCTIONS[pair.name][:2]]
    breaks = [f"break *{place:#x}" for place in places]
    ends = pair.run(0, [*breaks, *CONTINUES])
    assert len(set(ends)) > 5
    pair.run("end", [*breaks, *["reverse-continue"] * 5, *["continue"] * 8])


@pytest.mark.parametrize("kind", ["watch", "rwatch", "awatch"])
def test_watchpoints(pair: Pair, kind: str) -> None:
    for name in WATCHED[pair.name]:
        address = pair.address_of(name) + (4 if name in ("ring", "last") else 0)
        size = 4 if name in ("deepest", "calls", "ring") else 8
        unit = {4: "u32", 8: "u64"}[size]
        watch = (
            f"{kind} -l *(unsigned {'int' if size == 4 else 'long'}*){address:#x}",
            f"{kind} *({unit}*){address:#x}",
        )
        pair.run(0, [watch, *CONTINUES])
        pair.run("end", [watch, *["reverse-continue"] * 3, "continue"])


def test_conditions(pair: Pair) -> None:
    place = pair.address_of(FUNCTIONS[pair.name][0])
    condition = "$a0 == 2" if pair.name == "calls" else "$mepc & 2"
    pair.run(0, [f"break *{place:#x} if {condition}", *CONTINUES])
    pair.run("end", [f"hbreak *{place:#x} if {condition}".replace("hbreak", "break"), *["reverse-continue"] * 4])


def test_several_at_once(pair: Pair) -> None:
    places = [pair.address_of(name) for name in FUNCTIONS[pair.name] if name != "put"]
    data = pair.address_of(WATCHED[pair.name][0])
    points: list[str | tuple[str, str]] = [f"break *{place:#x}" for place in places]
    points.append((f"watch -l *(unsigned int*){data:#x}", f"watch *(u32*){data:#x}"))
    pair.run(0, [*points, *CONTINUES, *CONTINUES])


@pytest.mark.parametrize("share", [10, 60])
def test_instructions(pair: Pair, share: int) -> None:
    steps = ["stepi", "stepi 3", "reverse-stepi", "stepi 40", "reverse-stepi 25", "stepi 2", "reverse-stepi 30"]
    pair.gdb.ask("maintenance packet Qqemu.sstep=0x1")  # into interrupts, as rrdbg's stepi
    pair.run(f"{share}%", [*steps, *steps])


@pytest.mark.parametrize("share", [10, 60])
def test_calls_as_one(pair: Pair, share: int) -> None:
    steps = ["nexti", "nexti 4", "reverse-nexti", "nexti 12", "reverse-nexti 7"]
    pair.gdb.ask("maintenance packet Qqemu.sstep=0x7")
    pair.run(f"{share}%", [*steps, *steps, "nexti 10", "reverse-nexti 12"])


def test_to_both_ends(pair: Pair) -> None:
    pair.run("50%", ["continue", "stepi", "reverse-continue", "reverse-stepi", "stepi", "reverse-stepi 5"])


def test_temporary_and_ignored(pair: Pair) -> None:
    place = pair.address_of(FUNCTIONS[pair.name][1])
    pair.run(0, [f"tbreak *{place:#x}", "continue", f"break *{place:#x}", "continue"])
    pair.run(0, [f"break *{place:#x}", "continue", "continue 3", "reverse-continue 2", "continue"])


def test_traps_of_the_program_itself(pair: Pair) -> None:
    """gdb's `nexti` goes into what `ecall` calls, since it is made of `stepi`; rrdbg's own goes over it."""
    if pair.name != "ticks":
        return
    pair.gdb.ask("maintenance packet Qqemu.sstep=0x7")
    session = pair.session
    session.delete_point()
    session.goto(0)
    session.add_catch("ecall-m")
    taken = session.continue_(3).when.icount - 1
    session.delete_point()
    entered, *_ = pair.run(taken, ["stepi", "reverse-stepi", "stepi 3", "reverse-stepi 3"])
    assert entered == taken + 1
    assert pair.run(taken, [("nexti", "stepi"), ("reverse-nexti", "reverse-stepi")]) == [entered, taken]
    (over,) = pair.run(taken, [("monitor nexti", "nexti")])
    assert over > entered + 5
    assert pair.run(over, [("monitor reverse-nexti", "reverse-nexti")]) == [taken]
