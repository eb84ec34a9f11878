"""The registers that regions hold: x0 to x31, f0 to f31 as 32 to 63, and fcsr as 64."""

from __future__ import annotations

from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.handler import FLOAT_HELPER
from rrdbg_core.isa.expr import FloatLoad, FloatStore, SetFrd
from rrdbg_core.isa.table import Decoded, float_reads, float_writes
from rrdbg_core.isa.table import reads as integer_reads
from rrdbg_core.isa.table import writes as integer_writes

F, FCSR = 32, 64


def is_float(register: int) -> bool:
    """Return whether a register is an f register."""
    return F <= register < FCSR


def kind_of(register: int) -> str:
    """Return LLVM's type of what a register holds."""
    return "double" if is_float(register) else "i64"


def hart_word(register: int) -> int:
    """Return which word of the hart a register is."""
    return L.FCSR if register == FCSR else L.register_word(register)


def computes(decoded: Decoded) -> bool:
    """Return whether an instruction may raise exceptions of floating point."""
    return decoded.insn.effect == FLOAT_HELPER


def uses_floats(decoded: Decoded) -> bool:
    """Return whether an instruction is one of F or D, which mstatus.FS may forbid."""
    insn = decoded.insn
    return bool(insn.floats) or isinstance(insn.effect, SetFrd | FloatLoad | FloatStore) or computes(decoded)


def reads(decoded: Decoded) -> frozenset[int]:
    """Return the registers that an instruction reads."""
    found = integer_reads(decoded)
    if decoded.insn.floats:
        found |= {F + register for register in float_reads(decoded)}
    return found | {FCSR} if computes(decoded) else found


def writes(decoded: Decoded) -> frozenset[int]:
    """Return the registers that an instruction writes, or may write."""
    found = integer_writes(decoded)
    if decoded.insn.floats:
        found |= {F + register for register in float_writes(decoded)}
    return found | {FCSR} if computes(decoded) else found
