"""The instruction table: every row, and decoding and encoding by it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from rrdbg_core.isa import rv64a, rv64f, rv64i, rv64m, system, zb  # noqa: F401  (each adds its rows)
from rrdbg_core.isa.expr import Helper, leaves
from rrdbg_core.isa.rows import ROWS, Insn
from rrdbg_core.isa.rvc import expand

INSNS: tuple[Insn, ...] = tuple(ROWS)
BY_NAME: dict[str, Insn] = {insn.name: insn for insn in INSNS}


def bucket(word: int) -> int:
    """Return the decode bucket of a 32-bit instruction: major opcode and funct3."""
    return (word >> 2 & 31) << 3 | (word >> 12 & 7)


def _buckets() -> dict[int, tuple[Insn, ...]]:
    rows = defaultdict(list)
    for insn in INSNS:
        for number in range(256):
            word = (number >> 3) << 2 | 3 | (number & 7) << 12
            if not (word ^ insn.match) & insn.mask & 0x707F:
                rows[number].append(insn)
    return {number: tuple(insns) for number, insns in rows.items()}


BUCKETS: dict[int, tuple[Insn, ...]] = _buckets()
"""Rows that a word of a bucket can be."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction with its operands."""

    insn: Insn
    """The row."""
    rd: int
    """Destination register, 0 if there is none."""
    rs1: int
    """First source register (CSRI: the 5-bit value), 0 if there is none."""
    rs2: int
    """Second source register, 0 if there is none."""
    imm: int
    """Immediate, sign-extended where the format says so; CSR number; shift amount."""
    length: int
    """Bytes: 2 or 4."""


def _sext(value: int, bits: int) -> int:
    sign = 1 << (bits - 1)
    return (value & (sign - 1)) - (value & sign)


def immediate(fmt: str, word: int) -> int:
    """Return the immediate of a 32-bit word."""
    match fmt:
        case "I":
            return _sext(word >> 20, 12)
        case "SH6":
            return word >> 20 & 63
        case "SH5":
            return word >> 20 & 31
        case "S":
            return _sext(word >> 25 << 5 | word >> 7 & 31, 12)
        case "B":
            return _sext(
                (word >> 31) << 12 | (word >> 7 & 1) << 11 | (word >> 25 & 63) << 5 | (word >> 8 & 15) << 1, 13
            )
        case "U":
            return _sext(word & 0xFFFF_F000, 32)
        case "J":
            imm = (word >> 31) << 20 | (word >> 12 & 255) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 1023) << 1
            return _sext(imm, 21)
        case "CSR" | "CSRI":
            return word >> 20
        case "AMO":
            return word >> 27 << 3 | word >> 12 & 7
        case "RF" | "RM" | "R4":
            return word
        case _:
            return 0


def reserves(fmt: str, word: int) -> bool:
    """Return True if a word has one of the rounding modes that are reserved."""
    return fmt in ("RM", "R4") and word >> 12 & 7 in (5, 6)


def decode(word: int) -> Decoded | None:
    """Return the instruction that `word` starts with (16 or 32 bits), or None if it is illegal."""
    length = 4
    if word & 3 != 3:
        word, length = expand(word & 0xFFFF), 2
    word &= 0xFFFF_FFFF
    if word & 3 != 3:
        return None
    for insn in BUCKETS.get(bucket(word), ()):
        if word & insn.mask == insn.match and not reserves(insn.fmt, word):
            fmt = insn.fmt
            rd = word >> 7 & 31 if fmt not in ("S", "B", "N", "F") else 0
            rs1 = word >> 15 & 31 if fmt not in ("U", "J", "N", "F") else 0
            rs2 = word >> 20 & 31 if fmt in ("R", "S", "B", "AMO", "RF", "RM", "R4") and not insn.mask >> 20 & 31 else 0
            return Decoded(insn, rd, rs1, rs2, immediate(fmt, word), length)
    return None


def encode(insn: Insn, rd: int = 0, rs1: int = 0, rs2: int = 0, imm: int = 0) -> int:
    """Return the 32-bit word of an instruction: what `decode` takes apart. Bits too many are dropped."""
    word = 0
    match insn.fmt:
        case "I" | "CSR" | "CSRI" | "SH6" | "SH5":
            word = (imm & 0xFFF) << 20 | rs1 << 15 | rd << 7
        case "RF" | "RM" | "R4":
            word = imm & 0xF800_7000 | rs2 << 20 | rs1 << 15 | rd << 7
        case "R" | "AMO":
            word = rs2 << 20 | rs1 << 15 | rd << 7
        case "S":
            word = (imm >> 5 & 127) << 25 | rs2 << 20 | rs1 << 15 | (imm & 31) << 7
        case "B":
            word = (imm >> 12 & 1) << 31 | (imm >> 5 & 63) << 25 | (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7
            word |= rs2 << 20 | rs1 << 15
        case "U":
            word = imm & 0xFFFF_F000 | rd << 7
        case "J":
            word = (imm >> 20 & 1) << 31 | (imm >> 1 & 1023) << 21 | (imm >> 11 & 1) << 20 | (imm >> 12 & 255) << 12
            word |= rd << 7
    return insn.match | word & ~insn.mask & 0xFFFF_FFFF


def reads(decoded: Decoded) -> frozenset[int]:
    """Return the integer registers that an instruction reads."""
    return frozenset(getattr(decoded, name) for name in _sources(decoded.insn.name)) - {0}


@cache
def _sources(name: str) -> frozenset[str]:
    """Return which of an instruction's operands are integer registers that it reads."""
    insn = BY_NAME[name]
    names = leaves(insn.effect)
    if insn.fmt == "AMO":
        names = frozenset({"rs1", "rs2"}) if not insn.name.startswith("lr") else frozenset({"rs1"})
    elif insn.fmt == "CSR":
        names = frozenset({"rs1"})
    elif insn.effect == Helper("float_op"):
        names = frozenset({"rs1"}) - insn.floats if insn.name.startswith("fcvt") else frozenset()
    return names & {"rs1", "rs2"}


def writes(decoded: Decoded) -> frozenset[int]:
    """Return the integer registers that an instruction writes."""
    return frozenset() if "rd" in decoded.insn.floats else frozenset({decoded.rd}) - {0}


def float_reads(decoded: Decoded) -> frozenset[int]:
    """Return the f registers that an instruction reads."""
    insn = decoded.insn
    names = insn.floats - {"rd"}
    if insn.mask >> 20 & 31 == 31:
        names -= {"rs2"}
    if insn.fmt != "R4":
        names -= {"rs3"}
    return frozenset(decoded.imm >> 27 if name == "rs3" else getattr(decoded, name) for name in names)


def float_writes(decoded: Decoded) -> frozenset[int]:
    """Return the f registers that an instruction writes."""
    return frozenset({decoded.rd}) if "rd" in decoded.insn.floats else frozenset()
