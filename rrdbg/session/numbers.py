"""C's integers: types, values and what the operators do with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from rrdbg.session.errors import DivisionByZero

M64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Type:
    """An integer type."""

    size: int
    """Bytes."""
    signed: bool
    """Whether it is signed."""

    def fit(self, value: int) -> int:
        """Return `value` as the type holds it."""
        value &= (1 << 8 * self.size) - 1
        return value - (1 << 8 * self.size) if self.signed and value >> (8 * self.size - 1) else value


@dataclass(frozen=True, slots=True)
class Value:
    """A number with its type."""

    number: int
    """As its type holds it: negative for signed ones."""
    type: Type
    """Its own type."""
    target: Type | None = None
    """What it points to, for pointers that were cast."""
    is_address: bool = False
    """Whether it is an address, to be shown in hex and by name."""

    @property
    def bits(self) -> int:
        """The number as 64 unsigned bits."""
        return self.number & M64


I64, U64 = Type(8, True), Type(8, False)
TYPES: dict[str, Type] = {
    **{f"{sign}{bits}": Type(bits // 8, sign == "i") for sign in "iu" for bits in (8, 16, 32, 64)},
    **{f"int{bits}_t": Type(bits // 8, True) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": Type(bits // 8, False) for bits in (8, 16, 32, 64)},
    "char": Type(1, False),
    "short": Type(2, True),
    "int": Type(4, True),
    "long": I64,
    "long long": I64,
    "signed char": Type(1, True),
    "unsigned char": Type(1, False),
    "unsigned short": Type(2, False),
    "unsigned": Type(4, False),
    "unsigned int": Type(4, False),
    "unsigned long": U64,
    "unsigned long long": U64,
    "size_t": U64,
    "ssize_t": I64,
    "uintptr_t": U64,
    "intptr_t": I64,
    "ptrdiff_t": I64,
    "void": Type(1, False),
    "bool": Type(1, False),
    "_Bool": Type(1, False),
}
"""Types by name. `char` is unsigned, as in the RISC-V calling convention."""

TYPE_WORDS = {word for name in TYPES for word in name.split()} | {"const", "volatile", "signed", "struct"}


def type_of(words: list[str]) -> Type | None:
    """Return the type that C's words name, in any order."""
    if not words:
        return None
    text = " ".join(sorted(words, key=lambda word: word not in ("signed", "unsigned")))
    text = re.sub(r"^((?:un)?signed )?(short|long|long long) int$", r"\1\2", text)
    if text == "signed":
        text = "int"
    return TYPES.get(text) or TYPES.get(text.removeprefix("signed "))


def combine(operator: str, a: Value, b: Value) -> Value:
    """Return what a binary operator makes of two values, with C's conversions. Raises DivisionByZero."""
    # integer promotion: what is smaller than 8 bytes fits a signed 64-bit number whatever its sign
    signed = (a.type.signed or a.type.size < 8) and (b.type.signed or b.type.size < 8)
    kind = I64 if signed else U64
    x, y = kind.fit(a.number), kind.fit(b.number)
    if operator in _COMPARE:
        return Value(int(_COMPARE[operator](x, y)), I64)
    if operator in "+-" and (a.target or b.target):
        return _pointer(operator, a, b)
    if operator in ("/", "%"):
        if y == 0:
            raise DivisionByZero("division by zero")
        quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        return Value(kind.fit(quotient if operator == "/" else x - quotient * y), kind)
    if operator in ("<<", ">>"):
        shift = b.bits & 63
        left_kind = I64 if a.type.signed or a.type.size < 8 else U64
        return Value(left_kind.fit(a.number << shift if operator == "<<" else a.number >> shift), left_kind)
    address = (a.is_address or b.is_address) and operator in "+-" and not (a.is_address and b.is_address)
    return Value(kind.fit(_ARITHMETIC[operator](x, y)), kind, None, address)


def _pointer(operator: str, a: Value, b: Value) -> Value:
    if a.target and b.target and operator == "-":
        return Value(I64.fit(a.bits - b.bits) // max(a.target.size, 1), I64)
    pointer, other = (a, b) if a.target else (b, a)
    assert pointer.target is not None
    offset = other.number * pointer.target.size
    return replace(pointer, number=(pointer.bits + (offset if operator == "+" else -offset)) & M64)


_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
}
_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "&": lambda x, y: x & y,
    "|": lambda x, y: x | y,
    "^": lambda x, y: x ^ y,
}
