"""What an expression means in a scene: a frame of the guest, its program's names, and the user's own variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from rrdbg.session import expression_nodes as nodes
from rrdbg.session.ctypes_arithmetic import (
    COMPARISONS,
    binary,
    cast,
    literal,
    real_literal,
    truth,
    unary,
)
from rrdbg.session.ctypes_values import (
    REGISTER_POINTER,
    SYMBOLS,
    CValue,
    address_of,
    at,
    decayed,
    dereferenced,
    element_of,
    integer,
    is_integral,
    is_pointer,
    is_reference,
    member_of,
    number,
    raw,
    referenced,
)
from rrdbg.session.errors import DivisionByZero, NotFound, Unreadable, UsageError
from rrdbg.symbols.location import Contents, FrameState, ImplicitPointer, Memory, Register
from rrdbg.symbols.types import (
    CHAR,
    INT,
    LONG,
    ArrayType,
    FunctionType,
    PointerType,
    StructType,
    Type,
    VoidType,
    declare,
    qualified,
    strip,
)
from rrdbg.symbols.types import Member as MemberInfo

MAX_ELEMENTS = 1 << 24
"""Elements of the largest array that `@` makes."""
_READ_ONLY = "nothing in a recording can be changed; `set $name = ...` keeps values of your own"


class Scene(Protocol):
    """Where an expression finds what it names."""

    @property
    def state(self) -> FrameState:
        """The frame: its registers, its memory, where it stands."""

    @property
    def truth_type(self) -> Type:
        """What comparisons yield: int, in C++ bool."""

    def is_type(self, name: str) -> bool:
        """Return whether a name is a type's and no variable's."""

    def type_named(self, name: str) -> Type | None:
        """Return a type by its name, without declarator."""

    def named(self, name: str) -> CValue:
        """Return a variable, function, enumerator or symbol. Raises NotFound."""

    def qualified(self, scope: str, name: str) -> CValue:
        """Return a variable of a function or file. Raises NotFound."""

    def static_member(self, kind: StructType, name: str) -> CValue | None:
        """Return a static data member of a class."""

    def dollar(self, name: str) -> CValue:
        """Return a register, a value shown before, or a variable of the user's. Raises NotFound, UsageError."""

    def assign(self, name: str, value: CValue) -> None:
        """Set a variable of the user's. Raises UsageError."""


def evaluate(tree: nodes.Tree, scene: Scene) -> CValue:
    """Return the value of an expression.

    Raises:
        UsageError: C or gdb has no such operation.
        NotFound: A name that nothing has.
        Unreadable: Memory that cannot be read, a value that the compiler did not keep.
    """
    return Evaluator(scene).value(tree)


def type_of(tree: nodes.Tree, scene: Scene) -> Type:
    """Return the type of an expression, or the type that it names; nothing is changed."""
    if isinstance(tree, nodes.TypeName):
        return resolve_type(tree, scene)
    if isinstance(tree, nodes.Name) and scene.is_type(tree.name):
        return resolve_type(nodes.TypeName(tree.name), scene)
    if isinstance(tree, nodes.Qualified) and scene.is_type(f"{tree.scope}::{tree.name}"):
        return resolve_type(nodes.TypeName(f"{tree.scope}::{tree.name}"), scene)
    try:
        return Evaluator(scene, dry=True).value(tree).type
    except Unreadable:
        return Evaluator(_Ones(scene), dry=True).value(tree).type


def resolve_type(name: nodes.TypeName, scene: Scene) -> Type:
    """Return the type that a type's name means. Raises NotFound, UsageError."""
    kind = scene.type_named(name.base)
    if kind is None:
        words = name.base.split()
        if words[0] in ("struct", "union", "enum", "class"):
            raise NotFound(f"no {words[0]} type named {words[-1]}", hint="`info types` lists what there is")
        raise NotFound(f"no symbol {name.base!r} in current context", hint="`info types` lists the types")
    if name.qualifiers:
        kind = qualified(kind, *name.qualifiers)
    for step in name.derived:
        kind = _derive(kind, step, scene)
    return kind


def _derive(kind: Type, step: nodes.Derived, scene: Scene) -> Type:
    match step.kind:
        case "*" | "&" | "&&":
            if is_reference(strip(kind)):
                raise UsageError("there are no pointers to references")
            return PointerType(kind, step.kind)
        case "[":
            if isinstance(strip(kind), FunctionType):
                raise UsageError("there are no arrays of functions")
            if (step.count or 0) > MAX_ELEMENTS:
                raise UsageError(f"an array of {step.count:_} elements is too large", hint=f"at most {MAX_ELEMENTS:_}")
            return ArrayType(kind, step.count)
        case "(":
            if isinstance(strip(kind), FunctionType | ArrayType):
                raise UsageError(f"a function cannot return {declare(kind)}")
            return FunctionType(kind, tuple(resolve_type(part, scene) for part in step.parameters), step.variadic)
    return qualified(kind, step.kind)


