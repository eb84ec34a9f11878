"""The guest program's types, and how C writes them.

Types are plain values. What may refer to itself, a structure's members, is read when first asked for.
Sizes are in bytes, offsets of bit fields in bits from the start of the structure, as little-endian machines count.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import field
from enum import StrEnum
from functools import cached_property
from typing import Any

from rrdbg_core.frozen import Frozen


class Encoding(StrEnum):
    """What the bits of a base type mean."""

    SIGNED = "signed"
    """Two's complement."""
    UNSIGNED = "unsigned"
    """Unsigned integer."""
    SIGNED_CHAR = "signed_char"
    """Signed, shown as a character too."""
    UNSIGNED_CHAR = "unsigned_char"
    """Unsigned, shown as a character too."""
    UTF = "utf"
    """A Unicode code unit: char16_t, char32_t, Rust's char."""
    BOOLEAN = "boolean"
    """Zero is false."""
    FLOAT = "float"
    """IEEE 754."""
    COMPLEX = "complex"
    """Two IEEE 754 numbers."""
    OTHER = "other"
    """Anything else: decltype(nullptr), fixed point, decimal."""


class VoidType(Frozen):
    """`void`; also the result of what returns nothing."""

    @property
    def size(self) -> int:
        """1, as gdb and GCC have it for pointer arithmetic."""
        return 1


class UnknownType(Frozen):
    """A type that the debug information names but does not describe, or that is damaged there."""

    reason: str
    """Why, in half a sentence."""

    @property
    def size(self) -> int:
        """0: nobody knows."""
        return 0


class BaseType(Frozen):
    """A number, a character or a truth value."""

    name: str
    """As the compiler calls it: `long unsigned int`."""
    size: int
    """Bytes."""
    encoding: Encoding
    """What its bits mean."""


class PointerType(Frozen):
    """A pointer or a C++ reference."""

    target: Type
    """What it points to."""
    kind: str = "*"
    """"*", "&" or "&&"."""
    size: int = 8
    """Bytes."""
    name: str = ""
    """Its own name, in languages that name pointers (Rust: `&str` is a structure, `*const u8` a pointer)."""


class MemberPointerType(Frozen):
    """A C++ pointer to a member."""

    target: Type
    """Type of the member."""
    container: Type
    """The class."""

    @property
    def size(self) -> int:
        """16 for methods, else 8, as in the Itanium C++ ABI."""
        return 16 if isinstance(strip(self.target), FunctionType) else 8


class ArrayType(Frozen):
    """An array; several dimensions are arrays of arrays."""

    element: Type
    """Type of an element."""
    count: int | None
    """How many; None: a flexible array member, or known only at run time (`DebugInfo.concrete` tells)."""
    vector: bool = False
    """Whether it is a SIMD vector."""
    bound: Any = field(default=None, compare=False, repr=False)
    """Where the number is found at run time; opaque."""

    @property
    def size(self) -> int:
        """Bytes; 0 when the number of elements is unknown."""
        return self.element.size * (self.count or 0)


class Member(Frozen):
    """A member or base class of a structure."""

    name: str
    """Empty for anonymous structures and unions, and for base classes."""
    type: Type
    """Its type."""
    offset: int
    """Byte in which it starts, from the start of the structure."""
    bit_offset: int | None = None
    """For bit fields: first bit, counted from the structure's start, least significant bit of the first byte first."""
    bit_size: int | None = None
    """For bit fields: how many bits."""
    is_base: bool = False
    """Whether it is a base class."""
    is_static: bool = False
    """Whether it is a static data member, which lies elsewhere: `DebugInfo.global_variable("Class::name")`."""
    is_virtual: bool = False
    """Whether it is a virtual base class: `expression` says where it lies."""
    artificial: bool = False
    """Whether the compiler made it: `_vptr.Base`."""
    access: str = "public"
    """"public", "protected" or "private"."""
    expression: bytes = field(default=b"", repr=False)
    """DWARF expression that takes the object's address to the member's, for virtual base classes."""


class Method(Frozen):
    """A member function."""

    name: str
    """Its name within the class."""
    type: FunctionType
    """Parameters without the object itself."""
    linkage_name: str = ""
    """Its mangled name."""
    is_static: bool = False
    """Whether it is called without an object."""
    is_virtual: bool = False
    """Whether it is virtual."""
    artificial: bool = False
    """Whether the compiler made it."""
    access: str = "public"
    """"public", "protected" or "private"."""
    qualifiers: tuple[str, ...] = ()
    """Those of the object that it is called with: "const", "volatile"."""


