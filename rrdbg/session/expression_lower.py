"""Expressions as conditions that the engine judges by itself: from C's types to the language of 64-bit words.

Each integer and pointer is held as a 64-bit word: sign-extended for signed types, zero-extended for unsigned ones, so
that a conversion cuts and extends. What has no such form (floats, structures, values in pieces, variables of the
user's) is not lowered: it is judged by evaluating the expression, which always gives the same answer.
"""

from __future__ import annotations

from collections.abc import Callable

from rrdbg_core.cpu import condition as conditions
from rrdbg_core.cpu.condition import BadCondition, Condition
from rrdbg_core.frozen import Frozen
from rrdbg_core.isa import expr
from rrdbg_core.isa.expr import Ex, lift

from rrdbg.session.ctypes_arithmetic import (
    COMPARISONS,
    cast_offset,
    common,
    literal,
    pointed_size,
    promoted,
)
from rrdbg.session.ctypes_values import (
    REGISTER_POINTER,
    SYMBOLS,
    CValue,
    integer,
    is_integral,
    is_pointer,
    is_signed,
)
from rrdbg.session.errors import NotFound, Unreadable, UsageError
from rrdbg.session.expression import Expression
from rrdbg.session.expression_evaluator import resolve_type, type_of
from rrdbg.session.expression_nodes import (
    At,
    Binary,
    Cast,
    Character,
    Choice,
    Dollar,
    Index,
    Measure,
    Member,
    Name,
    Number,
    Tree,
    Unary,
)
from rrdbg.session.expression_scene import FrameScene
from rrdbg.symbols.cfi import How, Row
from rrdbg.symbols.location import Contents
from rrdbg.symbols.places import BehindCfa, BehindRegister, Constant, Fixed, InRegister
from rrdbg.symbols.scopes import DebugVariable
from rrdbg.symbols.types import (
    CHAR,
    INT,
    LONG,
    ArrayType,
    BaseType,
    Encoding,
    FunctionType,
    PointerType,
    StructType,
    Type,
    VoidType,
    strip,
)
from rrdbg.symbols.types import Member as MemberInfo

_SIZES = (1, 2, 4, 8)


class _No(Exception):
    """This expression is not lowered."""


class _Word(Frozen):
    """A number or pointer."""

    tree: Ex
    """Its word."""
    type: Type
    """Its type."""
    bits: int | None = None
    """For bit fields: how many bits it has."""


class _Place(Frozen):
    """Something in memory."""

    address: Ex
    """Where."""
    type: Type
    """Its type."""
    bits: tuple[int, int] | None = None
    """For bit fields: first bit and number of bits."""


_Value = _Word | _Place


def lower(
    expression: Expression, scene: FrameScene, pc: int | None, rules: Callable[[int], Row | None]
) -> Condition | None:
    """Return an expression as a condition; None: it has to be evaluated.

    Args:
        expression: The expression.
        scene: The scene at `pc`, of which no register is read; without `pc`, the one in which names are looked up.
        pc: Where it will be judged; None: anywhere, so that variables of frames mean nothing.
        rules: Returns call frame information.
    """
    try:
        return Condition(_Lowering(scene, pc, rules).truth(expression.tree_in(scene)))
    except (_No, BadCondition, UsageError, NotFound, Unreadable, RecursionError):
        return None


