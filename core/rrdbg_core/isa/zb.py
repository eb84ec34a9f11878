"""Zba, Zbb and Zbs, the bit-manipulation spec 1.0."""

from __future__ import annotations

from rrdbg_core.isa.expr import (
    Ex,
    clz,
    cpop,
    ctz,
    lift,
    lts,
    ltu,
    neg,
    orcb,
    rev8,
    ror,
    ror32,
    select,
    sext8,
    sext16,
    sext32,
    zext16,
    zext32,
)
from rrdbg_core.isa.rows import insn

ONE = lift(1)


@insn("add.uw", "Zba", "R", "0000100 ..... ..... 000 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return zext32(rs1) + rs2


@insn("sh1add", "Zba", "R", "0010000 ..... ..... 010 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return (rs1 << 1) + rs2


@insn("sh2add", "Zba", "R", "0010000 ..... ..... 100 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return (rs1 << 2) + rs2


@insn("sh3add", "Zba", "R", "0010000 ..... ..... 110 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return (rs1 << 3) + rs2


@insn("sh1add.uw", "Zba", "R", "0010000 ..... ..... 010 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return (zext32(rs1) << 1) + rs2


@insn("sh2add.uw", "Zba", "R", "0010000 ..... ..... 100 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return (zext32(rs1) << 2) + rs2


@insn("sh3add.uw", "Zba", "R", "0010000 ..... ..... 110 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return (zext32(rs1) << 3) + rs2


@insn("slli.uw", "Zba", "SH6", "000010. ..... ..... 001 ..... 0011011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return zext32(rs1) << imm


@insn("andn", "Zbb", "R", "0100000 ..... ..... 111 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 & ~rs2


@insn("orn", "Zbb", "R", "0100000 ..... ..... 110 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 | ~rs2


@insn("xnor", "Zbb", "R", "0100000 ..... ..... 100 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return ~(rs1 ^ rs2)


@insn("min", "Zbb", "R", "0000101 ..... ..... 100 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return select(lts(rs1, rs2), rs1, rs2)


@insn("minu", "Zbb", "R", "0000101 ..... ..... 101 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return select(ltu(rs1, rs2), rs1, rs2)


@insn("max", "Zbb", "R", "0000101 ..... ..... 110 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return select(lts(rs1, rs2), rs2, rs1)


@insn("maxu", "Zbb", "R", "0000101 ..... ..... 111 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return select(ltu(rs1, rs2), rs2, rs1)


@insn("rol", "Zbb", "R", "0110000 ..... ..... 001 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return ror(rs1, neg(rs2))


@insn("ror", "Zbb", "R", "0110000 ..... ..... 101 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return ror(rs1, rs2)


@insn("clz", "Zbb", "R", "0110000 00000 ..... 001 ..... 0010011")
def _(rs1: Ex) -> Ex:
    return clz(rs1)


@insn("ctz", "Zbb", "R", "0110000 00001 ..... 001 ..... 0010011")
def _(rs1: Ex) -> Ex:
    return ctz(rs1)


@insn("cpop", "Zbb", "R", "0110000 00010 ..... 001 ..... 0010011")
def _(rs1: Ex) -> Ex:
    return cpop(rs1)


@insn("sext.b", "Zbb", "R", "0110000 00100 ..... 001 ..... 0010011")
def _(rs1: Ex) -> Ex:
    return sext8(rs1)


@insn("sext.h", "Zbb", "R", "0110000 00101 ..... 001 ..... 0010011")
def _(rs1: Ex) -> Ex:
    return sext16(rs1)


@insn("clzw", "Zbb", "R", "0110000 00000 ..... 001 ..... 0011011")
def _(rs1: Ex) -> Ex:
    return clz(zext32(rs1) << 32 | 1 << 31)


@insn("ctzw", "Zbb", "R", "0110000 00001 ..... 001 ..... 0011011")
def _(rs1: Ex) -> Ex:
    return ctz(rs1 | 1 << 32)


@insn("cpopw", "Zbb", "R", "0110000 00010 ..... 001 ..... 0011011")
def _(rs1: Ex) -> Ex:
    return cpop(zext32(rs1))


@insn("zext.h", "Zbb", "R", "0000100 00000 ..... 100 ..... 0111011")
def _(rs1: Ex) -> Ex:
    return zext16(rs1)


@insn("orc.b", "Zbb", "R", "0010100 00111 ..... 101 ..... 0010011")
def _(rs1: Ex) -> Ex:
    return orcb(rs1)


@insn("rev8", "Zbb", "R", "0110101 11000 ..... 101 ..... 0010011")
def _(rs1: Ex) -> Ex:
    return rev8(rs1)


@insn("rori", "Zbb", "SH6", "011000. ..... ..... 101 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return ror(rs1, imm)


@insn("rolw", "Zbb", "R", "0110000 ..... ..... 001 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(ror32(rs1, neg(rs2)))


@insn("rorw", "Zbb", "R", "0110000 ..... ..... 101 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(ror32(rs1, rs2))


@insn("roriw", "Zbb", "SH5", "0110000 ..... ..... 101 ..... 0011011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return sext32(ror32(rs1, imm))


@insn("bclr", "Zbs", "R", "0100100 ..... ..... 001 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 & ~(ONE << (rs2 & 63))


@insn("bext", "Zbs", "R", "0100100 ..... ..... 101 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return (rs1 >> (rs2 & 63)) & 1


@insn("binv", "Zbs", "R", "0110100 ..... ..... 001 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 ^ (ONE << (rs2 & 63))


@insn("bset", "Zbs", "R", "0010100 ..... ..... 001 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 | (ONE << (rs2 & 63))


@insn("bclri", "Zbs", "SH6", "010010. ..... ..... 001 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 & ~(ONE << imm)


@insn("bexti", "Zbs", "SH6", "010010. ..... ..... 101 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return (rs1 >> imm) & 1


@insn("binvi", "Zbs", "SH6", "011010. ..... ..... 001 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 ^ (ONE << imm)


@insn("bseti", "Zbs", "SH6", "001010. ..... ..... 001 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 | (ONE << imm)
