"""Conditions and ignore counts at every instruction of a loop, in both directions; and very many points at once."""

from __future__ import annotations

import random

import pytest

from rrdbg.session.api import PointKind, Session, StopReason

from .history import History
from .naive import Condition, Naive, NaivePoint
from .programs import Guest

HITS = (StopReason.BREAKPOINT, StopReason.WATCHPOINT)


def conditions(counter: int) -> dict[str, Condition]:
    """Return conditions: on what changes in the loop, on the position, and some that cannot always be computed."""
    return {
        "*(u64*)counter == 5": lambda place: place.byte(counter) == 5,
        "$a0 * 2 > *(u64*)counter": lambda place: place.x(10) * 2 > place.byte(counter),
        "$icount % 3 == 1": lambda place: place.position % 3 == 1,
        # null, but in the second round
        "*(u64*)($s0 * ($s2 == 2)) == 5": lambda place: place.x(18) != 2 or (
            place.history.read(place.position, place.x(8), 8) in (b"", (5).to_bytes(8, "little"))
        ),
        "12 / ($s2 - 2) == -12": lambda place: place.x(18) in (1, 2),
    }  # fmt: skip


def compare(session: Session, naive: Naive, rng: random.Random) -> int:
    """Walk from stop to stop, to the end and back to the start, and return how many there were."""
    stops = 0
    for motion in ("continue_", "reverse_continue"):
        while True:
            stop, expected = getattr(session, motion)(), getattr(naive, motion)()
            assert stop.when.icount == expected.position
            assert frozenset(stop.points) == expected.points
            kept = [(point.hits, point.ignore) for point in session.points()]
            assert kept == [(point.hits, point.ignore) for point in naive.points]
            if stop.reason not in HITS:
                break
            stops += 1
            if rng.random() < 0.2:
                number, count = rng.choice(naive.points).number, rng.randrange(4)
                session.ignore_point(number, count)
                next(point for point in naive.points if point.number == number).ignore = count
    return stops


@pytest.mark.parametrize("judge", ["engine", "session"])
def test_a_condition_at_every_instruction(session: Session, history: History, counter: Guest, judge: str) -> None:
    if judge == "session":
        session._lower = lambda condition, pc: None  # type: ignore[attr-defined]
    rng = random.Random(4)
    place = counter.symbols["counter"]
    stops = 0
    for pc in sorted({history.pc(position) for position in range(history.end)}):
        for text, condition in conditions(place).items():
            session.goto(0)
            ignore = rng.choice((0, 0, 1, 2))
            number = session.add_break(pc, condition=text, ignore=ignore).number
            point = NaivePoint(number, "break", pc, condition=condition, ignore=ignore)
            lowered = session._points[number].lowered is not None  # type: ignore[attr-defined]
            assert lowered == (judge == "engine")
            stops += compare(session, Naive(history, [point]), rng)
            session.delete_point(number)
    assert stops > 100


def test_watchpoints_under_conditions(session: Session, history: History, counter: Guest) -> None:
    rng = random.Random(5)
    place = counter.symbols["counter"]
    stops = 0
    for kind in (PointKind.WATCH, PointKind.RWATCH, PointKind.AWATCH):
        for text, condition in conditions(place).items():
            for ignore in (0, 1):
                session.goto(0)
                number = session.add_watch(place, length=8, kind=kind, condition=text, ignore=ignore).number
                point = NaivePoint(number, kind.value, place, 8, condition=condition, ignore=ignore)
                stops += compare(session, Naive(history, [point]), rng)
                session.delete_point(number)
    assert stops > 20


def test_a_thousand_breakpoints_and_a_hundred_watchpoints(session: Session, history: History, counter: Guest) -> None:
    rng = random.Random(6)
    start, place = counter.symbols["_start"], counter.symbols["counter"]
    naive = Naive(history)
    for address in rng.sample(range(start, start + 0x1000, 2), 1000):
        naive.points.append(NaivePoint(session.add_break(address).number, "break", address))
    for kind in rng.choices((PointKind.WATCH, PointKind.RWATCH, PointKind.AWATCH), k=100):
        address = place + rng.randrange(-200, 200)
        number = session.add_watch(address, length=rng.choice((1, 8, 64)), kind=kind).number
        naive.points.append(NaivePoint(number, kind.value, address, session.points()[-1].length))
    assert compare(session, naive, rng) > 20
