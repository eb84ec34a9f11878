"""From entries to types."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.basetypes import canonical_name
from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, sleb, uleb
from rrdbg.symbols.dwarf.die import Die
from rrdbg.symbols.dwarf.names import STRUCTURES, holder, linkage_name, plain_name, qualified_name
from rrdbg.symbols.types import (
    VOID,
    ArrayType,
    BaseType,
    Encoding,
    EnumType,
    FunctionType,
    Member,
    MemberPointerType,
    Method,
    PointerType,
    StructBody,
    StructType,
    Type,
    TypedefType,
    UnknownType,
    Variant,
    VariantPart,
    qualified,
)

MAX_DEPTH = 60
"""Types within each other, structures left out: declarations that people write nest some ten deep."""
MAX_BASE_BYTES = 64
"""Bytes of a number."""

_ENCODINGS = {
    0x02: Encoding.BOOLEAN,
    0x03: Encoding.COMPLEX,
    0x04: Encoding.FLOAT,
    0x05: Encoding.SIGNED,
    0x06: Encoding.SIGNED_CHAR,
    0x07: Encoding.UNSIGNED,
    0x08: Encoding.UNSIGNED_CHAR,
    0x10: Encoding.UTF,
    0x11: Encoding.UTF,
    0x12: Encoding.UTF,
}
_QUALIFIERS = {
    D.TAG_CONST_TYPE: "const",
    D.TAG_IMMUTABLE_TYPE: "const",
    D.TAG_VOLATILE_TYPE: "volatile",
    D.TAG_RESTRICT_TYPE: "restrict",
    D.TAG_ATOMIC_TYPE: "_Atomic",
}
_POINTERS = {D.TAG_POINTER_TYPE: "*", D.TAG_REFERENCE_TYPE: "&", D.TAG_RVALUE_REFERENCE_TYPE: "&&"}
_KINDS = {D.TAG_UNION_TYPE: "union", D.TAG_CLASS_TYPE: "class"}
_ACCESS = {1: "public", 2: "protected", 3: "private"}
_UNTAGGED = ("c++", "rust", "d", "go", "zig")
"""Languages that write a structure's name without `struct`."""

_MASK = (1 << 64) - 1

Finder = Callable[[Die], Die | None]
"""Returns the definition of a declared structure or enumeration, from whatever unit has it."""


class Bound(Frozen):
    """Where the length of an array is found at run time."""

    die: Die
    """Entry of the dimension, DW_TAG_subrange_type."""
    attribute: int
    """DW_AT_count or DW_AT_upper_bound."""
    lower: int
    """First index."""


