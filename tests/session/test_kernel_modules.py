"""Modules of a kernel: their list and their symbols in memory, wherever struct module has them."""

from __future__ import annotations

import random
import struct

import pytest

from rrdbg.session.kernel_modules import Module, modules_of, symbols_of
from rrdbg.symbols.table import Part

HEAD, AREA = 0xFFFF_FFFF_8120_0000, 0xFFFF_FFFF_0200_0000
SIZE = 1 << 20


class Memory:
    """A kernel with modules."""

    def __init__(self, seed: int, names: list[str], *, kallsyms_at: int) -> None:
        self.rng = random.Random(seed)
        self.area = bytearray(self.rng.randbytes(SIZE))
        self.head = bytearray(16)
        self.names = names
        self.places = [AREA + 0x8000 * (number + 1) for number in range(len(names))]
        self.functions = {}
        links = [HEAD, *(place + 8 for place in self.places), HEAD]
        self.head[:8] = struct.pack("<Q", links[1])
        for number, (name, place) in enumerate(zip(names, self.places, strict=True)):
            self.put(place, bytes(0x8000))
            self.put(place + 8, struct.pack("<QQ", links[number + 2], links[number]) + name.encode().ljust(56, b"\0"))
            # pointers to something else come first
            self.put(place + 96, struct.pack("<QQQ", place, place + 0x400, AREA + 1))
            self.put(place + kallsyms_at, struct.pack("<Q", place + 0x1000))
            rows, strings = bytes(24), b"\0"
            for symbol, info, value in (
                (f"{name}_init", 2, place + 0x4000),
                (f"{name}_exit", 0x12, place + 0x4040),
                (f"{name}_state", 1, place + 0x5000),
                (".Lloop", 0, place + 0x4044),
                ("$xrv64i2p1", 0, place + 0x4000),
                ("printk", 0x10, 0),
            ):
                rows += struct.pack("<IBBHQQ", len(strings), info, 0, 5 if value else 0, value, 0x40 if value else 0)
                strings += symbol.encode() + b"\0"
            self.put(place + 0x2000, rows)
            self.put(place + 0x3000, strings)
            fields = struct.pack("<QIIQQ", place + 0x2000, len(rows) // 24, 0, place + 0x3000, place + 0x3800)
            self.put(place + 0x1000, fields)

    def put(self, address: int, data: bytes) -> None:
        self.area[address - AREA : address - AREA + len(data)] = data

    def read(self, address: int, length: int) -> bytes:
        if HEAD <= address < HEAD + 16:
            return bytes(self.head[address - HEAD :][:length])
        start = address - AREA
        return bytes(self.area[start : start + length]) if 0 <= start <= SIZE else b""


@pytest.mark.parametrize("kallsyms_at", [864, 520, 1600])
def test_modules_and_their_symbols(kallsyms_at: int) -> None:
    memory = Memory(1, ["ext4", "virtio_blk", "crc32c-generic"], kallsyms_at=kallsyms_at)
    found = list(modules_of(HEAD, memory.read))
    assert [(place, name.rstrip(b"\0").decode()) for place, name in found] == list(
        zip(memory.places, memory.names, strict=True)
    )
    for place, name in zip(memory.places, memory.names, strict=True):
        rows = symbols_of(place, memory.read)
        assert rows is not None
        assert [row.name for row in rows.starting_with("", 9)] == [
            f"{name}_{what}" for what in ("exit", "init", "state")
        ]
        inside = rows.around(place + 0x4050)
        assert inside is not None
        assert (inside.name, inside.kind, inside.size) == (f"{name}_exit", "function", 0x40)


def test_a_module_is_there_while_its_name_is() -> None:
    memory = Memory(2, ["jbd2"], kallsyms_at=864)
    ((place, name),) = modules_of(HEAD, memory.read)
    module = Module(place, name, Part("jbd2", b""))
    assert module.is_loaded(memory.read)
    memory.put(place + 24, b"mbcache\0")
    assert not module.is_loaded(memory.read)


def test_lists_that_lead_nowhere_end() -> None:
    memory = Memory(3, ["a", "b"], kallsyms_at=864)
    memory.put(memory.places[1] + 8, struct.pack("<Q", memory.places[0] + 8))  # round and round, past the head
    assert len(list(modules_of(HEAD, memory.read))) <= 1024
    memory.put(memory.places[0] + 24, b"\xff\x01")
    assert list(modules_of(HEAD, memory.read)) == []
    assert list(modules_of(0xFFFF_FFFF_0000_0000, memory.read)) == []


def test_a_list_that_leads_to_a_program_ends_there() -> None:
    """What the lower half holds is not the kernel's, whatever it looks like."""
    low = 0x1_0000
    module = struct.pack("<QQQ", 0, HEAD, HEAD) + b"ext4".ljust(56, b"\0")

    def read(address: int, length: int) -> bytes:
        if address == HEAD:
            return struct.pack("<Q", low + 8)
        return module[address - low :][:length] if low <= address < low + len(module) else b""

    assert list(modules_of(HEAD, read)) == []


@pytest.mark.parametrize(
    "fields",
    [
        (0x2000, 0, 0x3000),  # no symbols
        (0x2018, 6, 0x3000),  # the first one is not empty
        (0x2000, 7, 0x3001),  # nor is the first name
        (0x2000, 1 << 19, 0x3000),  # more than there is
        (-(1 << 40), 7, 0x3000),  # nothing is mapped there
    ],
)
def test_what_is_no_table_of_symbols(fields: tuple[int, int, int]) -> None:
    memory = Memory(4, ["ext4"], kallsyms_at=864)
    table, count, names = fields
    place = memory.places[0]
    memory.put(place + 0x1000, struct.pack("<QQQ", place + table, count, place + names))
    assert symbols_of(place, memory.read) is None
