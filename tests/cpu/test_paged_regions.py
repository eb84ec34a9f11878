"""Compiled regions behind page tables: entered wherever their code is mapped in one piece, never where it is not."""

from __future__ import annotations

import random
import struct

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.regions.compile import compile_plans
from rrdbg_core.cpu.regions.plan import Block, Plan

from tests.cpu.guest import asm
from tests.cpu.oracle.close import atomics, close, whole
from tests.cpu.oracle.flows import Flow
from tests.cpu.oracle.forced import ForcedSubject
from tests.cpu.oracle.paged import MPRV, PAGE, RAM, TABLES, A, D, R, V, W, X
from tests.cpu.oracle.programs import CODE as PROGRAM
from tests.cpu.oracle.programs import Case
from tests.cpu.oracle.subjects import RAM_BYTES, CoreSubject
from tests.cpu.test_paging import A0, A1, A2, CODE, DATA, FIRST, OTHER, T0, VIRTUAL, Guest
from tests.cpu.test_regions import CLOSE_SLICES, Pair, run

RA = 1
ALIAS = 0xFFFF_FFC0_0040_0000
ROOT, MOVED = RAM + RAM_BYTES - 6 * PAGE, 0x20_0000
"""Tables of the random programs, in pages that they do not use; how far above its place RAM is mapped once more."""


class Paged(CoreSubject):
    """Runs programs made for M mode in S mode, RAM being mapped twice: where it is, and `MOVED` above.

    The program starts in the second mapping; addresses in its registers lead into the first one. In the second one, now
    and then two pages of the program have changed places.
    """

    def __init__(self, kind: type[Core] = Core) -> None:
        super().__init__(kind)
        self.core.mach[L.SUPERVISOR] = 1

    def load(self, case: Case) -> None:
        super().load(case)
        core, hart = self.core, self.core.hart
        rng = random.Random(case.name)
        places = list(range(0, RAM_BYTES, PAGE))
        if rng.random() < 0.3:
            first = (PROGRAM - RAM) // PAGE + 1
            places[first], places[first + 1] = places[first + 1], places[first]
        core.write(ROOT + 2 * 8, struct.pack("<Q", (ROOT + PAGE) >> 2 | V))
        for number, order in enumerate((range(0, RAM_BYTES, PAGE), places)):
            table = ROOT + (2 + number) * PAGE
            core.write(ROOT + PAGE + 8 * number, struct.pack("<Q", table >> 2 | V))
            leaves = [(RAM + at) >> 2 | V | R | W | X | A | D for at in order]
            core.write(table, struct.pack(f"<{len(leaves)}Q", *leaves))
        hart[L.SATP] = 8 << 60 | ROOT >> 12
        hart[L.PRIV] = L.PRIV_S
        hart[L.PC] += MOVED
        hart[L.PMPADDR + 15], hart[L.PMPCFG + 15] = (1 << 54) - 1, 0x1F
        core.drop_caches()


class PagedForced(ForcedSubject, Paged):
    """The same with regions."""

    def _scout(self, case: Case) -> set[int]:
        return {pc - MOVED if pc >= RAM + MOVED else pc for pc in super()._scout(case)}


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(Paged, PagedForced)


@pytest.mark.parametrize("seed", range(6))
def test_programs_that_stay_hot(pair: Pair, seed: int) -> None:
    before = pair.in_regions
    run(pair, Flow(seed).case(str(seed), 40_000), random.Random(seed))
    assert pair.in_regions > before


@pytest.mark.parametrize("seed", range(4))
def test_accesses_that_are_close_together(pair: Pair, seed: int) -> None:
    before = pair.in_regions
    for number in range(10 * seed, 10 * seed + 10):
        case = close(number, 1000)
        for careful in (False, True):
            run(pair, case, random.Random(number), [whole(case, careful=careful)], CLOSE_SLICES)
    assert pair.in_regions - before > 1000


@pytest.mark.parametrize("seed", range(5))
def test_atomics(pair: Pair, seed: int) -> None:
    before = pair.in_regions
    case = atomics(seed, 1000)
    for careful in (False, True):
        run(pair, case, random.Random(seed), [whole(case, careful=careful)], CLOSE_SLICES)
    assert pair.in_regions - before > 100