class TypeReader:
    """Reads types, each once."""

    def __init__(self, find_definition: Finder) -> None:
        self._find = find_definition
        self._types: dict[int, Type] = {}
        self._reading: set[int] = set()

    def type_of(self, die: Die) -> Type:
        """Return the type that an entry, or the one it completes, says it has; void when it says none."""
        try:
            owner = holder(die, D.AT_TYPE)
            target = owner.reference(D.AT_TYPE) if owner is not None else None
        except DwarfError as error:
            return UnknownType(str(error))
        return VOID if target is None else self.read(target)

    def read(self, die: Die) -> Type:
        """Return the type that an entry describes."""
        found = self._types.get(die.offset)
        if found is not None:
            return found
        if die.offset in self._reading or len(self._reading) > MAX_DEPTH:
            return UnknownType("it contains itself")
        self._reading.add(die.offset)
        try:
            kind = self._read(die)
        except DwarfError as error:
            kind = UnknownType(str(error))
        finally:
            self._reading.discard(die.offset)
        self._types[die.offset] = kind
        return kind

    def _read(self, die: Die) -> Type:
        tag = die.tag
        if tag in STRUCTURES:
            return self._structure(die)
        if tag in _POINTERS:
            size = die.number_of(D.AT_BYTE_SIZE, 8)
            # GCC calls the pointer of C's va_list __builtin_va_list, which nobody has to know
            name = "" if die.unit.language in ("c", "c++") else die.text(D.AT_NAME)
            return PointerType(self.type_of(die), _POINTERS[tag], size if 0 < size <= MAX_BASE_BYTES else 8, name)
        if tag == D.TAG_BASE_TYPE:
            return base_type(die)
        if tag == D.TAG_TYPEDEF:
            return TypedefType(qualified_name(die), self.type_of(die))
        if tag in _QUALIFIERS:
            return qualified(self.type_of(die), _QUALIFIERS[tag])
        if tag == D.TAG_ARRAY_TYPE:
            return self._array(die)
        if tag == D.TAG_ENUMERATION_TYPE:
            return self._enumeration(die)
        if tag in (D.TAG_SUBROUTINE_TYPE, D.TAG_SUBPROGRAM):
            return self.function(die)
        if tag == D.TAG_UNSPECIFIED_TYPE:
            name = die.text(D.AT_NAME)
            return BaseType(name, 8 if "nullptr" in name else 0, Encoding.OTHER) if name else VOID
        if tag == D.TAG_PTR_TO_MEMBER_TYPE:
            owner = die.reference(D.AT_CONTAINING_TYPE)
            return MemberPointerType(self.type_of(die), VOID if owner is None else self.read(owner))
        if tag == D.TAG_SUBRANGE_TYPE:
            return self.type_of(die)
        raise DwarfError("a type is of an unknown kind")

    # functions

    def function(self, die: Die, *, method: bool = False) -> FunctionType:
        """Return the type of a function; of a method without its object."""
        types: list[Type] = []
        names: list[str] = []
        variadic = False
        children = _declared(die)
        for child in children.children():
            if child.tag == D.TAG_FORMAL_PARAMETER:
                if method and not types and child.flag(D.AT_ARTIFICIAL):
                    continue
                types.append(self.type_of(child))
                names.append(_name_of(child))
            elif child.tag == D.TAG_UNSPECIFIED_PARAMETERS:
                variadic = True
        prototyped = die.unit.language not in ("c", "asm") or children.flag(D.AT_PROTOTYPED) or bool(types)
        # GCC describes `int f()` of old C as a function with any parameters
        variadic = variadic and (bool(types) or prototyped)
        return FunctionType(self.type_of(die), tuple(types), variadic, prototyped, tuple(names))

    # arrays

    def _array(self, die: Die) -> Type:
        kind = self.type_of(die)
        dimensions = [child for child in die.children() if child.tag in (D.TAG_SUBRANGE_TYPE, D.TAG_ENUMERATION_TYPE)]
        vector = die.flag(D.AT_GNU_VECTOR)
        if not dimensions:
            return ArrayType(kind, None, vector)
        for dimension in reversed(dimensions):
            count, bound = self._count(dimension)
            kind = ArrayType(kind, count, vector, bound)
        return kind

    def _count(self, die: Die) -> tuple[int | None, Bound | None]:
        if die.tag == D.TAG_ENUMERATION_TYPE:
            return sum(child.tag == D.TAG_ENUMERATOR for child in die.children()), None
        lower = die.integer(D.AT_LOWER_BOUND) or 0
        for attribute in (D.AT_COUNT, D.AT_UPPER_BOUND):
            if not die.has(attribute):
                continue
            value = die.integer(attribute)
            if value is None:
                return None, Bound(die, attribute, lower)
            if attribute == D.AT_UPPER_BOUND:
                if value in (0xFFFFFFFF, 0xFFFFFFFF_FFFFFFFF):
                    value = -1  # how GCC writes arrays without elements
                value += 1 - lower
            return max(value, 0), None
        return None, None

    # enumerations

    def _enumeration(self, die: Die) -> Type:
        if die.flag(D.AT_DECLARATION) or die.has(D.AT_SIGNATURE):
            definition = die.reference(D.AT_SIGNATURE) or self._find(die)
            if definition is not None and definition.offset != die.offset and definition.tag == D.TAG_ENUMERATION_TYPE:
                return self.read(definition)
        rows: list[tuple[str, int]] = []
        for child in die.children():
            if child.tag == D.TAG_ENUMERATOR:
                rows.append((child.text(D.AT_NAME), child.integer(D.AT_CONST_VALUE) or 0))
        underlying = self.type_of(die) if die.has(D.AT_TYPE) else None
        size = die.number_of(D.AT_BYTE_SIZE, underlying.size if underlying else 4)
        signed = any(value < 0 for _, value in rows)
        return EnumType(
            qualified_name(die),
            min(size, MAX_BASE_BYTES),
            signed,
            tuple(rows),
            die.unit.language not in _UNTAGGED,
            die.flag(D.AT_ENUM_CLASS) or die.unit.language == "rust",
            die.flag(D.AT_DECLARATION),
        )

    # structures

    def _structure(self, die: Die) -> StructType:
        if die.has(D.AT_SIGNATURE):
            target = die.reference(D.AT_SIGNATURE)
            if target is not None and target.offset != die.offset and target.tag in STRUCTURES:
                die = target
        return StructType(
            _KINDS.get(die.tag, "struct"),
            qualified_name(die),
            die.unit.language not in _UNTAGGED,
            None if die.has(D.AT_NAME) else die.offset,
            lambda: self._body(die),
        )

    def _body(self, die: Die) -> StructBody:
        try:
            if die.flag(D.AT_DECLARATION):
                found = self._find(die)
                if found is None:
                    return StructBody(incomplete=True)
                die = found
            return self._members(die)
        except DwarfError:
            return StructBody(incomplete=True)

    def _members(self, die: Die) -> StructBody:
        members: list[Member] = []
        methods: list[Method] = []
        part = None
        for child in die.children():
            try:
                if child.tag in (D.TAG_MEMBER, D.TAG_INHERITANCE, D.TAG_VARIABLE):
                    members.append(self.member(child))
                elif child.tag == D.TAG_SUBPROGRAM:
                    methods.append(self._method(child))
                elif child.tag == D.TAG_VARIANT_PART:
                    part = self._variant_part(child)
            except DwarfError as error:
                members.append(Member(_name_of(child), UnknownType(str(error)), 0))
        return StructBody(die.number_of(D.AT_BYTE_SIZE), False, tuple(members), tuple(methods), part)

    def member(self, die: Die) -> Member:
        """Return the member that an entry describes."""
        kind = self.type_of(die)
        name = die.text(D.AT_NAME)
        access = _access(die)
        base = die.tag == D.TAG_INHERITANCE
        static = die.tag == D.TAG_VARIABLE or (die.flag(D.AT_EXTERNAL) and die.flag(D.AT_DECLARATION))
        artificial = die.flag(D.AT_ARTIFICIAL)
        if static:
            return Member(name, kind, 0, is_static=True, artificial=artificial, access=access)
        offset, expression = _member_offset(die)
        bits = die.integer(D.AT_BIT_SIZE)
        first = _first_bit(die, offset, bits, kind) if bits is not None else None
        if first is None:
            bits = None
        else:
            offset = first // 8
        return Member(name, kind, offset, first, bits, base, False, bool(expression), artificial, access, expression)

    def _method(self, die: Die) -> Method:
        kind = self.function(die, method=True)
        first = next((child for child in die.children() if child.tag == D.TAG_FORMAL_PARAMETER), None)
        has_object = die.has(D.AT_OBJECT_POINTER) or (first is not None and first.flag(D.AT_ARTIFICIAL))
        return Method(
            die.text(D.AT_NAME),
            kind,
            linkage_name(die),
            not has_object,
            bool(die.integer(D.AT_VIRTUALITY)),
            die.flag(D.AT_ARTIFICIAL),
            _access(die),
        )

    def _variant_part(self, die: Die) -> VariantPart:
        tag = die.reference(D.AT_DISCR)
        variants: list[Variant] = []
        for child in die.children():
            if child.tag == D.TAG_VARIANT:
                members = tuple(self.member(entry) for entry in child.children() if entry.tag == D.TAG_MEMBER)
                variants.append(Variant(_discriminants(child), members))
        return VariantPart(self.member(tag) if tag is not None and tag.tag == D.TAG_MEMBER else None, tuple(variants))


