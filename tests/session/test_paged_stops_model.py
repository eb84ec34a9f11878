"""Every stop behind page tables, in both directions, is the one that a list of all steps gives.

As test_stops_model.py, with programs of which each byte has several addresses, and each address of U mode several
meanings. Where something lies is asked of the page tables here by hand, which have one shape in all programs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.isa.registers import ABI

import rrdbg
from rrdbg.session.api import PointKind, Session, StopReason
from rrdbg.session.errors import Unreadable

from .model import session_over
from .naive import Condition, Naive, NaivePoint, Place
from .paged import DATA, KERNEL, PAGE, RAM, USER_CODE, WINDOWS, leaf_table_of, paged, root_of
from .programs import Guest
from .test_stops_model import ROW, Pair, Run, signed

USED = [
    n for n in range(1, 32) if ABI[n] in ("t0", "t1", "t2", "t3", "t4", "t5", "t6", "s2", "a0", "a1", "a7", "s9", "s10")
]
CAUSES: list[tuple[str, Callable[[int], bool]]] = [
    ("trap", lambda cause: True),
    ("exception", lambda cause: not cause >> 63),
    ("interrupt", lambda cause: bool(cause >> 63)),
    ("ecall-u", lambda cause: cause == 8),
    ("ecall", lambda cause: cause in (8, 9, 11)),
    ("load-page-fault", lambda cause: cause == 13),
    ("store-page-fault", lambda cause: cause == 15),
    ("interrupt 5", lambda cause: cause == 1 << 63 | 5),
]
CSRS = {"scause": L.SCAUSE, "sepc": L.SEPC, "satp": L.SATP, "priv": L.PRIV, "mepc": L.MEPC}


@lru_cache(maxsize=16)
def run_of(seed: int) -> Run:
    program = paged(seed)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.rrt"
        history = program.record(path)
        return Run(Guest("", program.elf, {}), history, path.read_bytes())


def entry_of(place: Place, address: int) -> int | None:
    """Return the PTE of a page of U mode at a position; None: addresses are physical there, or are the kernel's."""
    hart = place.history.harts[place.position]
    satp = int(hart[L.SATP])
    if int(hart[L.PRIV]) == L.PRIV_M or not satp >> 60 or address >= RAM:
        return None
    process = next(p for p in (0, 1) if root_of(p) >> 12 == satp & (1 << 44) - 1)
    if address >> 21:
        return 0
    data = place.history.read(place.position, leaf_table_of(process) + 8 * (address >> 12), 8)
    return int.from_bytes(data, "little")


def where(place: Place, address: int, length: int) -> list[tuple[int, int]] | None:
    """Return where bytes lie at a position, one by one; None where one is not mapped."""
    found = []
    for at in range(address, address + length):
        entry = entry_of(place, at)
        if entry is not None and not entry & 1:
            return None
        found.append((at if entry is None else (entry >> 10) * PAGE + at % PAGE, 1))
    return found


def load(place: Place, address: int, length: int) -> bytes | None:
    """Return bytes as a debugger at a position reads them; None where they cannot be read."""
    places = where(place, address, length)
    data = b"".join(place.history.read(place.position, at, 1) for at, _ in places or ())
    return data if len(data) == length else None


def condition(rng: random.Random, run: Run) -> tuple[str, Condition]:
    """Return a random condition. What cannot be read stops, as in gdb."""
    somewhere = Place(run.history, rng.randrange(run.history.end))
    text: str
    value: Callable[[Place], int | None]
    match rng.randrange(4):
        case 0:
            number = rng.choice(USED)
            text, value = f"${ABI[number]}", lambda place: signed(place.x(number))
        case 1:
            name, index = rng.choice(list(CSRS.items()))
            text, value = f"(i64)${name}", lambda place: signed(int(place.history.harts[place.position][index]))
        case _:
            at = rng.choice(addresses())
            size = rng.choice((1, 2, 4, 8))
            text = f"(i64)*(u{8 * size}*){at:#x}"

            def value(place: Place) -> int | None:
                data = load(place, at, size)
                return None if data is None else signed(int.from_bytes(data, "little"))

    other = rng.choice((0, 1, value(somewhere) or 0))
    operator, holds = rng.choice([("==", int.__eq__), ("!=", int.__ne__), ("<", int.__lt__), (">=", int.__ge__)])

    def test(place: Place) -> bool:
        found = value(place)
        return found is None or bool(holds(found, other))

    return f"{text} {operator} (i64){other % (1 << 64):#x}", test


def addresses() -> list[int]:
    """Return addresses of data under all of its names, of PTEs, and of nothing."""
    found = [window + page + at for window in WINDOWS for page in (0, PAGE) for at in (*range(0, 80, 8), -4, -2, 1, 13)]
    found += [DATA + page + at for page in (0, PAGE) for at in range(0, 80, 8)]
    found += [leaf_table_of(p) + 8 * n for p in (0, 1) for n in (USER_CODE >> 12, 0x10, 0x11, 0x20, 0x21)]
    return [*found, 0x9000]


def satp_at(place: Place, address: int) -> int | None:
    """Return the satp, but for the ASID, under which a breakpoint stops that is set at a position."""
    entry = entry_of(place, address)
    if entry is None or not entry & 1 or not entry & 0x10:
        return None
    return int(place.history.harts[place.position][L.SATP]) & ~(0xFFFF << 44)


