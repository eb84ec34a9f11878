"""Units and their entries, as pyelftools reads them."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from rrdbg.symbols.dwarf import codes as D
from rrdbg.symbols.dwarf.data import DwarfError, sleb, uleb
from rrdbg.symbols.dwarf.image import ImageDebug
from rrdbg.symbols.dwarf.index import RangeIndex
from rrdbg.symbols.dwarf.lists import ranges_of

from .compilers import compiled

GUESTS = Path(__file__).parents[2] / "guests" / "bin"
FLAGS = (
    "-gdwarf-2 -gstrict-dwarf", "-gdwarf-3 -gstrict-dwarf", "-gdwarf-4", "-gdwarf-5", "-gdwarf-5 -gdwarf64",
    "-gdwarf-5 -flto", "-gdwarf-4 -ffunction-sections -Wl,--gc-sections",
)  # fmt: skip


def check_units(image: bytes) -> int:
    """Compare every entry with pyelftools'; return how many there were."""
    mine = ImageDebug(image)
    theirs = ELFFile(io.BytesIO(image)).get_dwarf_info()
    count = 0
    for unit, other in zip(mine.dwarf.units, theirs.iter_CUs(), strict=True):
        dies = [die for die in other.iter_DIEs() if not die.is_null()]
        assert len(unit.layout.starts) == len(dies)
        for number, expected in enumerate(dies):
            die = unit.die(number)
            count += 1
            name = expected.attributes.get("DW_AT_name")
            assert (die.offset, die.text(D.AT_NAME)) == (expected.offset, name.value.decode() if name else "")
            parent = expected.get_parent()
            assert (die.parent.offset if die.parent else None) == (parent.offset if parent else None)
            assert len(die.abbreviation.attributes) == len(expected.attributes)
            kind = expected.attributes.get("DW_AT_type")
            if kind is not None and kind.form == "DW_FORM_ref4":
                target = die.reference(D.AT_TYPE)
                assert target is not None
                assert target.offset == kind.value + other.cu_offset
        assert [child.offset for child in unit.root.children()] == [child.offset for child in dies[0].iter_children()]
    return count


@pytest.mark.parametrize("flags", FLAGS)
def test_entries_of_a_program(flags: str, tmp_path: Path) -> None:
    assert check_units(compiled(tmp_path, ["scopes.c", "elsewhere.c"], "-O2", *flags.split()).read_bytes()) > 100


@pytest.mark.parametrize("guest", ["heap", "shell"])
def test_entries_of_the_guests(guest: str) -> None:
    assert check_units((GUESTS / f"{guest}.elf").read_bytes()) > 500


@pytest.mark.parametrize("version", [4, 5])
def test_entries_that_llvm_wrote(version: int, tmp_path: Path) -> None:
    tool = shutil.which("rustc")
    if tool is None:
        pytest.skip("rustc is not installed (https://rustup.rs)")
    (tmp_path / "main.rs").write_text("fn main() { std::process::exit(std::env::args().count() as i32); }\n")
    command = [tool, "-g", "-O", "-C", f"dwarf-version={version}", "-C", "panic=abort", "main.rs", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    image = ImageDebug((tmp_path / "main").read_bytes())
    # the standard library is large: the program's own units only
    theirs = ELFFile(io.BytesIO((tmp_path / "main").read_bytes())).get_dwarf_info()
    lists = theirs.range_lists()
    for unit, other in list(zip(image.dwarf.units, theirs.iter_CUs(), strict=False))[:2]:
        dies = [die for die in other.iter_DIEs() if not die.is_null()]
        assert [unit.die(number).text(D.AT_NAME) for number in range(len(dies))] == [
            die.attributes["DW_AT_name"].value.decode() if "DW_AT_name" in die.attributes else "" for die in dies
        ]
        for number, die in enumerate(dies):
            low, high = die.attributes.get("DW_AT_low_pc"), die.attributes.get("DW_AT_high_pc")
            if low is not None and high is not None and low.value > 1 and high.value:
                assert ranges_of(unit.die(number)) == ((low.value, low.value + high.value),)
    assert lists is not None


def test_a_program_that_the_linker_threw_parts_of_away(tmp_path: Path) -> None:
    path = compiled(
        tmp_path, ["types.c", "elsewhere.c"], "-O2", "-gdwarf-5", "-ffunction-sections", "-Wl,--gc-sections"
    )
    image = ImageDebug(path.read_bytes())
    for unit in image.dwarf.units:
        for node in image.functions(unit).all():
            assert all(lo >= 0x8000_0000 for lo, _ in node.ranges)
    assert all(lo >= 0x8000_0000 for lo in image.by_address._starts)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12))
def test_ranges_that_overlap(rows: list[tuple[int, int]]) -> None:
    ranges = [(lo, lo + size, number) for number, (lo, size) in enumerate(rows)]
    index = RangeIndex(ranges)
    for address in range(85):
        assert sorted(index.around(address)) == [n for lo, hi, n in ranges if lo <= address < hi]
    for lo in range(0, 85, 7):
        for hi in range(lo + 1, 86, 11):
            assert sorted(index.overlapping(lo, hi)) == [n for first, end, n in ranges if first < hi and lo < end]


@given(st.integers(-(1 << 70), 1 << 70), st.integers(0, 3))
def test_leb128(number: int, padding: int) -> None:
    data, value = bytearray(), number
    while True:
        byte = value & 0x7F
        value >>= 7
        if value == -(byte >> 6):
            break
        data.append(byte | 0x80)
    fill = 0x7F if byte & 0x40 else 0
    data += bytes([byte | 0x80, *[fill | 0x80] * (padding - 1), fill]) if padding else bytes([byte])
    assert sleb(bytes(data), 0) == (number, len(data))
    if number >= 0:
        assert uleb(bytes(data), 0) == (number, len(data))
    for end in range(len(data)):
        with pytest.raises(DwarfError):
            uleb(bytes(data[:end]), 0)


def test_a_number_without_an_end() -> None:
    with pytest.raises(DwarfError, match="has no end"):
        uleb(b"\x80" * 1_000_000, 0)
