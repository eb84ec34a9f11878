"""The lists of what a TLB bank holds: all is forgotten that has to be, whether it fits into the list or not."""

from __future__ import annotations

import struct

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.base import NO_TAG
from rrdbg_core.cpu.core import Core
from rrdbg_core.cpu.memory import PAGE_BYTES, RAM_BASE

from tests.cpu.guest import asm

LISTED = (1 << L.TLB_LIST_BITS) - 1
PAGES = [1, 5, LISTED - 2, LISTED - 1, LISTED, LISTED + 1, 3 * LISTED]
RA, T0, T1, T2, A0, A1, A2 = 1, 5, 6, 7, 10, 11, 12
CODE, THERE, DATA = RAM_BASE, RAM_BASE + PAGE_BYTES, RAM_BASE + 2 * PAGE_BYTES
LOOP = [
    *(asm("lui", T1, imm=PAGE_BYTES), asm("sd", rs1=T0, rs2=0), asm("ld", A1, T0, imm=8)),
    *(asm("add", T0, T0, T1), asm("bltu", rs1=T0, rs2=T2, imm=-12), asm("jal")),
]


def core_with_supervisor() -> Core:
    """Return a core that keeps track of where pages are mapped."""
    core = Core(2 * PAGE_BYTES + (PAGES[-1] + 1) * PAGE_BYTES)
    core.mach[L.SUPERVISOR] = 1
    core.write(CODE, struct.pack(f"<{len(LOOP)}I", *LOOP))
    return core


def access(core: Core, pages: int) -> None:
    """Store to and load from some pages of data."""
    core.hart[L.PC], core.hart[T0], core.hart[T2] = CODE, DATA, DATA + pages * PAGE_BYTES
    core.run(core.icount + 6 * pages)


def held(core: Core) -> int:
    """Return how many entries of the TLBs hold something."""
    return int((core._tlb[::2] != NO_TAG).sum())


@pytest.mark.parametrize("pages", PAGES)
def test_a_flush_forgets_all(pages: int) -> None:
    core = core_with_supervisor()
    for _ in range(2):
        access(core, pages)
        assert held(core) == 2 * pages + 1  # and the code
        core.flush_tlb()
        assert not held(core)


@pytest.mark.parametrize("priv", [L.PRIV_U, L.PRIV_S, L.PRIV_M])
@pytest.mark.parametrize("pages", PAGES)
def test_stores_to_what_has_become_code_are_seen(pages: int, priv: int) -> None:
    core = core_with_supervisor()
    core.hart[L.PRIV], core.hart[L.PMPCFG], core.hart[L.PMPADDR] = priv, 0x1F, (1 << 64) - 1  # all may be accessed
    core.write(CODE + 0x100, struct.pack("<2I", asm("sw", rs1=A1, rs2=A2, imm=4), asm("jal")))
    core.write(THERE, struct.pack("<I", asm("addi")))
    for immediate in (1, 16):
        core.hart[L.PC], core.hart[A1], core.hart[A2] = CODE + 0x100, THERE, asm("addi", A0, A0, imm=immediate)
        core.run(core.icount + 2)
        access(core, pages)
        core.hart[L.PC] = THERE
        core.run(core.icount + 2)
    assert core.hart[A0] == 17
