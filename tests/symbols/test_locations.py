"""DWARF expressions and what is read from the places that they mean."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdbg.symbols.debuginfo import DebugInfo
from rrdbg.symbols.location import (
    Contents,
    Implicit,
    ImplicitPointer,
    Location,
    Memory,
    OptimisedOut,
    Piece,
    Pieces,
    Register,
    Unavailable,
    Value,
    contents,
    evaluate,
    part,
)
from rrdbg.symbols.scopes import DebugVariable
from rrdbg.symbols.table import SymbolTable
from rrdbg.symbols.types import BaseType, Encoding

from .compilers import compiled

M64 = (1 << 64) - 1


@dataclass
class Frame:
    """A frame made up for a test."""

    pc: int = 0
    registers: Mapping[int, int] = field(default_factory=dict)
    memory: Mapping[int, int] = field(default_factory=dict)
    frame: int | None = None
    outer: Frame | None = None

    def register(self, number: int) -> int | None:
        return self.registers.get(number)

    def read(self, address: int, length: int) -> bytes:
        data = bytearray()
        for at in range(address, address + length):
            if at not in self.memory:
                break
            data.append(self.memory[at])
        return bytes(data)

    def cfa(self) -> int | None:
        return self.frame

    def caller(self) -> Frame | None:
        return self.outer


DOUBLE, FLOAT, INT, UNSIGNED = (
    BaseType("double", 8, Encoding.FLOAT),
    BaseType("float", 4, Encoding.FLOAT),
    BaseType("int", 4, Encoding.SIGNED),
    BaseType("unsigned char", 1, Encoding.UNSIGNED),
)
BASES = {1: DOUBLE, 2: FLOAT, 3: INT, 4: UNSIGNED}


class Unit:
    """What expressions of these tests refer to."""

    bias = 0
    offset_size = 4

    def address(self, index: int) -> int:
        return 0x8000_0000 + index * 8

    def base_type(self, offset: int) -> BaseType | None:
        return BASES[offset]

    def procedure(self, offset: int, *, absolute: bool) -> bytes:
        return {1: bytes([0x31, 0x22]), 2: bytes([0x98, 2, 0])}[offset]  # adds one; calls itself

    def pointed(self, offset: int, state: object) -> Location:
        return Memory(offset)

    def frame_base(self, pc: int) -> bytes:
        return bytes([0x9C])

    def entry_value(self, expression: bytes, state: object) -> int:
        raise LookupError("it was overwritten")

    def parameter(self, offset: int, state: object) -> int:
        return offset


def uleb(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def sleb(value: int) -> bytes:
    data = bytearray()
    while not -64 <= value < 64:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value & 0x7F])


# ---- the operators, against the plainest evaluator that one can write


def signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def divide(a: int, b: int) -> int | None:
    if b == 0:
        return None
    return int(math.copysign(1, signed(a)) * math.copysign(1, signed(b))) * (abs(signed(a)) // abs(signed(b)))


BINARY: dict[int, Callable[[int, int], int | None]] = {
    0x1A: lambda a, b: a & b,
    0x1B: divide,
    0x1C: lambda a, b: a - b,
    0x1D: lambda a, b: a % b if b else None,
    0x1E: lambda a, b: a * b,
    0x21: lambda a, b: a | b,
    0x22: lambda a, b: a + b,
    0x24: lambda a, b: a << b if b < 64 else 0,
    0x25: lambda a, b: a >> b if b < 64 else 0,
    0x26: lambda a, b: signed(a) >> min(b, 63),
    0x27: lambda a, b: a ^ b,
    0x29: lambda a, b: a == b,
    0x2A: lambda a, b: signed(a) >= signed(b),
    0x2B: lambda a, b: signed(a) > signed(b),
    0x2C: lambda a, b: signed(a) <= signed(b),
    0x2D: lambda a, b: signed(a) < signed(b),
    0x2E: lambda a, b: a != b,
}
UNARY: dict[int, Callable[[int], int]] = {
    0x19: lambda a: abs(signed(a)),
    0x1F: lambda a: -a,
    0x20: lambda a: ~a,
}

numbers = st.integers(0, M64) | st.sampled_from([0, 1, 63, 64, 1 << 63, M64])
pushes = st.one_of(
    numbers.map(lambda n: (bytes([0x0E]) + struct.pack("<Q", n), n)),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: (bytes([0x11]) + sleb(n), n & M64)),
    numbers.map(lambda n: (bytes([0x10]) + uleb(n), n)),
    st.integers(0, 31).map(lambda n: (bytes([0x30 + n]), n)),
    st.integers(-128, 127).map(lambda n: (bytes([0x09]) + struct.pack("<b", n), n & M64)),
    st.integers(0, 0xFFFF).map(lambda n: (bytes([0x0A]) + struct.pack("<H", n), n)),
    st.integers(-(1 << 31), (1 << 31) - 1).map(lambda n: (bytes([0x0D]) + struct.pack("<i", n), n & M64)),
)


@st.composite
def programs(draw: st.DrawFn) -> tuple[bytes, int | None]:
    """Draw an expression and its value; None: it has none."""
    code, stack, dead = b"", [], False
    for _ in range(draw(st.integers(1, 25))):
        choice = draw(st.integers(0, 5))
        if choice <= 1 or not stack:
            data, value = draw(pushes)
            code += data
            stack.append(value)
        elif choice == 2 and len(stack) > 1:
            op = draw(st.sampled_from(sorted(BINARY)))
            second, first = stack.pop(), stack.pop()
            result = BINARY[op](first, second)
            dead = dead or result is None
            stack.append(int(result or 0) & M64)
            code += bytes([op])
        elif choice == 3:
            op = draw(st.sampled_from(sorted(UNARY)))
            stack.append(UNARY[op](stack.pop()) & M64)
            code += bytes([op])
        elif choice == 4:
            depth = draw(st.integers(0, len(stack) - 1))
            code += bytes([0x15, depth])
            stack.append(stack[-1 - depth])
        elif len(stack) > 2:
            code += bytes([0x17])
            top, second, third = stack.pop(), stack.pop(), stack.pop()
            stack += [top, third, second]
    return code, None if dead else stack[-1]


@given(programs())
def test_expressions_have_the_value_of_the_plainest_evaluator(program: tuple[bytes, int | None]) -> None:
    code, expected = program
    found = evaluate(code + b"\x9f", Frame())
    if expected is None:
        assert isinstance(found, Unavailable)
        assert "divides by zero" in found.reason
    else:
        assert found == Value(expected)
        assert evaluate(code, Frame()) == Memory(expected)


@given(st.binary(max_size=60), st.binary(max_size=8))
@settings(max_examples=400)
def test_any_bytes_are_an_expression(code: bytes, memory: bytes) -> None:
    frame = Frame(0, {number: number * 8 for number in range(0, 64, 2)}, dict(enumerate(memory)), 64)
    for context in (None, Unit()):
        found = evaluate(code, frame, context, (5,))
        got = contents(found, 16, frame)
        assert len(got.data) == 16
        assert all(0 <= gap.start < gap.end <= 128 for gap in got.gaps)
        assert len(part(found, 3, 5).parts) < 100 if isinstance(part(found, 3, 5), Pieces) else True


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (b"", OptimisedOut()),
        (bytes([0x5A]), Register(10)),
        (bytes([0x90, 42]), Register(42)),
        (bytes([0x7A]) + sleb(-16), Memory(984)),
        (bytes([0x92, 10]) + sleb(8), Memory(1008)),
        (bytes([0x91]) + sleb(-24), Memory(0x2000 - 24)),
        (bytes([0x9C, 0x23, 8]), Memory(0x2008)),
        (bytes([0x03]) + struct.pack("<Q", 0x80001234), Memory(0x80001234)),
        (bytes([0xA1, 3]), Memory(0x80000018)),
        (bytes([0xFB, 3]), Memory(0x80000018)),
        (bytes([0x31, 0x9F]), Value(1)),
        (bytes([0x9E, 3, 1, 2, 3]), Implicit(b"\1\2\3")),
        (bytes([0xA0, 0x10, 0, 0, 0, 0x7C]), ImplicitPointer(0x10, -4)),
        (bytes([0x5A, 0x93, 4, 0x5B, 0x93, 4]), Pieces((Piece(Register(10), 32), Piece(Register(11), 32)))),
        (bytes([0x5A, 0x9D, 5, 3]), Pieces((Piece(Register(10), 5, 3),))),
        (bytes([0x5A, 0x06]), Unavailable("its DWARF expression is damaged (its stack is empty)")),
        (bytes([0x08, 0x40, 0x06]), Memory(0x0807060504030201)),
        (bytes([0x08, 0x40, 0x94, 2]), Memory(0x0201)),
        (bytes([0x08, 0x20, 0x06]), Unavailable("memory at 0x20 cannot be read")),
        (bytes([0x75, 0]), OptimisedOut("it depends on x5, which this frame's callees did not save")),
        (bytes([0x35, 0x98, 1, 0, 0x9F]), Value(6)),
        (bytes([0x35, 0x98, 2, 0]), Unavailable("its DWARF expression is damaged (it calls itself)")),
        (bytes([0x2F, 0xFD, 0xFF]), Unavailable("its DWARF expression is damaged (it has no end)")),
        (bytes([0x35, 0x31, 0x28, 1, 0, 0x36, 0x9F]), Value(5)),
        (bytes([0x2F, 0x00, 0x70]), Unavailable("its DWARF expression is damaged (it jumps out of itself)")),
        (bytes([0xA3, 1, 0x5A, 0x9F]), OptimisedOut("it was overwritten")),
        (bytes([0x35, 0x9B]), Memory(0x1005)),
        (bytes([0xE0]), Unavailable("its DWARF expression is damaged (its stack is empty)")),
        (bytes([0xFA, 7, 0, 0, 0, 0x9F]), Value(7)),
        (bytes([0x01]), Unavailable("its DWARF expression is damaged (operation 0x1 is unknown)")),
    ],
)  # fmt: skip
def test_locations(code: bytes, expected: object) -> None:
    memory = {0x40 + index: index + 1 for index in range(8)}
    frame = Frame(0, {4: 0x1000, 10: 1000}, memory, 0x2000)
    assert evaluate(code, frame, Unit()) == expected


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(finite, finite, st.sampled_from([0x1C, 0x1E, 0x22, 0x2D]))
def test_floating_point(one: float, two: float, op: int) -> None:
    code = b"".join(bytes([0xA4, 1, 8]) + struct.pack("<d", value) for value in (one, two))
    found = evaluate(code + bytes([op, 0x9F]), Frame(), Unit())
    assert isinstance(found, Value)
    result = {0x1C: one - two, 0x1E: one * two, 0x22: one + two, 0x2D: one < two}[op]
    expected = int(result) if op == 0x2D else int.from_bytes(struct.pack("<d", result), "little")
    assert found.bits == expected


def test_conversions() -> None:
    def converted(code: bytes) -> object:
        return evaluate(code + b"\x9f", Frame(0, {42: 0xFFFFFFFF3FC00000}), Unit())

    double = bytes([0xA4, 1, 8]) + struct.pack("<d", -2.75)
    assert converted(double + bytes([0xA8, 3])) == Value(0xFFFFFFFE, 4)  # to int: towards zero
    assert converted(double + bytes([0xA8, 0])) == Value(M64 - 1)  # to the generic type
    assert converted(double + bytes([0xA9, 0])) == Value(int.from_bytes(struct.pack("<d", -2.75), "little"))
    assert converted(bytes([0xA5, 42, 2])) == Value(0x3FC00000, 4)  # a float, boxed in a register
    assert converted(bytes([0x09, 0xFF, 0xA8, 4])) == Value(0xFF, 1)
    assert converted(bytes([0x09, 0xFF, 0xA8, 1])) == Value(int.from_bytes(struct.pack("<d", -1.0), "little"))


# ---- reading


bits = st.integers(0, 24)


@given(
    st.lists(st.tuples(st.sampled_from(["register", "value", "memory", "gone"]), bits, bits), min_size=1, max_size=8)
)
def test_pieces_are_put_together_bit_by_bit(rows: list[tuple[str, int, int]]) -> None:
    word = 0x123456789ABCDEF0
    memory = {0x100 + index: word >> 8 * index & 0xFF for index in range(8)}
    frame = Frame(0, {10: word}, memory)
    places = {"register": Register(10), "value": Value(word), "memory": Memory(0x100), "gone": OptimisedOut("gone")}
    location = Pieces(tuple(Piece(places[kind], count, skip) for kind, count, skip in rows))  # type: ignore[arg-type]
    expected: list[int | None] = []
    for kind, count, skip in rows:
        expected += [None if kind == "gone" else word >> (skip + bit) & 1 for bit in range(count)]
    size = 16
    expected = (expected + [None] * size * 8)[: size * 8]
    got = contents(location, size, frame)
    assert known(got, size) == expected
    for offset, length in ((0, 16), (3, 5), (7, 1), (15, 1)):
        inner = contents(part(location, offset, length), length, frame)
        assert known(inner, length) == expected[offset * 8 : (offset + length) * 8]
        assert known(got.part(offset, length), length) == expected[offset * 8 : (offset + length) * 8]


def known(got: Contents, size: int) -> list[int | None]:
    assert len(got.data) == size
    value = int.from_bytes(got.data, "little")
    return [None if got.gap(bit, bit + 1) else value >> bit & 1 for bit in range(size * 8)]


def test_what_cannot_be_read_is_said() -> None:
    frame = Frame(0, {10: 5}, {0x100: 1, 0x101: 2})
    got = contents(Memory(0x100), 4, frame)
    assert (got.data, got.complete) == (b"\1\2\0\0", False)
    assert [(gap.start, gap.end, gap.optimised) for gap in got.gaps] == [(16, 32, False)]
    got = contents(Register(10), 16, frame)
    assert got.data == (5).to_bytes(16, "little")
    assert [(gap.start, gap.end, gap.optimised) for gap in got.gaps] == [(64, 128, True)]
    assert "x11" in got.gaps[0].reason
    gone = contents(ImplicitPointer(1, 2), 8, frame)
    assert gone.gaps[0].pointer
    assert contents(Value(M64, 4), 4, frame) == Contents(b"\xff" * 4)


# ---- in a program: entry values


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> SymbolTable:
    path = compiled(tmp_path_factory.mktemp("locations"), ["scopes.c", "elsewhere.c"], "-O2", "-gdwarf-5")
    return SymbolTable([path.read_bytes()])


def place_of(debug: DebugInfo, function: str, name: str, text: bytes) -> tuple[DebugVariable, int]:
    """Return a variable and an address where its expression contains some bytes."""
    from rrdbg.symbols.dwarf import codes as D
    from rrdbg.symbols.dwarf.lists import location_at

    (scope,) = debug.function_named(function)
    for pc in range(scope.low_pc, scope.ranges[0][1], 2):
        for variable in (*debug.arguments(scope, pc), *debug.locals(scope, pc)):
            if variable.name == name and text in (location_at(variable.die[1], D.AT_LOCATION, pc) or b""):
                return variable, pc
    raise AssertionError(f"{name} has no such place in {function}")


def test_what_a_function_was_called_with(program: SymbolTable) -> None:
    debug = program.debug
    variable, pc = place_of(debug, "recurse", "n", b"\xa3")
    (outer,) = debug.function_named("main_loop")
    calls = [at for at in range(outer.low_pc, outer.ranges[-1][1]) if (site := debug.call_site(at))
             and site.target == "recurse"]  # fmt: skip
    assert calls
    # the caller passes a value that it keeps in memory or a register: found through its description of the call
    stack = {0x2000 - offset: 0 for offset in range(1, 400)} | {0x2000 - 136 + index: byte for index, byte in
                                                                enumerate((13).to_bytes(8, "little"))}  # fmt: skip
    caller = Frame(calls[0] - 1, dict.fromkeys(range(1, 32), 13), stack, 0x2000)
    found = debug.locate(variable, Frame(pc, {}, {}, 0x1000, caller))
    assert found == Value(13 & 7)
    # recursion: the caller is the function itself, whose own argument comes from further out
    (inner,) = [at for at in range(pc - 40, pc + 60) if (site := debug.call_site(at)) and site.target == "recurse"]
    middle = Frame(inner - 1, {}, {}, 0x1800, caller)
    assert debug.locate(variable, Frame(pc, {}, {}, 0x1000, middle)) == Value((13 & 7) - 1 & M64)


def test_why_an_overwritten_argument_is_not_known(program: SymbolTable) -> None:
    debug = program.debug
    variable, pc = place_of(debug, "recurse", "n", b"\xa3")
    reasons = {
        "what called the function is not known": None,
        "the caller does not describe its call": Frame(0x8000_0000, {}),
    }
    for reason, caller in reasons.items():
        found = debug.locate(variable, Frame(pc, {}, {}, 0x1000, caller))
        assert isinstance(found, OptimisedOut)
        assert reason in found.reason
    # a call of tail(), which jumps to shadow(), does not lead to recurse()
    found = debug.locate(variable, Frame(pc, {}, {}, 0x1000, Frame(call_of(debug, "tail") - 1, {}, {}, 0x2000)))
    assert isinstance(found, OptimisedOut)
    assert "a tail call hides" in found.reason


def call_of(debug: DebugInfo, function: str) -> int:
    """Return where main_loop's call of a function returns to."""
    (outer,) = debug.function_named("main_loop")
    addresses = range(outer.low_pc, outer.ranges[-1][1])
    return next(at for at in addresses if (call := debug.call_site(at)) and call.target == function)