class Variant(Frozen):
    """One shape of a tagged union (a Rust enum)."""

    values: tuple[tuple[int, int], ...]
    """Ranges of the discriminant, first and last, that choose it; empty: whatever no other variant takes."""
    members: tuple[Member, ...]
    """What the structure then holds."""


class VariantPart(Frozen):
    """The alternatives of a tagged union (a Rust enum)."""

    discriminant: Member | None
    """The tag; None: there is one variant only."""
    variants: tuple[Variant, ...]
    """The shapes it can have."""

    def chosen(self, tag: int) -> Variant | None:
        """Return the variant that a discriminant's value, as its unsigned bits, chooses."""
        default = None
        for variant in self.variants:
            if any(lo <= tag <= hi for lo, hi in variant.values):
                return variant
            if not variant.values:
                default = variant
        return default


class StructType(Frozen):
    """A structure, union or class. What it holds is read when first asked for, from the unit that defines it."""

    kind: str
    """"struct", "union" or "class"."""
    name: str
    """Its tag, qualified by namespaces (`ns::Outer<int>`); empty when it has none."""
    tagged: bool = True
    """Whether the language writes `struct` in front of its name, as C does."""
    key: Hashable = None
    """Which one it is, for those without a name."""
    load: Callable[[], StructBody] | None = field(default=None, compare=False, repr=False)
    """Reads what it holds; opaque."""

    @cached_property
    def body(self) -> StructBody:
        """All it holds."""
        return self.load() if self.load else StructBody()

    @property
    def size(self) -> int:
        """Bytes; 0 when it is incomplete."""
        return self.body.size

    @property
    def incomplete(self) -> bool:
        """Whether no unit defines it."""
        return self.body.incomplete

    @property
    def members(self) -> tuple[Member, ...]:
        """Base classes and data members in their order."""
        return self.body.members

    @property
    def methods(self) -> tuple[Method, ...]:
        """Member functions in their order."""
        return self.body.methods

    @property
    def variant_part(self) -> VariantPart | None:
        """The alternatives of a tagged union (a Rust enum), which come beside its members."""
        return self.body.variant_part


class StructBody(Frozen):
    """What a structure holds."""

    size: int = 0
    """Bytes."""
    incomplete: bool = False
    """Whether no unit defines it."""
    members: tuple[Member, ...] = ()
    """Base classes and data members in their order."""
    methods: tuple[Method, ...] = ()
    """Member functions in their order."""
    variant_part: VariantPart | None = None
    """The alternatives of a tagged union."""


class EnumType(Frozen):
    """An enumeration."""

    name: str
    """Its tag, qualified by namespaces; empty when it has none."""
    size: int
    """Bytes."""
    signed: bool
    """Whether its values are signed."""
    enumerators: tuple[tuple[str, int], ...]
    """Names and values in their order."""
    tagged: bool = True
    """Whether the language writes `enum` in front of its name, as C does."""
    scoped: bool = False
    """Whether its enumerators are written with its name: C++'s `enum class`, Rust."""
    incomplete: bool = False
    """Whether no unit defines it."""
    underlying: str = ""
    """Name of the type that holds its values, in languages that can say it: C++."""


class TypedefType(Frozen):
    """Another name of a type."""

    name: str
    """The name, qualified by namespaces."""
    target: Type
    """The type it stands for."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.target.size


class QualifiedType(Frozen):
    """A type with qualifiers. Qualified arrays are arrays of qualified elements."""

    target: Type
    """The type without them."""
    qualifiers: tuple[str, ...]
    """Of "const", "volatile", "restrict", "_Atomic", in this order."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.target.size


class FunctionType(Frozen):
    """A function."""

    result: Type
    """What it returns."""
    parameters: tuple[Type, ...] = ()
    """Types of its parameters; a method's object comes first."""
    variadic: bool = False
    """Whether `...` follows."""
    prototyped: bool = True
    """Whether the parameters are known: `int f()` in old C is not."""
    names: tuple[str, ...] = field(default=(), compare=False)
    """Names of the parameters, where they are known."""

    @property
    def size(self) -> int:
        """1, as gdb and GCC have it."""
        return 1


Type = (
    VoidType
    | UnknownType
    | BaseType
    | PointerType
    | MemberPointerType
    | ArrayType
    | StructType
    | EnumType
    | TypedefType
    | QualifiedType
    | FunctionType
)

VOID = VoidType()
CHAR = BaseType("char", 1, Encoding.UNSIGNED_CHAR)
INT = BaseType("int", 4, Encoding.SIGNED)
LONG = BaseType("long", 8, Encoding.SIGNED)
UNSIGNED_LONG = BaseType("unsigned long", 8, Encoding.UNSIGNED)
"""The types of constants and registers, where no image says how it calls them."""

