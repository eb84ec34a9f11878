"""Number the ops of the dispatch loop, and make the tables that the decoder reads.

A row of the instruction table has one op for its 32-bit form; rows that share a helper share its op. Compressed
instructions have ops of their own, and so have jumps that stay in their page.
"""

from __future__ import annotations

from dataclasses import dataclass

from rrdbg_core.cpu.emitter import Emitter
from rrdbg_core.cpu.host_floats import DONE_BY_HOST, HostFloat
from rrdbg_core.cpu.layout import XD
from rrdbg_core.cpu.memory import PAGE_BYTES
from rrdbg_core.isa.expr import Branch, Helper
from rrdbg_core.isa.rows import Insn
from rrdbg_core.isa.rvc import TARGETS
from rrdbg_core.isa.table import BUCKETS, BY_NAME, INSNS, Decoded

UNDECODED_OP, FETCH_OP, _, ILLEGAL_OP = range(4)
ARMED_OP = 4
"""The first of four ops of slots that tell when they are run, see `arm` in native/collect.py."""
REGION_OP = 8
"""What stands where a region can be entered, see cpu/regions."""
BLOCK_OP = 9
"""What stands where a block can be entered, see native/blocks.py."""
FIRST_OP = 12
"""Before it: OP_UNDECODED, OP_FETCH, OP_BREAK, OP_ILLEGAL, four times OP_ARMED, OP_REGION, OP_BLOCK, OP_COUNTED and
OP_ASLEEP, see native/names.py."""
FORMATS = ("R", "I", "SH6", "SH5", "S", "B", "U", "J", "CSR", "CSRI", "AMO", "N", "F", "RF", "RM", "R4")
"""Formats, in the order in which the decoder numbers them."""


@dataclass(frozen=True, slots=True)
class Op:
    """One handler."""

    number: int
    """What slots hold."""
    insn: Insn
    """The row; one of them, if several share the op."""
    length: int
    """Bytes of the instruction: 2 or 4."""
    near: bool
    """True if it jumps, when it does, within its page."""


def _key(insn: Insn) -> str:
    if insn.name in DONE_BY_HOST:
        return insn.name
    if isinstance(insn.effect, Helper):
        return "atomic" if insn.effect.name in ("lr", "sc", "amo") else insn.effect.name
    return insn.name


def _number() -> tuple[tuple[Op, ...], dict[tuple[str, int, bool], int]]:
    ops: list[Op] = []
    numbers: dict[tuple[str, int, bool], int] = {}

    def add(insn: Insn, length: int, near: bool = False) -> None:
        key = (_key(insn), length, near)
        if key not in numbers:
            numbers[key] = FIRST_OP + len(ops)
            ops.append(Op(numbers[key], insn, length, near))

    for insn in INSNS:
        add(insn, 4)
    for name in TARGETS:
        add(BY_NAME[name], 2)
    for insn in INSNS:
        if isinstance(insn.effect, Branch) or insn.name == "jal":
            add(insn, 4, True)
            if insn.name in TARGETS:
                add(insn, 2, True)
    assert FIRST_OP + len(ops) <= 256
    return tuple(ops), numbers


OPS, _NUMBERS = _number()


def is_copied(op: Op) -> bool:
    """Return whether an op has code that blocks can be made of: it is not just the call of a helper."""
    if op.insn.name in DONE_BY_HOST:
        return HostFloat(Emitter(""), op.insn.name, "", "").works
    return not isinstance(op.insn.effect, Helper) or op.insn.effect.name == "nop"


def decode_table() -> list[int]:
    """Return the decoder's table: 257 starts of buckets, then rows of (mask << 32 | match, op | format << 8)."""
    starts: list[int] = []
    rows: list[int] = []
    for number in range(256):
        starts.append(257 + len(rows))
        for insn in BUCKETS.get(number, ()):
            op = _NUMBERS[_key(insn), 4, False]
            rows += [insn.mask << 32 | insn.match, op | FORMATS.index(insn.fmt) << 8]
    starts.append(257 + len(rows))
    return starts + rows


def variants() -> bytes:
    """Return for each op the op of its compressed form and of its near form, or the op itself."""
    table = bytearray(number for number in range(256) for _ in range(2))
    for op in OPS:
        key = _key(op.insn)
        table[2 * op.number] = _NUMBERS.get((key, 2, op.near), op.number)
        table[2 * op.number + 1] = _NUMBERS.get((key, op.length, True), op.number)
    return bytes(table)


def slot_of(decoded: Decoded, pc: int) -> int:
    """Return the slot of an instruction at `pc`, as the kernel decodes it; see native/decode.py."""
    key, near = _key(decoded.insn), pc % PAGE_BYTES + decoded.imm in range(PAGE_BYTES)
    number = _NUMBERS.get((key, decoded.length, False), _NUMBERS[key, 4, False])
    if near:
        number = _NUMBERS.get((key, decoded.length, True), number)
    return number | (decoded.rd or XD) << 8 | decoded.rs1 << 16 | decoded.rs2 << 24 | (decoded.imm & 0xFFFF_FFFF) << 32
