"""A kernel's own symbols in its memory: what the kernel's tool would write is found, anything else is not."""

from __future__ import annotations

import random

import pytest

from rrdbg.symbols import kallsyms
from rrdbg.symbols.kallsyms import Kallsyms, Read, find_kallsyms

from .kallsyms_writer import Written, some_symbols, written

RAM = 0x8000_0000
BASE = 0xFFFF_FFFF_8000_0000
ORDERS = ("7.2", "6.4", "6.2", "4.6")
KINDS = {"T": "function", "t": "function", "W": "function"} | dict.fromkeys("DdRrBb", "object")


def memory(rng: random.Random, tables: bytes, at: int, size: int = 1 << 19) -> bytes:
    """Return memory with tables in it, among bytes that look like numbers, text and tables."""
    data = bytearray(rng.randbytes(size))
    for start in range(0, size, 4096):
        match rng.randrange(4):
            case 0:
                data[start : start + 4096] = bytes(4096)
            case 1:
                data[start : start + 4096] = (b"".join(b"%d\0" % digit for digit in range(10)) * 205)[:4096]
            case 2:
                data[start : start + 4096] = rng.randrange(256, 5000).to_bytes(8, "little") * 512
    data[at - 8 : at] = bytes(8)  # what the linker leaves between
    data[at : at + len(tables) + 16] = tables + bytes(16)
    return bytes(data)


def reader(data: bytes) -> Read:
    def read(address: int, length: int) -> bytes:
        start = address - RAM
        return data[start : start + length] if 0 <= start <= len(data) else b""

    return read


def found_in(data: bytes) -> list[Kallsyms]:
    return list(find_kallsyms(reader(data), RAM, len(data)))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(4))
def test_what_a_kernel_carries_is_found(order: str, seed: int) -> None:
    rng = random.Random(f"{order} {seed}")
    rows = some_symbols(rng, rng.choice((256, 257, 511, 512, 1000, 3000)), BASE)
    at = rng.randrange(1 << 12, 1 << 17, 4 if order == "7.2" else 8)
    tables = written(rng, rows, BASE, order=order, behind=at)
    data = memory(rng, tables.data, at)
    (found,) = found_in(data)
    assert found.place == RAM + at + tables.places["token_table"]
    assert found.is_placed == (order == "7.2")
    assert found.base_place == (RAM if found.is_placed else RAM + at + tables.places["relative_base"])
    assert [name.decode() for name in found.names] == [name for _, _, name in rows]
    assert found.kinds.decode() == "".join(kind for _, kind, _ in rows)
    assert (found.start, found.end) == (0, rows[-1][0] - BASE)
    symbols = found.rows(BASE)
    for address, kind, name in rows:
        symbol = symbols.named(name)
        if kind == "A":  # a constant of the linker script
            assert symbol is None
            continue
        assert symbol is not None
        assert (symbol.address, symbol.kind) == (address, KINDS[kind])
        around = symbols.around(address + symbol.size - 1)
        assert around is not None
        assert around.address == address


def test_a_chunk_may_end_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    tables = written(rng, some_symbols(rng, 300, BASE), BASE)
    data = memory(rng, tables.data, 1 << 12)
    digits = (1 << 12) + tables.data.index(kallsyms.DIGITS)
    for chunk in range(digits - 1, digits + len(kallsyms.DIGITS) + 1):
        monkeypatch.setattr(kallsyms, "CHUNK", chunk)
        assert len(found_in(data)) == 1, chunk - digits


def test_a_search_can_be_ended() -> None:
    def poll() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(find_kallsyms(reader(bytes(64)), RAM, 64, poll))


def damaged(rng: random.Random, tables: Written) -> bytes:
    """Return the tables with a byte of one of those changed that have to agree with each other."""
    data = bytearray(tables.data)
    name = rng.choice(("num_syms", "markers", "token_table", "token_index"))
    bounds = sorted([*tables.places.values(), len(data)])
    start = tables.places[name]
    stop = next(bound for bound in bounds if bound > start)
    if name == "num_syms":
        stop = start + 4
    place = rng.randrange(start, stop)
    data[place] ^= 1 << rng.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("order", ORDERS)
def test_damage_gives_no_other_symbols(order: str) -> None:
    """What one wrong bit leaves is nothing, or the same list with another letter in a token: no more can be told."""
    rng = random.Random(order)
    rows = some_symbols(rng, 700, BASE)
    tables = written(rng, rows, BASE, order=order, behind=1 << 12)
    refused = 0
    for _ in range(60):
        found = found_in(memory(rng, damaged(rng, tables), 1 << 12, 1 << 16))
        refused += not found
        for one in found:
            assert one.offsets.tolist() == [address - BASE for address, _, _ in rows]
            assert [len(name) for name in one.names] == [len(name) for _, _, name in rows]
    assert refused > 30


@pytest.mark.parametrize("order", ORDERS)
def test_markers_point_to_their_names_or_there_are_none(order: str) -> None:
    rng = random.Random(6)
    tables = written(rng, some_symbols(rng, 700, BASE), BASE, order=order)
    for number in range(3):
        data = bytearray(tables.data)
        data[tables.places["markers"] + 4 * number] ^= 1
        assert found_in(memory(rng, bytes(data), 1 << 12, 1 << 16)) == [], number


@pytest.mark.parametrize("order", ORDERS)
def test_symbols_ascend_or_there_are_none(order: str) -> None:
    rng = random.Random(7)
    tables = written(rng, some_symbols(rng, 300, BASE), BASE, order=order, behind=1 << 12)
    for number in (1, 150, 298):
        data = bytearray(tables.data)
        data[tables.places["offsets"] + 4 * number + 3] ^= 0x40
        assert found_in(memory(rng, bytes(data), 1 << 12, 1 << 16)) == [], number


def test_the_first_symbol_is_somewhere_or_there_are_none() -> None:
    rng = random.Random(8)
    tables = written(rng, some_symbols(rng, 300, BASE), BASE, order="7.2", behind=1 << 13)
    assert found_in(memory(rng, tables.data, 1 << 12, 1 << 16)) == []


@pytest.mark.parametrize("order", ORDERS)
def test_cut_off_tables_are_none(order: str) -> None:
    rng = random.Random(3)
    tables = written(rng, some_symbols(rng, 400, BASE), BASE, order=order)
    last = max(place for name, place in tables.places.items() if name != "seqs_of_names")
    for stop in range(0, last, 997):
        assert found_in(bytes(64) + tables.data[:stop]) == []
    assert found_in(bytes(64) + tables.data[:64]) == []


def test_nothing_is_found_in_noise() -> None:
    rng = random.Random(4)
    assert found_in(memory(rng, b"", 1 << 12)) == []


def test_names_that_no_terminal_should_see_are_refused() -> None:
    rng = random.Random(5)
    rows = some_symbols(rng, 300, BASE)
    rows[7] = (rows[7][0], "T", "red\x1b[31m")
    assert found_in(memory(rng, written(rng, rows, BASE).data, 1 << 12)) == []
