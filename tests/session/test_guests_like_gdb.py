"""Every guest, built at -O0, -O2 and -Os, at random positions: backtraces, variables and expressions against gdb's.

gdb is asked over the gdb server on the same trace, at the same position.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from rrdbg.session.session import TraceSession
from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.lists import location_at
from rrdbg.symbols.dwarf.variables import value_holder
from tests.gdb.driver import Gdb, needs_gdb
from tests.gdb.recordings import needs_gcc, record
from tests.symbols.compilers import GCC, need

from .guest_builds import CLANG, NAMES, PAGED, Build, recorded
from .oracle import SOURCES, Ours, same
from .questions import COMMANDS, chosen

pytestmark = [needs_gdb, needs_gcc, pytest.mark.oracle]

BUILDS = (Build("-O0", 5), Build("-O2", 4), Build("-Os", 5))
PROGRAMS = Path(__file__).parent / "programs"
FRAMES = 12
"""Frames of a stack that are looked at."""
SETTINGS = ("set max-value-size unlimited", "set print frame-arguments scalars")
QUESTIONS = 12
"""Expressions in each frame."""


class Theirs:
    """gdb, which is started again where it breaks down: it computes with no part of what lies in pieces."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace
        self._gdb = Gdb(trace, settings=SETTINGS)

    def __enter__(self) -> Theirs:
        return self

    def __exit__(self, *error: object) -> None:
        self._gdb.close()

    def backtrace(self, position: int) -> list[str]:
        """Return the lines of a backtrace that are frames."""
        return stack_of(self._gdb.at(position, f"bt {FRAMES}")[0])

    def in_frame(self, position: int, number: int, commands: Sequence[str]) -> list[str | None]:
        """Return what it says in a frame; None: it has broken down."""
        try:
            return [*self._gdb.ask(f"frame {number}", *commands)[1:]]
        except AssertionError as error:
            if _BREAKDOWN not in str(error):
                raise
        self._gdb.close()
        self._gdb = Gdb(self._trace, settings=SETTINGS)
        self._gdb.at(position)
        half = len(commands) // 2
        parts = (commands[:half], commands[half:]) if half else ()
        return [answer for part in parts for answer in self.in_frame(position, number, part)] or [None]


_BREAKDOWN = "Should not be able to create a lazy value with an enclosing type"


def stack_of(text: str) -> list[str]:
    """Return the lines of a backtrace of gdb's that are frames."""
    return [line for line in text.splitlines() if line.startswith("#")]


def frames_of(ours: Ours) -> list[str]:
    """Return the frames up to the first trap, behind which gdb knows nothing."""
    found = []
    for frame in ours.session.backtrace(FRAMES):
        if frame.trap:
            break
        found.append(frame.text)
    return found


def arguments(line: str) -> tuple[str, dict[str, str]]:
    """Return a frame's line without its arguments, and those by name."""
    head, _, rest = line.partition(" (")
    inside, _, tail = rest.rpartition(")")
    words = re.split(r"(?:^|, )(\w+(?:@entry)?)=", inside)
    rows = zip(words[1::2], words[2::2], strict=True)
    return head + tail, {name: text.removeprefix(f"{name}@entry=") for name, text in rows}


def same_frame(theirs: str, mine: str, beyond: set[str]) -> bool:
    """Return whether two lines of a backtrace agree.

    gdb does not follow a call to a function that was inlined elsewhere too, so that it cannot tell what the function
    was called with: rrdbg may know more of arguments. In frames of inlined calls gdb computes such values with the
    wrong frame.

    Args:
        theirs: gdb's line.
        mine: Ours.
        beyond: Arguments of which only what the function was called with is known.
    """
    if same(theirs, mine):
        return True
    (place, known), (same_place, more) = arguments(theirs), arguments(mine)
    if place != same_place:
        return False
    plain = {name.removesuffix("@entry"): name for name in more}
    return plain.keys() >= {name.removesuffix("@entry") for name in known} and all(
        text == more.get(name) or name in beyond or text == more.get(f"{name}@entry") for name, text in known.items()
    )


def by_call(session: TraceSession) -> set[str]:
    """Return the selected frame's variables of which only what the function was called with is known."""
    level, debug = session._level(), session._symbols.debug
    if level.scope is None:
        return set()
    found = set()
    for variable in (*debug.arguments(level.scope, level.pc), *debug.locals(level.scope, level.pc)):
        loaded, die = variable.die
        owner = value_holder(die)
        place = location_at(owner, D.AT_LOCATION, level.pc - loaded.bias) if owner is not None else None
        if place and (b"\xa3" in place or b"\xf3" in place):
            found.add(variable.name)
    return found


def agreeing(session: TraceSession, theirs: list[str], mine: list[str]) -> list[bool]:
    """Return for each frame whether its lines agree."""
    found = []
    for number, lines in enumerate(zip(theirs, mine, strict=False)):
        session.select_frame(number)
        found.append(same_frame(*lines, by_call(session)))
    return found