def test_what_a_function_was_jumped_to_with(program: SymbolTable) -> None:
    """hop(a) leaves by a jump to recurse(a & 3, ...): the call that returns to main_loop was hop's."""
    debug = program.debug
    variable, pc = place_of(debug, "recurse", "n", b"\xa3")
    memory = {0x2000 - offset: 7 for offset in range(1, 400)}
    caller = Frame(call_of(debug, "hop") - 1, dict.fromkeys(range(1, 32), 7), memory, 0x2000)
    assert debug.locate(variable, Frame(pc, {}, {}, 0x1000, caller)) == Value(7 & 3)


def test_variable_length_arrays(tmp_path: Path) -> None:
    from rrdbg.symbols.types import declare

    path = compiled(tmp_path, ["scopes.c", "elsewhere.c"], "-O0", "-gdwarf-5")
    debug = SymbolTable([path.read_bytes()]).debug
    (scope,) = debug.function_named("vla")
    pc = scope.ranges[0][1] - 8
    values = {variable.name: variable for variable in debug.locals(scope, pc)}
    assert declare(values["values"].type, "v") == "int v[]"
    # the length is a number in the frame, one less than the elements
    memory = {0x2000 - offset: 0 for offset in range(1, 400)}
    frame = Frame(pc, {8: 0x2000, 2: 0x1E00}, memory, 0x2000)
    assert declare(debug.concrete(values["values"].type, frame), "v") == "int v[1]"
    assert declare(debug.concrete(values["text"].type, frame), "t") == "char t[1][3]"
