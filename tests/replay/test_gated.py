"""Conditions and ignored hits, through the replayer: what a step-by-step walk says, over many small windows."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from rrdbg_core.cpu import condition as C
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import Condition, reader
from rrdbg_core.isa import expr
from rrdbg_core.replay import pages, search
from rrdbg_core.replay import replayer as replayers
from rrdbg_core.replay.ladder import Ladder
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.targets import Gated, Targets
from rrdbg_core.trace.model import EPOCH
from rrdbg_core.trace.reader import Trace

from tests.replay.naive import Step, hits_before, hits_in, walk
from tests.replay.test_replayer import ram_of, random_targets, straight

Open = Callable[[Path], Replayer]
SEED = int(os.environ.get("SEED", "20261126"))
"""Of what is random here; any other one will do."""


def a_condition(rng: random.Random) -> Condition | None:
    """Return a condition over registers and the position: what the walk remembers."""
    register = C.hart(L.X + rng.randrange(1, 32))
    return rng.choice((
        None,
        Condition(expr.eq(expr.remu(C.ICOUNT, rng.randrange(2, 9)), 0)),
        Condition(register & (1 << rng.randrange(6))),
        Condition(expr.ltu(register, C.hart(L.X + 10))),
        Condition(lift_zero := expr.eq(C.PC, 0)),
        Condition(expr.divu(1, lift_zero)),  # never judged
    ))  # fmt: skip


def holds(condition: Condition | None, registers: tuple[int, ...], pc: int, icount: int) -> bool:
    """Judge a condition; what cannot be judged holds."""
    if condition is None:
        return True
    try:
        return bool(reader(condition)(registers, (), pc, icount, lambda address, size: None))
    except C.CannotJudge:
        return True


def came_to(step: Step, following: int, gated: Gated, base: int) -> tuple[bool, bool]:
    """Return whether something comes to a gate before a step and in it, under its condition."""
    before = hits_before(step, gated.targets) and holds(gated.condition, step.registers, step.pc, step.number)
    inside = hits_in(step, gated.targets, base) and holds(
        gated.condition, step.registers_after, following, step.number + 1
    )
    return before, inside


def judged(gated: Gated) -> bool:
    """Return whether the engine counts what comes to a gate."""
    tree = gated.condition.tree if gated.condition else None
    return tree is None or tree.op != "divu"


@pytest.mark.parametrize("trace", ["shell_trace", "storm_trace", "heap_trace"])
def test_gated_searches_and_runs(
    trace: str, request: pytest.FixtureRequest, replayer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"seed {SEED}")
    monkeypatch.setattr(search, "MIN_WINDOW", 100)
    monkeypatch.setattr(replayers, "RUN_SPACING", 256)
    path: Path = request.getfixturevalue(trace)
    rng = random.Random(SEED)
    slow, fast = replayer(path), replayer(path)
    passed = stopped = 0
    for _ in range(4):
        lo = rng.randrange(9000, min(slow.end, 1_400_000) - 1500)
        hi = lo + 1200
        base, size = ram_of(lo, slow)
        steps = walk(slow, lo, hi, (base, size))
        following = {step.number: after.pc for step, after in pairwise(steps)}
        fast.seek(lo)
        fast.run(hi, Targets())  # rungs
        for _ in range(15):
            gates = tuple(
                Gated(random_targets(rng, steps, base, size), a_condition(rng), rng.choice((0, 0, 1, 3, 40, 1000)))
                for _ in range(rng.randrange(1, 4))
            )
            targets = replace(random_targets(rng, steps, base, size) if rng.random() < 0.2 else Targets(), gated=gates)
            # backwards: the newest step that stops, and what was passed on the way
            left, expected = [gated.ignore for gated in gates], None
            counts = [0] * len(gates)
            for step in reversed(steps[:-1]):
                stops = hits_before(step, targets) or hits_in(step, targets, base)
                came = [sum(came_to(step, following[step.number], gated, base)) for gated in gates]
                # two hits in a step stop at the second one, if there is but one to be passed
                stops |= any(n > i or (n and not judged(g)) for n, i, g in zip(came, left, gates, strict=True))
                if stops:
                    expected = step.number
                    break
                for number, count in enumerate(came):
                    left[number] -= count
                    counts[number] += count
            # what hits at the very end of a slice the engine may leave to others: step over those
            upper = hi - 1
            left = [gated.ignore for gated in gates]
            total = [0] * len(gates)
            while True:
                asked = replace(targets, gated=tuple(replace(g, ignore=i) for g, i in zip(gates, left, strict=True)))
                found = fast.last_hit(lo, upper, asked)
                for number, count in enumerate(fast.passed):
                    left[number] -= count
                    total[number] += count
                if found is None or found == expected:
                    break
                step = steps[found - lo]
                came = [sum(came_to(step, following[found], gated, base)) for gated in gates]
                assert any(hits_before(step, g.targets) or hits_in(step, g.targets, base) for g in gates)
                assert not any(n > i for n, i in zip(came, left, strict=True)), "passed over a stop"
                for number, count in enumerate(came):
                    left[number] -= count
                    total[number] += count
                upper = found
            assert found == expected, targets
            assert total == counts, targets
            passed += sum(counts)
            stopped += expected is not None
    assert passed
    assert stopped


def test_a_million_ignored_hits(heap_trace: Path, replayer: Open) -> None:
    """Over more than two epochs; positions are those of hits counted forwards."""
    here = replayer(heap_trace)
    here.seek(EPOCH)
    pc = int(here.machine.core.hart[L.PC])
    every = Targets(gated=(Gated(Targets(breaks=(pc,)), None, (1 << 64) - 1),))
    here.seek(0)
    assert here.run(here.end, every) is None
    (total,) = here.passed
    assert total > 1000
    for back in (0, 1, total // 3, total - 1):
        step = here.last_hit(0, here.end, Targets(gated=(Gated(Targets(breaks=(pc,)), None, back),)))
        assert here.passed == [back]
        assert step is not None
        here.seek(0)
        found = here.run(here.end, Targets(gated=(Gated(Targets(breaks=(pc,)), None, total - back - 1),)))
        assert found is not None
        assert found.is_break
        assert (here.icount, here.passed) == (step, [total - back - 1])
    assert here.last_hit(0, here.end, Targets(gated=(Gated(Targets(breaks=(pc,)), None, total),))) is None
    assert here.passed == [total]


def test_conditions_change_nothing(storm_trace: Path, replayer: Open) -> None:
    """Contract, rules 8 and 9: looking, judging and passing over leave every digest as it is."""
    rng = random.Random(7)
    here = replayer(storm_trace)
    places = sorted(rng.sample(range(here.end), 12))
    expected = straight(replayer(storm_trace), places)
    base, size = ram_of(20_000, here)
    steps = walk(here, 20_000, 20_600, (base, size))
    here.seek(0)
    for place in places:
        gates = tuple(Gated(random_targets(rng, steps, base, size), a_condition(rng), (1 << 64) - 1) for _ in range(6))
        while here.icount < place:
            here.run(place, Targets(gated=gates))
        assert here.machine.digest() == expected[place]


def test_the_way_home_stays_short(heap_trace: Path) -> None:
    with Trace.open(heap_trace) as trace:
        here = Replayer(trace, ladder_bytes=400_000)
        ladder: Ladder = here._ladder
        here.seek(12_345_678)
        start = ladder.below(12_345_678)
        assert start is not None
        here.home = 12_345_678
        here.run(here.end, Targets())
        assert ladder.bytes <= 500_000
        assert ladder.below(12_345_678) == start
        here.home = None
        here.run(here.end, Targets())
        for place in range(EPOCH, here.end, 1 << 20):
            here.seek(place)
        assert ladder.bytes <= 400_000


def test_looking_things_up_can_be_cancelled(heap_trace: Path, replayer: Open) -> None:
    here = replayer(heap_trace)
    epochs = list(here.trace.epochs)
    asked: list[int] = []
    nowhere = Targets(breaks=(0x8000_0002,))
    assert list(search.windows(0, here.end, [], nowhere, epochs, asked.append)) == []
    assert asked == [epoch.start for epoch in reversed(epochs)]


def test_a_restore_that_is_cancelled_in_the_middle_does_no_harm(
    heap_trace: Path, replayer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so for a rung that is being made."""

    class Enough(Exception):
        pass

    monkeypatch.setattr(pages, "BATCH", 3)
    monkeypatch.setattr(replayers, "POLL_S", 0.0)
    here = replayer(heap_trace)
    places = [3_000_000, 9_000_000, 20_000_000]
    expected = straight(replayer(heap_trace), places)
    rng = random.Random(3)
    cancelled = 0
    for _ in range(60):
        left = [rng.randrange(40)]

        def tick(icount: int, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Enough

        here.poll = tick
        try:
            here.seek(rng.choice(places))
        except Enough:
            cancelled += 1
        here.poll = lambda icount: None
        if rng.random() < 0.3:
            place = rng.choice(places)
            here.seek(place)
            assert here.machine.digest() == expected[place]
    assert cancelled > 10
