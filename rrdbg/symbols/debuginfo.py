"""What debug information says of the guest's program: functions, inlined calls, blocks, variables and types.

Nothing is read when it is opened, and a question reads the units that it needs. Damaged units know less; nothing here
raises because of what an image contains.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rrdbg.symbols.location import FrameState, Location, OptimisedOut
from rrdbg.symbols.types import FunctionType, Type

Ranges = tuple[tuple[int, int], ...]
"""Address ranges lo <= a < hi, ascending."""


@dataclass(frozen=True)
class Scope:
    """A function, or a call that was inlined."""

    kind: str
    """"function" or "inline"."""
    name: str
    """Its name with namespaces and classes, without parameters: `ns::Class::method`."""
    linkage_name: str
    """Its mangled name; empty when it has none."""
    low_pc: int
    """Where it is entered."""
    ranges: Ranges
    """Where its code lies; the cold part of a split function too."""
    file: str
    """Source file that declares it."""
    line: int
    """Its line there."""
    call_file: str = ""
    """For inlined calls: the file of the call."""
    call_line: int = 0
    """For inlined calls: the line of the call."""
    call_column: int = 0
    """For inlined calls: its column; 0: unknown."""
    external: bool = True
    """Whether other units see it."""
    key: Hashable = None
    """Which one it is; equal for equal scopes."""
    frame_base: bytes = field(default=b"", compare=False, repr=False)
    """DWARF expression of its frame base."""
    load_type: Callable[[], FunctionType] | None = field(default=None, compare=False, repr=False)
    """Reads its type; opaque."""
    die: Any = field(default=None, compare=False, repr=False)
    """Where it is described; opaque."""

    @cached_property
    def type(self) -> FunctionType:
        """Its type."""
        from rrdbg.symbols.types import VOID

        return self.load_type() if self.load_type else FunctionType(VOID)

    def contains(self, pc: int) -> bool:
        """Return whether an address is in its code."""
        return any(lo <= pc < hi for lo, hi in self.ranges)


@dataclass(frozen=True)
class Block:
    """A lexical block, or the body of a function."""

    ranges: Ranges
    """Where its code lies."""
    depth: int
    """How many blocks of the scope lie around it; the body is 0."""
    die: Any = field(default=None, compare=False, repr=False)
    """Where it is described; opaque."""


@dataclass(frozen=True)
class DebugVariable:
    """A variable, an argument, or a constant that was one."""

    name: str
    """Its name; for globals with namespaces and classes."""
    kind: str
    """"arg", "local", "static" (it lives in the function or file) or "global"."""
    file: str = ""
    """Source file that declares it."""
    line: int = 0
    """Its line there."""
    linkage_name: str = ""
    """Its mangled name; empty when it has none."""
    depth: int = 0
    """For locals: how many blocks of the scope lie around its block."""
    shadowed: bool = False
    """Whether a block further in has a variable of its name."""
    artificial: bool = False
    """Whether the compiler made it: `this`."""
    key: Hashable = None
    """Which one it is; equal for equal variables."""
    load_type: Callable[[], Type] | None = field(default=None, compare=False, repr=False)
    """Reads its type; opaque."""
    die: Any = field(default=None, compare=False, repr=False)
    """Where it is described; opaque."""

    @cached_property
    def type(self) -> Type:
        """Its type."""
        from rrdbg.symbols.types import UnknownType

        return self.load_type() if self.load_type else UnknownType("the debug information does not say")


@dataclass(frozen=True, slots=True)
class CallSite:
    """A call, as its caller describes it."""

    return_pc: int
    """Where it returns to."""
    target: str
    """Name of the called function; empty for calls through pointers."""
    tail: bool
    """Whether it is a jump: the callee returns to the caller's caller."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A place that does not depend on the frame."""

    address: int
    """Virtual address."""