class PagedPair(Pair):
    """A session and its twin, with points behind page tables."""

    def goal_at(self, address: int) -> NaivePoint:
        goal = super().goal_at(address)
        goal.satp = satp_at(Place(self.run.history, self.naive.here), address)
        return goal

    def add(self) -> str:
        rng, history = self.rng, self.run.history
        here = Place(history, self.naive.here)
        text, holds = condition(rng, self.run) if rng.random() < 0.4 else ("", lambda place: True)
        ignore = rng.choice([0, 0, 0, 0, 1, 2, 7])
        temporary = rng.random() < 0.15
        common = {"condition": text, "temporary": temporary, "ignore": ignore}
        match rng.randrange(6):
            case 0 | 1:
                address = history.pc(rng.randrange(history.end + 1))
                everywhere = rng.random() < 0.2
                position = rng.randrange(history.end + 1)
                if rng.random() < 0.3 and (place := history.place(position)) is not None:
                    added = self.session.add_break(place, physical=True, **common)
                    point = NaivePoint(added.number, "break", place, physical=True)
                else:
                    added = self.session.add_break(address, everywhere=everywhere, **common)
                    point = NaivePoint(added.number, "break", address)
                    point.satp = None if everywhere else satp_at(here, address)
            case 2 | 3:
                length = rng.choice([1, 1, 2, 4, 8, 8, 3, 16, 40])
                address, kind = (
                    rng.choice(addresses()),
                    rng.choice([PointKind.WATCH, PointKind.WATCH, PointKind.RWATCH, PointKind.AWATCH]),
                )
                physical = rng.random() < 0.1
                places = [(address, length)] if physical else where(here, address, length)
                if places is None:
                    with pytest.raises(Unreadable, match="not mapped"):
                        self.session.add_watch(address, length=length, kind=kind, **common)
                    return self.add()
                added = self.session.add_watch(address, length=length, kind=kind, physical=physical, **common)
                point = NaivePoint(added.number, kind.value, address, length, places=tuple(places))
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
        return f"{point.number}: {point} {added.what} {added.length} if {text!r} ignore {ignore} {temporary}"

    def change(self) -> str:
        rng = self.rng
        if rng.random() < 0.75:
            return self.change_plainly(rng.choice(self.naive.points))
        point = rng.choice(self.naive.points)
        text, point.condition = condition(rng, self.run)
        self.session.condition_point(point.number, text)
        return f"condition {point.number} {text}"

    def check_values(self, told, stop, before) -> None:  # type: ignore[no-untyped-def]
        points = [point for point in before if point.number in stop.points]
        if len(points) != 1 or points[0].kind in ("break", "catch", "register") or points[0].length > 8:
            return
        step = stop.when.icount if stop.reverse else stop.when.icount - 1
        states = [points[0].bytes_at(self.run.history, at) for at in (step, step + 1)]
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
    """Set points somewhere; stop at all there are, from the start to the end and back."""
    rng = random.Random(seed)
    pair = PagedPair(session, Naive(run.history), run, rng)
    said = [f"seed {seed}"]
    for _ in range(rng.choice([1, 1, 2, 3, 5])):
        pair.naive.here = session.goto(rng.randrange(run.history.end)).when.icount
        said.append(f"at {pair.naive.here}: {pair.add()}")
    pair.naive.here = session.goto(0).when.icount
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
    pair = PagedPair(session, Naive(run.history), run, rng)
    said = [f"seed {seed}"]
    for _ in range(motions):
        if rng.random() < 0.25 and len(pair.naive.points) < 6:
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
        # what is seen at a stop is what is there
        place = Place(run.history, pair.naive.here)
        for address in rng.sample(addresses(), 3):
            expected = load(place, address, 8)
            block = session.read_memory(address, 8)
            assert (block.data == expected) if expected is not None else len(block.data) < 8, "\n".join(said)


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
@pytest.mark.parametrize("seed", range(1000, 1300))
def test_every_stop_of_many(over: str, seed: int, opened: tuple[Run, Session]) -> None:
    every_stop(*opened, seed)


@pytest.mark.slow
@pytest.mark.parametrize("over", ["states", "trace"])
@pytest.mark.parametrize("seed", range(2000, 2300))
def test_many_walks(over: str, seed: int, opened: tuple[Run, Session]) -> None:
    roam(*opened, seed, motions=80)


def test_the_programs_are_wild() -> None:
    """Together they do what is to be tested: faults, interrupts, writes to bits A and D, accesses across two pages."""
    causes: set[int] = set()
    apart = aged = 0
    for seed in range(12):
        history = run_of(seed).history
        causes |= {row.cause for row in history.steps if row.cause is not None}
        apart += sum(access.last != access.place + access.size - 1 for row in history.steps for access in row.accesses)
        tables = [history.read(at, leaf_table_of(0), 0x110) for at in range(history.end + 1)]
        stores = [any(a.is_write and a.place > KERNEL + 0x5000 for a in row.accesses) for row in history.steps]
        aged += sum(a != b and not stored for a, b, stored in zip(tables, tables[1:], stores, strict=False))
    assert {8, 9, 13, 15, 1 << 63 | 5} <= causes
    assert min(apart, aged) > 10
