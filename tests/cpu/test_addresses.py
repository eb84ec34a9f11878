"""Addresses as a debugger reads them: against walks of the reference interpreter, which asks who may."""

from __future__ import annotations

import random

import numpy as np
import pytest
from rrdbg_core.cpu import condition as C
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.addresses import PHYSICAL, is_fetchable, leaf_of, places_of, read_virtual, space_of, translate
from rrdbg_core.cpu.condition import Condition
from rrdbg_core.cpu.condition_code import HOLDS, UNJUDGED, call
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.interrupts import interrupt_due
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.cpu.pmp import pmp_allows, pmp_regions
from rrdbg_core.cpu.reference import ReferenceCore
from rrdbg_core.cpu.reference.state import EXEC, READ, Trap
from rrdbg_core.isa import expr
from rrdbg_core.isa.csr import MENVCFG_ADUE
from rrdbg_core.isa.expr import lift

RAM, RAM_PAGES = 0x8000_0000, 64
MODES = {8: 3, 9: 4, 10: 5}
V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
M64 = (1 << 64) - 1


def pte_of(rng: random.Random, level: int) -> int:
    """Return a random PTE, in order more often than not."""
    page = (RAM >> 12) + rng.randrange(RAM_PAGES)
    if level and rng.random() < 0.75:
        flags = V
    else:
        flags = V | rng.choice((R, R | W, R | X, R | W | X, X)) | rng.choice((0, U)) | rng.choice((0, A, A | D, A | D))
        if level and rng.random() < 0.8:
            page = page >> 9 * level << 9 * level
    match rng.randrange(14):
        case 0:
            flags ^= 1 << rng.randrange(8)
        case 1:
            page = rng.choice((0, 1, (1 << 44) - 1, (RAM >> 12) + RAM_PAGES))
    return page << 10 | flags | (rng.getrandbits(10) << 54 if rng.random() < 0.03 else 0)


def shuffle(core: Core, rng: random.Random) -> list[int]:
    """Fill RAM with page tables and return addresses of all sorts."""
    mode = rng.choice(list(MODES))
    levels = MODES[mode]
    words = core.memory.ram.view(np.uint64)
    # few indices, so that addresses lead somewhere, and on into the next page
    first = rng.randrange(510)
    indices = [first, first + 1, first + 2]
    words[:] = np.frombuffer(rng.randbytes(PAGE_BYTES), np.uint64).repeat(RAM_PAGES)
    for page in range(RAM_PAGES):
        for index in indices:
            words[page * 512 + index] = pte_of(rng, page % levels)
    core.hart[L.SATP] = mode << 60 | rng.getrandbits(16) << 44 | (RAM >> 12) + rng.randrange(RAM_PAGES)
    core.hart[L.PRIV] = rng.choice((L.PRIV_U, L.PRIV_S))
    core.hart[L.MENVCFG] = rng.choice((0, MENVCFG_ADUE))
    core.hart[L.MSTATUS] = rng.choice((0, 1 << 18, 1 << 19, 3 << 18))
    found = []
    for _ in range(40):
        address = rng.choice((0, 1, PAGE_BYTES - 1, PAGE_BYTES - 2, rng.randrange(PAGE_BYTES)))
        for level in range(levels):
            address |= rng.choice(indices) << 12 + 9 * level
        top = 12 + 9 * levels - 1
        if address >> top & 1:
            address |= M64 & -1 << top
        found.append(address ^ (1 << 63 if rng.random() < 0.05 else 0))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_the_hart_may_read_lies_where_the_debugger_finds_it(seed: int) -> None:
    """And what it finds beside that is forbidden to the hart, not absent."""
    rng = random.Random(seed)
    core = ReferenceCore(RAM_PAGES * PAGE_BYTES)
    allowed = forbidden = 0
    for _ in range(40):
        addresses = shuffle(core, rng)
        core.hart[L.PMPADDR], core.hart[L.PMPCFG] = (1 << 54) - 1, 0x1F
        core._h, core._m = core.hart.tolist(), core.mach.tolist()
        core._regions = regions_of(core)
        space = space_of(core.hart)
        assert space != PHYSICAL
        for address in addresses:
            place = translate(space, address, core._read)
            for priv in (L.PRIV_U, L.PRIV_S):
                try:
                    at = core._translate(address, READ, priv, peek=True)
                except Trap:
                    forbidden += place is not None
                else:
                    allowed += 1
                    assert place == at
            leaf = leaf_of(space, address, core._read)
            assert (leaf is None) == (place is None)
            assert leaf is None or place == leaf.start + address % leaf.size
    assert min(allowed, forbidden) > 50


def regions_of(core: ReferenceCore) -> list[tuple[int, int, int]]:
    return pmp_regions(core._h)


