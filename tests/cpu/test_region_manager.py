"""Which regions can be entered while guest code changes under them."""

from __future__ import annotations

import pytest
from rrdbg_core.cpu.memory import RAM_BASE
from rrdbg_core.cpu.regions.compile import compile_plans
from rrdbg_core.cpu.regions.plan import Block, Plan
from rrdbg_core.machine.conformance.assembler import assemble
from rrdbg_core.machine.machine import Machine

from tests.machine.boot import boot

WORK = RAM_BASE + 64
BEFORE = "addi t1, t1, 1; addi t4, t4, -1; bnez t4, work"
AFTER = "addi t1, t1, 2; addi t4, t4, -1; bnez t4, work"
START = f"""
    li t0, {WORK}
    li t2, {int.from_bytes(assemble(AFTER.partition(";")[0]), "little")}
    li t4, 5000
"""
AGAIN = "sw t2, 0(t0); li t4, 2000000; j work"
NOPS = (WORK - RAM_BASE - len(assemble(START))) // 4
PATCHES = assemble(f"{START}{'nop;' * NOPS} work: {BEFORE}; {AGAIN}")
"""Runs a loop 5000 times, changes it, and runs it on."""


@pytest.fixture
def machine() -> Machine:
    machine = boot(PATCHES)
    machine.run(1)
    return machine


def link(machine: Machine, loop: str) -> None:
    """Link a region that is made of a loop, or of more than that."""
    code = assemble(f"work: {loop}")
    plan = Plan((Block(WORK, code[:12]), Block(WORK + 12, code[12:])) if code[12:] else (Block(WORK, code),), (WORK,))
    machine.core.regions.add([plan], compile_plans([plan]))


def in_regions(machine: Machine, until: int) -> int:
    """Run, and return how many steps were made in regions."""
    before = machine.stats().region_steps
    machine.core.regions.look_again()
    machine.run(until)
    return machine.stats().region_steps - before


def test_code_that_comes_after_its_region(machine: Machine) -> None:
    """So it is where a kernel patches itself as it did in the run that the region was made in."""
    link(machine, AFTER)
    assert in_regions(machine, 10_000) == 0
    assert in_regions(machine, 20_000) == 0
    assert in_regions(machine, 1_000_000) > 970_000


def test_pages_that_nobody_writes_are_not_looked_at(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    link(machine, AFTER)
    machine.core.new_generation()
    machine.core.regions.look_again()
    looks: list[object] = []
    monkeypatch.setattr(machine.core.regions, "look", looks.append)
    assert in_regions(machine, 10_000) == 0
    assert not looks
    machine.run(20_000)
    machine.core.regions.look_again()
    assert len(looks) == 1


def test_an_entry_belongs_to_the_newest_region_whose_code_is_there(machine: Machine) -> None:
    """Also where an older one comes to fit later."""
    regions = machine.core.regions
    link(machine, f"{BEFORE}; sw t2, 0(t0)")
    machine.run(20_000)  # the loop is another one now
    link(machine, BEFORE)
    old, new = regions._all()
    machine.core.write(WORK, assemble(f"work: {BEFORE}"))
    for order in ((old, new), (new, old)):
        regions.drop()
        for region in order:
            regions.look([region])
        assert (old.installed, new.installed) == (True, True)
        assert regions._entries[WORK] is new
    machine.core.write(WORK + 8, assemble("nop"))
    assert WORK not in regions._entries
