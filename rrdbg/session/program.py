"""What a session says of the guest's program: frames, variables, source. Plain frozen values, as in `values`."""

from __future__ import annotations

from rrdbg_core.frozen import Frozen

from rrdbg.session.values import Location


class Variable(Frozen):
    """A variable, or a part of one, as it stands in a frame."""

    name: str
    """Its name; for parts: a member's name or `[3]`."""
    type: str
    """Its type as C writes it."""
    text: str
    """Its value on one line, as gdb prints it; `<optimized out>` when the compiler kept none."""
    expression: str
    """C expression that means it in this frame, for `print`, `children` and watchpoints."""
    kind: str
    """"arg", "local", "static", "global", "member" or "element"."""
    address: int | None = None
    """Where it lies in memory; None: in registers, in pieces, or nowhere."""
    expandable: bool = False
    """Whether it has parts: `Session.children` returns them."""


class FrameInfo(Frozen):
    """A frame of a backtrace."""

    number: int
    """0 is the innermost."""
    pc: int
    """Where it stands: for callers the address they return to."""
    cfa: int
    """Its canonical frame address; 0 when unknown."""
    function: str
    """Name of its function, demangled, or empty."""
    location: Location
    """pc by name, with the line of the call for callers."""
    inlined: bool = False
    """Whether it was inlined into the next frame."""
    trap: str = ""
    """For what a trap interrupted: the trap in words. gdb calls such places signal handlers."""
    priv: str = "M"
    """Privilege mode it runs in: "M", "S" or "U"."""
    icount: int | None = None
    """For what a trap interrupted: the position at which it was taken."""
    args: tuple[Variable, ...] = ()
    """Its arguments."""
    text: str = ""
    """The whole frame as gdb's `backtrace` prints it."""
    tail_call: bool = False
    """Whether it is a function that has left already, by a tail call, and is on no stack."""


class Printed(Frozen):
    """A value as C shows it."""

    text: str
    """As gdb prints it; may have several lines."""
    type: str
    """Its type as C writes it."""
    size: int
    """Its bytes."""
    address: int | None = None
    """Where it lies in memory, if it does."""
    bits: int | None = None
    """Its 64 bits, unsigned, for numbers and pointers."""
    expandable: bool = False
    """Whether it has parts."""
    index: int | None = None
    """Its number among the values shown, for those that are remembered: `$7`."""
    number: int | None = None
    """The number that it is, negative for negative ones; pointers count."""


class ProgramSymbol(Frozen):
    """A variable, function or type of the program, as its debug information describes it."""

    kind: str
    """"variable", "function", "type" or "scope" (a variable that is visible at a place)."""
    name: str
    """Its name, with namespaces and classes."""
    text: str
    """Its declaration; for "scope" where it is, in gdb's words."""
    file: str
    """Source file that declares it, or empty."""
    line: int
    """Its line there, or 0."""
    address: int | None = None
    """Where it lies, for functions and variables."""


class SourceFile(Frozen):
    """A source file."""

    file: str
    """As the compiler was given it: the name that `Location.file` has."""
    origin: str
    """Where the text comes from: a host path, or "trace" when the trace carries it."""
    lines: tuple[str, ...]
    """Its text, harmless on a terminal, line by line."""
    code: tuple[int, ...] = ()
    """Numbers of the lines that have code, ascending."""


class LineSpan(Frozen):
    """A stretch of code that belongs to one source line."""

    file: str
    """Source file as the compiler was given it."""
    line: int
    """Its line."""
    start: int
    """First address."""
    stop: int
    """Address behind it; the first one where the line has no code."""


class LineVisit(Frozen):
    """A stretch of steps that one source line took."""

    icount: int
    """Position of its first step."""
    file: str
    """Source file."""
    line: int
    """Its line."""
    steps: int
    """How many steps in a row."""


class Change(Frozen):
    """Memory that differs between two positions."""

    address: int
    """Physical address of the first byte."""
    old: bytes
    """Bytes at the first position."""
    new: bytes
    """Bytes at the second position."""
    location: Location
    """The address by name."""


class Difference(Frozen):
    """What differs between two positions."""

    lo: int
    """First position."""
    hi: int
    """Second position."""
    registers: tuple[tuple[str, int, int], ...]
    """Registers and CSRs: name, value at `lo`, value at `hi`."""
    memory: tuple[Change, ...]
    """Runs of bytes, by address; at most as many as were asked for."""
    bytes: int
    """How many bytes of RAM differ in all."""