def same_answer(command: str, theirs: str, mine: str) -> bool:
    """Return whether two answers agree; of what is not known rrdbg tells types where gdb refuses."""
    asks_for_type = command.startswith(("whatis", "ptype")) or "sizeof" in command
    refusals = ("value has been optimized out", "Attempt to take address of ", "Cannot access memory")
    if same(theirs, mine) or (asks_for_type and theirs.startswith(refusals)):
        return True
    # gdb negates by subtracting from 0, so that it knows no -0; and what is no number is so in its host's way
    negated = re.match(r"output(/\w)? -", command) is not None and theirs in ("0", "0x0")
    return (negated and mine in ZEROS) or (theirs, mine) in NANS


ZEROS = ("-0", "0x80000000", "0x8000000000000000", str(-(1 << 31)), str(-(1 << 63)))
"""-0 as float and double, by format."""
NANS = (
    ("-nan(0x400000)", "nan(0x400000)"), ("-nan(0x8000000000000)", "nan(0x8000000000000)"),
    ("0xffc00000", "0x7fc00000"), ("0xfff8000000000000", "0x7ff8000000000000"),
)  # fmt: skip
"""Quiet NaNs, as x86 makes them and as RISC-V does."""


def same_rows(theirs: str, mine: str, beyond: set[str]) -> bool:
    """Return whether two lists of variables agree, but for what gdb cannot know."""
    if same(theirs, mine):
        return True
    rows = [[line for line in text.splitlines() if line.partition(" = ")[0] not in beyond] for text in (theirs, mine)]
    return same(*("\n".join(row) for row in rows))


def cpp_recorded(source: str, compiler: str, level: str, dwarf: int, folder: Path) -> Path:
    """Compile and record a program in C++, and return the trace."""
    elf, other = folder / "program.elf", folder / "program.o"
    options = ["-march=rv64imac", "-mabi=lp64", "-mcmodel=medany", "-ffreestanding", "-w", "-fno-exceptions"]
    options += ["-fno-rtti", "-fno-threadsafe-statics", "-g", f"-gdwarf-{dwarf}", level, "-c", "-o", str(other)]
    own = [CLANG, "--target=riscv64-unknown-elf", "-mno-relax"] if compiler == CLANG else [f"{GCC[:-3]}{compiler}"]
    subprocess.run([need(own[0]), *own[1:], *options, str(SOURCES / source)], check=True)
    link = ["-nostdlib", "-Wl,-Ttext=0x80000000,-e,_start,--no-warn-rwx-segments", "-o", str(elf), str(other), "-lgcc"]
    subprocess.run([need(GCC), "-march=rv64imac", "-mabi=lp64", *link], check=True)
    return record(elf, folder, until=100_000)


def is_nowhere(session: TraceSession, line: str) -> bool:
    """Return whether a line of gdb's backtrace is of no code: of nothing at all, or of data."""
    match = re.search(r"(0x[0-9a-f]{16}) in \S+ \(\)$", line)
    return match is not None and not session._symbols.is_code(int(match[1], 16))


def compare_at(gdb: Theirs, ours: Ours, position: int, rng: random.Random, ask: Sequence[str] = COMMANDS) -> list[str]:
    """Return where the two differ at a position."""
    session = ours.session
    session.goto(position)
    theirs = gdb.backtrace(position)
    mine = frames_of(ours)
    agree = agreeing(session, theirs, mine)
    if not all(agree):
        session._hide(session._beginning())  # gdb may stand before inlined calls that begin here
        hidden = frames_of(ours)
        others = agreeing(session, theirs, hidden)
        if all(others):
            mine, agree = hidden, others
        else:
            session._hide(0)
    found = []
    # gdb goes by the return address on the stack even where it is no code; rrdbg then asks the trace
    smashed = next((i for i, line in enumerate(theirs) if is_nowhere(session, line)), FRAMES)
    trapped = any(frame.trap for frame in session.backtrace(len(mine) + 1))
    whole = len(theirs) == len(mine) or (trapped and len(theirs) > len(mine)) or smashed < len(mine)
    if not all(agree[:smashed]) or not whole:
        found.append(f"@{position} bt\n  gdb:   {theirs}\n  rrdbg: {mine}")
    for number in range(max(min(len(mine), smashed), 1) if all(agree[:smashed]) else 1):
        session.select_frame(number)
        beyond = by_call(session)
        variables = [*session.variables("local"), *session.variables("arg")]
        names = {row.name for row in variables}
        statics = [row for row in session.variables("static") if row.name not in names]
        variables += rng.sample(statics, min(len(statics), 3))
        # gdb computes with pointers that the compiler did without as if they were zero, or breaks down
        variables = [row for row in variables if "<synthetic pointer>" not in row.text]
        commands = ["info args", "info locals", "output $sp", "output/x $pc", "output/x $s1"]
        commands += chosen(session, variables, rng, QUESTIONS, ask)
        for command, expected in zip(commands, gdb.in_frame(position, number, commands), strict=True):
            answer = ours.ask(command)
            if expected is None:
                continue
            if command in ("info args", "info locals"):
                right = same_rows(expected, answer, beyond)
            else:
                right = same_answer(command, expected, answer) or bool(beyond & set(re.findall(r"\w+", command)))
            if not right:
                found.append(f"@{position} #{number} {command}\n  gdb:   {expected}\n  rrdbg: {answer}")
    return found


