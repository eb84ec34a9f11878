"""What debug information describes: functions, inlined calls, blocks, variables, calls. Plain frozen values."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import field
from functools import cached_property
from typing import Any

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.types import VOID, FunctionType, Type, UnknownType

Ranges = tuple[tuple[int, int], ...]
"""Address ranges lo <= a < hi, ascending."""


class Scope(Frozen):
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
        return self.load_type() if self.load_type else FunctionType(VOID)

    def contains(self, pc: int) -> bool:
        """Return whether an address is in its code."""
        return any(lo <= pc < hi for lo, hi in self.ranges)


class Block(Frozen):
    """A lexical block, or the body of a function."""

    ranges: Ranges
    """Where its code lies."""
    depth: int
    """How many blocks of the scope lie around it; the body is 0."""
    die: Any = field(default=None, compare=False, repr=False)
    """Where it is described; opaque."""


class DebugVariable(Frozen):
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
        return self.load_type() if self.load_type else UnknownType("the debug information does not say")


class CallSite(Frozen):
    """A call, as its caller describes it."""

    return_pc: int
    """Where it returns to."""
    target: str
    """Name of the called function; empty for calls through pointers."""
    tail: bool
    """Whether it is a jump: the callee returns to the caller's caller."""
