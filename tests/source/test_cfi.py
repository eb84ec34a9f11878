"""Call frame information, as readelf understands it; and damaged."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from rrdbg_core.isa.registers import DWARF_NAMES

from rrdbg.symbols.cfi import CallFrames, How, Row
from rrdbg.symbols.unwind import Code, Frame

GUESTS = Path(__file__).parents[2] / "guests" / "bin"
READELF = shutil.which("riscv64-unknown-elf-readelf")


def told(image: Path) -> dict[int, tuple[str, dict[str, str]]]:
    """Return readelf's rows: the CFA, and the registers that were saved, by address."""
    assert READELF is not None
    text = subprocess.run(
        [READELF, "--debug-dump=frames-interp", str(image)], check=True, capture_output=True, text=True
    ).stdout
    rows: dict[int, tuple[str, dict[str, str]]] = {}
    names: list[str] = []
    initial = cfa = ""
    for line in text.splitlines():
        if match := re.search(r"FDE .*pc=([0-9a-f]+)\.\.", line):
            names = []
            rows[int(match[1], 16)] = (initial, {})
        elif " CIE " in line:
            names, cfa = [], ""
        elif line.strip().startswith("LOC"):
            names = line.split()[2:]
        elif match := re.match(r"([0-9a-f]{16}) (\S+)\s*(.*)", line):
            cfa = match[2]
            address = int(match[1], 16)
            if address == 0:
                initial = cfa
                continue
            saved = dict(zip(names, match[3].split(), strict=False))
            rows[address] = (cfa, {name: rule for name, rule in saved.items() if rule != "u"})
    return rows


def shown(row: Row) -> tuple[str, dict[str, str]]:
    """Return a row as readelf shows it."""
    assert row.cfa.how is How.BASE
    saved = {
        DWARF_NAMES[number]: f"c{rule.number:+d}" for number, rule in row.registers.items() if rule.how is How.OFFSET
    }
    return f"{DWARF_NAMES[row.cfa.number]}{row.cfa.offset:+d}", saved


@pytest.mark.skipif(READELF is None, reason="no riscv64-unknown-elf-readelf (apt: binutils-riscv64-unknown-elf)")
@pytest.mark.parametrize("guest", sorted(path.stem for path in GUESTS.glob("*.elf")))
def test_rows_are_what_readelf_says(guest: str) -> None:
    path = GUESTS / f"{guest}.elf"
    frames = CallFrames(path.read_bytes())
    rows = told(path)
    assert len(rows) > 20
    for address, expected in rows.items():
        row = frames.row(address)
        assert row is not None
        assert shown(row) == expected, hex(address)
    assert frames.problem == ""
    assert frames.row(0x1000) is None


def section(program: bytes, *, initial: bytes = b"\x0c\x02\x00", letters: bytes = b"") -> bytes:
    """Return a `.debug_frame` with one function from 0x1000 to 0x1100, with some letters for an augmentation."""

    def entry(body: bytes) -> bytes:
        body += bytes(-len(body) % 8)
        return len(body).to_bytes(4, "little") + body

    size = b"\0" if letters else b""  # of what belongs to the augmentation
    common = entry(b"\xff\xff\xff\xff\x01" + letters + b"\x00\x01\x78\x01" + size + initial)
    function = entry(bytes(4) + (0x1000).to_bytes(8, "little") + (0x100).to_bytes(8, "little") + size + program)
    return common + function


class Section(CallFrames):
    """The rows of one section."""

    def __init__(self, data: bytes) -> None:
        super().__init__(b"")
        self._data = data

    def _sections(self) -> list[tuple[str, int, bytes]]:
        return [(".debug_frame", 0, self._data)]


MEMORY = bytes(range(256))


def caller(program: bytes, address: int = 0x1080, letters: bytes = b"") -> Frame | None:
    """Return the caller of a frame whose registers are their numbers times 8."""
    frames = Section(section(program, letters=letters))
    code = Code(frames.row, lambda at: None, lambda at, size: MEMORY[at : at + size])
    return Frame(code, address, tuple(8 * number for number in range(32))).caller()


@pytest.mark.parametrize(
    ("program", "register", "value"),
    [
        (b"\x41\x88\x01", 8, "at 8"),  # offset: s0 at cfa - 8, the cfa being sp, 16
        (b"\x41\x05\x08\x01", 8, "at 8"),  # offset_extended
        (b"\x41\x11\x08\x7f", 8, "at 24"),  # offset_extended_sf
        (b"\x41\x14\x08\x02", 8, 0),  # val_offset: cfa - 16
        (b"\x41\x15\x08\x7e", 8, 32),  # val_offset_sf
        (b"\x41\x09\x08\x0a", 8, 80),  # register: in a0
        (b"\x41\x07\x08", 8, None),  # undefined
        (b"\x41\x88\x01\x41\x08\x08", 8, 64),  # same_value
        (b"\x41\x88\x01\x41\xc8", 8, 64),  # restore
        (b"\x41\x0a\x88\x01\x41\x0b", 8, 64),  # remember_state, restore_state
        (b"\x41\x10\x08\x02\x23\x10", 8, "at 32"),  # expression: plus_uconst 16
        (b"\x41\x16\x08\x02\x23\x10", 8, 32),  # val_expression
        (b"\x41\x0e\x20", 2, 48),  # def_cfa_offset
        (b"\x41\x0c\x08\x10", 2, 80),  # def_cfa: s0 + 16
        (b"\x41\x0d\x08", 2, 64),  # def_cfa_register
        (b"\x41\x0f\x02\x78\x08", 2, 72),  # def_cfa_expression: breg8 8
        (b"\x02\x7f\x0e\x20", 2, 48),  # advance_loc1
        (b"\x03\x7f\x00\x0e\x20", 2, 48),  # advance_loc2
        (b"\x04\x00\x01\x00\x00\x0e\x20", 2, 16),  # advance_loc4, beyond
    ],
)
def test_every_instruction(program: bytes, register: int, value: int | str | None) -> None:
    found = caller(program)
    assert found is not None
    if isinstance(value, str):
        at = int(value.removeprefix("at "))
        value = int.from_bytes(MEMORY[at : at + 8], "little")
    assert found.register(register) == value
    assert found.address == 8  # ra
    assert found.called


@pytest.mark.parametrize("letters", [b"", b"z", b"zS"])
def test_what_a_trap_interrupted_stands_at_its_address_not_behind_a_call(letters: bytes) -> None:
    found = caller(b"\x41\x88\x01", letters=letters)
    assert found is not None
    assert (found.address, found.called) == (8, letters != b"zS")
    assert found.pc == (8 if letters == b"zS" else 7)


def test_a_call_that_did_not_save_ra_has_no_caller() -> None:
    first = caller(b"")
    assert first is not None
    inside = Frame(first.code, 0x1080, first.registers, called=True)
    assert inside.caller() is None


@pytest.mark.parametrize("seed", range(300))
def test_damage_costs_rows_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(section(b"\x41\x0e\x20\x88\x01\x41\x0f\x02\x78\x08\x41\x0a\x0b"))
    for _ in range(rng.randrange(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    frames = Section(bytes(data[: rng.randrange(1, len(data) + 1)]))
    for address in (0x1000, 0x1001, 0x1080, 0x10FF, 0):
        frames.row(address)
        frames.extent(address)


def test_an_endless_chain_ends() -> None:
    """A frame that is its own caller."""
    found = caller(b"")
    assert found is not None
    for _ in range(5):
        assert found is not None
        found = Frame(found.code, 0x1080, found.registers).caller()
