"""Operators, promotions and conversions are C's: random constant expressions, held against what GCC makes of them."""

from __future__ import annotations

import random
import subprocess

import pytest

from rrdbg.session.ctypes_values import integer
from rrdbg.session.expression import parse
from tests.symbols.compilers import GCC, need

from .static import Static

COUNT = 1500
INTEGERS = (
    *("char", "signed char", "unsigned char", "short", "unsigned short", "int", "unsigned", "long", "unsigned long"),
)
NUMBERS = (0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 65535, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 63)
BINARY = ("+", "-", "*", "&", "|", "^", "==", "!=", "<", "<=", ">", ">=", "&&", "||")


def number(chance: random.Random) -> str:
    value = chance.choice([*NUMBERS, chance.getrandbits(8), chance.getrandbits(31), chance.getrandbits(63)])
    if value >> 63:
        return f"{value:#x}ul"
    return f"{value}" if chance.randrange(3) else f"{value:#x}{chance.choice(['', 'u', 'l', 'ul'])}"


def expression(chance: random.Random, depth: int) -> str:
    """Return an expression that C defines: unsigned where it could overflow, shifts and divisors in range."""
    if depth == 0:
        return chance.choice([number(chance), f"({chance.choice(INTEGERS)}){number(chance)}"])
    inner = [expression(chance, depth - 1) for _ in range(3)]
    match chance.randrange(7):
        case 0:
            return f"{chance.choice('~!')}({inner[0]})"
        case 1:
            return f"({chance.choice(INTEGERS)})({inner[0]})"
        case 2:
            return f"(({inner[0]}) ? ({inner[1]}) + 0ul : ({inner[2]}) + 0ul)"
        case 3:
            return f"(({inner[0]}) {chance.choice(['<<', '>>'])} {chance.randrange(31)})"
        case 4:
            kind = chance.choice(["unsigned", "unsigned long", "long"])
            return f"(({kind})({inner[0]}) {chance.choice('/%')} (({inner[1]}) & 1023 | 1))"
        case _:
            return f"(({inner[0]}) {chance.choice(BINARY)} ({inner[1]}))"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Static]:
    chance = random.Random(20)
    texts = [expression(chance, chance.randrange(1, 4)) for _ in range(COUNT)]
    folder = tmp_path_factory.mktemp("arithmetic")
    lines = [f"unsigned long v{at} = ({text}); char s{at} = sizeof({text});" for at, text in enumerate(texts)]
    (folder / "values.c").write_text("\n".join([*lines, "void _start(void) {}\n"]))
    # -fwrapv: what overflows wraps, as in gdb
    machine = "-march=rv64imac -mabi=lp64 -mcmodel=medany -ffreestanding -nostdlib -static"
    options = f"-g0 -O0 -w -fwrapv {machine} -o values.elf values.c".split()
    subprocess.run([need(GCC), *options], check=True, cwd=folder)
    return texts, Static(folder / "values.elf")


def test_random_expressions(compiled: tuple[list[str], Static]) -> None:
    texts, static = compiled
    for at, text in enumerate(texts):
        symbol = static.symbols.named(f"v{at}")
        assert symbol is not None
        expected = int.from_bytes(static.read(symbol.address, 8), "little")
        assert integer(parse(text).compute(static.scene())) & ((1 << 64) - 1) == expected, text


def test_their_types(compiled: tuple[list[str], Static]) -> None:
    texts, static = compiled
    for at, text in enumerate(texts):
        symbol = static.symbols.named(f"s{at}")
        assert symbol is not None
        assert parse(text).type_in(static.scene()).size == static.read(symbol.address, 1)[0], text
