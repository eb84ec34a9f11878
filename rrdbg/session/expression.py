"""Expressions: C over the guest's variables, registers and memory, as in gdb.

    constants     42, 1_000, 0x8000_0000, 0b101, 017, 1.5f, 'a', "text"; they have C's types: int, unsigned, long, ...
    variables     of the selected frame, of the program; file.c::name, function::name, ::name; functions; enumerators
    registers     $a0, $x10, $pc, $mstatus, $icount, $priv, $time_ns
    values shown  $1, $ (the last one), $$ (the one before), $$3; $_ and $_exitcode
    your own      $name, set by `set $name = ...`
    operators     C's, with its promotions and conversions; a.b, p->b, a[i], *p, &a, sizeof, casts
    gdb's         array@count, {type} address
    types         those of the program, C's own, and u8 u16 u32 u64 i8 i16 i32 i64

A name that only the symbol table knows, one that no debug information describes, is its address: of a bare
`counter: .dword 0` in assembly, `*(u64*)counter` is the value. `*number` is the 8 bytes there, signed.
Nothing can be assigned to but variables of your own: a recording is read-only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from rrdbg_core.frozen import Frozen

from rrdbg.session.ctypes_arithmetic import cast, truth
from rrdbg.session.ctypes_values import (
    SYMBOLS,
    CValue,
    address_of,
    integer,
    is_float,
    is_integral,
    is_signed,
    referenced,
)
from rrdbg.session.errors import UsageError
from rrdbg.session.expression_evaluator import Scene, evaluate, type_of
from rrdbg.session.expression_nodes import Dollar, Name, Tree, TypeName
from rrdbg.session.expression_parser import Parser
from rrdbg.session.numbers import TYPES, U64, Type, Value
from rrdbg.symbols import types as ctypes
from rrdbg.symbols.location import Register
from rrdbg.symbols.types import ArrayType, FunctionType, PointerType, declare, strip


class Home(Protocol):
    """Who knows the scene in which an expression is evaluated."""

    def scene(self, *, innermost: bool = False) -> Scene:
        """Return the selected frame's scene, or that of the innermost frame."""


class Expression(Frozen):
    """A parsed expression."""

    text: str
    """As it was written."""
    tree: Tree | None
    """What it consists of; None: that depends on what its names are."""
    answers: dict[str, bool]
    """Which names the tree takes for types, where that matters for the grammar."""

    @property
    def symbol(self) -> str:
        """The name, for an expression that is one and nothing else."""
        return self.tree.name if isinstance(self.tree, Name) else ""

    @property
    def register(self) -> str:
        """The register, for an expression that is one and nothing else."""
        return self.tree.name if isinstance(self.tree, Dollar) else ""

    def compute(self, scene: Scene) -> CValue:
        """Return its value in a scene.

        Raises:
            UsageError: It cannot be computed.
            NotFound: A name that nothing has.
            Unreadable: Memory that cannot be read, a value that the compiler did not keep.
        """
        return evaluate(self.tree_in(scene), scene)

    def type_in(self, scene: Scene) -> ctypes.Type:
        """Return its type in a scene, or the type that it names; its value is not computed."""
        return type_of(self.tree_in(scene), scene)

    def is_type(self, scene: Scene) -> bool:
        """Return whether it names a type."""
        tree = self.tree_in(scene)
        return isinstance(tree, TypeName) or (isinstance(tree, Name) and scene.is_type(tree.name))

    def tree_in(self, scene: Scene) -> Tree:
        """Return the tree that it has in a scene, where names may be other things."""
        if self.tree is not None and all(scene.is_type(name) == answer for name, answer in self.answers.items()):
            return self.tree
        return Parser(self.text, scene.is_type).parse()

    def evaluate(self, home: Home) -> Value:
        """Return its value as a number, in the selected frame."""
        return value_of(self.compute(home.scene()))

    def holds(self, home: Home) -> bool:
        """Return whether it is not zero, in the innermost frame: as a condition."""
        return truth(self.compute(home.scene(innermost=True)))

    def watched(self, home: Home) -> tuple[int, int]:
        """Return the address and size of the memory that it means: its place, or where it points as a number.

        Raises:
            UsageError: It lies in a register, or nowhere.
        """
        value = referenced(self.compute(home.scene()))
        bare = strip(value.type)
        if bare in SYMBOLS:
            return integer(value), 8
        if value.bits is not None:  # the bytes around the bit field
            lo, size = value.bits
            place = CValue(value.type, value.place, value.state).address
            if place is not None:
                return place + lo // 8, (lo + size + 7) // 8 - lo // 8
        if value.address is not None and not isinstance(bare, FunctionType):
            return value.address, value.type.size or 8
        if isinstance(value.place, Register):
            raise UsageError(
                f"{self.text} is in a register here and cannot be watched",
                hint=f"watch the register: $x{value.place.number}",
            )
        if value.place is not None and not isinstance(bare, FunctionType):
            raise UsageError(f"{self.text} does not lie in memory and cannot be watched")
        size = strip(bare.target).size if isinstance(bare, PointerType) else 8
        return address_of(value), size or 8


@lru_cache(maxsize=256)
def parse(text: str) -> Expression:
    """Parse an expression, without knowing the program: names are looked up when it is evaluated.

    Raises:
        UsageError: It cannot be understood; the message says at which column.
    """
    parser = Parser(text, TYPES.__contains__)
    try:
        return Expression(text.strip(), parser.parse(), parser.answers)
    except UsageError:
        if all(parser.answers.values()):
            raise
        return Expression(text.strip(), None, {})  # `list_t *` makes sense where list_t is a type


def value_of(value: CValue) -> Value:
    """Return a value as a plain number: of arrays and functions the address, of floats the whole part.

    Raises:
        UsageError: It is none: a structure, say.
        Unreadable: It is not known.
    """
    value = referenced(value)
    bare = strip(value.type)
    if isinstance(bare, ArrayType | FunctionType):
        return Value(address_of(value), U64, None, True)
    if isinstance(bare, PointerType):
        return Value(integer(value), U64, _target(bare), True)
    if bare in SYMBOLS:
        return Value(integer(value), U64, None, True)
    if is_float(bare):
        return Value(integer(cast(value, ctypes.LONG, None)), Type(8, True))
    if is_integral(bare):
        return Value(integer(value), Type(bare.size, is_signed(bare)))
    raise UsageError(f"{declare(value.type)} is no number", hint="`print` shows it")


def _target(pointer: PointerType) -> Type | None:
    target = strip(pointer.target)
    if is_integral(target) and target.size in (1, 2, 4, 8):
        return Type(target.size, is_signed(target))
    return None
