"""The closed vocabulary in which every instruction's meaning is written, as an expression tree.

An instruction is a Python function over symbolic operands. Called once, at import, it yields a tree of `Ex` nodes that
several readers walk: the writer of the kernel's dispatch loop, the plain-int reference interpreter, and whoever asks
which operands are read. All values are 64-bit words; shifts take amounts below 64, so the author masks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MASK64 = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Ex:
    """One node: an operation over arguments, a constant, or an operand of the instruction."""

    op: str
    """Name in the vocabulary; "const" and "operand" are the leaves."""
    args: tuple[Ex | int | str, ...]
    """Sub-expressions; the value of a constant; the name of an operand."""

    def __add__(self, other: Ex | int) -> Ex:
        return Ex("add", (self, lift(other)))

    def __sub__(self, other: Ex | int) -> Ex:
        return Ex("sub", (self, lift(other)))

    def __mul__(self, other: Ex | int) -> Ex:
        return Ex("mul", (self, lift(other)))

    def __and__(self, other: Ex | int) -> Ex:
        return Ex("and", (self, lift(other)))

    def __or__(self, other: Ex | int) -> Ex:
        return Ex("or", (self, lift(other)))

    def __xor__(self, other: Ex | int) -> Ex:
        return Ex("xor", (self, lift(other)))

    def __lshift__(self, other: Ex | int) -> Ex:
        return Ex("shl", (self, lift(other)))

    def __rshift__(self, other: Ex | int) -> Ex:
        return Ex("shr", (self, lift(other)))

    def __invert__(self) -> Ex:
        return Ex("not", (self,))


def lift(value: Ex | int) -> Ex:
    """Return `value` as an expression; ints become constants modulo 2^64."""
    return value if isinstance(value, Ex) else Ex("const", (value & MASK64,))


def operand(name: str) -> Ex:
    """Return the operand `name` of the instruction: rs1, rs2, fs1, fs2 (f registers), imm or pc."""
    return Ex("operand", (name,))


def _function(op: str, doc: str) -> Callable[..., Ex]:
    def build(*args: Ex | int) -> Ex:
        return Ex(op, tuple(lift(arg) for arg in args))

    build.__doc__ = doc
    return build


sext8 = _function("sext8", "Sign-extend the low 8 bits.")
sext16 = _function("sext16", "Sign-extend the low 16 bits.")
sext32 = _function("sext32", "Sign-extend the low 32 bits.")
sar = _function("sar", "Shift right, arithmetically.")
ltu = _function("ltu", "1 if a < b, unsigned, else 0.")
lts = _function("lts", "1 if a < b, signed, else 0.")
eq = _function("eq", "1 if a = b, else 0.")
ne = _function("ne", "1 if a differs from b, else 0.")
select = _function("select", "b if a is not 0, else c.")
mulhu = _function("mulhu", "High half of the unsigned product.")
mulh = _function("mulh", "High half of the signed product.")
mulhsu = _function("mulhsu", "High half of signed times unsigned.")
divu = _function("divu", "Unsigned quotient; by zero: all ones.")
divs = _function("divs", "Signed quotient towards zero; by zero: -1; overflow: the dividend.")
remu = _function("remu", "Unsigned remainder; by zero: the dividend.")
rems = _function("rems", "Signed remainder; by zero: the dividend; overflow: 0.")
clz = _function("clz", "Leading zeros of 64 bits; 64 for 0.")
ctz = _function("ctz", "Trailing zeros of 64 bits; 64 for 0.")
cpop = _function("cpop", "Number of ones.")
orcb = _function("orcb", "Each byte: 0xff where any bit is set.")
ror = _function("ror", "Rotated right, by the second operand modulo 64.")
ror32 = _function("ror32", "Low 32 bits rotated right, by the second operand modulo 32; zero-extended.")
rev8 = _function("rev8", "The eight bytes in reverse order.")


def neg(a: Ex | int) -> Ex:
    """Two's complement."""
    return lift(0) - a


def zext16(a: Ex | int) -> Ex:
    """Zero-extend the low 16 bits."""
    return lift(a) & 0xFFFF


def zext32(a: Ex | int) -> Ex:
    """Zero-extend the low 32 bits."""
    return lift(a) & 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class SetRd:
    """rd = value."""

    value: Ex


@dataclass(frozen=True, slots=True)
class Load:
    """rd = `size` bytes at `addr`, sign-extended if `signed`."""

    addr: Ex
    size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Store:
    """`size` bytes at `addr` = the low bytes of `value`."""

    addr: Ex
    size: int
    value: Ex


@dataclass(frozen=True, slots=True)
class SetFrd:
    """f register rd = value."""

    value: Ex


@dataclass(frozen=True, slots=True)
class FloatLoad:
    """f register rd = `size` bytes at `addr`; four of them in their box."""

    addr: Ex
    size: int


@dataclass(frozen=True, slots=True)
class FloatStore:
    """`size` bytes at `addr` = the low bytes of `value`."""

    addr: Ex
    size: int
    value: Ex


@dataclass(frozen=True, slots=True)
class Branch:
    """pc = pc + imm if `taken`."""

    taken: Ex


@dataclass(frozen=True, slots=True)
class Jump:
    """rd = address of the next instruction; pc = target."""

    target: Ex


@dataclass(frozen=True, slots=True)
class Helper:
    """What is long or rare: a named function that every tier calls."""

    name: str


Effect = SetRd | Load | Store | SetFrd | FloatLoad | FloatStore | Branch | Jump | Helper


def leaves(tree: Ex | Effect) -> frozenset[str]:
    """Return the operands that a tree reads."""
    if isinstance(tree, Ex):
        if tree.op == "operand":
            return frozenset({str(tree.args[0])})
        return frozenset().union(*(leaves(arg) for arg in tree.args if isinstance(arg, Ex)))
    parts = [getattr(tree, name) for name in tree.__slots__]
    return frozenset().union(*(leaves(part) for part in parts if isinstance(part, Ex)))