def compare(trace: Path, count: int, seed: int, ask: Sequence[str] = COMMANDS) -> list[str]:
    """Return where the two differ at random positions of a trace."""
    rng = random.Random(f"{trace.stem} {seed}")
    found: list[str] = []
    with Theirs(trace) as gdb, Ours(trace) as ours:
        end = ours.session.position("end")
        # the start-up code is short; every second position is among the first ones, before long loops
        for position in sorted({rng.randrange(1, rng.choice((end, min(end, 20_000)))) for _ in range(count)}):
            found += compare_at(gdb, ours, position, rng, ask)
    return found


@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_a_guest(build: Build, tmp_path: Path) -> None:
    name = {"-O0": "bugs/stack-smash", "-O2": "shell", "-Os": "heap"}[build.level]
    found = compare(recorded(name, tmp_path, build), 4, 1)
    assert not found, "\n".join(found)


def test_a_guest_behind_page_tables(tmp_path: Path) -> None:
    found = compare(recorded("tiny/paging", tmp_path, Build("-O2", 5)), 6, 1)
    assert not found, "\n".join(found)


def test_a_function_that_was_left_by_mret(tmp_path: Path) -> None:
    """It had called one that never returns: its own caller is who called it, not who called that one."""
    with Ours(recorded("tiny/nested", tmp_path, Build("-O0", 5))) as ours:
        ours.session.add_break("tiny/nested.c:75")
        assert ours.session.continue_().points
        names = [frame.function for frame in ours.session.backtrace()]
        assert names == ["supervisor", "start_supervisor", "main"]


@pytest.mark.slow
@pytest.mark.parametrize("build", BUILDS, ids=str)
@pytest.mark.parametrize("guest", NAMES + PAGED)
def test_all_guests(guest: str, build: Build, tmp_path: Path) -> None:
    trace = recorded(guest, tmp_path, build)
    found = [row for seed in range(3) for row in compare(trace, 20, seed)]
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("build", [Build(level, dwarf, CLANG) for level in ("-O0", "-O2") for dwarf in (4, 5)], ids=str)
@pytest.mark.parametrize("guest", NAMES)
def test_all_guests_by_clang(guest: str, build: Build, tmp_path: Path) -> None:
    found = compare(recorded(guest, tmp_path, build), 20, 1)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("compiler", "level", "dwarf"),
    [
        ("g++", "-O2", 4),
        *[pytest.param("g++", level, 5, marks=pytest.mark.slow) for level in ("-O0", "-Og", "-Os", "-O2")],
        *[pytest.param(CLANG, level, dwarf, marks=pytest.mark.slow) for level in ("-O0", "-O2") for dwarf in (4, 5)],
    ],
)
def test_classes(compiler: str, level: str, dwarf: int, tmp_path: Path) -> None:
    trace = cpp_recorded("shapes.cpp", compiler, level, dwarf, tmp_path)
    # gdb's ptype writes template parameters for the types that they stand for
    found = compare(trace, 6, 1, [command for command in COMMANDS if not command.startswith("ptype")])
    # gdb makes arrays by @ of the class that an object turns out to have
    found = [row for row in found if "@2\n" not in row]
    assert not found, "\n".join(found)


def test_a_line_in_several_copies(tmp_path: Path) -> None:
    """Breakpoints at all of them; and a class is not its constructor."""
    trace = cpp_recorded("copies.cpp", "g++", "-O0", 5, tmp_path)
    asked = ["break copies.cpp:9", "break feed", "info breakpoints", "continue", "continue", "disable 1"]
    asked += ["info breakpoints", "output sizeof(zoo::Cow)", "output sizeof(Cow)", "whatis Cow"]
    with Gdb(trace, settings=SETTINGS) as gdb, Ours(trace) as ours:
        for command in asked:
            theirs, mine = gdb.ask(command)[0], ours.ask(command)
            if command == "continue":  # gdb tells which copy
                theirs = re.sub(r"^Continuing\.\n+|(?<=Breakpoint \d)\.\d", "", theirs)
            assert [line.rstrip() for line in mine.splitlines()] == [line.rstrip() for line in theirs.splitlines()]
            assert str(ours.session.icount) == gdb.ask('printf "%lu", $icount')[0]


@pytest.mark.parametrize("elf", sorted(PROGRAMS.glob("*.elf")), ids=lambda path: path.stem)
def test_programs_by_clang(elf: Path, tmp_path: Path) -> None:
    """Debug information as another compiler writes it; the programs were compiled from `sources` with -Ddouble=long."""
    ask = [command for command in COMMANDS if not command.startswith("ptype")]
    found = compare(record(elf, tmp_path, until=100_000), 3, 1, ask)
    found = [row for row in found if "@2\n" not in row]
    assert not found, "\n".join(found)
