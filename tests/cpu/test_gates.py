"""Conditions and counts of breakpoints and watches, against a model that judges every hit on the state it is at."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import ICOUNT, CannotJudge, Condition, reader
from rrdbg_core.cpu.condition_code import HOLDS, NO, UNJUDGED
from rrdbg_core.cpu.core import Core, Exit
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.cpu.stops import Gate, GateCount, Watch, WatchKind
from rrdbg_core.isa import expr

from tests.cpu.conditions import condition
from tests.cpu.oracle.programs import CODE, DATA, Case, Generator
from tests.cpu.oracle.subjects import RAM_BYTES, CoreSubject
from tests.cpu.test_stops import RAM, Step, Stops, history, run_to_stop

KINDS = pytest.mark.parametrize("kind", [Core, ReferenceCore])


@dataclass
class State:
    """The guest at a position."""

    hart: list[int]
    mach: list[int]
    ram: bytes

    def judge(self, what: Condition | None) -> int:
        if what is None:
            return HOLDS

        def read(address: int, size: int) -> int | None:
            at = address - RAM
            return int.from_bytes(self.ram[at : at + size], "little") if 0 <= at <= RAM_BYTES - size else None

        try:
            value = reader(what)(self.hart, self.mach, self.hart[L.PC], self.mach[L.ICOUNT], read)
        except CannotJudge:
            return UNJUDGED
        return HOLDS if value else NO


def states(subject: CoreSubject, case: Case, steps: int) -> list[State]:
    """Return the guest at every position."""
    subject.load(case)
    core = subject.core
    found = []
    for at in range(steps + 1):
        found.append(State(core.hart.tolist(), core.mach.tolist(), core.memory.ram.tobytes()))
        if at < steps:
            subject.step(1)
    return found


@dataclass(eq=False)
class Point:
    """Something to stop at, by itself, and its gate."""

    stops: Stops
    gate: Gate | None


def draw(rng: random.Random, steps: list[Step]) -> list[Point]:
    """Choose points, most of which are hit, most of them gated."""
    points = []
    accessed = [a for step in steps for a, _ in step.reads] + [a for step in steps for a, _, _ in step.writes]
    for _ in range(rng.randrange(1, 7)):
        stops = Stops([], [], 0, False, False)
        match rng.randrange(6):
            case 0 | 1:
                stops.breaks = [rng.choice(steps).pc] if rng.random() < 0.9 else [CODE + 2 * rng.randrange(1024)]
            case 2 | 3:
                address = rng.choice(accessed) if accessed and rng.random() < 0.8 else DATA + rng.randrange(0x2000)
                kind = rng.choice((WatchKind.READ, WatchKind.WRITE, WatchKind.ACCESS, WatchKind.CHANGE))
                stops.watches = [Watch(address + rng.randrange(-3, 4), rng.choice((1, 2, 4, 8, 100)), kind)]
            case 4:
                stops.registers = 1 << rng.randrange(1, 64)
            case 5:
                stops.exceptions, stops.interrupts = rng.choice(((True, False), (False, True), (True, True)))
        what = rng.choice((None, condition(rng, (RAM, RAM + RAM_BYTES)), _often(rng)))
        ignore = rng.choice((0, 0, 0, 1, 2, 5, 1000))
        points.append(Point(stops, None if rng.random() < 0.2 else Gate(what, ignore)))
    return points


def _often(rng: random.Random) -> Condition:
    """Return a condition that changes all the time."""
    return Condition(expr.eq(expr.remu(ICOUNT, rng.randrange(1, 9)), 0))


def arm(core: Core, points: list[Point]) -> list[Gate]:
    """Set a core up; return the gates."""
    gates: list[Gate] = []
    breaks, watches, registers, catches = [], [], [], []
    for point in points:
        number = 0
        if point.gate is not None:
            gates.append(point.gate)
            number = len(gates)
        breaks += [(address, number) for address in point.stops.breaks]
        watches += [Watch(w.address, w.size, w.kind, number) for w in point.stops.watches]
        registers += [(r, number) for r in range(1, 64) if point.stops.registers >> r & 1]
        mask = point.stops.exceptions | point.stops.interrupts << 1
        catches += [(mask, number)] * bool(mask)
    core.set_gates(gates)
    core.set_breakpoints([address for address, _ in breaks], [number for _, number in breaks])
    core.set_watches(watches)
    core.watch_registers(
        sum({1 << r for r, number in registers if not number}), [pair for pair in registers if pair[1]]
    )
    mask = 0
    for bits, number in catches:
        mask |= 0 if number else bits
    core.catch_traps(exceptions=bool(mask & 1), interrupts=bool(mask & 2), gated=[pair for pair in catches if pair[1]])
    return gates


def disarm(core: Core) -> None:
    core.set_gates(())
    core.set_breakpoints(())
    core.set_watches(())
    core.watch_registers(0)
    core.catch_traps(exceptions=False, interrupts=False)


class Model:
    """What a run does, by looking at every step."""

    def __init__(self, points: list[Point], steps: list[Step], states: list[State]) -> None:
        self.points, self.steps, self.states = points, steps, states
        self.gated = [point for point in points if point.gate is not None]
        self.ignore = [point.gate.ignore for point in self.gated if point.gate]
        self.passed = [0] * len(self.gated)

    def hits(self, at: int, limit: int, *, before: bool) -> list[tuple[Point, int]]:
        """Return what hits before or in a step, and the verdicts."""
        found = []
        for point in self.points:
            if point.stops.before(self.steps[at]) if before else point.stops.after(self.steps[at]):
                what = point.gate.condition if point.gate else None
                state = self.states[at if before else at + 1]
                settled = before or (at + 1 < limit and not state.hart[L.WFI])
                found.append((point, state.judge(what) if settled or point.gate is None else UNJUDGED))
        return found

    def stops(self, hits: list[tuple[Point, int]]) -> bool:
        """Return whether one of the hits stops; if not, count them."""
        for point, verdict in hits:
            left = self.ignore[self.gated.index(point)] if point.gate else 0
            if verdict == UNJUDGED or (verdict == HOLDS and not left):
                return True
        for point, verdict in hits:
            if verdict == HOLDS:
                self.ignore[self.gated.index(point)] -= 1
                self.passed[self.gated.index(point)] += 1
        return False

    def run(self, at: int, limit: int) -> tuple[Exit, int]:
        """Return how a run from position `at` on ends; its own breakpoint is passed over."""
        first = at
        while at < limit:
            if at > first and self.stops(self.hits(at, limit, before=True)):
                return Exit.BREAK, at
            if self.stops(self.hits(at, limit, before=False)):
                return Exit.WATCH, at + 1
            at += 1
        return Exit.LIMIT, at


@KINDS
@pytest.mark.parametrize("seed", range(8))
def test_gated_stops_are_those_of_the_model(kind: type[Core], seed: int) -> None:
    rng = random.Random(seed)
    subject = CoreSubject(kind)
    core = subject.core
    passed = stopped = 0
    for case in Generator(15000 + seed).cases(steps=200):
        steps = history(subject, case)
        positions = states(subject, case, len(steps))
        end = subject.state()
        for _ in range(8):
            points = draw(rng, steps)
            model = Model(points, steps, positions)
            subject.load(case)
            gates = arm(core, points)
            at = 0
            while at < len(steps):
                limit = rng.choice((len(steps), rng.randrange(at + 1, len(steps) + 1)))
                expected = model.run(at, limit)
                core.skip_break_once()
                assert (run_to_stop(subject, limit), core.icount) == expected, (case.name, points)
                counts = [count.passed for count in core.gate_counts]
                assert counts == model.passed
                at = core.icount
                passed += sum(counts)
                stopped += expected[0] != Exit.LIMIT
                # from here on as from anywhere
                gates = [Gate(gate.condition, left) for gate, left in zip(gates, model.ignore, strict=True)]
                core.set_gates(gates)
                model.passed = [0] * len(gates)
            disarm(core)
            assert subject.state() == end
    assert passed > 5
    assert stopped > 20


@KINDS
@pytest.mark.parametrize("seed", range(8))
def test_a_gated_search_counts_what_the_model_counts(kind: type[Core], seed: int) -> None:
    rng = random.Random(seed)
    subject = CoreSubject(kind)
    core = subject.core
    total = 0
    for case in Generator(16000 + seed).cases(steps=200):
        steps = history(subject, case)
        positions = states(subject, case, len(steps))
        subject.load(case)
        subject.step(len(steps))
        end = subject.state()
        for _ in range(8):
            points = draw(rng, steps)
            model = Model(points, steps, positions)
            low, high = sorted(rng.randrange(len(steps) + 1) for _ in range(2))
            subject.load(case)
            subject.step(low)
            arm(core, points)
            core.search(True)
            assert run_to_stop(subject, high) == Exit.LIMIT
            newest = None
            counts = [GateCount(0, 0, 0) for _ in model.gated]
            for at in range(low, high):
                for point, verdict in model.hits(at, high, before=True) + model.hits(at, high, before=False):
                    if verdict == UNJUDGED or point.gate is None:
                        newest = at
                    if point.gate is not None:
                        place = model.gated.index(point)
                        old = counts[place]
                        if verdict == HOLDS:
                            last = at if old.passed < model.ignore[place] else old.last
                            counts[place] = GateCount(old.passed + 1, last, old.doubts)
                        elif verdict == UNJUDGED:
                            counts[place] = GateCount(old.passed, old.last, old.doubts + 1)
            assert core.gate_counts == counts, (case.name, points)
            assert (core.last_hit[0] if core.last_hit else None) == newest
            total += sum(count.passed for count in counts)
            core.search(False)
            disarm(core)
            # looking has changed nothing
            subject.step(len(steps) - high)
            assert subject.state() == end
    assert total > 10


def test_several_thousand_points() -> None:
    """The tables have no end, and what stands in them is found."""
    core = Core(1 << 16)
    # a loop of 2,000 instructions: addi a0, a0, 1, then a jump back
    count = 2000
    for place in range(count):
        core.write(RAM + 4 * place, 0x00150513.to_bytes(4, "little"))
    offset = -4 * count
    jump = 0x6F | (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3FF) << 21 | (offset >> 11 & 1) << 20
    core.write(RAM + 4 * count, (jump | (offset >> 12 & 0xFF) << 12).to_bytes(4, "little"))
    core.hart[L.PC] = RAM
    addresses = [RAM + 4 * place for place in range(count)]
    random.Random(1).shuffle(addresses)
    never = Condition(expr.ltu(expr.Ex("hart", (L.X + 10,)), 0))
    last = Condition(expr.eq(expr.Ex("hart", (L.X + 10,)), 3 * count + 77))
    gates = [Gate(last if address == RAM + 4 * 77 else never) for address in addresses]
    core.set_gates(gates)
    core.set_breakpoints(addresses, range(1, count + 1))
    assert core.run(1_000_000) is Exit.BREAK
    assert (int(core.hart[10]), int(core.hart[L.PC])) == (3 * count + 77, RAM + 4 * 77)
    core.set_gates(())
    core.set_breakpoints(())
    # as many watches, of which one is hit
    core.set_watches([Watch(RAM + 0x4000 + 8 * place, 8, WatchKind.CHANGE) for place in range(count)])
    core.write(RAM, 0x00A5B023.to_bytes(4, "little"))  # sd a0, 0(a1)
    core.hart[L.PC], core.hart[11] = RAM, RAM + 0x4000 + 8 * 1234
    assert core.run(core.icount + 100) is Exit.WATCH
    assert (core.hit.index, core.hit.address) == (1234, RAM + 0x4000 + 8 * 1234)


def test_an_awatch_counts_an_amo_once() -> None:
    core = Core(1 << 16)
    core.write(RAM, 0x00B6302F.to_bytes(4, "little") * 10)  # amoadd.d x0, a1, (a2)
    core.hart[L.PC], core.hart[11], core.hart[12] = RAM, 1, RAM + 0x800
    core.set_gates([Gate(ignore=3)])
    core.set_watches([Watch(RAM + 0x800, 8, WatchKind.READ, 1), Watch(RAM + 0x800, 8, WatchKind.WRITE, 1)])
    assert core.run(10) is Exit.WATCH
    assert core.icount == 4
    assert core.gate_counts == [GateCount(3, 0, 0)]
