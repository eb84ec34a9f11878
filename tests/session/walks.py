"""Random walks: the same random motions on a session and on the list of states, compared after each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from rrdbg_core.cpu import layout as L

from rrdbg.session.api import NotFound, PointKind, Session, Stop, StopReason
from rrdbg.session.csrs import EXCEPTIONS

from .history import History
from .naive import Condition, Ended, Naive, NaivePoint
from .programs import Guest

HIT = (StopReason.BREAKPOINT, StopReason.WATCHPOINT, StopReason.CATCHPOINT)
REGISTERS = {"a0": 10, "a1": 11, "a2": 12, "t2": 7, "sp": 2, "s2": 18, "ra": 1}


@dataclass
class Walk:
    """A session and its naive twin."""

    session: Session
    naive: Naive
    guest: Guest
    rng: random.Random

    @property
    def history(self) -> History:
        return self.naive.history

    # points

    def add_point(self) -> str:
        """Set a random point on both; return it in words."""
        rng, data = self.rng, self.guest.symbols["data"]
        text, condition = self._condition(data) if rng.random() < 0.35 else ("", lambda place: True)
        ignore = rng.choice([0, 0, 0, 1, 3])
        temporary = rng.random() < 0.15
        common = {"condition": text, "temporary": temporary, "ignore": ignore}
        match rng.randrange(5):
            case 0:
                step = rng.randrange(self.history.end)
                address = self.history.pc(step)
                added = self.session.add_break(address, **common)
                point = NaivePoint(added.number, "break", address)
            case 1 | 2:
                length = rng.choice([1, 2, 4, 8, 3, 16])
                address = data + rng.randrange(0, 48)
                kind = rng.choice([PointKind.WATCH, PointKind.RWATCH, PointKind.AWATCH])
                added = self.session.add_watch(address, length=length, kind=kind, **common)
                point = NaivePoint(added.number, kind.value, address, length)
            case 3:
                name = rng.choice(list(REGISTERS))
                added = self.session.add_watch(f"${name}", **common)
                point = NaivePoint(added.number, "register", register=REGISTERS[name])
            case _:
                what, catches = rng.choice([
                    ("trap", lambda cause: True),
                    ("exception", lambda cause: not cause >> 63),
                    ("interrupt", lambda cause: bool(cause >> 63)),
                    ("ecall-m", lambda cause: EXCEPTIONS.get(cause) == "ecall-m"),
                    ("interrupt 7", lambda cause: cause == 1 << 63 | 7),
                ])  # fmt: skip
                added = self.session.add_catch(what, **common)
                point = NaivePoint(added.number, "catch", catches=catches)
        point.condition, point.ignore, point.temporary = condition, ignore, temporary
        self.naive.points.append(point)
        return f"{point.kind} {added.what} if {text!r} ignore {ignore}{' temporary' * temporary}"

    def _condition(self, data: int) -> tuple[str, Condition]:
        number = self.rng.randrange(6)
        return self.rng.choice([
            (f"$a0 == {number}", lambda place: place.x(10) == number),
            (f"$a1 > {number} || $s2 == 2", lambda place: _signed(place.x(11)) > number or place.x(18) == 2),
            (f"*(u8*){data:#x} & 1", lambda place: place.byte(data) & 1 == 1),
            (f"$icount % {number + 2} == 0", lambda place: place.position % (number + 2) == 0),
            ("$mip", lambda place: bool(place.history.harts[place.position][L.MIP])),
            # what cannot be evaluated stops, as in gdb
            ("*(u64*)0x10 == 5", lambda place: True),
            ("1 / ($a0 - $a0)", lambda place: True),
        ])  # fmt: skip

    # motions

    def move(self) -> tuple[str, Stop | None, Ended | None]:
        """Make a random motion on both; return it in words, and how both ended."""
        session, naive = self.session, self.naive
        count = self.rng.choice([1, 1, 2, 5, 40])
        match self.rng.randrange(13):
            case 0:
                return f"stepi {count}", session.stepi(count), naive.stepi(count)
            case 1:
                return f"reverse-stepi {count}", session.reverse_stepi(count), naive.reverse_stepi(count)
            case 2 | 3:
                return "nexti", session.nexti(), naive.nexti()
            case 4 | 5:
                return "reverse-nexti", session.reverse_nexti(), naive.reverse_nexti()
            case 6 | 7:
                return "continue", session.continue_(), naive.continue_()
            case 8 | 9:
                return "reverse-continue", session.reverse_continue(), naive.reverse_continue()
            case 10:
                return "finish", *self._outermost(session.finish, naive.finish)
            case 11:
                return "reverse-finish", *self._outermost(session.reverse_finish, naive.reverse_finish)
            case _:
                goal = self.rng.randrange(self.history.end + 1)
                naive.here = goal
                return f"goto {goal}", session.goto(goal), Ended(goal, reason="seek")

    @staticmethod
    def _outermost(real, naive) -> tuple[Stop | None, Ended | None]:  # type: ignore[no-untyped-def]
        expected = naive()
        try:
            return real(), expected
        except NotFound:
            return None, expected

    def check(self, said: Sequence[str], stop: Stop | None, ended: Ended | None) -> None:
        """Compare how both ended, and the whole state there."""
        session, naive, history = self.session, self.naive, self.history
        told = "\n".join(said)
        if stop is None or ended is None:
            assert stop is None, f"{told}\nended {stop}, expected to be refused"
            assert ended is None, f"{told}\nwas refused, expected {ended}"
        else:
            got = Ended(stop.when.icount, frozenset(stop.points), "hit" if stop.reason in HIT else stop.reason.value)
            assert got == ended, f"{told}\nended as {got}, expected {ended}\n{stop.text}"
        here = naive.here
        assert session.icount == here, told
        assert session.pc == history.pc(here), told
        registers = {row.name: row.value for row in session.registers()}
        assert [registers[name] for name in REGISTERS] == [history.x(here, n) for n in REGISTERS.values()], told
        data = self.guest.symbols["data"]
        assert session.read_memory(data, 64).data == history.read(here, data, 64), told
        kept = {point.number: (point.hits, point.ignore) for point in session.points()}
        assert kept == {point.number: (point.hits, point.ignore) for point in naive.points}, told


def walk(session: Session, history: History, guest: Guest, seed: int, motions: int = 40) -> None:
    """Walk at random and compare after each motion. Every other seed, no condition is judged by the engine."""
    if seed % 2:
        session._lower = lambda condition, pc: None  # type: ignore[attr-defined]
    rng = random.Random(seed)
    pair = Walk(session, Naive(history), guest, rng)
    said = [f"seed {seed}"]
    for _ in range(rng.randrange(0, 4)):
        said.append(pair.add_point())
    for _ in range(motions):
        if rng.random() < 0.08 and len(pair.naive.points) < 5:
            said.append(pair.add_point())
        if rng.random() < 0.08 and pair.naive.points:
            point = rng.choice(pair.naive.points)
            session.delete_point(point.number)
            pair.naive.points.remove(point)
            said.append(f"delete {point.number}")
        if rng.random() < 0.06 and pair.naive.points:
            point = rng.choice(pair.naive.points)
            point.enabled = not point.enabled
            session.enable_point(point.number, on=point.enabled)
            said.append(f"{'enable' if point.enabled else 'disable'} {point.number}")
        said.append(f"at {pair.naive.here}:")
        words, stop, ended = pair.move()
        said.append(words)
        pair.check(said, stop, ended)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
