"""Blocks of code that can be read in two ways: a halfword is the second half of an instruction, or one itself."""

from __future__ import annotations

import struct

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.block_memory import BLOCK_AFTER
from rrdbg_core.cpu.core import Core

from tests.cpu.guest import asm
from tests.cpu.oracle.programs import CODE
from tests.cpu.oracle.subjects import RAM_BYTES
from tests.cpu.test_blocks import check_tables

RA, T0, T1, S0, A0, A1, A2, A3 = 1, 5, 6, 8, 10, 11, 12, 13
C_ADDI = 0x0505
"""c.addi a0, 1."""


def c_j(imm: int) -> int:
    """Return c.j to pc + imm (unprivileged spec, "RVC Instruction Formats")."""

    def bit(i: int) -> int:
        return imm >> i & 1

    return (
        0xA001
        | bit(11) << 12
        | bit(4) << 11
        | (imm >> 8 & 3) << 9
        | bit(10) << 8
        | bit(6) << 7
        | bit(7) << 6
        | (imm >> 1 & 7) << 3
        | bit(5) << 2
    )


def core_with(code: bytes, *, blocks: bool = True) -> Core:
    """Return a core with code at `CODE`."""
    core = Core(RAM_BYTES)
    core.blocks = blocks
    core.mach[L.BLOCK_AFTER] = 1
    core.write(CODE, code)
    return core


def state_of(core: Core) -> list[int]:
    """Return what a hart's registers hold; what is written to x0 goes where nobody reads it."""
    state: list[int] = core.hart[: L.PRIV].tolist()
    state[L.XD] = 0
    return state


def go(core: Core, pc: int, steps: int) -> None:
    """Make some steps from an address on."""
    core.hart[L.PC] = pc
    core.run(core.icount + steps)


@pytest.mark.parametrize("how", ["switched", "full"])
def test_a_block_that_begins_in_a_second_half_is_forgotten_with_all(how: str) -> None:
    lui = 0x37 | T0 << 7 | C_ADDI << 16
    states = []
    for blocks in (False, True):
        words = [asm("addi", A1, A1, imm=1), lui, asm("addi", A2, A2, imm=1), asm("jalr", 0, RA)]
        core = core_with(struct.pack("<4I", *words), blocks=blocks)
        other = CODE + 0x100
        core.write(other, struct.pack("<4I", *[asm("addi", S0, S0, imm=1)] * 3, asm("jalr", 0, RA)))
        core.hart[RA] = CODE + 0x400
        for _ in range(4):
            go(core, CODE + 6, 3)  # its block begins in lui
        for _ in range(4):
            go(core, CODE, 2)  # addi and lui: this one takes the mark of that one's first slot
        if how == "switched":
            core.blocks = False
            core.blocks = blocks
        else:
            core.mach[L.BLOCK_BYTES] = core.mach[L.BLOCK_BYTES] and 1 << 16
            for _ in range(4):
                go(core, other + 4, 2)
            core.mach[L.BLOCK_BYTES] = len(core._block_code) if blocks else 0
        for _ in range(6):
            go(core, other, 4)  # a block of another loop, in the same place
        go(core, CODE + 6, 3)
        states.append(state_of(core))
    assert states[0] == states[1]


def test_a_store_into_what_two_blocks_have_in_common() -> None:
    states = []
    for blocks in (False, True):
        # one way: addi a1; lui t0 (the upper half of which is 0x0537); c.j 64
        # the other, from CODE + 6: lui a0 (0x0537 and c.j); addi a2; ret
        code = struct.pack("<2I", asm("addi", A1, A1, imm=1), 0x37 | T0 << 7 | 0x0537 << 16)
        code += struct.pack("<H2I", c_j(64), asm("addi", A2, A2, imm=1), asm("jalr", 0, RA))
        core = core_with(code, blocks=blocks)
        core.write(CODE + 8 + 64, struct.pack("<2I", asm("addi", A3, A3, imm=1), asm("jalr", 0, RA)))
        core.write(CODE + 8 + 128, struct.pack("<2I", asm("addi", A3, A3, imm=100), asm("jalr", 0, RA)))
        core.write(CODE + 0x200, struct.pack("<2I", asm("sh", rs1=A0, rs2=T0), asm("jalr", 0, RA)))
        core.hart[RA] = CODE + 0x400
        for _ in range(4):
            go(core, CODE, 3)
            go(core, CODE + 6, 3)
        core.hart[A0], core.hart[T0] = CODE + 8, c_j(128)
        go(core, CODE + 0x200, 1)
        go(core, CODE, 4)
        states.append(state_of(core))
    assert states[0] == states[1]


