"""Runs over many epochs skip those in which nothing can hit, and stop where they would have stopped anyway."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import PC, Condition
from rrdbg_core.isa import expr
from rrdbg_core.replay.replayer import Replayer
from rrdbg_core.replay.targets import Gated, MemoryWatch, Targets
from rrdbg_core.trace import EPOCH, Trace

import rrdbg
from rrdbg.session.replay import ReplayEngine
from tests.symbols.compilers import GCC

from .tail_calls import HEAD, recorded

PROGRAM = """
long cells[8], rounds, often;
F void once(void) { rounds++; }
F void twice(long n) { cells[n & 7] = n; }
F void work(long n) { for (; n; n--) __asm__ volatile("" ::: "memory"); }
F void busy(long n) { for (; n; n--) often += n & 1; }
int main(void) {
  work(20000000); once(); work(30000000); twice(3); busy(1000000); work(15000000); twice(4); once(); work(9000000);
  return 0; }
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(f"{HEAD}{PROGRAM}", GCC, "-O1", tmp_path_factory.mktemp("forward"), limit=150_000_000)


@pytest.fixture(scope="module")
def symbols(trace: Path) -> Iterator[dict[str, int]]:
    with rrdbg.open(trace) as session:
        yield {name: session.lookup(name).address for name in ("once", "twice", "busy", "work", "cells", "often")}


def some_targets(rng: random.Random, at: dict[str, int]) -> Targets:
    breaks = tuple(at[name] for name in rng.sample(("once", "twice", "busy", "work"), rng.randrange(3)))
    watched = at["cells"] + 8 * rng.randrange(8), rng.choice((1, 8))
    watches = (MemoryWatch(*watched, False, True, True),) if rng.random() < 0.5 or not breaks else ()
    gate = Condition(expr.eq(PC, at["once"])) if rng.random() < 0.5 else None
    gated = (Gated(Targets((at["once"], at["twice"])), gate, rng.choice((0, 0, 1))),) if rng.random() < 0.4 else ()
    return Targets(breaks, watches, gated=gated)


@pytest.mark.parametrize(("seed", "count"), [(1, 8), pytest.param(2, 100, marks=pytest.mark.slow)])
def test_it_stops_where_a_run_without_the_index_does(
    seed: int, count: int, trace: Path, symbols: dict[str, int]
) -> None:
    rng = random.Random(seed)
    with Trace.open(trace) as one, Trace.open(trace) as other:
        plain, engine = Replayer(one), ReplayEngine(Replayer(other))
        assert engine.end > 4 * EPOCH
        for _ in range(count):
            start = rng.choice((0, rng.randrange(engine.end), rng.randrange(5) * EPOCH))
            limit = rng.choice((engine.end, engine.end, min(start + 2 * EPOCH, engine.end)))
            targets = some_targets(rng, symbols)
            plain.seek(start)
            engine.seek(start)
            assert engine.run(limit, targets) == plain.run(limit, targets), (start, targets)
            assert (engine.icount, list(engine.passed)) == (plain.icount, list(plain.passed))


def pc_at(engine: ReplayEngine, icount: int) -> int:
    engine.seek(icount)
    return int(engine.hart[L.PC])


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_break_where_an_epoch_begins(trace: Path, symbols: dict[str, int], offset: int) -> None:
    """It is neither passed over nor met twice; the loop of `work` goes over the border."""
    with Trace.open(trace) as opened:
        engine = ReplayEngine(Replayer(opened))
        pc = pc_at(engine, 2 * EPOCH + offset)
        period = next(n for n in range(1, 10) if pc_at(engine, 2 * EPOCH + offset + n) == pc)
        engine.seek(2 * EPOCH + offset - period)
        assert engine.run(engine.end, Targets((pc,))) is not None
        assert engine.icount == 2 * EPOCH + offset


def test_nothing_to_stop_at(trace: Path) -> None:
    with rrdbg.open(trace) as session:
        stop = session.continue_()
        assert stop.when.icount == session.position("end")
        assert stop.text.startswith("End of the recording")