class _Lowering:
    def __init__(self, scene: FrameScene, pc: int | None, rules: Callable[[int], Row | None]) -> None:
        self._scene = scene
        self._pc = pc
        self._rules = rules

    def truth(self, tree: Tree) -> Ex:
        """Return a word that is 1 or 0: whether a tree's value is not zero."""
        if isinstance(tree, Binary) and tree.operator == "&&":
            return expr.select(self.truth(tree.left), self.truth(tree.right), 0)
        if isinstance(tree, Binary) and tree.operator == "||":
            return expr.select(self.truth(tree.left), 1, self.truth(tree.right))
        if isinstance(tree, Unary) and tree.operator == "!":
            return expr.eq(self.truth(tree.operand), 0)
        if isinstance(tree, Choice):
            return expr.select(self.truth(tree.test), self.truth(tree.yes), self.truth(tree.no))
        return expr.ne(self._word(self.value(tree)).tree, 0)

    def value(self, tree: Tree) -> _Value:
        """Return a tree's value."""
        match tree:
            case Number():
                return _Word(lift(tree.value), literal(tree))
            case Character():
                return _Word(lift(tree.code), self._scene.type_named("char") or CHAR)
            case Name():
                return self._name(tree.name)
            case Dollar():
                return self._dollar(tree.name)
            case Unary():
                return self._unary(tree)
            case Binary(operator="&&" | "||"):
                return _Word(self.truth(tree), INT)
            case Binary():
                return self._binary(tree.operator, self.value(tree.left), self.value(tree.right))
            case Choice():
                yes, no = self._word(self.value(tree.yes)), self._word(self.value(tree.no))
                if yes.type != no.type or yes.bits != no.bits:
                    raise _No
                return _Word(expr.select(self.truth(tree.test), yes.tree, no.tree), yes.type, yes.bits)
            case Member():
                return self._member(tree)
            case Index():
                return self._index(self.value(tree.operand), self._word(self.value(tree.index)))
            case Cast():
                return self._cast(self._word(self.value(tree.operand)), resolve_type(tree.type, self._scene))
            case Measure(operator="sizeof"):
                kind = strip(type_of(tree.operand, self._scene))
                if isinstance(kind, PointerType) and kind.kind != "*":
                    raise _No
                return _Word(lift(kind.size), INT)
            case At():
                return _Place(self._address(self.value(tree.address)), resolve_type(tree.type, self._scene))
        raise _No

    # leaves

    def _name(self, name: str) -> _Value:
        found = self._scene.meaning(name)
        if isinstance(found, DebugVariable):
            return self._variable(found)
        value = self._scene.named(name)
        bare = strip(value.type)
        if isinstance(bare, FunctionType) and value.address is not None:
            return _Place(lift(value.address), value.type)
        if value.place is None:
            return _Word(lift(integer(value)), value.type)
        raise _No

    def _variable(self, variable: DebugVariable) -> _Value:
        pc = self._scene.state.pc
        kind = variable.type
        if self._scene.debug.concrete(kind, self._scene.state) != kind:
            raise _No
        match self._scene.debug.place(variable, pc):
            case Fixed(address):
                return _Place(lift(address), kind)
            case Constant(data):
                return _Word(lift(integer(CValue(kind, known=_known(data, kind)))), kind)
            case _ if self._pc is None:
                raise _No
            case InRegister(number):
                if kind.size not in _SIZES:
                    raise _No
                return _Word(_fitted(self._register(number), kind), kind)
            case BehindRegister(number, offset):
                return _Place(self._register(number) + offset, kind)
            case BehindCfa(offset):
                row = self._rules(pc)
                if row is None or row.cfa.how is not How.BASE:
                    raise _No
                return _Place(self._register(row.cfa.number) + (row.cfa.offset + offset), kind)
        raise _No

    @staticmethod
    def _register(number: int) -> Ex:
        found = conditions.register(f"x{number}") if 0 <= number < 32 else None
        if found is None:
            raise _No
        return found

    def _dollar(self, name: str) -> _Word:
        kind = self._scene.register_type(name)
        if kind is not None:
            found = conditions.register("s0" if name == "fp" else name)
            if found is None:
                raise _No
            return _Word(found, kind)
        past = self._scene.past(name)
        if past is None:  # variables of the user's may change
            raise _No
        return _Word(lift(integer(past)), past.type)

    # operators

    def _unary(self, tree: Unary) -> _Value:
        if tree.operator == "!":
            return _Word(self.truth(tree), INT)
        value = self.value(tree.operand)
        if tree.operator == "&":
            if isinstance(value, _Word):
                if value.type in SYMBOLS:
                    return value
                raise _No
            if value.bits is not None or _is_reference(value.type):
                raise _No
            return _Word(value.address, PointerType(value.type))
        word = self._word(value)
        bare = strip(word.type)
        if tree.operator == "*":
            return self._behind(word)
        if tree.operator == "+" and (is_pointer(bare) or bare in SYMBOLS):
            return word
        if not is_integral(bare):
            raise _No
        kind = promoted(bare, word.bits)
        result = {"-": expr.neg(word.tree), "~": ~word.tree, "+": word.tree}[tree.operator]
        return _Word(_fitted(result, kind), kind)

    def _behind(self, pointer: _Word) -> _Place:
        bare = strip(pointer.type)
        if pointer.type == REGISTER_POINTER or is_integral(bare):
            return _Place(pointer.tree, LONG)
        if isinstance(bare, PointerType) and not isinstance(strip(bare.target), VoidType):
            return _Place(pointer.tree, bare.target)
        raise _No

    def _binary(self, operator: str, left_value: _Value, right_value: _Value) -> _Word:
        if operator in (",", "@"):
            raise _No
        left, right = self._word(left_value), self._word(right_value)
        a, b = strip(left.type), strip(right.type)
        if is_pointer(a) or is_pointer(b):
            return self._with_pointers(operator, left, right, a, b)
        if not (is_integral(a) and is_integral(b)):
            raise _No
        p, q = promoted(a, left.bits), promoted(b, right.bits)
        if operator in ("<<", ">>"):
            return _Word(_fitted(_shifted(operator, _fitted(left.tree, p), right.tree, p), p), p)
        kind = common(p, q)
        if kind.size > 8:
            raise _No
        x, y = _fitted(left.tree, kind), _fitted(right.tree, kind)
        if operator in COMPARISONS:
            return _Word(_compared(operator, x, y, signed=is_signed(kind)), INT)
        if operator in ("/", "%"):
            operations = (expr.divs, expr.rems) if is_signed(kind) else (expr.divu, expr.remu)
            return _Word(_fitted(operations[operator == "%"](x, y), kind), kind)
        if operator in ("+", "-") and (a in SYMBOLS) != (b in SYMBOLS):
            kind = a if a in SYMBOLS else b  # type: ignore[assignment]
        return _Word(_fitted(_computed(operator, x, y), kind), kind)

    def _with_pointers(self, operator: str, left: _Word, right: _Word, a: Type, b: Type) -> _Word:
        if not all(is_pointer(kind) or is_integral(kind) for kind in (a, b)):
            raise _No
        if operator in COMPARISONS:
            return _Word(_compared(operator, left.tree, right.tree, signed=False), INT)
        if isinstance(a, PointerType) and isinstance(b, PointerType):
            if operator != "-" or pointed_size(a) != pointed_size(b):
                raise _No
            return _Word(expr.divs(left.tree - right.tree, pointed_size(a)), LONG)
        pointer, other, kind = (left, right, a) if isinstance(a, PointerType) else (right, left, b)
        assert isinstance(kind, PointerType)
        if operator == "+" or (operator == "-" and pointer is left):
            offset = other.tree * pointed_size(kind)
            return _Word(pointer.tree + offset if operator == "+" else pointer.tree - offset, pointer.type)
        number = _Word(pointer.tree, LONG)
        return self._binary(operator, number if pointer is left else left, number if pointer is right else right)

    def _index(self, base: _Value, index: _Word) -> _Value:
        if not is_integral(strip(index.type)):
            raise _No
        bare = strip(base.type)
        if isinstance(bare, ArrayType) and isinstance(base, _Place):
            return _Place(base.address + index.tree * bare.element.size, bare.element)
        word = self._word(base)
        if is_pointer(bare) or bare in SYMBOLS:
            return self._behind(self._binary("+", word, index))
        raise _No

    def _member(self, tree: Member) -> _Place:
        value = self.value(tree.operand)
        bare = strip(value.type)
        if isinstance(bare, PointerType) and isinstance(strip(bare.target), StructType):
            if bare.kind != "*":
                raise _No
            value = self._behind(self._word(value))
            bare = strip(value.type)
        if not isinstance(bare, StructType) or not isinstance(value, _Place) or bare.variant_part is not None:
            raise _No
        found = _found_member(bare, tree.name)
        if found is None:
            raise _No
        offset, member = found
        if member.bit_size is None:
            return _Place(value.address + offset, member.type)
        first = member.bit_offset if member.bit_offset is not None else member.offset * 8
        first += (offset - member.offset) * 8
        return _Place(value.address + first // 8, member.type, (first % 8, member.bit_size))

    def _cast(self, word: _Word, kind: Type) -> _Word:
        target, source = strip(kind), strip(word.type)
        if not (is_integral(source) or is_pointer(source)) or target.size not in _SIZES:
            raise _No
        if isinstance(target, BaseType) and target.encoding is Encoding.BOOLEAN:
            return _Word(expr.ne(word.tree, 0), kind)
        if not (is_pointer(target) or is_integral(target)):
            raise _No
        pointers = isinstance(target, PointerType) and isinstance(source, PointerType)
        if pointers and cast_offset(strip(source.target), strip(target.target)):  # type: ignore[union-attr]
            raise _No
        return _Word(_fitted(word.tree, kind), kind)

    # reading

    def _address(self, value: _Value) -> Ex:
        if isinstance(value, _Place) and isinstance(strip(value.type), ArrayType | FunctionType):
            return value.address
        return self._word(value).tree

    def _word(self, value: _Value) -> _Word:
        """Return a value as a word: read from memory, arrays and functions as the pointers that C makes of them."""
        if isinstance(value, _Word):
            return value
        bare = strip(value.type)
        if isinstance(bare, ArrayType):
            return _Word(value.address, PointerType(bare.element))
        if isinstance(bare, FunctionType):
            return _Word(value.address, PointerType(value.type))
        if not (is_integral(bare) or is_pointer(bare)) or bare.size not in _SIZES:
            raise _No
        if value.bits is None:
            return _Word(_fitted(conditions.load(value.address, bare.size), bare), value.type)
        first, count = value.bits
        size = next((size for size in _SIZES if size * 8 >= first + count), 0)
        if not size:
            raise _No
        shifted = conditions.load(value.address, size) << (64 - first - count)
        down = 64 - count
        return _Word(expr.sar(shifted, down) if is_signed(bare) else shifted >> down, value.type, count)


def _found_member(kind: StructType, name: str, depth: int = 0) -> tuple[int, MemberInfo] | None:
    """Return a member, through anonymous structures, and its offset. Base classes are left to the evaluator."""
    if depth > 20:
        raise _No
    for member in kind.members:
        if member.is_base or member.is_static:
            raise _No
        if member.name == name:
            return member.offset, member
    for member in kind.members:
        inner = strip(member.type)
        if not member.name and isinstance(inner, StructType):
            found = _found_member(inner, name, depth + 1)
            if found is not None:
                return member.offset + found[0], found[1]
    return None


def _is_reference(kind: Type) -> bool:
    bare = strip(kind)
    return isinstance(bare, PointerType) and bare.kind != "*"


def _known(data: bytes, kind: Type) -> Contents:
    return Contents(data[: kind.size].ljust(kind.size, b"\0"))


def _fitted(tree: Ex, kind: Type) -> Ex:
    """Return a word as a type holds it."""
    bare = strip(kind)
    match bare.size, is_signed(bare):
        case 8, _:
            return tree
        case 4, True:
            return expr.sext32(tree)
        case 4, False:
            return expr.zext32(tree)
        case 2, True:
            return expr.sext16(tree)
        case 2, False:
            return expr.zext16(tree)
        case 1, True:
            return expr.sext8(tree)
        case 1, False:
            return tree & 0xFF
    raise _No


def _computed(operator: str, x: Ex, y: Ex) -> Ex:
    match operator:
        case "+":
            return x + y
        case "-":
            return x - y
        case "*":
            return x * y
        case "&":
            return x & y
        case "|":
            return x | y
    return x ^ y


def _compared(operator: str, x: Ex, y: Ex, *, signed: bool) -> Ex:
    less = expr.lts if signed else expr.ltu
    match operator:
        case "==":
            return expr.eq(x, y)
        case "!=":
            return expr.ne(x, y)
        case "<":
            return less(x, y)
        case ">":
            return less(y, x)
        case "<=":
            return expr.eq(less(y, x), 0)
    return expr.eq(less(x, y), 0)


def _shifted(operator: str, x: Ex, count: Ex, kind: BaseType) -> Ex:
    """Return a shift; by the width or more, everything goes."""
    if kind.size > 8:
        raise _No
    signed = is_signed(kind)
    inside = x << count if operator == "<<" else expr.sar(x, count) if signed else x >> count
    # the value matters there too: where it cannot be read, the condition cannot be judged
    outside = expr.sar(x, 63) if operator == ">>" and signed else x & 0
    return expr.select(expr.ltu(count, kind.size * 8), inside, outside)
