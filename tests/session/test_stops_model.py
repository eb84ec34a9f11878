"""Every stop in both directions is the one that a list of all steps gives: random points, wild random programs.

The programs take traps of every kind, some in the handler, some for ever; a device writes memory between their steps.
The points are breakpoints, watchpoints on memory and registers, catchpoints, with conditions, ignore counts, temporary,
disabled, changed on the way. The seed is in each test's name; `-k` runs one again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.isa.registers import ABI

import rrdbg
from rrdbg.session.api import PointKind, Session, Stop, StopReason
from rrdbg.session.csrs import EXCEPTIONS

from .history import History
from .model import session_over
from .naive import Condition, Ended, Naive, NaivePoint, Place
from .programs import Guest
from .walks import HIT
from .wild import DATA_BYTES, wild

CSRS = {"mcause": L.MCAUSE, "mepc": L.MEPC, "mstatus": L.MSTATUS, "mtval": L.MTVAL, "priv": L.PRIV}
CONSTANT = {"mstatus": 2 << 32}
"""What reads of a CSR show beside its state: U mode has 64 bits."""
ROW = 10
"""Stops in a row: a loop of traps has a thousand that are alike."""
_USED = ["ra", "sp", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "s2", "s4", "s5", "s6", "a0", "a1", "a2", "a3"]
USED = [n for n in range(1, 32) if ABI[n] in _USED]
CAUSES: list[tuple[str, Callable[[int], bool]]] = [
    ("trap", lambda cause: True),
    ("exception", lambda cause: not cause >> 63),
    ("interrupt", lambda cause: bool(cause >> 63)),
    ("ecall-m", lambda cause: EXCEPTIONS.get(cause) == "ecall-m"),
    ("2", lambda cause: cause == 2),
    ("exception 1", lambda cause: cause == 1),
    ("interrupt 7", lambda cause: cause == 1 << 63 | 7),
    ("interrupt 11", lambda cause: cause == 1 << 63 | 11),
]


@dataclass(frozen=True)
class Run:
    """A program, its trace and all of its states."""

    guest: Guest
    history: History
    trace: bytes


@lru_cache(maxsize=16)
def run_of(seed: int) -> Run:
    program = wild(seed)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.rrt"
        history = program.record(path)
        return Run(program.guest, history, path.read_bytes())


# ---- conditions, as text and as what they mean over a state


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def term(rng: random.Random, run: Run) -> tuple[str, Callable[[Place], int], list[int]]:
    """Return something with a value, and numbers that it could well be compared with."""
    history = run.history
    somewhere = Place(history, rng.randrange(history.end))
    match rng.randrange(4):
        case 0:
            number = rng.choice(USED)
            return f"${ABI[number]}", lambda place: signed(place.x(number)), [0, 1, signed(somewhere.x(number))]
        case 1:
            name, index = rng.choice(list(CSRS.items()))

            def csr(place: Place) -> int:
                return int(place.history.harts[place.position][index]) | CONSTANT.get(name, 0)

            return f"${name}", csr, [0, csr(somewhere)]
        case 2:
            at = run.guest.symbols["data"] + rng.randrange(DATA_BYTES - 8)
            kind, size = rng.choice([("u8", 1), ("i8", 1), ("u16", 2), ("i16", 2), ("u32", 4), ("i32", 4), ("i64", 8)])

            def load(place: Place) -> int:
                data = place.history.read(place.position, at, size)
                return int.from_bytes(data, "little", signed=kind[0] == "i")

            return f"*({kind}*){at:#x}", load, [0, 1, load(somewhere)]
        case _:
            every = rng.randrange(2, 9)
            return f"$icount % {every}", lambda place: place.position % every, list(range(every))


def comparison(rng: random.Random, run: Run) -> tuple[str, Condition]:
    text, value, near = term(rng, run)
    other = rng.choice(near)
    name, holds = rng.choice([
        ("==", lambda a, b: a == b), ("!=", lambda a, b: a != b), ("<", lambda a, b: a < b),
        (">", lambda a, b: a > b), ("<=", lambda a, b: a <= b), (">=", lambda a, b: a >= b),
    ])  # fmt: skip
    if other >= 1 << 63 or text[1:] in CSRS:
        # an unsigned term makes the comparison unsigned
        return f"{text} {name} {other % (1 << 64):#x}", lambda place: holds(value(place) % (1 << 64), other % (1 << 64))
    return f"{text} {name} {other}", lambda place: holds(value(place), other)


def condition(rng: random.Random, run: Run) -> tuple[str, Condition]:
    """Return a random condition."""
    first, holds = comparison(rng, run)
    match rng.randrange(6):
        case 0:
            second, also = comparison(rng, run)
            return f"{first} && {second}", lambda place: holds(place) and also(place)
        case 1:
            second, also = comparison(rng, run)
            return f"{first} || {second}", lambda place: holds(place) or also(place)
        case 2:
            return f"!({first})", lambda place: not holds(place)
        case 3 if rng.random() < 0.3:
            # what cannot be evaluated stops, as in gdb
            return rng.choice(["*(u64*)0x10 == 5", "1 / ($a0 - $a0)", "$a1 % 0"]), lambda place: True
    return first, holds


# ---- points on both


@dataclass
class Pair:
    """A session and its naive twin, with the same points."""

    session: Session
    naive: Naive
    run: Run
    rng: random.Random

    def add(self) -> str:
        """Set a random point on both and return it in words."""
        rng, symbols, history = self.rng, self.run.guest.symbols, self.run.history
        text, holds = condition(rng, self.run) if rng.random() < 0.4 else ("", lambda place: True)
        ignore = rng.choice([0, 0, 0, 0, 1, 2, 7])
        temporary = rng.random() < 0.15
        common = {"condition": text, "temporary": temporary, "ignore": ignore}
        match rng.randrange(6):
            case 0 | 1:
                address = history.pc(rng.randrange(history.end + 1))
                added = self.session.add_break(address & ~1, **common)
                point = NaivePoint(added.number, "break", address)
            case 2 | 3:
                length = rng.choice([1, 1, 2, 4, 8, 8, 3, 16, 40])
                where, size = rng.choice([("data", DATA_BYTES), ("data", DATA_BYTES), ("used", 48), ("stack", 256)])
                address = symbols[where] + rng.randrange(0, size - length + 1)
                kind = rng.choice([PointKind.WATCH, PointKind.WATCH, PointKind.RWATCH, PointKind.AWATCH])
                added = self.session.add_watch(address, length=length, kind=kind, **common)
                point = NaivePoint(added.number, kind.value, address, length)
            case 4:
                number = rng.choice(USED)
                added = self.session.add_watch(f"${ABI[number]}", **common)
                point = NaivePoint(added.number, "register", register=number)
            case _:
                what, catches = rng.choice(CAUSES)
                added = self.session.add_catch(what, **common)
                point = NaivePoint(added.number, "catch", catches=catches)
        point.condition, point.ignore, point.temporary = holds, ignore, temporary
        self.naive.points.append(point)
        return f"{point.number}: {point.kind} {added.what} {added.length} if {text!r} ignore {ignore} {temporary}"

    def change(self) -> str:
        """Change a point on both."""
        rng = self.rng
        point = rng.choice(self.naive.points)
        if rng.random() < 0.75:
            return self.change_plainly(point)
        text, point.condition = condition(rng, self.run)
        self.session.condition_point(point.number, text)
        return f"condition {point.number} {text}"

    def change_plainly(self, point: NaivePoint) -> str:
        """Change anything but the condition."""
        rng = self.rng
        match rng.randrange(3):
            case 0:
                self.session.delete_point(point.number)
                self.naive.points.remove(point)
                return f"delete {point.number}"
            case 1:
                point.enabled = not point.enabled
                self.session.enable_point(point.number, on=point.enabled)
                return f"{'enable' if point.enabled else 'disable'} {point.number}"
            case _:
                point.ignore = rng.randrange(4)
                self.session.ignore_point(point.number, point.ignore)
                return f"ignore {point.number} {point.ignore}"

    def move(self) -> tuple[str, Stop, Ended]:
        """Move both at random."""
        session, naive, rng = self.session, self.naive, self.rng
        count = rng.choice([1, 1, 2, 5, 60])
        match rng.randrange(9):
            case 0:
                return f"stepi {count}", session.stepi(count), naive.stepi(count)
            case 1:
                return f"reverse-stepi {count}", session.reverse_stepi(count), naive.reverse_stepi(count)
            case 2 | 3:
                return "continue", session.continue_(), naive.continue_()
            case 4 | 5:
                return "reverse-continue", session.reverse_continue(), naive.reverse_continue()
            case 6:
                return self.until()
            case _:
                goal = rng.randrange(self.run.history.end + 1)
                naive.here = goal
                return f"goto {goal}", session.goto(goal), Ended(goal, reason="seek")

    def goal_at(self, address: int) -> NaivePoint:
        """Return what `until` runs to."""
        return NaivePoint(0, "break", address)

    def until(self) -> tuple[str, Stop, Ended]:
        """Run both to an address, one way or the other: the points may stop it earlier."""
        session, naive, history = self.session, self.naive, self.run.history
        address = history.pc(self.rng.randrange(history.end))
        goal = self.goal_at(address)
        naive.points.append(goal)
        if self.rng.random() < 0.5:
            words, stop, ended = f"until {address:#x}", session.until(address), naive.continue_()
        else:
            words, stop, ended = f"reverse-until {address:#x}", session.reverse_until(address), naive.reverse_continue()
        naive.points.remove(goal)
        if 0 in ended.points:
            points = ended.points - {0}
            ended = replace(ended, points=points, reason="hit" if points else "step")
        return words, stop, ended

    def check(self, told: str, stop: Stop, ended: Ended) -> None:
        """Compare how both ended, what was seen there, and what the points have counted."""
        history, here = self.run.history, self.naive.here
        got = Ended(stop.when.icount, frozenset(stop.points), "hit" if stop.reason in HIT else stop.reason.value)
        assert got == ended, f"{told}\nended as {got}, expected {ended}\n{stop.text}"
        assert (self.session.icount, self.session.pc) == (here, history.pc(here)), told
        kept = {point.number: (point.hits, point.ignore) for point in self.session.points()}
        assert kept == {point.number: (point.hits, point.ignore) for point in self.naive.points}, told

    def check_values(self, told: str, stop: Stop, before: list[NaivePoint]) -> None:
        """Compare the values before and after with the states, where one watchpoint alone has stopped."""
        points = [point for point in before if point.number in stop.points]
        if len(points) != 1 or points[0].kind in ("break", "catch"):
            return
        history, point = self.run.history, points[0]
        step = stop.when.icount if stop.reverse else stop.when.icount - 1
        if point.register:
            assert (stop.old, stop.new) == (history.x(step, point.register), history.x(step + 1, point.register)), told
            return
        assert stop.address is not None, told
        if point.length <= 8:
            states = [history.read(at, point.address, point.length) for at in (step, step + 1)]
            assert [stop.old, stop.new] == [int.from_bytes(data, "little") for data in states], f"{told}\n{stop.text}"


@pytest.fixture
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Run, Session]]:
    """A session over a random program: over its states, or over its trace."""
    over, seed = request.node.callspec.params["over"], request.node.callspec.params["seed"]
    run = run_of(seed % 1000)
    if over == "states":
        yield run, session_over(run.history, tmp_path)  # type: ignore[misc]
        return
    path = tmp_path / "run.rrt"
    path.write_bytes(run.trace)
    with rrdbg.open(path) as session:
        yield run, session


def every_stop(run: Run, session: Session, seed: int) -> None:
    """Set points; stop at all there are, from the start to the end and back. After many in a row, go on elsewhere."""
    rng = random.Random(seed)
    pair = Pair(session, Naive(run.history), run, rng)
    said = [f"seed {seed}", *(pair.add() for _ in range(rng.choice([1, 1, 2, 3, 5])))]
    for reverse in (False, True):
        edge = StopReason.START if reverse else StopReason.END
        reason, stops = None, 0
        while reason is not edge:
            before = list(pair.naive.points)
            stop = session.reverse_continue() if reverse else session.continue_()
            ended = pair.naive.reverse_continue() if reverse else pair.naive.continue_()
            told = "\n".join([*said, f"stop {'back' if reverse else 'forth'} at {ended.position}"])
            pair.check(told, stop, ended)
            pair.check_values(told, stop, before)
            reason, stops = stop.reason, stops + 1
            if stops % ROW == 0:
                here = session.icount
                goal = rng.randrange(here + 1) if reverse else rng.randrange(here, run.history.end + 1)
                pair.naive.here = session.goto(goal).when.icount


def roam(run: Run, session: Session, seed: int, motions: int = 40) -> None:
    """Move at random, and change the points on the way."""
    rng = random.Random(seed)
    pair = Pair(session, Naive(run.history), run, rng)
    said = [f"seed {seed}", *(pair.add() for _ in range(rng.randrange(0, 4)))]
    for _ in range(motions):
        if rng.random() < 0.12 and len(pair.naive.points) < 6:
            said.append(pair.add())
        if rng.random() < 0.12 and pair.naive.points:
            said.append(pair.change())
        said.append(f"at {pair.naive.here}:")
        before = list(pair.naive.points)
        words, stop, ended = pair.move()
        said.append(words)
        pair.check("\n".join(said), stop, ended)
        if 0 not in ended.points:
            pair.check_values("\n".join(said), stop, before)


@pytest.mark.parametrize("over", ["states", "trace"])
@pytest.mark.parametrize("seed", range(12))
def test_every_stop(over: str, seed: int, opened: tuple[Run, Session]) -> None:
    every_stop(*opened, seed)


@pytest.mark.parametrize("over", ["states", "trace"])
@pytest.mark.parametrize("seed", range(12))
def test_any_walk(over: str, seed: int, opened: tuple[Run, Session]) -> None:
    roam(*opened, seed)


@pytest.mark.slow
@pytest.mark.parametrize("over", ["states", "trace"])
@pytest.mark.parametrize("seed", range(1000, 1600))
def test_every_stop_of_many(over: str, seed: int, opened: tuple[Run, Session]) -> None:
    every_stop(*opened, seed)


@pytest.mark.slow
@pytest.mark.parametrize("over", ["states", "trace"])
@pytest.mark.parametrize("seed", range(2000, 2600))
def test_many_walks(over: str, seed: int, opened: tuple[Run, Session]) -> None:
    roam(*opened, seed, motions=80)


def test_the_programs_are_wild() -> None:
    """Together they do what is to be tested: traps of all kinds, trap after trap, interrupts, DMA, no end."""
    causes: set[int] = set()
    in_a_row = dma = 0
    ends = set()
    for seed in range(12):
        history = run_of(seed).history
        causes |= {row.cause for row in history.steps if row.cause is not None}
        in_a_row += sum(
            a.cause is not None and b.cause is not None for a, b in zip(history.steps, history.steps[1:], strict=False)
        )
        dma += len(history.events)
        ends.add(history.exit_code)
    assert {1, 2, 3, 5, 6, 7, 11, 1 << 63 | 7, 1 << 63 | 11} <= causes
    assert in_a_row > 40
    assert dma > 10
    assert ends == {0, None}
