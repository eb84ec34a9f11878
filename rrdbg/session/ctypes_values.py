"""Values of C's types: what they are, where they lie, and their parts.

A value in memory is read when its bytes are first asked for; its parts are then looked up by address, so that an
element of a large array costs no more than one of a small one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rrdbg.session.errors import Unreadable, UsageError
from rrdbg.session.values import unreadable_text
from rrdbg.symbols.location import Contents, FrameState, ImplicitPointer, Location, Memory, contents, part
from rrdbg.symbols.types import (
    LONG,
    VOID,
    ArrayType,
    BaseType,
    Encoding,
    EnumType,
    FunctionType,
    Member,
    MemberPointerType,
    PointerType,
    QualifiedType,
    Type,
    UnknownType,
    VoidType,
    strip,
)
from rrdbg.symbols.unwind import Frame

MAX_VALUE = 1 << 24
"""Bytes of the largest value."""
M64 = (1 << 64) - 1

UNSIGNED_INT = BaseType("unsigned int", 4, Encoding.UNSIGNED)
FLOAT = BaseType("float", 4, Encoding.FLOAT)
DOUBLE = BaseType("double", 8, Encoding.FLOAT)
LONG_DOUBLE = BaseType("long double", 16, Encoding.FLOAT)
INT128 = BaseType("__int128", 16, Encoding.SIGNED)
UNSIGNED_INT128 = BaseType("unsigned __int128", 16, Encoding.UNSIGNED)
CODE_SYMBOL = BaseType("<text variable, no debug info>", 8, Encoding.UNSIGNED)
DATA_SYMBOL = BaseType("<data variable, no debug info>", 8, Encoding.UNSIGNED)
"""The types of symbols that no debug information describes: such a symbol is its address."""
REGISTER_POINTER = PointerType(QualifiedType(VOID, ()))
"""The type of registers that hold addresses of data: a `void *` that may be dereferenced."""
CODE_POINTER = PointerType(FunctionType(VOID, prototyped=False))
"""The type of registers that hold addresses of code."""
SYMBOLS = (CODE_SYMBOL, DATA_SYMBOL)
LITERALS = {4: FLOAT, 8: DOUBLE, 16: LONG_DOUBLE}


@dataclass(slots=True, eq=False)
class CValue:
    """A value with its C type."""

    type: Type
    """Its type."""
    place: Location | None = None
    """Where it lies; None: nowhere, it was computed."""
    state: FrameState | None = None
    """The frame whose registers and memory hold it."""
    bits: tuple[int, int] | None = None
    """For bit fields: first bit and number of bits, from the start of `place`."""
    known: Contents | None = None
    """Its contents, once they are read; of a bit field: of the bytes around it."""
    dynamic: bool = field(default=False, repr=False)
    """Whether its type has been made concrete."""

    @property
    def address(self) -> int | None:
        """Where it lies in memory, if it does."""
        return self.place.address if isinstance(self.place, Memory) and self.bits is None else None

    @property
    def contents(self) -> Contents:
        """What it holds."""
        if self.known is None:
            size = self.type.size if self.bits is None else (sum(self.bits) + 7) // 8
            if size > MAX_VALUE:
                raise UsageError(f"a value of {size:_} bytes is too large", hint=f"at most {MAX_VALUE:_}")
            if self.place is None or self.state is None:
                self.known = Contents(bytes(size))
            else:
                self.known = contents(self.place, size, self.state)
        return self.known


def number(kind: Type, value: int) -> CValue:
    """Return an integer of a type, as the type holds it."""
    size = kind.size
    return CValue(kind, known=Contents((value & (1 << 8 * size) - 1).to_bytes(size, "little")))


def raw(kind: Type, data: bytes) -> CValue:
    """Return a value from its bytes."""
    return CValue(kind, known=Contents(data))


# what types are


def is_signed(kind: Type) -> bool:
    """Return whether a type's numbers are signed; bare types (behind typedefs)."""
    if isinstance(kind, BaseType):
        return kind.encoding in (Encoding.SIGNED, Encoding.SIGNED_CHAR)
    return isinstance(kind, EnumType) and kind.signed


