"""Values as gdb prints them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from itertools import pairwise

from rrdbg_core.frozen import Frozen

from rrdbg.session import ctypes_floats as floats
from rrdbg.session.ctypes_values import (
    M64,
    SYMBOLS,
    CValue,
    at,
    component,
    element_of,
    integer,
    is_character,
    is_signed,
    member_of,
    referenced,
    unreadable,
)
from rrdbg.session.errors import Unreadable, UsageError
from rrdbg.session.expression_evaluator import present_members
from rrdbg.session.printing_numbers import NameOf, address_text, number_text
from rrdbg.session.printing_strings import char_text, string_text, wide_text
from rrdbg.symbols.escape import harmless
from rrdbg.symbols.location import Contents, Gap, ImplicitPointer, Memory, evaluate
from rrdbg.symbols.types import (
    ArrayType,
    BaseType,
    Encoding,
    EnumType,
    FunctionType,
    Member,
    MemberPointerType,
    PointerType,
    QualifiedType,
    StructType,
    Type,
    TypedefType,
    UnknownType,
    VoidType,
    declare,
    strip,
    unqualified,
)

MAX_TEXT = 1 << 20
"""Characters of the longest text; what is longer ends in `...`."""
MAX_NESTING = 60
"""Levels of structures and arrays in each other that are shown."""
UNLIMITED = 1 << 30


class Options(Frozen):
    """What `set print` sets."""

    pretty: bool = False
    """Each member on a line of its own."""
    elements: int = 200
    """Elements of an array, or characters of a string, that are shown."""
    repeats: int = 10
    """Equal elements in a row that are counted instead."""
    null_stop: bool = False
    """Whether character arrays end at their first 0."""
    union: bool = True
    """Whether unions within structures are shown."""
    address: bool = True
    """Whether addresses of what pointers point to are shown."""
    symbol: bool = True
    """Whether pointers to data are named."""
    array: bool = False
    """Each element of an array on a line of its own."""
    array_indexes: bool = False
    """Whether elements have their index in front."""
    static_members: bool = True
    """Whether static data members are shown."""

    def changed(self, name: str, text: str) -> Options:
        """Return options with one of them set from what the user wrote.

        Raises:
            UsageError: There is no such option, or no such value.
        """
        key = self._key(name)
        old: bool | int = getattr(self, key)
        new: bool | int
        if isinstance(old, bool):
            if text not in ("", "on", "off", "1", "0", "yes", "no", "enable", "disable"):
                raise UsageError('"on" or "off" expected')
            new = text in ("", "on", "1", "yes", "enable")
        elif text in ("unlimited", "0"):
            new = UNLIMITED
        elif text.isdecimal():
            new = int(text)
        else:
            raise UsageError(f"a number or `unlimited` expected, not {text!r}")
        return replace(self, **{key: new})  # type: ignore[arg-type]

    def _key(self, name: str) -> str:
        """Return which option is meant by a name, or by the start of one. Raises UsageError."""
        names = [field.name for field in fields(self)]
        key = name.replace("-", "_")
        found = [key] if key in names else [known for known in names if key and known.startswith(key)]
        if len(found) != 1:
            known = ", ".join(name.replace("_", "-") for name in names)
            raise UsageError(f"there is no print setting {name!r}", hint=f"settings: {known}")
        return found[0]

    def text(self, name: str) -> str:
        """Return an option's value as the user writes it."""
        value: bool | int = getattr(self, self._key(name))
        if isinstance(value, bool):
            return "on" if value else "off"
        return "unlimited" if value == UNLIMITED else str(value)


