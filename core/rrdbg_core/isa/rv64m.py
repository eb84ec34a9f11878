"""M, unprivileged spec "Integer Multiplication and Division"."""

from __future__ import annotations

from rrdbg_core.isa.expr import Ex, divs, divu, mulh, mulhsu, mulhu, rems, remu, sext32, zext32
from rrdbg_core.isa.rows import insn


@insn("mul", "M", "R", "0000001 ..... ..... 000 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rs1 * rs2


@insn("mulh", "M", "R", "0000001 ..... ..... 001 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return mulh(rs1, rs2)


@insn("mulhsu", "M", "R", "0000001 ..... ..... 010 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return mulhsu(rs1, rs2)


@insn("mulhu", "M", "R", "0000001 ..... ..... 011 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return mulhu(rs1, rs2)


@insn("div", "M", "R", "0000001 ..... ..... 100 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return divs(rs1, rs2)


@insn("divu", "M", "R", "0000001 ..... ..... 101 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return divu(rs1, rs2)


@insn("rem", "M", "R", "0000001 ..... ..... 110 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return rems(rs1, rs2)


@insn("remu", "M", "R", "0000001 ..... ..... 111 ..... 0110011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return remu(rs1, rs2)


@insn("mulw", "M", "R", "0000001 ..... ..... 000 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(rs1 * rs2)


@insn("divw", "M", "R", "0000001 ..... ..... 100 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(divs(sext32(rs1), sext32(rs2)))


@insn("divuw", "M", "R", "0000001 ..... ..... 101 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(divu(zext32(rs1), zext32(rs2)))


@insn("remw", "M", "R", "0000001 ..... ..... 110 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(rems(sext32(rs1), sext32(rs2)))


@insn("remuw", "M", "R", "0000001 ..... ..... 111 ..... 0111011")
def _(rs1: Ex, rs2: Ex) -> Ex:
    return sext32(remu(zext32(rs1), zext32(rs2)))
