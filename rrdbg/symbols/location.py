"""Where a variable is: DWARF expressions, evaluated in a frame (DWARF 5, section 2.5 and 2.6).

An expression yields a `Location`; `contents` reads what is there. Nothing here raises: what cannot be known is a
location that says why, and every expression ends after a bounded number of operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Protocol

from rrdbg_core.frozen import Frozen

from rrdbg.symbols.types import BaseType


class FrameState(Protocol):
    """A frame of the guest's stack, as DWARF expressions see it."""

    @property
    def pc(self) -> int:
        """An address inside the instruction at which the frame stands; for a caller: inside its call (return - 1)."""

    def register(self, number: int) -> int | None:
        """Return a register by its DWARF number: x0 to x31 are 0 to 31, f0 to f31 are 32 to 63.

        None: this frame's value is not known, because a frame further in did not save it.
        """

    def read(self, address: int, length: int) -> bytes:
        """Read memory; fewer bytes where it cannot be read."""

    def cfa(self) -> int | None:
        """Return the canonical frame address: the stack pointer before the call. None: unknown."""

    def caller(self) -> FrameState | None:
        """Return the frame that called this one, inlined calls left out; None: unknown, or a trap lies between."""


class Context(Protocol):
    """What an expression refers to in its unit."""

    @property
    def bias(self) -> int:
        """How far from its addresses the image was loaded."""

    @property
    def offset_size(self) -> int:
        """Bytes of an offset: 4, or 8 in 64-bit DWARF."""

    def address(self, index: int) -> int:
        """Return an entry of `.debug_addr`. Raises LookupError."""

    def base_type(self, offset: int) -> BaseType | None:
        """Return the base type at a unit offset; None: generic. Raises LookupError."""

    def procedure(self, offset: int, *, absolute: bool) -> bytes:
        """Return the DWARF procedure at an offset of the unit, or of the section. Raises LookupError."""

    def pointed(self, offset: int, state: FrameState) -> Location:
        """Return where in a frame the variable is that is described at an offset of the section. Raises LookupError."""

    def frame_base(self, pc: int) -> bytes:
        """Return the frame base expression of the function around an address. Raises LookupError."""

    def entry_value(self, expression: bytes, state: FrameState) -> int:
        """Return what an expression was when the frame's function was entered. Raises LookupError, which says why."""

    def parameter(self, offset: int, state: FrameState) -> int:
        """Return the value that the parameter at a unit offset was called with. Raises LookupError."""


class Memory(Frozen):
    """In memory."""

    address: int
    """Virtual address of its first byte."""


class Register(Frozen):
    """In a register."""

    number: int
    """DWARF number: x0 to x31 are 0 to 31, f0 to f31 are 32 to 63."""


class Value(Frozen):
    """Nowhere, but its value is known."""

    bits: int
    """The value, unsigned."""
    size: int = 8
    """Bytes that are known."""


class Implicit(Frozen):
    """Nowhere, but its bytes are known."""

    data: bytes
    """The bytes."""


class ImplicitPointer(Frozen):
    """A pointer that was optimised out, though what it points to is known."""

    offset: int
    """Where the thing pointed to is described, in `.debug_info`."""
    delta: int
    """Bytes behind its start."""
    reason: str = "it is a pointer that the compiler did without"
    """In half a sentence."""
    load: Callable[[], Location] | None = field(default=None, compare=False, repr=False)
    """Returns where the thing pointed to is; opaque."""

    @property
    def target(self) -> Location:
        """Where the first byte that it points to is, and what lies behind it."""
        found = self.load() if self.load is not None else OptimisedOut("its unit is unknown")
        if self.delta < 0 and not isinstance(found, Memory):
            return OptimisedOut("it points to what lies before a variable that is not in memory")
        return part(found, self.delta, _BEHIND) if self.delta else found


_BEHIND = 1 << 30
"""More bytes than anything has that a pointer does without."""


class OptimisedOut(Frozen):
    """The compiler did not keep it here."""

    reason: str = "the compiler did not keep it here"
    """Why, in half a sentence."""


class Unavailable(Frozen):
    """It is somewhere, but cannot be found: unreadable memory, damaged debug information."""

    reason: str
    """Why, in half a sentence."""


class Piece(Frozen):
    """A part of something that lies in pieces."""

    location: Simple
    """Where it is."""
    bits: int
    """How many bits."""
    skip: int = 0
    """Bits in front of it at that place."""


class Pieces(Frozen):
    """In several places, the first piece holding the lowest bits."""

    parts: tuple[Piece, ...]
    """The pieces in their order."""


Simple = Memory | Register | Value | Implicit | ImplicitPointer | OptimisedOut | Unavailable
Location = Simple | Pieces


class Gap(Frozen):
    """Bits of a value that are not known."""

    start: int
    """First bit."""
    end: int
    """Bit behind the last."""
    reason: str
    """Why, in half a sentence."""
    optimised: bool
    """Whether the compiler did not keep them; else they cannot be read."""
    pointer: bool = False
    """Whether they are a pointer that the compiler did without (gdb: synthetic pointer)."""


