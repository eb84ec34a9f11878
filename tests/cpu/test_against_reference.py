"""The compiled kernel and the reference interpreter, word for word: state, exits, check words, traps, step logs.

Each case runs on both. Now and then caches are dropped, devices write into code and data, and dirty pages are asked
for: nothing of it may show (contract rule 9), and every store to code acts at the very next fetch.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import CHECK_PERIOD, Core, Exit
from rrdbg_core.cpu.reference import ReferenceCore

from tests.cpu.oracle.pair import Pair
from tests.cpu.oracle.programs import CODE, CODE_BYTES, DATA, HANDLER, Case, Generator
from tests.cpu.oracle.subjects import CoreSubject

HART, MACH = L.state_words("hart"), L.state_words("mach")


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


def start_of(rng: random.Random) -> int:
    """Return an icount with a check word within a case's reach, most of the time."""
    return rng.randrange(1 << 40) * CHECK_PERIOD - rng.randrange(1, 700)


@pytest.mark.parametrize("seed", range(4))
def test_step_by_step(pair: Pair, seed: int) -> None:
    rng = random.Random(seed)
    for case in Generator(1000 + seed).cases(per_program=2, steps=250):
        pair.load(case, start_of(rng))
        for step in range(case.steps):
            pair.check(f"{case.name} before step {step}")
            pair.step(1)


@pytest.mark.parametrize("seed", range(4))
def test_runs_with_caches_dropped_and_memory_written_in_between(pair: Pair, seed: int) -> None:
    rng = random.Random(seed)
    checks = 0
    for case in (case for program in range(5) for case in Generator(2000 + 5 * seed + program).cases()):
        pair.load(case, start_of(rng))
        done = 0
        while done < case.steps:
            count = rng.choice((1, 2, 7, rng.randrange(1, 200)))
            pair.step(count)
            done += count
            checks += pair.check(f"{case.name} after step {done}")
            kernel = pair.cores[0]
            match rng.randrange(6):
                case 0:
                    kernel.drop_caches()
                case 1:
                    kernel.new_generation()
                case 2:
                    size = rng.choice((1, 2, 4, 64, 600))
                    address = rng.choice((CODE + rng.randrange(CODE_BYTES), DATA + rng.randrange(0x3000)))
                    data = rng.randbytes(size)
                    for core in pair.cores:
                        core.write(address, data)
                case 3:
                    breaks = [CODE + 2 * rng.randrange(CODE_BYTES // 2) for _ in range(rng.randrange(4))]
                    # passed over while searching, but their slots are decoded anew
                    kernel.search(True)
                    kernel.set_breakpoints(breaks)
                case 4:
                    kernel.set_breakpoints([])
                    kernel.search(False)
                case _:
                    pass
        kernel.set_breakpoints([])
        kernel.search(False)
    assert checks >= 3


@pytest.mark.parametrize("seed", range(6))
def test_step_logs(pair: Pair, seed: int) -> None:
    rng = random.Random(seed)
    logs: tuple[list[list[int]], list[list[int]]] = [], []
    for core, log in zip(pair.cores, logs, strict=True):
        core.log_steps(37, lambda rows, log=log: log.extend(rows.tolist()))
    try:
        for case in Generator(3000 + seed).cases(per_program=3):
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


@pytest.mark.parametrize("kind", [Core, ReferenceCore])
@pytest.mark.parametrize("seed", range(6))
def test_state_words_and_ram_are_all_there_is(kind: type[Core], seed: int) -> None:
    """What is saved at a random step goes on in a fresh core as if nothing had happened."""
    rng = random.Random(seed)
    straight, resumed = CoreSubject(kind), CoreSubject(kind)
    for case in Generator(4000 + seed).cases(per_program=4):
        cut = rng.randrange(case.steps)
        straight.load(case)
        straight.step(cut)
        resumed.load(rng.choice(Generator(rng.getrandbits(32)).cases()))  # other code and data lie about
        resumed.step(rng.randrange(200))
        restore(straight.core, resumed.core)
        resumed.clint.words = dict(straight.clint.words)
        for subject in (straight, resumed):
            subject.step(case.steps - cut)
        assert resumed.core.hart[HART].tolist() == straight.core.hart[HART].tolist()
        assert resumed.core.mach[MACH].tolist() == straight.core.mach[MACH].tolist()
        assert resumed.core.memory.ram.data == straight.core.memory.ram.data


def restore(source: Core, target: Core) -> None:
    """Copy the guest state as a snapshot does: state words and pages."""
    target.reset()
    target.hart[HART], target.mach[MACH] = source.hart[HART], source.mach[MACH]
    target.load_pages(np.arange(source.memory.pages), source.memory.rows())
    target.drop_caches()


@pytest.mark.parametrize("kind", [Core, ReferenceCore])
def test_a_store_into_the_next_instruction_acts_at_once(kind: type[Core]) -> None:
    subject = CoreSubject(kind)
    add1, add9 = 0x0012_8293, 0x0092_8293  # addi t0, t0, 1 and 9
    # sw x7, 4(x6) with x6 = its own address: the instruction behind it changes
    code = np.array([add1, 0x0073_2223, add1, add1], np.uint32).tobytes()
    x = [0] * 32
    x[6], x[7] = CODE + 4, add9
    for warm in (False, True):
        subject.load(Case("patch", CODE, 3, tuple(x), {}, {HANDLER: b"", CODE: code}, 4))
        core = subject.core
        if warm:
            # all four are decoded, then put back
            subject.step(4)
            core.write(CODE, code)
            core.hart[L.PC], core.hart[L.X + 5] = CODE, 0
        subject.step(4)
        assert core.hart[L.X + 5] == 1 + 9 + 1
        core.write(CODE + 8, add1.to_bytes(4, "little"))
        core.hart[L.PC], core.hart[L.X + 5] = CODE + 8, 0
        assert core.run(core.icount + 2) == Exit.LIMIT
        assert core.hart[L.X + 5] == 2
