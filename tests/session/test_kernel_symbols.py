"""A kernel's own symbols in a session: where they are looked for, which ones count, and where they hold."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import pytest
from rrdbg_core.cpu import layout as L

from rrdbg.session.engine import Engine
from rrdbg.session.symbols_here import SymbolsHere
from rrdbg.symbols.table import SymbolTable
from tests.symbols.kallsyms_writer import Row, some_symbols, written

RAM, SIZE = 0x8000_0000, 8 << 20
IMAGE, COPY, TABLES_AT, ROOT = RAM + (2 << 20), RAM + (6 << 20), 0x8000, RAM + 0x1000
BASE = 0xFFFF_FFFF_8000_0000
MOVED = BASE + (2 << 20)
LINEAR = 0xFFFF_FFD6_0000_0000
V, R, X = 1, 2, 8
ORDERS = pytest.mark.parametrize("order", ["7.2", "6.4"])


class Guest:
    """What `SymbolsHere` needs of an engine."""

    def __init__(self, order: str = "6.4", *, base_field: int | None = None, head: int = 0, size: int = 0) -> None:
        rng, first = random.Random(0), BASE + head
        self.rows: list[Row] = some_symbols(rng, 600, first)
        if size:
            self.rows[-1] = first + size, *self.rows[-1][1:]
        self.tables = written(rng, self.rows, first, order=order, base_field=base_field, behind=TABLES_AT - head)
        assert len(self.tables.data) < self.rows[-1][0] - BASE - TABLES_AT
        self.ram = bytearray(SIZE)
        self.hart = np.zeros(L.HART_WORDS, np.uint64)
        self.mach = np.zeros(L.MACH_WORDS, np.uint64)
        self.mach[L.SUPERVISOR] = 1
        self.hart[L.PRIV] = L.PRIV_S
        self.icount = 0
        self.reads = 0
        self.poll: Callable[[int], None] = lambda icount: None
        self.put(IMAGE + 48, b"RISCV\0\0\0")
        self.put(IMAGE + TABLES_AT, self.tables.data)

    @property
    def function(self) -> tuple[int, str]:
        """Address and name of a function of the kernel."""
        address, _, name = next(row for row in self.rows[3:] if row[1] == "T")
        return address, name

    def put(self, address: int, data: bytes) -> None:
        self.ram[address - RAM : address - RAM + len(data)] = data

    def read(self, address: int, length: int, physical: bool) -> bytes:
        assert physical
        self.reads += length
        start = address - RAM
        return bytes(self.ram[start : start + length]) if 0 <= start <= SIZE else b""

    def page(self, base: int, physical: int) -> None:
        """Translate the addresses of a kernel: a megapage each, through a table in the root's last entries."""
        self.put(ROOT + 8 * (base >> 30 & 511), (((ROOT + 4096) >> 12) << 10 | V).to_bytes(8, "little"))
        for number in range(2):
            pte = ((physical >> 12) + 512 * number) << 10 | V | R | X
            self.put(ROOT + 4096 + 8 * ((base >> 21 & 511) + number), pte.to_bytes(8, "little"))
        self.hart[L.SATP] = 8 << 60 | ROOT >> 12
        self.icount += 1


@contextlib.contextmanager
def work(title: str) -> Iterator[None]:
    yield


def symbols(guest: Guest, images: Sequence[bytes] = (b"raw",)) -> SymbolsHere:
    return SymbolsHere(cast(Engine, guest), SymbolTable(images), lambda: (RAM, SIZE), work)


def place_of(here: SymbolsHere, name: str) -> int | None:
    """Return the address that a name has."""
    found = here.table().named(name)
    return found and found.address


def name_at(here: SymbolsHere, address: int) -> str:
    found = here.table().around(address)
    return found.name if found else ""


@ORDERS
def test_a_kernel_at_its_virtual_addresses(order: str) -> None:
    guest = Guest(order)
    guest.page(BASE, IMAGE)
    here = symbols(guest)
    for address, kind, name in guest.rows[3:200]:
        if kind in "Tt":
            assert place_of(here, name) == address
            assert name_at(here, address) in {row[2] for row in guest.rows if row[0] == address}
    assert name_at(here, IMAGE) == ""  # it is no address any more


