"""Scopes, variables and their places, as gdb has them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from rrdbg.symbols.debuginfo import DebugInfo
from rrdbg.symbols.places import BehindRegister, Constant, Fixed, InRegister
from rrdbg.symbols.scopes import DebugVariable
from rrdbg.symbols.table import SymbolTable

from .compilers import LEVELS, ask_gdb, compiled

GUESTS = Path(__file__).parents[2] / "guests" / "bin"
BUILDS = [
    *product(LEVELS, ("-gdwarf-4", "-gdwarf-5")),
    ("-O2", "-gdwarf-5 -fno-omit-frame-pointer"),
    ("-O2", "-gdwarf-3 -gstrict-dwarf"),
    ("-O2", "-gdwarf-5 -flto"),
]
_X = "x0 ra sp gp tp t0 t1 t2 fp s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6"
_F = "ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11"
NAMES = f"{_X} {_F} ft8 ft9 ft10 ft11".split(" ")
"""gdb's names of the registers by their DWARF numbers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scopes")


def check_scopes(path: Path, stride: int = 1) -> int:
    """Compare what is visible at every statement with gdb's `info scope`; return how many variables that were."""
    table = SymbolTable([path.read_bytes()])
    debug = table.debug
    functions = [symbol for symbol in table.starting_with("", 1000) if symbol.kind == "function"]
    addresses = sorted(
        {row.address for f in functions for row in table.lines_between(f.address, f.address + f.size) if row.statement}
    )[::stride]
    answers = ask_gdb(path, [f"info scope *{address:#x}" for address in addresses])
    count = 0
    for address, told in zip(addresses, answers, strict=True):
        scopes = debug.scopes(address)
        expected = entries(told)
        if not scopes:
            assert not expected, hex(address)
            continue
        scope = scopes[0]
        variables = [*debug.locals(scope, address), *debug.arguments(scope, address)]
        names = [variable.name for variable in variables]
        told_names = [name for name, _, _ in expected]
        # gdb adds variables of blocks that are elsewhere, as optimised out, when GCC wraps an inlined body in a block
        surplus = Counter(told_names)
        surplus.subtract(names)
        gone = Counter(name for name, text, _ in expected if text == "optimized out")
        assert all(0 <= count <= gone[name] for name, count in surplus.items()), (hex(address), scope.name, told)
        # the order within the body; gdb keeps blocks further in in hash tables
        for kind in (debug.arguments(scope, address), debug.locals(scope, address)):
            once = [variable for variable in kind if told_names.count(variable.name) == 1]
            body = [variable.name for variable in once if variable.depth == 0]
            assert body == [name for name in told_names if name in body], (hex(address), told)
        for variable in variables:
            rows = [(text, size) for name, text, size in expected if name == variable.name]
            if len(rows) != 1:
                continue
            text, size = rows[0]
            check_place(debug, variable, address, text)
            if size is not None and variable.type.size:
                assert variable.type.size == size, (hex(address), variable.name)
            count += 1
    return count


def entries(told: str) -> list[tuple[str, str, int | None]]:
    """Return name, place and size of what `info scope` lists."""
    found = []
    for part in re.split(r"^(?=(?:Symbol \S+ is |Scope for ))", told, flags=re.MULTILINE):
        match = re.match(r"Symbol (\S+) is (.*?)(?:, length (\d+))?\.\s*$", part, re.DOTALL)
        if match and not match[2].startswith("a function at"):  # the functions inlined there
            found.append((match[1], match[2].strip(), int(match[3]) if match[3] else None))
    return found


def check_place(debug: DebugInfo, variable: DebugVariable, pc: int, text: str) -> None:
    where = (hex(pc), variable.name, text)
    if text.startswith("multi-location"):
        ranges = re.findall(r"Range (0x[0-9a-f]+)-(0x[0-9a-f]+): (.*?)(?=\n\s*Range|\Z)", text, re.DOTALL)
        text = next((row[2].strip() for row in ranges if int(row[0], 16) <= pc < int(row[1], 16)), "optimized out")
    place = debug.place(variable, pc)
    if text == "optimized out":
        assert place is None, where
    elif match := re.fullmatch(r"a variable in \$(\w+)", text):
        assert place == InRegister(NAMES.index(match[1])), where
    elif match := re.fullmatch(r"(?:in )?static storage at address (0x[0-9a-f]+)", text):
        assert place == Fixed(int(match[1], 16)), where
    elif match := re.fullmatch(r"a variable at (?:frame base reg|offset from register) \$(\w+) offset (\S+)", text):
        offset = sum(int(number) for number in re.findall(r"-?\d+", match[2]))
        assert place == BehindRegister(NAMES.index(match[1]), offset), where
    elif match := re.fullmatch(r"(?:the constant|a constant with value) (-?\d+)(?: \(0x[0-9a-f]+\))?", text):
        assert isinstance(place, Constant), where
        size = min(variable.type.size or 8, 8)
        assert int.from_bytes(place.data[:size], "little") == int(match[1]) & ((1 << 8 * size) - 1), where
    elif text.startswith("constant bytes:"):
        assert place == Constant(bytes.fromhex(text.partition(":")[2])), where
    else:
        assert re.match("a complex DWARF expression|a variable with|an? (?:empty|.*piece)", text) or "+" in text, where


@pytest.mark.oracle
@pytest.mark.parametrize(("level", "flags"), BUILDS)
def test_what_is_visible_at_every_statement(folder: Path, level: str, flags: str) -> None:
    path = compiled(folder, ["scopes.c", "elsewhere.c"], level, *flags.split())
    assert check_scopes(path) > 60


@pytest.mark.oracle
@pytest.mark.parametrize("guest", sorted(path.stem for path in GUESTS.glob("*.elf")))
def test_what_is_visible_in_the_guests(guest: str, tmp_path: Path) -> None:
    copy = tmp_path / f"{guest}.elf"
    copy.write_bytes((GUESTS / f"{guest}.elf").read_bytes())
    assert check_scopes(copy, 3) > 10
