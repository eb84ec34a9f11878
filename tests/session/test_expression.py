"""Expressions mean what C and gdb say."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrdbg.session.errors import NotFound, Unreadable, UsageError
from rrdbg.session.expression import parse
from rrdbg.session.expression_scene import FrameScene, Notebook, World
from rrdbg.session.numbers import I64
from rrdbg.symbols.rows import Symbol
from rrdbg.symbols.table import SymbolTable

M64 = (1 << 64) - 1


CODE, DATA = 0x8000_0000, 0x1000


class State:
    """Registers and memory from dictionaries."""

    pc = address = CODE

    def __init__(self, registers: dict[int, int], memory: bytes) -> None:
        self.registers, self.memory = registers, memory

    def register(self, number: int) -> int | None:
        return self.registers.get(number, 0)

    def read(self, address: int, length: int) -> bytes:
        return self.memory[address - DATA : address - DATA + length] if address >= DATA else b""

    def cfa(self) -> int | None:
        return None

    def caller(self) -> None:
        return None


class Symbols(SymbolTable):
    """Symbols from a dictionary."""

    def __init__(self, symbols: dict[str, int]) -> None:
        super().__init__([])
        kinds = {True: "object", False: "function"}
        self.named = lambda name: (  # type: ignore[assignment]
            Symbol(name, symbols[name], 8, kinds[symbols[name] < CODE]) if name in symbols else None
        )


class Home:
    """Where expressions are evaluated."""

    def __init__(self, registers: dict[int, int], symbols: dict[str, int], memory: bytes = bytes(range(1, 65))) -> None:
        self.state = State(registers, memory)
        self.world = World(Symbols(symbols), lambda name: 3 if name == "mcause" else None, lambda: 7, Notebook())

    def scene(self, *, innermost: bool = False) -> FrameScene:
        return FrameScene(self.world, lambda: self.state)  # type: ignore[arg-type, return-value]


HOME = Home({10: 5, 5: M64, 2: 0x1010}, {"main": CODE, "table": DATA, "a.b": 7})


def number(text: str) -> int:
    return parse(text).evaluate(HOME).number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("1_000", 1000),
        ("0x8000_0000", 0x8000_0000),
        ("0b101", 5),
        ("017", 15),
        ("0", 0),
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
        ("sizeof(int) + sizeof(u64) + sizeof(char[3])", 15),
        ("sizeof(*(u16*)table)", 2),
        ("1 << 31 < 0", 1),
        ("1l << 40", 1 << 40),
        ("1 << 40", 0),
        ("2147483647 + 1", -(1 << 31)),
        ("0xffffffff + 1", 0),
        ("4294967295 + 1", 1 << 32),
        ("(int)-1 < 0u", 0),
        ("(short)0x18000", -0x8000),
        ("(unsigned long long)-1 >> 63", 1),
        ("(long unsigned int)-1 >> 63", 1),
        ("(bool)256", 1),
        ("1.5 + 1 == 2.5", 1),
        ("(int)-2.9", -2),
        ("7 / 2.0 > 3.4", 1),
        ("(1, 2)", 2),
        ("*(u16 *)table@2 == 1 || 1", 1),
        ("(*(u8*)table@4)[2]", 3),
        ("{u16} (table + 2)", 0x0403),
        ("{u8[2]} table == table", 1),
        ("*$sp == *(long*)$sp", 1),
        ("$sp - 16 == table", 1),
        ("$mcause", 3),
        ("$_exitcode", 7),
        ("'main' == main", 1),
        ("-'\\x41' == -65", 1),
        ('"abc"[1]', 98),
        ("(void (*)(int))main == main", 1),
        ("((u32)5)", 5),
        ("(u32)(5)", 5),
        ("(u32)-1", 0xFFFFFFFF),
        ("(table) - 0x1000", 0),
        ("table[0] == *table", 1),
        ("!table", 0),
        ("10 % 4 * 3", 6),
        ("1 ? 2 : 3, 4", 4),
        ("- - 5", 5),
        ("~-1", 0),
    ],
)
def test_value(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(NotFound):
            number(text)
    else:
        assert number(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "(1", "1 2", "@", "*(u8*)", "&5", "1 / 0", "0x1" + "0" * 16, "'ab", "(" * 500, "1+" * 500 + "1",
     "5 % 0", "5@2", "table = 1", "$a0 = 1", "$1 = 2", "$ += 1", "++table", "main(1)", "main()", "u8", "struct x",
     "(struct x)1", "$9", "1.5 & 1", "~1.5", "1.5 % 2", "(u8[2])1", "&$a0", "*1.5", "5[3]", "table.x", "main->x",
     "sizeof", '"abc', "x::", "(u8[99999999])1", "table@99999999", "09", "1e", "1.2.3", "0b12", "&&main"],
)  # fmt: skip
def test_mistake(text: str) -> None:
    with pytest.raises((UsageError, NotFound)):
        number(text)


def test_short_circuit() -> None:
    assert number("0 && nosuch") == 0
    assert number("1 || nosuch") == 1


def test_watched_places() -> None:
    def watched(text: str) -> tuple[int, int]:
        return parse(text).watched(HOME)

    assert watched("*(u32*)(table + 4)") == (0x1004, 4)
    assert watched("0x1008") == (0x1008, 8)
    assert watched("(u16*)0x1008") == (0x1008, 2)
    assert watched("((u16*)table)[3]") == (0x1006, 2)
    assert watched("{u8[6]} table") == (0x1000, 6)
    assert parse("main").symbol == "main"
    assert parse("$a0").register == "a0"
    assert parse("$a0 + 1").register == ""
    with pytest.raises(UsageError, match="register"):
        watched("$a0")


def test_variables_of_the_users_own() -> None:
    home = Home({10: 5}, {"table": DATA})

    def value(text: str) -> int:
        return parse(text).evaluate(home).number

    assert value("$x = $a0 * 2") == 10
    assert value("$x += 5, $x") == 15
    assert value("$x++") == 15
    assert value("--$x") == 15
    assert value("sizeof($x = 99)") == 4
    assert value("$x") == 15
    assert value("$p = (u16*)table, *++$p") == 0x0403
    with pytest.raises(NotFound):
        value("$y")
    with pytest.raises(UsageError, match="read-only"):
        value("$sp = 1")


@given(
    st.integers(-(2**63), 2**64 - 1), st.integers(-(2**63), 2**64 - 1), st.sampled_from(["+", "-", "*", "&", "|", "^"])
)
def test_wraps_to_64_bits(x: int, y: int, operator: str) -> None:
    value = parse(f"(long)({x}) {operator} (long)({y})").evaluate(HOME)
    assert value.bits == eval(f"({x}) {operator} ({y})") & M64
    assert value.type == I64


FRAGMENTS = (
    *"+-*/%&|^~!()[]{}.,?:=@<>",
    *("<<", ">>", "->", "::", "&&", "||", "==", "+=", "++", "..."),
    *("1", "0x10", "1.5", "'a'", '"s"', "$a0", "$", "$$2", "$x", "table", "main", "u8", "struct x", "unsigned"),
    *("sizeof", "const", "(u8*)", "(int)", "'a.c'::x", "0b1", "1e9", "2.5f", "$sp", "x.c::y"),
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(" ".join))
def test_never_a_traceback_over_fragments(text: str) -> None:
    with contextlib.suppress(UsageError, NotFound, Unreadable):
        parse(text).evaluate(HOME)


@given(st.text(max_size=30))
def test_never_a_traceback(text: str) -> None:
    with contextlib.suppress(UsageError, NotFound, Unreadable):
        parse(text).evaluate(HOME)