def is_integral(kind: Type) -> bool:
    """Return whether a bare type is an integer in C: numbers, characters, truth values, enumerations."""
    return isinstance(kind, EnumType) or (
        isinstance(kind, BaseType) and kind.encoding not in (Encoding.FLOAT, Encoding.COMPLEX)
    )


def is_float(kind: Type) -> bool:
    """Return whether a bare type is a floating type."""
    return isinstance(kind, BaseType) and kind.encoding is Encoding.FLOAT


def is_reference(kind: Type) -> bool:
    """Return whether a bare type is a C++ reference."""
    return isinstance(kind, PointerType) and kind.kind != "*"


def is_pointer(kind: Type) -> bool:
    """Return whether a bare type is a pointer."""
    return isinstance(kind, PointerType) and kind.kind == "*"


def is_scalar(kind: Type) -> bool:
    """Return whether a bare type has one number for its value."""
    return isinstance(kind, BaseType | PointerType | EnumType | MemberPointerType)


def is_character(kind: Type) -> bool:
    """Return whether a bare type is shown as a character too: in C any integer of one byte."""
    return (
        isinstance(kind, BaseType)
        and kind.size == 1
        and kind.encoding
        in (Encoding.SIGNED_CHAR, Encoding.UNSIGNED_CHAR, Encoding.SIGNED, Encoding.UNSIGNED, Encoding.UTF)
    )


# what values hold


def _check(value: CValue, lo: int, hi: int) -> None:
    gap = value.contents.gap(lo, hi)
    if gap is None:
        return
    if gap.optimised:
        raise Unreadable("value has been optimized out", hint=gap.reason)
    raise unreadable(value, gap.start)