def test_nothing_is_read_before_something_is_missing() -> None:
    guest = Guest()
    guest.page(BASE, IMAGE)
    here = symbols(guest)
    here.table()
    assert name_at(here, 0x1000) == ""
    assert name_at(here, RAM) == ""
    assert guest.reads == 0
    assert name_at(here, BASE) != ""
    reads = guest.reads
    assert name_at(here, BASE + 2) != ""
    assert here.table().named("no such name") is None
    assert guest.reads - reads < 4096, "one search is enough"


def test_a_guest_without_a_kernel_is_searched_once() -> None:
    guest = Guest()
    guest.put(IMAGE + TABLES_AT, bytes(len(guest.tables.data)))
    guest.page(BASE, IMAGE)
    here = symbols(guest)
    assert name_at(here, BASE) == ""
    reads = guest.reads
    assert reads >= SIZE
    assert name_at(here, BASE + 64) == ""
    assert here.table().named("other") is None
    assert guest.reads == reads


@ORDERS
def test_before_it_translates_addresses_it_has_two_places(order: str) -> None:
    guest = Guest(order)
    here = symbols(guest)
    address, name = guest.function
    assert name_at(here, IMAGE + address - BASE) != ""
    assert place_of(here, name) == address
    guest.page(BASE, IMAGE)
    assert name_at(here, IMAGE + address - BASE) == ""
    assert name_at(here, address) != ""


def test_m_mode_does_not_look_for_a_kernel_at_an_address() -> None:
    guest = Guest()
    guest.hart[L.PRIV] = L.PRIV_M
    here = symbols(guest)
    assert name_at(here, IMAGE) == ""
    assert guest.reads == 0


@ORDERS
def test_a_kernel_that_moves_itself(order: str) -> None:
    guest = Guest(order)
    here = symbols(guest)
    assert name_at(here, IMAGE) != ""
    if "relative_base" in guest.tables.places:
        guest.put(IMAGE + TABLES_AT + guest.tables.places["relative_base"], MOVED.to_bytes(8, "little"))
    guest.page(MOVED, IMAGE)
    address, name = guest.function
    assert place_of(here, name) == address + MOVED - BASE
    assert name_at(here, BASE) == ""


def test_a_kernel_without_its_base_is_found_when_it_runs() -> None:
    guest = Guest(base_field=0)
    here = symbols(guest)
    assert here.table().named("_end") is None
    guest.put(IMAGE + TABLES_AT + guest.tables.places["relative_base"], BASE.to_bytes(8, "little"))
    guest.page(BASE, IMAGE)
    assert here.table().named("_end") is not None


@ORDERS
@pytest.mark.parametrize("paged", [False, True])
def test_a_copy_of_a_kernel_is_none(order: str, paged: bool) -> None:
    """Such as what a boot loader or a disk's cache has left in memory."""
    guest = Guest(order)
    guest.put(IMAGE + TABLES_AT, bytes(len(guest.tables.data)))
    guest.put(COPY + TABLES_AT, guest.tables.data)
    if paged:
        guest.page(BASE, IMAGE)
    assert symbols(guest).table().named("_end") is None


def test_what_maps_a_kernel_elsewhere_is_not_its_place() -> None:
    """The linear mapping of all RAM holds the kernel's image too."""
    guest = Guest("7.2")
    guest.page(LINEAR, IMAGE)
    here = symbols(guest)
    assert here.table().named("_end") is None
    assert name_at(here, LINEAR) == ""


def test_what_maps_memory_in_front_of_a_kernel_is_not_its_place() -> None:
    """The first candidate that leads near the tables is no match: it has to lead to the first symbol."""
    guest = Guest("7.2", size=4 << 20)
    guest.page(BASE, IMAGE - (2 << 20))
    address, name = guest.function
    assert place_of(symbols(guest), name) == address + MOVED - BASE


def test_an_image_whose_first_symbol_is_not_its_first_byte() -> None:
    """Without CONFIG_KALLSYMS_ALL the first one is _text, behind the header: it shows where the image was loaded."""
    for order in ("7.2", "6.4"):
        guest = Guest(order, head=0x2000)
        here = symbols(guest)
        address, name = guest.function
        assert name_at(here, IMAGE + address - BASE) != ""
        assert place_of(here, name) == address
        guest.page(BASE, IMAGE)
        assert name_at(here, address) != ""


def test_the_images_symbols_come_first() -> None:
    from tests.session.elf import Sym, make_elf

    guest = Guest()
    guest.page(BASE, IMAGE)
    image = make_elf(bytes(64), [Sym("_end", BASE, 64)], base=BASE)
    found = symbols(guest, [image]).table().named("_end")
    assert found is not None
    assert found.address == BASE