@pytest.mark.slow
def test_twenty_million_steps() -> None:
    pair = Pair(Paged, PagedForced)
    seed = 2000
    while pair.steps < 20_000_000:
        run(pair, Flow(seed).case(str(seed), 100_000), random.Random(seed))
        seed += 1
    print(f"{pair.steps:_} steps of {seed - 2000} programs, {pair.in_regions:_} of them in regions")
    assert pair.in_regions > pair.steps // 8


# ---- by hand ---------------------------------------------------------------------------------------------------------
def region(guest: Guest, blocks: dict[int, list[int]]) -> None:
    """Put blocks of code into RAM, and a region made of all of them, entered at the first."""
    for at, words in blocks.items():
        guest.put(at, *words)
    plan = Plan(
        tuple(Block(at, struct.pack(f"<{len(words)}I", *words)) for at, words in blocks.items()), (min(blocks),)
    )
    guest.core.regions.add([plan], compile_plans([plan]))


def steps_inside(guest: Guest, steps: int) -> int:
    """Make steps, and return how many of them were made in regions."""
    before = int(guest.core.hart[L.REGION_STEPS])
    guest.run(steps)
    return int(guest.core.hart[L.REGION_STEPS]) - before


@pytest.fixture
def guest() -> Guest:
    return Guest(Core)


LOOP = [asm("addi", A0, A0, imm=1), asm("ld", A1, A2), asm("add", T0, T0, A1), asm("jal", RA, imm=-12)]


def test_a_region_runs_wherever_its_page_is_mapped(guest: Guest) -> None:
    hart = guest.core.hart
    guest.core.write(FIRST, struct.pack("<Q", 3))
    region(guest, {CODE: LOOP})
    guest.map(ALIAS, CODE, V | R | X | A)
    for priv, pc, data, status in (
        (L.PRIV_M, CODE, FIRST, 0),
        (L.PRIV_S, VIRTUAL, DATA, 0),
        (L.PRIV_S, ALIAS, DATA, 0),
        (L.PRIV_S, VIRTUAL, DATA, 0),
        (L.PRIV_M, CODE, DATA, MPRV | 1 << 11),
        (L.PRIV_M, CODE, FIRST, 0),
    ):
        hart[[L.X + A0, L.X + T0]] = 0
        hart[L.PRIV], hart[L.PC], hart[L.X + A2], hart[L.MSTATUS] = priv, pc, data, status
        inside = steps_inside(guest, 4000)
        assert (hart[L.X + A0], hart[L.X + T0], hart[L.PC], hart[L.X + RA]) == (1000, 3000, pc, pc + 16)
        assert inside > 3900


def test_a_region_of_two_pages_wants_both_where_it_expects_them(guest: Guest) -> None:
    """The second page is mapped behind the first one, and elsewhere, and a device moves it there."""
    hart = guest.core.hart
    there = [asm("addi", A0, A0, imm=1), asm("jal", 0, imm=PAGE - 4)]
    back = [asm("addi", A1, A1, imm=1), asm("jal", 0, imm=-PAGE - 4)]
    region(guest, {CODE: there, OTHER: back})
    stray = RAM + 0x6000
    guest.put(stray, asm("addi", A1, A1, imm=5), asm("jal", 0, imm=-PAGE - 4))
    guest.map(ALIAS, CODE, V | R | X | A)
    guest.map(ALIAS + PAGE, stray, V | R | X | A)
    for pc, each, fits in ((VIRTUAL, 1, True), (ALIAS, 5, False), (VIRTUAL, 1, True)):
        hart[[L.X + A0, L.X + A1]] = 0
        hart[L.PC] = pc
        inside = steps_inside(guest, 4000)
        assert (hart[L.X + A0], hart[L.X + A1], hart[L.PC]) == (1000, 1000 * each, pc)
        assert (inside > 3900) == fits
    # a store to the PTE, without sfence.vma: the next round goes elsewhere
    pte = (stray >> 12) << 10 | V | R | X | A
    guest.map(DATA, TABLES, V | R | W | A | D)
    at = guest.pte_at(VIRTUAL + PAGE)
    guest.core.write(at, struct.pack("<Q", pte))
    hart[[L.X + A0, L.X + A1]] = 0
    inside = steps_inside(guest, 4000)
    assert (hart[L.X + A0], hart[L.X + A1]) == (1000, 5000)
    assert not inside