class Printer:
    """Writes values.

    Args:
        options: What `set print` set.
        name_of: Returns an address by name.
        letter: Format letter, or empty.
        static_member: Returns a static data member of a class.
        read: Reads memory, as far as it can be read: what pointers to characters point to.
    """

    def __init__(
        self,
        options: Options,
        name_of: NameOf,
        letter: str = "",
        static_member: Callable[[StructType, str], CValue | None] = lambda kind, name: None,
        read: Callable[[int, int], bytes] = lambda address, length: b"",
    ) -> None:
        self._options = options
        self._name_of = name_of
        self._letter = "" if letter == "s" else letter
        self._static_member = static_member
        self._read = read
        self._budget = MAX_TEXT
        self._bases: list[Type] = []

    # the whole

    def top(self, value: CValue) -> str:
        """Return a value as `print` shows it: pointers with their type in front.

        Raises:
            Unreadable: It lies where no memory is.
        """
        self._budget, self._bases = MAX_TEXT, []
        bare = strip(value.type)
        missing = self._missing(value, bare)
        prefix = ""
        if isinstance(bare, PointerType) and (not self._letter or bare.kind != "*") and bare.size == 8:
            prefix = "" if _is_plain_string(value.type) else f"({declare(value.type)}) "
        if missing:
            return prefix + missing if isinstance(value.place, ImplicitPointer) else missing
        return prefix + self.text(value, 0, dereference=True)

    def inner(self, value: CValue) -> str:
        """Return a value as it is shown in lists of variables: what cannot be read is told in its place."""
        self._budget, self._bases = MAX_TEXT, []
        try:
            return self.text(value, 0, dereference=True)
        except Unreadable as error:
            return _error_text(error)

    # by type

    def text(self, value: CValue, depth: int, *, dereference: bool = False) -> str:
        """Return a value, `depth` levels down."""
        if depth > MAX_NESTING or self._budget <= 0:
            return "..."
        bare = strip(value.type)
        if isinstance(bare, StructType) and bare.incomplete and not bare.members:
            return "<incomplete type>"
        missing = self._missing(value, bare, part=depth > 0)
        if missing:
            return missing
        text = self._of(value, bare, depth, dereference)
        if not isinstance(bare, StructType | ArrayType):
            self._budget -= len(text)
        return text

    def _of(self, value: CValue, bare: Type, depth: int, dereference: bool) -> str:
        match bare:
            case StructType():
                return self._struct(value, bare, depth)
            case ArrayType():
                return self._array(value, bare, depth)
            case PointerType():
                if bare.kind != "*":
                    return self._reference(value, bare, depth, dereference)
                return self._formatted(value, bare) if self._letter else self._pointer(value, bare)
            case EnumType():
                return self._formatted(value, bare) if self._letter else self._enum(value, bare)
            case BaseType():
                return self._base(value, bare)
            case FunctionType():
                return self._function(value, bare)
            case MemberPointerType():
                return self._formatted(value, bare) if self._letter else self._member_pointer(value, bare)
            case VoidType():
                return "void"
            case UnknownType():
                return "<error type>"
        return "<unknown type>"

    def _missing(self, value: CValue, bare: Type, *, part: bool = False) -> str:
        """Return what stands for a value of which nothing is known, or a scalar of which a part is not.

        Args:
            value: The value.
            bare: Its type.
            part: Whether it is a part of something of which more is known: then its own parts tell.
        """
        if isinstance(bare, FunctionType | VoidType | UnknownType):
            return ""
        size = bare.size * 8 if value.bits is None else value.bits[1]
        lo = value.bits[0] if value.bits else 0
        if not size:
            return ""
        known = value.contents
        gaps = [gap for gap in known.gaps if gap.start < lo + size and lo < gap.end]
        if not gaps:
            return ""
        if isinstance(value.place, Memory) and not gaps[0].optimised:
            raise unreadable(value, gaps[0].start)
        scalar = not isinstance(bare, StructType | ArrayType)
        whole = gaps[0].start <= lo and gaps[-1].end >= lo + size and _joined(gaps)
        if not scalar and (part or not whole or len({gap.optimised for gap in gaps}) > 1 or gaps[0].pointer):
            return ""
        if any(gap.optimised and not gap.pointer for gap in gaps):
            return "<optimized out>"
        return "<synthetic pointer>" if any(gap.pointer for gap in gaps) else "<unavailable>"

    def _formatted(self, value: CValue, bare: Type) -> str:
        if self._letter in ("a", "c") and isinstance(bare, BaseType):
            if bare.encoding is Encoding.FLOAT:  # of floats the whole part; else the bits
                whole = floats.whole(value.contents.data)
                return number_text(whole & M64, 8, True, self._letter, self._name_of)
            if bare.encoding is Encoding.COMPLEX:
                raise UsageError("value can't be converted to integer")
        bits = integer(value) & ((1 << 8 * bare.size) - 1)
        return number_text(bits, bare.size, is_signed(bare), self._letter, self._name_of)

    def _base(self, value: CValue, bare: BaseType) -> str:
        if bare in SYMBOLS and not self._letter:
            return address_text(integer(value), self._name_of)
        if bare.encoding is Encoding.COMPLEX and bare.size in (8, 16, 32) and not self._letter:
            half = BaseType(bare.name, bare.size // 2, Encoding.FLOAT)
            real, imaginary = (self._base(component(value, half, at), half) for at in (0, bare.size // 2))
            return f"{real} + {imaginary}i"
        if self._letter:
            return self._formatted(value, bare)
        if bare.encoding is Encoding.FLOAT and bare.size in floats.SIZES:
            return floats.text(value.contents.data)
        number = integer(value)
        if bare.encoding is Encoding.BOOLEAN:
            return {0: "false", 1: "true"}.get(number, str(number))
        if is_character(bare):
            return f"{number} {char_text(number)}"
        if bare.encoding is Encoding.UTF or _named(value.type, "wchar_t"):
            letter = {"char16_t": "u", "char32_t": "U"}.get(bare.name, "U" if bare.encoding is Encoding.UTF else "L")
            return f"{number} {letter}{wide_text(number)}"
        return str(number)

    def _enum(self, value: CValue, bare: EnumType) -> str:
        number = integer(value)
        around = bare.name if bare.scoped else bare.name.rpartition("::")[0]
        prefix = f"{around}::" if around else ""
        for name, known in bare.enumerators:
            if known == number:
                return harmless(prefix + name)
        flags = [(prefix + name, bit) for name, bit in bare.enumerators if bit]
        if not flags or any(bit < 0 or bit & (bit - 1) for _, bit in flags):
            return str(number)
        if number == 0:
            return "0"
        names: list[str] = []
        for name, bit in flags:
            if number & bit:
                names.append(name)
                number &= ~bit
        if number:
            names.append(f"unknown: {number:#x}")
        return harmless(f"({' | '.join(names)})")

    def _function(self, value: CValue, bare: FunctionType) -> str:
        address = value.address or 0
        if self._letter in ("a", "c"):
            raise UsageError("value can't be converted to integer")
        data = self._read(address, 1)
        if not data:
            raise unreadable(value)
        if self._letter:
            return number_text(data[0], 1, True, self._letter, self._name_of)
        return f"{{{declare(bare)}}} {address_text(address, self._name_of)}"

    def _pointer(self, value: CValue, bare: PointerType) -> str:
        address = integer(value) & M64
        target = strip(bare.target)
        if isinstance(target, FunctionType):
            return self._address(address, code=True)
        text = self._address(address)
        if is_character(target) and address:
            if text:
                text += " "
            text += self._string_at(address)
        return text

    def _address(self, address: int, *, code: bool = False) -> str:
        name = self._name_of(address) if self._options.symbol or code else ""
        if not self._options.address:
            return f"<{name}>" if name else ""
        return f"{address:#x} <{name}>" if name else f"{address:#x}"

    def _string_at(self, address: int) -> str:
        limit = min(self._options.elements, 1 << 16)
        data = self._read(address, limit)
        end = data.find(b"\0")
        body = data if end < 0 else data[:end]
        if end < 0 and len(data) < limit:
            error = f"<error: Cannot access memory at address {(address + len(data)) & M64:#x}>"
            return f"{string_text(body, repeats=self._options.repeats)}{error}" if body else error
        more = end < 0 and self._read((address + limit) & M64, 1) != b"\0"
        return string_text(body, elements=self._options.elements, repeats=self._options.repeats, ellipsis=more)

    def _reference(self, value: CValue, bare: PointerType, depth: int, dereference: bool) -> str:
        address = integer(value) & M64
        text = f"@{address:#x}" if self._options.address else ""
        if not dereference:
            return text
        try:
            inner = self.text(referenced(value), depth)
        except Unreadable as error:
            inner = _error_text(error)
        return f"{text}: {inner}" if text else inner

    def _member_pointer(self, value: CValue, bare: MemberPointerType) -> str:
        # Itanium C++ ABI, 2.3: of data the offset, -1 for none; of methods the address, or 1 and the vtable's offset
        number = int.from_bytes(value.contents.data[:8], "little")
        if isinstance(strip(bare.target), FunctionType):
            return "NULL" if number == 0 else address_text(number, self._name_of)
        return "NULL" if number == M64 else str(number)

    # arrays

    def _array(self, value: CValue, bare: ArrayType, depth: int) -> str:
        element = strip(bare.element)
        if not bare.size:  # of unspecified length: like a pointer to the first element
            if value.address is None:
                return "{}"
            text = self._address(value.address)
            if is_character(element) and not self._letter:
                text += " " + self._string_at(value.address)
            return text
        known = value.contents
        if is_character(element) and not self._letter and not known.gaps:
            return self._characters(known.data)
        self._budget -= 2
        return f"{{{self._elements(value, bare, depth, known)}}}"

    def _characters(self, data: bytes) -> str:
        options, more = self._options, False
        if options.null_stop:
            end = data.find(b"\0", 0, options.elements)
            if end < 0:
                more = len(data) > options.elements and data[options.elements] != 0
                data = data[: options.elements]
            else:
                data = data[:end]
        elif data and data[-1] == 0:
            data = data[:-1]
        text = string_text(data, elements=options.elements, repeats=options.repeats, ellipsis=more)
        self._budget -= len(text)
        return text

    def _elements(self, value: CValue, bare: ArrayType, depth: int, known: Contents) -> str:
        options = self._options
        count, size = bare.count or 0, bare.element.size
        data, gaps = known.data, known.gaps
        separator = ",\n" + "  " * (depth + 1) if options.array else ", "
        pieces: list[str] = []
        at = shown = 0
        while at < count and shown < options.elements and self._budget > 0:
            piece = data[at * size : (at + 1) * size]
            reps = 1
            if not gaps:
                reps = _run(data, at, count, size, piece)
            else:
                first = known.part(at * size, size)
                while at + reps < count and known.part((at + reps) * size, size) == first:
                    reps += 1
            text = self.text(element_of(value, at), depth + 1)
            if options.array_indexes:
                text = f"[{at}] = {text}"
            if reps > options.repeats:
                text += f" <repeats {reps} times>"
                shown += options.repeats
                at += reps
            else:
                shown += 1
                at += 1
            pieces.append(text)
        body = separator.join(pieces) + ("..." if at < count else "")
        if options.array and pieces:
            return f"\n{'  ' * (depth + 1)}{body}\n{'  ' * depth}"
        return body

    # structures

    def _struct(self, value: CValue, bare: StructType, depth: int) -> str:
        options = self._options
        if bare.kind == "union" and depth and not options.union:
            return "{...}"
        members = [
            member
            for member in present_members(value)
            if (member.is_base or _is_shown(member)) and (options.static_members or not member.is_static)
        ]
        if not members:
            return "{<No data fields>}"
        indent = "\n" + "  " * (depth + 1)
        pieces: list[str] = []
        based = False
        for member in members:
            if member.is_base:
                if member.is_virtual:  # an object has a virtual base once, however often it is inherited
                    if member.type in self._bases:
                        continue
                    self._bases.append(member.type)
                based = True
                pieces.append(f"<{harmless(_name(member.type))}> = {self._member(value, member, depth)}")
                continue
            name = f"{harmless(member.name)} = " if member.name else ""
            static = "static " if member.is_static else ""
            lead = f"members of {harmless(bare.name)}:{indent}" if based and options.pretty else ""
            based = False
            pieces.append(f"{lead}{static}{name}{self._member(value, member, depth, bare)}")
            self._budget -= len(name) + 2
        if options.pretty:
            return "{" + indent + f",{indent}".join(pieces) + "\n" + "  " * depth + "}"
        return "{" + ", ".join(pieces) + "}"

    def _member(self, value: CValue, member: Member, depth: int, holder: StructType | None = None) -> str:
        if member.is_static:
            found = self._static_member(holder, member.name) if holder is not None else None
            if found is None:
                return "<optimized out>"
            if isinstance(strip(found.type), StructType) and depth:
                return "<same as static member of an already seen type>"
            return self.text(found, depth + 1)
        if member.is_virtual:
            base = virtual_base(value, member)
            return "<invalid address>" if base is None else self.text(base, depth + 1)
        if member.artificial and member.name.startswith("_vptr") and self._letter:
            return self._address(integer(member_of(value, member)) & M64, code=True)  # whatever the format
        return self.text(member_of(value, member), depth + 1)


def virtual_base(value: CValue, member: Member) -> CValue | None:
    """Return a virtual base class of an object, which its virtual table locates; None: it cannot be found."""
    if value.address is None or value.state is None:
        return None
    place = evaluate(member.expression, value.state, None, (value.address,))
    if not isinstance(place, Memory) or not value.state.read(place.address, 1):
        return None
    return at(member.type, place.address, value.state)


def _named(kind: Type, name: str) -> bool:
    """Return whether a type has a name, be it through typedefs."""
    while isinstance(kind, TypedefType | QualifiedType):
        if isinstance(kind, TypedefType) and kind.name == name:
            return True
        kind = kind.target
    return isinstance(kind, BaseType) and kind.name == name


def _run(data: bytes, at: int, count: int, size: int, piece: bytes) -> int:
    """Return how many equal elements stand in a row."""
    reps = 1
    block = piece * 64
    while at + reps + 64 <= count and data[(at + reps) * size : (at + reps + 64) * size] == block:
        reps += 64
    while at + reps < count and data[(at + reps) * size : (at + reps + 1) * size] == piece:
        reps += 1
    return reps


def _joined(gaps: list[Gap]) -> bool:
    return all(before.end >= after.start for before, after in pairwise(gaps))


def _is_shown(member: Member) -> bool:
    """Return whether a member is shown: bit fields without a name only fill up."""
    return bool(member.name) or isinstance(strip(member.type), StructType)


def _name(kind: Type) -> str:
    bare = strip(kind)
    return bare.name if isinstance(bare, StructType) else declare(kind)


def _is_plain_string(kind: Type) -> bool:
    """Return whether a pointer is a `char *`, whose text tells its type."""
    kind = unqualified(kind)
    if not isinstance(kind, PointerType) or kind.kind != "*":
        return False
    target = unqualified(kind.target)
    return isinstance(target, BaseType) and target.name == "char"


def _error_text(error: Unreadable) -> str:
    message = error.message
    return f"<error: {message[0].upper()}{message[1:]}>"
