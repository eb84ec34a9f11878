"""C, the compressed instructions: each expands into one 32-bit instruction.

Unprivileged spec, chapter "C" (quadrants 0 to 2). The expansion is written once over values that may be Python ints or
numpy arrays, so that the table of all 65,536 halfwords is made in a few milliseconds.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

TARGETS = (
    *("addi", "addiw", "lui", "slli", "srli", "srai", "andi", "add", "sub", "xor", "or", "and", "addw", "subw"),
    *("lw", "ld", "sw", "sd", "fld", "fsd", "jal", "jalr", "beq", "bne", "ebreak"),
)
"""Instructions that have a compressed form."""

_OP_IMM, _OP, _LUI = 0x13, 0x33, 0x37


def _bits(h: Any, *spec: tuple[int, int, int]) -> Any:
    """Gather immediate bits: each (from bit, width, to bit)."""
    value = 0
    for start, width, to in spec:
        value = value | (h >> start & ((1 << width) - 1)) << to
    return value


def _sext(value: Any, bits: int) -> Any:
    sign = 1 << (bits - 1)
    return (value ^ sign) - sign


def _r(f7: int, rs2: Any, rs1: Any, f3: int, rd: Any, op: int) -> Any:
    return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op


def _i(imm: Any, rs1: Any, f3: int, rd: Any, op: int) -> Any:
    return (imm & 0xFFF) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op


def _s(imm: Any, rs2: Any, rs1: Any, f3: int, op: int = 0x23) -> Any:
    return (imm >> 5 & 127) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (imm & 31) << 7 | op


def _b(imm: Any, rs1: Any, f3: int) -> Any:
    high = (imm >> 12 & 1) << 31 | (imm >> 5 & 63) << 25
    return high | rs1 << 15 | f3 << 12 | (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7 | 0x63


def _j(imm: Any, rd: int) -> Any:
    high = (imm >> 20 & 1) << 31 | (imm >> 1 & 1023) << 21 | (imm >> 11 & 1) << 20
    return high | (imm >> 12 & 255) << 12 | rd << 7 | 0x6F


def _forms(h: Any) -> list[tuple[Any, Any]]:
    """Return (condition, expansion) pairs; at most one condition holds for a halfword."""
    quadrant, f3 = h & 3, h >> 13
    rd, rs2 = h >> 7 & 31, h >> 2 & 31
    rd_, rs1_ = (h >> 2 & 7) + 8, (h >> 7 & 7) + 8  # the three-bit fields name x8 to x15
    imm6 = _sext(_bits(h, (12, 1, 5), (2, 5, 0)), 6)
    shamt = _bits(h, (12, 1, 5), (2, 5, 0))
    lw = _bits(h, (10, 3, 3), (6, 1, 2), (5, 1, 6))
    ld = _bits(h, (10, 3, 3), (5, 2, 6))
    addi4spn = _bits(h, (11, 2, 4), (7, 4, 6), (6, 1, 2), (5, 1, 3))
    addi16sp = _sext(_bits(h, (12, 1, 9), (6, 1, 4), (5, 1, 6), (3, 2, 7), (2, 1, 5)), 10)
    jump = _sext(
        _bits(h, (12, 1, 11), (11, 1, 4), (9, 2, 8), (8, 1, 10), (7, 1, 6), (6, 1, 7), (3, 3, 1), (2, 1, 5)), 12
    )
    branch = _sext(_bits(h, (12, 1, 8), (10, 2, 3), (5, 2, 6), (3, 2, 1), (2, 1, 5)), 9)
    lwsp = _bits(h, (12, 1, 5), (4, 3, 2), (2, 2, 6))
    ldsp = _bits(h, (12, 1, 5), (5, 2, 3), (2, 3, 6))
    swsp = _bits(h, (9, 4, 2), (7, 2, 6))
    sdsp = _bits(h, (10, 3, 3), (7, 3, 6))

    def at(q: int, funct3: int, *more: Any) -> Any:
        condition = (quadrant == q) & (f3 == funct3)
        for term in more:
            condition = condition & term
        return condition

    alu, alu2, bit12 = h >> 10 & 3, h >> 5 & 3, h >> 12 & 1
    forms = [
        (at(0, 0, addi4spn != 0), _i(addi4spn, 2, 0, rd_, _OP_IMM)),  # c.addi4spn
        (at(0, 1), _i(ld, rs1_, 3, rd_, 0x07)),  # c.fld
        (at(0, 2), _i(lw, rs1_, 2, rd_, 0x03)),  # c.lw
        (at(0, 3), _i(ld, rs1_, 3, rd_, 0x03)),  # c.ld
        (at(0, 5), _s(ld, rd_, rs1_, 3, 0x27)),  # c.fsd
        (at(0, 6), _s(lw, rd_, rs1_, 2)),  # c.sw
        (at(0, 7), _s(ld, rd_, rs1_, 3)),  # c.sd
        (at(1, 0), _i(imm6, rd, 0, rd, _OP_IMM)),  # c.nop, c.addi
        (at(1, 1, rd != 0), _i(imm6, rd, 0, rd, 0x1B)),  # c.addiw
        (at(1, 2), _i(imm6, 0, 0, rd, _OP_IMM)),  # c.li
        (at(1, 3, rd == 2, addi16sp != 0), _i(addi16sp, 2, 0, 2, _OP_IMM)),  # c.addi16sp
        (at(1, 3, rd != 2, imm6 != 0), (imm6 & 0xFFFFF) << 12 | rd << 7 | _LUI),  # c.lui
        (at(1, 4, alu == 0), _i(shamt, rs1_, 5, rs1_, _OP_IMM)),  # c.srli
        (at(1, 4, alu == 1), _i(shamt | 0x400, rs1_, 5, rs1_, _OP_IMM)),  # c.srai
        (at(1, 4, alu == 2), _i(imm6, rs1_, 7, rs1_, _OP_IMM)),  # c.andi
        (at(1, 5), _j(jump, 0)),  # c.j
        (at(1, 6), _b(branch, rs1_, 0)),  # c.beqz
        (at(1, 7), _b(branch, rs1_, 1)),  # c.bnez
        (at(2, 0), _i(shamt, rd, 1, rd, _OP_IMM)),  # c.slli
        (at(2, 1), _i(ldsp, 2, 3, rd, 0x07)),  # c.fldsp
        (at(2, 2, rd != 0), _i(lwsp, 2, 2, rd, 0x03)),  # c.lwsp
        (at(2, 3, rd != 0), _i(ldsp, 2, 3, rd, 0x03)),  # c.ldsp
        (at(2, 4, bit12 == 0, rs2 == 0, rd != 0), _i(0, rd, 0, 0, 0x67)),  # c.jr
        (at(2, 4, bit12 == 0, rs2 != 0), _r(0, rs2, 0, 0, rd, _OP)),  # c.mv
        (at(2, 4, bit12 == 1, rs2 == 0, rd == 0), 0x0010_0073 + (h & 0)),  # c.ebreak
        (at(2, 4, bit12 == 1, rs2 == 0, rd != 0), _i(0, rd, 0, 1, 0x67)),  # c.jalr
        (at(2, 4, bit12 == 1, rs2 != 0), _r(0, rs2, rd, 0, rd, _OP)),  # c.add
        (at(2, 5), _s(sdsp, rs2, 2, 3, 0x27)),  # c.fsdsp
        (at(2, 6), _s(swsp, rs2, 2, 2)),  # c.swsp
        (at(2, 7), _s(sdsp, rs2, 2, 3)),  # c.sdsp
    ]
    # c.sub, c.xor, c.or, c.and, c.subw, c.addw
    for number, (f7, funct3, op) in enumerate(
        ((0x20, 0, _OP), (0, 4, _OP), (0, 6, _OP), (0, 7, _OP), (0x20, 0, 0x3B), (0, 0, 0x3B))
    ):
        condition = at(1, 4, alu == 3, bit12 == number >> 2, alu2 == (number & 3))
        forms.append((condition, _r(f7, rd_, rs1_, funct3, rs1_, op)))
    return forms


@lru_cache(maxsize=1 << 13)
def expand(halfword: int) -> int:
    """Return the 32-bit instruction that a compressed one stands for; 0 if it is illegal."""
    for condition, word in _forms(halfword & 0xFFFF):
        if condition:
            return int(word) & 0xFFFF_FFFF
    return 0


@cache
def expansions() -> Any:
    """Return the expansion of every halfword: u32[65536], 0 where illegal."""
    import numpy as np

    halfwords = np.arange(1 << 16, dtype=np.int64)
    table = np.zeros(1 << 16, dtype=np.int64)
    for condition, word in _forms(halfwords):
        table |= np.where(condition, word, 0)
    return (table & 0xFFFF_FFFF).astype(np.uint32)