class Evaluator:
    """Walks a tree."""

    def __init__(self, scene: Scene, *, dry: bool = False) -> None:
        self.scene = scene
        self.dry = dry

    def value(self, tree: nodes.Tree) -> CValue:
        """Return the value of a tree."""
        return _READERS[type(tree)](self, tree)

    # leaves

    def _number(self, tree: nodes.Number) -> CValue:
        return number(literal(tree), tree.value)

    def _real(self, tree: nodes.Real) -> CValue:
        return real_literal(tree.text, tree.size)

    def _character(self, tree: nodes.Character) -> CValue:
        return number(self.scene.type_named("char") or CHAR, tree.code)

    def _string(self, tree: nodes.String) -> CValue:
        kind = self.scene.type_named("char") or CHAR
        return raw(ArrayType(kind, len(tree.data) + 1), tree.data + b"\0")

    def _name(self, tree: nodes.Name) -> CValue:
        if self.scene.is_type(tree.name):
            raise _is_a_type(tree.name)
        return self.scene.named(tree.name)

    def _qualified(self, tree: nodes.Qualified) -> CValue:
        return self.scene.qualified(tree.scope, tree.name)

    def _dollar(self, tree: nodes.Dollar) -> CValue:
        return self.scene.dollar(tree.name)

    def _type(self, tree: nodes.TypeName) -> CValue:
        raise _is_a_type(declare(resolve_type(tree, self.scene)))

    # operators

    def _unary(self, tree: nodes.Unary) -> CValue:
        if tree.operator == "&":
            inner = tree.operand
            if isinstance(inner, nodes.Unary) and inner.operator == "*":
                pointer = self.value(inner.operand)
                if isinstance(pointer.place, ImplicitPointer):
                    return pointer
            return self._address(self.value(inner))
        value = self.value(tree.operand)
        if tree.operator == "*":
            return self._behind(value)
        found = unary(tree.operator, value)
        return self._truth(found) if tree.operator == "!" else found

    def _truth(self, value: CValue) -> CValue:
        """Return a truth value, which operators yield as an int, as the language at hand has it."""
        kind = self.scene.truth_type
        return value if kind == INT else number(kind, integer(value))

    def _behind(self, value: CValue) -> CValue:
        if value.type == REGISTER_POINTER:  # as for any number: *$sp is the word there
            return at(LONG, integer(value), self.scene.state)
        bare = strip(value.type)
        if self.dry and isinstance(bare, PointerType) and isinstance(strip(bare.target), VoidType):
            found = at(bare.target, 0, self.scene.state)  # it has a type and a place, if no value
            found.known = Contents(bytes(1))
            return found
        return dereferenced(referenced(value), self.scene.state)

    def _address(self, value: CValue) -> CValue:
        bare = strip(value.type)
        if bare in SYMBOLS:
            return value
        if isinstance(bare, PointerType) and bare.kind != "*":
            return number(PointerType(bare.target), integer(value))
        if value.bits is not None:
            raise UsageError("a bit field has no address")
        if self.dry and value.place is not None:
            return number(PointerType(value.type), value.address or 0)
        if value.address is None:
            if isinstance(value.place, Register):
                name = f"x{value.place.number}" if value.place.number < 32 else f"f{value.place.number - 32}"
                raise UsageError(f"what is in register ${name} has no address")
            raise UsageError("attempt to take address of value not located in memory")
        return number(PointerType(value.type), value.address)

    def _binary(self, tree: nodes.Binary) -> CValue:
        operator = tree.operator
        if operator in ("&&", "||"):
            left = truth(self.value(tree.left))
            found = left if left == (operator == "||") else truth(self.value(tree.right))
            return number(self.scene.truth_type, int(found))
        left_value = self.value(tree.left)
        if operator == ",":
            return self.value(tree.right)
        right = self.value(tree.right)
        if operator == "@":
            return self._artificial(left_value, right)
        try:
            result = binary(operator, left_value, right)
        except DivisionByZero:
            if not self.dry:
                raise
            result = binary(operator, left_value, number(right.type, 1))  # which types do not depend on
        return self._truth(result) if operator in COMPARISONS else result

    def _artificial(self, first: CValue, count: CValue) -> CValue:
        first, count = referenced(first), decayed(count)
        somewhere = first.address is not None or (self.dry and first.place is not None)
        if not somewhere or strip(first.type) in SYMBOLS:
            raise UsageError("only values in memory can be extended with '@'")
        if not is_integral(strip(count.type)):
            raise UsageError("the number behind '@' is no number")
        times = integer(count)
        if not 0 < times <= MAX_ELEMENTS:
            raise UsageError(f"invalid number {times} of repetitions")
        return at(ArrayType(first.type, times), first.address or 0, first.state)

    def _choice(self, tree: nodes.Choice) -> CValue:
        return self.value(tree.yes if truth(self.value(tree.test)) else tree.no)

    def _index(self, tree: nodes.Index) -> CValue:
        base, index = referenced(self.value(tree.operand)), decayed(self.value(tree.index))
        bare, other = strip(base.type), strip(index.type)
        if (is_integral(bare) and bare not in SYMBOLS) and is_pointer(other):  # 1[array], as C has it
            base, index, bare, other = index, base, other, bare
        if not is_integral(other):
            raise UsageError("an index is a number", hint=f"this one is {declare(index.type)}")
        if isinstance(bare, ArrayType):
            return element_of(base, integer(index))
        if is_pointer(bare) or bare in SYMBOLS:
            return self._behind(binary("+", base, index))
        raise UsageError(f"cannot subscript something of type `{declare(base.type)}'")

    def _cast(self, tree: nodes.Cast) -> CValue:
        kind = resolve_type(tree.type, self.scene)
        return cast(self.value(tree.operand), kind, self.scene.state)

    def _measure(self, tree: nodes.Measure) -> CValue:
        kind = type_of(tree.operand, self.scene)
        bare = strip(kind)
        if isinstance(bare, PointerType) and bare.kind != "*":
            kind = bare.target
        size_type = self.scene.type_named("unsigned long") if tree.operator == "alignof" else INT
        return number(size_type or INT, kind.size if tree.operator == "sizeof" else alignment(kind))

    def _at(self, tree: nodes.At) -> CValue:
        kind = resolve_type(tree.type, self.scene)
        return at(kind, address_of(self.value(tree.address)), self.scene.state)

    def _call(self, tree: nodes.Call) -> CValue:
        value = self.value(tree.function)
        bare = strip(value.type)
        if isinstance(bare, PointerType):
            bare = strip(bare.target)
        if self.dry and isinstance(bare, FunctionType):
            return raw(bare.result, bytes(bare.result.size))
        raise UsageError("functions cannot be called: a recording cannot be made to run other code")

    # members

    def _member(self, tree: nodes.Member) -> CValue:
        try:
            value = referenced(self.value(tree.operand))
        except NotFound:
            dotted = _dotted(tree)
            if dotted is None:
                raise
            return self.scene.named(dotted)
        bare = strip(value.type)
        if isinstance(bare, PointerType) and isinstance(strip(bare.target), StructType):
            value = dereferenced(value, self.scene.state)
            bare = strip(value.type)
        if not isinstance(bare, StructType):
            dotted = _dotted(tree)
            if dotted is not None:  # counter.0: a symbol that the compiler made up
                try:
                    return self.scene.named(dotted)
                except NotFound:
                    pass
            raise UsageError("attempt to extract a component of a value that is not a structure")
        found = find_member(value, tree.name) or self.scene.static_member(bare, tree.name)
        if found is None:
            if bare.incomplete:
                raise NotFound(f"{declare(value.type)} is an incomplete type: its members are not known")
            raise NotFound(f"there is no member named {tree.name}", hint=_member_hint(bare))
        return found

    # assignments

    def _assign(self, tree: nodes.Assign) -> CValue:
        target, operator = tree.target, tree.operator
        if not isinstance(target, nodes.Dollar):
            self.value(target)  # what is not there is told first
            raise UsageError("the trace is read-only: guest variables cannot be assigned to", hint=_READ_ONLY)
        step = operator[-2:] if operator[-2:] in ("++", "--") else ""
        if step:
            old = self.value(target)
            new = binary(step[0], old, number(INT, 1))
            self._store(target.name, new)
            return old if operator.startswith("post") else new
        value = self.value(tree.value)
        if operator:
            value = binary(operator, self.value(target), value)
        self._store(target.name, value)
        return value

    def _store(self, name: str, value: CValue) -> None:
        if not self.dry:
            self.scene.assign(name, value)


