"""Lists of names as nm prints them: a kernel's System.map, and /proc/kallsyms."""

from __future__ import annotations

from pathlib import Path

import pytest
from rrdbg_core.errors import ExitCode, RrdbgError

from rrdbg.session.symbol_files import read_symbol_files
from rrdbg.symbols.table import SymbolTable

MAP = """\
ffffffff80000000 T _start
ffffffff80000000 T _text
ffffffff80001000 T do_one_initcall
ffffffff80001000 t .Lanchor
ffffffff80001040 t helper
0000000000000400 A a_size
ffffffff80a00000 D jiffies
ffffffff80a00008 b lock
"""
MODULES = """\
ffffffff02000000 t ext4_sync_fs\t[ext4]
ffffffff02000010 d ext4_state [ext4]
"""


def table(path: Path, text: str, place: str = "") -> SymbolTable:
    path.write_text(text)
    return SymbolTable([b"\\0" * 64], ["Image"], read_symbol_files([f"{path}{place}"]))


def test_a_map_names_addresses(tmp_path: Path) -> None:
    symbols = table(tmp_path / "System.map", MAP)
    helper = symbols.around(0xFFFF_FFFF_8000_1100)
    assert helper is not None
    assert (helper.name, helper.address, helper.kind) == ("helper", 0xFFFF_FFFF_8000_1040, "function")
    first = symbols.around(0xFFFF_FFFF_8000_103F)
    assert first is not None
    assert (first.name, first.size) == ("do_one_initcall", 0x40)
    jiffies = symbols.named("jiffies")
    assert jiffies is not None
    assert (jiffies.kind, jiffies.size) == ("object", 8)
    assert symbols.named("a_size") is None  # a constant of the linker script is no place
    assert symbols.named(".Lanchor") is None
    assert symbols.is_code(0xFFFF_FFFF_8000_1100)
    assert not symbols.is_code(0xFFFF_FFFF_80A0_0000)
    assert [row.name for row in symbols.starting_with("_", 9)] == ["_start", "_text"]


def test_modules_are_named_too(tmp_path: Path) -> None:
    symbols = table(tmp_path / "kallsyms", MAP + MODULES)
    found = symbols.around(0xFFFF_FFFF_0200_0008)
    assert found is not None
    assert (found.name, found.size) == ("ext4_sync_fs", 16)
    assert symbols.named("ext4_state") is not None


def test_a_kernel_that_was_moved(tmp_path: Path) -> None:
    symbols = table(tmp_path / "System.map", MAP, "@0xffffffff9000_0000")
    found = symbols.named("helper")
    assert found is not None
    assert found.address == 0xFFFF_FFFF_9000_1040
    assert symbols.around(0xFFFF_FFFF_9000_1041) == found
    assert symbols.around(0xFFFF_FFFF_8000_1041) is None
    low = table(tmp_path / "low", MAP, "@0x8020_0000")  # where it lies before it translates addresses
    assert low.around(0x8020_1040) is not None
    assert low.around(0xFFFF_FFFF_FFFF_FFFF) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello\n", "no list of symbols"),
        ("ffffffff80000000 T start\nnothing\nof this\nis a symbol\n", "no list of symbols"),
        ("0000000000000000 T _text\n0000000000000000 t x\n", "to root only"),
        # Debian's package of the kernel has this instead of a map
        ("ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n", "no list of symbols"),
        ("ffffffff80000000 A size\n", "names no function"),
    ],
)
def test_what_is_no_list(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RrdbgError, match=said) as error:
        table(tmp_path / "map", text)
    assert error.value.exit_code == ExitCode.USAGE


def test_a_list_that_cannot_be_moved(tmp_path: Path) -> None:
    with pytest.raises(RrdbgError, match="where the kernel begins"):
        table(tmp_path / "map", "ffffffff80001000 T do_one_initcall\n", "@0x80000000")
