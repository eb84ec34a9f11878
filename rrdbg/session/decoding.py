"""What the debugger knows about single instructions: text, length, calls and returns."""

from __future__ import annotations

from functools import lru_cache

from rrdbg_core.frozen import Frozen
from rrdbg_core.isa.registers import ABI, FLOAT_ABI

M64 = (1 << 64) - 1
TRAP_RETURNS = ("mret", "sret")
"""Instructions that return from traps."""
_LINKS = (1, 5)  # ra and t0: what calls write and returns jump through (unprivileged spec, table 2.1)


class Instruction(Frozen):
    """One instruction at its address."""

    text: str
    """As objdump prints it."""
    length: int
    """Bytes."""
    target: int | None
    """Where a direct branch or jump goes."""
    is_call: bool
    """Whether it jumps and leaves a return address in ra or t0."""
    is_return: bool
    """Whether it jumps through ra or t0 without leaving one."""
    through: int
    """For a return: number of the register that holds the return address."""
    rd: int
    """Number of the x register it writes; 0 for none."""
    writes: str
    """Name of the register that it writes, an f register's too; empty for none."""
    name: str
    """Name in the instruction table, or empty for an illegal one."""


@lru_cache(maxsize=1 << 16)
def instruction(word: int, address: int) -> Instruction:
    """Return an instruction; of a compressed one the low 16 bits count."""
    # the instruction table takes 0.1 s to import, and a session that opens does not need it yet
    from rrdbg_core.isa.disasm import disassemble
    from rrdbg_core.isa.rvc import expand
    from rrdbg_core.isa.table import decode

    compressed = word & 3 != 3
    length = 2 if compressed else 4
    full = expand(word & 0xFFFF) if compressed else word & 0xFFFF_FFFF
    text = disassemble(word, address)
    decoded = decode(full) if full else None
    if decoded is None:
        return Instruction(text, length, None, False, False, 0, 0, "", "")
    name = decoded.insn.name
    opcode = full & 0x7F
    rd, rs1 = full >> 7 & 31, full >> 15 & 31
    floating = "rd" in decoded.insn.floats
    none = floating or opcode in (0x63, 0x23, 0x27, 0x0F) or (opcode == 0x73 and not full >> 12 & 3) or rd == 0
    written = FLOAT_ABI[rd] if floating else "" if none else ABI[rd]
    target = None
    if opcode == 0x6F or opcode == 0x63:
        offset = decoded.imm - (1 << 64) if decoded.imm >> 63 else decoded.imm
        target = address + offset & M64
    call = opcode in (0x6F, 0x67) and rd in _LINKS
    back = opcode == 0x67 and rd == 0 and rs1 in _LINKS
    return Instruction(text, length, target, call, back, rs1 if back else 0, 0 if none else rd, written, name)


def register_name(number: int) -> str:
    """Return the ABI name of x`number`."""
    return ABI[number]