@pytest.mark.parametrize("seed", range(6))
def test_what_can_be_fetched(seed: int) -> None:
    """The reference interpreter's own walk decides, with PMP that allows all, some of it, or nothing."""
    rng = random.Random(seed)
    core = ReferenceCore(RAM_PAGES * PAGE_BYTES)
    verdicts = {True: 0, False: 0}
    for _ in range(200):
        addresses = shuffle(core, rng)
        core.hart[L.PMPADDR] = rng.choice(((1 << 54) - 1, (1 << 54) - 1, RAM >> 2 | 0x1FFF, RAM >> 2 | 0xFFF))
        core.hart[L.PMPCFG] = 0x18 | rng.choice((7, 7, 7, 5, 3))
        core._h, core._m = core.hart.tolist(), core.mach.tolist()
        core._regions = regions_of(core)
        for address in addresses:
            pc = address & ~1
            expected = True
            try:
                for at in (pc, pc + 2 & M64):
                    place = core._translate(at, EXEC, core._h[L.PRIV], peek=True)
                    if not core._in_ram(place, 2) or not allows(core, place):
                        raise Trap(1, at)
                    if at == pc and core._peek(place, 2) & 3 != 3:
                        break
            except Trap:
                expected = False
            found = is_fetchable(core.hart, pc, core._read)
            if found != expected and core._h[L.MENVCFG] & MENVCFG_ADUE:
                # `peek` does not ask whether the bit A may be written
                assert expected
                assert core._h[L.PMPCFG] & 2 == 0
                continue
            assert found == expected, hex(pc)
            verdicts[found] += 1
    assert min(verdicts.values()) > 15


def allows(core: ReferenceCore, place: int) -> bool:
    return pmp_allows(core._regions, place, 2, EXEC, core._h[L.PRIV])


@pytest.mark.parametrize("seed", range(6))
def test_bytes_and_conditions(seed: int) -> None:
    """Bytes one by one are those in a row; a condition reads them, or leaves it to who asks."""
    rng = random.Random(seed)
    core = Core(RAM_PAGES * PAGE_BYTES)
    judged = unjudged = apart = 0

    def read(address: int, length: int) -> bytes:
        end = RAM + core.memory.size
        return core.memory.read(address, min(length, end - address)) if RAM <= address < end else b""

    for _ in range(60):
        addresses = shuffle(core, rng)
        space = space_of(core.hart)
        for address in addresses:
            expected = bytearray()
            for at in range(address, min(address + 8, 1 << 64)):
                place = translate(space, at, read)
                byte = read(place, 1) if place is not None else b""
                if not byte:
                    break
                expected += byte
            assert read_virtual(space, address, 8, read) == bytes(expected)
            places = places_of(space, address, 8, read)
            number = int.from_bytes(expected, "little")
            what = Condition(expr.eq(C.load(C.hart(L.X + 10), 8), lift(number)))
            core.hart[L.X + 10] = address
            verdict = call(what, core._table, 0, 0)
            if len(expected) == 8 and len(places) == 1:
                assert verdict == HOLDS
                judged += 1
            elif len(expected) < 8:
                assert verdict == UNJUDGED
                unjudged += 1
            else:
                assert verdict == UNJUDGED
                apart += 1
    assert min(judged, unjudged) > 20
    assert apart > 0


def test_machine_mode_and_bare_are_physical() -> None:
    core = Core(RAM_PAGES * PAGE_BYTES)
    core.hart[L.SATP], core.hart[L.PRIV] = 8 << 60 | RAM >> 12, L.PRIV_M
    assert space_of(core.hart) == PHYSICAL
    core.hart[L.SATP], core.hart[L.PRIV] = 0, L.PRIV_S
    assert space_of(core.hart) == PHYSICAL
    core.hart[L.SATP] = 9 << 60 | 0x1234 << 44 | RAM >> 12
    assert space_of(core.hart) == 9 << 60 | RAM >> 12


@pytest.mark.parametrize("seed", range(4))
def test_interrupts_that_are_due(seed: int) -> None:
    """The reference interpreter decides."""
    rng = random.Random(seed)
    core = ReferenceCore(PAGE_BYTES)
    verdicts = {True: 0, False: 0}
    for _ in range(300):
        core.hart[L.PRIV] = rng.choice((L.PRIV_U, L.PRIV_S, L.PRIV_M))
        core.hart[L.MSTATUS] = rng.choice((0, 1 << 3, 1 << 1, 1 << 3 | 1 << 1))
        lines = [1 << line for line in (1, 3, 5, 7, 9, 11)]
        core.hart[L.MIP], core.hart[L.MIE] = (sum(rng.sample(lines, rng.randrange(7))) for _ in range(2))
        core.hart[L.MIDELEG] = sum(rng.sample([1 << 1, 1 << 5, 1 << 9], rng.randrange(4)))
        core._h = core.hart.tolist()
        found = interrupt_due(core.hart)
        assert found == bool(core._pending_interrupt())
        verdicts[found] += 1
    assert min(verdicts.values()) > 30