def base_type(die: Die) -> BaseType:
    """Return the base type that an entry describes. Raises DwarfError."""
    size = die.number_of(D.AT_BYTE_SIZE)
    if not size and (bits := die.number_of(D.AT_BIT_SIZE)):
        size = (bits + 7) // 8
    if size > MAX_BASE_BYTES:
        raise DwarfError(f"a number has {size} bytes")
    name = die.text(D.AT_NAME)
    if die.unit.language in ("c", "c++"):
        name = canonical_name(name)
    return BaseType(name, size, _ENCODINGS.get(die.number_of(D.AT_ENCODING), Encoding.OTHER))


def _declared(die: Die) -> Die:
    """Return the entry of a function that has its parameters: its declaration's may have names only there."""
    if not any(child.tag == D.TAG_FORMAL_PARAMETER for child in die.children()):
        for name in (D.AT_ABSTRACT_ORIGIN, D.AT_SPECIFICATION):
            origin = die.reference(name)
            if origin is not None:
                return origin
    return die


def _name_of(die: Die) -> str:
    try:
        return plain_name(die)
    except DwarfError:
        return ""


def _access(die: Die) -> str:
    found = _ACCESS.get(die.number_of(D.AT_ACCESSIBILITY))
    if found:
        return found
    parent = die.parent
    return "private" if parent is not None and parent.tag == D.TAG_CLASS_TYPE else "public"


def _member_offset(die: Die) -> tuple[int, bytes]:
    """Return a member's offset, or the expression that calculates it."""
    expression = die.block(D.AT_DATA_MEMBER_LOCATION)
    if expression is None:
        return die.number_of(D.AT_DATA_MEMBER_LOCATION), b""
    if expression and expression[0] == 0x23:  # DW_OP_plus_uconst, as DWARF 2 has it
        offset, end = uleb(expression, 1)
        if end == len(expression):
            return offset, b""
    return 0, expression


def _first_bit(die: Die, offset: int, bits: int, kind: Type) -> int | None:
    """Return the first bit of a bit field, from the structure's start."""
    first = die.integer(D.AT_DATA_BIT_OFFSET)
    if first is not None:
        return offset * 8 + first
    old = die.integer(D.AT_BIT_OFFSET)  # counted from the most significant bit of what holds it
    if old is None:
        return offset * 8
    storage = die.number_of(D.AT_BYTE_SIZE, kind.size)
    return offset * 8 + storage * 8 - old - bits


def _discriminants(die: Die) -> tuple[tuple[int, int], ...]:
    value = die.integer(D.AT_DISCR_VALUE)
    if value is not None:
        return ((value & _MASK, value & _MASK),)
    listed = die.block(D.AT_DISCR_LIST)
    return tuple(_discriminant_list(listed)) if listed else ()


def _discriminant_list(data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(data):
        kind = data[at]
        lo, at = sleb(data, at + 1)
        hi = lo
        if kind:  # DW_DSC_range
            hi, at = sleb(data, at)
        yield lo & _MASK, hi & _MASK
