"""What C's operators and casts do with typed values: promotions, conversions, pointer arithmetic (C17, 6.3 and 6.5).

Where C leaves a case undefined, gdb's answer stands: signed results wrap, a shift by the width of its type or more
moves everything out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from rrdbg.session import ctypes_floats as floats
from rrdbg.session.ctypes_values import (
    INT128,
    LITERALS,
    M64,
    SYMBOLS,
    UNSIGNED_INT,
    UNSIGNED_INT128,
    CValue,
    address_of,
    at,
    checked,
    data_of,
    decayed,
    integer,
    is_float,
    is_integral,
    is_pointer,
    is_reference,
    is_signed,
    number,
    raw,
    referenced,
)
from rrdbg.session.errors import DivisionByZero, UsageError
from rrdbg.session.expression_nodes import Number
from rrdbg.symbols.location import FrameState, ImplicitPointer
from rrdbg.symbols.types import (
    INT,
    LONG,
    UNSIGNED_LONG,
    ArrayType,
    BaseType,
    Encoding,
    EnumType,
    FunctionType,
    Member,
    MemberPointerType,
    PointerType,
    StructType,
    Type,
    VoidType,
    declare,
    resolved,
    strip,
)

COMPARISONS: dict[str, Callable[[int | Fraction | float, int | Fraction | float], bool]] = {
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
OPERATORS = (*COMPARISONS, *_ARITHMETIC, "/", "%", "<<", ">>")
"""The binary operators that compute both of their operands."""

_INTEGERS = {(4, True): INT, (4, False): UNSIGNED_INT, (8, True): LONG, (8, False): UNSIGNED_LONG}
_INTEGERS |= {(16, True): INT128, (16, False): UNSIGNED_INT128}


# types of results


def literal(constant: Number) -> BaseType:
    """Return the type of an integer constant (C17, 6.4.4.1, with gdb's `unsigned long` for large decimal ones)."""
    unsigned = "u" in constant.suffix
    for size in (8,) if "l" in constant.suffix else (4, 8):
        if not unsigned and constant.value >> (8 * size - 1) == 0:
            return _INTEGERS[size, True]
        if (unsigned or not constant.decimal or size == 8) and constant.value >> (8 * size) == 0:
            return _INTEGERS[size, False]
    return UNSIGNED_LONG


def promoted(kind: Type, bit_size: int | None = None) -> BaseType:
    """Return the type of an integer after C's promotions; `kind` is bare, `bit_size` that of a bit field."""
    if isinstance(kind, EnumType) and kind.size >= 4:
        bit_size = None  # to gdb it is as wide as its type
    if bit_size is not None and (bit_size < 32 or (bit_size == 32 and is_signed(kind))):
        return INT
    if kind.size < 4:
        return INT
    size = 4 if kind.size == 4 else 8 if kind.size <= 8 else 16
    return _INTEGERS[size, is_signed(kind)]


def common(a: BaseType, b: BaseType) -> BaseType:
    """Return the type in which two promoted integers meet."""
    if a.size != b.size:
        return a if a.size > b.size else b
    return a if not is_signed(a) else b


def fit(kind: Type, value: int) -> int:
    """Return a number as a bare type holds it."""
    bits = kind.size * 8
    value &= (1 << bits) - 1
    return value - (1 << bits) if bits and is_signed(kind) and value >> (bits - 1) else value


def pointed_size(kind: PointerType) -> int:
    """Return the unit in which a pointer counts."""
    target = strip(kind.target)
    return 1 if isinstance(target, VoidType | FunctionType) else max(target.size, 1)


# operators


def truth(value: CValue) -> bool:
    """Return whether a value is not zero."""
    value = decayed(value)
    bare = strip(value.type)
    if is_float(bare):
        return floats.decode(data_of(value)) != 0
    if not (is_integral(bare) or isinstance(bare, PointerType | MemberPointerType)):
        raise UsageError("a structure is neither true nor false")
    return integer(value) != 0


def unary(operator: str, value: CValue) -> CValue:
    """Return what `- + ~ !` make of a value."""
    if operator == "!":
        return number(INT, int(not truth(value)))
    value = decayed(value)
    bare = strip(value.type)
    if is_float(bare) and operator != "~":
        data = data_of(value)
        if operator == "-":
            data = data[:-1] + bytes([data[-1] ^ 0x80])
        return raw(resolved(value.type), data)
    if is_pointer(bare) and operator == "+":
        return value
    if not is_integral(bare):
        word = {"-": "negate", "+": "plus", "~": "complement"}[operator]
        raise UsageError(f"argument to {word} operation not a number", hint=f"its type is {declare(value.type)}")
    x = integer(value)
    if operator == "+" and bare in SYMBOLS:
        return value
    return number(_own(value, bare), -x if operator == "-" else ~x if operator == "~" else x)


def _own(value: CValue, bare: Type) -> Type:
    """Return the type of an integer after C's promotions; one that is wide enough keeps its own, as in gdb."""
    if isinstance(bare, EnumType) and bare.size >= 4:
        return resolved(value.type)
    kind = promoted(bare, value.bits[1] if value.bits else None)
    wide = isinstance(bare, BaseType) and bare.size >= 4 and bare.encoding in (Encoding.SIGNED, Encoding.UNSIGNED)
    return resolved(value.type) if wide and value.bits is None else kind


def binary(operator: str, left: CValue, right: CValue) -> CValue:
    """Return what a binary operator that computes both operands makes of them.

    Raises:
        UsageError: They do not go together.
        DivisionByZero: They do not divide.
        Unreadable: One of them is not known.
    """
    left, right = decayed(left), decayed(right)
    a, b = strip(left.type), strip(right.type)
    if is_pointer(a) or is_pointer(b):
        return _with_pointers(operator, left, right, a, b)
    if not (_is_number(a) and _is_number(b)):
        what = "comparison" if operator in COMPARISONS else "arithmetic"
        wrong = left if not _is_number(a) else right
        raise UsageError(f"argument to {what} operation not a number", hint=f"its type is {declare(wrong.type)}")
    if is_float(a) or is_float(b):
        return _with_floats(operator, left, right, a, b)
    x, y = integer(left), integer(right)
    p = promoted(a, left.bits[1] if left.bits else None)
    q = promoted(b, right.bits[1] if right.bits else None)
    if operator in ("<<", ">>"):
        return number(_own(left, a), shifted(operator, fit(p, x), y, p))
    kind = common(p, q)
    x, y = fit(kind, x), fit(kind, y)
    if operator in COMPARISONS:
        return number(INT, int(COMPARISONS[operator](x, y)))
    if operator in ("/", "%"):
        return number(kind, divided(operator, x, y))
    if operator in ("+", "-") and (a in SYMBOLS) != (b in SYMBOLS):
        kind = a if a in SYMBOLS else b  # type: ignore[assignment]
    return number(kind, _ARITHMETIC[operator](x, y))


def shifted(operator: str, x: int, count: int, kind: BaseType) -> int:
    """Return a shift's result, not yet cut to its type."""
    bits = kind.size * 8
    if not 0 <= count < bits:
        return -1 if operator == ">>" and x < 0 else 0
    return x << count if operator == "<<" else x >> count


def divided(operator: str, x: int, y: int) -> int:
    """Return quotient or remainder, rounded towards zero."""
    if y == 0:
        raise DivisionByZero("division by zero")
    quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    return quotient if operator == "/" else x - quotient * y


def _is_number(kind: Type) -> bool:
    return is_integral(kind) or is_float(kind)


def _with_pointers(operator: str, left: CValue, right: CValue, a: Type, b: Type) -> CValue:
    if operator in COMPARISONS:
        if not all(is_pointer(kind) or is_integral(kind) or isinstance(kind, MemberPointerType) for kind in (a, b)):
            raise UsageError("argument to comparison operation is no number and no pointer")
        return number(INT, int(COMPARISONS[operator](integer(left) & M64, integer(right) & M64)))
    if isinstance(a, PointerType) and isinstance(b, PointerType) and operator == "-":
        size = pointed_size(a)
        if size != pointed_size(b):
            raise UsageError(
                "first argument of `-' is a pointer and second argument is neither an integer nor a pointer of the "
                "same type"
            )
        return number(LONG, divided("/", fit(LONG, integer(left) - integer(right)), size))
    for pointer, kind, other, other_kind in ((left, a, right, b), (right, b, left, a)):
        if isinstance(kind, PointerType) and is_integral(other_kind):
            if operator == "+" or (operator == "-" and pointer is left):
                offset = integer(other) * pointed_size(kind)
                if isinstance(pointer.place, ImplicitPointer):
                    moved = replace(pointer.place, delta=pointer.place.delta + (offset if operator == "+" else -offset))
                    return CValue(resolved(pointer.type), moved, pointer.state)
                return number(resolved(pointer.type), integer(pointer) + (offset if operator == "+" else -offset))
            # gdb takes the address for a number in any other operation
            numbers = [
                number(LONG, integer(v)) if isinstance(k, PointerType) else v for v, k in ((left, a), (right, b))
            ]
            return binary(operator, numbers[0], numbers[1])
    if is_pointer(a) and is_pointer(b) and operator not in ("+", "*", "/", "%", "<<", ">>", "-"):
        return number(LONG, _ARITHMETIC[operator](integer(left), integer(right)))
    raise UsageError(
        f"pointers do not go with {operator!r} like this", hint=f"{declare(left.type)}, {declare(right.type)}"
    )


def _with_floats(operator: str, left: CValue, right: CValue, a: Type, b: Type) -> CValue:
    kind = a if is_float(a) and (not is_float(b) or a.size >= b.size) else b
    x, y = (_real(value, kind) for value in (left, right))
    if operator in COMPARISONS:
        return number(INT, int(COMPARISONS[operator](x, y)))
    if operator not in ("+", "-", "*", "/"):
        raise UsageError(f"{operator!r} is an operation of integers only")
    return raw(kind, floats.encode(float_result(operator, x, y), kind.size))


def _real(value: CValue, kind: Type) -> floats.Real:
    """Return a number as a floating type holds it."""
    bare = strip(value.type)
    if is_float(bare):
        return floats.decode(data_of(value))
    return floats.decode(floats.encode(integer(value), kind.size))


def float_result(operator: str, x: floats.Real, y: floats.Real) -> floats.Real:
    """Return the exact result of an operation on floating numbers."""
    zero_x, zero_y = x == 0, y == 0
    finite = math.isfinite(x) and math.isfinite(y) if isinstance(x, float) or isinstance(y, float) else True
    if not finite or (operator == "/" and zero_y):
        return _special(operator, x, y)
    p, q = Fraction(x), Fraction(y)
    result = {"+": p + q, "-": p - q, "*": p * q, "/": p / q if q else p}[operator]
    if result:
        return result
    negative = [_is_negative(x), _is_negative(y)]
    if operator in ("*", "/"):
        return -0.0 if negative[0] != negative[1] else Fraction(0)
    if zero_x and zero_y and negative[0] and negative[1] == (operator == "+"):
        return -0.0
    return Fraction(0)


def _is_negative(x: floats.Real) -> bool:
    return math.copysign(1.0, x) < 0 if isinstance(x, float) else x < 0


def _special(operator: str, x: floats.Real, y: floats.Real) -> float:
    # of finite numbers only the sign matters beside an infinity, and whether they are zero
    p, q = (value if isinstance(value, float) else float((value > 0) - (value < 0)) for value in (x, y))
    if operator == "/" and q == 0:
        if p == 0 or math.isnan(p):
            return math.nan
        return math.copysign(math.inf, math.copysign(1.0, p) * math.copysign(1.0, q))
    return {"+": p + q, "-": p - q, "*": p * q, "/": p / q if q else math.nan}[operator]


# casts


def cast(value: CValue, kind: Type, state: FrameState | None) -> CValue:
    """Return a value as another type.

    Raises:
        UsageError: C has no such cast.
        Unreadable: It is not known.
    """
    target = strip(kind)
    if is_reference(target):
        assert isinstance(target, PointerType)
        return number(kind, address_of(value) if value.address is None else value.address)
    value = referenced(value)
    source = strip(value.type)
    if isinstance(target, VoidType):
        return raw(kind, b"")
    if source in SYMBOLS and isinstance(target, ArrayType | StructType):
        return at(kind, integer(value), state)
    if isinstance(target, ArrayType):
        return _array(value, kind, target)
    if isinstance(target, StructType | FunctionType):
        if isinstance(source, StructType) and _same(source, target):
            return CValue(kind, value.place, value.state, None, value.known)
        if source == target:
            return CValue(kind, value.place, value.state, None, value.known)
        raise UsageError("invalid cast", hint=f"from {declare(value.type)} to {declare(kind)}")
    value = decayed(value)
    source = strip(value.type)
    if is_float(target):
        if is_float(source):
            return raw(kind, floats.encode(floats.decode(data_of(value)), target.size))
        if is_integral(source):
            return raw(kind, floats.encode(integer(value), target.size))
    elif _is_number(source) or isinstance(source, PointerType | MemberPointerType):
        if value.place is not None and (source == target or (is_pointer(source) and is_pointer(target))):
            gap = value.contents.gap(0, source.size * 8) if value.bits is None else None
            if gap is not None and gap.optimised:
                return CValue(kind, value.place, value.state)  # what is not known has a type still
        x = _whole(value) if is_float(source) else integer(value)
        if isinstance(target, BaseType) and target.encoding is Encoding.BOOLEAN:
            return number(kind, int(truth(value)))
        if isinstance(target, PointerType) and isinstance(source, PointerType):
            x += cast_offset(strip(source.target), strip(target.target)) if x else 0
        if isinstance(target, BaseType | EnumType | PointerType | MemberPointerType):
            return number(kind, x)
    raise UsageError("invalid cast", hint=f"from {declare(value.type)} to {declare(kind)}")


def _same(source: StructType, target: Type) -> bool:
    return isinstance(target, StructType) and source.name == target.name and source.size == target.size


def _whole(value: CValue) -> int:
    real = floats.decode(data_of(value))
    if isinstance(real, float) and not math.isfinite(real):
        return 1 << 63
    return int(real)


def _array(value: CValue, kind: Type, target: ArrayType) -> CValue:
    size = value.type.size
    if target.count is None and target.element.size:
        if size % target.element.size:
            raise UsageError("array element type size does not divide object size in cast")
        kind = target = ArrayType(target.element, size // target.element.size)
    if size != target.size:
        raise UsageError("invalid cast", hint=f"{declare(value.type)} has {size} bytes, {declare(kind)} {target.size}")
    if value.bits is None and value.place is not None:
        return CValue(kind, value.place, value.state, None, value.known)
    return raw(kind, data_of(checked(value)))


def cast_offset(source: Type, target: Type) -> int:
    """Return what a cast between classes adds to a pointer."""
    if not (isinstance(source, StructType) and isinstance(target, StructType)) or source == target:
        return 0
    down = base_offset(target, source)
    return base_offset(source, target) or -(down or 0)


def base_offset(kind: StructType, base: StructType, depth: int = 0) -> int | None:
    """Return where a base class lies in a class; None: it is none."""
    member: Member
    for member in kind.members if depth < 20 else ():
        inner = strip(member.type)
        if member.is_base and not member.is_virtual and isinstance(inner, StructType):
            if inner == base:
                return member.offset
            deeper = base_offset(inner, base, depth + 1)
            if deeper is not None:
                return member.offset + deeper
    return None


def real_literal(text: str, size: int) -> CValue:
    """Return a floating constant."""
    return raw(LITERALS[size], floats.encode(floats.parse(text), size))