_READERS: dict[type[nodes.Tree], Callable[[Evaluator, Any], CValue]] = {
    nodes.Number: Evaluator._number,
    nodes.Real: Evaluator._real,
    nodes.Character: Evaluator._character,
    nodes.String: Evaluator._string,
    nodes.Name: Evaluator._name,
    nodes.Qualified: Evaluator._qualified,
    nodes.Dollar: Evaluator._dollar,
    nodes.TypeName: Evaluator._type,
    nodes.Unary: Evaluator._unary,
    nodes.Binary: Evaluator._binary,
    nodes.Choice: Evaluator._choice,
    nodes.Member: Evaluator._member,
    nodes.Index: Evaluator._index,
    nodes.Cast: Evaluator._cast,
    nodes.Measure: Evaluator._measure,
    nodes.At: Evaluator._at,
    nodes.Call: Evaluator._call,
    nodes.Assign: Evaluator._assign,
}


def _is_a_type(name: str) -> UsageError:
    return UsageError(f"attempt to use a type as an expression: {name}", hint="`whatis` and `ptype` describe types")


def _dotted(tree: nodes.Member) -> str | None:
    """Return `a.b` as it was written, if it can be one symbol's name."""
    if tree.arrow:
        return None
    if isinstance(tree.operand, nodes.Name):
        return f"{tree.operand.name}.{tree.name}"
    inner = _dotted(tree.operand) if isinstance(tree.operand, nodes.Member) else None
    return f"{inner}.{tree.name}" if inner else None