def test_no_slot_is_in_two_blocks() -> None:
    lui = 0x37 | T0 << 7 | C_ADDI << 16
    words = [asm("addi", A1, A1, imm=1), lui, asm("addi", A2, A2, imm=1), asm("jalr", 0, RA)]
    core = core_with(struct.pack("<4I", *words))
    core.hart[RA] = CODE + 0x400
    for way, steps in ((6, 3), (0, 2)):
        for _ in range(4):
            go(core, CODE + way, steps)
    check_tables(core)


def test_a_block_whose_instruction_is_read_from_its_middle_is_forgotten() -> None:
    lui = 0x37 | T0 << 7 | C_ADDI << 16
    words = [asm("addi", A1, A1, imm=1), lui, asm("addi", A2, A2, imm=1), asm("jalr", 0, RA)]
    core = core_with(struct.pack("<4I", *words))
    core.hart[RA] = CODE + 0x400
    for _ in range(4):
        go(core, CODE, 4)
    assert core.mach[L.BLOCKS] == 1
    go(core, CODE + 6, 1)
    check_tables(core)


def test_no_block_begins_in_another_ones_instruction() -> None:
    # one way: addi a1; lui t0. The other, from the upper half of that on: lui a0; addi a2
    words = [asm("addi", A1, A1, imm=1), 0x37 | T0 << 7 | 0x0537 << 16]
    core = core_with(struct.pack("<2IHI", *words, 1, asm("addi", A2, A2, imm=1)))
    go(core, CODE + 6, 2)
    core.blocks = False  # it is forgotten that a block may begin there, but not that it is counted
    core.blocks = True
    for _ in range(4):
        go(core, CODE, 2)
    assert core.mach[L.BLOCKS] == 1
    for _ in range(4):
        go(core, CODE + 6, 2)
    assert core.mach[L.BLOCKS] == 1
    check_tables(core)


@pytest.mark.parametrize("ways", [(0, 6), (6, 0)])
@pytest.mark.parametrize("place", [4, 8, 12])
def test_code_that_is_read_in_two_ways(ways: tuple[int, int], place: int) -> None:
    """The upper half of lui is c.addi a0, 1; what is stored behind both is seen by whoever comes there."""
    outcomes = []
    for blocks in (True, False):
        core = Core(RAM_BYTES)
        core.blocks = blocks
        words = [asm("addi", A1, A1, imm=1), 0x0505_0000 | asm("lui", T0), *[asm("addi", A2, A2, imm=1)] * 2]
        core.write(CODE, struct.pack("<5I", *words, asm("jalr", rs1=T1)))
        core.write(CODE + 0x100, struct.pack("<2I", asm("sw", rs1=A1, rs2=A2), asm("jal")))
        hart = core.hart
        pcs = [CODE + way for way in ways for _ in range(2 * BLOCK_AFTER)]
        for number, pc in enumerate([*pcs, CODE + 0x100, CODE + 6, CODE, CODE + 6]):
            if number == len(pcs):
                hart[A1], hart[A2] = CODE + place, asm("addi", A0, A0, imm=16)
            hart[L.PC], hart[T1] = pc, CODE + 0x104
            core.run(core.icount + 8)
        outcomes.append(state_of(core))
        # the second way parts the block of the first one; the other way round it need not
        assert core.mach[L.BLOCKS] >= (2 if ways == (0, 6) else 1) * blocks
    assert outcomes[0] == outcomes[1]
