"""Writes symbols as scripts/kallsyms.c of the kernel does: the tests' own side of the format."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Written:
    """Tables, written."""

    data: bytes
    """All of them, from the first byte on."""
    places: dict[str, int]
    """Where each one begins in `data`."""


Row = tuple[int, str, str]
"""Address, type, name."""


def some_symbols(rng: random.Random, count: int, base: int) -> list[Row]:
    """Return symbols of a kernel, by address: the first one is where it begins, the last one where it ends."""
    words = ["sys", "read", "write", "__", "_", "do", "irq", "vfs", "ext4", "tcp", "init", "0", "7", "lock", "X", "."]
    rows = [(base, "T", "_start"), (base, "T", "_text")]
    address = base
    digits = "".join(map(str, range(10)))
    for number in range(count - 3):
        address += rng.choice((0, 2, 4, 64, 4000))
        name = "".join(rng.choices(words, k=rng.randint(1, 5))) + f"_{number}"
        if rng.random() < 0.01:
            name += "very_long_" * rng.randint(13, 30)  # its length takes two bytes
        rows.append((address, rng.choice("TtDdRrBbWA"), f"c{digits}" if number == 5 else name))
    return [*rows, (address + 8, "B", "_end")]


def written(
    rng: random.Random,
    rows: list[Row],
    base: int,
    *,
    order: str = "6.4",
    base_field: int | None = None,
    behind: int = 0,
) -> Written:
    """Return the tables of a kernel.

    Args:
        rng: Chooses the tokens; the real ones are those that save most.
        rows: The symbols, by address.
        base: What offsets are relative to.
        order: Of which Linux the tables' order is: "7.2", "6.4", "6.2" or "4.6".
        base_field: What `relative_base` holds, if not `base`.
        behind: How far from `base` they will lie.
    """
    spelled = [(kind + name).encode() for _, kind, name in rows]
    used = sorted(set(b"".join(spelled)))
    tokens = {code: bytes([code]) for code in used}
    for code in range(256):
        if code not in tokens:
            text = rng.choice(spelled)
            at = rng.randrange(len(text))
            tokens[code] = text[at : at + rng.randint(2, 6)] if rng.random() < 0.95 else b""
    by_first: dict[int, list[tuple[bytes, int]]] = {}
    for code, token in tokens.items():
        if token:
            by_first.setdefault(token[0], []).append((token, code))

    def packed(text: bytes) -> bytes:
        codes, at = bytearray(), 0
        while at < len(text):
            token, code = rng.choice([pair for pair in by_first[text[at]] if text.startswith(pair[0], at)])
            codes.append(code)
            at += len(token)
        length = len(codes)
        return bytes([length] if length < 0x80 else [length & 0x7F | 0x80, length >> 7]) + codes

    names, markers = bytearray(), []
    for number, text in enumerate(spelled):
        if number % 256 == 0:
            markers.append(len(names))
        names += packed(text)
    table = b"".join(tokens[code] + b"\0" for code in range(256))
    index, at = [], 0
    for code in range(256):
        index.append(at)
        at += len(tokens[code]) + 1
    alphabetical = sorted(range(len(rows)), key=lambda number: rows[number][2])
    tables = {
        "num_syms": len(rows).to_bytes(4, "little"),
        "names": bytes(names),
        "markers": b"".join(marker.to_bytes(4, "little") for marker in markers),
        "token_table": table,
        "token_index": b"".join(start.to_bytes(2, "little") for start in index),
        "offsets": b"".join((address - base).to_bytes(4, "little") for address, _, _ in rows),
        "relative_base": (base if base_field is None else base_field).to_bytes(8, "little"),
        "seqs_of_names": b"".join(number.to_bytes(3, "big") for number in alphabetical),
    }
    spelling = ["token_table", "token_index"]
    wanted = {
        "7.2": ["num_syms", "names", "markers", *spelling, "offsets", "seqs_of_names"],
        "6.4": ["num_syms", "names", "markers", *spelling, "offsets", "relative_base", "seqs_of_names"],
        "6.2": ["offsets", "relative_base", "num_syms", "names", "markers", "seqs_of_names", *spelling],
        "4.6": ["offsets", "relative_base", "num_syms", "names", "markers", *spelling],
    }[order]
    data, places = bytearray(), {}
    for name in wanted:
        data += bytes(-len(data) % (4 if order == "7.2" else 8))
        places[name] = len(data)
        if name == "offsets" and order == "7.2":
            from_here = [
                address - (base + behind + len(data) + 4 * number) for number, (address, _, _) in enumerate(rows)
            ]
            tables[name] = struct.pack(f"<{len(rows)}i", *from_here)
        data += tables[name]
    return Written(bytes(data), places)
