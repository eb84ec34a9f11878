"""Reaches: what a block's accesses have in common, against the addresses that they really have."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from rrdbg_core.cpu.regions.reach import MAX_BYTES, Reach, reaches
from rrdbg_core.isa.expr import FloatLoad, FloatStore, Load, Store
from rrdbg_core.isa.table import Decoded, decode

from tests.cpu.guest import asm

M64 = (1 << 64) - 1
LOADS = {"lb": 1, "lhu": 2, "lw": 4, "ld": 8, "flw": 4, "fld": 8}
STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8, "fsw": 4, "fsd": 8}


@dataclass
class Insn:
    """An instruction."""

    decoded: Decoded


def insn(name: str, **fields: int) -> Insn:
    found = decode(asm(name, **fields))
    assert found is not None
    return Insn(found)


def block(rng: random.Random) -> list[Insn]:
    """Return instructions about four pointers, which are often made of one another."""
    code = []
    pointers = (5, 6, 7, 8)
    step = rng.choice((1, 4, 8))
    for _ in range(rng.randrange(2, 30)):
        pointer, other = rng.choice(pointers), rng.choice(pointers)
        imm = rng.choice((rng.randrange(-2048, 2048), step * rng.randrange(-16, 16)))
        match rng.randrange(8):
            case 0 | 1 | 2:
                code.append(insn(rng.choice(list(LOADS)), rd=rng.choice((0, 9, 9, pointer)), rs1=other, imm=imm))
            case 3 | 4:
                code.append(insn(rng.choice(list(STORES)), rs1=pointer, rs2=9, imm=imm))
            case 5:
                code.append(insn("addi", rd=rng.choice((0, pointer)), rs1=rng.choice((0, other)), imm=imm))
            case 6:
                code.append(insn("add", rd=pointer, rs1=rng.choice((0, other)), rs2=rng.choice((0, other))))
            case _:
                code.append(insn(rng.choice(("xor", "addw", "sub")), rd=pointer, rs1=other, rs2=9))
    return code


def addresses(code: list[Insn], rng: random.Random) -> dict[int, int]:
    """Run a block; what is loaded is anything. Return the address of each access by the instruction's number."""
    x = [0] + [rng.getrandbits(64) for _ in range(31)]
    found = {}
    for number, step in enumerate(code):
        d = step.decoded
        a, b = x[d.rs1], x[d.rs2]
        effect = d.insn.effect
        if isinstance(effect, Load | Store | FloatLoad | FloatStore):
            found[number] = (a + d.imm) & M64
        value = {"addi": a + d.imm, "add": a + b, "xor": a ^ b, "sub": a - b}.get(d.insn.name, rng.getrandbits(64))
        if d.rd and not isinstance(effect, Store) and not d.insn.floats:
            x[d.rd] = value & M64
    return found


@pytest.mark.parametrize("seed", range(200))
def test_what_a_reach_says_is_so(seed: int) -> None:
    rng = random.Random(seed)
    code = block(rng)
    found = reaches(code)
    assert sorted(found) == [
        n for n, step in enumerate(code) if isinstance(step.decoded.insn.effect, Load | Store | FloatLoad | FloatStore)
    ]
    for _ in range(5):
        where = addresses(code, rng)
        for number, reach in found.items():
            effect = code[number].decoded.insn.effect
            assert isinstance(effect, Load | Store | FloatLoad | FloatStore)
            offset = reach.offsets[number]
            assert where[number] == (where[reach.first] + offset) & M64
            assert reach.first <= number
            assert reach.low <= offset <= offset + effect.size - 1 <= reach.high < reach.low + MAX_BYTES
            assert reach.reads if isinstance(effect, Load | FloatLoad) else reach.writes
            # whatever the address is: where the aligned store is aligned, this one is
            if isinstance(effect, Store | FloatStore):
                assert reach.align % effect.size == 0
                assert (offset - reach.aligned) % effect.size == 0


def ways(code: list[Insn]) -> list[Reach]:
    return list({id(reach): reach for reach in reaches(code).values()}.values())


def test_a_stack_frame_is_one_reach() -> None:
    code = [insn("addi", rd=2, rs1=2, imm=-48)]
    code += [insn("sd", rs1=2, rs2=register, imm=8 * register) for register in range(6)]
    code += [insn("addi", rd=8, rs1=2, imm=48), insn("lw", rd=9, rs1=8, imm=-20), insn("sw", rs1=8, rs2=9, imm=-24)]
    [reach] = ways(code)
    assert (reach.low, reach.high, reach.align, reach.aligned) == (0, 47, 8, 0)


def test_stores_that_need_not_be_aligned_together_are_looked_up_apart() -> None:
    assert len(ways([insn("sd", rs1=5, rs2=9), insn("sd", rs1=5, rs2=9, imm=12)])) == 2
    assert len(ways([insn("sw", rs1=5, rs2=9, imm=2), insn("sd", rs1=5, rs2=9, imm=8)])) == 2
    assert len(ways([insn("sh", rs1=5, rs2=9, imm=6), insn("ld", rd=9, rs1=5, imm=1), insn("sd", rs1=5, rs2=9)])) == 1


def test_what_is_far_apart_is_looked_up_apart() -> None:
    assert len(ways([insn("lb", rd=9, rs1=5), insn("lb", rd=9, rs1=5, imm=MAX_BYTES - 1)])) == 1
    assert len(ways([insn("lb", rd=9, rs1=5), insn("lb", rd=9, rs1=5, imm=MAX_BYTES)])) == 2