def unreadable(value: CValue, bit: int = 0) -> Unreadable:
    """Return the error about a bit of a value that cannot be read."""
    if isinstance(value.place, Memory):
        address = (value.place.address + bit // 8) & M64
        mapped = not isinstance(value.state, Frame) or value.state.is_mapped(address)
        return Unreadable(unreadable_text(address, mapped))
    gap = value.contents.gap(bit, bit + 1)
    return Unreadable("value is not available", hint=gap.reason if gap else None)


def checked(value: CValue) -> CValue:
    """Return the value, all of which is known. Raises Unreadable."""
    if value.bits is not None:
        _check(value, value.bits[0], sum(value.bits))
    else:
        _check(value, 0, value.type.size * 8)
    return value


def integer(value: CValue) -> int:
    """Return the number that a scalar holds: of pointers the address, of floats the bits.

    Raises:
        Unreadable: It is not known.
    """
    bare = strip(value.type)
    checked(value)
    data = int.from_bytes(value.contents.data, "little")
    bits = bare.size * 8
    if value.bits is not None:
        data, bits = data >> value.bits[0], value.bits[1]
    data &= (1 << bits) - 1
    return data - (1 << bits) if bits and is_signed(bare) and data >> (bits - 1) else data


def data_of(value: CValue) -> bytes:
    """Return the bytes of a value. Raises Unreadable."""
    if value.bits is not None:
        return (integer(value) & (1 << 8 * value.type.size) - 1).to_bytes(value.type.size, "little")
    return checked(value).contents.data


def address_of(value: CValue) -> int:
    """Return the number that stands for a value where an address is wanted: arrays and functions have their place.

    Raises:
        UsageError: It has none.
        Unreadable: It is not known.
    """
    bare = strip(value.type)
    if isinstance(bare, ArrayType | FunctionType):
        if value.address is None:
            raise UsageError("attempt to take address of value not located in memory")
        return value.address
    if is_float(bare):
        raise UsageError(f"a value of type {bare.name!r} is no address")  # type: ignore[union-attr]
    if not is_scalar(bare):
        raise UsageError("value can't be converted to integer")
    return integer(referenced(value)) & M64 if is_reference(bare) else integer(value) & M64


# parts


def component(value: CValue, kind: Type, offset: int) -> CValue:
    """Return what lies in a value at an offset in bytes."""
    if value.place is not None and value.known is None:
        return CValue(kind, part(value.place, offset, kind.size), value.state)
    place = part(value.place, offset, kind.size) if value.place is not None else None
    known = value.contents.part(offset, kind.size)
    if len(known.data) < kind.size:  # a flexible array member, or a union read as something longer
        return CValue(kind, place, value.state) if place is not None else raw(kind, known.data.ljust(kind.size, b"\0"))
    return CValue(kind, place, value.state, known=known)


def member_of(value: CValue, member: Member) -> CValue:
    """Return a member of a structure."""
    if member.bit_size is None:
        return component(value, member.type, member.offset)
    size = member.bit_size
    first = member.bit_offset if member.bit_offset is not None else member.offset * 8
    start, skip = first // 8, first % 8
    length = (skip + size + 7) // 8
    place = part(value.place, start, length) if value.place is not None else None
    known = None if value.known is None and place is not None else value.contents.part(start, length)
    return CValue(member.type, place, value.state, (skip, size), known)


def element_of(value: CValue, index: int) -> CValue:
    """Return an element of an array."""
    bare = strip(value.type)
    assert isinstance(bare, ArrayType)
    size = bare.element.size
    offset = index * size
    inside = value.known is not None and offset >= 0 and offset + size <= len(value.known.data)
    if not inside and value.place is None:
        raise UsageError("no such vector element")
    if not inside and isinstance(value.place, Memory):
        return CValue(bare.element, Memory((value.place.address + offset) & M64), value.state)
    if offset < 0:
        raise UsageError("no such vector element")
    return component(value, bare.element, offset)


def at(kind: Type, address: int, state: FrameState | None) -> CValue:
    """Return what lies in memory."""
    return CValue(kind, Memory(address & M64), state)


def dereferenced(value: CValue, state: FrameState | None) -> CValue:
    """Return what a pointer points to; of numbers, as in gdb, the 8 bytes at that address.

    Raises:
        UsageError: It is no pointer, or one to nothing in particular.
    """
    bare = strip(value.type)
    if isinstance(bare, FunctionType):
        return value
    if isinstance(bare, ArrayType):
        return element_of(value, 0)
    if isinstance(bare, PointerType):
        if isinstance(strip(bare.target), VoidType):
            raise UsageError("attempt to dereference a generic pointer", hint="cast it: *(u64*)pointer")
        if isinstance(strip(bare.target), UnknownType):
            raise UsageError("the type that it points to is not known", hint="cast it: *(u64*)pointer")
        if isinstance(value.place, ImplicitPointer):
            return CValue(bare.target, part(value.place.target, 0, bare.target.size), value.state)
        return at(bare.target, integer(value), state)
    if isinstance(bare, BaseType | EnumType) and is_integral(bare):
        return at(LONG, integer(value), state)
    raise UsageError("attempt to take contents of a non-pointer value")


def referenced(value: CValue) -> CValue:
    """Return what a C++ reference refers to; other values are what they are."""
    bare = strip(value.type)
    if isinstance(bare, PointerType) and bare.kind != "*":
        return at(bare.target, integer(value), value.state)
    return value


def decayed(value: CValue) -> CValue:
    """Return a value as C's operators see it: arrays and functions are pointers, references what they refer to."""
    value = referenced(value)
    bare = strip(value.type)
    if isinstance(bare, ArrayType):
        return number(PointerType(bare.element), address_of(value))
    if isinstance(bare, FunctionType):
        return number(PointerType(value.type), address_of(value))
    return value
