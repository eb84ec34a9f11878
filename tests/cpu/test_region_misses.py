"""Regions and pages that the TLB does not know: they are left there, or go on with care."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE
from rrdbg_core.cpu.regions import supply
from rrdbg_core.cpu.regions.compile import compile_plans
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.machine.conformance.assembler import assemble

from tests.machine.boot import boot

ROUNDS = 1000
ACROSS = RAM_BASE + 3 * PAGE_BYTES - 8
"""The last word of a page."""
TWO_PAGES = "loop: ld a2, 0(a0); ld a3, 8(a0); sd a2, 8(a0); add a4, a4, a3; addi a1, a1, -1; bnez a1, loop"
ATOMIC = "loop: amoadd.d a2, a3, (a0); lr.d a4, (a0); sc.d a5, a3, (a0); addi a1, a1, -1; bnez a1, loop"


def run(text: str, at: int, *, careful: bool) -> Core:
    """Run a loop of which there is a region."""
    core, code = Core(16 * PAGE_BYTES), assemble(text)
    core.write(RAM_BASE, code)
    core.regions.add([plan := Plan((Block(RAM_BASE, code, careful=careful),), (RAM_BASE,))], compile_plans([plan]))
    core.hart[L.PC], core.hart[L.X + 10], core.hart[L.X + 11] = RAM_BASE, at, ROUNDS
    core.run(1)
    core.regions.look_again()
    core.run(ROUNDS * len(code) // 4)
    assert core.hart[L.X + 11] == 0
    return core


@pytest.mark.parametrize("careful", [False, True])
def test_what_lies_in_two_pages(careful: bool) -> None:
    core = run(TWO_PAGES, ACROSS, careful=careful)
    inside = int(core.hart[L.REGION_STEPS]) / core.icount
    if careful:
        assert core.hart[L.REGION_MISSES] == 0
        assert inside > 0.95
    else:
        assert core.hart[L.REGION_MISSES] > 0.9 * ROUNDS
        # the look for both is the first one's
        assert (core.hart[L.MISSED_AT : L.MISSED_AT + L.MISSED] == RAM_BASE).all()
        assert inside < 0.9


@pytest.mark.parametrize("careful", [False, True])
def test_what_lies_in_one(careful: bool) -> None:
    core = run(TWO_PAGES, ACROSS + 8, careful=careful)
    assert core.hart[L.REGION_MISSES] <= 2  # the first read and the first write
    assert int(core.hart[L.REGION_STEPS]) / core.icount > 0.95


@pytest.mark.parametrize("careful", [False, True])
def test_atomics_are_asked_for_at_once(careful: bool) -> None:
    core = run(ATOMIC, ACROSS, careful=careful)
    assert core.hart[L.REGION_MISSES] == 0
    assert int(core.hart[L.REGION_STEPS]) / core.icount > 0.95


def test_a_guest_gets_regions_that_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All the way: misses are counted, told, and the region is compiled anew."""
    monkeypatch.setenv("RRDBG_CACHE", str(tmp_path))
    monkeypatch.delenv("RRDBG_TIER2", raising=False)
    machine = boot(assemble(f"li a0, {ACROSS}; li a1, -1; {TWO_PAGES}"))
    core, step = machine.core, 1 << 22
    worst = 0
    for _ in range(4000):
        before, steps = int(core.hart[L.REGION_MISSES]), int(core.hart[L.REGION_STEPS])
        machine.run(machine.icount + step)
        missed, inside = int(core.hart[L.REGION_MISSES]) - before, int(core.hart[L.REGION_STEPS]) - steps
        worst = max(worst, missed)
        if worst and not missed and inside > 0.95 * step:
            break
    assert worst * supply.STEPS_A_MISS > step
    assert missed == 0
    assert inside > 0.95 * step
    assert np.uint64(RAM_BASE) <= core.hart[L.MISSED_AT] < RAM_BASE + PAGE_BYTES


@pytest.mark.parametrize("careful", [False, True])
def test_what_is_not_stored_is_not_written(careful: bool) -> None:
    """An `sc` without a reservation leaves no trace in the page, whether the TLB knows it or not."""
    core = run("loop: ld a4, (a0); addi a1, a1, -1; sc.d a5, a3, (a0); bnez a1, loop", ACROSS, careful=careful)
    assert core.hart[L.REGION_STEPS] > ROUNDS
    assert ACROSS // PAGE_BYTES - RAM_BASE // PAGE_BYTES not in core.take_touched().written.tolist()


@pytest.mark.parametrize("careful", [False, True])
def test_an_sc_elsewhere_fails(careful: bool) -> None:
    text = "loop: addi a6, a0, 64; sd x0, (a6); lr.d a4, (a0); sc.d a5, a1, (a6); addi a1, a1, -1; bnez a1, loop"
    core = run(text, ACROSS + 8, careful=careful)
    assert core.hart[L.REGION_STEPS] > ROUNDS
    assert core.hart[L.X + 15] == 1
    assert not any(core.memory.read(ACROSS + 72, 8))
