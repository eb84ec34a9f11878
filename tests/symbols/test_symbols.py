"""Symbols and source lines: of well-made images, of stripped and of damaged ones."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rrdbg.symbols.elf import ElfSymbols
from rrdbg.symbols.escape import harmless
from rrdbg.symbols.lines import LineTable
from rrdbg.symbols.table import SymbolTable
from tests.session.elf import BASE, FUNC, NOTYPE, OBJECT, Sym, make_elf

from .compilers import ask_gdb

GUESTS = Path(__file__).parents[2] / "guests" / "bin"
CODE = bytes(range(256)) * 2


def test_the_symbol_around_an_address() -> None:
    symbols = ElfSymbols(make_elf(CODE, [
        Sym("first", BASE, 16), Sym("second", BASE + 16, 8), Sym("inner", BASE + 20, 2),
        Sym("data", BASE + 64, 32, OBJECT), Sym("label", BASE + 128, 0, NOTYPE),
    ]))  # fmt: skip
    expected = {
        0: "first", 15: "first", 16: "second", 20: "inner", 21: "inner", 22: "second", 24: None, 63: None, 64: "data",
        95: "data", 96: None, 128: "label", 200: "label", 511: "label", 512: None,
    }  # fmt: skip
    for offset, name in expected.items():
        found = symbols.around(BASE + offset)
        assert (found.name if found else None) == name, offset
    assert symbols.around(BASE - 1) is None
    assert symbols.problem == ""


def test_which_name_an_address_has() -> None:
    symbols = ElfSymbols(make_elf(CODE, [
        Sym("label", BASE, 0, NOTYPE), Sym("local", BASE, 8, FUNC, local=True), Sym("function", BASE, 8),
        Sym(".L12", BASE, 8), Sym("$x", BASE, 0, NOTYPE), Sym("__global_pointer$", BASE + 8, 0, NOTYPE),
    ]))  # fmt: skip
    found = symbols.around(BASE + 4)
    assert found is not None
    assert found.name == "function"
    assert symbols.around(BASE + 100) is None
    assert [symbol.name for symbol in symbols.starting_with("", 10)] == ["function", "label", "local"]


def test_names() -> None:
    table = SymbolTable([make_elf(CODE, [Sym("main", BASE, 4), Sym("main", BASE + 8, 4, FUNC, local=True)])])
    found = table.named("main")
    assert found is not None
    assert found.address == BASE
    assert table.named("nosuch") is None
    assert [symbol.name for symbol in table.starting_with("ma", 10)] == ["main", "main"]


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 40)), min_size=1, max_size=12))
def test_a_symbol_that_contains_the_address_is_found(places: list[tuple[int, int]]) -> None:
    rows = [Sym(f"s{i}", BASE + start, size) for i, (start, size) in enumerate(places)]
    symbols = ElfSymbols(make_elf(CODE, rows))
    for address in range(BASE, BASE + 460, 7):
        around = [row for row in rows if row.address <= address < row.address + row.size]
        found = symbols.around(address)
        if found is not None:
            assert found.name in {row.name for row in around}
        else:
            # several layers of nesting may hide an outer one
            assert len([row for row in rows if row.address <= address]) >= 8 or not around


def test_a_stripped_image_says_so() -> None:
    table = SymbolTable([make_elf(CODE)], ["kernel.elf"])
    assert table.around(BASE) is None
    assert table.problems() == [
        "kernel.elf: it is stripped: there is no symbol table",
        "kernel.elf: it was built without debug information (-g)",
    ]
    table = SymbolTable([b"raw bytes"], ["rom\x1b.bin"])
    assert [problem.partition(":")[0] for problem in table.problems()] == ["rom\\x1b.bin"] * 2


def test_names_cannot_reach_the_terminal() -> None:
    name = "evil\x1b[31m\x07\u202e\x9b"
    symbol = ElfSymbols(make_elf(CODE, [Sym(name, BASE, 4)])).around(BASE)
    assert symbol is not None
    assert symbol.name == "evil\\x1b[31m\\x07\\u202e\\x9b" == harmless(name)
    broken = ElfSymbols(make_elf(CODE, [Sym("a\udc80\udcff", BASE, 4)])).around(BASE)
    assert broken is not None
    assert broken.name.isprintable()


@pytest.fixture(scope="module")
def heap() -> bytes:
    return (GUESTS / "heap.elf").read_bytes()


def test_lines_of_a_guest(heap: bytes) -> None:
    table = SymbolTable([heap])
    main = table.named("main")
    assert main is not None
    assert (main.kind, table.problems()) == ("function", [])
    source = (GUESTS.parent / "heap.c").read_text().splitlines()
    line = table.line(main.address)
    assert line is not None
    assert line.file.endswith("heap.c")
    assert source[line.line - 1].startswith("int main")
    inside = table.lines_between(main.address, main.address + main.size)
    assert {"int main" in source[row.line - 1] for row in inside if row.file.endswith("heap.c")} == {True, False}
    assert main.address in table.line_addresses("heap.c", line.line)
    assert table.line_addresses("heap.c", 100_000) == []
    assert table.knows_file("heap.c")
    assert not table.knows_file("nosuch.c")


_GDB_LINE = re.compile(r'Line (\d+) of "(.*)" starts at address (0x\w+) .*and ends at (0x[0-9a-f]+)')


@pytest.mark.oracle
def test_lines_are_what_gdb_says(heap: bytes) -> None:
    table = SymbolTable([heap])
    symbols = [symbol for symbol in table.starting_with("", 1000) if symbol.kind == "function"]
    addresses = [address for symbol in symbols for address in range(symbol.address, symbol.address + symbol.size, 2)]
    told = ask_gdb(GUESTS / "heap.elf", [f"info line *{address:#x}" for address in addresses])
    assert len(addresses) > 1000
    for address, text in zip(addresses, told, strict=True):
        line = table.line(address)
        match = _GDB_LINE.match(text)
        got = (str(line.line), line.file, hex(line.address), hex(line.stop)) if line else None
        assert got == (match.groups() if match else None), (hex(address), text)


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_image_costs_names_at_most(heap: bytes, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(heap)
    for _ in range(rng.choice([1, 10, 200])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    table = SymbolTable([bytes(data)], ["heap.elf"])
    for address in range(BASE, BASE + 4096, 64):
        symbol = table.around(address)
        assert symbol is None or symbol.address <= address
        table.line(address)
    table.line_addresses("heap.c", 10)
    assert all(problem.isprintable() for problem in table.problems())


def test_damaged_line_tables_are_told(heap: bytes) -> None:
    from io import BytesIO

    from elftools.elf.elffile import ELFFile

    section = ELFFile(BytesIO(heap)).get_section_by_name(".debug_line")
    data = bytearray(heap)
    at = section["sh_offset"]
    data[at + 4 : at + 40] = b"\xff" * 36
    table = SymbolTable([bytes(data)], ["heap.elf"])
    assert table.named("main") is not None
    assert any("its debug information is damaged" in problem for problem in table.problems())


@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_any_bytes(data: bytes) -> None:
    for image in (data, b"\x7fELF\x02\x01\x01" + data):
        assert ElfSymbols(image).around(BASE) is None
        assert LineTable(image).at(BASE) is None
