"""Symbols in files beside the images: of stripped images, of programs loaded elsewhere. And what is read when."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.session.symbol_files import read_symbol_files
from rrdbg.symbols.places import Fixed
from rrdbg.symbols.table import SymbolFile, SymbolTable

from .compilers import compiled, need

OBJCOPY = "riscv64-unknown-elf-objcopy"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    return compiled(folder, ["scopes.c", "elsewhere.c"], "-O2", "-gdwarf-5", "-Wl,--build-id=sha1")


def objcopy(program: Path, name: str, *flags: str) -> bytes:
    target = program.with_name(name)
    subprocess.run([need(OBJCOPY), *flags, str(program), str(target)], check=True, cwd=program.parent)
    return target.read_bytes()


def test_a_stripped_image_with_its_symbols(program: Path) -> None:
    debug_file = objcopy(program, "program.debug", "--only-keep-debug")
    stripped = objcopy(program, "stripped.elf", "--strip-all", "--add-gnu-debuglink=program.debug")
    alone = SymbolTable([stripped], ["firmware.elf"])
    assert alone.problems() == [
        "firmware.elf: it is stripped: there is no symbol table; they are in program.debug (--symbols)",
        "firmware.elf: it was built without debug information (-g)",
    ]
    whole = SymbolTable([program.read_bytes()])
    helped = SymbolTable([stripped], ["firmware.elf"], [SymbolFile("program.debug", debug_file)])
    assert helped.problems() == []
    main = whole.named("main_loop")
    assert main is not None
    assert helped.named("main_loop") == main
    for pc in range(main.address, main.address + main.size, 6):
        assert helped.around(pc) == whole.around(pc)
        assert helped.line(pc) == whole.line(pc)
        assert [scope.name for scope in helped.debug.scopes(pc)] == [scope.name for scope in whole.debug.scopes(pc)]
        assert (helped.frame_rules(pc) is None) == (whole.frame_rules(pc) is None)


def test_a_program_that_the_guest_loaded_elsewhere(program: Path) -> None:
    data = program.read_bytes()
    delta = 0x1234_0000
    whole = SymbolTable([data])
    moved = SymbolTable([b"a kernel"], ["kernel"], [SymbolFile("app.elf", data, 0x8000_0000 + delta)])
    assert [problem.partition(":")[0] for problem in moved.problems()] == ["kernel", "kernel"]
    main = whole.named("main_loop")
    there = moved.named("main_loop")
    assert main is not None
    assert there is not None
    assert there.address == main.address + delta
    assert moved.around(main.address) is None
    for pc in range(main.address, main.address + main.size, 6):
        line, other = whole.line(pc), moved.line(pc + delta)
        assert line is not None
        assert other is not None
        assert (other.address - delta, other.stop - delta, other.line) == (line.address, line.stop, line.line)
        for scope, shifted in zip(whole.debug.scopes(pc), moved.debug.scopes(pc + delta), strict=True):
            assert shifted.low_pc == scope.low_pc + delta
            assert shifted.ranges == tuple((lo + delta, hi + delta) for lo, hi in scope.ranges)
            for variable, twin in zip(
                (*whole.debug.arguments(scope, pc), *whole.debug.locals(scope, pc)),
                (*moved.debug.arguments(shifted, pc + delta), *moved.debug.locals(shifted, pc + delta)),
                strict=True,
            ):
                place, expected = moved.debug.place(twin, pc + delta), whole.debug.place(variable, pc)
                if isinstance(expected, Fixed):
                    expected = Fixed(expected.address + delta)
                assert place == expected
    where = whole.debug.global_variable("a_global")
    assert where is not None
    address = whole.debug.place(where, 0)
    assert isinstance(address, Fixed)
    found = moved.debug.variable_at(address.address + delta)
    assert found is not None
    assert found.name == "a_global"
    row = next(iter(moved.line_addresses("scopes.c", 13)))
    assert row - delta in whole.line_addresses("scopes.c", 13)
    extent, twin_extent = whole.frame_extent(main.address), moved.frame_extent(main.address + delta)
    assert extent is not None
    assert twin_extent == (extent[0] + delta, extent[1] + delta)


def test_a_file_of_another_build_is_told(program: Path, tmp_path: Path) -> None:
    other = compiled(tmp_path, ["scopes.c", "elsewhere.c"], "-O0", "-gdwarf-5", "-Wl,--build-id=sha1")
    table = SymbolTable([program.read_bytes()], ["a.elf"], [SymbolFile("b.elf", other.read_bytes())])
    assert table.problems() == ["b.elf: its build-id is that of no image of the trace: what it says may be wrong"]


def test_names_of_files(program: Path, tmp_path: Path) -> None:
    (plain,) = read_symbol_files([program])
    assert (plain.name, plain.address, plain.data) == (program.name, None, program.read_bytes())
    (moved,) = read_symbol_files([f"{program}@0x8020_0000"])
    assert (moved.name, moved.address) == (program.name, 0x8020_0000)
    strange = tmp_path / "odd@123"
    strange.write_bytes(program.read_bytes())
    (whole,) = read_symbol_files([strange])
    assert (whole.name, whole.address) == ("odd@123", None)
    with pytest.raises(RrdbgError, match="cannot read symbols from nosuch") as missing:
        read_symbol_files(["nosuch"])
    assert missing.value.exit_code == ExitCode.NOT_FOUND
    text = tmp_path / "text"
    text.write_text("hello")
    with pytest.raises(RrdbgError, match="is not an ELF file"):
        read_symbol_files([text])
    with pytest.raises(RrdbgError, match="'there' is no address"):
        read_symbol_files([f"{program}@there"])
    foreign = tmp_path / "foreign.elf"
    foreign.write_bytes(program.read_bytes()[:18] + bytes((62, 0)) + program.read_bytes()[20:])
    with pytest.raises(RrdbgError, match="not an ELF file for 64-bit RISC-V"):
        read_symbol_files([foreign])


def test_compressed_sections(program: Path) -> None:
    plain = SymbolTable([program.read_bytes()])
    packed = SymbolTable([objcopy(program, "packed.elf", "--compress-debug-sections=zlib")])
    old = SymbolTable([objcopy(program, "old.elf", "--compress-debug-sections=zlib-gnu")])
    main = plain.named("main_loop")
    assert main is not None
    for table in (packed, old):
        assert [scope.name for scope in table.debug.scopes(main.address)] == ["main_loop"]
        assert table.line(main.address) == plain.line(main.address)
        assert table.problems() == []


def test_only_what_is_asked_for_is_read(program: Path) -> None:
    from rrdbg.symbols.debuginfo import DebugInfo
    from rrdbg.symbols.dwarf.image import ImageDebug
    from rrdbg.symbols.elf import ElfSymbols
    from rrdbg.symbols.lines import LineTable

    image = ImageDebug(program.read_bytes())
    symbols = ElfSymbols(image.sections)
    debug, lines = DebugInfo([(image, 0, symbols)]), LineTable(image)
    assert "units" not in vars(image.dwarf)
    main = symbols.named("main_loop")
    assert main is not None
    scopes = debug.scopes(main.address)
    assert lines.at(main.address) is not None
    assert debug.arguments(scopes[0], main.address)[0].type.size == 8
    read = [unit.name for unit in image.dwarf.units if unit._layout is not None]
    assert read == ["scopes.c"]
    assert [unit.name for unit in image.dwarf.units if image._programs.get(unit.offset)] == ["scopes.c"]
    # a name leads to the units that mention it
    assert debug.global_variable("somewhere") is not None
    assert debug.global_variable("nobody_has_this") is None


def test_units_that_were_read_are_let_go_of(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rrdbg.symbols.dwarf import units

    monkeypatch.setattr(units, "MAX_ENTRIES", 10)
    table = SymbolTable([program.read_bytes()])
    whole = SymbolTable([program.read_bytes()])
    for name in ("main_loop", "count_elsewhere", "recurse", "count_elsewhere"):
        for scope, other in zip(table.debug.function_named(name), whole.debug.function_named(name), strict=True):
            mine = [variable.name for variable in table.debug.locals(scope, scope.low_pc)]
            assert mine == [variable.name for variable in whole.debug.locals(other, other.low_pc)]
            assert str(scope.type) == str(other.type)
