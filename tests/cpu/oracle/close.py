"""Random loops of loads and stores close together, at every alignment and across the ends of pages; or of atomics."""

from __future__ import annotations

import random
import struct

from rrdbg_core.cpu.regions.plan import Block, Plan

from tests.cpu.guest import asm
from tests.cpu.oracle.programs import CODE, DATA, DATA_BYTES, HANDLER, MTVEC, Case

LOADS = ("lb", "lbu", "lh", "lhu", "lw", "lwu", "ld")
STORES = ("sb", "sh", "sw", "sd", "sd", "sd")
POINTER, OFFSET, STEP, MASK, BASE = 8, 9, 18, 19, 20
NEIGHBOURS = (21, 22)
"""Pointers made of POINTER."""
LEFT, ROUNDS = 24, 100
"""A count of rounds; then a trap begins the loop again, which ends regions that have lost count of their steps."""
NEAR = 23
"""A pointer to the half of a page that POINTER is in, of which nobody can tell."""


def close(seed: int, steps: int) -> Case:
    """Return a loop that walks through the data."""
    rng = random.Random(seed)
    odd = rng.choice(((0,), (0, 0, 4), (0, 0, 4, 2, 1)))
    # most of what follows is in a page that has been accessed
    near = 8 * rng.randrange(8)
    body = [asm("ld", rd=10, rs1=NEAR, imm=near), asm("sd", rs1=NEAR, rs2=10, imm=near)] * rng.randrange(2)
    for _ in range(rng.randrange(4, 16)):
        pointer, other = (rng.choice((POINTER, POINTER, POINTER, *NEIGHBOURS)) for _ in range(2))
        imm, value = 8 * rng.randrange(-6, 6) + rng.choice(odd), rng.randrange(10, 18)
        kind = rng.random()
        if kind < 0.3:
            body.append(asm(rng.choice(LOADS), rd=value, rs1=pointer, imm=imm))
        elif kind < 0.85:
            body.append(asm(rng.choice(STORES), rs1=pointer, rs2=value, imm=imm))
        elif kind < 0.92:
            body.append(asm("addi", rd=pointer, rs1=pointer, imm=rng.choice((8, -8, 16, rng.choice(odd)))))
        else:
            body.append(asm("addi", rd=rng.choice(NEIGHBOURS), rs1=other, imm=8 * rng.randrange(-2, 3)))
    # a step on, and round at the end
    body += [asm("add", rd=OFFSET, rs1=OFFSET, rs2=STEP), asm("and", rd=OFFSET, rs1=OFFSET, rs2=MASK)]
    body += [asm("add", rd=POINTER, rs1=BASE, rs2=OFFSET)]
    body += [asm("addi", rd=register, rs1=POINTER, imm=rng.choice((0, 8, -16))) for register in NEIGHBOURS]
    body.append(asm("andi", rd=NEAR, rs1=POINTER, imm=-2048))
    body += [asm("addi", rd=LEFT, rs1=LEFT, imm=-1), asm("bne", rs1=LEFT, imm=-4 * len(body) - 4)]
    x = [0] + [rng.getrandbits(64) for _ in range(31)]
    base = DATA + rng.choice((512, 0x1000 - 16, 0x2000 - 24))
    x[POINTER] = x[BASE] = x[NEIGHBOURS[0]] = x[NEIGHBOURS[1]] = base
    x[LEFT] = ROUNDS
    x[NEAR] = base & -2048
    x[OFFSET], x[STEP], x[MASK] = 0, rng.choice((0, 8, 64, 64, 136, rng.randrange(200))), DATA_BYTES // 4 - 1
    return _case(f"close {seed}", body, x, rng, steps)


def atomics(seed: int, steps: int) -> Case:
    """Return a loop of atomics, some of which are misaligned now and then: the trap begins the next round."""
    rng = random.Random(seed)
    body = [asm("add", rd=OFFSET, rs1=OFFSET, rs2=STEP), asm("andi", rd=OFFSET, rs1=OFFSET, imm=255)]
    body += [asm("add", rd=POINTER, rs1=BASE, rs2=OFFSET), asm("addi", rd=NEAR, rs1=POINTER, imm=8)]
    for _ in range(rng.randrange(1, 5)):
        name = rng.choice(("amoadd", "amoswap", "amomaxu", "lr")) + rng.choice((".w", ".d"))
        pointer, value = rng.choice((POINTER, NEAR)), rng.randrange(10, 18)
        body.append(asm(name, rd=rng.randrange(10, 18), rs1=pointer, rs2=0 if name[0] == "l" else value))
    body += [asm("addi", rd=LEFT, rs1=LEFT, imm=-1), asm("bne", rs1=LEFT, imm=-4 * len(body) - 4)]
    x = [0] + [rng.getrandbits(64) for _ in range(31)]
    x[BASE], x[LEFT], x[OFFSET], x[STEP] = DATA + 512, ROUNDS, 0, rng.choice((8, 8, 4, 4, 12, 2, 9))
    return _case(f"atomics {seed}", body, x, rng, steps)


def _case(name: str, body: list[int], x: list[int], rng: random.Random, steps: int) -> Case:
    code = struct.pack(f"<{len(body) + 1}I", *body, asm("ecall"))
    handler = struct.pack("<2I", asm("addi", rd=LEFT, imm=ROUNDS), asm("jal", imm=CODE - HANDLER - 4))
    memory = {HANDLER: handler, CODE: code, DATA: rng.randbytes(DATA_BYTES)}
    return Case(name, CODE, 3, tuple(x), {MTVEC: HANDLER}, memory, steps)


def whole(case: Case, *, careful: bool) -> Plan:
    """Return a plan of the loop, all of it one block."""
    return Plan((Block(CODE, case.memory[CODE][:-4], careful=careful),), (CODE,))
