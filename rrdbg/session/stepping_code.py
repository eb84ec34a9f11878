"""How control can flow within a stretch of code: where it is left, and from where it is entered, instruction by
instruction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import cached_property, lru_cache

from rrdbg_core.frozen import Frozen

from rrdbg.session.decoding import TRAP_RETURNS, Instruction, instruction
from rrdbg.session.numbers import M64

Ranges = tuple[tuple[int, int], ...]
"""Address ranges lo <= a < hi."""

MAX_CODE = 1 << 16
"""Bytes of a function that are read; what lies beyond is left instruction by instruction."""
_BRANCHES = frozenset(("beq", "bne", "blt", "bge", "bltu", "bgeu"))


class Kind(Enum):
    """What an instruction does to the flow of control."""

    PLAIN = "plain"
    BRANCH = "branch"
    JUMP = "jump"
    CALL = "call"
    RETURN = "return"
    INDIRECT = "indirect"
    """A jump through a register that is no return: a switch, or a tail call."""
    TRAP_RETURN = "trap return"


class Op(Frozen):
    """One instruction."""

    address: int
    """Where it is."""
    after: int
    """Address behind it."""
    kind: Kind
    """What it does to the flow."""
    target: int | None = None
    """Where a direct branch, jump or call goes."""


def kind_of(insn: Instruction) -> Kind:
    """Return what an instruction does to the flow of control."""
    if insn.is_call:
        return Kind.CALL
    if insn.is_return:
        return Kind.RETURN
    if insn.name in TRAP_RETURNS:
        return Kind.TRAP_RETURN
    if insn.name == "jal":
        return Kind.JUMP
    if insn.name == "jalr":
        return Kind.INDIRECT
    return Kind.BRANCH if insn.name in _BRANCHES else Kind.PLAIN


def inside(ranges: Iterable[tuple[int, int]], address: int) -> bool:
    """Return whether an address lies in one of the ranges."""
    return any(lo <= address < hi for lo, hi in ranges)


class Flow:
    """The instructions of a function, or of whatever stretches of code belong together.

    Args:
        ranges: Where they are.
        read: Reads memory, as far as it can be read.
    """

    def __init__(self, ranges: Ranges, read: Callable[[int, int], bytes]) -> None:
        self.ranges = ranges
        self._ops = [op for lo, hi in ranges for op in _ops(lo, hi, read)]

    @cached_property
    def by_address(self) -> dict[int, Op]:
        """The instructions by their addresses."""
        return {op.address: op for op in self._ops}

    def within(self, ranges: Ranges) -> list[Op]:
        """Return the instructions in some ranges."""
        return [op for op in self._ops if inside(ranges, op.address)]

    def exits(self, ranges: Ranges) -> set[int]:
        """Return the addresses outside of some ranges that their instructions go to directly, calls left out."""
        found = set()
        for op in self.within(ranges):
            found |= {at for at in _next(op) if not inside(ranges, at)}
        return found

    def entries(self, ranges: Ranges) -> set[int]:
        """Return the instructions of the rest that can go into some ranges: directly, or through a register."""
        return {
            op.address
            for op in self._ops
            if not inside(ranges, op.address)
            and (op.kind is Kind.INDIRECT or any(inside(ranges, at) for at in _next(op)))
        }


def _next(op: Op) -> Sequence[int]:
    """Return where an instruction goes, as far as it says itself; a call comes back behind itself."""
    match op.kind:
        case Kind.PLAIN | Kind.CALL:
            return (op.after,)
        case Kind.BRANCH:
            return (op.after, op.target) if op.target is not None else (op.after,)
        case Kind.JUMP:
            return (op.target,) if op.target is not None else ()
    return ()


def _ops(lo: int, hi: int, read: Callable[[int, int], bytes]) -> list[Op]:
    data = read(lo, min(hi - lo, MAX_CODE) + 2)
    found = []
    at = lo
    while at < hi and at - lo + 2 <= len(data):
        raw = data[at - lo : at - lo + 4]
        if raw[0] & 3 == 3 and len(raw) < 4:
            break
        word = int.from_bytes(raw, "little")
        length, kind, distance = _shape(word if word & 3 == 3 else word & 0xFFFF)
        found.append(Op(at, at + length, kind, None if distance is None else at + distance & M64))
        at += length
    return found


@lru_cache(maxsize=1 << 14)
def _shape(word: int) -> tuple[int, Kind, int | None]:
    """Return an instruction's length, what it does to the flow, and how far away it goes directly.

    Functions have thousands of instructions, and a step looks at all of them: most are seen to do nothing at a glance.
    """
    if word & 3 == 3:
        suspicious = word & 0x7F in (0x63, 0x67, 0x6F, 0x73)  # branches, jalr, jal, SYSTEM
    else:
        quadrant, funct3 = word & 3, word >> 13
        suspicious = (quadrant == 1 and funct3 >= 5) or (quadrant == 2 and funct3 == 4)  # c.j, c.b*; c.jr, c.jalr
    if not suspicious:
        return 4 if word & 3 == 3 else 2, Kind.PLAIN, None
    insn = instruction(word, 0)
    return insn.length, kind_of(insn), insn.target