def test_a_region_that_takes_its_own_second_page_away(guest: Guest) -> None:
    """It stores to a PTE that it was entered by; what it jumps to next is another page."""
    core, hart = guest.core, guest.core.hart
    stray = RAM + 0x6000
    region(
        guest,
        {
            CODE: [*[asm("addi", A0, A0, imm=1)] * 2, asm("sd", 0, A2, A1, 0), asm("jal", 0, imm=PAGE - 12)],
            OTHER: [asm("jal", 0, imm=-PAGE)],
        },
    )
    guest.put(stray, asm("addi", A0, A0, imm=100), asm("jal", 0, imm=-PAGE - 4))
    tables = VIRTUAL + 0x10_0000
    guest.map(tables, guest.pte_at(VIRTUAL + PAGE) & -PAGE, V | R | W | A | D)
    hart[L.X + A2] = tables + guest.pte_at(VIRTUAL + PAGE) % PAGE
    hart[L.X + A1] = guest.word(guest.pte_at(VIRTUAL + PAGE))
    assert steps_inside(guest, 400) > 100
    assert hart[L.X + A0] == 160
    hart[L.X + A1] = (stray >> 12) << 10 | V | R | X | A
    guest.run(6)
    assert hart[L.X + A0] == 262
    core.regions.clear()


def test_a_page_of_a_region_is_moved_before_it_is_ever_fetched(guest: Guest) -> None:
    """The region was entered, and found in place, without it; its PTE lies in a line that nothing else has led to."""
    hart = guest.core.hart
    far, stray, apart, tables, a3 = RAM + 0x1_4000, RAM + 0x6000, 0x1_0000, VIRTUAL + 0x10_0000, 13
    loop = [asm("addi", A0, A0, imm=1), asm("beq", 0, a3, 0, -4)]
    there, back = [asm("jal", 0, imm=apart - 8)], asm("jal", 0, imm=-apart - 4)
    region(guest, {CODE: loop, CODE + 8: there, far: [asm("addi", A1, A1, imm=1), back]})
    guest.put(stray, asm("addi", A1, A1, imm=5), back)
    guest.put(OTHER, asm("sd", 0, A2, T0, 0), asm("jal", 0, imm=-PAGE - 4))
    guest.map(VIRTUAL + apart, far, V | R | X | A)
    pte = guest.pte_at(VIRTUAL + apart)
    guest.map(tables, pte & -PAGE, V | R | W | A | D)
    assert pte >> 6 != guest.pte_at(VIRTUAL + PAGE) >> 6
    assert steps_inside(guest, 400) > 300
    hart[L.PC], hart[L.X + A2], hart[L.X + T0] = VIRTUAL + PAGE, tables + pte % PAGE, stray >> 2 | V | R | X | A
    guest.run(2)
    hart[[L.X + A0, L.X + A1]], hart[L.X + a3] = 0, 1
    guest.run(5000)
    assert (hart[L.X + A0], hart[L.X + A1]) == (1000, 5000)


def test_breakpoints_at_the_entry_and_inside_hold_by_virtual_address(guest: Guest) -> None:
    core, hart = guest.core, guest.core.hart
    region(guest, {CODE: LOOP})
    guest.map(ALIAS, CODE, V | R | X | A)
    hart[L.X + A2] = DATA
    guest.run(1000)
    for at in (ALIAS, ALIAS + 8):
        core.set_breakpoints([at])
        hart[L.PC] = VIRTUAL  # the same code, at an address that has none
        guest.run(400)
        hart[L.PC] = ALIAS + 4
        core.run(core.icount + 400)
        assert hart[L.PC] == at
    core.set_breakpoints([])
    assert steps_inside(guest, 400) > 300


def test_reservations_are_physical(guest: Guest) -> None:
    """lr at one address of a page, sc at another one of the same page: it holds, in a region and outside."""
    hart = guest.core.hart
    second = DATA + 0x20_0000
    code = [asm("lr.w", A0, A1), asm("sc.w", T0, A2, A0), asm("add", 28, 28, T0), asm("jal", 0, imm=-12)]
    region(guest, {CODE: code})
    guest.map(second, FIRST, V | R | W | A | D)
    for pair_of in ((DATA, DATA), (DATA, second)):
        hart[L.X + A1], hart[L.X + A2], hart[L.X + 28] = *pair_of, 0
        hart[L.PC] = VIRTUAL
        assert steps_inside(guest, 4000) > 3900
        assert hart[L.X + 28] == 0