QUALIFIERS = ("const", "volatile", "restrict", "_Atomic")


def strip(kind: Type) -> Type:
    """Return the type behind typedefs and qualifiers."""
    while isinstance(kind, TypedefType | QualifiedType):
        kind = kind.target
    return kind


def unqualified(kind: Type) -> Type:
    """Return the type without its own qualifiers; typedefs stay."""
    while isinstance(kind, QualifiedType):
        kind = kind.target
    return kind


def resolved(kind: Type) -> Type:
    """Return the type behind typedefs, with the qualifiers that it and they have."""
    found: list[str] = []
    while isinstance(kind, TypedefType | QualifiedType):
        if isinstance(kind, QualifiedType):
            found += kind.qualifiers
        kind = kind.target
    return qualified(kind, *found) if found else kind


def qualified(kind: Type, *qualifiers: str) -> Type:
    """Return a type with more qualifiers; of an array they are its elements'."""
    if isinstance(kind, ArrayType):
        return ArrayType(qualified(kind.element, *qualifiers), kind.count, kind.vector, kind.bound)
    have = set(qualifiers)
    if isinstance(kind, QualifiedType):
        have.update(kind.qualifiers)
        kind = kind.target
    return QualifiedType(kind, tuple(name for name in QUALIFIERS if name in have))


def declare(kind: Type, name: str = "") -> str:
    """Write a C declaration as gdb does.

    Example:
        >>> declare(PointerType(FunctionType(INT, (CHAR,))), "handler")
        'int (*handler)(char)'
    """
    return _declare(kind, name, 0)


_DEPTH = 100
"""Types nest this deep at most; malformed debug information has no end."""


def _declare(kind: Type, inner: str, depth: int) -> str:
    if depth > _DEPTH:
        return _before("...", inner)
    if isinstance(kind, QualifiedType) and isinstance(kind.target, PointerType) and not kind.target.name:
        pointer, words = kind.target, " ".join(kind.qualifiers)
        space = " " if (inner and inner[0] not in "[(&") or _is_of_array(inner) else ""
        return _point(pointer.target, f"{pointer.kind} {words}{space}{inner}", depth)
    if isinstance(kind, PointerType) and not kind.name:
        return _point(kind.target, f"{kind.kind}{inner}", depth)
    if isinstance(kind, MemberPointerType):
        return _point(kind.target, f"{_name(kind.container, depth)}::*{inner}", depth)
    if isinstance(kind, ArrayType) and not kind.vector:
        count = "" if kind.count is None else kind.count
        return _declare(kind.element, f"{inner}[{count}]", depth + 1)
    if isinstance(kind, FunctionType):
        return _declare(kind.result, f"{inner}({_parameters(kind, depth)})", depth + 1)
    return _before(_name(kind, depth), inner)


def _is_of_array(inner: str) -> bool:
    """Return whether a declarator is a pointer's to an array, `(*name)[8]`, and not one's to a function."""
    depth = 0
    for at, char in enumerate(inner):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return at > 0 and inner[at + 1 : at + 2] == "["
    return False


def _point(target: Type, inner: str, depth: int) -> str:
    wrapped = isinstance(target, FunctionType) or (isinstance(target, ArrayType) and not target.vector)
    return _declare(target, f"({inner})" if wrapped else inner, depth + 1)


def _before(name: str, inner: str) -> str:
    return f"{name} {inner}" if inner else name


def _parameters(kind: FunctionType, depth: int) -> str:
    texts = [_declare(parameter, "", depth + 1) for parameter in kind.parameters]
    if kind.variadic:
        texts.append("...")
    if not texts:
        return "void" if kind.prototyped else ""
    return ", ".join(texts)


def _name(kind: Type, depth: int) -> str:
    if isinstance(kind, QualifiedType):
        return " ".join([*kind.qualifiers, _declare(kind.target, "", depth + 1)])
    if isinstance(kind, StructType | EnumType):
        tag = "enum" if isinstance(kind, EnumType) else kind.kind
        if not kind.name:
            return f"{tag} {{...}}"
        return f"{tag} {kind.name}" if kind.tagged else kind.name
    if isinstance(kind, ArrayType):
        return f"{_declare(kind.element, '', depth + 1)} __attribute__ ((vector_size({kind.count or 0})))"
    if isinstance(kind, VoidType):
        return "void"
    if isinstance(kind, BaseType | TypedefType | PointerType):
        return kind.name
    return "<unknown type>"
