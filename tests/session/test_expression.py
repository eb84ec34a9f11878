"""Expressions mean what C and gdb say."""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdbg.session.errors import NotFound, UsageError
from rrdbg.session.expression import parse
from rrdbg.session.numbers import I64, U64, Value

M64 = (1 << 64) - 1


@dataclass
class FakeContext:
    """Registers, symbols and memory from dictionaries."""

    registers: dict[str, int] = field(default_factory=dict)
    symbols: dict[str, int] = field(default_factory=dict)
    memory: bytes = bytes(range(1, 65))

    def register(self, name: str) -> Value:
        if name not in self.registers:
            raise NotFound(f"no register ${name}")
        return Value(I64.fit(self.registers[name]), I64)

    def symbol(self, name: str) -> int:
        if name not in self.symbols:
            raise NotFound(f"no symbol {name}")
        return self.symbols[name]

    def load(self, address: int, size: int) -> int:
        return int.from_bytes(self.memory[address - 0x1000 : address - 0x1000 + size], "little")


CONTEXT = FakeContext({"a0": 5, "t0": M64, "sp": 0x1010}, {"main": 0x8000_0000, "table": 0x1000, "a.b": 7})


def number(text: str) -> int:
    return parse(text).evaluate(CONTEXT).number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("1_000", 1000),
        ("0x8000_0000", 0x8000_0000),
        ("0b101", 5),
        ("007", 7),
        ("'a'", 97),
        (r"'\n'", 10),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("~0", -1),
        ("1 << 4 | 1", 17),
        ("-8 >> 1", -4),
        ("6 & 3 ^ 1", 3),
        ("1 < 2 == 1", 1),
        ("!5", 0),
        ("$a0 + 1", 6),
        ("$t0 < 0", 1),
        ("(u64)$t0 < 0", 0),
        ("$a0 == 5 && $t0 == -1", 1),
        ("$a0 == 4 || 0", 0),
        ("$a0 ? 3 : 4", 3),
        ("0 ? 1 : 0 ? 2 : 3", 3),
        ("main + 8", 0x8000_0008),
        ("&main", 0x8000_0000),
        ("a.b", 7),
        ("*(u8*)table", 1),
        ("*(uint32_t *)table", 0x04030201),
        ("*(u16*)(table + 2)", 0x0403),
        ("*((u16*)table + 1)", 0x0403),
        ("((u16*)table)[1]", 0x0403),
        ("*(unsigned char *)(table+1)", 2),
        ("*table", struct.unpack("<q", bytes(range(1, 9)))[0]),
        ("*(u8*)$sp", 0x11),
        ("(i8)255", -1),
        ("(u8)-1", 255),
        ("(int)0xffffffff", -1),
        ("(unsigned long)-1 == 0xffffffffffffffff", 1),
        ("&*(u8*)table", 0x1000),
        ("&((u32*)table)[2]", 0x1008),
        ("(u32*)0x20 - (u32*)0x10", 4),
        ("sizeof_free == 1 || 1", None),
    ],
)
def test_value(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(NotFound):
            number(text)
    else:
        assert number(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1 +", "(1", "1 2", "$", "@", "*(u8*)", "&5", "1 / 0", "0x1" + "0" * 16, "'ab", "(" * 500]
)
def test_mistake(text: str) -> None:
    with pytest.raises(UsageError):
        number(text)


def test_short_circuit() -> None:
    assert number("0 && nosuch") == 0
    assert number("1 || nosuch") == 1


def test_place() -> None:
    place = parse("*(u32*)(table + 4)").place
    assert place is not None
    address, kind = place(CONTEXT)
    assert (address, kind.size, kind.signed) == (0x1004, 4, False)
    assert parse("main").symbol == "main"
    assert parse("$a0").register == "a0"
    assert parse("$a0 + 1").register == ""


@given(
    st.integers(-(2**63), 2**64 - 1), st.integers(-(2**63), 2**64 - 1), st.sampled_from(["+", "-", "*", "&", "|", "^"])
)
def test_wraps_to_64_bits(x: int, y: int, operator: str) -> None:
    value = parse(f"({x}) {operator} ({y})").evaluate(CONTEXT)
    assert value.bits == eval(f"({x}) {operator} ({y})") & M64
    assert value.type in (I64, U64)


@given(st.text(max_size=30))
def test_never_a_traceback(text: str) -> None:
    with contextlib.suppress(UsageError, NotFound):
        parse(text).evaluate(CONTEXT)
