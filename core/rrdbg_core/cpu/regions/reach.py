"""Which loads and stores of a block lie so close together that one look at the TLB answers for all of them.

Most accesses of a block are to a few places: the stack frame, an object, an array that is walked. Their addresses are
one register's value and constants, as far as can be told from the instructions that change it (addi, mv). Such accesses
make a reach: if all bytes from its lowest to its highest lie in one page, and the TLB passes that page for what the
reach does, then it passes each access.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rrdbg_core.isa.expr import Ex, FloatLoad, FloatStore, Load, SetRd, Store, operand
from rrdbg_core.isa.table import Decoded, writes

MAX_BYTES = 1024
"""From the lowest to the highest byte of a reach: a page's end lies within a quarter of the longest ones."""
_REGISTER_AND_CONSTANT = operand("rs1") + operand("imm")
_SUM = operand("rs1") + operand("rs2")


class Instruction(Protocol):
    """What is known of an instruction of a block."""

    @property
    def decoded(self) -> Decoded:
        """What it is."""


@dataclass(slots=True)
class Reach:
    """Accesses of one block. Offsets are bytes from the address of the first one."""

    first: int
    """Number of the instruction that makes the first access."""
    low: int = 0
    """Offset of the lowest byte."""
    high: int = 0
    """Offset of the highest byte."""
    reads: bool = False
    """Whether something is loaded."""
    writes: bool = False
    """Whether something is stored."""
    align: int = 1
    """Size of the largest store, to which its address must be aligned."""
    aligned: int = 0
    """Offset of such a store; all others are aligned if it is."""
    offsets: dict[int, int] = field(default_factory=dict)
    """Offsets of the accesses, by the number of the instruction."""

    def take(self, number: int, offset: int, effect: Load | Store | FloatLoad | FloatStore) -> bool:
        """Take in an access, if it fits; return whether it does."""
        low, high = min(self.low, offset), max(self.high, offset + effect.size - 1)
        if self.offsets and high - low >= MAX_BYTES:
            return False
        if isinstance(effect, Store | FloatStore):
            if (offset - self.aligned) % min(self.align, effect.size):
                return False
            if effect.size > self.align:
                self.align, self.aligned = effect.size, offset
            self.writes = True
        else:
            self.reads = True
        self.low, self.high = low, high
        self.offsets[number] = offset
        return True


def reaches(code: Sequence[Instruction]) -> dict[int, Reach]:
    """Return the reach of each load and store of a block, by the number of the instruction."""
    found: dict[int, Reach] = {}
    newest: dict[int, tuple[Reach, int]] = {}
    """Roots to the newest reach of each, and to how far its first access is from the root."""
    roots = {register: (register, 0) for register in range(32)}
    """Registers to what their values were made of: a value that has a number, and a constant."""
    fresh = 32
    for number, step in enumerate(code):
        decoded = step.decoded
        effect = decoded.insn.effect
        if isinstance(effect, Load | Store | FloatLoad | FloatStore):
            assert effect.addr == _REGISTER_AND_CONSTANT
            root, distance = roots[decoded.rs1]
            distance += decoded.imm
            reach, origin = newest.get(root, (None, 0))
            if reach is None or not reach.take(number, distance - origin, effect):
                reach = Reach(number)
                reach.take(number, 0, effect)
                newest[root] = reach, distance
            found[number] = reach
        for register in writes(decoded):
            source = _source(decoded, effect.value) if isinstance(effect, SetRd) else None
            if source is None:
                roots[register], fresh = (fresh, 0), fresh + 1
            else:
                root, distance = roots[source[0]]
                roots[register] = root, distance + source[1]
    return found


def _source(decoded: Decoded, value: Ex) -> tuple[int, int] | None:
    """Return the register and the constant of which an instruction makes a sum, if it does."""
    if value == _REGISTER_AND_CONSTANT:
        return decoded.rs1, decoded.imm
    if value == _SUM and 0 in (decoded.rs1, decoded.rs2):
        return decoded.rs1 or decoded.rs2, 0
    return None
