"""Damaged debug information knows less. It never raises, and never takes for ever."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rrdbg.symbols.dwarf.sections import Sections
from rrdbg.symbols.location import contents
from rrdbg.symbols.table import SymbolTable
from rrdbg.symbols.types import ArrayType, StructType, Type, declare, strip

from .compilers import compiled
from .test_locations import Frame

GUEST = Path(__file__).parents[2] / "guests" / "bin" / "heap.elf"
SECTIONS = ("info", "abbrev", "str", "line", "line_str", "loc", "loclists", "ranges", "rnglists", "aranges", "types",
            "str_offsets", "addr", "frame")  # fmt: skip


def look_around(image: bytes, addresses: list[int]) -> int:
    """Ask everything that can be asked, and return how much there was."""
    table = SymbolTable([image], ["damaged.elf"])
    debug, count = table.debug, 0
    memory = {0x2000 + index: index & 255 for index in range(-512, 512)}
    outer = Frame(addresses[0] + 1, dict.fromkeys(range(64), 8192), memory, 0x2100)
    for pc in addresses:
        frame = Frame(pc, {number: 0x2000 + number for number in range(64)}, memory, 0x2000, outer)
        table.line(pc)
        debug.call_site(pc)
        debug.producer(pc)
        debug.language(pc)
        for scope in debug.scopes(pc):
            declare(scope.type, scope.name)
            debug.blocks(scope, pc)
            for variable in (*debug.arguments(scope, pc), *debug.locals(scope, pc)):
                count += 1
                look_at(variable.type, 0)
                kind = debug.concrete(variable.type, frame)
                debug.place(variable, pc)
                got = contents(debug.locate(variable, frame), min(kind.size, 4096), frame)
                assert len(got.data) == min(kind.size, 4096)
        for variable in debug.statics(pc):
            look_at(variable.type, 0)
        debug.variable("result", pc)
    table.lines_between(addresses[0], addresses[-1])
    for name in ("main", "heap", "sink", "header", "GREEN", "u64", "x"):
        table.line_addresses(f"{name}.c", 20)
        debug.function_named(name)
        debug.global_variable(name, addresses[0])
        debug.type_named(f"struct {name}", addresses[-1])
        debug.type_named(name)
        debug.enumerator(name)
        debug.inlined_calls(name)
    debug.variable_at(addresses[0])
    assert all(problem.isprintable() for problem in table.problems())
    return count


def look_at(kind: Type, depth: int) -> None:
    """Walk through a type."""
    declare(kind, "x")
    kind = strip(kind)
    if depth > 3:
        return
    if isinstance(kind, StructType):
        for member in kind.members[:50]:
            look_at(member.type, depth + 1)
        for method in kind.methods[:20]:
            declare(method.type, method.name)
    elif isinstance(kind, ArrayType):
        look_at(kind.element, depth + 1)


def damaged(image: bytes, seed: int) -> bytes:
    """Return an image with bytes of its debug information changed."""
    rng = random.Random(seed)
    data = bytearray(image)
    sections = Sections(image)
    found = [section for name in SECTIONS if (section := sections.find(f".debug_{name}")) and section.size]
    for section in rng.sample(found, rng.choice((1, 1, 2, len(found)))):
        kind = rng.randrange(4)
        for _ in range(rng.choice((1, 3, 30))):
            at = section.offset + rng.randrange(section.size)
            if kind == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[at] = rng.choice((0, 0xFF, 0x80, 0x7F, rng.randrange(256)))
            elif kind == 2:
                size = min(rng.randrange(1, 40), section.offset + section.size - at)
                data[at : at + size] = bytes([rng.choice((0, 0xFF, 0x80))]) * size
            else:
                other = section.offset + rng.randrange(section.size)
                size = min(rng.randrange(1, 200), section.offset + section.size - max(at, other))
                data[at : at + size] = data[other : other + size]
    if rng.random() < 0.15:
        section = rng.choice(found)
        del data[section.offset + rng.randrange(section.size) :]
    return bytes(data)


def addresses_of(image: bytes, step: int) -> list[int]:
    symbols = [symbol for symbol in SymbolTable([image]).starting_with("", 1000) if symbol.kind == "function"]
    return sorted(
        address for symbol in symbols for address in range(symbol.address, symbol.address + symbol.size, step)
    )


@pytest.mark.parametrize("block", range(4))
def test_a_damaged_guest(block: int) -> None:
    image = GUEST.read_bytes()
    addresses = addresses_of(image, 38)
    whole = look_around(image, addresses)
    assert whole > 50
    assert min(look_around(damaged(image, block * 1000 + seed), addresses) for seed in range(12)) < whole


@pytest.mark.parametrize(
    "flags", ["-gdwarf-3 -gstrict-dwarf", "-gdwarf-4 -fdebug-types-section", "-gdwarf-5", "-gdwarf-5 -flto"]
)
def test_a_damaged_program(flags: str, tmp_path: Path) -> None:
    image = compiled(tmp_path, ["scopes.c", "elsewhere.c"], "-O2", *flags.split()).read_bytes()
    addresses = addresses_of(image, 30)
    for seed in range(12):
        look_around(damaged(image, seed), addresses)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", ["-gdwarf-3 -gstrict-dwarf", "-gdwarf-4 -fdebug-types-section", "-gdwarf-5", "-gdwarf-5 -flto"]
)
@pytest.mark.parametrize("source", ["scopes.c", "types.c"])
def test_many_damaged_programs(flags: str, source: str, tmp_path: Path) -> None:
    image = compiled(tmp_path, [source, "elsewhere.c"], "-O2", *flags.split()).read_bytes()
    addresses = addresses_of(image, 30)
    for seed in range(100, 600):
        look_around(damaged(image, seed), addresses)
