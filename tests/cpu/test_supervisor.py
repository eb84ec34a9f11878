"""S mode and paging: the kernel against the reference interpreter, and this one against Spike, on random programs.

That no TLB may show is what the first tests are about: the reference interpreter has none.
"""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import CHECK_PERIOD, Core

from tests.cpu.oracle.paged import CODE, CODE_PAGES, PAGE, TABLE_PAGES, TABLES, PagedGenerator
from tests.cpu.oracle.pair import Pair
from tests.cpu.oracle.spike import available
from tests.cpu.oracle.supervisor import Result, SupervisorCore, compare


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(SupervisorCore)


def start_of(rng: random.Random) -> int:
    """Return an icount with a check word within a case's reach, most of the time."""
    return rng.randrange(1 << 40) * CHECK_PERIOD - rng.randrange(1, 500)


@pytest.mark.parametrize("seed", range(6))
def test_whole_runs(pair: Pair, seed: int) -> None:
    """Nothing disturbs what the TLBs hold."""
    result = Result()
    for program in range(4):
        for case in PagedGenerator(100 * seed + program).cases():
            assert compare(*reversed(pair.subjects), case, result) is None, result.mismatches
    assert {"exception 12", "exception 13", "exception 15"} <= set(result.traps)


@pytest.mark.parametrize("seed", range(6))
def test_runs_with_caches_dropped_and_memory_written_in_between(pair: Pair, seed: int) -> None:
    rng = random.Random(seed)
    kernel = pair.cores[0]
    checks = 0
    for case in (case for program in range(4) for case in PagedGenerator(10_000 + 10 * seed + program).cases()):
        pair.load(case, start_of(rng))
        done = 0
        while done < case.steps:
            count = rng.choice((1, 2, 7, rng.randrange(1, 200)))
            pair.step(count)
            done += count
            checks += pair.check(f"{case.name} after step {done}")
            match rng.randrange(7):
                case 0:
                    kernel.drop_caches()
                case 1:
                    kernel.new_generation()
                case 2:
                    # a device writes page tables, as they were or with permissions changed
                    ptes = [
                        at for at in range(TABLES, TABLES + TABLE_PAGES * PAGE, 8) if kernel.memory.read(at, 1) != b"\0"
                    ]
                    address, flip = rng.choice(ptes or [TABLES]), rng.choice((0, 1 << rng.randrange(8)))
                    for core in pair.cores:
                        core.write(address, bytes((core.memory.read(address, 1)[0] ^ flip,)))
                case 3:
                    address, data = CODE + rng.randrange(CODE_PAGES * PAGE - 64), rng.randbytes(rng.choice((2, 4, 64)))
                    for core in pair.cores:
                        core.write(address, data)
                case 4:
                    # passed over while searching, but their slots are decoded anew, wherever their page is mapped
                    kernel.search(True)
                    kernel.set_breakpoints([rng.choice((0x4000, CODE)) + 2 * rng.randrange(0x2000) for _ in range(9)])
                case 5:
                    kernel.set_breakpoints([])
                    kernel.search(False)
                case _:
                    pass
        kernel.set_breakpoints([])
        kernel.search(False)
    assert checks >= 3


@pytest.mark.parametrize("seed", range(3))
def test_step_logs(pair: Pair, seed: int) -> None:
    rng = random.Random(seed)
    logs: tuple[list[list[int]], list[list[int]]] = [], []
    for core, log in zip(pair.cores, logs, strict=True):
        core.log_steps(37, lambda rows, log=log: log.extend(rows.tolist()))
    try:
        for case in PagedGenerator(20_000 + seed).cases():
            icount = start_of(rng)
            pair.load(case, icount)
            pair.step(case.steps)
            pair.check(case.name)
            assert logs[0] == logs[1], case.name
            assert [row[0] for row in logs[0]] == list(range(icount, pair.cores[0].icount))
            logs[0].clear(), logs[1].clear()
    finally:
        for core in pair.cores:
            core.log_steps(0, None)


def test_the_tables_are_well_made() -> None:
    """Most programs get somewhere: instructions retire in every mode, and translations hold."""
    subject = SupervisorCore(Core)
    modes: set[tuple[int, int]] = set()
    retired = 0
    for seed in range(8):
        for case in PagedGenerator(30_000 + seed).cases():
            subject.load(case)
            rows: list[list[int]] = []
            subject.core.log_steps(100, lambda new, rows=rows: rows.extend(new.tolist()))
            subject.step(case.steps)
            subject.core.log_steps(0, None)
            retired += sum(row[4] == 0 for row in rows)
            modes |= {(row[3], int(subject.core.hart[L.SATP]) >> 60) for row in rows if row[4] == 0}
    assert {(0, 8), (1, 8), (3, 8), (0, 9), (1, 9), (1, 10), (1, 0)} <= modes
    assert retired > 24 * 400 / 3


def test_against_spike() -> None:
    """Spike has a process of its own: it is configured once and for all, and other tests want it without S mode."""
    if not available():
        pytest.skip("the wheel `spike` is not installed")
    command = [
        sys.executable,
        "-m",
        "tests.cpu.oracle.supervisor",
        "--against",
        "spike",
        "--seed",
        "12",
        "--steps",
        "40_000",
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 mismatches" in run.stdout
