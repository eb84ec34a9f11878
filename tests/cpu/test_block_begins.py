"""Where blocks begin: whatever way the guest comes to code that it runs often, that is in one."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.core import Core

from tests.cpu.guest import asm
from tests.cpu.oracle.programs import CODE
from tests.cpu.oracle.subjects import RAM_BYTES

RA, T0, T1, S0, A0, A1, A2 = 1, 5, 6, 8, 10, 11, 12
ADD = asm("addi", A0, A0, imm=1)
PAGE = 4096
Code = Callable[[], tuple[dict[int, list[int]], int]]
"""Code by address, and where it begins."""
WARM, STEPS = 100_000, 400_000


def straight() -> tuple[dict[int, list[int]], int]:
    """A loop of more instructions than a block can hold."""
    return {CODE: [ADD] * 900 + [asm("jal", imm=-3600)]}, CODE


def crossing() -> tuple[dict[int, list[int]], int]:
    """A loop over a page's end: its head stands behind what leads into it, and its jump in another page."""
    head = CODE + PAGE - 32
    body = [asm("addi", T0, T0, imm=-1), *[ADD] * 20]
    loop = [*body, asm("bne", rs1=T0, rs2=0, imm=-4 * len(body)), asm("jal", imm=-4 * len(body) - 28)]
    return {head - 24: [ADD] * 5 + [asm("addi", T0, imm=100), *loop]}, head - 24


def indirect() -> tuple[dict[int, list[int]], int]:
    """jalr into the middle of other blocks, four instructions further each time."""
    code = [asm("addi", T1, T1, imm=16), asm("andi", T1, T1, imm=48), asm("add", A1, S0, T1)]
    return {CODE: [*code, asm("jalr", rs1=A1, imm=16), *[ADD] * 20, asm("jal", imm=-96)]}, CODE


def branches() -> tuple[dict[int, list[int]], int]:
    """Branches that are not taken, one after the other: each is a block."""
    branch = asm("bne", rs1=0, rs2=0, imm=64)
    return {CODE: [*[branch] * 12, ADD, asm("jal", imm=-52)]}, CODE


def calls() -> tuple[dict[int, list[int]], int]:
    """Calls of what lies behind the start of a function in another page."""
    there = CODE + 2 * PAGE
    call = [asm("jal", RA, imm=there + 8 - CODE), ADD, asm("jal", imm=-8)]
    return {CODE: call, there: [ADD] * 6 + [asm("jalr", rs1=RA)]}, CODE


def core_with(parts: dict[int, list[int]], pc: int, *, blocks: bool) -> Core:
    """Return a core that is about to run some code."""
    core = Core(RAM_BYTES)
    core.blocks = blocks
    for at, words in parts.items():
        core.write(at, struct.pack(f"<{len(words)}I", *words))
    core.hart[L.PC], core.hart[S0] = pc, CODE
    return core


def registers(core: Core) -> list[int]:
    """Return pc and x1 to x31."""
    return [int(core.hart[L.PC]), *core.hart[1:32].tolist()]


CODES = pytest.mark.parametrize("code", [straight, crossing, indirect, branches, calls])


@CODES
def test_all_hot_code_is_in_blocks(code: Code) -> None:
    parts, pc = code()
    core, other = (core_with(parts, pc, blocks=blocks) for blocks in (True, False))
    core.run(WARM)
    warm = int(core.hart[L.BLOCK_STEPS])
    core.run(STEPS)
    other.run(STEPS)
    assert registers(core) == registers(other)
    assert int(core.hart[L.BLOCK_STEPS]) - warm > 0.99 * (STEPS - WARM)
    assert core.mach[L.BLOCKS] < 40  # and they are not made again and again
    assert not other.hart[L.BLOCK_STEPS]


@CODES
def test_it_tells_what_is_run(code: Code) -> None:
    parts, pc = code()
    core = core_with(parts, pc, blocks=True)
    core.run(WARM)
    before = int(core.hart[L.BLOCK_STEPS])
    ran = core.take_run()
    for end in range(WARM + 30_000, STEPS + 1, 30_000):
        core.run(end)
        again = core.take_run()
        assert all(map(np.array_equal, again, ran))
    assert int(core.hart[L.BLOCK_STEPS]) - before > 0.9 * (STEPS - WARM)
