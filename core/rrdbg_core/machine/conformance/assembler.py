"""A small assembler over rrdbg's own instruction table, so that checks and tests need no cross toolchain.

One instruction or `label:` a line, `#` starts a comment. Operands are register names, numbers, labels (for branches,
jal and `la`) and `imm(reg)`. Beside the table's mnemonics: li, la, mv, j, ret, nop, csrr, csrw, csrs, csrc, beqz, bnez,
.dword, .byte, .ascii.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from rrdbg_core.isa.registers import REGISTERS
from rrdbg_core.isa.table import BY_NAME, encode

_CSR_LIST = """
mstatus=300 mie=304 mtvec=305 mcounteren=306 mscratch=340 mepc=341 mcause=342 mtval=343 mip=344 pmpcfg0=3a0 pmpaddr0=3b0
mcycle=b00 minstret=b02 time=c01
"""
CSRS = {name: int(number, 16) for name, _, number in (item.partition("=") for item in _CSR_LIST.split())}
BASE = 0x8000_0000

Lookup = Callable[[str], int]


def assemble(text: str, base: int = BASE) -> bytes:
    """Return the machine code of `text`, to be loaded at `base`.

    Raises:
        ValueError: A line makes no sense.
    """
    lines = [line.partition("#")[0].strip() for line in text.replace(";", "\n").splitlines()]
    items: list[str] = []
    labels: dict[str, int] = {}
    address = base
    for line in lines:
        while match := re.match(r"(\w+):\s*", line):
            labels[match[1]] = address
            line = line[match.end() :]
        if line:
            items.append(line)
            address += len(_encode(line, address, lambda name: base))
    code = b""
    for line in items:
        code += _encode(line, base + len(code), lambda name: labels[name] if name in labels else int(name, 0))
    return code


def _encode(line: str, address: int, lookup: Lookup) -> bytes:
    name, _, rest = line.partition(" ")
    if name == ".ascii":
        return rest.strip()[1:-1].encode().decode("unicode_escape").encode("latin-1")
    args = [arg.strip() for arg in rest.split(",")] if rest.strip() else []
    try:
        match name:
            case ".dword":
                return b"".join(struct.pack("<Q", lookup(arg) & (1 << 64) - 1) for arg in args)
            case ".byte":
                return bytes(int(arg, 0) for arg in args)
            case "li":
                return _li(REGISTERS[args[0]], int(args[1], 0))
            case "la":
                offset = lookup(args[1]) - address
                high = (offset + 0x800) & ~0xFFF
                rd = REGISTERS[args[0]]
                return _word("auipc", rd=rd, imm=high) + _word("addi", rd=rd, rs1=rd, imm=offset - high)
            case _:
                return _plain(*_alias(name, args), address, lookup)
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f"{line!r}: {error}") from error


def _alias(name: str, args: list[str]) -> tuple[str, list[str]]:
    match name:
        case "mv":
            return "addi", [*args, "0"]
        case "nop":
            return "addi", ["zero", "zero", "0"]
        case "j":
            return "jal", ["zero", *args]
        case "ret":
            return "jalr", ["zero", "0(ra)"]
        case "csrr":
            return "csrrs", [*args, "zero"]
        case "csrw":
            return "csrrw", ["zero", *args]
        case "csrs":
            return "csrrs", ["zero", *args]
        case "csrc":
            return "csrrc", ["zero", *args]
        case "beqz" | "bnez":
            return name[:3], [args[0], "zero", args[1]]
        case _:
            return name, args


def _word(name: str, rd: int = 0, rs1: int = 0, rs2: int = 0, imm: int = 0) -> bytes:
    return struct.pack("<I", encode(BY_NAME[name], rd, rs1, rs2, imm))


def _plain(name: str, args: list[str], address: int, lookup: Lookup) -> bytes:
    insn = BY_NAME[name]
    reg = REGISTERS
    memory = re.fullmatch(r"(-?\w*)\((\w+)\)", args[-1]) if args else None
    match insn.fmt:
        case "AMO" if memory:
            rs2 = reg[args[1]] if len(args) == 3 else 0
            return _word(name, rd=reg[args[0]], rs1=reg[memory[2]], rs2=rs2)
        case "R":
            return _word(name, rd=reg[args[0]], rs1=reg[args[1]], rs2=reg[args[2]])
        case "S" if memory:
            return _word(name, rs2=reg[args[0]], rs1=reg[memory[2]], imm=int(memory[1] or "0", 0))
        case "I" if memory:
            return _word(name, rd=reg[args[0]], rs1=reg[memory[2]], imm=int(memory[1] or "0", 0))
        case "I" | "SH6" | "SH5":
            return _word(name, rd=reg[args[0]], rs1=reg[args[1]], imm=int(args[2], 0))
        case "B":
            return _word(name, rs1=reg[args[0]], rs2=reg[args[1]], imm=lookup(args[2]) - address)
        case "U":
            return _word(name, rd=reg[args[0]], imm=int(args[1], 0) << 12)
        case "J":
            return _word(name, rd=reg[args[0]], imm=lookup(args[1]) - address)
        case "CSR" | "CSRI":
            source = int(args[2], 0) if insn.fmt == "CSRI" else reg[args[2]]
            return _word(name, rd=reg[args[0]], rs1=source, imm=CSRS.get(args[1]) or int(args[1], 0))
        case "N" | "F":
            return _word(name)
    raise ValueError(f"no operands like {args} for format {insn.fmt}")


def _li(rd: int, value: int) -> bytes:
    """Load a constant: lui and addiw for 32 bits, else its upper part, shifted, and twelve bits at a time."""
    value = (value & (1 << 64) - 1 ^ 1 << 63) - (1 << 63)
    if -2048 <= value < 2048:
        return _word("addi", rd=rd, imm=value)
    low = (value & 0xFFF ^ 0x800) - 0x800
    if -(1 << 31) <= value < 1 << 31:
        code = _word("lui", rd=rd, imm=value - low)
        return code + _word("addiw", rd=rd, rs1=rd, imm=low) if low else code
    code = _li(rd, value - low >> 12) + _word("slli", rd=rd, rs1=rd, imm=12)
    return code + _word("addi", rd=rd, rs1=rd, imm=low) if low else code
