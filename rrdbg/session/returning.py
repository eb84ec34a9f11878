"""What a function has returned: where the calling convention puts it (RISC-V ELF psABI).

That is the integer convention, and of the floating-point convention what goes for plain numbers.
"""

from __future__ import annotations

from rrdbg_core.errors import RrdbgError

from rrdbg.session.ctypes_values import CValue, is_float
from rrdbg.session.variables_catalog import Catalog
from rrdbg.symbols.location import Location, Memory, Piece, Pieces, Register
from rrdbg.symbols.scopes import Scope
from rrdbg.symbols.types import VoidType, strip

A0 = 10
"""Number of the first register that holds a result."""
FA0 = 42
"""Of a number, where such registers hold them."""


class Returning(Catalog):
    """The part of a session that knows what functions return."""

    def _result_of(self, scope: Scope) -> str:
        """Return what a function has just returned, as gdb prints it; the value is remembered as `$1`, `$2`, ..."""
        kind = scope.type.result
        if isinstance(strip(kind), VoidType):
            return ""
        level = self._level(0)
        place = _place(kind.size, level.state.register(A0))
        if is_float(strip(kind)) and kind.size <= self._symbols.float_abi:
            place = Register(FA0)
        value = CValue(kind, place, level.state)
        try:
            text = self._printer("").top(value)
        except RrdbgError as error:
            text = f"<error: {error.message}>"
        return f"${self._notebook.remember(value)} = {text}"


def _place(size: int, a0: int | None) -> Location:
    """Return where a result of so many bytes lies: in a0, in a0 and a1, or in memory at a0."""
    if size <= 8:
        return Register(A0)
    if size <= 16:
        return Pieces((Piece(Register(A0), 64), Piece(Register(A0 + 1), 8 * size - 64)))
    return Memory(a0 or 0)
