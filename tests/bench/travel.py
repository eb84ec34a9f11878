"""Time travel on a trace of more than 1 G steps: latencies until registers and memory are read, and memory."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.replay.live import LiveSource
from rrdbg_core.replay.recorder import record
from rrdbg_core.trace.model import EPOCH
from rrdbg_core.trace.reader import Trace

import rrdbg
from rrdbg.session.api import PointKind, Session
from tests.bench.kernels import KERNELS, machine_of, plain
from tests.bench.measure import Figure, peak_bytes, percentile, pinned, timed

GOTOS, STEPS, WORDS, FIRSTS = 100, 100, 40, 5
"""Samples of each kind, per kernel."""


def look(session: Session) -> None:
    """Read registers and memory, as a screen does."""
    session.registers()
    session.read_memory(session.pc, 256)


def travel(runs: int, say: Callable[[str], None]) -> list[Figure]:
    """Measure goto, reverse-stepi and reverse-continue at random places of every kernel's trace."""
    gotos, steps, hunts, firsts, extra = [], [], [], [], []
    worst_epoch = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in KERNELS:
            say(f"time travel: recording {name}")
            path = Path(folder) / f"{name}.rrt"
            config, images = machine_of(name)
            steps_made = record(config, images, LiveSource(config), path).ending.icount
            worst_epoch = max(worst_epoch, timed(plain(name)) * EPOCH / steps_made)
            for seed in range(FIRSTS):
                say(f"time travel: {name}, first goto {seed + 1} of {FIRSTS}")
                firsts.append(_child("first", path, seed)["seconds"][0])
            say(f"time travel: {name}, {GOTOS} goto, {STEPS} reverse-stepi, {WORDS} reverse-continue")
            answer = _child("tour", path, 1)
            gotos += answer["goto"]
            steps += answer["stepi"]
            hunts += answer["hunt"]
            extra += answer["extra"]
            path.unlink()
    limit = 1 + worst_epoch
    return [
        _p95("goto, 95th percentile", gotos, 0.150),
        Figure("goto, first in a new process", "s", tuple(firsts), "at most 1", max(firsts) <= 1),
        _p95("reverse-stepi, 95th percentile", steps, 0.020),
        Figure(
            "reverse-continue to the last write of a word",
            "s",
            tuple(hunts),
            f"at most {limit:.2f}: 1 s and one epoch",
            max(hunts) <= limit,
        ),
        Figure("engine memory beyond guest RAM touched", "MB", tuple(extra), "at most 400", max(extra) <= 400),
    ]


def _p95(name: str, samples: list[float], limit: float) -> Figure:
    value = percentile(samples, 0.95)
    text = f"p95 {value * 1000:.0f} ms, at most {limit * 1000:.0f}"
    return Figure(name, "s", tuple(samples), text, value <= limit)


def _child(what: str, path: Path, seed: int) -> dict[str, list[float]]:
    """Run a measurement in a process of its own, which has never seen the trace."""
    command = [sys.executable, "-m", "tests.bench.travel", what, str(path), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    answer: dict[str, list[float]] = json.loads(done.stdout)
    return answer


def first(path: str, seed: int) -> dict[str, list[float]]:
    """Open a trace and go to a random place: timed from before the trace is opened."""
    started = time.perf_counter()
    with rrdbg.open(path) as session:
        session.goto(random.Random(seed).randrange(session.info().end))
        look(session)
        return {"seconds": [time.perf_counter() - started]}


def tour(path: str, seed: int) -> dict[str, list[float]]:
    """Make every kind of motion at random places of one trace."""
    rng = random.Random(seed)
    goto, stepi, hunt = [], [], []
    words, touched = _words(path, rng)
    with rrdbg.open(path) as session:
        end = session.info().end

        def motion(move: Callable[[], object]) -> float:
            return timed(lambda: (move(), look(session)))

        for _ in range(GOTOS):
            target = rng.randrange(end)
            goto.append(motion(lambda target=target: session.goto(target)))  # type: ignore[misc]
        for _ in range(STEPS):
            session.goto(rng.randrange(1, end))
            stepi.append(motion(session.reverse_stepi))
        for address in words:
            session.goto("end")
            point = session.add_watch(address, length=8, kind=PointKind.WATCH)
            hunt.append(motion(session.reverse_continue))
            session.delete_point(point.number)
    return {"goto": goto, "stepi": stepi, "hunt": hunt, "extra": [peak_bytes() / 1e6 - touched / 1e6]}


def _words(path: str, rng: random.Random) -> tuple[list[int], int]:
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
    pages = [rng.choice(busiest if index % 2 else sorted(counts)) for index in range(WORDS)]
    words = []
    for page in pages:
        line = rng.choice([bit for bit in range(64) if lines[page] >> bit & 1])
        words.append(RAM_BASE + page * PAGE_BYTES + line * 64 + 8 * rng.randrange(8))
    return words, len(touched) * PAGE_BYTES


if __name__ == "__main__":
    print(json.dumps({"first": first, "tour": tour}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))))
