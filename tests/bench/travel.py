"""Time travel: latencies until registers and memory are read, and memory; on traces of 1 G and of 10 G steps."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.trace.model import EPOCH
from rrdbg_core.trace.reader import Trace

import rrdbg
from rrdbg.session.api import PointKind, Session
from tests.bench.context import Context, Part
from tests.bench.figures import Figure
from tests.bench.host import EVERY, peak_bytes
from tests.bench.kernels import kernel, scaled
from tests.bench.speed import child

KERNELS = ("sort", "sha256", "sieve", "matrix", "interp", "strings", "bench/bigcode", "bench/syscalls", "bench/trees")
LONG_KERNELS, FACTOR = ("bench/trees", "bench/parse"), 9
"""What is recorded for long, and how many times its usual rounds."""
QUICK = ("sort", "bench/trees")
MOTIONS, WORDS, FIRSTS = 100, 40, 5
"""Samples of goto and reverse-stepi, of reverse-continue, and of new processes, per trace."""
SECONDS = 25.0
"""What a trace of 1 G steps is expected to take."""


def look(session: Session) -> None:
    """Read registers and memory, as a screen does."""
    session.registers()
    session.read_memory(session.pc, 256)


def travel(context: Context) -> Iterator[Figure]:
    """Measure motions at random places of the kernels' traces."""
    tours = _tours("travel", context, context.kernels or (QUICK if context.quick else KERNELS), 1)
    limit = 1 + max(tours["epoch"])
    yield _figure("travel", "goto", tours, "goto", "p95", 0.150)
    yield _figure("travel", "goto, first in a new process", tours, "first", "maximum", 1)
    yield _figure("travel", "reverse-stepi", tours, "stepi", "p95", 0.020)
    note = "at most 1 s and what one epoch takes"
    yield _figure("travel", "reverse-continue to the last write of a word", tours, "hunt", "maximum", limit, note)
    yield _figure("travel", "the same on all cores, wall time", tours, "shared", "maximum", limit, note)
    yield _figure("travel", "engine memory beyond guest RAM touched", tours, "extra", "maximum", 400)


def long(context: Context) -> Iterator[Figure]:
    """Measure the same on traces of 10 G steps."""
    tours = _tours("long", context, context.kernels or LONG_KERNELS[: 1 if context.quick else None], FACTOR)
    yield _figure("long", "goto", tours, "goto", "p95", 0.100)
    yield _figure("long", "goto, first in a new process", tours, "first", "maximum", None)
    yield _figure("long", "reverse-stepi", tours, "stepi", "p95", 0.005)
    yield _figure("long", "reverse-stepi, slow ones", tours, "stepi", "p99", 0.020)
    yield _figure("long", "reverse-continue to the last write of a word", tours, "hunt", "maximum", None)
    yield _figure("long", "the same on all cores, wall time", tours, "shared", "maximum", None)
    yield _figure("long", "engine memory beyond guest RAM touched", tours, "extra", "maximum", None)
    yield _figure("long", "trace", tours, "trace", "maximum", None)


def _figure(
    part: str, name: str, tours: dict[str, list[float]], what: str, statistic: str, goal: float | None, note: str = ""
) -> Figure:
    unit = "MB" if what in ("extra", "trace") else "s"
    return Figure(part, name, unit, tuple(tours[what]), statistic=statistic, goal=goal, note=note)


