"""RV64I, unprivileged spec chapters 2 and 4."""

from __future__ import annotations

from rrdbg_core.isa.expr import Branch, Effect, Ex, Jump, Load, Store, eq, lts, ltu, ne, sar, sext32, zext32
from rrdbg_core.isa.rows import helper, insn


@insn("lui", "I", "U", "....... ..... ..... ... ..... 0110111")
def _(imm: Ex) -> Ex:
    return imm


@insn("auipc", "I", "U", "....... ..... ..... ... ..... 0010111")
def _(pc: Ex, imm: Ex) -> Ex:
    return pc + imm


@insn("jal", "I", "J", "....... ..... ..... ... ..... 1101111")
def _(pc: Ex, imm: Ex) -> Effect:
    return Jump(pc + imm)


@insn("jalr", "I", "I", "....... ..... ..... 000 ..... 1100111")
def _(rs1: Ex, imm: Ex) -> Effect:
    return Jump((rs1 + imm) & ~1)


@insn("beq", "I", "B", "....... ..... ..... 000 ..... 1100011")
def _(rs1: Ex, rs2: Ex) -> Effect:
    return Branch(eq(rs1, rs2))


@insn("bne", "I", "B", "....... ..... ..... 001 ..... 1100011")
def _(rs1: Ex, rs2: Ex) -> Effect:
    return Branch(ne(rs1, rs2))


@insn("blt", "I", "B", "....... ..... ..... 100 ..... 1100011")
def _(rs1: Ex, rs2: Ex) -> Effect:
    return Branch(lts(rs1, rs2))


@insn("bge", "I", "B", "....... ..... ..... 101 ..... 1100011")
def _(rs1: Ex, rs2: Ex) -> Effect:
    return Branch(ne(lts(rs1, rs2), 1))


@insn("bltu", "I", "B", "....... ..... ..... 110 ..... 1100011")
def _(rs1: Ex, rs2: Ex) -> Effect:
    return Branch(ltu(rs1, rs2))


@insn("bgeu", "I", "B", "....... ..... ..... 111 ..... 1100011")
def _(rs1: Ex, rs2: Ex) -> Effect:
    return Branch(ne(ltu(rs1, rs2), 1))


@insn("lb", "I", "I", "....... ..... ..... 000 ..... 0000011")
def _(rs1: Ex, imm: Ex) -> Effect:
    return Load(rs1 + imm, 1, True)


@insn("lh", "I", "I", "....... ..... ..... 001 ..... 0000011")
def _(rs1: Ex, imm: Ex) -> Effect:
    return Load(rs1 + imm, 2, True)


@insn("lw", "I", "I", "....... ..... ..... 010 ..... 0000011")
def _(rs1: Ex, imm: Ex) -> Effect:
    return Load(rs1 + imm, 4, True)


@insn("ld", "I", "I", "....... ..... ..... 011 ..... 0000011")
def _(rs1: Ex, imm: Ex) -> Effect:
    return Load(rs1 + imm, 8, False)


@insn("lbu", "I", "I", "....... ..... ..... 100 ..... 0000011")
def _(rs1: Ex, imm: Ex) -> Effect:
    return Load(rs1 + imm, 1, False)


@insn("lhu", "I", "I", "....... ..... ..... 101 ..... 0000011")
def _(rs1: Ex, imm: Ex) -> Effect:
    return Load(rs1 + imm, 2, False)


@insn("lwu", "I", "I", "....... ..... ..... 110 ..... 0000011")
def _(rs1: Ex, imm: Ex) -> Effect:
    return Load(rs1 + imm, 4, False)


@insn("sb", "I", "S", "....... ..... ..... 000 ..... 0100011")
def _(rs1: Ex, rs2: Ex, imm: Ex) -> Effect:
    return Store(rs1 + imm, 1, rs2)


@insn("sh", "I", "S", "....... ..... ..... 001 ..... 0100011")
def _(rs1: Ex, rs2: Ex, imm: Ex) -> Effect:
    return Store(rs1 + imm, 2, rs2)


@insn("sw", "I", "S", "....... ..... ..... 010 ..... 0100011")
def _(rs1: Ex, rs2: Ex, imm: Ex) -> Effect:
    return Store(rs1 + imm, 4, rs2)


@insn("sd", "I", "S", "....... ..... ..... 011 ..... 0100011")
def _(rs1: Ex, rs2: Ex, imm: Ex) -> Effect:
    return Store(rs1 + imm, 8, rs2)


@insn("addi", "I", "I", "....... ..... ..... 000 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 + imm


@insn("slti", "I", "I", "....... ..... ..... 010 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return lts(rs1, imm)


@insn("sltiu", "I", "I", "....... ..... ..... 011 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return ltu(rs1, imm)


@insn("xori", "I", "I", "....... ..... ..... 100 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 ^ imm


@insn("ori", "I", "I", "....... ..... ..... 110 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 | imm


@insn("andi", "I", "I", "....... ..... ..... 111 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 & imm


@insn("slli", "I", "SH6", "000000. ..... ..... 001 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 << imm


@insn("srli", "I", "SH6", "000000. ..... ..... 101 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return rs1 >> imm


@insn("srai", "I", "SH6", "010000. ..... ..... 101 ..... 0010011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return sar(rs1, imm)


@insn("add", "I", "R", "0000000 ..... ..... 000 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 + rs2


@insn("sub", "I", "R", "0100000 ..... ..... 000 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 - rs2


@insn("sll", "I", "R", "0000000 ..... ..... 001 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 << (rs2 & 63)


@insn("slt", "I", "R", "0000000 ..... ..... 010 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return lts(rs1, rs2)


@insn("sltu", "I", "R", "0000000 ..... ..... 011 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return ltu(rs1, rs2)


@insn("xor", "I", "R", "0000000 ..... ..... 100 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 ^ rs2


@insn("srl", "I", "R", "0000000 ..... ..... 101 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 >> (rs2 & 63)


@insn("sra", "I", "R", "0100000 ..... ..... 101 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sar(rs1, rs2 & 63)


@insn("or", "I", "R", "0000000 ..... ..... 110 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 | rs2


@insn("and", "I", "R", "0000000 ..... ..... 111 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 & rs2


@insn("addiw", "I", "I", "....... ..... ..... 000 ..... 0011011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return sext32(rs1 + imm)


@insn("slliw", "I", "SH5", "0000000 ..... ..... 001 ..... 0011011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return sext32(rs1 << imm)


@insn("srliw", "I", "SH5", "0000000 ..... ..... 101 ..... 0011011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return sext32(zext32(rs1) >> imm)


@insn("sraiw", "I", "SH5", "0100000 ..... ..... 101 ..... 0011011")
def _(rs1: Ex, imm: Ex) -> Ex:
    return sar(sext32(rs1), imm)


@insn("addw", "I", "R", "0000000 ..... ..... 000 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(rs1 + rs2)


@insn("subw", "I", "R", "0100000 ..... ..... 000 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(rs1 - rs2)


@insn("sllw", "I", "R", "0000000 ..... ..... 001 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(rs1 << (rs2 & 31))


@insn("srlw", "I", "R", "0000000 ..... ..... 101 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(zext32(rs1) >> (rs2 & 31))


@insn("sraw", "I", "R", "0100000 ..... ..... 101 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sar(sext32(rs1), rs2 & 31)


helper("fence", "I", "F", "....... ..... ..... 000 ..... 0001111", "nop")
helper("ecall", "I", "N", "0000000 00000 00000 000 00000 1110011", "ecall")
helper("ebreak", "I", "N", "0000000 00001 00000 000 00000 1110011", "ebreak")
