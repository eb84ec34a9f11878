"""Compiled regions against the dispatch loop alone: nothing of the guest differs, wherever a run is cut.

Both cores are the same kernel; one of them has random regions over the program from its first step on. Now and then
caches are dropped, devices write into code and data, regions are suspended, breakpoints come and go.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.regions.compile import compile_plans
from rrdbg_core.cpu.regions.flow import is_translatable, leaves_early
from rrdbg_core.cpu.regions.plan import Plan
from rrdbg_core.cpu.stops import Gate, Watch, WatchKind
from rrdbg_core.isa.expr import FloatLoad, FloatStore, Helper, Load, Store
from rrdbg_core.isa.table import INSNS, decode

from tests.cpu.oracle.close import BASE, MASK, STEP, atomics, close, whole
from tests.cpu.oracle.flows import PAGES, Flow
from tests.cpu.oracle.forced import ForcedSubject
from tests.cpu.oracle.programs import CODE, DATA, DATA_BYTES, Case, Generator
from tests.cpu.oracle.subjects import CoreSubject

HART, MACH = L.state_words("hart"), L.state_words("mach")
TOUCHED = ("written", "written_lines", "written_words", "read", "executed", "executed_lines", "executed_halves")
CLOSE_SLICES = (20, 30, 300)
SLICES = (1, 2, 3, 20, 300, 3_000, 20_000)


class Pair:
    """A core without regions and blocks, and one with both."""

    def __init__(self, plain: type[CoreSubject] = CoreSubject, forced: type[ForcedSubject] = ForcedSubject) -> None:
        self.plain, self.forced = plain(), forced()
        self.subjects = self.plain, self.forced
        self.cores = self.plain.core, self.forced.core
        self.plain.core.blocks = False
        self.forced.core.mach[L.BLOCK_AFTER] = 1
        self.steps = self.in_regions = 0

    def load(self, case: Case) -> None:
        for subject in self.subjects:
            subject.load(case)
            subject.core.take_touched()

    def step(self, count: int) -> None:
        before = int(self.forced.core.hart[L.REGION_STEPS])
        for subject in self.subjects:
            subject.step(count)
        self.steps += count
        self.in_regions += int(self.forced.core.hart[L.REGION_STEPS]) - before

    def check(self, where: str) -> None:
        a, b = self.cores
        assert a.hart[HART].tolist() == b.hart[HART].tolist(), where
        assert a.mach[MACH].tolist() == b.mach[MACH].tolist(), where
        assert a.memory.ram.data == b.memory.ram.data, where
        assert a.take_checks().tolist() == b.take_checks().tolist(), where
        assert a.take_traps().tolist() == b.take_traps().tolist(), where
        mine, theirs = (core.take_touched() for core in self.cores)
        for kind in TOUCHED:
            assert getattr(mine, kind).tolist() == getattr(theirs, kind).tolist(), f"{where}: {kind}"

    def disturb(self, rng: random.Random) -> None:
        """Do to both cores what may happen between two runs, and to one what must not show."""
        core = self.forced.core
        match rng.randrange(10):
            case 0:
                core.drop_caches()
            case 1:
                core.new_generation()
            case 2:
                core.regions.suspend(suspended=rng.random() < 0.3)
            case 3:
                address = rng.choice((CODE + rng.randrange(PAGES * 0x1000), DATA + rng.randrange(DATA_BYTES)))
                data = rng.randbytes(rng.choice((1, 2, 4))) if rng.random() < 0.3 else core.memory.read(address, 64)
                for each in self.cores:
                    each.write(address, data)
            case 4:
                core.search(True)  # breakpoints are passed over, but no region may hold one
                core.set_breakpoints([CODE + 2 * rng.randrange(PAGES * 0x800) for _ in range(4)])
            case 5 | 6:
                self.calm()
            case _:
                pass

    def calm(self) -> None:
        """Undo what `disturb` has left."""
        core = self.forced.core
        core.set_breakpoints([])
        for each in self.cores:
            each.search(False)
        core.regions.suspend(suspended=False)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


def run(pair: Pair, case: Case, rng: random.Random, plans: Sequence[Plan] = (), slices: Sequence[int] = SLICES) -> None:
    """Run a case in random slices on both, one of them with certain regions beside those that are drawn."""
    pair.load(case)
    if plans:
        pair.forced.core.regions.add(plans, compile_plans(plans))
    done = 0
    while done < case.steps:
        count = min(rng.choice(slices), case.steps - done)
        pair.step(count)
        done += count
        pair.check(f"{case.name} after step {done}")
        pair.disturb(rng)
    pair.calm()


@pytest.mark.parametrize("seed", range(5))
def test_programs_that_stay_hot(pair: Pair, seed: int) -> None:
    before = pair.in_regions
    run(pair, Flow(seed).case(str(seed), 40_000), random.Random(seed))
    assert pair.in_regions > before


@pytest.mark.parametrize("seed", range(8))
def test_accesses_that_are_close_together(pair: Pair, seed: int) -> None:
    for number in range(10 * seed, 10 * seed + 10):
        case = close(number, 1000)
        for careful in (False, True):
            run(pair, case, random.Random(number), [whole(case, careful=careful)], CLOSE_SLICES)


@pytest.mark.parametrize("seed", range(10))
def test_atomics(pair: Pair, seed: int) -> None:
    case = atomics(seed, 1000)
    for careful in (False, True):
        run(pair, case, random.Random(seed), [whole(case, careful=careful)], CLOSE_SLICES)


@pytest.mark.parametrize("seed", range(8))
def test_watches_of_some_words(pair: Pair, seed: int) -> None:
    """Searches see the same hits, and pass over the same ones, wherever the watched words lie."""
    rng = random.Random(seed)
    seen = 0
    for number in range(10 * seed, 10 * seed + 10):
        case = close(number, 1000)
        pair.load(case)
        plan = whole(case, careful=number % 2 == 1)
        pair.forced.core.regions.add([plan], compile_plans([plan]))
        pair.step(100)
        near = case.x[BASE] + (rng.randrange(8) * case.x[STEP] & case.x[MASK])
        kinds = [WatchKind.CHANGE, WatchKind.WRITE, WatchKind.READ, WatchKind.ACCESS]
        watches = [
            Watch(near + 4 * rng.randrange(-14, 14), rng.choice((1, 4, 8, 8, 40)), rng.choice(kinds), gate)
            for gate in range(1, rng.choice((2, 2, 3, 5)))
        ]
        for core in pair.cores:
            core.set_gates([Gate()] * len(watches))
            core.set_watches(watches)
            core.search(True)
        for slice_ in range(9):
            pair.step(100)
            pair.check(f"{case.name}, slice {slice_}, {watches}")
            counts = [core.gate_counts for core in pair.cores]
            assert counts[0] == counts[1], f"{case.name}, {watches}"
            seen += sum(count.passed for count in counts[0])
        for core in pair.cores:
            core.set_watches(())
            core.set_gates(())
        pair.calm()
    assert seen > 100


def test_random_programs(pair: Pair) -> None:
    before = pair.in_regions
    for case in Generator(11).cases(per_program=4):
        run(pair, case, random.Random(11))
    assert pair.in_regions > before


def test_where_a_region_may_be_left() -> None:
    """What tells loads, stores and atomics by their bits agrees with the table, for all that a region can hold."""
    words = [*(word for word in range(1 << 16) if word & 3 != 3), *(insn.match for insn in INSNS)]
    for word in words:
        decoded = decode(word)
        if decoded is not None and is_translatable(decoded):
            effect = decoded.insn.effect
            may = isinstance(effect, Load | Store | FloatLoad | FloatStore)
            may = may or (isinstance(effect, Helper) and effect.name not in ("nop", "float_op"))
            assert leaves_early(word) == may, f"{word:x}: {decoded.insn.name}"


@pytest.mark.slow
def test_twenty_million_steps() -> None:
    pair = Pair()
    seed = 1000
    while pair.steps < 20_000_000:
        run(pair, Flow(seed).case(str(seed), 100_000), random.Random(seed))
        seed += 1
    print(f"{pair.steps:_} steps of {seed - 1000} programs, {pair.in_regions:_} of them in regions")
    assert pair.in_regions > pair.steps // 4


def test_interrupts_at_every_step_of_a_region(pair: Pair) -> None:
    """A budget ends wherever an interrupt is due: at every step in turn."""
    case = Flow(6).case("6", 2_000)
    pair.load(case)
    pair.step(300)
    pair.check("before")
    for length in range(1, 120):
        pair.step(length)
        pair.check(f"{length} steps")
        interrupted = [core.hart[L.MIE] & core.hart[L.MIP] for core in pair.cores]
        assert interrupted[0] == interrupted[1]


def test_regions_outlive_what_happens_to_the_kernel(pair: Pair) -> None:
    core: Core = pair.forced.core
    pair.load(Flow(6).case("6", 10_000))
    pair.step(5_000)
    before = pair.in_regions
    core.drop_caches()
    core.regions.look_again()
    pair.step(5_000)
    pair.check("with cold caches")
    assert pair.in_regions > before