def _tours(part: str, context: Context, names: tuple[str, ...], factor: int) -> dict[str, list[float]]:
    """Record kernels and make tours of their traces."""
    motions, words, firsts = (MOTIONS // 4, WORDS // 4, 1) if context.quick else (MOTIONS, WORDS, FIRSTS)
    found: dict[str, list[float]] = defaultdict(list)
    for name in names:
        path, elf = context.folder / "travel.rrt", context.folder / "travel.elf"
        context.progress.begin(f"{part}: recording {name}", 4.0 * factor)
        content = kernel(name).elf.read_bytes()
        elf.write_bytes(scaled(content, factor) if factor > 1 else content)
        made = child(context, "tests.bench.guest", "record", str(elf), str(path))
        found["epoch"].append(made[context.clock] * EPOCH / made["steps"])
        found["trace"].append(made["trace_bytes"] / 1e6)
        for seed in range(firsts):
            context.progress.begin(f"{part}: {name}, first goto {seed + 1} of {firsts}", 1.0)
            found["first"] += child(context, __name__, "first", context.clock, str(path), str(seed))["seconds"]
        context.progress.begin(f"{part}: {name}, {motions} goto, {motions} reverse-stepi, {words} hunts", 15.0)
        tour = child(context, __name__, "tour", context.clock, str(path), str(motions), str(words))
        for what, samples in tour.items():
            found[what] += samples
        context.progress.begin(f"{part}: {name}, {words} hunts on all cores", 5.0)
        found["shared"] += child(context, __name__, "tour", "wall", str(path), "0", str(words), where=EVERY)["hunt"]
        path.unlink()
        elf.unlink()
    return found


# what the children do


def _timed(clock: str, call: Callable[[], object]) -> float:
    now = time.perf_counter if clock == "wall" else time.process_time
    started = now()
    call()
    return now() - started


def first(clock: str, path: str, seed: str) -> dict[str, list[float]]:
    """Open a trace and go to a random place: timed from before the trace is opened."""

    def visit() -> None:
        with rrdbg.open(path) as session:
            session.goto(random.Random(int(seed)).randrange(session.info().end))
            look(session)

    return {"seconds": [_timed(clock, visit)]}


def tour(clock: str, path: str, motions: str, words: str) -> dict[str, list[float]]:
    """Make every kind of motion at random places of one trace."""
    rng = random.Random(1)
    goto, stepi, hunt = [], [], []
    addresses, touched = _words(path, int(words), rng)
    with rrdbg.open(path) as session:
        end = session.info().end

        def motion(move: Callable[[], object]) -> float:
            def and_look() -> None:
                move()
                look(session)

            return _timed(clock, and_look)

        for _ in range(int(motions)):
            target = rng.randrange(end)
            goto.append(motion(lambda target=target: session.goto(target)))  # type: ignore[misc]
        for _ in range(int(motions)):
            session.goto(rng.randrange(1, end))
            stepi.append(motion(session.reverse_stepi))
        for address in addresses:
            session.goto("end")
            point = session.add_watch(address, length=8, kind=PointKind.WATCH)
            hunt.append(motion(session.reverse_continue))
            session.delete_point(point.number)
    return {"goto": goto, "stepi": stepi, "hunt": hunt, "extra": [peak_bytes() / 1e6 - touched / 1e6]}


def _words(path: str, count: int, rng: random.Random) -> tuple[list[int], int]:
    """Return words that were written some time, half of them on the busiest pages, and bytes of RAM touched."""
    trace = Trace.open(path)
    lines: dict[int, int] = {}
    counts: dict[int, int] = {}
    touched: set[int] = set()
    for epoch in trace.epochs:
        touched.update(epoch.read.tolist(), epoch.written.tolist(), epoch.executed.tolist())
        for page, mask in zip(epoch.written.tolist(), epoch.written_lines.tolist(), strict=True):
            lines[page] = lines.get(page, 0) | mask
            counts[page] = counts.get(page, 0) + 1
    trace.close()
    busiest = sorted(counts, key=lambda page: -counts[page])[:4]
    pages = [rng.choice(busiest if index % 2 else sorted(counts)) for index in range(count)]
    words = []
    for page in pages:
        line = rng.choice([bit for bit in range(64) if lines[page] >> bit & 1])
        words.append(RAM_BASE + page * PAGE_BYTES + line * 64 + 8 * rng.randrange(8))
    return words, len(touched) * PAGE_BYTES


def _work(context: Context) -> float:
    return SECONDS * len(context.kernels or (QUICK if context.quick else KERNELS))


def _long_work(context: Context) -> float:
    return (SECONDS + 4.0 * FACTOR) * len(context.kernels or LONG_KERNELS[: 1 if context.quick else None])


TRAVEL = Part("travel", "time travel on traces of 1 G steps", _work, travel)
LONG = Part("long", "time travel on traces of 10 G steps", _long_work, long)

CHILDREN: dict[str, Callable[..., dict[str, Any]]] = {"first": first, "tour": tour}

if __name__ == "__main__":
    print(json.dumps(CHILDREN[sys.argv[1]](*sys.argv[2:])))
