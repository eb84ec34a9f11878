"""Guest images: what is loaded where, and one clear error for what cannot be."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from rrdbg_core.cpu import layout as L
from rrdbg_core.machine import loader
from rrdbg_core.machine.config import ImageRef, MachineConfig
from rrdbg_core.machine.loader import BadImage
from rrdbg_core.machine.machine import Machine
from rrdbg_core.machine.source import FOREVER, ReplaySource

from tests.machine.elf import elf

RAM = 0x8000_0000
CODE = bytes.fromhex("13000000") * 4  # nop


def _machine(data: bytes, kind: str = "elf", load_address: int | None = None, **config: object) -> Machine:
    ref = ImageRef(kind=kind, digest="x", name="guest", load_address=load_address)  # type: ignore[arg-type]
    made = MachineConfig(ram_bytes=1 << 20, images=(ref,), **config)  # type: ignore[arg-type]
    return Machine(made, {"x": data}, ReplaySource([], FOREVER))


def _pc(machine: Machine) -> int:
    return int(machine.core.hart[L.PC])


def test_segments_go_to_their_physical_addresses_and_end_in_zeros() -> None:
    machine = _machine(elf([(RAM, CODE, 16), (RAM + 0x2000, b"data", 0x100)]))
    assert machine.memory.read(RAM, 16) == CODE
    assert machine.memory.read(RAM + 0x2000, 0x100) == b"data".ljust(0x100, b"\0")


def test_the_page_of_elf_headers_below_ram_is_dropped() -> None:
    # what `ld -Ttext=0x80000000` makes; QEMU drops it as well
    machine = _machine(elf([(RAM - 0x1000, b"\x7fELF".ljust(0x1000, b"h") + CODE, 0x1010)]))
    assert machine.memory.read(RAM, 16) == CODE
    assert _pc(machine) == RAM


def test_the_hart_starts_at_the_start_of_ram_if_something_is_loaded_there() -> None:
    # as with QEMU's -bios none, whatever e_entry says
    assert _pc(_machine(elf([(RAM, CODE, 16)], entry=RAM + 8))) == RAM
    assert _pc(_machine(elf([(RAM, CODE, 16)], entry=0))) == RAM


def test_an_image_elsewhere_starts_at_its_entry_point() -> None:
    assert _pc(_machine(elf([(RAM + 0x2_0000, CODE, 16)], entry=RAM + 0x2_0004))) == RAM + 0x2_0004
    assert _pc(_machine(CODE, "raw", RAM + 0x4000)) == RAM + 0x4000


def test_an_entry_that_the_user_gives_wins() -> None:
    assert _pc(_machine(elf([(RAM, CODE, 16)]), entry=RAM + 4)) == RAM + 4


def test_intel_hex_with_each_kind_of_record() -> None:
    def record(offset: int, kind: int, payload: bytes) -> str:
        body = bytes([len(payload)]) + struct.pack(">HB", offset, kind) + payload
        return ":" + (body + bytes([-sum(body) & 255])).hex().upper() + "\n"

    text = record(0, 4, b"\x80\x00") + record(0x10, 0, b"abcd") + record(0, 2, b"\x10\x00")
    segments = loader.load("hex", (text + record(0x20, 0, b"ef") + record(0, 1, b"")).encode(), "x").segments
    assert [(s.address, s.data) for s in segments] == [(RAM + 0x10, b"abcd"), (0x1_0020, b"ef")]
    entry = record(0, 4, b"\x80\x00") + record(0, 0, CODE) + record(0, 5, struct.pack(">I", RAM + 4))
    assert loader.load("hex", entry.encode(), "x").entry == RAM + 4
    broken = record(0, 0, b"abcd").replace("61", "62")
    with pytest.raises(BadImage, match=r"line 1 .* checksum"):
        loader.load("hex", broken.encode(), "x")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (elf([(RAM, CODE, 16)], bits=1), "a 32-bit ELF"),
        (elf([(RAM, CODE, 16)], endian=2), "a big-endian ELF"),
        (elf([(RAM, CODE, 16)], machine=62), "an ELF for machine 62, not RISC-V"),
        (elf([(RAM, CODE, 16)], kind=1), "not an executable"),
        (elf([]), "no program headers"),
        (elf([(RAM, CODE, 0)]), "no segment to load"),
        (elf([(RAM, CODE, 16)])[:100], "cut off"),
        (elf([(RAM, CODE, 16)])[:30], "the ELF header is cut off"),
        (elf([(RAM, CODE, 16)])[:-1], "segment 0 is cut off"),
        (elf([(RAM, CODE, 8)]), "cut off"),
        (elf([(0x1000, CODE, 16)]), "nothing in the image lies in RAM"),
        (elf([(RAM + 0xF_FFF8, CODE, 16)]), "outside RAM"),
        (elf([(RAM, CODE, 1 << 62)]), "outside RAM"),
        (elf([((1 << 64) - 8, CODE, 16)]), "outside RAM"),
        (elf([(RAM + 0x2000, CODE, 16)], entry=0), "the first instruction, 0x0, does not lie in RAM"),
    ],
)
def test_what_cannot_be_loaded_is_told(data: bytes, text: str) -> None:
    with pytest.raises(BadImage) as caught:
        _machine(data)
    assert text in str(caught.value)
    assert caught.value.exit_code == 64


def test_every_prefix_of_an_elf_loads_or_is_refused() -> None:
    whole = elf([(RAM, CODE, 16), (RAM + 0x100, b"x" * 50, 80)], symbols={"tohost": RAM + 0x100, "other": 1})
    for size in range(len(whole)):
        try:
            loader.load("elf", whole[:size], "guest")
        except BadImage:
            continue


def test_the_symbols_of_htif_are_found() -> None:
    data = elf([(RAM, CODE, 16)], symbols={"main": RAM, "tohost": RAM + 64, "fromhost": RAM + 72, "tohost2": 5})
    assert loader.load("elf", data, "guest").symbols == {"tohost": RAM + 64, "fromhost": RAM + 72}


def test_formats_are_told_apart() -> None:
    assert loader.detect(Path("x"), b"\x7fELF", None) == "elf"
    assert loader.detect(Path("x.bin"), b"abc", None) == "raw"
    assert loader.detect(Path("x.hex"), b":00", None) == "hex"
    assert loader.detect(Path("x"), b"abc", RAM) == "raw"
    with pytest.raises(BadImage, match="not an ELF file"):
        loader.detect(Path("x"), b"abc", None)
