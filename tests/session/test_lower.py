"""Conditions that the engine judges mean what the evaluator says, on random expressions and states."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rrdbg_core.cpu import layout as L
from rrdbg_core.cpu.condition import CannotJudge, Condition, reader
from rrdbg_core.errors import RrdbgError

from rrdbg.session.ctypes_arithmetic import truth
from rrdbg.session.expression import parse
from rrdbg.session.expression_lower import lower

from .test_expression import CODE, DATA, M64, Home

REGISTERS = {"a0": 10, "a1": 11, "t0": 5, "sp": 2}
TYPES = ("u8", "i8", "u16", "short", "int", "unsigned", "long", "u64", "bool", "char")
BINARY = ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "==", "!=", "<", "<=", ">", ">=", "&&", "||")
NUMBERS = st.one_of(st.integers(0, 70), st.integers(0, M64), st.sampled_from([1 << 31, (1 << 31) - 1, (1 << 32) - 1]))

LEAVES = st.one_of(
    NUMBERS.map(str),
    NUMBERS.map(hex),
    st.sampled_from([*(f"${name}" for name in REGISTERS), "$pc", "'z'", "table", "main", "sizeof(int)", "$zero"]),
    st.tuples(st.sampled_from(TYPES), st.integers(0, 40)).map(lambda part: f"*({part[0]} *)(table + {part[1]})"),
    st.tuples(st.sampled_from(TYPES), st.integers(0, 4)).map(lambda part: f"(({part[0]} *)table)[{part[1]}]"),
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(BINARY), inner).map(lambda part: f"({part[0]} {part[1]} {part[2]})"),
        st.tuples(st.sampled_from("-~!+"), inner).map(lambda part: f"{part[0]} ({part[1]})"),
        st.tuples(st.sampled_from(TYPES), inner).map(lambda part: f"({part[0]})({part[1]})"),
        st.tuples(inner, inner, inner).map(lambda part: f"({part[0]} ? {part[1]} : {part[2]})"),
        st.tuples(st.sampled_from(TYPES), inner).map(lambda part: f"(({part[0]} *)table + (({part[1]}) & 7))"),
        st.tuples(st.sampled_from(TYPES), inner).map(lambda part: f"*(({part[0]} *)table + (({part[1]}) & 7))"),
    ),
    max_leaves=8,
)


def judged(condition: Condition, home: Home) -> bool | None:
    """Return what the engine says; None: it cannot judge."""
    hart, mach = [0] * L.HART_WORDS, [0] * L.MACH_WORDS
    for number, value in home.state.registers.items():
        hart[L.X + number] = value

    def read(address: int, size: int) -> int | None:
        data = home.state.read(address, size)
        return int.from_bytes(data, "little") if len(data) == size else None

    try:
        return reader(condition)(hart, mach, CODE, 0, read) != 0
    except CannotJudge:
        return None


def said(text: str, home: Home) -> bool | None:
    """Return what the evaluator says; None: there is no value."""
    try:
        return truth(parse(text).compute(home.scene()))
    except RrdbgError:
        return None


def home_of(seed: int) -> Home:
    chance = random.Random(seed)
    values = {number: chance.choice([0, 1, 5, M64, 1 << 31, 1 << 63, chance.getrandbits(64)]) for number in (10, 11, 5)}
    return Home(values | {2: DATA + 16}, {"main": CODE, "table": DATA}, chance.randbytes(64))


@settings(max_examples=300)
@given(EXPRESSIONS, st.integers(0, 1 << 32))
def test_conditions_say_what_the_evaluator_says(text: str, seed: int) -> None:
    home = home_of(seed)
    condition = lower(parse(text), home.scene(), CODE, lambda address: None)
    expected = said(text, home)
    if condition is not None:
        answer = judged(condition, home)
        # what cannot be judged is evaluated, and so the answer is the evaluator's
        assert answer == expected or answer is None, text
        if expected is None:
            assert answer is None, text


EDGES = """
-5 < 3; (int)$a0 < 0; ~0 >> 1 == -1
(short)$a1 * 3 < 7; 1 << 31 < 0; (i8)$a0 >> 7
-1 < 1u; -1l < 1u; (unsigned)-1 < 0
(u8)$t0 - 300 < 0; (int)$a0 / 3 == (long)(int)$a0 / 3; (int)$a0 % 7 < 0
-7 / 2 == -3; 1 << ($a0 & 40); -1 >> $a1
1u << 32; (char)$a0 == (i8)$a0; *(int *)table < 0
*(i8 *)(table + 3) < 0; (bool)$a0 == 2; 2147483647 + 1 < 0
0xffffffff + 1; (long *)$a0 + 1 == (char *)$a0 + 8; $sp - 16 == table
(int *)$a0 - (int *)$a1 < 0; !!$a0 == ($a0 != 0); ($a0 ? -1 : 0) < 0
$a0 > $a1 == $a1 < $a0; - -$t0 == $t0
"""


@pytest.mark.parametrize("text", re.split(r"[;\n]\s*", EDGES.strip()))
def test_edges(text: str) -> None:
    for seed in range(40):
        home = home_of(seed)
        condition = lower(parse(text), home.scene(), CODE, lambda address: None)
        assert condition is not None
        assert judged(condition, home) == said(text, home)


@pytest.mark.parametrize(
    "text",
    ["$a0 == 5", "*(int *)(table + 4) > 3 && $sp & 1", "((u16 *)table)[$a1 & 3] << 3", "!$t0 || main", "(char)$a0 % 7",
     "*(table + 8)", "*$sp", "$a0 ? $a1 : $t0", "$1 + 1", "sizeof(u64) * 2", "{u32} (table + 4) == 7", "-'a' < $a0"],
)  # fmt: skip
def test_lowered(text: str) -> None:
    home = home_of(1)
    home.world.notebook.remember(parse("7").compute(home.scene()))
    assert lower(parse(text), home.scene(), CODE, lambda address: None) is not None


@pytest.mark.parametrize(
    "text", ["1.5 > $a0", "$x == 1", "nosuch", "main()", "(1, 2)", "table@2", "$x = 1", "(u8[2])1"]
)
def test_evaluated(text: str) -> None:
    home = home_of(1)
    home.world.notebook.variables["x"] = parse("7").compute(home.scene())
    assert lower(parse(text), home.scene(), CODE, lambda address: None) is None
