"""Places of variables that one simple rule describes: what a compiled condition can read."""

from __future__ import annotations

from collections.abc import Callable

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.dwarf.data import block, sleb, uleb, unsigned
from rrdbg.symbols.location import Context


class Fixed(Frozen):
    """A place that does not depend on the frame."""

    address: int
    """Virtual address."""


class InRegister(Frozen):
    """In a register of the frame."""

    number: int
    """DWARF number."""


class BehindRegister(Frozen):
    """In memory, at a register's value plus an offset."""

    number: int
    """DWARF number."""
    offset: int
    """Bytes."""


class BehindCfa(Frozen):
    """In memory, at the canonical frame address plus an offset."""

    offset: int
    """Bytes."""


class Constant(Frozen):
    """A constant that took the variable's place."""

    data: bytes
    """Its bytes, little end first."""


Place = Fixed | InRegister | BehindRegister | BehindCfa | Constant
"""A variable's location, where one rule says it."""


_FBREG, _CFA, _REGX, _BREGX = 0x91, 0x9C, 0x90, 0x92
_ADDR, _ADDRX, _GNU_ADDRX = 0x03, 0xA1, 0xFB
_IMPLICIT, _STACK_VALUE = 0x9E, 0x9F
_UCONST, _SCONST = 0x10, 0x11
_FIXED = {0x08: (1, False), 0x09: (1, True), 0x0A: (2, False), 0x0B: (2, True)}
_FIXED |= {0x0C: (4, False), 0x0D: (4, True), 0x0E: (8, False), 0x0F: (8, True)}
ADDRESSES = (_ADDR, _ADDRX, _GNU_ADDRX)
"""Operations that start the expression of what lies at an address for ever."""
_MASK = (1 << 64) - 1


def simple_place(expression: bytes, context: Context, frame_base: Callable[[], bytes]) -> Place | None:
    """Return the place that an expression of one operation means; None: it is not that simple.

    Raises:
        DwarfError: The expression is damaged.
    """
    op = expression[0]
    if op in (_ADDR, _ADDRX, _GNU_ADDRX):
        if op == _ADDR:
            address, end = unsigned(expression, 1, 8), 9
        else:
            index, end = uleb(expression, 1)
            address = context.address(index)
        return Fixed(address + context.bias & _MASK) if end == len(expression) else None
    if 0x50 <= op <= 0x6F or op == _REGX:
        number, end = (op - 0x50, 1) if op != _REGX else uleb(expression, 1)
        return InRegister(number) if end == len(expression) else None
    if op == _IMPLICIT:
        size, at = uleb(expression, 1)
        return Constant(block(expression, at, size))
    if op == _FBREG:
        offset, end = sleb(expression, 1)
        return _behind(frame_base(), offset) if end == len(expression) else None
    if 0x70 <= op <= 0x8F or op == _BREGX:
        return _behind(expression, 0)
    return _constant(expression)


def _behind(base: bytes, offset: int) -> Place | None:
    """Return the place at an offset from what a frame base expression means."""
    op = base[0] if base else 0
    if op == _CFA and len(base) == 1:
        return BehindCfa(offset)
    if 0x50 <= op <= 0x6F and len(base) == 1:
        return BehindRegister(op - 0x50, offset)
    if 0x70 <= op <= 0x8F or op == _BREGX:
        number, at = (op - 0x70, 1) if op != _BREGX else uleb(base, 1)
        delta, end = sleb(base, at)
        return BehindRegister(number, delta + offset) if end == len(base) else None
    return None


def _constant(expression: bytes) -> Place | None:
    op, value, end = expression[0], 0, 1
    if 0x30 <= op <= 0x4F:
        value = op - 0x30
    elif op in _FIXED:
        size, negative = _FIXED[op]
        value = int.from_bytes(block(expression, 1, size), "little", signed=negative)
        end += size
    elif op in (_UCONST, _SCONST):
        value, end = uleb(expression, 1) if op == _UCONST else sleb(expression, 1)
    else:
        return None
    if expression[end:] != bytes([_STACK_VALUE]):
        return None
    return Constant((value & _MASK).to_bytes(8, "little"))