class Contents(Frozen):
    """What a location holds."""

    data: bytes
    """The bytes, little end first; unknown bits are zero."""
    gaps: tuple[Gap, ...] = ()
    """What of it is not known, ascending."""

    @property
    def complete(self) -> bool:
        """Whether all of it is known."""
        return not self.gaps

    def gap(self, start: int, end: int) -> Gap | None:
        """Return why bits start <= n < end are not all known; None: they are."""
        return next((gap for gap in self.gaps if gap.start < end and start < gap.end), None)

    def part(self, offset: int, size: int) -> Contents:
        """Return the contents of a part: `size` bytes from `offset`."""
        lo, hi = offset * 8, (offset + size) * 8
        gaps = tuple(
            Gap(max(gap.start, lo) - lo, min(gap.end, hi) - lo, gap.reason, gap.optimised, gap.pointer)
            for gap in self.gaps
            if gap.start < hi and lo < gap.end
        )
        return Contents(self.data[offset : offset + size], gaps)


def part(location: Location, offset: int, size: int) -> Location:
    """Return where a part of something lies: `size` bytes from `offset`."""
    if isinstance(location, Memory):
        return Memory((location.address + offset) & _MASK)
    if isinstance(location, OptimisedOut | Unavailable):
        return location
    if isinstance(location, Register) and offset == 0:
        return location
    parts = location.parts if isinstance(location, Pieces) else (Piece(location, (offset + size) * 8),)
    start, end, at = offset * 8, (offset + size) * 8, 0
    found: list[Piece] = []
    for piece in parts:
        lo, hi = max(at, start), min(at + piece.bits, end)
        if lo < hi:
            found.append(Piece(piece.location, hi - lo, piece.skip + lo - at))
        at += piece.bits
    return Pieces(tuple(found))


def contents(location: Location, size: int, state: FrameState) -> Contents:
    """Read `size` bytes from a location."""
    if isinstance(location, Pieces):
        return _join(location, size, state)
    if size <= 0:
        return Contents(b"")
    data, gap = b"", None
    if isinstance(location, Memory):
        data = state.read(location.address, size)[:size]
        gap = f"memory at {location.address + len(data):#x} cannot be read", False, False
    elif isinstance(location, Register):
        return _read_registers(location.number, size, state)
    elif isinstance(location, Value):
        length = min(size, location.size)
        data = (location.bits & ((1 << 8 * length) - 1)).to_bytes(length, "little")
        gap = "the debug information knows a part of it", True, False
    elif isinstance(location, Implicit):
        data = location.data[:size]
        gap = "the debug information knows a part of it", True, False
    elif isinstance(location, ImplicitPointer):
        gap = location.reason, True, True
    else:
        gap = location.reason, isinstance(location, OptimisedOut), False
    if len(data) >= size:
        return Contents(data)
    return Contents(data + bytes(size - len(data)), (Gap(len(data) * 8, size * 8, *gap),))


def _read_registers(number: int, size: int, state: FrameState) -> Contents:
    data, gaps = bytearray(), []
    while len(data) < size:
        length = min(8, size - len(data))
        value = state.register(number)
        if value is None:
            name = f"f{number - 32}" if number >= 32 else f"x{number}"
            reason = f"it was in {name}, which this frame's callees did not save"
            gaps.append(Gap(len(data) * 8, (len(data) + length) * 8, reason, True))
        data += ((value or 0) & _MASK).to_bytes(8, "little")[:length]
        number += 1
    return Contents(bytes(data), tuple(gaps))


def _join(location: Pieces, size: int, state: FrameState) -> Contents:
    value = at = 0
    gaps: list[Gap] = []
    for piece in location.parts:
        bits = min(piece.bits, size * 8 - at)
        if bits <= 0:
            continue
        lo, hi = piece.skip, piece.skip + bits
        place, skipped = piece.location, 0
        if isinstance(place, Memory):  # skip what lies in front, which may be unreadable
            skipped = lo // 8
            place = Memory((place.address + skipped) & _MASK)
        got = contents(place, (hi + 7) // 8 - skipped, state)
        lo, hi = lo - skipped * 8, hi - skipped * 8
        value |= (int.from_bytes(got.data, "little") >> lo & ((1 << bits) - 1)) << at
        gaps += [
            Gap(max(gap.start, lo) - lo + at, min(gap.end, hi) - lo + at, gap.reason, gap.optimised, gap.pointer)
            for gap in got.gaps
            if gap.start < hi and lo < gap.end
        ]
        at += bits
    if at < size * 8:
        gaps.append(Gap(at, size * 8, "the debug information has a part of it only", True))
    return Contents(value.to_bytes(size, "little"), tuple(gaps))


_MASK = (1 << 64) - 1


def evaluate(
    expression: bytes, state: FrameState, context: Context | None = None, initial: tuple[int, ...] = ()
) -> Location:
    """Evaluate a DWARF expression in a frame.

    Args:
        expression: Its bytes; empty: the compiler kept no value.
        state: The frame.
        context: The unit that it is from; what refers to it is unavailable without one.
        initial: What is on the stack before it starts, the last one on top.
    """
    from rrdbg.symbols.evaluator import Evaluator

    return Evaluator(state, context).run(expression, initial)