def _member_hint(kind: StructType) -> str | None:
    names = [member.name for member in kind.members if member.name]
    if not names:
        return None
    return "it has " + ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


def find_member(value: CValue, name: str) -> CValue | None:
    """Return a member of a structure by name: through anonymous ones, base classes and the variant that is active."""
    for depth in range(20):
        found, more = None, False
        for holder in _holders(value, depth):
            bare = strip(holder.type)
            if not isinstance(bare, StructType):
                continue
            more = True
            found = next((m for m in present_members(holder) if m.name == name and not m.is_static), None)
            if found is not None and not found.is_base:
                return member_of(holder, found)
            base = next((m for m in bare.members if m.is_base and _base_name(m) == name), None)
            if base is not None:
                return member_of(holder, base)
        if not more:
            return None
    return None


def _base_name(member: MemberInfo) -> str:
    bare = strip(member.type)
    return bare.name if isinstance(bare, StructType) else ""


def _holders(value: CValue, depth: int) -> Iterator[CValue]:
    """Yield the structures whose members are members of this one, that many levels down."""
    if depth == 0:
        yield value
        return
    for holder in _holders(value, depth - 1):
        if isinstance(strip(holder.type), StructType):
            for member in present_members(holder):
                inner = isinstance(strip(member.type), StructType)
                if inner and not member.is_virtual and (member.is_base or not member.name):
                    yield member_of(holder, member)


def present_members(value: CValue) -> tuple[MemberInfo, ...]:
    """Return the members that a structure has now: of a tagged union those of the active variant too."""
    bare = strip(value.type)
    if not isinstance(bare, StructType):
        return ()
    part = bare.variant_part
    if part is None:
        return bare.members
    if part.discriminant is None:
        chosen = part.variants[0] if part.variants else None
    else:
        tag = member_of(value, part.discriminant)
        size = part.discriminant.type.size
        try:
            chosen = part.chosen(integer(tag) & ((1 << 8 * size) - 1))
        except Unreadable:
            chosen = None
    return bare.members + (chosen.members if chosen else ())


def alignment(kind: Type) -> int:
    """Return the alignment of a type, by the RISC-V calling convention."""
    bare = strip(kind)
    if isinstance(bare, ArrayType):
        return alignment(bare.element)
    if isinstance(bare, StructType):
        return max((alignment(member.type) for member in bare.members if not member.is_static), default=1)
    return max(min(bare.size, 16), 1)


class _Ones:
    """A scene in which all memory and registers can be read: for types of what cannot be computed."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.state: FrameState = _OnesState(scene.state)
        self.is_type = scene.is_type
        self.type_named = scene.type_named
        self.assign = scene.assign
        self.truth_type = scene.truth_type

    def _freed(self, value: CValue) -> CValue:
        return CValue(value.type, Memory(1), self.state, value.bits)

    def named(self, name: str) -> CValue:
        value = self._scene.named(name)
        return self._freed(value) if value.place is not None else value

    def qualified(self, scope: str, name: str) -> CValue:
        value = self._scene.qualified(scope, name)
        return self._freed(value) if value.place is not None else value

    def static_member(self, kind: StructType, name: str) -> CValue | None:
        return self._scene.static_member(kind, name)

    def dollar(self, name: str) -> CValue:
        value = self._scene.dollar(name)
        return value if value.known is not None and value.known.complete else raw(value.type, b"\1" * value.type.size)


class _OnesState:
    def __init__(self, state: FrameState) -> None:
        self.pc = state.pc

    def register(self, number: int) -> int | None:
        return 1

    def read(self, address: int, length: int) -> bytes:
        return b"\1" + bytes(length - 1) if length else b""

    def cfa(self) -> int | None:
        return 1

    def caller(self) -> FrameState | None:
        return None