@dataclass(frozen=True, slots=True)
class InRegister:
    """In a register of the frame."""

    number: int
    """DWARF number."""


@dataclass(frozen=True, slots=True)
class BehindRegister:
    """In memory, at a register's value plus an offset."""

    number: int
    """DWARF number."""
    offset: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class BehindCfa:
    """In memory, at the canonical frame address plus an offset."""

    offset: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant that took the variable's place."""

    data: bytes
    """Its bytes, little end first."""


Place = Fixed | InRegister | BehindRegister | BehindCfa | Constant
"""A variable's location, where one rule says it."""


class DebugInfo:
    """The debug information of all images of a trace; the first image that knows an answer gives it.

    Addresses are the guest's virtual ones. A caller's frame is asked about with an address inside its call.
    """

    def problems(self) -> Sequence[str]:
        """Return what was found to be missing or damaged so far, a sentence each."""
        return ()

    def scopes(self, pc: int) -> tuple[Scope, ...]:
        """Return the scopes around an address, innermost first: inlined calls, and the function they ended up in."""
        return ()

    def blocks(self, scope: Scope, pc: int) -> tuple[Block, ...]:
        """Return the lexical blocks of a scope around an address, innermost first; the last one is its body."""
        return ()

    def arguments(self, scope: Scope, pc: int) -> tuple[DebugVariable, ...]:
        """Return the arguments of a scope in their order."""
        return ()

    def locals(self, scope: Scope, pc: int) -> tuple[DebugVariable, ...]:
        """Return the variables of a scope that are visible at an address: innermost block first, each in its order.

        Variables that live in the function for ever are among them, with the kind "static".
        """
        return ()

    def variable(self, name: str, pc: int) -> DebugVariable | None:
        """Return what a name means at an address: in its blocks, in its unit, then anywhere, as C's scopes go."""
        return None

    def statics(self, pc: int) -> tuple[DebugVariable, ...]:
        """Return the variables of the unit around an address that other units do not see."""
        return ()

    def global_variable(self, name: str, pc: int | None = None) -> DebugVariable | None:
        """Return a variable outside of functions, by qualified or linkage name; that of the unit around `pc` first."""
        return None

    def variable_at(self, address: int) -> DebugVariable | None:
        """Return the global or static variable that lies around an address."""
        return None

    def type_named(self, text: str, pc: int | None = None) -> Type | None:
        """Return a type by its name: `int`, `unsigned long`, `struct list`, `size_t`, `ns::Class`.

        The unit around `pc` goes first. Pointers, arrays and qualifiers are the business of the expression's parser.
        """
        return None

    def function_named(self, name: str) -> tuple[Scope, ...]:
        """Return the functions of a name: demangled with or without parameters, or the linkage name."""
        return ()

    def inlined_calls(self, name: str) -> tuple[Scope, ...]:
        """Return the places where a function was inlined."""
        return ()

    def concrete(self, kind: Type, state: FrameState) -> Type:
        """Return a type with the lengths that its arrays have in a frame (variable-length arrays)."""
        return kind

    def locate(self, variable: DebugVariable, state: FrameState) -> Location:
        """Return where a variable is in a frame."""
        return OptimisedOut()

    def place(self, variable: DebugVariable, pc: int) -> Place | None:
        """Return a variable's place at an address, where one simple rule says it; None: it takes `locate`."""
        return None

    def call_site(self, return_pc: int) -> CallSite | None:
        """Return the call that returns to an address."""
        return None

    def producer(self, pc: int) -> str:
        """Return the compiler of the unit around an address, as it calls itself; empty: unknown."""
        return ""

    def language(self, pc: int) -> str:
        """Return the language of the unit around an address: "c", "c++", "rust", "asm", or empty."""
        return ""

    def locations_valid(self, pc: int) -> bool:
        """Return whether the unit around an address says where variables are in prologues too: gcc with location lists.

        gdb then takes functions at their first instruction.
        """
        return False
